/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker: its elements and shapes, its ticks, and, for all but the first,
 * its thread. A worker runs to completion on its own event base; the main
 * thread gives it orders by a number and an eventfd, and reads its state only
 * while it stands still.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/filter.h"
#include "conflux/log.h"
#include "conflux/meter_reader.h"
#include "handover.h"
#include "runtime.h"

enum {
	TICK_MS = 100,
	FLUSH_MS = 2, /* caches that wait for their next stages */
	SHAPES_MAX = 65536,
};

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct worker *worker = arg;
	uint64_t now = clock_mono_ms();
	uint64_t since = now - worker->ticked_ms;

	if (worker->ticked_ms && since > TICK_MS + worker->late_ms)
		worker->late_ms = since - TICK_MS;
	worker->ticked_ms = now;
	for (unsigned i = 0; i < worker->unit_count; i++)
		stage_tick(worker->unit[i].stage, now);
	if (worker->index == 0) {
		overload_watch(worker->runtime, now);
		agent_tick(worker->runtime);
		commit_tick(worker->runtime);
	}
}

/* ---- sources ------------------------------------------------------------- */

void
worker_close_inputs(struct worker *worker)
{
	for (unsigned i = 0; i < worker->unit_count; i++) {
		struct unit *unit = &worker->unit[i];

		if (unit->input_count)
			collecting_save(unit->collecting);
		while (unit->input_count)
			net_in_close(unit->input[--unit->input_count]);
		for (unsigned c = 0; c < unit->capture_count; c++)
			capture_stop(unit->capture[c]);
	}
}

bool
worker_sources_finished(const struct worker *worker)
{
	for (unsigned i = 0; i < worker->unit_count; i++) {
		const struct unit *unit = &worker->unit[i];

		if (unit->kind == UNIT_METER ||
		    (unit->kind == UNIT_COLLECTING && !unit->finished) ||
		    unit->captures_ended < unit->capture_count)
			return false;
	}
	return true;
}

void
worker_capture_finished(void *arg)
{
	struct unit *unit = arg;

	unit->captures_ended++;
	event_active(unit->worker->check, EV_TIMEOUT, 0);
}

void
worker_source_finished(void *arg)
{
	struct unit *unit = arg;

	/* We are within a callback of the very input that has ended. */
	unit->finished = true;
	event_active(unit->worker->check, EV_TIMEOUT, 0);
}

/* True when it is drained. */
static bool
flush_unit(struct unit *unit, uint64_t now)
{
	if (unit->finished) {
		stage_tick(unit->stage, now);
	} else {
		unit->finished = true;
		stage_flush(unit->stage);
	}
	return stage_drained(unit->stage);
}

bool
worker_flush(struct worker *worker, enum unit_kind kind)
{
	uint64_t now = clock_mono_ms();
	bool drained = true;

	for (unsigned i = 0; i < worker->unit_count; i++)
		if (worker->unit[i].kind == kind)
			drained = flush_unit(&worker->unit[i], now) && drained;
	return drained;
}

bool
worker_flush_caches(struct worker *worker)
{
	uint64_t now = clock_mono_ms();

	/* What they still have to tell goes through the caches. */
	worker_flush(worker, UNIT_OBSERVATION);
	worker_flush(worker, UNIT_SELECTION);
	/* Each when nothing more comes from those before it. */
	for (unsigned i = 0; i < worker->unit_count; i++) {
		struct unit *unit = &worker->unit[i];

		if ((unit->kind == UNIT_MEDIATION ||
		     unit->kind == UNIT_CACHE) &&
		    !flush_unit(unit, now))
			return false;
	}
	return true;
}

/* ---- the thread ---------------------------------------------------------- */

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = {.tv_usec = FLUSH_MS * 1000};
	struct worker *worker = arg;

	if (worker_flush_caches(worker) && handover_port_finish(worker->port))
		event_base_loopbreak(worker->base);
	else
		evtimer_add(worker->flush, &soon);
}

/* From here on all that is left goes to the first worker, without haste. */
static void
begin_stop(struct worker *worker)
{
	if (worker->stopping)
		return;
	worker->stopping = true;
	handover_port_patient(worker->port);
	worker_close_inputs(worker);
	event_active(worker->flush, EV_TIMEOUT, 0);
}

static void
on_check(evutil_socket_t fd, short what, void *arg)
{
	struct worker *worker = arg;

	if (worker->index == 0)
		runtime_advance(worker->runtime);
	else if (worker_sources_finished(worker))
		begin_stop(worker);
}

void
worker_idle(void *arg)
{
	struct worker *worker = arg;

	if (atomic_load(&worker->order) != WORKER_PARK)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->parked = true;
	pthread_cond_broadcast(&worker->parked_changed);
	while (atomic_load(&worker->order) == WORKER_PARK)
		pthread_cond_wait(&worker->parked_changed, &worker->lock);
	worker->parked = false;
	pthread_mutex_unlock(&worker->lock);
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct worker *worker = arg;
	uint64_t count;

	if (read(worker->wake_fd, &count, sizeof(count)) < 0)
		return;
	worker_idle(worker);
	/* Between two batches, as this is called from the loop alone. */
	if (atomic_exchange(&worker->change, false)) {
		change_apply(worker);
		handover_port_barrier(worker->port);
	}
	if (atomic_exchange(&worker->reload, false))
		reload_apply(worker);
	if (atomic_load(&worker->order) == WORKER_STOP)
		begin_stop(worker);
}

static void *
run(void *arg)
{
	struct worker *worker = arg;

	event_base_dispatch(worker->base);
	/* Nothing of it moves any more: it counts as parked from now on. */
	pthread_mutex_lock(&worker->lock);
	worker->parked = true;
	pthread_cond_broadcast(&worker->parked_changed);
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

/* ---- what the main thread calls ------------------------------------------ */

int
worker_start(struct worker *worker)
{
	static const struct timeval tick = {.tv_usec = TICK_MS * 1000};
	char name[16]; /* for top(1); the kernel takes no more */
	sigset_t all, old;
	int rc;

	event_add(worker->tick, &tick);
	/* What has nothing to receive is finished from the start. */
	event_active(worker->check, EV_TIMEOUT, 0);
	if (worker->index == 0)
		return 0;
	/* Signals are for the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(&worker->thread, NULL, run, worker);
	if (rc == 0) {
		snprintf(name, sizeof(name), "worker %u", worker->index);
		pthread_setname_np(worker->thread, name);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	worker->started = rc == 0;
	return -rc;
}

static void
wake(const struct worker *worker)
{
	uint64_t one = 1;

	if (write(worker->wake_fd, &one, sizeof(one)) < 0)
		log_debug("worker %u: %s", worker->index, strerror(errno));
}

void
worker_order(struct worker *worker, enum worker_order order)
{
	pthread_mutex_lock(&worker->lock);
	atomic_store(&worker->order, order);
	pthread_cond_broadcast(&worker->parked_changed);
	pthread_mutex_unlock(&worker->lock);
	wake(worker);
}

void
worker_change(struct worker *worker)
{
	atomic_store(&worker->change, true);
	wake(worker);
}

void
worker_reload(struct worker *worker)
{
	atomic_store(&worker->reload, true);
	wake(worker);
}

void
workers_park(struct runtime *runtime)
{
	for (unsigned i = 1; i < runtime->worker_count; i++) {
		struct worker *worker = &runtime->worker[i];

		if (worker->started && !worker->finished)
			worker_order(worker, WORKER_PARK);
	}
	for (unsigned i = 1; i < runtime->worker_count; i++) {
		struct worker *worker = &runtime->worker[i];

		pthread_mutex_lock(&worker->lock);
		while (worker->started && !worker->parked)
			pthread_cond_wait(&worker->parked_changed,
					  &worker->lock);
		pthread_mutex_unlock(&worker->lock);
	}
}

void
workers_release(struct runtime *runtime)
{
	enum worker_order order =
		runtime->phase > PHASE_RUN ? WORKER_STOP : WORKER_RUN;

	for (unsigned i = 1; i < runtime->worker_count; i++)
		if (runtime->worker[i].started)
			worker_order(&runtime->worker[i], order);
}

void
worker_join(struct worker *worker)
{
	if (!worker->started)
		return;
	pthread_join(worker->thread, NULL);
	worker->started = false;
}

/* ---- init and fini ------------------------------------------------------- */

static int
init_thread(struct worker *worker)
{
	worker->base = event_base_new();
	worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!worker->base || worker->wake_fd < 0)
		return -ENOMEM;
	worker->wake = event_new(worker->base, worker->wake_fd,
				 EV_READ | EV_PERSIST, on_wake, worker);
	worker->flush = evtimer_new(worker->base, on_flush, worker);
	if (!worker->wake || !worker->flush ||
	    event_add(worker->wake, NULL) < 0)
		return -ENOMEM;
	return handover_port_new(worker->registry, worker_idle, worker,
				 &worker->port);
}

int
worker_init(struct worker *worker, struct runtime *runtime, unsigned index)
{
	int rc = 0;

	worker->runtime = runtime;
	worker->index = index;
	worker->wake_fd = -1;
	atomic_init(&worker->order, WORKER_RUN);
	atomic_init(&worker->change, false);
	atomic_init(&worker->reload, false);
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->parked_changed, NULL);
	worker->base = index > 0 ? NULL : runtime->base;
	rc = elements_registry(runtime->conf, &worker->registry);
	if (rc == 0 && index > 0)
		rc = init_thread(worker);
	worker->shapes = shape_table_new(SHAPES_MAX);
	if (rc < 0 || !worker->shapes)
		return rc < 0 ? rc : -ENOMEM;
	worker->tick = event_new(worker->base, -1, EV_PERSIST, on_tick, worker);
	worker->check = evtimer_new(worker->base, on_check, worker);
	return worker->tick && worker->check ? 0 : -ENOMEM;
}

static void
free_event(struct event *event)
{
	if (event)
		event_free(event);
}

void
worker_fini(struct worker *worker)
{
	if (!worker->runtime)
		return;
	worker_close_inputs(worker);
	/* From the sources to the sinks: a scope ends at its next stages. */
	for (unsigned i = 0; i < worker->unit_count; i++) {
		for (unsigned c = 0; c < worker->unit[i].capture_count; c++)
			capture_close(worker->unit[i].capture[c]);
		stage_free(worker->unit[i].stage);
		for (unsigned k = 0; k < worker->unit[i].filter_count; k++)
			filter_free(worker->unit[i].filter[k]);
		free(worker->unit[i].filter);
		free(worker->unit[i].input);
		free(worker->unit[i].state_file);
		free(worker->unit[i].capture);
	}
	free(worker->unit);
	handover_port_free(worker->port);
	free_event(worker->tick);
	free_event(worker->check);
	free_event(worker->wake);
	free_event(worker->flush);
	if (worker->wake_fd >= 0)
		close(worker->wake_fd);
	if (worker->index > 0 && worker->base)
		event_base_free(worker->base);
	if (worker->shapes)
		shape_table_free(worker->shapes);
	ie_registry_free(worker->registry);
	pthread_mutex_destroy(&worker->lock);
	pthread_cond_destroy(&worker->parked_changed);
}
