/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Exporters of NetFlow at a Collecting Process: records of version 5 and 9
 * become those of IPFIX, what is lost is told, restarts end Templates.
 */
#include "fixture.h"

enum { SECONDS = 1700000000, UPTIME = 100000 };

/* What stands in the header of a message. */
struct head {
	uint32_t uptime_ms, seconds, sequence, domain;
};

static uint64_t
lost(const struct fixture *f, enum loss loss)
{
	return f->stage->ledger.lost[loss];
}

/* ---- version 5 --------------------------------------------------------- */

static struct msg *
begin5(struct fixture *f, unsigned count, uint32_t sequence, unsigned sampling)
{
	struct msg *m = &f->m;

	m->length = m->set = 0;
	msg_u16(m, 5);
	msg_u16(m, count);
	msg_u32(m, UPTIME);
	msg_u32(m, SECONDS);
	msg_u32(m, 250000000);
	msg_u32(m, sequence);
	msg_u8(m, 1); /* engine type */
	msg_u8(m, 2);
	msg_u16(m, sampling);
	return m;
}

static void
add5(struct msg *m, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		msg_u32(m, 0x0a000000 + i);
		msg_u32(m, 0x0a010000);
		msg_u32(m, 0);
		msg_u16(m, 3);
		msg_u16(m, 4);
		msg_u32(m, 10);
		msg_u32(m, 1000);
		msg_u32(m, UPTIME - 5000);
		msg_u32(m, UPTIME - 1000);
		msg_u16(m, 1024 + i);
		msg_u16(m, 443);
		msg_u8(m, 0xee); /* padding */
		msg_u8(m, 0x1b);
		msg_u8(m, 6);
		msg_u8(m, 0x20);
		msg_u16(m, 64500);
		msg_u16(m, 64501);
		msg_u8(m, 24);
		msg_u8(m, 16);
		msg_u16(m, 0xeeee);
	}
}

static void
send5(struct fixture *f, struct net_session *net, unsigned count,
      uint32_t sequence, unsigned sampling)
{
	add5(begin5(f, count, sequence, sampling), count);
	CU_ASSERT_EQUAL(fixture_send(f, net), 0);
}

static void
test_records5(void)
{
	struct fixture *f = fixture_new(NULL);
	const struct sink *s = f->sink;
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	send5(f, &net, 30, 0, 0);
	CU_ASSERT_EQUAL(s->count, 30);
	CU_ASSERT_EQUAL(s->seen[0].domain, 0x102);
	CU_ASSERT_EQUAL(s->seen[0].export_ms, UINT64_C(1700000000250));
	CU_ASSERT_EQUAL(s->seen[29].first, 0x0a00001d);
	CU_ASSERT_EQUAL(sink_uint(s, IE_flowStartMilliseconds),
			UINT64_C(1699999995250));
	CU_ASSERT_EQUAL(sink_uint(s, IE_flowEndMilliseconds),
			UINT64_C(1699999999250));
	CU_ASSERT_EQUAL(sink_uint(s, IE_octetDeltaCount), 1000);
	CU_ASSERT_EQUAL(sink_uint(s, IE_destinationIPv4PrefixLength), 16);
	CU_ASSERT_EQUAL(sink_uint(s, IE_samplingInterval), UINT64_MAX);
	CU_ASSERT_EQUAL(sink_uint(s, IE_paddingOctets), UINT64_MAX);
	CU_ASSERT_EQUAL(sink_uint(s, IE_flowStartSysUpTime), UINT64_MAX);
	/* An interval alone, and how it is sampled. */
	send5(f, &net, 1, 30, 100);
	CU_ASSERT_EQUAL(sink_uint(s, IE_samplingInterval), 100);
	CU_ASSERT_EQUAL(sink_uint(s, IE_samplingAlgorithm), UINT64_MAX);
	send5(f, &net, 1, 31, 2 << 14 | 1000);
	CU_ASSERT_EQUAL(sink_uint(s, IE_samplingInterval), 1000);
	CU_ASSERT_EQUAL(sink_uint(s, IE_samplingAlgorithm), 2);
	CU_ASSERT_EQUAL(s->scopes_ended, 0);
	fixture_close(f, &net);
	CU_ASSERT_EQUAL(s->scopes_ended, 1);
	fixture_free(f);
}

static void
test_sequence5(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	send5(f, &net, 10, 0, 0);
	send5(f, &net, 10, 40, 0);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 30);
	send5(f, &net, 10, 20, 0); /* late */
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 20);
	send5(f, &net, 10, 40, 0); /* a copy */
	CU_ASSERT_EQUAL(f->sink->count, 30);
	send5(f, &net, 10, 50, 0);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 20);
	fixture_close(f, &net);
	fixture_free(f);
}

static void
test_cut5(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;
	size_t whole;

	fixture_open(f, &net, TRANSPORT_UDP);
	add5(begin5(f, 2, 0, 0), 2);
	whole = f->m.length;
	for (size_t n = 0; n < whole; n++) {
		uint64_t before = f->stage->ledger.in;
		uint32_t count = f->sink->count;

		add5(begin5(f, 2, (uint32_t)n * 2, 0), 2);
		f->m.length = n;
		CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
		fixture_check(f);
		CU_ASSERT_EQUAL(f->stage->ledger.in - before, n < 24 ? 0 : 2);
		CU_ASSERT_EQUAL(f->sink->count - count,
				n < 24 ? 0 : (n - 24) / 48);
	}
	/* It says that it has more than it could have; more than it says. */
	add5(begin5(f, 65535, 2 * (uint32_t)whole, 0), 1);
	f->sink->count = 0;
	f->stage->ledger = (struct ledger){0};
	CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	CU_ASSERT_EQUAL(f->sink->count, 1);
	CU_ASSERT_EQUAL(lost(f, LOSS_MALFORMED), 1);
	add5(begin5(f, 1, 2 * (uint32_t)whole + 2, 0), 3);
	CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	CU_ASSERT_EQUAL(f->sink->count, 2);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 0);
	fixture_close(f, &net);
	fixture_free(f);
}

/* ---- version 9 --------------------------------------------------------- */

static struct msg *
begin9(struct fixture *f, const struct head *head)
{
	struct msg *m = &f->m;

	m->length = m->set = 0;
	msg_u16(m, 9);
	msg_u16(m, 1); /* we do not look at it */
	msg_u32(m, head->uptime_ms);
	msg_u32(m, head->seconds);
	msg_u32(m, head->sequence);
	msg_u32(m, head->domain);
	return m;
}

/* Template 256: source, last, first. */
static void
add_template9(struct msg *m)
{
	msg_set(m, 0);
	msg_u16(m, 256);
	msg_u16(m, 3);
	msg_u16(m, 8);
	msg_u16(m, 4);
	msg_u16(m, 21);
	msg_u16(m, 4);
	msg_u16(m, 22);
	msg_u16(m, 4);
	msg_end_set(m);
}

static void
add_flows9(struct msg *m, uint32_t uptime_ms, unsigned count)
{
	msg_set(m, 256);
	for (unsigned i = 0; i < count; i++) {
		msg_u32(m, 0x0a000000 + i);
		msg_u32(m, uptime_ms - 1000);
		msg_u32(m, uptime_ms - 5000);
	}
	msg_end_set(m);
}

/* Sends flows, which have a second between messages. */
static void
send9(struct fixture *f, struct net_session *net, struct head *head,
      bool template, unsigned flows)
{
	struct msg *m = begin9(f, head);

	if (template)
		add_template9(m);
	if (flows)
		add_flows9(m, head->uptime_ms, flows);
	CU_ASSERT_EQUAL(fixture_send(f, net), 0);
	head->sequence++;
	head->uptime_ms += 1000;
	head->seconds++;
}

static void
test_records9(void)
{
	struct fixture *f = fixture_new(NULL);
	struct head head = {UPTIME, SECONDS, 1, 77};
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	send9(f, &net, &head, true, 0);
	send9(f, &net, &head, false, 300);
	CU_ASSERT_EQUAL(f->sink->count, 300);
	CU_ASSERT_EQUAL(f->sink->batches, 3);
	CU_ASSERT_EQUAL(f->sink->seen[0].domain, 77);
	CU_ASSERT_EQUAL(f->sink->seen[0].length, 4 + 8 + 8);
	CU_ASSERT_EQUAL(f->sink->seen[299].first, 0x0a00012b);
	CU_ASSERT_EQUAL(f->sink->seen[299].export_ms, UINT64_C(1700000001000));
	CU_ASSERT_EQUAL(sink_uint(f->sink, IE_flowStartMilliseconds),
			UINT64_C(1699999996000));
	CU_ASSERT_EQUAL(sink_uint(f->sink, IE_flowEndMilliseconds),
			UINT64_C(1700000000000));
	/* Filled up with zeros behind the last FlowSet. */
	add_flows9(begin9(f, &head), head.uptime_ms, 1);
	memset(f->m.data + f->m.length, 0, 1000);
	f->m.length += 1000;
	CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	CU_ASSERT_EQUAL(f->sink->count, 301);
	CU_ASSERT_EQUAL(ledger_lost(&f->stage->ledger), 0);
	fixture_close(f, &net);
	fixture_free(f);
}

/* Data that came before its Template has the time of its own message. */
static void
test_held9(void)
{
	struct fixture *f = fixture_new(NULL);
	struct head head = {UPTIME, SECONDS, 1, 77};
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	send9(f, &net, &head, false, 2);
	CU_ASSERT_EQUAL(f->sink->count, 0);
	head.uptime_ms += 50000;
	head.seconds += 50;
	send9(f, &net, &head, true, 0);
	CU_ASSERT_EQUAL(f->sink->count, 2);
	CU_ASSERT_EQUAL(sink_uint(f->sink, IE_flowEndMilliseconds),
			UINT64_C(1699999999000));
	fixture_close(f, &net);
	fixture_free(f);
}

static void
test_options9(void)
{
	struct fixture *f = fixture_new(NULL);
	struct head head = {UPTIME, SECONDS, 1, 77};
	struct net_session net;
	struct msg *m;

	fixture_open(f, &net, TRANSPORT_UDP);
	m = begin9(f, &head);
	msg_set(m, 1);
	msg_u16(m, 300);
	msg_u16(m, 4);
	msg_u16(m, 8);
	msg_u16(m, 1); /* System, of no octets */
	msg_u16(m, 0);
	msg_u16(m, 34);
	msg_u16(m, 4);
	msg_u16(m, 35);
	msg_u16(m, 1);
	msg_u16(m, 0); /* padding */
	msg_set(m, 300);
	msg_u32(m, 1000);
	msg_u8(m, 2);
	msg_u8(m, 0); /* padding */
	msg_u16(m, 0);
	msg_end_set(m);
	CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	CU_ASSERT_EQUAL(f->sink->count, 1);
	CU_ASSERT_EQUAL(f->sink->last_shape->scope_count, 1);
	CU_ASSERT_EQUAL(sink_uint(f->sink, IE_observationDomainId), 77);
	CU_ASSERT_EQUAL(sink_uint(f->sink, IE_samplingInterval), 1000);
	CU_ASSERT_EQUAL(sink_uint(f->sink, IE_samplingAlgorithm), 2);
	fixture_close(f, &net);
	fixture_free(f);
}

/* Sequence numbers count messages, whatever is in them. */
static void
test_sequence9(void)
{
	struct fixture *f = fixture_new(NULL);
	struct head head = {UPTIME, SECONDS, 500, 77}, other = head;
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	other.domain = 78;
	other.sequence = 9;
	send9(f, &net, &head, true, 20);
	send9(f, &net, &other, true, 20);
	send9(f, &net, &head, false, 20);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 0);
	head.sequence += 3;
	send9(f, &net, &head, false, 20);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 3);
	head.sequence -= 3;
	send9(f, &net, &head, false, 7); /* late */
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 2);
	send9(f, &net, &other, false, 20);
	CU_ASSERT_EQUAL(f->sink->count, 107);
	fixture_close(f, &net);
	fixture_free(f);
}

/* Some count records all the same: it is found out. */
static void
test_counts_records9(void)
{
	struct fixture *f = fixture_new(NULL);
	struct head head = {UPTIME, SECONDS, 0, 77};
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	for (unsigned i = 0; i < 20; i++) {
		send9(f, &net, &head, i == 0, 10);
		head.sequence += 9;
	}
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 0);
	head.sequence += 10;
	send9(f, &net, &head, false, 10);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 10);
	fixture_close(f, &net);
	fixture_free(f);
}

static uint32_t
templates(struct fixture *f, struct net_session *net, struct head *head)
{
	uint32_t before = f->sink->count;

	send9(f, net, head, false, 1);
	return f->sink->count - before;
}

static void
test_restart9(void)
{
	struct fixture *f = fixture_new(NULL);
	struct head head = {UPTIME, SECONDS, 500, 77};
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	send9(f, &net, &head, true, 1);
	/* Another line card with an uptime of its own. */
	head.uptime_ms -= 90000;
	CU_ASSERT_EQUAL(templates(f, &net, &head), 1);
	head.uptime_ms += 90000;
	CU_ASSERT_EQUAL(templates(f, &net, &head), 1);
	/* sysUpTime wraps. */
	head.uptime_ms = UINT32_MAX - 100;
	CU_ASSERT_EQUAL(templates(f, &net, &head), 1);
	CU_ASSERT(head.uptime_ms < 1000);
	CU_ASSERT_EQUAL(templates(f, &net, &head), 1);
	/* It restarts, 40 s after the last message. */
	head.seconds += 40;
	head.uptime_ms = 90000;
	CU_ASSERT_EQUAL(templates(f, &net, &head), 1);
	head.seconds += 140;
	head.uptime_ms = 20000;
	head.sequence = 0;
	CU_ASSERT_EQUAL(templates(f, &net, &head), 0);
	CU_ASSERT_EQUAL(f->stage->ledger.lost[LOSS_SEQUENCE_GAP], 0);
	send9(f, &net, &head, true, 1);
	CU_ASSERT_EQUAL(templates(f, &net, &head), 1);
	/* Again, and its clock starts anew, too. */
	head.seconds = 10;
	head.uptime_ms = 10000;
	head.sequence = 0;
	CU_ASSERT_EQUAL(templates(f, &net, &head), 0);
	fixture_close(f, &net);
	fixture_free(f);
}

/* One session, the same number, three protocols. */
static void
test_mixed(void)
{
	struct fixture *f = fixture_new(NULL);
	struct head head = {UPTIME, SECONDS, 500, 0x102};
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	for (uint32_t i = 0; i < 10; i++) {
		send9(f, &net, &head, true, 2);
		send5(f, &net, 2, 2 * i, 0);
		msg_begin(&f->m, 2 * i, 0x102);
		msg_flow_template(&f->m, 300);
		msg_flows(&f->m, 300, i, 2);
		msg_end(&f->m);
		CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	}
	CU_ASSERT_EQUAL(f->sink->count, 60);
	CU_ASSERT_EQUAL(ledger_lost(&f->stage->ledger), 0);
	fixture_close(f, &net);
	CU_ASSERT_EQUAL(f->sink->scopes_ended, 3);
	fixture_free(f);
}

static void
test_cut9(void)
{
	struct fixture *f = fixture_new(NULL);
	struct head head = {UPTIME, SECONDS, 0, 77};
	struct net_session net;
	size_t whole;

	fixture_open(f, &net, TRANSPORT_UDP);
	send9(f, &net, &head, true, 3);
	whole = f->m.length;
	for (size_t n = 0; n < whole; n++) {
		head.sequence = (uint32_t)n + 1;
		add_template9(begin9(f, &head));
		add_flows9(&f->m, head.uptime_ms, 3);
		f->m.length = n;
		CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
		fixture_check(f);
	}
	CU_ASSERT(lost(f, LOSS_MALFORMED) > 0);
	/* Over TCP there is no NetFlow. */
	fixture_close(f, &net);
	fixture_open(f, &net, TRANSPORT_TCP);
	begin9(f, &head);
	CU_ASSERT(fixture_send(f, &net) < 0);
	fixture_close(f, &net);
	fixture_free(f);
}

static void
test_domains(void)
{
	const struct collecting_conf conf = {.max_domains = 1};
	struct fixture *f = fixture_new(&conf);
	struct head head = {UPTIME, SECONDS, 0, 77};
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	send9(f, &net, &head, true, 1);
	send5(f, &net, 3, 0, 0);
	CU_ASSERT_EQUAL(lost(f, LOSS_LIMIT), 3);
	head.domain = 78;
	send9(f, &net, &head, true, 5); /* one for a set */
	CU_ASSERT_EQUAL(lost(f, LOSS_LIMIT), 4);
	fixture_close(f, &net);
	fixture_free(f);
}

static const struct unit_test tests[] = {
	{"version 5: records", test_records5},
	{"version 5: sequence numbers", test_sequence5},
	{"version 5: cut off anywhere", test_cut5},
	{"version 9: records", test_records9},
	{"version 9: data before its template", test_held9},
	{"version 9: options", test_options9},
	{"version 9: sequence numbers", test_sequence9},
	{"version 9: sequence numbers of records", test_counts_records9},
	{"version 9: restarts", test_restart9},
	{"version 9: cut off anywhere", test_cut9},
	{"three protocols in a session", test_mixed},
	{"too many domains", test_domains},
};

int
main(void)
{
	return unit_run("netflow", tests, UNIT_COUNT(tests));
}
