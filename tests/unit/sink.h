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

#endif
