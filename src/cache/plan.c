/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan is made once for a shape that comes in (and what is known of its
 * scope): which layout its records go to, how they are decoded into rows and
 * which values are merged how. Plans are kept in a bounded table.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "internal.h"

enum { PLAN_UNUSED_MS = 600000 };

struct wanted {
	const struct shape *shape;
	unsigned class;
};

static bool
plan_equal(const void *item, const void *key)
{
	const struct plan *plan = item;
	const struct wanted *wanted = key;

	return plan->shape == wanted->shape && plan->class == wanted->class;
}

static void
plan_free(struct plan *plan)
{
	if (!plan)
		return;
	decoder_free(plan->decoder);
	shape_release(plan->shape);
	free(plan->update);
	free(plan->reverse);
	free(plan->turn);
	free(plan);
}

/* originalFlowsPresent, -Initiated, -Completed (RFC 7015 section 11). */
static bool
counts_flows(const struct ie *ie)
{
	return ie->pen == 0 && (ie->id == IE_deltaFlowCount ||
				(ie->id >= 375 && ie->id <= 377));
}

/* What the cache tells of its flows where their records do not. */
static bool
cache_knows(const struct cache *cache, const struct ie *ie,
	    struct source *source)
{
	bool expires =
		cache->type == CACHE_TIMEOUT || cache->type == CACHE_NATURAL;
	bool known = counts_flows(ie);
	uint64_t value = 1;

	if (ie->pen == 0 && ie->id == IE_flowActiveTimeout) {
		known = expires && cache->active_s;
		value = cache->active_s;
	} else if (ie->pen == 0 && ie->id == IE_flowIdleTimeout) {
		known = expires && cache->idle_s;
		value = cache->idle_s;
	} else if (ie->pen == 0 && ie->id == IE_meteringProcessId) {
		known = cache->metering_process_id != 0;
		value = cache->metering_process_id;
	}
	if (known)
		*source = (struct source){.kind = SOURCE_CONSTANT,
					  .constant = value};
	return known;
}

static const struct cache_field *
masked_field(const struct cache *cache, uint16_t id)
{
	for (unsigned i = 0; i < cache->column_count; i++) {
		const struct cache_field *f = &cache->column[i].field;

		if (f->ie->pen == 0 && f->ie->id == id && f->prefix_length >= 0)
			return f;
	}
	return NULL;
}

/* A prefix length that the configuration itself has decided. */
static bool
configured_prefix(const struct cache *cache, const struct batch *batch,
		  const struct ie *ie, struct source *source)
{
	static const uint16_t pair[][3] = {
		{IE_sourceIPv4PrefixLength, IE_sourceIPv4Address,
		 IE_sourceIPv4Prefix},
		{IE_destinationIPv4PrefixLength, IE_destinationIPv4Address,
		 IE_destinationIPv4Prefix},
		{IE_sourceIPv6PrefixLength, IE_sourceIPv6Address,
		 IE_sourceIPv6Prefix},
		{IE_destinationIPv6PrefixLength, IE_destinationIPv6Address,
		 IE_destinationIPv6Prefix},
	};

	for (size_t i = 0; ie->pen == 0 && i < 4; i++) {
		const struct cache_field *f;

		if (pair[i][0] != ie->id)
			continue;
		f = masked_field(cache, pair[i][1]);
		if (!f)
			f = masked_field(cache, pair[i][2]);
		if (!f)
			return false;
		source_find(batch->shape, batch->scope, f->ie, source);
		if (source->kind == SOURCE_NONE)
			return false;
		*source = (struct source){
			.kind = SOURCE_CONSTANT,
			.constant = (uint64_t)f->prefix_length,
		};
		return true;
	}
	return false;
}

/* Where a column's value comes from; *total: it is a total counter. */
static void
column_source(const struct cache *cache, const struct column *column,
	      const struct batch *batch, struct source *source, bool *total)
{
	const struct ie *ie = column->forward && batch->scope->packets
				      ? column->forward
				      : column->field.ie;
	const struct ie *base = ie->forward ? ie->forward : ie;
	const struct ie *other;

	*total = false;
	/* The cache masks it itself, so it knows, wherever it comes from. */
	if (configured_prefix(cache, batch, ie, source))
		return;
	source_find(batch->shape, batch->scope, ie, source);
	if (source->kind != SOURCE_NONE) {
		*total = source->kind == SOURCE_FIELD &&
			 !batch->scope->packets && !cache->replaying &&
			 base->semantics == IE_TOTAL_COUNTER &&
			 column->merge == MERGE_SUM && !column->field.key;
		return;
	}
	if (column->field.key)
		return;
	if (cache_knows(cache, ie, source))
		return;
	other = totals_of(cache->registry, ie);
	if (!other)
		return;
	source_find(batch->shape, batch->scope, other, source);
	base = other->forward ? other->forward : other;
	*total = source->kind != SOURCE_NONE && !batch->scope->packets &&
		 base->semantics == IE_TOTAL_COUNTER;
}

static struct update
update_of(const struct plan *plan, const struct cache *cache, unsigned i)
{
	const struct column *column = &cache->column[i];
	const struct slot *slot = &plan->layout->slot[i];

	return (struct update){
		.merge = column->merge,
		.kind = slot->kind,
		.offset = slot->offset,
		.width = slot->width,
		.bit = ROW_BIT(column->bit),
		.bias = column_bias(column),
	};
}

/* Records of the reverse direction change this value too, or they alone. */
static void
plan_reverse(struct plan *plan, const struct cache *cache, unsigned i)
{
	struct update update = update_of(plan, cache, i);

	plan->reverse[plan->reverse_count++] = update;
	plan->reverse_present |= update.bit;
}

static int
plan_value(struct plan *plan, const struct cache *cache, unsigned i,
	   const struct source *source, bool total)
{
	const struct column *column = &cache->column[i];
	const struct slot *slot = &plan->layout->slot[i];
	/* A packet is of one direction: it has no values of the other one, not
	 * even where the key can't be exchanged. */
	bool back = plan->packets && column->forward;
	int err = decoder_add(plan->decoder, slot, source);

	if (err)
		return err;
	if (!back) {
		struct update update = update_of(plan, cache, i);

		plan->update[plan->update_count++] = update;
		plan->present |= update.bit;
	}
	if (plan->reverse && (back || biflow_is_of_both(column)))
		plan_reverse(plan, cache, i);
	if (total && plan->total_count < 8)
		plan->total_at[plan->total_count++] = slot->offset;
	return 0;
}

/*
 * A record, unlike a packet, may have counted both directions itself. When its
 * own forward direction is the reverse one of the flow, its values change
 * places before they are merged.
 */
static int
plan_turns(struct plan *plan, const struct cache *cache,
	   const struct source *source)
{
	plan->turn = calloc(CACHE_VALUES_MAX / 2, sizeof(*plan->turn));
	if (!plan->turn)
		return -ENOMEM;
	for (unsigned i = 0; i < cache->column_count; i++) {
		int k = biflow_twin(cache, i);
		bool copy, has, has_twin;

		if (k < 0)
			continue;
		copy = biflow_is_of_both(&cache->column[i]);
		has = source[i].kind != SOURCE_NONE;
		has_twin = source[k].kind != SOURCE_NONE;
		if (!has && (copy || !has_twin))
			continue;
		plan->turn[plan->turn_count++] = (struct turn){
			.forward = plan->layout->slot[i].offset,
			.reverse = plan->layout->slot[k].offset,
			.width = plan->layout->slot[i].width,
			.copy = copy,
		};
		if (has)
			plan_reverse(plan, cache, (unsigned)k);
		if (has_twin && !copy)
			plan_reverse(plan, cache, i);
		plan->both |= has_twin;
	}
	return 0;
}

/* TCP flags behind the row, for the natural end of a flow. */
static int
plan_flags(struct plan *plan, const struct cache *cache,
	   const struct batch *batch)
{
	struct source source;
	struct slot slot = {
		.ie = cache->tcp_flags,
		.kind = SLOT_BYTES,
		.prefix_length = -1,
		.offset = (uint16_t)plan->layout->row_size,
		.width = 2,
	};

	/* What ended in an earlier run is said by its journal. */
	if (cache->type != CACHE_NATURAL || !cache->tcp_flags ||
	    cache->replaying)
		return 0;
	source_find(batch->shape, batch->scope, cache->tcp_flags, &source);
	if (source.kind != SOURCE_FIELD)
		return 0;
	plan->has_flags = true;
	return decoder_add(plan->decoder, &slot, &source);
}

/* From now on flows leave with other marks, in other Templates. */
static void
change_marks(struct cache *cache)
{
	emit_all(cache);
	for (unsigned l = 0; l < cache->layout_count; l++) {
		struct layout *layout = cache->layout[l];

		emit_free(layout);
		for (unsigned i = 0; i < cache->column_count; i++)
			layout->slot[i].mark = cache->column[i].mark;
	}
}

/*
 * What was done to the values before (RFC 6235) is said of the merged ones, as
 * long as all records say the same.
 */
void
plan_learn_marks(struct cache *cache, const struct shape *shape,
		 const struct source *source)
{
	static const struct field_mark none;
	bool changed = false;

	for (unsigned i = 0; i < cache->column_count; i++) {
		struct column *column = &cache->column[i];
		struct field_mark mark;

		if (source[i].kind != SOURCE_FIELD &&
		    source[i].kind != SOURCE_DURATION)
			continue;
		mark = shape_mark(shape, source[i].field);
		if (memcmp(&mark, column->fed ? &column->mark : &none,
			   sizeof(mark)) != 0) {
			changed |= !column->fed || column->mark.technique;
			column->mark = column->fed ? none : mark;
		}
		column->fed = true;
	}
	if (changed)
		change_marks(cache);
}

/* 0; a bound leaves plan->layout NULL. */
static int
plan_build(struct plan *plan, struct cache *cache, const struct batch *batch)
{
	struct source source[CACHE_FIELDS_MAX];
	bool total[CACHE_FIELDS_MAX];
	uint64_t keys[2] = {0, 0};
	int err;

	for (unsigned i = 0; i < cache->column_count; i++) {
		column_source(cache, &cache->column[i], batch, &source[i],
			      &total[i]);
		if (cache->coarse && cache->column[i].field.coarse &&
		    cache->column[i].field.key)
			source[i].kind = SOURCE_NONE;
		if (cache->column[i].field.key && source[i].kind != SOURCE_NONE)
			bit_set(keys, i);
	}
	plan_learn_marks(cache, plan->shape, source);
	err = layout_get(cache, keys, &plan->layout);
	if (err)
		return err == -ENOSPC ? 0 : err;
	plan->update = calloc(CACHE_VALUES_MAX, sizeof(*plan->update));
	if (!plan->update)
		return -ENOMEM;
	plan->packets = batch->scope->packets;
	if (plan->layout->swap_count) {
		plan->reverse =
			calloc(CACHE_VALUES_MAX, sizeof(*plan->reverse));
		if (!plan->reverse)
			return -ENOMEM;
	}
	err = decoder_new(plan->shape, cache->strings, &plan->decoder);
	for (unsigned i = 0; !err && i < cache->column_count; i++) {
		const struct slot *slot = &plan->layout->slot[i];

		if (cache->column[i].id && source[i].kind == SOURCE_NONE) {
			plan->id_at = slot->offset;
			plan->present |= ROW_BIT(cache->column[i].bit);
		}
		if (column_is_set_late(&cache->column[i]) ||
		    source[i].kind == SOURCE_NONE)
			continue;
		if (!cache->column[i].field.key) {
			err = plan_value(plan, cache, i, &source[i], total[i]);
			continue;
		}
		err = decoder_add(plan->decoder, slot, &source[i]);
		if (slot->kind == SLOT_VAR)
			plan->key_var[plan->key_count++] = slot->offset;
	}
	if (!err && plan->reverse && !plan->packets) {
		int start = plan->layout->start;

		if (start >= 0 && source[start].kind != SOURCE_NONE)
			plan->start_at = plan->layout->slot[start].offset;
		err = plan_turns(plan, cache, source);
	}
	if (!err)
		err = plan_flags(plan, cache, batch);
	return err ? err : decoder_finish(plan->decoder);
}

static struct plan *
plan_new(struct cache *cache, const struct batch *batch, unsigned class,
	 uint32_t hash)
{
	struct plan *plan;

	if (cache->plans.count >= PLANS_MAX)
		plans_free(cache); /* simple, and rare: they are made anew */
	plan = calloc(1, sizeof(*plan));
	if (!plan)
		return NULL;
	plan->shape = shape_hold(batch->shape);
	plan->class = class;
	plan->hash = hash;
	plan->used_ms = cache->now_ms;
	if (plan_build(plan, cache, batch) != 0 ||
	    table_add(&cache->plans, hash, plan) != 0) {
		plan_free(plan);
		return NULL;
	}
	return plan;
}

struct plan *
plan_get(struct cache *cache, const struct batch *batch)
{
	struct wanted wanted = {batch->shape, scope_class(batch->scope)};
	struct plan *plan = cache->last_plan;
	uint32_t hash;

	if (!plan || !plan_equal(plan, &wanted)) {
		hash = (uint32_t)hash_u64(batch->shape->serial, wanted.class);
		plan = table_find(&cache->plans, hash, plan_equal, &wanted);
		if (!plan)
			plan = plan_new(cache, batch, wanted.class, hash);
		if (!plan)
			return NULL;
		cache->last_plan = plan;
	}
	plan->used_ms = cache->now_ms;
	return plan;
}

void
plans_trim(struct cache *cache, uint64_t now_ms)
{
	struct plan *plan;
	uint32_t at = 0;

	while ((plan = table_next(&cache->plans, &at)) != NULL) {
		if (now_ms - plan->used_ms < PLAN_UNUSED_MS)
			continue;
		if (cache->last_plan == plan)
			cache->last_plan = NULL;
		table_remove(&cache->plans, plan->hash, plan);
		plan_free(plan);
		at = 0;
	}
}

void
plans_free(struct cache *cache)
{
	struct plan *plan;
	uint32_t at = 0;

	while ((plan = table_next(&cache->plans, &at)) != NULL)
		plan_free(plan);
	table_fini(&cache->plans);
	cache->last_plan = NULL;
}
