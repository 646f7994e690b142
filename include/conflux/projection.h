/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Projections: compiled programs between wire format records (batches) and
 * fixed-size rows in memory. Decoding, converting and encoding of records is
 * this one mechanism; nobody else reads fields of records one by one on the
 * hot path.
 *
 * A row is described by slots. Addresses, identifiers and all that is only
 * compared or kept stay in network byte order (SLOT_BYTES), so neighbours in
 * the record that are neighbours in the row are copied together; what is
 * calculated with is a 64 bit number in host order (SLOT_UINT, SLOT_TIME);
 * variable-length values are handles of a store of shared strings (SLOT_VAR).
 */
#ifndef CONFLUX_PROJECTION_H
#define CONFLUX_PROJECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "conflux/stage.h"
#include "conflux/var.h"

enum slot_kind {
	SLOT_BYTES, /* width octets; integers right-aligned and extended */
	SLOT_UINT,  /* uint64_t */
	SLOT_TIME,  /* uint64_t: nanoseconds since 1970 */
	SLOT_VAR,   /* uint32_t: handle in a var_store */
};

struct slot {
	const struct ie *ie;   /* what it is, and how it is encoded */
	uint8_t kind;          /* enum slot_kind */
	int16_t prefix_length; /* bits of an address that are kept, -1: all */
	uint16_t offset;       /* in the row; SLOT_UINT, _TIME: multiple of 8,
				* SLOT_VAR: of 4 */
	uint16_t width;        /* octets in the row */
	uint16_t wire_length;  /* octets when encoded, or IE_VARIABLE */
	struct field_mark mark; /* of the field when encoded */
};

/* The kind of slot that suits an element, and its natural width. */
enum slot_kind slot_kind_of(const struct ie *ie, bool calculated);
uint16_t slot_width_of(const struct ie *ie, enum slot_kind kind);

/* Does this element hold a point in time, in whichever encoding? */
bool ie_is_time(const struct ie *ie);

/* ---- where the value of a slot comes from ------------------------------ */

enum source_kind {
	SOURCE_NONE,     /* the records do not have it */
	SOURCE_FIELD,    /* field of the record, converted as need be */
	SOURCE_CONSTANT, /* the same number for all */
	SOURCE_SCOPE,    /* from batch->scope or the batch: see element */
	SOURCE_DURATION, /* end: start plus duration; start: end minus it */
};

struct source {
	enum source_kind kind;
	uint16_t field;    /* FIELD; DURATION: the start or end */
	uint16_t duration; /* DURATION: the duration's field */
	uint16_t init;     /* sysUpTime: field with systemInitTime, or none */
	uint64_t constant;
	uint16_t element;  /* SCOPE: IANA id, for example 149 */
};

enum { SOURCE_NO_FIELD = 0xffff };

/*
 * Finds what can feed an element: the element itself, another encoding of the
 * same time, the address for its prefix and the other way round, the IP version
 * that the addresses tell, what the scope knows (exporter's address and port,
 * Observation Domain, collector, original* where the record has none).
 * Times relative to sysUpTime need an init time in record or scope.
 */
void source_find(const struct shape *shape, const struct scope *scope,
		 const struct ie *wanted, struct source *out);

/*
 * What of a scope source_find looks at, as a small number: projections made
 * for one scope fit all scopes with the same class.
 */
unsigned scope_class(const struct scope *scope);

/* ---- decoding: batch to rows ------------------------------------------- */

struct decoder;

/* strings may be NULL if no slot is SLOT_VAR. Holds the shape. */
int decoder_new(const struct shape *shape, struct var_store *strings,
		struct decoder **out);
void decoder_free(struct decoder *decoder);

/* Plans slot from source; the slots of neighbouring fields are fused. */
int decoder_add(struct decoder *decoder, const struct slot *slot,
		const struct source *source);
int decoder_finish(struct decoder *decoder);

/*
 * Fills the slots of rows[0] to rows[count - 1], stride octets apart. Octets
 * outside the slots are not touched. bad[i] is set to 1 for a record that
 * could not be taken because the store of strings was full, else to 0;
 * returns the number of such records.
 */
uint32_t decoder_run(struct decoder *decoder, const struct batch *batch,
		     uint8_t *rows, uint32_t stride, uint8_t *bad);

/* ---- encoding: rows to batch ------------------------------------------- */

struct encoder;

/*
 * Slots in the order of the record. The shape is found in shapes and held.
 * Times are converted to the encoding of their element; a number that does
 * not fit into a reduced wire_length is written as the greatest that fits.
 */
int encoder_new(const struct slot *slots, unsigned count,
		const struct var_store *strings, struct shape_table *shapes,
		struct encoder **out);
void encoder_free(struct encoder *encoder);
const struct shape *encoder_shape(const struct encoder *encoder);

enum { ENCODER_BUFFER = 128 * 1024 };

/*
 * Encodes rows[0..count) into buffer (ENCODER_BUFFER octets) and describes them
 * in batch (shape, base, count, stride, offset); the rest of batch is the
 * caller's. Returns how many rows it took: as many as fit, at most BATCH_MAX; 0
 * if already the first one is longer than a record can be. offset has
 * BATCH_MAX + 1 entries.
 */
uint32_t encoder_run(const struct encoder *encoder,
		     const uint8_t *const *rows, uint32_t count,
		     uint8_t *buffer, uint32_t *offset, struct batch *batch);

#endif
