/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows leave: by their timeouts, at the end of an interval, at the end of
 * TCP connections, for lack of room, and all of them at the end. They are
 * gathered by layout and by the values they have, encoded together and handed
 * on.
 */
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "state.h"

/* Rows that are fetched ahead of their export. */
enum { AHEAD = 12 };

struct emit {
	uint64_t present;
	struct encoder *encoder;
	uint64_t flow_keys;
	uint32_t count;
	const uint8_t *row[BATCH_MAX];
	uint32_t number[BATCH_MAX]; /* 0: not of the table */
	bool keep[BATCH_MAX];
};

/* Is it in the records of flows with these values? */
static bool
is_told(const struct column *column, uint64_t present)
{
	return column->field.key || column_is_set_late(column) ||
	       present & ROW_BIT(column->bit);
}

static struct emit *
emit_new(struct layout *layout, uint64_t present)
{
	struct cache *cache = layout->cache;
	struct slot slot[CACHE_FIELDS_MAX];
	struct emit *emit = calloc(1, sizeof(*emit));
	unsigned count = 0;

	if (!emit)
		return NULL;
	emit->present = present;
	for (unsigned i = 0; i < cache->column_count; i++) {
		const struct column *column = &cache->column[i];

		if (!bit_test(layout->slots, i) || !is_told(column, present))
			continue;
		if (column->field.key && count < 64)
			emit->flow_keys |= (uint64_t)1 << count;
		slot[count++] = layout->slot[i];
	}
	if (count == 0 || encoder_new(slot, count, cache->strings,
				      cache->shapes, &emit->encoder) != 0) {
		free(emit);
		return NULL;
	}
	return emit;
}

void
row_reset(const struct layout *layout, struct row *head)
{
	const struct cache *cache = layout->cache;

	head->flags &= ~ROW_DIRTY;
	for (unsigned c = 0; c < cache->column_count; c++) {
		const struct column *column = &cache->column[c];
		const struct slot *slot = &layout->slot[c];
		uint32_t handle;

		if (column->field.key || column->total ||
		    column_is_set_late(column) || column->id)
			continue;
		if (slot->kind == SLOT_VAR &&
		    (head->flags & ROW_BIT(column->bit))) {
			memcpy(&handle, (uint8_t *)head + slot->offset, 4);
			var_release(cache->strings, handle);
		}
		memcpy((uint8_t *)head + slot->offset,
		       layout->neutral + slot->offset, slot->width);
		head->flags &= ~(ROW_BIT(column->bit));
	}
}

/* After a row was encoded, or could not be. */
static void
row_done(struct layout *layout, const struct emit *emit, uint32_t i)
{
	struct cache *cache = layout->cache;
	struct row *head;

	if (!emit->number[i])
		return;
	head = (struct row *)(void *)(uintptr_t)emit->row[i];
	if (!emit->keep[i]) {
		row_strings(layout, emit->row[i], emit->present, var_release);
		/* In the wheel it is waited for; else it is free at once. */
		if (cache->type == CACHE_PERMANENT) {
			flow_table_free_row(&layout->table, emit->number[i]);
			cache->rows--;
		}
		return;
	}
	row_reset(layout, head);
}

/* Their state file tells it first: no flow is exported twice. */
static void
leave(const struct layout *layout, const struct emit *emit, uint32_t at,
      uint32_t count)
{
	struct state *state = layout->cache->state;

	for (uint32_t i = at; i < at + count; i++)
		if (emit->number[i])
			state_leaves(state, layout, emit->number[i],
				     emit->keep[i]);
	state_told(state);
}

static void
emit_flush(struct layout *layout, struct emit *emit)
{
	struct cache *cache = layout->cache;
	uint64_t wall_ms = clock_wall_ms();
	uint32_t at = 0;

	while (at < emit->count) {
		struct batch batch = {
			.scope = &cache->scope,
			.export_ms = wall_ms,
			.received_ms = cache->data_clock ? cache->now_ms
							 : wall_ms,
			.flow_keys = emit->flow_keys,
		};
		uint32_t done = encoder_run(emit->encoder, emit->row + at,
					    emit->count - at, cache->wire,
					    cache->offset, &batch);

		if (cache->state)
			leave(layout, emit, at, done ? done : 1);
		if (done) {
			cache->stage.ledger.exported += done;
			stage_forward(&cache->stage, &batch);
		} else {
			cache->stage.ledger.lost[LOSS_TOO_LONG]++;
			done = 1;
		}
		for (uint32_t i = at; i < at + done; i++)
			row_done(layout, emit, i);
		at += done;
	}
	emit->count = 0;
}

static struct emit *
emit_for(struct layout *layout, uint64_t present)
{
	struct emit *emit;

	for (unsigned i = 0; i < layout->emit_count; i++)
		if (layout->emit[i]->present == present)
			return layout->emit[i];
	if (layout->emit_count == EMITS_MAX) {
		emit = layout->emit[--layout->emit_count];
		emit_flush(layout, emit);
		encoder_free(emit->encoder);
		free(emit);
	}
	emit = emit_new(layout, present);
	if (emit)
		layout->emit[layout->emit_count++] = emit;
	return emit;
}

/* Flows of records that have not one of the cache's fields. */
static bool
says_nothing(const struct layout *layout, uint64_t present)
{
	const struct cache *cache = layout->cache;

	for (unsigned i = 0; i < cache->column_count; i++)
		if (bit_test(layout->slots, i) &&
		    is_told(&cache->column[i], present))
			return false;
	return true;
}

static void
emit_add(struct layout *layout, uint64_t present, uint8_t *row, uint32_t number,
	 bool keep)
{
	struct emit *emit = emit_for(layout, present);

	if (!emit) {
		struct ledger *ledger = &layout->cache->stage.ledger;
		struct emit lost = {.present = present, .count = 1};

		if (says_nothing(layout, present))
			ledger->filtered++;
		else
			ledger->lost[LOSS_NO_MEMORY]++;
		lost.row[0] = row;
		lost.number[0] = number;
		lost.keep[0] = keep;
		if (layout->cache->state)
			leave(layout, &lost, 0, 1);
		row_done(layout, &lost, 0);
		return;
	}
	emit->row[emit->count] = row;
	emit->number[emit->count] = number;
	emit->keep[emit->count] = keep;
	if (++emit->count == BATCH_MAX)
		emit_flush(layout, emit);
}

static void
set_reason(struct layout *layout, uint8_t *row, enum end_reason reason)
{
	struct cache *cache = layout->cache;

	for (unsigned i = 0; i < cache->column_count; i++) {
		if (cache->column[i].reason)
			row[layout->slot[i].offset] = (uint8_t)reason;
		/* 1: the forward direction is that of who began. */
		if (cache->column[i].initiator)
			row[layout->slot[i].offset] = 1;
	}
}

void
emit_row(struct layout *layout, uint32_t number, enum end_reason reason,
	 bool keep)
{
	struct cache *cache = layout->cache;
	struct flow_table *t = &layout->table;
	struct row *head = flow_table_row(t, number);

	set_reason(layout, (uint8_t *)head, reason);
	if (!keep) {
		flow_table_remove(t, number);
		head->flags = (head->flags & ~ROW_LIVE) | ROW_DEAD;
		cache->stage.ledger.held--;
	} else {
		cache->stage.ledger.split++; /* it stays, and is exported */
	}
	emit_add(layout, head->flags & ROW_PRESENT, (uint8_t *)head, number,
		 keep);
}

void
emit_scratch(struct layout *layout, uint8_t *rows, uint32_t count,
	     uint64_t present)
{
	for (uint32_t i = 0; i < count; i++)
		emit_add(layout, present, rows + (size_t)i * layout->stride, 0,
			 false);
	for (unsigned i = 0; i < layout->emit_count; i++)
		emit_flush(layout, layout->emit[i]);
	for (uint32_t i = 0; i < count; i++)
		row_strings(layout, rows + (size_t)i * layout->stride, present,
			    var_release);
}

void
emit_all(struct cache *cache)
{
	for (unsigned l = 0; l < cache->layout_count; l++)
		for (unsigned i = 0; i < cache->layout[l]->emit_count; i++)
			emit_flush(cache->layout[l], cache->layout[l]->emit[i]);
}

void
emit_free(struct layout *layout)
{
	for (unsigned i = 0; i < layout->emit_count; i++) {
		encoder_free(layout->emit[i]->encoder);
		free(layout->emit[i]);
	}
	layout->emit_count = 0;
}

/* ---- expiry ------------------------------------------------------------- */

/* When a flow is to leave, and why. UINT64_MAX: never. */
static uint64_t
row_deadline(const struct cache *cache, const struct row *head,
	     enum end_reason *reason)
{
	uint32_t now = (uint32_t)cache->now_ms;
	uint64_t idle = UINT64_MAX, active = UINT64_MAX;

	if (cache->idle_ms)
		idle = cache->now_ms - (uint32_t)(now - head->last) +
		       cache->idle_ms;
	if (cache->active_ms)
		active = cache->now_ms - (uint32_t)(now - head->first) +
			 cache->active_ms;
	*reason = active < idle ? END_ACTIVE : END_IDLE;
	return active < idle ? active : idle;
}

/*
 * Where a flow waits in the wheel: at its deadline, but not farther away than
 * the wheel reaches, so that those idle for longest always come first.
 */
static uint64_t
wait_until(const struct cache *cache, const struct row *head, uint64_t deadline)
{
	uint32_t now = (uint32_t)cache->now_ms;
	uint64_t reach = cache->now_ms - (uint32_t)(now - head->last) +
			 WHEEL_REACH_MS;

	return deadline < reach ? deadline : reach;
}

void
row_wait(struct layout *layout, uint32_t number)
{
	const struct cache *cache = layout->cache;
	const struct row *row = flow_table_row(&layout->table, number);
	enum end_reason reason;
	uint64_t deadline = row_deadline(cache, row, &reason);

	flow_table_wait(&layout->table, number,
			wait_until(cache, row, deadline));
}

static void
row_free(struct cache *cache, struct flow_table *t, uint32_t number)
{
	flow_table_free_row(t, number);
	cache->rows--;
}

/*
 * Deals with the flows of one wheel slot that has passed. Rows that left are
 * freed after they were encoded, for what is gathered still points to them.
 */
static bool
expire_slot(struct layout *layout, uint64_t slot)
{
	struct cache *cache = layout->cache;
	struct flow_table *t = &layout->table;
	uint32_t *head = &t->wheel[slot % WHEEL_SLOTS];
	uint32_t list = *head, next, dead = 0, n = 0;

	*head = 0;
	for (; list; list = next) {
		struct row *row = flow_table_row(t, list);
		enum end_reason reason;
		uint64_t deadline;

		if (n++ % BATCH_MAX == 0 && stage_congested(&cache->stage)) {
			*head = list;
			break;
		}
		next = row->next;
		t->linked--;
		if (row->flags & ROW_LIVE) {
			deadline = row_deadline(cache, row, &reason);
			if (deadline >> WHEEL_SHIFT > slot) {
				uint64_t until =
					wait_until(cache, row, deadline);

				/* Idle for that long: once around. */
				flow_table_wait(t, list,
						until >> WHEEL_SHIFT > slot
							? until
							: deadline);
				continue;
			}
			emit_row(layout, list, reason, false);
		}
		row->next = dead;
		dead = list;
	}
	emit_all(cache);
	for (; dead; dead = next) {
		next = flow_table_row(t, dead)->next;
		row_free(cache, t, dead);
	}
	return *head == 0;
}

/*
 * Time has leapt by more than the wheel holds: all that waits is due or waits
 * again. Returns the slot to go on from, one turn of the wheel ago, with the
 * lists in the slots that these times have now; they are the same.
 */
static uint64_t
leap(const struct layout *layout, uint64_t slot)
{
	uint64_t behind = (slot - layout->table.wheel_done) / WHEEL_SLOTS - 1;

	return layout->table.wheel_done + behind * WHEEL_SLOTS;
}

void
expire(struct cache *cache, uint64_t now_ms)
{
	if (cache->type == CACHE_PERMANENT)
		return;
	for (unsigned i = 0; i < cache->layout_count; i++) {
		struct layout *layout = cache->layout[i];
		struct flow_table *t = &layout->table;

		/*
		 * Nothing waits farther away than the wheel reaches, so after a
		 * leap in time one turn of it is enough.
		 */
		if ((now_ms >> WHEEL_SHIFT) - t->wheel_done > 2 * WHEEL_SLOTS)
			t->wheel_done = leap(layout, now_ms >> WHEEL_SHIFT);
		while (t->wheel_done + 1 < now_ms >> WHEEL_SHIFT) {
			/* wheel_done moves first: what waits again goes on. */
			t->wheel_done++;
			if (!expire_slot(layout, t->wheel_done)) {
				t->wheel_done--;
				return;
			}
		}
		flow_table_trim(t);
	}
}

/*
 * Evicts what waits next in the wheel. Flows of the present batch
 * (ROW_BUSY) and those whose time has moved on wait again.
 */
static uint32_t
evict_slot(struct layout *layout, uint64_t slot, uint32_t wanted)
{
	struct cache *cache = layout->cache;
	struct flow_table *t = &layout->table;
	uint32_t *head = &t->wheel[slot % WHEEL_SLOTS];
	uint32_t list = *head, next, dead = 0, freed = 0;

	*head = 0;
	for (; list && freed < wanted; list = next) {
		struct row *row = flow_table_row(t, list);
		enum end_reason reason;
		uint64_t deadline;

		next = row->next;
		t->linked--;
		if (row->flags & ROW_LIVE) {
			deadline = row_deadline(cache, row, &reason);
			deadline = wait_until(cache, row, deadline);
			if (row->flags & ROW_BUSY ||
			    deadline >> WHEEL_SHIFT > slot) {
				flow_table_wait(t, list, deadline);
				continue;
			}
			emit_row(layout, list, END_RESOURCES, false);
			cache->evicted++;
		}
		row->next = dead;
		dead = list;
		freed++;
	}
	/* The others stay, behind the few that came back to this slot. */
	while (*head)
		head = &flow_table_row(t, *head)->next;
	*head = list;
	emit_all(cache);
	for (; dead; dead = next) {
		next = flow_table_row(t, dead)->next;
		row_free(cache, t, dead);
	}
	return freed;
}

/* A flow of a permanent cache that has no new data goes without a record. */
void
emit_drop(struct layout *layout, uint32_t number)
{
	struct cache *cache = layout->cache;
	struct row *row = flow_table_row(&layout->table, number);

	if (cache->state)
		state_leaves(cache->state, layout, number, false);
	flow_table_remove(&layout->table, number);
	row_strings(layout, (uint8_t *)row, row->flags & ROW_PRESENT,
		    var_release);
	row_free(cache, &layout->table, number);
	cache->stage.ledger.held--;
	cache->stage.ledger.split--; /* see emit_row */
}

/*
 * The flows of a permanent cache wait in no wheel. Of the next few rows the one
 * idle for longest goes: nearly the one idle for longest of all, and it costs
 * the same however many there are.
 */
static bool
evict_sample(struct layout *layout)
{
	struct flow_table *t = &layout->table;
	uint32_t now = (uint32_t)layout->cache->now_ms, best = 0, age = 0;

	for (uint32_t n = 0; n < EVICT_SAMPLE && n + 1 < t->used; n++) {
		const struct row *row;

		if (++layout->evict_at >= t->used)
			layout->evict_at = 1;
		row = flow_table_row(t, layout->evict_at);
		if (!(row->flags & ROW_LIVE) || row->flags & ROW_BUSY ||
		    (best && now - row->last <= age))
			continue;
		best = layout->evict_at;
		age = now - row->last;
	}
	if (!best)
		return false;
	if (flow_table_row(t, best)->flags & ROW_DIRTY)
		emit_row(layout, best, END_RESOURCES, false);
	else
		emit_drop(layout, best);
	layout->cache->evicted++;
	return true;
}

static void
evict_permanent(struct cache *cache, struct layout *first, uint32_t wanted)
{
	for (unsigned i = 0; i <= cache->layout_count && wanted; i++) {
		struct layout *layout = i ? cache->layout[i - 1] : first;

		while (wanted && evict_sample(layout))
			wanted--;
	}
	emit_all(cache);
}

void
evict(struct cache *cache, struct layout *first, uint32_t wanted)
{
	if (cache->type == CACHE_PERMANENT) {
		evict_permanent(cache, first, wanted);
		return;
	}
	for (unsigned i = 0; i <= cache->layout_count && wanted; i++) {
		struct layout *layout = i ? cache->layout[i - 1] : first;
		struct flow_table *t = &layout->table;

		for (uint64_t s = 1; s < WHEEL_SLOTS && wanted; s++) {
			uint64_t slot = t->wheel_done + s;

			if (t->wheel[slot % WHEEL_SLOTS])
				wanted -= evict_slot(layout, slot, wanted);
		}
	}
}

/* ---- periodic and last export ------------------------------------------- */

static bool
interval_over(const struct layout *layout, const struct row *row,
	      uint64_t wall_ms)
{
	struct cache *cache = layout->cache;

	return row_get(row, layout->interval_at) + cache->distribution_ns <=
	       wall_ms * 1000000;
}

static void
export_row(struct layout *layout, uint32_t number, uint64_t wall_ms)
{
	struct cache *cache = layout->cache;
	struct row *row = flow_table_row(&layout->table, number);
	bool permanent = cache->type == CACHE_PERMANENT;

	if (!(row->flags & ROW_LIVE))
		return;
	if (permanent && !cache->flushing && layout->interval_at &&
	    !interval_over(layout, row, wall_ms))
		return;
	if (permanent && !(row->flags & ROW_DIRTY)) {
		if (!cache->flushing)
			return; /* no new data, no record */
		emit_drop(layout, number);
		return;
	}
	emit_row(layout, number,
		 permanent && !cache->flushing ? END_ACTIVE : END_FORCED,
		 permanent && !cache->flushing && !layout->interval_at);
}

bool
export_continue(struct cache *cache, uint64_t wall_ms)
{
	uint32_t n = 0;

	for (; cache->export_layout < cache->layout_count;
	     cache->export_layout++, cache->export_row = 1) {
		struct layout *layout = cache->layout[cache->export_layout];

		for (; cache->export_row < layout->table.used;
		     cache->export_row++) {
			if (n++ % BATCH_MAX == 0) {
				emit_all(cache);
				if (stage_congested(&cache->stage))
					return false;
			}
			if (cache->export_row + AHEAD < layout->table.used)
				flow_table_prefetch(&layout->table,
						    cache->export_row + AHEAD);
			export_row(layout, cache->export_row, wall_ms);
		}
	}
	emit_all(cache);
	return true;
}
