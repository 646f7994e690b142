/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Lookups of the configuration. The files are read by the first worker, whose
 * process the others share.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "conflux/mediation.h"
#include "runtime.h"

static int
lookup_value_of(const struct mediation_place *place,
		const struct conf_node *node, struct lookup_value *value,
		struct mediation_error *error)
{
	static const char *const address[LOOKUP_ADDRESSES] = {
		[LOOKUP_SOURCE] = "source",
		[LOOKUP_DESTINATION] = "destination",
		[LOOKUP_NEXT_HOP] = "nextHop",
		[LOOKUP_BGP_NEXT_HOP] = "bgpNextHop",
		[LOOKUP_EXPORTER] = "exporter",
	};
	const struct conf_node *leaf = conf_child(node, "ieName");
	const char *wrong;
	int rc = mediation_element(place, leaf, &value->ie, error);

	if (rc < 0)
		return rc;
	value->key = conf_text(node, "field");
	for (unsigned i = 0; i < LOOKUP_ADDRESSES; i++)
		if (conf_is(node, "address", address[i]))
			value->address = (enum lookup_address)i;
	wrong = lookup_type_wrong(value->ie);
	if (!wrong)
		return 0;
	error->at = leaf;
	return text_error(&error->text, -EINVAL,
			  "%s is of type %s, expected %s", value->ie->name,
			  ie_type_name(value->ie->type), wrong);
}

/* Two values for one element of a record. */
static int
find_twice(const struct lookup_conf *conf, const struct conf_node *node,
	   struct mediation_error *error)
{
	const struct lookup_value *last = &conf->value[conf->value_count - 1];

	for (unsigned i = 0; i + 1 < conf->value_count; i++) {
		if (conf->value[i].ie != last->ie)
			continue;
		error->at = conf_child(node, "ieName");
		return text_error(&error->text, -EINVAL,
				  "%s gets a value already, expected another "
				  "element",
				  last->ie->name);
	}
	return 0;
}

static int
lookup_conf_of(const struct mediation_place *place,
	       const struct conf_node *kind, struct lookup_conf *conf,
	       struct mediation_error *error)
{
	const struct conf_node *node;
	int rc = 0;

	*conf = (struct lookup_conf){
		.name = conf_name(kind->parent),
		.networks_path = conf_path(kind, "networksFile"),
		.maxmind_path = conf_path(kind, "maxMindFile"),
		.existing = conf_is(kind, "existing", "keep") ? LOOKUP_KEEP
			    : conf_is(kind, "existing", "fill")
				    ? LOOKUP_FILL
				    : LOOKUP_REPLACE,
		.registry = place->registry,
		.shapes = place->shapes,
	};
	conf_each (node, kind, "value") {
		if (conf->value_count == LOOKUP_VALUES_MAX) {
			error->at = node;
			return text_error(&error->text, -EINVAL,
					  "there are more than %d of them",
					  LOOKUP_VALUES_MAX);
		}
		rc = lookup_value_of(place, node,
				     &conf->value[conf->value_count++], error);
		if (rc == 0)
			rc = find_twice(conf, node, error);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The same process in the first worker, which reads the files. */
static const struct stage *
shared_stage(const struct mediation_place *place,
	     const struct conf_node *process)
{
	struct unit *unit;

	if (!place->worker)
		return NULL;
	unit = find_mediation(&place->worker->runtime->worker[0], process,
			      NULL);
	return unit ? unit->stage : NULL;
}

int
make_lookup(const struct mediation_place *place, const struct conf_node *kind,
	    struct stage **out, struct mediation_error *error)
{
	const struct conf_node *file = conf_child(kind, "networksFile");
	struct lookup_conf conf;
	int rc = lookup_conf_of(place, kind, &conf, error);

	if (rc < 0)
		return rc;
	if (!file)
		file = conf_child(kind, "maxMindFile");
	error->at = file;
	if (!place->worker && access(file->path, R_OK) < 0) {
		error->warning = true;
		return text_error(&error->text, -errno,
				  "%s: %s, expected a file to read", file->path,
				  strerror(errno));
	}
	return lookup_stage_new(&conf, shared_stage(place, kind->parent), out,
				&error->text);
}
