/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the value of a wanted element can be taken from. One table tells which
 * elements say the same in another encoding; everything else is the element
 * itself or what the scope of the records knows.
 */
#include <string.h>

#include "conflux/projection.h"

/* Elements that can stand for one another, the more precise first. */
struct family {
	uint16_t wanted[6];
	uint16_t taken[10];
};

static const struct family families[] = {
	{{IE_flowStartSeconds, IE_flowStartMilliseconds,
	  IE_flowStartMicroseconds, IE_flowStartNanoseconds},
	 {IE_flowStartNanoseconds, IE_flowStartMicroseconds,
	  IE_flowStartMilliseconds, IE_flowStartSeconds,
	  IE_flowStartDeltaMicroseconds, IE_flowStartSysUpTime, 325, 324, 323,
	  322}},
	{{IE_flowEndSeconds, IE_flowEndMilliseconds, IE_flowEndMicroseconds,
	  IE_flowEndNanoseconds},
	 {IE_flowEndNanoseconds, IE_flowEndMicroseconds, IE_flowEndMilliseconds,
	  IE_flowEndSeconds, IE_flowEndDeltaMicroseconds, IE_flowEndSysUpTime,
	  325, 324, 323, 322}},
	{{IE_observationTimeSeconds, IE_observationTimeMilliseconds,
	  IE_observationTimeMicroseconds, IE_observationTimeNanoseconds},
	 {IE_observationTimeNanoseconds, IE_observationTimeMicroseconds,
	  IE_observationTimeMilliseconds, IE_observationTimeSeconds}},
	{{IE_sourceIPv4Address}, {IE_sourceIPv4Prefix}},
	{{IE_destinationIPv4Address}, {IE_destinationIPv4Prefix}},
	{{IE_sourceIPv6Address}, {IE_sourceIPv6Prefix}},
	{{IE_destinationIPv6Address}, {IE_destinationIPv6Prefix}},
	{{IE_sourceIPv4Prefix}, {IE_sourceIPv4Address}},
	{{IE_destinationIPv4Prefix}, {IE_destinationIPv4Address}},
	{{IE_sourceIPv6Prefix}, {IE_sourceIPv6Address}},
	{{IE_destinationIPv6Prefix}, {IE_destinationIPv6Address}},
};

static const struct family *
family_of(uint16_t id)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		for (int j = 0; j < 6 && families[i].wanted[j]; j++)
			if (families[i].wanted[j] == id)
				return &families[i];
	return NULL;
}

bool
ie_is_time(const struct ie *ie)
{
	return ie->type >= IE_DATE_TIME_SECONDS &&
	       ie->type <= IE_DATE_TIME_NANOSECONDS;
}

static bool
is_sysuptime(uint16_t id)
{
	return id == IE_flowStartSysUpTime || id == IE_flowEndSysUpTime;
}

/* An element given by number can be converted only from a sound length. */
static bool
field_usable(const struct field *field, const struct ie *wanted)
{
	uint16_t length = field->length;

	if (slot_kind_of(wanted, false) == SLOT_VAR)
		return true; /* any octets */
	if (length == IE_VARIABLE || length == 0)
		return false;
	switch (field->ie->type) {
	case IE_DATE_TIME_SECONDS:
		return length == 4;
	case IE_DATE_TIME_MILLISECONDS:
	case IE_DATE_TIME_MICROSECONDS:
	case IE_DATE_TIME_NANOSECONDS:
		return length == 8;
	case IE_UNSIGNED8:
	case IE_UNSIGNED16:
	case IE_UNSIGNED32:
	case IE_UNSIGNED64:
	case IE_SIGNED8:
	case IE_SIGNED16:
	case IE_SIGNED32:
	case IE_SIGNED64:
		return length <= 8;
	case IE_UNSIGNED256:
		return length <= 32 && wanted->type == IE_UNSIGNED256;
	case IE_FLOAT32:
		return length == 4;
	case IE_FLOAT64:
		return length == 4 || length == 8;
	default:
		return length == ie_type_length(wanted->type);
	}
}

static bool
take_field(const struct shape *shape, const struct scope *scope,
	   const struct ie *wanted, uint32_t pen, uint16_t id,
	   struct source *out)
{
	int at = shape_find(shape, pen, id, 0);
	int init;

	if (at < 0 || !field_usable(&shape->field[at], wanted))
		return false;
	out->kind = SOURCE_FIELD;
	out->field = (uint16_t)at;
	out->init = SOURCE_NO_FIELD;
	if (pen == 0 && is_sysuptime(id) && ie_is_time(wanted)) {
		init = shape_find(shape, 0, IE_systemInitTimeMilliseconds, 0);
		if (init >= 0 && shape->field[init].length == 8)
			out->init = (uint16_t)init;
		else if (!scope->has_init)
			return false;
	}
	return true;
}

/* flowEnd from flowStart and duration, or flowStart from flowEnd and it. */
static bool
take_duration(const struct shape *shape, const struct scope *scope,
	      const struct ie *wanted, const struct family *family,
	      struct source *out)
{
	static const uint16_t duration_id[] = {IE_flowDurationMicroseconds,
					       IE_flowDurationMilliseconds};
	const struct family *other =
		family == &families[0] ? &families[1] : &families[0];

	if (family != &families[0] && family != &families[1])
		return false;
	for (size_t d = 0; d < 2; d++) {
		int at = shape_find(shape, 0, duration_id[d], 0);

		if (at < 0 || shape->field[at].length > 8)
			continue;
		for (int i = 0; i < 4; i++) {
			if (!take_field(shape, scope, wanted, 0,
					other->taken[i], out))
				continue;
			out->kind = SOURCE_DURATION;
			out->duration = (uint16_t)at;
			return true;
		}
	}
	return false;
}

static bool
take_scope(const struct shape *shape, const struct scope *scope,
	   const struct ie *wanted, struct source *out)
{
	uint8_t exporter = scope->exporter.version;
	bool known = false;
	int fact;

	switch (wanted->id) {
	case IE_exporterIPv4Address:
		known = exporter == 4;
		break;
	case IE_exporterIPv6Address:
		known = exporter == 6;
		break;
	case IE_originalExporterIPv4Address:
	case IE_originalExporterIPv6Address:
		/* A record of a mediator names its original in one of them. */
		known = exporter ==
				(wanted->id == IE_originalExporterIPv4Address
					 ? 4
					 : 6) &&
			shape_find(shape, 0, IE_originalExporterIPv4Address,
				   0) < 0 &&
			shape_find(shape, 0, IE_originalExporterIPv6Address,
				   0) < 0;
		break;
	case IE_exporterTransportPort:
		known = exporter != 0;
		break;
	case IE_collectorIPv4Address:
		known = scope->collector.version == 4;
		break;
	case IE_collectorIPv6Address:
		known = scope->collector.version == 6;
		break;
	case IE_collectorTransportPort:
		known = scope->collector.version != 0;
		break;
	case IE_observationDomainId:
	case IE_originalObservationDomainId:
	case IE_collectionTimeMilliseconds:
		known = true;
		break;
	default:
		fact = scope_fact_of(wanted->id);
		known = fact >= 0 && scope->fact_mask >> fact & 1;
		break;
	}
	if (known) {
		out->kind = SOURCE_SCOPE;
		out->element = wanted->id;
	}
	return known;
}

/* ipVersion, where only one kind of address is there to tell it. */
static bool
take_version(const struct shape *shape, struct source *out)
{
	bool v4 = shape_find(shape, 0, IE_sourceIPv4Address, 0) >= 0 ||
		  shape_find(shape, 0, IE_destinationIPv4Address, 0) >= 0 ||
		  shape_find(shape, 0, IE_sourceIPv4Prefix, 0) >= 0 ||
		  shape_find(shape, 0, IE_destinationIPv4Prefix, 0) >= 0;
	bool v6 = shape_find(shape, 0, IE_sourceIPv6Address, 0) >= 0 ||
		  shape_find(shape, 0, IE_destinationIPv6Address, 0) >= 0 ||
		  shape_find(shape, 0, IE_sourceIPv6Prefix, 0) >= 0 ||
		  shape_find(shape, 0, IE_destinationIPv6Prefix, 0) >= 0;

	if (v4 == v6)
		return false;
	out->kind = SOURCE_CONSTANT;
	out->constant = v4 ? 4 : 6;
	return true;
}

void
source_find(const struct shape *shape, const struct scope *scope,
	    const struct ie *wanted, struct source *out)
{
	const struct family *family;

	*out = (struct source){.kind = SOURCE_NONE};
	if (take_field(shape, scope, wanted, wanted->pen, wanted->id, out))
		return;
	*out = (struct source){.kind = SOURCE_NONE};
	if (wanted->pen != 0)
		return;
	if (wanted->id == IE_ipVersion && take_version(shape, out))
		return;
	family = family_of(wanted->id);
	for (int i = 0; family && i < 10 && family->taken[i]; i++)
		if (take_field(shape, scope, wanted, 0, family->taken[i], out))
			return;
	*out = (struct source){.kind = SOURCE_NONE};
	if (family && take_duration(shape, scope, wanted, family, out))
		return;
	*out = (struct source){.kind = SOURCE_NONE};
	take_scope(shape, scope, wanted, out);
}

unsigned
scope_class(const struct scope *scope)
{
	return (scope->exporter.version & 7u) |
	       (scope->collector.version & 7u) << 3 |
	       (scope->has_init ? 1u : 0u) << 6 |
	       (scope->packets ? 1u : 0u) << 7 | (unsigned)scope->fact_mask << 8;
}
