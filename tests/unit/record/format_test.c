/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/format.h"
#include "conflux/ie.h"
#include "conflux/shape.h"
#include "unit.h"

/* A value of a type, in JSON and as text. text NULL: the same as JSON. */
struct value_case {
	uint8_t type;
	const char *octets;
	uint32_t length;
	const char *json;
	const char *text;
};

#define OCTETS(s) s, sizeof(s) - 1

static const struct value_case value_cases[] = {
	{IE_UNSIGNED64, OCTETS("\xff\xff\xff\xff\xff\xff\xff\xff"),
	 "18446744073709551615", NULL},
	{IE_UNSIGNED64, OCTETS("\0"), "0", NULL},
	{IE_UNSIGNED32, OCTETS("\1\0\0"), "65536", NULL},
	{IE_UNSIGNED16, OCTETS(""), "\"\"", ""},
	{IE_UNSIGNED64, OCTETS("\1\2\3\4\5\6\7\10\11"),
	 "\"010203040506070809\"", "010203040506070809"},
	{IE_UNSIGNED256, OCTETS("\1\2"), "\"0102\"", "0102"},
	{IE_SIGNED32, OCTETS("\xff\xff\xff\xfe"), "-2", NULL},
	{IE_SIGNED32, OCTETS("\x80"), "-128", NULL},
	{IE_SIGNED64, OCTETS("\x80\0\0\0\0\0\0\0"), "-9223372036854775808",
	 NULL},
	{IE_SIGNED8, OCTETS("\x7f"), "127", NULL},
	{IE_FLOAT64, OCTETS("\x3f\xb9\x99\x99\x99\x99\x99\x9a"), "0.1", NULL},
	{IE_FLOAT64, OCTETS("\x3d\xcc\xcc\xcd"), "0.1", NULL},
	{IE_FLOAT32, OCTETS("\x3f\x80\0\0"), "1", NULL},
	{IE_FLOAT64, OCTETS("\x7f\xf0\0\0\0\0\0\0"), "\"Infinity\"",
	 "Infinity"},
	{IE_FLOAT64, OCTETS("\xff\xf0\0\0\0\0\0\0"), "\"-Infinity\"",
	 "-Infinity"},
	{IE_FLOAT32, OCTETS("\x7f\xc0\0\0"), "\"NaN\"", "NaN"},
	{IE_FLOAT32, OCTETS("\1\2\3"), "\"010203\"", "010203"},
	{IE_BOOLEAN, OCTETS("\1"), "true", NULL},
	{IE_BOOLEAN, OCTETS("\2"), "false", NULL},
	{IE_BOOLEAN, OCTETS("\0"), "\"00\"", "00"},
	{IE_MAC_ADDRESS, OCTETS("\0\x1b\xab\2\3\4"), "\"00:1b:ab:02:03:04\"",
	 "00:1b:ab:02:03:04"},
	{IE_STRING, OCTETS("eth0\0\0"), "\"eth0\"", "eth0"},
	{IE_STRING, OCTETS("a\"\\\n\xff\xc3\xa4"),
	 "\"a\\\"\\\\\\u000a\\ufffd\xc3\xa4\"", "a\"\\\\u000a\\ufffd\xc3\xa4"},
	{IE_STRING, OCTETS("\x1b[2J\xc2\x9b"), "\"\\u001b[2J\\u009b\"",
	 "\\u001b[2J\\u009b"},
	{IE_STRING, OCTETS("\0\0"), "\"\"", ""},
	{IE_OCTET_ARRAY, OCTETS("\xde\xad"), "\"dead\"", "dead"},
	{IE_IPV4_ADDRESS, OCTETS("\xc0\0\2\xff"), "\"192.0.2.255\"",
	 "192.0.2.255"},
	{IE_IPV4_ADDRESS, OCTETS("\xc0\0\2"), "\"c00002\"", "c00002"},
	{IE_IPV6_ADDRESS, OCTETS("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), "\"::\"",
	 "::"},
	{IE_IPV6_ADDRESS, OCTETS("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"),
	 "\"::1\"", "::1"},
	{IE_IPV6_ADDRESS, OCTETS("\x20\1\xd\xb8\0\0\0\1\0\0\0\0\0\0\0\0"),
	 "\"2001:db8:0:1::\"", "2001:db8:0:1::"},
	{IE_IPV6_ADDRESS, OCTETS("\x20\1\0\0\0\1\0\1\0\1\0\1\0\1\0\1"),
	 "\"2001:0:1:1:1:1:1:1\"", "2001:0:1:1:1:1:1:1"},
	{IE_IPV6_ADDRESS, OCTETS("\x20\1\0\0\0\0\0\1\0\0\0\0\0\1\0\1"),
	 "\"2001::1:0:0:1:1\"", "2001::1:0:0:1:1"},
	{IE_IPV6_ADDRESS, OCTETS("\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1"),
	 "\"::ffff:192.0.2.1\"", "::ffff:192.0.2.1"},
	{IE_DATE_TIME_SECONDS, OCTETS("\x5e\x5b\x01\xff"),
	 "\"2020-03-01T00:29:51Z\"", "2020-03-01T00:29:51Z"},
	{IE_DATE_TIME_SECONDS, OCTETS("\0\0\0\0"), "\"1970-01-01T00:00:00Z\"",
	 "1970-01-01T00:00:00Z"},
	{IE_DATE_TIME_SECONDS, OCTETS("\xff\xff\xff\xff"),
	 "\"2106-02-07T06:28:15Z\"", "2106-02-07T06:28:15Z"},
	{IE_DATE_TIME_MILLISECONDS, OCTETS("\0\0\x01\x70\x8f\xae\xb3\xe7"),
	 "\"2020-02-29T06:42:36.135Z\"", "2020-02-29T06:42:36.135Z"},
	{IE_DATE_TIME_MILLISECONDS, OCTETS("\0\0\xe6\x77\xd2\x1f\xdb\xff"),
	 "\"9999-12-31T23:59:59.999Z\"", "9999-12-31T23:59:59.999Z"},
	{IE_DATE_TIME_MILLISECONDS, OCTETS("\0\0\xe6\x77\xd2\x1f\xdc\0"),
	 "\"0000e677d21fdc00\"", "0000e677d21fdc00"},
	/* NTP: seconds since 1900, and the fraction in 2^-32. */
	{IE_DATE_TIME_MICROSECONDS, OCTETS("\xee\xac\x2a\x80\x80\0\0\0"),
	 "\"2026-11-21T14:34:40.500000Z\"", "2026-11-21T14:34:40.500000Z"},
	{IE_DATE_TIME_NANOSECONDS, OCTETS("\xee\xac\x2a\x80\0\0\0\4"),
	 "\"2026-11-21T14:34:40.000000001Z\"",
	 "2026-11-21T14:34:40.000000001Z"},
	{IE_DATE_TIME_MICROSECONDS, OCTETS("\xee\xac\x2a\x80\xff\xff\xff\xff"),
	 "\"2026-11-21T14:34:41.000000Z\"", "2026-11-21T14:34:41.000000Z"},
	{IE_DATE_TIME_MICROSECONDS, OCTETS("\0\0\0\1\0\0\0\0"),
	 "\"2036-02-07T06:28:17.000000Z\"", "2036-02-07T06:28:17.000000Z"},
	{IE_DATE_TIME_NANOSECONDS, OCTETS("\0\0\0\0\0\0\0\0"),
	 "\"2036-02-07T06:28:16.000000000Z\"",
	 "2036-02-07T06:28:16.000000000Z"},
	{IE_DATE_TIME_NANOSECONDS, OCTETS("\1\2\3\4"), "\"01020304\"",
	 "01020304"},
	{200, OCTETS("\1"), "\"01\"", "01"},
	/* Lists without a context. */
	{IE_BASIC_LIST, OCTETS("\3\0\122\xff\xff\4eth0\xff\0\1x"),
	 "{\"semantic\":\"allOf\",\"element\":\"e0id82\","
	 "\"values\":[\"65746830\",\"78\"]}",
	 NULL},
	{IE_BASIC_LIST, OCTETS("\xff\x80\1\0\2\0\0\x72\x79"),
	 "{\"semantic\":\"undefined\",\"element\":\"e29305id1\","
	 "\"values\":[]}",
	 NULL},
	/* Cut off; elements of no octets; half an element. */
	{IE_BASIC_LIST, OCTETS("\3\0"), "\"0300\"", "0300"},
	{IE_BASIC_LIST, OCTETS("\3\0\1\0\0\1"), "\"030001000001\"",
	 "030001000001"},
	{IE_BASIC_LIST, OCTETS("\3\0\1\0\2\1\2\3"), "\"0300010002010203\"",
	 "0300010002010203"},
	{IE_SUB_TEMPLATE_LIST, OCTETS("\4\1\0\1\2"),
	 "{\"semantic\":\"ordered\",\"template\":256,\"octets\":\"0102\"}",
	 NULL},
	{IE_SUB_TEMPLATE_MULTI_LIST, OCTETS("\1\1\0\0\5\7\1\1\0\4"),
	 "{\"semantic\":\"exactlyOneOf\",\"parts\":["
	 "{\"template\":256,\"octets\":\"07\"},"
	 "{\"template\":257,\"octets\":\"\"}]}",
	 NULL},
	{IE_SUB_TEMPLATE_MULTI_LIST, OCTETS("\1\1\0\0\6\7"), "\"010100000607\"",
	 "010100000607"},
	{IE_SUB_TEMPLATE_MULTI_LIST, OCTETS("\1\1\0\0\3"), "\"0101000003\"",
	 "0101000003"},
};

static void
test_values(void)
{
	for (size_t i = 0; i < UNIT_COUNT(value_cases); i++) {
		const struct value_case *c = &value_cases[i];
		struct ie ie = {.name = "x", .type = c->type};
		const char *text = c->text ? c->text : c->json;
		/* On the heap, for the address sanitizer. */
		uint8_t *value = malloc(c->length + 1);
		struct text out = {0};

		memmove(value + 1, c->octets, c->length);
		format_value_json(&out, &ie, value + 1, c->length);
		if (strcmp(out.data, c->json) != 0)
			printf("\n%s not %s\n", out.data, c->json);
		CU_ASSERT_STRING_EQUAL(out.data, c->json);
		text_reset(&out);
		format_value_text(&out, &ie, value + 1, c->length);
		CU_ASSERT_EQUAL(out.length, strlen(text));
		CU_ASSERT(out.length == 0 ||
			  strcmp(out.data, text) == 0);
		text_fini(&out);
		free(value);
	}
}

/* ---- records ------------------------------------------------------------ */

struct fixture {
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct text out;
};

static void
fixture_init(struct fixture *f)
{
	*f = (struct fixture){0};
	f->registry = ie_registry_new(16);
	f->shapes = shape_table_new(16);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f->registry);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f->shapes);
}

static void
fixture_fini(struct fixture *f)
{
	text_fini(&f->out);
	shape_table_free(f->shapes);
	ie_registry_free(f->registry);
}

struct element {
	uint16_t id, length;
};

static const struct shape *
make_shape(struct fixture *f, const struct element *elements, size_t count)
{
	struct field fields[8] = {0};
	const struct shape *shape = NULL;

	for (size_t i = 0; i < count; i++) {
		fields[i].ie = ie_get(f->registry, 0, elements[i].id);
		fields[i].length = elements[i].length;
	}
	CU_ASSERT_EQUAL_FATAL(shape_get(f->shapes, fields, (uint16_t)count, 0,
					&shape),
			      0);
	return shape;
}

static const char *
format_with(struct fixture *f, enum format format,
	    const struct format_context *context, const struct shape *shape,
	    const char *octets, uint32_t length)
{
	uint8_t *record = malloc(length);

	memcpy(record, octets, length);
	text_reset(&f->out);
	format_record(&f->out, format, context, shape, record, length);
	free(record);
	return f->out.data;
}

static void
test_records(void)
{
	static const struct element elements[] = {
		{IE_sourceIPv4Address, 4}, {IE_interfaceName, IE_VARIABLE},
		{IE_octetDeltaCount, 2},   {IE_interfaceName, IE_VARIABLE},
	};
	static const char record[] = "\xc0\0\2\1"
				     "\3a\"b"
				     "\1\0"
				     "\3x,y";
	struct fixture f;
	const struct shape *shape;

	fixture_init(&f);
	shape = make_shape(&f, elements, UNIT_COUNT(elements));
	CU_ASSERT_STRING_EQUAL(
		format_with(&f, FORMAT_JSON, NULL, shape, OCTETS(record)),
		"{\"sourceIPv4Address\":\"192.0.2.1\","
		"\"interfaceName\":[\"a\\\"b\",\"x,y\"],"
		"\"octetDeltaCount\":256}");
	CU_ASSERT_STRING_EQUAL(
		format_with(&f, FORMAT_TEXT, NULL, shape, OCTETS(record)),
		"sourceIPv4Address=192.0.2.1 interfaceName=\"a\"\"b\" "
		"octetDeltaCount=256 interfaceName=x,y");
	CU_ASSERT_STRING_EQUAL(
		format_with(&f, FORMAT_CSV, NULL, shape, OCTETS(record)),
		"192.0.2.1,\"a\"\"b\",256,\"x,y\"");
	/* A record that ends too early is printed as far as it goes. */
	CU_ASSERT_STRING_EQUAL(
		format_with(&f, FORMAT_JSON, NULL, shape, record, 7),
		"{\"sourceIPv4Address\":\"192.0.2.1\"}");
	CU_ASSERT_STRING_EQUAL(
		format_with(&f, FORMAT_JSON, NULL, shape, record, 9),
		"{\"sourceIPv4Address\":\"192.0.2.1\","
		"\"interfaceName\":[\"a\\\"b\"]}");
	text_reset(&f.out);
	format_header_csv(&f.out, shape);
	CU_ASSERT_STRING_EQUAL(f.out.data,
			       "sourceIPv4Address,interfaceName,"
			       "octetDeltaCount,interfaceName");
	shape_release(shape);
	fixture_fini(&f);
}

static const struct shape *
shape_of(void *arg, uint16_t id)
{
	return id == 256 ? arg : NULL;
}

static void
test_structured_data(void)
{
	static const struct element outer[] = {{IE_subTemplateList, IE_VARIABLE}};
	static const struct element inner[] = {
		{IE_protocolIdentifier, 1},
		{IE_basicList, IE_VARIABLE},
	};
	/* Two records; the second basicList is half an element short. */
	static const char record[] = "\26\3\1\0"
				     "\6\7\3\0\7\0\2\0\x50"
				     "\21\10\3\0\7\0\2\1\2\3";
	struct format_context context = {.shape_of = shape_of};
	const struct shape *list, *nested;
	struct fixture f;

	fixture_init(&f);
	list = make_shape(&f, outer, 1);
	nested = make_shape(&f, inner, 2);
	context.registry = f.registry;
	context.arg = (void *)(uintptr_t)nested;
	CU_ASSERT_STRING_EQUAL(
		format_with(&f, FORMAT_JSON, &context, list, OCTETS(record)),
		"{\"subTemplateList\":{\"semantic\":\"allOf\","
		"\"template\":256,\"records\":["
		"{\"protocolIdentifier\":6,\"basicList\":"
		"{\"semantic\":\"allOf\",\"element\":\"sourceTransportPort\","
		"\"values\":[80]}},"
		"{\"protocolIdentifier\":17,"
		"\"basicList\":\"0300070002010203\"}]}}");
	CU_ASSERT_STRING_EQUAL(
		format_with(&f, FORMAT_CSV, NULL, list, OCTETS("\4\3\1\0\1")),
		"\"{\"\"semantic\"\":\"\"allOf\"\",\"\"template\"\":256,"
		"\"\"octets\"\":\"\"01\"\"}\"");
	shape_release(list);
	shape_release(nested);
	fixture_fini(&f);
}

/*
 * A list of lists of lists: one that is deeper than we go is octets there, and
 * one whose Template is its own record ends too.
 */
static void
test_deep_lists(void)
{
	static const struct element outer[] = {{IE_subTemplateList, IE_VARIABLE}};
	struct format_context context = {.shape_of = shape_of};
	const struct shape *shape;
	uint8_t record[512];
	uint32_t at = sizeof(record);
	struct fixture f;

	fixture_init(&f);
	shape = make_shape(&f, outer, 1);
	context.registry = f.registry;
	context.arg = (void *)(uintptr_t)shape;
	for (unsigned i = 0; i < 100; i++) {
		uint32_t length = (uint32_t)sizeof(record) - at;

		record[--at] = 0;
		record[--at] = 1;
		record[--at] = 3;
		record[--at] = (uint8_t)(length + 3);
		if (length + 3 >= 255 - 4)
			break;
	}
	format_with(&f, FORMAT_JSON, &context, shape,
		    (const char *)record + at, (uint32_t)sizeof(record) - at);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.out.data, "\"records\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(f.out.data, "\":\"0301"));
	CU_ASSERT_EQUAL(f.out.data[f.out.length - 1], '}');
	shape_release(shape);
	fixture_fini(&f);
}

static void
test_random_octets(void)
{
	static const struct element outer[] = {
		{IE_basicList, IE_VARIABLE},
		{IE_subTemplateList, IE_VARIABLE},
		{IE_subTemplateMultiList, IE_VARIABLE},
		{IE_interfaceName, IE_VARIABLE},
	};
	struct format_context context = {.shape_of = shape_of};
	const struct shape *shape;
	struct fixture f;

	fixture_init(&f);
	shape = make_shape(&f, outer, UNIT_COUNT(outer));
	context.registry = f.registry;
	context.arg = (void *)(uintptr_t)shape;
	srand(6313);
	for (unsigned round = 0; round < 20000; round++) {
		char record[64];
		uint32_t length = 1 + (uint32_t)rand() % sizeof(record);
		long quotes = 0;

		for (uint32_t i = 0; i < length; i++)
			record[i] = (char)(rand() % 3 ? rand() % 8 : rand());
		format_with(&f, FORMAT_JSON, &context, shape, record, length);
		for (size_t i = 0; i < f.out.length; i++) {
			if (f.out.data[i] == '\\')
				i++;
			else if (f.out.data[i] == '"')
				quotes++;
		}
		CU_ASSERT(f.out.data[0] == '{' && quotes % 2 == 0 &&
			  f.out.data[f.out.length - 1] == '}');
		format_with(&f, FORMAT_CSV, &context, shape, record, length);
		format_with(&f, FORMAT_TEXT, NULL, shape, record, length);
	}
	shape_release(shape);
	fixture_fini(&f);
}

static void
test_names(void)
{
	CU_ASSERT_EQUAL(format_parse("csv"), FORMAT_CSV);
	CU_ASSERT_EQUAL(format_parse("json"), FORMAT_JSON);
	CU_ASSERT_EQUAL(format_parse("text"), FORMAT_TEXT);
	CU_ASSERT(format_parse("xml") < 0);
}

static const struct unit_test tests[] = {
	{"values", test_values},
	{"records", test_records},
	{"structured data", test_structured_data},
	{"deep lists", test_deep_lists},
	{"random octets", test_random_octets},
	{"names", test_names},
};

int
main(void)
{
	return unit_run("format", tests, UNIT_COUNT(tests));
}
