/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows of one layout: rows of constant size, found by key through an index of
 * 8 octets per slot, and expired by a timer wheel. Rows lie in one reserved
 * stretch of address space that is filled from the front, so a row is reached
 * by one multiplication and memory follows the number of flows. A row is
 * addressed by its number, 0 is none.
 */
#ifndef CONFLUX_FLOW_TABLE_H
#define CONFLUX_FLOW_TABLE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	ROW_KEY = 24,	    /* offset of the key, behind struct row */
	PAIR_MAX = 1024,    /* octets of a key that has a reverse */
	WHEEL_SLOTS = 8192, /* more than half an hour */
	WHEEL_SHIFT = 8,    /* 256 ms a slot */
	WHEEL_REACH_MS = (WHEEL_SLOTS - 8) << WHEEL_SHIFT,
};

struct row {
	uint32_t next;  /* in the wheel slot, or in the list of free rows */
	uint32_t last;  /* ms of the last record, low 32 bits */
	uint32_t first; /* ms of the first one */
	uint32_t saved; /* the owner's number for it in a file */
	uint64_t flags; /* the owner's; 0 in a row that is free */
	/* then the key, padded with zeros to 8 octets, and the values */
};

struct index_slot {
	uint32_t hash;
	uint32_t row;
};

/* Two parts of a row's key that change places when the direction does. */
struct key_swap {
	uint16_t a, b, width;
};

struct flow_table {
	uint8_t *base;
	uint32_t row_size;
	uint32_t key_length;
	uint32_t max_rows;  /* reserved */
	uint32_t used;      /* rows ever used, row 0 included */
	uint32_t live;      /* flows */
	uint32_t linked;    /* rows in the wheel, dead ones included */
	uint32_t free_head;
	struct index_slot *index;
	uint32_t mask;
	uint64_t seed;
	const struct key_swap *swap; /* not owned */
	unsigned swap_count;	     /* 0: a key has no reverse */
	uint64_t wheel_done; /* number of the last slot that was dealt with */
	uint32_t wheel[WHEEL_SLOTS];
};

/* -ENOMEM. */
int flow_table_init(struct flow_table *t, uint32_t row_size,
		    uint32_t key_length, uint32_t max_rows, uint64_t now_ms);
void flow_table_fini(struct flow_table *t);

/*
 * Before the first flow: a key and its reverse, with these parts exchanged, are
 * of the same flow from now on. Both have the hash of the one of them that
 * comes first in some order, so they are found with one look at the index. swap
 * is kept by the caller; the key has PAIR_MAX octets at most.
 */
void flow_table_pair(struct flow_table *t, const struct key_swap *swap,
		     unsigned count);

static inline struct row *
flow_table_row(const struct flow_table *t, uint32_t number)
{
	return (struct row *)(t->base + (uint64_t)number * t->row_size);
}

/*
 * Looks the keys of count rows up (stride octets apart, laid out like ours).
 * hash and found get count entries; found is 0 where there is no such flow.
 * reverse[i] is set where the flow has the reverse of the key, and stays as it
 * is elsewhere. Returns how many were not found.
 */
uint32_t flow_table_find(const struct flow_table *t, const uint8_t *rows,
			 uint32_t stride, uint32_t count, uint32_t *hash,
			 uint32_t *found, bool *reverse);

/* The same for one key, with its hash. */
uint32_t flow_table_find_one(const struct flow_table *t, const uint8_t *row,
			     uint32_t hash, bool *reverse);

/*
 * Adds a flow with the key of that row, which must not be there. The rest of
 * the new row is the caller's to fill. -ENOSPC, -ENOMEM.
 */
int flow_table_add(struct flow_table *t, const uint8_t *row, uint32_t hash,
		   uint32_t *number);

/* Takes a flow out of the index; its row stays as it is until it is freed. */
void flow_table_remove(struct flow_table *t, uint32_t number);
/* Fetches what removing that row will need; for a row soon to be removed. */
void flow_table_prefetch(const struct flow_table *t, uint32_t number);
void flow_table_free_row(struct flow_table *t, uint32_t number);

/* Puts a row into the wheel slot of its deadline. */
void flow_table_wait(struct flow_table *t, uint32_t number,
		     uint64_t deadline_ms);

/* Gives memory back when nothing lives here. */
void flow_table_trim(struct flow_table *t);

/* Octets in use by rows and index. */
uint64_t flow_table_octets(const struct flow_table *t);

#endif
