/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversion as an Intermediate Process (RFC 6183 section 5.3.1). A program is
 * made for each shape that comes in; shapes that become equal are one behind.
 *
 * Options about a Template (RFC 7011 section 4.4: flowKeyIndicator) tell of its
 * fields by their places. These are mapped to where the fields are now,
 * whatever is done with options otherwise.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/lists.h"
#include "conflux/wire.h"
#include "conversion.h"

/* What is done to records depends on the shape and on this. */
static uint64_t
scope_more(const struct scope *scope)
{
	return scope->has_init;
}

static void
count_kept(struct conv_stage *s, const struct conv_program *p)
{
	uint32_t held;

	for (int i = 0; i < CONV_KEPT_REASONS; i++)
		s->kept[i] += p->kept[i];
	if (!p->first_kept ||
	    !log_limit_pass(&s->kept_limit, clock_mono_ms(), &held))
		return;
	log_notice("intermediateProcess %s: %s stays as it is in a Template, "
		   "as nobody has told the systemInitTimeMilliseconds%s",
		   s->stage.name, p->first_kept->name,
		   held ? " (others, too)" : "");
}

static int
new_program(struct conv_stage *s, const struct scope *scope,
	    const struct shape *shape, struct conv_program **out)
{
	return conv_program_new(&s->rules, s->shapes, shape, scope->has_init,
				out);
}

static int
find_program(struct conv_stage *s, const struct scope *scope,
	     const struct shape *shape, struct conv_program **out)
{
	uint64_t more = scope_more(scope);
	int rc;

	*out = (struct conv_program *)shape_map_find(&s->programs, shape, more);
	if (*out)
		return 0;
	rc = new_program(s, scope, shape, out);
	if (rc == 0)
		rc = shape_map_add(&s->programs, shape, more, &(*out)->made);
	if (rc == 0)
		count_kept(s, *out);
	return rc;
}

/* ---- options about Templates --------------------------------------------- */

/*
 * The program for records of a Template; NULL: it is not known. One that is
 * made for this is to be freed by the caller (*own): the map may have to make
 * room, and the program that runs now must stay.
 */
static struct conv_program *
template_program(struct conv_stage *s, const struct scope *scope, uint64_t id,
		 struct conv_program **own)
{
	const struct shape *shape =
		id <= UINT16_MAX && scope->template_shape
			? scope->template_shape(scope, (uint16_t)id)
			: NULL;
	struct shape_made *known;

	*own = NULL;
	if (!shape)
		return NULL;
	known = shape_map_find(&s->programs, shape, scope_more(scope));
	if (known)
		return (struct conv_program *)known;
	return new_program(s, scope, shape, own) < 0 ? NULL : *own;
}

/* The shape that records of a Template have behind us. */
static const struct shape *
shape_behind(const struct scope *scope, uint16_t id)
{
	struct conv_scope *about = (struct conv_scope *)(uintptr_t)scope;
	const struct shape *shape = NULL;
	struct conv_program *own,
		*p = template_program(about->stage, about->origin, id, &own);

	if (p && (p->placed || !about->placed))
		shape = p->out;
	if (!own)
		return shape;
	shape_release(about->last);
	about->last = shape_hold(shape);
	conv_program_free(&own->made);
	return shape;
}

static const struct scope *
scope_behind(struct conv_stage *s, const struct batch *batch)
{
	if (lists_template_id(batch->shape, 0) < 0 ||
	    !batch->scope->template_shape)
		return batch->scope;
	s->about.scope = *batch->scope;
	s->about.scope.template_shape = shape_behind;
	s->about.origin = batch->scope;
	s->about.stage = s;
	s->about.placed =
		shape_find(batch->shape, 0, IE_informationElementIndex, 0) >= 0;
	return &s->about.scope;
}

/* Does the record of options tell Flow Keys of a Template? */
static bool
tells_keys(const struct shape *shape)
{
	int keys = shape_find(shape, 0, IE_flowKeyIndicator, 0);

	return lists_template_id(shape, 0) >= 0 && keys >= 0 &&
	       shape->field[keys].length <= 8;
}

static void
map_keys(struct conv_stage *s, const struct scope *scope,
	 const struct shape *shape, uint8_t *record, uint32_t size)
{
	int field = shape_find(shape, 0, IE_flowKeyIndicator, 0);
	uint64_t id = 0, keys = 0;
	struct conv_program *own, *p;
	uint32_t length;
	const uint8_t *at = shape_field(shape, field, record, size, &length);

	if (!at ||
	    !shape_uint(shape, lists_template_id(shape, 0), record, size,
			&id) ||
	    !shape_uint(shape, field, record, size, &keys))
		return;
	p = template_program(s, scope, id, &own);
	if (p)
		wire_put_uint(record + (at - record),
			      conv_program_keys(p, keys), length);
	if (own)
		conv_program_free(&own->made);
}

/* Records that are in the stage's buffer. */
static void
map_all_keys(struct conv_stage *s, const struct scope *scope,
	     const struct batch *out)
{
	for (uint32_t i = 0; i < out->count; i++) {
		uint32_t size;
		const uint8_t *record = batch_record(out, i, &size);

		map_keys(s, scope, out->shape, s->buffer + (record - s->buffer),
			 size);
	}
}

/* ---- records ------------------------------------------------------------- */

static void
pass(struct conv_stage *s, const struct batch *batch, struct batch *out)
{
	const struct shape *shape = out->shape;

	if (!out->count)
		return;
	s->stage.ledger.exported += out->count;
	if (!shape->scope_count) {
		stage_forward(&s->stage, out);
		return;
	}
	/* Programs may go while others are looked for. */
	shape_hold(shape);
	if (tells_keys(shape) && out->base == s->buffer)
		map_all_keys(s, batch->scope, out);
	out->scope = scope_behind(s, out);
	stage_forward(&s->stage, out);
	shape_release(shape);
}

/* As they are, but for what they tell of places. */
static void
pass_same(struct conv_stage *s, const struct batch *batch)
{
	uint32_t index[BATCH_MAX], done = 0;
	struct batch out = *batch;

	if (!tells_keys(batch->shape) || batch->options != OPTIONS_OTHER) {
		pass(s, batch, &out);
		return;
	}
	for (uint32_t i = 0; i < batch->count; i++)
		index[i] = i;
	while (done < batch->count) {
		done += batch_gather(batch, index + done, batch->count - done,
				     0, s->buffer, CONV_BUFFER, s->offset,
				     &out);
		pass(s, batch, &out);
	}
}

/* What our own stages tell by options is no one's to change. */
static bool
is_left_alone(const struct conv_stage *s, const struct batch *batch)
{
	return batch->shape->scope_count &&
	       (!s->rules.options || batch->options != OPTIONS_OTHER);
}

static void
conv_stage_run(struct stage *stage, const struct batch *batch)
{
	struct conv_stage *s = (struct conv_stage *)stage;
	struct conv_program *p = NULL;
	struct ledger *ledger = &stage->ledger;
	uint32_t next = 0;
	struct batch out;
	int rc = is_left_alone(s, batch)
			 ? 0
			 : find_program(s, batch->scope, batch->shape, &p);

	ledger->in += batch->count;
	if (rc < 0) {
		ledger->lost[rc == -ENOSPC ? LOSS_LIMIT : LOSS_NO_MEMORY] +=
			batch->count;
		return;
	}
	if (!p || p->same) {
		pass_same(s, batch);
		return;
	}
	if (!p->out) {
		ledger->lost[p->loss] += batch->count;
		return;
	}
	while (next < batch->count) {
		conv_run(s, p, batch, &next, &out);
		pass(s, batch, &out);
	}
}

/* ---- the stage ----------------------------------------------------------- */

static void
conv_stage_scope_end(struct stage *stage, const struct scope *scope)
{
	stage_pass_scope_end(stage, scope);
}

/* Behind us it is the Template of another shape. */
static void
conv_stage_template_end(struct stage *stage, const struct scope *scope,
			const struct shape *shape)
{
	struct conv_stage *s = (struct conv_stage *)stage;
	const struct conv_program *p = (struct conv_program *)shape_map_find(
		&s->programs, shape, scope_more(scope));

	if (!p || p->out)
		stage_pass_template_end(stage, scope, p ? p->out : shape);
}

/* What comes from packets has to be there to become something else. */
static int
conv_stage_wants(const struct stage *stage,
		 int (*want)(void *arg, const struct ie *ie, uint16_t length),
		 void *arg)
{
	const struct conv_stage *s = (const struct conv_stage *)stage;
	const struct ie *ie;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < s->rules.count; i++) {
		const struct conv_rule *rule = &s->rule[i];

		if (rule->kind != CONVERSION_RENAME)
			continue;
		ie = ie_find(s->rules.registry, rule->match[0].pen,
			     rule->match[0].id);
		if (ie)
			rc = want(arg, ie, 0);
	}
	return rc;
}

static void
conv_stage_report(struct stage *stage, struct report *report)
{
	const struct conv_stage *s = (const struct conv_stage *)stage;

	report_open(report, "conversion");
	report_uint(report, "rules", s->rules.count);
	report_uint(report, "shapes", s->programs.table.count);
	report_uint(report, "saturatedValues", s->saturated);
	report_uint(report, "fieldsTaken", s->kept[CONV_KEPT_TAKEN]);
	report_uint(report, "fieldsWithoutInitTime",
		    s->kept[CONV_KEPT_NO_INIT]);
	report_uint(report, "fieldsUnsuited", s->kept[CONV_KEPT_OTHER]);
	report_close(report);
}

static void
conv_stage_free(struct stage *stage)
{
	struct conv_stage *s = (struct conv_stage *)stage;

	shape_map_fini(&s->programs);
	shape_release(s->about.last);
	conv_rules_free(s->rule, s->rules.count);
	free(s->buffer);
	free(s);
}

static const struct stage_ops conv_stage_ops = {
	.run = conv_stage_run,
	.scope_end = conv_stage_scope_end,
	.template_end = conv_stage_template_end,
	.wants = conv_stage_wants,
	.report = conv_stage_report,
	.free = conv_stage_free,
};

int
conversion_stage_new(const struct conversion_conf *conf, struct stage **out,
		     struct conversion_error *error)
{
	struct conv_stage *s = calloc(1, sizeof(*s));
	int rc = -ENOMEM;

	*error = (struct conversion_error){.rule = conf->rule_count,
					   .element = -1};
	if (!s)
		return -ENOMEM;
	s->stage.ops = &conv_stage_ops;
	s->stage.name = conf->name;
	s->programs.free = conv_program_free;
	s->shapes = conf->shapes;
	s->saturate = conf->saturate;
	s->buffer = malloc(CONV_BUFFER);
	if (s->buffer)
		rc = conv_rules_new(conf, &s->rule, error);
	if (rc < 0) {
		conv_stage_free(&s->stage);
		return rc;
	}
	s->rules = (struct conv_rules){
		.rule = s->rule,
		.count = conf->rule_count,
		.registry = conf->registry,
		.options = conf->options,
	};
	*out = &s->stage;
	return 0;
}
