/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages over SCTP, both ends of ours: by userland SCTP in UDP on loopback,
 * which needs no privilege, or by the kernel's if SCTP_TEST_STACK is "kernel"
 * (tests/integration/sctp_kernel.sh runs it so).
 */
#include <stdio.h>
#include <sys/wait.h>

#include "peer.h"
#include "secured.h"

enum {
	STREAMS = 8,
	/* Less than what a socket for UDP takes: a burst that it drops would
	 * be sent again a second later. */
	BUFFER = 150000,
};

struct sender {
	struct net_out *out;
	unsigned up, down, writable, undelivered;
	size_t unsent;
	uint32_t next, stop;
	size_t length;
	int error; /* the last one of a send */
	int why;   /* of the last one not delivered */
	struct net_delivery delivery;
	unsigned streams; /* in turn over so many */
	const char *reason;
};

static void
sender_push(struct sender *s)
{
	uint8_t message[65535];
	int rc;

	while (s->next < s->stop) {
		test_message(message, s->length, s->next);
		if (s->streams)
			s->delivery.stream = (uint16_t)(s->next % s->streams);
		rc = net_out_send_as(s->out, message, s->length, &s->delivery);
		if (rc < 0) {
			s->error = rc;
			return;
		}
		s->next++;
	}
}

static void
sender_up(void *arg)
{
	struct sender *s = arg;

	s->up++;
	sender_push(s);
}

static void
sender_down(void *arg, const char *reason, size_t unsent)
{
	struct sender *s = arg;

	s->down++;
	s->unsent += unsent;
	s->reason = reason;
}

static void
sender_writable(void *arg)
{
	struct sender *s = arg;

	s->writable++;
	sender_push(s);
}

static void
sender_undelivered(void *arg, uint64_t number, int error)
{
	struct sender *s = arg;

	CU_ASSERT(number < s->next);
	s->undelivered++;
	s->why = error;
}

static const struct net_out_ops sender_ops = {
	.up = sender_up,
	.down = sender_down,
	.writable = sender_writable,
	.undelivered = sender_undelivered,
};

/* Under DTLS, or in clear? Most tests are run with both. */
static bool dtls;

/* ---- the stack ---------------------------------------------------------- */

static bool
by_kernel(void)
{
	const char *stack = getenv("SCTP_TEST_STACK");

	return stack && strcmp(stack, "kernel") == 0;
}

/* Of this process: usrsctp has one for all. */
static uint16_t
udp_port(void)
{
	static uint16_t port;
	int fd;

	if (!port && !by_kernel()) {
		fd = test_listen(SOCK_DGRAM, 4, &port);
		close(fd);
	}
	return port;
}

static struct net_sctp_conf
sctp_conf(void)
{
	return (struct net_sctp_conf){
		.stack = by_kernel() ? NET_SCTP_KERNEL : NET_SCTP_USERLAND,
		.local_udp = udp_port(),
		.remote_udp = udp_port(),
		.streams = STREAMS,
	};
}

static struct net_in *
open_in(struct event_base *base, struct receiver *r, uint16_t port,
	uint32_t max)
{
	struct net_in_conf conf = {
		.transport = TRANSPORT_SCTP,
		.local_count = 1,
		.max_sessions = max,
		.receive_buffer = BUFFER,
		.sctp = sctp_conf(),
		.secure = dtls ? &secured.server : NULL,
		.handshake_ms = 8000,
		.dtls = {.heartbeat = true, .max_handshakes = 100},
	};
	struct net_in *in = NULL;
	char *error = NULL;
	struct addr local;

	loopback(&local, 4, port);
	conf.local = &local;
	CU_ASSERT_EQUAL_FATAL(
		net_in_open(base, &conf, &receiver_ops, r, &in, &error), 0);
	CU_ASSERT_PTR_NULL(error);
	return in;
}

static struct net_out_conf
out_conf(uint16_t port)
{
	struct net_out_conf conf = {
		.transport = TRANSPORT_SCTP,
		.reconnect_min_ms = 50,
		.reconnect_max_ms = 100,
		.send_buffer = BUFFER,
		.sctp = sctp_conf(),
		.secure = dtls ? &secured.client : NULL,
		.dtls = {.heartbeat = true,
			 .heartbeat_ms = 100,
			 .heartbeat_tries = 3},
	};

	loopback(&conf.remote, 4, port);
	loopback(&conf.local, 4, 0);
	return conf;
}

static void
open_out(struct event_base *base, const struct net_out_conf *conf,
	 struct sender *s)
{
	char *error = NULL;

	CU_ASSERT_EQUAL_FATAL(
		net_out_open(base, conf, &sender_ops, s, &s->out, &error), 0);
	CU_ASSERT_PTR_NULL(error);
}

/* From test to test: the library of userland SCTP takes a while to end. */
static struct {
	struct event_base *base;
	struct receiver r;
	struct net_in *in;
} held;

static void
hold(void)
{
	if (held.in)
		return;
	held.base = event_base_new();
	held.in = open_in(held.base, &held.r, 0, 1);
}

static void
release(void)
{
	if (!held.in)
		return;
	net_in_close(held.in);
	event_base_free(held.base);
	held.in = NULL;
}

/* One of each, and count messages from one to the other. */
struct pair {
	struct event_base *base;
	struct receiver r;
	struct sender s;
	struct net_in *in;
	uint16_t relay; /* UDP port, or 0 */
};

static void
pair_open(struct pair *p, size_t length, uint32_t count)
{
	struct net_out_conf conf;

	hold();
	if (!p->base)
		p->base = event_base_new();
	p->in = open_in(p->base, &p->r, 0, 10);
	p->s.length = length;
	p->s.stop = count;
	conf = out_conf(net_in_port(p->in));
	if (p->relay)
		conf.sctp.remote_udp = p->relay;
	open_out(p->base, &conf, &p->s);
}

static void
pair_close(struct pair *p)
{
	net_out_close(p->s.out, 1000);
	net_in_close(p->in);
	event_base_free(p->base);
	CU_ASSERT_EQUAL(p->r.opened, p->r.closed);
}

/* ---- tests -------------------------------------------------------------- */

static void
test_in_order(void)
{
	struct pair p = {0};
	struct net_out_stats stats;
	struct net_session *session;
	uint32_t at = 0;

	pair_open(&p, 1000, 1500);
	RUN_UNTIL(p.base, p.r.messages == 1500);
	CU_ASSERT_EQUAL(p.r.out_of_order, 0);
	CU_ASSERT_EQUAL(p.r.octets, 1500 * 1000);
	RUN_UNTIL(p.base, net_out_drained(p.s.out));
	net_out_stats(p.s.out, &stats);
	CU_ASSERT_EQUAL(stats.messages, 1500);
	CU_ASSERT_EQUAL(stats.streams, STREAMS);
	CU_ASSERT_EQUAL(stats.local.version, 4);
	session = net_in_next(p.in, &at);
	CU_ASSERT_PTR_NOT_NULL_FATAL(session);
	CU_ASSERT_EQUAL(session->transport, TRANSPORT_SCTP);
	CU_ASSERT(addr_equal_host(&session->remote, &stats.local));
	CU_ASSERT_EQUAL(session->remote.port, stats.local.port);
	CU_ASSERT_EQUAL(session->messages, 1500);
	net_out_close(p.s.out, 1000);
	p.s.out = NULL;
	RUN_UNTIL(p.base, p.r.closed == 1);
	CU_ASSERT_PTR_NULL(p.r.reason);
	CU_ASSERT_EQUAL(p.s.down, 0);
	pair_close(&p);
}

static void
test_largest(void)
{
	struct pair p = {0};

	pair_open(&p, 65535, 40);
	RUN_UNTIL(p.base, p.r.messages == 40);
	CU_ASSERT_EQUAL(p.r.out_of_order, 0);
	CU_ASSERT_EQUAL(p.r.octets, 40 * 65535);
	pair_close(&p);
}

/* Streams and "unordered" come through; each stream is in order by itself. */
static void
test_streams(void)
{
	struct pair p = {0};

	p.s.streams = STREAMS;
	pair_open(&p, 100, 800);
	RUN_UNTIL(p.base, p.r.messages == 800);
	CU_ASSERT(p.r.last.stream < STREAMS);
	CU_ASSERT_FALSE(p.r.last.unordered);
	p.s.delivery.unordered = true;
	p.s.stop = 801;
	RUN_UNTIL(p.base, net_out_drained(p.s.out));
	run_for(p.base, 50);
	sender_push(&p.s);
	RUN_UNTIL(p.base, p.r.messages == 801);
	CU_ASSERT_TRUE(p.r.last.unordered);
	CU_ASSERT_EQUAL(p.r.last.stream, 800 % STREAMS);
	pair_close(&p);
}

/* The receiver does not read: the sender is stopped, and nothing is lost. */
static void
test_back_pressure(void)
{
	struct pair p = {0};
	uint32_t stuck;

	p.r.busy = true;
	pair_open(&p, 8000, 200);
	/* On a busy machine it may take more than one pause. */
	do {
		stuck = p.s.next;
		run_for(p.base, 150);
	} while (p.s.next != stuck || p.s.error != -EAGAIN);
	CU_ASSERT(stuck < 200);
	CU_ASSERT_EQUAL(p.r.messages, 0);
	p.r.busy = false;
	RUN_UNTIL(p.base, p.r.messages == 200);
	CU_ASSERT_EQUAL(p.r.out_of_order, 0);
	CU_ASSERT_EQUAL(p.s.undelivered, 0);
	pair_close(&p);
}

/* The receiver ends in order: what is on its way arrives, and no more. */
static void
test_receiver_ends(void)
{
	struct pair p = {0};
	uint16_t port;
	uint32_t sent, got;

	pair_open(&p, 1000, 1000);
	RUN_UNTIL(p.base, p.r.messages == 1000);
	port = net_in_port(p.in);
	p.s.stop = 1200;
	sender_push(&p.s);
	sent = p.s.next;
	net_in_close(p.in);
	got = p.r.messages;
	p.s.stop = sent;
	RUN_UNTIL(p.base, p.s.down == 1);
	/* With DTLS, which ends first, some may still have been waiting; and
	 * the kernel may take longer than an end may, with so small buffers. */
	CU_ASSERT(dtls || by_kernel() || !p.s.undelivered);
	CU_ASSERT_EQUAL(got + p.s.undelivered, sent);
	CU_ASSERT_EQUAL(p.s.unsent, p.s.undelivered);
	/* It comes back, and so do we. */
	p.s.stop = sent + 10;
	p.in = open_in(p.base, &p.r, port, 10);
	RUN_UNTIL(p.base, p.r.messages == got + 10);
	CU_ASSERT_EQUAL(p.s.up, 2);
	pair_close(&p);
}

/* A session that is turned away breaks: each message that was taken is told. */
static void
test_undelivered(void)
{
	struct pair p = {0};

	p.r.not_understood = true;
	pair_open(&p, 10000, 200);
	RUN_UNTIL(p.base, p.s.down == 1);
	CU_ASSERT_EQUAL(p.s.why, ECONNRESET);
	CU_ASSERT(p.s.undelivered > 0);
	CU_ASSERT(p.s.undelivered < p.s.next);
	CU_ASSERT_EQUAL(p.s.unsent, p.s.undelivered);
	CU_ASSERT_STRING_EQUAL(p.s.reason, "the peer aborted the association");
	CU_ASSERT_STRING_EQUAL(p.r.reason, "a message was not understood");
	pair_close(&p);
}

/* A pair with some of the messages in the sender's stack. */
static void
pair_open_stuck(struct pair *p)
{
	p->r.busy = true;
	pair_open(p, 8000, 26);
	RUN_UNTIL(p->base, p->s.next == p->s.stop);
	/* What is acknowledged, but was not read, fills the receiver. */
	run_for(p->base, 100);
	CU_ASSERT_FALSE(net_out_drained(p->s.out));
}

/* The session broke on our side: what the stack had has been told. */
static void
check_given_up(struct pair *p)
{
	CU_ASSERT_EQUAL(p->s.down, 1);
	CU_ASSERT(p->s.undelivered > 0);
	CU_ASSERT(p->s.undelivered < p->s.next);
	CU_ASSERT_EQUAL(p->s.unsent, p->s.undelivered);
	CU_ASSERT_EQUAL(p->s.why, ECONNRESET);
	p->r.busy = false;
}

/* A send that fails ends the session. */
static void
test_send_fails(void)
{
	const struct net_delivery nowhere = {.stream = 60000};
	struct pair p = {0};
	uint8_t message[100];

	pair_open_stuck(&p);
	test_message(message, sizeof(message), p.s.next);
	CU_ASSERT_EQUAL(
		net_out_send_as(p.s.out, message, sizeof(message), &nowhere),
		-EAGAIN);
	CU_ASSERT_EQUAL(p.s.down, 0);
	RUN_UNTIL(p.base, p.s.down == 1);
	CU_ASSERT_STRING_EQUAL(p.s.reason, strerror(EINVAL));
	check_given_up(&p);
	pair_close(&p);
}

/*
 * A relay: what this process's one UDP port sends to the relay's comes back to
 * it from there, unless it is lost on the way.
 */
struct relay {
	int fd;
	uint16_t port;
	struct event *event;
	bool cut;      /* nothing passes */
	unsigned lose; /* one in so many */
	unsigned count, lost;
};

static void
on_relay(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;
	struct sockaddr_storage ss;
	uint8_t packet[65536];
	struct addr to;
	ssize_t n;

	loopback(&to, 4, udp_port());
	while ((n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		r->count++;
		if (r->cut || (r->lose && r->count % r->lose == 0))
			r->lost++;
		else
			sendto(fd, packet, (size_t)n, 0, (struct sockaddr *)&ss,
			       addr_to_sockaddr(&to, &ss));
	}
}

/* Before pair_open. */
static void
relay_open(struct relay *r, struct pair *p)
{
	p->base = event_base_new();
	r->port = 0;
	r->fd = test_listen(SOCK_DGRAM, 4, &r->port);
	r->event = event_new(p->base, r->fd, EV_READ | EV_PERSIST, on_relay, r);
	event_add(r->event, NULL);
	p->relay = r->port;
}

static void
relay_close(struct relay *r)
{
	event_free(r->event);
	close(r->fd);
}

/*
 * The kernel gives up what waits to be sent, too. It does not tell of messages
 * that it had begun to send.
 */
static void
test_lifetime_kernel(void)
{
	struct pair p = {0};

	p.r.busy = true;
	p.s.delivery.lifetime_ms = 100;
	pair_open(&p, 8000, 2000);
	run_for(p.base, 1500);
	p.r.busy = false;
	RUN_UNTIL(p.base, p.s.next == 2000 && net_out_drained(p.s.out));
	run_for(p.base, 100);
	CU_ASSERT(p.r.messages + p.s.undelivered >= 1900);
	CU_ASSERT(p.r.messages < 2000);
	CU_ASSERT(p.s.undelivered > 0);
	CU_ASSERT_EQUAL(p.s.why, ETIME);
	CU_ASSERT_EQUAL(p.s.down, 0);
	pair_close(&p);
}

/* RFC 3758: what is not delivered within its lifetime is given up. */
static void
test_lifetime(void)
{
	struct relay relay = {0};
	struct pair p = {0};

	if (by_kernel()) {
		test_lifetime_kernel();
		return; /* its UDP port is another thing */
	}
	relay_open(&relay, &p);
	p.s.delivery.lifetime_ms = 100;
	pair_open(&p, 1000, 100);
	RUN_UNTIL(p.base, p.r.messages == 100);
	relay.cut = true;
	p.s.stop = 120;
	sender_push(&p.s);
	CU_ASSERT_EQUAL(p.s.next, 120);
	/* When they would be sent again, which takes a second at least. */
	RUN_UNTIL(p.base, p.s.undelivered > 0);
	relay.cut = false;
	p.s.stop = 200;
	sender_push(&p.s);
	RUN_UNTIL(p.base, p.r.messages + p.s.undelivered >= 200);
	CU_ASSERT(p.r.messages < 200);
	CU_ASSERT_EQUAL(p.s.why, ETIME);
	CU_ASSERT_EQUAL(p.s.down, 0);
	/* The relay does not run meanwhile. */
	net_out_close(p.s.out, 0);
	net_in_close(p.in);
	relay_close(&relay);
	event_base_free(p.base);
}

/* Packets are lost: no message is, and unordered ones come out of order. */
static void
test_loss(void)
{
	struct relay relay = {.lose = 40};
	struct pair p = {0};

	if (by_kernel())
		return;
	relay_open(&relay, &p);
	p.s.streams = STREAMS;
	p.s.delivery.unordered = true;
	pair_open(&p, 3000, 600);
	RUN_UNTIL(p.base, p.r.messages == 600);
	CU_ASSERT(relay.lost > 10);
	CU_ASSERT(p.r.out_of_order > 0);
	CU_ASSERT_EQUAL(p.r.octets, 600 * 3000);
	CU_ASSERT_EQUAL(p.s.undelivered, 0);
	relay.lose = 0;
	/* The relay does not run meanwhile. */
	net_out_close(p.s.out, 0);
	net_in_close(p.in);
	relay_close(&relay);
	event_base_free(p.base);
}

static void
test_refused(void)
{
	struct pair p = {0};
	struct net_out_conf conf;
	struct sender other = {.length = 100, .stop = 1};
	uint16_t port;

	p.base = event_base_new();
	p.in = open_in(p.base, &p.r, 0, 1);
	port = net_in_port(p.in);
	conf = out_conf(port);
	p.s.length = 100;
	p.s.stop = 1;
	open_out(p.base, &conf, &p.s);
	RUN_UNTIL(p.base, p.r.messages == 1);
	open_out(p.base, &conf, &other);
	RUN_UNTIL(p.base, p.r.refused > 0 && other.down > 0);
	CU_ASSERT_EQUAL(p.r.opened, 1);
	CU_ASSERT_EQUAL(p.s.down, 0);
	net_out_close(other.out, 0);
	pair_close(&p);
}

/* Nobody is there: told once, tried again. */
static void
test_nobody(void)
{
	struct event_base *base = event_base_new();
	struct sender s = {.length = 100, .stop = 1};
	struct receiver r = {0};
	struct net_out_conf conf;
	struct net_in *in = open_in(base, &r, 0, 10);
	uint16_t port = net_in_port(in);

	net_in_close(in);
	conf = out_conf(port);
	open_out(base, &conf, &s);
	RUN_UNTIL(base, s.down == 1);
	run_for(base, 300);
	CU_ASSERT_EQUAL(s.down, 1);
	in = open_in(base, &r, port, 10);
	RUN_UNTIL(base, r.messages == 1);
	net_out_close(s.out, 1000);
	net_in_close(in);
	event_base_free(base);
}

static void
test_many(void)
{
	enum { MANY = 20 };
	struct event_base *base = event_base_new();
	static struct sender s[MANY];
	struct receiver r = {0};
	struct net_in *in = open_in(base, &r, 0, MANY);
	struct net_out_conf conf = out_conf(net_in_port(in));

	for (int i = 0; i < MANY; i++) {
		s[i] = (struct sender){.length = 500, .stop = 50};
		open_out(base, &conf, &s[i]);
	}
	RUN_UNTIL(base, r.messages == MANY * 50);
	CU_ASSERT_EQUAL(r.opened, MANY);
	for (int i = 0; i < MANY; i++)
		net_out_close(s[i].out, 1000);
	RUN_UNTIL(base, r.closed == MANY);
	net_in_close(in);
	event_base_free(base);
}

/* Unordered data never overtakes what was sent in order before it. */
static void
test_barrier(void)
{
	struct pair p = {0};

	pair_open(&p, 60000, 3);
	RUN_UNTIL(p.base, p.s.up == 1);
	p.s.delivery.unordered = true;
	p.s.length = 100;
	p.s.stop = 10;
	sender_push(&p.s);
	RUN_UNTIL(p.base, p.r.messages == 10);
	CU_ASSERT_EQUAL(p.r.out_of_order, 0);
	pair_close(&p);
}

/* Who may not talk to us is told apart, and nothing of it is taken. */
static void
test_rejected(void)
{
	static const char *const nobody[] = {"nobody.test"};
	struct secure_list expected = secured.server.remote_fqdn;
	struct pair p = {0};

	secured.server.remote_fqdn.text = nobody;
	pair_open(&p, 1000, 10);
	RUN_UNTIL(p.base, p.r.refused > 0 && p.s.down > 0);
	CU_ASSERT_EQUAL(p.r.opened, 0);
	CU_ASSERT_EQUAL(p.s.up, 0);
	pair_close(&p);
	secured.server.remote_fqdn = expected;
}

/* A record holds no more; nor does it break the session. */
static void
test_too_large(void)
{
	struct pair p = {0};
	uint8_t message[20000];

	pair_open(&p, 16000, 50);
	RUN_UNTIL(p.base, p.r.messages == 50);
	CU_ASSERT_EQUAL(p.r.octets, 50 * 16000);
	CU_ASSERT_STRING_EQUAL(p.r.last.peer, "exporter.test");
	test_message(message, sizeof(message), 50);
	CU_ASSERT_EQUAL(net_out_send(p.s.out, message, sizeof(message)),
			-EMSGSIZE);
	p.s.stop = 60;
	sender_push(&p.s);
	RUN_UNTIL(p.base, p.r.messages == 60);
	pair_close(&p);
}

static struct net_out_conf
replacing_conf(const struct pair *p)
{
	struct net_out_conf conf = out_conf(net_in_port(p->in));

	conf.dtls.lifetime_ms = 100;
	conf.dtls.lifetime_always = true;
	return conf;
}

/* Messages go on while association after association is replaced. */
static void
test_replaced(void)
{
	struct pair p = {.base = event_base_new()};
	struct net_out_conf conf;

	p.in = open_in(p.base, &p.r, 0, 10);
	conf = replacing_conf(&p);
	p.s.length = 1000;
	p.s.streams = STREAMS;
	open_out(p.base, &conf, &p.s);
	while (p.s.up < 6 && !p.s.down) {
		p.s.stop = p.s.next + 20;
		sender_push(&p.s);
		run_for(p.base, 10);
	}
	CU_ASSERT_EQUAL(p.s.down, 0);
	p.s.stop = p.s.next;
	RUN_UNTIL(p.base, p.r.messages == p.s.next);
	CU_ASSERT_EQUAL(p.r.octets, 1000 * (uint64_t)p.s.next);
	CU_ASSERT_EQUAL(p.s.undelivered, 0);
	/* All but the last have ended, and in order. */
	RUN_UNTIL(p.base, p.r.closed + 1 >= p.s.up);
	CU_ASSERT_PTR_NULL(p.r.reason);
	pair_close(&p);
}

/* A replacement that does not come about changes nothing. */
static void
test_not_replaced(void)
{
	struct pair p = {.base = event_base_new()};
	struct net_out_conf conf;

	p.in = open_in(p.base, &p.r, 0, 1);
	conf = replacing_conf(&p);
	p.s.length = 1000;
	p.s.stop = 10;
	open_out(p.base, &conf, &p.s);
	RUN_UNTIL(p.base, p.r.refused >= 2);
	p.s.stop = 100;
	sender_push(&p.s);
	RUN_UNTIL(p.base, p.r.messages == 100);
	CU_ASSERT_EQUAL(p.s.down, 0);
	CU_ASSERT_EQUAL(p.s.up, 1);
	pair_close(&p);
}

/* Who does not read, because it can't, is not dead. */
static void
test_busy_peer(void)
{
	struct pair p = {0};

	pair_open(&p, 1000, 10);
	RUN_UNTIL(p.base, p.r.messages == 10);
	p.r.busy = true;
	p.s.stop = 20;
	sender_push(&p.s);
	run_for(p.base, 700);
	p.r.busy = false;
	RUN_UNTIL(p.base, p.r.messages == 20);
	run_for(p.base, 200);
	CU_ASSERT_EQUAL(p.s.down, 0);
	CU_ASSERT_EQUAL(p.s.up, 1);
	pair_close(&p);
}

/* After the files were read again, a peer that is in the list is turned away.
 */
static void
test_revoked(void)
{
	struct pair p = {0};
	char *error = NULL;

	secured_list(NULL);
	secured.server.revocations = secured.list;
	pair_open(&p, 1000, 10);
	RUN_UNTIL(p.base, p.r.messages == 10);
	CU_ASSERT_EQUAL(net_in_reload(p.in, &error), 1);
	run_for(p.base, 50);
	CU_ASSERT_EQUAL(p.r.closed, 0);
	secured_list(&secured.exporter);
	CU_ASSERT_EQUAL(net_in_reload(p.in, &error), 1);
	CU_ASSERT_EQUAL(p.r.closed, 1);
	RUN_UNTIL(p.base, p.s.down == 1 && p.r.refused > 0);
	secured.server.revocations = NULL;
	pair_close(&p);
}

/* So is a collector, whose session ends at once. */
static void
test_revoked_collector(void)
{
	struct pair p = {0};
	char *error = NULL;

	secured_list(NULL);
	secured.client.revocations = secured.list;
	pair_open_stuck(&p);
	secured_list(&secured.collector);
	CU_ASSERT_EQUAL(net_out_reload(p.s.out, &error), 1);
	check_given_up(&p);
	secured.client.revocations = NULL;
	pair_close(&p);
}

static const struct unit_test tests[] = {
	{"in order", test_in_order},
	{"the largest messages", test_largest},
	{"streams", test_streams},
	{"back-pressure", test_back_pressure},
	{"the receiver ends", test_receiver_ends},
	{"undelivered", test_undelivered},
	{"a send fails", test_send_fails},
	{"lifetime", test_lifetime},
	{"loss", test_loss},
	{"refused", test_refused},
	{"nobody is there", test_nobody},
	{"many", test_many},
	{"unordered after ordered", test_barrier},
};

/* The first ones are those that need no speed, see UNIT_SLOW. */
static const struct unit_test dtls_tests[] = {
	{"rejected", test_rejected},
	{"too large", test_too_large},
	{"revoked", test_revoked},
	{"revoked collector", test_revoked_collector},
	{"a send fails", test_send_fails},
	{"busy peer", test_busy_peer},
	{"replaced", test_replaced},
	{"not replaced", test_not_replaced},
	{"in order", test_in_order},
	{"streams", test_streams},
	{"back-pressure", test_back_pressure},
	{"the receiver ends", test_receiver_ends},
	{"undelivered", test_undelivered},
	{"loss", test_loss},
	{"many", test_many},
};

static int
run_plain(void)
{
	int rc = unit_run("sctp", tests, UNIT_COUNT(tests));

	release();
	return rc;
}

static int
run_dtls(void)
{
	int rc;

	secured_begin();
	dtls = true;
	rc = unit_run("dtls over sctp", dtls_tests,
		      unit_slow() ? 3 : UNIT_COUNT(dtls_tests));
	release();
	secured_end();
	return rc;
}

/* What another process has printed. */
static void
print_file(FILE *file)
{
	char part[4096];
	size_t n;

	rewind(file);
	while ((n = fread(part, 1, sizeof(part), file)) > 0)
		fwrite(part, 1, n, stdout);
	fclose(file);
}

/* Both at a time: what takes long in them is to wait. */
int
main(void)
{
	FILE *output = tmpfile();
	pid_t child = output ? fork() : -1;
	int status = 1, rc;

	if (!output)
		return run_plain() | run_dtls();
	if (child == 0) {
		dup2(fileno(output), STDOUT_FILENO);
		dup2(fileno(output), STDERR_FILENO);
		exit(run_plain());
	}
	rc = run_dtls();
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return 1;
	print_file(output);
	return rc || status;
}
