/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * See sampling.h. RFC 5476 6.5.1: a Selection Sequence is reported in the scope
 * of its selectionSequenceId, with the selectorIds it consists of; 6.5.2: a
 * selector in the scope of its selectorId, with its parameters. Either may come
 * first, so a sequence keeps names, and is worked out when a packet asks.
 */
#include "conflux/sampling.h"

#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/ie.h"
#include "conflux/wire.h"

enum { SELECTORS_MAX = 8 }; /* of a sequence that are looked at */

struct name {
	uint64_t serial; /* of the scope */
	uint64_t id;
	uint16_t element; /* selectionSequenceId, selectorId, or
			   * observationDomainId of the scope */
};

struct entry {
	struct name name;
	double ratio; /* of a selector, or of the scope */
	unsigned count;
	uint64_t selector[SELECTORS_MAX];
};

static uint32_t
name_hash(const struct name *name)
{
	return (uint32_t)hash_u64(name->id ^ (uint64_t)name->element << 48,
				  name->serial);
}

static bool
name_equal(const void *item, const void *key)
{
	const struct name *a = &((const struct entry *)item)->name, *b = key;

	return a->serial == b->serial && a->id == b->id &&
	       a->element == b->element;
}

/* Found or made; NULL: no room. */
static struct entry *
entry_get(struct sampling *s, const struct name *name)
{
	uint32_t hash = name_hash(name);
	struct entry *entry = table_find(&s->table, hash, name_equal, name);

	if (entry)
		return entry;
	entry = s->table.count < SAMPLING_MAX ? calloc(1, sizeof(*entry))
					      : NULL;
	if (entry) {
		entry->name = *name;
		if (table_add(&s->table, hash, entry) == 0)
			return entry;
		free(entry);
	}
	s->refused++;
	return NULL;
}

/* ---- parameters ------------------------------------------------------------ */

/* RFC 7011 section 6.1.7 and 6.2: a float64, or sent as a float32. */
static double
probability(const struct shape *shape, const uint8_t *record, uint32_t size)
{
	uint32_t length, bits;
	const uint8_t *p = shape_field(
		shape, shape_find(shape, 0, IE_samplingProbability, 0), record,
		size, &length);
	uint64_t bits64;
	double v = 0;
	float f;

	if (p && length == 8) {
		bits64 = wire_get64(p);
		memcpy(&v, &bits64, sizeof(v));
	} else if (p && length == 4) {
		bits = wire_get32(p);
		memcpy(&f, &bits, sizeof(f));
		v = (double)f;
	}
	/* No number fails this. */
	return v > 0 && v <= 1 ? v : 0;
}

double
sampling_ratio(const struct shape *shape, const uint8_t *record, uint32_t size)
{
	/* What is taken, and what is left out or stands behind it in all. */
	static const struct {
		uint16_t taken, other;
		bool in_all;
	} pair[] = {
		{IE_samplingPacketInterval, IE_samplingPacketSpace, false},
		{IE_samplingTimeInterval, IE_samplingTimeSpace, false},
		{IE_samplingSize, IE_samplingPopulation, true},
	};
	uint64_t taken, other;
	double p;

	for (size_t i = 0; i < sizeof(pair) / sizeof(pair[0]); i++) {
		if (!shape_uint(shape, shape_find(shape, 0, pair[i].taken, 0),
				record, size, &taken) ||
		    taken == 0)
			continue;
		other = pair[i].in_all ? taken : 0;
		shape_uint(shape, shape_find(shape, 0, pair[i].other, 0),
			   record, size, &other);
		if (!pair[i].in_all)
			return ((double)taken + (double)other) / (double)taken;
		return other > taken ? (double)other / (double)taken : 1;
	}
	p = probability(shape, record, size);
	return p > 0 ? 1 / p : 0;
}

double
sampling_rate(const struct shape *shape, const uint8_t *record, uint32_t size)
{
	static const uint16_t id[] = {IE_samplingInterval,
				      IE_samplerRandomInterval};
	double ratio = sampling_ratio(shape, record, size);
	uint64_t interval = 0;

	for (int i = 0; ratio <= 0 && i < 2; i++)
		if (shape_uint(shape, shape_find(shape, 0, id[i], 0), record,
			       size, &interval))
			ratio = (double)interval;
	return ratio;
}

/* ---- reports --------------------------------------------------------------- */

static void
learn_sequence(struct sampling *s, const struct name *name,
	       const struct shape *shape, const uint8_t *record, uint32_t size)
{
	struct entry *entry;
	uint64_t id[SELECTORS_MAX];
	unsigned count = 0;

	while (count < SELECTORS_MAX &&
	       shape_uint(shape, shape_find(shape, 0, IE_selectorId, count),
			  record, size, &id[count]))
		count++;
	/* Statistics have the same scope, and name no selectors. */
	entry = count ? entry_get(s, name) : NULL;
	if (!entry)
		return;
	entry->count = count;
	memcpy(entry->selector, id, count * sizeof(id[0]));
}

static void
learn_selector(struct sampling *s, const struct name *name,
	       const struct shape *shape, const uint8_t *record, uint32_t size)
{
	double ratio = sampling_ratio(shape, record, size);
	struct entry *entry = ratio > 0 ? entry_get(s, name) : NULL;

	if (entry)
		entry->ratio = ratio;
}

/* Options about something that is only a part of the scope. */
static bool
is_of_part(const struct shape *shape)
{
	for (unsigned i = 0; i < shape->scope_count; i++) {
		const struct ie *ie = shape->field[i].ie;

		if (ie->pen != 0 || (ie->id != IE_observationDomainId &&
				     ie->id != IE_exportingProcessId &&
				     ie->id != IE_meteringProcessId &&
				     ie->id != IE_exporterIPv4Address &&
				     ie->id != IE_exporterIPv6Address &&
				     ie->id != IE_samplerId))
			return true;
	}
	return false;
}

/* Samplers, and what is the same in the whole scope. */
static void
learn_others(struct sampling *s, struct name *name, const struct batch *batch)
{
	static const uint16_t id[] = {IE_samplerId, IE_selectorId};
	const struct shape *shape = batch->shape;
	bool part = is_of_part(shape);
	int field = -1;

	for (int i = 0; i < 2 && field < 0; i++)
		field = shape_find(shape, 0, id[i], 0);
	name->element = field < 0 ? IE_observationDomainId : IE_selectorId;
	if (field < 0 && part)
		return;
	for (uint32_t i = 0; i < batch->count; i++) {
		uint32_t size;
		const uint8_t *record = batch_record(batch, i, &size);
		double rate = sampling_rate(shape, record, size);
		struct entry *entry;

		name->id = 0;
		shape_uint(shape, field, record, size, &name->id);
		entry = rate > 0 ? entry_get(s, name) : NULL;
		if (entry)
			entry->ratio = rate;
	}
}

void
sampling_learn(struct sampling *s, const struct batch *batch)
{
	const struct shape *shape = batch->shape;
	const struct ie *scope = shape->field[0].ie;
	struct name name = {
		.serial = batch->scope->serial,
		.element = scope->id,
	};

	s->last_serial = 0;
	if (shape->scope_count != 1 || scope->pen != 0 ||
	    (scope->id != IE_selectionSequenceId &&
	     scope->id != IE_selectorId)) {
		learn_others(s, &name, batch);
		return;
	}
	for (uint32_t i = 0; i < batch->count; i++) {
		uint32_t size;
		const uint8_t *record = batch_record(batch, i, &size);

		if (!shape_uint(shape, 0, record, size, &name.id))
			continue;
		if (scope->id == IE_selectorId)
			learn_selector(s, &name, shape, record, size);
		else
			learn_sequence(s, &name, shape, record, size);
	}
}

/* ---- answers --------------------------------------------------------------- */

static double
ratio_of(const struct sampling *s, const struct name *name)
{
	const struct entry *entry =
		table_find(&s->table, name_hash(name), name_equal, name);
	struct name selector = {
		.serial = name->serial,
		.element = IE_selectorId,
	};
	double ratio = 1;

	if (!entry)
		return 1;
	if (name->element != IE_selectionSequenceId)
		return entry->ratio;
	for (unsigned i = 0; i < entry->count; i++) {
		selector.id = entry->selector[i];
		ratio *= ratio_of(s, &selector);
	}
	return ratio;
}

double
sampling_find(const struct sampling *s, const struct scope *scope,
	      uint16_t element, uint64_t id)
{
	struct name name = {
		.serial = scope->serial, .id = id, .element = element};

	return table_find(&s->table, name_hash(&name), name_equal, &name)
		       ? ratio_of(s, &name)
		       : 0;
}

uint32_t
sampling_weight(struct sampling *s, const struct scope *scope, uint16_t element,
		uint64_t id)
{
	struct name name = {
		.serial = scope->serial, .id = id, .element = element};
	double ratio;

	if (s->last_serial == scope->serial && s->last_id == id &&
	    s->last_element == element)
		return s->last_weight;
	ratio = ratio_of(s, &name) + 0.5;
	s->last_serial = scope->serial;
	s->last_id = id;
	s->last_element = element;
	s->last_weight = ratio < 1	    ? 1
			 : ratio < UINT32_MAX ? (uint32_t)ratio
					      : UINT32_MAX;
	return s->last_weight;
}

void
sampling_forget(struct sampling *s, const struct scope *scope)
{
	struct entry *entry;
	uint32_t at = 0;

	s->last_serial = 0;
	while ((entry = table_next(&s->table, &at))) {
		if (entry->name.serial != scope->serial)
			continue;
		table_remove(&s->table, name_hash(&entry->name), entry);
		free(entry);
		at--; /* others may have moved into its place */
	}
}

void
sampling_fini(struct sampling *s)
{
	struct entry *entry;
	uint32_t at = 0;

	while ((entry = table_next(&s->table, &at)))
		free(entry);
	table_fini(&s->table);
}
