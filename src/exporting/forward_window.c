/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The window keeps what was sent until the peer has it. When the session
 * breaks, what it may not have is stored behind the rest. How that is known:
 *
 * TCP, TLS    The system of the peer acknowledges octets. What came from the
 *             spool is kept there, and is read from it again.
 * SCTP        The stack tells, message by message, what was not delivered (RFC
 *             6458 section 6.1.11), and when all was. If the window is full,
 *             sending waits for that.
 * Conflux     Over TCP or TLS, if it is asked for: the peer itself says what it
 *             has (forward_answer.c). All came from the spool.
 * DTLS/UDP    What was sent since the peer was asked for its last answer is in
 *             doubt: it may come twice. If the window is full, the oldest is
 *             let go, and stays in doubt.
 *
 * With UDP, and DTLS where nothing tells, a message is gone when the system
 * took it.
 */
#include <errno.h>
#include <inttypes.h>

#include "forward.h"

bool
forward_window(const struct forward *f)
{
	return f && f->knowing != KNOW_NOTHING;
}

bool
forward_keeps(const struct forward *f)
{
	return f && (f->knowing == KNOW_OCTETS || f->knowing == KNOW_RECORDS);
}

/* Of the flight: that of the next message; of the first in the window. */
static uint64_t
next_number(const struct forward *f)
{
	return f->sink->flight_head + f->sink->flight_count;
}

static uint64_t
first_number(const struct forward *f)
{
	return next_number(f) - f->window.messages;
}

bool
forward_is_full(const struct forward *f)
{
	return f->window.octets >= f->sink->conf->queue_octets ||
	       (f->place && f->window.messages >= FLIGHT_MAX);
}

static void let_go(struct forward *f, const struct queue_entry *entry);

/* The system has the first of the window. */
static bool
first_is_sent(const struct forward *f)
{
	return f->window.messages > f->sink->flight_count;
}

static void
make_room(struct forward *f)
{
	uint8_t *message;

	sink_settle(f->sink);
	if (f->knowing == KNOW_MESSAGES && forward_is_full(f))
		net_out_settle(f->sink->out);
	while (f->knowing == KNOW_ANSWERS && forward_is_full(f) &&
	       first_is_sent(f))
		let_go(f, queue_peek(&f->window, &message));
}

int
forward_before(struct forward *f, const struct queue_entry *entry)
{
	if (!forward_window(f))
		return 0;
	if (forward_is_full(f))
		make_room(f);
	if (forward_is_full(f))
		return -EAGAIN;
	return queue_reserve(&f->window, entry->length, 1) ? -EAGAIN : 0;
}

static void
push_window(struct forward *f, const struct queue_entry *entry,
	    const uint8_t *message)
{
	struct queue_entry kept = *entry;

	kept.sent = entry->length;
	if (entry->kind == QUEUE_CONTROL ||
	    (forward_keeps(f) && entry->kind != QUEUE_NEW))
		kept.length = 0;
	else
		kept.kind = QUEUE_NEW;
	queue_push(&f->window, &kept, message); /* has room */
	if (f->place)
		f->place[(next_number(f) - 1) % FLIGHT_MAX] =
			queue_newest(&f->window);
}

void
forward_sent(struct forward *f, const struct queue_entry *entry,
	     const uint8_t *message)
{
	bool replayed = entry->kind == QUEUE_REPLAYED ||
			entry->kind == QUEUE_REPLAYED_LAST;

	if (!f)
		return;
	if (replayed) {
		f->round += entry->length;
		f->replayed += entry->records;
		f->tokens -= entry->records;
		f->credit -= f->idle ? 0 : entry->records;
	} else if (entry->kind == QUEUE_NEW) {
		f->sent += entry->records;
	}
	if (forward_window(f))
		push_window(f, entry, message);
	if (replayed)
		f->peer_next = entry->position + entry->flows;
	if (!replayed || forward_keeps(f))
		return;
	f->told += entry->records;
	if (entry->kind == QUEUE_REPLAYED_LAST)
		f->told -= spool_done(f->spool);
}

void
forward_lose(struct forward *f, const struct queue_entry *entry, enum loss loss)
{
	if (!spool_lose(f->spool, entry->records, loss) &&
	    entry->kind == QUEUE_REPLAYED_LAST)
		f->told -= spool_done(f->spool);
}

void
forward_exported(struct forward *f, uint32_t records)
{
	f->told += records;
}

static void
let_go(struct forward *f, const struct queue_entry *entry)
{
	if (entry->kind == QUEUE_REPLAYED_LAST)
		f->told -= spool_done(f->spool);
	if (entry->channel)
		entry->channel->gone++;
	f->window_end += f->knowing == KNOW_RECORDS ? 1 : entry->sent;
	queue_pop(&f->window);
}

static void
settle_octets(struct forward *f)
{
	const struct net_out *out = f->sink->out;
	uint64_t has = net_out_counts(out)->octets - f->begun, not_yet;
	const struct queue_entry *entry;
	uint8_t *message;

	if (!f->window.messages)
		return;
	not_yet = net_out_unacknowledged(out);
	has -= not_yet < has ? not_yet : has;
	while ((entry = queue_peek(&f->window, &message)) &&
	       f->window_end + entry->sent <= has)
		let_go(f, entry);
}

/* Has the peer the first of the window, or is that no longer asked? */
static bool
first_is_sure(const struct forward *f, const struct queue_entry *entry)
{
	const struct sink *s = f->sink;

	if (!first_is_sent(f) || entry->kind == QUEUE_UNDELIVERED)
		return false;
	if (f->knowing == KNOW_MESSAGES)
		return first_number(f) <
		       s->flight_first + net_out_counts(s->out)->delivered;
	return !s->asked || first_number(f) < f->sure_at;
}

void
forward_settle(struct forward *f)
{
	const struct queue_entry *entry;
	uint8_t *message;

	if (!forward_window(f))
		return;
	if (f->knowing == KNOW_OCTETS) {
		settle_octets(f);
		return;
	}
	if (f->knowing == KNOW_RECORDS) {
		while (f->window_end < f->acked_messages &&
		       (entry = queue_peek(&f->window, &message)))
			let_go(f, entry);
		return;
	}
	while ((entry = queue_peek(&f->window, &message)) &&
	       first_is_sure(f, entry))
		let_go(f, entry);
}

static struct queue_entry *
entry_numbered(const struct forward *f, uint64_t number)
{
	if (!f || !f->place || number < first_number(f) ||
	    number >= next_number(f))
		return NULL;
	return f->place[number % FLIGHT_MAX];
}

bool
forward_undelivered(struct forward *f, uint64_t number)
{
	struct queue_entry *entry = entry_numbered(f, number);

	if (!entry || entry->kind != QUEUE_NEW)
		return false;
	entry->kind = QUEUE_UNDELIVERED;
	f->undelivered += entry->records;
	return true;
}

void
forward_forget(struct forward *f, uint64_t number)
{
	struct queue_entry *entry = entry_numbered(f, number);

	if (entry)
		entry->kind = QUEUE_SETTLED;
}

void
forward_asked(struct forward *f, bool answered)
{
	if (!f)
		return;
	if (answered)
		f->sure_at = f->asked_at;
	else
		f->asked_at = next_number(f);
}

uint64_t
forward_held(const struct forward *f)
{
	return f ? spool_records(f->spool) - f->told + f->undelivered : 0;
}

void
forward_up(struct forward *f)
{
	const struct queue_entry *entry;
	uint8_t *message;

	if (!f)
		return;
	/* An association takes over when nothing is left in the old one. */
	while (f->knowing == KNOW_MESSAGES &&
	       (entry = queue_peek(&f->window, &message)))
		let_go(f, entry);
	f->begun = net_out_counts(f->sink->out)->octets;
	f->window_end = 0;
	f->credit = 0;
	if (forward_acknowledged(f) && forward_answer_begin(f))
		net_out_break(f->sink->out, "out of memory");
	/* Whether there are new ones is seen at the next tick. */
	f->idle = false;
}

static void
lose(struct sink *s, const struct queue_entry *entry, const uint8_t *message,
     enum loss loss)
{
	entry->channel->gone++;
	sink_lose_message(s, entry->channel, message, entry->length,
			  entry->records, loss);
}

/* To disk, or into memory, where another destination finds it. */
static int
take_back(struct forward *f, const struct queue_entry *entry, uint8_t *message,
	  enum loss *loss)
{
	if (forward_away(f) && forward_store(f, entry, message, loss) == 0)
		return 0;
	*loss = LOSS_NO_MEMORY;
	return queue_push(&f->sink->queue, entry, message);
}

/* Has the peer what the system has had, as far as can be known? */
static bool
is_delivered(const struct forward *f, const struct queue_entry *entry)
{
	if (entry->kind != QUEUE_NEW)
		return false;
	return f->knowing == KNOW_MESSAGES ||
	       (f->knowing == KNOW_ANSWERS && f->ending);
}

/* Out of the window when the session is over. */
static void
restore(struct forward *f, const struct queue_entry *queued, uint8_t *message)
{
	bool exported = first_is_sent(f);
	struct queue_entry entry = *queued;
	struct sink *s = f->sink;
	enum loss loss;

	if (entry.kind == QUEUE_UNDELIVERED) {
		f->undelivered -= entry.records;
		entry.kind = QUEUE_NEW;
	} else if (exported && is_delivered(f, &entry)) {
		entry.kind = QUEUE_SETTLED;
	} else if (exported && entry.kind == QUEUE_NEW) {
		s->ledger.exported -= entry.records;
	}
	if (entry.kind == QUEUE_CONTROL) {
		/* The next session has some of its own. */
		if (!exported)
			sink_lose(s, entry.records, LOSS_DESTINATION_DOWN);
	} else if (entry.kind != QUEUE_NEW) {
		if (entry.channel)
			entry.channel->gone++;
	} else if (take_back(f, &entry, message, &loss)) {
		lose(s, &entry, message, loss);
	} else {
		f->restored += entry.records;
	}
}

/* What was sent and has not arrived, in its order, before what waits. */
void
forward_store_window(struct forward *f)
{
	struct sink *s = f->sink;
	const struct queue_entry *entry;
	struct queue waiting = s->queue;
	uint64_t before = f->restored;
	uint8_t *message;

	s->queue = (struct queue){0};
	while ((entry = queue_peek(&f->window, &message))) {
		restore(f, entry, message);
		queue_pop(&f->window);
	}
	while ((entry = queue_peek(&waiting, &message))) {
		if (queue_push(&s->queue, entry, message))
			lose(s, entry, message, LOSS_NO_MEMORY);
		queue_pop(&waiting);
	}
	queue_fini(&waiting);
	if (forward_keeps(f)) {
		s->ledger.exported -= f->told;
		f->told = 0;
	}
	if (f->restored > before)
		log_notice("destination %s: %" PRIu64 " records that it may "
			   "not have got will be sent again%s",
			   s->conf->name, f->restored - before,
			   f->knowing == KNOW_ANSWERS ? "; some may come twice"
						      : "");
}

/* The stack of SCTP tells itself; for answers of DTLS nobody waits. */
bool
forward_drained(const struct forward *f)
{
	if (forward_acknowledged(f))
		return !f->sink->up || !f->answered ||
		       (!f->window.messages && !spool_records(f->spool));
	return !forward_keeps(f) || !f->window.messages;
}
