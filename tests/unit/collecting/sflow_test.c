/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * sFlow agents at a Collecting Process: their samples become packet records,
 * datagrams that are missing, late or come twice are accounted for.
 */
#include "fixture.h"

enum { UPTIME = 5000 };

/* A datagram of one sample of an Ethernet header, after others. */
static void
datagram(struct fixture *f, uint32_t agent, uint32_t sequence,
	 uint32_t uptime_ms, uint32_t protocol)
{
	static const uint8_t header[16] = {2, 0, 0, 0, 0, 1, 2, 0,
					   0, 0, 0, 2, 8, 0, 0x45};
	struct msg *m = &f->m;

	m->length = m->set = 0;
	msg_u32(m, 5);
	msg_u32(m, 1);
	msg_u32(m, agent);
	msg_u32(m, 3);
	msg_u32(m, sequence);
	msg_u32(m, uptime_ms);
	msg_u32(m, 1);
	msg_u32(m, 1);  /* a flow sample */
	msg_u32(m, 72);
	msg_u32(m, sequence);
	msg_u32(m, 2);
	msg_u32(m, 256); /* rate */
	msg_u32(m, 512);
	msg_u32(m, 0);
	msg_u32(m, 2);
	msg_u32(m, 3);
	msg_u32(m, 1);
	msg_u32(m, 1);  /* a raw header */
	msg_u32(m, 32);
	msg_u32(m, protocol);
	msg_u32(m, 1018);
	msg_u32(m, 4);
	msg_u32(m, sizeof(header));
	msg_bytes(m, header, sizeof(header));
}

static uint64_t
missing(const struct fixture *f)
{
	return f->stage->ledger.lost[LOSS_SEQUENCE_GAP];
}

/* Sends one with this sequence number, a second after the other. */
static void
send_one(struct fixture *f, struct net_session *net, uint32_t sequence)
{
	datagram(f, 0xc0000209, sequence, UPTIME + sequence * 1000, 1);
	CU_ASSERT_EQUAL(fixture_send(f, net), 0);
}

static void
test_records(void)
{
	static const uint16_t section[] = {
		IE_dataLinkFrameSection, IE_ipHeaderPacketSection,
		IE_ipHeaderPacketSection, IE_mplsLabelStackSection};
	static const uint32_t protocol[] = {1, 11, 12, 13};
	struct fixture *f = fixture_new(NULL);
	struct net_session net;
	struct seen *seen = f->sink->seen;

	fixture_open(f, &net, TRANSPORT_UDP);
	for (uint32_t i = 0; i < 4; i++) {
		datagram(f, 0xc0000209, i, UPTIME, protocol[i]);
		CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
		CU_ASSERT_EQUAL_FATAL(f->sink->count, i + 1);
		CU_ASSERT(shape_find(seen[i].shape, 0, section[i], 0) >= 0);
		CU_ASSERT_EQUAL(seen[i].domain, 3);
		CU_ASSERT_EQUAL(seen[i].first, 256);
		CU_ASSERT_EQUAL(seen[i].length, 22 + 1 + 16);
		CU_ASSERT_EQUAL(seen[i].export_ms, net.last_ms);
	}
	/* PPP is stepped over. */
	datagram(f, 0xc0000209, 4, UPTIME, 7);
	CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	CU_ASSERT_EQUAL(f->sink->count, 4);
	CU_ASSERT_EQUAL(missing(f), 0);
	fixture_check(f);
	fixture_close(f, &net);
	fixture_free(f);
}

static void
test_sequence(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	send_one(f, &net, 100);
	send_one(f, &net, 101);
	CU_ASSERT_EQUAL(missing(f), 0);
	/* Out of order: nothing is missing in the end. */
	send_one(f, &net, 104);
	CU_ASSERT_EQUAL(missing(f), 2);
	send_one(f, &net, 103);
	send_one(f, &net, 102);
	CU_ASSERT_EQUAL(missing(f), 0);
	send_one(f, &net, 105);
	CU_ASSERT_EQUAL(missing(f), 0);
	CU_ASSERT_EQUAL(f->sink->count, 6);
	/* Twice: once. */
	send_one(f, &net, 105);
	CU_ASSERT_EQUAL(f->sink->count, 6);
	/* Some never come. */
	send_one(f, &net, 110);
	CU_ASSERT_EQUAL(missing(f), 4);
	/* The agent was restarted, long after. */
	send_one(f, &net, 1);
	CU_ASSERT_EQUAL(missing(f), 4);
	send_one(f, &net, 2);
	CU_ASSERT_EQUAL(missing(f), 4);
	/* Another agent behind the same sender counts for itself. */
	datagram(f, 0xc000020a, 5000, UPTIME, 1);
	CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	CU_ASSERT_EQUAL(missing(f), 4);
	/* Its numbers begin anew, and come to their end: one is missing. */
	datagram(f, 0xc000020a, UINT32_MAX, UPTIME + 1, 1);
	CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	datagram(f, 0xc000020a, 1, UPTIME + 2, 1);
	CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	CU_ASSERT_EQUAL(missing(f), 5);
	CU_ASSERT_EQUAL(f->sink->count, 12);
	fixture_check(f);
	fixture_close(f, &net);
	fixture_free(f);
}

/* Cut off anywhere: discarded, or counted as malformed. */
static void
test_cut(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;
	size_t whole;

	fixture_open(f, &net, TRANSPORT_UDP);
	datagram(f, 0xc0000209, 1, UPTIME, 1);
	whole = f->m.length;
	for (size_t length = 0; length < whole; length++) {
		datagram(f, 0xc0000209, (uint32_t)length, UPTIME, 1);
		f->m.length = length;
		CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
		fixture_check(f);
	}
	CU_ASSERT_EQUAL(f->sink->count, 0);
	fixture_close(f, &net);
	fixture_free(f);
}

/* Counters are Options Data about their interface. */
static void
test_counters(void)
{
	static const uint32_t counter[] = {7, 6, 0,   1000000000, 1,
					   3, /* interface, Ethernet; up */
					   1, 2, 100, 101,	  102,
					   3, 4, 5, /* in: octets 2^32 + 2 */
					   0, 9, 200, 201,	  UINT32_MAX,
					   6, 7, 0};
	struct fixture *f = fixture_new(NULL);
	struct sink *s = f->sink;
	struct net_session net;
	struct msg *m = &f->m;

	fixture_open(f, &net, TRANSPORT_UDP);
	for (unsigned expanded = 0; expanded < 2; expanded++) {
		m->length = m->set = 0;
		msg_u32(m, 5);
		msg_u32(m, 1);
		msg_u32(m, 0xc0000209);
		msg_u32(m, 3);
		msg_u32(m, expanded);
		msg_u32(m, UPTIME);
		msg_u32(m, 1);
		msg_u32(m, expanded ? 4 : 2);
		msg_u32(m, 12 + 4 * expanded + 8 + 8 + 8 + 88);
		msg_u32(m, 1); /* sequence number, source */
		msg_u32(m, 7);
		if (expanded)
			msg_u32(m, 0);
		msg_u32(m, 2);
		msg_u32(m, 1005); /* not known to us */
		msg_u32(m, 8);
		msg_u32(m, 4);
		msg_u32(m, 0x656e6f31);
		msg_u32(m, 1);
		msg_u32(m, 88);
		for (unsigned i = 0; i < UNIT_COUNT(counter); i++)
			msg_u32(m, counter[i]);
		CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	}
	CU_ASSERT_EQUAL(s->count, 2);
	CU_ASSERT_EQUAL(s->last_shape->scope_count, 1);
	CU_ASSERT_EQUAL(sink_uint(s, IE_ingressInterface), 7);
	CU_ASSERT_EQUAL(sink_uint(s, IE_ingressInterfaceType), 6);
	CU_ASSERT_EQUAL(sink_uint(s, IE_octetTotalCount), 0x100000002);
	CU_ASSERT_EQUAL(sink_uint(s, IE_ingressUnicastPacketTotalCount), 100);
	CU_ASSERT_EQUAL(sink_uint(s, IE_droppedPacketTotalCount), 3);
	CU_ASSERT_EQUAL(sink_uint(s, IE_postOctetTotalCount), 9);
	CU_ASSERT_EQUAL(sink_uint(s, IE_postMCastPacketTotalCount), 201);
	CU_ASSERT_EQUAL(sink_uint(s, IE_egressBroadcastPacketTotalCount),
			UINT32_MAX);
	CU_ASSERT_EQUAL(sink_uint(s, IE_notSentPacketTotalCount), 6);
	/* Too short for them: it is no loss, as nobody knows what it is. */
	wire_put32(m->data + 28 + 4, 12 + 4 + 8 + 8 + 8 + 84);
	wire_put32(m->data + 28 + 8 + 16 + 16 + 4, 84);
	wire_put32(m->data + 16, 2);
	m->length -= 4;
	CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	CU_ASSERT_EQUAL(s->count, 2);
	CU_ASSERT_EQUAL(ledger_lost(&f->stage->ledger), 0);
	fixture_close(f, &net);
	fixture_free(f);
}

static const struct unit_test tests[] = {
	{"samples become packet records", test_records},
	{"sequence numbers", test_sequence},
	{"counters of interfaces", test_counters},
	{"cut off anywhere", test_cut},
};

int
main(void)
{
	return unit_run("sflow", tests, UNIT_COUNT(tests));
}
