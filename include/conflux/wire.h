/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing network byte order. A reader or writer that meets its
 * end becomes "failed" and stays so: every later call returns zeros or writes
 * nothing, so a parser checks once, at its end, instead of at each field.
 * Neither owns its buffer.
 */
#ifndef CONFLUX_WIRE_H
#define CONFLUX_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t
wire_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
wire_get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint64_t
wire_get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

/*
 * An unsigned integer of 1 to 8 octets (reduced-size, RFC 7011 6.2). 4 to 8
 * are two loads of 4, where they overlap they agree. 0 octets make 0, of more
 * than 8 the last 8 count.
 */
static inline uint64_t
wire_get_uint(const uint8_t *p, unsigned length)
{
	uint64_t v = 0;

	if (length >= 4 && length <= 8)
		return (uint64_t)wire_get32(p) << (length - 4) * 8 |
		       wire_get32(p + length - 4);
	for (unsigned i = 0; i < length; i++)
		v = v << 8 | p[i];
	return v;
}

static inline void
wire_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
wire_put32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void
wire_put64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

/* The low length octets of v, 1 to 8. */
static inline void
wire_put_uint(uint8_t *p, uint64_t v, unsigned length)
{
	if (length >= 4 && length <= 8) {
		wire_put32(p, (uint32_t)(v >> (length - 4) * 8));
		wire_put32(p + length - 4, (uint32_t)v);
		return;
	}
	for (unsigned i = length; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
}

struct reader {
	const uint8_t *p;
	const uint8_t *end;
	bool failed;
};

static inline void
reader_init(struct reader *r, const void *data, size_t length)
{
	r->p = data;
	r->end = r->p + length;
	r->failed = false;
}

static inline size_t
reader_left(const struct reader *r)
{
	return (size_t)(r->end - r->p);
}

/* Returns the next length octets and steps over them, or NULL at the end. */
static inline const uint8_t *
reader_take(struct reader *r, size_t length)
{
	const uint8_t *p = r->p;

	if (r->failed || reader_left(r) < length) {
		r->failed = true;
		return NULL;
	}
	r->p += length;
	return p;
}

static inline uint8_t
reader_u8(struct reader *r)
{
	const uint8_t *p = reader_take(r, 1);

	return p ? *p : 0;
}

static inline uint16_t
reader_u16(struct reader *r)
{
	const uint8_t *p = reader_take(r, 2);

	return p ? wire_get16(p) : 0;
}

static inline uint32_t
reader_u32(struct reader *r)
{
	const uint8_t *p = reader_take(r, 4);

	return p ? wire_get32(p) : 0;
}

static inline uint64_t
reader_u64(struct reader *r)
{
	const uint8_t *p = reader_take(r, 8);

	return p ? wire_get64(p) : 0;
}

/*
 * The length prefix of a variable-length field (RFC 7011 section 7): one octet,
 * or 255 and two. Returns the length; the content follows.
 */
static inline size_t
reader_varlen(struct reader *r)
{
	size_t length = reader_u8(r);

	return length < 255 ? length : reader_u16(r);
}

struct writer {
	uint8_t *p;
	uint8_t *end;
	bool failed;
};

static inline void
writer_init(struct writer *w, void *data, size_t size)
{
	w->p = data;
	w->end = w->p + size;
	w->failed = false;
}

static inline size_t
writer_room(const struct writer *w)
{
	return (size_t)(w->end - w->p);
}

/* Returns room for length octets and steps over them, or NULL. */
static inline uint8_t *
writer_take(struct writer *w, size_t length)
{
	uint8_t *p = w->p;

	if (w->failed || writer_room(w) < length) {
		w->failed = true;
		return NULL;
	}
	w->p += length;
	return p;
}

/* Is there room for length octets? If not, the writer has failed. */
static inline bool
writer_fits(struct writer *w, size_t length)
{
	if (w->failed || writer_room(w) < length)
		w->failed = true;
	return !w->failed;
}

static inline void
writer_u8(struct writer *w, uint8_t v)
{
	if (writer_fits(w, 1))
		*w->p++ = v;
}

static inline void
writer_u16(struct writer *w, uint16_t v)
{
	if (writer_fits(w, 2)) {
		wire_put16(w->p, v);
		w->p += 2;
	}
}

static inline void
writer_u32(struct writer *w, uint32_t v)
{
	if (writer_fits(w, 4)) {
		wire_put32(w->p, v);
		w->p += 4;
	}
}

static inline void
writer_u64(struct writer *w, uint64_t v)
{
	if (writer_fits(w, 8)) {
		wire_put64(w->p, v);
		w->p += 8;
	}
}

static inline void
writer_bytes(struct writer *w, const void *data, size_t length)
{
	uint8_t *p = writer_take(w, length);

	if (p && length)
		memcpy(p, data, length);
}

/* A variable-length field: the shorter prefix that fits, then the content. */
static inline void
writer_varlen(struct writer *w, const void *data, size_t length)
{
	if (length < 255) {
		writer_u8(w, (uint8_t)length);
	} else {
		writer_u8(w, 255);
		writer_u16(w, (uint16_t)length);
	}
	writer_bytes(w, data, length);
}

#endif
