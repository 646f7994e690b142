/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The cache as a stage: what comes in, what time does, what is reported. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/ntp.h"
#include "state.h"

enum {
	PLANS_TRIM_MS = 60000,
	LEAP_MS = INT32_MAX, /* 24 days, the longest timeout that works */
};

/* Moves the good rows together. Strings of the bad ones are given back. */
static uint32_t
drop_bad(struct layout *layout, uint64_t present, uint8_t *rows, uint32_t count,
	 const uint8_t *bad)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint8_t *row = rows + (size_t)i * layout->stride;

		if (bad[i]) {
			row_strings(layout, row, present, var_release);
			continue;
		}
		if (kept != i)
			memcpy(rows + (size_t)kept * layout->stride, row,
			       layout->stride);
		kept++;
	}
	return kept;
}

/* The wall clock, or what it was for the data. */
static uint64_t
wall_ms(const struct cache *cache)
{
	return cache->data_clock ? cache->now_ms : clock_wall_ms();
}

void
cache_export(struct cache *cache)
{
	cache->exporting = true;
	cache->export_layout = 0;
	cache->export_row = 1;
}

static void
set_next_export(struct cache *cache, uint64_t wall)
{
	cache->next_export_ms =
		wall - wall % cache->interval_ms + cache->interval_ms;
}

void
cache_follow(struct cache *cache, uint64_t ms)
{
	cache->now_ms = ms;
	set_next_export(cache, ms);
}

/* What time brings, whichever clock it goes by. */
static void
time_passed(struct cache *cache)
{
	uint64_t wall = wall_ms(cache);

	if (cache->type == CACHE_PERMANENT && !cache->exporting &&
	    wall >= cache->next_export_ms) {
		set_next_export(cache, wall);
		cache_export(cache);
	}
	if (cache->exporting && export_continue(cache, wall))
		cache->exporting = false;
	retired_run(cache, true);
	closing_run(cache);
	if (!cache->flushing)
		expire(cache, cache->now_ms);
}

/*
 * Packets bring the time with them: before they are metered, what had to end
 * earlier does. It never goes back.
 */
static void
follow_data(struct cache *cache, uint64_t ms)
{
	uint64_t before = cache->now_ms;

	if (before == 0)
		set_next_export(cache, ms);
	if (ms <= before)
		return;
	/* Rows know 32 bits of their times: what is old leaves in between. */
	if (before && ms - before > LEAP_MS) {
		cache->now_ms = before + LEAP_MS;
		time_passed(cache);
	}
	cache->now_ms = ms;
	if (ms >> WHEEL_SHIFT != before >> WHEEL_SHIFT)
		time_passed(cache);
}

static void
cache_run(struct stage *stage, const struct batch *batch)
{
	struct cache *cache = (struct cache *)stage;
	struct ledger *ledger = &stage->ledger;
	uint8_t bad[BATCH_MAX] = {0};
	uint32_t count = batch->count, failed;
	struct layout *layout;
	struct plan *plan;

	ledger->in += count;
	if (batch->shape->scope_count && batch->options != OPTIONS_OTHER) {
		/* About the packets that the flows are made of. */
		ledger->exported += count;
		stage_forward(stage, batch);
		return;
	}
	if (batch->shape->scope_count) {
		ledger->filtered += count; /* Options Data are no flows */
		return;
	}
	if (cache->data_clock)
		follow_data(cache, batch->received_ms);
	plan = plan_get(cache, batch);
	if (!plan || !plan->layout) {
		ledger->lost[plan ? LOSS_LIMIT : LOSS_NO_MEMORY] += count;
		return;
	}
	layout = plan->layout;
	failed = decoder_run(plan->decoder, batch, layout->scratch,
			     layout->stride, bad);
	if (!failed)
		memset(bad, 0, sizeof(bad));
	ledger->lost[LOSS_LIMIT] += failed;
	if (plan->total_count) {
		uint32_t full =
			totals_run(cache, plan, batch, layout->scratch, bad);

		ledger->lost[LOSS_CACHE_FULL] += full;
		failed += full;
	}
	if (failed)
		count = drop_bad(layout, plan->present, layout->scratch, count,
				 bad);
	if (count == 0)
		return;
	if (cache->type == CACHE_IMMEDIATE) {
		emit_scratch(layout, layout->scratch, count, plan->present);
		return;
	}
	if (cache->distribution != DISTRIBUTION_NONE)
		interval_run(cache, plan, count);
	else
		update_rows(cache, plan, layout->scratch, count);
	if (plan->has_flags)
		emit_all(cache);
}

static void
cache_tick(struct stage *stage, uint64_t now_ms)
{
	struct cache *cache = (struct cache *)stage;

	if (cache->saved)
		return; /* what leaves now would come again */
	if (!cache->data_clock) {
		if (now_ms / PLANS_TRIM_MS != cache->now_ms / PLANS_TRIM_MS)
			plans_trim(cache, now_ms);
		cache->now_ms = now_ms;
	}
	time_passed(cache);
	if (cache->state)
		state_tick(cache->state, now_ms);
}

static void
cache_flush(struct stage *stage)
{
	struct cache *cache = (struct cache *)stage;

	cache->flushing = true;
	if (cache->state && state_finish(cache->state))
		return;
	cache_export(cache);
	if (export_continue(cache, wall_ms(cache)))
		cache->exporting = false;
}

static bool
cache_drained(const struct stage *stage)
{
	const struct cache *cache = (const struct cache *)stage;

	if (cache->state && state_busy(cache->state))
		return false;
	return !cache->flushing || !cache->exporting;
}

static uint64_t
active_flows(const struct cache *cache)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < cache->layout_count; i++)
		sum += cache->layout[i]->table.live;
	return sum;
}

void
cache_stats(const struct stage *stage, struct cache_stats *stats)
{
	const struct cache *cache = (const struct cache *)stage;

	*stats = (struct cache_stats){
		.active_flows = active_flows(cache),
		.data_records = stage->ledger.exported,
		.evicted = cache->evicted,
		.octets = cache->strings ? var_store_octets(cache->strings) : 0,
	};
	for (unsigned i = 0; i < cache->layout_count; i++)
		stats->octets += flow_table_octets(&cache->layout[i]->table);
}

uint64_t
cache_saved(const struct stage *stage)
{
	const struct cache *cache = (const struct cache *)stage;

	return cache->saved ? cache->state->saved_flows : 0;
}

static void
cache_report(struct stage *stage, struct report *report)
{
	static const char *const type_name[] = {
		[CACHE_IMMEDIATE] = "immediateCache",
		[CACHE_TIMEOUT] = "timeoutCache",
		[CACHE_NATURAL] = "naturalCache",
		[CACHE_PERMANENT] = "permanentCache",
	};
	struct cache *cache = (struct cache *)stage;
	char text[CLOCK_TEXT_SIZE];
	struct cache_stats stats;

	cache_stats(stage, &stats);
	report_text(report, "name", stage->name);
	report_uint(report, "meteringProcessId", cache->metering_process_id);
	report_uint(report, "dataRecords", stats.data_records);
	report_text(report, "cacheDiscontinuityTime",
		    clock_format(text, cache->start_wall_ms));
	report_open(report, type_name[cache->type]);
	if (cache->type != CACHE_IMMEDIATE) {
		report_uint(report, "maxFlows", cache->max_flows);
		report_uint(report, "activeFlows", stats.active_flows);
		report_uint(report, "unusedCacheEntries",
			    cache->max_flows - cache->rows);
	}
	report_close(report);
	report_uint(report, "cx:evictedFlows", stats.evicted);
	report_uint(report, "cx:octets", stats.octets);
	report_uint(report, "cx:listsCut", cache->lists_cut);
	if (cache->distribution != DISTRIBUTION_NONE)
		report_uint(report, "cx:intervalOverflow",
			    cache->interval_overflow);
	if (cache->state)
		state_report(cache->state, report);
	ledger_report(&stage->ledger, report);
}

static void
cache_free(struct stage *stage)
{
	struct cache *cache = (struct cache *)stage;

	state_free(cache->state);
	for (unsigned i = 0; i < cache->layout_count; i++)
		layout_free(cache->layout[i]);
	plans_free(cache);
	var_store_free(cache->strings);
	totals_free(cache->totals);
	closing_free(cache->closing);
	list_shapes_fini(&cache->lists);
	free(cache->wire);
	free(cache);
}

/*
 * Of packets: what tells of them goes through the cache (options). Flows are of
 * no scope that comes in.
 */
static void
cache_scope_end(struct stage *stage, const struct scope *scope)
{
	if (scope->packets)
		stage_pass_scope_end(stage, scope);
}

static const struct stage_ops cache_ops = {
	.scope_end = cache_scope_end,
	.run = cache_run,
	.tick = cache_tick,
	.cut = cache_cut,
	.flush = cache_flush,
	.drained = cache_drained,
	.report = cache_report,
	.free = cache_free,
};

/* Its elements are of 16 bits. */
static uint16_t
told_timeout(uint32_t seconds)
{
	return seconds < UINT16_MAX ? (uint16_t)seconds : UINT16_MAX;
}

int
cache_new(const struct cache_conf *conf, struct ie_registry *registry,
	  struct shape_table *shapes, struct stage **out, const char **error)
{
	struct cache *cache = calloc(1, sizeof(*cache));
	int err;

	*error = NULL;
	if (!cache)
		return -ENOMEM;
	cache->stage.ops = &cache_ops;
	cache->stage.name = conf->name;
	cache->type = conf->type;
	cache->max_flows =
		conf->max_flows ? conf->max_flows : CACHE_MAX_FLOWS_DEFAULT;
	cache->active_ms = (uint64_t)conf->active_timeout_s * 1000;
	cache->idle_ms = (uint64_t)conf->idle_timeout_s * 1000;
	cache->active_s = told_timeout(conf->active_timeout_s);
	cache->idle_s = told_timeout(conf->idle_timeout_s);
	if (conf->hold_ms)
		cache->active_ms = cache->idle_ms = conf->hold_ms;
	cache->interval_ms = conf->export_interval_s
				     ? (uint64_t)conf->export_interval_s * 1000
				     : 60000;
	cache->distribution = conf->distribution;
	cache->distribution_ns = (uint64_t)conf->interval_s * NSEC_PER_SEC;
	cache->metering_process_id = conf->metering_process_id;
	cache->registry = registry;
	cache->shapes = shapes;
	cache->tcp_flags = ie_find(registry, 0, IE_tcpControlBits);
	cache->data_clock = conf->data_clock;
	cache->biflow = conf->biflow;
	cache->now_ms = conf->data_clock ? 0 : clock_mono_ms();
	cache->start_wall_ms = clock_wall_ms();
	set_next_export(cache, cache->start_wall_ms);
	/* What lists of others name is not known any more. */
	cache->scope = (struct scope){
		.serial = scope_serial(),
		.domain = conf->domain,
		.transport = TRANSPORT_WORKER,
		.template_shape = list_shapes_find,
		.list_shapes = &cache->lists,
	};
	err = columns_init(cache, conf, error);
	if (!err)
		err = list_shapes_init(&cache->lists, registry, shapes);
	if (!err && cache->distribution != DISTRIBUTION_NONE &&
	    (cache->type != CACHE_PERMANENT || !conf->interval_s)) {
		*error = "distribution over intervals needs a permanent cache "
			 "and the length of the intervals";
		err = -EINVAL;
	}
	if (!err) {
		cache->strings = var_store_new(
			conf->max_octets ? conf->max_octets : 67108864);
		cache->totals = totals_new(cache->max_flows);
		cache->wire = malloc(ENCODER_BUFFER);
		err = closing_new(cache->max_flows, &cache->closing);
		if (!cache->strings || !cache->totals || !cache->wire)
			err = -ENOMEM;
	}
	if (!err && conf->state_file && conf->type != CACHE_IMMEDIATE)
		err = state_new(cache, conf, &cache->state, error);
	if (err) {
		cache_free(&cache->stage);
		return err;
	}
	*out = &cache->stage;
	return 0;
}
