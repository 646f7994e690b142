/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_lossy: a forwarder between clients and one server on 127.0.0.1 that
 *loses, doubles, delays and reorders datagrams.
 *
 *	udp_lossy LISTEN_PORT SERVER_PORT LOSS% [DOUBLE% [DELAY_MS [SEED
 *[LATE%]]]]
 *
 * Late ones come LATE_MS after the others. Both directions are treated alike.
 *The server sees each client with a port of its own; of many clients, the one
 *that was here first is forgotten. SIGUSR1: all is only passed on, until the
 *next one. Prints what it did when it is ended.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	CLIENTS = 64,
	QUEUE = 1024,
	DATAGRAM = 65536,
	LATE_MS = 5,
	BUFFER = 4 << 20, /* of each socket: no other loss than what is told */
};

struct held {
	uint64_t due_ms;
	int fd; /* to send it on */
	struct sockaddr_in to;
	size_t length;
	uint8_t *data;
};

struct forwarder {
	struct pollfd fds[1 + CLIENTS]; /* the clients', and one to the server
					   for each of them */
	struct sockaddr_in client[CLIENTS], server;
	unsigned clients, oldest;
	unsigned loss, twice, delay, late;
	uint64_t random;
	struct held queue[QUEUE];
	unsigned waiting; /* in the queue */
	unsigned long passed, lost, doubled, delayed;
};

static volatile sig_atomic_t ended, peaceful;

static void
on_signal(int number)
{
	if (number == SIGUSR1)
		peaceful = !peaceful;
	else
		ended = 1;
}

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Has one of these hundredths come up? */
static bool
happens(struct forwarder *f, unsigned percent)
{
	f->random = f->random * 6364136223846793005u + 1442695040888963407u;
	return !peaceful && (unsigned)(f->random >> 33) % 100 < percent;
}

static int
open_socket(uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), buffer = BUFFER;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof(sin))) {
		perror("udp_lossy");
		exit(1);
	}
	return fd;
}

/* ---- what is on its way -------------------------------------------------- */

/* False: there is no room. */
static bool
hold(struct forwarder *f, int fd, const struct sockaddr_in *to,
     const uint8_t *data, size_t length, unsigned ms)
{
	for (unsigned i = 0; i < QUEUE; i++) {
		struct held *h = &f->queue[i];

		if (h->data)
			continue;
		h->data = malloc(length ? length : 1);
		if (!h->data)
			return false;
		memcpy(h->data, data, length);
		h->length = length;
		h->fd = fd;
		h->to = *to;
		h->due_ms = now_ms() + ms;
		f->waiting++;
		return true;
	}
	return false;
}

/* What is not delayed goes at once, in order. */
static bool
pass(struct forwarder *f, int fd, const struct sockaddr_in *to,
     const uint8_t *data, size_t length)
{
	unsigned ms = f->delay;

	if (happens(f, f->late)) {
		ms += LATE_MS;
		f->delayed++;
	}
	if (ms)
		return hold(f, fd, to, data, length, ms);
	return sendto(fd, data, length, 0, (const struct sockaddr *)to,
		      sizeof(*to)) >= 0;
}

static void
send_due(struct forwarder *f)
{
	uint64_t now = now_ms();

	for (unsigned i = 0; f->waiting && i < QUEUE; i++) {
		struct held *h = &f->queue[i];

		if (!h->data || h->due_ms > now)
			continue;
		sendto(h->fd, h->data, h->length, 0,
		       (const struct sockaddr *)&h->to, sizeof(h->to));
		free(h->data);
		h->data = NULL;
		f->waiting--;
	}
}

static void
treat(struct forwarder *f, int fd, const struct sockaddr_in *to,
      const uint8_t *data, size_t length)
{
	if (happens(f, f->loss) || !pass(f, fd, to, data, length)) {
		f->lost++;
		return;
	}
	f->passed++;
	if (happens(f, f->twice) && pass(f, fd, to, data, length))
		f->doubled++;
}

/* ---- clients ------------------------------------------------------------- */

static bool
same(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
	return a->sin_port == b->sin_port &&
	       a->sin_addr.s_addr == b->sin_addr.s_addr;
}

static unsigned
client_of(struct forwarder *f, const struct sockaddr_in *address)
{
	unsigned i;

	for (i = 0; i < f->clients; i++)
		if (same(&f->client[i], address))
			return i;
	if (f->clients < CLIENTS) {
		i = f->clients++;
		f->fds[1 + i] = (struct pollfd){open_socket(0), POLLIN, 0};
	} else {
		i = f->oldest++ % CLIENTS;
	}
	f->client[i] = *address;
	return i;
}

static void
from_client(struct forwarder *f)
{
	static uint8_t data[DATAGRAM];
	struct sockaddr_in source;
	socklen_t size = sizeof(source);
	ssize_t n = recvfrom(f->fds[0].fd, data, sizeof(data), 0,
			     (struct sockaddr *)&source, &size);

	if (n >= 0)
		treat(f, f->fds[1 + client_of(f, &source)].fd, &f->server, data,
		      (size_t)n);
}

static void
from_server(struct forwarder *f, unsigned client)
{
	static uint8_t data[DATAGRAM];
	ssize_t n = recv(f->fds[1 + client].fd, data, sizeof(data), 0);

	if (n >= 0)
		treat(f, f->fds[0].fd, &f->client[client], data, (size_t)n);
}

static int
run(struct forwarder *f)
{
	while (!ended) {
		unsigned clients = f->clients;

		if (poll(f->fds, 1 + clients, f->waiting ? 1 : 100) < 0) {
			if (errno != EINTR)
				return 1;
			continue;
		}
		if (f->fds[0].revents & POLLIN)
			from_client(f);
		for (unsigned i = 0; i < clients; i++)
			if (f->fds[1 + i].revents & POLLIN)
				from_server(f, i);
		send_due(f);
	}
	return 0;
}

static unsigned
argument(char **argv, int argc, int at)
{
	return argc > at ? (unsigned)atoi(argv[at]) : 0;
}

int
main(int argc, char **argv)
{
	static struct forwarder f;
	struct sigaction action = {.sa_handler = on_signal};
	int rc;

	if (argc < 4)
		return 2;
	f.fds[0] = (struct pollfd){open_socket((uint16_t)atoi(argv[1])), POLLIN,
				   0};
	f.server.sin_family = AF_INET;
	f.server.sin_port = htons((uint16_t)atoi(argv[2]));
	f.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f.loss = argument(argv, argc, 3);
	f.twice = argument(argv, argc, 4);
	f.delay = argument(argv, argc, 5);
	f.random = argc > 6 ? strtoull(argv[6], NULL, 10) : 1;
	f.late = argument(argv, argc, 7);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	rc = run(&f);
	printf("passed %lu lost %lu doubled %lu late %lu\n", f.passed, f.lost,
	       f.doubled, f.delayed);
	return rc;
}
