/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets in packets, seen through if the configuration asks for it: what is
 * inside is metered in place of what is around it. UDP tunnels are told by
 * their ports, so what only looks like one is found out when there is no IP
 * header in it; then the packet around is metered.
 */
#include <string.h>

#include "walk.h"

enum {
	PORT_GTPU = 2152,
	PORT_TEREDO = 3544,
	PORT_VXLAN = 4789,
	PORT_VXLAN_GPE = 4790,
	PORT_VXLAN_OLD = 8472, /* before there was a number of its own */
	PORT_GENEVE = 6081,
	PORT_GRE = 4754, /* RFC 8086 */
	GRE_CHECKSUM = 0x8000,
	GRE_ROUTING = 0x4000,
	GRE_KEY = 0x2000,
	GRE_SEQUENCE = 0x1000,
	GRE_ACKNOWLEDGEMENT = 0x0080, /* version 1 */
	TYPE_ERSPAN = 0x88be, /* type I and II */
	TYPE_ERSPAN_3 = 0x22eb,
};

/* Enters, if that kind is asked for and not too many are around it. */
static enum layer
enter(struct walk *w, enum tunnel tunnel, enum layer layer)
{
	if (layer == LAYER_END || !(w->conf->tunnels & tunnel) ||
	    w->depth >= w->conf->tunnel_depth)
		return LAYER_END;
	w->depth++;
	w->entering = tunnel;
	return layer;
}

static void
note_segment(struct walk *w, uint8_t kind, uint32_t id)
{
	/* layer2SegmentId: 1 VXLAN or 2 NVGRE, then the number. */
	w->packet->layer2_segment = (uint64_t)kind << 56 | id;
	w->packet->has |= HAS_SEGMENT_ID;
}

static enum layer
enter_type(struct walk *w, enum tunnel tunnel, uint16_t type)
{
	switch (type) {
	case TYPE_IPV4:
	case TYPE_IPV6:
	case TYPE_MPLS:
	case TYPE_MPLS_MULTICAST:
	case TYPE_BRIDGED:
	case TYPE_PPP:
	case TYPE_NSH:
		w->type = type;
		return enter(w, tunnel, LAYER_TYPE);
	default:
		return LAYER_END;
	}
}

/* ERSPAN: a mirrored Ethernet frame; type II has 8 octets more, III 12 to 20. */
static enum layer
walk_erspan(struct walk *w, uint16_t type, bool sequence)
{
	size_t header = 0;

	if (type == TYPE_ERSPAN_3) {
		if (walk_left(w) < 12)
			return LAYER_END;
		header = w->at[11] & 1 ? 20 : 12;
	} else if (sequence) {
		header = 8;
	}
	if (walk_left(w) < header)
		return LAYER_END;
	w->at += header;
	return enter(w, TUNNEL_ERSPAN, LAYER_ETHERNET);
}

/* RFC 1701: each source route has its length last; one without any ends. */
static bool
skip_routes(struct walk *w)
{
	size_t length;

	do {
		if (walk_left(w) < 4)
			return false;
		length = w->at[3];
		if (walk_left(w) < 4 + length)
			return false;
		w->at += 4 + length;
	} while (length);
	return true;
}

/* RFC 2784, RFC 2890; version 1 is that of PPTP (RFC 2637). */
static enum layer
walk_gre(struct walk *w)
{
	uint16_t flags, type;
	size_t length = 4, key;

	if (walk_left(w) < 4)
		return LAYER_END;
	flags = wire_get16(w->at);
	type = wire_get16(w->at + 2);
	if ((flags & 7) > 1)
		return LAYER_END;
	length += flags & (GRE_CHECKSUM | GRE_ROUTING) ? 4 : 0;
	key = length;
	length += flags & GRE_KEY ? 4 : 0;
	length += flags & GRE_SEQUENCE ? 4 : 0;
	length += flags & GRE_ACKNOWLEDGEMENT && (flags & 7) == 1 ? 4 : 0;
	if (walk_left(w) < length)
		return LAYER_END;
	if (flags & GRE_KEY) {
		w->packet->gre_key = wire_get32(w->at + key);
		w->packet->has |= HAS_GRE_KEY;
		if (type == TYPE_BRIDGED) /* NVGRE, RFC 7637 */
			note_segment(w, 2, w->packet->gre_key >> 8);
	}
	w->at += length;
	if (flags & GRE_ROUTING && !skip_routes(w))
		return LAYER_END;
	/* Here the EtherType is before the version, not behind the options. */
	if (type == TYPE_META_DATA) {
		if (walk_left(w) < 4 || walk_left(w) < 4 + w->at[3] * 4u)
			return LAYER_END;
		type = wire_get16(w->at);
		w->at += 4 + w->at[3] * 4u;
	}
	if (type == TYPE_ERSPAN || type == TYPE_ERSPAN_3)
		return walk_erspan(w, type, flags & GRE_SEQUENCE);
	return enter_type(w, TUNNEL_GRE, type);
}

enum layer
walk_tunnel_protocol(struct walk *w)
{
	switch (w->packet->protocol) {
	case PROTOCOL_IPV4:
		return enter(w, TUNNEL_IPIP, LAYER_IPV4);
	case PROTOCOL_IPV6:
		return enter(w, TUNNEL_IPIP, LAYER_IPV6);
	case PROTOCOL_GRE:
		return walk_gre(w);
	case PROTOCOL_ETHERIP: /* RFC 3378: version 3, 12 bits of zero */
		if (walk_left(w) < 2 || w->at[0] != 0x30)
			return LAYER_END;
		w->at += 2;
		return enter(w, TUNNEL_IPIP, LAYER_ETHERNET);
	case PROTOCOL_ETHERNET:
		return enter(w, TUNNEL_IPIP, LAYER_ETHERNET);
	default:
		return LAYER_END;
	}
}

/* RFC 7348; its generic extension (draft-ietf-nvo3-vxlan-gpe) tells what is in
 * it. */
static enum layer
walk_vxlan(struct walk *w, bool generic)
{
	uint8_t kind;

	if (walk_left(w) < 8 || !(w->at[0] & 0x08))
		return LAYER_END;
	note_segment(w, 1, wire_get32(w->at + 4) >> 8);
	kind = w->at[3];
	w->at += 8;
	return enter(w, TUNNEL_VXLAN,
		     generic ? walk_next_protocol(kind) : LAYER_ETHERNET);
}

/* RFC 8926. */
static enum layer
walk_geneve(struct walk *w)
{
	size_t length;
	uint16_t type;

	if (walk_left(w) < 8 || w->at[0] >> 6 != 0)
		return LAYER_END;
	length = 8 + (w->at[0] & 0x3fu) * 4;
	type = wire_get16(w->at + 2);
	if (walk_left(w) < length)
		return LAYER_END;
	w->at += length;
	return enter_type(w, TUNNEL_GENEVE, type);
}

/*
 * 3GPP TS 29.281: version 1, G-PDU alone (message type 255). With one of the
 * three flags 4 octets more are there, with that of extensions these follow,
 * each with its length in 4 octets first and the type of the next last.
 */
static enum layer
walk_gtpu(struct walk *w)
{
	const uint8_t *gtpu = w->at;
	uint8_t next = 0;

	if (walk_left(w) < 8 || gtpu[0] >> 4 != 3)
		return LAYER_END;
	w->packet->gtpu = gtpu;
	w->packet->has |= HAS_GTPU;
	if (gtpu[1] != 255)
		return LAYER_END;
	w->at += 8;
	if (gtpu[0] & 0x07) {
		if (walk_left(w) < 4)
			return LAYER_END;
		next = gtpu[0] & 0x04 ? w->at[3] : 0;
		w->at += 4;
	}
	for (unsigned n = 0; next; n++) {
		size_t length;

		if (walk_left(w) < 4 || n == EXTENSIONS_MAX)
			return LAYER_END;
		length = w->at[0] * 4u;
		if (length == 0 || walk_left(w) < length)
			return LAYER_END;
		next = w->at[length - 1];
		w->at += length;
	}
	return enter(w, TUNNEL_GTPU, LAYER_IP);
}

/* RFC 4380: authentication (1) and origin (0) may be before the IPv6 header. */
static enum layer
walk_teredo(struct walk *w)
{
	if (walk_left(w) >= 4 && w->at[0] == 0 && w->at[1] == 1) {
		size_t length = 4u + w->at[2] + w->at[3] + 9;

		if (walk_left(w) < length)
			return LAYER_END;
		w->at += length;
	}
	if (walk_left(w) >= 8 && w->at[0] == 0 && w->at[1] == 0)
		w->at += 8;
	return enter(w, TUNNEL_TEREDO, LAYER_IPV6);
}

enum layer
walk_tunnel_udp(struct walk *w, uint16_t source, uint16_t target)
{
	/* Both directions, where answers come from the well-known port. */
	if (target == PORT_VXLAN || target == PORT_VXLAN_OLD)
		return walk_vxlan(w, false);
	if (target == PORT_VXLAN_GPE)
		return walk_vxlan(w, true);
	if (target == PORT_GENEVE)
		return walk_geneve(w);
	if (target == PORT_GRE)
		return walk_gre(w);
	if (target == PORT_GTPU || source == PORT_GTPU)
		return walk_gtpu(w);
	if (target == PORT_TEREDO || source == PORT_TEREDO)
		return walk_teredo(w);
	return LAYER_END;
}
