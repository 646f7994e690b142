/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Which Observation Domain ID a scope gets on its way out.
 *
 * RFC 7011 section 3.1: the id is unique for the Exporting Process, and a
 * Collecting Process tells Templates apart by it. Many exporters call their
 * domain 0 or 1, so an id is passed on only as long as no other live scope has
 * it; the next one gets another.
 *
 * A domain without users is remembered, so that an exporter that comes back
 * gets the same id and its sequence numbers go on. The longest unused is given
 * up when the bound is reached.
 */
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
}

/* Gives up the place of a domain that nobody uses and nothing waits for. */
static struct domain *
reclaim(struct exporting *e)
{
	struct domains *ds = &e->domains;
	struct domain *d;
	unsigned tries = 0;

	TAILQ_FOREACH(d, &ds->idle, idle) {
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
		   scope->exporter.version
			   ? addr_format(text, &scope->exporter)
			   : "a cache",
		   number, held ? " (and others)" : "");
}

static struct domain *
choose(struct exporting *e, const struct scope *scope)
{
	struct domains *ds = &e->domains;
	bool shared = scope->exporter.version == 0;
	struct domain *d = shared ? find_shared(ds, scope->domain) : NULL;
	uint32_t number = scope->domain;

	if (d)
		return d;
	if (e->conf.domains == EXPORTING_DOMAIN_RENUMBER) {
		d = make(e, free_number(e));
	} else {
		d = find_number(ds, number);
		if (d && d->users) {
			number = free_number(e);
			d = NULL;
		}
		if (!d)
			d = make(e, number);
		if (d && number != scope->domain)
			log_mapping(e, scope, number);
	}
	if (d) {
		d->shared = shared;
		d->source = scope->domain;
	}
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
	if (d->users++ == 0 && !d->pinned)
		TAILQ_REMOVE(&ds->idle, d, idle);
	return d;
}

struct domain *
domain_get(struct exporting *e, const struct scope *scope)
{
	struct domains *ds = &e->domains;
	struct binding *b;

	if (ds->last && ds->last_serial == scope->serial)
		return ds->last;
	b = table_find(&ds->by_serial, hash_of(scope->serial), binding_equal,
		       &scope->serial);
	ds->last = b ? b->domain : bind_scope(e, scope);
	ds->last_serial = scope->serial;
	return ds->last;
}

struct domain *
domain_release(struct exporting *e, const struct scope *scope)
{
	struct domains *ds = &e->domains;
	struct binding *b = table_find(&ds->by_serial, hash_of(scope->serial),
				       binding_equal, &scope->serial);
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
domain_own(struct exporting *e, uint32_t number)
{
	struct domain *d = find_number(&e->domains, number);

	if (!d)
		d = make(e, number);
	if (d && !d->pinned) {
		d->pinned = true;
		if (!d->users)
			TAILQ_REMOVE(&e->domains.idle, d, idle);
	}
	return d;
}
