/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Rows as IPFIX records, read back as JSON. */
#include <stdlib.h>

#include "conflux/format.h"
#include "meter_map.h"
#include "unit.h"

struct sink {
	struct stage stage;
	struct text json;
	unsigned batches, records;
	uint64_t flow_keys;
};

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	struct sink *sink = (struct sink *)stage;

	sink->batches++;
	sink->records += batch->count;
	sink->flow_keys = batch->flow_keys;
	for (uint32_t i = 0; i < batch->count; i++) {
		uint32_t length;
		const uint8_t *record = batch_record(batch, i, &length);

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
static struct meter_map *map;
static struct meter_reader_conf conf;
static struct meter_row row;
static struct flow_reading reading;

static void
begin(void)
{
	registry = ie_registry_new(500);
	shapes = shape_table_new(500);
	sink = (struct sink){.stage.ops = &sink_ops};
	memset(&source, 0, sizeof(source));
	stage_link(&source, &sink.stage);
	addr_parse(&scope.exporter, "192.0.2.1", 161);
	CU_ASSERT_EQUAL_FATAL(meter_map_new(&conf, registry, shapes, &source,
					    &scope, &map), 0);
	row_reset(&row);
	row.rule_set = 3;
	row.index = 42;
	reading = (struct flow_reading){
		.news = FLOW_GROWN,
		.delta = {1000, 10, 2000, 20},
		.total = {5000, 50, 6000, 60},
		.start_ms = 1700000000000u,
		.end_ms = 1700000001000u,
	};
}

static const char *
end(void)
{
	meter_map_flush(map, 1);
	meter_map_free(map);
	return sink.json.data ? sink.json.data : "";
}

static void
fini(void)
{
	text_fini(&sink.json);
	free(source.next);
	shape_table_free(shapes);
	ie_registry_free(registry);
}

static void
put(uint8_t attribute, uint64_t number)
{
	struct ber_value value = {.kind = BER_KIND_NUMBER, .number = number};

	row_set(&row, attribute, &value);
}

static void
put_octets(uint8_t attribute, const char *octets, unsigned length)
{
	struct ber_value value = {.kind = BER_KIND_OCTETS,
				  .octets = (const uint8_t *)octets,
				  .length = (uint16_t)length};

	row_set(&row, attribute, &value);
}

/* TCP from 10.0.0.1 port 1024 to 10.0.0.2 port 80. */
static void
put_tcp(void)
{
	put(8, 1);
	put(18, 1);
	put_octets(9, "\x0a\0\0\1", 4);
	put_octets(10, "\xff\xff\xff\xff", 4);
	put_octets(19, "\x0a\0\0\2", 4);
	put_octets(20, "\xff\xff\xff\xff", 4);
	put(11, 6);
	put(21, 6);
	put_octets(12, "\4\0", 2);
	put_octets(13, "\xff\xff", 2);
	put_octets(22, "\0\x50", 2);
	put_octets(23, "\xff\xff", 2);
}

#define HAS(json, what) CU_ASSERT_PTR_NOT_NULL(strstr(json, what))
#define HAS_NOT(json, what) CU_ASSERT_PTR_NULL(strstr(json, what))

static void
test_biflow(void)
{
	const char *json;

	meter_reader_conf_init(&conf);
	begin();
	put_tcp();
	meter_map_add(map, &row, &reading, 1700000002000u);
	json = end();
	HAS(json, "\"ipVersion\":4,\"sourceIPv4Address\":\"10.0.0.1\"");
	HAS(json, "\"sourceTransportPort\":1024");
	HAS(json, "\"destinationIPv4Address\":\"10.0.0.2\"");
	HAS(json, "\"destinationTransportPort\":80");
	HAS(json, "\"protocolIdentifier\":6");
	HAS(json, "\"layer2OctetDeltaCount\":1000");
	HAS(json, "\"packetDeltaCount\":10");
	HAS(json, "\"reverseLayer2OctetDeltaCount\":2000");
	HAS(json, "\"reversePacketDeltaCount\":20");
	HAS(json, "\"biflowDirection\":0");
	HAS(json, "\"rtfmFlowRuleSet\":3");
	HAS(json, "\"rtfmFlowIndex\":42");
	HAS(json, "\"flowStartMilliseconds\":\"2023-11-14T22:13:20.000Z\"");
	HAS(json, "\"originalExporterIPv4Address\":\"192.0.2.1\"");
	HAS_NOT(json, "reverseFlow");
	CU_ASSERT_EQUAL(source.ledger.in, 1);
	CU_ASSERT_EQUAL(source.ledger.exported, 1);
	CU_ASSERT_EQUAL(source.ledger.held, 0);
	CU_ASSERT_EQUAL(sink.flow_keys & 0x3f, 0x3f);
	fini();
}

static void
test_uniflow(void)
{
	const char *json;

	meter_reader_conf_init(&conf);
	conf.direction = METER_UNIFLOW;
	conf.octet_layer = METER_OCTETS_IP;
	begin();
	put_tcp();
	put(4, 7);
	put(14, 9);
	meter_map_add(map, &row, &reading, 1);
	json = end();
	HAS(json, "\"sourceIPv4Address\":\"10.0.0.1\",");
	HAS(json, "\"sourceIPv4Address\":\"10.0.0.2\",");
	HAS(json, "\"octetDeltaCount\":1000,\"packetDeltaCount\":10}");
	HAS(json, "\"octetDeltaCount\":2000,\"packetDeltaCount\":20}");
	HAS(json, "\"sourceTransportPort\":80,\"ingressInterface\":9");
	HAS_NOT(json, "reverse");
	CU_ASSERT_EQUAL(source.ledger.in + source.ledger.split,
			source.ledger.exported);
	CU_ASSERT_EQUAL(source.ledger.exported, 2);
	/* Both are of one shape: one batch. */
	CU_ASSERT_EQUAL(sink.batches, 1);
	fini();
}

/* RFC 5103: no directional key, no biflow. */
static void
test_no_direction(void)
{
	const char *json;

	meter_reader_conf_init(&conf);
	begin();
	put(ATTRIBUTE_FLOW_KIND, 5);
	put(11, 17);
	meter_map_add(map, &row, &reading, 1);
	json = end();
	HAS(json, "\"rtfmFlowKind\":5");
	HAS_NOT(json, "reverse");
	CU_ASSERT_EQUAL(sink.records, 2);
	fini();
}

static void
test_masks(void)
{
	const char *json;

	meter_reader_conf_init(&conf);
	begin();
	put_tcp();
	put_octets(9, "\x0a\1\7\7", 4);
	put_octets(10, "\xff\xff\0\0", 4);
	put_octets(19, "\x0a\0\0\2", 4);
	put_octets(20, "\xff\0\xff\0", 4);
	put_octets(13, "\xff\0", 2);
	put_octets(22, "\0\0", 2);
	put_octets(23, "\0\0", 2);
	meter_map_add(map, &row, &reading, 1);
	json = end();
	HAS(json, "\"sourceIPv4Prefix\":\"10.1.0.0\","
		  "\"sourceIPv4PrefixLength\":16");
	HAS_NOT(json, "IPv4Address\":\"10.0.0.2");
	HAS(json, "\"rtfmDestPeerAddress\":\"0a000002\"");
	HAS(json, "\"rtfmDestPeerMask\":\"ff00ff00\"");
	HAS(json, "\"rtfmSourceTransAddress\":\"0400\"");
	HAS(json, "\"rtfmSourceTransMask\":\"ff00\"");
	HAS_NOT(json, "TransportPort");
	fini();
}

/* A real zero and what does not matter are told apart by the mask. */
static void
test_zeros(void)
{
	const char *json;

	meter_reader_conf_init(&conf);
	begin();
	put_tcp();
	put_octets(12, "\0\0", 2);
	put_octets(19, "\0\0\0\0", 4);
	put_octets(20, "\0\0\0\0", 4);
	put_octets(33, "\0\0\0\0", 4);
	put_octets(34, "user", 4);
	meter_map_add(map, &row, &reading, 1);
	json = end();
	HAS(json, "\"sourceTransportPort\":0");
	HAS_NOT(json, "destinationIPv4");
	HAS_NOT(json, "rtfmSourceSubscriberID");
	HAS(json, "\"rtfmDestSubscriberID\":\"75736572\"");
	fini();
}

/* NeTraMet 3 says 2 for IPv4; IPX has no addresses in IPFIX. */
static void
test_other_networks(void)
{
	const char *json;

	meter_reader_conf_init(&conf);
	begin();
	put_tcp();
	put(8, 2);
	put(18, 2);
	meter_map_add(map, &row, &reading, 1);
	row_reset(&row);
	put(8, 2);
	put_octets(9, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	put_octets(10, "\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0", 16);
	meter_map_add(map, &row, &reading, 1);
	row_reset(&row);
	put(8, 11);
	put_octets(9, "\0\0\0\1\2\3\4\5\6\7", 10);
	meter_map_add(map, &row, &reading, 1);
	row_reset(&row);
	put(5, 7);
	put_octets(6, "\2\0\0\0\0\1", 6);
	put_octets(7, "\xff\xff\xff\xff\xff\xff", 6);
	meter_map_add(map, &row, &reading, 1);
	json = end();
	HAS(json, "\"ipVersion\":4");
	HAS(json, "\"ipVersion\":6,\"sourceIPv6Prefix\":\"2001:db8::\","
		  "\"sourceIPv6PrefixLength\":64");
	HAS(json, "\"ethernetType\":33079");
	HAS(json, "\"rtfmSourcePeerAddress\":\"00000001020304050607\"");
	HAS(json, "\"rtfmSourceAdjacentType\":7");
	HAS(json, "\"sourceMacAddress\":\"02:00:00:00:00:01\"");
	fini();
}

static void
test_totals(void)
{
	const char *json;

	meter_reader_conf_init(&conf);
	conf.counters = METER_TOTAL;
	conf.octet_layer = METER_OCTETS_IP;
	begin();
	put_tcp();
	meter_map_add(map, &row, &reading, 1);
	json = end();
	HAS(json, "\"octetTotalCount\":5000,\"packetTotalCount\":50");
	HAS(json, "\"reverseOctetTotalCount\":6000");
	fini();
}

/* More shapes than are kept, more records than a batch holds. */
static void
test_bounds(void)
{
	meter_reader_conf_init(&conf);
	begin();
	put_tcp();
	for (unsigned i = 0; i < 300; i++)
		meter_map_add(map, &row, &reading, 1);
	CU_ASSERT_EQUAL(sink.records, 256);
	for (unsigned i = 0; i < 512; i++) {
		row_reset(&row);
		for (unsigned bit = 0; bit < 9; bit++)
			if (i >> bit & 1)
				put((uint8_t)(bit < 6 ? 36 + bit : bit - 2),
				    1);
		meter_map_add(map, &row, &reading, 1);
	}
	CU_ASSERT(meter_map_layouts(map) <= 128);
	end();
	CU_ASSERT(ledger_balanced(&source.ledger));
	CU_ASSERT_EQUAL(source.ledger.held, 0);
	CU_ASSERT_EQUAL(sink.records, source.ledger.exported);
	fini();
}

static const struct unit_test tests[] = {
	{"a biflow with ports", test_biflow},
	{"two uniflows", test_uniflow},
	{"no biflow without a directional key", test_no_direction},
	{"prefixes and other masks", test_masks},
	{"zero and no matter", test_zeros},
	{"other networks, PeerType 2", test_other_networks},
	{"totals", test_totals},
	{"bounds of layouts and batches", test_bounds},
};

int
main(void)
{
	return unit_run("meter map", tests, UNIT_COUNT(tests));
}
