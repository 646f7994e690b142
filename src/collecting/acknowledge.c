/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector's part in acknowledging records; what is said, and why, is in
 * exporting/forward_answer.c.
 *
 * A stream is known by who sends it (its authenticated name, else its address)
 * and the run that it announces, so it is the same after a new connection. Each
 * Flow Record has a number in it. What we have already is left out, record by
 * record; several connections may bring the same stream, when an old one is
 * still to be read to its end.
 *
 * What is said to be had is what was safe when it was looked for last: see
 * runtime/commit.c. That is asked for after ACKNOWLEDGE_RECORDS, when a stream
 * is announced, and at each tick.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "process.h"

enum {
	ACKNOWLEDGE_RECORDS = 4096,
	RECORD_OCTETS = 20,
	TEMPLATE_ID = SET_DATA_MIN,
};

int
acknowledge_init(struct collecting *c)
{
	static const struct {
		uint16_t id, length;
	} of[] = {{IE_exportingProcessId, 4},
		  {IE_exportedMessageTotalCount, 8},
		  {IE_exportedFlowRecordTotalCount, 8}};
	struct field field[3];

	if (!c->conf.positions)
		return 0;
	for (int i = 0; i < 3; i++) {
		field[i].ie = ie_get(c->conf.registry, 0, of[i].id);
		field[i].length = of[i].length;
		if (!field[i].ie)
			return -ENOMEM;
	}
	return shape_get(c->conf.shapes, field, 3, 1, &c->position_shape);
}

/* Names are in quotes, so that none looks like an address. */
static void
peer_format(char *text, size_t size, const struct net_session *net)
{
	char address[ADDR_TEXT_SIZE];

	if (net->peer)
		snprintf(text, size, "\"%s\"", net->peer);
	else
		snprintf(text, size, "%s",
			 addr_format_host(address, &net->remote));
}

static void
leave(struct session *session)
{
	if (session->position)
		session->position->sessions--;
	session->position = NULL;
}

static struct position *
find(struct session *session, uint32_t run, bool *made)
{
	struct collecting *c = session->process;
	char peer[POSITIONS_PEER_MAX + 2];
	struct position forgotten, *p;

	peer_format(peer, sizeof(peer), session->net);
	p = positions_get(c->conf.positions, peer, run, made, &forgotten);
	if (forgotten.run)
		log_notice(
			"collecting process %s: %s: where its stream %" PRIu32
			" was is forgotten, as others are newer: if it "
			"comes again records may be doubled",
			c->name, forgotten.peer, forgotten.run);
	if (!p)
		complain(session, COMPLAINT_LIMIT,
			 "what it sends can't be acknowledged: no room for "
			 "another stream");
	return p;
}

/* The next Flow Record has this number. */
static void
announced(struct session *session, uint32_t run, uint64_t next)
{
	struct collecting *c = session->process;
	bool made = false;
	struct position *p = session->position;

	if (!p || p->run != run) {
		leave(session);
		p = find(session, run, &made);
		if (!p)
			return;
		session->position = p;
		p->sessions++;
	}
	session->next = next;
	/* It does not have those before any more, and has accounted for them.
	 */
	if (next > p->taken)
		p->taken = next;
	if (made)
		p->safe = next;
	session->awaited = true;
	c->conf.commit(c->conf.arg);
}

/* The numbers of records are taken by us, and are about this connection. */
static void
take_announcements(struct domain *domain, const struct batch *batch)
{
	struct session *session = domain->session;
	struct ledger *sum = &session->process->stage.ledger;

	for (uint32_t i = 0; i < batch->count; i++) {
		uint32_t length;
		const uint8_t *p = batch_record(batch, i, &length);

		announced(session, wire_get32(p), wire_get64(p + 12));
	}
	session->counters.records += batch->count;
	domain->ledger.in += batch->count;
	domain->ledger.filtered += batch->count;
	sum->in += batch->count;
	sum->filtered += batch->count;
}

bool
acknowledge_takes(struct domain *domain, struct batch *batch)
{
	struct session *session = domain->session;
	struct collecting *c = session->process;
	struct position *p = session->position;
	uint64_t had;

	if (batch->shape == c->position_shape) {
		take_announcements(domain, batch);
		return true;
	}
	if (!p || batch->shape->scope_count)
		return false;
	had = p->taken > session->next ? p->taken - session->next : 0;
	if (had > batch->count)
		had = batch->count;
	session->next += batch->count;
	session->counters.had += had;
	if (had == batch->count)
		return true;
	if (batch->stride)
		batch->base += had * batch->stride;
	else
		batch->offset += had;
	batch->count -= (uint32_t)had;
	p->taken = session->next;
	c->unacknowledged += batch->count;
	if (c->unacknowledged >= ACKNOWLEDGE_RECORDS)
		c->conf.commit(c->conf.arg);
	return false;
}

void
acknowledge_end(struct session *session)
{
	leave(session);
}

/* ---- what we say --------------------------------------------------------- */

static int
reply(struct session *session)
{
	const struct collecting *c = session->process;
	const struct position *p = session->position;
	uint8_t octets[NET_REPLY_MAX], *record;
	struct message_writer w;
	uint32_t length;
	int rc;

	message_begin(&w, octets, sizeof(octets), 0);
	if (!session->replies)
		message_add_template(&w, TEMPLATE_ID, c->position_shape);
	record = message_add_data(&w, TEMPLATE_ID, RECORD_OCTETS, 1);
	wire_put32(record, p->run);
	wire_put64(record + 4, session->safe_messages);
	wire_put64(record + 12, p->safe);
	length = message_end(&w, (uint32_t)(clock_wall_ms() / 1000));
	message_set_sequence(octets, session->replies);
	rc = net_in_reply(session->net, octets, length);
	if (rc == 0)
		session->replies++;
	return rc;
}

static void
acknowledge(struct session *session, bool safe)
{
	if (!session->position)
		return;
	if (safe)
		session->safe_messages = session->counters.messages;
	if (!session->awaited && session->safe_messages == session->told)
		return;
	/* If not now, then at the next tick. */
	if (reply(session) < 0)
		return;
	session->awaited = false;
	session->told = session->safe_messages;
}

void
collecting_acknowledge(struct collecting *c, bool safe)
{
	struct collecting_receiver *receiver;
	struct session *session;

	if (safe)
		c->unacknowledged = 0;
	TAILQ_FOREACH(receiver, &c->receivers, link)
	{
		if (!receiver->acknowledges)
			continue;
		TAILQ_FOREACH(session, &receiver->sessions, link)
		acknowledge(session, safe);
	}
}

static bool
waits(const struct session *session)
{
	return session->position &&
	       (session->awaited ||
		session->counters.messages != session->told);
}

bool
collecting_unacknowledged(const struct collecting *c)
{
	const struct collecting_receiver *receiver;
	const struct session *session;

	TAILQ_FOREACH(receiver, &c->receivers, link)
	{
		if (!receiver->acknowledges)
			continue;
		TAILQ_FOREACH(session, &receiver->sessions, link)
		if (waits(session))
			return true;
	}
	return false;
}

void
acknowledge_report(const struct session *session, struct report *report)
{
	const struct position *p = session->position;

	if (!p)
		return;
	report_open(report, "cx:acknowledgement");
	report_uint(report, "run", p->run);
	report_uint(report, "position", p->taken);
	report_uint(report, "acknowledged", p->safe);
	report_close(report);
}
