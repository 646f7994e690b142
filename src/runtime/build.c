/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Units of a worker, and the links between them. Records leave only from the
 * first worker. A cache of another worker merges what that worker collects and
 * hands it over every second to the cache of the same name in the first one,
 * which merges again and knows the timeouts: so a flow that several workers
 * see is one flow, and the second merge costs per flow and second, not per
 * record. Where merging twice would change the result (see
 * cache_merges_twice), records are handed over as they come.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handover.h"
#include "runtime.h"

int
build_error(char **error, int rc, const struct conf_node *node,
	    const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (asprintf(error, "%s \"%s\" (line %u): %s", node->name,
		     conf_name(node) ? conf_name(node) : "", node->line,
		     text) < 0)
		*error = NULL;
	return rc;
}

static struct unit *
add_unit(struct worker *worker, enum unit_kind kind,
	 const struct conf_node *node)
{
	struct unit *unit = &worker->unit[worker->unit_count++];

	*unit = (struct unit){.kind = kind, .node = node, .worker = worker};
	return unit;
}

/* How many units there can be at most. */
static unsigned
count_units(const struct conf *conf)
{
	const struct conf_node *root = conf_root(conf), *node, *meter;
	unsigned n = 0;

	conf_each (node, root, "exportingProcess")
		n++;
	conf_each (node, root, "cache")
		n += 2;
	conf_each (node, root, "collectingProcess") {
		n++;
		conf_each (meter, node, "meterReader")
			n++;
	}
	return n;
}

static bool
has_type(const struct conf_node *cache, const char *name)
{
	return conf_child(cache, name) != NULL;
}

static int
build_sources(struct worker *worker, char **error)
{
	const struct conf_node *root = conf_root(worker->runtime->conf);
	const struct conf_node *node, *meter;
	unsigned collector = 0, file = 0;
	struct unit *unit;
	int rc;

	conf_each (node, root, "collectingProcess") {
		unit = add_unit(worker, UNIT_COLLECTING, node);
		rc = build_collecting(unit, &collector, &file, error);
		if (rc < 0)
			return rc;
		if (!unit->stage) /* nothing to receive in this worker */
			worker->unit_count--;
		if (worker->index > 0)
			continue;
		conf_each (meter, node, "meterReader") {
			unit = add_unit(worker, UNIT_METER, meter);
			rc = build_meter(unit, error);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

static int
build_caches(struct worker *worker, char **error)
{
	const struct conf_node *root = conf_root(worker->runtime->conf), *node;
	int rc;

	conf_each (node, root, "cache") {
		if (worker->index > 0 &&
		    !cache_merges_twice(node, worker->registry))
			continue;
		rc = build_cache(add_unit(worker, UNIT_CACHE, node), error);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
build_exporters(struct worker *worker, char **error)
{
	const struct conf_node *root = conf_root(worker->runtime->conf), *node;
	int rc;

	conf_each (node, root, "exportingProcess") {
		rc = build_exporting(add_unit(worker, UNIT_EXPORTING, node),
				     error);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Numbers of the targets: caches first, then exporting processes. */
static int
build_handovers(struct worker *worker)
{
	static const char *const list[] = {"cache", "exportingProcess"};
	const struct conf_node *root = conf_root(worker->runtime->conf), *node;
	uint32_t target = 0;
	struct unit *unit;
	int rc;

	for (int i = 0; i < 2; i++) {
		conf_each (node, root, list[i]) {
			unit = add_unit(worker, UNIT_HANDOVER, node);
			rc = handover_new(worker->port, target++,
					  conf_name(node), &unit->stage);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

/* ---- links --------------------------------------------------------------- */

static struct unit *
find_unit(struct worker *worker, const struct conf_node *node, bool handover)
{
	for (unsigned i = 0; i < worker->unit_count; i++) {
		struct unit *unit = &worker->unit[i];

		if (unit->node == node &&
		    (unit->kind == UNIT_HANDOVER) == handover)
			return unit;
	}
	return NULL;
}

/* The process itself, or what stands for it in this worker. */
struct unit *
worker_find(struct worker *worker, const struct conf_node *node)
{
	struct unit *unit = find_unit(worker, node, false);

	return unit ? unit : find_unit(worker, node, true);
}

static int
link_refs(struct unit *unit, const struct conf_node *from, const char *name)
{
	const struct conf_node *ref;
	struct unit *next;
	int rc = 0;

	conf_each (ref, from, name) {
		next = worker_find(unit->worker, ref->target);
		if (next)
			rc = stage_link(unit->stage, next->stage);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
link_unit(struct unit *unit)
{
	const struct conf_node *from = unit->node;
	struct unit *same;
	int rc;

	switch (unit->kind) {
	case UNIT_METER:
		from = from->parent;
		break;
	case UNIT_COLLECTING:
		break;
	case UNIT_CACHE:
		same = find_unit(unit->worker, from, true);
		/* An immediate cache is done with its records. */
		if (same && !has_type(from, "immediateCache"))
			return stage_link(unit->stage, same->stage);
		return link_refs(unit, from, "exportingProcess");
	case UNIT_HANDOVER:
	case UNIT_EXPORTING:
		return 0;
	}
	rc = link_refs(unit, from, "cache");
	if (rc == 0)
		rc = link_refs(unit, from, "exportingProcess");
	return rc;
}

int
build_worker(struct worker *worker, char **error)
{
	int rc;

	worker->unit_size = count_units(worker->runtime->conf) + 1;
	worker->unit = calloc(worker->unit_size, sizeof(*worker->unit));
	if (!worker->unit)
		return -ENOMEM;
	rc = build_sources(worker, error);
	if (rc == 0)
		rc = build_caches(worker, error);
	if (rc == 0)
		rc = worker->index ? build_handovers(worker)
				   : build_exporters(worker, error);
	for (unsigned i = 0; rc == 0 && i < worker->unit_count; i++)
		rc = link_unit(&worker->unit[i]);
	return rc;
}
