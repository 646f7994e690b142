/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of the way that records take: sockets and files that two want, what
 * feeds nothing or is fed by nothing, and records that come back to where they
 * were collected. What only makes no sense is a warning, as the model of RFC
 * 6728 allows it; what cannot work is an error.
 */
#include <errno.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/table.h"
#include "tree.h"

#define GRAPH_DEPTH 64

struct graph {
	const struct conf *conf;
	struct conf_errors *errors;
	struct table sockets; /* collectors and their localIPAddress nodes */
	struct table ports;   /* one localIPAddress node of each port */
	struct table writers; /* file nodes */
	struct table used;    /* entries that something refers to */
	struct table visited; /* collecting processes, looking for loops */
	const struct conf_node *path[GRAPH_DEPTH];
	int ret;
	bool quiet; /* what errors entail is not worth a warning */
};

static void
warn(struct graph *g, const struct conf_node *node, const char *text)
{
	if (!g->quiet)
		conf_warning(g->errors, node->line, node->name, "%s", text);
}

/* Where a collector listens or an exporter sends. */
struct endpoint {
	char transport;	  /* 'u'dp, 't'cp or 's'ctp */
	struct addr addr; /* version 0: all addresses */
};

static struct endpoint
endpoint_of(const struct conf_node *node)
{
	bool one = node->row->type == CONF_ADDRESS;
	const struct conf_node *collector = one ? node->parent : node;
	struct endpoint e = {.transport = collector->name[0]};

	if (one)
		e.addr = node->addr;
	e.addr.port = (uint16_t)conf_uint(collector, "localPort", 0);
	return e;
}

static bool
endpoint_equal(const void *item, const void *key)
{
	struct endpoint a = endpoint_of(item);
	const struct endpoint *b = key;

	return a.transport == b->transport && addr_equal(&a.addr, &b->addr);
}

static bool
port_equal(const void *item, const void *key)
{
	struct endpoint a = endpoint_of(item);
	const struct endpoint *b = key;

	return a.transport == b->transport && a.addr.port == b->addr.port;
}

static uint32_t
endpoint_hash(const struct endpoint *e)
{
	return addr_hash(&e->addr, (uint64_t)e->transport);
}

static uint32_t
port_hash(const struct endpoint *e)
{
	return (uint32_t)hash_u64(e->addr.port, (uint64_t)e->transport);
}

static void
add(struct graph *g, struct table *table, uint32_t hash,
    const struct conf_node *node)
{
	/* Tables do not write to what they hold. */
	if (table_add(table, hash, (void *)(uintptr_t)node))
		g->ret = -ENOMEM;
}

static const struct conf_node *
find_socket(const struct graph *g, struct endpoint e)
{
	return table_find(&g->sockets, endpoint_hash(&e), endpoint_equal, &e);
}

static const struct conf_node *
owner_of(const struct conf_node *socket)
{
	return socket->row->type == CONF_ADDRESS ? socket->parent : socket;
}

static bool
is_listener(const struct conf_node *node)
{
	return strcmp(node->name, "tcpListener") == 0;
}

/* Item: a collector (or listener) without addresses, or one of them. */
static void
add_socket(struct graph *g, struct conf_node *item)
{
	struct endpoint e = endpoint_of(item), any = e;
	char shown[CONF_SHOWN_SIZE];
	const struct conf_node *other;

	if (e.addr.port == 0)
		return;
	memset(&any.addr, 0, sizeof(any.addr));
	any.addr.port = e.addr.port;
	other = find_socket(g, e);
	if (!other && e.addr.version)
		other = find_socket(g, any);
	else if (!other)
		other = table_find(&g->ports, port_hash(&e), port_equal, &e);
	if (other) {
		conf_error(g->errors, item->line,
			   conf_row_shown(item->row, shown),
			   "the %s in line %u listens on this %s port "
			   "and address already, expected another localPort or "
			   "localIPAddress",
			   is_listener(owner_of(other)) ? "cx:tcpListener"
							: "collector",
			   other->line,
			   e.transport == 'u'	? "UDP"
			   : e.transport == 's' ? "SCTP"
						: "TCP");
		return;
	}
	add(g, &g->sockets, endpoint_hash(&e), item);
	if (e.addr.version &&
	    !table_find(&g->ports, port_hash(&e), port_equal, &e))
		add(g, &g->ports, port_hash(&e), item);
}

static void
add_collector(struct graph *g, struct conf_node *collector)
{
	struct conf_node *node;
	bool any = true;

	for (node = collector->first; node; node = node->next) {
		if (strcmp(node->name, "localIPAddress") != 0)
			continue;
		any = false;
		if (node->text)
			add_socket(g, node);
	}
	if (any)
		add_socket(g, collector);
}

static bool
path_equal(const void *item, const void *key)
{
	const struct conf_node *file = item;

	return strcmp(file->path, key) == 0;
}

static uint32_t
path_hash(const char *path)
{
	return (uint32_t)hash_bytes(path, strlen(path), 0);
}

/* Several may write to a terminal or to nowhere. */
static bool
shareable(const char *path)
{
	return strncmp(path, "/dev/", 5) == 0;
}

static void
add_writer(struct graph *g, struct conf_node *file)
{
	const struct conf_node *other;

	if (!file || !file->path || shareable(file->path))
		return;
	other = table_find(&g->writers, path_hash(file->path), path_equal,
			   file->path);
	if (other)
		conf_error(g->errors, file->line,
			   file->row->cx ? "cx:file" : "file",
			   "the destination in line %u writes this file "
			   "already, expected another file",
			   other->line);
	else
		add(g, &g->writers, path_hash(file->path), file);
}

/* A folder, in the same table: nobody writes a file of that name either. */
static void
add_spool(struct graph *g, const struct conf_node *spool)
{
	const struct conf_node *folder = conf_child(spool, "directory");
	const struct conf_node *other;

	if (!folder || !folder->path)
		return;
	other = table_find(&g->writers, path_hash(folder->path), path_equal,
			   folder->path);
	if (other)
		conf_error(g->errors, folder->line, "cx:directory",
			   "the destination in line %u has this folder "
			   "already, expected another one",
			   other->line);
	else
		add(g, &g->writers, path_hash(folder->path), folder);
}

static void
check_reader(struct graph *g, const struct conf_node *reader)
{
	const struct conf_node *file = conf_child(reader, "file"), *other;

	if (!file || !file->path || shareable(file->path))
		return;
	other = table_find(&g->writers, path_hash(file->path), path_equal,
			   file->path);
	if (other)
		conf_error(g->errors, file->line, "file",
			   "the destination in line %u writes this file, "
			   "expected one that is complete",
			   other->line);
}

static bool
pointer_equal(const void *item, const void *key)
{
	return item == key;
}

static bool
marked(const struct table *table, const struct conf_node *node)
{
	return table_find(table, (uint32_t)hash_u64((uintptr_t)node, 0),
			  pointer_equal, node) != NULL;
}

static void
mark(struct graph *g, struct table *table, const struct conf_node *node)
{
	if (!marked(table, node))
		add(g, table, (uint32_t)hash_u64((uintptr_t)node, 0), node);
}

/* Marks what the references of the entry point to; whether there are any. */
static bool
mark_targets(struct graph *g, const struct conf_node *entry)
{
	bool any = false;

	for (const struct conf_node *n = entry->first; n; n = n->next) {
		if (n->row->type != CONF_REF)
			continue;
		any = true;
		if (n->target)
			mark(g, &g->used, n->target);
	}
	return any;
}

static void
check_process(struct graph *g, const struct conf_node *process)
{
	bool any = false;

	for (struct conf_node *n = process->first; n; n = n->next) {
		any |= n->row->kind == CONF_LIST;
		if (strcmp(n->name, "udpCollector") == 0 ||
		    strcmp(n->name, "tcpCollector") == 0 ||
		    strcmp(n->name, "sctpCollector") == 0)
			add_collector(g, n);
		else if (strcmp(n->name, "fileReader") == 0)
			check_reader(g, n);
	}
	if (!any)
		warn(g, process,
		     "has no source, expected udpCollector, tcpCollector, "
		     "sctpCollector, cx:tcpDialer, fileReader or "
		     "cx:meterReader");
	if (!mark_targets(g, process))
		warn(g, process,
		     "what it collects goes nowhere, expected "
		     "exportingProcess, cx:cache, cx:intermediateProcess, "
		     "cx:observationPoint or cx:meterAgent");
}

static void
check_point(struct graph *g, const struct conf_node *point)
{
	const struct conf_node *file = conf_child(point, "captureFile");
	bool live = conf_has(point, "ifName") || conf_has(point, "ifIndex");

	if (live && file)
		conf_error(g->errors, file->line, "cx:captureFile",
			   "the Observation Point has an interface too, "
			   "expected one or the other");
	if (!live && !file && !marked(&g->used, point))
		warn(g, point,
		     "has no packets, expected ifName, ifIndex or "
		     "cx:captureFile");
	if (!mark_targets(g, point))
		warn(g, point,
		     "its packets go nowhere, expected selectionProcess");
}

static void
collect_destinations(struct graph *g)
{
	struct conf_node *ep, *dest, *kind, *leaf;

	for (ep = g->conf->root->first; ep; ep = ep->next) {
		if (strcmp(ep->name, "exportingProcess") != 0)
			continue;
		for (dest = ep->first; dest; dest = dest->next)
			for (kind = dest->first; kind; kind = kind->next) {
				if (is_listener(kind))
					add_collector(g, kind);
				for (leaf = kind->first; leaf;
				     leaf = leaf->next)
					if (leaf->row->type == CONF_URI)
						add_writer(g, leaf);
					else if (strcmp(leaf->name, "spool") ==
						 0)
						add_spool(g, leaf);
			}
	}
}

static void
check_used(struct graph *g)
{
	static const struct {
		const char *list;
		const char *text;
	} unfed[] = {
		{"selectionProcess", "nothing feeds it, expected an "
				     "observationPoint with its name in "
				     "selectionProcess"},
		{"intermediateProcess",
		 "nothing feeds it, expected a collectingProcess, "
		 "selectionProcess or cache with its name in "
		 "cx:intermediateProcess"},
		{"cache", "nothing feeds it, expected a collectingProcess with "
			  "its name in cx:cache, or a selectionProcess with "
			  "it in cache"},
		{"meterAgent", "nothing feeds it, expected a selectionProcess "
			       "or collectingProcess with its name in "
			       "cx:meterAgent"},
		{"exportingProcess", "nothing uses it, expected a "
				     "collectingProcess or cache with its name "
				     "in exportingProcess"},
	};
	const struct conf_node *n;

	for (size_t i = 0; i < sizeof(unfed) / sizeof(*unfed); i++)
		conf_each (n, g->conf->root, unfed[i].list)
			if (!marked(&g->used, n))
				warn(g, n, unfed[i].text);
}

static bool
is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = {[15] = 1};

	return a->version == 4 ? a->bytes[0] == 127
			       : memcmp(a->bytes, one, 16) == 0;
}

/* The collecting process of ours that a destination sends to, or NULL. */
static const struct conf_node *
receiver(const struct graph *g, const struct conf_node *dest)
{
	static const char *const list[] = {"udpExporter", "tcpExporter",
					   "sctpExporter"};
	const struct conf_node *kind = NULL, *socket;
	struct endpoint e = {0};
	const struct addr *to;

	for (int i = 0; i < 3 && !kind; i++)
		kind = conf_child(dest, list[i]);
	to = conf_addr(kind, "destinationIPAddress");
	if (!to)
		return NULL;
	e.transport = kind->name[0];
	e.addr = *to;
	e.addr.port = (uint16_t)conf_uint(kind, "destinationPort", 0);
	socket = find_socket(g, e);
	if (!socket && is_loopback(to)) {
		memset(&e.addr, 0, sizeof(e.addr));
		e.addr.port = (uint16_t)conf_uint(kind, "destinationPort", 0);
		socket = find_socket(g, e);
	}
	if (!socket || is_listener(owner_of(socket)))
		return NULL;
	return owner_of(socket)->parent;
}

static void visit(struct graph *g, const struct conf_node *process,
		  unsigned depth);

static void
follow(struct graph *g, const struct conf_node *exporter, unsigned depth)
{
	const struct conf_node *dest, *process;

	conf_each (dest, exporter, "destination") {
		bool loop = false;

		process = receiver(g, dest);
		if (!process)
			continue;
		for (unsigned i = 0; i < depth; i++)
			loop |= g->path[i] == process;
		if (loop)
			conf_error(g->errors, dest->line, "destination",
				   "sends to the collectingProcess in line %u, "
				   "which its records come from, expected "
				   "another collector",
				   process->line);
		else
			visit(g, process, depth);
	}
}

/* All Exporting Processes that the entry leads to, each way once. */
static void
follow_all(struct graph *g, struct table *walked, const struct conf_node *from,
	   unsigned depth)
{
	const struct conf_node *ref;

	if (marked(walked, from))
		return;
	mark(g, walked, from);
	conf_each (ref, from, "exportingProcess")
		if (ref->target)
			follow(g, ref->target, depth);
	conf_each (ref, from, "cache")
		if (ref->target)
			follow_all(g, walked, ref->target, depth);
	conf_each (ref, from, "intermediateProcess")
		if (ref->target)
			follow_all(g, walked, ref->target, depth);
}

/* Depth first; each process is entered once; very long ways are cut. */
static void
visit(struct graph *g, const struct conf_node *process, unsigned depth)
{
	struct table walked = {0};

	if (depth == GRAPH_DEPTH || marked(&g->visited, process))
		return;
	mark(g, &g->visited, process);
	g->path[depth++] = process;
	follow_all(g, &walked, process, depth);
	table_fini(&walked);
}

int
conf_check_graph(const struct conf *conf, struct conf_errors *errors)
{
	struct graph g = {
		.conf = conf,
		.errors = errors,
		.quiet = errors->errors > 0,
	};
	const struct conf_node *n;

	collect_destinations(&g);
	if (!conf_has(conf->root, "collectingProcess") &&
	    !conf_has(conf->root, "observationPoint"))
		warn(&g, conf->root,
		     "has no source, expected a collectingProcess or an "
		     "observationPoint");
	conf_each (n, conf->root, "collectingProcess")
		check_process(&g, n);
	conf_each (n, conf->root, "observationPoint")
		check_point(&g, n);
	conf_each (n, conf->root, "selectionProcess")
		if (!mark_targets(&g, n))
			warn(&g, n,
			     "what it takes goes nowhere, expected cache, "
			     "cx:intermediateProcess or cx:meterAgent");
	conf_each (n, conf->root, "intermediateProcess")
		if (!mark_targets(&g, n))
			warn(&g, n,
			     "what it passes on goes nowhere, expected "
			     "cx:exportingProcess, cx:cache or "
			     "cx:intermediateProcess");
	conf_each (n, conf->root, "cache")
		if (!mark_targets(&g, n))
			warn(&g, n,
			     "its Flows go nowhere, expected "
			     "exportingProcess");
	check_used(&g);
	conf_each (n, conf->root, "collectingProcess")
		visit(&g, n, 0);
	table_fini(&g.sockets);
	table_fini(&g.ports);
	table_fini(&g.writers);
	table_fini(&g.used);
	table_fini(&g.visited);
	return g.ret;
}
