/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Who gets how much when there is not enough for all. */
#include "share.h"
#include "unit.h"

enum { SENDERS = 10, OCTETS = 1000 };

struct field {
	struct share share;
	struct share_sender sender[SENDERS];
	uint64_t sent[SENDERS], taken[SENDERS];
	unsigned at;
	uint64_t room; /* octets that can be taken in a turn */
	uint64_t used, lost;
};

static const struct share_sender *
next(void *arg)
{
	struct field *f = arg;

	return f->at < SENDERS ? &f->sender[f->at++] : NULL;
}

static void
rewind_senders(void *arg)
{
	((struct field *)arg)->at = 0;
}

static void
field_init(struct field *f, uint64_t room)
{
	*f = (struct field){.room = room};
	share_init(&f->share);
}

/* A turn in which sender i sends each[i] datagrams, all of them mixed. */
static void
turn(struct field *f, const unsigned *each, bool system)
{
	unsigned left[SENDERS], most = 0;

	for (int i = 0; i < SENDERS; i++) {
		left[i] = each[i];
		most = each[i] > most ? each[i] : most;
	}
	f->used = f->lost = 0;
	for (unsigned n = 0; n < most; n++)
		for (int i = 0; i < SENDERS; i++) {
			bool full = f->used >= f->room;
			bool taken;

			if (left[i] * (uint64_t)most <=
			    (most - 1 - n) * (uint64_t)each[i])
				continue;
			left[i]--;
			f->sent[i] += OCTETS;
			taken = share_take(&f->share, &f->sender[i], OCTETS,
					   full && !system);
			if (!taken)
				continue;
			f->lost += f->used >= f->room;
			if (f->used < f->room) {
				f->used += OCTETS;
				f->taken[i] += OCTETS;
			}
		}
	share_turn(&f->share, system && f->lost, next, rewind_senders, f);
}

static void
forget(struct field *f)
{
	for (int i = 0; i < SENDERS; i++)
		f->sent[i] = f->taken[i] = 0;
}

static const unsigned flood[SENDERS] = {2000, 10, 20, 10, 10,
					10,   10, 10, 10, 5};

static void
test_enough(void)
{
	struct field f;

	field_init(&f, UINT64_MAX);
	for (int i = 0; i < 20; i++)
		turn(&f, flood, true);
	for (int i = 0; i < SENDERS; i++)
		CU_ASSERT_EQUAL(f.sent[i], f.taken[i]);
	CU_ASSERT_EQUAL(f.share.limit, UINT64_MAX);
}

/* The system drops: after some turns it is the flood only that loses. */
static void
test_system(void)
{
	struct field f;

	field_init(&f, 500 * OCTETS);
	for (int i = 0; i < 20; i++)
		turn(&f, flood, true);
	CU_ASSERT_TRUE(f.share.strict);
	forget(&f);
	for (int i = 0; i < 100; i++)
		turn(&f, flood, true);
	for (int i = 1; i < SENDERS; i++)
		CU_ASSERT_TRUE(f.taken[i] * 100 >= f.sent[i] * 95);
	/* It gets what the others leave, or not much less. */
	CU_ASSERT_TRUE(f.taken[0] >= 100 * (uint64_t)250 * OCTETS);
	CU_ASSERT_TRUE(f.taken[0] <= 100 * (uint64_t)500 * OCTETS);
}

/* The stages behind are congested: heavy ones wait, others never. */
static void
test_congested(void)
{
	struct field f;

	field_init(&f, 500 * OCTETS);
	for (int i = 0; i < 3; i++)
		turn(&f, flood, false);
	CU_ASSERT_TRUE(f.share.limit != UINT64_MAX);
	CU_ASSERT_FALSE(f.share.strict);
	for (int i = 0; i < SENDERS; i++)
		CU_ASSERT_EQUAL(f.sender[i].heavy != 0, i == 0);
	CU_ASSERT_FALSE(share_take(&f.share, &f.sender[0], OCTETS, true));
	CU_ASSERT_TRUE(share_take(&f.share, &f.sender[0], OCTETS, false));
	CU_ASSERT_TRUE(share_take(&f.share, &f.sender[1], OCTETS, true));
}

/* Who is alone is not told from who is heavy; nothing is gained by dropping. */
static void
test_alone(void)
{
	static const unsigned alone[SENDERS] = {2000};
	struct field f;

	field_init(&f, 500 * OCTETS);
	for (int i = 0; i < 5; i++)
		turn(&f, alone, true);
	CU_ASSERT_EQUAL(f.share.limit, UINT64_MAX);
}

/* Equal ones lose alike, and when there is enough again, nobody does. */
static void
test_equal(void)
{
	static const unsigned equal[SENDERS] = {100, 100, 100, 100, 100,
						100, 100, 100, 100, 100};
	struct field f;
	uint64_t least = UINT64_MAX, most = 0;

	field_init(&f, 500 * OCTETS);
	for (int i = 0; i < 50; i++)
		turn(&f, equal, true);
	forget(&f);
	for (int i = 0; i < 100; i++)
		turn(&f, equal, true);
	for (int i = 0; i < SENDERS; i++) {
		least = f.taken[i] < least ? f.taken[i] : least;
		most = f.taken[i] > most ? f.taken[i] : most;
	}
	CU_ASSERT_TRUE(least * 10 >= most * 9);
	f.room = UINT64_MAX;
	for (int i = 0; i < 100; i++)
		turn(&f, equal, true);
	CU_ASSERT_EQUAL(f.share.limit, UINT64_MAX);
	CU_ASSERT_FALSE(f.share.strict);
	forget(&f);
	turn(&f, equal, true);
	for (int i = 0; i < SENDERS; i++)
		CU_ASSERT_EQUAL(f.taken[i], f.sent[i]);
}

static const struct unit_test tests[] = {
	{"enough for all", test_enough},
	{"the system drops", test_system},
	{"stages are congested", test_congested},
	{"alone", test_alone},
	{"equal ones", test_equal},
};

int
main(void)
{
	return unit_run("net: shares", tests, UNIT_COUNT(tests));
}
