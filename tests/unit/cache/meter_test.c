/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache as a meter of packets: their clock, the natural end of their flows,
 * both directions in one, cuts and coarser keys. A packet is IPv4: source,
 * destination, ports, octets, TCP flags; what comes out is compared with an
 * account kept the simple way.
 */
#include <stdlib.h>
#include <string.h>

#include "conflux/cache.h"
#include "conflux/clock.h"
#include "conflux/ie.h"
#include "conflux/wire.h"
#include "sink.h"
#include "unit.h"

enum { STRIDE = 4 + 4 + 2 + 2 + 8 + 8 + 2, HOSTS = 6 };

static struct ie_registry *registry;
static struct shape_table *shapes;
static const struct shape *shape;
static struct scope scope;

/* What comes out: sums, and the records of the last kinds. */
struct sink {
	struct unit_sink base;
	unsigned flows, biflows, reason[8];
	uint64_t packets, octets, back_packets, back_octets;
};

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	struct sink *s = (struct sink *)stage;

	for (uint32_t i = 0; i < batch->count; i++) {
		uint64_t back = unit_field(batch, i, IE_PEN_REVERSE,
					 IE_packetDeltaCount);

		s->flows++;
		s->biflows += back > 0;
		s->packets += unit_field(batch, i, 0, IE_packetDeltaCount);
		s->octets += unit_field(batch, i, 0, IE_octetDeltaCount);
		s->back_packets += back;
		s->back_octets += unit_field(batch, i, IE_PEN_REVERSE,
					   IE_octetDeltaCount);
		s->reason[unit_field(batch, i, 0, IE_flowEndReason) & 7]++;
	}
}

static const struct stage_ops sink_ops = {
	.run = sink_run,
	.congested = unit_sink_congested,
};

static struct stage *
open_cache(struct cache_conf conf, struct sink *sink)
{
	static const struct {
		uint32_t pen;
		uint16_t id;
		bool key, coarse;
	} list[] = {
		{0, IE_sourceIPv4Address, true, false},
		{0, IE_destinationIPv4Address, true, false},
		{0, IE_sourceTransportPort, true, true},
		{0, IE_destinationTransportPort, true, true},
		{0, IE_octetDeltaCount, false, false},
		{0, IE_packetDeltaCount, false, false},
		{0, IE_flowEndReason, false, false},
		{IE_PEN_REVERSE, IE_octetDeltaCount, false, false},
		{IE_PEN_REVERSE, IE_packetDeltaCount, false, false},
	};
	struct cache_field field[9];
	const char *error = NULL;
	struct stage *cache = NULL;

	for (int i = 0; i < 9; i++)
		field[i] = (struct cache_field){
			.ie = ie_find(registry, list[i].pen, list[i].id),
			.key = list[i].key,
			.coarse = list[i].coarse,
			.prefix_length = -1,
		};
	conf.name = "test";
	conf.fields = field;
	conf.field_count = conf.biflow ? 9 : 7;
	CU_ASSERT_EQUAL_FATAL(
		cache_new(&conf, registry, shapes, &cache, &error), 0);
	*sink = (struct sink){.base.stage.ops = &sink_ops};
	stage_link(cache, &sink->base.stage);
	return cache;
}

struct packet {
	uint32_t source, target;
	uint16_t port[2];
	uint16_t flags;
	uint32_t octets;
};

static void
put(struct stage *cache, const struct packet *p, uint32_t count, uint64_t ms)
{
	uint8_t data[BATCH_MAX * STRIDE];
	struct batch batch = {
		.shape = shape,
		.scope = &scope,
		.base = data,
		.count = count,
		.stride = STRIDE,
		.export_ms = ms,
		.received_ms = ms,
	};
	struct writer w;

	writer_init(&w, data, sizeof(data));
	for (uint32_t i = 0; i < count; i++) {
		writer_u32(&w, p[i].source);
		writer_u32(&w, p[i].target);
		writer_u16(&w, p[i].port[0]);
		writer_u16(&w, p[i].port[1]);
		writer_u64(&w, p[i].octets);
		writer_u64(&w, 1);
		writer_u16(&w, p[i].flags);
	}
	stage_run(cache, &batch);
}

static void
close_cache(struct stage *cache)
{
	CU_ASSERT(ledger_balanced(&cache->ledger));
	stage_flush(cache);
	CU_ASSERT(stage_drained(cache));
	CU_ASSERT(ledger_balanced(&cache->ledger));
	CU_ASSERT_EQUAL(cache->ledger.held, 0);
	stage_free(cache);
}

static const struct cache_conf of_files = {
	.type = CACHE_TIMEOUT,
	.max_flows = 10000,
	.active_timeout_s = 60,
	.idle_timeout_s = 10,
	.data_clock = true,
};

static const struct packet one = {1, 2, {10, 20}, 0, 100};
static const struct packet back = {2, 1, {20, 10}, 0, 1000};

/* ---- tests ------------------------------------------------------------------ */

static void
test_time_is_that_of_packets(void)
{
	const uint64_t start = 1000000000000;
	struct stage *cache;
	struct sink sink;

	cache = open_cache(of_files, &sink);
	put(cache, &one, 1, start);
	stage_tick(cache, clock_mono_ms() + 3600000); /* not our clock */
	CU_ASSERT_EQUAL(sink.flows, 0);
	put(cache, &one, 1, start + 5000);
	put(cache, &one, 1, start - 50000); /* never back */
	CU_ASSERT_EQUAL(sink.flows, 0);
	put(cache, &back, 1, start + 16000); /* idle since 5000 */
	CU_ASSERT_EQUAL(sink.flows, 1);
	CU_ASSERT_EQUAL(sink.packets, 3);
	CU_ASSERT_EQUAL(sink.reason[1], 1);
	/* Every second, for more than the active timeout. */
	for (uint64_t s = 17; s < 80; s++)
		put(cache, &back, 1, start + s * 1000);
	CU_ASSERT_EQUAL(sink.flows, 2);
	CU_ASSERT_EQUAL(sink.reason[2], 1);
	close_cache(cache);
	CU_ASSERT_EQUAL(sink.packets, 3 + 1 + 63);
}

/* A leap of a thousand years costs no more than one of an hour. */
static void
test_time_leaps(void)
{
	const uint64_t year = UINT64_C(365) * 86400 * 1000;
	struct stage *cache;
	struct sink sink;

	cache = open_cache(of_files, &sink);
	put(cache, &one, 1, 0);
	put(cache, &back, 1, 1000 * year);
	CU_ASSERT_EQUAL(sink.flows, 1);
	put(cache, &one, 1, 1000 * year + 3600000);
	CU_ASSERT_EQUAL(sink.flows, 2);
	close_cache(cache);
	CU_ASSERT_EQUAL(sink.flows, 3);
}

/* Times of 32 bits come round after 49 days: what is so old has left then. */
static void
test_time_comes_round(void)
{
	const uint64_t round = UINT64_C(1) << 32;
	struct cache_conf conf = of_files;
	struct packet p = one;
	struct stage *cache;
	struct sink sink;

	conf.type = CACHE_NATURAL;
	cache = open_cache(conf, &sink);
	p.flags = 0x11;
	put(cache, &one, 1, 1000);
	put(cache, &back, 1, 1000);
	put(cache, &one, 1, round + 2000);
	CU_ASSERT_EQUAL(sink.flows, 2);
	CU_ASSERT_EQUAL(sink.reason[1], 2);
	/* One that lingers does not stand in the way of those after it. */
	put(cache, &p, 1, round + 2500);
	put(cache, &back, 1, round + round * 5 / 8);
	CU_ASSERT_EQUAL(sink.flows, 3);
	p.flags = 0x04;
	put(cache, &p, 1, round + round * 5 / 8 + 1000);
	put(cache, &back, 1, round + round * 5 / 8 + 2500);
	CU_ASSERT_EQUAL(sink.flows, 4);
	CU_ASSERT_EQUAL(sink.reason[3], 2);
	close_cache(cache);
}

static void
test_natural_end_lingers(void)
{
	struct cache_conf conf = of_files;
	struct packet p = one;
	struct stage *cache;
	struct sink sink;

	conf.type = CACHE_NATURAL;
	cache = open_cache(conf, &sink);
	put(cache, &p, 1, 1000);
	p.flags = 0x11; /* FIN ACK */
	put(cache, &p, 1, 1100);
	CU_ASSERT_EQUAL(sink.flows, 0);
	p.flags = 0x10;
	put(cache, &p, 1, 1900); /* still of it */
	put(cache, &back, 1, 2500);
	CU_ASSERT_EQUAL(sink.flows, 1);
	CU_ASSERT_EQUAL(sink.packets, 3);
	CU_ASSERT_EQUAL(sink.reason[3], 1);
	put(cache, &p, 1, 2600); /* a new one */
	CU_ASSERT_EQUAL(cache->ledger.held, 2);
	close_cache(cache);
}

static void
test_biflow_ends_by_both(void)
{
	struct cache_conf conf = of_files;
	struct packet p = one, q = back;
	struct stage *cache;
	struct sink sink;

	conf.type = CACHE_NATURAL;
	conf.biflow = true;
	cache = open_cache(conf, &sink);
	p.flags = 0x11;
	put(cache, &p, 1, 1000);
	put(cache, &q, 1, 1500);
	put(cache, &q, 1, 4000); /* half closed: it goes on */
	CU_ASSERT_EQUAL(sink.flows, 0);
	q.flags = 0x11;
	put(cache, &q, 1, 4100);
	p.flags = 0x10;
	put(cache, &p, 1, 4200);
	p.port[0] = 99;
	put(cache, &p, 1, 6000);
	CU_ASSERT_EQUAL(sink.flows, 1);
	CU_ASSERT_EQUAL(sink.biflows, 1);
	CU_ASSERT_EQUAL(sink.packets, 2);
	CU_ASSERT_EQUAL(sink.back_packets, 3);
	CU_ASSERT_EQUAL(sink.back_octets, 3000);
	close_cache(cache);
}

/* Random packets between few hosts, against an account by arrays. */
static void
test_biflow_oracle(void)
{
	static uint64_t count[HOSTS][HOSTS], first[HOSTS][HOSTS];
	struct cache_conf conf = of_files;
	struct packet p[BATCH_MAX];
	uint64_t forward = 0, reverse = 0, n = 0;
	unsigned flows = 0;
	struct stage *cache;
	struct sink sink;

	conf.biflow = true;
	cache = open_cache(conf, &sink);
	srand(7);
	for (int round = 0; round < 50; round++) {
		uint32_t size = 1 + (uint32_t)rand() % BATCH_MAX;

		for (uint32_t i = 0; i < size; i++) {
			unsigned a = (unsigned)rand() % HOSTS;
			unsigned b = (unsigned)rand() % HOSTS;

			p[i] = (struct packet){a, b, {7, 7}, 0, 10};
			if (!count[a][b]++)
				first[a][b] = ++n;
		}
		put(cache, p, size, 1000);
	}
	for (int a = 0; a < HOSTS; a++)
		for (int b = 0; b <= a; b++) {
			bool there = count[a][b] || count[b][a];
			bool swap = a != b && count[b][a] &&
				    (!count[a][b] || first[b][a] < first[a][b]);

			flows += there;
			forward += swap ? count[b][a] : count[a][b];
			reverse += a == b ? 0 : swap ? count[a][b]
						     : count[b][a];
		}
	close_cache(cache);
	CU_ASSERT_EQUAL(sink.flows, flows);
	CU_ASSERT_EQUAL(sink.packets, forward);
	CU_ASSERT_EQUAL(sink.back_packets, reverse);
	CU_ASSERT_EQUAL(sink.octets + sink.back_octets,
			10 * (forward + reverse));
}

/* What a record of another meter has counted of both directions. */
static void
put_record(struct stage *cache, const struct packet *p, uint64_t packets,
	   uint64_t back_octets, uint64_t back_packets)
{
	static const struct {
		uint32_t pen;
		uint16_t id;
	} list[] = {
		{0, IE_sourceIPv4Address}, {0, IE_destinationIPv4Address},
		{0, IE_sourceTransportPort}, {0, IE_destinationTransportPort},
		{0, IE_octetDeltaCount}, {0, IE_packetDeltaCount},
		{IE_PEN_REVERSE, IE_octetDeltaCount},
		{IE_PEN_REVERSE, IE_packetDeltaCount},
	};
	struct scope other = {.serial = scope_serial()};
	uint16_t count = back_packets ? 8 : 6;
	struct field field[8];
	struct batch batch = {.scope = &other, .count = 1};
	uint8_t data[64];
	struct writer w;

	for (int i = 0; i < count; i++) {
		field[i].ie = ie_find(registry, list[i].pen, list[i].id);
		field[i].length = field[i].ie->length;
	}
	if (shape_get(shapes, field, count, 0, &batch.shape) < 0)
		return;
	writer_init(&w, data, sizeof(data));
	writer_u32(&w, p->source);
	writer_u32(&w, p->target);
	writer_u16(&w, p->port[0]);
	writer_u16(&w, p->port[1]);
	writer_u64(&w, p->octets);
	writer_u64(&w, packets);
	if (back_packets) {
		writer_u64(&w, back_octets);
		writer_u64(&w, back_packets);
	}
	batch.base = data;
	batch.stride = batch.shape->min_length;
	stage_run(cache, &batch);
	shape_release(batch.shape);
}

/* Uniflows and biflows of exporters, each seen from either end. */
static void
test_biflow_of_records(void)
{
	struct cache_conf conf = of_files;
	struct stage *cache;
	struct sink sink;

	conf.biflow = true;
	conf.data_clock = false;
	cache = open_cache(conf, &sink);
	put_record(cache, &one, 1, 0, 0);
	put_record(cache, &back, 2, 0, 0);
	put_record(cache, &one, 4, 50, 8);
	put_record(cache, &back, 16, 70, 32);
	put_record(cache, &one, 64, 0, 0);
	close_cache(cache);
	CU_ASSERT_EQUAL(sink.flows, 1);
	CU_ASSERT_EQUAL(sink.packets, 1 + 4 + 32 + 64);
	CU_ASSERT_EQUAL(sink.octets, 3 * 100 + 70);
	CU_ASSERT_EQUAL(sink.back_packets, 2 + 8 + 16);
	CU_ASSERT_EQUAL(sink.back_octets, 2 * 1000 + 50);
}

/* Nothing is merged across a cut, not even while nobody takes what is old. */
static void
test_cut(void)
{
	struct packet p[BATCH_MAX];
	struct stage *cache;
	struct sink sink;

	cache = open_cache(of_files, &sink);
	for (uint32_t i = 0; i < BATCH_MAX; i++)
		p[i] = (struct packet){i, 2, {10, 20}, 0, 100};
	put(cache, p, BATCH_MAX, 1000);
	sink.base.congested = true;
	stage_cut(cache);
	CU_ASSERT_EQUAL(sink.flows, 0);
	put(cache, p, BATCH_MAX, 1100);
	CU_ASSERT_EQUAL(cache->ledger.held, 2 * BATCH_MAX);
	CU_ASSERT_EQUAL(cache->ledger.merged, 0);
	stage_cut(cache); /* twice, and still nobody */
	put(cache, p, 1, 1200);
	CU_ASSERT(ledger_balanced(&cache->ledger));
	sink.base.congested = false;
	stage_tick(cache, 0);
	CU_ASSERT_EQUAL(sink.flows, 2 * BATCH_MAX);
	CU_ASSERT_EQUAL(sink.reason[4], 2 * BATCH_MAX);
	CU_ASSERT_EQUAL(cache->ledger.held, 1);
	close_cache(cache);
	CU_ASSERT_EQUAL(sink.packets, 2 * BATCH_MAX + 1);
}

/* More cuts than there is room for are exported at once. */
static void
test_many_cuts(void)
{
	struct stage *cache;
	struct sink sink;

	cache = open_cache(of_files, &sink);
	sink.base.congested = true;
	for (int i = 0; i < 200; i++) {
		put(cache, &one, 1, 1000);
		stage_cut(cache);
		CU_ASSERT(ledger_balanced(&cache->ledger));
	}
	CU_ASSERT_EQUAL(cache->ledger.merged, 0);
	CU_ASSERT_EQUAL(ledger_lost(&cache->ledger), 0);
	sink.base.congested = false;
	close_cache(cache);
	CU_ASSERT_EQUAL(sink.flows, 200);
}

static void
test_coarser_keys(void)
{
	struct packet p[BATCH_MAX];
	struct stage *cache;
	struct sink sink;

	cache = open_cache(of_files, &sink);
	for (uint32_t i = 0; i < BATCH_MAX; i++)
		p[i] = (struct packet){1, 2, {(uint16_t)i, 20}, 0, 100};
	put(cache, p, BATCH_MAX, 1000);
	CU_ASSERT_EQUAL(cache_fill(cache), BATCH_MAX * 100 / 10000);
	cache_set_coarse(cache, true);
	CU_ASSERT_EQUAL(sink.flows, BATCH_MAX);
	put(cache, p, BATCH_MAX, 1100);
	CU_ASSERT_EQUAL(cache->ledger.held, 1);
	cache_set_coarse(cache, true); /* it is so already */
	CU_ASSERT_EQUAL(cache->ledger.held, 1);
	cache_set_coarse(cache, false);
	CU_ASSERT_EQUAL(sink.flows, BATCH_MAX + 1);
	put(cache, p, BATCH_MAX, 1200);
	CU_ASSERT_EQUAL(cache->ledger.held, BATCH_MAX);
	close_cache(cache);
	CU_ASSERT_EQUAL(sink.packets, 3 * BATCH_MAX);
}

/* ---- what the cache and the scope know ---------------------------------- */

struct known {
	struct stage stage;
	unsigned flows;
	uint64_t value[CACHE_VALUES_MAX];
	const struct cache_field *field;
	unsigned count;
};

static void
known_run(struct stage *stage, const struct batch *batch)
{
	struct known *k = (struct known *)stage;

	for (uint32_t i = 0; i < batch->count; i++, k->flows++)
		for (unsigned n = 0; n < k->count; n++)
			k->value[n] = unit_field(batch, i, 0,
					       k->field[n + 1].ie->id);
}

static const struct stage_ops known_ops = {.run = known_run};

static struct stage *
open_known(struct cache_conf conf, const uint16_t *ids, unsigned count,
	   struct cache_field *field, struct known *k)
{
	const char *error = NULL;
	struct stage *cache = NULL;

	field[0] = (struct cache_field){
		.ie = ie_find(registry, 0, IE_sourceIPv4Address),
		.key = true,
		.prefix_length = -1,
	};
	for (unsigned i = 0; i < count; i++)
		field[i + 1] = (struct cache_field){
			.ie = ie_find(registry, 0, ids[i]),
			.prefix_length = -1,
		};
	conf.name = "known";
	conf.fields = field;
	conf.field_count = count + 1;
	CU_ASSERT_EQUAL_FATAL(
		cache_new(&conf, registry, shapes, &cache, &error), 0);
	*k = (struct known){.stage = {.ops = &known_ops},
			    .field = field,
			    .count = count};
	stage_link(cache, &k->stage);
	return cache;
}

static void
test_known_by_the_cache(void)
{
	static const uint16_t ids[] = {
		IE_flowActiveTimeout, IE_flowIdleTimeout, IE_flowId,
		IE_meteringProcessId, IE_observationDomainId,
		IE_samplingPacketInterval, IE_octetTotalCount,
		IE_packetTotalCount};
	struct cache_field field[9];
	struct cache_conf conf = of_files;
	struct stage *cache;
	struct known k;
	uint64_t id;

	conf.active_timeout_s = 100000;
	conf.metering_process_id = 77;
	cache = open_known(conf, ids, 8, field, &k);
	scope.domain = 5;
	scope_set_fact(&scope, FACT_SAMPLING_PACKET_INTERVAL, 3);
	put(cache, &one, 1, 1000);
	put(cache, &one, 1, 1001);
	/* It changes: what was metered before ends. */
	stage_cut(cache);
	CU_ASSERT_EQUAL(k.flows, 1);
	CU_ASSERT_EQUAL(k.value[0], 65535);
	CU_ASSERT_EQUAL(k.value[1], 10);
	CU_ASSERT_EQUAL(k.value[3], 77);
	CU_ASSERT_EQUAL(k.value[4], 5);
	CU_ASSERT_EQUAL(k.value[5], 3);
	CU_ASSERT_EQUAL(k.value[6], 200); /* of packets, so they add up */
	CU_ASSERT_EQUAL(k.value[7], 2);
	id = k.value[2];
	CU_ASSERT(id != 0);
	scope_set_fact(&scope, FACT_SAMPLING_PACKET_INTERVAL, 4);
	put(cache, &one, 1, 1100);
	close_cache(cache);
	CU_ASSERT_EQUAL(k.flows, 2);
	CU_ASSERT_EQUAL(k.value[5], 4);
	CU_ASSERT(k.value[2] != id);
	scope.fact_mask = 0;
}

/* A permanent flow keeps its identifier from one export to the next. */
static void
test_flow_id_stays(void)
{
	static const uint16_t ids[] = {IE_flowId, IE_packetDeltaCount};
	struct cache_field field[3];
	struct cache_conf conf = of_files;
	struct stage *cache;
	struct known k;
	uint64_t id;

	conf.type = CACHE_PERMANENT;
	conf.export_interval_s = 10;
	cache = open_known(conf, ids, 2, field, &k);
	put(cache, &one, 1, 1000);
	put(cache, &one, 1, 11000);
	CU_ASSERT_EQUAL(k.flows, 1);
	id = k.value[0];
	CU_ASSERT(id != 0);
	put(cache, &one, 1, 21000);
	CU_ASSERT_EQUAL(k.flows, 2);
	CU_ASSERT_EQUAL(k.value[0], id);
	CU_ASSERT_EQUAL(k.value[1], 1);
	close_cache(cache);
}

/* As many values as there may be: the last one is no flag of the row. */
static void
test_many_values(void)
{
	struct cache_field field[CACHE_VALUES_MAX + 2];
	uint16_t ids[CACHE_VALUES_MAX + 1];
	struct cache_conf conf = of_files;
	struct stage *cache = NULL;
	const char *error = NULL;
	struct known k;

	for (unsigned i = 0; i <= CACHE_VALUES_MAX; i++)
		ids[i] = i % 2 ? IE_octetDeltaCount : IE_packetDeltaCount;
	cache = open_known(conf, ids, CACHE_VALUES_MAX, field, &k);
	put(cache, &one, 1, 1000);
	put(cache, &one, 1, 1001);
	close_cache(cache);
	CU_ASSERT_EQUAL(k.flows, 1);
	CU_ASSERT_EQUAL(k.value[CACHE_VALUES_MAX - 2], 2);
	CU_ASSERT_EQUAL(k.value[CACHE_VALUES_MAX - 1], 200);
	field[CACHE_VALUES_MAX + 1] = field[1];
	conf.fields = field;
	conf.field_count = CACHE_VALUES_MAX + 2;
	CU_ASSERT_NOT_EQUAL(
		cache_new(&conf, registry, shapes, &cache, &error), 0);
	CU_ASSERT(error && strstr(error, "56"));
}

int
main(void)
{
	static const uint16_t id[] = {
		IE_sourceIPv4Address, IE_destinationIPv4Address,
		IE_sourceTransportPort, IE_destinationTransportPort,
		IE_octetDeltaCount, IE_packetDeltaCount, IE_tcpControlBits};
	static const struct unit_test tests[] = {
		{"time is that of the packets", test_time_is_that_of_packets},
		{"time leaps", test_time_leaps},
		{"time comes round", test_time_comes_round},
		{"a natural end lingers", test_natural_end_lingers},
		{"a biflow ends by both", test_biflow_ends_by_both},
		{"biflows against an oracle", test_biflow_oracle},
		{"biflows of records", test_biflow_of_records},
		{"cut", test_cut},
		{"many cuts", test_many_cuts},
		{"coarser keys", test_coarser_keys},
		{"known by the cache", test_known_by_the_cache},
		{"flowId stays", test_flow_id_stays},
		{"as many values as may be", test_many_values},
	};
	struct field field[7];
	int failed;

	registry = ie_registry_new(100);
	shapes = shape_table_new(100);
	scope = (struct scope){.serial = scope_serial(), .packets = true};
	for (int i = 0; i < 7; i++) {
		field[i].ie = ie_find(registry, 0, id[i]);
		field[i].length = field[i].ie->length;
	}
	if (shape_get(shapes, field, 7, 0, &shape) < 0)
		return 1;
	failed = unit_run("meter", tests, UNIT_COUNT(tests));
	shape_release(shape);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return failed;
}
