/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows that TCP has ended stay for LINGER_MS, so that what is still under way
 * does not make a flow of its own. All wait equally long, so a ring in the order
 * of their ends is enough. It grows with need, up to as many as there can be
 * flows.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

struct waiting {
	struct layout *layout; /* NULL: it is gone */
	uint64_t due_ms;
	uint32_t number;
};

struct closing {
	struct waiting *ring;
	uint32_t size; /* a power of two */
	uint32_t max;
	uint32_t head, count;
};

enum { RING_START = 256 };

int
closing_new(uint32_t max, struct closing **out)
{
	struct closing *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->max = max;
	c->size = RING_START;
	c->ring = calloc(c->size, sizeof(*c->ring));
	if (!c->ring) {
		free(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void
closing_free(struct closing *c)
{
	if (!c)
		return;
	free(c->ring);
	free(c);
}

static struct waiting *
at(const struct closing *c, uint32_t i)
{
	return &c->ring[(c->head + i) & (c->size - 1)];
}

static bool
grow(struct closing *c)
{
	struct waiting *ring;

	if (c->size > c->max)
		return false;
	ring = calloc((size_t)c->size * 2, sizeof(*ring));
	if (!ring)
		return false;
	for (uint32_t i = 0; i < c->count; i++)
		ring[i] = *at(c, i);
	free(c->ring);
	c->ring = ring;
	c->size *= 2;
	c->head = 0;
	return true;
}

bool
closing_add(struct cache *cache, struct layout *layout, uint32_t number)
{
	struct closing *c = cache->closing;

	if (c->count == c->size && !grow(c))
		return false;
	*at(c, c->count++) = (struct waiting){
		.layout = layout,
		.number = number,
		.due_ms = cache->now_ms + LINGER_MS,
	};
	return true;
}

void
closing_run(struct cache *cache)
{
	struct closing *c = cache->closing;
	bool any = false;

	while (c->count) {
		const struct waiting w = *at(c, 0);
		struct row *row;

		if (cache->now_ms < w.due_ms)
			break;
		c->head = (c->head + 1) & (c->size - 1);
		c->count--;
		if (!w.layout)
			continue;
		row = flow_table_row(&w.layout->table, w.number);
		/* A timeout may have come first, and others have its row. */
		if (!(row->flags & ROW_LIVE) || !(row->flags & ROW_CLOSING))
			continue;
		emit_row(w.layout, w.number, END_DETECTED, false);
		any = true;
	}
	if (any)
		emit_all(cache);
}

void
closing_forget(struct cache *cache, const struct layout *layout)
{
	struct closing *c = cache->closing;

	for (uint32_t i = 0; i < c->count; i++)
		if (at(c, i)->layout == layout)
			at(c, i)->layout = NULL;
}
