/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The same flows as NetFlow of version 5 or 9, or as IPFIX (10), in datagrams
 * of 24 over the loopback:
 *
 *	netflow 5|9|10 PORT RECORDS RATE
 *
 * RATE in records per second. A datagram in 512 begins with the Template.
 * Prints "sent=RECORDS".
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
	RECORDS = 24,
	BURST = 16,
	TEMPLATE_EACH = 512,
	ID = 256,
	UPTIME = 100000000, /* milliseconds */
	NOW = 1700000000,
};

/* Element, octets; the times of version 9 count from when it was started. */
static const uint16_t layout[][2] = {
	{8, 4},	 {12, 4}, {7, 2},  {11, 2}, {4, 1},  {6, 1},
	{5, 1},	 {10, 4}, {14, 4}, {1, 4},  {2, 4},  {22, 4},
	{21, 4}, {16, 4}, {17, 4}, {9, 1},  {13, 1},
};

enum { FIELDS = sizeof(layout) / sizeof(layout[0]) };

struct out {
	uint8_t *p;
	uint8_t data[2048];
};

static void
put(struct out *o, uint64_t value, int octets)
{
	while (octets--)
		*o->p++ = (uint8_t)(value >> 8 * octets);
}

static uint32_t
next(void)
{
	static uint32_t x = 1;

	x ^= x << 13;
	x ^= x >> 17;
	return x ^= x << 5;
}

static void
put_template(struct out *o, unsigned version)
{
	put(o, version == 9 ? 0 : 2, 2);
	put(o, 8 + FIELDS * 4, 2);
	put(o, ID, 2);
	put(o, FIELDS, 2);
	for (unsigned i = 0; i < FIELDS; i++) {
		unsigned id = layout[i][0], octets = layout[i][1];

		if (version == 10 && (id == 22 || id == 21)) {
			id = id == 22 ? 152 : 153;
			octets = 8;
		}
		put(o, id, 2);
		put(o, octets, 2);
	}
}

static void
put_record(struct out *o, unsigned version)
{
	for (unsigned i = 0; i < FIELDS; i++) {
		uint32_t before = next() % 60000;

		if (layout[i][0] != 22 && layout[i][0] != 21)
			put(o, next(), layout[i][1]);
		else if (version == 10)
			put(o, NOW * UINT64_C(1000) - before, 8);
		else
			put(o, UPTIME - before, 4);
	}
}

static void
put_record5(struct out *o)
{
	for (int i = 0; i < 6; i++)
		put(o, next(), 4);
	put(o, UPTIME - next() % 60000, 4);
	put(o, UPTIME - next() % 60000, 4);
	for (int i = 0; i < 4; i++)
		put(o, next(), 4);
}

/* The number-th datagram. */
static size_t
make(struct out *o, unsigned version, uint32_t number)
{
	unsigned template = version != 5 && number % TEMPLATE_EACH == 0;
	uint8_t *set;

	o->p = o->data;
	put(o, version, 2);
	put(o, version == 10 ? 0 : RECORDS + template, 2);
	if (version != 10)
		put(o, UPTIME, 4);
	put(o, NOW, 4);
	if (version == 5)
		put(o, 0, 4);
	put(o, version == 9 ? number : number * RECORDS, 4);
	put(o, version == 5 ? 0 : 1, 4);
	if (template)
		put_template(o, version);
	set = o->p;
	if (version != 5)
		put(o, (uint32_t)ID << 16, 4);
	for (int i = 0; i < RECORDS; i++)
		if (version == 5)
			put_record5(o);
		else
			put_record(o, version);
	if (version != 5) {
		set[2] = (uint8_t)((o->p - set) >> 8);
		set[3] = (uint8_t)(o->p - set);
	}
	if (version == 10) {
		o->data[2] = (uint8_t)((o->p - o->data) >> 8);
		o->data[3] = (uint8_t)(o->p - o->data);
	}
	return (size_t)(o->p - o->data);
}

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void
wait_until(uint64_t ns)
{
	const struct timespec nap = {.tv_nsec = 50000};

	while (now_ns() < ns)
		nanosleep(&nap, NULL);
}

int
main(int argc, char **argv)
{
	static struct out out[BURST];
	struct iovec part[BURST];
	struct mmsghdr m[BURST];
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint64_t records, rate, start;
	uint32_t sent = 0;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (argc != 5)
		errx(2, "usage: netflow 5|9|10 PORT RECORDS RATE");
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	records = strtoull(argv[3], NULL, 10);
	rate = strtoull(argv[4], NULL, 10);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		err(1, "port %s", argv[2]);
	start = now_ns();
	while ((uint64_t)sent * RECORDS < records) {
		memset(m, 0, sizeof(m));
		for (int i = 0; i < BURST; i++) {
			size_t n = make(&out[i], (unsigned)atoi(argv[1]),
					sent + (uint32_t)i);

			part[i] = (struct iovec){out[i].data, n};
			m[i].msg_hdr.msg_iov = &part[i];
			m[i].msg_hdr.msg_iovlen = 1;
		}
		for (int done = 0, n; done<BURST; done += n> 0 ? n : 0) {
			n = sendmmsg(fd, m + done, (unsigned)(BURST - done), 0);
			if (n < 0 && errno != EINTR && errno != ECONNREFUSED)
				err(1, "sendmmsg");
		}
		sent += BURST;
		wait_until(start +
			   (uint64_t)sent * RECORDS * 1000000000u / rate);
	}
	printf("sent=%" PRIu64 "\n", (uint64_t)sent * RECORDS);
	return 0;
}
