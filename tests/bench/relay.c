/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The ceiling of a proxy: what comes is sent on, and nobody looks at it.
 *
 *	relay udp|tcp FROM-PORT TO-PORT	receives and sends, on the loopback
 *	relay udp|tcp PORT		receives only
 *
 * UDP in batches of 32 datagrams (recvmmsg, sendmmsg), TCP in pieces of up to
 * 256 KiB of one connection. At its end (TCP: of the connection, UDP: SIGTERM)
 * it prints "octets=N seconds=CPU".
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	DATAGRAMS = 32,
	DATAGRAM = 65536,
	PIECE = 256 << 10,
	BUFFER = 4 << 20, /* of the socket */
};

static volatile sig_atomic_t ended;

static void
on_signal(int number)
{
	ended = 1;
}

static struct sockaddr_in
loopback(const char *port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int
receiver(int type, const char *port)
{
	struct sockaddr_in addr = loopback(port);
	int fd = socket(AF_INET, type, 0), on = 1, size = BUFFER;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		err(1, "port %s", port);
	if (type == SOCK_DGRAM)
		return fd;
	if (listen(fd, 1))
		err(1, "listen");
	return accept(fd, NULL, NULL);
}

static int
sender(int type, const char *port)
{
	struct sockaddr_in addr = loopback(port);
	int fd = socket(AF_INET, type, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		err(1, "port %s", port);
	return fd;
}

static void
send_all(int fd, struct mmsghdr *m, int count)
{
	while (count > 0 && !ended) {
		int n = sendmmsg(fd, m, (unsigned)count, 0);

		if (n < 0 && errno != EINTR && errno != ECONNREFUSED)
			err(1, "sendmmsg");
		if (n > 0) {
			m += n;
			count -= n;
		}
	}
}

static uint64_t
relay_udp(int in, int out)
{
	static uint8_t data[DATAGRAMS][DATAGRAM];
	static struct iovec part[DATAGRAMS];
	static struct mmsghdr m[DATAGRAMS];
	uint64_t octets = 0;

	while (!ended) {
		int n;

		for (int i = 0; i < DATAGRAMS; i++) {
			part[i] = (struct iovec){data[i], DATAGRAM};
			m[i].msg_hdr = (struct msghdr){.msg_iov = &part[i],
						       .msg_iovlen = 1};
		}
		n = recvmmsg(in, m, DATAGRAMS, MSG_WAITFORONE, NULL);
		for (int i = 0; i < n; i++) {
			part[i].iov_len = m[i].msg_len;
			octets += m[i].msg_len;
		}
		if (out >= 0)
			send_all(out, m, n);
	}
	return octets;
}

static uint64_t
relay_tcp(int in, int out)
{
	static uint8_t data[PIECE];
	uint64_t octets = 0;
	ssize_t n;

	while ((n = read(in, data, sizeof(data))) > 0) {
		octets += (uint64_t)n;
		for (ssize_t done = 0, sent; out >= 0 && done < n;
		     done += sent) {
			sent = write(out, data + done, (size_t)(n - done));
			if (sent < 0)
				err(1, "write");
		}
	}
	return octets;
}

int
main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct rusage usage;
	uint64_t octets;
	int type, in, out;

	if (argc < 3)
		errx(2, "usage: relay udp|tcp FROM-PORT [TO-PORT]");
	sigaction(SIGTERM, &action, NULL);
	type = strcmp(argv[1], "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;
	in = receiver(type, argv[2]);
	out = argc > 3 ? sender(type, argv[3]) : -1;
	octets = type == SOCK_DGRAM ? relay_udp(in, out) : relay_tcp(in, out);
	getrusage(RUSAGE_SELF, &usage);
	printf("octets=%llu seconds=%.3f\n", (unsigned long long)octets,
	       (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		       (double)(usage.ru_utime.tv_usec +
				usage.ru_stime.tv_usec) /
			       1e6);
	return 0;
}
