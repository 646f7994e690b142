/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions over TCP that bring messages: those of peers that have come to us
 * (tcp_in.c), or the one that we have made (tcp_dial.c).
 */
#ifndef CONFLUX_NET_TCP_IN_H
#define CONFLUX_NET_TCP_IN_H

#include <event2/event.h>

#include "acceptor.h"
#include "in.h"
#include "stream.h"

enum { TCP_READ_SIZE = 256 * 1024 };

struct tcp_session {
	struct net_session session;
	struct tcp_in *in;
	uint32_t index;   /* in the list of sessions */
	struct stream stream;
	bool open; /* told to the receiver; else hands are shaken */
	struct event *readable;
	struct event *writable; /* for a handshake or a reply that waits */
	/* Hands are shaken, but the peer may refuse us yet (stream.h); NULL:
	 * it is not so. */
	struct event *settled;
	uint64_t seen_ms;	/* monotonic; in a handshake: of its begin */
	uint8_t *part;    /* the beginning of a message */
	size_t have;      /* octets of it */
	size_t need;      /* its length, 0 if not known yet */
	size_t size;      /* of the memory */
	char suite[64];
	uint8_t *reply;	     /* what of it is not written yet, or NULL */
	size_t reply_length; /* octets of it */
};

struct tcp_in {
	struct net_in in;
	struct acceptor acceptor; /* where peers come to us */
	/* A session is over, or did not come about; NULL: no matter. */
	void (*ended)(struct tcp_in *in);
	struct tcp_session **session;
	uint32_t session_count, session_size;
	struct event *sweep;
	struct event *retry;     /* asks "ready" again */
	bool stopped;            /* not reading: the receiver isn't ready */
	uint32_t first;          /* session that is to be read first then */
	struct tcp_session *behind; /* the receiver has not had all of its */
	size_t at, end;		    /* what is left in scratch */
	/* A part whose length is not known, then TCP_READ_SIZE octets. */
	uint8_t scratch[NET_MESSAGE_MAX + TCP_READ_SIZE];
};

int tcp_in_init(struct tcp_in *in);

/* Has the connection from now on. False: it was closed at once. */
bool tcp_in_take(struct tcp_in *in, int fd);

/* Of a net_in_type; struct tcp_in comes first in what is given. */
void tcp_in_close(struct net_in *net);
struct net_session *tcp_in_next(const struct net_in *net, uint32_t *at);
void tcp_in_reloaded(struct net_in *net);

#endif
