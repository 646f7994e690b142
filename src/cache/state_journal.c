/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal of a state file: records as the cache has decoded them, once they
 * have found their flows, and flows that leave. What had to leave to make room
 * for a record is told before it, so there is as much room when they are read.
 * Both go to the file, and to the next one while that is being written.
 */
#include "conflux/clock.h"
#include "state.h"

static uint64_t
wall_ms(const struct cache *cache)
{
	return cache->data_clock ? cache->now_ms : clock_wall_ms();
}

static void
put_meta(uint8_t *p, uint64_t first_ms, uint64_t last_ms, uint8_t marks)
{
	wire_put64(p, first_ms);
	wire_put64(p + 8, last_ms);
	p[16] = marks;
	wire_put32(p + 17, 0);
}

/* Rows, scratch or not, of one layout, with these values. */
static void
put_rows(struct state *state, struct state_out *out,
	 const struct layout *layout, uint64_t present,
	 const uint8_t *const *rows, uint32_t count, uint8_t marks)
{
	const struct form *form;
	uint64_t now_ms = wall_ms(state->cache);
	uint32_t at = 0, length;

	if (out->fd < 0)
		return;
	form = state_form(state, out, layout, present);
	while (form && form->encoder && at < count) {
		struct batch batch = {0};
		uint32_t done =
			encoder_run(form->encoder, rows + at, count - at,
				    state->wire, state->offset, &batch);

		for (uint32_t i = 0; i < done; i++) {
			const uint8_t *record =
				batch_record(&batch, i, &length);
			uint64_t first_ms = now_ms;
			uint8_t *p;

			if (layout->interval_at)
				first_ms = row_get(rows[at + i],
						   layout->interval_at) /
					   1000000;
			if (length + STATE_META > STATE_RECORD_MAX)
				continue;
			p = state_out_data(out, form->id, length + STATE_META);
			memcpy(p, record, length);
			put_meta(p + length, first_ms, now_ms, marks);
		}
		at += done ? done : 1;
	}
}

/* What the cache itself gives to a new flow is not of the record. */
static uint64_t
present_of(const struct plan *plan)
{
	const struct cache *cache = plan->layout->cache;
	uint64_t present = plan->present;

	for (unsigned i = 0; plan->id_at && i < cache->column_count; i++)
		if (cache->column[i].id)
			present &= ~ROW_BIT(cache->column[i].bit);
	return present;
}

void
state_journal(struct state *state, const struct plan *plan, const uint8_t *rows,
	      uint32_t count, uint8_t *const *flow)
{
	const struct layout *layout = plan->layout;
	uint8_t marks = STATE_IN | (plan->packets ? STATE_PACKETS : 0);
	uint64_t present = present_of(plan);
	const uint8_t *list[BATCH_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++)
		if (flow[i])
			list[n++] = rows + (size_t)i * layout->stride;
	if (!n)
		return;
	state->journaled += n;
	put_rows(state, state->file, layout, present, list, n, marks);
	if (state->writing)
		put_rows(state, state->next, layout, present, list, n, marks);
	state_told(state);
}

void
state_journal_leaves(struct state *state, const struct layout *layout,
		     const struct row *row, bool keep)
{
	const uint8_t *list[] = {(const uint8_t *)row};
	uint8_t marks = keep ? STATE_OUT | STATE_IN : STATE_OUT;

	state->left += !keep;
	put_rows(state, state->file, layout, 0, list, 1, marks);
	if (state->writing)
		put_rows(state, state->next, layout, 0, list, 1, marks);
}
