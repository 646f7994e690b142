/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries are reached by an array of pointers (the handle) and a hash table.
 * Short ones that are released are kept for the next of their size, so strings
 * that come and go with their flows need no allocation.
 */
#include "conflux/var.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/table.h"

enum { CLASS_OCTETS = 32, CLASSES = 8 };

struct var {
	struct var *spare; /* the next one, while it is not in use */
	uint32_t handle;
	uint32_t holds;
	uint32_t hash;
	uint32_t length;
	uint8_t data[];
};

struct var_store {
	struct table table;
	struct var **entry; /* by handle; a free one is NULL */
	uint32_t *free_handle;
	uint32_t size, next, free_count;
	uint64_t octets, max_octets, seed;
	struct var *spare[CLASSES];
};

struct wanted {
	const uint8_t *data;
	uint32_t length;
};

struct var_store *
var_store_new(uint64_t max_octets)
{
	struct var_store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->max_octets = max_octets;
	store->seed = hash_seed();
	store->next = 1; /* 0 is the empty string */
	return store;
}

void
var_store_free(struct var_store *store)
{
	if (!store)
		return;
	for (uint32_t i = 1; i < store->next; i++)
		free(store->entry[i]);
	for (unsigned i = 0; i < CLASSES; i++)
		while (store->spare[i]) {
			struct var *var = store->spare[i];

			store->spare[i] = var->spare;
			free(var);
		}
	free(store->entry);
	free(store->free_handle);
	table_fini(&store->table);
	free(store);
}

static bool
var_equal(const void *item, const void *key)
{
	const struct var *var = item;
	const struct wanted *w = key;

	return var->length == w->length &&
	       memcmp(var->data, w->data, w->length) == 0;
}

/* What one entry costs, table slot and handle included. */
static uint64_t
var_cost(uint32_t length)
{
	return sizeof(struct var) + length + 48;
}

static unsigned
class_of(uint32_t length)
{
	return (unsigned)((sizeof(struct var) + length) / CLASS_OCTETS);
}

static struct var *
entry_new(struct var_store *store, uint32_t length)
{
	unsigned class = class_of(length);
	struct var *var;

	if (class >= CLASSES)
		return malloc(sizeof(*var) + length);
	var = store->spare[class];
	if (!var)
		return malloc((class + 1) * CLASS_OCTETS);
	store->spare[class] = var->spare;
	return var;
}

static void
entry_free(struct var_store *store, struct var *var)
{
	unsigned class = class_of(var->length);

	if (class >= CLASSES) {
		free(var);
		return;
	}
	var->spare = store->spare[class];
	store->spare[class] = var;
}

static int
handle_new(struct var_store *store, uint32_t *handle)
{
	if (store->free_count) {
		*handle = store->free_handle[--store->free_count];
		return 0;
	}
	if (store->next >= store->size) {
		uint32_t size = store->size ? store->size * 2 : 64;
		struct var **entry;
		uint32_t *list;

		if (size < store->size)
			return -ENOSPC;
		entry = realloc(store->entry, size * sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		store->entry = entry;
		list = realloc(store->free_handle, size * sizeof(*list));
		if (!list)
			return -ENOMEM;
		store->free_handle = list;
		store->size = size;
	}
	*handle = store->next++;
	return 0;
}

int
var_get(struct var_store *store, const uint8_t *data, uint32_t length,
	uint32_t *handle)
{
	struct wanted wanted = {data, length};
	uint32_t hash;
	struct var *var;
	int err;

	*handle = 0;
	if (length == 0)
		return 0;
	hash = (uint32_t)hash_bytes(data, length, store->seed);
	var = table_find(&store->table, hash, var_equal, &wanted);
	if (var) {
		var->holds++;
		*handle = var->handle;
		return 0;
	}
	if (store->octets + var_cost(length) > store->max_octets)
		return -ENOSPC;
	var = entry_new(store, length);
	if (!var)
		return -ENOMEM;
	*var = (struct var){.holds = 1, .hash = hash, .length = length};
	memcpy(var->data, data, length);
	err = handle_new(store, &var->handle);
	if (err) {
		entry_free(store, var);
		return err;
	}
	err = table_add(&store->table, hash, var);
	if (err) {
		store->entry[var->handle] = NULL;
		store->free_handle[store->free_count++] = var->handle;
		entry_free(store, var);
		return err;
	}
	store->entry[var->handle] = var;
	store->octets += var_cost(length);
	*handle = var->handle;
	return 0;
}

void
var_hold(struct var_store *store, uint32_t handle)
{
	if (handle)
		store->entry[handle]->holds++;
}

void
var_release(struct var_store *store, uint32_t handle)
{
	struct var *var;

	if (handle == 0)
		return;
	var = store->entry[handle];
	if (--var->holds)
		return;
	table_remove(&store->table, var->hash, var);
	store->octets -= var_cost(var->length);
	store->entry[handle] = NULL;
	store->free_handle[store->free_count++] = handle;
	entry_free(store, var);
}

const uint8_t *
var_data(const struct var_store *store, uint32_t handle, uint32_t *length)
{
	if (handle == 0) {
		*length = 0;
		return (const uint8_t *)"";
	}
	*length = store->entry[handle]->length;
	return store->entry[handle]->data;
}

uint64_t
var_store_octets(const struct var_store *store)
{
	return store->octets;
}
