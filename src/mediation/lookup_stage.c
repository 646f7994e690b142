/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Data Records with what is known of their addresses. Each is copied once, and
 * its values, which results have as octets already, are put behind it. A field
 * that the record has already stays, is filled, or is replaced in place.
 *
 * What was read from a networks file never changes and is shared by the threads
 * that have the same process. The first one reads the file again and publishes
 * what is new; each takes it between two batches. A database is mapped once,
 * but what was decoded of it is each thread's own.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "conflux/clock.h"
#include "conflux/log.h"
#include "conflux/projection.h"
#include "lookup.h"
#include "prefixes.h"
#include "shape_map.h"

enum { BUFFER = 128 * 1024 };

/* What was read from a file. */
struct base {
	atomic_uint holds;
	struct networks *networks; /* one of these two */
	struct maxmind *maxmind;
	uint64_t read_ms; /* wall clock */
};

/* Where threads take it from. */
struct source_file {
	atomic_uint holds;
	pthread_mutex_t lock;
	struct base *base; /* the latest, held */
};

struct lookup_stage {
	struct stage stage;
	struct lookup_conf conf;
	bool reads; /* it is the one that reads the file again */
	struct source_file *file;
	struct base *base; /* held */
	struct maxmind_results *maxmind;
	struct shape_map plans;
	uint8_t *buffer;
	uint32_t offset[BATCH_MAX + 1];
	uint32_t result[LOOKUP_ADDRESSES][BATCH_MAX];
	uint64_t found[LOOKUP_ADDRESSES], unknown[LOOKUP_ADDRESSES];
};

/* Where the address of one kind is in records of a shape. */
struct place {
	int field4, field6; /* or -1 */
	bool scope;	    /* known of all records of a batch */
};

struct fill {
	uint8_t value;
	uint16_t field;
};

struct lookup_plan {
	struct shape_made made; /* more: scope_class */
	const struct shape *to; /* held; NULL: records pass as they are */
	struct place place[LOOKUP_ADDRESSES];
	bool looks[LOOKUP_ADDRESSES];
	unsigned append_count, fill_count;
	uint8_t append[LOOKUP_VALUES_MAX]; /* values */
	struct fill fill[LOOKUP_VALUES_MAX];
	uint32_t more; /* octets that are appended, if not variable */
	bool variable;
};

static const uint16_t address_element[LOOKUP_ADDRESSES][2] = {
	[LOOKUP_SOURCE] = {IE_sourceIPv4Address, IE_sourceIPv6Address},
	[LOOKUP_DESTINATION] = {IE_destinationIPv4Address,
				IE_destinationIPv6Address},
	[LOOKUP_NEXT_HOP] = {IE_ipNextHopIPv4Address, IE_ipNextHopIPv6Address},
	[LOOKUP_BGP_NEXT_HOP] = {IE_bgpNextHopIPv4Address,
				 IE_bgpNextHopIPv6Address},
	[LOOKUP_EXPORTER] = {IE_exporterIPv4Address, IE_exporterIPv6Address},
};

/* ---- files ------------------------------------------------------------- */

static void
base_release(struct base *base)
{
	if (!base || atomic_fetch_sub(&base->holds, 1) > 1)
		return;
	networks_free(base->networks);
	maxmind_close(base->maxmind);
	free(base);
}

static int
base_read(const struct lookup_conf *conf, struct base **out, char **error)
{
	struct base *base = calloc(1, sizeof(*base));
	int rc;

	if (!base)
		return -ENOMEM;
	atomic_init(&base->holds, 1);
	base->read_ms = clock_wall_ms();
	rc = conf->networks_path ? networks_read(conf, &base->networks, error)
				 : maxmind_open(conf, &base->maxmind, error);
	if (rc < 0)
		base_release(base);
	else
		*out = base;
	return rc;
}

static void
file_release(struct source_file *file)
{
	if (!file || atomic_fetch_sub(&file->holds, 1) > 1)
		return;
	base_release(file->base);
	pthread_mutex_destroy(&file->lock);
	free(file);
}

static int
file_new(const struct lookup_conf *conf, struct source_file **out, char **error)
{
	struct source_file *file = calloc(1, sizeof(*file));
	int rc = file ? base_read(conf, &file->base, error) : -ENOMEM;

	if (rc < 0) {
		free(file);
		return rc;
	}
	atomic_init(&file->holds, 1);
	pthread_mutex_init(&file->lock, NULL);
	*out = file;
	return 0;
}

static struct base *
file_base(struct source_file *file)
{
	struct base *base;

	pthread_mutex_lock(&file->lock);
	base = file->base;
	atomic_fetch_add(&base->holds, 1);
	pthread_mutex_unlock(&file->lock);
	return base;
}

static void
file_publish(struct source_file *file, struct base *base)
{
	struct base *old;

	pthread_mutex_lock(&file->lock);
	old = file->base;
	file->base = base;
	pthread_mutex_unlock(&file->lock);
	base_release(old);
}

/* ---- plans ------------------------------------------------------------- */

static void
free_plan(struct shape_made *made)
{
	struct lookup_plan *plan = (struct lookup_plan *)made;

	shape_release(plan->to);
	free(plan);
}

/* The field of the address, -1; or the scope has it. */
static int
find_address(const struct lookup_stage *s, const struct batch *batch,
	     uint16_t id, bool *scope)
{
	struct source source;

	source_find(batch->shape, batch->scope,
		    ie_find(s->conf.registry, 0, id), &source);
	*scope |= source.kind == SOURCE_SCOPE;
	return source.kind == SOURCE_FIELD ? source.field : -1;
}

static void
find_places(const struct lookup_stage *s, const struct batch *batch,
	    struct lookup_plan *plan)
{
	for (unsigned i = 0; i < s->conf.value_count; i++) {
		unsigned kind = s->conf.value[i].address;
		struct place *place = &plan->place[kind];
		const uint16_t *id = address_element[kind];

		place->field4 = find_address(s, batch, id[0], &place->scope);
		place->field6 = find_address(s, batch, id[1], &place->scope);
		plan->looks[kind] = place->scope || place->field4 >= 0 ||
				    place->field6 >= 0;
	}
}

static int
plan_fields(struct lookup_stage *s, const struct shape *from,
	    struct lookup_plan *plan, struct field *field)
{
	unsigned count = from->count;

	memcpy(field, from->field, count * sizeof(*field));
	for (unsigned i = 0; i < s->conf.value_count; i++) {
		const struct lookup_value *value = &s->conf.value[i];
		int at = shape_find(from, value->ie->pen, value->ie->id, 0);

		if (!plan->looks[value->address])
			continue;
		if (at < 0) {
			field[count++] = (struct field){
				.ie = value->ie, .length = value->ie->length};
			plan->append[plan->append_count++] = (uint8_t)i;
			plan->variable |= value->ie->length == IE_VARIABLE;
			plan->more += value->ie->length;
		} else if (s->conf.existing != LOOKUP_KEEP &&
			   from->field[at].length != IE_VARIABLE) {
			plan->fill[plan->fill_count++] = (struct fill){
				.value = (uint8_t)i, .field = (uint16_t)at};
		}
	}
	if (plan->append_count + plan->fill_count == 0)
		return 0;
	return shape_get(s->conf.shapes, field, (uint16_t)count, 0, &plan->to);
}

static int
make_plan(struct lookup_stage *s, const struct batch *batch,
	  struct lookup_plan **out)
{
	struct lookup_plan *plan = calloc(1, sizeof(*plan));
	struct field *field =
		calloc(batch->shape->count + LOOKUP_VALUES_MAX, sizeof(*field));
	int rc = plan && field ? 0 : -ENOMEM;

	if (rc == 0) {
		find_places(s, batch, plan);
		rc = plan_fields(s, batch->shape, plan, field);
	}
	free(field);
	/* A record that has no room for more passes as it is. */
	if (rc == -EINVAL)
		rc = 0;
	if (rc < 0) {
		free(plan);
		return rc;
	}
	*out = plan;
	return shape_map_add(&s->plans, batch->shape, scope_class(batch->scope),
			     &plan->made);
}

static int
find_plan(struct lookup_stage *s, const struct batch *batch,
	  struct lookup_plan **out)
{
	*out = (struct lookup_plan *)shape_map_find(&s->plans, batch->shape,
						    scope_class(batch->scope));
	return *out ? 0 : make_plan(s, batch, out);
}

/* ---- looking up -------------------------------------------------------- */

static const struct results *
results_of(const struct lookup_stage *s)
{
	return s->maxmind ? &s->maxmind->results : &s->base->networks->results;
}

/* RESULT_NONE if there is no memory: it is counted as unknown. */
static uint32_t
find_result(struct lookup_stage *s, const uint8_t *bytes, unsigned length)
{
	const struct prefixes *prefixes;
	int64_t result;
	uint32_t value;

	if (s->maxmind) {
		result = maxmind_find(s->base->maxmind, &s->conf, s->maxmind,
				      bytes, length);
		return result < 0 ? RESULT_NONE : (uint32_t)result;
	}
	prefixes = s->base->networks->prefixes;
	value = length == 4 ? prefixes_find4(prefixes, bytes)
			    : prefixes_find6(prefixes, bytes);
	return value == PREFIXES_NONE ? RESULT_NONE : value - 1;
}

static const uint8_t *
field_at(const struct batch *batch, int field, uint32_t i)
{
	uint32_t size, length;
	const uint8_t *record;

	if (field < 0)
		return NULL;
	record = batch_record(batch, i, &size);
	if (batch->shape->field[field].offset != FIELD_NO_OFFSET)
		return record + batch->shape->field[field].offset;
	return shape_field(batch->shape, field, record, size, &length);
}

/* Of two addresses the one that is set; NULL: none is. */
static const uint8_t *
address_of(const struct batch *batch, const struct place *place, uint32_t i,
	   unsigned *length)
{
	static const uint8_t zero[16];
	const uint8_t *p = field_at(batch, place->field4, i);

	*length = 4;
	if (p && memcmp(p, zero, 4) != 0)
		return p;
	p = field_at(batch, place->field6, i);
	*length = 16;
	return p && memcmp(p, zero, 16) != 0 ? p : NULL;
}

static void
look_up(struct lookup_stage *s, const struct batch *batch,
	const struct place *place, unsigned kind)
{
	const struct addr *exporter = &batch->scope->exporter;
	uint32_t *result = s->result[kind], found = 0;

	for (uint32_t i = 0; i < batch->count; i++) {
		unsigned length;
		const uint8_t *p = address_of(batch, place, i, &length);

		if (!p && place->scope) {
			p = exporter->bytes;
			length = exporter->version == 4 ? 4 : 16;
		}
		result[i] = p ? find_result(s, p, length) : RESULT_NONE;
		found += result[i] != RESULT_NONE;
	}
	s->found[kind] += found;
	s->unknown[kind] += batch->count - found;
}

/* ---- records ----------------------------------------------------------- */

static uint32_t
tail_length(const struct lookup_stage *s, const struct lookup_plan *plan,
	    uint32_t i)
{
	const struct results *results = results_of(s);
	uint32_t sum = 0, length;

	if (!plan->variable)
		return plan->more;
	for (unsigned n = 0; n < plan->append_count; n++) {
		unsigned value = plan->append[n];

		result_value(results,
			     s->result[s->conf.value[value].address][i], value,
			     &length);
		sum += length;
	}
	return sum;
}

static void
put_tail(const struct lookup_stage *s, const struct lookup_plan *plan,
	 uint32_t i, uint8_t *out)
{
	const struct results *results = results_of(s);
	const uint8_t *p;
	uint32_t length;

	for (unsigned n = 0; n < plan->append_count; n++) {
		unsigned value = plan->append[n];

		p = result_value(results,
				 s->result[s->conf.value[value].address][i],
				 value, &length);
		if (length == 4)
			memcpy(out, p, 4);
		else
			memcpy(out, p, length);
		out += length;
	}
}

static bool
is_zero(const uint8_t *p, uint32_t length)
{
	while (length && *p == 0) {
		p++;
		length--;
	}
	return length == 0;
}

/*
 * A value into a field of any length: of a number the last octets, if the
 * others are 0, else the field stays as it is; of a string the first ones.
 */
static void
fill_field(uint8_t *field, uint32_t size, const struct ie *ie, const uint8_t *p,
	   uint32_t length)
{
	if (ie->length == IE_VARIABLE) {
		length = length - 1 < size ? length - 1 : size;
		memcpy(field, p + 1, length);
		memset(field + length, 0, size - length);
	} else if (length <= size) {
		memset(field, 0, size - length);
		memcpy(field + size - length, p, length);
	} else if (is_zero(p, length - size)) {
		memcpy(field, p + length - size, size);
	}
}

static void
fill_record(const struct lookup_stage *s, const struct lookup_plan *plan,
	    uint32_t i, uint8_t *record, uint32_t length)
{
	for (unsigned n = 0; n < plan->fill_count; n++) {
		const struct fill *fill = &plan->fill[n];
		const struct lookup_value *value = &s->conf.value[fill->value];
		uint32_t result = s->result[value->address][i], size, octets;
		const uint8_t *p, *at;

		at = shape_field(plan->made.shape, fill->field, record, length,
				 &size);
		if (result == RESULT_NONE || !at ||
		    (s->conf.existing == LOOKUP_FILL && !is_zero(at, size)))
			continue;
		p = result_value(results_of(s), result, fill->value, &octets);
		fill_field(record + (at - record), size, value->ie, p, octets);
	}
}

/* As many from *next on as there is room for; the others of *out are set. */
static void
make_records(struct lookup_stage *s, const struct lookup_plan *plan,
	     const struct batch *batch, uint32_t *next, struct batch *out)
{
	uint32_t used = 0, n = 0, length, tail;

	for (; *next < batch->count; ++*next) {
		const uint8_t *record = batch_record(batch, *next, &length);

		tail = tail_length(s, plan, *next);
		if (length + tail > SHAPE_RECORD_MAX) {
			s->stage.ledger.lost[LOSS_TOO_LONG]++;
			continue;
		}
		if (BUFFER - used < length + tail)
			break;
		s->offset[n++] = used;
		memcpy(s->buffer + used, record, length);
		fill_record(s, plan, *next, s->buffer + used, length);
		put_tail(s, plan, *next, s->buffer + used + length);
		used += length + tail;
	}
	s->offset[n] = used;
	out->count = n;
}

/* One value into a field of all records, which have a constant length. */
static void
fill_column(const struct lookup_stage *s, const struct lookup_plan *plan,
	    const struct fill *fill, uint32_t first, uint32_t count,
	    uint32_t stride)
{
	const struct lookup_value *value = &s->conf.value[fill->value];
	const struct field *field = &plan->made.shape->field[fill->field];
	const uint32_t *result = s->result[value->address] + first;
	const struct results *results = results_of(s);
	uint8_t *to = s->buffer + field->offset;
	uint32_t length;
	const uint8_t *p;

	for (uint32_t i = 0; i < count; i++, to += stride) {
		if (result[i] == RESULT_NONE ||
		    (s->conf.existing == LOOKUP_FILL &&
		     !is_zero(to, field->length)))
			continue;
		p = result_value(results, result[i], fill->value, &length);
		if (length == field->length && length == 4 &&
		    value->ie->length == 4)
			memcpy(to, p, 4);
		else
			fill_field(to, field->length, value->ie, p, length);
	}
}

/* The same of records that have and get a constant length. */
static void
make_columns(struct lookup_stage *s, const struct lookup_plan *plan,
	     const struct batch *batch, uint32_t *next, struct batch *out)
{
	uint32_t count = batch->count - *next;

	if (count > BUFFER / out->stride)
		count = BUFFER / out->stride;
	column_copy(s->buffer, out->stride,
		    batch->base + (size_t)*next * batch->stride, batch->stride,
		    batch->stride, count);
	for (unsigned n = 0; n < plan->fill_count; n++)
		fill_column(s, plan, &plan->fill[n], *next, count, out->stride);
	for (uint32_t i = 0; i < count && plan->append_count; i++)
		put_tail(s, plan, *next + i,
			 s->buffer + (size_t)i * out->stride + batch->stride);
	*next += count;
	out->count = count;
}

static void
pass_with_more(struct lookup_stage *s, const struct lookup_plan *plan,
	       const struct batch *batch)
{
	struct batch out = *batch;
	uint32_t next = 0;

	out.shape = plan->to;
	out.base = s->buffer;
	out.offset = s->offset;
	out.stride = batch->stride && !plan->variable
			     ? batch->stride + plan->more
			     : 0;
	while (next < batch->count) {
		if (out.stride && out.stride <= SHAPE_RECORD_MAX &&
		    !batch->shape->variable)
			make_columns(s, plan, batch, &next, &out);
		else
			make_records(s, plan, batch, &next, &out);
		s->stage.ledger.exported += out.count;
		if (out.count)
			stage_forward(&s->stage, &out);
	}
}

static void
lookup_stage_run(struct stage *stage, const struct batch *batch)
{
	struct lookup_stage *s = (struct lookup_stage *)stage;
	struct lookup_plan *plan = NULL;

	stage->ledger.in += batch->count;
	if (batch->shape->scope_count == 0 && find_plan(s, batch, &plan) < 0) {
		stage->ledger.lost[LOSS_NO_MEMORY] += batch->count;
		return;
	}
	if (!plan || !plan->to) {
		stage->ledger.exported += batch->count;
		stage_forward(stage, batch);
		return;
	}
	if (s->maxmind && s->maxmind->results.count > MAXMIND_RESULTS_MAX)
		maxmind_results_reset(s->maxmind, &s->conf);
	for (unsigned kind = 0; kind < LOOKUP_ADDRESSES; kind++)
		if (plan->looks[kind])
			look_up(s, batch, &plan->place[kind], kind);
	pass_with_more(s, plan, batch);
}

/* ---- the stage --------------------------------------------------------- */

static void
lookup_stage_scope_end(struct stage *stage, const struct scope *scope)
{
	stage_pass_scope_end(stage, scope);
}

/* Behind us it is the Template of another shape. */
static void
lookup_stage_template_end(struct stage *stage, const struct scope *scope,
			  const struct shape *shape)
{
	struct lookup_stage *s = (struct lookup_stage *)stage;
	const struct lookup_plan *plan = (struct lookup_plan *)shape_map_find(
		&s->plans, shape, scope_class(scope));

	stage_pass_template_end(stage, scope,
				plan && plan->to ? plan->to : shape);
}

static int
lookup_stage_wants(const struct stage *stage,
		   int (*want)(void *arg, const struct ie *ie, uint16_t length),
		   void *arg)
{
	const struct lookup_stage *s = (const struct lookup_stage *)stage;
	int rc = 0;

	for (unsigned i = 0; i < s->conf.value_count; i++)
		for (int v = 0; v < 2 && rc == 0; v++)
			rc = want(arg,
				  ie_find(s->conf.registry, 0,
					  address_element[s->conf.value[i]
								  .address][v]),
				  0);
	return rc;
}

static const char *
path_of(const struct lookup_stage *s)
{
	return s->conf.networks_path ? s->conf.networks_path
				     : s->conf.maxmind_path;
}

static int
lookup_stage_reload(struct stage *stage, char **error)
{
	struct lookup_stage *s = (struct lookup_stage *)stage;
	struct base *base;
	int rc;

	if (s->reads) {
		rc = base_read(&s->conf, &base, error);
		if (rc < 0)
			return rc;
		file_publish(s->file, base);
		log_notice("intermediate process %s: %s was read again",
			   stage->name, path_of(s));
	}
	base = file_base(s->file);
	if (base != s->base && s->maxmind)
		maxmind_results_reset(s->maxmind, &s->conf);
	base_release(s->base);
	s->base = base;
	return 1;
}

static void
lookup_stage_report(struct stage *stage, struct report *report)
{
	static const char *const name[LOOKUP_ADDRESSES] = {
		[LOOKUP_SOURCE] = "source",
		[LOOKUP_DESTINATION] = "destination",
		[LOOKUP_NEXT_HOP] = "nextHop",
		[LOOKUP_BGP_NEXT_HOP] = "bgpNextHop",
		[LOOKUP_EXPORTER] = "exporter",
	};
	const struct lookup_stage *s = (const struct lookup_stage *)stage;
	const struct networks *networks = s->base->networks;
	char text[CLOCK_TEXT_SIZE];

	report_open(report, "lookup");
	report_text(report, "file", path_of(s));
	report_text(report, "readTime", clock_format(text, s->base->read_ms));
	if (networks) {
		report_uint(report, "networks", networks->count);
	} else {
		report_text(report, "databaseType",
			    maxmind_type(s->base->maxmind));
		report_text(
			report, "databaseTime",
			clock_format(text,
				     1000 * maxmind_build_s(s->base->maxmind)));
		report_uint(report, "valuesOfOtherType",
			    s->maxmind->mismatched);
	}
	report_list(report, "address");
	for (unsigned i = 0; i < LOOKUP_ADDRESSES; i++) {
		if (s->found[i] + s->unknown[i] == 0)
			continue;
		report_item(report);
		report_text(report, "name", name[i]);
		report_uint(report, "found", s->found[i]);
		report_uint(report, "unknown", s->unknown[i]);
		report_close(report);
	}
	report_end_list(report);
	report_close(report);
}

static void
lookup_stage_free(struct stage *stage)
{
	struct lookup_stage *s = (struct lookup_stage *)stage;

	shape_map_fini(&s->plans);
	if (s->maxmind)
		maxmind_results_fini(s->maxmind);
	free(s->maxmind);
	base_release(s->base);
	file_release(s->file);
	free(s->buffer);
	free(s);
}

static const struct stage_ops lookup_stage_ops = {
	.run = lookup_stage_run,
	.scope_end = lookup_stage_scope_end,
	.template_end = lookup_stage_template_end,
	.wants = lookup_stage_wants,
	.reload = lookup_stage_reload,
	.report = lookup_stage_report,
	.free = lookup_stage_free,
};

const char *
lookup_type_wrong(const struct ie *ie)
{
	if (ie->type == IE_STRING || ie->type == IE_BOOLEAN ||
	    (ie->type >= IE_UNSIGNED8 && ie->type <= IE_FLOAT64))
		return NULL;
	return "a number, a boolean or a string";
}

static int
open_file(struct lookup_stage *s, const struct lookup_stage *share,
	  char **error)
{
	int rc = 0;

	s->reads = !share;
	if (share) {
		s->file = share->file;
		atomic_fetch_add(&s->file->holds, 1);
	} else {
		rc = file_new(&s->conf, &s->file, error);
	}
	if (rc < 0)
		return rc;
	s->base = file_base(s->file);
	if (!s->base->maxmind)
		return 0;
	s->maxmind = calloc(1, sizeof(*s->maxmind));
	return s->maxmind ? maxmind_results_init(s->maxmind, &s->conf)
			  : -ENOMEM;
}

int
lookup_stage_new(const struct lookup_conf *conf, const struct stage *share,
		 struct stage **out, char **error)
{
	struct lookup_stage *s = calloc(1, sizeof(*s));
	int rc;

	*error = NULL;
	if (!s)
		return -ENOMEM;
	s->stage.ops = &lookup_stage_ops;
	s->stage.name = conf->name;
	s->conf = *conf;
	s->plans.free = free_plan;
	s->buffer = malloc(BUFFER);
	rc = s->buffer ? open_file(s, (const struct lookup_stage *)share, error)
		       : -ENOMEM;
	if (rc < 0) {
		lookup_stage_free(&s->stage);
		return rc;
	}
	*out = &s->stage;
	return 0;
}
