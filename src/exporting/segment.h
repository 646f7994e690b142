/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * One segment of a spool: an IPFIX file (RFC 5655) and its index beside it.
 * See segment.c for the format.
 */
#ifndef CONFLUX_EXPORTING_SEGMENT_H
#define CONFLUX_EXPORTING_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
	SEGMENT_ENTRY = 56, /* octets of the index for each message */
	SEGMENT_BUFFER = 256 << 10,
	SEGMENT_ENTRIES = 512, /* read at a time */
	SEGMENT_NAME = 40,
};

struct segment {
	TAILQ_ENTRY(segment) next;
	uint64_t number;
	uint64_t octets;	    /* of its messages */
	uint32_t entries;	    /* messages, those with Templates, too */
	uint64_t records, messages; /* with records: not done */
	uint64_t torn; /* records found in the index, but not in the data */
	uint32_t first_s, last_s;   /* when they were written, wall clock */
};

/* Its two files; -1: not open. */
struct segment_files {
	int data, index;
};

enum segment_kind {
	SEGMENT_MESSAGE,
	SEGMENT_TENTATIVE, /* a message that counts only before a seal */
	SEGMENT_SEAL,
};

struct segment_entry {
	uint64_t offset;
	uint32_t length, records;
	uint32_t written_s;
	enum segment_kind kind;
	/* Which run of the spool has written it; the Flow Records that it had
	 * stored before this message, and those in it. */
	uint32_t run, flows;
	uint64_t position; /* of a seal: its number */
	uint64_t sum;
};

struct segment_reader {
	struct segment *segment; /* NULL: none is open */
	struct segment_files files;
	uint32_t entry; /* the next one */
	/* Octets of the data, and entries, that were read in one piece. */
	uint8_t *buffer;
	uint64_t buffer_at;
	size_t buffer_length;
	uint8_t *entries;
	uint32_t entries_at, entries_count;
};

/* "NUMBER.ipfix" or "NUMBER.index" in the folder. */
char *segment_name(char name[SEGMENT_NAME], uint64_t number, bool index);
/* The number in such a name, or 0. */
uint64_t segment_parse(const char *name, bool *index);

/* Makes both files; 0 or a negative errno, and then there are none. */
int segment_create(int folder, uint64_t number, struct segment_files *files);
void segment_close(struct segment_files *files);
void segment_remove(int folder, uint64_t number);

/*
 * Adds a message, of which entry tells all but offset and sum. A negative
 * errno: it is as it was before.
 */
int segment_write(const struct segment_files *files, struct segment *segment,
		  const uint8_t *message, struct segment_entry *entry);
/* What is behind its octets and entries goes. */
void segment_cut_back(const struct segment_files *files,
		      const struct segment *segment);
/*
 * Calls back for each entry that is as it was written; whole: so are, as far as
 * their number tells, the octets of its message. It ends when that returns
 * false.
 */
typedef bool (*segment_each)(void *arg, const struct segment_entry *entry,
			     uint32_t index, bool whole);
int segment_walk(int folder, uint64_t number, segment_each each, void *arg);
/* Leaves so many entries, with so many octets of messages. */
int segment_truncate(int folder, uint64_t number, uint32_t entries,
		     uint64_t octets);
/*
 * Finds what it has: fills in all but the number. Messages before the entry
 * done are done. It calls back as segment_walk does, but to its end, unless each
 * is NULL. -ENOENT: one of the files is missing.
 */
int segment_scan(int folder, struct segment *segment, uint32_t done,
		 segment_each each, void *arg);

int segment_reader_init(struct segment_reader *reader); /* 0 or -ENOMEM */
void segment_reader_fini(struct segment_reader *reader);
int segment_reader_open(struct segment_reader *reader, int folder,
			struct segment *segment);
void segment_reader_close(struct segment_reader *reader);
/* The entry of the next message; 0 or a negative errno. */
int segment_peek(struct segment_reader *reader, struct segment_entry *entry);
/*
 * That message. NULL: it is not the one that was written, or can't be read. In
 * both cases the next one follows.
 */
const uint8_t *segment_read(struct segment_reader *reader,
			    const struct segment_entry *entry);
void segment_skip(struct segment_reader *reader);

#endif
