/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Anonymisation as an Intermediate Process (RFC 6183 section 5.3.4, RFC 6235).
 * A program is made for each shape that comes in.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "anonymize.h"
#include "conflux/clock.h"
#include "conflux/hash.h"
#include "conflux/log.h"

/* Enumerated times begin somewhere in so many milliseconds before now. */
#define ORDER_START (UINT64_C(30) * 86400 * 1000)
#define NS_PER_S INT64_C(1000000000)

/* What is left out although nobody asked for it is told once. */
static void
tell_hidden(struct anon_stage *s, const struct anon_program *p)
{
	char more[32] = " is";
	uint32_t held;

	s->hidden += p->hidden;
	if (!p->hidden ||
	    !log_limit_pass(&s->hidden_limit, clock_mono_ms(), &held))
		return;
	if (p->hidden > 1)
		snprintf(more, sizeof(more), " and %u more are",
			 p->hidden - 1u);
	log_notice("intermediateProcess %s: %s%s left out of a Template, since "
		   "no rule says what is in it%s",
		   s->stage.name,
		   p->made.shape->field[p->first_hidden].ie->name, more,
		   held ? " (others, too)" : "");
}

static int
find_program(struct anon_stage *s, const struct shape *shape,
	     struct anon_program **out)
{
	int rc;

	*out = (struct anon_program *)shape_map_find(&s->programs, shape, 0);
	if (*out)
		return 0;
	rc = anon_program_new(s, shape, out);
	if (rc == 0)
		rc = shape_map_add(&s->programs, shape, 0, &(*out)->made);
	if (rc == 0)
		tell_hidden(s, *out);
	return rc;
}

/*
 * What options say of a Template may be about the places of its fields: it
 * holds behind us as long as none is left out.
 */
static const struct shape *
shape_behind(const struct scope *scope, uint16_t id)
{
	struct anon_scope *about = (struct anon_scope *)(uintptr_t)scope;
	const struct shape *shape =
		about->origin->template_shape(about->origin, id);
	struct anon_program *known, *program = NULL;

	if (!shape)
		return NULL;
	known = (struct anon_program *)shape_map_find(&about->stage->programs,
						      shape, 0);
	if (known)
		return known->whole ? known->out : NULL;
	/* On its own: the one that runs now must not have to make room. */
	if (anon_program_new(about->stage, shape, &program) < 0)
		return NULL;
	shape_release(about->last);
	about->last = program->whole ? shape_hold(program->out) : NULL;
	anon_program_free(&program->made);
	return about->last;
}

static const struct scope *
scope_behind(struct anon_stage *s, const struct batch *batch)
{
	if (!batch->shape->scope_count || !batch->scope->template_shape)
		return batch->scope;
	s->about.scope = *batch->scope;
	s->about.scope.template_shape = shape_behind;
	s->about.origin = batch->scope;
	s->about.stage = s;
	return &s->about.scope;
}

static void
anon_stage_run(struct stage *stage, const struct batch *batch)
{
	struct anon_stage *s = (struct anon_stage *)stage;
	struct ledger *ledger = &stage->ledger;
	struct anon_program *program;
	int rc = find_program(s, batch->shape, &program);
	struct batch out;
	uint32_t at = 0;

	ledger->in += batch->count;
	if (rc < 0) {
		ledger->lost[rc == -ENOSPC ? LOSS_LIMIT : LOSS_NO_MEMORY] +=
			batch->count;
		return;
	}
	if (!program->out) {
		ledger->filtered += batch->count;
		return;
	}
	ledger->exported += batch->count;
	while (at < batch->count) {
		anon_run(s, program, batch, &at, &out);
		out.scope = scope_behind(s, batch);
		stage_forward(stage, &out);
	}
}

static void
anon_stage_scope_end(struct stage *stage, const struct scope *scope)
{
	stage_pass_scope_end(stage, scope);
}

/* Behind us it is the Template of another shape. */
static void
anon_stage_template_end(struct stage *stage, const struct scope *scope,
			const struct shape *shape)
{
	struct anon_stage *s = (struct anon_stage *)stage;
	const struct anon_program *program =
		(struct anon_program *)shape_map_find(&s->programs, shape, 0);

	if (program && program->out)
		stage_pass_template_end(stage, scope, program->out);
}

static void
anon_stage_report(struct stage *stage, struct report *report)
{
	const struct anon_stage *s = (const struct anon_stage *)stage;

	report_uint(report, "rules", s->rule_count);
	report_bool(report, "key", s->cipher != NULL);
	report_uint(report, "shapes", s->programs.table.count);
	report_uint(report, "fieldsLeftOut", s->hidden);
}

static void
anon_stage_free(struct stage *stage)
{
	struct anon_stage *s = (struct anon_stage *)stage;

	shape_map_fini(&s->programs);
	shape_release(s->about.last);
	anon_rules_free(s->rule, s->rule_count);
	anon_cipher_free(s->cipher);
	free(s->buffer);
	free(s);
}

static const struct stage_ops anon_stage_ops = {
	.run = anon_stage_run,
	.scope_end = anon_stage_scope_end,
	.template_end = anon_stage_template_end,
	.report = anon_stage_report,
	.free = anon_stage_free,
};

/* All times get the same offset: that of the first rule that asks for one. */
static int64_t
shift_of(const struct anon_stage *s)
{
	for (unsigned i = 0; i < s->rule_count; i++)
		if (s->rule[i].method == ANONYMIZE_SHIFT)
			return anon_offset(s->cipher,
					   (int64_t)s->rule[i].amount *
						   NS_PER_S);
	return 0;
}

static int
fill(struct anon_stage *s, const struct anonymize_conf *conf,
     struct ie_registry *registry, struct anonymize_error *error)
{
	int rc;

	s->buffer = malloc(ANON_BUFFER);
	if (!s->buffer)
		return -ENOMEM;
	rc = anon_rules_new(conf, registry, &s->rule, error);
	if (rc < 0)
		return rc;
	s->rule_count = conf->rule_count;
	s->order_ms = clock_wall_ms() - hash_seed() % ORDER_START;
	if (!anonymize_needs_key(conf))
		return 0;
	error->rule = conf->rule_count;
	if (!conf->key)
		return text_error(&error->text, -EINVAL,
				  "a rule needs a key, expected a key file");
	rc = anon_cipher_new(conf->key, &s->cipher);
	if (rc == 0)
		s->shift_ns = shift_of(s);
	return rc;
}

int
anonymize_stage_new(const char *name, const struct anonymize_conf *conf,
		    struct ie_registry *registry, struct shape_table *shapes,
		    struct stage **out, struct anonymize_error *error)
{
	struct anon_stage *s = calloc(1, sizeof(*s));
	int rc;

	*error = (struct anonymize_error){.rule = conf->rule_count};
	if (!s)
		return -ENOMEM;
	s->stage.ops = &anon_stage_ops;
	s->stage.name = name;
	s->programs.free = anon_program_free;
	s->shapes = shapes;
	s->keep_unknown = conf->keep_unknown;
	rc = fill(s, conf, registry, error);
	if (rc < 0) {
		anon_stage_free(&s->stage);
		return rc;
	}
	*out = &s->stage;
	return 0;
}
