/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages out over a connection that the collector has made (tcp_dial.c has
 * the other end, and why). With TLS the exporter is the server then.
 *
 * What would be two sessions of one destination is refused, or replaces the one
 * that is there: see struct net_listen_conf. Once a connection is taken it is a
 * session like any that we have made ourselves (tcp_out.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "acceptor.h"
#include "conflux/clock.h"
#include "conflux/log.h"
#include "socket.h"
#include "tcp_out.h"
#include "timer.h"

enum { HANDSHAKES = 16, HANDSHAKE_MS = 10000 }; /* if nothing is given */

/* Hands are shaken with somebody. */
struct candidate {
	TAILQ_ENTRY(candidate) link;
	struct tcp_listen *listen;
	struct addr remote;
	struct stream stream;
	struct event *readable, *writable;
	struct event *late; /* it takes too long */
};

struct tcp_listen {
	struct tcp_out tcp;
	struct acceptor acceptor;
	TAILQ_HEAD(, candidate) candidates;
	unsigned candidate_count;
	struct log_limit log;
};

static void
turn_away(struct tcp_listen *l, const struct addr *remote, const char *peer,
	  enum net_refusal why, const char *reason)
{
	l->tcp.out.stats.turned_away[why]++;
	net_log_rejected(
		&l->log,
		transport_secure_name(TRANSPORT_TCP, l->tcp.out.secure), remote,
		peer ? peer : "", reason);
}

static bool
may_connect(const struct tcp_listen *l, const struct addr *remote)
{
	const struct net_listen_conf *conf = &l->tcp.out.conf.listen;

	for (unsigned i = 0; i < conf->allowed_count; i++)
		if (addr_equal_host(&conf->allowed[i], remote))
			return true;
	return conf->allowed_count == 0;
}

static bool
same_peer(const struct tcp_listen *l, const struct stream *stream,
	  const struct addr *remote)
{
	const struct net_out_stats *stats = &l->tcp.out.stats;
	const char *peer = stream_peer(stream);

	if (peer)
		return strcmp(peer, stats->peer) == 0;
	return addr_equal_host(remote, &stats->remote);
}

/* The stream is of somebody who may talk to us, and no longer the caller's. */
static void
admit(struct tcp_listen *l, struct stream *stream, const struct addr *remote)
{
	struct tcp_out *out = &l->tcp;
	char text[ADDR_TEXT_SIZE];

	if (out->out.stats.up && !same_peer(l, stream, remote)) {
		turn_away(l, remote, stream_peer(stream), NET_REFUSED_FULL,
			  "another collector is connected");
		stream_close(stream);
		return;
	}
	if (out->out.stats.up)
		tcp_out_down(out, "the collector has connected anew");
	log_info("%s: the collector at %s has connected", out->out.name,
		 addr_format(text, remote));
	if (tcp_out_adopt(out, stream) < 0)
		log_error("%s: no memory for the connection", out->out.name);
}

/* ---- shaking hands ------------------------------------------------------- */

static void
candidate_free(struct candidate *c)
{
	TAILQ_REMOVE(&c->listen->candidates, c, link);
	c->listen->candidate_count--;
	if (c->readable)
		event_free(c->readable);
	if (c->writable)
		event_free(c->writable);
	if (c->late)
		event_free(c->late);
	stream_close(&c->stream);
	free(c);
}

static void
candidate_refuse(struct candidate *c, enum net_refusal why, const char *reason)
{
	turn_away(c->listen, &c->remote, c->stream.verdict->peer, why, reason);
	candidate_free(c);
}

static void
shake_hands(struct candidate *c)
{
	int rc = stream_handshake(&c->stream);
	struct tcp_listen *l = c->listen;
	struct addr remote = c->remote;
	struct stream stream;

	if (rc == -EAGAIN) {
		if (stream_wants_write(&c->stream))
			event_add(c->writable, NULL);
		return;
	}
	if (rc < 0) {
		candidate_refuse(c,
				 rc == -EACCES ? NET_REFUSED_PEER
					       : NET_REFUSED_HANDSHAKE,
				 c->stream.verdict->reason);
		return;
	}
	stream = c->stream;
	c->stream = (struct stream){.fd = -1};
	candidate_free(c);
	admit(l, &stream, &remote);
}

static void
on_shaking(evutil_socket_t fd, short what, void *arg)
{
	shake_hands(arg);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	candidate_refuse(arg, NET_REFUSED_HANDSHAKE,
			 "it does not go on with the handshake");
}

static int
candidate_watch(struct candidate *c)
{
	struct event_base *base = c->listen->tcp.out.base;
	uint32_t ms = c->listen->tcp.out.conf.handshake_ms;
	int fd = c->stream.fd;

	c->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_shaking, c);
	c->writable = event_new(base, fd, EV_WRITE, on_shaking, c);
	c->late = evtimer_new(base, on_late, c);
	if (!c->readable || !c->writable || !c->late ||
	    event_add(c->readable, NULL) < 0)
		return -ENOMEM;
	timer_start(c->late, ms ? ms : HANDSHAKE_MS);
	return 0;
}

/* The stream is the candidate's, if there is one. */
static void
candidate_new(struct tcp_listen *l, struct stream *stream,
	      const struct addr *remote)
{
	unsigned max = l->tcp.out.conf.listen.max_handshakes;
	struct candidate *c;

	if (l->candidate_count >= (max ? max : HANDSHAKES)) {
		turn_away(l, remote, NULL, NET_REFUSED_FULL,
			  "too many others shake hands");
		stream_close(stream);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		stream_close(stream);
		return;
	}
	c->listen = l;
	c->remote = *remote;
	c->stream = *stream;
	TAILQ_INSERT_TAIL(&l->candidates, c, link);
	l->candidate_count++;
	if (candidate_watch(c) < 0)
		candidate_free(c);
}

static void
on_connection(void *arg, int fd)
{
	struct tcp_listen *l = arg;
	struct stream stream;
	struct addr remote = {0};
	char *error = NULL;
	int rc;

	socket_names(fd, NULL, &remote);
	rc = stream_open(&stream, fd, l->tcp.out.secure, &remote, &error);
	if (error)
		log_error("%s: %s", l->tcp.out.name, error);
	free(error);
	if (rc == 0 && !may_connect(l, &remote)) {
		turn_away(l, &remote, NULL, NET_REFUSED_PEER,
			  "its address is not one that may connect");
		rc = -EACCES;
	}
	if (rc < 0)
		stream_close(&stream);
	else if (l->tcp.out.secure)
		candidate_new(l, &stream, &remote);
	else
		admit(l, &stream, &remote);
}

/* ---- open and close ------------------------------------------------------ */

static int
tcp_listen_open(struct net_out *net, char **error)
{
	struct tcp_listen *l = (struct tcp_listen *)net;
	struct net_listen_conf *conf = &net->conf.listen;
	const struct net_in_conf at = {
		.local = conf->local,
		.local_count = conf->local_count,
		.port = conf->port,
	};
	int rc;

	TAILQ_INIT(&l->candidates);
	conf->local = NULL; /* the caller's */
	rc = net_addrs_copy(&conf->allowed, conf->allowed, conf->allowed_count);
	if (rc < 0) {
		conf->allowed = NULL;
		return rc;
	}
	rc = tcp_out_init(&l->tcp);
	l->acceptor.base = net->base;
	l->acceptor.take = on_connection;
	l->acceptor.arg = l;
	return rc < 0 ? rc : acceptor_open(&l->acceptor, &at, error);
}

static size_t
tcp_listen_close(struct net_out *net, unsigned linger_ms)
{
	struct tcp_listen *l = (struct tcp_listen *)net;
	struct candidate *c;

	if (!l->candidates.tqh_last)
		return 0; /* it did not open */
	acceptor_close(&l->acceptor);
	while ((c = TAILQ_FIRST(&l->candidates)))
		candidate_free(c);
	free((void *)net->conf.listen.allowed);
	return tcp_out_close(net, linger_ms);
}

static uint16_t
tcp_listen_port(const struct net_out *net)
{
	const struct tcp_listen *l = (const struct tcp_listen *)net;

	return l->acceptor.socket[0].local.port;
}

const struct net_out_type net_tcp_listen = {
	.size = sizeof(struct tcp_listen),
	.open = tcp_listen_open,
	.send_as = tcp_out_send_as,
	.drained = tcp_out_drained,
	.close = tcp_listen_close,
	.port = tcp_listen_port,
	.unacknowledged = tcp_out_unacknowledged,
	.break_off = tcp_out_break,
	.reloaded = tcp_out_reloaded,
};
