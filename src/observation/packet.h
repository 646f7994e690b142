/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A packet after the header walk: where its headers are, and what follows from
 * several of them together. All that one header tells by itself is not copied
 * here; who wants it looks there (element.c). Pointers are into the frame.
 *
 * "The" IP header is the one that is metered: the outermost, or the innermost
 * that could be reached through the tunnels asked for. All that belongs to an
 * IP packet is that of the metered one. What is below and beside it is the
 * outermost that there is: MACs, tags, labels; but the tunnel's own numbers
 * (gre_key, gtpu, layer2_segment) are of the innermost tunnel that has them.
 */
#ifndef CONFLUX_OBSERVATION_PACKET_H
#define CONFLUX_OBSERVATION_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "conflux/observation.h"

/* What a packet has: its class, see observer.c. */
enum packet_has {
	HAS_ETHERNET = 1 << 0, /* ethernet: 14 octets are there */
	HAS_VLAN = 1 << 1,     /* vlan: at least one tag of 4 octets */
	HAS_VLAN2 = 1 << 2,    /* a second one */
	HAS_PBB = 1 << 3,      /* pbb: I-TAG, 802.1ah */
	HAS_MPLS = 1 << 4,     /* mpls: mpls_depth entries of 4 octets */
	HAS_IPV4 = 1 << 5,     /* ip: 20 octets and options are there */
	HAS_IPV6 = 1 << 6,     /* ip: 40 octets are there */
	HAS_PORTS = 1 << 7,    /* port[]: TCP, UDP, SCTP, DCCP, ... */
	HAS_TCP = 1 << 8,      /* transport: 20 octets are there */
	HAS_UDP = 1 << 9,      /* transport: 8 octets */
	HAS_SCTP = 1 << 10,    /* transport: 12 octets */
	HAS_ICMP = 1 << 11,    /* transport: type and code, ICMP over IPv4 */
	HAS_ICMPV6 = 1 << 12,
	HAS_IGMP = 1 << 13,
	HAS_SPI = 1 << 14,	/* spi: AH or ESP */
	HAS_FRAGMENT = 1 << 15, /* of IPv4, or IPv6 with a Fragment header */
	HAS_SRH = 1 << 16,	/* srh: Segment Routing header is there whole */
	HAS_GRE_KEY = 1 << 17,	/* gre_key */
	HAS_GTPU = 1 << 18,	/* gtpu: 8 octets */
	HAS_SEGMENT_ID = 1 << 19, /* layer2_segment: VXLAN, NVGRE */
	HAS_WLAN = 1 << 20,	  /* wlan: an 802.11 header, of data or
				   * management, with its addresses */
	HAS_INTERFACE = 1 << 21,  /* the capture knows it */
	HAS_EGRESS = 1 << 22,
	HAS_DIRECTION = 1 << 23,
	HAS_PAYLOAD = 1 << 24, /* an IP header of either version */
	HAS_WEIGHT = 1 << 25,  /* it stands for more packets than itself */
	HAS_CHANNEL = 1 << 26, /* wlan_channel */
	HAS_SSID = 1 << 27,    /* ssid: its length and that many octets */
	HAS_CONTROL_WORD = 1 << 28, /* control_word: 4 octets */
};

/* Why a packet can't be metered. */
enum packet_fault {
	FAULT_NONE,
	FAULT_LINK_TYPE,   /* a link layer that we don't know */
	FAULT_TRUNCATED,   /* a header goes on beyond the captured octets */
	FAULT_BAD_HEADER,  /* a length or version that can't be */
	FAULT_TOO_DEEP,    /* more headers than are looked at */
	FAULT_COUNT,
};

enum { VLANS_MAX = 4, MPLS_MAX = 10 };

struct packet {
	const struct frame *frame;
	const uint8_t *end;       /* of the octets that are there */
	const uint8_t *ethernet;  /* destination, source, type */
	const uint8_t *vlan;      /* TCI of the first tag, then its type; tags
				   * follow one another: 4 octets each */
	const uint8_t *pbb;       /* I-TAG: 4 octets, then C-DA and C-SA; the
				   * other link layer fields are those inside */
	const uint8_t *mpls;      /* top entry */
	const uint8_t *mpls_payload;
	const uint8_t *control_word; /* of the pseudo-wire in mpls */
	const uint8_t *ip;
	const uint8_t *ip_payload; /* behind the IPv4 header with its options,
				    * or behind the fixed IPv6 header */
	const uint8_t *transport; /* behind IPv6 extension headers too */
	const uint8_t *payload;   /* behind the transport header */
	const uint8_t *srh;
	const uint8_t *gtpu;
	const uint8_t *wlan;
	const uint8_t *ssid;
	uint32_t has;             /* enum packet_has */
	uint32_t ip_length;       /* octets of the IP packet with its header, as
				   * the header says (jumbograms and TSO: as the
				   * frame says) */
	uint32_t ip_header_length; /* with options and extension headers */
	uint32_t extensions;      /* ipv6ExtensionHeaders (64) */
	uint32_t fragment_id;
	uint32_t gre_key;
	uint32_t spi;
	uint64_t layer2_segment;  /* layer2SegmentId (351) */
	uint16_t ethertype;       /* of the payload of the link layer */
	uint16_t fragment_offset; /* in units of 8 octets */
	uint8_t fragment_flags;   /* fragmentFlags (197) */
	uint8_t protocol;         /* upper layer, behind extension headers */
	uint8_t vlan_count;
	uint8_t mpls_depth;
	uint8_t wlan_channel;
	uint8_t tunnels;          /* that were seen through */
	uint8_t fault;            /* enum packet_fault: of the frame's IP part */
	uint8_t port[4];          /* source and destination, network order */
};

struct walk_conf {
	unsigned tunnels;      /* enum tunnel */
	unsigned tunnel_depth;
	bool identifiers; /* HAS_GRE_KEY, HAS_GTPU, HAS_SEGMENT_ID are looked
			   * for, whether or not tunnels are seen through */
};

/*
 * Finds the headers of a frame. Never reads at or behind data + length. What
 * can't be found is left out of has; fault says why an IP header, or one of its
 * parts, could not be read. A fault behind the IP header (HAS_IPV4 or HAS_IPV6
 * is set) is no reason not to meter the packet.
 */
void packet_walk(struct packet *packet, const struct frame *frame,
		 const struct walk_conf *conf);

/* "linkType", "truncated", ... */
const char *packet_fault_name(enum packet_fault fault);

#endif
