/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Random rules on random records: the two ways in which they are converted,
 * column by column and record by record, agree in each octet and in what is
 * lost, and what passes is whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/conversion.h"
#include "conflux/log.h"
#include "conflux/wire.h"
#include "sink.h"
#include "unit.h"

enum { FIELDS = 8, RECORDS = 100, OCTETS = 1 << 18 };

static struct ie_registry *registry;
static struct shape_table *shapes;
static struct scope scope = {.serial = 1, .system_init_ms = 1699999000000};
static uint64_t state = 88172645463325252u;

static uint32_t
chance(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 32) % n);
}

/* ---- what passes, one after the other ------------------------------------ */

struct heap {
	struct unit_sink sink;
	uint8_t octets[OCTETS];
	uint32_t length, records;
	const struct shape *shape;
};

static void
heap_run(struct stage *stage, const struct batch *batch)
{
	struct heap *heap = (struct heap *)stage;
	uint32_t size;

	shape_release(heap->shape);
	heap->shape = shape_hold(batch->shape);
	for (uint32_t i = 0; i < batch->count; i++) {
		const uint8_t *p = batch_record(batch, i, &size);

		CU_ASSERT_EQUAL(shape_record_length(batch->shape, p, size),
				(int)size);
		memcpy(heap->octets + heap->length, p, size);
		heap->length += size;
	}
	heap->records += batch->count;
}

static const struct stage_ops heap_ops = {.run = heap_run};
static struct heap heaps[2];

static void
heap_clear(struct heap *heap)
{
	shape_release(heap->shape);
	heap->shape = NULL;
	heap->length = heap->records = 0;
	heap->sink.stage.ops = &heap_ops;
}

/* ---- what comes in ------------------------------------------------------- */

static const struct {
	uint32_t pen;
	uint16_t id, length[3];
} elements[] = {
	{0, IE_octetDeltaCount, {8, 4, 3}},
	{0, IE_packetDeltaCount, {8, 5, 1}},
	{IE_PEN_REVERSE, IE_octetDeltaCount, {8, 2, 4}},
	{0, IE_sourceIPv4Address, {4, 4, 4}},
	{0, IE_sourceIPv6Address, {16, 16, 16}},
	{0, IE_tcpControlBits, {2, 1, 2}},
	{0, IE_mibObjectValueInteger, {4, 2, 3}},
	{0, IE_samplingProbability, {8, 4, 8}},
	{0, IE_dataRecordsReliability, {1, 1, 1}},
	{0, IE_flowStartSeconds, {4, 4, 4}},
	{0, IE_flowStartMilliseconds, {8, 8, 8}},
	{0, IE_flowEndMicroseconds, {8, 8, 8}},
	{0, IE_flowEndNanoseconds, {8, 8, 8}},
	{0, IE_flowStartDeltaMicroseconds, {4, 4, 3}},
	{0, IE_flowEndSysUpTime, {4, 4, 4}},
	{0, IE_systemInitTimeMilliseconds, {8, 8, 8}},
	{9, 1, {4, 1, 8}},
	/* From here on some vary in length: */
	{0, IE_interfaceName, {16, IE_VARIABLE, 0}},
	{0, IE_applicationId, {5, IE_VARIABLE, 300}},
};

enum { ELEMENTS = sizeof(elements) / sizeof(elements[0]), VARYING = 2 };

static unsigned
make_fields(struct field *field, bool varying)
{
	unsigned count = 1 + chance(FIELDS);

	for (unsigned i = 0; i < count; i++) {
		unsigned e = chance(ELEMENTS - (varying ? 0 : VARYING));

		field[i].ie = ie_get(registry, elements[e].pen, elements[e].id);
		field[i].length = elements[e].length[chance(3)];
	}
	return count;
}

/* Numbers of any size, times that are near the Export Time more often. */
static uint32_t
make_value(uint8_t *p, const struct field *field)
{
	uint32_t length = field->length;
	struct writer w;
	uint8_t octets[512];

	for (uint32_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)chance(256);
	if (length == IE_VARIABLE) {
		writer_init(&w, p, 600);
		writer_varlen(&w, octets, chance(4) ? chance(20) : chance(400));
		return (uint32_t)(w.p - p);
	}
	memcpy(p, octets, length);
	if (chance(3) && length <= 8 && length > 1)
		memset(p, 0, length / 2);
	if (chance(3) && field->ie->type == IE_DATE_TIME_MILLISECONDS)
		wire_put64(p, 1700000000000 - chance(4000000));
	return length;
}

/* ---- rules --------------------------------------------------------------- */

static const struct {
	enum conversion_kind kind;
	const char *element, *text;
} menu[] = {
	{CONVERSION_KEEP, "*Count", ""},
	{CONVERSION_DROP, "flowStart*", ""},
	{CONVERSION_DROP, "source*", ""},
	{CONVERSION_FIRST, "*Address", ""},
	{CONVERSION_LAST, "*s", ""},
	{CONVERSION_LAST, "octetDeltaCount", ""},
	{CONVERSION_RENAME, "octetDeltaCount", "packetTotalCount"},
	{CONVERSION_RENAME, "packetDeltaCount", "vlanId"},
	{CONVERSION_RENAME, "packetDeltaCount", "dataRecordsReliability"},
	{CONVERSION_RENAME, "dataRecordsReliability", "vlanId"},
	{CONVERSION_RENAME, "sourceIPv4Address", "sourceIPv6Address"},
	{CONVERSION_RENAME, "flowStartMilliseconds", "flowEndNanoseconds"},
	{CONVERSION_RENAME, "e9id1", "octetDeltaCount"},
	{CONVERSION_RENAME, "interfaceName", "applicationId"},
	{CONVERSION_LENGTH, "*Count", "natural"},
	{CONVERSION_LENGTH, "*Count", "4"},
	{CONVERSION_LENGTH, "mibObjectValueInteger", "3"},
	{CONVERSION_LENGTH, "samplingProbability", "4"},
	{CONVERSION_LENGTH, "samplingProbability", "natural"},
	{CONVERSION_LENGTH, "tcpControlBits", "1"},
	{CONVERSION_LENGTH, "interfaceName", "7"},
	{CONVERSION_LENGTH, "applicationId", "variable"},
	{CONVERSION_TIME, NULL, "seconds"},
	{CONVERSION_TIME, NULL, "milliseconds"},
	{CONVERSION_TIME, "flowEnd*", "microseconds"},
	{CONVERSION_TIME, NULL, "nanoseconds"},
	{CONVERSION_TIME, "flowStart*", "deltaMicroseconds"},
	{CONVERSION_TIME, NULL, "sysUpTime"},
	{CONVERSION_CONSTANT, "vlanId", "7"},
	{CONVERSION_CONSTANT, "userName", "me"},
};

static struct stage *
make_stage(struct heap *heap)
{
	static struct conversion_rule rules[6];
	struct conversion_conf conf = {.name = "random",
				       .rule = rules,
				       .rule_count = 1 + chance(6),
				       .saturate = chance(2),
				       .registry = registry,
				       .shapes = shapes};
	struct conversion_error error;
	struct stage *stage;

	for (unsigned i = 0; i < conf.rule_count; i++) {
		unsigned m = chance(UNIT_COUNT(menu));

		rules[i] = (struct conversion_rule){
			.kind = menu[m].kind,
			.element = &menu[m].element,
			.element_count = menu[m].element != NULL,
			.text = menu[m].text,
			.replace = chance(2),
		};
	}
	CU_ASSERT_EQUAL_FATAL(conversion_stage_new(&conf, &stage, &error), 0);
	CU_ASSERT_EQUAL_FATAL(stage_link(stage, &heap->sink.stage), 0);
	return stage;
}

/* ---- tests --------------------------------------------------------------- */

static uint8_t octets[OCTETS];
static uint32_t offset[RECORDS + 1];

static void
make_records(const struct field *field, unsigned count)
{
	uint32_t used = 0;

	for (unsigned i = 0; i < RECORDS; i++) {
		offset[i] = used;
		for (unsigned f = 0; f < count; f++)
			used += make_value(octets + used, &field[f]);
	}
	offset[RECORDS] = used;
}

static bool
make_batch(struct batch *batch, bool varying)
{
	struct field field[FIELDS];
	unsigned count = make_fields(field, varying);

	*batch = (struct batch){.scope = &scope,
				.base = octets,
				.count = RECORDS,
				.offset = offset,
				.export_ms = 1700000000000,
				.flow_keys = chance(256)};
	if (shape_get(shapes, field, (uint16_t)count, 0, &batch->shape) < 0)
		return false; /* no octets */
	make_records(field, count);
	return true;
}

static void
compare(struct stage *const *stage)
{
	const struct ledger *a = &stage[0]->ledger, *b = &stage[1]->ledger;

	CU_ASSERT(ledger_balanced(a));
	CU_ASSERT(memcmp(a, b, sizeof(*a)) == 0);
	CU_ASSERT_PTR_EQUAL(heaps[0].shape, heaps[1].shape);
	CU_ASSERT_EQUAL(heaps[0].length, heaps[1].length);
	CU_ASSERT(memcmp(heaps[0].octets, heaps[1].octets, heaps[0].length) ==
		  0);
}

/* The same rules in both. */
static void
test_both_ways(void)
{
	for (unsigned turn = unit_turns(1000); turn; turn--) {
		struct stage *stage[2];
		struct batch batch;
		uint64_t again;

		if (!make_batch(&batch, false))
			continue;
		scope.has_init = chance(2);
		heap_clear(&heaps[0]);
		heap_clear(&heaps[1]);
		again = state;
		stage[0] = make_stage(&heaps[0]);
		state = again;
		stage[1] = make_stage(&heaps[1]);
		batch.stride = batch.shape->min_length;
		stage_run(stage[0], &batch);
		batch.stride = 0;
		stage_run(stage[1], &batch);
		compare(stage);
		stage_free(stage[0]);
		stage_free(stage[1]);
		shape_release(batch.shape);
	}
}

static void
test_varying(void)
{
	for (unsigned turn = unit_turns(1000); turn; turn--) {
		struct stage *stage;
		struct batch batch;

		if (!make_batch(&batch, true))
			continue;
		batch.stride =
			batch.shape->variable ? 0 : batch.shape->min_length;
		heap_clear(&heaps[0]);
		stage = make_stage(&heaps[0]);
		stage_run(stage, &batch);
		CU_ASSERT(ledger_balanced(&stage->ledger));
		CU_ASSERT_EQUAL(stage->ledger.exported, heaps[0].records);
		stage_free(stage);
		shape_release(batch.shape);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"column by column and record by record", test_both_ways},
		{"records of any length", test_varying},
	};
	int rc;

	log_set_level(LOG_LEVEL_ERROR);
	registry = ie_registry_new(64);
	shapes = shape_table_new(256);
	rc = unit_run("conversion at random", tests, UNIT_COUNT(tests));
	heap_clear(&heaps[0]);
	heap_clear(&heaps[1]);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return rc;
}
