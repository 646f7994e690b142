/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_lossy: a forwarder between one client and one server on 127.0.0.1 that
 * loses, doubles and delays datagrams.
 *
 *	udp_lossy LISTEN_PORT SERVER_PORT LOSS% [DOUBLE% [DELAY_MS [SEED]]]
 *
 * Both directions are treated alike. Prints what it did when it is ended.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { QUEUE = 1024, DATAGRAM = 65536 };

struct held {
	uint64_t due_ms;
	int fd; /* to send it on */
	struct sockaddr_in to;
	size_t length;
	uint8_t *data;
};

struct forwarder {
	int client_fd, server_fd;
	struct sockaddr_in client, server;
	unsigned loss, twice, delay;
	uint64_t random;
	struct held queue[QUEUE];
	unsigned long passed, lost, doubled;
};

static volatile sig_atomic_t ended;

static void
on_signal(int number)
{
	ended = 1;
}

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static unsigned
percent(struct forwarder *f)
{
	f->random = f->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(f->random >> 33) % 100;
}

static int
open_socket(uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof(sin))) {
		perror("udp_lossy");
		exit(1);
	}
	return fd;
}

static void
hold(struct forwarder *f, int fd, const struct sockaddr_in *to,
     const uint8_t *data, size_t length)
{
	for (unsigned i = 0; i < QUEUE; i++) {
		struct held *h = &f->queue[i];

		if (h->data)
			continue;
		h->data = malloc(length ? length : 1);
		if (!h->data)
			return;
		memcpy(h->data, data, length);
		h->length = length;
		h->fd = fd;
		h->to = *to;
		h->due_ms = now_ms() + f->delay;
		return;
	}
}

static void
send_due(struct forwarder *f)
{
	uint64_t now = now_ms();

	for (unsigned i = 0; i < QUEUE; i++) {
		struct held *h = &f->queue[i];

		if (!h->data || h->due_ms > now)
			continue;
		sendto(h->fd, h->data, h->length, 0,
		       (const struct sockaddr *)&h->to, sizeof(h->to));
		free(h->data);
		h->data = NULL;
	}
}

static void
forward(struct forwarder *f, int from, int to_fd, struct sockaddr_in *learn,
	const struct sockaddr_in *to)
{
	static uint8_t data[DATAGRAM];
	struct sockaddr_in source;
	socklen_t size = sizeof(source);
	ssize_t n = recvfrom(from, data, sizeof(data), 0,
			     (struct sockaddr *)&source, &size);

	if (n < 0)
		return;
	if (learn)
		*learn = source;
	if (percent(f) < f->loss) {
		f->lost++;
		return;
	}
	f->passed++;
	hold(f, to_fd, to, data, (size_t)n);
	if (percent(f) < f->twice) {
		f->doubled++;
		hold(f, to_fd, to, data, (size_t)n);
	}
}

int
main(int argc, char **argv)
{
	static struct forwarder f;
	struct sigaction action = {.sa_handler = on_signal};

	if (argc < 4)
		return 2;
	f.client_fd = open_socket((uint16_t)atoi(argv[1]));
	f.server_fd = open_socket(0);
	f.server.sin_family = AF_INET;
	f.server.sin_port = htons((uint16_t)atoi(argv[2]));
	f.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f.loss = (unsigned)atoi(argv[3]);
	f.twice = argc > 4 ? (unsigned)atoi(argv[4]) : 0;
	f.delay = argc > 5 ? (unsigned)atoi(argv[5]) : 0;
	f.random = argc > 6 ? strtoull(argv[6], NULL, 10) : 1;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	while (!ended) {
		struct pollfd fds[2] = {{f.client_fd, POLLIN, 0},
					{f.server_fd, POLLIN, 0}};

		if (poll(fds, 2, f.delay ? 1 : 100) < 0 && errno != EINTR)
			return 1;
		if (fds[0].revents & POLLIN)
			forward(&f, f.client_fd, f.server_fd, &f.client,
				&f.server);
		if (fds[1].revents & POLLIN)
			forward(&f, f.server_fd, f.client_fd, NULL,
				&f.client);
		send_due(&f);
	}
	printf("passed %lu lost %lu doubled %lu\n", f.passed, f.lost,
	       f.doubled);
	return 0;
}
