/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Data Sets that came before their template, over UDP and SCTP in any message
 * before it (RFC 7011 section 8.4 lets a collector keep them for a while), else
 * in the same message. Copies wait in the order they came and are read, with
 * their own export time, when the template arrives.
 *
 * The memory of all of them is bounded. A session may hold as much as is left
 * free for the others, so that one exporter cannot take it all; the oldest sets
 * of the same domain make room for a new one.
 *
 * How many records a set without template has is not known. The sequence number
 * of the next message tells how many its message had; that number is shared out
 * by length, and at least one record is counted for each set. If messages are
 * missing in between, it is too large by their records: what turns out to be
 * too much is passed on to the other sets of the message, is taken off when
 * such a message comes late, and is lost when the last of the sets is read.
 * What a late message holds is known, and missing no longer, when it is read.
 */
#include <stdlib.h>
#include <string.h>

#include "process.h"

enum { LATE_SETS = 256 };

struct held {
	TAILQ_ENTRY(held) link;
	struct stream *stream; /* that it came on */
	uint64_t message;      /* number in its domain */
	uint64_t since_ms;     /* monotonic */
	struct arrival arrival;
	bool late;	  /* in a message that is */
	uint32_t start;	  /* where the unknown records of the message begin */
	uint32_t range;	  /* so many were derived for its sets together */
	uint32_t span;	  /* with those that are lost behind them */
	uint32_t derived; /* records by the sequence number, 0: not known */
	uint32_t length;
	uint16_t id;
	uint8_t content[];
};

static uint32_t
cost(uint32_t length)
{
	return (uint32_t)sizeof(struct held) + length;
}

static void
held_remove(struct domain *domain, struct held *held)
{
	TAILQ_REMOVE(&domain->held, held, link);
	if (TAILQ_EMPTY(&domain->held))
		domain->held_ids = 0;
	domain->session->held_octets -= cost(held->length);
	domain->session->process->held_octets -= cost(held->length);
	domain->session->process->held_sets--;
	free(held);
}

/* The unknown parts that this set is one of, or NULL. */
static struct unknown *
unknown_of(struct domain *domain, const struct held *held)
{
	if (held->message == domain->now.message)
		return &domain->now;
	if (held->message == held->stream->unknown.message)
		return &held->stream->unknown;
	return NULL;
}

/* Another set of the same message, which are in a row, or NULL. */
static struct held *
neighbour(struct held *held)
{
	struct held *other = TAILQ_NEXT(held, link);

	if (!other || other->message != held->message)
		other = TAILQ_PREV(held, held_list, link);
	return other && other->message == held->message ? other : NULL;
}

static uint32_t
take_off(struct held *held, uint32_t records)
{
	uint32_t n = held->derived < records ? held->derived : records;

	held->derived -= n;
	return n;
}

/* Those of a late message that no gap lacked; returns what is left. */
static uint32_t
take_off_derived(struct domain *domain, const struct stream *stream,
		 uint32_t start, uint32_t records, uint32_t *behind)
{
	struct held *held = TAILQ_LAST(&domain->held, held_list);

	/* It is one of the newest. */
	for (int i = 0; i < LATE_SETS && held && records; i++) {
		if (held->stream == stream && !held->late &&
		    start - held->start < held->span) {
			records -= take_off(held, records);
			*behind = held->start + held->range;
		}
		held = TAILQ_PREV(held, held_list, link);
	}
	return records;
}

void
held_came_late(struct domain *domain, struct stream *stream, uint32_t start,
	       uint32_t records)
{
	uint64_t before = stream->sequence.account.lost;
	uint32_t near = start;

	records = take_off_derived(domain, stream, start, records, &near);
	/* More cannot have been derived than there were octets: the others
	 * were taken for lost, behind them. */
	if (records && near != start) {
		sequence_late(&stream->sequence, near, records,
			      domain->session->process->now_ms, true);
		account_gap(domain, stream->sequence.account.lost - before);
	}
}

/* Records of a set in a late message: they are not missing. */
static void
settle_late(struct domain *domain, struct held *held, uint32_t records)
{
	struct sequence *sequence = &held->stream->sequence;
	uint64_t before = sequence->account.lost;
	uint32_t near = held->start;

	records = sequence_late(sequence, held->start, records, held->since_ms,
				false);
	records = take_off_derived(domain, held->stream, held->start, records,
				   &near);
	sequence_late(sequence, near, records, held->since_ms, true);
	account_gap(domain, sequence->account.lost - before);
}

/*
 * A set had so many records, of those that were derived for all of its message.
 * The rest is that of the other sets, or of messages that did not come.
 */
static void
settle_derived(struct domain *domain, struct held *held, uint32_t records)
{
	struct sequence *sequence = &held->stream->sequence;
	uint64_t before = sequence->account.lost;
	struct held *other = neighbour(held);

	records -= take_off(held, records);
	if (other) {
		records -= take_off(other, records);
		other->derived += held->derived;
	} else if (held->derived) {
		sequence_lost(sequence,
			      held->start + held->range - held->derived,
			      held->derived, domain->session->process->now_ms);
	}
	/* More than there was room for: those of a message that came late were
	 * taken off here, and not off the gap behind. */
	if (records)
		sequence_late(sequence, held->start + held->range, records,
			      held->since_ms, true);
	account_gap(domain, sequence->account.lost - before);
}

/* Its template did not come in time, or there is no room. */
static void
give_up(struct domain *domain, struct held *held)
{
	struct unknown *unknown = unknown_of(domain, held);
	uint32_t records = held->derived ? held->derived : 1;

	if (unknown) {
		unknown->held -= held->length;
		unknown->octets[UNKNOWN_TEMPLATE] += held->length;
		unknown->counted[UNKNOWN_TEMPLATE] += records;
	} else if (held->late) {
		settle_late(domain, held, records);
	}
	account_lost(domain, LOSS_NO_TEMPLATE, records);
	complain(domain->session, COMPLAINT_NO_TEMPLATE,
		 "domain %u: template %u did not come: %u octets of its data "
		 "are lost",
		 domain->scope->domain, held->id, held->length);
	held_remove(domain, held);
}

bool
held_add(struct domain *domain, const struct set *set,
	 const struct arrival *arrival)
{
	struct session *session = domain->session;
	struct collecting *c = session->process;
	uint32_t octets = cost(set->length);
	struct held *held;

	while (session->held_octets + octets >
	       c->conf.held_octets - c->held_octets) {
		held = TAILQ_FIRST(&domain->held);
		if (!held || octets > c->conf.held_octets / 2)
			return false;
		give_up(domain, held);
	}
	held = malloc(octets);
	if (!held)
		return false;
	held->stream = domain->stream;
	held->message = domain->now.message;
	held->since_ms = c->now_ms;
	held->arrival = *arrival;
	held->late = false;
	held->start = held->range = held->span = held->derived = 0;
	held->length = set->length;
	held->id = set->id;
	memcpy(held->content, set->content, set->length);
	TAILQ_INSERT_TAIL(&domain->held, held, link);
	domain->held_ids |= UINT64_C(1) << set->id % 64;
	domain->now.held += set->length;
	session->held_octets += octets;
	c->held_octets += octets;
	c->held_sets++;
	return true;
}

/* The set was read: what the sequence number said of it is put right. */
static void
settle(struct domain *domain, struct held *held, uint32_t records, bool options,
       uint32_t bad)
{
	struct unknown *unknown = unknown_of(domain, held);
	struct sequence *sequence = &held->stream->sequence;
	uint32_t counted = options && sequence->rule == RULE_DATA ? 0 : records;

	if (!unknown && held->late) {
		settle_late(domain, held, counted);
		return;
	}
	if (!unknown && bad && held->derived > records + 1) {
		account_lost(domain, LOSS_MALFORMED,
			     held->derived - records - 1);
		return;
	}
	if (!unknown && held->range) {
		settle_derived(domain, held, counted + !!bad);
		return;
	}
	if (!unknown)
		return;
	unknown->held -= held->length;
	unknown->octets[UNKNOWN_MALFORMED] += bad;
	unknown->counted[UNKNOWN_MALFORMED] += !!bad;
	if (unknown == &domain->now) {
		domain->records += records;
		domain->options += options ? records : 0;
		return;
	}
	sequence_learnt(sequence, held->length - bad, counted);
}

void
held_replay(struct domain *domain)
{
	struct session *session = domain->session;
	struct held *held, *next;
	struct template *template;

	for (held = TAILQ_FIRST(&domain->held); held; held = next) {
		uint32_t bad, records;

		next = TAILQ_NEXT(held, link);
		if (!(domain->wanted_ids >> held->id % 64 & 1))
			continue;
		template = template_store_find(
			session->templates, domain->scope->domain, held->id,
			session->process->now_ms, session->counters.messages);
		if (!template)
			continue;
		records = data_read(domain, template, held->content,
				    held->length, &held->arrival, &bad);
		settle(domain, held, records, template->shape->scope_count > 0,
		       bad);
		held_remove(domain, held);
	}
	domain->wanted_ids = 0;
}

void
held_expire(struct session *session)
{
	uint64_t now_ms = session->process->now_ms;
	uint32_t at = 0;
	struct domain *domain;
	struct held *held;

	if (!session->held_octets)
		return;
	while ((domain = table_next(&session->domains, &at)))
		while ((held = TAILQ_FIRST(&domain->held)) &&
		       now_ms - held->since_ms >=
			       session->process->conf.held_ms)
			give_up(domain, held);
}

void
held_drop(struct domain *domain)
{
	struct held *held;

	while ((held = TAILQ_FIRST(&domain->held)))
		give_up(domain, held);
}

void
held_late(struct domain *domain, uint32_t from)
{
	struct held *held;

	TAILQ_FOREACH_REVERSE(held, &domain->held, held_list, link)
	{
		if (held->message != domain->now.message)
			return;
		held->late = true;
		held->start = from;
	}
}

void
held_derived(struct domain *domain, uint32_t from, uint32_t records,
	     uint32_t gap)
{
	static const enum loss reason[2] = {LOSS_NO_TEMPLATE, LOSS_MALFORMED};
	struct unknown *u = &domain->stream->unknown;
	uint64_t total = (uint64_t)u->octets[0] + u->octets[1] + u->held;
	uint64_t octets = 0, given = 0;
	struct held *held;
	uint32_t before;

	if (!records || !total)
		return;
	for (int i = 0; i < 2; i++) {
		uint64_t share;

		octets += u->octets[i];
		share = records * octets / total - given;
		given += share;
		if (share > u->counted[i])
			account_lost(domain, reason[i], share - u->counted[i]);
	}
	before = (uint32_t)given;
	TAILQ_FOREACH_REVERSE(held, &domain->held, held_list, link)
	{
		if (held->message > u->message)
			continue; /* of the message that was just read */
		if (held->message < u->message)
			break;
		octets += held->length;
		held->derived = (uint32_t)(records * octets / total - given);
		given += held->derived;
		held->start = from + before;
		held->range = records - before;
		held->span = held->range + gap;
	}
}
