/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The receiving side, as its transports see it. */
#ifndef CONFLUX_NET_IN_H
#define CONFLUX_NET_IN_H

#include "conflux/log.h"
#include "conflux/net.h"

enum {
	NET_MESSAGE_MAX = 65535, /* what a frame may have, octets */
	NET_READY_MS = 2,        /* ask "ready" again after that */
};

/* What a transport brings; the struct net_in is its first member. */
struct net_in_type {
	size_t size; /* of the transport's own struct */
	int (*open)(struct net_in *in, char **error);
	/* Called after a failed open, too; all members may be zero then. */
	void (*close)(struct net_in *in);
	uint16_t (*port)(const struct net_in *in);
	struct net_session *(*next)(const struct net_in *in, uint32_t *at);
	/* Files were read again: ends sessions of who was revoked. Or NULL. */
	void (*reloaded)(struct net_in *in);
};

struct net_in {
	const struct net_in_type *type;
	struct event_base *base;
	struct net_in_conf conf; /* its lists are our copies */
	const struct net_in_ops *ops;
	void *arg;
	struct secure *secure; /* NULL: plain */
	struct log_limit reject_log, full_log;
};

extern const struct net_in_type net_udp_in, net_tcp_in, net_tcp_dial,
	net_sctp_in, net_file_in, net_dtls_in;

static inline bool
net_in_ready(const struct net_in *in)
{
	return !in->ops->ready || in->ops->ready(in->arg);
}

/*
 * Splits the octets at p into messages and hands them out until they end,
 * something is wrong (*reason is set then), or "ready" says no. Returns how
 * many octets were used. *need: octets of the message at the end if its length
 * is known, else 0.
 */
size_t net_in_split(struct net_in *in, struct net_session *session,
		    const uint8_t *p, size_t have, size_t *need,
		    const char **reason);

/*
 * max_sessions is reached: whoever came is logged and told. transport, sessions
 * and consequence are words for people: "tcp", "connections", "it is closed".
 */
void net_in_full(struct net_in *in, const char *transport, const char *sessions,
		 const char *consequence, const struct addr *remote);

/*
 * Whoever could not prove to be somebody that may talk to us is logged and
 * told. transport is text for people; peer is who it says to be, or "".
 */
void net_in_reject(struct net_in *in, const char *transport,
		   const struct addr *remote, const char *peer,
		   enum net_refusal why, const char *reason);

/* Counts a message into the session and hands it out. */
static inline int
net_in_message(struct net_in *in, struct net_session *session,
	       const uint8_t *p, size_t length)
{
	session->messages++;
	session->octets += length;
	return in->ops->message(in->arg, session, p, length);
}

#endif
