/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of all workers: made, started, ended. The end goes by phases, from
 * the sources to the sinks, each begun when the one before is done or has
 * taken too long.
 */
#include "conflux/runtime.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "conflux/exporting.h"
#include "conflux/log.h"
#include "conflux/manage.h"
#include "conflux/meter_reader.h"
#include "handover.h"
#include "runtime.h"

enum {
	ADVANCE_MS = 2,
	METER_STOP_MS = 2000,
	/* Without any progress a phase is given up after that time. Without a
	 * signal there is nobody who waits. */
	STALL_MS = 5000,
	STALL_FINITE_MS = 30000,
	/* After a signal no phase goes on for longer than that. */
	PHASE_MS = 15000,
};

/* ---- the end ------------------------------------------------------------- */

static void
enter(struct runtime *runtime, enum phase phase)
{
	runtime->phase = phase;
	runtime->phase_ms = runtime->moved_ms = clock_mono_ms();
}

/* A number that changes while records still move. */
static uint64_t
progress(const struct runtime *runtime)
{
	uint64_t sum = 0;

	for (unsigned w = 0; w < runtime->worker_count; w++) {
		const struct worker *worker = &runtime->worker[w];

		if (w > 0) {
			const struct ledger *l =
				intake_ledger(worker->intake);

			sum += l->in + worker->finished;
			continue;
		}
		for (unsigned i = 0; i < worker->unit_count; i++) {
			const struct unit *unit = &worker->unit[i];

			sum += unit->stage->ledger.exported + unit->drained;
			if (unit->kind == UNIT_EXPORTING)
				sum += exporting_progress(unit);
		}
	}
	return sum;
}

static bool
too_long(struct runtime *runtime)
{
	uint64_t now = clock_mono_ms();
	uint64_t moved = progress(runtime);

	if (moved != runtime->progress) {
		runtime->progress = moved;
		runtime->moved_ms = now;
	}
	if (runtime->finite)
		return now - runtime->moved_ms >= STALL_FINITE_MS;
	return now - runtime->moved_ms >= STALL_MS ||
	       now - runtime->phase_ms >= PHASE_MS;
}

static bool
sources_ended(const struct runtime *runtime)
{
	const struct worker *first = &runtime->worker[0];

	for (unsigned i = 0; i < first->unit_count; i++)
		if (first->unit[i].kind == UNIT_METER &&
		    !first->unit[i].drained)
			return false;
	for (unsigned w = 1; w < runtime->worker_count; w++)
		if (!runtime->worker[w].finished)
			return false;
	return true;
}

static void
on_meter_done(void *arg)
{
	struct unit *unit = arg;

	unit->drained = true;
	event_active(unit->worker->check, EV_TIMEOUT, 0);
}

static void
stop_sources(struct runtime *runtime)
{
	struct worker *first = &runtime->worker[0];

	enter(runtime, PHASE_SOURCES);
	for (unsigned w = 1; w < runtime->worker_count; w++)
		if (runtime->worker[w].started)
			worker_order(&runtime->worker[w], WORKER_STOP);
	for (unsigned i = 0; i < first->unit_count; i++)
		if (first->unit[i].kind == UNIT_METER)
			meter_reader_stop(first->unit[i].stage, METER_STOP_MS,
					  on_meter_done, &first->unit[i]);
	worker_close_inputs(first);
}

static bool
all_finished(const struct runtime *runtime)
{
	/* Readers have not come for the last time when the last packet has. */
	if (runtime->agent)
		return false;
	for (unsigned w = 1; w < runtime->worker_count; w++)
		if (!runtime->worker[w].finished)
			return false;
	return worker_sources_finished(&runtime->worker[0]);
}

/* Before the last ledger, so that it tells what became of all records. */
static void
end_exporters(struct worker *first)
{
	for (unsigned i = 0; i < first->unit_count; i++)
		if (first->unit[i].kind == UNIT_EXPORTING)
			exporting_end(first->unit[i].stage);
}

/* One step; true if the phase changed. */
static bool
step(struct runtime *runtime)
{
	struct worker *first = &runtime->worker[0];

	switch (runtime->phase) {
	case PHASE_RUN:
		if (!all_finished(runtime))
			return false;
		log_info("all sources are finished");
		runtime->finite = true;
		stop_sources(runtime);
		return true;
	case PHASE_SOURCES:
		if (!sources_ended(runtime) && !too_long(runtime))
			return false;
		enter(runtime, PHASE_CACHES);
		return true;
	case PHASE_CACHES:
		if (!worker_flush_caches(first) && !too_long(runtime))
			return false;
		enter(runtime, PHASE_EXPORTERS);
		return true;
	case PHASE_EXPORTERS:
		if (!worker_flush(first, UNIT_EXPORTING) &&
		    !too_long(runtime))
			return false;
		enter(runtime, PHASE_ENDED);
		commit_tick(runtime);
		end_exporters(first);
		runtime->ended(runtime->arg);
		return false;
	case PHASE_READY:
	case PHASE_ENDED:
		break;
	}
	return false;
}

void
runtime_advance(struct runtime *runtime)
{
	static const struct timeval soon = {.tv_usec = ADVANCE_MS * 1000};

	while (step(runtime))
		;
	if (runtime->phase > PHASE_RUN && runtime->phase < PHASE_ENDED)
		evtimer_add(runtime->advance, &soon);
}

static void
on_advance(evutil_socket_t fd, short what, void *arg)
{
	runtime_advance(arg);
}

static void
on_worker_finished(void *arg)
{
	struct worker *worker = arg;

	worker->finished = true;
	change_met(worker);
	event_active(worker->runtime->worker[0].check, EV_TIMEOUT, 0);
}

void
runtime_stop(struct runtime *runtime)
{
	/* It may be under way already, with more patience. */
	runtime->finite = false;
	if (runtime->phase > PHASE_RUN)
		return;
	stop_sources(runtime);
	runtime_advance(runtime);
}

/* ---- the beginning ------------------------------------------------------- */

static int
on_status(void *arg, const char *section, struct report *report)
{
	return runtime_report(arg, section, report);
}

static const struct manage_ops control_ops = {
	.status = on_status,
	.selection = runtime_selection,
	.change = runtime_change,
};

/* Nobody asked for the default path: it is no error if it can't be had. */
static int
open_control(struct runtime *runtime, char **error)
{
	const struct conf_node *node =
		conf_child(conf_root(runtime->conf), "controlSocket");
	char *reason = NULL;
	int rc;

	if (!node || !node->path)
		return 0;
	rc = manage_open(runtime->base, node->path, &control_ops, runtime,
			 &runtime->manage, &reason);
	if (rc == 0) {
		log_info("control socket: %s", node->path);
		return 0;
	}
	if (!node->defaulted) {
		*error = reason;
		return rc;
	}
	log_notice("conflux status can't ask this daemon: %s",
		   reason ? reason : strerror(-rc));
	free(reason);
	return 0;
}

static unsigned
count_collectors(const struct conf *conf)
{
	const struct conf_node *process;
	unsigned n = 0;

	conf_each (process, conf_root(conf), "collectingProcess")
		n += conf_count(process, "udpCollector") +
		     conf_count(process, "tcpCollector") +
		     conf_count(process, "sctpCollector");
	return n;
}

/* The stages that handovers stand for. */
static int
find_targets(struct runtime *runtime)
{
	struct worker *first = &runtime->worker[0];

	runtime->target_stage = calloc(runtime->target_count + 1,
				       sizeof(*runtime->target_stage));
	if (!runtime->target_stage)
		return -ENOMEM;
	for (unsigned i = 0; i < runtime->target_count; i++) {
		const struct target *target = &runtime->target[i];

		runtime->target_stage[i] =
			worker_find(first, target->node, target->domain)
				->stage;
	}
	return 0;
}

static int
make_worker(struct runtime *runtime, unsigned index, char **error)
{
	struct worker *first = &runtime->worker[0];
	struct worker *worker = &runtime->worker[index];
	int rc = worker_init(worker, runtime, index);

	if (rc == 0)
		rc = build_worker(worker, error);
	if (rc == 0 && index == 0)
		rc = find_targets(runtime);
	if (rc == 0 && index > 0)
		rc = intake_new(runtime->base, worker->port,
				runtime->target_stage, runtime->target_count,
				first->registry, first->shapes,
				on_worker_finished, change_met, worker,
				&worker->intake);
	return rc;
}

int
runtime_new(struct event_base *base, const struct conf *conf,
	    void (*ended)(void *arg), void *arg, struct runtime **out,
	    char **error)
{
	struct runtime *runtime = calloc(1, sizeof(*runtime));
	int rc = 0;

	*error = NULL;
	if (!runtime)
		return -ENOMEM;
	runtime->conf = conf;
	runtime->base = base;
	runtime->ended = ended;
	runtime->arg = arg;
	runtime->start_ms = clock_wall_ms();
	runtime->id_seed = hash_seed();
	if (getrandom(runtime->ticket_secret, sizeof(runtime->ticket_secret),
		      0) != sizeof(runtime->ticket_secret))
		rc = -EIO;
	runtime->worker_count =
		(unsigned)conf_uint(conf_root(conf), "workers", 1);
	runtime->worker =
		calloc(runtime->worker_count, sizeof(*runtime->worker));
	runtime->port =
		calloc(count_collectors(conf) + 1, sizeof(*runtime->port));
	runtime->advance = evtimer_new(base, on_advance, runtime);
	runtime->target = targets_of(conf, &runtime->target_count);
	if (rc == 0)
		rc = commit_init(runtime);
	if (rc == 0 && (!runtime->worker || !runtime->port ||
			!runtime->advance || !runtime->target))
		rc = -ENOMEM;
	for (unsigned i = 0; rc == 0 && i < runtime->worker_count; i++)
		rc = make_worker(runtime, i, error);
	if (rc == 0)
		rc = commit_restore(runtime, error);
	if (rc == 0)
		rc = open_control(runtime, error);
	if (rc < 0) {
		runtime_free(runtime);
		return rc;
	}
	*out = runtime;
	return 0;
}

int
runtime_start(struct runtime *runtime)
{
	struct worker *first = &runtime->worker[0];
	int rc = 0;

	enter(runtime, PHASE_RUN);
	for (unsigned i = 0; rc == 0 && i < runtime->worker_count; i++)
		rc = worker_start(&runtime->worker[i]);
	for (unsigned i = 0; rc == 0 && i < first->unit_count; i++)
		if (first->unit[i].kind == UNIT_METER)
			rc = meter_reader_start(first->unit[i].stage);
	return rc < 0 ? rc : reload_start(runtime);
}

uint16_t
runtime_port(const struct runtime *runtime, const char *collector)
{
	static const char *const list[] = {"udpCollector", "tcpCollector",
					   "sctpCollector"};
	const struct conf_node *process, *node;
	unsigned n = 0;

	conf_each (process, conf_root(runtime->conf), "collectingProcess")
		for (int i = 0; i < 3; i++)
			conf_each (node, process, list[i]) {
				if (strcmp(conf_name(node), collector) == 0)
					return runtime->port[n];
				n++;
			}
	return 0;
}

/*
 * Workers that still run (after a phase that took too long) are waited for;
 * nothing is read from their rings any more.
 */
static void
end_threads(struct runtime *runtime)
{
	for (unsigned i = 1; i < runtime->worker_count; i++) {
		struct worker *worker = &runtime->worker[i];

		if (worker->port)
			handover_port_abandon(worker->port);
		if (!worker->started)
			continue;
		worker_order(worker, WORKER_STOP);
		worker_join(worker);
	}
}

void
runtime_free(struct runtime *runtime)
{
	unsigned workers;

	if (!runtime)
		return;
	manage_close(runtime->manage);
	workers = runtime->worker ? runtime->worker_count : 0;
	if (workers)
		end_threads(runtime);
	/* The others' intakes use stages of the first. */
	for (unsigned i = workers; i-- > 1;)
		intake_free(runtime->worker[i].intake);
	for (unsigned i = workers; i-- > 0;)
		worker_fini(&runtime->worker[i]);
	commit_fini(runtime);
	changes_free(runtime);
	meter_engine_free(runtime->meters);
	agent_close(runtime->agent);
	reload_stop(runtime);
	if (runtime->advance)
		event_free(runtime->advance);
	free(runtime->worker);
	free(runtime->port);
	free(runtime->target);
	free(runtime->target_stage);
	free(runtime);
}
