/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Nodes of the tree, and how the rest of the program reads it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree.h"

struct conf_node *
conf_node_new(struct conf_node *parent, const struct conf_row *row,
	      unsigned line)
{
	struct conf_node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->row = row;
	node->name = row->name;
	node->line = line;
	node->parent = parent;
	if (parent && parent->last)
		parent->last->next = node;
	else if (parent)
		parent->first = node;
	if (parent)
		parent->last = node;
	return node;
}

static void
wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
}

void
conf_node_free(struct conf_node *node)
{
	struct conf_node *child, *next;

	if (!node)
		return;
	/* No deeper than the table. */
	for (child = node->first; child; child = next) {
		next = child->next;
		conf_node_free(child);
	}
	if (node->row->secret)
		wipe(node->text);
	free(node->text);
	free(node->path);
	free(node);
}

struct conf_node *
conf_node_child(const struct conf_node *node, const struct conf_row *row)
{
	struct conf_node *child = node->first;

	while (child && child->row != row)
		child = child->next;
	return child;
}

void
conf_free(struct conf *conf)
{
	if (!conf)
		return;
	conf_node_free(conf->root);
	free(conf->folder);
	free(conf);
}

const struct conf_node *
conf_root(const struct conf *conf)
{
	return conf->root;
}

const struct conf_node *
conf_child(const struct conf_node *node, const char *name)
{
	const struct conf_node *child = node ? node->first : NULL;

	while (child && strcmp(child->name, name) != 0)
		child = child->next;
	return child;
}

const struct conf_node *
conf_next_same(const struct conf_node *node)
{
	const struct conf_node *next = node->next;

	while (next && next->row != node->row)
		next = next->next;
	return next;
}

unsigned
conf_count(const struct conf_node *node, const char *name)
{
	const struct conf_node *child;
	unsigned count = 0;

	conf_each (child, node, name)
		count++;
	return count;
}

uint64_t
conf_uint(const struct conf_node *node, const char *name, uint64_t fallback)
{
	const struct conf_node *leaf = conf_child(node, name);

	return leaf && leaf->text ? leaf->number : fallback;
}

uint32_t
conf_ms(const struct conf_node *node, const char *name)
{
	uint64_t seconds = conf_uint(node, name, 0);

	return seconds > UINT32_MAX / 1000 ? UINT32_MAX
					   : (uint32_t)seconds * 1000;
}

bool
conf_bool(const struct conf_node *node, const char *name)
{
	const struct conf_node *leaf = conf_child(node, name);

	return leaf && leaf->number;
}

const char *
conf_text(const struct conf_node *node, const char *name)
{
	const struct conf_node *leaf = conf_child(node, name);

	return leaf ? leaf->text : NULL;
}

const char *
conf_path(const struct conf_node *node, const char *name)
{
	const struct conf_node *leaf = conf_child(node, name);

	return leaf ? leaf->path : NULL;
}

const struct addr *
conf_addr(const struct conf_node *node, const char *name)
{
	const struct conf_node *leaf = conf_child(node, name);

	return leaf && leaf->addr.version ? &leaf->addr : NULL;
}

bool
conf_has(const struct conf_node *node, const char *name)
{
	return conf_child(node, name) != NULL;
}

bool
conf_is(const struct conf_node *node, const char *name, const char *text)
{
	const char *value = conf_text(node, name);

	return value && strcmp(value, text) == 0;
}

const char *
conf_name(const struct conf_node *node)
{
	return conf_text(node, "name");
}

const struct conf_node *
conf_find(const struct conf *conf, const char *list, const char *name)
{
	const struct conf_node *entry;

	conf_each (entry, conf->root, list)
		if (conf_is(entry, "name", name))
			return entry;
	return NULL;
}

/* The first line of a file, without its end. */
static int
read_secret(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t length = 0;
	ssize_t n = 1;
	char *end;

	if (fd < 0)
		return -errno;
	while (length < size && (n = read(fd, out + length, size - length)) > 0)
		length += (size_t)n;
	if (n < 0) {
		n = -errno;
		close(fd);
		return (int)n;
	}
	close(fd);
	end = memchr(out, '\n', length);
	if (end && end > out && end[-1] == '\r')
		end--;
	if (end)
		length = (size_t)(end - out);
	if (length == 0)
		return -EBADMSG;
	if (length >= size)
		return -ENOSPC;
	out[length] = 0;
	return 0;
}

int
conf_secret(const struct conf_node *node, const char *field, char *out,
	    size_t size)
{
	const char *text = conf_text(node, field);
	char file[CONF_SHOWN_SIZE];
	const char *path;

	if (text) {
		if (strlen(text) >= size)
			return -ENOSPC;
		memcpy(out, text, strlen(text) + 1);
		return 0;
	}
	snprintf(file, sizeof(file), "%sFile", field);
	path = conf_path(node, file);
	return path ? read_secret(path, out, size) : -ENOENT;
}
