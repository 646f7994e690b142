/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Which Observation Domain ID a scope gets on its way out.
 *
 * RFC 7011 section 3.1: the id is unique for the Exporting Process, and a
 * Collecting Process tells Templates apart by it. Many exporters call their
 * domain 0 or 1, so an id is passed on only for the first one that comes with
 * it; the next one gets another.
 *
 * An id belongs to a domain of an exporter, known by its address (not its port,
 * which changes with each session), also while nobody uses it: so one that
 * comes back gets the same id, and its sequence numbers go on. Several live
 * scopes of the same address and domain (processes of one host, sessions that
 * overlap) get one each, told apart by the order in which they come. The
 * longest unused is given up when the bound is reached.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "exporting.h"

#define FIRST_FREE_KEEP 0x80000000u
#define FIRST_FREE_RENUMBER 1u

struct binding {
	uint64_t serial;
	struct domain *domain;
};

static uint32_t
hash_of(uint64_t key)
{
	return (uint32_t)hash_u64(key, 0);
}

static bool
binding_equal(const void *item, const void *key)
{
	const struct binding *b = item;

	return b->serial == *(const uint64_t *)key;
}

static bool
number_equal(const void *item, const void *key)
{
	const struct domain *d = item;

	return d->number == *(const uint32_t *)key;
}

static uint32_t
owner_hash(const struct domains *ds, const struct addr *owner, uint32_t source)
{
	return addr_hash(owner, ds->seed + source);
}

struct owner_key {
	const struct addr *owner;
	uint32_t source;
};

/* Of the same, and free. */
static bool
owner_equal(const void *item, const void *arg)
{
	const struct domain *d = item;
	const struct owner_key *key = arg;

	return !d->users && d->source == key->source &&
	       addr_equal_host(&d->owner, key->owner);
}

static struct domain *
find_owned(const struct domains *ds, const struct addr *owner, uint32_t source)
{
	const struct owner_key key = {owner, source};

	return table_find(&ds->by_owner, owner_hash(ds, owner, source),
			  owner_equal, &key);
}

/* No memory for it: it is not found when its owner comes back. */
static void
set_owner(struct domains *ds, struct domain *d, const struct addr *owner,
	  uint32_t source)
{
	d->owner = *owner;
	d->owner.port = 0;
	d->source = source;
	if (table_add(&ds->by_owner, owner_hash(ds, &d->owner, source), d) == 0)
		ds->changed = true;
}

static struct domain *
find_number(const struct domains *ds, uint32_t number)
{
	return table_find(&ds->by_number, hash_of(number), number_equal,
			  &number);
}

void
domains_init(struct exporting *e)
{
	TAILQ_INIT(&e->domains.idle);
	e->domains.seed = hash_seed();
	e->domains.next = e->conf.domains == EXPORTING_DOMAIN_KEEP
				  ? FIRST_FREE_KEEP
				  : FIRST_FREE_RENUMBER;
}

void
domains_fini(struct exporting *e)
{
	struct domains *ds = &e->domains;
	struct binding *b;
	uint32_t at = 0;

	while ((b = table_next(&ds->by_serial, &at)))
		free(b);
	for (uint32_t i = 0; i < ds->count; i++)
		free(ds->all[i]);
	free(ds->all);
	table_fini(&ds->by_serial);
	table_fini(&ds->by_number);
	table_fini(&ds->by_owner);
}

/* Gives up the place of a domain that nobody uses and nothing waits for. */
static struct domain *
reclaim(struct exporting *e)
{
	struct domains *ds = &e->domains;
	struct domain *d;
	unsigned tries = 0;

	TAILQ_FOREACH(d, &ds->idle, idle)
	{
		bool busy = false;

		for (unsigned i = 0; i < e->conf.destination_count; i++) {
			struct sink *s = &e->sink[i];
			struct channel *c = d->index < s->channel_size
						    ? s->channel[d->index]
						    : NULL;

			busy = busy ||
			       (c && (c->finished != c->gone ||
				      c == s->control_channel ||
				      c->writer.length || c->by_id.count));
		}
		if (!busy)
			break;
		if (++tries == 64)
			return NULL;
	}
	if (!d)
		return NULL;
	for (unsigned i = 0; i < e->conf.destination_count; i++)
		if (d->index < e->sink[i].channel_size) {
			channel_free(e->sink[i].channel[d->index]);
			e->sink[i].channel[d->index] = NULL;
		}
	TAILQ_REMOVE(&ds->idle, d, idle);
	table_remove(&ds->by_number, hash_of(d->number), d);
	table_remove(&ds->by_owner, owner_hash(ds, &d->owner, d->source), d);
	return d;
}

static struct domain *
make(struct exporting *e, uint32_t number)
{
	struct domains *ds = &e->domains;
	struct domain *d;

	if (ds->count < e->conf.max_domains) {
		if (ds->count == ds->size) {
			uint32_t size = ds->size ? ds->size * 2 : 16;
			struct domain **all =
				realloc(ds->all, size * sizeof(*all));

			if (!all)
				return NULL;
			ds->all = all;
			ds->size = size;
		}
		d = calloc(1, sizeof(*d));
		if (!d)
			return NULL;
		d->index = ds->count;
		ds->all[ds->count++] = d;
	} else {
		d = reclaim(e);
		if (!d)
			return NULL;
	}
	d->number = number;
	d->users = 0;
	d->shared = d->pinned = false;
	d->identity = (struct identity){0};
	TAILQ_INIT(&d->kept);
	d->kept_octets = 0;
	TAILQ_INSERT_TAIL(&ds->idle, d, idle);
	if (table_add(&ds->by_number, hash_of(number), d)) {
		/*
		 * Without its entry it would be given away twice: it stays
		 * idle under a number that no one asks for by number.
		 */
		return NULL;
	}
	return d;
}

/* A number that no domain has; they are fewer than there are numbers. */
static uint32_t
free_number(struct exporting *e)
{
	struct domains *ds = &e->domains;
	uint32_t number;

	do {
		number = ds->next++;
		if (!ds->next)
			ds->next = e->conf.domains == EXPORTING_DOMAIN_KEEP
					   ? FIRST_FREE_KEEP
					   : FIRST_FREE_RENUMBER;
	} while (find_number(ds, number));
	return number;
}

static struct domain *
find_shared(const struct domains *ds, uint32_t source)
{
	for (uint32_t i = 0; i < ds->count; i++)
		if (ds->all[i]->users && ds->all[i]->shared &&
		    ds->all[i]->source == source)
			return ds->all[i];
	return NULL;
}

/* The process itself: caches. Files are of exporters whose address is gone. */
static bool
is_own(const struct scope *scope)
{
	return scope->exporter.version == 0 &&
	       scope->transport != TRANSPORT_FILE;
}

/* JSON lines show no domain. */
static bool
shows_domains(const struct exporting *e)
{
	for (unsigned i = 0; i < e->conf.destination_count; i++)
		if (e->conf.destination[i].kind != EXPORTING_JSON)
			return true;
	return false;
}

static void
log_mapping(struct exporting *e, const struct scope *scope, uint32_t number)
{
	char text[ADDR_TEXT_SIZE];
	uint32_t held;

	if (!shows_domains(e) ||
	    !log_limit_pass(&e->domains.limit, clock_mono_ms(), &held))
		return;
	log_notice("exportingProcess %s: Observation Domain %" PRIu32
		   " of %s is exported as %" PRIu32
		   ", because another source has that id%s",
		   e->conf.name, scope->domain,
		   scope->exporter.version ? addr_format(text, &scope->exporter)
		   : is_own(scope)	   ? "a cache"
					   : "a file",
		   number, held ? " (and others)" : "");
}

static struct domain *
make_owned(struct exporting *e, const struct scope *scope,
	   const struct addr *owner)
{
	bool keep = e->conf.domains == EXPORTING_DOMAIN_KEEP;
	uint32_t number = scope->domain;
	struct domain *d;

	if (!keep || find_number(&e->domains, number))
		number = free_number(e);
	d = make(e, number);
	if (!d)
		return NULL;
	set_owner(&e->domains, d, owner, scope->domain);
	if (keep && number != scope->domain)
		log_mapping(e, scope, number);
	return d;
}

static struct domain *
choose(struct exporting *e, const struct scope *scope)
{
	struct domains *ds = &e->domains;
	bool shared = is_own(scope);
	struct domain *d = shared ? find_shared(ds, scope->domain) : NULL;
	struct addr owner = scope->exporter;

	if (d)
		return d;
	owner.port = 0;
	d = find_owned(ds, &owner, scope->domain);
	if (!d)
		d = make_owned(e, scope, &owner);
	if (d)
		d->shared = shared;
	return d;
}

static struct domain *
bind_scope(struct exporting *e, const struct scope *scope)
{
	struct domains *ds = &e->domains;
	struct binding *b = malloc(sizeof(*b));
	struct domain *d = b ? choose(e, scope) : NULL;

	if (!d) {
		free(b);
		return NULL;
	}
	b->serial = scope->serial;
	b->domain = d;
	if (table_add(&ds->by_serial, hash_of(b->serial), b)) {
		free(b);
		return NULL;
	}
	if (d->users++ == 0) {
		/* What it tells may be another; until now the old is told. */
		d->identity.length = 0;
		if (!d->pinned)
			TAILQ_REMOVE(&ds->idle, d, idle);
	}
	return d;
}

static struct binding *
find_binding(const struct domains *ds, const struct scope *scope)
{
	return table_find(&ds->by_serial, hash_of(scope->serial), binding_equal,
			  &scope->serial);
}

struct domain *
domain_find(const struct exporting *e, const struct scope *scope)
{
	const struct binding *b = find_binding(&e->domains, scope);

	return b ? b->domain : NULL;
}

struct domain *
domain_get(struct exporting *e, const struct scope *scope)
{
	struct domains *ds = &e->domains;
	struct binding *b;

	if (ds->last && ds->last_serial == scope->serial)
		return ds->last;
	b = find_binding(ds, scope);
	ds->last = b ? b->domain : bind_scope(e, scope);
	ds->last_serial = scope->serial;
	return ds->last;
}

struct domain *
domain_release(struct exporting *e, const struct scope *scope)
{
	struct domains *ds = &e->domains;
	struct binding *b = find_binding(ds, scope);
	struct domain *d;

	if (!b)
		return NULL;
	d = b->domain;
	ds->last = NULL;
	table_remove(&ds->by_serial, hash_of(b->serial), b);
	free(b);
	if (--d->users)
		return NULL;
	if (!d->pinned)
		TAILQ_INSERT_TAIL(&ds->idle, d, idle);
	return d;
}

struct domain *
domain_numbered(struct exporting *e, uint32_t number)
{
	struct domain *d = find_number(&e->domains, number);

	if (d)
		return d;
	d = make(e, number);
	if (d)
		d->source = number;
	return d;
}

struct domain *
domain_own(struct exporting *e, uint32_t number)
{
	struct domain *d = domain_numbered(e, number);

	if (d && !d->pinned) {
		/* One of a past run: its owner gets another. */
		table_remove(&e->domains.by_owner,
			     owner_hash(&e->domains, &d->owner, d->source), d);
		d->pinned = true;
		if (!d->users)
			TAILQ_REMOVE(&e->domains.idle, d, idle);
	}
	return d;
}

static bool
source_equal(const void *item, const void *arg)
{
	const struct domain *d = item;
	const struct owner_key *key = arg;

	return d->source == key->source &&
	       addr_equal_host(&d->owner, key->owner);
}

bool
domain_number(const struct exporting *e, const struct scope *scope,
	      uint32_t source, uint32_t *number)
{
	const struct domains *ds = &e->domains;
	const struct owner_key key = {&scope->exporter, source};
	struct addr owner = scope->exporter;
	const struct domain *d;

	/* Others of that exporter may have this domain, too: not they. */
	if (source == scope->domain) {
		*number = ds->last->number;
		return true;
	}
	owner.port = 0;
	d = table_find(&ds->by_owner, owner_hash(ds, &owner, source),
		       source_equal, &key);
	if (d)
		*number = d->number;
	return d != NULL;
}

int
domain_restore(struct exporting *e, uint32_t number, const struct addr *owner,
	       uint32_t source)
{
	struct domains *ds = &e->domains;
	struct domain *d;

	if (find_number(ds, number))
		return -EEXIST;
	if (ds->count == e->conf.max_domains)
		return -ENOSPC;
	d = make(e, number);
	if (!d)
		return -ENOMEM;
	set_owner(ds, d, owner, source);
	return 0;
}
