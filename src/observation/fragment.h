/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Only the first fragment of a datagram has its ports. They are remembered for
 * a while, so that the later ones get them: then all fragments are one flow.
 * A bounded table; the datagram not seen for longest goes. Times are those of
 * the packets.
 */
#ifndef CONFLUX_OBSERVATION_FRAGMENT_H
#define CONFLUX_OBSERVATION_FRAGMENT_H

#include "packet.h"

struct fragments;

struct fragment_counters {
	uint64_t first;    /* fragments that had ports */
	uint64_t found;    /* later ones that got them */
	uint64_t orphans;  /* later ones whose first was not there */
	uint64_t recycled; /* datagrams that gave way before their time */
};

/* max: datagrams, at least 1; timeout: how long one is remembered. -ENOMEM. */
int fragments_new(uint32_t max, uint32_t timeout_ms, struct fragments **out);
void fragments_free(struct fragments *fragments);

/* For packets that have HAS_FRAGMENT. */
void fragments_packet(struct fragments *fragments, struct packet *packet);

const struct fragment_counters *
fragments_counters(const struct fragments *fragments);

#endif
