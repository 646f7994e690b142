/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of chains of Intermediate Processes: they come to an end, do not lead
 * from one cache to another, and bring no packets where Flows are expected.
 */
#include <errno.h>
#include <stdlib.h>

#include "tree.h"

enum { CHAIN_MAX = 32 };

struct ways {
	struct conf_errors *errors;
	const struct conf_node **done; /* checked, and all behind them */
	unsigned done_count;
	bool behind_cache;
	bool packets; /* come this way */
	const struct conf_node *way[CHAIN_MAX];
	unsigned depth;
};

static bool
is_done(const struct ways *w, const struct conf_node *process)
{
	for (unsigned i = 0; i < w->done_count; i++)
		if (w->done[i] == process)
			return true;
	return false;
}

static void
check_caches(const struct ways *w, const struct conf_node *process)
{
	const struct conf_node *ref;

	conf_each (ref, process, "cache")
		if (w->behind_cache && ref->target)
			conf_error(w->errors, ref->line, "cx:cache",
				   "a cache leads to this "
				   "cx:intermediateProcess, expected "
				   "cx:exportingProcess");
}

static void
check_packets(const struct ways *w, const struct conf_node *process)
{
	const struct conf_node *kind = conf_child(process, "deduplicate");

	if (w->packets && kind)
		conf_error(w->errors, kind->line, "cx:deduplicate",
			   "packets come here from a selectionProcess, "
			   "expected a cache before it");
}

/* False: the reference leads back, or too far, which is told once. */
static bool
may_follow(const struct ways *w, const struct conf_node *ref)
{
	for (unsigned i = 0; i < w->depth; i++) {
		if (w->way[i] != ref->target)
			continue;
		if (w->packets)
			return false;
		conf_error(w->errors, ref->line, "cx:intermediateProcess",
			   "leads back to the cx:intermediateProcess in line "
			   "%u, expected one that its records have not run "
			   "through",
			   ref->target->line);
		return false;
	}
	if (w->depth < CHAIN_MAX)
		return true;
	if (w->packets)
		return false;
	conf_error(w->errors, ref->line, "cx:intermediateProcess",
		   "is behind %d others, expected fewer", CHAIN_MAX);
	return false;
}

static void
walk(struct ways *w, const struct conf_node *process)
{
	const struct conf_node *ref;

	if (is_done(w, process))
		return;
	w->way[w->depth++] = process;
	check_caches(w, process);
	check_packets(w, process);
	conf_each (ref, process, "intermediateProcess")
		if (ref->target && may_follow(w, ref))
			walk(w, ref->target);
	w->depth--;
	w->done[w->done_count++] = process;
}

static void
walk_from(struct ways *w, const struct conf_node *from)
{
	const struct conf_node *ref;

	conf_each (ref, from, "intermediateProcess")
		if (ref->target)
			walk(w, ref->target);
}

int
conf_check_ways(const struct conf *conf, struct conf_errors *errors)
{
	struct ways w = {.errors = errors, .behind_cache = true};
	const struct conf_node *node;

	w.done = calloc(conf_count(conf->root, "intermediateProcess") + 1,
			sizeof(*w.done));
	if (!w.done)
		return -ENOMEM;
	conf_each (node, conf->root, "cache")
		walk_from(&w, node);
	w.behind_cache = false;
	conf_each (node, conf->root, "intermediateProcess")
		walk(&w, node);
	w.packets = true;
	w.done_count = 0;
	conf_each (node, conf->root, "selectionProcess")
		walk_from(&w, node);
	free(w.done);
	return 0;
}
