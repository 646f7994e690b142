/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Intermediate Processes of the configuration. Each worker has all of them,
 * beside what feeds them: filtering before records are handed over costs the
 * first worker nothing. Those in which records of all workers meet are in the
 * first one alone, and handovers stand for them in the others. One that gets
 * packets of Observation Points is there once for each of them, as the cache
 * behind may be (domains.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/mediation.h"
#include "runtime.h"

struct unit *
find_mediation(struct worker *worker, const struct conf_node *node,
	       const struct conf_node *point)
{
	for (unsigned i = 0; i < worker->unit_count; i++) {
		struct unit *unit = &worker->unit[i];

		if ((unit->kind == UNIT_MEDIATION ||
		     unit->kind == UNIT_HANDOVER) &&
		    unit->node == node && unit->point == point)
			return unit;
	}
	return NULL;
}

int
mediation_element(const struct mediation_place *place,
		  const struct conf_node *leaf, const struct ie **out,
		  struct mediation_error *error)
{
	const char *nearest;

	*out = ie_by_name(place->registry, leaf->text);
	if (*out)
		return 0;
	nearest = ie_nearest_name(place->registry, leaf->text);
	error->at = leaf;
	return text_error(
		&error->text, -EINVAL,
		"\"%s\" is no known Information Element, expected one "
		"of IANA or of a cx:elementFile%s%s",
		leaf->text, nearest ? ", nearest is " : "",
		nearest ? nearest : "");
}

/* ---- kinds --------------------------------------------------------------- */

static int
make_filter(const struct mediation_place *place, const struct conf_node *kind,
	    struct stage **out, struct mediation_error *error)
{
	struct filter_error why;
	int rc = filter_stage_new(conf_name(kind->parent), kind->text,
				  place->registry, out, &why);

	if (rc < 0)
		error->line = why.line ? why.line - 1 : 0;
	error->text = why.text;
	return rc;
}

static int
make_split(const struct mediation_place *place, const struct conf_node *kind,
	   struct stage **out, struct mediation_error *error)
{
	return split_stage_new(conf_name(kind->parent), place->registry,
			       place->shapes, out);
}

static int
make_renormalize(const struct mediation_place *place,
		 const struct conf_node *kind, struct stage **out,
		 struct mediation_error *error)
{
	const struct conf_node *node;
	struct renormalize_conf conf = {
		.name = conf_name(kind->parent),
		.interval = (uint32_t)conf_uint(kind, "samplingInterval", 0),
		.registry = place->registry,
		.shapes = place->shapes,
	};
	int rc;

	conf_each (node, kind, "origin")
		for (int i = 0; i < RENORMALIZE_ORIGINS; i++)
			if (strcmp(node->text, renormalize_origin_name(
						       (enum renormalize_origin)
							       i)) == 0)
				conf.order[conf.order_count++] =
					(enum renormalize_origin)i;
	while (!conf_has(kind, "origin") &&
	       conf.order_count < RENORMALIZE_ORIGINS) {
		conf.order[conf.order_count] =
			(enum renormalize_origin)conf.order_count;
		conf.order_count++;
	}
	conf.exporter = calloc(conf_count(kind, "exporter") + 1,
			       sizeof(*conf.exporter));
	if (!conf.exporter)
		return -ENOMEM;
	conf_each (node, kind, "exporter")
		conf.exporter[conf.exporter_count++] =
			(struct renormalize_exporter){
				.addr = *conf_addr(node, "address"),
				.interval = (uint32_t)conf_uint(
					node, "samplingInterval", 1),
			};
	rc = renormalize_stage_new(&conf, out);
	free(conf.exporter);
	return rc;
}

/* The element that says what a process does, and how it is made from it. */
static const struct {
	const char *element;
	int (*make)(const struct mediation_place *place,
		    const struct conf_node *kind, struct stage **out,
		    struct mediation_error *error);
	/* Records of all workers meet in it, so it is in the first one. */
	bool gathers;
} kinds[] = {
	{"deduplicate", make_dedup, true},
	{"filter", make_filter, false},
	{"splitBiflows", make_split, false},
	{"anonymization", make_anonymization, false},
	{"lookup", make_lookup, false},
	{"renormalize", make_renormalize, false},
	{"conversion", make_conversion, false},
};

int
mediation_make(const struct mediation_place *place,
	       const struct conf_node *process, struct stage **out,
	       struct mediation_error *error)
{
	*error = (struct mediation_error){.at = process};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		error->at = conf_child(process, kinds[i].element);
		if (error->at)
			return kinds[i].make(place, error->at, out, error);
	}
	return -EINVAL; /* the rows ask for one of them */
}

bool
mediation_gathers(const struct conf_node *process)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].gathers && conf_has(process, kinds[i].element))
			return true;
	return false;
}

/* ---- units --------------------------------------------------------------- */

static int
build_one(struct worker *worker, const struct conf_node *node,
	  const struct conf_node *point, char **error)
{
	struct unit *unit = add_unit(worker, UNIT_MEDIATION, node);
	struct mediation_place place = {
		.registry = worker->registry,
		.shapes = worker->shapes,
		.worker = worker,
	};
	struct mediation_error why;
	int rc;

	unit->point = point;
	rc = mediation_make(&place, node, &unit->stage, &why);
	if (rc < 0 && rc != -ENOMEM)
		build_error(error, rc, node, "%s",
			    why.text ? why.text : strerror(-rc));
	free(why.text);
	return rc;
}

/* Of records, and of the packets of each point that leads to it. */
static int
build_process(struct worker *worker, const struct conf_node *node, char **error)
{
	const struct conf_node *root = conf_root(worker->runtime->conf);
	const struct conf_node *point, *ref;
	int rc = build_one(worker, node, NULL, error);

	conf_each (point, root, "observationPoint")
		conf_each (ref, point, "selectionProcess")
			if (rc == 0 && leads_to(ref->target, node) &&
			    !find_mediation(worker, node, point))
				rc = build_one(worker, node, point, error);
	return rc;
}

/* Or does a handover stand for it, which is built last? */
static bool
is_built(struct worker *worker, const struct conf_node *node)
{
	return (worker->index > 0 && mediation_gathers(node)) ||
	       find_mediation(worker, node, NULL);
}

/* Are all built that lead to it? */
static bool
is_next(struct worker *worker, const struct conf_node *node)
{
	const struct conf_node *other, *ref;

	conf_each (other, node->parent, "intermediateProcess")
		conf_each (ref, other, "intermediateProcess")
			if (ref->target == node && !is_built(worker, other))
				return false;
	return true;
}

int
build_mediation(struct worker *worker, bool cache, char **error)
{
	const struct conf_node *root = conf_root(worker->runtime->conf), *node;
	bool more = true;
	int rc = 0;

	/* No process leads back to itself, so each round builds one at least.
	 */
	while (more && rc == 0) {
		more = false;
		conf_each (node, root, "intermediateProcess") {
			if (rc < 0 || (cache_behind(node) != NULL) != cache ||
			    is_built(worker, node) || !is_next(worker, node))
				continue;
			rc = build_process(worker, node, error);
			more = true;
		}
	}
	return rc;
}
