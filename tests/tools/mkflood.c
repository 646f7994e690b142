/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * An exporter that tries to use up a collector's memory, and a collector that
 * does not read.
 *
 *	mkflood KIND COUNT udp|tcp ADDRESS PORT
 *	sessions	COUNT sources 127.1.0.0 and up, each with its Template
 *	domains		COUNT Observation Domains in one session
 *	templates	COUNT different Templates with a record each
 *	fields		COUNT Templates of 500 fields each
 *	unknown		COUNT elements that nobody knows
 *	elements	COUNT descriptions of elements (RFC 5610)
 *	options		COUNT Options Data Records with scopes of their own
 *	held		COUNT messages of 1200 octets without a Template
 *	flows		COUNT records with different addresses
 *	noise		COUNT messages with some bits turned over
 *	parts		COUNT connections that send half a message and stay (TCP)
 *
 *	mkflood deaf SECONDS tcp ADDRESS PORT
 *		accepts connections, and reads nothing for so long
 *
 * Prints the data records that are good as JSON.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "conflux/wire.h"

enum { HEADER = 16, SIZE = 65000, PEN = 64998, PAUSE_EVERY = 50 };

struct flood {
	struct sockaddr_in to;
	bool udp;
	int fd;
	uint32_t domain, sequence, sent;
	uint64_t records;
	uint8_t message[SIZE];
	struct writer w;
	uint8_t *set;
};

static void
die(const char *what)
{
	fprintf(stderr, "mkflood: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
nap(long ms)
{
	struct timespec ts = {.tv_sec = ms / 1000,
			      .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

/* ---- messages -------------------------------------------------------------- */

static void
begin(struct flood *f)
{
	writer_init(&f->w, f->message, sizeof(f->message));
	writer_take(&f->w, HEADER);
	f->set = NULL;
}

static void
end_set(struct flood *f)
{
	if (f->set)
		wire_put16(f->set + 2, (uint16_t)(f->w.p - f->set));
	f->set = NULL;
}

static void
begin_set(struct flood *f, uint16_t id)
{
	end_set(f);
	f->set = f->w.p;
	writer_u16(&f->w, id);
	writer_u16(&f->w, 0);
}

static void
element(struct flood *f, uint32_t pen, uint16_t id, uint16_t length)
{
	writer_u16(&f->w, (uint16_t)(id | (pen ? 0x8000 : 0)));
	writer_u16(&f->w, length);
	if (pen)
		writer_u32(&f->w, pen);
}

static void
send_all(struct flood *f, const uint8_t *p, size_t length)
{
	do {
		ssize_t n = send(f->fd, p, length, MSG_NOSIGNAL);

		if (n < 0)
			die("send");
		p += n;
		length -= (size_t)n;
	} while (length);
	/* A flood that the kernel drops tries nothing. */
	if (f->udp && ++f->sent % PAUSE_EVERY == 0)
		nap(4);
}

static void
finish(struct flood *f, uint32_t records)
{
	size_t length;

	end_set(f);
	length = (size_t)(f->w.p - f->message);
	wire_put16(f->message, 10);
	wire_put16(f->message + 2, (uint16_t)length);
	wire_put32(f->message + 4, (uint32_t)time(NULL));
	wire_put32(f->message + 8, f->sequence);
	wire_put32(f->message + 12, f->domain);
	send_all(f, f->message, length);
	f->sequence += records;
	f->records += records;
}

static void
connect_from(struct flood *f, uint32_t source)
{
	struct sockaddr_in from = {.sin_family = AF_INET,
				   .sin_addr = {htonl(source)}};

	f->fd = socket(AF_INET, f->udp ? SOCK_DGRAM : SOCK_STREAM, 0);
	if (f->fd < 0 ||
	    (source &&
	     bind(f->fd, (struct sockaddr *)&from, sizeof(from)) < 0) ||
	    connect(f->fd, (struct sockaddr *)&f->to, sizeof(f->to)) < 0)
		die("connect");
	f->sequence = 0;
}

/* ---- floods ---------------------------------------------------------------- */

/* sourceIPv4Address and octetDeltaCount. */
static void
flow_template(struct flood *f)
{
	begin_set(f, 2);
	writer_u16(&f->w, 256);
	writer_u16(&f->w, 2);
	element(f, 0, 8, 4);
	element(f, 0, 1, 4);
}

static void
flow(struct flood *f, uint32_t n)
{
	writer_u32(&f->w, 0x0b000000 + n);
	writer_u32(&f->w, 1000);
}

static void
whole_flow(struct flood *f, uint32_t n)
{
	begin(f);
	flow_template(f);
	begin_set(f, 256);
	flow(f, n);
	finish(f, 1);
}

static void
sessions(struct flood *f, uint32_t n)
{
	close(f->fd);
	connect_from(f, 0x7f010000 + n);
	whole_flow(f, n);
}

static void
domains(struct flood *f, uint32_t n)
{
	f->domain = n;
	f->sequence = 0;
	whole_flow(f, n);
}

static void
templates(struct flood *f, uint32_t n)
{
	begin(f);
	begin_set(f, 2);
	writer_u16(&f->w, (uint16_t)(256 + n % 65000));
	writer_u16(&f->w, 2);
	element(f, 0, 8, 4);
	element(f, 0, 82, (uint16_t)(1 + n % 1000));
	begin_set(f, (uint16_t)(256 + n % 65000));
	writer_u32(&f->w, n);
	memset(writer_take(&f->w, 1 + n % 1000), 'x', 1 + n % 1000);
	finish(f, 1);
}

static void
fields(struct flood *f, uint32_t n)
{
	begin(f);
	begin_set(f, 2);
	writer_u16(&f->w, (uint16_t)(256 + n % 65000));
	writer_u16(&f->w, 500);
	for (uint32_t i = 0; i < 500; i++)
		element(f, 0, (uint16_t)(i == n % 500 ? 5 : 4),
			(uint16_t)(1));
	finish(f, 0);
}

static void
unknown(struct flood *f, uint32_t n)
{
	begin(f);
	begin_set(f, 2);
	writer_u16(&f->w, (uint16_t)(256 + n % 65000));
	writer_u16(&f->w, 1);
	element(f, PEN + n / 30000, (uint16_t)(1 + n % 30000), 4);
	begin_set(f, (uint16_t)(256 + n % 65000));
	writer_u32(&f->w, n);
	finish(f, 1);
}

static void
elements(struct flood *f, uint32_t n)
{
	char name[128];

	begin(f);
	begin_set(f, 3);
	writer_u16(&f->w, 256);
	writer_u16(&f->w, 4);
	writer_u16(&f->w, 2);
	element(f, 0, 346, 4);
	element(f, 0, 303, 2);
	element(f, 0, 339, 1);
	element(f, 0, 341, 65535);
	begin_set(f, 256);
	writer_u32(&f->w, PEN + n / 30000);
	writer_u16(&f->w, (uint16_t)(1 + n % 30000));
	writer_u8(&f->w, 3);
	memset(name, 'x', sizeof(name));
	snprintf(name, sizeof(name), "learnt%u", n);
	name[strlen(name)] = 'x';
	writer_varlen(&f->w, name, 120);
	finish(f, 1);
}

static void
options(struct flood *f, uint32_t n)
{
	begin(f);
	begin_set(f, 3);
	writer_u16(&f->w, 256);
	writer_u16(&f->w, 2);
	writer_u16(&f->w, 1);
	element(f, 0, 10, 4);
	element(f, 0, 82, 65535);
	begin_set(f, 256);
	writer_u32(&f->w, n);
	writer_u8(&f->w, 255);
	writer_u16(&f->w, 1000);
	memset(writer_take(&f->w, 1000), 'o', 1000);
	finish(f, 1);
}

static void
held(struct flood *f, uint32_t n)
{
	begin(f);
	f->domain = n % 100;
	begin_set(f, 999);
	writer_u32(&f->w, n);
	memset(writer_take(&f->w, 1176), 1, 1176);
	finish(f, 0);
	f->sequence++;
}

static void
flows(struct flood *f, uint32_t n)
{
	if (n % 100 == 0) {
		begin(f);
		flow_template(f);
		begin_set(f, 256);
	}
	flow(f, n);
	if (n % 100 == 99)
		finish(f, 100);
}

static uint32_t
random_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Whatever it does to lengths, ids and counts: nothing of it is good. */
static void
noise(struct flood *f, uint32_t n)
{
	static uint32_t state = 12345;
	size_t length;

	begin(f);
	flow_template(f);
	begin_set(f, 3);
	writer_u16(&f->w, 257);
	writer_u16(&f->w, 2);
	writer_u16(&f->w, 1);
	element(f, 0, 149, 4);
	element(f, PEN, 291, 65535);
	begin_set(f, 256);
	flow(f, n);
	begin_set(f, 257);
	writer_u32(&f->w, n);
	writer_varlen(&f->w, "\3\0\10\0\4abcd", 9);
	end_set(f);
	length = (size_t)(f->w.p - f->message);
	wire_put16(f->message, 10);
	wire_put16(f->message + 2, (uint16_t)length);
	wire_put32(f->message + 4, (uint32_t)time(NULL));
	wire_put32(f->message + 8, f->sequence++);
	wire_put32(f->message + 12, f->domain);
	for (uint32_t i = random_next(&state) % 8; i-- > 0;) {
		uint32_t bit = random_next(&state);

		f->message[bit / 8 % length] ^= (uint8_t)(1 << bit % 8);
	}
	if (random_next(&state) % 8 == 0)
		length = random_next(&state) % length;
	send_all(f, f->message, length);
}

static void
parts(struct flood *f, uint32_t n)
{
	static const uint8_t part[20000] = {0, 10, 0xff, 0xff};

	/* Those before stay open until we end. */
	connect_from(f, 0x7f010000 + n);
	send_all(f, part, sizeof(part));
}

static int
deaf(const struct flood *f, unsigned seconds)
{
	struct pollfd p = {.fd = socket(AF_INET, SOCK_STREAM, 0),
			   .events = POLLIN};
	time_t end = time(NULL) + (time_t)seconds;
	int on = 1;

	setsockopt(p.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(p.fd, (const struct sockaddr *)&f->to, sizeof(f->to)) < 0 ||
	    listen(p.fd, 8) < 0)
		die("listen");
	while (time(NULL) < end)
		if (poll(&p, 1, 200) > 0 && accept(p.fd, NULL, NULL) < 0)
			die("accept");
	return 0;
}

static void
usage(void)
{
	fputs("usage: mkflood KIND COUNT udp|tcp ADDRESS PORT\n", stderr);
	exit(2);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*one)(struct flood *f, uint32_t n);
	} kinds[] = {
		{"sessions", sessions}, {"domains", domains},
		{"templates", templates}, {"fields", fields},
		{"unknown", unknown}, {"elements", elements},
		{"options", options}, {"held", held}, {"flows", flows},
		{"noise", noise}, {"parts", parts},
	};
	static struct flood f;
	uint32_t count;

	if (argc != 6)
		usage();
	count = (uint32_t)strtoul(argv[2], NULL, 0);
	f.udp = strcmp(argv[3], "udp") == 0;
	f.to.sin_family = AF_INET;
	f.to.sin_port = htons((uint16_t)atoi(argv[5]));
	if (inet_pton(AF_INET, argv[4], &f.to.sin_addr) != 1)
		usage();
	if (strcmp(argv[1], "deaf") == 0)
		return deaf(&f, count);
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		if (strcmp(kinds[k].name, argv[1]) != 0)
			continue;
		connect_from(&f, 0);
		for (uint32_t n = 0; n < count; n++)
			kinds[k].one(&f, n);
		if (kinds[k].one == parts)
			nap(3000);
		printf("{\"records\":%llu}\n", (unsigned long long)f.records);
		return 0;
	}
	usage();
	return 2;
}
