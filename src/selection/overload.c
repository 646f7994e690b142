/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * When a meter is short of room or time: pressure is looked at once a second,
 * entered as soon as one of the signs is high, left when all are low, with a
 * hold time between changes. While sampling does not relieve it, the interval
 * is doubled; on the way back it is halved.
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

/* Its id is that of no selector of the configuration, nor of another sequence. */
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

	if (!o->on)
		return 1;
	switch (o->conf.behaviour) {
	case OVERLOAD_SAMPLE:
		return o->interval;
	case OVERLOAD_STOP:
		return 0;
	default:
		return 1;
	}
}

/* ---- changes --------------------------------------------------------------- */

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
		set_sampling(sel, o->on ? o->interval : 1);
		break;
	case OVERLOAD_COARSER:
		report_statistics(sel);
		o->conf.coarser(o->conf.arg, o->on);
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

/* Why, and what follows. */
static void
say(const struct selection *sel)
{
	const struct overload *o = &sel->overload;
	char consequence[64] = "all that is selected is metered";

	if (o->on && o->conf.behaviour == OVERLOAD_SAMPLE)
		snprintf(consequence, sizeof(consequence),
			 "one packet in %" PRIu32 " is metered", o->interval);
	else if (o->on && o->conf.behaviour == OVERLOAD_COARSER)
		snprintf(consequence, sizeof(consequence),
			 "Flows have no coarse keys");
	else if (o->on)
		snprintf(consequence, sizeof(consequence),
			 "nothing is metered, packets are lost");
	log_notice("selection: %s: overload%s (cache %u %%, processor %u %%, "
		   "%" PRIu64 " packets dropped in a second); %s",
		   sel->stage.name, o->on ? "" : " is over", o->pressure.cache,
		   o->pressure.cpu, o->drop_rate, consequence);
}

static void
change(struct selection *sel, bool on, uint32_t interval, uint64_t now_ms)
{
	struct overload *o = &sel->overload;

	o->entered += on && !o->on;
	o->on = on;
	o->interval = interval;
	o->changed_ms = now_ms;
	o->since_ms = clock_wall_ms();
	apply(sel);
	say(sel);
}

/* ---- decisions -------------------------------------------------------------- */

static void
worse(struct selection *sel, uint64_t now_ms)
{
	struct overload *o = &sel->overload;
	uint32_t next = o->interval * 2;

	if (!o->on) {
		change(sel, true, o->conf.interval, now_ms);
		return;
	}
	if (o->conf.behaviour != OVERLOAD_SAMPLE ||
	    o->interval >= o->conf.max_interval)
		return;
	change(sel, true,
	       next < o->conf.max_interval ? next : o->conf.max_interval,
	       now_ms);
}

static void
better(struct selection *sel, uint64_t now_ms)
{
	struct overload *o = &sel->overload;

	if (!o->on)
		return;
	if (o->conf.behaviour == OVERLOAD_SAMPLE &&
	    o->interval / 2 >= o->conf.interval)
		change(sel, true, o->interval / 2, now_ms);
	else
		change(sel, false, 1, now_ms);
}

void
overload_tick(struct selection *sel, uint64_t now_ms)
{
	struct overload *o = &sel->overload;
	const struct overload_conf *c = &o->conf;
	struct pressure *p = &o->pressure;
	uint64_t elapsed = now_ms - o->measured_ms;

	if (c->behaviour == OVERLOAD_NONE || elapsed < MEASURE_MS)
		return;
	c->measure(c->arg, p);
	/* Rounded up; a capture that is opened again counts from 0. */
	o->drop_rate = 0;
	if (o->measured_ms && p->drops > o->drops)
		o->drop_rate = ((p->drops - o->drops) * 1000 + elapsed - 1) /
			       elapsed;
	o->drops = p->drops;
	o->measured_ms = now_ms;
	if (o->changed_ms && now_ms - o->changed_ms < c->hold_ms)
		return;
	if (p->cache >= c->cache_high || p->cpu >= c->cpu_high ||
	    (c->drops_high && o->drop_rate >= c->drops_high))
		worse(sel, now_ms);
	else if (p->cache < c->cache_low && p->cpu < c->cpu_low &&
		 o->drop_rate == 0)
		better(sel, now_ms);
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
	report_bool(report, "on", o->on);
	if (o->on && o->conf.behaviour == OVERLOAD_SAMPLE)
		report_uint(report, "samplingInterval", o->interval);
	if (o->since_ms)
		report_text(report, "since", clock_format(text, o->since_ms));
	report_uint(report, "entered", o->entered);
	report_uint(report, "cachePerCent", o->pressure.cache);
	report_uint(report, "processorPerCent", o->pressure.cpu);
	report_uint(report, "kernelDrops", o->pressure.drops);
	report_close(report);
}
