/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The flows of a state file to rows, in the order of the file. */
#include <stdlib.h>

#include "conflux/clock.h"
#include "state_load.h"

void
load_inlet_free(struct inlet *inlet)
{
	if (!inlet)
		return;
	decoder_free(inlet->decoder);
	shape_release(inlet->shape);
	shape_release(inlet->plain);
	shape_release(inlet->bare);
	free(inlet);
}

/*
 * The columns that the fields are of, in the same order. source[i] is of column
 * i. False: other fields than this cache writes.
 */
static bool
find_columns(const struct cache *cache, const struct template *t,
	     struct source *source, uint64_t keys[2])
{
	const struct shape *shape = t->shape;
	uint16_t count = (uint16_t)(shape->count - STATE_META_FIELDS);
	unsigned i = 0;

	for (uint16_t f = 0; f < count; f++, i++) {
		const struct field *field = &shape->field[f];
		bool key = f < 64 && t->flow_keys >> f & 1;

		for (; i < cache->column_count; i++) {
			const struct column *column = &cache->column[i];

			if (column->field.ie == field->ie &&
			    !column_is_set_late(column) &&
			    (f >= 64 || column->field.key == key))
				break;
		}
		if (i == cache->column_count ||
		    field->length != column_natural(&cache->column[i]))
			return false;
		source[i] = (struct source){.kind = SOURCE_FIELD,
					    .field = f,
					    .init = SOURCE_NO_FIELD};
		if (cache->column[i].field.key)
			bit_set(keys, i);
	}
	return true;
}

static int
inlet_fill(struct load *load, struct inlet *inlet, const struct template *t)
{
	struct cache *cache = load->state->cache;
	struct source source[CACHE_FIELDS_MAX] = {{0}};
	uint64_t keys[2] = {0, 0};
	struct layout *layout;
	int rc;

	if (load->fingerprint != state_fingerprint(cache) ||
	    !find_columns(cache, t, source, keys))
		return 0;
	plan_learn_marks(cache, t->shape, source);
	rc = layout_get(cache, keys, &layout);
	if (rc == 0)
		rc = decoder_new(t->shape, cache->strings, &inlet->decoder);
	for (unsigned i = 0; rc == 0 && i < cache->column_count; i++) {
		if (source[i].kind == SOURCE_NONE)
			continue;
		rc = decoder_add(inlet->decoder, &layout->slot[i], &source[i]);
		if (!cache->column[i].field.key)
			inlet->present |= ROW_BIT(cache->column[i].bit);
	}
	if (rc == 0)
		rc = decoder_finish(inlet->decoder);
	if (rc == 0)
		inlet->layout = layout;
	return rc;
}

struct inlet *
load_inlet(struct load *load, const struct template *t)
{
	struct inlet *inlet = load->inlet[t->id];

	if (inlet && inlet->shape == t->shape)
		return inlet;
	load_inlet_free(inlet);
	inlet = load->inlet[t->id] = calloc(1, sizeof(*inlet));
	if (!inlet)
		return NULL;
	inlet->shape = shape_hold(t->shape);
	inlet->flow_keys = t->flow_keys;
	/* Without memory for it no rows are made: they are exported. */
	inlet_fill(load, inlet, t);
	return inlet;
}

uint32_t
load_row_time(const struct cache *cache, uint64_t time_ms, uint64_t now_ms)
{
	uint64_t age = now_ms > time_ms ? now_ms - time_ms : 0;

	if (age > INT32_MAX)
		age = INT32_MAX;
	if (age > cache->now_ms)
		age = cache->now_ms;
	return (uint32_t)(cache->now_ms - age);
}

static uint64_t
flags_of(uint8_t marks)
{
	uint64_t flags = ROW_LIVE | ROW_SAVED;

	if (marks & STATE_FIN_FORWARD)
		flags |= ROW_FIN_FORWARD;
	if (marks & STATE_FIN_REVERSE)
		flags |= ROW_FIN_REVERSE;
	if (marks & STATE_CLOSING)
		flags |= ROW_CLOSING;
	if (marks & STATE_DIRTY)
		flags |= ROW_DIRTY;
	return flags;
}

/* The numbers that the cache gives to flows go on behind those. */
static void
skip_flow_ids(const struct layout *layout, const struct row *row)
{
	struct cache *cache = layout->cache;

	for (unsigned i = 0; i < cache->column_count; i++) {
		const struct column *column = &cache->column[i];
		uint64_t id;

		if (!column->id || !(row->flags & ROW_BIT(column->bit)))
			continue;
		id = wire_get64((const uint8_t *)row + layout->slot[i].offset) &
		     (((uint64_t)1 << 40) - 1);
		if (id > cache->flow_count)
			cache->flow_count = id;
	}
}

/* False: there is no room, or such a flow already. */
static bool
add_row(const struct inlet *inlet, const uint8_t *scratch,
	const struct meta *meta, uint64_t now_ms)
{
	struct layout *layout = inlet->layout;
	struct cache *cache = layout->cache;
	struct flow_table *t = &layout->table;
	uint32_t hash, number;
	bool reverse = false;
	struct row *row;

	if (cache->rows >= cache->max_flows ||
	    flow_table_find(t, scratch, layout->stride, 1, &hash, &number,
			    &reverse) == 0 ||
	    flow_table_add(t, scratch, hash, &number) != 0)
		return false;
	row = flow_table_row(t, number);
	memcpy((uint8_t *)row + ROW_KEY + t->key_length,
	       scratch + ROW_KEY + t->key_length,
	       layout->row_size - ROW_KEY - t->key_length);
	row->last = load_row_time(cache, meta->last_ms, now_ms);
	row->first = layout->interval_at
			     ? row->last
			     : load_row_time(cache, meta->first_ms, now_ms);
	row->saved = meta->number;
	row->flags = flags_of(meta->marks) | inlet->present;
	cache->rows++;
	cache->stage.ledger.held++;
	cache->stage.ledger.split++;
	skip_flow_ids(layout, row);
	return true;
}

uint32_t
load_find(const struct layout *layout, const uint8_t *scratch)
{
	uint32_t hash, number = 0;
	bool reverse = false;

	flow_table_find(&layout->table, scratch, layout->stride, 1, &hash,
			&number, &reverse);
	return number;
}

/* What has been told already of a flow that is still there. */
static void
forget_told(struct layout *layout, const uint8_t *scratch)
{
	uint32_t number = load_find(layout, scratch);

	if (number)
		row_reset(layout, flow_table_row(&layout->table, number));
}

/* It has left, or there is a later state of it. */
static void
forget_row(struct layout *layout, const uint8_t *scratch)
{
	struct cache *cache = layout->cache;
	struct flow_table *t = &layout->table;
	uint32_t number = load_find(layout, scratch);
	const struct row *row;

	if (!number)
		return;
	row = flow_table_row(t, number);
	flow_table_remove(t, number);
	row_strings(layout, (const uint8_t *)row, row->flags & ROW_PRESENT,
		    var_release);
	flow_table_free_row(t, number);
	cache->rows--;
	cache->stage.ledger.held--;
	cache->stage.ledger.split--;
}

static bool
restore_one(struct load *load, struct inlet *inlet, uint8_t *scratch,
	    const struct meta *meta, uint64_t now_ms)
{
	struct layout *layout = inlet->layout;
	uint8_t what = state_left_find(&load->left, meta->number);

	if (what == STATE_GONE || meta->marks & STATE_RETIRED)
		return false;
	if (layout->interval_at)
		row_put(scratch, layout->interval_at, meta->first_ms * 1000000);
	if (load->journaled)
		forget_row(layout, scratch);
	if (!add_row(inlet, scratch, meta, now_ms))
		return false;
	if (what == STATE_TOLD)
		forget_told(layout, scratch);
	return true;
}

/* Rows of the inlet's layout. */
static void
restore_batch(struct load *load, struct inlet *inlet, const struct batch *batch,
	      uint8_t kind)
{
	struct layout *layout = inlet->layout;
	struct cache *cache = layout->cache;
	uint64_t now_ms = cache->data_clock ? cache->now_ms : clock_wall_ms();
	uint8_t bad[BATCH_MAX] = {0};
	uint32_t length;

	for (uint32_t i = 0; i < batch->count; i++)
		memcpy(layout->scratch + (size_t)i * layout->stride,
		       layout->neutral, layout->row_size);
	if (!decoder_run(inlet->decoder, batch, layout->scratch, layout->stride,
			 bad))
		memset(bad, 0, sizeof(bad));
	for (uint32_t i = 0; i < batch->count; i++) {
		uint8_t *scratch = layout->scratch + (size_t)i * layout->stride;
		const uint8_t *record = batch_record(batch, i, &length);
		struct meta meta = meta_of(record, length);

		if (layout->interval_at)
			row_put(scratch, layout->interval_at,
				meta.first_ms * 1000000);
		if (!bad[i] && kind == 0 &&
		    restore_one(load, inlet, scratch, &meta, now_ms)) {
			set_done(load, load->at + i);
			continue;
		}
		if (!bad[i] && kind == STATE_OUT)
			forget_row(layout, scratch);
		if (!bad[i] && kind == STATE_KIND)
			forget_told(layout, scratch);
		row_strings(layout, scratch, inlet->present, var_release);
	}
}

/* ---- all flows, in their order ------------------------------------------- */

/* Of records that leave no more to do; before they would be exported. */
static void
note_left(struct load *load, uint64_t at, const struct meta *meta)
{
	uint8_t what = state_left_find(&load->left, meta->number);

	if (meta->marks & STATE_KIND) {
		set_done(load, at);
		return;
	}
	load->left_seen += what != 0;
	if (is_done(load, at))
		return;
	if (what || !(meta->marks & STATE_DIRTY))
		set_done(load, at);
}

/* Those that are treated alike, and came at the same time. */
static bool
are_alike(const struct meta *a, const struct meta *b)
{
	if ((a->marks & STATE_KIND) != (b->marks & STATE_KIND))
		return false;
	return (a->marks & STATE_KIND) != STATE_IN ||
	       (a->last_ms == b->last_ms && a->first_ms == b->first_ms &&
		a->marks == b->marks);
}

/* The next records that are alike; their first one's meta. */
static struct meta
next_batch(struct load *load, struct walk *walk, struct batch *batch)
{
	struct meta first = {0};
	struct walk ahead = *walk;
	const uint8_t *p;

	batch->base = walk->p;
	batch->shape = walk->shape;
	load->offset[0] = 0;
	while (batch->count < BATCH_MAX && (p = next_record(&ahead))) {
		struct meta meta = meta_of(p, ahead.length);

		if (batch->count == 0)
			first = meta;
		else if (!are_alike(&first, &meta))
			break;
		*walk = ahead;
		load->offset[++batch->count] =
			(uint32_t)(walk->p - batch->base);
	}
	batch->stride = walk->shape->variable ? 0 : walk->shape->min_length;
	batch->offset = batch->stride ? NULL : load->offset;
	return first;
}

void
load_rows(void *arg, const struct template *t, const struct set *set)
{
	struct load *load = arg;
	struct walk walk = walk_of(t->shape, set);
	uint64_t first = load->at;
	struct inlet *inlet;
	const uint8_t *p;

	if (!state_is_flow(t->shape))
		return;
	inlet = load_inlet(load, t);
	while (inlet && inlet->layout && load->at < load->seen) {
		struct batch batch = {.scope = &load->state->cache->scope};
		struct meta meta = next_batch(load, &walk, &batch);
		uint8_t kind = meta.marks & STATE_KIND;

		if (!batch.count)
			break;
		if (kind == STATE_IN)
			load_replay(load, inlet, &batch, &meta);
		else
			restore_batch(load, inlet, &batch, kind);
		load->at += batch.count;
	}
	walk = walk_of(t->shape, set);
	for (load->at = first;
	     (p = next_record(&walk)) && load->at < load->seen; load->at++) {
		struct meta meta = meta_of(p, walk.length);

		note_left(load, load->at, &meta);
	}
}

void
load_wait_all(struct cache *cache)
{
	for (unsigned i = 0; i < cache->layout_count; i++) {
		struct layout *layout = cache->layout[i];

		for (uint32_t n = 1; n < layout->table.used; n++) {
			const struct row *row =
				flow_table_row(&layout->table, n);

			if (!(row->flags & ROW_LIVE))
				continue;
			if (cache->type != CACHE_PERMANENT)
				row_wait(layout, n);
			if (row->flags & ROW_CLOSING)
				closing_add(cache, layout, n);
		}
	}
}
