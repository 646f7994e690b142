/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing text buffer, and on it a writer for a tree of named values that is
 * shown either as indented text or as JSON: state, ledgers and records use it.
 */
#ifndef CONFLUX_TEXT_H
#define CONFLUX_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *data; /* NUL terminated once anything was added; NULL at first */
	size_t length;
	size_t size;
	bool failed; /* out of memory: what follows is not added */
};

/* Zero initialised is empty. text_reset keeps the memory. */
void text_fini(struct text *text);
void text_reset(struct text *text);
void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const void *data, size_t length);
void text_add_char(struct text *text, char c);
void text_add_uint(struct text *text, uint64_t value);
void text_add_hex(struct text *text, const uint8_t *data, size_t length);
void text_printf(struct text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * A message for the user in *error, which is to be freed; NULL without memory.
 * Returns rc.
 */
int text_error(char **error, int rc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * A JSON string with quotes; octets that are not valid UTF-8 are written as
 * U+FFFD, so that the output is always valid JSON.
 */
void text_add_json(struct text *text, const void *data, size_t length);

/*
 * A tree of named values. Lists hold nodes of the same name: JSON gets one
 * array, text gets each node with its name. In text, a node that has nothing
 * but values is one line if it fits into 80 columns.
 *
 *	report_open(r, "cache");          an object
 *	report_text(r, "name", "c1");
 *	report_uint(r, "activeFlows", 3);
 *	report_close(r);
 *	report_list(r, "transportSession");
 *	  report_item(r); ... report_close(r);
 *	report_end_list(r);
 *
 * Peers can make some lists long: those go on only while report_room says so.
 * From REPORT_OCTETS on it does not, and the report ends with "cx:leftOut".
 */
#define REPORT_DEPTH 16
#define REPORT_OCTETS (8u << 20)

struct report {
	struct text *out; /* not owned */
	bool json;
	bool left_out; /* there was no room for something */
	unsigned depth;
	struct {
		const char *name; /* of a list */
		size_t start;     /* of a node's values in the text */
		bool list;
		bool comma;
		bool nested;      /* has nodes in it */
	} level[REPORT_DEPTH];
};

void report_begin(struct report *r, struct text *out, bool json);
void report_end(struct report *r);
bool report_room(struct report *r);
void report_open(struct report *r, const char *name);
void report_close(struct report *r);
void report_list(struct report *r, const char *name);
void report_item(struct report *r);
void report_end_list(struct report *r);
void report_uint(struct report *r, const char *name, uint64_t value);
void report_text(struct report *r, const char *name, const char *value);
void report_bool(struct report *r, const char *name, bool value);

#endif
