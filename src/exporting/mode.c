/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Which destinations get which records: the exportMode of RFC 6728 section
 * 4.4.1, and what each destination is configured to take.
 *
 * The RFC has load balancing and fallback as names, and leaves to us how. A
 * record goes to one destination: of those that take it to one in the best
 * health (sink_rank). Among equals fallback has the first. Load balancing has
 * the one with the highest hash of (what, destination), where what is the
 * Observation Domain or the Flow Key: so only the share of one that fails
 * moves, to all others alike, and comes back when it does. Or they take
 * turns, a message each.
 *
 * Options Data goes to all that are up, and is kept for the others (kept.c),
 * since it says how to read the records of any.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "exporting.h"

enum {
	GATHER_OCTETS = 128 * 1024, /* more than any record has */
	KEY_PLANS = 64,		    /* a power of two */
	KEY_FIELDS = 16,
};

/* Fields of a shape by which records are told apart. */
struct key_plan {
	uint64_t flow_keys;
	uint32_t serial; /* of the shape; 0: free, shapes start at 1 */
	unsigned count;
	struct {
		uint16_t field;
		uint16_t seed;
	} part[KEY_FIELDS];
};

/* What is in use while a batch is dealt out. */
struct mode {
	struct key_plan plan[KEY_PLANS];
	uint32_t offset[BATCH_MAX + 1];
	uint8_t gather[GATHER_OCTETS];
	bool *put;	 /* of options, by destination */
	unsigned *order; /* destinations, the best first */
	unsigned *rank;
	uint64_t *weight;
	struct taken share[]; /* by destination */
};

/* One batch on its way. */
struct deal {
	struct exporting *e;
	struct domain *domain;
	const struct batch *batch;
	struct taken *taken;
	enum loss loss; /* reason of the last one that was lost */
};

static bool
takes_all(const struct exporting_destination *conf)
{
	return !conf->domain_count && !conf->filter.run;
}

int
mode_init(struct exporting *e)
{
	unsigned n = e->conf.destination_count;
	bool plain = e->conf.mode == EXPORTING_PARALLEL;

	for (unsigned i = 0; i < n; i++)
		plain = plain && takes_all(&e->conf.destination[i]);
	if (plain)
		return 0;
	e->mode = calloc(1, sizeof(*e->mode) + n * sizeof(*e->mode->share));
	if (!e->mode)
		return -ENOMEM;
	e->mode->put = calloc(n, sizeof(*e->mode->put));
	e->mode->order = calloc(n, sizeof(*e->mode->order));
	e->mode->rank = calloc(n, sizeof(*e->mode->rank));
	e->mode->weight = calloc(n, sizeof(*e->mode->weight));
	return e->mode->put && e->mode->order && e->mode->rank &&
			       e->mode->weight
		       ? 0
		       : -ENOMEM;
}

void
mode_fini(struct exporting *e)
{
	if (!e->mode)
		return;
	free(e->mode->put);
	free(e->mode->order);
	free(e->mode->rank);
	free(e->mode->weight);
	free(e->mode);
}

/* ---- sets of records ----------------------------------------------------- */

static struct taken
first_records(uint32_t count)
{
	struct taken set;

	for (uint32_t i = 0; i < BATCH_MAX / 64; i++, count -= 64) {
		if (count >= 64) {
			set.bits[i] = UINT64_MAX;
			continue;
		}
		set.bits[i] = (UINT64_C(1) << count) - 1;
		count = 64;
	}
	return set;
}

static void
set_add(struct taken *set, uint32_t i)
{
	set->bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static bool
set_has(const struct taken *set, uint32_t i)
{
	return set->bits[i / 64] >> (i % 64) & 1;
}

uint32_t
taken_count(const struct taken *set)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < BATCH_MAX / 64; i++)
		if (set->bits[i])
			n += (uint32_t)__builtin_popcountll(set->bits[i]);
	return n;
}

static uint32_t
batch_octets(const struct batch *batch)
{
	return batch->stride ? batch->stride * batch->count
			     : batch->offset[batch->count] - batch->offset[0];
}

static struct batch
slice(const struct batch *batch, uint32_t first, uint32_t count)
{
	struct batch part = *batch;

	part.count = count;
	if (batch->stride)
		part.base += (size_t)first * batch->stride;
	else
		part.offset += first;
	return part;
}

/* ---- what each destination takes ----------------------------------------- */

bool
mode_takes_domain(const struct exporting_destination *conf, uint32_t domain)
{
	for (unsigned i = 0; i < conf->domain_count; i++)
		if (conf->domain[i] == domain)
			return true;
	return conf->domain_count == 0;
}

/* Which records of the batch this one takes; -ENOMEM. */
static int
selected(const struct sink *s, const struct batch *batch, struct taken *set)
{
	uint32_t index[BATCH_MAX];
	int n;

	*set = (struct taken){0};
	if (!mode_takes_domain(s->conf, batch->scope->domain))
		return 0;
	if (!s->conf->filter.run || batch->shape->scope_count) {
		*set = first_records(batch->count);
		return 0;
	}
	n = s->conf->filter.run(s->conf->filter.arg, batch, index);
	for (int i = 0; i < n; i++)
		set_add(set, index[i]);
	return n < 0 ? n : 0;
}

/*
 * What it does not take is filtered; but where records go to one destination
 * only, one that another has is no matter of this.
 */
static void
count_filtered(struct sink *s, uint32_t count)
{
	if (s->exporting->conf.mode != EXPORTING_PARALLEL)
		return;
	s->ledger.in += count;
	s->ledger.filtered += count;
}

/* Those that no destination takes are filtered. */
static struct taken
select_all(struct deal *d)
{
	struct exporting *e = d->e;
	uint32_t count = d->batch->count;
	struct taken any = {0};

	for (unsigned i = 0; i < e->conf.destination_count; i++) {
		struct taken *share = &e->mode->share[i];
		struct sink *s = &e->sink[i];

		if (selected(s, d->batch, share) < 0) {
			s->ledger.in += count;
			sink_lose_batch(s, d->batch, 0, count, LOSS_NO_MEMORY);
			d->loss = LOSS_NO_MEMORY;
			continue;
		}
		count_filtered(s, count - taken_count(share));
		for (unsigned k = 0; k < BATCH_MAX / 64; k++)
			any.bits[k] |= share->bits[k];
	}
	return any;
}

/* ---- who is first -------------------------------------------------------- */

/* By rank, then by weight, then as they are configured. */
static void
put_in_order(struct exporting *e)
{
	struct mode *m = e->mode;

	for (unsigned i = 0; i < e->conf.destination_count; i++) {
		unsigned at = i;

		for (; at > 0; at--) {
			unsigned other = m->order[at - 1];

			if (m->rank[other] < m->rank[i] ||
			    (m->rank[other] == m->rank[i] &&
			     m->weight[other] >= m->weight[i]))
				break;
			m->order[at] = other;
		}
		m->order[at] = i;
	}
}

static void
rank_all(struct exporting *e, uint32_t octets)
{
	for (unsigned i = 0; i < e->conf.destination_count; i++) {
		e->mode->rank[i] = sink_rank(&e->sink[i], octets);
		e->mode->weight[i] = 0;
	}
}

/* Each record to the first in order that takes it. */
static void
deal_in_order(struct deal *d, struct taken left)
{
	struct exporting *e = d->e;

	for (unsigned i = 0; i < e->conf.destination_count; i++) {
		struct taken *share = &e->mode->share[e->mode->order[i]];

		for (unsigned k = 0; k < BATCH_MAX / 64; k++) {
			share->bits[k] &= left.bits[k];
			left.bits[k] &= ~share->bits[k];
		}
	}
}

/* ---- by Flow Key --------------------------------------------------------- */

/* Both directions of a flow have one key, so a source is as a destination. */
static uint16_t
seed_of(uint16_t id)
{
	switch (id) {
	case IE_destinationIPv4Address:
		return IE_sourceIPv4Address;
	case IE_destinationIPv6Address:
		return IE_sourceIPv6Address;
	case IE_destinationTransportPort:
		return IE_sourceTransportPort;
	default:
		return id;
	}
}

static bool
is_usual_key(const struct ie *ie)
{
	if (ie->pen)
		return false;
	switch (ie->id) {
	case IE_sourceIPv4Address:
	case IE_destinationIPv4Address:
	case IE_sourceIPv6Address:
	case IE_destinationIPv6Address:
	case IE_sourceTransportPort:
	case IE_destinationTransportPort:
	case IE_protocolIdentifier:
		return true;
	default:
		return false;
	}
}

/* The Flow Key as its source told it (RFC 7011 4.4), else what is usual. */
static const struct key_plan *
key_plan(struct mode *m, const struct batch *batch)
{
	const struct shape *shape = batch->shape;
	struct key_plan *p = &m->plan[shape->serial & (KEY_PLANS - 1)];

	if (p->serial == shape->serial && p->flow_keys == batch->flow_keys)
		return p;
	p->serial = shape->serial;
	p->flow_keys = batch->flow_keys;
	p->count = 0;
	for (uint16_t i = 0; i < shape->count && p->count < KEY_FIELDS; i++) {
		const struct ie *ie = shape->field[i].ie;
		bool key = p->flow_keys ? i < 64 && p->flow_keys >> i & 1
					: is_usual_key(ie);

		if (!key)
			continue;
		p->part[p->count].field = i;
		p->part[p->count++].seed =
			ie->pen ? (uint16_t)(ie->id ^ ie->pen)
				: seed_of(ie->id);
	}
	return p;
}

static uint64_t
value_hash(const uint8_t *p, uint32_t length, uint64_t seed)
{
	uint64_t word[2] = {0, 0};

	if (length > sizeof(word))
		return hash_bytes(p, length, seed);
	memcpy(word, p, length);
	return hash_u64(word[0], seed) ^ hash_u64(word[1], seed ^ length);
}

static uint64_t
key_hash(const struct key_plan *plan, const struct batch *batch, uint32_t i)
{
	const uint8_t *record, *p;
	uint32_t octets, length;
	uint64_t hash = 0;

	record = batch_record(batch, i, &octets);
	for (unsigned k = 0; k < plan->count; k++) {
		p = shape_field(batch->shape, plan->part[k].field, record,
				octets, &length);
		if (p)
			hash += value_hash(p, length, plan->part[k].seed);
	}
	return hash;
}

static void
deal_by_key(struct deal *d, const struct taken *any)
{
	struct exporting *e = d->e;
	struct mode *m = e->mode;
	const struct key_plan *plan = key_plan(m, d->batch);
	uint64_t whole = d->domain->number;

	for (uint32_t i = 0; i < d->batch->count; i++) {
		uint64_t best_weight = 0, weight, key;
		int best = -1;

		if (!set_has(any, i))
			continue;
		key = plan->count ? key_hash(plan, d->batch, i) : whole;
		for (unsigned k = 0; k < e->conf.destination_count; k++) {
			if (!set_has(&m->share[k], i) ||
			    (best >= 0 && m->rank[k] > m->rank[best]))
				continue;
			weight = hash_u64(key, k + 1);
			if (best >= 0 && m->rank[k] == m->rank[best] &&
			    weight <= best_weight)
				continue;
			best = (int)k;
			best_weight = weight;
		}
		for (int k = 0; k < (int)e->conf.destination_count; k++)
			if (k != best)
				m->share[k].bits[i / 64] &=
					~(UINT64_C(1) << (i % 64));
	}
}

/* ---- giving -------------------------------------------------------------- */

/* The records of this set to one destination. */
static void
give(struct deal *d, struct sink *s, const struct taken *set)
{
	struct mode *m = d->e->mode;
	uint32_t index[BATCH_MAX], count = 0, n;
	struct taken taken;
	struct batch out;
	enum loss loss;

	for (uint32_t i = 0; i < d->batch->count; i++)
		if (set_has(set, i))
			index[count++] = i;
	if (count == d->batch->count) {
		loss = sink_put(s, d->domain, d->batch, d->taken);
		if (loss != LOSS_COUNT)
			d->loss = loss;
		return;
	}
	for (uint32_t i = 0; i < count; i += n) {
		taken = (struct taken){0};
		n = batch_gather(d->batch, index + i, count - i, 0, m->gather,
				 GATHER_OCTETS, m->offset, &out);
		loss = sink_put(s, d->domain, &out, &taken);
		if (loss != LOSS_COUNT)
			d->loss = loss;
		for (uint32_t k = 0; k < n; k++)
			if (set_has(&taken, k))
				set_add(d->taken, index[i + k]);
	}
}

static void
give_all(struct deal *d)
{
	for (unsigned i = 0; i < d->e->conf.destination_count; i++)
		give(d, &d->e->sink[i], &d->e->mode->share[i]);
}

/* Options: to all that are up; the others get them when they come up. */
static bool
give_options(struct deal *d)
{
	struct exporting *e = d->e;
	bool any = false;

	for (unsigned i = 0; i < e->conf.destination_count; i++) {
		e->mode->put[i] =
			e->sink[i].up && taken_count(&e->mode->share[i]);
		any |= e->mode->put[i];
		if (e->mode->put[i])
			give(d, &e->sink[i], &e->mode->share[i]);
	}
	return any;
}

static void
give_in_order(struct deal *d, struct taken any)
{
	struct exporting *e = d->e;

	put_in_order(e);
	deal_in_order(d, any);
	give_all(d);
	for (unsigned i = 0; i < e->conf.destination_count; i++)
		e->mode->put[i] = taken_count(&e->mode->share[i]) > 0;
}

/* ---- taking turns -------------------------------------------------------- */

/*
 * As many of the first records as the message takes that the first in turn is
 * filling; 0: it takes no more.
 */
static uint32_t
turn_room(struct sink *s, struct domain *domain, const struct batch *batch)
{
	struct channel *c;

	if (s->conf->kind == EXPORTING_JSON)
		return batch->count;
	c = channel_get(s, domain);
	return c ? channel_fits(c, batch) : batch->count;
}

static void
turn_over(struct exporting *e, struct sink *s, struct domain *domain)
{
	if (s->conf->kind != EXPORTING_JSON)
		channel_finish(channel_get(s, domain));
	domain->turn = (s->index + 1) % e->conf.destination_count;
}

/* Weights so that the one whose turn it is comes first, then the next. */
static unsigned
turn_order(struct exporting *e, unsigned turn)
{
	unsigned n = e->conf.destination_count;

	for (unsigned i = 0; i < n; i++)
		e->mode->weight[i] = n - (i + n - turn) % n;
	put_in_order(e);
	return e->mode->order[0];
}

static void
take_turns(struct deal *whole, struct domain *domain)
{
	struct exporting *e = whole->e;
	const struct batch *batch = whole->batch;
	uint32_t at = 0, n, left;

	while (at < batch->count) {
		struct taken taken = {0}, any;
		struct sink *s = &e->sink[turn_order(e, domain->turn)];
		struct batch part = slice(batch, at, batch->count - at);
		struct deal d = *whole;

		left = part.count;
		n = turn_room(s, domain, &part);
		if (n == 0 && channel_get(s, domain)->writer.length) {
			turn_over(e, s, domain);
			continue;
		}
		part.count = n ? n : 1; /* it fits no message at all */
		d.batch = &part;
		d.taken = &taken;
		any = select_all(&d);
		deal_in_order(&d, any);
		give_all(&d);
		for (uint32_t i = 0; i < part.count; i++)
			if (set_has(&taken, i))
				set_add(whole->taken, at + i);
		whole->loss = d.loss;
		if (part.count < left)
			turn_over(e, s, domain);
		at += part.count;
	}
}

/* ---- the modes ----------------------------------------------------------- */

static void
balance(struct deal *d, struct domain *domain, const struct taken *any)
{
	struct exporting *e = d->e;

	switch (e->conf.balance) {
	case EXPORTING_BALANCE_DOMAIN:
		for (unsigned i = 0; i < e->conf.destination_count; i++)
			e->mode->weight[i] = hash_u64(domain->number, i + 1);
		give_in_order(d, *any);
		break;
	case EXPORTING_BALANCE_FLOW_KEY:
		deal_by_key(d, any);
		give_all(d);
		break;
	case EXPORTING_BALANCE_ROUND_ROBIN:
		take_turns(d, domain);
		break;
	}
}

enum loss
mode_run(struct exporting *e, struct domain *domain, const struct batch *batch,
	 struct taken *taken, uint32_t *filtered)
{
	struct deal d = {e, domain, batch, taken, LOSS_LIMIT};
	struct taken any;

	*filtered = 0;
	if (!e->mode) {
		for (unsigned i = 0; i < e->conf.destination_count; i++)
			d.loss = sink_put(&e->sink[i], domain, batch, taken);
		return d.loss;
	}
	any = select_all(&d);
	if (d.loss != LOSS_NO_MEMORY)
		*filtered = batch->count - taken_count(&any);
	if (e->conf.mode == EXPORTING_PARALLEL) {
		give_all(&d);
		return d.loss;
	}
	rank_all(e, batch_octets(batch));
	if (batch->shape->scope_count) {
		if (!give_options(&d))
			give_in_order(&d, any);
	} else if (e->conf.mode == EXPORTING_FALLBACK) {
		give_in_order(&d, any);
	} else {
		balance(&d, domain, &any);
	}
	return d.loss;
}

/* Only those in health that have room take what another could not send. */
static struct taken
leave_the_well(struct deal *d)
{
	struct exporting *e = d->e;
	struct taken any = {0};

	for (unsigned i = 0; i < e->conf.destination_count; i++) {
		struct taken *share = &e->mode->share[i];

		if (e->mode->rank[i] >= SINK_RANK_UNFIT)
			*share = (struct taken){0};
		for (unsigned k = 0; k < BATCH_MAX / 64; k++)
			any.bits[k] |= share->bits[k];
	}
	return any;
}

uint32_t
mode_move(struct sink *from, struct domain *domain, const struct batch *batch)
{
	struct exporting *e = from->exporting;
	struct taken taken = {0}, any, left;
	struct deal d = {e, domain, batch, &taken, LOSS_LIMIT};

	rank_all(e, batch_octets(batch));
	select_all(&d);
	any = leave_the_well(&d);
	left = first_records(batch->count);
	for (unsigned k = 0; k < BATCH_MAX / 64; k++)
		left.bits[k] &= ~any.bits[k];
	if (e->conf.mode == EXPORTING_FALLBACK) {
		give_in_order(&d, any);
	} else if (e->conf.balance == EXPORTING_BALANCE_ROUND_ROBIN) {
		domain->turn = (turn_order(e, domain->turn) + 1) %
			       e->conf.destination_count;
		give_in_order(&d, any);
	} else {
		balance(&d, domain, &any);
	}
	if (taken_count(&left))
		give(&d, from, &left);
	return taken_count(&any);
}

const bool *
mode_put(const struct exporting *e)
{
	return e->mode && e->conf.mode != EXPORTING_PARALLEL ? e->mode->put
							     : NULL;
}
