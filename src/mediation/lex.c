/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to tokens. What a word means (an address, a number, a name) is not
 * known here; it ends where a space, a comma, a sign or a bracket begins.
 * From # to the end of a line is a comment.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conflux/text.h"
#include "internal.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

enum { SHOWN_MAX = 100, SHOWN_BEFORE = 60 }; /* octets of a line */

/* Longer ones first. && and || and ! are words in another dress. */
static const struct {
	const char *text;
	enum token_kind kind;
	enum comparison how;
} signs[] = {
	{"==", TOKEN_COMPARISON, COMPARE_EQ},
	{"!=", TOKEN_COMPARISON, COMPARE_NE},
	{"<=", TOKEN_COMPARISON, COMPARE_LE},
	{">=", TOKEN_COMPARISON, COMPARE_GE},
	{"&&", TOKEN_WORD, COMPARE_NONE},
	{"||", TOKEN_WORD, COMPARE_NONE},
	{"=", TOKEN_COMPARISON, COMPARE_EQ},
	{"<", TOKEN_COMPARISON, COMPARE_LT},
	{">", TOKEN_COMPARISON, COMPARE_GT},
	{"&", TOKEN_COMPARISON, COMPARE_ANY},
	{"!", TOKEN_WORD, COMPARE_NONE},
	{"(", TOKEN_PARENTHESIS, COMPARE_NONE},
	{")", TOKEN_PARENTHESIS_END, COMPARE_NONE},
	{"[", TOKEN_BRACKET, COMPARE_NONE},
	{"]", TOKEN_BRACKET_END, COMPARE_NONE},
	{",", TOKEN_COMMA, COMPARE_NONE},
};

static const struct {
	const char *text;
	enum comparison how;
} comparisons[] = {
	{"eq", COMPARE_EQ},
	{"ne", COMPARE_NE},
	{"lt", COMPARE_LT},
	{"le", COMPARE_LE},
	{"gt", COMPARE_GT},
	{"ge", COMPARE_GE},
	{"in", COMPARE_IN},
	{"has", COMPARE_HAS},
	{"contains", COMPARE_CONTAINS},
	{"like", COMPARE_LIKE},
};

bool
token_is(const struct token *token, const char *word)
{
	return token->kind == TOKEN_WORD && token->length == strlen(word) &&
	       strncasecmp(token->at, word, token->length) == 0;
}

/* ---- errors ------------------------------------------------------------ */

/* Is it the first octet of a character? */
static bool
begins_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

/* The line of the text, not more of it than fits, and a caret below at. */
static void
show_place(struct text *out, const char *line, const char *at)
{
	const char *from = line, *end = line + strcspn(line, "\n");
	const char *c;

	if (end - from > SHOWN_MAX && at - from > SHOWN_BEFORE) {
		from = at - SHOWN_BEFORE;
		while (from < at && !begins_character(*from))
			from++;
	}
	text_add(out, "\n  ");
	for (c = from; c < end && (c < at || c - from < SHOWN_MAX ||
				   !begins_character(*c));
	     c++)
		text_add_char(out, iscntrl((unsigned char)*c) && *c != '\t'
					   ? ' '
					   : *c);
	text_add(out, "\n  ");
	for (c = from; c < at; c++)
		if (begins_character(*c))
			text_add_char(out, *c == '\t' ? '\t' : ' ');
	text_add_char(out, '^');
}

int
parse_error(struct parser *p, const char *at, const char *format, ...)
{
	struct filter_error *error = p->error;
	struct text out = {0};
	const char *line = p->text;
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	*error = (struct filter_error){.line = 1, .column = 1};
	for (const char *c = p->text; c < at; c++) {
		error->column += begins_character(*c);
		if (*c == '\n') {
			line = c + 1;
			error->line++;
			error->column = 1;
		}
	}
	if (error->line > 1)
		text_printf(&out, "line %u, ", error->line);
	text_printf(&out, "column %u: %s", error->column, message);
	show_place(&out, line, at);
	if (out.failed)
		text_fini(&out);
	error->text = out.data;
	return -EINVAL;
}

/* ---- tokens ------------------------------------------------------------ */

static const char *
skip_space(const char *c)
{
	for (;; c++) {
		if (*c == '#')
			c += strcspn(c, "\n");
		if (!isspace((unsigned char)*c))
			return c;
	}
}

static bool
in_word(char c)
{
	return c && !isspace((unsigned char)c) && !strchr("=!<>&|()[],\"'#", c);
}

/* From the quote on; a backslash takes the octet behind it as it is. */
static int
lex_string(struct parser *p, const char *from)
{
	const char *c = from + 1;

	while (*c && *c != *from) {
		if (*c == '\\' && c[1])
			c++;
		c++;
	}
	if (!*c)
		return parse_error(p, from,
				   "the string does not end, expected "
				   "another %c",
				   *from);
	p->token = (struct token){
		.kind = TOKEN_STRING,
		.at = from,
		.length = (size_t)(c + 1 - from),
	};
	p->end = c + 1;
	return 0;
}

static int
lex_word(struct parser *p, const char *from)
{
	const char *c = from;
	struct token *token = &p->token;

	while (in_word(*c))
		c++;
	if (c == from)
		return parse_error(p, from,
				   "\"%c\" begins nothing, expected "
				   "\"||\"",
				   *from);
	*token = (struct token){
		.kind = TOKEN_WORD,
		.at = from,
		.length = (size_t)(c - from),
	};
	p->end = c;
	for (size_t i = 0; i < COUNT(comparisons); i++)
		if (token_is(token, comparisons[i].text))
			token->how = comparisons[i].how;
	return 0;
}

int
lex_next(struct parser *p)
{
	const char *c = skip_space(p->end);

	if (!*c) {
		p->token = (struct token){.kind = TOKEN_END, .at = c};
		p->end = c;
		return 0;
	}
	if (*c == '"' || *c == '\'')
		return lex_string(p, c);
	for (size_t i = 0; i < COUNT(signs); i++) {
		size_t length = strlen(signs[i].text);

		if (strncmp(c, signs[i].text, length) != 0)
			continue;
		p->token = (struct token){
			.kind = signs[i].kind,
			.how = signs[i].how,
			.at = c,
			.length = length,
		};
		p->end = c + length;
		return 0;
	}
	return lex_word(p, c);
}

int
token_text(const struct token *token, char out[WORD_SIZE])
{
	const char *c = token->at, *end = c + token->length;
	int n = 0;

	if (token->kind == TOKEN_STRING) {
		c++;
		end--;
	}
	for (; c < end; c++) {
		if (token->kind == TOKEN_STRING && *c == '\\')
			c++;
		if (n == WORD_SIZE - 1)
			return -EINVAL;
		out[n++] = *c;
	}
	out[n] = 0;
	return n;
}
