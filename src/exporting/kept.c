/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Options Data that has to be told again.
 *
 * What the Metering and Selection Processes before this one make (enum
 * options_kind): selectors, their counts, packets that were ignored. And what
 * others have told (OPTIONS_OTHER): types of elements, sampling, interfaces,
 * flow keys, anonymisation. They come as records like any other and go on as
 * such; but the latest of each is kept, so that it can be sent at the beginning
 * of a session that has not seen it. What is the latest of what follows from
 * the scope fields of the record.
 *
 * Those of our own stages are sent again after their optionsTimeout. Those of
 * others go again over UDP, where one may have been lost, as often as Options
 * Templates do (RFC 7011 section 8.4), unless the exporter has told them anew.
 *
 * When the scope ends, its options are forgotten; those about a Template also
 * when that is withdrawn. The bound is KEPT_MAX and KEPT_OCTETS.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/lists.h"
#include "exporting.h"

enum {
	KEPT_MAX = 65536,
	KEPT_OCTETS = 16 << 20,
	RECORD_MAX = 4096,
	/* Told again over UDP in one tick, and how often it is looked for. */
	BURST = 256,
	LOOK_MS = 1000,
};

/* When a destination was told. */
struct told_at {
	uint32_t epoch;
	uint64_t ms;	  /* monotonic */
	uint64_t segment; /* of its spool that has it, 0: none */
	bool queued;	  /* it waits, and so may not have been told yet */
};

struct kept {
	TAILQ_ENTRY(kept) next; /* in its domain */
	struct domain *in;
	uint64_t serial; /* of its scope */
	uint32_t domain; /* of that */
	enum options_kind kind;
	const struct shape *shape; /* held */
	/* That of the Template that it is about, held, or NULL. */
	const struct shape *about;
	uint32_t length, room;
	uint32_t key_length; /* of the scope fields, in front */
	uint64_t put_ms;     /* monotonic */
	struct told_at *at;  /* by destination */
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

	return k->serial == wanted->batch->scope->serial &&
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
	shape_release(k->about);
	free(k->at);
	free(k->record);
	free(k);
}

static uint32_t
cost(const struct exporting *e, uint32_t length)
{
	return (uint32_t)(sizeof(struct kept) +
			  e->conf.destination_count * sizeof(struct told_at)) +
	       length;
}

static void
forget(struct exporting *e, struct kept *k)
{
	table_remove(&e->kept,
		     hash_of(k->serial, k->shape, k->record, k->key_length), k);
	e->kept_octets -= cost(e, k->room);
	e->kept_own -= k->kind != OPTIONS_OTHER;
	e->kept_about -= k->about != NULL;
	TAILQ_REMOVE(&k->in->kept, k, next);
	k->in->kept_octets -= k->room;
	kept_free(k);
}

/* ---- kept ---------------------------------------------------------------- */

/* The shape that a Template id in a record of others has. */
static const struct shape *
about(const struct batch *batch, const uint8_t *record, uint32_t length)
{
	uint64_t id = 0;

	if (!batch->scope->template_shape ||
	    !shape_uint(batch->shape, lists_template_id(batch->shape, 0),
			record, length, &id))
		return NULL;
	return batch->scope->template_shape(batch->scope, (uint16_t)id);
}

static struct kept *
add(struct exporting *e, struct domain *domain, const struct batch *batch,
    const uint8_t *record, uint32_t length)
{
	const struct shape *template = about(batch, record, length);
	struct kept *k;

	if (e->kept.count == KEPT_MAX || length > RECORD_MAX ||
	    e->kept_octets + cost(e, length) > KEPT_OCTETS)
		return NULL;
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	k->record = malloc(length);
	k->at = calloc(e->conf.destination_count, sizeof(*k->at));
	if (!k->record || !k->at) {
		kept_free(k);
		return NULL;
	}
	k->shape = shape_hold(batch->shape);
	k->about = template ? shape_hold(template) : NULL;
	k->serial = batch->scope->serial;
	k->domain = batch->scope->domain;
	k->kind = batch->options;
	k->length = k->room = length;
	k->key_length = key_length(batch->shape, record, length);
	memcpy(k->record, record, length);
	if (table_add(&e->kept,
		      hash_of(k->serial, k->shape, record, k->key_length), k)) {
		kept_free(k);
		return NULL;
	}
	e->kept_octets += cost(e, length);
	e->kept_own += k->kind != OPTIONS_OTHER;
	e->kept_about += k->about != NULL;
	k->in = domain;
	TAILQ_INSERT_TAIL(&domain->kept, k, next);
	domain->kept_octets += length;
	domain->kept_version++;
	return k;
}

/* Its scope fields are the same; false: it must be kept anew. */
static bool
renew(const struct exporting *e, struct kept *k, const struct batch *batch,
      const uint8_t *record, uint32_t length)
{
	if (length > k->room || k->about != about(batch, record, length))
		return false;
	if (length == k->length && memcmp(k->record, record, length) == 0)
		return true;
	memcpy(k->record, record, length);
	k->length = length;
	k->in->kept_version++;
	for (unsigned i = 0; i < e->conf.destination_count; i++)
		k->at[i].segment = 0;
	return true;
}

static void
note_put(struct exporting *e, struct kept *k, const bool *put)
{
	k->put_ms = e->now_ms;
	/* One that is down has it in its queue, for its next session. */
	for (unsigned i = 0; i < e->conf.destination_count; i++) {
		bool had = !put || put[i];

		k->at[i].epoch = had ? e->sink[i].epoch + !e->sink[i].up : 0;
		k->at[i].ms = e->now_ms;
		k->at[i].queued = had && !e->sink[i].up;
	}
}

/* Records with lists, or about several Templates, are sent once. */
static bool
can_keep(const struct shape *shape)
{
	return !lists_in(shape) && lists_template_id(shape, 1) < 0;
}

void
kept_batch(struct exporting *e, struct domain *domain,
	   const struct batch *batch, const bool *put)
{
	uint32_t length;

	if (!can_keep(batch->shape))
		return;
	for (uint32_t i = 0; i < batch->count; i++) {
		const uint8_t *record = batch_record(batch, i, &length);
		struct kept *k = find(e, batch, record, length);

		if (k && !renew(e, k, batch, record, length)) {
			forget(e, k);
			k = NULL;
		}
		if (!k)
			k = add(e, domain, batch, record, length);
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
		    k->domain == batch->scope->domain &&
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
		k->at[s->index].epoch = 0;
}

/* It has come once, so each time it goes again it comes by a split. */
static void
count_again(struct exporting *e)
{
	e->stage.ledger.split++;
	e->stage.ledger.exported++;
}

/* The Template of this shape, whose id the record gets; NULL: there is none. */
static struct out_template *
put_about(struct channel *c, const struct shape *shape,
	  const struct shape *about, uint8_t *record, uint32_t length)
{
	struct out_template *t = channel_template_own(c, about);
	uint32_t octets;
	const uint8_t *at = shape_field(shape, lists_template_id(shape, 0),
					record, length, &octets);

	if (t && t->too_long)
		t = NULL;
	if (at)
		wire_put16(record + (at - record), t ? t->id : ID_UNKNOWN);
	return t;
}

/* That of our records, which may tell who exported them. */
static const struct shape *
about_shape(struct exporting *e, const struct kept *k)
{
	const struct shape *wider = identity_shape(e, k->in, k->about);

	return wider ? wider : k->about;
}

/* In a control message, behind the Template that it is about. 0 or -EAGAIN. */
static int
tell_record(struct sink *s, struct channel *c, const struct shape *shape,
	    const struct shape *about, const uint8_t *record, uint32_t length)
{
	uint8_t copy[RECORD_MAX];
	struct out_template *t;
	int r = 0;

	if (length > sizeof(copy))
		return 0;
	memcpy(copy, record, length);
	t = about ? put_about(c, shape, about, copy, length) : NULL;
	if (t && control_is_due(s, t))
		r = control_add_template(s, t);
	if (r == 0)
		r = control_add_kept(s, c, shape, copy, length);
	if (r)
		return r;
	count_again(s->exporting);
	return 0;
}

/* To one destination. 0 or -EAGAIN. */
static int
tell(struct sink *s, struct kept *k)
{
	struct exporting *e = s->exporting;
	struct channel *c = channel_get(s, k->in);
	int r = c ? tell_record(s, c, k->shape,
				k->about ? about_shape(e, k) : NULL, k->record,
				k->length)
		  : 0;

	if (r)
		return r;
	k->at[s->index].epoch = s->epoch;
	k->at[s->index].ms = e->now_ms;
	k->at[s->index].queued = false;
	return 0;
}

int
kept_store(struct sink *s, struct channel *c, uint64_t segment, bool all,
	   kept_put put, void *arg)
{
	struct kept *k;
	uint8_t record[RECORD_MAX];

	TAILQ_FOREACH(k, &c->domain->kept, next)
	{
		struct told_at *at = &k->at[s->index];
		struct out_template *t = NULL;
		int r;

		if (!all && at->segment == segment)
			continue;
		memcpy(record, k->record, k->length);
		if (k->about)
			t = put_about(c, k->shape, about_shape(s->exporting, k),
				      record, k->length);
		r = put(arg, k->shape, record, k->length, t);
		if (r)
			return r;
		at->segment = segment;
	}
	return 0;
}

/* Is it about what this record is about? Ids of Templates may be others. */
static bool
same_scope(const struct kept *k, const struct shape *shape,
	   const struct shape *about, const uint8_t *record, uint32_t length)
{
	uint32_t key;

	if (k->shape != shape)
		return false;
	if (about)
		return k->about == about;
	key = key_length(shape, record, length);
	return k->key_length == key && memcmp(k->record, record, key) == 0;
}

int
kept_tell_stored(struct sink *s, struct channel *c, const struct shape *shape,
		 const struct shape *about, const uint8_t *record,
		 uint32_t length)
{
	struct kept *k;

	TAILQ_FOREACH(k, &c->domain->kept, next)
	if (same_scope(k, shape, about, record, length))
		return k->at[s->index].queued ? tell(s, k) : 0;
	return tell_record(s, c, shape, about, record, length);
}

/* Of our own stages, to all. */
static void
put_again(struct exporting *e, const struct kept *k)
{
	const struct scope scope = {.serial = k->serial, .domain = k->domain};
	struct domain *domain = domain_find(e, &scope);
	struct batch batch = {
		.shape = k->shape,
		.scope = &scope,
		.base = k->record,
		.count = 1,
		.stride = k->length,
		.export_ms = e->wall_ms,
		.received_ms = e->wall_ms,
		.options = k->kind,
	};

	for (unsigned i = 0; domain && i < e->conf.destination_count; i++) {
		struct taken taken = {0};

		if (!mode_takes_domain(e->sink[i].conf, k->domain))
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

	while (e->kept_own && (k = table_next(&e->kept, &at))) {
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
		int r = k->at[s->index].epoch == s->epoch ||
					!mode_takes_domain(s->conf, k->domain)
				? 0
				: tell(s, k);

		if (r)
			return r;
	}
	return 0;
}

int
kept_refresh(struct sink *s, uint64_t now_ms)
{
	uint64_t ms = s->conf->options_template_refresh_ms;
	struct kept *k;
	uint32_t at = 0, burst = 0;

	if (s->conf->kind != EXPORTING_UDP || !ms || now_ms < s->kept_ms)
		return 0;
	while ((k = table_next(&s->exporting->kept, &at))) {
		int r;

		if (k->kind != OPTIONS_OTHER ||
		    now_ms - k->at[s->index].ms < ms ||
		    !mode_takes_domain(s->conf, k->domain))
			continue;
		if (burst++ == BURST)
			return 0;
		r = tell(s, k);
		if (r)
			return r;
	}
	s->kept_ms = now_ms + LOOK_MS;
	return 0;
}

void
kept_template_end(struct exporting *e, const struct scope *scope,
		  const struct shape *shape)
{
	struct kept *k;
	uint32_t at = 0;

	/* Templates may come and go quickly. */
	while (e->kept_about && (k = table_next(&e->kept, &at)))
		if (k->serial == scope->serial && k->about == shape) {
			forget(e, k);
			at--;
		}
}

void
kept_scope_end(struct exporting *e, const struct scope *scope)
{
	struct kept *k;
	uint32_t at = 0;

	while ((k = table_next(&e->kept, &at)))
		if (k->serial == scope->serial) {
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
