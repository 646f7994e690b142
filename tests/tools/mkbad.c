/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends what broke other collectors, each between two good messages of the same
 * session, over UDP or TCP, and prints what a collector must have counted.
 *
 *	mkbad [-1] [-c CASE] udp|tcp ADDRESS PORT
 *	-c CASE		only this one
 *	-1		over TCP: one octet per segment
 *	-l		lists the cases
 *
 * A case is written as its sets in hexadecimal; "aa*9" is nine octets aa, the
 * message header is put before them. Good records have octetDeltaCount 1000 and
 * packetDeltaCount 1 and the number of the case as Observation Domain.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "conflux/wire.h"

enum {
	HEADER = 16,
	SIZE = 65535,
	GOOD = 3,           /* records in a good message */
	DOMAIN_FIRST = 1000,
	/* Flags of a case. */
	RAW = 1,            /* the hexadecimal is all of it, header included */
	CLOSES = 2,         /* TCP: the connection must be closed */
	UDP_ONLY = 4,
	TCP_ONLY = 8,
	NESTED = 16,        /* a list of lists of lists ..., appended */
	EARLIER = 32,       /* Export Time 0 */
	LATER = 64,         /* Export Time 2^32 - 1 */
	WRAP = 128,         /* the sequence number passes 2^32 here */
	LONGER = 256,       /* length in the header: 100 more than there is */
	SHORTER = 512,      /* 4 less */
	DEEP = 1024,        /* NESTED: 6000 instead of 100 */
};

/* What it costs; what is not told is 0. */
struct bad {
	const char *name, *hex;
	unsigned flags;
	unsigned records;   /* good ones within it */
	unsigned discarded; /* messages, wholly or in part */
	unsigned malformed; /* records */
	unsigned absent;    /* records without template */
	unsigned reserved;  /* sets with a reserved id */
};

#define T_GOOD "012c0004 00080004 000c0004 00010008 00020008"

static const struct bad cases[] = {
	/* ---- lengths of fields ---- */
	{.name = "address of 50 octets",
	 .hex = "0002000c 012d0001 00080032 012d0036 41*50", .records = 1},
	{.name = "address, port and MAC of 200 octets",
	 .hex = "00020014 012d0003 001b00c8 000700c8 003800c8 012d025c 42*600",
	 .records = 1},
	{.name = "counter of 9 octets",
	 .hex = "0002000c 012d0001 00010009 012d000d 01*9", .records = 1},
	{.name = "long form of a short length",
	 .hex = "0002000c 012d0001 0052ffff 012d000a ff0003 616263",
	 .records = 1},
	{.name = "length that reaches behind the set",
	 .hex = "0002000c 012d0001 0052ffff 012d000c ffffff 61*5",
	 .malformed = 1},
	{.name = "length prefix cut in two",
	 .hex = "0002000c 012d0001 0052ffff 012d000a 03616263 ff01",
	 .records = 1, .malformed = 1},
	{.name = "applicationId of variable length",
	 .hex = "0002000c 012d0001 005fffff 012d0009 0401020304",
	 .records = 1},
	{.name = "records of no octets",
	 .hex = "0002000c 012d0001 00010000 012d0010 01*12", .absent = 1},
	{.name = "fields of no octets beside others",
	 .hex = "00020010 012d0002 00520000 00010004 012d000c 01*8",
	 .records = 2},
	{.name = "unknown element",
	 .hex = "00020010 012d0001 ffff0004 0000ffff 012d0008 01020304",
	 .records = 1},
	/* ---- sets ---- */
	{.name = "set length 0", .hex = "012c0000", .flags = CLOSES,
	 .discarded = 1, .malformed = 1},
	{.name = "set length 3", .hex = "012c0003 01*8", .flags = CLOSES,
	 .discarded = 1, .malformed = 1},
	{.name = "set length 9591", .hex = "012c2577 01*100", .flags = CLOSES,
	 .discarded = 1, .malformed = 1},
	{.name = "template set length 0", .hex = "00020000" T_GOOD,
	 .flags = CLOSES, .discarded = 1, .malformed = 1},
	{.name = "octets behind the last set", .hex = "012c001c 01*24 0102",
	 .flags = CLOSES, .records = 1, .discarded = 1, .malformed = 1},
	{.name = "data that is cut off", .hex = "012c0026 01*24 02*10",
	 .records = 1, .malformed = 1},
	{.name = "four octets of padding alone", .hex = "012c0008 00000000"},
	{.name = "an empty set", .hex = "012c0004"},
	{.name = "reserved sets",
	 .hex = "00000008 01020304 00010004 00040005 aa 00ff0008 01020304",
	 .reserved = 4},
	{.name = "data before its template",
	 .hex = "012e0008 0a000001 0002000c 012e0001 00080004",
	 .flags = UDP_ONLY, .records = 1},
	{.name = "data without template", .hex = "03e7000c 01*8",
	 .absent = 1},
	{.name = "nothing but a header", .hex = ""},
	/* ---- templates ---- */
	{.name = "padding of 7 octets behind a template",
	 .hex = "00020013 012d0001 00080004 00*7 012d0008 0a000001",
	 .records = 1},
	{.name = "65535 fields announced", .hex = "0002000c 012dffff 00080004"},
	{.name = "enterprise number missing",
	 .hex = "0002000c 012d0001 80080004 012d0008 01*4", .absent = 1},
	{.name = "template id 255", .hex = "0002000c 00ff0001 00080004"},
	{.name = "template id 0", .hex = "0002000c 00000001 00080004"},
	{.name = "withdrawal of an unknown template", .hex = "00020008 01f40000"},
	{.name = "withdrawal of two octets", .hex = "00020006 012d"},
	{.name = "withdrawal of all options", .hex = "00030008 00030000"},
	{.name = "options template shorter than its counts",
	 .hex = "0003000e 012d0003 0001 00080004"},
	{.name = "options template of four octets", .hex = "00030008 012d0001"},
	{.name = "more scope fields than fields",
	 .hex = "0003000e 012d0001 0002 00080004 012d0008 01*4", .absent = 1},
	{.name = "no scope field",
	 .hex = "0003000e 012d0001 0000 00080004 012d0008 01*4", .absent = 1},
	{.name = "scope fields only",
	 .hex = "0003000e 012d0001 0001 00080004 012d0008 01*4",
	 .records = 1},
	{.name = "both kinds and data in one message",
	 .hex = "0002000c 012d0001 00080004 00030012 012e0002 0001 00950004"
		"00290008 012d0008 0a000001 012e0010 00000001 01*8",
	 .records = 2},
	{.name = "redefined between data",
	 .hex = "0002000c 012d0001 00080004 012d0008 0a000001 00020010"
		"012d0002 00080004 000c0004 012d000c 0a000001 0a000002",
	 .records = 2},
	{.name = "one id for both kinds",
	 .hex = "0002000c 012d0001 00080004 0003000e 012d0001 0001 00950004"
		"012d0008 00000007",
	 .records = 1},
	{.name = "bad definition of a known id",
	 .hex = "0002000c 012d0001 00080004 0002000c 012d0002 00080004"
		"012d0008 0a000001",
	 .absent = 1},
	{.name = "the same field eight times",
	 .hex = "00020028 012d0008 00080004 00080004 00080004 00080004"
		"00080004 00080004 00080004 00080004 012d0024 0a*32",
	 .records = 1},
	{.name = "template of 510 fields",
	 .hex = "00020800 012d01fe 00040001*510 012d0202 06*510",
	 .records = 1},
	{.name = "template of 600 fields",
	 .hex = "00020968 012d0258 00040001*600 012d025c 06*600",
	 .absent = 1},
	/* ---- lists, RFC 6313 ---- */
	{.name = "list behind its field",
	 .hex = "0002000c 012d0001 0123ffff 012d000b 06 ff0008ffff ff",
	 .records = 1},
	{.name = "list with elements of no octets",
	 .hex = "0002000c 012d0001 0123ffff 012d000e 09 ff00080000 01020304",
	 .records = 1},
	{.name = "list of its own template",
	 .hex = "0002000c 012d0001 0124ffff 012d000e 09 ff012d"
		"05 ff012d 0101",
	 .records = 1},
	{.name = "list of lists with wrong lengths",
	 .hex = "0002000c 012d0001 0125ffff 012d000e 09 ff 012d ffff"
		"01020304",
	 .records = 1},
	{.name = "lists 100 deep",
	 .hex = "0002000c 012d0001 0123ffff", .flags = NESTED, .records = 1},
	{.name = "lists 6000 deep",
	 .hex = "0002000c 012d0001 0123ffff", .flags = NESTED | DEEP,
	 .records = 1},
	/* ---- options, RFC 5610 ---- */
	{.name = "type information about an element of IANA",
	 .hex = "0003001a 012d0004 0002 015a0004 012f0002 01530001 0155ffff"
		"012d0010 00000000 0008 0d 04 6f6f7073",
	 .records = 1},
	{.name = "type information with a bad name",
	 .hex = "0003001a 012d0004 0002 015a0004 012f0002 01530001 0155ffff"
		"012d0014 0000fde7 0001 0d 08 0a0d1b5b 22273c00",
	 .records = 1},
	{.name = "type information with a name of 2000 octets",
	 .hex = "0003001a 012d0004 0002 015a0004 012f0002 01530001 0155ffff"
		"012d07de 0000fde7 0002 0d ff07d0 61*2000",
	 .records = 1},
	{.name = "flow keys of a template that is not there",
	 .hex = "00030012 012d0002 0001 00910002 00ad0008 012d000e 0400 ff*8",
	 .records = 1},
	/* ---- messages ---- */
	{.name = "message length 15", .hex = "000a000f 00*12",
	 .flags = RAW | CLOSES, .discarded = 1},
	{.name = "message length 0", .hex = "000a0000 00*12",
	 .flags = RAW | CLOSES, .discarded = 1},
	{.name = "a message longer than what comes", .hex = "012c001c 01*24",
	 .flags = LONGER | CLOSES, .discarded = 1},
	{.name = "a message shorter than what comes",
	 .hex = "012c001c 01*24", .flags = SHORTER | UDP_ONLY, .records = 1},
	{.name = "version 11", .hex = "000b0010 00*12",
	 .flags = RAW | CLOSES, .discarded = 1},
	{.name = "NetFlow version 9, cut off", .hex = "00090001 00*10",
	 .flags = RAW | CLOSES, .discarded = 1},
	{.name = "NetFlow version 5, 65535 records", .hex = "0005ffff 00*16",
	 .flags = RAW | CLOSES, .discarded = 1},
	{.name = "sFlow version 5", .hex = "00000005 00000001 ff*20",
	 .flags = RAW | CLOSES, .discarded = 1},
	{.name = "text", .hex = "47455420 2f204854 54502f31 2e300d0a 0d0a",
	 .flags = RAW | CLOSES, .discarded = 1},
	{.name = "no octets", .hex = "", .flags = RAW | UDP_ONLY,
	 .discarded = 1},
	{.name = "one octet", .hex = "00", .flags = RAW | CLOSES,
	 .discarded = 1},
	{.name = "three octets", .hex = "000a00", .flags = RAW | CLOSES,
	 .discarded = 1},
	{.name = "fifteen octets", .hex = "000a0010 00*11",
	 .flags = RAW | CLOSES, .discarded = 1},
	{.name = "a datagram of 65507 octets",
	 .hex = "012cffd3 01*65472 00*15", .flags = UDP_ONLY,
	 .records = 2728},
	{.name = "a message of 65535 octets",
	 .hex = "012cffef 01*65496 00*19", .flags = TCP_ONLY,
	 .records = 2729},
	{.name = "records of one octet",
	 .hex = "0002000c 012d0001 0052ffff 012d03e9 00*996 01",
	 .records = 996, .malformed = 1},
	{.name = "export time 0", .hex = "012c001c 01*24", .flags = EARLIER,
	 .records = 1},
	{.name = "export time in 2106", .hex = "012c001c 01*24",
	 .flags = LATER, .records = 1},
	{.name = "sequence number wraps", .hex = "012c001c 01*24",
	 .flags = WRAP, .records = 1},
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

struct peer {
	struct sockaddr_in6 six;
	struct sockaddr_in four;
	struct sockaddr *name;
	socklen_t length;
	bool udp, single;
	int fd;
	uint32_t sequence;
};

static void
die(const char *what)
{
	fprintf(stderr, "mkbad: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
nap(long ms)
{
	struct timespec ts = {.tv_sec = ms / 1000,
			      .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

/* ---- octets ---------------------------------------------------------------- */

static unsigned
hex_digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
}

/* A group of octets, several times when "*N" follows. */
static void
put_hex(struct writer *w, const char *hex)
{
	while (*hex) {
		uint8_t group[4096];
		unsigned n = 0, times = 1;

		for (; *hex && *hex != ' ' && *hex != '*'; hex += 2)
			group[n++] = (uint8_t)(hex_digit(hex[0]) << 4 |
					       hex_digit(hex[1]));
		if (*hex == '*')
			times = (unsigned)strtoul(hex + 1, (char **)&hex, 10);
		while (times--)
			writer_bytes(w, group, n);
		while (*hex == ' ')
			hex++;
	}
}

/* A Data Set 301 of one basicList that holds a basicList that holds ... */
static void
put_nested(struct writer *w, unsigned depth)
{
	unsigned length = depth * 8 + 4;

	writer_u16(w, 301);
	writer_u16(w, (uint16_t)length);
	for (; depth; depth--) {
		length = depth * 8 - 3;
		writer_u8(w, 255);
		writer_u16(w, (uint16_t)length);
		writer_u8(w, 255);
		writer_u16(w, 291);
		writer_u16(w, 65535);
	}
}

static void
put_header(struct writer *w, uint8_t *message, uint32_t domain,
	   uint32_t sequence, uint32_t export_time)
{
	wire_put16(message, 10);
	wire_put16(message + 2, (uint16_t)(w->p - message));
	wire_put32(message + 4, export_time);
	wire_put32(message + 8, sequence);
	wire_put32(message + 12, domain);
}

/* ---- sending --------------------------------------------------------------- */

static void
peer_open(struct peer *peer)
{
	int on = 1;

	peer->fd = socket(peer->name->sa_family,
			  peer->udp ? SOCK_DGRAM : SOCK_STREAM, 0);
	if (peer->fd < 0 || connect(peer->fd, peer->name, peer->length) < 0)
		die("connect");
	if (!peer->udp)
		setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on,
			   sizeof(on));
}

/* Waits until the other side has closed, as it must. */
static void
peer_closed(struct peer *peer, const char *name)
{
	char octet;

	for (int i = 0; i < 500; i++) {
		ssize_t n = recv(peer->fd, &octet, 1, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return;
		nap(10);
	}
	fprintf(stderr, "mkbad: %s: the connection was not closed\n", name);
	exit(1);
}

static void
peer_send(struct peer *peer, const uint8_t *p, size_t length)
{
	size_t step = peer->udp || !peer->single ? length : 1;

	do {
		ssize_t n = send(peer->fd, p, step < length ? step : length,
				 MSG_NOSIGNAL);

		if (n < 0)
			return; /* it may have been closed on us already */
		p += n;
		length -= (size_t)n;
	} while (length);
}

static void
send_good(struct peer *peer, uint32_t domain)
{
	uint8_t message[512];
	struct writer w;

	writer_init(&w, message, sizeof(message));
	writer_take(&w, HEADER);
	put_hex(&w, "00020018" T_GOOD);
	writer_u16(&w, 300);
	writer_u16(&w, 4 + GOOD * 24);
	for (uint32_t i = 0; i < GOOD; i++) {
		writer_u32(&w, 0x0a000000 | domain);
		writer_u32(&w, i);
		writer_u64(&w, 1000);
		writer_u64(&w, 1);
	}
	put_header(&w, message, domain, peer->sequence,
		   (uint32_t)time(NULL));
	peer_send(peer, message, (size_t)(w.p - message));
	peer->sequence += GOOD;
}

static void
send_bad(struct peer *peer, const struct bad *bad, uint32_t domain)
{
	static uint8_t message[SIZE];
	uint32_t when = (uint32_t)time(NULL);
	struct writer w;

	writer_init(&w, message, sizeof(message));
	if (!(bad->flags & RAW))
		writer_take(&w, HEADER);
	put_hex(&w, bad->hex);
	if (bad->flags & NESTED)
		put_nested(&w, bad->flags & DEEP ? 6000 : 100);
	if (bad->flags & EARLIER)
		when = 0;
	if (bad->flags & LATER)
		when = UINT32_MAX;
	if (!(bad->flags & RAW))
		put_header(&w, message, domain, peer->sequence, when);
	if (bad->flags & LONGER)
		wire_put16(message + 2, wire_get16(message + 2) + 100);
	if (bad->flags & SHORTER)
		wire_put16(message + 2, wire_get16(message + 2) - 4);
	peer_send(peer, message, (size_t)(w.p - message));
	if (!(bad->flags & LONGER))
		peer->sequence += bad->records + bad->malformed + bad->absent;
}

static void
run(struct peer *peer, const struct bad *bad, uint32_t domain)
{
	peer->sequence = bad->flags & WRAP ? UINT32_MAX - GOOD + 1 : 0;
	peer_open(peer);
	send_good(peer, domain);
	send_bad(peer, bad, domain);
	if (!peer->udp && bad->flags & CLOSES) {
		/* Half closed: what is not whole will never be. */
		shutdown(peer->fd, SHUT_WR);
		peer_closed(peer, bad->name);
		close(peer->fd);
		peer->sequence = 0;
		peer_open(peer);
	}
	send_good(peer, domain);
	close(peer->fd);
	if (peer->udp)
		nap(1);
}

static void
parse_name(struct peer *peer, const char *address, const char *port)
{
	uint16_t number = htons((uint16_t)atoi(port));

	peer->four.sin_family = AF_INET;
	peer->four.sin_port = number;
	peer->six.sin6_family = AF_INET6;
	peer->six.sin6_port = number;
	if (inet_pton(AF_INET, address, &peer->four.sin_addr) == 1) {
		peer->name = (struct sockaddr *)&peer->four;
		peer->length = sizeof(peer->four);
	} else if (inet_pton(AF_INET6, address, &peer->six.sin6_addr) == 1) {
		peer->name = (struct sockaddr *)&peer->six;
		peer->length = sizeof(peer->six);
	} else {
		errno = EINVAL;
		die(address);
	}
}

static void
usage(void)
{
	fputs("usage: mkbad [-1] [-c CASE] udp|tcp ADDRESS PORT\n"
	      "       mkbad -l\n", stderr);
	exit(2);
}

int
main(int argc, char **argv)
{
	struct peer peer = {.fd = -1};
	struct bad sum = {0};
	const char *only = NULL;
	unsigned good = 0, number = 0;
	int c;

	while ((c = getopt(argc, argv, "1c:l")) != -1) {
		switch (c) {
		case '1':
			peer.single = true;
			break;
		case 'c':
			only = optarg;
			break;
		case 'l':
			for (unsigned i = 0; i < CASES; i++)
				puts(cases[i].name);
			return 0;
		default:
			usage();
		}
	}
	if (argc - optind != 3)
		usage();
	peer.udp = strcmp(argv[optind], "udp") == 0;
	parse_name(&peer, argv[optind + 1], argv[optind + 2]);
	for (unsigned i = 0; i < CASES; i++) {
		const struct bad *bad = &cases[i];

		if (bad->flags & (peer.udp ? TCP_ONLY : UDP_ONLY) ||
		    (only && strcmp(only, bad->name) != 0))
			continue;
		run(&peer, bad, DOMAIN_FIRST + i);
		number++;
		good += 2 * GOOD;
		sum.records += bad->records;
		sum.discarded += bad->discarded;
		sum.malformed += bad->malformed;
		sum.absent += bad->absent;
		sum.reserved += bad->reserved;
	}
	printf("{\"cases\":%u,\"good\":%u,\"records\":%u,\"discarded\":%u,"
	       "\"malformed\":%u,\"noTemplate\":%u,\"reserved\":%u}\n",
	       number, good, sum.records, sum.discarded, sum.malformed,
	       sum.absent, sum.reserved);
	return number ? 0 : 2;
}
