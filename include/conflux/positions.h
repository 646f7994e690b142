/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What we have of streams that are acknowledged: of each exporter, and each run
 * of its spool, so many Flow Records from the first on. Two Conflux that are
 * connected know a record by that number (src/exporting/forward_answer.c). And how
 * long files were then that have these records: what is behind that in them comes
 * again.
 *
 * Not for several threads.
 */
#ifndef CONFLUX_POSITIONS_H
#define CONFLUX_POSITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
	POSITIONS_MAX = 1024,	  /* streams, if nothing else is said */
	POSITIONS_PEER_MAX = 254, /* octets of the name of a peer */
	POSITIONS_PATH_MAX = 4095, /* of that of a file */
	POSITIONS_FILES_MAX = 1024,
};

struct position {
	TAILQ_ENTRY(position) next;
	uint32_t run;	   /* exportingProcessId on the wire */
	uint64_t taken;	   /* Flow Records that have come */
	uint64_t safe;	   /* that would outlive this process */
	unsigned sessions; /* that it comes by, now */
	char peer[POSITIONS_PEER_MAX + 1];
};

struct positions;
struct text;

/* max 0: the default. NULL: no memory. */
struct positions *positions_new(uint32_t max);
void positions_free(struct positions *positions);

/*
 * Found or made, and used last from now on. When there are too many, the one
 * goes that was not used for longest and has no session: *forgotten is set to a
 * copy of it, if run is not 0. NULL: all have sessions, or no memory, or the
 * name is too long.
 */
struct position *positions_get(struct positions *positions, const char *peer,
			       uint32_t run, bool *made,
			       struct position *forgotten);

/* From that which was not used for longest on; NULL: the first, the end. */
struct position *positions_next(const struct positions *positions,
				const struct position *position);
/* The other way. */
struct position *positions_previous(const struct positions *positions,
				    const struct position *position);
uint32_t positions_count(const struct positions *positions);

/* All that was taken is safe; is it already? */
void positions_settle(struct positions *positions);
bool positions_settled(const struct positions *positions);

/*
 * The length of a file, in octets. note: true if it is not the one that was
 * noted before in this run, or is none that can be (too many, no memory).
 * found: that of an earlier run.
 */
bool positions_note_file(struct positions *positions, const char *path,
			 uint64_t length);
bool positions_found_file(const struct positions *positions, const char *path,
			  uint64_t *length);

/*
 * As a text: a line for each, those that were used last at the end. read adds
 * those that are not there; -EBADMSG: it is none, or was cut off, and nothing
 * is added. Files are written if they have been noted.
 */
void positions_write(const struct positions *positions, struct text *text);
int positions_read(struct positions *positions, const char *data,
		   size_t length);

#endif
