/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Selection Processes of the configuration. Each Observation Point that names
 * one has a stage of its own for it, in each worker: that is one Selection
 * Sequence, with a number that no other of this daemon has.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conflux/clock.h"
#include "conflux/selection.h"
#include "runtime.h"

struct selection_lists {
	struct selector_conf *selector;
	struct selector_range *range;
};

static const char *const hash_name[] = {
	[SELECTOR_BOB] = "BOB",
	[SELECTOR_IPSX] = "IPSX",
	[SELECTOR_CRC] = "CRC",
};

void
selection_lists_free(struct selection_lists *lists)
{
	if (!lists)
		return;
	free(lists->selector);
	free(lists->range);
	free(lists);
}

static void
fill_hash(struct selector_conf *to, const struct conf_node *hash,
	  struct selector_range **range)
{
	const struct conf_node *node;

	for (int i = 0; i < 3; i++)
		if (conf_is(hash, "hashFunction", hash_name[i]))
			to->hash = (enum selector_hash)i;
	to->initialiser = conf_uint(hash, "initializerValue", 0);
	to->payload_offset = conf_uint(hash, "ipPayloadOffset", 0);
	to->payload_size = conf_uint(hash, "ipPayloadSize", 8);
	to->digest = conf_bool(hash, "digestOutput");
	to->ranges = *range;
	conf_each (node, hash, "selectedRange") {
		(*range)->min = conf_uint(node, "min", 0);
		(*range)->max = conf_uint(node, "max", UINT64_MAX);
		(*range)++;
		to->range_count++;
	}
}

static int
fill_match(struct selector_conf *to, const struct conf_node *match,
	   const struct ie_registry *registry)
{
	const char *name = conf_text(match, "ieName");
	uint32_t pen = (uint32_t)conf_uint(match, "ieEnterpriseNumber", 0);

	to->ie = name ? elements_by_name(registry, name, pen)
		      : ie_find(registry, pen,
				(uint16_t)conf_uint(match, "ieId", 0));
	to->value = conf_text(match, "value");
	return to->ie ? 0 : -ENOENT;
}

/* Exactly one of the methods is there. */
static int
fill_selector(struct selector_conf *to, const struct conf_node *node,
	      const struct ie_registry *registry, struct selector_range **range)
{
	const struct conf_node *m;

	*to = (struct selector_conf){
		.name = conf_name(node),
		.method = SELECTOR_ALL,
	};
	if ((m = conf_child(node, "sampCountBased"))) {
		to->method = SELECTOR_COUNT;
		to->interval = (uint32_t)conf_uint(m, "packetInterval", 0);
		to->space = (uint32_t)conf_uint(m, "packetSpace", 0);
	} else if ((m = conf_child(node, "sampTimeBased"))) {
		to->method = SELECTOR_TIME;
		to->interval = (uint32_t)conf_uint(m, "timeInterval", 0);
		to->space = (uint32_t)conf_uint(m, "timeSpace", 0);
	} else if ((m = conf_child(node, "sampRandOutOfN"))) {
		to->method = SELECTOR_OUT_OF_N;
		to->size = (uint32_t)conf_uint(m, "size", 0);
		to->population = (uint32_t)conf_uint(m, "population", 0);
	} else if ((m = conf_child(node, "sampUniProb"))) {
		to->method = SELECTOR_PROBABILITY;
		to->probability = strtod(conf_text(m, "probability"), NULL);
	} else if ((m = conf_child(node, "filterMatch"))) {
		to->method = SELECTOR_MATCH;
		return fill_match(to, m, registry);
	} else if ((m = conf_child(node, "filterHash"))) {
		to->method = SELECTOR_HASH;
		fill_hash(to, m, range);
	}
	return 0;
}

static unsigned
count_ranges(const struct conf_node *selector)
{
	return conf_count(conf_child(selector, "filterHash"), "selectedRange");
}

int
selector_conf_of(const struct conf_node *selector,
		 const struct ie_registry *registry, struct selector_conf *conf,
		 struct selector_range **range)
{
	struct selector_range *end;

	*range = end = calloc(count_ranges(selector) + 1, sizeof(**range));
	return end ? fill_selector(conf, selector, registry, &end) : -ENOMEM;
}

/*
 * selectorId: the place of a selector among all of the configuration, so that it
 * is unique in each Observation Domain (RFC 5476 section 6.1). Two Selection
 * Sequences of one Selection Process share it, as they share its parameters.
 */
static uint64_t
first_selector(const struct conf_node *process)
{
	const struct conf_node *node;
	uint64_t n = 1;

	conf_each (node, process->parent, "selectionProcess") {
		if (node == process)
			break;
		n += conf_count(node, "selector");
	}
	return n;
}

int
selection_conf_of(const struct conf_node *node,
		  const struct ie_registry *registry,
		  struct selection_conf *conf, struct selection_lists **out)
{
	struct selection_lists *lists = calloc(1, sizeof(*lists));
	struct selector_range *range;
	const struct conf_node *selector;
	unsigned ranges = 0;
	int rc = 0;

	*conf = (struct selection_conf){.name = conf_name(node)};
	*out = lists;
	if (!lists)
		return -ENOMEM;
	conf_each (selector, node, "selector")
		ranges += count_ranges(selector);
	lists->selector = calloc(conf_count(node, "selector") + 1,
				 sizeof(*lists->selector));
	lists->range = calloc(ranges + 1, sizeof(*lists->range));
	if (!lists->selector || !lists->range)
		return -ENOMEM;
	range = lists->range;
	conf->selectors = lists->selector;
	conf_each (selector, node, "selector") {
		struct selector_conf *to =
			&lists->selector[conf->selector_count];

		rc = fill_selector(to, selector, registry, &range);
		if (rc < 0)
			return rc;
		to->id = first_selector(node) + conf->selector_count++;
	}
	return 0;
}

/*
 * selectionSequenceId: unique in the daemon, and the same after a restart with
 * the same configuration: its place among all Observation Points and their
 * Selection Processes, in each worker.
 */
static uint64_t
sequence_id(const struct unit *unit)
{
	const struct runtime *runtime = unit->worker->runtime;
	const struct conf_node *root = conf_root(runtime->conf), *point, *ref;
	uint64_t n = 0;

	conf_each (point, root, "observationPoint")
		conf_each (ref, point, "selectionProcess") {
			if (point == unit->point && ref->target == unit->node)
				return n * runtime->worker_count +
				       unit->worker->index + 1;
			n++;
		}
	return 0;
}

/* ---- overload -------------------------------------------------------------- */

static struct unit *
cache_of(const struct unit *unit)
{
	const struct conf_node *cache = cache_behind(unit->node);

	return cache ? worker_find(unit->worker, cache,
				   cache_domain_of(cache, unit->point))
		     : NULL;
}

/*
 * Reports belong where the records are that name their Selection Sequence: with
 * the Flows, or without a cache to the Observation Point.
 */
static uint32_t
told_domain(const struct unit *unit)
{
	const struct conf_node *cache = cache_behind(unit->node);

	return cache ? cache_domain_of(cache, unit->point)
		     : (uint32_t)conf_uint(unit->point, "observationDomainId",
					   0);
}

/* How busy this thread was since the last time, per cent. */
static unsigned
busy(struct unit *unit)
{
	struct timespec t;
	uint64_t now = clock_mono_ms(), cpu, elapsed = now - unit->measured_ms;
	uint64_t used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	cpu = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	used = cpu - unit->cpu_ms;
	unit->cpu_ms = cpu;
	unit->measured_ms = now;
	return elapsed && elapsed < 60000 ? (unsigned)(used * 100 / elapsed)
					  : 0;
}

/*
 * The cache of this worker, where it has one; where records are handed over as
 * they come, the first worker's cannot be asked from here.
 */
static void
measure(void *arg, struct pressure *pressure)
{
	struct unit *unit = arg, *cache = cache_of(unit), *point;

	*pressure = (struct pressure){.cpu = busy(unit)};
	if (cache && cache->kind == UNIT_CACHE)
		pressure->cache = cache_fill(cache->stage);
	point = worker_find(unit->worker, unit->point, 0);
	if (point)
		pressure->drops = point->stage->ledger.lost[LOSS_KERNEL_DROP];
}

static void
coarser(void *arg, bool on)
{
	struct unit *cache = cache_of(arg);

	if (cache && cache->kind == UNIT_CACHE)
		cache_set_coarse(cache->stage, on);
}

static void
tell_sign(void *arg, enum overload_sign sign)
{
	struct unit *unit = arg;

	atomic_store(&unit->sign, (int)sign);
}

static void
fill_overload(struct overload_conf *to, struct unit *unit)
{
	static const char *const behaviour[] = {
		[OVERLOAD_SAMPLE] = "sample",
		[OVERLOAD_COARSER] = "coarser",
		[OVERLOAD_STOP] = "stop",
	};
	const struct conf_node *node = conf_child(unit->node, "overload");

	if (!node)
		return;
	*to = (struct overload_conf){
		.cache_high = (unsigned)conf_uint(node, "cacheHigh", 0),
		.cache_low = (unsigned)conf_uint(node, "cacheLow", 0),
		.cpu_high = (unsigned)conf_uint(node, "cpuHigh", 0),
		.cpu_low = (unsigned)conf_uint(node, "cpuLow", 0),
		.drops_high = (uint32_t)conf_uint(node, "dropsHigh", 0),
		.interval = (uint32_t)conf_uint(node, "samplingInterval", 0),
		.max_interval =
			(uint32_t)conf_uint(node, "maxSamplingInterval", 0),
		.hold_ms = conf_ms(node, "holdTime"),
		.measure = measure,
		.coarser = coarser,
		.arg = unit,
	};
	if (unit->worker->runtime->worker_count > 1)
		to->sign = tell_sign; /* see overload_watch */
	for (int i = OVERLOAD_SAMPLE; i <= OVERLOAD_STOP; i++)
		if (conf_is(node, "behaviour", behaviour[i]))
			to->behaviour = (enum overload_behaviour)i;
	/* Who reads files is busy as long as there are any, and nothing is
	 * lost by it. */
	if (!point_is_live(unit->point))
		to->cpu_high = 101;
	if (to->max_interval < to->interval)
		to->max_interval = to->interval;
}

int
build_selection(struct unit *unit, char **error)
{
	struct worker *worker = unit->worker;
	struct selection_lists *lists;
	struct selection_conf conf;
	char *reason = NULL;
	int rc = selection_conf_of(unit->node, worker->registry, &conf,
				   &lists);

	conf.sequence_id = sequence_id(unit);
	conf.point_id = point_number(unit->point);
	conf.domain = told_domain(unit);
	fill_overload(&conf.overload, unit);
	if (rc == 0)
		rc = selection_new(&conf, worker->registry, worker->shapes,
				   &unit->stage, &reason);
	selection_lists_free(lists);
	if (rc < 0 && rc != -ENOMEM)
		build_error(error, rc, unit->node, "%s",
			    reason ? reason : strerror(-rc));
	free(reason);
	return rc;
}
