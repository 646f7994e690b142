/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * From the fields that go out to a program: the shape that they make, and one
 * operation for each field, or for neighbours that are copied together.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conversion.h"

enum { NO_KEY = 255 };

static bool
is_signed(const struct ie *ie)
{
	return ie->type >= IE_SIGNED8 && ie->type <= IE_SIGNED64;
}

static bool
is_octets(const struct ie *ie)
{
	return ie->type == IE_STRING || ie->type == IE_OCTET_ARRAY;
}

static bool
is_real(const struct ie *ie)
{
	return ie->type == IE_FLOAT32 || ie->type == IE_FLOAT64;
}

/* in: octets of the field that comes in. */
static enum conv_code
code_of(const struct conv_field *field, uint16_t in)
{
	const struct ie *as = field->as, *ie = field->ie;

	if (field->from == CONV_CONSTANT)
		return CONV_SET;
	if (field->from == CONV_INIT)
		return CONV_SCOPE_INIT;
	if (field->read != field->write)
		return CONV_TIME;
	if (as->type == IE_BOOLEAN && ie->type != IE_BOOLEAN)
		return CONV_FROM_BOOL;
	if (as->type != IE_BOOLEAN && ie->type == IE_BOOLEAN)
		return CONV_TO_BOOL;
	if (as->type == IE_IPV4_ADDRESS && ie->type == IE_IPV6_ADDRESS)
		return CONV_MAPPED;
	if (in == field->length)
		return CONV_COPY;
	if (is_octets(ie))
		return field->length == IE_VARIABLE ? CONV_TO_VARIABLE
						    : CONV_TO_FIXED;
	if (is_real(ie))
		return CONV_REAL;
	if (is_signed(ie))
		return CONV_SINT;
	return ie->semantics == IE_FLAGS ? CONV_FLAGS : CONV_UINT;
}

/* Can the field go with the one before it? */
static bool
fuse(struct conv_program *p, const struct conv_op *op)
{
	struct conv_op *last = p->op_count ? &p->op[p->op_count - 1] : NULL;

	if (!last || op->code != CONV_COPY || last->code != CONV_COPY ||
	    last->end != op->first)
		return false;
	last->end = op->end;
	last->in += op->in;
	last->length += op->length;
	return true;
}

/* Octets more than what the record has; a copy takes what it has. */
static uint32_t
growth(const struct conv_op *op)
{
	switch (op->code) {
	case CONV_COPY:
		return 0;
	case CONV_TO_VARIABLE:
		return 3;
	default:
		return op->length;
	}
}

static void
add_op(struct conv_program *p, const struct shape *in,
       const struct conv_field *field, const struct field *out)
{
	const struct field *from =
		field->from < 0 ? NULL : &in->field[field->from];
	struct conv_op op = {
		.to = out->offset,
		.length = field->length,
		.read = (uint8_t)field->read,
		.write = (uint8_t)field->write,
		.text = field->ie->type == IE_STRING,
		.init = -1,
	};
	int init;

	op.code = code_of(field, from ? from->length : 0);
	if (from) {
		op.first = (uint16_t)field->from;
		op.end = (uint16_t)(op.first + 1);
		op.from = from->offset;
		op.in = from->length;
		op.varies = from->length == IE_VARIABLE;
	}
	if (op.code == CONV_SET) {
		op.octets = field->rule->octets;
		op.length = field->rule->count;
	}
	if (op.code == CONV_TIME &&
	    (op.read == CONV_UPTIME || op.write == CONV_UPTIME)) {
		init = shape_find(in, 0, IE_systemInitTimeMilliseconds, 0);
		if (init >= 0 && in->field[init].length == 8) {
			op.init = init;
			op.init_from = in->field[init].offset;
		}
	}
	p->more += growth(&op);
	if (!fuse(p, &op))
		p->op[p->op_count++] = op;
}

static void
place_keys(struct conv_program *p, const struct conv_layout *layout)
{
	memset(p->key, NO_KEY, sizeof(p->key));
	for (unsigned i = 0; i < layout->count && i < 64; i++)
		if (layout->field[i].from >= 0 && layout->field[i].from < 64)
			p->key[i] = (uint8_t)layout->field[i].from;
}

static bool
keeps_places(const struct conv_layout *layout, const struct shape *shape)
{
	for (unsigned i = 0; i < shape->count; i++)
		if (i >= layout->count || layout->field[i].from != (int)i)
			return false;
	return true;
}

/* Is the record that goes out the one that came in? */
static bool
is_same(const struct conv_program *p, const struct shape *shape)
{
	return p->out == shape && p->op_count == 1 &&
	       p->op[0].code == CONV_COPY && p->op[0].first == 0 &&
	       p->op[0].end == shape->count;
}

static int
make_shape(struct conv_program *p, const struct conv_layout *layout,
	   struct shape_table *shapes)
{
	struct field *field = calloc(layout->count + 1, sizeof(*field));
	struct field_mark *mark = calloc(layout->count + 1, sizeof(*mark));
	uint32_t octets = 0;
	int rc = -ENOMEM;

	for (unsigned i = 0; field && mark && i < layout->count; i++) {
		field[i].ie = layout->field[i].ie;
		field[i].length = layout->field[i].length;
		mark[i] = layout->field[i].mark;
		octets += field[i].length;
	}
	p->loss = octets ? LOSS_TOO_LONG : LOSS_NO_FIELD;
	if (field && mark)
		rc = shape_get_marked(shapes, field, mark,
				      (uint16_t)layout->count,
				      layout->scope_count, &p->out);
	free(field);
	free(mark);
	return rc == -EINVAL ? 0 : rc; /* see loss */
}

static int
make(struct conv_program *p, const struct conv_layout *layout,
     const struct shape *shape, struct shape_table *shapes)
{
	bool only_scope =
		shape->scope_count > 0 && layout->count == shape->scope_count;
	int rc;

	p->loss = LOSS_NO_FIELD;
	memcpy(p->kept, layout->kept, sizeof(p->kept));
	p->first_kept = layout->first_kept;
	/* An Options Record that says nothing of its scope is none. */
	if (layout->count == 0 ||
	    (only_scope && shape->count > shape->scope_count))
		return 0;
	rc = make_shape(p, layout, shapes);
	if (rc < 0 || !p->out)
		return rc;
	p->op = calloc(layout->count, sizeof(*p->op));
	if (!p->op)
		return -ENOMEM;
	for (unsigned i = 0; i < layout->count; i++)
		add_op(p, shape, &layout->field[i], &p->out->field[i]);
	p->column = !shape->variable && !p->out->variable;
	p->placed = keeps_places(layout, shape);
	p->same = is_same(p, shape);
	place_keys(p, layout);
	return 0;
}

int
conv_program_new(const struct conv_rules *rules, struct shape_table *shapes,
		 const struct shape *shape, bool has_init,
		 struct conv_program **out)
{
	struct conv_program *p = calloc(1, sizeof(*p));
	struct conv_layout layout = {.field = NULL};
	int rc = -ENOMEM;

	if (p)
		rc = conv_layout_make(rules, shape, has_init, &layout);
	if (rc == 0)
		rc = make(p, &layout, shape, shapes);
	conv_layout_fini(&layout);
	if (rc < 0) {
		if (p)
			conv_program_free(&p->made);
		return rc;
	}
	*out = p;
	return 0;
}

void
conv_program_free(struct shape_made *made)
{
	struct conv_program *p = (struct conv_program *)made;

	shape_release(p->out);
	free(p->op);
	free(p);
}

uint64_t
conv_program_keys(struct conv_program *p, uint64_t keys)
{
	uint64_t out = 0;

	if (keys == p->keys_in)
		return p->keys_out;
	for (unsigned i = 0; i < 64; i++)
		if (p->key[i] != NO_KEY)
			out |= (keys >> p->key[i] & 1) << i;
	p->keys_in = keys;
	p->keys_out = out;
	return out;
}
