/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Options Data of a meter, read back as JSON: what is sent, and when. */
#include <stdlib.h>

#include "conflux/format.h"
#include "meter_options.h"
#include "unit.h"

struct sink {
	struct stage stage;
	struct text json;
	unsigned records;
	uint16_t scope_count;
};

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	struct sink *sink = (struct sink *)stage;

	sink->records += batch->count;
	sink->scope_count = batch->shape->scope_count;
	CU_ASSERT(batch->count <= BATCH_MAX);
	for (uint32_t i = 0; i < batch->count; i++) {
		uint32_t length;
		const uint8_t *record = batch_record(batch, i, &length);

		CU_ASSERT_EQUAL(shape_record_length(batch->shape, record,
						    length), (int)length);
		format_record_json(&sink->json, batch->shape, record, length);
		text_add_char(&sink->json, '\n');
	}
}

static const struct stage_ops sink_ops = {.run = sink_run};

static struct ie_registry *registry;
static struct shape_table *shapes;
static struct sink sink;
static struct stage source;
static struct scope scope;
static struct meter_options *options;

static void
begin(const char *meter)
{
	struct meter_reader_conf conf;

	meter_reader_conf_init(&conf);
	registry = ie_registry_new(500);
	shapes = shape_table_new(500);
	sink = (struct sink){.stage.ops = &sink_ops};
	memset(&source, 0, sizeof(source));
	stage_link(&source, &sink.stage);
	addr_parse(&scope.exporter, meter, 161);
	CU_ASSERT_EQUAL(meter_elements_add(registry, conf.enterprise_number),
			0);
	CU_ASSERT_EQUAL_FATAL(meter_options_new(&conf, registry, shapes,
						&source, &scope, &options), 0);
}

/* What is sent now. */
static const char *
sent(void)
{
	text_reset(&sink.json);
	meter_options_send(options, 1);
	return sink.json.data ? sink.json.data : "";
}

static void
end(void)
{
	CU_ASSERT_EQUAL(source.ledger.in,
			source.ledger.exported + ledger_lost(&source.ledger));
	CU_ASSERT_EQUAL(sink.records, source.ledger.exported);
	CU_ASSERT_EQUAL(sink.records, meter_options_sent(options));
	meter_options_free(options);
	text_fini(&sink.json);
	free(source.next);
	shape_table_free(shapes);
	ie_registry_free(registry);
}

static void
interface(uint32_t index, uint32_t rate, uint32_t lost)
{
	meter_options_interface(options, index, &rate, &lost);
}

#define HAS(json, what) CU_ASSERT_PTR_NOT_NULL(strstr(json, what))
#define HAS_NOT(json, what) CU_ASSERT_PTR_NULL(strstr(json, what))

static void
test_names(void)
{
	begin("192.0.2.1");
	CU_ASSERT_STRING_EQUAL(sent(), "");
	meter_options_name(options, 1, "");
	meter_options_name(options, 255, "last");
	meter_options_name(options, 2, "web");
	CU_ASSERT_STRING_EQUAL(sent(),
		"{\"rtfmFlowRuleSet\":2,"
		"\"originalExporterIPv4Address\":\"192.0.2.1\","
		"\"rtfmRuleSetName\":\"web\"}\n"
		"{\"rtfmFlowRuleSet\":255,"
		"\"originalExporterIPv4Address\":\"192.0.2.1\","
		"\"rtfmRuleSetName\":\"last\"}\n");
	CU_ASSERT_EQUAL(sink.scope_count, 1);
	meter_options_name(options, 2, "web");
	CU_ASSERT_STRING_EQUAL(sent(), "");
	meter_options_name(options, 2, "w\xe4" "b");
	HAS(sent(), "\"rtfmRuleSetName\":\"w?b\"");
	meter_options_repeat(options);
	HAS(sent(), "\"last\"");
	CU_ASSERT_EQUAL(sink.records, 5);
	meter_options_name(options, 255, "");
	meter_options_repeat(options);
	HAS_NOT(sent(), "255");
	CU_ASSERT_EQUAL(sink.records, 6);
	end();
}

static void
test_interfaces(void)
{
	const char *json;

	begin("2001:db8::1");
	meter_options_interfaces(options);
	interface(7, 100, 4294967295u);
	interface(2, 1, 0);
	meter_options_interfaces_end(options, true);
	json = sent();
	CU_ASSERT_STRING_EQUAL(json,
		"{\"ingressInterface\":2,"
		"\"originalExporterIPv6Address\":\"2001:db8::1\","
		"\"selectorAlgorithm\":1,\"samplingPacketInterval\":1,"
		"\"samplingPacketSpace\":0,\"droppedPacketTotalCount\":0}\n"
		"{\"ingressInterface\":7,"
		"\"originalExporterIPv6Address\":\"2001:db8::1\","
		"\"selectorAlgorithm\":1,\"samplingPacketInterval\":1,"
		"\"samplingPacketSpace\":99,"
		"\"droppedPacketTotalCount\":4294967295}\n");
	CU_ASSERT_EQUAL(sink.scope_count, 2);
	meter_options_interfaces(options);
	interface(2, 1, 5);
	interface(7, 100, 4294967295u);
	meter_options_interfaces_end(options, true);
	json = sent();
	HAS(json, "\"droppedPacketTotalCount\":5}");
	HAS_NOT(json, "\"ingressInterface\":7");
	end();
}

/* Columns the meter has not; a rate of 0; a table that is not read whole. */
static void
test_partly(void)
{
	uint32_t none = 0, ten = 10, lost = 3;
	const char *json;

	begin("192.0.2.1");
	meter_options_interfaces(options);
	meter_options_interface(options, 1, NULL, &lost);
	meter_options_interface(options, 2, &ten, NULL);
	meter_options_interface(options, 3, &none, &lost);
	meter_options_interface(options, 4, NULL, NULL);
	meter_options_interface(options, 5, &none, NULL);
	meter_options_interfaces_end(options, true);
	json = sent();
	HAS(json, "{\"ingressInterface\":1,"
		  "\"originalExporterIPv4Address\":\"192.0.2.1\","
		  "\"droppedPacketTotalCount\":3}");
	HAS(json, "\"samplingPacketSpace\":9}");
	HAS(json, "{\"ingressInterface\":3,"
		  "\"originalExporterIPv4Address\":\"192.0.2.1\","
		  "\"droppedPacketTotalCount\":3}");
	CU_ASSERT_EQUAL(sink.records, 3);
	meter_options_repeat(options);
	meter_options_interfaces(options);
	interface(1, 1, 9);
	meter_options_interfaces_end(options, false);
	CU_ASSERT_STRING_EQUAL(sent(), "");
	/* Read again; those that are gone are not told of again. */
	meter_options_interfaces(options);
	interface(1, 1, 9);
	meter_options_interfaces_end(options, true);
	json = sent();
	HAS(json, "\"droppedPacketTotalCount\":9}");
	CU_ASSERT_EQUAL(sink.records, 4);
	end();
}

static void
test_bounds(void)
{
	char name[200];

	begin("192.0.2.1");
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (unsigned i = 1; i < 256; i++)
		meter_options_name(options, (uint8_t)i, name);
	sent();
	CU_ASSERT_EQUAL(sink.records, 255);
	meter_options_interfaces(options);
	for (uint32_t i = 10000; i > 0; i--)
		interface(i, i, i);
	meter_options_interfaces_end(options, true);
	sent();
	CU_ASSERT_EQUAL(sink.records, 255 + 4096);
	end();
}

static const struct unit_test tests[] = {
	{"names of rule sets", test_names},
	{"sampling and losses of interfaces", test_interfaces},
	{"what the meter does not tell", test_partly},
	{"bounds", test_bounds},
};

int
main(void)
{
	return unit_run("meter options", tests, UNIT_COUNT(tests));
}
