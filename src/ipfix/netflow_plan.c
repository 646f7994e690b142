/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of NetFlow as records of IPFIX. What is changed:
 *
 *   flow times       (21, 22) count from the start of the exporter, which
 *                    IPFIX has to be told beside them: the header of each
 *                    message tells, so they become the absolute ones (153,
 *                    152); where the record has these as well, they go
 *   no octets        fields of length 0 (scope System, often) go; a record
 *                    that is left without a scope gets its Source ID as one,
 *                    as observationDomainId
 *   wide numbers     longer than their element may be (samplerId in 2 octets,
 *                    from many) get its length; a value that does not fit
 *                    becomes the largest one
 *   paddingOctets    go, where the record is changed anyway
 *   sampling         of the header of version 5 becomes fields of the record
 *
 * sysUpTime wraps after 49 days, so only the distance from the one of the
 * header counts, which may be negative: some exporters send flows that end a
 * moment after their messages.
 */
#include <errno.h>
#include <stdlib.h>

#include "conflux/netflow.h"

enum step_kind {
	STEP_COPY,     /* length octets */
	STEP_VARIABLE, /* a field with a prefix */
	STEP_SKIP,     /* length octets */
	STEP_NARROW,   /* length octets of a number, in fewer */
	STEP_TIME,     /* 4 octets of uptime, as 8 of milliseconds */
	STEP_DOMAIN,
	STEP_INTERVAL,
	STEP_ALGORITHM,
};

struct netflow_step {
	uint8_t kind;
	uint8_t to; /* octets that it makes, if that is not length */
	uint16_t length;
};

/* What the making of a plan works with. */
struct making {
	const struct ie_registry *registry;
	struct netflow_plan *plan;
	struct field *field;
	uint16_t count, scope_count;
	bool changed;
};

static void
add_step(struct making *m, enum step_kind kind, uint16_t length)
{
	struct netflow_plan *plan = m->plan;
	struct netflow_step *last =
		plan->count ? &plan->step[plan->count - 1] : NULL;

	if (last && last->kind == kind && kind <= STEP_SKIP &&
	    kind != STEP_VARIABLE && last->length <= UINT16_MAX - length) {
		last->length += length;
		return;
	}
	plan->step[plan->count++] =
		(struct netflow_step){.kind = (uint8_t)kind, .length = length};
}

static void
add_field(struct making *m, const struct ie *ie, uint16_t length, bool scope)
{
	m->field[m->count].ie = ie;
	m->field[m->count++].length = length;
	m->scope_count += scope;
}

/* An element of IANA's with its natural length, made by this step. */
static void
add_made(struct making *m, enum step_kind kind, uint16_t id, bool scope)
{
	const struct ie *ie = ie_find(m->registry, 0, id);

	add_field(m, ie, ie->length, scope);
	add_step(m, kind, kind == STEP_TIME ? 4 : 0);
	m->plan->step[m->plan->count - 1].to = (uint8_t)ie->length;
	m->changed = true;
}

/* The absolute time that a time of the uptime becomes, or 0. */
static uint16_t
absolute_time(const struct field *field)
{
	if (field->ie->pen || field->ie->unknown || field->length != 4)
		return 0;
	switch (field->ie->id) {
	case IE_flowStartSysUpTime:
		return IE_flowStartMilliseconds;
	case IE_flowEndSysUpTime:
		return IE_flowEndMilliseconds;
	default:
		return 0;
	}
}

/*
 * The element of a number that is longer than it may be, or NULL. The Template
 * has a nameless one in its place, see ie_meet.
 */
static const struct ie *
narrow_element(const struct making *m, const struct field *field)
{
	const struct ie *ie =
		field->ie->unknown
			? ie_find(m->registry, field->ie->pen, field->ie->id)
			: NULL;

	if (!ie || ie->unknown || ie->type < IE_UNSIGNED8 ||
	    ie->type > IE_UNSIGNED32 || field->length <= ie->length ||
	    field->length > 8)
		return NULL;
	return ie;
}

static void
add_narrow(struct making *m, const struct ie *ie, uint16_t length, bool scope)
{
	add_field(m, ie, ie->length, scope);
	add_step(m, STEP_NARROW, length);
	m->plan->step[m->plan->count - 1].to = (uint8_t)ie->length;
	m->changed = true;
}

static bool
is_padding(const struct field *field)
{
	return field->ie->pen == 0 && field->ie->id == IE_paddingOctets &&
	       field->length != IE_VARIABLE;
}

static void
plan_field(struct making *m, const struct shape *from, uint16_t i)
{
	const struct field *field = &from->field[i];
	bool scope = i < from->scope_count;
	uint16_t time = absolute_time(field);
	const struct ie *narrow = narrow_element(m, field);

	if (field->length == 0) {
		m->changed = true;
	} else if (narrow) {
		add_narrow(m, narrow, field->length, scope);
	} else if (time && shape_find(from, 0, time, 0) < 0) {
		add_made(m, STEP_TIME, time, scope);
	} else if (time) {
		add_step(m, STEP_SKIP, field->length);
		m->changed = true;
	} else if (is_padding(field)) {
		add_step(m, STEP_SKIP, field->length);
	} else {
		add_field(m, field->ie, field->length, scope);
		add_step(m,
			 field->length == IE_VARIABLE ? STEP_VARIABLE
						      : STEP_COPY,
			 field->length == IE_VARIABLE ? 0 : field->length);
	}
}

/* All scopes of an Options Template have no octets? */
static bool
has_no_scope(const struct shape *from)
{
	for (uint16_t i = 0; i < from->scope_count; i++)
		if (from->field[i].length)
			return false;
	return from->scope_count > 0;
}

static void
plan_fields(struct making *m, const struct shape *from, unsigned add)
{
	if (has_no_scope(from))
		add_made(m, STEP_DOMAIN, IE_observationDomainId, true);
	for (uint16_t i = 0; i < from->count; i++)
		plan_field(m, from, i);
	if (add & NETFLOW_ADD_INTERVAL)
		add_made(m, STEP_INTERVAL, IE_samplingInterval, false);
	if (add & NETFLOW_ADD_ALGORITHM)
		add_made(m, STEP_ALGORITHM, IE_samplingAlgorithm, false);
}

int
netflow_plan(struct netflow_plan *plan, const struct ie_registry *registry,
	     struct shape_table *shapes, const struct shape *from, unsigned add)
{
	struct making m = {.registry = registry, .plan = plan};
	int rc = 0;

	netflow_plan_fini(plan);
	/* A scope and two of sampling may be added. */
	m.field = calloc(from->count + 3u, sizeof(*m.field));
	plan->step = calloc(from->count + 3u, sizeof(*plan->step));
	if (!m.field || !plan->step) {
		rc = -ENOMEM;
	} else {
		plan_fields(&m, from, add);
		if (m.changed)
			rc = shape_get(shapes, m.field, m.count, m.scope_count,
				       &plan->to);
	}
	free(m.field);
	if (rc)
		netflow_plan_fini(plan);
	else
		plan->from = from->serial;
	plan->fixed = plan->to && !from->variable && !plan->to->variable;
	plan->stride = from->min_length;
	return rc;
}

void
netflow_plan_fini(struct netflow_plan *plan)
{
	shape_release(plan->to);
	free(plan->step);
	*plan = (struct netflow_plan){0};
}

int
netflow5_shape(const struct ie_registry *registry, struct shape_table *shapes,
	       const struct shape **out)
{
	static const struct {
		uint16_t id, length;
	} layout[] = {
		{IE_sourceIPv4Address, 4},
		{IE_destinationIPv4Address, 4},
		{IE_ipNextHopIPv4Address, 4},
		{IE_ingressInterface, 2},
		{IE_egressInterface, 2},
		{IE_packetDeltaCount, 4},
		{IE_octetDeltaCount, 4},
		{IE_flowStartSysUpTime, 4},
		{IE_flowEndSysUpTime, 4},
		{IE_sourceTransportPort, 2},
		{IE_destinationTransportPort, 2},
		{IE_paddingOctets, 1},
		{IE_tcpControlBits, 1},
		{IE_protocolIdentifier, 1},
		{IE_ipClassOfService, 1},
		{IE_bgpSourceAsNumber, 2},
		{IE_bgpDestinationAsNumber, 2},
		{IE_sourceIPv4PrefixLength, 1},
		{IE_destinationIPv4PrefixLength, 1},
		{IE_paddingOctets, 2},
	};
	enum { COUNT = sizeof(layout) / sizeof(*layout) };
	struct field field[COUNT];

	for (int i = 0; i < COUNT; i++) {
		field[i].ie = ie_find(registry, 0, layout[i].id);
		field[i].length = layout[i].length;
	}
	return shape_get(shapes, field, COUNT, 0, out);
}

/* ---- a record ---------------------------------------------------------- */

static uint64_t
to_wall(const struct netflow_header *header, uint32_t uptime_ms)
{
	int32_t before_ms = (int32_t)(header->uptime_ms - uptime_ms);

	return header->export_ms - (uint64_t)(int64_t)before_ms;
}

static void
copy_variable(struct reader *r, struct writer *w)
{
	const uint8_t *start = r->p;
	size_t length = reader_varlen(r);

	if (reader_take(r, length))
		writer_bytes(w, start, (size_t)(r->p - start));
}

static void
narrow(struct reader *r, struct writer *w, const struct netflow_step *step)
{
	uint64_t most = (UINT64_C(1) << 8 * step->to) - 1;
	const uint8_t *from = reader_take(r, step->length);
	uint8_t *to = writer_take(w, step->to);
	uint64_t value;

	if (!from || !to)
		return;
	value = wire_get_uint(from, step->length);
	wire_put_uint(to, value < most ? value : most, step->to);
}

static void
run_step(const struct netflow_step *step, const struct netflow_header *header,
	 struct reader *r, struct writer *w)
{
	const uint8_t *p;

	switch (step->kind) {
	case STEP_COPY:
		p = reader_take(r, step->length);
		if (p)
			writer_bytes(w, p, step->length);
		break;
	case STEP_VARIABLE:
		copy_variable(r, w);
		break;
	case STEP_SKIP:
		reader_take(r, step->length);
		break;
	case STEP_NARROW:
		narrow(r, w, step);
		break;
	case STEP_TIME:
		writer_u64(w, to_wall(header, reader_u32(r)));
		break;
	case STEP_DOMAIN:
		writer_u32(w, header->domain);
		break;
	case STEP_INTERVAL:
		writer_u32(w, header->interval);
		break;
	case STEP_ALGORITHM:
		writer_u8(w, header->sampling);
		break;
	}
}

uint32_t
netflow_convert(const struct netflow_plan *plan,
		const struct netflow_header *header, const uint8_t *record,
		uint32_t length, uint8_t *out, uint32_t room)
{
	struct reader r;
	struct writer w;

	reader_init(&r, record, length);
	writer_init(&w, out, room);
	for (unsigned i = 0; i < plan->count; i++)
		run_step(&plan->step[i], header, &r, &w);
	return r.failed || w.failed ? 0 : (uint32_t)(w.p - out);
}

/* One field, or several, of all records. */
struct column {
	const uint8_t *from;
	uint8_t *to;
	uint32_t from_stride, to_stride, count;
};

static void
copy_column(const struct column *c, uint32_t length)
{
	for (uint32_t i = 0; i < c->count; i++)
		memcpy(c->to + i * c->to_stride, c->from + i * c->from_stride,
		       length);
}

static void
narrow_column(const struct column *c, const struct netflow_step *step)
{
	uint64_t most = (UINT64_C(1) << 8 * step->to) - 1, value;

	for (uint32_t i = 0; i < c->count; i++) {
		value = wire_get_uint(c->from + i * c->from_stride,
				      step->length);
		wire_put_uint(c->to + i * c->to_stride,
			      value < most ? value : most, step->to);
	}
}

static void
time_column(const struct column *c, const struct netflow_header *header)
{
	for (uint32_t i = 0; i < c->count; i++)
		wire_put64(c->to + i * c->to_stride,
			   to_wall(header,
				   wire_get32(c->from + i * c->from_stride)));
}

static void
set_column(const struct column *c, uint64_t value, uint32_t length)
{
	for (uint32_t i = 0; i < c->count; i++)
		wire_put_uint(c->to + i * c->to_stride, value, length);
}

void
netflow_convert_fixed(const struct netflow_plan *plan,
		      const struct netflow_header *header,
		      const uint8_t *record, uint32_t count, uint8_t *out)
{
	struct column c = {record, out, plan->stride, plan->to->min_length,
			   count};

	for (unsigned i = 0; i < plan->count; i++) {
		const struct netflow_step *step = &plan->step[i];

		switch (step->kind) {
		case STEP_COPY:
			copy_column(&c, step->length);
			c.to += step->length;
			break;
		case STEP_NARROW:
			narrow_column(&c, step);
			break;
		case STEP_TIME:
			time_column(&c, header);
			break;
		case STEP_DOMAIN:
			set_column(&c, header->domain, step->to);
			break;
		case STEP_INTERVAL:
			set_column(&c, header->interval, step->to);
			break;
		case STEP_ALGORITHM:
			set_column(&c, header->sampling, step->to);
			break;
		}
		c.from += step->length;
		c.to += step->to;
	}
}
