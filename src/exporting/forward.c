/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Store and forward: between a sink and its spool.
 *
 * What is stored are finished messages as they would be sent, each behind the
 * Templates and options (forward_options.c) that the segment does not have yet,
 * so each segment is an IPFIX file that can be read by itself. Its sequence
 * numbers are those of a session (RFC 5655 section 5). An id whose Template is
 * freed is withdrawn in the segment.
 *
 * What is replayed is said in forward_replay.c, and what is sent again because
 * the peer may not have it, in forward_window.c.
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
#include "forward.h"

/* ---- storing ---------------------------------------------------------------
 */

/* RFC 5655 section 5: as if the segment were a session. */
uint32_t
forward_count_on(struct forward *f, struct channel *c, uint32_t records)
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

int
forward_append(struct forward *f, struct channel *c, struct message_writer *w,
	       enum loss *loss)
{
	uint32_t length = message_end(w, (uint32_t)(clock_wall_ms() / 1000));

	message_set_sequence(w->buffer, forward_count_on(f, c, w->records));
	return spool_append(f->spool, w->buffer, length, 0, 0, loss);
}

int
forward_store_template(struct forward *f, struct out_template *t,
		       enum loss *loss)
{
	uint64_t segment = spool_segment(f->spool);
	struct message_writer w;
	int rc;

	if (t->spooled == segment)
		return 0;
	message_begin(&w, f->buffer, MESSAGE_MAX, t->channel->number);
	message_add_template(&w, t->id, t->shape);
	forward_add_options(f, t, &w);
	rc = forward_append(f, t->channel, &w, loss);
	if (rc == 0)
		t->spooled = segment;
	return rc;
}

static int
store_needed(struct forward *f, struct channel *c, const uint8_t *message,
	     uint32_t length, enum loss *loss)
{
	const uint8_t *p = message + MESSAGE_HEADER, *end = message + length;
	int rc = 0;

	for (; p < end && rc == 0; p += wire_get16(p + 2)) {
		struct out_template *t =
			channel_template_by_id(c, wire_get16(p));

		for (uint16_t i = 0; rc == 0 && i < t->uses_count; i++)
			rc = forward_store_template(f, t->uses[i], loss);
		if (rc == 0)
			rc = forward_store_template(f, t, loss);
	}
	return rc;
}

/* Room for a message and for the options that are to be before it. */
static int
prepare(struct forward *f, const struct channel *c, uint32_t length,
	uint64_t *segment, enum loss *loss)
{
	uint32_t more = 0, needed = 0;
	int rc;

	do {
		more = needed;
		rc = forward_prepare(f, length + more, segment, loss);
		needed = rc ? 0 : forward_options_octets(f, c, *segment);
	} while (needed > more);
	return rc;
}

static int
store(struct forward *f, const struct queue_entry *entry, uint8_t *message,
      enum loss *loss)
{
	struct channel *c = entry->channel;
	uint64_t segment;
	int rc = prepare(f, c, entry->length, &segment, loss);

	if (rc == 0)
		rc = forward_store_options(f, c, segment, loss);
	if (rc == 0)
		rc = store_needed(f, c, message, entry->length, loss);
	if (rc)
		return rc;
	message_set_sequence(message, forward_count_on(f, c, entry->records));
	return spool_append(f->spool, message, entry->length, entry->records,
			    entry->flows, loss);
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
	if (forward_acknowledged(f))
		forward_wake(f);
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
	if (forward_append(f, t->channel, &w, &loss))
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

	if (forward_acknowledged(f))
		return true;
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

/* ---- a session, and its end ---------------------------------------------- */

void
forward_down(struct forward *f)
{
	if (!f)
		return;
	if (forward_window(f))
		forward_store_window(f);
	/* Parts of a message that will go again as a whole. */
	f->sink->ledger.split += f->told;
	f->told = 0;
	forward_unstage(f);
	if (forward_away(f))
		forward_store_queue(f);
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
	forward_await(f, now_ms);
	if (forward_away(f))
		forward_store_queue(f);
}

void
forward_stop(struct forward *f)
{
	/* What is acknowledged is sent to its end, if the peer is there. */
	if (f && !forward_acknowledged(f))
		f->stopped = true;
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
	if (forward_acknowledged(f))
		forward_answer_report(f, r);
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

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct forward *f = arg;

	sink_pump(f->sink);
}

static enum knowing
knowing_of(const struct sink *s)
{
	if (s->conf->kind == EXPORTING_TCP)
		return s->conf->acknowledged ? KNOW_RECORDS : KNOW_OCTETS;
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
	f->buffer = malloc(MESSAGE_MAX);
	f->original = malloc(MESSAGE_MAX);
	f->message = malloc(MESSAGE_MAX);
	f->part = malloc(MESSAGE_MAX);
	f->options = malloc(MESSAGE_MAX);
	f->turn = evtimer_new(s->exporting->base, on_turn, f);
	if (!f->buffer || !f->original || !f->message || !f->part ||
	    !f->options || !f->turn)
		return -ENOMEM;
	if (forward_window(f) && !forward_keeps(f)) {
		f->place = calloc(FLIGHT_MAX, sizeof(*f->place));
		if (!f->place)
			return -ENOMEM;
	}
	if (forward_seal_open(f))
		return -ENOMEM;
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
	template_store_free(f->answers);
	queue_fini(&f->window);
	free(f->place);
	queue_fini(&f->staged);
	if (f->turn)
		event_free(f->turn);
	free(f->seal[0]);
	free(f->seal[1]);
	free(f->buffer);
	free(f->original);
	free(f->message);
	free(f->part);
	free(f->options);
	free(f);
}
