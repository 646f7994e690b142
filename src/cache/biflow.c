/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Biflows (RFC 5103): a record of the other direction has its key with source
 * and destination exchanged, and is found in the same look at the table
 * (flow_table_pair).
 *
 * RFC 5103 section 5 has the forward direction be that of the initiator.
 * Packets come in their order, so the first one tells. Records of exporters do
 * not: the one that began first may come last, as its direction ended last. So
 * when a record of the reverse direction is older than all before, the whole
 * flow is turned. What has been kept of the former forward direction alone is
 * then of the reverse direction, and goes, as there is no place for it.
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

bool
biflow_is_of_both(const struct column *column)
{
	return !column->forward && column->kind == SLOT_TIME &&
	       (column->merge == MERGE_MIN || column->merge == MERGE_MAX);
}

int
biflow_twin(const struct cache *cache, unsigned i)
{
	const struct column *column = &cache->column[i];

	if (column->field.key)
		return -1;
	/* A field that is there twice: the first one has it. */
	for (unsigned k = 0; k < i; k++)
		if (cache->column[k].field.ie == column->field.ie)
			return -1;
	for (unsigned k = 0; k < cache->column_count; k++) {
		const struct column *other = &cache->column[k];

		if (other->forward == column->field.ie)
			return other->kind == column->kind &&
					       other->merge == column->merge
				       ? (int)k
				       : -1;
	}
	return -1;
}

/* The first that has the start of flows: the earliest of both directions. */
static int
start_column(const struct cache *cache)
{
	static const uint16_t id[] = {
		IE_flowStartNanoseconds, IE_flowStartMicroseconds,
		IE_flowStartMilliseconds, IE_flowStartSeconds};

	for (size_t n = 0; n < sizeof(id) / sizeof(id[0]); n++)
		for (unsigned i = 0; i < cache->column_count; i++) {
			const struct column *column = &cache->column[i];

			if (column->field.ie->pen == 0 &&
			    column->field.ie->id == id[n] &&
			    !column->field.key && column->merge == MERGE_MIN)
				return (int)i;
		}
	return -1;
}

/* A value that changes when its flow is turned, and has no twin. */
static bool
is_of_one_way(const struct column *column)
{
	if (column->field.key || column_is_set_late(column) || column->id)
		return false;
	return column->forward || (!biflow_is_of_both(column) &&
				   !direction_is_of_both(column->field.ie));
}

/* What becomes of each value when a flow is turned. */
static void
find_twins(struct layout *layout)
{
	const struct cache *cache = layout->cache;

	for (unsigned i = 0; i < cache->column_count; i++)
		layout->twin[i] = is_of_one_way(&cache->column[i])
					  ? TWIN_FORGOTTEN
					  : TWIN_NONE;
	for (unsigned i = 0; i < cache->column_count; i++) {
		int k = biflow_twin(cache, i);

		if (k < 0)
			continue;
		layout->twin[i] = (int16_t)k;
		layout->twin[k] = TWIN_NONE; /* it goes with the other */
	}
}

void
biflow_layout(struct layout *layout)
{
	find_twins(layout);
	layout->start = start_column(layout->cache);
	if (layout->table.key_length > PAIR_MAX)
		return;
	find_swaps(layout);
	flow_table_pair(&layout->table, layout->swap, layout->swap_count);
}

/* ---- turning ----------------------------------------------------------- */

static void
swap_octets(uint8_t *a, uint8_t *b, uint16_t width)
{
	for (uint16_t i = 0; i < width; i++) {
		uint8_t kept = a[i];

		a[i] = b[i];
		b[i] = kept;
	}
}

/* Two flags change places. */
static uint64_t
swap_flags(uint64_t flags, uint64_t a, uint64_t b)
{
	uint64_t kept = flags & ~(a | b);

	return kept | (flags & a ? b : 0) | (flags & b ? a : 0);
}

static void
forget_value(const struct layout *layout, uint8_t *flow, unsigned i)
{
	const struct slot *slot = &layout->slot[i];
	struct row *head = (struct row *)(void *)flow;

	memcpy(flow + slot->offset, layout->neutral + slot->offset,
	       slot->width);
	head->flags &= ~ROW_BIT(layout->cache->column[i].bit);
}

/* A value and that of the other direction. */
static void
turn_pair(const struct layout *layout, uint8_t *flow, unsigned i, unsigned k)
{
	const struct column *column = &layout->cache->column[i];
	uint64_t bit = ROW_BIT(column->bit);
	uint64_t twin_bit = ROW_BIT(layout->cache->column[k].bit);
	uint8_t *value = flow + layout->slot[i].offset;
	uint8_t *twin = flow + layout->slot[k].offset;
	struct row *head = (struct row *)(void *)flow;

	if (!biflow_is_of_both(column)) {
		swap_octets(value, twin, layout->slot[i].width);
		head->flags = swap_flags(head->flags, bit, twin_bit);
		return;
	}
	/* That of both was that of the forward direction, or is near it. */
	memcpy(twin, value, layout->slot[i].width);
	head->flags &= ~twin_bit;
	if (head->flags & bit)
		head->flags |= twin_bit;
}

static void
turn_flow(const struct layout *layout, uint8_t *flow)
{
	struct row *head = (struct row *)(void *)flow;

	for (unsigned i = 0; i < layout->swap_count; i++) {
		const struct key_swap *s = &layout->swap[i];

		swap_octets(flow + s->a, flow + s->b, s->width);
	}
	for (unsigned i = 0; i < layout->cache->column_count; i++) {
		int k = layout->twin[i];

		if (k >= 0)
			turn_pair(layout, flow, i, (unsigned)k);
		else if (k == TWIN_FORGOTTEN)
			forget_value(layout, flow, i);
	}
	head->flags = swap_flags(head->flags, ROW_FIN_FORWARD, ROW_FIN_REVERSE);
}

void
biflow_direct(struct plan *plan, const uint8_t *rows, uint32_t count,
	      uint8_t *const *flow, const uint32_t *number, bool *reverse)
{
	const struct layout *layout = plan->layout;
	uint16_t at = plan->start_at;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t start = row_get(rows + (size_t)i * layout->stride, at);
		uint64_t before;

		if (!flow[i])
			continue;
		before = row_get(flow[i], at);
		if (start >= before)
			continue;
		/* If it is known when the others began. */
		if (reverse[i] && before != UINT64_MAX) {
			turn_flow(layout, flow[i]);
			for (uint32_t k = 0; k < count; k++)
				if (number[k] == number[i])
					reverse[k] = !reverse[k];
		}
		row_put(flow[i], at, start); /* as merging will */
	}
}
