/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What an earlier run has left in the folder of a spool. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "conflux/hash.h"
#include "conflux/log.h"
#include "conflux/wire.h"
#include "spool_inner.h"

static void
read_position(struct spool *sp)
{
	uint8_t p[POSITION_OCTETS];
	ssize_t n = pread(sp->position, p, sizeof(p), 0);

	if (n == 0)
		return; /* it is new */
	if (n != (ssize_t)sizeof(p) || wire_get64(p) != POSITION_MAGIC ||
	    wire_get64(p + 24) != hash_bytes(p, 24, POSITION_SEED)) {
		log_warning("%s: spool %s: what was sent is not known; all "
			    "that is there is sent again",
			    sp->name, sp->conf.directory);
		return;
	}
	sp->done_segment = wire_get64(p + 8);
	sp->done_entries = wire_get32(p + 16);
}

/* Into the list, by number. */
static int
add_segment(struct spool *sp, uint64_t number)
{
	struct segment *g = calloc(1, sizeof(*g)), *at;

	if (!g)
		return -ENOMEM;
	g->number = number;
	TAILQ_FOREACH_REVERSE(at, &sp->segments, segment_list, next)
	if (at->number < number)
		break;
	if (at)
		TAILQ_INSERT_AFTER(&sp->segments, at, g, next);
	else
		TAILQ_INSERT_HEAD(&sp->segments, g, next);
	if (number >= sp->next_number)
		sp->next_number = number + 1;
	return 0;
}

static int
list_segments(struct spool *sp)
{
	int rc = 0, fd = openat(sp->folder, ".", O_RDONLY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	uint64_t number;
	bool index;

	if (!dir) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == 0 && (d = readdir(dir)))
		if ((number = segment_parse(d->d_name, &index)) && index)
			rc = add_segment(sp, number);
	closedir(dir);
	return rc;
}

/* 0: also if it is not there. */
static int
scan_segment(const struct spool *sp, struct segment *g, segment_each each,
	     void *arg)
{
	uint32_t done = g->number < sp->done_segment	? UINT32_MAX
			: g->number == sp->done_segment ? sp->done_entries
							: 0;
	int rc = segment_scan(sp->folder, g, done, each, arg);

	return rc == -ENOENT ? 0 : rc;
}

static void
count_segment(struct spool *sp, struct segment *g)
{
	sp->octets += files_octets(g);
	sp->records += g->records;
	if (g->torn)
		spool_log_torn(sp, g, g->torn, "it ends within a message");
	sp->torn += g->torn;
	sp->found += g->records + g->torn;
	if (!g->messages && g->number != sp->seal_kept)
		spool_remove(sp, g);
}

/* ---- seals -------------------------------------------------------------- */

/* A place in the segments; segment 0: none. */
struct place {
	uint64_t segment;
	uint32_t entry;
};

struct look {
	uint64_t most; /* number of a seal */
	uint64_t segment;
	struct spool_seal seal;
	struct place tail; /* the first that does not count behind it */
};

/* Of the last seal the first one is taken: those behind are copies. */
static bool
look_at(void *arg, const struct segment_entry *entry, uint32_t index,
	bool whole)
{
	struct look *look = arg;

	if (entry->kind == SEGMENT_SEAL && whole &&
	    entry->position <= look->most) {
		if (entry->position > look->seal.number) {
			look->seal = (struct spool_seal){
				.number = entry->position,
				.segment = look->segment,
				.entry = index,
				.length = entry->length,
			};
			look->tail.segment = 0;
		}
	} else if (entry->kind != SEGMENT_MESSAGE && !look->tail.segment) {
		look->tail = (struct place){look->segment, index};
	}
	return true;
}

struct cut {
	uint32_t from; /* entry */
	uint64_t seal;
	bool found;
	uint32_t entries;
	uint64_t octets;
};

static bool
cut_at(void *arg, const struct segment_entry *entry, uint32_t index, bool whole)
{
	struct cut *cut = arg;

	if (index < cut->from || entry->kind == SEGMENT_MESSAGE ||
	    (entry->kind == SEGMENT_SEAL && whole &&
	     entry->position <= cut->seal))
		return true;
	cut->found = true;
	cut->entries = index;
	cut->octets = entry->offset;
	return false;
}

static int
cut_segment(const struct spool *sp, const struct look *look, uint64_t number)
{
	struct cut cut = {
		.from = number == look->tail.segment ? look->tail.entry : 0,
		.seal = look->seal.number,
	};
	int rc = segment_walk(sp->folder, number, cut_at, &cut);

	if (rc == 0 && cut.found)
		rc = segment_truncate(sp->folder, number, cut.entries,
				      cut.octets);
	return rc == -ENOENT ? 0 : rc;
}

/* Takes away what is behind the last seal, for it must not come to count. */
static int
cut_tail(struct spool *sp, const struct look *look)
{
	struct segment *g;
	int rc = 0;

	TAILQ_FOREACH(g, &sp->segments, next)
	{
		if (g->number < look->tail.segment)
			continue;
		rc = cut_segment(sp, look, g->number);
		if (rc == 0)
			rc = scan_segment(sp, g, NULL, NULL);
		if (rc < 0)
			break;
	}
	return rc;
}

static int
scan_segments(struct spool *sp, uint64_t seal)
{
	struct look look = {.most = seal};
	struct segment *g;
	int rc;

	TAILQ_FOREACH(g, &sp->segments, next)
	{
		look.segment = g->number;
		rc = scan_segment(sp, g, look_at, &look);
		if (rc < 0)
			return rc;
	}
	rc = look.tail.segment ? cut_tail(sp, &look) : 0;
	sp->seal = look.seal;
	sp->seal_kept = sp->conf.sealed ? look.seal.segment : 0;
	return rc;
}

int
spool_find(struct spool *sp, uint64_t seal)
{
	struct segment *g, *next;
	int rc;

	read_position(sp);
	sp->next_number = sp->done_segment + 1;
	rc = list_segments(sp);
	if (rc == 0)
		rc = scan_segments(sp, seal);
	for (g = TAILQ_FIRST(&sp->segments); g && rc == 0; g = next) {
		next = TAILQ_NEXT(g, next);
		count_segment(sp, g);
	}
	/* All of it counts. */
	sp->limit_segment = sp->next_number;
	sp->limit_entry = 0;
	if (sp->found)
		log_notice("%s: spool %s: %" PRIu64
			   " records of an earlier run are there",
			   sp->name, sp->conf.directory, sp->found);
	return rc;
}

const uint8_t *
spool_seal_read(struct spool *sp, uint32_t *length)
{
	struct segment_reader *r = &sp->reader;
	struct segment_entry entry;
	const uint8_t *message = NULL;
	struct segment *g;

	TAILQ_FOREACH(g, &sp->segments, next)
	if (g->number == sp->seal.segment)
		break;
	if (!g || r->segment || segment_reader_open(r, sp->folder, g) < 0)
		return NULL;
	r->entry = sp->seal.entry;
	if (segment_peek(r, &entry) == 0)
		message = segment_read(r, &entry);
	if (message)
		*length = entry.length;
	segment_reader_close(r);
	return message;
}

void
spool_forget(struct spool *sp)
{
	struct segment *g;

	while ((g = TAILQ_FIRST(&sp->segments))) {
		TAILQ_REMOVE(&sp->segments, g, next);
		free(g);
	}
}

int
spool_seal_back(struct spool *sp, uint64_t number, uint64_t *records)
{
	uint64_t before = sp->found;
	int rc;

	*records = 0;
	if (sp->seal.number <= number)
		return 0;
	spool_forget(sp);
	sp->octets = sp->records = sp->found = sp->torn = 0;
	rc = spool_find(sp, number);
	*records = before - sp->found;
	return rc;
}
