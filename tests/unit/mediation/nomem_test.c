/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Intermediate Processes where memory ends, and that they need none once they
 * are warm.
 */
#include <errno.h>
#include <stdlib.h>

#include "conflux/anonymize.h"
#include "conflux/mediation.h"
#include "flow.h"
#include "nomem.h"
#include "unit.h"

static const char expression[] =
	"proto tcp and (port in [443, 80-90] or src net 10.0.0.0/8 or bps > 1) "
	"and interfaceName like 'eth*' and samplingProbability < 1 and "
	"not ip ::1 and not icmp-type 3 or src and dst port 80";

static struct ie_registry *registry;
static struct shape_table *shapes;
static struct scope scope = {.serial = 1};
static uint8_t record[512];
static uint32_t offset[2];
static struct batch batch = {
	.scope = &scope,
	.base = record,
	.count = 1,
	.offset = offset,
};

static int
new_filter(struct stage **out)
{
	struct filter_error error;
	int rc = filter_stage_new("f", expression, registry, out, &error);

	free(error.text);
	return rc;
}

static int
new_split(struct stage **out)
{
	return split_stage_new("s", registry, shapes, out);
}

static int
new_anonymize(struct stage **out)
{
	static const char *const bins[] = {"80", "1024-65535=1024"};
	static const char *const named[] = {"ipClassOfService",
					    "flowEndMilliseconds"};
	static const struct anonymize_rule rules[] = {
		{.method = ANONYMIZE_PREFIX_PRESERVING,
		 .groups = ANONYMIZE_IPV4},
		{.method = ANONYMIZE_STRUCTURED, .groups = ANONYMIZE_MAC},
		{.method = ANONYMIZE_BINNING,
		 .groups = ANONYMIZE_PORTS,
		 .bin = bins,
		 .bin_count = UNIT_COUNT(bins)},
		{.method = ANONYMIZE_REMOVE,
		 .element = named,
		 .element_count = UNIT_COUNT(named)},
		{.method = ANONYMIZE_ENUMERATION,
		 .groups = ANONYMIZE_TIMESTAMPS,
		 .amount = 1},
		{.method = ANONYMIZE_NOISE,
		 .groups = ANONYMIZE_COUNTERS,
		 .amount = 5},
	};
	static const uint8_t key[ANONYMIZE_KEY] = {1, 2, 3};
	const struct anonymize_conf conf = {rules, UNIT_COUNT(rules), key,
					    false};
	struct anonymize_error error;
	int rc = anonymize_stage_new("a", &conf, registry, shapes, out, &error);

	free(error.text);
	return rc;
}

static int
new_dedup(struct stage **out, bool best)
{
	const struct dedup_conf conf = {
		.name = "d",
		.best = best,
		.window_ms = 600000,
		.hold_ms = 30000,
		.tolerance_ms = 2000,
		.max_flows = 100,
		.max_octets = 65536,
	};

	return dedup_stage_new(&conf, registry, out);
}

static int
new_first(struct stage **out)
{
	return new_dedup(out, false);
}

static int
new_best(struct stage **out)
{
	return new_dedup(out, true);
}

static const struct kind {
	int (*make)(struct stage **out);
	unsigned records; /* of one */
} kinds[] = {
	{new_filter, 1},
	{new_split, 2},
	{new_anonymize, 1},
	{new_first, 1},
	{new_best, 1},
};

/* What passed, and what waits. */
static uint64_t
kept(const struct stage *stage)
{
	return stage->ledger.exported + stage->ledger.held;
}

/* As far as memory goes. */
static int
run(const struct kind *kind)
{
	struct stage *stage;
	int rc = kind->make(&stage);

	if (rc < 0) {
		CU_ASSERT_EQUAL(rc, -ENOMEM);
		return rc;
	}
	stage_run(stage, &batch);
	CU_ASSERT(ledger_balanced(&stage->ledger));
	if (stage->ledger.lost[LOSS_NO_MEMORY])
		rc = -ENOMEM;
	else
		CU_ASSERT_EQUAL(kept(stage), kind->records);
	stage_free(stage);
	return rc;
}

static void
nomem_of(const struct kind *kind)
{
	int rc = 0;

	for (unsigned n = 1;; n++) {
		nomem_begin(n);
		rc = run(kind);
		if (!nomem_end())
			break;
		CU_ASSERT_EQUAL(rc, -ENOMEM);
	}
	CU_ASSERT_EQUAL(rc, 0);
}

static void
test_nomem(void)
{
	for (size_t i = 0; i < UNIT_COUNT(kinds); i++)
		nomem_of(&kinds[i]);
}

/* Messages, too, where there is no memory for them. */
static void
test_nomem_error(void)
{
	struct filter_error error;
	struct filter *filter;
	int rc;

	for (unsigned n = 1;; n++) {
		bool failed;

		nomem_begin(n);
		rc = filter_new("port 80 and x", registry, &filter, &error);
		failed = nomem_end();
		CU_ASSERT(rc == -ENOMEM || rc == -EINVAL);
		free(error.text);
		if (!failed)
			break;
	}
	CU_ASSERT_EQUAL(rc, -EINVAL);
}

static void
test_warm(void)
{
	for (size_t k = 0; k < UNIT_COUNT(kinds); k++) {
		struct stage *stage;
		unsigned calls;

		CU_ASSERT_EQUAL_FATAL(kinds[k].make(&stage), 0);
		stage_run(stage, &batch);
		calls = nomem_calls;
		for (int i = 0; i < 1000; i++)
			stage_run(stage, &batch);
		CU_ASSERT_EQUAL(nomem_calls, calls);
		CU_ASSERT_EQUAL(kept(stage), 1001 * kinds[k].records);
		stage_free(stage);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"no memory", test_nomem},
		{"no memory for a message", test_nomem_error},
		{"warm", test_warm},
	};
	struct field field[40];
	int rc;

	registry = ie_registry_new(64);
	shapes = shape_table_new(16);
	offset[1] = flow_write(registry, flow_v4, UNIT_COUNT(flow_v4), field,
			       record);
	if (shape_get(shapes, field, UNIT_COUNT(flow_v4), 0, &batch.shape) < 0)
		return 1;
	rc = unit_run("mediation nomem", tests, UNIT_COUNT(tests));
	shape_release(batch.shape);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return rc;
}
