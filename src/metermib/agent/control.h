/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What managers and readers see of the meter besides its flows: RFC 2720's
 * control objects and rules as rows of typed columns, read one at a time and
 * changed by transactions. Knows MIB values, not SNMP.
 */
#ifndef CONFLUX_METERMIB_CONTROL_H
#define CONFLUX_METERMIB_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conflux/metermib_agent.h"
#include "rule_store.h"

/* Rows that managers, readers and interfaces may have, each. */
#define METER_ROWS 256

struct interface_row {
	uint32_t index; /* ifIndex, 0: not in use */
	uint32_t sample_rate;
	uint32_t lost_packets;
};

struct answers;
struct matcher;

struct reader_row {
	uint32_t index;	  /* 0: not in use */
	uint32_t timeout; /* s, 0: never */
	uint32_t rule_set;
	uint32_t last_time; /* Uptime */
	uint32_t previous_time;
	uint8_t status;	  /* enum row_status */
	uint64_t seen_ms; /* last sign of life, for the timeout */
	struct owner owner;
};

struct manager_row {
	uint32_t index; /* 0: not in use */
	uint32_t current;
	uint32_t standby;
	uint32_t high_water_mark; /* per cent */
	uint32_t time_stamp;
	uint8_t status;
	uint8_t counter_wrap;
	bool running_standby;
	struct owner owner;
};

struct meter {
	struct meter_table *flows;
	struct rule_store *rules;
	uint32_t inactivity; /* s, after a restart */
	uint64_t start_ms;   /* of Uptime 0, modulo 2^64 */
	uint64_t now_ms;
	uint64_t uptime; /* centiseconds, does not wrap */
	uint32_t flood_mark;
	uint32_t inactivity_timeout; /* s */
	bool flood_mode;
	bool running[RULE_SET_MAX + 1]; /* rule sets, by meter_update */
	struct matcher *matcher[RULE_SET_MAX + 1]; /* of those; NULL: no memory */
	struct answers *answers;
	uint8_t run[RULE_SET_MAX]; /* their numbers */
	unsigned run_count;
	uint64_t random; /* of sampling */
	struct meter_totals counters;
	struct interface_row interface[METER_ROWS];
	struct reader_row reader[METER_ROWS];
	struct manager_row manager[METER_ROWS];
};

struct reader_row *meter_reader(const struct meter *meter, uint32_t index);
struct manager_row *meter_manager(const struct meter *meter, uint32_t index);
struct interface_row *meter_interface(const struct meter *meter,
				      uint32_t index);

/* Finds out again which rule sets run: tasks or rule sets have changed. */
void meter_update(struct meter *meter);

/*
 * The flow of a key, made if there is none: whoever calls looks at the marks
 * then. 0, -ENOSPC: the flow table is full or the meter in flood mode, -ENOMEM.
 */
int meter_flow_find(struct meter *meter, const struct flow_key *key,
		    struct meter_flow **flow);

/* Goes into flood mode, and to standby rule sets, as flows have become many. */
void meter_look_at_marks(struct meter *meter);

/* Whether a task refers to the rule set, running or not. */
bool meter_refers(const struct meter *meter, uint32_t rule_set);

/* Takes a rule set out, and its flows. */
void meter_rule_set_remove(struct meter *meter, uint32_t rule_set);

enum value_type {
	VALUE_INTEGER,
	VALUE_OCTETS,
	VALUE_TIME_TICKS,
	VALUE_COUNTER32,
	VALUE_COUNTER64,
};

struct value {
	enum value_type type;
	uint32_t length;
	uint64_t number;
	const uint8_t *octets; /* not owned, or scratch */
	uint8_t scratch[24];
};

void value_number(struct value *value, enum value_type type, uint64_t number);
void value_octets(struct value *value, const void *octets, size_t length);

enum control_table {
	CONTROL_RULE_SET,
	CONTROL_INTERFACE,
	CONTROL_READER,
	CONTROL_MANAGER,
	CONTROL_SCALAR, /* the column is the object, row 0 */
	CONTROL_RULE,	/* row: rule set, rule */
	CONTROL_TABLES,
};

enum control_access {
	CONTROL_NONE,
	CONTROL_READ,
	CONTROL_WRITE,	/* of rows that are there */
	CONTROL_CREATE, /* of rows that can be made */
};

struct control_column {
	uint8_t sub_id;
	uint8_t type;	    /* enum value_type */
	uint8_t access;	    /* enum control_access */
	uint8_t old_access; /* in RFC 2064 */
	uint32_t min;	    /* of the number, or the length */
	uint32_t max;
};

/* The columns of a table, in ascending order. */
const struct control_column *control_columns(enum control_table table,
					     unsigned *count);
const struct control_column *control_column(enum control_table table,
					    unsigned sub_id);

/* A row, the second part being 0 but for rules and row.a 0 for scalars. */
struct control_row {
	uint32_t a;
	uint32_t b;
};

bool control_row_exists(const struct meter *meter, enum control_table table,
			struct control_row row);

/*
 * The least row above another one; {0, 0} is below all. Returns false at the
 * end. Scalars have no rows to go through.
 */
bool control_row_next(const struct meter *meter, enum control_table table,
		      struct control_row *row);

/* Reads one. Returns false if there is no such row or column. */
bool control_get(const struct meter *meter, enum control_table table,
		 unsigned sub_id, struct control_row row, struct value *value);

/* The error-status values of SNMP (RFC 3416) that a change can meet. */
enum change_error {
	CHANGE_OK = 0,
	CHANGE_GEN_ERR = 5,
	CHANGE_WRONG_TYPE = 7,
	CHANGE_WRONG_LENGTH = 8,
	CHANGE_WRONG_VALUE = 10,
	CHANGE_NO_CREATION = 11,
	CHANGE_INCONSISTENT_VALUE = 12,
	CHANGE_RESOURCE_UNAVAILABLE = 13,
	CHANGE_COMMIT_FAILED = 14,
	CHANGE_NOT_WRITABLE = 17,
	CHANGE_INCONSISTENT_NAME = 18,
};

/*
 * A transaction: all values of one SET are added, checked together as if they
 * came at once, and then all take effect or none does.
 *
 * change_add looks at the value alone (access, type, range) and copies it.
 * change_check says whether the whole can be done, and if not which item stands
 * against it. After that only lack of memory can make change_commit fail; then
 * nothing more is changed.
 */
struct change;

struct change *change_new(struct meter *meter, bool rfc2064);
void change_free(struct change *change);
enum change_error change_add(struct change *change, enum control_table table,
			     unsigned sub_id, struct control_row row,
			     const struct value *value);
enum change_error change_check(struct change *change, size_t *item);
enum change_error change_commit(struct change *change);

#endif
