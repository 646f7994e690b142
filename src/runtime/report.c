/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of the whole, with the structure of RFC 6728, and the account of
 * all records. Other workers stand still while their state is read.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "config.h"
#include "conflux/clock.h"
#include "conflux/exporting.h"
#include "conflux/log.h"
#include "conflux/runtime.h"
#include "handover.h"
#include "runtime.h"

static unsigned
destinations(const struct unit *unit)
{
	return conf_count(unit->node, "destination");
}

uint64_t
exporting_progress(const struct unit *unit)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < destinations(unit); i++) {
		const struct ledger *l = exporting_ledger(unit->stage, i);

		sum += l->exported + ledger_lost(l);
	}
	return sum;
}

/* ---- the account --------------------------------------------------------- */

static bool
is_source(const struct unit *unit)
{
	return unit->kind == UNIT_COLLECTING || unit->kind == UNIT_METER ||
	       unit->capture_count > 0;
}

static void
add_losses(struct ledger *sum, const struct ledger *ledger)
{
	for (int i = 0; i < LOSS_COUNT; i++)
		sum->lost[i] += ledger->lost[i];
}

/*
 * What an Exporting Process has given to its destinations is exported once they
 * are rid of it. In parallel mode each of them gets every record, and there it
 * counts once for each. Only records without a domain were given to none.
 */
static void
add_destinations(const struct unit *unit, struct ledger *sum, uint64_t *copied)
{
	const struct ledger *l = &unit->stage->ledger;
	unsigned count = destinations(unit);
	uint64_t all = 0, each;

	for (unsigned i = 0; i < count; i++) {
		const struct ledger *d = exporting_ledger(unit->stage, i);

		all += d->in;
		sum->exported += d->exported;
		sum->filtered += d->filtered;
		sum->held += d->held;
		sum->doubtful += d->doubtful;
		add_losses(sum, d);
	}
	/* Options that went again came by splits, one for each destination. */
	sum->split += l->split;
	all -= l->split;
	each = conf_is(unit->node, "exportMode", "parallel") ? all / count
							     : all;
	*copied += all - each;
	sum->filtered += l->filtered;
	sum->lost[LOSS_LIMIT] += l->in - l->filtered - each;
}

static void
add_ledger(const struct unit *unit, struct ledger *sum, uint64_t *copied)
{
	const struct ledger *l = &unit->stage->ledger;

	if (is_source(unit))
		sum->in += l->in;
	if (unit->kind == UNIT_EXPORTING) {
		add_destinations(unit, sum, copied);
		return;
	}
	if (unit->stage->next_count > 1)
		*copied += l->exported * (unit->stage->next_count - 1);
	else if (unit->stage->next_count == 0 &&
		 unit->kind != UNIT_HANDOVER && unit->kind != UNIT_REMOTE)
		/* It leads nowhere: that is as far as its records went. */
		sum->filtered += l->exported;
	sum->split += l->split;
	sum->merged += l->merged;
	sum->filtered += l->filtered;
	sum->held += l->held;
	add_losses(sum, l);
}

void
runtime_ledger(struct runtime *runtime, struct ledger *sum, uint64_t *copied)
{
	*sum = (struct ledger){0};
	*copied = 0;
	workers_park(runtime);
	for (unsigned w = 0; w < runtime->worker_count; w++) {
		const struct worker *worker = &runtime->worker[w];

		for (unsigned i = 0; i < worker->unit_count; i++)
			add_ledger(&worker->unit[i], sum, copied);
		if (!worker->intake)
			continue;
		const struct ledger *in = intake_ledger(worker->intake);

		add_losses(sum, in);
		/* On the way through the ring. */
		for (unsigned i = 0; i < worker->unit_count; i++)
			if (worker->unit[i].kind == UNIT_HANDOVER)
				sum->held += worker->unit[i]
						     .stage->ledger.exported;
		sum->held -= in->in;
	}
	workers_release(runtime);
}

static void
format_ledger(struct text *out, const struct ledger *l)
{
	text_printf(out, "in %" PRIu64, l->in);
	if (l->split)
		text_printf(out, ", split %" PRIu64, l->split);
	text_printf(out,
		    ", exported %" PRIu64 ", merged %" PRIu64
		    ", filtered %" PRIu64 ", lost %" PRIu64,
		    l->exported, l->merged, l->filtered, ledger_lost(l));
	if (l->held)
		text_printf(out, ", held %" PRIu64, l->held);
	for (int i = 0; i < LOSS_COUNT; i++)
		if (l->lost[i])
			text_printf(out, ", %s %" PRIu64,
				    loss_name((enum loss)i), l->lost[i]);
	if (l->doubtful)
		text_printf(out, ", doubtful %" PRIu64, l->doubtful);
}

/* What a process has saved: the flows of a cache. */
static uint64_t
saved_by(const struct runtime *runtime, const struct conf_node *node)
{
	const struct worker *first = &runtime->worker[0];
	uint64_t saved = 0;

	for (unsigned u = 0; u < first->unit_count; u++)
		if (first->unit[u].kind == UNIT_CACHE &&
		    (!node || first->unit[u].node == node))
			saved += cache_saved(first->unit[u].stage);
	return saved;
}

/* What is in the files of caches and destinations when all has ended. */
static uint64_t
kept_on_disk(const struct runtime *runtime)
{
	const struct worker *first = &runtime->worker[0];
	uint64_t kept = saved_by(runtime, NULL);

	for (unsigned u = 0; u < first->unit_count; u++) {
		const struct unit *unit = &first->unit[u];

		if (unit->kind != UNIT_EXPORTING)
			continue;
		for (unsigned i = 0; i < destinations(unit); i++)
			kept += exporting_ledger(unit->stage, i)->held;
	}
	return kept;
}

/* Once all has ended, nothing can be delivered any more but what is kept. */
static void
give_up(const struct runtime *runtime, struct ledger *l, uint64_t kept)
{
	if (runtime->phase != PHASE_ENDED)
		return;
	l->lost[LOSS_DESTINATION_DOWN] += l->held - kept;
	l->held = kept;
}

static void
log_one(const char *kind, const char *name, const char *part,
	const struct ledger *ledger)
{
	struct text line = {0};

	format_ledger(&line, ledger);
	if (!line.failed)
		log_notice("ledger: %s%s%s%s%s: %s", kind, name ? " " : "",
			   name ? name : "", part ? "/" : "", part ? part : "",
			   line.data);
	text_fini(&line);
}

/* The sum of what stands for one process in all workers. */
static bool
sum_units(const struct runtime *runtime, const struct conf_node *node,
	  struct ledger *sum)
{
	bool any = false;

	*sum = (struct ledger){0};
	for (unsigned w = 0; w < runtime->worker_count; w++) {
		const struct worker *worker = &runtime->worker[w];

		for (unsigned i = 0; i < worker->unit_count; i++) {
			const struct unit *unit = &worker->unit[i];

			if (unit->node != node || unit->kind == UNIT_HANDOVER ||
			    unit->kind == UNIT_REMOTE)
				continue;
			ledger_add(sum, &unit->stage->ledger);
			any = true;
		}
	}
	return any;
}

static void
log_process(struct runtime *runtime, const struct conf_node *node)
{
	struct ledger sum;

	if (!sum_units(runtime, node, &sum))
		return;
	give_up(runtime, &sum, saved_by(runtime, node));
	log_one(node->name, conf_name(node), NULL, &sum);
}

static void
log_exporter(struct runtime *runtime, const struct conf_node *node)
{
	struct unit *unit = worker_find(&runtime->worker[0], node, 0);
	const struct conf_node *destination;
	struct ledger ledger;
	unsigned i = 0;

	log_process(runtime, node);
	conf_each (destination, node, "destination") {
		/* At the end that is what its spool has. */
		ledger = *exporting_ledger(unit->stage, i++);
		log_one("destination", conf_name(node), conf_name(destination),
			&ledger);
	}
}

void
runtime_log_ledger(struct runtime *runtime)
{
	const struct conf_node *root = conf_root(runtime->conf), *node, *meter;
	struct ledger sum;
	uint64_t copied;
	char more[48] = "all";

	runtime_ledger(runtime, &sum, &copied);
	workers_park(runtime);
	conf_each (node, root, "collectingProcess") {
		log_process(runtime, node);
		conf_each (meter, node, "meterReader")
			log_process(runtime, meter);
	}
	conf_each (node, root, "observationPoint")
		log_process(runtime, node);
	conf_each (node, root, "selectionProcess")
		log_process(runtime, node);
	conf_each (node, root, "intermediateProcess")
		log_process(runtime, node);
	conf_each (node, root, "cache")
		log_process(runtime, node);
	conf_each (node, root, "exportingProcess")
		log_exporter(runtime, node);
	conf_each (node, root, "meterAgent")
		log_process(runtime, node);
	if (copied)
		snprintf(more, sizeof(more), "all (copied %" PRIu64 ")",
			 copied);
	give_up(runtime, &sum, kept_on_disk(runtime));
	log_one(more, NULL, NULL, &sum);
	workers_release(runtime);
}

void
runtime_progress(const struct runtime *runtime, uint64_t *done, uint64_t *total,
		 uint64_t *packets)
{
	/* Files are read by the first worker alone. */
	const struct worker *first = &runtime->worker[0];
	uint64_t d, t;

	*done = *total = *packets = 0;
	for (unsigned i = 0; i < first->unit_count; i++) {
		const struct unit *unit = &first->unit[i];

		for (unsigned c = 0; c < unit->capture_count; c++) {
			capture_progress(unit->capture[c], &d, &t);
			*done += d;
			*total += t;
		}
		if (unit->capture_count)
			*packets += unit->stage->ledger.in;
	}
}

/* ---- the report ---------------------------------------------------------- */

static void
report_daemon(struct runtime *runtime, struct report *report)
{
	char text[CLOCK_TEXT_SIZE];
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	report_open(report, "cx:daemon");
	report_text(report, "version", PACKAGE_VERSION);
	report_text(report, "startTime", clock_format(text, runtime->start_ms));
	report_text(report, "time", clock_format(text, clock_wall_ms()));
	report_uint(report, "workers", runtime->worker_count);
	report_uint(report, "userMilliseconds",
		    (uint64_t)usage.ru_utime.tv_sec * 1000 +
			    (uint64_t)usage.ru_utime.tv_usec / 1000);
	report_uint(report, "systemMilliseconds",
		    (uint64_t)usage.ru_stime.tv_sec * 1000 +
			    (uint64_t)usage.ru_stime.tv_usec / 1000);
	report_uint(report, "maxResidentOctets",
		    (uint64_t)usage.ru_maxrss * 1024);
	/* How long a loop was busy with something else at the worst. */
	report_list(report, "worker");
	for (unsigned i = 0; i < runtime->worker_count; i++) {
		report_item(report);
		report_uint(report, "lateMilliseconds",
			    runtime->worker[i].late_ms);
		report_close(report);
	}
	report_end_list(report);
	report_bool(report, "ending", runtime->phase > PHASE_RUN);
	report_close(report);
}

static void
report_account(struct runtime *runtime, struct report *report)
{
	struct ledger sum;
	uint64_t copied;

	runtime_ledger(runtime, &sum, &copied);
	report_open(report, "cx:total");
	report_uint(report, "copied", copied);
	ledger_report(&sum, report);
	report_close(report);
}

static void
report_stage(const struct unit *unit, struct report *report)
{
	report_item(report);
	if (unit->worker->runtime->worker_count > 1)
		report_uint(report, "cx:worker", unit->worker->index);
	if (unit->kind != UNIT_CACHE) /* which tells its name itself */
		report_text(report, "name", conf_name(unit->node));
	if (unit->kind == UNIT_METER)
		report_text(report, "collectingProcess",
			    conf_name(unit->node->parent));
	if (unit->point)
		report_text(report, "cx:observationPoint",
			    conf_name(unit->point));
	if (unit->stage->ops->report)
		unit->stage->ops->report(unit->stage, report);
	if (unit->kind == UNIT_AGENT)
		agent_report(unit->worker->runtime->agent, report);
	if (unit->capture_count) {
		report_list(report, "cx:capture");
		for (unsigned i = 0; i < unit->capture_count; i++) {
			report_item(report);
			capture_report(unit->capture[i], report);
			report_close(report);
		}
		report_end_list(report);
	}
	if (unit->kind != UNIT_COLLECTING && unit->kind != UNIT_CACHE)
		ledger_report(&unit->stage->ledger, report);
	report_close(report);
}

static void
report_list_of(struct runtime *runtime, const char *name, enum unit_kind kind,
	       struct report *report)
{
	report_list(report, name);
	for (unsigned w = 0; w < runtime->worker_count; w++) {
		const struct worker *worker = &runtime->worker[w];

		for (unsigned i = 0; i < worker->unit_count; i++)
			if (worker->unit[i].kind == kind)
				report_stage(&worker->unit[i], report);
	}
	report_end_list(report);
}

static bool
wanted(const char *section, const char *name)
{
	if (!section || strcmp(section, name) == 0)
		return true;
	return strncmp(name, "cx:", 3) == 0 && strcmp(section, name + 3) == 0;
}

int
runtime_report(struct runtime *runtime, const char *section,
	       struct report *report)
{
	static const struct {
		const char *name;
		enum unit_kind kind;
	} list[] = {
		{"collectingProcess", UNIT_COLLECTING},
		{"cx:meterReader", UNIT_METER},
		{"observationPoint", UNIT_OBSERVATION},
		{"cx:remoteObservation", UNIT_REMOTE},
		{"selectionProcess", UNIT_SELECTION},
		{"cx:intermediateProcess", UNIT_MEDIATION},
		{"cache", UNIT_CACHE},
		{"exportingProcess", UNIT_EXPORTING},
		{"cx:meterAgent", UNIT_AGENT},
	};
	bool any = false;

	if (wanted(section, "cx:daemon")) {
		workers_park(runtime);
		report_daemon(runtime, report);
		workers_release(runtime);
		any = true;
	}
	if (wanted(section, "cx:total") || wanted(section, "cx:ledger")) {
		report_account(runtime, report);
		any = true;
	}
	workers_park(runtime);
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		if (!wanted(section, list[i].name))
			continue;
		report_list_of(runtime, list[i].name, list[i].kind, report);
		any = true;
	}
	workers_release(runtime);
	return any ? 0 : -ENOENT;
}
