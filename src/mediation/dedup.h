/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * De-duplication: how its files share the work.
 *
 *	dedup_stage.c    what a record says, and whether it is one more
 *	dedup_waiting.c  records that wait for the choice of the best
 */
#ifndef CONFLUX_MEDIATION_DEDUP_H
#define CONFLUX_MEDIATION_DEDUP_H

#include "conflux/flow_table.h"
#include "conflux/mediation.h"
#include "conflux/projection.h"
#include "shape_map.h"

enum {
	DEDUP_HELD_MAX = 16, /* records of one Flow that wait */
	DEDUP_BUFFER = 128 * 1024,
};

/* What a record says: who saw the Flow, when, and how much of it. */
struct sighting {
	uint64_t point;	     /* hash of the Observation Point, never 0 */
	uint64_t start, end; /* ns since 1970 */
	uint64_t packets;
};

/* What is known of a Flow, behind its key in its row. */
struct known_flow {
	uint64_t owner; /* point whose records pass; 0: not chosen yet */
	/* ns: from the first to the last that owners have reported. */
	uint64_t since, end;
	uint64_t last_start; /* of the record that passed last */
	uint32_t held;	     /* the first that waits, see held_at; 0: none */
	uint32_t held_count;
};

/* Records that wait, in the order in which they came. */
struct held_ring {
	uint8_t *base;
	uint64_t size;
	uint64_t head, tail, used; /* octets */
};

/* Records that leave together. */
struct outbox {
	struct batch batch; /* count 0: none */
	uint8_t *buffer;
	uint32_t used;
	uint32_t offset[BATCH_MAX + 1];
};

struct dedup {
	struct stage stage;
	struct dedup_conf conf; /* without its lists */
	uint64_t tolerance_ns;
	uint64_t seed;
	unsigned slot_count, key_count, point_count;
	/* Keys, points, then start, end and packets. */
	struct slot *slot;
	bool *optional; /* a key that need not be there */
	uint16_t key_end, point_at, time_at;
	uint32_t stride; /* of scratch rows */
	uint8_t *scratch;
	const void *scratch_plan; /* who has filled it last */
	struct shape_map plans;
	struct flow_table table;
	uint64_t now_ms;
	uint64_t no_key, table_full, hold_full; /* passed undecided */
	uint8_t *buffer;
	uint32_t offset[BATCH_MAX + 1];
	struct held_ring ring;
	struct outbox outbox;
	bool flushing;
};

static inline struct known_flow *
dedup_flow(const struct dedup *d, uint32_t number)
{
	uint8_t *row = (uint8_t *)flow_table_row(&d->table, number);

	return (struct known_flow *)(void *)(row + d->key_end);
}

/* A record of the owner passes. */
void dedup_accept(struct known_flow *flow, const struct sighting *s);
/* Are these of the same packets, seen at different points? */
bool dedup_matches(const struct dedup *d, const struct sighting *a,
		   const struct sighting *b);

/* ---- dedup_waiting.c ---------------------------------------------------- */

int waiting_init(struct dedup *d);
void waiting_fini(struct dedup *d);
/* The record waits for the choice. False: there is no room. */
bool waiting_add(struct dedup *d, uint32_t row, const struct batch *batch,
		 uint32_t i, const struct sighting *s);
/* The owner has told what these that wait tell, too. */
void waiting_drop(struct dedup *d, struct known_flow *flow,
		  const struct sighting *s);
/* Chooses for all whose time has come. */
void waiting_run(struct dedup *d);
/* Chooses for those with records of a scope; NULL: for all. */
void waiting_end(struct dedup *d, const struct scope *scope);

#endif
