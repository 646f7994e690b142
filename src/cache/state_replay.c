/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The journal of a state file: what came after its flows. */
#include "conflux/clock.h"
#include "state_load.h"

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
		    load_find(layout, scratch)) {
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

void
load_replay(struct load *load, struct inlet *inlet, const struct batch *batch,
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
				    load_row_time(cache, meta->last_ms, wall));
	merge_rows(load, plan, batch->count);
	cache->now_ms = now_ms;
}
