/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of the meter: each allocation fails once, and what was refused has
 * left no trace; what counts into flows that are there takes none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/metermib_agent.h"
#include "control.h"
#include "matcher.h"
#include "mib.h"
#include "nomem.h"
#include "unit.h"

enum { FLOWS = 100, START_MS = 1000 };

static bool
set(struct meter *meter, enum control_table table, unsigned sub_id, uint32_t a,
    uint64_t number, bool create)
{
	unsigned status = table == CONTROL_RULE_SET ? 5 : 6;
	struct change *change = change_new(meter, false);
	struct control_row row = {a, 0};
	struct value value;
	bool good = false;
	size_t item;

	if (!change)
		return false;
	value_number(&value, VALUE_INTEGER, ROW_CREATE_AND_WAIT);
	if (create && change_add(change, table, status, row, &value))
		goto out;
	value_number(&value, VALUE_INTEGER, number);
	good = !change_add(change, table, sub_id, row, &value) &&
	       !change_check(change, &item) && !change_commit(change);
out:
	change_free(change);
	return good;
}

static unsigned
count(struct meter *meter)
{
	unsigned counted = 0;

	for (uint32_t i = 0; i < FLOWS; i++) {
		struct flow_key key;
		int err;

		memset(&key, 0, sizeof(key));
		key.rule_set = 1;
		key.end[FLOW_SOURCE].interface = 1 + i;
		err = meter_count(meter, &key, FLOW_TO, 10, 1, START_MS + 10);
		CU_ASSERT(err == 0 || err == -ENOMEM);
		counted += err == 0;
	}
	return counted;
}

/* Rule set 1 has one flow for all packets, or could not be made ready. */
static unsigned
packets(struct meter *meter)
{
	struct pme_packet packet = {.octets = 10, .pdus = 1};
	unsigned counted = 0;

	for (unsigned i = 0; i < FLOWS; i++) {
		enum meter_fate fate;

		packet.end[FLOW_SOURCE].port[1] = (uint8_t)i;
		fate = meter_packet(meter, &packet, true);
		CU_ASSERT(fate == METER_COUNTED || fate == METER_NO_MEMORY);
		counted += fate == METER_COUNTED;
	}
	return counted;
}

/* By index, by time filter, and as objects: as many as were counted. */
static void
check_flows(struct meter *meter, unsigned counted)
{
	const struct meter_table *flows = meter_flows(meter);
	struct mib_oid oid = {.length = 4, .id = {2, 1, 1, 28}};
	struct mib mib = {.meter = meter};
	const struct meter_flow *flow = NULL;
	unsigned there = 0, next = 0, objects = 0;
	struct value value;

	for (uint32_t i = 1; i <= meter_table_max(flows); i++)
		there += meter_table_at(flows, i) != NULL;
	while ((flow = meter_table_next(flows, 1, 0, flow ? flow->index : 0)))
		next++;
	while (mib_next(&mib, &oid, false, &value) && oid.id[3] == 28)
		objects++;
	CU_ASSERT_EQUAL(there, counted);
	CU_ASSERT_EQUAL(next, counted);
	CU_ASSERT_EQUAL(objects, counted);
	CU_ASSERT_EQUAL(meter_table_flows(flows, 1), counted);
}

static void
run(void)
{
	struct meter_config config = {
		.max_flows = 2 * FLOWS, .max_rules = 50, .all_rule_sets = true};
	struct meter *meter = meter_new(&config, START_MS);
	struct control_row row = {7, 1};
	bool made, larger;

	if (!meter)
		return;
	check_flows(meter, count(meter));
	made = set(meter, CONTROL_RULE_SET, 2, 7, 3, true);
	CU_ASSERT_EQUAL(control_row_exists(meter, CONTROL_RULE, row), made);
	larger = set(meter, CONTROL_RULE_SET, 2, 7, 9, false);
	row.b = 9;
	CU_ASSERT_EQUAL(control_row_exists(meter, CONTROL_RULE, row), larger);
	CU_ASSERT_EQUAL(rule_store_room(meter->rules), 49 - (larger ? 9u
							     : made ? 3u
								    : 0u));
	row = (struct control_row){3, 0};
	made = set(meter, CONTROL_READER, 7, 3, 1, true);
	CU_ASSERT_EQUAL(control_row_exists(meter, CONTROL_READER, row), made);
	meter_restart(meter, START_MS + 1000);
	check_flows(meter, 0);
	check_flows(meter, packets(meter) > 0);
	meter_free(meter);
}

static void
test_each_allocation_fails_once(void)
{
	unsigned n = 1;

	while (nomem_begin(n), run(), nomem_end())
		n++;
	CU_ASSERT(n > 10);
}

static void
test_counting_takes_none(void)
{
	struct meter_config config = {.max_flows = 2 * FLOWS, .max_rules = 1};
	struct meter *meter = meter_new(&config, START_MS);

	CU_ASSERT_EQUAL(count(meter), FLOWS);
	nomem_calls = 0;
	for (unsigned i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(count(meter), FLOWS);
	/* Nor does reading, nor do flows that take the place of others. */
	check_flows(meter, FLOWS);
	meter_table_clear(meter_flows(meter), 0, FLOW_END_RECYCLED);
	CU_ASSERT_EQUAL(count(meter), FLOWS);
	CU_ASSERT_EQUAL(packets(meter), FLOWS);
	CU_ASSERT_EQUAL(nomem_calls, 0);
	meter_free(meter);
}

static const struct unit_test tests[] = {
	{"each allocation fails once", test_each_allocation_fails_once},
	{"counting takes none", test_counting_takes_none},
};

int
main(void)
{
	return unit_run("metermib agent memory", tests, UNIT_COUNT(tests));
}
