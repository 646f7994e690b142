/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Shapes: one object for each different list of fields, found by hash, freed
 * with its last hold. The lengths of what lies between variable-length fields
 * are summed up when a shape is made, so walking a record costs one step for
 * each variable-length field, whatever else it has.
 */
#include "conflux/shape.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/table.h"
#include "conflux/wire.h"

struct shape_table {
	struct table table;
	uint32_t max_shapes;
	uint32_t serial;
	uint64_t seed;
};

struct key {
	const struct field *fields;
	const struct field_mark *marks; /* NULL: none */
	uint16_t count;
	uint16_t scope_count;
};

static bool
same_marks(const struct shape *shape, const struct key *key)
{
	if (!shape->mark || !key->marks)
		return !shape->mark && !key->marks;
	return memcmp(shape->mark, key->marks,
		      key->count * sizeof(*key->marks)) == 0;
}

/* Marks that say nothing are none. */
static bool
any_mark(const struct field_mark *marks, uint16_t count)
{
	for (uint16_t i = 0; marks && i < count; i++)
		if (marks[i].technique || marks[i].flags)
			return true;
	return false;
}

struct shape_table *
shape_table_new(uint32_t max_shapes)
{
	struct shape_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->max_shapes = max_shapes;
	table->seed = hash_seed();
	return table;
}

void
shape_table_free(struct shape_table *table)
{
	if (!table)
		return;
	assert(table->table.count == 0);
	table_fini(&table->table);
	free(table);
}

static bool
fields_alike(const struct shape *shape, const struct key *key)
{
	if (shape->count != key->count ||
	    shape->scope_count != key->scope_count)
		return false;
	for (uint16_t i = 0; i < key->count; i++)
		if (shape->field[i].ie != key->fields[i].ie ||
		    shape->field[i].length != key->fields[i].length)
			return false;
	return true;
}

bool
shape_alike(const struct shape *a, const struct shape *b)
{
	const struct key key = {b->field, NULL, b->count, b->scope_count};

	return fields_alike(a, &key);
}

static bool
equal_fields(const void *item, const void *arg)
{
	return fields_alike(item, arg) && same_marks(item, arg);
}

static uint32_t
hash_key(const struct shape_table *table, const struct key *key)
{
	uint64_t h = table->seed ^ key->scope_count;

	for (uint16_t i = 0; i < key->count; i++)
		h = hash_u64((uint64_t)(uintptr_t)key->fields[i].ie ^
				     (uint64_t)key->fields[i].length << 48,
			     h);
	for (uint16_t i = 0; key->marks && i < key->count; i++)
		h = hash_u64((uint64_t)key->marks[i].technique << 8 |
				     key->marks[i].flags,
			     h);
	return (uint32_t)h;
}

/* Counts variable-length fields; false if no record can have these fields. */
static bool
measure(const struct key *key, uint32_t *min_length, uint16_t *variable)
{
	*min_length = 0;
	*variable = 0;
	if (key->count == 0 || key->count > SHAPE_FIELDS_MAX ||
	    key->scope_count > key->count)
		return false;
	for (uint16_t i = 0; i < key->count; i++) {
		bool var = key->fields[i].length == IE_VARIABLE;

		*min_length += var ? 1 : key->fields[i].length;
		*variable = (uint16_t)(*variable + var);
	}
	return *min_length > 0 && *min_length <= SHAPE_RECORD_MAX;
}

static void
lay_out(struct shape *shape, const struct field *fields)
{
	uint32_t *gap = shape->gap;
	uint32_t offset = 0;

	*gap = 0;
	for (uint16_t i = 0; i < shape->count; i++) {
		struct field *field = &shape->field[i];

		field->ie = ie_hold(fields[i].ie);
		field->length = fields[i].length;
		field->offset =
			gap == shape->gap ? (uint16_t)offset : FIELD_NO_OFFSET;
		if (field->length == IE_VARIABLE) {
			*++gap = 0;
		} else {
			*gap += field->length;
			offset += field->length;
		}
	}
}

static void
release_fields(const struct shape *shape)
{
	for (uint16_t i = 0; i < shape->count; i++)
		ie_release(shape->field[i].ie);
}

int
shape_get(struct shape_table *table, const struct field *fields, uint16_t count,
	  uint16_t scope_count, const struct shape **out)
{
	return shape_get_marked(table, fields, NULL, count, scope_count, out);
}

int
shape_get_marked(struct shape_table *table, const struct field *fields,
		 const struct field_mark *marks, uint16_t count,
		 uint16_t scope_count, const struct shape **out)
{
	struct key key = {fields, any_mark(marks, count) ? marks : NULL, count,
			  scope_count};
	uint32_t min_length, hash;
	struct shape *shape;
	uint16_t variable;
	size_t size, more;
	int err;

	if (!measure(&key, &min_length, &variable))
		return -EINVAL;
	hash = hash_key(table, &key);
	shape = table_find(&table->table, hash, equal_fields, &key);
	if (shape) {
		*out = shape_hold(shape);
		return 0;
	}
	if (table->table.count >= table->max_shapes)
		return -ENOSPC;
	size = sizeof(*shape) + count * sizeof(shape->field[0]);
	more = size + (variable + 1u) * sizeof(shape->gap[0]);
	shape = malloc(more + (key.marks ? count * sizeof(*marks) : 0));
	if (!shape)
		return -ENOMEM;
	*shape = (struct shape){
		.hash = hash,
		.holds = 1,
		.serial = ++table->serial,
		.count = count,
		.scope_count = scope_count,
		.min_length = min_length,
		.variable = variable > 0,
		.variable_count = variable,
		.gap = (uint32_t *)(void *)((char *)shape + size),
		.table = table,
	};
	if (key.marks) {
		shape->mark = (struct field_mark *)(void *)((char *)shape +
							    more);
		memcpy(shape->mark, marks, count * sizeof(*marks));
	}
	lay_out(shape, fields);
	err = table_add(&table->table, hash, shape);
	if (err) {
		release_fields(shape);
		free(shape);
		return err;
	}
	*out = shape;
	return 0;
}

const struct shape *
shape_hold(const struct shape *shape)
{
	if (shape)
		((struct shape *)(uintptr_t)shape)->holds++;
	return shape;
}

void
shape_release(const struct shape *constant)
{
	struct shape *shape = (struct shape *)(uintptr_t)constant;

	if (!shape || --shape->holds)
		return;
	table_remove(&shape->table->table, shape->hash, shape);
	release_fields(shape);
	free(shape);
}

int
shape_find(const struct shape *shape, uint32_t pen, uint16_t id, unsigned n)
{
	for (uint16_t i = 0; i < shape->count; i++)
		if (shape->field[i].ie->id == id &&
		    shape->field[i].ie->pen == pen && n-- == 0)
			return i;
	return -1;
}

int
shape_record_length(const struct shape *shape, const uint8_t *p, uint32_t left)
{
	const uint32_t *gap = shape->gap;
	const uint32_t *last = gap + shape->variable_count;
	uint32_t at = 0;

	/* at stays below left, but for one step of at most 64 KiB. */
	for (; gap < last; gap++) {
		uint32_t length;

		at += *gap;
		if (at >= left)
			return -EBADMSG;
		length = p[at++];
		if (length == 255) {
			if (at + 2 > left)
				return -EBADMSG;
			length = wire_get16(p + at);
			at += 2;
		}
		at += length;
	}
	at += *gap;
	return at <= left ? (int)at : -EBADMSG;
}

void
shape_offsets(const struct shape *shape, const uint8_t *record, uint32_t *at)
{
	uint32_t offset = 0;

	for (unsigned i = 0; i < shape->count; i++) {
		uint32_t length = shape->field[i].length;

		at[i] = offset;
		if (length == IE_VARIABLE) {
			length = record[offset++];
			if (length == 255) {
				length = wire_get16(record + offset);
				offset += 2;
			}
		}
		offset += length;
	}
	at[shape->count] = offset;
}

const uint8_t *
shape_field(const struct shape *shape, int field, const uint8_t *record,
	    uint32_t size, uint32_t *length)
{
	const struct field *f;
	struct reader r;

	*length = 0;
	if (field < 0)
		return NULL;
	f = &shape->field[field];
	if (f->offset != FIELD_NO_OFFSET && f->length != IE_VARIABLE) {
		*length = f->length;
		return record + f->offset;
	}
	/* Behind a field of variable length, or one itself. */
	reader_init(&r, record, size);
	for (f = shape->field; f < &shape->field[field]; f++)
		reader_take(&r, f->length == IE_VARIABLE ? reader_varlen(&r)
							 : f->length);
	*length = f->length == IE_VARIABLE ? (uint32_t)reader_varlen(&r)
					   : f->length;
	return reader_take(&r, *length);
}

bool
shape_uint(const struct shape *shape, int field, const uint8_t *record,
	   uint32_t size, uint64_t *value)
{
	uint32_t length;
	const uint8_t *p = shape_field(shape, field, record, size, &length);

	if (!p || length < 1 || length > 8)
		return false;
	*value = wire_get_uint(p, length);
	return true;
}
