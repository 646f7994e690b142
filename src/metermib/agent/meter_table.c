/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow table of the meter. Flows stand in one array at their index, a hash
 * table finds them by key, free places are a stack, so an index is soon used
 * again: a reader that does not look at FirstTime too is found out.
 *
 * A reader asks for "the next flow after this index that was active at T or
 * later". Each rule set has a time tree for it: level 0 holds the last active
 * time of each index (0: not a flow of the rule set), each entry above the
 * latest of the 64 below it. A search looks at no more than 64 entries per
 * level twice, a count writes one entry per level at most, once per tick.
 *
 * The flows of a rule set are also chained by last active time, so that idle
 * ones are found without a search. Memory is taken for the first flow of a rule
 * set and when the hash table grows, never to count.
 */
#include "conflux/metermib_agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/table.h"

enum {
	TREE_BITS = 6,
	TREE_WIDTH = 1 << TREE_BITS,
	TREE_LEVELS = 4,
};

struct strand {
	uint32_t *level[TREE_LEVELS]; /* in one piece, level[0] owns it */
	uint32_t flows;
	uint32_t oldest; /* index, 0: none */
	uint32_t newest;
};

struct meter_table {
	struct meter_flow *flow; /* max + 1 of them, 0 is not used */
	uint32_t *free_index;
	uint32_t free_count;
	uint32_t max;
	uint32_t size[TREE_LEVELS];
	unsigned levels;
	bool all_rule_sets;
	uint64_t seed;
	struct table by_key;
	struct strand strand[256]; /* by rule set, 0: all of them */
	flow_removed removed;
	void *removed_arg;
};

struct meter_table *
meter_table_new(uint32_t max_flows, bool all_rule_sets)
{
	struct meter_table *table;
	uint32_t size = max_flows + 1;

	if (max_flows < 1 || max_flows > METER_TABLE_MAX)
		return NULL;
	table = calloc(1, sizeof(*table));
	if (!table)
		return NULL;
	table->flow = calloc(size, sizeof(*table->flow));
	table->free_index = calloc(size, sizeof(*table->free_index));
	if (!table->flow || !table->free_index) {
		meter_table_free(table);
		return NULL;
	}
	table->max = max_flows;
	table->all_rule_sets = all_rule_sets;
	table->seed = hash_seed();
	/* Popped from the end: 1 comes first. */
	for (uint32_t i = 0; i < max_flows; i++)
		table->free_index[i] = max_flows - i;
	table->free_count = max_flows;
	do {
		table->size[table->levels++] = size;
		size = (size + TREE_WIDTH - 1) >> TREE_BITS;
	} while (table->size[table->levels - 1] > TREE_WIDTH);
	return table;
}

void
meter_table_free(struct meter_table *table)
{
	if (!table)
		return;
	for (unsigned i = 0; i < 256; i++)
		free(table->strand[i].level[0]);
	table_fini(&table->by_key);
	free(table->free_index);
	free(table->flow);
	free(table);
}

void
meter_table_on_removal(struct meter_table *table, flow_removed removed,
		       void *arg)
{
	table->removed = removed;
	table->removed_arg = arg;
}

static uint32_t
key_hash(const struct meter_table *table, const struct flow_key *key)
{
	_Static_assert(sizeof(*key) % 8 == 0, "hash_words needs whole words");

	return (uint32_t)hash_words(key, sizeof(*key), table->seed);
}

static bool
key_equal(const void *item, const void *key)
{
	const struct meter_flow *flow = item;

	return memcmp(&flow->key, key, sizeof(flow->key)) == 0;
}

struct meter_flow *
meter_table_find(const struct meter_table *table, const struct flow_key *key)
{
	return table_find(&table->by_key, key_hash(table, key), key_equal, key);
}

static int
strand_open(const struct meter_table *table, struct strand *strand)
{
	size_t entries = 0;
	uint32_t *tree;

	if (strand->level[0])
		return 0;
	for (unsigned i = 0; i < table->levels; i++)
		entries += table->size[i];
	tree = calloc(entries, sizeof(*tree));
	if (!tree)
		return -ENOMEM;
	for (unsigned i = 0; i < table->levels; i++) {
		strand->level[i] = tree;
		tree += table->size[i];
	}
	return 0;
}

/* The time of an index has grown. */
static void
tree_raise(const struct meter_table *table, struct strand *strand,
	   uint32_t index, uint32_t time)
{
	for (unsigned i = 0; i < table->levels; i++) {
		if (strand->level[i][index] >= time)
			return;
		strand->level[i][index] = time;
		index >>= TREE_BITS;
	}
}

static void
tree_clear(const struct meter_table *table, struct strand *strand,
	   uint32_t index)
{
	strand->level[0][index] = 0;
	for (unsigned i = 1; i < table->levels; i++) {
		const uint32_t *below = strand->level[i - 1];
		uint32_t at = index & ~(uint32_t)(TREE_WIDTH - 1);
		uint32_t end = at + TREE_WIDTH;
		uint32_t latest = 0;

		if (end > table->size[i - 1])
			end = table->size[i - 1];
		for (; at < end; at++)
			if (below[at] > latest)
				latest = below[at];
		index >>= TREE_BITS;
		if (strand->level[i][index] == latest)
			return;
		strand->level[i][index] = latest;
	}
}

/* The least index of from or above with that time or a later one, or 0. */
static uint32_t
tree_next(const struct meter_table *table, const struct strand *strand,
	  uint32_t from, uint32_t time)
{
	unsigned level = 0;
	uint32_t at = from;

	for (;;) {
		const uint32_t *entry = strand->level[level];
		uint32_t end = (at | (TREE_WIDTH - 1)) + 1;

		if (end > table->size[level])
			end = table->size[level];
		while (at < end && entry[at] < time)
			at++;
		if (at < end && level == 0)
			return at;
		if (at < end) {
			at <<= TREE_BITS;
			level--;
		} else {
			if (++level == table->levels)
				return 0;
			at = (at + TREE_WIDTH - 1) >> TREE_BITS;
		}
	}
}

static void
chain_take(struct meter_table *table, struct strand *strand,
	   struct meter_flow *flow)
{
	if (flow->older)
		table->flow[flow->older].newer = flow->newer;
	else
		strand->oldest = flow->newer;
	if (flow->newer)
		table->flow[flow->newer].older = flow->older;
	else
		strand->newest = flow->older;
}

static void
chain_put(struct meter_table *table, struct strand *strand,
	  struct meter_flow *flow)
{
	flow->older = strand->newest;
	flow->newer = 0;
	if (strand->newest)
		table->flow[strand->newest].newer = flow->index;
	else
		strand->oldest = flow->index;
	strand->newest = flow->index;
}

int
meter_table_add(struct meter_table *table, const struct flow_key *key,
		uint32_t now, struct meter_flow **flow)
{
	struct strand *strand = &table->strand[key->rule_set];
	struct meter_flow *f;
	uint32_t index;
	int err;

	if (key->rule_set == 0)
		return -EINVAL;
	if (table->free_count == 0)
		return -ENOSPC;
	err = strand_open(table, strand);
	if (!err && table->all_rule_sets)
		err = strand_open(table, &table->strand[0]);
	if (err)
		return err;
	index = table->free_index[table->free_count - 1];
	f = &table->flow[index];
	*f = (struct meter_flow){.key = *key,
				 .index = index,
				 .serial = f->serial + 1,
				 .first_time = now,
				 .last_time = now};
	err = table_add(&table->by_key, key_hash(table, key), f);
	if (err) {
		f->index = 0;
		return err;
	}
	table->free_count--;
	strand->flows++;
	chain_put(table, strand, f);
	tree_raise(table, strand, index, now);
	if (table->all_rule_sets)
		tree_raise(table, &table->strand[0], index, now);
	*flow = f;
	return 0;
}

void
meter_table_count(struct meter_table *table, struct meter_flow *flow,
		  enum flow_direction direction, uint64_t octets, uint64_t pdus,
		  uint32_t now)
{
	struct strand *strand = &table->strand[flow->key.rule_set];

	flow->octets[direction] += octets;
	flow->pdus[direction] += pdus;
	/* Several in one tick: neither tree nor chain would change. */
	if (now <= flow->last_time)
		return;
	flow->last_time = now;
	tree_raise(table, strand, flow->index, now);
	if (table->all_rule_sets)
		tree_raise(table, &table->strand[0], flow->index, now);
	if (strand->newest != flow->index) {
		chain_take(table, strand, flow);
		chain_put(table, strand, flow);
	}
}

void
meter_table_remove(struct meter_table *table, struct meter_flow *flow,
		   enum flow_end_reason reason)
{
	struct strand *strand = &table->strand[flow->key.rule_set];
	uint32_t index = flow->index;

	if (table->removed)
		table->removed(table->removed_arg, flow, reason);
	table_remove(&table->by_key, key_hash(table, &flow->key), flow);
	chain_take(table, strand, flow);
	strand->flows--;
	tree_clear(table, strand, index);
	if (table->all_rule_sets)
		tree_clear(table, &table->strand[0], index);
	flow->index = 0;
	table->free_index[table->free_count++] = index;
}

void
meter_table_clear(struct meter_table *table, uint8_t rule_set,
		  enum flow_end_reason reason)
{
	unsigned first = rule_set ? rule_set : 1;
	unsigned last = rule_set ? rule_set : 255;

	for (unsigned i = first; i <= last; i++)
		while (table->strand[i].oldest)
			meter_table_remove(
				table, &table->flow[table->strand[i].oldest],
				reason);
}

struct meter_flow *
meter_table_at(const struct meter_table *table, uint32_t index)
{
	if (index == 0 || index > table->max || table->flow[index].index == 0)
		return NULL;
	return &table->flow[index];
}

struct meter_flow *
meter_table_next(const struct meter_table *table, uint8_t rule_set,
		 uint32_t time, uint32_t after)
{
	const struct strand *strand = &table->strand[rule_set];
	uint32_t index;

	if (!strand->level[0] || after >= table->max)
		return NULL;
	index = tree_next(table, strand, after + 1, time ? time : 1);
	return index ? &table->flow[index] : NULL;
}

struct meter_flow *
meter_table_oldest(const struct meter_table *table, uint8_t rule_set)
{
	uint32_t index = table->strand[rule_set].oldest;

	return index ? &table->flow[index] : NULL;
}

uint32_t
meter_table_latest(const struct meter_table *table, uint8_t rule_set)
{
	const struct strand *strand = &table->strand[rule_set];
	unsigned top = table->levels - 1;
	uint32_t latest = 0;

	if (!strand->level[0])
		return 0;
	for (uint32_t i = 0; i < table->size[top]; i++)
		if (strand->level[top][i] > latest)
			latest = strand->level[top][i];
	return latest;
}

uint32_t
meter_table_flows(const struct meter_table *table, uint8_t rule_set)
{
	return rule_set ? table->strand[rule_set].flows
			: table->max - table->free_count;
}

uint32_t
meter_table_max(const struct meter_table *table)
{
	return table->max;
}
