/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over one rule set: its start, and what is concluded at its end.
 *
 * RFC 2720 flowReaderLastTime: writing it (whatever value) begins a pass; the
 * meter stores its Uptime, and moves the old value to PreviousTime, since when
 * idle flows may be freed. The answer to the write echoes the value written,
 * so the true one is read afterwards.
 *
 * Hence: it is written only when the pass before was finished, for a second
 * write would let flows be freed that were not read. For the same reason a
 * write without an answer is not just repeated: LastTime is read, and if it has
 * moved the write had arrived.
 *
 * The wall clock half-way between the write and its answer belongs to LastTime:
 * that is how times of the meter become absolute (4.5 of RFC 2722's Uptime need
 * not be sysUpTime).
 *
 * The flows asked for are those active at or since the last finished pass began
 * (a tick earlier, as NeMaC does): what is read twice changes nothing.
 *
 * A meter that restarted has lost rows and flows, and its Uptime is behind what
 * it should be by now. As long as our row is there the meter did not restart.
 */
#include "conflux/clock.h"
#include "meter_pdu.h"
#include "reader.h"

enum {
	SET_TRIES = 8,
	TOLERANCE_MS = 300,	  /* of Uptime, beside the round trips */
	TOLERANCE_STATE_MS = 1500, /* the wall clock may have been set */
};

static const oid reader_entry[] = {OID_READER};

static void set_last_time(struct meter_reader *reader);
static void read_last_time(struct meter_reader *reader);

static void
forget(struct meter_reader *reader)
{
	meter_flows_clear(&reader->flows);
	for (unsigned i = 0; i <= RULE_SETS_MAX; i++) {
		struct meter_rule_set *set = reader->set[i];

		if (!set)
			continue;
		set->has_good = set->open = false;
		set->good = 0;
		set->row_refused = false;
	}
	/* All that the meter has counted since is new. */
	reader->has_start = false;
	/* It may have come back with another module. */
	reader->probed = false;
	reader->counts.restarts++;
}

/*
 * Compares Uptime at this wall or monotonic time with what the last one lets
 * expect. Only a difference to the slow side means anything: a restart makes
 * Uptime smaller, never larger.
 */
static bool
has_restarted(const struct meter_reader *reader, uint32_t uptime,
	      struct moment at)
{
	const struct meter_clock *old = &reader->clock;
	uint64_t elapsed, tolerance;
	uint32_t expected;
	int64_t behind;

	if (!old->known)
		return false;
	if (reader->clock_mono_ms) {
		elapsed = at.mono_ms - reader->clock_mono_ms;
		tolerance = TOLERANCE_MS + 2 * (uint64_t)reader->round_trip_ms;
	} else {
		elapsed = at.wall_ms > old->wall_ms ?
			at.wall_ms - old->wall_ms : 0;
		tolerance = TOLERANCE_STATE_MS + reader->round_trip_ms;
	}
	tolerance += elapsed / 1000;
	expected = old->uptime + (uint32_t)(elapsed / 10);
	behind = (int64_t)(int32_t)(expected - uptime) * 10;
	return behind > (int64_t)tolerance;
}

static void
begin_reading(struct meter_reader *reader)
{
	struct meter_pass *pass = &reader->pass;
	struct meter_rule_set *set = pass->set;
	uint32_t crowd = reader->flows.max / 4 * 3;

	/* A wrapped Uptime empties the meter's table: begin from 0 too. */
	if (!pass->resumed) {
		set->full = !set->has_good || reader->flows.count > crowd ||
			set->last_time < set->good;
		if (set->full)
			set->mark++;
		set->cursor_time = set->cursor_index = 0;
	}
	pass->first = set->cursor_index == 0;
	pass->time = set->full || !set->good ? 0 : set->good - 1;
	pass->literal = set->cursor_index && set->cursor_time != pass->time;
	pass->how = (struct flow_pass){
		.clock = &reader->clock,
		.wrap32 = reader->rfc2064,
		.has_start = reader->has_start && !set->has_good,
		.start = reader->start,
		.mark = set->mark,
	};
	if (!reader->round_started) {
		reader->round_started = true;
		reader->round_start = set->last_time;
	}
	meter_read_begin(reader);
}

/* The pass has begun at this Uptime. */
static void
begun(struct meter_reader *reader, uint32_t uptime, struct moment at)
{
	struct meter_rule_set *set = reader->pass.set;

	if (set->row_new && has_restarted(reader, uptime, at)) {
		meter_reader_log(reader, LOG_LEVEL_WARNING,
				 "has restarted: flows that were not read "
				 "before are lost, counting begins anew");
		forget(reader);
	}
	if (!reader->clock.known && !reader->has_start &&
	    reader->conf.first_pass == METER_FIRST_BASELINE) {
		reader->has_start = true;
		reader->start = uptime;
	}
	reader->clock = (struct meter_clock){true, uptime, at.wall_ms};
	reader->clock_mono_ms = at.mono_ms;
	reader->scope.has_init = true;
	reader->scope.system_init_ms = at.wall_ms - (uint64_t)uptime * 10;
	set->row_new = false;
	set->open = true;
	set->last_time = uptime;
	begin_reading(reader);
}

/* The row is gone: new rows first, once in a round. */
static void
row_lost(struct meter_reader *reader)
{
	struct meter_rule_set *set = reader->pass.set;

	set->row = 0;
	set->row_new = true;
	reader->counts.rows_lost++;
	meter_reader_log(reader, LOG_LEVEL_NOTICE,
			 "has our reader row for rule set %u no more",
			 set->index);
	if (reader->row_trouble) {
		meter_reader_fail(reader, "our reader row vanishes again and "
				  "again");
		return;
	}
	reader->row_trouble = true;
	reader->phase = PHASE_SCAN;
	reader->rows_known = false;
	meter_scan_begin(reader);
}

static void
read_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	struct meter_rule_set *set = reader->pass.set;
	const netsnmp_variable_list *v = reply->variables;
	uint64_t last, previous = 0;

	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error || !v || !variable_number(v, &last)) {
		row_lost(reader);
		return;
	}
	if (v->next_variable)
		variable_number(v->next_variable, &previous);
	if (!set->row_new && previous != set->last_time &&
	    last != set->last_time)
		meter_reader_log(reader, LOG_LEVEL_DEBUG,
				 "somebody else writes to our row %u",
				 set->row);
	begun(reader, (uint32_t)last, reader->pass.at);
}

static void
read_last_time(struct meter_reader *reader)
{
	netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_GET);
	uint32_t row = reader->pass.set->row;

	pdu_ask(pdu, PDU_NAME(reader_entry, READER_LAST_TIME, row));
	pdu_ask(pdu, PDU_NAME(reader_entry, READER_PREVIOUS_TIME, row));
	meter_reader_send(reader, pdu, 0, read_answer);
}

/* The answer to the write was lost: did the write arrive? */
static void
doubt_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	struct meter_rule_set *set = reader->pass.set;
	uint64_t last;

	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error || !reply->variables ||
	    !variable_number(reply->variables, &last)) {
		row_lost(reader);
		return;
	}
	if ((uint32_t)last != set->last_time)
		begun(reader, (uint32_t)last, reader->pass.at);
	else if (++reader->pass.tries > SET_TRIES)
		meter_reader_fail(reader, "flowReaderLastTime cannot be "
				  "written");
	else
		set_last_time(reader);
}

static void
set_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	netsnmp_pdu *pdu;

	reader->pass.at = meter_reader_moment(reader, reply);
	if (reply->result == SNMP_TIMEOUT) {
		reader->counts.timeouts++;
		pdu = snmp_pdu_create(SNMP_MSG_GET);
		pdu_ask(pdu, PDU_NAME(reader_entry, READER_LAST_TIME,
				      reader->pass.set->row));
		meter_reader_send(reader, pdu, 0, doubt_answer);
		return;
	}
	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error)
		row_lost(reader);
	else
		read_last_time(reader);
}

static void
set_last_time(struct meter_reader *reader)
{
	netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_SET);

	pdu_put_number(pdu, PDU_NAME(reader_entry, READER_LAST_TIME,
				     reader->pass.set->row),
		       ASN_TIMETICKS, 1);
	meter_reader_send(reader, pdu, SNMP_WRITE | SNMP_ONCE, set_answer);
}

/* Without a row sysUpTime is all there is to tell the time by. */
static void
uptime_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	uint64_t uptime;

	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error || !reply->variables ||
	    !variable_number(reply->variables, &uptime)) {
		meter_reader_fail(reader, "it shows neither a reader row nor "
				  "sysUpTime");
		return;
	}
	reader->pass.set->row_new = true;
	begun(reader, (uint32_t)uptime, meter_reader_moment(reader, reply));
}

void
meter_pass_begin(struct meter_reader *reader, struct meter_rule_set *set)
{
	static const oid uptime[] = {OID_SYS_UPTIME};
	struct meter_pass *pass = &reader->pass;
	netsnmp_pdu *pdu;

	*pass = (struct meter_pass){.set = set};
	if (!set->row) {
		pdu = snmp_pdu_create(SNMP_MSG_GET);
		if (pdu)
			snmp_add_null_var(pdu, uptime, OID_COUNT(uptime));
		meter_reader_send(reader, pdu, 0, uptime_answer);
		return;
	}
	/* The row came with a LastTime of its own: that is the start. */
	if (set->row_made) {
		set->row_made = false;
		begun(reader, set->last_time, set->made);
		return;
	}
	if (set->open && reader->clock.known) {
		pass->resumed = true;
		begin_reading(reader);
		return;
	}
	set->open = false;
	set_last_time(reader);
}

void
meter_pass_end(struct meter_reader *reader)
{
	struct meter_pass *pass = &reader->pass;
	struct meter_rule_set *set = pass->set;
	uint64_t now = clock_wall_ms();

	if (set->full && pass->time == 0 && !pass->literal)
		meter_flows_prune(&reader->flows, set->index, set->mark);
	set->good = set->last_time;
	set->has_good = true;
	set->open = set->full = false;
	reader->counts.passes++;
	meter_map_flush(reader->map, now);
	meter_state_save(reader);
	meter_reader_log(reader, LOG_LEVEL_DEBUG,
			 "rule set %u: pass of %llu flows finished",
			 set->index, (unsigned long long)pass->rows);
	meter_reader_next(reader);
}
