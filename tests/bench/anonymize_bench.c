/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Anonymisation alone: the records of an IPFIX file in memory run through a
 * stage with one rule, or with five that an export for research may have.
 *
 *	anonymize_bench FILE ROUNDS [RULE | all]
 *
 * Prints processor time per record, the least of the rounds; without a rule, of
 * stepping through the records.
 */
#include <stdlib.h>
#include <string.h>

#include "bench_file.h"
#include "conflux/anonymize.h"

static const char *const bins[] = {"22",  "53",	      "80",
				   "443", "0-1023=0", "1024-65535=1024"};

static const struct bench_rule {
	const char *name;
	struct anonymize_rule rule;
} rules[] = {
	{"prefix-preserving",
	 {.method = ANONYMIZE_PREFIX_PRESERVING,
	  .groups = ANONYMIZE_IPV4 | ANONYMIZE_IPV6}},
	{"structured",
	 {.method = ANONYMIZE_STRUCTURED, .groups = ANONYMIZE_MAC}},
	{"binning",
	 {.method = ANONYMIZE_BINNING,
	  .groups = ANONYMIZE_PORTS,
	  .bin = bins,
	  .bin_count = sizeof(bins) / sizeof(bins[0])}},
	{"precision",
	 {.method = ANONYMIZE_PRECISION,
	  .groups = ANONYMIZE_TIMESTAMPS,
	  .amount = 60000}},
	{"noise",
	 {.method = ANONYMIZE_NOISE,
	  .groups = ANONYMIZE_COUNTERS,
	  .amount = 5}},
	/* Not part of all: */
	{"permutation",
	 {.method = ANONYMIZE_PERMUTATION,
	  .groups = ANONYMIZE_IPV4 | ANONYMIZE_IPV6}},
	{"port-permutation",
	 {.method = ANONYMIZE_PERMUTATION, .groups = ANONYMIZE_PORTS}},
	{"truncation",
	 {.method = ANONYMIZE_TRUNCATION, .groups = ANONYMIZE_IPV4, .bits = 8}},
	{"remove",
	 {.method = ANONYMIZE_REMOVE,
	  .groups = ANONYMIZE_IPV4 | ANONYMIZE_IPV6}},
};

enum { RULES = sizeof(rules) / sizeof(rules[0]), ALL = 5 };

static struct stage *
make(const char *name, struct ie_registry *registry, struct shape_table *shapes)
{
	static const uint8_t key[ANONYMIZE_KEY] = {1, 2, 3};
	struct anonymize_rule chosen[RULES];
	struct anonymize_conf conf = {.rule = chosen, .key = key};
	struct anonymize_error error;
	struct stage *stage = NULL;

	for (unsigned i = 0; i < RULES; i++)
		if (strcmp(name, rules[i].name) == 0 ||
		    (i < ALL && strcmp(name, "all") == 0))
			chosen[conf.rule_count++] = rules[i].rule;
	if (conf.rule_count == 0 ||
	    anonymize_stage_new("bench", &conf, registry, shapes, &stage,
				&error) < 0)
		return NULL;
	return stage;
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
	if (data && argc > 3) {
		stage = make(argv[3], registry, shapes);
		if (stage)
			stage_link(stage, &sink.stage);
	}
	if (!data || !stage) {
		fprintf(stderr,
			"usage: anonymize_bench FILE ROUNDS [RULE | all]\n");
		return 2;
	}
	measure(stage, &sink, store, data, length, atoi(argv[2]));
	if (stage != &sink.stage)
		stage_free(stage);
	template_store_free(store);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return 0;
}
