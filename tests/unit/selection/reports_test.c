/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What the stages behind a Selection Process see, in order: records, Options
 * Data (as text), cuts, ends of scopes. Each test compares all of it with what
 * RFC 5476 section 6.5 asks for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/format.h"
#include "conflux/ie.h"
#include "conflux/wire.h"
#include "fixture.h"

/* ---- what comes out ------------------------------------------------------------ */

struct log {
	struct stage stage;
	struct text text;
	uint64_t packets, reports; /* serials of the last scopes */
	const struct scope *last;
	bool count_records;
};

static struct log out;

static void
log_run(struct stage *stage, const struct batch *batch)
{
	static const char *const kind[] = {"other", "reliability", "sequence",
					   "statistics"};
	uint32_t length;
	const uint8_t *record = batch_record(batch, 0, &length);

	out.last = batch->scope;
	if (!batch->shape->scope_count) {
		out.packets = batch->scope->serial;
		text_printf(&out.text, "%u records\n", (unsigned)batch->count);
		return;
	}
	if (batch->options != OPTIONS_OTHER) {
		out.reports = batch->scope->serial;
		CU_ASSERT_EQUAL(batch->scope->domain, DOMAIN_OUT);
		CU_ASSERT_NOT_EQUAL(out.reports, out.packets);
	}
	CU_ASSERT_EQUAL(batch->count, 1);
	text_printf(&out.text, "%s/%u ", kind[batch->options],
		 (unsigned)batch->shape->scope_count);
	format_record_json(&out.text, batch->shape, record, length);
	text_add(&out.text, "\n");
}

static void
log_cut(struct stage *stage)
{
	text_add(&out.text, "cut\n");
}

static void
log_end(struct stage *stage, const struct scope *ended)
{
	if (ended->serial == out.packets)
		text_add(&out.text, "end of packets\n");
	else if (ended->serial == out.reports)
		text_add(&out.text, "end of reports\n");
	else if (ended->serial == scope.serial)
		text_add(&out.text, "end of the point\n");
}

static const struct stage_ops log_ops = {
	.run = log_run,
	.cut = log_cut,
	.scope_end = log_end,
};

static void
expect(const char *text)
{
	text_add(&out.text, "");
	CU_ASSERT_STRING_EQUAL(out.text.data, text);
	if (strcmp(out.text.data, text) != 0)
		fprintf(stderr, "got:\n%sexpected:\n%s", out.text.data, text);
	text_reset(&out.text);
}

/* ---- what goes in --------------------------------------------------------------- */

static struct stage *
start(const struct selector_conf *selector, unsigned count,
      const struct overload_conf *overload)
{
	memset(&out, 0, sizeof(out));
	out.stage.ops = &log_ops;
	return selection_open(selector, count, overload, &out.stage);
}

static void
finish(struct stage *stage)
{
	selection_close(stage);
	text_fini(&out.text);
}

static void
feed(struct stage *stage, uint32_t count)
{
	static const uint8_t data[BATCH_MAX];
	struct batch batch = {.shape = shape, .scope = &scope, .base = data,
			      .count = count, .stride = 1};

	stage_run(stage, &batch);
}

/* ---- reports -------------------------------------------------------------------- */

/* Observed once, selected for each: what one takes the next one sees (6.5.3). */
static void
test_chain(void)
{
	struct selector_conf c[] = {
		{.name = "a", .id = 10, .method = SELECTOR_COUNT,
		 .interval = 2, .space = 2},
		{.name = "b", .id = 11, .method = SELECTOR_OUT_OF_N, .size = 1,
		 .population = 5},
	};
	struct stage *stage = start(c, 2, NULL);

	feed(stage, 100);
	expect("sequence/1 {\"selectionSequenceId\":5,\"observationPointId\":3,"
	       "\"selectorId\":[10,11]}\n"
	       "sequence/1 {\"selectorId\":10,\"selectorAlgorithm\":1,"
	       "\"samplingPacketInterval\":2,\"samplingPacketSpace\":2}\n"
	       "sequence/1 {\"selectorId\":11,\"selectorAlgorithm\":3,"
	       "\"samplingSize\":1,\"samplingPopulation\":5}\n"
	       "10 records\n");
	stage_tick(stage, 5000);
	expect("statistics/1 {\"selectionSequenceId\":5,"
	       "\"selectorIdTotalPktsObserved\":100,"
	       "\"selectorIdTotalPktsSelected\":[50,10]}\n");
	/* Not again while nothing has come, nor within the same second. */
	stage_tick(stage, 7000);
	feed(stage, 20);
	stage_tick(stage, 7900);
	expect("2 records\n");
	stage_flush(stage);
	expect("statistics/1 {\"selectionSequenceId\":5,"
	       "\"selectorIdTotalPktsObserved\":120,"
	       "\"selectorIdTotalPktsSelected\":[60,12]}\n");
	/* In case that a report was lost. */
	stage_tick(stage, 65000);
	CU_ASSERT_PTR_NOT_NULL(strstr(out.text.data, "sequence/1"));
	text_reset(&out.text);
	finish(stage);
}

static void
report_of(const struct selector_conf *selector, const char *text)
{
	struct stage *stage = start(selector, 1, NULL);
	char *second;

	feed(stage, 1);
	second = strchr(out.text.data, '\n') + 1;
	*strchr(second, '\n') = '\0';
	CU_ASSERT_STRING_EQUAL(second, text);
	if (strcmp(second, text) != 0)
		fprintf(stderr, "got: %s\n", second);
	finish(stage);
}

/* Section 6.5.2, one after the other. */
static void
test_selectors(void)
{
	struct selector_range range[] = {{100, 200}, {400, 500}};
	struct selector_conf c = {.name = "s", .id = 10};

	c.method = SELECTOR_ALL;
	report_of(&c, "sequence/1 {\"selectorId\":10,\"selectorAlgorithm\":1,"
		      "\"samplingPacketInterval\":1,\"samplingPacketSpace\":0}");
	c.method = SELECTOR_TIME;
	c.interval = 100;
	c.space = 900;
	report_of(&c, "sequence/1 {\"selectorId\":10,\"selectorAlgorithm\":2,"
		      "\"samplingTimeInterval\":100,\"samplingTimeSpace\":900}");
	c.method = SELECTOR_PROBABILITY;
	c.probability = 0.25;
	report_of(&c, "sequence/1 {\"selectorId\":10,\"selectorAlgorithm\":4,"
		      "\"samplingProbability\":0.25}");
	c.method = SELECTOR_HASH;
	c.hash = SELECTOR_BOB;
	c.initialiser = 0x9a3f9a3f;
	c.payload_size = 16;
	c.ranges = range;
	c.range_count = 2;
	report_of(&c, "sequence/1 {\"selectorId\":10,\"selectorAlgorithm\":6,"
		      "\"hashIPPayloadOffset\":0,\"hashIPPayloadSize\":16,"
		      "\"hashOutputRangeMin\":0,"
		      "\"hashOutputRangeMax\":4294967295,"
		      "\"hashSelectedRangeMin\":[100,400],"
		      "\"hashSelectedRangeMax\":[200,500],"
		      "\"hashDigestOutput\":false,"
		      "\"hashInitialiserValue\":2587859519}");
	c.hash = SELECTOR_IPSX;
	c.initialiser = 0;
	c.payload_size = 8;
	c.range_count = 1;
	c.digest = true;
	report_of(&c, "sequence/1 {\"selectorId\":10,\"selectorAlgorithm\":7,"
		      "\"hashIPPayloadOffset\":0,\"hashIPPayloadSize\":8,"
		      "\"hashOutputRangeMin\":0,\"hashOutputRangeMax\":65535,"
		      "\"hashSelectedRangeMin\":100,"
		      "\"hashSelectedRangeMax\":200,"
		      "\"hashDigestOutput\":true,"
		      "\"hashInitialiserValue\":0}");
}

static void
test_matches(void)
{
	static const struct {
		uint16_t element;
		const char *value, *text;
	} filter[] = {
		{IE_protocolIdentifier, "0x11", "\"protocolIdentifier\":17"},
		{IE_sourceIPv4Address, "192.0.2.1",
		 "\"sourceIPv4Address\":\"192.0.2.1\""},
		/* Only these two together say it. */
		{IE_sourceIPv4Address, "192.0.2.77/24",
		 "\"sourceIPv4Prefix\":\"192.0.2.0\","
		 "\"sourceIPv4PrefixLength\":24"},
		{IE_destinationIPv6Address, "2001:db8::1/33",
		 "\"destinationIPv6Prefix\":\"2001:db8::\","
		 "\"destinationIPv6PrefixLength\":33"},
		{IE_sourceMacAddress, "00:1b:21:0a:0b:0c",
		 "\"sourceMacAddress\":\"00:1b:21:0a:0b:0c\""},
		{IE_interfaceName, "eth0", "\"interfaceName\":\"eth0\""},
		{IE_dataRecordsReliability, "false",
		 "\"dataRecordsReliability\":false"},
		{IE_samplingProbability, "0.5", "\"samplingProbability\":0.5"},
		{IE_flowStartMicroseconds, "2023-11-14T22:13:20.5Z",
		 "\"flowStartMicroseconds\":\"2023-11-14T22:13:20.500000Z\""},
		{IE_flowStartNanoseconds, "2023-11-14T22:13:20.000000001Z",
		 "\"flowStartNanoseconds\":\"2023-11-14T22:13:20.000000001Z\""},
	};
	char text[512];

	for (size_t i = 0; i < UNIT_COUNT(filter); i++) {
		struct selector_conf c = {
			.name = "s", .id = 10, .method = SELECTOR_MATCH,
			.ie = ie_find(registry, 0, filter[i].element),
			.value = filter[i].value};

		snprintf(text, sizeof(text),
			 "sequence/1 {\"selectorId\":10,\"selectorAlgorithm\":5,"
			 "%s}", filter[i].text);
		report_of(&c, text);
	}
}

/* ---- changes -------------------------------------------------------------------- */

static void
test_change(void)
{
	struct selector_conf c = {.name = "s", .id = 10,
				  .method = SELECTOR_COUNT, .interval = 1,
				  .space = 9};
	struct stage *stage = start(&c, 1, NULL);

	/* Before anything has come there is nothing to tell. */
	CU_ASSERT_EQUAL(selection_change(stage, 0, &c), 0);
	expect("cut\n");
	feed(stage, 100);
	text_reset(&out.text);
	c.space = 0;
	CU_ASSERT_EQUAL(selection_change(stage, 0, &c), 0);
	expect("statistics/1 {\"selectionSequenceId\":4294967301,"
	       "\"selectorIdTotalPktsObserved\":100,"
	       "\"selectorIdTotalPktsSelected\":10}\n"
	       "cut\n"
	       "end of packets\n"
	       "end of reports\n"
	       "sequence/1 {\"selectionSequenceId\":8589934597,"
	       "\"observationPointId\":3,\"selectorId\":10}\n"
	       "sequence/1 {\"selectorId\":10,\"selectorAlgorithm\":1,"
	       "\"samplingPacketInterval\":1,\"samplingPacketSpace\":0}\n");
	feed(stage, 100);
	expect("100 records\n");
	CU_ASSERT_EQUAL(out.last->fact[FACT_SELECTION_SEQUENCE_ID], 8589934597);
	CU_ASSERT_EQUAL(out.last->fact[FACT_SAMPLING_INTERVAL], 1);
	finish(stage);
}

/* What an observer was asked for at the start cannot change. */
static void
test_no_change(void)
{
	struct selector_range range = {0, 1};
	struct selector_conf c = {.name = "s", .method = SELECTOR_MATCH,
				  .ie = ie_find(registry, 0,
						IE_protocolIdentifier),
				  .value = "17"};
	struct stage *stage = start(&c, 1, NULL);

	CU_ASSERT_EQUAL(selection_change(stage, 1, &c), -EINVAL);
	c.value = "6";
	CU_ASSERT_EQUAL(selection_change(stage, 0, &c), 0);
	c.value = "tcp";
	CU_ASSERT_EQUAL(selection_change(stage, 0, &c), -EINVAL);
	c.value = "6";
	c.ie = ie_find(registry, 0, IE_ipVersion);
	CU_ASSERT_EQUAL(selection_change(stage, 0, &c), -EINVAL);
	c.method = SELECTOR_ALL;
	CU_ASSERT_EQUAL(selection_change(stage, 0, &c), -EINVAL);
	finish(stage);
	c = (struct selector_conf){.name = "s", .method = SELECTOR_HASH,
				   .payload_size = 4, .ranges = &range,
				   .range_count = 1};
	stage = start(&c, 1, NULL);
	range.max = 5;
	c.initialiser = 7;
	CU_ASSERT_EQUAL(selection_change(stage, 0, &c), 0);
	c.payload_size = 5;
	CU_ASSERT_EQUAL(selection_change(stage, 0, &c), -EINVAL);
	c.payload_size = 4;
	c.digest = true;
	CU_ASSERT_EQUAL(selection_change(stage, 0, &c), -EINVAL);
	finish(stage);
}

static struct pressure pressure;

static void
measure(void *arg, struct pressure *p)
{
	*p = pressure;
}

static void
coarser(void *arg, bool on)
{
	text_printf(&out.text, "coarse: %s\n", on ? "on" : "off");
}

/* The selector of overload has an id of its own in each sequence. */
static void
test_overload(void)
{
	struct selector_conf c = {.name = "s", .id = 10,
				  .method = SELECTOR_ALL};
	struct overload_conf o = {
		.behaviour = OVERLOAD_SAMPLE,
		.cache_high = 90,
		.cache_low = 50,
		.cpu_high = 101,
		.cpu_low = 100,
		.drops_high = 10,
		.interval = 4,
		.max_interval = 8,
		.hold_ms = 1000,
		.measure = measure,
		.coarser = coarser,
	};
	struct stage *stage = start(&c, 1, &o);

	pressure = (struct pressure){.cache = 90};
	feed(stage, 8);
	text_reset(&out.text);
	stage_tick(stage, 1000);
	expect("statistics/1 {\"selectionSequenceId\":5,"
	       "\"selectorIdTotalPktsObserved\":8,"
	       "\"selectorIdTotalPktsSelected\":[8,8]}\n"
	       "cut\n"
	       "end of packets\n"
	       "end of reports\n"
	       "sequence/1 {\"selectionSequenceId\":4294967301,"
	       "\"observationPointId\":3,\"selectorId\":[10,4294967301]}\n"
	       "sequence/1 {\"selectorId\":10,\"selectorAlgorithm\":1,"
	       "\"samplingPacketInterval\":1,\"samplingPacketSpace\":0}\n"
	       "sequence/1 {\"selectorId\":4294967301,\"selectorAlgorithm\":1,"
	       "\"samplingPacketInterval\":1,\"samplingPacketSpace\":3}\n");
	feed(stage, 8);
	expect("2 records\n");
	finish(stage);

	o.behaviour = OVERLOAD_COARSER;
	stage = start(&c, 1, &o);
	feed(stage, 8);
	text_reset(&out.text);
	stage_tick(stage, 1000);
	/* What was metered so far is told before what changes. */
	CU_ASSERT_EQUAL(strncmp(out.text.data, "statistics/1", 12), 0);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(out.text.data, "coarse: on\ncut\nend of packets\n"
				      "end of reports\nsequence/1"));
	finish(stage);
}

/* A capture that is opened again counts its drops from 0. */
static void
test_drops(void)
{
	struct selector_conf c = {.name = "s", .method = SELECTOR_ALL};
	struct overload_conf o = {
		.behaviour = OVERLOAD_STOP,
		.cache_high = 101,
		.cache_low = 100,
		.cpu_high = 101,
		.cpu_low = 100,
		.drops_high = 10,
		.hold_ms = 1000,
		.measure = measure,
	};
	struct stage *stage = start(&c, 1, &o);

	pressure = (struct pressure){.drops = 1000000};
	stage_tick(stage, 1000); /* of before we looked */
	CU_ASSERT_EQUAL(selection_interval(stage), 1);
	pressure.drops = 3;
	stage_tick(stage, 2000);
	CU_ASSERT_EQUAL(selection_interval(stage), 1);
	pressure.drops = 21;
	stage_tick(stage, 4000); /* 9 a second */
	CU_ASSERT_EQUAL(selection_interval(stage), 1);
	pressure.drops = 32;
	stage_tick(stage, 5000);
	CU_ASSERT_EQUAL(selection_interval(stage), 0);
	/* Some drops are not enough to begin, but too many to end. */
	pressure.drops = 33;
	stage_tick(stage, 6500);
	CU_ASSERT_EQUAL(selection_interval(stage), 0);
	stage_tick(stage, 8000);
	CU_ASSERT_EQUAL(selection_interval(stage), 1);
	finish(stage);
}

/* ---- what passes ---------------------------------------------------------------- */

static void
test_pass(void)
{
	struct selector_conf c = {.name = "s", .id = 10,
				  .method = SELECTOR_COUNT, .interval = 1,
				  .space = 99};
	struct field field[] = {
		{.ie = ie_find(registry, 0, IE_meteringProcessId), .length = 4},
		{.ie = ie_find(registry, 0, IE_ignoredPacketTotalCount),
		 .length = 8},
	};
	uint8_t data[12] = {0, 0, 0, 1, [11] = 9};
	struct batch batch = {.scope = &scope, .base = data, .count = 1,
			      .stride = sizeof(data)};
	struct stage *stage = start(&c, 1, NULL);

	CU_ASSERT_EQUAL_FATAL(shape_get(shapes, field, 2, 1, &batch.shape), 0);
	feed(stage, 1);
	text_reset(&out.text);
	stage_run(stage, &batch);
	CU_ASSERT_PTR_EQUAL(out.last, &scope);
	stage_scope_end(stage, &scope);
	expect("other/1 {\"meteringProcessId\":1,"
	       "\"ignoredPacketTotalCount\":9}\n"
	       "end of the point\n");
	shape_release(batch.shape);
	finish(stage);
}

/* Rates that no number of samplingInterval tells. */
static void
test_extremes(void)
{
	struct selector_conf c[] = {
		{.name = "a", .method = SELECTOR_PROBABILITY,
		 .probability = 1e-200},
		{.name = "b", .method = SELECTOR_PROBABILITY,
		 .probability = 1e-200},
		{.name = "c", .method = SELECTOR_COUNT, .interval = UINT32_MAX,
		 .space = UINT32_MAX},
	};
	struct stage *stage = start(&c[2], 1, NULL);

	feed(stage, 100);
	CU_ASSERT_EQUAL(out.last->fact[FACT_SAMPLING_INTERVAL], 2);
	finish(stage);
	stage = start(c, 3, NULL);
	feed(stage, 100);
	CU_ASSERT_EQUAL(stage->ledger.filtered, 100);
	/* As no record tells it, the scope of the reports does. */
	CU_ASSERT_EQUAL(out.last->fact[FACT_SAMPLING_INTERVAL], UINT32_MAX);
	finish(stage);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a chain and its statistics", test_chain},
		{"selectors", test_selectors},
		{"property matches", test_matches},
		{"a change in order", test_change},
		{"what can not change", test_no_change},
		{"overload is told", test_overload},
		{"drops of packets", test_drops},
		{"Options Data of others", test_pass},
		{"extreme rates", test_extremes},
	};
	struct field field;
	int failed;

	registry = ie_registry_new(100);
	shapes = shape_table_new(1000);
	scope = (struct scope){.serial = scope_serial(), .domain = DOMAIN_IN,
			       .packets = true};
	field = (struct field){
		.ie = ie_find(registry, 0, IE_protocolIdentifier), .length = 1};
	if (shape_get(shapes, &field, 1, 0, &shape) < 0)
		return 1;
	failed = unit_run("reports", tests, UNIT_COUNT(tests));
	shape_release(shape);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return failed;
}
