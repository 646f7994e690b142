/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * An Intermediate Process alone: the records of an IPFIX file in memory run
 * through it; what passes is counted and thrown away. Without a process the
 * records run through nothing.
 *
 *	mediation_bench FILE ROUNDS [EXPRESSION | --split | --owner | --again]
 *
 * EXPRESSION: of a filter; --split: of biflows; --owner: de-duplication where
 * all records are of one Observation Point, --again: where all have come from
 * another one before. Prints processor time per record, the least of the
 * rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_file.h"
#include "conflux/mediation.h"

static const struct scope before = {
	.serial = 2, .domain = 1, .exporter = {.version = 4}};

static int
make_stage(const char *what, struct ie_registry *registry,
	   struct shape_table *shapes, struct stage **out)
{
	const struct dedup_conf dedup = {
		.name = "bench",
		.window_ms = 86400000,
		.tolerance_ms = 2000,
		.max_flows = 4000000,
	};
	struct filter_error error;
	int rc;

	if (strcmp(what, "--split") == 0)
		return split_stage_new("bench", registry, shapes, out);
	if (strcmp(what, "--owner") == 0 || strcmp(what, "--again") == 0)
		return dedup_stage_new(&dedup, registry, out);
	rc = filter_stage_new("bench", what, registry, out, &error);
	if (rc < 0)
		fprintf(stderr, "%s\n", error.text ? error.text : "");
	free(error.text);
	return rc;
}

int
main(int argc, char **argv)
{
	struct template_limits limits = {.max_templates = 100,
					 .max_fields = 100};
	struct ie_registry *registry = ie_registry_new(1000);
	struct shape_table *shapes = shape_table_new(1000);
	struct template_store *store =
		template_store_new(&limits, registry, shapes);
	struct bench_sink sink = {
		.stage = {.ops = &bench_sink_ops, .name = "sink"}};
	struct stage *stage = &sink.stage;
	const uint8_t *data;
	size_t length = 0;

	data = argc > 2 ? map(argv[1], &length) : NULL;
	if (!data) {
		fprintf(stderr, "usage: mediation_bench FILE ROUNDS "
				"[EXPRESSION | --split | --owner | --again]\n");
		return 2;
	}
	if (argc > 3) {
		if (make_stage(argv[3], registry, shapes, &stage) < 0)
			return 2;
		stage_link(stage, &sink.stage);
		if (strcmp(argv[3], "--again") == 0)
			run_file(stage, store, data, length, &before);
	}
	measure(stage, &sink, store, data, length, atoi(argv[2]));
	if (stage != &sink.stage)
		stage_free(stage);
	template_store_free(store);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return 0;
}
