/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * NUMBER.ipfix has the messages, one behind the other, and can be read by
 * whoever reads IPFIX files. NUMBER.index has an entry for each of them, in
 * network byte order:
 *
 *	octets 0-7	where the message begins in the file
 *	8-11		its length
 *	12-15		the Data Records in it; 0: Templates
 *	16-19		when it was written, seconds since 1970
 *	20-23		kind: 0 a message, 1 one that counts only if a seal is
 *			behind it, 2 a seal
 *	24-31		position: Flow Records stored before it in its run; or
 *			the number of the seal
 *	32-35		number of the run (spool.h)
 *	36-39		the Flow Records in it
 *	40-47		sum of the message
 *	48-55		sum of octets 0 to 47
 *
 * RFC 5655 section 7 would have a checksum within each message, as Options Data
 * with an MD5 of it. Here it is a sum of 64 bits (conflux/hash.h, seeded with
 * the number of the segment) beside the file: it costs a tenth, the messages
 * are those that go to the collector, and what a spool holds is known from the
 * index alone. It tells damage, not forgery. It depends on the byte order of
 * the machine, as a spool is for the one that wrote it.
 *
 * The entry is written before its message. So a message that was torn by a
 * crash is known with its records; without a crash of the system (which may
 * write what it has in any order) it is the last one at most.
 */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conflux/hash.h"
#include "conflux/message.h"

#define SUM_SEED UINT64_C(0x73706f6f6c2d3032)

enum { ENTRY_SUMMED = 48 };

static uint64_t
sum_of(const struct segment *segment, const uint8_t *p, size_t length)
{
	return hash_bytes(p, length, hash_u64(segment->number, SUM_SEED));
}

char *
segment_name(char name[SEGMENT_NAME], uint64_t number, bool index)
{
	snprintf(name, SEGMENT_NAME, "%020" PRIu64 ".%s", number,
		 index ? "index" : "ipfix");
	return name;
}

uint64_t
segment_parse(const char *name, bool *index)
{
	char *end, again[SEGMENT_NAME];
	uint64_t number;

	if (name[0] < '0' || name[0] > '9')
		return 0;
	errno = 0;
	number = strtoull(name, &end, 10);
	*index = strcmp(end, ".index") == 0;
	if (errno || strcmp(name, segment_name(again, number, *index)) != 0)
		return 0;
	return number;
}

static int
open_file(int folder, uint64_t number, bool index, int flags)
{
	char name[SEGMENT_NAME];
	int fd = openat(folder, segment_name(name, number, index),
			flags | O_CLOEXEC, 0640);

	return fd < 0 ? -errno : fd;
}

static int
open_both(int folder, uint64_t number, int flags, struct segment_files *files)
{
	files->index = -1;
	files->data = open_file(folder, number, false, flags);
	if (files->data < 0)
		return files->data;
	files->index = open_file(folder, number, true, flags);
	if (files->index < 0) {
		int rc = files->index;

		segment_close(files);
		return rc;
	}
	return 0;
}

int
segment_create(int folder, uint64_t number, struct segment_files *files)
{
	int rc = open_both(folder, number, O_RDWR | O_CREAT | O_TRUNC, files);

	if (rc < 0)
		segment_remove(folder, number);
	return rc;
}

void
segment_close(struct segment_files *files)
{
	if (files->data >= 0)
		close(files->data);
	if (files->index >= 0)
		close(files->index);
	files->data = files->index = -1;
}

/* An index alone is what is left of a segment that was being removed. */
void
segment_remove(int folder, uint64_t number)
{
	char name[SEGMENT_NAME];

	unlinkat(folder, segment_name(name, number, false), 0);
	unlinkat(folder, segment_name(name, number, true), 0);
}

/* ---- writing ---------------------------------------------------------------
 */

static int
write_all(int fd, const uint8_t *p, size_t length, uint64_t at)
{
	while (length) {
		ssize_t n = pwrite(fd, p, length, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		length -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

static void
put_entry(uint8_t p[SEGMENT_ENTRY], const struct segment *segment,
	  const struct segment_entry *entry)
{
	wire_put64(p, entry->offset);
	wire_put32(p + 8, entry->length);
	wire_put32(p + 12, entry->records);
	wire_put32(p + 16, entry->written_s);
	wire_put32(p + 20, entry->kind);
	wire_put64(p + 24, entry->position);
	wire_put32(p + 32, entry->run);
	wire_put32(p + 36, entry->flows);
	wire_put64(p + 40, entry->sum);
	wire_put64(p + 48, sum_of(segment, p, ENTRY_SUMMED));
}

/* If this fails, too, the next message is written over what is there. */
void
segment_cut_back(const struct segment_files *files,
		 const struct segment *segment)
{
	off_t entries = (off_t)segment->entries * SEGMENT_ENTRY;

	if (ftruncate(files->index, entries) == 0)
		errno = 0;
	if (ftruncate(files->data, (off_t)segment->octets) == 0)
		errno = 0;
}

int
segment_write(const struct segment_files *files, struct segment *segment,
	      const uint8_t *message, struct segment_entry *entry)
{
	uint8_t p[SEGMENT_ENTRY];
	int rc;

	entry->offset = segment->octets;
	entry->sum = sum_of(segment, message, entry->length);
	put_entry(p, segment, entry);
	rc = write_all(files->index, p, sizeof(p),
		       (uint64_t)segment->entries * SEGMENT_ENTRY);
	if (rc == 0)
		rc = write_all(files->data, message, entry->length,
			       segment->octets);
	if (rc < 0) {
		segment_cut_back(files, segment);
		return rc;
	}
	segment->octets += entry->length;
	segment->records += entry->records;
	segment->messages += entry->records > 0;
	if (segment->entries++ == 0)
		segment->first_s = entry->written_s;
	segment->last_s = entry->written_s;
	return 0;
}

/* ---- reading ---------------------------------------------------------------
 */

static bool
get_entry(const uint8_t p[SEGMENT_ENTRY], const struct segment *segment,
	  struct segment_entry *entry)
{
	entry->offset = wire_get64(p);
	entry->length = wire_get32(p + 8);
	entry->records = wire_get32(p + 12);
	entry->written_s = wire_get32(p + 16);
	entry->kind = (enum segment_kind)wire_get32(p + 20);
	entry->position = wire_get64(p + 24);
	entry->run = wire_get32(p + 32);
	entry->flows = wire_get32(p + 36);
	entry->sum = wire_get64(p + 40);
	return wire_get64(p + ENTRY_SUMMED) ==
		       sum_of(segment, p, ENTRY_SUMMED) &&
	       entry->length >= MESSAGE_HEADER && entry->length <= MESSAGE_MAX;
}

/* As many octets as there are, up to length; or a negative errno. */
static ssize_t
read_some(int fd, uint8_t *p, size_t length, uint64_t at)
{
	size_t have = 0;

	while (have < length) {
		ssize_t n =
			pread(fd, p + have, length - have, (off_t)(at + have));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

static int
walk(const struct segment_files *files, const struct segment *segment,
     uint8_t *buffer, segment_each each, void *arg)
{
	struct segment_entry entry;
	uint64_t offset = 0;
	uint32_t at = 0;
	struct stat st;
	ssize_t n;

	if (fstat(files->data, &st) < 0)
		return -errno;
	while ((n = read_some(files->index, buffer,
			      SEGMENT_ENTRIES * SEGMENT_ENTRY,
			      (uint64_t)at * SEGMENT_ENTRY)) >= SEGMENT_ENTRY) {
		for (ssize_t i = 0; i < n / SEGMENT_ENTRY; i++, at++) {
			if (!get_entry(buffer + i * SEGMENT_ENTRY, segment,
				       &entry) ||
			    entry.offset != offset)
				return 0;
			offset += entry.length;
			if (!each(arg, &entry, at,
				  offset <= (uint64_t)st.st_size))
				return 0;
		}
	}
	return n < 0 ? (int)n : 0;
}

int
segment_walk(int folder, uint64_t number, segment_each each, void *arg)
{
	const struct segment segment = {.number = number};
	uint8_t *buffer = malloc(SEGMENT_ENTRIES * SEGMENT_ENTRY);
	struct segment_files files;
	int rc;

	if (!buffer)
		return -ENOMEM;
	rc = open_both(folder, number, O_RDONLY, &files);
	if (rc == 0) {
		rc = walk(&files, &segment, buffer, each, arg);
		segment_close(&files);
	}
	free(buffer);
	return rc;
}

int
segment_truncate(int folder, uint64_t number, uint32_t entries, uint64_t octets)
{
	struct segment_files files;
	int rc = open_both(folder, number, O_RDWR, &files);

	if (rc < 0)
		return rc;
	if (ftruncate(files.index, (off_t)entries * SEGMENT_ENTRY) < 0 ||
	    ftruncate(files.data, (off_t)octets) < 0)
		rc = -errno;
	segment_close(&files);
	return rc;
}

struct scan {
	struct segment *segment;
	uint32_t done;
	segment_each each;
	void *arg;
};

static bool
scan_entry(void *arg, const struct segment_entry *entry, uint32_t index,
	   bool whole)
{
	struct scan *scan = arg;
	struct segment *segment = scan->segment;
	bool done = index < scan->done;

	if (scan->each)
		scan->each(scan->arg, entry, index, whole);
	if (segment->torn || !whole) {
		segment->torn += done ? 0 : entry->records;
		return true;
	}
	segment->octets += entry->length;
	if (segment->entries++ == 0)
		segment->first_s = entry->written_s;
	segment->last_s = entry->written_s;
	if (done || !entry->records)
		return true;
	segment->messages++;
	segment->records += entry->records;
	return true;
}

int
segment_scan(int folder, struct segment *segment, uint32_t done,
	     segment_each each, void *arg)
{
	struct scan scan = {
		.segment = segment,
		.done = done,
		.each = each,
		.arg = arg,
	};

	segment->octets = segment->records = segment->messages = 0;
	segment->entries = segment->first_s = segment->last_s = 0;
	segment->torn = 0;
	return segment_walk(folder, segment->number, scan_entry, &scan);
}

int
segment_reader_init(struct segment_reader *r)
{
	*r = (struct segment_reader){.files = {-1, -1}};
	r->buffer = malloc(SEGMENT_BUFFER);
	r->entries = malloc(SEGMENT_ENTRIES * SEGMENT_ENTRY);
	return r->buffer && r->entries ? 0 : -ENOMEM;
}

void
segment_reader_fini(struct segment_reader *r)
{
	if (r->segment)
		segment_reader_close(r);
	free(r->buffer);
	free(r->entries);
}

int
segment_reader_open(struct segment_reader *r, int folder,
		    struct segment *segment)
{
	int rc = open_both(folder, segment->number, O_RDONLY, &r->files);

	if (rc < 0)
		return rc;
	posix_fadvise(r->files.data, 0, 0, POSIX_FADV_SEQUENTIAL);
	r->segment = segment;
	r->entry = 0;
	r->entries_count = 0;
	r->buffer_length = 0;
	return 0;
}

void
segment_reader_close(struct segment_reader *r)
{
	segment_close(&r->files);
	r->segment = NULL;
}

int
segment_peek(struct segment_reader *r, struct segment_entry *entry)
{
	ssize_t n;

	if (r->entry < r->entries_at ||
	    r->entry - r->entries_at >= r->entries_count) {
		n = read_some(r->files.index, r->entries,
			      SEGMENT_ENTRIES * SEGMENT_ENTRY,
			      (uint64_t)r->entry * SEGMENT_ENTRY);
		if (n < 0)
			return (int)n;
		r->entries_at = r->entry;
		r->entries_count = (uint32_t)n / SEGMENT_ENTRY;
		if (r->entries_count == 0)
			return -EIO;
	}
	return get_entry(r->entries + (size_t)(r->entry - r->entries_at) *
					      SEGMENT_ENTRY,
			 r->segment, entry)
		       ? 0
		       : -EIO;
}

void
segment_skip(struct segment_reader *r)
{
	r->entry++;
}

const uint8_t *
segment_read(struct segment_reader *r, const struct segment_entry *entry)
{
	const uint8_t *p;
	ssize_t n;

	r->entry++;
	if (entry->offset < r->buffer_at ||
	    entry->offset + entry->length > r->buffer_at + r->buffer_length) {
		n = read_some(r->files.data, r->buffer, SEGMENT_BUFFER,
			      entry->offset);
		r->buffer_at = entry->offset;
		r->buffer_length = n < 0 ? 0 : (size_t)n;
		if (entry->length > r->buffer_length)
			return NULL;
	}
	p = r->buffer + (entry->offset - r->buffer_at);
	return sum_of(r->segment, p, entry->length) == entry->sum ? p : NULL;
}
