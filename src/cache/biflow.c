/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Biflows (RFC 5103): the direction of the first record is the forward one; a
 * record of the other direction has its key with source and destination
 * exchanged, and is found in the same look at the table (flow_table_pair).
 */
#include "conflux/direction.h"
#include "internal.h"

/* The key of the layout that has this element, or -1. */
static int
key_of(const struct layout *layout, uint16_t id)
{
	const struct cache *cache = layout->cache;

	for (unsigned i = 0; i < cache->column_count; i++) {
		const struct cache_field *f = &cache->column[i].field;

		if (bit_test(layout->keys, i) && f->ie->pen == 0 &&
		    f->ie->id == id)
			return (int)i;
	}
	return -1;
}

static void
find_swaps(struct layout *layout)
{
	const struct cache *cache = layout->cache;

	for (unsigned i = 0; i < cache->column_count; i++) {
		const struct ie *ie = cache->column[i].field.ie;
		uint16_t other = ie->pen ? 0 : direction_counterpart(ie->id);
		int k;

		if (!other || !bit_test(layout->keys, i))
			continue;
		k = key_of(layout, other);
		/* Grouped by one end alone: nothing to exchange it with. */
		if (k < 0 || layout->swap_count == SWAPS_MAX ||
		    layout->slot[k].width != layout->slot[i].width) {
			layout->swap_count = 0;
			return;
		}
		if ((unsigned)k < i)
			continue; /* it is there already */
		layout->swap[layout->swap_count++] = (struct key_swap){
			.a = layout->slot[i].offset,
			.b = layout->slot[k].offset,
			.width = layout->slot[i].width,
		};
	}
}

void
biflow_layout(struct layout *layout)
{
	if (layout->table.key_length > PAIR_MAX)
		return;
	find_swaps(layout);
	flow_table_pair(&layout->table, layout->swap, layout->swap_count);
}
