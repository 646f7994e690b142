/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of Intermediate Processes are read again by the first worker, and taken
 * over by the others.
 *
 * Certificates, keys, revocation lists and pre-shared keys are read again while
 * all goes on: sessions keep what they began with, unless the peer was revoked.
 * Each worker has its own and reads them between two batches, in its own
 * thread. What can't be read, or is wrong, leaves the process that needs it as
 * it was.
 *
 * What is about to expire is told at the start, after a reload, and daily. The
 * first worker has all of it, and so it is the one to tell.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conflux/exporting.h"
#include "conflux/log.h"
#include "conflux/runtime.h"
#include "runtime.h"

static void
reload_input(struct worker *worker, struct unit *unit, struct net_in *in,
	     unsigned *done, unsigned *failed)
{
	char *error = NULL;
	int rc = net_in_reload(in, &error);

	*done += rc > 0;
	*failed += rc < 0;
	/* The others have read the same files a moment later. */
	if (rc < 0 && (worker->index == 0 || !worker->runtime->reload_failed))
		log_error("collecting: %s: %s; it goes on with what it has",
			  conf_name(unit->node), error ? error : strerror(-rc));
	free(error);
}

static void
reload_mediation(struct stage *stage)
{
	char *error = NULL;
	int rc;

	if (!stage->ops->reload)
		return;
	rc = stage->ops->reload(stage, &error);
	if (rc < 0)
		log_error("intermediate process %s: %s; it goes on with what "
			  "it has",
			  stage->name, error ? error : strerror(-rc));
	free(error);
}

void
reload_apply(struct worker *worker)
{
	unsigned done = 0, failed = 0;

	for (unsigned i = 0; i < worker->unit_count; i++) {
		struct unit *unit = &worker->unit[i];

		for (unsigned n = 0; n < unit->input_count; n++)
			reload_input(worker, unit, unit->input[n], &done,
				     &failed);
		if (unit->kind == UNIT_EXPORTING)
			exporting_reload(unit->stage, &done, &failed);
		if (unit->kind == UNIT_MEDIATION)
			reload_mediation(unit->stage);
	}
	if (worker->index > 0)
		return;
	worker->runtime->reload_failed = failed > 0;
	if (done + failed == 0)
		log_notice("there are no certificates or keys to read again");
	else
		log_notice("certificates and keys were read again: %u of %u "
			   "collectors and destinations use what is new",
			   done, done + failed);
}

static void
warn_expiry(struct worker *worker)
{
	int64_t now = (int64_t)time(NULL);

	for (unsigned i = 0; i < worker->unit_count; i++) {
		struct unit *unit = &worker->unit[i];

		for (unsigned n = 0; n < unit->input_count; n++)
			net_in_warn_expiry(unit->input[n], now);
		if (unit->kind == UNIT_EXPORTING)
			exporting_warn_expiry(unit->stage, now);
	}
}

static void
on_day(evutil_socket_t fd, short what, void *arg)
{
	struct runtime *runtime = arg;

	warn_expiry(&runtime->worker[0]);
}

int
reload_start(struct runtime *runtime)
{
	static const struct timeval day = {.tv_sec = 86400};

	warn_expiry(&runtime->worker[0]);
	runtime->daily =
		event_new(runtime->base, -1, EV_PERSIST, on_day, runtime);
	if (!runtime->daily || event_add(runtime->daily, &day) < 0)
		return -ENOMEM;
	return 0;
}

void
reload_stop(struct runtime *runtime)
{
	if (runtime->daily)
		event_free(runtime->daily);
}

void
runtime_reload(struct runtime *runtime)
{
	if (runtime->phase != PHASE_RUN)
		return;
	reload_apply(&runtime->worker[0]);
	for (unsigned i = 1; i < runtime->worker_count; i++)
		if (runtime->worker[i].started)
			worker_reload(&runtime->worker[i]);
	warn_expiry(&runtime->worker[0]);
}
