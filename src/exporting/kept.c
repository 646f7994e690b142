/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Options Data that the Metering and Selection Processes before this one make
 * (enum options_kind): selectors, their counts, packets that were ignored. They
 * come as records like any other and go on as such; but the latest of each is
 * kept, so that it can be sent again after its optionsTimeout, and at the
 * beginning of a session that has not seen it. What is the latest of what
 * follows from the scope fields of the record.
 *
 * Where records go to one of several destinations, any may get those that the
 * options of others (OPTIONS_OTHER) are about: these are kept, too, and sent in
 * each session that has not seen them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/lists.h"
#include "exporting.h"

enum { KEPT_MAX = 4096, RECORD_MAX = 4096 };

struct kept {
	struct scope scope;
	const struct shape *shape; /* held */
	enum options_kind kind;
	uint32_t length;
	uint32_t key_length; /* of the scope fields, in front */
	uint64_t put_ms;     /* monotonic */
	uint32_t *epoch;     /* of each sink, as it was put there */
	uint8_t *record;
};

static const struct exporting_options *
asked_for(const struct exporting *e, enum options_kind kind)
{
	static const enum exporting_option type[OPTIONS_KIND_COUNT] = {
		[OPTIONS_METERING_RELIABILITY] = EXPORTING_METERING_RELIABILITY,
		[OPTIONS_SELECTION_SEQUENCE] = EXPORTING_SELECTION_SEQUENCE,
		[OPTIONS_SELECTION_STATISTICS] = EXPORTING_SELECTION_STATISTICS,
	};

	for (unsigned i = 0; kind != OPTIONS_OTHER && i < e->conf.options_count;
	     i++)
		if (e->conf.options[i].type == type[kind])
			return &e->conf.options[i];
	return NULL;
}

bool
kept_wanted(const struct exporting *e, const struct batch *batch)
{
	return asked_for(e, batch->options) != NULL;
}

/* ---- found by scope fields ----------------------------------------------- */

struct kept_key {
	const struct batch *batch;
	const uint8_t *record;
	uint32_t key_length;
};

/* Octets of the scope fields, which stand in front. */
static uint32_t
key_length(const struct shape *shape, const uint8_t *record, uint32_t length)
{
	uint32_t last;
	const uint8_t *p = shape_field(shape, shape->scope_count - 1, record,
				       length, &last);

	return p ? (uint32_t)(p - record) + last : length;
}

static uint32_t
hash_of(uint64_t serial, const struct shape *shape, const uint8_t *key,
	uint32_t length)
{
	return (uint32_t)hash_bytes(key, length, serial ^ shape->hash);
}

static bool
kept_equal(const void *item, const void *key)
{
	const struct kept *k = item;
	const struct kept_key *wanted = key;

	return k->scope.serial == wanted->batch->scope->serial &&
	       k->shape == wanted->batch->shape &&
	       k->key_length == wanted->key_length &&
	       memcmp(k->record, wanted->record, k->key_length) == 0;
}

static struct kept *
find(const struct exporting *e, const struct batch *batch,
     const uint8_t *record, uint32_t length)
{
	const struct kept_key key = {batch, record,
				     key_length(batch->shape, record, length)};

	return table_find(&e->kept,
			  hash_of(batch->scope->serial, batch->shape, record,
				  key.key_length),
			  kept_equal, &key);
}

static void
kept_free(struct kept *k)
{
	if (!k)
		return;
	shape_release(k->shape);
	free(k->epoch);
	free(k->record);
	free(k);
}

static void
forget(struct exporting *e, struct kept *k)
{
	table_remove(
		&e->kept,
		hash_of(k->scope.serial, k->shape, k->record, k->key_length),
		k);
	kept_free(k);
}

/* ---- kept ---------------------------------------------------------------- */

static struct kept *
add(struct exporting *e, const struct batch *batch, const uint8_t *record,
    uint32_t length)
{
	struct kept *k;

	if (e->kept.count == KEPT_MAX || length > RECORD_MAX)
		return NULL;
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	k->record = malloc(length);
	k->epoch = calloc(e->conf.destination_count, sizeof(*k->epoch));
	if (!k->record || !k->epoch) {
		kept_free(k);
		return NULL;
	}
	k->shape = shape_hold(batch->shape);
	k->scope = *batch->scope;
	k->scope.template_shape = NULL; /* they hold no lists */
	k->kind = batch->options;
	k->length = length;
	k->key_length = key_length(batch->shape, record, length);
	memcpy(k->record, record, length);
	if (table_add(&e->kept,
		      hash_of(k->scope.serial, k->shape, record, k->key_length),
		      k)) {
		kept_free(k);
		return NULL;
	}
	return k;
}

/* Its scope fields are the same. */
static bool
renew(struct kept *k, const uint8_t *record, uint32_t length)
{
	uint8_t *room = k->record;

	if (length > RECORD_MAX)
		return false;
	if (length > k->length)
		room = realloc(k->record, length);
	if (!room)
		return false;
	memcpy(room, record, length);
	k->record = room;
	k->length = length;
	return true;
}

static void
note_put(struct exporting *e, struct kept *k, const bool *put)
{
	k->put_ms = e->now_ms;
	/* One that is down has it in its queue, for its next session. */
	for (unsigned i = 0; i < e->conf.destination_count; i++)
		k->epoch[i] =
			!put || put[i] ? e->sink[i].epoch + !e->sink[i].up : 0;
}

void
kept_batch(struct exporting *e, const struct batch *batch, const bool *put)
{
	uint32_t length;

	if (lists_in(batch->shape))
		return;
	for (uint32_t i = 0; i < batch->count; i++) {
		const uint8_t *record = batch_record(batch, i, &length);
		struct kept *k = find(e, batch, record, length);

		if (k && !renew(k, record, length)) {
			forget(e, k);
			k = NULL;
		} else if (!k) {
			k = add(e, batch, record, length);
		}
		/* Beyond the bound it is sent once, and not again. */
		if (k)
			note_put(e, k, put);
		else
			e->not_kept++;
	}
}

/* What waited has a domain and a shape, but no scope any more. */
bool
kept_has(const struct exporting *e, const struct batch *batch, uint32_t i)
{
	uint32_t length, at = 0;
	const uint8_t *record = batch_record(batch, i, &length);
	const struct kept *k;

	while ((k = table_next(&e->kept, &at)))
		if (k->shape == batch->shape && k->length == length &&
		    k->scope.domain == batch->scope->domain &&
		    memcmp(k->record, record, length) == 0)
			return true;
	return false;
}

void
kept_renew(struct exporting *e, const struct sink *s)
{
	struct kept *k;
	uint32_t at = 0;

	while ((k = table_next(&e->kept, &at)))
		k->epoch[s->index] = 0;
}

/* It has come once, so each time it goes again it comes by a split. */
static void
count_again(struct exporting *e)
{
	e->stage.ledger.split++;
	e->stage.ledger.exported++;
}

static void
put_again(struct exporting *e, const struct kept *k)
{
	struct domain *domain = domain_get(e, &k->scope);
	struct batch batch = {
		.shape = k->shape,
		.scope = &k->scope,
		.base = k->record,
		.count = 1,
		.stride = k->length,
		.export_ms = e->wall_ms,
		.received_ms = e->wall_ms,
		.options = k->kind,
	};

	for (unsigned i = 0; domain && i < e->conf.destination_count; i++) {
		struct taken taken = {0};

		if (!mode_takes_domain(e->sink[i].conf, k->scope.domain))
			continue;
		sink_put(&e->sink[i], domain, &batch, &taken);
		count_again(e);
	}
}

static bool
is_due(const struct exporting *e, const struct kept *k)
{
	const struct exporting_options *o = asked_for(e, k->kind);

	return o && o->timeout_ms && e->now_ms - k->put_ms >= o->timeout_ms;
}

void
kept_tick(struct exporting *e)
{
	struct kept *k;
	uint32_t at = 0;

	while ((k = table_next(&e->kept, &at))) {
		if (!is_due(e, k))
			continue;
		put_again(e, k);
		note_put(e, k, NULL);
	}
}

int
kept_open(struct sink *s)
{
	struct exporting *e = s->exporting;
	struct kept *k;
	uint32_t at = 0;

	while ((k = table_next(&e->kept, &at))) {
		struct domain *domain;
		struct channel *c;
		int r;

		if (k->epoch[s->index] == s->epoch ||
		    !mode_takes_domain(s->conf, k->scope.domain))
			continue;
		domain = domain_get(e, &k->scope);
		c = domain ? channel_get(s, domain) : NULL;
		if (c) {
			r = control_add_kept(s, c, k->shape, k->record,
					     k->length);
			if (r)
				return r;
			count_again(e);
		}
		k->epoch[s->index] = s->epoch;
	}
	return 0;
}

void
kept_scope_end(struct exporting *e, const struct scope *scope)
{
	struct kept *k;
	uint32_t at = 0;

	while ((k = table_next(&e->kept, &at)))
		if (k->scope.serial == scope->serial) {
			forget(e, k);
			at--;
		}
}

void
kept_fini(struct exporting *e)
{
	struct kept *k;
	uint32_t at = 0;

	while ((k = table_next(&e->kept, &at)))
		kept_free(k);
	table_fini(&e->kept);
}
