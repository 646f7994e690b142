/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Transport Sessions: Templates, sequence numbers, queues, broken sessions. */
#include "peer.h"

static void
test_udp(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	struct scope other;
	struct collector c;
	struct feeder f;

	feeder_init(&f);
	collector_init(&c, true);
	d = to_port(EXPORTING_UDP, collector_listen(&c, f.base, 0));
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	feeder_scope(&f, &other, 8, "192.0.2.2");
	for (int i = 0; i < 20; i++) {
		feed_flows(&f, shape, &f.scope, 100, 0);
		feed_flows(&f, shape, &other, 50, 0);
		feeder_tick(&f, 50);
		loop_once(f.base);
	}
	feeder_finish(&f);
	LOOP_UNTIL(&f, c.records == 3000);
	CU_ASSERT_EQUAL(c.sum, f.sum);
	CU_ASSERT_EQUAL(c.bad_sequence + c.bad_message + c.no_template, 0);
	CU_ASSERT_EQUAL(c.outcome[TEMPLATE_NEW], 2);
	CU_ASSERT_EQUAL(c.outcome[TEMPLATE_REFRESHED], 0);
	CU_ASSERT_TRUE(c.longest <= EXPORTING_UDP_MESSAGE);
	CU_ASSERT_EQUAL(collector_domain(&c, 7)->records, 2000);
	CU_ASSERT_EQUAL(collector_domain(&c, 8)->records, 1000);
	CU_ASSERT_EQUAL(exporting_ledger(f.stage, 0)->exported, 3000);
	CU_ASSERT_TRUE(ledger_balanced(exporting_ledger(f.stage, 0)));
	/* RFC 7011 8.4: no withdrawals. */
	stage_scope_end(f.stage, &other);
	for (int i = 0; i < 10; i++)
		feeder_tick(&f, 100);
	CU_ASSERT_EQUAL(c.outcome[TEMPLATE_WITHDRAWN_UDP], 0);
	shape_release(shape);
	collector_fini(&c);
	feeder_fini(&f);
}

static void
feed_and_tick(struct feeder *f, const struct shape *shape, unsigned count)
{
	/* flush_ms is 1: each round makes one message. */
	for (unsigned i = 0; i < count; i++) {
		feed_flows(f, shape, &f->scope, 3, 0);
		feeder_tick(f, 100);
		loop_once(f->base);
		loop_once(f->base);
	}
}

static void
test_refresh(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape, *options;
	struct collector c;
	struct feeder f;
	unsigned n;

	feeder_init(&f);
	collector_init(&c, true);
	d = to_port(EXPORTING_UDP, collector_listen(&c, f.base, 0));
	d.template_refresh_ms = 1000;
	d.options_template_refresh_ms = 5000;
	conf.flush_ms = 1;
	feeder_open(&f, &conf);
	loop_once(f.base);
	shape = flow_shape(&f);
	options = SHAPE(&f, 1, 0, IE_observationDomainId, 4, 0,
			IE_samplingInterval, 4);
	feed_flows(&f, options, &f.scope, 1, 0);
	/* Ten seconds with data: at 0, 1, 2, ... and, options, at 0 and 5. */
	feed_and_tick(&f, shape, 100);
	LOOP_UNTIL(&f, c.records == 300);
	n = c.outcome[TEMPLATE_REFRESHED];
	CU_ASSERT_EQUAL(c.outcome[TEMPLATE_NEW], 2);
	CU_ASSERT_EQUAL(n, 9 + 1);
	/* Ten more without any data. */
	for (int i = 0; i < 100; i++)
		feeder_tick(&f, 100);
	CU_ASSERT_TRUE(c.outcome[TEMPLATE_REFRESHED] >= n + 11);
	CU_ASSERT_TRUE(c.outcome[TEMPLATE_REFRESHED] <= n + 13);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template, 0);
	/* With its Template, or a second later. */
	CU_ASSERT_TRUE(c.options >= 3 && c.options <= 5);
	shape_release(shape);
	shape_release(options);
	collector_fini(&c);
	feeder_fini(&f);
}

static void
test_refresh_packets(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	struct collector c;
	struct feeder f;

	feeder_init(&f);
	collector_init(&c, true);
	d = to_port(EXPORTING_UDP, collector_listen(&c, f.base, 0));
	d.template_refresh_packets = 10;
	conf.flush_ms = 1;
	feeder_open(&f, &conf);
	loop_once(f.base);
	shape = flow_shape(&f);
	feed_and_tick(&f, shape, 100);
	LOOP_UNTIL(&f, c.records == 300);
	/* Each tenth message is the Template, nine are data. */
	CU_ASSERT_EQUAL(c.outcome[TEMPLATE_NEW], 1);
	CU_ASSERT_TRUE(c.outcome[TEMPLATE_REFRESHED] >= 10);
	CU_ASSERT_TRUE(c.outcome[TEMPLATE_REFRESHED] <= 12);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template, 0);
	shape_release(shape);
	collector_fini(&c);
	feeder_fini(&f);
}

/* The collector goes and comes back: Templates first, sequence from 0. */
static void
test_reconnect(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	struct collector c, again;
	const struct shape *shape;
	const struct ledger *l;
	struct feeder f;
	uint16_t port;

	feeder_init(&f);
	collector_init(&c, false);
	port = collector_listen(&c, f.base, 0);
	d = to_port(EXPORTING_TCP, port);
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	feed_flows(&f, shape, &f.scope, 10000, 0);
	feeder_tick(&f, 300);
	LOOP_UNTIL(&f, c.records == 10000);
	CU_ASSERT_EQUAL(c.sum, f.sum);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template, 0);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->exported, 10000);
	collector_fini(&c);
	/* What is sent until the end is seen may be lost with the kernel. */
	for (int i = 0; i < 20; i++) {
		feeder_tick(&f, 10);
		usleep(1000);
	}
	feed_flows(&f, shape, &f.scope, 5000, 0);
	feeder_tick(&f, 300);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->held, 5000);
	CU_ASSERT_TRUE(ledger_balanced(l));
	collector_init(&again, false);
	collector_listen(&again, f.base, port);
	LOOP_UNTIL(&f, again.records == 5000);
	CU_ASSERT_EQUAL(again.outcome[TEMPLATE_NEW], 1);
	CU_ASSERT_EQUAL(again.bad_sequence + again.no_template, 0);
	feed_flows(&f, shape, &f.scope, 100, 0);
	feeder_finish(&f);
	LOOP_UNTIL(&f, again.records == 5100);
	CU_ASSERT_EQUAL(again.bad_sequence + again.no_template, 0);
	CU_ASSERT_EQUAL(again.outcome[TEMPLATE_REFRESHED], 0);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->exported, 15100);
	CU_ASSERT_EQUAL(l->held, 0);
	CU_ASSERT_EQUAL(ledger_lost(l), 0);
	shape_release(shape);
	collector_fini(&again);
	feeder_fini(&f);
}

/* The number of flow records before the first of options, from 1; 0: none. */
static void
on_first_options(struct collector *c, const struct template *t,
		 const uint8_t *p, uint32_t length,
		 const struct message_header *header)
{
	uint64_t *first = c->user;

	if (t->shape->scope_count && !*first)
		*first = c->records + 1;
}

/* Options Data that other stages make is sent again, before what waits. */
static void
test_options_first(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	struct exporting_options options = {
		.name = "s", .type = EXPORTING_SELECTION_SEQUENCE};
	uint8_t record[16] = {0};
	struct collector c, again;
	const struct shape *shape, *sequence;
	const struct ledger *l;
	uint64_t first = 0;
	struct feeder f;
	uint16_t port;

	feeder_init(&f);
	collector_init(&c, false);
	port = collector_listen(&c, f.base, 0);
	d = to_port(EXPORTING_TCP, port);
	conf.options = &options;
	conf.options_count = 1;
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	sequence = SHAPE(&f, 1, 0, IE_selectionSequenceId, 8, 0,
			 IE_observationPointId, 8);
	stage_run(f.stage,
		  &(struct batch){.shape = sequence,
				  .scope = &f.scope,
				  .base = record,
				  .count = 1,
				  .stride = 16,
				  .options = OPTIONS_SELECTION_SEQUENCE});
	feeder_tick(&f, 300);
	LOOP_UNTIL(&f, c.options == 1);
	collector_fini(&c);
	/* Until the end is seen. */
	for (int i = 0; i < 20; i++) {
		feeder_tick(&f, 10);
		usleep(1000);
	}
	feed_flows(&f, shape, &f.scope, 5000, 0);
	feeder_tick(&f, 300);
	collector_init(&again, false);
	again.record = on_first_options;
	again.user = &first;
	collector_listen(&again, f.base, port);
	LOOP_UNTIL(&f, again.records == 5000);
	CU_ASSERT_EQUAL(again.options, 1);
	CU_ASSERT_EQUAL(first, 1);
	CU_ASSERT_EQUAL(again.bad_sequence + again.no_template, 0);
	feeder_finish(&f);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->exported, 5002);
	CU_ASSERT_TRUE(ledger_balanced(l));
	CU_ASSERT_TRUE(ledger_balanced(&f.stage->ledger));
	shape_release(shape);
	shape_release(sequence);
	collector_fini(&again);
	feeder_fini(&f);
}

/* RFC 7011 section 8.3: data that has waited is not from before its Template.
 */
static void
test_template_time(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	struct collector c;
	struct feeder f;
	uint16_t port;

	feeder_init(&f);
	collector_init(&c, false);
	port = closed_port(f.base);
	d = to_port(EXPORTING_TCP, port);
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	feed_flows(&f, shape, &f.scope, 100, 0);
	feeder_tick(&f, 300);
	usleep(1100000);
	collector_listen(&c, f.base, port);
	LOOP_UNTIL(&f, c.records == 100);
	CU_ASSERT_EQUAL(c.outcome[TEMPLATE_NEW], 1);
	CU_ASSERT_EQUAL(c.early, 0);
	shape_release(shape);
	feeder_finish(&f);
	collector_fini(&c);
	feeder_fini(&f);
}

/* Breaks the session in the middle of a stream again and again. */
static void
test_break(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	const struct ledger *l;
	uint64_t received = 0;
	struct feeder f;
	uint16_t port;

	feeder_init(&f);
	port = closed_port(f.base);
	d = to_port(EXPORTING_TCP, port);
	d.queue_octets = 4 << 20;
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	for (int round = 0; round < 5; round++) {
		struct collector c;

		collector_init(&c, false);
		collector_listen(&c, f.base, port);
		LOOP_UNTIL(&f, c.sessions == 1);
		for (int i = 0; i < 50; i++) {
			feed_flows(&f, shape, &f.scope, 5000, 0);
			feeder_tick(&f, 100);
			CU_ASSERT_TRUE(
				ledger_balanced(exporting_ledger(f.stage, 0)));
		}
		CU_ASSERT_EQUAL(c.bad_sequence + c.no_template, 0);
		CU_ASSERT_EQUAL(c.bad_message, 0);
		received += c.records;
		collector_fini(&c);
		for (int i = 0; i < 100; i++) {
			loop_once(f.base);
			usleep(1000);
		}
	}
	stage_tick(f.stage, f.now += 1000);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->in, 1250000);
	CU_ASSERT_TRUE(ledger_balanced(l));
	/* More than was received may be with a kernel, never less. */
	CU_ASSERT_TRUE(l->exported >= received);
	shape_release(shape);
	feeder_fini(&f);
}

static void
test_withdrawal(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *a, *b;
	struct collector c;
	struct feeder f;

	feeder_init(&f);
	collector_init(&c, false);
	d = to_port(EXPORTING_TCP, collector_listen(&c, f.base, 0));
	feeder_open(&f, &conf);
	a = flow_shape(&f);
	b = SHAPE(&f, 1, 0, IE_observationDomainId, 4, 0, IE_samplingInterval,
		  4);
	for (int i = 1; i <= 3; i++) {
		feed_flows(&f, a, &f.scope, 500, 0);
		feed_flows(&f, b, &f.scope, 1, 0);
		stage_scope_end(f.stage, &f.scope);
		feeder_scope(&f, &f.scope, 7, "192.0.2.1");
		if (i == 1)
			CU_ASSERT_FALSE(stage_drained(f.stage));
		feeder_finish(&f);
		LOOP_UNTIL(&f,
			   c.outcome[TEMPLATE_WITHDRAWN] == 2 * (unsigned)i);
		CU_ASSERT_EQUAL(c.records, 500 * (unsigned)i);
		CU_ASSERT_EQUAL(c.options, (unsigned)i);
	}
	CU_ASSERT_EQUAL(c.sum, f.sum);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template + c.bad_message, 0);
	CU_ASSERT_EQUAL(c.outcome[TEMPLATE_WITHDRAWN_UNKNOWN], 0);
	CU_ASSERT_EQUAL(c.outcome[TEMPLATE_REDEFINED_BAD], 0);
	CU_ASSERT_EQUAL(template_store_count(c.store), 0);
	shape_release(a);
	shape_release(b);
	collector_fini(&c);
	feeder_fini(&f);
}

/* Nobody listens: the queue fills to its bound, no further, and is kept. */
static void
test_queue(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	const struct ledger *l;
	struct collector c;
	struct feeder f;
	uint64_t held, fed = 0;
	uint16_t port;

	feeder_init(&f);
	port = closed_port(f.base);
	d = to_port(EXPORTING_TCP, port);
	d.queue_octets = 1 << 20;
	d.max_message = 10000;
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	while (!stage_congested(f.stage) && fed < 1000000) {
		feed_flows(&f, shape, &f.scope, 100, 0);
		fed += 100;
	}
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_TRUE(fed * 16 > (1 << 20) / 4 * 3);
	CU_ASSERT_TRUE(fed * 16 < (1 << 20) / 4 * 3 + 20000);
	CU_ASSERT_EQUAL(l->held, fed);
	CU_ASSERT_EQUAL(ledger_lost(l), 0);
	for (int i = 0; i < 1000; i++)
		feed_flows(&f, shape, &f.scope, 100, 0);
	fed += 100000;
	stage_flush(f.stage);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->in, fed);
	CU_ASSERT_TRUE(ledger_balanced(l));
	CU_ASSERT_TRUE(l->lost[LOSS_DESTINATION_DOWN] > 0);
	CU_ASSERT_EQUAL(l->lost[LOSS_DESTINATION_DOWN], ledger_lost(l));
	CU_ASSERT_EQUAL(f.stage->ledger.lost[LOSS_DESTINATION_DOWN],
			ledger_lost(l));
	CU_ASSERT_EQUAL(f.stage->ledger.exported, l->held);
	CU_ASSERT_TRUE(l->held * 16 <= (1 << 20) + 10000);
	CU_ASSERT_FALSE(stage_drained(f.stage));
	held = l->held;
	collector_init(&c, false);
	collector_listen(&c, f.base, port);
	LOOP_UNTIL(&f, c.records == held);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template, 0);
	LOOP_UNTIL(&f, stage_drained(f.stage));
	CU_ASSERT_FALSE(stage_congested(f.stage));
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->exported, held);
	CU_ASSERT_EQUAL(l->held, 0);
	shape_release(shape);
	collector_fini(&c);
	feeder_fini(&f);
}

/* A rate limit makes the queue wait, and nothing else. */
/* At the end nothing is held: it has gone, or it is lost. */
static void
test_end(void)
{
	struct exporting_destination d[2];
	struct exporting_conf conf = conf_of(d, 2);
	const struct ledger *gone, *lost;
	const struct shape *shape;
	struct collector c;
	struct feeder f;

	feeder_init(&f);
	collector_init(&c, false);
	d[0] = to_port(EXPORTING_TCP, collector_listen(&c, f.base, 0));
	d[1] = to_port(EXPORTING_TCP, closed_port(f.base));
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	for (int i = 0; i < 5; i++)
		loop_once(f.base);
	feed_flows(&f, shape, &f.scope, 100, 0);
	stage_flush(f.stage);
	feed_flows(&f, shape, &f.scope, 50, 0);
	exporting_end(f.stage);
	gone = exporting_ledger(f.stage, 0);
	lost = exporting_ledger(f.stage, 1);
	CU_ASSERT_EQUAL(gone->exported, 100);
	CU_ASSERT_EQUAL(gone->lost[LOSS_DESTINATION_DOWN], 50);
	CU_ASSERT_EQUAL(lost->lost[LOSS_DESTINATION_DOWN], 150);
	CU_ASSERT_EQUAL(gone->held + lost->held, 0);
	CU_ASSERT_TRUE(ledger_balanced(gone));
	CU_ASSERT_TRUE(ledger_balanced(lost));
	LOOP_UNTIL(&f, c.records == 100);
	shape_release(shape);
	collector_fini(&c);
	feeder_fini(&f);
}

static void
test_rate(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	struct collector c;
	struct feeder f;
	uint64_t start;

	feeder_init(&f);
	collector_init(&c, true);
	d = to_port(EXPORTING_UDP, collector_listen(&c, f.base, 0));
	d.net.rate_octets = 200000;
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	start = clock_mono_ms();
	feed_flows(&f, shape, &f.scope, 10000, 0);
	feeder_finish(&f);
	LOOP_UNTIL(&f, c.records == 10000);
	/* 160,000 octets, less a burst that net_out allows. */
	CU_ASSERT_TRUE(clock_mono_ms() - start > 300);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template, 0);
	CU_ASSERT_EQUAL(c.sum, f.sum);
	shape_release(shape);
	collector_fini(&c);
	feeder_fini(&f);
}

/* Larger than a datagram can be: lost, counted, and then made smaller. */
static void
test_too_large(void)
{
	struct exporting_options options[] = {
		{"reliability", EXPORTING_EXPORTING_RELIABILITY, 100},
	};
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	const struct ledger *l;
	struct collector c;
	struct feeder f;

	feeder_init(&f);
	collector_init(&c, true);
	d = to_port(EXPORTING_UDP, collector_listen(&c, f.base, 0));
	d.max_message = 65535;
	conf.options = options;
	conf.options_count = 1;
	feeder_open(&f, &conf);
	loop_once(f.base);
	shape = flow_shape(&f);
	/* 4094 records make 65,524 octets, and UDP has room for 65,507. */
	feed_flows(&f, shape, &f.scope, 4094, 0);
	feed_flows(&f, shape, &f.scope, 1000, 0);
	feeder_finish(&f);
	LOOP_UNTIL(&f, c.records == 1000);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->lost[LOSS_TOO_LONG], 4094);
	CU_ASSERT_EQUAL(l->exported, 1000);
	CU_ASSERT_TRUE(ledger_balanced(l));
	feed_flows(&f, shape, &f.scope, 10000, 0);
	feeder_finish(&f);
	LOOP_UNTIL(&f, c.records == 11000);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template, 0);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(ledger_lost(l), 4094);
	CU_ASSERT_TRUE(ledger_balanced(l));
	shape_release(shape);
	collector_fini(&c);
	feeder_fini(&f);
}

static void
test_disk_full(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	const struct ledger *l;
	struct feeder f;

	feeder_init(&f);
	d = to_file("/dev/full");
	feeder_open(&f, &conf);
	loop_once(f.base);
	shape = flow_shape(&f);
	feed_flows(&f, shape, &f.scope, 100000, 0);
	stage_flush(f.stage);
	CU_ASSERT_FALSE(stage_drained(f.stage));
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->in, 100000);
	CU_ASSERT_EQUAL(l->exported, 0);
	CU_ASSERT_TRUE(l->lost[LOSS_WRITE_ERROR] > 50000);
	CU_ASSERT_TRUE(ledger_balanced(l));
	shape_release(shape);
	feeder_fini(&f);
}

static void
test_parallel(void)
{
	struct exporting_destination d[3];
	struct exporting_conf conf = conf_of(d, 3);
	const struct shape *shape;
	struct collector tcp, udp, file;
	struct feeder f;

	feeder_init(&f);
	collector_init(&tcp, false);
	collector_init(&udp, true);
	collector_init(&file, false);
	d[0] = to_port(EXPORTING_TCP, collector_listen(&tcp, f.base, 0));
	d[1] = to_port(EXPORTING_UDP, collector_listen(&udp, f.base, 0));
	d[2] = to_file(f.path);
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	feed_flows(&f, shape, &f.scope, 1000, 0);
	feeder_finish(&f);
	LOOP_UNTIL(&f, tcp.records == 1000 && udp.records == 1000);
	collector_file(&file, f.path);
	CU_ASSERT_EQUAL(tcp.sum, f.sum);
	CU_ASSERT_EQUAL(udp.sum, f.sum);
	CU_ASSERT_EQUAL(file.sum, f.sum);
	CU_ASSERT_EQUAL(f.stage->ledger.exported, 1000);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(exporting_ledger(f.stage, i)->exported, 1000);
	shape_release(shape);
	collector_fini(&tcp);
	collector_fini(&udp);
	collector_fini(&file);
	feeder_fini(&f);
}

static void
test_fallback(void)
{
	struct exporting_destination d[2];
	struct exporting_conf conf = conf_of(d, 2);
	const struct shape *shape;
	struct collector c, file;
	struct feeder f;
	uint16_t port;

	feeder_init(&f);
	port = closed_port(f.base);
	d[0] = to_port(EXPORTING_TCP, port);
	d[1] = to_file(f.path);
	conf.mode = EXPORTING_FALLBACK;
	conf.grace_ms = 3000;
	conf.hold_ms = 5000;
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	loop_once(f.base);
	/* In its grace time the first is waited for. */
	feed_flows(&f, shape, &f.scope, 100, 0);
	feeder_tick(&f, 1000);
	feed_flows(&f, shape, &f.scope, 100, 0);
	CU_ASSERT_EQUAL(exporting_ledger(f.stage, 0)->in, 200);
	/* Then what waits for it goes to the second, too. */
	feeder_tick(&f, 3000);
	feed_flows(&f, shape, &f.scope, 50, 0);
	CU_ASSERT_EQUAL(exporting_ledger(f.stage, 0)->in, 0);
	CU_ASSERT_EQUAL(exporting_ledger(f.stage, 1)->in, 250);
	/* It comes, and is used again after the hold time. */
	collector_init(&c, false);
	collector_listen(&c, f.base, port);
	LOOP_UNTIL(&f, c.sessions == 1);
	feeder_tick(&f, 100);
	feed_flows(&f, shape, &f.scope, 50, 0);
	CU_ASSERT_EQUAL(exporting_ledger(f.stage, 1)->in, 300);
	feeder_tick(&f, 6000);
	feed_flows(&f, shape, &f.scope, 50, 0);
	feeder_finish(&f);
	LOOP_UNTIL(&f, c.records == 50);
	collector_init(&file, false);
	collector_file(&file, f.path);
	CU_ASSERT_EQUAL(file.records, 300);
	CU_ASSERT_EQUAL(c.sum + file.sum, f.sum);
	CU_ASSERT_EQUAL(f.stage->ledger.exported, 350);
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT_TRUE(ledger_balanced(exporting_ledger(f.stage, i)));
	shape_release(shape);
	collector_fini(&c);
	collector_fini(&file);
	feeder_fini(&f);
}

static void
test_balance(void)
{
	struct exporting_destination d[2];
	struct exporting_conf conf = conf_of(d, 2);
	const struct shape *shape;
	struct collector a, b;
	struct feeder f;

	feeder_init(&f);
	collector_init(&a, false);
	collector_init(&b, false);
	d[0] = to_port(EXPORTING_TCP, collector_listen(&a, f.base, 0));
	d[1] = to_port(EXPORTING_TCP, collector_listen(&b, f.base, 0));
	conf.mode = EXPORTING_LOAD_BALANCING;
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	for (uint32_t i = 0; i < 12; i++) {
		struct scope scope;

		feeder_scope(&f, &scope, i, "192.0.2.1");
		for (int k = 0; k < 5; k++)
			feed_flows(&f, shape, &scope, 100, 0);
	}
	feeder_finish(&f);
	LOOP_UNTIL(&f, a.records + b.records == 6000);
	/* Each domain at one destination only. */
	CU_ASSERT_EQUAL(a.seen_count + b.seen_count, 12);
	CU_ASSERT_TRUE(a.seen_count >= 2);
	CU_ASSERT_TRUE(b.seen_count >= 2);
	CU_ASSERT_EQUAL(a.sum + b.sum, f.sum);
	shape_release(shape);
	collector_fini(&a);
	collector_fini(&b);
	feeder_fini(&f);
}

/* Many domains with an open message each: memory for them is bounded. */
static void
test_many_domains(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	struct feeder f;

	feeder_init(&f);
	d = to_file(f.path);
	feeder_open(&f, &conf);
	loop_once(f.base);
	shape = flow_shape(&f);
	for (int k = 0; k < 2; k++)
		for (uint32_t i = 0; i < 5000; i++) {
			struct scope scope;

			feeder_scope(&f, &scope, i, "192.0.2.1");
			scope.serial = 1000000 + i;
			feed_flows(&f, shape, &scope, 3, 0);
		}
	feeder_finish(&f);
	CU_ASSERT_EQUAL(exporting_ledger(f.stage, 0)->exported, 30000);
	CU_ASSERT_TRUE(ledger_balanced(exporting_ledger(f.stage, 0)));
	shape_release(shape);
	feeder_fini(&f);
}

static void
test_report(void)
{
	struct exporting_destination d[3];
	struct exporting_conf conf = conf_of(d, 3);
	const struct shape *shape;
	struct text text = {0};
	struct report r;
	struct collector c;
	struct feeder f;

	feeder_init(&f);
	collector_init(&c, true);
	d[0] = to_file(f.path);
	d[1] = to_port(EXPORTING_UDP, collector_listen(&c, f.base, 0));
	d[2] = to_port(EXPORTING_TCP, closed_port(f.base));
	conf.id = 77;
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	feed_flows(&f, shape, &f.scope, 10, 0);
	stage_flush(f.stage);
	for (int i = 0; i < 5; i++)
		feeder_tick(&f, 100);
	report_begin(&r, &text, true);
	report_open(&r, "exportingProcess");
	f.stage->ops->report(f.stage, &r);
	report_close(&r);
	report_end(&r);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text.data);
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"exportingProcessId\":77"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text.data, "\"exportMode\":\"parallel\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"fileWriter\":{"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"status\":\"active\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"status\":\"inactive\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"templateId\":256"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"held\":10"));
	text_fini(&text);
	shape_release(shape);
	collector_fini(&c);
	feeder_fini(&f);
}

static const struct unit_test tests[] = {
	{"UDP", test_udp},
	{"refresh by time", test_refresh},
	{"refresh by packets", test_refresh_packets},
	{"TCP: a collector that comes back", test_reconnect},
	{"TCP: options before what waits", test_options_first},
	{"Export Time of Templates", test_template_time},
	{"TCP: sessions that break", test_break},
	{"TCP: withdrawals", test_withdrawal},
	{"the queue and its bound", test_queue},
	{"the end", test_end},
	{"a rate limit", test_rate},
	{"messages that are too large", test_too_large},
	{"a full disk", test_disk_full},
	{"parallel", test_parallel},
	{"fallback", test_fallback},
	{"load balancing", test_balance},
	{"many domains", test_many_domains},
	{"the report", test_report},
};

int
main(void)
{
	return unit_run("exporting: sessions", tests, UNIT_COUNT(tests));
}
