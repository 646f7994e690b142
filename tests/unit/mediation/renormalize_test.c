/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Sampling renormalisation: who tells the rate, what becomes of counters, and
 * what the records say then. Where memory ends, too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/mediation.h"
#include "conflux/wire.h"
#include "nomem.h"
#include "sink.h"
#include "unit.h"

static struct ie_registry *registry;
static struct shape_table *shapes;
static struct scope scope = {
	.serial = 1, .exporter = {.version = 4, .bytes = {192, 0, 2, 1}}};

static struct seen {
	struct unit_sink sink;
	const struct shape *shape, *ended;
	uint8_t octets[512];
	uint32_t length;
} seen;

static void
seen_run(struct stage *stage, const struct batch *batch)
{
	const uint8_t *p = batch_record(batch, batch->count - 1, &seen.length);

	shape_release(seen.shape);
	seen.shape = shape_hold(batch->shape);
	memcpy(seen.octets, p, seen.length);
}

static void
seen_template_end(struct stage *stage, const struct scope *ended,
		  const struct shape *shape)
{
	seen.ended = shape;
}

static const struct stage_ops seen_ops = {.run = seen_run,
					  .template_end = seen_template_end};

static uint64_t
seen_uint(uint32_t pen, uint16_t id)
{
	uint64_t value = 12345;

	shape_uint(seen.shape, shape_find(seen.shape, pen, id, 0), seen.octets,
		   seen.length, &value);
	return value;
}

static struct renormalize_conf
conf_of(void)
{
	struct renormalize_conf conf = {
		.name = "r", .registry = registry, .shapes = shapes};

	for (int i = 0; i < RENORMALIZE_ORIGINS; i++)
		conf.order[conf.order_count++] = (enum renormalize_origin)i;
	return conf;
}

static struct stage *
stage_of(const struct renormalize_conf *conf)
{
	struct stage *stage;

	CU_ASSERT_EQUAL_FATAL(renormalize_stage_new(conf, &stage), 0);
	seen.sink.stage.ops = &seen_ops;
	CU_ASSERT_EQUAL_FATAL(stage_link(stage, &seen.sink.stage), 0);
	return stage;
}

struct value {
	uint16_t id, length;
	uint64_t number;
	uint32_t pen;
};

/* One record of these values; the shape is held. */
static void
make_batch(struct batch *batch, uint8_t *record, const struct value *value,
	   unsigned count, unsigned scopes)
{
	struct field field[16];
	uint8_t *p = record;

	for (unsigned i = 0; i < count; i++, value++) {
		field[i].ie = ie_find(registry, value->pen, value->id);
		field[i].length = value->length;
		if (value->length == IE_VARIABLE) {
			*p++ = 3;
			memcpy(p, "abc", 3);
			p += 3;
			continue;
		}
		wire_put_uint(p, value->number, value->length);
		p += value->length;
	}
	*batch = (struct batch){.scope = &scope,
				.base = record,
				.count = 1,
				.stride = (uint32_t)(p - record)};
	CU_ASSERT_EQUAL_FATAL(shape_get(shapes, field, (uint16_t)count,
					(uint16_t)scopes, &batch->shape),
			      0);
}

static void
pass(struct stage *stage, const struct value *value, unsigned count,
     unsigned scopes)
{
	uint8_t record[256];
	struct batch batch;

	make_batch(&batch, record, value, count, scopes);
	stage_run(stage, &batch);
	CU_ASSERT(ledger_balanced(&stage->ledger));
	/* What is withdrawn is what was announced. */
	stage_template_end(stage, &scope, batch.shape);
	CU_ASSERT_PTR_EQUAL(seen.ended, seen.shape);
	shape_release(batch.shape);
}

#define PASS(stage, scopes, ...)                           \
	pass(stage, (const struct value[]){__VA_ARGS__},   \
	     sizeof((const struct value[]){__VA_ARGS__}) / \
		     sizeof(struct value),                 \
	     scopes)

#define FLOW                                                             \
	{IE_packetDeltaCount, 2, 7, 0}, {IE_octetDeltaCount, 4, 700, 0}, \
	{                                                                \
		IE_protocolIdentifier, 1, 6, 0                           \
	}

static void
expect(uint64_t packets, uint64_t octets, uint64_t interval)
{
	CU_ASSERT_EQUAL(seen_uint(0, IE_packetDeltaCount), packets);
	CU_ASSERT_EQUAL(seen_uint(0, IE_octetDeltaCount), octets);
	CU_ASSERT_EQUAL(seen_uint(0, IE_protocolIdentifier), 6);
	CU_ASSERT_EQUAL(seen_uint(0, IE_samplingInterval), interval);
}

/* The record itself, in whichever terms. */
static void
test_record(void)
{
	struct renormalize_conf conf = conf_of();
	struct stage *stage = stage_of(&conf);

	PASS(stage, 0, FLOW, {IE_samplingInterval, 4, 100, 0});
	expect(700, 70000, 1);
	PASS(stage, 0, FLOW, {IE_samplingPacketInterval, 4, 2, 0},
	     {IE_samplingPacketSpace, 4, 3, 0});
	expect(18, 1750, 12345); /* 17.5 */
	CU_ASSERT_EQUAL(seen_uint(0, IE_samplingPacketInterval), 1);
	CU_ASSERT_EQUAL(seen_uint(0, IE_samplingPacketSpace), 0);
	PASS(stage, 0, FLOW, {IE_samplingSize, 4, 1, 0},
	     {IE_samplingPopulation, 4, 8, 0});
	expect(56, 5600, 12345);
	CU_ASSERT_EQUAL(seen_uint(0, IE_samplingPopulation), 1);
	PASS(stage, 0, FLOW,
	     {IE_samplingProbability, 8, 0x3fd0000000000000, 0}); /* 0.25 */
	expect(28, 2800, 12345);
	CU_ASSERT_EQUAL(seen_uint(0, IE_samplingProbability),
			0x3ff0000000000000);
	PASS(stage, 0, FLOW, {IE_samplingProbability, 4, 0x3f000000, 0});
	expect(14, 1400, 12345);
	CU_ASSERT_EQUAL(seen_uint(0, IE_samplingProbability), 0x3f800000);
	/* A reverse counter, and a string before it. */
	PASS(stage, 0, FLOW, {IE_interfaceName, IE_VARIABLE, 0, 0},
	     {IE_packetDeltaCount, 1, 3, IE_PEN_REVERSE},
	     {IE_samplingInterval, 4, 10, 0});
	expect(70, 7000, 1);
	CU_ASSERT_EQUAL(seen_uint(IE_PEN_REVERSE, IE_packetDeltaCount), 30);
	stage_free(stage);
}

/* Selectors, samplers of NetFlow, and domains, each before it is known. */
static void
test_options(void)
{
	struct renormalize_conf conf = conf_of();
	struct stage *stage = stage_of(&conf);

	PASS(stage, 0, FLOW, {IE_selectorId, 8, 5, 0});
	expect(7, 700, 0);
	PASS(stage, 1, {IE_selectorId, 8, 5, 0},
	     {IE_samplingPacketInterval, 4, 1, 0},
	     {IE_samplingPacketSpace, 4, 9, 0});
	/* The options say what is true of what passes. */
	CU_ASSERT_EQUAL(seen_uint(0, IE_selectorId), 5);
	CU_ASSERT_EQUAL(seen_uint(0, IE_samplingPacketInterval), 1);
	CU_ASSERT_EQUAL(seen_uint(0, IE_samplingPacketSpace), 0);
	PASS(stage, 0, FLOW, {IE_selectorId, 8, 5, 0});
	expect(70, 7000, 1);
	PASS(stage, 1, {IE_selectionSequenceId, 8, 77, 0},
	     {IE_selectorId, 8, 5, 0}, {IE_selectorId, 8, 6, 0});
	PASS(stage, 1, {IE_selectorId, 8, 6, 0}, {IE_samplingSize, 4, 1, 0},
	     {IE_samplingPopulation, 4, 2, 0});
	PASS(stage, 0, FLOW, {IE_selectionSequenceId, 8, 77, 0});
	expect(140, 14000, 1);
	PASS(stage, 1, {IE_exportingProcessId, 4, 0, 0},
	     {IE_samplerId, 1, 3, 0}, {IE_samplerRandomInterval, 4, 30, 0});
	CU_ASSERT_EQUAL(seen_uint(0, IE_samplerRandomInterval), 1);
	PASS(stage, 0, FLOW, {IE_samplerId, 1, 3, 0});
	expect(210, 21000, 1);
	/* An interface is not the domain. */
	PASS(stage, 1, {IE_ingressInterface, 4, 1, 0},
	     {IE_samplingInterval, 4, 1000, 0});
	PASS(stage, 0, FLOW);
	expect(7, 700, 0);
	PASS(stage, 1, {IE_exportingProcessId, 4, 0, 0},
	     {IE_samplingInterval, 4, 20, 0});
	PASS(stage, 0, FLOW);
	expect(140, 14000, 1);
	/* Another one's scope, and the end of this one. */
	stage_scope_end(stage, &scope);
	PASS(stage, 0, FLOW);
	expect(7, 700, 0);
	stage_free(stage);
}

static void
test_configuration(void)
{
	struct renormalize_exporter exporter = {.addr = scope.exporter,
						.interval = 50};
	struct renormalize_conf conf = conf_of();
	struct text text = {0};
	struct report report;
	struct stage *stage;

	conf.interval = 3;
	stage = stage_of(&conf);
	PASS(stage, 0, FLOW);
	expect(21, 2100, 1);
	stage_free(stage);
	conf.exporter = &exporter;
	conf.exporter_count = 1;
	stage = stage_of(&conf);
	PASS(stage, 0, FLOW);
	expect(350, 35000, 1);
	/* 0 is no rate. */
	PASS(stage, 0, FLOW, {IE_samplingInterval, 4, 0, 0});
	expect(350, 35000, 1);
	stage_free(stage);
	/* In another order. */
	conf.order[0] = RENORMALIZE_EXPORTER;
	conf.order[1] = RENORMALIZE_RECORD;
	conf.order_count = 2;
	stage = stage_of(&conf);
	PASS(stage, 0, FLOW, {IE_samplingInterval, 4, 100, 0});
	expect(350, 35000, 1);
	report_begin(&report, &text, false);
	stage->ops->report(stage, &report);
	report_end(&report);
	CU_ASSERT(strstr(text.data, "exporter 1") != NULL);
	CU_ASSERT(strstr(text.data, "record 0") != NULL);
	text_fini(&text);
	stage_free(stage);
}

/* Records of one batch, each with a rate of its own. */
static void
test_batch(void)
{
	const struct field field[] = {
		{ie_find(registry, 0, IE_packetDeltaCount), 4, 0},
		{ie_find(registry, 0, IE_samplingInterval), 4, 0},
		{ie_find(registry, 0, IE_protocolIdentifier), 1, 0},
	};
	struct renormalize_conf conf = conf_of();
	struct stage *stage = stage_of(&conf);
	uint8_t records[9 * 5];
	struct batch batch = {
		.scope = &scope, .base = records, .count = 5, .stride = 9};

	CU_ASSERT_EQUAL_FATAL(shape_get(shapes, field, 3, 0, &batch.shape), 0);
	for (uint32_t i = 0; i < 5; i++) {
		wire_put32(records + 9 * i, 100 + i);
		wire_put32(records + 9 * i + 4, i);
		records[9 * i + 8] = 17;
	}
	for (; batch.count; batch.count--) {
		uint32_t i = batch.count - 1;

		stage_run(stage, &batch);
		CU_ASSERT_EQUAL(seen_uint(0, IE_packetDeltaCount),
				(100 + i) * (i ? i : 1));
		CU_ASSERT_EQUAL(seen_uint(0, IE_samplingInterval), i ? 1 : 0);
		CU_ASSERT_EQUAL(seen_uint(0, IE_protocolIdentifier), 17);
	}
	CU_ASSERT_EQUAL(stage->ledger.exported, 15);
	stage_free(stage);
	shape_release(batch.shape);
}

/* What no 64 bits can hold, and what has nothing to count. */
static void
test_limits(void)
{
	struct renormalize_conf conf = conf_of();
	struct stage *stage = stage_of(&conf);
	struct text text = {0};
	struct report report;

	PASS(stage, 0, {IE_octetDeltaCount, 8, UINT64_C(1) << 62, 0},
	     {IE_samplingInterval, 4, 4, 0});
	CU_ASSERT_EQUAL(seen_uint(0, IE_octetDeltaCount), UINT64_MAX);
	PASS(stage, 0, {IE_octetDeltaCount, 8, UINT64_C(1) << 62, 0},
	     {IE_samplingInterval, 4, 3, 0});
	CU_ASSERT_EQUAL(seen_uint(0, IE_octetDeltaCount), UINT64_C(3) << 62);
	report_begin(&report, &text, false);
	stage->ops->report(stage, &report);
	report_end(&report);
	CU_ASSERT(strstr(text.data, "saturatedCounters 1") != NULL);
	text_fini(&text);
	PASS(stage, 0, {IE_protocolIdentifier, 1, 17, 0});
	CU_ASSERT_EQUAL(seen.shape->count, 1);
	stage_free(stage);
}

/* As far as memory goes. */
static int
make_and_run(const struct renormalize_conf *conf, const struct batch *batch,
	     unsigned count)
{
	struct stage *stage;
	int rc = renormalize_stage_new(conf, &stage);

	if (rc < 0)
		return rc;
	rc = stage_link(stage, &seen.sink.stage);
	for (unsigned i = 0; i < count; i++)
		stage_run(stage, &batch[i]);
	CU_ASSERT(ledger_balanced(&stage->ledger));
	if (stage->ledger.lost[LOSS_NO_MEMORY])
		rc = -ENOMEM;
	stage_free(stage);
	return rc;
}

static void
test_memory(void)
{
	struct renormalize_conf conf = conf_of();
	struct stage *stage;
	struct batch batch[2];
	uint8_t record[2][256];
	unsigned calls;
	int rc;

	make_batch(&batch[0], record[0],
		   (const struct value[]){{IE_selectorId, 8, 5, 0},
					  {IE_samplingPacketInterval, 4, 1, 0},
					  {IE_samplingPacketSpace, 4, 9, 0}},
		   3, 1);
	make_batch(&batch[1], record[1], (const struct value[]){FLOW}, 3, 0);
	for (unsigned n = 1;; n++) {
		nomem_begin(n);
		rc = make_and_run(&conf, batch, 2);
		if (!nomem_end())
			break;
		/* An option that is not learnt is counted. */
		CU_ASSERT(rc == -ENOMEM || rc == 0);
	}
	CU_ASSERT_EQUAL(rc, 0);
	stage = stage_of(&conf);
	stage_run(stage, &batch[0]);
	stage_run(stage, &batch[1]);
	calls = nomem_calls;
	for (int i = 0; i < 1000; i++)
		stage_run(stage, &batch[i % 2]);
	CU_ASSERT_EQUAL(nomem_calls, calls);
	stage_free(stage);
	shape_release(batch[0].shape);
	shape_release(batch[1].shape);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"told by the record", test_record},
		{"told by options", test_options},
		{"told by the configuration", test_configuration},
		{"a batch", test_batch},
		{"limits", test_limits},
		{"memory", test_memory},
	};
	int rc;

	registry = ie_registry_new(64);
	shapes = shape_table_new(64);
	rc = unit_run("renormalize", tests, UNIT_COUNT(tests));
	shape_release(seen.shape);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return rc;
}
