/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * corpus_collect FILE.pcap...: gives the UDP payloads of captures, in order, to
 * one Collecting Process (a session for each pair of addresses and ports) and
 * prints a JSON line for each Data Record:
 *
 *	{"session":0,"domain":1,"export":1700000000,"scope":0,
 *	 "fields":[["octetDeltaCount",0,1,"00000064"],...]}
 *
 * and at the end one with the ledger. No field is interpreted here: whoever
 * reads the lines compares octets. Reads pcap itself (IPv4 fragments put
 * together, VLAN tags, several link types), so that it needs no library.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/collecting.h"
#include "conflux/log.h"
#include "conflux/wire.h"

enum { SESSIONS = 1000, FRAGMENTS = 64 };

struct fragments {
	uint8_t key[10]; /* addresses and identification */
	uint8_t data[65536];
	uint32_t have, total;
};

struct run {
	struct stage sink;
	struct collecting_receiver *receiver;
	struct net_session session[SESSIONS];
	unsigned count;
	uint64_t first_serial;
	struct fragments *fragments[FRAGMENTS];
	uint64_t payloads;
};

/* ---- out --------------------------------------------------------------- */

static void
print_hex(const uint8_t *p, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		printf("%02x", p[i]);
}

static void
print_record(const struct run *run, const struct batch *batch, const uint8_t *p)
{
	const struct shape *shape = batch->shape;
	unsigned session = 0;

	while (session < run->count &&
	       !addr_equal(&run->session[session].remote,
			   &batch->scope->exporter))
		session++;
	printf("{\"session\":%u,\"domain\":%u,\"export\":%llu,\"scope\":%u,"
	       "\"fields\":[",
	       session, batch->scope->domain,
	       (unsigned long long)batch->export_ms / 1000, shape->scope_count);
	for (unsigned i = 0; i < shape->count; i++) {
		const struct ie *ie = shape->field[i].ie;
		uint32_t length = shape->field[i].length;

		if (length == IE_VARIABLE) {
			length = *p++;
			if (length == 255) {
				length = wire_get16(p);
				p += 2;
			}
		}
		printf("%s[\"%s\",%u,%u,\"", i ? "," : "", ie->name, ie->pen,
		       ie->id);
		print_hex(p, length);
		printf("\"]");
		p += length;
	}
	printf("]}\n");
}

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		uint32_t length;
		const uint8_t *p = batch_record(batch, i, &length);

		print_record((const struct run *)stage, batch, p);
	}
}

/* ---- in ---------------------------------------------------------------- */

static void
payload(struct run *run, const struct addr *from, const struct addr *to,
	const uint8_t *p, uint32_t length)
{
	struct net_session *net = NULL;

	for (unsigned i = 0; i < run->count && !net; i++)
		if (addr_equal(&run->session[i].remote, from) &&
		    addr_equal(&run->session[i].local, to))
			net = &run->session[i];
	if (!net) {
		if (run->count == SESSIONS)
			return;
		net = &run->session[run->count++];
		net->transport = TRANSPORT_UDP;
		net->remote = *from;
		net->local = *to;
		if (collecting_net_ops()->opened(run->receiver, net)) {
			run->count--;
			return;
		}
	}
	run->payloads++;
	net->messages++;
	net->octets += length;
	/* In memory of its own size: reading behind it is noticed. */
	uint8_t *copy = malloc(length ? length : 1);

	if (!copy)
		exit(1);
	memcpy(copy, p, length);
	collecting_net_ops()->message(run->receiver, net, copy, length);
	free(copy);
}

static void
udp(struct run *run, struct addr *from, struct addr *to, const uint8_t *p,
    uint32_t length)
{
	uint32_t udp_length;

	if (length < 8)
		return;
	udp_length = wire_get16(p + 4);
	if (udp_length < 8 || udp_length > length)
		udp_length = length;
	from->port = wire_get16(p);
	to->port = wire_get16(p + 2);
	payload(run, from, to, p + 8, udp_length - 8);
}

/* Puts a datagram together; NULL while parts are missing. In-order or not. */
static struct fragments *
fragment(struct run *run, const uint8_t *ip, const uint8_t *p, uint32_t length)
{
	uint32_t offset = (wire_get16(ip + 6) & 0x1fffu) * 8;
	struct fragments *f = NULL;
	uint8_t key[10];
	unsigned at = 0;

	memcpy(key, ip + 12, 8);
	memcpy(key + 8, ip + 4, 2);
	for (unsigned i = 0; i < FRAGMENTS && !f; i++) {
		if (run->fragments[i] &&
		    !memcmp(run->fragments[i]->key, key, 10))
			f = run->fragments[i];
		else if (!run->fragments[i])
			at = i;
	}
	if (!f) {
		free(run->fragments[at]);
		f = run->fragments[at] = calloc(1, sizeof(*f));
		if (!f)
			exit(1);
		memcpy(f->key, key, 10);
	}
	if (offset + length > sizeof(f->data))
		return NULL;
	memcpy(f->data + offset, p, length);
	f->have += length;
	if (!(ip[6] & 0x20))
		f->total = offset + length;
	return f->total && f->have >= f->total ? f : NULL;
}

static void
ipv4(struct run *run, const uint8_t *ip, uint32_t length)
{
	struct addr from = {.version = 4}, to = {.version = 4};
	uint32_t header = (ip[0] & 15u) * 4, total = wire_get16(ip + 2);
	struct fragments *f;

	if (total > length)
		total = length;
	if (header < 20 || total < header || ip[9] != 17)
		return;
	memcpy(from.bytes, ip + 12, 4);
	memcpy(to.bytes, ip + 16, 4);
	if (!(wire_get16(ip + 6) & 0x3fff)) {
		udp(run, &from, &to, ip + header, total - header);
		return;
	}
	f = fragment(run, ip, ip + header, total - header);
	if (!f)
		return;
	udp(run, &from, &to, f->data, f->total);
	for (unsigned i = 0; i < FRAGMENTS; i++)
		if (run->fragments[i] == f)
			run->fragments[i] = NULL;
	free(f);
}

static void
ipv6(struct run *run, const uint8_t *ip, uint32_t length)
{
	struct addr from = {.version = 6}, to = {.version = 6};

	if (length < 40 || ip[6] != 17)
		return;
	memcpy(from.bytes, ip + 8, 16);
	memcpy(to.bytes, ip + 24, 16);
	udp(run, &from, &to, ip + 40, length - 40);
}

/* Octets before the network layer, or -1. */
static int
link_header(uint32_t type, const uint8_t *p, uint32_t length)
{
	uint32_t at = 14;

	switch (type) {
	case 0: /* BSD loopback */
		return 4;
	case 1: /* Ethernet */
		while (at <= length && (wire_get16(p + at - 2) == 0x8100 ||
					wire_get16(p + at - 2) == 0x88a8))
			at += 4;
		return (int)at;
	case 12: /* raw */
	case 101:
	case 228:
	case 229:
		return 0;
	case 113: /* Linux cooked */
		return 16;
	case 276:
		return 20;
	}
	return -1;
}

static uint32_t
get32(const uint8_t *p, bool swapped)
{
	uint32_t v = wire_get32(p);

	return swapped ? __builtin_bswap32(v) : v;
}

static void
frame(struct run *run, uint32_t type, const uint8_t *packet, uint32_t length)
{
	int at = link_header(type, packet, length);

	if (at < 0 || length < (uint32_t)at + 20)
		return;
	if (packet[at] >> 4 == 4)
		ipv4(run, packet + at, length - (uint32_t)at);
	else if (packet[at] >> 4 == 6)
		ipv6(run, packet + at, length - (uint32_t)at);
}

/* Blocks of pcapng, behind the first 24 octets: one section, one interface. */
static void
blocks(struct run *run, FILE *file, const uint8_t *first)
{
	static uint8_t block[262144];
	bool swapped = wire_get32(first + 8) == 0x4d3c2b1a;
	uint32_t length, type = 0;
	uint8_t header[8];

	fseek(file, (long)get32(first + 4, swapped), SEEK_SET);
	while (fread(header, 8, 1, file) == 1) {
		length = get32(header + 4, swapped);
		if (length < 12 || length - 8 > sizeof(block) ||
		    fread(block, 1, length - 8, file) != length - 8)
			break;
		if (get32(header, swapped) == 1)
			type = swapped ? block[0] : block[1];
		if (get32(header, swapped) == 6 && length >= 32)
			frame(run, type, block + 20,
			      get32(block + 12, swapped) <= length - 32
				      ? get32(block + 12, swapped)
				      : length - 32);
	}
}

static int
capture(struct run *run, const char *name)
{
	static uint8_t packet[262144];
	FILE *file = fopen(name, "rb");
	uint8_t header[24];
	uint32_t magic, type;
	bool swapped;

	if (!file || fread(header, 24, 1, file) != 1) {
		fprintf(stderr, "%s: cannot be read\n", name);
		return 1;
	}
	if (wire_get32(header) == 0x0a0d0d0a) {
		blocks(run, file, header);
		fclose(file);
		return 0;
	}
	magic = wire_get32(header);
	swapped = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1;
	if (!swapped && magic != 0xa1b2c3d4 && magic != 0xa1b23c4d) {
		fprintf(stderr, "%s: no pcap file\n", name);
		return 1;
	}
	type = get32(header + 20, swapped) & 0xffff;
	while (fread(header, 16, 1, file) == 1) {
		uint32_t length = get32(header + 8, swapped);

		if (length > sizeof(packet) ||
		    fread(packet, 1, length, file) != length)
			break;
		frame(run, type, packet, length);
	}
	fclose(file);
	return 0;
}

static void
print_ledger(const struct run *run, const struct ledger *ledger)
{
	printf("{\"payloads\":%llu,\"ledger\":{\"in\":%llu,\"exported\":%llu",
	       (unsigned long long)run->payloads,
	       (unsigned long long)ledger->in,
	       (unsigned long long)ledger->exported);
	for (int i = 0; i < LOSS_COUNT; i++)
		if (ledger->lost[i])
			printf(",\"%s\":%llu", loss_name(i),
			       (unsigned long long)ledger->lost[i]);
	printf("}}\n");
}

int
main(int argc, char **argv)
{
	static struct run run;
	static const struct stage_ops ops = {.run = sink_run};
	struct collecting_receiver_conf receiver = {.name = "udp",
						    .transport = TRANSPORT_UDP};
	struct collecting_conf conf = {.name = "corpus"};
	struct collecting *collecting;
	int status = 0;

	conf.registry = ie_registry_new(10000);
	conf.shapes = shape_table_new(10000);
	run.sink.ops = &ops;
	if (!conf.registry || !conf.shapes ||
	    collecting_new(&conf, &collecting) ||
	    stage_link(collecting_stage(collecting), &run.sink) ||
	    collecting_add(collecting, &receiver, &run.receiver))
		return 1;
	for (int i = 1; i < argc; i++)
		status |= capture(&run, argv[i]);
	for (unsigned i = 0; i < run.count; i++)
		collecting_net_ops()->closed(run.receiver, &run.session[i],
					     NULL, 0);
	print_ledger(&run, &collecting_stage(collecting)->ledger);
	for (unsigned i = 0; i < FRAGMENTS; i++)
		free(run.fragments[i]);
	stage_free(collecting_stage(collecting));
	shape_table_free(conf.shapes);
	ie_registry_free(conf.registry);
	return status;
}
