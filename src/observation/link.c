/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * From the first octet of a frame to its IP header: the link layers that
 * captures have (the LINKTYPE_ numbers of pcap), 802.2, VLAN tags, provider
 * bridges, PPP. A frame that ends well before an IP header has none and no
 * fault.
 */
#include <string.h>

#include "walk.h"

enum {
	PPP_IPV4 = 0x0021,
	PPP_IPV6 = 0x0057,
	PPP_MPLS = 0x0281,
	PPP_MPLS_MULTICAST = 0x0283,
	WLAN_HEADER = 24,
};

/*
 * Ethernet II, or 802.3 with a length below 1536. Of several (pseudo-wires,
 * tunnels) the outermost is the packet's own.
 */
enum layer
walk_ethernet(struct walk *w)
{
	struct packet *p = w->packet;
	uint16_t type;

	if (walk_left(w) < 14)
		return walk_truncated(w);
	if (!(p->has & HAS_ETHERNET)) {
		p->has |= HAS_ETHERNET;
		p->ethernet = w->at;
	}
	type = wire_get16(w->at + 12);
	w->at += 14;
	if (type >= 1536)
		return walk_note_type(w, type);
	if (!w->link_done)
		p->ethertype = type;
	w->link_done = true;
	return LAYER_LLC;
}

/* 802.2, with SNAP in front of an EtherType, or of IP by its own number. */
enum layer
walk_llc(struct walk *w)
{
	if (walk_left(w) < 3)
		return walk_truncated(w);
	/* Organisations have types of their own: 0 and bridges not. */
	if (w->at[0] == 0xaa && w->at[1] == 0xaa)
		return walk_behind_type(w, 8);
	if (w->at[0] == 0x06 && w->at[1] == 0x06)
		return walk_behind(w, 3, LAYER_IPV4);
	return LAYER_END;
}

static enum layer
walk_vlan(struct walk *w)
{
	struct packet *p = w->packet;

	if (walk_left(w) < 4)
		return walk_truncated(w);
	/* Only tags that follow one another right behind the addresses. */
	if (p->vlan_count == 0) {
		p->vlan = w->at;
		p->has |= HAS_VLAN;
		p->vlan_count = 1;
	} else if (p->vlan + 4 * p->vlan_count == w->at) {
		if (p->vlan_count == VLANS_MAX)
			return walk_fault(w, FAULT_TOO_DEEP);
		p->has |= HAS_VLAN2;
		p->vlan_count++;
	}
	return walk_behind_type(w, 4);
}

/* 802.1ah: I-TAG, then a whole customer frame. */
static enum layer
walk_pbb(struct walk *w)
{
	struct packet *p = w->packet;

	if (walk_left(w) < 18)
		return walk_truncated(w);
	if (!(p->has & HAS_PBB)) {
		p->has |= HAS_PBB;
		p->pbb = w->at;
	}
	return walk_behind_type(w, 18);
}

/* RFC 2516. */
static enum layer
walk_pppoe(struct walk *w)
{
	if (walk_left(w) < 6)
		return walk_truncated(w);
	if (w->at[0] != 0x11 || w->at[1] != 0)
		return LAYER_END; /* not of the session's data */
	return walk_behind(w, 6, LAYER_PPP);
}

enum layer
walk_type(struct walk *w)
{
	switch (w->type) {
	case TYPE_VLAN:
	case TYPE_QINQ:
	case TYPE_QINQ_OLD1:
	case TYPE_QINQ_OLD2:
		return walk_vlan(w);
	case TYPE_VNTAG:
		return walk_behind_type(w, 6);
	default:
		break;
	}
	if (!w->link_done)
		w->packet->ethertype = w->type;
	w->link_done = true;
	switch (w->type) {
	case TYPE_IPV4:
		return LAYER_IPV4;
	case TYPE_IPV6:
		return LAYER_IPV6;
	case TYPE_MPLS:
	case TYPE_MPLS_MULTICAST:
		return LAYER_MPLS;
	case TYPE_PPPOE_SESSION:
		return walk_pppoe(w);
	case TYPE_PBB:
		return walk_pbb(w);
	case TYPE_PPP:
		return LAYER_PPP;
	case TYPE_BRIDGED:
		return LAYER_ETHERNET;
	default:
		if (w->type < 1536)
			return LAYER_LLC;
		return walk_type_rare(w);
	}
}

/*
 * RFC 1661, RFC 1662: the address and control octets may be there, and the
 * protocol may have one octet (its lowest bit is set then).
 */
enum layer
walk_ppp(struct walk *w)
{
	uint16_t protocol;

	if (walk_left(w) >= 2 && w->at[0] == 0xff && w->at[1] == 0x03)
		w->at += 2;
	if (walk_left(w) < 2)
		return walk_truncated(w);
	if (w->at[0] & 1) {
		protocol = w->at[0];
		w->at++;
	} else {
		protocol = wire_get16(w->at);
		w->at += 2;
	}
	switch (protocol) {
	case PPP_IPV4:
		return LAYER_IPV4;
	case PPP_IPV6:
		return LAYER_IPV6;
	case PPP_MPLS:
	case PPP_MPLS_MULTICAST:
		return LAYER_MPLS;
	default:
		return LAYER_END;
	}
}

/*
 * The address family of the system that captured, in its byte order. IPv6 has
 * a number of each system.
 */
static enum layer
link_null(struct walk *w)
{
	uint32_t family;

	if (walk_left(w) < 4)
		return walk_truncated(w);
	family = wire_get32(w->at);
	if (family > 0xffff)
		family = __builtin_bswap32(family);
	w->at += 4;
	switch (family) {
	case 2:
		return LAYER_IPV4;
	case 10:
	case 23:
	case 24:
	case 28:
	case 30:
		return LAYER_IPV6;
	default:
		return LAYER_END;
	}
}

/*
 * "any" interfaces of Linux: an EtherType, or a number below 1536 of the
 * kernel, of which 4 is 802.2.
 */
static enum layer
link_sll(struct walk *w, size_t header, size_t type_at)
{
	uint16_t type;

	if (walk_left(w) < header)
		return walk_truncated(w);
	type = wire_get16(w->at + type_at);
	w->at += header;
	if (type >= 1536)
		return walk_note_type(w, type);
	return type == 4 ? LAYER_LLC : LAYER_END;
}

/* RFC 2427: Q.922 address of 2 octets (most are), control, NLPID. */
static enum layer
link_frame_relay(struct walk *w)
{
	size_t length = 0;
	uint16_t type;

	do {
		if (walk_left(w) < length + 1 || length == 4)
			return walk_truncated(w);
	} while (!(w->at[length++] & 1));
	w->at += length;
	if (walk_left(w) < 2)
		return walk_truncated(w);
	/* Cisco's has an EtherType here; control is 3 in the standard's. */
	if (w->at[0] != 0x03) {
		type = wire_get16(w->at);
		w->at += 2;
		return type >= 1536 ? walk_note_type(w, type) : LAYER_END;
	}
	w->at++;
	if (w->at[0] == 0) { /* padded to an even length */
		w->at++;
		if (walk_left(w) < 1)
			return walk_truncated(w);
	}
	switch (*w->at++) {
	case 0xcc:
		return LAYER_IPV4;
	case 0x8e:
		return LAYER_IPV6;
	case 0x80: /* SNAP */
		if (!walk_skip(w, 5))
			return LAYER_END;
		/* 00-80-c2: a bridged frame, 0007 is Ethernet without FCS */
		if (memcmp(w->at - 5, "\0\x80\xc2", 3) == 0)
			return wire_get16(w->at - 2) == 7 ||
					       wire_get16(w->at - 2) == 1
				       ? LAYER_ETHERNET
				       : LAYER_END;
		return walk_note_type(w, wire_get16(w->at - 2));
	case 0xcf:
		return LAYER_PPP;
	default:
		return LAYER_END;
	}
}

/* RFC 2684, routed protocols behind 802.2. */
static enum layer
link_atm(struct walk *w)
{
	if (walk_left(w) >= 8 && memcmp(w->at, "\xaa\xaa\x03\0\x80\xc2", 6) == 0) {
		/* Bridged: two octets of padding, then Ethernet. */
		uint16_t id = wire_get16(w->at + 6);

		if (id != 1 && id != 7)
			return LAYER_END;
		return walk_behind(w, 10, LAYER_ETHERNET);
	}
	return LAYER_LLC;
}

/*
 * Of management frames those that name a network have an element of its SSID
 * (number 0) behind fields of a fixed length (802.11-2020, 9.3.3). There is no
 * packet in them, so what is cut or wrong is no fault.
 */
static void
note_management(struct walk *w)
{
	enum { TYPES = 16, NONE = 255, SSID_MAX = 32 };
	static const uint8_t fixed[TYPES] = {
		4,  NONE, 10,	NONE, 0,    12,	  NONE, NONE, /* requests */
		12, NONE, NONE, NONE, NONE, NONE, NONE, NONE, /* beacon */
	};
	const uint8_t *at = w->at, *end = w->end;
	uint8_t skip = fixed[at[0] >> 4];

	w->packet->wlan = at;
	w->packet->has |= HAS_WLAN;
	if (skip == NONE || at[1] & 0x40) /* protected */
		return;
	/* HT control, if the order flag says so */
	skip += at[1] & 0x80 ? 4 : 0;
	if (end - at < WLAN_HEADER + skip)
		return;
	for (at += WLAN_HEADER + skip; end - at >= 2 && end - at >= 2 + at[1];
	     at += 2 + at[1])
		if (at[0] == 0 && at[1] <= SSID_MAX) {
			w->packet->ssid = at + 1;
			w->packet->has |= HAS_SSID;
			return;
		}
}

/* The number of the channel with this middle, in MHz (802.11-2020, annex E). */
static void
note_frequency(struct walk *w, unsigned mhz)
{
	unsigned from = mhz == 2484		    ? 2414
			: mhz >= 2412 && mhz < 2484 ? 2407
			: mhz == 5935		    ? 5925 /* 6 GHz, 2 */
			: mhz > 5950		    ? 5950
			: mhz > 5000		    ? 5000
			: mhz >= 4905		    ? 4000
						    : 0;
	unsigned channel = from ? (mhz - from) / 5 : 0;

	if (!channel || channel > UINT8_MAX || (mhz - from) % 5)
		return;
	w->packet->wlan_channel = (uint8_t)channel;
	w->packet->has |= HAS_CHANNEL;
}

/*
 * 802.11: data frames have 802.2 behind a header whose length follows from its
 * flags. What is encrypted is no IP for us.
 */
static enum layer
link_wlan(struct walk *w)
{
	struct packet *p = w->packet;
	size_t header = WLAN_HEADER;
	uint8_t kind, flags;

	if (walk_left(w) < 2)
		return walk_truncated(w);
	kind = w->at[0];
	flags = w->at[1];
	if ((kind & 0x0f) == 0 && walk_left(w) >= WLAN_HEADER)
		note_management(w);
	if ((kind & 0x0f) != 0x08)
		return LAYER_END; /* management, control, another version */
	if ((flags & 0x03) == 0x03)
		header += 6; /* from one distribution system to another */
	if (kind & 0x80) {
		header += 2; /* QoS */
		if (flags & 0x80)
			header += 4; /* HT control */
	}
	if (walk_left(w) < header)
		return walk_truncated(w);
	p->wlan = w->at;
	p->has |= HAS_WLAN;
	w->at += header;
	/* Without data, or protected. */
	if (kind & 0x40 || flags & 0x40)
		return LAYER_END;
	/* A-MSDU: of several frames in one, the first. */
	if (kind & 0x80 && p->wlan[header - (flags & 0x80 ? 6 : 2)] & 0x80)
		return walk_behind(w, 14, LAYER_LLC);
	return LAYER_LLC;
}

/*
 * Radiotap: its length is little-endian. Bit 5 of the flags field, if that is
 * there, says that the 802.11 header is padded to 4 octets.
 */
static enum layer
link_radiotap(struct walk *w)
{
	const uint8_t *start = w->at;
	size_t length, at = 8;
	uint32_t present;
	bool padded = false;
	enum layer next;

	if (walk_left(w) < 8)
		return walk_truncated(w);
	length = start[2] | (size_t)start[3] << 8;
	if (length < 8)
		return walk_fault(w, FAULT_BAD_HEADER);
	if (!walk_skip(w, length))
		return LAYER_END;
	present = start[4] | (uint32_t)start[5] << 8;
	/* More words of presence follow while bit 31 is set. */
	while (at + 4 <= length && start[at - 1] & 0x80)
		at += 4;
	if (present & 1) /* TSFT: 8 octets, aligned */
		at = ((at + 7) & ~(size_t)7) + 8;
	if (present & 2 && at < length)
		padded = start[at] & 0x20;
	at += present >> 1 & 1; /* flags */
	at += present >> 2 & 1; /* rate */
	at = (at + 1) & ~(size_t)1;
	if (present & 8 && at + 4 <= length)
		note_frequency(w, start[at] | start[at + 1] << 8);
	next = link_wlan(w);
	if (padded && next == LAYER_LLC) {
		size_t odd = (size_t)(w->at - (start + length)) & 3;

		if (odd && !walk_skip(w, 4 - odd))
			return LAYER_END;
	}
	return next;
}

/* A header of a capturing driver that has its length at some place. */
static enum layer
link_wlan_behind(struct walk *w, size_t at, bool big)
{
	size_t length;

	if (walk_left(w) < at + 4)
		return walk_truncated(w);
	length = wire_get32(w->at + at);
	if (!big)
		length = __builtin_bswap32((uint32_t)length);
	if (length < at + 4)
		return walk_fault(w, FAULT_BAD_HEADER);
	/* AVS tells the channel by its number. */
	if (big && length >= 32 && walk_left(w) >= 32) {
		uint32_t channel = wire_get32(w->at + 28);

		w->packet->wlan_channel = (uint8_t)channel;
		if (channel && channel <= UINT8_MAX)
			w->packet->has |= HAS_CHANNEL;
	}
	return walk_skip(w, length) ? link_wlan(w) : LAYER_END;
}

/*
 * What Netfilter logs: attributes in the byte order of that machine (nearly all
 * are little-endian), one of which is the IP packet.
 */
static enum layer
link_nflog(struct walk *w)
{
	enum { PAYLOAD = 9 };

	if (walk_left(w) < 4)
		return walk_truncated(w);
	w->at += 4;
	for (unsigned n = 0; n < STEPS_MAX && walk_left(w) >= 4; n++) {
		size_t length = w->at[0] | (size_t)w->at[1] << 8;
		unsigned type = w->at[2] | (unsigned)w->at[3] << 8;

		if (length < 4)
			return walk_fault(w, FAULT_BAD_HEADER);
		if ((type & 0x7fff) == PAYLOAD) {
			w->at += 4;
			return LAYER_IP;
		}
		length = (length + 3) & ~(size_t)3;
		if (!walk_skip(w, length))
			return LAYER_END;
	}
	return LAYER_END;
}

/* Per-packet information: its length, and the link type that follows. */
static enum layer
link_ppi(struct walk *w)
{
	const uint8_t *start = w->at;
	size_t length;
	uint32_t link;

	if (walk_left(w) < 8)
		return walk_truncated(w);
	length = start[2] | (size_t)start[3] << 8;
	link = __builtin_bswap32(wire_get32(start + 4));
	if (length < 8 || link == LINK_PPI)
		return walk_fault(w, FAULT_BAD_HEADER);
	return walk_skip(w, length) ? walk_link(w, link) : LAYER_END;
}

enum layer
walk_link(struct walk *w, uint32_t link)
{
	switch (link) {
	case LINK_ETHERNET:
		return LAYER_ETHERNET;
	case LINK_NULL:
	case LINK_LOOP:
		return link_null(w);
	case LINK_RAW:
	case LINK_AX25_RAW:
	case LINK_RAW_BSD:
		return LAYER_IP;
	case LINK_IPV4:
		return LAYER_IPV4;
	case LINK_IPV6:
		return LAYER_IPV6;
	case LINK_MPLS:
		return LAYER_MPLS;
	case LINK_PPP:
		return LAYER_PPP;
	case LINK_PPP_HDLC:
		/* Cisco's frames occur in these captures, too. */
		if (walk_left(w) >= 1 && (w->at[0] == 0x0f || w->at[0] == 0x8f))
			return walk_behind_type(w, 4);
		return LAYER_PPP;
	case LINK_PPP_ETHER:
		return walk_behind(w, 6, LAYER_PPP);
	case LINK_PPP_WITH_DIR:
		return walk_behind(w, 1, LAYER_PPP);
	case LINK_C_HDLC:
		return walk_behind_type(w, 4);
	case LINK_FRELAY:
		return link_frame_relay(w);
	case LINK_ATM_RFC1483:
		return link_atm(w);
	case LINK_IP_OVER_FC:
		return walk_behind(w, 16, LAYER_LLC);
	case LINK_PPI:
		return link_ppi(w);
	case LINK_NFLOG:
		return link_nflog(w);
	case LINK_LINUX_SLL:
		return link_sll(w, 16, 14);
	case LINK_LINUX_SLL2:
		return link_sll(w, 20, 0);
	case LINK_IEEE802_11:
		return link_wlan(w);
	case LINK_IEEE802_11_RADIO:
		return link_radiotap(w);
	case LINK_IEEE802_11_AVS:
		return link_wlan_behind(w, 4, true);
	case LINK_IEEE802_11_PRISM:
		/* Some drivers write AVS headers under this number. */
		if (walk_left(w) >= 4 && wire_get32(w->at) >> 8 == 0x802110)
			return link_wlan_behind(w, 4, true);
		return link_wlan_behind(w, 4, false);
	default:
		return walk_link_rare(w, link);
	}
}
