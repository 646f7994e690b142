/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Our rows in flowReaderInfoTable, one for each rule set (RFC 2720). They tell
 * the meter that somebody reads the flows, so it keeps them until read.
 *
 * Rows with our owner name that were there when we came are our own from an
 * earlier life (the owner must be unlike that of other readers of the meter).
 * One that fits a rule set is taken over: to destroy it first would leave the
 * flows unguarded for a moment. The others are destroyed.
 *
 * A row is made with createAndGo; a meter that does not take this gets
 * createAndWait, the columns, and active. An index that somebody took in
 * between is seen by its owner, and the next one tried. A meter that lets us
 * write nothing is read without a row: its flows may then be freed unread.
 */
#include "meter_pdu.h"
#include "reader.h"

enum {
	ROW_TRIES = 16,
	TIMEOUT_LEAST = 30, /* s */
};

static const oid reader_entry[] = {OID_READER};

static void next_row(struct meter_reader *reader);
static void next_stale(struct meter_reader *reader);

static uint32_t
row_timeout(const struct meter_reader *reader)
{
	const struct meter_reader_conf *conf = &reader->conf;

	if (conf->reader_timeout)
		return conf->reader_timeout;
	/* A pass over a lossy line may take longer than a short interval. */
	return conf->interval > TIMEOUT_LEAST / 3 ? conf->interval * 3 :
						    TIMEOUT_LEAST;
}

bool
meter_rows_missing(const struct meter_reader *reader)
{
	for (unsigned i = 0; i <= RULE_SETS_MAX; i++) {
		const struct meter_rule_set *set = reader->set[i];

		if (set && set->wanted && !set->row && !set->row_refused)
			return true;
	}
	return false;
}

/*
 * A row of an earlier life. If its LastTime is not that of our last finished
 * pass, a pass was begun and not finished: that is done before LastTime is
 * written again. The meter did not restart, or there were no such row.
 */
static void
take_over(struct meter_reader *reader, struct meter_rule_set *set,
	  uint32_t row, uint32_t last)
{
	set->row = row;
	set->row_new = false;
	set->row_made = false;
	set->open = set->has_good && last && last != set->good;
	set->full = false;
	set->cursor_time = set->cursor_index = 0;
	set->last_time = last;
	meter_reader_log(reader, LOG_LEVEL_DEBUG,
			 "takes over reader row %u for rule set %u", row,
			 set->index);
}

static bool
is_owner(const struct meter_reader *reader, const netsnmp_variable_list *v)
{
	return v->type == ASN_OCTET_STR &&
	       v->val_len == strlen(reader->conf.owner) &&
	       memcmp(v->val.string, reader->conf.owner, v->val_len) == 0;
}

static void
index_used(struct meter_reader *reader, uint32_t index)
{
	if (reader->rows.used_count < OID_COUNT(reader->rows.used))
		reader->rows.used[reader->rows.used_count++] = index;
}

static void
last_time_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	struct meter_rule_set *set = reader->set[reader->rows.set];
	uint64_t last = 0;

	if (meter_reader_lost(reader, reply))
		return;
	if (!reply->error && reply->variables)
		variable_number(reply->variables, &last);
	set->row = reader->rows.index;
	set->row_new = true;
	set->open = false;
	set->last_time = (uint32_t)last;
	/* LastTime may be there from the start: then it is now. */
	set->row_made = last && reader->rows.made_known;
	set->made = reader->rows.made;
	meter_reader_log(reader, LOG_LEVEL_DEBUG,
			 "has reader row %u for rule set %u", set->row,
			 set->index);
	index_used(reader, set->row);
	reader->rows.set++;
	next_row(reader);
}

static void
ask_last_time(struct meter_reader *reader)
{
	netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_GET);

	pdu_ask(pdu, PDU_NAME(reader_entry, READER_LAST_TIME,
			      reader->rows.index));
	meter_reader_send(reader, pdu, 0, last_time_answer);
}

static void
put_columns(struct meter_reader *reader, netsnmp_pdu *pdu)
{
	uint32_t index = reader->rows.index;

	pdu_put_number(pdu, PDU_NAME(reader_entry, READER_TIMEOUT, index),
		       ASN_INTEGER, row_timeout(reader));
	pdu_put_octets(pdu, PDU_NAME(reader_entry, READER_OWNER, index),
		       reader->conf.owner, strlen(reader->conf.owner));
	if (!reader->rfc2064)
		pdu_put_number(pdu, PDU_NAME(reader_entry, READER_RULE_SET,
					     index),
			       ASN_INTEGER, (long)reader->rows.set);
}

static void
put_status(struct meter_reader *reader, netsnmp_pdu *pdu, long status)
{
	pdu_put_number(pdu, PDU_NAME(reader_entry, READER_STATUS,
				     reader->rows.index),
		       ASN_INTEGER, status);
}

static void
refused(struct meter_reader *reader)
{
	reader->set[reader->rows.set]->row_refused = true;
	meter_reader_log(reader, LOG_LEVEL_WARNING,
			 "lets us have no reader row for rule set %u: its "
			 "flows may be freed before they are read",
			 reader->rows.set);
	reader->rows.set++;
	next_row(reader);
}

/* This index did not do: is it another's, or refused whatever the index? */
static void
next_index(struct meter_reader *reader, long error)
{
	if (error_is_refusal(error) || ++reader->rows.tries > ROW_TRIES) {
		refused(reader);
		return;
	}
	index_used(reader, reader->rows.index);
	next_row(reader);
}

static void
active_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;

	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error)
		next_index(reader, reply->error);
	else
		ask_last_time(reader);
}

static void
columns_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	netsnmp_pdu *pdu;

	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error) {
		next_index(reader, reply->error);
		return;
	}
	pdu = snmp_pdu_create(SNMP_MSG_SET);
	put_status(reader, pdu, ROW_ACTIVE);
	meter_reader_send(reader, pdu, SNMP_WRITE, active_answer);
}

static void
wait_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	netsnmp_pdu *pdu;

	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error) {
		next_index(reader, reply->error);
		return;
	}
	pdu = snmp_pdu_create(SNMP_MSG_SET);
	put_columns(reader, pdu);
	meter_reader_send(reader, pdu, SNMP_WRITE, columns_answer);
}

/*
 * createAndGo failed. If its first answer was lost the row is there, ours and
 * active; if it is there and not ours the index is taken; else the meter wants
 * createAndWait.
 */
static void
look_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	const netsnmp_variable_list *owner = reply->variables, *status;
	uint64_t state = 0, rule_set = reader->rows.set;
	netsnmp_pdu *pdu;

	if (meter_reader_lost(reader, reply))
		return;
	status = owner ? owner->next_variable : NULL;
	if (!reply->error && status && variable_number(status, &state)) {
		if (status->next_variable)
			variable_number(status->next_variable, &rule_set);
		if (is_owner(reader, owner) && state == ROW_ACTIVE &&
		    rule_set == reader->rows.set)
			ask_last_time(reader);
		else
			next_index(reader, 0);
		return;
	}
	pdu = snmp_pdu_create(SNMP_MSG_SET);
	put_status(reader, pdu, ROW_CREATE_AND_WAIT);
	meter_reader_send(reader, pdu, SNMP_WRITE, wait_answer);
}

static void
create_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	netsnmp_pdu *pdu;

	if (meter_reader_lost(reader, reply))
		return;
	if (!reply->error) {
		reader->rows.made = meter_reader_moment(reader, reply);
		reader->rows.made_known = reply->repeats == 0;
		ask_last_time(reader);
		return;
	}
	if (error_is_refusal(reply->error)) {
		refused(reader);
		return;
	}
	pdu = snmp_pdu_create(SNMP_MSG_GET);
	pdu_ask(pdu, PDU_NAME(reader_entry, READER_OWNER,
			      reader->rows.index));
	pdu_ask(pdu, PDU_NAME(reader_entry, READER_STATUS,
			      reader->rows.index));
	if (!reader->rfc2064)
		pdu_ask(pdu, PDU_NAME(reader_entry, READER_RULE_SET,
				      reader->rows.index));
	meter_reader_send(reader, pdu, 0, look_answer);
}

static uint32_t
free_index(const struct meter_reader *reader)
{
	for (uint32_t index = 1;; index++) {
		unsigned i = 0;

		while (i < reader->rows.used_count &&
		       reader->rows.used[i] != index)
			i++;
		if (i == reader->rows.used_count)
			return index;
	}
}

/* Makes a row for the next set that needs one. */
static void
next_row(struct meter_reader *reader)
{
	const struct meter_rule_set *set;
	netsnmp_pdu *pdu;

	for (; reader->rows.set <= RULE_SETS_MAX; reader->rows.set++) {
		set = reader->set[reader->rows.set];
		if (set && set->wanted && !set->row && !set->row_refused)
			break;
	}
	if (reader->rows.set > RULE_SETS_MAX) {
		next_stale(reader);
		return;
	}
	reader->rows.index = free_index(reader);
	reader->rows.made_known = false;
	pdu = snmp_pdu_create(SNMP_MSG_SET);
	put_columns(reader, pdu);
	put_status(reader, pdu, ROW_CREATE_AND_GO);
	meter_reader_send(reader, pdu, SNMP_WRITE, create_answer);
}

static void
destroy_row(struct meter_reader *reader, uint32_t index, snmp_done answer)
{
	netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_SET);

	pdu_put_number(pdu, PDU_NAME(reader_entry, READER_STATUS, index),
		       ASN_INTEGER, ROW_DESTROY);
	meter_reader_send(reader, pdu, SNMP_WRITE, answer);
}

static void
stale_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;

	if (!meter_reader_lost(reader, reply))
		next_stale(reader);
}

static void
next_stale(struct meter_reader *reader)
{
	if (!reader->rows.stale_count) {
		meter_reader_next(reader);
		return;
	}
	destroy_row(reader,
		    reader->rows.stale[--reader->rows.stale_count],
		    stale_answer);
}

static bool
is_our_row(const struct meter_reader *reader, uint32_t index)
{
	for (unsigned i = 0; i <= RULE_SETS_MAX; i++)
		if (reader->set[i] && reader->set[i]->row == index)
			return true;
	return false;
}

static void
found_row(struct meter_reader *reader, uint32_t index,
	  netsnmp_variable_list *const variable[])
{
	const netsnmp_variable_list *owner = variable[0];
	uint64_t status = 0, rule_set = 0, last = 0;
	struct meter_rule_set *set = NULL;

	index_used(reader, index);
	if (is_our_row(reader, index) || !is_owner(reader, owner))
		return;
	if (variable[1])
		variable_number(variable[1], &status);
	if (variable[2])
		variable_number(variable[2], &last);
	if (variable[3])
		variable_number(variable[3], &rule_set);
	if (rule_set <= RULE_SETS_MAX)
		set = reader->set[rule_set];
	if (set && set->wanted && !set->row && status == ROW_ACTIVE)
		take_over(reader, set, index, (uint32_t)last);
	else if (reader->rows.stale_count < OID_COUNT(reader->rows.stale))
		reader->rows.stale[reader->rows.stale_count++] = index;
}

static void
found_all(struct meter_reader *reader)
{
	reader->rows_known = true;
	reader->rows.set = 0;
	reader->rows.tries = 0;
	next_row(reader);
}

void
meter_rows_begin(struct meter_reader *reader)
{
	struct meter_walk *walk = &reader->walk;

	reader->rows.used_count = 0;
	reader->rows.stale_count = 0;
	memcpy(walk->entry, reader_entry, sizeof(reader_entry));
	walk->entry_length = OID_COUNT(reader_entry);
	walk->column[0] = READER_OWNER;
	walk->column[1] = READER_STATUS;
	walk->column[2] = READER_LAST_TIME;
	walk->column[3] = READER_RULE_SET;
	walk->columns = reader->rfc2064 ? 3 : 4;
	walk->row = found_row;
	walk->done = found_all;
	meter_walk_begin(reader);
}

/*
 * The end: rows destroyed one after the other. A meter that does not answer
 * keeps them until their timeout.
 */
static void
leave_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;

	if (reply->result != SNMP_REPLY) {
		meter_reader_log(reader, LOG_LEVEL_NOTICE,
				 "keeps our reader rows until their timeout: "
				 "%s", reply->reason);
		meter_reader_next(reader);
		return;
	}
	meter_rows_leave(reader);
}

void
meter_rows_leave(struct meter_reader *reader)
{
	for (unsigned i = 0; i <= RULE_SETS_MAX; i++) {
		struct meter_rule_set *set = reader->set[i];

		if (set && set->row) {
			uint32_t row = set->row;

			set->row = 0;
			destroy_row(reader, row, leave_answer);
			return;
		}
	}
	meter_reader_next(reader);
}
