/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of one destination on disk: written at one end, read and taken away
 * at the other. It knows how long a message is and how many records are in it,
 * and nothing else of it. See spool.c for the files.
 *
 * A message that was read (spool_next) is still held until spool_done says
 * that it is no longer needed; spool_rewind reads anew what was not done.
 *
 * Each run (from open to close) has a random number, and counts the Flow
 * Records that it has stored: by both a record is known to whoever acknowledges
 * it. A run never writes into what another has left, so no position is used
 * twice, whatever a crash has taken.
 */
#ifndef CONFLUX_EXPORTING_SPOOL_H
#define CONFLUX_EXPORTING_SPOOL_H

#include "conflux/exporting.h"
#include "conflux/ledger.h"

enum {
	/* Of what has been read and is not done. */
	SPOOL_AHEAD_MESSAGES = 1024,
	SPOOL_AHEAD_OCTETS = 1 << 20,
};

struct spool;

/* Records are lost that were held: for these octets nobody has to ask again. */
typedef void (*spool_lost)(void *arg, uint64_t records, enum loss loss);

struct spool_message {
	const uint8_t *octets; /* until the next call */
	uint32_t length;
	uint32_t records; /* 0: Templates, which need no spool_done */
	uint32_t flows;	  /* of them, Flow Records */
	uint32_t run;
	uint64_t position; /* of its first Flow Record in the run */
	uint64_t segment;  /* number of that it is in */
};

struct spool_stats {
	uint64_t messages, records; /* held, Templates not counted */
	uint64_t octets;	    /* of all files */
	uint64_t found;		    /* records that were there at the start */
	uint64_t oldest_ms; /* when the oldest was written, wall clock; or 0 */
	uint32_t segments;
};

/*
 * Opens the folder, and makes it if its parent is there. What an earlier run
 * left is found: stats.found has its records, torn ones included, of which
 * lost tells after the open (spool_tick). name is for the log. -EBUSY: another
 * process or destination has the folder. On error *error is for people.
 */
int spool_open(const struct exporting_spool *conf, const char *name,
	       spool_lost lost, void *arg, struct spool **out, char **error);
/* What is held stays on disk. NULL is legal. */
void spool_close(struct spool *spool);

/*
 * Makes room for a message of that length. 0: *segment is where it will go,
 * which has to have the Templates that it needs. Else *loss says why it can't
 * be taken.
 */
int spool_prepare(struct spool *spool, uint32_t length, uint64_t *segment,
		  enum loss *loss);
/*
 * Writes it; after spool_prepare for the sum of lengths. records 0: Templates;
 * flows: those of them that are Flow Records. Not 0: nothing was written, *loss
 * says why.
 */
int spool_append(struct spool *spool, const uint8_t *message, uint32_t length,
		 uint32_t records, uint32_t flows, enum loss *loss);
/*
 * Seals, where the configuration asks for them: messages count only when a seal
 * is behind them. A seal is a message, too, which tells what else is so when
 * they count (forward_seal.c), and has a number that counts on. One start finds
 * what is before the last seal, and the rest is gone. What is not released is
 * not read.
 *
 * The last seal stays, whatever is done or dropped; so a new segment should
 * begin with the same again. spool_seal comes after spool_prepare_seal, for a
 * copy after spool_prepare. A full spool and a full disk have room for a seal.
 */
int spool_prepare_seal(struct spool *spool, uint64_t *segment, enum loss *loss);
int spool_seal(struct spool *spool, uint64_t number, const uint8_t *message,
	       uint32_t length, enum loss *loss);
/* It was the last that was written, and is not to be. */
void spool_unseal(struct spool *spool, uint64_t number);
void spool_release(struct spool *spool);
/* Is there something that is not released? */
bool spool_unsealed(const struct spool *spool);
/* The number of the last one, 0: none. */
uint64_t spool_sealed(const struct spool *spool);
/* Before the first message is read: the last one, until then; or NULL. */
const uint8_t *spool_seal_read(struct spool *spool, uint32_t *length);
/*
 * Before the first message is read or written: what is behind the seal with
 * this number is gone, too. *records: that were found, and are not. 0 or an
 * error.
 */
int spool_seal_back(struct spool *spool, uint64_t number, uint64_t *records);
/* What comes behind all that can be read now. */
uint32_t spool_run(const struct spool *spool);
uint64_t spool_position(const struct spool *spool);
/* Would a message of that length be taken, as far as is known? */
bool spool_takes(const struct spool *spool, uint32_t length);
/* Will it soon take no more? */
bool spool_tight(const struct spool *spool);
/* Where the next message goes if there is room; 0: into a new segment. */
uint64_t spool_segment(const struct spool *spool);
/* The next message goes into a new segment. */
void spool_cut(struct spool *spool);

/* The next one to send; false: there is none now. */
bool spool_next(struct spool *spool, struct spool_message *message);
/*
 * Some records of the message read last can't be sent; they are told of. True:
 * all of it is, and it needs no spool_done.
 */
bool spool_lose(struct spool *spool, uint32_t records, enum loss loss);
/* The oldest message that was read and not done, is. Returns its records,
 * without those that were told to be lost. */
uint32_t spool_done(struct spool *spool);
/*
 * All that is not done will be read again. Returns the records that were told
 * to be lost and are back.
 */
uint64_t spool_rewind(struct spool *spool);
/*
 * The peer has all Flow Records of the run before this position: what is there
 * of them is done when it comes to be read, if nothing before it waits.
 */
void spool_had(struct spool *spool, uint32_t run, uint64_t position);
/* Records that were done so since this was asked last. */
uint64_t spool_take_had(struct spool *spool);
/* May more be read ahead? */
bool spool_may_read(const struct spool *spool);
/* Notes on disk what is done. */
void spool_commit(struct spool *spool);

/* Age, and what is to be synced. Monotonic milliseconds. */
void spool_tick(struct spool *spool, uint64_t now_ms);
void spool_stats(const struct spool *spool, struct spool_stats *stats);
/* stats.records alone. */
uint64_t spool_records(const struct spool *spool);

#endif
