/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Anonymisation: Crypto-PAn against published results, permutations for being
 * some, and each method on a Flow Record.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "anonymize.h"
#include "conflux/ntp.h"
#include "flow.h"
#include "sink.h"
#include "unit.h"

/* The key of the sample trace that comes with Crypto-PAn. */
static const uint8_t key[ANONYMIZE_KEY] = {
	21,  34, 23,  141, 51, 164, 207, 128, 19,  10,	91,
	22,  73, 144, 125, 16, 216, 152, 143, 131, 121, 121,
	101, 39, 98,  87,  76, 45,  42,	 132, 34,  2};

static struct ie_registry *registry;
static struct shape_table *shapes;

/* ---- with a key ---------------------------------------------------------- */

static struct anon_cipher *
cipher(void)
{
	struct anon_cipher *c = NULL;

	CU_ASSERT_EQUAL_FATAL(anon_cipher_new(key, &c), 0);
	return c;
}

static const char *const published[][2] = {
	{"128.11.68.132", "135.242.180.132"},
	{"129.118.74.4", "134.136.186.123"},
	{"130.132.252.244", "133.68.164.234"},
	{"141.223.7.43", "141.167.8.160"},
	{"141.233.145.108", "141.129.237.235"},
	{"152.163.225.39", "151.140.114.167"},
	{"156.29.3.236", "147.225.12.42"},
	{"165.247.96.84", "162.9.99.234"},
	{"192.102.249.13", "252.138.62.131"},
	{"195.205.63.100", "255.186.223.5"},
	{"2001:db8::1", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e"},
};

static void
test_published(void)
{
	struct anon_cipher *c = cipher();

	/* The second time the result has been kept. */
	for (unsigned i = 0; i < 2 * UNIT_COUNT(published); i++) {
		const char *const *pair = published[i % UNIT_COUNT(published)];
		bool v6 = strchr(pair[0], ':');
		char text[INET6_ADDRSTRLEN];
		uint8_t octets[16], *at = octets;

		inet_pton(v6 ? AF_INET6 : AF_INET, pair[0], octets);
		if (v6)
			anon_prefix6(c, &at, 1, 0);
		else
			anon_prefix4(c, &at, 1, 0);
		inet_ntop(v6 ? AF_INET6 : AF_INET, octets, text, sizeof(text));
		CU_ASSERT_STRING_EQUAL(text, pair[1]);
	}
	anon_cipher_free(c);
}

static unsigned
common_bits(const uint8_t *a, const uint8_t *b, unsigned octets)
{
	unsigned n = 0;

	while (n < octets * 8 && !((a[n / 8] ^ b[n / 8]) & 0x80 >> n % 8))
		n++;
	return n;
}

/* Two addresses with a prefix of random length in common. */
static void
fill_pair(uint8_t a[16], uint8_t b[16], unsigned octets)
{
	unsigned bits = (unsigned)rand() % (octets * 8);

	for (unsigned i = 0; i < octets; i++) {
		a[i] = (uint8_t)rand();
		b[i] = (uint8_t)rand();
	}
	for (unsigned n = 0; n < bits; n++) {
		b[n / 8] &= (uint8_t) ~(0x80 >> n % 8);
		b[n / 8] |= a[n / 8] & 0x80 >> n % 8;
	}
}

static void
try_prefixes(struct anon_cipher *c, unsigned octets, unsigned unchanged)
{
	uint8_t from[BATCH_MAX][16], to[BATCH_MAX][16], *at[BATCH_MAX];

	for (unsigned i = 0; i < BATCH_MAX; i += 2)
		fill_pair(from[i], from[i + 1], octets);
	memcpy(to, from, sizeof(to));
	for (unsigned i = 0; i < BATCH_MAX; i++)
		at[i] = to[i];
	if (octets == 4)
		anon_prefix4(c, at, BATCH_MAX, unchanged);
	else
		anon_prefix6(c, at, BATCH_MAX, unchanged);
	for (unsigned i = 0; i < BATCH_MAX; i += 2)
		CU_ASSERT_EQUAL(common_bits(from[i], from[i + 1], octets),
				common_bits(to[i], to[i + 1], octets));
	for (unsigned i = 0; i < BATCH_MAX && unchanged >= 8; i++)
		CU_ASSERT_EQUAL(from[i][octets - 1], to[i][octets - 1]);
}

static void
test_prefixes(void)
{
	struct anon_cipher *c = cipher();

	for (unsigned i = 0; i < unit_turns(200); i++) {
		try_prefixes(c, 4, i % 20);
		try_prefixes(c, 16, i % 100);
	}
	anon_cipher_free(c);
}

/* All of 16 bits, and of others as many: none comes twice. */
static void
try_permutation(struct anon_cipher *c, enum anon_domain domain, unsigned bits)
{
	uint32_t count = bits == 8 ? 256 : 65536;
	uint64_t mask = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
	uint64_t *value = calloc(count, sizeof(*value));
	uint8_t *seen = calloc(1, 1 << 21);
	uint32_t same = 0, twice = 0;

	CU_ASSERT_FATAL(value && seen);
	for (uint32_t i = 0; i < count; i++)
		value[i] = i;
	for (uint32_t i = 0; i < count; i += BATCH_MAX)
		anon_permute(c, domain, bits, value + i, BATCH_MAX);
	for (uint32_t i = 0; i < count; i++) {
		CU_ASSERT_EQUAL(value[i] & ~mask, 0);
		same += value[i] == i;
		if (bits > 24)
			continue;
		twice += seen[value[i] >> 3] >> (value[i] & 7) & 1;
		seen[value[i] >> 3] |= (uint8_t)(1 << (value[i] & 7));
	}
	CU_ASSERT_EQUAL(twice, 0);
	CU_ASSERT(same < 16);
	free(value);
	free(seen);
}

static void
test_permutations(void)
{
	static const unsigned bits[] = {8, 16, 24, 32, 48, 64};
	struct anon_cipher *c = cipher();
	uint64_t oui = 0x001b21, device = 0x001b21;

	for (unsigned i = 0; i < UNIT_COUNT(bits); i++)
		try_permutation(c, ANON_NUMBER, bits[i]);
	try_permutation(c, ANON_OUI, 24);
	anon_permute(c, ANON_OUI, 24, &oui, 1);
	anon_permute(c, ANON_DEVICE, 24, &device, 1);
	CU_ASSERT_NOT_EQUAL(oui, device);
	anon_cipher_free(c);
}

/* The same file gives the same, today and after a restart. */
static void
test_stable(void)
{
	struct anon_cipher *a = cipher(), *b = cipher();
	uint64_t x = 443, y = 443;

	anon_permute(a, ANON_NUMBER, 16, &x, 1);
	anon_permute(b, ANON_NUMBER, 16, &y, 1);
	CU_ASSERT_EQUAL(x, y);
	CU_ASSERT_EQUAL(anon_offset(a, 1000), anon_offset(b, 1000));
	CU_ASSERT(anon_offset(a, 1000) >= -1000 &&
		  anon_offset(a, 1000) <= 1000);
	anon_cipher_free(a);
	anon_cipher_free(b);
}

/* ---- a stage ------------------------------------------------------------- */

struct last {
	struct unit_sink sink;
	const struct shape *shape; /* held */
	uint8_t record[1024];
	uint32_t length;
	uint32_t records;
	uint64_t flow_keys;
};

static void
last_run(struct stage *stage, const struct batch *batch)
{
	struct last *last = (struct last *)stage;
	const uint8_t *record;

	last->records += batch->count;
	record = batch_record(batch, batch->count - 1, &last->length);
	CU_ASSERT_FATAL(last->length <= sizeof(last->record));
	memcpy(last->record, record, last->length);
	shape_release(last->shape);
	last->shape = shape_hold(batch->shape);
	last->flow_keys = batch->flow_keys;
}

static const struct stage_ops last_ops = {.run = last_run};

static struct last last;
static struct scope scope = {.serial = 1};

static void
last_reset(void)
{
	shape_release(last.shape);
	last = (struct last){.sink.stage.ops = &last_ops};
}

/* Records of these values, count of the same, through the rules. */
static struct ledger
run_into_last(const struct anonymize_conf *conf,
	      const struct flow_value *values, unsigned value_count,
	      uint16_t scope_count, uint32_t count)
{
	struct anonymize_error error;
	struct field field[64];
	uint8_t record[BATCH_MAX * 256];
	uint32_t offset[BATCH_MAX + 1] = {0};
	struct batch batch = {
		.scope = &scope,
		.base = record,
		.count = count,
		.offset = offset,
		.flow_keys = 0x1f,
	};
	struct ledger ledger;
	struct stage *stage;
	uint32_t length = 0;
	int rc = anonymize_stage_new("a", conf, registry, shapes, &stage,
				     &error);

	if (rc < 0)
		fprintf(stderr, "%s\n", error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	for (uint32_t i = 0; i < count; i++) {
		length = flow_write(registry, values, value_count, field,
				    record + offset[i]);
		offset[i + 1] = offset[i] + length;
	}
	CU_ASSERT_EQUAL_FATAL(shape_get(shapes, field, (uint16_t)value_count,
					scope_count, &batch.shape),
			      0);
	if (!batch.shape->variable)
		batch.stride = length;
	stage_link(stage, &last.sink.stage);
	stage_run(stage, &batch);
	ledger = stage->ledger;
	CU_ASSERT(ledger_balanced(&ledger));
	CU_ASSERT_EQUAL(ledger.in, count);
	shape_release(batch.shape);
	stage_free(stage);
	return ledger;
}

static struct ledger
run_values(const struct anonymize_conf *conf, const struct flow_value *values,
	   unsigned value_count, uint16_t scope_count, uint32_t count)
{
	last_reset();
	return run_into_last(conf, values, value_count, scope_count, count);
}

static void
run_rule(const struct anonymize_rule *rule)
{
	const struct anonymize_conf conf = {rule, 1, key, false};
	struct ledger ledger =
		run_values(&conf, flow_v4, UNIT_COUNT(flow_v4), 0, 3);

	CU_ASSERT_EQUAL(ledger.exported, 3);
	CU_ASSERT_EQUAL(last.records, 3);
}

static int
find(uint32_t pen, uint16_t id)
{
	return shape_find(last.shape, pen, id, 0);
}

static const uint8_t *
octets(uint16_t id, uint32_t *length)
{
	return shape_field(last.shape, find(0, id), last.record, last.length,
			   length);
}

static uint64_t
number(uint16_t id)
{
	uint32_t length;
	const uint8_t *p = octets(id, &length);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	return wire_get_uint(p, length);
}

/* technique << 8 | flags */
static unsigned
mark(uint16_t id)
{
	const struct field_mark *m = last.shape->mark;

	return m ? m[find(0, id)].technique << 8 | m[find(0, id)].flags : 0;
}

#define ELEMENTS(...)                                  \
	.element = (const char *const[]){__VA_ARGS__}, \
	.element_count =                               \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

/* Everything that no rule has is as it was, lists and the like left out. */
static void
test_untouched(void)
{
	run_rule(&(struct anonymize_rule){.method = ANONYMIZE_NONE,
					  ELEMENTS("vlanId")});
	CU_ASSERT_EQUAL(last.shape->count, UNIT_COUNT(flow_v4) - 1);
	CU_ASSERT(find(0, IE_basicList) < 0);
	CU_ASSERT_EQUAL(number(IE_sourceIPv4Address), 0xc0000201);
	CU_ASSERT_EQUAL(number(IE_octetDeltaCount), 1500);
	CU_ASSERT_EQUAL(number(IE_vlanId), 7);
	CU_ASSERT_EQUAL(number(IE_dataRecordsReliability), 1);
	CU_ASSERT_EQUAL(mark(IE_vlanId), 0x103);
	CU_ASSERT_EQUAL(mark(IE_sourceIPv4Address), 0);
}

static void
test_addresses(void)
{
	run_rule(&(struct anonymize_rule){.method = ANONYMIZE_TRUNCATION,
					  .bits = 12,
					  .groups = ANONYMIZE_IPV4});
	CU_ASSERT_EQUAL(number(IE_sourceIPv4Address), 0xc0000000);
	CU_ASSERT_EQUAL(number(IE_destinationIPv4Address), 0xc6336000);
	CU_ASSERT_EQUAL(number(IE_ipNextHopIPv4Address), 0xcb007000);
	CU_ASSERT_EQUAL(number(IE_sourceMacAddress), 0x001b210a0b0c);
	CU_ASSERT_EQUAL(mark(IE_sourceIPv4Address), 0x203);
	run_rule(&(struct anonymize_rule){
		.method = ANONYMIZE_REVERSE_TRUNCATION,
		.bits = 24,
		ELEMENTS("destinationIPv4Address", "sourceMacAddress")});
	CU_ASSERT_EQUAL(number(IE_sourceIPv4Address), 0xc0000201);
	CU_ASSERT_EQUAL(number(IE_destinationIPv4Address), 0x50);
	CU_ASSERT_EQUAL(number(IE_sourceMacAddress), 0x0a0b0c);
	CU_ASSERT_EQUAL(mark(IE_sourceMacAddress), 0x703);
	run_rule(&(struct anonymize_rule){.method = ANONYMIZE_VALUE,
					  .value = "192.0.2.99",
					  .groups = ANONYMIZE_IPV4});
	CU_ASSERT_EQUAL(number(IE_destinationIPv4Address), 0xc0000263);
	CU_ASSERT_EQUAL(mark(IE_destinationIPv4Address), 0x303);
}

static void
test_with_key(void)
{
	struct anon_cipher *c = cipher();
	uint64_t port = 443, oui = 0x001b21, device = 0x0a0b0c;
	uint8_t address[4] = {192, 0, 2, 1}, *at = address;

	anon_permute(c, ANON_NUMBER, 16, &port, 1);
	anon_permute(c, ANON_OUI, 24, &oui, 1);
	anon_permute(c, ANON_DEVICE, 24, &device, 1);
	anon_prefix4(c, &at, 1, 8);
	anon_cipher_free(c);
	run_rule(&(struct anonymize_rule){.method = ANONYMIZE_PERMUTATION,
					  .groups = ANONYMIZE_PORTS});
	CU_ASSERT_EQUAL(number(IE_destinationTransportPort), port);
	CU_ASSERT_EQUAL(mark(IE_destinationTransportPort), 0x503);
	run_rule(&(struct anonymize_rule){.method = ANONYMIZE_STRUCTURED,
					  .groups = ANONYMIZE_MAC});
	CU_ASSERT_EQUAL(number(IE_sourceMacAddress), oui << 24 | device);
	CU_ASSERT_EQUAL(mark(IE_sourceMacAddress), 0x603);
	run_rule(&(struct anonymize_rule){.method = ANONYMIZE_PREFIX_PRESERVING,
					  .unchanged = 8,
					  .groups = ANONYMIZE_IPV4});
	CU_ASSERT_EQUAL(number(IE_sourceIPv4Address), wire_get32(address));
	CU_ASSERT_EQUAL(mark(IE_sourceIPv4Address), 0x60b);
}

static void
test_numbers(void)
{
	static const char *const bins[] = {"80", "443=1", "0-1023=2",
					   "1024-65535=1024"};
	uint64_t v;

	run_rule(&(struct anonymize_rule){.method = ANONYMIZE_PRECISION,
					  .amount = 1000,
					  .groups = ANONYMIZE_COUNTERS});
	CU_ASSERT_EQUAL(number(IE_octetDeltaCount), 1000);
	CU_ASSERT_EQUAL(number(IE_packetDeltaCount), 0);
	CU_ASSERT_EQUAL(number(IE_bgpSourceAsNumber), 64500);
	CU_ASSERT_EQUAL(mark(IE_octetDeltaCount), 0x203);
	/* The reverse counter, too. */
	CU_ASSERT_EQUAL(
		last.shape->mark[find(IE_PEN_REVERSE, IE_octetDeltaCount)]
			.technique,
		2);
	run_rule(&(struct anonymize_rule){.method = ANONYMIZE_BINNING,
					  .bin = bins,
					  .bin_count = UNIT_COUNT(bins),
					  .groups = ANONYMIZE_PORTS});
	CU_ASSERT_EQUAL(number(IE_sourceTransportPort), 1024);
	CU_ASSERT_EQUAL(number(IE_destinationTransportPort), 1);
	CU_ASSERT_EQUAL(mark(IE_sourceTransportPort), 0x303);
	for (unsigned i = 0; i < unit_turns(1000); i++) {
		run_rule(&(struct anonymize_rule){.method = ANONYMIZE_NOISE,
						  .amount = 10,
						  ELEMENTS("octetDeltaCount")});
		v = number(IE_octetDeltaCount);
		CU_ASSERT(v >= 1350 && v <= 1650);
	}
	CU_ASSERT_EQUAL(mark(IE_octetDeltaCount), 0x800);
}

/* What falls between bins, and bins that overlap. */
static void
test_bins(void)
{
	static const char *const bins[] = {"10-20=5", "15-30=6",
					   "40-18446744073709551615"};
	static const uint64_t expected[][2] = {
		{0, 0},	 {9, 0},  {10, 5},  {20, 5},  {21, 6},	       {30, 6},
		{31, 0}, {39, 0}, {40, 40}, {41, 40}, {UINT64_MAX, 40}};
	const struct anonymize_rule rule = {.method = ANONYMIZE_BINNING,
					    .bin = bins,
					    .bin_count = UNIT_COUNT(bins),
					    ELEMENTS("octetDeltaCount")};
	const struct anonymize_conf conf = {&rule, 1, NULL, false};

	for (unsigned i = 0; i < UNIT_COUNT(expected); i++) {
		const struct flow_value value = {0, IE_octetDeltaCount, 8,
						 expected[i][0], NULL};

		run_values(&conf, &value, 1, 0, 1);
		CU_ASSERT_EQUAL(number(IE_octetDeltaCount), expected[i][1]);
	}
}

static void
test_times(void)
{
	struct anon_cipher *c = cipher();
	int64_t offset = anon_offset(c, INT64_C(100) * 1000000000) / 1000000;
	const struct flow_value values[] = {
		{0, IE_flowEndNanoseconds, 8, ntp_from_ns(1700000002500000000),
		 NULL},
		{0, IE_flowStartSeconds, 4, 1700000003, NULL},
		{0, IE_flowStartSysUpTime, 4, 77, NULL},
		{0, IE_flowEndMilliseconds, 8, 1700000002500, NULL},
	};
	struct anonymize_rule rule = {.method = ANONYMIZE_PRECISION,
				      .amount = 2000,
				      .groups = ANONYMIZE_TIMESTAMPS};
	const struct anonymize_conf conf = {&rule, 1, key, false};
	uint64_t start, end;

	anon_cipher_free(c);
	run_values(&conf, values, UNIT_COUNT(values), 0, 2);
	CU_ASSERT_EQUAL(number(IE_flowStartSeconds), 1700000002);
	CU_ASSERT_EQUAL(number(IE_flowEndMilliseconds), 1700000002000);
	CU_ASSERT_EQUAL(number(IE_flowEndNanoseconds),
			ntp_from_ns(1700000002000000000));
	CU_ASSERT(find(0, IE_flowStartSysUpTime) < 0);
	rule.method = ANONYMIZE_SHIFT;
	rule.amount = 100;
	run_rule(&rule);
	start = number(IE_flowStartMilliseconds);
	end = number(IE_flowEndMilliseconds);
	CU_ASSERT_EQUAL(end - start, 2000);
	/* To the millisecond: the offset is of nanoseconds. */
	CU_ASSERT(llabs((int64_t)(start - 1700000000500) - offset) <= 1);
	CU_ASSERT_EQUAL(mark(IE_flowStartMilliseconds), 0x903);
	rule.method = ANONYMIZE_ENUMERATION;
	rule.amount = 1000;
	run_rule(&rule);
	start = number(IE_flowStartMilliseconds);
	CU_ASSERT_EQUAL(number(IE_flowEndMilliseconds) - start, 1000);
	CU_ASSERT_EQUAL(mark(IE_flowStartMilliseconds), 0x400);
	run_values(&conf, values, UNIT_COUNT(values), 0, 2);
	/* Two that are equal, and one behind them. */
	end = number(IE_flowEndMilliseconds);
	CU_ASSERT_EQUAL(number(IE_flowEndNanoseconds),
			ntp_from_ns(end * 1000000));
	CU_ASSERT_EQUAL(number(IE_flowStartSeconds), end / 1000 + 1);
}

/* More times than are put in order together: all of them are others. */
static void
test_many_times(void)
{
	struct flow_value values[40];
	const struct anonymize_rule rule = {.method = ANONYMIZE_ENUMERATION,
					    .amount = 1000,
					    .groups = ANONYMIZE_TIMESTAMPS};
	const struct anonymize_conf conf = {&rule, 1, NULL, false};

	for (unsigned i = 0; i < UNIT_COUNT(values); i++)
		values[i] = (struct flow_value){0, IE_flowStartSeconds, 4,
						1000 + i, NULL};
	run_values(&conf, values, UNIT_COUNT(values), 0, 2);
	for (unsigned i = 0; i < UNIT_COUNT(values); i++)
		CU_ASSERT(wire_get32(last.record + 4 * i) > 2000);
}

/* The first rule counts; keys move up. */
static void
test_rules(void)
{
	const struct anonymize_rule rules[] = {
		{.method = ANONYMIZE_NONE, ELEMENTS("destinationIPv4Address")},
		{.method = ANONYMIZE_REMOVE,
		 .groups = ANONYMIZE_IPV4 | ANONYMIZE_PORTS},
		{.method = ANONYMIZE_TRUNCATION,
		 .bits = 8,
		 .groups = ANONYMIZE_IPV4},
	};
	const struct anonymize_conf conf = {rules, 3, NULL, false};

	run_values(&conf, flow_v4, UNIT_COUNT(flow_v4), 0, 100);
	CU_ASSERT_EQUAL(last.records, 100);
	CU_ASSERT(find(0, IE_sourceIPv4Address) < 0);
	CU_ASSERT(find(0, IE_sourceTransportPort) < 0);
	CU_ASSERT(find(0, IE_ipNextHopIPv4Address) < 0);
	CU_ASSERT_EQUAL(number(IE_destinationIPv4Address), 0xc6336450);
	CU_ASSERT_EQUAL(mark(IE_destinationIPv4Address), 0x103);
	/* Of the five keys, the destination and the protocol are left. */
	CU_ASSERT_EQUAL(last.flow_keys, 3);
	CU_ASSERT_EQUAL(number(IE_vlanId), 7);
}

/* Records of constant length; and those of which nothing is left. */
static void
test_removed(void)
{
	const struct flow_value values[] = {
		{0, IE_sourceIPv4Address, 4, 0xc0000201, NULL},
		{0, IE_octetDeltaCount, 4, 1500, NULL},
		{0, IE_dataLinkFrameSection, 8, 5, NULL},
		{99999, 7, 4, 5, NULL},
		{0, IE_packetDeltaCount, 4, 9, NULL},
	};
	const struct anonymize_rule rule = {.method = ANONYMIZE_REMOVE,
					    .groups = ANONYMIZE_IPV4};
	const struct anonymize_rule all = {.method = ANONYMIZE_REMOVE,
					   .groups = ANONYMIZE_IPV4 |
						     ANONYMIZE_COUNTERS};
	struct anonymize_conf conf = {&rule, 1, NULL, false};
	struct ledger ledger;

	run_values(&conf, values, UNIT_COUNT(values), 0, 128);
	CU_ASSERT_EQUAL(last.shape->count, 2);
	CU_ASSERT_EQUAL(last.length, 8);
	CU_ASSERT_EQUAL(number(IE_octetDeltaCount), 1500);
	CU_ASSERT_EQUAL(number(IE_packetDeltaCount), 9);
	conf.keep_unknown = true;
	run_values(&conf, values, UNIT_COUNT(values), 0, 128);
	CU_ASSERT_EQUAL(last.shape->count, 3);
	conf = (struct anonymize_conf){&all, 1, NULL, false};
	ledger = run_values(&conf, values, UNIT_COUNT(values), 0, 128);
	CU_ASSERT_EQUAL(ledger.filtered, 128);
	CU_ASSERT_EQUAL(last.records, 0);
}

/* RFC 6235 section 7.2.4: Options Data may give away what was hidden. */
static void
test_options(void)
{
	const struct flow_value values[] = {
		{0, IE_exporterIPv4Address, 4, 0xc0000201, NULL},
		{0, IE_exportedOctetTotalCount, 8, 1500, NULL},
	};
	const struct anonymize_rule rules[] = {
		{.method = ANONYMIZE_TRUNCATION,
		 .bits = 8,
		 .groups = ANONYMIZE_IPV4},
		{.method = ANONYMIZE_REMOVE, .groups = ANONYMIZE_IPV4},
	};
	struct anonymize_conf conf = {rules, 1, NULL, false};
	struct ledger ledger;

	run_values(&conf, values, 2, 1, 1);
	CU_ASSERT_EQUAL(last.shape->scope_count, 1);
	CU_ASSERT_EQUAL(number(IE_exporterIPv4Address), 0xc0000200);
	conf.rule = &rules[1];
	ledger = run_values(&conf, values, 2, 1, 1);
	CU_ASSERT_EQUAL(ledger.filtered, 1);
}

static const struct shape *plain[2]; /* of Templates 256 and 257 */

static const struct shape *
plain_shape(const struct scope *of, uint16_t id)
{
	CU_ASSERT_PTR_EQUAL(of, &scope);
	return id == 256 || id == 257 ? plain[id - 256] : NULL;
}

static void
about_run(struct stage *stage, const struct batch *batch)
{
	const struct scope *of = batch->scope;
	const struct shape *shape = of->template_shape(of, 256);

	CU_ASSERT_EQUAL(of->serial, scope.serial);
	CU_ASSERT_PTR_NOT_NULL_FATAL(shape);
	CU_ASSERT(shape_alike(shape, plain[0]));
	CU_ASSERT_EQUAL(shape_mark(shape, 0).technique, 2);
	/* One that loses a field, and one that is not known. */
	CU_ASSERT_PTR_NULL(of->template_shape(of, 257));
	CU_ASSERT_PTR_NULL(of->template_shape(of, 258));
	last_run(stage, batch);
}

/* Options about Templates: behind the process these have other shapes. */
static void
test_about(void)
{
	static const struct stage_ops about_ops = {.run = about_run};
	const struct flow_value values[] = {
		{0, IE_templateId, 2, 256, NULL},
		{0, IE_flowKeyIndicator, 8, 1, NULL},
	};
	const struct anonymize_rule rule = {.method = ANONYMIZE_TRUNCATION,
					    .bits = 8,
					    .groups = ANONYMIZE_IPV4};
	const struct anonymize_conf conf = {&rule, 1, NULL, false};
	struct field field[2] = {
		{.ie = ie_get(registry, 0, IE_sourceIPv4Address), .length = 4},
		{.ie = ie_get(registry, 0, IE_dataLinkFrameSection),
		 .length = 8},
	};

	shape_get(shapes, field, 1, 0, &plain[0]);
	shape_get(shapes, field, 2, 0, &plain[1]);
	scope.template_shape = plain_shape;
	last_reset();
	last.sink.stage.ops = &about_ops;
	run_into_last(&conf, values, 2, 1, 1);
	CU_ASSERT_EQUAL(last.records, 1);
	scope.template_shape = NULL;
	shape_release(plain[0]);
	shape_release(plain[1]);
}

static void
test_mistakes(void)
{
	static const char *const nothing[] = {"1-"};
	const struct {
		struct anonymize_rule rule;
		const char *text;
	} wrong[] = {
		{{.method = ANONYMIZE_REMOVE}, "the rule has no elements, "},
		{{.method = ANONYMIZE_REMOVE, ELEMENTS("sourceIPv4Adress")},
		 "\"sourceIPv4Adress\" is no known Information Element, "
		 "nearest is sourceIPv4Address"},
		{{.method = ANONYMIZE_PREFIX_PRESERVING,
		  ELEMENTS("sourceTransportPort")},
		 "the method is none for sourceTransportPort, expected an IPv4 "
		 "or IPv6 address"},
		{{.method = ANONYMIZE_NOISE, .groups = ANONYMIZE_PORTS},
		 "the method is none for port, expected an unsigned number "
		 "that is no identifier"},
		{{.method = ANONYMIZE_TRUNCATION,
		  .bits = 32,
		  .groups = ANONYMIZE_IPV6 | ANONYMIZE_IPV4},
		 "32 bits are all that ipv4Address has, expected fewer than "
		 "32"},
		{{.method = ANONYMIZE_BINNING,
		  .bin = nothing,
		  .bin_count = 1,
		  .groups = ANONYMIZE_PORTS},
		 "\"1-\" is no bin, "},
		{{.method = ANONYMIZE_VALUE,
		  .value = "65536",
		  .groups = ANONYMIZE_PORTS},
		 "\"65536\" is no value of port, expected a number that it "
		 "can have"},
		{{.method = ANONYMIZE_PERMUTATION, .groups = ANONYMIZE_PORTS},
		 "a rule needs a key, expected a key file"},
	};

	for (unsigned i = 0; i < UNIT_COUNT(wrong); i++) {
		const struct anonymize_conf conf = {&wrong[i].rule, 1, NULL,
						    false};
		struct anonymize_error error;
		struct stage *stage;

		CU_ASSERT_EQUAL(anonymize_stage_new("a", &conf, registry,
						    shapes, &stage, &error),
				-EINVAL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(error.text);
		if (strncmp(error.text, wrong[i].text, strlen(wrong[i].text)))
			fprintf(stderr, "%s\n", error.text);
		CU_ASSERT_EQUAL(strncmp(error.text, wrong[i].text,
					strlen(wrong[i].text)),
				0);
		free(error.text);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"published results of Crypto-PAn", test_published},
		{"prefixes", test_prefixes},
		{"permutations", test_permutations},
		{"the same key, the same result", test_stable},
		{"what no rule has", test_untouched},
		{"addresses", test_addresses},
		{"with a key", test_with_key},
		{"numbers", test_numbers},
		{"bins", test_bins},
		{"times", test_times},
		{"many times", test_many_times},
		{"rules", test_rules},
		{"left out", test_removed},
		{"options", test_options},
		{"options about Templates", test_about},
		{"mistakes", test_mistakes},
	};
	int rc;

	registry = ie_registry_new(64);
	shapes = shape_table_new(64);
	rc = unit_run("anonymize", tests, UNIT_COUNT(tests));
	last_reset();
	shape_table_free(shapes);
	ie_registry_free(registry);
	return rc;
}
