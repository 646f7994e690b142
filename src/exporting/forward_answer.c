/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Acknowledgement between two Conflux, so that each record arrives once. IPFIX
 * has no way back; this is ours, of IANA's elements, so that a collector which
 * knows nothing of it reads them as what they are.
 *
 * Both ends say the same Options Data Record, in Observation Domain 0: scope
 * exportingProcessId (144), values exportedMessageTotalCount (41) and
 * exportedFlowRecordTotalCount (42). Here the id is the run of the spool (see
 * spool.h), and only Flow Records are counted: what options tell is a state,
 * and is told again in each session.
 *
 * From us: 42 is the number that the next Flow Record of that run has. It opens
 * a session, and comes again whenever records do not follow each other: another
 * run, or some that were lost here.
 *
 * From the collector: it has the first so many Messages of this session (41),
 * and all Flow Records of the run up to that number (42), in a way that
 * outlives its end. Until the first answer nothing else is sent; by what it
 * says we go on. It leaves out itself what comes a second time, so an answer
 * that was lost with the connection costs nothing.
 *
 * What was sent stays in the spool until the collector has it. Everything goes
 * by way of the spool, so that it is safe from the end of this process before
 * it is sent, and is there to be sent again.
 */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>

#include "forward.h"

enum {
	ANSWER_MS = 10000, /* to wait for the first one */
	RECORD_OCTETS = 20,
	TEMPLATES_MAX = 64,
};

bool
forward_acknowledged(const struct forward *f)
{
	return f && f->knowing == KNOW_RECORDS;
}

/* ---- what we say --------------------------------------------------------- */

static int
tell(struct forward *f, uint32_t run, uint64_t position)
{
	struct sink *s = f->sink;
	const struct exporting *e = s->exporting;
	struct channel *c = channel_numbered(s, 0);
	uint8_t record[RECORD_OCTETS];
	int r;

	if (!c)
		return -EAGAIN;
	wire_put32(record, run);
	wire_put64(record + 4, f->window_end + f->window.messages);
	wire_put64(record + 12, position);
	r = control_add_record(s, c, e->option_shape[OPTION_SHAPE_POSITION],
			       record, sizeof(record));
	if (r)
		return r;
	f->peer_run = run;
	f->peer_next = position;
	return 0;
}

int
forward_announce(struct forward *f, const struct queue_entry *entry)
{
	if (!forward_acknowledged(f) ||
	    (entry->run == f->peer_run && entry->position == f->peer_next))
		return 0;
	return tell(f, entry->run, entry->position);
}

/* Where the first message is that waits, or the next one will be. */
static int
greet(struct forward *f)
{
	const struct queue_entry *first;
	uint8_t *message;

	if (!f->staged.messages)
		forward_fill(f);
	first = queue_peek(&f->staged, &message);
	if (first)
		return tell(f, first->run, first->position);
	if (f->pending)
		return tell(f, f->run, f->position);
	return tell(f, spool_run(f->spool), spool_position(f->spool));
}

int
forward_greet(struct forward *f)
{
	int r;

	if (!forward_acknowledged(f) || f->answered)
		return 0;
	if (!f->greeted) {
		r = greet(f);
		if (r)
			return r;
		f->greeted = true;
		f->greeted_ms = f->sink->exporting->now_ms;
	}
	control_send(f->sink);
	return -EAGAIN;
}

void
forward_await(struct forward *f, uint64_t now_ms)
{
	if (forward_acknowledged(f) && f->greeted && !f->answered &&
	    now_ms - f->greeted_ms >= ANSWER_MS)
		net_out_break(f->sink->out,
			      "it does not acknowledge what it gets, expected "
			      "a collector with cx:acknowledgement; without it "
			      "nothing is sent");
}

/* ---- what comes back ----------------------------------------------------- */

static void
refuse(struct forward *f, const char *why)
{
	net_out_break(f->sink->out, why);
}

/* The session may begin, behind what the peer has. */
static bool
take_first(struct forward *f, uint32_t run, uint64_t position)
{
	if (!f->greeted || run != f->peer_run) {
		refuse(f, "it acknowledges what was not announced");
		return false;
	}
	f->answered = true;
	if (position > f->peer_next) {
		log_info("destination %s: it has %" PRIu64 " records of those "
			 "that waited",
			 f->sink->conf->name, position - f->peer_next);
		forward_unstage(f);
		spool_had(f->spool, run, position);
	}
	return true;
}

static void
take(struct forward *f, uint32_t run, uint64_t messages, uint64_t position)
{
	struct sink *s = f->sink;

	sink_settle(s);
	if (messages > f->window_end + f->window.messages ||
	    (run == spool_run(f->spool) &&
	     position > spool_position(f->spool))) {
		refuse(f, "it acknowledges what was not sent");
		return;
	}
	if (!f->answered && !take_first(f, run, position))
		return;
	f->acked_run = run;
	f->acked = position;
	if (messages > f->acked_messages)
		f->acked_messages = messages;
	sink_settle(s);
}

static void
read_set(struct forward *f, uint32_t domain, const struct set *set)
{
	const struct exporting *e = f->sink->exporting;
	const uint8_t *p = set->content;
	const struct template *t;

	if (set->id < SET_DATA_MIN) {
		template_store_read(f->answers, domain, set->id, p, set->length,
				    0, 0, NULL, NULL);
		return;
	}
	t = template_store_find(f->answers, domain, set->id, 0, 0);
	if (!t || t->shape != e->option_shape[OPTION_SHAPE_POSITION])
		return;
	for (uint32_t at = 0; at + RECORD_OCTETS <= set->length;
	     at += RECORD_OCTETS)
		take(f, wire_get32(p + at), wire_get64(p + at + 4),
		     wire_get64(p + at + 12));
}

/* False: it is no message that we could understand. */
static bool
read_message(struct forward *f, const uint8_t *message, size_t length)
{
	struct message_reader reader;
	struct set set;

	if (message_open(&reader, message, length))
		return false;
	while (message_next_set(&reader, &set))
		read_set(f, reader.header.domain, &set);
	return !reader.reason;
}

/* Octets of the whole message in front, 0: not yet, < 0: none can be. */
static int
whole(const struct forward *f)
{
	int length = message_frame(f->answer, f->answer_have);

	if (length > FORWARD_ANSWER_MAX)
		return -EMSGSIZE;
	return length > 0 && (uint32_t)length > f->answer_have ? 0 : length;
}

void
forward_answer(struct forward *f, const uint8_t *octets, size_t count)
{
	int length;

	if (!forward_acknowledged(f))
		return;
	while (count) {
		size_t n = FORWARD_ANSWER_MAX - f->answer_have;

		if (n > count)
			n = count;
		memcpy(f->answer + f->answer_have, octets, n);
		f->answer_have += (uint32_t)n;
		octets += n;
		count -= n;
		while ((length = whole(f)) > 0) {
			if (!read_message(f, f->answer, (size_t)length))
				length = -EBADMSG;
			if (length < 0)
				break;
			f->answer_have -= (uint32_t)length;
			memmove(f->answer, f->answer + length, f->answer_have);
		}
		if (length < 0) {
			f->answer_have = 0;
			refuse(f, "what came back is no acknowledgement");
			return;
		}
	}
	sink_pump(f->sink);
}

/* ---- a session ----------------------------------------------------------- */

int
forward_answer_begin(struct forward *f)
{
	const struct exporting *e = f->sink->exporting;
	const struct template_limits limits = {
		.max_templates = TEMPLATES_MAX,
		.max_fields = TEMPLATES_MAX,
		.max_unknown = TEMPLATES_MAX,
	};

	template_store_free(f->answers);
	f->answers = template_store_new(&limits, e->registry, e->shapes);
	f->answer_have = 0;
	f->greeted = f->answered = false;
	f->peer_run = 0;
	f->acked_messages = 0;
	return f->answers ? 0 : -ENOMEM;
}

void
forward_wake(struct forward *f)
{
	event_active(f->turn, EV_TIMEOUT, 0);
}

void
forward_answer_report(const struct forward *f, struct report *r)
{
	report_open(r, "acknowledgement");
	report_bool(r, "answered", f->sink->up && f->answered);
	report_uint(r, "run", spool_run(f->spool));
	report_uint(r, "position", spool_position(f->spool));
	if (f->acked_run) {
		report_uint(r, "acknowledgedRun", f->acked_run);
		report_uint(r, "acknowledged", f->acked);
	}
	report_uint(r, "knownBeforeRecords", f->had);
	report_close(r);
}
