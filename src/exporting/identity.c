/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Who exported the records that are passed on.
 *
 * A Collecting Process behind us sees our address and our Observation Domain
 * IDs. RFC 7119 has elements to tell the original ones: they are told, if the
 * configuration wants it, by an Options Data Record
 *
 *	observationDomainId (scope), originalExporterIPv4Address or
 *	originalExporterIPv6Address, originalObservationDomainId, basicList
 *
 * in each domain before its first data in a session, whenever that changes, and
 * each time its Options Template is sent again; or, in addition, in each Flow
 * Record, as two more fields at its end. What a Mediator before us has told
 * stays: it is told again in place of its address. So does a record that has
 * one of these elements.
 *
 * The basicList (RFC 6313, ordered) has the exportingProcessIds of all that the
 * records went through, ours as the last: that is how one of them notices that
 * records have come back (collecting/path.c). Records of our own caches have
 * nothing else to tell.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exporting.h"

enum {
	LIST_HEADER = 5,
	LIST_ORDERED = 4, /* RFC 6313 section 4.4 */
};

/* How shapes become wider; a slot is taken by the last shape that hits it. */
enum { WIDER = 64 };

struct wider {
	const struct shape *from; /* held; NULL: free */
	const struct shape *to;	  /* held; NULL: it stays as it is */
	uint8_t version;	  /* of the address */
};

struct identity_room {
	struct wider wider[WIDER];
	uint32_t index[BATCH_MAX]; /* 0, 1, 2, ... */
};

int
identity_init(struct exporting *e)
{
	if (e->conf.origin != EXPORTING_ORIGIN_RECORDS)
		return 0;
	e->identity = calloc(1, sizeof(*e->identity));
	if (!e->identity)
		return -ENOMEM;
	for (uint32_t i = 0; i < BATCH_MAX; i++)
		e->identity->index[i] = i;
	return 0;
}

void
identity_fini(struct exporting *e)
{
	for (int i = 0; e->identity && i < WIDER; i++) {
		shape_release(e->identity->wider[i].from);
		shape_release(e->identity->wider[i].to);
	}
	free(e->identity);
}

/* ---- the option -----------------------------------------------------------
 */

static void
write_path(struct writer *w, const struct scope_origin *origin, uint32_t own)
{
	uint32_t count = origin->path_count + 1;

	writer_u8(w, (uint8_t)(LIST_HEADER + 4 * count));
	writer_u8(w, LIST_ORDERED);
	writer_u16(w, IE_exportingProcessId);
	writer_u16(w, 4);
	for (uint32_t i = 0; i < origin->path_count; i++)
		writer_u32(w, origin->path[i]);
	writer_u32(w, own);
}

static void
make(struct exporting *e, struct domain *d, const struct scope *scope)
{
	const struct scope_origin *origin = &scope->origin;
	struct identity *id = &d->identity;
	struct writer w;

	id->serial = origin->serial;
	id->direct = scope->exporter;
	id->exporter =
		origin->exporter.version ? origin->exporter : scope->exporter;
	id->domain = origin->serial ? origin->domain : scope->domain;
	id->shape = id->exporter.version == 4	? OPTION_SHAPE_ORIGIN_4
		    : id->exporter.version == 6 ? OPTION_SHAPE_ORIGIN_6
						: OPTION_SHAPE_ORIGIN_NONE;
	writer_init(&w, id->record, sizeof(id->record));
	writer_u32(&w, d->number);
	if (id->exporter.version) {
		writer_bytes(&w, id->exporter.bytes,
			     id->exporter.version == 4 ? 4 : 16);
		writer_u32(&w, id->domain);
	}
	write_path(&w, origin, e->conf.id);
	id->length = (uint32_t)(w.p - id->record);
	id->version++;
}

void
identity_take(struct exporting *e, struct domain *d, const struct scope *scope)
{
	const struct identity *id = &d->identity;

	if (e->conf.origin == EXPORTING_ORIGIN_NONE)
		return;
	if (!id->length || id->serial != scope->origin.serial ||
	    !addr_equal_host(&id->direct, &scope->exporter))
		make(e, d, scope);
}

void
identity_restore(const struct exporting *e, struct domain *d, uint8_t shape,
		 const uint8_t *record, uint32_t length)
{
	struct identity *id = &d->identity;

	if (e->conf.origin == EXPORTING_ORIGIN_NONE || id->length ||
	    length > sizeof(id->record))
		return;
	/* Made anew with the first record, whoever that is from. */
	id->serial = UINT32_MAX;
	id->shape = shape;
	memcpy(id->record, record, length);
	id->length = length;
	id->version++;
}

bool
identity_replaces(const struct exporting *e, const struct shape *shape)
{
	if (e->conf.origin == EXPORTING_ORIGIN_NONE ||
	    shape->scope_count != 1 ||
	    shape_find(shape, 0, IE_observationDomainId, 0) != 0)
		return false;
	return shape_find(shape, 0, IE_originalExporterIPv4Address, 0) > 0 ||
	       shape_find(shape, 0, IE_originalExporterIPv6Address, 0) > 0 ||
	       shape == e->option_shape[OPTION_SHAPE_ORIGIN_NONE];
}

static bool
is_told(const struct sink *s, const struct channel *c)
{
	return c->identity_epoch == s->epoch &&
	       c->identity_version == c->domain->identity.version;
}

int
identity_follow(struct sink *s, const struct out_template *t)
{
	struct channel *c = t->channel;
	const struct identity *id = &c->domain->identity;
	int r;

	if (!id->length || t->shape != s->exporting->option_shape[id->shape])
		return 0;
	r = control_add_own(s, t, id->record, id->length);
	if (r)
		return r;
	c->identity_epoch = s->epoch;
	c->identity_version = id->version;
	return 0;
}

int
identity_tell(struct sink *s, struct channel *c)
{
	const struct identity *id = &c->domain->identity;
	struct out_template *t;

	if (!id->length || is_told(s, c))
		return 0;
	t = channel_template_own(c, s->exporting->option_shape[id->shape]);
	if (!t || t->too_long)
		return 0;
	if (control_is_due(s, t))
		return control_add_template(s, t);
	return identity_follow(s, t);
}

/* ---- in each record --------------------------------------------------------
 */

static const struct shape *
make_wider(struct exporting *e, const struct shape *shape, uint8_t version)
{
	struct field *field;
	struct field_mark *mark;
	const struct shape *wider = NULL;
	uint16_t n = shape->count;

	if (shape_find(shape, 0, IE_originalExporterIPv4Address, 0) >= 0 ||
	    shape_find(shape, 0, IE_originalExporterIPv6Address, 0) >= 0 ||
	    shape_find(shape, 0, IE_originalObservationDomainId, 0) >= 0 ||
	    n > UINT16_MAX - 2)
		return NULL;
	field = calloc(n + 2u, sizeof(*field));
	mark = calloc(n + 2u, sizeof(*mark));
	if (!field || !mark) {
		free(field);
		free(mark);
		return NULL;
	}
	memcpy(field, shape->field, n * sizeof(*field));
	if (shape->mark)
		memcpy(mark, shape->mark, n * sizeof(*mark));
	field[n].ie = ie_get(e->registry, 0,
			     version == 4 ? IE_originalExporterIPv4Address
					  : IE_originalExporterIPv6Address);
	field[n].length = version == 4 ? 4 : 16;
	field[n + 1].ie =
		ie_get(e->registry, 0, IE_originalObservationDomainId);
	field[n + 1].length = 4;
	if (!field[n].ie || !field[n + 1].ie ||
	    shape_get_marked(e->shapes, field, mark, n + 2, 0, &wider))
		wider = NULL;
	free(field);
	free(mark);
	return wider;
}

const struct shape *
identity_shape(struct exporting *e, const struct domain *d,
	       const struct shape *shape)
{
	uint8_t version = d->identity.exporter.version;
	struct wider *slot;

	if (!e->identity || !version || shape->scope_count)
		return NULL;
	slot = &e->identity
			->wider[(shape->serial * 2 + (version == 6)) % WIDER];
	if (slot->from != shape || slot->version != version) {
		shape_release(slot->from);
		shape_release(slot->to);
		slot->from = shape_hold(shape);
		slot->version = version;
		slot->to = make_wider(e, shape, version);
	}
	return slot->to;
}

uint32_t
identity_add(struct exporting *e, const struct domain *d,
	     const struct shape *wider, const struct batch *batch,
	     uint32_t first, struct batch *out)
{
	struct exporting_room *room = e->room;
	uint32_t octets = d->identity.exporter.version == 4 ? 4 : 16;
	uint32_t n =
		batch_gather(batch, e->identity->index + first,
			     batch->count - first, octets + 4, room->records,
			     sizeof(room->records), room->offset, out);

	for (uint32_t i = 0; i < n; i++) {
		uint8_t *end = room->records + room->offset[i + 1];

		memcpy(end - 4 - octets, d->identity.exporter.bytes, octets);
		wire_put32(end - 4, d->identity.domain);
	}
	out->shape = wider;
	return n;
}
