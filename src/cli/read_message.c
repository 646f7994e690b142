/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What conflux read does with one message (RFC 7011 section 3): Templates are
 * kept, records are printed. Type information (RFC 5610) gives names to the
 * elements of the records behind it.
 */
#include <inttypes.h>
#include <string.h>

#include "conflux/type_information.h"
#include "read.h"

/* ---- templates ---------------------------------------------------------- */

/* The names of this tree are those of RFC 6728, but for ieName. */
static void
template_json(struct text *out, const struct template_event *event,
	      uint32_t domain)
{
	const struct template *template = event->template;
	const struct shape *shape = template->shape;

	text_add(out, "{\"template\":{\"observationDomainId\":");
	text_add_uint(out, domain);
	text_add(out, ",\"templateId\":");
	text_add_uint(out, template->id);
	text_add(out, ",\"setId\":");
	text_add_uint(out, template->set_id);
	text_add(out, ",\"field\":[");
	for (unsigned i = 0; i < shape->count; i++) {
		const struct ie *ie = shape->field[i].ie;

		text_add(out, i ? ",{\"ieName\":" : "{\"ieName\":");
		text_add_json(out, ie->name, strlen(ie->name));
		text_add(out, ",\"ieId\":");
		text_add_uint(out, ie->id);
		text_add(out, ",\"ieLength\":");
		text_add_uint(out, shape->field[i].length);
		text_add(out, ",\"ieEnterpriseNumber\":");
		text_add_uint(out, ie->pen);
		text_add(out, i < shape->scope_count ? ",\"isScope\":true}"
						     : "}");
	}
	text_add(out, "]}}\n");
}

static void
template_text(struct text *out, const struct template_event *event,
	      uint32_t domain)
{
	const struct template *template = event->template;
	const struct shape *shape = template->shape;

	text_add(out, shape->scope_count ? "optionsTemplate " : "template ");
	text_add_uint(out, template->id);
	text_add(out, " domain ");
	text_add_uint(out, domain);
	text_add_char(out, ':');
	for (unsigned i = 0; i < shape->count; i++) {
		text_add_char(out, ' ');
		text_add(out, shape->field[i].ie->name);
		text_add_char(out, '(');
		if (shape->field[i].length == IE_VARIABLE)
			text_add(out, "variable");
		else
			text_add_uint(out, shape->field[i].length);
		text_add(out, i < shape->scope_count ? ",scope)" : ")");
	}
	text_add_char(out, '\n');
}

static void
withdrawal_print(struct read *read, uint16_t id)
{
	struct text *out = &read->out;

	if (read->options.format == FORMAT_JSON)
		text_printf(out,
			    "{\"templateWithdrawal\":{\"observationDomainId\""
			    ":%" PRIu32 ",\"templateId\":%u}}\n",
			    read->domain, id);
	else
		text_printf(out, "templateWithdrawal %u domain %" PRIu32 "\n",
			    id, read->domain);
}

static void
template_seen(void *arg, const struct template_event *event)
{
	struct read *read = arg;

	switch (event->outcome) {
	case TEMPLATE_NEW:
	case TEMPLATE_REFRESHED:
	case TEMPLATE_REDEFINED:
	case TEMPLATE_REDEFINED_BAD:
		/*
		 * RFC 7011 8.1 wants a withdrawal before another definition.
		 * Files made of UDP messages have none, so no word of it.
		 */
		if (!read->options.templates)
			break;
		if (read->options.format == FORMAT_JSON)
			template_json(&read->out, event, read->domain);
		else
			template_text(&read->out, event, read->domain);
		break;
	case TEMPLATE_WITHDRAWN:
	case TEMPLATE_WITHDRAWN_ALL:
		if (read->options.templates)
			withdrawal_print(read, event->id);
		break;
	case TEMPLATE_WITHDRAWN_UNKNOWN:
	case TEMPLATE_WITHDRAWN_UDP:
		break;
	case TEMPLATE_MALFORMED:
	case TEMPLATE_REFUSED:
		read_complain(read, read->offset, "template %u of domain %"
			      PRIu32 ": %s", event->id, read->domain,
			      event->reason);
		break;
	}
}

/* ---- records ------------------------------------------------------------ */

static const struct shape *
shape_of(void *arg, uint16_t id)
{
	struct read *read = arg;
	struct template *template =
		template_store_find(read->templates, read->domain, id, 0, 0);

	return template ? template->shape : NULL;
}

static void
csv_header(struct read *read, const struct shape *shape)
{
	if (read->header == shape)
		return;
	/* Records of another shape: a new table, behind an empty line. */
	if (read->header)
		text_add_char(&read->out, '\n');
	shape_release(read->header);
	read->header = shape_hold(shape);
	format_header_csv(&read->out, shape);
	text_add(&read->out, "\n");
}

static void
record_print(struct read *read, const struct shape *shape,
	     const uint8_t *record, uint32_t length)
{
	struct format_context context = {
		.registry = read->registry,
		.shape_of = shape_of,
		.arg = read,
	};
	struct text *out = &read->out;
	bool json = read->options.format == FORMAT_JSON;

	if (read->options.format == FORMAT_CSV)
		csv_header(read, shape);
	else if (shape->scope_count)
		text_add(out, json ? "{\"options\":" : "options ");
	format_record(out, read->options.format, &context, shape, record,
		      length);
	text_add(out, json && shape->scope_count ? "}\n" : "\n");
	read->printed++;
}

static void
options_learn(struct read *read, const struct shape *shape,
	      const uint8_t *record, uint32_t length)
{
	const char *reason = NULL;
	int ret = type_information_learn(read->registry, shape, record, length,
					 &reason);

	if (ret > 0)
		read->relearn = true;
	else if (ret < 0)
		read_complain(read, read->offset,
			      "type information of an element: %s", reason);
}

/*
 * A record of that length and, if all are of one length, those behind it that
 * are wanted; returns their octets.
 */
static int
to_top(struct read *read, const struct shape *shape, const uint8_t *p,
       uint32_t length, uint32_t left)
{
	uint64_t count = 1, wanted = read->options.limit - read->printed;

	if (!shape->variable) {
		count = left / shape->min_length;
		if (read->options.limit && count > wanted)
			count = wanted;
		length = (uint32_t)count * shape->min_length;
	}
	top_add(read->top, shape, p, length);
	read->printed += count;
	return (int)length;
}

/* ---- with a filter ------------------------------------------------------ */

/*
 * As many records as a batch may have, up to one that is too long for its set;
 * returns their octets.
 */
static uint32_t
take_batch(const struct shape *shape, const uint8_t *p, uint32_t left,
	   uint32_t *offset, struct batch *batch)
{
	batch->shape = shape;
	batch->base = p;
	offset[0] = 0;
	while (batch->count < BATCH_MAX && left >= shape->min_length) {
		int length = shape_record_length(shape, p, left);

		if (length <= 0)
			break;
		p += length;
		left -= (uint32_t)length;
		offset[++batch->count] = (uint32_t)(p - batch->base);
	}
	if (shape->variable)
		batch->offset = offset;
	else
		batch->stride = shape->min_length;
	return offset[batch->count];
}

static void
print_passed(struct read *read, const struct batch *batch,
	     const uint32_t *index, uint32_t count)
{
	uint32_t length;

	for (uint32_t i = 0; i < count && !read_done(read); i++) {
		const uint8_t *p = batch_record(batch, index[i], &length);

		record_print(read, batch->shape, p, length);
	}
}

static void
passed_to_top(struct read *read, const struct batch *batch,
	      const uint32_t *index, uint32_t count)
{
	uint64_t wanted = read->options.limit - read->printed;
	uint32_t offset[BATCH_MAX + 1];
	struct batch out;

	if (read->options.limit && count > wanted)
		count = (uint32_t)wanted;
	/* A set is shorter than the buffer. */
	count = batch_gather(batch, index, count, 0, read->passed, READ_PASSED,
			     offset, &out);
	if (count)
		top_add(read->top, batch->shape, out.base, offset[count]);
	read->printed += count;
}

/* The octets of records that were dealt with; 0: the next one is bad. */
static int
filter_records(struct read *read, const struct shape *shape, const uint8_t *p,
	       uint32_t left)
{
	struct scope scope = {.domain = read->domain,
			      .transport = TRANSPORT_FILE};
	struct batch batch = {.scope = &scope,
			      .export_ms = (uint64_t)read->export_time * 1000};
	uint32_t offset[BATCH_MAX + 1], index[BATCH_MAX];
	uint32_t octets = take_batch(shape, p, left, offset, &batch);
	int count;

	if (octets == 0)
		return 0;
	count = filter_run(read->filter, &batch, index);
	if (count < 0)
		read_complain(read, read->offset,
			      "out of memory: %" PRIu32 " records are left out",
			      batch.count);
	else if (read->top)
		passed_to_top(read, &batch, index, (uint32_t)count);
	else
		print_passed(read, &batch, index, (uint32_t)count);
	return (int)octets;
}

/* ---- sets --------------------------------------------------------------- */

/* The octets of the next record, or several; not above 0: it is bad. */
static int
next_records(struct read *read, const struct shape *shape, const uint8_t *p,
	     uint32_t left)
{
	int length;

	if (read->filter && !shape->scope_count)
		return filter_records(read, shape, p, left);
	length = shape_record_length(shape, p, left);
	if (length <= 0)
		return length;
	if (shape->scope_count)
		options_learn(read, shape, p, (uint32_t)length);
	if (read->top) {
		if (!shape->scope_count)
			length = to_top(read, shape, p, (uint32_t)length, left);
	} else if (!shape->scope_count || read->options.options) {
		record_print(read, shape, p, (uint32_t)length);
	}
	return length;
}

/*
 * The records of a Data Set. What is left at its end and is shorter than any
 * record is padding (RFC 7011 section 3.3.1).
 */
static void
data_set(struct read *read, const struct set *set)
{
	struct template *template = template_store_find(
		read->templates, read->domain, set->id, 0, 0);
	const uint8_t *p = set->content;
	uint32_t left = set->length;
	const struct shape *shape;

	if (!template) {
		read_complain(read, read->offset,
			      "data of template %u of domain %" PRIu32
			      ", which is not known: %" PRIu32
			      " octets are left out",
			      set->id, read->domain, left);
		return;
	}
	shape = template->shape;
	while (left >= shape->min_length && !read_done(read)) {
		int length = next_records(read, shape, p, left);

		if (length <= 0) {
			read_complain(read, read->offset,
				      "data of template %u of domain %" PRIu32
				      ": a record reaches behind its set, %"
				      PRIu32 " octets are left out",
				      set->id, read->domain, left);
			return;
		}
		p += length;
		left -= (uint32_t)length;
	}
}

void
read_message(struct read *read, const uint8_t *message, size_t length)
{
	struct message_reader reader;
	struct set set;

	if (message_open(&reader, message, length) != 0) {
		read_complain(read, read->offset, "message: %s",
			      reader.reason);
		return;
	}
	read->domain = reader.header.domain;
	read->export_time = reader.header.export_time;
	if (read->top)
		top_message(read->top, read->file, read->domain,
			    read->export_time);
	while (!read_done(read) && message_next_set(&reader, &set)) {
		if (set.id == SET_TEMPLATE || set.id == SET_OPTIONS_TEMPLATE)
			template_store_read(read->templates, read->domain,
					    set.id, set.content, set.length, 0,
					    0, template_seen, read);
		else if (set.id >= SET_DATA_MIN)
			data_set(read, &set);
		else
			read_complain(read, read->offset,
				      "set with the reserved id %u is left "
				      "out",
				      set.id);
		if (read->relearn)
			template_store_relearn(read->templates);
		read->relearn = false;
	}
	if (reader.reason)
		read_complain(read, read->offset,
			      "message: %s; the rest of it is left out",
			      reader.reason);
}
