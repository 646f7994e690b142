/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The tree writer of text.h: one walk, shown as indented text or as JSON. */
#include <assert.h>
#include <string.h>

#include "conflux/text.h"

enum { COLUMNS = 80 };

static void
line_start(struct report *r, const char *name)
{
	if (r->json) {
		if (r->level[r->depth].comma)
			text_add_char(r->out, ',');
		r->level[r->depth].comma = true;
		if (name) {
			text_add_json(r->out, name, strlen(name));
			text_add_char(r->out, ':');
		}
		return;
	}
	for (unsigned i = 2; i <= r->depth; i++)
		text_add(r->out, r->level[i].list ? "" : "  ");
	text_add(r->out, name ? name : r->level[r->depth].name);
}

static void
push(struct report *r, const char *name, bool list)
{
	assert(r->depth + 1 < REPORT_DEPTH);
	r->level[r->depth].nested = true;
	r->depth++;
	r->level[r->depth].nested = false;
	r->level[r->depth].start = r->out->length;
	r->level[r->depth].name = name;
	r->level[r->depth].list = list;
	r->level[r->depth].comma = false;
}

void
report_begin(struct report *r, struct text *out, bool json)
{
	*r = (struct report){.out = out, .json = json};
	if (json)
		text_add_char(out, '{');
	push(r, NULL, false);
}

void
report_end(struct report *r)
{
	if (r->left_out)
		report_bool(r, "cx:leftOut", true);
	if (r->json)
		text_add(r->out, "}\n");
	r->depth--;
	assert(r->depth == 0);
}

bool
report_room(struct report *r)
{
	if (r->out->length < REPORT_OCTETS)
		return true;
	r->left_out = true;
	return false;
}

/*
 * The values behind start, a line each, are put behind the name of their node
 * on one line, if there is room.
 */
static void
join(struct text *out, size_t start)
{
	size_t from = start, to = start - 1, end, column = 0;

	if (out->failed)
		return;
	while (column < to && out->data[to - column - 1] != '\n')
		column++;
	while (from < out->length) {
		from += strspn(out->data + from, " ");
		end = from + strcspn(out->data + from, "\n");
		column += 1 + end - from;
		from = end + 1;
	}
	if (column >= COLUMNS)
		return;
	for (from = start; from < out->length; from = end + 1) {
		from += strspn(out->data + from, " ");
		end = from + strcspn(out->data + from, "\n");
		out->data[to++] = ' ';
		memmove(out->data + to, out->data + from, end - from);
		to += end - from;
	}
	out->data[to++] = '\n';
	out->data[to] = 0;
	out->length = to;
}

void
report_open(struct report *r, const char *name)
{
	line_start(r, name);
	text_add(r->out, r->json ? "{" : "\n");
	push(r, name, false);
}

void
report_close(struct report *r)
{
	if (r->json)
		text_add_char(r->out, '}');
	else if (!r->level[r->depth].nested)
		join(r->out, r->level[r->depth].start);
	r->depth--;
}

void
report_list(struct report *r, const char *name)
{
	if (r->json) {
		line_start(r, name);
		text_add_char(r->out, '[');
	}
	push(r, name, true);
}

void
report_item(struct report *r)
{
	line_start(r, NULL);
	text_add(r->out, r->json ? "{" : "\n");
	push(r, NULL, false);
}

void
report_end_list(struct report *r)
{
	if (r->json)
		text_add_char(r->out, ']');
	r->depth--;
}

void
report_uint(struct report *r, const char *name, uint64_t value)
{
	line_start(r, name);
	if (!r->json)
		text_add_char(r->out, ' ');
	text_add_uint(r->out, value);
	if (!r->json)
		text_add_char(r->out, '\n');
}

void
report_text(struct report *r, const char *name, const char *value)
{
	line_start(r, name);
	if (r->json) {
		text_add_json(r->out, value, strlen(value));
		return;
	}
	text_add_char(r->out, ' ');
	text_add(r->out, value);
	text_add_char(r->out, '\n');
}

void
report_bool(struct report *r, const char *name, bool value)
{
	line_start(r, name);
	if (!r->json)
		text_add_char(r->out, ' ');
	text_add(r->out, value ? "true" : "false");
	if (!r->json)
		text_add_char(r->out, '\n');
}
