/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Each allocation of a run through the module fails once: nothing crashes,
 * nothing is lost, and the caller is told. Leaks are for the sanitizers.
 */
#include <errno.h>
#include <stdlib.h>

#include "conflux/template.h"
#include "nomem.h"
#include "unit.h"

static void
on_event(void *arg, const struct template_event *event)
{
	if (event->outcome == TEMPLATE_REFUSED)
		++*(unsigned *)arg;
}

/* Returns whether something told that there was no memory. */
static bool
run(void)
{
	static const uint8_t content[] = {
		1, 0, 0,    2,	  0, 8, 0, 4, 0x80, 9, 0, 4,
		0, 0, 0x7e, 0xd9, 1, 1, 0, 1, 0,    8, 0, 5,
	};
	struct ie learnt = {.pen = 32473,
			    .id = 9,
			    .type = IE_UNSIGNED32,
			    .name = "acmeLoad",
			    .description = "how much it carries"};
	struct template_limits limits = {.max_templates = 100};
	struct ie_registry *registry = ie_registry_new(100);
	struct shape_table *shapes = shape_table_new(100);
	struct template_store *store =
		registry && shapes
			? template_store_new(&limits, registry, shapes)
			: NULL;
	unsigned refused = 0;
	bool told = !store;
	int err;

	if (store) {
		template_store_read(store, 0, SET_TEMPLATE, content,
				    sizeof(content), 0, 0, on_event, &refused);
		CU_ASSERT_EQUAL(template_store_count(store), 2 - refused);
		err = ie_add(registry, &learnt);
		CU_ASSERT(err == 0 || err == -ENOMEM);
		CU_ASSERT_EQUAL(ie_find(registry, 32473, 9) != NULL, err == 0);
		CU_ASSERT_EQUAL(ie_by_name(registry, "acmeLoad") != NULL,
				err == 0);
		/* What cannot be learnt now keeps its shape. */
		template_store_relearn(store);
		told = refused || err;
	}
	template_store_free(store);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return told;
}

static void
test_each_allocation_fails_once(void)
{
	unsigned runs = 0, told = 0;

	do {
		nomem_begin(++runs);
		told += run();
	} while (nomem_end());
	CU_ASSERT(runs > 15);
	/* The last run was whole, the one before is relearn's new shape. */
	CU_ASSERT_EQUAL(told, runs - 2);
}

static const struct unit_test tests[] = {
	{"each allocation fails once", test_each_allocation_fails_once},
};

int
main(void)
{
	return unit_run("nomem", tests, UNIT_COUNT(tests));
}
