/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * One session of DTLS over UDP to a destination: a connected socket, the
 * session, and what finds out whether the peer is alive and what the path
 * takes. A destination may have two for a while (dtls_out.c).
 */
#ifndef CONFLUX_NET_DTLS_LINK_H
#define CONFLUX_NET_DTLS_LINK_H

#include "conflux/dtls.h"
#include "out.h"

struct dtls_link;

enum dtls_link_event {
	DTLS_LINK_UP,	    /* the size of messages is known, too */
	DTLS_LINK_DOWN,	    /* free it; the reason is text */
	DTLS_LINK_WRITABLE, /* all was sent */
	DTLS_LINK_PATH,	    /* messages may have another size */
	DTLS_LINK_ASKED,    /* what is sent from now on, the answer is not for */
	DTLS_LINK_ANSWERED, /* what was sent before that is no more in doubt */
	DTLS_LINK_REFUSED,  /* ICMP says that nobody is there: a hint only */
};

typedef void (*dtls_link_told)(struct net_out *out, struct dtls_link *link,
			       enum dtls_link_event event, const char *reason);

/*
 * Begins a handshake with the destination of out, whose configuration and
 * account it uses. told is called from the loop only. On error *error is a
 * message for the user.
 */
int dtls_link_new(struct net_out *out, struct dtls_context *context,
		  const struct dtls_resume *resume, dtls_link_told told,
		  struct dtls_link **link, char **error);
void dtls_link_free(struct dtls_link *link);

/* 0, -EAGAIN: after DTLS_LINK_WRITABLE; -EMSGSIZE. */
int dtls_link_send(struct dtls_link *link, const uint8_t *message,
		   size_t length);
/* Hands all to the kernel, as far as it takes it. True: nothing is left. */
bool dtls_link_flush(struct dtls_link *link);
/* Tells the peer that there will be no more. */
void dtls_link_end(struct dtls_link *link);

/* DTLS_LINK_UP was told, and nothing has ended it since. */
bool dtls_link_is_up(const struct dtls_link *link);
const struct dtls *dtls_link_session(const struct dtls_link *link);
int dtls_link_fd(const struct dtls_link *link);
/* Messages that are not with the kernel yet. */
unsigned dtls_link_waiting(const struct dtls_link *link);
/* Octets of a message that the path takes. */
uint32_t dtls_link_octets(const struct dtls_link *link);
/*
 * Messages sent since the peer was last known to understand them; 0 where
 * nothing tells.
 */
uint64_t dtls_link_doubtful(const struct dtls_link *link);
/* Does anything tell? */
bool dtls_link_confirms(const struct dtls_link *link);

#endif
