/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP and TLS the other way round: the receiver dials, the sender listens.
 */
#include <signal.h>
#include <stdio.h>

#include "secured.h"
#include "sender.h"

static struct {
	struct secure_conf exporter, collector;
} with_certificate, with_key;

static void
make_ends(void)
{
	const char *keys = certs_path(&secured.folder, "keys");

	certs_write_text(keys,
			 "first:00112233445566778899aabbccddee01\n"
			 "second:00112233445566778899aabbccddee02\n",
			 0600);
	with_certificate.exporter = secured.client;
	with_certificate.exporter.server = true;
	with_certificate.exporter.late_tickets = true;
	with_certificate.collector = secured.server;
	with_certificate.collector.server = false;
	with_key.exporter = (struct secure_conf){
		.server = true,
		.psk_file = keys,
		.min_version = SECURE_1_2,
		.max_version = SECURE_1_3,
	};
	with_key.collector = with_key.exporter;
	with_key.collector.server = false;
	with_key.collector.psk_identity = "first";
}

/* The sender's end, at a free port. */
static void
listening(struct event_base *base, struct net_out_conf *conf, struct sender *s,
	  const struct secure_conf *secure)
{
	struct addr local;

	loopback(&local, 4, conf->listen.port);
	conf->transport = TRANSPORT_TCP;
	conf->listen.on = true;
	conf->listen.local = &local;
	conf->listen.local_count = 1;
	conf->secure = secure;
	open_out(base, conf, s);
	conf->listen.port = net_out_port(s->out);
	CU_ASSERT(conf->listen.port > 0);
}

/* The receiver's end. */
static struct net_in *
dialling(struct event_base *base, const struct addr *to, unsigned count,
	 struct receiver *r, const struct secure_conf *secure)
{
	struct net_in_conf conf = {.transport = TRANSPORT_TCP,
				   .dial = to,
				   .dial_count = count,
				   .reconnect_min_ms = 50,
				   .reconnect_max_ms = 100,
				   .frame = test_frame,
				   .secure = secure};
	struct net_in *in = NULL;
	char *error = NULL;
	int rc = net_in_open(base, &conf, &receiver_ops, r, &in, &error);

	if (rc < 0)
		fprintf(stderr, "%s\n", error ? error : "no text");
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	free(error);
	return in;
}

struct pair {
	struct event_base *base;
	struct net_out_conf conf;
	struct sender sender;
	struct receiver receiver;
	struct addr at;
	struct net_in *in;
};

static void
pair_open(struct pair *p, const struct secure_conf *out,
	  const struct secure_conf *in, uint32_t count, size_t length)
{
	*p = (struct pair){.base = event_base_new()};
	p->sender.stop = count;
	p->sender.length = length;
	listening(p->base, &p->conf, &p->sender, out);
	loopback(&p->at, 4, p->conf.listen.port);
	p->in = dialling(p->base, &p->at, 1, &p->receiver, in);
}

static void
pair_close(struct pair *p)
{
	net_out_close(p->sender.out, 0);
	net_in_close(p->in);
	event_base_free(p->base);
}

static void
all_comes(const struct secure_conf *out, const struct secure_conf *in,
	  const char *collector, const char *exporter, size_t length)
{
	struct net_out_stats stats;
	struct pair p;

	pair_open(&p, out, in, 3000, length);
	RUN_UNTIL(p.base, p.receiver.messages == 3000);
	CU_ASSERT_EQUAL(p.receiver.out_of_order, 0);
	CU_ASSERT_EQUAL(p.receiver.octets, 3000 * length);
	CU_ASSERT_EQUAL(p.receiver.last.remote.port, p.at.port);
	net_out_stats(p.sender.out, &stats);
	CU_ASSERT_EQUAL(stats.messages, 3000);
	CU_ASSERT_EQUAL(stats.remote.port, p.receiver.last.local.port);
	CU_ASSERT_EQUAL(stats.local.port, p.at.port);
	if (collector) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(stats.peer);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p.receiver.last.peer);
		CU_ASSERT_STRING_EQUAL(stats.peer, collector);
		CU_ASSERT_STRING_EQUAL(p.receiver.last.peer, exporter);
	}
	/* An end in order loses nothing. */
	p.sender.stop = 3005;
	sender_push(&p.sender);
	net_out_close(p.sender.out, 200);
	p.sender.out = NULL;
	RUN_UNTIL(p.base, p.receiver.closed == 1);
	CU_ASSERT_PTR_NULL(p.receiver.reason);
	CU_ASSERT_EQUAL(p.receiver.messages, p.sender.next - p.sender.unsent);
	pair_close(&p);
}

static void
test_all_comes(void)
{
	struct secure_conf older = with_certificate.collector;

	older.max_version = SECURE_1_2;
	all_comes(NULL, NULL, NULL, NULL, 100);
	all_comes(&with_certificate.exporter, &with_certificate.collector,
		  "collector.test", "exporter.test", 100);
	all_comes(&with_certificate.exporter, &older, "collector.test",
		  "exporter.test", 20000);
	all_comes(&with_key.exporter, &with_key.collector, "first",
		  "pre-shared key", 100);
}

/* Each end finds the other again. */
static void
comes_back(const struct secure_conf *out, const struct secure_conf *in)
{
	struct sender again = {.stop = 20, .next = 10, .length = 200};
	struct pair p;

	pair_open(&p, out, in, 10, 200);
	RUN_UNTIL(p.base, p.receiver.messages == 10);
	net_out_close(p.sender.out, 0);
	RUN_UNTIL(p.base, p.receiver.closed == 1 && p.receiver.refused > 0);
	p.sender = again;
	listening(p.base, &p.conf, &p.sender, out);
	RUN_UNTIL(p.base, p.receiver.messages == 20);
	CU_ASSERT_EQUAL(p.receiver.opened, 2);
	net_in_close(p.in);
	RUN_UNTIL(p.base, p.sender.down == 1);
	CU_ASSERT_EQUAL(p.sender.unsent, 0);
	p.in = dialling(p.base, &p.at, 1, &p.receiver, in);
	p.sender.stop = 30;
	RUN_UNTIL(p.base, p.receiver.messages == 30);
	CU_ASSERT_EQUAL(p.sender.up, 2);
	CU_ASSERT_EQUAL(p.receiver.out_of_order, 0);
	pair_close(&p);
}

static void
test_comes_back(void)
{
	comes_back(NULL, NULL);
	comes_back(&with_certificate.exporter, &with_certificate.collector);
}

/* What is left of the last session is used for the next. */
static void
test_resumes(void)
{
	struct pair p;

	pair_open(&p, &with_certificate.exporter, &with_certificate.collector,
		  10, 200);
	RUN_UNTIL(p.base, p.receiver.messages == 10);
	p.receiver.not_understood = true;
	p.sender.stop = 11;
	sender_push(&p.sender);
	RUN_UNTIL(p.base, p.receiver.closed == 1);
	RUN_UNTIL(p.base, p.sender.up == 2);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(net_out_counts(p.sender.out)->suite, "resumed"));
	pair_close(&p);
}

/* The way back is there, too. */
static void
test_answers(void)
{
	struct pair p;

	for (int i = 0; i < 2; i++) {
		pair_open(&p, i ? &with_certificate.exporter : NULL,
			  i ? &with_certificate.collector : NULL, 1, 200);
		RUN_UNTIL(p.base, p.receiver.messages == 1);
		check_answers(p.base, &p.sender, &p.receiver);
		pair_close(&p);
	}
}

/* Who dials a list tries the next one. */
static void
test_next_address(void)
{
	struct pair p = {.base = event_base_new()};
	struct addr to[2];
	uint16_t port = 0;
	int fd = test_listen(SOCK_STREAM, 4, &port);

	close(fd);
	p.sender.stop = 10;
	p.sender.length = 100;
	listening(p.base, &p.conf, &p.sender, NULL);
	loopback(&to[0], 4, port);
	loopback(&to[1], 4, p.conf.listen.port);
	p.in = dialling(p.base, to, 2, &p.receiver, NULL);
	RUN_UNTIL(p.base, p.receiver.messages == 10);
	CU_ASSERT_EQUAL(p.receiver.refused, 1);
	CU_ASSERT_EQUAL(p.receiver.last.remote.port, p.conf.listen.port);
	pair_close(&p);
}

/* The same peer takes its session over; it may have been started anew. */
static void
test_replaces(void)
{
	struct pair p;
	int fd;

	pair_open(&p, NULL, NULL, 10, 100);
	RUN_UNTIL(p.base, p.receiver.messages == 10);
	fd = test_connect(SOCK_STREAM, 4, p.at.port);
	RUN_UNTIL(p.base, p.sender.up == 2);
	CU_ASSERT_EQUAL(p.sender.down, 1);
	RUN_UNTIL(p.base, p.sender.up == 3);
	CU_ASSERT_EQUAL(p.receiver.opened, 2);
	close(fd);
	pair_close(&p);
}

/* Another one is turned away, and goes on asking. */
static void
test_another(void)
{
	struct secure_conf other = with_key.collector;
	struct receiver second = {0};
	struct net_in *in;
	struct pair p;

	other.psk_identity = "second";
	pair_open(&p, &with_key.exporter, &with_key.collector, 10, 100);
	RUN_UNTIL(p.base, p.receiver.messages == 10);
	in = dialling(p.base, &p.at, 1, &second, &other);
	RUN_UNTIL(p.base,
		  net_out_counts(p.sender.out)->turned_away[NET_REFUSED_FULL] >=
			  2);
	CU_ASSERT_EQUAL(second.messages, 0);
	CU_ASSERT_EQUAL(p.sender.down, 0);
	/* And takes its turn when the first is gone. */
	net_in_close(p.in);
	p.in = NULL;
	RUN_UNTIL(p.base, p.sender.up == 2);
	p.sender.stop = 20;
	sender_push(&p.sender);
	RUN_UNTIL(p.base, second.messages == 10);
	net_in_close(in);
	pair_close(&p);
}

/* One that does not read is there all the same: see silent_ms. */
static void
test_slow(void)
{
	struct pair p = {.base = event_base_new()};
	int fd;

	p.conf.silent_ms = 100;
	p.sender.stop = 100000;
	p.sender.length = 1400;
	listening(p.base, &p.conf, &p.sender, NULL);
	fd = test_connect(SOCK_STREAM, 4, p.conf.listen.port);
	RUN_UNTIL(p.base, p.sender.error == -EAGAIN);
	run_for(p.base, 1000);
	CU_ASSERT_EQUAL(p.sender.down, 0);
	CU_ASSERT(net_out_unacknowledged(p.sender.out) > 0);
	close(fd);
	RUN_UNTIL(p.base, p.sender.down == 1);
	pair_close(&p);
}

static void
test_not_allowed(void)
{
	struct pair p = {.base = event_base_new()};
	struct addr allowed;

	addr_parse(&allowed, "127.0.0.9", 0);
	p.conf.listen.allowed = &allowed;
	p.conf.listen.allowed_count = 1;
	p.sender.stop = 10;
	p.sender.length = 100;
	listening(p.base, &p.conf, &p.sender, NULL);
	loopback(&p.at, 4, p.conf.listen.port);
	p.in = dialling(p.base, &p.at, 1, &p.receiver, NULL);
	RUN_UNTIL(p.base,
		  net_out_counts(p.sender.out)->turned_away[NET_REFUSED_PEER] >=
			  2);
	CU_ASSERT_EQUAL(p.sender.up, 0);
	CU_ASSERT_EQUAL(p.receiver.messages, 0);
	pair_close(&p);
}

/* A wrong name at either end: nothing is sent, no session is told of. */
static void
test_refused(void)
{
	static const char *const nobody[] = {"nobody.test"};
	struct secure_conf out = with_certificate.exporter;
	struct secure_conf in = with_certificate.collector;
	struct pair p;

	out.remote_fqdn.text = nobody;
	pair_open(&p, &out, &in, 10, 100);
	RUN_UNTIL(p.base,
		  net_out_counts(p.sender.out)->turned_away[NET_REFUSED_PEER] >=
			  2);
	RUN_UNTIL(p.base, p.receiver.refused >= 1);
	if (!unit_slow())
		CU_ASSERT_EQUAL(p.receiver.opened, 0);
	CU_ASSERT_EQUAL(p.sender.up, 0);
	pair_close(&p);
	in.remote_fqdn.text = nobody;
	pair_open(&p, &with_certificate.exporter, &in, 10, 100);
	RUN_UNTIL(p.base, p.receiver.refused >= 2);
	CU_ASSERT_EQUAL(p.receiver.opened, 0);
	CU_ASSERT_EQUAL(p.receiver.messages, 0);
	pair_close(&p);
}

/* Whoever is silent has its time, and is one of few. */
static void
test_stalled(void)
{
	struct pair p = {.base = event_base_new()};
	const uint64_t *away;
	int silent[3];

	p.conf.handshake_ms = 300;
	p.conf.listen.max_handshakes = 2;
	listening(p.base, &p.conf, &p.sender, &with_certificate.exporter);
	for (int i = 0; i < 3; i++)
		silent[i] = test_connect(SOCK_STREAM, 4, p.conf.listen.port);
	away = net_out_counts(p.sender.out)->turned_away;
	RUN_UNTIL(p.base, away[NET_REFUSED_FULL] == 1);
	RUN_UNTIL(p.base, away[NET_REFUSED_HANDSHAKE] == 2);
	for (int i = 0; i < 3; i++)
		close(silent[i]);
	CU_ASSERT_EQUAL(p.sender.up, 0);
	pair_close(&p);
}

/* What fails at the start is said; nothing is left over. */
static void
test_open(void)
{
	struct event_base *base = event_base_new();
	struct net_out_conf conf = {.transport = TRANSPORT_TCP};
	struct net_out *out = NULL;
	struct sender s = {0};
	char *error = NULL;
	struct addr local;
	uint16_t port = 0;
	int fd = test_listen(SOCK_STREAM, 4, &port);

	loopback(&local, 4, port);
	conf.listen.on = true;
	conf.listen.local = &local;
	conf.listen.local_count = 1;
	CU_ASSERT_EQUAL(
		net_out_open(base, &conf, &sender_ops, &s, &out, &error),
		-EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(error);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "cannot listen at 127.0.0.1"));
	free(error);
	close(fd);
	event_base_free(base);
}

static const struct unit_test tests[] = {
	{"all comes", test_all_comes},
	{"each end comes back", test_comes_back},
	{"a session goes on", test_resumes},
	{"answers", test_answers},
	{"the next address", test_next_address},
	{"the same peer again", test_replaces},
	{"another peer", test_another},
	{"a peer that does not read", test_slow},
	{"an address that may not", test_not_allowed},
	{"refused peers", test_refused},
	{"stalled handshakes", test_stalled},
	{"an address in use", test_open},
};

int
main(void)
{
	int rc;

	signal(SIGPIPE, SIG_IGN);
	secured_begin();
	make_ends();
	rc = unit_run("net reverse", tests, UNIT_COUNT(tests));
	secured_end();
	return rc;
}
