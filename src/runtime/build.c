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
	return text_error(error, rc, "%s \"%s\" (line %u): %s", node->name,
			  conf_name(node) ? conf_name(node) : "", node->line,
			  text);
}

struct unit *
add_unit(struct worker *worker, enum unit_kind kind,
	 const struct conf_node *node)
{
	struct unit *unit = &worker->unit[worker->unit_count++];

	*unit = (struct unit){.kind = kind, .node = node, .worker = worker};
	return unit;
}

/* How many units there can be at most. */
static unsigned
count_units(const struct conf *conf, unsigned targets)
{
	const struct conf_node *root = conf_root(conf), *node;
	unsigned mediation = conf_count(root, "intermediateProcess");
	unsigned n = 2 * targets + mediation;

	conf_each (node, root, "observationPoint")
		n += 2 + mediation + conf_count(node, "selectionProcess");
	conf_each (node, root, "collectingProcess")
		n += 1 + conf_count(node, "meterReader");
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

/* Packets may come by records, too. */
static int
build_remote(struct worker *worker, struct unit *point)
{
	const struct conf_node *root = conf_root(worker->runtime->conf);
	const struct conf_node *process, *ref;
	struct unit *unit;
	bool any = false;

	conf_each (process, root, "collectingProcess")
		conf_each (ref, process, "observationPoint")
			any |= ref->target == point->node;
	if (!any)
		return 0;
	unit = add_unit(worker, UNIT_REMOTE, point->node);
	return remote_new(conf_name(point->node), point->stage, &unit->stage);
}

/* Observation Points, and what selects from the packets of each. */
static int
build_points(struct worker *worker, char **error)
{
	const struct conf_node *root = conf_root(worker->runtime->conf);
	const struct conf_node *node, *ref;
	struct unit *unit;
	int rc;

	conf_each (node, root, "observationPoint") {
		unit = add_unit(worker, UNIT_OBSERVATION, node);
		rc = build_observation(unit, error);
		if (rc == 0)
			rc = build_remote(worker, unit);
		if (rc < 0)
			return rc;
		conf_each (ref, node, "selectionProcess") {
			unit = add_unit(worker, UNIT_SELECTION, ref->target);
			unit->point = node;
			rc = build_selection(unit, error);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

static bool
is_a(const struct target *target, const char *name)
{
	return strcmp(target->node->name, name) == 0;
}

static int
build_target(struct worker *worker, uint32_t number, char **error)
{
	const struct target *target = &worker->runtime->target[number];
	bool cache = is_a(target, "cache");
	struct unit *unit;

	if (is_a(target, "intermediateProcess"))
		return 0; /* it is built with the others */
	if (worker->index > 0 &&
	    (!cache || !cache_merges_twice(target->node, worker->registry)))
		return 0;
	if (is_a(target, "meterAgent"))
		return build_agent(add_unit(worker, UNIT_AGENT, target->node),
				   error);
	unit = add_unit(worker, cache ? UNIT_CACHE : UNIT_EXPORTING,
			target->node);
	unit->domain = target->domain;
	unit->metering_process_id = cache ? number + 1 : 0;
	return cache ? build_cache(unit, error) : build_exporting(unit, error);
}

static int
build_handover(struct worker *worker, uint32_t number)
{
	const struct target *target = &worker->runtime->target[number];
	struct unit *unit = add_unit(worker, UNIT_HANDOVER, target->node);

	unit->domain = target->domain;
	return handover_new(worker->port, number, conf_name(target->node),
			    &unit->stage);
}

/* The handovers stand behind all caches, as records run through them later. */
static int
build_targets(struct worker *worker, char **error)
{
	const struct runtime *runtime = worker->runtime;
	int rc = build_mediation(worker, true, error);
	unsigned n = 0;

	/* Caches come first. */
	while (rc == 0 && n < runtime->target_count &&
	       is_a(&runtime->target[n], "cache"))
		rc = build_target(worker, n++, error);
	if (rc == 0)
		rc = build_mediation(worker, false, error);
	while (rc == 0 && n < runtime->target_count)
		rc = build_target(worker, n++, error);
	for (unsigned i = 0; worker->index > 0 && rc == 0 &&
			     i < runtime->target_count;
	     i++)
		rc = build_handover(worker, i);
	return rc;
}

/* ---- links --------------------------------------------------------------- */

static struct unit *
find_unit(struct worker *worker, const struct conf_node *node, uint32_t domain,
	  bool handover)
{
	for (unsigned i = 0; i < worker->unit_count; i++) {
		struct unit *unit = &worker->unit[i];

		if (unit->node == node && unit->domain == domain &&
		    (unit->kind == UNIT_HANDOVER) == handover)
			return unit;
	}
	return NULL;
}

/* The process itself, or what stands for it in this worker. */
struct unit *
worker_find(struct worker *worker, const struct conf_node *node,
	    uint32_t domain)
{
	struct unit *unit = find_unit(worker, node, domain, false);

	return unit ? unit : find_unit(worker, node, domain, true);
}

/* point: where the packets are from, NULL: records. */
static struct unit *
find_cache(struct worker *worker, const struct conf_node *cache,
	   const struct conf_node *point)
{
	return worker_find(worker, cache, cache_domain_of(cache, point));
}

static int
link_refs(struct unit *unit, const struct conf_node *from, const char *name)
{
	const struct conf_node *ref;
	struct unit *next;
	int rc = 0;

	conf_each (ref, from, name) {
		if (strcmp(name, "cache") == 0)
			next = find_cache(unit->worker, ref->target,
					  unit->point);
		else if (strcmp(name, "intermediateProcess") == 0)
			next = find_mediation(unit->worker, ref->target,
					      unit->point);
		else
			next = worker_find(unit->worker, ref->target, 0);
		if (next)
			rc = stage_link(unit->stage, next->stage);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static struct unit *
find_remote(struct worker *worker, const struct conf_node *point)
{
	for (unsigned i = 0; i < worker->unit_count; i++)
		if (worker->unit[i].kind == UNIT_REMOTE &&
		    worker->unit[i].node == point)
			return &worker->unit[i];
	return NULL;
}

static int
link_remotes(struct unit *unit, const struct conf_node *from)
{
	const struct conf_node *ref;
	struct unit *next;
	int rc = 0;

	conf_each (ref, from, "observationPoint") {
		next = find_remote(unit->worker, ref->target);
		if (next && rc == 0)
			rc = stage_link(unit->stage, next->stage);
	}
	return rc;
}

/* A Selection Process to its cache, and to the agent. */
static int
link_selection(struct unit *point, struct unit *unit)
{
	const struct conf_node *ref = conf_child(unit->node, "cache");
	struct unit *cache =
		ref ? find_cache(unit->worker, ref->target, unit->point) : NULL;
	int rc = stage_link(point->stage, unit->stage);

	if (rc == 0 && cache)
		rc = stage_link(unit->stage, cache->stage);
	if (rc == 0)
		rc = link_refs(unit, unit->node, "intermediateProcess");
	return rc < 0 ? rc : link_refs(unit, unit->node, "meterAgent");
}

/* The Selection Process of an Observation Point after this one, or NULL. */
static struct unit *
next_selection(const struct unit *point, struct unit *after)
{
	const struct worker *worker = point->worker;
	const struct unit *end = worker->unit + worker->unit_count;

	for (struct unit *unit = after + 1; unit < end; unit++)
		if (unit->point == point->node && unit->kind == UNIT_SELECTION)
			return unit;
	return NULL;
}

static int
link_point(struct unit *point)
{
	struct unit *unit = point; /* they stand behind it */
	int rc = 0;

	while (rc == 0 && (unit = next_selection(point, unit)))
		rc = link_selection(point, unit);
	return rc;
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
	case UNIT_MEDIATION:
		break;
	case UNIT_CACHE:
		same = find_unit(unit->worker, from, unit->domain, true);
		/* An immediate cache is done with its records. */
		if (same && !has_type(from, "immediateCache"))
			return stage_link(unit->stage, same->stage);
		rc = link_refs(unit, from, "intermediateProcess");
		return rc < 0 ? rc : link_refs(unit, from, "exportingProcess");
	case UNIT_OBSERVATION:
		return link_point(unit);
	case UNIT_SELECTION:
	case UNIT_REMOTE:
	case UNIT_HANDOVER:
	case UNIT_EXPORTING:
	case UNIT_AGENT:
		return 0;
	}
	rc = link_remotes(unit, from);
	if (rc == 0)
		rc = link_refs(unit, from, "intermediateProcess");
	if (rc == 0)
		rc = link_refs(unit, from, "cache");
	if (rc == 0)
		rc = link_refs(unit, from, "exportingProcess");
	if (rc == 0)
		rc = link_refs(unit, from, "meterAgent");
	return rc;
}

/* What is wanted of packets must be known before the first one comes. */
static int
open_point(struct unit *point, char **error)
{
	struct unit *unit = point;
	int rc = 0;

	while (rc == 0 && (unit = next_selection(point, unit)))
		rc = build_wants(point, unit, error);
	return rc < 0 ? rc : build_captures(point, error);
}

int
build_worker(struct worker *worker, char **error)
{
	int rc;

	worker->unit_size = count_units(worker->runtime->conf,
					worker->runtime->target_count) + 1;
	worker->unit = calloc(worker->unit_size, sizeof(*worker->unit));
	if (!worker->unit)
		return -ENOMEM;
	/* The first use of Net-SNMP must be the agent's. */
	rc = worker->index == 0 ? agent_open(worker->runtime, error) : 0;
	if (rc == 0)
		rc = build_sources(worker, error);
	if (rc == 0)
		rc = build_points(worker, error);
	if (rc == 0)
		rc = build_targets(worker, error);
	for (unsigned i = 0; rc == 0 && i < worker->unit_count; i++)
		rc = link_unit(&worker->unit[i]);
	for (unsigned i = 0; rc == 0 && i < worker->unit_count; i++)
		if (worker->unit[i].kind == UNIT_OBSERVATION)
			rc = open_point(&worker->unit[i], error);
	return rc;
}
