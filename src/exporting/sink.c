/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * One destination: its Transport Session, its queue, and the account of what
 * became of each record.
 *
 * RFC 7011 section 10.4.4 and 8: a new session starts with no Templates known
 * and with sequence numbers at 0. Both are decided when a message is sent, by
 * comparing the number of the session (epoch) with the one that is remembered
 * at the Template and at the channel; "up" only counts the epoch on.
 *
 * net_out may keep a few messages that it has taken. The number of records of
 * each is remembered (flight), so that what the kernel took is told exactly
 * from what was lost when the session went down. Over SCTP it is known of each
 * message whether it was delivered: those that were not are lost after all.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "conflux/clock.h"
#include "conflux/format.h"
#include "exporting.h"

/* Memory for messages that are being filled. */
#define OPEN_OCTETS (16u << 20)
#define OPEN_MIN 256u
#define LINGER_MS 1000

static void
flight_add(struct sink *s, uint32_t records)
{
	s->flight[(s->flight_head + s->flight_count++) % FLIGHT_MAX] = records;
	s->flight_records += records;
}

static uint32_t
flight_take(struct sink *s)
{
	uint32_t records = s->flight[s->flight_head++ % FLIGHT_MAX];

	s->flight_count--;
	s->flight_records -= records;
	return records;
}

/*
 * RFC 7011 section 10.3.3: no message is larger than the path takes. In a
 * session that is sealed that is found out, and may become more, too.
 */
static void
fit_path(struct sink *s)
{
	struct net_out_stats stats;

	net_out_stats(s->out, &stats);
	if (stats.path_octets < EXPORTING_MESSAGE_MIN)
		return;
	if (!s->sealed && stats.path_octets >= s->max_message)
		return;
	s->max_message = stats.path_octets < s->conf->max_message
				 ? stats.path_octets
				 : s->conf->max_message;
}

static void
too_large(struct sink *s)
{
	uint32_t held, before = s->max_message;

	fit_path(s);
	if (s->max_message == before)
		s->max_message = before / 4 * 3;
	if (s->max_message < EXPORTING_MESSAGE_MIN)
		s->max_message = EXPORTING_MESSAGE_MIN;
	if (log_limit_pass(&s->size_limit, clock_mono_ms(), &held))
		log_warning("destination %s: a message was larger than the "
			    "path takes, its records are lost; messages have "
			    "at most %" PRIu32 " octets from now on",
			    s->conf->name, s->max_message);
}

/* ---- callbacks of net_out ------------------------------------------------ */

static void
on_up(void *arg)
{
	struct sink *s = arg;
	struct net_out_stats stats;

	if (s->fit)
		fit_path(s);
	net_out_stats(s->out, &stats);
	s->streams = stats.streams;
	sink_settle(s);
	s->flight_first = s->flight_head + s->flight_count;
	s->up = s->ready = s->was_up = true;
	s->epoch++;
	s->up_ms = clock_mono_ms();
	control_drop(s);
	s->opening = s->conf->kind != EXPORTING_JSON;
	s->opening_at = 0;
	sink_pump(s);
}

static void
on_down(void *arg, const char *reason, size_t unsent)
{
	struct sink *s = arg;
	uint64_t lost = 0, doubtful;

	sink_settle(s);
	while (s->flight_count)
		lost += flight_take(s);
	sink_lose(s, lost, LOSS_DESTINATION_DOWN);
	lost += s->undelivered;
	s->undelivered = 0;
	doubtful = s->asked && s->ledger.exported > s->sure_records
			   ? s->ledger.exported - s->sure_records
			   : 0;
	s->ledger.doubtful += doubtful;
	s->asked = false;
	if (s->up) {
		s->down_ms = clock_mono_ms();
		s->discontinuity_ms = clock_wall_ms();
	}
	/* net has told that the session is down. */
	if (lost)
		log_warning("destination %s: %s: %zu messages with %" PRIu64
			    " records were on their way and are lost",
			    s->conf->name, reason, unsent, lost);
	if (doubtful)
		log_warning("destination %s: %" PRIu64 " records were sent "
			    "since it last answered, and may be lost",
			    s->conf->name, doubtful);
	s->up = s->ready = s->opening = false;
	control_drop(s);
}

static void
on_writable(void *arg)
{
	struct sink *s = arg;

	s->ready = s->up;
	sink_pump(s);
}

static void
on_discarded(void *arg, int error)
{
	struct sink *s = arg;

	sink_settle(s);
	if (!s->flight_count)
		return;
	sink_lose(s, flight_take(s),
		  error == EMSGSIZE ? LOSS_TOO_LONG : LOSS_WRITE_ERROR);
	if (error == EMSGSIZE)
		too_large(s);
	sink_settle(s);
}

/* SCTP: it was exported, and now is not. */
static void
on_undelivered(void *arg, uint64_t number, int error)
{
	struct sink *s = arg;
	uint32_t *records = &s->flight[(s->flight_first + number) % FLIGHT_MAX];

	sink_settle(s);
	s->ledger.exported -= *records;
	s->undelivered += *records;
	sink_lose(s, *records,
		  error == ETIME ? LOSS_LIFETIME : LOSS_DESTINATION_DOWN);
	*records = 0;
}

static void
on_path(void *arg)
{
	fit_path(arg);
}

static void
on_asked(void *arg, bool answered)
{
	struct sink *s = arg;

	sink_settle(s);
	s->asked = true;
	if (answered)
		s->sure_records = s->asked_records;
	else
		s->asked_records = s->ledger.exported + s->flight_records;
}

static const struct net_out_ops out_ops = {
	.up = on_up,
	.down = on_down,
	.writable = on_writable,
	.discarded = on_discarded,
	.undelivered = on_undelivered,
	.path = on_path,
	.asked = on_asked,
};

/* ---- accounting ---------------------------------------------------------- */

void
sink_settle(struct sink *s)
{
	struct net_out_stats stats;
	uint64_t waiting = s->queue.records + s->open_records + s->text_records;

	if (!s->out)
		return;
	net_out_stats(s->out, &stats);
	for (; s->kernel_messages < stats.messages && s->flight_count;
	     s->kernel_messages++)
		s->ledger.exported += flight_take(s);
	s->kernel_messages = stats.messages;
	s->ledger.held = waiting + s->flight_records + s->control_counted;
}

int
sink_send(struct sink *s, const uint8_t *message, uint32_t length,
	  uint32_t records, const struct net_delivery *delivery, bool *sent)
{
	uint32_t held;
	int r;

	*sent = false;
	if (s->flight_count == FLIGHT_MAX) {
		sink_settle(s);
		if (s->flight_count == FLIGHT_MAX)
			return -EAGAIN;
	}
	r = net_out_send_as(s->out, message, length, delivery);
	if (r == 0) {
		/* If the session broke meanwhile, on_down has been here. */
		flight_add(s, records);
		s->messages++;
		s->octets += length;
		*sent = true;
		return 0;
	}
	if (r == -EAGAIN || r == -ENOTCONN) {
		s->ready = false;
		return -EAGAIN;
	}
	s->refused_messages++;
	if (r == -EMSGSIZE) {
		too_large(s);
		return 0;
	}
	if (log_limit_pass(&s->lost_limit, clock_mono_ms(), &held))
		log_error("destination %s: a message was not sent: %s; its "
			  "records are lost (%" PRIu32 " more such lines)",
			  s->conf->name, strerror(-r), held);
	return 0;
}

/* ---- messages ------------------------------------------------------------ */

/* 0: the message is done with; -EAGAIN: it has to wait. */
static int
transmit(struct sink *s, const struct queue_entry *entry, uint8_t *message)
{
	struct net_delivery delivery = entry->delivery;
	struct channel *c = entry->channel;
	uint32_t limit = s->max_message;
	bool sent;
	int r;

	delivery.stream %= s->streams;
	if (c) {
		r = control_before(s, c, message, entry->length);
		if (r)
			return r;
		message_set_sequence(message,
				     *channel_sequence(c, delivery.stream));
	}
	r = sink_send(s, message, entry->length, entry->records, &delivery,
		      &sent);
	if (r)
		return r;
	if (c)
		c->gone++;
	if (!sent) {
		sink_lose_message(s, c, message, entry->length, entry->records,
				  s->max_message < limit ? LOSS_TOO_LONG
							 : LOSS_WRITE_ERROR);
		return 0;
	}
	s->records += entry->records;
	if (c) {
		*channel_sequence(c, delivery.stream) += entry->records;
		c->records += entry->records;
		c->messages++;
		c->octets += entry->length;
	}
	return 0;
}

void
sink_message(struct sink *s, const struct queue_entry *entry, uint8_t *message)
{
	struct channel *c = entry->channel;

	if (s->ready && !s->opening && !s->pumping && !s->queue.messages) {
		s->pumping = true;
		int r = transmit(s, entry, message);
		s->pumping = false;
		if (r == 0)
			return;
	}
	if (queue_push(&s->queue, entry, message) == 0)
		return;
	if (c)
		c->gone++;
	sink_lose_message(s, c, message, entry->length, entry->records,
			  LOSS_NO_MEMORY);
}

/*
 * What a session begins with: Templates and the Options Data that are known,
 * before all that waits. A session that replaces another one takes over when
 * that is out (draft-mentz-ipfix-dtls-recommendations section 3.1.3).
 */
static void
open_session(struct sink *s)
{
	if (!s->ready || control_all(s) || kept_open(s) || control_send(s))
		return; /* later */
	s->opening = false;
	net_out_settle(s->out);
}

void
sink_pump(struct sink *s)
{
	const struct queue_entry *entry;
	uint8_t *message;

	if (s->pumping)
		return;
	s->pumping = true;
	if (s->opening)
		open_session(s);
	while (s->ready && !s->opening &&
	       (entry = queue_peek(&s->queue, &message))) {
		if (transmit(s, entry, message))
			break;
		queue_pop(&s->queue);
	}
	if (!STAILQ_EMPTY(&s->ending) && !s->opening &&
	    s->conf->kind != EXPORTING_JSON)
		control_withdraw(s);
	s->pumping = false;
	sink_settle(s);
}

bool
sink_admit(struct sink *s)
{
	bool full = s->queue.octets >= s->conf->queue_octets;
	uint32_t held;

	/* With a collector that is slow it is full again at each message. */
	if (full && !s->queue_full) {
		s->discontinuity_ms = clock_wall_ms();
		if (log_limit_pass(&s->full_limit, clock_mono_ms(), &held))
			log_warning("destination %s: its queue of %" PRIu64
				    " octets is full%s; new records are lost "
				    "(%" PRIu32 " lines held back)",
				    s->conf->name, s->conf->queue_octets,
				    s->up ? "" : " and there is no session",
				    held);
	}
	s->queue_full = full;
	return !full;
}

/* ---- JSON lines -----------------------------------------------------------
 */

static void
json_finish(struct sink *s)
{
	const struct queue_entry entry = {
		.length = (uint32_t)s->text.length,
		.records = s->text_records,
	};

	s->text_records = 0;
	if (s->text.length)
		sink_message(s, &entry, (uint8_t *)s->text.data);
	text_reset(&s->text);
}

static void
json_put(struct sink *s, const struct batch *batch, struct taken *taken)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		size_t before = s->text.length;
		const uint8_t *record;
		uint32_t length;

		if (!before && !sink_admit(s)) {
			sink_lose_batch(s, batch, i, batch->count - i,
					s->up ? LOSS_QUEUE_FULL
					      : LOSS_DESTINATION_DOWN);
			return;
		}
		if (!before)
			s->text_begun_ms = s->exporting->now_ms;
		record = batch_record(batch, i, &length);
		format_record_json(&s->text, batch->shape, record, length);
		text_add_char(&s->text, '\n');
		if (s->text.failed) {
			/* Only whole lines go out. */
			s->text.length = before;
			s->text.failed = false;
			sink_lose_batch(s, batch, i, 1, LOSS_NO_MEMORY);
			continue;
		}
		taken->bits[i / 64] |= UINT64_C(1) << (i % 64);
		s->text_records++;
		if (s->text.length >= JSON_OCTETS)
			json_finish(s);
	}
}

/* ---- the sink -------------------------------------------------------------
 */

enum loss
sink_put(struct sink *s, struct domain *domain, const struct batch *batch,
	 struct taken *taken)
{
	uint64_t lost[LOSS_COUNT];
	enum loss reason = LOSS_COUNT;
	struct channel *c;

	memcpy(lost, s->ledger.lost, sizeof(lost));
	s->ledger.in += batch->count;
	if (s->conf->kind == EXPORTING_JSON) {
		json_put(s, batch, taken);
	} else {
		c = channel_get(s, domain);
		if (c)
			channel_put(c, batch, taken);
		else
			sink_lose_batch(s, batch, 0, batch->count,
					LOSS_NO_MEMORY);
	}
	for (int i = 0; i < LOSS_COUNT; i++)
		if (s->ledger.lost[i] != lost[i])
			reason = i;
	return reason;
}

void
sink_tick(struct sink *s, uint64_t now_ms)
{
	uint32_t age = s->exporting->conf.flush_ms;
	struct channel *c;

	while ((c = TAILQ_FIRST(&s->open)) && now_ms - c->begun_ms >= age)
		channel_finish(c);
	if (s->text.length && now_ms - s->text_begun_ms >= age)
		json_finish(s);
	sink_pump(s);
	if (s->ready && !s->opening && s->conf->kind != EXPORTING_JSON &&
	    !s->pumping) {
		s->pumping = true;
		if (options_run(s, now_ms) == 0 &&
		    control_refresh(s, now_ms) == 0)
			control_send(s);
		s->pumping = false;
	}
	if (now_ms - s->rate_ms >= 1000) {
		s->rate = (s->octets - s->rate_octets) * 1000 /
			  (now_ms - s->rate_ms);
		s->rate_ms = now_ms;
		s->rate_octets = s->octets;
	}
	sink_settle(s);
}

void
sink_flush(struct sink *s)
{
	struct channel *c;

	while ((c = TAILQ_FIRST(&s->open)))
		channel_finish(c);
	json_finish(s);
	sink_pump(s);
}

bool
sink_drained(const struct sink *s)
{
	return !s->queue.messages && TAILQ_EMPTY(&s->open) && !s->text.length &&
	       !control_pending(s) && net_out_drained(s->out);
}

bool
sink_congested(const struct sink *s)
{
	return s->queue.octets >= s->conf->queue_octets / 4 * 3;
}

uint8_t *
sink_buffer_take(struct sink *s)
{
	if (s->spare_count)
		return s->spare[--s->spare_count];
	return malloc(s->conf->max_message);
}

void
sink_buffer_give(struct sink *s, uint8_t *buffer)
{
	if (s->spare_count < s->open_max)
		s->spare[s->spare_count++] = buffer;
	else
		free(buffer);
}

static int
sink_alloc(struct sink *s)
{
	s->open_max = OPEN_OCTETS / s->conf->max_message;
	if (s->open_max < OPEN_MIN)
		s->open_max = OPEN_MIN;
	s->spare = calloc(s->open_max, sizeof(*s->spare));
	s->control_buffer = malloc(s->conf->max_message);
	s->record = malloc(MESSAGE_MAX);
	s->round =
		calloc(s->exporting->conf.options_count + 1, sizeof(*s->round));
	if (!s->spare || !s->control_buffer || !s->record || !s->round)
		return -ENOMEM;
	for (unsigned i = 0; i < s->exporting->conf.options_count; i++)
		s->round[i].start_ms = s->exporting->now_ms;
	return 0;
}

static void
defaults(struct exporting_destination *conf)
{
	if (!conf->max_message)
		conf->max_message = conf->kind == EXPORTING_UDP
					    ? EXPORTING_UDP_MESSAGE
					    : EXPORTING_STREAM_MESSAGE;
	if (conf->max_message < EXPORTING_MESSAGE_MIN)
		conf->max_message = EXPORTING_MESSAGE_MIN;
	if (conf->max_message > MESSAGE_MAX)
		conf->max_message = MESSAGE_MAX;
	if (!conf->queue_octets)
		conf->queue_octets = EXPORTING_QUEUE_OCTETS;
	if (!conf->net.sctp.streams || conf->kind != EXPORTING_SCTP)
		conf->net.sctp.streams = 1;
}

void
sink_init(struct sink *s, struct exporting *e,
	  struct exporting_destination *conf)
{
	s->exporting = e;
	s->conf = conf;
	s->sealed = conf->kind == EXPORTING_UDP && conf->net.secure;
	s->templates_first = conf->kind == EXPORTING_UDP ||
			     (conf->kind == EXPORTING_SCTP && conf->net.secure);
	s->fit = s->sealed ||
		 (conf->kind == EXPORTING_UDP && !conf->max_message);
	defaults(conf);
	/* What waits for a session must fit when there is one. */
	s->max_message = s->sealed ? EXPORTING_MESSAGE_MIN : conf->max_message;
	s->streams = 1;
	s->down_ms = s->rate_ms = clock_mono_ms();
	TAILQ_INIT(&s->open);
	TAILQ_INIT(&s->sent[0]);
	TAILQ_INIT(&s->sent[1]);
	STAILQ_INIT(&s->ending);
}

int
sink_open(struct sink *s, char **error)
{
	static const enum transport transport[] = {
		[EXPORTING_UDP] = TRANSPORT_UDP,
		[EXPORTING_TCP] = TRANSPORT_TCP,
		[EXPORTING_SCTP] = TRANSPORT_SCTP,
		[EXPORTING_FILE] = TRANSPORT_FILE,
		[EXPORTING_JSON] = TRANSPORT_FILE,
	};
	struct exporting_destination *conf = s->conf;
	int rc;

	if (sink_alloc(s))
		return -ENOMEM;
	conf->net.transport = transport[conf->kind];
	rc = net_out_open(s->exporting->base, &conf->net, &out_ops, s, &s->out,
			  error);
	conf->net.secure = NULL; /* the caller's, as are these */
	conf->net.sctp.remote = conf->net.sctp.local = NULL;
	return rc;
}

void
sink_end(struct sink *s)
{
	uint64_t left;

	if (!s->out)
		return;
	/* What it cannot send it tells of ("down"). The rest has gone. */
	net_out_close(s->out, LINGER_MS);
	s->out = NULL;
	s->up = s->ready = s->opening = false;
	control_drop(s);
	while (s->flight_count)
		s->ledger.exported += flight_take(s);
	left = s->queue.records + s->open_records + s->text_records;
	sink_lose(s, left, LOSS_DESTINATION_DOWN);
	s->ledger.held = 0;
	if (left)
		log_warning("destination %s: %" PRIu64 " records that waited "
			    "for it are lost",
			    s->conf->name, left);
}

void
sink_close(struct sink *s)
{
	struct channel *c;

	sink_end(s);
	while ((c = TAILQ_FIRST(&s->open))) {
		TAILQ_REMOVE(&s->open, c, open);
		free(c->buffer);
	}
	for (uint32_t i = 0; i < s->channel_size; i++)
		channel_free(s->channel[i]);
	free(s->channel);
	for (uint32_t i = 0; i < s->spare_count; i++)
		free(s->spare[i]);
	free(s->spare);
	free(s->control_buffer);
	free(s->record);
	free(s->round);
	queue_fini(&s->queue);
	text_fini(&s->text);
}
