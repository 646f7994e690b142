/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Total counters to differences. A flow of a source is known by all fields of
 * its records that tell flows apart: addresses, identifiers, the start of the
 * flow, and the scope it comes from. The first total of a flow counts in full,
 * as the record covers the time since its start; a total below the last one is
 * that of a flow which began anew, and counts in full as well.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/wire.h"
#include "internal.h"

enum { TOTALS_START = 1024, TOTALS_COUNTERS = 8, TOTALS_UNUSED_MS = 1800000 };

struct total {
	uint64_t id[2]; /* 128 bit hash; 0, 0: free */
	uint64_t used_ms;
	uint64_t last[TOTALS_COUNTERS];
};

struct totals {
	struct total *slot;
	uint32_t mask, count, max;
	uint64_t seed[2];
	uint64_t swept_ms;
};

static const uint16_t counter_pair[][2] = {
	{1, 85},    {2, 86},	{19, 174},  {20, 175},	{23, 171},  {24, 172},
	{132, 134}, {133, 135}, {198, 199}, {352, 353}, {354, 355}, {402, 417},
};

const struct ie *
totals_of(const struct ie_registry *registry, const struct ie *delta)
{
	const struct ie *base = delta->forward ? delta->forward : delta;

	if (base->pen != 0)
		return NULL;
	for (size_t i = 0; i < sizeof(counter_pair) / sizeof(*counter_pair);
	     i++) {
		uint16_t other = 0;

		if (counter_pair[i][0] == base->id)
			other = counter_pair[i][1];
		else if (counter_pair[i][1] == base->id)
			other = counter_pair[i][0];
		if (other)
			return ie_find(registry,
				       delta->forward ? IE_PEN_REVERSE : 0,
				       other);
	}
	return NULL;
}

struct totals *
totals_new(uint32_t max)
{
	struct totals *totals = calloc(1, sizeof(*totals));

	if (!totals)
		return NULL;
	totals->max = max;
	totals->seed[0] = hash_seed();
	totals->seed[1] = hash_seed();
	totals->mask = TOTALS_START - 1;
	totals->slot = calloc(TOTALS_START, sizeof(*totals->slot));
	if (!totals->slot) {
		free(totals);
		return NULL;
	}
	return totals;
}

void
totals_free(struct totals *totals)
{
	if (!totals)
		return;
	free(totals->slot);
	free(totals);
}

/* Makes a new table of that size with those that were used since then. */
static int
rebuild(struct totals *totals, uint32_t mask, uint64_t since_ms)
{
	struct total *slot = calloc((size_t)mask + 1, sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	totals->count = 0;
	for (uint32_t i = 0; i <= totals->mask; i++) {
		const struct total *old = &totals->slot[i];
		uint32_t at = (uint32_t)old->id[0] & mask;

		if ((old->id[0] | old->id[1]) == 0 || old->used_ms < since_ms)
			continue;
		while (slot[at].id[0] | slot[at].id[1])
			at = (at + 1) & mask;
		slot[at] = *old;
		totals->count++;
	}
	free(totals->slot);
	totals->slot = slot;
	totals->mask = mask;
	return 0;
}

static int
make_room(struct totals *totals, uint64_t now_ms)
{
	uint64_t since =
		now_ms > TOTALS_UNUSED_MS ? now_ms - TOTALS_UNUSED_MS : 0;

	if (totals->count >= totals->max) {
		/* Sweeping costs; not again and again when all are in use. */
		if (now_ms - totals->swept_ms < 10000)
			return -ENOSPC;
		totals->swept_ms = now_ms;
		if (rebuild(totals, totals->mask, since) != 0)
			return -ENOMEM;
		return totals->count >= totals->max ? -ENOSPC : 0;
	}
	if (totals->count < totals->mask - totals->mask / 4)
		return 0;
	return rebuild(totals, totals->mask * 2 + 1, 0);
}

static struct total *
find(struct totals *totals, const uint64_t id[2], uint64_t now_ms)
{
	uint32_t at = (uint32_t)id[0] & totals->mask;

	for (; totals->slot[at].id[0] | totals->slot[at].id[1];
	     at = (at + 1) & totals->mask)
		if (totals->slot[at].id[0] == id[0] &&
		    totals->slot[at].id[1] == id[1])
			return &totals->slot[at];
	if (make_room(totals, now_ms) != 0)
		return NULL;
	at = (uint32_t)id[0] & totals->mask;
	while (totals->slot[at].id[0] | totals->slot[at].id[1])
		at = (at + 1) & totals->mask;
	totals->slot[at] = (struct total){.id = {id[0], id[1]}};
	totals->count++;
	return &totals->slot[at];
}

/* Does this field tell flows of one source apart? */
static bool
identifies(const struct ie *ie)
{
	if (ie_is_time(ie) || ie->id == IE_flowStartSysUpTime)
		return strncmp(ie->name, "flowStart", 9) == 0;
	switch (ie->semantics) {
	case IE_DELTA_COUNTER:
	case IE_TOTAL_COUNTER:
	case IE_QUANTITY:
	case IE_FLAGS:
		return false;
	default:
		return !(ie->pen == 0 && (ie->id == IE_flowEndReason ||
					  ie->id == IE_flowEndSysUpTime ||
					  ie->id == IE_paddingOctets));
	}
}

static void
identity(struct totals *totals, const struct batch *batch, uint32_t i,
	 uint64_t id[2])
{
	const struct shape *shape = batch->shape;
	struct reader r;
	uint32_t length;
	const uint8_t *p = batch_record(batch, i, &length);

	reader_init(&r, p, length);
	id[0] = hash_u64(batch->scope->serial, totals->seed[0]);
	id[1] = hash_u64(batch->scope->serial, totals->seed[1]);
	for (uint16_t f = 0; f < shape->count; f++) {
		const struct field *field = &shape->field[f];
		size_t n = field->length == IE_VARIABLE ? reader_varlen(&r)
							: field->length;

		p = reader_take(&r, n);
		if (!p)
			break;
		if (!identifies(field->ie))
			continue;
		id[0] = hash_bytes(p, n, id[0] + f);
		id[1] = hash_bytes(p, n, id[1] + f);
	}
	if ((id[0] | id[1]) == 0)
		id[0] = 1;
}

uint32_t
totals_run(struct cache *cache, struct plan *plan, const struct batch *batch,
	   uint8_t *rows, uint8_t *bad)
{
	uint32_t failed = 0;

	for (uint32_t i = 0; i < batch->count; i++) {
		uint8_t *row = rows + (size_t)i * plan->layout->stride;
		struct total *total;
		uint64_t id[2];

		identity(cache->totals, batch, i, id);
		total = find(cache->totals, id, cache->now_ms);
		if (!total) {
			failed += !bad[i];
			bad[i] = 1;
			continue;
		}
		total->used_ms = cache->now_ms;
		for (unsigned k = 0; k < plan->total_count; k++) {
			uint64_t now = row_get(row, plan->total_at[k]);
			uint64_t last = total->last[k];

			total->last[k] = now;
			row_put(row, plan->total_at[k],
				now >= last ? now - last : now);
		}
	}
	return failed;
}
