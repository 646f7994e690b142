/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The octets of a connection, plain or under TLS. Calls look like those of a
 * socket that does not block: -1 with EAGAIN means later, when the socket is
 * readable, or writable if stream_wants_write says so. EPROTO means that TLS
 * failed; stream_reason has it in words.
 */
#ifndef CONFLUX_NET_STREAM_H
#define CONFLUX_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "conflux/addr.h"
#include "conflux/secure.h"

struct stream {
	int fd;		    /* -1: none */
	struct ssl_st *ssl; /* NULL: plain */
	bool shaken;	    /* hands: TLS is up */
	/* What a read found behind octets that it gave: for the next one. */
	bool ended;
	int end_errno;			/* 0: a regular end */
	bool failed;			/* TLS: nothing can be said any more */
	struct secure_verdict *verdict; /* of a session under TLS */
};

/* Takes the socket, whatever is returned. secure NULL: plain. The struct may be
 * moved to another place. */
int stream_open(struct stream *stream, int fd, struct secure *secure,
		const struct addr *remote, char **error);
/* Says that it ends, if it can be said at once. */
void stream_close(struct stream *stream);

/* As secure_ssl_handshake; 0 at once if plain. */
int stream_handshake(struct stream *stream);

/* Reads until size is full or there is no more for now. 0: a regular end. */
ssize_t stream_read(struct stream *stream, void *data, size_t size);
ssize_t stream_readv(struct stream *stream, const struct iovec *iov, int count);

/* Would a read give something that the socket no longer tells of? */
bool stream_holds(const struct stream *stream);

/* Writes what it can of the parts. */
ssize_t stream_writev(struct stream *stream, const struct iovec *iov,
		      int count);

bool stream_wants_write(const struct stream *stream);

/* Says that nothing more comes from us. EAGAIN as above. 0 or -1. */
int stream_shutdown(struct stream *stream);

/*
 * How long to wait after the handshake before the session counts as up. A
 * client of TLS 1.3 is done before the server has looked at its certificate
 * (RFC 8446 section 2); what it sent would be lost if that were refused.
 * Milliseconds, from the round trips of the connection; mostly 0.
 */
unsigned stream_settle_ms(const struct stream *stream);

/* Why a call failed with this errno; constant or of the stream. */
const char *stream_reason(const struct stream *stream, int error);

/* Why the session may not go on after a reload (secure_ssl_revoked), or NULL.
 */
const char *stream_revoked(const struct stream *stream);

/* The peer's name, and "TLSv1.3 TLS_AES_..."; NULL if plain. */
const char *stream_peer(const struct stream *stream);
void stream_suite(const struct stream *stream, char *text, size_t size);

#endif
