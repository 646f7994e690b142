/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "conflux/stage.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

int
stage_link(struct stage *stage, struct stage *next)
{
	struct stage **list =
		realloc(stage->next, (stage->next_count + 1) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	stage->next = list;
	stage->next[stage->next_count++] = next;
	return 0;
}

void
stage_tick(struct stage *stage, uint64_t now_ms)
{
	if (stage->ops->tick)
		stage->ops->tick(stage, now_ms);
}

void
stage_scope_end(struct stage *stage, const struct scope *scope)
{
	if (stage->ops->scope_end)
		stage->ops->scope_end(stage, scope);
}

void
stage_flush(struct stage *stage)
{
	if (stage->ops->flush)
		stage->ops->flush(stage);
}

bool
stage_congested(const struct stage *stage)
{
	if (stage->ops->congested)
		return stage->ops->congested(stage);
	for (unsigned i = 0; i < stage->next_count; i++)
		if (stage_congested(stage->next[i]))
			return true;
	return false;
}

bool
stage_drained(const struct stage *stage)
{
	return !stage->ops->drained || stage->ops->drained(stage);
}

void
stage_free(struct stage *stage)
{
	struct stage **next;

	if (!stage)
		return;
	next = stage->next;
	stage->ops->free(stage);
	free(next);
}

uint64_t
scope_serial(void)
{
	static atomic_uint_fast64_t last;

	return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}
