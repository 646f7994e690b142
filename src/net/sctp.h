/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * SCTP as its users here see it (RFC 9260, API after RFC 6458): one table of
 * functions, several stacks behind it.
 *
 *   kernel     sockets of the system: sctp_kernel.c
 *   userland   usrsctp in this process, over IP as the kernel would do it or in
 *              UDP (RFC 6951): sctp_userland.c
 *   secured    DTLS on top of one of these: sctp_secured.c
 *
 * The constants and structs of both have the same names and different values,
 * so neither header is seen outside of its file.
 *
 * An endpoint listens, or begins associations; it belongs to one event base,
 * and all its callbacks come from that loop. What happens to an association is
 * read from it as a row of events, of which messages are one kind. Errors are
 * negative errno values.
 *
 * Keys, payload protocol and the "dry" event are there for DTLS (RFC 6083):
 * who does not ask for them does not meet them.
 */
#ifndef CONFLUX_NET_SCTP_H
#define CONFLUX_NET_SCTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "conflux/net.h"

enum {
	SCTP_BACKLOG = 128,
	/* A peer that is gone is found in about two minutes at most, and sooner
	 * while there is something to send. */
	SCTP_RTO_MAX_MS = 10000,
	SCTP_RETRANSMISSIONS = 8, /* of an association in a row */
	SCTP_HEARTBEAT_MS = 5000,
	/* Of one path in a row: where there are several, another one is taken
	 * after about seven seconds. */
	SCTP_PATH_RETRANSMISSIONS = 2,
	/* A packet that no other follows is acknowledged after this time, not
	 * 200 ms: the end, a handshake of DTLS, and Templates wait for it. */
	SCTP_SACK_MS = 20,
};

struct assoc;
struct assoc_endpoint;

struct assoc_conf {
	const struct addr *local; /* addresses to bind; their ports are port */
	unsigned local_count;	  /* 0: all */
	uint16_t port;		  /* 0: any */
	bool connects;		  /* it will not listen */
	const char *interface;	  /* or NULL */
	uint16_t remote_udp;	  /* encapsulation port; 0: none */
	uint16_t streams_out;	  /* to ask for */
	uint16_t streams_in;	  /* to accept at most */
	uint32_t send_buffer, receive_buffer; /* 0: as the stack has it */
	bool authenticated; /* SCTP-AUTH of what RFC 6083 4.8 lists */
	/* For sctp_secured: the stack below, who we are, and the longest that
	 * a handshake may take, 0: as it likes. secure must outlive it. */
	const struct sctp_stack *below;
	struct secure *secure;
	uint32_t handshake_ms;
	const struct net_dtls_conf *dtls;
};

/* How a message goes. */
struct assoc_send {
	struct net_delivery delivery;
	uint32_t payload; /* PPID, host byte order */
	uint32_t number;  /* comes back with ASSOC_UNDELIVERED */
};

enum assoc_event_kind {
	ASSOC_DATA,	   /* length octets of a message; end: its last ones */
	ASSOC_DATA_CUT,	   /* the rest of the message begun won't come */
	ASSOC_UP,	   /* streams_out, streams_in */
	ASSOC_RESTARTED,   /* the peer began anew: nothing known before holds */
	ASSOC_LOST,	   /* error: ETIMEDOUT, ECONNRESET, ECONNREFUSED */
	ASSOC_PEER_ENDS,   /* it takes what is on its way, and no more */
	ASSOC_ENDED,	   /* in order */
	ASSOC_UNDELIVERED, /* the message with this number; may come again */
	ASSOC_DRY,	   /* all that was sent has been acknowledged */
	ASSOC_PATH,	   /* to address: usable tells */
	ASSOC_OTHER,
};

struct assoc_event {
	enum assoc_event_kind kind;
	size_t length;
	bool end, unordered;
	uint16_t stream;
	uint32_t payload;
	uint16_t streams_out, streams_in;
	int error;
	const char *reason; /* of ASSOC_LOST, the association's; or NULL */
	uint32_t number;
	struct addr address;
	bool usable;
};

struct assoc_ops {
	/* A new one at an endpoint that listens; it is the callee's. */
	void (*accepted)(void *arg, struct assoc *assoc);
	/* It may be read, or written (again): try. */
	void (*ready)(void *arg, struct assoc *assoc, bool read, bool write);
	/* No association can be accepted now, for this errno. */
	void (*starved)(void *arg, int error);
	/* One of sctp_secured did not come about. peer: who it says to be, or
	 * "". known: it may not talk to us, else who it is is not known. */
	void (*rejected)(void *arg, const struct addr *remote, const char *peer,
			 bool known, const char *reason);
};

struct sctp_stack {
	const char *name;
	/* Can it be had here? 0 or a negative errno. */
	int (*probe)(void);
	/*
	 * Before the first endpoint, with the encapsulation ports that all will
	 * have, and after the last: what takes long is done here.
	 */
	int (*start)(uint16_t local_udp, uint16_t remote_udp, char **error);
	void (*stop)(void);
	/* Binds. conf is not kept, but what it points to is for the call. */
	int (*open)(struct event_base *base, const struct assoc_conf *conf,
		    const struct assoc_ops *ops, void *arg,
		    struct assoc_endpoint **out, char **error);
	/* Its associations must be closed before. */
	void (*close)(struct assoc_endpoint *endpoint);
	int (*listen)(struct assoc_endpoint *endpoint);
	/* Stops accepting, and goes on with it. */
	void (*pause)(struct assoc_endpoint *endpoint, bool pause);
	uint16_t (*port)(const struct assoc_endpoint *endpoint);
	/* Begins one, from the endpoint's bound socket: once for each. */
	int (*connect)(struct assoc_endpoint *endpoint,
		       const struct addr *remote, unsigned count,
		       struct assoc **out);
	/* 0, -EAGAIN (ready will tell), or what else. All or nothing. */
	int (*send)(struct assoc *assoc, const void *data, size_t length,
		    const struct assoc_send *how);
	/* 0: an event; -EAGAIN: none; -ENOTCONN: no more will come. */
	int (*receive)(struct assoc *assoc, void *data, size_t size,
		       struct assoc_event *event);
	/* Is "ready" to be called for reading? At first: yes. */
	void (*watch)(struct assoc *assoc, bool read);
	/* Blocks until it may be ready. */
	void (*wait)(struct assoc *assoc, unsigned ms);
	/* Has all that was sent been acknowledged, or given up? An ASSOC_DRY
	 * may be older than what was sent since. */
	bool (*idle)(struct assoc *assoc);
	/* Nothing more is sent; events come until the end. */
	int (*shutdown)(struct assoc *assoc);
	/* Ends one that we began at once; events tell what was not delivered. */
	int (*abort)(struct assoc *assoc);
	/* Frees it; one that has not ended is aborted. NULL is legal. */
	void (*free)(struct assoc *assoc);
	void (*names)(struct assoc *assoc, struct addr *local,
		      struct addr *remote, uint32_t *id);
	/* The octets that the peer had room for, when it last told. */
	uint32_t (*window)(struct assoc *assoc);
	/* Of a stack that is secured, else NULL. Who the peer is, and the
	 * cipher suite; do heartbeats go; after files were read again: why it
	 * may not go on, constant text, or NULL. */
	void (*peer)(struct assoc *assoc, const char **peer,
		     const char **suite);
	bool (*heartbeat)(const struct assoc *assoc);
	const char *(*revoked)(const struct assoc *assoc);
	/* SCTP-AUTH. key_remove: -EAGAIN while data under it is on its way. */
	int (*key_add)(struct assoc *assoc, uint16_t number, const uint8_t *key,
		       size_t length);
	int (*key_use)(struct assoc *assoc, uint16_t number);
	int (*key_remove)(struct assoc *assoc, uint16_t number);
};

/* The first member of each stack's own. */
struct assoc {
	const struct sctp_stack *stack;
	void *user; /* of the owner */
};

extern const struct sctp_stack sctp_kernel, sctp_userland;
/* DTLS on top of one of them; below and secure of struct assoc_conf tell. */
extern const struct sctp_stack sctp_secured;

/* The stack to take, or NULL with *error set. */
const struct sctp_stack *sctp_stack_choose(enum net_sctp_stack which,
					   char **error);

/* Must the socket be one for both families, or (first) IPv6 at all? */
int sctp_family(const struct addr *list, unsigned count);

/* Text for people, of an ASSOC_LOST. */
const char *sctp_lost_reason(const struct assoc_event *event);

/* Of the addresses of ours the one that the remote one is reached from, as far
 * as that can be guessed. */
void sctp_choose_local(const struct addr *list, unsigned count,
		       const struct addr *remote, struct addr *local);

#endif
