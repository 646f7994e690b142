/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "certs.h"
#include "peer.h"

#define LINE "exporter.example.net:00112233445566778899aabbccddeeff\n"

struct fixture {
	struct certs_folder folder;
	struct event_base *base;
	struct secure_conf server, client;
	struct net_in *in;
	struct net_out *out;
	struct receiver receiver;
	uint16_t port;
	unsigned up, down;
	size_t unsent;
	unsigned asked, answered;
	bool renegotiation;
	uint32_t next, stop; /* messages to send */
	int error;	     /* of the last send */
};

static void
push(struct fixture *f)
{
	uint8_t message[500];

	while (f->next < f->stop) {
		test_message(message, sizeof(message), f->next);
		f->error = net_out_send(f->out, message, sizeof(message));
		if (f->error < 0)
			return;
		f->next++;
	}
}

static void
on_up(void *arg)
{
	struct fixture *f = arg;

	f->up++;
	push(f);
}

static void
on_down(void *arg, const char *reason, size_t unsent)
{
	struct fixture *f = arg;

	f->down++;
	f->unsent += unsent;
}

static void
on_writable(void *arg)
{
	push(arg);
}

static void
on_asked(void *arg, bool answered)
{
	struct fixture *f = arg;

	f->asked += !answered;
	f->answered += answered;
}

static const struct net_out_ops out_ops = {
	.up = on_up,
	.down = on_down,
	.writable = on_writable,
	.asked = on_asked,
};

static void
open_in(struct fixture *f)
{
	struct addr local;
	struct net_in_conf conf = {
		.transport = TRANSPORT_UDP,
		.session_idle_ms = 600000,
		.local = &local,
		.local_count = 1,
		.max_sessions = 10,
		.secure = &f->server,
		.dtls = {.heartbeat = true,
			 .max_handshakes = 10,
			 .handshake_rate = 1000,
			 .renegotiation = f->renegotiation},
	};
	char *error = NULL;

	loopback(&local, 4, f->port);
	CU_ASSERT_EQUAL_FATAL(net_in_open(f->base, &conf, &receiver_ops,
					  &f->receiver, &f->in, &error),
			      0);
	f->port = net_in_port(f->in);
}

static void
open_out(struct fixture *f, const struct net_dtls_conf *dtls)
{
	struct net_out_conf conf = {
		.transport = TRANSPORT_UDP,
		.secure = &f->client,
		.reconnect_min_ms = 50,
		.reconnect_max_ms = 200,
		.dtls = *dtls,
	};
	char *error = NULL;

	loopback(&conf.remote, 4, f->port);
	conf.dtls.path_min = 600;
	conf.dtls.path_max = 1400;
	CU_ASSERT_EQUAL_FATAL(
		net_out_open(f->base, &conf, &out_ops, f, &f->out, &error), 0);
}

static void
begin_with(struct fixture *f, bool renegotiation)
{
	*f = (struct fixture){.server = {.server = true},
			      .renegotiation = renegotiation};
	certs_begin(&f->folder);
	f->server.psk_file = certs_path(&f->folder, "psk");
	certs_write_text(f->server.psk_file, LINE, 0600);
	f->client.psk_file = f->server.psk_file;
	f->client.psk_identity = "exporter.example.net";
	f->client.resumption = f->server.resumption = true;
	f->base = event_base_new();
	open_in(f);
}

static void
begin(struct fixture *f)
{
	begin_with(f, false);
}

static void
end(struct fixture *f)
{
	net_out_close(f->out, 100);
	net_in_close(f->in);
	event_base_free(f->base);
	certs_end(&f->folder);
}

static void
test_messages(void)
{
	struct net_out_stats stats;
	struct fixture f;

	begin(&f);
	f.stop = 1000;
	open_out(&f, &(struct net_dtls_conf){.heartbeat = true});
	RUN_UNTIL(f.base, f.receiver.messages == 1000);
	CU_ASSERT_EQUAL(f.receiver.out_of_order, 0);
	CU_ASSERT_EQUAL(f.up, 1);
	CU_ASSERT_STRING_EQUAL(f.receiver.last.peer, "exporter.example.net");
	net_out_stats(f.out, &stats);
	CU_ASSERT_EQUAL(stats.messages, 1000);
	CU_ASSERT_EQUAL(stats.octets, 500000);
	/* 28 octets are headers, the rest is what sealing adds. */
	CU_ASSERT(stats.path_octets > 1300 && stats.path_octets < 1372);
	CU_ASSERT_EQUAL(f.receiver.closed, 0);
	net_out_close(f.out, 100);
	f.out = NULL;
	RUN_UNTIL(f.base, f.receiver.closed == 1);
	CU_ASSERT_PTR_NULL(f.receiver.reason);
	end(&f);
}

/* A collector that was killed and started again, as its exporter sees it. */
static void
test_gone_peer(void)
{
	struct net_out_stats stats;
	struct fixture f;
	uint16_t port;
	int fd;

	begin(&f);
	f.stop = 10;
	open_out(&f, &(struct net_dtls_conf){.heartbeat = true,
					     .heartbeat_ms = 100,
					     .heartbeat_tries = 1});
	RUN_UNTIL(f.base, f.receiver.messages == 10);
	RUN_UNTIL(f.base, f.answered >= 3);
	CU_ASSERT_EQUAL(f.down, 0);
	/* Somebody is there, but has no session: nothing comes back. */
	net_in_close(f.in);
	port = f.port;
	fd = test_listen(SOCK_DGRAM, 4, &port);
	CU_ASSERT_FATAL(fd >= 0);
	f.stop = 15;
	push(&f);
	RUN_UNTIL(f.base, f.down == 1);
	CU_ASSERT(f.asked >= f.answered);
	net_out_stats(f.out, &stats);
	CU_ASSERT_EQUAL(stats.doubtful, 5);
	close(fd);
	open_in(&f);
	f.stop = 20;
	RUN_UNTIL(f.base, f.receiver.messages == 15);
	CU_ASSERT_EQUAL(f.up, 2);
	net_out_stats(f.out, &stats);
	CU_ASSERT_TRUE(stats.up);
	end(&f);
}

/* Without heartbeats the path is found out by ClientHellos. */
static void
test_hello_probes(void)
{
	struct net_out_stats stats;
	struct fixture f;

	begin(&f);
	f.stop = 10;
	open_out(&f, &(struct net_dtls_conf){.path_probing = true});
	RUN_UNTIL(f.base, f.receiver.messages == 10);
	net_out_stats(f.out, &stats);
	CU_ASSERT(stats.path_octets > 1300 && stats.path_octets < 1372);
	CU_ASSERT_EQUAL(f.receiver.opened, 1);
	end(&f);
}

/* Messages go on while session after session is replaced. */
static void
test_replaced(void)
{
	struct fixture f;

	begin(&f);
	f.stop = 1;
	open_out(&f, &(struct net_dtls_conf){.heartbeat = true,
					     .lifetime_ms = 100,
					     .lifetime_always = true});
	RUN_UNTIL(f.base, f.up == 1);
	for (unsigned i = 0; i < 100; i++) {
		f.stop++;
		push(&f);
		run_for(f.base, 10);
	}
	CU_ASSERT(f.up >= 3);
	CU_ASSERT_EQUAL(f.down, 0);
	RUN_UNTIL(f.base, f.receiver.messages == 101);
	CU_ASSERT_EQUAL(f.receiver.out_of_order, 0);
	end(&f);
}

/* Handshakes within the session, while messages go on; done, or declined. */
static void
test_renegotiation(void)
{
	struct fixture f;

	for (int allowed = 0; allowed < 2; allowed++) {
		begin_with(&f, allowed);
		open_out(&f, &(struct net_dtls_conf){.renegotiate_ms = 100});
		RUN_UNTIL(f.base, f.up == 1);
		/* Once when it is up, then with each answer. */
		while (f.answered < 4 && !f.down) {
			f.stop++;
			push(&f);
			run_for(f.base, 5);
		}
		RUN_UNTIL(f.base, f.next == f.stop);
		RUN_UNTIL(f.base, f.receiver.messages == f.stop);
		CU_ASSERT_EQUAL(f.receiver.out_of_order, 0);
		CU_ASSERT_EQUAL(f.down, 0);
		CU_ASSERT_EQUAL(f.up, 1);
		CU_ASSERT_EQUAL(f.receiver.opened, 1);
		end(&f);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"messages", test_messages},
		{"peer that goes and comes", test_gone_peer},
		{"probes by ClientHellos", test_hello_probes},
		{"replaced sessions", test_replaced},
		{"handshakes within a session", test_renegotiation},
	};

	return unit_run("dtls", tests, UNIT_COUNT(tests));
}
