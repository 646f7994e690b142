/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies that a port copy function makes (draft-ietf-ipfix-reqs 5.7): a mirror
 * port shows a packet when it comes in and when it goes out, so its IP packet
 * comes twice, the same from the first octet of the IP header on as far as it
 * was captured; what is before it (VLAN tags, addresses) may differ, and so may
 * the TTL and, of IPv4, the header's check sum, if a router was between.
 *
 * What was seen within the window is remembered by a hash of 64 bits, the
 * length and the time, in a bounded ring: the oldest goes first.
 */
#ifndef CONFLUX_OBSERVATION_DUPLICATE_H
#define CONFLUX_OBSERVATION_DUPLICATE_H

#include "packet.h"

struct duplicates;

/* max: packets remembered. -ENOMEM. */
int duplicates_new(uint32_t max, uint32_t window_us, struct duplicates **out);
void duplicates_free(struct duplicates *duplicates);

/* Is it a copy of one seen within the window? If not, it is remembered. */
bool duplicates_packet(struct duplicates *duplicates,
		       const struct packet *packet);

#endif
