/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The options that the Exporting Process makes itself, most of them if the
 * configuration asks for them.
 *
 * extendedTypeInformation: RFC 5610 describes enterprise-specific elements in
 * Options Data, which should come before the Templates that use them. Here: in
 * each domain, just before the first such Template, and periodically.
 *
 * flowKeys: RFC 7011 section 4.4 gives the fields of a Template that are Flow
 * Keys. Here: just behind the Template, and when they change.
 *
 * Anonymisation: RFC 6235 section 6.1 tells for each field of a Template what
 * was done to hide its values; a new session, and a Template that is sent
 * again, need it again. Here: just behind the Template, in all destinations,
 * whether the configuration asks for options or not, as who reads what is not
 * true has to know. Values of enterprise number and index are in all records,
 * so that one Options Template serves.
 *
 * meteringStatistics: RFC 7011 section 4.1 counts messages, Flow Records and
 * octets of an Observation Domain. Here: what was sent in it to this
 * destination.
 *
 * exportingReliability: RFC 7011 section 4.3 counts Flow Records, packets and
 * octets not sent, with the times of the first and the last loss; scope is the
 * exportingProcessId, so they go in domain 0, as section 3.1 recommends for what
 * belongs to no domain. Here: what this destination did not get; packets and
 * octets of messages that were lost within a broken TCP session are not in it,
 * for they are no longer there to be read.
 *
 * Of the others, those about packets and selectors are made by the stages before
 * this one (kept.c); accuracy and RFC 5473, which changes the records, are not
 * built.
 */
#include <errno.h>
#include <stdlib.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "exporting.h"

/* Counters that change all the time are told once a second at most. */
#define CHANGED_MS 1000

struct option_field {
	uint16_t id;
	uint16_t length;
};

struct option_layout {
	uint16_t scope_count, count;
	struct option_field field[8];
};

static const struct option_layout layout[OPTION_SHAPE_COUNT] = {
	[OPTION_SHAPE_TYPE] = {2,
			       8,
			       {{IE_privateEnterpriseNumber, 4},
				{IE_informationElementId, 2},
				{IE_informationElementDataType, 1},
				{IE_informationElementSemantics, 1},
				{IE_informationElementUnits, 2},
				{IE_informationElementRangeBegin, 8},
				{IE_informationElementRangeEnd, 8},
				{IE_informationElementName, IE_VARIABLE}}},
	[OPTION_SHAPE_KEYS] = {1,
			       2,
			       {{IE_templateId, 2}, {IE_flowKeyIndicator, 8}}},
	[OPTION_SHAPE_METERING] = {1,
				   4,
				   {{IE_observationDomainId, 4},
				    {IE_exportedMessageTotalCount, 8},
				    {IE_exportedFlowRecordTotalCount, 8},
				    {IE_exportedOctetTotalCount, 8}}},
	[OPTION_SHAPE_RELIABILITY] = {1,
				      6,
				      {{IE_exportingProcessId, 4},
				       {IE_notSentFlowTotalCount, 8},
				       {IE_notSentPacketTotalCount, 8},
				       {IE_notSentOctetTotalCount, 8},
				       {IE_observationTimeMilliseconds, 8},
				       {IE_observationTimeMilliseconds, 8}}},
	[OPTION_SHAPE_DATA_RELIABILITY] =
		{1, 2, {{IE_templateId, 2}, {IE_dataRecordsReliability, 1}}},
	[OPTION_SHAPE_ORIGIN_4] = {1,
				   4,
				   {{IE_observationDomainId, 4},
				    {IE_originalExporterIPv4Address, 4},
				    {IE_originalObservationDomainId, 4},
				    {IE_basicList, IE_VARIABLE}}},
	[OPTION_SHAPE_ORIGIN_6] = {1,
				   4,
				   {{IE_observationDomainId, 4},
				    {IE_originalExporterIPv6Address, 16},
				    {IE_originalObservationDomainId, 4},
				    {IE_basicList, IE_VARIABLE}}},
	[OPTION_SHAPE_ORIGIN_NONE] = {1,
				      2,
				      {{IE_observationDomainId, 4},
				       {IE_basicList, IE_VARIABLE}}},
	[OPTION_SHAPE_ANONYMIZATION] = {4,
					6,
					{{IE_templateId, 2},
					 {IE_informationElementId, 2},
					 {IE_privateEnterpriseNumber, 4},
					 {IE_informationElementIndex, 2},
					 {IE_anonymizationFlags, 2},
					 {IE_anonymizationTechnique, 2}}},
	[OPTION_SHAPE_POSITION] = {1,
				   3,
				   {{IE_exportingProcessId, 4},
				    {IE_exportedMessageTotalCount, 8},
				    {IE_exportedFlowRecordTotalCount, 8}}},
	[OPTION_SHAPE_SEAL] = {2,
			       3,
			       {{IE_userName, IE_VARIABLE},
				{IE_exportingProcessId, 4},
				{IE_exportedFlowRecordTotalCount, 8}}},
};

static int
make_shape(struct exporting *e, enum option_shape which)
{
	const struct option_layout *l = &layout[which];
	struct field field[9];
	uint16_t n = l->count;

	for (uint16_t i = 0; i < n; i++) {
		field[i].ie = ie_get(e->registry, 0, l->field[i].id);
		field[i].length = l->field[i].length;
		if (!field[i].ie)
			return -ENOMEM;
	}
	if (which == OPTION_SHAPE_TYPE) {
		field[n].ie = ie_get(e->registry, 0,
				     IE_informationElementDescription);
		field[n].length = IE_VARIABLE;
		if (!field[n++].ie)
			return -ENOMEM;
	}
	return shape_get(e->shapes, field, n, l->scope_count,
			 &e->option_shape[which]);
}

int
options_init(struct exporting *e)
{
	int r;

	for (unsigned i = 0; i < e->conf.options_count; i++)
		e->wanted[e->conf.options[i].type] = true;
	for (int i = 0; i < OPTION_SHAPE_COUNT; i++) {
		r = make_shape(e, i);
		if (r)
			return r;
	}
	if (options_wanted(e, EXPORTING_EXPORTING_RELIABILITY)) {
		e->own = domain_own(e, 0);
		if (!e->own)
			return -ENOMEM;
	}
	return 0;
}

void
options_fini(struct exporting *e)
{
	for (int i = 0; i < OPTION_SHAPE_COUNT; i++)
		shape_release(e->option_shape[i]);
}

bool
options_wanted(const struct exporting *e, enum exporting_option type)
{
	return e->wanted[type];
}

/* ---- RFC 5610 ------------------------------------------------------------- */

bool
options_describable(const struct ie *ie)
{
	/* The reverse elements are known to all by RFC 5103. */
	return ie->pen && ie->pen != IE_PEN_REVERSE && !ie->unknown;
}

static bool
told_equal(const void *item, const void *key)
{
	return ((const struct told *)item)->ie == key;
}

static uint32_t
told_hash(const struct ie *ie)
{
	return (uint32_t)hash_u64((uint64_t)ie->pen << 16 | ie->id, 0);
}

static struct told *
told_get(struct channel *c, const struct ie *ie)
{
	uint32_t hash = told_hash(ie);
	struct told *t = table_find(&c->told, hash, told_equal, ie);

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->ie = ie;
	if (table_add(&c->told, hash, t)) {
		free(t);
		return NULL;
	}
	return t;
}

/* Text is cut between characters of UTF-8. */
static void
write_string(struct writer *w, const char *text)
{
	size_t length = text ? strlen(text) : 0;

	if (length > OPTIONS_TYPE_STRING) {
		length = OPTIONS_TYPE_STRING;
		while (length && ((uint8_t)text[length] & 0xc0) == 0x80)
			length--;
	}
	writer_varlen(w, text, length);
}

uint32_t
options_type_record(const struct ie *ie, uint8_t record[OPTIONS_TYPE_OCTETS])
{
	struct writer w;

	writer_init(&w, record, OPTIONS_TYPE_OCTETS);
	writer_u32(&w, ie->pen);
	writer_u16(&w, ie->id);
	writer_u8(&w, ie->type);
	writer_u8(&w, ie->semantics);
	writer_u16(&w, ie->units);
	writer_u64(&w, ie->range_min);
	writer_u64(&w, ie->range_max);
	write_string(&w, ie->name);
	write_string(&w, ie->description);
	return (uint32_t)(w.p - record);
}

static int
describe(struct sink *s, struct channel *c, struct told *told)
{
	uint8_t record[OPTIONS_TYPE_OCTETS];
	uint32_t length = options_type_record(told->ie, record);
	int r = control_add_record(
		s, c, s->exporting->option_shape[OPTION_SHAPE_TYPE], record,
		length);

	if (r)
		return r;
	told->epoch = s->epoch;
	told->ms = s->exporting->now_ms;
	return 0;
}

int
options_types(struct sink *s, struct out_template *t)
{
	if (!t->enterprise ||
	    !options_wanted(s->exporting, EXPORTING_EXTENDED_TYPE_INFORMATION))
		return 0;
	for (uint16_t i = 0; i < t->shape->count; i++) {
		const struct ie *ie = t->shape->field[i].ie;
		struct told *told;
		int r;

		if (!options_describable(ie))
			continue;
		told = told_get(t->channel, ie);
		if (!told || told->epoch == s->epoch)
			continue;
		r = describe(s, t->channel, told);
		if (r)
			return r;
	}
	return 0;
}

static int
round_types(struct sink *s, struct channel *c, uint64_t start_ms)
{
	struct told *told;
	uint32_t at = 0;
	int r;

	while ((told = table_next(&c->told, &at)))
		if (told->epoch == s->epoch && told->ms < start_ms) {
			r = describe(s, c, told);
			if (r)
				return r;
		}
	return 0;
}

/* ---- flow keys ------------------------------------------------------------ */

uint32_t
options_keys_record(const struct out_template *t,
		    uint8_t record[OPTIONS_RECORD_OCTETS])
{
	wire_put16(record, t->id);
	wire_put64(record + 2, t->flow_keys);
	return 10;
}

static int
tell_keys(struct sink *s, struct out_template *t)
{
	uint8_t record[OPTIONS_RECORD_OCTETS];
	uint32_t length = options_keys_record(t, record);
	int r = control_add_record(
		s, t->channel, s->exporting->option_shape[OPTION_SHAPE_KEYS],
		record, length);

	if (r)
		return r;
	t->keys_epoch = s->epoch;
	t->keys_ms = s->exporting->now_ms;
	return 0;
}

int
options_keys(struct sink *s, struct out_template *t)
{
	if (!t->flow_keys || t->options || t->keys_epoch == s->epoch ||
	    !options_wanted(s->exporting, EXPORTING_FLOW_KEYS))
		return 0;
	return tell_keys(s, t);
}

static int
round_keys(struct sink *s, struct channel *c, uint64_t start_ms)
{
	struct out_template *t;
	uint32_t at = 0;
	int r = 0;

	while (r == 0 && (t = table_next(&c->by_shape, &at)))
		if (t->flow_keys && !t->options && t->keys_epoch == s->epoch &&
		    t->keys_ms < start_ms)
			r = tell_keys(s, t);
	return r;
}

/* ---- anonymisation -------------------------------------------------------- */

/* How many fields before it have the same element. */
static uint16_t
instance_of(const struct shape *shape, uint16_t field)
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < field; i++)
		n += shape->field[i].ie->id == shape->field[field].ie->id &&
		     shape->field[i].ie->pen == shape->field[field].ie->pen;
	return n;
}

uint32_t
options_mark_record(const struct out_template *t, uint16_t field,
		    uint8_t record[OPTIONS_RECORD_OCTETS])
{
	const struct ie *ie = t->shape->field[field].ie;
	const struct field_mark *mark = &t->shape->mark[field];

	wire_put16(record, t->id);
	wire_put16(record + 2, ie->id);
	wire_put32(record + 4, ie->pen);
	wire_put16(record + 8, instance_of(t->shape, field));
	wire_put16(record + 10, mark->flags);
	wire_put16(record + 12, mark->technique);
	return 14;
}

static int
tell_mark(struct sink *s, struct out_template *t, uint16_t field)
{
	uint8_t record[OPTIONS_RECORD_OCTETS];
	uint32_t length = options_mark_record(t, field, record);

	return control_add_record(
		s, t->channel,
		s->exporting->option_shape[OPTION_SHAPE_ANONYMIZATION], record,
		length);
}

int
options_marks(struct sink *s, struct out_template *t)
{
	int r = 0;

	if (!t->shape->mark)
		return 0;
	while (r == 0 && t->marks_told < t->shape->count) {
		if (t->shape->mark[t->marks_told].technique)
			r = tell_mark(s, t, t->marks_told);
		t->marks_told += r == 0;
	}
	return r;
}

/* ---- statistics ------------------------------------------------------------ */

static int
tell_metering(struct sink *s, struct channel *c)
{
	uint8_t record[28];
	int r;

	if (!c->records || c->messages == c->told_messages)
		return 0;
	wire_put32(record, c->number);
	wire_put64(record + 4, c->messages);
	wire_put64(record + 12, c->records);
	wire_put64(record + 20, c->octets);
	r = control_add_record(
		s, c, s->exporting->option_shape[OPTION_SHAPE_METERING],
		record, sizeof(record));
	/* The message that tells it does not make it new. */
	if (r == 0)
		c->told_messages = c->messages + 1;
	return r;
}

static int
tell_reliability(struct sink *s, struct channel *c)
{
	uint8_t record[44];

	wire_put32(record, s->exporting->conf.id);
	wire_put64(record + 4, s->lost_records);
	wire_put64(record + 12, s->lost_packets);
	wire_put64(record + 20, s->lost_octets);
	wire_put64(record + 28, s->lost_first_ms);
	wire_put64(record + 36, s->lost_last_ms);
	return control_add_record(
		s, c, s->exporting->option_shape[OPTION_SHAPE_RELIABILITY],
		record, sizeof(record));
}

/* ---- rounds ---------------------------------------------------------------- */

static bool
is_due(const struct sink *s, const struct exporting_options *o,
       const struct option_round *round, uint64_t now_ms)
{
	uint64_t age = now_ms - round->start_ms;

	if (o->timeout_ms)
		return age >= o->timeout_ms;
	switch (o->type) {
	case EXPORTING_METERING_STATISTICS:
		return age >= CHANGED_MS;
	case EXPORTING_EXPORTING_RELIABILITY:
		return age >= CHANGED_MS && s->lost_records != round->told;
	default:
		/* New ones go with their Templates. */
		return false;
	}
}

static int
tell(struct sink *s, struct channel *c, const struct exporting_options *o,
     const struct option_round *round)
{
	switch (o->type) {
	case EXPORTING_METERING_STATISTICS:
		return tell_metering(s, c);
	case EXPORTING_FLOW_KEYS:
		return round_keys(s, c, round->start_ms);
	case EXPORTING_EXTENDED_TYPE_INFORMATION:
		return round_types(s, c, round->start_ms);
	default:
		return 0;
	}
}

static int
round_run(struct sink *s, const struct exporting_options *o,
	  struct option_round *round)
{
	struct channel *c;
	int r = 0;

	if (o->type == EXPORTING_EXPORTING_RELIABILITY) {
		c = channel_get(s, s->exporting->own);
		r = c ? tell_reliability(s, c) : 0;
		if (r)
			return r;
		round->told = s->lost_records;
		round->running = false;
		return 0;
	}
	for (; round->cursor < s->channel_size; round->cursor++) {
		c = s->channel[round->cursor];
		/* Nothing is told in a domain that is only remembered. */
		if (!c || !c->by_shape.count)
			continue;
		r = tell(s, c, o, round);
		if (r)
			return r;
	}
	round->running = false;
	return 0;
}

int
options_run(struct sink *s, uint64_t now_ms)
{
	int r = 0;

	for (unsigned i = 0; i < s->exporting->conf.options_count; i++) {
		const struct exporting_options *o =
			&s->exporting->conf.options[i];
		struct option_round *round = &s->round[i];

		if (!round->running && is_due(s, o, round, now_ms)) {
			round->running = true;
			round->cursor = 0;
			round->start_ms = now_ms;
		}
		if (round->running)
			r = round_run(s, o, round);
		if (r)
			return r;
	}
	return control_send(s);
}
