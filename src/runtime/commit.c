/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What was taken of streams that are acknowledged is made safe, and then
 * acknowledged: when enough has come, when somebody waits for an answer, and at
 * each tick. Safe is what would outlive this process: what all Exporting
 * Processes behind have given to the system, for files and spools whose
 * collector acknowledges; for other destinations, and for what stays in caches,
 * that it has been taken.
 *
 * All of this is in the one worker that there is then.
 */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>

#include "conflux/clock.h"
#include "conflux/exporting.h"
#include "conflux/log.h"
#include "runtime.h"

static bool
is_acknowledged(const struct conf_node *process)
{
	static const char *const list[] = {"tcpCollector", "tcpDialer"};
	const struct conf_node *node;

	for (int i = 0; i < 2; i++)
		conf_each (node, process, list[i])
			if (conf_bool(node, "acknowledgement"))
				return true;
	return false;
}

bool
commit_wanted_by(const struct conf *conf, const struct conf_node *exporting)
{
	const struct conf_node *node;

	conf_each (node, conf_root(conf), "collectingProcess")
		if (is_acknowledged(node) &&
		    (!exporting || exports_to(node, exporting)))
			return true;
	return false;
}

/* The process that could not, or NULL. */
static const struct unit *
secure_all(struct worker *worker)
{
	const struct unit *failed = NULL;

	for (unsigned i = 0; i < worker->unit_count; i++) {
		struct unit *unit = &worker->unit[i];

		if (unit->kind == UNIT_EXPORTING && unit->commits &&
		    !exporting_secure(unit->stage))
			failed = unit;
	}
	return failed;
}

static void
on_commit(evutil_socket_t fd, short what, void *arg)
{
	struct runtime *runtime = arg;
	struct worker *worker = &runtime->worker[0];
	const struct unit *failed = secure_all(worker);
	uint32_t held;

	if (!failed)
		positions_settle(runtime->positions);
	else if (log_limit_pass(&runtime->commit_log, clock_mono_ms(), &held))
		log_warning("exportingProcess %s: it can't make safe what it "
			    "has: exporters have to wait for their "
			    "acknowledgement (%" PRIu32 " lines held back)",
			    conf_name(failed->node), held);
	for (unsigned i = 0; i < worker->unit_count; i++)
		if (worker->unit[i].kind == UNIT_COLLECTING)
			collecting_acknowledge(worker->unit[i].collecting,
					       !failed);
}

void
commit_soon(void *arg)
{
	struct unit *unit = arg;

	event_active(unit->worker->runtime->commit, EV_TIMEOUT, 0);
}

void
commit_tick(struct runtime *runtime)
{
	struct worker *worker = &runtime->worker[0];

	if (!runtime->positions)
		return;
	for (unsigned i = 0; i < worker->unit_count; i++)
		if (worker->unit[i].kind == UNIT_COLLECTING &&
		    collecting_unacknowledged(worker->unit[i].collecting)) {
			on_commit(-1, 0, runtime);
			return;
		}
}

int
commit_init(struct runtime *runtime)
{
	const struct conf_node *root = conf_root(runtime->conf);

	if (!commit_wanted_by(runtime->conf, NULL))
		return 0;
	runtime->positions = positions_new((uint32_t)conf_uint(
		conf_child(root, "limits"), "maxAcknowledgedStreams", 0));
	runtime->commit = evtimer_new(runtime->base, on_commit, runtime);
	return runtime->positions && runtime->commit ? 0 : -ENOMEM;
}

void
commit_fini(struct runtime *runtime)
{
	if (runtime->commit)
		event_free(runtime->commit);
	positions_free(runtime->positions);
}
