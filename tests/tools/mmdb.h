/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes databases in the format of MaxMind (version 2.0 of its specification):
 * a binary tree of address bits, IPv4 at ::/96, with nodes of two records of 32
 * bits; then 16 octets of 0, the data, and the metadata. For tests: all is
 * kept in memory, and equal entries are written once.
 */
#ifndef CONFLUX_TESTS_MMDB_H
#define CONFLUX_TESTS_MMDB_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/addr.h"
#include "conflux/wire.h"

enum { MMDB_NOTHING = -1, MMDB_PAIRS_MAX = 32, MMDB_ENTRIES = 1 << 21 };

/* A child: another node, MMDB_NOTHING, or -2 - offset of data. */
struct mmdb_node {
	int64_t child[2];
};

struct mmdb_writer {
	struct mmdb_node *node;
	uint32_t nodes, room;
	uint8_t *data;
	uint32_t used, size;
	/* Of entries: offset + 1 by the hash of their pairs. */
	struct {
		uint64_t hash;
		uint32_t offset;
	} * entry;
};

static inline uint8_t *
mmdb_take(struct mmdb_writer *w, uint32_t octets)
{
	while (w->size - w->used < octets) {
		w->size = w->size ? w->size * 2 : 65536;
		w->data = realloc(w->data, w->size);
		if (!w->data)
			abort();
	}
	w->used += octets;
	return w->data + w->used - octets;
}

static inline void
mmdb_control(struct mmdb_writer *w, unsigned type, unsigned size)
{
	unsigned short_size = size < 29 ? size : 29;

	*mmdb_take(w, 1) = (uint8_t)((type < 8 ? type << 5 : 0) | short_size);
	if (type >= 8)
		*mmdb_take(w, 1) = (uint8_t)(type - 7);
	if (size >= 29)
		*mmdb_take(w, 1) = (uint8_t)(size - 29);
}

static inline void
mmdb_string(struct mmdb_writer *w, const char *text, size_t length)
{
	mmdb_control(w, 2, (unsigned)length);
	memcpy(mmdb_take(w, (uint32_t)length), text, length);
}

static inline void
mmdb_number(struct mmdb_writer *w, unsigned type, unsigned octets, uint64_t v)
{
	mmdb_control(w, type, octets);
	wire_put_uint(mmdb_take(w, octets), v, octets);
}

/* A number, one with a point, true or false, else a string. */
static inline void
mmdb_value(struct mmdb_writer *w, const char *text)
{
	char *end;
	uint64_t number = strtoull(text, &end, 10), bits;
	double real;

	if (*text >= '0' && *text <= '9' && !*end) {
		if (number <= UINT32_MAX)
			mmdb_number(w, 6, 4, number);
		else
			mmdb_number(w, 9, 8, number);
		return;
	}
	real = strtod(text, &end);
	if (strchr(text, '.') && !*end) {
		memcpy(&bits, &real, sizeof(bits));
		mmdb_control(w, 3, 8);
		wire_put64(mmdb_take(w, 8), bits);
	} else if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
		mmdb_control(w, 14, *text == 't');
	} else {
		mmdb_string(w, text, strlen(text));
	}
}

/*
 * A map of pairs "a.b=value", whose names from octet at on are in it; those of
 * one name follow each other.
 */
static inline void
mmdb_map(struct mmdb_writer *w, char *const *pair, unsigned count, size_t at)
{
	unsigned keys = 0, n;

	for (unsigned i = 0; i < count; i += n, keys++) {
		size_t length = strcspn(pair[i] + at, ".=") + at;

		for (n = 1; i + n < count &&
			    strncmp(pair[i], pair[i + n], length + 1) == 0;)
			n++;
	}
	mmdb_control(w, 7, keys);
	for (unsigned i = 0; i < count; i += n) {
		size_t length = strcspn(pair[i] + at, ".=") + at;

		for (n = 1; i + n < count &&
			    strncmp(pair[i], pair[i + n], length + 1) == 0;)
			n++;
		mmdb_string(w, pair[i] + at, length - at);
		if (pair[i][length] == '=')
			mmdb_value(w, pair[i] + length + 1);
		else
			mmdb_map(w, pair + i, n, length + 1);
	}
}

static inline uint32_t
mmdb_node(struct mmdb_writer *w, int64_t child)
{
	if (w->nodes == w->room) {
		w->room = w->room ? w->room * 2 : 1024;
		w->node = realloc(w->node, w->room * sizeof(*w->node));
		if (!w->node)
			abort();
	}
	w->node[w->nodes].child[0] = w->node[w->nodes].child[1] = child;
	return w->nodes++;
}

/* The offset of an entry; two hashes of 64 bits are taken for different. */
static inline uint32_t
mmdb_entry(struct mmdb_writer *w, char *const *pair, unsigned count)
{
	uint64_t hash = 1;
	size_t at;

	for (unsigned i = 0; i < count; i++)
		for (size_t n = 0; n <= strlen(pair[i]); n++)
			hash = (hash ^ (uint8_t)pair[i][n]) * 0x100000001b3u;
	if (!w->entry)
		w->entry = calloc(MMDB_ENTRIES, sizeof(*w->entry));
	if (!w->entry)
		abort();
	at = hash % MMDB_ENTRIES;
	while (w->entry[at].offset && w->entry[at].hash != hash)
		at = (at + 1) % MMDB_ENTRIES;
	if (!w->entry[at].offset) {
		w->entry[at].hash = hash;
		w->entry[at].offset = w->used + 1;
		mmdb_map(w, pair, count, 0);
	}
	return w->entry[at].offset - 1;
}

/* Prefixes that hold others come before them. */
static inline void
mmdb_add(struct mmdb_writer *w, const struct addr *prefix, unsigned length,
	 char *const *pair, unsigned count)
{
	uint8_t bits[16] = {0};
	uint32_t at = 0, data = mmdb_entry(w, pair, count), next;

	if (prefix->version == 4) {
		memcpy(bits + 12, prefix->bytes, 4);
		length += 96;
	} else {
		memcpy(bits, prefix->bytes, 16);
	}
	if (w->nodes == 0)
		mmdb_node(w, MMDB_NOTHING);
	for (unsigned i = 0; i + 1 < length; i++) {
		unsigned bit = bits[i / 8] >> (7 - i % 8) & 1;
		int64_t child = w->node[at].child[bit];

		if (child < 0) {
			next = mmdb_node(w, child);
			w->node[at].child[bit] = next;
			child = next;
		}
		at = (uint32_t)child;
	}
	length--;
	w->node[at].child[bits[length / 8] >> (7 - length % 8) & 1] =
		-2 - (int64_t)data;
}

static inline void
mmdb_metadata(struct mmdb_writer *w, const char *type)
{
	static const char marker[] = "\xab\xcd\xefMaxMind.com";

	memcpy(mmdb_take(w, sizeof(marker) - 1), marker, sizeof(marker) - 1);
	mmdb_control(w, 7, 9);
	mmdb_string(w, "node_count", 10);
	mmdb_number(w, 6, 4, w->nodes);
	mmdb_string(w, "record_size", 11);
	mmdb_number(w, 5, 2, 32);
	mmdb_string(w, "ip_version", 10);
	mmdb_number(w, 5, 2, 6);
	mmdb_string(w, "database_type", 13);
	mmdb_string(w, type, strlen(type));
	mmdb_string(w, "languages", 9);
	mmdb_control(w, 11, 0);
	mmdb_string(w, "binary_format_major_version", 27);
	mmdb_number(w, 5, 2, 2);
	mmdb_string(w, "binary_format_minor_version", 27);
	mmdb_number(w, 5, 2, 0);
	mmdb_string(w, "build_epoch", 11);
	mmdb_number(w, 9, 8, 1700000000);
	mmdb_string(w, "description", 11);
	mmdb_control(w, 7, 0);
}

/* Writes it to a file and frees all. 0 or -1. */
static inline int
mmdb_write(struct mmdb_writer *w, const char *path, const char *type)
{
	FILE *file = fopen(path, "wb");
	uint8_t zero[16] = {0}, record[4];
	int rc = file ? 0 : -1;

	if (w->nodes == 0)
		mmdb_node(w, MMDB_NOTHING);
	for (uint32_t i = 0; file && i < 2 * w->nodes; i++) {
		int64_t child = w->node[i / 2].child[i % 2];

		wire_put32(record,
			   child >= 0 ? (uint32_t)child
			   : child == MMDB_NOTHING
				   ? w->nodes
				   : w->nodes + 16 + (uint32_t)(-2 - child));
		fwrite(record, 1, 4, file);
	}
	mmdb_metadata(w, type);
	if (file) {
		fwrite(zero, 1, sizeof(zero), file);
		fwrite(w->data, 1, w->used, file);
		if (fclose(file) != 0)
			rc = -1;
	}
	free(w->node);
	free(w->data);
	free(w->entry);
	*w = (struct mmdb_writer){0};
	return rc;
}

#endif
