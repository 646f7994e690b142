/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules on the fields of one shape, one after the other: a list of fields
 * that goes out, each with the field that it is made of. What a rule can't do
 * to a field leaves it as it is, and is counted. Scope fields of options are
 * left alone: they say what the rest is about.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conversion.h"

/* While it is made. */
struct making {
	const struct conv_rules *rules;
	const struct shape *shape;
	bool has_init; /* the scope or the record knows */
	int own_init;  /* field of what comes in, or -1 */
	struct conv_layout *layout;
	struct conv_field *spare; /* for sorting */
};

static int
find_field(const struct conv_layout *layout, const struct ie *ie)
{
	for (unsigned i = 0; i < layout->count; i++)
		if (layout->field[i].ie == ie)
			return (int)i;
	return -1;
}

static void
remove_field(struct conv_layout *layout, unsigned i)
{
	layout->count--;
	memmove(&layout->field[i], &layout->field[i + 1],
		(layout->count - i) * sizeof(layout->field[0]));
}

/*
 * Has the record something else than field i already that the rule would make
 * of it? It goes if the rule says so, unless it is of the scope; then i may
 * move.
 */
static bool
is_taken(struct conv_layout *layout, const struct conv_rule *rule,
	 const struct ie *ie, unsigned *i)
{
	int other;

	while ((other = find_field(layout, ie)) >= 0) {
		if (!rule->replace || other < layout->scope_count) {
			layout->kept[CONV_KEPT_TAKEN]++;
			return true;
		}
		remove_field(layout, (unsigned)other);
		*i -= (unsigned)other < *i;
	}
	return false;
}

/* ---- which fields, and in which order ------------------------------------ */

static void
select_fields(struct conv_layout *layout, const struct conv_rule *rule)
{
	bool keep = rule->kind == CONVERSION_KEEP;
	unsigned n = layout->scope_count;

	for (unsigned i = n; i < layout->count; i++)
		if ((conv_rule_find(rule, layout->field[i].ie) >= 0) == keep)
			layout->field[n++] = layout->field[i];
	layout->count = n;
}

/* Those of the rule in its order, and the others as they were. */
static void
move_fields(struct making *m, const struct conv_rule *rule)
{
	struct conv_layout *layout = m->layout;
	unsigned elements = rule->match_count + rule->enterprise_count;
	unsigned n = layout->scope_count;

	memcpy(m->spare, layout->field, layout->count * sizeof(*m->spare));
	/* Turn elements is for those that the rule does not have. */
	for (unsigned turn = 0; turn <= elements; turn++) {
		int wanted = (int)turn;

		if (rule->kind == CONVERSION_LAST)
			wanted--;
		else if (turn == elements)
			wanted = -1;
		for (unsigned i = layout->scope_count; i < layout->count; i++)
			if (conv_rule_find(rule, m->spare[i].ie) == wanted)
				layout->field[n++] = m->spare[i];
	}
}

/* ---- what becomes of a field --------------------------------------------- */

/* Not of one that has been added. */
static bool
rename_field(struct conv_field *field, const struct ie *to)
{
	if (field->from < 0)
		return false;
	if (field->ie->unknown) {
		/* Its octets are taken for what they shall be. */
		if (!ie_length_ok(to, field->length))
			return false;
		field->as = to;
		field->read = field->write = conv_time_of(to);
		field->ie = to;
		return true;
	}
	if (!conv_can_become(field->ie, to))
		return false;
	if (field->write < CONV_DELTA)
		field->write = conv_time_of(to);
	if (!ie_length_ok(to, field->length) || !conv_has_length(to))
		field->length = to->length;
	field->ie = to;
	return true;
}

/* One that is there may be what several fields shall become. */
static void
rename_fields(struct conv_layout *layout, const struct conv_rule *rule)
{
	unsigned n = 0, i = layout->scope_count;
	const struct ie *from = NULL;

	for (; i < layout->count && !from; i++)
		if (conv_rule_find(rule, layout->field[i].ie) >= 0)
			from = layout->field[i].ie;
	if (!from || from == rule->to || is_taken(layout, rule, rule->to, &n))
		return;
	for (i = layout->scope_count; i < layout->count; i++)
		if (layout->field[i].ie == from &&
		    !rename_field(&layout->field[i], rule->to))
			layout->kept[CONV_KEPT_OTHER]++;
}

static void
change_length(struct conv_layout *layout, const struct conv_rule *rule,
	      struct conv_field *field)
{
	uint16_t length = rule->length ? rule->length : field->ie->length;

	if (length == field->length)
		return;
	if (field->from < 0 || field->ie->unknown ||
	    !conv_has_length(field->ie) || !ie_length_ok(field->ie, length)) {
		layout->kept[CONV_KEPT_OTHER]++;
		return;
	}
	field->length = length;
}

static void
keep_no_init(struct conv_layout *layout, const struct ie *ie)
{
	if (!layout->kept[CONV_KEPT_NO_INIT]++)
		layout->first_kept = ie;
}

/* Field i, which may move. */
static void
change_time(struct making *m, const struct conv_rule *rule, unsigned *i)
{
	struct conv_layout *layout = m->layout;
	struct conv_field *field = &layout->field[*i];
	const struct ie *to;

	if (field->write == CONV_NO_TIME || field->write == rule->format)
		return;
	to = conv_time_sister(m->rules->registry, field->ie, rule->format);
	if (!to) {
		/* Of all times, not all have all formats. */
		layout->kept[CONV_KEPT_OTHER] += rule->match_count > 0;
		return;
	}
	if ((field->read == CONV_UPTIME || rule->format == CONV_UPTIME) &&
	    !m->has_init) {
		keep_no_init(layout, field->ie);
		return;
	}
	if (is_taken(layout, rule, to, i))
		return;
	field = &layout->field[*i];
	field->ie = to;
	field->length = to->length;
	field->write = rule->format;
}

/* ---- new fields ---------------------------------------------------------- */

static void
add_field(struct conv_layout *layout, const struct ie *ie, uint16_t length,
	  int from, const struct conv_rule *rule)
{
	layout->field[layout->count++] = (struct conv_field){
		.ie = ie,
		.length = length,
		.from = from,
		.as = ie,
		.read = CONV_NO_TIME,
		.write = CONV_NO_TIME,
		.rule = rule,
	};
}

static void
add_constant(struct conv_layout *layout, const struct conv_rule *rule)
{
	unsigned n = 0;

	if (!is_taken(layout, rule, rule->to, &n))
		add_field(layout, rule->to, rule->to->length, CONV_CONSTANT,
			  rule);
}

/* Times that count from it need it, where the record does not have it. */
static void
add_init(struct making *m, const struct conv_rule *rule)
{
	struct conv_layout *layout = m->layout;
	const struct ie *ie =
		ie_find(m->rules->registry, 0, IE_systemInitTimeMilliseconds);
	bool made = false;
	int from = m->own_init < 0 ? CONV_INIT : m->own_init;

	for (unsigned i = 0; i < layout->count; i++)
		made |= layout->field[i].read != CONV_UPTIME &&
			layout->field[i].write == CONV_UPTIME;
	if (rule->format == CONV_UPTIME && made && find_field(layout, ie) < 0)
		add_field(layout, ie, ie->length, from, NULL);
}

/* ---- all of them --------------------------------------------------------- */

static void
apply(struct making *m, const struct conv_rule *rule)
{
	struct conv_layout *layout = m->layout;

	switch (rule->kind) {
	case CONVERSION_KEEP:
	case CONVERSION_DROP:
		select_fields(layout, rule);
		return;
	case CONVERSION_FIRST:
	case CONVERSION_LAST:
		move_fields(m, rule);
		return;
	case CONVERSION_RENAME:
		rename_fields(layout, rule);
		return;
	case CONVERSION_CONSTANT:
		add_constant(layout, rule);
		return;
	default:
		break;
	}
	for (unsigned i = layout->scope_count; i < layout->count; i++) {
		if (conv_rule_find(rule, layout->field[i].ie) < 0)
			continue;
		if (rule->kind == CONVERSION_TIME)
			change_time(m, rule, &i);
		else
			change_length(layout, rule, &layout->field[i]);
	}
	if (rule->kind == CONVERSION_TIME)
		add_init(m, rule);
}

static void
fill(struct making *m)
{
	const struct shape *shape = m->shape;
	struct conv_layout *layout = m->layout;
	int init = shape_find(shape, 0, IE_systemInitTimeMilliseconds, 0);

	for (uint16_t i = 0; i < shape->count; i++) {
		const struct ie *ie = shape->field[i].ie;

		layout->field[i] = (struct conv_field){
			.ie = ie,
			.length = shape->field[i].length,
			.mark = shape_mark(shape, i),
			.from = i,
			.as = ie,
			.read = conv_time_of(ie),
			.write = conv_time_of(ie),
		};
	}
	layout->count = shape->count;
	layout->scope_count = shape->scope_count;
	m->own_init = init >= 0 && shape->field[init].length == 8 ? init : -1;
	m->has_init |= m->own_init >= 0;
}

int
conv_layout_make(const struct conv_rules *rules, const struct shape *shape,
		 bool has_init, struct conv_layout *layout)
{
	/* Each rule adds one field at most. */
	unsigned room = shape->count + rules->count;
	struct making m = {
		.rules = rules,
		.shape = shape,
		.has_init = has_init,
		.layout = layout,
		.spare = calloc(room, sizeof(*m.spare)),
	};

	*layout = (struct conv_layout){
		.field = calloc(room, sizeof(*layout->field))};
	if (!m.spare || !layout->field) {
		free(m.spare);
		return -ENOMEM;
	}
	fill(&m);
	if (shape->scope_count == 0 || rules->options)
		for (unsigned i = 0; i < rules->count; i++)
			apply(&m, &rules->rule[i]);
	free(m.spare);
	return 0;
}

void
conv_layout_fini(struct conv_layout *layout)
{
	free(layout->field);
	layout->field = NULL;
}
