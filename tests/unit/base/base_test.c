/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/addr.h"
#include "conflux/clock.h"
#include "conflux/hash.h"
#include "conflux/log.h"
#include "conflux/nearest.h"
#include "conflux/table.h"
#include "conflux/text.h"
#include "conflux/wire.h"
#include "unit.h"

static void
test_reader_is_sticky(void)
{
	static const uint8_t data[] = {1, 2, 3, 255, 0, 1, 9};
	struct reader r;

	reader_init(&r, data, sizeof(data));
	CU_ASSERT_EQUAL(reader_u8(&r), 1);
	CU_ASSERT_EQUAL(reader_u16(&r), 0x203);
	CU_ASSERT_EQUAL(reader_varlen(&r), 1);
	CU_ASSERT_EQUAL(reader_u32(&r), 0);
	CU_ASSERT(r.failed);
	CU_ASSERT_EQUAL(reader_u8(&r), 0);
}

static void
test_numbers_of_any_size(void)
{
	static const uint8_t data[] = {0x81, 2, 3, 4, 5, 6, 7, 0x88, 9};

	for (unsigned n = 0; n <= 9; n++) {
		uint8_t out[9] = {0};
		uint64_t v = 0;

		for (unsigned i = 0; i < n; i++)
			v = v << 8 | data[i];
		CU_ASSERT_EQUAL(wire_get_uint(data, n), v);
		wire_put_uint(out, v, n);
		CU_ASSERT_EQUAL(
			memcmp(out + (n > 8), data + (n > 8), n - (n > 8)), 0);
	}
}

static void
test_nearest(void)
{
	static const char *const right[] = {"cache", "caches", "cahce", "a"};
	static const struct {
		const char *wrong;
		const char *best;
	} cases[] = {
		{"cach", "cache"},  {"CACHE", "cache"}, {"cahces", "caches"},
		{"zzzzzz", NULL},   {"", NULL},		{"cachea", "cache"},
		{"selector", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned distance = nearest_start(cases[i].wrong);
		const char *best = NULL;

		for (size_t j = 0; j < sizeof(right) / sizeof(right[0]); j++)
			if (nearest_closer(cases[i].wrong, right[j], &distance))
				best = right[j];
		CU_ASSERT(best == cases[i].best ||
			  strcmp(best ? best : "",
				 cases[i].best ? cases[i].best : "") == 0);
	}
}

static void
test_writer_is_sticky(void)
{
	uint8_t data[8];
	struct writer w;

	writer_init(&w, data, sizeof(data));
	writer_u32(&w, 0x01020304);
	writer_varlen(&w, "ab", 2);
	writer_u16(&w, 5);
	CU_ASSERT(w.failed);
	writer_u8(&w, 1);
	CU_ASSERT_EQUAL(memcmp(data, "\1\2\3\4\2ab", 7), 0);
}

static void
test_addr(void)
{
	static const char *const good[] = {"192.0.2.1", "2001:db8::1", "::"};
	struct sockaddr_storage ss;
	struct addr a, b;
	char text[ADDR_TEXT_SIZE];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_EQUAL(addr_parse(&a, good[i], 4739), 0);
		addr_to_sockaddr(&a, &ss);
		CU_ASSERT_EQUAL(addr_from_sockaddr(&b, (struct sockaddr *)&ss),
				0);
		CU_ASSERT(addr_equal(&a, &b));
		CU_ASSERT_EQUAL(addr_hash(&a, 7), addr_hash(&b, 7));
		CU_ASSERT_STRING_EQUAL(addr_format_host(text, &b), good[i]);
	}
	CU_ASSERT_EQUAL(addr_parse(&a, "192.0.2.256", 1), -EINVAL);
	CU_ASSERT_EQUAL(addr_parse(&a, "fe80::1%nosuchif", 1), -EINVAL);
	addr_parse(&a, "2001:db8::1", 53);
	CU_ASSERT_STRING_EQUAL(addr_format(text, &a), "[2001:db8::1]:53");
}

static bool
int_equal(const void *item, const void *key)
{
	return *(const int *)item == *(const int *)key;
}

static void
test_table_adds_and_removes(void)
{
	static int number[5000];
	struct table t = {0};
	uint32_t at = 0, seen = 0;

	for (int i = 0; i < 5000; i++) {
		number[i] = i;
		/* few distinct hashes: long probe runs */
		CU_ASSERT_EQUAL(table_add(&t, (uint32_t)i % 700, &number[i]),
				0);
	}
	for (int i = 0; i < 5000; i += 2)
		CU_ASSERT(table_remove(&t, (uint32_t)i % 700, &number[i]));
	CU_ASSERT_FALSE(table_remove(&t, 0, &number[0]));
	for (int i = 0; i < 5000; i++)
		CU_ASSERT_EQUAL(table_find(&t, (uint32_t)i % 700, int_equal,
					   &i) != NULL,
				i % 2 == 1);
	while (table_next(&t, &at))
		seen++;
	CU_ASSERT_EQUAL(seen, 2500);
	CU_ASSERT_EQUAL(t.count, 2500);
	table_fini(&t);
}

static void
test_json_is_always_valid(void)
{
	struct text t = {0};

	text_add_json(&t, "a\"\\\n\xff\xc3\xa4", 7);
	CU_ASSERT_STRING_EQUAL(t.data, "\"a\\\"\\\\\\u000a\\ufffd\xc3\xa4\"");
	text_fini(&t);
}

static void
test_report(void)
{
	struct text t = {0};
	struct report r;

	for (int json = 0; json < 2; json++) {
		text_reset(&t);
		report_begin(&r, &t, json);
		report_list(&r, "cache");
		report_item(&r);
		report_text(&r, "name", "c");
		report_uint(&r, "flows", 18446744073709551615u);
		report_close(&r);
		report_end_list(&r);
		report_bool(&r, "up", true);
		report_end(&r);
		CU_ASSERT_STRING_EQUAL(
			t.data,
			json ? "{\"cache\":[{\"name\":\"c\","
			       "\"flows\":18446744073709551615}],\"up\":true}\n"
			     : "cache name c flows "
			       "18446744073709551615\nup true\n");
	}
	/* Nodes in a node, and values that are too long for a line. */
	text_reset(&t);
	report_begin(&r, &t, false);
	report_open(&r, "a");
	report_open(&r, "b");
	report_text(&r, "c", "0123456789012345678901234567890123456789");
	report_text(&r, "d", "012345678901234567890123456789");
	report_close(&r);
	report_open(&r, "b");
	report_text(&r, "c", "0123456789012345678901234567890123456789");
	report_text(&r, "d", "0123456789012345678901234567890");
	report_close(&r);
	report_open(&r, "empty");
	report_close(&r);
	report_uint(&r, "e", 1);
	report_close(&r);
	report_end(&r);
	CU_ASSERT_STRING_EQUAL(
		t.data,
		"a\n"
		"  b c 0123456789012345678901234567890123456789 "
		"d 012345678901234567890123456789\n"
		"  b\n"
		"    c 0123456789012345678901234567890123456789\n"
		"    d 0123456789012345678901234567890\n"
		"  empty\n"
		"  e 1\n");
	text_fini(&t);
}

/* A report does not grow with what peers send. */
static void
test_report_is_bounded(void)
{
	struct text t = {0};
	struct report r;
	unsigned items = 0;

	report_begin(&r, &t, true);
	report_list(&r, "template");
	for (; report_room(&r); items++) {
		report_item(&r);
		report_uint(&r, "templateId", items);
		report_close(&r);
	}
	report_end_list(&r);
	report_end(&r);
	CU_ASSERT(items > REPORT_OCTETS / 40);
	CU_ASSERT(t.length < REPORT_OCTETS + 100);
	CU_ASSERT_PTR_NOT_NULL(strstr(t.data + t.length - 40,
				      "}],\"cx:leftOut\":true}\n"));
	text_fini(&t);
}

static void
test_log_limit(void)
{
	struct log_limit limit = {0};
	uint32_t held = 0;
	int passed = 0;

	for (int i = 0; i < 100; i++)
		passed += log_limit_pass(&limit, 1000, &held);
	CU_ASSERT_EQUAL(passed, LOG_LIMIT_BURST);
	CU_ASSERT(log_limit_pass(&limit, 1000 + LOG_LIMIT_WINDOW, &held));
	CU_ASSERT_EQUAL(held, 95);
}

static void
test_clock_format(void)
{
	char text[CLOCK_TEXT_SIZE];

	CU_ASSERT_STRING_EQUAL(clock_format(text, 1700000000123),
			       "2023-11-14T22:13:20.123Z");
	CU_ASSERT(strlen(clock_format(text, UINT64_MAX)) < CLOCK_TEXT_SIZE);
}

static void
test_hash_uses_every_octet(void)
{
	uint8_t data[37] = {0};
	uint64_t h = hash_bytes(data, sizeof(data), 1);

	for (size_t i = 0; i < sizeof(data); i++) {
		data[i] = 1;
		CU_ASSERT_NOT_EQUAL(hash_bytes(data, sizeof(data), 1), h);
		data[i] = 0;
	}
	CU_ASSERT_NOT_EQUAL(hash_bytes(data, 36, 1), h);
	CU_ASSERT_NOT_EQUAL(hash_bytes(data, 37, 2), h);
}

static const struct unit_test tests[] = {
	{"a reader fails once and for all", test_reader_is_sticky},
	{"numbers of any size", test_numbers_of_any_size},
	{"nearest name", test_nearest},
	{"a writer fails once and for all", test_writer_is_sticky},
	{"addresses are parsed and printed", test_addr},
	{"a table adds, finds and removes", test_table_adds_and_removes},
	{"JSON strings are always valid", test_json_is_always_valid},
	{"a report is text or JSON", test_report},
	{"a report is bounded", test_report_is_bounded},
	{"log lines are limited", test_log_limit},
	{"times are printed", test_clock_format},
	{"a hash uses every octet", test_hash_uses_every_octet},
};

int
main(void)
{
	return unit_run("base", tests, UNIT_COUNT(tests));
}
