/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A spool from within: spool.c, and spool_find.c for what a start finds. */
#ifndef CONFLUX_EXPORTING_SPOOL_INNER_H
#define CONFLUX_EXPORTING_SPOOL_INNER_H

#include "conflux/log.h"
#include "segment.h"
#include "spool.h"

#define POSITION_MAGIC UINT64_C(0x43465853504f4f4c)
#define POSITION_SEED UINT64_C(0x706f736974696f6e)

enum { POSITION_OCTETS = 32 };

TAILQ_HEAD(segment_list, segment);

/* A message that was read and is not done. */
struct ahead {
	struct segment *segment;
	uint32_t entry; /* the one behind it */
	uint32_t length;
	uint32_t records, lost; /* to be sent; told to be lost */
};

/* Where it came first. number 0: there is none. */
struct spool_seal {
	uint64_t number, segment;
	uint32_t entry, length;
};

struct spool {
	struct exporting_spool conf; /* its directory is our copy */
	char *name;
	spool_lost lost;
	void *arg;
	int folder, lock, position, reserve;
	uint32_t reserved;	      /* octets */
	struct segment_list segments; /* oldest first */
	struct segment *writing;      /* the last one, or NULL */
	struct segment_files out;
	uint64_t next_number;
	uint64_t octets;  /* of all files but the two */
	uint64_t records; /* of all segments */
	uint64_t found, torn;
	struct segment_reader reader;
	struct ahead ahead[SPOOL_AHEAD_MESSAGES];
	uint32_t ahead_first, ahead_count;
	uint64_t ahead_octets;
	/* All before this segment, and so many messages of it, are done. */
	uint64_t done_segment;
	uint32_t done_entries;
	bool moved; /* since the position was written */
	uint32_t run;
	uint64_t flows;	  /* of this run, stored */
	uint32_t had_run; /* what the peer has, see spool_had */
	uint64_t had_position, had_records;
	/* The last seal, and the one before; the segment that has a copy of it,
	 * or itself, and stays; what is behind the limit is not read. */
	struct spool_seal seal, seal_before;
	uint64_t seal_kept, kept_before;
	uint64_t limit_segment;
	uint32_t limit_entry;
	uint64_t released; /* flows of this run */
	bool failing;
	uint64_t kicked; /* octets of the segment that the disk was told of */
	bool dirty;	 /* something is to be synced */
	uint64_t synced_ms; /* monotonic */
	struct log_limit limit, torn_limit;
};

/* ---- spool.c ------------------------------------------------------------ */

/* Octets of its files. */
static inline uint64_t
files_octets(const struct segment *g)
{
	return g->octets + (uint64_t)g->entries * SEGMENT_ENTRY;
}

/* It is not being written or read. */
void spool_remove(struct spool *sp, struct segment *g);
void spool_log_torn(struct spool *sp, const struct segment *g, uint64_t records,
		    const char *why);

/* ---- spool_find.c ------------------------------------------------------- */

/*
 * Finds the segments that are there, without what is behind the last seal that
 * has at most this number.
 */
int spool_find(struct spool *sp, uint64_t seal);
/* The list; the files stay. */
void spool_forget(struct spool *sp);

#endif
