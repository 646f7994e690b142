/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A collector that acknowledges records, by hand: what the exporter says, when
 * it sends, what it sends again, and what it thinks of nonsense.
 */
#include "folder.h"
#include "peer.h"

/* What came, by its number. */
struct peer {
	struct collector c;
	uint32_t run;
	uint64_t first;	    /* that was announced first in the session */
	uint64_t next;	    /* Flow Record */
	uint64_t announced; /* times */
	unsigned early;	    /* Flow Records before the first answer */
	unsigned wrong;	    /* octetDeltaCount is not the number + 1 */
	unsigned sessions;  /* seen by us */
	bool answered;
	uint64_t begun; /* messages before the session */
};

static void
take(struct collector *c, const struct template *t, const uint8_t *p,
     uint32_t length, const struct message_header *header)
{
	struct peer *peer = c->user;

	if (peer->sessions != c->sessions) {
		peer->sessions = c->sessions;
		peer->answered = false;
		peer->announced = 0;
		peer->begun = c->messages - 1;
	}
	if (t->set_id == SET_TEMPLATE) {
		peer->early += !peer->answered;
		peer->wrong += field_uint(t->shape, 0, IE_octetDeltaCount, 0,
					  p) != ++peer->next;
	} else if (shape_find(t->shape, 0, IE_exportingProcessId, 0) == 0) {
		CU_ASSERT_EQUAL(header->domain, 0);
		CU_ASSERT_EQUAL(length, 20);
		peer->run = wire_get32(p);
		peer->next = wire_get64(p + 12);
		if (!peer->announced++)
			peer->first = peer->next;
	}
}

static void
peer_init(struct peer *peer)
{
	memset(peer, 0, sizeof(*peer));
	collector_init(&peer->c, false);
	peer->c.record = take;
	peer->c.user = peer;
}

static size_t
make_answer(uint8_t octets[NET_REPLY_MAX], uint32_t run, uint64_t messages,
	    uint64_t position)
{
	static const uint8_t template[] = {0, 3, 0, 22,	 1, 0, 0, 3,
					   0, 1, 0, 144, 0, 4, 0, 41,
					   0, 8, 0, 42,	 0, 8};

	memset(octets, 0, 16);
	wire_put16(octets, 10);
	wire_put16(octets + 2, 16 + 22 + 24);
	memcpy(octets + 16, template, sizeof(template));
	wire_put16(octets + 38, 256);
	wire_put16(octets + 40, 24);
	wire_put32(octets + 42, run);
	wire_put64(octets + 46, messages);
	wire_put64(octets + 54, position);
	return 62;
}

static void
answer(struct peer *peer, uint64_t messages, uint64_t position)
{
	uint8_t octets[NET_REPLY_MAX];
	size_t n = make_answer(octets, peer->run, messages, position);

	peer->answered = true;
	CU_ASSERT_EQUAL(net_in_reply(peer->c.session, octets, n), 0);
}

/* All that has come in this session. */
static void
answer_all(struct peer *peer)
{
	answer(peer, peer->c.messages - peer->begun, peer->next);
}

struct ack {
	struct feeder f;
	struct exporting_destination d;
	struct exporting_conf conf;
	const struct shape *shape;
	struct peer peer;
	char path[FOLDER_NAME];
	uint16_t port;
};

static void
ack_run(struct ack *a, uint32_t max_message)
{
	feeder_init(&a->f);
	a->d = to_port(EXPORTING_TCP, a->port);
	a->d.spool = (struct exporting_spool){
		.directory = a->path,
		.max_octets = 256 << 20,
		.segment_octets = 1 << 20,
	};
	a->d.acknowledged = true;
	a->d.max_message = max_message;
	a->conf = conf_of(&a->d, 1);
	feeder_open(&a->f, &a->conf);
	a->shape = flow_shape(&a->f);
}

static void
ack_begin(struct ack *a)
{
	struct event_base *base = event_base_new();

	memset(a, 0, sizeof(*a));
	folder_make(a->path);
	a->port = closed_port(base);
	event_base_free(base);
	ack_run(a, 1000);
	peer_init(&a->peer);
	collector_listen(&a->peer.c, a->f.base, a->port);
}

static void
ack_feed(struct ack *a, uint32_t count)
{
	feed_flows(&a->f, a->shape, &a->f.scope, count, 0);
	feeder_tick(&a->f, 300);
}

static const struct ledger *
ack_ledger(struct ack *a)
{
	const struct ledger *l = exporting_ledger(a->f.stage, 0);

	CU_ASSERT_TRUE(ledger_balanced(l));
	return l;
}

static void
ack_end(struct ack *a)
{
	CU_ASSERT_EQUAL(a->peer.early + a->peer.wrong, 0);
	CU_ASSERT_EQUAL(a->peer.c.bad_message + a->peer.c.bad_sequence +
				a->peer.c.no_template,
			0);
	shape_release(a->shape);
	collector_fini(&a->peer.c);
	feeder_fini(&a->f);
	folder_remove(a->path);
}

/* The exporter ends, and so does the listener. */
static void
ack_stop(struct ack *a)
{
	exporting_end(a->f.stage);
	shape_release(a->shape);
	net_in_close(a->peer.c.in);
	a->peer.c.in = NULL;
	feeder_fini(&a->f);
}

/* Breaks the connection; the next one is announced. */
static void
ack_break(struct ack *a)
{
	unsigned sessions = a->peer.sessions;

	net_in_close(a->peer.c.in);
	collector_listen(&a->peer.c, a->f.base, a->port);
	TICK_UNTIL(&a->f, a->peer.sessions > sessions);
}

/* Nothing goes before the answer, and nothing is let go before it is had. */
static void
test_goes(void)
{
	struct ack a;

	ack_begin(&a);
	ack_feed(&a, 1000);
	TICK_UNTIL(&a.f, a.peer.announced == 1);
	CU_ASSERT_EQUAL(a.peer.first, 0);
	CU_ASSERT_NOT_EQUAL(a.peer.run, 0);
	feeder_tick(&a.f, 10);
	CU_ASSERT_EQUAL(a.peer.next, 0);
	answer(&a.peer, 1, 0);
	TICK_UNTIL(&a.f, a.peer.next == 1000);
	ack_ledger(&a);
	CU_ASSERT_EQUAL(folder_find(a.path, ".ipfix", 0, NULL), 1);
	stage_flush(a.f.stage);
	CU_ASSERT_FALSE(stage_drained(a.f.stage));
	answer_all(&a.peer);
	TICK_UNTIL(&a.f, stage_drained(a.f.stage));
	CU_ASSERT_EQUAL(ack_ledger(&a)->exported, 1000);
	CU_ASSERT_EQUAL(ack_ledger(&a)->held, 0);
	CU_ASSERT_EQUAL(folder_find(a.path, ".ipfix", 0, NULL), 0);
	CU_ASSERT_EQUAL(a.peer.announced, 1);
	ack_end(&a);
}

/* 1000 records are with the collector, and not acknowledged. */
static void
ack_begin_sent(struct ack *a)
{
	ack_begin(a);
	ack_feed(a, 1000);
	TICK_UNTIL(&a->f, a->peer.announced == 1);
	answer(&a->peer, 1, 0);
	TICK_UNTIL(&a->f, a->peer.next == 1000);
}

/* Connections break with some acknowledged, and some had without that. */
static void
test_breaks(void)
{
	struct ack a;
	uint64_t had;

	ack_begin_sent(&a);
	/* The first two with data, behind that and the Template. */
	answer(&a.peer, 4, 1);
	feeder_tick(&a.f, 10);
	ack_feed(&a, 500);
	TICK_UNTIL(&a.f, a.peer.next == 1500);
	ack_break(&a);
	CU_ASSERT(a.peer.first > 100 && a.peer.first < 200);
	CU_ASSERT_EQUAL(ack_ledger(&a)->held, 1500 - a.peer.first);
	/* In the middle of a message: that one comes again. */
	had = 700;
	answer(&a.peer, 1, had);
	TICK_UNTIL(&a.f, a.peer.next == 1500 && a.peer.announced == 2);
	ack_break(&a);
	CU_ASSERT(a.peer.first > 600 && a.peer.first <= had);
	/* It has all: nothing comes again, but what is new. */
	answer(&a.peer, 1, 1500);
	TICK_UNTIL(&a.f, ack_ledger(&a)->held == 0);
	a.peer.next = 1500;
	ack_feed(&a, 10);
	TICK_UNTIL(&a.f, a.peer.next == 1510);
	answer_all(&a.peer);
	TICK_UNTIL(&a.f, ack_ledger(&a)->held == 0);
	CU_ASSERT_EQUAL(ack_ledger(&a)->exported, 1510);
	ack_end(&a);
}

/* The next run goes on with what the last one has left, and then its own. */
static void
test_restart(void)
{
	struct ack a;
	uint32_t run;

	ack_begin_sent(&a);
	run = a.peer.run;
	ack_stop(&a);

	ack_run(&a, 1000);
	CU_ASSERT_EQUAL(ack_ledger(&a)->held, 1000);
	ack_feed(&a, 200);
	collector_listen(&a.peer.c, a.f.base, a.port);
	TICK_UNTIL(&a.f, a.peer.sessions == 2);
	CU_ASSERT_EQUAL(a.peer.run, run);
	CU_ASSERT_EQUAL(a.peer.first, 0);
	answer(&a.peer, 1, 900);
	TICK_UNTIL(&a.f, a.peer.run != run && a.peer.next == 200);
	answer_all(&a.peer);
	TICK_UNTIL(&a.f, ack_ledger(&a)->held == 0);
	CU_ASSERT_EQUAL(ack_ledger(&a)->exported, 1200);
	ack_end(&a);
}

/* Records that are lost here have numbers, too. */
static void
test_gap(void)
{
	struct ack a;
	const struct shape *named;
	uint8_t record[904] = {0};
	struct batch batch = {.count = 1, .base = record, .export_ms = 1};

	ack_begin(&a);
	named = SHAPE(&a.f, 0, 0, IE_octetDeltaCount, 8, 0, IE_paddingOctets,
		      896);
	batch.shape = named;
	batch.scope = &a.f.scope;
	batch.stride = 904;
	wire_put64(record, ++a.f.serial);
	stage_run(a.f.stage, &batch);
	ack_feed(&a, 5);
	shape_release(named);
	ack_stop(&a);

	/* Messages are shorter in this run. */
	ack_run(&a, 512);
	a.peer.announced = 0;
	collector_listen(&a.peer.c, a.f.base, a.port);
	TICK_UNTIL(&a.f, a.peer.announced == 1);
	CU_ASSERT(a.peer.first <= 1);
	a.peer.next = a.peer.first;
	answer(&a.peer, 1, a.peer.first);
	TICK_UNTIL(&a.f, a.peer.next == 6);
	answer_all(&a.peer);
	TICK_UNTIL(&a.f, ack_ledger(&a)->held == 0);
	CU_ASSERT_EQUAL(ack_ledger(&a)->exported, 5);
	CU_ASSERT_EQUAL(ack_ledger(&a)->lost[LOSS_TOO_LONG], 1);
	ack_end(&a);
}

/* Whatever comes back that is no answer ends the session, and nothing else. */
static void
test_nonsense(void)
{
	struct ack a;
	uint8_t octets[NET_REPLY_MAX];
	size_t n;

	ack_begin(&a);
	ack_feed(&a, 100);
	TICK_UNTIL(&a.f, a.peer.announced == 1);
	for (int i = 0; i < 6; i++) {
		unsigned sessions = a.peer.sessions;

		n = make_answer(octets, a.peer.run + (i == 0), i == 1 ? 2 : 1,
				i == 2 ? 101 : 0);
		if (i == 3)
			octets[1] = 9;
		if (i == 4)
			octets[2] = 0x10; /* as long as none is */
		if (i == 5)
			octets[19] = 80; /* a set, too */
		net_in_reply(a.peer.c.session, octets, n);
		TICK_UNTIL(&a.f, a.peer.sessions > sessions);
		CU_ASSERT_EQUAL(a.peer.next, 0);
	}
	/* In pieces it is one all the same. */
	n = make_answer(octets, a.peer.run, 1, 0);
	a.peer.answered = true;
	for (size_t i = 0; i < n; i++) {
		net_in_reply(a.peer.c.session, octets + i, 1);
		feeder_tick(&a.f, 1);
	}
	TICK_UNTIL(&a.f, a.peer.next == 100);
	answer_all(&a.peer);
	TICK_UNTIL(&a.f, ack_ledger(&a)->held == 0);
	ack_end(&a);
}

/* One that does not answer gets nothing. */
static void
test_silent(void)
{
	struct ack a;

	ack_begin(&a);
	ack_feed(&a, 100);
	TICK_UNTIL(&a.f, a.peer.announced == 1);
	CU_ASSERT_EQUAL(a.peer.c.closed, 0);
	feeder_tick(&a.f, 11000);
	TICK_UNTIL(&a.f, a.peer.sessions == 2);
	CU_ASSERT_EQUAL(a.peer.next, 0);
	CU_ASSERT_EQUAL(ack_ledger(&a)->held, 100);
	/* At the end it is not waited for. */
	stage_flush(a.f.stage);
	CU_ASSERT_TRUE(stage_drained(a.f.stage));
	ack_end(&a);
}

/* Is what was given safe? That is asked before it is acknowledged in turn. */
static void
test_secure(void)
{
	struct ack a;

	ack_begin(&a);
	feed_flows(&a.f, a.shape, &a.f.scope, 3, 0);
	CU_ASSERT_EQUAL(folder_find(a.path, ".ipfix", 0, NULL), 0);
	CU_ASSERT_TRUE(exporting_secure(a.f.stage));
	CU_ASSERT_EQUAL(folder_find(a.path, ".ipfix", 0, NULL), 1);
	CU_ASSERT_EQUAL(ack_ledger(&a)->held, 3);
	ack_end(&a);
}

static const struct unit_test tests[] = {
	{"goes", test_goes},	       {"breaks", test_breaks},
	{"a restart", test_restart},   {"a gap", test_gap},
	{"nonsense", test_nonsense},   {"a peer that is silent", test_silent},
	{"what is safe", test_secure},
};

int
main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	return unit_run("exporting: acknowledgement", tests, UNIT_COUNT(tests));
}
