/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows of a state file that no row was made of: they are exported as the file
 * has them, which takes as long as the next stages need.
 */
#include "conflux/clock.h"
#include "state_load.h"

enum { STEP_US = 5000 };

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
	inlet = load_inlet(load, t);
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
