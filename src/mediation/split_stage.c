/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Biflows to uniflows, for collectors that know no biflows. RFC 5103 section 3
 * has the values of the reverse direction in elements of PEN 29305, and one set
 * of key fields for both; a record without such elements is none and passes as
 * it came. A biflow becomes
 *
 *   - a record of the forward direction: all fields but those of the reverse
 *     direction and biflowDirection, which is of biflows alone;
 *   - a record of the reverse direction: what was of PEN 29305 is the plain
 *     element; source and destination, ingress and egress have changed places
 *     (direction_counterpart); a plain field that has no reverse is there if it
 *     tells of both directions (direction_is_of_both) or is a Flow Key.
 *
 * The second has the order of the first, so that mostly one Template will do
 * for both. A direction that says itself that it has not one packet (or octet)
 * gives no record, if the other one has some.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/direction.h"
#include "conflux/mediation.h"
#include "conflux/wire.h"
#include "shape_map.h"

enum { BUFFER = 128 * 1024, HALVES = 2 };

/* Neighbouring fields of the biflow that are neighbours in the record. */
struct run {
	uint16_t first, end;   /* fields */
	uint32_t from, length; /* octets, if the shape has a fixed length */
};

/* One direction of a biflow. */
struct half {
	const struct shape *shape; /* held */
	uint64_t flow_keys;
	int counter; /* field of the biflow: 0 is no record, or -1 */
	unsigned run_count;
	struct run *run;
};

struct split {
	struct shape_made made; /* more: the batch's flow_keys */
	bool biflow;
	struct half half[HALVES]; /* forward, reverse */
};

struct split_stage {
	struct stage stage;
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct shape_map splits;
	uint8_t *buffer;
	uint32_t offset[BATCH_MAX + 1];
	uint32_t at[SHAPE_FIELDS_MAX + 1]; /* fields of a variable record */
};

/* ---- planning ---------------------------------------------------------- */

/* A record that is being planned: which fields of the biflow it has, as what.
 */
struct plan {
	struct split_stage *stage;
	const struct shape *shape; /* of the biflow */
	uint64_t keys_in, keys_out;
	uint16_t count;
	struct field *field; /* elements held */
	struct field_mark *mark;
	uint16_t *source;
};

static int
plan_add(struct plan *plan, uint16_t id, uint32_t pen, unsigned source)
{
	uint16_t length = plan->shape->field[source].length;
	const struct ie *ie = ie_meet(plan->stage->registry, pen, id, length);

	if (!ie)
		return -ENOMEM;
	plan->field[plan->count] = (struct field){.ie = ie, .length = length};
	if (source < 64 && plan->count < 64 && plan->keys_in >> source & 1)
		plan->keys_out |= (uint64_t)1 << plan->count;
	plan->mark[plan->count] = shape_mark(plan->shape, (uint16_t)source);
	plan->source[plan->count++] = (uint16_t)source;
	return 0;
}

/* How many fields before this one have its element. */
static unsigned
occurrence(const struct shape *shape, unsigned field)
{
	unsigned n = 0;

	for (unsigned i = 0; i < field; i++)
		n += shape->field[i].ie == shape->field[field].ie;
	return n;
}

static bool
is_biflow_only(const struct ie *ie)
{
	return direction_is_reverse(ie) ||
	       (ie->pen == 0 && ie->id == IE_biflowDirection);
}

static bool
is_key(const struct plan *plan, unsigned field)
{
	return field < 64 && plan->keys_in >> field & 1;
}

static int
plan_forward(struct plan *plan)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < plan->shape->count; i++) {
		const struct ie *ie = plan->shape->field[i].ie;

		if (!is_biflow_only(ie))
			rc = plan_add(plan, ie->id, ie->pen, i);
	}
	return rc;
}

/* What the reverse direction has in place of a plain field of the biflow. */
static int
plan_turned(struct plan *plan, unsigned i)
{
	const struct shape *shape = plan->shape;
	const struct ie *ie = shape->field[i].ie;
	unsigned n = occurrence(shape, i);
	int reverse = -1, other = -1;
	uint16_t counterpart = 0;

	if (ie->pen == 0) {
		reverse = shape_find(shape, IE_PEN_REVERSE, ie->id, n);
		counterpart = direction_counterpart(ie->id);
	}
	if (reverse >= 0)
		return plan_add(plan, ie->id, 0, (unsigned)reverse);
	if (counterpart) {
		other = shape_find(shape, 0, counterpart, n);
		/* Of one end alone: it is the other one now. */
		return other < 0 ? plan_add(plan, counterpart, 0, i)
				 : plan_add(plan, ie->id, 0, (unsigned)other);
	}
	if (is_key(plan, i) || direction_is_of_both(ie))
		return plan_add(plan, ie->id, ie->pen, i);
	return 0;
}

static int
plan_reverse(struct plan *plan)
{
	const struct shape *shape = plan->shape;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < shape->count; i++)
		if (!is_biflow_only(shape->field[i].ie))
			rc = plan_turned(plan, i);
	/* What only the reverse direction has. */
	for (unsigned i = 0; rc == 0 && i < shape->count; i++) {
		const struct ie *ie = shape->field[i].ie;

		if (direction_is_reverse(ie) &&
		    shape_find(shape, 0, ie->id, occurrence(shape, i)) < 0)
			rc = plan_add(plan, ie->id, 0, i);
	}
	return rc;
}

/* The counter that tells whether there was anything in a direction. */
static int
find_counter(const struct shape *shape, uint32_t pen)
{
	static const uint16_t id[] = {IE_packetDeltaCount, IE_packetTotalCount,
				      IE_octetDeltaCount, IE_octetTotalCount};
	int field = -1;

	for (size_t i = 0; field < 0 && i < sizeof(id) / sizeof(id[0]); i++)
		field = shape_find(shape, pen, id[i], 0);
	return field;
}

static void
fill_runs(struct half *half, const struct plan *plan)
{
	struct run *run = NULL;

	for (unsigned i = 0; i < plan->count; i++) {
		uint16_t source = plan->source[i];
		const struct field *field = &plan->shape->field[source];

		if (!run || run->end != source) {
			run = &half->run[half->run_count++];
			run->first = source;
			run->from = field->offset;
			run->length = 0;
		}
		run->end = source + 1;
		run->length += field->length;
	}
}

/* The shape and the runs of one direction; without any field it has none. */
static int
half_init(struct half *half, const struct plan *plan)
{
	int rc;

	if (plan->count == 0)
		return 0;
	half->run = calloc(plan->count, sizeof(*half->run));
	if (!half->run)
		return -ENOMEM;
	rc = shape_get_marked(plan->stage->shapes, plan->field, plan->mark,
			      plan->count, 0, &half->shape);
	if (rc < 0)
		return rc == -EINVAL ? 0 : rc; /* fields without octets */
	half->flow_keys = plan->keys_out;
	fill_runs(half, plan);
	return 0;
}

static void
split_free(struct shape_made *made)
{
	struct split *split = (struct split *)made;

	for (int i = 0; i < HALVES; i++) {
		shape_release(split->half[i].shape);
		free(split->half[i].run);
	}
	free(split);
}

static int
plan_half(struct split_stage *s, const struct batch *batch, bool reverse,
	  struct half *half)
{
	uint16_t count = batch->shape->count;
	struct plan plan = {
		.stage = s,
		.shape = batch->shape,
		.keys_in = batch->flow_keys,
		.field = calloc(count, sizeof(*plan.field)),
		.mark = calloc(count, sizeof(*plan.mark)),
		.source = calloc(count, sizeof(*plan.source)),
	};
	int rc = plan.field && plan.mark && plan.source ? 0 : -ENOMEM;

	if (rc == 0)
		rc = reverse ? plan_reverse(&plan) : plan_forward(&plan);
	if (rc == 0)
		rc = half_init(half, &plan);
	half->counter =
		find_counter(batch->shape, reverse ? IE_PEN_REVERSE : 0);
	while (plan.count)
		ie_release(plan.field[--plan.count].ie);
	free(plan.field);
	free(plan.mark);
	free(plan.source);
	return rc;
}

static bool
has_reverse(const struct shape *shape)
{
	for (unsigned i = 0; i < shape->count; i++)
		if (direction_is_reverse(shape->field[i].ie))
			return true;
	return false;
}

/* NULL only for want of memory, or of room for shapes. */
static const struct split *
find_split(struct split_stage *s, const struct batch *batch)
{
	struct shape_made *made =
		shape_map_find(&s->splits, batch->shape, batch->flow_keys);
	struct split *split = (struct split *)made;
	int rc = 0;

	if (made)
		return split;
	split = calloc(1, sizeof(*split));
	if (!split)
		return NULL;
	split->biflow = has_reverse(batch->shape);
	for (int i = 0; rc == 0 && split->biflow && i < HALVES; i++)
		rc = plan_half(s, batch, i > 0, &split->half[i]);
	if (rc < 0) {
		split_free(&split->made);
		return NULL;
	}
	return shape_map_add(&s->splits, batch->shape, batch->flow_keys,
			     &split->made) < 0
		       ? NULL
		       : split;
}

/* ---- copying ----------------------------------------------------------- */

/* One run of some records, with a constant length where that is usual. */
#define COPY_EACH(size)                                    \
	for (uint32_t i = 0; i < count; i++, to += stride) \
	memcpy(to, from + (size_t)index[i] * batch->stride, (size))

static void
copy_run(const struct batch *batch, const struct run *run,
	 const uint32_t *index, uint32_t count, uint8_t *to, uint32_t stride)
{
	const uint8_t *from = batch->base + run->from;

	switch (run->length) {
	case 1:
		COPY_EACH(1);
		break;
	case 2:
		COPY_EACH(2);
		break;
	case 4:
		COPY_EACH(4);
		break;
	case 8:
		COPY_EACH(8);
		break;
	case 16:
		COPY_EACH(16);
		break;
	default:
		COPY_EACH(run->length);
		break;
	}
}

/* As many as fit into the buffer. */
static uint32_t
copy_fixed(struct split_stage *s, const struct half *half,
	   const struct batch *batch, const uint32_t *index, uint32_t count,
	   struct batch *out)
{
	uint32_t stride = half->shape->min_length;
	uint8_t *to = s->buffer;

	if (count > BUFFER / stride)
		count = BUFFER / stride;
	for (unsigned i = 0; i < half->run_count; i++) {
		copy_run(batch, &half->run[i], index, count, to, stride);
		to += half->run[i].length;
	}
	out->stride = stride;
	out->count = count;
	return count;
}

static uint32_t
copy_variable(struct split_stage *s, const struct half *half,
	      const struct batch *batch, const uint32_t *index, uint32_t count,
	      struct batch *out)
{
	uint8_t *to = s->buffer;
	uint32_t n = 0, size;

	for (; n < count; n++) {
		const uint8_t *record = batch_record(batch, index[n], &size);

		if ((size_t)(s->buffer + BUFFER - to) < size)
			break;
		s->offset[n] = (uint32_t)(to - s->buffer);
		shape_offsets(batch->shape, record, s->at);
		for (unsigned i = 0; i < half->run_count; i++) {
			const struct run *run = &half->run[i];
			uint32_t from = s->at[run->first];
			uint32_t length = s->at[run->end] - from;

			memcpy(to, record + from, length);
			to += length;
		}
	}
	s->offset[n] = (uint32_t)(to - s->buffer);
	out->stride = half->shape->variable ? 0 : half->shape->min_length;
	out->offset = out->stride ? NULL : s->offset;
	out->count = n;
	return n;
}

/* A record is shorter than the buffer, so each time some fit. */
static void
pass_half(struct split_stage *s, const struct half *half,
	  const struct batch *batch, const uint32_t *index, uint32_t count)
{
	while (count) {
		struct batch out = *batch;
		uint32_t n;

		out.shape = half->shape;
		out.base = s->buffer;
		out.flow_keys = half->flow_keys;
		n = batch->stride && !batch->shape->variable
			    ? copy_fixed(s, half, batch, index, count, &out)
			    : copy_variable(s, half, batch, index, count, &out);
		s->stage.ledger.exported += n;
		stage_forward(&s->stage, &out);
		index += n;
		count -= n;
	}
}

/* ---- the stage --------------------------------------------------------- */

static bool
is_empty(const struct half *half, const struct batch *batch, uint32_t i)
{
	uint64_t value = 1;
	uint32_t size;
	const uint8_t *record = batch_record(batch, i, &size);

	shape_uint(batch->shape, half->counter, record, size, &value);
	return value == 0;
}

static void
split_run(struct stage *stage, const struct batch *batch)
{
	struct split_stage *s = (struct split_stage *)stage;
	struct ledger *ledger = &stage->ledger;
	uint32_t index[HALVES][BATCH_MAX], count[HALVES] = {0, 0};
	const struct split *split = NULL;

	ledger->in += batch->count;
	if (batch->shape->scope_count == 0) {
		split = find_split(s, batch);
		if (!split) {
			ledger->lost[LOSS_NO_MEMORY] += batch->count;
			return;
		}
	}
	if (!split || !split->biflow) {
		ledger->exported += batch->count;
		stage_forward(stage, batch);
		return;
	}
	for (uint32_t i = 0; i < batch->count; i++) {
		bool back = split->half[1].shape &&
			    !is_empty(&split->half[1], batch, i);
		bool forth = split->half[0].shape &&
			     (!back || !is_empty(&split->half[0], batch, i));

		index[0][count[0]] = index[1][count[1]] = i;
		count[0] += forth;
		count[1] += back;
		ledger->split += forth && back;
		ledger->filtered += !forth && !back;
	}
	for (int i = 0; i < HALVES; i++)
		pass_half(s, &split->half[i], batch, index[i], count[i]);
}

static void
split_scope_end(struct stage *stage, const struct scope *scope)
{
	stage_pass_scope_end(stage, scope);
}

/* Behind us these are the Templates of both directions. */
static void
split_template_end(struct stage *stage, const struct scope *scope,
		   const struct shape *shape)
{
	struct split_stage *s = (struct split_stage *)stage;
	const struct split *split;
	uint32_t at = 0;
	bool biflow = false;

	/* With whatever Flow Keys. */
	while ((split = (struct split *)shape_map_next(&s->splits, shape,
						       &at))) {
		biflow |= split->biflow;
		for (int i = 0; i < HALVES; i++) {
			const struct shape *half = split->half[i].shape;

			if (half && (i == 0 || half != split->half[0].shape))
				stage_pass_template_end(stage, scope, half);
		}
	}
	if (!biflow)
		stage_pass_template_end(stage, scope, shape);
}

static void
split_stage_free(struct stage *stage)
{
	struct split_stage *s = (struct split_stage *)stage;

	shape_map_fini(&s->splits);
	free(s->buffer);
	free(s);
}

static const struct stage_ops split_ops = {
	.run = split_run,
	.scope_end = split_scope_end,
	.template_end = split_template_end,
	.free = split_stage_free,
};

int
split_stage_new(const char *name, struct ie_registry *registry,
		struct shape_table *shapes, struct stage **out)
{
	struct split_stage *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->stage.ops = &split_ops;
	s->stage.name = name;
	s->registry = registry;
	s->shapes = shapes;
	s->splits.free = split_free;
	s->buffer = malloc(BUFFER);
	if (!s->buffer) {
		split_stage_free(&s->stage);
		return -ENOMEM;
	}
	*out = &s->stage;
	return 0;
}
