/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Control messages: Templates, their withdrawals, and the options that the
 * process makes itself. They are never queued. A control message is built from
 * the present state when it can be sent, and goes before the data that needs
 * it.
 *
 * RFC 7011 section 8: a Template goes before its data in each session; over UDP
 * (8.4) it is sent again after a time and after a number of messages, told
 * apart for Templates and Options Templates. Withdrawals (8.1) are for
 * reliable transports only, and go after the last data of the Template.
 *
 * If net_out can't take a control message it is kept as it is; it is the first
 * thing that goes out later, or is dropped with the session.
 */
#include <errno.h>

#include "conflux/clock.h"
#include "exporting.h"

/* Templates sent again in one tick because of their age alone. */
#define REFRESH_BURST 64

bool
control_pending(const struct sink *s)
{
	return s->control.length || !STAILQ_EMPTY(&s->ending);
}

static void
control_reset(struct sink *s)
{
	s->control.length = 0;
	s->control_length = 0;
	s->control_counted = 0;
	s->control_channel = NULL;
}

void
control_drop(struct sink *s)
{
	sink_lose(s, s->control_counted, LOSS_DESTINATION_DOWN);
	control_reset(s);
}

/*
 * RFC 7011 section 8.3: data does not have an Export Time before that of its
 * Template. Data may have waited for long.
 */
static uint32_t
export_time(const struct sink *s)
{
	uint32_t now = (uint32_t)(clock_wall_ms() / 1000);

	return s->data_time && (int32_t)(s->data_time - now) < 0 ? s->data_time
								 : now;
}

int
control_send(struct sink *s)
{
	struct channel *c = s->control_channel;
	struct queue_entry entry = {
		.kind = QUEUE_CONTROL,
		.delivery.stream = s->control_stream % s->streams,
		/* Most of our own records are in no ledger. */
		.records = s->control_counted,
	};
	uint32_t *sequence;
	bool sent;
	int r;

	if (!s->control.length)
		return 0;
	if (!s->control_length)
		s->control_length = message_end(&s->control, export_time(s));
	entry.length = s->control_length;
	sequence = channel_sequence(c, entry.delivery.stream);
	message_set_sequence(s->control_buffer, *sequence);
	r = sink_send(s, &entry, s->control_buffer, &sent);
	if (r)
		return r;
	if (!sent)
		sink_lose(s, s->control_counted, LOSS_WRITE_ERROR);
	if (sent) {
		*sequence += s->control.records;
		c->messages++;
		c->octets += s->control_length;
		s->records += s->control.records;
	}
	control_reset(s);
	return 0;
}

/* Begins a message for this Template, or goes on with the one begun. */
static int
control_begin(struct sink *s, const struct out_template *t)
{
	struct channel *c = t->channel;
	int r;

	if (s->control.length &&
	    (s->control_channel != c || s->control_stream != t->stream ||
	     s->control_length)) {
		r = control_send(s);
		if (r)
			return r;
	}
	if (!s->control.length) {
		message_begin(&s->control, s->control_buffer, s->max_message,
			      c->number);
		s->control_channel = c;
		s->control_stream = t->stream;
	}
	return 0;
}

/* Begins the next message, because this one is full. */
static int
control_next(struct sink *s, const struct out_template *t)
{
	int r = control_send(s);

	return r ? r : control_begin(s, t);
}

/* ---- Templates ------------------------------------------------------------
 */

bool
control_is_due(const struct sink *s, const struct out_template *t)
{
	const struct exporting_destination *conf = s->conf;
	uint32_t ms = t->options ? conf->options_template_refresh_ms
				 : conf->template_refresh_ms;
	uint32_t messages = t->options ? conf->options_template_refresh_packets
				       : conf->template_refresh_packets;

	if (t->epoch != s->epoch)
		return true;
	if (conf->kind != EXPORTING_UDP)
		return false;
	return (ms && s->exporting->now_ms - t->sent_ms >= ms) ||
	       (messages && s->messages - t->sent_messages >= messages);
}

static void
mark_sent(struct sink *s, struct out_template *t)
{
	if (s->conf->kind == EXPORTING_UDP && !t->retired) {
		if (t->epoch)
			TAILQ_REMOVE(&s->sent[t->options], t, sent);
		TAILQ_INSERT_TAIL(&s->sent[t->options], t, sent);
	}
	t->epoch = s->epoch;
	t->sent_ms = s->exporting->now_ms;
	t->sent_messages = s->messages;
	t->marks_told = 0;
}

static int
add_definition(struct sink *s, const struct out_template *t)
{
	int r = control_begin(s, t);

	if (r)
		return r;
	if (message_add_template(&s->control, t->id, t->shape) != -ENOSPC)
		return 0;
	r = control_next(s, t);
	if (r == 0)
		message_add_template(&s->control, t->id, t->shape);
	return r;
}

int
control_add_own(struct sink *s, const struct out_template *t,
		const uint8_t *record, uint32_t length)
{
	int r = control_begin(s, t);

	if (r == 0 && message_room(&s->control, t->id) < length)
		r = control_next(s, t);
	if (r)
		return r;
	if (message_room(&s->control, t->id) >= length)
		memcpy(message_add_data(&s->control, t->id, length, 1), record,
		       length);
	return 0;
}

/*
 * RFC 6526 section 4.2: between a Template and its data the stream is told
 * whether all of the data will be delivered.
 */
static int
add_reliability(struct sink *s, struct out_template *t)
{
	bool reliable = t->options || !s->conf->lifetime_ms;
	uint8_t record[3];
	int r = add_definition(s, t->reliability);

	wire_put16(record, t->id);
	record[2] = reliable ? 1 : 2;
	if (r == 0)
		r = control_add_own(s, t->reliability, record, sizeof(record));
	if (r == 0)
		t->reliability->records++;
	return r;
}

/* What belongs to a Template that has been sent, as far as it was not told. */
static int
tell_rest(struct sink *s, struct out_template *t)
{
	int r = options_keys(s, t);

	return r ? r : options_marks(s, t);
}

int
control_add_template(struct sink *s, struct out_template *t)
{
	int r = options_types(s, t);

	if (r == 0)
		r = add_definition(s, t);
	if (r == 0 && t->reliability)
		r = add_reliability(s, t);
	if (r)
		return r;
	mark_sent(s, t);
	r = identity_follow(s, t);
	return r ? r : tell_rest(s, t);
}

static int
add_needed(struct sink *s, struct channel *c, const uint8_t *message,
	   uint32_t length)
{
	const uint8_t *p = message + MESSAGE_HEADER, *end = message + length;
	int r = identity_tell(s, c);

	for (; p < end && r == 0; p += wire_get16(p + 2)) {
		struct out_template *t =
			channel_template_by_id(c, wire_get16(p));

		for (uint16_t i = 0; r == 0 && i < t->uses_count; i++)
			if (control_is_due(s, t->uses[i]))
				r = control_add_template(s, t->uses[i]);
		if (r)
			return r;
		if (control_is_due(s, t))
			r = control_add_template(s, t);
		else
			r = tell_rest(s, t);
	}
	return r ? r : control_send(s);
}

int
control_before(struct sink *s, struct channel *c, const uint8_t *message,
	       uint32_t length)
{
	int r;

	s->data_time = wire_get32(message + 4);
	r = add_needed(s, c, message, length);
	s->data_time = 0;
	return r;
}

int
control_add_record(struct sink *s, struct channel *c, const struct shape *shape,
		   const uint8_t *record, uint32_t length)
{
	struct out_template *t = channel_template_own(c, shape);
	int r = 0;

	if (!t || t->too_long)
		return 0;
	if (control_is_due(s, t))
		r = control_add_template(s, t);
	if (r == 0)
		r = control_add_own(s, t, record, length);
	if (r)
		return r;
	t->records++;
	t->accessed_ms = s->exporting->wall_ms;
	return 0;
}

int
control_add_kept(struct sink *s, struct channel *c, const struct shape *shape,
		 const uint8_t *record, uint32_t length)
{
	const struct out_template *t = channel_template_own(c, shape);
	bool fits = t && !t->too_long &&
		    MESSAGE_HEADER + SET_HEADER + length <= s->max_message;
	int r = fits ? control_add_record(s, c, shape, record, length) : 0;

	if (r)
		return r;
	s->ledger.in++;
	if (fits)
		s->control_counted++;
	else
		sink_lose(s, 1, t ? LOSS_TOO_LONG : LOSS_NO_MEMORY);
	return 0;
}

int
control_refresh(struct sink *s, uint64_t now_ms)
{
	struct out_template *t;
	unsigned burst = 0;
	int r;

	for (int options = 0; options <= 1; options++)
		while ((t = TAILQ_FIRST(&s->sent[options])) &&
		       control_is_due(s, t)) {
			if (burst++ == REFRESH_BURST)
				return 0;
			r = control_add_template(s, t);
			if (r)
				return r;
		}
	return 0;
}

static int
add_withdrawal(struct sink *s, const struct out_template *t)
{
	uint16_t set = t->options ? SET_OPTIONS_TEMPLATE : SET_TEMPLATE;
	int r = control_begin(s, t);

	if (r == 0 && message_add_withdrawal(&s->control, set, t->id)) {
		r = control_next(s, t);
		if (r == 0)
			message_add_withdrawal(&s->control, set, t->id);
	}
	return r;
}

int
control_probe(struct sink *s)
{
	struct out_template *t = TAILQ_FIRST(&s->sent[0]);
	int r;

	if (!t)
		t = TAILQ_FIRST(&s->sent[1]);
	r = t ? control_add_template(s, t) : 0;
	return r ? r : control_send(s);
}

/* Those of a channel that an earlier session had. */
static int
add_all_of(struct sink *s, struct channel *c)
{
	uint32_t count = c->by_id.count, at = 0;
	struct out_template *t;
	int r;

	while ((t = table_next(&c->by_id, &at))) {
		if (t->retired || !t->epoch || t->epoch == s->epoch)
			continue;
		r = identity_tell(s, c);
		if (r == 0 && t->epoch != s->epoch)
			r = control_add_template(s, t);
		if (r)
			return r;
		/* It has brought one of our own: the table may be another. */
		if (c->by_id.count != count)
			at = 0;
		count = c->by_id.count;
	}
	return 0;
}

int
control_all(struct sink *s)
{
	int r;

	if (!s->templates_first)
		return 0;
	for (; s->opening_at < s->channel_size; s->opening_at++) {
		if (!s->channel[s->opening_at])
			continue;
		r = add_all_of(s, s->channel[s->opening_at]);
		if (r)
			return r;
	}
	return control_send(s);
}

int
control_withdraw(struct sink *s)
{
	struct out_template *t;
	int r = 0;

	while ((t = STAILQ_FIRST(&s->ending)) &&
	       t->channel->gone >= t->last_message) {
		if (sink_reliable(s) && s->up && t->epoch == s->epoch) {
			r = add_withdrawal(s, t);
			if (r == 0 && t->reliability)
				r = add_withdrawal(s, t->reliability);
		}
		if (r)
			return r;
		STAILQ_REMOVE_HEAD(&s->ending, ending);
		out_template_free(t);
	}
	return control_send(s);
}
