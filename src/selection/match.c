/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Property match filtering: values as people write them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/addr.h"
#include "conflux/ie.h"
#include "conflux/wire.h"
#include "internal.h"

/* Decimal, hexadecimal with 0x, or negative. */
static int
parse_number(struct match *m, const char *text)
{
	char *end;

	errno = 0;
	m->number = true;
	if (text[0] == '-')
		m->value = (uint64_t)strtoll(text, &end, 0);
	else
		m->value = strtoull(text, &end, 0);
	return errno || end == text || *end ? -EINVAL : 0;
}

/* An address, with or without the length of a prefix. */
static int
parse_address(struct match *m, const char *text, uint8_t version)
{
	const char *slash = strchr(text, '/');
	char copy[64];
	struct addr addr;
	long bits;
	char *end;

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
	bits = strtol(slash + 1, &end, 10);
	if (end == slash + 1 || *end || bits < 0 || bits > m->length * 8)
		return -EINVAL;
	m->prefix = (int)bits;
	return 0;
}

static int
parse_mac(struct match *m, const char *text)
{
	unsigned v[6];
	int used = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &v[0], &v[1], &v[2],
		   &v[3], &v[4], &v[5], &used) != 6 ||
	    text[used])
		return -EINVAL;
	m->length = 6;
	for (int i = 0; i < 6; i++)
		m->octets[i] = (uint8_t)v[i];
	return 0;
}

/* 0x and two digits an octet. */
static int
parse_octets(struct match *m, const char *text)
{
	unsigned v;

	if (strncmp(text, "0x", 2) != 0)
		return -EINVAL;
	for (text += 2; text[0] && text[1]; text += 2) {
		if (m->length == VALUE_MAX || sscanf(text, "%2x", &v) != 1)
			return -EINVAL;
		m->octets[m->length++] = (uint8_t)v;
	}
	return *text ? -EINVAL : 0;
}

static int
parse_boolean(struct match *m, const char *text)
{
	m->number = true;
	m->value = strcmp(text, "true") == 0 || strcmp(text, "1") == 0 ? 1 : 2;
	return m->value == 1 || strcmp(text, "false") == 0 ||
			       strcmp(text, "0") == 0
		       ? 0
		       : -EINVAL;
}

int
match_parse(struct match *m, const struct ie *ie, const char *text)
{
	*m = (struct match){.prefix = -1};
	if (!text)
		return -EINVAL;
	switch (ie->type) {
	case IE_UNSIGNED8:
	case IE_UNSIGNED16:
	case IE_UNSIGNED32:
	case IE_UNSIGNED64:
	case IE_SIGNED8:
	case IE_SIGNED16:
	case IE_SIGNED32:
	case IE_SIGNED64:
	case IE_DATE_TIME_SECONDS:
	case IE_DATE_TIME_MILLISECONDS:
		return parse_number(m, text);
	case IE_BOOLEAN:
		return parse_boolean(m, text);
	case IE_IPV4_ADDRESS:
		return parse_address(m, text, 4);
	case IE_IPV6_ADDRESS:
		return parse_address(m, text, 6);
	case IE_MAC_ADDRESS:
		return parse_mac(m, text);
	case IE_STRING:
		if (strlen(text) > VALUE_MAX)
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
	unsigned whole = (unsigned)m->prefix / 8, rest = (unsigned)m->prefix % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	return memcmp(p, m->octets, whole) == 0 &&
	       (rest == 0 || ((p[whole] ^ m->octets[whole]) & mask) == 0);
}

/* Signed numbers are compared in as many octets as the field has. */
bool
match_equal(const struct match *m, const uint8_t *p, uint32_t length)
{
	uint64_t mask;

	if (m->number) {
		if (length == 0 || length > 8)
			return false;
		mask = length == 8 ? UINT64_MAX
				   : ((uint64_t)1 << 8 * length) - 1;
		return wire_get_uint(p, length) == (m->value & mask) &&
		       ((m->value & ~mask) == 0 || (m->value | mask) ==
							   UINT64_MAX);
	}
	if (length != m->length)
		return false;
	return m->prefix >= 0 ? same_prefix(m, p)
			      : memcmp(p, m->octets, length) == 0;
}
