/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The sequence numbers of one Observation Domain in one Transport Session, and
 * over SCTP in one of its streams.
 *
 * RFC 7011 section 3.1: the number in a message is the count, modulo 2^32, of
 * all Data Records sent before this message in domain and session; records
 * of Options Templates are Data Records too. So the next number is known once
 * the records of a message have been counted, and the difference is what was
 * lost. What we make of it:
 *
 *   forward     a gap: its records are lost, unless the message before had
 *               sets that could not be decoded: then its records come first
 *   in a gap    a late message: its records are taken off the loss again
 *   backward    an exact copy of a recent datagram: a duplicate, not to be
 *               read again (the RFC is silent; counting twice is worse);
 *               else late, or, if it is newer or far away, a restart
 *   back again  where a restart or a wide gap is followed by what would have
 *               come next without it, the message in between was a stray
 *
 * Many exporters count something else. A wrong rule that fits again and again
 * where the right one fails is taken as theirs, and what was counted lost
 * meanwhile is taken back. Where the rule still counts records (softflowd 1.1
 * counts without options and includes the records of the message itself) loss
 * is found by it; with others none is counted.
 *
 * NetFlow version 9 (RFC 3954 section 5.1) counts messages, so what is lost is
 * messages there.
 *
 * Pure state: no clock, no log.
 */
#ifndef CONFLUX_COLLECTING_SEQUENCE_H
#define CONFLUX_COLLECTING_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conflux/message.h"

enum {
	SEQUENCE_GAPS = 32,	/* open at a time */
	SEQUENCE_SEEN = 16,	/* datagrams remembered to know a copy */
	SEQUENCE_GAP_MS = 5000, /* a gap is not filled after that */
};

/* What the exporter counts. */
enum sequence_rule {
	RULE_RECORDS,       /* as the RFC says */
	RULE_DATA,          /* options left out */
	RULE_RECORDS_AFTER, /* the records of this message included */
	RULE_DATA_AFTER,    /* both */
	RULE_MESSAGES,      /* as NetFlow version 9 does */
	RULE_OCTETS,
	RULE_CONSTANT,      /* nothing */
	RULE_COUNT,
	RULE_NONE = RULE_COUNT, /* no rule fits */
};

enum sequence_verdict {
	SEQUENCE_FIRST,
	SEQUENCE_NEXT,
	SEQUENCE_GAP,
	SEQUENCE_LATE,
	SEQUENCE_RESTART,
	SEQUENCE_IGNORED, /* the rule does not tell */
};

struct sequence_account {
	uint64_t lost; /* records */
	uint64_t late; /* messages */
	uint64_t restarts;
};

struct sequence_message {
	uint32_t sequence;
	uint32_t export_time;
	uint32_t octets;
	uint32_t records; /* decoded, options included */
	uint32_t options;
	uint32_t unknown; /* octets of data that could not be decoded: no
			   * template, malformed */
};

struct sequence {
	bool started;
	bool expects;	      /* sequence_expect was called */
	bool patient;	      /* what is missing may come at any time */
	uint8_t rule;         /* enum sequence_rule */
	uint8_t standard;     /* the one that it should be */
	bool doubted;         /* some guess has hits */
	uint8_t seen_at;
	uint32_t next;        /* expected */
	uint32_t unknown;     /* octets of the last message in order that may
			       * hold more records than next knows of */
	uint32_t export_time; /* the newest */
	struct sequence_message last; /* in the order of arrival */
	struct sequence_account account;
	uint64_t duplicates;
	struct sequence_gap {
		uint64_t since_ms;
		uint32_t start, length;
		uint32_t order; /* of opening */
		bool lost;      /* false: before the first message we saw */
	} gap[SEQUENCE_GAPS];
	uint32_t gap_order;
	struct {
		uint32_t sequence, export_time, length;
		uint64_t hash;
	} seen[SEQUENCE_SEEN];
	struct {
		uint32_t hits; /* since the account was as here */
		struct sequence_account account;
	} guess[RULE_COUNT];
	/* The last message jumped far, from this number and account. */
	bool jumped;
	uint32_t jump_from;
	struct sequence_account jump_account;
	uint32_t window, window_restarts;
	struct sequence_account window_account;
};

/* standard is RULE_RECORDS (all zero is that, too), or RULE_MESSAGES. */
static inline void
sequence_init(struct sequence *s, enum sequence_rule standard)
{
	*s = (struct sequence){.rule = standard, .standard = standard};
}

/* The exporter is known to count anew. */
void sequence_restart(struct sequence *s);

/*
 * Before a datagram is read: true if it is an exact copy of a recent one. Not
 * for streams and files, which do not copy.
 */
bool sequence_duplicate(struct sequence *s, const struct message_header *header,
			const uint8_t *message);

/*
 * Before the first message: the session replaces another one of the exporter,
 * in which next was the number to come. The first message has a number near to
 * 0, or near to next if the exporter counts on; what is between is lost.
 */
void sequence_expect(struct sequence *s, uint32_t next);

struct sequence_result {
	enum sequence_verdict verdict;
	uint32_t gap;     /* records, of SEQUENCE_GAP */
	uint32_t derived; /* records that the unknown octets of the message
			   * before must have held, or of others after it that
			   * did not come */
	uint32_t from;    /* number of the first of them; of SEQUENCE_LATE: of
			   * the first record that may be unknown */
	uint32_t late;    /* records, of SEQUENCE_LATE, that no gap lacked */
	bool rule_changed;
};

/* After it was read. now_ms is monotonic. */
struct sequence_result sequence_end(struct sequence *s,
				    const struct sequence_message *message,
				    uint64_t now_ms);

/* Octets that were unknown in the last message in order turned out to be
 * records after all. */
void sequence_learnt(struct sequence *s, uint32_t octets, uint32_t records);

/* Records that had been derived were those of messages that did not come. */
void sequence_lost(struct sequence *s, uint32_t start, uint32_t records,
		   uint64_t now_ms);

/*
 * Records that came late are known only now: they are taken off the gap that
 * start is in, or (near), as that may be known only about, off the nearest
 * ones. Returns how many no gap lacked.
 */
uint32_t sequence_late(struct sequence *s, uint32_t start, uint32_t records,
		       uint64_t now_ms, bool near);

/* "records without options", for people. */
const char *sequence_rule_name(unsigned rule);

/* Can loss be told with this rule? */
bool sequence_tells_loss(const struct sequence *s);

#endif
