/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The first worker's end of a ring, see handover.h. */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/ie.h"
#include "conflux/table.h"
#include "entry.h"
#include "handover.h"

enum {
	TURN_ENTRIES = 256, /* then others have their turn */
	RETRY_MS = 2,	    /* when the next stages are congested */
};

struct intake_scope {
	struct scope scope; /* first; ours, with a serial of its own */
	uint64_t serial;    /* the worker's */
	uint32_t target;
	struct table templates; /* struct intake_template, by id */
};

struct intake_template {
	uint16_t id;
	const struct shape *shape; /* held; NULL: no memory for it */
};

struct intake {
	struct ring *ring;
	struct stage **target;
	unsigned target_count;
	struct ie_registry *registry;
	struct shape_table *shapes;
	void (*finished)(void *arg);
	void (*barrier)(void *arg);
	void *arg;
	bool held; /* at a barrier */
	struct event *readable;
	struct event *turn;
	struct ledger ledger;
	struct table scopes;
	struct intake_scope *last;
	const struct shape *slot[HANDOVER_SLOTS]; /* held; NULL: no memory */
};

/* ---- shapes -------------------------------------------------------------- */

/*
 * Our element for one of the worker, which may have learnt what we have not.
 * Held, as a nameless one lives no longer than the shapes that have it. NULL:
 * no room.
 */
static const struct ie *
our_element(struct intake *in, const struct field *theirs)
{
	const struct ie *ie = theirs->ie;

	if (!ie->unknown && !ie_find(in->registry, ie->pen, ie->id))
		ie_add(in->registry, ie);
	return ie_meet(in->registry, ie->pen, ie->id, theirs->length);
}

static void
take_shape(struct intake *in, const struct entry_shape *entry)
{
	const struct shape *theirs = entry->shape;
	const struct shape **slot = &in->slot[entry->slot];
	struct field *field = calloc(theirs->count, sizeof(*field));
	uint16_t known = 0;

	shape_release(*slot);
	*slot = NULL;
	for (; field && known < theirs->count; known++) {
		field[known].ie = our_element(in, &theirs->field[known]);
		field[known].length = theirs->field[known].length;
		if (!field[known].ie)
			break;
	}
	if (field && known == theirs->count &&
	    shape_get_marked(in->shapes, field, theirs->mark, theirs->count,
			     theirs->scope_count, slot) < 0)
		*slot = NULL;
	while (known)
		ie_release(field[--known].ie);
	free(field);
}

static void
reset_slots(struct intake *in)
{
	for (uint32_t i = 0; i < HANDOVER_SLOTS; i++) {
		shape_release(in->slot[i]);
		in->slot[i] = NULL;
	}
}

/* ---- scopes -------------------------------------------------------------- */

struct scope_key {
	uint64_t serial;
	uint32_t target;
};

static bool
scope_equal(const void *item, const void *key)
{
	const struct intake_scope *s = item;
	const struct scope_key *k = key;

	return s->serial == k->serial && s->target == k->target;
}

static uint32_t
scope_hash(uint64_t serial, uint32_t target)
{
	return (uint32_t)hash_u64(serial, target);
}

static struct intake_scope *
find_scope(struct intake *in, uint64_t serial, uint32_t target)
{
	struct scope_key key = {.serial = serial, .target = target};

	if (in->last && scope_equal(in->last, &key))
		return in->last;
	in->last = table_find(&in->scopes, scope_hash(serial, target),
			      scope_equal, &key);
	return in->last;
}

static bool
template_equal(const void *item, const void *key)
{
	return ((const struct intake_template *)item)->id ==
	       *(const uint16_t *)key;
}

static const struct shape *
intake_template_shape(const struct scope *scope, uint16_t id)
{
	/* The scope is the first member. */
	const struct intake_scope *s = (const struct intake_scope *)scope;
	const struct intake_template *template =
		table_find(&s->templates, id, template_equal, &id);

	return template ? template->shape : NULL;
}

static void
forget_templates(struct intake_scope *s)
{
	struct intake_template *template;
	uint32_t at = 0;

	while ((template = table_next(&s->templates, &at))) {
		shape_release(template->shape);
		free(template);
	}
	table_fini(&s->templates);
}

static void
take_template(struct intake *in, const struct entry_template *entry)
{
	struct intake_scope *s =
		find_scope(in, entry->scope, entry->head.target);
	const struct shape *shape = in->slot[entry->slot];
	struct intake_template *template;
	uint16_t id = entry->id;

	if (!s)
		return;
	template = table_find(&s->templates, id, template_equal, &id);
	if (!template) {
		template = calloc(1, sizeof(*template));
		if (!template)
			return;
		template->id = id;
		if (table_add(&s->templates, id, template) < 0) {
			free(template);
			return;
		}
	}
	shape_release(template->shape);
	template->shape = shape ? shape_hold(shape) : NULL;
}

static void
end_shape(struct intake *in, const struct entry_template *entry)
{
	const struct shape *shape = in->slot[entry->slot];
	const struct intake_scope *s =
		find_scope(in, entry->scope, entry->head.target);

	if (s && shape)
		stage_template_end(in->target[entry->head.target], &s->scope,
				   shape);
}

static void
take_scope(struct intake *in, const struct entry_scope *entry)
{
	uint32_t target = entry->head.target;
	uint64_t serial = entry->scope.serial;
	struct intake_scope *s = find_scope(in, serial, target);
	uint64_t ours;

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return;
		s->serial = serial;
		s->target = target;
		s->scope.serial = scope_serial();
		if (table_add(&in->scopes, scope_hash(serial, target), s) < 0) {
			free(s);
			return;
		}
	}
	ours = s->scope.serial;
	s->scope = entry->scope;
	s->scope.serial = ours;
	/* Theirs looks where only their thread may. */
	if (s->scope.template_shape)
		s->scope.template_shape = intake_template_shape;
}

static void
end_scope(struct intake *in, struct intake_scope *s)
{
	stage_scope_end(in->target[s->target], &s->scope);
	table_remove(&in->scopes, scope_hash(s->serial, s->target), s);
	in->last = NULL;
	forget_templates(s);
	free(s);
}

/* ---- batches ------------------------------------------------------------- */

static void
take_batch(struct intake *in, const struct entry_batch *entry)
{
	struct intake_scope *s =
		find_scope(in, entry->scope, entry->head.target);
	const uint32_t *offset = (const uint32_t *)(entry + 1);
	size_t offsets = entry->stride ? 0 : entry->count + 1;
	struct batch batch = {
		.shape = in->slot[entry->slot],
		.scope = s ? &s->scope : NULL,
		.base = (const uint8_t *)(offset + offsets),
		.count = entry->count,
		.stride = entry->stride,
		.offset = offsets ? offset : NULL,
		.export_ms = entry->export_ms,
		.received_ms = entry->received_ms,
		.flow_keys = entry->flow_keys,
		.options = (enum options_kind)entry->options,
	};

	in->ledger.in += entry->count;
	if (!batch.shape || !batch.scope) {
		in->ledger.lost[LOSS_NO_MEMORY] += entry->count;
		return;
	}
	in->ledger.exported += entry->count;
	stage_run(in->target[entry->head.target], &batch);
}

/* True: go on. */
static bool
take(struct intake *in, const struct entry_head *head)
{
	struct intake_scope *s;

	switch ((enum entry_type)head->type) {
	case ENTRY_BATCH:
		if (stage_congested(in->target[head->target]))
			return false;
		take_batch(in, (const struct entry_batch *)head);
		break;
	case ENTRY_SHAPE:
		take_shape(in, (const struct entry_shape *)head);
		break;
	case ENTRY_RESET:
		reset_slots(in);
		break;
	case ENTRY_SCOPE:
		take_scope(in, (const struct entry_scope *)head);
		break;
	case ENTRY_SCOPE_END:
		s = find_scope(in,
			       ((const struct entry_scope *)head)->scope.serial,
			       head->target);
		if (s)
			end_scope(in, s);
		break;
	case ENTRY_TEMPLATE:
		take_template(in, (const struct entry_template *)head);
		break;
	case ENTRY_SHAPE_END:
		end_shape(in, (const struct entry_template *)head);
		break;
	case ENTRY_TEMPLATES_END:
		s = find_scope(in,
			       ((const struct entry_scope *)head)->scope.serial,
			       head->target);
		if (s)
			forget_templates(s);
		break;
	case ENTRY_CUT:
		stage_cut(in->target[head->target]);
		break;
	case ENTRY_BARRIER:
		in->held = true;
		in->barrier(in->arg);
		break;
	case ENTRY_FINISHED:
		in->finished(in->arg);
		break;
	}
	return true;
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval now = {0};
	static const struct timeval later = {.tv_usec = RETRY_MS * 1000};
	struct intake *in = arg;
	const struct entry_head *head;
	unsigned entries = 0;

	do {
		while (!in->held && (head = ring_peek(in->ring))) {
			if (!take(in, head)) {
				evtimer_add(in->turn, &later);
				return;
			}
			ring_release(in->ring);
			if (++entries == TURN_ENTRIES) {
				evtimer_add(in->turn, &now);
				return;
			}
		}
	} while (!in->held && !ring_sleep(in->ring));
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct intake *in = arg;

	ring_woken(in->ring);
	on_turn(fd, what, in);
}

int
intake_new(struct event_base *base, struct handover_port *port,
	   struct stage **target, unsigned target_count,
	   struct ie_registry *registry, struct shape_table *shapes,
	   void (*finished)(void *arg), void (*barrier)(void *arg), void *arg,
	   struct intake **out)
{
	struct intake *in = calloc(1, sizeof(*in));

	if (!in)
		return -ENOMEM;
	in->ring = handover_port_ring(port);
	in->target = target;
	in->target_count = target_count;
	in->registry = registry;
	in->shapes = shapes;
	in->finished = finished;
	in->barrier = barrier;
	in->arg = arg;
	in->turn = evtimer_new(base, on_turn, in);
	in->readable = event_new(base, ring_fd(in->ring), EV_READ | EV_PERSIST,
				 on_readable, in);
	if (!in->turn || !in->readable || event_add(in->readable, NULL) < 0) {
		intake_free(in);
		return -ENOMEM;
	}
	*out = in;
	return 0;
}

void
intake_go_on(struct intake *in)
{
	static const struct timeval now = {0};

	if (!in->held)
		return;
	in->held = false;
	evtimer_add(in->turn, &now);
}

const struct ledger *
intake_ledger(const struct intake *in)
{
	return &in->ledger;
}

void
intake_free(struct intake *in)
{
	struct intake_scope *s;
	uint32_t at = 0;

	if (!in)
		return;
	while ((s = table_next(&in->scopes, &at))) {
		end_scope(in, s);
		at = 0;
	}
	table_fini(&in->scopes);
	reset_slots(in);
	if (in->readable)
		event_free(in->readable);
	if (in->turn)
		event_free(in->turn);
	free(in);
}
