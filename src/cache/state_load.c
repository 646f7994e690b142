/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A state file to rows. It is read twice: first for what is said behind the
 * flows, then for the flows. Where the fields are configured in another way
 * now, or there is no room for a flow, it is not kept, but exported as the file
 * has it, with the reason forced end; that takes as long as the next stages
 * need.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "state_load.h"

enum {
	FLOWS_MAX = UINT32_MAX, /* more have no number */
};

uint64_t
state_fingerprint(const struct cache *cache)
{
	uint64_t h = hash_u64(cache->type, cache->distribution);

	h = hash_u64(cache->distribution_ns, h);
	h = hash_u64(cache->biflow, h);
	for (unsigned i = 0; i < cache->column_count; i++) {
		const struct column *column = &cache->column[i];
		const struct cache_field *field = &column->field;

		h = hash_u64((uint64_t)field->ie->pen << 16 | field->ie->id, h);
		h = hash_u64((uint64_t)field->ie->type << 16 |
				     column_natural(column),
			     h);
		h = hash_u64((uint64_t)(uint16_t)field->prefix_length << 16 |
				     (uint64_t)field->key << 8 | column->merge,
			     h);
	}
	return h;
}

/* ---- what is said behind the flows --------------------------------------- */

static void
scan_left(struct load *load, const struct shape *shape, const struct set *set)
{
	struct walk walk = walk_of(shape, set);
	const uint8_t *p;

	while ((p = next_record(&walk)))
		if (p[4] == STATE_GONE || p[4] == STATE_TOLD)
			state_left_add(&load->left, wire_get32(p), p[4]);
}

static void
scan_set(void *arg, const struct template *t, const struct set *set)
{
	struct load *load = arg;
	const struct state_shapes *shapes = &load->state->shapes;
	struct walk walk = walk_of(t->shape, set);
	const uint8_t *p;

	if (t->shape == shapes->left) {
		scan_left(load, t->shape, set);
	} else if (t->shape == shapes->head && (p = next_record(&walk))) {
		load->head = true;
		load->domain = load->in.domain;
		load->fingerprint = wire_get64(p + 1);
		load->now_ms = wire_get64(p + 9);
	} else if (t->shape == shapes->end && (p = next_record(&walk))) {
		load->end = true;
		load->flows = wire_get64(p + 1);
	} else if (state_is_flow(t->shape)) {
		while ((p = next_record(&walk)) && load->seen < FLOWS_MAX) {
			struct meta meta = meta_of(p, walk.length);

			load->seen++;
			load->journaled += (meta.marks & STATE_KIND) != 0;
			if (meta.number > load->number)
				load->number = meta.number;
			if (meta.last_ms > load->last_ms)
				load->last_ms = meta.last_ms;
		}
		if (t->id > load->last_id)
			load->last_id = t->id;
	}
}

/* ---- the whole ----------------------------------------------------------- */

void
state_load_free(struct load *load)
{
	if (!load)
		return;
	for (uint32_t i = 0; i <= UINT16_MAX; i++)
		load_inlet_free(load->inlet[i]);
	state_in_close(&load->in);
	state_left_fini(&load->left);
	free(load->done);
	if (load->file)
		fclose(load->file);
	free(load);
}

/* From the beginning, until the end; the file has not changed meanwhile. */
static int
read_all(struct load *load, state_set_cb cb)
{
	struct state *state = load->state;
	struct cache *cache = state->cache;
	int rc;

	state_in_close(&load->in);
	rc = state_in_open(&load->in, load->file, &state->shapes,
			   cache->registry, cache->shapes);
	load->at = 0;
	while (rc == 0 && cb && state_in_next(&load->in, cb, load))
		;
	return rc;
}

/* A file that is no state, or of which the head is damaged, is kept aside. */
static void
put_aside(struct state *state)
{
	char *bad;

	if (asprintf(&bad, "%s.bad", state->path) < 0)
		return;
	log_warning("cache %s: %s has no state of a cache, or is damaged from "
		    "its beginning: it is %s now, and the cache begins empty",
		    state->cache->stage.name, state->path,
		    rename(state->path, bad) == 0 ? bad : "left alone");
	free(bad);
}

/* Where flows that leave are noted from now on. */
static void
open_again(struct state *state, const struct load *load)
{
	int fd = open(state->path, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)load->in.good) < 0) {
		int error = -errno;

		if (fd >= 0)
			close(fd);
		state_give_up(state, "appended to", error);
		return;
	}
	state_out_begin(state->file, fd, load->domain);
	state->file->sequence = load->in.sequence;
	state->file->octets = load->in.good;
	state->file->next_id =
		(uint16_t)(load->last_id + (load->last_id < UINT16_MAX));
	if (state->file->next_id < STATE_FLOW_ID)
		state->file->next_id = STATE_FLOW_ID;
	/* Journals of several runs are bounded together. */
	state->base = load->journaled ? 0 : load->in.good;
}

/* Flows that the file should have, but for its damage. */
static void
count_missing(struct state *state, const struct load *load)
{
	struct ledger *ledger = &state->cache->stage.ledger;
	uint64_t gone = load->left.count - load->left_seen;
	uint64_t missing = 0, seen = load->seen - load->journaled;

	state->damaged = load->in.damaged;
	if (load->end && load->flows > seen &&
	    load->flows - seen <= load->in.good / STATE_META)
		missing = load->flows - seen;
	missing = missing > gone ? missing - gone : 0;
	state->missing = missing;
	ledger->split += missing;
	ledger->lost[LOSS_MALFORMED] += missing;
}

/* Flows that are still to be exported. */
static uint64_t
count_rest(const struct load *load)
{
	uint64_t rest = 0;

	for (uint64_t i = 0; i < load->seen; i++)
		rest += !is_done(load, i);
	return rest;
}

static void
log_loaded(const struct state *state, const struct load *load, uint64_t rest)
{
	const char *name = state->cache->stage.name;

	log_notice("cache %s: %s: %" PRIu64 " flows go on", name, state->path,
		   state->restored);
	if (rest)
		log_notice("cache %s: %s: %" PRIu64 " flows are exported as "
			   "they were saved, as %s",
			   name, state->path, rest,
			   load->fingerprint != state_fingerprint(state->cache)
				   ? "the cache is configured otherwise now"
				   : "they can't go on");
	if (load->in.damaged || !load->end)
		log_warning("cache %s: %s is damaged: %s%" PRIu64
			    " flows are lost",
			    name, state->path,
			    load->end ? "" : "its end is missing, at least ",
			    state->missing);
}

/* A journal is for the cache that wrote it. */
static int
check_journal(const struct load *load, const char **error)
{
	if (!load->journaled)
		return 0;
	if (load->fingerprint != state_fingerprint(load->state->cache))
		*error = "it was killed with a cx:stateJournal, and has other "
			 "fields since: start and stop it once as it was";
	else if (load->overflow)
		*error = "it was killed with a cx:stateJournal, and has a "
			 "smaller maxFlows since: start and stop it once as it "
			 "was";
	return *error ? -EINVAL : 0;
}

static int
make_rows(struct load *load, const char **error)
{
	struct cache *cache = load->state->cache;
	int rc = check_journal(load, error);

	if (rc < 0)
		return rc;
	if (cache->data_clock)
		cache_follow(cache, load->now_ms > load->last_ms
					    ? load->now_ms
					    : load->last_ms);
	/* Numbers of flows in the file that is still to be read are below. */
	if (load->journaled)
		cache->flow_count += 1 << 24;
	cache->replaying = true;
	rc = read_all(load, load_rows);
	cache->replaying = false;
	plans_free(cache);
	load_wait_all(cache);
	load->state->restored = cache->stage.ledger.held;
	return rc < 0 ? rc : check_journal(load, error);
}

/* More than 0: there are flows that state_load_step exports. */
static int
load_flows(struct state *state, struct load *load, const char **error)
{
	int rc = read_all(load, scan_set);
	uint64_t rest;

	if (rc < 0)
		return rc;
	if (!load->head) {
		put_aside(state);
		return 0;
	}
	load->done = calloc(load->seen / 8 + 1, 1);
	if (!load->done)
		return -ENOMEM;
	rc = make_rows(load, error);
	if (rc < 0)
		return rc;
	state->number = load->number;
	state->journal_ends = load->journaled && !state->journal;
	if (state->journal_ends)
		state->journal = 1;
	count_missing(state, load);
	open_again(state, load);
	rest = count_rest(load);
	log_loaded(state, load, rest);
	rc = rest ? read_all(load, NULL) : 0;
	return rc == 0 && rest ? 1 : rc;
}

int
state_load(struct state *state, const char **error)
{
	struct load *load = calloc(1, sizeof(*load));
	int rc;

	if (!load)
		return -ENOMEM;
	load->state = state;
	load->file = fopen(state->path, "rbe");
	rc = load->file ? load_flows(state, load, error) : 0;
	if (!load->file && errno != ENOENT)
		rc = -errno;
	if (rc > 0)
		state->load = load;
	else
		state_load_free(load);
	return rc < 0 ? rc : 0;
}
