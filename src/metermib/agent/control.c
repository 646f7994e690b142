/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns of RFC 2720's control tables and of its rule table, and how they
 * are read. RFC 2064 had the same tables with fewer columns. Ranges are those
 * of the MIB except where RFC 2722 or practice needs more: flowRuleParameter
 * may be 0.
 */
#include "control.h"

#include <string.h>

#include "../attribute.h"

#define INT VALUE_INTEGER
#define OCTETS VALUE_OCTETS
#define TICKS VALUE_TIME_TICKS
#define RO CONTROL_READ
#define RW CONTROL_WRITE
#define RC CONTROL_CREATE
#define NO CONTROL_NONE

#define LARGEST INT32_MAX

static const struct control_column rule_set_columns[] = {
	{2, INT, RC, RC, 0, LARGEST},	    /* Size */
	{3, OCTETS, RC, RC, 0, OWNER_SIZE}, /* Owner */
	{4, TICKS, RO, RO, 0, 0},	    /* TimeStamp */
	{5, INT, RC, RC, 1, ROW_DESTROY},   /* Status */
	{6, OCTETS, RC, NO, 0, OWNER_SIZE}, /* Name */
	{7, INT, RC, NO, 1, 2},		    /* RulesReady */
	{8, INT, RO, NO, 0, 0},		    /* FlowRecords */
};

static const struct control_column interface_columns[] = {
	{1, INT, RW, RW, 0, LARGEST},	    /* SampleRate */
	{2, VALUE_COUNTER32, RO, RO, 0, 0}, /* LostPackets */
};

static const struct control_column reader_columns[] = {
	{2, INT, RC, RC, 0, LARGEST},	    /* Timeout */
	{3, OCTETS, RC, RC, 0, OWNER_SIZE}, /* Owner */
	{4, TICKS, RC, RC, 0, UINT32_MAX},  /* LastTime */
	{5, TICKS, RO, RO, 0, 0},	    /* PreviousTime */
	{6, INT, RC, RC, 1, ROW_DESTROY},   /* Status */
	{7, INT, RC, NO, 1, LARGEST},	    /* RuleSet */
};

static const struct control_column manager_columns[] = {
	{2, INT, RC, RC, 0, LARGEST},	    /* CurrentRuleSet */
	{3, INT, RC, RC, 0, LARGEST},	    /* StandbyRuleSet */
	{4, INT, RC, RC, 0, 100},	    /* HighWaterMark */
	{5, INT, RC, RC, 1, 2},		    /* CounterWrap */
	{6, OCTETS, RC, RC, 0, OWNER_SIZE}, /* Owner */
	{7, TICKS, RO, RO, 0, 0},	    /* TimeStamp */
	{8, INT, RC, RC, 1, ROW_DESTROY},   /* Status */
	{9, INT, RC, NO, 1, 2},		    /* RunningStandby */
};

static const struct control_column scalar_columns[] = {
	{5, INT, RW, RW, 0, 100},     /* FloodMark */
	{6, INT, RW, RW, 0, LARGEST}, /* InactivityTimeout */
	{7, INT, RO, RO, 0, 0},	      /* ActiveFlows */
	{8, INT, RO, RO, 0, 0},	      /* MaxFlows */
	{9, INT, RW, NO, 1, 2},	      /* FloodMode */
};

static const struct control_column rule_columns[] = {
	{3, INT, RW, RW, 0, ATTRIBUTE_V5},		/* Selector */
	{4, OCTETS, RW, RW, 2, ATTRIBUTE_ADDRESS_SIZE}, /* Mask */
	{5, OCTETS, RW, RW, 2, ATTRIBUTE_ADDRESS_SIZE}, /* Value */
	{6, INT, RW, RW, RULE_IGNORE, RULE_POP_TO_ACT}, /* Action */
	{7, INT, RW, RW, 0, UINT16_MAX},		/* Parameter */
};

#define COLUMNS(array)                                    \
	{                                                 \
		array, sizeof(array) / sizeof((array)[0]) \
	}

static const struct {
	const struct control_column *column;
	unsigned count;
} tables[CONTROL_TABLES] = {
	[CONTROL_RULE_SET] = COLUMNS(rule_set_columns),
	[CONTROL_INTERFACE] = COLUMNS(interface_columns),
	[CONTROL_READER] = COLUMNS(reader_columns),
	[CONTROL_MANAGER] = COLUMNS(manager_columns),
	[CONTROL_SCALAR] = COLUMNS(scalar_columns),
	[CONTROL_RULE] = COLUMNS(rule_columns),
};

const struct control_column *
control_columns(enum control_table table, unsigned *count)
{
	*count = tables[table].count;
	return tables[table].column;
}

const struct control_column *
control_column(enum control_table table, unsigned sub_id)
{
	for (unsigned i = 0; i < tables[table].count; i++)
		if (tables[table].column[i].sub_id == sub_id)
			return &tables[table].column[i];
	return NULL;
}

void
value_number(struct value *value, enum value_type type, uint64_t number)
{
	value->type = type;
	value->number = number;
	value->length = 0;
	value->octets = NULL;
}

void
value_octets(struct value *value, const void *octets, size_t length)
{
	value->type = VALUE_OCTETS;
	value->octets = octets;
	value->length = (uint32_t)length;
}

/* Each of these three tables has its rows in an array, in no order. */
struct reader_row *
meter_reader(const struct meter *meter, uint32_t index)
{
	for (unsigned i = 0; index && i < METER_ROWS; i++)
		if (meter->reader[i].index == index)
			return (struct reader_row *)&meter->reader[i];
	return NULL;
}

struct manager_row *
meter_manager(const struct meter *meter, uint32_t index)
{
	for (unsigned i = 0; index && i < METER_ROWS; i++)
		if (meter->manager[i].index == index)
			return (struct manager_row *)&meter->manager[i];
	return NULL;
}

struct interface_row *
meter_interface(const struct meter *meter, uint32_t index)
{
	for (unsigned i = 0; index && i < METER_ROWS; i++)
		if (meter->interface[i].index == index)
			return (struct interface_row *)&meter->interface[i];
	return NULL;
}

bool
control_row_exists(const struct meter *meter, enum control_table table,
		   struct control_row row)
{
	if (table != CONTROL_RULE && row.b)
		return false;
	switch (table) {
	case CONTROL_RULE_SET:
		return rule_store_find(meter->rules, row.a);
	case CONTROL_INTERFACE:
		return meter_interface(meter, row.a);
	case CONTROL_READER:
		return meter_reader(meter, row.a);
	case CONTROL_MANAGER:
		return meter_manager(meter, row.a);
	case CONTROL_RULE:
		return rule_store_rule(meter->rules, row.a, row.b);
	default:
		return row.a == 0;
	}
}

static void
take_least(uint32_t index, uint32_t after, uint32_t *least)
{
	if (index > after && (*least == 0 || index < *least))
		*least = index;
}

static uint32_t
next_of_array(const struct meter *meter, enum control_table table,
	      uint32_t after)
{
	uint32_t least = 0;

	for (unsigned i = 0; i < METER_ROWS; i++) {
		if (table == CONTROL_READER)
			take_least(meter->reader[i].index, after, &least);
		else if (table == CONTROL_MANAGER)
			take_least(meter->manager[i].index, after, &least);
		else
			take_least(meter->interface[i].index, after, &least);
	}
	return least;
}

static bool
next_rule(const struct meter *meter, struct control_row *row)
{
	const struct rule_set *set = rule_store_find(meter->rules, row->a);

	if (set && row->b < set->size) {
		row->b++;
		return true;
	}
	while ((row->a = rule_store_next(meter->rules, row->a))) {
		row->b = 1;
		if (rule_store_rule(meter->rules, row->a, 1))
			return true;
	}
	return false;
}

bool
control_row_next(const struct meter *meter, enum control_table table,
		 struct control_row *row)
{
	if (table == CONTROL_SCALAR)
		return false;
	if (table == CONTROL_RULE)
		return next_rule(meter, row);
	row->a = table == CONTROL_RULE_SET
			 ? rule_store_next(meter->rules, row->a)
			 : next_of_array(meter, table, row->a);
	row->b = 0;
	return row->a != 0;
}

static uint64_t
truth(bool value)
{
	return value ? 1 : 2;
}

/* Rules can be written one by one until the set is ready (RFC 2579). */
static uint64_t
rule_set_status(const struct meter *meter, uint32_t number)
{
	const struct rule_set *set = rule_store_find(meter->rules, number);

	if (set->status == ROW_ACTIVE)
		return ROW_ACTIVE;
	return set->owner_set && rule_store_check(meter->rules, number) == 0
		       ? ROW_NOT_IN_SERVICE
		       : ROW_NOT_READY;
}

static void
get_rule_set(const struct meter *meter, uint32_t number, unsigned sub_id,
	     struct value *value)
{
	const struct rule_set *set = rule_store_find(meter->rules, number);

	switch (sub_id) {
	case 2:
		value_number(value, INT, set->size);
		break;
	case 3:
		value_octets(value, set->owner.octets, set->owner.length);
		break;
	case 4:
		value_number(value, TICKS, set->time_stamp);
		break;
	case 5:
		value_number(value, INT, rule_set_status(meter, number));
		break;
	case 6:
		value_octets(value, set->name.octets, set->name.length);
		break;
	case 7:
		value_number(value, INT, truth(set->rules_ready));
		break;
	default:
		value_number(value, INT,
			     meter_table_flows(meter->flows, (uint8_t)number));
	}
}

static void
get_reader(const struct reader_row *reader, unsigned sub_id,
	   struct value *value)
{
	switch (sub_id) {
	case 2:
		value_number(value, INT, reader->timeout);
		break;
	case 3:
		value_octets(value, reader->owner.octets, reader->owner.length);
		break;
	case 4:
		value_number(value, TICKS, reader->last_time);
		break;
	case 5:
		value_number(value, TICKS, reader->previous_time);
		break;
	case 6:
		value_number(value, INT, reader->status);
		break;
	default:
		value_number(value, INT, reader->rule_set);
	}
}

static void
get_manager(const struct manager_row *manager, unsigned sub_id,
	    struct value *value)
{
	switch (sub_id) {
	case 2:
		value_number(value, INT, manager->current);
		break;
	case 3:
		value_number(value, INT, manager->standby);
		break;
	case 4:
		value_number(value, INT, manager->high_water_mark);
		break;
	case 5:
		value_number(value, INT, manager->counter_wrap);
		break;
	case 6:
		value_octets(value, manager->owner.octets,
			     manager->owner.length);
		break;
	case 7:
		value_number(value, TICKS, manager->time_stamp);
		break;
	case 8:
		value_number(value, INT, manager->status);
		break;
	default:
		value_number(value, INT, truth(manager->running_standby));
	}
}

static void
get_scalar(const struct meter *meter, unsigned sub_id, struct value *value)
{
	switch (sub_id) {
	case 5:
		value_number(value, INT, meter->flood_mark);
		break;
	case 6:
		value_number(value, INT, meter->inactivity_timeout);
		break;
	case 7:
		value_number(value, INT, meter_table_flows(meter->flows, 0));
		break;
	case 8:
		value_number(value, INT, meter_table_max(meter->flows));
		break;
	default:
		value_number(value, INT, truth(meter->flood_mode));
	}
}

static void
get_rule(const struct rule *rule, unsigned sub_id, struct value *value)
{
	switch (sub_id) {
	case 3:
		value_number(value, INT, rule->selector);
		break;
	case 4:
		value_octets(value, rule->mask, rule->mask_length);
		break;
	case 5:
		value_octets(value, rule->value, rule->value_length);
		break;
	case 6:
		/* The MIB has no word for a rule not yet written. */
		value_number(value, INT,
			     rule->action ? rule->action : RULE_IGNORE);
		break;
	default:
		value_number(value, INT, rule->parameter);
	}
}

bool
control_get(const struct meter *meter, enum control_table table,
	    unsigned sub_id, struct control_row row, struct value *value)
{
	const struct interface_row *interface;

	if (!control_column(table, sub_id) ||
	    !control_row_exists(meter, table, row))
		return false;
	switch (table) {
	case CONTROL_RULE_SET:
		get_rule_set(meter, row.a, sub_id, value);
		break;
	case CONTROL_INTERFACE:
		interface = meter_interface(meter, row.a);
		if (sub_id == 1)
			value_number(value, INT, interface->sample_rate);
		else
			value_number(value, VALUE_COUNTER32,
				     interface->lost_packets);
		break;
	case CONTROL_READER:
		get_reader(meter_reader(meter, row.a), sub_id, value);
		break;
	case CONTROL_MANAGER:
		get_manager(meter_manager(meter, row.a), sub_id, value);
		break;
	case CONTROL_RULE:
		get_rule(rule_store_rule(meter->rules, row.a, row.b), sub_id,
			 value);
		break;
	default:
		get_scalar(meter, sub_id, value);
	}
	return true;
}
