/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Filtering as an Intermediate Process: RFC 6183 section 5.3.2 has it select
 * Data Records by their content, with the property match of RFC 5476 as one
 * way. Ours are expressions. A batch of which all records pass is passed on as
 * it came; of others those that pass are copied together.
 */
#include <errno.h>
#include <stdlib.h>

#include "conflux/mediation.h"

enum { BUFFER = 128 * 1024 };

struct filter_stage {
	struct stage stage;
	const char *expression;
	struct filter *filter;
	uint8_t *buffer;
	uint32_t offset[BATCH_MAX + 1];
};

static void
filter_stage_run(struct stage *stage, const struct batch *batch)
{
	struct filter_stage *f = (struct filter_stage *)stage;
	struct ledger *ledger = &stage->ledger;
	uint32_t index[BATCH_MAX];
	int count = (int)batch->count;

	ledger->in += batch->count;
	if (batch->shape->scope_count == 0)
		count = filter_run(f->filter, batch, index);
	if (count < 0) {
		ledger->lost[LOSS_NO_MEMORY] += batch->count;
		return;
	}
	ledger->filtered += batch->count - (uint32_t)count;
	ledger->exported += (uint32_t)count;
	if ((uint32_t)count == batch->count)
		stage_forward(stage, batch);
	else
		stage_forward_some(stage, batch, index, (uint32_t)count,
				   f->buffer, BUFFER, f->offset);
}

static void
filter_stage_scope_end(struct stage *stage, const struct scope *scope)
{
	stage_pass_scope_end(stage, scope);
}

static int
filter_stage_wants(const struct stage *stage,
		   int (*want)(void *arg, const struct ie *ie, uint16_t length),
		   void *arg)
{
	const struct filter_stage *f = (const struct filter_stage *)stage;

	return filter_wants(f->filter, want, arg);
}

static void
filter_stage_report(struct stage *stage, struct report *report)
{
	const struct filter_stage *f = (const struct filter_stage *)stage;

	report_text(report, "filter", f->expression);
}

static void
filter_stage_free(struct stage *stage)
{
	struct filter_stage *f = (struct filter_stage *)stage;

	filter_free(f->filter);
	free(f->buffer);
	free(f);
}

static const struct stage_ops filter_stage_ops = {
	.run = filter_stage_run,
	.scope_end = filter_stage_scope_end,
	.wants = filter_stage_wants,
	.report = filter_stage_report,
	.free = filter_stage_free,
};

int
filter_stage_new(const char *name, const char *expression,
		 struct ie_registry *registry, struct stage **out,
		 struct filter_error *error)
{
	struct filter_stage *f = calloc(1, sizeof(*f));
	int rc;

	*error = (struct filter_error){0};
	if (!f)
		return -ENOMEM;
	f->stage.ops = &filter_stage_ops;
	f->stage.name = name;
	f->expression = expression;
	f->buffer = malloc(BUFFER);
	rc = f->buffer ? filter_new(expression, registry, &f->filter, error)
		       : -ENOMEM;
	if (rc < 0) {
		filter_stage_free(&f->stage);
		return rc;
	}
	*out = &f->stage;
	return 0;
}
