/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Many sessions of one process with a collector on 127.0.0.1, each from a port
 *of its own.
 *
 *	mksessions [options] dtls|tcp PORT COUNT [FOLDER NAME PEER]
 *	-p PARALLEL	handshakes at a time (32)
 *	-e		each session ends as soon as it is there; else all stay
 *			until SIGTERM, and end in order
 *	-m FILE		the first message of an IPFIX file is sent in each
 *
 * Of DTLS, FOLDER has NAME.pem, NAME.key and ca.pem, and PEER is the
 *collector's name. Prints "COUNT up, FAILED failed, in SECONDS s" when there is
 *nothing left to wait for.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conflux/addr.h"
#include "conflux/clock.h"
#include "conflux/dtls.h"
#include "conflux/wire.h"

enum { TICK_MS = 20, HANDSHAKE_MS = 30000 };

struct one {
	struct dtls *dtls; /* NULL: none, or not any more */
	bool up;
};

struct many {
	bool dtls, ends;
	unsigned count, parallel;
	unsigned begun, shaking, up, failed;
	struct one *one;
	struct pollfd *fds;
	struct sockaddr_in server;
	struct addr remote;
	struct dtls_context *context;
	uint8_t message[65536];
	size_t length;
};

static volatile sig_atomic_t ended;

static void
on_signal(int number)
{
	ended = 1;
}

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "mksessions: %s: %s\n", what, why ? why : "no memory");
	exit(1);
}

static void
send_datagram(void *arg, const uint8_t *datagram, size_t length)
{
	/* What can't be sent is lost, as datagrams are. */
	if (send(*(int *)arg, datagram, length, MSG_DONTWAIT) < 0)
		return;
}

/* ---- one ----------------------------------------------------------------- */

static void
end(struct many *m, unsigned i)
{
	if (m->one[i].dtls && m->one[i].up)
		dtls_end(m->one[i].dtls, clock_mono_ms());
	dtls_free(m->one[i].dtls);
	m->one[i].dtls = NULL;
	if (m->fds[i].fd >= 0)
		close(m->fds[i].fd);
	m->fds[i].fd = -1;
}

static void
come_up(struct many *m, unsigned i)
{
	struct one *one = &m->one[i];

	one->up = true;
	m->shaking--;
	m->up++;
	if (m->length && m->dtls)
		dtls_write(one->dtls, m->message, m->length, clock_mono_ms());
	else if (m->length && write(m->fds[i].fd, m->message, m->length) < 0)
		die("write", strerror(errno));
	if (m->ends)
		end(m, i);
}

static void
begin(struct many *m)
{
	unsigned i = m->begun++;
	struct dtls_conf conf = {
		.remote = &m->remote,
		.send = send_datagram,
		.arg = &m->fds[i].fd,
		.heartbeat = true,
		.handshake_ms = HANDSHAKE_MS,
	};
	uint64_t now = clock_mono_ms();
	char *error = NULL;
	int fd = socket(AF_INET, m->dtls ? SOCK_DGRAM : SOCK_STREAM, 0);

	m->fds[i] = (struct pollfd){fd, POLLIN, 0};
	if (fd < 0 ||
	    connect(fd, (struct sockaddr *)&m->server, sizeof(m->server)) < 0)
		die("connect", strerror(errno));
	m->shaking++;
	if (!m->dtls) {
		/* One that ends is over when the collector has closed it. */
		if (m->ends)
			shutdown(fd, SHUT_WR);
		else
			come_up(m, i);
		return;
	}
	m->one[i].dtls = dtls_new(m->context, &conf, now, &error);
	if (!m->one[i].dtls)
		die("dtls_new", error);
	dtls_tick(m->one[i].dtls, now);
}

static void
look(struct many *m, unsigned i)
{
	struct one *one = &m->one[i];
	enum dtls_state state = dtls_state(one->dtls);

	if (state == DTLS_UP && !one->up) {
		come_up(m, i);
	} else if (state == DTLS_FAILED || state == DTLS_ENDED) {
		fprintf(stderr, "mksessions: %s\n", dtls_reason(one->dtls));
		m->failed++;
		m->shaking -= !one->up;
		m->up -= one->up;
		one->up = false;
		end(m, i);
	}
}

static void
receive(struct many *m, unsigned i)
{
	static uint8_t datagram[DTLS_DATAGRAM_MAX], data[DTLS_DATAGRAM_MAX];
	struct one *one = &m->one[i];
	ssize_t n;

	while (one->dtls && (n = recv(m->fds[i].fd, datagram, sizeof(datagram),
				      MSG_DONTWAIT)) >= 0) {
		dtls_input(one->dtls, datagram, (size_t)n, clock_mono_ms());
		while (dtls_read(one->dtls, data, sizeof(data)) > 0)
			;
		look(m, i);
	}
}

/* ---- all of them --------------------------------------------------------- */

static void
tick(struct many *m)
{
	uint64_t now = clock_mono_ms();

	for (unsigned i = 0; i < m->begun; i++) {
		struct dtls *dtls = m->one[i].dtls;

		if (!dtls || dtls_wait(dtls, now) != 0)
			continue;
		dtls_tick(dtls, now);
		look(m, i);
	}
}

static void
run(struct many *m)
{
	uint64_t start = clock_mono_ms(), ticked = start;
	bool told = false;

	while (!ended) {
		while (m->begun < m->count && m->shaking < m->parallel)
			begin(m);
		if (!told && m->up + m->failed == m->count) {
			printf("%u up, %u failed, in %.3f s\n", m->up,
			       m->failed,
			       (double)(clock_mono_ms() - start) / 1000);
			fflush(stdout);
			told = true;
			if (m->ends)
				return;
		}
		poll(m->fds, m->begun, TICK_MS);
		for (unsigned i = 0; i < m->begun; i++) {
			if (m->fds[i].fd < 0 || !m->fds[i].revents)
				continue;
			if (m->dtls)
				receive(m, i);
			else if (m->ends)
				come_up(m, i);
			else
				m->fds[i].events = 0;
		}
		if (clock_mono_ms() - ticked >= TICK_MS) {
			ticked = clock_mono_ms();
			tick(m);
		}
	}
}

static void
read_message(struct many *m, const char *name)
{
	FILE *f = fopen(name, "rb");

	if (!f)
		die(name, strerror(errno));
	m->length = fread(m->message, 1, sizeof(m->message), f);
	fclose(f);
	if (m->length < 16 || wire_get16(m->message + 2) > m->length)
		die(name, "no IPFIX message");
	m->length = wire_get16(m->message + 2);
}

/* argv: FOLDER NAME PEER */
static struct secure *
open_secure(struct many *m, char **argv)
{
	const char *const peer[] = {argv[2]};
	char certificate[4096], key[4096], authorities[4096], *error = NULL;
	struct secure_conf conf = {
		.certificate = certificate,
		.key = key,
		.authorities = authorities,
		.remote_fqdn = {peer, 1},
	};
	struct secure *secure;

	snprintf(certificate, sizeof(certificate), "%s/%s.pem", argv[0],
		 argv[1]);
	snprintf(key, sizeof(key), "%s/%s.key", argv[0], argv[1]);
	snprintf(authorities, sizeof(authorities), "%s/ca.pem", argv[0]);
	if (secure_new(&conf, "mksessions", &secure, &error) < 0 ||
	    dtls_context_new(secure, &m->context, &error) < 0)
		die("credentials", error);
	return secure;
}

static void
many_files(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void
usage(void)
{
	fputs("usage: mksessions [-e] [-p PARALLEL] [-m FILE] dtls|tcp PORT "
	      "COUNT [FOLDER NAME PEER]\n",
	      stderr);
	exit(2);
}

int
main(int argc, char **argv)
{
	static struct many m = {.parallel = 32};
	struct sigaction action = {.sa_handler = on_signal};
	struct secure *secure = NULL;
	int c;

	while ((c = getopt(argc, argv, "ep:m:")) != -1) {
		if (c == 'e')
			m.ends = true;
		else if (c == 'p')
			m.parallel = (unsigned)atoi(optarg);
		else if (c == 'm')
			read_message(&m, optarg);
		else
			usage();
	}
	argv += optind;
	argc -= optind;
	if (argc < 3 || (m.dtls = strcmp(argv[0], "dtls") == 0) != (argc == 6))
		usage();
	many_files();
	sigaction(SIGTERM, &action, NULL);
	m.server.sin_family = AF_INET;
	m.server.sin_port = htons((uint16_t)atoi(argv[1]));
	m.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	addr_from_sockaddr(&m.remote, (struct sockaddr *)&m.server);
	m.count = (unsigned)atoi(argv[2]);
	m.one = calloc(m.count, sizeof(*m.one));
	m.fds = calloc(m.count, sizeof(*m.fds));
	if (!m.one || !m.fds)
		die("sessions", NULL);
	if (m.dtls)
		secure = open_secure(&m, argv + 3);
	run(&m);
	for (unsigned i = 0; i < m.begun; i++)
		end(&m, i);
	dtls_context_free(m.context);
	secure_free(secure);
	free(m.one);
	free(m.fds);
	return m.failed > 0;
}
