/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be said of one element once its end has been read: children given
 * twice, excluding each other, or missing; and the defaults of those missing.
 */
#include <errno.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/table.h"
#include "tree.h"

struct finish {
	struct conf_node *node;
	uint64_t meant;
	const char *folder;
	struct conf_errors *errors;
	unsigned count;
	const struct conf_row *row[CONF_ROWS_MAX];
	const struct conf_node *first[CONF_ROWS_MAX];
	int ret;
};

static unsigned
index_of(const struct finish *f, const struct conf_row *row)
{
	unsigned i = 0;

	while (i < f->count && f->row[i] != row)
		i++;
	return i;
}

static bool
given(const struct finish *f, unsigned i)
{
	return f->first[i] || (f->meant >> i & 1);
}

/* What entries of a list or leaf-list must not share; NULL: unknown. */
static const char *
key_of(const struct conf_node *node)
{
	if (node->row->kind == CONF_LIST)
		return conf_name(node);
	return node->row->kind == CONF_LEAF_LIST ? node->text : NULL;
}

static bool
same_key(const void *item, const void *key)
{
	const struct conf_node *a = item, *b = key;

	return a->row == b->row && strcmp(key_of(a), key_of(b)) == 0;
}

static void
check_key(struct finish *f, struct table *keys, struct conf_node *node)
{
	const char *key = key_of(node);
	char quote[CONF_QUOTE_SIZE], shown[CONF_SHOWN_SIZE];
	const struct conf_node *other;
	uint32_t hash;

	if (!key)
		return;
	hash = (uint32_t)hash_bytes(key, strlen(key), 0);
	other = table_find(keys, hash, same_key, node);
	if (!other) {
		if (table_add(keys, hash, node))
			f->ret = -ENOMEM;
		return;
	}
	if (node->row->secret)
		return;
	conf_error(f->errors, node->line, conf_row_shown(node->row, shown),
		   "%s is there already in line %u, expected another %s",
		   conf_quote(key, quote), other->line,
		   node->row->kind == CONF_LIST ? "name" : "value");
}

static void
check_children(struct finish *f)
{
	struct table keys = {0};
	char shown[CONF_SHOWN_SIZE];
	struct conf_node *child;

	for (child = f->node->first; child; child = child->next) {
		unsigned i = index_of(f, child->row);

		if (!f->first[i])
			f->first[i] = child;
		else if (child->row->kind != CONF_LIST &&
			 child->row->kind != CONF_LEAF_LIST)
			conf_error(
			    f->errors, child->line,
			    conf_row_shown(child->row, shown),
			    "given twice, expected once, the first is in "
			    "line %u",
			    f->first[i]->line);
		check_key(f, &keys, child);
	}
	table_fini(&keys);
}

static void
choice_names(const struct conf_row *rows, char *out, size_t size)
{
	char shown[CONF_SHOWN_SIZE];
	const struct conf_row *row;
	unsigned at = 0;
	size_t n = 0;

	out[0] = 0;
	while ((row = conf_row_next(rows, &at)))
		if (conf_row_usable(row) && n + CONF_SHOWN_SIZE + 2 < size)
			n += (size_t)snprintf(out + n, size - n, "%s%s",
					      n ? ", " : "",
					      conf_row_shown(row, shown));
}

static void
check_choice(struct finish *f, const struct conf_row *choice)
{
	char names[CONF_EXPECT_SIZE], shown[2][CONF_SHOWN_SIZE];
	const struct conf_node *one = NULL, *other;
	const struct conf_row *row;
	bool any = false;
	unsigned at = 0;

	choice_names(choice->rows, names, sizeof(names));
	while ((row = conf_row_next(choice->rows, &at))) {
		any |= given(f, index_of(f, row));
		other = f->first[index_of(f, row)];
		if (one && other && one->line > other->line) {
			const struct conf_node *swap = one;

			one = other;
			other = swap;
		}
		if (one && other)
			conf_error(f->errors, other->line,
				   conf_row_shown(other->row, shown[0]),
				   "excludes %s in line %u, expected only one "
				   "of %s",
				   conf_row_shown(one->row, shown[1]),
				   one->line, names);
		if (!one)
			one = other;
	}
	if (!any && choice->mandatory && names[0])
		conf_error(f->errors, f->node->line,
			   conf_row_shown(f->node->row, shown[0]),
			   "nothing says which kind, expected one of %s",
			   names);
}

static const char *
default_of(const struct finish *f, const struct conf_row *row)
{
	return row->def_secured && conf_has(f->node, "transportLayerSecurity")
		       ? row->def_secured
		       : row->def;
}

static void
add_default(struct finish *f, const struct conf_row *row)
{
	struct conf_node *node = conf_node_new(f->node, row, f->node->line);

	if (!node) {
		f->ret = -ENOMEM;
		return;
	}
	node->defaulted = true;
	if (row->kind == CONF_CONTAINER)
		f->ret = conf_finish(node, 0, f->folder, f->errors);
	else
		f->ret = conf_value_set(node, default_of(f, row), f->folder,
					f->errors);
}

static void
finish_missing(struct finish *f, const struct conf_row *row)
{
	char expect[CONF_EXPECT_SIZE], shown[2][CONF_SHOWN_SIZE];

	if (row->mandatory && conf_row_holds(row))
		conf_error(f->errors, f->node->line,
			   conf_row_shown(f->node->row, shown[0]),
			   "no %s, expected at least one",
			   conf_row_shown(row, shown[1]));
	else if (row->mandatory)
		conf_error(f->errors, f->node->line,
			   conf_row_shown(f->node->row, shown[0]),
			   "no %s, expected %s", conf_row_shown(row, shown[1]),
			   conf_expect(row, expect));
	else if (row->def || row->kind == CONF_CONTAINER)
		add_default(f, row);
}

/* Cases of a choice are neither missed nor made by default. */
static void
finish_rows(struct finish *f, const struct conf_row *rows)
{
	for (; rows->kind != CONF_END && f->ret == 0; rows++) {
		if (rows->kind == CONF_GROUP)
			finish_rows(f, rows->rows);
		else if (rows->kind == CONF_CHOICE)
			check_choice(f, rows);
		else if (conf_row_usable(rows) && !given(f, index_of(f, rows)))
			finish_missing(f, rows);
	}
}

int
conf_finish(struct conf_node *node, uint64_t meant, const char *folder,
	    struct conf_errors *errors)
{
	struct finish f = {
	    .node = node,
	    .meant = meant,
	    .folder = folder,
	    .errors = errors,
	};
	const struct conf_row *row;
	unsigned at = 0;

	while (f.count < CONF_ROWS_MAX &&
	       (row = conf_row_next(node->row->rows, &at)))
		f.row[f.count++] = row;
	check_children(&f);
	if (f.ret == 0)
		finish_rows(&f, node->row->rows);
	return f.ret;
}
