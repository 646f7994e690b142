/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What broke other collectors: it costs itself, is counted, and what comes
 * before and after it is used. Reads behind a message are found by running
 * this under the address sanitizer or valgrind.
 */
#include "fixture.h"

struct bad {
	struct fixture *f;
	struct net_session net;
	uint32_t sequence;
};

static void
bad_begin(struct bad *b, enum transport transport)
{
	b->f = fixture_new(NULL);
	b->sequence = 0;
	fixture_open(b->f, &b->net, transport);
	msg_begin(&b->f->m, 0, 1);
	msg_flow_template(&b->f->m, 256);
	msg_flows(&b->f->m, 256, 0, 1);
	msg_end(&b->f->m);
	CU_ASSERT_EQUAL(fixture_send(b->f, &b->net), 0);
	b->sequence = 1;
	msg_begin(&b->f->m, b->sequence, 1);
}

/* A good message is still understood; then all is closed. */
static void
bad_end(struct bad *b, uint32_t records, uint64_t malformed)
{
	uint32_t before = b->f->sink->count;

	CU_ASSERT_EQUAL(before, 1 + records);
	CU_ASSERT_EQUAL(b->f->stage->ledger.lost[LOSS_MALFORMED], malformed);
	msg_begin(&b->f->m, b->sequence, 1);
	msg_flow_template(&b->f->m, 256);
	msg_flows(&b->f->m, 256, 500, 2);
	msg_end(&b->f->m);
	fixture_send(b->f, &b->net);
	CU_ASSERT_EQUAL(b->f->sink->count, before + 2);
	fixture_close(b->f, &b->net);
	fixture_free(b->f);
}

static struct msg *
bad_message(struct bad *b)
{
	bad_begin(b, TRANSPORT_UDP);
	return &b->f->m;
}

static void
test_header(void)
{
	static const struct {
		uint16_t version;
		int longer; /* length in the header, less the real one */
	} cases[] = {{10, 1}, {10, -60000}, {11, 0}, {8, 0}, {7, 0}, {0, 0}};

	for (unsigned i = 0; i < UNIT_COUNT(cases); i++) {
		struct bad b;
		struct msg *m = bad_message(&b);
		int length;

		msg_flows(m, 256, 1, 5);
		msg_end(m);
		length = (int)m->length + cases[i].longer;
		wire_put16(m->data, cases[i].version);
		wire_put16(m->data + 2, length < 0 ? 3 : (uint16_t)length);
		CU_ASSERT_EQUAL(fixture_send(b.f, &b.net), 0);
		bad_end(&b, 0, 0);
	}
	/* Any length at all. */
	for (unsigned length = 0; length < 40; length++) {
		struct bad b;
		struct msg *m = bad_message(&b);

		msg_flows(m, 256, 1, 5);
		msg_end(m);
		m->length = length;
		CU_ASSERT_EQUAL(fixture_send(b.f, &b.net), 0);
		bad_end(&b, 0, 0);
	}
}

/* Messages joined in a datagram, padding behind one: each is read. */
static void
test_joined(void)
{
	static const unsigned padding[] = {0, 1, 2, 16, 20};

	for (unsigned i = 0; i < UNIT_COUNT(padding); i++) {
		struct bad b;
		struct msg *m = bad_message(&b);
		size_t first;

		msg_flows(m, 256, 1, 3);
		msg_end(m);
		first = m->length;
		memcpy(m->data + first, m->data, first);
		wire_put32(m->data + first + 8, 4); /* its sequence number */
		m->length = first * 2;
		memset(m->data + m->length, 0, padding[i]);
		m->length += padding[i];
		CU_ASSERT_EQUAL(fixture_send(b.f, &b.net), 0);
		b.sequence += 6;
		bad_end(&b, 6, 0);
	}
}

/* A set that reaches behind the length of its message, in the datagram. */
static void
test_length_too_small(void)
{
	struct bad b;
	struct msg *m = bad_message(&b);

	msg_flows(m, 256, 1, 5);
	msg_flows(m, 256, 6, 5);
	msg_end(m);
	wire_put16(m->data + 2, (uint16_t)(m->length - 2));
	CU_ASSERT_EQUAL(fixture_send(b.f, &b.net), 0);
	b.sequence += 10;
	bad_end(&b, 10, 0);
}

/* Over TCP and from a file a message that is none ends the session. */
static void
test_header_stream(void)
{
	static const enum transport transport[] = {TRANSPORT_TCP,
						   TRANSPORT_FILE};

	for (int i = 0; i < 2; i++) {
		struct bad b;

		bad_begin(&b, transport[i]);
		msg_flows(&b.f->m, 256, 1, 5);
		msg_end(&b.f->m);
		wire_put16(b.f->m.data, 9);
		CU_ASSERT(fixture_send(b.f, &b.net) < 0);
		bad_end(&b, 0, 0);
	}
}

static void
test_set_length(void)
{
	static const uint16_t length[] = {0, 1, 3, 45, 9591, 65535};

	for (unsigned i = 0; i < UNIT_COUNT(length); i++) {
		struct bad b;
		struct msg *m = bad_message(&b);
		size_t set;

		msg_flows(m, 256, 1, 3);
		set = m->length;
		msg_flows(m, 256, 1, 5);
		msg_end(m);
		wire_put16(m->data + set + 2, length[i]);
		CU_ASSERT_EQUAL(fixture_send(b.f, &b.net), 0);
		b.sequence += 8;
		/* Three were read; the sequence tells of the other five. */
		bad_end(&b, 3, 1);
	}
}

static void
test_set_length_derived(void)
{
	struct bad b;
	struct msg *m = bad_message(&b);

	msg_flows(m, 256, 1, 3);
	msg_flows(m, 256, 1, 5);
	msg_end(m);
	wire_put16(m->data + 16 + 28 + 2, 2000);
	fixture_send(b.f, &b.net);
	b.sequence += 8;
	msg_begin(m, b.sequence, 1);
	msg_flows(m, 256, 1, 1);
	msg_end(m);
	fixture_send(b.f, &b.net);
	b.sequence++;
	CU_ASSERT_EQUAL(b.f->stage->ledger.lost[LOSS_SEQUENCE_GAP], 0);
	bad_end(&b, 4, 5);
}

static void
test_set_length_tcp(void)
{
	struct bad b;

	bad_begin(&b, TRANSPORT_TCP);
	msg_flows(&b.f->m, 256, 1, 3);
	msg_flows(&b.f->m, 256, 1, 5);
	msg_end(&b.f->m);
	wire_put16(b.f->m.data + 16 + 28 + 2, 2000);
	CU_ASSERT(fixture_send(b.f, &b.net) < 0);
	b.sequence += 8;
	bad_end(&b, 3, 1);
}

static void
test_reserved_sets(void)
{
	static const uint16_t id[] = {0, 1, 4, 100, 255};
	struct bad b;
	struct msg *m = bad_message(&b);

	for (unsigned i = 0; i < UNIT_COUNT(id); i++)
		msg_flows(m, id[i], 1, 3);
	msg_flows(m, 256, 1, 3);
	msg_end(m);
	fixture_send(b.f, &b.net);
	b.sequence += 3;
	bad_end(&b, 3, 0);
}

/* Padding behind records, and sets of nothing but padding. */
static void
test_padding(void)
{
	struct bad b;
	struct msg *m = bad_message(&b);

	msg_set(m, 256);
	msg_end_set(m);
	msg_set(m, 256);
	msg_u32(m, 0);
	msg_end_set(m);
	msg_set(m, 256);
	msg_u64(m, 1);
	msg_u8(m, 0);
	msg_u16(m, 0);
	msg_set(m, 256);
	msg_u64(m, 2);
	msg_u16(m, 0x5555); /* not zero, but no record either */
	msg_set(m, 2);
	msg_u16(m, 257);
	msg_u16(m, 2);
	msg_u16(m, IE_sourceIPv4Address);
	msg_u16(m, 4);
	msg_u16(m, IE_interfaceName);
	msg_u16(m, 65535);
	msg_u32(m, 0); /* Ixia pads its templates by 4 to 7 octets */
	msg_u16(m, 0);
	msg_set(m, 257);
	msg_u32(m, 3);
	msg_string(m, "a", false);
	msg_u16(m, 0);
	msg_end(m);
	fixture_send(b.f, &b.net);
	b.sequence += 3;
	bad_end(&b, 3, 0);
}

/* Strings only: the shortest record is one octet, the padding three. */
static void
test_padding_variable(void)
{
	struct bad b;
	struct msg *m = bad_message(&b);

	msg_set(m, 2);
	msg_u16(m, 257);
	msg_u16(m, 1);
	msg_u16(m, IE_interfaceName);
	msg_u16(m, 65535);
	msg_set(m, 257);
	msg_string(m, "abcd", false);
	msg_string(m, "abcd", true);
	msg_string(m, "", false);
	msg_string(m, "ab", false);
	msg_u8(m, 0);
	msg_u16(m, 0);
	msg_end(m);
	fixture_send(b.f, &b.net);
	b.sequence += 4;
	bad_end(&b, 4, 0);
}

/* The last record is shorter than its template says. */
static void
test_cut_record(void)
{
	struct bad b;
	struct msg *m = bad_message(&b);

	msg_set(m, 2);
	msg_u16(m, 257);
	msg_u16(m, 2);
	msg_u16(m, IE_sourceIPv6Address);
	msg_u16(m, 16);
	msg_u16(m, IE_octetDeltaCount);
	msg_u16(m, 8);
	msg_set(m, 257);
	for (int i = 0; i < 5; i++)
		msg_u64(m, 0x0102030405060708);
	msg_flows(m, 256, 1, 2);
	msg_end(m);
	fixture_send(b.f, &b.net);
	b.sequence += 4;
	bad_end(&b, 3, 1);
}

static void
test_cut_variable(void)
{
	static const uint8_t tail[][6] = {
		{0, 0, 0, 9, 2, 'x'},	 /* one octet short */
		{0, 0, 0, 9, 254, 'x'},	 /* far too long */
		{0, 0, 0, 9, 255, 0xff}, /* the long form is cut */
	};

	for (unsigned i = 0; i < UNIT_COUNT(tail); i++) {
		struct bad b;
		struct msg *m = bad_message(&b);

		msg_named_template(m, 257);
		msg_set(m, 257);
		msg_u32(m, 1);
		msg_string(m, "good", false);
		msg_bytes(m, tail[i], 6);
		msg_flows(m, 256, 1, 2);
		msg_end(m);
		fixture_send(b.f, &b.net);
		b.sequence += 4;
		bad_end(&b, 3, 1);
	}
}

/* Octets behind the last set that are no set header. */
static void
test_trailer(void)
{
	struct bad b;
	struct msg *m = bad_message(&b);

	msg_flows(m, 256, 1, 2);
	msg_u16(m, 0xffff);
	msg_u8(m, 1);
	msg_end(m);
	fixture_send(b.f, &b.net);
	b.sequence += 2;
	bad_end(&b, 2, 1);
}

/* A Template Record made of words; then data under its id. */
static void
template_of(const uint16_t *word, unsigned count, unsigned set_id,
	    uint64_t malformed)
{
	struct bad b;
	struct msg *m = bad_message(&b);

	msg_set(m, set_id);
	for (unsigned i = 0; i < count; i++)
		msg_u16(m, word[i]);
	msg_flows(m, 256, 1, 2);
	msg_end(m);
	fixture_send(b.f, &b.net);
	b.sequence += 2;
	msg_begin(m, b.sequence, 1);
	msg_flows(m, 300, 1, 50);
	msg_flows(m, 256, 1, 1);
	msg_end(m);
	fixture_send(b.f, &b.net);
	b.sequence += 1;
	/* Whatever was read of 300, the others are there. */
	b.f->sink->count -= b.f->sink->count - 4;
	b.f->stage->ledger.exported = 4;
	b.f->stage->ledger.in = 4 + ledger_lost(&b.f->stage->ledger);
	bad_end(&b, 3, malformed);
}

static void
test_templates(void)
{
	static const uint16_t huge[] = {300, 65535, 8, 4, 12, 4};
	static const uint16_t no_length[] = {300, 2, 8, 0, 1, 0};
	static const uint16_t zero_type[] = {300, 1, 0, 0};
	static const uint16_t low_id[] = {255, 1, 8, 4};
	static const uint16_t no_pen[] = {300, 1, 0x8008, 4};
	static const uint16_t half_pen[] = {300, 1, 0x8008, 4, 0};
	static const uint16_t long_address[] = {300, 1, 8, 50};
	static const uint16_t cut[] = {300};
	static const uint16_t too_long[] = {300, 2, 8, 65534, 12, 65534};

	template_of(huge, 6, 2, 0);
	template_of(no_length, 6, 2, 0);
	template_of(zero_type, 4, 2, 0);
	template_of(low_id, 4, 2, 0);
	template_of(no_pen, 4, 2, 0);
	template_of(half_pen, 5, 2, 0);
	template_of(long_address, 4, 2, 0);
	template_of(cut, 1, 2, 0);
	template_of(too_long, 6, 2, 0);
}

static void
test_options_templates(void)
{
	static const uint16_t no_scope[] = {300, 2, 0, 149, 4, 34, 4};
	static const uint16_t scope_over[] = {300, 1, 2, 149, 4};
	static const uint16_t all_scope[] = {300, 2, 2, 149, 4, 34, 4};
	static const uint16_t short_[] = {300, 2};
	static const uint16_t larger[] = {300, 400, 1, 149, 4};
	static const uint16_t withdraw[] = {300, 0};
	static const uint16_t withdraw_all[] = {3, 0};
	static const uint16_t zero_option[] = {300, 2, 1, 149, 4, 34, 0};

	template_of(no_scope, 7, 3, 0);
	template_of(scope_over, 5, 3, 0);
	template_of(all_scope, 7, 3, 0);
	template_of(short_, 2, 3, 0);
	template_of(larger, 5, 3, 0);
	template_of(withdraw, 2, 3, 0);
	template_of(withdraw_all, 2, 3, 0);
	template_of(zero_option, 7, 3, 0);
}

/* More templates than allowed: refused, memory stays bounded. */
static void
test_many_templates(void)
{
	struct collecting_conf conf = {.max_templates = 100};
	struct fixture *f = fixture_new(&conf);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	for (unsigned id = 256; id < 65536; id += 256) {
		msg_begin(&f->m, 0, 1);
		for (unsigned i = 0; i < 256; i++)
			msg_flow_template(&f->m, id + i);
		msg_end(&f->m);
		CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	}
	msg_begin(&f->m, 0, 1);
	msg_flows(&f->m, 256, 0, 3);
	msg_flows(&f->m, 65535, 0, 3);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 3);
	fixture_close(f, &net);
	fixture_free(f);
}

/* What the transport has no room for is in the report. */
static void
test_refused(void)
{
	const struct net_in_ops *ops = collecting_net_ops();
	struct fixture *f = fixture_new(NULL);
	struct addr remote = {.version = 4};
	struct text text = {0};
	struct report report;

	for (int i = 0; i < 3; i++)
		ops->refused(f->receiver[TRANSPORT_UDP], &remote,
			     NET_REFUSED_FULL);
	for (int why = NET_REFUSED_FULL; why < NET_REFUSALS; why++)
		ops->refused(f->receiver[TRANSPORT_TCP], &remote, why);
	report_begin(&report, &text, true);
	f->stage->ops->report(f->stage, &report);
	report_end(&report);
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"cx:refusedMessages\":3"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"cx:refusedSessions\":1"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"cx:failedHandshakes\":1"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"cx:rejectedPeers\":1"));
	text_fini(&text);
	fixture_free(f);
}

/*
 * An exporter with many templates sends them in messages that are alike but for
 * a few octets: none of them is taken for a copy of the one before.
 */
static void
test_templates_in_a_row(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	for (unsigned id = 300; id < 400; id++) {
		msg_begin(&f->m, 0, 1);
		msg_set(&f->m, 2);
		msg_u16(&f->m, id);
		msg_u16(&f->m, 300);
		for (unsigned i = 0; i < 300; i++) {
			msg_u16(&f->m, IE_protocolIdentifier);
			msg_u16(&f->m, 1);
		}
		msg_end(&f->m);
		CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	}
	for (unsigned id = 300; id < 400; id++) {
		msg_begin(&f->m, id - 300, 1);
		msg_set(&f->m, id);
		for (unsigned i = 0; i < 300; i++)
			msg_u8(&f->m, 6);
		msg_end(&f->m);
		CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	}
	CU_ASSERT_EQUAL(f->sink->count, 100);
	CU_ASSERT_EQUAL(ledger_lost(&f->stage->ledger), 0);
	fixture_close(f, &net);
	fixture_free(f);
}

/* The same id for a template and an options template: the last one counts. */
static void
test_id_twice(void)
{
	struct bad b;
	struct msg *m = bad_message(&b);

	msg_set(m, 3);
	msg_u16(m, 256);
	msg_u16(m, 2);
	msg_u16(m, 1);
	msg_u16(m, IE_observationDomainId);
	msg_u16(m, 4);
	msg_u16(m, IE_samplingInterval);
	msg_u16(m, 4);
	msg_set(m, 256);
	msg_u64(m, 1);
	msg_end(m);
	fixture_send(b.f, &b.net);
	b.sequence++;
	bad_end(&b, 1, 0);
}

/* Noise over good messages: nothing may break, the account has to hold. */
static void
test_flips(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;
	uint32_t state = 1;

	fixture_open(f, &net, TRANSPORT_UDP);
	for (unsigned i = 0; i < 20000; i++) {
		msg_begin(&f->m, i, i % 3);
		msg_flow_template(&f->m, 256 + i % 4);
		msg_named_template(&f->m, 300);
		msg_flows(&f->m, 256, i, 3);
		msg_set(&f->m, 300);
		msg_u32(&f->m, i);
		msg_string(&f->m, "eth0", i % 2);
		msg_end(&f->m);
		for (unsigned j = 0; j < i % 5; j++) {
			state = state * 1664525 + 1013904223;
			f->m.data[4 + (state >> 8) % (f->m.length - 4)] ^=
				(uint8_t)(1 << (state >> 29));
		}
		CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
		if (i % 1000 == 0)
			fixture_tick(f, 40000);
	}
	fixture_close(f, &net);
	fixture_free(f);
}

/* A cut-off message at the end of a stream. */
static void
test_closed_inside(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_TCP);
	f->ops->closed(f->receiver[TRANSPORT_TCP], &net, "connection reset",
		       17);
	fixture_free(f);
}

static const struct unit_test tests[] = {
	{"headers", test_header},
	{"messages joined in a datagram", test_joined},
	{"length of a message too small", test_length_too_small},
	{"headers in streams", test_header_stream},
	{"lengths of sets", test_set_length},
	{"what a broken set cost", test_set_length_derived},
	{"length of a set over TCP", test_set_length_tcp},
	{"reserved sets", test_reserved_sets},
	{"padding", test_padding},
	{"padding behind strings", test_padding_variable},
	{"record cut off", test_cut_record},
	{"variable-length record cut off", test_cut_variable},
	{"octets behind the last set", test_trailer},
	{"templates", test_templates},
	{"options templates", test_options_templates},
	{"many templates", test_many_templates},
	{"templates in a row", test_templates_in_a_row},
	{"no room for a session", test_refused},
	{"one id for two kinds", test_id_twice},
	{"bits flipped", test_flips},
	{"closed inside a message", test_closed_inside},
};

int
main(void)
{
	return unit_run("bad input", tests, UNIT_COUNT(tests));
}
