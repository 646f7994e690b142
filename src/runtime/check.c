/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Tries what can be made of a configuration without opening anything. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/meter_reader.h"
#include "runtime.h"

enum { SHAPES_MAX = 1024 };

struct check {
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct conf_errors *errors;
};

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
	free(fields);
	if (rc == 0 || rc == -ENOMEM)
		return rc;
	conf_errors_add(check->errors, node, reason ? reason : strerror(-rc));
	return 0;
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
	return rc;
}

int
check_conf(const struct conf *conf, struct conf_errors *errors)
{
	const struct conf_node *root = conf_root(conf), *node, *meter;
	struct check check = {.errors = errors};
	int rc = elements_registry(conf, &check.registry);

	check.shapes = shape_table_new(SHAPES_MAX);
	if (rc == 0 && !check.shapes)
		rc = -ENOMEM;
	conf_each (node, root, "cache")
		if (rc == 0)
			rc = check_cache(&check, node);
	conf_each (node, root, "collectingProcess")
		conf_each (meter, node, "meterReader")
			if (rc == 0)
				rc = check_meter(&check, meter);
	if (check.shapes)
		shape_table_free(check.shapes);
	ie_registry_free(check.registry);
	if (rc == 0 && errors->errors)
		rc = -EINVAL;
	return rc;
}
