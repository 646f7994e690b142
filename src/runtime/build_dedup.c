/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* De-duplication from its element of the configuration. */
#include <errno.h>

#include "conflux/mediation.h"
#include "runtime.h"

/* The elements that the leaves of this name name. */
static int
elements_of(const struct conf_node *kind, const char *name,
	    const struct ie_registry *registry, const struct ie **list,
	    unsigned *count, struct mediation_error *error)
{
	const struct conf_node *leaf;

	conf_each (leaf, kind, name) {
		const struct ie *ie = ie_by_name(registry, leaf->text);
		const char *nearest = ie_nearest_name(registry, leaf->text);

		error->at = leaf;
		if (!ie)
			return text_error(&error->text, -EINVAL,
					  "there is no element \"%s\"%s%s",
					  leaf->text,
					  nearest ? ", nearest is " : "",
					  nearest ? nearest : "");
		if (!dedup_can_compare(ie))
			return text_error(&error->text, -EINVAL,
					  "%s varies in length or is a time, "
					  "expected an element of fixed length",
					  ie->name);
		if (*count == DEDUP_ELEMENTS_MAX)
			return text_error(&error->text, -EINVAL,
					  "there are %d before it already, "
					  "expected no more",
					  DEDUP_ELEMENTS_MAX);
		list[(*count)++] = ie;
	}
	return 0;
}

int
make_dedup(const struct mediation_place *place, const struct conf_node *kind,
	   struct stage **out, struct mediation_error *error)
{
	const struct ie *key[DEDUP_ELEMENTS_MAX], *point[DEDUP_ELEMENTS_MAX];
	struct dedup_conf conf = {
		.name = conf_name(kind->parent),
		.best = conf_is(kind, "choose", "mostPackets"),
		.window_ms = (uint32_t)conf_uint(kind, "window", 600) * 1000,
		.hold_ms = (uint32_t)conf_uint(kind, "holdTime", 30) * 1000,
		.tolerance_ms =
			(uint32_t)conf_uint(kind, "startTolerance", 2000),
		.max_flows = (uint32_t)conf_uint(kind, "maxFlows", 262144),
		.max_octets = conf_uint(kind, "maxOctets", 67108864),
		.key = key,
		.point = point,
	};
	int rc = elements_of(kind, "flowKey", place->registry, key,
			     &conf.key_count, error);

	if (rc == 0)
		rc = elements_of(kind, "observationPointKey", place->registry,
				 point, &conf.point_count, error);
	if (rc < 0)
		return rc;
	error->at = kind;
	return dedup_stage_new(&conf, place->registry, out);
}
