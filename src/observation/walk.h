/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * How the files of the header walk share the work. Each header is one step: a
 * function looks at the octets from at on, notes what it finds in the packet,
 * moves at behind it and returns what comes next. So there is no recursion, and
 * a bound of the steps bounds the work of any packet.
 *
 *	walk.c      the loop; MPLS, IP
 *	link.c      link layers of captures, and what is between them and IP
 *	transport.c what IP carries
 *	tunnel.c    packets in packets
 */
#ifndef CONFLUX_OBSERVATION_WALK_H
#define CONFLUX_OBSERVATION_WALK_H

#include <stddef.h>

#include "conflux/wire.h"
#include "packet.h"

/* What is at walk->at. */
enum layer {
	LAYER_END,
	LAYER_ETHERNET,
	LAYER_TYPE,  /* what walk->type, an EtherType, says */
	LAYER_LLC,   /* 802.2 */
	LAYER_PPP,   /* a PPP protocol field, or the HDLC address before it */
	LAYER_MPLS,
	LAYER_IP,    /* IPv4 or IPv6, as its version says */
	LAYER_IPV4,
	LAYER_IPV6,
	LAYER_UPPER, /* what packet->protocol says */
};

enum {
	STEPS_MAX = 64,     /* headers of a packet */
	EXTENSIONS_MAX = 16, /* of one IPv6 header */
};

enum ethertype {
	TYPE_IPV4 = 0x0800,
	TYPE_VLAN = 0x8100,
	TYPE_IPV6 = 0x86dd,
	TYPE_PPP = 0x880b,
	TYPE_MPLS = 0x8847,
	TYPE_MPLS_MULTICAST = 0x8848,
	TYPE_PPPOE_SESSION = 0x8864,
	TYPE_QINQ = 0x88a8,
	TYPE_PBB = 0x88e7,
	TYPE_VNTAG = 0x8926, /* of virtual interfaces, before a VLAN tag */
	TYPE_QINQ_OLD1 = 0x9100,
	TYPE_QINQ_OLD2 = 0x9200,
	TYPE_BRIDGED = 0x6558, /* transparent Ethernet, in GRE and others */
};

struct walk {
	struct packet *packet;
	const struct walk_conf *conf;
	const uint8_t *at;
	const uint8_t *end;  /* of the octets that are there */
	uint32_t missing;    /* octets that were on the wire behind end */
	uint16_t type;       /* of LAYER_TYPE */
	bool link_done;      /* the EtherType of the link layer is noted */
	unsigned depth;      /* tunnels entered */
	unsigned entering;   /* tunnel of the packet that comes next, or 0 */
};

static inline size_t
walk_left(const struct walk *w)
{
	return (size_t)(w->end - w->at);
}

static inline enum layer
walk_fault(struct walk *w, enum packet_fault fault)
{
	w->packet->fault = (uint8_t)fault;
	return LAYER_END;
}

static inline enum layer
walk_truncated(struct walk *w)
{
	return walk_fault(w, FAULT_TRUNCATED);
}

/* link.c */
enum layer walk_link(struct walk *w, uint32_t link);
enum layer walk_ethernet(struct walk *w);
enum layer walk_type(struct walk *w);
enum layer walk_llc(struct walk *w);
enum layer walk_ppp(struct walk *w);

/* transport.c: also IPv6 extension headers, which say what is behind them. */
enum layer walk_upper(struct walk *w);

/* tunnel.c: LAYER_END if there is none, or it is not to be seen through. */
enum layer walk_tunnel_protocol(struct walk *w);
enum layer walk_tunnel_udp(struct walk *w, uint16_t source, uint16_t target);

#endif
