/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What Options Data Records teach (RFC 7011 sections 3.4.2.2 and 4, RFC 5610):
 *
 *   type information   an element we did not know gets its name and type;
 *                      templates that have it are made anew after the message
 *   flowKeyIndicator   which fields of a template are flow keys
 *   systemInitTime     the base of sysUpTime-relative times of the domain
 *   the rest           sampling, exporter, interface data and so on: the last
 *                      record for each scope is remembered
 *
 * A peer can make up elements. RFC 5610 section 3.9 warns of it: known elements
 * are not changed, IANA's and reverse ones are not learnt, names are short and
 * of plain characters and not those of other elements, and the registry and
 * what is remembered are bounded.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/wire.h"
#include "options.h"

enum { NAME_MAX_OCTETS = 128, DESCRIPTION_MAX_OCTETS = 512 };

/* ---- reading ----------------------------------------------------------- */

struct value {
	const uint8_t *p;
	uint32_t length;
};

/* The content of the field at p; the next field starts behind it. */
static struct value
field_value(const struct field *field, const uint8_t *p)
{
	struct value value = {p, field->length};

	if (field->length != IE_VARIABLE)
		return value;
	value.length = *value.p++;
	if (value.length == 255) {
		value.length = wire_get16(value.p);
		value.p += 2;
	}
	return value;
}

/* Field index of a record that is known to be whole. */
static struct value
record_field(const struct shape *shape, const uint8_t *record, int index)
{
	struct value value = {record, 0};

	for (int i = 0; i <= index; i++)
		value = field_value(&shape->field[i], value.p + value.length);
	return value;
}

/* An unsigned number of a field that may be absent (-1) or have any length. */
static uint64_t
record_uint(const struct shape *shape, const uint8_t *record, int index)
{
	struct value value;

	if (index < 0)
		return 0;
	value = record_field(shape, record, index);
	if (value.length > 8)
		return 0;
	return wire_get_uint(value.p, value.length);
}

/* Copies a string; zeros that fill up a fixed-length field are left out. */
static void
record_string(const struct shape *shape, const uint8_t *record, int index,
	      char *text, uint32_t size)
{
	struct value value;
	uint32_t length;

	*text = '\0';
	if (index < 0)
		return;
	value = record_field(shape, record, index);
	length = value.length < size ? value.length : size - 1;
	for (uint32_t i = 0; i < length && value.p[i]; i++) {
		text[i] = (char)value.p[i];
		text[i + 1] = '\0';
	}
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
	plan->type = shape_find(shape, 0, IE_informationElementDataType, 0);
	plan->name = shape_find(shape, 0, IE_informationElementName, 0);
	plan->description =
		shape_find(shape, 0, IE_informationElementDescription, 0);
	plan->begin = shape_find(shape, 0, IE_informationElementRangeBegin, 0);
	plan->end = shape_find(shape, 0, IE_informationElementRangeEnd, 0);
	plan->semantics =
		shape_find(shape, 0, IE_informationElementSemantics, 0);
	plan->units = shape_find(shape, 0, IE_informationElementUnits, 0);
	plan->template_id = shape_find(shape, 0, IE_templateId, 0);
	plan->flow_keys = shape_find(shape, 0, IE_flowKeyIndicator, 0);
	plan->init_time =
		shape_find(shape, 0, IE_systemInitTimeMilliseconds, 0);
	plan->teaches = plan->pen >= 0 && plan->element >= 0 &&
			plan->type >= 0 && plan->name >= 0;
	plan->keep = !plan->teaches &&
		     !(plan->template_id >= 0 && plan->flow_keys >= 0);
	return plan;
}

/* ---- type information -------------------------------------------------- */

static bool
name_good(const char *name)
{
	size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz"
				     "0123456789-_");

	return length && length <= NAME_MAX_OCTETS && !name[length];
}

/* A printable name for the log, of one that may be anything. */
static const char *
name_shown(char *name)
{
	for (char *p = name; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return name;
}

static void
clean(char *text)
{
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = ' ';
}

static void
learn_type(struct domain *domain, const struct options_plan *plan,
	   const struct shape *shape, const uint8_t *record)
{
	struct ie_registry *registry = domain->session->process->conf.registry;
	char name[NAME_MAX_OCTETS + 2], description[DESCRIPTION_MAX_OCTETS];
	uint64_t pen = record_uint(shape, record, plan->pen);
	uint64_t type = record_uint(shape, record, plan->type);
	struct ie ie = {
		.pen = (uint32_t)pen,
		/* The enterprise bit of a field specifier is no part of it. */
		.id = record_uint(shape, record, plan->element) & 0x7fff,
		.type = (uint8_t)type,
		.semantics = (uint8_t)record_uint(shape, record,
						  plan->semantics),
		.units = (uint8_t)record_uint(shape, record, plan->units),
		.name = name,
		.description = description,
	};
	const struct ie *other;
	const char *why = NULL;
	int error;

	if (pen == 0 || pen == IE_PEN_REVERSE || pen > UINT32_MAX)
		return;
	other = ie_find(registry, ie.pen, ie.id);
	if (other && !other->unknown)
		return;
	record_string(shape, record, plan->name, name, sizeof(name));
	record_string(shape, record, plan->description, description,
		      sizeof(description));
	clean(description);
	if (!*description)
		ie.description = NULL;
	ie.range_min = record_uint(shape, record, plan->begin);
	ie.range_max = record_uint(shape, record, plan->end);
	if (ie.id == 0)
		why = "0 is no element";
	else if (!ie_type_name(ie.type) || type > IE_UNSIGNED256)
		why = "there is no such type";
	else if (!name_good(name))
		why = "that is no name of an element";
	else if (ie_by_name(registry, name))
		why = "the name is that of another element";
	if (!why) {
		ie.length = ie_type_length(ie.type);
		error = ie_add(registry, &ie);
		if (error == -ENOSPC)
			why = "there are as many elements as allowed";
		else if (error)
			why = strerror(-error);
	}
	if (why) {
		complain(domain->session, COMPLAINT_OPTIONS,
			 "domain %u: type information for element %u of "
			 "enterprise %u (\"%s\", type %u) is not used: %s; "
			 "the element stays nameless octets",
			 domain->scope.domain, ie.id, ie.pen, name_shown(name),
			 (unsigned)type, why);
		return;
	}
	log_info("collecting process %s: learnt element %s (enterprise %u, "
		 "id %u, %s)",
		 domain->session->process->name, name, ie.pen, ie.id,
		 ie_type_name(ie.type));
	domain->session->process->relearn = true;
}

static void
learn_flow_keys(struct domain *domain, const struct options_plan *plan,
		const struct shape *shape, const uint8_t *record)
{
	struct session *session = domain->session;
	uint64_t id = record_uint(shape, record, plan->template_id);
	struct template *template;

	if (id > UINT16_MAX)
		return;
	template = template_store_find(session->templates,
				       domain->scope.domain, (uint16_t)id,
				       session->process->now_ms,
				       session->counters.messages);
	if (template)
		template->flow_keys =
			record_uint(shape, record, plan->flow_keys);
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

static struct option *
option_new(struct session *session, uint32_t length)
{
	const struct collecting_conf *conf = &session->process->conf;
	uint32_t octets = (uint32_t)sizeof(struct option) + length;

	if (session->options.count >= conf->max_options ||
	    session->options_octets + octets > conf->max_options_octets)
		return NULL;
	return calloc(1, octets);
}

static void
option_free(struct session *session, struct option *option)
{
	session->options_octets -=
		(uint32_t)sizeof(struct option) + option->room;
	shape_release(option->shape);
	free(option);
}

static void
remember(struct domain *domain, const struct options_plan *plan,
	 const struct batch *batch, const uint8_t *record, uint32_t length)
{
	struct session *session = domain->session;
	struct value last = record_field(batch->shape, record,
					 batch->shape->scope_count - 1);
	struct option_key key = {domain, plan->names, record,
				 (uint32_t)(last.p + last.length - record)};
	uint32_t hash;
	struct option *option;

	hash = (uint32_t)hash_bytes(record, key.scope_length,
				    plan->names ^ domain->scope.serial);
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
		session->options_octets +=
			(uint32_t)sizeof(struct option) + length;
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
			learn_type(domain, plan, batch->shape, record);
		if (plan->template_id >= 0 && plan->flow_keys >= 0)
			learn_flow_keys(domain, plan, batch->shape, record);
		if (plan->init_time >= 0) {
			domain->scope.system_init_ms = record_uint(
				batch->shape, record, plan->init_time);
			domain->scope.has_init =
				domain->scope.system_init_ms > 0;
		}
		if (plan->keep)
			remember(domain, plan, batch, record, length);
	}
}

void
options_drop(struct session *session)
{
	uint32_t at = 0;
	struct option *option;

	while ((option = table_next(&session->options, &at)))
		option_free(session, option);
	table_fini(&session->options);
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
					&o->domain->scope, o->shape,
					o->record, o->length, o->export_ms};

				if (scope && scope != &o->domain->scope)
					continue;
				if (!each(arg, &shown))
					return;
			}
		}
}
