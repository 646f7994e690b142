/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * See duplicate.h. Entries lie in a ring in the order of their coming; an index
 * of chains leads to them by hash. An entry beyond the window, or overwritten,
 * ends a chain, since all behind it are older still.
 */
#include "duplicate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"

enum { CHAIN_MAX = 16 }; /* entries looked at */

struct seen {
	uint64_t hash;
	uint64_t time_ns;
	uint64_t number;  /* counts up: which of the ring's rounds */
	uint64_t older;   /* number of the next in the chain, 0: none */
	uint32_t length;
};

struct duplicates {
	uint64_t window_ns;
	uint64_t seed;
	uint64_t number; /* of the latest, from 1 on */
	uint32_t mask;   /* of ring and index: sizes are powers of two */
	struct seen *ring;
	uint64_t *index; /* number of the latest with that hash, or 0 */
};

int
duplicates_new(uint32_t max, uint32_t window_us, struct duplicates **out)
{
	struct duplicates *d = calloc(1, sizeof(*d));
	uint32_t size = 16;

	if (!d)
		return -ENOMEM;
	while (size < max)
		size *= 2;
	d->mask = size - 1;
	d->window_ns = (uint64_t)window_us * 1000;
	d->seed = hash_seed();
	d->ring = calloc(size, sizeof(*d->ring));
	d->index = calloc(size, sizeof(*d->index));
	if (!d->ring || !d->index) {
		duplicates_free(d);
		return -ENOMEM;
	}
	*out = d;
	return 0;
}

void
duplicates_free(struct duplicates *d)
{
	if (!d)
		return;
	free(d->ring);
	free(d->index);
	free(d);
}

/* Over the IP packet, but for what a router between may change. */
static uint64_t
packet_hash(const struct duplicates *d, const struct packet *p)
{
	bool v4 = p->has & HAS_IPV4;
	uint8_t head[40];
	uint32_t length = v4 ? 20 : 40;
	const uint8_t *rest = p->ip + length;
	uint64_t h;

	memcpy(head, p->ip, length);
	if (v4) {
		head[8] = 0;
		head[10] = head[11] = 0;
	} else {
		head[7] = 0;
	}
	h = hash_bytes(head, length, d->seed);
	return p->end > rest ? hash_bytes(rest, (size_t)(p->end - rest), h) : h;
}

bool
duplicates_packet(struct duplicates *d, const struct packet *p)
{
	uint64_t hash = packet_hash(d, p), now = p->frame->time_ns;
	uint64_t *head = &d->index[hash & d->mask], at = *head;
	struct seen *s;

	for (int n = 0; at && n < CHAIN_MAX; n++, at = s->older) {
		s = &d->ring[at & d->mask];
		if (s->number != at || now > s->time_ns + d->window_ns)
			break;
		if (s->hash == hash && s->length == p->ip_length &&
		    now >= s->time_ns)
			return true;
	}
	d->number++;
	s = &d->ring[d->number & d->mask];
	*s = (struct seen){
		.hash = hash,
		.time_ns = now,
		.number = d->number,
		.older = *head,
		.length = p->ip_length,
	};
	*head = d->number;
	return false;
}
