/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A networks file:
 *
 *	# a comment
 *	prefix          as     country  site
 *	192.0.2.0/24    64500  DE       "Berlin, north"
 *	2001:db8::/32   64501  -        Berlin
 *	198.51.100.7    -      FR       Paris
 *
 * The first line names the columns. Words are apart by spaces or tabs; one in
 * quotes may have spaces (\" and \\ stand for " and \), "-" is no value. A line
 * may hold an address instead of a prefix. The order of the lines does not
 * matter: the longest prefix tells. Columns that are not asked for are skipped.
 *
 * The whole file is read before anything of it is used, and all its mistakes
 * are told, up to a bound.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/addr.h"
#include "conflux/file.h"
#include "conflux/nearest.h"
#include "lookup.h"
#include "prefixes.h"

enum {
	COLUMNS_MAX = 64,
	WORD_MAX = 1024, /* octets */
	ERRORS_MAX = 20, /* that are told */
	PREFIXES_MAX = 1 << 26,
	FILE_MAX = 1 << 30, /* octets */
	NO_COLUMN = -1,
};

struct networks_reader {
	const struct lookup_conf *conf;
	struct networks *networks;
	struct prefix *list;
	uint32_t count, size;
	const char *p, *end; /* of the line */
	uint32_t line;
	unsigned columns; /* with that of the prefix; 0: not named yet */
	int column[LOOKUP_VALUES_MAX]; /* where the values are */
	char *word[COLUMNS_MAX];
	char buffer[COLUMNS_MAX][WORD_MAX];
	struct text errors;
	unsigned wrong;
};

static void mistake(struct networks_reader *r, uint32_t line,
		    const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void
mistake(struct networks_reader *r, uint32_t line, const char *format, ...)
{
	char text[512];
	va_list args;

	if (r->wrong++ >= ERRORS_MAX)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text_printf(&r->errors, "%s%s:%u: %s", r->errors.length ? "\n" : "",
		    r->conf->networks_path, (unsigned)line, text);
}

/* ---- words ------------------------------------------------------------- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Of the line, to out; 1, 0 at its end, or -EINVAL after telling why. */
static int
next_word(struct networks_reader *r, char *out)
{
	bool quoted;
	size_t n = 0;

	while (r->p < r->end && is_blank(*r->p))
		r->p++;
	if (r->p == r->end || *r->p == '#')
		return 0;
	quoted = *r->p == '"';
	r->p += quoted;
	while (r->p < r->end && (quoted ? *r->p != '"' : !is_blank(*r->p))) {
		if (quoted && *r->p == '\\' && r->p + 1 < r->end)
			r->p++;
		if (n == WORD_MAX - 1 || !*r->p) {
			mistake(r, r->line, "%s",
				*r->p ? "a word of more than 1023 octets"
				      : "an octet of 0, expected text");
			return -EINVAL;
		}
		out[n++] = *r->p++;
	}
	out[n] = 0;
	if (quoted && r->p == r->end) {
		mistake(r, r->line, "quotes that do not end");
		return -EINVAL;
	}
	r->p += quoted;
	return 1;
}

/* How many words there are; -EINVAL. */
static int
split_line(struct networks_reader *r)
{
	unsigned n = 0;
	int rc;

	while (n < COLUMNS_MAX) {
		rc = next_word(r, r->buffer[n]);
		if (rc < 0)
			return rc;
		if (rc == 0)
			return (int)n;
		r->word[n] = r->buffer[n];
		n++;
	}
	if (next_word(r, r->buffer[n - 1]) == 0)
		return (int)n;
	mistake(r, r->line, "more than %d columns", COLUMNS_MAX);
	return -EINVAL;
}

/* ---- lines ------------------------------------------------------------- */

static void
find_column(struct networks_reader *r, unsigned value)
{
	const char *key = r->conf->value[value].key, *nearest = NULL;
	unsigned distance = nearest_start(key);

	for (unsigned i = 1; i < r->columns; i++) {
		if (strcmp(r->word[i], key) == 0) {
			r->column[value] = (int)i;
			return;
		}
		if (nearest_closer(key, r->word[i], &distance))
			nearest = r->word[i];
	}
	mistake(r, r->line, "there is no column \"%s\"%s%s", key,
		nearest ? ", nearest is " : "", nearest ? nearest : "");
}

static void
read_columns(struct networks_reader *r, unsigned words)
{
	if (strcmp(r->word[0], "prefix") != 0) {
		mistake(r, r->line,
			"expected the names of the columns first, of which "
			"the first one is \"prefix\"");
		r->columns = words;
		return;
	}
	r->columns = words;
	for (unsigned i = 0; i < r->conf->value_count; i++)
		find_column(r, i);
}

static int
parse_length(const char *text, unsigned most, uint8_t *out)
{
	char *end;
	unsigned long length = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || length > most)
		return -EINVAL;
	*out = (uint8_t)length;
	return 0;
}

/* Clears the bits behind the length; true if there were any. */
static bool
cut_host(struct prefix *prefix)
{
	unsigned octets = prefix->version == 4 ? 4 : 16;
	bool any = false;

	for (unsigned i = 0; i < octets; i++) {
		unsigned bits =
			prefix->length > 8 * i ? prefix->length - 8 * i : 0;
		uint8_t mask = bits >= 8 ? 0xff : (uint8_t)(0xff00 >> bits);

		any |= (prefix->bytes[i] & ~mask) != 0;
		prefix->bytes[i] &= mask;
	}
	return any;
}

static bool
read_prefix(struct networks_reader *r, char *text, struct prefix *prefix)
{
	char host[ADDR_TEXT_SIZE];
	char *slash = strchr(text, '/');
	struct addr addr;
	unsigned most;

	if (slash)
		*slash = 0;
	if (addr_parse(&addr, text, 0) < 0 || addr.zone) {
		if (slash)
			*slash = '/';
		mistake(r, r->line,
			"\"%.64s\" is no prefix, expected one as 192.0.2.0/24 "
			"or 2001:db8::/32",
			text);
		return false;
	}
	most = addr.version == 4 ? 32 : 128;
	*prefix = (struct prefix){.version = addr.version,
				  .length = (uint8_t)most,
				  .line = r->line};
	memcpy(prefix->bytes, addr.bytes, sizeof(prefix->bytes));
	if (slash && parse_length(slash + 1, most, &prefix->length) < 0) {
		mistake(r, r->line,
			"\"%.16s\" is no length of a prefix, expected 0 to %u",
			slash + 1, most);
		return false;
	}
	if (!cut_host(prefix))
		return true;
	memcpy(addr.bytes, prefix->bytes, sizeof(prefix->bytes));
	mistake(r, r->line,
		"%.64s/%u has bits behind its length, expected %s/%u", text,
		prefix->length, addr_format_host(host, &addr), prefix->length);
	return false;
}

static int
add_prefix(struct networks_reader *r, const struct prefix *prefix)
{
	uint32_t size = r->size ? r->size * 2 : 1024;
	struct prefix *list;

	if (r->count == r->size) {
		if (r->count == PREFIXES_MAX)
			return -ENOSPC;
		list = realloc(r->list, size * sizeof(*list));
		if (!list)
			return -ENOMEM;
		r->list = list;
		r->size = size;
	}
	r->list[r->count++] = *prefix;
	return 0;
}

static int
read_network(struct networks_reader *r, unsigned words)
{
	struct results *results = &r->networks->results;
	struct prefix prefix;
	int64_t result;

	if (words != r->columns) {
		mistake(r, r->line, "%u columns, expected %u", words,
			r->columns);
		return 0;
	}
	if (!read_prefix(r, r->word[0], &prefix))
		return 0;
	result_begin(results, r->conf);
	for (unsigned i = 0; i < r->conf->value_count; i++) {
		const char *word;

		if (r->column[i] == NO_COLUMN)
			continue;
		word = r->word[r->column[i]];
		if (strcmp(word, "-") != 0 &&
		    result_text(results, r->conf, i, word) < 0)
			mistake(r, r->line, "%s: \"%.64s\" is no value of %s",
				r->conf->value[i].key, word,
				r->conf->value[i].ie->name);
	}
	result = result_end(results);
	if (result < 0)
		return (int)result;
	/* A prefix without values hides those around it. */
	prefix.value = (uint32_t)result + 1;
	return add_prefix(r, &prefix);
}

static int
read_line(struct networks_reader *r)
{
	int words = split_line(r);

	if (words <= 0)
		return 0;
	if (r->columns)
		return read_network(r, (unsigned)words);
	read_columns(r, (unsigned)words);
	return 0;
}

/* ---- the file ---------------------------------------------------------- */

static int
finish(struct networks_reader *r)
{
	uint32_t twice = 0;
	int rc = 0;

	if (!r->columns && !r->wrong)
		mistake(r, 1,
			"there are no columns, expected a line that "
			"begins with \"prefix\"");
	if (!r->wrong)
		rc = prefixes_new(r->list, r->count, &r->networks->prefixes,
				  &twice);
	if (rc == -EEXIST) {
		mistake(r, r->list[twice].line,
			"this prefix is in line %u, too",
			(unsigned)r->list[twice - 1].line);
		rc = 0;
	}
	r->networks->count = r->count;
	return r->wrong ? -EINVAL : rc;
}

int
networks_parse(const struct lookup_conf *conf, const char *data, size_t length,
	       struct networks **out, char **error)
{
	struct networks_reader *r = calloc(1, sizeof(*r));
	const char *end = data + length;
	int rc = -ENOMEM;

	if (!r)
		return -ENOMEM;
	r->conf = conf;
	for (unsigned i = 0; i < conf->value_count; i++)
		r->column[i] = NO_COLUMN;
	r->networks = calloc(1, sizeof(*r->networks));
	if (r->networks)
		rc = results_init(&r->networks->results, conf);
	for (const char *p = data; rc == 0 && p < end; p = r->end + 1) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));

		r->p = p;
		r->end = newline ? newline : end;
		r->line++;
		rc = read_line(r);
	}
	if (rc == 0)
		rc = finish(r);
	if (r->wrong > ERRORS_MAX)
		text_printf(&r->errors, "\n%s: and %u more mistakes",
			    conf->networks_path, r->wrong - ERRORS_MAX);
	if (rc == -EINVAL)
		text_error(error, rc, "%s", r->errors.data);
	else if (rc == -ENOSPC)
		text_error(error, rc, "%s: more than %d prefixes",
			   conf->networks_path, PREFIXES_MAX);
	text_fini(&r->errors);
	free(r->list);
	if (rc == 0)
		*out = r->networks;
	else
		networks_free(r->networks);
	free(r);
	return rc;
}

int
networks_read(const struct lookup_conf *conf, struct networks **out,
	      char **error)
{
	char *data;
	size_t length;
	int rc = file_read_all(conf->networks_path, FILE_MAX, &data, &length);

	if (rc == 0)
		rc = networks_parse(conf, data, length, out, error);
	else if (rc != -ENOMEM)
		text_error(error, rc, "%s: %s", conf->networks_path,
			   strerror(-rc));
	free(data);
	return rc;
}

void
networks_free(struct networks *networks)
{
	if (!networks)
		return;
	prefixes_free(networks->prefixes);
	results_fini(&networks->results);
	free(networks);
}
