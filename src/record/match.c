/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Values as people write them, and fields compared with them. */
#include "conflux/match.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conflux/addr.h"
#include "conflux/ie.h"
#include "conflux/ntp.h"
#include "conflux/wire.h"

/* Decimal, or hexadecimal with 0x, and nothing else. */
static int
parse_uint(uint64_t *value, const char *text)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	char *end;

	if (!isxdigit((unsigned char)text[hex ? 2 : 0]))
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, hex ? 16 : 10);
	return errno || *end ? -EINVAL : 0;
}

static int
parse_unsigned(struct match *m, const char *text, unsigned octets)
{
	m->kind = MATCH_UNSIGNED;
	if (parse_uint(&m->value, text) < 0 ||
	    (octets < 8 && m->value >> 8 * octets))
		return -EINVAL;
	return 0;
}

static int
parse_signed(struct match *m, const char *text, unsigned octets)
{
	bool negative = text[0] == '-';
	uint64_t most = (UINT64_C(1) << (8 * octets - 1)) - !negative;

	m->kind = MATCH_SIGNED;
	if (parse_uint(&m->value, text + negative) < 0 || m->value > most)
		return -EINVAL;
	if (negative)
		m->value = -m->value;
	return 0;
}

static int
parse_real(struct match *m, const char *text)
{
	char *end;

	m->kind = MATCH_REAL;
	m->real = strtod(text, &end);
	return end == text || *end || isspace((unsigned char)*text) ? -EINVAL
								    : 0;
}

/* Octets behind the point of a second, to nanoseconds; up to the Z. */
static int
parse_fraction(uint64_t *ns, const char *text)
{
	uint64_t unit = NSEC_PER_SEC / 10;

	*ns = 0;
	if (*text == '.') {
		if (!isdigit((unsigned char)*++text))
			return -EINVAL;
		for (; isdigit((unsigned char)*text) && unit; unit /= 10)
			*ns += (uint64_t)(*text++ - '0') * unit;
	}
	return strcmp(text, "Z") == 0 ? 0 : -EINVAL;
}

/*
 * A number of the element's own units since 1970, or 2026-01-31T13:00:00.5Z,
 * which may not be finer than these units.
 */
static int
parse_time(struct match *m, const char *text, uint64_t unit_ns)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	uint64_t ns;
	time_t t;

	m->kind = MATCH_UNSIGNED;
	if (unit_ns < 1000000)
		m->kind = unit_ns == 1 ? MATCH_NANO : MATCH_MICRO;
	if (rest) {
		t = timegm(&tm);
		if (parse_fraction(&ns, rest) < 0 || ns % unit_ns || t < 0)
			return -EINVAL;
		m->value =
			(uint64_t)t * (NSEC_PER_SEC / unit_ns) + ns / unit_ns;
		return 0;
	}
	return parse_uint(&m->value, text);
}

/* An address, with or without the length of a prefix. */
static int
parse_address(struct match *m, const char *text, uint8_t version)
{
	const char *slash = strchr(text, '/');
	char copy[64];
	struct addr addr;
	uint64_t bits;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);
	if (slash)
		copy[slash - text] = 0;
	if (addr_parse(&addr, copy, 0) < 0 || addr.version != version)
		return -EINVAL;
	m->length = version == 4 ? 4 : 16;
	memcpy(m->octets, addr.bytes, m->length);
	if (!slash)
		return 0;
	if (parse_uint(&bits, slash + 1) < 0 || bits > m->length * 8u)
		return -EINVAL;
	m->prefix = (int)bits;
	for (unsigned i = 0; i < m->length; i++)
		if (bits < 8 * (i + 1))
			m->octets[i] &=
				bits > 8 * i
					? (uint8_t)(0xff00 >> (bits - 8 * i))
					: 0;
	return 0;
}

/* Two hexadecimal digits. */
static bool
parse_octet(uint8_t *out, const char *text)
{
	char digits[3] = {0};

	for (int i = 0; i < 2; i++) {
		if (!isxdigit((unsigned char)text[i]))
			return false;
		digits[i] = text[i];
	}
	*out = (uint8_t)strtoul(digits, NULL, 16);
	return true;
}

/* Six octets with colons or hyphens. */
static int
parse_mac(struct match *m, const char *text)
{
	m->length = 6;
	for (int i = 0; i < 6; i++, text += 3) {
		if (!parse_octet(&m->octets[i], text))
			return -EINVAL;
		if (i < 5 ? text[2] != ':' && text[2] != '-' : text[2])
			return -EINVAL;
	}
	return 0;
}

/* 0x and two digits an octet. */
static int
parse_octets(struct match *m, const char *text)
{
	if (strncmp(text, "0x", 2) != 0 || !text[2])
		return -EINVAL;
	for (text += 2; *text; text += 2)
		if (m->length == MATCH_MAX ||
		    !parse_octet(&m->octets[m->length++], text))
			return -EINVAL;
	return 0;
}

/* RFC 7011 section 6.1.5: 1 is true, 2 is false. */
static int
parse_boolean(struct match *m, const char *text)
{
	m->kind = MATCH_UNSIGNED;
	if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
		m->value = 1;
	else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
		m->value = 2;
	else
		return -EINVAL;
	return 0;
}

int
match_parse(struct match *m, const struct ie *ie, const char *text)
{
	*m = (struct match){.kind = MATCH_OCTETS, .prefix = -1};
	if (!text)
		return -EINVAL;
	switch (ie->type) {
	case IE_UNSIGNED8:
	case IE_UNSIGNED16:
	case IE_UNSIGNED32:
	case IE_UNSIGNED64:
		return parse_unsigned(m, text, ie_type_length(ie->type));
	case IE_SIGNED8:
	case IE_SIGNED16:
	case IE_SIGNED32:
	case IE_SIGNED64:
		return parse_signed(m, text, ie_type_length(ie->type));
	case IE_FLOAT32:
	case IE_FLOAT64:
		return parse_real(m, text);
	case IE_DATE_TIME_SECONDS:
		return parse_time(m, text, NSEC_PER_SEC);
	case IE_DATE_TIME_MILLISECONDS:
		return parse_time(m, text, 1000000);
	case IE_DATE_TIME_MICROSECONDS:
		return parse_time(m, text, 1000);
	case IE_DATE_TIME_NANOSECONDS:
		return parse_time(m, text, 1);
	case IE_BOOLEAN:
		return parse_boolean(m, text);
	case IE_IPV4_ADDRESS:
		return parse_address(m, text, 4);
	case IE_IPV6_ADDRESS:
		return parse_address(m, text, 6);
	case IE_MAC_ADDRESS:
		return parse_mac(m, text);
	case IE_STRING:
		if (strlen(text) > MATCH_MAX)
			return -EINVAL;
		m->length = (uint16_t)strlen(text);
		memcpy(m->octets, text, m->length);
		return 0;
	case IE_OCTET_ARRAY:
		return parse_octets(m, text);
	default:
		return -EINVAL;
	}
}

static bool
same_prefix(const struct match *m, const uint8_t *p)
{
	unsigned whole = (unsigned)m->prefix / 8,
		 rest = (unsigned)m->prefix % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	return memcmp(p, m->octets, whole) == 0 &&
	       (rest == 0 || ((p[whole] ^ m->octets[whole]) & mask) == 0);
}

/* Of a field of 4 octets, or of 8. */
static bool
same_real(const struct match *m, const uint8_t *p, uint32_t length)
{
	union {
		uint32_t u32;
		uint64_t u64;
		float f;
		double d;
	} v;

	if (length == 4) {
		v.u32 = wire_get32(p);
		return v.f == (float)m->real;
	}
	if (length != 8)
		return false;
	v.u64 = wire_get64(p);
	return v.d == m->real;
}

/* Numbers may have any length (RFC 7011 section 6.2). */
static bool
same_number(const struct match *m, const uint8_t *p, uint32_t length)
{
	uint64_t v;

	if (length == 0 || length > 8)
		return false;
	v = wire_get_uint(p, length);
	if (m->kind == MATCH_SIGNED && length < 8 && v >> (8 * length - 1))
		v |= UINT64_MAX << 8 * length;
	return v == m->value;
}

bool
match_equal(const struct match *m, const uint8_t *p, uint32_t length)
{
	switch (m->kind) {
	case MATCH_UNSIGNED:
	case MATCH_SIGNED:
		return same_number(m, p, length);
	case MATCH_REAL:
		return same_real(m, p, length);
	case MATCH_MICRO:
		return length == 8 &&
		       ntp_to_ns(wire_get64(p)) / 1000 == m->value;
	case MATCH_NANO:
		return length == 8 && ntp_to_ns(wire_get64(p)) == m->value;
	case MATCH_OCTETS:
		break;
	}
	if (length != m->length)
		return false;
	return m->prefix >= 0 ? same_prefix(m, p)
			      : memcmp(p, m->octets, length) == 0;
}

uint16_t
match_write(const struct match *m, const struct ie *ie, uint8_t *p)
{
	uint64_t value = m->value;
	float real = (float)m->real;
	uint32_t octets;

	switch (m->kind) {
	case MATCH_OCTETS:
		memcpy(p, m->octets, m->length);
		return m->length;
	case MATCH_REAL:
		if (ie->length == 4) {
			memcpy(&octets, &real, sizeof(octets));
			value = octets;
		} else {
			memcpy(&value, &m->real, sizeof(value));
		}
		break;
	case MATCH_MICRO:
		value = ntp_from_ns_micro(value * 1000);
		break;
	case MATCH_NANO:
		value = ntp_from_ns(value);
		break;
	case MATCH_UNSIGNED:
	case MATCH_SIGNED:
		break;
	}
	wire_put_uint(p, value, ie->length);
	return ie->length;
}
