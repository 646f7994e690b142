/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * When a meter is short of room or time: pressure is looked at once a second,
 * entered as soon as one of the signs is high, left when all are low, with a
 * hold time between changes. While sampling does not relieve it, the interval
 * is doubled; on the way back it is halved. Who has others beside it in other
 * threads tells its signs, and is told what to do.
 */
#include <inttypes.h>
#include <stdio.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "internal.h"

enum { MEASURE_MS = 1000 };

bool
overload_samples(const struct overload_conf *conf)
{
	return conf->behaviour == OVERLOAD_SAMPLE;
}

/* Its id is that of no selector of the configuration, nor of another sequence.
 */
struct selector_conf
overload_selector(uint64_t sequence_id)
{
	return (struct selector_conf){
		.name = "overload",
		.id = (uint64_t)1 << 32 | sequence_id,
		.method = SELECTOR_COUNT,
		.interval = 1,
	};
}

uint32_t
selection_interval(const struct stage *stage)
{
	const struct overload *o = &((const struct selection *)stage)->overload;

	if (!o->state.on)
		return 1;
	switch (o->conf.behaviour) {
	case OVERLOAD_SAMPLE:
		return o->state.interval;
	case OVERLOAD_STOP:
		return 0;
	default:
		return 1;
	}
}

/* ---- changes ---------------------------------------------------------------
 */

static void
set_sampling(struct selection *sel, uint32_t interval)
{
	unsigned last = sel->selector_count - 1;
	struct selector_conf conf = sel->selector[last].conf;

	conf.space = interval - 1;
	selection_change(&sel->stage, last, &conf);
}

static void
apply(struct selection *sel)
{
	struct overload *o = &sel->overload;

	switch (o->conf.behaviour) {
	case OVERLOAD_SAMPLE:
		set_sampling(sel, o->state.on ? o->state.interval : 1);
		break;
	case OVERLOAD_COARSER:
		report_statistics(sel);
		o->conf.coarser(o->conf.arg, o->state.on);
		selection_renew(sel);
		break;
	case OVERLOAD_STOP:
		report_statistics(sel);
		selection_renew(sel);
		break;
	case OVERLOAD_NONE:
		break;
	}
}

void
overload_consequence(const struct overload_conf *conf,
		     const struct overload_state *state, char *out, size_t size)
{
	if (!state->on)
		snprintf(out, size, "all that is selected is metered");
	else if (conf->behaviour == OVERLOAD_SAMPLE)
		snprintf(out, size, "one packet in %" PRIu32 " is metered",
			 state->interval);
	else if (conf->behaviour == OVERLOAD_COARSER)
		snprintf(out, size, "Flows have no coarse keys");
	else
		snprintf(out, size, "nothing is metered, packets are lost");
}

/* Why, and what follows. */
static void
say(const struct selection *sel)
{
	const struct overload *o = &sel->overload;
	char consequence[64];

	overload_consequence(&o->conf, &o->state, consequence,
			     sizeof(consequence));
	log_notice("selection: %s: overload%s (cache %u %%, processor %u %%, "
		   "%" PRIu64 " packets dropped in a second); %s",
		   sel->stage.name, o->state.on ? "" : " is over",
		   o->pressure.cache, o->pressure.cpu, o->drop_rate,
		   consequence);
}

const struct overload_conf *
selection_overload_conf(const struct stage *stage)
{
	const struct overload_conf *conf =
		&((const struct selection *)stage)->overload.conf;

	return conf->behaviour == OVERLOAD_NONE ? NULL : conf;
}

void
selection_overload(struct stage *stage, const struct overload_state *state)
{
	struct selection *sel = (struct selection *)stage;
	struct overload *o = &sel->overload;

	o->entered += state->on && !o->state.on;
	o->state = *state;
	o->since_ms = clock_wall_ms();
	apply(sel);
}

/* ---- decisions ---------------------------------------------------------- */

static bool
worse(const struct overload_conf *conf, struct overload_state *state)
{
	uint32_t next = state->interval * 2;

	if (!state->on) {
		state->on = true;
		state->interval = conf->interval;
		return true;
	}
	if (conf->behaviour != OVERLOAD_SAMPLE ||
	    state->interval >= conf->max_interval)
		return false;
	state->interval = next < conf->max_interval ? next : conf->max_interval;
	return true;
}

static bool
better(const struct overload_conf *conf, struct overload_state *state)
{
	if (!state->on)
		return false;
	if (conf->behaviour == OVERLOAD_SAMPLE &&
	    state->interval / 2 >= conf->interval) {
		state->interval /= 2;
	} else {
		state->on = false;
		state->interval = 1;
	}
	return true;
}

bool
overload_decide(const struct overload_conf *conf,
		const struct overload_state *state, enum overload_sign sign,
		uint64_t now_ms, struct overload_state *next)
{
	*next = *state;
	if (state->changed_ms && now_ms - state->changed_ms < conf->hold_ms)
		return false;
	next->changed_ms = now_ms;
	if (sign == OVERLOAD_HIGH)
		return worse(conf, next);
	return sign == OVERLOAD_LOW && better(conf, next);
}

static enum overload_sign
sign_of(const struct overload *o)
{
	const struct overload_conf *c = &o->conf;
	const struct pressure *p = &o->pressure;

	if (p->cache >= c->cache_high || p->cpu >= c->cpu_high ||
	    (c->drops_high && o->drop_rate >= c->drops_high))
		return OVERLOAD_HIGH;
	if (p->cache < c->cache_low && p->cpu < c->cpu_low && o->drop_rate == 0)
		return OVERLOAD_LOW;
	return OVERLOAD_BETWEEN;
}

void
overload_tick(struct selection *sel, uint64_t now_ms)
{
	struct overload *o = &sel->overload;
	const struct overload_conf *c = &o->conf;
	struct pressure *p = &o->pressure;
	uint64_t elapsed = now_ms - o->measured_ms;
	struct overload_state next;

	if (c->behaviour == OVERLOAD_NONE || elapsed < MEASURE_MS)
		return;
	c->measure(c->arg, p);
	/* Rounded up; a capture that is opened again counts from 0. */
	o->drop_rate = 0;
	if (o->measured_ms && p->drops > o->drops)
		o->drop_rate =
			((p->drops - o->drops) * 1000 + elapsed - 1) / elapsed;
	o->drops = p->drops;
	o->measured_ms = now_ms;
	if (c->sign) {
		c->sign(c->arg, sign_of(o));
	} else if (overload_decide(c, &o->state, sign_of(o), now_ms, &next)) {
		selection_overload(&sel->stage, &next);
		say(sel);
	}
}

void
overload_report(const struct selection *sel, struct report *report)
{
	static const char *const name[] = {"none", "sample", "coarser", "stop"};
	const struct overload *o = &sel->overload;
	char text[CLOCK_TEXT_SIZE];

	if (o->conf.behaviour == OVERLOAD_NONE)
		return;
	report_open(report, "cx:overload");
	report_text(report, "behaviour", name[o->conf.behaviour]);
	report_bool(report, "on", o->state.on);
	if (o->state.on && o->conf.behaviour == OVERLOAD_SAMPLE)
		report_uint(report, "samplingInterval", o->state.interval);
	if (o->since_ms)
		report_text(report, "since", clock_format(text, o->since_ms));
	report_uint(report, "entered", o->entered);
	report_uint(report, "cachePerCent", o->pressure.cache);
	report_uint(report, "processorPerCent", o->pressure.cpu);
	report_uint(report, "kernelDrops", o->pressure.drops);
	report_close(report);
}
