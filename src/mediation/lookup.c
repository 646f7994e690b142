/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Results of lookups. Many prefixes have the same one (all of an autonomous
 * system, or of a country), so each is kept once.
 */
#include "lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/match.h"

/* ---- the one that is being made ---------------------------------------- */

void
result_begin(struct results *results, const struct lookup_conf *conf)
{
	for (unsigned i = 0; i < conf->value_count; i++) {
		const struct ie *ie = conf->value[i].ie;

		/* Of a string its length, 0. */
		results->length[i] = ie->length == IE_VARIABLE ? 1 : ie->length;
		memset(results->value[i], 0, results->length[i]);
	}
}

int
result_text(struct results *results, const struct lookup_conf *conf, unsigned i,
	    const char *text)
{
	const struct ie *ie = conf->value[i].ie;
	uint8_t octets[MATCH_MAX];
	struct match match;
	uint16_t length;

	if (match_parse(&match, ie, text) < 0)
		return -EINVAL;
	length = match_write(&match, ie, octets);
	if (ie->length != IE_VARIABLE) {
		memcpy(results->value[i], octets, length);
		return 0;
	}
	if (length >= LOOKUP_OCTETS_MAX)
		return -EINVAL;
	results->value[i][0] = (uint8_t)length;
	memcpy(results->value[i] + 1, octets, length);
	results->length[i] = (uint16_t)(length + 1);
	return 0;
}

/* ---- all of them ------------------------------------------------------- */

/* Items of the table are numbers of results, none of which is 0. */
static uint32_t
number_of(const void *item)
{
	return (uint32_t)(uintptr_t)item;
}

static const uint32_t *
places(const struct results *results, uint32_t result)
{
	return &results->at[(size_t)result * (results->values + 1)];
}

/* key: the results, of which the last one is compared. */
static bool
same_as_last(const void *item, const void *key)
{
	const struct results *r = key;
	const uint32_t *a = places(r, number_of(item));
	const uint32_t *b = places(r, r->count);

	for (unsigned i = 1; i <= r->values; i++)
		if (a[i] - a[0] != b[i] - b[0])
			return false;
	return memcmp(r->octets + a[0], r->octets + b[0],
		      b[r->values] - b[0]) == 0;
}

static int
make_room(struct results *r, uint32_t length)
{
	uint32_t room = r->room ? r->room * 2 : 1024;
	uint32_t size = r->size ? r->size * 2 : 64;
	void *more;

	if (r->room - r->used < length) {
		if (room < r->used + length)
			room = r->used + length;
		more = r->used > UINT32_MAX / 4 ? NULL
						: realloc(r->octets, room);
		if (!more)
			return -ENOMEM;
		r->octets = more;
		r->room = room;
	}
	if (r->count < r->size)
		return 0;
	more = realloc(r->at, (size_t)size * (r->values + 1) * sizeof(*r->at));
	if (!more)
		return -ENOMEM;
	r->at = more;
	r->size = size;
	return 0;
}

int64_t
result_end(struct results *r)
{
	uint32_t length = 0, hash, used = r->used;
	uint32_t *at;
	void *same;

	for (unsigned i = 0; i < r->values; i++)
		length += r->length[i];
	if (make_room(r, length) < 0)
		return -ENOMEM;
	at = &r->at[(size_t)r->count * (r->values + 1)];
	for (unsigned i = 0; i < r->values; i++) {
		at[i] = r->used;
		memcpy(r->octets + r->used, r->value[i], r->length[i]);
		r->used += r->length[i];
	}
	at[r->values] = r->used;
	if (r->count && same_as_last((void *)(uintptr_t)RESULT_NONE, r)) {
		r->used = used;
		return RESULT_NONE;
	}
	hash = (uint32_t)hash_bytes(r->octets + used, length, r->values);
	same = table_find(&r->table, hash, same_as_last, r);
	if (same) {
		r->used = used;
		return number_of(same);
	}
	if (r->count &&
	    table_add(&r->table, hash, (void *)(uintptr_t)r->count) < 0) {
		r->used = used;
		return -ENOMEM;
	}
	return r->count++;
}

int
results_init(struct results *results, const struct lookup_conf *conf)
{
	*results = (struct results){.values = conf->value_count};
	result_begin(results, conf);
	return result_end(results) < 0 ? -ENOMEM : 0;
}

void
results_reset(struct results *results, const struct lookup_conf *conf)
{
	table_fini(&results->table);
	results->table = (struct table){0};
	results->count = 1;
	results->used = results->at[results->values];
}

void
results_fini(struct results *results)
{
	table_fini(&results->table);
	free(results->at);
	free(results->octets);
	*results = (struct results){0};
}
