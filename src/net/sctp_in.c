/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Associations in. RFC 7011 section 10.2: an IPFIX Message is one user message
 * of SCTP, on any stream, in order or not; an association is one Transport
 * Session. All local addresses are those of one endpoint (a host with several).
 *
 * A message that comes in parts is put together with its association, up to
 * NET_MESSAGE_MAX octets; a whole one is handed out from a buffer that all
 * share. If a peer begins anew within an association, its old session ends and
 * a new one begins.
 *
 * What SCTP has acknowledged to a peer is read before we end: a peer counts it
 * as delivered.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "in.h"
#include "sctp.h"
#include "socket.h"

enum {
	EVENTS = 64, /* of one association in a row */
	SWEEP_MS = 1000,
	ACCEPT_PAUSE_MS = 500, /* when there is no memory or descriptor */
	CLOSE_MS = 1000,       /* for all associations, to end in order */
	CLOSE_WAIT_MS = 20,
};

struct sctp_session {
	struct net_session session;
	struct sctp_in *in;
	struct assoc *assoc;
	uint32_t index;	  /* in the list of sessions */
	uint64_t seen_ms; /* monotonic */
	uint8_t *part;	  /* the beginning of a message */
	size_t have;	  /* octets of it */
	size_t size;	  /* of the memory */
};

struct sctp_in {
	struct net_in in;
	const struct sctp_stack *stack;
	const struct sctp_stack *below; /* of sctp_secured, or the same */
	struct assoc_endpoint *endpoint;
	bool started; /* the stack was */
	struct sctp_session **session;
	uint32_t session_count, session_size;
	struct event *sweep, *retry, *reaccept;
	bool stopped; /* not reading: the receiver isn't ready */
	struct log_limit accept_log, path_log;
	uint8_t scratch[NET_MESSAGE_MAX + 1];
};

static void
session_end(struct sctp_session *s, const char *reason)
{
	struct sctp_in *in = s->in;
	struct sctp_session *last = in->session[--in->session_count];

	in->session[s->index] = last;
	last->index = s->index;
	in->in.ops->closed(in->in.arg, &s->session, reason, s->have);
	in->stack->free(s->assoc);
	free(s->part);
	free(s);
}

/* ---- reading ------------------------------------------------------------ */

/* Returns why the session must end, or NULL. */
static const char *
keep_part(struct sctp_session *s, const uint8_t *p, size_t length)
{
	size_t want = s->have + length;
	uint8_t *part;

	if (want > NET_MESSAGE_MAX)
		return "a message is longer than IPFIX has them";
	if (want > s->size) {
		part = realloc(s->part, want);
		if (!part)
			return "out of memory";
		s->part = part;
		s->size = want;
	}
	memcpy(s->part + s->have, p, length);
	s->have = want;
	return NULL;
}

static const char *
take_data(struct sctp_session *s, const struct assoc_event *event)
{
	struct sctp_in *in = s->in;
	const uint8_t *message = in->scratch;
	size_t length = event->length;
	const char *reason = NULL;

	s->seen_ms = clock_mono_ms();
	s->session.last_ms = clock_wall_ms();
	if (s->have || !event->end) {
		reason = keep_part(s, message, length);
		if (reason || !event->end)
			return reason;
		message = s->part;
		length = s->have;
		s->have = 0;
	}
	if (length > NET_MESSAGE_MAX)
		return "a message is longer than IPFIX has them";
	s->session.stream = event->stream;
	s->session.unordered = event->unordered;
	if (net_in_message(&in->in, &s->session, message, length) != 0)
		reason = "a message was not understood";
	/* Most messages come in one part: give the memory back. */
	if (s->part) {
		free(s->part);
		s->part = NULL;
		s->size = 0;
	}
	return reason;
}

/* The same association, and nothing of before is true any more. */
static const char *
begin_anew(struct sctp_session *s)
{
	struct net_in *in = &s->in->in;

	in->ops->closed(in->arg, &s->session, "the peer began anew", s->have);
	s->have = 0;
	s->session.user = NULL;
	s->session.messages = s->session.octets = 0;
	s->session.start_ms = s->session.last_ms = clock_wall_ms();
	if (in->ops->opened(in->arg, &s->session) == 0)
		return NULL;
	/* The owner does not know it: "closed" finds no user. */
	return "refused";
}

static void
log_path(struct sctp_session *s, const struct assoc_event *event)
{
	char peer[ADDR_TEXT_SIZE], path[ADDR_TEXT_SIZE];
	uint32_t held;

	if (log_limit_pass(&s->in->path_log, clock_mono_ms(), &held))
		log_warning("sctp %s: its address %s %s (%u lines held back)",
			    addr_format(peer, &s->session.remote),
			    addr_format_host(path, &event->address),
			    event->usable ? "can be reached again"
					  : "is out of reach",
			    held);
}

/* Reads one event. False: there was none, or the session is over. */
static bool
read_once(struct sctp_session *s)
{
	struct sctp_in *in = s->in;
	const char *reason = NULL;
	struct assoc_event event;
	int rc = in->stack->receive(s->assoc, in->scratch, sizeof(in->scratch),
				    &event);

	if (rc == -EAGAIN)
		return false;
	if (rc < 0) {
		session_end(s, s->have ? "it ended within a message" : NULL);
		return false;
	}
	switch (event.kind) {
	case ASSOC_DATA:
		reason = take_data(s, &event);
		break;
	case ASSOC_DATA_CUT:
		reason = s->have ? "a message was given up by the peer half-way"
				 : NULL;
		break;
	case ASSOC_RESTARTED:
		reason = begin_anew(s);
		break;
	case ASSOC_LOST:
		reason = sctp_lost_reason(&event);
		break;
	case ASSOC_ENDED:
		session_end(s, s->have ? "it ended within a message" : NULL);
		return false;
	case ASSOC_PATH:
		log_path(s, &event);
		break;
	default:
		break;
	}
	if (reason)
		session_end(s, reason);
	return !reason;
}

static void
stop_reading(struct sctp_in *in)
{
	static const struct timeval soon = {.tv_usec = NET_READY_MS * 1000};

	in->stopped = true;
	for (uint32_t i = 0; i < in->session_count; i++)
		in->stack->watch(in->session[i]->assoc, false);
	evtimer_add(in->retry, &soon);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct sctp_in *in = arg;

	if (!net_in_ready(&in->in)) {
		stop_reading(in);
		return;
	}
	in->stopped = false;
	for (uint32_t i = 0; i < in->session_count; i++)
		in->stack->watch(in->session[i]->assoc, true);
}

static void
on_ready(void *arg, struct assoc *assoc, bool read, bool write)
{
	struct sctp_in *in = arg;
	struct sctp_session *s = assoc->user;

	if (!s || !read || in->stopped)
		return;
	for (int i = 0; i < EVENTS; i++) {
		if (!net_in_ready(&in->in)) {
			stop_reading(in);
			return;
		}
		if (!read_once(s))
			return;
	}
}

/* ---- accepting ---------------------------------------------------------- */

static int
sessions_grow(struct sctp_in *in)
{
	uint32_t size = in->session_size ? in->session_size * 2 : 16;
	struct sctp_session **list;

	if (in->session_count < in->session_size)
		return 0;
	list = realloc(in->session, size * sizeof(*list));
	if (!list)
		return -ENOMEM;
	in->session = list;
	in->session_size = size;
	return 0;
}

static bool
session_room(struct sctp_in *in, const struct addr *remote)
{
	if (in->session_count < in->in.conf.max_sessions)
		return true;
	net_in_full(&in->in, "sctp", "associations", "it is aborted", remote);
	return false;
}

static void
on_accepted(void *arg, struct assoc *assoc)
{
	struct sctp_in *in = arg;
	struct sctp_session *s = calloc(1, sizeof(*s));

	if (!s)
		goto refuse;
	in->stack->names(assoc, &s->session.local, &s->session.remote,
			 &s->session.association);
	if (!session_room(in, &s->session.remote) || sessions_grow(in) < 0)
		goto refuse;
	s->in = in;
	s->assoc = assoc;
	s->session.transport = TRANSPORT_SCTP;
	s->session.start_ms = s->session.last_ms = clock_wall_ms();
	s->seen_ms = clock_mono_ms();
	if (in->stack->peer)
		in->stack->peer(assoc, &s->session.peer, &s->session.suite);
	if (in->in.ops->opened(in->in.arg, &s->session) != 0)
		goto refuse;
	assoc->user = s;
	s->index = in->session_count;
	in->session[in->session_count++] = s;
	if (in->stopped)
		in->stack->watch(assoc, false);
	return;

refuse:
	in->stack->free(assoc);
	free(s);
}

static void
on_starved(void *arg, int error)
{
	static const struct timeval later = {.tv_usec = ACCEPT_PAUSE_MS * 1000};
	struct sctp_in *in = arg;
	uint32_t held;

	if (log_limit_pass(&in->accept_log, clock_mono_ms(), &held))
		log_warning("sctp: no association can be accepted now: %s",
			    strerror(error));
	in->stack->pause(in->endpoint, true);
	evtimer_add(in->reaccept, &later);
}

static void
on_rejected(void *arg, const struct addr *remote, const char *peer, bool known,
	    const char *reason)
{
	struct sctp_in *in = arg;

	net_in_reject(&in->in, "dtls/sctp", remote, peer,
		      known ? NET_REFUSED_PEER : NET_REFUSED_HANDSHAKE, reason);
}

static void
on_reaccept(evutil_socket_t fd, short what, void *arg)
{
	struct sctp_in *in = arg;

	in->stack->pause(in->endpoint, false);
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct sctp_in *in = arg;
	uint64_t now = clock_mono_ms();

	/* While we don't read, silence is our own. */
	if (in->stopped)
		return;
	for (uint32_t i = in->session_count; i-- > 0;)
		if (now - in->session[i]->seen_ms > in->in.conf.idle_ms)
			session_end(in->session[i], "silent for too long");
}

/* ---- open and close ----------------------------------------------------- */

static const struct assoc_ops ops = {
	.accepted = on_accepted,
	.ready = on_ready,
	.starved = on_starved,
	.rejected = on_rejected,
};

static int
open_timers(struct sctp_in *in)
{
	static const struct timeval sweep = {.tv_sec = SWEEP_MS / 1000};

	in->retry = evtimer_new(in->in.base, on_retry, in);
	in->reaccept = evtimer_new(in->in.base, on_reaccept, in);
	if (!in->retry || !in->reaccept)
		return -ENOMEM;
	if (in->in.conf.idle_ms == 0)
		return 0;
	in->sweep = event_new(in->in.base, -1, EV_PERSIST, on_sweep, in);
	if (!in->sweep || event_add(in->sweep, &sweep) < 0)
		return -ENOMEM;
	return 0;
}

static int
sctp_in_open(struct net_in *net, char **error)
{
	struct sctp_in *in = (struct sctp_in *)net;
	const struct net_in_conf *conf = &net->conf;
	struct assoc_conf assoc_conf = {
		.local = conf->local,
		.local_count = conf->local_count,
		.port = conf->local_count ? conf->local[0].port : conf->port,
		.streams_out = 1,
		.streams_in = conf->sctp.streams,
		.receive_buffer = conf->receive_buffer,
		.secure = net->secure,
		.dtls = &conf->dtls,
		.handshake_ms = conf->handshake_ms,
	};
	char text[ADDR_TEXT_SIZE];
	int rc = open_timers(in);

	if (rc < 0)
		return rc;
	in->below = sctp_stack_choose(conf->sctp.stack, error);
	if (!in->below)
		return -EPROTONOSUPPORT;
	rc = in->below->start(conf->sctp.local_udp, 0, error);
	if (rc < 0)
		return rc;
	in->started = true;
	in->stack = net->secure ? &sctp_secured : in->below;
	assoc_conf.below = in->below;
	rc = in->stack->open(net->base, &assoc_conf, &ops, in, &in->endpoint,
			     error);
	if (rc == 0)
		rc = in->stack->listen(in->endpoint);
	if (rc < 0 && rc != -ENOMEM && !*error)
		*error = net_error("cannot listen at sctp %s port %u: %s",
				   conf->local_count
					   ? addr_format_host(text, conf->local)
					   : "all addresses,",
				   assoc_conf.port, strerror(-rc));
	return rc;
}

static void
free_event(struct event *event)
{
	if (event)
		event_free(event);
}

/* Reads what is there; the session may be over then. */
static void
read_all(struct sctp_in *in, struct sctp_session *s)
{
	for (int i = 0; i < EVENTS; i++)
		if (!net_in_ready(&in->in) || !read_once(s))
			return;
}

/*
 * All are asked to end, which lets them deliver what is on its way; it is taken
 * until all have ended or the time is over.
 */
static void
close_in_order(struct sctp_in *in)
{
	uint64_t until = clock_mono_ms() + CLOSE_MS;

	for (uint32_t i = in->session_count; i-- > 0;)
		in->stack->shutdown(in->session[i]->assoc);
	while (in->session_count) {
		for (uint32_t i = in->session_count; i-- > 0;)
			read_all(in, in->session[i]);
		if (!in->session_count || clock_mono_ms() >= until)
			break;
		in->stack->wait(in->session[0]->assoc, CLOSE_WAIT_MS);
	}
	while (in->session_count)
		session_end(in->session[in->session_count - 1], NULL);
}

static void
sctp_in_close(struct net_in *net)
{
	struct sctp_in *in = (struct sctp_in *)net;

	if (in->endpoint) {
		in->stack->pause(in->endpoint, true);
		close_in_order(in);
		in->stack->close(in->endpoint);
	}
	if (in->started)
		in->below->stop();
	free_event(in->sweep);
	free_event(in->retry);
	free_event(in->reaccept);
	free(in->session);
}

static uint16_t
sctp_in_port(const struct net_in *net)
{
	const struct sctp_in *in = (const struct sctp_in *)net;

	return in->stack->port(in->endpoint);
}

static struct net_session *
sctp_in_next(const struct net_in *net, uint32_t *at)
{
	const struct sctp_in *in = (const struct sctp_in *)net;

	return *at < in->session_count ? &in->session[(*at)++]->session : NULL;
}

static void
session_revoke(struct sctp_session *s, const char *reason)
{
	struct net_in *in = &s->in->in;
	char text[ADDR_TEXT_SIZE];
	uint32_t held;

	if (log_limit_pass(&in->reject_log, clock_mono_ms(), &held))
		log_warning("dtls/sctp %s: \"%s\": %s, its session ends (%u "
			    "lines held back)",
			    addr_format(text, &s->session.remote),
			    s->session.peer, reason, held);
	session_end(s, reason);
}

static void
sctp_in_reloaded(struct net_in *net)
{
	struct sctp_in *in = (struct sctp_in *)net;
	const char *reason;

	for (uint32_t i = in->session_count; i-- > 0;) {
		reason = in->stack->revoked(in->session[i]->assoc);
		if (reason)
			session_revoke(in->session[i], reason);
	}
}

const struct net_in_type net_sctp_in = {
	.size = sizeof(struct sctp_in),
	.open = sctp_in_open,
	.close = sctp_in_close,
	.port = sctp_in_port,
	.next = sctp_in_next,
	.reloaded = sctp_in_reloaded,
};
