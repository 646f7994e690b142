/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the three files of format.h share. */
#ifndef CONFLUX_RECORD_FORMAT_VALUE_H
#define CONFLUX_RECORD_FORMAT_VALUE_H

#include "conflux/format.h"
#include "conflux/wire.h"

enum {
	FORMAT_DEPTH = 16,       /* lists in lists */
	FORMAT_BUDGET = 1 << 17, /* values in lists, per record */
};

struct formatter {
	struct text *out;
	const struct format_context *context; /* or NULL */
	bool json;       /* values quoted as JSON wants it */
	unsigned depth;  /* of lists */
	uint32_t budget; /* values that may yet be printed in lists */
};

/* A value of any type and length. */
void format_value(struct formatter *f, const struct ie *ie,
		  const uint8_t *value, uint32_t length);

/* Octets in hexadecimal, in quotes for JSON. */
void format_octets(struct formatter *f, const uint8_t *value, uint32_t length);

/* A string, in quotes for JSON; control characters escaped in any case. */
void format_string(struct formatter *f, const uint8_t *value, size_t length);

/*
 * Structured data, always as JSON. false: malformed, too deep or too large;
 * nothing was written then.
 */
bool format_list(struct formatter *f, uint8_t type, const uint8_t *value,
		 uint32_t length);

/* A record as a JSON object. */
void format_object(struct formatter *f, const struct shape *shape,
		   const uint8_t *record, uint32_t length);

/* The next field's value, or NULL if the record ends before it does. */
static inline const uint8_t *
format_take(struct reader *r, const struct field *field, uint32_t *length)
{
	*length = field->length == IE_VARIABLE ? (uint32_t)reader_varlen(r)
					       : field->length;
	return reader_take(r, *length);
}

#endif
