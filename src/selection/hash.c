/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "hash.h"

#include <zlib.h>

#include "conflux/wire.h"

/* ---- BOB ----------------------------------------------------------------- */

struct bob {
	uint32_t a, b, c;
};

static void
mix(struct bob *s)
{
	static const uint8_t shift[3][3] = {
		{13, 8, 13}, {12, 16, 5}, {3, 10, 15}};

	for (int i = 0; i < 3; i++) {
		s->a = (s->a - s->b - s->c) ^ s->c >> shift[i][0];
		s->b = (s->b - s->c - s->a) ^ s->a << shift[i][1];
		s->c = (s->c - s->a - s->b) ^ s->b >> shift[i][2];
	}
}

/* Up to four octets, the first one least significant. */
static uint32_t
little(const uint8_t *p, size_t length)
{
	uint32_t v = 0;

	for (size_t i = 0; i < length && i < 4; i++)
		v |= (uint32_t)p[i] << (8 * i);
	return v;
}

static size_t
behind(size_t left, size_t at)
{
	return left > at ? left - at : 0;
}

uint32_t
selection_bob(const uint8_t *data, size_t length, uint32_t start)
{
	struct bob s = {0x9e3779b9, 0x9e3779b9, start};
	size_t left = length;

	for (; left >= 12; left -= 12, data += 12) {
		s.a += little(data, 4);
		s.b += little(data + 4, 4);
		s.c += little(data + 8, 4);
		mix(&s);
	}
	s.a += little(data, left);
	s.b += little(data + 4, behind(left, 4));
	/* Its lowest octet is kept for the length. */
	s.c += (uint32_t)length + (little(data + 8, behind(left, 8)) << 8);
	mix(&s);
	return s.c;
}

/* ---- IPSX ---------------------------------------------------------------- */

uint32_t
selection_ipsx(const uint8_t data[16])
{
	uint32_t v1 = wire_get32(data) ^ wire_get32(data + 4);
	uint32_t v2 = wire_get32(data + 8) ^ wire_get32(data + 12);
	uint32_t h = v1 << 8 ^ v1 >> 4 ^ v1 >> 12 ^ v1 >> 16;

	h ^= v2 << 6 ^ v2 << 10 ^ v2 << 14 ^ v2 >> 7;
	return h & 0xffff;
}

/* ---- CRC ----------------------------------------------------------------- */

uint32_t
selection_crc(const uint8_t *data, size_t length, uint32_t start)
{
	return (uint32_t)crc32(start, data, (uInt)length);
}
