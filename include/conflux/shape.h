/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A shape is an ordered list of fields: the layout of a Data Record. Shapes are
 * hash-consed, so equal field lists are one object and are compared by
 * pointer. An IPFIX Template is a shape with an id; so are the rows of a meter
 * read by SNMP and the records that a cache exports. One table per worker.
 */
#ifndef CONFLUX_SHAPE_H
#define CONFLUX_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "conflux/ie.h"

enum {
	SHAPE_FIELDS_MAX = 4096,  /* hard bound; configuration asks for less */
	SHAPE_RECORD_MAX = 65515, /* octets: a message less its header and that
				   * of a set */
	FIELD_NO_OFFSET = 0xffff, /* behind a variable-length field */
};

struct field {
	const struct ie *ie;
	uint16_t length; /* octets on the wire, or IE_VARIABLE */
	uint16_t offset; /* from the start of the record, or FIELD_NO_OFFSET */
};

/*
 * What was done to the values of a field to hide what they were: the
 * anonymizationTechnique and anonymizationFlags of RFC 6235 section 6.2.
 * Zeros: nothing is said about it. The Exporting Process declares it.
 */
struct field_mark {
	uint8_t technique;
	uint8_t flags;
};

struct shape {
	uint32_t hash;
	uint32_t holds;       /* reference count, see shape_hold */
	uint32_t serial;      /* unique in its table, never used again */
	uint16_t count;       /* fields */
	uint16_t scope_count; /* leading scope fields; 0: not options */
	uint32_t min_length;  /* octets of the shortest record */
	bool variable;        /* has a variable-length field */
	uint16_t variable_count;
	uint32_t *gap; /* fixed octets before each variable-length field, and
			* behind the last one: variable_count + 1 entries */
	struct shape_table *table;
	struct field_mark *mark; /* of each field; NULL: none has one */
	struct field field[];
};

struct shape_table;

/* max_shapes bounds the shapes alive at one time. */
struct shape_table *shape_table_new(uint32_t max_shapes);
/* All shapes must have been released. */
void shape_table_free(struct shape_table *table);

/*
 * Finds or makes the shape with these fields (offset is ignored and computed)
 * and holds it for the caller. *out is set on success. -EINVAL: count 0, over
 * SHAPE_FIELDS_MAX, scope_count > count, or a shortest record of 0 or of more
 * than SHAPE_RECORD_MAX octets; -ENOSPC; -ENOMEM.
 */
int shape_get(struct shape_table *table, const struct field *fields,
	      uint16_t count, uint16_t scope_count, const struct shape **out);

/*
 * The same for fields with marks, one for each field: with others it is another
 * shape, and so another Template. All zeros, or NULL: as shape_get.
 */
int shape_get_marked(struct shape_table *table, const struct field *fields,
		     const struct field_mark *marks, uint16_t count,
		     uint16_t scope_count, const struct shape **out);

/* The same fields, whatever is said of them? */
bool shape_alike(const struct shape *a, const struct shape *b);

/* Each hold needs one release; the last one frees the shape. NULL is legal. */
const struct shape *shape_hold(const struct shape *shape);
void shape_release(const struct shape *shape);

/*
 * Index of the n-th (from 0) field with this element, or -1: the same element
 * may appear several times (RFC 7011 section 8).
 */
int shape_find(const struct shape *shape, uint32_t pen, uint16_t id,
	       unsigned n);

/* What is said of a field; zeros: nothing. */
static inline struct field_mark
shape_mark(const struct shape *shape, uint16_t field)
{
	return shape->mark ? shape->mark[field] : (struct field_mark){0, 0};
}

/*
 * The octets of one field of a record of size octets, and how many: quick if
 * nothing before it has a variable length. NULL if field is negative or the
 * record ends too soon.
 */
const uint8_t *shape_field(const struct shape *shape, int field,
			   const uint8_t *record, uint32_t size,
			   uint32_t *length);

/*
 * The same of an unsigned number, which may have any length up to 8 octets
 * (RFC 7011 section 6.2). False: there is none, and *value stays as it is.
 */
bool shape_uint(const struct shape *shape, int field, const uint8_t *record,
		uint32_t size, uint64_t *value);

/*
 * The length of the record at p, of which left octets may be read, or -EBADMSG
 * if it does not end there. Walks variable-length fields.
 */
int shape_record_length(const struct shape *shape, const uint8_t *p,
			uint32_t left);

/*
 * Where the fields of a whole record begin, a variable one with its length (RFC
 * 7011 section 7); in at[count] the end. at has room for count + 1.
 */
void shape_offsets(const struct shape *shape, const uint8_t *record,
		   uint32_t *at);

#endif
