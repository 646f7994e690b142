/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoding half of projections. A decoder is a list of operations; each is
 * run over all records of the batch before the next one, so its widths and
 * distances are constants of a short loop. A shape with variable-length fields
 * gets one pass first that notes where the wanted fields start.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/projection.h"
#include "conflux/wire.h"
#include "conflux/ntp.h"

enum op_code {
	OP_COPY,
	OP_EXTEND, /* an integer to another width */
	OP_FLOAT,  /* float32 to float64 */
	OP_MASK,
	OP_UINT,
	OP_SINT,
	OP_SECONDS,
	OP_MILLISECONDS,
	OP_NTP,
	OP_NTP_MICRO,
	OP_DELTA,	 /* microseconds before the Export Time */
	OP_UPTIME,	 /* milliseconds since the scope's init time */
	OP_UPTIME_FIELD, /* since that of the record */
	OP_DURATION,	 /* moves the time in the slot */
	OP_CONSTANT,
	OP_SCOPE,
	OP_VAR,
};

enum { WALK_RECORD = 0xffff, WALKS_MAX = 160 };

struct op {
	uint8_t code;
	bool sign;
	uint16_t walk;	/* which walked field src counts from */
	uint16_t walk2; /* the same of src2 */
	uint16_t src;	/* octets from there */
	uint16_t src2;
	uint16_t dst;
	uint16_t length;   /* on the wire */
	uint16_t width;	   /* in the row */
	uint16_t element;  /* SCOPE; DURATION: that of the duration */
	uint8_t kind;	   /* of the slot */
	uint8_t bytes[16]; /* MASK, CONSTANT */
};

struct walk {
	uint16_t field;
	uint32_t start[BATCH_MAX];  /* of the content, from batch->base */
	uint16_t length[BATCH_MAX]; /* of the content */
};

struct decoder {
	const struct shape *shape;
	struct var_store *strings;
	unsigned count, size;
	struct op *op;
	unsigned walk_count;
	struct walk *walk;
	bool has_var;
};

int
decoder_new(const struct shape *shape, struct var_store *strings,
	    struct decoder **out)
{
	struct decoder *decoder = calloc(1, sizeof(*decoder));

	if (!decoder)
		return -ENOMEM;
	decoder->shape = shape_hold(shape);
	decoder->strings = strings;
	*out = decoder;
	return 0;
}

void
decoder_free(struct decoder *decoder)
{
	if (!decoder)
		return;
	shape_release(decoder->shape);
	free(decoder->op);
	free(decoder->walk);
	free(decoder);
}

static struct op *
op_new(struct decoder *decoder, enum op_code code, const struct slot *slot)
{
	struct op *op;

	if (decoder->count == decoder->size) {
		unsigned size = decoder->size ? decoder->size * 2 : 16;

		op = realloc(decoder->op, size * sizeof(*op));
		if (!op)
			return NULL;
		decoder->op = op;
		decoder->size = size;
	}
	op = &decoder->op[decoder->count++];
	*op = (struct op){
		.code = (uint8_t)code,
		.walk = WALK_RECORD,
		.dst = slot->offset,
		.width = slot->width,
		.kind = slot->kind,
	};
	return op;
}

/* Where a field starts: behind the record's start, or a walked field. */
static int
locate(struct decoder *decoder, uint16_t field, uint16_t *walk, uint16_t *src)
{
	const struct field *f = &decoder->shape->field[field];
	struct walk *list;

	if (f->offset != FIELD_NO_OFFSET && f->length != IE_VARIABLE) {
		*walk = WALK_RECORD;
		*src = f->offset;
		return 0;
	}
	*src = 0;
	for (unsigned i = 0; i < decoder->walk_count; i++)
		if (decoder->walk[i].field == field) {
			*walk = (uint16_t)i;
			return 0;
		}
	if (decoder->walk_count == WALKS_MAX)
		return -ENOSPC;
	list = realloc(decoder->walk,
		       (decoder->walk_count + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	decoder->walk = list;
	list[decoder->walk_count].field = field;
	*walk = (uint16_t)decoder->walk_count++;
	return 0;
}

static bool
is_signed(const struct ie *ie)
{
	return ie->type >= IE_SIGNED8 && ie->type <= IE_SIGNED64;
}

static enum op_code
time_code(const struct ie *ie, const struct source *source)
{
	switch (ie->type) {
	case IE_DATE_TIME_SECONDS:
		return OP_SECONDS;
	case IE_DATE_TIME_MILLISECONDS:
		return OP_MILLISECONDS;
	case IE_DATE_TIME_MICROSECONDS:
		return OP_NTP_MICRO;
	case IE_DATE_TIME_NANOSECONDS:
		return OP_NTP;
	default:
		if (ie->id == IE_flowStartDeltaMicroseconds ||
		    ie->id == IE_flowEndDeltaMicroseconds)
			return OP_DELTA;
		return source->init == SOURCE_NO_FIELD ? OP_UPTIME
						       : OP_UPTIME_FIELD;
	}
}

static enum op_code
field_code(const struct slot *slot, const struct field *field,
	   const struct source *source)
{
	switch (slot->kind) {
	case SLOT_TIME:
		return time_code(field->ie, source);
	case SLOT_UINT:
		return is_signed(field->ie) ? OP_SINT : OP_UINT;
	case SLOT_VAR:
		return OP_VAR;
	default:
		if (field->length == slot->width)
			return OP_COPY;
		if (field->ie->type == IE_FLOAT32 ||
		    field->ie->type == IE_FLOAT64)
			return OP_FLOAT;
		return OP_EXTEND;
	}
}

/* The last operation, if this copy is just its continuation. */
static struct op *
fusible(struct decoder *decoder, const struct slot *slot, uint16_t walk,
	uint16_t src)
{
	struct op *op =
		decoder->count ? &decoder->op[decoder->count - 1] : NULL;

	if (!op || op->code != OP_COPY || op->walk != walk ||
	    op->src + op->length != src || op->dst + op->length != slot->offset)
		return NULL;
	return op;
}

static int
add_mask(struct decoder *decoder, const struct slot *slot)
{
	struct op *op;

	if (slot->prefix_length < 0 || slot->prefix_length >= slot->width * 8 ||
	    slot->width > sizeof(op->bytes))
		return 0;
	op = op_new(decoder, OP_MASK, slot);
	if (!op)
		return -ENOMEM;
	for (int bit = 0; bit < slot->prefix_length; bit++)
		op->bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return 0;
}

static int
add_field(struct decoder *decoder, const struct slot *slot,
	  const struct source *source)
{
	const struct field *field = &decoder->shape->field[source->field];
	enum op_code code = field_code(slot, field, source);
	uint16_t walk, src;
	struct op *op;
	int err = locate(decoder, source->field, &walk, &src);

	if (err)
		return err;
	op = code == OP_COPY ? fusible(decoder, slot, walk, src) : NULL;
	if (op) {
		op->length += field->length;
	} else {
		op = op_new(decoder, code, slot);
		if (!op)
			return -ENOMEM;
		op->walk = walk;
		op->src = src;
		op->length = field->length;
		op->sign = is_signed(field->ie);
	}
	if (code == OP_VAR)
		decoder->has_var = true;
	if (code == OP_UPTIME_FIELD) {
		err = locate(decoder, source->init, &walk, &src);
		if (err)
			return err;
		op->walk2 = walk;
		op->src2 = src;
	}
	return slot->kind == SLOT_BYTES ? add_mask(decoder, slot) : 0;
}

static bool
is_start(const struct ie *ie)
{
	return ie->id == IE_flowStartSeconds ||
	       ie->id == IE_flowStartMilliseconds ||
	       ie->id == IE_flowStartMicroseconds ||
	       ie->id == IE_flowStartNanoseconds;
}

static int
add_duration(struct decoder *decoder, const struct slot *slot,
	     const struct source *source)
{
	const struct field *field = &decoder->shape->field[source->duration];
	struct op *op;
	uint16_t walk, src;
	int err = add_field(decoder, slot, source);

	if (err)
		return err;
	err = locate(decoder, source->duration, &walk, &src);
	if (err)
		return err;
	op = op_new(decoder, OP_DURATION, slot);
	if (!op)
		return -ENOMEM;
	op->walk = walk;
	op->src = src;
	op->length = field->length;
	op->element = field->ie->id;
	op->sign = is_start(slot->ie); /* backwards */
	return 0;
}

int
decoder_add(struct decoder *decoder, const struct slot *slot,
	    const struct source *source)
{
	struct op *op;

	switch (source->kind) {
	case SOURCE_NONE:
		return -ENOENT;
	case SOURCE_FIELD:
		return add_field(decoder, slot, source);
	case SOURCE_DURATION:
		return add_duration(decoder, slot, source);
	case SOURCE_CONSTANT:
		op = op_new(decoder, OP_CONSTANT, slot);
		if (!op)
			return -ENOMEM;
		if (slot->kind == SLOT_BYTES)
			wire_put_uint(op->bytes, source->constant, slot->width);
		else
			memcpy(op->bytes, &source->constant, 8);
		return 0;
	case SOURCE_SCOPE:
		op = op_new(decoder, OP_SCOPE, slot);
		if (!op)
			return -ENOMEM;
		op->element = source->element;
		return slot->kind == SLOT_BYTES ? add_mask(decoder, slot) : 0;
	}
	return -EINVAL;
}

static int
walk_compare(const void *a, const void *b)
{
	return ((const struct walk *)a)->field -
	       ((const struct walk *)b)->field;
}

int
decoder_finish(struct decoder *decoder)
{
	struct walk *walk = decoder->walk;

	/* The walk goes through the fields in order; operations follow. */
	for (unsigned i = 0; i < decoder->count; i++) {
		struct op *op = &decoder->op[i];

		if (op->walk != WALK_RECORD)
			op->walk = walk[op->walk].field;
		if (op->code == OP_UPTIME_FIELD && op->walk2 != WALK_RECORD)
			op->walk2 = walk[op->walk2].field;
	}
	if (walk)
		qsort(walk, decoder->walk_count, sizeof(*walk), walk_compare);
	for (unsigned i = 0; i < decoder->count; i++) {
		struct op *op = &decoder->op[i];

		for (unsigned w = 0; w < decoder->walk_count; w++) {
			if (op->walk == walk[w].field) {
				op->walk = (uint16_t)w;
				break;
			}
		}
		for (unsigned w = 0; w < decoder->walk_count; w++) {
			if (op->code == OP_UPTIME_FIELD &&
			    op->walk2 == walk[w].field) {
				op->walk2 = (uint16_t)w;
				break;
			}
		}
	}
	return 0;
}

/* ---- running ------------------------------------------------------------ */

/* Notes start and length of the wanted fields of all records. */
static void
walk_records(struct decoder *decoder, const struct batch *batch)
{
	const struct shape *shape = decoder->shape;
	uint16_t last = decoder->walk[decoder->walk_count - 1].field;

	for (uint32_t i = 0; i < batch->count; i++) {
		uint32_t at =
			batch->stride ? i * batch->stride : batch->offset[i];
		struct walk *walk = decoder->walk;

		for (uint16_t f = 0; f <= last; f++) {
			uint32_t length = shape->field[f].length;

			if (length == IE_VARIABLE) {
				length = batch->base[at++];
				if (length == 255) {
					length = wire_get16(batch->base + at);
					at += 2;
				}
			}
			if (walk->field == f) {
				walk->start[i] = at;
				walk->length[i] = (uint16_t)length;
				walk++;
			}
			at += length;
		}
	}
}

struct run {
	struct decoder *decoder;
	const struct batch *batch;
	uint8_t *rows;
	uint32_t row_stride;
	uint8_t *bad;
};

/*
 * The loop of an operation: s is where the field of a record starts, d is the
 * slot. Records of constant size are stepped through; else starts tells.
 */
#define EACH_RECORD(run, op, body)                                           \
	do {                                                                 \
		const struct batch *b_ = (run)->batch;                       \
		const uint32_t *starts_ =                                    \
			(op)->walk == WALK_RECORD                            \
				? b_->offset                                 \
				: (run)->decoder->walk[(op)->walk].start;    \
		const uint8_t *s = b_->base + (op)->src;                     \
		uint8_t *d = (run)->rows + (op)->dst;                        \
		uint32_t n_ = b_->count;                                     \
		if (b_->stride && (op)->walk == WALK_RECORD) {               \
			for (uint32_t i = 0; i < n_;                         \
			     i++, s += b_->stride, d += (run)->row_stride) { \
				body;                                        \
			}                                                    \
		} else {                                                     \
			const uint8_t *base_ = s;                            \
			for (uint32_t i = 0; i < n_;                         \
			     i++, d += (run)->row_stride) {                  \
				s = base_ + starts_[i];                      \
				body;                                        \
			}                                                    \
		}                                                            \
	} while (0)

static inline void
put64(uint8_t *d, uint64_t v)
{
	memcpy(d, &v, sizeof(v));
}

static inline uint64_t
get64(const uint8_t *d)
{
	uint64_t v;

	memcpy(&v, d, sizeof(v));
	return v;
}

static void
run_copy(struct run *run, const struct op *op)
{
	uint16_t length = op->length;

	switch (length) {
	case 1:
		EACH_RECORD(run, op, *d = *s);
		return;
	case 2:
		EACH_RECORD(run, op, memcpy(d, s, 2));
		return;
	case 4:
		EACH_RECORD(run, op, memcpy(d, s, 4));
		return;
	case 8:
		EACH_RECORD(run, op, memcpy(d, s, 8));
		return;
	case 16:
		EACH_RECORD(run, op, memcpy(d, s, 16));
		return;
	default:
		break;
	}
	/* Two overlapping copies of a constant size beat one of any size. */
	if (length < 4)
		EACH_RECORD(run, op, memcpy(d, s, length));
	else if (length < 8)
		EACH_RECORD(run, op, memcpy(d, s, 4);
			    memcpy(d + length - 4, s + length - 4, 4));
	else if (length < 16)
		EACH_RECORD(run, op, memcpy(d, s, 8);
			    memcpy(d + length - 8, s + length - 8, 8));
	else if (length < 32)
		EACH_RECORD(run, op, memcpy(d, s, 16);
			    memcpy(d + length - 16, s + length - 16, 16));
	else
		EACH_RECORD(run, op, memcpy(d, s, length));
}

static void
run_extend(struct run *run, const struct op *op)
{
	uint16_t length = op->length, width = op->width;

	if (length > width) {
		uint16_t skip = (uint16_t)(length - width);

		EACH_RECORD(run, op, memcpy(d, s + skip, width));
		return;
	}
	EACH_RECORD(run, op, {
		memset(d, op->sign && (s[0] & 0x80) ? 0xff : 0,
		       (size_t)(width - length));
		memcpy(d + width - length, s, length);
	});
}

static void
run_float(struct run *run, const struct op *op)
{
	EACH_RECORD(run, op, {
		uint32_t bits = wire_get32(s);
		float narrow;
		double wide;
		uint64_t out;

		memcpy(&narrow, &bits, sizeof(bits));
		wide = (double)narrow;
		memcpy(&out, &wide, sizeof(out));
		wire_put64(d, out);
	});
}

static void
run_mask(struct run *run, const struct op *op)
{
	uint8_t *d = run->rows + op->dst;

	for (uint32_t i = 0; i < run->batch->count; i++, d += run->row_stride)
		for (uint16_t k = 0; k < op->width; k++)
			d[k] &= op->bytes[k];
}

static void
run_uint(struct run *run, const struct op *op)
{
	uint16_t length = op->length;

	if (length == 8)
		EACH_RECORD(run, op, put64(d, wire_get64(s)));
	else if (length == 4)
		EACH_RECORD(run, op, put64(d, wire_get32(s)));
	else
		EACH_RECORD(run, op, put64(d, wire_get_uint(s, length)));
}

static void
run_sint(struct run *run, const struct op *op)
{
	uint16_t length = op->length;
	unsigned shift = 64u - 8u * length;

	EACH_RECORD(run, op, {
		uint64_t v = wire_get_uint(s, length) << shift;

		put64(d, (uint64_t)((int64_t)v >> shift));
	});
}

static void
run_time(struct run *run, const struct op *op)
{
	uint64_t export_ns = run->batch->export_ms * 1000000;
	uint64_t init_ms = run->batch->scope->system_init_ms;
	const struct walk *walk = run->decoder->walk;

	switch (op->code) {
	case OP_SECONDS:
		EACH_RECORD(run, op,
			    put64(d, (uint64_t)wire_get32(s) * NSEC_PER_SEC));
		break;
	case OP_MILLISECONDS:
		EACH_RECORD(run, op, put64(d, wire_get64(s) * 1000000));
		break;
	case OP_NTP:
		EACH_RECORD(run, op, put64(d, ntp_to_ns(wire_get64(s))));
		break;
	case OP_NTP_MICRO:
		EACH_RECORD(run, op,
			    put64(d, (ntp_to_ns(wire_get64(s)) + 500) / 1000 *
					     1000));
		break;
	case OP_DELTA:
		EACH_RECORD(run, op,
			    put64(d, export_ns - wire_get_uint(s, op->length) *
							 1000));
		break;
	case OP_UPTIME:
		EACH_RECORD(run, op,
			    put64(d, (init_ms + wire_get_uint(s, op->length)) *
					     1000000));
		break;
	case OP_UPTIME_FIELD:
		EACH_RECORD(run, op, {
			const uint8_t *init = run->batch->base + op->src2;

			if (op->walk2 != WALK_RECORD)
				init += walk[op->walk2].start[i];
			else if (run->batch->stride)
				init += (size_t)i * run->batch->stride;
			else
				init += run->batch->offset[i];
			put64(d, (wire_get64(init) +
				  wire_get_uint(s, op->length)) *
					 1000000);
		});
		break;
	default: /* OP_DURATION */
		EACH_RECORD(run, op, {
			uint64_t ns =
				wire_get_uint(s, op->length) *
				(op->element == IE_flowDurationMicroseconds
					 ? 1000
					 : 1000000);

			put64(d, op->sign ? get64(d) - ns : get64(d) + ns);
		});
		break;
	}
}

static void
run_constant(struct run *run, const struct op *op, const uint8_t *bytes)
{
	uint8_t *d = run->rows + op->dst;

	for (uint32_t i = 0; i < run->batch->count; i++, d += run->row_stride)
		memcpy(d, bytes, op->width);
}

static void
run_scope(struct run *run, const struct op *op)
{
	const struct scope *scope = run->batch->scope;
	const uint8_t *address = NULL;
	uint64_t number = 0;
	uint8_t bytes[16] = {0};
	int fact;

	switch (op->element) {
	case IE_exporterIPv4Address:
	case IE_exporterIPv6Address:
	case IE_originalExporterIPv4Address:
	case IE_originalExporterIPv6Address:
		address = scope->exporter.bytes;
		break;
	case IE_collectorIPv4Address:
	case IE_collectorIPv6Address:
		address = scope->collector.bytes;
		break;
	case IE_exporterTransportPort:
		number = scope->exporter.port;
		break;
	case IE_collectorTransportPort:
		number = scope->collector.port;
		break;
	case IE_collectionTimeMilliseconds:
		number = run->batch->received_ms;
		if (op->kind == SLOT_TIME)
			number *= 1000000;
		break;
	default:
		fact = scope_fact_of(op->element);
		number = fact < 0 ? scope->domain : scope->fact[fact];
		break;
	}
	if (op->kind != SLOT_BYTES)
		memcpy(bytes, &number, sizeof(number));
	else if (address)
		memcpy(bytes, address, op->width <= 16 ? op->width : 16);
	else
		wire_put_uint(bytes, number, op->width <= 16 ? op->width : 16);
	run_constant(run, op, bytes);
}

static uint32_t
run_var(struct run *run, const struct op *op)
{
	const struct walk *walk =
		op->walk == WALK_RECORD ? NULL : &run->decoder->walk[op->walk];
	uint32_t failed = 0;

	EACH_RECORD(run, op, {
		uint32_t length = walk ? walk->length[i] : op->length;
		uint32_t handle;

		if (var_get(run->decoder->strings, s, length, &handle) != 0) {
			failed += !run->bad[i];
			run->bad[i] = 1;
		}
		memcpy(d, &handle, sizeof(handle));
	});
	return failed;
}

uint32_t
decoder_run(struct decoder *decoder, const struct batch *batch, uint8_t *rows,
	    uint32_t stride, uint8_t *bad)
{
	struct run run = {decoder, batch, rows, stride, bad};
	uint32_t failed = 0;

	assert(batch->shape == decoder->shape && batch->count <= BATCH_MAX);
	if (decoder->has_var)
		memset(bad, 0, batch->count);
	if (decoder->walk_count)
		walk_records(decoder, batch);
	for (unsigned i = 0; i < decoder->count; i++) {
		const struct op *op = &decoder->op[i];

		switch (op->code) {
		case OP_COPY:
			run_copy(&run, op);
			break;
		case OP_EXTEND:
			run_extend(&run, op);
			break;
		case OP_FLOAT:
			run_float(&run, op);
			break;
		case OP_MASK:
			run_mask(&run, op);
			break;
		case OP_UINT:
			run_uint(&run, op);
			break;
		case OP_SINT:
			run_sint(&run, op);
			break;
		case OP_CONSTANT:
			run_constant(&run, op, op->bytes);
			break;
		case OP_SCOPE:
			run_scope(&run, op);
			break;
		case OP_VAR:
			failed += run_var(&run, op);
			break;
		default:
			run_time(&run, op);
			break;
		}
	}
	return failed;
}
