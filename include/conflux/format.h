/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Records for people: one JSON line, one line of text, or CSV. Times are
 * printed as ISO 8601 UTC with the resolution of their element, addresses in
 * their usual form, numbers of any reduced size as numbers, strings as strings,
 * octets as hexadecimal, structured data as nested objects. The same element
 * twice becomes an array in JSON.
 *
 * Input may be hostile: whatever a value's octets and length are, the output is
 * well formed. A value that does not fit its type is printed as hexadecimal.
 */
#ifndef CONFLUX_FORMAT_H
#define CONFLUX_FORMAT_H

#include "conflux/shape.h"
#include "conflux/text.h"

/*
 * What structured data (RFC 6313) needs to be printed in full: names of the
 * elements in a basicList, and the Templates that subTemplateLists refer to,
 * in the scope of the record (NULL: not known). Without it, elements are named
 * like unknown ones ("e0id8"), and nested records are hexadecimal.
 */
struct format_context {
	const struct ie_registry *registry;
	const struct shape *(*shape_of)(void *arg, uint16_t template_id);
	void *arg;
};

enum format {
	FORMAT_TEXT,
	FORMAT_JSON,
	FORMAT_CSV,
};

/* "text", "json", "csv", or -EINVAL. */
int format_parse(const char *name);

/* A record without a newline. context may be NULL. */
void format_record(struct text *out, enum format format,
		   const struct format_context *context,
		   const struct shape *shape, const uint8_t *record,
		   uint32_t length);

/* One field's value as it stands in JSON (quoted where need be). */
void format_value_json(struct text *out, const struct ie *ie,
		       const uint8_t *value, uint32_t length);

/* The same for text and CSV: no quotes, no control characters. */
void format_value_text(struct text *out, const struct ie *ie,
		       const uint8_t *value, uint32_t length);

/* {"sourceIPv4Address":"192.0.2.1",...} without a newline. */
void format_record_json(struct text *out, const struct shape *shape,
			const uint8_t *record, uint32_t length);

/* name=value name=value ... Values with a space or a quote are in quotes. */
void format_record_text(struct text *out, const struct shape *shape,
			const uint8_t *record, uint32_t length);

/* CSV (RFC 4180): the header line of a shape, and a line of values. */
void format_header_csv(struct text *out, const struct shape *shape);
void format_record_csv(struct text *out, const struct shape *shape,
		       const uint8_t *record, uint32_t length);

#endif
