/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Tries what can be made of a configuration without opening anything. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conflux/filter.h"
#include "conflux/meter_reader.h"
#include "conflux/projection.h"
#include "conflux/selection.h"
#include "runtime.h"

enum { SHAPES_MAX = 1024 };

struct check {
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct conf_errors *errors;
};

/*
 * The field because of which a cache can't be made: the first that can't be in
 * one of its own, or the cache if all can, but not together.
 */
static const struct conf_node *
guilty_field(struct check *check, const struct conf_node *node,
	     const struct cache_conf *conf)
{
	struct cache_conf one = *conf;
	const struct conf_node *type, *layout = NULL, *field;
	const char *reason = NULL;
	struct stage *stage;

	for (type = node->first; type && !layout; type = type->next)
		layout = conf_child(type, "cacheLayout");
	one.field_count = 1;
	conf_each (field, layout, "cacheField") {
		stage = NULL;
		if (cache_new(&one, check->registry, check->shapes, &stage,
			      &reason) == -EINVAL &&
		    reason)
			return field;
		stage_free(stage);
		one.fields++;
	}
	return node;
}

static int
check_cache(struct check *check, const struct conf_node *node)
{
	struct cache_field *fields = NULL;
	struct stage *stage = NULL;
	const char *reason = NULL;
	struct cache_conf conf;
	int rc = cache_conf_of(node, 0, check->registry, &conf, &fields);

	if (rc == 0)
		rc = cache_new(&conf, check->registry, check->shapes, &stage,
			       &reason);
	stage_free(stage);
	if (rc < 0 && rc != -ENOMEM) {
		if (rc == -EINVAL && reason)
			node = guilty_field(check, node, &conf);
		conf_errors_add(check->errors, node,
				reason ? reason : strerror(-rc));
		rc = 0;
	}
	free(fields);
	return rc;
}

/*
 * A warning only: the daemon may run as another user, on another machine or
 * later. It does not start without the file.
 */
static void
check_file(struct check *check, const struct conf_node *node, const char *name)
{
	const struct conf_node *leaf = node ? conf_child(node, name) : NULL;
	char text[512];

	if (!leaf || !leaf->path || access(leaf->path, R_OK) == 0)
		return;
	snprintf(text, sizeof(text), "%s: %s, expected a file to read",
		 leaf->path, strerror(errno));
	conf_warnings_add(check->errors, leaf, text);
}

/* A mistake in a file that is there is one of the configuration. */
static void
check_rules(struct check *check, const struct conf_node *manage,
	    const char *name)
{
	const struct conf_node *leaf = manage ? conf_child(manage, name) : NULL;
	char text[512];

	check_file(check, manage, name);
	if (!leaf || !leaf->path || access(leaf->path, R_OK) < 0 ||
	    meter_rules_check(leaf->path) != -EINVAL)
		return;
	snprintf(text, sizeof(text),
		 "%s has mistakes, expected a file of rules", leaf->path);
	conf_errors_add(check->errors, leaf, text);
}

static void
check_meter_files(struct check *check, const struct conf_node *node)
{
	const struct conf_node *v3 = conf_child(node, "v3");
	const struct conf_node *manage = conf_child(node, "manage");

	check_file(check, node, "communityFile");
	check_file(check, node, "writeCommunityFile");
	check_file(check, v3, "authPassphraseFile");
	check_file(check, v3, "privPassphraseFile");
	check_rules(check, manage, "ruleSetFile");
	check_rules(check, manage, "standbyRuleSetFile");
}

static int
check_meter(struct check *check, const struct conf_node *node)
{
	struct meter_reader_conf conf;
	struct meter_lists lists;
	const char *reason;
	int rc = meter_conf_of(node, &conf, &lists);

	if (rc == 0) {
		reason = meter_reader_conf_check(&conf);
		if (reason)
			conf_errors_add(check->errors, node, reason);
	}
	meter_lists_fini(&lists);
	check_meter_files(check, node);
	return rc;
}

static void
check_agent(struct check *check, const struct conf_node *node)
{
	const struct conf_node *user;

	check_file(check, node, "communityFile");
	check_file(check, node, "writeCommunityFile");
	check_rules(check, node, "ruleSetFile");
	check_rules(check, node, "standbyRuleSetFile");
	conf_each (user, node, "user") {
		check_file(check, user, "authPassphraseFile");
		check_file(check, user, "privPassphraseFile");
	}
}

/*
 * What is wrong with an expression is in a line of its own behind that of the
 * element, in the document as in the expression.
 */
static int
check_filter(struct check *check, const struct conf_node *destination)
{
	const struct conf_node *leaf = conf_child(destination, "filter");
	struct filter *filter = NULL;
	struct filter_error why;
	struct conf_node at;
	int rc;

	if (!leaf || !leaf->text)
		return 0;
	rc = filter_new(leaf->text, check->registry, &filter, &why);
	filter_free(filter);
	if (rc != -EINVAL)
		return rc;
	at = *leaf;
	at.line += why.line - 1;
	conf_errors_add(check->errors, &at,
			why.text ? why.text : strerror(-rc));
	free(why.text);
	return 0;
}

static int
check_mediation(struct check *check, const struct conf_node *process)
{
	struct mediation_place place = {
		.registry = check->registry,
		.shapes = check->shapes,
	};
	struct mediation_error why;
	struct stage *stage = NULL;
	struct conf_node at;
	int rc = mediation_make(&place, process, &stage, &why);

	check_file(check, conf_child(process, "anonymization"), "keyFile");
	stage_free(stage);
	if (rc < 0 && rc != -ENOMEM) {
		at = *why.at;
		at.line += why.line;
		if (why.warning)
			conf_warnings_add(check->errors, &at, why.text);
		else
			conf_errors_add(check->errors, &at,
					why.text ? why.text : strerror(-rc));
		rc = 0;
	}
	free(why.text);
	return rc;
}

/* ---- packets ----------------------------------------------------------------
 */

static int
check_selection(struct check *check, const struct conf_node *node)
{
	struct selection_lists *lists;
	struct selection_conf conf;
	struct stage *stage = NULL;
	char *reason = NULL;
	int rc = selection_conf_of(node, check->registry, &conf, &lists);

	if (rc == 0)
		rc = selection_new(&conf, check->registry, check->shapes,
				   &stage, &reason);
	stage_free(stage);
	selection_lists_free(lists);
	if (rc < 0 && rc != -ENOMEM) {
		conf_errors_add(check->errors, node,
				reason ? reason : strerror(-rc));
		rc = 0;
	}
	free(reason);
	return rc;
}

static void
check_point(struct check *check, const struct conf_node *point)
{
	const struct conf_node *filter = conf_child(point, "filter"), *file;
	char *reason = NULL;
	char text[512];

	conf_each (file, point, "captureFile") {
		if (!file->path || access(file->path, R_OK) == 0)
			continue;
		snprintf(text, sizeof(text), "%s: %s, expected a file to read",
			 file->path, strerror(errno));
		conf_warnings_add(check->errors, file, text);
	}
	if (filter && filter->text &&
	    capture_filter_check(filter->text, &reason) == -EINVAL)
		conf_errors_add(check->errors, filter,
				reason ? reason : "is no filter of pcap");
	free(reason);
}

/* What the cache itself, or the scope of the packets, can tell. */
static bool
known_otherwise(const struct ie *ie)
{
	if (ie->forward)
		ie = ie->forward;
	if (observer_knows(ie) || ie_is_time(ie))
		return true;
	if (ie->pen)
		return false;
	switch (ie->id) {
	case IE_flowEndReason:
	case IE_biflowDirection:
	case IE_flowId:
	case IE_flowActiveTimeout:
	case IE_flowIdleTimeout:
	case IE_deltaFlowCount:
	case IE_observationDomainId:
	case IE_digestHashValue:
	case IE_sourceIPv4PrefixLength:
	case IE_destinationIPv4PrefixLength:
	case IE_sourceIPv6PrefixLength:
	case IE_destinationIPv6PrefixLength:
		return true;
	default:
		return scope_fact_of(ie->id) >= 0;
	}
}

/* Does one of the rules or values say that records get the element? */
static bool
names_element(const struct conf_node *kind, const char *list, const char *leaf,
	      const char *beside, const struct ie *ie)
{
	const struct conf_node *node, *name;

	conf_each (node, kind, list) {
		name = conf_child(node, leaf);
		if (name && strcmp(name->text, ie->name) == 0 &&
		    (!beside || conf_has(node, beside)))
			return true;
	}
	return false;
}

/* Records get it by an Intermediate Process on their way to the cache. */
static bool
made_on_way(const struct conf *conf, const struct conf_node *cache,
	    const struct ie *ie)
{
	const struct conf_node *process, *kind;

	conf_each (process, conf_root(conf), "intermediateProcess") {
		if (!leads_to(process, cache))
			continue;
		kind = conf_child(process, "lookup");
		if (kind && names_element(kind, "value", "ieName", NULL, ie))
			return true;
		kind = conf_child(process, "conversion");
		if (kind &&
		    (names_element(kind, "rule", "rename", NULL, ie) ||
		     names_element(kind, "rule", "ieName", "constant", ie)))
			return true;
	}
	return false;
}

/* Fields that no packet has, in a cache that gets nothing but packets. */
static void
check_fields(struct check *check, const struct conf *conf,
	     const struct conf_node *cache)
{
	struct cache_field *fields = NULL;
	const struct conf_node *process;
	struct cache_conf c;
	char text[256];

	conf_each (process, conf_root(conf), "collectingProcess")
		if (leads_to(process, cache))
			return;
	if (!cache_gets_packets(conf, cache) ||
	    cache_conf_of(cache, 0, check->registry, &c, &fields) < 0) {
		free(fields);
		return;
	}
	for (unsigned i = 0; i < c.field_count; i++) {
		if (known_otherwise(fields[i].ie) ||
		    made_on_way(conf, cache, fields[i].ie))
			continue;
		snprintf(text, sizeof(text),
			 "packets do not tell %s, expected an element of "
			 "confluxd(8), OBSERVATION; its field is left out",
			 fields[i].ie->name);
		conf_warnings_add(check->errors, cache, text);
	}
	free(fields);
}

/*
 * Files of certificates and keys may be missing here and be there where the
 * daemon runs: a warning.
 */
static void
check_secure(struct check *check, const struct conf_node *node)
{
	const struct conf_node *tls;
	const char **names = NULL;
	struct secure *secure = NULL;
	struct secure_conf conf;
	char *error = NULL;
	char text[512];

	for (; node; node = node->next) {
		tls = conf_child(node, "transportLayerSecurity");
		if (!tls)
			continue;
		if (secure_conf_fill(NULL, tls, is_tls_server(node), &conf,
				     &names) == 0 &&
		    secure_new(&conf, node->name, &secure, &error) < 0 &&
		    error) {
			snprintf(text, sizeof(text), "%s", error);
			conf_warnings_add(check->errors, tls, text);
		}
		secure_free(secure);
		secure = NULL;
		free(error);
		error = NULL;
		free(names);
	}
}

/* A file that a process keeps something in. */
static void
check_own_file(struct check *check, const struct conf_node *process,
	       const char *name)
{
	const struct conf_node *file = conf_child(process, name), *other;
	char reason[128];

	conf_each (other, process->parent, process->name) {
		if (!file || other == process)
			return;
		if (!conf_path(other, name) ||
		    strcmp(conf_path(other, name), file->path) != 0)
			continue;
		snprintf(reason, sizeof(reason),
			 "another %s has this file, expected one of its own",
			 process->name);
		conf_errors_add(check->errors, file, reason);
	}
}

/* Its own: they would overwrite each other's flows. */
static void
check_state_file(struct check *check, const struct conf_node *cache)
{
	const struct conf_node *file =
		conf_child(cache_type_node(cache), "stateFile");
	const struct conf_node *other;
	const char *path;

	conf_each (other, cache->parent, cache->name) {
		if (!file || other == cache)
			return;
		path = conf_path(cache_type_node(other), "stateFile");
		if (path && strcmp(path, file->path) == 0)
			conf_errors_add(check->errors, file,
					"another cache has this file, expected "
					"one of its own");
	}
}

int
check_conf(const struct conf *conf, struct conf_errors *errors)
{
	const struct conf_node *root = conf_root(conf), *node, *meter, *reader;
	const struct conf_node *process;
	struct check check = {.errors = errors};
	int rc = elements_registry(conf, &check.registry);

	check.shapes = shape_table_new(SHAPES_MAX);
	if (rc == 0 && !check.shapes)
		rc = -ENOMEM;
	conf_each (node, root, "cache") {
		check_state_file(&check, node);
		if (rc == 0)
			rc = check_cache(&check, node);
	}
	conf_each (node, root, "collectingProcess")
		conf_each (reader, node, "fileReader")
			check_file(&check, reader, "file");
	conf_each (node, root, "collectingProcess")
		conf_each (meter, node, "meterReader")
			if (rc == 0)
				rc = check_meter(&check, meter);
	conf_each (node, root, "selectionProcess")
		if (rc == 0)
			rc = check_selection(&check, node);
	conf_each (node, root, "intermediateProcess")
		if (rc == 0)
			rc = check_mediation(&check, node);
	conf_each (process, root, "exportingProcess")
		conf_each (node, process, "destination")
			if (rc == 0)
				rc = check_filter(&check, node);
	conf_each (node, root, "observationPoint")
		check_point(&check, node);
	conf_each (node, root, "collectingProcess") {
		check_secure(&check, node->first);
		check_own_file(&check, node, "templateFile");
	}
	conf_each (process, root, "exportingProcess") {
		check_own_file(&check, process, "observationDomainFile");
		conf_each (node, process, "destination")
			check_secure(&check, node->first);
	}
	conf_each (node, root, "meterAgent")
		check_agent(&check, node);
	conf_each (node, root, "cache")
		if (rc == 0)
			check_fields(&check, conf, node);
	if (check.shapes)
		shape_table_free(check.shapes);
	ie_registry_free(check.registry);
	if (rc == 0 && errors->errors)
		rc = -EINVAL;
	return rc;
}
