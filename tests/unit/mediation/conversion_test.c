/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversion: what each rule makes of fields and of values, records of constant
 * and of variable length alike, what is lost, and what a rule may not ask for.
 * Where memory ends, too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "conflux/conversion.h"
#include "conflux/ntp.h"
#include "conflux/wire.h"
#include "nomem.h"
#include "sink.h"
#include "unit.h"

enum { T0 = 1700000000 }; /* Export Time, seconds */
#define T0_MS (UINT64_C(1000) * T0)

static struct ie_registry *registry;
static struct shape_table *shapes;
static const struct shape *about; /* of Template 300 */

static const struct shape *
template_shape(const struct scope *scope, uint16_t id)
{
	(void)scope;
	return id == 300 ? about : NULL;
}

static struct scope scope = {.serial = 1, .template_shape = template_shape};

/* ---- what passes --------------------------------------------------------- */

static struct seen {
	struct unit_sink sink;
	const struct shape *shape, *behind, *ended;
	uint8_t octets[70000];
	uint32_t length, records;
	uint64_t flow_keys;
} seen;

/* The last record, and all that is to be known of it. */
static void
seen_run(struct stage *stage, const struct batch *batch)
{
	const uint8_t *p = batch_record(batch, batch->count - 1, &seen.length);

	(void)stage;
	shape_release(seen.shape);
	seen.shape = shape_hold(batch->shape);
	memcpy(seen.octets, p, seen.length);
	seen.records += batch->count;
	seen.flow_keys = batch->flow_keys;
	CU_ASSERT_EQUAL(shape_record_length(batch->shape, p, seen.length),
			(int)seen.length);
	shape_release(seen.behind);
	seen.behind = batch->scope->template_shape
			      ? shape_hold(batch->scope->template_shape(
					batch->scope, 300))
			      : NULL;
}

static void
seen_template_end(struct stage *stage, const struct scope *from,
		  const struct shape *shape)
{
	(void)stage;
	(void)from;
	seen.ended = shape;
}

static const struct stage_ops seen_ops = {.run = seen_run,
					  .template_end = seen_template_end};

static const uint8_t *
seen_field(uint32_t pen, uint16_t id, uint32_t *length)
{
	return shape_field(seen.shape, shape_find(seen.shape, pen, id, 0),
			   seen.octets, seen.length, length);
}

static uint64_t
seen_uint(uint32_t pen, uint16_t id)
{
	uint32_t length;
	const uint8_t *p = seen_field(pen, id, &length);

	return p ? wire_get_uint(p, length) : 424242;
}

static void
expect_uint(uint32_t pen, uint16_t id, uint64_t value, uint32_t octets)
{
	uint32_t length = 0;
	const uint8_t *p = seen_field(pen, id, &length);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(length, octets);
	CU_ASSERT_EQUAL(wire_get_uint(p, length), value);
}

static void
expect_text(uint32_t pen, uint16_t id, const char *value, uint32_t octets)
{
	uint32_t length = 0;
	const uint8_t *p = seen_field(pen, id, &length);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(length, octets);
	CU_ASSERT(memcmp(p, value, length) == 0);
}

/* The elements of the record, in their order. */
static void
expect_order(const char *names)
{
	char text[512] = "";

	for (unsigned i = 0; i < seen.shape->count; i++) {
		strcat(text, i ? " " : "");
		strcat(text, seen.shape->field[i].ie->name);
	}
	CU_ASSERT_STRING_EQUAL(text, names);
	if (strcmp(text, names) != 0)
		printf("\n%s\n", text);
}

/* ---- what comes in ------------------------------------------------------- */

struct value {
	uint16_t id, length;
	uint64_t number;
	uint32_t pen;
	const char *text;
};

#define U(id, length, number)                    \
	{                                        \
		IE_##id, length, number, 0, NULL \
	}
#define TEXT(id, length, text)              \
	{                                   \
		IE_##id, length, 0, 0, text \
	}
#define REVERSE(id, length, number)                           \
	{                                                     \
		IE_##id, length, number, IE_PEN_REVERSE, NULL \
	}
#define ALIEN(id, length, number)           \
	{                                   \
		id, length, number, 9, NULL \
	}

#define FLOW                                                               \
	U(sourceIPv4Address, 4, 0xc0000201), U(octetDeltaCount, 4, 70000), \
		U(packetDeltaCount, 8, 7), U(protocolIdentifier, 1, 6)

static uint32_t
put_value(uint8_t *p, const struct value *v)
{
	struct writer w;

	writer_init(&w, p, 70000);
	if (v->length == IE_VARIABLE) {
		writer_varlen(&w, v->text, strlen(v->text));
	} else if (v->text) {
		writer_bytes(&w, v->text, strlen(v->text));
		memset(w.p, 0, v->length - strlen(v->text));
		w.p += v->length - strlen(v->text);
	} else if (v->length > 8) {
		memset(p, 0, v->length);
		wire_put64(p + v->length - 8, v->number);
		w.p += v->length;
	} else {
		wire_put_uint(p, v->number, v->length);
		w.p += v->length;
	}
	return (uint32_t)(w.p - p);
}

static uint8_t record[70000];
static uint32_t offset[3];

/* One record; the shape is held. */
static void
make_batch(struct batch *batch, const struct value *value, unsigned count,
	   unsigned scopes)
{
	struct field field[16];
	uint32_t size = 0;

	for (unsigned i = 0; i < count; i++, value++) {
		field[i].ie = ie_get(registry, value->pen, value->id);
		field[i].length = value->length;
		size += put_value(record + size, value);
	}
	offset[1] = size;
	*batch = (struct batch){.scope = &scope,
				.base = record,
				.count = 1,
				.stride = size,
				.offset = offset,
				.export_ms = T0_MS};
	CU_ASSERT_EQUAL_FATAL(shape_get(shapes, field, (uint16_t)count,
					(uint16_t)scopes, &batch->shape),
			      0);
	if (batch->shape->variable)
		batch->stride = 0;
}

static void
pass(struct stage *stage, const struct value *value, unsigned count,
     unsigned scopes)
{
	struct batch batch;

	make_batch(&batch, value, count, scopes);
	batch.flow_keys = 5;
	seen.records = 0;
	stage_run(stage, &batch);
	CU_ASSERT(ledger_balanced(&stage->ledger));
	shape_release(batch.shape);
}

#define COUNT(...) \
	(sizeof((const struct value[]){__VA_ARGS__}) / sizeof(struct value))
#define PASS(stage, scopes, ...)                         \
	pass(stage, (const struct value[]){__VA_ARGS__}, \
	     (unsigned)COUNT(__VA_ARGS__), scopes)

/* ---- rules --------------------------------------------------------------- */

static struct conversion_rule rules[8];
static const char *names[8][4];
static struct conversion_conf conf;

static void
begin(void)
{
	memset(rules, 0, sizeof(rules));
	memset(names, 0, sizeof(names));
	conf = (struct conversion_conf){
		.name = "c",
		.rule = rules,
		.registry = registry,
		.shapes = shapes,
	};
}

/* element: names apart by a blank, up to four; NULL: none */
static struct conversion_rule *
add(enum conversion_kind kind, const char *element, const char *text)
{
	static char copy[8][256];
	unsigned n = conf.rule_count++;
	struct conversion_rule *rule = &rules[n];
	char *word;

	snprintf(copy[n], sizeof(copy[n]), "%s", element ? element : "");
	for (word = strtok(copy[n], " "); word; word = strtok(NULL, " "))
		names[n][rule->element_count++] = word;
	rule->kind = kind;
	rule->element = names[n];
	rule->text = text ? text : "";
	return rule;
}

static struct stage *
made(void)
{
	struct conversion_error error;
	struct stage *stage;
	int rc = conversion_stage_new(&conf, &stage, &error);

	if (rc < 0 && error.text)
		printf("\n%s\n", error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	seen.sink.stage.ops = &seen_ops;
	CU_ASSERT_EQUAL_FATAL(stage_link(stage, &seen.sink.stage), 0);
	return stage;
}

/* ---- tests --------------------------------------------------------------- */

static void
test_select(void)
{
	static const uint32_t iana = 0, cisco = 9;
	struct conversion_rule *rule;
	struct stage *stage;

	begin();
	add(CONVERSION_KEEP, "*DeltaCount protocolIdentifier", NULL);
	stage = made();
	PASS(stage, 0, FLOW, REVERSE(octetDeltaCount, 8, 9));
	expect_order("octetDeltaCount packetDeltaCount protocolIdentifier "
		     "reverseOctetDeltaCount");
	expect_uint(0, IE_octetDeltaCount, 70000, 4);
	expect_uint(IE_PEN_REVERSE, IE_octetDeltaCount, 9, 8);
	/* Flow Keys were the fields 0 and 2. */
	CU_ASSERT_EQUAL(seen.flow_keys, 2);
	/* With strings of any length before and behind. */
	PASS(stage, 0, TEXT(interfaceName, IE_VARIABLE, "eth0"), FLOW,
	     TEXT(userName, IE_VARIABLE, "me"));
	expect_order("octetDeltaCount packetDeltaCount protocolIdentifier");
	expect_uint(0, IE_protocolIdentifier, 6, 1);
	CU_ASSERT_EQUAL(seen.flow_keys, 1);
	/* Nothing is left. */
	PASS(stage, 0, U(sourceIPv4Address, 4, 1));
	CU_ASSERT_EQUAL(seen.records, 0);
	CU_ASSERT_EQUAL(stage->ledger.lost[LOSS_NO_FIELD], 1);
	stage_free(stage);

	begin();
	rule = add(CONVERSION_DROP, "e12345id7 reverse*", NULL);
	rule->enterprise = &cisco;
	rule->enterprise_count = 1;
	stage = made();
	PASS(stage, 0, ALIEN(1, 4, 1), FLOW, REVERSE(octetDeltaCount, 8, 9),
	     ALIEN(2, 3, 1), {7, 2, 5, 12345, NULL}, {8, 2, 5, 12345, NULL});
	expect_order("sourceIPv4Address octetDeltaCount packetDeltaCount "
		     "protocolIdentifier e12345id8");
	/* What has none of them passes as it is. */
	PASS(stage, 0, FLOW);
	CU_ASSERT_EQUAL(seen.shape->count, 4);
	CU_ASSERT_EQUAL(seen.flow_keys, 5);
	stage_free(stage);

	begin();
	rule = add(CONVERSION_KEEP, NULL, NULL);
	rule->enterprise = &iana;
	rule->enterprise_count = 1;
	stage = made();
	PASS(stage, 0, FLOW, ALIEN(1, 4, 1));
	CU_ASSERT_EQUAL(seen.shape->count, 4);
	stage_free(stage);
}

static void
test_order(void)
{
	struct stage *stage;

	begin();
	add(CONVERSION_LAST, "sourceIPv4Address", NULL);
	add(CONVERSION_FIRST, "protocolIdentifier packet*", NULL);
	stage = made();
	PASS(stage, 0, FLOW);
	expect_order("protocolIdentifier packetDeltaCount octetDeltaCount "
		     "sourceIPv4Address");
	expect_uint(0, IE_sourceIPv4Address, 0xc0000201, 4);
	expect_uint(0, IE_octetDeltaCount, 70000, 4);
	CU_ASSERT_EQUAL(seen.flow_keys, 8 | 2);
	stage_free(stage);
}

static void
test_rename(void)
{
	struct conversion_rule *rule;
	struct stage *stage;
	uint32_t length;

	begin();
	add(CONVERSION_RENAME, "octetDeltaCount", "octetTotalCount");
	add(CONVERSION_RENAME, "sourceIPv4Address", "sourceIPv6Address");
	add(CONVERSION_RENAME, "e9id1", "applicationName");
	add(CONVERSION_RENAME, "e9id2", "flowStartMilliseconds");
	add(CONVERSION_RENAME, "dataRecordsReliability", "samplingAlgorithm");
	add(CONVERSION_RENAME, "vlanId", "flowDirection");
	stage = made();
	PASS(stage, 0, FLOW, ALIEN(1, 4, 0x61626300), ALIEN(2, 8, T0_MS),
	     U(dataRecordsReliability, 1, 2), U(vlanId, 2, 1));
	expect_order("sourceIPv6Address octetTotalCount packetDeltaCount "
		     "protocolIdentifier applicationName "
		     "flowStartMilliseconds samplingAlgorithm flowDirection");
	expect_uint(0, IE_octetTotalCount, 70000, 4);
	CU_ASSERT(memcmp(seen_field(0, IE_sourceIPv6Address, &length),
			 "\0\0\0\0\0\0\0\0\0\0\377\377\300\0\2\1", 16) == 0);
	expect_text(0, IE_applicationName, "abc", 4);
	expect_uint(0, IE_flowStartMilliseconds, T0_MS, 8);
	expect_uint(0, IE_samplingAlgorithm, 0, 1); /* false */
	expect_uint(0, IE_flowDirection, 1, 1);
	CU_ASSERT_EQUAL(seen.flow_keys, 5);
	/* Octets that no time can have. */
	PASS(stage, 0, ALIEN(2, 4, 1));
	expect_order("e9id2");
	stage_free(stage);

	/* The other is there already. */
	begin();
	rule = add(CONVERSION_RENAME, "postNATSourceIPv4Address",
		   "sourceIPv4Address");
	stage = made();
	PASS(stage, 0, FLOW, U(postNATSourceIPv4Address, 4, 1));
	expect_uint(0, IE_sourceIPv4Address, 0xc0000201, 4);
	expect_uint(0, IE_postNATSourceIPv4Address, 1, 4);
	stage_free(stage);
	rule->replace = true;
	stage = made();
	PASS(stage, 0, FLOW, U(postNATSourceIPv4Address, 4, 1));
	expect_order("octetDeltaCount packetDeltaCount protocolIdentifier "
		     "sourceIPv4Address");
	expect_uint(0, IE_sourceIPv4Address, 1, 4);
	CU_ASSERT_EQUAL(seen.flow_keys, 2); /* that of the old is gone */
	stage_free(stage);
}

static void
test_length(void)
{
	struct stage *stage;

	begin();
	add(CONVERSION_LENGTH, "*DeltaCount", "natural");
	add(CONVERSION_LENGTH, "packetDeltaCount", "2");
	add(CONVERSION_LENGTH, "mibObjectValueInteger", "2");
	add(CONVERSION_LENGTH, "samplingProbability", "4");
	add(CONVERSION_LENGTH, "tcpControlBits", "1");
	add(CONVERSION_LENGTH, "interfaceName", "4");
	add(CONVERSION_LENGTH, "userName", "variable");
	stage = made();
	PASS(stage, 0, FLOW, U(mibObjectValueInteger, 4, 0xfffffff9),
	     U(samplingProbability, 8, 0x3fd0000000000000),
	     U(tcpControlBits, 2, 0x1b));
	expect_uint(0, IE_octetDeltaCount, 70000, 8);
	expect_uint(0, IE_packetDeltaCount, 7, 2);
	expect_uint(0, IE_mibObjectValueInteger, 0xfff9, 2);
	expect_uint(0, IE_samplingProbability, 0x3e800000, 4);
	expect_uint(0, IE_tcpControlBits, 0x1b, 1);
	/* Too much for two octets: lost. */
	PASS(stage, 0, U(packetDeltaCount, 8, 65536));
	CU_ASSERT_EQUAL(seen.records, 0);
	CU_ASSERT_EQUAL(stage->ledger.lost[LOSS_UNFIT], 1);
	PASS(stage, 0, U(mibObjectValueInteger, 4, 0x8000));
	PASS(stage, 0, U(samplingProbability, 8, 0x7fe0000000000000));
	PASS(stage, 0, U(tcpControlBits, 2, 0x11b));
	PASS(stage, 0, TEXT(interfaceName, IE_VARIABLE, "eth00"));
	CU_ASSERT_EQUAL(stage->ledger.lost[LOSS_UNFIT], 5);
	PASS(stage, 0, TEXT(interfaceName, IE_VARIABLE, "lo"),
	     TEXT(userName, 8, "me"));
	expect_text(0, IE_interfaceName, "lo\0\0", 4);
	expect_text(0, IE_userName, "me", 2);
	/* What is filled up is as long as what is in it. */
	PASS(stage, 0, TEXT(interfaceName, 16, "eth0"));
	expect_text(0, IE_interfaceName, "eth0", 4);
	stage_free(stage);

	conf.saturate = true;
	stage = made();
	PASS(stage, 0, U(packetDeltaCount, 8, 65536));
	expect_uint(0, IE_packetDeltaCount, 65535, 2);
	PASS(stage, 0, U(mibObjectValueInteger, 4, 0x8000));
	expect_uint(0, IE_mibObjectValueInteger, 0x7fff, 2);
	PASS(stage, 0, U(mibObjectValueInteger, 4, 0x80000000));
	expect_uint(0, IE_mibObjectValueInteger, 0x8000, 2);
	PASS(stage, 0, U(samplingProbability, 8, 0xffe0000000000000));
	expect_uint(0, IE_samplingProbability, 0xff7fffff, 4);
	PASS(stage, 0, U(tcpControlBits, 2, 0x11b));
	expect_uint(0, IE_tcpControlBits, 0x1b, 1);
	/* No half a character. */
	PASS(stage, 0, TEXT(interfaceName, IE_VARIABLE, "abc\xc3\xa4"));
	expect_text(0, IE_interfaceName, "abc\0", 4);
	CU_ASSERT_EQUAL(stage->ledger.exported, 6);
	stage_free(stage);
}

/* Many records, of which some do not fit. */
static void
test_unfit(void)
{
	const struct field field[] = {
		{ie_find(registry, 0, IE_octetDeltaCount), 8, 0},
		{ie_find(registry, 0, IE_flowId), 4, 0},
	};
	uint8_t records[BATCH_MAX * 12];
	struct batch batch = {.scope = &scope,
			      .base = records,
			      .count = BATCH_MAX,
			      .stride = 12};
	struct stage *stage;

	CU_ASSERT_EQUAL_FATAL(shape_get(shapes, field, 2, 0, &batch.shape), 0);
	for (uint32_t i = 0; i < BATCH_MAX; i++) {
		wire_put64(records + 12 * i,
			   i % 3 ? i : (UINT64_C(1) << 40) + i);
		wire_put32(records + 12 * i + 8, i);
	}
	begin();
	add(CONVERSION_LENGTH, "octetDeltaCount", "4");
	stage = made();
	seen.records = 0;
	stage_run(stage, &batch);
	CU_ASSERT_EQUAL(seen.records, BATCH_MAX - 43);
	CU_ASSERT_EQUAL(stage->ledger.lost[LOSS_UNFIT], 43);
	CU_ASSERT_EQUAL(seen_uint(0, IE_flowId), 127);
	CU_ASSERT_EQUAL(seen_uint(0, IE_octetDeltaCount), 127);
	CU_ASSERT(ledger_balanced(&stage->ledger));
	stage_free(stage);
	shape_release(batch.shape);
}

/* Of each length, and not an octet beside it. */
static void
test_columns(void)
{
	static uint8_t from[3 * 300], to[3 * 310], wanted[3 * 310];

	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 7 + 1);
	for (uint32_t length = 0; length <= 300; length++) {
		memset(to, 0, sizeof(to));
		memset(wanted, 0, sizeof(wanted));
		column_copy(to + 5, 310, from, 300, length, 3);
		for (uint32_t i = 0; i < 3; i++)
			memcpy(wanted + 310 * i + 5, from + 300 * i, length);
		CU_ASSERT(memcmp(to, wanted, sizeof(to)) == 0);
	}
}

/* ---- times --------------------------------------------------------------- */

static const uint16_t start_of[] = {
	IE_flowStartSeconds,	       IE_flowStartMilliseconds,
	IE_flowStartMicroseconds,      IE_flowStartNanoseconds,
	IE_flowStartDeltaMicroseconds, IE_flowStartSysUpTime};
static const uint16_t start_length[] = {4, 8, 8, 8, 4, 4};
static const char *const formats[] = {"seconds",	   "milliseconds",
				      "microseconds",	   "nanoseconds",
				      "deltaMicroseconds", "sysUpTime"};

/* A time as an element of that format has it. */
static uint64_t
encoded(unsigned format, uint64_t ns)
{
	switch (format) {
	case 0:
		return ns / NSEC_PER_SEC;
	case 1:
		return ns / 1000000;
	case 2:
		return ntp_from_ns_micro(ns);
	case 3:
		return ntp_from_ns(ns);
	case 4:
		return (T0_MS * 1000000 - ns) / 1000;
	default:
		return ns / 1000000 - scope.system_init_ms;
	}
}

/* Of each format to each, with a string before it, too. */
static void
test_times(void)
{
	static const uint64_t part[] = {NSEC_PER_SEC, 1000000, 1000, 1,
					1000,	      1000000};
	uint64_t ns = (T0_MS - 5000) * 1000000 + 123456789;

	scope.has_init = true;
	scope.system_init_ms = T0_MS - 100000;
	for (unsigned to = 0; to < 6; to++) {
		struct stage *stage;

		begin();
		add(CONVERSION_TIME, NULL, formats[to]);
		stage = made();
		for (unsigned from = 0; from < 12; from++) {
			unsigned f = from % 6;
			uint64_t least =
				part[f] > part[to] ? part[f] : part[to];
			uint64_t cut = ns / part[f] * part[f];
			struct value v = {start_of[f], start_length[f],
					  encoded(f, cut), 0, NULL};

			if (from < 6)
				PASS(stage, 0, v, U(vlanId, 2, 1));
			else
				PASS(stage, 0,
				     TEXT(userName, IE_VARIABLE, "me"), v);
			expect_uint(0, start_of[to],
				    encoded(to, ns / least * least),
				    start_length[to]);
		}
		/* Who counts from the init time is told. */
		CU_ASSERT(shape_find(seen.shape, 0,
				     IE_systemInitTimeMilliseconds, 0) < 0);
		PASS(stage, 0, U(flowEndMilliseconds, 8, ns / 1000000),
		     REVERSE(flowStartSeconds, 4, T0 - 1));
		CU_ASSERT_EQUAL(seen_uint(0, IE_systemInitTimeMilliseconds),
				to == 5 ? T0_MS - 100000 : 424242);
		if (to < 5)
			expect_uint(IE_PEN_REVERSE, start_of[to],
				    encoded(to, (T0_MS - 1000) * 1000000),
				    start_length[to]);
		stage_free(stage);
	}
}

static void
test_uptime(void)
{
	struct stage *stage;

	begin();
	add(CONVERSION_TIME, NULL, "milliseconds");
	stage = made();
	scope.has_init = false;
	scope.system_init_ms = 0;
	PASS(stage, 0, U(flowStartSysUpTime, 4, 5000), U(vlanId, 2, 1));
	expect_order("flowStartSysUpTime vlanId");
	/* The record itself tells. */
	PASS(stage, 0, U(systemInitTimeMilliseconds, 8, T0_MS),
	     U(flowStartSysUpTime, 4, 5000));
	expect_order("systemInitTimeMilliseconds flowStartMilliseconds");
	expect_uint(0, IE_flowStartMilliseconds, T0_MS + 5000, 8);
	PASS(stage, 0, TEXT(userName, IE_VARIABLE, "me"),
	     U(systemInitTimeMilliseconds, 8, T0_MS),
	     U(flowStartSysUpTime, 4, 5000));
	expect_uint(0, IE_flowStartMilliseconds, T0_MS + 5000, 8);
	/* And then the exporter does. */
	scope.has_init = true;
	scope.system_init_ms = T0_MS - 1;
	PASS(stage, 0, U(flowStartSysUpTime, 4, 5000), U(vlanId, 2, 1));
	expect_order("flowStartMilliseconds vlanId");
	expect_uint(0, IE_flowStartMilliseconds, T0_MS + 4999, 8);
	/* Both are there. */
	PASS(stage, 0, U(flowStartSysUpTime, 4, 5000),
	     U(flowStartMilliseconds, 8, T0_MS));
	expect_order("flowStartSysUpTime flowStartMilliseconds");
	stage_free(stage);

	/* Before the system was there, behind the Export Time, too far off. */
	begin();
	add(CONVERSION_TIME, "flowStart*", "sysUpTime");
	add(CONVERSION_TIME, "flowEnd*", "deltaMicroseconds");
	stage = made();
	PASS(stage, 0, U(flowStartSeconds, 4, T0 - 1));
	PASS(stage, 0, U(flowEndSeconds, 4, T0 + 1));
	PASS(stage, 0, U(flowEndSeconds, 4, T0 - 4295));
	CU_ASSERT_EQUAL(stage->ledger.lost[LOSS_UNFIT], 3);
	PASS(stage, 0, U(flowEndSeconds, 4, T0 - 4294));
	expect_uint(0, IE_flowEndDeltaMicroseconds, 4294000000, 4);
	stage_free(stage);

	begin();
	add(CONVERSION_TIME, NULL, "nanoseconds");
	conf.saturate = true;
	stage = made();
	PASS(stage, 0, U(flowEndMilliseconds, 8, UINT64_MAX));
	expect_uint(0, IE_flowEndNanoseconds,
		    ntp_from_ns(UINT64_C(4294967295999999999)), 8);
	stage_free(stage);
	scope.has_init = false;
}

static void
test_constant(void)
{
	struct conversion_rule *rule;
	struct stage *stage;

	begin();
	add(CONVERSION_CONSTANT, "observationDomainName", "Berlin");
	add(CONVERSION_CONSTANT, "exporterIPv4Address", "192.0.2.7");
	add(CONVERSION_CONSTANT, "mibObjectValueInteger", "-2");
	add(CONVERSION_CONSTANT, "samplingProbability", "0.25");
	add(CONVERSION_CONSTANT, "dataRecordsReliability", "true");
	add(CONVERSION_CONSTANT, "applicationId", "0d0001");
	add(CONVERSION_CONSTANT, "sourceMacAddress", "02:00:00:00:00:07");
	rule = add(CONVERSION_CONSTANT, "protocolIdentifier", "17");
	stage = made();
	PASS(stage, 0, FLOW);
	expect_text(0, IE_observationDomainName, "Berlin", 6);
	expect_uint(0, IE_exporterIPv4Address, 0xc0000207, 4);
	expect_uint(0, IE_mibObjectValueInteger, 0xfffffffe, 4);
	expect_uint(0, IE_samplingProbability, 0x3fd0000000000000, 8);
	expect_uint(0, IE_dataRecordsReliability, 1, 1);
	expect_text(0, IE_applicationId, "\x0d\0\x01", 3);
	expect_uint(0, IE_sourceMacAddress, 0x020000000007, 6);
	expect_uint(0, IE_protocolIdentifier, 6, 1);
	CU_ASSERT_EQUAL(seen.flow_keys, 5);
	stage_free(stage);
	rule->replace = true;
	stage = made();
	PASS(stage, 0, FLOW);
	expect_uint(0, IE_protocolIdentifier, 17, 1);
	CU_ASSERT_EQUAL(seen.shape->count, 11);
	stage_free(stage);
}

/* Longer than a record can be, by what it has and by what it gets. */
static void
test_too_long(void)
{
	char *text = malloc(65500);
	struct stage *stage;

	memset(text, 'x', 65499);
	text[65499] = '\0';
	begin();
	add(CONVERSION_CONSTANT, "observationDomainName",
	    "a name that has some octets");
	stage = made();
	PASS(stage, 0, TEXT(userName, IE_VARIABLE, text));
	CU_ASSERT_EQUAL(seen.records, 0);
	CU_ASSERT_EQUAL(stage->ledger.lost[LOSS_TOO_LONG], 1);
	stage_free(stage);
	begin();
	add(CONVERSION_LENGTH, "userName", "65515");
	stage = made();
	PASS(stage, 0, TEXT(userName, IE_VARIABLE, text));
	CU_ASSERT_EQUAL(seen.records, 1);
	CU_ASSERT_EQUAL(seen.length, 65515);
	PASS(stage, 0, TEXT(userName, IE_VARIABLE, "me"), U(vlanId, 2, 1));
	CU_ASSERT_EQUAL(stage->ledger.lost[LOSS_TOO_LONG], 1);
	stage_free(stage);
	free(text);
}

/* ---- options ------------------------------------------------------------- */

static void
test_options(void)
{
	struct conversion_rule *rule;
	struct stage *stage;
	struct batch batch;

	begin();
	add(CONVERSION_DROP, "octetDeltaCount interfaceName", NULL);
	rule = add(CONVERSION_FIRST, "protocolIdentifier", NULL);
	stage = made();
	make_batch(&batch, (const struct value[]){FLOW}, 4, 0);
	about = batch.shape;
	/* Which fields are Flow Keys: those that they were. */
	PASS(stage, 1, U(templateId, 2, 300), U(flowKeyIndicator, 8, 9));
	expect_uint(0, IE_flowKeyIndicator, 3, 8);
	expect_uint(0, IE_templateId, 300, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(seen.behind);
	CU_ASSERT_EQUAL(seen.behind->count, 3);
	PASS(stage, 1, U(templateId, 2, 300), U(flowKeyIndicator, 4, 15));
	expect_uint(0, IE_flowKeyIndicator, 7, 4);
	/* And when records of it have been seen. */
	stage_run(stage, &batch);
	stage_template_end(stage, &scope, about);
	CU_ASSERT_PTR_EQUAL(seen.ended, seen.shape);
	PASS(stage, 1, U(templateId, 2, 300), U(flowKeyIndicator, 8, 6));
	expect_uint(0, IE_flowKeyIndicator, 4, 8);
	/* Of none that is known, as it is. */
	PASS(stage, 1, U(templateId, 2, 301), U(flowKeyIndicator, 8, 6));
	expect_uint(0, IE_flowKeyIndicator, 6, 8);
	/* What is about places no longer holds. */
	PASS(stage, 1, U(templateId, 2, 300), U(informationElementIndex, 2, 1),
	     U(anonymizationTechnique, 2, 1));
	CU_ASSERT_PTR_NULL(seen.behind);
	/* Others are let alone, */
	PASS(stage, 1, U(ingressInterface, 4, 1),
	     TEXT(interfaceName, IE_VARIABLE, "eth0"), U(vlanId, 2, 1));
	CU_ASSERT_EQUAL(seen.shape->count, 3);
	stage_free(stage);
	/* or not, but for their scope. */
	conf.options = true;
	rule->kind = CONVERSION_DROP;
	names[1][0] = "ingressInterface";
	stage = made();
	PASS(stage, 1, U(ingressInterface, 4, 1),
	     TEXT(interfaceName, IE_VARIABLE, "eth0"), U(vlanId, 2, 1));
	expect_order("ingressInterface vlanId");
	CU_ASSERT_EQUAL(seen.shape->scope_count, 1);
	PASS(stage, 1, U(ingressInterface, 4, 1),
	     TEXT(interfaceName, IE_VARIABLE, "eth0"));
	CU_ASSERT_EQUAL(stage->ledger.lost[LOSS_NO_FIELD], 1);
	PASS(stage, 1, U(templateId, 2, 300), U(flowKeyIndicator, 8, 9),
	     TEXT(interfaceName, IE_VARIABLE, "x"));
	expect_uint(0, IE_flowKeyIndicator, 5, 8);
	stage_free(stage);
	shape_release(about);
	about = NULL;
}

/* Marks of anonymisation go along; shapes that become equal are one. */
static void
test_shapes(void)
{
	struct field field[3] = {
		{ie_find(registry, 0, IE_sourceIPv4Address), 4, 0},
		{ie_find(registry, 0, IE_octetDeltaCount), 4, 0},
		{ie_find(registry, 0, IE_packetDeltaCount), 4, 0},
	};
	const struct field_mark mark[3] = {{2, 3}, {0, 0}, {3, 3}};
	const struct shape *first;
	uint8_t octets[12] = {0};
	struct batch batch = {
		.scope = &scope, .base = octets, .count = 1, .stride = 12};
	struct stage *stage;

	begin();
	add(CONVERSION_LENGTH, "*DeltaCount", "natural");
	add(CONVERSION_LAST, "sourceIPv4Address", NULL);
	stage = made();
	CU_ASSERT_EQUAL_FATAL(
		shape_get_marked(shapes, field, mark, 3, 0, &batch.shape), 0);
	stage_run(stage, &batch);
	CU_ASSERT_EQUAL(shape_mark(seen.shape, 2).technique, 2);
	CU_ASSERT_EQUAL(shape_mark(seen.shape, 1).technique, 3);
	CU_ASSERT_EQUAL(shape_mark(seen.shape, 0).technique, 0);
	shape_release(batch.shape);
	PASS(stage, 0, U(sourceIPv4Address, 4, 1), U(octetDeltaCount, 3, 1),
	     U(packetDeltaCount, 8, 2));
	first = shape_hold(seen.shape);
	PASS(stage, 0, U(octetDeltaCount, 1, 1), U(sourceIPv4Address, 4, 1),
	     U(packetDeltaCount, 2, 2));
	CU_ASSERT_PTR_EQUAL(first, seen.shape);
	shape_release(first);
	stage_free(stage);
}

/* ---- mistakes ------------------------------------------------------------ */

static void
refused(int element, const char *text)
{
	struct conversion_error error;
	struct stage *stage = NULL;

	CU_ASSERT_EQUAL(conversion_stage_new(&conf, &stage, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(error.text);
	CU_ASSERT_EQUAL(error.rule, conf.rule_count - 1);
	CU_ASSERT_EQUAL(error.element, element);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, text));
	if (!strstr(error.text, text))
		printf("\n%s\n", error.text);
	free(error.text);
	stage_free(stage);
}

static void
test_mistakes(void)
{
	static const struct {
		enum conversion_kind kind;
		const char *element, *text;
		int at;
		const char *why;
	} wrong[] = {
		{CONVERSION_DROP, "vlanId vlanIt", NULL, 1, "nearest is vlan"},
		{CONVERSION_DROP, "none*", NULL, 0, "has a name like"},
		{CONVERSION_KEEP, NULL, NULL, -1, "has no elements"},
		{CONVERSION_RENAME, "vlanId", "postVlan", -1,
		 "nearest is postVlanId"},
		{CONVERSION_RENAME, "vlanId", "sourceMacAddress", 0,
		 "can become the macAddress of"},
		{CONVERSION_RENAME, "vlanI*", "postVlanId", -1,
		 "one element only"},
		{CONVERSION_RENAME, "vlanId flowId", "postVlanId", -1,
		 "one element only"},
		{CONVERSION_LENGTH, "vlanId", "3", 0, "at most 2"},
		{CONVERSION_LENGTH, "vlanId", "0", -1, "no length"},
		{CONVERSION_LENGTH, "vlanId", "wide", -1, "no length"},
		{CONVERSION_LENGTH, "vlanId", "variable", 0,
		 "no variable length"},
		{CONVERSION_LENGTH, "samplingProbability", "5", 0, "4 or 8"},
		{CONVERSION_LENGTH, "sourceIPv4Address", "natural", 0,
		 "one length only"},
		{CONVERSION_TIME, "vlanId", "seconds", 0, "expected a time"},
		{CONVERSION_TIME, NULL, "hours", -1, "no format"},
		{CONVERSION_CONSTANT, "vlanId", "65536", -1, "no value"},
		{CONVERSION_CONSTANT, "vlanId", "", -1, "no value"},
		{CONVERSION_CONSTANT, "vlanI", "1", 0, "nearest is vlanId"},
		{CONVERSION_CONSTANT, "e12345id7", "1", 0, "no known"},
		{CONVERSION_CONSTANT, "mibObjectValueInteger", "2147483648", -1,
		 "no value"},
		{CONVERSION_CONSTANT, "samplingProbability", "half", -1,
		 "no value"},
		{CONVERSION_CONSTANT, "dataRecordsReliability", "yes", -1,
		 "true or false"},
		{CONVERSION_CONSTANT, "applicationId", "abc", -1,
		 "hexadecimal"},
		{CONVERSION_CONSTANT, "sourceIPv4Address", "::1", -1,
		 "an IPv4 address"},
		{CONVERSION_CONSTANT, "flowStartSeconds", "1", 0,
		 "expected a number"},
	};

	for (size_t i = 0; i < UNIT_COUNT(wrong); i++) {
		begin();
		add(wrong[i].kind, wrong[i].element, wrong[i].text);
		refused(wrong[i].at, wrong[i].why);
	}
}

/* ---- memory -------------------------------------------------------------- */

/* As far as memory goes. */
static int
make_and_run(const struct batch *batch, unsigned count)
{
	struct conversion_error error;
	struct stage *stage;
	int rc = conversion_stage_new(&conf, &stage, &error);

	free(error.text);
	if (rc < 0)
		return rc;
	rc = stage_link(stage, &seen.sink.stage);
	for (unsigned i = 0; i < count; i++)
		stage_run(stage, &batch[i]);
	CU_ASSERT(ledger_balanced(&stage->ledger));
	if (stage->ledger.lost[LOSS_NO_MEMORY])
		rc = -ENOMEM;
	stage_free(stage);
	return rc;
}

static void
test_memory(void)
{
	struct batch batch[2];
	struct stage *stage;
	unsigned calls;
	int rc;

	begin();
	add(CONVERSION_DROP, "proto*", NULL);
	add(CONVERSION_LENGTH, "*DeltaCount", "natural");
	add(CONVERSION_CONSTANT, "userName", "me");
	make_batch(&batch[0], (const struct value[]){FLOW}, 4, 0);
	about = batch[0].shape;
	make_batch(&batch[1],
		   (const struct value[]){U(templateId, 2, 300),
					  U(flowKeyIndicator, 8, 9)},
		   2, 1);
	make_batch(&batch[0], (const struct value[]){FLOW}, 4, 0);
	batch[1].base = (const uint8_t *)"\1\54\0\0\0\0\0\0\0\11";
	for (unsigned n = 1;; n++) {
		nomem_begin(n);
		rc = make_and_run(batch, 2);
		if (!nomem_end())
			break;
		CU_ASSERT(rc == -ENOMEM || rc == 0);
	}
	CU_ASSERT_EQUAL(rc, 0);
	stage = made();
	stage_run(stage, &batch[0]);
	stage_run(stage, &batch[1]);
	calls = nomem_calls;
	for (int i = 0; i < 1000; i++)
		stage_run(stage, &batch[i % 2]);
	CU_ASSERT_EQUAL(nomem_calls, calls);
	stage_free(stage);
	shape_release(about);
	shape_release(batch[0].shape);
	shape_release(batch[1].shape);
	about = NULL;
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"keep and drop", test_select},
		{"order", test_order},
		{"other elements", test_rename},
		{"other lengths", test_length},
		{"what does not fit", test_unfit},
		{"columns", test_columns},
		{"formats of time", test_times},
		{"times that count from somewhere", test_uptime},
		{"constants", test_constant},
		{"too long", test_too_long},
		{"options", test_options},
		{"shapes and marks", test_shapes},
		{"mistakes", test_mistakes},
		{"memory", test_memory},
	};
	int rc;

	registry = ie_registry_new(64);
	shapes = shape_table_new(256);
	rc = unit_run("conversion", tests, UNIT_COUNT(tests));
	shape_release(seen.shape);
	shape_release(seen.behind);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return rc;
}
