/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Biflows (RFC 5103): the direction of the first record is the forward one; a
 * record of the other direction has its key with source and destination
 * exchanged, and is found in the same look at the table (flow_table_pair).
 */
#include "internal.h"

static const uint16_t pair[][2] = {
	{IE_sourceIPv4Address, IE_destinationIPv4Address},
	{IE_sourceIPv6Address, IE_destinationIPv6Address},
	{IE_sourceIPv4Prefix, IE_destinationIPv4Prefix},
	{IE_sourceIPv6Prefix, IE_destinationIPv6Prefix},
	{IE_sourceIPv4PrefixLength, IE_destinationIPv4PrefixLength},
	{IE_sourceIPv6PrefixLength, IE_destinationIPv6PrefixLength},
	{IE_sourceTransportPort, IE_destinationTransportPort},
	{IE_udpSourcePort, IE_udpDestinationPort},
	{IE_tcpSourcePort, IE_tcpDestinationPort},
	{IE_sourceMacAddress, IE_destinationMacAddress},
	{IE_ingressInterface, IE_egressInterface},
	{IE_ingressPhysicalInterface, IE_egressPhysicalInterface},
};

uint16_t
biflow_counterpart(uint16_t id)
{
	for (size_t i = 0; i < sizeof(pair) / sizeof(pair[0]); i++) {
		if (pair[i][0] == id)
			return pair[i][1];
		if (pair[i][1] == id)
			return pair[i][0];
	}
	return 0;
}

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
		uint16_t other = ie->pen ? 0 : biflow_counterpart(ie->id);
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
