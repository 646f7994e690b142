/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * DTLS over SCTP (RFC 6083) as a stack on top of another one: associations of
 * this one are those of the stack below with a session of DTLS in each. Their
 * users see an association that is up once both ends have proved who they are,
 * messages in clear, and the reason when it does not come to that.
 *
 * What RFC 6083 asks for, and how it is met:
 *   4.1  no replay window: messages of different streams overtake each other
 *   4.2  no retransmission by DTLS, the association is reliable
 *   4.4  one record is one user message
 *   4.5  handshake, alerts and the rest go on stream 0, in order, for ever;
 *        data on the stream and in the way that it is asked for
 *   4.6  all before a ChangeCipherSpec or the end has been acknowledged first
 *   4.8  SCTP-AUTH of data, with a key that both ends derive from the session:
 *        added when its secret is known, in use from our Finished on, and the
 *        empty key of before is removed
 *
 * A Finished that comes before its receiver has added the key would be dropped
 * and repeated a second later: so it is held back for FINISHED_MS. Sessions are
 * not resumed, as then the client's Finished is the last message and data on
 * another stream could overtake it. There is no renegotiation: a new
 * association takes the place of an old one (draft-mentz-ipfix-dtls-
 * recommendations section 4). The payload protocol is 0, since RFC 7011 names
 * none.
 *
 * A server's associations that are not up are this file's own: few, and not for
 * long. All runs in the loop of the endpoint.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "conflux/clock.h"
#include "conflux/dtls.h"
#include "conflux/wire.h"
#include "sctp.h"
#include "timer.h"

enum {
	RECORD_MAX = DTLS_DATAGRAM_MAX + 1024,
	KEY = 1,	  /* number of the key of the session */
	WAITING_MAX = 64, /* records that wait; a handshake has 20 */
	EVENTS = 64,	  /* of one association in a row */
	FINISHED_MS = 30,
	POLL_MS = 20,  /* is all acknowledged now? */
	TICK_MS = 500, /* how does the handshake get on? */
	END_MS = 1000, /* for an alert to arrive */
};

/* Number of messages of ours, which users don't know of. */
#define OURS UINT32_MAX

struct waiting {
	STAILQ_ENTRY(waiting) link;
	struct assoc_send how;
	size_t length;
	uint8_t data[];
};

struct secured {
	struct assoc assoc; /* as its user has it */
	struct assoc_endpoint *endpoint;
	struct assoc *under;
	struct dtls *dtls;
	struct addr remote;
	TAILQ_ENTRY(secured) link; /* of handshakes, if it is not told yet */
	bool told;		   /* its user has it */
	bool up, tell_up;
	bool over;    /* nothing more comes from below */
	bool lost;    /* told to the user, or being refused */
	bool closing; /* shut down, once all of ours is out */
	bool keyed;   /* our key is in use */
	bool old_key; /* the empty one is to be removed */
	uint16_t streams_out, streams_in;
	const struct assoc_send *how; /* of the message in dtls_write */
	int sent;		      /* what became of it: 0 or an error */
	STAILQ_HEAD(, waiting) waiting;
	unsigned waiting_count;
	uint64_t held_ms;   /* until then our Finished is */
	struct event *hold; /* looks at what waits */
	struct event *deadline;
	struct event *beat; /* heartbeats, of a client */
	unsigned missed;    /* in a row */
	uint32_t window;    /* of the peer, at the last of them */
	uint8_t *record;    /* one that comes in parts */
	size_t have;
	char suite[96];
	char reason[600];
};

/* The tag is that of all stacks; this is what it is here. */
struct assoc_endpoint {
	const struct sctp_stack *stack; /* below */
	struct assoc_endpoint *under;
	struct event_base *base;
	const struct assoc_ops *ops;
	void *arg;
	struct dtls_context *context;
	uint32_t handshake_ms;
	struct net_dtls_conf dtls;
	TAILQ_HEAD(, secured) handshakes;
	unsigned handshake_count;
	uint8_t scratch[RECORD_MAX];
};

/* ---- records out ----------------------------------------------------------
 */

static int
pass_down(struct secured *s, const uint8_t *record, size_t length,
	  const struct assoc_send *how)
{
	return s->endpoint->stack->send(s->under, record, length, how);
}

/* Must the record wait? Until when is looked at by the timer, and by events. */
static bool
must_wait(struct secured *s, const uint8_t *record)
{
	const struct sctp_stack *stack = s->endpoint->stack;
	bool handshake = record[0] == DTLS_HANDSHAKE &&
			 wire_get16(record + DTLS_EPOCH) > 0;

	if (record[0] == DTLS_CHANGE_CIPHER_SPEC ||
	    (record[0] == DTLS_ALERT && s->up))
		return !stack->idle(s->under);
	if (!handshake || s->keyed)
		return false;
	if (clock_mono_ms() < s->held_ms)
		return true;
	stack->key_use(s->under, KEY);
	s->keyed = true;
	return false;
}

/* 0, -EAGAIN: it waits, or why it can't be sent. */
static int
send_record(struct secured *s, const uint8_t *record, size_t length,
	    const struct assoc_send *how)
{
	int rc;

	if (must_wait(s, record)) {
		timer_start(s->hold, POLL_MS);
		return -EAGAIN;
	}
	rc = pass_down(s, record, length, how);
	if (rc == 0 && record[0] == DTLS_CHANGE_CIPHER_SPEC)
		s->held_ms = clock_mono_ms() + FINISHED_MS;
	return rc;
}

/* 0 or -ENOMEM: a handshake will time out. */
static int
keep(struct secured *s, const uint8_t *record, size_t length,
     const struct assoc_send *how)
{
	struct waiting *w;

	if (s->waiting_count == WAITING_MAX)
		return -ENOMEM;
	w = malloc(sizeof(*w) + length);
	if (!w)
		return -ENOMEM;
	w->how = *how;
	w->length = length;
	memcpy(w->data, record, length);
	STAILQ_INSERT_TAIL(&s->waiting, w, link);
	s->waiting_count++;
	return 0;
}

/* A record of DTLS: data of the user, or the session's own. */
static void
on_send(void *arg, const uint8_t *record, size_t length)
{
	static const struct assoc_send ours = {.number = OURS};
	struct secured *s = arg;
	const struct assoc_send *how = s->how ? s->how : &ours;
	int rc = -EAGAIN;

	if (s->over || length < DTLS_HEADER)
		return;
	if (!s->waiting_count)
		rc = send_record(s, record, length, how);
	if (rc == -EAGAIN)
		rc = keep(s, record, length, how);
	if (s->how)
		s->sent = rc;
}

static void
drop_waiting(struct secured *s)
{
	struct waiting *w = STAILQ_FIRST(&s->waiting);

	STAILQ_REMOVE_HEAD(&s->waiting, link);
	s->waiting_count--;
	free(w);
}

/*
 * Sends what waits as far as it may go now. A message of the user's that the
 * stack does not take any more, as the peer ends the association, waits for
 * that end: then it is given back.
 */
static void
flush(struct secured *s)
{
	struct waiting *w;
	int rc;

	while (!s->over && (w = STAILQ_FIRST(&s->waiting))) {
		rc = send_record(s, w->data, w->length, &w->how);
		if (rc == -EAGAIN || (rc < 0 && w->how.number != OURS))
			return;
		drop_waiting(s);
	}
	if (s->closing && !s->over)
		s->endpoint->stack->shutdown(s->under);
	s->closing = false;
}

static void
remove_old_key(struct secured *s)
{
	if (s->old_key && s->up &&
	    s->endpoint->stack->key_remove(s->under, 0) != -EAGAIN)
		s->old_key = false;
}

/* The secret of the session is known. */
static void
on_key(void *arg, const uint8_t *key, size_t length)
{
	struct secured *s = arg;

	if (s->endpoint->stack->key_add(s->under, KEY, key, length) == 0)
		s->old_key = true;
}

/* ---- from the handshake to the end ----------------------------------------
 */

static void
secured_free(struct assoc *assoc)
{
	struct secured *s = (struct secured *)assoc;

	if (!s)
		return;
	if (!s->told) {
		TAILQ_REMOVE(&s->endpoint->handshakes, s, link);
		s->endpoint->handshake_count--;
	}
	s->endpoint->stack->free(s->under);
	while (s->waiting_count)
		drop_waiting(s);
	dtls_free(s->dtls);
	if (s->hold)
		event_free(s->hold);
	if (s->deadline)
		event_free(s->deadline);
	if (s->beat)
		event_free(s->beat);
	free(s->record);
	free(s);
}

/*
 * It does not come about, or goes on no more. An alert may be on its way: the
 * association is ended in order, and aborted if that takes too long.
 */
static void
lose(struct secured *s, const char *reason)
{
	struct assoc_endpoint *e = s->endpoint;

	if (s->lost)
		return;
	s->lost = true;
	snprintf(s->reason, sizeof(s->reason), "%s", reason);
	if (!s->told && e->ops->rejected)
		e->ops->rejected(e->arg, &s->remote, dtls_peer(s->dtls),
				 dtls_rejected(s->dtls), s->reason);
	s->closing = true;
	flush(s);
	if (!s->told)
		timer_start(s->deadline, END_MS);
}

/* What a call to the session has made of it. */
static void
look(struct secured *s)
{
	switch (dtls_state(s->dtls)) {
	case DTLS_UP:
		if (s->up)
			break;
		s->up = s->tell_up = true;
		evtimer_del(s->deadline);
		dtls_describe(s->dtls, s->suite, sizeof(s->suite));
		remove_old_key(s);
		s->window = s->endpoint->stack->window(s->under);
		if (s->endpoint->dtls.heartbeat_ms &&
		    dtls_has_heartbeat(s->dtls))
			timer_start(s->beat, s->endpoint->dtls.heartbeat_ms);
		break;
	case DTLS_FAILED:
		lose(s, dtls_reason(s->dtls));
		break;
	case DTLS_SHAKING:
	case DTLS_ENDED: /* that of the association follows */
		break;
	}
}

/*
 * What the peer has acknowledged and not read takes from its window, and so
 * does each request: a window that gets smaller is that of one who doesn't
 * read.
 */
static void
count_missed(struct secured *s)
{
	uint32_t before = s->window;

	if (!s->endpoint->stack->idle(s->under))
		return;
	s->window = s->endpoint->stack->window(s->under);
	s->missed = s->window < before ? 0 : s->missed + 1;
}

/*
 * A request goes once, as SCTP repeats it (RFC 6520 section 3); the next one
 * goes when its time is over, answered or not. While a collector does not read,
 * for what is behind it is slow, requests wait with the data before them, on
 * this end or on its own: that tells nothing of it, and SCTP finds by itself
 * whether it is there. So only those count that it must have read.
 */
static void
on_beat(evutil_socket_t fd, short what, void *arg)
{
	struct secured *s = arg;
	struct assoc_endpoint *e = s->endpoint;
	uint64_t now = clock_mono_ms();
	enum dtls_probe last;

	if (s->over || s->lost || dtls_state(s->dtls) != DTLS_UP)
		return;
	dtls_tick(s->dtls, now);
	last = dtls_probe_result(s->dtls);
	if (last == DTLS_PROBE_ANSWERED) {
		s->missed = 0;
		s->window = e->stack->window(s->under);
	} else if (last != DTLS_PROBE_NONE) {
		count_missed(s);
	}
	if (s->missed >= e->dtls.heartbeat_tries) {
		lose(s, "the peer does not answer heartbeats");
		e->ops->ready(e->arg, &s->assoc, true, false);
		return;
	}
	dtls_probe(s->dtls, 0, 1, e->dtls.heartbeat_ms, now);
	timer_start(s->beat, e->dtls.heartbeat_ms);
}

static void
on_hold(evutil_socket_t fd, short what, void *arg)
{
	struct secured *s = arg;
	bool shaking = dtls_state(s->dtls) == DTLS_SHAKING && !s->over;

	if (shaking) {
		dtls_tick(s->dtls, clock_mono_ms());
		look(s);
		timer_start(s->hold, TICK_MS);
	}
	flush(s);
	if (shaking && s->lost && s->told)
		s->endpoint->ops->ready(s->endpoint->arg, &s->assoc, true,
					false);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct secured *s = arg;
	struct assoc_endpoint *e = s->endpoint;

	if (!s->told && s->lost) {
		secured_free(&s->assoc);
		return;
	}
	lose(s, "the peer does not go on with the DTLS handshake");
	if (s->told)
		e->ops->ready(e->arg, &s->assoc, true, false);
}

static struct secured *
secured_new(struct assoc_endpoint *e, struct assoc *under,
	    const struct addr *remote)
{
	struct dtls_conf conf = {
		.remote = remote,
		.send = on_send,
		.over_sctp = true,
		.heartbeat = e->dtls.heartbeat,
		.handshake_ms = e->handshake_ms,
		.key = on_key,
	};
	struct secured *s = calloc(1, sizeof(*s));
	char *error = NULL;

	if (!s)
		return NULL;
	s->assoc.stack = &sctp_secured;
	s->endpoint = e;
	s->under = under;
	s->remote = *remote;
	STAILQ_INIT(&s->waiting);
	conf.arg = s;
	s->dtls = dtls_new(e->context, &conf, clock_mono_ms(), &error);
	s->hold = evtimer_new(e->base, on_hold, s);
	s->deadline = evtimer_new(e->base, on_deadline, s);
	s->beat = evtimer_new(e->base, on_beat, s);
	free(error);
	TAILQ_INSERT_TAIL(&e->handshakes, s, link);
	e->handshake_count++;
	if (!s->dtls || !s->hold || !s->deadline || !s->beat) {
		s->under = NULL;
		secured_free(&s->assoc);
		return NULL;
	}
	under->user = s;
	timer_start(s->deadline, e->handshake_ms);
	return s;
}

static void
told(struct secured *s)
{
	TAILQ_REMOVE(&s->endpoint->handshakes, s, link);
	s->endpoint->handshake_count--;
	s->told = true;
}

/* ---- records in -----------------------------------------------------------
 */

/* Returns the whole record, or NULL: more is to come, or it was lost. */
static const uint8_t *
take_part(struct secured *s, const uint8_t *data,
	  const struct assoc_event *event, size_t *length)
{
	size_t want = s->have + event->length;

	*length = event->length;
	if (!s->have && event->end)
		return data;
	if (want > RECORD_MAX) {
		lose(s, "what came is no record of DTLS");
		return NULL;
	}
	if (!s->record)
		s->record = malloc(RECORD_MAX);
	if (!s->record) {
		lose(s, "out of memory");
		return NULL;
	}
	memcpy(s->record + s->have, data, event->length);
	s->have = event->end ? 0 : want;
	*length = want;
	return event->end ? s->record : NULL;
}

/* Returns true if data has a message now, and the event its length. */
static bool
take_record(struct secured *s, uint8_t *data, size_t size,
	    struct assoc_event *event)
{
	size_t length;
	const uint8_t *record = take_part(s, data, event, &length);
	ssize_t n;

	if (!record)
		return false;
	dtls_input(s->dtls, record, length, clock_mono_ms());
	n = dtls_read(s->dtls, data, size);
	look(s);
	if (n <= 0)
		return false;
	event->length = (size_t)n;
	event->end = true;
	return true;
}

static void
set_event(struct assoc_event *event, enum assoc_event_kind kind)
{
	memset(event, 0, sizeof(*event));
	event->kind = kind;
}

/*
 * An end in order is one that DTLS has announced: that of SCTP alone can be
 * made by anybody on the path.
 */
static bool
take_end(struct secured *s, struct assoc_event *event)
{
	s->over = true;
	if (s->up && dtls_state(s->dtls) == DTLS_UP) {
		lose(s, "the association was cut, not closed: the end of DTLS "
			"is missing");
		set_event(event, ASSOC_LOST);
		event->reason = s->reason;
	}
	return true;
}

/* Returns true if the event is the user's, too. */
static bool
take(struct secured *s, uint8_t *data, size_t size, struct assoc_event *event)
{
	switch (event->kind) {
	case ASSOC_DATA:
		return take_record(s, data, size, event);
	case ASSOC_DATA_CUT:
		s->have = 0;
		return s->up;
	case ASSOC_UP:
		s->streams_out = event->streams_out;
		s->streams_in = event->streams_in;
		dtls_tick(s->dtls, clock_mono_ms()); /* a client begins */
		look(s);
		if (!evtimer_pending(s->hold, NULL))
			timer_start(s->hold, TICK_MS);
		return false;
	case ASSOC_RESTARTED: /* and knows no keys any more */
		lose(s, "the peer began anew");
		return false;
	case ASSOC_UNDELIVERED:
		return event->number != OURS;
	case ASSOC_DRY:
		flush(s);
		remove_old_key(s);
		return s->up && !s->waiting_count;
	case ASSOC_ENDED:
		return take_end(s, event);
	case ASSOC_LOST:
		s->over = true;
		return true;
	default:
		return true;
	}
}

/* The next message of the user's that waits and will not go any more. */
static bool
give_back(struct secured *s, struct assoc_event *event)
{
	struct waiting *w;

	while ((w = STAILQ_FIRST(&s->waiting))) {
		set_event(event, ASSOC_UNDELIVERED);
		event->number = w->how.number;
		drop_waiting(s);
		if (event->number != OURS)
			return true;
	}
	return false;
}

static int
secured_receive(struct assoc *assoc, void *data, size_t size,
		struct assoc_event *event)
{
	struct secured *s = (struct secured *)assoc;
	int rc;

	for (;;) {
		if (s->tell_up) {
			s->tell_up = false;
			set_event(event, ASSOC_UP);
			event->streams_out = s->streams_out;
			event->streams_in = s->streams_in;
			return 0;
		}
		if (s->lost && !s->over) {
			s->over = true;
			set_event(event, ASSOC_LOST);
			event->reason = s->reason;
			return 0;
		}
		rc = s->endpoint->stack->receive(s->under, data, size, event);
		if ((rc == -ENOTCONN || (rc < 0 && s->over)) &&
		    give_back(s, event))
			return 0;
		if (rc < 0)
			return rc;
		if (take(s, data, size, event))
			return 0;
	}
}

/* ---- what the stack below tells --------------------------------------------
 */

/* A server's association that its user does not know yet. */
static void
shake_hands(struct secured *s)
{
	struct assoc_endpoint *e = s->endpoint;
	struct assoc_event event;
	int rc = 0;

	for (int i = 0; i < EVENTS && rc == 0 && !s->tell_up; i++) {
		rc = e->stack->receive(s->under, e->scratch, sizeof(e->scratch),
				       &event);
		if (rc == 0)
			take(s, e->scratch, sizeof(e->scratch), &event);
		if (s->over && !s->lost)
			lose(s, "the peer went away before it had proved who "
				"it is");
		if (s->over)
			rc = -ENOTCONN;
	}
	if (rc == -ENOTCONN) {
		secured_free(&s->assoc);
	} else if (s->tell_up) {
		s->tell_up = false;
		told(s);
		e->ops->accepted(e->arg, &s->assoc);
	}
}

static void
on_accepted(void *arg, struct assoc *under)
{
	struct assoc_endpoint *e = arg;
	struct addr local, remote = {0};
	uint32_t id;

	e->stack->names(under, &local, &remote, &id);
	if (e->handshake_count >= e->dtls.max_handshakes)
		e->ops->rejected(e->arg, &remote, "", false,
				 "too many handshakes are under way");
	else if (secured_new(e, under, &remote))
		return;
	e->stack->free(under);
}

static void
on_ready(void *arg, struct assoc *under, bool read, bool write)
{
	struct assoc_endpoint *e = arg;
	struct secured *s = under->user;

	if (!s)
		return;
	flush(s);
	if (s->told)
		e->ops->ready(e->arg, &s->assoc, read,
			      write && !s->waiting_count);
	else
		shake_hands(s);
}

static void
on_starved(void *arg, int error)
{
	struct assoc_endpoint *e = arg;

	e->ops->starved(e->arg, error);
}

static const struct assoc_ops under_ops = {
	.accepted = on_accepted,
	.ready = on_ready,
	.starved = on_starved,
};

/* ---- endpoints ------------------------------------------------------------
 */

static void
secured_close(struct assoc_endpoint *e)
{
	while (!TAILQ_EMPTY(&e->handshakes))
		secured_free(&TAILQ_FIRST(&e->handshakes)->assoc);
	if (e->under)
		e->stack->close(e->under);
	dtls_context_free(e->context);
	free(e);
}

static int
secured_open(struct event_base *base, const struct assoc_conf *conf,
	     const struct assoc_ops *ops, void *arg,
	     struct assoc_endpoint **out, char **error)
{
	struct assoc_endpoint *e = calloc(1, sizeof(*e));
	struct assoc_conf below = *conf;
	int rc;

	if (!e)
		return -ENOMEM;
	e->stack = conf->below;
	e->base = base;
	e->ops = ops;
	e->arg = arg;
	e->dtls = *conf->dtls;
	e->handshake_ms =
		conf->handshake_ms ? conf->handshake_ms : DTLS_HANDSHAKE_MS;
	TAILQ_INIT(&e->handshakes);
	below.authenticated = true;
	/* Both ends speak in the handshake. */
	if (!below.streams_out)
		below.streams_out = 1;
	rc = dtls_context_new(conf->secure, &e->context, error);
	if (rc == 0)
		rc = e->stack->open(base, &below, &under_ops, e, &e->under,
				    error);
	if (rc < 0)
		secured_close(e);
	else
		*out = e;
	return rc;
}

static int
secured_listen(struct assoc_endpoint *e)
{
	return e->stack->listen(e->under);
}

static void
secured_pause(struct assoc_endpoint *e, bool pause)
{
	e->stack->pause(e->under, pause);
}

static uint16_t
secured_port(const struct assoc_endpoint *e)
{
	return e->stack->port(e->under);
}

static int
secured_connect(struct assoc_endpoint *e, const struct addr *remote,
		unsigned count, struct assoc **out)
{
	struct assoc *under;
	struct secured *s;
	int rc = e->stack->connect(e->under, remote, count, &under);

	if (rc < 0)
		return rc;
	s = secured_new(e, under, remote);
	if (!s) {
		e->stack->free(under);
		return -ENOMEM;
	}
	told(s);
	*out = &s->assoc;
	return 0;
}

/* ---- associations ---------------------------------------------------------
 */

static int
secured_send(struct assoc *assoc, const void *data, size_t length,
	     const struct assoc_send *how)
{
	struct secured *s = (struct secured *)assoc;
	int rc;

	if (s->waiting_count)
		return -EAGAIN;
	s->how = how;
	s->sent = -ENOTCONN;
	rc = dtls_write(s->dtls, data, length, clock_mono_ms());
	s->how = NULL;
	if (rc == -ENOTCONN)
		look(s);
	return rc < 0 ? rc : s->sent;
}

static void
secured_watch(struct assoc *assoc, bool read)
{
	struct secured *s = (struct secured *)assoc;

	s->endpoint->stack->watch(s->under, read);
}

static void
secured_wait(struct assoc *assoc, unsigned ms)
{
	struct secured *s = (struct secured *)assoc;

	/* The loop stands still meanwhile, and with it the timer. */
	flush(s);
	s->endpoint->stack->wait(
		s->under, s->waiting_count && ms > POLL_MS ? POLL_MS : ms);
}

static bool
secured_idle(struct assoc *assoc)
{
	struct secured *s = (struct secured *)assoc;

	return !s->waiting_count && s->endpoint->stack->idle(s->under);
}

static int
secured_shutdown(struct assoc *assoc)
{
	struct secured *s = (struct secured *)assoc;

	if (s->over)
		return 0;
	dtls_end(s->dtls, clock_mono_ms());
	s->closing = true;
	flush(s);
	return 0;
}

static int
secured_abort(struct assoc *assoc)
{
	struct secured *s = (struct secured *)assoc;

	return s->endpoint->stack->abort(s->under);
}

static void
secured_names(struct assoc *assoc, struct addr *local, struct addr *remote,
	      uint32_t *id)
{
	struct secured *s = (struct secured *)assoc;

	s->endpoint->stack->names(s->under, local, remote, id);
}

static void
secured_peer(struct assoc *assoc, const char **peer, const char **suite)
{
	struct secured *s = (struct secured *)assoc;

	*peer = dtls_peer(s->dtls);
	*suite = s->suite;
}

static bool
secured_heartbeat(const struct assoc *assoc)
{
	return dtls_has_heartbeat(((const struct secured *)assoc)->dtls);
}

static const char *
secured_revoked(const struct assoc *assoc)
{
	return dtls_revoked(((const struct secured *)assoc)->dtls);
}

const struct sctp_stack sctp_secured = {
	.name = "secured",
	.open = secured_open,
	.close = secured_close,
	.listen = secured_listen,
	.pause = secured_pause,
	.port = secured_port,
	.connect = secured_connect,
	.send = secured_send,
	.receive = secured_receive,
	.watch = secured_watch,
	.wait = secured_wait,
	.idle = secured_idle,
	.shutdown = secured_shutdown,
	.abort = secured_abort,
	.free = secured_free,
	.names = secured_names,
	.peer = secured_peer,
	.heartbeat = secured_heartbeat,
	.revoked = secured_revoked,
};
