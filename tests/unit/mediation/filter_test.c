/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The language of filters on one record, its messages to the letter, and the
 * stage. tests/oracle/filter_oracle.c compares the rest with a slow evaluator.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "conflux/mediation.h"
#include "flow.h"
#include "internal.h"
#include "unit.h"

enum { REFUSED = -1 };

static struct ie_registry *registry;
static struct shape_table *shapes;
static struct scope scope = {
	.serial = 1,
	.domain = 77,
	.exporter = {.version = 4, .bytes = {203, 0, 113, 9}},
};

static struct batch
make(const struct flow_value *value, unsigned count, uint8_t *record,
     uint32_t *offset)
{
	struct batch batch = {.scope = &scope, .base = record, .count = 1};
	struct field field[40];

	offset[0] = 0;
	offset[1] = flow_write(registry, value, count, field, record);
	CU_ASSERT_EQUAL_FATAL(
		shape_get(shapes, field, (uint16_t)count, 0, &batch.shape), 0);
	if (batch.shape->variable)
		batch.offset = offset;
	else
		batch.stride = offset[1];
	return batch;
}

/* 1: the record passes. */
static int
try(const char *text, const struct flow_value *value, unsigned count)
{
	uint32_t index[BATCH_MAX], offset[2];
	struct filter_error error;
	struct filter *filter;
	struct batch batch;
	uint8_t record[512];
	int rc;

	if (filter_new(text, registry, &filter, &error) < 0) {
		free(error.text);
		return REFUSED;
	}
	batch = make(value, count, record, offset);
	rc = filter_run(filter, &batch, index);
	CU_ASSERT(rc == 0 || (rc == 1 && index[0] == 0));
	shape_release(batch.shape);
	filter_free(filter);
	return rc;
}

static int
passes(const char *text)
{
	return try(text, flow_v4, UNIT_COUNT(flow_v4));
}

static void
expect(const char *const *text, size_t count, int outcome)
{
	for (size_t i = 0; i < count; i++)
		if (passes(text[i]) != outcome) {
			printf("\n%d: %s", passes(text[i]), text[i]);
			CU_FAIL("another outcome");
		}
}

#define EXPECT(outcome, ...)                                             \
	do {                                                             \
		static const char *const list[] = {__VA_ARGS__};         \
		expect(list, sizeof(list) / sizeof(list[0]), (outcome)); \
	} while (0)

/* ---- the language ------------------------------------------------------ */

static void
test_words(void)
{
	EXPECT(1, "any", "src ip 192.0.2.1", "src host 192.0.2.1",
	       "src 192.0.2.1", "host 198.51.100.80", "ip == 192.0.2.1",
	       "net 192.0.2.0/24", "src net 192/8",
	       "src net 192.0.2.0 255.255.255.0",
	       "net 192.0.2.0 mask 255.255.255.0", "port 443", "dst port 443",
	       "src or dst port 443", "src and dst port > 400",
	       "port in [80, 443]", "port in [ 80 443 ]", "port 400-500",
	       "proto tcp", "proto 6", "tcp", "tcp port 443",
	       "tcp dst port 443", "tcp and (udp or src port 40000)", "inet",
	       "ipv4", "version 4", "flags S", "flags SF", "flags 0x1b",
	       "not flags RU", "flags == 0x1b", "flags = FSPA",
	       "flags & R or flags & S", "packets > 9", "packets 10",
	       "bytes 1500", "octets >= 1500", "bytes < 2k", "in bytes 1500",
	       "out bytes 70", "bps 6000", "pps 5", "bpp 150", "duration 2000",
	       "as 64500", "dst as 64501", "src as in [1, 64500]", "in if 3",
	       "out if 5", "if 5", "interface 3", "next ip 203.0.113.1",
	       "vlan 7", "src vlan 7", "mac 00:1b:21:0a:0b:0c",
	       "src mac 00-1b-21-0a-0b-0c", "tos 184", "router ip 203.0.113.9",
	       "exporter ip 203.0.113.9", "domain 77", "# all\nany # of it");
	EXPECT(0, "src ip 192.0.2.2", "dst 192.0.2.1", "port 80",
	       "src and dst port 443", "udp", "tcp port 53", "inet6", "ip6",
	       "flags R", "flags SR", "flags 0x12", "not flags SR",
	       "not flags S", "flags == 0x12", "packets < 10",
	       "duration > 2000", "as 1", "bgpnext ip 1.2.3.4", "in if 5",
	       "icmp-type 0", "icmp", "dst vlan 7", "flows 1", "prev as 1",
	       "src mask 24", "ip == 2001:db8::1", "net 2001:db8::/32");
	EXPECT(REFUSED, "duration > 2s");
}

static void
test_elements(void)
{
	EXPECT(1, "sourceIPv4Address == 192.0.2.1",
	       "sourceIPv4Address in [10.0.0.0/8, 192.0.0.0/16]",
	       "sourceIPv4Address not in [10.0.0.0/8 11.0.0.0/8]",
	       "sourceIPv4Address > 192.0.2.0",
	       "destinationTransportPort ge 443", "protocolIdentifier == tcp",
	       "tcpControlBits has 0x12",
	       "tcpControlBits & 0x04 or tcpControlBits & 2",
	       "interfaceName == eth0", "interfaceName == \"eth0\"",
	       "interfaceName like 'eth*'", "interfaceName like '?t?0'",
	       "interfaceName contains th",
	       "interfaceName in [\"lo\", \"eth0\"]", "interfaceName != lo",
	       "interfaceDescription == up", "reverseOctetDeltaCount lt 71",
	       "mibObjectValueInteger == -5", "mibObjectValueInteger < -4",
	       "mibObjectValueInteger in [-10--5]", "mibObjectValueInteger < 3",
	       "samplingProbability == 0.25",
	       "samplingProbability < 0.3 and samplingProbability > 0.2",
	       "dataRecordsReliability == true",
	       "flowStartMilliseconds == 2023-11-14T22:13:20.5Z",
	       "flowStartSeconds == 2023-11-14T22:13:20Z",
	       "flowStartSeconds <= 1700000000",
	       "flowStartNanoseconds < 2023-11-14T22:13:20.500000001Z",
	       "exists basicList", "exists sourceIPv4Address",
	       "not exists sourceIPv6Address",
	       "sourceMacAddress == 00:1b:21:0a:0b:0c",
	       "ingressInterface == 0x3");
	EXPECT(0, "sourceIPv6Address == ::", "sourceIPv6Address != ::",
	       "e4711id12 == 0x00", "exists e4711id12", "interfaceName == eth",
	       "interfaceName like 'eth'", "interfaceName contains eth00",
	       "interfaceName != eth0", "mibObjectValueInteger > -5",
	       "mibObjectValueInteger == 251", "samplingProbability != 0.25",
	       "flowStartSeconds > 1700000000",
	       "flowStartMilliseconds < 2023-11-14T22:13:20.5Z");
}

static void
test_logic(void)
{
	EXPECT(1, "not port 80", "! port 80", "not not tcp",
	       "udp or tcp and port 443", "tcp or udp and port 80",
	       "(udp or tcp) && port 443", "NOT (port 80 OR port 81)",
	       /* What is not there: a comparison is false, its not is true. */
	       "not sourceIPv6Address == ::1",
	       /* Not equal: none of them is, but there are some. */
	       "port != 80", "src port != 443", "ip != 10.0.0.1",
	       "ip != 2001:db8::1", "port not in [1, 2]");
	EXPECT(0, "not any", "port != 443", "ip != 192.0.2.1",
	       "port not in [443]", "udp and any", "vlan != 7",
	       "src mask != 4");
}

static void
test_other_records(void)
{
	static const struct flow_value v6[] = {
		{0, IE_sourceIPv6Address, 16, 1, NULL},
		{0, IE_protocolIdentifier, 1, 58, NULL},
		{0, IE_icmpTypeCodeIPv6, 2, 0x8001, NULL},
		{0, IE_octetTotalCount, 8, 99, NULL},
		{0, IE_packetTotalCount, 8, 3, NULL},
		{0, IE_flowDurationMicroseconds, 4, 2000000, NULL},
	};
	static const struct flow_value udp[] = {
		{0, IE_protocolIdentifier, 1, 17, NULL},
		{0, IE_icmpTypeCodeIPv4, 2, 0x0301, NULL},
		{0, IE_samplingProbability, 8, 0x7ff8000000000000, NULL},
	};
	static const struct {
		const char *text;
		int v6, udp;
	} list[] = {
		{"ip ::1", 1, 0},
		{"src net ::/64", 1, 0},
		{"sourceIPv6Address <= ::1", 1, 0},
		{"sourceIPv6Address in [::2-::9, 1::/16]", 0, 0},
		{"ip in [10.0.0.0/8, ::/8]", 1, 0},
		{"inet6", 1, 0},
		{"icmp6 and icmp-type 128", 1, 0},
		{"icmp-code 1", 1, 0},
		{"icmp-type 3", 0, 0}, /* UDP has none */
		{"flags 0", 0, 0},
		{"icmpTypeCodeIPv4 == 0x301", 0, 1},
		{"bytes 99", 1, 0},
		{"bpp 33 and duration 2000 and bps 396 and pps 1", 1, 0},
		{"samplingProbability < 1 or samplingProbability >= 1", 0, 0},
		{"samplingProbability != 1", 0, 1}, /* NaN */
	};

	for (size_t i = 0; i < UNIT_COUNT(list); i++) {
		int a = try(list[i].text, v6, UNIT_COUNT(v6));
		int b = try(list[i].text, udp, UNIT_COUNT(udp));

		if (a != list[i].v6 || b != list[i].udp) {
			printf("\n%d %d: %s", a, b, list[i].text);
			CU_FAIL("another outcome");
		}
	}
}

static void
test_errors(void)
{
	static const struct {
		const char *text, *message;
	} list[] = {
		{"", "column 1: the expression ends too soon, expected a "
		     "comparison such as port 80\n  \n  ^"},
		{"sourceIPv4Adress == 10.0.0.1",
		 "column 1: there is no element or word \"sourceIPv4Adress\", "
		 "nearest is sourceIPv4Address\n"
		 "  sourceIPv4Adress == 10.0.0.1\n  ^"},
		{"proto tcp and src prot 80",
		 "column 19: expected a word such as ip, net, port or as "
		 "behind src\n  proto tcp and src prot 80\n"
		 "                    ^"},
		{"(port 80 or port 81",
		 "column 20: expected and, or, or the ) to the ( in column 1\n"
		 "  (port 80 or port 81\n                     ^"},
		{"port 80)", "column 8: there is no ( to this ), expected and, "
			     "or, or the end\n  port 80)\n         ^"},
		{"port 80 port 81", "column 9: expected and, or, or the end\n"
				    "  port 80 port 81\n          ^"},
		{"port 70000", "column 6: 70000 cannot stand here, expected a "
			       "number from 0 to 65535\n"
			       "  port 70000\n       ^"},
		{"src net 10.0.0.0/33",
		 "column 9: 10.0.0.0/33 cannot stand here, expected an address "
		 "or prefix of IPv4 or IPv6\n"
		 "  src net 10.0.0.0/33\n          ^"},
		{"any and\n\tsource", "line 2, column 2: there is no element "
				      "or word \"source\", expected a name "
				      "such as sourceIPv4Address, src ip or "
				      "port\n  \tsource\n  \t^"},
		{"interfaceName == \"eth",
		 "column 18: the string does not end, expected another \"\n"
		 "  interfaceName == \"eth\n                   ^"},
		{"interfaceName > a",
		 "column 15: text has no order and no bits, expected ==, !=, "
		 "in, contains or like\n"
		 "  interfaceName > a\n                ^"},
		{"basicList == 1",
		 "column 11: basicList is of the type basicList, which cannot "
		 "be compared; expected exists basicList\n"
		 "  basicList == 1\n            ^"},
		{"port > [1, 2]",
		 "column 6: a set has no order, expected in or one value\n"
		 "  port > [1, 2]\n       ^"},
		{"port in []", "column 10: expected a value\n"
			       "  port in []\n           ^"},
		{"sourceTransportPort 80",
		 "column 21: expected ==, !=, <, <=, >, >=, in, has, contains "
		 "or like\n  sourceTransportPort 80\n"
		 "                      ^"},
		{"next port 80", "column 6: there is no port on that side, "
				 "expected src or dst before it\n"
				 "  next port 80\n       ^"},
		{"flags Z", "column 7: Z cannot stand here, expected a number, "
			    "or letters of FSRPAUEC\n  flags Z\n        ^"},
		/* Columns are of characters. */
		{"interfaceName == \"\xc3\xa4\" or x",
		 "column 25: there is no element or word \"x\", expected a "
		 "name such as sourceIPv4Address, src ip or port\n"
		 "  interfaceName == \"\xc3\xa4\" or x\n"
		 "                          ^"},
	};

	for (size_t i = 0; i < UNIT_COUNT(list); i++) {
		struct filter_error error;
		struct filter *filter;

		CU_ASSERT_EQUAL_FATAL(
			filter_new(list[i].text, registry, &filter, &error),
			-EINVAL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(error.text);
		if (strcmp(error.text, list[i].message) != 0)
			printf("\n%s", error.text);
		CU_ASSERT_STRING_EQUAL(error.text, list[i].message);
		free(error.text);
	}
}

static void
test_bounds(void)
{
	struct text text = {0};

	for (int i = 0; i < DEPTH_MAX; i++)
		text_add(&text, i % 2 ? "not " : "(");
	text_add(&text, "any");
	for (int i = 0; i < DEPTH_MAX / 2; i++)
		text_add(&text, ")");
	CU_ASSERT_EQUAL(passes(text.data), 1);
	text_reset(&text);
	for (int i = 0; i <= DEPTH_MAX; i++)
		text_add(&text, "(");
	CU_ASSERT_EQUAL(passes(text.data), REFUSED);
	/* One node more than may be, and as many. */
	text_reset(&text);
	for (int i = 0; i < NODES_MAX; i++)
		text_add(&text, i ? "||any" : "any");
	CU_ASSERT_EQUAL(passes(text.data), REFUSED);
	text.data[text.length - 5] = 0;
	CU_ASSERT_EQUAL(passes(text.data), 1);
	text_reset(&text);
	text_add(&text, "port in [443");
	for (int i = 0; i < 10000; i++)
		text_printf(&text, ",%d", i * 2 + 1000);
	text_add(&text, "]");
	CU_ASSERT_EQUAL(passes(text.data), 1);
	text_fini(&text);
}

static void
test_like(void)
{
	static const struct {
		const char *pattern, *text;
		bool like;
	} list[] = {
		{"", "", true},		{"*", "", true},
		{"?", "", false},	{"a*", "a", true},
		{"a*b", "ab", true},	{"a*b", "axxb", true},
		{"a*b", "axbx", false}, {"*a*b*", "xxaxxbx", true},
		{"*ab", "aab", true},	{"a?c", "abc", true},
		{"a?c", "ac", false},	{"**", "x", true},
	};

	for (size_t i = 0; i < UNIT_COUNT(list); i++)
		CU_ASSERT_EQUAL(pattern_like((const uint8_t *)list[i].pattern,
					     (uint32_t)strlen(list[i].pattern),
					     (const uint8_t *)list[i].text,
					     (uint32_t)strlen(list[i].text)),
				list[i].like);
}

/* ---- the stage --------------------------------------------------------- */

struct sink {
	struct stage stage;
	uint64_t count, sum, batches, ends;
	const uint8_t *base;
};

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	struct sink *sink = (struct sink *)stage;
	uint32_t length;

	sink->batches++;
	sink->count += batch->count;
	sink->base = batch->base;
	for (uint32_t i = 0; i < batch->count; i++)
		sink->sum += wire_get16(batch_record(batch, i, &length));
}

static void
sink_scope_end(struct stage *stage, const struct scope *ended)
{
	((struct sink *)stage)->ends++;
}

static const struct stage_ops sink_ops = {.run = sink_run,
					  .scope_end = sink_scope_end};

static void
test_stage(void)
{
	struct sink sink = {.stage.ops = &sink_ops};
	struct field field[2] = {
		{.ie = ie_find(registry, 0, IE_sourceTransportPort),
		 .length = 2},
		{.ie = ie_find(registry, 0, IE_protocolIdentifier),
		 .length = 1},
	};
	struct batch batch = {.scope = &scope, .count = BATCH_MAX, .stride = 3};
	struct filter_error error;
	struct stage *stage;
	uint8_t record[3 * BATCH_MAX];

	for (unsigned i = 0; i < BATCH_MAX; i++) {
		wire_put16(record + i * 3, (uint16_t)i);
		record[i * 3 + 2] = 6;
	}
	batch.base = record;
	CU_ASSERT_EQUAL_FATAL(shape_get(shapes, field, 2, 0, &batch.shape), 0);
	CU_ASSERT_EQUAL_FATAL(filter_stage_new("f", "src port in [3, 100-199]",
					       registry, &stage, &error),
			      0);
	CU_ASSERT_EQUAL(stage_link(stage, &sink.stage), 0);
	stage_run(stage, &batch);
	CU_ASSERT_EQUAL(sink.batches, 1);
	CU_ASSERT_EQUAL(sink.count, 29);
	CU_ASSERT_EQUAL(sink.sum, 3 + (100 + 127) * 28 / 2);
	CU_ASSERT_EQUAL(stage->ledger.filtered, BATCH_MAX - 29);
	CU_ASSERT(ledger_balanced(&stage->ledger));
	/* All pass: the batch as it is. None: no batch at all. */
	batch.base = record + 300;
	batch.count = 20;
	stage_run(stage, &batch);
	CU_ASSERT_EQUAL(sink.base, record + 300);
	batch.base = record + 30;
	stage_run(stage, &batch);
	CU_ASSERT_EQUAL(sink.batches, 2);
	shape_release(batch.shape);
	/* Options pass, whatever they have. */
	CU_ASSERT_EQUAL_FATAL(shape_get(shapes, field, 2, 1, &batch.shape), 0);
	stage_run(stage, &batch);
	CU_ASSERT_EQUAL(sink.batches, 3);
	CU_ASSERT(ledger_balanced(&stage->ledger));
	stage_scope_end(stage, &scope);
	CU_ASSERT_EQUAL(sink.ends, 1);
	shape_release(batch.shape);
	stage_free(stage);
	CU_ASSERT_EQUAL(filter_stage_new("f", "x", registry, &stage, &error),
			-EINVAL);
	free(error.text);
}

/* More shapes than programs are kept. */
static void
test_many_shapes(void)
{
	const struct ie *port = ie_find(registry, 0, IE_sourceTransportPort);
	const struct ie *pad = ie_find(registry, 0, IE_paddingOctets);
	uint8_t record[2 + 1 + SHAPE_MAP_MAX] = {0, 80};
	struct batch batch = {.scope = &scope, .base = record, .count = 1};
	uint32_t index[BATCH_MAX];
	struct filter_error error;
	struct filter *filter;

	CU_ASSERT_EQUAL_FATAL(filter_new("port 80", registry, &filter, &error),
			      0);
	for (uint16_t i = 1; i <= SHAPE_MAP_MAX + 1; i++) {
		struct field field[2] = {{.ie = port, .length = 2},
					 {.ie = pad, .length = i}};

		CU_ASSERT_EQUAL_FATAL(
			shape_get(shapes, field, 2, 0, &batch.shape), 0);
		batch.stride = 2u + i;
		CU_ASSERT_EQUAL(filter_run(filter, &batch, index), 1);
		shape_release(batch.shape);
	}
	CU_ASSERT_EQUAL(filter->programs.table.count, 1);
	filter_free(filter);
}

static int
count_want(void *arg, const struct ie *ie, uint16_t length)
{
	unsigned *count = arg;

	CU_ASSERT(ie != NULL && length == 0);
	(*count)++;
	return 0;
}

static void
test_wants(void)
{
	struct filter_error error;
	struct filter *filter;
	unsigned count = 0;

	CU_ASSERT_EQUAL_FATAL(filter_new("src port 80 and bps > 1", registry,
					 &filter, &error),
			      0);
	CU_ASSERT_EQUAL(filter_wants(filter, count_want, &count), 0);
	CU_ASSERT_EQUAL(count, 5);
	filter_free(filter);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"words", test_words},
		{"elements", test_elements},
		{"logic", test_logic},
		{"other records", test_other_records},
		{"errors", test_errors},
		{"bounds", test_bounds},
		{"like", test_like},
		{"stage", test_stage},
		{"many shapes", test_many_shapes},
		{"wants", test_wants},
	};
	int rc;

	registry = ie_registry_new(64);
	shapes = shape_table_new(4096);
	rc = unit_run("filter", tests, UNIT_COUNT(tests));
	shape_table_free(shapes);
	ie_registry_free(registry);
	return rc;
}
