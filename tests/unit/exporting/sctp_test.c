/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * SCTP destinations: streams, their sequence numbers, and what RFC 6526 asks
 * for. By userland SCTP in UDP on loopback.
 */
#include "peer.h"

enum { STREAMS = 4, SHAPES = 6 };

/* A UDP port that is free; usrsctp has one for all of the process. */
static uint16_t
udp_port(void)
{
	static uint16_t port;
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t length = sizeof(sin);
	int fd;

	if (port)
		return port;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	bind(fd, (struct sockaddr *)&sin, length);
	getsockname(fd, (struct sockaddr *)&sin, &length);
	close(fd);
	port = ntohs(sin.sin_port);
	return port;
}

/* What came about the Templates of a domain. */
struct watcher {
	uint16_t stream[65536]; /* + 1, that it was defined on */
	uint8_t told[65536];	/* RFC 6526: 1 reliable, 2 not */
	unsigned elsewhere;	/* records on another stream */
	unsigned untold, reliable, unreliable;
	uint16_t reliability; /* the last such Options Template */
};

struct test {
	struct feeder f;
	struct collector c;
	struct watcher w;
	struct exporting_destination d;
	struct exporting_conf conf;
};

static void
on_record(struct collector *c, const struct template *t, const uint8_t *p,
	  uint32_t length, const struct message_header *header)
{
	struct watcher *w = c->user;
	uint16_t stream = c->session->stream + 1;

	if (!w->stream[t->id])
		w->stream[t->id] = stream;
	w->elsewhere += w->stream[t->id] != stream;
	if (shape_find(t->shape, 0, IE_dataRecordsReliability, 0) >= 0) {
		w->told[wire_get16(p)] = p[2];
		w->reliable += p[2] == 1;
		w->unreliable += p[2] == 2;
		w->elsewhere += w->stream[wire_get16(p)] &&
				w->stream[wire_get16(p)] != stream;
		w->stream[wire_get16(p)] = stream;
	} else {
		w->untold += !w->told[t->id];
	}
}

static void
test_open(struct test *t)
{
	memset(t, 0, sizeof(*t));
	feeder_init(&t->f);
	collector_init(&t->c, false);
	t->c.sctp_udp = udp_port();
	t->c.record = on_record;
	t->c.user = &t->w;
	t->conf = conf_of(&t->d, 1);
	t->d = to_port(EXPORTING_SCTP, collector_listen(&t->c, t->f.base, 0));
	t->d.net.sctp = (struct net_sctp_conf){
		.stack = NET_SCTP_USERLAND,
		.local_udp = udp_port(),
		.remote_udp = udp_port(),
		.streams = STREAMS,
	};
	addr_parse(&t->d.net.local, "127.0.0.1", 0);
}

static void
test_close(struct test *t)
{
	const struct ledger *l;

	feeder_finish(&t->f);
	CU_ASSERT_EQUAL(t->c.bad_sequence, 0);
	CU_ASSERT_EQUAL(t->c.no_template, 0);
	CU_ASSERT_EQUAL(t->c.bad_message, 0);
	CU_ASSERT_EQUAL(t->c.sum, t->f.sum);
	l = exporting_ledger(t->f.stage, 0);
	CU_ASSERT_EQUAL(l->exported, t->c.records);
	CU_ASSERT_EQUAL(ledger_lost(l), 0);
	collector_fini(&t->c);
	feeder_fini(&t->f);
}

/* Shapes that differ in one field. */
static const struct shape *
shape_number(struct test *t, unsigned i)
{
	static const uint16_t more[SHAPES] = {
		IE_ipClassOfService,	IE_protocolIdentifier,
		IE_sourceTransportPort, IE_destinationTransportPort,
		IE_ingressInterface,	IE_egressInterface};
	const uint32_t length = i < 2 ? 1 : i < 4 ? 2 : 4;

	return SHAPE(&t->f, 0, 0, IE_sourceIPv4Address, 4, 0, more[i], length,
		     0, IE_octetDeltaCount, 8);
}

static void
feed_shapes(struct test *t, unsigned rounds)
{
	for (unsigned n = 0; n < rounds; n++)
		for (unsigned i = 0; i < SHAPES; i++) {
			const struct shape *shape = shape_number(t, i);

			feed_flows(&t->f, shape, &t->f.scope, 50, 0);
			shape_release(shape);
		}
	feeder_tick(&t->f, 300);
}

static void
test_domains(void)
{
	static struct test t;
	struct scope scope[3];
	const struct shape *shape;

	test_open(&t);
	feeder_open(&t.f, &t.conf);
	shape = flow_shape(&t.f);
	for (unsigned i = 0; i < 3; i++) {
		feeder_scope(&t.f, &scope[i], 10 + i, "192.0.2.7");
		feed_flows(&t.f, shape, &scope[i], 1000, 0);
	}
	feeder_tick(&t.f, 300);
	LOOP_UNTIL(&t.f, t.c.records == 3000);
	/* Each on its own stream, which counts its own records. */
	CU_ASSERT_EQUAL(t.c.seen_count, 3);
	for (unsigned i = 0; i < t.c.seen_count; i++)
		for (unsigned k = 0; k < i; k++)
			CU_ASSERT_NOT_EQUAL(t.c.seen[i].stream,
					    t.c.seen[k].stream);
	shape_release(shape);
	test_close(&t);
}

static void
test_templates(void)
{
	static struct test t;

	test_open(&t);
	t.d.stream_per_template = true;
	feeder_open(&t.f, &t.conf);
	feed_shapes(&t, 20);
	LOOP_UNTIL(&t.f, t.c.records == 20 * SHAPES * 50);
	CU_ASSERT_EQUAL(t.w.elsewhere, 0);
	CU_ASSERT_EQUAL(t.w.untold, 0);
	CU_ASSERT_EQUAL(t.w.reliable, SHAPES);
	/* All streams are in use, by one domain. */
	CU_ASSERT_EQUAL(t.c.seen_count, STREAMS);
	/* With its end all Templates are withdrawn, each on its stream. */
	stage_scope_end(t.f.stage, &t.f.scope);
	LOOP_UNTIL(&t.f, t.c.outcome[TEMPLATE_WITHDRAWN] == 2 * SHAPES);
	CU_ASSERT_EQUAL(t.c.outcome[TEMPLATE_WITHDRAWN_UNKNOWN], 0);
	test_close(&t);
}

/* With a lifetime data is said to be unreliable. */
static void
test_lifetime(void)
{
	static struct test t;

	test_open(&t);
	t.d.stream_per_template = true;
	t.d.lifetime_ms = 60000;
	feeder_open(&t.f, &t.conf);
	feed_shapes(&t, 1);
	LOOP_UNTIL(&t.f, t.c.records == SHAPES * 50);
	CU_ASSERT_EQUAL(t.w.unreliable, SHAPES);
	CU_ASSERT_EQUAL(t.w.untold, 0);
	test_close(&t);
}

/* Once the Templates are acknowledged, which takes the stack some time. */
static void
test_unordered(void)
{
	static struct test t;
	uint64_t until = clock_mono_ms() + WAIT_MS;
	uint64_t records = 0;

	test_open(&t);
	t.d.unordered = true;
	feeder_open(&t.f, &t.conf);
	while (!t.c.unordered && clock_mono_ms() < until) {
		feed_shapes(&t, 1);
		records += SHAPES * 50;
		LOOP_UNTIL(&t.f, t.c.records == records);
	}
	CU_ASSERT_TRUE(t.c.unordered > 0);
	test_close(&t);
}

static const struct unit_test tests[] = {
	{"a stream for a domain", test_domains},
	{"a stream for a Template", test_templates},
	{"unreliable data is told", test_lifetime},
	{"unordered data", test_unordered},
};

int
main(void)
{
	return unit_run("exporting over SCTP", tests, UNIT_COUNT(tests));
}
