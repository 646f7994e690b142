/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of others with packets in them. The first octet says how many fields
 * there are, each of the next ones what a field is and whether it is of
 * variable length; then records follow, at the end of their memory.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/ie.h"
#include "conflux/observation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	uint16_t id, length; /* of a fixed length */
} kind[] = {
	{IE_dataLinkFrameSection, 60},
	{IE_layer2packetSectionData, 40},
	{IE_mplsLabelStackSection, 8},
	{IE_mplsPayloadPacketSection, 30},
	{IE_ipHeaderPacketSection, 24},
	{IE_ipPayloadPacketSection, 20},
	{IE_sectionExportedOctets, 2},
	{IE_sectionOffset, 2},
	{IE_dataLinkFrameSize, 2},
	{IE_dataLinkFrameType, 2},
	{IE_ipTotalLength, 8},
	{IE_observationTimeNanoseconds, 8},
	{IE_observationTimeMilliseconds, 8},
	{IE_flowStartSeconds, 4},
	{IE_ingressInterface, 4},
	{IE_flowDirection, 1},
	{IE_samplingInterval, 4},
	{IE_samplingPacketInterval, 4},
	{IE_samplingPacketSpace, 4},
	{IE_samplingProbability, 8},
	{IE_selectionSequenceId, 8},
	{IE_selectorId, 8},
};

enum { KINDS = sizeof(kind) / sizeof(kind[0]), FIELDS = 12 };

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	uint32_t length;

	for (uint32_t i = 0; i < batch->count; i++) {
		const uint8_t *p = batch_record(batch, i, &length);

		assert(shape_record_length(batch->shape, p, length) ==
		       (int)length);
	}
}

static const struct stage_ops sink_ops = {.run = sink_run};

/* Cuts the records out, as a Collecting Process does. */
static void
run(struct stage *remote, const struct shape *shape, const uint8_t *p,
    uint32_t left)
{
	static const struct scope scope = {.serial = 1};
	uint32_t offset[BATCH_MAX + 1] = {0};
	struct batch batch = {
		.shape = shape,
		.scope = &scope,
		.base = p,
		.offset = offset,
		.export_ms = 1700000000000,
		.received_ms = 1700000000000,
	};
	int n;

	while (batch.count < BATCH_MAX &&
	       (n = shape_record_length(shape, p, left)) > 0) {
		offset[batch.count + 1] = offset[batch.count] + (uint32_t)n;
		batch.count++;
		p += n;
		left -= (uint32_t)n;
	}
	if (batch.count)
		stage_run(remote, &batch);
}

static void
records(struct stage *remote, const struct ie_registry *registry,
	struct shape_table *shapes, const uint8_t *data, size_t size)
{
	uint16_t count = size ? data[0] & 15 : 0;
	struct field field[FIELDS];
	const struct shape *shape;
	uint8_t *copy;

	if (count < 1 || count > FIELDS || size < 1u + count)
		return;
	for (unsigned i = 0; i < count; i++) {
		uint8_t octet = data[1 + i];
		unsigned k = (octet & 0x7f) % KINDS;

		field[i].ie = ie_find(registry, 0, kind[k].id);
		field[i].length = octet & 0x80 && k < 6 ? IE_VARIABLE
							 : kind[k].length;
	}
	if (shape_get(shapes, field, count, data[0] >> 7, &shape) < 0)
		return;
	size -= 1u + count;
	copy = malloc(size ? size : 1);
	memcpy(copy, data + 1 + count, size);
	run(remote, shape, copy, (uint32_t)size);
	shape_release(shape);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stage sink = {.ops = &sink_ops};
	const struct observer_conf conf = {
		.name = "fuzz", .non_ip = true, .scale = true};
	struct ie_registry *registry = ie_registry_new(10);
	struct shape_table *shapes = shape_table_new(1000);
	struct stage *observer, *remote;
	const struct ledger *l;
	const char *error;
	size_t half;

	if (observer_new(&conf, registry, shapes, &observer, &error) < 0 ||
	    stage_link(observer, &sink) < 0 ||
	    remote_new("fuzz", observer, &remote) < 0)
		abort();
	for (uint16_t id = 1; id < 400; id++) {
		const struct ie *ie = ie_find(registry, 0, id);

		if (ie && observer_knows(ie) && id % 4 != 3)
			observer_want(observer, ie, 0);
	}
	/* Two batches, so that Options Data can come before packets. */
	half = size && data[0] >> 7 ? size / 2 : 0;
	records(remote, registry, shapes, data, half);
	records(remote, registry, shapes, data + half, size - half);
	l = &remote->ledger;
	assert(ledger_balanced(l));
	assert(l->exported == observer->ledger.in);
	stage_free(remote);
	stage_free(observer);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return 0;
}
