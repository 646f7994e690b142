/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet matching engine of RFC 2722 section 4.4: executes the rules of a
 * rule set on a packet and says whether the packet counts, and for which flow.
 * Pure: knows neither flows nor time.
 */
#ifndef CONFLUX_METERMIB_PME_H
#define CONFLUX_METERMIB_PME_H

#include <stdbool.h>
#include <stdint.h>

#include "conflux/metermib_agent.h"
#include "rule_store.h"

/*
 * One end of a packet. All in network byte order, what is not there is zero.
 * Packed so that an end is as wide as half a cache line, and equal ends are
 * equal octet by octet.
 */
struct pme_end {
	uint8_t peer[16]; /* IPv4: the first four */
	uint8_t adjacent[6];
	uint8_t port[2];
	uint8_t interface[4];
	uint8_t adjacent_type;
	uint8_t peer_type;
	uint8_t trans_type;
	uint8_t has_adjacent; /* 1: there is a MAC address */
};

struct pme_packet {
	struct pme_end end[2]; /* FLOW_SOURCE, FLOW_DEST: as in the packet */
	uint64_t octets;
	uint64_t pdus;
	uint8_t zero[16]; /* what packets do not tell; zero */
};

enum pme_direction {
	PME_S_TO_D, /* source and destination as they are in the packet */
	PME_D_TO_S, /* exchanged */
};

enum pme_result {
	PME_SUCCESS,
	PME_NO_MATCH,
	PME_IGNORE,
	/*
	 * As PME_NO_MATCH, but because the rules did what they can not: an
	 * endless loop, too many pushes or subroutines within others, a Return
	 * without a Gosub.
	 */
	PME_FAULT,
};

/* Bounds of what one execution may use. */
enum {
	PME_QUEUE = 64,	   /* attributes that are pushed */
	PME_DEPTH = 32,	   /* subroutines in subroutines */
	PME_STEPS = 1024,  /* rules executed, and ... */
	PME_STEPS_PER = 4, /* ... so many more for each rule of the set */
};

struct pme;

/*
 * Makes rules that rule_store_check has found to be right ready for use; they
 * are copied. 0 or -ENOMEM.
 */
int pme_new(const struct rule *rules, uint32_t count, struct pme **out);
void pme_free(struct pme *pme);

/* Whether it was made of the very same rules. */
bool pme_made_of(const struct pme *pme, const struct rule *rules,
		 uint32_t count);

/*
 * Executes the rules. On success *key is that of the flow, its rule set 0.
 */
enum pme_result pme_match(const struct pme *pme,
			  const struct pme_packet *packet,
			  enum pme_direction direction, struct flow_key *key);

/*
 * The bits of the two ends that any result can depend on, in either direction.
 */
const struct pme_end *pme_looks_at(const struct pme *pme);

#endif
