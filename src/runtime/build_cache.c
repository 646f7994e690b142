/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Caches of the configuration. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

/*
 * How long flows stay in the cache of another worker. What they wait here comes
 * on top of their idle time, which is kept to within a second.
 */
enum { HANDOVER_MS = 50 };

static const char *const type_name[] = {
	[CACHE_IMMEDIATE] = "immediateCache",
	[CACHE_TIMEOUT] = "timeoutCache",
	[CACHE_NATURAL] = "naturalCache",
	[CACHE_PERMANENT] = "permanentCache",
};

static const char *const merge_name[] = {
	[MERGE_AUTO] = "auto",   [MERGE_SUM] = "sum",
	[MERGE_MIN] = "min",     [MERGE_MAX] = "max",
	[MERGE_OR] = "or",       [MERGE_FIRST] = "first",
	[MERGE_LAST] = "last",   [MERGE_UNION] = "union",
};

static const char *const distribution_name[] = {
	[DISTRIBUTION_NONE] = "",
	[DISTRIBUTION_START] = "startInterval",
	[DISTRIBUTION_END] = "endInterval",
	[DISTRIBUTION_MID] = "midInterval",
	[DISTRIBUTION_SIMPLE_UNIFORM] = "simpleUniform",
	[DISTRIBUTION_PROPORTIONAL] = "proportionalUniform",
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* The place of a text in a list; the loader let none other through. */
static unsigned
index_of(const char *const *list, size_t count, const char *text)
{
	for (unsigned i = 0; text && i < count; i++)
		if (strcmp(list[i], text) == 0)
			return i;
	return 0;
}

static const struct conf_node *
type_node(const struct conf_node *cache, enum cache_type *type)
{
	const struct conf_node *node = NULL;

	for (unsigned i = 0; i < COUNT(type_name) && !node; i++) {
		node = conf_child(cache, type_name[i]);
		*type = (enum cache_type)i;
	}
	return node;
}

const struct conf_node *
cache_type_node(const struct conf_node *cache)
{
	enum cache_type type;

	return type_node(cache, &type);
}

static const struct ie *
field_element(const struct conf_node *field,
	      const struct ie_registry *registry)
{
	const char *name = conf_text(field, "ieName");
	uint32_t pen = (uint32_t)conf_uint(field, "ieEnterpriseNumber", 0);

	if (name)
		return elements_by_name(registry, name, pen);
	return ie_find(registry, pen, (uint16_t)conf_uint(field, "ieId", 0));
}

static void
fill_field(struct cache_field *to, const struct conf_node *node,
	   const struct ie *ie)
{
	*to = (struct cache_field){
		.ie = ie,
		.length = (uint16_t)conf_uint(node, "ieLength", 0),
		.key = conf_has(node, "isFlowKey"),
		.prefix_length = -1,
		.merge = (enum merge)index_of(merge_name, COUNT(merge_name),
					      conf_text(node, "merge")),
	};
	to->coarse = conf_bool(node, "coarse");
	if (conf_has(node, "prefixLength"))
		to->prefix_length =
			(int16_t)conf_uint(node, "prefixLength", 0);
}

static int
fill_fields(const struct conf_node *layout, const struct ie_registry *registry,
	    struct cache_conf *conf, struct cache_field **fields)
{
	const struct conf_node *node;
	const struct ie *ie;
	unsigned n = conf_count(layout, "cacheField");

	*fields = calloc(n + 1, sizeof(**fields));
	if (!*fields)
		return -ENOMEM;
	conf_each (node, layout, "cacheField") {
		ie = field_element(node, registry);
		if (!ie)
			return -ENOENT;
		fill_field(&(*fields)[conf->field_count++], node, ie);
	}
	conf->fields = *fields;
	return 0;
}

/*
 * In another worker: flows leave soon, whole, for the cache of the
 * first worker to merge. Lengths are natural there, so that nothing is cut
 * before the sum is known.
 */
static void
for_other_worker(struct cache_conf *conf, struct cache_field *fields)
{
	if (conf->type == CACHE_IMMEDIATE)
		return;
	if (conf->type == CACHE_PERMANENT)
		conf->type = CACHE_TIMEOUT;
	conf->hold_ms = HANDOVER_MS;
	for (unsigned i = 0; i < conf->field_count; i++)
		fields[i].length = 0;
}

int
cache_conf_of(const struct conf_node *node, unsigned worker,
	      const struct ie_registry *registry, struct cache_conf *conf,
	      struct cache_field **fields)
{
	const struct conf_node *type, *distribution;

	*conf = (struct cache_conf){.name = conf_name(node)};
	type = type_node(node, &conf->type);
	conf->max_flows = (uint32_t)conf_uint(type, "maxFlows", 0);
	conf->active_timeout_s =
		(uint32_t)conf_uint(type, "activeTimeout", 0);
	conf->idle_timeout_s = (uint32_t)conf_uint(type, "idleTimeout", 0);
	conf->export_interval_s =
		(uint32_t)conf_uint(type, "exportInterval", 0);
	conf->max_octets = conf_uint(type, "maxOctets", 0);
	conf->biflow = conf_bool(type, "biflow");
	conf->export_originals = conf_bool(node, "exportOriginals");
	conf->domain = (uint32_t)conf_uint(node, "observationDomainId", 0);
	distribution = conf_child(type, "intervalDistribution");
	if (distribution) {
		conf->distribution = (enum distribution)index_of(
			distribution_name, COUNT(distribution_name),
			conf_text(distribution, "method"));
		conf->interval_s = (uint32_t)conf_uint(distribution,
						       "intervalLength", 0);
	}
	int rc = fill_fields(conf_child(type, "cacheLayout"), registry, conf,
			     fields);

	if (rc == 0 && worker > 0)
		for_other_worker(conf, *fields);
	return rc;
}

static bool
has_journal(const struct conf_node *cache)
{
	const struct conf_node *type = cache_type_node(cache);

	return conf_path(type, "stateFile") &&
	       conf_uint(type, "stateJournal", 0);
}

/* Does a flow that was merged before still tell that TCP has ended it? */
static bool
tells_tcp_end(const struct cache_conf *conf)
{
	for (unsigned i = 0; i < conf->field_count; i++) {
		const struct cache_field *f = &conf->fields[i];

		if (f->ie->pen == 0 && f->ie->id == IE_tcpControlBits)
			return f->key || f->merge == MERGE_AUTO ||
			       f->merge == MERGE_OR;
	}
	return false;
}

/*
 * Total counters are turned into differences per exporter, a flow is spread
 * over intervals as it came, and TCP ends a flow by a flag that the flow need
 * not have: these need the records themselves. So does a journal, as what waits
 * in another worker is not in it.
 */
bool
cache_merges_twice(const struct conf_node *node,
		   const struct ie_registry *registry)
{
	struct cache_field *fields = NULL;
	struct cache_conf conf;
	bool can = cache_conf_of(node, 1, registry, &conf, &fields) == 0 &&
		   conf.distribution == DISTRIBUTION_NONE &&
		   !has_journal(node) &&
		   (conf.type != CACHE_NATURAL || tells_tcp_end(&conf));

	for (unsigned i = 0; can && i < conf.field_count; i++) {
		const struct ie *ie = fields[i].ie;

		if (ie->forward)
			ie = ie->forward;
		can = fields[i].key || ie->semantics != IE_TOTAL_COUNTER;
	}
	free(fields);
	return can;
}

/*
 * Nobody waits for what is in files that are there already: their flows need
 * not be handed over before the end.
 */
static bool
only_files(const struct conf *conf)
{
	const struct conf_node *process;

	conf_each (process, conf_root(conf), "observationPoint")
		if (point_is_live(process))
			return false;
	conf_each (process, conf_root(conf), "collectingProcess")
		if (!collects_files(process))
			return false;
	return true;
}

/*
 * Where the flows of this unit are kept. A cache of several Observation Domains
 * is several units: all but the first have their domain in the name.
 */
static int
name_state(struct unit *unit, struct cache_conf *conf)
{
	const struct runtime *runtime = unit->worker->runtime;
	const struct conf_node *type = cache_type_node(unit->node);
	const char *path = conf_path(type, "stateFile");
	const struct target *first = runtime->target;
	int rc;

	if (!path)
		return 0;
	while (first->node != unit->node)
		first++;
	rc = first->domain == unit->domain
		     ? asprintf(&unit->state_file, "%s", path)
		     : asprintf(&unit->state_file, "%s.%" PRIu32, path,
				unit->domain);
	if (rc < 0) {
		unit->state_file = NULL;
		return -ENOMEM;
	}
	conf->state_file = unit->state_file;
	conf->state_interval_s = (uint32_t)conf_uint(type, "stateInterval", 0);
	conf->state_journal = conf_uint(type, "stateJournal", 0);
	conf->state_export = conf_is(type, "stateAtEnd", "export");
	return 0;
}

/* Flows that wait in other workers are in no file. */
static bool
is_saved_often(const struct conf_node *cache)
{
	const struct conf_node *type = cache_type_node(cache);

	return conf_path(type, "stateFile") &&
	       conf_uint(type, "stateInterval", 0);
}

int
build_cache(struct unit *unit, char **error)
{
	struct worker *worker = unit->worker;
	struct cache_field *fields = NULL;
	const char *reason = NULL;
	struct cache_conf conf;
	int rc = cache_conf_of(unit->node, worker->index, worker->registry,
			       &conf, &fields);

	conf.domain = unit->domain;
	conf.metering_process_id = unit->metering_process_id;
	conf.data_clock = cache_has_data_clock(worker->runtime->conf,
					       unit->node);
	if (rc == 0 && worker->index == 0)
		rc = name_state(unit, &conf);
	if (rc == 0 && worker->index > 0 &&
	    only_files(worker->runtime->conf) && !is_saved_often(unit->node))
		conf.active_timeout_s = conf.idle_timeout_s = conf.hold_ms = 0;
	if (rc == 0)
		rc = cache_new(&conf, worker->registry, worker->shapes,
			       &unit->stage, &reason);
	free(fields);
	if (rc < 0 && rc != -ENOMEM && !reason && unit->state_file)
		return build_error(error, rc, unit->node, "%s: %s",
				   unit->state_file, strerror(-rc));
	if (rc < 0 && rc != -ENOMEM)
		return build_error(error, rc, unit->node, "%s",
				   reason ? reason : strerror(-rc));
	return rc;
}
