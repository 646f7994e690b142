/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What reading a state file needs while it lasts, see state.h. */
#ifndef CONFLUX_CACHE_STATE_LOAD_H
#define CONFLUX_CACHE_STATE_LOAD_H

#include "state.h"

/* What is made of the records of a Template. */
struct inlet {
	const struct shape *shape; /* held: as it was */
	struct layout *layout;	   /* NULL: no rows */
	struct decoder *decoder;
	uint64_t present;
	const struct shape *plain; /* held: to export them; NULL: not yet */
	const struct shape *bare;  /* held: the fields alone; NULL: not yet */
	uint64_t flow_keys;
};

struct load {
	struct state *state;
	FILE *file;
	struct state_in in;
	uint32_t domain;
	bool head, end;
	uint64_t fingerprint, now_ms;
	uint64_t flows;	    /* as its end says */
	uint64_t seen;	    /* that are in it, and what is in its journal */
	uint64_t journaled; /* of these */
	uint64_t last_ms;   /* the time of the last record */
	bool overflow;	    /* more flows than there is room for */
	uint16_t last_id;   /* the greatest one of a Template */
	uint64_t left_seen; /* of which it says that they left */
	uint32_t number;    /* the greatest one */
	struct state_left left;
	uint8_t *done; /* bit i: flow i has a row, or has left */
	uint64_t at;   /* the next flow */
	struct inlet *inlet[UINT16_MAX + 1];
	/* Those to be exported as they are: */
	uint32_t count;
	uint32_t length; /* octets of records */
	uint32_t offset[BATCH_MAX + 1];
	uint8_t records[MESSAGE_MAX];
};

struct walk {
	const struct shape *shape;
	const uint8_t *p;
	uint32_t left, length;
};

static inline struct walk
walk_of(const struct shape *shape, const struct set *set)
{
	return (struct walk){shape, set->content, set->length, 0};
}

/* The next record, walk->length octets, or NULL. */
static inline const uint8_t *
next_record(struct walk *walk)
{
	int length = walk->left ? shape_record_length(walk->shape, walk->p,
						      walk->left)
				: 0;
	const uint8_t *p = walk->p;

	if (length <= 0)
		return NULL;
	walk->length = (uint32_t)length;
	walk->p += length;
	walk->left -= (uint32_t)length;
	return p;
}

/* What is known of a flow beside its values. */
struct meta {
	uint64_t first_ms, last_ms;
	uint8_t marks;
	uint32_t number;
};

static inline struct meta
meta_of(const uint8_t *record, uint32_t length)
{
	const uint8_t *p = record + length - STATE_META;

	return (struct meta){wire_get64(p), wire_get64(p + 8), p[16],
			     wire_get32(p + 17)};
}

static inline bool
is_done(const struct load *load, uint64_t at)
{
	return load->done[at / 8] >> (at % 8) & 1;
}

static inline void
set_done(struct load *load, uint64_t at)
{
	load->done[at / 8] |= (uint8_t)(1u << at % 8);
}

/* state_rows.c */
/* How records of a Template become rows. NULL: no memory. */
struct inlet *load_inlet(struct load *load, const struct template *t);
void load_inlet_free(struct inlet *inlet);
/* The clock of rows at that time, which is in the past. */
uint32_t load_row_time(const struct cache *cache, uint64_t time_ms,
		       uint64_t now_ms);
/* The row of a flow, or 0. */
uint32_t load_find(const struct layout *layout, const uint8_t *scratch);
/* For state_in_next: rows, and what the journal does to them. */
void load_rows(void *arg, const struct template *t, const struct set *set);
/* All rows are there: from now on they wait for their time. */
void load_wait_all(struct cache *cache);

/* state_replay.c: records come again, at the time when they came. */
void load_replay(struct load *load, struct inlet *inlet,
		 const struct batch *batch, const struct meta *meta);

#endif
