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
 * Where a spool's collector acknowledges, the positions go into the spool
 * itself (exporting/forward_seal.c), with a number that counts on. All spools
 * have it before anything is acknowledged or sent on. After a crash some may
 * have one more than others: then it is taken back, and the one before it
 * counts. Where there is no such spool they may go into a file, with the lengths
 * of the files that are appended to: these are cut back to it at the next start.
 * In others, what is written between that and the destinations is doubled by a
 * crash.
 *
 * All of this is in the one worker that there is then.
 */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/exporting.h"
#include "conflux/file.h"
#include "conflux/log.h"
#include "conflux/text.h"
#include "runtime.h"

enum { FILE_MAX = 4 << 20 };

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

/* Of the Exporting Processes that are asked the one behind it; NULL: the first,
 * the end. */
static const struct unit *
next_unit(const struct worker *worker, const struct unit *unit)
{
	unsigned i = unit ? (unsigned)(unit - worker->unit) + 1 : 0;

	for (; i < worker->unit_count; i++)
		if (worker->unit[i].commits)
			return &worker->unit[i];
	return NULL;
}

/* The process that could not, or NULL. */
static const struct unit *
secure_all(const struct worker *worker)
{
	const struct unit *failed = NULL, *unit = NULL;

	while ((unit = next_unit(worker, unit)))
		if (!exporting_secure(unit->stage))
			failed = unit;
	return failed;
}

static bool
is_unsealed(const struct worker *worker)
{
	const struct unit *unit = NULL;

	while ((unit = next_unit(worker, unit)))
		if (exporting_unsealed(unit->stage))
			return true;
	return false;
}

/* All spools, or none. */
static const struct unit *
seal_all(const struct worker *worker, uint64_t number)
{
	const struct positions *positions = worker->runtime->positions;
	const struct unit *failed = NULL, *unit = NULL;

	while (!failed && (unit = next_unit(worker, unit)))
		if (exporting_seal(unit->stage, number, positions))
			failed = unit;
	unit = NULL;
	while ((unit = next_unit(worker, unit)))
		if (failed)
			exporting_unseal(unit->stage, number);
		else
			exporting_release(unit->stage);
	return failed;
}

static bool
has_seals(const struct worker *worker)
{
	const struct unit *unit = NULL;

	while ((unit = next_unit(worker, unit)))
		if (exporting_seals(unit->stage))
			return true;
	return false;
}

/* The file, where no spool has the positions. 0 or a negative errno. */
static int
write_file(struct runtime *runtime)
{
	struct text text = {0};
	int rc;

	if (!runtime->commit_file || has_seals(&runtime->worker[0]))
		return 0;
	positions_write(runtime->positions, &text);
	rc = text.failed ? -ENOMEM
			 : file_replace(runtime->commit_file, text.data,
					text.length, 0640, false);
	text_fini(&text);
	return rc;
}

/* Is there more in the files than the last time that we looked? What others send
 * there, too, must not be cut back. */
static void
note_files(struct runtime *runtime)
{
	const struct worker *worker = &runtime->worker[0];
	const struct unit *unit = NULL;

	if (!runtime->commit_file || has_seals(worker))
		return;
	while ((unit = next_unit(worker, unit)))
		if (exporting_note_files(unit->stage, runtime->positions))
			runtime->commit_grown = true;
}

/* False: it is not, and the log says why. */
static bool
make_safe(struct runtime *runtime)
{
	struct worker *worker = &runtime->worker[0];
	const struct unit *failed = secure_all(worker);
	uint32_t held;
	int rc = 0;

	if (!failed)
		note_files(runtime);
	if (!failed && positions_settled(runtime->positions) &&
	    !is_unsealed(worker) && !runtime->commit_grown)
		return true;
	if (!failed)
		failed = seal_all(worker, runtime->seal + 1);
	if (!failed)
		rc = write_file(runtime);
	if (!failed && rc == 0) {
		runtime->seal++;
		runtime->commit_grown = false;
		positions_settle(runtime->positions);
		return true;
	}
	if (log_limit_pass(&runtime->commit_log, clock_mono_ms(), &held))
		log_warning("%s%s: %s: exporters have to wait for their "
			    "acknowledgement (%" PRIu32 " lines held back)",
			    failed ? "exportingProcess " : "",
			    failed ? conf_name(failed->node)
				   : runtime->commit_file,
			    failed ? "it can't make safe what it has"
				   : strerror(-rc),
			    held);
	return false;
}

static void
on_commit(evutil_socket_t fd, short what, void *arg)
{
	struct runtime *runtime = arg;
	struct worker *worker = &runtime->worker[0];
	bool safe = make_safe(runtime);

	for (unsigned i = 0; i < worker->unit_count; i++)
		if (worker->unit[i].kind == UNIT_COLLECTING)
			collecting_acknowledge(worker->unit[i].collecting,
					       safe);
}

void
commit_soon(void *arg)
{
	struct unit *unit = arg;

	event_active(unit->worker->runtime->commit, EV_TIMEOUT, 0);
}

static bool
is_waited_for(struct worker *worker)
{
	for (unsigned i = 0; i < worker->unit_count; i++)
		if (worker->unit[i].kind == UNIT_COLLECTING &&
		    collecting_unacknowledged(worker->unit[i].collecting))
			return true;
	return false;
}

void
commit_tick(struct runtime *runtime)
{
	struct worker *worker = &runtime->worker[0];

	if (!runtime->positions)
		return;
	note_files(runtime);
	if (is_waited_for(worker) || is_unsealed(worker) ||
	    runtime->commit_grown || !positions_settled(runtime->positions))
		on_commit(-1, 0, runtime);
}

/* ---- what an earlier run has left ------------------------------------------
 */

static int
restore(const struct worker *worker, uint64_t number)
{
	struct positions *positions = worker->runtime->positions;
	const struct unit *unit = NULL;
	bool read = false;
	int rc = 0;

	while (rc == 0 && (unit = next_unit(worker, unit)))
		rc = exporting_seal_back(unit->stage, number);
	unit = NULL;
	while (rc == 0 && !read && (unit = next_unit(worker, unit)))
		read = exporting_seal_read(unit->stage, number, positions) == 0;
	if (rc == 0 && !read)
		log_error("what was acknowledged can't be read: records may "
			  "be doubled");
	return rc;
}

/* One that is not there is none; one that is none stops us. */
static int
read_file(struct runtime *runtime, char **error)
{
	const char *path = runtime->commit_file;
	size_t length;
	char *data;
	int rc;

	if (!path)
		return 0;
	rc = file_read_all(path, FILE_MAX, &data, &length);
	if (rc == -ENOENT)
		return 0;
	if (rc == 0) {
		rc = positions_read(runtime->positions, data, length);
		free(data);
	}
	if (rc < 0 && rc != -ENOMEM)
		text_error(error, rc, "%s: %s", path,
			   rc == -EBADMSG ? "this is no cx:acknowledgementFile"
					  : strerror(-rc));
	return rc;
}

/* Before anything is written. */
static int
cut_files(struct runtime *runtime)
{
	const struct unit *unit = NULL;
	int rc = 0;

	while (rc == 0 && (unit = next_unit(&runtime->worker[0], unit)))
		rc = exporting_cut_files(unit->stage, runtime->positions);
	return rc;
}

int
commit_restore(struct runtime *runtime, char **error)
{
	const struct worker *worker = &runtime->worker[0];
	const struct unit *unit = NULL;
	bool behind = false;
	int rc;

	if (!runtime->positions)
		return 0;
	while ((unit = next_unit(worker, unit)))
		exporting_sealed(unit->stage, &runtime->seal, &behind);
	if (!runtime->seal) {
		rc = read_file(runtime, error);
		return rc < 0 ? rc : cut_files(runtime);
	}
	if (behind)
		runtime->seal--;
	rc = restore(worker, runtime->seal);
	if (rc < 0)
		return rc;
	log_info("%" PRIu32 " streams are known that are acknowledged",
		 positions_count(runtime->positions));
	/* Where this run writes to it is known from the beginning. */
	if (!seal_all(worker, runtime->seal + 1))
		runtime->seal++;
	return 0;
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
	runtime->commit_file = conf_path(root, "acknowledgementFile");
	return runtime->positions && runtime->commit ? 0 : -ENOMEM;
}

void
commit_fini(struct runtime *runtime)
{
	if (runtime->commit)
		event_free(runtime->commit);
	positions_free(runtime->positions);
}
