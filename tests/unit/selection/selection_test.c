/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Selectors on records of four fields: a number that counts up, the time, an
 * IPv4 header with four octets of payload, and a source address. What each one
 * takes is compared with its definition, whatever the batches are cut like.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/ie.h"
#include "conflux/ntp.h"
#include "conflux/wire.h"
#include "fixture.h"
#include "hash.h"

enum { HEADER = 40, PAYLOAD = 8, STRIDE = 8 + 8 + HEADER + PAYLOAD + 4 };

struct sink {
	struct stage stage;
	uint64_t taken[100000];
	uint64_t digest;
	unsigned count, cuts, ends, statistics, sequences;
	uint64_t serial, interval, last_sequence;
};

static struct sink sink;

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	uint32_t length;

	if (batch->options == OPTIONS_SELECTION_STATISTICS)
		sink.statistics++;
	if (batch->options == OPTIONS_SELECTION_SEQUENCE &&
	    batch->shape->field[0].ie->id == IE_selectionSequenceId) {
		sink.sequences++;
		sink.last_sequence =
			wire_get64(batch_record(batch, 0, &length));
	}
	if (batch->shape->scope_count)
		return;
	CU_ASSERT_PTR_NOT_EQUAL(batch->scope, &scope);
	sink.serial = batch->scope->serial;
	sink.interval = batch->scope->fact_mask >> FACT_SAMPLING_INTERVAL & 1
				? batch->scope->fact[FACT_SAMPLING_INTERVAL]
				: 0;
	for (uint32_t i = 0; i < batch->count; i++) {
		const uint8_t *record = batch_record(batch, i, &length);

		sink.taken[sink.count++] = wire_get64(record);
		if (length == STRIDE + 8)
			sink.digest = wire_get64(record + STRIDE);
	}
}

static void
sink_cut(struct stage *stage)
{
	sink.cuts++;
}

static void
sink_end(struct stage *stage, const struct scope *ended)
{
	sink.ends++;
}

static const struct stage_ops sink_ops = {
	.run = sink_run,
	.cut = sink_cut,
	.scope_end = sink_end,
};

static struct stage *
open_before_sink(const struct selector_conf *selectors, unsigned count,
		 const struct overload_conf *overload)
{
	memset(&sink, 0, sizeof(sink));
	sink.stage.ops = &sink_ops;
	return selection_open(selectors, count, overload, &sink.stage);
}

static struct stage *
open_selection(const struct selector_conf *selectors, unsigned count)
{
	return open_before_sink(selectors, count, NULL);
}

static void
write_record(struct writer *w, uint64_t n)
{
	uint8_t ip[HEADER] = {0x45, 0, 0, 28}, payload[PAYLOAD] = {0};

	wire_put16(ip + 4, (uint32_t)n & 0xffff);
	ip[9] = 17;
	wire_put32(ip + 12, 0x0a000000 | (uint32_t)(n & 0xff));
	wire_put32(ip + 16, 0xc0000201);
	wire_put32(payload, (uint32_t)(n * 77));
	writer_u64(w, n);
	/* A millisecond apart. */
	writer_u64(w, ntp_from_ns(UINT64_C(1700000000000000000) + n * 1000000));
	writer_bytes(w, ip, sizeof(ip));
	writer_bytes(w, payload, sizeof(payload));
	writer_u32(w, 0x0a000000 | (uint32_t)(n & 0xff));
}

/* count records, in batches of all sizes. */
static void
feed(struct stage *stage, uint64_t count)
{
	static uint8_t data[BATCH_MAX * STRIDE];
	uint64_t n = 0;

	srand(3);
	while (n < count) {
		struct batch batch = {
			.shape = shape,
			.scope = &scope,
			.base = data,
			.stride = STRIDE,
		};
		uint64_t size = 1 + (uint64_t)rand() % BATCH_MAX;
		struct writer w;

		writer_init(&w, data, sizeof(data));
		for (; batch.count < size && n < count; batch.count++)
			write_record(&w, n++);
		stage_run(stage, &batch);
	}
}

/* ---- hash functions ----------------------------------------------------------- */

/* Values of the reference code in RFC 5475, run elsewhere. */
static void
test_hashes(void)
{
	static const struct {
		size_t length;
		uint32_t value;
	} bob[] = {{0, 0x17c6f823}, {1, 0xff27e51b}, {4, 0x74a47df2},
		   {5, 0xffd0fcdb}, {8, 0xfe4b8dd5}, {9, 0xd46c5c06},
		   {11, 0x11f861ae}, {12, 0xae46e5bc}, {13, 0x310c6cb0},
		   {23, 0x9ba5ad78}, {24, 0xf1d10b64}, {40, 0xbe108fa9}};
	uint8_t data[40];

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i + 1);
	for (size_t i = 0; i < UNIT_COUNT(bob); i++)
		CU_ASSERT_EQUAL(selection_bob(data, bob[i].length, 7),
				bob[i].value);
	CU_ASSERT_EQUAL(selection_crc(data, 0, 0), 0);
	CU_ASSERT_EQUAL(selection_crc(data, 1, 0), 0xa505df1b);
	CU_ASSERT_EQUAL(selection_crc(data, 9, 0), 0x40efab9e);
	CU_ASSERT_EQUAL(selection_crc(data, 40, 0), 0x4fb420c5);
	CU_ASSERT_EQUAL(selection_ipsx(data), 0x770c);
}

/* ---- sampling ------------------------------------------------------------------ */

static void
test_all(void)
{
	struct selector_conf c = {.name = "s", .method = SELECTOR_ALL};
	struct stage *stage = open_selection(&c, 1);

	feed(stage, 1000);
	CU_ASSERT_EQUAL(sink.count, 1000);
	CU_ASSERT_EQUAL(sink.interval, 0);
	CU_ASSERT_EQUAL(sink.sequences, 1);
	CU_ASSERT_EQUAL(sink.last_sequence, 5);
	selection_close(stage);
}

static void
test_count(void)
{
	struct selector_conf c = {.name = "s", .method = SELECTOR_COUNT,
				  .interval = 3, .space = 7};
	struct stage *stage = open_selection(&c, 1);

	feed(stage, 10000);
	CU_ASSERT_EQUAL(sink.count, 3000);
	for (unsigned i = 0; i < sink.count; i++)
		CU_ASSERT_EQUAL(sink.taken[i], i / 3 * 10 + i % 3);
	CU_ASSERT_EQUAL(sink.interval, 3);
	selection_close(stage);
}

static void
test_time(void)
{
	struct selector_conf c = {.name = "s", .method = SELECTOR_TIME,
				  .interval = 5000, .space = 15000};
	struct stage *stage = open_selection(&c, 1);

	feed(stage, 10000);
	CU_ASSERT_EQUAL(sink.count, 2500);
	for (unsigned i = 0; i < sink.count; i++)
		CU_ASSERT_EQUAL(sink.taken[i], i / 5 * 20 + i % 5);
	selection_close(stage);
}

static void
test_out_of_n(void)
{
	struct selector_conf c = {.name = "s", .method = SELECTOR_OUT_OF_N,
				  .size = 10, .population = 100};
	struct stage *stage = open_selection(&c, 1);
	unsigned place[100] = {0};

	feed(stage, 50000);
	/* Exactly ten of each hundred, and each place about equally often. */
	CU_ASSERT_EQUAL(sink.count, 5000);
	for (unsigned i = 0; i < sink.count; i++) {
		CU_ASSERT_EQUAL(sink.taken[i] / 100, i / 10);
		place[sink.taken[i] % 100]++;
	}
	for (int i = 0; i < 100; i++)
		CU_ASSERT(place[i] > 20 && place[i] < 90);
	selection_close(stage);
}

static void
test_probability(void)
{
	struct selector_conf c = {.name = "s", .method = SELECTOR_PROBABILITY,
				  .probability = 0.25};
	struct stage *stage = open_selection(&c, 1);

	feed(stage, 40000);
	CU_ASSERT(sink.count > 9500 && sink.count < 10500);
	CU_ASSERT_EQUAL(sink.interval, 4);
	selection_close(stage);
}

/* ---- filters ------------------------------------------------------------------- */

static unsigned
match(uint16_t element, const char *value)
{
	struct selector_conf c = {.name = "s", .method = SELECTOR_MATCH,
				  .ie = ie_find(registry, 0, element),
				  .value = value};
	struct stage *stage = open_selection(&c, 1);
	unsigned count;

	feed(stage, 2560);
	count = sink.count;
	selection_close(stage);
	return count;
}

static void
test_match(void)
{
	CU_ASSERT_EQUAL(match(IE_flowId, "77"), 1);
	CU_ASSERT_EQUAL(match(IE_flowId, "0x4d"), 1);
	CU_ASSERT_EQUAL(match(IE_flowId, "5000"), 0);
	CU_ASSERT_EQUAL(match(IE_sourceIPv4Address, "10.0.0.9"), 10);
	CU_ASSERT_EQUAL(match(IE_sourceIPv4Address, "10.0.0.0/28"), 160);
	CU_ASSERT_EQUAL(match(IE_sourceIPv4Address, "10.0.0.0/0"), 2560);
	CU_ASSERT_EQUAL(match(IE_sourceIPv4Address, "11.0.0.0/8"), 0);
	/* They do not have it at all. */
	CU_ASSERT_EQUAL(match(IE_protocolIdentifier, "17"), 0);
}

static void
test_hash(void)
{
	struct selector_range range = {0, UINT32_MAX / 4};
	struct selector_conf c = {.name = "s", .method = SELECTOR_HASH,
				  .hash = SELECTOR_BOB, .payload_size = 4,
				  .digest = true, .ranges = &range,
				  .range_count = 1};
	uint64_t first[3000];
	unsigned count;
	struct stage *stage = open_selection(&c, 1);

	feed(stage, 10000);
	count = sink.count;
	CU_ASSERT(count > 2000 && count < 3000);
	memcpy(first, sink.taken, count * sizeof(*first));
	CU_ASSERT(sink.digest <= range.max);
	selection_close(stage);
	/* Another point, the same packets. */
	stage = open_selection(&c, 1);
	feed(stage, 10000);
	CU_ASSERT_EQUAL(sink.count, count);
	CU_ASSERT_EQUAL(memcmp(first, sink.taken, count * sizeof(*first)), 0);
	selection_close(stage);
}

static void
test_chain(void)
{
	struct selector_conf c[] = {
		{.name = "a", .method = SELECTOR_MATCH,
		 .ie = ie_find(registry, 0, IE_sourceIPv4Address),
		 .value = "10.0.0.0/25"},
		{.name = "b", .method = SELECTOR_COUNT, .interval = 1,
		 .space = 1},
	};
	struct stage *stage = open_selection(c, 2);

	feed(stage, 2560);
	CU_ASSERT_EQUAL(sink.count, 640);
	stage_flush(stage);
	CU_ASSERT_EQUAL(sink.statistics, 1);
	selection_close(stage);
}

static void
test_change(void)
{
	struct selector_conf c = {.name = "s", .method = SELECTOR_COUNT,
				  .interval = 1, .space = 1};
	struct stage *stage = open_selection(&c, 1);
	uint64_t serial;

	feed(stage, 100);
	serial = sink.serial;
	c.space = 9;
	CU_ASSERT_EQUAL(selection_change(stage, 0, &c), 0);
	CU_ASSERT_EQUAL(sink.cuts, 1);
	CU_ASSERT_EQUAL(sink.ends, 2); /* of packets, and of reports */
	CU_ASSERT_EQUAL(sink.sequences, 2);
	CU_ASSERT_NOT_EQUAL(sink.last_sequence, 5);
	feed(stage, 100);
	CU_ASSERT_EQUAL(sink.count, 60);
	CU_ASSERT_NOT_EQUAL(sink.serial, serial);
	CU_ASSERT_EQUAL(sink.interval, 10);
	c.interval = 0;
	CU_ASSERT_EQUAL(selection_change(stage, 0, &c), -EINVAL);
	selection_close(stage);
}

static void
test_bad(void)
{
	struct selector_range range = {2, 1};
	struct selector_conf bad[] = {
		{.name = "s", .method = SELECTOR_COUNT},
		{.name = "s", .method = SELECTOR_TIME},
		{.name = "s", .method = SELECTOR_OUT_OF_N, .size = 2,
		 .population = 1},
		{.name = "s", .method = SELECTOR_PROBABILITY},
		{.name = "s", .method = SELECTOR_HASH},
		{.name = "s", .method = SELECTOR_HASH, .ranges = &range,
		 .range_count = 1},
		{.name = "s", .method = SELECTOR_MATCH,
		 .ie = ie_find(registry, 0, IE_sourceIPv4Address),
		 .value = "10.0.0.0/33"},
	};

	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		struct selection_conf conf = {.name = "t", .selectors = &bad[i],
					      .selector_count = 1};
		struct stage *stage;
		char *error = NULL;

		CU_ASSERT_EQUAL(selection_new(&conf, registry, shapes, &stage,
					      &error),
				-EINVAL);
		CU_ASSERT_PTR_NOT_NULL(error);
		free(error);
	}
}

/* ---- overload ------------------------------------------------------------------- */

static struct pressure now_pressure;
static int coarse;

static void
measure(void *arg, struct pressure *pressure)
{
	*pressure = now_pressure;
}

static void
coarser(void *arg, bool on)
{
	coarse = on;
}

static struct stage *
open_overload(enum overload_behaviour behaviour)
{
	struct selector_conf all = {.name = "all", .method = SELECTOR_ALL};
	struct overload_conf conf = {
		.behaviour = behaviour,
		.cache_high = 90,
		.cache_low = 50,
		.cpu_high = 95,
		.cpu_low = 60,
		.drops_high = 10,
		.interval = 10,
		.max_interval = 30,
		.hold_ms = 5000,
		.measure = measure,
		.coarser = coarser,
	};

	now_pressure = (struct pressure){0};
	return open_before_sink(&all, 1, &conf);
}

static void
seconds(struct stage *stage, uint64_t *now, unsigned count)
{
	for (; count; count--)
		stage_tick(stage, *now += 1000);
}

static void
test_overload_samples(void)
{
	struct stage *stage = open_overload(OVERLOAD_SAMPLE);
	uint64_t now = 1000000;

	feed(stage, 100);
	CU_ASSERT_EQUAL(sink.count, 100);
	seconds(stage, &now, 3);
	CU_ASSERT_EQUAL(selection_interval(stage), 1);
	now_pressure.cache = 90;
	seconds(stage, &now, 1);
	CU_ASSERT_EQUAL(selection_interval(stage), 10);
	CU_ASSERT_EQUAL(sink.cuts, 1);
	feed(stage, 100);
	CU_ASSERT_EQUAL(sink.count, 110);
	CU_ASSERT_EQUAL(sink.interval, 10);
	seconds(stage, &now, 4); /* held */
	CU_ASSERT_EQUAL(selection_interval(stage), 10);
	seconds(stage, &now, 1);
	CU_ASSERT_EQUAL(selection_interval(stage), 20);
	seconds(stage, &now, 20); /* and no further than that */
	CU_ASSERT_EQUAL(selection_interval(stage), 30);
	now_pressure.cache = 60; /* neither high nor low */
	seconds(stage, &now, 20);
	CU_ASSERT_EQUAL(selection_interval(stage), 30);
	now_pressure.cache = 10;
	seconds(stage, &now, 1);
	CU_ASSERT_EQUAL(selection_interval(stage), 15);
	seconds(stage, &now, 5);
	CU_ASSERT_EQUAL(selection_interval(stage), 1);
	CU_ASSERT_EQUAL(sink.cuts, 5);
	selection_close(stage);
}

static void
test_overload_stops(void)
{
	struct stage *stage = open_overload(OVERLOAD_STOP);
	uint64_t now = 1000000;

	seconds(stage, &now, 1);
	now_pressure.drops = 100;
	seconds(stage, &now, 1);
	CU_ASSERT_EQUAL(selection_interval(stage), 0);
	feed(stage, 100);
	CU_ASSERT_EQUAL(sink.count, 0);
	CU_ASSERT_EQUAL(stage->ledger.lost[LOSS_OVERLOAD], 100);
	seconds(stage, &now, 6); /* no more drops */
	CU_ASSERT_EQUAL(selection_interval(stage), 1);
	feed(stage, 100);
	CU_ASSERT_EQUAL(sink.count, 100);
	selection_close(stage);
}

static void
test_overload_coarsens(void)
{
	struct stage *stage = open_overload(OVERLOAD_COARSER);
	uint64_t now = 1000000;

	coarse = false;
	now_pressure.cpu = 99;
	seconds(stage, &now, 1);
	CU_ASSERT(coarse);
	feed(stage, 100);
	CU_ASSERT_EQUAL(sink.count, 100);
	now_pressure.cpu = 1;
	seconds(stage, &now, 6);
	CU_ASSERT_FALSE(coarse);
	selection_close(stage);
}

static enum overload_sign told;

static void
tell(void *arg, enum overload_sign sign)
{
	told = sign;
}

/* One of several in other threads: it tells, and does what it is told. */
static void
test_overload_of_several(void)
{
	const struct selector_conf all = {.name = "all",
					  .method = SELECTOR_ALL};
	const struct overload_conf conf = {
		.behaviour = OVERLOAD_SAMPLE,
		.cache_high = 90,
		.cache_low = 50,
		.cpu_high = 95,
		.cpu_low = 60,
		.interval = 10,
		.max_interval = 30,
		.hold_ms = 5000,
		.measure = measure,
		.sign = tell,
	};
	struct overload_state state = {0}, next;
	struct stage *stage = open_before_sink(&all, 1, &conf);
	uint64_t now = 1000000;

	CU_ASSERT_EQUAL(selection_overload_conf(stage)->hold_ms, 5000);
	now_pressure = (struct pressure){.cache = 95};
	seconds(stage, &now, 1);
	CU_ASSERT_EQUAL(told, OVERLOAD_HIGH);
	CU_ASSERT_EQUAL(selection_interval(stage), 1);
	now_pressure.cache = 60;
	seconds(stage, &now, 1);
	CU_ASSERT_EQUAL(told, OVERLOAD_BETWEEN);
	now_pressure.cache = 10;
	seconds(stage, &now, 1);
	CU_ASSERT_EQUAL(told, OVERLOAD_LOW);
	CU_ASSERT_FALSE(
		overload_decide(&conf, &state, OVERLOAD_LOW, now, &next));
	CU_ASSERT(overload_decide(&conf, &state, OVERLOAD_HIGH, now, &next));
	selection_overload(stage, &next);
	CU_ASSERT_EQUAL(selection_interval(stage), 10);
	CU_ASSERT_EQUAL(sink.cuts, 1);
	feed(stage, 100);
	CU_ASSERT_EQUAL(sink.count, 10);
	/* Held for a while. */
	CU_ASSERT_FALSE(overload_decide(&conf, &next, OVERLOAD_LOW, now + 4999,
					&state));
	CU_ASSERT(overload_decide(&conf, &next, OVERLOAD_LOW, now + 5000,
				  &state));
	selection_overload(stage, &state);
	CU_ASSERT_EQUAL(selection_interval(stage), 1);
	CU_ASSERT_EQUAL(sink.cuts, 2);
	selection_close(stage);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"hash functions", test_hashes},
		{"all", test_all},
		{"by count", test_count},
		{"by time", test_time},
		{"random n out of N", test_out_of_n},
		{"uniform probability", test_probability},
		{"property match", test_match},
		{"by hash", test_hash},
		{"a chain", test_chain},
		{"a change ends what was", test_change},
		{"bad parameters", test_bad},
		{"overload: sampling", test_overload_samples},
		{"overload: stop", test_overload_stops},
		{"overload: coarser", test_overload_coarsens},
		{"overload: one of several", test_overload_of_several},
	};
	static const struct {
		uint16_t id, length;
	} list[] = {{IE_flowId, 8},
		    {IE_observationTimeNanoseconds, 8},
		    {IE_ipHeaderPacketSection, HEADER},
		    {IE_ipPayloadPacketSection, PAYLOAD},
		    {IE_sourceIPv4Address, 4}};
	struct field field[5];
	int failed;

	registry = ie_registry_new(100);
	shapes = shape_table_new(1000);
	scope = (struct scope){.serial = scope_serial(), .packets = true};
	for (int i = 0; i < 5; i++) {
		field[i].ie = ie_find(registry, 0, list[i].id);
		field[i].length = list[i].length;
	}
	if (shape_get(shapes, field, 5, 0, &shape) < 0)
		return 1;
	failed = unit_run("selection", tests, UNIT_COUNT(tests));
	shape_release(shape);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return failed;
}
