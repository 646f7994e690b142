/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of messages, each record printed in all formats, as conflux read
 * does: structured data and repeated elements are what can go wrong there.
 */
#include <stdlib.h>

#include "conflux/format.h"
#include "conflux/message.h"
#include "conflux/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct state {
	struct ie_registry *registry;
	struct template_store *templates;
	struct text out;
	uint32_t domain;
};

static const struct shape *
shape_of(void *arg, uint16_t id)
{
	struct state *state = arg;
	struct template *template =
		template_store_find(state->templates, state->domain, id, 0, 0);

	return template ? template->shape : NULL;
}

static void
event(void *arg, const struct template_event *what)
{
}

static void
print(struct state *state, const struct set *set)
{
	struct format_context context = {state->registry, shape_of, state};
	const struct shape *shape = shape_of(state, set->id);
	struct reader r;

	reader_init(&r, set->content, set->length);
	while (shape && reader_left(&r) >= shape->min_length) {
		int n = shape_record_length(shape, r.p,
					    (uint32_t)reader_left(&r));
		const uint8_t *record;

		if (n <= 0)
			return;
		record = reader_take(&r, (size_t)n);
		for (int format = FORMAT_TEXT; format <= FORMAT_CSV; format++) {
			text_reset(&state->out);
			format_record(&state->out, (enum format)format,
				      &context, shape, record, (uint32_t)n);
			if (state->out.length &&
			    state->out.data[state->out.length])
				abort();
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct template_limits limits = {.max_templates = 16,
					 .max_fields = 64};
	struct shape_table *shapes = shape_table_new(64);
	struct state state = {.registry = ie_registry_new(64)};
	struct message_reader message;
	struct set set;
	int length;

	state.templates =
		template_store_new(&limits, state.registry, shapes);
	while ((length = message_frame(data, size)) > 0 &&
	       (size_t)length <= size) {
		if (message_open(&message, data, (size_t)length) == 0)
			state.domain = message.header.domain;
		while (message_next_set(&message, &set)) {
			if (set.id == SET_TEMPLATE ||
			    set.id == SET_OPTIONS_TEMPLATE)
				template_store_read(state.templates,
						    state.domain, set.id,
						    set.content, set.length, 0,
						    0, event, NULL);
			else if (set.id >= SET_DATA_MIN)
				print(&state, &set);
		}
		data += length;
		size -= (size_t)length;
	}
	text_fini(&state.out);
	template_store_free(state.templates);
	shape_table_free(shapes);
	ie_registry_free(state.registry);
	return 0;
}
