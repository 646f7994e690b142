/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a pipeline under test. A test's own sink begins with it, has a
 * run of its own, and lives where the test puts it: nothing frees it.
 */
#ifndef CONFLUX_TESTS_SINK_H
#define CONFLUX_TESTS_SINK_H

#include "conflux/stage.h"

struct unit_sink {
	struct stage stage;
	bool congested; /* what it says when it is asked */
};

static inline bool
unit_sink_congested(const struct stage *stage)
{
	return ((const struct unit_sink *)stage)->congested;
}

/* The number in the first field of an element in a record; 0: there is none. */
static inline uint64_t
unit_field(const struct batch *batch, uint32_t i, uint32_t pen, uint16_t id)
{
	uint32_t size;
	const uint8_t *record = batch_record(batch, i, &size);
	uint64_t value = 0;

	shape_uint(batch->shape, shape_find(batch->shape, pen, id, 0), record,
		   size, &value);
	return value;
}

#endif
