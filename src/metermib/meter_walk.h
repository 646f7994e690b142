/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads some columns of one of the meter's control tables, all of which are
 * indexed by one number: rule sets, readers, managers, interfaces.
 */
#ifndef CONFLUX_METERMIB_METER_WALK_H
#define CONFLUX_METERMIB_METER_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "engine.h"

enum {
	WALK_COLUMNS = 6,
	WALK_ROWS_MAX = 4096, /* a table that has more is not read further */
};

struct meter_reader;
struct snmp_reply;

struct meter_walk {
	oid entry[16]; /* of the table's rows */
	size_t entry_length;
	uint8_t column[WALK_COLUMNS]; /* the first is in every row */
	unsigned columns;
	bool absent[WALK_COLUMNS]; /* the meter does not have it */
	uint32_t index;		   /* the last row that was seen */
	unsigned rows;
	bool optional; /* see meter_walk_try */
	bool failed;   /* optional, and not read to its end */
	/* A row; variable[i] is NULL where the meter has no value. */
	void (*row)(struct meter_reader *reader, uint32_t index,
		    netsnmp_variable_list *const variable[]);
	void (*done)(struct meter_reader *reader);
};

/*
 * Starts with walk's entry, column, columns, row and done set. Ends with done,
 * or with meter_reader_fail if the meter does not answer.
 */
void meter_walk_begin(struct meter_reader *reader);

/*
 * The same for a table that the round can do without: nothing is repeated, and
 * it ends with done in any case.
 */
void meter_walk_try(struct meter_reader *reader);

#endif
