/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "handover.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "conflux/lists.h"
#include "conflux/table.h"
#include "conflux/wire.h"
#include "entry.h"

enum {
	/*
	 * How long a full ring is waited for. Meanwhile the socket buffers
	 * take what comes; after it the records are lost and counted.
	 */
	FULL_MS = 100,
	NAP_NS = 200000,
};

/* A Template that the intake knows by its id. */
struct known_template {
	uint16_t id;
	uint32_t shape; /* its serial */
};

struct known_scope {
	struct scope scope; /* as it was told */
	uint32_t target;
	bool told;		  /* the intake knows it */
	struct table templates;	  /* struct known_template, by id */
	struct known_scope *next; /* of those that have ended */
};

struct handover_port {
	struct ring *ring;
	const struct ie_registry *registry;
	void (*idle)(void *arg);
	void *arg;
	bool patient;
	atomic_bool abandoned;
	bool stuck; /* the last wait was in vain: don't wait again at once */
	struct table slots; /* by shape: struct slot */
	struct slot {
		const struct shape *shape; /* held */
		uint32_t number;
	} slot[HANDOVER_SLOTS];
	uint32_t slot_count;
	/* Held until the intake has read what was written before the reset. */
	const struct shape *retired[HANDOVER_SLOTS];
	uint32_t retired_count;
	size_t retired_at;   /* position of the ring behind the reset */
	struct table scopes; /* struct known_scope, by serial and target */
	struct known_scope *ended; /* there was no room to tell the intake */
};

struct handover {
	struct stage stage;
	struct handover_port *port;
	uint32_t target;
	struct known_scope *last;
};

/* ---- writing ------------------------------------------------------------- */

/*
 * Room in the ring, waiting for it if need be; NULL: it stays full. While one
 * wait was in vain the next ones are not made, until there is room again.
 */
static void *
reserve(struct handover_port *port, size_t length)
{
	static const struct timespec nap = {.tv_nsec = NAP_NS};
	void *p = ring_reserve(port->ring, length);
	uint64_t start;

	if (p) {
		port->stuck = false;
		return p;
	}
	if (port->stuck && !port->patient)
		return NULL;
	start = clock_mono_ms();
	while (!p && !atomic_load(&port->abandoned) &&
	       (port->patient || clock_mono_ms() - start < FULL_MS)) {
		nanosleep(&nap, NULL);
		port->idle(port->arg);
		p = ring_reserve(port->ring, length);
	}
	port->stuck = !p;
	return p;
}

/* An entry that is its head alone, however long it takes. */
static void
put_patiently(struct handover_port *port, enum entry_type type, uint32_t target)
{
	bool patient = port->patient;
	struct entry_head *head;

	port->patient = true;
	head = reserve(port, sizeof(*head));
	port->patient = patient;
	if (!head)
		return; /* the first worker has ended */
	*head = (struct entry_head){.type = type, .target = target};
	ring_commit(port->ring);
}

static bool
slot_equal(const void *item, const void *key)
{
	return ((const struct slot *)item)->shape == key;
}

/* All slots are taken by shapes, many of which nobody uses any more. */
static bool
reset_slots(struct handover_port *port)
{
	struct entry_head *head;

	/* The intake must be done with those of the last time. */
	if (port->retired_count && !ring_passed(port->ring, port->retired_at))
		return false;
	for (uint32_t i = 0; i < port->retired_count; i++)
		shape_release(port->retired[i]);
	port->retired_count = 0;
	head = reserve(port, sizeof(*head));
	if (!head)
		return false;
	head->type = ENTRY_RESET;
	ring_commit(port->ring);
	port->retired_at = ring_position(port->ring);
	for (uint32_t i = 0; i < port->slot_count; i++) {
		table_remove(&port->slots, port->slot[i].shape->hash,
			     &port->slot[i]);
		port->retired[port->retired_count++] = port->slot[i].shape;
	}
	port->slot_count = 0;
	return true;
}

/* The slot of a shape; the intake has been told. NULL: not now. */
static const struct slot *
slot_of(struct handover_port *port, const struct shape *shape)
{
	struct slot *slot =
		table_find(&port->slots, shape->hash, slot_equal, shape);
	struct entry_shape *entry;

	if (slot)
		return slot;
	if (port->slot_count == HANDOVER_SLOTS && !reset_slots(port))
		return NULL;
	slot = &port->slot[port->slot_count];
	slot->shape = shape;
	slot->number = port->slot_count;
	if (table_add(&port->slots, shape->hash, slot) < 0)
		return NULL;
	entry = reserve(port, sizeof(*entry));
	if (!entry) {
		table_remove(&port->slots, shape->hash, slot);
		return NULL;
	}
	entry->head.type = ENTRY_SHAPE;
	entry->slot = slot->number;
	entry->shape = shape_hold(shape);
	ring_commit(port->ring);
	port->slot_count++;
	return slot;
}

/* ---- scopes -------------------------------------------------------------- */

struct scope_key {
	uint64_t serial;
	uint32_t target;
};

static bool
scope_equal(const void *item, const void *key)
{
	const struct known_scope *known = item;
	const struct scope_key *k = key;

	return known->scope.serial == k->serial && known->target == k->target;
}

static uint32_t
scope_hash(uint64_t serial, uint32_t target)
{
	return (uint32_t)hash_u64(serial, target);
}

static bool
scope_same(const struct scope *a, const struct scope *b)
{
	return a->domain == b->domain && a->has_init == b->has_init &&
	       a->system_init_ms == b->system_init_ms &&
	       a->fact_mask == b->fact_mask &&
	       memcmp(a->fact, b->fact, sizeof(a->fact)) == 0 &&
	       a->origin.serial == b->origin.serial &&
	       addr_equal_host(&a->exporter, &b->exporter);
}

static bool
write_scope_to(struct handover_port *port, uint32_t target,
	       enum entry_type type, const struct scope *scope)
{
	struct entry_scope *entry = reserve(port, sizeof(*entry));

	if (!entry)
		return false;
	entry->head.type = type;
	entry->head.target = target;
	entry->scope = *scope;
	ring_commit(port->ring);
	return true;
}

static bool
write_scope(struct handover *h, enum entry_type type, const struct scope *scope)
{
	return write_scope_to(h->port, h->target, type, scope);
}

static struct known_scope *
find_scope(const struct handover *h, uint64_t serial)
{
	struct scope_key key = {.serial = serial, .target = h->target};

	return table_find(&h->port->scopes, scope_hash(serial, h->target),
			  scope_equal, &key);
}

/* Sees to it that the intake knows the scope as it is now. */
static bool
tell_scope(struct handover *h, const struct scope *scope)
{
	struct known_scope *known = h->last;

	if (!known || known->scope.serial != scope->serial)
		known = find_scope(h, scope->serial);
	if (known && scope_same(&known->scope, scope)) {
		h->last = known;
		return true;
	}
	if (!known) {
		known = calloc(1, sizeof(*known));
		if (!known)
			return false;
		known->target = h->target;
		known->scope.serial = scope->serial;
		if (table_add(&h->port->scopes,
			      scope_hash(scope->serial, h->target),
			      known) < 0) {
			free(known);
			return false;
		}
		/* Not yet told: differs from every real one. */
		known->scope.domain = ~scope->domain;
	}
	if (!write_scope(h, ENTRY_SCOPE, scope))
		return false;
	known->scope = *scope;
	known->told = true;
	h->last = known;
	return true;
}

static void
forget_templates(struct known_scope *known)
{
	struct known_template *template;
	uint32_t at = 0;

	while ((template = table_next(&known->templates, &at)))
		free(template);
	table_fini(&known->templates);
}

static void
handover_scope_end(struct stage *stage, const struct scope *scope)
{
	struct handover *h = (struct handover *)stage;
	struct known_scope *known = find_scope(h, scope->serial);

	if (!known)
		return;
	if (h->last == known)
		h->last = NULL;
	table_remove(&h->port->scopes, scope_hash(scope->serial, h->target),
		     known);
	forget_templates(known);
	if (!known->told || write_scope(h, ENTRY_SCOPE_END, scope)) {
		free(known);
		return;
	}
	/* Sessions that come and go must not pile up in the first worker. */
	known->next = h->port->ended;
	h->port->ended = known;
}

/* What there is no room for stays with the intake until the scope ends. */
static void
handover_template_end(struct stage *stage, const struct scope *scope,
		      const struct shape *shape)
{
	struct handover *h = (struct handover *)stage;
	const struct slot *slot =
		table_find(&h->port->slots, shape->hash, slot_equal, shape);
	struct entry_template *entry;

	if (!slot || !find_scope(h, scope->serial))
		return;
	entry = reserve(h->port, sizeof(*entry));
	if (!entry)
		return;
	*entry = (struct entry_template){
		.head = {.type = ENTRY_SHAPE_END, .target = h->target},
		.scope = scope->serial,
		.slot = slot->number,
	};
	ring_commit(h->port->ring);
}

static void
handover_tick(struct stage *stage, uint64_t now_ms)
{
	struct handover_port *port = ((struct handover *)stage)->port;
	struct known_scope *known;

	while ((known = port->ended) &&
	       write_scope_to(port, known->target, ENTRY_SCOPE_END,
			      &known->scope)) {
		port->ended = known->next;
		free(known);
	}
}

/* ---- Templates that lists name ------------------------------------------- */

struct telling {
	struct handover *handover;
	const struct scope *scope;
	const uint8_t *record;
	bool failed;
};

static bool
template_equal(const void *item, const void *key)
{
	return ((const struct known_template *)item)->id ==
	       *(const uint16_t *)key;
}

/* What is known of an id, made if need be; its shape is 0 until it was told. */
static struct known_template *
get_template(struct handover *h, uint16_t id)
{
	struct known_scope *known = h->last;
	struct known_template *template =
		table_find(&known->templates, id, template_equal, &id);

	if (template)
		return template;
	if (known->templates.count == HANDOVER_TEMPLATES) {
		/* Rather start again than grow. */
		if (!write_scope(h, ENTRY_TEMPLATES_END, &known->scope))
			return NULL;
		forget_templates(known);
	}
	template = calloc(1, sizeof(*template));
	if (!template)
		return NULL;
	template->id = id;
	if (table_add(&known->templates, id, template) < 0) {
		free(template);
		return NULL;
	}
	return template;
}

static bool
tell_template(struct handover *h, uint16_t id, const struct shape *shape)
{
	struct known_template *known = get_template(h, id);
	const struct slot *slot;
	struct entry_template *entry;

	if (!known)
		return false;
	if (known->shape == shape->serial)
		return true;
	slot = slot_of(h->port, shape);
	entry = slot ? reserve(h->port, sizeof(*entry)) : NULL;
	if (!entry)
		return false;
	entry->head.type = ENTRY_TEMPLATE;
	entry->head.target = h->target;
	entry->scope = h->last->scope.serial;
	entry->slot = slot->number;
	entry->id = id;
	ring_commit(h->port->ring);
	known->shape = shape->serial;
	return true;
}

static const struct shape *
tell_id(void *arg, size_t at)
{
	struct telling *telling = arg;
	uint16_t id = wire_get16(telling->record + at);
	const struct shape *shape =
		telling->scope->template_shape(telling->scope, id);

	if (shape && !tell_template(telling->handover, id, shape))
		telling->failed = true;
	return shape;
}

/* Of options that are about Templates. */
static void
tell_about(struct telling *telling, const struct shape *shape, uint32_t length)
{
	int field;

	for (unsigned n = 0; (field = lists_template_id(shape, n)) >= 0; n++) {
		uint32_t octets;
		const uint8_t *p = shape_field(shape, field, telling->record,
					       length, &octets);

		if (p)
			tell_id(telling, (size_t)(p - telling->record));
	}
}

/* Sees to it that the intake knows the Templates that the records name. */
static bool
tell_templates(struct handover *h, const struct batch *batch)
{
	struct telling telling = {.handover = h, .scope = batch->scope};
	uint32_t length;

	bool lists = lists_in(batch->shape);
	bool about = lists_template_id(batch->shape, 0) >= 0;

	if (!batch->scope->template_shape || (!lists && !about))
		return true;
	for (uint32_t i = 0; i < batch->count && !telling.failed; i++) {
		telling.record = batch_record(batch, i, &length);
		if (lists)
			lists_walk(batch->shape, h->port->registry,
				   telling.record, length, tell_id, &telling);
		if (about)
			tell_about(&telling, batch->shape, length);
	}
	return !telling.failed;
}

/* ---- batches ------------------------------------------------------------- */

static uint32_t
record_offset(const struct batch *batch, uint32_t i)
{
	return batch->stride ? i * batch->stride : batch->offset[i];
}

/* Records from first to end (not included). */
static bool
write_part(struct handover *h, const struct batch *batch, uint32_t slot,
	   uint32_t first, uint32_t end)
{
	uint32_t start = record_offset(batch, first);
	uint32_t octets = record_offset(batch, end) - start;
	uint32_t count = end - first;
	size_t offsets = batch->stride ? 0 : (count + 1) * sizeof(uint32_t);
	struct entry_batch *entry =
		reserve(h->port, sizeof(*entry) + offsets + octets);
	uint32_t *offset;

	if (!entry)
		return false;
	*entry = (struct entry_batch){
		.head = {.type = ENTRY_BATCH, .target = h->target},
		.scope = batch->scope->serial,
		.slot = slot,
		.count = count,
		.stride = batch->stride,
		.export_ms = batch->export_ms,
		.received_ms = batch->received_ms,
		.flow_keys = batch->flow_keys,
		.options = batch->options,
	};
	offset = (uint32_t *)(entry + 1);
	for (uint32_t i = 0; offsets && i <= count; i++)
		offset[i] = batch->offset[first + i] - start;
	memcpy((uint8_t *)offset + offsets, batch->base + start, octets);
	ring_commit(h->port->ring);
	return true;
}

/* How many records from first on fit into one entry. */
static uint32_t
part_end(const struct batch *batch, uint32_t first)
{
	uint32_t start = record_offset(batch, first);
	uint32_t end = batch->count;

	while (end > first + 1 &&
	       record_offset(batch, end) - start > HANDOVER_BATCH)
		end = first + (end - first) / 2;
	return end;
}

static void
handover_run(struct stage *stage, const struct batch *batch)
{
	struct handover *h = (struct handover *)stage;
	struct ledger *ledger = &stage->ledger;
	const struct slot *slot = NULL;
	uint32_t first = 0, end;

	ledger->in += batch->count;
	if (tell_scope(h, batch->scope) && tell_templates(h, batch))
		slot = slot_of(h->port, batch->shape);
	while (slot && first < batch->count) {
		end = part_end(batch, first);
		if (!write_part(h, batch, slot->number, first, end))
			break;
		first = end;
	}
	ledger->exported += first;
	ledger->lost[LOSS_QUEUE_FULL] += batch->count - first;
}

static bool
handover_congested(const struct stage *stage)
{
	const struct ring *ring = ((const struct handover *)stage)->port->ring;

	return ring_used(ring) > ring_size(ring) / 2;
}

static void
handover_free(struct stage *stage)
{
	free(stage);
}

/*
 * Behind all that was handed over before, and never left out: flows that must
 * not be merged would be.
 */
static void
handover_cut(struct stage *stage)
{
	struct handover *h = (struct handover *)stage;

	put_patiently(h->port, ENTRY_CUT, h->target);
}

static const struct stage_ops handover_ops = {
	.run = handover_run,
	.scope_end = handover_scope_end,
	.template_end = handover_template_end,
	.cut = handover_cut,
	.tick = handover_tick,
	.congested = handover_congested,
	.free = handover_free,
};

int
handover_new(struct handover_port *port, uint32_t target, const char *name,
	     struct stage **out)
{
	struct handover *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->stage.ops = &handover_ops;
	h->stage.name = name;
	h->port = port;
	h->target = target;
	*out = &h->stage;
	return 0;
}

/* ---- the port ------------------------------------------------------------ */

int
handover_port_new(const struct ie_registry *registry, void (*idle)(void *arg),
		  void *arg, struct handover_port **out)
{
	struct handover_port *port = calloc(1, sizeof(*port));
	int rc;

	if (!port)
		return -ENOMEM;
	rc = ring_new(HANDOVER_RING, &port->ring);
	if (rc < 0) {
		free(port);
		return rc;
	}
	atomic_init(&port->abandoned, false);
	port->registry = registry;
	port->idle = idle;
	port->arg = arg;
	*out = port;
	return 0;
}

void
handover_port_free(struct handover_port *port)
{
	struct known_scope *known;
	uint32_t at = 0;

	if (!port)
		return;
	for (uint32_t i = 0; i < port->slot_count; i++)
		shape_release(port->slot[i].shape);
	for (uint32_t i = 0; i < port->retired_count; i++)
		shape_release(port->retired[i]);
	while ((known = table_next(&port->scopes, &at))) {
		forget_templates(known);
		free(known);
	}
	while ((known = port->ended)) {
		port->ended = known->next;
		free(known);
	}
	table_fini(&port->scopes);
	table_fini(&port->slots);
	ring_free(port->ring);
	free(port);
}

void
handover_port_patient(struct handover_port *port)
{
	port->patient = true;
}

void
handover_port_abandon(struct handover_port *port)
{
	atomic_store(&port->abandoned, true);
}

bool
handover_port_finish(struct handover_port *port)
{
	struct entry_head *head = reserve(port, sizeof(*head));

	if (!head)
		return atomic_load(&port->abandoned);
	head->type = ENTRY_FINISHED;
	ring_commit(port->ring);
	return true;
}

void
handover_port_barrier(struct handover_port *port)
{
	put_patiently(port, ENTRY_BARRIER, 0);
}

struct ring *
handover_port_ring(struct handover_port *port)
{
	return port->ring;
}
