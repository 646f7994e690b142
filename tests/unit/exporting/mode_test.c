/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * exportMode: who gets which records, what becomes of those of a destination
 * that is away, and what a destination takes.
 */
#include <string.h>

#include "peer.h"

enum {
	FLOWS = 128,
	/* Longer than any machine takes. */
	GRACE_MS = 100000,
	HOLD_MS = 1000000,
};

/* Addresses, ports, protocol, octetDeltaCount: 21 octets. */
static const struct shape *
key_shape(struct feeder *f)
{
	return SHAPE(f, 0, 0, IE_sourceIPv4Address, 4, 0,
		     IE_destinationIPv4Address, 4, 0, IE_sourceTransportPort, 2,
		     0, IE_destinationTransportPort, 2, 0,
		     IE_protocolIdentifier, 1, 0, IE_octetDeltaCount, 8);
}

/* Flows i of FLOWS, forward and back, each with i as count. */
static void
feed_keys(struct feeder *f, const struct shape *shape, bool back)
{
	uint8_t data[FLOWS * 21];
	struct batch batch = {
		.shape = shape,
		.scope = &f->scope,
		.base = data,
		.stride = 21,
		.count = FLOWS,
	};

	for (uint32_t i = 0; i < FLOWS; i++) {
		uint8_t *p = data + (size_t)i * 21;

		wire_put32(p + (back ? 4 : 0), 0x0a000000 + i);
		wire_put32(p + (back ? 0 : 4), 0xc0000201);
		wire_put16(p + (back ? 10 : 8), (uint16_t)(1024 + i));
		wire_put16(p + (back ? 8 : 10), 443);
		p[12] = 6;
		wire_put_uint(p + 13, i, 8);
		f->sum += i;
	}
	stage_run(f->stage, &batch);
}

struct counted {
	unsigned flow[FLOWS]; /* records of each */
};

static void
count_flow(struct collector *c, const struct template *t, const uint8_t *p,
	   uint32_t length, const struct message_header *header)
{
	struct counted *counted = c->user;
	uint64_t i = 0;

	shape_uint(t->shape, shape_find(t->shape, 0, IE_octetDeltaCount, 0), p,
		   length, &i);
	counted->flow[i % FLOWS]++;
}

/* Three collectors over TCP. */
struct three {
	struct feeder f;
	struct collector c[3];
	struct counted counted[3];
	struct exporting_destination d[3];
	struct exporting_conf conf;
	uint16_t port[3];
};

static void
three_init(struct three *t, enum exporting_mode mode,
	   enum exporting_balance balance)
{
	memset(t, 0, sizeof(*t));
	feeder_init(&t->f);
	t->conf = conf_of(t->d, 3);
	t->conf.mode = mode;
	t->conf.balance = balance;
	t->conf.grace_ms = GRACE_MS;
	t->conf.hold_ms = HOLD_MS;
	for (int i = 0; i < 3; i++) {
		collector_init(&t->c[i], false);
		t->c[i].record = count_flow;
		t->c[i].user = &t->counted[i];
		t->port[i] = collector_listen(&t->c[i], t->f.base, 0);
		t->d[i] = to_port(EXPORTING_TCP, t->port[i]);
	}
}

/* The time of the stage goes on, and is not behind that of the sockets. */
static void
three_tick(struct three *t)
{
	uint64_t now = clock_mono_ms();

	if (t->f.now < now)
		t->f.now = now;
	feeder_tick(&t->f, 2);
}

/* How the i-th destination is, as its report tells. */
static bool
is_state(const struct three *t, int i, const char *state)
{
	struct text text = {0};
	const char *at;
	struct report r;
	bool is;

	report_begin(&r, &text, true);
	report_open(&r, "exportingProcess");
	t->f.stage->ops->report(t->f.stage, &r);
	report_close(&r);
	report_end(&r);
	at = text.data;
	for (; at && i >= 0; i--)
		at = strstr(at + 1, "\"cx:state\":\"");
	is = at && strncmp(at + 12, state, strlen(state)) == 0;
	text_fini(&text);
	return is;
}

/* All are up. */
static void
three_open(struct three *t)
{
	feeder_open(&t->f, &t->conf);
	for (int i = 0; i < 3; i++)
		LOOP_UNTIL(&t->f, (three_tick(t), is_state(t, i, "well")));
}

static uint64_t
three_records(const struct three *t)
{
	return t->c[0].records + t->c[1].records + t->c[2].records;
}

/* One is ended, and known to be away. */
static void
three_kill(struct three *t, int i)
{
	net_in_close(t->c[i].in);
	t->c[i].in = NULL;
	LOOP_UNTIL(&t->f, (three_tick(t), !is_state(t, i, "well")));
	feeder_tick(&t->f, GRACE_MS);
	CU_ASSERT_TRUE(is_state(t, i, "away"));
}

/* It is there again, and in its hold time. */
static void
three_return(struct three *t, int i)
{
	collector_listen(&t->c[i], t->f.base, t->port[i]);
	LOOP_UNTIL(&t->f, (three_tick(t), is_state(t, i, "returned")));
}

static void
three_fini(struct three *t)
{
	uint64_t in = 0;

	for (unsigned i = 0; i < 3; i++) {
		const struct ledger *l = exporting_ledger(t->f.stage, i);

		CU_ASSERT_TRUE(ledger_balanced(l));
		CU_ASSERT_EQUAL(t->c[i].bad_sequence + t->c[i].bad_message +
					t->c[i].no_template,
				0);
		in += l->in;
	}
	CU_ASSERT_TRUE(ledger_balanced(&t->f.stage->ledger));
	if (t->conf.mode != EXPORTING_PARALLEL)
		CU_ASSERT_EQUAL(in, t->f.stage->ledger.exported);
	for (int i = 0; i < 3; i++)
		collector_fini(&t->c[i]);
	feeder_fini(&t->f);
}

/* A flow has one collector, in both directions. */
static void
test_flow_key(void)
{
	struct three t;
	const struct shape *shape;
	struct counted before;

	three_init(&t, EXPORTING_LOAD_BALANCING, EXPORTING_BALANCE_FLOW_KEY);
	three_open(&t);
	shape = key_shape(&t.f);
	for (int i = 0; i < 4; i++)
		feed_keys(&t.f, shape, i & 1);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, three_records(&t) == 4 * FLOWS);
	for (int i = 0; i < FLOWS; i++)
		for (int k = 0; k < 3; k++)
			CU_ASSERT_TRUE(t.counted[k].flow[i] == 0 ||
				       t.counted[k].flow[i] == 4);
	for (int k = 0; k < 3; k++)
		CU_ASSERT_TRUE(t.c[k].records > 4 * FLOWS / 6);
	/* The share of one that is away goes to both, and nothing else. */
	before = t.counted[1];
	three_kill(&t, 1);
	feed_keys(&t.f, shape, false);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, three_records(&t) == 5 * FLOWS);
	for (int i = 0; i < FLOWS; i++)
		for (int k = 0; k < 3; k += 2)
			CU_ASSERT_TRUE(t.counted[k].flow[i] % 5 == 0 ||
				       before.flow[i] == 4);
	/* It returns. */
	three_return(&t, 1);
	feed_keys(&t.f, shape, true);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, three_records(&t) == 6 * FLOWS);
	CU_ASSERT_EQUAL(memcmp(&before, &t.counted[1], sizeof(before)), 0);
	feeder_tick(&t.f, 2 * HOLD_MS);
	feed_keys(&t.f, shape, true);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, three_records(&t) == 7 * FLOWS);
	for (int i = 0; i < FLOWS; i++)
		CU_ASSERT_EQUAL(t.counted[1].flow[i], before.flow[i] ? 5 : 0);
	shape_release(shape);
	three_fini(&t);
}

/* Full messages in turn; what waits for one that is away goes to others. */
static void
test_round_robin(void)
{
	struct three t;
	const struct shape *shape;

	three_init(&t, EXPORTING_LOAD_BALANCING, EXPORTING_BALANCE_ROUND_ROBIN);
	for (int i = 0; i < 3; i++)
		t.d[i].max_message = 512;
	three_open(&t);
	shape = flow_shape(&t.f);
	/* 16 octets each: 30 fit a message. */
	feed_flows(&t.f, shape, &t.f.scope, 30 * 90, 0);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, three_records(&t) == 30 * 90);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(t.c[i].records, 30 * 30);
	three_kill(&t, 2);
	feed_flows(&t.f, shape, &t.f.scope, 30 * 20, 0);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, three_records(&t) == 30 * 110);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(t.c[i].records, 30 * 40);
	CU_ASSERT_EQUAL(t.c[0].sum + t.c[1].sum + t.c[2].sum, t.f.sum);
	shape_release(shape);
	three_fini(&t);
}

/* All are down; the one that comes gets what waits for all, once. */
static void
test_first_to_come(void)
{
	struct exporting_destination d[3];
	struct exporting_conf conf = conf_of(d, 3);
	const struct shape *shape, *options;
	struct collector c;
	struct feeder f;
	uint16_t port;
	uint64_t in = 0;

	feeder_init(&f);
	port = closed_port(f.base);
	d[0] = to_port(EXPORTING_TCP, closed_port(f.base));
	d[1] = to_port(EXPORTING_TCP, port);
	d[2] = to_port(EXPORTING_TCP, closed_port(f.base));
	conf.mode = EXPORTING_LOAD_BALANCING;
	conf.balance = EXPORTING_BALANCE_FLOW_KEY;
	conf.grace_ms = 1000;
	feeder_open(&f, &conf);
	shape = key_shape(&f);
	options = SHAPE(&f, 1, 0, IE_observationDomainId, 4, 0,
			IE_samplingInterval, 4);
	for (int i = 0; i < 3; i++) {
		feed_keys(&f, shape, false);
		feed_flows(&f, options, &f.scope, 1, 0);
		feeder_tick(&f, 2000);
	}
	collector_init(&c, false);
	collector_listen(&c, f.base, port);
	LOOP_UNTIL(&f, c.sessions == 1);
	feeder_tick(&f, 1);
	feeder_tick(&f, 1000);
	LOOP_UNTIL(&f, c.records == 3 * FLOWS && c.options >= 1);
	CU_ASSERT_EQUAL(c.sum, f.sum);
	for (unsigned i = 0; i < 3; i++) {
		const struct ledger *l = exporting_ledger(f.stage, i);

		CU_ASSERT_TRUE(ledger_balanced(l));
		CU_ASSERT_EQUAL(l->held, 0);
		in += l->in - l->filtered;
	}
	CU_ASSERT_EQUAL(exporting_ledger(f.stage, 1)->exported, in);
	CU_ASSERT_TRUE(ledger_balanced(&f.stage->ledger));
	shape_release(shape);
	shape_release(options);
	collector_fini(&c);
	feeder_fini(&f);
}

/* Options Data goes to all, also to one that comes later. */
static void
test_options(void)
{
	struct three t;
	const struct shape *shape;

	three_init(&t, EXPORTING_FALLBACK, 0);
	three_open(&t);
	shape = SHAPE(&t.f, 1, 0, IE_observationDomainId, 4, 0,
		      IE_samplingInterval, 4);
	three_kill(&t, 2);
	feed_flows(&t.f, shape, &t.f.scope, 3, 0);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, t.c[0].options == 3 && t.c[1].options == 3);
	/* The last of each scope. */
	three_return(&t, 2);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, t.c[2].options == 1);
	CU_ASSERT_EQUAL(t.c[0].options, 3);
	shape_release(shape);
	t.f.stage->ledger.exported += 3; /* two got them: see three_fini */
	t.f.stage->ledger.in += 3;
	three_fini(&t);
}

/* A queue that is full is passed by, though its destination is the first. */
static void
test_full(void)
{
	struct exporting_destination d[2];
	struct exporting_conf conf = conf_of(d, 2);
	const struct shape *shape;
	struct feeder f;

	feeder_init(&f);
	d[0] = to_port(EXPORTING_TCP, closed_port(f.base));
	d[0].queue_octets = 20000;
	d[1] = to_file(f.path);
	conf.mode = EXPORTING_FALLBACK;
	conf.grace_ms = 1000000;
	feeder_open(&f, &conf);
	loop_once(f.base);
	feeder_tick(&f, 1);
	shape = flow_shape(&f);
	feed_flows(&f, shape, &f.scope, 20000, 0);
	CU_ASSERT_TRUE(exporting_ledger(f.stage, 0)->in > 100);
	CU_ASSERT_TRUE(exporting_ledger(f.stage, 1)->in > 10000);
	CU_ASSERT_EQUAL(f.stage->ledger.exported, 20000);
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(ledger_lost(exporting_ledger(f.stage, i)), 0);
	shape_release(shape);
	feeder_fini(&f);
}

/* Nobody listens at its port, as ICMP tells: the second one gets the rest. */
static void
test_refused(void)
{
	struct exporting_destination d[2];
	struct exporting_conf conf = conf_of(d, 2);
	const struct shape *shape;
	struct collector c;
	struct feeder f;
	uint64_t first;

	feeder_init(&f);
	collector_init(&c, true);
	d[0] = to_port(EXPORTING_UDP, closed_port(f.base));
	d[1] = to_file(f.path);
	conf.mode = EXPORTING_FALLBACK;
	conf.hold_ms = 1;
	feeder_open(&f, &conf);
	loop_once(f.base);
	shape = flow_shape(&f);
	LOOP_UNTIL(&f,
		   (feed_flows(&f, shape, &f.scope, 1, 0), feeder_tick(&f, 300),
		    exporting_ledger(f.stage, 1)->in > 0));
	first = exporting_ledger(f.stage, 0)->in;
	/* It is tried each second, and still is not there. */
	for (int i = 0; i < 50; i++) {
		usleep(1000);
		feeder_tick(&f, 300);
		feed_flows(&f, shape, &f.scope, 1, 0);
	}
	CU_ASSERT_EQUAL(exporting_ledger(f.stage, 0)->in, first);
	collector_listen(&c, f.base, d[0].net.remote.port);
	LOOP_UNTIL(&f, (feeder_tick(&f, 300), c.messages > 1));
	for (int i = 0; i < 20; i++)
		feeder_tick(&f, 300);
	feed_flows(&f, shape, &f.scope, 1, 0);
	CU_ASSERT_EQUAL(exporting_ledger(f.stage, 0)->in, first + 1);
	shape_release(shape);
	collector_fini(&c);
	feeder_fini(&f);
}

/* Takes records with an even number as last octet. */
static int
even(void *arg, const struct batch *batch, uint32_t *index)
{
	uint32_t length;
	int n = 0;

	if (arg && *(bool *)arg)
		return -ENOMEM;
	for (uint32_t i = 0; i < batch->count; i++) {
		const uint8_t *record = batch_record(batch, i, &length);

		if (record[length - 1] % 2 == 0)
			index[n++] = i;
	}
	return n;
}

static void
test_selection(void)
{
	static const uint32_t domain[] = {9, 7};
	struct three t;
	const struct shape *shape;
	struct scope other;
	bool fails = false;

	three_init(&t, EXPORTING_PARALLEL, 0);
	t.d[0].domain = domain;
	t.d[0].domain_count = 2;
	t.d[1].filter = (struct exporting_filter){even, &fails, "even"};
	t.d[2].domain = domain;
	t.d[2].domain_count = 1;
	three_open(&t);
	shape = flow_shape(&t.f);
	feeder_scope(&t.f, &other, 8, "192.0.2.2");
	feed_flows(&t.f, shape, &t.f.scope, 200, 0);
	feed_flows(&t.f, shape, &other, 100, 0);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, t.c[0].records == 200 && t.c[1].records == 150);
	CU_ASSERT_EQUAL(t.c[2].records, 0);
	CU_ASSERT_EQUAL(exporting_ledger(t.f.stage, 1)->filtered, 150);
	CU_ASSERT_EQUAL(exporting_ledger(t.f.stage, 2)->filtered, 300);
	/* 50 of domain 8 were odd, so no one took them. */
	CU_ASSERT_EQUAL(t.f.stage->ledger.filtered, 50);
	CU_ASSERT_EQUAL(t.f.stage->ledger.exported, 250);
	fails = true;
	feed_flows(&t.f, shape, &other, 10, 0);
	CU_ASSERT_EQUAL(t.f.stage->ledger.lost[LOSS_NO_MEMORY], 10);
	shape_release(shape);
	three_fini(&t);
}

/* What only one takes waits for it, whoever else is well. */
static void
test_selection_away(void)
{
	struct three t;
	const struct shape *shape;

	three_init(&t, EXPORTING_FALLBACK, 0);
	t.d[1].filter = (struct exporting_filter){even, NULL, "even"};
	t.d[2].filter = (struct exporting_filter){even, NULL, "even"};
	three_open(&t);
	shape = flow_shape(&t.f);
	three_kill(&t, 0);
	feed_flows(&t.f, shape, &t.f.scope, 200, 0);
	feeder_tick(&t.f, 300);
	LOOP_UNTIL(&t.f, t.c[1].records == 100);
	CU_ASSERT_EQUAL(exporting_ledger(t.f.stage, 0)->held, 100);
	three_kill(&t, 1);
	three_kill(&t, 2);
	feed_flows(&t.f, shape, &t.f.scope, 200, 0);
	feeder_tick(&t.f, 300);
	CU_ASSERT_EQUAL(exporting_ledger(t.f.stage, 0)->held, 300);
	/* The last one comes back: of these it takes the half. */
	three_return(&t, 2);
	feeder_tick(&t.f, 300);
	LOOP_UNTIL(&t.f, (three_tick(&t), t.c[2].records == 100));
	CU_ASSERT_EQUAL(exporting_ledger(t.f.stage, 0)->held, 200);
	collector_listen(&t.c[0], t.f.base, t.port[0]);
	LOOP_UNTIL(&t.f, t.c[0].records == 200);
	CU_ASSERT_EQUAL(t.c[0].sum + t.c[1].sum + t.c[2].sum, t.f.sum);
	shape_release(shape);
	three_fini(&t);
}

static const struct unit_test tests[] = {
	{"by flow key", test_flow_key},
	{"message by message", test_round_robin},
	{"the first to come gets what waits", test_first_to_come},
	{"options go to all", test_options},
	{"a full queue is passed by", test_full},
	{"UDP: refused", test_refused},
	{"what a destination takes", test_selection},
	{"what only one takes waits for it", test_selection_away},
};

int
main(void)
{
	return unit_run("exporting: modes", tests, UNIT_COUNT(tests));
}
