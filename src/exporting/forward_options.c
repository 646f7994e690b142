/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What has to be told beside records that are stored: options.
 *
 * When they are replayed, it may be in another run, and who told the options
 * may be gone or come later. So each segment has, like a session, before the
 * data that they are about
 *
 * of a Template   the types of its enterprise-specific elements (RFC 5610), its
 *                 Flow Keys, and what was done to the values of its fields (RFC
 *                 6235). Read again, these belong to the Template, and are told
 *                 with it as always (options.c).
 * of a domain     whose it is (identity.c), and what kept.c has of it:
 * sampling, interfaces, whatever others have told. They are told when the
 *                 replay comes to them, unless something is known of the same
 *                 by then, which is newer and has been told.
 *
 * They have nothing to be replayed (records 0), so all of them are read again
 * from the beginning of a segment whose first messages are done. Options of a
 * domain that are more than a part of a segment are left out beyond that.
 */
#include <errno.h>

#include "conflux/clock.h"
#include "conflux/lists.h"
#include "conflux/type_information.h"
#include "forward.h"

enum { SEGMENT_PART = 4 };

/* ---- storing --------------------------------------------------------------
 */

/* Options about a Template, in the message that it is in. */
struct adding {
	const struct forward *forward;
	struct channel *channel;
	struct message_writer *writer;
	const struct out_template *last; /* Template of the last one */
};

static void
add_own(struct adding *a, enum option_shape which, const uint8_t *record,
	uint32_t length)
{
	const struct exporting *e = a->forward->sink->exporting;
	const struct out_template *t =
		channel_template_own(a->channel, e->option_shape[which]);

	if (!t ||
	    (t != a->last && message_add_template(a->writer, t->id, t->shape)))
		return;
	a->last = t;
	if (message_room(a->writer, t->id) >= length)
		memcpy(message_add_data(a->writer, t->id, length, 1), record,
		       length);
}

void
forward_add_options(const struct forward *f, const struct out_template *t,
		    struct message_writer *w)
{
	struct adding a = {f, t->channel, w, NULL};
	const struct shape *shape = t->shape;
	uint8_t type[OPTIONS_TYPE_OCTETS], record[OPTIONS_RECORD_OCTETS];

	for (uint16_t i = 0; t->enterprise && i < shape->count; i++)
		if (options_describable(shape->field[i].ie))
			add_own(&a, OPTION_SHAPE_TYPE, type,
				options_type_record(shape->field[i].ie, type));
	if (t->flow_keys && !t->options &&
	    options_wanted(f->sink->exporting, EXPORTING_FLOW_KEYS))
		add_own(&a, OPTION_SHAPE_KEYS, record,
			options_keys_record(t, record));
	for (uint16_t i = 0; shape->mark && i < shape->count; i++)
		if (shape->mark[i].technique)
			add_own(&a, OPTION_SHAPE_ANONYMIZATION, record,
				options_mark_record(t, i, record));
}

static bool
has_options(const struct channel *c, uint64_t segment)
{
	const struct domain *d = c->domain;

	return (c->options_segment == segment &&
		c->options_version == d->kept_version + d->identity.version) ||
	       (!d->identity.length && TAILQ_EMPTY(&d->kept));
}

static uint32_t
part_of_segment(const struct forward *f)
{
	uint64_t octets = f->conf->segment_octets / SEGMENT_PART;

	return octets < UINT32_MAX ? (uint32_t)octets : UINT32_MAX;
}

uint32_t
forward_options_octets(const struct forward *f, const struct channel *c,
		       uint64_t segment)
{
	uint32_t part = part_of_segment(f);

	if (has_options(c, segment))
		return 0;
	return c->domain->kept_octets < part ? c->domain->kept_octets : part;
}

/* A message that is being filled with options of a domain, in f->part. */
struct storing {
	struct forward *forward;
	struct channel *channel;
	struct message_writer writer;
	uint32_t room; /* octets that may still be used */
	enum loss *loss;
};

static int
end_message(struct storing *st)
{
	int rc = 0;

	if (st->writer.length)
		rc = forward_append(st->forward, st->channel, &st->writer,
				    st->loss);
	st->writer.length = 0;
	return rc;
}

static int
store_option(void *arg, const struct shape *shape, const uint8_t *record,
	     uint32_t length, struct out_template *about)
{
	struct storing *st = arg;
	struct forward *f = st->forward;
	struct out_template *t = channel_template_own(st->channel, shape);
	int rc = 0;

	if (!t || length > st->room)
		return 0;
	if (about)
		rc = forward_store_template(f, about, st->loss);
	if (rc == 0)
		rc = forward_store_template(f, t, st->loss);
	if (rc == 0 && st->writer.length &&
	    message_room(&st->writer, t->id) < length)
		rc = end_message(st);
	if (rc)
		return rc;
	if (!st->writer.length)
		message_begin(&st->writer, f->part, MESSAGE_MAX,
			      st->channel->number);
	if (message_room(&st->writer, t->id) < length)
		return 0;
	memcpy(message_add_data(&st->writer, t->id, length, 1), record, length);
	st->room -= length;
	return 0;
}

int
forward_store_options(struct forward *f, struct channel *c, uint64_t segment,
		      enum loss *loss)
{
	const struct domain *d = c->domain;
	const struct identity *id = &d->identity;
	struct storing st = {
		.forward = f,
		.channel = c,
		.room = part_of_segment(f),
		.loss = loss,
	};
	int rc = 0;

	if (has_options(c, segment))
		return 0;
	if (id->length)
		rc = store_option(&st,
				  f->sink->exporting->option_shape[id->shape],
				  id->record, id->length, NULL);
	if (rc == 0)
		rc = kept_store(f->sink, c, segment,
				c->options_segment != segment, store_option,
				&st);
	if (rc == 0)
		rc = end_message(&st);
	if (rc) {
		/* All of them again. */
		c->options_segment = 0;
		return rc;
	}
	c->options_segment = segment;
	c->options_version = d->kept_version + id->version;
	return 0;
}

/* ---- reading them again -------------------------------------------------- */

static struct template *
template_numbered(struct forward *f, uint64_t id)
{
	return id > UINT16_MAX ? NULL
			       : template_store_find(f->store, f->scope.domain,
						     (uint16_t)id, 0, 0);
}

static uint64_t
number(const struct shape *shape, uint16_t element, const uint8_t *record,
       uint32_t length)
{
	uint64_t value = 0;

	shape_uint(shape, shape_find(shape, 0, element, 0), record, length,
		   &value);
	return value;
}

/* The Template that a record is about. */
static struct template *
template_about(struct forward *f, const struct shape *shape,
	       const uint8_t *record, uint32_t length)
{
	uint64_t id = 0;

	if (!shape_uint(shape, lists_template_id(shape, 0), record, length,
			&id))
		return NULL;
	return template_numbered(f, id);
}

static void
learn_mark(struct forward *f, const struct shape *shape, const uint8_t *record,
	   uint32_t length)
{
	struct template *t = template_about(f, shape, record, length);
	struct field_mark mark = {
		.technique = (uint8_t)number(shape, IE_anonymizationTechnique,
					     record, length),
		.flags = (uint8_t)number(shape, IE_anonymizationFlags, record,
					 length),
	};
	int field;

	if (!t)
		return;
	field = shape_find(t->shape,
			   (uint32_t)number(shape, IE_privateEnterpriseNumber,
					    record, length),
			   (uint16_t)number(shape, IE_informationElementId,
					    record, length),
			   (unsigned)number(shape, IE_informationElementIndex,
					    record, length));
	if (field >= 0)
		template_store_mark(f->store, t, (uint16_t)field, mark);
}

static void
learn_identity(struct forward *f, enum option_shape which,
	       const uint8_t *record, uint32_t length)
{
	struct exporting *e = f->sink->exporting;
	struct domain *d = domain_numbered(e, f->scope.domain);

	if (d)
		identity_restore(e, d, which, record, length);
}

/* True: it need not be told, as it is known now. */
static bool
learn(struct forward *f, const struct shape *shape, const uint8_t *record,
      uint32_t length)
{
	struct exporting *e = f->sink->exporting;
	struct template *t;
	const char *reason;

	if (shape == e->option_shape[OPTION_SHAPE_TYPE]) {
		if (type_information_learn(e->registry, shape, record, length,
					   &reason) > 0)
			template_store_relearn(f->store);
		return true;
	}
	if (shape == e->option_shape[OPTION_SHAPE_ANONYMIZATION]) {
		learn_mark(f, shape, record, length);
		return true;
	}
	if (shape == e->option_shape[OPTION_SHAPE_KEYS] &&
	    options_wanted(e, EXPORTING_FLOW_KEYS)) {
		t = template_about(f, shape, record, length);
		if (t)
			t->flow_keys = number(shape, IE_flowKeyIndicator,
					      record, length);
		return true;
	}
	for (int i = OPTION_SHAPE_ORIGIN_4; i <= OPTION_SHAPE_ORIGIN_NONE; i++)
		if (shape == e->option_shape[i]) {
			learn_identity(f, i, record, length);
			return true;
		}
	return false;
}

static int
tell(struct forward *f, const struct shape *shape, const uint8_t *record,
     uint32_t length)
{
	struct channel *c = channel_numbered(f->sink, f->scope.domain);
	const struct template *t = template_about(f, shape, record, length);

	return c ? kept_tell_stored(f->sink, c, shape, t ? t->shape : NULL,
				    record, length)
		 : 0;
}

/* Records of a set, of which the first ones are done. */
static int
take_set(struct forward *f, const struct set *set, uint32_t *at)
{
	const struct template *t = template_numbered(f, set->id);
	/* What is learnt may give the Template another shape. */
	const struct shape *shape = t ? shape_hold(t->shape) : NULL;
	const uint8_t *p = set->content, *end = p + set->length;
	int n, r = 0;

	while (shape && shape->scope_count && p < end && r == 0 &&
	       (n = shape_record_length(shape, p, (uint32_t)(end - p))) > 0) {
		if ((*at)++ >= f->options_done) {
			r = learn(f, shape, p, (uint32_t)n)
				    ? 0
				    : tell(f, shape, p, (uint32_t)n);
			f->options_done += r == 0;
		}
		p += n;
	}
	shape_release(shape);
	return r;
}

int
forward_tell_options(struct forward *f)
{
	struct message_reader reader;
	struct set set;
	uint32_t at = 0;
	int r = 0;

	if (!f->options_length ||
	    message_open(&reader, f->options, f->options_length))
		return 0;
	f->scope.domain = reader.header.domain;
	while (r == 0 && message_next_set(&reader, &set))
		if (set.id >= SET_DATA_MIN)
			r = take_set(f, &set, &at);
	if (r == 0)
		f->options_length = 0;
	return r;
}

void
forward_take_options(struct forward *f, const uint8_t *message, uint32_t length)
{
	struct message_reader reader;
	struct set set;

	if (message_open(&reader, message, length))
		return;
	memcpy(f->options, message, length);
	f->options_length = length;
	f->options_done = 0;
	while (message_next_set(&reader, &set))
		if (set.id < SET_DATA_MIN)
			template_store_read(f->store, reader.header.domain,
					    set.id, set.content, set.length, 0,
					    0, NULL, NULL);
}

void
forward_use_options(struct forward *f, uint16_t id, struct out_template *t)
{
	const struct template *stored = template_numbered(f, id);

	if (stored && stored->flow_keys && !t->flow_keys && !t->options)
		t->flow_keys = stored->flow_keys;
}
