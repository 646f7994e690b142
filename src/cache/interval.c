/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Distribution of flows over intervals (RFC 7015 section 5.1.1): what a record
 * counts goes into the aggregated flows of the intervals that it touches. The
 * intervals are aligned to 1970. Shares are whole numbers; what division leaves
 * over goes into the last interval, so the sums stay exact to the unit. A flow
 * without times belongs to the interval of its arrival. One that would touch
 * more than INTERVALS_MAX intervals is put into that of its end and counted.
 */
#include <string.h>

#include "conflux/clock.h"
#include "internal.h"

struct spread {
	struct cache *cache;
	struct plan *plan;
	uint16_t start_at, end_at; /* offsets of the times, 0: none */
	uint32_t filled;	   /* rows of layout->spread */
};

static void
spread_flush(struct spread *s)
{
	if (s->filled)
		update_rows(s->cache, s->plan, s->plan->layout->spread,
			    s->filled);
	s->filled = 0;
}

/* The columns with the times of a flow, of whichever resolution. */
static void
find_times(struct spread *s)
{
	struct layout *layout = s->plan->layout;
	struct cache *cache = s->cache;

	for (unsigned i = 0; i < cache->column_count; i++) {
		const struct column *column = &cache->column[i];

		if (column->kind != SLOT_TIME || column->field.key ||
		    !(s->plan->present & ROW_BIT(column->bit)))
			continue;
		if (column->merge == MERGE_MIN && !s->start_at)
			s->start_at = layout->slot[i].offset;
		if (column->merge == MERGE_MAX && !s->end_at)
			s->end_at = layout->slot[i].offset;
	}
}

/* v * part / whole without overflow. */
static uint64_t
share(uint64_t v, uint64_t part, uint64_t whole)
{
	return whole ? (uint64_t)((__uint128_t)v * part / whole) : 0;
}

struct piece {
	uint64_t start, end;  /* of the flow */
	uint64_t first, last; /* starts of the first and last interval */
	uint64_t at;	      /* start of this one */
};

/* Does the whole of the flow go into one interval, and which? */
static bool
single(const struct cache *cache, const struct piece *p, uint64_t *at)
{
	uint64_t width = cache->distribution_ns;

	switch (cache->distribution) {
	case DISTRIBUTION_START:
		*at = p->first;
		return true;
	case DISTRIBUTION_END:
		*at = p->last;
		return true;
	case DISTRIBUTION_MID:
		*at = p->start + (p->end - p->start) / 2;
		*at -= *at % width;
		return true;
	default:
		*at = p->last;
		return p->first == p->last;
	}
}

/* Counters of this piece; taken[] sums what earlier pieces got. */
static void
divide(const struct spread *s, const uint8_t *from, uint8_t *to,
       const struct piece *p, uint64_t *taken)
{
	uint64_t width = s->cache->distribution_ns;
	uint64_t low = p->at > p->start ? p->at : p->start;
	uint64_t high = p->at + width < p->end ? p->at + width : p->end;
	uint64_t count = (p->last - p->first) / width + 1;

	for (unsigned i = 0; i < s->plan->update_count; i++) {
		const struct update *u = &s->plan->update[i];
		uint64_t v;

		if (u->merge != MERGE_SUM)
			continue;
		v = row_get(from, u->offset);
		if (p->at == p->last)
			v -= taken[i];
		else if (s->cache->distribution == DISTRIBUTION_PROPORTIONAL)
			v = share(v, high - low, p->end - p->start);
		else
			v /= count;
		taken[i] += v;
		row_put(to, u->offset, v);
	}
	if (s->start_at)
		row_put(to, s->start_at, low);
	if (s->end_at)
		row_put(to, s->end_at, high);
}

static uint8_t *
spread_row(struct spread *s, const uint8_t *row, uint64_t at)
{
	struct layout *layout = s->plan->layout;
	uint8_t *to;

	if (s->filled == BATCH_MAX)
		spread_flush(s);
	to = layout->spread + (size_t)s->filled++ * layout->stride;
	memcpy(to, row, layout->stride);
	row_put(to, layout->interval_at, at);
	return to;
}

static void
spread_one(struct spread *s, const uint8_t *row, uint64_t arrival_ns)
{
	struct cache *cache = s->cache;
	uint64_t width = cache->distribution_ns;
	uint64_t taken[CACHE_VALUES_MAX] = {0};
	struct piece p = {.start = arrival_ns, .end = arrival_ns};
	uint64_t at;

	if (s->end_at)
		p.start = p.end = row_get(row, s->end_at);
	if (s->start_at)
		p.start = row_get(row, s->start_at);
	if (!s->end_at)
		p.end = p.start;
	if (p.end < p.start)
		p.start = p.end;
	p.first = p.start - p.start % width;
	p.last = p.end - p.end % width;
	if (single(cache, &p, &at)) {
		spread_row(s, row, at);
		return;
	}
	if ((p.last - p.first) / width >= INTERVALS_MAX) {
		cache->interval_overflow++;
		spread_row(s, row, p.last);
		return;
	}
	for (p.at = p.first; p.at <= p.last; p.at += width) {
		uint8_t *to = spread_row(s, row, p.at);

		divide(s, row, to, &p, taken);
		if (p.at == p.last)
			break;
		row_strings(s->plan->layout, row, s->plan->present, var_hold);
		cache->stage.ledger.split++;
	}
}

void
interval_run(struct cache *cache, struct plan *plan, uint32_t count)
{
	struct spread s = {.cache = cache, .plan = plan};
	uint64_t arrival_ns = clock_wall_ms() * 1000000;

	find_times(&s);
	for (uint32_t i = 0; i < count; i++)
		spread_one(&s,
			   plan->layout->scratch +
				   (size_t)i * plan->layout->stride,
			   arrival_ns);
	spread_flush(&s);
}
