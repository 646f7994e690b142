/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* See share.h. */
#include "share.h"

enum {
	CALM_TURNS = 10,
	ROUNDS = 16, /* to find the share; it is never too large */
	LEAST = 16384,
};

void
share_init(struct share *s)
{
	*s = (struct share){.limit = UINT64_MAX, .turn = 1};
}

struct sum {
	uint64_t below; /* octets of senders that have no more than the share */
	uint32_t above, senders;
};

static struct sum
sum_up(const struct share *s, uint64_t limit, share_next next, void *arg)
{
	const struct share_sender *sender;
	struct sum sum = {0};

	while ((sender = next(arg))) {
		if (sender->turn != s->turn)
			continue;
		sum.senders++;
		if (sender->sent <= limit)
			sum.below += sender->sent;
		else
			sum.above++;
	}
	return sum;
}

/* From an equal part for each on, what some do not use goes to the others. */
static uint64_t
find(const struct share *s, uint64_t octets, share_next next,
     void (*rewind)(void *arg), void *arg)
{
	uint64_t limit, before;
	struct sum sum;

	rewind(arg);
	sum = sum_up(s, UINT64_MAX, next, arg);
	/* There is no other one. */
	if (sum.senders < 2)
		return UINT64_MAX;
	limit = octets / sum.senders;
	for (int i = 0; i < ROUNDS; i++) {
		before = limit;
		rewind(arg);
		sum = sum_up(s, limit, next, arg);
		if (!sum.above)
			break;
		if (octets > sum.below)
			limit = (octets - sum.below) / sum.above;
		if (limit <= before)
			break;
	}
	return limit > LEAST ? limit : LEAST;
}

void
share_turn(struct share *s, bool dropped, share_next next,
	   void (*rewind)(void *arg), void *arg)
{
	/* Where all could be taken, a bit more is tried. */
	uint64_t octets = dropped ? s->taken / 4 * 3 : s->taken / 32 * 33;

	if (dropped || s->congested || s->exceeded)
		s->calm = 0;
	else if (s->calm < CALM_TURNS)
		s->calm++;
	if (dropped)
		s->strict = true;
	if (s->calm == CALM_TURNS) {
		s->limit = UINT64_MAX;
		s->strict = false;
	} else if (s->limit != UINT64_MAX || !s->calm) {
		s->limit = find(s, octets, next, rewind, arg);
	}
	s->taken = 0;
	s->congested = s->exceeded = false;
	s->turn++;
}
