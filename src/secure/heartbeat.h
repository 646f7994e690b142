/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Heartbeat messages (RFC 6520): what is in them, and when a request is sent
 * again. Records, keys and sockets are others' business; the caller gives the
 * time and sends what is written.
 */
#ifndef CONFLUX_SECURE_HEARTBEAT_H
#define CONFLUX_SECURE_HEARTBEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HEARTBEAT_RECORD = 24,	  /* content type of its records */
	HEARTBEAT_EXTENSION = 15, /* of the hello messages */
	HEARTBEAT_ALLOWED = 1,	  /* in it: requests will be answered */
	HEARTBEAT_HEAD = 3,	  /* type, length of the payload */
	HEARTBEAT_PADDING = 16,	  /* octets at least */
	HEARTBEAT_PAYLOAD = 16,	  /* octets of ours */
	HEARTBEAT_MIN = HEARTBEAT_HEAD + HEARTBEAT_PAYLOAD + HEARTBEAT_PADDING,
	HEARTBEAT_MAX = 16384,	  /* octets of a message: 2^14 */
	HEARTBEAT_WAIT_MS = 1000, /* RFC 6347 4.2.4.1: doubles up to ... */
	HEARTBEAT_WAIT_MAX_MS = 60000,
};

/* What became of the last request. */
enum heartbeat_state {
	HEARTBEAT_IDLE,
	HEARTBEAT_PENDING,
	HEARTBEAT_ANSWERED,
	HEARTBEAT_FAILED, /* not one of its transmissions was answered */
};

struct heartbeat {
	enum heartbeat_state state;
	uint8_t payload[HEARTBEAT_PAYLOAD]; /* of the request, random */
	uint32_t length;		    /* of the request, octets */
	unsigned sent, left; /* transmissions done, and those that may follow */
	uint32_t wait_ms;    /* after the present transmission */
	uint64_t sent_ms, due_ms;
	uint32_t answer_ms; /* the last answer took so long */
	/* Of the session. */
	uint64_t requests, answers; /* of ours, retransmissions counted too */
	uint64_t asked;		    /* by the peer */
	uint64_t ignored;	    /* messages that were not right */
};

/*
 * Begins a request of length octets (HEARTBEAT_MIN to HEARTBEAT_MAX), to be
 * sent up to tries times. -EBUSY: one is under way, as only one may be.
 */
int heartbeat_begin(struct heartbeat *h, uint32_t length, unsigned tries,
		    uint32_t wait_ms, uint64_t now_ms);

/* Is it time to send the request (again)? May make it fail instead. */
bool heartbeat_due(struct heartbeat *h, uint64_t now_ms);
/* Writes the request at out (of at least its length). Returns the length. */
size_t heartbeat_write(struct heartbeat *h, uint8_t *out, uint64_t now_ms);
/* Milliseconds until heartbeat_due is to be asked; -1: nothing is under way. */
int64_t heartbeat_wait(const struct heartbeat *h, uint64_t now_ms);

/*
 * A message of the peer. Returns the octets of the answer that was written at
 * answer (of at least length octets), or 0: nothing is to be sent. What
 * is not right is ignored, as RFC 6520 wants it.
 */
size_t heartbeat_read(struct heartbeat *h, const uint8_t *message,
		      size_t length, uint8_t *answer, uint64_t now_ms);

#endif
