/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "conflux/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
text_fini(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}

void
text_reset(struct text *text)
{
	text->length = 0;
	text->failed = false;
	if (text->data)
		text->data[0] = 0;
}

/* Returns where more octets can be written (and a NUL after), or NULL. */
static char *
room(struct text *text, size_t more)
{
	size_t need = text->length + more + 1;
	size_t size = text->size ? text->size : 256;
	char *data;

	if (text->failed)
		return NULL;
	if (need > text->size) {
		while (size < need)
			size *= 2;
		data = realloc(text->data, size);
		if (!data) {
			text->failed = true;
			return NULL;
		}
		text->data = data;
		text->size = size;
	}
	return text->data + text->length;
}

void
text_add_bytes(struct text *text, const void *data, size_t length)
{
	char *p = room(text, length);

	if (!p)
		return;
	if (length)
		memcpy(p, data, length);
	p[length] = 0;
	text->length += length;
}

void
text_add(struct text *text, const char *string)
{
	text_add_bytes(text, string, strlen(string));
}

void
text_add_char(struct text *text, char c)
{
	text_add_bytes(text, &c, 1);
}

void
text_add_uint(struct text *text, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	text_add_bytes(text, digits + at, sizeof(digits) - at);
}

void
text_add_hex(struct text *text, const uint8_t *data, size_t length)
{
	static const char digit[] = "0123456789abcdef";
	char *p = room(text, length * 2);

	if (!p)
		return;
	for (size_t i = 0; i < length; i++) {
		*p++ = digit[data[i] >> 4];
		*p++ = digit[data[i] & 15];
	}
	*p = 0;
	text->length += length * 2;
}

int
text_error(char **error, int rc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vasprintf(error, format, args) < 0)
		*error = NULL;
	va_end(args);
	return rc;
}

void
text_printf(struct text *text, const char *format, ...)
{
	va_list args;
	char *p;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		return;
	p = room(text, (size_t)n);
	if (!p)
		return;
	va_start(args, format);
	vsnprintf(p, (size_t)n + 1, format, args);
	va_end(args);
	text->length += (size_t)n;
}

/*
 * The length of the UTF-8 sequence at p, 0 if there is none (RFC 3629: no
 * overlong form, no surrogate, nothing above U+10FFFF).
 */
static size_t
utf8_length(const uint8_t *p, size_t left)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (left < n)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

void
text_add_json(struct text *text, const void *data, size_t length)
{
	const uint8_t *p = data;

	text_add_char(text, '"');
	while (length) {
		size_t n = utf8_length(p, length);

		if (n == 0) {
			text_add(text, "\\ufffd");
			n = 1;
		} else if (*p == '"' || *p == '\\') {
			text_add_char(text, '\\');
			text_add_char(text, (char)*p);
		} else if (*p < 0x20 || *p == 0x7f) {
			text_printf(text, "\\u%04x", *p);
		} else if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0) {
			/* C1 control characters: terminals act on them. */
			text_printf(text, "\\u%04x", p[1]);
		} else {
			text_add_bytes(text, p, n);
		}
		p += n;
		length -= n;
	}
	text_add_char(text, '"');
}
