/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The session over TCP that messages go out on, whoever has made the
 * connection: we (tcp_out.c), or the collector (tcp_listen.c).
 */
#ifndef CONFLUX_NET_TCP_OUT_H
#define CONFLUX_NET_TCP_OUT_H

#include <event2/event.h>

#include "out.h"
#include "outbuf.h"
#include "stream.h"

enum tcp_phase {
	TCP_WAITING, /* for the next attempt */
	TCP_CONNECTING,
	TCP_SECURING, /* TLS shakes hands */
	TCP_SETTLING, /* shaken, but we may be refused yet */
	TCP_UP,
};

struct tcp_out {
	struct net_out out;
	struct stream stream; /* fd -1: between two attempts */
	enum tcp_phase phase;
	char suite[64];
	int error;               /* errno that ended it, told in next turn */
	const char *broken;	 /* or the owner, who says why */
	struct event *turn;      /* end of the round */
	struct event *retry;     /* connect again, or it took too long */
	struct event *pulse;     /* is the peer there? */
	struct event *readable, *writable;
	uint32_t wait_ms;        /* of the next back-off */
	uint64_t up_ms;          /* monotonic */
	uint64_t heard_ms;       /* likewise: last sign of the peer */
	bool told;               /* that it is down */
	struct outbuf buffer;
	bool dials; /* else the peer does */
};

/* Connections are not made by this. */
int tcp_out_init(struct tcp_out *out);

/*
 * There is a connection, whose hands are shaken, from now on ours; that of
 * before has gone down. 0 or -ENOMEM.
 */
int tcp_out_adopt(struct tcp_out *out, struct stream *stream);

/* Ends the session or the attempt, and plans the next. */
void tcp_out_down(struct tcp_out *out, const char *reason);

/* Of a net_out_type; struct tcp_out comes first in what is given. */
int tcp_out_send_as(struct net_out *net, const uint8_t *message, size_t length,
		    const struct net_delivery *delivery);
bool tcp_out_drained(const struct net_out *net);
size_t tcp_out_close(struct net_out *net, unsigned linger_ms);
uint64_t tcp_out_unacknowledged(const struct net_out *net);
void tcp_out_break(struct net_out *net, const char *reason);
void tcp_out_reloaded(struct net_out *net);

#endif
