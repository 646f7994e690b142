/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "conflux/flow_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "conflux/hash.h"

enum { INDEX_START = 1024 };

static uint64_t
rows_size(const struct flow_table *t)
{
	return ((uint64_t)t->max_rows + 1) * t->row_size;
}

static size_t
index_size(uint32_t mask)
{
	return ((size_t)mask + 1) * sizeof(struct index_slot);
}

/*
 * Zeroed memory. Flows are met in random order, so every access is likely to
 * miss the TLB: large pages, where the kernel has them, save a fifth of the
 * time with a million flows.
 */
static void *
map_new(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, size, MADV_HUGEPAGE);
	return p;
}

static struct index_slot *
index_new(uint32_t mask)
{
	return map_new(index_size(mask));
}

static void
index_free(struct index_slot *index, uint32_t mask)
{
	if (index)
		munmap(index, index_size(mask));
}

int
flow_table_init(struct flow_table *t, uint32_t row_size, uint32_t key_length,
		uint32_t max_rows, uint64_t now_ms)
{
	*t = (struct flow_table){
		.row_size = row_size,
		.key_length = key_length,
		.max_rows = max_rows,
		.used = 1,
		.mask = INDEX_START - 1,
		.seed = hash_seed(),
		.wheel_done = now_ms >> WHEEL_SHIFT,
	};
	t->index = index_new(t->mask);
	t->base = map_new(rows_size(t));
	if (t->index && t->base)
		return 0;
	flow_table_fini(t);
	return -ENOMEM;
}

void
flow_table_fini(struct flow_table *t)
{
	if (t->base)
		munmap(t->base, rows_size(t));
	index_free(t->index, t->mask);
	t->base = NULL;
	t->index = NULL;
}

void
flow_table_pair(struct flow_table *t, const struct key_swap *swap,
		unsigned count)
{
	t->swap = swap;
	t->swap_count = count;
}

static inline uint32_t
hash_as_it_is(const struct flow_table *t, const uint8_t *row)
{
	/* The usual lengths with a constant, so that the loop dissolves. */
	switch (t->key_length) {
	case 16:
		return (uint32_t)hash_words(row + ROW_KEY, 16, t->seed);
	case 40:
		return (uint32_t)hash_words(row + ROW_KEY, 40, t->seed);
	default:
		return (uint32_t)hash_words(row + ROW_KEY, t->key_length,
					    t->seed);
	}
}

static inline bool
key_equal(const struct flow_table *t, const uint8_t *a, const uint8_t *b)
{
	if (t->key_length == 16) {
		uint64_t x[2], y[2];

		memcpy(x, a + ROW_KEY, 16);
		memcpy(y, b + ROW_KEY, 16);
		return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
	}
	return memcmp(a + ROW_KEY, b + ROW_KEY, t->key_length) == 0;
}

/* ---- both directions -------------------------------------------------------
 */

/* Copies with a constant length for the parts that are usual. */
static inline void
copy_part(uint8_t *to, const uint8_t *from, uint16_t width)
{
	switch (width) {
	case 2:
		memcpy(to, from, 2);
		break;
	case 4:
		memcpy(to, from, 4);
		break;
	case 16:
		memcpy(to, from, 16);
		break;
	default:
		memcpy(to, from, width);
		break;
	}
}

static inline int
compare_part(const uint8_t *a, const uint8_t *b, uint16_t width)
{
	switch (width) {
	case 2:
		return memcmp(a, b, 2);
	case 4:
		return memcmp(a, b, 4);
	case 16:
		return memcmp(a, b, 16);
	default:
		return memcmp(a, b, width);
	}
}

/* Is the reverse of the key the one whose hash both have? */
static inline bool
is_second(const struct flow_table *t, const uint8_t *row)
{
	int order = 0;

	for (unsigned i = 0; order == 0 && i < t->swap_count; i++)
		order = compare_part(row + t->swap[i].a, row + t->swap[i].b,
				     t->swap[i].width);
	return order > 0;
}

static void
reverse_key(const struct flow_table *t, const uint8_t *row, uint8_t *out)
{
	memcpy(out + ROW_KEY, row + ROW_KEY, t->key_length);
	for (unsigned i = 0; i < t->swap_count; i++) {
		const struct key_swap *s = &t->swap[i];

		copy_part(out + s->a, row + s->b, s->width);
		copy_part(out + s->b, row + s->a, s->width);
	}
}

static uint32_t
hash_of_reverse(const struct flow_table *t, const uint8_t *row)
{
	uint8_t reversed[ROW_KEY + PAIR_MAX];

	reverse_key(t, row, reversed);
	return hash_as_it_is(t, reversed);
}

static inline uint32_t
key_hash(const struct flow_table *t, const uint8_t *row)
{
	return is_second(t, row) ? hash_of_reverse(t, row)
				 : hash_as_it_is(t, row);
}

static bool
is_reverse(const struct flow_table *t, const uint8_t *a, const uint8_t *b)
{
	uint8_t reversed[ROW_KEY + PAIR_MAX];

	reverse_key(t, a, reversed);
	return key_equal(t, reversed, b);
}

/* ---- finding ---------------------------------------------------------------
 */

/* Is that the flow of the row? *reverse is set if it is of the other direction.
 */
static inline bool
is_flow(const struct flow_table *t, const uint8_t *row, uint32_t number,
	bool *reverse)
{
	const uint8_t *flow = (const uint8_t *)flow_table_row(t, number);

	if (key_equal(t, row, flow))
		return true;
	if (!t->swap_count || !is_reverse(t, row, flow))
		return false;
	*reverse = true;
	return true;
}

uint32_t
flow_table_find_one(const struct flow_table *t, const uint8_t *row,
		    uint32_t hash, bool *reverse)
{
	for (uint32_t i = hash & t->mask; t->index[i].row;
	     i = (i + 1) & t->mask)
		if (t->index[i].hash == hash &&
		    is_flow(t, row, t->index[i].row, reverse))
			return t->index[i].row;
	return 0;
}

uint32_t
flow_table_find(const struct flow_table *t, const uint8_t *rows,
		uint32_t stride, uint32_t count, uint32_t *hash,
		uint32_t *found, bool *reverse)
{
	const uint8_t *row = rows;
	uint32_t missing = 0;

	/* Three passes, so that the cache misses of many flows overlap. */
	for (uint32_t i = 0; i < count; i++, row += stride) {
		hash[i] = key_hash(t, row);
		__builtin_prefetch(&t->index[hash[i] & t->mask]);
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = hash[i] & t->mask;

		while (t->index[at].row && t->index[at].hash != hash[i])
			at = (at + 1) & t->mask;
		found[i] = t->index[at].row;
		if (found[i])
			__builtin_prefetch(flow_table_row(t, found[i]), 1);
	}
	row = rows;
	for (uint32_t i = 0; i < count; i++, row += stride) {
		if (found[i] && !is_flow(t, row, found[i], &reverse[i]))
			found[i] = flow_table_find_one(t, row, hash[i],
						       &reverse[i]);
		missing += found[i] == 0;
	}
	return missing;
}

static int
index_grow(struct flow_table *t)
{
	uint32_t mask = t->mask * 2 + 1;
	struct index_slot *index;

	if (mask < t->mask)
		return -ENOSPC;
	index = index_new(mask);
	if (!index)
		return -ENOMEM;
	for (uint32_t i = 0; i <= t->mask; i++) {
		uint32_t at = t->index[i].hash & mask;

		if (!t->index[i].row)
			continue;
		while (index[at].row)
			at = (at + 1) & mask;
		index[at] = t->index[i];
	}
	index_free(t->index, t->mask);
	t->index = index;
	t->mask = mask;
	return 0;
}

static int
row_new(struct flow_table *t, uint32_t *number)
{
	if (t->free_head) {
		*number = t->free_head;
		t->free_head = flow_table_row(t, *number)->next;
		return 0;
	}
	if (t->used > t->max_rows)
		return -ENOSPC;
	*number = t->used++;
	return 0;
}

int
flow_table_add(struct flow_table *t, const uint8_t *row, uint32_t hash,
	       uint32_t *number)
{
	uint32_t at;
	int err;

	if (t->live + 1 > t->mask - t->mask / 4) {
		err = index_grow(t);
		if (err)
			return err;
	}
	err = row_new(t, number);
	if (err)
		return err;
	at = hash & t->mask;
	while (t->index[at].row)
		at = (at + 1) & t->mask;
	t->index[at] = (struct index_slot){hash, *number};
	memcpy((uint8_t *)flow_table_row(t, *number) + ROW_KEY, row + ROW_KEY,
	       t->key_length);
	t->live++;
	return 0;
}

void
flow_table_remove(struct flow_table *t, uint32_t number)
{
	uint32_t mask = t->mask;
	uint32_t i = key_hash(t, (uint8_t *)flow_table_row(t, number)) & mask;

	while (t->index[i].row != number)
		i = (i + 1) & mask;
	/* Close the gap: move up what would not be found any more. */
	for (uint32_t j = (i + 1) & mask; t->index[j].row; j = (j + 1) & mask) {
		uint32_t home = t->index[j].hash & mask;

		if (((j - home) & mask) < ((j - i) & mask))
			continue;
		t->index[i] = t->index[j];
		i = j;
	}
	t->index[i].row = 0;
	t->live--;
}

void
flow_table_prefetch(const struct flow_table *t, uint32_t number)
{
	const uint8_t *row = (const uint8_t *)flow_table_row(t, number);

	__builtin_prefetch(&t->index[key_hash(t, row) & t->mask], 1);
}

void
flow_table_free_row(struct flow_table *t, uint32_t number)
{
	struct row *row = flow_table_row(t, number);

	row->flags = 0;
	row->next = t->free_head;
	t->free_head = number;
}

void
flow_table_wait(struct flow_table *t, uint32_t number, uint64_t deadline_ms)
{
	uint64_t slot = deadline_ms >> WHEEL_SHIFT;
	uint32_t *head;

	/* What lies beyond the horizon is looked at again when it is near. */
	if (slot <= t->wheel_done)
		slot = t->wheel_done + 1;
	else if (slot > t->wheel_done + WHEEL_SLOTS - 1)
		slot = t->wheel_done + WHEEL_SLOTS - 1;
	head = &t->wheel[slot % WHEEL_SLOTS];
	flow_table_row(t, number)->next = *head;
	*head = number;
	t->linked++;
}

void
flow_table_trim(struct flow_table *t)
{
	struct index_slot *index;

	if (t->live || t->linked || t->used < 4096)
		return;
	madvise(t->base, rows_size(t), MADV_DONTNEED);
	t->used = 1;
	t->free_head = 0;
	index = index_new(INDEX_START - 1);
	if (!index)
		return; /* the large one will do */
	index_free(t->index, t->mask);
	t->index = index;
	t->mask = INDEX_START - 1;
}

uint64_t
flow_table_octets(const struct flow_table *t)
{
	return (uint64_t)t->used * t->row_size +
	       ((uint64_t)t->mask + 1) * sizeof(*t->index);
}
