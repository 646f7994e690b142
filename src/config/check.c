/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What can only be said of several elements together: references, and fields
 * of caches. Meters and the way of the records have files of their own.
 */
#include <errno.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/table.h"
#include "conflux/nearest.h"
#include "tree.h"

#define LENGTH_VARIABLE 65535

struct check {
	struct conf *conf;
	struct conf_errors *errors;
	struct table entries; /* of the lists at the top, by name */
};

struct entry_key {
	const char *list;
	const char *name;
};

static bool
entry_equal(const void *item, const void *key)
{
	const struct conf_node *entry = item;
	const struct entry_key *k = key;

	return strcmp(entry->name, k->list) == 0 &&
	       strcmp(conf_name(entry), k->name) == 0;
}

static uint32_t
name_hash(const char *name)
{
	return (uint32_t)hash_bytes(name, strlen(name), 0);
}

static int
add_entries(struct check *c)
{
	struct conf_node *entry;

	for (entry = c->conf->root->first; entry; entry = entry->next) {
		const char *name = conf_name(entry);

		if (name && table_add(&c->entries, name_hash(name), entry))
			return -ENOMEM;
	}
	return 0;
}

static const char *
nearest_entry(const struct check *c, const char *list, const char *name)
{
	unsigned distance = nearest_start(name);
	const struct conf_node *entry;
	const char *best = NULL;

	conf_each (entry, c->conf->root, list) {
		const char *other = conf_name(entry);

		if (other && nearest_closer(name, other, &distance))
			best = other;
	}
	return best;
}

static void
resolve(struct check *c, struct conf_node *ref)
{
	struct entry_key key = {.list = ref->row->ref, .name = ref->text};
	char quote[2][CONF_QUOTE_SIZE], shown[CONF_SHOWN_SIZE];
	const char *near;

	ref->target = table_find(&c->entries, name_hash(ref->text), entry_equal,
				 &key);
	if (ref->target)
		return;
	conf_row_shown(ref->row, shown);
	/* Enough of these: looking for near names costs. */
	near = c->errors->count < CONF_ERRORS_MAX
		       ? nearest_entry(c, key.list, key.name)
		       : NULL;
	if (near)
		conf_error(c->errors, ref->line, shown,
			   "there is no %s %s, expected the name of one, "
			   "nearest is %s",
			   key.list, conf_quote(key.name, quote[0]),
			   conf_quote(near, quote[1]));
	else
		conf_error(c->errors, ref->line, shown,
			   "there is no %s %s, expected the name of one",
			   key.list, conf_quote(key.name, quote[0]));
}

/* No deeper than the table. */
static void
resolve_all(struct check *c, struct conf_node *node)
{
	for (struct conf_node *n = node->first; n; n = n->next) {
		if (n->row->type == CONF_REF && n->text)
			resolve(c, n);
		resolve_all(c, n);
	}
}

/* What the document alone can say of a field. */
static void
check_field(const struct conf_node *field, struct conf_errors *errors)
{
	const struct conf_node *key = conf_child(field, "isFlowKey");
	const struct conf_node *prefix = conf_child(field, "prefixLength");
	const struct conf_node *merge = conf_child(field, "merge");
	const struct conf_node *length = conf_child(field, "ieLength");

	if (key &&
	    conf_uint(field, "ieEnterpriseNumber", 0) == CONF_PEN_REVERSE)
		conf_error(errors, key->line, "isFlowKey",
			   "a reverse element (enterprise number 29305) is no "
			   "Flow Key, expected no isFlowKey");
	if (prefix && !key)
		conf_error(errors, prefix->line, "cx:prefixLength",
			   "the field is no Flow Key, expected isFlowKey "
			   "beside it");
	if (key && merge && merge->text && strcmp(merge->text, "auto") != 0)
		conf_error(errors, merge->line, "cx:merge",
			   "a Flow Key is the same in all records of a Flow, "
			   "expected no cx:merge beside isFlowKey");
	if (length && length->text && length->number == 0)
		conf_error(errors, length->line, "ieLength",
			   "a field has at least one octet, expected octets "
			   "from 1 to 65535");
}

static void
check_length(const struct conf_node *field, const struct conf_element *e,
	     struct conf_errors *errors)
{
	const struct conf_node *length = conf_child(field, "ieLength");

	if (!length || !length->text || length->number == 0 ||
	    length->number == e->length || e->length == LENGTH_VARIABLE)
		return;
	if (e->reducible && length->number < e->length)
		return;
	conf_error(errors, length->line, "ieLength",
		   "%s cannot have %s octets, expected %s%u", e->name,
		   length->text, e->reducible ? "1 to " : "", e->length);
}

static void
check_prefix(const struct conf_node *field, const struct conf_element *e,
	     struct conf_errors *errors)
{
	const struct conf_node *prefix = conf_child(field, "prefixLength");

	if (!prefix || !prefix->text)
		return;
	if (e->prefix_max == 0)
		conf_error(errors, prefix->line, "cx:prefixLength",
			   "%s is no address, expected an element such as "
			   "sourceIPv4Address",
			   e->name);
	else if (prefix->number > e->prefix_max)
		conf_error(errors, prefix->line, "cx:prefixLength",
			   "\"%s\" is out of range, expected bits from 0 to %u "
			   "for %s",
			   prefix->text, e->prefix_max, e->name);
}

static void
unknown_name(const struct conf_node *leaf, const struct conf_elements *elements,
	     struct conf_errors *errors)
{
	char quote[CONF_QUOTE_SIZE];
	const char *near =
		elements->nearest ? elements->nearest(elements->ctx, leaf->text)
				  : NULL;

	conf_quote(leaf->text, quote);
	if (near)
		conf_error(errors, leaf->line, leaf->name,
			   "%s is no known Information Element, expected one "
			   "of IANA or of a cx:elementFile, nearest is %s",
			   quote, near);
	else
		conf_error(errors, leaf->line, leaf->name,
			   "%s is no known Information Element, expected one "
			   "of IANA or of a cx:elementFile",
			   quote);
}

static void
check_element(const struct conf_node *field,
	      const struct conf_elements *elements, struct conf_errors *errors)
{
	const struct conf_node *name = conf_child(field, "ieName");
	const struct conf_node *id = conf_child(field, "ieId");
	const struct conf_node *pen = conf_child(field, "ieEnterpriseNumber");
	struct conf_element e = {.pen = CONF_PEN_ANY};

	if ((!name || !name->text) && (!id || !id->text))
		return;
	if (name)
		e.name = name->text;
	else
		e.id = (uint16_t)id->number;
	/* By name, 0 is not only IANA: the name of a user's element is enough.
	 */
	if (pen && pen->text && (!name || pen->number))
		e.pen = (uint32_t)pen->number;
	if (elements->find(elements->ctx, &e) == 0) {
		check_length(field, &e, errors);
		check_prefix(field, &e, errors);
	} else if (name) {
		unknown_name(name, elements, errors);
	} else {
		conf_error(errors, id->line, "ieId",
			   "there is no Information Element %s of enterprise "
			   "%u, expected one of IANA or of a cx:elementFile",
			   id->text, e.pen);
	}
}

static void
load_elements(const struct conf *conf, const struct conf_elements *elements,
	      struct conf_errors *errors)
{
	const struct conf_node *file;
	char why[256];

	conf_each (file, conf->root, "elementFile") {
		why[0] = 0;
		if (!elements->load || !file->path ||
		    elements->load(elements->ctx, file->path, why,
				   sizeof(why)) == 0)
			continue;
		conf_error(errors, file->line, "cx:elementFile",
			   "%s: %s, expected a file of Information Elements",
			   file->path, why[0] ? why : "cannot be loaded");
	}
}

static const struct conf_node *
cache_layout(const struct conf_node *cache)
{
	static const char *const types[] = {"immediateCache", "timeoutCache",
					    "naturalCache", "permanentCache"};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		const struct conf_node *type = conf_child(cache, types[i]);

		if (type)
			return conf_child(type, "cacheLayout");
	}
	return NULL;
}

void
conf_check_elements(const struct conf *conf,
		    const struct conf_elements *elements,
		    struct conf_errors *errors)
{
	const struct conf_node *cache, *field;

	if (elements)
		load_elements(conf, elements, errors);
	conf_each (cache, conf->root, "cache") {
		conf_each (field, cache_layout(cache), "cacheField") {
			check_field(field, errors);
			if (elements)
				check_element(field, elements, errors);
		}
	}
}

static void
check_reconnect(const struct conf_node *exporter, struct conf_errors *errors)
{
	const struct conf_node *least = conf_child(exporter, "reconnectMin");
	const struct conf_node *most = conf_child(exporter, "reconnectMax");

	if (!least || !most || !least->text || !most->text ||
	    least->number <= most->number)
		return;
	conf_error(errors, least->line, "cx:reconnectMin",
		   "%s milliseconds is above cx:reconnectMax (%s), expected at "
		   "most that",
		   least->text, most->text);
}

/* RFC 6526 section 4.3: all messages of a stream are sent in order. */
static void
check_streams(const struct conf_node *sctp, struct conf_errors *errors)
{
	const struct conf_node *unordered = conf_child(sctp, "unordered");

	if (unordered && conf_bool(sctp, "unordered") &&
	    conf_bool(sctp, "streamPerTemplate"))
		conf_error(errors, unordered->line, "cx:unordered",
			   "true, but cx:streamPerTemplate needs all messages "
			   "in order (RFC 6526), expected one of the two");
}

/* In clear anybody could come and have the records. */
static void
check_listener(const struct conf_node *listener, struct conf_errors *errors)
{
	if (listener && !conf_has(listener, "collectorIPAddress") &&
	    !conf_has(listener, "transportLayerSecurity"))
		conf_error(errors, listener->line, "cx:tcpListener",
			   "nothing says who may connect, expected "
			   "cx:collectorIPAddress or "
			   "cx:transportLayerSecurity");
}

static void
check_connections(const struct conf *conf, struct conf_errors *errors)
{
	const struct conf_node *process, *destination, *sctp, *dialer;

	conf_each (process, conf->root, "collectingProcess")
		conf_each (dialer, process, "tcpDialer")
			check_reconnect(dialer, errors);
	conf_each (process, conf->root, "exportingProcess") {
		conf_each (destination, process, "destination") {
			sctp = conf_child(destination, "sctpExporter");
			check_reconnect(conf_child(destination, "tcpExporter"),
					errors);
			check_reconnect(sctp, errors);
			check_listener(conf_child(destination, "tcpListener"),
				       errors);
			check_streams(sctp, errors);
		}
	}
}

/* A collector that acknowledges: knows all that has come. */
static void
check_acknowledging(const struct conf_node *collector,
		    struct conf_errors *errors, uint64_t workers)
{
	if (conf_bool(collector, "acknowledgement") && workers != 1)
		conf_error(errors,
			   conf_child(collector, "acknowledgement")->line,
			   "cx:acknowledgement",
			   "what several workers have is not known together, "
			   "expected cx:workers 1");
}

static void
check_acknowledged(const struct conf_node *exporter, struct conf_errors *errors)
{
	if (exporter && conf_bool(exporter, "acknowledgement") &&
	    !conf_child(exporter, "spool"))
		conf_error(errors,
			   conf_child(exporter, "acknowledgement")->line,
			   "cx:acknowledgement",
			   "what is not acknowledged has to be kept, expected "
			   "cx:spool beside it");
}

static void
check_acknowledgement(const struct conf *conf, struct conf_errors *errors)
{
	const struct conf_node *root = conf_root(conf);
	uint64_t workers = conf_uint(root, "workers", 1);
	const struct conf_node *process, *node;

	conf_each (process, root, "collectingProcess") {
		conf_each (node, process, "tcpCollector")
			check_acknowledging(node, errors, workers);
		conf_each (node, process, "tcpDialer")
			check_acknowledging(node, errors, workers);
	}
	conf_each (process, root, "exportingProcess")
		conf_each (node, process, "destination") {
			check_acknowledged(conf_child(node, "tcpExporter"),
					   errors);
			check_acknowledged(conf_child(node, "tcpListener"),
					   errors);
		}
}

int
conf_check(struct conf *conf, const struct conf_options *options,
	   struct conf_errors *errors)
{
	struct check c = {.conf = conf, .errors = errors};
	int ret = add_entries(&c);

	if (ret == 0) {
		resolve_all(&c, conf->root);
		conf_check_elements(conf, options->elements, errors);
		check_connections(conf, errors);
		conf_check_tls(conf, errors);
		check_acknowledgement(conf, errors);
		ret = conf_check_meters(conf, errors);
	}
	if (ret == 0)
		ret = conf_check_ways(conf, errors);
	if (ret == 0)
		ret = conf_check_graph(conf, errors);
	table_fini(&c.entries);
	return ret;
}
