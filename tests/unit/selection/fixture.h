/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A Selection Process between records that a test feeds and a stage of the test
 * that looks at what comes out.
 */
#ifndef CONFLUX_TESTS_SELECTION_FIXTURE_H
#define CONFLUX_TESTS_SELECTION_FIXTURE_H

#include "conflux/selection.h"
#include "unit.h"

enum { SEQUENCE_ID = 5, POINT_ID = 3, DOMAIN_IN = 3, DOMAIN_OUT = 7 };

/* Made by main. */
static struct ie_registry *registry;
static struct shape_table *shapes;
static const struct shape *shape; /* of the records that go in */
static struct scope scope;	  /* where they are from */

/* overload: NULL for none. */
static inline struct stage *
selection_open(const struct selector_conf *selectors, unsigned count,
	       const struct overload_conf *overload, struct stage *next)
{
	struct selection_conf conf = {
		.name = "test",
		.sequence_id = SEQUENCE_ID,
		.point_id = POINT_ID,
		.domain = DOMAIN_OUT,
		.selectors = selectors,
		.selector_count = count,
		.seed = 1,
	};
	struct stage *stage = NULL;
	char *error = NULL;

	if (overload)
		conf.overload = *overload;
	CU_ASSERT_EQUAL_FATAL(
		selection_new(&conf, registry, shapes, &stage, &error), 0);
	CU_ASSERT_EQUAL(stage_link(stage, next), 0);
	return stage;
}

static inline void
selection_close(struct stage *stage)
{
	CU_ASSERT(ledger_balanced(&stage->ledger));
	stage_free(stage);
}

#endif
