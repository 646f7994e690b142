/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The collecting end makes the connection, for an exporter that may not or can
 * not: one behind it in a network that lets none in, say. RFC 7011 has it the
 * other way round only (section 10.4.1); what goes over the connection is the
 * same, from the exporter to us. With TLS who dials is the client.
 *
 * There is one connection, made again and again, to the addresses of the
 * exporter in turn. Once it is there it is a session like any that has come to
 * us (tcp_in.h).
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "socket.h"
#include "tcp_in.h"
#include "timer.h"

struct tcp_dial {
	struct tcp_in tcp;
	int fd;			/* that connects; else -1 */
	struct event *writable; /* of fd */
	struct event *turn;	/* dial again, or fd takes too long */
	unsigned at;		/* the address that is dialled */
	uint32_t wait_ms;	/* of the next back-off */
	uint64_t begun_ms;	/* when it was there, monotonic */
	bool told;		/* that nobody is */
};

static const char *
transport(const struct tcp_dial *dial)
{
	return transport_secure_name(TRANSPORT_TCP, dial->tcp.in.secure);
}

static void
stop_connecting(struct tcp_dial *dial)
{
	if (dial->writable)
		event_free(dial->writable);
	dial->writable = NULL;
	if (dial->fd >= 0)
		close(dial->fd);
	dial->fd = -1;
}

/* The next address at once, and after the last of them a pause. */
static void
plan(struct tcp_dial *dial)
{
	const struct net_in_conf *conf = &dial->tcp.in.conf;

	dial->at = (dial->at + 1) % conf->dial_count;
	timer_start(dial->turn, dial->at
					? 0
					: timer_back_off(conf->reconnect_min_ms,
							 conf->reconnect_max_ms,
							 &dial->wait_ms));
}

static void
not_reached(struct tcp_dial *dial, const char *reason)
{
	const struct net_in *in = &dial->tcp.in;
	const struct addr *remote = &in->conf.dial[dial->at];
	char text[ADDR_TEXT_SIZE];

	stop_connecting(dial);
	if (!dial->told)
		log_warning("%s %s: %s; it is dialled until it is there",
			    transport(dial), addr_format(text, remote), reason);
	/* Once, for all its addresses. */
	if (dial->at + 1 == in->conf.dial_count)
		dial->told = true;
	if (in->ops->refused)
		in->ops->refused(in->arg, remote, NET_NOT_REACHED);
	plan(dial);
}

static void
on_ended(struct tcp_in *in)
{
	struct tcp_dial *dial = (struct tcp_dial *)in;

	if (clock_mono_ms() - dial->begun_ms >= TIMER_SOLID_MS) {
		dial->wait_ms = 0;
		dial->at = in->in.conf.dial_count - 1;
	}
	plan(dial);
}

static void
on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_dial *dial = arg;
	char text[ADDR_TEXT_SIZE];
	int error = socket_error(fd);

	if (error) {
		not_reached(dial, strerror(error));
		return;
	}
	log_info("%s %s: connected", transport(dial),
		 addr_format(text, &dial->tcp.in.conf.dial[dial->at]));
	evtimer_del(dial->turn);
	dial->fd = -1; /* it is the session's */
	stop_connecting(dial);
	dial->told = false;
	dial->begun_ms = clock_mono_ms();
	if (!tcp_in_take(&dial->tcp, fd))
		plan(dial);
}

static int
start_connect(struct tcp_dial *dial)
{
	static const struct addr any;
	const struct net_in_conf *conf = &dial->tcp.in.conf;
	const struct addr *remote = &conf->dial[dial->at];
	int rc;

	dial->fd = socket_new(remote, SOCK_STREAM);
	if (dial->fd < 0)
		return dial->fd;
	rc = socket_from(dial->fd, conf->local_count ? conf->local : &any,
			 NULL);
	if (rc < 0)
		return rc;
	if (conf->receive_buffer)
		socket_buffer(dial->fd, SO_RCVBUF, conf->receive_buffer);
	rc = socket_connect(dial->fd, remote);
	if (rc < 0)
		return rc;
	dial->writable = event_new(dial->tcp.in.base, dial->fd, EV_WRITE,
				   on_connected, dial);
	if (!dial->writable || event_add(dial->writable, NULL) < 0)
		return -ENOMEM;
	timer_start(dial->turn, TIMER_CONNECT_MS);
	return 0;
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_dial *dial = arg;
	int rc;

	if (dial->fd >= 0) {
		not_reached(dial, "no answer to the connection request");
		return;
	}
	rc = start_connect(dial);
	if (rc < 0)
		not_reached(dial, strerror(-rc));
}

static int
tcp_dial_open(struct net_in *net, char **error)
{
	struct tcp_dial *dial = (struct tcp_dial *)net;

	dial->fd = -1;
	dial->tcp.ended = on_ended;
	net->conf.max_sessions = 1;
	if (!net->conf.handshake_ms)
		net->conf.handshake_ms = TIMER_CONNECT_MS;
	dial->turn = evtimer_new(net->base, on_turn, dial);
	if (!dial->turn)
		return -ENOMEM;
	/* In the loop: the owner has not got us yet. */
	timer_start(dial->turn, 0);
	return tcp_in_init(&dial->tcp);
}

static void
tcp_dial_close(struct net_in *net)
{
	struct tcp_dial *dial = (struct tcp_dial *)net;

	if (!dial->turn)
		return; /* it did not open */
	stop_connecting(dial);
	event_free(dial->turn);
	tcp_in_close(net);
}

const struct net_in_type net_tcp_dial = {
	.size = sizeof(struct tcp_dial),
	.open = tcp_dial_open,
	.close = tcp_dial_close,
	.next = tcp_in_next,
	.reloaded = tcp_in_reloaded,
};
