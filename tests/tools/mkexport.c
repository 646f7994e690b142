/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs an Exporting Process alone: feeds it records that it makes itself, for
 * tests with collectors that others wrote and to measure what a record costs.
 * Prints what was fed, and the ledger of the destination, as JSON.
 *
 *	mkexport --file out.ipfix --records 1000 --types
 *	mkexport --udp 127.0.0.1:9995 --records 1000 --plain
 *	mkexport --file /dev/null --records 5e7 --bench
 */
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/exporting.h"
#include "conflux/wire.h"

#define PEN 32473 /* for documentation, RFC 5612 */
#define START_MS UINT64_C(1700000000000)
#define FIELDS_MAX 16

struct kind {
	const struct shape *shape;
	uint64_t keys;
	uint8_t data[BATCH_MAX * 256];
	uint32_t offset[BATCH_MAX + 1];
};

enum { IPV4, IPV6, SITE, SAMPLING, KINDS };

struct feed {
	struct event_base *base;
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct stage *stage;
	struct scope scope;
	struct kind kind[KINDS];
	uint64_t count[KINDS];
	uint64_t octets, packets, flows;
};

struct settings {
	struct exporting_destination destination;
	struct exporting_options options[4];
	unsigned options_count;
	uint64_t records;
	bool plain, bench;
};

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "mkexport: %s: %s\n", what, why);
	exit(2);
}

static const struct shape *
shape_of(struct feed *f, uint16_t scope_count, unsigned count,
	 const uint32_t spec[][3])
{
	struct field field[FIELDS_MAX];
	const struct shape *shape;

	for (unsigned i = 0; i < count; i++) {
		field[i].ie = ie_get(f->registry, spec[i][0],
				     (uint16_t)spec[i][1]);
		field[i].length = (uint16_t)spec[i][2];
	}
	if (shape_get(f->shapes, field, (uint16_t)count, scope_count, &shape))
		die("shape", "cannot be made");
	return shape;
}

static void
make_shapes(struct feed *f)
{
	static const uint32_t ipv4[][3] = {
		{0, IE_sourceIPv4Address, 4},
		{0, IE_destinationIPv4Address, 4},
		{0, IE_sourceTransportPort, 2},
		{0, IE_destinationTransportPort, 2},
		{0, IE_protocolIdentifier, 1},
		{0, IE_tcpControlBits, 1},
		{0, IE_ingressInterface, 4},
		{0, IE_egressInterface, 4},
		{0, IE_octetDeltaCount, 8},
		{0, IE_packetDeltaCount, 8},
		{0, IE_flowStartMilliseconds, 8},
		{0, IE_flowEndMilliseconds, 8},
		{0, IE_flowId, 8},
		{0, IE_paddingOctets, 2},
	};
	static const uint32_t ipv6[][3] = {
		{0, IE_sourceIPv6Address, 16},
		{0, IE_destinationIPv6Address, 16},
		{0, IE_interfaceName, IE_VARIABLE},
		{0, IE_octetDeltaCount, 8},
		{0, IE_packetDeltaCount, 4},
		{0, IE_flowStartMilliseconds, 8},
		{0, IE_flowEndMilliseconds, 8},
	};
	static const uint32_t site[][3] = {
		{PEN, 12, 4},
		{PEN, 13, IE_VARIABLE},
		{0, IE_octetDeltaCount, 8},
	};
	static const uint32_t sampling[][3] = {
		{0, IE_observationDomainId, 4},
		{0, IE_samplingInterval, 4},
	};
	struct ie ie = {
		.pen = PEN,
		.id = 12,
		.length = 4,
		.type = IE_UNSIGNED32,
		.semantics = IE_IDENTIFIER,
		.name = "siteNumber",
		.description = "Number of the site",
	};

	if (ie_add(f->registry, &ie))
		die("siteNumber", "cannot be added");
	ie.id = 13;
	ie.length = IE_VARIABLE;
	ie.type = IE_STRING;
	ie.semantics = IE_DEFAULT;
	ie.name = "siteName";
	ie.description = "Name of the site";
	if (ie_add(f->registry, &ie))
		die("siteName", "cannot be added");
	f->kind[IPV4].shape = shape_of(f, 0, 14, ipv4);
	f->kind[IPV4].keys = 0x1f;
	f->kind[IPV6].shape = shape_of(f, 0, 7, ipv6);
	f->kind[IPV6].keys = 0x3;
	f->kind[SITE].shape = shape_of(f, 0, 3, site);
	f->kind[SAMPLING].shape = shape_of(f, 1, 2, sampling);
}

static void
add_ipv4(struct writer *w, uint32_t n)
{
	writer_u32(w, 0x0a000000 + n % 250);
	writer_u32(w, 0xc0000200 + n % 120);
	writer_u16(w, (uint16_t)(1024 + n % 50000));
	writer_u16(w, 443);
	writer_u8(w, 6);
	writer_u8(w, 0x1b);
	writer_u32(w, 1);
	writer_u32(w, 2);
	writer_u64(w, 40 + n % 1000);
	writer_u64(w, 1 + n % 7);
	writer_u64(w, START_MS + n);
	writer_u64(w, START_MS + n + 1000);
	writer_u64(w, n);
	writer_u16(w, 0);
}

static void
add_ipv6(struct writer *w, uint32_t n)
{
	static const uint8_t net[12] = {0x20, 1, 0xd, 0xb8};
	char name[64];

	writer_bytes(w, net, sizeof(net));
	writer_u32(w, n % 250);
	writer_bytes(w, net, sizeof(net));
	writer_u32(w, 1000 + n % 120);
	snprintf(name, sizeof(name), "eth%u", (unsigned)(n % 13));
	writer_varlen(w, name, strlen(name));
	writer_u64(w, 40 + n % 1000);
	writer_u32(w, 1 + n % 7);
	writer_u64(w, START_MS + n);
	writer_u64(w, START_MS + n + 1000);
}

static void
add_record(struct feed *f, struct writer *w, unsigned kind, uint32_t n)
{
	switch (kind) {
	case IPV4:
		add_ipv4(w, n);
		break;
	case IPV6:
		add_ipv6(w, n);
		break;
	case SITE:
		writer_u32(w, n % 9);
		writer_varlen(w, "headquarters", n % 12);
		writer_u64(w, 40 + n % 1000);
		break;
	default:
		writer_u32(w, f->scope.domain);
		writer_u32(w, 100);
		return;
	}
	f->octets += 40 + n % 1000;
	f->packets += kind == SITE ? 0 : 1 + n % 7;
	f->flows++;
}

static void
feed_batch(struct feed *f, unsigned kind, uint32_t count, uint32_t n)
{
	struct kind *k = &f->kind[kind];
	struct batch batch = {
		.shape = k->shape,
		.scope = &f->scope,
		.base = k->data,
		.count = count,
		.stride = k->shape->variable ? 0 : k->shape->min_length,
		.offset = k->shape->variable ? k->offset : NULL,
		.flow_keys = k->keys,
	};
	struct writer w;

	writer_init(&w, k->data, sizeof(k->data));
	for (uint32_t i = 0; i < count; i++) {
		k->offset[i] = (uint32_t)(w.p - k->data);
		add_record(f, &w, kind, n + i);
	}
	k->offset[count] = (uint32_t)(w.p - k->data);
	f->count[kind] += count;
	stage_run(f->stage, &batch);
}

/* One turn of the loop, and ticks as they are due. */
static void
turn(struct feed *f)
{
	stage_tick(f->stage, clock_mono_ms());
	event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static void
feed_mixed(struct feed *f, const struct settings *s)
{
	uint32_t n = 0;

	if (!s->plain)
		feed_batch(f, SAMPLING, 1, 0);
	while (n < s->records) {
		unsigned kind = s->plain ? IPV4 : n / 50 % 3;
		uint32_t count = s->records - n < 50
					 ? (uint32_t)(s->records - n)
					 : 50;

		feed_batch(f, kind, count, n);
		n += count;
		do {
			turn(f);
			usleep(stage_congested(f->stage) ? 1000 : 0);
		} while (stage_congested(f->stage));
	}
}

/* The same batch of 64 octet records again and again. */
static void
feed_bench(struct feed *f, const struct settings *s)
{
	struct kind *k = &f->kind[IPV4];
	struct batch batch = {
		.shape = k->shape,
		.scope = &f->scope,
		.base = k->data,
		.count = 21,
		.stride = k->shape->min_length,
	};
	uint64_t start;
	double ns;

	turn(f);
	feed_batch(f, IPV4, 21, 0);
	start = clock_mono_ms();
	for (uint64_t i = 0; i < s->records / 21; i++) {
		stage_run(f->stage, &batch);
		if (i % 16384 == 0)
			turn(f);
	}
	stage_flush(f->stage);
	while (!stage_drained(f->stage))
		turn(f);
	ns = (double)(clock_mono_ms() - start) * 1e6 / (double)s->records;
	printf("%.1f ns per record of %" PRIu32 " octets\n", ns, batch.stride);
}

static void
set_address(struct settings *s, enum exporting_kind kind, char *text)
{
	char *colon = strrchr(text, ':');

	if (!colon)
		die(text, "ADDRESS:PORT is wanted");
	*colon = '\0';
	s->destination.kind = kind;
	if (addr_parse(&s->destination.net.remote, text,
		       (uint16_t)atoi(colon + 1)))
		die(text, "is no address");
}

static void
set_file(struct settings *s, enum exporting_kind kind, const char *name)
{
	s->destination.kind = kind;
	s->destination.net.file = name;
}

static void
set_option(struct settings *s, enum exporting_option type)
{
	s->options[s->options_count++] = (struct exporting_options){
		.name = exporting_option_name(type),
		.type = type,
		.timeout_ms = 500,
	};
}

static void
parse(struct settings *s, int argc, char **argv)
{
	static const struct option longs[] = {
		{"udp", required_argument, NULL, 'u'},
		{"tcp", required_argument, NULL, 't'},
		{"file", required_argument, NULL, 'f'},
		{"json", required_argument, NULL, 'j'},
		{"records", required_argument, NULL, 'n'},
		{"max", required_argument, NULL, 'm'},
		{"rate", required_argument, NULL, 'r'},
		{"refresh-packets", required_argument, NULL, 'p'},
		{"types", no_argument, NULL, 'T'},
		{"keys", no_argument, NULL, 'K'},
		{"statistics", no_argument, NULL, 'S'},
		{"plain", no_argument, NULL, 'P'},
		{"bench", no_argument, NULL, 'b'},
		{NULL, 0, NULL, 0},
	};
	struct exporting_destination *d = &s->destination;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'u':
			set_address(s, EXPORTING_UDP, optarg);
			break;
		case 't':
			set_address(s, EXPORTING_TCP, optarg);
			break;
		case 'f':
			set_file(s, EXPORTING_FILE, optarg);
			break;
		case 'j':
			set_file(s, EXPORTING_JSON, optarg);
			break;
		case 'n':
			s->records = (uint64_t)strtod(optarg, NULL);
			break;
		case 'm':
			d->max_message = (uint32_t)atoi(optarg);
			break;
		case 'r':
			d->net.rate_octets = (uint64_t)strtod(optarg, NULL);
			break;
		case 'p':
			d->template_refresh_packets = (uint32_t)atoi(optarg);
			d->options_template_refresh_packets =
				(uint32_t)atoi(optarg);
			break;
		case 'T':
			set_option(s, EXPORTING_EXTENDED_TYPE_INFORMATION);
			break;
		case 'K':
			set_option(s, EXPORTING_FLOW_KEYS);
			break;
		case 'S':
			set_option(s, EXPORTING_METERING_STATISTICS);
			set_option(s, EXPORTING_EXPORTING_RELIABILITY);
			break;
		case 'P':
			s->plain = true;
			break;
		case 'b':
			s->bench = true;
			break;
		default:
			exit(2);
		}
}

static void
print_result(struct feed *f)
{
	const struct ledger *l = exporting_ledger(f->stage, 0);

	printf("{\"flows\":%" PRIu64 ",\"octets\":%" PRIu64
	       ",\"packets\":%" PRIu64 ",\"ipv4\":%" PRIu64 ",\"ipv6\":%" PRIu64
	       ",\"site\":%" PRIu64 ",\"options\":%" PRIu64 ",\"in\":%" PRIu64
	       ",\"exported\":%" PRIu64 ",\"lost\":%" PRIu64
	       ",\"held\":%" PRIu64 "}\n",
	       f->flows, f->octets, f->packets, f->count[IPV4], f->count[IPV6],
	       f->count[SITE], f->count[SAMPLING], l->in, l->exported,
	       ledger_lost(l), l->held);
}

int
main(int argc, char **argv)
{
	struct settings settings = {
		.destination = {.name = "out",
				.kind = EXPORTING_FILE,
				.net.file = "/dev/null",
				.net.reconnect_min_ms = 100,
				.net.reconnect_max_ms = 1000},
		.records = 1000,
	};
	struct exporting_conf conf = {
		.name = "mkexport",
		.id = 5,
		.destination = &settings.destination,
		.destination_count = 1,
		.options = settings.options,
	};
	static struct feed f;
	char *error;
	uint64_t end;

	parse(&settings, argc, argv);
	conf.options_count = settings.options_count;
	f.base = event_base_new();
	f.registry = ie_registry_new(100);
	f.shapes = shape_table_new(100);
	f.scope.serial = scope_serial();
	f.scope.domain = 12;
	addr_parse(&f.scope.exporter, "192.0.2.1", 4739);
	make_shapes(&f);
	if (exporting_new(f.base, &conf, f.registry, f.shapes, &f.stage,
			  &error))
		die("exporting", error ? error : "cannot be opened");
	if (settings.bench)
		feed_bench(&f, &settings);
	else
		feed_mixed(&f, &settings);
	/* Time for what is sent periodically. */
	end = clock_mono_ms() + (settings.options_count ? 700 : 0);
	while (clock_mono_ms() < end) {
		turn(&f);
		usleep(10000);
	}
	stage_scope_end(f.stage, &f.scope);
	stage_flush(f.stage);
	end = clock_mono_ms() + 10000;
	while (!stage_drained(f.stage) && clock_mono_ms() < end) {
		turn(&f);
		usleep(1000);
	}
	if (!settings.bench)
		print_result(&f);
	stage_free(f.stage);
	for (int i = 0; i < KINDS; i++)
		shape_release(f.kind[i].shape);
	shape_table_free(f.shapes);
	ie_registry_free(f.registry);
	event_base_free(f.base);
	return 0;
}
