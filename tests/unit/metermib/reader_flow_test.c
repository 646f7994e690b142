/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Baselines: deltas, wraps, recycled indexes, scales, times, pruning. */
#include "meter_flow.h"
#include "unit.h"

#include <errno.h>

static struct meter_row row;
static struct meter_clock clock_at = {true, 100000, 1700000000000u};
static struct flow_pass pass;

static void
put(uint8_t attribute, uint64_t number)
{
	struct ber_value value = {.kind = BER_KIND_NUMBER, .number = number};

	row_set(&row, attribute, &value);
}

static void
make(uint32_t index, uint32_t first, uint64_t to_octets, uint64_t to_pdus,
     uint64_t from_octets, uint64_t from_pdus)
{
	row_reset(&row);
	row.rule_set = 7;
	row.index = index;
	put(ATTRIBUTE_FIRST_TIME, first);
	put(ATTRIBUTE_LAST_ACTIVE_TIME, first + 100);
	put(ATTRIBUTE_TO_OCTETS, to_octets);
	put(ATTRIBUTE_TO_PDUS, to_pdus);
	put(ATTRIBUTE_FROM_OCTETS, from_octets);
	put(ATTRIBUTE_FROM_PDUS, from_pdus);
	pass = (struct flow_pass){.clock = &clock_at};
}

static void
test_grows(void)
{
	struct meter_flows flows;
	struct flow_reading r;

	meter_flows_init(&flows, 10);
	make(1, 5000, 100, 2, 50, 1);
	CU_ASSERT_EQUAL(meter_flows_read(&flows, &pass, &row, &r), 0);
	CU_ASSERT_EQUAL(r.news, FLOW_GROWN);
	CU_ASSERT_EQUAL(r.delta[FLOW_TO_OCTETS], 100);
	CU_ASSERT_EQUAL(r.delta[FLOW_FROM_PDUS], 1);
	CU_ASSERT_EQUAL(r.start_ms, 1700000000000u - 950000);
	CU_ASSERT_EQUAL(r.end_ms, r.start_ms + 1000);
	CU_ASSERT_EQUAL(meter_flows_read(&flows, &pass, &row, &r), 0);
	CU_ASSERT_EQUAL(r.news, FLOW_SAME);
	make(1, 5000, 175, 3, 50, 1);
	CU_ASSERT_EQUAL(meter_flows_read(&flows, &pass, &row, &r), 0);
	CU_ASSERT_EQUAL(r.delta[FLOW_TO_OCTETS], 75);
	CU_ASSERT_EQUAL(r.delta[FLOW_TO_PDUS], 1);
	CU_ASSERT_EQUAL(r.delta[FLOW_FROM_OCTETS], 0);
	CU_ASSERT_EQUAL(r.total[FLOW_TO_OCTETS], 175);
	meter_flows_fini(&flows);
}

static void
test_wraps(void)
{
	struct meter_flows flows;
	struct flow_reading r;

	meter_flows_init(&flows, 10);
	make(1, 5000, UINT64_MAX - 9, 1, 0, 0);
	meter_flows_read(&flows, &pass, &row, &r);
	make(1, 5000, 10, 2, 0, 0);
	meter_flows_read(&flows, &pass, &row, &r);
	CU_ASSERT_EQUAL(r.delta[FLOW_TO_OCTETS], 20);
	CU_ASSERT_FALSE(r.restarted);
	make(2, 5000, 0xfffffff0u, 1, 0, 0);
	pass.wrap32 = true;
	meter_flows_read(&flows, &pass, &row, &r);
	CU_ASSERT_EQUAL(r.delta[FLOW_TO_OCTETS], 0xfffffff0u);
	make(2, 5000, 0x10, 2, 0, 0);
	pass.wrap32 = true;
	meter_flows_read(&flows, &pass, &row, &r);
	CU_ASSERT_EQUAL(r.delta[FLOW_TO_OCTETS], 0x20);
	meter_flows_fini(&flows);
}

static void
test_goes_back(void)
{
	struct meter_flows flows;
	struct flow_reading r;

	meter_flows_init(&flows, 10);
	make(1, 5000, 1000000, 1000, 10, 1);
	meter_flows_read(&flows, &pass, &row, &r);
	make(1, 5000, 300, 3, 20, 2);
	meter_flows_read(&flows, &pass, &row, &r);
	CU_ASSERT_TRUE(r.restarted);
	CU_ASSERT_EQUAL(r.delta[FLOW_TO_OCTETS], 300);
	CU_ASSERT_EQUAL(r.delta[FLOW_FROM_OCTETS], 20);
	meter_flows_fini(&flows);
}

static void
test_recycled(void)
{
	struct meter_flows flows;
	struct flow_reading r;

	meter_flows_init(&flows, 10);
	make(1, 5000, 100, 1, 0, 0);
	meter_flows_read(&flows, &pass, &row, &r);
	make(1, 9000, 130, 2, 0, 0);
	meter_flows_read(&flows, &pass, &row, &r);
	CU_ASSERT_TRUE(r.recycled);
	CU_ASSERT_EQUAL(r.delta[FLOW_TO_OCTETS], 130);
	CU_ASSERT_EQUAL(flows.count, 1);
	meter_flows_fini(&flows);
}

static void
test_scale(void)
{
	struct meter_flows flows;
	struct flow_reading r;

	meter_flows_init(&flows, 10);
	make(1, 5000, 100, 10, 0, 0);
	put(ATTRIBUTE_OCTET_SCALE, 3);
	meter_flows_read(&flows, &pass, &row, &r);
	CU_ASSERT_EQUAL(r.delta[FLOW_TO_OCTETS], 800);
	CU_ASSERT_EQUAL(r.delta[FLOW_TO_PDUS], 10);
	make(1, 5000, 110, 10, 0, 0);
	put(ATTRIBUTE_OCTET_SCALE, 3);
	meter_flows_read(&flows, &pass, &row, &r);
	CU_ASSERT_EQUAL(r.delta[FLOW_TO_OCTETS], 80);
	/* The meter takes another scale: 60 << 4 is 960. */
	make(1, 5000, 60, 10, 0, 0);
	put(ATTRIBUTE_OCTET_SCALE, 4);
	meter_flows_read(&flows, &pass, &row, &r);
	CU_ASSERT_EQUAL(r.delta[FLOW_TO_OCTETS], 80);
	CU_ASSERT_FALSE(r.restarted);
	meter_flows_fini(&flows);
}

static void
test_baseline(void)
{
	struct meter_flows flows;
	struct flow_reading r;

	meter_flows_init(&flows, 10);
	make(1, 5000, 100, 1, 0, 0);
	pass.has_start = true;
	pass.start = 6000;
	meter_flows_read(&flows, &pass, &row, &r);
	CU_ASSERT_EQUAL(r.news, FLOW_BASELINE);
	make(2, 6000, 100, 1, 0, 0);
	pass.has_start = true;
	pass.start = 6000;
	meter_flows_read(&flows, &pass, &row, &r);
	CU_ASSERT_EQUAL(r.news, FLOW_GROWN);
	make(1, 5000, 140, 2, 0, 0);
	pass.has_start = true;
	pass.start = 6000;
	meter_flows_read(&flows, &pass, &row, &r);
	CU_ASSERT_EQUAL(r.news, FLOW_GROWN);
	CU_ASSERT_EQUAL(r.delta[FLOW_TO_OCTETS], 40);
	meter_flows_fini(&flows);
}

static void
test_refuses(void)
{
	struct meter_flows flows;
	struct flow_reading r;
	struct ber_value text = {.kind = BER_KIND_OCTETS,
				 .octets = (const uint8_t *)"x", .length = 1};

	meter_flows_init(&flows, 2);
	make(0, 5000, 1, 1, 0, 0);
	CU_ASSERT_EQUAL(meter_flows_read(&flows, &pass, &row, &r), -EBADMSG);
	make(1, 5000, 1, 1, 0, 0);
	row_set(&row, ATTRIBUTE_FIRST_TIME, &text);
	CU_ASSERT_EQUAL(meter_flows_read(&flows, &pass, &row, &r), -EBADMSG);
	for (uint32_t i = 1; i <= 2; i++) {
		make(i, 5000, 1, 1, 0, 0);
		CU_ASSERT_EQUAL(meter_flows_read(&flows, &pass, &row, &r), 0);
	}
	make(3, 5000, 1, 1, 0, 0);
	CU_ASSERT_EQUAL(meter_flows_read(&flows, &pass, &row, &r), -ENOSPC);
	meter_flows_fini(&flows);
}

static void
test_many(void)
{
	struct meter_flows flows;
	struct flow_reading r;
	uint32_t pruned;

	meter_flows_init(&flows, 5000);
	for (uint32_t i = 1; i <= 5000; i++) {
		make(i, i, i, 1, 0, 0);
		pass.mark = i % 3 == 0;
		CU_ASSERT_EQUAL(meter_flows_read(&flows, &pass, &row, &r), 0);
	}
	CU_ASSERT_EQUAL(meter_flows_prune(&flows, 8, 0), 0);
	pruned = meter_flows_prune(&flows, 7, 0);
	CU_ASSERT_EQUAL(pruned, 1666);
	CU_ASSERT_EQUAL(flows.count, 5000 - 1666);
	for (uint32_t i = 1; i <= 5000; i++)
		CU_ASSERT_EQUAL(meter_flows_find(&flows, 7, i) == NULL,
				i % 3 == 0);
	meter_flows_fini(&flows);
}

static void
test_clock(void)
{
	struct meter_clock c = {true, 100, 1000000000000u};

	CU_ASSERT_EQUAL(meter_clock_ms(&c, 50), 1000000000000u - 500);
	/* A little later than the clock: the flow goes on. */
	CU_ASSERT_EQUAL(meter_clock_ms(&c, 150), 1000000000000u + 500);
	/* Before Uptime wrapped. */
	CU_ASSERT_EQUAL(meter_clock_ms(&c, 0xffffffff),
			1000000000000u - 1010);
	/* 400 days ago. */
	c.uptime = 400u * 8640000;
	CU_ASSERT_EQUAL(meter_clock_ms(&c, 0),
			1000000000000u - 400ull * 86400000);
	CU_ASSERT_TRUE(uptime_before(0xfffffff0, 5));
	CU_ASSERT_FALSE(uptime_before(5, 0xfffffff0));
}

static const struct unit_test tests[] = {
	{"new, same, grown", test_grows},
	{"counters wrap at 64 and 32 bits", test_wraps},
	{"a counter that went back was reset", test_goes_back},
	{"a recycled index is another flow", test_recycled},
	{"scales shift, and may change", test_scale},
	{"the first pass is a baseline", test_baseline},
	{"bad rows and a full table", test_refuses},
	{"many flows, pruned by mark", test_many},
	{"times of the meter on the wall clock", test_clock},
};

int
main(void)
{
	return unit_run("meter flows", tests, UNIT_COUNT(tests));
}
