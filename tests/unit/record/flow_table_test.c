/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that have a reverse, against a list that is searched from end to end:
 * parts of all widths, few values, so that the halves of a key are often equal,
 * and flows that come and go.
 */
#include <stdlib.h>
#include <string.h>

#include "conflux/flow_table.h"
#include "unit.h"

enum {
	KEY = 56, /* 2 * (16 + 6 + 2 + 1), protocol, padding */
	ROW = ROW_KEY + KEY,
	FLOWS = 512,
	COUNT = 64,
	ROUNDS = 1500,
};

static const struct key_swap swaps[] = {
	{ROW_KEY, ROW_KEY + 16, 16},
	{ROW_KEY + 32, ROW_KEY + 38, 6},
	{ROW_KEY + 44, ROW_KEY + 46, 2},
	{ROW_KEY + 48, ROW_KEY + 49, 1},
};

static uint8_t known[FLOWS][ROW];
static uint32_t number[FLOWS];
static unsigned known_count;

/* One octet of each part, and the protocol, which has no counterpart. */
static void
make(uint8_t *row)
{
	static const uint8_t at[] = {0, 16, 37, 43, 44, 46, 48, 49, 50};

	memset(row, 0, ROW);
	for (size_t i = 0; i < sizeof(at); i++)
		row[ROW_KEY + at[i]] = (uint8_t)(rand() % 2);
}

static void
reverse_of(const uint8_t *row, uint8_t *out)
{
	memcpy(out, row, ROW);
	for (size_t i = 0; i < sizeof(swaps) / sizeof(swaps[0]); i++) {
		memcpy(out + swaps[i].a, row + swaps[i].b, swaps[i].width);
		memcpy(out + swaps[i].b, row + swaps[i].a, swaps[i].width);
	}
}

/* Its place in the list, or -1. */
static int
search(const uint8_t *row, bool *reverse)
{
	uint8_t reversed[ROW];

	reverse_of(row, reversed);
	for (unsigned i = 0; i < known_count; i++) {
		*reverse = memcmp(known[i], row, ROW) != 0;
		if (!*reverse || memcmp(known[i], reversed, ROW) == 0)
			return (int)i;
	}
	*reverse = false;
	return -1;
}

static void
forget(struct flow_table *t, unsigned i)
{
	flow_table_remove(t, number[i]);
	flow_table_free_row(t, number[i]);
	known_count--;
	memcpy(known[i], known[known_count], ROW);
	number[i] = number[known_count];
}

static void
test_pairs(void)
{
	struct flow_table t;
	uint8_t rows[COUNT * ROW];
	uint32_t hash[COUNT], found[COUNT];
	unsigned wrong = 0, backward = 0;

	CU_ASSERT_EQUAL_FATAL(flow_table_init(&t, ROW, KEY, FLOWS, 0), 0);
	flow_table_pair(&t, swaps, 4);
	srand(11);
	for (unsigned round = 0; round < ROUNDS; round++) {
		bool reverse[COUNT] = {false}, wanted;

		for (unsigned i = 0; i < COUNT; i++)
			make(rows + i * ROW);
		flow_table_find(&t, rows, ROW, COUNT, hash, found, reverse);
		for (unsigned i = 0; i < COUNT; i++) {
			int at = search(rows + i * ROW, &wanted);

			wrong += found[i] != (at < 0 ? 0 : number[at]);
			wrong += reverse[i] != wanted;
			backward += reverse[i];
		}
		/* The first one comes, if it is new; another one goes. */
		if (!found[0] && known_count < FLOWS) {
			memcpy(known[known_count], rows, ROW);
			wrong += flow_table_add(&t, rows, hash[0],
						&number[known_count++]) != 0;
		}
		if (known_count && round % 5 == 4)
			forget(&t, (unsigned)rand() % known_count);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(known_count > 150);
	CU_ASSERT(backward > 1000);
	flow_table_fini(&t);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"keys that have a reverse", test_pairs},
	};

	return unit_run("flow table", tests, UNIT_COUNT(tests));
}
