/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints what the table of rows says in two other languages: "schema_print
 * rng" the RELAX NG schema xml/conflux.rng for editors, "schema_print mdoc"
 * the reference part of conflux.xml(5). Both hold what can be configured in
 * this build; the manual also names the rest. "schema_print names" and
 * "usable" list elements. Part of the build, not installed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"

#define PATHS_MAX 64
#define WIDTH 76
#define FACTS_SIZE 512

static void
indent(unsigned depth)
{
	printf("%*s", (int)(2 * depth), "");
}

static const char *
prefix(const struct conf_row *row)
{
	return row->cx ? "cx:" : "";
}

/* Whether the model asks for something beneath an element by default. */
static bool
needs(const struct conf_row *rows)
{
	for (; rows->kind != CONF_END; rows++) {
		if (!conf_row_usable(rows))
			continue;
		if (rows->mandatory)
			return true;
		if ((rows->kind == CONF_GROUP ||
		     rows->kind == CONF_CONTAINER) &&
		    needs(rows->rows))
			return true;
	}
	return false;
}

/* "seconds from 0 to 86400, default 60"; empty if there is nothing to say. */
static const char *
facts(const struct conf_row *row, char out[FACTS_SIZE])
{
	const char *comma = "";
	size_t n = 0;

	out[0] = 0;
	if (conf_row_holds(row))
		return row->mandatory ? "at least one" : out;
	if (row->type == CONF_UINT && row->min < row->max)
		n += (size_t)snprintf(out, FACTS_SIZE, "%s from %llu to %llu",
				      row->units ? row->units : "a number",
				      (unsigned long long)row->min,
				      (unsigned long long)row->max);
	else if (row->type == CONF_BOOL)
		n += (size_t)snprintf(out, FACTS_SIZE, "true, false");
	else if (row->max)
		n += (size_t)snprintf(out, FACTS_SIZE, "%u to %u octets",
				      (unsigned)row->min, (unsigned)row->max);
	for (const char *const *v = row->values; v && *v; v++) {
		if (**v == '!')
			continue;
		comma = n ? ", " : "";
		n += (size_t)snprintf(out + n, FACTS_SIZE - n, "%s%s", comma,
				      *v);
	}
	comma = n ? ", " : "";
	if (row->def)
		n += (size_t)snprintf(out + n, FACTS_SIZE - n, "%sdefault %s",
				      comma, row->def);
	else if (row->mandatory)
		n += (size_t)snprintf(out + n, FACTS_SIZE - n, "%smandatory",
				      comma);
	if (row->live)
		snprintf(out + n, FACTS_SIZE - n, "%smay change",
			 n ? ", " : "");
	return out;
}

/* RELAX NG */

static void
rng_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			printf("&amp;");
		else if (*text == '<')
			printf("&lt;");
		else
			putchar(*text);
	}
}

static void
rng_data(const char *type, const char *param, const char *value, unsigned depth)
{
	indent(depth);
	printf("<data type=\"%s\"><param name=\"%s\">%s</param></data>\n", type,
	       param, value);
}

static void
rng_number(const struct conf_row *row, unsigned depth)
{
	indent(depth);
	printf("<data type=\"%s\">\n", row->max <= UINT16_MAX ? "unsignedShort"
				       : row->max <= UINT32_MAX
					       ? "unsignedInt"
					       : "unsignedLong");
	indent(depth + 1);
	printf("<param name=\"minInclusive\">%llu</param>\n",
	       (unsigned long long)row->min);
	indent(depth + 1);
	printf("<param name=\"maxInclusive\">%llu</param>\n",
	       (unsigned long long)row->max);
	indent(depth);
	printf("</data>\n");
}

static void
rng_string(const struct conf_row *row, unsigned depth)
{
	indent(depth);
	if (!row->min && !row->max) {
		printf("<data type=\"string\"/>\n");
		return;
	}
	printf("<data type=\"string\">");
	if (row->min)
		printf("<param name=\"minLength\">%u</param>",
		       (unsigned)row->min);
	if (row->max)
		printf("<param name=\"maxLength\">%u</param>",
		       (unsigned)row->max);
	printf("</data>\n");
}

static void
rng_values(const struct conf_row *row, unsigned depth)
{
	bool first = true;

	indent(depth);
	printf("<choice>\n");
	for (const char *const *v = row->values; *v; v++) {
		if (**v == '!')
			continue;
		indent(depth + 1);
		printf("<value>%s</value>\n", *v);
	}
	if (row->type == CONF_IDENTITY) {
		indent(depth + 1);
		printf("<data type=\"token\"><param name=\"pattern\">"
		       "[^:]+:(");
		for (const char *const *v = row->values; *v; v++) {
			if (**v == '!')
				continue;
			printf("%s%s", first ? "" : "|", *v);
			first = false;
		}
		printf(")</param></data>\n");
	}
	indent(depth);
	printf("</choice>\n");
}

static void
rng_type(const struct conf_row *row, unsigned depth)
{
	switch (row->type) {
	case CONF_EMPTY:
		indent(depth);
		printf("<empty/>\n");
		break;
	case CONF_UINT:
		rng_number(row, depth);
		break;
	case CONF_BOOL:
		rng_data("token", "pattern", "true|false", depth);
		break;
	case CONF_ENUM:
	case CONF_IDENTITY:
		rng_values(row, depth);
		break;
	case CONF_NAME:
	case CONF_REF:
		rng_data("string", "pattern", "\\S(.*\\S)?", depth);
		break;
	case CONF_WORD:
	case CONF_DOMAIN:
		rng_data("string", "pattern", "\\S+", depth);
		break;
	case CONF_ADDRESS:
		rng_data("token", "pattern", "[0-9a-fA-F:.]+(%\\S+)?", depth);
		break;
	case CONF_URI:
		rng_data("token", "pattern", "[Ff][Ii][Ll][Ee]:/.+", depth);
		break;
	case CONF_DECIMAL:
		rng_data("token", "pattern", "[01](\\.[0-9]+)?", depth);
		break;
	default:
		rng_string(row, depth);
	}
}

static void
rng_help(const struct conf_row *row, unsigned depth)
{
	char out[FACTS_SIZE];

	indent(depth);
	printf("<a:documentation>");
	rng_text(row->help);
	if (row->units || row->def)
		printf(" (%s)", facts(row, out));
	printf("</a:documentation>\n");
}

static void rng_rows(const struct conf_row *rows, unsigned depth);

static void
rng_element(const struct conf_row *row, unsigned depth)
{
	indent(depth);
	printf("<element name=\"%s%s\">\n", prefix(row), row->name);
	rng_help(row, depth + 1);
	if (conf_row_holds(row)) {
		indent(depth + 1);
		printf("<interleave>\n");
		rng_rows(row->rows, depth + 2);
		indent(depth + 1);
		printf("</interleave>\n");
	} else {
		rng_type(row, depth + 1);
	}
	indent(depth);
	printf("</element>\n");
}

/* How often an element may be there: the name of a pattern, or NULL: once. */
static const char *
rng_count(const struct conf_row *row)
{
	if (row->kind == CONF_LIST || row->kind == CONF_LEAF_LIST)
		return row->mandatory ? "oneOrMore" : "zeroOrMore";
	if (row->kind == CONF_CONTAINER)
		return needs(row->rows) ? NULL : "optional";
	return row->mandatory ? NULL : "optional";
}

static void
rng_wrapped(const char *pattern, const struct conf_row *row, unsigned depth)
{
	if (!pattern) {
		rng_element(row, depth);
		return;
	}
	indent(depth);
	printf("<%s>\n", pattern);
	rng_element(row, depth + 1);
	indent(depth);
	printf("</%s>\n", pattern);
}

static void
rng_choice(const struct conf_row *choice, unsigned depth)
{
	const struct conf_row *row;
	unsigned at = 0;

	indent(depth);
	printf("<choice>\n");
	if (!choice->mandatory) {
		indent(depth + 1);
		printf("<empty/>\n");
	}
	while ((row = conf_row_next(choice->rows, &at)))
		if (conf_row_usable(row))
			rng_element(row, depth + 1);
	indent(depth);
	printf("</choice>\n");
}

static void
rng_rows(const struct conf_row *rows, unsigned depth)
{
	for (; rows->kind != CONF_END; rows++) {
		if (!conf_row_usable(rows))
			continue;
		if (rows->kind == CONF_GROUP) {
			indent(depth);
			printf("<ref name=\"%s\"/>\n", rows->name);
		} else if (rows->kind == CONF_CHOICE) {
			rng_choice(rows, depth);
		} else {
			rng_wrapped(rng_count(rows), rows, depth);
		}
	}
}

/* The groups of all rows beneath, each once, as definitions. */
struct defines {
	const struct conf_row *done[PATHS_MAX];
	unsigned count;
};

static bool
seen(struct defines *d, const struct conf_row *rows)
{
	for (unsigned i = 0; i < d->count; i++)
		if (d->done[i] == rows)
			return true;
	if (d->count < PATHS_MAX)
		d->done[d->count++] = rows;
	return false;
}

static void
rng_defines(struct defines *d, const struct conf_row *rows)
{
	for (; rows->kind != CONF_END; rows++) {
		if (!conf_row_usable(rows) || !rows->rows)
			continue;
		rng_defines(d, rows->rows);
		if (rows->kind != CONF_GROUP || seen(d, rows->rows))
			continue;
		printf("  <define name=\"%s\">\n    <interleave>\n",
		       rows->name);
		rng_rows(rows->rows, 3);
		printf("    </interleave>\n  </define>\n");
	}
}

static void
print_rng(void)
{
	struct defines defines = {.count = 0};

	printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	       "<!-- SPDX-FileCopyrightText: Conflux authors\n"
	       "     SPDX-License-Identifier: Apache-2.0 -->\n"
	       "<!-- Schema of the configuration for editors. Printed by\n"
	       "     src/config/schema_print from the table of rows, which "
	       "the\n     program itself follows: do not edit. References, and "
	       "what several\n     elements must be together, are checked by "
	       "conflux check only. -->\n"
	       "<grammar xmlns=\"http://relaxng.org/ns/structure/1.0\"\n"
	       "  xmlns:a=\"http://relaxng.org/ns/compatibility/annotations/"
	       "1.0\"\n"
	       "  xmlns:cx=\"" CONF_NS_CX "\"\n"
	       "  ns=\"" CONF_NS_RFC "\"\n"
	       "  datatypeLibrary=\"http://www.w3.org/2001/"
	       "XMLSchema-datatypes\">\n"
	       "  <start>\n");
	rng_element(conf_rows_root, 2);
	printf("  </start>\n");
	rng_defines(&defines, conf_rows_root);
	printf("</grammar>\n");
}

/* mdoc */

/* Lines of one sentence each, broken at spaces. */
static void
mdoc_text(const char *text)
{
	unsigned column = 0;

	while (*text) {
		size_t length = strcspn(text, " ");
		bool ends = length > 2 && text[length - 1] == '.' &&
			    text[length - 2] != '.';

		if (column && column + 1 + length > WIDTH) {
			putchar('\n');
			column = 0;
		} else if (column) {
			putchar(' ');
			column++;
		}
		printf("%.*s", (int)length, text);
		column += (unsigned)length;
		text += length;
		text += strspn(text, " ");
		if (ends) {
			putchar('\n');
			column = 0;
		}
	}
	if (column)
		putchar('\n');
}

static void
mdoc_item(const struct conf_row *row)
{
	char out[FACTS_SIZE], line[FACTS_SIZE + 4];
	const char *known = facts(row, out);

	printf(".It Ic %s%s\n", prefix(row), row->name);
	if (*known) {
		snprintf(line, sizeof(line), "(%s).", known);
		mdoc_text(line);
	}
	mdoc_text(row->help);
}

static void mdoc_holder(struct defines *d, const struct conf_row *holder,
			const char *path);

static void
mdoc_inner(struct defines *d, const struct conf_row *holder, const char *path)
{
	const struct conf_row *row;
	char inner[512];
	unsigned at = 0;

	while ((row = conf_row_next(holder->rows, &at))) {
		if (!conf_row_usable(row) || !conf_row_holds(row))
			continue;
		snprintf(inner, sizeof(inner), "%s%s%s%s", path,
			 *path ? "/" : "", prefix(row), row->name);
		mdoc_holder(d, row, inner);
	}
}

static void
mdoc_holder(struct defines *d, const struct conf_row *holder, const char *path)
{
	const struct conf_row *row;
	unsigned at = 0;

	if (seen(d, holder->rows))
		return;
	printf(".Ss Elements of %s\n", *path ? path : "ipfix");
	printf(".Bl -tag -width Ds\n");
	while ((row = conf_row_next(holder->rows, &at)))
		if (conf_row_usable(row))
			mdoc_item(row);
	printf(".El\n");
	mdoc_inner(d, holder, path);
}

/* The names of rows that cannot be configured, each once, sorted. */
struct names {
	const char *list[512];
	unsigned count;
};

static void
add_name(struct names *names, const char *name)
{
	for (unsigned i = 0; i < names->count; i++)
		if (strcmp(names->list[i], name) == 0)
			return;
	if (names->count < sizeof(names->list) / sizeof(*names->list))
		names->list[names->count++] = name;
}

/* Can an element of this name be written somewhere? */
static bool
usable_name(const struct conf_row *rows, const char *name)
{
	const struct conf_row *row;
	unsigned at = 0;

	while ((row = conf_row_next(rows, &at)))
		if (conf_row_usable(row) &&
		    (strcmp(row->name, name) == 0 ||
		     (conf_row_holds(row) && usable_name(row->rows, name))))
			return true;
	return false;
}

/* Beneath what is not in this build: only names that are nowhere else. */
static void
collect(struct names *names, const struct conf_row *rows, bool state,
	bool inside)
{
	const struct conf_row *row;
	unsigned at = 0;

	while ((row = conf_row_next(rows, &at))) {
		bool in = inside || (state ? row->state : row->unbuilt != NULL);

		if (in && (state || (!row->state &&
				     !(inside && usable_name(conf_rows_root,
							     row->name)))))
			add_name(names, row->name);
		if (!in && !state)
			for (const char *const *v = row->values; v && *v; v++)
				if (**v == '!')
					add_name(names, *v + 1);
		if (conf_row_holds(row))
			collect(names, row->rows, state, in);
	}
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
mdoc_names(bool state)
{
	struct names names = {.count = 0};

	collect(&names, conf_rows_root, state, false);
	qsort(names.list, names.count, sizeof(*names.list), compare);
	for (unsigned i = 0; i < names.count; i++)
		printf(".Ic %s%s\n", names.list[i],
		       i + 1 < names.count ? " ," : " .");
}

static void
print_mdoc(void)
{
	struct defines done = {.count = 0};

	mdoc_holder(&done, conf_rows_root, "");
	printf(".Ss Known but not in this build\n"
	       "These elements and values of RFC 6728 are refused, as this "
	       "build does\nnot do what they ask for:\n");
	mdoc_names(false);
	printf(".Ss State\n"
	       "These elements of RFC 6728 are shown by\n"
	       ".Nm conflux Cm status\n"
	       "and refused in a configuration, where they are not "
	       "configuration already:\n");
	mdoc_names(true);
}

/* The name of every element there is, or that can be configured: for tests. */
static void
print_names(const struct conf_row *rows, bool usable)
{
	const struct conf_row *row;
	unsigned at = 0;

	while ((row = conf_row_next(rows, &at))) {
		if (usable && !conf_row_usable(row))
			continue;
		printf("%s%s\n", usable ? prefix(row) : "", row->name);
		if (conf_row_holds(row))
			print_names(row->rows, usable);
	}
}

/* The place of every element, state too: "ipfix/cache/name". For tests. */
static void
print_paths(const struct conf_row *rows, const char *above)
{
	const struct conf_row *row;
	char path[512];
	unsigned at = 0;

	while ((row = conf_row_next(rows, &at))) {
		snprintf(path, sizeof(path), "%s%s%s%s", above,
			 *above ? "/" : "", prefix(row), row->name);
		puts(path);
		if (conf_row_holds(row))
			print_paths(row->rows, path);
	}
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "rng") == 0) {
		print_rng();
	} else if (argc == 2 && strcmp(argv[1], "mdoc") == 0) {
		print_mdoc();
	} else if (argc == 2 && strcmp(argv[1], "names") == 0) {
		print_names(conf_rows_root, false);
	} else if (argc == 2 && strcmp(argv[1], "usable") == 0) {
		print_names(conf_rows_root, true);
	} else if (argc == 2 && strcmp(argv[1], "paths") == 0) {
		print_paths(conf_rows_root, "");
	} else {
		fprintf(stderr, "usage: schema_print rng | mdoc | names | "
				"usable | paths\n");
		return 2;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
