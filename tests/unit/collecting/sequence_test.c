/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sequence.h"
#include "unit.h"

#include <string.h>

struct run {
	struct sequence s;
	uint64_t now_ms;
	uint32_t time;
};

static struct sequence_result
step(struct run *r, uint32_t sequence, uint32_t records, uint32_t options,
     uint32_t unknown)
{
	struct sequence_message m = {
		.sequence = sequence,
		.export_time = r->time,
		.octets = 20 + 10 * records,
		.records = records,
		.options = options,
		.unknown = unknown,
	};

	return sequence_end(&r->s, &m, r->now_ms);
}

static enum sequence_verdict
plain(struct run *r, uint32_t sequence, uint32_t records)
{
	return step(r, sequence, records, 0, 0).verdict;
}

static void
test_order(void)
{
	struct run r = {.time = 100};

	CU_ASSERT_EQUAL(plain(&r, 4294967290u, 3), SEQUENCE_FIRST);
	CU_ASSERT_EQUAL(plain(&r, 4294967293u, 5), SEQUENCE_NEXT); /* wraps */
	CU_ASSERT_EQUAL(plain(&r, 2, 0), SEQUENCE_NEXT);
	CU_ASSERT_EQUAL(plain(&r, 2, 7), SEQUENCE_NEXT);
	CU_ASSERT_EQUAL(r.s.account.lost, 0);
	CU_ASSERT_EQUAL(plain(&r, 19, 1), SEQUENCE_GAP);
	CU_ASSERT_EQUAL(r.s.account.lost, 10);
	CU_ASSERT_EQUAL(plain(&r, 20, 1), SEQUENCE_NEXT);
}

static void
test_late(void)
{
	struct run r = {.time = 100};

	plain(&r, 100, 10);
	CU_ASSERT_EQUAL(plain(&r, 150, 10), SEQUENCE_GAP);
	CU_ASSERT_EQUAL(r.s.account.lost, 40);
	/* The middle, the end and the start of the gap come late. */
	CU_ASSERT_EQUAL(plain(&r, 120, 10), SEQUENCE_LATE);
	CU_ASSERT_EQUAL(r.s.account.lost, 30);
	CU_ASSERT_EQUAL(plain(&r, 130, 20), SEQUENCE_LATE);
	CU_ASSERT_EQUAL(plain(&r, 110, 10), SEQUENCE_LATE);
	CU_ASSERT_EQUAL(r.s.account.lost, 0);
	CU_ASSERT_EQUAL(r.s.account.late, 3);
	CU_ASSERT_EQUAL(plain(&r, 160, 10), SEQUENCE_NEXT);

	/* After some seconds a gap stays lost. */
	plain(&r, 180, 10);
	CU_ASSERT_EQUAL(r.s.account.lost, 10);
	r.now_ms += 6000;
	CU_ASSERT_EQUAL(plain(&r, 170, 10), SEQUENCE_LATE);
	CU_ASSERT_EQUAL(r.s.account.lost, 10);
	CU_ASSERT_EQUAL(r.s.account.restarts, 0);
}

/* The first two messages of a session change places. */
static void
test_late_first(void)
{
	struct run r = {.time = 100};

	plain(&r, 21, 21);
	CU_ASSERT_EQUAL(plain(&r, 0, 21), SEQUENCE_LATE);
	CU_ASSERT_EQUAL(plain(&r, 42, 21), SEQUENCE_NEXT);
	CU_ASSERT_EQUAL(r.s.account.lost, 0);
	CU_ASSERT_EQUAL(r.s.account.restarts, 0);
}

static void
test_restart(void)
{
	struct run r = {.time = 100};

	plain(&r, 50000, 10);
	r.time++;
	CU_ASSERT_EQUAL(plain(&r, 0, 10), SEQUENCE_RESTART);
	CU_ASSERT_EQUAL(plain(&r, 10, 10), SEQUENCE_NEXT);
	r.time++;
	/* A random start ahead of or behind the old number. */
	CU_ASSERT_EQUAL(plain(&r, 1900000000, 10), SEQUENCE_RESTART);
	CU_ASSERT_EQUAL(plain(&r, 1900000010, 10), SEQUENCE_NEXT);
	CU_ASSERT_EQUAL(plain(&r, 1000000000, 10), SEQUENCE_RESTART);
	CU_ASSERT_EQUAL(plain(&r, 4294967295u, 1), SEQUENCE_RESTART);
	/* From there to 0 is a wrap. */
	CU_ASSERT_EQUAL(plain(&r, 0, 1), SEQUENCE_NEXT);
	CU_ASSERT_EQUAL(r.s.account.restarts, 4);
	CU_ASSERT_EQUAL(r.s.account.lost, 0);
}

/* One message with a wrong number does not count as loss or restart. */
static void
test_stray(void)
{
	static const uint32_t stray[] = {200000000, 3000000000u, 0, 500};

	for (unsigned i = 0; i < UNIT_COUNT(stray); i++) {
		struct run r = {.time = 100};

		plain(&r, 700000, 10);
		r.time++;
		plain(&r, stray[i], 10);
		CU_ASSERT_EQUAL(plain(&r, 700010, 10), SEQUENCE_NEXT);
		CU_ASSERT_EQUAL(plain(&r, 700020, 10), SEQUENCE_NEXT);
		CU_ASSERT_EQUAL(plain(&r, 700040, 10), SEQUENCE_GAP);
		CU_ASSERT_EQUAL(plain(&r, 700030, 10), SEQUENCE_LATE);
		CU_ASSERT_EQUAL(r.s.account.lost, 0);
		CU_ASSERT_EQUAL(r.s.account.restarts, 0);
	}
}

static void
test_derived(void)
{
	struct run r = {.time = 100};
	struct sequence_result result;

	step(&r, 0, 10, 0, 200); /* and 200 octets that nobody can read */
	result = step(&r, 17, 10, 0, 0);
	CU_ASSERT_EQUAL(result.verdict, SEQUENCE_NEXT);
	CU_ASSERT_EQUAL(result.derived, 7);
	CU_ASSERT_EQUAL(r.s.account.lost, 0);

	/* More than could be in there: the rest is a gap. */
	step(&r, 27, 0, 0, 20);
	result = step(&r, 57, 10, 0, 0);
	CU_ASSERT_EQUAL(result.verdict, SEQUENCE_GAP);
	CU_ASSERT_EQUAL(result.derived, 20);
	CU_ASSERT_EQUAL(result.gap, 10);

	/* They were read before the next message came. */
	step(&r, 67, 0, 0, 100);
	sequence_learnt(&r.s, 100, 5);
	result = step(&r, 72, 10, 0, 0);
	CU_ASSERT_EQUAL(result.verdict, SEQUENCE_NEXT);
	CU_ASSERT_EQUAL(result.derived, 0);
	CU_ASSERT_EQUAL(r.s.account.lost, 10);
}

static void
test_messages(void)
{
	struct run r = {.time = 100};

	plain(&r, 7, 21);
	for (uint32_t i = 1; i <= 40; i++) {
		r.time += i % 8 == 0;
		plain(&r, 7 + i, 21 + i % 3);
	}
	CU_ASSERT_EQUAL(r.s.rule, RULE_MESSAGES);
	CU_ASSERT_EQUAL(r.s.account.lost, 0);
	CU_ASSERT_EQUAL(r.s.account.restarts, 0);
	CU_ASSERT_EQUAL(r.s.account.late, 0);
	CU_ASSERT_FALSE(sequence_tells_loss(&r.s));
}

static void
test_octets(void)
{
	struct run r = {.time = 100};
	uint32_t sequence = 0;

	for (uint32_t i = 0; i < 20; i++) {
		plain(&r, sequence, 10 + i % 3);
		sequence += r.s.last.octets;
	}
	CU_ASSERT_EQUAL(r.s.rule, RULE_OCTETS);
	CU_ASSERT_EQUAL(r.s.account.lost, 0);
}

static void
test_constant(void)
{
	struct run r = {.time = 100};

	for (uint32_t i = 0; i < 20; i++, r.time++)
		plain(&r, 0, 10 + i % 3);
	CU_ASSERT_EQUAL(r.s.rule, RULE_CONSTANT);
	CU_ASSERT_EQUAL(r.s.account.restarts, 0);
}

/*
 * softflowd 1.1 numbers a message with the records sent up to its end, without
 * options records. Most messages have 32 records, so that it looks right; each
 * sixteenth has templates, an options record and 24.
 */
static void
softflowd(struct run *r, uint32_t *sent, unsigned i)
{
	uint32_t records = i % 16 ? 32 : 24;
	uint32_t options = i % 16 ? 0 : 1;

	*sent += records;
	step(r, *sent, records + options, options, 0);
}

static void
test_softflowd(void)
{
	struct run r = {.time = 100};
	uint32_t sent = 0;

	for (unsigned i = 0; i < 200; i++)
		softflowd(&r, &sent, i);
	CU_ASSERT_EQUAL(r.s.rule, RULE_DATA_AFTER);
	CU_ASSERT_EQUAL(r.s.account.lost, 0);
	CU_ASSERT_EQUAL(r.s.account.restarts, 0);
	/* Real loss is told all the same. */
	sent += 32;
	softflowd(&r, &sent, 1);
	CU_ASSERT_EQUAL(r.s.account.lost, 32);
}

/* Options records are not counted. */
static void
test_without_options(void)
{
	struct run r = {.time = 100};
	uint32_t sent = 1000;

	for (unsigned i = 0; i < 100; i++) {
		uint32_t options = i % 5 == 0 ? 2 : 0;

		step(&r, sent, 20 + options + i % 2, options, 0);
		sent += 20 + i % 2;
	}
	CU_ASSERT_EQUAL(r.s.rule, RULE_DATA);
	CU_ASSERT_EQUAL(r.s.account.lost, 0);
	step(&r, sent + 9, 20, 0, 0);
	CU_ASSERT_EQUAL(r.s.account.lost, 9);
}

static uint32_t
noise(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state;
}

static void
test_nonsense(void)
{
	struct run r = {.time = 100};
	uint32_t state = 1;

	for (uint32_t i = 0; i < 300; i++, r.time++)
		plain(&r, noise(&state), 10 + i % 3);
	CU_ASSERT_EQUAL(r.s.rule, RULE_NONE);
	CU_ASSERT_EQUAL(r.s.account.restarts, 0);
	CU_ASSERT_EQUAL(r.s.account.lost, 0);
	/* It mends its ways. */
	for (uint32_t i = 0; i < 100; i++)
		plain(&r, 500 + i * 10, 10);
	CU_ASSERT_NOT_EQUAL(r.s.rule, RULE_NONE);
	CU_ASSERT(sequence_tells_loss(&r.s));
}

/*
 * Random loss, swaps and sizes of a right exporter: the account agrees with
 * the truth, and the rule is never doubted for good.
 */
static void
test_random(void)
{
	uint32_t state = 7;

	for (int round = 0; round < 50; round++) {
		struct run r = {.time = 100};
		uint32_t sequence = noise(&state), held = 0, held_n = 0;
		uint64_t lost = 0;

		plain(&r, sequence, 5);
		sequence += 5;
		for (int i = 0; i < 500; i++) {
			uint32_t n = 1 + (noise(&state) >> 16) % 30;
			uint32_t what = (noise(&state) >> 16) % 10;

			if (what == 0 && i < 499) {
				lost += n;
			} else if (what == 1 && !held_n) {
				held = sequence;
				held_n = n;
			} else {
				plain(&r, sequence, n);
				if (held_n && what > 6) {
					plain(&r, held, held_n);
					held_n = 0;
				}
			}
			sequence += n;
		}
		plain(&r, sequence, 1);
		if (held_n)
			lost += held_n;
		CU_ASSERT_EQUAL(r.s.rule, RULE_RECORDS);
		CU_ASSERT_EQUAL(r.s.account.lost, lost);
		CU_ASSERT_EQUAL(r.s.account.restarts, 0);
	}
}

static void
test_duplicate(void)
{
	struct run r = {.time = 100};
	struct message_header h = {10, 100, 100, 0, 1};
	uint8_t a[100], b[100];

	memset(a, 1, sizeof(a));
	memset(b, 1, sizeof(b));
	b[50] = 2;
	CU_ASSERT_FALSE(sequence_duplicate(&r.s, &h, a));
	plain(&r, 0, 10);
	CU_ASSERT_TRUE(sequence_duplicate(&r.s, &h, a));
	CU_ASSERT_FALSE(sequence_duplicate(&r.s, &h, b));
	h.sequence = 10;
	CU_ASSERT_FALSE(sequence_duplicate(&r.s, &h, a));
	plain(&r, 10, 10);
	h.sequence = 0;
	CU_ASSERT_TRUE(sequence_duplicate(&r.s, &h, a));
	CU_ASSERT_EQUAL(r.s.duplicates, 2);
	/* Sixteen messages later it is forgotten. */
	for (uint32_t i = 1; i <= 16; i++) {
		h.sequence = 10 + 10 * i;
		CU_ASSERT_FALSE(sequence_duplicate(&r.s, &h, b));
		plain(&r, h.sequence, 10);
	}
	h.sequence = 0;
	CU_ASSERT_FALSE(sequence_duplicate(&r.s, &h, a));
}

static const struct unit_test tests[] = {
	{"order, wrap and gap", test_order},
	{"late messages fill gaps", test_late},
	{"the first message comes second", test_late_first},
	{"restarts", test_restart},
	{"a stray message", test_stray},
	{"records of sets that were not read", test_derived},
	{"counts messages", test_messages},
	{"counts octets", test_octets},
	{"counts nothing", test_constant},
	{"counts like softflowd", test_softflowd},
	{"leaves options out", test_without_options},
	{"counts by no rule", test_nonsense},
	{"random loss and order", test_random},
	{"duplicates", test_duplicate},
};

int
main(void)
{
	return unit_run("sequence", tests, UNIT_COUNT(tests));
}
