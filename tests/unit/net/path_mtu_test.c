/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "path_mtu.h"
#include "unit.h"

/* Searches a path that takes that many octets. Returns the questions. */
static unsigned
search(struct path_mtu *p, uint32_t takes)
{
	unsigned questions = 0;
	uint32_t size;

	while ((size = path_mtu_ask(p)) && questions < 100) {
		CU_ASSERT_EQUAL(path_mtu_ask(p), size); /* until answered */
		path_mtu_answer(p, size <= takes);
		questions++;
	}
	return questions;
}

static void
test_largest_first(void)
{
	struct path_mtu p;

	path_mtu_begin(&p, 572, 1472);
	CU_ASSERT_EQUAL(path_mtu_ask(&p), 1472);
	CU_ASSERT_EQUAL(search(&p, 1472), 1);
	CU_ASSERT_EQUAL(p.good, 1472);
}

static void
test_every_path(void)
{
	struct path_mtu p;
	unsigned questions;

	for (uint32_t takes = 572; takes <= 1472; takes++) {
		path_mtu_begin(&p, 572, 1472);
		questions = search(&p, takes);
		CU_ASSERT(questions <= 14);
		CU_ASSERT(p.good <= takes);
		CU_ASSERT(takes - p.good <= PATH_MTU_STEP);
	}
}

static void
test_loopback(void)
{
	struct path_mtu p;

	path_mtu_begin(&p, 572, 16384);
	CU_ASSERT_EQUAL(search(&p, 65507), 1);
	CU_ASSERT_EQUAL(p.good, 16384);
	path_mtu_begin(&p, 572, 16384);
	search(&p, 8972);
	CU_ASSERT(8972 - p.good <= PATH_MTU_STEP);
}

/* Less than what is taken for granted: nothing is found. */
static void
test_nothing(void)
{
	struct path_mtu p;

	path_mtu_begin(&p, 572, 1472);
	search(&p, 100);
	CU_ASSERT_EQUAL(p.good, 572);
	path_mtu_begin(&p, 572, 400);
	CU_ASSERT_EQUAL(path_mtu_ask(&p), 0);
	CU_ASSERT_EQUAL(p.good, 572);
}

/* Whoever says so, it makes sizes smaller only, and never too small. */
static void
test_hint(void)
{
	struct path_mtu p;

	path_mtu_begin(&p, 572, 1472);
	path_mtu_hint(&p, 9000);
	CU_ASSERT_EQUAL(path_mtu_ask(&p), 1472);
	path_mtu_hint(&p, 100);
	path_mtu_answer(&p, false);
	path_mtu_hint(&p, 1300);
	CU_ASSERT_EQUAL(path_mtu_ask(&p), 1300);
	path_mtu_answer(&p, true);
	CU_ASSERT_EQUAL(path_mtu_ask(&p), 0);
	CU_ASSERT_EQUAL(p.good, 1300);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"largest first", test_largest_first},
		{"every path", test_every_path},
		{"loopback", test_loopback},
		{"nothing comes through", test_nothing},
		{"hints", test_hint},
	};

	return unit_run("path mtu", tests, UNIT_COUNT(tests));
}
