/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture file on its whole way to records: pcap or pcapng, every header, all
 * elements, with tunnels, fragments and duplicates. The first octet chooses
 * what is asked for, the rest is the file. It lies at the end of its memory, so
 * that reading beyond it shows.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/ie.h"
#include "conflux/observation.h"
#include "pcap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sink {
	struct stage stage;
	uint64_t records;
	volatile uint8_t octets;
};

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	struct sink *sink = (struct sink *)stage;
	uint32_t length;

	for (uint32_t i = 0; i < batch->count; i++) {
		const uint8_t *p = batch_record(batch, i, &length);

		assert(shape_record_length(batch->shape, p, length) ==
		       (int)length);
		for (uint32_t k = 0; k < length; k++)
			sink->octets ^= p[k];
	}
	sink->records += batch->count;
}

static const struct stage_ops sink_ops = {.run = sink_run};

static void
read_file(struct stage *observer, const uint8_t *p, size_t left)
{
	struct pcap_reader reader = {0};
	struct frame frame[BATCH_MAX];
	size_t used;

	for (;;) {
		uint32_t n = pcap_reader_run(&reader, p, left, &used, frame,
					     BATCH_MAX, 1000000000);
		enum pcap_result result = PCAP_FRAME;

		if (n == 0) {
			result = pcap_reader_next(&reader, p, left, &used,
						  frame);
			n = result == PCAP_FRAME;
		}
		assert(used <= left);
		if (n)
			observer_frames(observer, frame, n);
		p += used;
		left -= used;
		if (result == PCAP_MORE || result == PCAP_FAULT)
			break;
	}
	pcap_reader_fini(&reader);
}

static void
want_all(struct stage *observer, const struct ie_registry *registry,
	 uint8_t choice)
{
	unsigned wanted = 0;

	for (uint16_t id = 1; id < 600 && wanted < 250; id++) {
		const struct ie *ie = ie_find(registry, 0, id);

		if (!ie || !observer_knows(ie))
			continue;
		/* Sections as they are, or of a fixed length. */
		if (observer_want(observer, ie, choice & 1 ? 0 : 20) == 0)
			wanted++;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sink sink = {.stage = {.ops = &sink_ops}};
	struct ie_registry *registry;
	struct shape_table *shapes;
	uint8_t choice = size ? data[0] : 0;
	struct observer_conf conf = {
		.name = "fuzz",
		.tunnels = choice & 2 ? 0x7f : 0,
		.tunnel_depth = 4,
		.max_fragments = choice & 4 ? 4 : 0,
		.fragment_ms = 1000,
		.duplicate_us = choice & 8 ? 1000 : 0,
		.max_duplicates = 16,
		.non_ip = choice & 16,
		.scale = choice & 32,
	};
	const char *error = NULL;
	struct stage *observer;
	const struct ledger *l;
	uint8_t *copy;

	if (size < 1)
		return 0;
	registry = ie_registry_new(10);
	shapes = shape_table_new(1000);
	if (observer_new(&conf, registry, shapes, &observer, &error) < 0)
		abort();
	stage_link(observer, &sink.stage);
	want_all(observer, registry, choice);
	copy = malloc(size);
	memcpy(copy, data, size);
	read_file(observer, copy + 1, size - 1);
	l = &observer->ledger;
	assert(ledger_balanced(l));
	free(copy);
	stage_free(observer);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return 0;
}
