/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Template ids within records.
 *
 * RFC 6313 section 4.5: a subTemplateList names a Template of its session and
 * domain for the records in it, a subTemplateMultiList one for each of its
 * parts; a basicList may hold such lists as elements. The ids are the
 * sender's. Our Templates have ids of our own, so each id in a list is replaced
 * by that of our Template of the same shape, which then goes out before the
 * data like any other. Nothing else of a list is changed, and its length stays.
 *
 * An id that the sender has not defined becomes one that nobody has defined,
 * for it could be the id of quite another Template of ours. A list that does
 * not add up is left as it is from the place where it fails.
 */
#include <stdlib.h>

#include "exporting.h"

#define DEPTH_MAX 16
#define USES_MAX 256
#define BASIC_LIST_HEADER 5

struct rewrite {
	struct out_template *user;
	const struct scope *scope;
};

static void rewrite_records(const struct rewrite *rw,
			    const struct field *field, uint16_t count,
			    uint8_t *p, uint8_t *end, unsigned depth);

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

/* Remembers what the lists of this Template name; false: no room. */
static bool
add_use(struct out_template *user, struct out_template *used)
{
	struct out_template **uses = user->uses;

	for (uint16_t i = 0; i < user->uses_count; i++)
		if (uses[i] == used)
			return true;
	if (user == used)
		return true;
	if (user->uses_count == USES_MAX)
		return false;
	if ((user->uses_count & (user->uses_count - 1)) == 0) {
		size_t size = user->uses_count ? user->uses_count * 2u : 1;

		uses = realloc(uses, size * sizeof(struct out_template *));
		if (!uses)
			return false;
		user->uses = uses;
	}
	uses[user->uses_count++] = used;
	used->used = true;
	return true;
}

/* Replaces the id at p; the shape it stands for, or NULL. */
static const struct shape *
rewrite_id(const struct rewrite *rw, uint8_t *p)
{
	struct channel *c = rw->user->channel;
	uint16_t id = wire_get16(p);
	const struct shape *shape = rw->scope->template_shape(rw->scope, id);
	struct out_template *t = NULL;

	/* Nothing may have to make room now: a message is being filled. */
	if (shape && channel_template_room(c))
		t = channel_template_own(c, shape);
	if (t && (t->too_long || !add_use(rw->user, t)))
		t = NULL;
	wire_put16(p, t ? t->id : ID_UNKNOWN);
	return shape;
}

/* semantic, field id, length, perhaps PEN, elements. */
static void
rewrite_basic(const struct rewrite *rw, uint8_t *p, uint8_t *end,
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
	field.ie = ie_find(rw->user->channel->sink->exporting->registry, pen,
			   id & 0x7fff);
	/* The elements are like records of one field. */
	if (field.ie && is_list(field.ie))
		rewrite_records(rw, &field, 1, p, end, depth);
}

static void
rewrite_list(const struct rewrite *rw, uint8_t type, uint8_t *p, uint8_t *end,
	     unsigned depth)
{
	const struct shape *shape;
	uint16_t length;

	if (depth == DEPTH_MAX || end - p < 3)
		return;
	if (type == IE_BASIC_LIST) {
		rewrite_basic(rw, p, end, depth + 1);
		return;
	}
	p++; /* semantic */
	if (type == IE_SUB_TEMPLATE_LIST) {
		shape = rewrite_id(rw, p);
		if (shape)
			rewrite_records(rw, shape->field, shape->count, p + 2,
					end, depth + 1);
		return;
	}
	/* Parts: id, length with this header, records. */
	while (end - p >= 4) {
		length = wire_get16(p + 2);
		if (length < 4 || length > end - p)
			return;
		shape = rewrite_id(rw, p);
		if (shape)
			rewrite_records(rw, shape->field, shape->count, p + 4,
					p + length, depth + 1);
		p += length;
	}
}

/* The content of a field at *p, which is moved behind it; NULL: too short. */
static uint8_t *
take_field(const struct field *field, uint8_t **p, uint8_t *end,
	   uint32_t *length)
{
	uint8_t *at = *p;

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
rewrite_records(const struct rewrite *rw, const struct field *field,
		uint16_t count, uint8_t *p, uint8_t *end, unsigned depth)
{
	bool lists = any_list(field, count);

	while (lists && p < end) {
		uint8_t *before = p;

		for (uint16_t i = 0; i < count; i++) {
			uint32_t length;
			uint8_t *at = take_field(&field[i], &p, end, &length);

			if (!at)
				return;
			if (is_list(field[i].ie))
				rewrite_list(rw, field[i].ie->type, at,
					     at + length, depth);
		}
		if (p == before)
			return;
	}
}

void
lists_rewrite(struct out_template *t, const struct scope *scope,
	      uint8_t *record, uint32_t length)
{
	const struct rewrite rw = {t, scope};

	rewrite_records(&rw, t->shape->field, t->shape->count, record,
			record + length, 0);
}
