/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "peer.h"

static struct net_in *
open_in(struct event_base *base, struct net_in_conf *conf, struct receiver *r)
{
	struct net_in *in = NULL;
	char *error = NULL;
	int rc;

	if (!conf->max_sessions)
		conf->max_sessions = 100;
	conf->frame = test_frame;
	rc = net_in_open(base, conf, &receiver_ops, r, &in, &error);
	if (rc < 0)
		fprintf(stderr, "%s\n", error ? error : "no text");
	CU_ASSERT_EQUAL(rc, 0);
	free(error);
	return in;
}

static struct net_in *
open_listening(struct event_base *base, enum transport transport, int version,
	       struct receiver *r)
{
	struct net_in_conf conf = {.transport = transport};
	struct addr local;

	loopback(&local, version, 0);
	conf.local = &local;
	conf.local_count = 1;
	return open_in(base, &conf, r);
}

static void
send_messages(int fd, uint32_t from, uint32_t to, size_t length)
{
	uint8_t message[2000];

	for (uint32_t i = from; i < to; i++) {
		test_message(message, length, i);
		CU_ASSERT_EQUAL(write(fd, message, length), (ssize_t)length);
	}
}

/* ---- UDP --------------------------------------------------------------- */

static void
udp_both(int version)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	struct net_in *in = open_listening(base, TRANSPORT_UDP, version, &r);
	int fd = test_connect(SOCK_DGRAM, version, net_in_port(in));
	uint32_t at = 0;

	send_messages(fd, 0, 150, 100);
	CU_ASSERT_EQUAL(write(fd, "", 0), 0); /* an empty datagram is one */
	RUN_UNTIL(base, r.messages == 151);
	CU_ASSERT_EQUAL(r.out_of_order, 0);
	CU_ASSERT_EQUAL(r.opened, 1);
	CU_ASSERT_EQUAL(r.last.remote.version, version);
	CU_ASSERT_EQUAL(r.last.local.port, net_in_port(in));
	CU_ASSERT_EQUAL(r.last.messages, 151);
	CU_ASSERT_EQUAL(r.last.octets, 15000);
	CU_ASSERT_PTR_NOT_NULL(net_in_next(in, &at));
	CU_ASSERT_PTR_NULL(net_in_next(in, &at));
	close(fd);
	fd = test_connect(SOCK_DGRAM, version, net_in_port(in));
	send_messages(fd, 0, 1, 1999);
	RUN_UNTIL(base, r.messages == 152);
	CU_ASSERT_EQUAL(r.opened, 2); /* another port, another session */
	net_in_close(in);
	CU_ASSERT_EQUAL(r.closed, 2);
	close(fd);
	event_base_free(base);
}

static void
test_udp(void)
{
	udp_both(4);
	if (have_ipv6())
		udp_both(6);
}

/* All ports of an address are one session. */
static void
test_udp_any_port(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	struct addr local;
	struct net_in_conf conf = {.transport = TRANSPORT_UDP,
				   .local = &local,
				   .local_count = 1,
				   .max_sessions = 3,
				   .any_port = true};
	struct net_in *in;
	int fd[5];

	loopback(&local, 4, 0);
	in = open_in(base, &conf, &r);
	for (int i = 0; i < 5; i++)
		fd[i] = test_connect(SOCK_DGRAM, 4, net_in_port(in));
	for (int i = 0; i < 10; i++)
		send_messages(fd[i % 5], 0, 1, 50);
	RUN_UNTIL(base, r.messages == 10);
	CU_ASSERT_EQUAL(r.opened, 1);
	CU_ASSERT_EQUAL(r.last.messages, 10);
	CU_ASSERT_EQUAL(r.last.remote.port, 0);
	net_in_close(in);
	CU_ASSERT_EQUAL(r.closed, 1);
	for (int i = 0; i < 5; i++)
		close(fd[i]);
	event_base_free(base);
}

static void
test_udp_largest(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	struct net_in *in = open_listening(base, TRANSPORT_UDP, 4, &r);
	int fd = test_connect(SOCK_DGRAM, 4, net_in_port(in));
	uint8_t *message = calloc(1, 65507);

	test_message(message, 65507, 0);
	CU_ASSERT_EQUAL(write(fd, message, 65507), 65507);
	RUN_UNTIL(base, r.messages == 1);
	CU_ASSERT_EQUAL(r.octets, 65507);
	free(message);
	net_in_close(in);
	close(fd);
	event_base_free(base);
}

static void
test_udp_limits(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	struct addr local;
	struct net_in_conf conf = {.transport = TRANSPORT_UDP,
				   .local = &local,
				   .local_count = 1,
				   .max_sessions = 3,
				   .session_idle_ms = 300};
	struct net_in *in;
	int fd[5];

	loopback(&local, 4, 0);
	in = open_in(base, &conf, &r);
	for (int i = 0; i < 5; i++) {
		fd[i] = test_connect(SOCK_DGRAM, 4, net_in_port(in));
		send_messages(fd[i], 0, 1, 50);
	}
	RUN_UNTIL(base, r.refused == 2);
	CU_ASSERT_EQUAL(r.messages, 3);
	CU_ASSERT_EQUAL(r.opened, 3);
	RUN_UNTIL(base, r.closed == 3); /* silent for 300 ms */
	CU_ASSERT_PTR_NULL(r.reason);
	send_messages(fd[4], 0, 1, 50);
	RUN_UNTIL(base, r.opened == 4);
	r.refuse = true;
	send_messages(fd[0], 0, 1, 50);
	RUN_UNTIL(base, r.opened == 5);
	CU_ASSERT_EQUAL(r.messages, 4);
	net_in_close(in);
	CU_ASSERT_EQUAL(r.closed, 4); /* a refused one is not closed */
	for (int i = 0; i < 5; i++)
		close(fd[i]);
	event_base_free(base);
}

static void
test_udp_counts_drops(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	struct addr local;
	struct net_in_conf conf = {.transport = TRANSPORT_UDP,
				   .local = &local,
				   .local_count = 1,
				   .receive_buffer = 8192};
	struct net_in *in;
	int fd;

	loopback(&local, 4, 0);
	in = open_in(base, &conf, &r);
	fd = test_connect(SOCK_DGRAM, 4, net_in_port(in));
	send_messages(fd, 0, 500, 1000);
	RUN_UNTIL(base, r.dropped + r.messages == 500);
	CU_ASSERT(r.dropped > 400);
	net_in_close(in);
	close(fd);
	event_base_free(base);
}

static void
test_udp_all_addresses(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	struct net_in_conf conf = {.transport = TRANSPORT_UDP};
	struct net_in *in = open_in(base, &conf, &r);
	int fd = test_connect(SOCK_DGRAM, 4, net_in_port(in));

	send_messages(fd, 0, 1, 50);
	RUN_UNTIL(base, r.messages == 1);
	CU_ASSERT_EQUAL(r.last.remote.version, 4);
	close(fd);
	if (have_ipv6()) {
		fd = test_connect(SOCK_DGRAM, 6, net_in_port(in));
		send_messages(fd, 0, 1, 50);
		RUN_UNTIL(base, r.messages == 2);
		CU_ASSERT_EQUAL(r.last.remote.version, 6);
		close(fd);
	}
	net_in_close(in);
	event_base_free(base);
}

/* Fills in the 4 octets at offset 12 that steer. */
static void
send_domain(int fd, uint32_t domain)
{
	uint8_t message[64];

	test_message(message, sizeof(message), 0);
	memcpy(message + 12, &domain, sizeof(domain));
	CU_ASSERT_EQUAL(write(fd, message, sizeof(message)),
			(ssize_t)sizeof(message));
}

static void
steering(int version)
{
	static const struct net_steer steer[] = {{5, 20}, {9, 16}};
	struct event_base *base = event_base_new();
	struct receiver r[3] = {0};
	struct net_in *in[3];
	struct addr local;
	struct net_in_conf conf = {.transport = TRANSPORT_UDP,
				   .local = &local,
				   .local_count = 1,
				   .workers = 3,
				   .steer_offset = 12,
				   .steer = steer,
				   .steer_count = 2};
	unsigned hit = 0;
	int fd[4];

	loopback(&local, version, 0);
	for (unsigned i = 0; i < 3; i++) {
		conf.worker = i;
		in[i] = open_in(base, &conf, &r[i]);
		local.port = net_in_port(in[i]);
	}
	for (int i = 0; i < 4; i++)
		fd[i] = test_connect(SOCK_DGRAM, version, local.port);
	/* One domain of one address goes to one worker, from any port. */
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 10; j++)
			send_domain(fd[i], 7);
	CU_ASSERT_EQUAL(write(fd[0], "short", 5), 5);
	RUN_UNTIL(base, r[0].messages + r[1].messages + r[2].messages == 41);
	for (int i = 0; i < 3; i++)
		hit += r[i].messages >= 40;
	CU_ASSERT_EQUAL(hit, 1);
	/* What begins with 9 is steered by the octets at 16. */
	for (uint8_t i = 0; i < 30; i++) {
		uint8_t other[20] = {0, 9, [2] = i, [12] = i, [16] = 7};

		CU_ASSERT_EQUAL(write(fd[i % 4], other, sizeof(other)),
				(ssize_t)sizeof(other));
	}
	RUN_UNTIL(base, r[0].messages + r[1].messages + r[2].messages == 71);
	/* All at one: nobody has a part of them (a short one was at one). */
	for (int i = 0; i < 3; i++)
		CU_ASSERT(r[i].messages % 10 <= 1);
	/* Many domains reach them all. */
	for (uint32_t i = 0; i < 120; i++)
		send_domain(fd[0], i << 24);
	RUN_UNTIL(base, r[0].messages + r[1].messages + r[2].messages == 191);
	for (int i = 0; i < 3; i++)
		CU_ASSERT(r[i].messages >= 15);
	for (int i = 0; i < 3; i++)
		net_in_close(in[i]);
	for (int i = 0; i < 4; i++)
		close(fd[i]);
	event_base_free(base);
}

static void
test_udp_steering(void)
{
	steering(4);
	if (have_ipv6())
		steering(6);
}

/* ---- TCP --------------------------------------------------------------- */

static void
test_tcp_segments(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	struct net_in *in = open_listening(base, TRANSPORT_TCP, 4, &r);
	int fd = test_connect(SOCK_STREAM, 4, net_in_port(in));
	uint8_t message[60];

	/* One message in as many segments as it has octets. */
	test_message(message, sizeof(message), 0);
	for (size_t i = 0; i < sizeof(message); i++) {
		CU_ASSERT_EQUAL(write(fd, message + i, 1), 1);
		run_for(base, 1);
	}
	RUN_UNTIL(base, r.messages == 1);
	send_messages(fd, 1, 1000, 100); /* many per segment */
	RUN_UNTIL(base, r.messages == 1000);
	send_messages(fd, 1000, 1001, 30);
	CU_ASSERT_EQUAL(write(fd, "M\1\0abc", 6), 6);
	close(fd);
	RUN_UNTIL(base, r.closed == 1);
	CU_ASSERT_EQUAL(r.messages, 1001);
	CU_ASSERT_EQUAL(r.out_of_order, 0);
	CU_ASSERT_EQUAL(r.lost_octets, 6);
	CU_ASSERT_PTR_NOT_NULL(r.reason);
	net_in_close(in);
	event_base_free(base);
}

struct writer_thread {
	int fd;
	unsigned count;
	size_t most;
	size_t octets;
};

/* Messages of all lengths, in pieces that know nothing of them. */
static void *
write_stream(void *arg)
{
	struct writer_thread *w = arg;
	uint8_t *all = malloc((size_t)w->count * w->most);
	size_t end = 0, piece = 1;
	ssize_t n;

	for (uint32_t i = 0; i < w->count; i++) {
		size_t length = 7 + i * 7919u % (w->most - 6);

		test_message(all + end, length, i);
		end += length;
	}
	w->octets = end;
	for (size_t at = 0; at < end; at += (size_t)n) {
		piece = piece * 31 % 100003;
		n = write(w->fd, all + at, piece < end - at ? piece : end - at);
		if (n <= 0)
			break;
	}
	free(all);
	close(w->fd);
	return NULL;
}

static void
test_tcp_lengths(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	struct net_in *in =
		open_listening(base, TRANSPORT_TCP, have_ipv6() ? 6 : 4, &r);
	struct writer_thread w = {.count = 500, .most = 65535};
	pthread_t thread;

	w.fd = test_connect(SOCK_STREAM, have_ipv6() ? 6 : 4, net_in_port(in));
	pthread_create(&thread, NULL, write_stream, &w);
	RUN_UNTIL(base, r.closed == 1);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(r.messages, 500);
	CU_ASSERT_EQUAL(r.octets, w.octets);
	CU_ASSERT_EQUAL(r.out_of_order, 0);
	CU_ASSERT_PTR_NULL(r.reason);
	net_in_close(in);
	event_base_free(base);
}

static void
test_tcp_garbage(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	struct net_in *in = open_listening(base, TRANSPORT_TCP, 4, &r);
	int bad = test_connect(SOCK_STREAM, 4, net_in_port(in));
	int good = test_connect(SOCK_STREAM, 4, net_in_port(in));

	send_messages(bad, 0, 2, 50);
	CU_ASSERT_EQUAL(write(bad, "garbage", 7), 7);
	RUN_UNTIL(base, r.closed == 1);
	CU_ASSERT_EQUAL(r.messages, 2);
	CU_ASSERT_EQUAL(r.lost_octets, 7);
	CU_ASSERT_PTR_NOT_NULL(r.reason);
	send_messages(good, 2, 3, 50); /* it costs only itself */
	RUN_UNTIL(base, r.messages == 3);
	r.not_understood = true;
	send_messages(good, 3, 4, 50);
	RUN_UNTIL(base, r.closed == 2);
	CU_ASSERT_PTR_NOT_NULL(r.reason);
	net_in_close(in);
	close(bad);
	close(good);
	event_base_free(base);
}

static void
test_tcp_limits(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	struct addr local;
	struct net_in_conf conf = {.transport = TRANSPORT_TCP,
				   .local = &local,
				   .local_count = 1,
				   .max_sessions = 2,
				   .idle_ms = 1200};
	struct net_in *in;
	int fd[4];
	char c;

	loopback(&local, 4, 0);
	in = open_in(base, &conf, &r);
	for (int i = 0; i < 4; i++)
		fd[i] = test_connect(SOCK_STREAM, 4, net_in_port(in));
	RUN_UNTIL(base, r.refused == 2);
	CU_ASSERT_EQUAL(r.opened, 2);
	CU_ASSERT_EQUAL(read(fd[3], &c, 1), 0);
	RUN_UNTIL(base, r.closed == 2);
	CU_ASSERT_PTR_NOT_NULL(r.reason);
	net_in_close(in);
	for (int i = 0; i < 4; i++)
		close(fd[i]);
	event_base_free(base);
}

static void
test_tcp_back_pressure(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	struct net_in *in = open_listening(base, TRANSPORT_TCP, 4, &r);
	int fd = test_connect(SOCK_STREAM, 4, net_in_port(in));
	unsigned asked;

	send_messages(fd, 0, 10, 100);
	RUN_UNTIL(base, r.messages == 10);
	r.busy = true;
	send_messages(fd, 10, 20, 100);
	run_for(base, 100);
	CU_ASSERT_EQUAL(r.messages, 10);
	asked = r.asked;
	run_for(base, 100);
	CU_ASSERT(r.asked - asked >= 10); /* each 2 ms, when not disturbed */
	CU_ASSERT(r.asked - asked <= 60);
	r.busy = false;
	RUN_UNTIL(base, r.messages == 20);
	net_in_close(in);
	close(fd);
	event_base_free(base);
}

/* A receiver that is no longer ready in the middle of what was read. */
static void
test_tcp_behind(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {.busy_at = 10};
	struct net_in *in = open_listening(base, TRANSPORT_TCP, 4, &r);
	int fd[2] = {test_connect(SOCK_STREAM, 4, net_in_port(in)),
		     test_connect(SOCK_STREAM, 4, net_in_port(in))};

	RUN_UNTIL(base, r.opened == 2);
	/* All of it is in the socket before the first read. */
	send_messages(fd[0], 0, 80, 1000);
	RUN_UNTIL(base, r.busy);
	run_for(base, 20);
	CU_ASSERT(r.messages < 80); /* 64 KiB at a time */
	/* What is left of it comes before anything of others. */
	send_messages(fd[1], 80, 90, 1000);
	CU_ASSERT_EQUAL(write(fd[0], "M", 1), 1);
	close(fd[0]);
	r.busy_at = 70;
	r.busy = false;
	RUN_UNTIL(base, r.busy);
	run_for(base, 20);
	CU_ASSERT(r.messages <= 80);
	r.busy = false;
	RUN_UNTIL(base, r.messages == 90 && r.closed == 1);
	CU_ASSERT_EQUAL(r.out_of_order, 0);
	CU_ASSERT_EQUAL(r.lost_octets, 1);
	/* It never becomes ready: what is left is told. */
	r.busy_at = 100;
	send_messages(fd[1], 90, 290, 1000);
	RUN_UNTIL(base, r.busy);
	CU_ASSERT(r.messages < 230);
	net_in_close(in);
	CU_ASSERT_EQUAL(r.closed, 2);
	CU_ASSERT(r.lost_octets > 10000);
	close(fd[1]);
	event_base_free(base);
}

struct share_of {
	struct receiver r; /* first: it is the argument */
	unsigned of[2];
	uint16_t port;
};

/* No more at this time. */
static int
count_each(void *arg, struct net_session *session, const uint8_t *p, size_t n)
{
	struct share_of *s = arg;

	s->of[session->remote.port == s->port]++;
	s->r.busy = true;
	return 0;
}

static uint16_t
port_of(int fd)
{
	struct sockaddr_in sin;
	socklen_t length = sizeof(sin);

	CU_ASSERT_EQUAL(getsockname(fd, (struct sockaddr *)&sin, &length), 0);
	return ntohs(sin.sin_port);
}

/* One that always has something does not keep the others from their turn. */
static void
test_tcp_turns(void)
{
	struct event_base *base = event_base_new();
	struct net_in_ops ops = receiver_ops;
	struct share_of s = {0};
	struct addr local;
	struct net_in_conf conf = {.transport = TRANSPORT_TCP,
				   .local = &local,
				   .local_count = 1,
				   .max_sessions = 3,
				   .frame = test_frame};
	struct net_in *in;
	char *error = NULL;
	unsigned first = 0;
	int fd[2];

	ops.message = count_each;
	loopback(&local, 4, 0);
	CU_ASSERT_EQUAL_FATAL(net_in_open(base, &conf, &ops, &s, &in, &error),
			      0);
	for (int i = 0; i < 2; i++)
		fd[i] = test_connect(SOCK_STREAM, 4, net_in_port(in));
	s.port = port_of(fd[1]);
	RUN_UNTIL(base, s.r.opened == 2);
	s.r.busy = true;
	send_messages(fd[0], 0, 300, 1900);
	send_messages(fd[1], 0, 5, 100);
	for (unsigned all = 0; all < 305; all = s.of[0] + s.of[1]) {
		s.r.busy = false;
		RUN_UNTIL(base, s.of[0] + s.of[1] > all);
		if (s.of[0] + s.of[1] == all)
			break;
		if (!first && s.of[1] == 5)
			first = s.of[0];
	}
	CU_ASSERT_EQUAL(s.of[0], 300);
	CU_ASSERT_EQUAL(s.of[1], 5);
	CU_ASSERT_TRUE(first < 200); /* a read has 256 KiB */
	net_in_close(in);
	close(fd[0]);
	close(fd[1]);
	event_base_free(base);
}

/* ---- files ------------------------------------------------------------- */

static void
make_file(char *name, unsigned from, unsigned to, const void *tail,
	  size_t tail_length)
{
	int fd;

	strcpy(name, "net_test.XXXXXX");
	fd = mkstemp(name);
	CU_ASSERT(fd >= 0);
	send_messages(fd, from, to, 1400);
	CU_ASSERT_EQUAL(write(fd, tail, tail_length), (ssize_t)tail_length);
	close(fd);
}

static void
test_files(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	char name[3][32];
	const char *files[3] = {name[0], name[1], name[2]};
	struct net_in_conf conf = {
		.transport = TRANSPORT_FILE, .files = files, .file_count = 3};
	struct net_in *in;

	make_file(name[0], 0, 3000, "", 0);
	make_file(name[1], 3000, 3001, "M\1", 2); /* cut off */
	make_file(name[2], 3001, 5000, "", 0);
	in = open_in(base, &conf, &r);
	CU_ASSERT_EQUAL(r.opened, 0); /* nothing before the loop runs */
	RUN_UNTIL(base, r.finished == 1);
	CU_ASSERT_EQUAL(r.opened, 3);
	CU_ASSERT_EQUAL(r.closed, 3);
	CU_ASSERT_EQUAL(r.messages, 5000);
	CU_ASSERT_EQUAL(r.out_of_order, 0);
	CU_ASSERT_EQUAL(r.lost_octets, 2);
	CU_ASSERT_PTR_NULL(r.reason);
	CU_ASSERT_STRING_EQUAL(r.last.file, name[2]);
	net_in_close(in);
	for (int i = 0; i < 3; i++)
		unlink(name[i]);
	event_base_free(base);
}

static void
test_file_broken(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	char name[2][32];
	const char *files[2] = {name[0], name[1]};
	struct net_in_conf conf = {
		.transport = TRANSPORT_FILE, .files = files, .file_count = 2};
	struct net_in *in;
	char *error;

	make_file(name[0], 0, 1, "no message", 10);
	make_file(name[1], 1, 2, "", 0);
	in = open_in(base, &conf, &r);
	RUN_UNTIL(base, r.finished == 1);
	CU_ASSERT_EQUAL(r.messages, 2);
	CU_ASSERT_EQUAL(r.lost_octets, 10);
	net_in_close(in);
	unlink(name[0]);
	CU_ASSERT_EQUAL(
		net_in_open(base, &conf, &receiver_ops, &r, &in, &error),
		-ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, name[0]));
	free(error);
	unlink(name[1]);
	files[0] = "/"; /* a folder is no file */
	CU_ASSERT_EQUAL(
		net_in_open(base, &conf, &receiver_ops, &r, &in, &error),
		-EISDIR);
	free(error);
	/* Reading our own memory from 0 on fails, but not before. */
	files[0] = "/proc/self/mem";
	conf.file_count = 1;
	r = (struct receiver){0};
	in = open_in(base, &conf, &r);
	RUN_UNTIL(base, r.finished == 1);
	CU_ASSERT_EQUAL(r.closed, 1);
	CU_ASSERT_PTR_NOT_NULL(r.reason);
	net_in_close(in);
	event_base_free(base);
}

static void
test_file_lengths(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	char name[32];
	const char *files[1] = {name};
	struct net_in_conf conf = {
		.transport = TRANSPORT_FILE, .files = files, .file_count = 1};
	struct writer_thread w = {.count = 300, .most = 65535};
	struct net_in *in;

	make_file(name, 0, 0, "", 0);
	w.fd = open(name, O_WRONLY);
	write_stream(&w);
	in = open_in(base, &conf, &r);
	RUN_UNTIL(base, r.messages > 100);
	r.busy = true; /* also between two reads */
	r.messages = 0;
	run_for(base, 50);
	CU_ASSERT_EQUAL(r.messages, 0);
	r.busy = false;
	RUN_UNTIL(base, r.finished == 1);
	CU_ASSERT_EQUAL(r.octets, w.octets);
	CU_ASSERT_EQUAL(r.out_of_order, 0);
	CU_ASSERT_EQUAL(r.next, 300);
	net_in_close(in);
	unlink(name);
	event_base_free(base);
}

static void
test_fifo(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	char name[32];
	const char *files[1] = {name};
	struct net_in_conf conf = {
		.transport = TRANSPORT_FILE, .files = files, .file_count = 1};
	struct net_in *in;
	int fd;

	snprintf(name, sizeof(name), "net_test.%d.fifo", (int)getpid());
	CU_ASSERT_EQUAL(mkfifo(name, 0600), 0);
	in = open_in(base, &conf, &r);
	run_for(base, 20); /* no writer yet: it waits */
	CU_ASSERT_EQUAL(r.closed, 0);
	fd = open(name, O_WRONLY);
	send_messages(fd, 0, 5, 100);
	RUN_UNTIL(base, r.messages == 5);
	send_messages(fd, 5, 10, 100);
	RUN_UNTIL(base, r.messages == 10);
	CU_ASSERT_EQUAL(r.finished, 0);
	close(fd);
	RUN_UNTIL(base, r.finished == 1);
	CU_ASSERT_EQUAL(r.lost_octets, 0);
	net_in_close(in);
	unlink(name);
	event_base_free(base);
}

static void
test_in_use(void)
{
	struct event_base *base = event_base_new();
	struct receiver r = {0};
	struct net_in *in = open_listening(base, TRANSPORT_UDP, 4, &r);
	struct addr local;
	struct net_in_conf conf = {
		.transport = TRANSPORT_UDP, .local = &local, .local_count = 1};
	struct net_in *second = NULL;
	char *error = NULL;

	loopback(&local, 4, net_in_port(in));
	CU_ASSERT_EQUAL(
		net_in_open(base, &conf, &receiver_ops, &r, &second, &error),
		-EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "127.0.0.1:"));
	free(error);
	conf.transport = TRANSPORT_SNMP;
	CU_ASSERT_EQUAL(
		net_in_open(base, &conf, &receiver_ops, &r, &second, &error),
		-EPROTONOSUPPORT);
	free(error);
	net_in_close(in);
	net_in_close(NULL);
	event_base_free(base);
}

static const struct unit_test tests[] = {
	{"UDP: messages and sessions", test_udp},
	{"UDP: the largest datagram", test_udp_largest},
	{"UDP: limit of sessions, silence ends them", test_udp_limits},
	{"UDP: what the kernel drops is counted", test_udp_counts_drops},
	{"UDP: all addresses of both families", test_udp_all_addresses},
	{"UDP: one session for all ports", test_udp_any_port},
	{"UDP: steering to workers", test_udp_steering},
	{"TCP: one message in many segments and many in one",
	 test_tcp_segments},
	{"TCP: messages of all lengths", test_tcp_lengths},
	{"TCP: garbage costs only itself", test_tcp_garbage},
	{"TCP: limit of sessions, silence ends them", test_tcp_limits},
	{"TCP: back-pressure", test_tcp_back_pressure},
	{"TCP: back-pressure within a read", test_tcp_behind},
	{"TCP: turns under back-pressure", test_tcp_turns},
	{"files in a row, one cut off", test_files},
	{"file that is none, and one that is missing", test_file_broken},
	{"file with messages of all lengths, and back-pressure",
	 test_file_lengths},
	{"named pipe", test_fifo},
	{"an address in use, a transport that we lack", test_in_use},
};

int
main(void)
{
	return unit_run("net in", tests, UNIT_COUNT(tests));
}
