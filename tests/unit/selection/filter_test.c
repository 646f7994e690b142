/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters: values of each type as people write them, against fields as they are
 * on the wire; hashes of whole packets, against values that were computed from
 * the words of RFC 5475 by other programs (its reference code, zlib).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/ie.h"
#include "conflux/ntp.h"
#include "conflux/selection.h"
#include "conflux/wire.h"
#include "unit.h"

static struct ie_registry *registry;
static struct shape_table *shapes;
static struct scope scope;

struct sink {
	struct stage stage;
	unsigned count;
	uint64_t digest;
};

static struct sink sink;

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	const struct shape *shape = batch->shape;
	uint32_t length;
	const uint8_t *record = batch_record(batch, 0, &length);

	if (shape->scope_count)
		return;
	sink.count += batch->count;
	if (shape->field[shape->count - 1].ie->id == IE_digestHashValue)
		sink.digest = wire_get64(record + length - 8);
}

static const struct stage_ops sink_ops = {.run = sink_run};

/* NULL: refused. */
static struct stage *
open_filter(const struct selector_conf *selector)
{
	struct selection_conf conf = {
		.name = "test",
		.selectors = selector,
		.selector_count = 1,
	};
	struct stage *stage = NULL;
	char *error = NULL;
	int rc = selection_new(&conf, registry, shapes, &stage, &error);

	CU_ASSERT_EQUAL(rc < 0, error != NULL);
	free(error);
	if (rc < 0)
		return NULL;
	memset(&sink, 0, sizeof(sink));
	sink.stage.ops = &sink_ops;
	CU_ASSERT_EQUAL(stage_link(stage, &sink.stage), 0);
	return stage;
}

/* ---- values ------------------------------------------------------------------ */

enum { REFUSED = -1 };

/* Whether a field of these octets is taken. */
static int
match(const struct ie *ie, const char *value, const void *field,
      uint16_t length)
{
	struct selector_conf c = {.name = "s", .method = SELECTOR_MATCH,
				  .ie = ie, .value = value};
	struct field fields = {.ie = ie, .length = length};
	struct stage *stage = open_filter(&c);
	struct batch batch = {.scope = &scope, .base = field, .count = 1,
			      .stride = length};
	int taken;

	if (!stage)
		return REFUSED;
	CU_ASSERT_EQUAL_FATAL(shape_get(shapes, &fields, 1, 0, &batch.shape),
			      0);
	stage_run(stage, &batch);
	taken = (int)sink.count;
	CU_ASSERT_EQUAL(stage->ledger.in, 1);
	CU_ASSERT_EQUAL(stage->ledger.filtered, (uint64_t)!taken);
	shape_release(batch.shape);
	stage_free(stage);
	return taken;
}

/* A number in so many octets, of an element of the registry. */
static int
match_number(uint16_t id, const char *value, uint64_t field, uint16_t length)
{
	uint8_t data[8];

	wire_put_uint(data, field, length);
	return match(ie_find(registry, 0, id), value, data, length);
}

static void
test_unsigned(void)
{
	uint16_t proto = IE_protocolIdentifier, port = IE_sourceTransportPort;
	uint16_t octets = IE_octetDeltaCount;

	CU_ASSERT_EQUAL(match_number(proto, "17", 17, 1), 1);
	CU_ASSERT_EQUAL(match_number(proto, "017", 17, 1), 1);
	CU_ASSERT_EQUAL(match_number(proto, "0x11", 17, 1), 1);
	CU_ASSERT_EQUAL(match_number(proto, "6", 17, 1), 0);
	CU_ASSERT_EQUAL(match_number(port, "65535", 65535, 2), 1);
	/* In fewer octets than natural (RFC 7011 section 6.2). */
	CU_ASSERT_EQUAL(match_number(octets, "1000", 1000, 8), 1);
	CU_ASSERT_EQUAL(match_number(octets, "1000", 1000, 3), 1);
	CU_ASSERT_EQUAL(match_number(octets, "65541", 5, 2), 0);
	CU_ASSERT_EQUAL(match_number(octets, "0xffffffffffffff05", 5, 1), 0);
	/* What no field can have is no value. */
	CU_ASSERT_EQUAL(match_number(proto, "256", 0, 1), REFUSED);
	CU_ASSERT_EQUAL(match_number(port, "65536", 0, 2), REFUSED);
	CU_ASSERT_EQUAL(match_number(octets, "18446744073709551616", 0, 8),
			REFUSED);
	CU_ASSERT_EQUAL(match_number(proto, "-1", 255, 1), REFUSED);
	CU_ASSERT_EQUAL(match_number(proto, "+1", 1, 1), REFUSED);
	CU_ASSERT_EQUAL(match_number(proto, " 1", 1, 1), REFUSED);
	CU_ASSERT_EQUAL(match_number(proto, "1 ", 1, 1), REFUSED);
	CU_ASSERT_EQUAL(match_number(proto, "0x", 0, 1), REFUSED);
	CU_ASSERT_EQUAL(match_number(proto, "", 0, 1), REFUSED);
	CU_ASSERT_EQUAL(match_number(proto, "tcp", 6, 1), REFUSED);
}

static void
test_signed(void)
{
	uint16_t id = IE_mibObjectValueInteger;
	uint32_t minus = (uint32_t)-77;

	CU_ASSERT_EQUAL(match_number(id, "-77", minus, 4), 1);
	CU_ASSERT_EQUAL(match_number(id, "-77", minus & 0xffff, 2), 1);
	CU_ASSERT_EQUAL(match_number(id, "-77", minus & 0xff, 1), 1);
	CU_ASSERT_EQUAL(match_number(id, "179", minus & 0xff, 1), 0);
	CU_ASSERT_EQUAL(match_number(id, "77", 77, 1), 1);
	CU_ASSERT_EQUAL(match_number(id, "-2147483648", 0x80000000, 4), 1);
	CU_ASSERT_EQUAL(match_number(id, "2147483647", 0x7fffffff, 4), 1);
	CU_ASSERT_EQUAL(match_number(id, "2147483648", 0, 4), REFUSED);
	CU_ASSERT_EQUAL(match_number(id, "-2147483649", 0, 4), REFUSED);
	CU_ASSERT_EQUAL(match_number(id, "--1", 0, 4), REFUSED);
}

static void
test_real(void)
{
	uint16_t id = IE_samplingProbability;
	double d = 0.1;
	float f = 0.1f;
	uint64_t u64;
	uint32_t u32;

	memcpy(&u64, &d, sizeof(u64));
	memcpy(&u32, &f, sizeof(u32));
	CU_ASSERT_EQUAL(match_number(id, "0.1", u64, 8), 1);
	CU_ASSERT_EQUAL(match_number(id, "1e-1", u64, 8), 1);
	CU_ASSERT_EQUAL(match_number(id, "0.1", u32, 4), 1);
	CU_ASSERT_EQUAL(match_number(id, "0.2", u64, 8), 0);
	CU_ASSERT_EQUAL(match_number(id, "a tenth", u64, 8), REFUSED);
}

static void
test_times(void)
{
	static const char text[] = "2023-11-14T22:13:20.5Z";
	uint64_t ns = UINT64_C(1700000000500000000);

	CU_ASSERT_EQUAL(match_number(IE_flowStartSeconds, "1700000000",
				     1700000000, 4), 1);
	CU_ASSERT_EQUAL(match_number(IE_flowStartSeconds,
				     "2023-11-14T22:13:20Z", 1700000000, 4),
			1);
	/* Finer than the field can be. */
	CU_ASSERT_EQUAL(match_number(IE_flowStartSeconds, text, 1700000000, 4),
			REFUSED);
	CU_ASSERT_EQUAL(match_number(IE_flowStartMilliseconds, text,
				     1700000000500, 8), 1);
	CU_ASSERT_EQUAL(match_number(IE_flowStartMilliseconds, text,
				     1700000000501, 8), 0);
	CU_ASSERT_EQUAL(match_number(IE_flowStartMicroseconds, text,
				     ntp_from_ns_micro(ns), 8), 1);
	CU_ASSERT_EQUAL(match_number(IE_flowStartMicroseconds,
				     "1700000000500001",
				     ntp_from_ns_micro(ns + 1000), 8), 1);
	CU_ASSERT_EQUAL(match_number(IE_flowStartNanoseconds, text,
				     ntp_from_ns(ns), 8), 1);
	CU_ASSERT_EQUAL(match_number(IE_flowStartNanoseconds,
				     "2023-11-14T22:13:20.500000001Z",
				     ntp_from_ns(ns + 1), 8), 1);
	CU_ASSERT_EQUAL(match_number(IE_flowStartNanoseconds, text,
				     ntp_from_ns(ns + 1), 8), 0);
	CU_ASSERT_EQUAL(match_number(IE_flowStartMilliseconds,
				     "2023-11-14 22:13:20", 0, 8), REFUSED);
	CU_ASSERT_EQUAL(match_number(IE_flowStartMilliseconds,
				     "2023-11-14T22:13:20", 0, 8), REFUSED);
	CU_ASSERT_EQUAL(match_number(IE_flowStartMilliseconds,
				     "2023-11-14T22:13:20.Z", 0, 8), REFUSED);
	CU_ASSERT_EQUAL(match_number(IE_flowStartMilliseconds, "yesterday", 0,
				     8), REFUSED);
}

static void
test_addresses(void)
{
	static const uint8_t v4[4] = {10, 1, 2, 3};
	static const uint8_t v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
	static const uint8_t mac[6] = {0, 0x1b, 0x21, 0xa, 0xb, 0xc};
	const struct ie *ip4 = ie_find(registry, 0, IE_sourceIPv4Address);
	const struct ie *ip6 = ie_find(registry, 0, IE_sourceIPv6Address);
	const struct ie *eth = ie_find(registry, 0, IE_sourceMacAddress);

	CU_ASSERT_EQUAL(match(ip4, "10.1.2.3", v4, 4), 1);
	CU_ASSERT_EQUAL(match(ip4, "10.1.2.3/32", v4, 4), 1);
	CU_ASSERT_EQUAL(match(ip4, "10.1.2.2/31", v4, 4), 1);
	/* The bits behind the prefix do not matter. */
	CU_ASSERT_EQUAL(match(ip4, "10.1.255.255/16", v4, 4), 1);
	CU_ASSERT_EQUAL(match(ip4, "10.3.0.0/15", v4, 4), 0);
	CU_ASSERT_EQUAL(match(ip4, "0.0.0.0/0", v4, 4), 1);
	CU_ASSERT_EQUAL(match(ip4, "10.1.2.3/33", v4, 4), REFUSED);
	CU_ASSERT_EQUAL(match(ip4, "10.1.2.3/", v4, 4), REFUSED);
	CU_ASSERT_EQUAL(match(ip4, "2001:db8::1", v4, 4), REFUSED);
	CU_ASSERT_EQUAL(match(ip6, "2001:db8::1", v6, 16), 1);
	CU_ASSERT_EQUAL(match(ip6, "2001:db8::/33", v6, 16), 1);
	CU_ASSERT_EQUAL(match(ip6, "2001:db8:8000::/33", v6, 16), 0);
	CU_ASSERT_EQUAL(match(ip6, "::/129", v6, 16), REFUSED);
	CU_ASSERT_EQUAL(match(ip6, "10.1.2.3", v6, 16), REFUSED);
	CU_ASSERT_EQUAL(match(eth, "00:1b:21:0a:0b:0c", mac, 6), 1);
	CU_ASSERT_EQUAL(match(eth, "00-1B-21-0A-0B-0C", mac, 6), 1);
	CU_ASSERT_EQUAL(match(eth, "00:1b:21:0a:0b:0d", mac, 6), 0);
	CU_ASSERT_EQUAL(match(eth, "00:1b:21:0a:0b", mac, 6), REFUSED);
	CU_ASSERT_EQUAL(match(eth, "00:1b:21:0a:0b:0c:0d", mac, 6), REFUSED);
	CU_ASSERT_EQUAL(match(eth, "0:1b:21:a:b:c", mac, 6), REFUSED);
}

static void
test_octets(void)
{
	static const uint8_t stack[3] = {0x00, 0x01, 0xff};
	const struct ie *name = ie_find(registry, 0, IE_interfaceName);
	const struct ie *label =
		ie_find(registry, 0, IE_mplsTopLabelStackSection);
	const struct ie *mpls = ie_find(registry, 0, IE_dataRecordsReliability);

	CU_ASSERT_EQUAL(match(name, "eth0", "eth0", 4), 1);
	CU_ASSERT_EQUAL(match(name, "eth", "eth0", 4), 0);
	CU_ASSERT_EQUAL(match(name, "eth01", "eth0", 4), 0);
	CU_ASSERT_EQUAL(match(label, "0x0001ff", stack, 3), 1);
	CU_ASSERT_EQUAL(match(label, "0x0001FE", stack, 3), 0);
	CU_ASSERT_EQUAL(match(label, "0x0001", stack, 3), 0);
	CU_ASSERT_EQUAL(match(label, "0x0001f", stack, 3), REFUSED);
	CU_ASSERT_EQUAL(match(label, "0x", stack, 3), REFUSED);
	CU_ASSERT_EQUAL(match(label, "0001ff", stack, 3), REFUSED);
	/* 1 is true, 2 is false. */
	CU_ASSERT_EQUAL(match(mpls, "true", "\1", 1), 1);
	CU_ASSERT_EQUAL(match(mpls, "false", "\2", 1), 1);
	CU_ASSERT_EQUAL(match(mpls, "0", "\1", 1), 0);
	CU_ASSERT_EQUAL(match(mpls, "2", "\2", 1), REFUSED);
}

/* ---- hashes of packets ------------------------------------------------------------ */

enum { HEADER = 40, PAYLOAD = 48 };

static const uint8_t ip4[20] = {0x45, 0, 0, 60, 0x1c, 0x46, 0x40, 0, 0x40, 6,
				0xb1, 0xe6, 192, 168, 0, 1, 192, 168, 0, 2};
/* Its 20 octets of payload are all that there is behind the header. */
static const uint8_t ip6[40] = {
	0x60, 0, 0, 0, 0, 0x14, 6, 64,
	0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
	0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
	0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47,
	0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f};

/* The digest of a packet; the octets behind its end are whatever there is. */
static uint64_t
digest(const struct selector_conf *conf, const uint8_t *ip, size_t size,
       unsigned octets)
{
	struct field field[2] = {
		{.ie = ie_find(registry, 0, IE_ipHeaderPacketSection),
		 .length = HEADER},
		{.ie = ie_find(registry, 0, IE_ipPayloadPacketSection),
		 .length = PAYLOAD},
	};
	uint8_t data[HEADER + PAYLOAD] = {0};
	struct batch batch = {.scope = &scope, .base = data, .count = 1,
			      .stride = sizeof(data)};
	struct stage *stage = open_filter(conf);
	uint64_t value;

	CU_ASSERT_PTR_NOT_NULL_FATAL(stage);
	memcpy(data, ip, size);
	for (unsigned i = 0; i < octets; i++)
		data[HEADER + i] = (uint8_t)(0x30 + i);
	CU_ASSERT_EQUAL_FATAL(shape_get(shapes, field, 2, 0, &batch.shape), 0);
	stage_run(stage, &batch);
	CU_ASSERT_EQUAL(sink.count, 1);
	value = sink.digest;
	shape_release(batch.shape);
	stage_free(stage);
	return value;
}

static void
test_packets(void)
{
	static const struct {
		uint64_t offset, size, bob4, crc4, bob6, crc6;
	} known[] = {
		{0, 8, 0x9cc5cc98, 0xe564aa9b, 0x1e09888c, 0x2c9aec1d},
		{4, 16, 0xbcb1ce9a, 0x3203b7f5, 0xc86a273d, 0x4b118928},
		/* IPv6: 4 octets are left of its payload. */
		{16, 8, 0xde594159, 0x1758c628, 0x5601db35, 0xda7417a2},
		/* None at all. */
		{40, 8, 0xdfa3d180, 0x356cd3d2, 0x77ece046, 0x6fa7d304},
	};
	struct selector_range all = {0, UINT32_MAX};
	struct selector_conf c = {.name = "s", .method = SELECTOR_HASH,
				  .initialiser = 0x9a3f9a3f, .digest = true,
				  .ranges = &all, .range_count = 1};

	for (size_t i = 0; i < UNIT_COUNT(known); i++) {
		c.payload_offset = known[i].offset;
		c.payload_size = known[i].size;
		c.hash = SELECTOR_BOB;
		CU_ASSERT_EQUAL(digest(&c, ip4, 20, PAYLOAD), known[i].bob4);
		CU_ASSERT_EQUAL(digest(&c, ip6, 40, PAYLOAD), known[i].bob6);
		c.hash = SELECTOR_CRC;
		CU_ASSERT_EQUAL(digest(&c, ip4, 20, PAYLOAD), known[i].crc4);
		CU_ASSERT_EQUAL(digest(&c, ip6, 40, PAYLOAD), known[i].crc6);
	}
}

static void
test_ipsx(void)
{
	struct selector_range all = {0, UINT32_MAX};
	struct selector_conf c = {.name = "s", .method = SELECTOR_HASH,
				  .hash = SELECTOR_IPSX, .payload_size = 8,
				  .digest = true, .ranges = &all,
				  .range_count = 1};
	uint8_t cut[20];

	CU_ASSERT_EQUAL(digest(&c, ip4, 20, PAYLOAD), 0xd426);
	/* Six octets of payload: its input is fixed, so zeros stand in. */
	memcpy(cut, ip4, sizeof(cut));
	cut[3] = 26;
	CU_ASSERT_EQUAL(digest(&c, cut, 20, PAYLOAD), 0x458a);
	c.initialiser = 1;
	CU_ASSERT_PTR_NULL(open_filter(&c));
	c.initialiser = 0;
	c.payload_size = 9;
	CU_ASSERT_PTR_NULL(open_filter(&c));
}

/* What a router changes on the way does not change the hash. */
static void
test_invariant(void)
{
	struct selector_range all = {0, UINT32_MAX};
	struct selector_conf c = {.name = "s", .method = SELECTOR_HASH,
				  .payload_size = 8, .digest = true,
				  .ranges = &all, .range_count = 1};
	uint64_t before = digest(&c, ip4, 20, 8);
	uint8_t later[40];

	memcpy(later, ip4, 20);
	later[1] = 0xb8;                  /* DiffServ */
	later[8]--;                       /* Time to Live */
	wire_put16(later + 10, 0x1234);   /* checksum */
	CU_ASSERT_EQUAL(digest(&c, later, 20, 8), before);
	wire_put16(later + 4, 0x1c47);    /* another packet */
	CU_ASSERT_NOT_EQUAL(digest(&c, later, 20, 8), before);
	before = digest(&c, ip6, 40, 8);
	memcpy(later, ip6, 40);
	wire_put32(later, 0x6b812345);    /* Traffic Class, Flow Label */
	later[7]--;
	CU_ASSERT_EQUAL(digest(&c, later, 40, 8), before);
}

static void
test_ranges(void)
{
	struct selector_range some[] = {{0x9cc5cc98, 0x9cc5cc98}, {0, 99}};
	struct selector_range overlap[] = {{0, 100}, {100, 200}};
	struct selector_conf c = {.name = "s", .method = SELECTOR_HASH,
				  .initialiser = 0x9a3f9a3f, .digest = true,
				  .payload_size = 8, .ranges = some,
				  .range_count = 2};

	CU_ASSERT_EQUAL(digest(&c, ip4, 20, PAYLOAD), 0x9cc5cc98);
	c.ranges = overlap;
	CU_ASSERT_PTR_NULL(open_filter(&c));
	c.range_count = 1;
	c.initialiser = UINT64_C(1) << 32;
	CU_ASSERT_PTR_NULL(open_filter(&c));
	c.initialiser = 0;
	c.payload_offset = UINT64_MAX; /* and no wrap around */
	CU_ASSERT_PTR_NULL(open_filter(&c));
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"unsigned numbers", test_unsigned},
		{"signed numbers", test_signed},
		{"real numbers", test_real},
		{"times", test_times},
		{"addresses", test_addresses},
		{"octets, text, booleans", test_octets},
		{"hashes of packets", test_packets},
		{"IPSX", test_ipsx},
		{"what stays the same on the way", test_invariant},
		{"selected ranges", test_ranges},
	};
	int failed;

	registry = ie_registry_new(100);
	shapes = shape_table_new(1000);
	scope = (struct scope){.serial = scope_serial(), .packets = true};
	failed = unit_run("filters", tests, UNIT_COUNT(tests));
	shape_table_free(shapes);
	ie_registry_free(registry);
	return failed;
}
