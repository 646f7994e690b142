/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* See fragment.h. */
#include "fragment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "conflux/hash.h"
#include "conflux/table.h"

/* RFC 791 and RFC 8200: what the fragments of one datagram agree in. */
struct datagram_key {
	uint8_t source[16], target[16];
	uint32_t id;
	uint8_t version, protocol;
	uint8_t vlan[2]; /* the same addresses may be in use in several */
};

struct datagram {
	struct datagram_key key;
	uint32_t hash;
	uint64_t time_ns; /* of the fragment seen last */
	uint8_t port[4];
	uint8_t protocol; /* behind all extension headers */
	TAILQ_ENTRY(datagram) used;
};

struct fragments {
	uint32_t max;
	uint64_t timeout_ns;
	uint64_t seed;
	struct table table;
	TAILQ_HEAD(, datagram) used; /* the latest last */
	struct datagram *pool;
	uint32_t pool_used;
	struct fragment_counters counters;
};

int
fragments_new(uint32_t max, uint32_t timeout_ms, struct fragments **out)
{
	struct fragments *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	/* Not touched before it is used. */
	f->pool = calloc(max, sizeof(*f->pool));
	if (!f->pool) {
		free(f);
		return -ENOMEM;
	}
	f->max = max;
	f->timeout_ns = (uint64_t)timeout_ms * 1000000;
	TAILQ_INIT(&f->used);
	/* So that nobody can choose keys that fall together. */
	f->seed = hash_seed();
	*out = f;
	return 0;
}

void
fragments_free(struct fragments *f)
{
	if (!f)
		return;
	table_fini(&f->table);
	free(f->pool);
	free(f);
}

static void
make_key(struct datagram_key *key, const struct packet *p)
{
	memset(key, 0, sizeof(*key));
	if (p->has & HAS_IPV4) {
		key->version = 4;
		memcpy(key->source, p->ip + 12, 4);
		memcpy(key->target, p->ip + 16, 4);
		/*
		 * IPv6 has the next header in the first fragment alone. Not
		 * p->protocol, which may be behind an AH there.
		 */
		key->protocol = p->ip[9];
	} else {
		key->version = 6;
		memcpy(key->source, p->ip + 8, 16);
		memcpy(key->target, p->ip + 24, 16);
	}
	key->id = p->fragment_id;
	if (p->has & HAS_VLAN) {
		key->vlan[0] = p->vlan[0] & 0x0f;
		key->vlan[1] = p->vlan[1];
	}
}

static bool
same_key(const void *item, const void *key)
{
	const struct datagram *d = item;

	return memcmp(&d->key, key, sizeof(d->key)) == 0;
}

/* A place for a new datagram: never used, or that of the oldest. */
static struct datagram *
place(struct fragments *f, uint64_t now_ns)
{
	struct datagram *d;

	if (f->pool_used < f->max)
		return &f->pool[f->pool_used++];
	d = TAILQ_FIRST(&f->used);
	if (now_ns < d->time_ns + f->timeout_ns)
		f->counters.recycled++;
	TAILQ_REMOVE(&f->used, d, used);
	table_remove(&f->table, d->hash, d);
	return d;
}

static void
remember(struct fragments *f, const struct packet *p,
	 const struct datagram_key *key, uint32_t hash, struct datagram *d)
{
	f->counters.first++;
	if (d) {
		TAILQ_REMOVE(&f->used, d, used);
	} else {
		d = place(f, p->frame->time_ns);
		d->key = *key;
		d->hash = hash;
		/* The table has grown to max before long, then never fails. */
		if (table_add(&f->table, hash, d) < 0) {
			f->pool_used--;
			return;
		}
	}
	d->time_ns = p->frame->time_ns;
	memcpy(d->port, p->port, 4);
	d->protocol = p->protocol;
	TAILQ_INSERT_TAIL(&f->used, d, used);
}

void
fragments_packet(struct fragments *f, struct packet *p)
{
	struct datagram_key key;
	struct datagram *d;
	uint32_t hash;

	if (!p->fragment_offset && !(p->has & HAS_PORTS))
		return; /* of a protocol without ports */
	make_key(&key, p);
	hash = (uint32_t)hash_bytes(&key, sizeof(key), f->seed);
	d = table_find(&f->table, hash, same_key, &key);
	if (!p->fragment_offset) {
		remember(f, p, &key, hash, d);
		return;
	}
	if (!d || p->frame->time_ns > d->time_ns + f->timeout_ns) {
		f->counters.orphans++;
		return;
	}
	f->counters.found++;
	d->time_ns = p->frame->time_ns;
	memcpy(p->port, d->port, 4);
	p->protocol = d->protocol;
	p->has |= HAS_PORTS;
	TAILQ_REMOVE(&f->used, d, used);
	TAILQ_INSERT_TAIL(&f->used, d, used);
}

const struct fragment_counters *
fragments_counters(const struct fragments *f)
{
	return &f->counters;
}
