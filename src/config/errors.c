/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The list of what is wrong with a document, and the words for it. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/text.h"
#include "tree.h"

static void
error_add(struct conf_errors *errors, struct conf_error error)
{
	if (error.warning)
		errors->warnings++;
	else
		errors->errors++;
	if (errors->count >= CONF_ERRORS_MAX || !error.text)
		goto drop;
	if (errors->count == errors->size) {
		size_t size = errors->size ? errors->size * 2 : 16;
		struct conf_error *list =
		    realloc(errors->list, size * sizeof(*list));

		if (!list)
			goto drop;
		errors->list = list;
		errors->size = size;
	}
	errors->list[errors->count++] = error;
	return;
drop:
	errors->dropped++;
	free(error.text);
}

static char *
error_text(const char *element, bool warning, const char *format, va_list args)
{
	struct text text = {0};
	char line[1024];

	vsnprintf(line, sizeof(line), format, args);
	if (element)
		text_printf(&text, "%s: ", element);
	if (warning)
		text_add(&text, "warning: ");
	text_add(&text, line);
	if (text.failed) {
		text_fini(&text);
		return NULL;
	}
	return text.data;
}

void
conf_error(struct conf_errors *errors, unsigned line, const char *element,
	   const char *format, ...)
{
	struct conf_error error = {.line = line};
	va_list args;

	va_start(args, format);
	error.text = error_text(element, false, format, args);
	va_end(args);
	error_add(errors, error);
}

void
conf_warning(struct conf_errors *errors, unsigned line, const char *element,
	     const char *format, ...)
{
	struct conf_error error = {.line = line, .warning = true};
	va_list args;

	va_start(args, format);
	error.text = error_text(element, true, format, args);
	va_end(args);
	error_add(errors, error);
}

void
conf_errors_add(struct conf_errors *errors, const struct conf_node *node,
		const char *text)
{
	char shown[CONF_SHOWN_SIZE];

	conf_error(errors, node->line, conf_row_shown(node->row, shown), "%s",
		   text);
	conf_errors_sort(errors);
}

void
conf_warnings_add(struct conf_errors *errors, const struct conf_node *node,
		  const char *text)
{
	char shown[CONF_SHOWN_SIZE];

	conf_warning(errors, node->line, conf_row_shown(node->row, shown),
		     "%s", text);
	conf_errors_sort(errors);
}

/* By line; those of one line stay in the order they were found (no qsort). */
void
conf_errors_sort(struct conf_errors *errors)
{
	for (size_t i = 1; i < errors->count; i++) {
		struct conf_error error = errors->list[i];
		size_t k = i;

		for (; k > 0 && errors->list[k - 1].line > error.line; k--)
			errors->list[k] = errors->list[k - 1];
		errors->list[k] = error;
	}
}

void
conf_errors_print(const struct conf_errors *errors, const char *file, FILE *out)
{
	for (size_t i = 0; i < errors->count; i++) {
		const struct conf_error *e = &errors->list[i];

		if (e->line)
			fprintf(out, "%s:%u: %s\n", file, e->line, e->text);
		else
			fprintf(out, "%s: %s\n", file, e->text);
	}
	if (errors->dropped)
		fprintf(out, "%s: and %zu more\n", file, errors->dropped);
}

void
conf_errors_fini(struct conf_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		free(errors->list[i].text);
	free(errors->list);
	memset(errors, 0, sizeof(*errors));
}

const char *
conf_quote(const char *text, char out[CONF_QUOTE_SIZE])
{
	size_t n = 0;

	out[n++] = '"';
	for (; *text; text++) {
		if (n >= CONF_QUOTE_SIZE - 6) {
			out[n++] = '.';
			out[n++] = '.';
			out[n++] = '.';
			break;
		}
		out[n++] =
		    (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text;
	}
	out[n++] = '"';
	out[n] = 0;
	return out;
}

const char *
conf_row_shown(const struct conf_row *row, char shown[CONF_SHOWN_SIZE])
{
	snprintf(shown, CONF_SHOWN_SIZE, "%s%s", row->cx ? "cx:" : "",
		 row->name);
	return shown;
}
