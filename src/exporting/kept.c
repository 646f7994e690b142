/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Options Data that the Metering and Selection Processes before this one make
 * (enum options_kind): selectors, their counts, packets that were ignored. They
 * come as records like any other and go on as such; but the latest of each is
 * kept, so that it can be sent again after its optionsTimeout, and at the
 * beginning of a session that has not seen it. What is the latest of what
 * follows from the scope fields of the record.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

	for (unsigned i = 0; i < e->conf.options_count; i++)
		if (e->conf.options[i].type == type[kind])
			return &e->conf.options[i];
	return NULL;
}

bool
kept_wanted(const struct exporting *e, const struct batch *batch)
{
	return asked_for(e, batch->options) != NULL;
}

static uint32_t
key_length(const struct shape *shape)
{
	uint32_t length = 0;

	for (uint16_t i = 0; i < shape->scope_count; i++)
		length += shape->field[i].length;
	return length;
}

static struct kept *
find(const struct exporting *e, const struct batch *batch,
     const uint8_t *record, uint32_t length)
{
	for (unsigned i = 0; i < e->kept_count; i++) {
		struct kept *k = e->kept[i];

		if (k->scope.serial == batch->scope->serial &&
		    k->shape == batch->shape && k->length == length &&
		    memcmp(k->record, record, k->key_length) == 0)
			return k;
	}
	return NULL;
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

static struct kept *
add(struct exporting *e, const struct batch *batch, uint32_t length)
{
	struct kept **list, *k;

	if (e->kept_count == KEPT_MAX || length > RECORD_MAX ||
	    batch->shape->variable)
		return NULL;
	list = realloc(e->kept, (e->kept_count + 1) * sizeof(*list));
	if (!list)
		return NULL;
	e->kept = list;
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
	k->key_length = key_length(batch->shape);
	return list[e->kept_count++] = k;
}

static void
note_put(struct exporting *e, struct kept *k)
{
	k->put_ms = e->now_ms;
	/* One that is down has it in its queue, for its next session. */
	for (unsigned i = 0; i < e->conf.destination_count; i++)
		k->epoch[i] = e->sink[i].epoch + !e->sink[i].up;
}

void
kept_batch(struct exporting *e, const struct batch *batch)
{
	uint32_t length;

	for (uint32_t i = 0; i < batch->count; i++) {
		const uint8_t *record = batch_record(batch, i, &length);
		struct kept *k = find(e, batch, record, length);

		if (!k)
			k = add(e, batch, length);
		/* Beyond the bound it is sent once, and not again. */
		if (!k)
			continue;
		memcpy(k->record, record, length);
		note_put(e, k);
	}
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
	for (unsigned n = 0; n < e->kept_count; n++) {
		struct kept *k = e->kept[n];

		if (!is_due(e, k))
			continue;
		put_again(e, k);
		note_put(e, k);
	}
}

int
kept_open(struct sink *s)
{
	struct exporting *e = s->exporting;

	for (unsigned n = 0; n < e->kept_count; n++) {
		struct kept *k = e->kept[n];
		struct domain *domain;
		struct channel *c;
		int r;

		if (k->epoch[s->index] == s->epoch)
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
	unsigned left = 0;

	for (unsigned i = 0; i < e->kept_count; i++) {
		if (e->kept[i]->scope.serial == scope->serial)
			kept_free(e->kept[i]);
		else
			e->kept[left++] = e->kept[i];
	}
	e->kept_count = left;
}

void
kept_fini(struct exporting *e)
{
	while (e->kept_count)
		kept_free(e->kept[--e->kept_count]);
	free(e->kept);
}
