/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * GETBULK (GETNEXT with SNMPv1) over several columns at once. The first column
 * leads: a row is where it has a value, and the others give theirs if they are
 * at the same index. That the index grows is checked, for a meter that repeats
 * itself would be walked for ever.
 */
#include "meter_walk.h"

#include "meter_pdu.h"
#include "reader.h"

static void walk_send(struct meter_reader *reader);

/* The index of a variable of this column, 0 if it is not of it. */
static uint32_t
row_index(const struct meter_walk *walk, unsigned column,
	  const netsnmp_variable_list *v)
{
	size_t n = walk->entry_length;

	if (!v || variable_missing(v) || v->name_length != n + 2 ||
	    memcmp(v->name, walk->entry, n * sizeof(oid)) != 0 ||
	    v->name[n] != walk->column[column] || v->name[n + 1] > INT32_MAX)
		return 0;
	return (uint32_t)v->name[n + 1];
}

/* Takes one repetition. NULL: the table has ended. */
static netsnmp_variable_list *
take_row(struct meter_reader *reader, netsnmp_variable_list *v, bool *ended)
{
	struct meter_walk *walk = &reader->walk;
	netsnmp_variable_list *value[WALK_COLUMNS] = {NULL};
	uint32_t index = row_index(walk, 0, v);

	*ended = index <= walk->index || walk->rows >= WALK_ROWS_MAX;
	for (unsigned i = 0; i < walk->columns; i++) {
		if (walk->absent[i])
			continue;
		if (v && row_index(walk, i, v) == index)
			value[i] = v;
		v = v ? v->next_variable : NULL;
	}
	if (*ended)
		return NULL;
	walk->index = index;
	walk->rows++;
	walk->row(reader, index, value);
	return v;
}

/* SNMPv1 says noSuchName for the whole request where a table ends. */
static bool
drop_column(struct meter_walk *walk, long error_index)
{
	long at = 0;

	for (unsigned i = 0; i < walk->columns; i++)
		if (!walk->absent[i] && ++at == error_index && i > 0) {
			walk->absent[i] = true;
			return true;
		}
	return false;
}

static void
walk_error(struct meter_reader *reader, const struct snmp_reply *reply)
{
	struct meter_walk *walk = &reader->walk;

	if (reply->error == SNMP_ERR_NOSUCHNAME &&
	    drop_column(walk, reply->error_index)) {
		walk_send(reader);
		return;
	}
	walk->failed = reply->error != SNMP_ERR_NOSUCHNAME;
	walk->done(reader);
}

static void
walk_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	netsnmp_variable_list *v = reply->variables;
	bool ended = false;

	if (reader->walk.optional && reply->result != SNMP_REPLY) {
		reader->counts.timeouts += reply->result == SNMP_TIMEOUT;
		reader->walk.failed = true;
		reader->walk.done(reader);
		return;
	}
	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error) {
		walk_error(reader, reply);
		return;
	}
	if (!v)
		ended = true;
	while (v && !ended)
		v = take_row(reader, v, &ended);
	if (ended)
		reader->walk.done(reader);
	else
		walk_send(reader);
}

static void
walk_send(struct meter_reader *reader)
{
	struct meter_walk *walk = &reader->walk;
	bool v1 = reader->conf.version == METER_SNMP_V1;
	netsnmp_pdu *pdu = snmp_pdu_create(v1 ? SNMP_MSG_GETNEXT :
						SNMP_MSG_GETBULK);

	if (pdu && !v1) {
		pdu->errstat = 0; /* non-repeaters */
		pdu->errindex = 8; /* max-repetitions */
	}
	for (unsigned i = 0; i < walk->columns; i++)
		if (!walk->absent[i])
			pdu_ask(pdu, pdu_name(walk->entry, walk->entry_length,
					      walk->column[i], walk->index));
	meter_reader_send(reader, pdu, walk->optional ? SNMP_ONCE : 0,
			  walk_answer);
}

static void
walk_start(struct meter_reader *reader, bool optional)
{
	struct meter_walk *walk = &reader->walk;

	walk->index = 0;
	walk->rows = 0;
	walk->optional = optional;
	walk->failed = false;
	memset(walk->absent, 0, sizeof(walk->absent));
	walk_send(reader);
}

void
meter_walk_begin(struct meter_reader *reader)
{
	walk_start(reader, false);
}

void
meter_walk_try(struct meter_reader *reader)
{
	walk_start(reader, true);
}
