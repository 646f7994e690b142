/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends the frames of a capture file out of an interface at a rate, again and
 * again, past its queueing discipline.
 *
 *	blast INTERFACE FILE PACKETS RATE
 *
 * RATE 0: as fast as it can. FILE is a pcap of this machine's byte order with
 * Ethernet in it. What was missed is caught up with in bursts of at most 2 ms;
 * what is missed beyond that makes the rate lower. Prints
 * "sent=N rate=PACKETS_PER_SECOND cpu=NANOSECONDS_PER_PACKET".
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BURST = 32, HEADER = 24, RECORD = 16, FRAME_MAX = 65536 };

#define SECOND 1000000000u
#define LAG_MAX 2000000u /* nanoseconds that are caught up with */

struct frames {
	uint8_t *data;
	size_t size, at;
};

static void
fail(const char *what)
{
	fprintf(stderr, "blast: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void
frames_read(struct frames *f, const char *name)
{
	FILE *file = fopen(name, "rb");
	long size;

	if (!file || fseek(file, 0, SEEK_END) < 0 || (size = ftell(file)) < 0)
		fail(name);
	rewind(file);
	f->size = (size_t)size;
	f->data = malloc(f->size);
	if (!f->data || fread(f->data, 1, f->size, file) != f->size)
		fail(name);
	fclose(file);
	f->at = HEADER;
}

static void
frames_next(struct frames *f, struct iovec *out)
{
	uint32_t length;

	if (f->at + RECORD > f->size)
		f->at = HEADER;
	memcpy(&length, f->data + f->at + 8, sizeof(length));
	if (length > FRAME_MAX || length > f->size - f->at - RECORD) {
		errno = EINVAL;
		fail("capture file");
	}
	out->iov_base = f->data + f->at + RECORD;
	out->iov_len = length;
	f->at += RECORD + length;
}

static int
open_interface(const char *name)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(name),
	};
	int one = 1, fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0 || to.sll_ifindex == 0 ||
	    bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail(name);
	if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) <
	    0)
		fail("PACKET_QDISC_BYPASS");
	return fd;
}

/* Waits until so many packets are due; moves start on where it is late. */
static void
wait_for(uint64_t sent, uint64_t rate, uint64_t *start)
{
	uint64_t due = *start + sent * SECOND / rate, at = now();
	struct timespec nap = {.tv_nsec = 50000};

	if (at > due + LAG_MAX)
		*start += at - due - LAG_MAX;
	while (at + 60000 < due) {
		nanosleep(&nap, NULL);
		at = now();
	}
	while (at < due)
		at = now();
}

static void
burst(int fd, struct frames *f, unsigned count)
{
	struct mmsghdr message[BURST];
	struct iovec part[BURST];
	unsigned done = 0;

	memset(message, 0, sizeof(message));
	for (unsigned i = 0; i < count; i++) {
		frames_next(f, &part[i]);
		message[i].msg_hdr.msg_iov = &part[i];
		message[i].msg_hdr.msg_iovlen = 1;
	}
	while (done < count) {
		int n = sendmmsg(fd, message + done, count - done, 0);

		if (n < 0 && errno != ENOBUFS && errno != EINTR &&
		    errno != EAGAIN)
			fail("sendmmsg");
		done += n > 0 ? (unsigned)n : 0;
	}
}

static double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	uint64_t count, rate, sent = 0, begun, start;
	struct frames frames;
	double cpu;
	int fd;

	if (argc != 5) {
		fprintf(stderr, "usage: blast INTERFACE FILE PACKETS RATE\n");
		return 2;
	}
	count = strtoull(argv[3], NULL, 10);
	rate = strtoull(argv[4], NULL, 10);
	frames_read(&frames, argv[2]);
	fd = open_interface(argv[1]);
	begun = start = now();
	cpu = cpu_seconds();
	while (sent < count) {
		unsigned n =
			count - sent < BURST ? (unsigned)(count - sent) : BURST;

		if (rate)
			wait_for(sent, rate, &start);
		burst(fd, &frames, n);
		sent += n;
	}
	printf("sent=%" PRIu64 " rate=%.0f cpu=%.0f\n", sent,
	       (double)sent * 1e9 / (double)(now() - begun),
	       (cpu_seconds() - cpu) * 1e9 / (double)(sent ? sent : 1));
	close(fd);
	free(frames.data);
	return 0;
}
