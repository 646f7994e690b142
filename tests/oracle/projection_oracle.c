/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Random projections against a decoder that is slow and obviously right: it
 * goes through a record field by field, octet by octet, and calculates in wide
 * integers. Shapes, records, wanted elements, widths, prefixes and batches are
 * random but repeatable: a failure prints its seed.
 *
 *	projection_oracle [ROUNDS [SEED]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/projection.h"
#include "conflux/wire.h"

enum { FIELDS = 14, SLOTS = 10, ROW = 256, RECORD = 4096 };

typedef unsigned __int128 wide;

static uint64_t state;
static struct ie_registry *registry;
static const struct ie *element[4096];
static unsigned element_count;

static uint32_t
below(uint32_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((state >> 33) % n);
}

/* ---- the slow side ------------------------------------------------------- */

struct value {
	const uint8_t *p;
	uint32_t length;
};

static void
split(const struct shape *shape, const uint8_t *p, struct value *value)
{
	for (unsigned f = 0; f < shape->count; f++) {
		uint32_t n = shape->field[f].length;

		if (n == IE_VARIABLE) {
			n = *p++;
			if (n == 255) {
				n = (uint32_t)(p[0] << 8 | p[1]);
				p += 2;
			}
		}
		value[f] = (struct value){p, n};
		p += n;
	}
}

static uint64_t
number(const struct value *v)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < v->length; i++)
		n = n * 256 + v->p[i];
	return n;
}

static bool
is_signed(const struct ie *ie)
{
	return ie->type >= IE_SIGNED8 && ie->type <= IE_SIGNED64;
}

/* The number of a signed field, extended to 64 bits. */
static uint64_t
extended(const struct value *v)
{
	uint64_t n = number(v);

	if (v->length < 8 && v->p[0] & 0x80)
		n |= ~(uint64_t)0 << (8 * v->length);
	return n;
}

static uint64_t
ntp(uint64_t v, bool micro)
{
	uint64_t seconds = v >> 32;
	wide fraction = v & 0xffffffff;
	uint64_t ns;

	if (seconds < 2208988800u)
		seconds += 4294967296u;
	ns = (seconds - 2208988800u) * 1000000000u +
	     (uint64_t)((fraction * 1000000000u * 2 + 4294967296u) /
			(2 * (wide)4294967296u));
	return micro ? (ns + 500) / 1000 * 1000 : ns;
}

static uint64_t
time_ns(const struct ie *ie, const struct value *v,
	const struct value *all, const struct source *source,
	const struct batch *batch)
{
	switch (ie->type) {
	case IE_DATE_TIME_SECONDS:
		return number(v) * 1000000000u;
	case IE_DATE_TIME_MILLISECONDS:
		return number(v) * 1000000u;
	case IE_DATE_TIME_MICROSECONDS:
		return ntp(number(v), true);
	case IE_DATE_TIME_NANOSECONDS:
		return ntp(number(v), false);
	default:
		break;
	}
	if (ie->id == 158 || ie->id == 159)
		return batch->export_ms * 1000000u - number(v) * 1000u;
	if (source->init != SOURCE_NO_FIELD)
		return (number(&all[source->init]) + number(v)) * 1000000u;
	return (batch->scope->system_init_ms + number(v)) * 1000000u;
}

/* What the row should hold for a slot; its strings by content. */
static void
expect_row(const struct slot *slot, const struct source *source,
	   const struct shape *shape, const struct value *all,
	   const struct batch *batch, uint8_t *out)
{
	const struct value *v = &all[source->field];
	const struct ie *ie = shape->field[source->field].ie;
	uint64_t n;

	memset(out, 0, 64);
	if (source->kind == SOURCE_CONSTANT) {
		wire_put_uint(out, source->constant, slot->width);
		return;
	}
	if (slot->kind == SLOT_TIME) {
		n = time_ns(ie, v, all, source, batch);
		if (source->kind == SOURCE_DURATION) {
			uint64_t d = number(&all[source->duration]);
			const struct field *f =
				&shape->field[source->duration];

			d *= f->ie->id == 161 ? 1000000u : 1000u;
			n = strstr(slot->ie->name, "Start") ? n - d : n + d;
		}
		memcpy(out, &n, 8);
		return;
	}
	if (slot->kind == SLOT_UINT) {
		n = is_signed(ie) ? extended(v) : number(v);
		memcpy(out, &n, 8);
		return;
	}
	if (v->length == slot->width) {
		memcpy(out, v->p, v->length);
	} else if (ie->type == IE_FLOAT64 || ie->type == IE_FLOAT32) {
		uint32_t bits = (uint32_t)number(v);
		float f;
		double d;

		memcpy(&f, &bits, 4);
		d = (double)f;
		memcpy(&n, &d, 8);
		wire_put64(out, n);
	} else {
		n = is_signed(ie) ? extended(v) : number(v);
		wire_put_uint(out, n, slot->width);
	}
	for (int bit = slot->prefix_length; bit >= 0 && bit < slot->width * 8;
	     bit++)
		out[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
}

/* ---- random things -------------------------------------------------------- */

static uint16_t
random_length(const struct ie *ie)
{
	uint16_t natural = ie_type_length(ie->type);

	if (natural == IE_VARIABLE)
		return below(2) ? IE_VARIABLE : (uint16_t)(1 + below(20));
	if (below(3) == 0)
		for (int i = 0; i < 8; i++) {
			uint16_t n = (uint16_t)(1 + below(natural));

			if (ie_length_ok(ie, n))
				return n;
		}
	return natural;
}

static const struct shape *
random_shape(struct shape_table *shapes)
{
	static const uint16_t times[] = {21,  22,  150, 151, 152, 153, 154, 155,
					 156, 157, 158, 159, 160, 161, 162, 322,
					 323, 44,  8,	60,  85,  1};
	struct field field[FIELDS] = {0};
	const struct shape *shape = NULL;
	uint16_t count = (uint16_t)(1 + below(FIELDS));

	for (unsigned i = 0; i < count; i++) {
		field[i].ie = below(3) ? element[below(element_count)]
				       : ie_find(registry, 0,
						 times[below(22)]);
		field[i].length = random_length(field[i].ie);
	}
	return shape_get(shapes, field, count, 0, &shape) == 0 ? shape : NULL;
}

static uint32_t
random_record(const struct shape *shape, uint8_t *p)
{
	uint8_t *start = p;

	for (unsigned f = 0; f < shape->count; f++) {
		uint32_t n = shape->field[f].length;

		if (n == IE_VARIABLE) {
			n = below(20) ? below(12) : 255 + below(40);
			if (n >= 255 || below(8) == 0) {
				*p++ = 255;
				*p++ = (uint8_t)(n >> 8);
			}
			*p++ = (uint8_t)n;
		}
		while (n--)
			*p++ = (uint8_t)(below(4) ? below(256) : 0);
	}
	return (uint32_t)(p - start);
}

struct projection {
	unsigned count;
	struct slot slot[SLOTS];
	struct source source[SLOTS];
};

static void
random_projection(struct projection *pr, const struct shape *shape,
		  const struct scope *scope)
{
	uint16_t at = 0;

	pr->count = 0;
	for (unsigned i = 0; i < 2 * SLOTS && pr->count < SLOTS; i++) {
		const struct ie *ie =
			below(2) ? shape->field[below(shape->count)].ie
				 : element[below(element_count)];
		struct slot *slot = &pr->slot[pr->count];
		struct source *source = &pr->source[pr->count];
		bool aligned;

		source_find(shape, scope, ie, source);
		if (source->kind == SOURCE_NONE ||
		    source->kind == SOURCE_SCOPE)
			continue;
		slot->ie = ie;
		slot->kind = (uint8_t)slot_kind_of(ie, below(2));
		if (slot->kind == SLOT_UINT &&
		    source->kind != SOURCE_FIELD)
			continue;
		slot->width = slot_width_of(ie, slot->kind);
		aligned = slot->kind != SLOT_BYTES;
		at = aligned ? (uint16_t)((at + 7) & ~7) : at;
		if (at + slot->width > ROW)
			continue;
		slot->offset = at;
		at += slot->width;
		slot->prefix_length = -1;
		if (slot->kind == SLOT_BYTES &&
		    (ie->type == IE_IPV4_ADDRESS ||
		     ie->type == IE_IPV6_ADDRESS) && below(2))
			slot->prefix_length =
				(int16_t)below(slot->width * 8u + 1);
		slot->wire_length = slot->kind == SLOT_VAR
					    ? IE_VARIABLE
					    : ie_type_length(ie->type);
		pr->count++;
	}
}

/* ---- comparison ----------------------------------------------------------- */

static bool
same_row(const struct projection *pr, const struct shape *shape,
	 const struct batch *batch, uint32_t i, const uint8_t *row,
	 const struct var_store *strings)
{
	struct value all[FIELDS];
	uint8_t want[64];
	uint32_t length;

	split(shape, batch_record(batch, i, &length), all);
	for (unsigned s = 0; s < pr->count; s++) {
		const struct slot *slot = &pr->slot[s];
		const struct value *v = &all[pr->source[s].field];

		if (slot->kind == SLOT_VAR) {
			uint32_t handle, n;
			const uint8_t *data;

			memcpy(&handle, row + slot->offset, 4);
			data = var_data(strings, handle, &n);
			if (n != v->length || memcmp(data, v->p, n) != 0)
				return false;
			continue;
		}
		expect_row(slot, &pr->source[s], shape, all, batch, want);
		if (memcmp(want, row + slot->offset, slot->width) != 0) {
			printf("slot %u %s kind %u width %u from %s\n", s,
			       slot->ie->name, slot->kind, slot->width,
			       shape->field[pr->source[s].field].ie->name);
			return false;
		}
	}
	return true;
}

/*
 * Encoded and decoded again it must be the same row: times but for what the
 * encoding cannot hold.
 */
static bool
round_trip(const struct projection *pr, const uint8_t *rows, uint32_t count,
	   const struct scope *scope, struct var_store *strings,
	   struct shape_table *shapes)
{
	static uint8_t buffer[ENCODER_BUFFER], again[BATCH_MAX * ROW];
	const uint8_t *list[BATCH_MAX];
	uint32_t offset[BATCH_MAX + 1], taken;
	struct batch batch = {.scope = scope};
	struct encoder *encoder;
	struct decoder *decoder;
	uint8_t bad[BATCH_MAX];
	bool good = true;

	for (uint32_t i = 0; i < count; i++)
		list[i] = rows + (size_t)i * ROW;
	if (encoder_new(pr->slot, pr->count, strings, shapes, &encoder) != 0)
		return false;
	taken = encoder_run(encoder, list, count, buffer, offset, &batch);
	good = taken == count &&
	       decoder_new(batch.shape, strings, &decoder) == 0;
	if (!good)
		return false;
	for (unsigned s = 0; s < pr->count; s++) {
		struct source source = {.kind = SOURCE_FIELD,
					.field = (uint16_t)s,
					.init = SOURCE_NO_FIELD};

		good &= decoder_add(decoder, &pr->slot[s], &source) == 0;
	}
	decoder_finish(decoder);
	memset(again, 0, sizeof(again));
	decoder_run(decoder, &batch, again, ROW, bad);
	for (uint32_t i = 0; i < count; i++)
		for (unsigned s = 0; s < pr->count; s++) {
			const struct slot *slot = &pr->slot[s];
			const uint8_t *a = list[i] + slot->offset;
			const uint8_t *b = again + (size_t)i * ROW +
					   slot->offset;
			uint64_t x, y, unit = 1;

			if (slot->kind == SLOT_VAR) {
				uint32_t handle;

				memcpy(&handle, b, 4);
				var_release(strings, handle);
			}
			if (slot->kind != SLOT_TIME) {
				good &= memcmp(a, b, slot->width) == 0;
				continue;
			}
			memcpy(&x, a, 8);
			memcpy(&y, b, 8);
			if (slot->ie->type == IE_DATE_TIME_SECONDS)
				unit = 1000000000;
			else if (slot->ie->type == IE_DATE_TIME_MILLISECONDS)
				unit = 1000000;
			else if (slot->ie->type == IE_DATE_TIME_MICROSECONDS)
				unit = 1000;
			/* 32 bit seconds end, in 2106 or at NTP's 2104. */
			if (x / 1000000000 >= 4200000000u)
				continue;
			if (x / unit * unit != y) {
				printf("time %s %" PRIu64 " became %" PRIu64
				       "\n",
				       slot->ie->name, x, y);
				good = false;
			}
		}
	decoder_free(decoder);
	encoder_free(encoder);
	return good;
}

static bool
one_round(struct shape_table *shapes, struct var_store *strings)
{
	static uint8_t data[BATCH_MAX * RECORD], rows[BATCH_MAX * ROW];
	struct scope scope = {.serial = 1, .has_init = below(2),
			      .system_init_ms = 1600000000000};
	struct batch batch = {.scope = &scope,
			      .base = data,
			      .export_ms = 1700000000000};
	uint32_t offset[BATCH_MAX + 1], at = 0;
	uint8_t bad[BATCH_MAX];
	struct projection pr;
	struct decoder *decoder;
	bool good = true;

	batch.shape = random_shape(shapes);
	if (!batch.shape)
		return true;
	random_projection(&pr, batch.shape, &scope);
	batch.count = 1 + below(BATCH_MAX);
	for (uint32_t i = 0; i < batch.count; i++) {
		offset[i] = at;
		at += random_record(batch.shape, data + at);
	}
	offset[batch.count] = at;
	batch.offset = offset;
	if (!batch.shape->variable && below(4))
		batch.stride = batch.shape->min_length;
	good = pr.count == 0 ||
	       decoder_new(batch.shape, strings, &decoder) == 0;
	if (good && pr.count) {
		for (unsigned s = 0; s < pr.count; s++)
			good &= decoder_add(decoder, &pr.slot[s],
					    &pr.source[s]) == 0;
		good &= decoder_finish(decoder) == 0;
		good &= decoder_run(decoder, &batch, rows, ROW, bad) == 0;
		for (uint32_t i = 0; good && i < batch.count; i++)
			good = same_row(&pr, batch.shape, &batch, i,
					rows + (size_t)i * ROW, strings);
		good = good && round_trip(&pr, rows, batch.count, &scope,
					  strings, shapes);
		for (uint32_t i = 0; i < batch.count; i++)
			for (unsigned s = 0; s < pr.count; s++) {
				uint32_t handle;

				memcpy(&handle,
				       rows + (size_t)i * ROW +
					       pr.slot[s].offset,
				       4);
				if (pr.slot[s].kind == SLOT_VAR)
					var_release(strings, handle);
			}
		decoder_free(decoder);
	}
	shape_release(batch.shape);
	return good;
}

int
main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 3000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	struct var_store *strings = var_store_new(1 << 26);
	struct shape_table *shapes = shape_table_new(1000);
	const struct ie *ie;
	uint32_t at = 0;
	int failed = 0;

	registry = ie_registry_new(10);
	while ((ie = ie_next(registry, &at)) && element_count < 4096)
		if (ie->type != IE_UNSIGNED256)
			element[element_count++] = ie;
	for (unsigned i = 0; i < rounds; i++, seed++) {
		state = seed;
		if (!one_round(shapes, strings)) {
			printf("FAILED: seed %" PRIu64 "\n", seed);
			if (++failed == 10)
				break;
		}
	}
	if (var_store_octets(strings)) {
		printf("FAILED: %" PRIu64 " octets of strings are left\n",
		       var_store_octets(strings));
		failed++;
	}
	var_store_free(strings);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return failed != 0;
}
