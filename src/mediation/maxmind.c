/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Databases in the format of MaxMind (GeoLite2, GeoIP2 and those that others
 * make), by libmaxminddb, which maps the file: a newer one is to take its
 * place by renaming, not by writing into it.
 *
 * Decoding an entry costs more than finding it, and many addresses have one
 * entry: what was read of the latest entries is kept. Finding it is a step in
 * the file for each bit of an address: what was found of the latest addresses
 * is kept, too.
 */
#include <errno.h>
#include <inttypes.h>
#include <maxminddb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>

#include "conflux/hash.h"
#include "lookup.h"

enum { STEPS_MAX = 8 };

struct maxmind {
	MMDB_s db;
	/* "country.iso_code" in pieces, the last is NULL. */
	char *text[LOOKUP_VALUES_MAX];
	const char *path[LOOKUP_VALUES_MAX][STEPS_MAX + 1];
};

static int
split_path(struct maxmind *m, unsigned i, const char *key, char **error)
{
	unsigned steps = 0;
	char *p = m->text[i] = strdup(key);

	if (!p)
		return -ENOMEM;
	for (char *step; (step = strsep(&p, "."));) {
		if (steps == STEPS_MAX || !*step)
			return text_error(error, -EINVAL,
					  "\"%s\" is no way into a database, "
					  "expected 1 to %d names with dots "
					  "between, as country.iso_code",
					  key, STEPS_MAX);
		m->path[i][steps++] = step;
	}
	return 0;
}

int
maxmind_open(const struct lookup_conf *conf, struct maxmind **out, char **error)
{
	struct maxmind *m = calloc(1, sizeof(*m));
	int rc = m ? 0 : -ENOMEM, status;

	for (unsigned i = 0; rc == 0 && i < conf->value_count; i++)
		rc = split_path(m, i, conf->value[i].key, error);
	if (rc == 0) {
		status = MMDB_open(conf->maxmind_path, MMDB_MODE_MMAP, &m->db);
		if (status == MMDB_SUCCESS) {
			*out = m;
			return 0;
		}
		rc = status == MMDB_OUT_OF_MEMORY_ERROR	       ? -ENOMEM
		     : status == MMDB_FILE_OPEN_ERROR && errno ? -errno
							       : -EBADMSG;
		if (rc != -ENOMEM)
			text_error(error, rc, "%s: %s", conf->maxmind_path,
				   MMDB_strerror(status));
	}
	for (unsigned i = 0; m && i < conf->value_count; i++)
		free(m->text[i]);
	free(m);
	return rc;
}

void
maxmind_close(struct maxmind *m)
{
	if (!m)
		return;
	MMDB_close(&m->db);
	for (unsigned i = 0; i < LOOKUP_VALUES_MAX; i++)
		free(m->text[i]);
	free(m);
}

const char *
maxmind_type(const struct maxmind *m)
{
	return m->db.metadata.database_type;
}

uint64_t
maxmind_build_s(const struct maxmind *m)
{
	return m->db.metadata.build_epoch;
}

/* ---- values ------------------------------------------------------------ */

/* As text, as people write it; false: of a type that is no value. */
static bool
to_text(const MMDB_entry_data_s *data, const struct ie *ie, char *text,
	size_t size)
{
	bool number = ie->type >= IE_UNSIGNED8 && ie->type <= IE_SIGNED64;
	uint32_t length = data->data_size;
	const char *string = data->utf8_string;

	switch (data->type) {
	case MMDB_DATA_TYPE_UTF8_STRING:
		/* An AS number is a string in some: "AS64500". */
		if (number && length > 2 && memcmp(string, "AS", 2) == 0) {
			string += 2;
			length -= 2;
		}
		return (size_t)snprintf(text, size, "%.*s", (int)length,
					string) < size;
	case MMDB_DATA_TYPE_UINT16:
		snprintf(text, size, "%u", data->uint16);
		return true;
	case MMDB_DATA_TYPE_UINT32:
		snprintf(text, size, "%" PRIu32, data->uint32);
		return true;
	case MMDB_DATA_TYPE_UINT64:
		snprintf(text, size, "%" PRIu64, data->uint64);
		return true;
	case MMDB_DATA_TYPE_INT32:
		snprintf(text, size, "%" PRId32, data->int32);
		return true;
	case MMDB_DATA_TYPE_BOOLEAN:
		snprintf(text, size, data->boolean ? "true" : "false");
		return true;
	case MMDB_DATA_TYPE_FLOAT:
		snprintf(text, size, "%.9g", (double)data->float_value);
		return true;
	case MMDB_DATA_TYPE_DOUBLE:
		snprintf(text, size, "%.17g", data->double_value);
		return true;
	default:
		return false;
	}
}

static int64_t
read_entry(const struct maxmind *m, const struct lookup_conf *conf,
	   struct maxmind_results *r, MMDB_entry_s *entry)
{
	char text[LOOKUP_OCTETS_MAX + 1];
	MMDB_entry_data_s data;

	result_begin(&r->results, conf);
	for (unsigned i = 0; i < conf->value_count; i++) {
		if (MMDB_aget_value(entry, &data, m->path[i]) != MMDB_SUCCESS ||
		    !data.has_data)
			continue;
		if (!to_text(&data, conf->value[i].ie, text, sizeof(text)) ||
		    result_text(&r->results, conf, i, text) < 0)
			r->mismatched++;
	}
	return result_end(&r->results);
}

static void
forget_latest(struct maxmind_results *r)
{
	memset(r->slot, 0xff, sizeof(r->slot));
	memset(r->latest4, 0xff, sizeof(r->latest4));
	memset(r->latest6, 0xff, sizeof(r->latest6));
}

int
maxmind_results_init(struct maxmind_results *r, const struct lookup_conf *conf)
{
	forget_latest(r);
	return results_init(&r->results, conf);
}

void
maxmind_results_fini(struct maxmind_results *r)
{
	results_fini(&r->results);
}

void
maxmind_results_reset(struct maxmind_results *r, const struct lookup_conf *conf)
{
	forget_latest(r);
	results_reset(&r->results, conf);
}

static MMDB_lookup_result_s
search(const struct maxmind *m, const uint8_t *bytes, unsigned length)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address = {0};
	int error;

	if (length == 4) {
		address.v4.sin_family = AF_INET;
		memcpy(&address.v4.sin_addr, bytes, 4);
	} else {
		address.v6.sin6_family = AF_INET6;
		memcpy(&address.v6.sin6_addr, bytes, 16);
	}
	return MMDB_lookup_sockaddr(&m->db, &address.any, &error);
}

/* For MAXMIND_SLOTS. */
static uint32_t
slot_of(uint32_t number)
{
	return number * 2654435761u >> 16;
}

static int64_t
find_in_file(const struct maxmind *m, const struct lookup_conf *conf,
	     struct maxmind_results *r, const uint8_t *bytes, unsigned length)
{
	MMDB_lookup_result_s found = search(m, bytes, length);
	uint32_t offset = found.entry.offset, at = slot_of(offset);
	int64_t result;

	if (!found.found_entry)
		return RESULT_NONE;
	if (r->slot[at].offset == offset)
		return r->slot[at].result;
	result = read_entry(m, conf, r, &found.entry);
	if (result >= 0) {
		r->slot[at].offset = offset;
		r->slot[at].result = (uint32_t)result;
	}
	return result;
}

static int64_t
find6(const struct maxmind *m, const struct lookup_conf *conf,
      struct maxmind_results *r, const uint8_t *bytes)
{
	uint32_t at = hash_bytes(bytes, 16, 0) % MAXMIND_SLOTS6;
	int64_t result;

	if (r->latest6[at].result != UINT32_MAX &&
	    memcmp(r->latest6[at].address, bytes, 16) == 0)
		return r->latest6[at].result;
	result = find_in_file(m, conf, r, bytes, 16);
	if (result >= 0) {
		memcpy(r->latest6[at].address, bytes, 16);
		r->latest6[at].result = (uint32_t)result;
	}
	return result;
}

int64_t
maxmind_find(const struct maxmind *m, const struct lookup_conf *conf,
	     struct maxmind_results *r, const uint8_t *bytes, unsigned length)
{
	uint32_t address, at;
	int64_t result;

	if (length != 4)
		return find6(m, conf, r, bytes);
	memcpy(&address, bytes, 4);
	at = slot_of(address);
	if (r->latest4[at].address == address &&
	    r->latest4[at].result != UINT32_MAX)
		return r->latest4[at].result;
	result = find_in_file(m, conf, r, bytes, length);
	if (result >= 0) {
		r->latest4[at].address = address;
		r->latest4[at].result = (uint32_t)result;
	}
	return result;
}
