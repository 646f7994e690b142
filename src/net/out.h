/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The sending side, as its transports see it. */
#ifndef CONFLUX_NET_OUT_H
#define CONFLUX_NET_OUT_H

#include <event2/event.h>

#include "conflux/net.h"

struct net_out_type {
	size_t size; /* of the transport's own struct */
	int (*open)(struct net_out *out, char **error);
	int (*send)(struct net_out *out, const uint8_t *message,
		    size_t length);
	/* In place of send, where messages can go in several ways. */
	int (*send_as)(struct net_out *out, const uint8_t *message,
		       size_t length, const struct net_delivery *delivery);
	void (*settle)(struct net_out *out); /* or NULL */
	bool (*drained)(const struct net_out *out);
	/* Called after a failed open, too; all members may be zero then.
	 * Returns the messages taken that could not be sent. */
	size_t (*close)(struct net_out *out, unsigned linger_ms);
	uint32_t (*path_octets)(const struct net_out *out); /* or NULL */
	uint16_t (*port)(const struct net_out *out); /* listens at; or NULL */
	/* Octets that the peer has not acknowledged; or NULL. */
	uint64_t (*unacknowledged)(const struct net_out *out);
	/* Of a file that is appended to: net_out_length. Or NULL. */
	bool (*length)(const struct net_out *out, uint64_t *length);
	int (*cut)(struct net_out *out, uint64_t length);
	void (*break_off)(struct net_out *out, const char *reason); /* or NULL */
	/* Files were read again: ends a session with who was revoked. Or
	 * NULL. */
	void (*reloaded)(struct net_out *out);
};

struct net_out {
	const struct net_out_type *type;
	struct event_base *base;
	struct net_out_conf conf; /* its strings are our copies */
	const struct net_out_ops *ops;
	void *arg;
	struct secure *secure; /* NULL: plain */
	struct net_out_stats stats;
	bool blocked;       /* -EAGAIN was returned: tell when writable */
	int64_t tokens;     /* of the rate, 1/1000 octet */
	uint64_t filled_ms; /* when tokens were last added, monotonic */
	struct event *refill;
	char name[256];     /* of the destination, for log lines */
};

extern const struct net_out_type net_udp_out, net_tcp_out, net_tcp_listen,
	net_sctp_out, net_file_out, net_dtls_out;

/* back_off with what the configuration says. */
uint32_t net_out_back_off(const struct net_out *out, uint32_t *wait_ms);

/* The transport can take messages (again). */
void net_out_writable(struct net_out *out);

#endif
