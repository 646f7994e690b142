/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the flows of a pass: packages with GETBULK (GETNEXT with SNMPv1), or
 * the columns of flowDataTable where there are no packages.
 *
 * TimeFilter (RFC 4502): time T selects what was active at or since T. Agents
 * of the traditional kind go on with T+1, T+2 and so on, every flow again for
 * every tick: the pass ends where the time in the name is not T. One that
 * begins with a later time instead puts true times into its names; it is read
 * to its end or to the start of this pass, what follows is of the next.
 *
 * How many rows to ask for: no answer may exceed the configured message size
 * (an IP fragment lost is an answer lost), which the rows seen so far tell; an
 * answer that had to be asked for three times halves it, one that came at once
 * adds one. A short answer does not end the table: Net-SNMP agents send no
 * more than 100 variables.
 *
 * If a request fails for good, the pass stays open with its cursor, and the
 * next round goes on there.
 */
#include <errno.h>
#include <stdlib.h>

#include "conflux/clock.h"
#include "meter_pdu.h"
#include "reader.h"

enum {
	REQUEST_TRIES = 3,
	SKIPS_MAX = 1000,
	CONGESTED_WAIT_MS = 50,
	MESSAGE_OVERHEAD = 60, /* headers of message and PDU */
	MESSAGE_OVERHEAD_V3 = 180, /* and of USM */
	COLUMNS_AT_ONCE = 40,
	REPETITIONS_START = 3,
};

static void next_request(struct meter_reader *reader);
static void ask_rows(struct meter_reader *reader);
static void ask_columns(struct meter_reader *reader);

static void
selector_add(struct selector *selector, uint8_t attribute)
{
	if (selector->count < SELECTOR_MAX)
		selector->attribute[selector->count++] = attribute;
}

/* Counters and times first: they must be of one answer. */
static void
selector_make(struct meter_reader *reader, struct selector *selector,
	      enum flow_access access)
{
	static const uint8_t first[] = {31, 27, 28, 29, 30, 32};
	static const uint8_t optional[] = {24, 25, 33, 34, 35};

	selector->count = 0;
	for (unsigned i = 0; i < sizeof(first); i++)
		selector_add(selector, first[i]);
	for (uint8_t a = ATTRIBUTE_SOURCE_INTERFACE;
	     a <= ATTRIBUTE_DEST_TRANS_MASK; a++)
		selector_add(selector, a);
	for (unsigned i = 0; i < sizeof(optional); i++)
		if (access != ACCESS_PACKAGES_FEW &&
		    access != ACCESS_PACKAGES_BASIC)
			selector_add(selector, optional[i]);
	for (uint8_t a = ATTRIBUTE_SOURCE_CLASS; a <= ATTRIBUTE_FLOW_KIND; a++)
		if (access != ACCESS_PACKAGES_BASIC)
			selector_add(selector, a);
	for (unsigned i = 0; access != ACCESS_COLUMNS &&
	     i < reader->conf.extra_attribute_count; i++)
		selector_add(selector, reader->conf.extra_attribute[i]);
	/* In RFC 2064's table the rule set is a column. */
	if (access == ACCESS_COLUMNS && reader->rfc2064)
		selector_add(selector, ATTRIBUTE_RULE_SET);
}

static void
set_access(struct meter_reader *reader, enum flow_access access)
{
	reader->access = access;
	selector_make(reader, &reader->selector, access);
	reader->repetitions = reader->conf.max_repetitions ?
		reader->conf.max_repetitions : REPETITIONS_START;
	if (access == ACCESS_COLUMNS && reader->repetitions < COLUMN_ROWS / 2)
		reader->repetitions = COLUMN_ROWS / 2;
	reader->columns_at_once = COLUMNS_AT_ONCE;
	reader->dead_columns = 0;
	reader->largest_row = 0;
}

void
meter_read_init(struct meter_reader *reader)
{
	bool columns = reader->rfc2064 ||
		       reader->conf.access == METER_ACCESS_COLUMNS;

	reader->packages_proven = false;
	set_access(reader, columns ? ACCESS_COLUMNS : ACCESS_PACKAGES);
}

static void
take_row(struct meter_reader *reader)
{
	struct meter_row *row = &reader->row;
	struct flow_reading reading;
	struct ledger *ledger = &reader->stage.ledger;
	bool total = reader->conf.counters == METER_TOTAL;
	int err;

	reader->counts.rows++;
	reader->pass.rows++;
	err = meter_flows_read(&reader->flows, &reader->pass.how, row,
			       &reading);
	if (err) {
		ledger->in++;
		ledger->lost[err == -EBADMSG ? LOSS_MALFORMED :
			     err == -ENOSPC ? LOSS_LIMIT :
					      LOSS_NO_MEMORY]++;
		reader->counts.malformed += err == -EBADMSG;
		meter_reader_log(reader, LOG_LEVEL_WARNING,
				 "flow %u of rule set %u is left out: %s",
				 row->index, row->rule_set,
				 err == -EBADMSG ? "it lacks first time or "
						   "counters" :
				 err == -ENOSPC ? "maxFlows is reached" :
						  "no memory");
		return;
	}
	reader->counts.recycled += reading.recycled;
	reader->counts.restarted_flows += reading.restarted;
	/* A total is exported whatever its past. */
	if (reading.news == FLOW_BASELINE && total)
		reading.news = FLOW_GROWN;
	if (reading.news != FLOW_GROWN) {
		reader->counts.unchanged++;
		return;
	}
	meter_map_add(reader->map, row, &reading, clock_wall_ms());
}

/* Is this rule set of RFC 2064's common table one that is asked for? */
static bool
row_wanted(const struct meter_reader *reader)
{
	const struct meter_reader_conf *conf = &reader->conf;

	if (!reader->rfc2064 || !conf->rule_set_count)
		return true;
	for (unsigned i = 0; i < conf->rule_set_count; i++)
		if (strtoul(conf->rule_set[i], NULL, 10) ==
		    reader->row.rule_set)
			return true;
	return false;
}

static void
malformed(struct meter_reader *reader, uint32_t index)
{
	reader->counts.malformed++;
	reader->stage.ledger.in++;
	reader->stage.ledger.lost[LOSS_MALFORMED]++;
	meter_reader_log(reader, LOG_LEVEL_WARNING,
			 "flow %u of rule set %u is left out: its package "
			 "cannot be read", index, reader->pass.set->index);
}

enum position {
	POSITION_ROW,
	POSITION_BACK, /* not behind the one before: a broken agent */
	POSITION_END,
};

/* Where a name stands, and the cursor moved to it. */
static enum position
step(struct meter_reader *reader, uint32_t time, uint32_t index)
{
	struct meter_pass *pass = &reader->pass;
	struct meter_rule_set *set = pass->set;

	if (time != pass->time && !pass->literal) {
		if (!pass->first || time < pass->time)
			return POSITION_END;
		pass->literal = true;
		meter_reader_log(reader, LOG_LEVEL_INFO,
				 "puts true times into names of flows");
	}
	if (pass->literal && time > set->last_time)
		return POSITION_END;
	if (time < set->cursor_time ||
	    (time == set->cursor_time && index <= set->cursor_index))
		return POSITION_BACK;
	pass->first = false;
	set->cursor_time = time;
	set->cursor_index = index;
	return POSITION_ROW;
}

/* Past a name that did not grow: by one, so often and no more. */
static bool
skip_back(struct meter_reader *reader)
{
	struct meter_rule_set *set = reader->pass.set;

	reader->counts.skips++;
	if (++reader->pass.skips > SKIPS_MAX ||
	    set->cursor_index >= INT32_MAX) {
		/* Leave the pass finished: it would not end otherwise. */
		meter_reader_log(reader, LOG_LEVEL_WARNING,
				 "repeats names of flows without end: the "
				 "pass over rule set %u is cut off",
				 set->index);
		return false;
	}
	set->cursor_index++;
	return true;
}

/* After an answer that came at the first try. */
static void
grow_repetitions(struct meter_reader *reader, size_t largest)
{
	/* The configuration has at least 484 octets. */
	size_t room = reader->conf.max_message_size -
		(reader->conf.version == METER_SNMP_V3 ?
			 MESSAGE_OVERHEAD_V3 : MESSAGE_OVERHEAD);
	unsigned fit;

	if (largest > reader->largest_row)
		reader->largest_row = largest;
	if (reader->conf.max_repetitions || !reader->largest_row)
		return;
	fit = (unsigned)(room / reader->largest_row);
	if (reader->repetitions < REPETITIONS_MAX)
		reader->repetitions++;
	if (reader->repetitions > fit)
		reader->repetitions = fit ? fit : 1;
}

/* Octets of a name in BER, about: parts above 127 have more than one. */
static size_t
variable_octets(const netsnmp_variable_list *v)
{
	size_t octets = 8 + v->name_length + v->val_len;

	for (size_t i = v->name_length; i-- > v->name_length - 2;)
		for (oid part = v->name[i]; part > 127; part >>= 7)
			octets++;
	return octets;
}

/*
 * The request was too much, or lost too often. Less next time; false: there is
 * no less.
 */
static bool
ask_less(struct meter_reader *reader)
{
	unsigned *size = reader->access == ACCESS_COLUMNS &&
			 reader->pass.found_count ?
		&reader->columns_at_once : &reader->repetitions;

	if (*size > 1) {
		*size /= 2;
		return true;
	}
	return false;
}

/* Whether the answer is there; if not, the request goes out again, smaller. */
static bool
answer_lacks(struct meter_reader *reader, const struct snmp_reply *reply)
{
	/* One loss is chance; twice the same may be its size. */
	if (reply->repeats > 1 && !reader->conf.max_repetitions)
		ask_less(reader);
	if (reply->result == SNMP_TIMEOUT &&
	    ++reader->pass.tries < REQUEST_TRIES) {
		reader->counts.timeouts++;
		next_request(reader);
		return true;
	}
	if (meter_reader_lost(reader, reply))
		return true;
	reader->pass.tries = 0;
	/* No variables at all is how a GETBULK can be too big (RFC 3416). */
	if (reply->error != SNMP_ERR_TOOBIG &&
	    (reply->error || reply->variables))
		return false;
	if (ask_less(reader))
		next_request(reader);
	else
		meter_reader_fail(reader, "not even one flow fits into one of "
				  "its messages");
	return true;
}

/* Packages brought nothing: is it the table that is empty, or the packages? */
static void
table_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	struct meter_rule_set *set = reader->pass.set;
	const netsnmp_variable_list *v = reply->variables;
	uint32_t time, index;

	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error || !v || variable_missing(v) ||
	    column_oid_parse(v->name, v->name_length, ATTRIBUTE_FIRST_TIME,
			     set->index, &time, &index) ||
	    time < reader->pass.time) {
		meter_pass_end(reader);
		return;
	}
	if (reader->conf.access == METER_ACCESS_PACKAGES &&
	    reader->access == ACCESS_PACKAGES_BASIC) {
		meter_reader_fail(reader, "it has no packages, and columns "
				  "are not to be read");
		return;
	}
	set_access(reader, (enum flow_access)(reader->access + 1));
	meter_reader_log(reader, LOG_LEVEL_INFO,
			 reader->access == ACCESS_COLUMNS ?
				 "has no packages: columns are read" :
				 "gives no packages for that many attributes: "
				 "asked for fewer");
	next_request(reader);
}

static void
ask_table(struct meter_reader *reader)
{
	netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_GETNEXT);
	struct pdu_name name;

	name.length = column_oid(name.name, ATTRIBUTE_FIRST_TIME,
				 reader->pass.set->index, reader->pass.time,
				 0);
	pdu_ask(pdu, name);
	meter_reader_send(reader, pdu, 0, table_answer);
}

static void
rows_end(struct meter_reader *reader)
{
	if (reader->pass.first && !reader->packages_proven &&
	    reader->access != ACCESS_COLUMNS) {
		ask_table(reader);
		return;
	}
	meter_pass_end(reader);
}

static void
take_package(struct meter_reader *reader, const netsnmp_variable_list *v,
	     uint32_t index)
{
	reader->packages_proven = true;
	if (v->type != ASN_OCTET_STR ||
	    package_row(&reader->row, &reader->selector, v->val.string,
			v->val_len)) {
		malformed(reader, index);
		return;
	}
	reader->row.rule_set = reader->pass.set->index;
	reader->row.index = index;
	take_row(reader);
}

/*
 * An error where rows were asked for. SNMPv1 says noSuchName at the end, and
 * what a meter without packages says is its own; any other is about one of the
 * rows, which are asked for one by one until it is found, and left out.
 */
static bool
rows_refused(struct meter_reader *reader, const struct snmp_reply *reply)
{
	if (!reply->error)
		return false;
	if (reply->error == SNMP_ERR_NOSUCHNAME ||
	    (reader->pass.first && reader->access != ACCESS_COLUMNS &&
	     !reader->packages_proven)) {
		rows_end(reader);
	} else if (reader->repetitions > 1) {
		reader->repetitions = 1;
		next_request(reader);
	} else {
		if (!reader->pass.skips)
			malformed(reader, reader->pass.set->cursor_index + 1);
		if (skip_back(reader))
			next_request(reader);
		else
			rows_end(reader);
	}
	return true;
}

static void
packages_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	struct meter_rule_set *set = reader->pass.set;
	enum position position = POSITION_ROW;
	size_t largest = 0;

	if (answer_lacks(reader, reply) || rows_refused(reader, reply))
		return;
	for (const netsnmp_variable_list *v = reply->variables;
	     v && position == POSITION_ROW; v = v->next_variable) {
		uint32_t time, index;

		if (variable_missing(v) ||
		    package_oid_parse(v->name, v->name_length,
				      &reader->selector, set->index, &time,
				      &index)) {
			position = POSITION_END;
			break;
		}
		position = step(reader, time, index);
		if (position != POSITION_ROW)
			break;
		if (variable_octets(v) > largest)
			largest = variable_octets(v);
		take_package(reader, v, index);
	}
	if (!reply->repeats)
		grow_repetitions(reader, largest);
	if (position == POSITION_BACK && !skip_back(reader))
		position = POSITION_END;
	if (position == POSITION_END)
		rows_end(reader);
	else
		next_request(reader);
}

static netsnmp_pdu *
rows_pdu(const struct meter_reader *reader, unsigned repetitions)
{
	bool v1 = reader->conf.version == METER_SNMP_V1;
	netsnmp_pdu *pdu = snmp_pdu_create(v1 ? SNMP_MSG_GETNEXT :
						SNMP_MSG_GETBULK);

	if (pdu && !v1) {
		pdu->errstat = 0; /* non-repeaters */
		pdu->errindex = (long)repetitions; /* max-repetitions */
	}
	return pdu;
}

static void
ask_packages(struct meter_reader *reader)
{
	struct meter_rule_set *set = reader->pass.set;
	netsnmp_pdu *pdu = rows_pdu(reader, reader->repetitions);
	struct pdu_name name;

	name.length = package_oid(name.name, &reader->selector, set->index,
				  set->cursor_time, set->cursor_index);
	pdu_ask(pdu, name);
	meter_reader_send(reader, pdu, 0, packages_answer);
}

/* Columns: which rows come next, by the column of first times. */
static void
found_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	struct meter_pass *pass = &reader->pass;
	enum position position = POSITION_ROW;
	size_t largest = 0;

	if (answer_lacks(reader, reply) || rows_refused(reader, reply))
		return;
	for (const netsnmp_variable_list *v = reply->variables;
	     v && position == POSITION_ROW && pass->found_count < COLUMN_ROWS;
	     v = v->next_variable) {
		uint32_t time, index;

		if (variable_missing(v) ||
		    column_oid_parse(v->name, v->name_length,
				     ATTRIBUTE_FIRST_TIME, pass->set->index,
				     &time, &index))
			position = POSITION_END;
		else
			position = step(reader, time, index);
		if (position != POSITION_ROW)
			break;
		if (variable_octets(v) > largest)
			largest = variable_octets(v);
		pass->found[pass->found_count].time = time;
		pass->found[pass->found_count++].index = index;
	}
	if (position == POSITION_BACK && !skip_back(reader))
		position = POSITION_END;
	if (!reply->repeats)
		grow_repetitions(reader, largest);
	pass->last_found = position == POSITION_END;
	if (!pass->found_count && pass->last_found)
		rows_end(reader);
	else
		next_request(reader);
}

static void
ask_rows(struct meter_reader *reader)
{
	struct meter_pass *pass = &reader->pass;
	netsnmp_pdu *pdu = rows_pdu(reader, reader->repetitions);
	struct pdu_name name;

	pass->found_count = pass->found_at = pass->column_at = 0;
	pass->stored = 0;
	pass->done_time = pass->set->cursor_time;
	pass->done_index = pass->set->cursor_index;
	name.length = column_oid(name.name, ATTRIBUTE_FIRST_TIME,
				 pass->set->index, pass->set->cursor_time,
				 pass->set->cursor_index);
	pdu_ask(pdu, name);
	meter_reader_send(reader, pdu, 0, found_answer);
}

static void
row_begin(struct meter_reader *reader)
{
	reader->pass.column_at = 0;
	reader->pass.stored = 0;
	row_reset(&reader->row);
}

/* All columns of a row are there. */
static void
row_end(struct meter_reader *reader)
{
	struct meter_pass *pass = &reader->pass;

	reader->row.index = pass->found[pass->found_at].index;
	pass->done_time = pass->found[pass->found_at].time;
	pass->done_index = pass->found[pass->found_at].index;
	reader->row.rule_set = reader->rfc2064 ?
		(uint8_t)row_number(&reader->row, ATTRIBUTE_RULE_SET) :
		pass->set->index;
	/* A row that was there a moment ago and is no more has nothing. */
	if (row_has_number(&reader->row, ATTRIBUTE_FIRST_TIME) &&
	    row_wanted(reader))
		take_row(reader);
	pass->found_at++;
	row_begin(reader);
}

/* Octets of a row are kept until its last column has come. */
static void
store_value(struct meter_reader *reader, uint8_t attribute,
	    const netsnmp_variable_list *v)
{
	struct meter_pass *pass = &reader->pass;
	struct ber_value value;

	if (!variable_value(v, &value))
		return;
	if (value.kind == BER_KIND_OCTETS) {
		if (value.length > sizeof(pass->store) - pass->stored)
			return;
		memcpy(pass->store + pass->stored, value.octets,
		       value.length);
		value.octets = pass->store + pass->stored;
		pass->stored += value.length;
	}
	row_set(&reader->row, attribute, &value);
}

static bool
column_alive(const struct meter_reader *reader, unsigned i)
{
	return !(reader->dead_columns >> i & 1);
}

/* Which columns an answer is for is told by walking them as the request did. */
static void
columns_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	struct meter_pass *pass = &reader->pass;
	const netsnmp_variable_list *v = reply->variables;
	unsigned i = pass->column_at, n = 0;

	if (answer_lacks(reader, reply))
		return;
	for (; i < reader->selector.count && v; i++) {
		uint8_t attribute = reader->selector.attribute[i];

		if (!column_alive(reader, i))
			continue;
		n++;
		/* SNMPv1 refuses the whole request for one of them. */
		if (reply->error == SNMP_ERR_NOSUCHNAME &&
		    (long)n == reply->error_index) {
			/* The row is there no more. */
			if (attribute == ATTRIBUTE_FIRST_TIME)
				break;
			reader->dead_columns |= (uint64_t)1 << i;
			next_request(reader);
			return;
		}
		if (v->type == SNMP_NOSUCHOBJECT)
			reader->dead_columns |= (uint64_t)1 << i;
		if (!reply->error)
			store_value(reader, attribute, v);
		v = v->next_variable;
	}
	pass->column_at = i;
	while (pass->column_at < reader->selector.count &&
	       !column_alive(reader, pass->column_at))
		pass->column_at++;
	if (reply->error && reply->error != SNMP_ERR_NOSUCHNAME)
		malformed(reader, pass->found[pass->found_at].index);
	if (reply->error)
		row_reset(&reader->row);
	if (reply->error || n == 0 ||
	    pass->column_at >= reader->selector.count)
		row_end(reader);
	next_request(reader);
}

static void
ask_columns(struct meter_reader *reader)
{
	struct meter_pass *pass = &reader->pass;
	netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_GET);
	unsigned n = 0;

	for (unsigned i = pass->column_at; i < reader->selector.count &&
	     n < reader->columns_at_once; i++) {
		const struct attribute *attribute =
			attribute_find(reader->selector.attribute[i]);
		struct pdu_name name;

		if (!column_alive(reader, i))
			continue;
		n++;
		/* Column numbers are attribute numbers, of these. */
		name.length = column_oid(name.name, attribute->number,
					 pass->set->index,
					 pass->found[pass->found_at].time,
					 pass->found[pass->found_at].index);
		pdu_ask(pdu, name);
	}
	meter_reader_send(reader, pdu, 0, columns_answer);
}

static void
next_request(struct meter_reader *reader)
{
	struct meter_pass *pass = &reader->pass;

	if (stage_congested(&reader->stage)) {
		meter_reader_later(reader, CONGESTED_WAIT_MS, next_request);
		return;
	}
	if (reader->access != ACCESS_COLUMNS) {
		ask_packages(reader);
	} else if (pass->found_at < pass->found_count) {
		ask_columns(reader);
	} else if (pass->last_found) {
		rows_end(reader);
	} else {
		ask_rows(reader);
	}
}

void
meter_read_leave(struct meter_reader *reader)
{
	struct meter_pass *pass = &reader->pass;

	/* Rows that were found and not read are to be found again. */
	if (reader->access != ACCESS_COLUMNS ||
	    pass->found_at >= pass->found_count)
		return;
	pass->set->cursor_time = pass->done_time;
	pass->set->cursor_index = pass->done_index;
}

void
meter_read_begin(struct meter_reader *reader)
{
	struct meter_rule_set *set = reader->pass.set;

	if (!set->cursor_index)
		set->cursor_time = reader->pass.time;
	row_begin(reader);
	next_request(reader);
}
