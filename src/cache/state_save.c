/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows to a state file. Each row is written as it is when its turn comes, so
 * the file is of no single moment; but none of its flows has less than it had
 * when the file was begun, and what leaves meanwhile is in the file too, behind
 * its row. A flow that comes while the file is written may be in it or not.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/file.h"
#include "conflux/hash.h"
#include "state.h"

enum {
	CLOCK_ROWS = 64, /* then the clock is looked at */
};

struct form_key {
	const struct layout *layout;
	uint64_t present;
};

uint64_t
state_clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- forms --------------------------------------------------------------- */

static bool
form_equal(const void *item, const void *arg)
{
	const struct form *form = item;
	const struct form_key *key = arg;

	return form->layout == key->layout && form->present == key->present;
}

static void
form_free(struct form *form)
{
	encoder_free(form->encoder);
	free(form);
}

void
state_forms_free(struct state_out *out)
{
	struct form *form;
	uint32_t at = 0;

	while ((form = table_next(&out->forms, &at)))
		form_free(form);
	table_fini(&out->forms);
}

static void
forget_layout(struct state_out *out, const struct layout *layout)
{
	struct form *form;
	uint32_t at = 0;

	while ((form = table_next(&out->forms, &at))) {
		if (form->layout != layout)
			continue;
		table_remove(&out->forms, form->hash, form);
		form_free(form);
		at = 0;
	}
}

void
state_layout_gone(struct state *state, const struct layout *layout)
{
	forget_layout(state->file, layout);
	forget_layout(state->next, layout);
	state->form = NULL;
	if (state->layout == layout)
		state->layout = NULL;
}

/* Is it in the records of flows with these values? */
static bool
is_saved(const struct layout *layout, unsigned i, uint64_t present)
{
	const struct column *column = &layout->cache->column[i];

	if (!bit_test(layout->slots, i) || column_is_set_late(column))
		return false;
	return column->field.key || present & ROW_BIT(column->bit);
}

/* Says which fields are keys, and what was done to their values. */
static void
tell_about(struct state_out *out, const struct form *form, uint64_t keys,
	   const struct slot *slot, unsigned count)
{
	uint8_t *p = state_out_data(out, STATE_KEYS_ID, 10);

	wire_put16(p, form->id);
	wire_put64(p + 2, keys);
	for (uint16_t i = 0; i < count; i++) {
		if (!slot[i].mark.technique)
			continue;
		p = state_out_data(out, STATE_MARK_ID, 8);
		wire_put16(p, form->id);
		wire_put16(p + 2, i);
		wire_put16(p + 4, slot[i].mark.technique);
		wire_put16(p + 6, slot[i].mark.flags);
	}
}

static int
tell_template(struct cache *cache, struct state_out *out,
	      const struct form *form, uint64_t keys, const struct slot *slot,
	      unsigned count)
{
	struct field field[CACHE_FIELDS_MAX + STATE_META_FIELDS] = {0};
	const struct shape *shape;
	int rc;

	for (unsigned i = 0; i < count; i++) {
		field[i].ie = slot[i].ie;
		field[i].length = slot[i].wire_length;
	}
	state_meta_fields(cache->registry, field + count);
	rc = shape_get(cache->shapes, field,
		       (uint16_t)(count + STATE_META_FIELDS), 0, &shape);
	if (rc < 0)
		return rc;
	state_out_template(out, form->id, shape);
	shape_release(shape);
	tell_about(out, form, keys, slot, count);
	return 0;
}

/* Without its encoder where that can't be. */
static void
form_fill(struct cache *cache, struct state_out *out, struct form *form)
{
	const struct layout *layout = form->layout;
	struct slot slot[CACHE_FIELDS_MAX];
	uint64_t keys = 0;
	unsigned count = 0;

	for (unsigned i = 0; i < cache->column_count; i++) {
		if (!is_saved(layout, i, form->present))
			continue;
		if (cache->column[i].field.key && count < 64)
			keys |= (uint64_t)1 << count;
		slot[count] = layout->slot[i];
		slot[count++].wire_length = column_natural(&cache->column[i]);
	}
	if (count == 0 || out->next_id == UINT16_MAX ||
	    encoder_new(slot, count, cache->strings, cache->shapes,
			&form->encoder) != 0)
		return;
	form->id = out->next_id++;
	if (tell_template(cache, out, form, keys, slot, count) == 0)
		return;
	encoder_free(form->encoder);
	form->encoder = NULL;
}

struct form *
state_form(struct state *state, struct state_out *out,
	   const struct layout *layout, uint64_t present)
{
	const struct form_key key = {layout, present};
	uint32_t hash = (uint32_t)hash_u64((uintptr_t)layout, present);
	struct form *form = table_find(&out->forms, hash, form_equal, &key);

	if (form)
		return form;
	form = calloc(1, sizeof(*form));
	if (!form)
		return NULL;
	*form = (struct form){layout, present, hash, 0, NULL};
	if (table_add(&out->forms, hash, form) != 0) {
		free(form);
		return NULL;
	}
	form_fill(state->cache, out, form);
	return form;
}

/* ---- rows ---------------------------------------------------------------- */

/* The wall clock, or that of the data, when a row's clock was at ms. */
static uint64_t
time_of(const struct cache *cache, uint32_t ms, uint64_t wall_ms)
{
	return wall_ms - (uint32_t)((uint32_t)cache->now_ms - ms);
}

static uint8_t
marks_of(const struct layout *layout, uint64_t flags)
{
	uint8_t marks = 0;

	if (flags & ROW_FIN_FORWARD)
		marks |= STATE_FIN_FORWARD;
	if (flags & ROW_FIN_REVERSE)
		marks |= STATE_FIN_REVERSE;
	if (flags & ROW_CLOSING)
		marks |= STATE_CLOSING;
	if (flags & ROW_DIRTY)
		marks |= STATE_DIRTY;
	if (layout->retired)
		marks |= STATE_RETIRED;
	return marks;
}

static void
skip(struct state *state, struct row *head)
{
	state->skipped++;
	if (state->whole)
		head->flags &= ~ROW_SAVED;
}

static void
put_row(struct state *state, const struct form *form, struct row *head,
	const uint8_t *record, uint32_t length, uint64_t wall_ms)
{
	const struct layout *layout = form->layout;
	uint64_t first = time_of(state->cache, head->first, wall_ms);
	uint8_t *p;

	if (length + STATE_META > STATE_RECORD_MAX) {
		skip(state, head);
		return;
	}
	if (state->whole || !(head->flags & ROW_SAVED))
		head->saved = ++state->number;
	head->flags |= ROW_SAVED;
	/* Intervals begin with a second. */
	if (layout->interval_at)
		first = row_get(head, layout->interval_at) / 1000000;
	p = state_out_data(state->next, form->id, length + STATE_META);
	memcpy(p, record, length);
	p += length;
	wire_put64(p, first);
	wire_put64(p + 8, time_of(state->cache, head->last, wall_ms));
	p[16] = marks_of(layout, head->flags);
	wire_put32(p + 17, head->saved);
	state->flows++;
}

/* The rows that were gathered, which are all of one form. */
static void
put_rows(struct state *state)
{
	struct cache *cache = state->cache;
	const struct form *form = state->form;
	uint64_t wall_ms = cache->data_clock ? cache->now_ms : clock_wall_ms();
	uint32_t at = 0, count = state->gathered_count;

	while (at < count) {
		struct batch batch = {0};
		uint32_t done = 0, length;

		if (form && form->encoder)
			done = encoder_run(form->encoder, state->gathered + at,
					   count - at, state->wire,
					   state->offset, &batch);
		for (uint32_t i = 0; i < done; i++) {
			const uint8_t *record =
				batch_record(&batch, i, &length);

			put_row(state, form,
				(struct row *)(uintptr_t)
					state->gathered[at + i],
				record, length, wall_ms);
		}
		if (!done)
			skip(state,
			     (struct row *)(uintptr_t)state->gathered[at++]);
		at += done;
	}
	state->gathered_count = 0;
}

static void
gather(struct state *state, struct layout *layout, const struct row *row)
{
	const struct form_key key = {layout, row->flags & ROW_PRESENT};
	struct form *form = state->form;

	if (!form || !form_equal(form, &key))
		form = state_form(state, state->next, layout, key.present);
	if (form != state->form || state->gathered_count == BATCH_MAX) {
		put_rows(state);
		state->form = form;
	}
	state->gathered[state->gathered_count++] = (const uint8_t *)row;
}

/* ---- all of them --------------------------------------------------------- */

static struct layout *
next_layout(struct state *state)
{
	struct cache *cache = state->cache;

	for (unsigned i = 0; i < cache->layout_count; i++)
		if (cache->layout[i]->saved_in != state->generation) {
			state->row = 1;
			return cache->layout[i];
		}
	return NULL;
}

/* False: this is enough for now. */
static bool
scan(struct state *state, uint64_t until_us)
{
	uint32_t n = 0;

	while (state->layout || (state->layout = next_layout(state))) {
		struct layout *layout = state->layout;
		struct flow_table *t = &layout->table;

		for (; state->row < t->used; state->row++) {
			const struct row *row = flow_table_row(t, state->row);

			if (++n % CLOCK_ROWS == 0 && !state->whole &&
			    state_clock_us() >= until_us)
				return false;
			if (row->flags & ROW_LIVE)
				gather(state, layout, row);
		}
		layout->saved_in = state->generation;
		state->layout = NULL;
	}
	return true;
}

static void
put_head(struct state *state)
{
	struct cache *cache = state->cache;
	struct state_out *out = state->next;
	const struct state_shapes *shapes = &state->shapes;
	uint8_t *p;

	state_out_template(out, STATE_SUM_ID, shapes->sum);
	state_out_template(out, STATE_HEAD_ID, shapes->head);
	state_out_template(out, STATE_END_ID, shapes->end);
	state_out_template(out, STATE_LEFT_ID, shapes->left);
	state_out_template(out, STATE_KEYS_ID, shapes->keys);
	state_out_template(out, STATE_MARK_ID, shapes->mark);
	p = state_out_data(out, STATE_HEAD_ID, 17);
	p[0] = 1;
	wire_put64(p + 1, state_fingerprint(cache));
	wire_put64(p + 9, cache->data_clock ? cache->now_ms : clock_wall_ms());
}

int
state_save_begin(struct state *state, bool whole)
{
	int fd = file_part_open(state->path, 0640);

	if (fd < 0)
		return fd;
	state_out_begin(state->next, fd, state->cache->scope.domain);
	state->writing = true;
	state->whole = whole;
	state->generation++;
	state->layout = NULL;
	state->flows = state->skipped = 0;
	state->begun_ms = clock_wall_ms();
	state->busy_us = 0;
	if (whole)
		state->number = 0;
	put_head(state);
	return 0;
}

bool
state_save_step(struct state *state)
{
	uint64_t start = state_clock_us(), took;
	bool done = scan(state, start + state->slice_us);
	uint8_t *p;

	put_rows(state);
	if (done) {
		p = state_out_data(state->next, STATE_END_ID, 9);
		p[0] = 1;
		wire_put64(p + 1, state->flows);
		state_out_flush(state->next);
	}
	took = state_clock_us() - start;
	state->busy_us += took;
	if (took > state->worst_us && !state->whole)
		state->worst_us = took;
	return done;
}

void
state_save_end(struct state *state)
{
	state->form = NULL;
	state->gathered_count = 0;
	state->writing = false;
	state->layout = NULL;
}
