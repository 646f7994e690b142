/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What readers and managers ask of the meter: the input is a program of GETs,
 * GETNEXTs, SETs of several values, traffic and time. What comes next is always
 * behind and can be got; a refused SET changes nothing that can be seen; flows
 * and rows add up.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/wire.h"
#include "control.h"
#include "mib.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_FLOWS = 70, MAX_RULES = 40, START_MS = 5000 };

static void
read_oid(struct reader *r, struct mib_oid *oid)
{
	oid->length = reader_u8(r) % (MIB_OID_SIZE + 1);
	for (unsigned i = 0; i < oid->length; i++) {
		uint8_t id = reader_u8(r);

		/* Few parts of a name are large, and those mostly very. */
		oid->id[i] = id < 250 ? id : UINT32_MAX - (id & 7u);
	}
}

static int
compare(const struct mib_oid *a, const struct mib_oid *b)
{
	for (unsigned i = 0; i < a->length && i < b->length; i++)
		if (a->id[i] != b->id[i])
			return a->id[i] < b->id[i] ? -1 : 1;
	return (int)a->length - (int)b->length;
}

static void
get_next(struct mib *mib, const struct mib_oid *from)
{
	struct mib_oid at = *from;
	struct value value;

	if (!mib_next(mib, &at, false, &value))
		return;
	assert(compare(from, &at) < 0);
	assert(mib_get(mib, &at, &value));
	assert(value.type != VALUE_OCTETS || !value.length || value.octets);
}

static bool
add_item(struct change *change, struct reader *r)
{
	enum control_table table = reader_u8(r) % CONTROL_TABLES;
	unsigned sub_id = reader_u8(r) % 10;
	struct control_row row = {reader_u8(r), 0};
	struct value value;
	uint8_t type = reader_u8(r);

	row.a %= 12;
	if (table == CONTROL_RULE)
		row.b = reader_u8(r) % 50;
	if (table == CONTROL_SCALAR)
		row.a = 0;
	if (type % 4 == 0) {
		size_t length = type / 4;
		const uint8_t *octets = reader_take(r, length);

		value_octets(&value, octets, octets ? length : 0);
	} else {
		value_number(&value,
			     type % 4 == 1 ? VALUE_TIME_TICKS : VALUE_INTEGER,
			     reader_u8(r));
		if (type & 0x80)
			value.number *= 0x1010101;
	}
	return change_add(change, table, sub_id, row, &value) == CHANGE_OK;
}

/* Rows, rules, and what can be seen of the scalars. */
static uint64_t
digest(const struct meter *meter)
{
	uint64_t sum = meter->flood_mark + meter->inactivity_timeout +
		       meter->flood_mode + meter_table_flows(meter->flows, 0);

	for (unsigned t = 0; t < CONTROL_TABLES; t++) {
		struct control_row row = {0, 0};

		while (control_row_next(meter, t, &row))
			for (unsigned i = 1; i < 10; i++) {
				struct value v = {.number = 0};

				control_get(meter, t, i, row, &v);
				sum = sum * 31 + v.number + v.length + row.a +
				      row.b;
			}
	}
	return sum;
}

static void
set(struct meter *meter, struct reader *r, bool rfc2064)
{
	struct change *change = change_new(meter, rfc2064);
	unsigned items = reader_u8(r) % 16;
	uint64_t before = digest(meter);
	bool good = true;
	size_t item = 0;

	if (!change)
		return;
	for (unsigned i = 0; i < items; i++)
		good &= add_item(change, r);
	good = good && change_check(change, &item) == CHANGE_OK;
	assert(item <= items);
	assert(digest(meter) == before);
	if (good)
		change_commit(change);
	change_free(change);
}

static void
count(struct meter *meter, struct reader *r, uint64_t now)
{
	struct flow_key key;

	memset(&key, 0, sizeof(key));
	key.rule_set = reader_u8(r) % 12;
	key.end[FLOW_SOURCE].interface = reader_u8(r);
	if (key.rule_set)
		meter_count(meter, &key, FLOW_FROM, 100, 1, now);
}

static void
check(const struct meter *meter)
{
	uint32_t flows = 0;

	for (unsigned i = 1; i <= RULE_SET_MAX; i++)
		flows += meter_table_flows(meter->flows, (uint8_t)i);
	assert(flows == meter_table_flows(meter->flows, 0));
	assert(flows <= MAX_FLOWS);
	assert(rule_store_room(meter->rules) <= MAX_RULES);
	assert(rule_store_find(meter->rules, RULE_SET_DEFAULT));
}

static void
run(struct mib *mib, struct reader *r)
{
	uint64_t now = START_MS;
	struct mib_oid oid;
	struct value value;

	while (reader_left(r) && !r->failed) {
		switch (reader_u8(r) % 6) {
		case 0:
			read_oid(r, &oid);
			mib_get(mib, &oid, &value);
			break;
		case 1:
			read_oid(r, &oid);
			get_next(mib, &oid);
			break;
		case 2:
			set(mib->meter, r, mib->rfc2064);
			break;
		case 3:
			count(mib->meter, r, now);
			break;
		case 4:
			now += reader_u8(r);
			meter_advance(mib->meter, now);
			break;
		default:
			now += 100u * reader_u8(r);
			meter_tick(mib->meter, now);
		}
		check(mib->meter);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct meter_config config = {.max_flows = MAX_FLOWS,
				      .max_rules = MAX_RULES,
				      .all_rule_sets = true};
	struct mib mib = {.meter = NULL};
	struct reader r;
	uint8_t flags;

	reader_init(&r, data, size);
	flags = reader_u8(&r);
	mib.rfc2064 = flags & 1;
	mib.time_filter = flags & 32  ? METERMIB_LITERAL
			  : flags & 2 ? METERMIB_PLUS_ONE
				      : METERMIB_ONE_PASS;
	mib.absent = (flags >> 2) % 3;
	config.uptime = flags & 16 ? UINT32_MAX - 100 : 1;
	mib.meter = meter_new(&config, START_MS);
	if (!mib.meter)
		return 0;
	run(&mib, &r);
	meter_free(mib.meter);
	return 0;
}
