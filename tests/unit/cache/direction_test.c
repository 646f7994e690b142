/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Biflows from the uniflows of exporters: whoever began is the source, in
 * whatever order the records come. Against a reference that has all records of
 * a conversation before it looks who was first.
 */
#include <stdlib.h>
#include <string.h>

#include "conflux/cache.h"
#include "conflux/wire.h"
#include "sink.h"
#include "unit.h"

enum { HOSTS = 12, STRIDE = 4 + 4 + 8 + 8 + 8 + 2 + 1 };

static struct ie_registry *registry;
static struct shape_table *shapes;
static const struct shape *shape;
static struct scope scope;

/* ---- what comes out ----------------------------------------------------- */

struct flow {
	bool there;
	uint64_t packets, back_packets, start, back_start, end, back_end;
	uint64_t flags, back_flags, tos, direction;
};

static struct sink {
	struct unit_sink base;
	struct flow flow[HOSTS][HOSTS];
} sink;

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	const uint32_t rev = IE_PEN_REVERSE;

	for (uint32_t i = 0; i < batch->count; i++) {
		uint64_t from = unit_field(batch, i, 0, IE_sourceIPv4Address);
		uint64_t to =
			unit_field(batch, i, 0, IE_destinationIPv4Address);
		struct flow *f = &sink.flow[from][to];

		CU_ASSERT_FALSE(f->there);
		*f = (struct flow){
			true,
			unit_field(batch, i, 0, IE_packetDeltaCount),
			unit_field(batch, i, rev, IE_packetDeltaCount),
			unit_field(batch, i, 0, IE_flowStartMilliseconds),
			unit_field(batch, i, rev, IE_flowStartMilliseconds),
			unit_field(batch, i, 0, IE_flowEndMilliseconds),
			unit_field(batch, i, rev, IE_flowEndMilliseconds),
			unit_field(batch, i, 0, IE_tcpControlBits),
			unit_field(batch, i, rev, IE_tcpControlBits),
			unit_field(batch, i, 0, IE_ipClassOfService),
			unit_field(batch, i, 0, IE_biflowDirection),
		};
	}
}

static const struct stage_ops sink_ops = {.run = sink_run,
					  .congested = unit_sink_congested};

static struct stage *
open_cache_by(bool starts, bool one_end)
{
	static const struct {
		uint32_t pen;
		uint16_t id;
		bool key;
	} list[] = {
		{0, IE_sourceIPv4Address, true},
		{0, IE_destinationIPv4Address, true},
		{0, IE_packetDeltaCount, false},
		{IE_PEN_REVERSE, IE_packetDeltaCount, false},
		{0, IE_flowEndMilliseconds, false},
		{IE_PEN_REVERSE, IE_flowEndMilliseconds, false},
		{0, IE_tcpControlBits, false},
		{IE_PEN_REVERSE, IE_tcpControlBits, false},
		{0, IE_ipClassOfService, false},
		{0, IE_biflowDirection, false},
		{0, IE_flowStartMilliseconds, false},
		{IE_PEN_REVERSE, IE_flowStartMilliseconds, false},
	};
	struct cache_field field[UNIT_COUNT(list)];
	struct cache_conf conf = {
		.name = "test",
		.type = CACHE_TIMEOUT,
		.biflow = true,
		.fields = field,
		.field_count = UNIT_COUNT(list) - (starts ? 0 : 2),
	};
	const char *error = NULL;
	struct stage *cache;

	for (size_t i = 0; i < UNIT_COUNT(list); i++)
		field[i] = (struct cache_field){
			.ie = ie_find(registry, list[i].pen, list[i].id),
			.key = list[i].key && !(one_end && i == 1),
			.prefix_length = -1,
		};
	CU_ASSERT_EQUAL_FATAL(
		cache_new(&conf, registry, shapes, &cache, &error), 0);
	memset(&sink, 0, sizeof(sink));
	sink.base.stage.ops = &sink_ops;
	stage_link(cache, &sink.base.stage);
	return cache;
}

static struct stage *
open_cache(bool starts)
{
	return open_cache_by(starts, false);
}

static void
close_cache(struct stage *cache)
{
	stage_flush(cache);
	CU_ASSERT(stage_drained(cache));
	CU_ASSERT(ledger_balanced(&cache->ledger));
	CU_ASSERT_EQUAL(ledger_lost(&cache->ledger), 0);
	stage_free(cache);
}

/* ---- what goes in ------------------------------------------------------- */

struct uniflow {
	uint32_t from, to;
	uint64_t packets, start, end;
	uint16_t flags;
	uint8_t tos;
};

static void
put(struct stage *cache, const struct uniflow *u, uint32_t count)
{
	uint8_t data[BATCH_MAX * STRIDE], *p = data;
	struct batch batch = {
		.shape = shape,
		.scope = &scope,
		.base = data,
		.count = count,
		.stride = STRIDE,
	};

	for (uint32_t i = 0; i < count; i++, p += STRIDE) {
		wire_put32(p, u[i].from);
		wire_put32(p + 4, u[i].to);
		wire_put64(p + 8, u[i].packets);
		wire_put64(p + 16, u[i].start);
		wire_put64(p + 24, u[i].end);
		wire_put16(p + 32, u[i].flags);
		p[34] = u[i].tos;
	}
	stage_run(cache, &batch);
	CU_ASSERT(ledger_balanced(&cache->ledger));
}

/* ---- tests -------------------------------------------------------------- */

static void
test_answer_first(void)
{
	static const struct uniflow list[] = {
		{1, 2, 10, 5000, 6000, 0x10, 7}, /* the answer */
		{2, 1, 20, 4000, 6500, 0x02, 8},
		{1, 2, 1, 6100, 6200, 0x01, 9},
	};
	const struct flow *f = &sink.flow[2][1];
	struct stage *cache;

	/* All at once, or one after the other. */
	for (uint32_t step = 1; step <= 3; step += 2) {
		cache = open_cache(true);
		for (uint32_t i = 0; i < 3; i += step)
			put(cache, list + i, step);
		close_cache(cache);
		CU_ASSERT_FATAL(f->there);
		CU_ASSERT_FALSE(sink.flow[1][2].there);
		CU_ASSERT_EQUAL(f->packets, 20);
		CU_ASSERT_EQUAL(f->back_packets, 11);
		CU_ASSERT_EQUAL(f->start, 4000);
		CU_ASSERT_EQUAL(f->back_start, 5000);
		CU_ASSERT_EQUAL(f->end, 6500);
		CU_ASSERT_EQUAL(f->flags, 0x02);
		CU_ASSERT_EQUAL(f->back_flags, 0x11);
		/* Of the forward direction alone. */
		CU_ASSERT_EQUAL(f->tos, 8);
		CU_ASSERT_EQUAL(f->direction, 1);
	}
	/* Without start times, the first that comes has begun. */
	cache = open_cache(false);
	put(cache, list, 3);
	close_cache(cache);
	CU_ASSERT(sink.flow[1][2].there);
	CU_ASSERT_EQUAL(sink.flow[1][2].packets, 11);
}

/* What finds no partner has no reverse elements. */
static void
test_alone(void)
{
	static const struct uniflow list[] = {
		{1, 2, 10, 5000, 6000, 0x10, 7},
		{3, 2, 20, 4000, 6500, 0x02, 8},
	};
	struct stage *cache = open_cache(true);

	put(cache, list, 2);
	close_cache(cache);
	CU_ASSERT(sink.flow[1][2].there && sink.flow[3][2].there);
	CU_ASSERT_EQUAL(sink.flow[1][2].packets, 10);
	CU_ASSERT_EQUAL(sink.flow[1][2].back_packets, 0);
	CU_ASSERT_EQUAL(sink.flow[3][2].back_start, 0);
}

/* Grouped by one end, packets have but one direction, whatever is asked for. */
static void
test_one_end(void)
{
	static const struct uniflow list[] = {
		{1, 2, 1, 5000, 5000, 0x02, 7},
		{1, 3, 1, 6000, 6000, 0x10, 7},
		{2, 1, 1, 5500, 5500, 0x12, 7},
	};
	struct stage *cache = open_cache_by(true, true);

	scope.packets = true;
	put(cache, list, 3);
	close_cache(cache);
	scope.packets = false;
	CU_ASSERT(sink.flow[1][2].there && sink.flow[2][1].there);
	CU_ASSERT_EQUAL(sink.flow[1][2].packets, 2);
	CU_ASSERT_EQUAL(sink.flow[1][2].back_packets, 0);
	CU_ASSERT_EQUAL(sink.flow[1][2].back_flags, 0);
	CU_ASSERT_EQUAL(sink.flow[1][2].flags, 0x12);
	CU_ASSERT_EQUAL(sink.flow[2][1].packets, 1);
	CU_ASSERT_EQUAL(sink.flow[2][1].back_start, 0);
}

static void
add(struct flow *f, const struct uniflow *u, bool back)
{
	uint64_t *start = back ? &f->back_start : &f->start;

	*(back ? &f->back_packets : &f->packets) += u->packets;
	*(back ? &f->back_flags : &f->flags) |= u->flags;
	if (*start == 0 || u->start < *start)
		*start = u->start;
	if (u->end > f->end)
		f->end = u->end;
}

static void
compare(const struct uniflow *list, unsigned count, uint32_t a, uint32_t b)
{
	const struct uniflow *first = NULL;
	const struct flow *got;
	struct flow want = {0};

	for (unsigned i = 0; i < count; i++)
		if (((list[i].from == a && list[i].to == b) ||
		     (list[i].from == b && list[i].to == a)) &&
		    (!first || list[i].start < first->start))
			first = &list[i];
	if (!first)
		return;
	for (unsigned i = 0; i < count; i++)
		if (list[i].from == first->from && list[i].to == first->to)
			add(&want, &list[i], false);
		else if (list[i].from == first->to && list[i].to == first->from)
			add(&want, &list[i], true);
	got = &sink.flow[first->from][first->to];
	CU_ASSERT_FATAL(got->there);
	CU_ASSERT(a == b || !sink.flow[first->to][first->from].there);
	CU_ASSERT_EQUAL(got->packets, want.packets);
	CU_ASSERT_EQUAL(got->back_packets, want.back_packets);
	CU_ASSERT_EQUAL(got->start, want.start);
	CU_ASSERT_EQUAL(got->back_start, want.back_start);
	CU_ASSERT_EQUAL(got->end, want.end);
	CU_ASSERT_EQUAL(got->flags, want.flags);
	CU_ASSERT_EQUAL(got->back_flags, want.back_flags);
}

static void
test_random(void)
{
	enum { RECORDS = 400 };
	static struct uniflow list[RECORDS];

	for (unsigned turn = 0; turn < unit_turns(200); turn++) {
		struct stage *cache = open_cache(true);

		srand(turn);
		for (unsigned i = 0; i < RECORDS; i++) {
			/* No two begin at one time. */
			uint64_t start =
				1000 * (1 + (uint64_t)rand() % 1000) + i;

			list[i] = (struct uniflow){
				(uint32_t)rand() % HOSTS,
				(uint32_t)rand() % HOSTS,
				1 + (uint64_t)rand() % 100,
				start,
				start + (uint64_t)rand() % 100000,
				(uint16_t)(1 << rand() % 8),
				0,
			};
		}
		for (uint32_t at = 0, n; at < RECORDS; at += n) {
			n = 1 + (uint32_t)rand() % BATCH_MAX;
			if (n > RECORDS - at)
				n = RECORDS - at;
			put(cache, list + at, n);
		}
		close_cache(cache);
		for (uint32_t a = 0; a < HOSTS; a++)
			for (uint32_t b = 0; b <= a; b++)
				compare(list, RECORDS, a, b);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"the answer comes first", test_answer_first},
		{"no answer", test_alone},
		{"one end", test_one_end},
		{"random uniflows", test_random},
	};
	static const struct {
		uint16_t id, length;
	} list[] = {
		{IE_sourceIPv4Address, 4},   {IE_destinationIPv4Address, 4},
		{IE_packetDeltaCount, 8},    {IE_flowStartMilliseconds, 8},
		{IE_flowEndMilliseconds, 8}, {IE_tcpControlBits, 2},
		{IE_ipClassOfService, 1},
	};
	struct field field[UNIT_COUNT(list)];
	int rc;

	registry = ie_registry_new(64);
	shapes = shape_table_new(64);
	for (size_t i = 0; i < UNIT_COUNT(list); i++) {
		field[i].ie = ie_find(registry, 0, list[i].id);
		field[i].length = list[i].length;
	}
	if (shape_get(shapes, field, UNIT_COUNT(list), 0, &shape) < 0)
		return 1;
	rc = unit_run("directions", tests, UNIT_COUNT(tests));
	shape_release(shape);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return rc;
}
