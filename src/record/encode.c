/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The encoding half of projections: rows to Data Records. Records of constant
 * length are made operation by operation, like in decode.c; with a
 * variable-length field in it a record is made as a whole.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/projection.h"
#include "conflux/wire.h"
#include "conflux/ntp.h"

/* The largest record that a message has room for (RFC 7011 section 3). */
enum { RECORD_MAX = 65535 - 16 - 4 };

struct encoder {
	const struct shape *shape;
	const struct var_store *strings;
	unsigned count;
	struct slot slot[];
};

enum slot_kind
slot_kind_of(const struct ie *ie, bool calculated)
{
	if (ie_is_time(ie))
		return SLOT_TIME;
	if (ie->type == IE_OCTET_ARRAY || ie->type == IE_STRING ||
	    (ie->type >= IE_BASIC_LIST &&
	     ie->type <= IE_SUB_TEMPLATE_MULTI_LIST) ||
	    (ie_type_length(ie->type) > 16 && ie->type != IE_UNSIGNED256))
		return SLOT_VAR;
	return calculated && ie->type >= IE_UNSIGNED8 && ie->type <= IE_SIGNED64
		       ? SLOT_UINT
		       : SLOT_BYTES;
}

uint16_t
slot_width_of(const struct ie *ie, enum slot_kind kind)
{
	switch (kind) {
	case SLOT_UINT:
	case SLOT_TIME:
		return 8;
	case SLOT_VAR:
		return 4;
	default:
		return ie_type_length(ie->type);
	}
}

int
encoder_new(const struct slot *slots, unsigned count,
	    const struct var_store *strings, struct shape_table *shapes,
	    struct encoder **out)
{
	struct encoder *encoder =
		calloc(1, sizeof(*encoder) + count * sizeof(*slots));
	struct field *fields = calloc(count, sizeof(*fields));
	struct field_mark *marks = calloc(count, sizeof(*marks));
	int err = -ENOMEM;

	if (!encoder || !fields || !marks)
		goto fail;
	for (unsigned i = 0; i < count; i++) {
		encoder->slot[i] = slots[i];
		fields[i].ie = slots[i].ie;
		fields[i].length = slots[i].wire_length;
		marks[i] = slots[i].mark;
	}
	encoder->count = count;
	encoder->strings = strings;
	err = shape_get_marked(shapes, fields, marks, (uint16_t)count, 0,
			       &encoder->shape);
	if (err)
		goto fail;
	free(fields);
	free(marks);
	*out = encoder;
	return 0;
fail:
	free(fields);
	free(marks);
	free(encoder);
	return err;
}

void
encoder_free(struct encoder *encoder)
{
	if (!encoder)
		return;
	shape_release(encoder->shape);
	free(encoder);
}

const struct shape *
encoder_shape(const struct encoder *encoder)
{
	return encoder->shape;
}

static inline uint64_t
load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The greatest number of that many octets stands for all that are greater. */
static inline uint64_t
saturated(uint64_t v, uint16_t length)
{
	uint64_t most =
		length >= 8 ? UINT64_MAX : ((uint64_t)1 << 8 * length) - 1;

	return v > most ? most : v;
}

static void
put_time(uint8_t *d, const struct slot *slot, uint64_t ns)
{
	switch (slot->ie->type) {
	case IE_DATE_TIME_SECONDS:
		wire_put32(d, (uint32_t)saturated(ns / NSEC_PER_SEC, 4));
		break;
	case IE_DATE_TIME_MILLISECONDS:
		wire_put64(d, ns / 1000000);
		break;
	case IE_DATE_TIME_MICROSECONDS:
		wire_put64(d, ntp_from_ns_micro(ns));
		break;
	default:
		wire_put64(d, ntp_from_ns(ns));
		break;
	}
}

static bool
signed_type(const struct ie *ie)
{
	return ie->type >= IE_SIGNED8 && ie->type <= IE_SIGNED64;
}

/* An integer kept in network byte order, to a narrower field. */
static void
put_narrow(uint8_t *d, const struct slot *slot, const uint8_t *s)
{
	uint16_t skip = (uint16_t)(slot->width - slot->wire_length);

	/* Of flags those that there is no room for are left out. */
	if (!signed_type(slot->ie) && slot->ie->semantics != IE_FLAGS) {
		wire_put_uint(d,
			      saturated(wire_get_uint(s, slot->width),
					slot->wire_length),
			      slot->wire_length);
		return;
	}
	memcpy(d, s + skip, slot->wire_length);
}

static void
put_float(uint8_t *d, const uint8_t *s)
{
	uint64_t bits = wire_get64(s);
	uint32_t out;
	double wide;
	float narrow;

	memcpy(&wide, &bits, sizeof(bits));
	narrow = (float)wide;
	memcpy(&out, &narrow, sizeof(out));
	wire_put32(d, out);
}

static void
put_fixed(uint8_t *d, const struct slot *slot, const uint8_t *s)
{
	if (slot->kind == SLOT_TIME)
		put_time(d, slot, load64(s));
	else if (slot->kind == SLOT_UINT)
		wire_put_uint(d,
			      signed_type(slot->ie)
				      ? load64(s)
				      : saturated(load64(s), slot->wire_length),
			      slot->wire_length);
	else if (slot->wire_length == slot->width)
		memcpy(d, s, slot->width);
	else if (slot->ie->type == IE_FLOAT64)
		put_float(d, s);
	else
		put_narrow(d, slot, s);
}

/* One slot of all rows; the common kinds have their own loops. */
static void
column(const struct slot *slot, const uint8_t *const *rows, uint32_t count,
       uint8_t *d, uint32_t stride)
{
	uint16_t at = slot->offset, width = slot->width;

	if (slot->kind == SLOT_UINT && slot->wire_length == 8) {
		for (uint32_t i = 0; i < count; i++, d += stride)
			wire_put64(d, load64(rows[i] + at));
	} else if (slot->kind == SLOT_TIME &&
		   slot->ie->type == IE_DATE_TIME_MILLISECONDS) {
		for (uint32_t i = 0; i < count; i++, d += stride)
			wire_put64(d, load64(rows[i] + at) / 1000000);
	} else if (slot->kind == SLOT_BYTES && slot->wire_length == width &&
		   width == 4) {
		for (uint32_t i = 0; i < count; i++, d += stride)
			memcpy(d, rows[i] + at, 4);
	} else if (slot->kind == SLOT_BYTES && slot->wire_length == width &&
		   width == 2) {
		for (uint32_t i = 0; i < count; i++, d += stride)
			memcpy(d, rows[i] + at, 2);
	} else {
		for (uint32_t i = 0; i < count; i++, d += stride)
			put_fixed(d, slot, rows[i] + at);
	}
}

static void
put_var(struct writer *w, const struct encoder *encoder,
	const struct slot *slot, const uint8_t *s)
{
	uint32_t handle, length;
	const uint8_t *data;
	uint8_t *d;

	memcpy(&handle, s, sizeof(handle));
	data = var_data(encoder->strings, handle, &length);
	if (slot->wire_length == IE_VARIABLE) {
		writer_varlen(w, data, length);
		return;
	}
	d = writer_take(w, slot->wire_length);
	if (!d)
		return;
	if (length > slot->wire_length)
		length = slot->wire_length;
	memcpy(d, data, length);
	memset(d + length, 0, slot->wire_length - length);
}

static uint32_t
encode_variable(const struct encoder *encoder, const uint8_t *const *rows,
		uint32_t count, uint8_t *buffer, uint32_t *offset)
{
	struct writer w;
	uint32_t done;

	writer_init(&w, buffer, ENCODER_BUFFER);
	for (done = 0; done < count; done++) {
		offset[done] = (uint32_t)(w.p - buffer);
		for (unsigned i = 0; i < encoder->count; i++) {
			const struct slot *slot = &encoder->slot[i];
			const uint8_t *s = rows[done] + slot->offset;
			uint8_t *d;

			if (slot->kind == SLOT_VAR) {
				put_var(&w, encoder, slot, s);
				continue;
			}
			d = writer_take(&w, slot->wire_length);
			if (d)
				put_fixed(d, slot, s);
		}
		if (w.failed || w.p - buffer - offset[done] > RECORD_MAX)
			break;
	}
	if (!w.failed && done == count)
		offset[done] = (uint32_t)(w.p - buffer);
	return done;
}

uint32_t
encoder_run(const struct encoder *encoder, const uint8_t *const *rows,
	    uint32_t count, uint8_t *buffer, uint32_t *offset,
	    struct batch *batch)
{
	const struct shape *shape = encoder->shape;
	uint32_t done = count < BATCH_MAX ? count : BATCH_MAX;
	bool has_var = false;

	for (unsigned i = 0; i < encoder->count; i++)
		has_var |= encoder->slot[i].kind == SLOT_VAR;
	batch->shape = shape;
	batch->base = buffer;
	if (has_var) {
		done = encode_variable(encoder, rows, done, buffer, offset);
		batch->stride = 0;
		batch->offset = offset;
		batch->count = done;
		return done;
	}
	if (done > ENCODER_BUFFER / shape->min_length)
		done = ENCODER_BUFFER / shape->min_length;
	for (unsigned i = 0; i < encoder->count; i++)
		column(&encoder->slot[i], rows, done,
		       buffer + shape->field[i].offset, shape->min_length);
	batch->stride = shape->min_length;
	batch->offset = NULL;
	batch->count = done;
	return done;
}
