/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree as XML again. Elements come in the order of the table, entries of a
 * list in the order of the document.
 *
 * For the part of RFC 6728 our elements are left out, and with them what makes
 * no sense in the model without them: an entry of which a choice is needed
 * that only we have (a destination with cx:jsonWriter), then a list entry that
 * has lost all entries it needs, then references to it.
 */
#include <string.h>

#include "conflux/text.h"
#include "tree.h"

struct print {
	unsigned flags;
	struct text *out;
	unsigned depth;
};

static void
add_escaped(struct text *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			text_add(out, "&amp;");
		else if (*text == '<')
			text_add(out, "&lt;");
		else if (*text == '>')
			text_add(out, "&gt;");
		else if (*text == '\r')
			text_add(out, "&#13;");
		else
			text_add_char(out, *text);
	}
}

static bool rfc_has(const struct conf_node *node);

/* Whether the model is content with what is left in the node. */
static bool
rfc_rows_hold(const struct conf_node *node, const struct conf_row *rows)
{
	const struct conf_node *child;

	for (; rows->kind != CONF_END; rows++) {
		bool found = false;

		if (rows->kind == CONF_GROUP) {
			if (!rfc_rows_hold(node, rows->rows))
				return false;
			continue;
		}
		if (!rows->mandatory || rows->cx || rows->unbuilt)
			continue;
		for (child = node->first; child && !found; child = child->next)
			found = (rows->kind == CONF_CHOICE
				     ? conf_row_find(rows->rows, child->name,
						     0) == child->row
				     : child->row == rows) &&
				rfc_has(child);
		if (!found)
			return false;
	}
	return true;
}

/* References only point from one top level list to another: no recursion. */
static bool
rfc_has(const struct conf_node *node)
{
	if (node->row->cx)
		return false;
	if (node->target)
		return rfc_has(node->target);
	return !conf_row_holds(node->row) ||
	       rfc_rows_hold(node, node->row->rows);
}

static bool
printed(const struct print *p, const struct conf_node *node)
{
	if (node->defaulted && !(p->flags & CONF_PRINT_DEFAULTS) &&
	    !conf_row_holds(node->row))
		return false;
	return !(p->flags & CONF_PRINT_RFC) || rfc_has(node);
}

static void
indent(struct print *p)
{
	for (unsigned i = 0; i < p->depth; i++)
		text_add(p->out, "  ");
}

static void
print_leaf(struct print *p, const struct conf_node *node, const char *shown)
{
	indent(p);
	if (node->row->type == CONF_EMPTY) {
		text_printf(p->out, "<%s/>\n", shown);
		return;
	}
	text_printf(p->out, "<%s>", shown);
	if (node->row->secret && !(p->flags & CONF_PRINT_SECRETS))
		text_add(p->out, "********");
	else
		add_escaped(p->out, node->text ? node->text : "");
	text_printf(p->out, "</%s>\n", shown);
}

static bool print_node(struct print *p, const struct conf_node *node);

/* Returns whether there was anything. */
static bool
print_children(struct print *p, const struct conf_node *node)
{
	const struct conf_node *child;
	const struct conf_row *row;
	bool any = false;
	unsigned at = 0;

	while ((row = conf_row_next(node->row->rows, &at)))
		for (child = node->first; child; child = child->next)
			if (child->row == row)
				any |= print_node(p, child);
	return any;
}

static void
open_tag(struct print *p, const struct conf_node *node, const char *shown,
	 const char *end)
{
	indent(p);
	text_printf(p->out, "<%s", shown);
	if (!node->parent) {
		text_add(p->out, " xmlns=\"" CONF_NS_RFC "\"");
		if (!(p->flags & CONF_PRINT_RFC))
			text_add(p->out, "\n       xmlns:cx=\"" CONF_NS_CX
					 "\"");
	}
	text_printf(p->out, "%s\n", end);
}

static bool
print_node(struct print *p, const struct conf_node *node)
{
	char shown[CONF_SHOWN_SIZE];
	size_t before = p->out->length;
	bool any;

	if (!printed(p, node))
		return false;
	conf_row_shown(node->row, shown);
	if (!conf_row_holds(node->row)) {
		print_leaf(p, node, shown);
		return true;
	}
	open_tag(p, node, shown, ">");
	p->depth++;
	any = print_children(p, node);
	p->depth--;
	if (any) {
		indent(p);
		text_printf(p->out, "</%s>\n", shown);
		return true;
	}
	if (p->out->data) {
		p->out->length = before;
		p->out->data[before] = 0;
	}
	/* A container that defaults made, and they are not asked for. */
	if (node->defaulted)
		return false;
	open_tag(p, node, shown, "/>");
	return true;
}

void
conf_print(const struct conf *conf, unsigned flags, struct text *out)
{
	struct print p = {.flags = flags, .out = out};

	print_node(&p, conf->root);
}
