/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured data (RFC 6313 section 4.5) as JSON:
 *
 *	basicList		{"semantic":"allOf","element":"interfaceName",
 *				 "values":["eth0","eth1"]}
 *	subTemplateList		{"semantic":"allOf","template":256,
 *				 "records":[{...},{...}]}
 *	subTemplateMultiList	{"semantic":"allOf","parts":[
 *				 {"template":256,"records":[{...}]},...]}
 *
 * Records of a Template that is not known are one string of octets. A list
 * that does not add up is taken back and printed as octets by the caller, so
 * what is shown as a list was one. Lists can be nested: depth and the number
 * of values are bounded, because a few octets can stand for a lot of text.
 */
#include <stdio.h>
#include <string.h>

#include "format_value.h"

static void
add_semantic(struct text *out, uint8_t semantic)
{
	/* RFC 6313 section 11.2 (the IANA registry of list semantics). */
	static const char *const name[] = {
		"noneOf", "exactlyOneOf", "oneOrMoreOf", "allOf", "ordered",
	};

	text_add(out, "{\"semantic\":");
	if (semantic < sizeof(name) / sizeof(name[0]))
		text_add_json(out, name[semantic], strlen(name[semantic]));
	else if (semantic == 255)
		text_add(out, "\"undefined\"");
	else
		text_add_uint(out, semantic);
}

/* Counts a value of a list; false if there were too many. */
static bool
spend(struct formatter *f)
{
	if (f->budget == 0)
		return false;
	f->budget--;
	return true;
}

static bool
basic_list(struct formatter *f, struct reader *r)
{
	struct ie unknown = {.type = IE_OCTET_ARRAY, .unknown = true};
	const struct ie *ie = NULL;
	struct field field = {0};
	char name[32];
	uint32_t pen = 0;
	uint16_t id;

	add_semantic(f->out, reader_u8(r));
	id = reader_u16(r);
	field.length = reader_u16(r);
	if (id & 0x8000)
		pen = reader_u32(r);
	id &= 0x7fff;
	/* Elements of no octets could be any number. */
	if (r->failed || field.length == 0)
		return false;
	if (f->context && f->context->registry)
		ie = ie_find(f->context->registry, pen, id);
	if (!ie) {
		snprintf(name, sizeof(name), "e%uid%u", pen, id);
		unknown.name = name;
		ie = &unknown;
	}
	text_add(f->out, ",\"element\":");
	text_add_json(f->out, ie->name, strlen(ie->name));
	text_add(f->out, ",\"values\":[");
	for (bool first = true; reader_left(r); first = false) {
		uint32_t length;
		const uint8_t *value = format_take(r, &field, &length);

		if (!value || !spend(f))
			return false;
		if (!first)
			text_add_char(f->out, ',');
		format_value(f, ie, value, length);
	}
	text_add(f->out, "]}");
	return true;
}

/* ,"template":256,"records":[...]} of what the reader has left. */
static bool
nested_records(struct formatter *f, uint16_t id, struct reader *r)
{
	const struct shape *shape = NULL;

	text_add(f->out, "\"template\":");
	text_add_uint(f->out, id);
	if (f->context && f->context->shape_of)
		shape = f->context->shape_of(f->context->arg, id);
	if (!shape) {
		text_add(f->out, ",\"octets\":");
		format_octets(f, r->p, (uint32_t)reader_left(r));
		text_add_char(f->out, '}');
		return true;
	}
	text_add(f->out, ",\"records\":[");
	for (bool first = true; reader_left(r); first = false) {
		int length = shape_record_length(shape, r->p,
						 (uint32_t)reader_left(r));

		if (length <= 0)
			return false;
		if (!first)
			text_add_char(f->out, ',');
		for (unsigned i = 0; i < shape->count; i++)
			if (!spend(f))
				return false;
		format_object(f, shape, r->p, (uint32_t)length);
		reader_take(r, (size_t)length);
	}
	text_add(f->out, "]}");
	return true;
}

static bool
sub_template_list(struct formatter *f, struct reader *r)
{
	uint16_t id;

	add_semantic(f->out, reader_u8(r));
	id = reader_u16(r);
	if (r->failed)
		return false;
	text_add_char(f->out, ',');
	return nested_records(f, id, r);
}

static bool
sub_template_multi_list(struct formatter *f, struct reader *r)
{
	add_semantic(f->out, reader_u8(r));
	text_add(f->out, ",\"parts\":[");
	for (bool first = true; reader_left(r); first = false) {
		uint16_t id = reader_u16(r);
		uint16_t length = reader_u16(r); /* with these four octets */
		const uint8_t *content;
		struct reader part;

		if (length < 4)
			return false;
		content = reader_take(r, length - 4u);
		if (!content || !spend(f))
			return false;
		if (!first)
			text_add_char(f->out, ',');
		text_add_char(f->out, '{');
		reader_init(&part, content, length - 4u);
		if (!nested_records(f, id, &part))
			return false;
	}
	text_add(f->out, "]}");
	return !r->failed;
}

bool
format_list(struct formatter *f, uint8_t type, const uint8_t *value,
	    uint32_t length)
{
	size_t start = f->out->length;
	bool json = f->json, ok;
	struct reader r;

	if (f->depth == FORMAT_DEPTH)
		return false;
	reader_init(&r, value, length);
	f->json = true;
	f->depth++;
	if (type == IE_BASIC_LIST)
		ok = basic_list(f, &r);
	else if (type == IE_SUB_TEMPLATE_LIST)
		ok = sub_template_list(f, &r);
	else
		ok = sub_template_multi_list(f, &r);
	f->depth--;
	f->json = json;
	if (!ok && f->out->length > start) {
		f->out->length = start;
		f->out->data[start] = 0;
	}
	return ok;
}
