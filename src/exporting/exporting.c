/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage: its configuration and what it does with a batch. One thread;
 * nothing here looks into a record.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "exporting.h"

static const char *const option_name[EXPORTING_OPTION_COUNT] = {
	[EXPORTING_METERING_STATISTICS] = "meteringStatistics",
	[EXPORTING_METERING_RELIABILITY] = "meteringReliability",
	[EXPORTING_EXPORTING_RELIABILITY] = "exportingReliability",
	[EXPORTING_FLOW_KEYS] = "flowKeys",
	[EXPORTING_SELECTION_SEQUENCE] = "selectionSequence",
	[EXPORTING_SELECTION_STATISTICS] = "selectionStatistics",
	[EXPORTING_ACCURACY] = "accuracy",
	[EXPORTING_REDUCING_REDUNDANCY] = "reducingRedundancy",
	[EXPORTING_EXTENDED_TYPE_INFORMATION] = "extendedTypeInformation",
};

static const char *const mode_name[] = {
	[EXPORTING_PARALLEL] = "parallel",
	[EXPORTING_LOAD_BALANCING] = "loadBalancing",
	[EXPORTING_FALLBACK] = "fallback",
};

const char *
exporting_option_name(enum exporting_option type)
{
	return option_name[type];
}

int
exporting_option_parse(const char *name)
{
	for (int i = 0; i < EXPORTING_OPTION_COUNT; i++)
		if (strcmp(name, option_name[i]) == 0)
			return i;
	return -EINVAL;
}

bool
exporting_option_supported(enum exporting_option type)
{
	return type == EXPORTING_METERING_STATISTICS ||
	       type == EXPORTING_EXPORTING_RELIABILITY ||
	       type == EXPORTING_FLOW_KEYS ||
	       type == EXPORTING_EXTENDED_TYPE_INFORMATION ||
	       type == EXPORTING_METERING_RELIABILITY ||
	       type == EXPORTING_SELECTION_SEQUENCE ||
	       type == EXPORTING_SELECTION_STATISTICS;
}

const char *
exporting_mode_name(enum exporting_mode mode)
{
	return mode_name[mode];
}

int
exporting_mode_parse(const char *name)
{
	for (int i = 0; i <= EXPORTING_FALLBACK; i++)
		if (strcmp(name, mode_name[i]) == 0)
			return i;
	return -EINVAL;
}

int
exporting_balance_parse(const char *name)
{
	static const char *const balance[] = {
		[EXPORTING_BALANCE_DOMAIN] = "observationDomain",
		[EXPORTING_BALANCE_FLOW_KEY] = "flowKey",
		[EXPORTING_BALANCE_ROUND_ROBIN] = "roundRobin",
	};

	for (int i = 0; i <= EXPORTING_BALANCE_ROUND_ROBIN; i++)
		if (strcmp(name, balance[i]) == 0)
			return i;
	return -EINVAL;
}

/* ---- the stage -------------------------------------------------------------
 */

static struct exporting *
of(struct stage *stage)
{
	return (struct exporting *)stage;
}

/* Is not passed on, because ours say it, or nobody could understand it. */
static bool
left_out(const struct exporting *e, const struct batch *batch)
{
	if (!batch->shape->scope_count)
		return false;
	if (batch->options != OPTIONS_OTHER)
		return !kept_wanted(e, batch);
	return rescope_leaves_out(e, batch->shape) ||
	       identity_replaces(e, batch->shape);
}

static void
put(struct exporting *e, struct domain *domain, const struct batch *batch)
{
	struct ledger *ledger = &e->stage.ledger;
	struct taken taken = {0};
	uint32_t count, filtered, lost;
	enum loss loss = mode_run(e, domain, batch, &taken, &filtered);

	if (batch->shape->scope_count)
		kept_batch(e, domain, batch, mode_put(e));
	count = taken_count(&taken);
	ledger->exported += count;
	ledger->filtered += filtered;
	lost = batch->count - count - filtered;
	/* Without a loss there is no reason. */
	if (lost)
		ledger->lost[loss] += lost;
}

/* Flow Records that tell who exported them. */
static void
put_wider(struct exporting *e, struct domain *domain, const struct shape *wider,
	  const struct batch *batch)
{
	struct batch part;

	for (uint32_t i = 0; i < batch->count;) {
		uint32_t n = identity_add(e, domain, wider, batch, i, &part);

		if (n)
			put(e, domain, &part);
		else
			e->stage.ledger.lost[LOSS_TOO_LONG]++;
		i += n ? n : 1;
	}
}

/* Options of others: what they are about has other numbers with us. */
static void
put_options(struct exporting *e, struct domain *domain,
	    const struct batch *batch)
{
	uint32_t index[BATCH_MAX], n;
	struct batch part;
	bool same;
	uint32_t count = rescope_pick(e, batch, index, &same);

	e->stage.ledger.filtered += batch->count - count;
	if (same) {
		put(e, domain, batch);
		return;
	}
	for (uint32_t i = 0; i < count; i += n) {
		n = rescope_make(e, batch, index + i, count - i, &part);
		if (!n) {
			e->stage.ledger.lost[LOSS_NO_MEMORY] += count - i;
			return;
		}
		put(e, domain, &part);
		if (part.shape != batch->shape)
			shape_release(part.shape);
	}
}

static void
exporting_run(struct stage *stage, const struct batch *batch)
{
	struct exporting *e = of(stage);
	const struct shape *wider;
	struct domain *domain;

	stage->ledger.in += batch->count;
	if (left_out(e, batch)) {
		stage->ledger.filtered += batch->count;
		return;
	}
	domain = domain_get(e, batch->scope);
	if (!domain) {
		stage->ledger.lost[LOSS_LIMIT] += batch->count;
		return;
	}
	identity_take(e, domain, batch->scope);
	wider = identity_shape(e, domain, batch->shape);
	if (wider)
		put_wider(e, domain, wider, batch);
	else if (batch->shape->scope_count && batch->options == OPTIONS_OTHER)
		put_options(e, domain, batch);
	else
		put(e, domain, batch);
}

static void
exporting_tick(struct stage *stage, uint64_t now_ms)
{
	struct exporting *e = of(stage);

	e->now_ms = now_ms;
	e->wall_ms = clock_wall_ms();
	health_tick(e);
	kept_tick(e);
	domain_file_save(e, false);
	for (unsigned i = 0; i < e->conf.destination_count; i++)
		sink_tick(&e->sink[i], now_ms);
}

static void
exporting_scope_end(struct stage *stage, const struct scope *scope)
{
	struct exporting *e = of(stage);
	struct domain *domain;

	kept_scope_end(e, scope);
	domain = domain_release(e, scope);
	for (unsigned i = 0; domain && i < e->conf.destination_count; i++) {
		struct sink *s = &e->sink[i];

		if (domain->index >= s->channel_size ||
		    !s->channel[domain->index])
			continue;
		channel_end(s->channel[domain->index]);
		sink_pump(s);
	}
}

static void
exporting_template_end(struct stage *stage, const struct scope *scope,
		       const struct shape *shape)
{
	struct exporting *e = of(stage);
	struct domain *domain = domain_find(e, scope);
	const struct shape *wider;

	if (!domain)
		return;
	kept_template_end(e, scope, shape);
	wider = identity_shape(e, domain, shape);
	for (unsigned i = 0; i < e->conf.destination_count; i++) {
		struct sink *s = &e->sink[i];

		if (domain->index >= s->channel_size ||
		    !s->channel[domain->index])
			continue;
		channel_end_shape(s->channel[domain->index],
				  wider ? wider : shape);
		sink_pump(s);
	}
}

static void
exporting_flush(struct stage *stage)
{
	struct exporting *e = of(stage);

	for (unsigned i = 0; i < e->conf.destination_count; i++)
		sink_flush(&e->sink[i]);
}

/*
 * Sources that can wait do so while a destination that works is behind. One
 * that is down holds them up only for the grace time if another one works, and
 * as long as it takes if there is no other.
 */
static bool
exporting_congested(const struct stage *stage)
{
	const struct exporting *e = (const struct exporting *)stage;
	unsigned full = 0;

	if (e->conf.mode == EXPORTING_FALLBACK)
		return sink_congested(&e->sink[e->active]);
	for (unsigned i = 0; i < e->conf.destination_count; i++) {
		if (!sink_congested(&e->sink[i]))
			continue;
		if (e->sink[i].up || sink_healthy(&e->sink[i]))
			return true;
		full++;
	}
	return full == e->conf.destination_count;
}

static bool
exporting_drained(const struct stage *stage)
{
	const struct exporting *e = (const struct exporting *)stage;

	for (unsigned i = 0; i < e->conf.destination_count; i++)
		if (!sink_drained(&e->sink[i]))
			return false;
	return true;
}

bool
exporting_secure(struct stage *stage)
{
	struct exporting *e = of(stage);
	bool secure = true;

	for (unsigned i = 0; i < e->conf.destination_count; i++)
		secure = sink_secure(&e->sink[i]) && secure;
	return secure;
}

bool
exporting_note_files(const struct stage *stage, struct positions *positions)
{
	const struct exporting *e = (const struct exporting *)stage;
	bool grown = false;
	uint64_t length;

	for (unsigned i = 0; i < e->conf.destination_count; i++)
		if (e->sink[i].out && net_out_length(e->sink[i].out, &length))
			grown |= positions_note_file(
				positions, e->sink[i].conf->net.file, length);
	return grown;
}

int
exporting_cut_files(struct stage *stage, const struct positions *positions)
{
	struct exporting *e = of(stage);
	uint64_t length, found;
	int rc = 0;

	for (unsigned i = 0; i < e->conf.destination_count && rc == 0; i++) {
		const struct sink *s = &e->sink[i];

		if (!s->out || !net_out_length(s->out, &length) ||
		    !positions_found_file(positions, s->conf->net.file,
					  &found) ||
		    length <= found)
			continue;
		log_notice("exporting: %s/%s: %s: %" PRIu64 " octets go that "
			   "were not acknowledged: they come again",
			   e->conf.name, s->conf->name, s->conf->net.file,
			   length - found);
		rc = net_out_cut(s->out, found);
	}
	return rc;
}

void
exporting_end(struct stage *stage)
{
	struct exporting *e = of(stage);

	for (unsigned i = 0; i < e->conf.destination_count; i++)
		sink_end(&e->sink[i]);
}

void
exporting_reload(struct stage *stage, unsigned *done, unsigned *failed)
{
	struct exporting *e = of(stage);
	char *error;
	int rc;

	for (unsigned i = 0; i < e->conf.destination_count; i++) {
		if (!e->sink[i].out)
			continue;
		error = NULL;
		rc = net_out_reload(e->sink[i].out, &error);
		*done += rc > 0;
		*failed += rc < 0;
		if (rc < 0)
			log_error("exporting: %s/%s: %s; it goes on with what "
				  "it has",
				  e->conf.name, e->sink[i].conf->name,
				  error ? error : strerror(-rc));
		free(error);
	}
}

void
exporting_warn_expiry(struct stage *stage, int64_t now)
{
	struct exporting *e = of(stage);

	for (unsigned i = 0; i < e->conf.destination_count; i++)
		if (e->sink[i].out)
			net_out_warn_expiry(e->sink[i].out, now);
}

const struct ledger *
exporting_ledger(struct stage *stage, unsigned index)
{
	struct sink *s = &of(stage)->sink[index];

	sink_settle(s);
	return &s->ledger;
}

/* ---- new and free -----------------------------------------------------------
 */

static void
conf_fini(struct exporting_conf *conf)
{
	for (unsigned i = 0; conf->destination && i < conf->destination_count;
	     i++) {
		free((char *)conf->destination[i].name);
		free((char *)conf->destination[i].net.interface);
		free((char *)conf->destination[i].net.file);
		free((uint32_t *)conf->destination[i].domain);
		free((char *)conf->destination[i].spool.directory);
	}
	for (unsigned i = 0; conf->options && i < conf->options_count; i++)
		free((char *)conf->options[i].name);
	free(conf->destination);
	free(conf->options);
	free((char *)conf->name);
	free((char *)conf->domain_file);
}

static void
exporting_free(struct stage *stage)
{
	struct exporting *e = of(stage);

	for (unsigned i = 0; e->sink && i < e->conf.destination_count; i++)
		sink_close(&e->sink[i]);
	free(e->sink);
	free(e->room);
	mode_fini(e);
	kept_fini(e);
	domain_file_save(e, true);
	identity_fini(e);
	options_fini(e);
	domains_fini(e);
	conf_fini(&e->conf);
	free(e);
}

static const struct stage_ops ops = {
	.run = exporting_run,
	.tick = exporting_tick,
	.scope_end = exporting_scope_end,
	.template_end = exporting_template_end,
	.flush = exporting_flush,
	.congested = exporting_congested,
	.drained = exporting_drained,
	.report = exporting_report,
	.free = exporting_free,
};

static char *
copy_text(const char *text, bool *failed)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		*failed = true;
	return copy;
}

static uint32_t *
copy_domains(const struct exporting_destination *d, bool *failed)
{
	size_t octets = d->domain_count * sizeof(*d->domain);
	uint32_t *copy = octets ? malloc(octets) : NULL;

	if (copy)
		memcpy(copy, d->domain, octets);
	else if (octets)
		*failed = true;
	return copy;
}

static uint32_t
or_default(uint32_t value, uint32_t preset)
{
	return value ? value : preset;
}

static int
conf_copy(struct exporting_conf *to, const struct exporting_conf *from)
{
	unsigned n = from->destination_count, m = from->options_count;
	bool failed = false;

	*to = *from;
	to->name = copy_text(from->name ? from->name : "", &failed);
	to->domain_file = copy_text(from->domain_file, &failed);
	to->destination = calloc(n, sizeof(*to->destination));
	to->options = calloc(m + 1, sizeof(*to->options));
	for (unsigned i = 0; to->destination && i < n; i++) {
		struct exporting_destination *d = &to->destination[i];

		*d = from->destination[i];
		d->name = copy_text(d->name ? d->name : "", &failed);
		d->net.interface = copy_text(d->net.interface, &failed);
		d->net.file = copy_text(d->net.file, &failed);
		d->domain = copy_domains(&from->destination[i], &failed);
		d->spool.directory = copy_text(d->spool.directory, &failed);
	}
	for (unsigned i = 0; to->options && i < m; i++) {
		to->options[i] = from->options[i];
		to->options[i].name = copy_text(from->options[i].name, &failed);
	}
	to->id = or_default(from->id, 1);
	to->flush_ms = or_default(from->flush_ms, EXPORTING_FLUSH_MS);
	to->hold_ms = or_default(from->hold_ms, EXPORTING_HOLD_MS);
	to->grace_ms = or_default(from->grace_ms, EXPORTING_GRACE_MS);
	to->max_domains = or_default(from->max_domains, EXPORTING_DOMAINS);
	to->max_templates =
		or_default(from->max_templates, EXPORTING_TEMPLATES);
	return failed || !to->name || !to->destination || !to->options ? -ENOMEM
								       : 0;
}

static int
open_sinks(struct exporting *e, char **error)
{
	unsigned n = e->conf.destination_count;

	e->sink = calloc(n, sizeof(*e->sink));
	if (!e->sink)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		e->sink[i].index = i;
		sink_init(&e->sink[i], e, &e->conf.destination[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		int r = sink_open(&e->sink[i], error);

		if (r)
			return r;
	}
	return 0;
}

int
exporting_new(struct event_base *base, const struct exporting_conf *conf,
	      struct ie_registry *registry, struct shape_table *shapes,
	      struct stage **out, char **error)
{
	struct exporting *e;
	int r;

	*error = NULL;
	if (!conf->destination_count)
		return -EINVAL;
	for (unsigned i = 0; i < conf->options_count; i++)
		if (!exporting_option_supported(conf->options[i].type))
			return -EINVAL;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->base = base;
	e->registry = registry;
	e->shapes = shapes;
	e->now_ms = clock_mono_ms();
	e->wall_ms = clock_wall_ms();
	r = conf_copy(&e->conf, conf);
	e->stage.ops = &ops;
	e->stage.name = e->conf.name;
	domains_init(e);
	e->room = malloc(sizeof(*e->room));
	if (r == 0)
		r = e->room ? identity_init(e) : -ENOMEM;
	if (r == 0)
		r = domain_file_load(e, error);
	if (r == 0)
		r = options_init(e);
	if (r == 0)
		r = mode_init(e);
	if (r == 0)
		r = open_sinks(e, error);
	if (r) {
		exporting_free(&e->stage);
		return r;
	}
	*out = &e->stage;
	return 0;
}
