/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The Templates of a Transport Session.
 *
 * RFC 7011 section 3.4.1 and 3.4.2: a Template Record is an id of 256 or more,
 * the number of fields, for an Options Template the number of scope fields,
 * and the fields: id with the enterprise bit, length, perhaps an enterprise
 * number. Section 8.1: field count 0 withdraws the Template with this id, or
 * all of the kind when the id is that of the set. Section 8.4: over UDP there
 * are no withdrawals, Templates have a lifetime and may just be redefined.
 *
 * Where peers differ from that, we take what can be taken without guessing:
 *  - Sets may end in any number of zeros (3.3.1 allows up to seven), and in up
 *    to three octets of anything.
 *  - A field with a length that its element cannot have is carried as octets
 *    (ie_meet): the record keeps its layout, and nobody reads a value of
 *    50 octets into an address of four.
 *  - A redefinition over TCP or in a file is taken, and told.
 *  - An id names one Template, whatever its kind: an Options Template under
 *    the id of a Template redefines it.
 *  - When a new definition of an id cannot be taken, the old one goes as well:
 *    its layout is not that of the data that follows.
 */
#include "conflux/template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/message.h"
#include "conflux/netflow.h"
#include "conflux/table.h"
#include "conflux/wire.h"

enum {
	RECENT_BITS = 5,
};

struct template_store {
	struct template_limits limits;
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct table table;
	uint32_t unknown; /* fields without a known element, of all */
	uint64_t seed;
	/* The last ones found, by hash: most sessions need no more than these,
	 * and are spared the probe and the call of equal_key. */
	struct template *recent[1 << RECENT_BITS];
};

/* What a read is about, so that it need not be passed piece by piece. */
struct reading {
	struct template_store *store;
	struct reader r;
	uint32_t domain;
	uint16_t set_id;
	bool netflow9; /* in the form of NetFlow version 9 */
	uint64_t now_ms;
	uint64_t messages;
	template_event_cb cb;
	void *arg;
	uint16_t held; /* fields whose elements are held */
	struct field fields[SHAPE_FIELDS_MAX];
};

struct key {
	uint32_t domain;
	uint16_t id;
};

struct template_store *
template_store_new(const struct template_limits *limits,
		   struct ie_registry *registry, struct shape_table *shapes)
{
	struct template_store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->limits = *limits;
	store->registry = registry;
	store->shapes = shapes;
	store->seed = hash_seed();
	return store;
}

void
template_store_free(struct template_store *store)
{
	struct template *template;
	uint32_t at = 0;

	if (!store)
		return;
	while ((template = table_next(&store->table, &at))) {
		shape_release(template->shape);
		free(template);
	}
	if (store->limits.shared)
		*store->limits.shared -= store->table.count;
	table_fini(&store->table);
	free(store);
}

static uint32_t
hash_key(const struct template_store *store, uint32_t domain, uint16_t id)
{
	return (uint32_t)hash_u64((uint64_t)domain << 16 | id, store->seed);
}

static bool
equal_key(const void *item, const void *arg)
{
	const struct template *template = item;
	const struct key *key = arg;

	return template->id == key->id && template->domain == key->domain;
}

/* The table indexes by the low bits of a hash, this by the high ones. */
static struct template **
recent_slot(struct template_store *store, uint32_t hash)
{
	return &store->recent[hash >> (32 - RECENT_BITS)];
}

/* By id and domain, expired or not. */
static struct template *
lookup(struct template_store *store, uint32_t domain, uint16_t id)
{
	uint32_t hash = hash_key(store, domain, id);
	struct template **recent = recent_slot(store, hash);
	struct key key = {domain, id};
	struct template *template = *recent;

	if (template && template->id == id && template->domain == domain)
		return template;
	template = table_find(&store->table, hash, equal_key, &key);
	if (template)
		*recent = template;
	return template;
}

static uint32_t
count_unknown(const struct shape *shape)
{
	uint32_t count = 0;

	for (uint16_t i = 0; i < shape->count; i++)
		count += shape->field[i].ie->unknown;
	return count;
}

/* Puts a shape that is held in place of the one a Template has, if any. */
static void
set_shape(struct template_store *store, struct template *template,
	  const struct shape *shape)
{
	if (template->shape)
		store->unknown -= count_unknown(template->shape);
	shape_release(template->shape);
	template->shape = shape;
	if (shape)
		store->unknown += count_unknown(shape);
}

static void
drop(struct template_store *store, struct template *template)
{
	uint32_t hash = hash_key(store, template->domain, template->id);
	struct template **recent = recent_slot(store, hash);

	if (*recent == template)
		*recent = NULL;
	table_remove(&store->table, hash, template);
	if (store->limits.shared)
		--*store->limits.shared;
	set_shape(store, template, NULL);
	free(template);
}

static bool
expired(const struct template_store *store, const struct template *template,
	uint64_t now_ms, uint64_t messages)
{
	const struct template_limits *limits = &store->limits;
	bool options = template->set_id == SET_OPTIONS_TEMPLATE;
	uint64_t ms = options ? limits->options_ms : limits->template_ms;
	uint64_t max =
		options ? limits->options_messages : limits->template_messages;

	if (!limits->lifetime)
		return false;
	if (ms && now_ms > template->defined_ms &&
	    now_ms - template->defined_ms >= ms)
		return true;
	return max && messages > template->defined_messages &&
	       messages - template->defined_messages > max;
}

struct template *
template_store_find(struct template_store *store, uint32_t domain, uint16_t id,
		    uint64_t now_ms, uint64_t messages)
{
	struct template *template = lookup(store, domain, id);

	if (template && expired(store, template, now_ms, messages))
		return NULL;
	return template;
}

uint32_t
template_store_tick(struct template_store *store, uint64_t now_ms,
		    uint64_t messages)
{
	struct template *template;
	uint32_t at = 0, dropped = 0;

	if (!store->limits.lifetime)
		return 0;
	while ((template = table_next(&store->table, &at))) {
		if (!expired(store, template, now_ms, messages))
			continue;
		drop(store, template);
		dropped++;
		at--; /* another one may have moved to this place */
	}
	return dropped;
}

static void
tell(struct reading *reading, enum template_outcome outcome, uint16_t id,
     const char *reason, struct template *template)
{
	struct template_event event = {outcome, id, reason, template};

	if (reading->cb)
		reading->cb(reading->arg, &event);
}

/* A definition that cannot be taken ends the one before it. */
static void
reject(struct reading *reading, enum template_outcome outcome, uint16_t id,
       const char *reason)
{
	struct template *old = lookup(reading->store, reading->domain, id);

	if (old)
		drop(reading->store, old);
	tell(reading, outcome, id, reason, NULL);
}

static void
withdraw(struct reading *reading, uint16_t id)
{
	struct template_store *store = reading->store;
	struct template *template;
	uint32_t at = 0;

	if (store->limits.lifetime) {
		tell(reading, TEMPLATE_WITHDRAWN_UDP, id, NULL, NULL);
		return;
	}
	if (id != reading->set_id) {
		template = lookup(store, reading->domain, id);
		if (!template || template->set_id != reading->set_id) {
			tell(reading, TEMPLATE_WITHDRAWN_UNKNOWN, id, NULL,
			     NULL);
			return;
		}
		tell(reading, TEMPLATE_WITHDRAWN, id, NULL, template);
		drop(store, template);
		return;
	}
	tell(reading, TEMPLATE_WITHDRAWN_ALL, id, NULL, NULL);
	while ((template = table_next(&store->table, &at))) {
		if (template->domain != reading->domain ||
		    template->set_id != reading->set_id)
			continue;
		drop(store, template);
		at--;
	}
}

/* Reads a Field Specifier, with the element of it. */
static void
read_specifier(struct reading *reading, bool scope, uint32_t *pen, uint16_t *id,
	       uint16_t *octets)
{
	struct reader *r = &reading->r;
	uint16_t number = reader_u16(r);

	*octets = reader_u16(r);
	if (reading->netflow9) {
		netflow9_element(number, scope, pen, id);
		return;
	}
	*pen = number & FIELD_ENTERPRISE ? reader_u32(r) : 0;
	*id = number & (uint16_t)~FIELD_ENTERPRISE;
}

/*
 * Reads count fields into reading->fields as far as max allows; the others are
 * stepped over. -EBADMSG: the set ends before them, or they make no record;
 * -ENOSPC: too many unknown elements.
 */
static int
read_fields(struct reading *reading, uint16_t count, uint16_t scope_count,
	    uint16_t max, const char **reason)
{
	struct reader *r = &reading->r;
	uint32_t length = 0;
	int err = 0;

	for (uint32_t i = 0; i < count && !r->failed; i++) {
		uint16_t id, octets;
		struct field *field;
		uint32_t pen;

		read_specifier(reading, i < scope_count, &pen, &id, &octets);
		length += octets == IE_VARIABLE ? 1 : octets;
		if (i >= max || r->failed || err)
			continue;
		field = &reading->fields[i];
		field->length = octets;
		field->ie = ie_meet(reading->store->registry, pen, id, octets);
		if (field->ie)
			reading->held++;
		else
			err = -ENOSPC;
	}
	if (r->failed) {
		*reason = "Template Record reaches behind its set";
		return -EBADMSG;
	}
	if (length == 0 || length > SHAPE_RECORD_MAX) {
		*reason = length ? "no message can hold a record of it"
				 : "its records have no octets";
		return -EBADMSG;
	}
	if (err)
		*reason = "too many unknown elements, or no memory";
	return err;
}

static void
release_fields(struct reading *reading)
{
	while (reading->held)
		ie_release(reading->fields[--reading->held].ie);
}

/* The shape of the fields that were read, held, as the limits allow. */
static int
make_shape(struct reading *reading, uint16_t id, uint16_t count,
	   uint16_t scope_count, const struct shape **out, const char **reason)
{
	struct template_store *store = reading->store;
	const struct template *old = lookup(store, reading->domain, id);
	uint32_t unknown = store->unknown;
	int err = shape_get(store->shapes, reading->fields, count, scope_count,
			    out);

	if (err) {
		*reason = err == -ENOSPC ? "too many different Templates"
					 : "no memory";
		return err;
	}
	unknown += count_unknown(*out);
	if (old)
		unknown -= count_unknown(old->shape);
	if (store->limits.max_unknown && unknown > store->limits.max_unknown) {
		shape_release(*out);
		*reason = "too many unknown elements in this session";
		return -ENOSPC;
	}
	return 0;
}

/* Why there can be no other Template; NULL: there can. */
static const char *
no_room(const struct template_store *store)
{
	const struct template_limits *limits = &store->limits;

	if (store->table.count >= limits->max_templates)
		return "too many Templates in this session";
	if (limits->shared &&
	    store->table.count >= limits->max_shared - *limits->shared)
		return "too many Templates in all sessions";
	return NULL;
}

/* Makes a Template that was not there before. */
static void
add(struct reading *reading, uint16_t id, const struct shape *shape)
{
	struct template_store *store = reading->store;
	struct template *template;
	const char *reason = no_room(store);

	if (reason) {
		template_store_tick(store, reading->now_ms, reading->messages);
		reason = no_room(store);
	}
	if (reason) {
		shape_release(shape);
		tell(reading, TEMPLATE_REFUSED, id, reason, NULL);
		return;
	}
	template = calloc(1, sizeof(*template));
	if (!template ||
	    table_add(&store->table, hash_key(store, reading->domain, id),
		      template) != 0) {
		free(template);
		shape_release(shape);
		tell(reading, TEMPLATE_REFUSED, id, "no memory", NULL);
		return;
	}
	if (store->limits.shared)
		++*store->limits.shared;
	template->domain = reading->domain;
	template->id = id;
	template->set_id = reading->set_id;
	set_shape(store, template, shape);
	template->defined_ms = reading->now_ms;
	template->defined_messages = reading->messages;
	tell(reading, TEMPLATE_NEW, id, NULL, template);
}

static bool
is_same(const struct reading *reading, const struct template *old,
	const struct shape *shape)
{
	return old->shape->mark && shape_alike(old->shape, shape) &&
	       !expired(reading->store, old, reading->now_ms,
			reading->messages);
}

/* Takes a definition; shape is held and becomes the store's. */
static void
define(struct reading *reading, uint16_t id, const struct shape *shape)
{
	struct template_store *store = reading->store;
	struct template *old = lookup(store, reading->domain, id);
	enum template_outcome outcome = TEMPLATE_REFRESHED;

	if (!old) {
		add(reading, id, shape);
		return;
	}
	if (is_same(reading, old, shape)) {
		/* What was said of its fields holds on. */
		shape_release(shape);
		shape = shape_hold(old->shape);
	}
	if (old->shape != shape) {
		outcome = store->limits.lifetime ||
					  expired(store, old, reading->now_ms,
						  reading->messages)
				  ? TEMPLATE_REDEFINED
				  : TEMPLATE_REDEFINED_BAD;
		old->set_id = reading->set_id;
		old->data_records = 0;
		old->accessed_ms = 0;
		old->flow_keys = 0;
		old->reliability = 0;
	}
	set_shape(store, old, shape);
	old->defined_ms = reading->now_ms;
	old->defined_messages = reading->messages;
	tell(reading, outcome, id, NULL, old);
}

/* What stands before the fields of a Template Record. */
struct record_header {
	uint16_t id, count, scope_count;
};

/*
 * RFC 3954 section 6.1: an Options Template of NetFlow version 9 has the octets
 * of its scopes and of its other fields, where IPFIX has numbers of fields.
 */
static struct record_header
read_header(struct reading *reading)
{
	bool options = reading->set_id == SET_OPTIONS_TEMPLATE;
	struct reader *r = &reading->r;
	struct record_header h = {.id = reader_u16(r)};

	if (options && reading->netflow9) {
		h.scope_count = reader_u16(r) / 4;
		h.count = h.scope_count + reader_u16(r) / 4;
		return h;
	}
	h.count = reader_u16(r);
	/* A withdrawal is no longer than that. */
	if (options && h.count)
		h.scope_count = reader_u16(r);
	return h;
}

/* One record of the set. False: the start of the next one is not known. */
static bool
read_record(struct reading *reading)
{
	const struct template_limits *limits = &reading->store->limits;
	bool options = reading->set_id == SET_OPTIONS_TEMPLATE;
	const struct record_header h = read_header(reading);
	uint16_t id = h.id, count = h.count, scope_count = h.scope_count;
	uint16_t max = limits->max_fields;
	const struct shape *shape;
	const char *reason;
	int err;

	if (count == 0 && !reading->netflow9 &&
	    (id >= SET_DATA_MIN || id == reading->set_id)) {
		withdraw(reading, id);
		return true;
	}
	if (id < SET_DATA_MIN) {
		tell(reading, TEMPLATE_MALFORMED, id,
		     "Template ID is less than 256", NULL);
		return false;
	}
	if (max == 0 || max > SHAPE_FIELDS_MAX)
		max = SHAPE_FIELDS_MAX;
	err = read_fields(reading, count, scope_count, max, &reason);
	if (err == -EBADMSG) {
		reject(reading, TEMPLATE_MALFORMED, id, reason);
		return !reading->r.failed;
	}
	if (options && (scope_count == 0 || scope_count > count)) {
		reject(reading, TEMPLATE_MALFORMED, id,
		       scope_count ? "more scope fields than fields"
				   : "Options Template without a scope field");
		return true;
	}
	if (count > max) {
		err = -ENOSPC;
		reason = "too many fields";
	}
	if (!err)
		err = make_shape(reading, id, count, scope_count, &shape,
				 &reason);
	if (err)
		reject(reading, TEMPLATE_REFUSED, id, reason);
	else
		define(reading, id, shape);
	return true;
}

/* Is there nothing but padding left? */
static bool
at_padding(const struct reader *r)
{
	const uint8_t *p = r->p;

	if (r->end - p < 4)
		return true;
	while (p < r->end && *p == 0)
		p++;
	return p == r->end;
}

static void
read_set(struct template_store *store, uint32_t domain, uint16_t set_id,
	 bool netflow9, const uint8_t *content, size_t length, uint64_t now_ms,
	 uint64_t messages, template_event_cb cb, void *arg)
{
	struct reading reading;
	bool more = true;

	reading.held = 0;
	reading.netflow9 = netflow9;
	reading.store = store;
	reading.domain = domain;
	reading.set_id = set_id;
	reading.now_ms = now_ms;
	reading.messages = messages;
	reading.cb = cb;
	reading.arg = arg;
	reader_init(&reading.r, content, length);
	while (more && !at_padding(&reading.r)) {
		more = read_record(&reading);
		release_fields(&reading);
	}
}

void
template_store_read(struct template_store *store, uint32_t domain,
		    uint16_t set_id, const uint8_t *content, size_t length,
		    uint64_t now_ms, uint64_t messages, template_event_cb cb,
		    void *arg)
{
	read_set(store, domain, set_id, false, content, length, now_ms,
		 messages, cb, arg);
}

void
template_store_read_netflow9(struct template_store *store, uint32_t domain,
			     uint16_t set_id, const uint8_t *content,
			     size_t length, uint64_t now_ms, uint64_t messages,
			     template_event_cb cb, void *arg)
{
	read_set(store, domain, set_id, true, content, length, now_ms, messages,
		 cb, arg);
}

uint32_t
template_store_drop(struct template_store *store, uint32_t domain)
{
	struct template *template;
	uint32_t at = 0, dropped = 0;

	while ((template = table_next(&store->table, &at))) {
		if (template->domain != domain)
			continue;
		drop(store, template);
		dropped++;
		at--; /* another one may have moved to this place */
	}
	return dropped;
}

/* Makes one Template's shape anew, if an element of it is known by now. */
static void
relearn(struct template_store *store, struct template *template)
{
	const struct shape *old = template->shape;
	struct field fields[SHAPE_FIELDS_MAX];
	const struct shape *shape;
	bool changed = false;

	for (uint16_t i = 0; i < old->count; i++) {
		const struct ie *ie = old->field[i].ie;
		const struct ie *known =
			ie_find(store->registry, ie->pen, ie->id);

		fields[i] = old->field[i];
		if (!ie->unknown || !known ||
		    !ie_length_ok(known, fields[i].length))
			continue;
		fields[i].ie = known;
		changed = true;
	}
	if (changed &&
	    shape_get_marked(store->shapes, fields, old->mark, old->count,
			     old->scope_count, &shape) == 0)
		set_shape(store, template, shape);
}

void
template_store_mark(struct template_store *store, struct template *template,
		    uint16_t field, struct field_mark mark)
{
	struct field_mark marks[SHAPE_FIELDS_MAX];
	const struct shape *old = template->shape, *shape;

	for (uint16_t i = 0; i < old->count; i++)
		marks[i] = shape_mark(old, i);
	marks[field] = mark;
	if (shape_get_marked(store->shapes, old->field, marks, old->count,
			     old->scope_count, &shape) == 0)
		set_shape(store, template, shape);
}

void
template_store_relearn(struct template_store *store)
{
	struct template *template;
	uint32_t at = 0;

	while (store->unknown && (template = table_next(&store->table, &at)))
		relearn(store, template);
}

uint32_t
template_store_count(const struct template_store *store)
{
	return store->table.count;
}

struct template *
template_store_next(const struct template_store *store, uint32_t *at)
{
	return table_next(&store->table, at);
}
