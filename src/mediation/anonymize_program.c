/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * From rules to a program for records of one shape: which fields stay, and what
 * is done to which of them. RFC 6235 section 7.2.1: a field that is to be
 * hidden as a whole is not exported at all.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "anonymize.h"
#include "conflux/projection.h"

/* While it is made. */
struct making {
	const struct anon_stage *stage;
	const struct shape *shape; /* that comes in */
	struct anon_program *program;
	struct field *field; /* of the output */
	struct field_mark *mark;
	uint16_t count, scope_count;
};

static const enum anon_code codes[ANONYMIZE_METHODS] = {
	[ANONYMIZE_TRUNCATION] = ANON_MASK,
	[ANONYMIZE_REVERSE_TRUNCATION] = ANON_MASK,
	[ANONYMIZE_PERMUTATION] = ANON_PERMUTE,
	[ANONYMIZE_PREFIX_PRESERVING] = ANON_PREFIX,
	[ANONYMIZE_STRUCTURED] = ANON_PERMUTE_MAC,
	[ANONYMIZE_PRECISION] = ANON_UNITS,
	[ANONYMIZE_BINNING] = ANON_BINS,
	[ANONYMIZE_VALUE] = ANON_SET,
	[ANONYMIZE_ENUMERATION] = ANON_TIME_ORDER,
	[ANONYMIZE_SHIFT] = ANON_TIME_SHIFT,
	[ANONYMIZE_NOISE] = ANON_NOISE,
};

/* The bits that stay, of that many octets. */
static void
make_mask(struct anon_op *op)
{
	unsigned bits = op->length * 8u, n = op->rule->bits;
	bool reverse = op->rule->method == ANONYMIZE_REVERSE_TRUNCATION;

	for (unsigned i = 0; i < bits; i++)
		if (reverse ? i >= n : i < bits - n)
			op->octets[i / 8] |= (uint8_t)(0x80 >> i % 8);
}

/* False: it can't be done to this field. */
static bool
add_op(struct making *m, const struct field *field,
       const struct anon_rule *rule)
{
	struct anon_op *op = &m->program->op[m->program->op_count];

	if (field->length == IE_VARIABLE || field->length > 16)
		return false;
	*op = (struct anon_op){
		.code = codes[rule->method],
		.field = m->count,
		.length = field->length,
		.type = field->ie->type,
		.rule = rule,
	};
	if (op->code == ANON_UNITS && ie_is_time(field->ie))
		op->code = ANON_TIME_UNITS;
	if (op->code == ANON_MASK)
		make_mask(op);
	if (op->code == ANON_SET &&
	    anon_value_parse(field->ie, rule->value, field->length,
			     op->octets) < 0)
		return false;
	m->program->op_count++;
	return true;
}

/* False: the field is left out. */
static bool
keep_field(struct making *m, uint16_t i)
{
	const struct anon_stage *s = m->stage;
	const struct shape *in = m->shape;
	const struct field *field = &in->field[i];
	const struct anon_rule *rule =
		anon_rule_find(s->rule, s->rule_count, field->ie);
	bool kept;

	if (rule && rule->method == ANONYMIZE_REMOVE)
		return false;
	if (!rule)
		kept = !anon_is_hidden(s->rule, s->rule_count, field->ie,
				       s->keep_unknown);
	else
		kept = rule->method == ANONYMIZE_NONE || add_op(m, field, rule);
	if (!kept) {
		if (!m->program->hidden++)
			m->program->first_hidden = i;
		return false;
	}
	m->field[m->count] = *field;
	if (rule)
		m->mark[m->count] = anon_rule_mark(rule);
	else
		m->mark[m->count] = shape_mark(in, i);
	m->count++;
	m->scope_count += i < in->scope_count;
	return true;
}

static void
add_piece(struct anon_program *p, const struct field *field, uint16_t i)
{
	struct anon_piece *last =
		p->piece_count ? &p->piece[p->piece_count - 1] : NULL;

	if (last && last->field + last->count == i) {
		last->count++;
		last->length += field->length;
		return;
	}
	p->piece[p->piece_count++] = (struct anon_piece){
		.from = field->offset,
		.length = field->length,
		.field = i,
		.count = 1,
	};
}

static int
make_shape(struct making *m)
{
	struct anon_program *p = m->program;
	int rc;

	/* An Options Record without scope says nothing of anything. */
	if (m->count == 0 || (m->shape->scope_count && !m->scope_count)) {
		p->op_count = 0;
		return 0;
	}
	rc = shape_get_marked(m->stage->shapes, m->field, m->mark, m->count,
			      m->scope_count, &p->out);
	return rc == -EINVAL ? 0 : rc; /* fields without octets */
}

static int
make(struct making *m)
{
	struct anon_program *p = m->program;
	uint16_t count = m->shape->count;

	p->op = calloc(count, sizeof(*p->op));
	p->piece = calloc(count, sizeof(*p->piece));
	m->field = calloc(count, sizeof(*m->field));
	m->mark = calloc(count, sizeof(*m->mark));
	if (!p->op || !p->piece || !m->field || !m->mark)
		return -ENOMEM;
	for (uint16_t i = 0; i < count; i++)
		if (keep_field(m, i)) {
			add_piece(p, &m->shape->field[i], i);
			if (i < 64)
				p->kept |= UINT64_C(1) << i;
		}
	p->whole = m->count == count;
	return make_shape(m);
}

int
anon_program_new(const struct anon_stage *stage, const struct shape *shape,
		 struct anon_program **out)
{
	struct making m = {
		.stage = stage,
		.shape = shape,
		.program = calloc(1, sizeof(*m.program)),
	};
	int rc;

	if (!m.program)
		return -ENOMEM;
	rc = make(&m);
	free(m.field);
	free(m.mark);
	if (rc < 0) {
		anon_program_free(&m.program->made);
		return rc;
	}
	*out = m.program;
	return 0;
}

void
anon_program_free(struct shape_made *made)
{
	struct anon_program *program = (struct anon_program *)made;

	shape_release(program->out);
	free(program->op);
	free(program->piece);
	free(program);
}
