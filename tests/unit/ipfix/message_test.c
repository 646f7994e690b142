/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/message.h"
#include "octets.h"
#include "unit.h"

static void
test_frames(void)
{
	static const struct {
		const char *hex;
		int result;
	} cases[] = {
		{"", 0},
		{"00", 0},
		{"000a", 0},
		{"000a00", 0},
		{"000a0010", 16},
		{"000affff", 65535},
		{"000a000f", -EBADMSG},
		{"000a0000", -EBADMSG},
		{"0009", -EBADMSG},
		{"00090010", -EBADMSG},
		{"0a00", -EBADMSG},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct octets o = octets(cases[i].hex);

		CU_ASSERT_EQUAL(message_frame(o.data, o.length),
				cases[i].result);
		free(o.data);
	}
}

#define HEADER(length) "000a" length "00000001 00000002 00000003"

/* Opens and reads all sets: how many, their octets, and the reason. */
static const char *
read_all(const char *hex, int *opened, unsigned *sets, size_t *content)
{
	struct octets o = octets(hex);
	struct message_reader reader;
	struct set set;

	*sets = 0;
	*content = 0;
	*opened = message_open(&reader, o.data, o.length);
	while (message_next_set(&reader, &set)) {
		CU_ASSERT_PTR_NOT_NULL(set.content);
		++*sets;
		*content += set.length;
	}
	CU_ASSERT_FALSE(message_next_set(&reader, &set));
	free(o.data);
	return reader.reason;
}

static void
test_reads(void)
{
	struct octets o = octets(HEADER("001c") "0100 0006 aabb 0101 0006 "
						"ccdd");
	struct message_reader r;
	struct set set;

	CU_ASSERT_EQUAL(message_open(&r, o.data, o.length), 0);
	CU_ASSERT_EQUAL(r.header.version, 10);
	CU_ASSERT_EQUAL(r.header.length, 28);
	CU_ASSERT_EQUAL(r.header.export_time, 1);
	CU_ASSERT_EQUAL(r.header.sequence, 2);
	CU_ASSERT_EQUAL(r.header.domain, 3);
	CU_ASSERT(message_next_set(&r, &set));
	CU_ASSERT_EQUAL(set.id, 256);
	CU_ASSERT_EQUAL(set.length, 2);
	CU_ASSERT_EQUAL(set.content[0], 0xaa);
	CU_ASSERT(message_next_set(&r, &set));
	CU_ASSERT_EQUAL(set.id, 257);
	CU_ASSERT_EQUAL(set.content[1], 0xdd);
	CU_ASSERT_FALSE(message_next_set(&r, &set));
	CU_ASSERT_PTR_NULL(r.reason);
	free(o.data);
}

static void
test_malformed(void)
{
	static const struct {
		const char *hex;
		int opened;
		unsigned sets;
		bool reason;
	} cases[] = {
		/* No octet at all, half a header, none but a header. */
		{"", -EBADMSG, 0, true},
		{"000a0010 00000001 00000002", -EBADMSG, 0, true},
		{HEADER("0010"), 0, 0, false},
		/* Version, and length against header and datagram. */
		{"0009 0010 00000001 00000002 00000003", -EBADMSG, 0, true},
		{HEADER("000f"), -EBADMSG, 0, true},
		{HEADER("0000"), -EBADMSG, 0, true},
		{HEADER("0011"), -EBADMSG, 0, true},
		{HEADER("0010") "00", -EBADMSG, 0, true},
		/* Sets: length 0, 3, 4 (empty), past the end, rest of 1 to 3 */
		{HEADER("0014") "0100 0000", 0, 0, true},
		{HEADER("0014") "0100 0003", 0, 0, true},
		{HEADER("0014") "0100 0004", 0, 1, false},
		{HEADER("0014") "0100 0005", 0, 0, true},
		{HEADER("0018") "0100 2577 00000000", 0, 0, true},
		{HEADER("0018") "0100 0004 0100 ffff", 0, 1, true},
		{HEADER("0015") "0100 0004 00", 0, 1, true},
		{HEADER("0017") "0100 0004 000000", 0, 1, true},
		/* Reserved set ids are the caller's to skip. */
		{HEADER("0020") "0000 0004 0001 0004 0004 0004 00ff 0004", 0, 4,
		 false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned sets;
		size_t content;
		int opened;
		const char *reason =
			read_all(cases[i].hex, &opened, &sets, &content);

		CU_ASSERT_EQUAL(opened, cases[i].opened);
		CU_ASSERT_EQUAL(sets, cases[i].sets);
		CU_ASSERT_EQUAL(reason != NULL, cases[i].reason);
		CU_ASSERT_EQUAL(content, 0);
	}
}

static void
expect(const struct message_writer *w, const char *hex)
{
	struct octets o = octets(hex);

	CU_ASSERT_EQUAL(w->length, o.length);
	CU_ASSERT_EQUAL(memcmp(w->buffer, o.data, o.length), 0);
	free(o.data);
}

static void
test_writes(void)
{
	struct ie_registry *registry = ie_registry_new(10);
	struct shape_table *table = shape_table_new(10);
	const struct shape *flow, *options;
	struct message_writer w;
	struct field fields[2];
	uint8_t buffer[512];

	fields[0] = (struct field){ie_find(registry, 0, 8), 4, 0};
	fields[1] = (struct field){ie_find(registry, IE_PEN_REVERSE, 1),
				   IE_VARIABLE, 0};
	shape_get(table, fields, 2, 0, &flow);
	shape_get(table, fields, 1, 1, &options);
	message_begin(&w, buffer, sizeof(buffer), 7);
	CU_ASSERT_EQUAL(message_add_template(&w, 256, flow), 0);
	CU_ASSERT_EQUAL(message_add_template(&w, 257, flow), 0);
	CU_ASSERT_EQUAL(message_add_template(&w, 258, options), 0);
	memcpy(message_add_data(&w, 256, 5, 1), "\1\2\3\4", 5);
	memcpy(message_add_data(&w, 256, 5, 1), "\5\6\7\x8", 5);
	CU_ASSERT_EQUAL(message_add_template(&w, 259, options), 0);
	CU_ASSERT_EQUAL(message_add_withdrawal(&w, 2, 256), 0);
	CU_ASSERT_EQUAL(message_add_withdrawal(&w, 2, 257), 0);
	CU_ASSERT_EQUAL(message_add_withdrawal(&w, 3, 3), 0);
	CU_ASSERT_EQUAL(message_add_template(&w, 260, options), 0);
	CU_ASSERT_EQUAL(w.records, 2);
	CU_ASSERT_EQUAL(message_end(&w, 0x01020304), w.length);
	message_set_sequence(buffer, 0x0a0b0c0d);
	expect(&w, "000a 0080 01020304 0a0b0c0d 00000007"
		   "0002 0024 0100 0002 0008 0004 8001 ffff 00007279"
		   "          0101 0002 0008 0004 8001 ffff 00007279"
		   "0003 000e 0102 0001 0001 0008 0004"
		   "0100 000e 01020304 00 05060708 00"
		   "0003 000e 0103 0001 0001 0008 0004"
		   "0002 000c 0100 0000 0101 0000"
		   "0003 0008 0003 0000"
		   "0003 000e 0104 0001 0001 0008 0004");
	shape_release(flow);
	shape_release(options);
	shape_table_free(table);
	ie_registry_free(registry);
}

static void
test_writes_no_more_than_the_limit(void)
{
	struct ie_registry *registry = ie_registry_new(10);
	struct shape_table *table = shape_table_new(10);
	const struct shape *shape;
	struct message_writer w;
	struct field field = {ie_find(registry, 0, 8), 4, 0};
	uint8_t *buffer = malloc(36);

	shape_get(table, &field, 1, 0, &shape);
	message_begin(&w, buffer, 36, 1);
	CU_ASSERT_EQUAL(message_room(&w, 256), 16);
	memset(message_add_data(&w, 256, 4, 1), 1, 4);
	CU_ASSERT_EQUAL(message_room(&w, 256), 12);
	CU_ASSERT_EQUAL(message_room(&w, 257), 8);
	CU_ASSERT_EQUAL(message_add_template(&w, 256, shape), 0);
	CU_ASSERT_EQUAL(message_room(&w, 256), 0);
	CU_ASSERT_EQUAL(message_room(&w, 2), 0);
	CU_ASSERT_EQUAL(message_add_template(&w, 256, shape), -ENOSPC);
	CU_ASSERT_EQUAL(message_add_withdrawal(&w, 2, 256), -ENOSPC);
	CU_ASSERT_EQUAL(message_end(&w, 0), 36);

	message_begin(&w, buffer, 35, 1);
	memset(message_add_data(&w, 256, 4, 1), 1, 4);
	CU_ASSERT_EQUAL(message_add_template(&w, 256, shape), -ENOSPC);
	/* The set that was open still is. */
	CU_ASSERT_EQUAL(message_room(&w, 256), 11);
	CU_ASSERT_EQUAL(message_end(&w, 0), 24);
	message_begin(&w, buffer, 18, 1);
	CU_ASSERT_EQUAL(message_room(&w, 256), 0);
	CU_ASSERT_EQUAL(message_end(&w, 0), 16);
	shape_release(shape);
	shape_table_free(table);
	ie_registry_free(registry);
	free(buffer);
}

static const struct unit_test tests[] = {
	{"frames of a stream", test_frames},
	{"reads sets", test_reads},
	{"malformed messages cost only themselves", test_malformed},
	{"writes templates, data and withdrawals", test_writes},
	{"writes no more than the limit", test_writes_no_more_than_the_limit},
};

int
main(void)
{
	return unit_run("message", tests, UNIT_COUNT(tests));
}
