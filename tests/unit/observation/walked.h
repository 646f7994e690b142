/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What holds of any packet after the header walk, whatever is in it.
 */
#ifndef CONFLUX_TESTS_WALKED_H
#define CONFLUX_TESTS_WALKED_H

#include <assert.h>
#include <string.h>

#include "packet.h"

/* at has that many octets before limit. */
static inline bool
walked_there(const struct packet *p, const uint8_t *at, size_t octets,
	     const uint8_t *limit)
{
	return at >= p->frame->data && at <= limit &&
	       (size_t)(limit - at) >= octets;
}

static inline void
walked_check_link(const struct packet *p, const uint8_t *limit)
{
	if (p->has & HAS_ETHERNET)
		assert(walked_there(p, p->ethernet, 14, limit));
	assert(p->vlan_count <= VLANS_MAX && p->mpls_depth <= MPLS_MAX);
	assert(!(p->has & HAS_VLAN) == (p->vlan_count == 0));
	assert(!(p->has & HAS_VLAN2) == (p->vlan_count < 2));
	if (p->has & HAS_VLAN)
		assert(walked_there(p, p->vlan, 4u * p->vlan_count, limit));
	if (p->has & HAS_PBB)
		assert(walked_there(p, p->pbb, 18, limit));
	if (p->has & HAS_MPLS) {
		assert(p->mpls_depth > 0);
		assert(walked_there(p, p->mpls, 4u * p->mpls_depth, limit));
		assert(p->mpls_payload == p->mpls + 4 * p->mpls_depth);
	}
	if (p->has & HAS_GTPU)
		assert(walked_there(p, p->gtpu, 8, limit));
	if (p->has & HAS_WLAN)
		assert(walked_there(p, p->wlan, 24, limit));
}

static inline void
walked_check(const struct packet *p)
{
	const uint32_t versions = HAS_IPV4 | HAS_IPV6;
	const uint8_t *limit = p->frame->data + p->frame->length;

	assert(p->fault < FAULT_COUNT && packet_fault_name(p->fault));
	assert(p->end >= p->frame->data && p->end <= limit);
	walked_check_link(p, limit);
	assert(!(p->has & HAS_PAYLOAD) == !(p->has & versions));
	assert((p->has & versions) != versions);
	if (!(p->has & versions)) {
		assert(!(p->has & (HAS_PORTS | HAS_TCP | HAS_UDP | HAS_SPI |
				   HAS_ICMP | HAS_FRAGMENT | HAS_SRH)));
		return;
	}
	limit = p->end;
	assert(walked_there(p, p->ip, p->has & HAS_IPV4 ? 20 : 40, limit));
	assert(p->ip[0] >> 4 == (p->has & HAS_IPV4 ? 4 : 6));
	assert(p->ip_payload >= p->ip + 20 && p->ip_payload <= limit);
	assert(p->ip_length >= (uint32_t)(limit - p->ip));
	assert(p->transport >= p->ip_payload && p->transport <= limit);
	assert(p->payload >= p->transport && p->payload <= limit);
	assert(p->ip_header_length == (uint32_t)(p->transport - p->ip));
	if (p->has & HAS_PORTS)
		assert(walked_there(p, p->transport, 4, limit) &&
		       memcmp(p->transport, p->port, 4) == 0);
	if (p->has & HAS_TCP)
		assert(walked_there(p, p->transport, 20, limit));
	if (p->has & HAS_UDP)
		assert(walked_there(p, p->transport, 8, limit));
	if (p->has & HAS_SCTP)
		assert(walked_there(p, p->transport, 12, limit));
	if (p->has & (HAS_ICMP | HAS_ICMPV6 | HAS_IGMP))
		assert(walked_there(p, p->transport, 4, limit));
	if (p->has & HAS_SRH)
		assert(walked_there(p, p->srh, (p->srh[1] + 1u) * 8, limit));
}

#endif
