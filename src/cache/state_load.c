/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A state file to rows. It is read twice: first for what is said behind the
 * flows, then for the flows. Where the fields are configured in another way
 * now, or there is no room for a flow, it is not kept, but exported as the file
 * has it, with the reason forced end; that takes as long as the next stages
 * need.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "state.h"

enum {
	STEP_US = 5000,
	FLOWS_MAX = UINT32_MAX, /* more have no number */
};

/* What is made of the records of a Template. */
struct inlet {
	const struct shape *shape; /* held: as it was */
	struct layout *layout;	   /* NULL: no rows */
	struct decoder *decoder;
	uint64_t present;
	const struct shape *plain; /* held: to export them; NULL: not yet */
	const struct shape *bare;  /* held: the fields alone; NULL: not yet */
	uint64_t flow_keys;
};

struct load {
	struct state *state;
	FILE *file;
	struct state_in in;
	uint32_t domain;
	bool head, end;
	uint64_t fingerprint, now_ms;
	uint64_t flows;	    /* as its end says */
	uint64_t seen;	    /* that are in it, and what is in its journal */
	uint64_t journaled; /* of these */
	uint64_t last_ms;   /* the time of the last record */
	bool overflow;	    /* more flows than there is room for */
	uint16_t last_id;   /* the greatest one of a Template */
	uint64_t left_seen; /* of which it says that they left */
	uint32_t number;    /* the greatest one */
	struct state_left left;
	uint8_t *done; /* bit i: flow i has a row, or has left */
	uint64_t at;   /* the next flow */
	struct inlet *inlet[UINT16_MAX + 1];
	/* Those to be exported as they are: */
	uint32_t count;
	uint32_t length; /* octets of records */
	uint32_t offset[BATCH_MAX + 1];
	uint8_t records[MESSAGE_MAX];
};

uint64_t
state_fingerprint(const struct cache *cache)
{
	uint64_t h = hash_u64(cache->type, cache->distribution);

	h = hash_u64(cache->distribution_ns, h);
	h = hash_u64(cache->biflow, h);
	for (unsigned i = 0; i < cache->column_count; i++) {
		const struct column *column = &cache->column[i];
		const struct cache_field *field = &column->field;

		h = hash_u64((uint64_t)field->ie->pen << 16 | field->ie->id, h);
		h = hash_u64((uint64_t)field->ie->type << 16 |
				     column_natural(column),
			     h);
		h = hash_u64((uint64_t)(uint16_t)field->prefix_length << 16 |
				     (uint64_t)field->key << 8 | column->merge,
			     h);
	}
	return h;
}

/* ---- the records of a set ------------------------------------------------ */

struct walk {
	const struct shape *shape;
	const uint8_t *p;
	uint32_t left, length;
};

static struct walk
walk_of(const struct shape *shape, const struct set *set)
{
	return (struct walk){shape, set->content, set->length, 0};
}

/* The next record, walk->length octets, or NULL. */
static const uint8_t *
next_record(struct walk *walk)
{
	int length = walk->left ? shape_record_length(walk->shape, walk->p,
						      walk->left)
				: 0;
	const uint8_t *p = walk->p;

	if (length <= 0)
		return NULL;
	walk->length = (uint32_t)length;
	walk->p += length;
	walk->left -= (uint32_t)length;
	return p;
}

/* What is known of a flow beside its values. */
struct meta {
	uint64_t first_ms, last_ms;
	uint8_t marks;
	uint32_t number;
};

static struct meta
meta_of(const uint8_t *record, uint32_t length)
{
	const uint8_t *p = record + length - STATE_META;

	return (struct meta){wire_get64(p), wire_get64(p + 8), p[16],
			     wire_get32(p + 17)};
}

/* ---- what is said behind the flows --------------------------------------- */

static void
scan_left(struct load *load, const struct shape *shape, const struct set *set)
{
	struct walk walk = walk_of(shape, set);
	const uint8_t *p;

	while ((p = next_record(&walk)))
		if (p[4] == STATE_GONE || p[4] == STATE_TOLD)
			state_left_add(&load->left, wire_get32(p), p[4]);
}

static void
scan_set(void *arg, const struct template *t, const struct set *set)
{
	struct load *load = arg;
	const struct state_shapes *shapes = &load->state->shapes;
	struct walk walk = walk_of(t->shape, set);
	const uint8_t *p;

	if (t->shape == shapes->left) {
		scan_left(load, t->shape, set);
	} else if (t->shape == shapes->head && (p = next_record(&walk))) {
		load->head = true;
		load->domain = load->in.domain;
		load->fingerprint = wire_get64(p + 1);
		load->now_ms = wire_get64(p + 9);
	} else if (t->shape == shapes->end && (p = next_record(&walk))) {
		load->end = true;
		load->flows = wire_get64(p + 1);
	} else if (state_is_flow(t->shape)) {
		while ((p = next_record(&walk)) && load->seen < FLOWS_MAX) {
			struct meta meta = meta_of(p, walk.length);

			load->seen++;
			load->journaled += (meta.marks & STATE_KIND) != 0;
			if (meta.number > load->number)
				load->number = meta.number;
			if (meta.last_ms > load->last_ms)
				load->last_ms = meta.last_ms;
		}
		if (t->id > load->last_id)
			load->last_id = t->id;
	}
}

/* ---- rows ---------------------------------------------------------------- */

static bool
is_done(const struct load *load, uint64_t at)
{
	return load->done[at / 8] >> (at % 8) & 1;
}

static void
set_done(struct load *load, uint64_t at)
{
	load->done[at / 8] |= (uint8_t)(1u << at % 8);
}

static void
inlet_free(struct inlet *inlet)
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

static struct inlet *
inlet_of(struct load *load, const struct template *t)
{
	struct inlet *inlet = load->inlet[t->id];

	if (inlet && inlet->shape == t->shape)
		return inlet;
	inlet_free(inlet);
	inlet = load->inlet[t->id] = calloc(1, sizeof(*inlet));
	if (!inlet)
		return NULL;
	inlet->shape = shape_hold(t->shape);
	inlet->flow_keys = t->flow_keys;
	/* Without memory for it no rows are made: they are exported. */
	inlet_fill(load, inlet, t);
	return inlet;
}

/* The clock of rows at that time, which is in the past. */
static uint32_t
row_time(const struct cache *cache, uint64_t time_ms, uint64_t now_ms)
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
	row->last = row_time(cache, meta->last_ms, now_ms);
	row->first = layout->interval_at
			     ? row->last
			     : row_time(cache, meta->first_ms, now_ms);
	row->saved = meta->number;
	row->flags = flags_of(meta->marks) | inlet->present;
	cache->rows++;
	cache->stage.ledger.held++;
	cache->stage.ledger.split++;
	skip_flow_ids(layout, row);
	return true;
}

static uint32_t
find_row(const struct layout *layout, const uint8_t *scratch)
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
	uint32_t number = find_row(layout, scratch);

	if (number)
		row_reset(layout, flow_table_row(&layout->table, number));
}

/* It has left, or there is a later state of it. */
static void
forget_row(struct layout *layout, const uint8_t *scratch)
{
	struct cache *cache = layout->cache;
	struct flow_table *t = &layout->table;
	uint32_t number = find_row(layout, scratch);
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

/* ---- the journal --------------------------------------------------------- */

static bool
make_bare(struct load *load, struct inlet *inlet)
{
	const struct shape *shape = inlet->shape;

	return inlet->bare ||
	       shape_get_marked(load->state->cache->shapes, shape->field,
				shape->mark,
				(uint16_t)(shape->count - STATE_META_FIELDS), 0,
				&inlet->bare) == 0;
}

/*
 * Where there is not room for them all: those before them have left by then, as
 * they did when these came.
 */
static void
merge_rows(struct load *load, struct plan *plan, uint32_t count)
{
	struct layout *layout = plan->layout;
	struct cache *cache = layout->cache;

	if (cache->max_flows - cache->rows >= count) {
		update_rows(cache, plan, layout->scratch, count);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *scratch = layout->scratch + (size_t)i * layout->stride;

		if (cache->rows < cache->max_flows ||
		    find_row(layout, scratch)) {
			update_rows(cache, plan, scratch, 1);
			continue;
		}
		load->overflow = true;
		cache->stage.ledger.split--;
		row_strings(layout, scratch, plan->present, var_release);
	}
}

/* For records of the fields alone; NULL: no memory. */
static struct plan *
replay_plan(struct load *load, struct inlet *inlet, struct batch *bare)
{
	struct plan *plan;

	if (!make_bare(load, inlet))
		return NULL;
	bare->shape = inlet->bare;
	plan = plan_get(load->state->cache, bare);
	return plan && plan->layout ? plan : NULL;
}

static void
release_rows(const struct plan *plan, uint32_t count)
{
	struct layout *layout = plan->layout;

	for (uint32_t i = 0; i < count; i++)
		row_strings(layout,
			    layout->scratch + (size_t)i * layout->stride,
			    plan->present, var_release);
}

/* Records come again, at the time when they came. */
static void
replay_batch(struct load *load, struct inlet *inlet, const struct batch *batch,
	     const struct meta *meta)
{
	struct cache *cache = load->state->cache;
	struct ledger *ledger = &cache->stage.ledger;
	uint64_t now_ms = cache->now_ms;
	uint64_t wall = cache->data_clock ? now_ms : clock_wall_ms();
	struct scope scope = cache->scope;
	struct batch bare = *batch;
	uint8_t bad[BATCH_MAX] = {0};
	struct plan *plan;

	scope.packets = meta->marks & STATE_PACKETS;
	bare.scope = &scope;
	ledger->split += batch->count;
	load->state->replayed += batch->count;
	plan = replay_plan(load, inlet, &bare);
	if (!plan) {
		ledger->lost[LOSS_NO_MEMORY] += batch->count;
		return;
	}
	if (decoder_run(plan->decoder, &bare, plan->layout->scratch,
			plan->layout->stride, bad)) {
		release_rows(plan, batch->count);
		ledger->lost[LOSS_LIMIT] += batch->count;
		return;
	}
	for (uint32_t i = 0; plan->layout->interval_at && i < batch->count; i++)
		row_put(plan->layout->scratch +
				(size_t)i * plan->layout->stride,
			plan->layout->interval_at, meta->first_ms * 1000000);
	cache->now_ms -= (uint32_t)((uint32_t)now_ms -
				    row_time(cache, meta->last_ms, wall));
	merge_rows(load, plan, batch->count);
	cache->now_ms = now_ms;
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

static void
restore_set(void *arg, const struct template *t, const struct set *set)
{
	struct load *load = arg;
	struct walk walk = walk_of(t->shape, set);
	uint64_t first = load->at;
	struct inlet *inlet;
	const uint8_t *p;

	if (!state_is_flow(t->shape))
		return;
	inlet = inlet_of(load, t);
	while (inlet && inlet->layout && load->at < load->seen) {
		struct batch batch = {.scope = &load->state->cache->scope};
		struct meta meta = next_batch(load, &walk, &batch);
		uint8_t kind = meta.marks & STATE_KIND;

		if (!batch.count)
			break;
		if (kind == STATE_IN)
			replay_batch(load, inlet, &batch, &meta);
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

/* All rows are there: from now on they wait for their time. */
static void
wait_all(struct cache *cache)
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

/* ---- what has no row ----------------------------------------------------- */

/* Their fields, and why they end. */
static void
make_plain(struct load *load, struct inlet *inlet)
{
	struct cache *cache = load->state->cache;
	struct field field[CACHE_FIELDS_MAX + STATE_META_FIELDS];
	struct field_mark mark[CACHE_FIELDS_MAX + STATE_META_FIELDS] = {{0}};
	uint16_t n = (uint16_t)(inlet->shape->count - STATE_META_FIELDS);

	for (uint16_t i = 0; i < n; i++) {
		field[i] = inlet->shape->field[i];
		mark[i] = shape_mark(inlet->shape, i);
	}
	field[n].ie = ie_find(cache->registry, 0, IE_flowEndReason);
	field[n].length = 1;
	if (shape_get_marked(cache->shapes, field, mark, (uint16_t)(n + 1), 0,
			     &inlet->plain) != 0)
		inlet->plain = NULL;
}

static void
forward(struct load *load, const struct inlet *inlet)
{
	struct cache *cache = load->state->cache;
	struct ledger *ledger = &cache->stage.ledger;
	const struct shape *plain = inlet ? inlet->plain : NULL;
	uint64_t now_ms = clock_wall_ms();
	struct batch batch = {
		.shape = plain,
		.scope = &cache->scope,
		.base = load->records,
		.count = load->count,
		.stride = plain && !plain->variable ? plain->min_length : 0,
		.export_ms = now_ms,
		.received_ms = cache->data_clock ? cache->now_ms : now_ms,
		.flow_keys = inlet ? inlet->flow_keys : 0,
	};

	if (!load->count)
		return;
	batch.offset = batch.stride ? NULL : load->offset;
	ledger->split += load->count;
	load->state->ended += load->count;
	state_told(load->state);
	if (plain) {
		ledger->exported += load->count;
		stage_forward(&cache->stage, &batch);
	} else {
		ledger->lost[LOSS_NO_MEMORY] += load->count;
	}
	load->count = load->length = 0;
}

static void
export_set(void *arg, const struct template *t, const struct set *set)
{
	struct load *load = arg;
	struct walk walk = walk_of(t->shape, set);
	struct inlet *inlet;
	const uint8_t *p;

	if (!state_is_flow(t->shape))
		return;
	inlet = inlet_of(load, t);
	if (inlet && !inlet->plain)
		make_plain(load, inlet);
	load->offset[0] = 0;
	while ((p = next_record(&walk)) && load->at < load->seen) {
		uint32_t length = walk.length - STATE_META;

		if (is_done(load, load->at++))
			continue;
		state_leaves_number(load->state,
				    meta_of(p, walk.length).number);
		memcpy(load->records + load->length, p, length);
		load->length += length;
		load->records[load->length++] = END_FORCED;
		load->offset[++load->count] = load->length;
		if (load->count == BATCH_MAX)
			forward(load, inlet);
	}
	forward(load, inlet);
}

bool
state_load_step(struct state *state)
{
	struct load *load = state->load;
	uint64_t until = state_clock_us() + STEP_US;

	do {
		if (stage_congested(&state->cache->stage))
			return false;
		if (load->at >= load->seen ||
		    !state_in_next(&load->in, export_set, load)) {
			state_load_free(load);
			state->load = NULL;
			return true;
		}
	} while (state_clock_us() < until);
	return false;
}

/* ---- the whole ----------------------------------------------------------- */

void
state_load_free(struct load *load)
{
	if (!load)
		return;
	for (uint32_t i = 0; i <= UINT16_MAX; i++)
		inlet_free(load->inlet[i]);
	state_in_close(&load->in);
	state_left_fini(&load->left);
	free(load->done);
	if (load->file)
		fclose(load->file);
	free(load);
}

/* From the beginning, until the end; the file has not changed meanwhile. */
static int
read_all(struct load *load, state_set_cb cb)
{
	struct state *state = load->state;
	struct cache *cache = state->cache;
	int rc;

	state_in_close(&load->in);
	rc = state_in_open(&load->in, load->file, &state->shapes,
			   cache->registry, cache->shapes);
	load->at = 0;
	while (rc == 0 && cb && state_in_next(&load->in, cb, load))
		;
	return rc;
}

/* A file that is no state, or of which the head is damaged, is kept aside. */
static void
put_aside(struct state *state)
{
	char *bad;

	if (asprintf(&bad, "%s.bad", state->path) < 0)
		return;
	log_warning("cache %s: %s has no state of a cache, or is damaged from "
		    "its beginning: it is %s now, and the cache begins empty",
		    state->cache->stage.name, state->path,
		    rename(state->path, bad) == 0 ? bad : "left alone");
	free(bad);
}

/* Where flows that leave are noted from now on. */
static void
open_again(struct state *state, const struct load *load)
{
	int fd = open(state->path, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)load->in.good) < 0) {
		int error = -errno;

		if (fd >= 0)
			close(fd);
		state_give_up(state, "appended to", error);
		return;
	}
	state_out_begin(state->file, fd, load->domain);
	state->file->sequence = load->in.sequence;
	state->file->octets = load->in.good;
	state->file->next_id =
		(uint16_t)(load->last_id + (load->last_id < UINT16_MAX));
	if (state->file->next_id < STATE_FLOW_ID)
		state->file->next_id = STATE_FLOW_ID;
	/* Journals of several runs are bounded together. */
	state->base = load->journaled ? 0 : load->in.good;
}

/* Flows that the file should have, but for its damage. */
static void
count_missing(struct state *state, const struct load *load)
{
	struct ledger *ledger = &state->cache->stage.ledger;
	uint64_t gone = load->left.count - load->left_seen;
	uint64_t missing = 0, seen = load->seen - load->journaled;

	state->damaged = load->in.damaged;
	if (load->end && load->flows > seen &&
	    load->flows - seen <= load->in.good / STATE_META)
		missing = load->flows - seen;
	missing = missing > gone ? missing - gone : 0;
	state->missing = missing;
	ledger->split += missing;
	ledger->lost[LOSS_MALFORMED] += missing;
}

/* Flows that are still to be exported. */
static uint64_t
count_rest(const struct load *load)
{
	uint64_t rest = 0;

	for (uint64_t i = 0; i < load->seen; i++)
		rest += !is_done(load, i);
	return rest;
}

static void
log_loaded(const struct state *state, const struct load *load, uint64_t rest)
{
	const char *name = state->cache->stage.name;

	log_notice("cache %s: %s: %" PRIu64 " flows go on", name, state->path,
		   state->restored);
	if (rest)
		log_notice("cache %s: %s: %" PRIu64 " flows are exported as "
			   "they were saved, as %s",
			   name, state->path, rest,
			   load->fingerprint != state_fingerprint(state->cache)
				   ? "the cache is configured otherwise now"
				   : "they can't go on");
	if (load->in.damaged || !load->end)
		log_warning("cache %s: %s is damaged: %s%" PRIu64
			    " flows are lost",
			    name, state->path,
			    load->end ? "" : "its end is missing, at least ",
			    state->missing);
}

/* A journal is for the cache that wrote it. */
static int
check_journal(const struct load *load, const char **error)
{
	if (!load->journaled)
		return 0;
	if (load->fingerprint != state_fingerprint(load->state->cache))
		*error = "it was killed with a cx:stateJournal, and has other "
			 "fields since: start and stop it once as it was";
	else if (load->overflow)
		*error = "it was killed with a cx:stateJournal, and has a "
			 "smaller maxFlows since: start and stop it once as it "
			 "was";
	return *error ? -EINVAL : 0;
}

static int
make_rows(struct load *load, const char **error)
{
	struct cache *cache = load->state->cache;
	int rc = check_journal(load, error);

	if (rc < 0)
		return rc;
	if (cache->data_clock)
		cache_follow(cache, load->now_ms > load->last_ms
					    ? load->now_ms
					    : load->last_ms);
	/* Numbers of flows in the file that is still to be read are below. */
	if (load->journaled)
		cache->flow_count += 1 << 24;
	cache->replaying = true;
	rc = read_all(load, restore_set);
	cache->replaying = false;
	plans_free(cache);
	wait_all(cache);
	load->state->restored = cache->stage.ledger.held;
	return rc < 0 ? rc : check_journal(load, error);
}

/* More than 0: there are flows that state_load_step exports. */
static int
load_flows(struct state *state, struct load *load, const char **error)
{
	int rc = read_all(load, scan_set);
	uint64_t rest;

	if (rc < 0)
		return rc;
	if (!load->head) {
		put_aside(state);
		return 0;
	}
	load->done = calloc(load->seen / 8 + 1, 1);
	if (!load->done)
		return -ENOMEM;
	rc = make_rows(load, error);
	if (rc < 0)
		return rc;
	state->number = load->number;
	state->journal_ends = load->journaled && !state->journal;
	if (state->journal_ends)
		state->journal = 1;
	count_missing(state, load);
	open_again(state, load);
	rest = count_rest(load);
	log_loaded(state, load, rest);
	rc = rest ? read_all(load, NULL) : 0;
	return rc == 0 && rest ? 1 : rc;
}

int
state_load(struct state *state, const char **error)
{
	struct load *load = calloc(1, sizeof(*load));
	int rc;

	if (!load)
		return -ENOMEM;
	load->state = state;
	load->file = fopen(state->path, "rbe");
	rc = load->file ? load_flows(state, load, error) : 0;
	if (!load->file && errno != ENOENT)
		rc = -errno;
	if (rc > 0)
		state->load = load;
	else
		state_load_free(load);
	return rc < 0 ? rc : 0;
}
