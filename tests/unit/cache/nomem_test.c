/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory: none is taken for records once the flows of a shape are known, and
 * each allocation of a run fails once without a crash or a hole in the ledger.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/cache.h"
#include "conflux/clock.h"
#include "nomem.h"
#include "unit.h"

struct sink {
	struct stage stage;
	uint64_t records;
};

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	((struct sink *)stage)->records += batch->count;
}

static const struct stage_ops sink_ops = {.run = sink_run};

/* 8 address, 85 octetTotalCount, 82 name of one octet. */
static void
put(struct stage *cache, const struct shape *shape, uint32_t address)
{
	static const struct scope scope = {.serial = 3};
	uint8_t record[14] = {0};
	uint32_t offset[2] = {0, 14};
	struct batch batch = {.shape = shape,
			      .scope = &scope,
			      .base = record,
			      .count = 1,
			      .offset = offset};

	memcpy(record, &address, 4);
	record[11] = (uint8_t)address;
	record[12] = 1;
	record[13] = (uint8_t)('a' + address % 3);
	stage_run(cache, &batch);
}

/* Returns false if it could not even begin. */
static bool
run(struct ie_registry *registry, struct shape_table *shapes,
    const struct shape *shape, bool count_calls)
{
	static const uint16_t id[] = {8, 82, 1};
	struct cache_field field[3];
	struct cache_conf conf = {.name = "test",
				  .type = CACHE_TIMEOUT,
				  .max_flows = 600,
				  .idle_timeout_s = 1,
				  .fields = field,
				  .field_count = 3};
	struct sink sink = {.stage = {.ops = &sink_ops}};
	const struct ledger *l;
	struct stage *cache;
	const char *error;
	uint64_t now;

	for (int i = 0; i < 3; i++)
		field[i] = (struct cache_field){.ie = ie_find(registry, 0,
							      id[i]),
						.key = i < 2,
						.prefix_length = -1};
	if (cache_new(&conf, registry, shapes, &cache, &error) != 0)
		return false;
	l = &cache->ledger;
	if (stage_link(cache, &sink.stage) != 0) {
		stage_free(cache);
		return false;
	}
	now = clock_mono_ms();
	for (int round = 0; round < 6; round++) {
		if (round == 3)
			nomem_calls = 0;
		/* Some come twice; in a run that counts all have room. */
		for (uint32_t a = 0; a < 1000; a++)
			put(cache, shape, count_calls ? a % 500 : a);
		now += 3000;
		stage_tick(cache, now);
	}
	if (count_calls)
		CU_ASSERT_EQUAL(nomem_calls, 0);
	CU_ASSERT(ledger_balanced(l));
	CU_ASSERT_EQUAL(l->in, 6000);
	CU_ASSERT_EQUAL(l->exported, sink.records);
	stage_free(cache);
	return true;
}

static void
test_memory(void)
{
	struct ie_registry *registry = ie_registry_new(10);
	struct shape_table *shapes = shape_table_new(10);
	struct field field[3] = {{.length = 4},
				 {.length = 8},
				 {.length = IE_VARIABLE}};
	const struct shape *shape;
	unsigned n = 0;

	field[0].ie = ie_find(registry, 0, 8);
	field[1].ie = ie_find(registry, 0, 85);
	field[2].ie = ie_find(registry, 0, 82);
	CU_ASSERT_EQUAL_FATAL(shape_get(shapes, field, 3, 0, &shape), 0);
	CU_ASSERT(run(registry, shapes, shape, true));
	do {
		nomem_begin(++n);
		run(registry, shapes, shape, false);
	} while (nomem_end());
	CU_ASSERT(n > 15);
	shape_release(shape);
	shape_table_free(shapes);
	ie_registry_free(registry);
}

static const struct unit_test tests[] = {
	{"no memory for records, and no memory at all", test_memory},
};

int
main(void)
{
	return unit_run("cache memory", tests, UNIT_COUNT(tests));
}
