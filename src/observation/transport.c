/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What IP carries: extension headers of IPv6 (RFC 8200), then the transport
 * header. Ports are taken as soon as their 4 octets are there. A later fragment
 * has no transport header: what looks like one is data.
 */
#include <string.h>

#include "walk.h"

enum { ROUTING_SEGMENTS = 4 }; /* RFC 8754 */

/*
 * ipv6ExtensionHeaders (64), the bits of its definition of today (RFC 9740):
 * bit 0 is the least significant.
 */
enum extension_bit {
	EXTENSION_DESTINATION = 1 << 0,
	EXTENSION_HOP_BY_HOP = 1 << 1,
	EXTENSION_NONE = 1 << 2,
	EXTENSION_FRAGMENT_FIRST = 1 << 4,
	EXTENSION_ROUTING = 1 << 5,
	EXTENSION_FRAGMENT = 1 << 6,
	EXTENSION_MOBILITY = 1 << 12,
	EXTENSION_ESP = 1 << 13,
	EXTENSION_AH = 1 << 14,
	EXTENSION_HIP = 1 << 16,
	EXTENSION_SHIM6 = 1 << 17,
};

static void
note_ports(struct walk *w)
{
	struct packet *p = w->packet;

	if (walk_left(w) < 4)
		return;
	memcpy(p->port, w->at, 4);
	p->has |= HAS_PORTS;
}

static enum layer
walk_tcp(struct walk *w)
{
	struct packet *p = w->packet;
	size_t length;

	note_ports(w);
	if (walk_left(w) < 20)
		return walk_truncated(w);
	p->has |= HAS_TCP;
	length = (w->at[12] >> 4) * 4u;
	if (length < 20)
		return walk_fault(w, FAULT_BAD_HEADER);
	p->payload = walk_left(w) < length ? w->end : w->at + length;
	return LAYER_END;
}

/* Numbers of tunnels are noted even if they are not to be seen through. */
static bool
looks_inside(const struct walk *w)
{
	return w->conf->tunnels || w->conf->identifiers;
}

static enum layer
walk_udp(struct walk *w)
{
	struct packet *p = w->packet;

	note_ports(w);
	if (walk_left(w) < 8)
		return walk_truncated(w);
	p->has |= HAS_UDP;
	p->payload = w->at + 8;
	if (!looks_inside(w) || p->protocol != PROTOCOL_UDP)
		return LAYER_END;
	w->at += 8;
	return walk_tunnel_udp(w, wire_get16(p->port), wire_get16(p->port + 2));
}

static enum layer
walk_message(struct walk *w, uint32_t has, size_t header)
{
	if (walk_left(w) < 4)
		return walk_truncated(w);
	w->packet->has |= has;
	if (walk_left(w) >= header)
		w->packet->payload = w->at + header;
	return LAYER_END;
}

static enum layer
walk_transport(struct walk *w)
{
	struct packet *p = w->packet;

	switch (p->protocol) {
	case PROTOCOL_TCP:
		return walk_tcp(w);
	case PROTOCOL_UDP:
	case PROTOCOL_UDP_LITE:
		return walk_udp(w);
	case PROTOCOL_SCTP:
		note_ports(w);
		if (walk_left(w) < 12)
			return walk_truncated(w);
		p->has |= HAS_SCTP;
		p->payload = w->at + 12;
		return LAYER_END;
	case PROTOCOL_DCCP:
		note_ports(w);
		return walk_left(w) < 12 ? walk_truncated(w) : LAYER_END;
	case PROTOCOL_ICMP:
		return walk_message(w, HAS_ICMP, 8);
	case PROTOCOL_ICMPV6:
		return walk_message(w, HAS_ICMPV6, 8);
	case PROTOCOL_IGMP:
		return walk_message(w, HAS_IGMP, 8);
	case PROTOCOL_ESP:
		if (walk_left(w) < 8)
			return walk_truncated(w);
		p->has |= HAS_SPI;
		p->spi = wire_get32(w->at);
		return LAYER_END;
	case PROTOCOL_IPV4:
	case PROTOCOL_IPV6:
	case PROTOCOL_GRE:
	case PROTOCOL_ETHERIP:
	case PROTOCOL_ETHERNET:
		return looks_inside(w) ? walk_tunnel_protocol(w) : LAYER_END;
	default:
		return LAYER_END;
	}
}

/* RFC 4302: its length is in 4 octets, less 2. Not an extension alone. */
static bool
step_ah(struct walk *w)
{
	struct packet *p = w->packet;
	size_t length;

	if (walk_left(w) < 12)
		return false;
	length = (w->at[1] + 2u) * 4;
	if (walk_left(w) < length || length < 12)
		return false;
	p->has |= HAS_SPI;
	p->spi = wire_get32(w->at + 4);
	p->protocol = w->at[0];
	p->ip_header_length += (uint32_t)length;
	w->at += length;
	return true;
}

/* RFC 8200 section 4.5. Offset and flag as IPv4 has them. */
static bool
step_fragment(struct walk *w)
{
	struct packet *p = w->packet;
	uint16_t word;

	if (walk_left(w) < 8)
		return false;
	word = wire_get16(w->at + 2);
	p->fragment_offset = word >> 3;
	p->fragment_flags = word & 1 ? 0x20 : 0;
	p->fragment_id = wire_get32(w->at + 4);
	p->has |= HAS_FRAGMENT;
	p->extensions |= p->fragment_offset ? EXTENSION_FRAGMENT
					    : EXTENSION_FRAGMENT_FIRST;
	p->protocol = w->at[0];
	p->ip_header_length += 8;
	w->at += 8;
	return true;
}

/* A header of the common form; its length is in 8 octets, less 1. */
static bool
step_extension(struct walk *w, uint32_t bit)
{
	struct packet *p = w->packet;
	size_t length;

	p->extensions |= bit;
	if (walk_left(w) < 2)
		return false;
	length = (w->at[1] + 1u) * 8;
	if (walk_left(w) < length)
		return false;
	if (bit == EXTENSION_ROUTING && w->at[2] == ROUTING_SEGMENTS) {
		p->srh = w->at;
		p->has |= HAS_SRH;
	}
	p->protocol = w->at[0];
	p->ip_header_length += (uint32_t)length;
	w->at += length;
	return true;
}

/*
 * True: one extension header was stepped over. *cut: it goes on beyond what is
 * there.
 */
static bool
step_header(struct walk *w, bool *cut)
{
	bool ok;

	switch (w->packet->protocol) {
	case PROTOCOL_HOP_BY_HOP:
		ok = step_extension(w, EXTENSION_HOP_BY_HOP);
		break;
	case PROTOCOL_ROUTING:
		ok = step_extension(w, EXTENSION_ROUTING);
		break;
	case PROTOCOL_OPTIONS:
		ok = step_extension(w, EXTENSION_DESTINATION);
		break;
	case PROTOCOL_MOBILITY:
		ok = step_extension(w, EXTENSION_MOBILITY);
		break;
	case PROTOCOL_HIP:
		ok = step_extension(w, EXTENSION_HIP);
		break;
	case PROTOCOL_SHIM6:
		ok = step_extension(w, EXTENSION_SHIM6);
		break;
	case PROTOCOL_FRAGMENT:
		ok = step_fragment(w);
		break;
	case PROTOCOL_AH:
		w->packet->extensions |= EXTENSION_AH;
		ok = step_ah(w);
		break;
	case PROTOCOL_ESP:
		w->packet->extensions |= EXTENSION_ESP;
		return false;
	case PROTOCOL_NONE:
		w->packet->extensions |= EXTENSION_NONE;
		return false;
	default:
		return false;
	}
	*cut = !ok;
	return ok;
}

enum layer
walk_upper(struct walk *w)
{
	struct packet *p = w->packet;
	unsigned n = 0;
	bool cut = false;

	if (p->has & HAS_IPV6)
		while (n <= EXTENSIONS_MAX && step_header(w, &cut)) {
			n++;
			if (p->fragment_offset)
				break;
		}
	else if (p->protocol == PROTOCOL_AH && p->fragment_offset == 0)
		cut = !step_ah(w);
	p->transport = w->at;
	p->payload = w->end;
	if (n > EXTENSIONS_MAX)
		return walk_fault(w, FAULT_TOO_DEEP);
	if (cut)
		return walk_truncated(w);
	if (p->fragment_offset || p->protocol == PROTOCOL_NONE)
		return LAYER_END;
	return walk_transport(w);
}
