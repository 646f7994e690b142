/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage. Each selector shortens a list of record numbers; at the end the
 * records on it are copied together, unless all of them are.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "conflux/ie.h"
#include "conflux/wire.h"
#include "internal.h"

enum {
	STATISTICS_MS = 1000,
	/* Reports may be lost on their way, as records may. */
	SEQUENCE_MS = 60000,
};

/* ---- plans ----------------------------------------------------------------- */

/* Of several fields of an element, the one with this length if there is one. */
static int
find_length(const struct shape *shape, uint16_t id, uint16_t length)
{
	int field, first = -1;

	for (unsigned n = 0; (field = shape_find(shape, 0, id, n)) >= 0; n++) {
		if (shape->field[field].length == length)
			return field;
		if (first == -1)
			first = field;
	}
	return first;
}

static uint16_t
payload_wanted(const struct selector_conf *c)
{
	uint64_t length = c->payload_offset + c->payload_size;

	if (c->hash == SELECTOR_IPSX)
		length = 8;
	return (uint16_t)(length ? length : 1);
}

static int
digest_shape(struct selection *sel, struct plan *plan)
{
	const struct shape *shape = plan->shape;
	struct field *field;
	uint16_t n = shape->count;
	int rc;

	if (!sel->digest_count)
		return 0;
	field = calloc(n + sel->digest_count, sizeof(*field));
	if (!field)
		return -ENOMEM;
	memcpy(field, shape->field, n * sizeof(*field));
	for (unsigned i = 0; i < sel->digest_count; i++) {
		field[n].ie = ie_find(sel->registry, 0, IE_digestHashValue);
		field[n++].length = 8;
	}
	rc = shape_get(sel->shapes, field, n, 0, &plan->digest);
	free(field);
	return rc;
}

static void
plan_free(struct plan *plan)
{
	if (!plan)
		return;
	shape_release(plan->digest);
	shape_release(plan->shape);
	free(plan);
}

static struct plan *
plan_new(struct selection *sel, const struct shape *shape)
{
	struct plan *plan = calloc(1, sizeof(*plan));

	if (!plan)
		return NULL;
	plan->shape = shape_hold(shape);
	plan->time = shape_find(shape, 0, IE_observationTimeNanoseconds, 0);
	for (unsigned i = 0; i < sel->selector_count; i++) {
		const struct selector_conf *c = &sel->selector[i].conf;

		plan->field[i] = plan->header[i] = plan->payload[i] = -1;
		if (c->method == SELECTOR_MATCH)
			plan->field[i] =
				shape_find(shape, c->ie->pen, c->ie->id, 0);
		if (c->method != SELECTOR_HASH)
			continue;
		plan->header[i] = find_length(shape, IE_ipHeaderPacketSection,
					      HASH_HEADER);
		plan->payload[i] = find_length(
			shape, IE_ipPayloadPacketSection, payload_wanted(c));
	}
	if (digest_shape(sel, plan) < 0) {
		plan_free(plan);
		return NULL;
	}
	return plan;
}

static struct plan *
plan_of(struct selection *sel, const struct shape *shape)
{
	struct plan *plan = sel->last;

	if (plan && plan->shape == shape)
		return plan;
	for (unsigned i = 0; i < sel->plan_count; i++)
		if (sel->plan[i]->shape == shape)
			return sel->last = sel->plan[i];
	if (sel->plan_count == PLANS_MAX)
		while (sel->plan_count)
			plan_free(sel->plan[--sel->plan_count]);
	plan = plan_new(sel, shape);
	if (plan)
		sel->plan[sel->plan_count++] = plan;
	return sel->last = plan;
}

/* ---- records --------------------------------------------------------------- */

static void
write_digests(const struct selection *sel, uint32_t i, uint8_t *p)
{
	for (unsigned n = 0; n < sel->selector_count; n++) {
		if (!sel->selector[n].conf.digest ||
		    sel->selector[n].conf.method != SELECTOR_HASH)
			continue;
		wire_put64(p, sel->digest[i][n]);
		p += 8;
	}
}

/*
 * Copies records from index[at] on, as many as fit; returns how many. One that
 * does not even fit alone: 0.
 */
static uint32_t
gather(struct selection *sel, const struct plan *plan,
       const struct batch *batch, const uint32_t *index, uint32_t count,
       struct batch *out)
{
	uint32_t more = 8 * sel->digest_count;
	uint32_t n = batch_gather(batch, index, count, more, sel->buffer,
				  SELECTION_BUFFER, sel->offset, out);

	if (plan->digest)
		out->shape = plan->digest;
	for (uint32_t i = 0; more && i < n; i++)
		write_digests(sel, index[i],
			      sel->buffer + sel->offset[i + 1] - more);
	out->scope = &sel->scope;
	return n;
}

static void
pass_on(struct selection *sel, const struct plan *plan,
	const struct batch *batch, const uint32_t *index, uint32_t count)
{
	struct ledger *ledger = &sel->stage.ledger;
	uint32_t at = 0, done;
	struct batch out;

	ledger->filtered += batch->count - count;
	if (count == batch->count && !plan->digest) {
		out = *batch;
		out.scope = &sel->scope;
		ledger->exported += count;
		stage_forward(&sel->stage, &out);
		return;
	}
	while (at < count) {
		done = gather(sel, plan, batch, index + at, count - at, &out);
		if (!done) {
			ledger->lost[LOSS_TOO_LONG]++;
			at++;
			continue;
		}
		ledger->exported += done;
		stage_forward(&sel->stage, &out);
		at += done;
	}
}

/* Reports are of the Observation Domain that the Flows are exported in. */
static void
take_told_scope(struct selection *sel)
{
	uint64_t serial = sel->told_scope.serial;

	sel->told_scope = sel->scope;
	sel->told_scope.serial = serial;
	sel->told_scope.domain = sel->domain;
}

/*
 * Ours is the scope that comes in, but for what selection adds. The scope of an
 * Observation Point never changes while it lives.
 */
static void
take_scope(struct selection *sel, const struct scope *from)
{
	struct scope old = sel->scope;

	sel->from = from->serial;
	sel->scope = *from;
	sel->scope.serial = old.serial;
	selection_facts(sel);
	take_told_scope(sel);
}

static void
selection_run(struct stage *stage, const struct batch *batch)
{
	struct selection *sel = (struct selection *)stage;
	struct plan *plan;
	uint32_t index[BATCH_MAX], count = batch->count;

	stage->ledger.in += batch->count;
	sel->now_ms = batch->received_ms;
	if (sel->overload.state.on &&
	    sel->overload.conf.behaviour == OVERLOAD_STOP &&
	    !batch->shape->scope_count) {
		stage->ledger.lost[LOSS_OVERLOAD] += batch->count;
		return;
	}
	if (batch->scope->serial != sel->from)
		take_scope(sel, batch->scope);
	if (!sel->told)
		report_sequence(sel);
	if (batch->shape->scope_count) {
		stage->ledger.exported += batch->count;
		stage_forward(stage, batch);
		return;
	}
	plan = plan_of(sel, batch->shape);
	if (!plan) {
		stage->ledger.lost[LOSS_NO_MEMORY] += batch->count;
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		index[i] = i;
	for (unsigned n = 0; n < sel->selector_count; n++)
		count = selector_run(sel, n, plan, batch, index, count);
	pass_on(sel, plan, batch, index, count);
}

static void
selection_tick(struct stage *stage, uint64_t now_ms)
{
	struct selection *sel = (struct selection *)stage;

	overload_tick(sel, now_ms);
	if (!sel->told)
		sel->sequence_ms = now_ms;
	if (now_ms - sel->sequence_ms >= SEQUENCE_MS) {
		sel->sequence_ms = now_ms;
		report_sequence(sel);
	}
	if (now_ms - sel->told_ms < STATISTICS_MS)
		return;
	sel->told_ms = now_ms;
	report_statistics(sel);
}

/* Its Options Data have passed with its scope; ours lives on. */
static void
selection_scope_end(struct stage *stage, const struct scope *scope)
{
	stage_pass_scope_end(stage, scope);
}

static void
end_scopes(struct selection *sel)
{
	stage_pass_scope_end(&sel->stage, &sel->scope);
	stage_pass_scope_end(&sel->stage, &sel->told_scope);
}

static void
selection_flush(struct stage *stage)
{
	report_statistics((struct selection *)stage);
}

static void
selection_report(struct stage *stage, struct report *report)
{
	struct selection *sel = (struct selection *)stage;
	char text[CLOCK_TEXT_SIZE];

	report_list(report, "selector");
	for (unsigned i = 0; i < sel->selector_count; i++) {
		const struct selector *s = &sel->selector[i];

		report_item(report);
		report_text(report, "name", s->conf.name);
		selector_report(s, report);
		report_uint(report, "packetsObserved", s->observed);
		report_uint(report, "packetsDropped",
			    s->observed - s->selected);
		report_text(report, "selectorDiscontinuityTime",
			    clock_format(text, sel->start_ms));
		report_close(report);
	}
	report_end_list(report);
	report_list(report, "selectionSequence");
	report_item(report);
	report_uint(report, "observationDomainId", sel->domain);
	report_uint(report, "selectionSequenceId", sel->sequence_id);
	if (sel->changed_ms)
		report_text(report, "cx:changed",
			    clock_format(text, sel->changed_ms));
	report_close(report);
	report_end_list(report);
	overload_report(sel, report);
}

static void
selection_free(struct stage *stage)
{
	struct selection *sel = (struct selection *)stage;

	end_scopes(sel);
	while (sel->plan_count)
		plan_free(sel->plan[--sel->plan_count]);
	free(sel->buffer);
	free(sel);
}

static const struct stage_ops selection_ops = {
	.run = selection_run,
	.tick = selection_tick,
	.scope_end = selection_scope_end,
	.flush = selection_flush,
	.report = selection_report,
	.free = selection_free,
};

/* ---- what it needs, and changes --------------------------------------------- */

static int
want(const struct selection *sel, uint16_t id, uint16_t length,
     int (*ask)(void *arg, const struct ie *ie, uint16_t length), void *arg)
{
	const struct ie *ie = ie_find(sel->registry, 0, id);

	return ie ? ask(arg, ie, length) : -ENOENT;
}

int
selection_wants(const struct stage *stage,
		int (*ask)(void *arg, const struct ie *ie, uint16_t length),
		void *arg)
{
	const struct selection *sel = (const struct selection *)stage;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < sel->selector_count; i++) {
		const struct selector_conf *c = &sel->selector[i].conf;

		if (c->method == SELECTOR_TIME)
			rc = want(sel, IE_observationTimeNanoseconds, 0, ask,
				  arg);
		else if (c->method == SELECTOR_MATCH)
			rc = ask(arg, c->ie, 0);
		else if (c->method == SELECTOR_HASH) {
			rc = want(sel, IE_ipHeaderPacketSection, HASH_HEADER,
				  ask, arg);
			if (rc == 0)
				rc = want(sel, IE_ipPayloadPacketSection,
					  payload_wanted(c), ask, arg);
		}
	}
	return rc;
}

void
selection_renew(struct selection *sel)
{
	stage_pass_cut(&sel->stage);
	end_scopes(sel);
	/* The lower half tells the configured sequence, the upper counts. */
	sel->sequence_id += (uint64_t)1 << 32;
	sel->changed_ms = clock_wall_ms();
	sel->scope.serial = scope_serial();
	sel->told_scope.serial = scope_serial();
	selection_facts(sel);
	take_told_scope(sel);
	if (sel->told)
		report_sequence(sel);
}

/* What the stages before were asked for, and the shape of what goes on, stay. */
static bool
may_become(const struct selector_conf *old, const struct selector_conf *conf)
{
	if (conf->method != old->method)
		return false;
	if (conf->method == SELECTOR_MATCH)
		return conf->ie == old->ie;
	return conf->method != SELECTOR_HASH ||
	       (conf->hash == old->hash && conf->digest == old->digest &&
		conf->payload_offset == old->payload_offset &&
		conf->payload_size == old->payload_size);
}

int
selector_check(const struct selector_conf *conf, char **error)
{
	struct selector s;

	*error = NULL;
	return selector_init(&s, conf, error);
}

int
selection_change(struct stage *stage, unsigned n,
		 const struct selector_conf *conf)
{
	struct selection *sel = (struct selection *)stage;
	char *error = NULL;
	struct selector s;
	int rc;

	if (n >= sel->selector_count ||
	    !may_become(&sel->selector[n].conf, conf))
		return -EINVAL;
	rc = selector_init(&s, conf, &error);
	free(error);
	if (rc < 0)
		return rc;
	report_statistics(sel);
	s.conf.name = sel->selector[n].conf.name;
	s.conf.id = sel->selector[n].conf.id;
	s.observed = sel->selector[n].observed;
	s.selected = sel->selector[n].selected;
	selector_set(&sel->selector[n], &s);
	selection_renew(sel);
	return 0;
}

static int
init_selectors(struct selection *sel, const struct selection_conf *conf,
	       char **error)
{
	int rc = 0;

	if (conf->selector_count == 0 || conf->selector_count >= SELECTORS_MAX)
		return text_error(error, -EINVAL, "expected 1 to %d selectors",
				  SELECTORS_MAX - 1);
	for (unsigned i = 0; rc == 0 && i < conf->selector_count; i++) {
		struct selector *s = &sel->selector[sel->selector_count++];

		rc = selector_init(s, &conf->selectors[i], error);
		sel->digest_count += s->conf.method == SELECTOR_HASH &&
				     s->conf.digest;
	}
	if (rc == 0 && overload_samples(&conf->overload)) {
		struct selector_conf sampling =
			overload_selector(conf->sequence_id);

		rc = selector_init(&sel->selector[sel->selector_count++],
				   &sampling, error);
	}
	sel->overload.conf = conf->overload;
	return rc;
}

int
selection_new(const struct selection_conf *conf, struct ie_registry *registry,
	      struct shape_table *shapes, struct stage **out, char **error)
{
	struct selection *sel = calloc(1, sizeof(*sel));
	int rc;

	*error = NULL;
	if (!sel)
		return -ENOMEM;
	sel->stage.ops = &selection_ops;
	sel->stage.name = conf->name;
	sel->registry = registry;
	sel->shapes = shapes;
	sel->sequence_id = conf->sequence_id;
	sel->point_id = conf->point_id;
	sel->domain = conf->domain;
	sel->scope = (struct scope){
		.serial = scope_serial(),
		.domain = conf->domain,
		.transport = TRANSPORT_CAPTURE,
		.packets = true,
	};
	sel->told_scope.serial = scope_serial();
	sel->random[0] = conf->seed ? conf->seed : hash_seed();
	sel->random[1] = hash_u64(sel->random[0], 1) | 1;
	sel->start_ms = clock_wall_ms();
	sel->buffer = malloc(SELECTION_BUFFER);
	rc = sel->buffer ? init_selectors(sel, conf, error) : -ENOMEM;
	if (rc < 0) {
		selection_free(&sel->stage);
		return rc;
	}
	selection_facts(sel);
	take_told_scope(sel);
	*out = &sel->stage;
	return 0;
}
