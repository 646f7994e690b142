/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache from outside: records go in as text ("8=192.0.2.1 1=40"), what
 * comes out is compared as JSON lines, and after each test the ledger holds.
 */
#ifndef CONFLUX_TESTS_BED_H
#define CONFLUX_TESTS_BED_H

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/cache.h"
#include "conflux/clock.h"
#include "conflux/format.h"
#include "conflux/wire.h"
#include "sink.h"
#include "unit.h"

static struct ie_registry *registry;
static struct shape_table *shapes;
static struct scope scope;

/* ---- a sink that writes down what it gets -------------------------------- */

struct sink {
	struct unit_sink base;
	struct text lines;
	uint64_t records;
	struct field_mark mark[4]; /* of the last batch */
};

static inline void
sink_run(struct stage *stage, const struct batch *batch)
{
	struct sink *sink = (struct sink *)stage;
	uint32_t length;

	for (uint32_t i = 0; i < batch->count; i++) {
		const uint8_t *record = batch_record(batch, i, &length);

		CU_ASSERT_EQUAL(
			shape_record_length(batch->shape, record, length),
			(int)length);
		if (sink->lines.length < 100000) {
			format_record_json(&sink->lines, batch->shape, record,
					   length);
			text_add(&sink->lines, "\n");
		}
	}
	sink->records += batch->count;
	memset(sink->mark, 0, sizeof(sink->mark));
	for (uint16_t i = 0; i < 4 && i < batch->shape->count; i++)
		if (batch->shape->mark)
			sink->mark[i] = batch->shape->mark[i];
}

static const struct stage_ops sink_ops = {
	.run = sink_run,
	.congested = unit_sink_congested,
};

/* ---- making batches ------------------------------------------------------ */

static inline void
add_value(struct writer *w, const struct ie *ie, const char *value)
{
	uint8_t address[16];

	switch (ie->type) {
	case IE_IPV4_ADDRESS:
		CU_ASSERT_EQUAL(inet_pton(AF_INET, value, address), 1);
		writer_bytes(w, address, 4);
		break;
	case IE_IPV6_ADDRESS:
		CU_ASSERT_EQUAL(inet_pton(AF_INET6, value, address), 1);
		writer_bytes(w, address, 16);
		break;
	case IE_BASIC_LIST: { /* in hexadecimal */
		uint8_t list[256];

		writer_varlen(w, list, from_hex(value, list));
		break;
	}
	case IE_STRING:
		writer_varlen(w, value, strlen(value));
		break;
	default: {
		uint8_t *p = writer_take(w, ie->length);

		if (p)
			wire_put_uint(p, strtoull(value, NULL, 0), ie->length);
	}
	}
}

/* One record like "8=192.0.2.1 29305/1=5"; its shape follows from it. */
static inline void
put_marked(struct stage *cache, const char *record,
	   const struct field_mark *marks)
{
	struct field field[64] = {0};
	struct batch batch = {.scope = &scope,
			      .count = 1,
			      .export_ms = 1700000000000,
			      .received_ms = 1700000000500};
	uint8_t data[4096];
	uint32_t offset[2] = {0, 0};
	uint16_t count = 0;
	struct writer w;
	char copy[1024], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", record);
	writer_init(&w, data, sizeof(data));
	for (char *word = strtok_r(copy, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');
		char *id = strchr(word, '/');
		uint32_t pen = id ? (uint32_t)atoi(word) : 0;

		*value++ = 0;
		field[count].ie = ie_get(registry, pen,
					 (uint16_t)atoi(id ? id + 1 : word));
		field[count].length = field[count].ie->length;
		add_value(&w, field[count].ie, value);
		count++;
	}
	CU_ASSERT_FALSE(w.failed);
	CU_ASSERT_EQUAL(
		shape_get_marked(shapes, field, marks, count, 0, &batch.shape),
		0);
	batch.base = data;
	offset[1] = (uint32_t)(w.p - data);
	batch.offset = offset;
	batch.stride = batch.shape->variable ? 0 : offset[1];
	stage_run(cache, &batch);
	shape_release(batch.shape);
}

static inline void
put(struct stage *cache, const char *record)
{
	put_marked(cache, record, NULL);
}

/* ---- a cache from a line -------------------------------------------------- */

struct bed {
	struct stage *cache;
	struct sink sink;
	uint64_t now;
};

/*
 * fields: "8! 12!/24 4! 1 2 6:1": "!" a key, "/n" prefix, ":n" length, "rN"
 * reverse.
 */
static inline void
bed_open(struct bed *bed, struct cache_conf conf, const char *fields)
{
	struct cache_field field[64];
	const char *error = NULL;
	unsigned count = 0;
	char copy[512], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", fields);
	for (char *word = strtok_r(copy, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		uint32_t pen = *word == 'r' ? IE_PEN_REVERSE : 0;
		char *prefix = strchr(word, '/');
		char *length = strchr(word, ':');

		word += pen != 0;
		field[count] = (struct cache_field){
			.ie = ie_find(registry, pen, (uint16_t)atoi(word)),
			.key = strchr(word, '!') != NULL,
			.prefix_length = prefix ? (int16_t)atoi(prefix + 1)
						: -1,
			.length = (uint16_t)(length ? atoi(length + 1) : 0),
			.merge = strchr(word, 'L')   ? MERGE_LAST
				 : strchr(word, 'U') ? MERGE_UNION
				 : strchr(word, '<') ? MERGE_MIN
				 : strchr(word, '>') ? MERGE_MAX
						     : MERGE_AUTO,
		};
		CU_ASSERT_PTR_NOT_NULL_FATAL(field[count].ie);
		count++;
	}
	memset(bed, 0, sizeof(*bed));
	bed->sink.base.stage.ops = &sink_ops;
	conf.name = "test";
	conf.fields = field;
	conf.field_count = count;
	CU_ASSERT_EQUAL_FATAL(
		cache_new(&conf, registry, shapes, &bed->cache, &error), 0);
	stage_link(bed->cache, &bed->sink.base.stage);
	bed->now = clock_mono_ms();
}

static inline void
wait_ms(struct bed *bed, uint64_t ms)
{
	for (uint64_t step; ms; ms -= step) {
		step = ms < 100 ? ms : 100;
		bed->now += step;
		stage_tick(bed->cache, bed->now);
	}
}

static inline const char *
lines(struct bed *bed)
{
	return bed->sink.lines.data ? bed->sink.lines.data : "";
}

static inline void
clear(struct bed *bed)
{
	text_reset(&bed->sink.lines);
}

static inline void
check_ledger(struct bed *bed)
{
	const struct ledger *l = &bed->cache->ledger;
	struct cache_stats stats;

	cache_stats(bed->cache, &stats);
	CU_ASSERT(ledger_balanced(l));
	CU_ASSERT_EQUAL(l->held, stats.active_flows);
	CU_ASSERT_EQUAL(l->exported, bed->sink.records);
}

static inline void
bed_close(struct bed *bed)
{
	check_ledger(bed);
	stage_flush(bed->cache);
	CU_ASSERT(stage_drained(bed->cache));
	check_ledger(bed);
	CU_ASSERT_EQUAL(bed->cache->ledger.held, 0);
	stage_free(bed->cache);
	text_fini(&bed->sink.lines);
}

#define EXPECT(bed, text)                                                      \
	do {                                                                   \
		if (strcmp(lines(bed), text) != 0)                             \
			printf("\n    got  %s\n    want %s\n", lines(bed),    \
			       text);                                          \
		CU_ASSERT_STRING_EQUAL(lines(bed), text);                      \
		clear(bed);                                                    \
	} while (0)

/* The main function of a test of caches. */
static inline int
bed_run(const char *name, const struct unit_test *tests, size_t count)
{
	int status;

	registry = ie_registry_new(100);
	shapes = shape_table_new(10000);
	scope = (struct scope){.serial = 77, .domain = 5};
	addr_parse(&scope.exporter, "198.51.100.1", 4444);
	status = unit_run(name, tests, count);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return status;
}

#endif
