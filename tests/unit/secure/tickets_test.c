/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Keys of session tickets: the same everywhere, for a while. */
#include <string.h>

#include "tickets.h"
#include "unit.h"

#define MADE INT64_C(1700000000)
#define HOURS(n) ((int64_t)(n)*TICKET_ROTATION)

static const uint8_t secret[SECURE_TICKET_SECRET] = {1, 2, 3};

static void
test_together(void)
{
	struct tickets a, b;

	CU_ASSERT_EQUAL(tickets_init(&a, secret, MADE), 0);
	CU_ASSERT_EQUAL(tickets_init(&b, secret, MADE), 0);
	/* One step at a time, and all of them at once. */
	for (int i = 1; i <= 50; i++)
		tickets_advance(&a, MADE + HOURS(i));
	tickets_advance(&b, MADE + HOURS(50));
	CU_ASSERT_EQUAL(memcmp(&a, &b, sizeof(a)), 0);
	/* Nothing of a key is in the next one. */
	CU_ASSERT_NOT_EQUAL(memcmp(a.key[0].cipher, a.key[1].cipher, 32), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(a.key[0].cipher, a.key[0].mac, 32), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(a.secret, secret, sizeof(secret)), 0);
}

static void
test_life(void)
{
	struct tickets t;
	uint64_t number;

	CU_ASSERT_EQUAL(tickets_init(&t, secret, MADE), 0);
	number = t.key[0].number;
	CU_ASSERT_PTR_EQUAL(tickets_find(&t, number), &t.key[0]);
	tickets_advance(&t, MADE + HOURS(1));
	CU_ASSERT_PTR_EQUAL(tickets_find(&t, number), &t.key[1]);
	CU_ASSERT_PTR_EQUAL(tickets_find(&t, number + 1), &t.key[0]);
	tickets_advance(&t, MADE + HOURS(2));
	CU_ASSERT_PTR_NULL(tickets_find(&t, number));
	CU_ASSERT_PTR_NULL(tickets_find(&t, number + 3));
	CU_ASSERT_PTR_NULL(tickets_find(&t, 0));
}

/* A clock that is set back, or to nonsense, changes nothing. */
static void
test_clock(void)
{
	struct tickets t, before;

	CU_ASSERT_EQUAL(tickets_init(&t, NULL, MADE), 0);
	before = t;
	tickets_advance(&t, MADE - HOURS(5));
	tickets_advance(&t, -1);
	tickets_advance(&t, INT64_MAX);
	CU_ASSERT_EQUAL(memcmp(&t, &before, sizeof(t)), 0);
}

static const struct unit_test tests[] = {
	{"workers that began together", test_together},
	{"how long a ticket is taken", test_life},
	{"clocks", test_clock},
};

int
main(void)
{
	return unit_run("tickets", tests, UNIT_COUNT(tests));
}
