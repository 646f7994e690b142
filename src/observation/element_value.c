/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "element_value.h"

#include <string.h>

#include "conflux/ie.h"
#include "conflux/wire.h"

/* ---- sizes --------------------------------------------------------------- */

uint64_t
value_octets_squared(const struct packet *p)
{
	return (uint64_t)p->ip_length * p->ip_length;
}

/* As on the wire, but for the check sequence, which captures do not have. */
uint64_t
value_frame_octets(const struct packet *p)
{
	return p->frame->wire_length;
}

uint64_t
value_frame_squared(const struct packet *p)
{
	return (uint64_t)p->frame->wire_length * p->frame->wire_length;
}

uint64_t
value_frame_size(const struct packet *p)
{
	return p->frame->wire_length < UINT16_MAX ? p->frame->wire_length
						  : UINT16_MAX;
}

/* RFC 7133: 1 Ethernet, 2 802.11; the rest has no number. */
uint64_t
value_frame_type(const struct packet *p)
{
	return p->has & HAS_WLAN ? 2 : p->has & HAS_ETHERNET ? 1 : 0;
}

/*
 * Behind the transport header, as the IP length says. A capture may have cut the
 * options of TCP.
 */
uint64_t
value_payload_octets(const struct packet *p)
{
	uint32_t headers = (uint32_t)(p->payload - p->ip);

	if (p->has & HAS_TCP)
		headers = (uint32_t)(p->transport - p->ip) +
			  (uint32_t)value_tcp_header_length(p);
	return p->ip_length > headers ? p->ip_length - headers : 0;
}

uint64_t
value_has_payload(const struct packet *p)
{
	return value_payload_octets(p) > 0;
}

/* ---- IP ------------------------------------------------------------------ */

uint64_t
value_traffic_class(const struct packet *p)
{
	return wire_get16(p->ip) >> 4 & 0xff;
}

static uint8_t
class_of_service(const struct packet *p)
{
	return p->has & HAS_IPV4 ? p->ip[1]
				 : (uint8_t)value_traffic_class(p);
}

uint64_t
value_dscp(const struct packet *p)
{
	return class_of_service(p) >> 2;
}

uint64_t
value_precedence(const struct packet *p)
{
	return class_of_service(p) >> 5;
}

uint64_t
value_flow_label(const struct packet *p)
{
	return wire_get32(p->ip) & 0xfffff;
}

/* Of IPv6 it is 40 always: extension headers have an element of their own. */
uint64_t
value_ip_header_length(const struct packet *p)
{
	return p->has & HAS_IPV4 ? p->ip_header_length : 40;
}

uint64_t
value_ihl(const struct packet *p)
{
	return p->ip[0] & 0x0f;
}

uint64_t
value_ip_payload_length(const struct packet *p)
{
	uint32_t header = (uint32_t)(p->ip_payload - p->ip);

	/* RFC 7012: of IPv6, extension headers belong to the payload. */
	return p->ip_length - header;
}

/*
 * The bit that stands for an option type in ipv4Options (208), or -1. IANA's
 * entry contradicts itself: a sentence has option number X at bit X, the table
 * below it (erratum 1737 of RFC 5102) has the numbers of each octet the other
 * way round, number 7 at bit 0, and the figure exchanges two more (19 and 20).
 * We follow the table, which alone names each option with its bit, and which
 * the sibling ipv6ExtensionHeaders (64) follows too, where nothing contradicts
 * it. As RFC 9710 says of that one, bit 0 is the least significant. Router
 * Alert, the option that is common, is bit 20 by the table and the sentence.
 */
static int
option_bit(uint8_t type)
{
	static const uint8_t types[] = {7,   134, 133, 68,  131, 130, 1,
					0,   15,  142, 205, 12,	 11,  10,
					137, 136, 151, 150, 149, 147, 148,
					82,  145, 144};

	for (unsigned i = 0; i < sizeof(types); i++)
		if (types[i] == type)
			return (int)i;
	switch (type) {
	case 30:
	case 94:
	case 158:
	case 222: /* for experiments */
		return 25;
	case 25: /* Quick-Start */
		return 30;
	case 152:
		return 31;
	default:
		return -1;
	}
}

uint64_t
value_ipv4_options(const struct packet *p)
{
	const uint8_t *at = p->ip + 20, *end = p->ip_payload;
	uint64_t set = 0;

	while (at < end) {
		int bit = option_bit(*at);

		if (bit >= 0)
			set |= (uint64_t)1 << bit;
		if (*at == 0)
			break;
		if (*at == 1) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] < 2)
			break;
		at += at[1];
	}
	return set;
}

void
bits_set(uint8_t *out, unsigned bit)
{
	out[31 - bit / 8] |= (uint8_t)(1 << bit % 8);
}

void
bits_extensions(const struct packet *p, uint8_t *out)
{
	for (unsigned bit = 0; bit < 32; bit++)
		if (p->extensions >> bit & 1)
			bits_set(out, bit);
}

/* boolean: true if all extension headers could be looked at. */
uint64_t
value_extension_limit(const struct packet *p)
{
	return p->fault == FAULT_NONE ? 1 : 2;
}

uint64_t
value_fragment(const struct packet *p)
{
	return p->has & HAS_FRAGMENT ? 1 : 0;
}

uint64_t
value_extension_length(const struct packet *p)
{
	return p->ip_header_length - 40;
}

/*
 * isMulticast (206): the scope of an IPv6 address in the upper half, then T, two
 * bits that are reserved, MCv4.
 */
uint64_t
value_multicast(const struct packet *p)
{
	if (p->has & HAS_IPV4)
		return p->ip[16] >> 4 == 14 ? 0x01 : 0;
	if (p->ip[24] != 0xff)
		return 0;
	return (uint64_t)(p->ip[25] & 0x0f) << 4 |
	       (p->ip[25] & 0x10 ? 0x08 : 0);
}

/* ---- TCP ----------------------------------------------------------------- */

#define FLAG(name, bit)                                                        \
	uint64_t value_tcp_##name(const struct packet *p)                      \
	{                                                                      \
		return p->transport[13] >> (bit)&1;                            \
	}
FLAG(fin, 0)
FLAG(syn, 1)
FLAG(rst, 2)
FLAG(psh, 3)
FLAG(ack, 4)
FLAG(urg, 5)

uint64_t
value_tcp_header_length(const struct packet *p)
{
	return (p->transport[12] >> 4) * 4u;
}

/* UDP-Lite (RFC 3828) has the coverage of its checksum in that place. */
uint64_t
value_udp_length(const struct packet *p)
{
	uint32_t before = (uint32_t)(p->transport - p->ip);

	if (p->protocol == 17)
		return wire_get16(p->transport + 4);
	return p->ip_length > before ? (uint16_t)(p->ip_length - before) : 0;
}

/* ---- GTP-U (3GPP TS 29.281) --------------------------------------------- */

uint64_t
value_gtpu_sequence(const struct packet *p)
{
	return wire_get16(p->gtpu + 8);
}

/*
 * The PDU Session Container (TS 38.415), if all of it is there: an extension
 * header of type 0x85. Each says its length in units of 4 octets first, and the
 * type of the next last.
 */
static const uint8_t *
session_container(const struct packet *p)
{
	const uint8_t *end = p->frame->data + p->frame->length;
	const uint8_t *at = p->gtpu + 12;
	uint8_t type;

	if (!(p->gtpu[0] & 0x04) || end - p->gtpu < 12)
		return NULL;
	for (type = at[-1]; type; type = at[-1]) {
		if (end - at < 4 || at[0] == 0 || end - at < at[0] * 4)
			return NULL;
		if (type == 0x85)
			return at;
		at += at[0] * 4;
	}
	return NULL;
}

/* Behind the type, 4 bits, and flags: the QFI is the lower 6 bits of octet 2. */
uint64_t
value_gtpu_qfi(const struct packet *p)
{
	return session_container(p)[2] & 0x3f;
}

uint64_t
value_gtpu_pdu_type(const struct packet *p)
{
	return session_container(p)[1] >> 4;
}

/* ---- 802.11 -------------------------------------------------------------- */

/*
 * Which of the addresses is which follows from two flags, to and from the
 * distribution system (802.11-2020, table 9-30).
 */
static const uint8_t *
wlan_address(const struct packet *p, unsigned n)
{
	return p->wlan + (n == 4 ? 24 : 4 + 6 * (n - 1));
}

static uint64_t
get48(const uint8_t *p)
{
	return (uint64_t)wire_get16(p) << 32 | wire_get32(p + 2);
}

uint64_t
value_wlan_source(const struct packet *p)
{
	static const uint8_t which[] = {2, 2, 3, 4};

	return get48(wlan_address(p, which[p->wlan[1] & 3]));
}

uint64_t
value_wlan_target(const struct packet *p)
{
	static const uint8_t which[] = {1, 3, 1, 3};

	return get48(wlan_address(p, which[p->wlan[1] & 3]));
}

/* 1: to the access point, 2: from it */
uint64_t
value_wlan_station(const struct packet *p)
{
	return get48(wlan_address(p, (p->wlan[1] & 3) == 1 ? 2 : 1));
}

uint64_t
value_wlan_point(const struct packet *p)
{
	return get48(wlan_address(p, (p->wlan[1] & 3) == 1 ? 1 : 2));
}

/* That of the packet to or from the station. */
uint64_t
value_station_ip(const struct packet *p)
{
	return wire_get32(p->ip + ((p->wlan[1] & 3) == 1 ? 12 : 16));
}

/* ---- extras --------------------------------------------------------------- */

unsigned
element_extras(const struct packet *p, unsigned extras)
{
	const uint8_t *there = p->frame->data + p->frame->length;
	unsigned set = 0;

	if (extras & EXTRA_CHAIN && p->has & HAS_IPV6 && has_chain(p))
		set |= EXTRA_CHAIN;
	if (extras & EXTRA_OPTIONS)
		set |= option_extras(p, extras);
	if (extras & EXTRA_GTPU_SEQUENCE && p->has & HAS_GTPU &&
	    p->gtpu[0] & 0x02 && there - p->gtpu >= 10)
		set |= EXTRA_GTPU_SEQUENCE;
	if (extras & EXTRA_GTPU_SESSION && p->has & HAS_GTPU &&
	    session_container(p))
		set |= EXTRA_GTPU_SESSION;
	if (extras & EXTRA_STATION && p->has & HAS_WLAN &&
	    ((p->wlan[1] & 3) == 1 || (p->wlan[1] & 3) == 2))
		set |= EXTRA_STATION;
	return set;
}

/* ---- link layers --------------------------------------------------------- */

uint64_t
value_ethernet_header(const struct packet *p)
{
	return 14u + 4u * p->vlan_count;
}

uint64_t
value_ethernet_payload(const struct packet *p)
{
	uint64_t size = value_frame_size(p), header = value_ethernet_header(p);

	return size > header ? size - header : 0;
}

static uint64_t
tag_id(const uint8_t *tag)
{
	return wire_get16(tag) & 0x0fff;
}

uint64_t
value_vlan(const struct packet *p)
{
	return tag_id(p->vlan);
}

uint64_t
value_vlan_priority(const struct packet *p)
{
	return p->vlan[0] >> 5;
}

/* boolean (RFC 7011 6.1.5): 1 is true, 2 false */
uint64_t
value_vlan_dei(const struct packet *p)
{
	return p->vlan[0] & 0x10 ? 1 : 2;
}

uint64_t
value_customer_vlan(const struct packet *p)
{
	return tag_id(p->vlan + 4);
}

uint64_t
value_customer_priority(const struct packet *p)
{
	return p->vlan[4] >> 5;
}

uint64_t
value_customer_dei(const struct packet *p)
{
	return p->vlan[4] & 0x10 ? 1 : 2;
}

uint64_t
value_service_id(const struct packet *p)
{
	return wire_get32(p->pbb) & 0xffffff;
}

uint64_t
value_service_priority(const struct packet *p)
{
	return p->pbb[0] >> 5;
}

/* ---- MPLS ---------------------------------------------------------------- */

/* Label, traffic class and bottom of stack: an entry without its TTL. */
#define ENTRY(n)                                                               \
	uint64_t value_mpls_##n(const struct packet *p)                        \
	{                                                                      \
		return wire_get32(p->mpls + 4 * ((n) - 1)) >> 8;               \
	}
ENTRY(1)
ENTRY(2)
ENTRY(3)
ENTRY(4)
ENTRY(5)
ENTRY(6)
ENTRY(7)
ENTRY(8)
ENTRY(9)
ENTRY(10)

uint64_t
value_mpls_exp(const struct packet *p)
{
	return p->mpls[2] >> 1 & 7;
}

uint64_t
value_mpls_length(const struct packet *p)
{
	return 4u * p->mpls_depth;
}

uint64_t
value_mpls_payload(const struct packet *p)
{
	uint32_t before = (uint32_t)(p->mpls_payload - p->frame->data);

	return p->frame->wire_length > before ? p->frame->wire_length - before
					      : 0;
}

/* ---- sections ------------------------------------------------------------ */

static void
from(const struct packet *p, const uint8_t *start, const uint8_t *end,
     struct section *out)
{
	const uint8_t *there = p->frame->data + p->frame->length;

	if (end > there)
		end = there;
	out->data = start;
	out->length = end > start ? (uint32_t)(end - start) : 0;
}

void
section_frame(const struct packet *p, struct section *out)
{
	from(p, p->frame->data, p->frame->data + p->frame->length, out);
}

/* With a sufficient length the payload follows (RFC 5477 8.5.1). */
void
section_ip(const struct packet *p, struct section *out)
{
	from(p, p->ip, p->end, out);
}

void
section_ip_payload(const struct packet *p, struct section *out)
{
	from(p, p->ip_payload, p->end, out);
}

void
section_mpls(const struct packet *p, struct section *out)
{
	from(p, p->mpls, p->frame->data + p->frame->length, out);
}

void
section_mpls_payload(const struct packet *p, struct section *out)
{
	from(p, p->mpls_payload, p->frame->data + p->frame->length, out);
}

void
section_transport(const struct packet *p, struct section *out)
{
	from(p, p->transport, p->end, out);
}

void
section_service_tag(const struct packet *p, struct section *out)
{
	from(p, p->pbb, p->pbb + 16, out);
}

void
section_srh(const struct packet *p, struct section *out)
{
	from(p, p->srh, p->srh + (p->srh[1] + 1u) * 8, out);
}

void
section_ssid(const struct packet *p, struct section *out)
{
	from(p, p->ssid + 1, p->ssid + 1 + p->ssid[0], out);
}

/* The Segment List: Last Entry (octet 4) is the index of its last one. */
void
section_segments(const struct packet *p, struct section *out)
{
	const uint8_t *end = p->srh + (p->srh[1] + 1u) * 8;
	const uint8_t *last = p->srh + 8 + (p->srh[4] + 1u) * 16;

	from(p, p->srh + 8, last < end ? last : end, out);
}

/*
 * RFC 9487: an ordered basicList (RFC 6313 section 4.5.1) of srhSegmentIPv6, as
 * in the header, so the last segment of the path is the first one.
 */
uint32_t
list_segments(const struct packet *p, uint8_t *out)
{
	struct section segments;
	uint32_t length;

	section_segments(p, &segments);
	length = segments.length - segments.length % 16;
	out[0] = 4; /* ordered */
	wire_put16(out + 1, IE_srhSegmentIPv6);
	wire_put16(out + 3, 16);
	memcpy(out + 5, segments.data, length);
	return 5 + length;
}
