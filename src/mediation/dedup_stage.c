/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * De-duplication as an Intermediate Process: the same packets make Flow Records
 * at each Observation Point on their way, and only those of one point pass.
 * (RFC 6183 section 5.3 names it among what a mediator may do; how is left to
 * us.)
 *
 * A Flow is known by its key. One Observation Point owns it: all of its records
 * pass, so slices by an active timeout are never taken for duplicates of each
 * other. A record of another point is a duplicate if it tells of the same time:
 *
 *   - it starts when the owner's last record did, give or take the tolerance
 *     (clocks differ, and a Flow of one packet has no length), or
 *   - it overlaps what the owner has reported by more than the tolerance, or
 *     lies in it: points with other timeouts cut a Flow into other slices.
 *
 * One that begins after all that the owner has told is news: its point is the
 * owner from then on. So one of two equal slices passes, whichever comes first,
 * and a Flow whose way changes goes on. Times are those of the records; how
 * long a Flow is remembered goes by arrival.
 *
 * Who is the owner first: the first that reports the Flow, or the one with the
 * most packets in what has come when the hold time is over.
 *
 * Where it is not certain, nothing is dropped: records without times or without
 * the keys pass undecided, and so do those for which there is no room.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "dedup.h"

enum { START, END, PACKETS, TIMES };

/* For records of one shape from one class of scopes. */
struct plan {
	struct shape_made made;	 /* more: scope_class */
	struct decoder *decoder; /* NULL: they pass undecided */
	bool has_end;
};

/* ---- the layout of a row ----------------------------------------------- */

static const struct default_key {
	uint16_t id;
	bool optional;
} default_key[] = {
	{IE_sourceIPv4Address, false},	     {IE_destinationIPv4Address, false},
	{IE_sourceIPv6Address, false},	     {IE_destinationIPv6Address, false},
	{IE_protocolIdentifier, true},	     {IE_sourceTransportPort, true},
	{IE_destinationTransportPort, true}, {IE_icmpTypeCodeIPv4, true},
	{IE_icmpTypeCodeIPv6, true},
};

/* A mediator before us tells the original in the record; else it is the scope.
 */
static const uint16_t default_point[] = {
	IE_originalExporterIPv4Address,
	IE_originalExporterIPv6Address,
	IE_originalObservationDomainId,
	IE_observationPointId,
};

/* Of IP versions: a record has the one or the other. */
static const uint16_t twin[][2] = {
	{IE_sourceIPv4Address, IE_sourceIPv6Address},
	{IE_destinationIPv4Address, IE_destinationIPv6Address},
	{IE_sourceIPv4Prefix, IE_sourceIPv6Prefix},
	{IE_destinationIPv4Prefix, IE_destinationIPv6Prefix},
	{IE_icmpTypeCodeIPv4, IE_icmpTypeCodeIPv6},
	{IE_ipNextHopIPv4Address, IE_ipNextHopIPv6Address},
	{IE_exporterIPv4Address, IE_exporterIPv6Address},
};

static uint16_t
twin_of(const struct ie *ie)
{
	for (size_t i = 0; ie->pen == 0 && i < sizeof(twin) / sizeof(twin[0]);
	     i++)
		for (int k = 0; k < 2; k++)
			if (twin[i][k] == ie->id)
				return twin[i][1 - k];
	return 0;
}

static void
add_slot(struct dedup *d, const struct ie *ie, enum slot_kind kind,
	 uint32_t *at)
{
	struct slot *slot = &d->slot[d->slot_count++];

	*slot = (struct slot){
		.ie = ie,
		.kind = (uint8_t)kind,
		.prefix_length = -1,
		.offset = (uint16_t)*at,
		.width = slot_width_of(ie, kind),
	};
	*at += slot->width;
}

static uint32_t
aligned(uint32_t at)
{
	return (at + 7) & ~7u;
}

bool
dedup_can_compare(const struct ie *ie)
{
	return slot_kind_of(ie, false) == SLOT_BYTES;
}

static int
make_slots(struct dedup *d, const struct dedup_conf *conf,
	   const struct ie_registry *registry)
{
	size_t defaults = sizeof(default_key) / sizeof(default_key[0]);
	size_t points = sizeof(default_point) / sizeof(default_point[0]);
	static const uint16_t times[TIMES] = {IE_flowStartNanoseconds,
					      IE_flowEndNanoseconds,
					      IE_packetDeltaCount};
	uint32_t at = ROW_KEY;

	d->key_count = conf->key_count ? conf->key_count : (unsigned)defaults;
	d->point_count =
		conf->point_count ? conf->point_count : (unsigned)points;
	d->slot =
		calloc(d->key_count + d->point_count + TIMES, sizeof(*d->slot));
	d->optional = calloc(d->key_count, sizeof(*d->optional));
	if (!d->slot || !d->optional)
		return -ENOMEM;
	for (unsigned i = 0; i < d->key_count; i++) {
		d->optional[i] = !conf->key_count && default_key[i].optional;
		add_slot(d,
			 conf->key_count
				 ? conf->key[i]
				 : ie_find(registry, 0, default_key[i].id),
			 SLOT_BYTES, &at);
	}
	at = aligned(at);
	d->key_end = (uint16_t)at;
	d->point_at = d->key_end;
	for (unsigned i = 0; i < d->point_count; i++)
		add_slot(d,
			 conf->point_count
				 ? conf->point[i]
				 : ie_find(registry, 0, default_point[i]),
			 SLOT_BYTES, &at);
	at = aligned(at);
	d->time_at = (uint16_t)at;
	for (int i = 0; i < TIMES; i++)
		add_slot(d, ie_find(registry, 0, times[i]),
			 i == PACKETS ? SLOT_UINT : SLOT_TIME, &at);
	d->stride = at;
	return 0;
}

/* ---- plans ------------------------------------------------------------- */

static void
plan_free(struct shape_made *made)
{
	struct plan *plan = (struct plan *)made;

	decoder_free(plan->decoder);
	free(plan);
}

/* A key that a record lacks, unless its twin stands for it. */
static bool
lacks(const struct dedup *d, const struct source *source, unsigned key)
{
	uint16_t other = twin_of(d->slot[key].ie);

	if (source[key].kind != SOURCE_NONE || d->optional[key])
		return false;
	for (unsigned i = 0; other && i < d->key_count; i++)
		if (d->slot[i].ie->pen == 0 && d->slot[i].ie->id == other &&
		    source[i].kind != SOURCE_NONE)
			return false;
	return true;
}

static bool
can_decide(const struct dedup *d, const struct batch *batch,
	   const struct source *source)
{
	if (batch->scope->packets ||
	    source[d->key_count + d->point_count + START].kind == SOURCE_NONE)
		return false;
	for (unsigned i = 0; i < d->key_count; i++)
		if (lacks(d, source, i))
			return false;
	return true;
}

static int
plan_decoder(struct dedup *d, const struct batch *batch,
	     const struct source *source, struct plan *plan)
{
	unsigned times = d->key_count + d->point_count;
	int rc = decoder_new(batch->shape, NULL, &plan->decoder);

	for (unsigned i = 0; rc == 0 && i < d->slot_count; i++)
		if (source[i].kind != SOURCE_NONE)
			rc = decoder_add(plan->decoder, &d->slot[i],
					 &source[i]);
	plan->has_end = source[times + END].kind != SOURCE_NONE;
	return rc == 0 ? decoder_finish(plan->decoder) : rc;
}

static int
plan_build(struct dedup *d, const struct batch *batch, struct plan *plan)
{
	struct source *source = calloc(d->slot_count, sizeof(*source));
	int rc = 0;

	if (!source)
		return -ENOMEM;
	for (unsigned i = 0; i < d->slot_count; i++)
		source_find(batch->shape, batch->scope, d->slot[i].ie,
			    &source[i]);
	if (can_decide(d, batch, source))
		rc = plan_decoder(d, batch, source, plan);
	free(source);
	return rc;
}

/* NULL only without memory. */
static struct plan *
find_plan(struct dedup *d, const struct batch *batch)
{
	unsigned class = scope_class(batch->scope);
	struct shape_made *made =
		shape_map_find(&d->plans, batch->shape, class);
	struct plan *plan = (struct plan *)made;

	if (made)
		return plan;
	plan = calloc(1, sizeof(*plan));
	if (!plan)
		return NULL;
	if (plan_build(d, batch, plan) < 0) {
		plan_free(&plan->made);
		return NULL;
	}
	d->scratch_plan = NULL; /* the new one may lie where one was */
	return shape_map_add(&d->plans, batch->shape, class, &plan->made) < 0
		       ? NULL
		       : plan;
}

/* ---- judging ----------------------------------------------------------- */

enum verdict { VERDICT_PASS, VERDICT_DROP, VERDICT_HOLD };

static uint64_t
distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/*
 * Are two stretches of time of the same packets? If one begins clearly before
 * the other, they have to overlap by more than the tolerance, as slices that
 * follow each other do at unequal clocks; or the second lies in the first.
 */
static bool
is_same_time(const struct dedup *d, uint64_t a_start, uint64_t a_end,
	     uint64_t b_start, uint64_t b_end)
{
	uint64_t tolerance = d->tolerance_ns;

	if (distance(a_start, b_start) <= tolerance)
		return true;
	if (b_start < a_start)
		return is_same_time(d, b_start, b_end, a_start, a_end);
	if (b_end <= a_end)
		return true;
	return b_start < a_end &&
	       (a_end - b_start > tolerance || b_end - a_end <= tolerance);
}

bool
dedup_matches(const struct dedup *d, const struct sighting *a,
	      const struct sighting *b)
{
	return is_same_time(d, a->start, a->end, b->start, b->end);
}

/* The owner, or one before it, has told of this already. */
static bool
covers(const struct dedup *d, const struct known_flow *flow,
       const struct sighting *s)
{
	return distance(s->start, flow->last_start) <= d->tolerance_ns ||
	       is_same_time(d, flow->since, flow->end, s->start, s->end);
}

void
dedup_accept(struct known_flow *flow, const struct sighting *s)
{
	if (s->start < flow->since)
		flow->since = s->start;
	if (s->end > flow->end)
		flow->end = s->end;
	flow->last_start = s->start;
}

static uint64_t
get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void
read_sighting(const struct dedup *d, const struct plan *plan,
	      const uint8_t *row, struct sighting *s)
{
	const uint8_t *times = row + d->time_at;

	s->point = hash_words(row + d->point_at,
			      (size_t)(d->time_at - d->point_at), d->seed) |
		   1;
	s->start = get64(times);
	s->end = plan->has_end ? get64(times + 8) : s->start;
	if (s->end < s->start)
		s->end = s->start;
	s->packets = get64(times + 16);
}

/* The row of its Flow, made if need be; 0: there is no room. */
static uint32_t
find_flow(struct dedup *d, const uint8_t *key, uint32_t hash, uint32_t found)
{
	struct row *row;
	bool reverse;

	if (found)
		return found;
	/* An earlier record of this batch may have made it. */
	found = flow_table_find_one(&d->table, key, hash, &reverse);
	if (found || flow_table_add(&d->table, key, hash, &found) < 0)
		return found;
	row = flow_table_row(&d->table, found);
	row->first = row->last = (uint32_t)d->now_ms;
	row->flags = 1;
	*dedup_flow(d, found) = (struct known_flow){.since = UINT64_MAX};
	flow_table_wait(&d->table, found, d->now_ms + d->conf.window_ms);
	return found;
}

static enum verdict
judge(struct dedup *d, const struct batch *batch, uint32_t i, uint32_t number,
      const struct sighting *s)
{
	struct known_flow *flow;

	if (!number) {
		d->table_full++;
		return VERDICT_PASS;
	}
	flow = dedup_flow(d, number);
	if (flow->owner != s->point) {
		if (flow->owner && covers(d, flow, s))
			return VERDICT_DROP;
		if (d->conf.best) {
			if (waiting_add(d, number, batch, i, s))
				return VERDICT_HOLD;
			d->hold_full++;
			return VERDICT_PASS;
		}
		flow->owner = s->point;
	}
	dedup_accept(flow, s);
	flow_table_row(&d->table, number)->last = (uint32_t)d->now_ms;
	if (flow->held)
		waiting_drop(d, flow, s);
	return VERDICT_PASS;
}

/* The numbers of those that pass; how many. */
static uint32_t
judge_all(struct dedup *d, const struct plan *plan, const struct batch *batch,
	  uint32_t *index)
{
	struct ledger *ledger = &d->stage.ledger;
	uint32_t hash[BATCH_MAX], found[BATCH_MAX], kept = 0;
	bool reverse[BATCH_MAX];
	uint8_t bad[BATCH_MAX];

	/* A plan leaves alone what its records do not have. */
	if (d->scratch_plan != plan)
		memset(d->scratch, 0, (size_t)d->stride * BATCH_MAX);
	d->scratch_plan = plan;
	decoder_run(plan->decoder, batch, d->scratch, d->stride, bad);
	flow_table_find(&d->table, d->scratch, d->stride, batch->count, hash,
			found, reverse);
	for (uint32_t i = 0; i < batch->count; i++) {
		const uint8_t *row = d->scratch + (size_t)i * d->stride;
		struct sighting s;

		read_sighting(d, plan, row, &s);
		found[i] = find_flow(d, row, hash[i], found[i]);
		switch (judge(d, batch, i, found[i], &s)) {
		case VERDICT_PASS:
			index[kept++] = i;
			break;
		case VERDICT_DROP:
			ledger->filtered++;
			break;
		case VERDICT_HOLD:
			break;
		}
	}
	return kept;
}

/* ---- the stage --------------------------------------------------------- */

static void
pass_all(struct dedup *d, const struct batch *batch)
{
	d->stage.ledger.exported += batch->count;
	stage_forward(&d->stage, batch);
}

static void
dedup_run(struct stage *stage, const struct batch *batch)
{
	struct dedup *d = (struct dedup *)stage;
	uint32_t index[BATCH_MAX], count;
	const struct plan *plan;

	stage->ledger.in += batch->count;
	if (batch->shape->scope_count) {
		pass_all(d, batch);
		return;
	}
	plan = find_plan(d, batch);
	if (!plan) {
		stage->ledger.lost[LOSS_NO_MEMORY] += batch->count;
		return;
	}
	if (!plan->decoder) {
		d->no_key += batch->count;
		pass_all(d, batch);
		return;
	}
	count = judge_all(d, plan, batch, index);
	if (count == batch->count) {
		pass_all(d, batch);
		return;
	}
	stage->ledger.exported += count;
	stage_forward_some(stage, batch, index, count, d->buffer, DEDUP_BUFFER,
			   d->offset);
}

/* Flows that nobody has told of for the time of the window are forgotten. */
static void
forget_slot(struct dedup *d, uint64_t slot)
{
	struct flow_table *t = &d->table;
	uint32_t *head = &t->wheel[slot % WHEEL_SLOTS];
	uint32_t list = *head, next;

	*head = 0;
	for (; list; list = next) {
		struct row *row = flow_table_row(t, list);
		uint32_t age = (uint32_t)d->now_ms - row->last;

		next = row->next;
		t->linked--;
		if (age < d->conf.window_ms) {
			flow_table_wait(t, list,
					d->now_ms + d->conf.window_ms - age);
		} else if (dedup_flow(d, list)->held) {
			/* The next stages are congested. */
			flow_table_wait(t, list, d->now_ms + 1);
		} else {
			flow_table_remove(t, list);
			flow_table_free_row(t, list);
		}
	}
}

static void
dedup_tick(struct stage *stage, uint64_t now_ms)
{
	struct dedup *d = (struct dedup *)stage;
	struct flow_table *t = &d->table;

	d->now_ms = now_ms;
	if (d->conf.best)
		waiting_run(d);
	while (t->linked && t->wheel_done < now_ms >> WHEEL_SHIFT)
		forget_slot(d, ++t->wheel_done);
	if (!t->linked)
		t->wheel_done = now_ms >> WHEEL_SHIFT;
	flow_table_trim(t);
}

static void
dedup_scope_end(struct stage *stage, const struct scope *scope)
{
	struct dedup *d = (struct dedup *)stage;

	if (d->conf.best)
		waiting_end(d, scope);
	stage_pass_scope_end(stage, scope);
}

static void
dedup_cut(struct stage *stage)
{
	struct dedup *d = (struct dedup *)stage;

	if (d->conf.best)
		waiting_end(d, NULL);
	stage_pass_cut(stage);
}

static void
dedup_flush(struct stage *stage)
{
	struct dedup *d = (struct dedup *)stage;

	d->flushing = true;
	if (d->conf.best)
		waiting_run(d);
}

static bool
dedup_drained(const struct stage *stage)
{
	return stage->ledger.held == 0;
}

static void
dedup_report(struct stage *stage, struct report *report)
{
	const struct dedup *d = (const struct dedup *)stage;

	report_open(report, "deduplicate");
	report_text(report, "choose", d->conf.best ? "mostPackets" : "first");
	report_uint(report, "flows", d->table.live);
	report_uint(report, "maxFlows", d->conf.max_flows);
	report_uint(report, "octets",
		    flow_table_octets(&d->table) + d->ring.used);
	report_uint(report, "undecidedNoKey", d->no_key);
	report_uint(report, "undecidedTableFull", d->table_full);
	report_uint(report, "undecidedHoldFull", d->hold_full);
	report_close(report);
}

static void
dedup_free(struct stage *stage)
{
	struct dedup *d = (struct dedup *)stage;

	waiting_fini(d);
	shape_map_fini(&d->plans);
	flow_table_fini(&d->table);
	free(d->slot);
	free(d->optional);
	free(d->scratch);
	free(d->buffer);
	free(d);
}

static const struct stage_ops dedup_ops = {
	.run = dedup_run,
	.tick = dedup_tick,
	.scope_end = dedup_scope_end,
	.cut = dedup_cut,
	.flush = dedup_flush,
	.drained = dedup_drained,
	.report = dedup_report,
	.free = dedup_free,
};

int
dedup_stage_new(const struct dedup_conf *conf,
		const struct ie_registry *registry, struct stage **out)
{
	struct dedup *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return -ENOMEM;
	d->stage.ops = &dedup_ops;
	d->stage.name = conf->name;
	d->conf = *conf;
	d->tolerance_ns = conf->tolerance_ms * UINT64_C(1000000);
	d->seed = hash_seed();
	d->plans.free = plan_free;
	d->now_ms = clock_mono_ms();
	rc = make_slots(d, conf, registry);
	if (rc == 0)
		rc = flow_table_init(
			&d->table, d->key_end + sizeof(struct known_flow),
			d->key_end - ROW_KEY, conf->max_flows, d->now_ms);
	if (rc == 0 && conf->best)
		rc = waiting_init(d);
	if (rc == 0) {
		d->scratch = calloc(BATCH_MAX, d->stride);
		d->buffer = malloc(DEDUP_BUFFER);
		rc = d->scratch && d->buffer ? 0 : -ENOMEM;
	}
	if (rc < 0) {
		dedup_free(&d->stage);
		return rc;
	}
	*out = &d->stage;
	return 0;
}
