/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What the options of others are about, in our terms. Scope fields (RFC 7011
 * section 3.4.2.1) are values that mean something in the session they come
 * from:
 *
 * templateId            flow keys (RFC 7011 section 4.4) and others: the id of
 *                       our Template of the same shape, at each destination
 *                       (lists.c)
 * observationDomainId   the Observation Domain ID that it has with us
 * all others            (interfaces, selectors, processes, line cards) are the
 *                       exporter's own, and stay: our domain is its alone
 *
 * Left out, and counted as filtered, is what would say something wrong:
 * records about Templates and domains that are not known, how an SCTP stream
 * was that is not ours (RFC 6526), and flow keys where ours are told. What was
 * done to values (RFC 6235) has become marks on the fields of the shape, and is
 * told by options of our own.
 *
 * The counts of what the exporter has sent (RFC 7011 section 4.1) and ours
 * would look the same if the configuration asks for ours: then its records are
 * about an originalObservationDomainId, in its own number.
 */
#include <stdlib.h>
#include <string.h>

#include "conflux/lists.h"
#include "exporting.h"

static bool
has(const struct shape *shape, uint16_t id)
{
	return shape_find(shape, 0, id, 0) >= 0;
}

/* Counts of messages and records that were sent. */
static bool
counts_export(const struct shape *shape)
{
	return has(shape, IE_exportedMessageTotalCount) ||
	       has(shape, IE_exportedFlowRecordTotalCount) ||
	       has(shape, IE_exportedOctetTotalCount);
}

/* The scope field that is a domain, or -1. */
static int
domain_field(const struct shape *shape)
{
	int field = shape_find(shape, 0, IE_observationDomainId, 0);

	return field < shape->scope_count ? field : -1;
}

bool
rescope_leaves_out(const struct exporting *e, const struct shape *shape)
{
	if (lists_template_id(shape, 0) < 0)
		return false;
	return has(shape, IE_dataRecordsReliability) ||
	       has(shape, IE_anonymizationTechnique) ||
	       (has(shape, IE_flowKeyIndicator) &&
		options_wanted(e, EXPORTING_FLOW_KEYS));
}

static bool
is_renamed(const struct exporting *e, const struct shape *shape)
{
	return options_wanted(e, EXPORTING_METERING_STATISTICS) &&
	       domain_field(shape) >= 0 && counts_export(shape);
}

/* The domain of a record, as it is and as it shall be; false: unknown. */
static bool
map_domain(const struct exporting *e, const struct batch *batch, int field,
	   const uint8_t *record, uint32_t length, uint32_t *number)
{
	uint64_t value = 0;

	if (!shape_uint(batch->shape, field, record, length, &value) ||
	    value > UINT32_MAX)
		return false;
	/* 0: of the exporter as a whole, unless it has such a domain. */
	if (domain_number(e, batch->scope, (uint32_t)value, number))
		return true;
	*number = 0;
	return value == 0;
}

static bool
knows_templates(const struct batch *batch, const uint8_t *record,
		uint32_t length)
{
	const struct scope *scope = batch->scope;
	int field;

	for (unsigned n = 0; (field = lists_template_id(batch->shape, n)) >= 0;
	     n++) {
		uint64_t id = 0;

		if (!shape_uint(batch->shape, field, record, length, &id) ||
		    !scope->template_shape ||
		    !scope->template_shape(scope, (uint16_t)id))
			return false;
	}
	return true;
}

uint32_t
rescope_pick(const struct exporting *e, const struct batch *batch,
	     uint32_t *index, bool *same)
{
	int field = domain_field(batch->shape);
	bool renamed = is_renamed(e, batch->shape);
	uint32_t count = 0, number, length;

	*same = !renamed;
	for (uint32_t i = 0; i < batch->count; i++) {
		const uint8_t *record = batch_record(batch, i, &length);
		uint64_t value = 0;

		if (!knows_templates(batch, record, length))
			continue;
		if (field >= 0 && !renamed) {
			if (!map_domain(e, batch, field, record, length,
					&number))
				continue;
			shape_uint(batch->shape, field, record, length, &value);
			*same = *same && value == number;
		}
		index[count++] = i;
	}
	*same = *same && count == batch->count;
	return count;
}

/* The same shape with a domain that is not ours; NULL: no memory. */
static const struct shape *
rename_domain(const struct exporting *e, const struct shape *shape)
{
	int at = domain_field(shape);
	struct field *field = malloc(shape->count * sizeof(*field));
	const struct shape *renamed = NULL;

	if (!field)
		return NULL;
	memcpy(field, shape->field, shape->count * sizeof(*field));
	field[at].ie = ie_get(e->registry, 0, IE_originalObservationDomainId);
	if (!field[at].ie || shape_get(e->shapes, field, shape->count,
				       shape->scope_count, &renamed))
		renamed = NULL;
	free(field);
	return renamed;
}

uint32_t
rescope_make(struct exporting *e, const struct batch *batch,
	     const uint32_t *index, uint32_t count, struct batch *out)
{
	struct exporting_room *room = e->room;
	int field = domain_field(batch->shape);
	bool renamed = is_renamed(e, batch->shape);
	uint32_t n = batch_gather(batch, index, count, 0, room->records,
				  sizeof(room->records), room->offset, out);

	if (renamed) {
		out->shape = rename_domain(e, batch->shape);
		return out->shape ? n : 0;
	}
	for (uint32_t i = 0; field >= 0 && i < n; i++) {
		uint8_t *record = room->records + room->offset[i];
		uint32_t length = room->offset[i + 1] - room->offset[i];
		uint32_t number = 0, octets = 0;
		const uint8_t *p = shape_field(batch->shape, field, record,
					       length, &octets);

		if (p && map_domain(e, batch, field, record, length, &number))
			wire_put_uint(record + (p - record), number, octets);
	}
	return n;
}
