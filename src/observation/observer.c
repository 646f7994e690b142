/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The observer: a block of frames is walked, then its packets are sorted into
 * classes, by which of the wanted elements they have. A class has one shape, so
 * its records are made field by field over all its packets (element.h). Nothing
 * is allocated for a packet; a class is made when its first one comes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "conflux/ie.h"
#include "conflux/lists.h"
#include "conflux/wire.h"
#include "duplicate.h"
#include "element.h"
#include "fragment.h"

enum {
	CLASSES_MAX = 256,
	WANTS_MAX = 256,
	RECORDS_SIZE = 128 * 1024, /* of a class with variable lengths */
	SECTION_MAX = 60000,       /* of one, so that a record has room */
	LABELS_SHIFT = 32, /* depth of the stack in a class' key */
	EXTRAS_SHIFT = 40, /* enum element_extra in it */
	INDEX_SIZE = 1024, /* places for classes, a power of two */
	RELIABILITY_MS = 1000,
};

struct want {
	const struct ie *ie;
	uint16_t length; /* of sections; 0: natural */
};

/* Packets that have the same of the wanted elements. */
struct class {
	uint64_t key;
	const struct shape *shape; /* NULL: they have none of them */
	unsigned count;
	struct extraction *extraction;
	unsigned fixed;  /* how many of them have a fixed length; these are
			  * first */
	uint32_t stride; /* of the fixed part */
	uint8_t *records;
	uint8_t *buffer;  /* of whole records, if some have no fixed length */
	uint32_t *offset;
	uint32_t packet_count;
	const struct packet *packet[BATCH_MAX];
};

struct observer {
	struct stage stage;
	struct scope scope;
	struct walk_conf walk;
	bool non_ip, scale;
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct fragments *fragments;
	struct duplicates *duplicates;
	unsigned want_count;
	struct want want[WANTS_MAX];
	uint32_t interest; /* enum packet_has that tell classes apart */
	bool labels;       /* so does the depth of the label stack */
	unsigned extras;   /* and these */
	unsigned class_count;
	struct class *class[CLASSES_MAX];
	struct class *index[INDEX_SIZE]; /* by key, open addressing */
	struct class *last, *before; /* of the packets seen last */
	uint64_t now_ns; /* of the packets */
	struct packet packet[BATCH_MAX];
	uint64_t fault[FAULT_COUNT];
	uint64_t non_ip_frames, copies, tunnelled, nothing;
	/* Metering Process reliability, RFC 7011 section 4.2. */
	uint64_t ignored, ignored_octets, ignored_first_ms, ignored_last_ms;
	uint64_t told_ignored, told_ms;
	const struct shape *reliability;
	struct list_shapes lists;
};

/* ---- wants --------------------------------------------------------------- */

bool
observer_knows(const struct ie *ie)
{
	return element_find(ie, 0) != NULL;
}

int
observer_want(struct stage *stage, const struct ie *ie, uint16_t length)
{
	struct observer *o = (struct observer *)stage;
	const struct element *e = element_find(ie, 0);

	if (!e)
		return -ENOENT;
	if (e->how == EXTRACT_LIST || (e->how == EXTRACT_SECTION && !length))
		length = IE_VARIABLE;
	else if (e->how != EXTRACT_SECTION)
		length = 0;
	for (unsigned i = 0; i < o->want_count; i++)
		if (o->want[i].ie == ie && o->want[i].length == length)
			return 0;
	if (o->want_count == WANTS_MAX)
		return -ENOSPC;
	o->want[o->want_count++] = (struct want){ie, length};
	for (unsigned n = 0; (e = element_find(ie, n)); n++) {
		o->interest |= e->needs;
		o->labels |= e->labels > 1;
		o->extras |= e->extra;
	}
	o->walk.identifiers =
		o->interest & (HAS_GRE_KEY | HAS_GTPU | HAS_SEGMENT_ID);
	return 0;
}

/* ---- classes ------------------------------------------------------------- */

static void
class_free(struct class *class)
{
	if (!class)
		return;
	shape_release(class->shape);
	free(class->extraction);
	free(class->records);
	free(class->buffer);
	free(class->offset);
	free(class);
}

/* How packets with this key tell what is wanted, or NULL. */
static const struct element *
way(const struct ie *ie, uint64_t key)
{
	uint8_t labels = (uint8_t)(key >> LABELS_SHIFT);
	uint16_t extras = (uint16_t)(key >> EXTRAS_SHIFT);
	const struct element *e;

	for (unsigned n = 0; (e = element_find(ie, n)); n++)
		if ((key & e->needs) == e->needs &&
		    (e->labels < 2 || labels >= e->labels) &&
		    (extras & e->extra) == e->extra &&
		    (extras & e->beside) == e->beside)
			return e;
	return NULL;
}

static bool
is_variable(const struct want *want)
{
	return want->length == IE_VARIABLE;
}

/* Sections of a fixed length are padded; this says how much of it is real. */
static const struct extraction *
padded_section(const struct class *class)
{
	for (unsigned i = 0; i < class->count; i++)
		if (class->extraction[i].element->how == EXTRACT_SECTION)
			return &class->extraction[i];
	return NULL;
}

static void
class_fields(const struct observer *o, struct class *class, bool variable,
	     struct field *field)
{
	for (unsigned i = 0; i < o->want_count; i++) {
		const struct want *want = &o->want[i];
		const struct element *e = way(want->ie, class->key);
		struct extraction *x = &class->extraction[class->count];

		if (!e || is_variable(want) != variable)
			continue;
		*x = (struct extraction){
			.element = e,
			.at = (uint16_t)class->stride,
			.length = e->width ? e->width : want->length,
			.scale = o->scale && e->counter,
		};
		field[class->count++] =
			(struct field){.ie = want->ie, .length = x->length};
		if (variable)
			x->length = SECTION_MAX;
		else
			class->stride += x->length;
	}
}

/* Octets that follow one another in header and record are copied at once. */
static bool
continues(const struct extraction *a, const struct extraction *b)
{
	const struct element *x = a->element, *y = b->element;

	if (x->how != y->how || a->at + a->length != b->at)
		return false;
	if (x->how == EXTRACT_COPY)
		return x->base == y->base && x->offset + a->length == y->offset;
	return x->how == EXTRACT_OCTETS && x->base + a->length == y->base;
}

static void
fuse(struct class *class)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < class->fixed; i++) {
		struct extraction *last = &class->extraction[kept - 1];

		if (kept && continues(last, &class->extraction[i]))
			last->length += class->extraction[i].length;
		else
			class->extraction[kept++] = class->extraction[i];
	}
	for (unsigned i = class->fixed; i < class->count; i++)
		class->extraction[kept + i - class->fixed] =
			class->extraction[i];
	class->count -= class->fixed - kept;
	class->fixed = kept;
}

static int
class_buffers(struct class *class)
{
	fuse(class);
	for (unsigned i = 0; i < class->count; i++)
		class->extraction[i].of = padded_section(class);
	class->records = calloc(BATCH_MAX, class->stride + 1);
	if (!class->records)
		return -ENOMEM;
	if (class->fixed == class->count)
		return 0;
	class->buffer = malloc(RECORDS_SIZE);
	class->offset = calloc(BATCH_MAX + 1, sizeof(*class->offset));
	return class->buffer && class->offset ? 0 : -ENOMEM;
}

static struct class *
class_new(struct observer *o, uint64_t key)
{
	struct field field[WANTS_MAX];
	struct class *class = calloc(1, sizeof(*class));
	int rc = 0;

	if (!class)
		return NULL;
	class->key = key;
	class->extraction = calloc(o->want_count + 1,
				   sizeof(*class->extraction));
	if (!class->extraction) {
		class_free(class);
		return NULL;
	}
	class_fields(o, class, false, field);
	class->fixed = class->count;
	class_fields(o, class, true, field);
	if (class->count)
		rc = shape_get(o->shapes, field, (uint16_t)class->count, 0,
			       &class->shape);
	if (rc == 0)
		rc = class_buffers(class);
	if (rc < 0) {
		class_free(class);
		return NULL;
	}
	return class;
}

/* NULL: no memory, or a bound. */
static struct class *
class_of(struct observer *o, const struct packet *p)
{
	uint64_t key = p->has & o->interest;
	struct class *class = o->last;
	size_t at;

	if (o->labels && p->has & HAS_MPLS)
		key |= (uint64_t)p->mpls_depth << LABELS_SHIFT;
	if (o->extras)
		key |= (uint64_t)element_extras(p, o->extras) << EXTRAS_SHIFT;
	if (class && class->key == key)
		return class;
	/* Most packets are of two kinds. */
	o->last = o->before;
	o->before = class;
	class = o->last;
	if (class && class->key == key)
		return class;
	at = hash_u64(key, 0) % INDEX_SIZE;
	for (; (class = o->index[at]); at = (at + 1) % INDEX_SIZE)
		if (class->key == key)
			return o->last = class;
	if (o->class_count == CLASSES_MAX)
		return NULL;
	class = class_new(o, key);
	if (class)
		o->class[o->class_count++] = o->index[at] = o->last = class;
	return class;
}

/* ---- records ------------------------------------------------------------- */

static void
forward(struct observer *o, struct batch *batch)
{
	batch->scope = &o->scope;
	batch->export_ms = batch->received_ms = o->now_ns / 1000000;
	o->stage.ledger.exported += batch->count;
	stage_forward(&o->stage, batch);
}

static void
write_variable(const struct element *e, const struct packet *p,
	       struct writer *w)
{
	struct section section;
	uint8_t list[LIST_MAX];

	if (e->how == EXTRACT_LIST) {
		writer_varlen(w, list, e->list(p, list));
		return;
	}
	e->section(p, &section);
	writer_varlen(w, section.data,
		      section.length < SECTION_MAX ? section.length
						   : SECTION_MAX);
}

/* What follows the fixed part, too; false: no room in the buffer. */
static bool
write_record(const struct class *class, uint32_t i, struct writer *w)
{
	writer_bytes(w, class->records + (size_t)i * class->stride,
		     class->stride);
	for (unsigned k = class->fixed; k < class->count; k++)
		write_variable(class->extraction[k].element, class->packet[i],
			       w);
	return !w->failed;
}

static void
forward_variable(struct observer *o, const struct class *class)
{
	uint32_t i = 0;

	while (i < class->packet_count) {
		struct batch batch = {.shape = class->shape,
				      .base = class->buffer,
				      .offset = class->offset};
		struct writer w;

		writer_init(&w, class->buffer, RECORDS_SIZE);
		class->offset[0] = 0;
		while (i < class->packet_count && write_record(class, i, &w)) {
			batch.count++;
			class->offset[batch.count] =
				(uint32_t)(w.p - class->buffer);
			i++;
		}
		if (batch.count == 0) { /* several long sections at once */
			o->stage.ledger.lost[LOSS_TOO_LONG]++;
			i++;
			continue;
		}
		forward(o, &batch);
	}
}

static void
class_run(struct observer *o, struct class *class)
{
	struct batch batch = {
		.shape = class->shape,
		.base = class->records,
		.count = class->packet_count,
		.stride = class->stride,
	};

	if (!class->shape) {
		o->nothing += class->packet_count;
		o->stage.ledger.filtered += class->packet_count;
		class->packet_count = 0;
		return;
	}
	for (unsigned i = 0; i < class->fixed; i++)
		extraction_run(&class->extraction[i], class->packet,
			       class->packet_count, class->records,
			       class->stride);
	if (class->fixed == class->count)
		forward(o, &batch);
	else
		forward_variable(o, class);
	class->packet_count = 0;
}

/* ---- frames -------------------------------------------------------------- */

/* Packet time; before the first packet that of this machine. */
static uint64_t
time_now(const struct observer *o)
{
	return o->now_ns ? o->now_ns / 1000000 : clock_wall_ms();
}

static void
ignored_at(struct observer *o, uint64_t packets, uint64_t ms)
{
	if (packets && o->ignored == 0)
		o->ignored_first_ms = ms;
	if (packets)
		o->ignored_last_ms = ms;
	o->ignored += packets;
}

static void
ignore(struct observer *o, const struct packet *p, enum loss loss)
{
	o->stage.ledger.lost[loss]++;
	o->ignored_octets += p->frame->wire_length;
	ignored_at(o, 1, p->frame->time_ns / 1000000);
}

/* Is it to be metered? If not, it is counted. */
static bool
admit(struct observer *o, struct packet *p)
{
	if (p->fault)
		o->fault[p->fault]++;
	if (!(p->has & HAS_PAYLOAD)) {
		if (p->fault && !o->non_ip) {
			ignore(o, p, LOSS_MALFORMED);
			return false;
		}
		o->non_ip_frames++;
		if (!o->non_ip)
			o->stage.ledger.filtered++;
		return o->non_ip;
	}
	if (p->tunnels)
		o->tunnelled++;
	if (p->has & HAS_FRAGMENT && o->fragments)
		fragments_packet(o->fragments, p);
	if (o->duplicates && duplicates_packet(o->duplicates, p)) {
		o->copies++;
		o->stage.ledger.filtered++;
		return false;
	}
	return true;
}

void
observer_frames(struct stage *stage, const struct frame *frames, uint32_t count)
{
	struct observer *o = (struct observer *)stage;
	struct class *touched[BATCH_MAX], *class;
	unsigned touched_count = 0;

	stage->ledger.in += count;
	for (uint32_t i = 0; i < count; i++) {
		struct packet *p = &o->packet[i];

		packet_walk(p, &frames[i], &o->walk);
		if (frames[i].time_ns > o->now_ns)
			o->now_ns = frames[i].time_ns;
		if (!admit(o, p))
			continue;
		class = class_of(o, p);
		if (!class) {
			ignore(o, p, o->class_count == CLASSES_MAX
					     ? LOSS_LIMIT
					     : LOSS_NO_MEMORY);
			continue;
		}
		if (class->packet_count == 0)
			touched[touched_count++] = class;
		class->packet[class->packet_count++] = p;
	}
	for (unsigned i = 0; i < touched_count; i++)
		class_run(o, touched[i]);
}

void
observer_lost(struct stage *stage, uint64_t kernel, uint64_t interface)
{
	struct observer *o = (struct observer *)stage;

	stage->ledger.lost[LOSS_KERNEL_DROP] += kernel;
	stage->ledger.lost[LOSS_INTERFACE_DROP] += interface;
	ignored_at(o, kernel + interface, time_now(o));
}

void
observer_filtered(struct stage *stage, uint64_t packets)
{
	stage->ledger.in += packets;
	stage->ledger.filtered += packets;
}

/* ---- reliability --------------------------------------------------------- */

/*
 * RFC 7011 section 4.2: packets that the Metering Process could not meter, with
 * the times of the first and the last of them. What the kernel dropped has the
 * time when that was noticed, and nobody knows its octets.
 */
static int
reliability_shape(struct observer *o)
{
	static const uint16_t id[] = {
		IE_observationDomainId,       IE_observationPointId,
		IE_ignoredPacketTotalCount,   IE_ignoredOctetTotalCount,
		IE_observationTimeMilliseconds,
		IE_observationTimeMilliseconds,
	};
	struct field field[6];

	for (int i = 0; i < 6; i++) {
		field[i].ie = ie_find(o->registry, 0, id[i]);
		if (!field[i].ie)
			return -ENOENT;
		field[i].length = field[i].ie->length;
	}
	return shape_get(o->shapes, field, 6, 2, &o->reliability);
}

static void
tell_reliability(struct observer *o)
{
	uint64_t now = time_now(o);
	uint8_t record[44];
	struct batch batch = {
		.shape = o->reliability,
		.scope = &o->scope,
		.base = record,
		.count = 1,
		.stride = sizeof(record),
		.export_ms = now,
		.received_ms = now,
		.options = OPTIONS_METERING_RELIABILITY,
	};

	if (o->ignored == o->told_ignored)
		return;
	o->told_ignored = o->ignored;
	wire_put32(record, o->scope.domain);
	wire_put64(record + 4, o->scope.fact[FACT_OBSERVATION_POINT_ID]);
	wire_put64(record + 12, o->ignored);
	wire_put64(record + 20, o->ignored_octets);
	wire_put64(record + 28, o->ignored_first_ms);
	wire_put64(record + 36, o->ignored_last_ms);
	/* Made here, so it comes in by a split. */
	o->stage.ledger.split++;
	o->stage.ledger.exported++;
	stage_forward(&o->stage, &batch);
}

static void
observer_tick(struct stage *stage, uint64_t now_ms)
{
	struct observer *o = (struct observer *)stage;

	if (now_ms - o->told_ms < RELIABILITY_MS)
		return;
	o->told_ms = now_ms;
	tell_reliability(o);
}

static void
observer_flush(struct stage *stage)
{
	tell_reliability((struct observer *)stage);
}

/* ---- the stage ------------------------------------------------------------ */

static void
observer_report(struct stage *stage, struct report *report)
{
	struct observer *o = (struct observer *)stage;

	report_uint(report, "observationPointId",
		    o->scope.fact[FACT_OBSERVATION_POINT_ID]);
	report_uint(report, "observationDomainId", o->scope.domain);
	report_open(report, "cx:packets");
	for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++)
		report_uint(report, packet_fault_name((enum packet_fault)i),
			    o->fault[i]);
	report_uint(report, "nonIp", o->non_ip_frames);
	report_uint(report, "duplicates", o->copies);
	report_uint(report, "tunnelled", o->tunnelled);
	report_uint(report, "nothingWanted", o->nothing);
	report_uint(report, "classes", o->class_count);
	if (o->fragments) {
		const struct fragment_counters *c =
			fragments_counters(o->fragments);

		report_uint(report, "firstFragments", c->first);
		report_uint(report, "laterFragments", c->found);
		report_uint(report, "fragmentsWithoutFirst", c->orphans);
		report_uint(report, "fragmentsRecycled", c->recycled);
	}
	report_close(report);
}

static void
observer_free(struct stage *stage)
{
	struct observer *o = (struct observer *)stage;

	stage_pass_scope_end(stage, &o->scope);
	for (unsigned i = 0; i < o->class_count; i++)
		class_free(o->class[i]);
	fragments_free(o->fragments);
	duplicates_free(o->duplicates);
	shape_release(o->reliability);
	list_shapes_fini(&o->lists);
	free(o);
}

static const struct stage_ops observer_ops = {
	.tick = observer_tick,
	.flush = observer_flush,
	.report = observer_report,
	.free = observer_free,
};

int
observer_new(const struct observer_conf *conf, struct ie_registry *registry,
	     struct shape_table *shapes, struct stage **out, const char **error)
{
	struct observer *o = calloc(1, sizeof(*o));
	int rc;

	*error = NULL;
	if (!o)
		return -ENOMEM;
	o->stage.ops = &observer_ops;
	o->stage.name = conf->name;
	o->registry = registry;
	o->shapes = shapes;
	o->walk = (struct walk_conf){.tunnels = conf->tunnels,
				     .tunnel_depth = conf->tunnel_depth};
	o->non_ip = conf->non_ip;
	o->scale = conf->scale;
	o->scope = (struct scope){
		.serial = scope_serial(),
		.domain = conf->domain,
		.transport = TRANSPORT_CAPTURE,
		.packets = true,
		.template_shape = list_shapes_find,
		.list_shapes = &o->lists,
	};
	scope_set_fact(&o->scope, FACT_OBSERVATION_POINT_ID, conf->point_id);
	rc = reliability_shape(o);
	if (rc == 0)
		rc = list_shapes_init(&o->lists, registry, shapes);
	if (rc == 0 && conf->max_fragments)
		rc = fragments_new(conf->max_fragments, conf->fragment_ms,
				   &o->fragments);
	if (rc == 0 && conf->duplicate_us)
		rc = duplicates_new(conf->max_duplicates, conf->duplicate_us,
				    &o->duplicates);
	if (rc < 0) {
		observer_free(&o->stage);
		return rc;
	}
	*out = &o->stage;
	return 0;
}
