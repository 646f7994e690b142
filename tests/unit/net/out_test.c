/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "sender.h"

static void
through(enum transport transport, int version, uint32_t count, size_t length,
	bool lend)
{
	struct event_base *base = event_base_new();
	struct net_out_conf conf = {.transport = transport,
				    .reconnect_min_ms = 50,
				    .reconnect_max_ms = 100};
	struct sender s = {.stop = count, .length = length};
	struct receiver r = {0};
	struct net_out_stats stats;
	struct net_in *in;

	s.lend = lend ? calloc(SENDER_LENT, sizeof(*s.lend)) : NULL;
	loopback(&conf.remote, version, 0);
	in = open_receiver(base, transport, &conf.remote, &r);
	open_out(base, &conf, &s);
	CU_ASSERT_EQUAL(net_out_send(s.out, (const uint8_t *)"", 1),
			-ENOTCONN);
	RUN_UNTIL(base, r.messages == count);
	CU_ASSERT_EQUAL(r.out_of_order, 0);
	CU_ASSERT_EQUAL(s.up, 1);
	CU_ASSERT(net_out_drained(s.out));
	net_out_stats(s.out, &stats);
	CU_ASSERT(stats.up);
	CU_ASSERT_EQUAL(stats.messages, count);
	CU_ASSERT_EQUAL(stats.octets, count * length);
	CU_ASSERT_EQUAL(stats.local.version, version);
	CU_ASSERT(addr_equal(&stats.remote, &conf.remote));
	if (transport == TRANSPORT_UDP)
		CU_ASSERT(stats.path_octets > 1200);
	net_in_close(in);
	net_out_close(s.out, 100);
	CU_ASSERT_EQUAL(s.unsent, 0);
	CU_ASSERT_EQUAL(s.lent, 0);
	free(s.lend);
	event_base_free(base);
}

static void
test_udp(void)
{
	through(TRANSPORT_UDP, 4, 300, 100, false);
	if (have_ipv6())
		through(TRANSPORT_UDP, 6, 100, 1000, false);
}

static void
test_tcp(void)
{
	through(TRANSPORT_TCP, 4, 20000, 1400, false);
	through(TRANSPORT_TCP, 4, 20000, 20, false);
	if (have_ipv6())
		through(TRANSPORT_TCP, 6, 300, 65535, false);
}

/* Those that lend keep what they lent, and get all of it back. */
static void
test_lent(void)
{
	through(TRANSPORT_UDP, 4, 300, 100, true);
	through(TRANSPORT_TCP, 4, 500, 20, true);
	through(TRANSPORT_TCP, 4, 1000, 10000, true);
	through(TRANSPORT_TCP, 4, 1000, 65535, true);
}

/* Nobody listens: ICMP errors, but no datagram is taken for lost. */
static void
test_udp_refused(void)
{
	struct event_base *base = event_base_new();
	struct net_out_conf conf = {.transport = TRANSPORT_UDP};
	struct sender s = {.length = 100};
	struct net_out_stats stats;
	uint16_t port = 0;
	int fd = test_listen(SOCK_DGRAM, 4, &port);

	close(fd);
	loopback(&conf.remote, 4, port);
	open_out(base, &conf, &s);
	RUN_UNTIL(base, s.up == 1);
	for (int i = 0; i < 10; i++) {
		s.stop++;
		sender_push(&s);
		run_for(base, 2);
	}
	net_out_stats(s.out, &stats);
	CU_ASSERT_EQUAL(stats.messages, 10);
	CU_ASSERT_EQUAL(stats.discarded, 0);
	CU_ASSERT_EQUAL(s.down, 0);
	s.length = 65535;
	s.stop++;
	sender_push(&s);
	CU_ASSERT_EQUAL(s.error, -EMSGSIZE);
	net_out_close(s.out, 0);
	event_base_free(base);
}

static void
test_rate(void)
{
	struct event_base *base = event_base_new();
	struct net_out_conf conf = {.transport = TRANSPORT_UDP,
				    .rate_octets = 100000};
	struct sender s = {.stop = 50, .length = 1000};
	struct receiver r = {0};
	struct net_in *in;
	uint64_t ms;

	loopback(&conf.remote, 4, 0);
	in = open_receiver(base, TRANSPORT_UDP, &conf.remote, &r);
	open_out(base, &conf, &s);
	RUN_UNTIL(base, r.messages == 50);
	ms = clock_mono_ms() - s.up_ms;
	CU_ASSERT(ms >= 400); /* 500, less 50 ms of burst */
	CU_ASSERT(ms <= 3000);
	CU_ASSERT_EQUAL(s.error, -EAGAIN);
	net_in_close(in);
	net_out_close(s.out, 0);
	event_base_free(base);
}

/* One that does not read its answers: they are refused, but for the first. */
static void
test_tcp_answers(void)
{
	struct event_base *base = event_base_new();
	struct net_out_conf conf = {.transport = TRANSPORT_TCP,
				    .reconnect_min_ms = 50};
	struct sender s = {.length = 100};
	struct receiver r = {0};
	struct net_session *session;
	uint8_t reply[NET_REPLY_MAX + 1] = {0};
	uint32_t at = 0;
	struct net_in *in;
	int taken = 0, rc;

	loopback(&conf.remote, 4, 0);
	in = open_receiver(base, TRANSPORT_TCP, &conf.remote, &r);
	open_out(base, &conf, &s);
	RUN_UNTIL(base, s.up == 1 && r.opened == 1);
	check_answers(base, &s, &r);
	RUN_UNTIL(base, r.opened == 2 && r.closed == 1);
	session = net_in_next(in, &at);
	CU_ASSERT_PTR_NOT_NULL_FATAL(session);
	CU_ASSERT_EQUAL(net_in_reply(session, reply, sizeof(reply)), -EMSGSIZE);
	s.answered = 0;
	while ((rc = net_in_reply(session, reply, NET_REPLY_MAX)) == 0)
		taken++;
	CU_ASSERT_EQUAL(rc, -EAGAIN);
	RUN_UNTIL(base, s.answered == (uint64_t)taken * NET_REPLY_MAX);
	net_in_close(in);
	net_out_close(s.out, 0);
	event_base_free(base);
}

static void
test_tcp_reconnects(void)
{
	struct event_base *base = event_base_new();
	struct net_out_conf conf = {.transport = TRANSPORT_TCP,
				    .reconnect_min_ms = 50,
				    .reconnect_max_ms = 200};
	struct sender s = {.stop = 10, .length = 100};
	struct receiver r = {0};
	struct net_in *in;
	uint64_t start = clock_mono_ms();

	/* Nobody there at first: told once, tried again and again. */
	loopback(&conf.remote, 4, 0);
	in = open_receiver(base, TRANSPORT_TCP, &conf.remote, &r);
	net_in_close(in);
	open_out(base, &conf, &s);
	RUN_UNTIL(base, s.down == 1);
	CU_ASSERT_EQUAL(s.unsent, 0);
	run_for(base, 300);
	CU_ASSERT_EQUAL(s.down, 1);
	in = open_receiver(base, TRANSPORT_TCP, &conf.remote, &r);
	RUN_UNTIL(base, r.messages == 10);
	CU_ASSERT(clock_mono_ms() - start < 2000);
	/* The peer dies, and comes again. */
	net_in_close(in);
	RUN_UNTIL(base, s.down == 2);
	CU_ASSERT_EQUAL(net_out_send(s.out, (const uint8_t *)"", 1),
			-ENOTCONN);
	s.stop = 20;
	in = open_receiver(base, TRANSPORT_TCP, &conf.remote, &r);
	RUN_UNTIL(base, r.messages == 20);
	CU_ASSERT_EQUAL(s.up, 2);
	CU_ASSERT_EQUAL(r.out_of_order, 0);
	net_out_close(s.out, 1000);
	RUN_UNTIL(base, r.closed == 2);
	CU_ASSERT_PTR_NULL(r.reason); /* in order, no reset */
	net_in_close(in);
	event_base_free(base);
}

static void
count_events(evutil_socket_t fd, short what, void *arg)
{
	int c = accept(fd, NULL, NULL);

	if (c >= 0) {
		(*(unsigned *)arg)++;
		close(c);
	}
}

/* A peer that accepts and closes at once is not hammered. */
static void
test_tcp_backs_off(void)
{
	struct event_base *base = event_base_new();
	struct net_out_conf conf = {.transport = TRANSPORT_TCP,
				    .reconnect_min_ms = 60,
				    .reconnect_max_ms = 10000};
	struct sender s = {.length = 100};
	struct event *e;
	unsigned accepted = 0;
	uint16_t port = 0;
	int fd = test_listen(SOCK_STREAM, 4, &port);

	e = event_new(base, fd, EV_READ | EV_PERSIST, count_events,
		      &accepted);
	event_add(e, NULL);
	loopback(&conf.remote, 4, port);
	open_out(base, &conf, &s);
	run_for(base, 1000);
	/* 0, 60, 180, 420, 900 ms, each up to a quarter less */
	CU_ASSERT(accepted >= 4 && accepted <= 7);
	net_out_close(s.out, 100);
	event_free(e);
	close(fd);
	event_base_free(base);
}

/* A peer that does not read: bounded, nothing lost from view. */
static void
stalled(size_t length, bool lend)
{
	struct event_base *base = event_base_new();
	struct net_out_conf conf = {.transport = TRANSPORT_TCP,
				    .reconnect_min_ms = 10000,
				    .reconnect_max_ms = 10000,
				    .send_buffer = 8192};
	struct sender s = {.stop = 1000000, .length = length};
	struct net_out_stats stats;
	uint16_t port = 0;
	int fd = test_listen(SOCK_STREAM, 4, &port), peer;
	size_t seen = 0;
	char octets[65536];
	ssize_t n;

	s.lend = lend ? calloc(SENDER_LENT, sizeof(*s.lend)) : NULL;
	loopback(&conf.remote, 4, port);
	open_out(base, &conf, &s);
	RUN_UNTIL(base, s.error == -EAGAIN);
	run_for(base, 200);
	CU_ASSERT(s.next * length < 20000000);
	CU_ASSERT_EQUAL(s.lent, 0);
	peer = accept(fd, NULL, NULL);
	s.stop = s.next + 10;
	/* It reads a little, then dies with a reset. */
	while (seen < 1000000) {
		n = recv(peer, octets, sizeof(octets), MSG_DONTWAIT);
		if (n > 0)
			seen += (size_t)n;
		else
			run_for(base, 5);
		s.stop = s.next + 1000;
	}
	CU_ASSERT(s.writable > 0);
	close(peer);
	RUN_UNTIL(base, s.down == 1);
	net_out_stats(s.out, &stats);
	CU_ASSERT_EQUAL(stats.messages + s.unsent, s.next);
	CU_ASSERT_EQUAL(stats.discarded, s.unsent);
	CU_ASSERT(s.unsent > 0 && s.unsent * length < 400000);
	CU_ASSERT_EQUAL(s.lent, 0);
	net_out_close(s.out, 100);
	close(fd);
	free(s.lend);
	event_base_free(base);
}

static void
test_tcp_stalled(void)
{
	stalled(1000, false);
	stalled(10000, true);
}

/* The close waits until a slow peer has taken all. */
static void
test_tcp_lingers(void)
{
	struct event_base *base = event_base_new();
	struct net_out_conf conf = {.transport = TRANSPORT_TCP,
				    .send_buffer = 8192};
	struct sender s = {.stop = 1000000, .length = 1000};
	uint16_t port = 0;
	int fd = test_listen(SOCK_STREAM, 4, &port), peer;
	uint64_t start;

	loopback(&conf.remote, 4, port);
	open_out(base, &conf, &s);
	RUN_UNTIL(base, s.error == -EAGAIN);
	peer = accept(fd, NULL, NULL);
	start = clock_mono_ms();
	net_out_close(s.out, 200); /* it never reads: bounded */
	CU_ASSERT(clock_mono_ms() - start >= 190);
	CU_ASSERT(clock_mono_ms() - start < 1000);
	CU_ASSERT_EQUAL(s.down, 1);
	CU_ASSERT(s.unsent > 0);
	close(peer);
	close(fd);
	event_base_free(base);
}

/* ---- files ------------------------------------------------------------- */

static off_t
file_size(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 ? st.st_size : -1;
}

static void
temporary(char *name, const char *content)
{
	int fd;

	strcpy(name, "net_test.XXXXXX");
	fd = mkstemp(name);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, content, strlen(content)),
			(ssize_t)strlen(content));
	close(fd);
}

static void
test_file(void)
{
	struct event_base *base = event_base_new();
	char name[32];
	struct net_out_conf conf = {.transport = TRANSPORT_FILE,
				    .file = name};
	struct sender s = {.stop = 3, .length = 100};

	temporary(name, "old content");
	open_out(base, &conf, &s);
	RUN_UNTIL(base, s.next == 3);
	CU_ASSERT_EQUAL(file_size(name), 0);
	run_for(base, 1100); /* written each second */
	CU_ASSERT_EQUAL(file_size(name), 300);
	s.stop = 2000;
	sender_push(&s);
	CU_ASSERT_EQUAL(s.next, 2000);
	net_out_close(s.out, 0);
	CU_ASSERT_EQUAL(file_size(name), 200000);
	CU_ASSERT_EQUAL(s.down, 0);
	unlink(name);
	event_base_free(base);
}

/* Behind what is there; what was cut off of it goes, and what is not a message
 * stays as it is. */
static void
test_file_append(void)
{
	struct event_base *base = event_base_new();
	char name[32], content[] = "M\0\7abcdM\0\4xM\0\7ab";
	struct net_out_conf conf = {
		.transport = TRANSPORT_FILE,
		.file = name,
		.append = test_frame,
	};
	struct sender s = {.stop = 3, .length = 100};
	struct net_out *out = NULL;
	uint64_t length = 0;
	char *error = NULL;
	FILE *file;

	temporary(name, "");
	file = fopen(name, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fwrite(content, 1, sizeof(content) - 1, file);
	fclose(file);
	open_out(base, &conf, &s);
	CU_ASSERT_EQUAL(file_size(name), 11);
	CU_ASSERT(net_out_length(s.out, &length));
	CU_ASSERT_EQUAL(length, 11);
	CU_ASSERT_EQUAL(net_out_cut(s.out, 12), 0);
	CU_ASSERT_EQUAL(file_size(name), 11);
	CU_ASSERT_EQUAL(net_out_cut(s.out, 7), 0);
	RUN_UNTIL(base, s.next == 3);
	CU_ASSERT(net_out_length(s.out, &length));
	CU_ASSERT_EQUAL(length, 7); /* nothing is written yet */
	CU_ASSERT(net_out_drained(s.out));
	CU_ASSERT(net_out_length(s.out, &length));
	CU_ASSERT_EQUAL(length, 307);
	net_out_close(s.out, 0);
	CU_ASSERT_EQUAL(file_size(name), 307);
	temporary(name, "old content");
	CU_ASSERT_EQUAL(net_out_open(base, &conf, &sender_ops, &s, &out,
				     &error),
			-EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "something else"));
	free(error);
	CU_ASSERT_EQUAL(file_size(name), 11);
	unlink(name);
	event_base_free(base);
}

/* The disk is full: whole messages only, and every one accounted for. */
static void
test_file_full(void)
{
	struct event_base *base = event_base_new();
	char name[32];
	struct net_out_conf conf = {.transport = TRANSPORT_FILE,
				    .file = name};
	struct sender s = {.stop = 1000000, .length = 1000};
	struct rlimit old, limit;
	struct net_out_stats stats;

	temporary(name, "");
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = old;
	limit.rlim_cur = 500300; /* within a message */
	setrlimit(RLIMIT_FSIZE, &limit);
	open_out(base, &conf, &s);
	RUN_UNTIL(base, s.error == -EFBIG);
	CU_ASSERT_EQUAL(file_size(name), 500000);
	net_out_stats(s.out, &stats);
	CU_ASSERT_EQUAL(stats.messages, 500);
	CU_ASSERT_EQUAL(stats.octets, 500000);
	/* Room again: what was taken is not lost, the file is whole. */
	limit.rlim_cur = 600000;
	setrlimit(RLIMIT_FSIZE, &limit);
	s.stop = s.next + 1;
	sender_push(&s);
	setrlimit(RLIMIT_FSIZE, &old);
	net_out_close(s.out, 0);
	CU_ASSERT_EQUAL(s.unsent, 0);
	CU_ASSERT_EQUAL(file_size(name), (off_t)s.next * 1000);
	unlink(name);
	event_base_free(base);
}

static void
test_fifo(void)
{
	struct event_base *base = event_base_new();
	char name[32], octets[65536];
	struct net_out_conf conf = {.transport = TRANSPORT_FILE,
				    .file = name};
	struct sender s = {.stop = 1000, .length = 1000};
	struct net_out *out;
	size_t seen = 0;
	char *error;
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "net_test.%d.out", (int)getpid());
	CU_ASSERT_EQUAL(mkfifo(name, 0600), 0);
	CU_ASSERT_EQUAL(net_out_open(base, &conf, &sender_ops, &s, &out,
				     &error),
			-ENXIO);
	free(error);
	fd = open(name, O_RDONLY | O_NONBLOCK);
	open_out(base, &conf, &s);
	RUN_UNTIL(base, s.error == -EAGAIN); /* a full pipe doesn't block */
	while (seen < 1000000) {
		n = read(fd, octets, sizeof(octets));
		if (n > 0)
			seen += (size_t)n;
		event_base_loop(base, EVLOOP_ONCE);
	}
	CU_ASSERT_EQUAL(s.next, 1000);
	CU_ASSERT(net_out_drained(s.out));
	net_out_close(s.out, 0);
	CU_ASSERT_EQUAL(seen, 1000000);
	CU_ASSERT_EQUAL(read(fd, octets, 1), 0);
	close(fd);
	unlink(name);
	event_base_free(base);
}

static const struct unit_test tests[] = {
	{"UDP, IPv4 and IPv6", test_udp},
	{"TCP, IPv4 and IPv6", test_tcp},
	{"messages that are lent", test_lent},
	{"UDP: nobody listens", test_udp_refused},
	{"rate limit", test_rate},
	{"TCP: answers", test_tcp_answers},
	{"TCP: the peer comes, dies, and comes again", test_tcp_reconnects},
	{"TCP: back-off", test_tcp_backs_off},
	{"TCP: a peer that does not read", test_tcp_stalled},
	{"TCP: the close is bounded", test_tcp_lingers},
	{"file", test_file},
	{"appending to a file", test_file_append},
	{"file on a full disk", test_file_full},
	{"named pipe", test_fifo},
};

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	return unit_run("net out", tests, UNIT_COUNT(tests));
}
