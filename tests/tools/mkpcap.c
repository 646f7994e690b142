/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes capture files and tells the truth about them: conversations over IPv4
 * and IPv6, TCP, UDP and ICMP, with VLAN tags, MPLS labels and fragments, in
 * both directions. The same arguments make the same octets.
 *
 *	mkpcap [-n PACKETS] [-f CONVERSATIONS] [-o FILE] [-t TRUTH] [-F FORMAT]
 *		[-s SEED] [-d SECONDS] [-r RATE] [-H HOSTS]
 *
 * FORMAT is micro, nano, swapped (the other byte order) or ng (pcapng with two
 * interfaces). -o - is standard output; -r: so many packets a second are
 * written, with the present time. -H: conversations of so many hosts in each of
 * two networks, those of mkipfix, and not of hosts anywhere. TRUTH gets one line a direction:
 * "source,destination,sport,dport,protocol,packets,octets,first,last,flags",
 * octets of IP packets, times in nanoseconds since 1970.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_MAX = 1700, FRAGMENT_AT = 1000, MICRO = 1000 };

enum format { FORMAT_MICRO, FORMAT_NANO, FORMAT_SWAPPED, FORMAT_NG };

/* One direction of a conversation. */
struct way {
	uint64_t packets, octets, first, last;
	uint8_t flags;
};

struct talk {
	bool six, vlan, mpls, fragments;
	uint8_t protocol;
	uint16_t port[2];
	uint8_t address[2][16];
	struct way way[2];
};

static uint64_t state;
static enum format format;
static uint32_t hosts; /* 0: anywhere */
static FILE *out;

static uint32_t
next(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33);
}

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

/* ---- files ------------------------------------------------------------------ */

static void
number(uint32_t v)
{
	if (format == FORMAT_SWAPPED)
		v = __builtin_bswap32(v);
	fwrite(&v, 4, 1, out);
}

static void
write_header(void)
{
	static const uint32_t ng[] = {
		0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff, 28,
		/* Ethernet in microseconds, then in nanoseconds */
		1, 20, 1, 65535, 20,
		1, 28, 1, 65535, 1 << 16 | 9, 9, 28};

	if (format == FORMAT_NG) {
		fwrite(ng, sizeof(ng), 1, out);
		return;
	}
	number(format == FORMAT_NANO ? 0xa1b23c4d : 0xa1b2c3d4);
	number(format == FORMAT_SWAPPED ? 2 << 16 | 4 : 4 << 16 | 2);
	number(0);
	number(0);
	number(65535);
	number(1);
}

/* Returns the time as the file has it. */
static uint64_t
write_frame(const uint8_t *frame, uint32_t length, uint64_t ns, unsigned which)
{
	static const uint8_t zeros[4];
	uint64_t units = which ? ns : ns / MICRO;
	uint32_t padded = (length + 3) & ~3u;

	if (format == FORMAT_NG) {
		number(6);
		number(32 + padded);
		number(which);
		number((uint32_t)(units >> 32));
		number((uint32_t)units);
		number(length);
		number(length);
		fwrite(frame, length, 1, out);
		fwrite(zeros, padded - length, 1, out);
		number(32 + padded);
		return which ? ns : ns / MICRO * MICRO;
	}
	number((uint32_t)(ns / 1000000000));
	number((uint32_t)(ns % 1000000000 /
			  (format == FORMAT_NANO ? 1 : MICRO)));
	number(length);
	number(length);
	fwrite(frame, length, 1, out);
	return format == FORMAT_NANO ? ns : ns / MICRO * MICRO;
}

/* ---- packets ---------------------------------------------------------------- */

static void
make_talk(struct talk *t, uint32_t i)
{
	uint32_t kind = next() % 16;

	memset(t, 0, sizeof(*t));
	t->six = next() % 4 == 0;
	t->vlan = next() % 4 == 0;
	t->mpls = next() % 8 == 0;
	t->fragments = !t->six && next() % 16 == 0;
	t->protocol = kind < 9 ? 6 : kind < 15 ? 17 : t->six ? 58 : 1;
	for (int d = 0; d < 2; d++) {
		t->port[d] = (uint16_t)(d ? 1 + next() % 1023 : 1024 + i % 60000);
		if (hosts && t->six) {
			put32(t->address[d], 0x20010db8);
			put32(t->address[d] + 4, d ? 0xf0000 : 0xa);
			put32(t->address[d] + 12, 1 + next() % hosts);
		} else if (hosts) {
			put32(t->address[d], (d ? 0xc6336400 : 0x0a000000) +
						     next() % hosts);
		} else if (t->six) {
			put32(t->address[d], 0x20010db8);
			put32(t->address[d] + 12, next());
		} else {
			put32(t->address[d], (10u + (uint32_t)d) << 24 |
						     next() >> 8);
		}
	}
	if (t->protocol != 6 && t->protocol != 17)
		t->port[0] = t->port[1] = 0;
	if (t->protocol != 17)
		t->fragments = false;
}

static uint8_t *
link_header(uint8_t *p, const struct talk *t, int d)
{
	uint32_t type = t->mpls ? 0x8847 : t->six ? 0x86dd : 0x0800;

	memset(p, 0, 12);
	p[0] = p[6] = 2;
	p[5] = d ? 1 : 2;
	p[11] = d ? 2 : 1;
	p += 12;
	if (t->vlan) {
		put16(p, 0x8100);
		put16(p + 2, 100);
		p += 4;
	}
	put16(p, type);
	p += 2;
	if (t->mpls) {
		put32(p, 17u << 12 | 1 << 8 | 64);
		p += 4;
	}
	return p;
}

static uint8_t *
ip_header(uint8_t *p, const struct talk *t, int d, uint32_t payload,
	  uint32_t id, uint32_t fragment)
{
	memset(p, 0, 40);
	if (t->six) {
		p[0] = 0x60;
		put16(p + 4, payload);
		p[6] = t->protocol;
		p[7] = 60;
		memcpy(p + 8, t->address[d], 16);
		memcpy(p + 24, t->address[!d], 16);
		return p + 40;
	}
	p[0] = 0x45;
	put16(p + 2, payload + 20);
	put16(p + 4, id);
	put16(p + 6, fragment);
	p[8] = 60;
	p[9] = t->protocol;
	memcpy(p + 12, t->address[d], 4);
	memcpy(p + 16, t->address[!d], 4);
	return p + 20;
}

static void
count(struct talk *t, int d, uint32_t octets, uint64_t ns, uint8_t flags)
{
	struct way *w = &t->way[d];

	if (w->packets++ == 0)
		w->first = ns;
	w->last = ns;
	w->octets += octets;
	w->flags |= flags;
}

static void
send_one(struct talk *t, int d, uint32_t payload, uint32_t id,
	 uint32_t fragment, uint64_t ns)
{
	uint8_t frame[FRAME_MAX + 64] = {0}, *ip, *p;
	uint8_t flags = 0;

	ip = link_header(frame, t, d);
	p = ip_header(ip, t, d, payload, id, fragment);
	if ((fragment & 0x1fff) == 0) {
		put16(p, t->port[d]);
		put16(p + 2, t->port[!d]);
		if (t->protocol == 6) {
			flags = t->way[d].packets ? 0x10 : 0x02;
			p[12] = 0x50;
			p[13] = flags;
		} else if (t->protocol == 17) {
			put16(p + 4, payload);
		} else {
			put16(p, t->six ? 0x8000 : 0x0800);
		}
	}
	ns = write_frame(frame, (uint32_t)(p - frame) + payload, ns,
			 format == FORMAT_NG && d);
	count(t, d, (uint32_t)(p - ip) + payload, ns, flags);
}

static void
send_packet(struct talk *t, uint64_t ns)
{
	int d = t->way[0].packets && next() % 2;
	uint32_t payload = 24 + next() % 1400, id = next() & 0xffff;

	if (!t->fragments || payload <= FRAGMENT_AT) {
		send_one(t, d, payload, id, 0, ns);
		return;
	}
	/* In two: the second one has no ports. */
	send_one(t, d, FRAGMENT_AT, id, 0x2000, ns);
	send_one(t, d, payload - FRAGMENT_AT, id, FRAGMENT_AT / 8, ns + MICRO);
}

/* ---- the truth ---------------------------------------------------------------- */

static void
write_truth(FILE *f, const struct talk *t)
{
	char text[2][INET6_ADDRSTRLEN];

	for (int d = 0; d < 2; d++) {
		const struct way *w = &t->way[d];

		if (!w->packets)
			continue;
		for (int e = 0; e < 2; e++)
			inet_ntop(t->six ? AF_INET6 : AF_INET,
				  t->address[e ? !d : d], text[e],
				  sizeof(text[e]));
		fprintf(f,
			"%s,%s,%u,%u,%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64
			",%" PRIu64 ",%u\n",
			text[0], text[1], t->port[d], t->port[!d], t->protocol,
			w->packets, w->octets, w->first, w->last, w->flags);
	}
}

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int
usage(void)
{
	fputs("usage: mkpcap [-n PACKETS] [-f CONVERSATIONS] [-o FILE] "
	      "[-t TRUTH] [-F micro|nano|swapped|ng] [-s SEED] [-d SECONDS] "
	      "[-r RATE] [-H HOSTS]\n",
	      stderr);
	return 2;
}

static int
parse_format(const char *name)
{
	static const char *const names[] = {"micro", "nano", "swapped", "ng"};

	for (int i = 0; i < 4; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

int
main(int argc, char **argv)
{
	uint32_t packets = 10000, talks = 500, rate = 0;
	uint64_t seconds = 60, ns;
	const char *file = "-", *truth = NULL;
	struct talk *talk;
	FILE *f;
	int c, i;

	state = 1;
	while ((c = getopt(argc, argv, "n:f:o:t:F:s:d:r:H:")) != -1) {
		switch (c) {
		case 'n':
			packets = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'f':
			talks = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'o':
			file = optarg;
			break;
		case 't':
			truth = optarg;
			break;
		case 'F':
			i = parse_format(optarg);
			if (i < 0)
				return usage();
			format = (enum format)i;
			break;
		case 's':
			state = strtoull(optarg, NULL, 10);
			break;
		case 'd':
			seconds = strtoull(optarg, NULL, 10);
			break;
		case 'r':
			rate = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'H':
			hosts = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		default:
			return usage();
		}
	}
	talk = calloc(talks ? talks : 1, sizeof(*talk));
	out = strcmp(file, "-") == 0 ? stdout : fopen(file, "wb");
	if (!talk || !out || !talks || !packets)
		return usage();
	for (uint32_t n = 0; n < talks; n++)
		make_talk(&talk[n], n);
	write_header();
	for (uint32_t n = 0; n < packets; n++) {
		ns = UINT64_C(1700000000) * 1000000000 + 123456789 +
		     seconds * 1000000000 * n / packets;
		if (rate) {
			struct timespec pause = {.tv_nsec = 1000000000 / rate};

			nanosleep(&pause, NULL);
			ns = now_ns();
		}
		send_packet(&talk[n < talks ? n : next() % talks], ns);
		if (rate)
			fflush(out);
	}
	if (fflush(out) != 0 || ferror(out)) {
		perror(file);
		return 1;
	}
	if (!truth)
		return 0;
	f = fopen(truth, "w");
	if (!f) {
		perror(truth);
		return 1;
	}
	for (uint32_t n = 0; n < talks; n++)
		write_truth(f, &talk[n]);
	return fclose(f) != 0;
}
