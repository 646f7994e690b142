/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Each allocation on the way from a net_out to a net_in fails once: opening
 * says so, or messages are lost, but nothing crashes or hangs. Leaks are for
 * the sanitizers.
 */
#include <signal.h>
#include <stdio.h>

#include "conflux/log.h"
#include "nomem.h"
#include "peer.h"

struct sender {
	struct net_out *out;
	unsigned sent, down;
};

static void
sender_push(void *arg)
{
	struct sender *s = arg;
	uint8_t message[5000];

	while (s->sent < 40) {
		test_message(message, sizeof(message), s->sent);
		if (net_out_send(s->out, message, sizeof(message)) < 0)
			break;
		s->sent++;
	}
}

static void
sender_down(void *arg, const char *reason, size_t unsent)
{
	((struct sender *)arg)->down++;
}

static const struct net_out_ops sender_ops = {
	.up = sender_push,
	.down = sender_down,
	.writable = sender_push,
};

static void
use(struct event_base *base, enum transport transport)
{
	struct addr local;
	struct net_in_conf in_conf = {.transport = transport,
				      .local = &local,
				      .local_count = 1,
				      .max_sessions = 10,
				      .idle_ms = 5000,
				      .session_idle_ms = 5000,
				      .frame = test_frame};
	struct net_out_conf out_conf = {.transport = transport,
					.reconnect_min_ms = 50,
					.reconnect_max_ms = 50,
					.rate_octets = 100000000};
	struct receiver r = {0};
	struct sender s = {0};
	struct net_in *in = NULL;
	char *error;
	int rc;

	loopback(&local, 4, 0);
	rc = net_in_open(base, &in_conf, &receiver_ops, &r, &in, &error);
	CU_ASSERT(rc == 0 || rc == -ENOMEM);
	free(error);
	if (rc < 0)
		return;
	out_conf.remote = local;
	out_conf.remote.port = net_in_port(in);
	rc = net_out_open(base, &out_conf, &sender_ops, &s, &s.out, &error);
	CU_ASSERT(rc == 0 || rc == -ENOMEM);
	free(error);
	if (rc == 0) {
		run_for(base, 10);
		net_out_close(s.out, 10);
	}
	net_in_close(in);
	CU_ASSERT_EQUAL(r.closed, r.opened);
}

static void
use_file(struct event_base *base)
{
	char name[] = "net_test.XXXXXX";
	const char *files[] = {name, name};
	struct net_in_conf in_conf = {.transport = TRANSPORT_FILE,
				      .files = files,
				      .file_count = 2,
				      .frame = test_frame};
	struct net_out_conf out_conf = {.transport = TRANSPORT_FILE,
					.file = name};
	struct receiver r = {0};
	struct sender s = {0};
	struct net_in *in = NULL;
	char *error;
	int rc;

	close(mkstemp(name));
	rc = net_out_open(base, &out_conf, &sender_ops, &s, &s.out, &error);
	CU_ASSERT(rc == 0 || rc == -ENOMEM);
	free(error);
	if (rc == 0) {
		run_for(base, 2);
		net_out_close(s.out, 0);
	}
	rc = net_in_open(base, &in_conf, &receiver_ops, &r, &in, &error);
	CU_ASSERT(rc == 0 || rc == -ENOMEM);
	free(error);
	if (rc == 0) {
		/* As long as it takes, in valgrind too. */
		for (int i = 0; i < 5000 && !r.finished; i++)
			run_for(base, 2);
		net_in_close(in);
		CU_ASSERT_EQUAL(r.messages, 2 * s.sent);
	}
	unlink(name);
}

static void
each(enum transport transport)
{
	unsigned nth = 0;

	do {
		struct event_base *base = event_base_new();

		nomem_begin(++nth);
		if (transport == TRANSPORT_FILE)
			use_file(base);
		else
			use(base, transport);
		event_base_free(base);
	} while (nomem_end() && nth < 1000);
	CU_ASSERT(nth > 4 && nth < 1000);
}

static void
test_udp(void)
{
	each(TRANSPORT_UDP);
}

static void
test_tcp(void)
{
	each(TRANSPORT_TCP);
}

static void
test_file(void)
{
	each(TRANSPORT_FILE);
}

static const struct unit_test tests[] = {
	{"UDP", test_udp},
	{"TCP", test_tcp},
	{"files", test_file},
};

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	return unit_run("net without memory", tests, UNIT_COUNT(tests));
}
