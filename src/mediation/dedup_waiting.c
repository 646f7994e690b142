/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that wait until it is known which Observation Point has seen most of
 * their Flow. They lie one behind the other in a ring of octets, and as all
 * wait equally long, the oldest one is the next whose time has come; those of
 * one Flow are a list, and leave together with the oldest of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dedup.h"

#define GAP UINT32_MAX

struct held {
	uint32_t size; /* octets up to the next one, a multiple of 8 */
	uint32_t next; /* of the same Flow; 0: none; GAP: this is no record */
	uint32_t row;  /* of the Flow; 0: it has left */
	uint32_t length;
	struct sighting seen;
	uint64_t due_ms, export_ms, received_ms, flow_keys;
	const struct shape *shape; /* held */
	const struct scope *scope;
	uint8_t record[];
};

/* Places are numbers of 8 octets, from 1 on. */
static struct held *
held_at(const struct dedup *d, uint32_t place)
{
	return (struct held *)(void *)(d->ring.base +
				       ((uint64_t)place - 1) * 8);
}

static uint32_t
place_of(const struct dedup *d, const struct held *held)
{
	return (uint32_t)(((const uint8_t *)held - d->ring.base) / 8 + 1);
}

int
waiting_init(struct dedup *d)
{
	d->ring.size = d->conf.max_octets & ~UINT64_C(7);
	d->ring.base = malloc(d->ring.size);
	d->outbox.buffer = malloc(DEDUP_BUFFER);
	return d->ring.base && d->outbox.buffer ? 0 : -ENOMEM;
}

/* ---- the ring ---------------------------------------------------------- */

/* So many octets in one piece, or NULL. */
static struct held *
ring_take(struct held_ring *r, uint32_t size)
{
	struct held *held;
	uint64_t rest;

	if (r->used == 0)
		r->head = r->tail = 0;
	rest = r->size - r->head;
	if (r->used + size > r->size)
		return NULL;
	if (r->head >= r->tail && rest < size) {
		/* On with the front, if there is room. */
		if (r->used + rest + size > r->size)
			return NULL;
		if (rest) {
			held = (struct held *)(void *)(r->base + r->head);
			held->size = (uint32_t)rest;
			held->next = GAP;
		}
		r->used += rest;
		r->head = 0;
	}
	held = (struct held *)(void *)(r->base + r->head);
	held->size = size;
	r->head += size;
	r->used += size;
	return held;
}

static struct held *
ring_next(const struct held_ring *r, uint64_t *at)
{
	struct held *held;

	if (*at == r->size)
		*at = 0;
	held = (struct held *)(void *)(r->base + *at);
	*at += held->size;
	return held;
}

/* The oldest that waits, or NULL; what is before it has left. */
static struct held *
ring_front(struct held_ring *r)
{
	while (r->used) {
		uint64_t at = r->tail;
		struct held *held = ring_next(r, &at);

		if (held->next != GAP && held->row)
			return held;
		r->used -= held->size;
		r->tail = at;
	}
	return NULL;
}

/* ---- out --------------------------------------------------------------- */

static void
outbox_send(struct dedup *d)
{
	struct outbox *o = &d->outbox;

	if (o->batch.count == 0)
		return;
	d->stage.ledger.held -= o->batch.count;
	d->stage.ledger.exported += o->batch.count;
	stage_forward(&d->stage, &o->batch);
	shape_release(o->batch.shape);
	o->batch.count = 0;
	o->used = 0;
}

static bool
goes_with(const struct outbox *o, const struct held *held)
{
	const struct batch *b = &o->batch;

	return b->count > 0 && b->count < BATCH_MAX &&
	       o->used + held->length <= DEDUP_BUFFER &&
	       b->shape == held->shape && b->scope == held->scope &&
	       b->export_ms == held->export_ms &&
	       b->received_ms == held->received_ms &&
	       b->flow_keys == held->flow_keys;
}

static void
outbox_add(struct dedup *d, const struct held *held)
{
	struct outbox *o = &d->outbox;

	if (!goes_with(o, held)) {
		outbox_send(d);
		o->batch = (struct batch){
			.shape = shape_hold(held->shape),
			.scope = held->scope,
			.base = o->buffer,
			.stride = held->shape->variable ? 0 : held->length,
			.offset = held->shape->variable ? o->offset : NULL,
			.export_ms = held->export_ms,
			.received_ms = held->received_ms,
			.flow_keys = held->flow_keys,
		};
	}
	memcpy(o->buffer + o->used, held->record, held->length);
	o->offset[o->batch.count++] = o->used;
	o->used += held->length;
	o->offset[o->batch.count] = o->used;
}

static void
leave(struct held *held)
{
	held->row = 0;
	shape_release(held->shape);
}

static void
pass(struct dedup *d, struct held *held)
{
	outbox_add(d, held);
	leave(held);
}

static void
drop(struct dedup *d, struct held *held)
{
	d->stage.ledger.held--;
	d->stage.ledger.filtered++;
	leave(held);
}

void
waiting_fini(struct dedup *d)
{
	struct held *held;

	while (d->ring.base && (held = ring_front(&d->ring)))
		leave(held);
	free(d->ring.base);
	free(d->outbox.buffer);
}

/* ---- the choice -------------------------------------------------------- */

bool
waiting_add(struct dedup *d, uint32_t row, const struct batch *batch,
	    uint32_t i, const struct sighting *s)
{
	struct known_flow *flow = dedup_flow(d, row);
	uint32_t length, *last = &flow->held;
	const uint8_t *record = batch_record(batch, i, &length);
	struct held *held;

	if (flow->held_count == DEDUP_HELD_MAX)
		return false;
	held = ring_take(&d->ring,
			 (uint32_t)(sizeof(*held) + length + 7) & ~7u);
	if (!held)
		return false;
	held->next = 0;
	held->row = row;
	held->length = length;
	held->seen = *s;
	held->due_ms = d->now_ms + d->conf.hold_ms;
	held->export_ms = batch->export_ms;
	held->received_ms = batch->received_ms;
	held->flow_keys = batch->flow_keys;
	held->shape = shape_hold(batch->shape);
	held->scope = batch->scope;
	memcpy(held->record, record, length);
	while (*last)
		last = &held_at(d, *last)->next;
	*last = place_of(d, held);
	flow->held_count++;
	d->stage.ledger.held++;
	return true;
}

void
waiting_drop(struct dedup *d, struct known_flow *flow, const struct sighting *s)
{
	uint32_t *at = &flow->held;

	while (*at) {
		struct held *held = held_at(d, *at);

		if (!dedup_matches(d, s, &held->seen)) {
			at = &held->next;
			continue;
		}
		*at = held->next;
		flow->held_count--;
		drop(d, held);
	}
}

/* The point with the most packets in these records; of equals the first. */
static uint64_t
best_point(struct held *const *list, unsigned count)
{
	uint64_t best = 0, most = 0;

	for (unsigned i = 0; i < count; i++) {
		uint64_t sum = 0;

		for (unsigned k = 0; k < count; k++)
			if (list[k]->seen.point == list[i]->seen.point)
				sum += list[k]->seen.packets;
		if (i > 0 && sum <= most)
			continue;
		most = sum;
		best = list[i]->seen.point;
	}
	return best;
}

static bool
is_told(const struct dedup *d, const struct held *held,
	struct held *const *list, unsigned count, uint64_t owner)
{
	for (unsigned i = 0; i < count; i++)
		if (list[i]->seen.point == owner &&
		    dedup_matches(d, &list[i]->seen, &held->seen))
			return true;
	return false;
}

/*
 * Records of the best point pass, and what others say of the same packets goes;
 * from what is left then, the next is chosen.
 */
static unsigned
choose(struct dedup *d, struct known_flow *flow, struct held **list,
       unsigned count)
{
	uint64_t owner = best_point(list, count);
	struct held *rest[DEDUP_HELD_MAX];
	unsigned left = 0;

	flow->owner = owner;
	for (unsigned i = 0; i < count; i++) {
		if (list[i]->seen.point == owner)
			dedup_accept(flow, &list[i]->seen);
		else if (!is_told(d, list[i], list, count, owner))
			rest[left++] = list[i];
		else
			drop(d, list[i]);
	}
	for (unsigned i = 0; i < count; i++)
		if (list[i]->row && list[i]->seen.point == owner)
			pass(d, list[i]);
	memcpy(list, rest, left * sizeof(*list));
	return left;
}

static void
decide(struct dedup *d, uint32_t row)
{
	struct known_flow *flow = dedup_flow(d, row);
	struct held *list[DEDUP_HELD_MAX];
	unsigned count = 0;

	for (uint32_t at = flow->held; at; at = list[count++]->next)
		list[count] = held_at(d, at);
	flow->held = 0;
	flow->held_count = 0;
	while (count)
		count = choose(d, flow, list, count);
	flow_table_row(&d->table, row)->last = (uint32_t)d->now_ms;
}

void
waiting_run(struct dedup *d)
{
	struct held *held;
	unsigned n = 0;

	while ((held = ring_front(&d->ring)) &&
	       (d->flushing || held->due_ms <= d->now_ms)) {
		if (n++ % BATCH_MAX == 0) {
			outbox_send(d);
			if (stage_congested(&d->stage))
				break;
		}
		decide(d, held->row);
	}
	outbox_send(d);
}

void
waiting_end(struct dedup *d, const struct scope *scope)
{
	uint64_t at = d->ring.tail, left = d->ring.used;

	while (left) {
		struct held *held = ring_next(&d->ring, &at);

		left -= held->size;
		if (held->next != GAP && held->row &&
		    (!scope || held->scope == scope))
			decide(d, held->row);
	}
	outbox_send(d);
}
