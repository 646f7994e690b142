/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Filters where memory ends, and that they need none once they are warm. */
#include <errno.h>
#include <stdlib.h>

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

/* As far as memory goes. */
static int
run(void)
{
	struct filter_error error;
	struct stage *stage;
	int rc = filter_stage_new("f", expression, registry, &stage, &error);

	if (rc < 0) {
		CU_ASSERT_EQUAL(rc, -ENOMEM);
		free(error.text);
		return rc;
	}
	stage_run(stage, &batch);
	CU_ASSERT(ledger_balanced(&stage->ledger));
	if (stage->ledger.lost[LOSS_NO_MEMORY])
		rc = -ENOMEM;
	else
		CU_ASSERT_EQUAL(stage->ledger.exported, 1);
	stage_free(stage);
	return rc;
}

static void
test_nomem(void)
{
	int rc = 0;

	for (unsigned n = 1;; n++) {
		nomem_begin(n);
		rc = run();
		if (!nomem_end())
			break;
		CU_ASSERT_EQUAL(rc, -ENOMEM);
	}
	CU_ASSERT_EQUAL(rc, 0);
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
	struct filter_error error;
	struct stage *stage;
	unsigned calls;

	CU_ASSERT_EQUAL_FATAL(
		filter_stage_new("f", expression, registry, &stage, &error), 0);
	stage_run(stage, &batch);
	calls = nomem_calls;
	for (int i = 0; i < 1000; i++)
		stage_run(stage, &batch);
	CU_ASSERT_EQUAL(nomem_calls, calls);
	CU_ASSERT_EQUAL(stage->ledger.exported, 1001);
	stage_free(stage);
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
	rc = unit_run("filter nomem", tests, UNIT_COUNT(tests));
	shape_release(batch.shape);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return rc;
}
