/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Which Observation Domains a cache exports in, and whose time it goes by: both
 * follow from what feeds it. A cache is fed by collecting processes and, by way
 * of a Selection Process, by Observation Points; Intermediate Processes may
 * stand between.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime.h"

static bool
refers(const struct conf_node *from, const char *name,
       const struct conf_node *to)
{
	const struct conf_node *ref;

	conf_each (ref, from, name)
		if (ref->target == to)
			return true;
	return false;
}

bool
leads_to(const struct conf_node *from, const struct conf_node *to)
{
	const struct conf_node *ref;

	if (refers(from, to->name, to))
		return true;
	conf_each (ref, from, "intermediateProcess")
		if (leads_to(ref->target, to))
			return true;
	return false;
}

bool
exports_to(const struct conf_node *from, const struct conf_node *to)
{
	static const char *const way[] = {"intermediateProcess", "cache",
					  "observationPoint",
					  "selectionProcess"};
	const struct conf_node *ref;

	if (refers(from, "exportingProcess", to))
		return true;
	for (size_t i = 0; i < sizeof(way) / sizeof(*way); i++)
		conf_each (ref, from, way[i])
			if (ref->target && exports_to(ref->target, to))
				return true;
	return false;
}

const struct conf_node *
cache_behind(const struct conf_node *from)
{
	const struct conf_node *ref = conf_child(from, "cache");
	const struct conf_node *cache = ref ? ref->target : NULL;

	conf_each (ref, from, "intermediateProcess")
		if (!cache)
			cache = cache_behind(ref->target);
	return cache;
}

/* Calls for each Observation Point that feeds the cache. */
static void
each_point(const struct conf *conf, const struct conf_node *cache,
	   void (*point)(void *arg, const struct conf_node *point), void *arg)
{
	const struct conf_node *root = conf_root(conf), *op, *ref;

	conf_each (op, root, "observationPoint")
		conf_each (ref, op, "selectionProcess")
			if (ref->target && leads_to(ref->target, cache))
				point(arg, op);
}

uint32_t
cache_domain_of(const struct conf_node *cache, const struct conf_node *point)
{
	const struct conf_node *own =
		conf_child(cache, "observationDomainId");

	if (!point || (own && !own->defaulted))
		return own ? (uint32_t)own->number : 0;
	return (uint32_t)conf_uint(point, "observationDomainId", 0);
}

struct domain_list {
	const struct conf_node *cache;
	uint32_t *domain;
	unsigned count, size;
};

static void
add_domain(void *arg, const struct conf_node *point)
{
	struct domain_list *list = arg;
	uint32_t domain = cache_domain_of(list->cache, point);

	for (unsigned i = 0; i < list->count; i++)
		if (list->domain[i] == domain)
			return;
	if (list->count < list->size)
		list->domain[list->count++] = domain;
}

unsigned
cache_domains(const struct conf *conf, const struct conf_node *cache,
	      uint32_t *domain, unsigned size)
{
	struct domain_list list = {.cache = cache, .domain = domain,
				   .size = size};
	const struct conf_node *process;

	conf_each (process, conf_root(conf), "collectingProcess")
		if (leads_to(process, cache))
			add_domain(&list, NULL);
	each_point(conf, cache, add_domain, &list);
	if (list.count == 0)
		add_domain(&list, NULL);
	return list.count;
}

uint32_t
point_number(const struct conf_node *point)
{
	const struct conf_node *node;
	uint32_t n = 1;

	conf_each (node, point->parent, "observationPoint") {
		if (node == point)
			break;
		n++;
	}
	return n;
}

bool
point_is_live(const struct conf_node *point)
{
	return conf_has(point, "ifName") || conf_has(point, "ifIndex");
}

bool
collects_files(const struct conf_node *process)
{
	const struct conf_node *file;
	struct stat st;

	if (conf_has(process, "udpCollector") ||
	    conf_has(process, "tcpCollector") ||
	    conf_has(process, "sctpCollector") ||
	    conf_has(process, "tcpDialer") ||
	    conf_has(process, "meterReader"))
		return false;
	conf_each (file, process, "fileReader")
		if (stat(conf_path(file, "file"), &st) < 0 ||
		    !S_ISREG(st.st_mode))
			return false;
	return true;
}

struct clock_ask {
	const struct conf *conf;
	unsigned points;
	bool live;
};

static void
ask_clock(void *arg, const struct conf_node *point)
{
	struct clock_ask *ask = arg;
	const struct conf_node *process;

	ask->points++;
	if (point_is_live(point))
		ask->live = true;
	conf_each (process, conf_root(ask->conf), "collectingProcess")
		if (refers(process, "observationPoint", point) &&
		    !collects_files(process))
			ask->live = true;
}

bool
cache_has_data_clock(const struct conf *conf, const struct conf_node *cache)
{
	struct clock_ask ask = {.conf = conf};
	const struct conf_node *process;

	conf_each (process, conf_root(conf), "collectingProcess")
		if (leads_to(process, cache))
			return false;
	each_point(conf, cache, ask_clock, &ask);
	return ask.points > 0 && !ask.live;
}

static void
count_point(void *arg, const struct conf_node *point)
{
	(*(unsigned *)arg)++;
}

bool
cache_gets_packets(const struct conf *conf, const struct conf_node *cache)
{
	unsigned points = 0;

	each_point(conf, cache, count_point, &points);
	return points > 0;
}

static unsigned
add_caches(const struct conf *conf, struct target *list)
{
	static const unsigned most = DOMAINS_MAX;
	uint32_t *domain = malloc(most * sizeof(*domain));
	const struct conf_node *node;
	unsigned n = 0, domains;

	conf_each (node, conf_root(conf), "cache") {
		domains = domain ? cache_domains(conf, node, domain, most) : 0;
		for (unsigned i = 0; i < domains; i++, n++)
			if (list)
				list[n] = (struct target){node, domain[i]};
	}
	free(domain);
	return n;
}

struct target *
targets_of(const struct conf *conf, unsigned *count)
{
	const struct conf_node *root = conf_root(conf), *node;
	unsigned n = add_caches(conf, NULL);
	unsigned most = n + conf_count(root, "exportingProcess") +
			conf_count(root, "meterAgent") +
			conf_count(root, "intermediateProcess");
	struct target *list;

	list = calloc(most + 1, sizeof(*list));
	if (!list)
		return NULL;
	n = add_caches(conf, list);
	conf_each (node, conf_root(conf), "exportingProcess")
		list[n++] = (struct target){node, 0};
	conf_each (node, conf_root(conf), "meterAgent")
		list[n++] = (struct target){node, 0};
	conf_each (node, conf_root(conf), "intermediateProcess")
		if (mediation_gathers(node))
			list[n++] = (struct target){node, 0};
	*count = n;
	return list;
}
