/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What Options Data Records teach (RFC 7011 sections 3.4.2.2 and 4, RFC 5610):
 *
 *   type information   an element we did not know gets its name and type;
 *                      templates that have it are made anew after the message
 *   flowKeyIndicator   which fields of a template are flow keys
 *   anonymizationTechnique
 *                      what was done to a field of a template (RFC 6235): the
 *                      shape of its records has that as a mark
 *   dataRecordsReliability  whether all data of a template is delivered
 *   systemInitTime     the base of sysUpTime-relative times of the domain
 *   originalExporter   where the records of a domain were before (path.c)
 *   the rest           sampling, exporter, interface data and so on: the last
 *                      record for each scope is remembered
 *
 * What a peer can make up of it is bounded: elements for each session and by
 * the registry, what is remembered by the configuration.
 */
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/type_information.h"
#include "options.h"

enum { LEARNT_MAX = 1024 }; /* elements of one session */

/* ---- reading ----------------------------------------------------------- */

/* An unsigned number of a field that may be absent (-1): 0. */
static uint64_t
record_uint(const struct shape *shape, int field, const uint8_t *record,
	    uint32_t length)
{
	uint64_t value = 0;

	shape_uint(shape, field, record, length, &value);
	return value;
}

/* ---- what a shape has -------------------------------------------------- */

static uint64_t
names_hash(const struct shape *shape, uint64_t seed)
{
	uint64_t hash = seed ^ shape->scope_count;

	for (unsigned i = 0; i < shape->count; i++)
		hash = hash_u64((uint64_t)shape->field[i].ie->pen << 16 |
					shape->field[i].ie->id,
				hash);
	return hash;
}

static const struct options_plan *
plan_get(struct collecting *c, const struct shape *shape)
{
	struct options_plan *plan = &c->plan[shape->serial % PLANS];

	if (plan->serial == shape->serial)
		return plan;
	plan->serial = shape->serial;
	plan->names = names_hash(shape, c->seed);
	plan->pen = shape_find(shape, 0, IE_privateEnterpriseNumber, 0);
	plan->element = shape_find(shape, 0, IE_informationElementId, 0);
	plan->template_id = shape_find(shape, 0, IE_templateId, 0);
	plan->flow_keys = shape_find(shape, 0, IE_flowKeyIndicator, 0);
	plan->technique = shape_find(shape, 0, IE_anonymizationTechnique, 0);
	plan->reliability =
		shape_find(shape, 0, IE_dataRecordsReliability, 0);
	plan->init_time =
		shape_find(shape, 0, IE_systemInitTimeMilliseconds, 0);
	plan->teaches =
		plan->pen >= 0 && plan->element >= 0 &&
		shape_find(shape, 0, IE_informationElementDataType, 0) >= 0;
	plan->origin = path_told_by(shape);
	plan->keep = !plan->teaches &&
		     !(plan->template_id >= 0 &&
		       (plan->flow_keys >= 0 || plan->technique >= 0));
	return plan;
}

/* ---- teaching ---------------------------------------------------------- */

static void
learn_type(struct domain *domain, const struct options_plan *plan,
	   const struct shape *shape, const uint8_t *record, uint32_t length)
{
	struct collecting *c = domain->session->process;
	unsigned pen = (unsigned)record_uint(shape, plan->pen, record, length);
	unsigned id = (unsigned)record_uint(shape, plan->element, record,
					     length);
	const char *reason = "";
	int ret;

	/* What a session teaches stays, so one peer is not to use it up. */
	if (domain->session->learnt == LEARNT_MAX)
		return;
	ret = type_information_learn(c->conf.registry, shape, record, length,
				     &reason);
	if (ret > 0) {
		c->relearn = true;
		if (++domain->session->learnt == LEARNT_MAX)
			complain(domain->session, COMPLAINT_LIMIT,
				 "domain %u: it has described %u elements, no "
				 "more are learnt of this session",
				 domain->scope->domain, LEARNT_MAX);
		log_info("collecting process %s: learnt element %u of "
			 "enterprise %u",
			 c->name, id & 0x7fff, pen);
	} else if (ret < 0) {
		complain(domain->session, COMPLAINT_OPTIONS,
			 "domain %u: type information for element %u of "
			 "enterprise %u is not used (%s): it stays nameless "
			 "octets",
			 domain->scope->domain, id & 0x7fff, pen, reason);
	}
}

/* The Template that a record is about, or NULL. */
static struct template *
template_about(struct domain *domain, const struct options_plan *plan,
	       const struct shape *shape, const uint8_t *record,
	       uint32_t length)
{
	struct session *session = domain->session;
	uint64_t id = record_uint(shape, plan->template_id, record, length);

	if (id > UINT16_MAX)
		return NULL;
	return template_store_find(session->templates, domain->scope->domain,
				   (uint16_t)id, session->process->now_ms,
				   session->counters.messages);
}

static void
learn_flow_keys(struct domain *domain, const struct options_plan *plan,
		const struct shape *shape, const uint8_t *record,
		uint32_t length)
{
	struct template *template =
		template_about(domain, plan, shape, record, length);

	if (template)
		template->flow_keys = record_uint(shape, plan->flow_keys,
						  record, length);
}

/*
 * RFC 6235 section 6.1. The Enterprise bit of the id does not count; without an
 * index it is the first field with the element.
 */
static void
learn_mark(struct domain *domain, const struct options_plan *plan,
	   const struct shape *shape, const uint8_t *record, uint32_t length)
{
	struct template *template =
		template_about(domain, plan, shape, record, length);
	int flags = shape_find(shape, 0, IE_anonymizationFlags, 0);
	int index = shape_find(shape, 0, IE_informationElementIndex, 0);
	uint64_t technique =
		record_uint(shape, plan->technique, record, length);
	struct field_mark mark = {
		.technique = (uint8_t)technique,
		.flags = (uint8_t)record_uint(shape, flags, record, length),
	};
	int field;

	if (!template)
		return;
	field = shape_find(
		template->shape,
		(uint32_t)record_uint(shape, plan->pen, record, length),
		record_uint(shape, plan->element, record, length) & 0x7fff,
		(unsigned)record_uint(shape, index, record, length));
	/* Nobody has given a meaning to so great a number. */
	if (field >= 0 && technique <= UINT8_MAX)
		template_store_mark(domain->session->templates, template,
				    (uint16_t)field, mark);
}

/* RFC 6526 section 4.2. */
static void
learn_reliability(struct domain *domain, const struct options_plan *plan,
		  const struct shape *shape, const uint8_t *record,
		  uint32_t length)
{
	struct template *template =
		template_about(domain, plan, shape, record, length);

	if (template)
		template->reliability = (uint8_t)record_uint(
			shape, plan->reliability, record, length);
}

/* ---- remembering ------------------------------------------------------- */

struct option_key {
	const struct domain *domain;
	uint64_t names;
	const uint8_t *scope;
	uint32_t scope_length;
};

static bool
option_equal(const void *item, const void *key)
{
	const struct option *option = item;
	const struct option_key *k = key;

	return option->domain == k->domain && option->names == k->names &&
	       option->scope_length == k->scope_length &&
	       memcmp(option->record, k->scope, k->scope_length) == 0;
}

static uint32_t
cost(uint32_t length)
{
	return (uint32_t)sizeof(struct option) + length;
}

static struct option *
option_new(struct session *session, uint32_t length)
{
	struct collecting *c = session->process;

	/* As much as is left for the others: nobody can take all. */
	if (session->options.count >= c->conf.max_options ||
	    session->options_octets + cost(length) >
		    c->conf.max_options_octets - c->options_octets)
		return NULL;
	return calloc(1, cost(length));
}

static void
option_free(struct session *session, struct option *option)
{
	session->options_octets -= cost(option->room);
	session->process->options_octets -= cost(option->room);
	shape_release(option->shape);
	free(option);
}

static void
remember(struct domain *domain, const struct options_plan *plan,
	 const struct batch *batch, const uint8_t *record, uint32_t length)
{
	struct session *session = domain->session;
	uint32_t hash, last_length;
	const uint8_t *last =
		shape_field(batch->shape, batch->shape->scope_count - 1, record,
			    length, &last_length);
	struct option_key key = {domain, plan->names, record,
				 (uint32_t)(last + last_length - record)};
	struct option *option;

	hash = (uint32_t)hash_bytes(record, key.scope_length,
				    plan->names ^ domain->scope->serial);
	option = table_find(&session->options, hash, option_equal, &key);
	if (option && option->room < length) {
		table_remove(&session->options, hash, option);
		option_free(session, option);
		option = NULL;
	}
	if (!option) {
		option = option_new(session, length);
		if (!option || table_add(&session->options, hash, option)) {
			free(option);
			session->counters.options_refused++;
			return;
		}
		option->room = length;
		option->hash = hash;
		session->options_octets += cost(length);
		session->process->options_octets += cost(length);
	}
	if (option->shape != batch->shape) {
		shape_release(option->shape);
		option->shape = shape_hold(batch->shape);
	}
	option->domain = domain;
	option->names = plan->names;
	option->scope_length = key.scope_length;
	option->length = length;
	option->export_ms = batch->export_ms;
	memcpy(option->record, record, length);
}

void
options_learn(struct domain *domain, const struct batch *batch)
{
	const struct options_plan *plan =
		plan_get(domain->session->process, batch->shape);

	for (uint32_t i = 0; i < batch->count; i++) {
		uint32_t length;
		const uint8_t *record = batch_record(batch, i, &length);

		if (plan->teaches)
			learn_type(domain, plan, batch->shape, record, length);
		if (plan->template_id >= 0 && plan->flow_keys >= 0)
			learn_flow_keys(domain, plan, batch->shape, record,
					length);
		if (plan->template_id >= 0 && plan->technique >= 0)
			learn_mark(domain, plan, batch->shape, record, length);
		if (plan->template_id >= 0 && plan->reliability >= 0)
			learn_reliability(domain, plan, batch->shape, record,
					  length);
		if (plan->init_time >= 0) {
			domain->scope->system_init_ms = record_uint(
				batch->shape, plan->init_time, record, length);
			domain->scope->has_init =
				domain->scope->system_init_ms > 0;
		}
		if (plan->origin)
			path_learn(domain, batch->shape, record, length);
		if (plan->keep)
			remember(domain, plan, batch, record, length);
	}
}

void
options_drop(struct domain *domain)
{
	struct session *session = domain->session;
	uint32_t at = 0;
	struct option *option;

	while ((option = table_next(&session->options, &at))) {
		if (option->domain != domain)
			continue;
		table_remove(&session->options, option->hash, option);
		option_free(session, option);
		at--;
	}
}

void
collecting_options(const struct collecting *collecting,
		   const struct scope *scope,
		   bool (*each)(void *arg,
				const struct collecting_option *option),
		   void *arg)
{
	struct collecting_receiver *receiver;
	struct session *session;

	TAILQ_FOREACH(receiver, &collecting->receivers, link)
		TAILQ_FOREACH(session, &receiver->sessions, link) {
			uint32_t at = 0;
			struct option *o;

			while ((o = table_next(&session->options, &at))) {
				struct collecting_option shown = {
					o->domain->scope, o->shape, o->record,
					o->length, o->export_ms};

				if (scope && scope != o->domain->scope)
					continue;
				if (!each(arg, &shown))
					return;
			}
		}
}
