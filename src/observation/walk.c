/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The header walk: which headers a packet has and where they are. It trusts no
 * length: a header counts only if all of it is there. What a length says beyond
 * the captured octets is believed for counters, for captures are cut.
 */
#include "walk.h"

#include <string.h>

const char *
packet_fault_name(enum packet_fault fault)
{
	static const char *const name[FAULT_COUNT] = {
		[FAULT_NONE] = "none",
		[FAULT_LINK_TYPE] = "linkType",
		[FAULT_TRUNCATED] = "truncated",
		[FAULT_BAD_HEADER] = "badHeader",
		[FAULT_TOO_DEEP] = "tooDeep",
	};

	return name[fault];
}

/* Whether this looks like an Ethernet header, by what is common in these. */
static bool
looks_ethernet(const uint8_t *p, size_t length)
{
	if (length < 14)
		return false;
	switch (wire_get16(p + 12)) {
	case TYPE_IPV4:
	case TYPE_ARP:
	case TYPE_IPV6:
	case TYPE_VLAN:
	case TYPE_QINQ:
	case TYPE_MPLS:
	case TYPE_PPPOE_SESSION:
		return true;
	default:
		return false;
	}
}

/*
 * RFC 4448: a frame, which may have a control word before it, whose first 16
 * bits are 0. An address may begin with 0 as well.
 */
static enum layer
walk_pseudo_wire(struct walk *w)
{
	struct packet *p = w->packet;
	bool plain, word;

	if (walk_left(w) < 4)
		return walk_truncated(w);
	plain = looks_ethernet(w->at, walk_left(w));
	word = looks_ethernet(w->at + 4, walk_left(w) - 4);
	if (plain == word)
		word = wire_get16(w->at) == 0;
	if (word && p->mpls_payload == w->at) {
		p->has |= HAS_CONTROL_WORD;
		p->control_word = w->at;
	}
	if (word)
		w->at += 4;
	return LAYER_ETHERNET;
}

/* RFC 4385 section 5: a channel beside the pseudo-wire. */
static enum layer
walk_channel(struct walk *w)
{
	uint16_t type;

	if (walk_left(w) < 4)
		return walk_truncated(w);
	type = wire_get16(w->at + 2);
	w->at += 4;
	return type == 0x0021 ? LAYER_IPV4
	       : type == 0x0057 ? LAYER_IPV6
				: LAYER_END;
}

/*
 * A label stack (RFC 3032). Nothing says what is in it: 4 and 6 begin an IP
 * header, 0 the control word of a pseudo-wire (RFC 4385), 1 that of its
 * channel; the rest, and what can be no IP header, is taken to be Ethernet.
 */
static enum layer
walk_mpls(struct walk *w)
{
	struct packet *p = w->packet;
	const uint8_t *first = w->at;
	unsigned depth = 0;

	do {
		if (walk_left(w) < 4)
			return walk_truncated(w);
		if (depth == MPLS_MAX)
			return walk_fault(w, FAULT_TOO_DEEP);
		depth++;
		w->at += 4;
	} while (!(w->at[-2] & 1));
	if (!(p->has & HAS_MPLS)) {
		p->has |= HAS_MPLS;
		p->mpls = first;
		p->mpls_depth = (uint8_t)depth;
		p->mpls_payload = w->at;
	}
	if (walk_left(w) < 1)
		return walk_truncated(w);
	switch (w->at[0] >> 4) {
	case 0:
		return walk_pseudo_wire(w);
	case 1:
		if (w->at[0] == 0x10 && !looks_ethernet(w->at, walk_left(w)))
			return walk_channel(w);
		return LAYER_ETHERNET;
	case 4:
		return (w->at[0] & 0x0f) < 5 ? LAYER_ETHERNET : LAYER_IPV4;
	case 6:
		return LAYER_IPV6;
	default:
		return LAYER_ETHERNET;
	}
}

/*
 * What was between the link layer and the IP header before is of an outer
 * packet now: these fields are of the metered one alone.
 */
static void
forget_outer(struct packet *p)
{
	p->has &= ~(uint32_t)(HAS_IPV4 | HAS_IPV6 | HAS_PORTS | HAS_TCP |
			      HAS_UDP | HAS_SCTP | HAS_ICMP | HAS_ICMPV6 |
			      HAS_IGMP | HAS_SPI | HAS_FRAGMENT | HAS_SRH |
			      HAS_PAYLOAD);
	p->extensions = 0;
	p->fault = FAULT_NONE;
}

/*
 * Steps behind the header of a packet. It ends where its length says, whatever
 * the frame has behind it (padding). Should this be the last step, there is no
 * transport header.
 */
static void
enter_packet(struct walk *w, uint32_t header, uint32_t length)
{
	struct packet *p = w->packet;
	const uint8_t *ip = w->at;
	size_t there = (size_t)(w->end - ip);

	w->at = ip + header;
	p->ip = ip;
	p->ip_header_length = header;
	p->ip_length = length;
	p->ip_payload = p->transport = w->at;
	if (length < there) {
		w->end = ip + length;
		w->missing = 0;
	} else {
		w->missing = length - (uint32_t)there;
	}
	p->end = p->payload = w->end;
}

/* RFC 791. */
static enum layer
walk_ipv4(struct walk *w)
{
	struct packet *p = w->packet;
	const uint8_t *ip = w->at;
	uint32_t header, length;
	uint16_t fragment;

	if (walk_left(w) < 20)
		return walk_truncated(w);
	header = (ip[0] & 0x0fu) * 4;
	length = wire_get16(ip + 2);
	if (ip[0] >> 4 != 4 || header < 20)
		return walk_fault(w, FAULT_BAD_HEADER);
	if (walk_left(w) < header)
		return walk_truncated(w);
	/* Left to the network card, which cuts it into segments later. */
	if (length == 0)
		length = (uint32_t)walk_left(w) + w->missing;
	if (length < header)
		return walk_fault(w, FAULT_BAD_HEADER);
	forget_outer(p);
	p->has |= HAS_IPV4 | HAS_PAYLOAD;
	p->protocol = ip[9];
	fragment = wire_get16(ip + 6);
	p->fragment_flags = (uint8_t)(fragment >> 8 & 0xe0);
	p->fragment_offset = fragment & 0x1fff;
	p->fragment_id = wire_get16(ip + 4);
	if (fragment & 0x3fff)
		p->has |= HAS_FRAGMENT;
	enter_packet(w, header, length);
	return LAYER_UPPER;
}

/* RFC 8200; the extension headers are dealt with as what they precede. */
static enum layer
walk_ipv6(struct walk *w)
{
	struct packet *p = w->packet;
	const uint8_t *ip = w->at;
	uint32_t payload;

	if (walk_left(w) < 40)
		return walk_truncated(w);
	if (ip[0] >> 4 != 6)
		return walk_fault(w, FAULT_BAD_HEADER);
	payload = wire_get16(ip + 4);
	/* A jumbogram (RFC 2675), or left to the network card. */
	if (payload == 0 && ip[6] != PROTOCOL_NONE)
		payload = (uint32_t)walk_left(w) + w->missing - 40;
	forget_outer(p);
	p->has |= HAS_IPV6 | HAS_PAYLOAD;
	p->protocol = ip[6];
	p->fragment_flags = 0;
	p->fragment_offset = 0;
	enter_packet(w, 40, payload + 40);
	return LAYER_UPPER;
}

static enum layer
walk_ip(struct walk *w)
{
	if (walk_left(w) < 1)
		return walk_truncated(w);
	return w->at[0] >> 4 == 4 ? LAYER_IPV4 : LAYER_IPV6;
}

static enum layer
walk_step(struct walk *w, enum layer layer)
{
	switch (layer) {
	case LAYER_ETHERNET:
		return walk_ethernet(w);
	case LAYER_TYPE:
		return walk_type(w);
	case LAYER_LLC:
		return walk_llc(w);
	case LAYER_PPP:
		return walk_ppp(w);
	case LAYER_MPLS:
		return walk_mpls(w);
	case LAYER_NSH:
		return walk_nsh(w);
	case LAYER_IP:
		return walk_ip(w);
	case LAYER_IPV4:
		return walk_ipv4(w);
	case LAYER_IPV6:
		return walk_ipv6(w);
	case LAYER_UPPER:
		return walk_upper(w);
	case LAYER_END:
		break;
	}
	return LAYER_END;
}

static void
packet_init(struct packet *p, const struct frame *frame)
{
	p->frame = frame;
	p->end = frame->data + frame->length;
	p->has = 0;
	p->extensions = 0;
	p->vlan_count = 0;
	p->mpls_depth = 0;
	p->tunnels = 0;
	p->fault = FAULT_NONE;
	p->ethertype = 0;
	if (frame->interface)
		p->has |= HAS_INTERFACE;
	if (frame->egress)
		p->has |= HAS_EGRESS;
	if (frame->weight > 1)
		p->has |= HAS_WEIGHT;
	if (frame->direction != FRAME_UNKNOWN)
		p->has |= HAS_DIRECTION;
}

/*
 * What nearly all packets are: Ethernet, IPv4 without options that is no
 * fragment, all of its TCP or UDP header there. The same as below comes out,
 * without the steps. False: it is something else, and nothing is noted.
 */
static bool
walk_plain(struct packet *p, const struct frame *frame)
{
	const uint8_t *data = frame->data, *ip = data + 14;
	const uint8_t *transport = ip + 20;
	uint32_t length, there, header;

	if (frame->length < 14 + 20 + 8 || data[12] != 0x08 || data[13] != 0 ||
	    ip[0] != 0x45 || wire_get16(ip + 6) & 0x3fff)
		return false;
	length = wire_get16(ip + 2);
	if (length < 28)
		return false;
	there = frame->length - 14;
	if (there > length)
		there = length;
	if (ip[9] == 6) {
		if (there < 40)
			return false;
		header = (transport[12] >> 4) * 4u;
		if (header < 20)
			return false;
		p->has |= HAS_ETHERNET | HAS_IPV4 | HAS_PAYLOAD | HAS_PORTS |
			  HAS_TCP;
	} else if (ip[9] == 17) {
		header = 8;
		p->has |= HAS_ETHERNET | HAS_IPV4 | HAS_PAYLOAD | HAS_PORTS |
			  HAS_UDP;
	} else {
		return false;
	}
	p->end = ip + there;
	p->ethernet = data;
	p->ethertype = TYPE_IPV4;
	p->ip = ip;
	p->ip_payload = p->transport = transport;
	p->ip_length = length;
	p->ip_header_length = 20;
	p->protocol = ip[9];
	p->fragment_flags = ip[6] & 0xe0;
	p->fragment_offset = 0;
	p->fragment_id = wire_get16(ip + 4);
	p->payload = there - 20 < header ? p->end : transport + header;
	memcpy(p->port, transport, 4);
	return true;
}

/* Not inlined, so that the short way need not save registers for it. */
__attribute__((noinline)) static void
walk_all(struct packet *packet, const struct frame *frame,
	 const struct walk_conf *conf)
{
	struct walk w = {
		.packet = packet,
		.conf = conf,
		.at = frame->data,
		.end = frame->data + frame->length,
		.missing = frame->wire_length > frame->length
				   ? frame->wire_length - frame->length
				   : 0,
	};
	/* The packet as it was before a tunnel was entered, and how often. */
	struct packet outer;
	unsigned depth = 0, steps = 0;
	enum layer layer;

	layer = walk_link(&w, frame->link);
	while (layer != LAYER_END) {
		if (steps++ == STEPS_MAX) {
			walk_fault(&w, FAULT_TOO_DEEP);
			break;
		}
		layer = walk_step(&w, layer);
		if (w.depth > depth) {
			depth = w.depth;
			outer = *packet;
			packet->tunnels |= (uint8_t)w.entering;
			/* Until its own header has been seen. */
			packet->has &= ~(uint32_t)(HAS_IPV4 | HAS_IPV6);
		}
	}
	/* No way into that one: what is around it is metered. */
	if (depth && !(packet->has & (HAS_IPV4 | HAS_IPV6)))
		*packet = outer;
}

void
packet_walk(struct packet *packet, const struct frame *frame,
	    const struct walk_conf *conf)
{
	packet_init(packet, frame);
	/* A plain packet may have another one in it. */
	if (frame->link != LINK_ETHERNET || conf->tunnels ||
	    conf->identifiers || !walk_plain(packet, frame))
		walk_all(packet, frame, conf);
}
