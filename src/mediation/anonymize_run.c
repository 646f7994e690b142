/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A program over a batch. Records are copied first, without the fields that are
 * left out; then each operation goes over its field in all of them.
 */
#include <string.h>
#include <sys/random.h>

#include "anonymize.h"
#include "conflux/ntp.h"
#include "conflux/wire.h"

enum { ORDER_MAX = 16 }; /* times of a record that are put in order together */

#define NS_PER_MS UINT64_C(1000000)

__extension__ typedef unsigned __int128 word128;

/* ---- copying ------------------------------------------------------------- */

/* Neighbours as they are. */
static uint32_t
copy_whole(struct anon_stage *s, const struct batch *batch, uint32_t at,
	   struct batch *out)
{
	uint32_t left = batch->count - at, n = 0, from;

	if (batch->stride) {
		n = ANON_BUFFER / batch->stride;
		n = n < left ? n : left;
		memcpy(s->buffer, batch->base + (size_t)at * batch->stride,
		       (size_t)n * batch->stride);
		return n;
	}
	from = batch->offset[at];
	while (n < left && batch->offset[at + n + 1] - from <= ANON_BUFFER)
		n++;
	for (uint32_t i = 0; i <= n; i++)
		s->offset[i] = batch->offset[at + i] - from;
	memcpy(s->buffer, batch->base + from, s->offset[n]);
	out->offset = s->offset;
	return n;
}

static uint8_t *
copy_fixed(const struct anon_program *p, const uint8_t *record, uint8_t *to)
{
	for (unsigned i = 0; i < p->piece_count; i++) {
		memcpy(to, record + p->piece[i].from, p->piece[i].length);
		to += p->piece[i].length;
	}
	return to;
}

static void
step(struct reader *r, const struct field *field, uint16_t count)
{
	for (; count; field++, count--)
		reader_take(r, field->length == IE_VARIABLE ? reader_varlen(r)
							    : field->length);
}

static uint8_t *
copy_variable(const struct anon_program *p, const uint8_t *record,
	      uint32_t length, uint8_t *to)
{
	const struct field *field = p->made.shape->field;
	struct reader r;
	uint16_t done = 0;

	reader_init(&r, record, length);
	for (unsigned i = 0; i < p->piece_count; i++) {
		const struct anon_piece *piece = &p->piece[i];
		const uint8_t *from;

		step(&r, field + done, (uint16_t)(piece->field - done));
		from = r.p;
		step(&r, field + piece->field, piece->count);
		memcpy(to, from, (size_t)(r.p - from));
		to += r.p - from;
		done = (uint16_t)(piece->field + piece->count);
	}
	return to;
}

static uint32_t
copy_some(struct anon_stage *s, const struct anon_program *p,
	  const struct batch *batch, uint32_t at, struct batch *out)
{
	uint8_t *to = s->buffer;
	uint32_t n = 0, length;

	for (; at + n < batch->count; n++) {
		const uint8_t *record = batch_record(batch, at + n, &length);

		s->offset[n] = (uint32_t)(to - s->buffer);
		if (ANON_BUFFER - s->offset[n] < length)
			break;
		to = p->made.shape->variable
			     ? copy_variable(p, record, length, to)
			     : copy_fixed(p, record, to);
	}
	s->offset[n] = (uint32_t)(to - s->buffer);
	out->stride = p->out->variable ? 0 : p->out->min_length;
	out->offset = s->offset;
	return n;
}

/* The bits of fields that stay, moved together. */
static uint64_t
kept_keys(uint64_t keys, uint64_t kept)
{
	uint64_t out = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < 64; i++)
		if (kept >> i & 1)
			out |= (keys >> i & 1) << n++;
	return out;
}

/* ---- operations ---------------------------------------------------------- */

/* Where the field is in each record. */
static void
locate(const struct batch *out, uint16_t field, uint8_t *base,
       uint8_t *at[BATCH_MAX])
{
	uint16_t offset = out->shape->field[field].offset;
	uint32_t length;

	if (out->stride && offset != FIELD_NO_OFFSET) {
		for (uint32_t i = 0; i < out->count; i++)
			at[i] = base + (size_t)i * out->stride + offset;
		return;
	}
	for (uint32_t i = 0; i < out->count; i++) {
		const uint8_t *record = batch_record(out, i, &length);
		const uint8_t *p =
			shape_field(out->shape, field, record, length, &length);

		at[i] = base + (p - out->base);
	}
}

static void
run_mask(const struct anon_op *op, uint8_t *const *at, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		for (unsigned k = 0; k < op->length; k++)
			at[i][k] &= op->octets[k];
}

static void
run_permute(struct anon_stage *s, const struct anon_op *op, uint8_t *const *at,
	    uint32_t count)
{
	uint64_t value[BATCH_MAX];

	if (op->length > 8) {
		anon_permute_wide(s->cipher, at, count);
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		value[i] = wire_get_uint(at[i], op->length);
	anon_permute(s->cipher, ANON_NUMBER, op->length * 8u, value, count);
	for (uint32_t i = 0; i < count; i++)
		wire_put_uint(at[i], value[i], op->length);
}

/* RFC 6235 section 4.2.4: the OUI and the node apart. */
static void
run_mac(struct anon_stage *s, uint8_t *const *at, uint32_t count)
{
	uint64_t oui[BATCH_MAX], device[BATCH_MAX];

	for (uint32_t i = 0; i < count; i++) {
		oui[i] = wire_get_uint(at[i], 3);
		device[i] = wire_get_uint(at[i] + 3, 3);
	}
	anon_permute(s->cipher, ANON_OUI, 24, oui, count);
	anon_permute(s->cipher, ANON_DEVICE, 24, device, count);
	for (uint32_t i = 0; i < count; i++) {
		wire_put_uint(at[i], oui[i], 3);
		wire_put_uint(at[i] + 3, device[i], 3);
	}
}

static void
run_units(const struct anon_op *op, uint8_t *const *at, uint32_t count)
{
	uint64_t unit = op->rule->amount;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t v = wire_get_uint(at[i], op->length);

		wire_put_uint(at[i], v - v % unit, op->length);
	}
}

static uint64_t
find_bin(const struct anon_rule *rule, uint64_t v)
{
	unsigned low = 0, high = rule->range_count;

	while (high - low > 1) {
		unsigned middle = (low + high) / 2;

		if (rule->range[middle].from <= v)
			low = middle;
		else
			high = middle;
	}
	return rule->range[low].label;
}

static uint64_t
saturated(uint64_t v, uint16_t length)
{
	uint64_t most =
		length >= 8 ? UINT64_MAX : (UINT64_C(1) << 8 * length) - 1;

	return v < most ? v : most;
}

static void
run_bins(const struct anon_op *op, uint8_t *const *at, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t v = wire_get_uint(at[i], op->length);

		v = saturated(find_bin(op->rule, v), op->length);
		wire_put_uint(at[i], v, op->length);
	}
}

/* From the kernel, many at a time. */
static uint64_t
noise(struct anon_stage *s)
{
	while (!s->noise_left) {
		ssize_t n = getrandom(s->noise, sizeof(s->noise), 0);

		s->noise_left = n > 0 ? (unsigned)n / 8 : 0;
	}
	return s->noise[--s->noise_left];
}

static void
run_noise(struct anon_stage *s, const struct anon_op *op, uint8_t *const *at,
	  uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t v = wire_get_uint(at[i], op->length);
		uint64_t most = v / 100 * op->rule->amount +
				v % 100 * op->rule->amount / 100;
		uint64_t more;

		if (most > UINT64_MAX / 4)
			most = UINT64_MAX / 4;
		/* The upper half of the product: 0 to 2 * most. */
		more = (uint64_t)((word128)noise(s) * (2 * most + 1) >> 64);
		if (v > UINT64_MAX - most)
			v = UINT64_MAX - most;
		v = saturated(v - most + more, op->length);
		/* What there was does not vanish. */
		if (v == 0 && most)
			v = 1;
		wire_put_uint(at[i], v, op->length);
	}
}

/* ---- times, as nanoseconds since 1970 ------------------------------------ */

static uint64_t
time_get(const uint8_t *p, uint8_t type)
{
	switch (type) {
	case IE_DATE_TIME_SECONDS:
		return wire_get32(p) * (uint64_t)NSEC_PER_SEC;
	case IE_DATE_TIME_MILLISECONDS:
		return wire_get64(p) * NS_PER_MS;
	default:
		return ntp_to_ns(wire_get64(p));
	}
}

static void
time_put(uint8_t *p, uint8_t type, uint64_t ns)
{
	switch (type) {
	case IE_DATE_TIME_SECONDS:
		wire_put32(p, (uint32_t)(ns / NSEC_PER_SEC));
		break;
	case IE_DATE_TIME_MILLISECONDS:
		wire_put64(p, ns / NS_PER_MS);
		break;
	case IE_DATE_TIME_MICROSECONDS:
		wire_put64(p, ntp_from_ns_micro(ns));
		break;
	default:
		wire_put64(p, ntp_from_ns(ns));
	}
}

static void
run_time_units(const struct anon_op *op, uint8_t *const *at, uint32_t count)
{
	uint64_t unit = op->rule->amount * NS_PER_MS;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t ns = time_get(at[i], op->type);

		time_put(at[i], op->type, ns - ns % unit);
	}
}

static void
run_shift(const struct anon_stage *s, const struct anon_op *op,
	  uint8_t *const *at, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t ns = time_get(at[i], op->type);
		uint64_t to = ns + (uint64_t)s->shift_ns;

		/* No time before 1970. */
		if (s->shift_ns < 0 && to > ns)
			to = 0;
		time_put(at[i], op->type, to);
	}
}

struct order {
	const struct anon_op *op[ORDER_MAX];
	uint8_t *at[ORDER_MAX][BATCH_MAX];
	unsigned count;
};

/*
 * RFC 6235 section 4.3.2: equidistant times in place of the real ones, in their
 * order. That is the order within a record; records are in that in which they
 * come, for no time can be given to a record as long as earlier ones may come.
 */
static void
order_record(struct anon_stage *s, const struct order *o, uint32_t i)
{
	uint64_t ns[ORDER_MAX], step = o->op[0]->rule->amount;
	unsigned most = 0;

	for (unsigned k = 0; k < o->count; k++)
		ns[k] = time_get(o->at[k][i], o->op[k]->type);
	for (unsigned k = 0; k < o->count; k++) {
		unsigned rank = 0;

		/* How many different ones are before it. */
		for (unsigned j = 0; j < o->count; j++) {
			bool first = ns[j] < ns[k];

			for (unsigned l = 0; first && l < j; l++)
				first = ns[l] != ns[j];
			rank += first;
		}
		most = rank > most ? rank : most;
		time_put(o->at[k][i], o->op[k]->type,
			 (s->order_ms + rank * step) * NS_PER_MS);
	}
	s->order_ms += (most + 1) * step;
}

static void
order_all(struct anon_stage *s, struct order *o, uint32_t count)
{
	for (uint32_t i = 0; o->count && i < count; i++)
		order_record(s, o, i);
	o->count = 0;
}

/* All such operations at once, when the first of them is met. */
static void
run_order(struct anon_stage *s, const struct anon_program *p, unsigned n,
	  const struct batch *out)
{
	struct order o = {.count = 0};

	for (unsigned i = 0; i < n; i++)
		if (p->op[i].code == ANON_TIME_ORDER)
			return;
	for (unsigned i = n; i < p->op_count; i++) {
		if (p->op[i].code != ANON_TIME_ORDER)
			continue;
		o.op[o.count] = &p->op[i];
		locate(out, p->op[i].field, s->buffer, o.at[o.count++]);
		if (o.count == ORDER_MAX)
			order_all(s, &o, out->count);
	}
	order_all(s, &o, out->count);
}

static void
run_op(struct anon_stage *s, const struct anon_op *op, uint8_t *const *at,
       uint32_t count)
{
	switch (op->code) {
	case ANON_MASK:
		run_mask(op, at, count);
		break;
	case ANON_SET:
		for (uint32_t i = 0; i < count; i++)
			memcpy(at[i], op->octets, op->length);
		break;
	case ANON_PREFIX:
		if (op->length == 4)
			anon_prefix4(s->cipher, at, count, op->rule->unchanged);
		else
			anon_prefix6(s->cipher, at, count, op->rule->unchanged);
		break;
	case ANON_PERMUTE:
		run_permute(s, op, at, count);
		break;
	case ANON_PERMUTE_MAC:
		run_mac(s, at, count);
		break;
	case ANON_UNITS:
		run_units(op, at, count);
		break;
	case ANON_TIME_UNITS:
		run_time_units(op, at, count);
		break;
	case ANON_TIME_SHIFT:
		run_shift(s, op, at, count);
		break;
	case ANON_BINS:
		run_bins(op, at, count);
		break;
	case ANON_NOISE:
		run_noise(s, op, at, count);
		break;
	case ANON_TIME_ORDER:
		break;
	}
}

void
anon_run(struct anon_stage *s, const struct anon_program *p,
	 const struct batch *batch, uint32_t *from, struct batch *out)
{
	uint8_t *at[BATCH_MAX];

	*out = *batch;
	out->shape = p->out;
	out->base = s->buffer;
	out->count = p->whole ? copy_whole(s, batch, *from, out)
			      : copy_some(s, p, batch, *from, out);
	*from += out->count;
	out->flow_keys = kept_keys(batch->flow_keys, p->kept);
	for (unsigned n = 0; n < p->op_count; n++) {
		if (p->op[n].code == ANON_TIME_ORDER) {
			run_order(s, p, n, out);
			continue;
		}
		locate(out, p->op[n].field, s->buffer, at);
		run_op(s, &p->op[n], at, out->count);
	}
}
