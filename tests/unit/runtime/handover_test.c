/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The ring between two threads, and records that go through it. */
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/wire.h"
#include "entry.h"
#include "handover.h"
#include "ring.h"
#include "sink.h"
#include "unit.h"

/* ---- the ring ------------------------------------------------------------ */

enum { ENTRIES = 200000 };

/* Entries of all lengths whose octets tell their number. */
static void *
write_entries(void *arg)
{
	struct ring *ring = arg;

	for (uint32_t i = 0; i < ENTRIES; i++) {
		uint32_t length = 4 + i * 37 % 500;
		uint8_t *p;

		while (!(p = ring_reserve(ring, length)))
			sched_yield();
		memset(p, (int)(i & 0xff), length);
		memcpy(p, &i, sizeof(i));
		ring_commit(ring);
	}
	return NULL;
}

static void
test_ring(void)
{
	struct ring *ring;
	pthread_t thread;
	const uint8_t *p;
	uint32_t number, wrong = 0, next = 0;

	CU_ASSERT_EQUAL_FATAL(ring_new(4096, &ring), 0);
	CU_ASSERT_PTR_NULL(ring_reserve(ring, 4096));
	CU_ASSERT_PTR_NULL(ring_peek(ring));
	pthread_create(&thread, NULL, write_entries, ring);
	while (next < ENTRIES) {
		p = ring_peek(ring);
		if (!p) {
			/* Nobody would wake us if this said yes wrongly. */
			if (ring_sleep(ring))
				ring_woken(ring);
			sched_yield();
			continue;
		}
		memcpy(&number, p, sizeof(number));
		wrong += number != next;
		wrong += p[4 + next * 37 % 500 - 1] != (next & 0xff) &&
			 next * 37 % 500 > 0;
		ring_release(ring);
		next++;
	}
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(ring_used(ring), 0);
	ring_free(ring);
	ring_free(NULL);
}

/* ---- the handover -------------------------------------------------------- */

/* What the first worker gets. */
struct sink {
	struct unit_sink base;
	uint64_t records, octets, sum;
	unsigned scopes_ended, shapes;
	const struct shape *last;
	struct scope scope;
	uint32_t serial;	     /* of the last shape */
	uint32_t template_serial[2]; /* of 300 and 301, in its scope */
};

/* What an id in a list stands for here; 0: nothing. */
static uint32_t
template_serial(const struct scope *scope, uint16_t id)
{
	const struct shape *shape =
		scope->template_shape ? scope->template_shape(scope, id) : NULL;

	return shape ? shape->serial : 0;
}

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	struct sink *s = (struct sink *)stage;
	const uint8_t *p;
	uint32_t length;

	for (uint32_t i = 0; i < batch->count; i++) {
		p = batch_record(batch, i, &length);
		s->records++;
		s->octets += length;
		for (uint32_t j = 0; j < length; j++)
			s->sum += p[j];
	}
	s->shapes += batch->shape->serial != s->serial;
	s->serial = batch->shape->serial;
	s->last = batch->shape;
	s->scope = *batch->scope;
	for (uint16_t id = 300; id < 302; id++)
		s->template_serial[id - 300] =
			template_serial(batch->scope, id);
}

static void
sink_scope_end(struct stage *stage, const struct scope *scope)
{
	((struct sink *)stage)->scopes_ended++;
}

static const struct stage_ops sink_ops = {
	.run = sink_run,
	.scope_end = sink_scope_end,
	.congested = unit_sink_congested,
};

/* Both sides in one thread: the ring is read when the test says so. */
struct pair {
	struct event_base *base;
	struct ie_registry *registry[2]; /* of the worker, of the first one */
	struct shape_table *shapes[2];
	struct handover_port *port;
	struct stage *handover;
	struct sink sink;
	struct stage *target[1];
	struct intake *intake;
	unsigned idle, finished, barriers;
};

static void
count_idle(void *arg)
{
	((struct pair *)arg)->idle++;
}

static void
count_finished(void *arg)
{
	((struct pair *)arg)->finished++;
}

static void
count_barrier(void *arg)
{
	((struct pair *)arg)->barriers++;
}

static void
pair_open(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	p->base = event_base_new();
	for (int i = 0; i < 2; i++) {
		p->registry[i] = ie_registry_new(10000);
		p->shapes[i] = shape_table_new(10000);
	}
	p->sink.base.stage.ops = &sink_ops;
	p->target[0] = &p->sink.base.stage;
	CU_ASSERT_EQUAL_FATAL(
		handover_port_new(p->registry[0], count_idle, p, &p->port), 0);
	CU_ASSERT_EQUAL_FATAL(handover_new(p->port, 0, "h", &p->handover), 0);
	CU_ASSERT_EQUAL_FATAL(intake_new(p->base, p->port, p->target, 1,
					 p->registry[1], p->shapes[1],
					 count_finished, count_barrier, p,
					 &p->intake),
			      0);
}

static void
pair_close(struct pair *p)
{
	intake_free(p->intake);
	stage_free(p->handover);
	handover_port_free(p->port);
	for (int i = 0; i < 2; i++) {
		shape_table_free(p->shapes[i]);
		ie_registry_free(p->registry[i]);
	}
	event_base_free(p->base);
}

static const struct shape *
one_field(struct pair *p, uint32_t pen, uint16_t id, uint16_t length)
{
	struct field f = {.ie = ie_get(p->registry[0], pen, id),
			  .length = length};
	const struct shape *shape = NULL;

	CU_ASSERT_EQUAL_FATAL(shape_get(p->shapes[0], &f, 1, 0, &shape), 0);
	return shape;
}

static void
read_all(struct pair *p)
{
	for (int i = 0; i < 1000; i++)
		event_base_loop(p->base, EVLOOP_NONBLOCK);
}

static void
test_records(void)
{
	static const uint8_t octets[] = "aabbcc"
					"\1x\3xyz\0";
	static const uint32_t offset[] = {0, 2, 6, 7};
	struct pair p;
	struct scope scope = {.serial = scope_serial(), .domain = 7};
	struct batch batch = {.scope = &scope, .base = octets, .count = 3};
	const struct shape *fixed, *variable;
	uint64_t serial;

	pair_open(&p);
	fixed = one_field(&p, 0, IE_sourceTransportPort, 2);
	variable = one_field(&p, 0, IE_interfaceName, IE_VARIABLE);
	batch.shape = fixed;
	batch.stride = 2;
	stage_run(p.handover, &batch);
	read_all(&p);
	CU_ASSERT_EQUAL(p.sink.records, 3);
	CU_ASSERT_EQUAL(p.sink.octets, 6);
	CU_ASSERT_EQUAL(p.sink.scope.domain, 7);
	CU_ASSERT_NOT_EQUAL(p.sink.scope.serial, scope.serial);
	CU_ASSERT_PTR_EQUAL(p.sink.last->table, p.shapes[1]);
	serial = p.sink.scope.serial;
	/* Variable lengths, and a scope that has learnt something. */
	batch.shape = variable;
	batch.stride = 0;
	batch.offset = offset;
	batch.base = octets + 6;
	scope.has_init = true;
	scope.system_init_ms = 99;
	stage_run(p.handover, &batch);
	read_all(&p);
	CU_ASSERT_EQUAL(p.sink.records, 6);
	CU_ASSERT_EQUAL(p.sink.octets, 13);
	CU_ASSERT_EQUAL(p.sink.scope.system_init_ms, 99);
	CU_ASSERT_EQUAL(p.sink.scope.serial, serial);
	stage_scope_end(p.handover, &scope);
	CU_ASSERT(handover_port_finish(p.port));
	read_all(&p);
	CU_ASSERT_EQUAL(p.sink.scopes_ended, 1);
	CU_ASSERT_EQUAL(p.finished, 1);
	CU_ASSERT_EQUAL(p.handover->ledger.in, 6);
	CU_ASSERT_EQUAL(p.handover->ledger.exported, 6);
	CU_ASSERT_EQUAL(intake_ledger(p.intake)->exported, 6);
	shape_release(fixed);
	shape_release(variable);
	pair_close(&p);
}

/* The first worker gets to know what the other has learnt (RFC 5610). */
static void
test_learns(void)
{
	struct pair p;
	struct scope scope = {.serial = scope_serial()};
	struct ie learnt = {.pen = 64999,
			    .id = 5,
			    .length = 4,
			    .type = IE_UNSIGNED32,
			    .name = "roundTripTime"};
	struct batch batch = {.scope = &scope,
			      .base = (const uint8_t *)"abcd",
			      .count = 1,
			      .stride = 4};

	pair_open(&p);
	CU_ASSERT_EQUAL(ie_add(p.registry[0], &learnt), 0);
	batch.shape = one_field(&p, 64999, 5, 4);
	stage_run(p.handover, &batch);
	read_all(&p);
	CU_ASSERT_STRING_EQUAL(p.sink.last->field[0].ie->name, "roundTripTime");
	shape_release(batch.shape);
	pair_close(&p);
}

/* More shapes than slots: they are reused, and nothing is mixed up. */
static void
test_many_shapes(void)
{
	struct pair p;
	struct scope scope = {.serial = scope_serial()};
	const struct shape *shape;
	unsigned wrong = 0;

	pair_open(&p);
	for (uint16_t i = 1; i <= 5000; i++) {
		struct batch batch = {.scope = &scope,
				      .base = (const uint8_t *)"abcd",
				      .count = 1,
				      .stride = 4};

		shape = one_field(&p, 64999, i, 4);
		batch.shape = shape;
		stage_run(p.handover, &batch);
		shape_release(shape);
		if (i % 7 == 0) {
			event_base_loop(p.base, EVLOOP_NONBLOCK);
			wrong += p.sink.last->field[0].ie->id != i;
		}
	}
	read_all(&p);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(p.sink.records, 5000);
	CU_ASSERT_EQUAL(p.sink.shapes, 5000);
	pair_close(&p);
}

struct list_scope {
	struct scope scope;
	const struct shape *shape; /* of id 300 */
};

static const struct shape *
list_template_shape(const struct scope *scope, uint16_t id)
{
	return id == 301 ? NULL : ((const struct list_scope *)scope)->shape;
}

/* Lists name Templates of the worker: the first one knows their shapes. */
static void
test_lists(void)
{
	uint8_t list[] = "\6\3\1\54abc";
	struct pair p;
	struct list_scope from = {
		.scope = {.serial = scope_serial(),
			  .template_shape = list_template_shape},
	};
	struct batch batch = {
		.scope = &from.scope, .base = list, .count = 1, .stride = 7};
	const struct shape *inner[2];
	uint32_t serial;

	pair_open(&p);
	inner[0] = one_field(&p, 0, IE_octetDeltaCount, 1);
	inner[1] = one_field(&p, 0, IE_packetDeltaCount, 1);
	batch.shape = one_field(&p, 0, IE_subTemplateList, IE_VARIABLE);
	from.shape = inner[0];
	stage_run(p.handover, &batch);
	read_all(&p);
	serial = p.sink.template_serial[0];
	CU_ASSERT_NOT_EQUAL(serial, 0);
	CU_ASSERT_EQUAL(p.sink.template_serial[1], 0);
	/* Defined anew. */
	from.shape = inner[1];
	stage_run(p.handover, &batch);
	read_all(&p);
	CU_ASSERT_NOT_EQUAL(p.sink.template_serial[0], 0);
	CU_ASSERT_NOT_EQUAL(p.sink.template_serial[0], serial);
	/* More ids than are kept. */
	for (uint16_t id = 400; id < 400 + 2 * HANDOVER_TEMPLATES; id++) {
		wire_put16(list + 2, id);
		stage_run(p.handover, &batch);
		read_all(&p);
	}
	wire_put16(list + 2, 300);
	stage_run(p.handover, &batch);
	read_all(&p);
	CU_ASSERT_NOT_EQUAL(p.sink.template_serial[0], 0);
	/* None is left to be named by another scope. */
	stage_scope_end(p.handover, &from.scope);
	from.scope.serial = scope_serial();
	from.scope.template_shape = NULL;
	stage_run(p.handover, &batch);
	read_all(&p);
	CU_ASSERT_EQUAL(p.sink.template_serial[0], 0);
	shape_release(inner[0]);
	shape_release(inner[1]);
	shape_release(batch.shape);
	pair_close(&p);
}

static void
test_full(void)
{
	struct pair p;
	struct scope scope = {.serial = scope_serial()};
	uint8_t *records = calloc(BATCH_MAX, 60000);
	struct batch batch = {.scope = &scope,
			      .base = records,
			      .count = BATCH_MAX,
			      .stride = 60000};
	const struct ledger *l;

	pair_open(&p);
	l = &p.handover->ledger;
	batch.shape = one_field(&p, 64999, 1, 60000);
	/* Longer than an entry may be: it goes in parts. */
	stage_run(p.handover, &batch);
	CU_ASSERT_EQUAL(l->exported, BATCH_MAX);
	CU_ASSERT(stage_congested(p.handover));
	/* Nobody reads: waited for, then lost, and counted. */
	stage_run(p.handover, &batch);
	CU_ASSERT(p.idle > 0);
	CU_ASSERT_EQUAL(l->in, 2 * BATCH_MAX);
	CU_ASSERT_EQUAL(l->exported + l->lost[LOSS_QUEUE_FULL], 2 * BATCH_MAX);
	CU_ASSERT(l->lost[LOSS_QUEUE_FULL] > 0);
	/* A next stage that is behind isn't run. */
	p.sink.base.congested = true;
	read_all(&p);
	CU_ASSERT_EQUAL(p.sink.records, 0);
	p.sink.base.congested = false;
	for (int i = 0; i < 100 && p.sink.records < l->exported; i++)
		event_base_loop(p.base, EVLOOP_ONCE);
	CU_ASSERT_EQUAL(p.sink.records, l->exported);
	CU_ASSERT_FALSE(stage_congested(p.handover));
	/* A patient port waits for ever, but not for nobody. */
	handover_port_patient(p.port);
	handover_port_abandon(p.port);
	stage_run(p.handover, &batch);
	stage_run(p.handover, &batch);
	CU_ASSERT_EQUAL(l->exported + l->lost[LOSS_QUEUE_FULL], 4 * BATCH_MAX);
	shape_release(batch.shape);
	free(records);
	pair_close(&p);
}

/* A scope that ends while the ring is full: the intake is told later. */
static void
test_end_while_full(void)
{
	struct pair p;
	struct scope gone = {.serial = scope_serial()};
	struct scope scope = {.serial = scope_serial()};
	uint8_t *records = calloc(1, 60000);
	struct batch batch = {.scope = &gone, .base = records, .count = 1};
	const struct shape *small, *large;
	const struct ledger *l;

	pair_open(&p);
	l = &p.handover->ledger;
	small = one_field(&p, 0, IE_sourceTransportPort, 2);
	large = one_field(&p, 64999, 1, 60000);
	batch.shape = small;
	batch.stride = 2;
	stage_run(p.handover, &batch);
	batch.scope = &scope;
	batch.shape = large;
	batch.stride = 60000;
	while (!l->lost[LOSS_QUEUE_FULL])
		stage_run(p.handover, &batch);
	batch.shape = small;
	batch.stride = 2;
	while (l->lost[LOSS_QUEUE_FULL] < 2)
		stage_run(p.handover, &batch);
	stage_scope_end(p.handover, &gone);
	for (int i = 0; i < 1000 && p.sink.records < l->exported; i++)
		event_base_loop(p.base, EVLOOP_ONCE);
	CU_ASSERT_EQUAL(p.sink.records, l->exported);
	CU_ASSERT_EQUAL(p.sink.scopes_ended, 0);
	stage_tick(p.handover, 0);
	read_all(&p);
	CU_ASSERT_EQUAL(p.sink.scopes_ended, 1);
	shape_release(small);
	shape_release(large);
	free(records);
	pair_close(&p);
}

/* Nothing behind a barrier is taken before the first worker says so. */
static void
test_barrier(void)
{
	struct pair p;
	struct scope scope = {.serial = scope_serial()};
	struct batch batch = {.scope = &scope,
			      .base = (const uint8_t *)"ab",
			      .count = 1,
			      .stride = 2};

	pair_open(&p);
	batch.shape = one_field(&p, 0, IE_sourceTransportPort, 2);
	stage_run(p.handover, &batch);
	handover_port_barrier(p.port);
	stage_run(p.handover, &batch);
	CU_ASSERT(handover_port_finish(p.port));
	read_all(&p);
	CU_ASSERT_EQUAL(p.sink.records, 1);
	CU_ASSERT_EQUAL(p.barriers, 1);
	stage_run(p.handover, &batch);
	read_all(&p);
	CU_ASSERT_EQUAL(p.sink.records, 1);
	CU_ASSERT_EQUAL(p.finished, 0);
	intake_go_on(p.intake);
	read_all(&p);
	CU_ASSERT_EQUAL(p.sink.records, 3);
	CU_ASSERT_EQUAL(p.finished, 1);
	CU_ASSERT_EQUAL(p.barriers, 1);
	/* It goes on by itself again. */
	intake_go_on(p.intake);
	stage_run(p.handover, &batch);
	read_all(&p);
	CU_ASSERT_EQUAL(p.sink.records, 4);
	shape_release(batch.shape);
	pair_close(&p);
}

static const struct unit_test tests[] = {
	{"ring between two threads", test_ring},
	{"records, scopes, the end", test_records},
	{"learnt elements", test_learns},
	{"more shapes than slots", test_many_shapes},
	{"lists in records", test_lists},
	{"a full ring", test_full},
	{"barrier", test_barrier},
	{"an end while it is full", test_end_while_full},
};

int
main(void)
{
	return unit_run("handover", tests, UNIT_COUNT(tests));
}
