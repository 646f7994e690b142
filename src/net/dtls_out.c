/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages out over DTLS over UDP (RFC 7011 section 11.1). The peer has to be
 * reached and verified before the first message, so there is a handshake, and a
 * new one after a while when it fails or the peer is dead (dtls_link.c tells).
 *
 * draft-mentz-ipfix-dtls-recommendations section 3.1.3, second workaround:
 * after its lifetime a session is replaced. The new one is made beside it on a
 * socket of its own, while messages go on in the old one. When it is there,
 * what the old one has is sent, the owner is told of a new session and sends
 * in it what has to come first, Templates and Options Data. When it says that
 * this is out (net_out_settle), other messages wait a little, so that they come
 * later on any path that does not delay what was first by more. The old one
 * stays open for a while, for what comes late.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "dtls_link.h"
#include "socket.h"
#include "timer.h"

enum {
	SOLID_MS = 10000,  /* a session that long starts back-off anew */
	SETTLE_MS = 50,	   /* Templates are so far ahead of the data */
	LINGER_MS = 2000,  /* so long the old session takes what is late */
	REFUSED_MS = 5000, /* ICMP makes us look at most so often */
};

struct dtls_out {
	struct net_out out;
	struct dtls_context *context;
	struct dtls_link *now;	/* of the messages; NULL: none */
	struct dtls_link *next; /* in its handshake */
	struct dtls_link *old;	/* of before: nothing is sent in it any more */
	struct event *retry;	/* makes the next one */
	struct event *settled;	/* messages may follow the Templates */
	struct event *linger;	/* the old one ends */
	struct dtls_resume resume;
	uint32_t generation; /* of the files that resume is from */
	uint32_t wait_ms;    /* of the next back-off */
	uint64_t up_ms;	     /* monotonic */
	bool told;	     /* that it is down */
	bool holding;	     /* messages wait until Templates are ahead */
	char peer[256], suite[128];
};

static void begin_session(struct dtls_out *out);

static void
back_off(struct dtls_out *out)
{
	timer_start(out->retry, net_out_back_off(&out->out, &out->wait_ms));
}

/* ---- down -----------------------------------------------------------------
 */

static void
log_down(const struct dtls_out *out, const char *reason, uint64_t doubtful)
{
	if (doubtful)
		log_warning("%s: %s; %llu messages were sent since it last "
			    "answered, and may be lost",
			    out->out.name, reason,
			    (unsigned long long)doubtful);
	else
		log_warning("%s: %s", out->out.name, reason);
}

/* The session, or the first attempt, has failed. */
static void
go_down(struct dtls_out *out, struct dtls_link *link, const char *text)
{
	struct net_out *net = &out->out;
	unsigned unsent = dtls_link_waiting(link);
	uint64_t doubtful = dtls_link_doubtful(link);
	bool was_up = net->stats.up;
	char *reason = strdup(text); /* the link's own */

	/* A peer that did not answer may read all the same: it need not keep a
	 * session that is over. */
	if (out->now == link && !unsent)
		dtls_link_end(link);
	dtls_link_free(link);
	if (out->next == link)
		out->next = NULL;
	if (out->now == link)
		out->now = NULL;
	doubtful -= doubtful < unsent ? doubtful : unsent;
	net->stats.up = false;
	net->stats.start_ms = 0;
	net->stats.peer = net->stats.suite = NULL;
	net->stats.discarded += unsent;
	net->stats.doubtful += doubtful;
	out->holding = false;
	if (was_up && clock_mono_ms() - out->up_ms >= SOLID_MS)
		out->wait_ms = 0;
	back_off(out);
	if (was_up || !out->told) {
		out->told = true;
		net->blocked = false;
		log_down(out, reason ? reason : "no memory", doubtful);
		net->ops->down(net->arg, reason ? reason : "no memory", unsent);
	}
	free(reason);
	/* One that waited to take over need not wait any more. */
	if (out->next && dtls_link_is_up(out->next))
		begin_session(out);
}

/* A replacement did not come about. */
static void
replacement_failed(struct dtls_out *out, const char *reason)
{
	struct dtls_link *failed = out->next;

	out->next = NULL;
	/* Nothing else would tell that the peer is dead. */
	if (!dtls_link_confirms(out->now)) {
		go_down(out, out->now, reason);
	} else {
		log_warning("%s: a session to replace the present one failed: "
			    "%s",
			    out->out.name, reason);
		back_off(out);
	}
	dtls_link_free(failed);
}

/* ---- up -------------------------------------------------------------------
 */

static void
drop_old(struct dtls_out *out)
{
	if (out->old)
		dtls_link_end(out->old);
	dtls_link_free(out->old);
	out->old = NULL;
}

static void
on_linger(evutil_socket_t fd, short what, void *arg)
{
	drop_old(arg);
}

static void
tell_asked(const struct dtls_out *out, bool answered)
{
	if (out->out.ops->asked)
		out->out.ops->asked(out->out.arg, answered);
}

/* When this session is to be replaced. */
static void
plan_replacement(struct dtls_out *out)
{
	const struct net_dtls_conf *conf = &out->out.conf.dtls;

	if (conf->lifetime_ms &&
	    (conf->lifetime_always || !dtls_link_confirms(out->now)))
		timer_start(out->retry, conf->lifetime_ms);
}

static void
describe(struct dtls_out *out)
{
	const struct dtls *dtls = dtls_link_session(out->now);
	struct net_out_stats *stats = &out->out.stats;

	strncpy(out->peer, dtls_peer(dtls), sizeof(out->peer) - 1);
	dtls_describe(dtls, out->suite, sizeof(out->suite));
	stats->peer = out->peer;
	stats->suite = out->suite;
	stats->start_ms = clock_wall_ms();
	socket_names(dtls_link_fd(out->now), &stats->local, NULL);
}

/* The next one is the session from now on. */
static void
begin_session(struct dtls_out *out)
{
	struct net_out *net = &out->out;

	out->now = out->next;
	out->next = NULL;
	evtimer_del(out->retry);
	describe(out);
	log_info("%s: session with %s (%s)", net->name, out->peer, out->suite);
	out->up_ms = clock_mono_ms();
	out->told = false;
	net->stats.up = true;
	if (secure_conf_of(net->secure)->resumption) {
		dtls_resume_get(dtls_link_session(out->now), &out->resume);
		out->generation = secure_generation(net->secure);
	}
	plan_replacement(out);
	if (dtls_link_confirms(out->now)) {
		tell_asked(out, false);
		tell_asked(out, true);
	}
	net->ops->up(net->arg);
}

static void
dtls_out_settle(struct net_out *net)
{
	struct dtls_out *out = (struct dtls_out *)net;

	out->holding = true;
	timer_start(out->settled, SETTLE_MS);
}

/* The new session takes over, when nothing is left in the old one. */
static void
take_over(struct dtls_out *out)
{
	if (!dtls_link_flush(out->now))
		return; /* once more when it is writable */
	drop_old(out);
	out->old = out->now;
	timer_start(out->linger, LINGER_MS);
	begin_session(out);
}

static void
on_settled(evutil_socket_t fd, short what, void *arg)
{
	struct dtls_out *out = arg;

	out->holding = false;
	net_out_writable(&out->out);
}

/* ---- what links tell ------------------------------------------------------
 */

static void
told_down(struct dtls_out *out, struct dtls_link *link, const char *reason)
{
	if (link == out->old)
		drop_old(out);
	else if (link == out->next && out->now)
		replacement_failed(out, reason);
	else
		go_down(out, link, reason);
}

static void
told(struct net_out *net, struct dtls_link *link, enum dtls_link_event event,
     const char *reason)
{
	struct dtls_out *out = (struct dtls_out *)net;

	switch (event) {
	case DTLS_LINK_UP:
		if (out->now)
			take_over(out);
		else
			begin_session(out);
		break;
	case DTLS_LINK_DOWN:
		told_down(out, link, reason);
		break;
	case DTLS_LINK_WRITABLE:
		if (link != out->now)
			break;
		if (out->next && dtls_link_is_up(out->next))
			take_over(out);
		else if (!out->holding)
			net_out_writable(net);
		break;
	case DTLS_LINK_PATH:
		if (link == out->now && net->ops->path)
			net->ops->path(net->arg);
		break;
	case DTLS_LINK_ASKED:
	case DTLS_LINK_ANSWERED:
		if (link == out->now && dtls_link_confirms(link))
			tell_asked(out, event == DTLS_LINK_ANSWERED);
		break;
	case DTLS_LINK_REFUSED:
		if (link == out->now && !out->next &&
		    clock_mono_ms() - out->up_ms > REFUSED_MS)
			event_active(out->retry, EV_TIMEOUT, 0);
		break;
	}
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct dtls_out *out = arg;
	struct net_out *net = &out->out;
	char *error = NULL;
	int rc;

	if (out->next)
		return;
	if (out->generation != secure_generation(net->secure))
		dtls_resume_fini(&out->resume);
	rc = dtls_link_new(net, out->context, &out->resume, told, &out->next,
			   &error);
	if (rc < 0) {
		log_warning("%s: %s", net->name, error ? error : strerror(-rc));
		back_off(out);
	}
	free(error);
}

/* ---- the type -------------------------------------------------------------
 */

static int
dtls_out_send(struct net_out *net, const uint8_t *message, size_t length)
{
	struct dtls_out *out = (struct dtls_out *)net;

	if (!out->now || out->holding ||
	    (out->next && dtls_link_is_up(out->next)))
		return -EAGAIN;
	return dtls_link_send(out->now, message, length);
}

static int
dtls_out_open(struct net_out *net, char **error)
{
	struct dtls_out *out = (struct dtls_out *)net;
	int rc = dtls_context_new(net->secure, &out->context, error);

	if (rc < 0)
		return rc;
	out->retry = evtimer_new(net->base, on_retry, out);
	out->settled = evtimer_new(net->base, on_settled, out);
	out->linger = evtimer_new(net->base, on_linger, out);
	if (!out->retry || !out->settled || !out->linger)
		return -ENOMEM;
	/* In the loop: the owner has not got us yet. */
	event_active(out->retry, EV_TIMEOUT, 0);
	return 0;
}

static bool
dtls_out_drained(const struct net_out *net)
{
	const struct dtls_out *out = (const struct dtls_out *)net;

	return !out->now || dtls_link_waiting(out->now) == 0;
}

static size_t
dtls_out_close(struct net_out *net, unsigned linger_ms)
{
	struct dtls_out *out = (struct dtls_out *)net;
	size_t unsent = 0;

	if (out->now) {
		dtls_link_end(out->now);
		unsent = dtls_link_waiting(out->now);
	}
	dtls_link_free(out->now);
	dtls_link_free(out->next);
	drop_old(out);
	if (out->retry)
		event_free(out->retry);
	if (out->settled)
		event_free(out->settled);
	if (out->linger)
		event_free(out->linger);
	dtls_resume_fini(&out->resume);
	dtls_context_free(out->context);
	return unsent;
}

static uint32_t
dtls_out_path_octets(const struct net_out *net)
{
	const struct dtls_out *out = (const struct dtls_out *)net;

	return out->now ? dtls_link_octets(out->now) : 0;
}

static void
dtls_out_reloaded(struct net_out *net)
{
	struct dtls_out *out = (struct dtls_out *)net;
	const char *reason =
		out->now ? dtls_revoked(dtls_link_session(out->now)) : NULL;

	if (!reason)
		return;
	drop_old(out);
	dtls_link_end(out->now);
	go_down(out, out->now, reason);
}

const struct net_out_type net_dtls_out = {
	.size = sizeof(struct dtls_out),
	.open = dtls_out_open,
	.send = dtls_out_send,
	.settle = dtls_out_settle,
	.drained = dtls_out_drained,
	.close = dtls_out_close,
	.path_octets = dtls_out_path_octets,
	.reloaded = dtls_out_reloaded,
};
