/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The Collecting Process as a stage, and its receivers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "process.h"

static void
default_to(uint32_t *value, uint32_t standard)
{
	if (!*value)
		*value = standard;
}

static void
receiver_free(struct collecting_receiver *receiver)
{
	struct session *session;

	/* The net_in's have been closed, so there are none left, normally. */
	while ((session = TAILQ_FIRST(&receiver->sessions))) {
		session->net->user = NULL;
		session_free(session);
	}
	free(receiver->name);
	free(receiver);
}

static void
process_free(struct stage *stage)
{
	struct collecting *c = (struct collecting *)stage;
	struct collecting_receiver *receiver;

	while ((receiver = TAILQ_FIRST(&c->receivers))) {
		TAILQ_REMOVE(&c->receivers, receiver, link);
		receiver_free(receiver);
	}
	for (int i = 0; i < 4; i++)
		shape_release(c->sflow_shape[i]);
	shape_release(c->position_shape);
	netflow_free(c->netflow);
	saved_free(c);
	free(c->exporting_id);
	free(c->name);
	free(c);
}

static void
session_second(struct session *session, uint64_t passed_ms)
{
	uint64_t octets = session->counters.octets - session->rate_octets;

	session->rate = octets * 1000 / passed_ms;
	session->rate_octets = session->counters.octets;
	template_store_tick(session->templates, session->process->now_ms,
			    session->counters.messages);
}

static void
process_tick(struct stage *stage, uint64_t now_ms)
{
	struct collecting *c = (struct collecting *)stage;
	uint64_t passed_ms = now_ms - c->second_ms;
	struct collecting_receiver *receiver;
	struct session *session;

	c->now_ms = now_ms;
	TAILQ_FOREACH(receiver, &c->receivers, link)
		TAILQ_FOREACH(session, &receiver->sessions, link) {
			held_expire(session);
			if (passed_ms >= 1000)
				session_second(session, passed_ms);
		}
	if (passed_ms >= 1000)
		c->second_ms = now_ms;
	if (now_ms - c->written_ms >= c->conf.template_file_ms)
		saved_write(c, false);
}

/* A source: nobody hands it batches. */
static void
process_run(struct stage *stage, const struct batch *batch)
{
	stage_forward(stage, batch);
}

static const struct stage_ops ops = {
	.run = process_run,
	.tick = process_tick,
	.report = process_report,
	.free = process_free,
};

int
collecting_new(const struct collecting_conf *conf, struct collecting **out)
{
	struct collecting *c;

	if (!conf->registry || !conf->shapes || !conf->name)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->name = strdup(conf->name);
	c->exporting_id = calloc(conf->exporting_ids + 1,
				 sizeof(*c->exporting_id));
	if (!c->name || !c->exporting_id) {
		free(c->exporting_id);
		free(c->name);
		free(c);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < conf->exporting_ids; i++)
		c->exporting_id[i] = conf->exporting_id[i];
	c->conf = *conf;
	c->conf.name = c->name;
	c->stage.ops = &ops;
	c->stage.name = c->name;
	default_to(&c->conf.max_domains, 256);
	default_to(&c->conf.max_templates, 4096);
	if (!c->conf.max_fields)
		c->conf.max_fields = 1024;
	default_to(&c->conf.max_options, 4096);
	default_to(&c->conf.max_options_octets, 16 << 20);
	default_to(&c->conf.held_octets, 1 << 20);
	default_to(&c->conf.held_ms, 30000);
	TAILQ_INIT(&c->receivers);
	c->seed = hash_seed();
	c->now_ms = clock_mono_ms();
	c->second_ms = c->written_ms = c->now_ms;
	default_to(&c->conf.template_file_ms, 60000);
	if (!c->conf.workers)
		c->conf.workers = 1;
	if (saved_load(c) < 0 || acknowledge_init(c) < 0) {
		stage_free(&c->stage);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

struct stage *
collecting_stage(struct collecting *collecting)
{
	return &collecting->stage;
}

int
collecting_add(struct collecting *collecting,
	       const struct collecting_receiver_conf *conf,
	       struct collecting_receiver **out)
{
	struct collecting_receiver *receiver = calloc(1, sizeof(*receiver));

	if (receiver)
		receiver->name = strdup(conf->name ? conf->name : "");
	if (!receiver || !receiver->name) {
		free(receiver);
		return -ENOMEM;
	}
	receiver->process = collecting;
	receiver->transport = conf->transport;
	receiver->any_port = conf->any_port;
	receiver->acknowledges =
		conf->acknowledges && collecting->conf.positions;
	receiver->dials = conf->dials;
	receiver->limits.max_templates = collecting->conf.max_templates;
	/* Sessions are cheap to forge over UDP: not all can have so many. */
	receiver->limits.shared = &collecting->templates;
	receiver->limits.max_shared =
		collecting->conf.max_templates < UINT32_MAX / TEMPLATE_SESSIONS
			? collecting->conf.max_templates * TEMPLATE_SESSIONS
			: UINT32_MAX;
	receiver->limits.max_fields = collecting->conf.max_fields;
	/* Four Templates full of them: one peer cannot use up the registry. */
	receiver->limits.max_unknown = 4u * collecting->conf.max_fields;
	if (conf->transport == TRANSPORT_UDP) {
		receiver->limits.lifetime = true;
		receiver->limits.template_ms = conf->template_ms;
		receiver->limits.options_ms = conf->options_ms;
		receiver->limits.template_messages = conf->template_messages;
		receiver->limits.options_messages = conf->options_messages;
	}
	TAILQ_INIT(&receiver->sessions);
	TAILQ_INSERT_TAIL(&collecting->receivers, receiver, link);
	*out = receiver;
	return 0;
}

void
collecting_save(struct collecting *collecting)
{
	saved_write(collecting, true);
}

const struct net_in_ops *
collecting_net_ops(void)
{
	return &session_net_ops;
}

bool
collecting_finished(const struct collecting *collecting)
{
	const struct collecting_receiver *receiver;

	TAILQ_FOREACH(receiver, &collecting->receivers, link)
		if (receiver->transport != TRANSPORT_FILE ||
		    !receiver->finished)
			return false;
	return !TAILQ_EMPTY(&collecting->receivers);
}
