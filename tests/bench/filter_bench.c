/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter alone: the records of an IPFIX file in memory run through it; what
 * passes is counted and thrown away. Without an expression the records run
 * through nothing.
 *
 *	filter_bench FILE ROUNDS [EXPRESSION]
 *
 * Prints processor time per record, the least of the rounds.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench_file.h"
#include "conflux/mediation.h"

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
	struct filter_error error = {0};
	const uint8_t *data;
	size_t length = 0;

	data = argc > 2 ? map(argv[1], &length) : NULL;
	if (!data) {
		fprintf(stderr,
			"usage: filter_bench FILE ROUNDS [EXPRESSION]\n");
		return 2;
	}
	if (argc > 3) {
		if (filter_stage_new("bench", argv[3], registry, &stage,
				     &error) < 0) {
			fprintf(stderr, "%s\n", error.text);
			free(error.text);
			return 2;
		}
		stage_link(stage, &sink.stage);
	}
	measure(stage, &sink, store, data, length, atoi(argv[2]));
	if (stage != &sink.stage)
		stage_free(stage);
	template_store_free(store);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return 0;
}
