/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A Collecting Process between a hand-made Transport Session and a stage that
 * writes down what it gets. Messages are put together octet by octet, so that
 * any malformation can be made.
 */
#ifndef CONFLUX_TESTS_COLLECTING_FIXTURE_H
#define CONFLUX_TESTS_COLLECTING_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/collecting.h"
#include "conflux/hash.h"
#include "conflux/log.h"
#include "conflux/wire.h"
#include "unit.h"

/* ---- messages ---------------------------------------------------------- */

struct msg {
	uint8_t data[65536];
	size_t length;
	size_t set; /* offset of the open set, 0: none */
};

static inline void
msg_u8(struct msg *m, unsigned v)
{
	m->data[m->length++] = (uint8_t)v;
}

static inline void
msg_u16(struct msg *m, unsigned v)
{
	wire_put16(m->data + m->length, (uint16_t)v);
	m->length += 2;
}

static inline void
msg_u32(struct msg *m, uint32_t v)
{
	wire_put32(m->data + m->length, v);
	m->length += 4;
}

static inline void
msg_u64(struct msg *m, uint64_t v)
{
	wire_put64(m->data + m->length, v);
	m->length += 8;
}

static inline void
msg_bytes(struct msg *m, const void *data, size_t length)
{
	memcpy(m->data + m->length, data, length);
	m->length += length;
}

/* A string of variable length, the long form of the prefix if asked for. */
static inline void
msg_string(struct msg *m, const char *s, bool longer)
{
	if (longer) {
		msg_u8(m, 255);
		msg_u16(m, (unsigned)strlen(s));
	} else {
		msg_u8(m, (unsigned)strlen(s));
	}
	msg_bytes(m, s, strlen(s));
}

enum { EXPORT_TIME = 1700000000 };

static inline struct msg *
msg_begin(struct msg *m, uint32_t sequence, uint32_t domain)
{
	m->length = 0;
	m->set = 0;
	msg_u16(m, 10);
	msg_u16(m, 0);
	msg_u32(m, EXPORT_TIME);
	msg_u32(m, sequence);
	msg_u32(m, domain);
	return m;
}

static inline void
msg_end_set(struct msg *m)
{
	if (m->set)
		wire_put16(m->data + m->set + 2,
			   (uint16_t)(m->length - m->set));
	m->set = 0;
}

static inline void
msg_set(struct msg *m, unsigned id)
{
	msg_end_set(m);
	m->set = m->length;
	msg_u16(m, id);
	msg_u16(m, 0);
}

static inline void
msg_end(struct msg *m)
{
	msg_end_set(m);
	wire_put16(m->data + 2, (uint16_t)m->length);
}

/* A Template Set with one record: sourceIPv4Address, octetDeltaCount/4. */
enum { FLOW_LENGTH = 8 };

static inline void
msg_flow_template(struct msg *m, unsigned id)
{
	msg_set(m, 2);
	msg_u16(m, id);
	msg_u16(m, 2);
	msg_u16(m, IE_sourceIPv4Address);
	msg_u16(m, 4);
	msg_u16(m, IE_octetDeltaCount);
	msg_u16(m, 4);
	msg_end_set(m);
}

static inline void
msg_flows(struct msg *m, unsigned id, uint32_t first, unsigned count)
{
	msg_set(m, id);
	for (unsigned i = 0; i < count; i++) {
		msg_u32(m, 0x0a000000 + first + i);
		msg_u32(m, first + i);
	}
	msg_end_set(m);
}

/* sourceIPv4Address, interfaceName of variable length. */
static inline void
msg_named_template(struct msg *m, unsigned id)
{
	msg_set(m, 2);
	msg_u16(m, id);
	msg_u16(m, 2);
	msg_u16(m, IE_sourceIPv4Address);
	msg_u16(m, 4);
	msg_u16(m, IE_interfaceName);
	msg_u16(m, 65535);
	msg_end_set(m);
}

/* ---- the sink ---------------------------------------------------------- */

enum { SEEN_MAX = 70000 };

struct seen {
	const struct shape *shape; /* may be gone: for comparison only */
	uint64_t serial;           /* of the scope */
	uint64_t export_ms;
	uint64_t flow_keys;
	uint32_t domain;
	uint32_t length;
	uint32_t first; /* four octets */
};

struct sink {
	struct stage stage;
	struct seen seen[SEEN_MAX];
	uint32_t count;
	uint32_t batches;
	uint32_t scopes_ended;
	bool congested;
	uint8_t last[256]; /* octets of the last record, as far as they go */
	const struct shape *last_shape; /* held */
};

static inline void
sink_run(struct stage *stage, const struct batch *batch)
{
	struct sink *sink = (struct sink *)stage;

	sink->batches++;
	CU_ASSERT(batch->count > 0 && batch->count <= BATCH_MAX);
	for (uint32_t i = 0; i < batch->count; i++) {
		uint32_t length;
		const uint8_t *p = batch_record(batch, i, &length);
		struct seen *seen = &sink->seen[sink->count++ % SEEN_MAX];

		/* All octets are readable. */
		(void)hash_bytes(p, length, 0);
		seen->shape = batch->shape;
		seen->serial = batch->scope->serial;
		seen->domain = batch->scope->domain;
		seen->export_ms = batch->export_ms;
		seen->flow_keys = batch->flow_keys;
		seen->length = length;
		seen->first = length >= 4 ? wire_get32(p) : 0;
		memcpy(sink->last, p,
		       length < sizeof(sink->last) ? length
						   : sizeof(sink->last));
	}
	if (sink->last_shape != batch->shape) {
		shape_release(sink->last_shape);
		sink->last_shape = shape_hold(batch->shape);
	}
}

/* A number of the last record; all ones if there is no such field. */
static inline uint64_t
sink_uint(const struct sink *sink, uint16_t id)
{
	uint64_t value = UINT64_MAX;

	shape_uint(sink->last_shape, shape_find(sink->last_shape, 0, id, 0),
		   sink->last, sizeof(sink->last), &value);
	return value;
}

static inline void
sink_scope_end(struct stage *stage, const struct scope *scope)
{
	((struct sink *)stage)->scopes_ended++;
}

static inline bool
sink_congested(const struct stage *stage)
{
	return ((const struct sink *)stage)->congested;
}

static const struct stage_ops sink_ops = {
	.run = sink_run,
	.scope_end = sink_scope_end,
	.congested = sink_congested,
};

/* ---- all of it --------------------------------------------------------- */

struct fixture {
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct collecting *process;
	struct collecting_receiver *receiver[4]; /* by transport */
	struct stage *stage;
	const struct net_in_ops *ops;
	struct sink *sink;
	uint64_t now_ms;
	struct msg m;
};

static inline struct fixture *
fixture_new(const struct collecting_conf *with)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct collecting_conf conf = {0};
	static const enum transport transport[] = {
		TRANSPORT_UDP, TRANSPORT_TCP, TRANSPORT_SCTP, TRANSPORT_FILE};

	log_set_level(LOG_LEVEL_ERROR);
	f->registry = ie_registry_new(1000);
	f->shapes = shape_table_new(1000);
	f->sink = calloc(1, sizeof(*f->sink));
	f->sink->stage.ops = &sink_ops;
	if (with)
		conf = *with;
	conf.name = "in";
	conf.registry = f->registry;
	conf.shapes = f->shapes;
	CU_ASSERT_EQUAL_FATAL(collecting_new(&conf, &f->process), 0);
	f->stage = collecting_stage(f->process);
	CU_ASSERT_EQUAL_FATAL(stage_link(f->stage, &f->sink->stage), 0);
	for (unsigned i = 0; i < UNIT_COUNT(transport); i++) {
		struct collecting_receiver_conf r = {
			.name = transport_name(transport[i]),
			.transport = transport[i],
			.template_ms = 1800000,
			.options_ms = 1800000,
			.acknowledges = conf.positions,
		};

		CU_ASSERT_EQUAL_FATAL(
			collecting_add(f->process, &r,
				       &f->receiver[transport[i]]),
			0);
	}
	f->ops = collecting_net_ops();
	f->now_ms = clock_mono_ms();
	return f;
}

static inline void
fixture_open(struct fixture *f, struct net_session *net,
	     enum transport transport)
{
	memset(net, 0, sizeof(*net));
	net->transport = transport;
	net->start_ms = 1700000000000;
	net->last_ms = 1700000000500;
	if (transport == TRANSPORT_FILE) {
		net->file = "f.ipfix";
	} else {
		addr_parse(&net->remote, "192.0.2.1", 1000);
		addr_parse(&net->local, "192.0.2.2", 4739);
	}
	CU_ASSERT_EQUAL_FATAL(f->ops->opened(f->receiver[transport], net), 0);
}

static inline int
fixture_send(struct fixture *f, struct net_session *net)
{
	/* A copy of the exact size, so that reading behind it is noticed. */
	uint8_t *copy = malloc(f->m.length);
	int error;

	memcpy(copy, f->m.data, f->m.length);
	net->messages++;
	net->octets += f->m.length;
	error = f->ops->message(f->receiver[net->transport], net, copy,
				f->m.length);
	memset(copy, 0xee, f->m.length);
	free(copy);
	return error;
}

static inline void
fixture_close(struct fixture *f, struct net_session *net)
{
	f->ops->closed(f->receiver[net->transport], net, NULL, 0);
}

static inline void
fixture_tick(struct fixture *f, uint64_t ms)
{
	f->now_ms += ms;
	stage_tick(f->stage, f->now_ms);
}

/* The truth account holds. */
static inline void
fixture_check(struct fixture *f)
{
	const struct ledger *l = &f->stage->ledger;

	CU_ASSERT(ledger_balanced(l));
	CU_ASSERT_EQUAL(l->exported, f->sink->count);
}

static inline void
fixture_free(struct fixture *f)
{
	fixture_check(f);
	stage_free(f->stage);
	shape_release(f->sink->last_shape);
	shape_table_free(f->shapes);
	ie_registry_free(f->registry);
	free(f->sink);
	free(f);
}

#endif
