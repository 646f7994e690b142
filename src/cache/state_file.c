/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The messages of a state file, see state.h. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/file.h"
#include "conflux/hash.h"
#include "state.h"

enum {
	TEMPLATES_MAX = 65536,
	UNKNOWN_MAX = 4096,
};

/* ---- shapes -------------------------------------------------------------- */

struct part {
	uint16_t id, length;
};

static int
make(struct ie_registry *registry, struct shape_table *table,
     const struct part *part, uint16_t count, uint16_t scopes,
     const struct shape **out)
{
	struct field field[4] = {0};

	for (uint16_t i = 0; i < count; i++) {
		field[i].ie = ie_find(registry, 0, part[i].id);
		field[i].length = part[i].length;
	}
	return shape_get(table, field, count, scopes, out);
}

int
state_shapes_init(struct state_shapes *shapes, struct ie_registry *registry,
		  struct shape_table *table)
{
	static const struct part sum[] = {{IE_messageScope, 1},
					  {IE_digestHashValue, 8}};
	static const struct part head[] = {
		{IE_sessionScope, 1},
		{IE_digestHashValue, 8},
		{IE_monitoringIntervalEndMilliSeconds, 8}};
	static const struct part end[] = {{IE_sessionScope, 1},
					  {IE_exportedFlowRecordTotalCount, 8}};
	static const struct part left[] = {{IE_flowId, 4},
					   {IE_commonPropertiesId, 1}};
	static const struct part keys[] = {{IE_templateId, 2},
					   {IE_flowKeyIndicator, 8}};
	static const struct part mark[] = {{IE_templateId, 2},
					   {IE_informationElementIndex, 2},
					   {IE_anonymizationTechnique, 2},
					   {IE_anonymizationFlags, 2}};
	int rc = make(registry, table, sum, 2, 1, &shapes->sum);

	if (rc == 0)
		rc = make(registry, table, head, 3, 1, &shapes->head);
	if (rc == 0)
		rc = make(registry, table, end, 2, 1, &shapes->end);
	if (rc == 0)
		rc = make(registry, table, left, 2, 0, &shapes->left);
	if (rc == 0)
		rc = make(registry, table, keys, 2, 1, &shapes->keys);
	if (rc == 0)
		rc = make(registry, table, mark, 4, 1, &shapes->mark);
	return rc;
}

void
state_shapes_fini(struct state_shapes *shapes)
{
	shape_release(shapes->sum);
	shape_release(shapes->head);
	shape_release(shapes->end);
	shape_release(shapes->left);
	shape_release(shapes->keys);
	shape_release(shapes->mark);
}

static const struct part meta[STATE_META_FIELDS] = {
	{IE_monitoringIntervalStartMilliSeconds, 8},
	{IE_monitoringIntervalEndMilliSeconds, 8},
	{IE_commonPropertiesId, 1},
	{IE_flowId, 4},
};

void
state_meta_fields(struct ie_registry *registry,
		  struct field field[STATE_META_FIELDS])
{
	for (unsigned i = 0; i < STATE_META_FIELDS; i++) {
		field[i].ie = ie_find(registry, 0, meta[i].id);
		field[i].length = meta[i].length;
	}
}

bool
state_is_flow(const struct shape *shape)
{
	unsigned first = shape->count - STATE_META_FIELDS;

	if (shape->scope_count || shape->count <= STATE_META_FIELDS)
		return false;
	for (unsigned i = 0; i < STATE_META_FIELDS; i++) {
		const struct field *field = &shape->field[first + i];

		if (field->ie->pen || field->ie->id != meta[i].id ||
		    field->length != meta[i].length)
			return false;
	}
	return true;
}

/* ---- writing ------------------------------------------------------------- */

static void
begin_message(struct state_out *out)
{
	message_begin(&out->w, out->buffer, MESSAGE_MAX - STATE_SUM,
		      out->domain);
}

void
state_out_begin(struct state_out *out, int fd, uint32_t domain)
{
	out->fd = fd;
	out->error = 0;
	out->domain = domain;
	out->sequence = 0;
	out->octets = 0;
	out->next_id = STATE_FLOW_ID;
	begin_message(out);
}

void
state_out_close(struct state_out *out)
{
	if (out->fd >= 0)
		close(out->fd);
	out->fd = -1;
	state_forms_free(out);
}

static bool
is_empty(const struct state_out *out)
{
	return out->w.length == MESSAGE_HEADER;
}

void
state_out_flush(struct state_out *out)
{
	uint8_t *p;
	uint64_t sum;

	if (out->fd < 0 || is_empty(out))
		return;
	out->w.limit = MESSAGE_MAX;
	p = message_add_data(&out->w, STATE_SUM_ID, STATE_SUM - SET_HEADER, 1);
	p[0] = 1;
	memset(p + 1, 0, 8);
	message_end(&out->w, (uint32_t)(clock_wall_ms() / 1000));
	message_set_sequence(out->buffer, out->sequence);
	sum = hash_bytes(out->buffer, out->w.length, STATE_SUM_SEED);
	wire_put64(p + 1, sum);
	if (!out->error)
		out->error =
			file_write_all(out->fd, out->buffer, out->w.length);
	out->sequence += out->w.records;
	out->octets += out->w.length;
	begin_message(out);
}

uint8_t *
state_out_data(struct state_out *out, uint16_t id, uint32_t length)
{
	if (message_room(&out->w, id) < length)
		state_out_flush(out);
	return message_add_data(&out->w, id, length, 1);
}

void
state_out_template(struct state_out *out, uint16_t id,
		   const struct shape *shape)
{
	if (message_add_template(&out->w, id, shape) == 0)
		return;
	state_out_flush(out);
	message_add_template(&out->w, id, shape);
}

/* ---- reading ------------------------------------------------------------- */

int
state_in_open(struct state_in *in, FILE *file,
	      const struct state_shapes *shapes, struct ie_registry *registry,
	      struct shape_table *table)
{
	const struct template_limits limits = {
		.max_templates = TEMPLATES_MAX,
		.max_fields = CACHE_FIELDS_MAX + STATE_META_FIELDS,
		.max_unknown = UNKNOWN_MAX,
	};

	in->file = file;
	in->shapes = shapes;
	in->good = in->messages = in->damaged = 0;
	in->sequence = 0;
	in->templates = template_store_new(&limits, registry, table);
	if (!in->templates)
		return -ENOMEM;
	return fseek(file, 0, SEEK_SET) < 0 ? -errno : 0;
}

void
state_in_close(struct state_in *in)
{
	template_store_free(in->templates);
	in->templates = NULL;
}

static void
on_template(void *arg, const struct template_event *event)
{
}

/* The next message, whole and as it was written. 0: none; less: damaged. */
static int
read_message(struct state_in *in)
{
	uint8_t *p = in->buffer;
	uint16_t length;
	uint64_t sum;

	if (fread(p, 1, MESSAGE_HEADER, in->file) != MESSAGE_HEADER)
		return 0;
	length = wire_get16(p + 2);
	if (wire_get16(p) != MESSAGE_VERSION ||
	    length < MESSAGE_HEADER + STATE_SUM ||
	    fread(p + MESSAGE_HEADER, 1, length - MESSAGE_HEADER, in->file) !=
		    (size_t)length - MESSAGE_HEADER)
		return 0;
	sum = wire_get64(p + length - 8);
	memset(p + length - 8, 0, 8);
	return hash_bytes(p, length, STATE_SUM_SEED) == sum ? length : -EBADMSG;
}

static uint32_t
count_records(const struct shape *shape, const struct set *set)
{
	const uint8_t *p = set->content;
	uint32_t left = set->length, n = 0;
	int length;

	if (!shape->variable)
		return left / shape->min_length;
	for (; left; left -= (uint32_t)length, p += length, n++) {
		length = shape_record_length(shape, p, left);
		if (length <= 0)
			break;
	}
	return n;
}

static struct template *
find(struct state_in *in, uint32_t domain, uint16_t id)
{
	return template_store_find(in->templates, domain, id, 0, 0);
}

/* What is said of a Template: which fields are keys, how they were made. */
static bool
take_about(struct state_in *in, uint32_t domain, const struct shape *shape,
	   const struct set *set)
{
	const uint8_t *p = set->content;
	uint32_t size = shape->min_length;

	if (shape != in->shapes->keys && shape != in->shapes->mark)
		return false;
	for (uint32_t left = set->length; left >= size; left -= size) {
		struct template *t = find(in, domain, wire_get16(p));

		if (t && shape == in->shapes->keys)
			t->flow_keys = wire_get64(p + 2);
		else if (t && wire_get16(p + 2) < t->shape->count)
			template_store_mark(in->templates, t, wire_get16(p + 2),
					    (struct field_mark){p[5], p[7]});
		p += size;
	}
	return true;
}

static void
take_set(struct state_in *in, uint32_t domain, const struct set *set,
	 state_set_cb cb, void *arg)
{
	const struct template *t;

	if (set->id == SET_TEMPLATE || set->id == SET_OPTIONS_TEMPLATE) {
		template_store_read(in->templates, domain, set->id,
				    set->content, set->length, 0, 0,
				    on_template, NULL);
		return;
	}
	t = find(in, domain, set->id);
	if (!t)
		return;
	in->sequence += count_records(t->shape, set);
	if (t->shape != in->shapes->sum &&
	    !take_about(in, domain, t->shape, set))
		cb(arg, t, set);
}

bool
state_in_next(struct state_in *in, state_set_cb cb, void *arg)
{
	struct message_reader reader;
	struct set set;
	int length;

	while ((length = read_message(in)) < 0)
		in->damaged++;
	if (length == 0 ||
	    message_open(&reader, in->buffer, (size_t)length) < 0)
		return false;
	in->sequence = reader.header.sequence;
	in->domain = reader.header.domain;
	while (message_next_set(&reader, &set))
		take_set(in, reader.header.domain, &set, cb, arg);
	in->messages++;
	in->good = (uint64_t)ftell(in->file);
	return true;
}
