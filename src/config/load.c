/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * From XML to the tree. libxml2 is used as a stream of events (SAX), so there
 * is no second tree, line numbers are exact however long the document is, and
 * what is not in the table costs nothing. Document types are refused as a
 * whole: with them go entities of every sort; nothing is ever fetched.
 *
 * The parser goes on after an error of syntax, so that one run tells them all.
 */
#include <errno.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <libxml/SAX2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conflux/nearest.h"
#include "conflux/text.h"
#include "tree.h"

/* Deeper than any path of the table. */
#define LOAD_DEPTH 24
/* Prefixes in sight; those beyond are taken as unknown. */
#define LOAD_SCOPES 32

/* Whose an element is, by its namespace. */
enum space {
	SPACE_RFC,
	SPACE_CX,
	SPACE_NONE,
	SPACE_OTHER,
};

/* A prefix declared by an open element. */
struct scope {
	const xmlChar *prefix; /* owned by the parser */
	bool rfc;
	unsigned level;
};

struct load {
	struct conf *conf;
	const struct conf_options *options;
	struct conf_errors *errors;
	xmlParserCtxtPtr xml;
	struct conf_node *node[LOAD_DEPTH]; /* from the root to the open one */
	uint64_t meant[LOAD_DEPTH];	    /* conf_finish */
	unsigned depth;			    /* nodes open */
	unsigned level;			    /* elements open */
	struct scope scope[LOAD_SCOPES];
	unsigned scopes;
	unsigned wrappers; /* open config or data elements around ipfix */
	unsigned skip;	   /* open elements that are passed over */
	bool begun;	   /* some element was met */
	bool spoken;	   /* text out of place was reported for this element */
	struct text text;  /* of the open leaf */
	int ret;
};

static unsigned
line_now(const struct load *load)
{
	int line = xmlSAX2GetLineNumber(load->xml);

	return line > 0 ? (unsigned)line : 0;
}

static void
stop(struct load *load, int ret)
{
	if (load->ret == 0)
		load->ret = ret;
	xmlStopParser(load->xml);
}

static enum space
space_of(const xmlChar *uri)
{
	if (!uri)
		return SPACE_NONE;
	if (strcmp((const char *)uri, CONF_NS_RFC) == 0)
		return SPACE_RFC;
	if (strcmp((const char *)uri, CONF_NS_CX) == 0)
		return SPACE_CX;
	return SPACE_OTHER;
}

/* Where in the table a name is right, at most three places. */
struct places {
	const char *name;
	int cx; /* conf_row_find */
	struct text text;
	unsigned count;
};

/* path is that of the holder, without ipfix at its begin. */
static void
find_places(struct places *places, const struct conf_row *holder,
	    const char *path)
{
	char inner[256], shown[CONF_SHOWN_SIZE];
	const struct conf_row *row;
	unsigned at = 0;

	if (places->count == 3)
		return;
	row = conf_row_find(holder->rows, places->name, places->cx);
	if (row && conf_row_usable(row)) {
		text_printf(&places->text, "%s%s", places->count ? ", " : "",
			    *path ? path : "ipfix");
		places->count++;
	}
	while ((row = conf_row_next(holder->rows, &at))) {
		if (!conf_row_usable(row) || !conf_row_holds(row))
			continue;
		snprintf(inner, sizeof(inner), "%s%s%s", path, *path ? "/" : "",
			 conf_row_shown(row, shown));
		find_places(places, row, inner);
	}
}

/* The path of the open element, in the same form. */
static void
path_here(const struct load *load, char *path, size_t size)
{
	char shown[CONF_SHOWN_SIZE];
	size_t n = 0;

	snprintf(path, size, "ipfix");
	for (unsigned i = 1; i < load->depth && n < size; i++)
		n += (size_t)snprintf(
			path + n, size - n, "%s%s", n ? "/" : "",
			conf_row_shown(load->node[i]->row, shown));
}

/* The names that may stand in the element, and the nearest of them. */
static const struct conf_row *
allowed(const struct conf_row *holder, const char *name, struct text *names)
{
	unsigned distance = nearest_start(name), at = 0;
	const struct conf_row *row, *best = NULL;
	char shown[CONF_SHOWN_SIZE];

	while ((row = conf_row_next(holder->rows, &at))) {
		if (!conf_row_usable(row))
			continue;
		text_printf(names, "%s%s", names->length ? ", " : "",
			    conf_row_shown(row, shown));
		if (nearest_closer(name, row->name, &distance))
			best = row;
	}
	return best;
}

static void
meant_row(struct load *load, const struct conf_row *row)
{
	const struct conf_row *rows = load->node[load->depth - 1]->row->rows;
	const struct conf_row *other;
	unsigned at = 0;

	while ((other = conf_row_next(rows, &at)))
		if (other == row)
			load->meant[load->depth - 1] |= UINT64_C(1) << (at - 1);
}

static void
unknown_element(struct load *load, const char *name, enum space space,
		unsigned line)
{
	struct conf_node *node = load->node[load->depth - 1];
	struct places places = {.name = name, .cx = space == SPACE_CX};
	char path[256], shown[CONF_SHOWN_SIZE];
	const struct conf_row *near;
	struct text names = {0};

	find_places(&places, &conf_rows_root[0], "");
	places.cx = -1;
	if (places.count == 0)
		find_places(&places, &conf_rows_root[0], "");
	near = allowed(node->row, name, &names);
	path_here(load, path, sizeof(path));
	if (names.failed || places.text.failed)
		load->ret = -ENOMEM;
	else if (places.count)
		conf_error(load->errors, line, name,
			   "does not belong in %s, expected in %s", path,
			   places.text.data);
	else if (near)
		conf_error(load->errors, line, name,
			   "is not an element of %s, expected one of %s, "
			   "nearest is %s",
			   node->name, names.data, conf_row_shown(near, shown));
	else
		conf_error(load->errors, line, name,
			   "is not an element of %s, expected one of %s",
			   node->name, names.data);
	if (near && places.count == 0)
		meant_row(load, near);
	text_fini(&places.text);
	text_fini(&names);
}

/* The name is right, its namespace is not. */
static void
wrong_space(struct load *load, const struct conf_row *row, const xmlChar *uri,
	    unsigned line)
{
	char quote[CONF_QUOTE_SIZE];

	conf_error(load->errors, line, row->name,
		   "is in %s%s, expected in namespace \"%s\"",
		   uri ? "namespace " : "no namespace",
		   uri ? conf_quote((const char *)uri, quote) : "",
		   row->cx ? CONF_NS_CX : CONF_NS_RFC);
	meant_row(load, row);
}

/* The row of a child of the open element; NULL: reported as wrong. */
static const struct conf_row *
child_row(struct load *load, const char *name, const xmlChar *uri,
	  unsigned line)
{
	struct conf_node *node = load->node[load->depth - 1];
	enum space space = space_of(uri);
	const struct conf_row *row = NULL;
	char shown[CONF_SHOWN_SIZE];

	if (!conf_row_holds(node->row)) {
		conf_error(load->errors, line, name,
			   "does not belong in %s, expected only text there",
			   conf_row_shown(node->row, shown));
		return NULL;
	}
	if (space == SPACE_RFC || space == SPACE_CX)
		row = conf_row_find(node->row->rows, name, space == SPACE_CX);
	if (!row) {
		row = conf_row_find(node->row->rows, name, -1);
		if (row)
			wrong_space(load, row, uri, line);
		else
			unknown_element(load, name, space, line);
		return NULL;
	}
	if (row->state) {
		conf_error(load->errors, line, name,
			   "is state, which a running daemon shows and nobody "
			   "configures, expected to be left out");
		return NULL;
	}
	if (row->unbuilt && !load->options->unbuilt) {
		conf_error(load->errors, line, name,
			   "this build does not %s, expected to be left out",
			   row->unbuilt);
		meant_row(load, row);
		return NULL;
	}
	return row;
}

/* Attributes that say nothing about the value may be there. */
static bool
harmless_attribute(const xmlChar *uri)
{
	static const char *const known[] = {
		"http://www.w3.org/XML/1998/namespace",
		"http://www.w3.org/2001/XMLSchema-instance",
		"urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults",
	};

	for (size_t i = 0; uri && i < sizeof(known) / sizeof(*known); i++)
		if (strcmp((const char *)uri, known[i]) == 0)
			return true;
	return false;
}

static void
check_attributes(struct load *load, const char *name, int count,
		 const xmlChar **attribute, unsigned line)
{
	/* Each is: name, prefix, namespace, begin and end of the value. */
	for (int i = 0; i < count; i++, attribute += 5)
		if (!harmless_attribute(attribute[2]))
			conf_error(load->errors, line, name,
				   "attribute %.60s is not known, expected "
				   "elements only",
				   (const char *)attribute[0]);
}

static void
outside(struct load *load, const char *name, const xmlChar *uri, unsigned line)
{
	enum space space = space_of(uri);
	char quote[CONF_QUOTE_SIZE];

	if (strcmp(name, "ipfix") == 0 && space != SPACE_RFC)
		conf_error(load->errors, line, name,
			   "is in %s%s, expected in namespace \"%s\"",
			   uri ? "namespace " : "no namespace",
			   uri ? conf_quote((const char *)uri, quote) : "",
			   CONF_NS_RFC);
	else if (load->wrappers && space == SPACE_OTHER)
		conf_warning(load->errors, line, name,
			     "is of another data model and is ignored");
	else
		conf_error(load->errors, line, name,
			   "is not a configuration, expected ipfix in "
			   "namespace \"%s\"",
			   CONF_NS_RFC);
	load->skip = 1;
}

static struct conf_node *
open_node(struct load *load, struct conf_node *parent,
	  const struct conf_row *row, unsigned line)
{
	struct conf_node *node = conf_node_new(parent, row, line);

	if (!node || load->depth == LOAD_DEPTH) {
		if (!parent)
			conf_node_free(node);
		stop(load, node ? -ELOOP : -ENOMEM);
		return NULL;
	}
	load->meant[load->depth] = 0;
	load->node[load->depth++] = node;
	load->spoken = false;
	text_reset(&load->text);
	return node;
}

/* An element when none of ours is open. */
static void
start_outside(struct load *load, const char *name, const xmlChar *uri,
	      unsigned line)
{
	bool wraps = !load->begun &&
		     (strcmp(name, "config") == 0 || strcmp(name, "data") == 0);

	load->begun = true;
	if (wraps && space_of(uri) != SPACE_RFC && space_of(uri) != SPACE_CX) {
		load->wrappers = 1;
	} else if (strcmp(name, "ipfix") != 0 || space_of(uri) != SPACE_RFC) {
		outside(load, name, uri, line);
	} else if (load->conf->root) {
		conf_error(load->errors, line, name,
			   "given twice, expected once, the first is in line "
			   "%u",
			   load->conf->root->line);
		load->skip = 1;
	} else {
		load->conf->root = open_node(load, NULL, conf_rows_root, line);
	}
}

static void
declare(struct load *load, const xmlChar *prefix, const xmlChar *uri)
{
	struct scope *scope = &load->scope[load->scopes];

	if (!prefix || load->scopes == LOAD_SCOPES)
		return;
	scope->prefix = prefix;
	scope->rfc = space_of(uri) == SPACE_RFC;
	scope->level = load->level;
	load->scopes++;
}

static void
on_start(void *ctx, const xmlChar *local, const xmlChar *prefix,
	 const xmlChar *uri, int namespaces, const xmlChar **namespace,
	 int attributes, int defaulted, const xmlChar **attribute)
{
	struct load *load = ctx;
	unsigned line = line_now(load);
	const struct conf_row *row;
	char name[CONF_SHOWN_SIZE];

	load->level++;
	for (int i = 0; i < namespaces; i++)
		declare(load, namespace[2 * i], namespace[2 * i + 1]);
	if (load->skip) {
		load->skip++;
		return;
	}
	snprintf(name, sizeof(name), "%s", (const char *)local);
	check_attributes(load, name, attributes, attribute, line);
	if (load->depth == 0) {
		start_outside(load, name, uri, line);
		return;
	}
	row = child_row(load, name, uri, line);
	if (row)
		open_node(load, load->node[load->depth - 1], row, line);
	else
		load->skip = 1;
}

/*
 * The value of an identity may have the prefix of its module (RFC 6020
 * 9.10.3); all identities of the model are in one module.
 */
static const char *
without_prefix(const struct load *load, const struct conf_node *node,
	       const char *text)
{
	const char *start = text + strspn(text, " \t\r\n");
	const char *colon = strchr(start, ':');

	if (node->row->type != CONF_IDENTITY || !colon)
		return text;
	for (unsigned i = load->scopes; i-- > 0;) {
		const char *prefix = (const char *)load->scope[i].prefix;
		size_t length = strlen(prefix);

		if (length == (size_t)(colon - start) &&
		    memcmp(prefix, start, length) == 0)
			return load->scope[i].rfc ? colon + 1 : text;
	}
	return text;
}

static void
end_leaf(struct load *load, struct conf_node *node)
{
	const char *text =
		load->text.data && load->text.length ? load->text.data : "";
	int ret;

	if (load->text.failed) {
		stop(load, -ENOMEM);
		return;
	}
	ret = conf_value_set(node, without_prefix(load, node, text),
			     load->conf->folder, load->errors);
	if (node->row->secret && load->text.data)
		explicit_bzero(load->text.data, load->text.length);
	if (ret)
		stop(load, ret);
}

static void
end_node(struct load *load)
{
	struct conf_node *node = load->node[--load->depth];
	int ret;

	if (!conf_row_holds(node->row)) {
		end_leaf(load, node);
	} else {
		ret = conf_finish(node, load->meant[load->depth],
				  load->conf->folder, load->errors);
		if (ret)
			stop(load, ret);
	}
	load->spoken = false;
	text_reset(&load->text);
}

static void
on_end(void *ctx, const xmlChar *local, const xmlChar *prefix,
       const xmlChar *uri)
{
	struct load *load = ctx;

	if (load->skip)
		load->skip--;
	else if (load->depth == 0)
		load->wrappers = 0;
	else
		end_node(load);
	while (load->scopes &&
	       load->scope[load->scopes - 1].level == load->level)
		load->scopes--;
	load->level--;
}

static bool
blank(const xmlChar *text, int length)
{
	for (int i = 0; i < length; i++)
		if (!strchr(" \t\r\n", text[i]))
			return false;
	return true;
}

static void
on_text(void *ctx, const xmlChar *text, int length)
{
	struct load *load = ctx;
	const struct conf_node *node;
	char shown[CONF_SHOWN_SIZE];

	if (load->skip || load->depth == 0)
		return;
	node = load->node[load->depth - 1];
	if (!conf_row_holds(node->row)) {
		text_add_bytes(&load->text, text, (size_t)length);
	} else if (!load->spoken && !blank(text, length)) {
		load->spoken = true;
		conf_error(load->errors, line_now(load),
			   conf_row_shown(node->row, shown),
			   "has text in it, expected elements only");
	}
}

static void
on_doctype(void *ctx, const xmlChar *name, const xmlChar *external,
	   const xmlChar *system)
{
	struct load *load = ctx;

	conf_error(load->errors, line_now(load), "DOCTYPE",
		   "document types and entities are refused, expected none");
	stop(load, -EINVAL);
}

static void
on_xml_error(struct load *load, int code, int level, int line,
	     const char *message)
{
	char text[200];
	size_t length;

	/* What stop() causes is not news. */
	if (load->ret || code == XML_ERR_USER_STOP || level < XML_ERR_ERROR)
		return;
	/* These differ from one version of the library to the next. */
	if (code == XML_ERR_DOCUMENT_EMPTY ||
	    (code == XML_ERR_DOCUMENT_END && !load->begun))
		message = "there is no element";
	else if (code == XML_ERR_TAG_NOT_FINISHED ||
		 (code == XML_ERR_DOCUMENT_END && load->depth))
		message = "the document ends too early";
	/* A message may quote what is there. */
	if (!message ||
	    (load->depth && load->node[load->depth - 1]->row->secret))
		message = "the text is malformed";
	snprintf(text, sizeof(text), "%s", message);
	length = strlen(text);
	while (length && strchr("\r\n ", text[length - 1]))
		text[--length] = 0;
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	conf_error(load->errors, line > 0 ? (unsigned)line : 0, "XML",
		   "%s, expected well-formed XML", text);
}

#if LIBXML_VERSION >= 21200
static void
on_error(void *ctx, const xmlError *e)
{
	on_xml_error(ctx, e->code, (int)e->level, e->line, e->message);
}
#else
static void
on_error(void *ctx, xmlErrorPtr e)
{
	on_xml_error(ctx, e->code, (int)e->level, e->line, e->message);
}
#endif

/* Feeds the document in parts, as chunks of the parser have int lengths. */
static int
parse(struct load *load, const char *data, size_t length)
{
	xmlSAXHandler sax = {
		.initialized = XML_SAX2_MAGIC,
		.internalSubset = on_doctype,
		.startElementNs = on_start,
		.endElementNs = on_end,
		.characters = on_text,
		.ignorableWhitespace = on_text,
		.cdataBlock = on_text,
		.serror = on_error,
	};

	load->xml = xmlCreatePushParserCtxt(&sax, load, NULL, 0, NULL);
	if (!load->xml)
		return -ENOMEM;
	xmlCtxtUseOptions(load->xml, XML_PARSE_NONET | XML_PARSE_RECOVER |
					     XML_PARSE_BIG_LINES);
	while (length && load->ret == 0) {
		size_t part = length < 65536 ? length : 65536;

		xmlParseChunk(load->xml, data, (int)part, 0);
		data += part;
		length -= part;
	}
	if (load->ret == 0)
		xmlParseChunk(load->xml, data, 0, 1);
	xmlFreeParserCtxt(load->xml);
	text_fini(&load->text);
	return load->ret;
}

static int
load_document(struct conf *conf, const void *data, size_t length,
	      const struct conf_options *options, struct conf_errors *errors)
{
	struct load load = {
		.conf = conf,
		.options = options,
		.errors = errors,
	};
	int ret;

	if (length > CONF_SIZE_MAX) {
		conf_error(errors, 0, NULL,
			   "the document has %zu octets, expected at most %u",
			   length, CONF_SIZE_MAX);
		return -EINVAL;
	}
	ret = parse(&load, data, length);
	if (ret)
		return ret;
	if (!conf->root) {
		if (errors->errors == 0)
			conf_error(errors, 0, NULL,
				   "no configuration, expected ipfix in "
				   "namespace \"%s\"",
				   CONF_NS_RFC);
		return -EINVAL;
	}
	/* Elements left open by a syntax error have no defaults: no use. */
	if (load.depth) {
		if (errors->errors == 0)
			conf_error(errors, 0, NULL,
				   "the document ends within ipfix, expected "
				   "</ipfix>");
		return -EINVAL;
	}
	ret = conf_check(conf, options, errors);
	if (ret)
		return ret;
	return errors->errors ? -EINVAL : 0;
}

/* Takes folder. */
static int
load_any(struct conf **conf, char *folder, const void *data, size_t length,
	 const struct conf_options *options, struct conf_errors *errors)
{
	static const struct conf_options plain;
	struct conf *c = calloc(1, sizeof(*c));
	int ret;

	*conf = NULL;
	if (!c) {
		free(folder);
		return -ENOMEM;
	}
	c->folder = folder;
	ret = load_document(c, data, length, options ? options : &plain,
			    errors);
	conf_errors_sort(errors);
	if (ret) {
		conf_free(c);
		return ret;
	}
	*conf = c;
	return 0;
}

int
conf_load_memory(struct conf **conf, const void *data, size_t length,
		 const struct conf_options *options, struct conf_errors *errors)
{
	return load_any(conf, NULL, data, length, options, errors);
}

static int
read_all(const char *path, char **data, size_t *length)
{
	size_t size = 0, room = 65536;
	char *buffer = malloc(room), *more;
	int fd, ret = 0;
	ssize_t n;

	if (!buffer)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		ret = -errno;
	while (ret == 0 && size <= CONF_SIZE_MAX) {
		if (size == room) {
			more = realloc(buffer, room *= 2);
			if (!more) {
				ret = -ENOMEM;
				break;
			}
			buffer = more;
		}
		n = read(fd, buffer + size, room - size);
		if (n < 0 && errno != EINTR)
			ret = -errno;
		if (n == 0)
			break;
		if (n > 0)
			size += (size_t)n;
	}
	if (fd >= 0)
		close(fd);
	if (ret) {
		free(buffer);
		return ret;
	}
	*data = buffer;
	*length = size;
	return 0;
}

int
conf_load_file(struct conf **conf, const char *path,
	       const struct conf_options *options, struct conf_errors *errors)
{
	const char *slash = strrchr(path, '/');
	char *folder = NULL, *data;
	size_t length;
	int ret;

	*conf = NULL;
	ret = read_all(path, &data, &length);
	if (ret) {
		conf_error(errors, 0, NULL,
			   "cannot be read: %s, expected a configuration",
			   strerror(-ret));
		return ret;
	}
	if (slash) {
		folder = strndup(path,
				 slash == path ? 1 : (size_t)(slash - path));
		if (!folder) {
			free(data);
			return -ENOMEM;
		}
	}
	ret = load_any(conf, folder, data, length, options, errors);
	explicit_bzero(data, length);
	free(data);
	return ret;
}
