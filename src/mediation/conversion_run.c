/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A program over a batch. Where records have a constant length before and
 * behind, each operation goes over its field in all of them; else a record is
 * made at a time. Values that do not fit are written as the nearest one that
 * does, and who asked for it has them lost afterwards.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "columns.h"
#include "conflux/ntp.h"
#include "conflux/wire.h"
#include "conversion.h"

#define INLINE static inline __attribute__((always_inline))
#define NS_PER_MS UINT64_C(1000000)
/* Later than any time in nanoseconds. */
#define BEYOND UINT64_MAX

struct run {
	struct conv_stage *s;
	struct conv_program *p;
	const struct batch *batch;
	const uint8_t *base; /* of the first record, where they have a stride */
	uint32_t count;
	uint64_t export_ns, init_ms;
};

/* ---- values: false if they do not fit ------------------------------------ */

INLINE uint64_t
most_of(uint32_t length)
{
	return length >= 8 ? UINT64_MAX : (UINT64_C(1) << 8 * length) - 1;
}

INLINE bool
put_uint(uint8_t *to, uint64_t v, uint32_t length)
{
	uint64_t most = most_of(length);

	wire_put_uint(to, v < most ? v : most, length);
	return v <= most;
}

INLINE bool
put_sint(uint8_t *to, uint64_t v, uint32_t in, uint32_t length)
{
	unsigned shift = 64 - 8 * in;
	int64_t value = (int64_t)(v << shift) >> shift;
	int64_t most = INT64_MAX >> (64 - 8 * length), fit = value;

	if (fit > most)
		fit = most;
	if (fit < -most - 1)
		fit = -most - 1;
	wire_put_uint(to, (uint64_t)fit, length);
	return fit == value;
}

INLINE bool
put_real(uint8_t *to, const uint8_t *from, uint32_t in)
{
	uint64_t bits;
	uint32_t few;
	double wide;
	float narrow;
	bool fits;

	if (in == 4) {
		few = wire_get32(from);
		memcpy(&narrow, &few, sizeof(few));
		wide = (double)narrow;
		memcpy(&bits, &wide, sizeof(bits));
		wire_put64(to, bits);
		return true;
	}
	bits = wire_get64(from);
	memcpy(&wide, &bits, sizeof(bits));
	fits = !isfinite(wide) || fabs(wide) <= (double)FLT_MAX;
	narrow = fits ? (float)wide : wide < 0 ? -FLT_MAX : FLT_MAX;
	memcpy(&few, &narrow, sizeof(few));
	wire_put32(to, few);
	return fits;
}

/* Octets that fill a field up are no part of its value. */
static uint32_t
content(const uint8_t *from, uint32_t in, uint32_t least)
{
	while (in > least && from[in - 1] == 0)
		in--;
	return in;
}

static bool
put_fixed(const struct conv_op *op, uint8_t *to, const uint8_t *from,
	  uint32_t in)
{
	uint32_t length = content(from, in, op->length);
	bool fits = length <= op->length;

	if (!fits)
		length = op->length;
	/* No half a character at the end. */
	while (!fits && op->text && length && (from[length] & 0xc0) == 0x80)
		length--;
	memcpy(to, from, length);
	memset(to + length, 0, op->length - length);
	return fits;
}

INLINE bool
put_value(enum conv_code code, const struct conv_op *op, uint8_t *to,
	  const uint8_t *from, uint32_t in, uint32_t length)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint64_t v;

	switch (code) {
	case CONV_UINT:
		return put_uint(to, wire_get_uint(from, in), length);
	case CONV_SINT:
		return put_sint(to, wire_get_uint(from, in), in, length);
	case CONV_FLAGS:
		/* Of flags, those that there is room for are the nearest. */
		v = wire_get_uint(from, in);
		wire_put_uint(to, v, length);
		return v <= most_of(length);
	case CONV_REAL:
		return put_real(to, from, in);
	case CONV_FROM_BOOL:
		return put_uint(to, *from == 1, length);
	case CONV_TO_BOOL:
		*to = wire_get_uint(from, in) ? 1 : 2;
		return true;
	case CONV_MAPPED:
		memcpy(to, mapped, sizeof(mapped));
		memcpy(to + sizeof(mapped), from, 4);
		return true;
	default:
		return put_fixed(op, to, from, in);
	}
}

/* ---- times, as nanoseconds since 1970 ------------------------------------ */

INLINE uint64_t
ns_of(uint64_t ms)
{
	return ms < BEYOND / NS_PER_MS ? ms * NS_PER_MS : BEYOND;
}

/* init_ms: of the record or the scope. */
INLINE uint64_t
get_time(enum conv_time read, const struct run *r, const uint8_t *from,
	 uint32_t in, uint64_t init_ms)
{
	uint64_t v;

	switch (read) {
	case CONV_SECONDS:
		return wire_get32(from) * (uint64_t)NSEC_PER_SEC;
	case CONV_MILLISECONDS:
		return ns_of(wire_get64(from));
	case CONV_MICROSECONDS:
		/* The nearest: it was rounded when it became binary. */
		return (ntp_to_ns(wire_get64(from)) + 500) / 1000 * 1000;
	case CONV_NANOSECONDS:
		return ntp_to_ns(wire_get64(from));
	case CONV_DELTA:
		v = wire_get_uint(from, in) * 1000;
		return v <= r->export_ns ? r->export_ns - v : BEYOND;
	default:
		return ns_of(init_ms + wire_get_uint(from, in));
	}
}

/* Both formats count 2^32 seconds, and then again from 0. */
INLINE bool
put_ntp(uint8_t *to, uint64_t ns, bool micro)
{
	uint64_t most = most_of(4) * NSEC_PER_SEC + NSEC_PER_SEC - 1;
	uint64_t fit = ns < most ? ns : most;

	wire_put64(to, micro ? ntp_from_ns_micro(fit) : ntp_from_ns(fit));
	return ns <= most;
}

/* What is more precise is cut off: no time becomes a later one. */
INLINE bool
put_time(enum conv_time write, const struct run *r, uint8_t *to, uint64_t ns,
	 uint32_t length, uint64_t init_ms)
{
	uint64_t ms = ns / NS_PER_MS;

	switch (write) {
	case CONV_SECONDS:
		return put_uint(to, ns / NSEC_PER_SEC, 4);
	case CONV_MILLISECONDS:
		wire_put64(to, ms);
		return ns != BEYOND;
	case CONV_MICROSECONDS:
		return put_ntp(to, ns, true);
	case CONV_NANOSECONDS:
		return put_ntp(to, ns, false);
	case CONV_DELTA:
		if (ns <= r->export_ns)
			return put_uint(to, (r->export_ns - ns + 999) / 1000,
					length);
		break;
	default:
		if (ms >= init_ms)
			return put_uint(to, ms - init_ms, length);
		break;
	}
	/* Behind the Export Time, or before the system was there. */
	wire_put_uint(to, 0, length);
	return false;
}

/* ---- column by column ---------------------------------------------------- */

static void
misfit(struct run *r, uint32_t i)
{
	r->s->unfit[i] = 1;
	r->s->saturated++;
}

static void
set_column(struct run *r, const struct conv_op *op, const uint8_t *octets,
	   uint8_t *to, uint32_t stride)
{
	for (uint32_t i = 0; i < r->count; i++, to += stride)
		memcpy(to, octets, op->length);
}

INLINE void
value_column(enum conv_code code, struct run *r, const struct conv_op *op,
	     const uint8_t *from, uint8_t *to, uint32_t stride, uint32_t in,
	     uint32_t length)
{
	for (uint32_t i = 0; i < r->count;
	     i++, to += stride, from += r->batch->stride)
		if (!put_value(code, op, to, from, in, length))
			misfit(r, i);
}

/* The usual lengths are constants of their own loops. */
static void
uint_column(struct run *r, const struct conv_op *op, const uint8_t *from,
	    uint8_t *to, uint32_t stride)
{
	if (op->in == 8 && op->length == 4)
		value_column(CONV_UINT, r, op, from, to, stride, 8, 4);
	else if (op->in == 4 && op->length == 8)
		value_column(CONV_UINT, r, op, from, to, stride, 4, 8);
	else
		value_column(CONV_UINT, r, op, from, to, stride, op->in,
			     op->length);
}

INLINE uint64_t
init_of(const struct run *r, const struct conv_op *op, uint32_t i)
{
	return op->init < 0
		       ? r->init_ms
		       : wire_get64(r->base + (size_t)i * r->batch->stride +
				    op->init_from);
}

INLINE void
get_column(enum conv_time read, struct run *r, const struct conv_op *op,
	   const uint8_t *from)
{
	for (uint32_t i = 0; i < r->count; i++, from += r->batch->stride)
		r->s->ns[i] =
			get_time(read, r, from, op->in,
				 read == CONV_UPTIME ? init_of(r, op, i) : 0);
}

INLINE void
put_column(enum conv_time write, struct run *r, const struct conv_op *op,
	   uint8_t *to, uint32_t stride)
{
	for (uint32_t i = 0; i < r->count; i++, to += stride)
		if (!put_time(write, r, to, r->s->ns[i], op->length,
			      write == CONV_UPTIME ? init_of(r, op, i) : 0))
			misfit(r, i);
}

#define EACH_TIME(do_it)                                                      \
	do_it(CONV_SECONDS) do_it(CONV_MILLISECONDS) do_it(CONV_MICROSECONDS) \
		do_it(CONV_NANOSECONDS) do_it(CONV_DELTA) do_it(CONV_UPTIME)

static void
time_column(struct run *r, const struct conv_op *op, const uint8_t *from,
	    uint8_t *to, uint32_t stride)
{
#define GET(format)                              \
	case format:                             \
		get_column(format, r, op, from); \
		break;
#define PUT(format)                                    \
	case format:                                   \
		put_column(format, r, op, to, stride); \
		break;
	switch (op->read) {
		EACH_TIME(GET)
	}
	switch (op->write) {
		EACH_TIME(PUT)
	}
}

static void
run_column(struct run *r, const struct conv_op *op, uint8_t *to,
	   uint32_t stride)
{
	const uint8_t *from = r->base + op->from;
	uint8_t init[8];

	switch (op->code) {
	case CONV_COPY:
		column_copy(to, stride, from, r->batch->stride, op->length,
			    r->count);
		break;
	case CONV_SET:
		set_column(r, op, op->octets, to, stride);
		break;
	case CONV_SCOPE_INIT:
		wire_put64(init, r->init_ms);
		set_column(r, op, init, to, stride);
		break;
	case CONV_TIME:
		time_column(r, op, from, to, stride);
		break;
	case CONV_UINT:
		uint_column(r, op, from, to, stride);
		break;
#define VALUE(code)                                                 \
	case code:                                                  \
		value_column(code, r, op, from, to, stride, op->in, \
			     op->length);                           \
		break
		VALUE(CONV_SINT);
		VALUE(CONV_FLAGS);
		VALUE(CONV_REAL);
		VALUE(CONV_FROM_BOOL);
		VALUE(CONV_TO_BOOL);
		VALUE(CONV_MAPPED);
		VALUE(CONV_TO_FIXED);
	case CONV_TO_VARIABLE:
		break; /* not here: records would have no constant length */
	}
}

/* What does not fit goes: the others move together. */
static uint32_t
leave_out(struct run *r, uint32_t stride)
{
	uint8_t *to = r->s->buffer;
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->count; i++) {
		if (r->s->unfit[i])
			continue;
		if (i != n)
			memcpy(to + (size_t)n * stride, to + (size_t)i * stride,
			       stride);
		n++;
	}
	r->s->stage.ledger.lost[LOSS_UNFIT] += r->count - n;
	return n;
}

static uint32_t
run_columns(struct run *r, uint32_t *next)
{
	uint32_t stride = r->p->out->min_length;
	uint64_t before = r->s->saturated;

	r->count = r->batch->count - *next;
	if (r->count > CONV_BUFFER / stride)
		r->count = CONV_BUFFER / stride;
	r->base = r->batch->base + (size_t)*next * r->batch->stride;
	memset(r->s->unfit, 0, sizeof(r->s->unfit));
	for (unsigned i = 0; i < r->p->op_count; i++)
		run_column(r, &r->p->op[i], r->s->buffer + r->p->op[i].to,
			   stride);
	*next += r->count;
	if (r->s->saturate || r->s->saturated == before)
		return r->count;
	r->s->saturated = before;
	return leave_out(r, stride);
}

/* ---- record by record ---------------------------------------------------- */

/* The content of a field, of which *in is the length. */
static const uint8_t *
open_field(const struct conv_op *op, const uint8_t *from, uint32_t *in)
{
	if (!op->varies)
		return from;
	if (*from < 255) {
		*in -= 1;
		return from + 1;
	}
	*in -= 3;
	return from + 3;
}

static uint8_t *
put_variable(const struct conv_op *op, uint8_t *to, const uint8_t *from,
	     uint32_t in)
{
	struct writer w;

	if (op->text)
		in = content(from, in, 0);
	writer_init(&w, to, in + 3u);
	writer_varlen(&w, from, in);
	return w.p;
}

/* One field; where the next one begins. */
static uint8_t *
make_field(struct run *r, const struct conv_op *op, const uint8_t *record,
	   uint8_t *to, uint32_t *misfits)
{
	const uint32_t *at = r->s->at;
	const uint8_t *from = record + at[op->first];
	uint32_t in = at[op->end] - at[op->first];
	uint64_t init_ms = r->init_ms;

	switch (op->code) {
	case CONV_COPY:
		memcpy(to, from, in);
		return to + in;
	case CONV_SET:
		memcpy(to, op->octets, op->length);
		return to + op->length;
	case CONV_SCOPE_INIT:
		wire_put64(to, init_ms);
		return to + 8;
	case CONV_TO_VARIABLE:
		return put_variable(op, to, from, in);
	case CONV_TIME:
		if (op->init >= 0)
			init_ms = wire_get64(record + at[op->init]);
		*misfits += !put_time((enum conv_time)op->write, r, to,
				      get_time((enum conv_time)op->read, r,
					       from, in, init_ms),
				      op->length, init_ms);
		return to + op->length;
	default:
		from = open_field(op, from, &in);
		*misfits += !put_value(op->code, op, to, from, in, op->length);
		return to + op->length;
	}
}

/* False: it is lost. */
static bool
make_record(struct run *r, const uint8_t *record, uint8_t *out,
	    uint32_t *length)
{
	uint8_t *to = out;
	uint32_t misfits = 0;
	struct ledger *ledger = &r->s->stage.ledger;

	for (unsigned i = 0; i < r->p->op_count; i++)
		to = make_field(r, &r->p->op[i], record, to, &misfits);
	*length = (uint32_t)(to - out);
	if (*length > SHAPE_RECORD_MAX) {
		ledger->lost[LOSS_TOO_LONG]++;
		return false;
	}
	if (misfits && !r->s->saturate) {
		ledger->lost[LOSS_UNFIT]++;
		return false;
	}
	r->s->saturated += misfits;
	return true;
}

static uint32_t
run_records(struct run *r, uint32_t *next)
{
	const struct batch *batch = r->batch;
	uint32_t used = 0, n = 0, size, length;
	bool located = false;

	for (; *next < batch->count; ++*next) {
		const uint8_t *record = batch_record(batch, *next, &size);

		if (n && CONV_BUFFER - used < size + r->p->more)
			break;
		if (batch->shape->variable || !located)
			shape_offsets(batch->shape, record, r->s->at);
		located = true;
		if (!make_record(r, record, r->s->buffer + used, &length))
			continue;
		r->s->offset[n++] = used;
		used += length;
	}
	r->s->offset[n] = used;
	return n;
}

void
conv_run(struct conv_stage *s, struct conv_program *p,
	 const struct batch *batch, uint32_t *next, struct batch *out)
{
	struct run r = {
		.s = s,
		.p = p,
		.batch = batch,
		.export_ns = batch->export_ms * NS_PER_MS,
		.init_ms = batch->scope->system_init_ms,
	};

	*out = *batch;
	out->shape = p->out;
	out->base = s->buffer;
	out->offset = s->offset;
	out->stride = p->out->variable ? 0 : p->out->min_length;
	out->flow_keys = conv_program_keys(p, batch->flow_keys);
	out->count = p->column && batch->stride ? run_columns(&r, next)
						: run_records(&r, next);
}
