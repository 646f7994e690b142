/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The one way a unit test starts: a table of named functions, run by CUnit,
 * exit status 1 if any assertion failed.
 *
 *	static const struct unit_test tests[] = {{"parses", test_parses}, ...};
 *	int main(void) { return unit_run("addr", tests, UNIT_COUNT(tests)); }
 */
#ifndef CONFLUX_TESTS_UNIT_H
#define CONFLUX_TESTS_UNIT_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct unit_test {
	const char *name;
	void (*run)(void);
};

#define UNIT_COUNT(tests) (sizeof(tests) / sizeof((tests)[0]))

/*
 * UNIT_SLOW is set where each step is slow (valgrind): a random trial of n
 * turns has a tenth of them then, and what is waited for may take six times as
 * long.
 */
static inline bool
unit_slow(void)
{
	return getenv("UNIT_SLOW");
}

static inline unsigned
unit_turns(unsigned n)
{
	return unit_slow() ? n / 10 : n;
}

static inline unsigned
unit_wait(unsigned ms)
{
	return unit_slow() ? ms * 6 : ms;
}

static inline int
unit_run(const char *suite_name, const struct unit_test *tests, size_t count)
{
	unsigned failures;
	CU_pSuite suite;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	suite = CU_add_suite(suite_name, NULL, NULL);
	for (size_t i = 0; suite && i < count; i++)
		if (!CU_add_test(suite, tests[i].name, tests[i].run))
			suite = NULL;
	if (!suite) {
		CU_cleanup_registry();
		return 1;
	}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures ? 1 : 0;
}

/* Octets in hexadecimal; returns how many. */
static inline uint32_t
from_hex(const char *hex, uint8_t *out)
{
	uint32_t n = 0;

	for (; *hex; hex += 2) {
		char octet[3] = {hex[0], hex[1], '\0'};

		out[n++] = (uint8_t)strtoul(octet, NULL, 16);
	}
	return n;
}

#endif
