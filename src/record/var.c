/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Entries are reached by an array of pointers (the handle) and a hash table. */
#include "conflux/var.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/table.h"

struct var {
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
	var = malloc(sizeof(*var) + length);
	if (!var)
		return -ENOMEM;
	*var = (struct var){.holds = 1, .hash = hash, .length = length};
	memcpy(var->data, data, length);
	err = handle_new(store, &var->handle);
	if (err) {
		free(var);
		return err;
	}
	err = table_add(&store->table, hash, var);
	if (err) {
		store->entry[var->handle] = NULL;
		store->free_handle[store->free_count++] = var->handle;
		free(var);
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
	free(var);
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
