/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns are the configured fields; a layout places those that a flow can
 * have into a row: the key in the order of the configuration (as it mostly
 * stands in the records too, so it is copied in one piece), then the values,
 * the wide ones first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

bool
bit_test(const uint64_t set[2], unsigned i)
{
	return set[i / 64] >> (i % 64) & 1;
}

void
bit_set(uint64_t set[2], unsigned i)
{
	set[i / 64] |= (uint64_t)1 << (i % 64);
}

static bool
starts_with(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Lists of what any packet of a Flow had (RFC 9740, RFC 9870). */
static bool
is_observed_set(const struct ie *ie)
{
	return ie->pen == 0 && (ie->id == IE_tcpSharedOptionExID16List ||
				ie->id == IE_tcpSharedOptionExID32List ||
				ie->id == IE_udpSafeExIDList ||
				ie->id == IE_udpUnsafeExIDList);
}

/* MERGE_AUTO made definite, see conflux/cache.h. */
static enum merge
merge_of(const struct ie *ie)
{
	const struct ie *base = ie->forward ? ie->forward : ie;
	bool number =
		(base->type >= IE_UNSIGNED8 && base->type <= IE_SIGNED64) ||
		ie_is_time(base);

	if (base->semantics == IE_FLAGS && base->type == IE_UNSIGNED256)
		return MERGE_OR;
	if (is_observed_set(base))
		return MERGE_UNION;
	if (!number)
		return MERGE_FIRST;
	if (base->semantics == IE_DELTA_COUNTER ||
	    base->semantics == IE_TOTAL_COUNTER ||
	    strstr(base->name, "SumOfSquares"))
		return MERGE_SUM;
	if (starts_with(base->name, "flowStart") ||
	    starts_with(base->name, "minimum"))
		return MERGE_MIN;
	if (starts_with(base->name, "flowEnd") ||
	    starts_with(base->name, "maximum") ||
	    base->id == IE_collectionTimeMilliseconds)
		return MERGE_MAX;
	if (base->semantics == IE_FLAGS)
		return MERGE_OR;
	return MERGE_FIRST;
}

static bool
is_address(const struct ie *ie)
{
	return ie->type == IE_IPV4_ADDRESS || ie->type == IE_IPV6_ADDRESS;
}

static int
column_init(struct cache *cache, const struct cache_field *field,
	    const char **error)
{
	struct column *column = &cache->column[cache->column_count];
	const struct ie *ie = field->ie;
	bool calculated;

	*column = (struct column){.field = *field};
	if (field->length && !ie_length_ok(ie, field->length)) {
		*error = "a field has a length that its element can't have";
		return -EINVAL;
	}
	if (ie->pen == 0 &&
	    (ie->id == IE_flowStartSysUpTime || ie->id == IE_flowEndSysUpTime ||
	     ie->id == IE_flowStartDeltaMicroseconds ||
	     ie->id == IE_flowEndDeltaMicroseconds)) {
		*error = "a cache exports absolute times, not times relative "
			 "to sysUpTime or to the Export Time";
		return -EINVAL;
	}
	if (field->prefix_length >= 0 && !is_address(ie)) {
		*error = "a prefix length is set for a field that is no "
			 "address";
		return -EINVAL;
	}
	column->merge =
		field->merge == MERGE_AUTO ? merge_of(ie) : field->merge;
	column->reason = ie->pen == 0 && ie->id == IE_flowEndReason &&
			 !field->key && cache->type != CACHE_IMMEDIATE;
	column->initiator = cache->biflow && ie->pen == 0 &&
			    ie->id == IE_biflowDirection && !field->key;
	column->id = ie->pen == 0 && ie->id == IE_flowId && !field->key &&
		     cache->type != CACHE_IMMEDIATE &&
		     column->merge == MERGE_FIRST;
	column->forward = cache->biflow && !field->key ? ie->forward : NULL;
	column->total =
		(ie->forward ? ie->forward : ie)->semantics == IE_TOTAL_COUNTER;
	calculated = !field->key &&
		     (column->merge == MERGE_SUM ||
		      column->merge == MERGE_MIN || column->merge == MERGE_MAX);
	column->kind = (uint8_t)slot_kind_of(ie, calculated);
	if (calculated && column->kind != SLOT_UINT &&
	    column->kind != SLOT_TIME) {
		*error = "sum, minimum and maximum need a number or a time";
		return -EINVAL;
	}
	if (!field->key && cache->biflow && column->kind == SLOT_VAR) {
		*error = "a cache of biflows can't keep values of variable "
			 "length";
		return -EINVAL;
	}
	if (!field->key && column->merge == MERGE_OR &&
	    column->kind != SLOT_BYTES) {
		*error = "flags can't be merged into a field of this type";
		return -EINVAL;
	}
	if (!field->key && column->merge == MERGE_UNION &&
	    ie->type != IE_BASIC_LIST) {
		*error = "only a basicList can become the union of several";
		return -EINVAL;
	}
	if (column->kind == SLOT_TIME && !calculated && !field->key &&
	    column->merge == MERGE_OR) {
		*error = "a time can't be merged like flags";
		return -EINVAL;
	}
	if (!field->key) {
		if (cache->value_count == CACHE_VALUES_MAX) {
			*error = "a cache takes at most 56 fields that are "
				 "not flow keys";
			return -EINVAL;
		}
		column->bit = (uint8_t)cache->value_count++;
	}
	cache->column_count++;
	return 0;
}

int
columns_init(struct cache *cache, const struct cache_conf *conf,
	     const char **error)
{
	static const uint16_t original[] = {IE_originalExporterIPv4Address,
					    IE_originalExporterIPv6Address,
					    IE_originalObservationDomainId};
	unsigned more = conf->export_originals ? 3 : 0;

	*error = NULL;
	if (conf->field_count == 0 ||
	    conf->field_count + more > CACHE_FIELDS_MAX) {
		*error = "a cache takes 1 to 125 fields";
		return -EINVAL;
	}
	for (unsigned i = 0; i < conf->field_count; i++) {
		int err = column_init(cache, &conf->fields[i], error);

		if (err)
			return err;
	}
	for (unsigned i = 0; i < more; i++) {
		struct cache_field field = {
			.ie = ie_find(cache->registry, 0, original[i]),
			.key = true,
			.prefix_length = -1,
		};
		int err =
			field.ie ? column_init(cache, &field, error) : -ENOENT;

		if (err)
			return err;
	}
	return 0;
}

uint16_t
column_natural(const struct column *column)
{
	return column->kind == SLOT_VAR ? IE_VARIABLE
					: ie_type_length(column->field.ie->type);
}

static uint16_t
wire_length(const struct column *column)
{
	return column->field.length ? column->field.length
				    : column_natural(column);
}

static void
place(struct layout *layout, unsigned i, uint16_t *at)
{
	const struct column *column = &layout->cache->column[i];
	struct slot *slot = &layout->slot[i];

	slot->ie = column->field.ie;
	slot->kind = column->kind;
	slot->prefix_length = column->field.prefix_length;
	slot->offset = *at;
	slot->width = slot_width_of(slot->ie, slot->kind);
	slot->wire_length = wire_length(column);
	slot->mark = column->mark;
	*at += slot->width;
	bit_set(layout->slots, i);
}

static void
place_values(struct layout *layout, uint16_t *at)
{
	static const uint8_t order[] = {SLOT_UINT, SLOT_TIME, SLOT_VAR,
					SLOT_BYTES};
	struct cache *cache = layout->cache;

	for (size_t k = 0; k < sizeof(order); k++)
		for (unsigned i = 0; i < cache->column_count; i++)
			if (!cache->column[i].field.key &&
			    cache->column[i].kind == order[k])
				place(layout, i, at);
}

uint64_t
column_bias(const struct column *column)
{
	uint8_t type = column->field.ie->type;

	return type >= IE_SIGNED8 && type <= IE_SIGNED64 ? (uint64_t)1 << 63
							 : 0;
}

/* Values before the first record: what merging leaves unchanged. */
static void
set_neutral(struct layout *layout)
{
	struct cache *cache = layout->cache;

	for (unsigned i = 0; i < cache->column_count; i++) {
		const struct column *column = &cache->column[i];
		uint64_t bias = column_bias(column);
		uint16_t at = layout->slot[i].offset;

		if (column->field.key)
			continue;
		if (column->merge == MERGE_MIN)
			row_put(layout->neutral, at, UINT64_MAX ^ bias);
		if (column->merge == MERGE_MAX && bias)
			row_put(layout->neutral, at, bias);
	}
}

static struct layout *
layout_new(struct cache *cache, const uint64_t keys[2])
{
	struct layout *layout = calloc(1, sizeof(*layout));
	uint16_t at = ROW_KEY;
	uint32_t key_end;

	if (!layout)
		return NULL;
	layout->cache = cache;
	memcpy(layout->keys, keys, sizeof(layout->keys));
	for (unsigned i = 0; i < cache->column_count; i++)
		if (cache->column[i].field.key && bit_test(keys, i))
			place(layout, i, &at);
	if (cache->distribution != DISTRIBUTION_NONE) {
		at = (uint16_t)((at + 7) & ~7);
		layout->interval_at = at;
		at += 8;
	}
	at = (uint16_t)((at + 7) & ~7);
	if (at == ROW_KEY)
		at += 8; /* no key field: all records are one flow */
	key_end = at;
	place_values(layout, &at);
	layout->row_size = (at + 7u) & ~7u;
	layout->stride = layout->row_size + 8;
	layout->neutral = calloc(1, layout->row_size);
	layout->scratch = calloc(BATCH_MAX, layout->stride);
	layout->spread = cache->distribution != DISTRIBUTION_NONE
				 ? calloc(BATCH_MAX, layout->stride)
				 : NULL;
	if (!layout->neutral || !layout->scratch ||
	    (cache->distribution != DISTRIBUTION_NONE && !layout->spread) ||
	    flow_table_init(&layout->table, layout->row_size, key_end - ROW_KEY,
			    cache->max_flows, cache->now_ms) != 0) {
		layout_free(layout);
		return NULL;
	}
	set_neutral(layout);
	if (cache->biflow)
		biflow_layout(layout);
	return layout;
}

void
layout_free(struct layout *layout)
{
	if (!layout)
		return;
	emit_free(layout);
	flow_table_fini(&layout->table);
	free(layout->neutral);
	free(layout->scratch);
	free(layout->spread);
	free(layout);
}

int
layout_get(struct cache *cache, const uint64_t keys[2], struct layout **out)
{
	struct layout *layout;

	for (unsigned i = 0; i < cache->layout_count; i++) {
		layout = cache->layout[i];
		if (!layout->retired &&
		    memcmp(layout->keys, keys, sizeof(layout->keys)) == 0) {
			*out = layout;
			return 0;
		}
	}
	*out = NULL;
	if (cache->layout_count == LAYOUTS_MAX)
		return -ENOSPC;
	layout = layout_new(cache, keys);
	if (!layout)
		return -ENOMEM;
	cache->layout[cache->layout_count++] = layout;
	*out = layout;
	return 0;
}
