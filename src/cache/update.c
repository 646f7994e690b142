/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging: the rows that a batch was decoded into go into the table. Like in a
 * projection each update runs over all rows before the next one; the rows are
 * in the first level cache by then, because finding them fetched them.
 */
#include <errno.h>
#include <string.h>

#include "conflux/wire.h"
#include "state.h"

struct merge_run {
	struct layout *layout;
	const uint8_t *row[BATCH_MAX]; /* scratch */
	uint8_t *flow[BATCH_MAX];      /* where each one goes */
	uint32_t count;
};

static void
merge_sum(const struct merge_run *run, uint16_t at)
{
	for (uint32_t i = 0; i < run->count; i++)
		row_put(run->flow[i], at,
			row_get(run->flow[i], at) + row_get(run->row[i], at));
}

/* bias turns the order of signed numbers into that of unsigned ones. */
static void
merge_min(const struct merge_run *run, uint16_t at, uint64_t bias)
{
	for (uint32_t i = 0; i < run->count; i++) {
		uint64_t v = row_get(run->row[i], at);

		if ((v ^ bias) < (row_get(run->flow[i], at) ^ bias))
			row_put(run->flow[i], at, v);
	}
}

static void
merge_max(const struct merge_run *run, uint16_t at, uint64_t bias)
{
	for (uint32_t i = 0; i < run->count; i++) {
		uint64_t v = row_get(run->row[i], at);

		if ((v ^ bias) > (row_get(run->flow[i], at) ^ bias))
			row_put(run->flow[i], at, v);
	}
}

static void
merge_or(const struct merge_run *run, const struct update *u)
{
	for (uint32_t i = 0; i < run->count; i++)
		for (uint16_t k = u->offset; k < u->offset + u->width; k++)
			run->flow[i][k] |= run->row[i][k];
}

static bool
has_value(const uint8_t *row, uint64_t bit)
{
	return ((const struct row *)(const void *)row)->flags & bit;
}

/* First and last; a string that is not kept is released. */
static void
merge_kept(const struct merge_run *run, const struct update *u)
{
	struct var_store *strings = run->layout->cache->strings;
	for (uint32_t i = 0; i < run->count; i++) {
		const uint8_t *s = run->row[i] + u->offset;
		uint8_t *d = run->flow[i];
		uint32_t handle;
		bool keep_old;

		keep_old = has_value(d, u->bit) && u->merge == MERGE_FIRST;
		if (u->kind == SLOT_VAR) {
			memcpy(&handle, keep_old ? s : d + u->offset, 4);
			if (keep_old || has_value(d, u->bit))
				var_release(strings, handle);
		}
		if (!keep_old)
			memcpy(d + u->offset, s, u->width);
		/*
		 * The same flow may come twice in a batch: from now on it has
		 * the value.
		 */
		((struct row *)(void *)d)->flags |= u->bit;
	}
}

static void
merge_union(const struct merge_run *run, const struct update *u)
{
	struct cache *cache = run->layout->cache;

	for (uint32_t i = 0; i < run->count; i++) {
		uint8_t *d = run->flow[i];
		uint32_t kept, handle;

		memcpy(&handle, run->row[i] + u->offset, 4);
		if (has_value(d, u->bit)) {
			memcpy(&kept, d + u->offset, 4);
			handle = list_union(cache, kept, handle);
		}
		memcpy(d + u->offset, &handle, 4);
		((struct row *)(void *)d)->flags |= u->bit;
	}
}

static void
merge_values(const struct merge_run *run, const struct update *update,
	     unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct update *u = &update[i];

		switch (u->merge) {
		case MERGE_SUM:
			merge_sum(run, u->offset);
			break;
		case MERGE_MIN:
			merge_min(run, u->offset, u->bias);
			break;
		case MERGE_MAX:
			merge_max(run, u->offset, u->bias);
			break;
		case MERGE_OR:
			merge_or(run, u);
			break;
		case MERGE_UNION:
			merge_union(run, u);
			break;
		default:
			merge_kept(run, u);
			break;
		}
	}
}

void
row_strings(struct layout *layout, const uint8_t *row, uint64_t present,
	    void (*what)(struct var_store *strings, uint32_t handle))
{
	struct cache *cache = layout->cache;
	uint32_t handle;

	for (unsigned i = 0; i < cache->column_count; i++) {
		const struct column *column = &cache->column[i];

		if (column->kind != SLOT_VAR || !bit_test(layout->slots, i))
			continue;
		if (!column->field.key && !(present & ROW_BIT(column->bit)))
			continue;
		memcpy(&handle, row + layout->slot[i].offset, 4);
		what(cache->strings, handle);
	}
}

static uint64_t
deadline_of_new(const struct cache *cache)
{
	uint64_t wait = cache->idle_ms;

	if (cache->active_ms && (!wait || cache->active_ms < wait))
		wait = cache->active_ms;
	if (!wait || wait > WHEEL_REACH_MS)
		wait = WHEEL_REACH_MS;
	return cache->now_ms + wait;
}

/* Unique in this process: flows of other workers' caches may join ours. */
static uint64_t
flow_id(struct cache *cache)
{
	return cache->scope.serial << 40 | ++cache->flow_count;
}

/* A flow for a key that was not there. NULL: no room. */
static uint8_t *
flow_new(struct cache *cache, struct plan *plan, const uint8_t *row,
	 uint32_t hash, uint32_t *number)
{
	struct layout *layout = plan->layout;
	struct flow_table *t = &layout->table;
	uint32_t now = (uint32_t)cache->now_ms;
	uint8_t *flow;
	struct row *head;

	if (cache->rows >= cache->max_flows ||
	    flow_table_add(t, row, hash, number) != 0)
		return NULL;
	flow = (uint8_t *)flow_table_row(t, *number);
	memcpy(flow + ROW_KEY + t->key_length,
	       layout->neutral + ROW_KEY + t->key_length,
	       layout->row_size - ROW_KEY - t->key_length);
	head = (struct row *)(void *)flow;
	head->first = now;
	head->last = now;
	head->flags = ROW_LIVE | ROW_BUSY;
	if (plan->id_at)
		wire_put64(flow + plan->id_at, flow_id(cache));
	cache->rows++;
	cache->stage.ledger.held++;
	if (cache->type != CACHE_PERMANENT && !cache->replaying)
		flow_table_wait(t, *number, deadline_of_new(cache));
	return flow;
}

/*
 * Finds or makes the flow of each row; flow[i] NULL where there is no room.
 * reverse[i] is set where the row is of its reverse direction.
 */
static void
place_rows(struct cache *cache, struct plan *plan, const uint8_t *rows,
	   uint32_t count, uint8_t **flow, uint32_t *number, bool *is_new,
	   bool *reverse)
{
	struct layout *layout = plan->layout;
	struct flow_table *t = &layout->table;
	uint32_t hash[BATCH_MAX];
	uint32_t now = (uint32_t)cache->now_ms;
	uint32_t missing = flow_table_find(t, rows, layout->stride, count, hash,
					   number, reverse);

	for (uint32_t i = 0; i < count; i++) {
		struct row *head;

		is_new[i] = false;
		if (!number[i])
			continue;
		head = flow_table_row(t, number[i]);
		head->last = now;
		head->flags |= ROW_BUSY;
		flow[i] = (uint8_t *)head;
	}
	cache->stage.ledger.merged += count - missing;
	if (missing == 0)
		return;
	if (missing > cache->max_flows - cache->rows)
		evict(cache, layout,
		      missing - (cache->max_flows - cache->rows));
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *row = rows + (size_t)i * layout->stride;

		if (number[i])
			continue;
		/* An earlier row of this batch may have made it. */
		number[i] = flow_table_find_one(t, row, hash[i], &reverse[i]);
		if (number[i]) {
			flow[i] = (uint8_t *)flow_table_row(t, number[i]);
			cache->stage.ledger.merged++;
			continue;
		}
		flow[i] = flow_new(cache, plan, row, hash[i], &number[i]);
		is_new[i] = flow[i] != NULL;
		if (!flow[i]) {
			number[i] = 0;
			row_strings(layout, row, plan->present, var_release);
			cache->stage.ledger.lost[LOSS_CACHE_FULL]++;
		}
	}
}

/* A new flow keeps the strings of its key; others have them already. */
static void
release_keys(struct cache *cache, const struct plan *plan, const uint8_t *rows,
	     uint32_t count, const bool *is_new, uint8_t *const *flow)
{
	uint32_t handle;

	for (uint32_t i = 0; i < count; i++)
		for (unsigned k = 0;
		     !is_new[i] && flow[i] && k < plan->key_count; k++) {
			memcpy(&handle,
			       rows + (size_t)i * plan->layout->stride +
				       plan->key_var[k],
			       4);
			var_release(cache->strings, handle);
		}
}

enum { TCP_FIN = 0x01, TCP_RST = 0x04 };

/*
 * Has TCP ended? RST ends it at once, FIN one direction of it: that is all of a
 * uniflow. A record of both directions was a biflow of another meter already:
 * what ended it there ends it here.
 */
static bool
is_over(const struct plan *plan, struct row *head, uint8_t flags, bool reverse)
{
	if (flags & TCP_RST)
		return true;
	if (flags & TCP_FIN)
		head->flags |= reverse ? ROW_FIN_REVERSE : ROW_FIN_FORWARD;
	if (!plan->reverse || plan->both)
		return head->flags & (ROW_FIN_FORWARD | ROW_FIN_REVERSE);
	return head->flags & ROW_FIN_FORWARD && head->flags & ROW_FIN_REVERSE;
}

/*
 * Natural cache: a flow of packets lingers for what is still under way; a
 * record that says that its flow has ended is the last one.
 */
static void
end_flows(struct plan *plan, const uint8_t *rows, uint32_t count,
	  uint8_t *const *flow, const uint32_t *number, const bool *reverse)
{
	struct layout *layout = plan->layout;

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *flags =
			rows + (size_t)i * layout->stride + layout->row_size;
		struct row *head = (struct row *)(void *)flow[i];

		if (!head || !(flags[1] & (TCP_FIN | TCP_RST)) ||
		    !(head->flags & ROW_LIVE) || head->flags & ROW_CLOSING ||
		    !is_over(plan, head, flags[1], reverse[i]))
			continue;
		head->flags |= ROW_CLOSING;
		if (!plan->packets ||
		    !closing_add(layout->cache, layout, number[i]))
			emit_row(layout, number[i], END_DETECTED, false);
	}
}

/* Records of the reverse direction, as the forward one sees them. */
static void
turn_rows(const struct plan *plan, uint8_t *rows, uint32_t count,
	  const bool *reverse)
{
	uint8_t kept[32]; /* the widest type */

	for (uint32_t i = 0; i < count; i++) {
		uint8_t *row = rows + (size_t)i * plan->layout->stride;

		for (unsigned k = 0; reverse[i] && k < plan->turn_count; k++) {
			const struct turn *t = &plan->turn[k];

			if (!t->copy)
				memcpy(kept, row + t->reverse, t->width);
			memcpy(row + t->reverse, row + t->forward, t->width);
			if (!t->copy)
				memcpy(row + t->forward, kept, t->width);
		}
	}
}

/*
 * The rows of one direction only, as each changes other values of its flow;
 * those that have no flow are lost.
 */
static void
merge_direction(struct plan *plan, const uint8_t *rows, uint32_t count,
		uint8_t *const *flow, const bool *reverse, bool backward)
{
	struct merge_run run;

	run.layout = plan->layout;
	run.count = 0;
	for (uint32_t i = 0; i < count; i++) {
		run.row[run.count] = rows + (size_t)i * plan->layout->stride;
		run.flow[run.count] = flow[i];
		/* No jump that nobody can foresee. */
		run.count += (flow[i] != NULL) & (reverse[i] == backward);
	}
	if (backward)
		merge_values(&run, plan->reverse, plan->reverse_count);
	else
		merge_values(&run, plan->update, plan->update_count);
}

void
update_rows(struct cache *cache, struct plan *plan, uint8_t *rows,
	    uint32_t count)
{
	uint8_t *flow[BATCH_MAX] = {NULL};
	uint32_t number[BATCH_MAX];
	bool is_new[BATCH_MAX], reverse[BATCH_MAX] = {false};

	place_rows(cache, plan, rows, count, flow, number, is_new, reverse);
	if (cache->state && cache->state->journal)
		state_journal(cache->state, plan, rows, count, flow);
	if (plan->key_count)
		release_keys(cache, plan, rows, count, is_new, flow);
	if (plan->start_at)
		biflow_direct(plan, rows, count, flow, number, reverse);
	if (plan->reverse)
		turn_rows(plan, rows, count, reverse);
	merge_direction(plan, rows, count, flow, reverse, false);
	if (plan->reverse)
		merge_direction(plan, rows, count, flow, reverse, true);
	for (uint32_t i = 0; i < count; i++) {
		struct row *head = (struct row *)(void *)flow[i];

		if (head)
			head->flags = (head->flags & ~ROW_BUSY) | ROW_DIRTY |
				      (reverse[i] ? plan->reverse_present
						  : plan->present);
	}
	if (plan->has_flags)
		end_flows(plan, rows, count, flow, number, reverse);
}
