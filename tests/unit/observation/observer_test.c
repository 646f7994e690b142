/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The observer: frames become batches by class, and each one is accounted for;
 * copies, bounds, the report of what could not be metered.
 */
#include "conflux/ntp.h"
#include "conflux/wire.h"
#include "observed.h"

static struct ie_registry *registry;
static struct shape_table *shapes;
static struct observed sink;

static struct stage *
observer(const struct observer_conf *conf, const uint16_t *wants)
{
	struct stage *stage;
	const char *error;

	registry = ie_registry_new(10);
	shapes = shape_table_new(1000);
	CU_ASSERT_EQUAL_FATAL(
		observer_new(conf, registry, shapes, &stage, &error), 0);
	observed_init(&sink);
	CU_ASSERT_EQUAL_FATAL(stage_link(stage, &sink.stage), 0);
	for (; *wants; wants++)
		CU_ASSERT_EQUAL(
			observer_want(stage, ie_find(registry, 0, *wants), 0),
			0);
	return stage;
}

static void
end(struct stage *stage)
{
	CU_ASSERT(ledger_balanced(&stage->ledger));
	stage_free(stage);
	shape_table_free(shapes);
	ie_registry_free(registry);
}

/* ---- frames ----------------------------------------------------------------
 */

struct made {
	uint8_t data[256];
	struct frame frame;
};

static void
begin(struct made *m)
{
	memset(m, 0, sizeof(*m));
	m->frame = (struct frame){
		.data = m->data,
		.length = 12,
		.link = 1,
		.time_ns = 1700000000000000000u,
		.weight = 1,
		.direction = FRAME_UNKNOWN,
	};
}

static uint8_t *
add(struct made *m, uint32_t octets)
{
	uint8_t *at = m->data + m->frame.length;

	m->frame.length += octets;
	m->frame.wire_length = m->frame.length;
	return at;
}

static void
add_type(struct made *m, uint16_t type)
{
	wire_put16(add(m, 2), type);
}

/* 40 octets behind the IP header, that go for any transport. */
static void
add_ip(struct made *m, int version, uint8_t protocol, uint32_t id)
{
	uint8_t *ip = add(m, version == 4 ? 20 : 40), *upper;

	if (version == 4) {
		ip[0] = 0x45;
		wire_put16(ip + 2, 60);
		wire_put16(ip + 4, (uint16_t)id);
		ip[8] = 64;
		ip[9] = protocol;
		wire_put32(ip + 12, 0xc0000201);
		wire_put32(ip + 16, 0xc0000202);
	} else {
		ip[0] = 0x60;
		wire_put16(ip + 4, 40);
		ip[6] = protocol;
		ip[7] = 64;
		wire_put32(ip + 20, id);
		ip[39] = 1;
	}
	upper = add(m, 40);
	wire_put16(upper, 1024);
	wire_put16(upper + 2, 80);
	upper[12] = 0x50;
}

static void
make(struct made *m, uint8_t protocol, uint32_t id)
{
	begin(m);
	add_type(m, 0x0800);
	add_ip(m, 4, protocol, id);
}

/* ---- tests -----------------------------------------------------------------
 */

/* 128 packets of three classes: one batch for each, in the order they came. */
static void
test_classes(void)
{
	static const struct observer_conf conf = {
		.name = "test", .domain = 7, .point_id = 9};
	static const uint16_t wants[] = {8, 7, 6, 54, 2, 1, 0};
	static const uint8_t protocol[] = {6, 17, 89};
	static struct made made[BATCH_MAX];
	struct frame frame[BATCH_MAX];
	struct stage *stage = observer(&conf, wants);
	const struct shape *shape = NULL;
	uint64_t last = 0;

	for (uint32_t i = 0; i < BATCH_MAX; i++) {
		make(&made[i], protocol[i % 3], i);
		made[i].frame.time_ns += i * 1000000u;
		frame[i] = made[i].frame;
	}
	observer_frames(stage, frame, BATCH_MAX);
	CU_ASSERT_EQUAL(sink.batches, 3);
	CU_ASSERT_EQUAL_FATAL(sink.records, BATCH_MAX);
	CU_ASSERT_EQUAL(sink.export_ms, 1700000000127u);
	CU_ASSERT(sink.scope->packets);
	CU_ASSERT_EQUAL(sink.scope->domain, 7);
	CU_ASSERT_EQUAL(sink.scope->transport, TRANSPORT_CAPTURE);
	CU_ASSERT(sink.scope->fact_mask & 1 << FACT_OBSERVATION_POINT_ID);
	CU_ASSERT_EQUAL(sink.scope->fact[FACT_OBSERVATION_POINT_ID], 9);
	for (uint32_t i = 0; i < sink.records; i++) {
		const struct observed_record *r = &sink.record[i];
		uint64_t id = observed_uint(r, 0, 54);

		if (r->shape == shape)
			CU_ASSERT_EQUAL(id, last + 3);
		shape = r->shape;
		last = id;
		CU_ASSERT_EQUAL(observed_uint(r, 0, 2), 1);
		CU_ASSERT_EQUAL(observed_uint(r, 0, 1), 60);
		CU_ASSERT_EQUAL(observed_uint(r, 0, 7),
				id % 3 == 2 ? UINT64_MAX : 1024);
		CU_ASSERT_EQUAL(observed_uint(r, 0, 6),
				id % 3 == 0 ? 0 : UINT64_MAX);
	}
	observer_frames(stage, frame, BATCH_MAX);
	CU_ASSERT_EQUAL(sink.records, 2 * BATCH_MAX);
	end(stage);
}

/* What has no IP header is left out, unless it is asked for. */
static void
test_non_ip(void)
{
	struct observer_conf conf = {.name = "test"};
	static const uint16_t wants[] = {8, 2, 256, 352, 0};
	struct made made;
	struct stage *stage = observer(&conf, wants);

	begin(&made);
	add_type(&made, 0x0806);
	add(&made, 28);
	observer_frames(stage, &made.frame, 1);
	CU_ASSERT_EQUAL(sink.records, 0);
	CU_ASSERT_EQUAL(stage->ledger.filtered, 1);
	end(stage);
	conf.non_ip = true;
	stage = observer(&conf, wants);
	observer_frames(stage, &made.frame, 1);
	CU_ASSERT_EQUAL_FATAL(sink.records, 1);
	CU_ASSERT_EQUAL(observed_uint(&sink.record[0], 0, 256), 0x0806);
	CU_ASSERT_EQUAL(observed_uint(&sink.record[0], 0, 352), 42);
	CU_ASSERT_EQUAL(observed_uint(&sink.record[0], 0, 8), UINT64_MAX);
	end(stage);
}

/* Nanoseconds come through as they are, beyond 2036 as well. */
static void
test_times(void)
{
	static const struct observer_conf conf = {.name = "test"};
	static const uint16_t wants[] = {325, 324, 323, 322, 0};
	static const uint64_t times[] = {
		0,
		1,
		999999999,
		1700000000000000001u,
		1700000000123456789u,
		1700000000999999999u,
		2085978495999999999u, /* the last of the first NTP era */
		2085978496000000000u,
		2085978496000000001u,
		4102444800987654321u,
	};
	struct stage *stage = observer(&conf, wants);
	struct made made;

	for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		const struct observed_record *r = &sink.record[i];

		make(&made, 6, i);
		made.frame.time_ns = times[i];
		observer_frames(stage, &made.frame, 1);
		CU_ASSERT_EQUAL_FATAL(sink.records, i + 1);
		CU_ASSERT_EQUAL(ntp_to_ns(observed_uint(r, 0, 325)), times[i]);
		CU_ASSERT_EQUAL(ntp_to_ns(observed_uint(r, 0, 324)) / 1000,
				times[i] / 1000);
		CU_ASSERT_EQUAL(observed_uint(r, 0, 323), times[i] / 1000000);
		CU_ASSERT_EQUAL(observed_uint(r, 0, 322),
				times[i] / 1000000000);
	}
	end(stage);
}

static unsigned
records_of(struct stage *stage, struct made *made, uint64_t time_ns)
{
	unsigned before = sink.records;

	made->frame.time_ns = time_ns;
	observer_frames(stage, &made->frame, 1);
	return sink.records - before;
}

/* Copies of a mirror port, and what only looks like one. */
static void
test_duplicates(void)
{
	static const struct observer_conf conf = {
		.name = "test", .duplicate_us = 1000, .max_duplicates = 16};
	static const uint16_t wants[] = {8, 54, 0};
	const uint64_t t = 1700000000000000000u;
	struct stage *stage = observer(&conf, wants);
	struct made first, tagged, routed, other;

	make(&first, 6, 1);
	begin(&tagged);
	memset(tagged.data, 2, 12);
	add_type(&tagged, 0x8100);
	wire_put16(add(&tagged, 2), 5);
	add_type(&tagged, 0x0800);
	add_ip(&tagged, 4, 6, 1);
	routed = first;
	routed.frame.data = routed.data;
	routed.data[14 + 8]--;
	routed.data[14 + 10]++;
	other = first;
	other.frame.data = other.data;
	other.data[14 + 59] = 1; /* its last octet */

	CU_ASSERT_EQUAL(records_of(stage, &first, t), 1);
	CU_ASSERT_EQUAL(records_of(stage, &tagged, t + 1000), 0);
	CU_ASSERT_EQUAL(records_of(stage, &routed, t + 2000), 0);
	CU_ASSERT_EQUAL(records_of(stage, &other, t + 3000), 1);
	/* The window is that of the first. */
	CU_ASSERT_EQUAL(records_of(stage, &first, t + 1000000), 0);
	CU_ASSERT_EQUAL(records_of(stage, &first, t + 1000001), 1);
	CU_ASSERT_EQUAL(records_of(stage, &first, t + 1000002), 0);
	CU_ASSERT_EQUAL(stage->ledger.filtered, 4);
	/* Of more than can be remembered the oldest is forgotten. */
	for (uint32_t i = 2; i < 18; i++) {
		make(&other, 6, i);
		CU_ASSERT_EQUAL(records_of(stage, &other, t + 1000003), 1);
	}
	CU_ASSERT_EQUAL(records_of(stage, &first, t + 1000004), 1);
	end(stage);
}

/* A hostile sender makes as many kinds of packets as there can be. */
static void
test_bound(void)
{
	static const struct observer_conf conf = {.name = "test"};
	static const uint16_t wants[] = {8,  27, 58,  245, 70, 71, 72, 73,
					 74, 75, 76,  77,  78, 79, 6,  205,
					 33, 32, 295, 401, 2,  0};
	static const uint8_t protocol[] = {6, 17, 132, 2, 50, 1, 89};
	struct stage *stage = observer(&conf, wants);
	unsigned sent = 0;

	for (unsigned n = 0; n < 3 * 11 * 2 * 7; n++, sent++) {
		unsigned vlans = n % 3, labels = n / 3 % 11;
		int version = n / 33 % 2 ? 6 : 4;
		struct made made;

		begin(&made);
		for (unsigned i = 0; i < vlans; i++) {
			add_type(&made, 0x8100);
			wire_put16(add(&made, 2), 5);
		}
		add_type(&made, labels	       ? 0x8847
				: version == 4 ? 0x0800
					       : 0x86dd);
		for (unsigned i = 0; i < labels; i++)
			wire_put32(add(&made, 4), 16u << 12 | (i == labels - 1)
								      << 8);
		add_ip(&made, version, protocol[n / 66], n);
		observer_frames(stage, &made.frame, 1);
	}
	CU_ASSERT_EQUAL(stage->ledger.in, sent);
	CU_ASSERT_EQUAL(stage->ledger.exported, 256);
	CU_ASSERT_EQUAL(stage->ledger.lost[LOSS_LIMIT], sent - 256);
	end(stage);
}

/* RFC 7011 section 4.2: told once a second at most, and only if it changed. */
static void
test_reliability(void)
{
	static const struct observer_conf conf = {
		.name = "test", .domain = 7, .point_id = 9};
	static const uint16_t wants[] = {8, 2, 0};
	struct stage *stage = observer(&conf, wants);
	const struct observed_record *r = &sink.record[0];
	struct made made;
	uint32_t length;

	stage_tick(stage, 5000);
	CU_ASSERT_EQUAL(sink.records, 0);
	make(&made, 6, 1);
	made.frame.length = 20; /* within the IP header */
	observer_frames(stage, &made.frame, 1);
	made.frame.time_ns += 1000000000;
	observer_frames(stage, &made.frame, 1);
	observer_lost(stage, 3, 2);
	CU_ASSERT_EQUAL(stage->ledger.lost[LOSS_MALFORMED], 2);
	stage_tick(stage, 6000);
	stage_tick(stage, 6100);
	stage_tick(stage, 7100);
	CU_ASSERT_EQUAL_FATAL(sink.records, 1);
	CU_ASSERT_EQUAL(r->options, OPTIONS_METERING_RELIABILITY);
	CU_ASSERT(r->shape->scope_count > 0);
	CU_ASSERT_EQUAL(observed_uint(r, 0, IE_observationDomainId), 7);
	CU_ASSERT_EQUAL(observed_uint(r, 0, IE_observationPointId), 9);
	CU_ASSERT_EQUAL(observed_uint(r, 0, IE_ignoredPacketTotalCount), 7);
	CU_ASSERT_EQUAL(observed_uint(r, 0, IE_ignoredOctetTotalCount), 2 * 74);
	CU_ASSERT_EQUAL(observed_uint(r, 0, IE_observationTimeMilliseconds),
			1700000000000u);
	CU_ASSERT_EQUAL(
		wire_get64(observed_field(r, 0, IE_observationTimeMilliseconds,
					  &length) +
			   8),
		1700000001000u);
	observer_lost(stage, 1, 0);
	stage_flush(stage);
	CU_ASSERT_EQUAL(sink.records, 2);
	CU_ASSERT_EQUAL(
		observed_uint(&sink.record[1], 0, IE_ignoredPacketTotalCount),
		8);
	end(stage);
}

/* Sections that are too long for one buffer go in several batches. */
static void
test_sections(void)
{
	static const struct observer_conf conf = {.name = "test"};
	static const uint16_t wants[] = {8, 313, 0};
	static uint8_t big[9000];
	struct frame frame[BATCH_MAX];
	struct stage *stage = observer(&conf, wants);
	struct made made;
	uint32_t length;

	make(&made, 17, 1);
	wire_put16(made.data + 16, sizeof(big) - 14);
	memcpy(big, made.data, made.frame.length);
	made.frame.data = big;
	made.frame.length = made.frame.wire_length = sizeof(big);
	for (uint32_t i = 0; i < BATCH_MAX; i++)
		frame[i] = made.frame;
	observer_frames(stage, frame, BATCH_MAX);
	CU_ASSERT_EQUAL(stage->ledger.exported, BATCH_MAX);
	CU_ASSERT(sink.batches > 1);
	CU_ASSERT(observed_field(&sink.record[50], 0, 313, &length) != NULL);
	CU_ASSERT_EQUAL(length, sizeof(big) - 14);
	end(stage);
}

static const struct unit_test tests[] = {
	{"a batch for each class", test_classes},
	{"frames without IP", test_non_ip},
	{"times", test_times},
	{"duplicates", test_duplicates},
	{"classes have a bound", test_bound},
	{"the report of what was ignored", test_reliability},
	{"long sections", test_sections},
};

int
main(void)
{
	return unit_run("observer", tests, UNIT_COUNT(tests));
}
