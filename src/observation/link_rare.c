/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Link layers and EtherTypes that are seldom met, as tcpdump.org's list of link
 * types and the RFCs named below have them.
 */
#include "walk.h"

enum {
	PKTAP_HEADER = 108,
	ARCNET_IP = 0xd4,
	ARCNET_IP_OLD = 0xf0, /* RFC 1051 */
};

/*
 * Apple's header: its length, that it is one (1), the link type behind it, all
 * in the order of that machine, which is little-endian.
 */
static enum layer
link_pktap(struct walk *w)
{
	uint32_t length, link;

	if (walk_left(w) < PKTAP_HEADER)
		return walk_truncated(w);
	length = __builtin_bswap32(wire_get32(w->at));
	link = __builtin_bswap32(wire_get32(w->at + 8));
	/* One in another would be a way to recur. */
	if (length < PKTAP_HEADER || wire_get32(w->at + 4) != 0x01000000 ||
	    link == LINK_PKTAP || link == LINK_USER2 || link == LINK_PPI)
		return walk_fault(w, FAULT_LINK_TYPE);
	return walk_skip(w, length) ? walk_link(w, link) : LAYER_END;
}

/*
 * RFC 1201: the protocol is at that place, then a split flag and a sequence
 * number. Of several fragments only the first, whose flag is odd, has IP.
 */
static enum layer
link_arcnet(struct walk *w, size_t at)
{
	if (walk_left(w) < at + 1)
		return walk_truncated(w);
	if (w->at[at] == ARCNET_IP_OLD)
		return walk_behind(w, at + 1, LAYER_IPV4);
	if (w->at[at] != ARCNET_IP)
		return LAYER_END;
	if (walk_left(w) < at + 4)
		return walk_truncated(w);
	/* An exception frame has the flag again, behind 3 octets of ones. */
	if (w->at[at + 1] == 0xff)
		return walk_behind(w, at + 8, LAYER_IPV4);
	if (w->at[at + 1] != 0 && !(w->at[at + 1] & 1))
		return LAYER_END;
	return walk_behind(w, at + 4, LAYER_IPV4);
}

/* OpenBSD's log of its filter: the header's length, without padding, first. */
static enum layer
link_pflog(struct walk *w)
{
	if (walk_left(w) < 1)
		return walk_truncated(w);
	return walk_behind(w, (w->at[0] + 3u) & ~(size_t)3, LAYER_IP);
}

/* RFC 2225 without 802.2, or with it. */
static enum layer
link_clip(struct walk *w)
{
	if (walk_left(w) < 1)
		return walk_truncated(w);
	return w->at[0] == 0xaa ? LAYER_LLC : LAYER_IP;
}

/* RFC 4391 behind the Global Routing Header. */
static enum layer
link_infiniband(struct walk *w)
{
	if (walk_left(w) < 44)
		return walk_truncated(w);
	w->at += 44;
	return walk_note_type(w, wire_get16(w->at - 4));
}

enum layer
walk_link_rare(struct walk *w, uint32_t link)
{
	switch (link) {
	case LINK_ARCNET:
		return link_arcnet(w, 2);
	case LINK_ARCNET_LINUX:
		return link_arcnet(w, 4);
	case LINK_ATM_CLIP:
		return link_clip(w);
	case LINK_ENC:
		return walk_behind(w, 12, LAYER_IP);
	case LINK_PFLOG:
		return link_pflog(w);
	case LINK_IPNET:
		return walk_behind(w, 24, LAYER_IP);
	case LINK_IPOIB:
		return link_infiniband(w);
	case LINK_USER2:
	case LINK_PKTAP:
		return link_pktap(w);
	default:
		return walk_fault(w, FAULT_LINK_TYPE);
	}
}

enum layer
walk_next_protocol(uint8_t number)
{
	static const enum layer next[] = {
		LAYER_END,	LAYER_IPV4, LAYER_IPV6,
		LAYER_ETHERNET, LAYER_NSH,  LAYER_MPLS,
	};

	return number < sizeof(next) / sizeof(next[0]) ? next[number]
						       : LAYER_END;
}

/* RFC 8300: the length in 4 octets, and what follows. */
enum layer
walk_nsh(struct walk *w)
{
	size_t length;
	uint8_t kind;

	if (walk_left(w) < 8)
		return walk_truncated(w);
	length = (w->at[1] & 0x3fu) * 4;
	kind = w->at[3];
	if (length < 8)
		return walk_fault(w, FAULT_BAD_HEADER);
	return walk_behind(w, length, walk_next_protocol(kind));
}

/* 802.1AE: integrity alone; what is encrypted is no IP for us. */
static enum layer
walk_macsec(struct walk *w)
{
	size_t length;

	if (walk_left(w) < 1)
		return walk_truncated(w);
	if (w->at[0] & 0x8c) /* another version, encrypted, changed */
		return LAYER_END;
	length = w->at[0] & 0x20 ? 14 : 6;
	return walk_behind_type(w, length + 2);
}

/* Cisco: version, length of options in 4 octets, these, the EtherType. */
static enum layer
walk_meta_data(struct walk *w)
{
	size_t length;

	if (walk_left(w) < 2)
		return walk_truncated(w);
	length = 2 + w->at[1] * 4u;
	return walk_behind_type(w, length + 2);
}

/* Arista's time stamps, in two lengths. */
static enum layer
walk_time_stamp(struct walk *w)
{
	enum { SUBTYPE = 1, LONG = 0x10, SHORT = 0x20 };
	size_t length;

	if (walk_left(w) < 4)
		return walk_truncated(w);
	if (wire_get16(w->at) != SUBTYPE ||
	    (w->at[3] != LONG && w->at[3] != SHORT))
		return LAYER_END;
	length = w->at[3] == LONG ? 4 + 8 : 4 + 6;
	return walk_behind_type(w, length + 2);
}

enum layer
walk_type_rare(struct walk *w)
{
	switch (w->type) {
	case TYPE_NSH:
		return LAYER_NSH;
	case TYPE_MACSEC:
		return walk_macsec(w);
	case TYPE_META_DATA:
		return walk_meta_data(w);
	case TYPE_ARISTA:
		return walk_time_stamp(w);
	case TYPE_FABRIC_PATH: /* a tag of 2 octets, then a whole frame */
		return walk_behind(w, 2, LAYER_ETHERNET);
	default:
		return LAYER_END;
	}
}
