/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A cut (draft-ietf-ipfix-reqs 5.2 and 5.3): what was metered before a change
 * of sampling or of overload behaviour ends, and is never merged with what comes
 * after. The layouts with all their flows are retired: no record finds them any
 * more, and they are exported as fast as the next stages take it. Until then
 * both old and new flows count against maxFlows.
 */
#include "state.h"

/* Exports rows; true: there are no more. */
static bool
drain(struct layout *layout, bool patient)
{
	struct cache *cache = layout->cache;
	struct flow_table *t = &layout->table;
	uint32_t n = 0;

	for (; layout->retired_row < t->used; layout->retired_row++) {
		struct row *row = flow_table_row(t, layout->retired_row);

		if (patient && n++ % BATCH_MAX == 0) {
			emit_all(cache);
			if (stage_congested(&cache->stage))
				return false;
		}
		if (!(row->flags & ROW_LIVE))
			continue;
		/* A permanent flow without new data has been told already. */
		if (cache->type == CACHE_PERMANENT && !(row->flags & ROW_DIRTY))
			emit_drop(layout, layout->retired_row);
		else
			emit_row(layout, layout->retired_row, END_FORCED,
				 false);
	}
	emit_all(cache);
	return true;
}

/* Rows that still wait in the wheel go with the layout. */
static uint32_t
rows_of(const struct layout *layout)
{
	const struct flow_table *t = &layout->table;
	uint32_t n = 0;

	for (uint32_t i = 1; i < t->used; i++)
		n += (flow_table_row(t, i)->flags & (ROW_LIVE | ROW_DEAD)) != 0;
	return n;
}

void
retired_run(struct cache *cache, bool patient)
{
	/* An export that is under way counts on the order of the layouts. */
	if (cache->exporting)
		return;
	for (unsigned i = 0; i < cache->layout_count; i++) {
		struct layout *layout = cache->layout[i];

		if (!layout->retired)
			continue;
		if (!drain(layout, patient))
			return;
		cache->rows -= rows_of(layout);
		closing_forget(cache, layout);
		if (cache->state)
			state_layout_gone(cache->state, layout);
		layout_free(layout);
		cache->layout[i] = cache->layout[--cache->layout_count];
		i--;
	}
}

void
cache_cut(struct stage *stage)
{
	struct cache *cache = (struct cache *)stage;

	/* Cuts that follow one another closely leave no room for layouts. */
	if (cache->layout_count > LAYOUTS_MAX / 2)
		retired_run(cache, false);
	for (unsigned i = 0; i < cache->layout_count; i++) {
		struct layout *layout = cache->layout[i];

		if (layout->retired)
			continue;
		layout->retired = true;
		layout->retired_row = 1;
	}
	plans_free(cache);
	/* A periodic export begins anew; the last one has them all. */
	if (!cache->flushing)
		cache->exporting = false;
	if (cache->state)
		state_cut(cache->state);
	retired_run(cache, true);
	stage_pass_cut(stage);
}

void
cache_set_coarse(struct stage *stage, bool coarse)
{
	struct cache *cache = (struct cache *)stage;

	if (cache->coarse == coarse)
		return;
	cache_cut(stage);
	cache->coarse = coarse;
}

unsigned
cache_fill(const struct stage *stage)
{
	const struct cache *cache = (const struct cache *)stage;

	return (unsigned)((uint64_t)cache->rows * 100 / cache->max_flows);
}
