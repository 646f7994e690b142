/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 2722 says of counters that they wrap and are never reset, so a
 * difference modulo their size is right in any case. We make one exception: a
 * 64 bit counter that went back, by what would be a growth of more than
 * 2^48, was reset; then all it shows is new.
 *
 * Scale (RFC 2720 flowDataPDUScale) shifts left what the meter shows. Counters
 * are remembered as shown; a change of scale is bridged in real units.
 */
#include "meter_flow.h"

#include <errno.h>
#include <stdlib.h>

#include "conflux/hash.h"

enum {
	FLOWS_START = 64,
	DAY_CS = 86400 * 100,
};

static const uint64_t absurd = (uint64_t)1 << 48;

uint64_t
meter_clock_ms(const struct meter_clock *clock, uint32_t time)
{
	uint32_t later = time - clock->uptime;
	uint64_t ago;

	if (later < DAY_CS)
		return clock->wall_ms + (uint64_t)later * 10;
	ago = (uint64_t)(clock->uptime - time) * 10;
	return ago < clock->wall_ms ? clock->wall_ms - ago : 0;
}

void
meter_flows_init(struct meter_flows *flows, uint32_t max)
{
	*flows = (struct meter_flows){.max = max, .seed = hash_seed()};
}

void
meter_flows_fini(struct meter_flows *flows)
{
	free(flows->slot);
	flows->slot = NULL;
	flows->mask = flows->count = 0;
}

void
meter_flows_clear(struct meter_flows *flows)
{
	meter_flows_fini(flows);
}

static uint32_t
home(const struct meter_flows *flows, uint8_t rule_set, uint32_t index)
{
	return (uint32_t)hash_u64((uint64_t)rule_set << 32 | index,
				  flows->seed) & flows->mask;
}

/* The place of the flow, or the free one where it would go. */
static struct meter_flow *
place(const struct meter_flows *flows, uint8_t rule_set, uint32_t index)
{
	uint32_t i = home(flows, rule_set, index);

	while (flows->slot[i].index && (flows->slot[i].index != index ||
					flows->slot[i].rule_set != rule_set))
		i = (i + 1) & flows->mask;
	return &flows->slot[i];
}

struct meter_flow *
meter_flows_find(const struct meter_flows *flows, uint8_t rule_set,
		 uint32_t index)
{
	struct meter_flow *flow;

	if (!flows->count || !index)
		return NULL;
	flow = place(flows, rule_set, index);
	return flow->index ? flow : NULL;
}

static int
grow(struct meter_flows *flows)
{
	uint32_t size = flows->slot ? (flows->mask + 1) * 2 : FLOWS_START;
	struct meter_flows bigger = *flows;

	bigger.slot = calloc(size, sizeof(*bigger.slot));
	if (!bigger.slot)
		return -ENOMEM;
	bigger.mask = size - 1;
	for (uint32_t i = 0; flows->slot && i <= flows->mask; i++) {
		const struct meter_flow *flow = &flows->slot[i];

		if (flow->index)
			*place(&bigger, flow->rule_set, flow->index) = *flow;
	}
	free(flows->slot);
	*flows = bigger;
	return 0;
}

int
meter_flows_add(struct meter_flows *flows, uint8_t rule_set, uint32_t index,
		struct meter_flow **out)
{
	int err;

	if (flows->count >= flows->max)
		return -ENOSPC;
	if (!flows->slot || flows->count >= (flows->mask + 1) / 4 * 3) {
		err = grow(flows);
		if (err)
			return err;
	}
	*out = place(flows, rule_set, index);
	(*out)->index = index;
	(*out)->rule_set = rule_set;
	flows->count++;
	return 0;
}

/* Linear probing: what follows moves up as far as its home allows. */
static void
take_out(struct meter_flows *flows, uint32_t hole)
{
	uint32_t i = hole;

	for (;;) {
		const struct meter_flow *flow;
		uint32_t want;

		i = (i + 1) & flows->mask;
		flow = &flows->slot[i];
		if (!flow->index)
			break;
		want = home(flows, flow->rule_set, flow->index);
		if (((i - want) & flows->mask) >= ((i - hole) & flows->mask)) {
			flows->slot[hole] = *flow;
			hole = i;
		}
	}
	memset(&flows->slot[hole], 0, sizeof(flows->slot[hole]));
	flows->count--;
}

uint32_t
meter_flows_prune(struct meter_flows *flows, uint8_t rule_set, uint8_t mark)
{
	uint32_t pruned = 0, i = 0;

	while (flows->slot && i <= flows->mask) {
		const struct meter_flow *flow = &flows->slot[i];

		if (flow->index && flow->mark != mark &&
		    (!rule_set || flow->rule_set == rule_set)) {
			take_out(flows, i);
			pruned++;
		} else {
			i++; /* else another may have moved here */
		}
	}
	return pruned;
}

static uint64_t
shift(uint64_t value, uint8_t scale)
{
	return scale < 64 ? value << scale : 0;
}

static uint8_t
scale_of(const struct meter_flow *flow, unsigned counter)
{
	return counter == FLOW_TO_OCTETS || counter == FLOW_FROM_OCTETS ?
		flow->octet_scale : flow->pdu_scale;
}

/* What one counter gained; *back if it must have been reset. */
static uint64_t
gain(const struct meter_flow *old, const struct meter_flow *new,
     unsigned counter, bool wrap32, bool *back)
{
	uint8_t from = scale_of(old, counter), to = scale_of(new, counter);
	uint64_t was = old->counter[counter], is = new->counter[counter];
	uint64_t delta;

	if (from != to) {
		was = shift(was, from);
		is = shift(is, to);
		*back |= is < was;
		return is - was;
	}
	if (wrap32)
		return shift((uint32_t)((uint32_t)is - (uint32_t)was), to);
	delta = is - was;
	*back |= is < was && delta > absurd;
	return shift(delta, to);
}

static bool
row_flow(const struct meter_row *row, struct meter_flow *flow)
{
	static const uint8_t attribute[FLOW_COUNTERS] = {
		ATTRIBUTE_TO_OCTETS, ATTRIBUTE_TO_PDUS, ATTRIBUTE_FROM_OCTETS,
		ATTRIBUTE_FROM_PDUS};
	bool counters = false;

	for (unsigned i = 0; i < FLOW_COUNTERS; i++) {
		flow->counter[i] = row_number(row, attribute[i]);
		counters |= row_has_number(row, attribute[i]);
	}
	flow->index = row->index;
	flow->rule_set = row->rule_set;
	flow->first_time = (uint32_t)row_number(row, ATTRIBUTE_FIRST_TIME);
	flow->pdu_scale = (uint8_t)row_number(row, ATTRIBUTE_PDU_SCALE);
	flow->octet_scale = (uint8_t)row_number(row, ATTRIBUTE_OCTET_SCALE);
	return counters && row_has_number(row, ATTRIBUTE_FIRST_TIME);
}

static void
set_times(const struct flow_pass *pass, const struct meter_row *row,
	  const struct meter_flow *flow, struct flow_reading *out)
{
	out->start_ms = out->end_ms = flow->start_ms;
	if (row_has_number(row, ATTRIBUTE_LAST_ACTIVE_TIME))
		out->end_ms = meter_clock_ms(
			pass->clock, (uint32_t)row_number(
				row, ATTRIBUTE_LAST_ACTIVE_TIME));
	/* The start was worked out by an earlier calibration. */
	if (out->end_ms < out->start_ms)
		out->end_ms = out->start_ms;
}

int
meter_flows_read(struct meter_flows *flows, const struct flow_pass *pass,
		 const struct meter_row *row, struct flow_reading *out)
{
	struct meter_flow new = {.mark = pass->mark}, zero;
	struct meter_flow *flow;
	const struct meter_flow *old;
	bool known;
	int err;

	*out = (struct flow_reading){.news = FLOW_SAME};
	if (!row->index || !row_flow(row, &new))
		return -EBADMSG;
	flow = meter_flows_find(flows, row->rule_set, row->index);
	known = flow && flow->first_time == new.first_time;
	out->recycled = flow && !known;
	if (!flow) {
		err = meter_flows_add(flows, row->rule_set, row->index, &flow);
		if (err)
			return err;
	}
	new.start_ms = known ? flow->start_ms :
		meter_clock_ms(pass->clock, new.first_time);
	zero = new;
	memset(zero.counter, 0, sizeof(zero.counter));
	old = known ? flow : &zero;
	for (unsigned i = 0; i < FLOW_COUNTERS; i++)
		out->delta[i] = gain(old, &new, i, pass->wrap32,
				     &out->restarted);
	for (unsigned i = 0; i < FLOW_COUNTERS; i++) {
		out->total[i] = shift(new.counter[i], scale_of(&new, i));
		if (out->restarted)
			out->delta[i] = out->total[i];
		if (out->delta[i])
			out->news = FLOW_GROWN;
	}
	if (!known && pass->has_start &&
	    uptime_before(new.first_time, pass->start))
		out->news = FLOW_BASELINE;
	*flow = new;
	set_times(pass, row, flow, out);
	return 0;
}
