/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear probing with backward shift on removal, so there are no tombstones
 * and a table that shrinks stays fast. At most three quarters full.
 */
#include "conflux/table.h"

#include <errno.h>
#include <stdlib.h>

enum { TABLE_START = 16 };

void
table_fini(struct table *table)
{
	free(table->slot);
	*table = (struct table){0};
}

void *
table_find(const struct table *table, uint32_t hash, table_equal equal,
	   const void *key)
{
	if (!table->slot)
		return NULL;
	for (uint32_t i = hash & table->mask; table->slot[i].item;
	     i = (i + 1) & table->mask)
		if (table->slot[i].hash == hash &&
		    equal(table->slot[i].item, key))
			return table->slot[i].item;
	return NULL;
}

static void
place(struct table_slot *slot, uint32_t mask, uint32_t hash, void *item)
{
	uint32_t i = hash & mask;

	while (slot[i].item)
		i = (i + 1) & mask;
	slot[i] = (struct table_slot){hash, item};
}

static int
grow(struct table *table)
{
	uint32_t size = table->slot ? (table->mask + 1) * 2 : TABLE_START;
	struct table_slot *slot = calloc(size, sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	for (uint32_t i = 0; table->slot && i <= table->mask; i++)
		if (table->slot[i].item)
			place(slot, size - 1, table->slot[i].hash,
			      table->slot[i].item);
	free(table->slot);
	table->slot = slot;
	table->mask = size - 1;
	return 0;
}

int
table_add(struct table *table, uint32_t hash, void *item)
{
	if (!table->slot ||
	    table->count + 1 > table->mask - table->mask / 4) {
		int err = grow(table);

		if (err)
			return err;
	}
	place(table->slot, table->mask, hash, item);
	table->count++;
	return 0;
}

bool
table_remove(struct table *table, uint32_t hash, const void *item)
{
	uint32_t mask = table->mask;
	uint32_t i = hash & mask;

	if (!table->slot)
		return false;
	while (table->slot[i].item != item) {
		if (!table->slot[i].item)
			return false;
		i = (i + 1) & mask;
	}
	for (uint32_t j = (i + 1) & mask; table->slot[j].item;
	     j = (j + 1) & mask) {
		uint32_t home = table->slot[j].hash & mask;

		/* May the item at j live at i? Not if its home is in (i, j]. */
		if (((j - home) & mask) < ((j - i) & mask))
			continue;
		table->slot[i] = table->slot[j];
		i = j;
	}
	table->slot[i].item = NULL;
	table->count--;
	return true;
}

void *
table_next(const struct table *table, uint32_t *at)
{
	while (table->slot && *at <= table->mask) {
		void *item = table->slot[(*at)++].item;

		if (item)
			return item;
	}
	return NULL;
}
