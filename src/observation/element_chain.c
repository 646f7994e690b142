/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain of extension headers of IPv6 (RFC 8200) as lists of RFC 6313: the
 * types one after the other, with how many of one kind follow one another, and
 * the whole of it with its length (RFC 9740). The walk has seen that those up
 * to the transport header are there; the last one may be cut.
 */
#include "conflux/lists.h"
#include "conflux/wire.h"
#include "element_value.h"
#include "walk.h"

enum {
	LIST_ALL_OF = 3, /* RFC 6313 section 4.4 */
	LIST_ORDERED = 4,
	LIST_HEADER = 3, /* semantic, Template */
	CHAIN_MAX = 255, /* of one kind, as the counter has an octet */
};

static bool
is_extension(uint8_t type)
{
	switch (type) {
	case PROTOCOL_HOP_BY_HOP:
	case PROTOCOL_ROUTING:
	case PROTOCOL_FRAGMENT:
	case PROTOCOL_OPTIONS:
	case PROTOCOL_MOBILITY:
	case PROTOCOL_HIP:
	case PROTOCOL_SHIM6:
	case PROTOCOL_AH:
	case PROTOCOL_ESP:
		return true;
	default:
		return false;
	}
}

static uint32_t
octets_of(uint8_t type, const uint8_t *at)
{
	switch (type) {
	case PROTOCOL_FRAGMENT:
		return 8;
	case PROTOCOL_AH:
		return (at[1] + 2u) * 4;
	default:
		return (at[1] + 1u) * 8;
	}
}

bool
has_chain(const struct packet *p)
{
	return is_extension(p->ip[6]);
}

uint32_t
list_chain(const struct packet *p, uint8_t *out)
{
	const uint8_t *at = p->ip + 40;
	uint8_t type = p->ip[6];
	uint32_t length = LIST_HEADER;

	out[0] = LIST_ORDERED;
	wire_put16(out + 1, LIST_CHAIN);
	while (is_extension(type)) {
		if (length > LIST_HEADER && out[length - 2] == type) {
			out[length - 1] += out[length - 1] < CHAIN_MAX;
		} else {
			out[length++] = type;
			out[length++] = 1;
		}
		/* Behind ESP, and behind the header of a later fragment. */
		if (at >= p->transport || type == PROTOCOL_ESP ||
		    (type == PROTOCOL_FRAGMENT && p->fragment_offset))
			break;
		type = at[0];
		at += octets_of(out[length - 2], at);
	}
	return length;
}

uint32_t
list_chain_length(const struct packet *p, uint8_t *out)
{
	out[0] = LIST_ALL_OF;
	wire_put16(out + 1, LIST_CHAIN_LENGTH);
	for (unsigned i = 0; i < 32; i++)
		out[LIST_HEADER + i] = 0;
	bits_extensions(p, out + LIST_HEADER);
	wire_put32(out + LIST_HEADER + 32, (uint32_t)value_extension_length(p));
	return LIST_HEADER + 36;
}
