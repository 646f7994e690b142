/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * An Intermediate Process alone: the records of an IPFIX file in memory run
 * through it; what passes is counted and thrown away. Without a process the
 * records run through nothing.
 *
 *	mediation_bench FILE ROUNDS [EXPRESSION | --split | --owner | --again |
 *		--anonymize=RULE | --convert=RULE | --lookup=BASE]
 *
 * EXPRESSION: of a filter; --split: of biflows; --owner: de-duplication where
 * all records are of one Observation Point, --again: where all have come from
 * another one before; RULE: one of anonymisation, or "all": five that an export
 * for research may have; of conversion likewise; BASE: of networks with AS
 * numbers ("as"), or X.mmdb, "autonomous_system_number". Prints processor time
 * per record, the least of the rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_file.h"
#include "conflux/anonymize.h"
#include "conflux/conversion.h"
#include "conflux/mediation.h"

static const struct scope before = {
	.serial = 2, .domain = 1, .exporter = {.version = 4}};

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

static int
make_anonymizing(const char *name, struct ie_registry *registry,
		 struct shape_table *shapes, struct stage **out)
{
	static const uint8_t key[ANONYMIZE_KEY] = {1, 2, 3};
	struct anonymize_rule chosen[RULES];
	struct anonymize_conf conf = {.rule = chosen, .key = key};
	struct anonymize_error error;

	for (unsigned i = 0; i < RULES; i++)
		if (strcmp(name, rules[i].name) == 0 ||
		    (i < ALL && strcmp(name, "all") == 0))
			chosen[conf.rule_count++] = rules[i].rule;
	if (conf.rule_count == 0) {
		fprintf(stderr, "no rule of this name: %s\n", name);
		return -1;
	}
	return anonymize_stage_new("bench", &conf, registry, shapes, out,
				   &error);
}

static const char *const dropped[] = {"bgp*"};
static const char *const counters[] = {"*DeltaCount"};
static const char *const point[] = {"observationPointId"};
static const char *const domain[] = {"observationDomainName"};

static const struct bench_conversion {
	const char *name;
	struct conversion_rule rule;
} conversions[] = {
	{"drop",
	 {.kind = CONVERSION_DROP, .element = dropped, .element_count = 1}},
	{"nanoseconds", {.kind = CONVERSION_TIME, .text = "nanoseconds"}},
	{"narrow",
	 {.kind = CONVERSION_LENGTH,
	  .element = counters,
	  .element_count = 1,
	  .text = "4"}},
	{"constant",
	 {.kind = CONVERSION_CONSTANT,
	  .element = point,
	  .element_count = 1,
	  .text = "7"}},
	/* Not part of all: */
	{"seconds", {.kind = CONVERSION_TIME, .text = "seconds"}},
	{"string",
	 {.kind = CONVERSION_CONSTANT,
	  .element = domain,
	  .element_count = 1,
	  .text = "Berlin"}},
};

enum {
	CONVERSIONS = sizeof(conversions) / sizeof(conversions[0]),
	ALL_CONVERSIONS = 4
};

static int
make_converting(const char *name, struct ie_registry *registry,
		struct shape_table *shapes, struct stage **out)
{
	struct conversion_rule chosen[CONVERSIONS];
	struct conversion_conf conf = {.name = "bench",
				       .rule = chosen,
				       .registry = registry,
				       .shapes = shapes};
	struct conversion_error error;

	for (unsigned i = 0; i < CONVERSIONS; i++)
		if (strcmp(name, conversions[i].name) == 0 ||
		    (i < ALL_CONVERSIONS && strcmp(name, "all") == 0))
			chosen[conf.rule_count++] = conversions[i].rule;
	if (conf.rule_count == 0) {
		fprintf(stderr, "no rule of this name: %s\n", name);
		return -1;
	}
	return conversion_stage_new(&conf, out, &error);
}

static int
make_looking_up(const char *base, struct ie_registry *registry,
		struct shape_table *shapes, struct stage **out)
{
	bool maxmind = strstr(base, ".mmdb");
	const char *key = maxmind ? "autonomous_system_number" : "as";
	struct lookup_conf conf = {
		.name = "bench",
		.networks_path = maxmind ? NULL : base,
		.maxmind_path = maxmind ? base : NULL,
		.existing = LOOKUP_REPLACE,
		.value_count = 2,
		.value = {{LOOKUP_SOURCE,
			   ie_find(registry, 0, IE_bgpSourceAsNumber), key},
			  {LOOKUP_DESTINATION,
			   ie_find(registry, 0, IE_bgpDestinationAsNumber),
			   key}},
		.registry = registry,
		.shapes = shapes,
	};
	char *error = NULL;
	int rc = lookup_stage_new(&conf, NULL, out, &error);

	if (rc < 0)
		fprintf(stderr, "%s\n", error ? error : base);
	free(error);
	return rc;
}

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
	const char *rule = strchr(what, '=');
	struct filter_error error;
	int rc;

	if (strcmp(what, "--split") == 0)
		return split_stage_new("bench", registry, shapes, out);
	if (strcmp(what, "--owner") == 0 || strcmp(what, "--again") == 0)
		return dedup_stage_new(&dedup, registry, out);
	if (strncmp(what, "--anonymize=", 12) == 0)
		return make_anonymizing(rule + 1, registry, shapes, out);
	if (strncmp(what, "--convert=", 10) == 0)
		return make_converting(rule + 1, registry, shapes, out);
	if (strncmp(what, "--lookup=", 9) == 0)
		return make_looking_up(rule + 1, registry, shapes, out);
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
				"[EXPRESSION | --split | --owner | --again | "
				"--anonymize=RULE | --convert=RULE | "
				"--lookup=BASE]\n");
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
