/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A program over a batch: for each operation a loop over the records, with a
 * width and a distance that do not change in it.
 */
#include <string.h>

#include "conflux/wire.h"
#include "internal.h"

#define SIGN (UINT64_C(1) << 63)

struct run {
	struct filter *filter;
	const struct batch *batch;
	uint8_t *rows;
	uint32_t stride, count;
};

static inline uint64_t
load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void
store(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* The body for each record: a and b are its columns, out the new one. */
#define EACH_ROW(run, op, body)                                       \
	do {                                                          \
		const uint8_t *a = (run)->rows + (op)->a;             \
		const uint8_t *b = (run)->rows + (op)->b;             \
		uint8_t *out = (run)->rows + (op)->out;               \
		for (uint32_t i_ = 0; i_ < (run)->count; i_++,        \
			      a += (run)->stride, b += (run)->stride, \
			      out += (run)->stride) {                 \
			body;                                         \
		}                                                     \
		(void)b;                                              \
	} while (0)

/* The verdict for each record. */
#define EACH_TEST(run, op, verdict)                           \
	do {                                                  \
		const uint8_t *a = (run)->rows + (op)->a;     \
		uint8_t *reg = (run)->filter->reg[(op)->reg]; \
		for (uint32_t i = 0; i < (run)->count;        \
		     i++, a += (run)->stride)                 \
			reg[i] = (verdict);                   \
	} while (0)

/* ---- columns ----------------------------------------------------------- */

/* An NTP of network byte order is a double here. */
static uint64_t
order_of_real(uint64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof(value));
	return real_order(value);
}

/* a times scale by b; 0 by nothing, as a rate without time is not known. */
static uint64_t
divide(uint64_t a, uint64_t scale, uint64_t b)
{
	if (b == 0)
		return 0;
	return a <= UINT64_MAX / scale ? a * scale / b : a / b * scale;
}

/* Milliseconds between two times in nanoseconds, counted in whole ones. */
static uint64_t
difference(uint64_t start, uint64_t end)
{
	start /= 1000000;
	end /= 1000000;
	return end > start ? end - start : 0;
}

static void
make_column(const struct run *run, const struct code_op *op)
{
	switch (op->code) {
	case CODE_WORD:
		EACH_ROW(run, op, store(out, wire_get32(a)));
		break;
	case CODE_MAC:
		EACH_ROW(run, op, store(out, wire_get_uint(a, 6)));
		break;
	case CODE_WIDE:
		EACH_ROW(run, op, {
			uint64_t hi = wire_get64(a);

			store(out + 8, wire_get64(a + 8));
			store(out, hi);
		});
		break;
	case CODE_SIGN:
		EACH_ROW(run, op, store(out, load(a) ^ SIGN));
		break;
	case CODE_REAL:
		EACH_ROW(run, op, store(out, order_of_real(wire_get64(a))));
		break;
	case CODE_HIGH:
		EACH_ROW(run, op, store(out, load(a) >> 8 & 0xff));
		break;
	case CODE_LOW:
		EACH_ROW(run, op, store(out, load(a) & 0xff));
		break;
	case CODE_MICROSECONDS:
		EACH_ROW(run, op, store(out, load(a) / 1000));
		break;
	case CODE_DIFFERENCE:
		EACH_ROW(run, op, store(out, difference(load(a), load(b))));
		break;
	case CODE_RATE:
		EACH_ROW(run, op, store(out, divide(load(a), 1000, load(b))));
		break;
	case CODE_BITS:
		EACH_ROW(run, op, store(out, divide(load(a), 8000, load(b))));
		break;
	default: /* CODE_RATIO */
		EACH_ROW(run, op, store(out, divide(load(a), 1, load(b))));
		break;
	}
}

/* ---- ranges ------------------------------------------------------------ */

/* The last range that begins at or before it is the only one it can be in. */
static bool
in_ranges(const struct range *range, uint32_t count, uint64_t v)
{
	while (count > 1) {
		uint32_t half = count / 2;

		if (range[half].min.lo <= v)
			range += half;
		count -= half;
	}
	return v >= range->min.lo && v <= range->max.lo;
}

static inline bool
wide_le(const struct wide *a, const struct wide *b)
{
	return a->hi < b->hi || (a->hi == b->hi && a->lo <= b->lo);
}

static bool
in_wide_ranges(const struct range *range, uint32_t count, const uint8_t *p)
{
	struct wide v = {load(p), load(p + 8)};

	while (count > 1) {
		uint32_t half = count / 2;

		if (wide_le(&range[half].min, &v))
			range += half;
		count -= half;
	}
	return wide_le(&range->min, &v) && wide_le(&v, &range->max);
}

/* ---- patterns ---------------------------------------------------------- */

bool
pattern_like(const uint8_t *pattern, uint32_t length, const uint8_t *p,
	     uint32_t size)
{
	uint32_t at = 0, i = 0, star = UINT32_MAX, from = 0;

	/* Only the last * has to be tried again: the others took enough. */
	while (i < size) {
		if (at < length && pattern[at] == '*') {
			star = at++;
			from = i;
		} else if (at < length &&
			   (pattern[at] == '?' || pattern[at] == p[i])) {
			at++;
			i++;
		} else if (star != UINT32_MAX) {
			at = star + 1;
			i = ++from;
		} else {
			return false;
		}
	}
	while (at < length && pattern[at] == '*')
		at++;
	return at == length;
}

static bool
is_so(const struct pattern *pattern, const uint8_t *octets, const uint8_t *p,
      uint32_t size)
{
	switch (pattern->kind) {
	case PATTERN_EQUAL:
		return size == pattern->length && memcmp(octets, p, size) == 0;
	case PATTERN_CONTAINS:
		return memmem(p, size, octets, pattern->length) != NULL;
	case PATTERN_LIKE:
		break;
	}
	return pattern_like(octets, pattern->length, p, size);
}

/* Strings of a fixed length are filled up with zeros. */
static bool
one_of(const struct filter *filter, const struct code_op *op, bool string,
       const uint8_t *p, uint32_t size)
{
	const struct pattern *pattern =
		LIST(pattern, filter->patterns) + op->first;
	const uint8_t *octets = filter->octets.item;

	while (string && size && p[size - 1] == 0)
		size--;
	for (uint32_t i = 0; i < op->count; i++)
		if (is_so(&pattern[i], octets + pattern[i].at, p, size))
			return true;
	return false;
}

static void
test_pattern(const struct run *run, const struct code_op *op)
{
	const struct shape *shape = run->batch->shape;
	bool string = shape->field[op->field].ie->type == IE_STRING;
	uint8_t *reg = run->filter->reg[op->reg];
	uint32_t size, length;

	for (uint32_t i = 0; i < run->count; i++) {
		const uint8_t *record = batch_record(run->batch, i, &size);
		const uint8_t *p =
			shape_field(shape, op->field, record, size, &length);

		reg[i] = p && one_of(run->filter, op, string, p, length);
	}
}

/* ---- the program ------------------------------------------------------- */

static void
test(const struct run *run, const struct code_op *op)
{
	const struct range *range = op->range;
	uint64_t min = op->min, width = op->width;

	switch (op->code) {
	case CODE_RANGE:
		EACH_TEST(run, op, load(a) - min <= width);
		break;
	case CODE_RANGES:
		EACH_TEST(run, op, in_ranges(range, op->count, load(a)));
		break;
	case CODE_WIDE_RANGES:
		EACH_TEST(run, op, in_wide_ranges(range, op->count, a));
		break;
	case CODE_ALL_BITS:
		EACH_TEST(run, op, (load(a) & min) == min);
		break;
	case CODE_ANY_BITS:
		EACH_TEST(run, op, (load(a) & min) != 0);
		break;
	default:
		test_pattern(run, op);
		break;
	}
}

/* Registers may be joined whole: BATCH_MAX is a constant, and a small one. */
static void
join(struct filter *filter, const struct code_op *op)
{
	uint8_t *reg = filter->reg[op->reg];
	const uint8_t *other = filter->reg[op->reg + 1];

	switch (op->code) {
	case CODE_AND:
		for (unsigned i = 0; i < BATCH_MAX; i++)
			reg[i] &= other[i];
		break;
	case CODE_OR:
		for (unsigned i = 0; i < BATCH_MAX; i++)
			reg[i] |= other[i];
		break;
	default: /* CODE_NOT */
		for (unsigned i = 0; i < BATCH_MAX; i++)
			reg[i] ^= 1;
		break;
	}
}

/* Whether what is behind it cannot change the outcome of any record. */
static bool
skips(const struct run *run, const struct code_op *op)
{
	int open = op->code == CODE_SKIP_NONE;

	return !memchr(run->filter->reg[op->reg], open, run->count);
}

void
program_run(struct filter *filter, const struct program *program,
	    const struct batch *batch)
{
	const struct code_op *column = LIST(code_op, program->columns);
	const struct code_op *tests = LIST(code_op, program->tests);
	struct run run = {
		.filter = filter,
		.batch = batch,
		.rows = filter->rows,
		.stride = program->stride,
		.count = batch->count,
	};
	uint8_t bad[BATCH_MAX];

	decoder_run(program->decoder, batch, run.rows, run.stride, bad);
	for (uint32_t i = 0; i < program->columns.count; i++)
		make_column(&run, &column[i]);
	for (uint32_t i = 0; i < program->tests.count;) {
		const struct code_op *op = &tests[i++];

		if (op->code < CODE_AND)
			test(&run, op);
		else if (op->code < CODE_SKIP_NONE)
			join(filter, op);
		else if (skips(&run, op))
			i = op->first;
	}
}
