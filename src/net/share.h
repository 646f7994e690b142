/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What each sender of datagrams may have when there is not enough for all.
 *
 * Time is cut into turns (share_turn). After one in which not all that was sent
 * could be taken, a share is worked out of it: so many octets that all together
 * get what could be taken, where nobody gets more than it sent (max-min
 * fairness). Who has sent more than that is heavy in the next turn, and some of
 * what it sends is for the caller to drop: what comes while the stages behind
 * are congested, so that there is always some room for the others. While the
 * system drops datagrams, which it does without looking whose they are, all
 * that is beyond the share, evenly, as each that is taken makes others wait in
 * the system. When all could be taken for some turns, there is no share any
 * more.
 */
#ifndef CONFLUX_NET_SHARE_H
#define CONFLUX_NET_SHARE_H

#include <stdbool.h>
#include <stdint.h>

struct share {
	uint64_t limit; /* octets of a sender in a turn; UINT64_MAX: all */
	uint64_t taken; /* octets in this turn, while nothing was congested */
	uint32_t turn;
	bool strict;	/* the system drops */
	bool congested; /* the stages behind were, in this turn */
	bool exceeded;	/* somebody was beyond the share, in this turn */
	unsigned calm;	/* turns since there was not enough */
};

/* One of the senders; all zero at its beginning. */
struct share_sender {
	uint64_t sent, taken; /* octets, in its turn */
	uint64_t heavy;	      /* sent in the turn before, if too much */
	uint64_t credit;      /* octets, of its share */
	uint32_t turn;
};

void share_init(struct share *share);

/* Is there a share now, or will there be one? */
static inline bool
share_short(const struct share *share)
{
	return share->limit != UINT64_MAX || share->congested;
}

static inline void
share_begin(const struct share *share, struct share_sender *sender)
{
	bool heavy =
		sender->turn + 1 == share->turn && sender->sent > share->limit;

	sender->heavy = heavy ? sender->sent : 0;
	sender->turn = share->turn;
	sender->sent = sender->taken = 0;
}

/* Is it beyond its share? */
static inline bool
share_exceeded(const struct share *share, struct share_sender *sender,
	       uint32_t octets)
{
	if (sender->taken + octets > share->limit)
		return true;
	if (!sender->heavy)
		return false;
	sender->credit += octets * share->limit / sender->heavy;
	if (sender->credit < octets)
		return true;
	sender->credit -= octets;
	return false;
}

/* Counts a datagram. False: it is to be dropped. congested: now. */
static inline bool
share_take(struct share *share, struct share_sender *sender, uint32_t octets,
	   bool congested)
{
	if (sender->turn != share->turn)
		share_begin(share, sender);
	sender->sent += octets;
	share->congested |= congested;
	if (share->strict ? share_exceeded(share, sender, octets)
			  : sender->heavy && congested) {
		share->exceeded = true;
		return false;
	}
	sender->taken += octets;
	share->taken += congested ? 0 : octets;
	return true;
}

/* The next sender of those that are to be looked at, or NULL. */
typedef const struct share_sender *(*share_next)(void *arg);

/*
 * The turn is over; dropped: the system has dropped datagrams in it. next is
 * begun anew by rewind, and used if there is not enough only.
 */
void share_turn(struct share *share, bool dropped, share_next next,
		void (*rewind)(void *arg), void *arg);

#endif
