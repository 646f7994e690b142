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

/* A message that waits in the spool until the peer has it. */
#define FLIGHT_REPLAYED 0x80000000u

static bool
is_replayed(const struct queue_entry *entry)
{
	return entry->kind == QUEUE_REPLAYED ||
	       entry->kind == QUEUE_REPLAYED_LAST;
}

static void
flight_add(struct sink *s, const struct queue_entry *entry)
{
	bool replayed = is_replayed(entry) && forward_keeps(s->forward);

	s->flight[(s->flight_head + s->flight_count++) % FLIGHT_MAX] =
		entry->records | (replayed ? FLIGHT_REPLAYED : 0);
	if (!replayed)
		s->flight_records += entry->records;
}

static uint32_t
flight_take(struct sink *s)
{
	uint32_t records = s->flight[s->flight_head++ % FLIGHT_MAX];

	s->flight_count--;
	if (!(records & FLIGHT_REPLAYED))
		s->flight_records -= records;
	return records;
}

/* The system has the oldest of them. */
static void
flight_export(struct sink *s)
{
	uint32_t records = flight_take(s);

	if (records & FLIGHT_REPLAYED)
		forward_exported(s->forward, records & ~FLIGHT_REPLAYED);
	s->ledger.exported += records & ~FLIGHT_REPLAYED;
}

/* It never will have them. Returns what is lost by that. */
static uint64_t
flight_drop(struct sink *s)
{
	uint64_t lost = 0;

	while (s->flight_count)
		lost += flight_take(s) & ~FLIGHT_REPLAYED;
	/* They are stored again. */
	return forward_window(s->forward) ? 0 : lost;
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

	if (s->fit)
		fit_path(s);
	s->streams = net_out_counts(s->out)->streams;
	sink_settle(s);
	s->flight_first = s->flight_head + s->flight_count;
	s->up = s->ready = s->was_up = true;
	s->epoch++;
	s->up_ms = clock_mono_ms();
	control_drop(s);
	forward_up(s->forward);
	s->opening = s->conf->kind != EXPORTING_JSON;
	s->opening_at = 0;
	sink_pump(s);
}

static void
on_down(void *arg, const char *reason, size_t unsent)
{
	struct sink *s = arg;
	bool was_up = s->up;
	uint64_t lost, doubtful;

	sink_settle(s);
	s->up = s->ready = false;
	forward_down(s->forward);
	lost = flight_drop(s);
	sink_lose(s, lost, LOSS_DESTINATION_DOWN);
	lost += s->undelivered;
	s->undelivered = 0;
	doubtful = s->asked && s->ledger.exported > s->sure_records
			   ? s->ledger.exported - s->sure_records
			   : 0;
	s->ledger.doubtful += doubtful;
	s->asked = false;
	if (was_up) {
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
	s->opening = false;
	control_drop(s);
	sink_settle(s);
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
	forward_forget(s->forward, s->flight_head);
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
	uint64_t at = s->flight_first + number;
	uint32_t *records = &s->flight[at % FLIGHT_MAX];
	enum loss loss = LOSS_DESTINATION_DOWN;

	sink_settle(s);
	s->ledger.exported -= *records;
	if (error == ETIME) {
		loss = LOSS_LIFETIME;
		forward_forget(s->forward, at);
	} else if (forward_undelivered(s->forward, at)) {
		*records = 0;
		return;
	}
	s->undelivered += *records;
	sink_lose(s, *records, loss);
	*records = 0;
}

static void
on_returned(void *arg, const uint8_t *message)
{
	sink_buffer_give(arg, (uint8_t *)message);
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
	forward_asked(s->forward, answered);
	if (answered)
		s->sure_records = s->asked_records;
	else
		s->asked_records = s->ledger.exported + s->flight_records;
}

static void
on_answered(void *arg, const uint8_t *octets, size_t length)
{
	forward_answer(((struct sink *)arg)->forward, octets, length);
}

static const struct net_out_ops out_ops = {
	.up = on_up,
	.down = on_down,
	.writable = on_writable,
	.discarded = on_discarded,
	.undelivered = on_undelivered,
	.returned = on_returned,
	.path = on_path,
	.asked = on_asked,
	.answered = on_answered,
};

/* ---- accounting ---------------------------------------------------------- */

void
sink_settle(struct sink *s)
{
	const struct net_out_stats *stats;
	uint64_t waiting = s->queue.records + s->open_records + s->text_records;

	if (!s->out)
		return;
	stats = net_out_counts(s->out);
	for (; s->kernel_messages < stats->messages && s->flight_count;
	     s->kernel_messages++)
		flight_export(s);
	s->kernel_messages = stats->messages;
	forward_settle(s->forward);
	s->ledger.held = waiting + s->flight_records + s->control_counted +
			 forward_held(s->forward);
}

int
sink_send(struct sink *s, const struct queue_entry *entry,
	  const uint8_t *message, bool *sent)
{
	uint32_t held;
	int r;

	*sent = false;
	if (s->flight_count == FLIGHT_MAX) {
		sink_settle(s);
		if (s->flight_count == FLIGHT_MAX)
			return -EAGAIN;
	}
	r = forward_before(s->forward, entry);
	if (r)
		return r;
	r = net_out_send_as(s->out, message, entry->length, &entry->delivery);
	if (r >= 0) {
		/* If the session broke meanwhile, on_down has been here. */
		flight_add(s, entry);
		forward_sent(s->forward, entry, message);
		s->messages++;
		s->octets += entry->length;
		*sent = true;
		return r;
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

static void
not_sent(struct sink *s, const struct queue_entry *entry,
	 const uint8_t *message, enum loss loss)
{
	if (is_replayed(entry))
		forward_lose(s->forward, entry, loss);
	else
		sink_lose_message(s, entry->channel, message, entry->length,
				  entry->records, loss);
}

/* 0: the message is done with; 1: and was lent; -EAGAIN: it has to wait. */
static int
transmit(struct sink *s, const struct queue_entry *queued, uint8_t *message)
{
	struct queue_entry entry = *queued;
	struct channel *c = entry.channel;
	uint16_t stream = entry.delivery.stream % s->streams;
	uint32_t limit = s->max_message;
	bool sent;
	int r;

	entry.delivery.stream = stream;
	if (c) {
		r = forward_announce(s->forward, &entry);
		if (r == 0)
			r = control_before(s, c, message, entry.length);
		if (r)
			return r;
		message_set_sequence(message, *channel_sequence(c, stream));
	}
	r = sink_send(s, &entry, message, &sent);
	if (r < 0)
		return r;
	if (c && !(sent && forward_window(s->forward)))
		c->gone++;
	if (!sent) {
		not_sent(s, &entry, message,
			 s->max_message < limit ? LOSS_TOO_LONG
						: LOSS_WRITE_ERROR);
		return 0;
	}
	s->records += entry.records;
	if (c) {
		*channel_sequence(c, stream) += entry.records;
		c->records += entry.records;
		c->messages++;
		c->octets += entry.length;
	}
	return r;
}

/*
 * It waits: on disk if there is a spool, and no session here or elsewhere, or
 * no room in memory.
 */
static int
wait_for_turn(struct sink *s, const struct queue_entry *entry, uint8_t *message,
	      enum loss *loss)
{
	bool full = s->queue.octets >= s->conf->queue_octets;

	/* What is not stored can't be sealed, and would hold up all. */
	if (forward_sealed(s->forward))
		return forward_store(s->forward, entry, message, loss);
	if (s->forward && (full || forward_away(s->forward))) {
		/* What could not be stored goes before. */
		if (forward_acknowledged(s->forward))
			forward_store_queue(s->forward);
		if (s->queue.messages && forward_acknowledged(s->forward))
			*loss = LOSS_SPOOL_FULL;
		else if (forward_store(s->forward, entry, message, loss) == 0)
			return 0;
		if (full)
			return -ENOSPC;
	}
	*loss = LOSS_NO_MEMORY;
	return queue_push(&s->queue, entry, message);
}

bool
sink_message(struct sink *s, const struct queue_entry *entry, uint8_t *message)
{
	struct channel *c = entry->channel;
	enum loss loss;

	if (s->ready && !s->opening && !s->pumping && !s->queue.messages &&
	    !forward_acknowledged(s->forward)) {
		struct queue_entry at_once = *entry;
		int r;

		/* What may have to go to disk is read again, below. */
		at_once.delivery.lent = c && !s->forward;
		s->pumping = true;
		r = transmit(s, &at_once, message);
		s->pumping = false;
		if (r >= 0)
			return r;
	}
	if (wait_for_turn(s, entry, message, &loss) == 0)
		return false;
	if (c)
		c->gone++;
	sink_lose_message(s, c, message, entry->length, entry->records, loss);
	return false;
}

/*
 * What a session begins with: Templates and the Options Data that are known,
 * before all that waits. A session that replaces another one takes over when
 * that is out (draft-mentz-ipfix-dtls-recommendations section 3.1.3).
 */
static void
open_session(struct sink *s)
{
	if (!s->ready || forward_greet(s->forward) || control_all(s) ||
	    kept_open(s) || control_send(s))
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
	while (s->ready && !s->opening) {
		struct queue *queue = forward_turn(s->forward);

		/* Not before it is in the spool. */
		if (!queue && forward_acknowledged(s->forward))
			break;
		if (!queue)
			queue = &s->queue;
		entry = queue_peek(queue, &message);
		if (!entry || transmit(s, entry, message))
			break;
		queue_pop(queue);
	}
	forward_round(s->forward);
	if (!STAILQ_EMPTY(&s->ending) && !s->opening &&
	    s->conf->kind != EXPORTING_JSON)
		control_withdraw(s);
	s->pumping = false;
	sink_settle(s);
}

enum loss
sink_refusal(const struct sink *s)
{
	if (s->forward)
		return LOSS_SPOOL_FULL;
	return s->up ? LOSS_QUEUE_FULL : LOSS_DESTINATION_DOWN;
}

bool
sink_admit(struct sink *s)
{
	bool full = s->queue.octets >= s->conf->queue_octets &&
		    !forward_takes(s->forward);
	uint32_t held;

	/* With a collector that is slow it is full again at each message. */
	if (full && !s->queue_full) {
		s->discontinuity_ms = clock_wall_ms();
		if (log_limit_pass(&s->full_limit, clock_mono_ms(), &held))
			log_warning("destination %s: its queue of %" PRIu64
				    " octets is full%s%s; new records are lost "
				    "(%" PRIu32 " lines held back)",
				    s->conf->name, s->conf->queue_octets,
				    s->forward ? ", and so is its spool" : "",
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
					sink_refusal(s));
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
	struct channel *c;

	s->last_loss = LOSS_COUNT;
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
	return s->last_loss;
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
	forward_tick(s->forward, now_ms);
	sink_pump(s);
	if (s->ready && !s->opening && s->conf->kind != EXPORTING_JSON &&
	    !s->pumping) {
		s->pumping = true;
		if (options_run(s, now_ms) == 0 &&
		    kept_refresh(s, now_ms) == 0 &&
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

static void
finish_all(struct sink *s)
{
	struct channel *c;

	while ((c = TAILQ_FIRST(&s->open)))
		channel_finish(c);
	json_finish(s);
}

void
sink_flush(struct sink *s)
{
	finish_all(s);
	forward_stop(s->forward);
	sink_pump(s);
}

bool
sink_secure(struct sink *s)
{
	bool file = s->conf->kind == EXPORTING_FILE ||
		    s->conf->kind == EXPORTING_JSON;

	if (!file && !forward_acknowledged(s->forward))
		return true;
	finish_all(s);
	/* A file is written to when it is asked. */
	return !s->queue.messages && (!file || net_out_drained(s->out));
}

bool
sink_drained(const struct sink *s)
{
	/* What it still has to be told goes with the session it has not. */
	bool pending = control_pending(s) && (s->up || !s->forward);

	return !s->queue.messages && TAILQ_EMPTY(&s->open) && !s->text.length &&
	       !pending && forward_drained(s->forward) &&
	       net_out_drained(s->out);
}

bool
sink_congested(const struct sink *s)
{
	if (forward_sealed(s->forward))
		return forward_tight(s->forward);
	return s->queue.octets >= s->conf->queue_octets / 4 * 3 &&
	       forward_tight(s->forward);
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
	rc = forward_open(s, error);
	if (rc)
		return rc;
	rc = net_out_open(s->exporting->base, &conf->net, &out_ops, s, &s->out,
			  error);
	conf->net.secure = NULL; /* the caller's, as are these */
	conf->net.sctp.remote = conf->net.sctp.local = NULL;
	conf->net.listen.local = conf->net.listen.allowed = NULL;
	return rc;
}

void
sink_end(struct sink *s)
{
	uint64_t left;

	if (!s->out)
		return;
	sink_settle(s);
	forward_ending(s->forward);
	/* What it cannot send it tells of ("down"). The rest has gone. */
	net_out_close(s->out, LINGER_MS);
	s->out = NULL;
	s->up = s->ready = s->opening = false;
	control_drop(s);
	while (s->flight_count)
		flight_export(s);
	forward_end(s->forward);
	left = s->queue.records + s->open_records + s->text_records;
	sink_lose(s, left, LOSS_DESTINATION_DOWN);
	s->ledger.held = forward_held(s->forward);
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
	forward_close(s->forward);
	s->forward = NULL;
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
