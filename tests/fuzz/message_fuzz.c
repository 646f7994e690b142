/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of IPFIX Messages as a collector reads it: frames, sets, Templates,
 * and the records of Data Sets, each octet of which is touched. Every record
 * that is found is written into a message of ours, which has to read the same.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/message.h"
#include "conflux/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct collector {
	struct template_store *store;
	uint64_t messages;
	struct message_writer w;
	uint8_t buffer[2048];
	volatile uint8_t sink;
};

static void
on_event(void *arg, const struct template_event *event)
{
	struct collector *c = arg;

	if (event->template)
		message_add_template(&c->w, event->id, event->template->shape);
	if (event->outcome == TEMPLATE_WITHDRAWN)
		message_add_withdrawal(&c->w, SET_TEMPLATE, event->id);
}

static void
read_records(struct collector *c, const struct template *template,
	     const struct set *set)
{
	const uint8_t *p = set->content;
	uint32_t left = set->length;

	while (left >= template->shape->min_length) {
		int length = shape_record_length(template->shape, p, left);

		if (length < 0)
			break;
		assert(length > 0 && (uint32_t)length <= left);
		assert((uint32_t)length >= template->shape->min_length);
		for (int i = 0; i < length; i++)
			c->sink ^= p[i];
		if (message_room(&c->w, set->id) >= (uint32_t)length)
			memcpy(message_add_data(&c->w, set->id,
						(uint32_t)length, 1),
			       p, (size_t)length);
		p += length;
		left -= (uint32_t)length;
	}
}

static void
read_message(struct collector *c, const uint8_t *p, size_t size)
{
	struct message_reader reader;
	struct template *template;
	struct set set;
	uint32_t written, seen = 0;

	message_begin(&c->w, c->buffer, sizeof(c->buffer), 1);
	if (message_open(&reader, p, size) != 0)
		assert(reader.reason);
	while (message_next_set(&reader, &set)) {
		if (set.id == SET_TEMPLATE || set.id == SET_OPTIONS_TEMPLATE)
			template_store_read(c->store, reader.header.domain,
					    set.id, set.content, set.length,
					    c->messages, c->messages, on_event,
					    c);
		template =
			template_store_find(c->store, reader.header.domain,
					    set.id, c->messages, c->messages);
		if (template)
			read_records(c, template, &set);
	}
	c->messages++;
	written = message_end(&c->w, 1);
	assert(written <= sizeof(c->buffer));
	assert(message_open(&reader, c->buffer, written) == 0);
	while (message_next_set(&reader, &set))
		seen += SET_HEADER + set.length;
	assert(!reader.reason && seen + MESSAGE_HEADER == written);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct template_limits limits = {
		.max_templates = 20,
		.max_fields = 100,
		.lifetime = size % 2,
		.template_ms = 50,
		.options_messages = 20,
	};
	struct ie_registry *registry = ie_registry_new(50);
	struct shape_table *shapes = shape_table_new(20);
	struct collector c = {
		.store = template_store_new(&limits, registry, shapes),
	};

	while (size) {
		int length = message_frame(data, size);

		if (length <= 0 || (size_t)length > size)
			length = (int)size; /* must be refused */
		read_message(&c, data, (size_t)length);
		data += length;
		size -= (size_t)length;
	}
	template_store_free(c.store);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return 0;
}
