/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet records of others become frames again: every kind of section, of fixed
 * and of variable length; times, sizes, sampling; lengths that lie; and what an
 * observer exported is metered to the same records.
 */
#include "conflux/ntp.h"
#include "conflux/wire.h"
#include "observed.h"

enum { V = IE_VARIABLE, EXPORT_S = 1700000000 };

static struct ie_registry *registry;
static struct shape_table *shapes;
static struct observed sink;
static struct stage *observer, *remote;
static struct scope scope = {.serial = 77};

static const uint16_t wants[] = {
	IE_sourceIPv4Address, IE_sourceIPv6Address, IE_sourceTransportPort,
	IE_octetDeltaCount, IE_packetDeltaCount, IE_samplingInterval,
	IE_ingressInterface, IE_egressInterface, IE_flowDirection,
	IE_observationTimeNanoseconds, IE_dataLinkFrameSize,
	IE_sourceMacAddress, IE_mplsTopLabelStackSection, 0};

static struct stage *
observer_of(struct observed *to, const uint16_t *want, uint16_t length)
{
	static const struct observer_conf conf = {
		.name = "point", .domain = 5, .non_ip = true};
	struct stage *stage;
	const char *error;

	CU_ASSERT_EQUAL_FATAL(
		observer_new(&conf, registry, shapes, &stage, &error), 0);
	observed_init(to);
	CU_ASSERT_EQUAL_FATAL(stage_link(stage, &to->stage), 0);
	for (; *want; want++)
		CU_ASSERT_EQUAL(observer_want(stage,
					      ie_find(registry, 0, *want),
					      length),
				0);
	return stage;
}

static void
begin(void)
{
	registry = ie_registry_new(10);
	shapes = shape_table_new(1000);
	observer = observer_of(&sink, wants, 0);
	CU_ASSERT_EQUAL_FATAL(remote_new("point", observer, &remote), 0);
}

static void
end(void)
{
	const struct ledger *l = &remote->ledger;

	CU_ASSERT(ledger_balanced(l));
	CU_ASSERT_EQUAL(l->exported, observer->ledger.in);
	stage_free(remote);
	stage_free(observer);
	shape_table_free(shapes);
	ie_registry_free(registry);
}

/* ---- records --------------------------------------------------------------- */

struct made {
	struct field field[12];
	uint16_t count;
	struct writer w;
	uint8_t data[200000];
	uint32_t offset[BATCH_MAX + 1];
	uint32_t records;
};

static struct made made;

static void
record_begin(void)
{
	made.count = 0;
	made.records = 0;
	made.offset[0] = 0;
	writer_init(&made.w, made.data, sizeof(made.data));
}

static void
field(uint16_t id, uint16_t length)
{
	made.field[made.count++] = (struct field){
		.ie = ie_find(registry, 0, id), .length = length};
	CU_ASSERT_PTR_NOT_NULL_FATAL(made.field[made.count - 1].ie);
}

static void
number(uint16_t id, uint64_t value, uint16_t length)
{
	field(id, length);
	wire_put_uint(writer_take(&made.w, length), value, length);
}

/* Octets, behind a length or padded to it. */
static void
octets(uint16_t id, const uint8_t *data, uint32_t length, uint16_t wire)
{
	uint8_t *p;

	field(id, wire);
	if (wire == V) {
		writer_varlen(&made.w, data, length);
		return;
	}
	p = writer_take(&made.w, wire);
	memset(p, 0, wire);
	memcpy(p, data, length < wire ? length : wire);
}

static void
record_end(void)
{
	made.offset[++made.records] = (uint32_t)(made.w.p - made.data);
}

/* The records so far, in a memory that ends where they do. */
static void
send_as(uint16_t scope_count)
{
	uint32_t size = made.offset[made.records];
	uint8_t *copy = malloc(size);
	struct batch batch = {
		.scope = &scope,
		.base = copy,
		.count = made.records,
		.offset = made.offset,
		.export_ms = EXPORT_S * UINT64_C(1000),
		.received_ms = EXPORT_S * UINT64_C(1000) + 5,
	};

	memcpy(copy, made.data, size);
	CU_ASSERT_EQUAL_FATAL(shape_get(shapes, made.field, made.count,
					scope_count, &batch.shape),
			      0);
	stage_run(remote, &batch);
	shape_release(batch.shape);
	free(copy);
}

static void
send_record(void)
{
	record_end();
	send_as(0);
}

/* ---- packets --------------------------------------------------------------- */

enum { IP4 = 14, PACKET4 = 14 + 20 + 8 + 4 };

/* Ethernet, IPv4 of 1000 octets, UDP, 4 octets. */
static const uint8_t packet4[PACKET4] = {
	2,  0,  0, 0, 0, 1, 2,    0,  0,    0, 0, 2, 0x08, 0,
	0x45, 0, 0x03, 0xe8, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2,
	2, 0x04, 0x00, 0, 53, 0x03, 0xd4, 0, 0, 1, 2, 3, 4};

static const struct observed_record *
last(void)
{
	CU_ASSERT_FATAL(sink.records > 0);
	return &sink.record[sink.records - 1];
}

static uint64_t
value(uint16_t id)
{
	return observed_uint(last(), 0, id);
}

static void
is_packet4(void)
{
	CU_ASSERT_EQUAL(value(IE_sourceIPv4Address), 0xc0000201);
	CU_ASSERT_EQUAL(value(IE_sourceTransportPort), 1024);
	CU_ASSERT_EQUAL(value(IE_octetDeltaCount), 1000);
	CU_ASSERT_EQUAL(value(IE_packetDeltaCount), 1);
}

/* ---- tests ----------------------------------------------------------------- */

static void
test_frames(void)
{
	static const uint16_t id[] = {IE_dataLinkFrameSection,
				      IE_layer2packetSectionData};

	begin();
	for (unsigned i = 0; i < 4; i++) {
		record_begin();
		octets(id[i & 1], packet4, PACKET4, i < 2 ? V : 64);
		if (i >= 2)
			number(IE_sectionExportedOctets, PACKET4, 2);
		number(i & 1 ? IE_layer2packetSectionSize
			     : IE_dataLinkFrameSize,
		       1014, 2);
		send_record();
		CU_ASSERT_EQUAL_FATAL(sink.records, i + 1);
		is_packet4();
		CU_ASSERT_EQUAL(value(IE_sourceMacAddress), 0x020000000002);
		CU_ASSERT_EQUAL(value(IE_dataLinkFrameSize), 1014);
		CU_ASSERT_EQUAL(value(IE_observationTimeNanoseconds),
				ntp_from_ns(EXPORT_S * UINT64_C(1000000000)));
	}
	end();
}

/* Headers alone, and with the payload in a field of its own. */
static void
test_ip(void)
{
	uint8_t packet6[60] = {0x60};

	begin();
	record_begin();
	octets(IE_ipHeaderPacketSection, packet4 + IP4, 28, V);
	send_record();
	is_packet4();
	record_begin();
	octets(IE_ipPayloadPacketSection, packet4 + IP4 + 20, 12, V);
	octets(IE_ipHeaderPacketSection, packet4 + IP4, 20, V);
	send_record();
	is_packet4();
	/* The header's section goes on into the payload. */
	record_begin();
	octets(IE_ipHeaderPacketSection, packet4 + IP4, 28, 28);
	octets(IE_ipPayloadPacketSection, packet4 + IP4 + 20, 12, 12);
	send_record();
	is_packet4();
	/* The header is cut off: nothing can be behind it. */
	record_begin();
	octets(IE_ipHeaderPacketSection, packet4 + IP4, 16, V);
	octets(IE_ipPayloadPacketSection, packet4 + IP4 + 20, 12, V);
	send_record();
	CU_ASSERT_EQUAL(value(IE_sourceTransportPort), UINT64_MAX);
	memcpy(packet6 + 20, packet4 + IP4, 20);
	packet6[20] = 0x44;
	record_begin();
	octets(IE_ipHeaderPacketSection, packet6 + 20, 20, V);
	octets(IE_ipPayloadPacketSection, packet4 + IP4, 32, V);
	send_record();
	CU_ASSERT_EQUAL(value(IE_sourceIPv4Address), UINT64_MAX);
	memset(packet6 + 20, 0, 20);
	/* What is behind the header of IPv6 is payload. */
	wire_put16(packet6 + 4, 500);
	packet6[6] = 17;
	packet6[23] = 9;
	wire_put16(packet6 + 40, 2048);
	record_begin();
	octets(IE_ipHeaderPacketSection, packet6, 40, 40);
	octets(IE_ipPayloadPacketSection, packet6 + 40, 20, V);
	send_record();
	CU_ASSERT_EQUAL(value(IE_sourceTransportPort), 2048);
	CU_ASSERT_EQUAL(value(IE_octetDeltaCount), 540);
	end();
}

static void
test_mpls(void)
{
	static const uint8_t stack[] = {0, 0x01, 0x00, 64, 0, 0x02, 0x01, 64};
	uint32_t length;
	const uint8_t *p;

	begin();
	record_begin();
	octets(IE_mplsLabelStackSection, stack, 8, V);
	octets(IE_mplsPayloadPacketSection, packet4 + IP4, 32, V);
	send_record();
	is_packet4();
	p = observed_field(last(), 0, IE_mplsTopLabelStackSection, &length);
	CU_ASSERT_FATAL(p != NULL && length == 3);
	CU_ASSERT(memcmp(p, stack, 3) == 0);
	end();
}

/* Each packet of a message gets its own time, joined ones do not mix. */
static void
test_blocks(void)
{
	begin();
	record_begin();
	for (uint32_t i = 0; i < BATCH_MAX; i++) {
		uint8_t ip[32];

		memcpy(ip, packet4 + IP4, 32);
		wire_put16(ip + 20, (uint16_t)(1000 + i));
		made.count = 0;
		/* Back and forth by a second. */
		number(IE_observationTimeMilliseconds,
		       EXPORT_S * UINT64_C(1000) + (i % 3 == 2) * 1000, 8);
		octets(IE_ipHeaderPacketSection, ip, 20, V);
		octets(IE_ipPayloadPacketSection, ip + 20, 12, V);
		record_end();
	}
	send_as(0);
	CU_ASSERT_EQUAL_FATAL(sink.records, BATCH_MAX);
	for (uint32_t i = 0; i < BATCH_MAX; i++) {
		const struct observed_record *r = &sink.record[i];

		CU_ASSERT_EQUAL(observed_uint(r, 0, IE_sourceTransportPort),
				1000 + i);
		CU_ASSERT_EQUAL(
			observed_uint(r, 0, IE_observationTimeNanoseconds),
			ntp_from_ns((EXPORT_S + (i % 3 == 2)) *
				    UINT64_C(1000000000)));
	}
	end();
}

/* More than can be joined at one time, and one that can't be joined at all. */
static void
test_long(void)
{
	static uint8_t big[65535];

	begin();
	record_begin();
	for (uint32_t i = 0; i < 3; i++) {
		made.count = 0;
		octets(IE_ipHeaderPacketSection, packet4 + IP4, 20, V);
		memcpy(big, packet4 + IP4 + 20, 12);
		octets(IE_ipPayloadPacketSection, big,
		       i < 2 ? 40000 : 65530, V);
		record_end();
	}
	send_as(0);
	CU_ASSERT_EQUAL_FATAL(sink.records, 3);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(observed_uint(&sink.record[i], 0,
					      IE_sourceTransportPort),
				i < 2 ? 1024 : UINT64_MAX);
	end();
}

static void
test_times(void)
{
	const uint64_t ns = EXPORT_S * UINT64_C(1000000000) + 123456789;
	const struct {
		uint16_t id, length;
		uint64_t wire, ns;
	} time[] = {
		{IE_observationTimeSeconds, 4, EXPORT_S, ns - 123456789},
		{IE_observationTimeMilliseconds, 8, ns / 1000000, ns - 456789},
		{IE_observationTimeMicroseconds, 8, ntp_from_ns_micro(ns),
		 ns - 789},
		{IE_observationTimeNanoseconds, 8, ntp_from_ns(ns), ns},
		{IE_flowStartMilliseconds, 8, ns / 1000000, ns - 456789},
		{IE_flowStartNanoseconds, 8, ntp_from_ns(ns), ns},
	};

	begin();
	for (size_t i = 0; i < UNIT_COUNT(time); i++) {
		record_begin();
		number(time[i].id, time[i].wire, time[i].length);
		octets(IE_dataLinkFrameSection, packet4, PACKET4, V);
		send_record();
		CU_ASSERT_EQUAL(value(IE_observationTimeNanoseconds),
				ntp_from_ns(time[i].ns));
	}
	end();
}

/* Interfaces and directions come along; an unknown direction is none. */
static void
test_context(void)
{
	begin();
	for (unsigned direction = 0; direction < 4; direction++) {
		record_begin();
		number(IE_ingressInterface, 3, 4);
		number(IE_egressInterface, 70000, 4);
		number(IE_flowDirection, direction, 1);
		octets(IE_dataLinkFrameSection, packet4, PACKET4, V);
		send_record();
		CU_ASSERT_EQUAL(value(IE_ingressInterface), 3);
		CU_ASSERT_EQUAL(value(IE_egressInterface), 70000);
		CU_ASSERT_EQUAL(value(IE_flowDirection),
				direction < 2 ? direction : UINT64_MAX);
	}
	end();
}

/* What lies about its lengths is metered as far as it goes, or left out. */
static void
test_lies(void)
{
	begin();
	/* More exported than there is. */
	record_begin();
	octets(IE_dataLinkFrameSection, packet4, PACKET4, 64);
	number(IE_sectionExportedOctets, 60000, 2);
	number(IE_dataLinkFrameSize, 10, 2);
	send_record();
	is_packet4();
	CU_ASSERT_EQUAL(value(IE_dataLinkFrameSize), 64);
	/* No section, none of it, not its beginning. */
	record_begin();
	number(IE_dataLinkFrameSize, 10, 2);
	send_record();
	record_begin();
	octets(IE_dataLinkFrameSection, packet4, 0, V);
	send_record();
	record_begin();
	octets(IE_dataLinkFrameSection, packet4, PACKET4, 64);
	number(IE_sectionExportedOctets, 0, 2);
	send_record();
	record_begin();
	number(IE_sectionOffset, 14, 2);
	octets(IE_dataLinkFrameSection, packet4, PACKET4, V);
	send_record();
	CU_ASSERT_EQUAL(sink.records, 1);
	CU_ASSERT_EQUAL(remote->ledger.filtered, 4);
	/* One octet; a version that is none. */
	record_begin();
	octets(IE_ipHeaderPacketSection, packet4 + IP4, 1, V);
	octets(IE_ipPayloadPacketSection, packet4, 4, V);
	send_record();
	record_begin();
	octets(IE_ipHeaderPacketSection, packet4, 40, V);
	octets(IE_ipPayloadPacketSection, packet4, 4, V);
	send_record();
	CU_ASSERT_EQUAL(remote->ledger.exported, 3);
	end();
}

/* ---- sampling -------------------------------------------------------------- */

static uint64_t
double_bits(double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return bits;
}

static uint64_t
weight(void)
{
	octets(IE_dataLinkFrameSection, packet4, PACKET4, V);
	send_record();
	return value(IE_samplingInterval);
}

static void
test_sampling_fields(void)
{
	begin();
	record_begin();
	number(IE_samplingInterval, 100, 4);
	CU_ASSERT_EQUAL(weight(), 100);
	record_begin();
	number(IE_samplingPacketInterval, 2, 4);
	number(IE_samplingPacketSpace, 18, 4);
	CU_ASSERT_EQUAL(weight(), 10);
	record_begin();
	number(IE_samplingSize, 3, 4);
	number(IE_samplingPopulation, 12, 4);
	CU_ASSERT_EQUAL(weight(), 4);
	record_begin();
	number(IE_samplingProbability, double_bits(0.125), 8);
	CU_ASSERT_EQUAL(weight(), 8);
	record_begin();
	number(IE_samplingProbability, double_bits(1e-300), 8);
	CU_ASSERT_EQUAL(weight(), UINT32_MAX);
	/* Nonsense: it stands for itself. */
	record_begin();
	number(IE_samplingProbability, UINT64_MAX, 8);
	CU_ASSERT_EQUAL(weight(), UINT64_MAX);
	record_begin();
	number(IE_samplingPacketInterval, 0, 4);
	CU_ASSERT_EQUAL(weight(), UINT64_MAX);
	end();
}

static void
selector(uint64_t id, uint32_t interval, uint32_t space)
{
	record_begin();
	number(IE_selectorId, id, 8);
	number(IE_selectorAlgorithm, 1, 2);
	number(IE_samplingPacketInterval, interval, 4);
	number(IE_samplingPacketSpace, space, 4);
	record_end();
	send_as(1);
}

/* Reports of RFC 5476: the sequence first, its two selectors, a change. */
static void
test_sampling_reports(void)
{
	struct scope other = {.serial = 78};

	begin();
	record_begin();
	number(IE_selectionSequenceId, 9, 8);
	number(IE_observationPointId, 1, 8);
	number(IE_selectorId, 5, 8);
	number(IE_selectorId, 6, 8);
	record_end();
	send_as(1);
	record_begin();
	number(IE_selectionSequenceId, 9, 8);
	CU_ASSERT_EQUAL(weight(), UINT64_MAX);
	selector(5, 1, 9);
	selector(6, 1, 1);
	record_begin();
	number(IE_selectionSequenceId, 9, 8);
	CU_ASSERT_EQUAL(weight(), 20);
	record_begin();
	number(IE_selectorId, 5, 4);
	CU_ASSERT_EQUAL(weight(), 10);
	/* Its statistics are no new definition. */
	record_begin();
	number(IE_selectionSequenceId, 9, 8);
	number(IE_selectorIdTotalPktsObserved, 1000, 8);
	record_end();
	send_as(1);
	selector(5, 1, 3);
	record_begin();
	number(IE_selectionSequenceId, 9, 8);
	CU_ASSERT_EQUAL(weight(), 8);
	/* Of another exporter it says nothing, nor after the end. */
	stage_scope_end(remote, &other);
	record_begin();
	number(IE_selectionSequenceId, 9, 8);
	CU_ASSERT_EQUAL(weight(), 8);
	stage_scope_end(remote, &scope);
	record_begin();
	number(IE_selectionSequenceId, 9, 8);
	CU_ASSERT_EQUAL(weight(), UINT64_MAX);
	/* As many as there may be. */
	for (uint32_t i = 0; i < 5000; i++)
		selector(i, 1, 1);
	record_begin();
	number(IE_selectorId, 4999, 8);
	CU_ASSERT_EQUAL(weight(), UINT64_MAX);
	record_begin();
	number(IE_selectorId, 100, 8);
	CU_ASSERT_EQUAL(weight(), 2);
	end();
}

/* ---- there and back -------------------------------------------------------- */

/*
 * Frames are metered directly; and made to packet records by one observer, and
 * these metered by another one: the records are the same.
 */
static void
round_trip(uint16_t section, uint16_t length)
{
	const uint16_t packet_wants[] = {
		IE_observationTimeNanoseconds, IE_dataLinkFrameSize,
		IE_ingressInterface, IE_flowDirection,
		IE_sectionExportedOctets, section, 0};
	static struct observed direct, packets;
	struct frame frame[BATCH_MAX];
	static uint8_t data[BATCH_MAX][80];
	struct stage *a, *b;

	begin();
	a = observer_of(&direct, wants, 0);
	b = observer_of(&packets, packet_wants, length);
	CU_ASSERT_EQUAL_FATAL(stage_link(b, remote), 0);
	for (uint32_t i = 0; i < BATCH_MAX; i++) {
		memcpy(data[i], packet4, PACKET4);
		wire_put16(data[i] + IP4 + 20, (uint16_t)i);
		/* Some are no IP, if there is a place for them. */
		if (i % 7 == 0 && section == IE_dataLinkFrameSection)
			data[i][12] = 0x88;
		frame[i] = (struct frame){
			.data = data[i],
			.length = i % 5 ? PACKET4 : PACKET4 + 18,
			.wire_length = 1014 + i,
			.time_ns = EXPORT_S * UINT64_C(1000000000) + i * 777777,
			.link = 1,
			.interface = 4,
			.weight = 1,
			.direction = i & 1,
		};
	}
	observer_frames(a, frame, BATCH_MAX);
	observer_frames(b, frame, BATCH_MAX);
	CU_ASSERT_EQUAL_FATAL(direct.records, BATCH_MAX);
	CU_ASSERT_EQUAL_FATAL(sink.records, BATCH_MAX);
	for (uint32_t i = 0; i < BATCH_MAX; i++) {
		CU_ASSERT_PTR_EQUAL(sink.record[i].shape,
				    direct.record[i].shape);
		CU_ASSERT_EQUAL(sink.record[i].length, direct.record[i].length);
		CU_ASSERT(memcmp(sink.record[i].data, direct.record[i].data,
				 sink.record[i].length) == 0);
	}
	stage_free(a);
	stage_free(b);
	end();
}

static void
test_round_trip(void)
{
	round_trip(IE_dataLinkFrameSection, 0);
	round_trip(IE_dataLinkFrameSection, 128);
}

static const struct unit_test tests[] = {
	{"frames", test_frames},
	{"IP headers and payload", test_ip},
	{"label stacks", test_mpls},
	{"blocks", test_blocks},
	{"long sections are joined", test_long},
	{"times", test_times},
	{"interfaces and directions", test_context},
	{"lengths that lie", test_lies},
	{"sampling in the records", test_sampling_fields},
	{"sampling in reports", test_sampling_reports},
	{"there and back", test_round_trip},
};

int
main(void)
{
	return unit_run("remote", tests, UNIT_COUNT(tests));
}
