/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What a meter sends, from the outside in: names of packages and columns,
 * package values, rows compared with baselines and mapped to IPFIX records. The
 * input is a count of attributes, the attributes, and then chunks of a length
 * octet and a package each; the same octets also serve as names. Records that
 * come out have to be as long as their shape says, and the ledger has to hold.
 */
#include <assert.h>
#include <stdlib.h>

#include "meter_map.h"
#include "meter_package.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct stage source, sink;
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct scope scope;
	struct meter_flows flows;
	struct meter_map *map;
	struct meter_row row;
	uint64_t records;
};

static struct fuzz *
fuzz_of(struct stage *sink)
{
	return (struct fuzz *)((char *)sink - offsetof(struct fuzz, sink));
}

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		uint32_t length;
		const uint8_t *record = batch_record(batch, i, &length);

		assert(shape_record_length(batch->shape, record, length) ==
		       (int)length);
	}
	fuzz_of(stage)->records += batch->count;
}

static const struct stage_ops sink_ops = {.run = sink_run};

static void
try_names(const struct selector *selector, const uint8_t *data, size_t size)
{
	oid name[MAX_OID_LEN];
	uint32_t time, index;
	size_t n;

	for (n = 0; n < size && n < MAX_OID_LEN; n++)
		name[n] = data[n];
	package_oid_parse(name, n, selector, 1, &time, &index);
	column_oid_parse(name, n, 27, 1, &time, &index);
	n = package_oid(name, selector, 3, 0xffffffff, size ? data[0] + 1 : 1);
	assert(package_oid_parse(name, n, selector, 3, &time, &index) == 0);
	assert(time == 0xffffffff);
	if (size > 1)
		name[data[0] % n] ^= data[1];
	package_oid_parse(name, n, selector, 3, &time, &index);
}

static void
try_package(struct fuzz *f, const struct selector *selector,
	    const struct flow_pass *pass, const uint8_t *data, size_t size)
{
	struct flow_reading reading;

	if (package_row(&f->row, selector, data, size))
		return;
	f->row.rule_set = 1;
	f->row.index = size ? data[size - 1] % 8u + 1 : 1;
	if (meter_flows_read(&f->flows, pass, &f->row, &reading) == 0 &&
	    reading.news == FLOW_GROWN)
		meter_map_add(f->map, &f->row, &reading, 1);
}

static void
run(struct fuzz *f, const uint8_t *data, size_t size)
{
	struct meter_clock clock_at = {true, 1000000, 1700000000000u};
	struct flow_pass pass = {.clock = &clock_at};
	struct selector selector = {0};
	unsigned wanted = data[0] % SELECTOR_MAX + 1;

	pass.wrap32 = data[0] & 0x80;
	for (data++, size--; size && selector.count < wanted; data++, size--)
		selector.attribute[selector.count++] = *data;
	if (!selector.count)
		return;
	try_names(&selector, data, size);
	while (size) {
		size_t n = *data++;

		size--;
		if (n > size)
			n = size;
		try_package(f, &selector, &pass, data, n);
		data += n;
		size -= n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz *f = calloc(1, sizeof(*f));
	struct meter_reader_conf conf;
	const struct ledger *ledger;

	if (!f || !size) {
		free(f);
		return 0;
	}
	meter_reader_conf_init(&conf);
	conf.direction = data[0] & 0x40 ? METER_UNIFLOW : METER_BIFLOW;
	f->sink.ops = &sink_ops;
	f->registry = ie_registry_new(500);
	f->shapes = shape_table_new(500);
	addr_parse(&f->scope.exporter, "192.0.2.1", 161);
	meter_flows_init(&f->flows, 6);
	if (f->registry && f->shapes && !stage_link(&f->source, &f->sink) &&
	    !meter_map_new(&conf, f->registry, f->shapes, &f->source,
			   &f->scope, &f->map)) {
		run(f, data, size);
		meter_map_flush(f->map, 1);
		ledger = &f->source.ledger;
		assert(ledger->exported == f->records && !ledger->held);
		assert(ledger_balanced(ledger));
		meter_map_free(f->map);
	}
	meter_flows_fini(&f->flows);
	free(f->source.next);
	shape_table_free(f->shapes);
	ie_registry_free(f->registry);
	free(f);
	return 0;
}
