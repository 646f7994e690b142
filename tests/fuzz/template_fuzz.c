/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A life of a template store: sets read for some domains, time that passes,
 * elements that are learnt. After each step the store must be true to itself:
 * all of its Templates can be found, and read the same when they are written.
 *
 * The input is a list of steps: an octet that says what, then what it needs.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "conflux/message.h"
#include "conflux/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_TEMPLATES = 30 };

enum step {
	STEP_TEMPLATES, /* domain, length of 2 octets, content */
	STEP_OPTIONS,
	STEP_TIME,  /* 2 octets: milliseconds */
	STEP_LEARN, /* pen, id of 2 octets, type */
	STEPS,
};

struct life {
	struct ie_registry *registry;
	struct template_store *store;
	uint64_t now_ms;
	uint64_t messages;
	unsigned events;
};

static void
on_event(void *arg, const struct template_event *event)
{
	struct life *life = arg;

	life->events++;
	assert((event->outcome == TEMPLATE_MALFORMED ||
		event->outcome == TEMPLATE_REFUSED) == (event->reason != NULL));
	if (event->template) {
		assert(event->template->id == event->id && event->id >= 256);
		/* One that is withdrawn is told with what it was. */
		assert(event->outcome == TEMPLATE_WITHDRAWN
			       ? event->template->defined_ms <= life->now_ms
			       : event->template->defined_ms == life->now_ms);
	}
}

static void
on_refresh(void *arg, const struct template_event *event)
{
	assert(event->outcome == TEMPLATE_REFRESHED);
	assert(event->template == arg);
}

/* Writes a Template and reads it back. */
static void
check_written(struct life *life, struct template *t)
{
	static uint8_t buffer[MESSAGE_MAX];
	uint64_t defined_ms = t->defined_ms;
	uint64_t defined_messages = t->defined_messages;
	struct message_reader reader;
	struct message_writer w;
	struct set set;

	message_begin(&w, buffer, sizeof(buffer), t->domain);
	assert(message_add_template(&w, t->id, t->shape) == 0);
	assert(message_open(&reader, buffer, message_end(&w, 0)) == 0);
	assert(message_next_set(&reader, &set) && set.id == t->set_id);
	template_store_read(life->store, t->domain, set.id, set.content,
			    set.length, life->now_ms, life->messages,
			    on_refresh, t);
	t->defined_ms = defined_ms;
	t->defined_messages = defined_messages;
}

static void
check(struct life *life)
{
	struct template *all[MAX_TEMPLATES], *t;
	uint32_t at = 0, count = 0;

	assert(template_store_count(life->store) <= MAX_TEMPLATES);
	while ((t = template_store_next(life->store, &at)))
		all[count++] = t;
	assert(count == template_store_count(life->store));
	for (uint32_t i = 0; i < count; i++) {
		struct template *found = template_store_find(
			life->store, all[i]->domain, all[i]->id, life->now_ms,
			life->messages);

		assert(!found || found == all[i]);
		assert(all[i]->shape->min_length > 0);
		assert((all[i]->set_id == SET_OPTIONS_TEMPLATE) ==
		       (all[i]->shape->scope_count > 0));
		check_written(life, all[i]);
	}
}

static void
learn(struct life *life, struct reader *r)
{
	char name[32];
	struct ie ie = {
		.pen = reader_u8(r),
		.id = reader_u16(r),
		.type = reader_u8(r),
		.reversible = true,
		.name = name,
	};

	snprintf(name, sizeof(name), "n%uof%u", ie.id, ie.pen);
	ie_add(life->registry, &ie);
	template_store_relearn(life->store);
}

static void
step(struct life *life, struct reader *r)
{
	enum step what = reader_u8(r) % STEPS;
	const uint8_t *content;
	uint32_t domain;
	size_t length;

	life->messages++;
	switch (what) {
	case STEP_TIME:
		life->now_ms += reader_u16(r);
		template_store_tick(life->store, life->now_ms, life->messages);
		break;
	case STEP_LEARN:
		learn(life, r);
		break;
	default:
		domain = reader_u8(r);
		length = reader_u16(r) % 1024;
		if (length > reader_left(r))
			length = reader_left(r);
		content = reader_take(r, length);
		if (content)
			template_store_read(life->store, domain,
					    what == STEP_OPTIONS
						    ? SET_OPTIONS_TEMPLATE
						    : SET_TEMPLATE,
					    content, length, life->now_ms,
					    life->messages, on_event, life);
	}
	check(life);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct template_limits limits = {
		.max_templates = MAX_TEMPLATES,
		.max_fields = 60,
		.lifetime = size % 2,
		.template_ms = 3000,
		.options_ms = 1000,
		.options_messages = 5,
	};
	struct shape_table *shapes = shape_table_new(MAX_TEMPLATES + 1);
	struct life life = {.registry = ie_registry_new(5000)};
	struct reader r;

	life.store = template_store_new(&limits, life.registry, shapes);
	reader_init(&r, data, size);
	while (reader_left(&r) && !r.failed)
		step(&life, &r);
	template_store_free(life.store);
	shape_table_free(shapes);
	ie_registry_free(life.registry);
	return 0;
}
