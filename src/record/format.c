/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole records for people. A record is walked from its start, since offsets
 * behind a variable-length field are not in the shape. Values are written by
 * format_value.c, structured data by format_list.c.
 */
#include <errno.h>
#include <string.h>

#include "format_value.h"

int
format_parse(const char *name)
{
	if (strcmp(name, "text") == 0)
		return FORMAT_TEXT;
	if (strcmp(name, "json") == 0)
		return FORMAT_JSON;
	if (strcmp(name, "csv") == 0)
		return FORMAT_CSV;
	return -EINVAL;
}

/*
 * The name as a string is printed. Names of IANA are plain; those that users
 * and peers gave may be anything.
 */
static void
add_name(struct formatter *f, const struct ie *ie)
{
	size_t length = strlen(ie->name);

	if (ie->pen && ie->pen != IE_PEN_REVERSE && !ie->unknown) {
		format_string(f, (const uint8_t *)ie->name, length);
		return;
	}
	if (f->json)
		text_add_char(f->out, '"');
	text_add_bytes(f->out, ie->name, length);
	if (f->json)
		text_add_char(f->out, '"');
}

/*
 * Might an element be in the shape twice? Told by a small set of hashes, so
 * that the usual shape is written without comparing each field with all.
 */
static bool
may_repeat(const struct shape *shape)
{
	uint64_t seen[16] = {0};

	for (unsigned i = 0; i < shape->count; i++) {
		const struct ie *ie = shape->field[i].ie;
		unsigned hash = (ie->id ^ ie->pen * 37u) & 1023;
		uint64_t bit = UINT64_C(1) << (hash & 63);

		if (seen[hash >> 6] & bit)
			return true;
		seen[hash >> 6] |= bit;
	}
	return false;
}

static bool
appears_in(const struct shape *shape, unsigned from, unsigned to,
	   const struct ie *ie)
{
	for (unsigned i = from; i < to; i++)
		if (shape->field[i].ie == ie)
			return true;
	return false;
}

/* Further values of field i's element, behind the one written; r is a copy. */
static void
add_others(struct formatter *f, const struct shape *shape, unsigned i,
	   struct reader r)
{
	for (unsigned k = i + 1; k < shape->count; k++) {
		uint32_t length;
		const uint8_t *value =
			format_take(&r, &shape->field[k], &length);

		if (!value)
			return;
		if (shape->field[k].ie != shape->field[i].ie)
			continue;
		text_add_char(f->out, ',');
		format_value(f, shape->field[k].ie, value, length);
	}
}

void
format_object(struct formatter *f, const struct shape *shape,
	      const uint8_t *record, uint32_t length)
{
	bool repeats = may_repeat(shape), comma = false;
	struct reader r;

	reader_init(&r, record, length);
	text_add_char(f->out, '{');
	for (unsigned i = 0; i < shape->count; i++) {
		const struct ie *ie = shape->field[i].ie;
		uint32_t value_length;
		const uint8_t *value =
			format_take(&r, &shape->field[i], &value_length);
		bool list;

		if (!value)
			break;
		if (repeats && appears_in(shape, 0, i, ie))
			continue;
		list = repeats && appears_in(shape, i + 1, shape->count, ie);
		if (comma)
			text_add_char(f->out, ',');
		comma = true;
		add_name(f, ie);
		text_add_char(f->out, ':');
		if (list)
			text_add_char(f->out, '[');
		format_value(f, ie, value, value_length);
		if (list) {
			add_others(f, shape, i, r);
			text_add_char(f->out, ']');
		}
	}
	text_add_char(f->out, '}');
}

/*
 * Puts quotes around what was added behind start if one of these characters is
 * in it; a quote in it is written twice.
 */
static void
quote_from(struct text *out, size_t start, const char *special)
{
	size_t length = out->length - start, quotes = 2, to;

	if (out->failed || length == 0 ||
	    strcspn(out->data + start, special) >= length)
		return;
	for (size_t i = start; i < start + length; i++)
		quotes += out->data[i] == '"';
	for (size_t i = 0; i < quotes; i++)
		text_add_char(out, '"');
	if (out->failed)
		return;
	/* From behind, so that nothing is overwritten before it is moved. */
	to = out->length - 1;
	for (size_t i = start + length; i-- > start;) {
		out->data[--to] = out->data[i];
		if (out->data[i] == '"')
			out->data[--to] = '"';
	}
	out->data[start] = '"';
}

static void
record_text(struct formatter *f, const struct shape *shape,
	    const uint8_t *record, uint32_t length)
{
	struct reader r;

	reader_init(&r, record, length);
	for (unsigned i = 0; i < shape->count; i++) {
		const struct ie *ie = shape->field[i].ie;
		uint32_t value_length;
		const uint8_t *value =
			format_take(&r, &shape->field[i], &value_length);
		size_t start;

		if (!value)
			break;
		if (i)
			text_add_char(f->out, ' ');
		add_name(f, ie);
		text_add_char(f->out, '=');
		start = f->out->length;
		format_value(f, ie, value, value_length);
		if (ie->type == IE_STRING)
			quote_from(f->out, start, " \"");
	}
}

static void
record_csv(struct formatter *f, const struct shape *shape,
	   const uint8_t *record, uint32_t length)
{
	struct reader r;

	reader_init(&r, record, length);
	for (unsigned i = 0; i < shape->count; i++) {
		uint32_t value_length;
		const uint8_t *value =
			format_take(&r, &shape->field[i], &value_length);
		size_t start;

		if (!value)
			break;
		if (i)
			text_add_char(f->out, ',');
		start = f->out->length;
		format_value(f, shape->field[i].ie, value, value_length);
		quote_from(f->out, start, ",\"");
	}
}

void
format_record(struct text *out, enum format format,
	      const struct format_context *context, const struct shape *shape,
	      const uint8_t *record, uint32_t length)
{
	struct formatter f = {
		.out = out,
		.context = context,
		.json = format == FORMAT_JSON,
		.budget = FORMAT_BUDGET,
	};

	if (format == FORMAT_JSON)
		format_object(&f, shape, record, length);
	else if (format == FORMAT_CSV)
		record_csv(&f, shape, record, length);
	else
		record_text(&f, shape, record, length);
}

void
format_record_json(struct text *out, const struct shape *shape,
		   const uint8_t *record, uint32_t length)
{
	format_record(out, FORMAT_JSON, NULL, shape, record, length);
}

void
format_record_text(struct text *out, const struct shape *shape,
		   const uint8_t *record, uint32_t length)
{
	format_record(out, FORMAT_TEXT, NULL, shape, record, length);
}

void
format_record_csv(struct text *out, const struct shape *shape,
		  const uint8_t *record, uint32_t length)
{
	format_record(out, FORMAT_CSV, NULL, shape, record, length);
}

void
format_header_csv(struct text *out, const struct shape *shape)
{
	struct formatter f = {.out = out};

	for (unsigned i = 0; i < shape->count; i++) {
		size_t start;

		if (i)
			text_add_char(out, ',');
		start = out->length;
		add_name(&f, shape->field[i].ie);
		quote_from(out, start, ",\"");
	}
}
