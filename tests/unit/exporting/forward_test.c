/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Store and forward: collectors that are away, slow, or break the connection;
 * nothing is lost, nothing doubled, and the ledger holds.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "folder.h"
#include "net/secured.h"
#include "peer.h"

static void
open_to(struct feeder *f, struct exporting_destination *d,
	enum exporting_kind kind, uint16_t port, const char *path)
{
	*d = to_port(kind, port);
	d->spool = (struct exporting_spool){
		.directory = path,
		.max_octets = 256 << 20,
		.segment_octets = 1 << 20,
		.replay_share = 100,
	};
}

static void
check_ledger(struct feeder *f)
{
	CU_ASSERT_TRUE(ledger_balanced(exporting_ledger(f->stage, 0)));
	CU_ASSERT_TRUE(ledger_balanced(&f->stage->ledger));
}

struct in_order {
	uint64_t last;
	unsigned wrong;
};

static void
check_order(struct collector *c, const struct template *t, const uint8_t *p,
	    uint32_t length, const struct message_header *header)
{
	struct in_order *order = c->user;
	uint64_t n = field_uint(t->shape, 0, IE_octetDeltaCount, 0, p);

	order->wrong += n != order->last + 1;
	order->last = n;
}

/* Away at first, and then there: by way of the disk, in order. */
static void
test_away(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	struct in_order order = {0};
	const struct shape *shape;
	const struct ledger *l;
	struct collector c, files;
	char path[FOLDER_NAME];
	struct feeder f;
	uint16_t port;

	folder_make(path);
	feeder_init(&f);
	port = closed_port(f.base);
	open_to(&f, &d, EXPORTING_TCP, port, path);
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	for (int i = 0; i < 40; i++) {
		feed_flows(&f, shape, &f.scope, 5000, 0);
		feeder_tick(&f, 300);
		check_ledger(&f);
	}
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->held, 200000);
	CU_ASSERT_TRUE(folder_find(path, ".ipfix", 0, NULL) >= 3);
	/* Each segment can be read by itself. */
	collector_init(&files, false);
	folder_each(path, collector_segment, &files);
	CU_ASSERT_EQUAL(files.records, 200000);
	CU_ASSERT_EQUAL(
		files.bad_sequence + files.bad_message + files.no_template, 0);
	collector_fini(&files);
	collector_init(&c, false);
	c.record = check_order;
	c.user = &order;
	collector_listen(&c, f.base, port);
	TICK_UNTIL(&f, c.records == 200000);
	CU_ASSERT_EQUAL(c.sum, f.sum);
	CU_ASSERT_EQUAL(order.wrong, 0);
	CU_ASSERT_EQUAL(c.bad_sequence + c.bad_message + c.no_template, 0);
	TICK_UNTIL(&f, exporting_ledger(f.stage, 0)->held == 0);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->exported, 200000);
	check_ledger(&f);
	/* And new ones go straight. */
	feed_flows(&f, shape, &f.scope, 1000, 0);
	feeder_finish(&f);
	TICK_UNTIL(&f, c.records == 201000);
	CU_ASSERT_EQUAL(folder_find(path, ".ipfix", 0, NULL), 0);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template, 0);
	shape_release(shape);
	collector_fini(&c);
	feeder_fini(&f);
	folder_remove(path);
}

/* Ended while the collector is away; the next run sends it. */
static void
test_restart(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape, *other;
	const struct ledger *l;
	struct collector c;
	char path[FOLDER_NAME];
	struct feeder f;
	uint64_t sum;
	uint16_t port;

	folder_make(path);
	feeder_init(&f);
	port = closed_port(f.base);
	open_to(&f, &d, EXPORTING_TCP, port, path);
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	other = SHAPE(&f, 0, 0, IE_octetDeltaCount, 8, 0, IE_interfaceName,
		      65535);
	feed_flows(&f, shape, &f.scope, 10000, 0);
	feeder_tick(&f, 300);
	TICK_UNTIL(&f, exporting_ledger(f.stage, 0)->held == 10000);
	stage_flush(f.stage);
	TICK_UNTIL(&f, stage_drained(f.stage));
	exporting_end(f.stage);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->held, 10000);
	CU_ASSERT_EQUAL(ledger_lost(l), 0);
	CU_ASSERT_TRUE(ledger_balanced(l));
	sum = f.sum;
	shape_release(shape);
	shape_release(other);
	feeder_fini(&f);

	feeder_init(&f);
	/* Messages may be shorter in this run, and ids are others. */
	d.max_message = 700;
	feeder_open(&f, &conf);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->in, 10000);
	CU_ASSERT_EQUAL(l->held, 10000);
	check_ledger(&f);
	shape = flow_shape(&f);
	other = SHAPE(&f, 0, 0, IE_octetDeltaCount, 8, 0, IE_sourceIPv4Address,
		      4);
	feed_flows(&f, other, &f.scope, 100, 0);
	feed_flows(&f, shape, &f.scope, 100, 0);
	collector_init(&c, false);
	collector_listen(&c, f.base, port);
	TICK_UNTIL(&f, c.records == 10200);
	CU_ASSERT_EQUAL(c.sum, f.sum + sum);
	CU_ASSERT_EQUAL(c.bad_sequence + c.bad_message + c.no_template, 0);
	CU_ASSERT_EQUAL(c.outcome[TEMPLATE_NEW], 2);
	CU_ASSERT_TRUE(c.longest <= 700);
	TICK_UNTIL(&f, exporting_ledger(f.stage, 0)->held == 0);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->exported, 10200);
	check_ledger(&f);
	shape_release(shape);
	shape_release(other);
	collector_fini(&c);
	feeder_fini(&f);
	folder_remove(path);
}

/* ---- a collector that breaks the connection ---------------------------------
 */

struct breaker {
	int listener, fd;
	uint8_t *data; /* all that arrived, whole messages first */
	size_t have, size;
};

static uint16_t
breaker_listen(struct breaker *b)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t length = sizeof(sin);
	int small = 65536;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	b->listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(b->listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	CU_ASSERT_EQUAL_FATAL(
		bind(b->listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
	listen(b->listener, 1);
	getsockname(b->listener, (struct sockaddr *)&sin, &length);
	b->fd = -1;
	b->size = 64 << 20;
	b->data = malloc(b->size);
	b->have = 0;
	return ntohs(sin.sin_port);
}

static void
breaker_read(struct breaker *b, size_t length, int flags)
{
	while (length) {
		ssize_t n = recv(b->fd, b->data + b->have,
				 length < b->size - b->have ? length
							    : b->size - b->have,
				 flags | MSG_DONTWAIT);

		if (n <= 0)
			return;
		b->have += (size_t)n;
		length -= (size_t)n;
		if (flags & MSG_PEEK)
			return;
	}
}

/*
 * Takes what its kernel has, which is exactly what was acknowledged, and
 * breaks the connection: what is unread makes a reset of it.
 */
static void
breaker_break(struct breaker *b)
{
	int waiting = 0;

	ioctl(b->fd, FIONREAD, &waiting);
	breaker_read(b, (size_t)waiting, MSG_PEEK);
	close(b->fd);
	close(b->listener);
}

static void
breaker_take(struct breaker *b, struct collector *c)
{
	size_t at = 0;
	int n;

	while ((n = message_frame(b->data + at, b->have - at)) > 0 &&
	       (size_t)n <= b->have - at) {
		collector_message(c, b->data + at, (size_t)n);
		at += (size_t)n;
	}
	free(b->data);
}

/*
 * The collector does not read: kernels fill up, the queue does, then the disk.
 * It breaks the connection, and another one gets the rest: each record once.
 */
static void
test_broken(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	const struct ledger *l;
	struct collector c;
	struct breaker b;
	char path[FOLDER_NAME];
	struct feeder f;
	uint64_t n = 0;
	uint16_t port;

	folder_make(path);
	feeder_init(&f);
	collector_init(&c, false);
	port = breaker_listen(&b);
	open_to(&f, &d, EXPORTING_TCP, port, path);
	d.max_message = 3000;
	d.queue_octets = 1 << 20;
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	while (b.fd < 0) {
		feeder_tick(&f, 1);
		b.fd = accept4(b.listener, NULL, NULL, SOCK_NONBLOCK);
	}
	for (int i = 0; i < 20; i++)
		loop_once(f.base);
	feed_flows(&f, shape, &f.scope, 1000, 0);
	feeder_tick(&f, 300);
	for (int i = 0; i < 20; i++) {
		loop_once(f.base);
		breaker_read(&b, 1 << 20, 0);
	}
	CU_ASSERT_TRUE(b.have > 0);
	/* It reads no more. */
	n = 1000;
	do {
		feed_flows(&f, shape, &f.scope, 10000, 0);
		feeder_tick(&f, 300);
		check_ledger(&f);
		n += 10000;
	} while (!folder_find(path, ".ipfix", 0, NULL) && n < 5000000);
	CU_ASSERT_TRUE(folder_find(path, ".ipfix", 0, NULL) > 0);
	for (int i = 0; i < 300; i++) {
		feeder_tick(&f, 100);
		usleep(1000);
	}
	breaker_break(&b);
	for (int i = 0; i < 300 && exporting_ledger(f.stage, 0)->held < n / 2;
	     i++) {
		feeder_tick(&f, 1);
		usleep(1000);
	}
	check_ledger(&f);
	breaker_take(&b, &c);
	CU_ASSERT_TRUE(c.records > 0 && c.records < n);
	/* What it had is exported, and the rest is held. */
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->exported, c.records);
	CU_ASSERT_EQUAL(l->held, n - c.records);
	CU_ASSERT_EQUAL(ledger_lost(l), 0);
	collector_listen(&c, f.base, port);
	TICK_UNTIL(&f, c.records >= n);
	TICK_UNTIL(&f, exporting_ledger(f.stage, 0)->held == 0);
	CU_ASSERT_EQUAL(c.records, n);
	CU_ASSERT_EQUAL(c.sum, f.sum);
	CU_ASSERT_EQUAL(c.bad_sequence + c.bad_message + c.no_template, 0);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->exported, n);
	check_ledger(&f);
	shape_release(shape);
	collector_fini(&c);
	feeder_fini(&f);
	folder_remove(path);
}

/* ---- how fast, and when ------------------------------------------------- */

struct times {
	uint32_t want;
	unsigned wrong;
};

static void
check_time(struct collector *c, const struct template *t, const uint8_t *p,
	   uint32_t length, const struct message_header *header)
{
	struct times *times = c->user;

	times->wrong += header->export_time != times->want;
}

static void
test_rate(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	struct times times = {.want = 1700000000};
	const struct shape *shape;
	struct collector c;
	char path[FOLDER_NAME];
	struct feeder f;
	uint16_t port;

	folder_make(path);
	feeder_init(&f);
	port = closed_port(f.base);
	open_to(&f, &d, EXPORTING_TCP, port, path);
	d.max_message = 1000; /* some 60 records */
	d.spool.replay_rate = 10000;
	feeder_open(&f, &conf);
	/* With an element that counts from the Export Time. */
	shape = SHAPE(&f, 0, 0, IE_flowStartDeltaMicroseconds, 4, 0,
		      IE_octetDeltaCount, 8);
	feed_flows(&f, shape, &f.scope, 50000, UINT64_C(1700000000000));
	feeder_tick(&f, 300);
	CU_ASSERT_EQUAL(exporting_ledger(f.stage, 0)->held, 50000);
	collector_init(&c, false);
	c.record = check_time;
	c.user = &times;
	collector_listen(&c, f.base, port);
	TICK_UNTIL(&f, c.records > 0);
	for (int i = 0; i < 10; i++)
		loop_once(f.base);
	/* Two seconds, by the clock of the stage. */
	uint64_t before = c.records;

	for (int i = 0; i < 20; i++) {
		feeder_tick(&f, 100);
		for (int k = 0; k < 10; k++)
			loop_once(f.base);
	}
	CU_ASSERT_TRUE(c.records - before <= 20000 + 10000);
	TICK_UNTIL(&f, c.records >= before + 19000);
	TICK_UNTIL(&f, c.records == 50000);
	CU_ASSERT_EQUAL(times.wrong, 0);
	CU_ASSERT_EQUAL(c.sum, f.sum);
	CU_ASSERT_EQUAL(c.bad_sequence + c.early, 0);
	shape_release(shape);
	collector_fini(&c);
	feeder_fini(&f);
	folder_remove(path);
}

/* With a share, new records are not held up by old ones. */
static void
test_share(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape, *other;
	struct collector c;
	char path[FOLDER_NAME];
	struct feeder f;
	uint64_t now, was, fed = 0;
	uint16_t port;

	folder_make(path);
	feeder_init(&f);
	port = closed_port(f.base);
	open_to(&f, &d, EXPORTING_TCP, port, path);
	d.max_message = 1000;
	d.spool.replay_share = 20;
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	other = SHAPE(&f, 0, 0, IE_sourceIPv4Address, 4);
	feed_flows(&f, shape, &f.scope, 100000, 0);
	feeder_tick(&f, 300);
	collector_init(&c, false);
	collector_listen(&c, f.base, port);
	/* There are new ones in each round, at first without a session. */
	do {
		feed_flows(&f, other, &f.scope, 1000, 0);
		feeder_tick(&f, 200);
		usleep(500);
	} while (c.records < 5000);
	was = exporting_ledger(f.stage, 0)->held;
	do {
		feed_flows(&f, other, &f.scope, 1000, 0);
		fed += 1000;
		feeder_tick(&f, 200);
		for (int k = 0; k < 5; k++)
			loop_once(f.base);
		now = exporting_ledger(f.stage, 0)->held;
	} while (now + 10000 > was && fed < 10000000);
	/* Of all records a fifth is replayed; some of either may wait. */
	CU_ASSERT_TRUE(now + 10000 <= was);
	CU_ASSERT_TRUE(was - now <= fed / 4 + 5000);
	check_ledger(&f);
	TICK_UNTIL(&f, exporting_ledger(f.stage, 0)->held == 0);
	CU_ASSERT_EQUAL(c.records, exporting_ledger(f.stage, 0)->in);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template, 0);
	shape_release(shape);
	shape_release(other);
	collector_fini(&c);
	feeder_fini(&f);
	folder_remove(path);
}

/* Templates that come and go while the collector is away. */
static void
test_templates(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	struct collector c, files;
	char path[FOLDER_NAME];
	struct scope other;
	struct feeder f;
	uint16_t port;

	folder_make(path);
	feeder_init(&f);
	port = closed_port(f.base);
	open_to(&f, &d, EXPORTING_TCP, port, path);
	d.max_message = 600;
	conf.max_templates = 3;
	feeder_open(&f, &conf);
	feeder_scope(&f, &other, 9, "192.0.2.9");
	for (uint32_t i = 0; i < 200; i++) {
		const struct shape *shape =
			SHAPE(&f, 0, 0, IE_octetDeltaCount, 8, 0,
			      IE_paddingOctets, 1 + i % 40);

		feed_flows(&f, shape, i % 2 ? &f.scope : &other, 30, 0);
		shape_release(shape);
		feeder_tick(&f, 100);
		if (i == 100)
			stage_scope_end(f.stage, &other);
	}
	feeder_tick(&f, 300);
	CU_ASSERT_EQUAL(exporting_ledger(f.stage, 0)->held, 6000);
	CU_ASSERT_EQUAL(exporting_ledger(f.stage, 0)->in, 6000);
	collector_init(&files, false);
	folder_each(path, collector_segment, &files);
	CU_ASSERT_EQUAL(files.records, 6000);
	CU_ASSERT_TRUE(files.outcome[TEMPLATE_WITHDRAWN] > 50);
	CU_ASSERT_EQUAL(files.outcome[TEMPLATE_REDEFINED_BAD], 0);
	CU_ASSERT_EQUAL(
		files.bad_sequence + files.bad_message + files.no_template, 0);
	collector_fini(&files);
	collector_init(&c, false);
	collector_listen(&c, f.base, port);
	TICK_UNTIL(&f, c.records == 6000);
	CU_ASSERT_EQUAL(c.sum, f.sum);
	CU_ASSERT_EQUAL(c.outcome[TEMPLATE_REDEFINED_BAD], 0);
	CU_ASSERT_EQUAL(c.bad_sequence + c.bad_message + c.no_template, 0);
	check_ledger(&f);
	collector_fini(&c);
	feeder_fini(&f);
	folder_remove(path);
}

/* Over UDP it is for what a rate holds back. */
static void
test_udp(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	const struct ledger *l;
	struct collector c;
	char path[FOLDER_NAME];
	struct feeder f;

	folder_make(path);
	feeder_init(&f);
	collector_init(&c, true);
	open_to(&f, &d, EXPORTING_UDP, collector_listen(&c, f.base, 0), path);
	d.net.rate_octets = 4000000;
	d.queue_octets = 131072;
	feeder_open(&f, &conf);
	loop_once(f.base);
	shape = flow_shape(&f);
	feed_flows(&f, shape, &f.scope, 100000, 0);
	feeder_tick(&f, 300);
	CU_ASSERT_TRUE(unit_slow() ||
		       folder_find(path, ".ipfix", 0, NULL) > 0);
	check_ledger(&f);
	TICK_UNTIL(&f, c.records == 100000);
	CU_ASSERT_EQUAL(c.sum, f.sum);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template, 0);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->exported, 100000);
	CU_ASSERT_EQUAL(l->held, 0);
	check_ledger(&f);
	shape_release(shape);
	collector_fini(&c);
	feeder_fini(&f);
	folder_remove(path);
}

/* Each serial number that arrives. */
static void
mark(struct collector *c, const struct template *t, const uint8_t *p,
     uint32_t length, const struct message_header *header)
{
	uint8_t *times = c->user;

	times[field_uint(t->shape, 0, IE_octetDeltaCount, 0, p)]++;
}

enum { MARKED = 100000 };

/* An association that the peer aborts: exactly what it had not comes again. */
static void
test_sctp(void)
{
	static uint8_t times[MARKED + 1];
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	const struct ledger *l;
	struct collector c, after;
	char path[FOLDER_NAME];
	struct feeder f;
	uint64_t exported;
	uint16_t port, udp;
	unsigned twice = 0;

	folder_make(path);
	feeder_init(&f);
	udp = closed_port(f.base);
	collector_init(&c, false);
	c.sctp_udp = udp;
	c.refuse_at = 20;
	c.record = mark;
	c.user = times;
	port = collector_listen(&c, f.base, 0);
	open_to(&f, &d, EXPORTING_SCTP, port, path);
	d.net.sctp = (struct net_sctp_conf){
		.stack = NET_SCTP_USERLAND,
		.local_udp = udp,
		.remote_udp = udp,
		.streams = 1,
	};
	addr_parse(&d.net.local, "127.0.0.1", 0);
	d.max_message = 1200;
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	feed_flows(&f, shape, &f.scope, 100, 0);
	TICK_UNTIL(&f, c.records == 100);
	feed_flows(&f, shape, &f.scope, MARKED - 100, 0);
	TICK_UNTIL(&f, c.closed > 0);
	TICK_UNTIL(&f, folder_find(path, ".ipfix", 0, NULL) > 0);
	collector_fini(&c);
	for (int i = 0; i < 50; i++) {
		feeder_tick(&f, 10);
		usleep(1000);
	}
	check_ledger(&f);
	l = exporting_ledger(f.stage, 0);
	exported = l->exported;
	CU_ASSERT_TRUE(exported > 0);
	CU_ASSERT_EQUAL(exported + l->held, MARKED);
	CU_ASSERT_EQUAL(ledger_lost(l), 0);
	collector_init(&after, false);
	after.sctp_udp = udp;
	after.record = mark;
	after.user = times;
	collector_listen(&after, f.base, port);
	TICK_UNTIL(&f, exporting_ledger(f.stage, 0)->held == 0);
	TICK_UNTIL(&f, after.records >= MARKED - exported);
	CU_ASSERT_EQUAL(after.records, MARKED - exported);
	for (unsigned i = 1; i <= MARKED; i++)
		twice += times[i] > 1;
	CU_ASSERT_EQUAL(twice, 0);
	CU_ASSERT_EQUAL(after.bad_sequence + after.no_template, 0);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->exported, MARKED);
	check_ledger(&f);
	shape_release(shape);
	collector_fini(&after);
	feeder_fini(&f);
	folder_remove(path);
}

/* DTLS over UDP: what was sent since the last answer comes again. */
static void
test_dtls(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	const struct ledger *l;
	struct collector c, after;
	char path[FOLDER_NAME];
	struct feeder f;
	uint16_t port;

	secured_begin();
	folder_make(path);
	feeder_init(&f);
	collector_init(&c, true);
	c.secure = &secured.server;
	port = collector_listen(&c, f.base, 0);
	open_to(&f, &d, EXPORTING_UDP, port, path);
	d.net.secure = &secured.client;
	d.net.handshake_ms = 5000;
	d.net.dtls = (struct net_dtls_conf){
		.heartbeat = true,
		.heartbeat_ms = 600000, /* none but that of the start */
		.heartbeat_tries = 3,
		.path_min = 600,
		.path_max = 1400,
	};
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	feed_flows(&f, shape, &f.scope, 1000, 0);
	TICK_UNTIL(&f, c.records == 1000);
	check_ledger(&f);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->exported, 1000);
	collector_fini(&c);
	TICK_UNTIL(&f, exporting_ledger(f.stage, 0)->held == 1000);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->exported, 0);
	CU_ASSERT_EQUAL(l->doubtful, 0);
	CU_ASSERT_EQUAL(ledger_lost(l), 0);
	check_ledger(&f);
	collector_init(&after, true);
	after.secure = &secured.server;
	collector_listen(&after, f.base, port);
	TICK_UNTIL(&f, after.records == 1000);
	TICK_UNTIL(&f, exporting_ledger(f.stage, 0)->held == 0);
	CU_ASSERT_EQUAL(after.sum, f.sum);
	CU_ASSERT_EQUAL(after.bad_sequence + after.no_template, 0);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->exported, 1000);
	check_ledger(&f);
	shape_release(shape);
	collector_fini(&after);
	feeder_fini(&f);
	folder_remove(path);
	secured_end();
}

static const struct unit_test tests[] = {
	{"away, and back", test_away},
	{"away at the end", test_restart},
	{"slow, and broken", test_broken},
	{"a rate, and Export Times", test_rate},
	{"a share", test_share},
	{"Templates come and go", test_templates},
	{"UDP", test_udp},
	{"SCTP, broken", test_sctp},
	{"DTLS, in doubt", test_dtls},
};

int
main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	return unit_run("exporting: store and forward", tests,
			UNIT_COUNT(tests));
}
