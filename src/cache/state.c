/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What time and the end do to a state file, see state.h.
 *
 * The file is always one from which the cache can go on: it has the flows of
 * the last generation, and what has left of them since. A new generation is
 * written beside it, a slice each tick, and takes its place when it is whole.
 * That a flow leaves is written before its record is handed on, so a crash in
 * between loses it (with those encoded together, BATCH_MAX at most), and no
 * flow is exported twice. What came after the last generation was begun is lost
 * with a crash. Only the last generation, at a clean stop, is synced: the
 * others outlive this process, not this machine.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/file.h"
#include "state.h"

enum {
	RETRY_MS = 10000, /* when there is no interval */
	SLICE_US = 5000,
};

static void save_now(struct state *state);

int
state_new(struct cache *cache, const struct cache_conf *conf,
	  struct state **out, const char **error)
{
	struct state *state = calloc(1, sizeof(*state));
	int rc = -ENOMEM;

	if (!state)
		return rc;
	state->cache = cache;
	state->path = conf->state_file;
	state->interval_ms = (uint64_t)conf->state_interval_s * 1000;
	state->exports = conf->state_export;
	state->journal = conf->state_journal;
	state->slice_us = SLICE_US;
	state->next_ms = clock_mono_ms() + state->interval_ms;
	state->file = calloc(1, sizeof(*state->file));
	state->next = calloc(1, sizeof(*state->next));
	state->wire = malloc(ENCODER_BUFFER);
	if (state->file && state->next && state->wire) {
		state->file->fd = state->next->fd = -1;
		rc = state_shapes_init(&state->shapes, cache->registry,
				       cache->shapes);
	}
	if (rc == 0)
		rc = state_load(state, error);
	/* A journal needs a file that it goes on with. */
	if (rc == 0 && state->journal && state->file->fd < 0)
		save_now(state);
	if (rc < 0) {
		state_free(state);
		return rc;
	}
	*out = state;
	return 0;
}

static void
drop_next(struct state *state)
{
	if (!state->writing)
		return;
	state_save_end(state);
	state_out_close(state->next);
	file_part_drop(state->path);
}

void
state_free(struct state *state)
{
	if (!state)
		return;
	if (state->next)
		drop_next(state);
	if (state->file)
		state_out_close(state->file);
	state_load_free(state->load);
	state_shapes_fini(&state->shapes);
	free(state->file);
	free(state->next);
	free(state->wire);
	free(state);
}

static void
warn(struct state *state, const char *what, int error, const char *then)
{
	uint32_t held;

	state->failures++;
	if (log_limit_pass(&state->limit, clock_mono_ms(), &held))
		log_warning("cache %s: %s can't be %s: %s: %s",
			    state->cache->stage.name, state->path, what,
			    strerror(-error), then);
}

void
state_give_up(struct state *state, const char *what, int error)
{
	warn(state, what, error,
	     "it is removed, as it would bring back flows that have left");
	state_out_close(state->file);
	unlink(state->path);
}

/* ---- flows that leave ---------------------------------------------------- */

static void
put_left(struct state_out *out, uint32_t number, uint8_t what)
{
	uint8_t *p;

	if (out->fd < 0)
		return;
	p = state_out_data(out, STATE_LEFT_ID, 5);
	wire_put32(p, number);
	p[4] = what;
}

/* Is it in what has been written of the next generation? */
static bool
is_written(const struct state *state, const struct layout *layout,
	   uint32_t number)
{
	if (!state->writing)
		return false;
	return layout->saved_in == state->generation ||
	       (layout == state->layout && number < state->row);
}

void
state_leaves(struct state *state, const struct layout *layout, uint32_t number,
	     bool keep)
{
	const struct row *row = flow_table_row(&layout->table, number);
	uint8_t what = keep ? STATE_TOLD : STATE_GONE;

	if (state->journal && !layout->retired) {
		state_journal_leaves(state, layout, row, keep);
		return;
	}
	if (!(row->flags & ROW_SAVED))
		return;
	state->left += !keep;
	put_left(state->file, row->saved, what);
	if (is_written(state, layout, number))
		put_left(state->next, row->saved, what);
}

void
state_leaves_number(struct state *state, uint32_t number)
{
	put_left(state->file, number, STATE_GONE);
}

void
state_told(struct state *state)
{
	state_out_flush(state->file);
	if (state->file->error && state->file->fd >= 0)
		state_give_up(state, "appended to", state->file->error);
}

/* ---- generations --------------------------------------------------------- */

/* The generation that is whole takes its place. 0 or an errno. */
static int
put_in_place(struct state *state, bool sync)
{
	struct state_out *out = state->next;
	int rc = out->error;

	if (rc < 0) {
		drop_next(state);
		return rc;
	}
	rc = file_part_done(state->path, out->fd, sync);
	state_save_end(state);
	if (rc < 0) {
		state_out_close(out);
		return rc;
	}
	state_out_close(state->file);
	state->next = state->file;
	state->file = out;
	state->generations++;
	state->saved_flows = state->flows;
	state->saved_ms = state->begun_ms;
	state->saved_octets = state->base = out->octets;
	if (state->journal_ends)
		state->journal = 0;
	state->journal_ends = false;
	state->saved_busy_us = state->busy_us;
	return 0;
}

/* All at once. */
static int
save_whole(struct state *state, bool sync)
{
	int rc;

	drop_next(state);
	rc = state_save_begin(state, true);
	if (rc < 0)
		return rc;
	state_save_step(state);
	return put_in_place(state, sync);
}

/* For a journal that can't go on behind what was there. */
static void
save_now(struct state *state)
{
	int rc = save_whole(state, false);

	if (rc < 0)
		state_give_up(state, "written", rc);
}

void
state_cut(struct state *state)
{
	if (state->journal && !state->load && !state->cache->flushing)
		save_now(state);
}

/* By the clock, or as the journal has become long, or there is none. */
static bool
is_time(const struct state *state, uint64_t now_ms)
{
	if (state->interval_ms && now_ms >= state->next_ms)
		return true;
	return state->journal &&
	       (state->file->fd < 0
			? now_ms >= state->next_ms
			: state->file->octets - state->base > state->journal ||
				  state->file->next_id == UINT16_MAX);
}

static void
step(struct state *state, uint64_t now_ms)
{
	int rc = 0;

	if (!state->writing) {
		if (!is_time(state, now_ms))
			return;
		state->next_ms =
			now_ms +
			(state->interval_ms ? state->interval_ms : RETRY_MS);
		/* Numbers begin anew, which no flow may see half done. */
		if (state->number >= UINT32_MAX - state->cache->max_flows)
			rc = save_whole(state, false);
		else
			rc = state_save_begin(state, false);
	}
	if (rc == 0 && state->writing && state_save_step(state))
		rc = put_in_place(state, false);
	if (rc < 0)
		warn(state, "written", rc,
		     "the one before is what there is after a crash");
}

/* ---- the end ------------------------------------------------------------- */

/* Flows of which the file can't have a record leave as they always do. */
static void
export_skipped(struct cache *cache)
{
	for (unsigned i = 0; i < cache->layout_count; i++) {
		struct layout *layout = cache->layout[i];

		for (uint32_t n = 1; n < layout->table.used; n++) {
			const struct row *row =
				flow_table_row(&layout->table, n);

			if (row->flags & ROW_LIVE && !(row->flags & ROW_SAVED))
				emit_row(layout, n, END_FORCED, false);
		}
	}
	emit_all(cache);
}

/* True: they are in the file. */
static bool
save_last(struct state *state)
{
	struct cache *cache = state->cache;
	int rc;

	drop_next(state);
	if (state->exports)
		return false;
	rc = save_whole(state, true);
	if (rc < 0) {
		warn(state, "written", rc, "the flows are exported");
		return false;
	}
	cache->saved = true;
	if (state->skipped)
		export_skipped(cache);
	log_notice("cache %s: %" PRIu64 " flows are in %s", cache->stage.name,
		   state->saved_flows, state->path);
	return true;
}

bool
state_finish(struct state *state)
{
	/* First what no row was made of, as the file still has it. */
	state->finishing = state->load != NULL;
	return state->finishing || save_last(state);
}

bool
state_busy(const struct state *state)
{
	return state->finishing;
}

void
state_tick(struct state *state, uint64_t now_ms)
{
	struct cache *cache = state->cache;

	state_told(state); /* what was dropped since */
	if (state->load && !state_load_step(state))
		return;
	if (state->finishing) {
		state->finishing = false;
		if (!save_last(state))
			cache_export(cache);
	} else if (!cache->flushing) {
		step(state, now_ms);
	}
}

void
state_report(const struct state *state, struct report *report)
{
	char text[CLOCK_TEXT_SIZE];

	report_open(report, "cx:state");
	report_text(report, "file", state->path);
	report_uint(report, "restoredFlows", state->restored);
	report_uint(report, "exportedFlows", state->ended);
	report_uint(report, "lostFlows", state->missing);
	report_uint(report, "damagedMessages", state->damaged);
	report_bool(report, "writing", state->writing);
	report_uint(report, "generations", state->generations);
	if (state->generations) {
		report_text(report, "savedTime",
			    clock_format(text, state->saved_ms));
		report_uint(report, "savedFlows", state->saved_flows);
		report_uint(report, "savedOctets", state->saved_octets);
		report_uint(report, "busyMicroseconds", state->saved_busy_us);
		report_uint(report, "worstSliceMicroseconds", state->worst_us);
	}
	report_uint(report, "leftFlows", state->left);
	if (state->journal) {
		report_uint(report, "journalOctets",
			    state->file->octets - state->base);
		report_uint(report, "journalRecords", state->journaled);
		report_uint(report, "replayedRecords", state->replayed);
	}
	report_uint(report, "failures", state->failures);
	report_close(report);
}
