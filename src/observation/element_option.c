/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of TCP (RFC 9293), and those of UDP (RFC 9868), which are behind the
 * datagram in its IP packet; what IPFIX tells of them is in RFC 9740 and RFC
 * 9870: sets of bits, and lists of the experiments (ExID) that share a kind.
 *
 * Nothing in a TCP option tells whether an experiment's number has two octets
 * or four, or whether there is one; one has to know them (RFC 6994, RFC 9740
 * section 5.2). Those that we know are below. Once the numbers are listed the
 * bits of their kinds must not be set, so there are two functions for each set.
 */
#include <string.h>

#include "conflux/ie.h"
#include "conflux/wire.h"
#include "element_value.h"

enum {
	TCP_WINDOW_SCALE = 3,
	TCP_EXPERIMENT_1 = 253,
	TCP_EXPERIMENT_2 = 254,
	UDP_FRAGMENT = 3,
	UDP_EXPERIMENT = 127,
	UDP_UNSAFE = 192, /* kinds from here on */
	UDP_UNSAFE_EXPERIMENT = 254,
	UDP_HEADER = 8,
	EXTENDED = 255,	 /* UDP: the length follows, in two octets */
	LIST_ALL_OF = 3, /* RFC 6313 section 4.4: the Flow has them all */
	LIST_HEADER = 5,
	IDS_MAX = 64, /* of a packet; it is not looked for more */
};

static const uint16_t known_16[] = {
	0x0348,			/* HOST_ID, RFC 7974 */
	0x454e,			/* TCP-ENO before it had a kind, RFC 8547 */
	0xacc0,			/* AccECN, and its other order */
	0xacc1, 0xacce, 0xf989, /* Fast Open before it had a kind, RFC 7413 */
};

static const uint32_t known_32[] = {
	0xe2d4c3d9, /* SMC-R, RFC 7609 */
};

struct options {
	const uint8_t *next, *end;
	int kind;
	const uint8_t *at; /* the content */
	size_t length;
};

struct ids {
	unsigned count;
	uint32_t id[IDS_MAX];
};

/* ---- TCP ----------------------------------------------------------------- */

static struct options
tcp_options(const struct packet *p)
{
	const uint8_t *end = p->transport + value_tcp_header_length(p);

	return (struct options){
		.next = p->transport + 20,
		.end = end < p->end ? end : p->end,
	};
}

/* Steps to the next option; false at the end. */
static bool
tcp_next(struct options *o)
{
	const uint8_t *at = o->next;

	if (at >= o->end)
		return false;
	o->kind = at[0];
	o->at = at;
	o->length = 0;
	if (at[0] <= 1) {
		o->next = at[0] ? at + 1 : o->end;
		return true;
	}
	if (o->end - at < 2 || at[1] < 2 || o->end - at < at[1])
		return false;
	o->at = at + 2;
	o->length = at[1] - 2u;
	o->next = at + at[1];
	return true;
}

uint64_t
value_tcp_options(const struct packet *p)
{
	struct options o = tcp_options(p);
	uint64_t set = 0;

	while (tcp_next(&o))
		if (o.kind < 64)
			set |= (uint64_t)1 << o.kind;
	return set;
}

/* The shift count of the Window Scale option, or NULL. */
static const uint8_t *
window_scale(const struct packet *p)
{
	struct options o = tcp_options(p);

	while (tcp_next(&o))
		if (o.kind == TCP_WINDOW_SCALE && o.length == 1)
			return o.at;
	return NULL;
}

uint64_t
value_window_scale(const struct packet *p)
{
	return *window_scale(p);
}

/* Octets of the number of an experiment that we know, or 0; *id. */
static unsigned
tcp_experiment(const struct options *o, uint32_t *id)
{
	if (o->kind != TCP_EXPERIMENT_1 && o->kind != TCP_EXPERIMENT_2)
		return 0;
	for (size_t i = 0; i < sizeof(known_32) / sizeof(known_32[0]); i++)
		if (o->length >= 4 && wire_get32(o->at) == known_32[i]) {
			*id = known_32[i];
			return 4;
		}
	for (size_t i = 0; i < sizeof(known_16) / sizeof(known_16[0]); i++)
		if (o->length >= 2 && wire_get16(o->at) == known_16[i]) {
			*id = known_16[i];
			return 2;
		}
	return 0;
}

void
bits_tcp_options(const struct packet *p, uint8_t *out)
{
	struct options o = tcp_options(p);

	while (tcp_next(&o))
		bits_set(out, (unsigned)o.kind);
}

void
bits_tcp_unlisted(const struct packet *p, uint8_t *out)
{
	struct options o = tcp_options(p);
	uint32_t id;

	while (tcp_next(&o))
		if (!tcp_experiment(&o, &id))
			bits_set(out, (unsigned)o.kind);
}

/* ---- UDP ----------------------------------------------------------------- */

static uint32_t
ones_sum(const uint8_t *at, size_t length)
{
	uint32_t sum = 0;

	for (; length > 1; at += 2, length -= 2)
		sum += wire_get16(at);
	if (length)
		sum += (uint32_t)at[0] << 8;
	return sum;
}

static uint32_t
fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/*
 * The options begin with a checksum, at the first even octet behind the
 * datagram; an octet before it is 0. Should it be wrong, or whatever else is
 * there be no options, receivers ignore it, and so do we; 0 is no checksum. It
 * can be tested if all was captured.
 */
static struct options
udp_options(const struct packet *p)
{
	const uint32_t ip_payload =
		p->ip_length - (uint32_t)(p->transport - p->ip);
	const uint32_t there = (uint32_t)(p->end - p->transport);
	const uint32_t length = wire_get16(p->transport + 4);
	const uint32_t start = length + (length & 1);
	const struct options none = {.next = NULL};
	const uint8_t *at;

	if (p->protocol != 17 || length < UDP_HEADER ||
	    ip_payload < start + 2 || there < start + 2)
		return none;
	at = p->transport + start;
	if (length & 1 && at[-1] != 0)
		return none;
	if (there >= ip_payload && wire_get16(at) != 0 &&
	    fold(ones_sum(at, ip_payload - start) + ip_payload - length) !=
		    0xffff)
		return none;
	return (struct options){.next = at + 2, .end = p->end};
}

/* A fragment's data begins behind its options, where that option says. */
static void
end_at_data(const struct packet *p, struct options *o)
{
	uint32_t before = (uint32_t)(o->next - p->transport);
	uint32_t there = (uint32_t)(o->end - p->transport), data;

	if (o->length < 2)
		return;
	data = wire_get16(o->at);
	if (data >= before && data < there)
		o->end = p->transport + data;
}

static bool
udp_next(const struct packet *p, struct options *o)
{
	const uint8_t *at = o->next;
	size_t header = 2, length;

	if (at >= o->end)
		return false;
	o->kind = at[0];
	o->at = at;
	o->length = 0;
	if (at[0] <= 1) {
		o->next = at[0] ? at + 1 : o->end;
		return true;
	}
	if (o->end - at < 2)
		return false;
	length = at[1];
	if (length == EXTENDED) {
		header = 4;
		if (o->end - at < 4)
			return false;
		length = wire_get16(at + 2);
	}
	if (length < header || (size_t)(o->end - at) < length)
		return false;
	o->at = at + header;
	o->length = length - header;
	o->next = at + length;
	if (o->kind == UDP_FRAGMENT)
		end_at_data(p, o);
	return true;
}

static bool
has_udp_experiment(const struct options *o, int kind)
{
	return o->kind == kind && o->length >= 2;
}

static void
udp_safe(const struct packet *p, bool unlisted, uint8_t *out)
{
	struct options o = udp_options(p);

	while (udp_next(p, &o))
		if (o.kind < UDP_UNSAFE &&
		    !(unlisted && has_udp_experiment(&o, UDP_EXPERIMENT)))
			bits_set(out, (unsigned)o.kind);
}

void
bits_udp_safe(const struct packet *p, uint8_t *out)
{
	udp_safe(p, false, out);
}

void
bits_udp_safe_unlisted(const struct packet *p, uint8_t *out)
{
	udp_safe(p, true, out);
}

static uint64_t
udp_unsafe(const struct packet *p, bool unlisted)
{
	struct options o = udp_options(p);
	uint64_t set = 0;

	while (udp_next(p, &o))
		if (o.kind >= UDP_UNSAFE &&
		    !(unlisted &&
		      has_udp_experiment(&o, UDP_UNSAFE_EXPERIMENT)))
			set |= (uint64_t)1 << (o.kind - UDP_UNSAFE);
	return set;
}

uint64_t
value_udp_unsafe(const struct packet *p)
{
	return udp_unsafe(p, false);
}

uint64_t
value_udp_unsafe_unlisted(const struct packet *p)
{
	return udp_unsafe(p, true);
}

/* ---- lists of experiments ------------------------------------------------ */

static void
add_id(struct ids *ids, uint32_t id)
{
	for (unsigned i = 0; i < ids->count; i++)
		if (ids->id[i] == id)
			return;
	if (ids->count < IDS_MAX)
		ids->id[ids->count++] = id;
}

/* Those whose numbers have so many octets. */
static void
tcp_ids(const struct packet *p, unsigned octets, struct ids *ids)
{
	struct options o = tcp_options(p);
	uint32_t id;

	ids->count = 0;
	while (tcp_next(&o))
		if (tcp_experiment(&o, &id) == octets)
			add_id(ids, id);
}

static void
udp_ids(const struct packet *p, int kind, struct ids *ids)
{
	struct options o = udp_options(p);

	ids->count = 0;
	while (udp_next(p, &o))
		if (has_udp_experiment(&o, kind))
			add_id(ids, wire_get16(o.at));
}

static uint32_t
write_list(const struct ids *ids, uint16_t element, uint16_t octets,
	   uint8_t *out)
{
	out[0] = LIST_ALL_OF;
	wire_put16(out + 1, element);
	wire_put16(out + 3, octets);
	for (unsigned i = 0; i < ids->count; i++)
		wire_put_uint(out + LIST_HEADER + i * octets, ids->id[i],
			      octets);
	return LIST_HEADER + ids->count * octets;
}

uint32_t
list_tcp_16(const struct packet *p, uint8_t *out)
{
	struct ids ids;

	tcp_ids(p, 2, &ids);
	return write_list(&ids, IE_tcpSharedOptionExID16, 2, out);
}

uint32_t
list_tcp_32(const struct packet *p, uint8_t *out)
{
	struct ids ids;

	tcp_ids(p, 4, &ids);
	return write_list(&ids, IE_tcpSharedOptionExID32, 4, out);
}

uint32_t
list_udp_safe(const struct packet *p, uint8_t *out)
{
	struct ids ids;

	udp_ids(p, UDP_EXPERIMENT, &ids);
	return write_list(&ids, IE_udpExID, 2, out);
}

uint32_t
list_udp_unsafe(const struct packet *p, uint8_t *out)
{
	struct ids ids;

	udp_ids(p, UDP_UNSAFE_EXPERIMENT, &ids);
	return write_list(&ids, IE_udpExID, 2, out);
}

/* ---- which there are ----------------------------------------------------- */

static unsigned
tcp_extras(const struct packet *p)
{
	struct options o = tcp_options(p);
	unsigned set = 0;
	uint32_t id;

	while (tcp_next(&o)) {
		unsigned octets = tcp_experiment(&o, &id);

		if (o.kind == TCP_WINDOW_SCALE && o.length == 1)
			set |= EXTRA_WINDOW_SCALE;
		if (octets)
			set |= octets == 2 ? EXTRA_TCP_16 : EXTRA_TCP_32;
	}
	return set;
}

static unsigned
udp_extras(const struct packet *p)
{
	struct options o = udp_options(p);
	unsigned set = 0;

	while (udp_next(p, &o)) {
		if (has_udp_experiment(&o, UDP_EXPERIMENT))
			set |= EXTRA_UDP_SAFE;
		if (has_udp_experiment(&o, UDP_UNSAFE_EXPERIMENT))
			set |= EXTRA_UDP_UNSAFE;
	}
	return set;
}

unsigned
option_extras(const struct packet *p, unsigned extras)
{
	if (p->has & HAS_TCP)
		return tcp_extras(p) & extras;
	return p->has & HAS_UDP ? udp_extras(p) & extras : 0;
}
