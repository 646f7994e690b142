/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 2720 says of a package that its values are "contained within a
 * BER-encoded sequence" and leaves open how each is tagged. We write the tags
 * of the columns' SYNTAX (INTEGER, OCTET STRING, TimeTicks, Counter64) and read
 * whatever can mean the same: any integer-like tag as an unsigned number of up
 * to 64 bits (with the leading zero octet that makes nine), IpAddress as
 * octets, NULL or an empty string as "no value", any of them inside an Opaque,
 * lengths in short or long form. Bounds are strict: a length must lie inside
 * what encloses it, the indefinite form is refused, and the number of values
 * must be the one asked.
 */
#include "ber.h"

#include <errno.h>
#include <stdbool.h>

enum {
	BER_LONG_FORM = 0x80,
	/* Net-SNMP's way to put a Counter64 or 64-bit integer into Opaque. */
	BER_EXTENSION = 0x9f,
	BER_EXTENSION_COUNTER64 = 0x76,
	BER_EXTENSION_INTEGER64 = 0x7a,
	BER_EXTENSION_UNSIGNED64 = 0x7b,
};

/* Reads a definite length of at most four octets that fits what is left. */
static size_t
read_length(struct reader *r)
{
	size_t length = reader_u8(r);
	unsigned octets;

	if (length >= BER_LONG_FORM) {
		const uint8_t *p;

		octets = length & ~(unsigned)BER_LONG_FORM;
		p = octets <= 4 ? reader_take(r, octets) : NULL;
		length = p ? wire_get_uint(p, octets) : 0;
		/* No octets is the indefinite form. */
		if (!p || octets == 0)
			r->failed = true;
	}
	if (length > reader_left(r))
		r->failed = true;
	return r->failed ? 0 : length;
}

static int
decode_number(struct ber_value *value, const uint8_t *p, size_t length)
{
	if (length == 9 && p[0] == 0) {
		p++;
		length--;
	}
	if (length < 1 || length > 8)
		return -EBADMSG;
	value->kind = BER_KIND_NUMBER;
	value->number = wire_get_uint(p, (unsigned)length);
	return 0;
}

static int
decode_octets(struct ber_value *value, const uint8_t *p, size_t length)
{
	if (length > UINT16_MAX)
		return -EBADMSG;
	if (length == 0)
		return 0;
	value->kind = BER_KIND_OCTETS;
	value->octets = p;
	value->length = (uint16_t)length;
	return 0;
}

static int
read_value(struct reader *r, struct ber_value *value, bool wrapped)
{
	struct reader inner;
	const uint8_t *p;
	size_t length;

	*value = (struct ber_value){.tag = reader_u8(r)};
	if (wrapped && value->tag == BER_EXTENSION) {
		uint8_t extension = reader_u8(r);

		if (extension != BER_EXTENSION_COUNTER64 &&
		    extension != BER_EXTENSION_INTEGER64 &&
		    extension != BER_EXTENSION_UNSIGNED64)
			return -EBADMSG;
		value->tag = BER_COUNTER64;
	}
	length = read_length(r);
	p = reader_take(r, length);
	if (!p)
		return -EBADMSG;
	switch (value->tag) {
	case BER_INTEGER:
	case BER_COUNTER32:
	case BER_GAUGE32:
	case BER_TIME_TICKS:
	case BER_COUNTER64:
	case BER_UINTEGER32:
		return decode_number(value, p, length);
	case BER_OCTET_STRING:
	case BER_IP_ADDRESS:
		return decode_octets(value, p, length);
	case BER_NULL:
		return length ? -EBADMSG : 0;
	case BER_OPAQUE:
		if (wrapped)
			return -EBADMSG;
		reader_init(&inner, p, length);
		if (read_value(&inner, value, true) || reader_left(&inner))
			return -EBADMSG;
		return 0;
	default:
		return -EBADMSG;
	}
}

int
ber_read_package(const void *data, size_t length, struct ber_value *value,
		 unsigned count)
{
	struct reader r;

	if (count == 0 || count > BER_PACKAGE_MAX)
		return -EINVAL;
	reader_init(&r, data, length);
	if (reader_u8(&r) != BER_SEQUENCE)
		return -EBADMSG;
	length = read_length(&r);
	if (r.failed || length != reader_left(&r))
		return -EBADMSG;
	for (unsigned i = 0; i < count; i++)
		if (read_value(&r, &value[i], false))
			return -EBADMSG;
	return reader_left(&r) ? -EBADMSG : 0;
}

/* Values start behind room for the longest header, which is written last. */
void
ber_package_begin(struct writer *w, void *buffer, size_t size)
{
	writer_init(w, buffer, size);
	writer_take(w, BER_HEADER_MAX);
}

static void
put_header(struct writer *w, uint8_t tag, size_t length)
{
	writer_u8(w, tag);
	if (length > 0xff) {
		writer_u8(w, BER_LONG_FORM | 2);
		writer_u16(w, (uint16_t)length);
	} else {
		if (length >= BER_LONG_FORM)
			writer_u8(w, BER_LONG_FORM | 1);
		writer_u8(w, (uint8_t)length);
	}
}

void
ber_put_number(struct writer *w, uint8_t tag, uint64_t number)
{
	unsigned length = 1;

	/* The top bit is the sign: a ninth octet keeps 2^64 - 1 positive. */
	while (length < 9 && number >> (8 * length - 1))
		length++;
	writer_u8(w, tag);
	writer_u8(w, (uint8_t)length);
	if (length == 9) {
		writer_u8(w, 0);
		length--;
	}
	for (unsigned i = length; i-- > 0;)
		writer_u8(w, (uint8_t)(number >> 8 * i));
}

void
ber_put_octets(struct writer *w, const void *octets, size_t length)
{
	if (length > UINT16_MAX) {
		w->failed = true;
		return;
	}
	put_header(w, BER_OCTET_STRING, length);
	writer_bytes(w, octets, length);
}

int
ber_package_end(struct writer *w, void *buffer, const uint8_t **package,
		size_t *length)
{
	uint8_t header[BER_HEADER_MAX];
	uint8_t *start = (uint8_t *)buffer + BER_HEADER_MAX;
	struct writer h;
	size_t size, content;

	if (w->failed)
		return -ENOSPC;
	content = (size_t)(w->p - start);
	if (content > UINT16_MAX)
		return -ENOSPC;
	writer_init(&h, header, sizeof(header));
	put_header(&h, BER_SEQUENCE, content);
	size = (size_t)(h.p - header);
	memcpy(start - size, header, size);
	*package = start - size;
	*length = size + content;
	return 0;
}
