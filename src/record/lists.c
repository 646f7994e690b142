/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 6313 section 4.5: a basicList is its semantic, a field specifier and
 * elements (4.5.1), a subTemplateList its semantic, a Template id and records
 * (4.5.2), a subTemplateMultiList its semantic and parts, each with a Template
 * id, a length and records (4.5.3). Elements and records may hold lists again.
 *
 * A list that does not add up is left from the place where it fails.
 */
#include "conflux/lists.h"

#include <errno.h>

#include "conflux/wire.h"

#define DEPTH_MAX 16
#define BASIC_LIST_HEADER 5

struct walk {
	const struct ie_registry *registry;
	const uint8_t *record;
	lists_id_cb cb;
	void *arg;
};

static void walk_records(const struct walk *walk, const struct field *field,
			 uint16_t count, const uint8_t *p, const uint8_t *end,
			 unsigned depth);

static bool
is_list(const struct ie *ie)
{
	return ie->type == IE_BASIC_LIST || ie->type == IE_SUB_TEMPLATE_LIST ||
	       ie->type == IE_SUB_TEMPLATE_MULTI_LIST;
}

static bool
any_list(const struct field *field, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++)
		if (is_list(field[i].ie))
			return true;
	return false;
}

bool
lists_in(const struct shape *shape)
{
	return any_list(shape->field, shape->count);
}

int
lists_template_id(const struct shape *shape, unsigned n)
{
	int field = shape->scope_count ? shape_find(shape, 0, IE_templateId, n)
				       : -1;

	return field >= 0 && shape->field[field].length == 2 ? field : -1;
}

/* semantic, field id, length, perhaps PEN, elements. */
static void
walk_basic(const struct walk *walk, const uint8_t *p, const uint8_t *end,
	   unsigned depth)
{
	struct field field;
	uint16_t id;
	uint32_t pen = 0;

	if (end - p < BASIC_LIST_HEADER)
		return;
	id = wire_get16(p + 1);
	field.length = wire_get16(p + 3);
	p += BASIC_LIST_HEADER;
	if (id & 0x8000) {
		if (end - p < 4)
			return;
		pen = wire_get32(p);
		p += 4;
	}
	field.ie = ie_find(walk->registry, pen, id & 0x7fff);
	/* The elements are like records of one field. */
	if (field.ie && is_list(field.ie))
		walk_records(walk, &field, 1, p, end, depth);
}

static void
walk_list(const struct walk *walk, uint8_t type, const uint8_t *p,
	  const uint8_t *end, unsigned depth)
{
	const struct shape *shape;
	uint16_t length;

	if (depth == DEPTH_MAX || end - p < 3)
		return;
	if (type == IE_BASIC_LIST) {
		walk_basic(walk, p, end, depth + 1);
		return;
	}
	p++; /* semantic */
	if (type == IE_SUB_TEMPLATE_LIST) {
		shape = walk->cb(walk->arg, (size_t)(p - walk->record));
		if (shape)
			walk_records(walk, shape->field, shape->count, p + 2,
				     end, depth + 1);
		return;
	}
	/* Parts: id, length with this header, records. */
	while (end - p >= 4) {
		length = wire_get16(p + 2);
		if (length < 4 || length > end - p)
			return;
		shape = walk->cb(walk->arg, (size_t)(p - walk->record));
		if (shape)
			walk_records(walk, shape->field, shape->count, p + 4,
				     p + length, depth + 1);
		p += length;
	}
}

/* The content of a field at *p, which is moved behind it; NULL: too short. */
static const uint8_t *
take_field(const struct field *field, const uint8_t **p, const uint8_t *end,
	   uint32_t *length)
{
	const uint8_t *at = *p;

	*length = field->length;
	if (field->length == IE_VARIABLE) {
		if (end - at < 1)
			return NULL;
		*length = *at++;
		if (*length == 255) {
			if (end - at < 2)
				return NULL;
			*length = wire_get16(at);
			at += 2;
		}
	}
	if ((uint32_t)(end - at) < *length)
		return NULL;
	*p = at + *length;
	return at;
}

static void
walk_records(const struct walk *walk, const struct field *field, uint16_t count,
	     const uint8_t *p, const uint8_t *end, unsigned depth)
{
	bool lists = any_list(field, count);

	while (lists && p < end) {
		const uint8_t *before = p;

		for (uint16_t i = 0; i < count; i++) {
			uint32_t length;
			const uint8_t *at =
				take_field(&field[i], &p, end, &length);

			if (!at)
				return;
			if (is_list(field[i].ie))
				walk_list(walk, field[i].ie->type, at,
					  at + length, depth);
		}
		if (p == before)
			return;
	}
}

void
lists_walk(const struct shape *shape, const struct ie_registry *registry,
	   const uint8_t *record, uint32_t length, lists_id_cb cb, void *arg)
{
	const struct walk walk = {registry, record, cb, arg};

	walk_records(&walk, shape->field, shape->count, record, record + length,
		     0);
}

/* ---- lists that are made here -------------------------------------------- */

int
list_shapes_init(struct list_shapes *lists, const struct ie_registry *registry,
		 struct shape_table *shapes)
{
	static const uint16_t id[LIST_TEMPLATES][2] = {
		[LIST_CHAIN] = {IE_ipv6ExtensionHeaderType,
				IE_ipv6ExtensionHeaderCount},
		[LIST_CHAIN_LENGTH] = {IE_ipv6ExtensionHeadersFull,
				       IE_ipv6ExtensionHeadersChainLength},
	};
	int rc = 0;

	for (unsigned n = LIST_CHAIN; n < LIST_TEMPLATES; n++)
		lists->shape[n] = NULL;
	for (unsigned n = LIST_CHAIN; rc == 0 && n < LIST_TEMPLATES; n++) {
		struct field field[2];

		for (unsigned i = 0; rc == 0 && i < 2; i++) {
			field[i].ie = ie_find(registry, 0, id[n][i]);
			rc = field[i].ie ? 0 : -ENOENT;
			if (rc == 0)
				field[i].length = field[i].ie->length;
		}
		if (rc == 0)
			rc = shape_get(shapes, field, 2, 0, &lists->shape[n]);
	}
	if (rc < 0)
		list_shapes_fini(lists);
	return rc;
}

void
list_shapes_fini(struct list_shapes *lists)
{
	for (unsigned n = LIST_CHAIN; n < LIST_TEMPLATES; n++) {
		shape_release(lists->shape[n]);
		lists->shape[n] = NULL;
	}
}

const struct shape *
list_shapes_find(const struct scope *scope, uint16_t id)
{
	return id >= LIST_CHAIN && id < LIST_TEMPLATES
		       ? scope->list_shapes->shape[id]
		       : NULL;
}
