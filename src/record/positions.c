/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "conflux/positions.h"

#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/table.h"

struct positions {
	TAILQ_HEAD(position_list, position) list; /* unused for longest first */
	struct table by_key;
	uint64_t seed;
	uint32_t max;
};

struct key {
	const char *peer;
	uint32_t run;
};

static bool
equal(const void *item, const void *arg)
{
	const struct position *p = item;
	const struct key *key = arg;

	return p->run == key->run && strcmp(p->peer, key->peer) == 0;
}

static uint32_t
hash_of(const struct positions *ps, const char *peer, uint32_t run)
{
	return (uint32_t)hash_bytes(peer, strlen(peer),
				    hash_u64(run, ps->seed));
}

struct positions *
positions_new(uint32_t max)
{
	struct positions *ps = calloc(1, sizeof(*ps));

	if (!ps)
		return NULL;
	TAILQ_INIT(&ps->list);
	ps->seed = hash_seed();
	ps->max = max ? max : POSITIONS_MAX;
	return ps;
}

static void
forget(struct positions *ps, struct position *p)
{
	table_remove(&ps->by_key, hash_of(ps, p->peer, p->run), p);
	TAILQ_REMOVE(&ps->list, p, next);
	free(p);
}

void
positions_free(struct positions *ps)
{
	struct position *p;

	if (!ps)
		return;
	while ((p = TAILQ_FIRST(&ps->list)))
		forget(ps, p);
	table_fini(&ps->by_key);
	free(ps);
}

static bool
make_room(struct positions *ps, struct position *forgotten)
{
	struct position *p;

	if (ps->by_key.count < ps->max)
		return true;
	TAILQ_FOREACH(p, &ps->list, next)
	{
		if (p->sessions)
			continue;
		*forgotten = *p;
		forget(ps, p);
		return true;
	}
	return false;
}

struct position *
positions_get(struct positions *ps, const char *peer, uint32_t run, bool *made,
	      struct position *forgotten)
{
	const struct key key = {peer, run};
	uint32_t hash = hash_of(ps, peer, run);
	struct position *p = table_find(&ps->by_key, hash, equal, &key);

	forgotten->run = 0;
	*made = !p;
	if (p) {
		TAILQ_REMOVE(&ps->list, p, next);
		TAILQ_INSERT_TAIL(&ps->list, p, next);
		return p;
	}
	if (strlen(peer) > POSITIONS_PEER_MAX || !make_room(ps, forgotten))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->run = run;
	strcpy(p->peer, peer);
	if (table_add(&ps->by_key, hash, p)) {
		free(p);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&ps->list, p, next);
	return p;
}

struct position *
positions_next(const struct positions *ps, const struct position *p)
{
	return p ? TAILQ_NEXT(p, next) : TAILQ_FIRST(&ps->list);
}

struct position *
positions_previous(const struct positions *ps, const struct position *p)
{
	return p ? TAILQ_PREV(p, position_list, next)
		 : TAILQ_LAST(&ps->list, position_list);
}

uint32_t
positions_count(const struct positions *ps)
{
	return ps->by_key.count;
}

void
positions_settle(struct positions *ps)
{
	struct position *p;

	TAILQ_FOREACH(p, &ps->list, next)
	p->safe = p->taken;
}

bool
positions_settled(const struct positions *ps)
{
	const struct position *p;

	TAILQ_FOREACH(p, &ps->list, next)
	if (p->safe != p->taken)
		return false;
	return true;
}
