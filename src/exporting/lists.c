/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Template ids within records.
 *
 * RFC 6313 section 4.5: a subTemplateList names a Template of its session and
 * domain for the records in it, a subTemplateMultiList one for each of its
 * parts; a basicList may hold such lists as elements. The ids are the
 * sender's. Our Templates have ids of our own, so each id in a list is replaced
 * by that of our Template of the same shape, which then goes out before the
 * data like any other. Nothing else of a list is changed, and its length stays.
 *
 * An id that the sender has not defined becomes one that nobody has defined,
 * for it could be the id of quite another Template of ours.
 */
#include <stdlib.h>

#include "conflux/lists.h"
#include "exporting.h"

#define USES_MAX 256

struct rewrite {
	struct out_template *user;
	const struct scope *scope;
	uint8_t *record;
};

/* Remembers what the lists of this Template name; false: no room. */
static bool
add_use(struct out_template *user, struct out_template *used)
{
	struct out_template **uses = user->uses;

	for (uint16_t i = 0; i < user->uses_count; i++)
		if (uses[i] == used)
			return true;
	if (user == used)
		return true;
	if (user->uses_count == USES_MAX)
		return false;
	if ((user->uses_count & (user->uses_count - 1)) == 0) {
		size_t size = user->uses_count ? user->uses_count * 2u : 1;

		uses = realloc(uses, size * sizeof(struct out_template *));
		if (!uses)
			return false;
		user->uses = uses;
	}
	uses[user->uses_count++] = used;
	used->used = true;
	return true;
}

/* Replaces the id at p; the shape it stands for, or NULL. */
static const struct shape *
rewrite_id(void *arg, size_t at)
{
	const struct rewrite *rw = arg;
	struct channel *c = rw->user->channel;
	uint8_t *p = rw->record + at;
	uint16_t id = wire_get16(p);
	const struct shape *shape = rw->scope->template_shape(rw->scope, id);
	struct out_template *t = NULL;

	/* Nothing may have to make room now: a message is being filled. */
	if (shape && channel_template_room(c))
		t = channel_template_inner(rw->user, shape);
	if (t && (t->too_long || !add_use(rw->user, t)))
		t = NULL;
	wire_put16(p, t ? t->id : ID_UNKNOWN);
	return shape;
}

/* Options that are about Templates: those that data has, with all its fields.
 */
static void
rewrite_about(const struct rewrite *rw, uint32_t length)
{
	struct channel *c = rw->user->channel;
	const struct shape *shape = rw->user->shape, *about, *wider;
	int field;

	for (unsigned n = 0; (field = lists_template_id(shape, n)) >= 0; n++) {
		uint32_t octets;
		const uint8_t *at =
			shape_field(shape, field, rw->record, length, &octets);
		uint8_t *p = at ? rw->record + (at - rw->record) : NULL;
		struct out_template *t = NULL;

		if (!p)
			return;
		about = rw->scope->template_shape(rw->scope, wire_get16(p));
		wider = about ? identity_shape(c->sink->exporting, c->domain,
					       about)
			      : NULL;
		if (about && channel_template_room(c))
			t = channel_template_own(c, wider ? wider : about);
		if (t && (t->too_long || !add_use(rw->user, t)))
			t = NULL;
		wire_put16(p, t ? t->id : ID_UNKNOWN);
	}
}

void
lists_rewrite(struct out_template *t, const struct scope *scope,
	      uint8_t *record, uint32_t length)
{
	struct rewrite rw = {t, scope, record};

	rewrite_about(&rw, length);
	lists_walk(t->shape, t->channel->sink->exporting->registry, record,
		   length, rewrite_id, &rw);
}
