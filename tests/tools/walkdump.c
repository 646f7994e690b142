/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What the header walk finds in each packet of a capture file:
 *
 *	walkdump FILE [DEPTH]
 *
 * prints a line for each packet: its number, octets there, source, target,
 * protocol, ports, fault; "-" is what it does not have. DEPTH: so many tunnels
 *of all kinds are seen through (0). Each frame lies at the end of memory of its
 *own, so that a sanitizer sees who reads beyond it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packet.h"
#include "pcap.h"

enum { TUNNELS_ALL = 0x7f, STEP = 1 << 20 };

static uint8_t *
read_file(const char *path, size_t *length)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL, *more;
	size_t n;

	*length = 0;
	if (!file)
		return NULL;
	do {
		more = realloc(data, *length + STEP);
		if (!more)
			break;
		data = more;
		n = fread(data + *length, 1, STEP, file);
		*length += n;
	} while (n);
	fclose(file);
	return data;
}

static void
print_addresses(const struct packet *p)
{
	char source[INET6_ADDRSTRLEN] = "-", target[INET6_ADDRSTRLEN] = "-";

	if (p->has & HAS_IPV4) {
		inet_ntop(AF_INET, p->ip + 12, source, sizeof(source));
		inet_ntop(AF_INET, p->ip + 16, target, sizeof(target));
	} else if (p->has & HAS_IPV6) {
		inet_ntop(AF_INET6, p->ip + 8, source, sizeof(source));
		inet_ntop(AF_INET6, p->ip + 24, target, sizeof(target));
	}
	printf(" %s %s", source, target);
}

static void
print_packet(unsigned long number, const struct frame *frame, unsigned depth)
{
	const struct walk_conf conf = {
		.tunnels = depth ? TUNNELS_ALL : 0,
		.tunnel_depth = depth,
		.identifiers = true,
	};
	struct packet p;

	packet_walk(&p, frame, &conf);
	printf("%lu %u", number, frame->length);
	print_addresses(&p);
	if (p.has & (HAS_IPV4 | HAS_IPV6))
		printf(" %u", p.protocol);
	else
		printf(" -");
	if (p.has & HAS_PORTS)
		printf(" %u %u", p.port[0] << 8 | p.port[1],
		       p.port[2] << 8 | p.port[3]);
	else
		printf(" - -");
	printf(" %s\n", packet_fault_name(p.fault));
}

static int
print_file(const uint8_t *p, size_t left, unsigned depth)
{
	struct pcap_reader reader = {0};
	enum pcap_result result;
	unsigned long number = 0;
	struct frame frame;
	uint8_t *copy;
	size_t used;

	do {
		result = pcap_reader_next(&reader, p, left, &used, &frame);
		p += used;
		left -= used;
		if (result != PCAP_FRAME)
			continue;
		copy = malloc(frame.length ? frame.length : 1);
		if (!copy)
			break;
		memcpy(copy, frame.data, frame.length);
		frame.data = copy;
		print_packet(++number, &frame, depth);
		free(copy);
	} while (result != PCAP_MORE && result != PCAP_FAULT);
	pcap_reader_fini(&reader);
	return result == PCAP_FAULT;
}

int
main(int argc, char **argv)
{
	uint8_t *data;
	size_t length;
	int status;

	if (argc < 2) {
		fprintf(stderr, "usage: walkdump FILE [DEPTH]\n");
		return 2;
	}
	data = read_file(argv[1], &length);
	if (!data) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	status = print_file(data, length,
			    argc > 2 ? (unsigned)atoi(argv[2]) : 0);
	free(data);
	return status;
}
