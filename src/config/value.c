/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a leaf as the value its row asks for. Numbers are decimal with an
 * optional sign (RFC 6020 9.2.1; hexadecimal is for YANG modules only). Space
 * around a value is dropped, but kept, or refused, where the value is text.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conflux/nearest.h"
#include "tree.h"

static size_t
add_word(char *out, size_t at, size_t size, const char *word)
{
	size_t length = strlen(word);

	if (at + length >= size)
		length = size - at - 1;
	memcpy(out + at, word, length);
	out[at + length] = 0;
	return at + length;
}

static void
expect_number(const struct conf_row *row, char *out)
{
	if (row->min == row->max)
		snprintf(out, CONF_EXPECT_SIZE, "%llu",
			 (unsigned long long)row->min);
	else
		snprintf(out, CONF_EXPECT_SIZE, "%s from %llu to %llu",
		 row->units ? row->units : "a number",
		 (unsigned long long)row->min, (unsigned long long)row->max);
}

static void
expect_values(const struct conf_row *row, char *out)
{
	size_t at = add_word(out, 0, CONF_EXPECT_SIZE, "one of ");
	bool first = true;

	for (const char *const *v = row->values; *v; v++) {
		if (**v == '!')
			continue;
		if (!first)
			at = add_word(out, at, CONF_EXPECT_SIZE, ", ");
		at = add_word(out, at, CONF_EXPECT_SIZE, *v);
		first = false;
	}
}

static const char *
expect_plain(const struct conf_row *row)
{
	switch (row->type) {
	case CONF_EMPTY:
		return "nothing in it";
	case CONF_BOOL:
		return "true or false";
	case CONF_DECIMAL:
		return "a decimal number from 0 to 1";
	case CONF_NAME:
		return "text without space at its ends";
	case CONF_WORD:
		return "a name without space";
	case CONF_ADDRESS:
		return "an IPv4 or IPv6 address";
	case CONF_URI:
		return "file:///path";
	case CONF_PATH:
		return "the path of a file";
	case CONF_DOMAIN:
		return "a domain name";
	case CONF_TIME:
		return "a date and time";
	default:
		return "text";
	}
}

const char *
conf_expect(const struct conf_row *row, char out[CONF_EXPECT_SIZE])
{
	if (row->type == CONF_UINT)
		expect_number(row, out);
	else if (row->values)
		expect_values(row, out);
	else if (row->type == CONF_REF)
		snprintf(out, CONF_EXPECT_SIZE, "the name of one %s", row->ref);
	else if (row->max)
		snprintf(out, CONF_EXPECT_SIZE, "%u to %u octets of text",
			 (unsigned)row->min, (unsigned)row->max);
	else
		snprintf(out, CONF_EXPECT_SIZE, "%s", expect_plain(row));
	return out;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* 0, -EINVAL: no number, -ERANGE: out of the range of the row. */
static int
parse_number(const struct conf_row *row, const char *text, uint64_t *value)
{
	const char *digits = text;
	bool minus = *digits == '-';
	char *end;

	if (*digits == '-' || *digits == '+')
		digits++;
	if (!isdigit((unsigned char)*digits))
		return -EINVAL;
	errno = 0;
	*value = strtoull(digits, &end, 10);
	if (*end)
		return -EINVAL;
	if (errno || (minus && *value) || *value < row->min ||
	    *value > row->max)
		return -ERANGE;
	return 0;
}

/* decimal64 with 18 digits after the point, 0 to 1. */
static int
parse_decimal(const char *text)
{
	const char *p = text;
	unsigned digits = 0;
	bool one, more = false;

	if (*p == '+')
		p++;
	if ((*p != '0' && *p != '1') || (p[1] && p[1] != '.'))
		return isdigit((unsigned char)*p) ? -ERANGE : -EINVAL;
	one = *p++ == '1';
	if (!*p)
		return 0;
	for (p++; isdigit((unsigned char)*p); p++, digits++)
		more |= *p != '0';
	if (*p || digits == 0 || digits > 18)
		return -EINVAL;
	return one && more ? -ERANGE : 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * The path of a file URI (RFC 8089): file:/path, file:///path or
 * file://localhost/path, %XX decoded in place. NULL: it is none.
 */
static char *
uri_path(const char *uri)
{
	char *path, *out;

	if (strncasecmp(uri, "file:", 5) != 0)
		return NULL;
	uri += 5;
	if (strncmp(uri, "//", 2) == 0) {
		uri += 2;
		if (strncasecmp(uri, "localhost/", 10) == 0)
			uri += 9;
	}
	if (*uri != '/' || !uri[1])
		return NULL;
	path = out = strdup(uri);
	for (; path && *uri; uri++) {
		if (*uri == '%') {
			int hi = hex_digit(uri[1]);
			int lo = hi < 0 ? -1 : hex_digit(uri[2]);

			if (lo < 0 || hi * 16 + lo == 0) {
				free(path);
				return NULL;
			}
			*out++ = (char)(hi * 16 + lo);
			uri += 2;
		} else {
			*out++ = *uri;
		}
	}
	if (path)
		*out = 0;
	return path;
}

static char *
full_path(const char *text, const char *folder)
{
	size_t size;
	char *path;

	if (*text == '/' || !folder)
		return strdup(text);
	size = strlen(folder) + strlen(text) + 2;
	path = malloc(size);
	if (path)
		snprintf(path, size, "%s/%s", folder, text);
	return path;
}

static bool
has_space(const char *text)
{
	for (; *text; text++)
		if (is_space(*text))
			return true;
	return false;
}

/* 0 or -EINVAL (wrong form) or -ERANGE (wrong length). */
static int
check_text(const struct conf_row *row, const char *text)
{
	size_t length = strlen(text);

	if (row->min && length < row->min)
		return -ERANGE;
	if (row->max && length > row->max)
		return -ERANGE;
	switch (row->type) {
	case CONF_NAME:
		return length == 0 || is_space(*text) ||
			       is_space(text[length - 1])
			   ? -EINVAL
			   : 0;
	case CONF_WORD:
	case CONF_DOMAIN:
	case CONF_PATH:
	case CONF_URI:
		return length == 0 ||
			       (row->type != CONF_PATH && has_space(text))
			   ? -EINVAL
			   : 0;
	default:
		return 0;
	}
}

/* -ENOTSUP: a value that the model has, but not this build. */
static int
check_value(const struct conf_row *row, const char *text)
{
	for (const char *const *v = row->values; *v; v++) {
		if (strcmp(*v, text) == 0 && *text != '!')
			return 0;
		if (**v == '!' && strcmp(*v + 1, text) == 0)
			return -ENOTSUP;
	}
	return -EINVAL;
}

static int
parse_path(struct conf_node *node, const char *text, const char *folder)
{
	int ret = check_text(node->row, text);

	if (ret)
		return ret;
	if (node->row->type == CONF_URI) {
		node->path = uri_path(text);
		return node->path ? 0 : -EINVAL;
	}
	node->path = full_path(text, folder);
	return node->path ? 0 : -ENOMEM;
}

static int
parse(struct conf_node *node, const char *text, const char *folder)
{
	const struct conf_row *row = node->row;

	switch (row->type) {
	case CONF_EMPTY:
		node->number = 1;
		return *text ? -EINVAL : 0;
	case CONF_BOOL:
		node->number = strcmp(text, "true") == 0;
		return node->number || strcmp(text, "false") == 0 ? 0 : -EINVAL;
	case CONF_UINT:
		return parse_number(row, text, &node->number);
	case CONF_DECIMAL:
		return parse_decimal(text);
	case CONF_ADDRESS:
		return addr_parse(&node->addr, text, 0);
	case CONF_ENUM:
	case CONF_IDENTITY:
		return check_value(row, text);
	case CONF_URI:
	case CONF_PATH:
		return parse_path(node, text, folder);
	default:
		return check_text(row, text);
	}
}

static const char *
what_is_wrong(const struct conf_row *row, const char *text, int ret)
{
	bool number = row->type == CONF_UINT || row->type == CONF_DECIMAL;

	if (ret == -ENOTSUP)
		return "is not in this build";
	if (*text == 0)
		return "is empty";
	if (ret == -ERANGE)
		return number ? "is out of range" : "has a wrong length";
	switch (row->type) {
	case CONF_UINT:
	case CONF_DECIMAL:
		return "is no number";
	case CONF_ADDRESS:
		return "is no IP address";
	case CONF_NAME:
	case CONF_WORD:
	case CONF_DOMAIN:
		return "has space in a wrong place";
	case CONF_URI:
		return "is no URI of a file";
	case CONF_EMPTY:
		return "is text";
	default:
		return "is no value of this element";
	}
}

/* The value most like text, or NULL. */
static const char *
nearest_value(const struct conf_row *row, const char *text)
{
	unsigned distance = nearest_start(text);
	const char *best = NULL;

	for (const char *const *v = row->values; v && *v; v++)
		if (**v != '!' && nearest_closer(text, *v, &distance))
			best = *v;
	return best;
}

static void
report(const struct conf_node *node, const char *text, int ret,
       struct conf_errors *errors)
{
	char expect[CONF_EXPECT_SIZE], quote[CONF_QUOTE_SIZE];
	char shown[CONF_SHOWN_SIZE];
	const struct conf_row *row = node->row;
	const char *near = nearest_value(row, text);
	const char *wrong = what_is_wrong(row, text, ret);

	conf_row_shown(row, shown);
	conf_expect(row, expect);
	if (row->secret)
		conf_error(errors, node->line, shown,
			   "the secret %s, expected %s", wrong, expect);
	else if (near)
		conf_error(errors, node->line, shown,
			   "%s %s, expected %s, nearest is %s",
			   conf_quote(text, quote), wrong, expect, near);
	else
		conf_error(errors, node->line, shown, "%s %s, expected %s",
			   *text ? conf_quote(text, quote) : "the value", wrong,
			   expect);
}

/* Text whose spaces mean something keeps them. */
static bool
keeps_space(enum conf_type type)
{
	return type == CONF_STRING || type == CONF_NAME || type == CONF_WORD ||
	       type == CONF_REF || type == CONF_PATH;
}

static char *
canonical(const struct conf_node *node, const char *text)
{
	char number[24];

	if (node->row->type != CONF_UINT)
		return strdup(text);
	snprintf(number, sizeof(number), "%llu",
		 (unsigned long long)node->number);
	return strdup(number);
}

int
conf_value_set(struct conf_node *node, const char *text, const char *folder,
	       struct conf_errors *errors)
{
	char *copy;
	char *start;
	size_t length;
	int ret;

	copy = start = strdup(text);
	if (!copy)
		return -ENOMEM;
	if (!keeps_space(node->row->type)) {
		while (is_space(*start))
			start++;
		for (length = strlen(start);
		     length && is_space(start[length - 1]); length--)
			start[length - 1] = 0;
	}
	ret = parse(node, start, folder);
	if (ret == 0) {
		node->text = canonical(node, start);
		ret = node->text ? 0 : -ENOMEM;
	} else if (ret != -ENOMEM) {
		report(node, start, ret, errors);
		ret = 0;
	}
	free(copy);
	return ret;
}
