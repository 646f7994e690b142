/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * De-duplication: by hand, against a slow reference that keeps all in lists,
 * and with Flows that several points cut into slices, of which each must pass
 * once, in whatever order they come.
 */
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/mediation.h"
#include "conflux/wire.h"
#include "sink.h"
#include "unit.h"

enum { POINTS = 4, KEPT = 200000, LENGTH = 46 };

static struct ie_registry *registry;
static struct shape_table *shapes;
static const struct shape *flow_shape;
static struct scope scope[POINTS]; /* exporters */
static uint64_t base_ms;

/* ---- what comes out: the numbers of the records ------------------------- */

static struct sink {
	struct unit_sink base;
	unsigned count, ends, cuts;
	uint32_t id[KEPT];
	uint8_t passed[KEPT]; /* how often, by number */
} sink;

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	int at = shape_find(batch->shape, 0, IE_flowId, 0);
	uint32_t size;

	for (uint32_t i = 0; i < batch->count; i++) {
		const uint8_t *record = batch_record(batch, i, &size);
		uint64_t id = 0;

		CU_ASSERT_EQUAL(shape_record_length(batch->shape, record, size),
				(int)size);
		shape_uint(batch->shape, at, record, size, &id);
		CU_ASSERT_FATAL(id < KEPT && sink.count < KEPT);
		sink.id[sink.count++] = (uint32_t)id;
		sink.passed[id]++;
	}
}

static void
sink_scope_end(struct stage *stage, const struct scope *ended)
{
	sink.ends++;
}

static void
sink_cut(struct stage *stage)
{
	sink.cuts++;
}

static const struct stage_ops sink_ops = {
	.run = sink_run,
	.scope_end = sink_scope_end,
	.cut = sink_cut,
	.congested = unit_sink_congested,
};

/* ---- records ------------------------------------------------------------ */

static const uint16_t element[] = {
	IE_sourceIPv4Address,	     IE_destinationIPv4Address,
	IE_protocolIdentifier,	     IE_sourceTransportPort,
	IE_destinationTransportPort, IE_ingressInterface,
	IE_flowStartMilliseconds,    IE_flowEndMilliseconds,
	IE_packetDeltaCount,	     IE_flowId,
};

struct seen {
	unsigned point, key;
	uint64_t start, end; /* ms */
	uint64_t packets;
	uint32_t interface;
};

static void
write_record(uint8_t *p, const struct seen *seen, uint32_t id)
{
	wire_put32(p, 0xc0000200 + seen->key);
	wire_put32(p + 4, 0xc6336401);
	p[8] = 6;
	wire_put16(p + 9, 1024);
	wire_put16(p + 11, 80);
	wire_put32(p + 13, seen->interface);
	wire_put64(p + 17, 1700000000000 + seen->start);
	wire_put64(p + 25, 1700000000000 + seen->end);
	wire_put32(p + 33, (uint32_t)seen->packets);
	wire_put64(p + 37, id);
}

static void
put_all(struct stage *stage, const struct seen *seen, uint32_t count,
	uint32_t id)
{
	static uint8_t data[BATCH_MAX * LENGTH];
	struct batch batch = {
		.shape = flow_shape,
		.scope = &scope[seen->point],
		.base = data,
		.count = count,
		.stride = flow_shape->min_length,
	};

	for (uint32_t i = 0; i < count; i++)
		write_record(data + i * batch.stride, &seen[i], id + i);
	stage_run(stage, &batch);
}

static void
put(struct stage *stage, struct seen seen, uint32_t id)
{
	put_all(stage, &seen, 1, id);
	CU_ASSERT(ledger_balanced(&stage->ledger));
}

static struct dedup_conf
usual(bool best)
{
	return (struct dedup_conf){
		.name = "d",
		.best = best,
		.window_ms = 100000,
		.hold_ms = 10000,
		.tolerance_ms = 2000,
		.max_flows = 1000,
		.max_octets = 1 << 20,
	};
}

static struct stage *
open_stage(struct dedup_conf conf)
{
	struct stage *stage;

	memset(&sink, 0, sizeof(sink));
	sink.base.stage.ops = &sink_ops;
	CU_ASSERT_EQUAL_FATAL(dedup_stage_new(&conf, registry, &stage), 0);
	CU_ASSERT_EQUAL_FATAL(stage_link(stage, &sink.base.stage), 0);
	base_ms = clock_mono_ms();
	return stage;
}

static void
at(struct stage *stage, uint64_t ms)
{
	stage_tick(stage, base_ms + ms);
	CU_ASSERT(ledger_balanced(&stage->ledger));
}

static void
expect_dropped(const struct stage *stage, uint64_t count)
{
	CU_ASSERT_EQUAL(stage->ledger.filtered, count);
	CU_ASSERT_EQUAL(ledger_lost(&stage->ledger), 0);
}

/* ---- by hand ------------------------------------------------------------ */

static void
test_first(void)
{
	struct stage *stage = open_stage(usual(false));

	put(stage, (struct seen){0, 1, 0, 60000, 10, 0}, 1);
	put(stage, (struct seen){1, 1, 500, 60400, 12, 0}, 2);
	CU_ASSERT_EQUAL(sink.count, 1);
	/* Slices of the same point, whatever their times. */
	put(stage, (struct seen){0, 1, 60000, 120000, 10, 0}, 3);
	put(stage, (struct seen){0, 1, 60000, 120000, 10, 0}, 4);
	put(stage, (struct seen){1, 1, 60400, 120400, 10, 0}, 5);
	CU_ASSERT_EQUAL(sink.count, 3);
	/* Other slices of the same time. */
	put(stage, (struct seen){2, 1, 30000, 90000, 10, 0}, 6);
	put(stage, (struct seen){3, 1, 0, 119000, 10, 0}, 7);
	CU_ASSERT_EQUAL(sink.count, 3);
	/* Another Flow. */
	put(stage, (struct seen){1, 2, 0, 60000, 10, 0}, 8);
	CU_ASSERT_EQUAL(sink.count, 4);
	/* The next slice comes from another point first; or alone. */
	put(stage, (struct seen){1, 1, 119900, 180000, 10, 0}, 9);
	put(stage, (struct seen){0, 1, 120100, 180000, 10, 0}, 10);
	put(stage, (struct seen){2, 1, 180100, 200000, 10, 0}, 11);
	CU_ASSERT_EQUAL(sink.count, 6);
	expect_dropped(stage, 5);
	stage_free(stage);
}

/* Flows of one packet have no length: only the start tells. */
static void
test_tolerance(void)
{
	struct stage *stage = open_stage(usual(false));

	put(stage, (struct seen){0, 1, 5000, 5000, 1, 0}, 1);
	put(stage, (struct seen){1, 1, 7000, 7000, 1, 0}, 2);
	put(stage, (struct seen){1, 1, 3000, 3000, 1, 0}, 3);
	expect_dropped(stage, 2);
	put(stage, (struct seen){1, 1, 7001, 7001, 1, 0}, 4);
	expect_dropped(stage, 2);
	/* Begun late, but within. */
	put(stage, (struct seen){0, 2, 0, 3000, 5, 0}, 5);
	put(stage, (struct seen){1, 2, 2500, 3010, 4, 0}, 6);
	expect_dropped(stage, 3);
	/* The last packet alone. */
	put(stage, (struct seen){1, 2, 3000, 3000, 1, 0}, 9);
	expect_dropped(stage, 4);
	/* Begun before all others. */
	put(stage, (struct seen){2, 2, 10000, 20000, 5, 0}, 7);
	put(stage, (struct seen){0, 2, 5000, 19000, 5, 0}, 8);
	expect_dropped(stage, 5);
	stage_free(stage);
}

static void
test_window(void)
{
	struct stage *stage = open_stage(usual(false));

	put(stage, (struct seen){0, 1, 0, 1, 1, 0}, 1);
	at(stage, 90000);
	put(stage, (struct seen){1, 1, 0, 1, 1, 0}, 2);
	expect_dropped(stage, 1);
	/* What others say does not count: the owner is silent. */
	at(stage, 101000);
	put(stage, (struct seen){1, 1, 0, 1, 1, 0}, 3);
	expect_dropped(stage, 1);
	at(stage, 150000);
	put(stage, (struct seen){1, 1, 50000, 50000, 1, 0}, 4);
	at(stage, 240000);
	put(stage, (struct seen){0, 1, 50000, 50000, 1, 0}, 5);
	expect_dropped(stage, 2);
	at(stage, 10000000);
	put(stage, (struct seen){0, 1, 50000, 50000, 1, 0}, 6);
	expect_dropped(stage, 2);
	stage_free(stage);
}

static void
test_best(void)
{
	struct stage *stage = open_stage(usual(true));

	put(stage, (struct seen){0, 1, 0, 60000, 10, 0}, 1);
	put(stage, (struct seen){1, 1, 0, 60000, 12, 0}, 2);
	put(stage, (struct seen){2, 1, 100, 60000, 11, 0}, 3);
	/* Of another time: there is nothing to choose. */
	put(stage, (struct seen){2, 1, 90000, 90000, 1, 0}, 4);
	CU_ASSERT_EQUAL(stage->ledger.held, 4);
	at(stage, 9900);
	CU_ASSERT_EQUAL(sink.count, 0);
	at(stage, 10100);
	CU_ASSERT_EQUAL(sink.count, 2);
	CU_ASSERT(sink.passed[2] && sink.passed[4]);
	expect_dropped(stage, 2);
	CU_ASSERT_EQUAL(stage->ledger.held, 0);
	/* The owner's pass at once; what others say of it goes. */
	put(stage, (struct seen){2, 1, 100000, 160000, 1, 0}, 5);
	CU_ASSERT_EQUAL(sink.count, 3);
	put(stage, (struct seen){1, 1, 100000, 160000, 9, 0}, 6);
	expect_dropped(stage, 3);
	/* Before the owner's, it waits for it: or for nothing. */
	put(stage, (struct seen){1, 1, 160000, 220000, 9, 0}, 7);
	put(stage, (struct seen){2, 1, 160000, 220000, 1, 0}, 8);
	CU_ASSERT_EQUAL(sink.count, 4);
	expect_dropped(stage, 4);
	put(stage, (struct seen){1, 1, 220000, 280000, 9, 0}, 9);
	at(stage, 21000);
	CU_ASSERT_EQUAL(sink.count, 5);
	CU_ASSERT(sink.passed[9]);
	/* A sum of slices counts. */
	put(stage, (struct seen){0, 2, 0, 10000, 5, 0}, 10);
	put(stage, (struct seen){0, 2, 10000, 20000, 5, 0}, 11);
	put(stage, (struct seen){1, 2, 0, 20000, 8, 0}, 12);
	at(stage, 40000);
	CU_ASSERT(sink.passed[10] && sink.passed[11] && !sink.passed[12]);
	stage_free(stage);
}

/* Scopes, cuts and the end do not wait. */
static void
test_best_ends(void)
{
	struct stage *stage = open_stage(usual(true));

	put(stage, (struct seen){0, 1, 0, 1, 10, 0}, 1);
	put(stage, (struct seen){1, 1, 0, 1, 12, 0}, 2);
	put(stage, (struct seen){1, 2, 0, 1, 12, 0}, 3);
	stage_scope_end(stage, &scope[0]);
	CU_ASSERT_EQUAL(sink.count, 1);
	CU_ASSERT(sink.passed[2]);
	CU_ASSERT_EQUAL(sink.ends, 1);
	stage_cut(stage);
	CU_ASSERT_EQUAL(sink.count, 2);
	CU_ASSERT_EQUAL(sink.cuts, 1);
	for (unsigned i = 0; i < 500; i++)
		put(stage, (struct seen){0, 10 + i, 0, 1, 10, 0}, 10 + i);
	/* No faster than the next stages can. */
	sink.base.congested = true;
	stage_flush(stage);
	CU_ASSERT_EQUAL(stage->ledger.held, 500);
	CU_ASSERT_FALSE(stage_drained(stage));
	sink.base.congested = false;
	at(stage, 100);
	CU_ASSERT_TRUE(stage_drained(stage));
	CU_ASSERT_EQUAL(sink.count, 502);
	stage_free(stage);
	/* What still waits when all is taken down. */
	stage = open_stage(usual(true));
	put(stage, (struct seen){0, 1, 0, 1, 10, 0}, 1);
	stage_free(stage);
}

/* Where there is no room all passes. */
static void
test_bounds(void)
{
	struct dedup_conf conf = usual(false);
	struct stage *stage;

	conf.max_flows = 10;
	stage = open_stage(conf);
	for (unsigned i = 0; i < 20; i++)
		for (unsigned p = 0; p < 2; p++)
			put(stage, (struct seen){p, i, 0, 1, 1, 0}, 2 * i + p);
	CU_ASSERT_EQUAL(sink.count, 30);
	expect_dropped(stage, 10);
	stage_free(stage);
	conf = usual(true);
	conf.max_octets = 2000;
	stage = open_stage(conf);
	for (unsigned i = 0; i < 100; i++) {
		put(stage, (struct seen){0, i, 0, 1, 1, 0}, i);
		if (i % 7 == 0)
			at(stage, i * 1000);
	}
	at(stage, 200000);
	CU_ASSERT_EQUAL(sink.count, 100);
	/* Of one Flow, too. */
	for (unsigned i = 0; i < 20; i++)
		put(stage, (struct seen){0, 200, i * 10000, i * 10000, 1, 0},
		    200 + i);
	CU_ASSERT(sink.count > 100);
	stage_flush(stage);
	CU_ASSERT_EQUAL(sink.count, 120);
	stage_free(stage);
}

/* A record of other elements: each a number of one octet. */
static void
put_odd(struct stage *stage, const uint16_t *ids, uint16_t count,
	uint16_t scopes, struct scope *from)
{
	uint8_t data[100] = {0};
	struct field field[8];
	struct batch batch = {.scope = from, .base = data, .count = 1};

	for (unsigned i = 0; i < count; i++) {
		field[i].ie = ie_find(registry, 0, ids[i]);
		field[i].length = field[i].ie->length;
	}
	CU_ASSERT_EQUAL_FATAL(
		shape_get(shapes, field, count, scopes, &batch.shape), 0);
	batch.stride = batch.shape->min_length;
	stage_run(stage, &batch);
	CU_ASSERT(ledger_balanced(&stage->ledger));
	shape_release(batch.shape);
}

/* Nothing is dropped of which it can't be told. */
static void
test_undecided(void)
{
	static const uint16_t no_time[] = {IE_sourceIPv4Address,
					   IE_destinationIPv4Address};
	static const uint16_t no_key[] = {IE_flowStartMilliseconds,
					  IE_sourceIPv4Address};
	static const uint16_t six[] = {IE_flowStartSeconds,
				       IE_sourceIPv6Address,
				       IE_destinationIPv6Address};
	struct scope packets = scope[1];
	struct stage *stage = open_stage(usual(false));

	packets.packets = true;
	for (unsigned i = 0; i < 2; i++) {
		put_odd(stage, no_time, 2, 0, &scope[i]);
		put_odd(stage, no_key, 2, 0, &scope[i]);
		put_odd(stage, six, 3, 1, &scope[i]); /* options */
	}
	put_odd(stage, six, 3, 0, &packets);
	CU_ASSERT_EQUAL(sink.count, 7);
	put_odd(stage, six, 3, 0, &scope[0]);
	put_odd(stage, six, 3, 0, &scope[1]);
	CU_ASSERT_EQUAL(sink.count, 8);
	expect_dropped(stage, 1);
	stage_free(stage);
}

/* Other keys, other points. */
static void
test_configured(void)
{
	const struct ie *key[] = {
		ie_find(registry, 0, IE_sourceIPv4Address),
		ie_find(registry, 0, IE_sourceIPv6Address),
	};
	const struct ie *point[] = {ie_find(registry, 0, IE_ingressInterface)};
	struct dedup_conf conf = usual(false);
	struct stage *stage;

	conf.key = key;
	conf.key_count = 2;
	conf.point = point;
	conf.point_count = 1;
	stage = open_stage(conf);
	put(stage, (struct seen){0, 1, 0, 1, 1, 7}, 1);
	put(stage, (struct seen){1, 1, 0, 1, 1, 7}, 2);
	put(stage, (struct seen){0, 1, 0, 1, 1, 8}, 3);
	CU_ASSERT_EQUAL(sink.count, 2);
	expect_dropped(stage, 1);
	stage_free(stage);
	CU_ASSERT(dedup_can_compare(ie_find(registry, 0, IE_flowDirection)));
	CU_ASSERT_FALSE(
		dedup_can_compare(ie_find(registry, 0, IE_interfaceName)));
	CU_ASSERT_FALSE(
		dedup_can_compare(ie_find(registry, 0, IE_flowStartSeconds)));
}

/* ---- slices in any order ------------------------------------------------ */

/*
 * Each point reports all slices of a Flow, its clock a second off at most, one
 * after the other; who is how far is random.
 */
static void
slices(unsigned seed)
{
	enum { FLOWS = 40, SLICES = 12, SLICE_MS = 60000 };
	struct dedup_conf conf = usual(false);
	struct stage *stage;
	unsigned done[POINTS][FLOWS] = {{0}}, left = POINTS * FLOWS * SLICES;
	int skew[POINTS];

	srand(seed);
	conf.window_ms = 86400000;
	stage = open_stage(conf);
	for (int i = 0; i < POINTS; i++)
		skew[i] = rand() % 1001;
	for (unsigned step = 0; left; step++) {
		unsigned point = (unsigned)rand() % POINTS;
		unsigned f = (unsigned)rand() % FLOWS;
		unsigned k = done[point][f];
		uint64_t start = 10000 + k * SLICE_MS + (uint64_t)skew[point];

		if (k == SLICES)
			continue;
		done[point][f]++;
		left--;
		/* Number by Flow and slice: whose it is does not matter. */
		put(stage,
		    (struct seen){point, f, start,
				  start + SLICE_MS - (unsigned)rand() % 100,
				  100, 0},
		    f * SLICES + k);
		if (step % 50 == 0)
			at(stage, step * 20);
	}
	stage_flush(stage);
	CU_ASSERT_EQUAL(sink.count, FLOWS * SLICES);
	for (unsigned i = 0; i < FLOWS * SLICES; i++)
		CU_ASSERT_EQUAL(sink.passed[i], 1);
	CU_ASSERT(ledger_balanced(&stage->ledger));
	expect_dropped(stage, (POINTS - 1) * FLOWS * SLICES);
	stage_free(stage);
}

static void
test_slices_first(void)
{
	for (unsigned i = 0; i < unit_turns(100); i++)
		slices(i);
}

/*
 * The best has to wait: all points report a slice within the hold time, in any
 * order, before the next one.
 */
static void
slices_in_rounds(unsigned seed)
{
	enum { FLOWS = 40, SLICES = 12, SLICE_MS = 60000 };
	struct stage *stage = open_stage(usual(true));
	unsigned order[POINTS * FLOWS];
	int skew[POINTS];

	srand(seed);
	for (int i = 0; i < POINTS; i++)
		skew[i] = rand() % 1001;
	for (unsigned i = 0; i < POINTS * FLOWS; i++)
		order[i] = i;
	for (unsigned k = 0; k < SLICES; k++) {
		uint64_t round = (uint64_t)k * SLICE_MS;

		for (unsigned i = 0; i < POINTS * FLOWS; i++) {
			unsigned other = (unsigned)rand() % (POINTS * FLOWS);
			unsigned n = order[i];

			order[i] = order[other];
			order[other] = n;
		}
		for (unsigned i = 0; i < POINTS * FLOWS; i++) {
			unsigned point = order[i] % POINTS;
			unsigned f = order[i] / POINTS;
			uint64_t start = 10000 + round + (uint64_t)skew[point];

			put(stage,
			    (struct seen){point, f, start, start + SLICE_MS,
					  (uint64_t)rand() % 50, 0},
			    f * SLICES + k);
			at(stage, round + i * 50);
		}
	}
	stage_flush(stage);
	CU_ASSERT_EQUAL(sink.count, FLOWS * SLICES);
	for (unsigned i = 0; i < FLOWS * SLICES; i++)
		CU_ASSERT_EQUAL(sink.passed[i], 1);
	expect_dropped(stage, (POINTS - 1) * FLOWS * SLICES);
	stage_free(stage);
}

static void
test_slices_best(void)
{
	for (unsigned i = 0; i < unit_turns(50); i++)
		slices_in_rounds(i);
}

/* ---- a slow reference --------------------------------------------------- */

struct wait {
	struct seen seen;
	uint32_t id;
	uint64_t due;
	bool gone;
};

struct memory {
	bool used;
	int owner; /* -1: none yet */
	uint64_t since, end, last_start, heard;
	unsigned count;
	struct wait wait[16];
};

enum { KEYS = 12 };

static struct model {
	bool best;
	uint64_t now, window, hold, tolerance;
	struct memory memory[KEYS];
	uint8_t passed[KEPT];
	unsigned dropped;
} model;

static bool
same_time(uint64_t s1, uint64_t e1, uint64_t s2, uint64_t e2)
{
	int64_t tolerance = (int64_t)model.tolerance;
	int64_t overlap =
		(int64_t)(e1 < e2 ? e1 : e2) - (int64_t)(s1 > s2 ? s1 : s2);
	uint64_t first_end = s1 < s2 ? e1 : e2;
	uint64_t second_start = s1 < s2 ? s2 : s1;
	uint64_t second_end = s1 < s2 ? e2 : e1;

	if (llabs((int64_t)s1 - (int64_t)s2) <= tolerance)
		return true;
	if (second_start >= first_end && second_end > first_end)
		return false;
	return second_end <= first_end + model.tolerance || overlap > tolerance;
}

static void
model_pass(struct memory *m, const struct seen *seen, uint32_t id)
{
	model.passed[id]++;
	m->owner = (int)seen->point;
	m->since = seen->start < m->since ? seen->start : m->since;
	m->end = seen->end > m->end ? seen->end : m->end;
	m->last_start = seen->start;
	m->heard = model.now;
}

static void
model_drop_waiting(struct memory *m, const struct seen *seen)
{
	for (unsigned i = 0; i < m->count; i++) {
		struct wait *w = &m->wait[i];

		if (w->gone || w->seen.point == seen->point ||
		    !same_time(seen->start, seen->end, w->seen.start,
			       w->seen.end))
			continue;
		w->gone = true;
		model.dropped++;
	}
}

static void
model_pack(struct memory *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->count; i++)
		if (!m->wait[i].gone)
			m->wait[n++] = m->wait[i];
	m->count = n;
}

static void
model_decide(struct memory *m)
{
	while (m->count) {
		uint64_t most = 0;
		unsigned best = m->wait[0].seen.point;

		for (unsigned i = 0; i < m->count; i++) {
			uint64_t sum = 0;

			for (unsigned k = 0; k < m->count; k++)
				if (m->wait[k].seen.point ==
				    m->wait[i].seen.point)
					sum += m->wait[k].seen.packets;
			if (sum > most) {
				most = sum;
				best = m->wait[i].seen.point;
			}
		}
		for (unsigned i = 0; i < m->count; i++)
			if (m->wait[i].seen.point == best) {
				model_pass(m, &m->wait[i].seen, m->wait[i].id);
				m->wait[i].gone = true;
				model_drop_waiting(m, &m->wait[i].seen);
			}
		model_pack(m);
	}
}

static void
model_tick(uint64_t now)
{
	model.now = now;
	for (int k = 0; k < KEYS; k++) {
		struct memory *m = &model.memory[k];

		if (m->used && m->count && m->wait[0].due <= now)
			model_decide(m);
	}
}

static void
model_put(const struct seen *seen, uint32_t id)
{
	struct memory *m = &model.memory[seen->key];

	if (!m->used)
		*m = (struct memory){.used = true,
				     .owner = -1,
				     .since = UINT64_MAX,
				     .heard = model.now};
	if (m->owner != (int)seen->point) {
		if (m->owner >= 0 &&
		    (same_time(m->since, m->end, seen->start, seen->end) ||
		     llabs((int64_t)seen->start - (int64_t)m->last_start) <=
			     (int64_t)model.tolerance)) {
			model.dropped++;
			return;
		}
		if (model.best && m->count < 16) {
			m->wait[m->count++] = (struct wait){
				*seen, id, model.now + model.hold, false};
			return;
		}
		if (model.best) { /* undecided */
			model.passed[id]++;
			return;
		}
	}
	model_pass(m, seen, id);
	model_drop_waiting(m, seen);
	model_pack(m);
}

static void
random_against_model(bool best, unsigned seed)
{
	struct dedup_conf conf = usual(best);
	struct stage *stage;
	uint64_t now = 0;
	uint32_t id = 0;

	srand(seed);
	/* Nothing is forgotten, as that is to the wheel's resolution. */
	conf.window_ms = 86400000;
	stage = open_stage(conf);
	memset(&model, 0, sizeof(model));
	model.best = best;
	model.hold = conf.hold_ms;
	model.tolerance = conf.tolerance_ms;
	at(stage, 0);
	for (unsigned step = 0; step < 1000; step++) {
		struct seen seen[BATCH_MAX];
		uint32_t n = 1 + (uint32_t)rand() % 20;
		unsigned point = (unsigned)rand() % POINTS;

		for (uint32_t i = 0; i < n; i++) {
			uint64_t start =
				now * 2 + 100000 + (uint64_t)rand() % 30000;

			seen[i] = (struct seen){
				point,
				(unsigned)rand() % KEYS,
				start,
				start + (uint64_t)rand() % 3 * 7001,
				(uint64_t)rand() % 20,
				0,
			};
			model_put(&seen[i], id + i);
		}
		put_all(stage, seen, n, id);
		id += n;
		if (rand() % 3)
			continue;
		now += (uint64_t)rand() % 3000;
		at(stage, now);
		model_tick(now);
		CU_ASSERT_EQUAL(stage->ledger.filtered, model.dropped);
		CU_ASSERT_EQUAL(memcmp(sink.passed, model.passed, id), 0);
	}
	stage_flush(stage);
	for (int k = 0; k < KEYS; k++)
		model_decide(&model.memory[k]);
	CU_ASSERT_EQUAL(memcmp(sink.passed, model.passed, id), 0);
	CU_ASSERT_EQUAL(stage->ledger.filtered, model.dropped);
	CU_ASSERT(ledger_balanced(&stage->ledger));
	CU_ASSERT_TRUE(stage_drained(stage));
	stage_free(stage);
}

static void
test_random(void)
{
	for (unsigned i = 0; i < unit_turns(50); i++) {
		random_against_model(false, i);
		random_against_model(true, i);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"the first", test_first},
		{"tolerance", test_tolerance},
		{"what is forgotten", test_window},
		{"the best", test_best},
		{"the best: ends", test_best_ends},
		{"bounds", test_bounds},
		{"undecided", test_undecided},
		{"other keys and points", test_configured},
		{"each slice once: the first", test_slices_first},
		{"each slice once: the best", test_slices_best},
		{"random, against lists", test_random},
	};
	struct field field[UNIT_COUNT(element)];
	int rc;

	registry = ie_registry_new(64);
	shapes = shape_table_new(64);
	for (size_t i = 0; i < UNIT_COUNT(element); i++) {
		field[i].ie = ie_find(registry, 0, element[i]);
		field[i].length = field[i].ie->length;
	}
	field[8].length = 4; /* packets, of reduced size */
	if (shape_get(shapes, field, UNIT_COUNT(element), 0, &flow_shape) < 0)
		return 1;
	for (int i = 0; i < POINTS; i++)
		scope[i] = (struct scope){
			.serial = (uint64_t)i + 1,
			.domain = 7,
			.exporter = {.version = 4,
				     .bytes = {192, 0, 2, (uint8_t)i}},
		};
	rc = unit_run("de-duplication", tests, UNIT_COUNT(tests));
	shape_release(flow_shape);
	shape_table_free(shapes);
	ie_registry_free(registry);
	return rc;
}
