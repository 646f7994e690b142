/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What is replayed are the stored messages again, with their Export Time (RFC
 * 7011 section 3.1 would have the time of leaving; but elements may count from
 * it, and a record does not become younger by waiting), the ids that their
 * Templates have now, and sequence numbers of the session they go in. One that
 * is longer than messages may be now becomes several.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "forward.h"

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
	f->scope.template_shape = shape_in_segment;
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
		forward_use_options(f, set.id, t);
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
	   struct queue_entry *entry, bool last)
{
	const uint8_t *first = message + MESSAGE_HEADER;
	const struct out_template *t =
		channel_template_by_id(c, wire_get16(first));

	entry->channel = c;
	entry->delivery.stream = t->stream;
	entry->run = f->run;
	entry->kind = last ? QUEUE_REPLAYED_LAST : QUEUE_REPLAYED;
	c->finished++;
	use_templates(c, message, entry->length);
	queue_push(&f->staged, entry, message); /* has room */
}

struct parts {
	struct forward *forward;
	struct channel *channel;
	struct message_writer writer;
	uint32_t export_time;
	uint64_t position, begun; /* of the next Flow Record, of the first */
	uint32_t flows;		  /* in the part */
};

static void
begin_part(struct parts *ps)
{
	message_begin(&ps->writer, ps->forward->part,
		      ps->forward->sink->max_message, ps->channel->number);
	ps->begun = ps->position;
	ps->flows = 0;
}

static void
end_part(struct parts *ps, bool last)
{
	struct queue_entry entry = {
		.length = message_end(&ps->writer, ps->export_time),
		.records = ps->writer.records,
		.flows = ps->flows,
		.position = ps->begun,
	};

	stage_part(ps->forward, ps->channel, ps->forward->part, &entry, last);
}

static void
add_to_part(struct parts *ps, const struct out_template *t,
	    const uint8_t *record, uint32_t length)
{
	struct sink *s = ps->forward->sink;
	uint32_t flows = t->options ? 0 : 1;
	bool too_long = length > s->max_message - MESSAGE_HEADER - SET_HEADER;

	/* Behind one that is lost records have other numbers. */
	if (ps->writer.records &&
	    (too_long || message_room(&ps->writer, t->id) < length)) {
		end_part(ps, false);
		begin_part(ps);
	}
	ps->position += flows;
	if (too_long) {
		spool_lose(ps->forward->spool, 1, LOSS_TOO_LONG);
		ps->begun = ps->position;
		return;
	}
	memcpy(message_add_data(&ps->writer, t->id, length, 1), record, length);
	ps->flows += flows;
}

/* A message that is longer than one may be now; its ids are the new ones. */
static void
stage_parts(struct forward *f, struct channel *c, const uint8_t *message,
	    uint32_t length)
{
	struct parts ps = {
		.forward = f,
		.channel = c,
		.position = f->position,
	};
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
			add_to_part(&ps, t, p, (uint32_t)n);
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
	struct message_reader reader;
	struct channel *c;
	struct queue_entry whole = {
		.length = f->length,
		.records = f->records,
		.flows = f->flows,
		.position = f->position,
	};
	enum loss loss;

	f->pending = false;
	memcpy(f->message, f->original, f->length);
	if (message_open(&reader, f->message, f->length)) {
		spool_lose(f->spool, f->records, LOSS_MALFORMED);
		return;
	}
	f->scope.domain = reader.header.domain;
	c = channel_numbered(f->sink, reader.header.domain);
	loss = c ? rewrite(f, c, &reader) : LOSS_LIMIT;
	if (loss == LOSS_LIMIT && c && room_comes(c))
		f->pending = true;
	else if (loss != LOSS_COUNT)
		spool_lose(f->spool, f->records, loss);
	else if (f->length <= f->sink->max_message)
		stage_part(f, c, f->message, &whole, true);
	else
		stage_parts(f, c, f->message, f->length);
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
		forward_take_options(f, m->octets, m->length);
		return;
	}
	memcpy(f->original, m->octets, m->length);
	f->length = m->length;
	f->records = m->records;
	f->flows = m->flows;
	f->run = m->run;
	f->position = m->position;
	stage_message(f);
}

/* Until there is something to send, or nothing to read. */
void
forward_fill(struct forward *f)
{
	struct spool_message m;
	uint64_t had;

	if (queue_reserve(&f->staged, STAGED_OCTETS, STAGED_MESSAGES))
		return;
	if (f->pending)
		stage_message(f);
	while (!f->staged.messages && !f->pending && !forward_tell_options(f) &&
	       spool_next(f->spool, &m))
		take(f, &m);
	/* They were exported when they were sent, but not known to be. */
	had = spool_take_had(f->spool);
	f->had += had;
	f->sink->ledger.exported += had;
}

/* Is there room for replayed records beside the new ones? */
static bool
is_due(const struct forward *f)
{
	if (f->stopped || f->round >= ROUND_OCTETS)
		return false;
	if (f->conf->replay_rate && f->tokens <= 0)
		return false;
	return forward_acknowledged(f) || f->conf->replay_share >= 100 ||
	       f->idle || f->credit > 0;
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
		forward_fill(f);
	return f->staged.messages ? &f->staged : NULL;
}

static bool
waits_for_peer(const struct forward *f)
{
	if (!f->sink->ready)
		return false;
	if (forward_acknowledged(f))
		return f->pending || f->options_length;
	return !spool_may_read(f->spool) || f->pending || f->options_length ||
	       (forward_window(f) && forward_is_full(f)) ||
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
forward_unstage(struct forward *f)
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
	f->options_length = 0;
}
