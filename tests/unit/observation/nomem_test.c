/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory: none is taken for packets once their classes are known, and each
 * allocation of a run fails once without a crash or a hole in the ledger.
 */
#include "nomem.h"
#include "observed.h"

static struct observed sink;

static const char tcp[] =
	"02000000000d02000000000a080045000032000100004006f6c1c000"
	"0201c000020200500401aabbccdd1122334451390200634000033031"
	"3233343536373839";
static const char first_fragment[] =
	"02000000000d02000000000a080045000024beef2000401117d6c000"
	"0201c000020203e807d005d0abcd3132333435363738";
static const char later_fragment[] =
	"02000000000d02000000000a08004500001cbeef00b940113725c000"
	"0201c00002023132333435363738";
static const char *const packets[] = {tcp, first_fragment, later_fragment};

static void
round_of(struct stage *stage, uint32_t number)
{
	uint8_t data[3][128];
	struct frame frame[3];

	for (unsigned i = 0; i < 3; i++) {
		frame[i] = (struct frame){.data = data[i],
					  .link = 1,
					  .weight = 1,
					  .time_ns = number * 1000000000u};
		frame[i].length = frame[i].wire_length =
			from_hex(packets[i], data[i]);
		data[i][18] = (uint8_t)number; /* identification */
	}
	observed_init(&sink);
	observer_frames(stage, frame, 3);
}

/* Returns false if it could not even begin. */
static bool
run(struct ie_registry *registry, struct shape_table *shapes, bool count_calls)
{
	static const struct observer_conf conf = {
		.name = "test",
		.max_fragments = 8,
		.fragment_ms = 1000,
		.duplicate_us = 1000,
		.max_duplicates = 64,
	};
	static const uint16_t wants[] = {8, 7, 1, 2, 6, 325, 313};
	const struct ledger *l;
	struct stage *stage;
	const char *error;

	if (observer_new(&conf, registry, shapes, &stage, &error) != 0)
		return false;
	l = &stage->ledger;
	observed_init(&sink);
	if (stage_link(stage, &sink.stage) != 0) {
		stage_free(stage);
		return false;
	}
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++)
		observer_want(stage, ie_find(registry, 0, wants[i]), 0);
	for (uint32_t i = 0; i < 100; i++) {
		if (i == 50)
			nomem_calls = 0;
		round_of(stage, i);
	}
	if (count_calls) {
		CU_ASSERT_EQUAL(nomem_calls, 0);
		CU_ASSERT_EQUAL(l->exported, 300);
	}
	CU_ASSERT_EQUAL(l->in, 300);
	CU_ASSERT(ledger_balanced(l));
	stage_free(stage);
	return true;
}

static void
test_memory(void)
{
	struct ie_registry *registry = ie_registry_new(10);
	struct shape_table *shapes = shape_table_new(100);
	unsigned n = 0;

	CU_ASSERT(run(registry, shapes, true));
	do {
		nomem_begin(++n);
		run(registry, shapes, false);
	} while (nomem_end());
	CU_ASSERT(n > 10);
	shape_table_free(shapes);
	ie_registry_free(registry);
}

static const struct unit_test tests[] = {
	{"no memory for packets, and no memory at all", test_memory},
};

int
main(void)
{
	return unit_run("observer memory", tests, UNIT_COUNT(tests));
}
