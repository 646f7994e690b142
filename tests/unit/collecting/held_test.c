/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Data that comes before its Template, and what is lost then. */
#include "fixture.h"

static uint64_t
lost(const struct fixture *f, enum loss reason)
{
	return f->stage->ledger.lost[reason];
}

/* Data before its template in one message, and before it by a message. */
static void
test_before(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 0, 1);
	msg_flows(&f->m, 256, 1, 10);
	msg_flow_template(&f->m, 256);
	msg_flows(&f->m, 257, 100, 5);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 10);
	CU_ASSERT_EQUAL(f->stage->ledger.in, 10);

	msg_begin(&f->m, 15, 1);
	wire_put32(f->m.data + 4, EXPORT_TIME + 9);
	msg_flows(&f->m, 256, 20, 1);
	msg_flow_template(&f->m, 257);
	msg_flows(&f->m, 257, 200, 1);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 17);
	CU_ASSERT_EQUAL(f->sink->seen[11].first, 0x0a000000 + 100);
	CU_ASSERT_EQUAL(f->sink->seen[11].export_ms,
			EXPORT_TIME * UINT64_C(1000));
	CU_ASSERT_EQUAL(f->sink->seen[16].export_ms,
			(EXPORT_TIME + 9) * UINT64_C(1000));

	msg_begin(&f->m, 17, 1);
	msg_flows(&f->m, 256, 1, 1);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 0);
	CU_ASSERT_EQUAL(lost(f, LOSS_NO_TEMPLATE), 0);
	fixture_close(f, &net);
	fixture_free(f);
}

/* The sequence number tells how many records a set without template had. */
static void
test_lost(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 0, 1);
	msg_flow_template(&f->m, 256);
	msg_flows(&f->m, 256, 1, 3);
	msg_flows(&f->m, 300, 1, 7);
	msg_flows(&f->m, 301, 1, 14);
	msg_end(&f->m);
	fixture_send(f, &net);
	msg_begin(&f->m, 24, 1);
	msg_flows(&f->m, 256, 1, 1);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 4);
	CU_ASSERT_EQUAL(f->stage->ledger.in, 4);
	fixture_tick(f, 29000);
	CU_ASSERT_EQUAL(lost(f, LOSS_NO_TEMPLATE), 0);
	fixture_tick(f, 2000);
	CU_ASSERT_EQUAL(lost(f, LOSS_NO_TEMPLATE), 21);
	CU_ASSERT_EQUAL(f->stage->ledger.in, 25);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 0);
	/* Too late now. */
	msg_begin(&f->m, 25, 1);
	msg_flow_template(&f->m, 300);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 4);
	fixture_close(f, &net);
	fixture_free(f);
}

/*
 * A held set is read after the next message came, and has fewer records than
 * were derived from the numbers: a message in between was lost.
 */
static void
test_corrects(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 0, 1);
	msg_flow_template(&f->m, 256);
	msg_flows(&f->m, 257, 1, 10);
	msg_end(&f->m);
	fixture_send(f, &net);
	msg_begin(&f->m, 30, 1); /* 20 are missing */
	msg_flows(&f->m, 256, 1, 1);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 0);
	msg_begin(&f->m, 31, 1);
	msg_flow_template(&f->m, 257);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 11);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 20);
	CU_ASSERT_EQUAL(lost(f, LOSS_NO_TEMPLATE), 0);
	fixture_close(f, &net);
	fixture_free(f);
}

static void
send_data(struct fixture *f, struct net_session *net, uint32_t sequence,
	  unsigned id, unsigned count)
{
	msg_begin(&f->m, sequence, 1);
	msg_flows(&f->m, id, sequence, count);
	msg_end(&f->m);
	fixture_send(f, net);
}

static void
send_template(struct fixture *f, struct net_session *net, uint32_t sequence,
	      unsigned id)
{
	msg_begin(&f->m, sequence, 1);
	msg_flow_template(&f->m, id);
	msg_end(&f->m);
	fixture_send(f, net);
}

/* What was taken for records of a held set comes late, known or not. */
static void
test_reordered(void)
{
	for (unsigned id = 256; id <= 257; id++) {
		struct fixture *f = fixture_new(NULL);
		struct net_session net;

		fixture_open(f, &net, TRANSPORT_UDP);
		send_template(f, &net, 0, 256);
		send_data(f, &net, 0, 257, 10);
		send_data(f, &net, 30, 256, 1);
		send_data(f, &net, 10, id, 20);
		send_template(f, &net, 31, 257);
		CU_ASSERT_EQUAL(f->sink->count, 31);
		CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 0);
		CU_ASSERT_EQUAL(lost(f, LOSS_NO_TEMPLATE), 0);
		CU_ASSERT_EQUAL(f->stage->ledger.in, 31);
		fixture_close(f, &net);
		fixture_free(f);
	}
}

/* A late message whose Template comes later still fills the gap. */
static void
test_late(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	send_template(f, &net, 0, 256);
	send_data(f, &net, 0, 256, 10);
	send_data(f, &net, 30, 256, 1);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 20);
	msg_begin(&f->m, 10, 1);
	msg_flows(&f->m, 257, 1, 7);
	msg_flows(&f->m, 256, 1, 3);
	msg_flows(&f->m, 258, 1, 5);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 17);
	/* Later than a gap may be filled: but it came in time. */
	fixture_tick(f, 20000);
	send_template(f, &net, 31, 258);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 12);
	send_template(f, &net, 31, 257);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 5);
	CU_ASSERT_EQUAL(f->stage->ledger.in, 26);
	fixture_close(f, &net);
	fixture_free(f);
}

/* A message of two sets, and where it comes in the order of all. */
struct trial {
	uint32_t sequence, place;
	unsigned id[2], count[2];
};

/* Returns the number of records. The first and the last stay in their place. */
static uint32_t
trial_make(struct trial *m, unsigned count)
{
	enum { NEAR = 8 };
	uint32_t sequence = 0;
	struct trial swap;

	for (unsigned i = 0; i < count; i++) {
		m[i].sequence = sequence;
		m[i].place = i + (unsigned)rand() % NEAR;
		for (unsigned k = 0; k < 2; k++) {
			m[i].id[k] = 256 + (unsigned)rand() % 4;
			m[i].count[k] = 1 + (unsigned)rand() % 9;
			sequence += m[i].count[k];
		}
	}
	m[0].place = 0;
	m[count - 1].place = count + NEAR;
	m[count - 1].id[0] = m[count - 1].id[1] = 256;
	for (unsigned i = 1; i < count; i++)
		for (unsigned k = i; k && m[k].place < m[k - 1].place; k--) {
			swap = m[k];
			m[k] = m[k - 1];
			m[k - 1] = swap;
		}
	return sequence;
}

/*
 * Messages of sets with and without Template, lost and in another order: when
 * the Templates come at last, all is told as it was.
 */
static void
trial_run(unsigned seed)
{
	enum { MESSAGES = 60 };
	struct fixture *f = fixture_new(NULL);
	struct trial m[MESSAGES];
	struct net_session net;
	uint32_t sent, read = 0;

	srand(seed);
	sent = trial_make(m, MESSAGES);
	fixture_open(f, &net, TRANSPORT_UDP);
	send_template(f, &net, 0, 256);
	for (unsigned i = 0; i < MESSAGES; i++) {
		if (i && i < MESSAGES - 1 && rand() % 5 == 0)
			continue;
		msg_begin(&f->m, m[i].sequence, 1);
		for (unsigned k = 0; k < 2; k++) {
			msg_flows(&f->m, m[i].id[k], i, m[i].count[k]);
			read += m[i].count[k];
		}
		msg_end(&f->m);
		fixture_send(f, &net);
	}
	for (unsigned id = 259; id > 256; id--)
		send_template(f, &net, sent, id);
	CU_ASSERT_EQUAL(f->sink->count, read);
	CU_ASSERT_EQUAL(f->stage->ledger.in, read);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), sent - read);
	fixture_close(f, &net);
	fixture_free(f);
}

static void
test_random(void)
{
	unsigned failures = CU_get_number_of_failures();

	for (unsigned seed = 1; seed <= unit_turns(200); seed++) {
		trial_run(seed);
		if (CU_get_number_of_failures() > failures) {
			printf("seed %u ", seed);
			return;
		}
	}
}

static void
test_bound(void)
{
	struct collecting_conf conf = {.held_octets = 10000};
	struct fixture *f = fixture_new(&conf);
	struct net_session a, b;

	fixture_open(f, &a, TRANSPORT_UDP);
	fixture_open(f, &b, TRANSPORT_UDP);
	for (unsigned i = 0; i < 100; i++) {
		msg_begin(&f->m, 10 * i, 1);
		msg_flows(&f->m, 256, 10 * i, 10);
		msg_end(&f->m);
		fixture_send(f, &a);
	}
	/* The other session still has room. */
	msg_begin(&f->m, 0, 1);
	msg_flows(&f->m, 256, 0, 10);
	msg_flow_template(&f->m, 256);
	msg_end(&f->m);
	fixture_send(f, &b);
	CU_ASSERT_EQUAL(f->sink->count, 10);
	/* A set that is too long for it is lost at once. */
	msg_begin(&f->m, 10, 1);
	msg_flows(&f->m, 400, 0, 1000);
	msg_end(&f->m);
	fixture_send(f, &b);
	msg_begin(&f->m, 1010, 1);
	msg_flows(&f->m, 256, 0, 1);
	msg_end(&f->m);
	fixture_send(f, &b);
	CU_ASSERT_EQUAL(f->sink->count, 11);

	msg_begin(&f->m, 1000, 1);
	msg_flow_template(&f->m, 256);
	msg_end(&f->m);
	fixture_send(f, &a);
	/* Those that were held are the newest; nothing is unaccounted for. */
	CU_ASSERT(f->sink->count > 100 && f->sink->count < 500);
	CU_ASSERT_EQUAL(f->sink->seen[f->sink->count - 1].first,
			0x0a000000 + 999);
	CU_ASSERT_EQUAL(f->stage->ledger.in, 2011);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 0);
	fixture_close(f, &a);
	fixture_close(f, &b);
	fixture_free(f);
}

static const struct unit_test tests[] = {
	{"data before its template", test_before},
	{"data whose template never comes", test_lost},
	{"held data corrects the loss", test_corrects},
	{"messages reordered", test_reordered},
	{"a late message without template", test_late},
	{"lost and reordered at random", test_random},
	{"held data is bounded", test_bound},
};

int
main(void)
{
	return unit_run("held data", tests, UNIT_COUNT(tests));
}
