/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS over TCP between our two ends. That others understand it is shown in
 * tests/integration/tls.sh.
 */
#include <signal.h>

#include "secured.h"
#include "sender.h"

/* Both ends, over the loopback interface. */
struct pair {
	struct event_base *base;
	struct receiver receiver;
	struct sender sender;
	struct net_in *in;
	struct net_out_conf conf;
};

static void
pair_open(struct pair *p, const struct secure_conf *in,
	  const struct secure_conf *out, uint32_t count, size_t length)
{
	*p = (struct pair){.base = event_base_new()};
	p->conf = (struct net_out_conf){.transport = TRANSPORT_TCP,
					.reconnect_min_ms = 50,
					.reconnect_max_ms = 100,
					.secure = out};
	loopback(&p->conf.remote, 4, 0);
	p->in = open_secured(p->base, TRANSPORT_TCP, &p->conf.remote,
			     &p->receiver, in);
	p->sender.stop = count;
	p->sender.length = length;
	open_out(p->base, &p->conf, &p->sender);
}

static void
pair_close(struct pair *p)
{
	net_out_close(p->sender.out, 0);
	net_in_close(p->in);
	event_base_free(p->base);
}

/* What the library holds wakes nobody: a receiver that pauses gets it all. */
static void
pauses(enum secure_version version, size_t length)
{
	struct secure_conf secure = secured.client;
	struct pair p;

	secure.max_version = version;
	pair_open(&p, &secured.server, &secure, 5000, length);
	RUN_UNTIL(p.base, p.receiver.messages > 0);
	CU_ASSERT_STRING_EQUAL(p.receiver.last.peer, "exporter.test");
	while (p.receiver.messages < 5000) {
		uint32_t had = p.receiver.messages;

		p.receiver.busy = true;
		run_for(p.base, 3);
		p.receiver.busy = false;
		RUN_UNTIL(p.base, p.receiver.messages > had);
		if (p.receiver.messages == had)
			break;
	}
	CU_ASSERT_EQUAL(p.receiver.messages, 5000);
	CU_ASSERT_EQUAL(p.receiver.out_of_order, 0);
	CU_ASSERT_EQUAL(p.receiver.octets, 5000 * length);
	pair_close(&p);
}

static void
test_pauses(void)
{
	pauses(SECURE_1_2, 100);
	pauses(SECURE_1_2, 20000);
	pauses(SECURE_1_3, 100);
	pauses(SECURE_1_3, 20000);
}

/* All that was sent before the end arrives, with tickets on their way, too. */
static void
test_end(void)
{
	struct secure_conf in = secured.server;
	struct net_out_stats stats;
	struct pair p;

	for (int late = 0; late < 2; late++) {
		in.late_tickets = late;
		pair_open(&p, &in, &secured.client, 100, 2000);
		RUN_UNTIL(p.base, p.sender.next == 100);
		net_out_stats(p.sender.out, &stats);
		CU_ASSERT_PTR_NOT_NULL_FATAL(stats.peer);
		CU_ASSERT_STRING_EQUAL(stats.peer, "collector.test");
		CU_ASSERT_PTR_NOT_NULL(strstr(stats.suite, "TLSv1.3"));
		net_out_close(p.sender.out, 100);
		p.sender.out = NULL;
		RUN_UNTIL(p.base, p.receiver.closed == 1);
		CU_ASSERT_PTR_NULL(p.receiver.reason);
		CU_ASSERT_EQUAL(p.receiver.messages, 100);
		CU_ASSERT_EQUAL(p.sender.unsent, 0);
		pair_close(&p);
	}
}

/* Whoever does not go on, or speaks no TLS, is turned away and counted. */
static void
test_stalled(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	struct addr local;
	struct net_in *in;
	int silent, plain;

	loopback(&local, 4, 0);
	in = open_secured(base, TRANSPORT_TCP, &local, &r, &secured.server);
	silent = test_connect(SOCK_STREAM, 4, local.port);
	plain = test_connect(SOCK_STREAM, 4, local.port);
	CU_ASSERT_EQUAL(send(plain, "MMMMMMMMMMMMMMMM", 16, 0), 16);
	RUN_UNTIL(base, r.refused == 2);
	CU_ASSERT_EQUAL(r.opened, 0);
	CU_ASSERT_EQUAL(r.closed, 0);
	close(silent);
	close(plain);
	net_in_close(in);
	event_base_free(base);
}

/*
 * A client of TLS 1.3 is done first. It gives a refusal some time to arrive, so
 * that nothing is sent to one that does not accept it: 50 ms and two round
 * trips, which a slow machine's refusal exceeds.
 */
static void
test_refused(void)
{
	static const char *const nobody[] = {"nobody.test"};
	struct secure_conf in = secured.server;
	struct pair p;

	in.remote_fqdn.text = nobody;
	pair_open(&p, &in, &secured.client, 100, 2000);
	RUN_UNTIL(p.base, p.receiver.refused > 0 && p.sender.down > 0);
	if (!unit_slow()) {
		CU_ASSERT_EQUAL(p.sender.up, 0);
		CU_ASSERT_EQUAL(p.sender.next, 0);
	}
	CU_ASSERT_EQUAL(p.receiver.messages, 0);
	pair_close(&p);
}

/* New files are for new sessions; the present one goes on. */
static void
test_reload(void)
{
	char *error = NULL;
	struct pair p;

	pair_open(&p, &secured.server, &secured.client, 10, 100);
	RUN_UNTIL(p.base, p.receiver.messages == 10);
	CU_ASSERT_EQUAL(net_in_reload(p.in, &error), 1);
	CU_ASSERT_EQUAL(net_out_reload(p.sender.out, &error), 1);
	p.sender.stop = 20;
	sender_push(&p.sender);
	RUN_UNTIL(p.base, p.receiver.messages == 20);
	CU_ASSERT_EQUAL(p.receiver.opened, 1);
	/* What can't be read changes nothing. */
	unlink(certs_path(&secured.folder, "exporter.key"));
	CU_ASSERT(net_out_reload(p.sender.out, &error) < 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(error);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "exporter.key"));
	free(error);
	p.sender.stop = 30;
	sender_push(&p.sender);
	RUN_UNTIL(p.base, p.receiver.messages == 30);
	pair_close(&p);
}

static void
test_answers(void)
{
	struct pair p;

	pair_open(&p, &secured.server, &secured.client, 1, 100);
	RUN_UNTIL(p.base, p.receiver.messages == 1);
	check_answers(p.base, &p.sender, &p.receiver);
	pair_close(&p);
}

static const struct unit_test tests[] = {
	{"a receiver that pauses", test_pauses},
	{"the end", test_end},
	{"stalled handshakes", test_stalled},
	{"a refused peer", test_refused},
	{"answers", test_answers},
	{"reload", test_reload}, /* the last: a key is gone */
};

int
main(void)
{
	int rc;

	signal(SIGPIPE, SIG_IGN);
	secured_begin();
	rc = unit_run("net tls", tests, UNIT_COUNT(tests));
	secured_end();
	return rc;
}
