/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sequence.h"

#include <string.h>

#include "conflux/hash.h"

enum {
	/* A jump ahead of more records than this is a restart. */
	GAP_MAX = 1 << 28,
	/* To 0 it is one even if it is shorter: not a wrap. */
	GAP_TO_ZERO_MAX = 1 << 20,
	/* How far back a message of the same second may be late. */
	LATE_MAX = 1 << 16,
	/* What may have been sent before the first message we got. */
	BEFORE_FIRST = 4096,
	/* A rule is taken after so many hits where the present one failed. */
	HITS = 4,
	HITS_AFTER_NONE = 64,
	SAMPLES = 16,
	/* No rule: so many restarts in a window of messages. */
	WINDOW = 64,
	WINDOW_RESTARTS = 16,
};

static const char *const rule_name[] = {
	[RULE_RECORDS] = "records",
	[RULE_DATA] = "records without options",
	[RULE_RECORDS_AFTER] = "records, those of the message included",
	[RULE_DATA_AFTER] =
		"records without options, those of the message included",
	[RULE_MESSAGES] = "messages",
	[RULE_OCTETS] = "octets",
	[RULE_CONSTANT] = "nothing",
	[RULE_NONE] = "by no known rule",
};

const char *
sequence_rule_name(unsigned rule)
{
	return rule_name[rule];
}

bool
sequence_tells_loss(const struct sequence *s)
{
	return s->rule <= RULE_DATA_AFTER || s->rule == s->standard;
}

void
sequence_restart(struct sequence *s)
{
	memset(s->gap, 0, sizeof(s->gap));
	s->started = false;
	s->jumped = false;
	s->unknown = 0;
	s->account.restarts++;
}

/*
 * Of all octets up to SAMPLES * 16, else of so many pieces of 16 octets spread
 * over the message, and the last one: it is compared only where number, length
 * and time are the same, so that differences in between do not happen, and the
 * price has to be paid for every datagram.
 */
static uint64_t
content_hash(const uint8_t *p, size_t length)
{
	size_t step = length / SAMPLES < 16 ? 16 : length / SAMPLES;
	uint64_t even = length, odd = 1;
	uint64_t a, b;

	for (size_t at = 0; at + 16 <= length; at += step) {
		memcpy(&a, p + at, 8);
		memcpy(&b, p + at + 8, 8);
		even = hash_fold(a ^ even, 0xa0761d6478bd642fu);
		odd = hash_fold(b ^ odd, 0xe7037ed1a0b428dbu);
	}
	memcpy(&a, p + length - 16, 8);
	memcpy(&b, p + length - 8, 8);
	return hash_fold(a ^ even, b ^ odd);
}

bool
sequence_duplicate(struct sequence *s, const struct message_header *header,
		   const uint8_t *message)
{
	uint64_t hash = content_hash(message, header->length);
	unsigned at;

	/*
	 * A number that is ahead was not seen before. An exporter without a
	 * rule may well send the same content twice.
	 */
	if (s->started && s->rule < RULE_CONSTANT &&
	    ((int32_t)(header->sequence - s->next) < 0 ||
	     header->sequence == s->last.sequence))
		for (unsigned i = 0; i < SEQUENCE_SEEN; i++)
			if (s->seen[i].hash == hash &&
			    s->seen[i].sequence == header->sequence &&
			    s->seen[i].length == header->length &&
			    s->seen[i].export_time == header->export_time) {
				s->duplicates++;
				return true;
			}
	at = s->seen_at++ % SEQUENCE_SEEN;
	s->seen[at].hash = hash;
	s->seen[at].sequence = header->sequence;
	s->seen[at].length = header->length;
	s->seen[at].export_time = header->export_time;
	return false;
}

/* ---- gaps -------------------------------------------------------------- */

static void
gap_add(struct sequence *s, const struct sequence_gap *gap)
{
	unsigned at = 0;

	/* In a free place, or in that of the oldest. */
	for (unsigned i = 0; i < SEQUENCE_GAPS; i++) {
		if (!s->gap[i].length) {
			at = i;
			break;
		}
		if ((int32_t)(s->gap[i].order - s->gap[at].order) < 0)
			at = i;
	}
	s->gap[at] = *gap;
}

static void
gap_open(struct sequence *s, uint32_t start, uint32_t length, uint64_t now_ms,
	 bool lost)
{
	const struct sequence_gap gap = {now_ms, start, length, ++s->gap_order,
					 lost};

	gap_add(s, &gap);
}

/*
 * Takes the records from start on out of the open gap that they are in.
 * Returns false if there is none; *left is set to those that were not in it.
 */
static bool
gap_fill(struct sequence *s, uint32_t start, uint32_t records, uint64_t now_ms,
	 uint32_t *left)
{
	*left = records;
	for (unsigned i = 0; i < SEQUENCE_GAPS; i++) {
		struct sequence_gap gap = s->gap[i];
		uint32_t before = start - gap.start;

		if (before >= gap.length ||
		    (!s->patient && now_ms > gap.since_ms + SEQUENCE_GAP_MS))
			continue;
		if (records > gap.length - before)
			records = gap.length - before;
		*left -= records;
		if (gap.lost)
			s->account.lost -= records;
		s->gap[i].length = before;
		gap.start = start + records;
		gap.length -= before + records;
		if (gap.length)
			gap_add(s, &gap);
		return true;
	}
	return false;
}

/* ---- rules ------------------------------------------------------------- */

static uint32_t
counted(unsigned rule, const struct sequence_message *m)
{
	bool all = rule == RULE_RECORDS || rule == RULE_RECORDS_AFTER;

	if (rule == RULE_MESSAGES)
		return 1;
	return all ? m->records : m->records - m->options;
}

static bool
includes_message(unsigned rule)
{
	return rule == RULE_RECORDS_AFTER || rule == RULE_DATA_AFTER;
}

/* Does the rule explain the step from the last message to this one? */
static bool
rule_fits(unsigned rule, const struct sequence_message *last,
	  const struct sequence_message *m)
{
	uint32_t step = m->sequence - last->sequence;

	switch (rule) {
	case RULE_RECORDS:
	case RULE_DATA:
		return step == counted(rule, last);
	case RULE_RECORDS_AFTER:
	case RULE_DATA_AFTER:
		return step == counted(rule, m);
	case RULE_MESSAGES:
		return step == 1;
	case RULE_OCTETS:
		return step == last->octets;
	case RULE_CONSTANT:
		return step == 0;
	}
	return false;
}

/*
 * Each guess is followed from the first step that the present rule fails to
 * explain and the guess does, as long as it explains all. account is the one
 * from before this step. Returns true if another rule was taken.
 */
static bool
rules_check(struct sequence *s, const struct sequence_message *m,
	    const struct sequence_account *account)
{
	bool fits = rule_fits(s->rule, &s->last, m);
	uint32_t enough = s->rule == RULE_NONE ? HITS_AFTER_NONE : HITS;

	if ((fits && !s->doubted) || s->last.unknown || m->unknown)
		return false;
	s->doubted = false;
	for (unsigned i = 0; i < RULE_COUNT; i++) {
		if (i == s->rule || !rule_fits(i, &s->last, m)) {
			s->guess[i].hits = 0;
			continue;
		}
		if (!fits && !s->guess[i].hits++)
			s->guess[i].account = *account;
		if (s->guess[i].hits < enough) {
			s->doubted |= s->guess[i].hits > 0;
			continue;
		}
		s->rule = (uint8_t)i;
		s->account = s->guess[i].account;
		memset(s->guess, 0, sizeof(s->guess));
		memset(s->gap, 0, sizeof(s->gap));
		s->doubted = false;
		s->jumped = false;
		return true;
	}
	return false;
}

/* Restarts again and again are no restarts: there is no rule. */
static bool
window_check(struct sequence *s, bool restart)
{
	bool none;

	s->window_restarts += restart;
	none = s->window_restarts >= WINDOW_RESTARTS;
	if (none) {
		s->rule = RULE_NONE;
		s->account = s->window_account;
		memset(s->gap, 0, sizeof(s->gap));
	}
	if (++s->window < WINDOW && !none)
		return false;
	s->window = 0;
	s->window_restarts = 0;
	s->window_account = s->account;
	return none;
}

/* ---- the step ---------------------------------------------------------- */

static enum sequence_verdict
backward(struct sequence *s, const struct sequence_message *m, uint32_t start,
	 uint32_t records, uint64_t now_ms, uint32_t *late)
{
	if (gap_fill(s, start, records, now_ms, late))
		return SEQUENCE_LATE;
	if (m->sequence == 0 || s->next - start > LATE_MAX ||
	    (int32_t)(m->export_time - s->export_time) > 0)
		return SEQUENCE_RESTART;
	return SEQUENCE_LATE;
}

/* Takes back what the last message, a stray, did. */
static void
jump_undo(struct sequence *s)
{
	for (unsigned i = 0; i < SEQUENCE_GAPS; i++)
		if (s->gap[i].start == s->jump_from)
			s->gap[i].length = 0;
	s->account = s->jump_account;
	s->account.late++;
	s->next = s->jump_from;
}

/* The next number, after a far jump from "from" if there was one. */
static void
jump_note(struct sequence *s, bool jumped, uint32_t from,
	  const struct sequence_account *account)
{
	s->jumped = jumped;
	s->jump_from = from;
	s->jump_account = *account;
}

void
sequence_expect(struct sequence *s, uint32_t next)
{
	s->expects = true;
	s->next = next;
}

/* Is it known what the first number of the sequence should have been? */
static bool
first_expected(struct sequence *s, uint32_t start)
{
	if (!s->expects)
		return false;
	if (start < start - s->next)
		s->next = 0;
	return start - s->next <= LATE_MAX;
}

static enum sequence_verdict
step(struct sequence *s, const struct sequence_message *m, uint64_t now_ms,
     struct sequence_result *result)
{
	uint32_t records = counted(s->rule, m);
	bool after = includes_message(s->rule);
	uint32_t start = after ? m->sequence - records : m->sequence;
	uint32_t ahead;

	if (!s->started && first_expected(s, start))
		s->started = true;
	ahead = start - s->next;
	if (ahead && s->jumped && start == s->jump_from) {
		jump_undo(s);
		ahead = 0;
	}
	if (!s->started) {
		s->started = true;
		s->export_time = m->export_time;
		ahead = start < BEFORE_FIRST ? start : BEFORE_FIRST;
		gap_open(s, start - ahead, ahead, now_ms, false);
		s->next = start + records;
		return SEQUENCE_FIRST;
	}
	/* The number says nothing about the start of such a message. */
	if (after && (m->unknown || s->last.unknown)) {
		s->next = m->sequence;
		return SEQUENCE_NEXT;
	}
	if (ahead && s->unknown && s->rule != RULE_MESSAGES &&
	    ahead < GAP_MAX) {
		result->derived = ahead < s->unknown ? ahead : s->unknown;
		result->from = s->next;
		ahead -= result->derived;
	}
	if (!ahead) {
		s->next = start + records;
		return SEQUENCE_NEXT;
	}
	if ((int32_t)ahead < 0) {
		enum sequence_verdict v =
			backward(s, m, start, records, now_ms, &result->late);

		result->from = start + records;
		if (v == SEQUENCE_RESTART)
			s->next = start + records;
		return v;
	}
	s->next = start + records;
	if (ahead > GAP_MAX || (m->sequence == 0 && ahead > GAP_TO_ZERO_MAX))
		return SEQUENCE_RESTART;
	s->account.lost += ahead;
	gap_open(s, start - ahead, ahead, now_ms, true);
	result->gap = ahead;
	return SEQUENCE_GAP;
}

struct sequence_result
sequence_end(struct sequence *s, const struct sequence_message *m,
	     uint64_t now_ms)
{
	struct sequence_account before = s->account;
	struct sequence_result result = {.verdict = SEQUENCE_IGNORED};
	bool first = !s->started;
	uint32_t from = s->next;

	/*
	 * Messages of Templates alone come in rows with the same number, length
	 * and time, and the hash may miss where they differ. It does no harm to
	 * read one twice, but to miss one: they are not remembered.
	 */
	if (!m->records && !m->unknown)
		s->seen[(uint8_t)(s->seen_at - 1) % SEQUENCE_SEEN].length = 0;
	if (first || sequence_tells_loss(s))
		result.verdict = step(s, m, now_ms, &result);
	if (s->jumped || result.verdict != SEQUENCE_NEXT)
		jump_note(s,
			  result.verdict == SEQUENCE_RESTART ||
				  result.gap > LATE_MAX,
			  from, &before);
	switch (result.verdict) {
	case SEQUENCE_LATE:
		s->account.late++;
		break;
	case SEQUENCE_RESTART:
		s->account.restarts++;
		memset(s->gap, 0, sizeof(s->gap));
		break;
	default:
		break;
	}
	if (result.verdict != SEQUENCE_LATE) {
		s->unknown = m->unknown;
		s->export_time = m->export_time;
	}
	if (!first)
		result.rule_changed =
			rules_check(s, m, &before) ||
			window_check(s, result.verdict == SEQUENCE_RESTART);
	if (result.rule_changed) {
		s->unknown = 0;
		s->next = includes_message(s->rule)
				  ? m->sequence
				  : m->sequence + counted(s->rule, m);
		result.verdict = SEQUENCE_IGNORED;
	}
	s->last = *m;
	return result;
}

void
sequence_learnt(struct sequence *s, uint32_t octets, uint32_t records)
{
	if (!includes_message(s->rule) && s->rule != RULE_MESSAGES)
		s->next += records;
	s->unknown -= octets < s->unknown ? octets : s->unknown;
}

void
sequence_lost(struct sequence *s, uint32_t start, uint32_t records,
	      uint64_t now_ms)
{
	s->account.lost += records;
	gap_open(s, start, records, now_ms, true);
}

/*
 * Of the gap that is nearest to a number, within LATE_MAX, the part of at most
 * records that is nearest begins at *at. False: there is none.
 */
static bool
nearest_missing(const struct sequence *s, uint32_t number, uint32_t records,
		uint32_t *at)
{
	uint32_t nearest = LATE_MAX + 1;

	for (unsigned i = 0; i < SEQUENCE_GAPS; i++) {
		const struct sequence_gap *gap = &s->gap[i];
		uint32_t length = records < gap->length ? records : gap->length;
		uint32_t end = gap->start + gap->length;

		if (!gap->length)
			continue;
		if (number - gap->start < gap->length) {
			*at = number;
			return true;
		}
		if (gap->start - number < nearest) {
			nearest = gap->start - number;
			*at = gap->start;
		} else if (number - end < nearest) {
			nearest = number - end;
			*at = end - length;
		}
	}
	return nearest <= LATE_MAX;
}

uint32_t
sequence_late(struct sequence *s, uint32_t start, uint32_t records,
	      uint64_t now_ms, bool near)
{
	uint32_t at = start;

	if (!near) {
		gap_fill(s, start, records, now_ms, &records);
		return records;
	}
	while (records && nearest_missing(s, start, records, &at) &&
	       gap_fill(s, at, records, now_ms, &records))
		;
	return records;
}
