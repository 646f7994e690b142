/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/shape.h"
#include "octets.h"
#include "unit.h"

static struct ie_registry *registry;
static struct shape_table *table;

static void
setup(uint32_t max_shapes)
{
	registry = ie_registry_new(100);
	table = shape_table_new(max_shapes);
}

static void
teardown(void)
{
	shape_table_free(table);
	ie_registry_free(registry);
}

static struct field
field(uint16_t id, uint16_t length)
{
	return (struct field){.ie = ie_get(registry, 0, id), .length = length};
}

static void
test_equal_fields_are_one_shape(void)
{
	const struct shape *a, *b, *c, *d;
	struct field fields[3];

	setup(3);
	fields[0] = field(IE_sourceIPv4Address, 4);
	fields[1] = field(IE_octetDeltaCount, 8);
	fields[2] = field(IE_octetDeltaCount, 4);
	CU_ASSERT_EQUAL(shape_get(table, fields, 3, 0, &a), 0);
	fields[0].offset = 99; /* ignored */
	CU_ASSERT_EQUAL(shape_get(table, fields, 3, 0, &b), 0);
	CU_ASSERT_PTR_EQUAL(a, b);
	CU_ASSERT_EQUAL(a->holds, 2);
	CU_ASSERT_EQUAL(a->min_length, 16);
	CU_ASSERT_FALSE(a->variable);
	CU_ASSERT_EQUAL(a->field[0].offset, 0);
	CU_ASSERT_EQUAL(a->field[1].offset, 4);
	CU_ASSERT_EQUAL(a->field[2].offset, 12);

	/* Another scope count, another length: other shapes. */
	CU_ASSERT_EQUAL(shape_get(table, fields, 3, 3, &c), 0);
	CU_ASSERT_PTR_NOT_EQUAL(a, c);
	CU_ASSERT_NOT_EQUAL(a->serial, c->serial);
	CU_ASSERT_EQUAL(shape_get(table, fields, 2, 0, &d), 0);
	fields[2].length = 3;
	CU_ASSERT_EQUAL(shape_get(table, fields, 3, 0, &b), -ENOSPC);
	shape_release(d);
	CU_ASSERT_EQUAL(shape_get(table, fields, 3, 0, &d), 0);

	CU_ASSERT_EQUAL(shape_find(a, 0, IE_octetDeltaCount, 0), 1);
	CU_ASSERT_EQUAL(shape_find(a, 0, IE_octetDeltaCount, 1), 2);
	CU_ASSERT_EQUAL(shape_find(a, 0, IE_octetDeltaCount, 2), -1);
	CU_ASSERT_EQUAL(shape_find(a, 1, IE_octetDeltaCount, 0), -1);

	CU_ASSERT_PTR_EQUAL(shape_hold(a), a);
	CU_ASSERT_PTR_NULL(shape_hold(NULL));
	shape_release(a);
	shape_release(a);
	shape_release(a);
	shape_release(c);
	shape_release(d);
	shape_release(NULL);
	teardown();
}

/* Fields of which other things are said are another shape. */
static void
test_marks(void)
{
	static const struct field_mark none[2], one[2] = {{0}, {6, 3}},
						other[2] = {{0}, {5, 3}};
	const struct shape *a, *b, *c, *d, *e;
	struct field fields[2];

	setup(3);
	fields[0] = field(IE_interfaceName, IE_VARIABLE);
	fields[1] = field(IE_sourceIPv4Address, 4);
	CU_ASSERT_EQUAL(shape_get(table, fields, 2, 0, &a), 0);
	CU_ASSERT_EQUAL(shape_get_marked(table, fields, none, 2, 0, &b), 0);
	CU_ASSERT_PTR_EQUAL(a, b);
	CU_ASSERT_PTR_NULL(a->mark);
	CU_ASSERT_EQUAL(shape_get_marked(table, fields, one, 2, 0, &c), 0);
	CU_ASSERT_EQUAL(shape_get_marked(table, fields, one, 2, 0, &d), 0);
	CU_ASSERT_EQUAL(shape_get_marked(table, fields, other, 2, 0, &e), 0);
	CU_ASSERT_PTR_EQUAL(c, d);
	CU_ASSERT_PTR_NOT_EQUAL(a, c);
	CU_ASSERT_PTR_NOT_EQUAL(c, e);
	CU_ASSERT_EQUAL(c->mark[0].technique, 0);
	CU_ASSERT_EQUAL(c->mark[1].technique, 6);
	CU_ASSERT_EQUAL(c->mark[1].flags, 3);
	CU_ASSERT_EQUAL(c->gap[1], 4);
	shape_release(a);
	shape_release(b);
	shape_release(c);
	shape_release(d);
	shape_release(e);
	teardown();
}

static void
test_impossible_shapes(void)
{
	static struct field fields[SHAPE_FIELDS_MAX + 1];
	const struct shape *shape = NULL;

	setup(10);
	for (size_t i = 0; i <= SHAPE_FIELDS_MAX; i++)
		fields[i] = field(IE_paddingOctets, 15);
	CU_ASSERT_EQUAL(shape_get(table, fields, 0, 0, &shape), -EINVAL);
	CU_ASSERT_EQUAL(shape_get(table, fields, 1, 2, &shape), -EINVAL);
	CU_ASSERT_EQUAL(
		shape_get(table, fields, SHAPE_FIELDS_MAX + 1, 0, &shape),
		-EINVAL);
	CU_ASSERT_EQUAL(shape_get(table, fields, SHAPE_FIELDS_MAX, 0, &shape),
			0);
	shape_release(shape);
	fields[0].length = fields[1].length = 0;
	CU_ASSERT_EQUAL(shape_get(table, fields, 2, 0, &shape), -EINVAL);
	fields[0].length = 65515;
	CU_ASSERT_EQUAL(shape_get(table, fields, 2, 0, &shape), 0);
	CU_ASSERT_EQUAL(shape->field[1].offset, 65515);
	shape_release(shape);
	fields[1].length = 1;
	CU_ASSERT_EQUAL(shape_get(table, fields, 2, 0, &shape), -EINVAL);
	fields[1].length = IE_VARIABLE;
	CU_ASSERT_EQUAL(shape_get(table, fields, 2, 0, &shape), -EINVAL);
	teardown();
}

static int
record_length(const struct shape *shape, const char *hex)
{
	struct octets o = octets(hex);
	int length = shape_record_length(shape, o.data, (uint32_t)o.length);

	free(o.data);
	return length;
}

static void
test_record_lengths(void)
{
	const struct shape *fixed, *middle, *two;
	struct field fields[4];
	uint8_t *big = calloc(1, 70000);

	setup(10);
	fields[0] = field(IE_octetDeltaCount, 2);
	fields[1] = field(IE_interfaceName, IE_VARIABLE);
	fields[2] = field(IE_packetDeltaCount, 1);
	fields[3] = field(IE_interfaceName, IE_VARIABLE);
	shape_get(table, fields, 1, 0, &fixed);
	shape_get(table, fields, 3, 0, &middle);
	shape_get(table, fields, 4, 0, &two);
	CU_ASSERT_EQUAL(record_length(fixed, "0001"), 2);
	CU_ASSERT_EQUAL(record_length(fixed, "000102"), 2);
	CU_ASSERT_EQUAL(record_length(fixed, "00"), -EBADMSG);

	CU_ASSERT(middle->variable);
	CU_ASSERT_EQUAL(middle->min_length, 4);
	CU_ASSERT_EQUAL(middle->field[1].offset, 2);
	CU_ASSERT_EQUAL(middle->field[2].offset, FIELD_NO_OFFSET);
	CU_ASSERT_EQUAL(record_length(middle, "0001 00 07"), 4);
	CU_ASSERT_EQUAL(record_length(middle, "0001 02 6162 07 ffff"), 6);
	CU_ASSERT_EQUAL(record_length(middle, "0001 ff0002 6162 07"), 8);
	CU_ASSERT_EQUAL(record_length(middle, "0001 ff0000 07"), 6);
	CU_ASSERT_EQUAL(record_length(middle, "0001 02 6162"), -EBADMSG);
	CU_ASSERT_EQUAL(record_length(middle, "0001 02 61"), -EBADMSG);
	CU_ASSERT_EQUAL(record_length(middle, "0001 ff00"), -EBADMSG);
	CU_ASSERT_EQUAL(record_length(middle, "0001 ff"), -EBADMSG);
	CU_ASSERT_EQUAL(record_length(middle, "0001"), -EBADMSG);
	CU_ASSERT_EQUAL(record_length(middle, ""), -EBADMSG);
	CU_ASSERT_EQUAL(record_length(middle, "0001 ffffff 61"), -EBADMSG);

	CU_ASSERT_EQUAL(record_length(two, "0001 01 61 07 00"), 6);
	CU_ASSERT_EQUAL(record_length(two, "0001 01 61 07 03 616263"), 9);
	CU_ASSERT_EQUAL(record_length(two, "0001 01 61 07 03 6162"), -EBADMSG);
	CU_ASSERT_EQUAL(record_length(two, "0001 01 61 07"), -EBADMSG);
	big[2] = 255;
	big[3] = big[4] = 0xff;
	CU_ASSERT_EQUAL(shape_record_length(middle, big, 65541), 65541);
	CU_ASSERT_EQUAL(shape_record_length(middle, big, 65540), -EBADMSG);
	shape_release(fixed);
	shape_release(middle);
	shape_release(two);
	free(big);
	teardown();
}

static void
test_many_shapes(void)
{
	enum { MANY = 2000 };
	static const struct shape *shape[MANY];
	struct field f[2];

	setup(MANY);
	f[0] = field(IE_paddingOctets, 1);
	f[1] = field(IE_paddingOctets, 1);
	for (int i = 0; i < MANY; i++) {
		f[1].length = (uint16_t)(i + 1);
		CU_ASSERT_EQUAL(shape_get(table, f, 2, 0, &shape[i]), 0);
	}
	for (int i = 0; i < MANY; i += 2)
		shape_release(shape[i]);
	for (int i = 0; i < MANY; i++) {
		const struct shape *again;

		f[1].length = (uint16_t)(i + 1);
		CU_ASSERT_EQUAL(shape_get(table, f, 2, 0, &again), 0);
		CU_ASSERT_EQUAL(again->holds, i % 2 ? 2 : 1);
		CU_ASSERT(again->serial > (i % 2 ? 0u : (uint32_t)MANY));
		shape_release(again);
		if (i % 2)
			shape_release(shape[i]);
	}
	teardown();
}

/* Before, in and behind a field of variable length; numbers of any length. */
static void
test_values(void)
{
	static const uint8_t record[] = {0x12, 0x34, 2, 'a', 'b', 0, 0, 7};
	const struct shape *shape;
	struct field fields[3];
	uint64_t value = 99;
	uint32_t length;

	setup(10);
	fields[0] = field(IE_octetDeltaCount, 2);
	fields[1] = field(IE_interfaceName, IE_VARIABLE);
	fields[2] = field(IE_packetDeltaCount, 3);
	CU_ASSERT_EQUAL_FATAL(shape_get(table, fields, 3, 0, &shape), 0);
	CU_ASSERT_PTR_EQUAL(shape_field(shape, 1, record, 8, &length),
			    record + 3);
	CU_ASSERT_EQUAL(length, 2);
	CU_ASSERT_PTR_EQUAL(shape_field(shape, 2, record, 8, &length),
			    record + 5);
	CU_ASSERT_PTR_NULL(shape_field(shape, 2, record, 7, &length));
	CU_ASSERT_PTR_NULL(shape_field(shape, -1, record, 8, &length));
	CU_ASSERT_FALSE(shape_uint(shape, -1, record, 8, &value));
	CU_ASSERT_FALSE(shape_uint(shape, 2, record, 7, &value));
	CU_ASSERT_EQUAL(value, 99);
	CU_ASSERT(shape_uint(shape, 2, record, 8, &value));
	CU_ASSERT_EQUAL(value, 7);
	CU_ASSERT(shape_uint(shape, 0, record, 8, &value));
	CU_ASSERT_EQUAL(value, 0x1234);
	shape_release(shape);
	/* Too long for a number. */
	fields[0] = field(IE_octetDeltaCount, 9);
	CU_ASSERT_EQUAL_FATAL(shape_get(table, fields, 1, 0, &shape), 0);
	CU_ASSERT_FALSE(shape_uint(shape, 0, record, 9, &value));
	shape_release(shape);
	teardown();
}

static const struct unit_test tests[] = {
	{"equal fields are one shape", test_equal_fields_are_one_shape},
	{"marks on fields", test_marks},
	{"impossible shapes are refused", test_impossible_shapes},
	{"lengths of records", test_record_lengths},
	{"many shapes come and go", test_many_shapes},
	{"values", test_values},
};

int
main(void)
{
	return unit_run("shape", tests, UNIT_COUNT(tests));
}
