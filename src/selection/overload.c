/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * When a meter is short of room or time: pressure is looked at once a second,
 * entered as soon as one of the signs is high, left when all are low, with a
 * hold time between changes. While sampling does not relieve it, the interval
 * is doubled; on the way back it is halved.
 */
#include "conflux/clock.h"
#include "conflux/log.h"
#include "internal.h"

enum { MEASURE_MS = 1000 };

bool
overload_samples(const struct overload_conf *conf)
{
	return conf->behaviour == OVERLOAD_SAMPLE;
}

struct selector_conf
overload_selector(const struct overload_conf *conf)
{
	return (struct selector_conf){
		.name = "overload",
		.id = UINT32_MAX,
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
	struct selector_conf conf = overload_selector(&sel->overload.conf);

	conf.space = interval - 1;
	selection_change(&sel->stage, sel->selector_count - 1, &conf);
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
		o->conf.coarser(o->conf.arg, o->on);
		selection_renew(sel);
		break;
	case OVERLOAD_STOP:
		selection_renew(sel);
		break;
	case OVERLOAD_NONE:
		break;
	}
}

static void
say(const struct selection *sel)
{
	const struct overload *o = &sel->overload;
	const struct pressure *p = &o->pressure;

	if (!o->on)
		log_notice("selection: %s: overload is over (cache %u %%, "
			   "processor %u %%); all that is selected is metered",
			   sel->stage.name, p->cache, p->cpu);
	else if (o->conf.behaviour == OVERLOAD_SAMPLE)
		log_notice("selection: %s: overload (cache %u %%, processor "
			   "%u %%); one packet in %u is metered",
			   sel->stage.name, p->cache, p->cpu, o->interval);
	else if (o->conf.behaviour == OVERLOAD_COARSER)
		log_notice("selection: %s: overload (cache %u %%, processor "
			   "%u %%); Flows have no coarse keys",
			   sel->stage.name, p->cache, p->cpu);
	else
		log_notice("selection: %s: overload (cache %u %%, processor "
			   "%u %%); nothing is metered",
			   sel->stage.name, p->cache, p->cpu);
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
	uint64_t elapsed = now_ms - o->measured_ms, drops;

	if (c->behaviour == OVERLOAD_NONE || elapsed < MEASURE_MS)
		return;
	c->measure(c->arg, p);
	drops = o->measured_ms ? (p->drops - o->drops) * 1000 / elapsed : 0;
	o->drops = p->drops;
	o->measured_ms = now_ms;
	if (o->changed_ms && now_ms - o->changed_ms < c->hold_ms)
		return;
	if (p->cache >= c->cache_high || p->cpu >= c->cpu_high ||
	    (c->drops_high && drops >= c->drops_high))
		worse(sel, now_ms);
	else if (p->cache < c->cache_low && p->cpu < c->cpu_low && drops == 0)
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
