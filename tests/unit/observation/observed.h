/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A stage that keeps the records that an observer passes on, and frames made
 * from octets in hexadecimal.
 */
#ifndef CONFLUX_TESTS_OBSERVED_H
#define CONFLUX_TESTS_OBSERVED_H

#include <stdlib.h>
#include <string.h>

#include "conflux/observation.h"
#include "unit.h"

enum { OBSERVED_RECORDS = 1024, OBSERVED_OCTETS = 1024 * 1024 };

struct observed_record {
	const struct shape *shape; /* alive as long as the observer */
	const uint8_t *data;
	uint32_t length;
	enum options_kind options;
};

struct observed {
	struct stage stage;
	struct observed_record record[OBSERVED_RECORDS];
	unsigned records, batches;
	uint64_t export_ms;
	const struct scope *scope; /* valid while the observer is */
	uint8_t octets[OBSERVED_OCTETS];
	uint32_t used;
};

static inline void
observed_run(struct stage *stage, const struct batch *batch)
{
	struct observed *o = (struct observed *)stage;

	o->batches++;
	o->scope = batch->scope;
	o->export_ms = batch->export_ms;
	for (uint32_t i = 0; i < batch->count; i++) {
		struct observed_record *r = &o->record[o->records];
		const uint8_t *data = batch_record(batch, i, &r->length);

		if (o->records == OBSERVED_RECORDS ||
		    o->used + r->length > OBSERVED_OCTETS)
			return;
		memcpy(o->octets + o->used, data, r->length);
		r->data = o->octets + o->used;
		r->shape = batch->shape;
		r->options = batch->options;
		o->used += r->length;
		o->records++;
	}
}

static inline void
observed_free(struct stage *stage)
{
}

static const struct stage_ops observed_ops = {
	.run = observed_run,
	.free = observed_free,
};

static inline void
observed_init(struct observed *o)
{
	memset(&o->stage, 0, sizeof(o->stage));
	o->stage.ops = &observed_ops;
	o->records = o->batches = 0;
	o->used = 0;
	o->scope = NULL;
	o->export_ms = 0;
}

/* The content of a field, or NULL if the record has none like it. */
static inline const uint8_t *
observed_field(const struct observed_record *r, uint32_t pen, uint16_t id,
	       uint32_t *length)
{
	const uint8_t *at = r->data;
	int wanted = shape_find(r->shape, pen, id, 0);

	for (int i = 0; i <= wanted; i++) {
		*length = r->shape->field[i].length;
		if (*length == IE_VARIABLE) {
			*length = *at++;
			if (*length == 255) {
				*length = (uint32_t)at[0] << 8 | at[1];
				at += 2;
			}
		}
		if (i == wanted)
			return at;
		at += *length;
	}
	return NULL;
}

/* An unsigned integer of at most 8 octets; absent: all ones. */
static inline uint64_t
observed_uint(const struct observed_record *r, uint32_t pen, uint16_t id)
{
	uint32_t length;
	const uint8_t *p = observed_field(r, pen, id, &length);
	uint64_t v = 0;

	if (!p)
		return UINT64_MAX;
	for (uint32_t i = 0; i < length; i++)
		v = v << 8 | p[i];
	return v;
}

#endif
