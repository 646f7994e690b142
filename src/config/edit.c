/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator changes while the daemon runs: the tree of the document
 * never changes, as any thread may read it, so a copy of one list entry gets
 * the new values, by the rules that loading has for them. Only leaves whose
 * rows are live may change. A leaf is told by its name, and below a list by
 * LIST/ENTRY/NAME; containers on the way are not named.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/nearest.h"
#include "conflux/text.h"
#include "tree.h"

static char *
copy_text(const char *text, int *ret)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		*ret = -ENOMEM;
	return copy;
}

static int
copy_children(struct conf_node *to, const struct conf_node *from)
{
	int ret = 0;

	/* No deeper than the table. */
	for (const struct conf_node *n = from->first; n && ret == 0;
	     n = n->next) {
		struct conf_node *copy = conf_node_new(to, n->row, n->line);

		if (!copy)
			return -ENOMEM;
		copy->defaulted = n->defaulted;
		copy->number = n->number;
		copy->addr = n->addr;
		copy->target = n->target;
		copy->text = copy_text(n->text, &ret);
		copy->path = copy_text(n->path, &ret);
		if (ret == 0)
			ret = copy_children(copy, n);
	}
	return ret;
}

void
conf_edit_free(struct conf_node *copy)
{
	conf_node_free(copy);
}

/* ---- finding ----------------------------------------------------------------
 */

/* What is left of the path behind "LIST/ENTRY/", or NULL. */
static const char *
behind(const struct conf_node *entry, const char *path)
{
	size_t list = strlen(entry->name), name = strlen(conf_name(entry));

	if (strncmp(path, entry->name, list) != 0 || path[list] != '/' ||
	    strncmp(path + list + 1, conf_name(entry), name) != 0 ||
	    path[list + 1 + name] != '/')
		return NULL;
	return path + list + 1 + name + 1;
}

/* The row of the leaf, and in *holder the element it belongs in. */
static const struct conf_row *
find_leaf(struct conf_node *node, const char *path, struct conf_node **holder)
{
	const struct conf_row *row = conf_row_find(node->row->rows, path, -1);

	*holder = node;
	if (row && row->kind == CONF_LEAF && conf_row_usable(row))
		return row;
	for (struct conf_node *n = node->first; n; n = n->next) {
		const char *rest = path;

		if (!conf_row_holds(n->row))
			continue;
		if (n->row->kind == CONF_LIST)
			rest = behind(n, path);
		row = rest ? find_leaf(n, rest, holder) : NULL;
		if (row)
			return row;
	}
	return NULL;
}

/* ---- the leaves that may change ----------------------------------------- */

struct visit {
	void (*leaf)(struct visit *v, const char *path,
		     const struct conf_node *holder,
		     const struct conf_row *row);
	struct text *out;
	const char *wrong; /* a name that is none, and the nearest so far */
	unsigned distance;
	char near[256];
};

static void
visit_leaves(struct visit *v, const struct conf_node *node, const char *prefix)
{
	char path[256];
	const struct conf_row *row;
	unsigned at = 0;

	while ((row = conf_row_next(node->row->rows, &at))) {
		if (!row->live)
			continue;
		snprintf(path, sizeof(path), "%s%s", prefix, row->name);
		v->leaf(v, path, node, row);
	}
	for (const struct conf_node *n = node->first; n; n = n->next) {
		if (!conf_row_holds(n->row))
			continue;
		snprintf(path, sizeof(path), "%s", prefix);
		if (n->row->kind == CONF_LIST)
			snprintf(path, sizeof(path), "%s%s/%s/", prefix,
				 n->name, conf_name(n));
		visit_leaves(v, n, path);
	}
}

static void
add_name(struct visit *v, const char *path, const struct conf_node *holder,
	 const struct conf_row *row)
{
	text_printf(v->out, "%s%s", v->out->length ? ", " : "", path);
	if (nearest_closer(v->wrong, path, &v->distance))
		snprintf(v->near, sizeof(v->near), "%s", path);
}

static void
add_value(struct visit *v, const char *path, const struct conf_node *holder,
	  const struct conf_row *row)
{
	const struct conf_node *leaf = conf_node_child(holder, row);

	if (leaf && leaf->text)
		text_printf(v->out, "%s%s=%s", v->out->length ? " " : "", path,
			    leaf->text);
}

void
conf_edit_print(const struct conf_node *entry, struct text *out)
{
	struct text values = {0};
	struct visit v = {.leaf = add_value, .out = &values};

	visit_leaves(&v, entry, "");
	if (values.length)
		text_add(out, values.data);
	out->failed |= values.failed;
	text_fini(&values);
}

/* ---- changes ------------------------------------------------------------ */

static int
refuse(const struct conf_node *entry, const char *path, const char *why,
       struct conf_errors *errors)
{
	struct text names = {0};
	struct visit v = {.leaf = add_name,
			  .out = &names,
			  .wrong = path,
			  .distance = nearest_start(path)};
	char quote[CONF_QUOTE_SIZE];

	visit_leaves(&v, entry, "");
	if (names.failed) {
		text_fini(&names);
		return -ENOMEM;
	}
	conf_quote(path, quote);
	if (!names.length)
		conf_error(errors, 0, NULL,
			   "%s %s, and nothing of this %s can be changed",
			   quote, why, entry->name);
	else if (v.near[0])
		conf_error(errors, 0, NULL,
			   "%s %s, expected one of %s, nearest is %s", quote,
			   why, names.data, v.near);
	else
		conf_error(errors, 0, NULL, "%s %s, expected one of %s", quote,
			   why, names.data);
	text_fini(&names);
	return 0;
}

static int
set_leaf(struct conf_node *holder, const struct conf_row *row,
	 const char *value, struct conf_errors *errors)
{
	struct conf_node *leaf = conf_node_child(holder, row);

	if (!leaf)
		leaf = conf_node_new(holder, row, holder->line);
	if (!leaf)
		return -ENOMEM;
	free(leaf->text);
	leaf->text = NULL;
	leaf->defaulted = false;
	return conf_value_set(leaf, value, NULL, errors);
}

static int
apply(struct conf_node *copy, const char *change, struct conf_errors *errors)
{
	const char *value = strchr(change, '=');
	char quote[CONF_QUOTE_SIZE];
	const struct conf_row *row;
	struct conf_node *holder;
	char *path;
	int ret = 0;

	if (!value) {
		conf_error(errors, 0, NULL,
			   "%s is no change, expected NAME=VALUE",
			   conf_quote(change, quote));
		return 0;
	}
	path = strndup(change, (size_t)(value - change));
	if (!path)
		return -ENOMEM;
	row = find_leaf(copy, path, &holder);
	if (!row)
		ret = refuse(copy, path, "is no parameter of it", errors);
	else if (!row->live)
		ret = refuse(copy, path, "cannot change while it runs", errors);
	else
		ret = set_leaf(holder, row, value + 1, errors);
	free(path);
	return ret;
}

int
conf_edit(const struct conf_node *entry, const char *const *change,
	  unsigned count, struct conf_node **out, struct conf_errors *errors)
{
	struct conf_node *copy = conf_node_new(NULL, entry->row, entry->line);
	int ret = copy ? copy_children(copy, entry) : -ENOMEM;

	if (copy)
		copy->parent = entry->parent;
	for (unsigned i = 0; i < count && ret == 0; i++)
		ret = apply(copy, change[i], errors);
	if (ret == 0 && errors->errors)
		ret = -EINVAL;
	if (ret < 0) {
		conf_edit_free(copy);
		return ret;
	}
	*out = copy;
	return 0;
}
