/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The meter behind the agent: flow table, rule sets, rows, SETs, the MIB. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attribute.h"
#include "ber.h"
#include "conflux/metermib_agent.h"
#include "control.h"
#include "mib.h"
#include "rule_store.h"
#include "unit.h"

static struct flow_key
key_of(uint8_t rule_set, uint32_t n)
{
	struct flow_key key;

	memset(&key, 0, sizeof(key));
	key.rule_set = rule_set;
	key.end[FLOW_SOURCE].peer_type = PEER_TYPE_IPV4;
	key.end[FLOW_SOURCE].peer_length = 4;
	memcpy(key.end[FLOW_SOURCE].peer, &n, sizeof(n));
	memset(key.end[FLOW_SOURCE].peer_mask, 0xff, 4);
	return key;
}

/* Flow table */

/* What meter_table_next must find, the slow way. */
static const struct meter_flow *
slow_next(const struct meter_table *table, uint8_t rule_set, uint32_t time,
	  uint32_t after)
{
	for (uint32_t i = after + 1; i <= meter_table_max(table); i++) {
		const struct meter_flow *flow = meter_table_at(table, i);

		if (flow && flow->last_time >= time &&
		    (!rule_set || flow->key.rule_set == rule_set))
			return flow;
	}
	return NULL;
}

static void
check_next(const struct meter_table *table, uint32_t now)
{
	uint32_t max = meter_table_max(table);
	bool same = true;

	for (unsigned i = 0; i < 200; i++) {
		uint8_t rule_set = (uint8_t)(rand() % 4);
		uint32_t time = (uint32_t)rand() % (now + 2);
		uint32_t after = (uint32_t)rand() % (max + 2);

		same &= meter_table_next(table, rule_set, time, after) ==
			slow_next(table, rule_set, time, after);
	}
	CU_ASSERT(same);
}

static void
table_at_random(uint32_t max)
{
	struct meter_table *table = meter_table_new(max, true);
	uint32_t now = 1;

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	for (unsigned step = 0; step < 20000; step++) {
		struct flow_key key = key_of((uint8_t)(1 + rand() % 3),
					     (uint32_t)rand() % (max * 2));
		struct meter_flow *flow = meter_table_find(table, &key);
		int err;

		now += rand() % 3 == 0;
		if (!flow) {
			err = meter_table_add(table, &key, now, &flow);
			CU_ASSERT_EQUAL(err, flow ? 0 : -ENOSPC);
		} else if (rand() % 4 == 0) {
			meter_table_remove(table, flow, FLOW_END_RECYCLED);
		} else {
			meter_table_count(table, flow, FLOW_TO, 10, 1, now);
		}
		if (step % 1000 == 999)
			check_next(table, now);
	}
	for (unsigned rule_set = 1; rule_set < 4; rule_set++) {
		uint32_t latest = 0;

		for (uint32_t i = 0;;) {
			const struct meter_flow *flow =
				slow_next(table, (uint8_t)rule_set, 0, i);

			if (!flow)
				break;
			i = flow->index;
			if (flow->last_time > latest)
				latest = flow->last_time;
		}
		CU_ASSERT_EQUAL(meter_table_latest(table, (uint8_t)rule_set),
				latest);
	}
	meter_table_clear(table, 0, FLOW_END_RESTART);
	CU_ASSERT_EQUAL(meter_table_flows(table, 0), 0);
	CU_ASSERT_PTR_NULL(meter_table_next(table, 0, 0, 0));
	meter_table_free(table);
}

static void
test_meter_table_at_random(void)
{
	/* Both sides of each level of the time tree. */
	static const uint32_t max[] = {1, 2, 62, 63, 64, 65, 4094, 4095, 4096};

	srand(1);
	for (unsigned i = 0; i < sizeof(max) / sizeof(max[0]); i++)
		table_at_random(max[i]);
	CU_ASSERT_PTR_NULL(meter_table_new(0, false));
	CU_ASSERT_PTR_NULL(meter_table_new(METER_TABLE_MAX + 1, false));
}

static void
test_oldest_goes_by_last_time(void)
{
	struct meter_table *table = meter_table_new(100, false);
	struct meter_flow *flow[3];
	struct flow_key key;

	for (uint32_t i = 0; i < 3; i++) {
		key = key_of(7, i);
		CU_ASSERT_EQUAL(meter_table_add(table, &key, 10 + i, &flow[i]),
				0);
	}
	CU_ASSERT_PTR_EQUAL(meter_table_oldest(table, 7), flow[0]);
	meter_table_count(table, flow[0], FLOW_FROM, 1, 1, 20);
	CU_ASSERT_PTR_EQUAL(meter_table_oldest(table, 7), flow[1]);
	meter_table_count(table, flow[1], FLOW_FROM, 1, 1, 20);
	CU_ASSERT_PTR_EQUAL(meter_table_oldest(table, 7), flow[2]);
	meter_table_remove(table, flow[2], FLOW_END_RECYCLED);
	CU_ASSERT_PTR_EQUAL(meter_table_oldest(table, 7), flow[0]);
	CU_ASSERT_PTR_NULL(meter_table_oldest(table, 8));
	key = key_of(0, 1);
	CU_ASSERT_EQUAL(meter_table_add(table, &key, 20, &flow[2]), -EINVAL);
	meter_table_free(table);
}

static void
on_removal(void *arg, const struct meter_flow *flow, enum flow_end_reason why)
{
	unsigned *gone = arg;

	CU_ASSERT_EQUAL(why, FLOW_END_DESTROYED);
	CU_ASSERT(flow->index != 0);
	++*gone;
}

static void
test_index_is_used_again(void)
{
	struct meter_table *table = meter_table_new(3, false);
	struct flow_key key = key_of(1, 0);
	struct meter_flow *flow;
	unsigned gone = 0;

	meter_table_on_removal(table, on_removal, &gone);
	for (uint32_t i = 0; i < 3; i++) {
		key = key_of(1, i);
		CU_ASSERT_EQUAL(meter_table_add(table, &key, 1, &flow), 0);
		CU_ASSERT_EQUAL(flow->index, i + 1);
	}
	key = key_of(1, 9);
	CU_ASSERT_EQUAL(meter_table_add(table, &key, 2, &flow), -ENOSPC);
	meter_table_remove(table, meter_table_at(table, 2), FLOW_END_DESTROYED);
	CU_ASSERT_PTR_NULL(meter_table_at(table, 2));
	CU_ASSERT_EQUAL(meter_table_add(table, &key, 2, &flow), 0);
	CU_ASSERT_EQUAL(flow->index, 2);
	CU_ASSERT_EQUAL(flow->first_time, 2);
	meter_table_clear(table, 1, FLOW_END_DESTROYED);
	CU_ASSERT_EQUAL(gone, 4);
	meter_table_free(table);
}

/* Rule store */

static struct rule
rule_of(uint8_t selector, uint8_t action, uint16_t parameter)
{
	return (struct rule){.selector = selector,
			     .action = action,
			     .parameter = parameter,
			     .mask_length = 2,
			     .value_length = 2};
}

static void
test_rules_are_checked(void)
{
	struct rule rule = rule_of(ATTRIBUTE_NULL, RULE_COUNT, 0);

	CU_ASSERT(rule_check(&rule, 1));
	rule = rule_of(ATTRIBUTE_NULL, 0, 0);
	CU_ASSERT_FALSE(rule_check(&rule, 1));
	rule = rule_of(ATTRIBUTE_TO_OCTETS, RULE_COUNT, 0);
	CU_ASSERT_FALSE(rule_check(&rule, 1));
	rule = rule_of(ATTRIBUTE_SOURCE_PEER_TYPE, RULE_PUSH_PKT_TO, 3);
	CU_ASSERT(rule_check(&rule, 3));
	CU_ASSERT_FALSE(rule_check(&rule, 2));
	rule.parameter = 0;
	CU_ASSERT_FALSE(rule_check(&rule, 3));
	rule = rule_of(ATTRIBUTE_V1, RULE_ASSIGN_ACT, 1);
	CU_ASSERT_FALSE(rule_check(&rule, 1) && rule.value[0]);
	rule.value[0] = ATTRIBUTE_SOURCE_PEER_ADDRESS;
	CU_ASSERT(rule_check(&rule, 1));
	rule.value[0] = ATTRIBUTE_V5;
	CU_ASSERT_FALSE(rule_check(&rule, 1));
	rule = rule_of(ATTRIBUTE_SOURCE_PEER_TYPE, RULE_ASSIGN, 1);
	CU_ASSERT_FALSE(rule_check(&rule, 1));
}

static void
test_rule_store(void)
{
	struct rule_store *store = rule_store_new(10);
	struct rule_set row = {.status = ROW_NOT_IN_SERVICE, .size = 6};
	uint32_t room = rule_store_room(store);

	CU_ASSERT_EQUAL(rule_store_next(store, 0), RULE_SET_DEFAULT);
	CU_ASSERT_EQUAL(rule_store_check(store, RULE_SET_DEFAULT), 0);
	CU_ASSERT_EQUAL(rule_store_put(store, 5, &row), 0);
	CU_ASSERT_EQUAL(rule_store_room(store), room - 6);
	CU_ASSERT_EQUAL(rule_store_check(store, 5), 1);
	*rule_store_rule(store, 5, 1) = rule_of(0, RULE_COUNT, 0);
	CU_ASSERT_EQUAL(rule_store_check(store, 5), 2);
	row.size = 11;
	CU_ASSERT_EQUAL(rule_store_put(store, 5, &row), -ENOSPC);
	CU_ASSERT_EQUAL(rule_store_find(store, 5)->size, 6);
	row.size = 1;
	CU_ASSERT_EQUAL(rule_store_put(store, 5, &row), 0);
	CU_ASSERT_EQUAL(rule_store_check(store, 5), 0);
	CU_ASSERT_PTR_NULL(rule_store_rule(store, 5, 2));
	CU_ASSERT_EQUAL(rule_store_next(store, 1), 5);
	rule_store_remove(store, 5);
	CU_ASSERT_EQUAL(rule_store_room(store), room);
	CU_ASSERT_PTR_NULL(rule_store_find(store, 5));
	CU_ASSERT_PTR_NULL(rule_store_find(store, 256));
	CU_ASSERT_EQUAL(rule_store_next(store, 1), 0);
	rule_store_free(store);
}

/* SETs */

struct set {
	enum control_table table;
	unsigned sub_id;
	uint32_t a;
	uint32_t b;
	const char *octets; /* NULL: number */
	uint64_t number;
};

#define OCTETS(text) text, sizeof(text) - 1
#define NUMBER(n) NULL, n
#define SETS(array) array, sizeof(array) / sizeof((array)[0])

static enum change_error
set_all(struct meter *meter, const struct set *set, size_t count)
{
	struct change *change = change_new(meter, false);
	enum change_error err = CHANGE_OK;
	size_t item;

	for (size_t i = 0; i < count && !err; i++) {
		const struct control_column *column =
			control_column(set[i].table, set[i].sub_id);
		struct value value;

		if (set[i].octets)
			value_octets(&value, set[i].octets,
				     (size_t)set[i].number);
		else
			value_number(&value, column->type, set[i].number);
		err = change_add(change, set[i].table, set[i].sub_id,
				 (struct control_row){set[i].a, set[i].b},
				 &value);
	}
	if (!err)
		err = change_check(change, &item);
	if (!err)
		err = change_commit(change);
	change_free(change);
	return err;
}

static enum change_error
set_number(struct meter *meter, enum control_table table, unsigned sub_id,
	   uint32_t a, uint64_t number)
{
	struct set set = {table, sub_id, a, 0, NULL, number};

	return set_all(meter, &set, 1);
}

static uint64_t
get_number(struct meter *meter, enum control_table table, unsigned sub_id,
	   uint32_t a, uint32_t b)
{
	struct value value = {.number = 0};

	control_get(meter, table, sub_id, (struct control_row){a, b}, &value);
	return value.number;
}

static struct meter *
meter_for_test(void)
{
	struct meter_config config = {.max_flows = 100,
				      .max_rules = 20,
				      .inactivity = 10,
				      .all_rule_sets = true};
	struct meter *meter = meter_new(&config, 1000000);

	CU_ASSERT_PTR_NOT_NULL_FATAL(meter);
	return meter;
}

#define RS CONTROL_RULE_SET
#define RD CONTROL_READER
#define MG CONTROL_MANAGER
#define RU CONTROL_RULE
#define SC CONTROL_SCALAR

static const struct set new_rule_set[] = {
	{RS, 2, 9, 0, NUMBER(2)}, /* before the status: no matter */
	{RS, 5, 9, 0, NUMBER(ROW_CREATE_AND_WAIT)},
	{RS, 3, 9, 0, OCTETS("tester")},
	{RS, 6, 9, 0, OCTETS("rules")},
};

static const struct set rules[] = {
	{RU, 3, 9, 1, NUMBER(ATTRIBUTE_SOURCE_PEER_TYPE)},
	{RU, 4, 9, 1, OCTETS("\377\0")},
	{RU, 5, 9, 1, OCTETS("\1\0")},
	{RU, 6, 9, 1, NUMBER(RULE_GOTO_ACT)},
	{RU, 7, 9, 1, NUMBER(2)},
	{RU, 3, 9, 2, NUMBER(ATTRIBUTE_NULL)},
	{RU, 6, 9, 2, NUMBER(RULE_COUNT)},
	{RU, 7, 9, 2, NUMBER(0)},
};

static void
test_rule_set_download(void)
{
	struct meter *meter = meter_for_test();
	struct value value;

	CU_ASSERT_EQUAL(set_number(meter, RS, 2, 9, 2),
			CHANGE_INCONSISTENT_NAME);
	CU_ASSERT_EQUAL(set_all(meter, SETS(new_rule_set)), 0);
	CU_ASSERT_EQUAL(set_all(meter, SETS(new_rule_set)),
			CHANGE_INCONSISTENT_VALUE);
	CU_ASSERT_EQUAL(get_number(meter, RS, 5, 9, 0), ROW_NOT_READY);
	CU_ASSERT(control_row_exists(meter, RU, (struct control_row){9, 2}));
	CU_ASSERT_FALSE(
		control_row_exists(meter, RU, (struct control_row){9, 3}));
	CU_ASSERT_EQUAL(set_number(meter, RS, 5, 9, ROW_ACTIVE),
			CHANGE_INCONSISTENT_VALUE);
	CU_ASSERT_EQUAL(set_all(meter, SETS(rules)), 0);
	CU_ASSERT_EQUAL(get_number(meter, RS, 5, 9, 0), ROW_NOT_IN_SERVICE);
	CU_ASSERT_EQUAL(set_number(meter, RS, 5, 9, ROW_ACTIVE), 0);
	CU_ASSERT_EQUAL(get_number(meter, RS, 7, 9, 0), 1);
	/* Active: nothing can be changed. */
	CU_ASSERT_EQUAL(set_all(meter, SETS(rules)), CHANGE_NOT_WRITABLE);
	CU_ASSERT_EQUAL(set_number(meter, RS, 2, 9, 3), CHANGE_NOT_WRITABLE);
	CU_ASSERT(
		control_get(meter, RU, 4, (struct control_row){9, 1}, &value));
	CU_ASSERT(value.length == 2 && value.octets[0] == 0xff);
	/* The built-in one never. */
	CU_ASSERT_EQUAL(set_number(meter, RS, 5, 1, ROW_DESTROY),
			CHANGE_NOT_WRITABLE);
	CU_ASSERT_EQUAL(set_number(meter, RS, 2, 1, 4), CHANGE_NOT_WRITABLE);
	/* Nobody could read its flows. */
	CU_ASSERT_EQUAL(set_number(meter, RS, 5, 256, ROW_CREATE_AND_WAIT),
			CHANGE_NO_CREATION);
	CU_ASSERT_EQUAL(set_number(meter, RS, 5, 9, ROW_NOT_IN_SERVICE), 0);
	CU_ASSERT_EQUAL(set_number(meter, RS, 2, 9, 30),
			CHANGE_RESOURCE_UNAVAILABLE);
	CU_ASSERT_EQUAL(set_number(meter, RS, 5, 9, ROW_DESTROY), 0);
	CU_ASSERT_FALSE(
		control_row_exists(meter, RU, (struct control_row){9, 1}));
	meter_free(meter);
}

static void
test_set_is_one_step(void)
{
	struct meter *meter = meter_for_test();
	static const struct set all[] = {
		{RU, 6, 9, 1, NUMBER(RULE_COUNT)},
		{RU, 3, 9, 1, NUMBER(0)},
		{MG, 8, 5, 0, NUMBER(ROW_CREATE_AND_GO)},
		{MG, 2, 5, 0, NUMBER(9)},
		{RS, 5, 9, 0, NUMBER(ROW_CREATE_AND_GO)},
		{RS, 2, 9, 0, NUMBER(1)},
		{RS, 3, 9, 0, OCTETS("")},
	};
	static const struct set broken[] = {
		{SC, 6, 0, 0, NUMBER(77)},
		{MG, 4, 5, 0, NUMBER(50)},
		{MG, 3, 5, 0, NUMBER(200)}, /* no such rule set */
	};
	uint8_t running[256];

	CU_ASSERT_EQUAL(set_all(meter, SETS(all)), 0);
	CU_ASSERT_EQUAL(meter_running(meter, running), 2);
	CU_ASSERT_EQUAL(running[1], 9);
	CU_ASSERT_EQUAL(set_all(meter, SETS(broken)),
			CHANGE_INCONSISTENT_VALUE);
	CU_ASSERT_EQUAL(get_number(meter, SC, 6, 0, 0), 10);
	CU_ASSERT_EQUAL(get_number(meter, MG, 4, 5, 0), 0);
	/* Referred to: it stays active. */
	CU_ASSERT_EQUAL(set_number(meter, RS, 5, 9, ROW_DESTROY),
			CHANGE_INCONSISTENT_VALUE);
	CU_ASSERT_EQUAL(set_number(meter, MG, 2, 5, 0), 0);
	CU_ASSERT_EQUAL(meter_running(meter, running), 1);
	CU_ASSERT_EQUAL(set_number(meter, RS, 5, 9, ROW_DESTROY), 0);
	meter_free(meter);
}

static void
test_values_are_checked(void)
{
	struct meter *meter = meter_for_test();
	struct change *change = change_new(meter, true);
	struct control_row row = {0, 0};
	struct value value;

	value_number(&value, VALUE_INTEGER, 101);
	CU_ASSERT_EQUAL(change_add(change, SC, 5, row, &value),
			CHANGE_WRONG_VALUE);
	CU_ASSERT_EQUAL(change_add(change, SC, 7, row, &value),
			CHANGE_NOT_WRITABLE);
	CU_ASSERT_EQUAL(change_add(change, SC, 4, row, &value),
			CHANGE_NO_CREATION);
	/* RFC 2064 had no flood mode. */
	value.number = 2;
	CU_ASSERT_EQUAL(change_add(change, SC, 9, row, &value),
			CHANGE_NOT_WRITABLE);
	value_number(&value, VALUE_INTEGER, (uint64_t)-1);
	CU_ASSERT_EQUAL(change_add(change, RD, 2, row, &value),
			CHANGE_WRONG_VALUE);
	value_number(&value, VALUE_TIME_TICKS, 1);
	CU_ASSERT_EQUAL(change_add(change, RD, 2, row, &value),
			CHANGE_WRONG_TYPE);
	value_octets(&value, "x", 1);
	CU_ASSERT_EQUAL(change_add(change, RU, 4, row, &value),
			CHANGE_WRONG_LENGTH);
	value_number(&value, VALUE_INTEGER, ATTRIBUTE_SOURCE_PEER_MASK);
	CU_ASSERT_EQUAL(change_add(change, RU, 3, row, &value),
			CHANGE_WRONG_VALUE);
	value_number(&value, VALUE_INTEGER, ROW_NOT_READY);
	CU_ASSERT_EQUAL(change_add(change, RD, 6, row, &value),
			CHANGE_WRONG_VALUE);
	change_free(change);
	meter_free(meter);
}

/* Readers */

static const struct set new_reader[] = {
	{RD, 6, 3, 0, NUMBER(ROW_CREATE_AND_GO)},
	{RD, 2, 3, 0, NUMBER(60)},
	{RD, 3, 3, 0, OCTETS("reader")},
	{RD, 7, 3, 0, NUMBER(1)},
};

static void
test_last_time(void)
{
	struct meter *meter = meter_for_test();
	uint64_t now = 1000000;

	CU_ASSERT_EQUAL(set_number(meter, RD, 6, 3, ROW_CREATE_AND_GO),
			CHANGE_INCONSISTENT_VALUE);
	CU_ASSERT_EQUAL(set_all(meter, SETS(new_reader)), 0);
	CU_ASSERT_EQUAL(get_number(meter, RD, 4, 3, 0), 0);
	meter_advance(meter, now + 5000);
	CU_ASSERT_EQUAL(set_number(meter, RD, 4, 3, 4711), 0);
	CU_ASSERT_EQUAL(get_number(meter, RD, 4, 3, 0), 501);
	CU_ASSERT_EQUAL(get_number(meter, RD, 5, 3, 0), 0);
	meter_advance(meter, now + 9000);
	CU_ASSERT_EQUAL(set_number(meter, RD, 4, 3, 0), 0);
	CU_ASSERT_EQUAL(get_number(meter, RD, 4, 3, 0), 901);
	CU_ASSERT_EQUAL(get_number(meter, RD, 5, 3, 0), 501);
	/* Of an active row only LastTime and Timeout can be changed. */
	CU_ASSERT_EQUAL(set_number(meter, RD, 2, 3, 30), 0);
	CU_ASSERT_EQUAL(set_number(meter, RD, 7, 3, 2),
			CHANGE_INCONSISTENT_VALUE);
	/* The row goes when its time is over. */
	meter_tick(meter, now + 9000 + 30000);
	CU_ASSERT_EQUAL(get_number(meter, RD, 6, 3, 0), ROW_ACTIVE);
	meter_tick(meter, now + 9000 + 30001);
	CU_ASSERT_EQUAL(get_number(meter, RD, 6, 3, 0), 0);
	CU_ASSERT_EQUAL(set_number(meter, RD, 4, 3, 0),
			CHANGE_INCONSISTENT_NAME);
	CU_ASSERT_EQUAL(set_number(meter, RD, 6, 3, ROW_DESTROY), 0);
	meter_free(meter);
}

static void
test_reader_in_steps(void)
{
	struct meter *meter = meter_for_test();

	CU_ASSERT_EQUAL(set_number(meter, RD, 6, 4, ROW_CREATE_AND_WAIT), 0);
	CU_ASSERT_EQUAL(get_number(meter, RD, 6, 4, 0), ROW_NOT_READY);
	CU_ASSERT_EQUAL(set_number(meter, RD, 6, 4, ROW_ACTIVE),
			CHANGE_INCONSISTENT_VALUE);
	CU_ASSERT_EQUAL(set_number(meter, RD, 7, 4, 77), 0);
	CU_ASSERT_EQUAL(get_number(meter, RD, 6, 4, 0), ROW_NOT_IN_SERVICE);
	/* There is no rule set 77. */
	CU_ASSERT_EQUAL(set_number(meter, RD, 6, 4, ROW_ACTIVE),
			CHANGE_INCONSISTENT_VALUE);
	CU_ASSERT_EQUAL(set_number(meter, RD, 7, 4, 1), 0);
	CU_ASSERT_EQUAL(set_number(meter, RD, 6, 4, ROW_ACTIVE), 0);
	/* One that nobody finishes does not stay for ever. */
	CU_ASSERT_EQUAL(set_number(meter, RD, 6, 5, ROW_CREATE_AND_WAIT), 0);
	meter_tick(meter, 1000000 + 299 * 1000);
	CU_ASSERT_EQUAL(get_number(meter, RD, 6, 5, 0), ROW_NOT_READY);
	meter_tick(meter, 1000000 + 301 * 1000);
	CU_ASSERT_EQUAL(get_number(meter, RD, 6, 5, 0), 0);
	CU_ASSERT_EQUAL(get_number(meter, RD, 6, 4, 0), ROW_ACTIVE);
	meter_free(meter);
}

static void
test_rows_are_bounded(void)
{
	struct meter *meter = meter_for_test();
	enum change_error err = CHANGE_OK;
	uint32_t i;

	for (i = 1; !err && i < 2 * METER_ROWS; i++)
		err = set_number(meter, RD, 6, i * 1000, ROW_CREATE_AND_WAIT);
	CU_ASSERT_EQUAL(err, CHANGE_RESOURCE_UNAVAILABLE);
	CU_ASSERT_EQUAL(i, METER_ROWS + 2);
	meter_free(meter);
}

static void
test_flows_wait_for_all_readers(void)
{
	struct meter *meter = meter_for_test();
	struct meter_table *flows = meter_flows(meter);
	struct flow_key key = key_of(1, 1);
	uint64_t now = 1000000;
	static const struct set other[] = {
		{RD, 6, 4, 0, NUMBER(ROW_CREATE_AND_GO)},
		{RD, 7, 4, 0, NUMBER(1)},
	};

	CU_ASSERT_EQUAL(meter_count(meter, &key, FLOW_TO, 5, 1, now), 0);
	CU_ASSERT_EQUAL(set_all(meter, SETS(new_reader)), 0);
	CU_ASSERT_EQUAL(set_all(meter, SETS(other)), 0);
	/* Idle for long (10 s), but not read. */
	meter_tick(meter, now += 20000);
	CU_ASSERT_EQUAL(meter_table_flows(flows, 1), 1);
	/* A first pass has begun, but who knows whether it was finished. */
	set_number(meter, RD, 4, 3, 0);
	meter_tick(meter, now += 1000);
	CU_ASSERT_EQUAL(meter_table_flows(flows, 1), 1);
	/* Reader 3 has finished it, reader 4 has not begun. */
	set_number(meter, RD, 4, 3, 0);
	meter_tick(meter, now += 1000);
	CU_ASSERT_EQUAL(meter_table_flows(flows, 1), 1);
	set_number(meter, RD, 4, 4, 0);
	meter_tick(meter, now += 1000);
	CU_ASSERT_EQUAL(meter_table_flows(flows, 1), 1);
	set_number(meter, RD, 4, 4, 0);
	meter_tick(meter, now += 1000);
	CU_ASSERT_EQUAL(meter_table_flows(flows, 1), 0);
	meter_free(meter);
}

/* A flow that counts in the tick of PreviousTime may not have been read. */
static void
test_same_tick_is_not_read(void)
{
	struct meter *meter = meter_for_test();
	struct meter_table *flows = meter_flows(meter);
	struct flow_key key = key_of(1, 1);
	uint64_t now = 1005000;

	CU_ASSERT_EQUAL(set_number(meter, SC, 6, 0, 0), 0);
	CU_ASSERT_EQUAL(set_all(meter, SETS(new_reader)), 0);
	meter_advance(meter, now);
	set_number(meter, RD, 4, 3, 0);
	CU_ASSERT_EQUAL(meter_count(meter, &key, FLOW_TO, 5, 1, now + 9), 0);
	meter_advance(meter, now += 1000);
	set_number(meter, RD, 4, 3, 0);
	meter_tick(meter, now);
	CU_ASSERT_EQUAL(meter_table_flows(flows, 1), 1);
	meter_advance(meter, now += 1000);
	set_number(meter, RD, 4, 3, 0);
	meter_tick(meter, now);
	CU_ASSERT_EQUAL(meter_table_flows(flows, 1), 0);
	meter_free(meter);
}

static void
test_marks(void)
{
	struct meter *meter = meter_for_test(); /* 100 flows */
	uint64_t now = 1000000;
	uint8_t running[256];
	struct flow_key key;
	int err = 0;
	uint32_t n;

	CU_ASSERT_EQUAL(set_number(meter, MG, 4, 1, 50), 0);
	for (n = 0; n < 50; n++) {
		key = key_of(1, n);
		err |= meter_count(meter, &key, FLOW_TO, 1, 1, now);
	}
	CU_ASSERT_EQUAL(err, 0);
	CU_ASSERT_EQUAL(get_number(meter, MG, 9, 1, 0), 2);
	key = key_of(1, n++);
	CU_ASSERT_EQUAL(meter_count(meter, &key, FLOW_TO, 1, 1, now), 0);
	/* Above the high water mark, no standby: the task stops. */
	CU_ASSERT_EQUAL(get_number(meter, MG, 9, 1, 0), 1);
	CU_ASSERT_EQUAL(meter_running(meter, running), 0);
	CU_ASSERT_EQUAL(meter_count(meter, &key, FLOW_TO, 1, 1, now), -ENOENT);
	CU_ASSERT_EQUAL(set_number(meter, MG, 4, 1, 100), 0);
	CU_ASSERT_EQUAL(set_number(meter, MG, 9, 1, 2), 0);
	CU_ASSERT_EQUAL(set_number(meter, MG, 9, 1, 1),
			CHANGE_INCONSISTENT_VALUE);
	CU_ASSERT_EQUAL(set_number(meter, SC, 9, 0, 1),
			CHANGE_INCONSISTENT_VALUE);
	for (; !err && n < 200; n++) {
		key = key_of(1, n);
		err = meter_count(meter, &key, FLOW_TO, 1, 1, now);
	}
	/* FloodMark 95: the 96th brings flood mode and is the last. */
	CU_ASSERT_EQUAL(err, -ENOSPC);
	CU_ASSERT_EQUAL(n, 97);
	CU_ASSERT_EQUAL(get_number(meter, SC, 9, 0, 0), 1);
	key = key_of(1, 3);
	CU_ASSERT_EQUAL(meter_count(meter, &key, FLOW_TO, 1, 1, now), 0);
	CU_ASSERT_EQUAL(set_number(meter, SC, 5, 0, 0), 0);
	CU_ASSERT_EQUAL(set_number(meter, SC, 9, 0, 2), 0);
	for (err = 0; !err && n < 200; n++) {
		key = key_of(1, n);
		err = meter_count(meter, &key, FLOW_TO, 1, 1, now);
	}
	CU_ASSERT_EQUAL(meter_table_flows(meter_flows(meter), 0), 100);
	meter_free(meter);
}

static void
test_uptime(void)
{
	struct meter_config config = {
		.max_flows = 10, .max_rules = 10, .uptime = UINT32_MAX - 10};
	struct meter *meter = meter_new(&config, 7);
	struct flow_key key = key_of(1, 1);

	CU_ASSERT_EQUAL(meter_advance(meter, 7), UINT32_MAX - 10);
	CU_ASSERT_EQUAL(meter_count(meter, &key, FLOW_TO, 1, 1, 8), 0);
	CU_ASSERT_EQUAL(meter_advance(meter, 7 + 100), UINT32_MAX);
	CU_ASSERT_EQUAL(meter_table_flows(meter_flows(meter), 0), 1);
	CU_ASSERT_EQUAL(meter_advance(meter, 7 + 110), 1);
	CU_ASSERT_EQUAL(meter_advance(meter, 7 + 130), 2);
	CU_ASSERT_EQUAL(meter_table_flows(meter_flows(meter), 0), 0);
	meter_restart(meter, 500);
	CU_ASSERT_EQUAL(meter_advance(meter, 510), 2);
	meter_free(meter);
}

/* The MIB */

static struct mib_oid
oid_of(const char *text)
{
	struct mib_oid oid = {.length = 0};

	while (*text) {
		char *end;

		oid.id[oid.length++] = (uint32_t)strtoul(text, &end, 10);
		text = *end ? end + 1 : end;
	}
	return oid;
}

static bool
oid_is(const struct mib_oid *oid, const char *text)
{
	struct mib_oid want = oid_of(text);

	return oid->length == want.length &&
	       memcmp(oid->id, want.id, want.length * sizeof(want.id[0])) == 0;
}

static int
oid_compare(const struct mib_oid *a, const struct mib_oid *b)
{
	for (unsigned i = 0; i < a->length && i < b->length; i++)
		if (a->id[i] != b->id[i])
			return a->id[i] < b->id[i] ? -1 : 1;
	return (int)a->length - (int)b->length;
}

static void
fill(struct meter *meter)
{
	for (uint32_t n = 0; n < 5; n++) {
		struct flow_key key = key_of(1, n);

		CU_ASSERT_EQUAL(meter_count(meter, &key, FLOW_TO, 100 + n,
					    1 + n, 1000000 + 1000 * n),
				0);
	}
}

/* Every object there is: in order, once, and GET finds it too. */
static unsigned
walk(struct mib *mib, bool v1)
{
	struct mib_oid at = {.length = 0}, before;
	struct value value, again;
	unsigned count = 0;
	bool good = true;

	for (before = at; count < 100000 && mib_next(mib, &at, v1, &value);
	     before = at) {
		good &= oid_compare(&before, &at) < 0;
		good &= mib_get(mib, &at, &again) && value.type == again.type &&
			value.number == again.number &&
			value.length == again.length;
		good &= !v1 || value.type != VALUE_COUNTER64;
		count++;
	}
	CU_ASSERT(good);
	return count;
}

static void
test_walk(void)
{
	struct meter *meter = meter_for_test();
	struct mib mib = {.meter = meter};
	unsigned all, v1;

	fill(meter);
	CU_ASSERT_EQUAL(set_all(meter, SETS(new_reader)), 0);
	CU_ASSERT_EQUAL(set_all(meter, SETS(new_rule_set)), 0);
	/* Two rule sets, one reader, one task, five scalars, three rules. */
	all = 2 * 7 + 6 + 8 + 5 + 3 * 5;
	/* 38 columns, and packages of one attribute. */
	all += 5 * 38 + 5;
	CU_ASSERT_EQUAL(walk(&mib, false), all);
	v1 = walk(&mib, true);
	CU_ASSERT_EQUAL(v1, all - 5 * 4);
	/* 1 + 101 + 201 + ... ticks, each row from T = 0 on. */
	mib.time_filter = METERMIB_PLUS_ONE;
	CU_ASSERT_EQUAL(walk(&mib, false),
			all - 5 * 39 + 39 * (5 + 1 + 101 + 201 + 301 + 401));
	mib.time_filter = METERMIB_LITERAL;
	CU_ASSERT_EQUAL(walk(&mib, false), all);
	mib.time_filter = METERMIB_ONE_PASS;
	mib.rfc2064 = true;
	CU_ASSERT_EQUAL(walk(&mib, false), 2 * 4 + 5 + 7 + 4 + 3 * 5 + 5 * 40);
	meter_free(meter);
}

static void
test_time_filter(void)
{
	struct meter *meter = meter_for_test();
	struct mib mib = {.meter = meter};
	struct mib_oid at = oid_of("2.1.1.27.1.202.0");
	struct value value;

	fill(meter); /* flow 1 at 1, 2 at 101, ... 5 at 401 */
	CU_ASSERT(mib_next(&mib, &at, false, &value));
	CU_ASSERT(oid_is(&at, "2.1.1.27.1.202.4"));
	CU_ASSERT_EQUAL(value.number, 103);
	CU_ASSERT_EQUAL(value.type, VALUE_COUNTER64);
	CU_ASSERT(mib_next(&mib, &at, false, &value));
	CU_ASSERT(mib_next(&mib, &at, false, &value));
	CU_ASSERT(oid_is(&at, "2.1.1.28.1.0.1"));
	at = oid_of("2.1.1.27.1.201.2");
	CU_ASSERT(mib_next(&mib, &at, false, &value));
	CU_ASSERT(oid_is(&at, "2.1.1.27.1.201.3"));
	mib.time_filter = METERMIB_PLUS_ONE;
	at = oid_of("2.1.1.27.1.202.5");
	CU_ASSERT(mib_next(&mib, &at, false, &value));
	CU_ASSERT(oid_is(&at, "2.1.1.27.1.203.4"));
	at = oid_of("2.1.1.27.1.301.5");
	CU_ASSERT(mib_next(&mib, &at, false, &value));
	CU_ASSERT(oid_is(&at, "2.1.1.27.1.302.5"));
	at = oid_of("2.1.1.27.1.401.5");
	CU_ASSERT(mib_next(&mib, &at, false, &value));
	CU_ASSERT(oid_is(&at, "2.1.1.28.1.0.1"));
	mib.time_filter = METERMIB_LITERAL;
	at = oid_of("2.1.1.28.1.50.0");
	CU_ASSERT(mib_next(&mib, &at, false, &value));
	CU_ASSERT(oid_is(&at, "2.1.1.28.1.101.2"));
	CU_ASSERT(mib_next(&mib, &at, false, &value));
	CU_ASSERT(oid_is(&at, "2.1.1.28.1.201.3"));
	/* A row is there up to its time. */
	at = oid_of("2.1.1.27.1.401.5");
	CU_ASSERT(mib_get(&mib, &at, &value));
	at = oid_of("2.1.1.27.1.402.5");
	CU_ASSERT_FALSE(mib_get(&mib, &at, &value));
	at = oid_of("2.1.1.27.2.401.5");
	CU_ASSERT_FALSE(mib_get(&mib, &at, &value));
	meter_free(meter);
}

static void
test_packages(void)
{
	struct meter *meter = meter_for_test();
	struct mib mib = {.meter = meter};
	struct mib_oid at = oid_of("2.3.1.5.4.1.9.27.16.1.102.0");
	struct ber_value v[4];
	struct value value;

	fill(meter);
	CU_ASSERT(mib_next(&mib, &at, true, &value));
	CU_ASSERT(oid_is(&at, "2.3.1.5.4.1.9.27.16.1.102.3"));
	CU_ASSERT_EQUAL_FATAL(
		ber_read_package(value.octets, value.length, v, 4), 0);
	CU_ASSERT(v[0].tag == BER_INTEGER && v[0].number == 3);
	CU_ASSERT(v[1].length == 4 && v[1].octets[0] == 2);
	CU_ASSERT(v[2].tag == BER_COUNTER64 && v[2].number == 102);
	CU_ASSERT(v[3].length == 6 && v[3].octets[0] == 0);
	CU_ASSERT(mib_get(&mib, &at, &value));
	mib.absent = METERMIB_ABSENT_EMPTY;
	CU_ASSERT(mib_get(&mib, &at, &value));
	CU_ASSERT_EQUAL(ber_read_package(value.octets, value.length, v, 4), 0);
	CU_ASSERT_EQUAL(v[3].kind, BER_KIND_ABSENT);
	mib.absent = METERMIB_ABSENT_NULL;
	CU_ASSERT(mib_get(&mib, &at, &value));
	CU_ASSERT_EQUAL(ber_read_package(value.octets, value.length, v, 4), 0);
	CU_ASSERT_EQUAL(v[3].tag, BER_NULL);
	CU_ASSERT_EQUAL(mib.packages, 4);
	/* The last flow of the selector: on to the rules. */
	at = oid_of("2.3.1.5.1.27.1.0.5");
	CU_ASSERT(mib_next(&mib, &at, false, &value));
	CU_ASSERT(oid_is(&at, "3.1.1.3.1.1"));
	meter_free(meter);
}

static void
test_odd_package_names(void)
{
	static const struct {
		const char *from;
		const char *to;
	} next[] = {
		{"2.3", "2.3.1.5.1.1.1.0.1"},
		{"2.3.1.5", "2.3.1.5.1.1.1.0.1"},
		{"2.3.1.4.3.3.3", "2.3.1.5.1.1.1.0.1"},
		{"2.3.1.5.0", "2.3.1.5.1.1.1.0.1"},
		{"2.3.1.5.3.27", "2.3.1.5.3.27.1.1.1.0.1"},
		{"2.3.1.5.1.27.1", "2.3.1.5.1.27.1.0.1"},
		{"2.3.1.5.1.27.1.101", "2.3.1.5.1.27.1.101.2"},
		{"2.3.1.5.1.27.1.0.1.0", "2.3.1.5.1.27.1.0.2"},
		{"2.3.1.5.1.27.0.7.7", "2.3.1.5.1.27.1.0.1"},
		{"2.3.1.5.2.27.27.1.0.1.5", "2.3.1.5.2.27.27.1.0.2"},
		{"2.3.1.5.1.42.1.0.1", "3.1.1.3.1.1"},
		{"2.3.1.5.1.0.1.0.1", "3.1.1.3.1.1"},
		{"2.3.1.5.113", "3.1.1.3.1.1"},
		{"2.3.1.5.4294967295.1", "3.1.1.3.1.1"},
		{"2.3.1.6", "3.1.1.3.1.1"},
		{"2.3.1.5.1.27.256.0.0", "3.1.1.3.1.1"},
		{"2.3.1.5.1.27.1.4294967295.0", "3.1.1.3.1.1"},
		{"2.3.1.5.1.27.1.0.4294967295", "3.1.1.3.1.1"},
	};
	struct meter *meter = meter_for_test();
	struct mib mib = {.meter = meter};
	struct value value;
	struct mib_oid at;

	fill(meter);
	for (unsigned i = 0; i < sizeof(next) / sizeof(next[0]); i++) {
		at = oid_of(next[i].from);
		CU_ASSERT_FALSE(mib_get(&mib, &at, &value));
		CU_ASSERT(mib_next(&mib, &at, false, &value));
		CU_ASSERT(oid_is(&at, next[i].to));
	}
	/* The longest selector, each attribute an address of 20 octets. */
	at = oid_of("2.3.1.5.112");
	for (unsigned i = 0; i < 112; i++)
		at.id[at.length++] = ATTRIBUTE_SOURCE_PEER_ADDRESS;
	CU_ASSERT(mib_next(&mib, &at, false, &value));
	CU_ASSERT_EQUAL(at.length, MIB_OID_SIZE);
	CU_ASSERT(mib_get(&mib, &at, &value));
	meter_free(meter);
}

/* Any identifier at all: the next one is behind it. */
static void
test_next_at_random(void)
{
	struct meter *meter = meter_for_test();
	struct mib mib = {.meter = meter};
	bool good = true;

	srand(2);
	fill(meter);
	for (unsigned i = 0; i < 50000; i++) {
		struct mib_oid at = {.length = (unsigned)(rand() % 14)}, from;
		struct value value;

		for (unsigned j = 0; j < at.length; j++)
			at.id[j] = (uint32_t)(rand() % (j > 3 ? 30 : 6));
		from = at;
		mib.rfc2064 = rand() % 2;
		mib.time_filter = (enum metermib_time_filter)(rand() % 3);
		if (mib_next(&mib, &at, false, &value)) {
			good &= oid_compare(&from, &at) < 0;
			good &= mib_get(&mib, &at, &value);
		}
	}
	CU_ASSERT(good);
	meter_free(meter);
}

static const struct unit_test tests[] = {
	{"flow table at random", test_meter_table_at_random},
	{"oldest goes by last time", test_oldest_goes_by_last_time},
	{"index is used again", test_index_is_used_again},
	{"rules are checked", test_rules_are_checked},
	{"rule store", test_rule_store},
	{"rule set download", test_rule_set_download},
	{"SET is one step", test_set_is_one_step},
	{"values are checked", test_values_are_checked},
	{"last time", test_last_time},
	{"reader in steps", test_reader_in_steps},
	{"rows are bounded", test_rows_are_bounded},
	{"flows wait for all readers", test_flows_wait_for_all_readers},
	{"same tick is not read", test_same_tick_is_not_read},
	{"marks", test_marks},
	{"uptime", test_uptime},
	{"walk", test_walk},
	{"time filter", test_time_filter},
	{"packages", test_packages},
	{"odd package names", test_odd_package_names},
	{"next at random", test_next_at_random},
};

int
main(void)
{
	return unit_run("metermib agent", tests, UNIT_COUNT(tests));
}
