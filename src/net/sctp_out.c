/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages out over an association that is made again and again (RFC 7011
 * section 10.2). Each is one user message; nothing is kept here: the stack has
 * it, or it was not taken. What the stack tells that it could not deliver is
 * told on, message by message.
 *
 * RFC 7011 section 8 wants Templates in order and reliable, and that data does
 * not come before them. A message that is asked for as "unordered" goes in
 * order behind them on its stream as long as they may be on their way; if that
 * stays so for BARRIER_MS, sending pauses for a round trip until all has been
 * acknowledged. So it does when the messages since the last such moment are as
 * many as can be told apart.
 *
 * draft-mentz-ipfix-dtls-recommendations section 4: with DTLS an association is
 * replaced after its lifetime, since RFC 6083 sessions are not renegotiated.
 * The new one is made beside it, while messages go on in the old one. When it
 * is there, no message is taken until all in the old one has been acknowledged
 * or told of as undelivered: so none is lost, doubled or late, and each belongs
 * to one session. Then the owner is told of the new session, sends what has to
 * come first, and other messages wait until that is acknowledged
 * (net_out_settle). The old association is ended in order meanwhile.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "out.h"
#include "sctp.h"
#include "socket.h"
#include "timer.h"

enum {
	SOLID_MS = 10000, /* a session that long starts back-off anew */
	OLD_MS = 30000,	  /* so long a replaced one may take to end */
	OLD_WAIT_MS = 100,
	REASON = 600,
	CONNECT_MS = 15000,
	HANDSHAKE_MS = 10000,
	BARRIER_MS = 500,
	EVENTS = 256,	/* in a row */
	ABORT_MS = 100, /* for the stack to tell what it had not delivered */
	SCRATCH = 4096, /* nothing is received but notifications */
	SEND_BUFFER = 1 << 20,
};

/* One association, its endpoint, and how far it has come. */
struct way {
	struct assoc_endpoint *endpoint;
	struct assoc *assoc; /* NULL: there is none */
	uint16_t streams;    /* 0: it is not up yet */
	bool ending;	     /* the peer takes no more */
	bool vague;	     /* it is over, and why is not known yet */
	bool aborted;	     /* by us */
	const char *lost;    /* why it is over, when it is */
	char why[REASON];    /* the text of it, if it is not constant */
};

struct sctp_out {
	struct net_out out;
	const struct sctp_stack *stack;
	const struct sctp_stack *below; /* of sctp_secured, or the same */
	bool started;			/* the stack was */
	struct way now;			/* of the messages */
	struct way next;		/* is being made */
	struct way old;	      /* was replaced: nothing is left in it */
	struct event *turn;   /* end of the round */
	struct event *retry;  /* make the next one, or it took too long */
	struct event *linger; /* the old one takes too long to end */
	int error;	      /* of a send, told in the next turn */
	bool full;	      /* the stack is: it will tell */
	bool barrier;	      /* wait until all is acknowledged */
	bool ordered;	      /* one that was in order may be on its way */
	uint64_t ordered_ms;  /* since when, monotonic */
	bool timed;	      /* there was one with a lifetime */
	uint32_t wait_ms;     /* of the next back-off */
	uint64_t up_ms;	      /* monotonic */
	bool told;	      /* that it is down */
	char reason[REASON];  /* why it is */
	uint64_t sent;	      /* messages of this session */
	uint64_t idle_at;     /* so many had been sent when it was idle */
	uint64_t undelivered; /* of them */
	uint64_t failed[NET_SCTP_FLIGHT / 64]; /* of the last, by number */
};

/* Another association is up, and is to take over. */
static bool
changing(const struct sctp_out *out)
{
	return out->next.streams > 0;
}

static void
close_way(struct sctp_out *out, struct way *way)
{
	if (way->assoc)
		out->stack->free(way->assoc);
	if (way->endpoint)
		out->stack->close(way->endpoint);
	*way = (struct way){0};
}

/* ---- events ------------------------------------------------------------- */

/*
 * A message that went in several packets is told of for each of them. number
 * is the low half of the message's. Returns false if it was told of before.
 */
static bool
first_told(struct sctp_out *out, uint32_t number, uint64_t *whole)
{
	uint64_t back = (uint32_t)((uint32_t)out->sent - 1 - number);
	uint64_t *word, bit;

	if (back >= out->sent || back >= NET_SCTP_FLIGHT)
		return false;
	*whole = out->sent - 1 - back;
	word = &out->failed[*whole % NET_SCTP_FLIGHT / 64];
	bit = UINT64_C(1) << *whole % 64;
	if (*word & bit)
		return false;
	*word |= bit;
	return true;
}

static void
undelivered(struct sctp_out *out, uint32_t number, int error)
{
	uint64_t whole;

	if (!first_told(out, number, &whole))
		return;
	out->undelivered++;
	out->out.stats.discarded++;
	if (out->out.ops->undelivered)
		out->out.ops->undelivered(out->out.arg, whole, error);
}

/* Is all acknowledged? What was sent since an event told so may not be. */
static bool
settled(struct sctp_out *out)
{
	if (!out->stack->idle(out->now.assoc))
		return false;
	out->ordered = false;
	out->idle_at = out->sent;
	event_active(out->turn, EV_TIMEOUT, 0); /* see read_events */
	return true;
}

static void
dry(struct sctp_out *out)
{
	bool waits = out->barrier;

	if (!settled(out))
		return;
	if (changing(out))
		event_active(out->turn, EV_TIMEOUT, 0);
	out->barrier = false;
	if (waits)
		net_out_writable(&out->out);
}

static void
log_path(const struct sctp_out *out, const struct assoc_event *event)
{
	char path[ADDR_TEXT_SIZE];

	log_warning("%s: the address %s %s", out->out.name,
		    addr_format_host(path, &event->address),
		    event->usable ? "can be reached again" : "is out of reach");
}

/* The association's own text does not outlive it. */
static const char *
keep_reason(struct way *way, const struct assoc_event *event)
{
	snprintf(way->why, sizeof(way->why), "%s", sctp_lost_reason(event));
	return way->why;
}

static void
come_up(struct sctp_out *out, struct way *way, uint16_t streams)
{
	if (way->streams)
		return;
	way->streams = streams ? streams : 1;
	evtimer_del(out->retry);
	event_active(out->turn, EV_TIMEOUT, 0);
}

static void
take(struct sctp_out *out, struct way *way, const struct assoc_event *event)
{
	bool now = way == &out->now;

	switch (event->kind) {
	case ASSOC_UP:
		come_up(out, way, event->streams_out);
		break;
	case ASSOC_RESTARTED:
		way->lost = "the peer began anew";
		break;
	case ASSOC_LOST:
		/* It comes twice: one of them may know why. */
		if (!way->lost || way->vague)
			way->lost = way->ending
					    ? "the peer ended the association"
					    : keep_reason(way, event);
		way->vague = event->error == 0 && !event->reason;
		break;
	case ASSOC_ENDED:
		/* One that we gave up for a reason ends in order, too. */
		if (!way->lost || way->vague)
			way->lost = "the peer ended the association";
		break;
	case ASSOC_PEER_ENDS:
		way->ending = true;
		break;
	case ASSOC_UNDELIVERED:
		if (now)
			undelivered(out, event->number,
				    out->timed && !way->lost && !way->aborted
					    ? ETIME
					    : ECONNRESET);
		break;
	case ASSOC_DRY:
		if (now)
			dry(out);
		break;
	case ASSOC_PATH:
		if (now && out->out.conf.sctp.remote_count > 1)
			log_path(out, event);
		break;
	default:
		break; /* a Collecting Process sends nothing */
	}
}

/*
 * Reads events. The session does not go down here: this is called from its
 * callbacks, and by its owner.
 */
static void
read_events(struct sctp_out *out, struct way *way)
{
	uint8_t scratch[SCRATCH];
	struct assoc_event event;
	int rc = way->assoc ? 0 : -EAGAIN;

	for (int i = 0; rc == 0 && (i < EVENTS || way->lost); i++) {
		rc = out->stack->receive(way->assoc, scratch, sizeof(scratch),
					 &event);
		if (rc == 0)
			take(out, way, &event);
	}
	if (rc == -ENOTCONN && !way->lost)
		way->lost = "the association is over";
	/* One that broke is idle, too: then its events would have told so. */
	if (rc == -EAGAIN && way == &out->now && !way->lost)
		out->out.stats.delivered = out->idle_at;
	if (way->lost)
		event_active(out->turn, EV_TIMEOUT, 0);
}

/* Reads events until it is over, or the time is. True: it is over. */
static bool
read_to_end(struct sctp_out *out, struct way *way, uint64_t until)
{
	uint8_t scratch[SCRATCH];
	struct assoc_event event;
	uint64_t now;
	int rc;

	for (;;) {
		rc = out->stack->receive(way->assoc, scratch, sizeof(scratch),
					 &event);
		if (rc == 0) {
			/* Nobody is to be woken any more. */
			out->barrier = false;
			take(out, way, &event);
			continue;
		}
		if (rc != -EAGAIN || way->lost)
			return true;
		now = clock_mono_ms();
		if (now >= until)
			return false;
		out->stack->wait(way->assoc, (unsigned)(until - now));
	}
}

static void
on_ready(void *arg, struct assoc *assoc, bool read, bool write)
{
	struct sctp_out *out = arg;

	if (assoc == out->next.assoc) {
		read_events(out, &out->next);
	} else if (assoc == out->old.assoc) {
		read_events(out, &out->old);
	} else if (assoc == out->now.assoc) {
		read_events(out, &out->now);
		if (changing(out))
			event_active(out->turn, EV_TIMEOUT, 0);
		if (write && out->full) {
			out->full = false;
			net_out_writable(&out->out);
		}
	}
}

/* ---- the end of a session ----------------------------------------------- */

/*
 * Aborts it: what is not acknowledged is told of as undelivered, whether the
 * association is still there or is over for DTLS only.
 */
static void
give_up(struct sctp_out *out, struct way *way)
{
	way->lost = NULL;
	way->aborted = true;
	out->stack->abort(way->assoc);
	read_to_end(out, way, clock_mono_ms() + ABORT_MS);
}

static void
back_off(struct sctp_out *out)
{
	timer_start(out->retry, net_out_back_off(&out->out, &out->wait_ms));
}

/* Of one session. */
static void
forget_session(struct sctp_out *out)
{
	out->error = 0;
	out->full = out->barrier = out->ordered = out->timed = false;
	out->sent = out->undelivered = out->idle_at = 0;
	out->out.stats.delivered = 0;
	memset(out->failed, 0, sizeof(out->failed));
}

/* Ends the session, or the attempt while there is none, and plans the next. */
static void
go_down(struct sctp_out *out, struct way *way, const char *text)
{
	struct net_out_stats *stats = &out->out.stats;
	size_t undelivered;
	bool was_up = stats->up;
	char *reason = out->reason;

	snprintf(reason, REASON, "%s", text); /* it may be the way's */
	if (was_up)
		give_up(out, way);
	undelivered = out->undelivered;
	close_way(out, way);
	forget_session(out);
	stats->up = false;
	stats->start_ms = 0;
	stats->peer = stats->suite = NULL;
	if (was_up && clock_mono_ms() - out->up_ms >= SOLID_MS)
		out->wait_ms = 0;
	if (!out->next.assoc)
		back_off(out);
	if (was_up || !out->told) {
		out->told = true;
		out->out.blocked = false;
		log_warning("%s: %s", out->out.name, reason);
		out->out.ops->down(out->out.arg, reason, undelivered);
	}
}

/* The next association did not come about. */
static void
attempt_failed(struct sctp_out *out, const char *reason)
{
	if (!out->now.assoc) {
		go_down(out, &out->next, reason);
		return;
	}
	/* Of the present one SCTP tells itself whether its peer is there. */
	log_warning("%s: an association to replace the present one failed: %s",
		    out->out.name, reason);
	close_way(out, &out->next);
	back_off(out);
	net_out_writable(&out->out);
}

/* ---- sessions ----------------------------------------------------------- */

/* When this one is to be replaced. */
static void
plan_replacement(struct sctp_out *out)
{
	const struct net_dtls_conf *conf = &out->out.conf.dtls;

	if (out->stack->heartbeat && conf->lifetime_ms &&
	    (conf->lifetime_always || !out->stack->heartbeat(out->now.assoc)))
		timer_start(out->retry, conf->lifetime_ms);
}

/* The next association is the session from now on. */
static void
begin_session(struct sctp_out *out)
{
	struct net_out *net = &out->out;
	struct net_out_stats *stats = &net->stats;
	struct addr remote = net->conf.remote;

	out->now = out->next;
	out->next = (struct way){0};
	forget_session(out);
	stats->streams = out->now.streams;
	if (stats->streams > net->conf.sctp.streams)
		stats->streams = net->conf.sctp.streams;
	out->stack->names(out->now.assoc, &stats->local, &remote,
			  &stats->association);
	out->up_ms = clock_mono_ms();
	stats->up = true;
	stats->start_ms = clock_wall_ms();
	out->told = false;
	if (out->stack->peer)
		out->stack->peer(out->now.assoc, &stats->peer, &stats->suite);
	log_info("%s: association up, %u streams, by the %s stack%s%s",
		 net->name, stats->streams, out->below->name,
		 stats->suite ? ", " : "", stats->suite ? stats->suite : "");
	plan_replacement(out);
	net->ops->up(net->arg);
}

/* Once nothing is left in the present one; told of again until then. */
static void
take_over(struct sctp_out *out)
{
	if (!out->stack->idle(out->now.assoc))
		return;
	/* What was given up has been told before it was idle. */
	read_events(out, &out->now);
	if (out->now.lost)
		return;
	out->old = out->now;
	out->stack->shutdown(out->old.assoc);
	timer_start(out->linger, OLD_MS);
	out->wait_ms = 0;
	begin_session(out);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct sctp_out *out = arg;

	read_events(out, &out->old);
	read_events(out, &out->now);
	read_events(out, &out->next);
	if (out->old.lost)
		close_way(out, &out->old);
	if (out->now.lost)
		go_down(out, &out->now, out->now.lost);
	else if (out->error)
		go_down(out, &out->now, strerror(out->error));
	if (out->next.lost)
		attempt_failed(out, out->next.lost);
	else if (changing(out) && out->now.assoc)
		take_over(out);
	else if (changing(out))
		begin_session(out);
}

static void
on_linger(evutil_socket_t fd, short what, void *arg)
{
	struct sctp_out *out = arg;

	close_way(out, &out->old);
}

static const struct assoc_ops ops = {
	.ready = on_ready,
};

/* ---- connecting --------------------------------------------------------- */

static int
connect_now(struct sctp_out *out, char **error)
{
	const struct net_out_conf *conf = &out->out.conf;
	const struct net_sctp_conf *sctp = &conf->sctp;
	uint32_t buffer = conf->send_buffer ? conf->send_buffer : SEND_BUFFER;
	const struct assoc_conf assoc_conf = {
		.local = sctp->local_count ? sctp->local : &conf->local,
		.local_count = sctp->local_count ? sctp->local_count
						 : conf->local.version != 0,
		.port = conf->local.port,
		.connects = true,
		.interface = conf->interface,
		.remote_udp = sctp->remote_udp,
		.streams_out = sctp->streams,
		.streams_in = 1,
		.send_buffer = buffer,
		/* What could not be sent comes back through it. */
		.receive_buffer = 2 * buffer,
		.below = out->below,
		.secure = out->out.secure,
		.dtls = &conf->dtls,
		.handshake_ms = HANDSHAKE_MS,
	};
	int rc = out->stack->open(out->out.base, &assoc_conf, &ops, out,
				  &out->next.endpoint, error);

	if (rc < 0)
		return rc;
	return out->stack->connect(
		out->next.endpoint,
		sctp->remote_count ? sctp->remote : &conf->remote,
		sctp->remote_count ? sctp->remote_count : 1, &out->next.assoc);
}

static void
start_connect(struct sctp_out *out)
{
	char *error = NULL;
	int rc = connect_now(out, &error);

	if (rc < 0)
		attempt_failed(out, error ? error : strerror(-rc));
	else
		timer_start(out->retry, CONNECT_MS);
	free(error);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct sctp_out *out = arg;

	if (out->next.assoc)
		attempt_failed(out, "no answer to the association request");
	else if (out->now.assoc && out->old.assoc)
		timer_start(out->retry, OLD_WAIT_MS); /* one after the other */
	else
		start_connect(out);
}

static int
copy_list(const struct addr **list, unsigned count)
{
	struct addr *copy;

	if (!count) {
		*list = NULL;
		return 0;
	}
	copy = malloc(count * sizeof(*copy));
	if (copy)
		memcpy(copy, *list, count * sizeof(*copy));
	*list = copy;
	return copy ? 0 : -ENOMEM;
}

static int
sctp_out_open(struct net_out *net, char **error)
{
	struct sctp_out *out = (struct sctp_out *)net;
	struct net_sctp_conf *sctp = &net->conf.sctp;
	int local = copy_list(&sctp->local, sctp->local_count);
	int remote = copy_list(&sctp->remote, sctp->remote_count);
	int rc;

	out->turn = evtimer_new(net->base, on_turn, out);
	out->retry = evtimer_new(net->base, on_retry, out);
	out->linger = evtimer_new(net->base, on_linger, out);
	if (!out->turn || !out->retry || !out->linger || local < 0 ||
	    remote < 0)
		return -ENOMEM;
	if (!sctp->streams)
		sctp->streams = 1;
	out->below = sctp_stack_choose(sctp->stack, error);
	if (!out->below)
		return -EPROTONOSUPPORT;
	rc = out->below->start(sctp->local_udp, sctp->remote_udp, error);
	if (rc < 0)
		return rc;
	out->started = true;
	out->stack = net->secure ? &sctp_secured : out->below;
	/* In the loop: the owner has not got us yet. */
	event_active(out->retry, EV_TIMEOUT, 0);
	return 0;
}

/* ---- sending ------------------------------------------------------------ */

/* Must all be acknowledged before this one goes? */
static bool
must_wait(const struct sctp_out *out, const struct net_delivery *delivery)
{
	if (out->sent - out->idle_at >= NET_SCTP_FLIGHT)
		return true;
	return delivery->unordered && out->ordered &&
	       clock_mono_ms() - out->ordered_ms >= BARRIER_MS;
}

/* May it go, and unordered? 0, or -EAGAIN: later. */
static int
pass_barrier(struct sctp_out *out, struct net_delivery *delivery)
{
	if (!out->barrier && must_wait(out, delivery))
		out->barrier = !settled(out);
	if (out->barrier)
		return -EAGAIN;
	if (out->ordered)
		delivery->unordered = false;
	return 0;
}

static int
sctp_out_send(struct net_out *net, const uint8_t *message, size_t length,
	      const struct net_delivery *delivery)
{
	struct sctp_out *out = (struct sctp_out *)net;
	struct assoc_send how = {.delivery = *delivery};
	bool asked = delivery->unordered;
	int rc;

	if (out->error || out->now.lost || out->now.ending)
		return -EAGAIN; /* "down" comes soon */
	if (changing(out))
		return -EAGAIN; /* and "up" */
	rc = pass_barrier(out, &how.delivery);
	if (rc < 0)
		return rc;
	how.number = (uint32_t)out->sent;
	rc = out->stack->send(out->now.assoc, message, length, &how);
	if (rc == -EAGAIN)
		out->full = true;
	if (rc == -EAGAIN || rc == -EMSGSIZE)
		return rc;
	if (rc < 0) {
		out->error = -rc;
		event_active(out->turn, EV_TIMEOUT, 0);
		return -EAGAIN;
	}
	/* The bits are those of the last numbers. */
	out->failed[out->sent % NET_SCTP_FLIGHT / 64] &=
		~(UINT64_C(1) << out->sent % 64);
	out->sent++;
	out->timed |= delivery->lifetime_ms > 0;
	if (!asked && !out->ordered) {
		out->ordered = true;
		out->ordered_ms = clock_mono_ms();
	}
	net->stats.messages++;
	net->stats.octets += length;
	return 0;
}

static bool
sctp_out_drained(const struct net_out *net)
{
	const struct sctp_out *out = (const struct sctp_out *)net;

	return !out->now.assoc || out->stack->idle(out->now.assoc);
}

static void
sctp_out_settle(struct net_out *net)
{
	struct sctp_out *out = (struct sctp_out *)net;

	if (out->now.assoc && !out->barrier)
		out->barrier = !settled(out);
}

/* ---- the end ------------------------------------------------------------ */

/*
 * Ends it when all has been acknowledged; else, after linger_ms, it is aborted,
 * and what was not acknowledged is told.
 */
static void
close_in_order(struct sctp_out *out, unsigned linger_ms)
{
	uint64_t until = clock_mono_ms() + linger_ms;
	struct way *now = &out->now;

	if (out->stack->shutdown(now->assoc) == 0 &&
	    read_to_end(out, now, until))
		return;
	give_up(out, now);
}

static size_t
sctp_out_close(struct net_out *net, unsigned linger_ms)
{
	struct sctp_out *out = (struct sctp_out *)net;
	size_t unsent = 0;

	if (net->stats.up) {
		out->undelivered = 0;
		close_in_order(out, linger_ms);
		unsent = out->undelivered;
	}
	if (out->old.assoc)
		read_to_end(out, &out->old, clock_mono_ms() + linger_ms);
	close_way(out, &out->now);
	close_way(out, &out->next);
	close_way(out, &out->old);
	if (out->started)
		out->below->stop();
	if (out->turn)
		event_free(out->turn);
	if (out->retry)
		event_free(out->retry);
	if (out->linger)
		event_free(out->linger);
	free((void *)net->conf.sctp.local);
	free((void *)net->conf.sctp.remote);
	return unsent;
}

static void
sctp_out_reloaded(struct net_out *net)
{
	struct sctp_out *out = (struct sctp_out *)net;
	const char *reason;

	if (!out->stack || !out->stack->revoked)
		return;
	if (out->next.assoc && out->stack->revoked(out->next.assoc))
		attempt_failed(out, out->stack->revoked(out->next.assoc));
	reason = out->now.assoc ? out->stack->revoked(out->now.assoc) : NULL;
	if (reason)
		go_down(out, &out->now, reason);
}

const struct net_out_type net_sctp_out = {
	.size = sizeof(struct sctp_out),
	.open = sctp_out_open,
	.send_as = sctp_out_send,
	.settle = sctp_out_settle,
	.drained = sctp_out_drained,
	.close = sctp_out_close,
	.reloaded = sctp_out_reloaded,
};
