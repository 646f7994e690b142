/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Single values for people.
 *
 * RFC 7011 section 6.1 says how each abstract data type stands on the wire,
 * and section 6.2 that integers and floats may be shorter than their type. We
 * print an integer of any length up to 8 octets, and whatever does not fit its
 * type as hexadecimal, so that nothing a peer sends is hidden or believed.
 *
 * This is on the path of a live view of all records, so the common types are
 * written without printf.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format_value.h"
#include "conflux/ntp.h"

enum {
	VALUE_MAX = 64, /* no scalar's text is longer */
	DAY = 86400,
};

/* 9999-12-31T23:59:59Z: later times don't fit ISO 8601 with four digits. */
#define SECONDS_MAX UINT64_C(253402300799)

static char *
put_uint(char *p, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	memcpy(p, digits + at, sizeof(digits) - at);
	return p + sizeof(digits) - at;
}

/* Exactly width digits. */
static char *
put_digits(char *p, uint32_t v, unsigned width)
{
	for (unsigned i = width; i-- > 0; v /= 10)
		p[i] = (char)('0' + v % 10);
	return p + width;
}

static char *
put_ipv4(char *p, const uint8_t *value)
{
	for (unsigned i = 0; i < 4; i++) {
		if (i)
			*p++ = '.';
		p = put_uint(p, value[i]);
	}
	return p;
}

static char *
put_hex16(char *p, uint16_t v)
{
	static const char digit[] = "0123456789abcdef";
	int shift = 12;

	while (shift > 0 && v >> shift == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*p++ = digit[v >> shift & 15];
	return p;
}

/* RFC 5952: the longest run of two or more zero groups, the first of equals. */
static char *
put_ipv6(char *p, const uint8_t *value)
{
	unsigned best = 8, best_count = 1;

	if (memcmp(value, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0) {
		memcpy(p, "::ffff:", 7);
		return put_ipv4(p + 7, value + 12);
	}
	for (unsigned i = 0, count; i < 8; i += count ? count : 1) {
		for (count = 0; i + count < 8; count++)
			if (wire_get16(value + (i + count) * 2))
				break;
		if (count > best_count) {
			best = i;
			best_count = count;
		}
	}
	for (unsigned i = 0; i < 8; i++) {
		if (i == best) {
			*p++ = ':';
			i += best_count - 1;
			if (i == 7)
				*p++ = ':';
			continue;
		}
		if (i)
			*p++ = ':';
		p = put_hex16(p, wire_get16(value + i * 2));
	}
	return p;
}

static char *
put_mac(char *p, const uint8_t *value)
{
	static const char digit[] = "0123456789abcdef";

	for (unsigned i = 0; i < 6; i++) {
		if (i)
			*p++ = ':';
		*p++ = digit[value[i] >> 4];
		*p++ = digit[value[i] & 15];
	}
	return p;
}

/*
 * A day number (0: 1970-01-01) in the Gregorian calendar. Counts in years that
 * begin in March, so that the leap day is the last one of its year.
 */
static char *
put_date(char *p, uint32_t days)
{
	uint32_t day, year, month, z = days + 719468;
	uint32_t era = z / 146097, of_era = z % 146097;

	year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) /
	       365;
	day = of_era - (365 * year + year / 4 - year / 100);
	month = (5 * day + 2) / 153;
	day -= (153 * month + 2) / 5;
	month += month < 10 ? 3 : -9u;
	year += era * 400 + (month <= 2);
	p = put_digits(p, year, 4);
	*p++ = '-';
	p = put_digits(p, month, 2);
	*p++ = '-';
	return put_digits(p, day + 1, 2);
}

/* seconds since 1970, up to SECONDS_MAX. */
static char *
put_time(char *p, uint64_t seconds, uint32_t fraction, unsigned digits)
{
	uint32_t rest = (uint32_t)(seconds % DAY);

	p = put_date(p, (uint32_t)(seconds / DAY));
	*p++ = 'T';
	p = put_digits(p, rest / 3600, 2);
	*p++ = ':';
	p = put_digits(p, rest / 60 % 60, 2);
	*p++ = ':';
	p = put_digits(p, rest % 60, 2);
	if (digits) {
		*p++ = '.';
		p = put_digits(p, fraction, digits);
	}
	*p++ = 'Z';
	return p;
}

/* RFC 7011 6.1.9 and 6.1.10; rounded, because exporters cut the fraction. */
static char *
put_ntp(char *p, const uint8_t *value, unsigned digits)
{
	uint32_t unit = digits == 6 ? 1000 : 1;
	uint64_t v = (ntp_to_ns(wire_get64(value)) + unit / 2) / unit;
	uint64_t second = NSEC_PER_SEC / unit;

	return put_time(p, v / second, (uint32_t)(v % second), digits);
}

/* NULL: not a time of this type. */
static char *
put_date_time(char *p, uint8_t type, const uint8_t *value, uint32_t length)
{
	uint64_t v;

	if (type == IE_DATE_TIME_MICROSECONDS)
		return length == 8 ? put_ntp(p, value, 6) : NULL;
	if (type == IE_DATE_TIME_NANOSECONDS)
		return length == 8 ? put_ntp(p, value, 9) : NULL;
	if (length == 0 || length > 8)
		return NULL;
	v = wire_get_uint(value, length);
	if (type == IE_DATE_TIME_SECONDS)
		return v <= SECONDS_MAX ? put_time(p, v, 0, 0) : NULL;
	if (v / 1000 > SECONDS_MAX)
		return NULL;
	return put_time(p, v / 1000, (uint32_t)(v % 1000), 3);
}

static char *
put_signed(char *p, const uint8_t *value, uint32_t length)
{
	uint64_t v = wire_get_uint(value, length);

	if (value[0] & 0x80) {
		v |= length < 8 ? ~UINT64_C(0) << (length * 8) : 0;
		*p++ = '-';
		v = ~v + 1;
	}
	return put_uint(p, v);
}

/* The shortest decimal number that is read back as the same float. */
static char *
put_float(char *p, double v, bool single)
{
	int n = 0;

	for (int digits = single ? 6 : 15; digits <= 17; digits++) {
		n = snprintf(p, VALUE_MAX, "%.*g", digits, v);
		if (single ? strtof(p, NULL) == (float)v
			   : strtod(p, NULL) == v)
			break;
	}
	return p + n;
}

static void
value_float(struct formatter *f, const uint8_t *value, uint32_t length)
{
	char text[VALUE_MAX];
	const char *name = NULL;
	double v;

	if (length == 4) {
		uint32_t bits = wire_get32(value);
		float single;

		memcpy(&single, &bits, sizeof(single));
		v = single;
	} else if (length == 8) {
		uint64_t bits = wire_get64(value);

		memcpy(&v, &bits, sizeof(v));
	} else {
		format_octets(f, value, length);
		return;
	}
	/* JSON has no number for these. */
	if (isnan(v))
		name = "NaN";
	else if (isinf(v))
		name = v < 0 ? "-Infinity" : "Infinity";
	if (!name) {
		char *end = put_float(text, v, length == 4);

		text_add_bytes(f->out, text, (size_t)(end - text));
	} else if (f->json) {
		text_add_json(f->out, name, strlen(name));
	} else {
		text_add(f->out, name);
	}
}

void
format_octets(struct formatter *f, const uint8_t *value, uint32_t length)
{
	if (f->json)
		text_add_char(f->out, '"');
	text_add_hex(f->out, value, length);
	if (f->json)
		text_add_char(f->out, '"');
}

/*
 * Text has the JSON form without its quotes; control characters stay escaped,
 * so that no peer writes to a terminal.
 */
void
format_string(struct formatter *f, const uint8_t *value, size_t length)
{
	size_t start = f->out->length, to;
	char *p;

	/* A string shorter than its field is filled up with zeros. */
	while (length && value[length - 1] == 0)
		length--;
	text_add_json(f->out, value, length);
	if (f->json || f->out->failed)
		return;
	p = f->out->data;
	to = start;
	for (size_t i = start + 1; i < f->out->length - 1; i++) {
		if (p[i] == '\\' && (p[i + 1] == '"' || p[i + 1] == '\\'))
			i++;
		p[to++] = p[i];
	}
	p[to] = 0;
	f->out->length = to;
}

static void
value_boolean(struct formatter *f, const uint8_t *value, uint32_t length)
{
	/* RFC 7011 6.1.5: 1 is true, 2 is false, nothing else is defined. */
	if (length == 1 && (value[0] == 1 || value[0] == 2))
		text_add(f->out, value[0] == 1 ? "true" : "false");
	else
		format_octets(f, value, length);
}

/* Types whose text needs quotes in JSON. NULL: length or value do not fit. */
static char *
put_quoted(char *p, uint8_t type, const uint8_t *value, uint32_t length)
{
	switch (type) {
	case IE_IPV4_ADDRESS:
		return length == 4 ? put_ipv4(p, value) : NULL;
	case IE_IPV6_ADDRESS:
		return length == 16 ? put_ipv6(p, value) : NULL;
	case IE_MAC_ADDRESS:
		return length == 6 ? put_mac(p, value) : NULL;
	case IE_DATE_TIME_SECONDS:
	case IE_DATE_TIME_MILLISECONDS:
	case IE_DATE_TIME_MICROSECONDS:
	case IE_DATE_TIME_NANOSECONDS:
		return put_date_time(p, type, value, length);
	default:
		return NULL;
	}
}

/* Types that are a number in JSON. NULL likewise. */
static char *
put_number(char *p, uint8_t type, const uint8_t *value, uint32_t length)
{
	if (length == 0 || length > 8)
		return NULL;
	switch (type) {
	case IE_UNSIGNED8:
	case IE_UNSIGNED16:
	case IE_UNSIGNED32:
	case IE_UNSIGNED64:
		return put_uint(p, wire_get_uint(value, length));
	case IE_SIGNED8:
	case IE_SIGNED16:
	case IE_SIGNED32:
	case IE_SIGNED64:
		return put_signed(p, value, length);
	default:
		return NULL;
	}
}

void
format_value(struct formatter *f, const struct ie *ie, const uint8_t *value,
	     uint32_t length)
{
	char text[VALUE_MAX], *end;

	switch (ie->type) {
	case IE_STRING:
		format_string(f, value, length);
		return;
	case IE_BOOLEAN:
		value_boolean(f, value, length);
		return;
	case IE_FLOAT32:
	case IE_FLOAT64:
		value_float(f, value, length);
		return;
	case IE_BASIC_LIST:
	case IE_SUB_TEMPLATE_LIST:
	case IE_SUB_TEMPLATE_MULTI_LIST:
		if (!format_list(f, ie->type, value, length))
			format_octets(f, value, length);
		return;
	}
	end = put_number(text, ie->type, value, length);
	if (end) {
		text_add_bytes(f->out, text, (size_t)(end - text));
		return;
	}
	text[0] = '"';
	end = put_quoted(text + 1, ie->type, value, length);
	if (!end) {
		format_octets(f, value, length);
	} else if (f->json) {
		*end++ = '"';
		text_add_bytes(f->out, text, (size_t)(end - text));
	} else {
		text_add_bytes(f->out, text + 1, (size_t)(end - text - 1));
	}
}

void
format_value_json(struct text *out, const struct ie *ie, const uint8_t *value,
		  uint32_t length)
{
	struct formatter f = {
		.out = out,
		.json = true,
		.budget = FORMAT_BUDGET,
	};

	format_value(&f, ie, value, length);
}

void
format_value_text(struct text *out, const struct ie *ie, const uint8_t *value,
		  uint32_t length)
{
	struct formatter f = {.out = out, .budget = FORMAT_BUDGET};

	format_value(&f, ie, value, length);
}
