/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys that session tickets are made with (RFC 5077), and their rotation
 * (RFC 9325 section 3.4): each is the digest of the one before, which is then
 * forgotten. So workers that began with the same secret have the same key at
 * the same time, without a word among them, and who learns a key can't go back.
 */
#ifndef CONFLUX_SECURE_TICKETS_H
#define CONFLUX_SECURE_TICKETS_H

#include <stdint.h>

#include "conflux/secure.h"

enum {
	TICKET_ROTATION = 3600, /* seconds that a key makes tickets */
	TICKET_LIFE = 2,	/* keys whose tickets are taken, with it */
	TICKET_STEPS_MAX =
		87600, /* 10 years: what is farther away is no clock */
};

struct ticket_key {
	uint64_t number; /* rotations since 1970; the name of the key */
	uint8_t cipher[32];
	uint8_t mac[32];
};

struct tickets {
	uint8_t secret[SECURE_TICKET_SECRET]; /* of key[0] */
	struct ticket_key key[TICKET_LIFE];   /* the present one first */
};

/* made: when the secret was, seconds, UTC. secret NULL: a random one. */
int tickets_init(struct tickets *tickets, const uint8_t *secret, int64_t made);
void tickets_wipe(struct tickets *tickets);

/* Rotates as far as now (seconds, UTC) asks. A clock set back does nothing. */
void tickets_advance(struct tickets *tickets, int64_t now);

/* The key of a ticket, or NULL if it is too old or not ours. */
const struct ticket_key *tickets_find(const struct tickets *tickets,
				      uint64_t number);

#endif
