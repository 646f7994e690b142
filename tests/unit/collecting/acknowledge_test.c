/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams that are acknowledged: what comes a second time is left out, record
 * by record, whatever connection brings it; what goes back says what is safe.
 */
#include <errno.h>

#include "fixture.h"

struct back {
	unsigned count;
	bool full; /* takes nothing */
	uint32_t run, sequence;
	uint64_t messages, position;
};

/* One at a time is enough: the tests look after each. */
static struct back back;
static unsigned commits;

static int
on_reply(struct net_session *session, const uint8_t *p, size_t length)
{
	if (back.full)
		return -EAGAIN;
	CU_ASSERT_EQUAL(wire_get16(p), 10);
	CU_ASSERT_EQUAL(wire_get16(p + 2), length);
	CU_ASSERT_EQUAL(wire_get32(p + 12), 0);
	back.sequence = wire_get32(p + 8);
	/* The first of a session has the Template. */
	CU_ASSERT_EQUAL(length, back.sequence ? 40 : 62);
	p += length - 20;
	back.count++;
	back.run = wire_get32(p);
	back.messages = wire_get64(p + 4);
	back.position = wire_get64(p + 12);
	return 0;
}

static void
on_commit(void *arg)
{
	commits++;
}

struct stream {
	struct net_session net;
	uint32_t sequence;
	bool has_template;
};

static struct fixture *
begin(struct positions *positions)
{
	const struct collecting_conf conf = {
		.positions = positions,
		.commit = on_commit,
	};

	back = (struct back){0};
	commits = 0;
	return fixture_new(&conf);
}

static void
open_stream(struct fixture *f, struct stream *s, const char *peer)
{
	*s = (struct stream){0};
	fixture_open(f, &s->net, TRANSPORT_TCP);
	s->net.reply = on_reply;
	s->net.peer = peer;
}

static void
announce(struct fixture *f, struct stream *s, uint32_t run, uint64_t next)
{
	struct msg *m = msg_begin(&f->m, s->sequence, 0);

	if (!s->has_template) {
		msg_set(m, 3);
		msg_u16(m, 300);
		msg_u16(m, 3);
		msg_u16(m, 1);
		msg_u16(m, IE_exportingProcessId);
		msg_u16(m, 4);
		msg_u16(m, IE_exportedMessageTotalCount);
		msg_u16(m, 8);
		msg_u16(m, IE_exportedFlowRecordTotalCount);
		msg_u16(m, 8);
		msg_end_set(m);
	}
	msg_set(m, 300);
	msg_u32(m, run);
	msg_u64(m, 0);
	msg_u64(m, next);
	msg_end(m);
	s->sequence++;
	s->has_template = true;
	CU_ASSERT_EQUAL(fixture_send(f, &s->net), 0);
}

/* count records, the first of them with that number; named: of variable length.
 */
static void
bring(struct fixture *f, struct stream *s, uint32_t first, unsigned count,
      bool named)
{
	struct msg *m = msg_begin(&f->m, 0, 7);

	if (named)
		msg_named_template(m, 400);
	else
		msg_flow_template(m, 400);
	if (named) {
		msg_set(m, 400);
		for (unsigned i = 0; i < count; i++) {
			msg_u32(m, 0x0a000000 + first + i);
			msg_string(m, "x", false);
		}
	} else {
		msg_flows(m, 400, first, count);
	}
	msg_end(m);
	CU_ASSERT_EQUAL(fixture_send(f, &s->net), 0);
}

static uint32_t
last_number(const struct fixture *f)
{
	return f->sink->seen[f->sink->count - 1].first - 0x0a000000;
}

static void
test_once(void)
{
	struct positions *positions = positions_new(0);
	struct fixture *f = begin(positions);
	struct stream one, two;

	open_stream(f, &one, NULL);
	announce(f, &one, 77, 0);
	CU_ASSERT_EQUAL(commits, 1);
	collecting_acknowledge(f->process, false);
	CU_ASSERT_EQUAL(back.count, 1);
	CU_ASSERT_EQUAL(back.run, 77);
	CU_ASSERT_EQUAL(back.messages + back.position, 0);
	bring(f, &one, 0, 100, false);
	CU_ASSERT_EQUAL(f->sink->count, 100);
	/* It is not safe yet. */
	collecting_acknowledge(f->process, false);
	CU_ASSERT_EQUAL(back.count, 1);
	CU_ASSERT_TRUE(collecting_unacknowledged(f->process));
	positions_settle(positions);
	collecting_acknowledge(f->process, true);
	CU_ASSERT_EQUAL(back.count, 2);
	CU_ASSERT_EQUAL(back.messages, 2);
	CU_ASSERT_EQUAL(back.position, 100);
	CU_ASSERT_EQUAL(back.sequence, 1);
	CU_ASSERT_FALSE(collecting_unacknowledged(f->process));
	/* A new connection, while the old one is not at its end. */
	open_stream(f, &two, NULL);
	announce(f, &two, 77, 50);
	positions_settle(positions);
	collecting_acknowledge(f->process, true);
	CU_ASSERT_EQUAL(back.position, 100);
	CU_ASSERT_EQUAL(back.messages, 1);
	bring(f, &two, 50, 60, true);
	CU_ASSERT_EQUAL(f->sink->count, 110);
	CU_ASSERT_EQUAL(last_number(f), 109);
	bring(f, &one, 100, 30, false);
	CU_ASSERT_EQUAL(f->sink->count, 130);
	bring(f, &two, 110, 20, false);
	CU_ASSERT_EQUAL(f->sink->count, 130);
	bring(f, &two, 130, 5, true);
	CU_ASSERT_EQUAL(f->sink->count, 135);
	fixture_close(f, &one.net);
	fixture_close(f, &two.net);
	fixture_free(f);
	positions_free(positions);
}

/* Another run, another exporter, and records that the exporter has lost. */
static void
test_others(void)
{
	struct positions *positions = positions_new(3);
	struct fixture *f = begin(positions);
	struct stream one, two;

	open_stream(f, &one, "a.test");
	announce(f, &one, 77, 10);
	bring(f, &one, 10, 10, false);
	announce(f, &one, 77, 30);
	bring(f, &one, 30, 10, false);
	CU_ASSERT_EQUAL(f->sink->count, 20);
	announce(f, &one, 78, 0);
	bring(f, &one, 0, 5, false);
	CU_ASSERT_EQUAL(f->sink->count, 25);
	open_stream(f, &two, "b.test");
	announce(f, &two, 77, 0);
	bring(f, &two, 0, 7, false);
	CU_ASSERT_EQUAL(f->sink->count, 32);
	announce(f, &one, 77, 35);
	bring(f, &one, 35, 10, false);
	CU_ASSERT_EQUAL(f->sink->count, 37);
	/* The bound: 78 goes, which nobody uses. */
	CU_ASSERT_EQUAL(positions_count(positions), 3);
	announce(f, &two, 79, 0);
	CU_ASSERT_EQUAL(positions_count(positions), 3);
	announce(f, &one, 78, 0);
	CU_ASSERT_EQUAL(positions_count(positions), 3);
	bring(f, &one, 0, 5, false);
	CU_ASSERT_EQUAL(f->sink->count, 42);
	fixture_close(f, &one.net);
	fixture_close(f, &two.net);
	fixture_free(f);
	positions_free(positions);
}

/* Many are told of at once; one that does not read is told later. */
static void
test_told(void)
{
	struct positions *positions = positions_new(0);
	struct fixture *f = begin(positions);
	struct stream s;

	open_stream(f, &s, NULL);
	announce(f, &s, 1, 0);
	positions_settle(positions);
	back.full = true;
	collecting_acknowledge(f->process, true);
	CU_ASSERT_TRUE(collecting_unacknowledged(f->process));
	back.full = false;
	collecting_acknowledge(f->process, true);
	CU_ASSERT_EQUAL(back.count, 1);
	CU_ASSERT_EQUAL(back.sequence, 0);
	commits = 0;
	for (unsigned i = 0; i < 40; i++)
		bring(f, &s, i * 100, 100, false);
	CU_ASSERT_EQUAL(commits, 0);
	bring(f, &s, 4000, 100, false);
	CU_ASSERT(commits > 0);
	fixture_close(f, &s.net);
	/* One that says nothing of it is served as ever. */
	open_stream(f, &s, NULL);
	bring(f, &s, 0, 10, false);
	CU_ASSERT_FALSE(collecting_unacknowledged(f->process));
	CU_ASSERT_EQUAL(f->sink->count, 4110);
	fixture_close(f, &s.net);
	fixture_free(f);
	positions_free(positions);
}

/* Without positions what is announced is a record like any other. */
static void
test_not(void)
{
	struct fixture *f = begin(NULL);
	struct stream s;

	open_stream(f, &s, NULL);
	announce(f, &s, 1, 5);
	CU_ASSERT_EQUAL(f->sink->count, 1);
	collecting_acknowledge(f->process, true);
	CU_ASSERT_EQUAL(back.count + commits, 0);
	fixture_close(f, &s.net);
	fixture_free(f);
}

static const struct unit_test tests[] = {
	{"each once", test_once},
	{"other streams, and gaps", test_others},
	{"when it is told", test_told},
	{"not asked for", test_not},
};

int
main(void)
{
	return unit_run("collecting: acknowledgement", tests,
			UNIT_COUNT(tests));
}
