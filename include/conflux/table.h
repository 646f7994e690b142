/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * An open-addressed hash table of pointers for the control plane: sessions,
 * templates, elements. The caller keeps the items; an item is found by its
 * 32 bit hash and an equality function. The flow cache has its own table.
 */
#ifndef CONFLUX_TABLE_H
#define CONFLUX_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_slot {
	uint32_t hash;
	void *item; /* NULL: free */
};

struct table {
	struct table_slot *slot;
	uint32_t mask;  /* number of slots - 1; 0 with slot NULL: empty */
	uint32_t count; /* items */
};

typedef bool (*table_equal)(const void *item, const void *key);

/* Zero initialised is an empty table. Frees the slots, not the items. */
void table_fini(struct table *table);

/* The item, or NULL. */
void *table_find(const struct table *table, uint32_t hash, table_equal equal,
		 const void *key);

/* Adds an item that is known not to be there. 0 or -ENOMEM. */
int table_add(struct table *table, uint32_t hash, void *item);

/* Takes this very item out. Returns false if it was not there. */
bool table_remove(struct table *table, uint32_t hash, const void *item);

/*
 * Iterates: uint32_t i = 0; while ((item = table_next(t, &i))) ...
 * The table must not change meanwhile, except that the item just returned may be
 * removed if i is decremented then (an item may come twice, but none is missed).
 */
void *table_next(const struct table *table, uint32_t *at);

#endif
