/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The attribute table and the BER of data packages. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attribute.h"
#include "ber.h"
#include "unit.h"

static void
test_attributes_are_in_place(void)
{
	for (unsigned n = 0; n <= 255; n++) {
		const struct attribute *a = attribute_find(n);

		if (!a)
			continue;
		CU_ASSERT_EQUAL(a->number, n);
		CU_ASSERT_PTR_EQUAL(attribute_find_name(a->name), a);
		CU_ASSERT(!a->readable || a->column);
		CU_ASSERT(!a->readable || a->sub_id);
	}
	CU_ASSERT_PTR_NULL(attribute_find(42));
	CU_ASSERT_PTR_NULL(attribute_find(256 + 9));
	CU_ASSERT_PTR_NULL(attribute_find_name("SourcePeer"));
}

static void
test_attribute_roles(void)
{
	static const uint8_t rule[] = {0,  4,  5,  6,  8,  9,  11, 12, 14, 15,
				       16, 18, 19, 21, 22, 33, 34, 35, 36, 37,
				       38, 39, 40, 41, 50, 51, 52, 53, 54, 55};
	unsigned at = 0;

	/* RFC 2720 RuleAttributeNumber, all of it and no more. */
	for (unsigned n = 0; n <= 255; n++) {
		const struct attribute *a = attribute_find(n);
		bool testable = at < sizeof(rule) && rule[at] == n;

		CU_ASSERT_EQUAL(a && a->testable, testable);
		at += testable;
	}
	/* Each address is followed by its mask. */
	for (unsigned n = 1; n <= ATTRIBUTE_FLOW_LAST; n++)
		if (attribute_find(n)->role == ATTRIBUTE_ROLE_ADDRESS)
			CU_ASSERT_EQUAL(attribute_find(n + 1)->role,
					ATTRIBUTE_ROLE_MASK);
	CU_ASSERT_EQUAL(attribute_find(ATTRIBUTE_FLOW_STATUS)->sub_id, 3);
	CU_ASSERT_EQUAL(attribute_find(ATTRIBUTE_FLOW_TIME_MARK)->sub_id, 2);
	CU_ASSERT_STRING_EQUAL(attribute_find(41)->column, "flowDataKind");
	CU_ASSERT_EQUAL(peer_type_size(PEER_TYPE_IPV6), 16);
	CU_ASSERT_EQUAL(peer_type_size(5), 0);
}

static void
test_round_trip(void)
{
	static const uint64_t number[] = {
	    0,	       127,	   128,	      255,
	    256,       UINT32_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1,
	    UINT64_MAX};
	enum { COUNT = sizeof(number) / sizeof(number[0]) };
	struct ber_value value[COUNT + 2];
	uint8_t buffer[512], octets[200];
	const uint8_t *package;
	struct writer w;
	size_t length;

	memset(octets, 0xa5, sizeof(octets));
	ber_package_begin(&w, buffer, sizeof(buffer));
	for (unsigned i = 0; i < COUNT; i++)
		ber_put_number(&w, BER_COUNTER64, number[i]);
	ber_put_octets(&w, octets, sizeof(octets));
	ber_put_octets(&w, NULL, 0);
	CU_ASSERT_EQUAL(ber_package_end(&w, buffer, &package, &length), 0);
	CU_ASSERT_EQUAL_FATAL(
	    ber_read_package(package, length, value, COUNT + 2), 0);
	for (unsigned i = 0; i < COUNT; i++) {
		CU_ASSERT_EQUAL(value[i].kind, BER_KIND_NUMBER);
		CU_ASSERT_EQUAL(value[i].tag, BER_COUNTER64);
		CU_ASSERT_EQUAL(value[i].number, number[i]);
	}
	CU_ASSERT_EQUAL(value[COUNT].length, sizeof(octets));
	CU_ASSERT_EQUAL(memcmp(value[COUNT].octets, octets, sizeof(octets)), 0);
	CU_ASSERT_EQUAL(value[COUNT + 1].kind, BER_KIND_ABSENT);
	CU_ASSERT_EQUAL(ber_read_package(package, length, value, COUNT + 1),
			-EBADMSG);
	CU_ASSERT_EQUAL(ber_read_package(package, length, value, COUNT),
			-EBADMSG);
}

/* What Net-SNMP makes of 2^64 - 1, and headers of each length. */
static void
test_encoding(void)
{
	uint8_t buffer[400], octets[300] = {0};
	static const size_t size[] = {10, 125, 126, 250, 251, 252, 300};
	const uint8_t *package;
	struct ber_value value;
	struct writer w;
	size_t length;

	ber_package_begin(&w, buffer, sizeof(buffer));
	ber_put_number(&w, BER_COUNTER64, UINT64_MAX);
	ber_package_end(&w, buffer, &package, &length);
	CU_ASSERT_EQUAL(length, 13);
	CU_ASSERT_EQUAL(memcmp(package,
			       "\x30\x0b\x46\x09\x00\xff\xff\xff\xff\xff\xff"
			       "\xff\xff",
			       13),
			0);
	for (unsigned i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		ber_package_begin(&w, buffer, sizeof(buffer));
		ber_put_octets(&w, octets, size[i]);
		CU_ASSERT_EQUAL(ber_package_end(&w, buffer, &package, &length),
				0);
		CU_ASSERT_EQUAL(ber_read_package(package, length, &value, 1),
				0);
		CU_ASSERT_EQUAL(value.length, size[i]);
	}
	ber_package_begin(&w, buffer, 20);
	ber_put_octets(&w, octets, 15);
	CU_ASSERT_EQUAL(ber_package_end(&w, buffer, &package, &length),
			-ENOSPC);
}

struct sample {
	const char *data;
	size_t length;
	int err;
	uint8_t kind;
	uint64_t number;
};

#define SAMPLE(text, err, kind, number)                   \
	{                                                 \
		text, sizeof(text) - 1, err, kind, number \
	}
#define GOOD(text, number) SAMPLE(text, 0, BER_KIND_NUMBER, number)
#define NONE(text) SAMPLE(text, 0, BER_KIND_ABSENT, 0)
#define BAD(text) SAMPLE(text, -EBADMSG, 0, 0)

static const struct sample samples[] = {
    GOOD("\x30\x03\x02\x01\x05", 5),
    GOOD("\x30\x03\x02\x01\xff", 255), /* sign is not for us */
    GOOD("\x30\x03\x41\x01\x05", 5),
    GOOD("\x30\x03\x42\x01\x05", 5),
    GOOD("\x30\x03\x43\x01\x05", 5),
    GOOD("\x30\x03\x47\x01\x05", 5),
    GOOD("\x30\x0a\x46\x08\xff\xff\xff\xff\xff\xff\xff\xff", UINT64_MAX),
    GOOD("\x30\x81\x03\x02\x01\x05", 5),
    GOOD("\x30\x84\x00\x00\x00\x05\x02\x82\x00\x01\x05", 5),
    GOOD("\x30\x05\x44\x03\x02\x01\x05", 5),
    GOOD("\x30\x06\x44\x04\x9f\x76\x01\x05", 5),
    NONE("\x30\x02\x05\x00"),
    NONE("\x30\x02\x04\x00"),
    NONE("\x30\x04\x44\x02\x05\x00"),
    SAMPLE("\x30\x04\x04\x02\x01\x02", 0, BER_KIND_OCTETS, 0),
    SAMPLE("\x30\x06\x40\x04\x0a\x00\x00\x01", 0, BER_KIND_OCTETS, 0),
    BAD(""),
    BAD("\x30"),
    BAD("\x31\x03\x02\x01\x05"),
    BAD("\x30\x04\x02\x01\x05"),	 /* longer than there is */
    BAD("\x30\x02\x02\x01\x05"),	 /* shorter than there is */
    BAD("\x30\x80\x02\x01\x05\x00\x00"), /* indefinite */
    BAD("\x30\x85\x00\x00\x00\x00\x03\x02\x01\x05"),
    BAD("\x30\x83\xff"),
    BAD("\x30\x02\x02\x00"), /* a number of no octets */
    BAD("\x30\x0b\x46\x09\x01\x00\x00\x00\x00\x00\x00\x00\x00"),
    BAD("\x30\x0c\x46\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"),
    BAD("\x30\x03\x02\x02\x05"),
    BAD("\x30\x03\x05\x01\x00"),
    BAD("\x30\x03\x06\x01\x00"), /* an OID */
    BAD("\x30\x05\x30\x03\x02\x01\x05"),
    BAD("\x30\x07\x44\x05\x44\x03\x02\x01\x05"),
    BAD("\x30\x06\x44\x04\x02\x01\x05\x00"),
    BAD("\x30\x06\x44\x04\x9f\x20\x01\x05"),
    BAD("\x30\x06\x02\x01\x05\x02\x01\x05"), /* two, asked for one */
    BAD("\x30\x00"),
};

static void
test_decodes_what_meters_may_send(void)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *s = &samples[i];
		struct ber_value value;
		/* Exactly as long as the data: for valgrind's sake. */
		uint8_t *copy = malloc(s->length + !s->length);
		int err;

		memcpy(copy, s->data, s->length);
		err = ber_read_package(copy, s->length, &value, 1);
		CU_ASSERT_EQUAL(err, s->err);
		if (!err && !s->err) {
			CU_ASSERT_EQUAL(value.kind, s->kind);
			CU_ASSERT_EQUAL(value.number, s->number);
		}
		free(copy);
	}
}

static void
test_bounds_of_count(void)
{
	static const uint8_t none[] = {0x30, 0};
	struct ber_value value[BER_PACKAGE_MAX];

	CU_ASSERT_EQUAL(ber_read_package(none, 2, value, 0), -EINVAL);
	CU_ASSERT_EQUAL(ber_read_package(none, 2, value, BER_PACKAGE_MAX + 1),
			-EINVAL);
}

/* No single changed or missing octet makes the decoder leave its buffer. */
static void
test_every_damage_is_bounded(void)
{
	uint8_t buffer[64];
	struct ber_value value[3];
	const uint8_t *package;
	struct writer w;
	size_t length;

	ber_package_begin(&w, buffer, sizeof(buffer));
	ber_put_number(&w, BER_INTEGER, 1000);
	ber_put_octets(&w, "abcd", 4);
	ber_put_number(&w, BER_TIME_TICKS, 7);
	ber_package_end(&w, buffer, &package, &length);
	for (size_t cut = 0; cut <= length; cut++) {
		uint8_t *copy = malloc(cut + !cut);

		memcpy(copy, package, cut);
		CU_ASSERT_EQUAL(ber_read_package(copy, cut, value, 3),
				cut < length ? -EBADMSG : 0);
		for (size_t i = 0; i < cut; i++)
			for (unsigned v = 0; v < 256; v++) {
				copy[i] = (uint8_t)v;
				ber_read_package(copy, cut, value, 3);
				copy[i] = package[i];
			}
		free(copy);
	}
}

static const struct unit_test tests[] = {
    {"attributes are in place", test_attributes_are_in_place},
    {"attribute roles", test_attribute_roles},
    {"round trip", test_round_trip},
    {"encoding", test_encoding},
    {"decodes what meters may send", test_decodes_what_meters_may_send},
    {"bounds of count", test_bounds_of_count},
    {"every damage is bounded", test_every_damage_is_bounded},
};

int
main(void)
{
	return unit_run("metermib ber", tests, UNIT_COUNT(tests));
}
