/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions of DTLS 1.2 (RFC 6347) with heartbeats (RFC 6520), of either role,
 * by GnuTLS. Knows no socket: datagrams that came are put in, those to be sent
 * go to a function of the user, and the user gives the time. Nothing blocks.
 *
 *	dtls_new(...)
 *	dtls_input(dtls, datagram, length, now)    for each datagram that came
 *	while ((n = dtls_read(dtls, ...)) > 0) ... what was in it
 *	dtls_tick(dtls, now)                       after dtls_wait(dtls, now)
 *
 * Each returns with the state looked at anew; a session that has ended or
 * failed takes and gives nothing more, and is to be freed.
 */
#ifndef CONFLUX_DTLS_H
#define CONFLUX_DTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "conflux/addr.h"
#include "conflux/secure.h"

/* What all sessions of a receiver or destination share. */
struct dtls_context;
struct dtls;

enum {
	DTLS_DATAGRAM_MAX = 16384, /* octets that a session sends at most */
	DTLS_HEADER = 13,	   /* of a record: type, version, epoch ... */
	DTLS_EPOCH = 3,		   /* where in it: 2 octets */
	DTLS_HANDSHAKE_MS = 15000,
	/* Octets of a datagram of a handshake: what any path takes. */
	DTLS_HANDSHAKE_OCTETS = 1200,
};

/* Types of records, the first octet of each. */
enum {
	DTLS_CHANGE_CIPHER_SPEC = 20,
	DTLS_ALERT = 21,
	DTLS_HANDSHAKE = 22,
	DTLS_DATA = 23,
};

/*
 * secure must outlive it. When files have been read anew, sessions to come have
 * the new credentials. *error: see secure_new.
 */
int dtls_context_new(struct secure *secure, struct dtls_context **out,
		     char **error);
void dtls_context_free(struct dtls_context *context);

/* ---- before a session: cookies ------------------------------------------- */

/* What a server remembers of the cookie that a client has brought back. */
struct dtls_start {
	unsigned record, read, write;
};

enum dtls_hello {
	DTLS_HELLO_NONE,   /* no ClientHello: nothing was done */
	DTLS_HELLO_ASKED,  /* without a good cookie: one was sent */
	DTLS_HELLO_COOKIE, /* the client has our cookie: make a session */
};

/* Sends a datagram; what it can't send is lost, as datagrams are. */
typedef void (*dtls_send)(void *arg, const uint8_t *datagram, size_t length);

/*
 * A datagram from an address that has no session, or an established one that
 * may have been forgotten by a restarted client. Keeps no state (RFC 6347
 * section 4.2.1). The keys of the cookies change with time.
 */
enum dtls_hello dtls_hello(struct dtls_context *context,
			   const uint8_t *datagram, size_t length,
			   const struct addr *remote, uint64_t now_ms,
			   dtls_send send, void *arg, struct dtls_start *start);

/* Does the datagram begin with a plaintext handshake message? */
bool dtls_is_hello(const uint8_t *datagram, size_t length);

/* ---- sessions -------------------------------------------------------------
 */

enum dtls_state {
	DTLS_SHAKING,
	DTLS_UP,
	DTLS_ENDED, /* by the peer, in order */
	DTLS_FAILED,
};

/* What a client keeps of a session to have the next one sooner. */
struct dtls_resume {
	void *data; /* NULL: nothing */
	size_t length;
	bool heartbeat; /* was negotiated; a server does not say it again */
};
void dtls_resume_fini(struct dtls_resume *resume);

struct dtls_conf {
	const struct addr *remote; /* copied */
	dtls_send send;
	void *arg;
	bool heartbeat;			  /* offered or accepted */
	/* Server: a client may begin a handshake within a session. */
	bool renegotiation;
	/* RFC 6083: no replay window, no retransmission, no resumption. */
	bool over_sctp;
	/* The key of SCTP-AUTH that both ends have (RFC 6083 section 4.8), as
	 * soon as it is known: before our Finished. May be NULL. */
	void (*key)(void *arg, const uint8_t *key, size_t length);
	uint32_t handshake_ms;		  /* 0: DTLS_HANDSHAKE_MS */
	uint32_t handshake_octets;	  /* 0: DTLS_HANDSHAKE_OCTETS */
	const struct dtls_start *start;	  /* server: of dtls_hello, or NULL */
	const struct dtls_resume *resume; /* client: of before, or NULL */
};

/*
 * The role is that of the secure configuration. A client begins its handshake
 * with the first dtls_tick. NULL: no memory, or *error says what is wrong.
 */
struct dtls *dtls_new(struct dtls_context *context,
		      const struct dtls_conf *conf, uint64_t now_ms,
		      char **error);
/* Says nothing to the peer. */
void dtls_free(struct dtls *dtls);

/* Tells the peer that there will be no more. What it sends can still be read.
 */
void dtls_end(struct dtls *dtls, uint64_t now_ms);

enum dtls_state dtls_state(const struct dtls *dtls);
/* Why it has ended or failed, for the log. */
const char *dtls_reason(const struct dtls *dtls);
/* Has it failed because of who the peer is, or is not? */
bool dtls_rejected(const struct dtls *dtls);
/* After a reload: why a session that is up may not go on; constant text, or
 * NULL. See secure_ssl_revoked. */
const char *dtls_revoked(const struct dtls *dtls);
/* Who the peer is: see struct secure_verdict; "" before that is known. */
const char *dtls_peer(const struct dtls *dtls);
/* "ECDHE-RSA AES-256-GCM, resumed", for the log. */
const char *dtls_describe(const struct dtls *dtls, char *text, size_t size);

/* A datagram that came. What is in it has to be read before the next one. */
void dtls_input(struct dtls *dtls, const uint8_t *datagram, size_t length,
		uint64_t now_ms);
/* The content of the next record: octets, or -EAGAIN: there is none. */
ssize_t dtls_read(struct dtls *dtls, uint8_t *data, size_t size);

/* Records that came and were proved genuine, since the session is up. */
uint64_t dtls_genuine(const struct dtls *dtls);

/* 0, -EMSGSIZE, -ENOTCONN: it is not up, -EAGAIN: not in a handshake. One record
 * of one datagram. */
int dtls_write(struct dtls *dtls, const uint8_t *data, size_t length,
	       uint64_t now_ms);
/* Octets that dtls_write adds to a message. */
uint32_t dtls_overhead(const struct dtls *dtls);

/* Milliseconds until dtls_tick is to be called; -1: not by now. */
int64_t dtls_wait(const struct dtls *dtls, uint64_t now_ms);
void dtls_tick(struct dtls *dtls, uint64_t now_ms);

/* Takes over what is needed to resume the session, once it is up. */
void dtls_resume_get(const struct dtls *dtls, struct dtls_resume *resume);

/* ---- heartbeats -----------------------------------------------------------
 */

/* May requests be sent to the peer? */
bool dtls_has_heartbeat(const struct dtls *dtls);

enum dtls_probe {
	DTLS_PROBE_NONE,
	DTLS_PROBE_PENDING,
	DTLS_PROBE_ANSWERED,
	DTLS_PROBE_FAILED,
};

/*
 * Sends a request in a datagram of that many octets (0: a small one), again
 * after wait_ms (0: 1 s), and then after twice the time, until it has been sent
 * tries times. -EBUSY: one is under way. -ENOTSUP: none may be sent.
 */
int dtls_probe(struct dtls *dtls, uint32_t octets, unsigned tries,
	       uint32_t wait_ms, uint64_t now_ms);
/* What became of it; the result is told once. */
enum dtls_probe dtls_probe_result(struct dtls *dtls);

/* ---- renegotiation ---------------------------------------------------------
 */

/*
 * A client's handshake within the session, with RFC 5746: new keys, and the
 * proof that the peer is there and has the session. That it does not want one
 * (no_renegotiation) is such a proof, too. A peer that does not answer within
 * the time of a handshake is dead: the session fails. -EBUSY: one is under way.
 * -ENOTSUP: the session is not up, or can't have one.
 */
int dtls_renegotiate(struct dtls *dtls, uint64_t now_ms);
/* What became of it: not DTLS_PROBE_FAILED. The result is told once. */
enum dtls_probe dtls_renegotiated(struct dtls *dtls);

struct dtls_stats {
	uint64_t requests, answers; /* heartbeats of ours */
	uint64_t asked;		    /* by the peer */
	uint64_t ignored;	    /* that were not right */
	uint64_t discarded;	    /* records that were not genuine */
	uint32_t answer_ms;	    /* the last answer took so long */
	uint64_t alive_ms; /* when the peer was last heard, of now_ms */
};
void dtls_stats(const struct dtls *dtls, struct dtls_stats *stats);

#endif
