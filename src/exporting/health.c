/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * How each destination is, and what becomes of what waits for one that is
 * away.
 *
 *	well      in session
 *	awaited   down for less than the grace time: its records wait for it
 *	away      down for longer: others get its records, those that wait, too
 *	returned  in session again for less than the hold time: used when there
 *	          is none that is well
 *
 * Down is what the transport says: a connection that broke or never came to
 * be, a peer of DTLS that answers no heartbeat. UDP has no such thing, but the
 * kernel tells when ICMP says that nobody is there; then a Template is sent
 * every second, and a destination that was not refused for the hold time, or
 * for QUIET_MS if that is longer, is well again.
 *
 * A message that waits has Templates of its own destination and domain. To
 * move it its records are taken apart and given to the others like new ones.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "exporting.h"

enum {
	PROBE_MS = 1000,
	QUIET_MS = 3000, /* of some probes, as each tells of the one before */
};

const char *
sink_state_name(enum sink_state state)
{
	static const char *const name[] = {
		[SINK_WELL] = "well",
		[SINK_AWAITED] = "awaited",
		[SINK_RETURNED] = "returned",
		[SINK_AWAY] = "away",
	};

	return name[state];
}

bool
sink_healthy(const struct sink *s)
{
	return s->state == SINK_WELL || s->state == SINK_AWAITED;
}

unsigned
sink_rank(const struct sink *s, uint64_t octets)
{
	/* A queue without anything takes whatever comes. */
	uint64_t waiting = s->queue.octets + s->open_octets;
	bool full = waiting && waiting + octets > s->conf->queue_octets;

	switch (s->state) {
	case SINK_WELL:
		return full ? SINK_RANK_UNFIT : 0;
	case SINK_AWAITED:
		return full ? SINK_RANK_UNFIT + 1 : 0;
	case SINK_RETURNED:
		return full ? SINK_RANK_UNFIT + 1 : 1;
	case SINK_AWAY:
		break;
	}
	return SINK_RANK_UNFIT + (full ? 3 : 2);
}

/* ---- state --------------------------------------------------------------- */

static uint64_t
since(uint64_t now_ms, uint64_t then_ms)
{
	return now_ms > then_ms ? now_ms - then_ms : 0;
}

/* UDP: has ICMP told of messages since the last look? */
static bool
was_refused(struct sink *s)
{
	uint64_t before = s->refused;

	if (s->conf->kind != EXPORTING_UDP || s->sealed)
		return false;
	s->refused = net_out_counts(s->out)->refused;
	if (s->refused != before)
		s->refused_ms = s->exporting->now_ms;
	return s->refused != before;
}

/* When what speaks against it was last over. */
static bool
is_trusted(const struct sink *s)
{
	uint64_t now = s->exporting->now_ms;
	uint32_t hold = s->exporting->conf.hold_ms;

	if (!s->refused_ms)
		return since(now, s->up_ms) >= hold;
	if (hold < QUIET_MS)
		hold = QUIET_MS;
	return since(now, s->refused_ms) >= hold;
}

static enum sink_state
state_of(struct sink *s)
{
	const struct exporting *e = s->exporting;

	if (was_refused(s))
		return SINK_AWAY;
	if (!s->up) {
		if (sink_healthy(s) &&
		    since(e->now_ms, s->down_ms) < e->conf.grace_ms)
			return SINK_AWAITED;
		return SINK_AWAY;
	}
	if (sink_healthy(s) || is_trusted(s))
		return SINK_WELL;
	return SINK_RETURNED;
}

/* Once for each change, not for each try of one that is not trusted. */
static void
tell(const struct sink *s, enum sink_state before)
{
	const struct exporting *e = s->exporting;
	bool was = before != SINK_AWAY && before != SINK_RETURNED;

	if (e->conf.destination_count == 1 || was == sink_healthy(s) ||
	    e->conf.mode == EXPORTING_PARALLEL)
		return;
	if (was)
		log_warning("exportingProcess %s: destination %s is away: "
			    "others get its records%s",
			    e->conf.name, s->conf->name,
			    s->queue.messages ? ", those that wait, too" : "");
	else
		log_notice("exportingProcess %s: destination %s is well again",
			   e->conf.name, s->conf->name);
}

/* True if something else may be possible now. */
static bool
update(struct sink *s)
{
	enum sink_state before = s->state;

	s->state = state_of(s);
	if (s->state == before)
		return false;
	tell(s, before);
	return true;
}

static void
probe(struct sink *s)
{
	uint64_t now = s->exporting->now_ms;

	if (sink_healthy(s) || !s->refused_ms || !s->ready || s->pumping ||
	    since(now, s->probed_ms) < PROBE_MS)
		return;
	s->probed_ms = now;
	s->pumping = true;
	control_probe(s);
	s->pumping = false;
}

static void
choose_active(struct exporting *e)
{
	unsigned best = 0, rank = sink_rank(&e->sink[0], 0);

	for (unsigned i = 1; i < e->conf.destination_count; i++)
		if (sink_rank(&e->sink[i], 0) < rank) {
			best = i;
			rank = sink_rank(&e->sink[i], 0);
		}
	if (rank > SINK_RANK_UNFIT || best == e->active)
		return;
	log_notice("exportingProcess %s: records go to destination %s, and no "
		   "longer to %s",
		   e->conf.name, e->sink[best].conf->name,
		   e->sink[e->active].conf->name);
	e->active = best;
}

/* ---- moving -------------------------------------------------------------- */

/* A message on its way from one destination to others. */
struct parcel {
	struct scope scope; /* of its records: first, see shape_in */
	struct sink *from;
	struct channel *channel;
	uint64_t export_ms;
	uint32_t moved, given_up;
};

/* Template ids within its lists are ours. */
static const struct shape *
shape_in(const struct scope *scope, uint16_t id)
{
	const struct parcel *p = (const struct parcel *)scope;
	const struct out_template *t = channel_template_by_id(p->channel, id);

	return t ? t->shape : NULL;
}

/* Options that are kept will be sent from there, to all. */
static void
move_options(struct parcel *p, const struct batch *batch)
{
	struct exporting *e = p->from->exporting;
	struct batch one = *batch;

	for (uint32_t i = 0; i < batch->count; i++) {
		if (kept_has(e, batch, i)) {
			p->given_up++;
			continue;
		}
		one.base = batch_record(batch, i, &one.stride);
		one.count = 1;
		p->moved += mode_move(p->from, p->channel->domain, &one);
	}
}

static void
move_records(struct parcel *p, const struct out_template *t,
	     const struct set *set)
{
	const uint8_t *at = set->content, *end = at + set->length;
	uint32_t offset[BATCH_MAX + 1];
	int n = 0;

	while (at < end && n >= 0) {
		struct batch batch = {
			.shape = t->shape,
			.scope = &p->scope,
			.base = at,
			.stride = t->shape->variable ? 0 : t->shape->min_length,
			.offset = offset,
			.export_ms = p->export_ms,
			.received_ms = p->export_ms,
			.flow_keys = t->flow_keys,
		};
		uint32_t used = 0;

		while (batch.count < BATCH_MAX &&
		       (n = shape_record_length(t->shape, at + used,
						(uint32_t)(end - at) - used)) >
			       0) {
			offset[batch.count++] = used;
			used += (uint32_t)n;
		}
		if (!batch.count)
			break;
		offset[batch.count] = used;
		at += used;
		if (t->options)
			move_options(p, &batch);
		else
			p->moved +=
				mode_move(p->from, p->channel->domain, &batch);
	}
}

/*
 * The oldest message that waits. False: nobody has room. What no other takes
 * goes back, to the end.
 */
static bool
move_message(struct sink *s, uint8_t *copy)
{
	struct parcel p = {.from = s};
	const struct queue_entry *entry;
	struct message_reader reader;
	struct exporting *e = s->exporting;
	uint8_t *message;
	uint32_t records, length;
	struct set set;
	bool room = false;

	entry = queue_peek(&s->queue, &message);
	for (unsigned i = 0; i < e->conf.destination_count; i++)
		room |= sink_rank(&e->sink[i], entry->length) < SINK_RANK_UNFIT;
	if (!room)
		return false;
	p.channel = entry->channel;
	p.scope.domain = p.channel->domain->source;
	p.scope.template_shape = shape_in;
	records = entry->records;
	length = entry->length;
	memcpy(copy, message, length);
	queue_pop(&s->queue);
	s->ledger.in -= records;
	if (message_open(&reader, copy, length) == 0) {
		p.export_ms = reader.header.export_time * UINT64_C(1000);
		while (message_next_set(&reader, &set))
			move_records(&p,
				     channel_template_by_id(p.channel, set.id),
				     &set);
	}
	p.channel->gone++;
	s->moved += p.moved;
	s->ledger.in += p.given_up;
	s->ledger.filtered += p.given_up;
	sink_settle(s);
	return true;
}

/* True: something is left for which there was no room. */
static bool
move_waiting(struct sink *s)
{
	struct channel *c;
	uint64_t count;
	uint8_t *copy;
	bool room = true;

	while ((c = TAILQ_FIRST(&s->open)))
		channel_finish(c);
	if (!s->queue.messages)
		return false;
	copy = malloc(MESSAGE_MAX);
	if (!copy)
		return true;
	kept_renew(s->exporting, s);
	for (count = s->queue.messages; count && room; count--)
		room = move_message(s, copy);
	free(copy);
	return !room;
}

void
health_tick(struct exporting *e)
{
	unsigned n = e->conf.destination_count;
	bool left = false;

	for (unsigned i = 0; i < n; i++) {
		e->moving |= update(&e->sink[i]);
		probe(&e->sink[i]);
	}
	if (e->conf.mode == EXPORTING_PARALLEL || !e->moving)
		return;
	if (e->conf.mode == EXPORTING_FALLBACK)
		choose_active(e);
	for (unsigned i = 0; i < n; i++)
		if (e->sink[i].state == SINK_AWAY && !e->sink[i].up &&
		    e->sink[i].conf->kind != EXPORTING_JSON)
			left |= move_waiting(&e->sink[i]);
	e->moving = left;
}
