/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree to a program for records of one shape from one class of scopes.
 *
 * First each node is decided as far as the shape alone decides it: a term whose
 * elements the records lack is false. What stays open becomes code: a decoder
 * (conflux/projection.h) brings the elements that are looked at, and no others,
 * into rows; they are made numbers that sort as unsigned ones; then tests write
 * registers of one octet a record, which are joined. A test whose outcome
 * matters for no record of the batch is jumped over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct column {
	const struct ie *ie;
	enum part part;
	uint16_t offset;
};

struct compiler {
	struct filter *filter;
	struct program *program;
	const struct batch *batch; /* an example of what comes */
	unsigned column_count;
	struct column column[COLUMNS_MAX];
};

/* ---- what there is ----------------------------------------------------- */

static const struct ie *
iana(const struct compiler *c, uint16_t id)
{
	return ie_find(c->filter->registry, 0, id);
}

static bool
has(const struct compiler *c, const struct ie *ie)
{
	struct source source;

	source_find(c->batch->shape, c->batch->scope, ie, &source);
	return source.kind != SOURCE_NONE;
}

static bool
has_id(const struct compiler *c, uint16_t id)
{
	return has(c, iana(c, id));
}

static bool
has_duration(const struct compiler *c)
{
	return has_id(c, IE_flowDurationMilliseconds) ||
	       has_id(c, IE_flowDurationMicroseconds) ||
	       (has_id(c, IE_flowStartNanoseconds) &&
		has_id(c, IE_flowEndNanoseconds));
}

/* Delta counters, or total ones where the records have these. */
static const struct ie *
counter(const struct compiler *c, bool octets)
{
	const struct ie *delta =
		iana(c, octets ? IE_octetDeltaCount : IE_packetDeltaCount);
	const struct ie *total =
		iana(c, octets ? IE_octetTotalCount : IE_packetTotalCount);

	return has(c, delta) ? delta : has(c, total) ? total : NULL;
}

static bool
has_operand(const struct compiler *c, const struct operand *operand)
{
	const struct shape *shape = c->batch->shape;

	switch (operand->part) {
	case PART_DURATION:
		return has_duration(c);
	case PART_BIT_RATE:
		return has_duration(c) && counter(c, true);
	case PART_PACKET_RATE:
		return has_duration(c) && counter(c, false);
	case PART_PACKET_SIZE:
		return counter(c, true) && counter(c, false);
	default:
		break;
	}
	/* Text is compared where it is. */
	if (is_text(operand->ie))
		return shape_find(shape, operand->ie->pen, operand->ie->id,
				  0) >= 0;
	return has(c, operand->ie);
}

static const struct operand *
find_operand(const struct compiler *c, const struct group *group)
{
	for (unsigned i = 0; i < group->operand_count; i++)
		if (has_operand(c, &group->operand[i]))
			return &group->operand[i];
	return NULL;
}

/* ---- what the shape decides -------------------------------------------- */

static enum outcome
decide_exists(const struct compiler *c, const struct term *term)
{
	const struct ie *ie =
		LIST(group, c->filter->groups)[term->group].operand[0].ie;

	return shape_find(c->batch->shape, ie->pen, ie->id, 0) >= 0
		       ? OUTCOME_TRUE
		       : OUTCOME_FALSE;
}

static bool
can_be(const struct term *term, const struct group *group)
{
	return group->count > 0 || term->test == TEST_ALL_BITS ||
	       term->test == TEST_ANY_BITS;
}

static enum outcome
decide_term(const struct compiler *c, const struct term *term)
{
	const struct group *group =
		LIST(group, c->filter->groups) + term->group;
	bool there = false;

	if (term->test == TEST_EXISTS)
		return decide_exists(c, term);
	for (uint32_t i = 0; i < term->group_count; i++) {
		if (!find_operand(c, &group[i]))
			continue;
		there = true;
		if (can_be(term, &group[i]))
			return OUTCOME_OPEN;
	}
	return there && term->negated ? OUTCOME_TRUE : OUTCOME_FALSE;
}

static enum outcome
decide_chain(const struct node *nodes, const struct node *node)
{
	enum outcome deciding =
		node->kind == NODE_AND ? OUTCOME_FALSE : OUTCOME_TRUE;
	enum outcome outcome =
		node->kind == NODE_AND ? OUTCOME_TRUE : OUTCOME_FALSE;

	for (uint32_t i = node->first; i != NO_NODE; i = nodes[i].next) {
		if (nodes[i].outcome == deciding)
			return deciding;
		if (nodes[i].outcome == OUTCOME_OPEN)
			outcome = OUTCOME_OPEN;
	}
	return outcome;
}

static enum outcome
decide(const struct compiler *c, const struct node *node)
{
	const struct node *nodes = LIST(node, c->filter->nodes);
	enum outcome outcome;

	switch (node->kind) {
	case NODE_ANY:
		return OUTCOME_TRUE;
	case NODE_TERM:
		return decide_term(c,
				   LIST(term, c->filter->terms) + node->first);
	case NODE_NOT:
		outcome = nodes[node->first].outcome;
		return outcome == OUTCOME_OPEN	  ? OUTCOME_OPEN
		       : outcome == OUTCOME_FALSE ? OUTCOME_TRUE
						  : OUTCOME_FALSE;
	case NODE_AND:
	case NODE_OR:
		break;
	}
	return decide_chain(nodes, node);
}

/* ---- columns ----------------------------------------------------------- */

static int
op_add(struct list *ops, const struct code_op *op)
{
	struct code_op *to = list_add(ops, 1, sizeof(*to));

	if (!to)
		return -ENOMEM;
	*to = *op;
	return 0;
}

/*
 * Columns are made before all tests: one that is first asked for behind a jump
 * may be asked for again where it leads.
 */
static int
convert(struct compiler *c, enum code code, int a, int b, int out)
{
	struct code_op op = {
		.code = code,
		.a = (uint16_t)a,
		.b = (uint16_t)b,
		.out = (uint16_t)out,
	};
	int rc = op_add(&c->program->columns, &op);

	return rc < 0 ? rc : out;
}

/* Octets of the row for a new column. */
static int
column_add(struct compiler *c, const struct ie *ie, enum part part,
	   uint16_t width)
{
	struct column *column = &c->column[c->column_count];

	if (c->column_count == COLUMNS_MAX)
		return -ENOSPC;
	*column = (struct column){ie, part, (uint16_t)c->program->stride};
	c->program->stride += width;
	c->column_count++;
	return column->offset;
}

static struct slot
slot_of(const struct ie *ie, uint16_t offset)
{
	struct slot slot = {
		.ie = ie,
		.kind = SLOT_UINT,
		.prefix_length = -1,
		.offset = offset,
		.width = 8,
		.wire_length = ie->length,
	};

	if (ie_is_time(ie))
		slot.kind = SLOT_TIME;
	else if (ie->type == IE_IPV4_ADDRESS || ie->type == IE_IPV6_ADDRESS ||
		 ie->type == IE_MAC_ADDRESS)
		slot.kind = SLOT_BYTES, slot.width = ie_type_length(ie->type);
	else if (ie->type == IE_FLOAT32 || ie->type == IE_FLOAT64)
		slot.kind = SLOT_BYTES;
	return slot;
}

/* From how the slot holds it to a number that sorts as an unsigned one. */
static int
to_number(struct compiler *c, const struct ie *ie, int offset)
{
	switch (ie->type) {
	case IE_IPV4_ADDRESS:
		return convert(c, CODE_WORD, offset, 0, offset);
	case IE_MAC_ADDRESS:
		return convert(c, CODE_MAC, offset, 0, offset);
	case IE_IPV6_ADDRESS:
		return convert(c, CODE_WIDE, offset, 0, offset);
	case IE_FLOAT32:
	case IE_FLOAT64:
		return convert(c, CODE_REAL, offset, 0, offset);
	case IE_SIGNED8:
	case IE_SIGNED16:
	case IE_SIGNED32:
	case IE_SIGNED64:
		return convert(c, CODE_SIGN, offset, 0, offset);
	default:
		return offset;
	}
}

/* The column that the decoder fills with an element: its place in the row. */
static int
element_column(struct compiler *c, const struct ie *ie)
{
	bool is_wide = ie->type == IE_IPV6_ADDRESS;
	struct source source;
	struct slot slot;
	int offset, rc;

	for (unsigned i = 0; i < c->column_count; i++)
		if (c->column[i].ie == ie && c->column[i].part == PART_WHOLE)
			return c->column[i].offset;
	offset = column_add(c, ie, PART_WHOLE, is_wide ? 16 : 8);
	if (offset < 0)
		return offset;
	source_find(c->batch->shape, c->batch->scope, ie, &source);
	slot = slot_of(ie, (uint16_t)offset);
	rc = decoder_add(c->program->decoder, &slot, &source);
	return rc < 0 ? rc : to_number(c, ie, offset);
}

/* A new column, of one or two others; each may be an error. */
static int
derived_column(struct compiler *c, const struct operand *operand,
	       enum code code, int a, int b)
{
	int out;

	if (a < 0 || b < 0)
		return a < 0 ? a : b;
	out = column_add(c, operand->ie, operand->part, 8);
	return out < 0 ? out : convert(c, code, a, b, out);
}

/* Milliseconds, of whole ones where it is the time between two times. */
static int
duration_column(struct compiler *c)
{
	static const struct operand duration = {NULL, PART_DURATION};
	int start, end;

	for (unsigned i = 0; i < c->column_count; i++)
		if (c->column[i].part == PART_DURATION)
			return c->column[i].offset;
	if (has_id(c, IE_flowDurationMilliseconds))
		return element_column(c, iana(c, IE_flowDurationMilliseconds));
	if (has_id(c, IE_flowDurationMicroseconds))
		return derived_column(
			c, &duration, CODE_MICROSECONDS,
			element_column(c, iana(c, IE_flowDurationMicroseconds)),
			0);
	start = element_column(c, iana(c, IE_flowStartNanoseconds));
	end = element_column(c, iana(c, IE_flowEndNanoseconds));
	return derived_column(c, &duration, CODE_DIFFERENCE, start, end);
}

static int
operand_column(struct compiler *c, const struct operand *operand)
{
	for (unsigned i = 0; i < c->column_count; i++)
		if (c->column[i].ie == operand->ie &&
		    c->column[i].part == operand->part)
			return c->column[i].offset;
	switch (operand->part) {
	case PART_WHOLE:
		break;
	case PART_HIGH:
		return derived_column(c, operand, CODE_HIGH,
				      element_column(c, operand->ie), 0);
	case PART_LOW:
		return derived_column(c, operand, CODE_LOW,
				      element_column(c, operand->ie), 0);
	case PART_DURATION:
		return duration_column(c);
	case PART_BIT_RATE:
		return derived_column(c, operand, CODE_BITS,
				      element_column(c, counter(c, true)),
				      duration_column(c));
	case PART_PACKET_RATE:
		return derived_column(c, operand, CODE_RATE,
				      element_column(c, counter(c, false)),
				      duration_column(c));
	case PART_PACKET_SIZE:
		return derived_column(c, operand, CODE_RATIO,
				      element_column(c, counter(c, true)),
				      element_column(c, counter(c, false)));
	}
	return element_column(c, operand->ie);
}

/* ---- tests ------------------------------------------------------------- */

static enum code
range_code(const struct group *group, const struct operand *operand)
{
	if (operand->part == PART_WHOLE && operand->ie->type == IE_IPV6_ADDRESS)
		return CODE_WIDE_RANGES;
	return group->count == 1 ? CODE_RANGE : CODE_RANGES;
}

static int
emit_test(struct compiler *c, const struct term *term,
	  const struct group *group, const struct operand *operand,
	  unsigned reg)
{
	struct code_op op = {
		.reg = (uint16_t)reg,
		.first = group->first,
		.count = group->count,
		.min = term->mask,
	};
	int column = 0;

	if (term->test == TEST_PATTERN)
		op.field = (uint16_t)shape_find(
			c->batch->shape, operand->ie->pen, operand->ie->id, 0);
	else
		column = operand_column(c, operand);
	if (column < 0)
		return column;
	op.a = (uint16_t)column;
	switch (term->test) {
	case TEST_RANGE:
		op.code = range_code(group, operand);
		op.range = LIST(range, c->filter->ranges) + group->first;
		op.min = op.range->min.lo;
		op.width = op.range->max.lo - op.min;
		break;
	case TEST_ALL_BITS:
		op.code = CODE_ALL_BITS;
		break;
	case TEST_ANY_BITS:
		op.code = CODE_ANY_BITS;
		break;
	case TEST_PATTERN:
	case TEST_EXISTS:
		op.code = CODE_PATTERN;
		break;
	}
	return op_add(&c->program->tests, &op);
}

static int
emit_register(struct compiler *c, enum code code, unsigned reg)
{
	struct code_op op = {.code = code, .reg = (uint16_t)reg};

	return op_add(&c->program->tests, &op);
}

static int
emit_term(struct compiler *c, const struct term *term, unsigned reg)
{
	const struct group *group =
		LIST(group, c->filter->groups) + term->group;
	unsigned done = 0;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < term->group_count; i++) {
		const struct operand *operand = find_operand(c, &group[i]);

		if (!operand || !can_be(term, &group[i]))
			continue;
		rc = emit_test(c, term, &group[i], operand, reg + (done > 0));
		if (rc == 0 && done++ > 0)
			rc = emit_register(c, CODE_OR, reg);
	}
	if (rc == 0 && term->negated)
		rc = emit_register(c, CODE_NOT, reg);
	return rc;
}

static int emit(struct compiler *c, const struct node *node, unsigned reg);

/* All skips of the chain end behind it. */
static void
set_targets(struct compiler *c, uint32_t from, unsigned reg)
{
	struct code_op *op = LIST(code_op, c->program->tests);
	uint32_t end = c->program->tests.count;

	for (uint32_t i = from; i < end; i++)
		if ((op[i].code == CODE_SKIP_NONE ||
		     op[i].code == CODE_SKIP_ALL) &&
		    op[i].reg == reg && op[i].first == 0)
			op[i].first = end;
}

static int
emit_chain(struct compiler *c, const struct node *node, unsigned reg)
{
	const struct node *nodes = LIST(node, c->filter->nodes);
	bool and = node->kind == NODE_AND;
	uint32_t from = c->program->tests.count;
	unsigned done = 0;
	int rc = 0;

	for (uint32_t i = node->first; rc == 0 && i != NO_NODE;
	     i = nodes[i].next) {
		if (nodes[i].outcome != OUTCOME_OPEN)
			continue;
		if (done)
			rc = emit_register(
				c, and? CODE_SKIP_NONE : CODE_SKIP_ALL, reg);
		if (rc == 0)
			rc = emit(c, &nodes[i], reg + (done > 0));
		if (rc == 0 && done++ > 0)
			rc = emit_register(c, and? CODE_AND : CODE_OR, reg);
	}
	set_targets(c, from, reg);
	return rc;
}

static int
emit(struct compiler *c, const struct node *node, unsigned reg)
{
	int rc;

	switch (node->kind) {
	case NODE_TERM:
		return emit_term(c, LIST(term, c->filter->terms) + node->first,
				 reg);
	case NODE_NOT:
		rc = emit(c, LIST(node, c->filter->nodes) + node->first, reg);
		return rc < 0 ? rc : emit_register(c, CODE_NOT, reg);
	default:
		return emit_chain(c, node, reg);
	}
}

/* ---- the program ------------------------------------------------------- */

void
program_free(struct program *program)
{
	if (!program)
		return;
	decoder_free(program->decoder);
	free(program->columns.item);
	free(program->tests.item);
	free(program);
}

static int
emit_all(struct compiler *c, const struct node *root)
{
	struct program *program = c->program;
	int rc = decoder_new(c->batch->shape, NULL, &program->decoder);

	if (rc == 0)
		rc = emit(c, root, 0);
	if (rc == 0)
		rc = decoder_finish(program->decoder);
	return rc;
}

static int
make_room(struct filter *filter, const struct program *program)
{
	size_t size = (size_t)program->stride * BATCH_MAX;
	uint8_t *rows;

	if (size <= filter->rows_size)
		return 0;
	rows = realloc(filter->rows, size);
	if (!rows)
		return -ENOMEM;
	filter->rows = rows;
	filter->rows_size = size;
	return 0;
}

int
program_new(struct filter *filter, const struct batch *batch,
	    struct program **out)
{
	struct node *node = LIST(node, filter->nodes);
	struct program *program = calloc(1, sizeof(*program));
	struct compiler c = {
		.filter = filter,
		.program = program,
		.batch = batch,
	};
	int rc = 0;

	if (!program)
		return -ENOMEM;
	for (uint32_t i = 0; i < filter->nodes.count; i++)
		node[i].outcome = decide(&c, &node[i]);
	program->outcome = node[filter->root].outcome;
	if (program->outcome == OUTCOME_OPEN)
		rc = emit_all(&c, &node[filter->root]);
	if (rc == 0)
		rc = make_room(filter, program);
	if (rc < 0) {
		program_free(program);
		return rc;
	}
	*out = program;
	return 0;
}
