/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads files of Information Elements with libxml2. The document is checked as
 * a whole before an element of it is added, and all errors are told, so that a
 * user mends a file in one go. A document type declaration is refused: there
 * is nothing in it that these files need, and entities come with it.
 */
#include "conflux/element_file.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "conflux/nearest.h"
#include "names.h"

static const char elements_namespace[] = "urn:conflux:elements:1";

enum { NAME_MAX_LENGTH = 127, ID_MAX = 32767 };

enum attribute {
	ATTR_PEN,
	ATTR_ID,
	ATTR_NAME,
	ATTR_TYPE,
	ATTR_SEMANTICS,
	ATTR_UNITS,
	ATTR_RANGE,
	ATTR_STATUS,
	ATTR_REVERSIBLE,
	ATTR_DESCRIPTION,
	ATTR_COUNT,
};

static const char *const attribute_names[ATTR_COUNT] = {
	"pen",	 "id",	  "name",   "type",	  "semantics",
	"units", "range", "status", "reversible", "description",
};

struct item {
	long line;
	struct ie ie; /* its strings belong to the values below */
	char *value[ATTR_COUNT];
};

struct file {
	const char *name;
	struct text *errors;
	struct ie_registry *registry;
	struct item *item;
	size_t count;
	size_t wrong;
	int err; /* -ENOMEM */
};

__attribute__((format(printf, 4, 5))) static void
complain(struct file *file, long line, const char *element, const char *format,
	 ...)
{
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	text_printf(file->errors, "%s:%ld: %s: %s\n", file->name, line, element,
		    message);
	file->wrong++;
}

/* libxml2's own complaints; its messages end with a newline. */
static void
complain_xml(void *arg, xmlErrorPtr error)
{
	struct file *file = ((xmlParserCtxt *)arg)->_private;
	const char *text = error->message ? error->message : "error";

	complain(file, error->line, "XML", "%.*s", (int)strcspn(text, "\n"),
		 text);
}

/* The name in a list that is nearest to a wrong one, or NULL. */
static const char *
nearest(const char *wrong, const char *(*name_at)(uint8_t), unsigned count)
{
	unsigned distance = nearest_start(wrong);
	const char *best = NULL;

	for (unsigned i = 0; i < count; i++)
		if (nearest_closer(wrong, name_at((uint8_t)i), &distance))
			best = name_at((uint8_t)i);
	return best;
}

static const char *
attribute_name(uint8_t attribute)
{
	return attribute_names[attribute];
}

static void
complain_name(struct file *file, const struct item *item, const char *what,
	      const char *wrong, const char *best)
{
	complain(file, item->line, "element", "%s \"%s\" is not known%s%s%s",
		 what, wrong, best ? ", did you mean \"" : "", best ? best : "",
		 best ? "\"?" : "");
}

/* A decimal or 0x number up to max. */
static bool
parse_number(const char *text, const char **end, uint64_t max, uint64_t *out)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? "0123456789abcdefABCDEF" : "0123456789";
	const char *start = text + (hex ? 2 : 0);
	size_t length = strspn(start, digits);

	errno = 0;
	*out = strtoull(start, NULL, hex ? 16 : 10);
	*end = start + length;
	return length > 0 && errno == 0 && *out <= max;
}

static void
read_number(struct file *file, const struct item *item, enum attribute which,
	    uint64_t min, uint64_t max, uint64_t *out)
{
	const char *text = item->value[which];
	const char *end;

	if (!text)
		return;
	if (!parse_number(text, &end, max, out) || *end || *out < min)
		complain(file, item->line, "element",
			 "%s \"%s\" is wrong, expected a number from %" PRIu64
			 " to %" PRIu64,
			 attribute_names[which], text, min, max);
}

static bool
name_ok(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length <= NAME_MAX_LENGTH &&
	       ((*name | 32) >= 'a' && (*name | 32) <= 'z') &&
	       strspn(name,
		      "abcdefghijklmnopqrstuvwxyz"
		      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == length;
}

static void
read_range(struct file *file, struct item *item)
{
	const char *text = item->value[ATTR_RANGE];
	struct ie *ie = &item->ie;
	const char *end;

	if (!text)
		return;
	if (parse_number(text, &end, UINT64_MAX, &ie->range_min) &&
	    *end == '-' &&
	    parse_number(end + 1, &end, UINT64_MAX, &ie->range_max) &&
	    *end == 0 && ie->range_min <= ie->range_max)
		return;
	complain(file, item->line, "element",
		 "range \"%s\" is wrong, expected two numbers as in \"0-255\"",
		 text);
}

/* One of two words; the first is the default. Returns whether the second is. */
static bool
read_word(struct file *file, const struct item *item, enum attribute which,
	  const char *first, const char *second)
{
	const char *text = item->value[which];

	if (!text || strcmp(text, first) == 0)
		return false;
	if (strcmp(text, second) == 0)
		return true;
	complain(file, item->line, "element",
		 "%s \"%s\" is wrong, expected \"%s\" or \"%s\"",
		 attribute_names[which], text, first, second);
	return false;
}

static uint8_t
read_name(struct file *file, const struct item *item, enum attribute which,
	  int (*parse)(const char *), const char *(*name_at)(uint8_t),
	  unsigned count)
{
	const char *text = item->value[which];
	int number;

	if (!text)
		return 0;
	number = parse(text);
	if (number >= 0)
		return (uint8_t)number;
	complain_name(file, item, attribute_names[which], text,
		      nearest(text, name_at, count));
	return 0;
}

static void
read_values(struct file *file, struct item *item)
{
	static const enum attribute needed[] = {ATTR_ID, ATTR_NAME, ATTR_TYPE};
	struct ie *ie = &item->ie;
	uint64_t pen = 0, id = 0;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!item->value[needed[i]])
			complain(file, item->line, "element",
				 "has no attribute \"%s\"",
				 attribute_names[needed[i]]);
	read_number(file, item, ATTR_PEN, 0, UINT32_MAX, &pen);
	read_number(file, item, ATTR_ID, 1, ID_MAX, &id);
	ie->pen = (uint32_t)pen;
	ie->id = (uint16_t)id;
	ie->name = item->value[ATTR_NAME];
	ie->description = item->value[ATTR_DESCRIPTION];
	if (ie->name && !name_ok(ie->name))
		complain(file, item->line, "element",
			 "name \"%.200s\" is wrong, expected a letter and up "
			 "to 126 letters, digits, \"_\", \".\" or \"-\"",
			 ie->name);
	ie->type = read_name(file, item, ATTR_TYPE, ie_type_parse, ie_type_name,
			     IE_UNSIGNED256 + 1);
	ie->semantics =
		read_name(file, item, ATTR_SEMANTICS, ie_semantics_parse,
			  ie_semantics_name, IE_SNMP_GAUGE + 1);
	ie->units = read_name(file, item, ATTR_UNITS, ie_units_parse,
			      ie_units_name, IE_UNITS_END);
	ie->deprecated =
		read_word(file, item, ATTR_STATUS, "current", "deprecated");
	ie->reversible = !read_word(file, item, ATTR_REVERSIBLE, "yes", "no");
	read_range(file, item);
}

static void
read_attributes(struct file *file, struct item *item, const xmlNode *node)
{
	for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
		const char *name = (const char *)attr->name;
		unsigned i = 0;

		while (i < ATTR_COUNT &&
		       (attr->ns || strcmp(name, attribute_names[i]) != 0))
			i++;
		if (i == ATTR_COUNT) {
			complain_name(
				file, item, "attribute", name,
				nearest(name, attribute_name, ATTR_COUNT));
			continue;
		}
		item->value[i] = (char *)xmlNodeListGetString(
			node->doc, attr->children, 1);
		/* An empty attribute has no node. */
		if (!item->value[i])
			item->value[i] = (char *)xmlStrdup(BAD_CAST "");
		if (!item->value[i])
			file->err = -ENOMEM;
	}
}

/* Against the elements that the registry has, and those of this file. */
static void
check_conflicts(struct file *file, const struct item *item)
{
	const struct ie *ie = &item->ie;
	const struct ie *known = ie_find(file->registry, ie->pen, ie->id);
	const struct ie *named = ie_by_name(file->registry, ie->name);

	if (known && (known->type != ie->type || strcmp(known->name, ie->name)))
		complain(file, item->line, "element",
			 "id %u of pen %" PRIu32 " is %s of type %s already",
			 ie->id, ie->pen, known->name,
			 ie_type_name(known->type));
	else if (!known && named)
		complain(file, item->line, "element",
			 "name \"%s\" is that of id %u of pen %" PRIu32
			 " already",
			 ie->name, named->id, named->pen);
	for (const struct item *other = file->item; other < item; other++) {
		if (other->ie.pen == ie->pen && other->ie.id == ie->id)
			complain(file, item->line, "element",
				 "id %u of pen %" PRIu32 " is in line %ld too",
				 ie->id, ie->pen, other->line);
		else if (other->ie.name && !strcmp(other->ie.name, ie->name))
			complain(file, item->line, "element",
				 "name \"%s\" is in line %ld too", ie->name,
				 other->line);
	}
}

static bool
is_named(const xmlNode *node, const char *name)
{
	return node->ns && strcmp((const char *)node->name, name) == 0 &&
	       strcmp((const char *)node->ns->href, elements_namespace) == 0;
}

static void
read_element(struct file *file, const xmlNode *node)
{
	struct item *item = &file->item[file->count++];
	size_t wrong = file->wrong;

	item->line = xmlGetLineNo(node);
	read_attributes(file, item, node);
	if (file->err)
		return;
	read_values(file, item);
	for (const xmlNode *child = node->children; child; child = child->next)
		if (child->type == XML_ELEMENT_NODE)
			complain(file, xmlGetLineNo(child),
				 (const char *)child->name,
				 "is not known here, expected nothing inside "
				 "of an element");
	if (file->wrong == wrong)
		check_conflicts(file, item);
}

static void
read_document(struct file *file, xmlDoc *doc)
{
	const xmlNode *root = xmlDocGetRootElement(doc);

	if (doc->intSubset || doc->extSubset) {
		complain(file, 1, "DOCTYPE",
			 "a document type declaration is not taken here");
		return;
	}
	if (!root || !is_named(root, "elements")) {
		complain(file, root ? xmlGetLineNo(root) : 1,
			 root ? (const char *)root->name : "document",
			 "is not known here, expected \"elements\" in "
			 "namespace %s",
			 elements_namespace);
		return;
	}
	file->item = calloc(xmlChildElementCount((xmlNode *)root) + 1,
			    sizeof(*file->item));
	if (!file->item) {
		file->err = -ENOMEM;
		return;
	}
	for (const xmlNode *node = root->children; node && !file->err;
	     node = node->next) {
		if (node->type != XML_ELEMENT_NODE)
			continue;
		if (is_named(node, "element"))
			read_element(file, node);
		else
			complain(file, xmlGetLineNo(node),
				 (const char *)node->name,
				 "is not known here, expected \"element\"");
	}
}

/* Adds what was read. A registry that gets full keeps what it took before. */
static int
add_elements(struct file *file)
{
	for (size_t i = 0; i < file->count; i++) {
		int err = ie_add(file->registry, &file->item[i].ie);

		if (err == -ENOSPC)
			complain(file, file->item[i].line, "element",
				 "too many elements, expected at most what "
				 "the registry has room for");
		if (err)
			return err;
	}
	return 0;
}

static void
file_fini(struct file *file)
{
	for (size_t i = 0; i < file->count; i++)
		for (unsigned k = 0; k < ATTR_COUNT; k++)
			xmlFree(file->item[i].value[k]);
	free(file->item);
}

int
element_file_parse(struct ie_registry *registry, const char *data,
		   size_t length, const char *name, struct text *errors)
{
	struct file file = {
		.name = name,
		.errors = errors,
		.registry = registry,
	};
	xmlParserCtxt *context;
	xmlDoc *doc;
	int err;

	if (length > INT_MAX)
		return -EINVAL;
	context = xmlNewParserCtxt();
	if (!context)
		return -ENOMEM;
	context->sax->serror = (xmlStructuredErrorFunc)complain_xml;
	context->_private = &file;
	doc = xmlCtxtReadMemory(context, data, (int)length, NULL, NULL,
				XML_PARSE_NONET | XML_PARSE_BIG_LINES);
	if (doc && !file.wrong)
		read_document(&file, doc);
	else if (!file.wrong)
		complain(&file, 1, "XML", "cannot be read");
	err = file.err;
	if (!err && file.wrong)
		err = -EINVAL;
	if (!err)
		err = add_elements(&file);
	file_fini(&file);
	xmlFreeDoc(doc);
	xmlFreeParserCtxt(context);
	return err;
}
