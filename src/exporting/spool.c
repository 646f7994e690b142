/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The spool of a destination is a folder of segments (segment.c), of which the
 * last is written and the first is read, and two files more:
 *
 * lock		is locked (flock) by who uses the folder
 * position	what is done: number of a segment and how many of its messages
 *
 * Each run begins with a segment of its own, so what a crash left is never
 * written to. A segment goes when all in it is done, when it is too old, or
 * when there has to be room: then the oldest one that is not being read.
 *
 * position is written after messages are done, not before they are sent: after
 * a crash some are sent again. They are those that were read ahead, with
 * SPOOL_AHEAD_OCTETS octets at most (and one message more).
 *
 * Where it is sealed there is a file more, reserve: its octets are for what is
 * on its way when the disk gets full, and for the seal behind that. For without
 * a seal nothing can be sent, so nothing would ever go. Of maxSize as much is
 * kept free. Sources should wait while it is not all there.
 *
 * Nothing is written late: what was appended without an error is with the
 * system, and outlives this process. When it is with the disk, too, sync tells.
 */
#include "spool_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "conflux/log.h"
#include "conflux/wire.h"

enum {
	SEGMENT_MIN = 65536,
	SEGMENT_FRACTION = 4, /* of the whole, one may have */
	AGE_STEPS = 8,	      /* segments in the longest age */
	KICK_OCTETS = 8 << 20,
	/* For a seal, that may be of MESSAGE_MAX octets; and for what is on
	 * its way when sources are told to wait. */
	SEAL_OCTETS = 128 << 10,
	RESERVE_OCTETS = 512 << 10,
};

/* ---- accounts -------------------------------------------------------------
 */

static uint64_t
segment_limit(const struct spool *sp)
{
	uint64_t most = sp->conf.max_octets / SEGMENT_FRACTION;
	uint64_t limit = sp->conf.segment_octets;

	if (limit > most)
		limit = most;
	return limit > SEGMENT_MIN ? limit : SEGMENT_MIN;
}

static enum loss
loss_of(int rc)
{
	switch (-rc) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return LOSS_DISK_FULL;
	case ENOMEM:
		return LOSS_NO_MEMORY;
	default:
		return LOSS_WRITE_ERROR;
	}
}

static void
log_failure(struct spool *sp, const char *what)
{
	uint32_t held;

	sp->failing = true;
	if (log_limit_pass(&sp->limit, clock_mono_ms(), &held))
		log_error("%s: spool %s: %s; new records wait in memory or "
			  "are lost (%" PRIu32 " lines held back)",
			  sp->name, sp->conf.directory, what, held);
}

/* It could not be written. Returns rc. */
static int
failed(struct spool *sp, int rc, enum loss *loss)
{
	*loss = loss_of(rc);
	log_failure(sp, strerror(-rc));
	return rc;
}

static void
log_recovery(struct spool *sp)
{
	uint32_t held;

	if (!sp->failing)
		return;
	sp->failing = false;
	if (log_limit_pass(&sp->limit, clock_mono_ms(), &held))
		log_notice("%s: spool %s: it takes messages again", sp->name,
			   sp->conf.directory);
}

/* ---- the list of segments ---------------------------------------------------
 */

static void
sync_fd(const struct spool *sp, int fd)
{
	if (fdatasync(fd) < 0 && errno != EINVAL)
		log_error("%s: spool %s: %s", sp->name, sp->conf.directory,
			  strerror(errno));
}

static void
sync_segment(struct spool *sp)
{
	if (!sp->dirty || !sp->writing)
		return;
	sync_fd(sp, sp->out.data);
	sync_fd(sp, sp->out.index);
	sp->dirty = false;
}

void
spool_remove(struct spool *sp, struct segment *g)
{
	if (sp->reader.segment == g)
		segment_reader_close(&sp->reader);
	if (sp->writing == g) {
		segment_close(&sp->out);
		sp->writing = NULL;
		sp->dirty = false;
	}
	sp->octets -= files_octets(g);
	sp->records -= g->records;
	segment_remove(sp->folder, g->number);
	TAILQ_REMOVE(&sp->segments, g, next);
	free(g);
}

/* Ends the segment that is written. */
static void
end_segment(struct spool *sp)
{
	if (!sp->writing)
		return;
	if (sp->conf.sync != EXPORTING_SYNC_NEVER)
		sync_segment(sp);
	segment_close(&sp->out);
	sp->writing = NULL;
	sp->dirty = false;
}

static int
begin_segment(struct spool *sp)
{
	struct segment *g = calloc(1, sizeof(*g));
	int rc;

	if (!g)
		return -ENOMEM;
	g->number = sp->next_number;
	rc = segment_create(sp->folder, g->number, &sp->out);
	if (rc < 0) {
		free(g);
		return rc;
	}
	if (sp->conf.sync != EXPORTING_SYNC_NEVER)
		sync_fd(sp, sp->folder);
	sp->next_number++;
	sp->kicked = 0;
	sp->writing = g;
	TAILQ_INSERT_TAIL(&sp->segments, g, next);
	return 0;
}

/* The oldest segment of which nothing is being read. */
static struct segment *
oldest_idle(const struct spool *sp)
{
	return sp->reader.segment ? TAILQ_NEXT(sp->reader.segment, next)
				  : TAILQ_FIRST(&sp->segments);
}

static void
drop_segment(struct spool *sp, struct segment *g, enum loss loss)
{
	uint64_t records = g->records;

	spool_remove(sp, g);
	if (records)
		sp->lost(sp->arg, records, loss);
}

static bool
drop_oldest(struct spool *sp, enum loss loss)
{
	struct segment *g = sp->conf.drop_oldest ? oldest_idle(sp) : NULL;
	uint32_t held;

	if (!g || g->number == sp->seal_kept)
		return false;
	if (log_limit_pass(&sp->limit, clock_mono_ms(), &held))
		log_warning("%s: spool %s: %s; the oldest %" PRIu64
			    " records are lost (%" PRIu32 " lines held back)",
			    sp->name, sp->conf.directory,
			    loss == LOSS_DISK_FULL ? strerror(ENOSPC)
						   : "it is full",
			    g->records, held);
	drop_segment(sp, g, loss);
	return true;
}

/* ---- writing ------------------------------------------------------------ */

static bool
has_room(const struct spool *sp, uint32_t length, uint64_t reserve)
{
	return sp->octets + (sp->conf.sealed ? reserve : 0) + length +
		       SEGMENT_ENTRY <=
	       sp->conf.max_octets;
}

static void
keep_reserve(struct spool *sp)
{
	static const uint32_t wanted[] = {RESERVE_OCTETS, SEAL_OCTETS};

	for (int i = 0; i < 2 && sp->conf.sealed; i++) {
		if (sp->reserved >= wanted[i])
			return;
		if (posix_fallocate(sp->reserve, 0, wanted[i]) == 0)
			sp->reserved = wanted[i];
		else if (ftruncate(sp->reserve, sp->reserved) < 0)
			return;
	}
}

/* Some of it is there for others. */
static bool
use_reserve(struct spool *sp, uint32_t left)
{
	if (sp->reserved <= left || ftruncate(sp->reserve, left) < 0)
		return false;
	sp->reserved = left;
	return true;
}

static int
make_room(struct spool *sp, uint32_t length)
{
	if (sp->writing && sp->writing->entries &&
	    sp->writing->octets + length > segment_limit(sp))
		end_segment(sp);
	while (!has_room(sp, length, SEAL_OCTETS))
		if (!drop_oldest(sp, LOSS_SPOOL_FULL))
			return -ENOSPC;
	return 0;
}

int
spool_prepare(struct spool *sp, uint32_t length, uint64_t *segment,
	      enum loss *loss)
{
	int rc = make_room(sp, length);

	if (rc < 0) {
		*loss = LOSS_SPOOL_FULL;
		log_failure(sp, "it is full");
		return rc;
	}
	if (!sp->writing) {
		rc = begin_segment(sp);
		if (rc == -ENOSPC && (drop_oldest(sp, LOSS_DISK_FULL) ||
				      use_reserve(sp, SEAL_OCTETS)))
			rc = begin_segment(sp);
	}
	if (rc < 0)
		return failed(sp, rc, loss);
	*segment = sp->writing->number;
	return 0;
}

int
spool_prepare_seal(struct spool *sp, uint64_t *segment, enum loss *loss)
{
	int rc = sp->writing ? 0 : begin_segment(sp);

	if (rc == -ENOSPC && use_reserve(sp, 0))
		rc = begin_segment(sp);
	if (rc < 0)
		return failed(sp, rc, loss);
	*segment = sp->writing->number;
	return 0;
}

/* What is on its way to the disk early need not be waited for at the end. */
static void
kick(struct spool *sp)
{
	const struct segment *g = sp->writing;

	sp->dirty = true;
	if (sp->conf.sync == EXPORTING_SYNC_NEVER ||
	    g->octets - sp->kicked < KICK_OCTETS)
		return;
	sync_file_range(sp->out.data, (off_t)sp->kicked,
			(off_t)(g->octets - sp->kicked), SYNC_FILE_RANGE_WRITE);
	sp->kicked = g->octets;
}

static int
write_entry(struct spool *sp, const uint8_t *message,
	    struct segment_entry *entry)
{
	int rc = sp->writing
			 ? segment_write(&sp->out, sp->writing, message, entry)
			 : -EBADF;

	if (rc == 0) {
		sp->octets += entry->length + SEGMENT_ENTRY;
		kick(sp);
	}
	/* No file may be larger: the next one may be begun. */
	if (rc == -EFBIG)
		end_segment(sp);
	return rc;
}

int
spool_append(struct spool *sp, const uint8_t *message, uint32_t length,
	     uint32_t records, uint32_t flows, enum loss *loss)
{
	struct segment_entry entry = {
		.length = length,
		.records = records,
		.written_s = (uint32_t)(clock_wall_ms() / 1000),
		.kind = records && sp->conf.sealed ? SEGMENT_TENTATIVE
						   : SEGMENT_MESSAGE,
		.run = sp->run,
		.flows = flows,
		.position = sp->flows,
	};
	int rc = write_entry(sp, message, &entry);

	if (rc == -ENOSPC && oldest_idle(sp) != sp->writing &&
	    drop_oldest(sp, LOSS_DISK_FULL))
		rc = write_entry(sp, message, &entry);
	if (rc == -ENOSPC && use_reserve(sp, SEAL_OCTETS))
		rc = write_entry(sp, message, &entry);
	if (rc < 0)
		return failed(sp, rc, loss);
	sp->records += records;
	sp->flows += flows;
	log_recovery(sp);
	return 0;
}

uint32_t
spool_run(const struct spool *sp)
{
	return sp->run;
}

uint64_t
spool_position(const struct spool *sp)
{
	return sp->conf.sealed ? sp->released : sp->flows;
}

bool
spool_takes(const struct spool *sp, uint32_t length)
{
	return (!sp->conf.sealed || sp->reserved == RESERVE_OCTETS) &&
	       (sp->conf.drop_oldest || has_room(sp, length, RESERVE_OCTETS));
}

static bool
has_much_room(const struct spool *sp)
{
	return spool_takes(sp, (uint32_t)(segment_limit(sp) / 4));
}

bool
spool_tight(const struct spool *sp)
{
	return sp->failing || !has_much_room(sp);
}

uint64_t
spool_segment(const struct spool *sp)
{
	return sp->writing ? sp->writing->number : 0;
}

void
spool_cut(struct spool *sp)
{
	end_segment(sp);
}

/* ---- seals -------------------------------------------------------------- */

/* Behind the last seal nothing counts yet. */
static bool
is_beyond(const struct spool *sp, const struct segment *g, uint32_t entry)
{
	return sp->conf.sealed &&
	       (g->number > sp->limit_segment ||
		(g->number == sp->limit_segment && entry >= sp->limit_entry));
}

int
spool_seal(struct spool *sp, uint64_t number, const uint8_t *message,
	   uint32_t length, enum loss *loss)
{
	struct segment_entry entry = {
		.length = length,
		.written_s = (uint32_t)(clock_wall_ms() / 1000),
		.kind = SEGMENT_SEAL,
		.run = sp->run,
		.position = number,
	};
	int rc = write_entry(sp, message, &entry);

	/* A copy leaves room for one that is none. */
	if (rc == -ENOSPC &&
	    use_reserve(sp, number == sp->seal.number ? SEAL_OCTETS : 0))
		rc = write_entry(sp, message, &entry);
	if (rc < 0)
		return failed(sp, rc, loss);
	if (number != sp->seal.number) {
		sp->seal_before = sp->seal;
		sp->kept_before = sp->seal_kept;
		sp->seal = (struct spool_seal){
			.number = number,
			.segment = sp->writing->number,
			.entry = sp->writing->entries - 1,
			.length = length,
		};
	}
	sp->seal_kept = sp->writing->number;
	return 0;
}

void
spool_unseal(struct spool *sp, uint64_t number)
{
	struct segment *g = sp->writing;

	if (sp->seal.number != number || !g || sp->seal.entry + 1 != g->entries)
		return;
	g->entries--;
	g->octets -= sp->seal.length;
	sp->octets -= sp->seal.length + SEGMENT_ENTRY;
	segment_cut_back(&sp->out, g);
	sp->seal = sp->seal_before;
	sp->seal_kept = sp->kept_before;
}

void
spool_release(struct spool *sp)
{
	const struct segment *g = sp->writing;

	sp->limit_segment = g ? g->number : sp->next_number;
	sp->limit_entry = g ? g->entries : 0;
	sp->released = sp->flows;
}

bool
spool_unsealed(const struct spool *sp)
{
	const struct segment *g = TAILQ_LAST(&sp->segments, segment_list);

	return g && g->entries && is_beyond(sp, g, g->entries - 1);
}

uint64_t
spool_sealed(const struct spool *sp)
{
	return sp->seal.number;
}

/* ---- position ----------------------------------------------------------- */

static void
log_position(struct spool *sp, const char *what)
{
	uint32_t held;

	if (log_limit_pass(&sp->limit, clock_mono_ms(), &held))
		log_error("%s: spool %s: %s; more may be sent again after a "
			  "crash (%" PRIu32 " lines held back)",
			  sp->name, sp->conf.directory, what, held);
}

void
spool_commit(struct spool *sp)
{
	uint8_t p[POSITION_OCTETS] = {0};

	if (!sp->moved)
		return;
	wire_put64(p, POSITION_MAGIC);
	wire_put64(p + 8, sp->done_segment);
	wire_put32(p + 16, sp->done_entries);
	wire_put64(p + 24, hash_bytes(p, 24, POSITION_SEED));
	if (pwrite(sp->position, p, sizeof(p), 0) == (ssize_t)sizeof(p))
		sp->moved = false;
	else
		log_position(sp, strerror(errno));
}

/* ---- reading ------------------------------------------------------------ */

bool
spool_may_read(const struct spool *sp)
{
	return sp->ahead_count < SPOOL_AHEAD_MESSAGES &&
	       sp->ahead_octets < SPOOL_AHEAD_OCTETS;
}

static struct ahead *
ahead_last(struct spool *sp)
{
	return &sp->ahead[(sp->ahead_first + sp->ahead_count - 1) %
			  SPOOL_AHEAD_MESSAGES];
}

static void
read_ahead(struct spool *sp, const struct segment_entry *entry)
{
	sp->ahead_count++;
	sp->ahead_octets += entry->length;
	*ahead_last(sp) = (struct ahead){
		.segment = sp->reader.segment,
		.entry = sp->reader.entry,
		.length = entry->length,
		.records = entry->records,
	};
}

/* Segments of which nothing is left. One that is written goes, too. */
static void
remove_done(struct spool *sp)
{
	struct segment *g, *next;

	for (g = TAILQ_FIRST(&sp->segments);
	     g && !g->messages && g->number <= sp->done_segment; g = next) {
		next = TAILQ_NEXT(g, next);
		if (g->number == sp->seal_kept)
			continue;
		spool_commit(sp);
		spool_remove(sp, g);
	}
}

/* The oldest that was read ahead. */
static uint32_t
pass(struct spool *sp)
{
	struct ahead *a = &sp->ahead[sp->ahead_first];

	sp->ahead_first = (sp->ahead_first + 1) % SPOOL_AHEAD_MESSAGES;
	sp->ahead_count--;
	sp->ahead_octets -= a->length;
	a->segment->messages--;
	a->segment->records -= a->records;
	sp->records -= a->records;
	sp->done_segment = a->segment->number;
	sp->done_entries = a->entry;
	sp->moved = true;
	return a->records;
}

/* Those of which all is lost need not wait for anybody. */
static void
pass_lost(struct spool *sp)
{
	while (sp->ahead_count && !sp->ahead[sp->ahead_first].records)
		pass(sp);
	remove_done(sp);
}

uint32_t
spool_done(struct spool *sp)
{
	uint32_t records = pass(sp);

	pass_lost(sp);
	return records;
}

bool
spool_lose(struct spool *sp, uint32_t records, enum loss loss)
{
	struct ahead *a = ahead_last(sp);
	bool gone = a->records == records;

	a->records -= records;
	a->lost += records;
	a->segment->records -= records;
	sp->records -= records;
	sp->lost(sp->arg, records, loss);
	pass_lost(sp);
	return gone;
}

uint64_t
spool_rewind(struct spool *sp)
{
	uint64_t back = 0;

	for (; sp->ahead_count; sp->ahead_count--) {
		struct ahead *a = &sp->ahead[sp->ahead_first];

		back += a->lost;
		a->segment->records += a->lost;
		sp->records += a->lost;
		sp->ahead_first = (sp->ahead_first + 1) % SPOOL_AHEAD_MESSAGES;
	}
	sp->ahead_octets = 0;
	if (sp->reader.segment)
		segment_reader_close(&sp->reader);
	return back;
}

void
spool_log_torn(struct spool *sp, const struct segment *g, uint64_t records,
	       const char *why)
{
	uint32_t held;

	if (log_limit_pass(&sp->torn_limit, clock_mono_ms(), &held))
		log_error("%s: spool %s: segment %" PRIu64 ": %s; %" PRIu64
			  " records are lost (%" PRIu32 " lines held back)",
			  sp->name, sp->conf.directory, g->number, why, records,
			  held);
}

/* The rest of a segment can't be read. */
static void
give_up(struct spool *sp, const char *why)
{
	struct segment *g = sp->reader.segment;
	uint64_t records = g->records, messages = 0;

	for (uint32_t i = 0; i < sp->ahead_count; i++) {
		const struct ahead *a = &sp->ahead[(sp->ahead_first + i) %
						   SPOOL_AHEAD_MESSAGES];

		if (a->segment != g)
			continue;
		records -= a->records;
		messages++;
	}
	spool_log_torn(sp, g, records, why);
	g->records -= records;
	sp->records -= records;
	g->messages = messages;
	sp->reader.entry = g->entries;
	if (records)
		sp->lost(sp->arg, records, LOSS_SPOOL_TORN);
	if (messages)
		return;
	sp->done_segment = g->number;
	sp->done_entries = g->entries;
	sp->moved = true;
	remove_done(sp);
}

/*
 * Opens the segment with the next message; false: there is none. One that can't
 * be opened is lost.
 */
static bool
open_next(struct spool *sp)
{
	struct segment *g = sp->reader.segment;

	g = g ? TAILQ_NEXT(g, next) : TAILQ_FIRST(&sp->segments);
	while (g) {
		struct segment *next = TAILQ_NEXT(g, next);
		int rc;

		if (sp->reader.segment)
			segment_reader_close(&sp->reader);
		rc = segment_reader_open(&sp->reader, sp->folder, g);
		if (rc == 0)
			return true;
		if (rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM)
			return false;
		spool_log_torn(sp, g, g->records, strerror(-rc));
		drop_segment(sp, g, LOSS_SPOOL_TORN);
		g = next;
	}
	return false;
}

void
spool_had(struct spool *sp, uint32_t run, uint64_t position)
{
	sp->had_run = run;
	sp->had_position = position;
}

uint64_t
spool_take_had(struct spool *sp)
{
	uint64_t records = sp->had_records;

	sp->had_records = 0;
	return records;
}

/* A message without Flow Records is had if one behind it is. */
static bool
is_had(const struct spool *sp, const struct segment_entry *entry)
{
	uint64_t end = entry->position + entry->flows;

	return entry->records && !sp->ahead_count &&
	       entry->run == sp->had_run &&
	       (entry->flows ? end <= sp->had_position
			     : end < sp->had_position);
}

/* One message, or nothing: *message has no octets then. False: at the end. */
static bool
read_one(struct spool *sp, struct spool_message *message)
{
	struct segment_reader *r = &sp->reader;
	struct segment *g = r->segment;
	struct segment_entry entry;

	message->octets = NULL;
	if (!g || r->entry >= g->entries)
		return g == sp->writing && g ? false : open_next(sp);
	if (is_beyond(sp, g, r->entry))
		return false;
	if (segment_peek(r, &entry) < 0) {
		give_up(sp, "its index can't be read");
		return true;
	}
	if (entry.records && g->number == sp->done_segment &&
	    r->entry < sp->done_entries) {
		segment_skip(r);
		return true;
	}
	if (entry.kind == SEGMENT_SEAL) {
		segment_skip(r);
		return true;
	}
	if (is_had(sp, &entry)) {
		segment_skip(r);
		read_ahead(sp, &entry);
		sp->had_records += pass(sp);
		remove_done(sp);
		return true;
	}
	message->octets = segment_read(r, &entry);
	message->length = entry.length;
	message->records = entry.records;
	message->flows = entry.flows;
	message->run = entry.run;
	message->position = entry.position;
	message->segment = g->number;
	if (entry.records)
		read_ahead(sp, &entry);
	if (!message->octets && entry.records) {
		spool_log_torn(sp, g, entry.records, "a message is damaged");
		spool_lose(sp, entry.records, LOSS_SPOOL_TORN);
	}
	return true;
}

bool
spool_next(struct spool *sp, struct spool_message *message)
{
	while (spool_may_read(sp)) {
		if (!read_one(sp, message))
			return false;
		if (message->octets)
			return true;
	}
	return false;
}

/* ---- time --------------------------------------------------------------- */

static void
drop_aged(struct spool *sp)
{
	uint32_t now_s = (uint32_t)(clock_wall_ms() / 1000);
	uint32_t age = sp->conf.max_age_s;
	struct segment *g = sp->writing;

	if (g && g->entries && now_s > g->first_s + age / AGE_STEPS)
		end_segment(sp);
	while ((g = oldest_idle(sp)) && g != sp->writing &&
	       g->number != sp->seal_kept && now_s > g->last_s + age) {
		if (g->records)
			spool_log_torn(sp, g, g->records, "it is too old");
		drop_segment(sp, g, LOSS_SPOOL_AGE);
	}
}

/*
 * Where it is sealed sources wait while it fails, so there may be nobody to try
 * it again. A seal that could be written shows that it can be, too.
 */
static void
see_room(struct spool *sp)
{
	if (sp->conf.sealed && !spool_unsealed(sp) && has_much_room(sp))
		log_recovery(sp);
}

void
spool_tick(struct spool *sp, uint64_t now_ms)
{
	if (sp->torn) {
		uint64_t torn = sp->torn;

		sp->torn = 0;
		sp->lost(sp->arg, torn, LOSS_SPOOL_TORN);
	}
	keep_reserve(sp);
	see_room(sp);
	if (sp->conf.max_age_s)
		drop_aged(sp);
	spool_commit(sp);
	if (sp->conf.sync == EXPORTING_SYNC_TIME &&
	    now_ms - sp->synced_ms >= sp->conf.sync_ms) {
		sync_segment(sp);
		sp->synced_ms = now_ms;
	}
}

uint64_t
spool_records(const struct spool *sp)
{
	return sp->records + sp->torn;
}

void
spool_stats(const struct spool *sp, struct spool_stats *stats)
{
	const struct segment *g;

	*stats = (struct spool_stats){
		.octets = sp->octets,
		.found = sp->found,
		.records = spool_records(sp),
	};
	TAILQ_FOREACH(g, &sp->segments, next)
	{
		stats->messages += g->messages;
		stats->segments++;
		if (g->messages && !stats->oldest_ms)
			stats->oldest_ms = (uint64_t)g->first_s * 1000;
	}
}

/* ---- open and close ----------------------------------------------------- */

static int
open_folder(struct spool *sp)
{
	const char *path = sp->conf.directory;

	if (mkdir(path, 0750) < 0 && errno != EEXIST)
		return -errno;
	sp->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sp->folder < 0)
		return -errno;
	sp->lock =
		openat(sp->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (sp->lock < 0)
		return -errno;
	if (flock(sp->lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	sp->position = openat(sp->folder, "position",
			      O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (sp->position < 0)
		return -errno;
	if (!sp->conf.sealed)
		return 0;
	sp->reserve = openat(sp->folder, "reserve",
			     O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (sp->reserve < 0)
		return -errno;
	keep_reserve(sp);
	return 0;
}

static int
start(struct spool *sp, const char *name)
{
	int rc;

	sp->name = strdup(name);
	sp->conf.directory = strdup(sp->conf.directory);
	if (!sp->name || !sp->conf.directory)
		return -ENOMEM;
	rc = segment_reader_init(&sp->reader);
	if (rc == 0)
		rc = open_folder(sp);
	return rc < 0 ? rc : spool_find(sp, UINT64_MAX);
}

int
spool_open(const struct exporting_spool *conf, const char *name,
	   spool_lost lost, void *arg, struct spool **out, char **error)
{
	struct spool *sp = calloc(1, sizeof(*sp));
	int rc;

	if (!sp)
		return -ENOMEM;
	sp->conf = *conf;
	sp->lost = lost;
	sp->arg = arg;
	/* 0 is nobody's. */
	while (!sp->run)
		sp->run = (uint32_t)hash_seed();
	sp->folder = sp->lock = sp->position = sp->reserve = -1;
	sp->out = (struct segment_files){-1, -1};
	sp->reader.files = (struct segment_files){-1, -1};
	TAILQ_INIT(&sp->segments);
	rc = start(sp, name);
	if (rc == 0) {
		*out = sp;
		return 0;
	}
	if (rc != -ENOMEM)
		text_error(error, rc, "spool %s: %s", conf->directory,
			   rc == -EBUSY ? "another process or destination has "
					  "it, expected a folder of its own"
					: strerror(-rc));
	spool_close(sp);
	return rc;
}

static void
close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void
spool_close(struct spool *sp)
{
	if (!sp)
		return;
	if (sp->position >= 0)
		spool_commit(sp);
	end_segment(sp);
	segment_reader_fini(&sp->reader);
	spool_forget(sp);
	close_fd(sp->position);
	close_fd(sp->reserve);
	close_fd(sp->lock);
	close_fd(sp->folder);
	free((char *)sp->conf.directory);
	free(sp->name);
	free(sp);
}
