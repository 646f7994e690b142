/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes IPFIX for tests and for the quickstart: the same records each time for
 * the same options, written to a file (RFC 5655) or sent over UDP or TCP, and
 * the truth about them on standard output as one JSON line: what a mediator
 * behind it must account for, to the unit.
 *
 *	mkipfix [options] FILE | udp:ADDRESS:PORT | tcp:ADDRESS:PORT
 *	-n RECORDS	flow records (1000)
 *	-f FLOWS	different flow keys among them (100)
 *	-6 PERCENT	of the flows are IPv6 (25)
 *	-d DOMAIN	Observation Domain (1)
 *	-s SEED		other numbers (1)
 *	-S SOURCE	first octet of the IPv4 sources (10)
 *	-t SECONDS	Export Time of the first message; 0: now (1700000000)
 *	-r RATE		records per second when sent; 0: no pause (0)
 *	-m OCTETS	size of a message (1400)
 *	-e		everything: options with the types of enterprise elements
 *			(RFC 5610), strings, structured data (RFC 6313)
 *	-g MESSAGE	leaves out this message (from 1): a sequence gap
 *	-b MESSAGE	breaks this message: its last set is too long
 *
 * Counters are sums over all flow records; those of a message that is left out
 * or broken are told in "missing" and not in the other numbers.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "conflux/addr.h"
#include "conflux/message.h"

enum {
	TEMPLATE_V4 = 256,
	TEMPLATE_V6 = 257,
	TEMPLATE_TYPES = 258, /* RFC 5610 section 3.9 */
	TEMPLATE_RICH = 259,
	TEMPLATE_INNER = 260,
	PEN = 64999, /* not assigned to anybody */
};

struct options {
	uint64_t records, flows, rate;
	uint32_t percent6, domain, seed, source, time, size;
	uint64_t gap, bad;
	bool everything;
	const char *target;
};

struct truth {
	uint64_t messages, records, octets, packets, options, missing;
};

struct maker {
	struct options o;
	struct ie_registry *registry;
	struct shape_table *shapes;
	const struct shape *v4, *v6, *types, *rich, *inner;
	struct message_writer w;
	uint8_t buffer[MESSAGE_MAX];
	uint32_t sequence;
	uint64_t made;            /* messages, those left out included */
	struct truth truth;
	struct truth open;        /* of the message that is being made */
	struct timespec begin;
	int fd;
	bool datagram;
};

static void
die(const char *what)
{
	fprintf(stderr, "mkipfix: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* xorshift64*: the same numbers everywhere. */
static uint64_t
random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

struct element {
	uint32_t pen;
	uint16_t id, length;
};

static const struct shape *
shape_make(struct maker *m, const struct element *e, uint16_t count,
	   uint16_t scope)
{
	struct field field[32] = {0};
	const struct shape *shape = NULL;

	for (uint16_t i = 0; i < count; i++) {
		field[i].ie = ie_get(m->registry, e[i].pen, e[i].id);
		field[i].length = e[i].length;
	}
	errno = -shape_get(m->shapes, field, count, scope, &shape);
	if (!shape)
		die("shape");
	return shape;
}

#define COUNT(a) (uint16_t)(sizeof(a) / sizeof((a)[0]))

#define FLOW_FIELDS                                                            \
	{0, IE_sourceTransportPort, 2}, {0, IE_destinationTransportPort, 2},   \
		{0, IE_protocolIdentifier, 1}, {0, IE_ipClassOfService, 1},    \
		{0, IE_tcpControlBits, 2}, {0, IE_octetDeltaCount, 8},         \
		{0, IE_packetDeltaCount, 4}, {0, IE_flowStartMilliseconds, 8}, \
		{0, IE_flowEndMilliseconds, 8}, {0, IE_flowEndReason, 1}

static void
shapes_make(struct maker *m)
{
	static const struct element v4[] = {
		{0, IE_sourceIPv4Address, 4},
		{0, IE_destinationIPv4Address, 4},
		FLOW_FIELDS,
	};
	static const struct element v6[] = {
		{0, IE_sourceIPv6Address, 16},
		{0, IE_destinationIPv6Address, 16},
		FLOW_FIELDS,
	};
	static const struct element types[] = {
		{0, IE_privateEnterpriseNumber, 4},
		{0, IE_informationElementId, 2},
		{0, IE_informationElementDataType, 1},
		{0, IE_informationElementSemantics, 1},
		{0, IE_informationElementName, IE_VARIABLE},
		{0, IE_informationElementDescription, IE_VARIABLE},
	};
	static const struct element rich[] = {
		{0, IE_sourceIPv4Address, 4},
		{0, IE_octetDeltaCount, 8},
		{0, IE_packetDeltaCount, 4},
		{0, IE_interfaceName, IE_VARIABLE},
		{PEN, 1, IE_VARIABLE},
		{PEN, 2, 4},
		{0, IE_basicList, IE_VARIABLE},
		{0, IE_subTemplateList, IE_VARIABLE},
		{0, IE_paddingOctets, 2},
	};
	static const struct element inner[] = {
		{0, IE_sourceMacAddress, 6},
		{0, IE_interfaceName, IE_VARIABLE},
	};

	m->v4 = shape_make(m, v4, COUNT(v4), 0);
	m->v6 = shape_make(m, v6, COUNT(v6), 0);
	m->types = shape_make(m, types, COUNT(types), 2);
	m->rich = shape_make(m, rich, COUNT(rich), 0);
	m->inner = shape_make(m, inner, COUNT(inner), 0);
}

static void
target_open(struct maker *m)
{
	const char *target = m->o.target;
	bool udp = strncmp(target, "udp:", 4) == 0;
	struct sockaddr_storage ss;
	char host[64];
	const char *colon;
	struct addr addr;
	socklen_t length;

	if (!udp && strncmp(target, "tcp:", 4) != 0) {
		m->fd = strcmp(target, "-") == 0
				? dup(STDOUT_FILENO)
				: open(target, O_WRONLY | O_CREAT | O_TRUNC,
				       0666);
		if (m->fd < 0)
			die(target);
		return;
	}
	colon = strrchr(target, ':');
	snprintf(host, sizeof(host), "%.*s", (int)(colon - target - 4),
		 target + 4);
	if (host[0] == '[') /* of IPv6 */
		snprintf(host, sizeof(host), "%.*s",
			 (int)(colon - target - 6), target + 5);
	errno = EINVAL;
	if (colon - target <= 4 ||
	    addr_parse(&addr, host, (uint16_t)atoi(colon + 1)))
		die(target);
	length = addr_to_sockaddr(&addr, &ss);
	m->datagram = udp;
	m->fd = socket(ss.ss_family, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
	if (m->fd < 0 || connect(m->fd, (struct sockaddr *)&ss, length))
		die(target);
}

/* Waits until this many records are due. */
static void
pace(struct maker *m)
{
	uint64_t due_ns, sent = m->truth.records;
	struct timespec at = m->begin;

	if (m->o.rate == 0)
		return;
	due_ns = sent % m->o.rate * 1000000000 / m->o.rate;
	at.tv_sec += (time_t)(sent / m->o.rate);
	at.tv_nsec += (long)due_ns;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL))
		;
}

static void
send_all(struct maker *m, const uint8_t *p, size_t length)
{
	while (length) {
		ssize_t n = write(m->fd, p, length);

		/* A datagram that nobody took is reported by the next. */
		if (n < 0 && (errno == EINTR ||
			      (m->datagram && errno == ECONNREFUSED)))
			continue;
		if (n < 0)
			die(m->o.target);
		p += n;
		length -= (size_t)n;
	}
}

/* Export Time: one second later every hundred messages, or now. */
static uint32_t
export_time(const struct maker *m)
{
	return m->o.time ? m->o.time + (uint32_t)(m->made / 100)
			 : (uint32_t)time(NULL);
}

static void
message_finish(struct maker *m)
{
	struct truth *t = &m->truth;
	uint32_t length;

	if (m->w.length <= MESSAGE_HEADER) {
		message_begin(&m->w, m->buffer, m->o.size, m->o.domain);
		return;
	}
	length = message_end(&m->w, export_time(m));
	message_set_sequence(m->buffer, m->sequence);
	m->sequence += m->w.records;
	m->made++;
	if (m->made == m->o.gap || m->made == m->o.bad) {
		t->missing += m->open.records;
		if (m->made == m->o.bad) {
			/* The first set, so that all of it is unreadable. */
			wire_put16(m->buffer + MESSAGE_HEADER + 2,
				   (uint16_t)(length + 1));
			send_all(m, m->buffer, length);
		}
	} else {
		t->messages++;
		t->records += m->open.records;
		t->octets += m->open.octets;
		t->packets += m->open.packets;
		t->options += m->open.options;
		send_all(m, m->buffer, length);
		pace(m);
	}
	m->open = (struct truth){0};
	message_begin(&m->w, m->buffer, m->o.size, m->o.domain);
}

static void
data_add(struct maker *m, uint16_t id, const uint8_t *record, size_t length)
{
	uint8_t *p;

	if (message_room(&m->w, id) < length)
		message_finish(m);
	if (message_room(&m->w, id) < length) {
		errno = EMSGSIZE;
		die("-m");
	}
	p = message_add_data(&m->w, id, (uint32_t)length, 1);
	memcpy(p, record, length);
}

static void
templates_add(struct maker *m)
{
	struct {
		uint16_t id;
		const struct shape *shape;
	} all[] = {
		{TEMPLATE_V4, m->v4},       {TEMPLATE_V6, m->v6},
		{TEMPLATE_TYPES, m->types}, {TEMPLATE_RICH, m->rich},
		{TEMPLATE_INNER, m->inner},
	};

	for (size_t i = 0; i < (m->o.everything ? COUNT(all) : 2); i++)
		if (message_add_template(&m->w, all[i].id, all[i].shape))
			die("template");
}

static void
types_add(struct maker *m)
{
	static const struct {
		uint16_t id;
		uint8_t type, semantics;
		const char *name, *description;
	} all[] = {
		{1, IE_STRING, IE_DEFAULT, "siteName", "Where it was seen"},
		{2, IE_UNSIGNED32, IE_QUANTITY, "roundTripTime",
		 "In microseconds"},
	};

	for (size_t i = 0; i < COUNT(all); i++) {
		uint8_t record[256];
		struct writer w;

		writer_init(&w, record, sizeof(record));
		writer_u32(&w, PEN);
		writer_u16(&w, all[i].id);
		writer_u8(&w, all[i].type);
		writer_u8(&w, all[i].semantics);
		writer_varlen(&w, all[i].name, strlen(all[i].name));
		writer_varlen(&w, all[i].description,
			      strlen(all[i].description));
		data_add(m, TEMPLATE_TYPES, record, (size_t)(w.p - record));
		m->open.options++;
	}
}

static void
rich_add(struct maker *m, uint64_t i)
{
	static const uint8_t list[] = {3, 0, IE_sourceTransportPort, 0, 2,
				       0, 80, 1, 0xbb};
	static const uint8_t inner[] = {4, TEMPLATE_INNER >> 8,
					TEMPLATE_INNER & 255,
					2, 0, 0, 0, 0, 1, 4, 'e', 't', 'h', '0',
					2, 0, 0, 0, 0, 2, 0};
	char site[300];
	uint8_t record[1024];
	struct writer w;

	/* Every seventh is longer than the short form of a length takes. */
	memset(site, 'x', sizeof(site));
	snprintf(site, sizeof(site), "site \"%u\", hall", (unsigned)(i % 5));
	writer_init(&w, record, sizeof(record));
	writer_u32(&w, m->o.source << 24 | (uint32_t)(i % 250));
	writer_u64(&w, 1000 + i);
	writer_u32(&w, 3);
	writer_varlen(&w, "eth\xc3\xa9" "0", 6);
	writer_varlen(&w, site, i % 7 ? strlen(site) : sizeof(site));
	writer_u32(&w, (uint32_t)(i * 10));
	writer_varlen(&w, list, sizeof(list));
	writer_varlen(&w, inner, sizeof(inner));
	writer_u16(&w, 0);
	data_add(m, TEMPLATE_RICH, record, (size_t)(w.p - record));
	m->open.records++;
	m->open.octets += 1000 + i;
	m->open.packets += 3;
}

/* The keys depend on the flow, the counters on the record. */
static void
flow_add(struct maker *m, uint64_t i)
{
	static const uint8_t protocols[] = {6, 6, 17, 6, 1, 6, 17, 6};
	uint64_t flow = i % m->o.flows;
	uint64_t key = (flow + 1) * UINT64_C(0x9e3779b97f4a7c15) + m->o.seed;
	uint64_t count = (i + 1) * UINT64_C(0xbf58476d1ce4e5b9) + m->o.seed;
	uint64_t packets, octets, now_ms = (uint64_t)export_time(m) * 1000;
	uint8_t protocol, record[128];
	bool six;
	struct writer w;

	key = random_next(&key);
	count = random_next(&count);
	six = key % 100 < m->o.percent6;
	protocol = protocols[key >> 8 & 7];
	if (six && protocol == 1)
		protocol = 58;
	packets = 1 + count % 40;
	octets = packets * (40 + (count >> 16) % 1460);
	writer_init(&w, record, sizeof(record));
	if (six) {
		writer_u64(&w, UINT64_C(0x20010db800000000) | m->o.source);
		writer_u64(&w, flow);
		writer_u64(&w, UINT64_C(0x20010db8000f0000));
		writer_u64(&w, key >> 48);
	} else {
		writer_u32(&w, m->o.source << 24 | (uint32_t)flow);
		writer_u32(&w, 0xc6336400 | (uint32_t)(key >> 48 & 255));
	}
	writer_u16(&w, protocol == 6 || protocol == 17
			       ? (uint16_t)(1024 + (key >> 16) % 60000)
			       : 0);
	writer_u16(&w, protocol == 6 ? 443 : protocol == 17 ? 53 : 0);
	writer_u8(&w, protocol);
	writer_u8(&w, 0);
	writer_u16(&w, protocol == 6 ? (uint16_t)(count >> 40 & 0x1f) : 0);
	writer_u64(&w, octets);
	writer_u32(&w, (uint32_t)packets);
	writer_u64(&w, now_ms - 1000 - count % 5000);
	writer_u64(&w, now_ms - count % 1000);
	writer_u8(&w, 1 + (count >> 50) % 2);
	data_add(m, six ? TEMPLATE_V6 : TEMPLATE_V4, record,
		 (size_t)(w.p - record));
	m->open.records++;
	m->open.octets += octets;
	m->open.packets += packets;
}

static void
options_parse(struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:f:6:d:s:S:t:r:m:eg:b:")) != -1) {
		uint64_t v = optarg ? strtoull(optarg, NULL, 0) : 0;

		switch (c) {
		case 'n':
			o->records = v;
			break;
		case 'f':
			o->flows = v ? v : 1;
			break;
		case '6':
			o->percent6 = (uint32_t)v;
			break;
		case 'd':
			o->domain = (uint32_t)v;
			break;
		case 's':
			o->seed = (uint32_t)v;
			break;
		case 'S':
			o->source = (uint32_t)v & 255;
			break;
		case 't':
			o->time = (uint32_t)v;
			break;
		case 'r':
			o->rate = v;
			break;
		case 'm':
			o->size = (uint32_t)v;
			break;
		case 'e':
			o->everything = true;
			break;
		case 'g':
			o->gap = v;
			break;
		case 'b':
			o->bad = v;
			break;
		default:
			exit(2);
		}
	}
	if (optind + 1 != argc || o->size < 512 || o->size > MESSAGE_MAX) {
		fprintf(stderr, "usage: mkipfix [options] FILE\n");
		exit(2);
	}
	o->target = argv[optind];
}

int
main(int argc, char **argv)
{
	static struct maker m = {
		.o = {
			.records = 1000,
			.flows = 100,
			.percent6 = 25,
			.domain = 1,
			.seed = 1,
			.source = 10,
			.time = 1700000000,
			.size = 1400,
		},
	};
	FILE *out = stdout;

	options_parse(&m.o, argc, argv);
	if (strcmp(m.o.target, "-") == 0)
		out = stderr;
	m.registry = ie_registry_new(16);
	m.shapes = shape_table_new(16);
	if (!m.registry || !m.shapes)
		die("start");
	shapes_make(&m);
	target_open(&m);
	clock_gettime(CLOCK_MONOTONIC, &m.begin);
	message_begin(&m.w, m.buffer, m.o.size, m.o.domain);
	templates_add(&m);
	if (m.o.everything)
		types_add(&m);
	for (uint64_t i = 0; i < m.o.records; i++) {
		/* Templates again now and then, for lost datagrams. */
		if (m.datagram && i && i % 1000 == 0) {
			message_finish(&m);
			templates_add(&m);
		}
		if (m.o.everything && i % 10 == 9)
			rich_add(&m, i);
		else
			flow_add(&m, i);
	}
	message_finish(&m);
	if (close(m.fd))
		die(m.o.target);
	fprintf(out,
		"{\"messages\":%" PRIu64 ",\"records\":%" PRIu64
		",\"octets\":%" PRIu64 ",\"packets\":%" PRIu64
		",\"options\":%" PRIu64 ",\"missing\":%" PRIu64 "}\n",
		m.truth.messages, m.truth.records, m.truth.octets,
		m.truth.packets, m.truth.options, m.truth.missing);
	shape_release(m.v4);
	shape_release(m.v6);
	shape_release(m.types);
	shape_release(m.rich);
	shape_release(m.inner);
	shape_table_free(m.shapes);
	ie_registry_free(m.registry);
	return 0;
}
