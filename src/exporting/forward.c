/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Store and forward: between a sink and its spool.
 *
 * What is stored are finished messages as they would be sent, each behind the
 * Templates that the segment does not have yet, so each segment is an IPFIX
 * file that can be read by itself; with the types of enterprise-specific
 * elements (RFC 5610). Its sequence numbers are those of a session (RFC 5655
 * section 5). An id whose Template is freed is withdrawn in the segment.
 *
 * What is replayed are these messages again, with their Export Time (RFC 7011
 * section 3.1 would have the time of leaving; but elements may count from it,
 * and a record does not become younger by waiting), the ids that their
 * Templates have now, and sequence numbers of the session they go in. One that
 * is longer than messages may be now becomes several.
 *
 * The window keeps what was sent until the peer has it. When the session
 * breaks, what it may not have is stored behind the rest. How that is known:
 *
 * TCP, TLS    The system of the peer acknowledges octets. What came from the
 *             spool is kept there, and is read from it again.
 * SCTP        The stack tells, message by message, what was not delivered (RFC
 *             6458 section 6.1.11), and when all was. If the window is full,
 *             sending waits for that.
 * DTLS/UDP    What was sent since the peer was asked for its last answer is in
 *             doubt: it may come twice. If the window is full, the oldest is
 *             let go, and stays in doubt.
 *
 * With UDP, and DTLS where nothing tells, a message is gone when the system
 * took it.
 *
 * The account: what is in the spool is held. A replayed message stays in the
 * spool over TCP until it is acknowledged, but is exported as soon as the
 * system has it: told counts its records meanwhile. Other windows have a copy
 * of it, so it is done with, and is stored anew. What is found at the start
 * comes into the destination (in), and by a split into the process.
 */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>

#include "conflux/clock.h"
#include "exporting.h"
#include "spool.h"

enum {
	/* Octets that are replayed in one round of the loop. */
	ROUND_OCTETS = 1 << 20,
	CREDIT_MAX = 100000, /* records */
	/* Until acknowledgements are looked for again. */
	WINDOW_MS = 2,
	/* Of a message in parts, with what each part needs. */
	STAGED_OCTETS = 3 * MESSAGE_MAX,
	STAGED_MESSAGES = MESSAGE_MAX / (EXPORTING_MESSAGE_MIN / 2),
};

/* How it is known what the peer has, see above. */
enum knowing {
	KNOW_NOTHING,
	KNOW_OCTETS,   /* TCP */
	KNOW_MESSAGES, /* SCTP */
	KNOW_ANSWERS,  /* DTLS over UDP */
};

struct forward {
	struct sink *sink;
	struct spool *spool;
	struct exporting_spool *conf;
	enum knowing knowing;
	bool stopped;	 /* no replay any more */
	bool ending;	 /* the session is ended in order */
	uint8_t *buffer; /* a message with Templates for a segment */
	/* The message that was read last, and what it becomes. */
	uint8_t *original, *message, *part;
	uint32_t length, records; /* of the original */
	bool pending;		  /* it is not staged yet */
	/* Sent, and perhaps not received. */
	struct queue window;
	uint64_t window_end; /* octets of the session before its first */
	uint64_t begun;	     /* stats.octets at the session's start */
	/* Not TCP: its entries by number of flight; records not delivered; the
	 * numbers at which the peer was asked, and before which it has all. */
	struct queue_entry **place;
	uint64_t undelivered, asked_at, sure_at;
	uint64_t restored; /* records that were sent before */
	/* Replay: what is next; and the Templates of a segment. */
	struct queue staged;
	struct template_store *store;
	struct scope scope; /* of the message that is being made ready */
	uint64_t segment;
	uint64_t told;
	struct event *turn;
	uint32_t round; /* octets in this one */
	/* Records that may be replayed, by the rate and by the share. */
	int64_t tokens, credit;
	uint64_t filled_ms;
	/* New records; until the last tick; of them, in credit. */
	uint64_t sent, sent_before, counted;
	uint64_t replayed, stored; /* records */
	bool idle;
};

/* ---- storing ---------------------------------------------------------------
 */

/* RFC 5655 section 5: as if the segment were a session. */
static uint32_t
count_on(struct forward *f, struct channel *c, uint32_t records)
{
	uint64_t segment = spool_segment(f->spool);
	uint32_t sequence;

	if (c->spooled != segment) {
		c->spooled = segment;
		c->spool_sequence = 0;
	}
	sequence = c->spool_sequence;
	c->spool_sequence += records;
	return sequence;
}

/* What was made for the segment itself; it has nothing to be replayed. */
static int
append_own(struct forward *f, struct channel *c, struct message_writer *w,
	   enum loss *loss)
{
	uint32_t length = message_end(w, (uint32_t)(clock_wall_ms() / 1000));

	message_set_sequence(f->buffer, count_on(f, c, w->records));
	return spool_append(f->spool, f->buffer, length, 0, loss);
}

static void
add_types(struct forward *f, struct out_template *t, struct message_writer *w)
{
	struct exporting *e = f->sink->exporting;
	uint8_t record[OPTIONS_TYPE_OCTETS];
	struct out_template *type = channel_template_own(
		t->channel, e->option_shape[OPTION_SHAPE_TYPE]);

	if (!type || message_add_template(w, type->id, type->shape))
		return;
	for (uint16_t i = 0; i < t->shape->count; i++) {
		const struct ie *ie = t->shape->field[i].ie;
		uint32_t length;

		if (!options_describable(ie))
			continue;
		length = options_type_record(ie, record);
		if (message_room(w, type->id) < length)
			return;
		memcpy(message_add_data(w, type->id, length, 1), record,
		       length);
	}
}

static int
store_template(struct forward *f, struct out_template *t, enum loss *loss)
{
	struct message_writer w;
	int rc;

	message_begin(&w, f->buffer, MESSAGE_MAX, t->channel->number);
	message_add_template(&w, t->id, t->shape);
	if (t->enterprise)
		add_types(f, t, &w);
	rc = append_own(f, t->channel, &w, loss);
	if (rc == 0)
		t->spooled = spool_segment(f->spool);
	return rc;
}

static int
store_needed(struct forward *f, struct channel *c, const uint8_t *message,
	     uint32_t length, uint64_t segment, enum loss *loss)
{
	const uint8_t *p = message + MESSAGE_HEADER, *end = message + length;
	int rc = 0;

	for (; p < end && rc == 0; p += wire_get16(p + 2)) {
		struct out_template *t =
			channel_template_by_id(c, wire_get16(p));

		for (uint16_t i = 0; rc == 0 && i < t->uses_count; i++)
			if (t->uses[i]->spooled != segment)
				rc = store_template(f, t->uses[i], loss);
		if (rc == 0 && t->spooled != segment)
			rc = store_template(f, t, loss);
	}
	return rc;
}

static int
store(struct forward *f, const struct queue_entry *entry, uint8_t *message,
      enum loss *loss)
{
	struct channel *c = entry->channel;
	uint64_t segment;
	int rc = spool_prepare(f->spool, entry->length, &segment, loss);

	if (rc == 0)
		rc = store_needed(f, c, message, entry->length, segment, loss);
	if (rc)
		return rc;
	message_set_sequence(message, count_on(f, c, entry->records));
	return spool_append(f->spool, message, entry->length, entry->records,
			    loss);
}

int
forward_store(struct forward *f, const struct queue_entry *entry,
	      uint8_t *message, enum loss *loss)
{
	int rc = store(f, entry, message, loss);

	/* The file could not grow, another one may. */
	if (rc && !spool_segment(f->spool))
		rc = store(f, entry, message, loss);
	if (rc)
		return rc;
	f->stored += entry->records;
	if (entry->channel)
		entry->channel->gone++;
	return 0;
}

void
forward_store_queue(struct forward *f)
{
	const struct queue_entry *entry;
	uint8_t *message;
	enum loss loss;

	if (!f)
		return;
	while ((entry = queue_peek(&f->sink->queue, &message))) {
		if (forward_store(f, entry, message, &loss))
			break;
		queue_pop(&f->sink->queue);
	}
}

void
forward_template_gone(struct forward *f, const struct out_template *t)
{
	struct message_writer w;
	enum loss loss;

	if (!f || !t->spooled || t->spooled != spool_segment(f->spool))
		return;
	message_begin(&w, f->buffer, MESSAGE_MAX, t->channel->number);
	message_add_withdrawal(
		&w, t->options ? SET_OPTIONS_TEMPLATE : SET_TEMPLATE, t->id);
	if (append_own(f, t->channel, &w, &loss))
		spool_cut(f->spool);
}

bool
forward_takes(const struct forward *f)
{
	return f && spool_takes(f->spool, f->sink->conf->max_message);
}

bool
forward_away(const struct forward *f)
{
	const struct exporting *e = f->sink->exporting;

	if (f->sink->up)
		return false;
	if (e->conf.mode == EXPORTING_PARALLEL)
		return true;
	for (unsigned i = 0; i < e->conf.destination_count; i++)
		if (e->sink[i].up)
			return false;
	return true;
}

bool
forward_tight(const struct forward *f)
{
	return !f || spool_tight(f->spool);
}

/* ---- the window ------------------------------------------------------------
 */

bool
forward_window(const struct forward *f)
{
	return f && f->knowing != KNOW_NOTHING;
}

bool
forward_keeps(const struct forward *f)
{
	return f && f->knowing == KNOW_OCTETS;
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

static bool
is_full(const struct forward *f)
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
	if (f->knowing == KNOW_MESSAGES && is_full(f))
		net_out_settle(f->sink->out);
	while (f->knowing == KNOW_ANSWERS && is_full(f) && first_is_sent(f))
		let_go(f, queue_peek(&f->window, &message));
}

int
forward_before(struct forward *f, const struct queue_entry *entry)
{
	if (!forward_window(f))
		return 0;
	if (is_full(f))
		make_room(f);
	if (is_full(f))
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
	    (f->knowing == KNOW_OCTETS && entry->kind != QUEUE_NEW))
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
	f->window_end += entry->sent;
	queue_pop(&f->window);
}

static void
settle_octets(struct forward *f, const struct net_out_stats *stats)
{
	uint64_t has = stats->octets - f->begun;
	const struct queue_entry *entry;
	uint8_t *message;

	has -= stats->unacknowledged < has ? stats->unacknowledged : has;
	while ((entry = queue_peek(&f->window, &message)) &&
	       f->window_end + entry->sent <= has)
		let_go(f, entry);
}

/* Has the peer the first of the window, or is that no longer asked? */
static bool
first_is_sure(const struct forward *f, const struct queue_entry *entry,
	      const struct net_out_stats *stats)
{
	const struct sink *s = f->sink;

	if (!first_is_sent(f) || entry->kind == QUEUE_UNDELIVERED)
		return false;
	if (f->knowing == KNOW_MESSAGES)
		return first_number(f) < s->flight_first + stats->delivered;
	return !s->asked || first_number(f) < f->sure_at;
}

void
forward_settle(struct forward *f, const struct net_out_stats *stats)
{
	const struct queue_entry *entry;
	uint8_t *message;

	if (!forward_window(f))
		return;
	if (f->knowing == KNOW_OCTETS) {
		settle_octets(f, stats);
		return;
	}
	while ((entry = queue_peek(&f->window, &message)) &&
	       first_is_sure(f, entry, stats))
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
	struct net_out_stats stats;
	const struct queue_entry *entry;
	uint8_t *message;

	if (!f)
		return;
	/* An association takes over when nothing is left in the old one. */
	while (f->knowing == KNOW_MESSAGES &&
	       (entry = queue_peek(&f->window, &message)))
		let_go(f, entry);
	net_out_stats(f->sink->out, &stats);
	f->begun = stats.octets;
	f->window_end = 0;
	f->credit = 0;
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
static void
store_window(struct forward *f)
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

static void
unstage(struct forward *f)
{
	const struct queue_entry *entry;
	uint8_t *message;

	while ((entry = queue_peek(&f->staged, &message))) {
		entry->channel->gone++;
		queue_pop(&f->staged);
	}
	f->sink->ledger.split += spool_rewind(f->spool);
	f->segment = 0;
	f->pending = false;
}

void
forward_down(struct forward *f)
{
	if (!f)
		return;
	if (forward_window(f))
		store_window(f);
	/* Parts of a message that will go again as a whole. */
	f->sink->ledger.split += f->told;
	f->told = 0;
	unstage(f);
	if (forward_away(f))
		forward_store_queue(f);
}

/* ---- replay ------------------------------------------------------------- */

static const struct shape *
shape_in_segment(const struct scope *scope, uint16_t id)
{
	const struct forward *f =
		(const struct forward *)((const char *)scope -
					 offsetof(struct forward, scope));
	const struct template *t =
		template_store_find(f->store, scope->domain, id, 0, 0);

	return t ? t->shape : NULL;
}

static void
ignore_event(void *arg, const struct template_event *event)
{
}

/* The Templates of another segment. */
static bool
enter_segment(struct forward *f, uint64_t segment)
{
	struct exporting *e = f->sink->exporting;
	const struct template_limits limits = {
		.max_templates = UINT32_MAX,
		.max_fields = UINT16_MAX,
	};

	if (f->segment == segment)
		return f->store;
	template_store_free(f->store);
	f->store = template_store_new(&limits, e->registry, e->shapes);
	f->segment = segment;
	return f->store;
}

/* Ids within the records of a set (RFC 6313). */
static bool
rewrite_lists(struct forward *f, struct out_template *t, struct set *set)
{
	uint8_t *p = (uint8_t *)set->content, *end = p + set->length;

	while (p < end) {
		int n = shape_record_length(t->shape, p, (uint32_t)(end - p));

		if (n <= 0)
			return false;
		lists_rewrite(t, &f->scope, p, (uint32_t)n);
		p += n;
	}
	return true;
}

/* Gives the sets of a message the ids that their Templates have now. */
static enum loss
rewrite(struct forward *f, struct channel *c, struct message_reader *reader)
{
	struct set set;

	while (message_next_set(reader, &set)) {
		const struct shape *shape = shape_in_segment(&f->scope, set.id);
		struct out_template *t =
			shape ? channel_template(c, shape) : NULL;

		if (!shape)
			return LOSS_NO_TEMPLATE;
		if (!t)
			return LOSS_LIMIT;
		if (t->too_long)
			return LOSS_TOO_LONG;
		if (t->lists && !rewrite_lists(f, t, &set))
			return LOSS_MALFORMED;
		wire_put16((uint8_t *)set.content - SET_HEADER, t->id);
		t->accessed_ms = f->sink->exporting->wall_ms;
	}
	return reader->reason ? LOSS_MALFORMED : LOSS_COUNT;
}

/* They are needed until this message, that is finished now, has gone. */
static void
use_templates(struct channel *c, const uint8_t *message, uint32_t length)
{
	const uint8_t *p = message + MESSAGE_HEADER, *end = message + length;

	for (; p < end; p += wire_get16(p + 2)) {
		struct out_template *t =
			channel_template_by_id(c, wire_get16(p));

		t->last_message = c->finished;
		for (uint16_t i = 0; i < t->uses_count; i++)
			t->uses[i]->last_message = c->finished;
	}
}

static void
stage_part(struct forward *f, struct channel *c, const uint8_t *message,
	   uint32_t length, uint32_t records, bool last)
{
	const uint8_t *first = message + MESSAGE_HEADER;
	const struct out_template *t =
		channel_template_by_id(c, wire_get16(first));
	const struct queue_entry entry = {
		.channel = c,
		.delivery.stream = t->stream,
		.length = length,
		.records = records,
		.kind = last ? QUEUE_REPLAYED_LAST : QUEUE_REPLAYED,
	};

	c->finished++;
	use_templates(c, message, length);
	queue_push(&f->staged, &entry, message); /* has room */
}

struct parts {
	struct forward *forward;
	struct channel *channel;
	struct message_writer writer;
	uint32_t export_time;
};

static void
begin_part(struct parts *ps)
{
	message_begin(&ps->writer, ps->forward->part,
		      ps->forward->sink->max_message, ps->channel->number);
}

static void
end_part(struct parts *ps, bool last)
{
	uint32_t length = message_end(&ps->writer, ps->export_time);

	stage_part(ps->forward, ps->channel, ps->forward->part, length,
		   ps->writer.records, last);
}

static void
add_to_part(struct parts *ps, uint16_t id, const uint8_t *record,
	    uint32_t length)
{
	struct sink *s = ps->forward->sink;

	if (length > s->max_message - MESSAGE_HEADER - SET_HEADER) {
		spool_lose(ps->forward->spool, 1, LOSS_TOO_LONG);
		return;
	}
	if (message_room(&ps->writer, id) < length) {
		end_part(ps, false);
		begin_part(ps);
	}
	memcpy(message_add_data(&ps->writer, id, length, 1), record, length);
}

/* A message that is longer than one may be now; its ids are the new ones. */
static void
stage_parts(struct forward *f, struct channel *c, const uint8_t *message,
	    uint32_t length)
{
	struct parts ps = {.forward = f, .channel = c};
	struct message_reader reader;
	struct set set;

	message_open(&reader, message, length);
	ps.export_time = reader.header.export_time;
	begin_part(&ps);
	while (message_next_set(&reader, &set)) {
		const struct out_template *t =
			channel_template_by_id(c, set.id);
		const uint8_t *p = set.content, *end = p + set.length;
		int n;

		while (p < end &&
		       (n = shape_record_length(t->shape, p,
						(uint32_t)(end - p))) > 0) {
			add_to_part(&ps, set.id, p, (uint32_t)n);
			p += n;
		}
	}
	if (ps.writer.records)
		end_part(&ps, true);
}

/*
 * Will Templates be let go when what is on its way has arrived? Those that are
 * out of use go in the order of the sink, so one may wait for a message of
 * another channel.
 */
static bool
room_comes(const struct channel *c)
{
	const struct out_template *t;

	if (c->finished != c->gone || c->writer.length)
		return true;
	STAILQ_FOREACH(t, &c->sink->ending, ending)
		if (t->channel == c)
			return true;
	return false;
}

/*
 * Makes the message that was read ready to be sent; or not yet, when there is
 * no room for its Templates, which messages on their way still need.
 */
static void
stage_message(struct forward *f)
{
	struct exporting *e = f->sink->exporting;
	struct message_reader reader;
	struct domain *domain;
	struct channel *c = NULL;
	enum loss loss;

	f->pending = false;
	memcpy(f->message, f->original, f->length);
	if (message_open(&reader, f->message, f->length)) {
		spool_lose(f->spool, f->records, LOSS_MALFORMED);
		return;
	}
	f->scope.domain = reader.header.domain;
	domain = domain_numbered(e, reader.header.domain);
	if (domain)
		c = channel_get(f->sink, domain);
	loss = c ? rewrite(f, c, &reader) : LOSS_LIMIT;
	if (loss == LOSS_LIMIT && c && room_comes(c))
		f->pending = true;
	else if (loss != LOSS_COUNT)
		spool_lose(f->spool, f->records, loss);
	else if (f->length <= f->sink->max_message)
		stage_part(f, c, f->message, f->length, f->records, true);
	else
		stage_parts(f, c, f->message, f->length);
}

static void
learn(struct forward *f, const struct spool_message *m)
{
	struct message_reader reader;
	struct set set;

	if (message_open(&reader, m->octets, m->length))
		return;
	while (message_next_set(&reader, &set))
		if (set.id < SET_DATA_MIN)
			template_store_read(f->store, reader.header.domain,
					    set.id, set.content, set.length, 0,
					    0, ignore_event, NULL);
}

static void
take(struct forward *f, const struct spool_message *m)
{
	if (!enter_segment(f, m->segment)) {
		if (m->records)
			spool_lose(f->spool, m->records, LOSS_NO_MEMORY);
		return;
	}
	if (!m->records) {
		learn(f, m);
		return;
	}
	memcpy(f->original, m->octets, m->length);
	f->length = m->length;
	f->records = m->records;
	stage_message(f);
}

/* Until there is something to send, or nothing to read. */
static void
fill(struct forward *f)
{
	struct spool_message m;

	if (queue_reserve(&f->staged, STAGED_OCTETS, STAGED_MESSAGES))
		return;
	if (f->pending)
		stage_message(f);
	while (!f->staged.messages && !f->pending && spool_next(f->spool, &m))
		take(f, &m);
}

/* Is there room for replayed records beside the new ones? */
static bool
is_due(const struct forward *f)
{
	if (f->stopped || f->round >= ROUND_OCTETS)
		return false;
	if (f->conf->replay_rate && f->tokens <= 0)
		return false;
	return f->conf->replay_share >= 100 || f->idle || f->credit > 0;
}

struct queue *
forward_turn(struct forward *f)
{
	uint32_t share = f ? f->conf->replay_share : 0;

	if (!f)
		return NULL;
	/* Each new record makes room for some that are replayed. */
	if (share < 100) {
		f->credit +=
			(int64_t)(f->sent - f->counted) * share / (100 - share);
		f->counted = f->sent;
		if (f->credit > CREDIT_MAX)
			f->credit = CREDIT_MAX;
	}
	if (!is_due(f))
		return NULL;
	if (!f->staged.messages)
		fill(f);
	return f->staged.messages ? &f->staged : NULL;
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct forward *f = arg;

	sink_pump(f->sink);
}

static bool
waits_for_peer(const struct forward *f)
{
	if (!f->sink->ready)
		return false;
	return !spool_may_read(f->spool) || f->pending ||
	       (forward_window(f) && is_full(f)) ||
	       (f->stopped && !forward_drained(f));
}

void
forward_round(struct forward *f)
{
	struct timeval soon = {0};
	bool more;

	if (!f)
		return;
	spool_commit(f->spool);
	more = f->round >= ROUND_OCTETS;
	f->round = 0;
	if (!more && !waits_for_peer(f))
		return;
	if (!more)
		soon.tv_usec = WINDOW_MS * 1000;
	evtimer_add(f->turn, &soon);
}

void
forward_tick(struct forward *f, uint64_t now_ms)
{
	uint64_t rate = f ? f->conf->replay_rate : 0;

	if (!f)
		return;
	f->idle = f->sent == f->sent_before;
	f->sent_before = f->sent;
	if (rate && now_ms > f->filled_ms) {
		f->tokens += (int64_t)((now_ms - f->filled_ms) * rate / 1000);
		if (f->tokens > (int64_t)rate)
			f->tokens = (int64_t)rate;
	}
	f->filled_ms = now_ms;
	spool_tick(f->spool, now_ms);
	if (forward_away(f))
		forward_store_queue(f);
}

void
forward_stop(struct forward *f)
{
	if (f)
		f->stopped = true;
}

/* The stack of SCTP tells itself; for answers of DTLS nobody waits. */
bool
forward_drained(const struct forward *f)
{
	return !forward_keeps(f) || !f->window.messages;
}

void
forward_ending(struct forward *f)
{
	if (f)
		f->ending = true;
}

void
forward_end(struct forward *f)
{
	struct spool_stats stats;

	if (!f)
		return;
	forward_down(f);
	forward_store_queue(f);
	spool_commit(f->spool);
	spool_stats(f->spool, &stats);
	if (stats.records)
		log_notice("destination %s: %" PRIu64 " records that wait for "
			   "it are kept in %s",
			   f->sink->conf->name, stats.records,
			   f->conf->directory);
}

void
forward_report(const struct forward *f, struct report *r)
{
	char text[CLOCK_TEXT_SIZE];
	struct spool_stats stats;

	if (!f)
		return;
	spool_stats(f->spool, &stats);
	report_open(r, "cx:spool");
	report_text(r, "directory", f->conf->directory);
	report_uint(r, "records", stats.records - f->told);
	report_uint(r, "messages", stats.messages);
	report_uint(r, "octets", stats.octets);
	report_uint(r, "segments", stats.segments);
	if (stats.oldest_ms)
		report_text(r, "oldest", clock_format(text, stats.oldest_ms));
	report_bool(r, "replaying",
		    f->sink->up && !f->stopped && stats.messages);
	report_uint(r, "foundRecords", stats.found);
	report_uint(r, "storedRecords", f->stored);
	report_uint(r, "replayedRecords", f->replayed);
	if (forward_window(f)) {
		report_uint(r, "unacknowledgedMessages", f->window.messages);
		report_uint(r, "resentRecords", f->restored);
	}
	report_close(r);
}

/* ---- open and close ----------------------------------------------------- */

static void
on_lost(void *arg, uint64_t records, enum loss loss)
{
	sink_lose(arg, records, loss);
}

/* What an earlier run left comes in as if it had been split off. */
static void
find(struct forward *f)
{
	struct ledger *of_process = &f->sink->exporting->stage.ledger;
	struct spool_stats stats;

	spool_stats(f->spool, &stats);
	f->sink->ledger.in += stats.found;
	f->sink->ledger.held += stats.found;
	of_process->split += stats.found;
	of_process->exported += stats.found;
}

static enum knowing
knowing_of(const struct sink *s)
{
	if (s->conf->kind == EXPORTING_TCP)
		return KNOW_OCTETS;
	if (s->conf->kind == EXPORTING_SCTP)
		return KNOW_MESSAGES;
	return s->sealed ? KNOW_ANSWERS : KNOW_NOTHING;
}

int
forward_open(struct sink *s, char **error)
{
	struct forward *f;
	char name[128];
	int rc;

	if (!s->conf->spool.directory)
		return 0;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	s->forward = f;
	f->sink = s;
	f->conf = &s->conf->spool;
	if (!f->conf->replay_share)
		f->conf->replay_share = EXPORTING_REPLAY_SHARE;
	f->knowing = knowing_of(s);
	f->filled_ms = clock_mono_ms();
	f->scope.template_shape = shape_in_segment;
	f->buffer = malloc(MESSAGE_MAX);
	f->original = malloc(MESSAGE_MAX);
	f->message = malloc(MESSAGE_MAX);
	f->part = malloc(MESSAGE_MAX);
	f->turn = evtimer_new(s->exporting->base, on_turn, f);
	if (!f->buffer || !f->original || !f->message || !f->part || !f->turn)
		return -ENOMEM;
	if (forward_window(f) && !forward_keeps(f)) {
		f->place = calloc(FLIGHT_MAX, sizeof(*f->place));
		if (!f->place)
			return -ENOMEM;
	}
	snprintf(name, sizeof(name), "destination %s", s->conf->name);
	rc = spool_open(f->conf, name, on_lost, s, &f->spool, error);
	if (rc == 0)
		find(f);
	return rc;
}

void
forward_close(struct forward *f)
{
	if (!f)
		return;
	spool_close(f->spool);
	template_store_free(f->store);
	queue_fini(&f->window);
	free(f->place);
	queue_fini(&f->staged);
	if (f->turn)
		event_free(f->turn);
	free(f->buffer);
	free(f->original);
	free(f->message);
	free(f->part);
	free(f);
}
