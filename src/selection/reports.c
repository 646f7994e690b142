/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What RFC 5476 section 6.5 has a PSAMP exporter tell by Options Data: of which
 * selectors a Selection Sequence is made, with all their parameters, and how
 * many packets each has seen and taken. The records go the way of the packets,
 * to the Exporting Process, which keeps the latest of them.
 */
#include <stdlib.h>
#include <string.h>

#include "conflux/ie.h"
#include "conflux/wire.h"
#include "internal.h"

enum { FIELDS_MAX = 2 * SELECTORS_MAX + 2 * RANGES_MAX + 16 };

/* A record that is made field by field, its shape with it. */
struct draft {
	struct selection *sel;
	struct field field[FIELDS_MAX];
	uint16_t count;
	uint8_t data[FIELDS_MAX * 8 + MATCH_MAX];
	struct writer w;
	bool failed;
};

static void
begin(struct draft *d, struct selection *sel)
{
	d->sel = sel;
	d->count = 0;
	d->failed = false;
	writer_init(&d->w, d->data, sizeof(d->data));
}

static void
add_field(struct draft *d, const struct ie *ie, uint16_t length)
{
	if (!ie || d->count == FIELDS_MAX) {
		d->failed = true;
		return;
	}
	d->field[d->count++] = (struct field){.ie = ie, .length = length};
}

static void
add(struct draft *d, uint16_t id, uint64_t value)
{
	const struct ie *ie = ie_find(d->sel->registry, 0, id);
	uint8_t *p;

	add_field(d, ie, ie ? ie->length : 0);
	p = ie ? writer_take(&d->w, ie->length) : NULL;
	if (p)
		wire_put_uint(p, value, ie->length);
}

static bool
draft_send(struct draft *d, uint16_t scope_count, enum options_kind kind)
{
	struct selection *sel = d->sel;
	const struct shape *shape;
	struct batch batch;

	if (d->failed || d->w.failed ||
	    shape_get(sel->shapes, d->field, d->count, scope_count, &shape) < 0)
		return false;
	batch = (struct batch){
		.shape = shape,
		.scope = &sel->told_scope,
		.base = d->data,
		.count = 1,
		.stride = (uint32_t)(d->w.p - d->data),
		.export_ms = sel->now_ms,
		.received_ms = sel->now_ms,
		.options = kind,
	};
	/* Made here, so it comes in by a split. */
	sel->stage.ledger.split++;
	sel->stage.ledger.exported++;
	stage_forward(&sel->stage, &batch);
	shape_release(shape);
	return true;
}

/* ---- selectors -------------------------------------------------------------- */

static void
add_value(struct draft *d, const struct ie *ie, const struct match *m)
{
	uint8_t value[MATCH_MAX];
	uint16_t length = match_write(m, ie, value);
	uint8_t *p = writer_take(&d->w, length);

	add_field(d, ie, length);
	if (p)
		memcpy(p, value, length);
}

/*
 * RFC 5476 6.5.2.5: the element itself, with the value; several are joined by
 * AND. So a prefix of an address that has elements for it is told by these.
 */
static void
add_match(struct draft *d, const struct selector *s)
{
	static const struct {
		uint16_t address, prefix, length;
	} part[] = {
		{IE_sourceIPv4Address, IE_sourceIPv4Prefix,
		 IE_sourceIPv4PrefixLength},
		{IE_destinationIPv4Address, IE_destinationIPv4Prefix,
		 IE_destinationIPv4PrefixLength},
		{IE_sourceIPv6Address, IE_sourceIPv6Prefix,
		 IE_sourceIPv6PrefixLength},
		{IE_destinationIPv6Address, IE_destinationIPv6Prefix,
		 IE_destinationIPv6PrefixLength},
	};
	const struct match *m = &s->match;
	const struct ie *ie = s->conf.ie;

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++)
		if (m->prefix >= 0 && ie->pen == 0 &&
		    ie->id == part[i].address) {
			add_value(d, ie_find(d->sel->registry, 0,
					     part[i].prefix), m);
			add(d, part[i].length, (uint64_t)m->prefix);
			return;
		}
	add_value(d, ie, m);
}

static void
add_hash(struct draft *d, const struct selector *s)
{
	const struct selector_conf *c = &s->conf;

	add(d, IE_hashIPPayloadOffset, c->payload_offset);
	add(d, IE_hashIPPayloadSize, c->payload_size);
	add(d, IE_hashOutputRangeMin, 0);
	add(d, IE_hashOutputRangeMax,
	    c->hash == SELECTOR_IPSX ? UINT16_MAX : UINT32_MAX);
	for (unsigned i = 0; i < c->range_count; i++) {
		add(d, IE_hashSelectedRangeMin, s->range[i].min);
		add(d, IE_hashSelectedRangeMax, s->range[i].max);
	}
	add(d, IE_hashDigestOutput, c->digest ? 1 : 2);
	add(d, IE_hashInitialiserValue, c->initialiser);
}

static bool
report_selector(struct selection *sel, const struct selector *s)
{
	const struct selector_conf *c = &s->conf;
	struct draft d;
	uint64_t octets;

	begin(&d, sel);
	add(&d, IE_selectorId, c->id);
	switch (c->method) {
	case SELECTOR_ALL: /* systematic, with nothing left out */
		add(&d, IE_selectorAlgorithm, 1);
		add(&d, IE_samplingPacketInterval, 1);
		add(&d, IE_samplingPacketSpace, 0);
		break;
	case SELECTOR_COUNT:
		add(&d, IE_selectorAlgorithm, 1);
		add(&d, IE_samplingPacketInterval, c->interval);
		add(&d, IE_samplingPacketSpace, c->space);
		break;
	case SELECTOR_TIME:
		add(&d, IE_selectorAlgorithm, 2);
		add(&d, IE_samplingTimeInterval, c->interval);
		add(&d, IE_samplingTimeSpace, c->space);
		break;
	case SELECTOR_OUT_OF_N:
		add(&d, IE_selectorAlgorithm, 3);
		add(&d, IE_samplingSize, c->size);
		add(&d, IE_samplingPopulation, c->population);
		break;
	case SELECTOR_PROBABILITY:
		memcpy(&octets, &c->probability, sizeof(octets));
		add(&d, IE_selectorAlgorithm, 4);
		add(&d, IE_samplingProbability, octets);
		break;
	case SELECTOR_MATCH:
		add(&d, IE_selectorAlgorithm, 5);
		add_match(&d, s);
		break;
	case SELECTOR_HASH:
		add(&d, IE_selectorAlgorithm, 6u + c->hash);
		add_hash(&d, s);
		break;
	}
	return draft_send(&d, 1, OPTIONS_SELECTION_SEQUENCE);
}

void
report_sequence(struct selection *sel)
{
	struct draft d;
	bool told;

	begin(&d, sel);
	add(&d, IE_selectionSequenceId, sel->sequence_id);
	add(&d, IE_observationPointId, sel->point_id);
	for (unsigned i = 0; i < sel->selector_count; i++)
		add(&d, IE_selectorId, sel->selector[i].conf.id);
	told = draft_send(&d, 1, OPTIONS_SELECTION_SEQUENCE);
	for (unsigned i = 0; i < sel->selector_count; i++)
		told &= report_selector(sel, &sel->selector[i]);
	/* What memory was short for is told with the next packets. */
	sel->told = told;
}

/* What one selector takes is what the next one sees, so it is told once. */
void
report_statistics(struct selection *sel)
{
	struct draft d;

	if (!sel->told || sel->selector[0].observed == sel->told_observed)
		return;
	begin(&d, sel);
	add(&d, IE_selectionSequenceId, sel->sequence_id);
	add(&d, IE_selectorIdTotalPktsObserved, sel->selector[0].observed);
	for (unsigned i = 0; i < sel->selector_count; i++)
		add(&d, IE_selectorIdTotalPktsSelected,
		    sel->selector[i].selected);
	if (draft_send(&d, 1, OPTIONS_SELECTION_STATISTICS))
		sel->told_observed = sel->selector[0].observed;
}
