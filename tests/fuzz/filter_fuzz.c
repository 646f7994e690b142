/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter expression up to a NUL, then the number of fields and these (element
 * and length, two octets each), then records of them for it to work on.
 */
#include <stdlib.h>
#include <string.h>

#include "conflux/filter.h"
#include "conflux/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS = 32, TEXT = 4096 };

struct state {
	struct ie_registry *registry;
	struct shape_table *shapes;
};

static const struct shape *
read_shape(const struct state *state, struct reader *r)
{
	const struct shape *shape = NULL;
	const struct ie *met[FIELDS];
	struct field field[FIELDS];
	uint16_t count = reader_u8(r) % FIELDS, n = 0;

	for (; n < count && !r->failed; n++) {
		uint16_t id = reader_u16(r);

		field[n].length = reader_u16(r);
		met[n] = field[n].ie = ie_meet(state->registry,
					       id & 0x8000 ? IE_PEN_REVERSE : 0,
					       id & 0x7fff, field[n].length);
		if (!met[n])
			break;
	}
	if (n && !r->failed &&
	    shape_get(state->shapes, field, n, 0, &shape) < 0)
		shape = NULL;
	while (n)
		ie_release(met[--n]);
	return shape;
}

static void
run(struct filter *filter, const struct shape *shape, struct reader *r)
{
	struct scope scope = {.serial = 1, .has_init = true};
	uint32_t offset[BATCH_MAX + 1] = {0}, index[BATCH_MAX];
	struct batch batch = {.shape = shape, .scope = &scope, .base = r->p};
	const uint8_t *p = r->p;
	uint32_t left = (uint32_t)reader_left(r);

	while (batch.count < BATCH_MAX && left >= shape->min_length) {
		int length = shape_record_length(shape, p, left);

		if (length <= 0)
			break;
		p += length;
		left -= (uint32_t)length;
		offset[++batch.count] = (uint32_t)(p - r->p);
	}
	if (!batch.count)
		return;
	if (shape->variable)
		batch.offset = offset;
	else
		batch.stride = shape->min_length;
	if (filter_run(filter, &batch, index) > (int)batch.count)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, 0, size);
	struct filter_error error;
	struct filter *filter;
	struct state state;
	char text[TEXT];
	size_t length = end ? (size_t)(end - data) : size;

	if (length >= TEXT)
		return 0;
	memcpy(text, data, length);
	text[length] = 0;
	state.registry = ie_registry_new(64);
	state.shapes = shape_table_new(8);
	if (filter_new(text, state.registry, &filter, &error) == 0) {
		const struct shape *shape = NULL;
		struct reader r;

		if (end) {
			reader_init(&r, end + 1, size - length - 1);
			shape = read_shape(&state, &r);
		}
		if (shape)
			run(filter, shape, &r);
		shape_release(shape);
		filter_free(filter);
	} else if (!error.text || error.line == 0 || error.column == 0) {
		abort();
	} else {
		free(error.text);
	}
	shape_table_free(state.shapes);
	ie_registry_free(state.registry);
	return 0;
}
