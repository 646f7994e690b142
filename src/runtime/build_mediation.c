/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Intermediate Processes of the configuration. Each worker has all of them,
 * beside what feeds them: filtering before records are handed over costs the
 * first worker nothing. One that gets packets of Observation Points is there
 * once for each of them, as the cache behind may be (domains.c).
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

		if (unit->kind == UNIT_MEDIATION && unit->node == node &&
		    unit->point == point)
			return unit;
	}
	return NULL;
}

static int
build_one(struct worker *worker, const struct conf_node *node,
	  const struct conf_node *point, char **error)
{
	struct unit *unit = add_unit(worker, UNIT_MEDIATION, node);
	struct filter_error why;
	int rc;

	unit->point = point;
	rc = filter_stage_new(conf_name(node), conf_text(node, "filter"),
			      worker->registry, &unit->stage, &why);
	if (rc == -EINVAL)
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

/* Are all built that lead to it? */
static bool
is_next(struct worker *worker, const struct conf_node *node)
{
	const struct conf_node *other, *ref;

	conf_each (other, node->parent, "intermediateProcess")
		conf_each (ref, other, "intermediateProcess")
			if (ref->target == node &&
			    !find_mediation(worker, other, NULL))
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
			    find_mediation(worker, node, NULL) ||
			    !is_next(worker, node))
				continue;
			rc = build_process(worker, node, error);
			more = true;
		}
	}
	return rc;
}
