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
 *	link_rare.c those that are seldom met
 *	transport.c what IP carries
 *	tunnel.c    packets in packets
 */
#ifndef CONFLUX_OBSERVATION_WALK_H
#define CONFLUX_OBSERVATION_WALK_H

#include <stddef.h>

#include "conflux/wire.h"
#include "link.h"
#include "packet.h"

/* What is at walk->at. */
enum layer {
	LAYER_END,
	LAYER_ETHERNET,
	LAYER_TYPE,  /* what walk->type, an EtherType, says */
	LAYER_LLC,   /* 802.2 */
	LAYER_PPP,   /* a PPP protocol field, or the HDLC address before it */
	LAYER_MPLS,
	LAYER_NSH,   /* RFC 8300 */
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
	TYPE_ARP = 0x0806,
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
	TYPE_MACSEC = 0x88e5,
	TYPE_FABRIC_PATH = 0x8903,
	TYPE_META_DATA = 0x8909, /* of Cisco: security group tags */
	TYPE_NSH = 0x894f,
	TYPE_ARISTA = 0xd28b,
	TYPE_BRIDGED = 0x6558, /* transparent Ethernet, in GRE and others */
};

enum protocol {
	PROTOCOL_HOP_BY_HOP = 0,
	PROTOCOL_ICMP = 1,
	PROTOCOL_IGMP = 2,
	PROTOCOL_IPV4 = 4,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	PROTOCOL_DCCP = 33,
	PROTOCOL_IPV6 = 41,
	PROTOCOL_ROUTING = 43,
	PROTOCOL_FRAGMENT = 44,
	PROTOCOL_GRE = 47,
	PROTOCOL_ESP = 50,
	PROTOCOL_AH = 51,
	PROTOCOL_ICMPV6 = 58,
	PROTOCOL_NONE = 59,
	PROTOCOL_OPTIONS = 60,
	PROTOCOL_ETHERIP = 97,
	PROTOCOL_SCTP = 132,
	PROTOCOL_MOBILITY = 135,
	PROTOCOL_UDP_LITE = 136,
	PROTOCOL_HIP = 139,
	PROTOCOL_SHIM6 = 140,
	PROTOCOL_ETHERNET = 143, /* RFC 8986 */
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

/* Steps over a header of that length; false: it is not there whole. */
static inline bool
walk_skip(struct walk *w, size_t length)
{
	if (walk_left(w) < length) {
		walk_truncated(w);
		return false;
	}
	w->at += length;
	return true;
}

static inline enum layer
walk_behind(struct walk *w, size_t length, enum layer next)
{
	return walk_skip(w, length) ? next : LAYER_END;
}

/* What an EtherType says. */
static inline enum layer
walk_note_type(struct walk *w, uint16_t type)
{
	w->type = type;
	return LAYER_TYPE;
}

/* Behind a header of that length, which has an EtherType at its end. */
static inline enum layer
walk_behind_type(struct walk *w, size_t length)
{
	return walk_skip(w, length) ? walk_note_type(w, wire_get16(w->at - 2))
				    : LAYER_END;
}

/* link.c */
enum layer walk_link(struct walk *w, uint32_t link);
enum layer walk_ethernet(struct walk *w);
enum layer walk_type(struct walk *w);
enum layer walk_llc(struct walk *w);
enum layer walk_ppp(struct walk *w);

/* link_rare.c: what walk_link and walk_type do not know. */
enum layer walk_link_rare(struct walk *w, uint32_t link);
enum layer walk_type_rare(struct walk *w);
enum layer walk_nsh(struct walk *w);
/* The Next Protocol numbers that NSH and VXLAN-GPE have in common. */
enum layer walk_next_protocol(uint8_t number);

/* transport.c: also IPv6 extension headers, which say what is behind them. */
enum layer walk_upper(struct walk *w);

/* tunnel.c: LAYER_END if there is none, or it is not to be seen through. */
enum layer walk_tunnel_protocol(struct walk *w);
enum layer walk_tunnel_udp(struct walk *w, uint16_t source, uint16_t target);

#endif
