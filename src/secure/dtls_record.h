/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of DTLS 1.2 (RFC 6347 section 4.1) beside those that GnuTLS reads and
 * writes itself: heartbeats, sealed and opened with the keys of the session.
 */
#ifndef CONFLUX_SECURE_DTLS_RECORD_H
#define CONFLUX_SECURE_DTLS_RECORD_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conflux/dtls.h"

enum {
	RECORD_OVERHEAD = DTLS_HEADER + 8 + 16, /* most that sealing adds */
};

/* The header of a record. */
struct record {
	uint8_t type;
	uint16_t epoch;
	uint64_t number;     /* 48 bits */
	const uint8_t *data; /* behind the header */
	uint16_t length;
};

/*
 * Reads the header of the record at p; *record refers to p. Returns the octets
 * of the whole record, or 0: it is none of DTLS, or it is cut off.
 */
size_t record_read(struct record *record, const uint8_t *p, size_t length);

/* RFC 6347 section 4.1.2.6, for the records that GnuTLS does not see. */
struct record_window {
	bool started;
	uint64_t top;  /* the highest number that was taken */
	uint64_t mask; /* bit i: top - i was taken */
};

/* May a record of this number be taken? Then, when it proved genuine: */
bool record_fresh(const struct record_window *window, uint64_t number);
void record_taken(struct record_window *window, uint64_t number);

/* Can we, with the cipher of the session? */
bool record_can(gnutls_session_t session);

/* The epoch that we write in. */
uint16_t record_epoch(gnutls_session_t session);

/*
 * Seals a record of that type with the next number of the session, which goes
 * on behind it. out has length + RECORD_OVERHEAD octets. Returns the octets, or
 * a negative errno.
 */
int record_seal(gnutls_session_t session, uint8_t type, const uint8_t *plain,
		size_t length, uint8_t *out);

/*
 * Opens a record, which must be of the present epoch. plain has record->length
 * octets. Returns the octets of the content, or a negative errno: it is not
 * genuine, or not new to the window.
 */
int record_open(gnutls_session_t session, struct record_window *window,
		const struct record *record, uint8_t *plain);

#endif
