/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Options Data of a meter (RFC 7011 section 3.4.2).
 *
 * A rule set: scope is our element that flow records have its number in, for
 * the number alone means nothing and changes when a manager loads it again
 * (RFC 2720 flowRuleInfoName is what stays).
 *
 * An interface: scope is ingressInterface at this meter. N of its
 * flowInterfaceSampleRate counts one packet in N; in the terms of PSAMP (RFC
 * 5477 section 8.2) one packet is taken (samplingPacketInterval), N - 1 are
 * left out (samplingPacketSpace), systematic count-based (selectorAlgorithm 1).
 * With a rate of 0 the interface is not counted at all, which is no sampling:
 * then these fields are left out. flowInterfaceLostPackets is a Counter32 and
 * stays one: 4 octets of droppedPacketTotalCount (RFC 7011 section 6.2).
 *
 * Collectors over UDP forget, and come late: hence the repetition.
 */
#include "meter_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/wire.h"
#include "meter_elements.h"

enum {
	NAMES = 256,
	NAME_MAX = 127, /* octets of flowRuleInfoName */
	INTERFACES_MAX = 4096,
	FIELDS_MAX = 8,
	RECORD_MAX = 192,
	SYSTEMATIC_COUNT_BASED = 1,
};

/* Which columns an interface has; the shapes after them. */
enum {
	HAS_RATE = 1,
	HAS_LOST = 2,
	INTERFACE_SHAPES = 4,
};

struct name {
	bool due;
	char text[NAME_MAX + 1];
};

struct interface {
	uint32_t index, rate, lost;
	uint8_t has;
	bool seen, due;
};

struct meter_options {
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct stage *stage;
	const struct scope *scope;
	uint32_t pen;
	const struct shape *name_shape;
	const struct shape *interface_shape[INTERFACE_SHAPES];
	struct name *name[NAMES];
	struct interface *interface; /* by index, ascending */
	unsigned count, room;
	uint64_t sent;

	/* The batch that is being filled. */
	const struct shape *shape;
	uint32_t records;
	uint32_t offset[BATCH_MAX + 1];
	uint8_t buffer[BATCH_MAX * RECORD_MAX];
};

int
meter_options_new(const struct meter_reader_conf *conf,
		  struct ie_registry *registry, struct shape_table *shapes,
		  struct stage *stage, const struct scope *scope,
		  struct meter_options **out)
{
	struct meter_options *options = calloc(1, sizeof(*options));

	if (!options)
		return -ENOMEM;
	options->registry = registry;
	options->shapes = shapes;
	options->stage = stage;
	options->scope = scope;
	options->pen = conf->enterprise_number;
	*out = options;
	return 0;
}

void
meter_options_free(struct meter_options *options)
{
	if (!options)
		return;
	shape_release(options->name_shape);
	for (unsigned i = 0; i < INTERFACE_SHAPES; i++)
		shape_release(options->interface_shape[i]);
	for (unsigned i = 0; i < NAMES; i++)
		free(options->name[i]);
	free(options->interface);
	free(options);
}

void
meter_options_repeat(struct meter_options *options)
{
	for (unsigned i = 0; i < NAMES; i++)
		if (options->name[i])
			options->name[i]->due = true;
	for (unsigned i = 0; i < options->count; i++)
		options->interface[i].due = true;
}

/* A string of IPFIX is UTF-8 (RFC 7011 section 6.1.6), a name any octets. */
void
meter_options_name(struct meter_options *options, uint8_t rule_set,
		   const char *name)
{
	struct name *n = options->name[rule_set];
	char text[NAME_MAX + 1];
	unsigned length = 0;

	for (; name[length] && length < NAME_MAX; length++) {
		unsigned char c = (unsigned char)name[length];

		text[length] = c < 0x20 || c > 0x7e ? '?' : (char)c;
	}
	text[length] = '\0';
	if (!length && !n)
		return;
	if (!n) {
		n = options->name[rule_set] = calloc(1, sizeof(*n));
		if (!n)
			return;
	}
	if (strcmp(n->text, text) == 0)
		return;
	memcpy(n->text, text, length + 1);
	n->due = true;
}

void
meter_options_interfaces(struct meter_options *options)
{
	for (unsigned i = 0; i < options->count; i++)
		options->interface[i].seen = false;
}

/* The row of this index, or the place for it. */
static unsigned
find(const struct meter_options *options, uint32_t index)
{
	unsigned low = 0, high = options->count;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (options->interface[mid].index < index)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool
grow(struct meter_options *options)
{
	unsigned room = options->room ? options->room * 2 : 16;
	struct interface *more;

	if (options->count < options->room)
		return true;
	if (room > INTERFACES_MAX)
		return false;
	more = realloc(options->interface, room * sizeof(*more));
	if (!more)
		return false;
	options->interface = more;
	options->room = room;
	return true;
}

void
meter_options_interface(struct meter_options *options, uint32_t index,
			const uint32_t *rate, const uint32_t *lost)
{
	struct interface new = {
		.index = index,
		.rate = rate ? *rate : 0,
		.lost = lost ? *lost : 0,
		.has = (uint8_t)((rate && *rate ? HAS_RATE : 0) |
				 (lost ? HAS_LOST : 0)),
		.seen = true,
	};
	unsigned at = find(options, index);
	struct interface *old;

	if (at < options->count && options->interface[at].index == index) {
		old = &options->interface[at];
		new.due = old->due || old->has != new.has ||
			old->rate != new.rate || old->lost != new.lost;
		*old = new;
		return;
	}
	if (!grow(options))
		return;
	old = &options->interface[at];
	memmove(old + 1, old, (options->count - at) * sizeof(*old));
	new.due = true;
	*old = new;
	options->count++;
}

void
meter_options_interfaces_end(struct meter_options *options, bool complete)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < options->count; i++) {
		if (!complete)
			options->interface[i].seen = false;
		else if (options->interface[i].seen)
			options->interface[kept++] = options->interface[i];
	}
	if (complete)
		options->count = kept;
}

static void
batch_send(struct meter_options *options, uint64_t now_ms)
{
	const struct shape *shape = options->shape;
	struct batch batch = {
		.shape = shape,
		.scope = options->scope,
		.base = options->buffer,
		.count = options->records,
		.stride = shape && !shape->variable ? shape->min_length : 0,
		.offset = shape && shape->variable ? options->offset : NULL,
		.export_ms = now_ms,
		.received_ms = now_ms,
	};

	if (!options->records)
		return;
	options->stage->ledger.exported += options->records;
	options->sent += options->records;
	options->records = 0;
	stage_forward(options->stage, &batch);
}

/* A place for a record of this shape. */
static void
record_begin(struct meter_options *options, const struct shape *shape,
	     struct writer *w, uint64_t now_ms)
{
	uint32_t at;

	if (shape != options->shape || options->records == BATCH_MAX)
		batch_send(options, now_ms);
	options->shape = shape;
	if (!options->records)
		options->offset[0] = 0;
	at = options->offset[options->records];
	writer_init(w, options->buffer + at, RECORD_MAX);
}

static void
record_end(struct meter_options *options, const struct writer *w)
{
	options->stage->ledger.in++;
	if (w->failed) {
		options->stage->ledger.lost[LOSS_TOO_LONG]++;
		return;
	}
	options->records++;
	options->offset[options->records] =
		(uint32_t)(w->p - options->buffer);
}

static bool
add_field(struct meter_options *options, struct field *field, uint16_t *count,
	  uint32_t pen, uint16_t id, uint16_t length)
{
	const struct ie *ie = ie_get(options->registry, pen, id);

	if (!ie)
		return false;
	field[(*count)++] = (struct field){ie, length, 0};
	return true;
}

static bool
add_meter(struct meter_options *options, struct field *field, uint16_t *count)
{
	bool v6 = options->scope->exporter.version == 6;

	return add_field(options, field, count, 0,
			 v6 ? IE_originalExporterIPv6Address :
			      IE_originalExporterIPv4Address, v6 ? 16 : 4);
}

static void
put_meter(const struct meter_options *options, struct writer *w)
{
	const struct addr *meter = &options->scope->exporter;

	writer_bytes(w, meter->bytes, meter->version == 6 ? 16 : 4);
}

/* What stands behind the number is of variable length and comes last. */
static const struct shape *
name_shape(struct meter_options *options)
{
	const struct ie *set = ie_find(options->registry, options->pen,
				       METER_IE_RULE_SET);
	struct field field[FIELDS_MAX];
	uint16_t n = 0;

	if (options->name_shape)
		return options->name_shape;
	/* The user may have described our numbers as something else. */
	if (!set || set->length > 8 ||
	    !add_field(options, field, &n, options->pen, METER_IE_RULE_SET,
		       set->length) ||
	    !add_meter(options, field, &n) ||
	    !add_field(options, field, &n, options->pen,
		       METER_IE_RULE_SET_NAME, IE_VARIABLE) ||
	    field[2].ie->type != IE_STRING ||
	    shape_get(options->shapes, field, n, 1, &options->name_shape))
		return NULL;
	return options->name_shape;
}

static const struct shape *
interface_shape(struct meter_options *options, unsigned has)
{
	const struct shape **shape = &options->interface_shape[has];
	struct field field[FIELDS_MAX];
	uint16_t n = 0;
	bool good;

	if (*shape)
		return *shape;
	good = add_field(options, field, &n, 0, IE_ingressInterface, 4) &&
		add_meter(options, field, &n);
	if (has & HAS_RATE)
		good = good &&
			add_field(options, field, &n, 0, IE_selectorAlgorithm,
				  2) &&
			add_field(options, field, &n, 0,
				  IE_samplingPacketInterval, 4) &&
			add_field(options, field, &n, 0,
				  IE_samplingPacketSpace, 4);
	if (has & HAS_LOST)
		good = good && add_field(options, field, &n, 0,
					 IE_droppedPacketTotalCount, 4);
	if (!good || shape_get(options->shapes, field, n, 2, shape))
		return NULL;
	return *shape;
}

static void
no_shape(struct meter_options *options)
{
	options->stage->ledger.in++;
	options->stage->ledger.lost[LOSS_LIMIT]++;
}

static void
send_name(struct meter_options *options, unsigned rule_set, uint64_t now_ms)
{
	const struct name *name = options->name[rule_set];
	const struct shape *shape = name_shape(options);
	uint8_t number[8];
	struct writer w;

	if (!shape) {
		no_shape(options);
		return;
	}
	record_begin(options, shape, &w, now_ms);
	wire_put_uint(number, rule_set, shape->field[0].length);
	writer_bytes(&w, number, shape->field[0].length);
	put_meter(options, &w);
	writer_varlen(&w, name->text, (uint16_t)strlen(name->text));
	record_end(options, &w);
}

static void
send_interface(struct meter_options *options, const struct interface *i,
	       uint64_t now_ms)
{
	const struct shape *shape = interface_shape(options, i->has);
	struct writer w;

	if (!shape) {
		no_shape(options);
		return;
	}
	record_begin(options, shape, &w, now_ms);
	writer_u32(&w, i->index);
	put_meter(options, &w);
	if (i->has & HAS_RATE) {
		writer_u16(&w, SYSTEMATIC_COUNT_BASED);
		writer_u32(&w, 1);
		writer_u32(&w, i->rate - 1);
	}
	if (i->has & HAS_LOST)
		writer_u32(&w, i->lost);
	record_end(options, &w);
}

void
meter_options_send(struct meter_options *options, uint64_t now_ms)
{
	for (unsigned i = 0; i < NAMES; i++) {
		struct name *name = options->name[i];

		if (!name || !name->due)
			continue;
		name->due = false;
		if (*name->text)
			send_name(options, i, now_ms);
	}
	for (unsigned i = 0; i < options->count; i++) {
		struct interface *interface = &options->interface[i];

		if (!interface->seen || !interface->due)
			continue;
		interface->due = false;
		if (interface->has)
			send_interface(options, interface, now_ms);
	}
	batch_send(options, now_ms);
}

uint64_t
meter_options_sent(const struct meter_options *options)
{
	return options->sent;
}
