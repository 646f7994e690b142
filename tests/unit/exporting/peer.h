/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of exporting share: a feeder that makes batches with known
 * records, and a Collecting Process of its own that takes what comes out
 * apart with the readers of ipfix, and checks what every message must keep:
 * its size, its sequence number, Templates before data.
 */
#ifndef CONFLUX_TESTS_EXPORTING_PEER_H
#define CONFLUX_TESTS_EXPORTING_PEER_H

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/exporting.h"
#include "conflux/log.h"
#include "conflux/message.h"
#include "conflux/template.h"
#include "unit.h"

#define WAIT_MS unit_wait(5000)
#define DOMAINS 16
#define TEST_PEN 32473 /* for documentation, RFC 5612 */

/* ---- the collector ------------------------------------------------------- */

struct seen_domain {
	uint32_t domain;
	uint16_t stream; /* SCTP: each counts by itself */
	uint32_t next; /* sequence number */
	uint64_t records, octets, messages;
	uint32_t export_time;
};

struct collector {
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct template_store *store;
	struct net_in *in;
	struct net_session *session;
	bool udp;
	uint16_t sctp_udp;  /* SCTP, with this port of encapsulation */
	unsigned unordered; /* messages */
	const struct secure_conf *secure;
	uint64_t refuse_at; /* breaks the session at this message, if set */
	uint64_t messages, octets;
	uint64_t records, record_octets; /* Data Records, without options */
	uint64_t sum;                    /* of octetDeltaCount */
	uint64_t options;                /* records */
	uint32_t longest, shortest;
	unsigned sessions, closed;
	unsigned early; /* Data Records from before their Template */
	unsigned bad_sequence, bad_message, no_template, first_not_template;
	unsigned outcome[TEMPLATE_REFUSED + 1];
	bool last_had_template; /* the message before was one */
	struct seen_domain seen[DOMAINS];
	unsigned seen_count;
	/* Called for each record, if set. */
	void (*record)(struct collector *c, const struct template *t,
		       const uint8_t *p, uint32_t length,
		       const struct message_header *header);
	void *user;
};

static inline void
collector_reset_store(struct collector *c)
{
	struct template_limits limits = {
		.max_templates = 100000,
		.max_fields = 4096,
		.lifetime = c->udp,
	};

	template_store_free(c->store);
	c->store = template_store_new(&limits, c->registry, c->shapes);
	c->seen_count = 0;
}

static inline void
collector_init(struct collector *c, bool udp)
{
	memset(c, 0, sizeof(*c));
	c->registry = ie_registry_new(1000);
	c->shapes = shape_table_new(100000);
	c->udp = udp;
	c->shortest = UINT32_MAX;
	collector_reset_store(c);
}

static inline void
collector_fini(struct collector *c)
{
	net_in_close(c->in);
	template_store_free(c->store);
	shape_table_free(c->shapes);
	ie_registry_free(c->registry);
}

static inline struct seen_domain *
collector_domain(struct collector *c, uint32_t domain)
{
	uint16_t stream = c->session ? c->session->stream : 0;

	for (unsigned i = 0; i < c->seen_count; i++)
		if (c->seen[i].domain == domain && c->seen[i].stream == stream)
			return &c->seen[i];
	if (c->seen_count == DOMAINS)
		abort();
	c->seen[c->seen_count] =
		(struct seen_domain){.domain = domain, .stream = stream};
	return &c->seen[c->seen_count++];
}

static inline void
collector_event(void *arg, const struct template_event *event)
{
	struct collector *c = arg;

	c->outcome[event->outcome]++;
}

static inline uint64_t
field_uint(const struct shape *shape, uint32_t pen, uint16_t id, unsigned n,
	   const uint8_t *p)
{
	int i = shape_find(shape, pen, id, n);

	if (i < 0 || shape->field[i].offset == FIELD_NO_OFFSET)
		return 0;
	return wire_get_uint(p + shape->field[i].offset,
			     shape->field[i].length);
}

static inline void
collector_data(struct collector *c, struct seen_domain *d,
	       const struct template *t, const struct set *set,
	       const struct message_header *header)
{
	const uint8_t *p = set->content, *end = p + set->length;

	while (p < end) {
		int n = shape_record_length(t->shape, p,
					    (uint32_t)(end - p));

		if (n <= 0) {
			c->bad_message++;
			return;
		}
		if (t->set_id == SET_OPTIONS_TEMPLATE) {
			c->options++;
		} else {
			c->records++;
			c->record_octets += (unsigned)n;
			c->sum += field_uint(t->shape, 0, IE_octetDeltaCount,
					     0, p);
		}
		d->records++;
		c->early += header->export_time < t->defined_ms;
		if (c->record)
			c->record(c, t, p, (uint32_t)n, header);
		p += n;
	}
}

static inline void
collector_message(struct collector *c, const uint8_t *p, size_t length)
{
	struct message_reader reader;
	struct seen_domain *d;
	uint64_t before;
	struct set set;

	c->messages++;
	c->octets += length;
	if (length > c->longest)
		c->longest = (uint32_t)length;
	if (length < c->shortest)
		c->shortest = (uint32_t)length;
	if (message_open(&reader, p, length)) {
		c->bad_message++;
		return;
	}
	d = collector_domain(c, reader.header.domain);
	if (d->next != reader.header.sequence)
		c->bad_sequence++;
	before = d->records;
	d->messages++;
	d->octets += length;
	d->export_time = reader.header.export_time;
	while (message_next_set(&reader, &set)) {
		struct template *t;

		if (set.id < SET_DATA_MIN) {
			template_store_read(c->store, reader.header.domain,
					    set.id, set.content, set.length,
					    reader.header.export_time,
					    c->messages, collector_event, c);
			continue;
		}
		t = template_store_find(c->store, reader.header.domain, set.id,
					0, c->messages);
		if (t)
			collector_data(c, d, t, &set, &reader.header);
		else
			c->no_template++;
	}
	if (reader.reason)
		c->bad_message++;
	d->next = reader.header.sequence + (uint32_t)(d->records - before);
}

static inline void
collector_file(struct collector *c, const char *path)
{
	FILE *file = fopen(path, "rb");
	static uint8_t buffer[65536];

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	while (fread(buffer, 1, 4, file) == 4) {
		int n = message_frame(buffer, 4);

		if (n < 4 ||
		    fread(buffer + 4, 1, (size_t)n - 4, file) !=
			    (size_t)n - 4) {
			c->bad_message++;
			break;
		}
		collector_message(c, buffer, (size_t)n);
	}
	fclose(file);
}

/* Of the files of a spool (folder_each) the segments: each is read by itself. */
static inline void
collector_segment(void *arg, const char *file)
{
	struct collector *c = arg;
	size_t length = strlen(file);

	if (length < 6 || strcmp(file + length - 6, ".ipfix") != 0)
		return;
	collector_reset_store(c);
	collector_file(c, file);
}

static inline int
collector_opened(void *arg, struct net_session *session)
{
	struct collector *c = arg;

	c->sessions++;
	c->session = session;
	collector_reset_store(c);
	return 0;
}

static inline int
collector_received(void *arg, struct net_session *session, const uint8_t *p,
		   size_t length)
{
	struct collector *c = arg;

	c->unordered += session->unordered;
	if (c->refuse_at && c->messages + 1 >= c->refuse_at)
		return -1;
	collector_message(c, p, length);
	return 0;
}

static inline void
collector_closed(void *arg, struct net_session *session, const char *reason,
		 size_t lost)
{
	struct collector *c = arg;

	c->closed++;
}

/* Listens on loopback; returns the port. */
static inline uint16_t
collector_listen(struct collector *c, struct event_base *base, uint16_t port)
{
	static const struct net_in_ops ops = {
		.opened = collector_opened,
		.message = collector_received,
		.closed = collector_closed,
	};
	struct addr local;
	struct net_in_conf conf = {
		.transport = c->udp	   ? TRANSPORT_UDP
			     : c->sctp_udp ? TRANSPORT_SCTP
					   : TRANSPORT_TCP,
		.sctp = {.stack = NET_SCTP_USERLAND,
			 .local_udp = c->sctp_udp,
			 .streams = 64},
		.local = &local,
		.local_count = 1,
		.max_sessions = 16,
		.session_idle_ms = 600000,
		.worker = 0,
		.workers = 1,
		.frame = message_frame,
		.secure = c->secure,
		.handshake_ms = 5000,
		.dtls = {.heartbeat = true, .max_handshakes = 4, .handshake_rate = 1000},
	};
	char *error = NULL;

	addr_parse(&local, "127.0.0.1", port);
	if (net_in_open(base, &conf, &ops, c, &c->in, &error)) {
		printf("%s\n", error ? error : "no listener");
		abort();
	}
	return net_in_port(c->in);
}

/* A port where nobody listens. */
static inline uint16_t
closed_port(struct event_base *base)
{
	struct collector c;
	uint16_t port;

	collector_init(&c, false);
	port = collector_listen(&c, base, 0);
	collector_fini(&c);
	return port;
}

/* ---- the feeder ---------------------------------------------------------- */

struct feeder {
	struct event_base *base;
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct stage *stage;
	struct scope scope;
	uint64_t now; /* for ticks, monotonic */
	uint64_t sum; /* of octetDeltaCount fed */
	uint32_t serial;
	char path[64];
};

static inline void
feeder_init(struct feeder *f)
{
	memset(f, 0, sizeof(*f));
	f->base = event_base_new();
	f->registry = ie_registry_new(1000);
	f->shapes = shape_table_new(100000);
	f->scope.serial = scope_serial();
	f->scope.domain = 7;
	addr_parse(&f->scope.exporter, "192.0.2.1", 1000);
	f->now = clock_mono_ms();
	snprintf(f->path, sizeof(f->path), "/tmp/conflux-exporting-%ld",
		 (long)getpid());
}

static inline void
feeder_fini(struct feeder *f)
{
	stage_free(f->stage);
	shape_table_free(f->shapes);
	ie_registry_free(f->registry);
	event_base_free(f->base);
	unlink(f->path);
}

static inline void
feeder_scope(struct feeder *f, struct scope *scope, uint32_t domain,
	     const char *exporter)
{
	*scope = (struct scope){.serial = scope_serial(), .domain = domain};
	if (exporter)
		addr_parse(&scope->exporter, exporter, 4739);
}

static inline void
feeder_open(struct feeder *f, const struct exporting_conf *conf)
{
	char *error = NULL;
	int r = exporting_new(f->base, conf, f->registry, f->shapes, &f->stage,
			      &error);

	if (r) {
		printf("%d %s\n", r, error ? error : "");
		abort();
	}
	f->now = clock_mono_ms();
	stage_tick(f->stage, f->now);
}

/* An enterprise-specific element that the feeder knows. */
static inline void
feeder_element(struct feeder *f)
{
	static const struct ie ie = {
		.pen = TEST_PEN,
		.id = 12,
		.length = 4,
		.type = IE_UNSIGNED32,
		.semantics = IE_IDENTIFIER,
		.name = "siteNumber",
		.description = "Number of the site.",
	};

	CU_ASSERT_EQUAL(ie_add(f->registry, &ie), 0);
}

static inline void
loop_once(struct event_base *base)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* Time goes on by ms for the stage; the loop runs. */
static inline void
feeder_tick(struct feeder *f, uint64_t ms)
{
	f->now += ms;
	stage_tick(f->stage, f->now);
	loop_once(f->base);
}

/* Runs the loop in real time until the condition holds. */
#define LOOP_UNTIL(f, condition)                                               \
	do {                                                                   \
		uint64_t until_ = clock_mono_ms() + WAIT_MS;                   \
		while (!(condition) && clock_mono_ms() < until_) {             \
			loop_once((f)->base);                                  \
			usleep(500);                                           \
		}                                                              \
		CU_ASSERT_TRUE(condition);                                     \
	} while (0)

/* The same, and time goes on for the stage. */
#define TICK_UNTIL(f, condition)                                               \
	do {                                                                   \
		uint64_t until_ = clock_mono_ms() + WAIT_MS;                   \
		while (!(condition) && clock_mono_ms() < until_) {             \
			feeder_tick((f), 10);                                  \
			usleep(500);                                           \
		}                                                              \
		CU_ASSERT_TRUE(condition);                                     \
	} while (0)

static inline const struct shape *
make_shape(struct feeder *f, uint16_t scope_count, const uint32_t *spec)
{
	struct field field[64];
	const struct shape *shape = NULL;
	uint16_t n = 0;

	/* Triples of (PEN, id, length), ended by length 0. */
	for (; spec[2]; spec += 3, n++) {
		field[n].ie = ie_get(f->registry, spec[0], (uint16_t)spec[1]);
		field[n].length = (uint16_t)spec[2];
	}
	CU_ASSERT_EQUAL(shape_get(f->shapes, field, n, scope_count, &shape),
			0);
	return shape;
}

#define SHAPE(f, scope_count, ...)                                             \
	make_shape((f), (scope_count), (const uint32_t[]){__VA_ARGS__, 0, 0, 0})

/* 16 octets: addresses, octetDeltaCount. */
static inline const struct shape *
flow_shape(struct feeder *f)
{
	return SHAPE(f, 0, 0, IE_sourceIPv4Address, 4, 0,
		     IE_destinationIPv4Address, 4, 0, IE_octetDeltaCount, 8);
}

/* Feeds count flow records whose octetDeltaCount is counted on. */
static inline void
feed_flows(struct feeder *f, const struct shape *shape,
	   const struct scope *scope, uint32_t count, uint64_t export_ms)
{
	uint8_t data[BATCH_MAX * 64];
	int at = shape_find(shape, 0, IE_octetDeltaCount, 0);
	int about = shape_find(shape, 0, IE_observationDomainId, 0);
	uint32_t offset = at < 0 ? 0 : shape->field[at].offset;
	struct batch batch = {
		.shape = shape,
		.scope = scope,
		.base = data,
		.stride = shape->min_length,
		.export_ms = export_ms,
	};

	while (count) {
		batch.count = count < BATCH_MAX ? count : BATCH_MAX;
		memset(data, 0xa5, sizeof(data));
		for (uint32_t i = 0; i < batch.count && at >= 0; i++) {
			wire_put_uint(data + i * batch.stride + offset,
				      ++f->serial, shape->field[at].length);
			f->sum += f->serial;
		}
		/* Options are about the domain that they come in. */
		for (uint32_t i = 0; i < batch.count && about >= 0; i++)
			wire_put32(data + i * batch.stride +
					   shape->field[about].offset,
				   scope->domain);
		stage_run(f->stage, &batch);
		count -= batch.count;
	}
}

/* ---- configurations ------------------------------------------------------ */

static inline struct exporting_destination
to_file(const char *path)
{
	return (struct exporting_destination){
		.name = "file",
		.kind = EXPORTING_FILE,
		.net.file = path,
	};
}

static inline struct exporting_destination
to_port(enum exporting_kind kind, uint16_t port)
{
	struct exporting_destination d = {
		.name = kind == EXPORTING_UDP ? "udp" : "tcp",
		.kind = kind,
		.net.reconnect_min_ms = 50,
		.net.reconnect_max_ms = 100,
	};

	addr_parse(&d.net.remote, "127.0.0.1", port);
	return d;
}

static inline struct exporting_conf
conf_of(struct exporting_destination *d, unsigned count)
{
	return (struct exporting_conf){
		.name = "e",
		.destination = d,
		.destination_count = count,
	};
}

/* The end: everything goes out, and the stage is freed. */
static inline void
feeder_finish(struct feeder *f)
{
	stage_flush(f->stage);
	LOOP_UNTIL(f, stage_drained(f->stage));
}

#endif
