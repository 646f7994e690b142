/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * SET, as one step. RFC 3416 wants all values of a SET to take effect at once
 * or none, whatever their order, so they are collected first and applied to
 * copies of the rows (drafts); when the drafts make sense together they replace
 * the rows. What RFC 2720 and RFC 2579 say about each row is in check_*().
 *
 * Where RFC 2720 names an error we give it: notWritable for what belongs to an
 * active rule set. Elsewhere RFC 2579's: inconsistentName for a column of a row
 * that nobody makes, inconsistentValue for a state that cannot be entered or a
 * column that must not change while the row is active.
 */
#include <stdlib.h>
#include <string.h>

#include "../attribute.h"
#include "control.h"

enum {
	/* Columns that the text below names. */
	RULE_SET_SIZE = 2,
	RULE_SET_OWNER = 3,
	RULE_SET_STATUS = 5,
	RULE_SET_NAME = 6,
	RULE_SET_READY = 7,
	READER_TIMEOUT = 2,
	READER_OWNER = 3,
	READER_LAST_TIME = 4,
	READER_STATUS = 6,
	READER_RULE_SET = 7,
	MANAGER_CURRENT = 2,
	MANAGER_STANDBY = 3,
	MANAGER_HIGH_WATER_MARK = 4,
	MANAGER_COUNTER_WRAP = 5,
	MANAGER_OWNER = 6,
	MANAGER_STATUS = 8,
	MANAGER_RUNNING_STANDBY = 9,
	SCALAR_FLOOD_MARK = 5,
	SCALAR_INACTIVITY_TIMEOUT = 6,
	SCALAR_FLOOD_MODE = 9,
	RULE_SELECTOR = 3,
	RULE_MASK = 4,
	RULE_VALUE = 5,
	RULE_ACTION = 6,

	TRUE = 1,
};

struct item {
	enum control_table table;
	unsigned sub_id;
	struct control_row row;
	uint64_t number;
	struct owner octets;
};

struct scalars {
	uint32_t flood_mark;
	uint32_t inactivity_timeout;
	bool flood_mode;
};

struct draft {
	enum control_table table;
	struct control_row row;
	bool existed;
	bool pass_begins;   /* LastTime was written */
	uint8_t was;	    /* row status before, 0: did not exist */
	uint8_t asked;	    /* row status written, 0: none */
	size_t status_item; /* that wrote it */
	size_t item;	    /* first that touched the row */
	union {
		struct rule_set rule_set;
		struct interface_row interface;
		struct reader_row reader;
		struct manager_row manager;
		struct scalars scalars;
		struct rule rule;
	} u;
};

struct change {
	struct meter *meter;
	bool rfc2064;
	struct item *item;
	size_t items;
	size_t item_room;
	struct draft *draft;
	size_t drafts;
	size_t draft_room;
};

struct change *
change_new(struct meter *meter, bool rfc2064)
{
	struct change *change = calloc(1, sizeof(*change));

	if (change) {
		change->meter = meter;
		change->rfc2064 = rfc2064;
	}
	return change;
}

void
change_free(struct change *change)
{
	if (!change)
		return;
	free(change->item);
	free(change->draft);
	free(change);
}

/* Returns room for one more element, growing the array, or NULL. */
static void *
one_more(void **array, size_t *count, size_t *room, size_t size)
{
	void *more;

	if (*count == *room) {
		size_t want = *room ? *room * 2 : 16;

		more = realloc(*array, want * size);
		if (!more)
			return NULL;
		*array = more;
		*room = want;
	}
	more = (char *)*array + (*count)++ * size;
	memset(more, 0, size);
	return more;
}

static unsigned
status_column(enum control_table table)
{
	switch (table) {
	case CONTROL_RULE_SET:
		return RULE_SET_STATUS;
	case CONTROL_READER:
		return READER_STATUS;
	case CONTROL_MANAGER:
		return MANAGER_STATUS;
	default:
		return 0;
	}
}

enum change_error
change_add(struct change *change, enum control_table table, unsigned sub_id,
	   struct control_row row, const struct value *value)
{
	const struct control_column *column = control_column(table, sub_id);
	const struct attribute *a;
	struct item *item;
	unsigned access;

	if (!column)
		return CHANGE_NO_CREATION;
	access = change->rfc2064 ? column->old_access : column->access;
	if (access < CONTROL_WRITE)
		return CHANGE_NOT_WRITABLE;
	if (value->type != column->type)
		return CHANGE_WRONG_TYPE;
	if (value->type == VALUE_OCTETS) {
		if (value->length < column->min || value->length > column->max)
			return CHANGE_WRONG_LENGTH;
	} else if (value->number < column->min || value->number > column->max) {
		return CHANGE_WRONG_VALUE;
	}
	if (sub_id == status_column(table) && value->number == ROW_NOT_READY)
		return CHANGE_WRONG_VALUE;
	if (table == CONTROL_RULE && sub_id == RULE_SELECTOR) {
		a = attribute_find((unsigned)value->number);
		if (!a || !a->testable)
			return CHANGE_WRONG_VALUE;
	}
	item = one_more((void **)&change->item, &change->items,
			&change->item_room, sizeof(*item));
	if (!item)
		return CHANGE_RESOURCE_UNAVAILABLE;
	item->table = table;
	item->sub_id = sub_id;
	item->row = row;
	item->number = value->number;
	if (value->type == VALUE_OCTETS) {
		item->octets.length = (uint8_t)value->length;
		memcpy(item->octets.octets, value->octets, value->length);
	}
	return CHANGE_OK;
}

static struct draft *
find_draft(const struct change *change, enum control_table table, uint32_t a,
	   uint32_t b)
{
	for (size_t i = 0; i < change->drafts; i++)
		if (change->draft[i].table == table &&
		    change->draft[i].row.a == a && change->draft[i].row.b == b)
			return &change->draft[i];
	return NULL;
}

/* Copies what is there into a draft; a row still to be made gets defaults. */
static void
load_draft(const struct meter *meter, struct draft *draft)
{
	uint32_t a = draft->row.a;

	draft->existed = control_row_exists(meter, draft->table, draft->row);
	switch (draft->table) {
	case CONTROL_RULE_SET:
		if (draft->existed)
			draft->u.rule_set = *rule_store_find(meter->rules, a);
		draft->was = draft->u.rule_set.status;
		break;
	case CONTROL_INTERFACE:
		if (draft->existed)
			draft->u.interface = *meter_interface(meter, a);
		break;
	case CONTROL_READER:
		if (draft->existed)
			draft->u.reader = *meter_reader(meter, a);
		draft->was = draft->u.reader.status;
		draft->u.reader.index = a;
		break;
	case CONTROL_MANAGER:
		draft->u.manager.counter_wrap = 1;
		if (draft->existed)
			draft->u.manager = *meter_manager(meter, a);
		draft->was = draft->u.manager.status;
		draft->u.manager.index = a;
		break;
	case CONTROL_RULE:
		draft->u.rule.mask_length = draft->u.rule.value_length = 2;
		if (draft->existed)
			draft->u.rule =
				*rule_store_rule(meter->rules, a, draft->row.b);
		break;
	default:
		draft->u.scalars = (struct scalars){meter->flood_mark,
						    meter->inactivity_timeout,
						    meter->flood_mode};
	}
}

static struct draft *
open_draft(struct change *change, size_t at)
{
	const struct item *item = &change->item[at];
	struct draft *draft =
		find_draft(change, item->table, item->row.a, item->row.b);

	if (draft)
		return draft;
	draft = one_more((void **)&change->draft, &change->drafts,
			 &change->draft_room, sizeof(*draft));
	if (!draft)
		return NULL;
	draft->table = item->table;
	draft->row = item->row;
	draft->item = at;
	load_draft(change->meter, draft);
	return draft;
}

/* A row status that was written, against what the row is now (RFC 2579). */
static enum change_error
ask_status(struct change *change, size_t at)
{
	const struct item *item = &change->item[at];
	struct draft *draft;
	bool create = item->number == ROW_CREATE_AND_GO ||
		      item->number == ROW_CREATE_AND_WAIT;

	if (item->row.a == 0 || item->row.a > INT32_MAX || item->row.b)
		return CHANGE_NO_CREATION;
	if (item->table == CONTROL_RULE_SET) {
		if (item->row.a == RULE_SET_DEFAULT)
			return CHANGE_NOT_WRITABLE;
		if (item->row.a > RULE_SET_MAX)
			return CHANGE_NO_CREATION;
	}
	draft = open_draft(change, at);
	if (!draft)
		return CHANGE_RESOURCE_UNAVAILABLE;
	if (item->number != ROW_DESTROY && create == draft->existed)
		return CHANGE_INCONSISTENT_VALUE;
	draft->asked = (uint8_t)item->number;
	draft->status_item = at;
	return CHANGE_OK;
}

static enum change_error
apply_rule_set(struct draft *draft, const struct item *item)
{
	struct rule_set *set = &draft->u.rule_set;

	if (draft->was == ROW_ACTIVE)
		return CHANGE_NOT_WRITABLE;
	switch (item->sub_id) {
	case RULE_SET_SIZE:
		set->size = (uint32_t)item->number;
		break;
	case RULE_SET_OWNER:
		set->owner = item->octets;
		set->owner_set = true;
		break;
	case RULE_SET_NAME:
		set->name = item->octets;
		break;
	case RULE_SET_READY:
		set->rules_ready = item->number == TRUE;
		break;
	}
	return CHANGE_OK;
}

static enum change_error
apply_reader(struct draft *draft, const struct item *item)
{
	struct reader_row *reader = &draft->u.reader;

	if (draft->was == ROW_ACTIVE && item->sub_id != READER_TIMEOUT &&
	    item->sub_id != READER_LAST_TIME)
		return CHANGE_INCONSISTENT_VALUE;
	switch (item->sub_id) {
	case READER_TIMEOUT:
		reader->timeout = (uint32_t)item->number;
		break;
	case READER_OWNER:
		reader->owner = item->octets;
		break;
	case READER_LAST_TIME:
		draft->pass_begins = true;
		break;
	case READER_RULE_SET:
		reader->rule_set = (uint32_t)item->number;
		break;
	}
	return CHANGE_OK;
}

static enum change_error
apply_manager(struct draft *draft, const struct item *item)
{
	struct manager_row *task = &draft->u.manager;

	if (draft->was == ROW_ACTIVE && (item->sub_id == MANAGER_COUNTER_WRAP ||
					 item->sub_id == MANAGER_OWNER))
		return CHANGE_INCONSISTENT_VALUE;
	switch (item->sub_id) {
	case MANAGER_CURRENT:
		task->current = (uint32_t)item->number;
		break;
	case MANAGER_STANDBY:
		task->standby = (uint32_t)item->number;
		break;
	case MANAGER_HIGH_WATER_MARK:
		task->high_water_mark = (uint32_t)item->number;
		break;
	case MANAGER_COUNTER_WRAP:
		task->counter_wrap = (uint8_t)item->number;
		break;
	case MANAGER_OWNER:
		task->owner = item->octets;
		break;
	case MANAGER_RUNNING_STANDBY:
		/* To begin with it is for the meter. */
		if (item->number == TRUE && !task->running_standby)
			return CHANGE_INCONSISTENT_VALUE;
		task->running_standby = item->number == TRUE;
		break;
	}
	return CHANGE_OK;
}

static enum change_error
apply_scalar(struct draft *draft, const struct item *item)
{
	struct scalars *scalars = &draft->u.scalars;

	switch (item->sub_id) {
	case SCALAR_FLOOD_MARK:
		scalars->flood_mark = (uint32_t)item->number;
		break;
	case SCALAR_INACTIVITY_TIMEOUT:
		scalars->inactivity_timeout = (uint32_t)item->number;
		break;
	case SCALAR_FLOOD_MODE:
		if (item->number == TRUE && !scalars->flood_mode)
			return CHANGE_INCONSISTENT_VALUE;
		scalars->flood_mode = item->number == TRUE;
		break;
	}
	return CHANGE_OK;
}

static void
apply_rule(struct draft *draft, const struct item *item)
{
	struct rule *rule = &draft->u.rule;
	const struct owner *octets = &item->octets;

	switch (item->sub_id) {
	case RULE_SELECTOR:
		rule->selector = (uint8_t)item->number;
		break;
	case RULE_MASK:
		memset(rule->mask, 0, sizeof(rule->mask));
		memcpy(rule->mask, octets->octets, octets->length);
		rule->mask_length = octets->length;
		break;
	case RULE_VALUE:
		memset(rule->value, 0, sizeof(rule->value));
		memcpy(rule->value, octets->octets, octets->length);
		rule->value_length = octets->length;
		break;
	case RULE_ACTION:
		rule->action = (uint8_t)item->number;
		break;
	default:
		rule->parameter = (uint16_t)item->number;
	}
}

/* The row of a rule set as it will be, or NULL. */
static const struct rule_set *
future_rule_set(const struct change *change, uint32_t number)
{
	const struct draft *draft =
		find_draft(change, CONTROL_RULE_SET, number, 0);

	if (!draft)
		return rule_store_find(change->meter->rules, number);
	return draft->asked == ROW_DESTROY || (!draft->existed && !draft->asked)
		       ? NULL
		       : &draft->u.rule_set;
}

/* A rule has a row if its rule set has that many, which is not active yet. */
static enum change_error
open_rule(struct change *change, size_t at)
{
	const struct control_row row = change->item[at].row;
	const struct rule_set *now =
		rule_store_find(change->meter->rules, row.a);
	const struct rule_set *set = future_rule_set(change, row.a);

	if (row.a == 0 || row.a > RULE_SET_MAX || row.b == 0)
		return CHANGE_NO_CREATION;
	if (now && now->status == ROW_ACTIVE)
		return CHANGE_NOT_WRITABLE;
	if (!set || row.b > set->size)
		return CHANGE_INCONSISTENT_NAME;
	return open_draft(change, at) ? CHANGE_OK : CHANGE_RESOURCE_UNAVAILABLE;
}

static enum change_error
apply(struct change *change, size_t at)
{
	const struct item *item = &change->item[at];
	struct draft *draft;
	enum change_error err;

	if (item->table == CONTROL_RULE) {
		err = open_rule(change, at);
		if (!err)
			apply_rule(find_draft(change, CONTROL_RULE, item->row.a,
					      item->row.b),
				   item);
		return err;
	}
	if (item->table == CONTROL_RULE_SET && item->row.a == RULE_SET_DEFAULT)
		return CHANGE_NOT_WRITABLE;
	draft = open_draft(change, at);
	if (!draft)
		return CHANGE_RESOURCE_UNAVAILABLE;
	if (!draft->existed && !draft->asked)
		return status_column(item->table) && item->row.a &&
				       item->row.a <= INT32_MAX && !item->row.b
			       ? CHANGE_INCONSISTENT_NAME
			       : CHANGE_NO_CREATION;
	switch (item->table) {
	case CONTROL_RULE_SET:
		return apply_rule_set(draft, item);
	case CONTROL_READER:
		return apply_reader(draft, item);
	case CONTROL_MANAGER:
		return apply_manager(draft, item);
	case CONTROL_INTERFACE:
		draft->u.interface.sample_rate = (uint32_t)item->number;
		return CHANGE_OK;
	default:
		return apply_scalar(draft, item);
	}
}

/* Whether a draft, if nothing is against it, will be active. */
static bool
wants_active(const struct draft *draft)
{
	return draft->asked == ROW_ACTIVE ||
	       draft->asked == ROW_CREATE_AND_GO ||
	       (!draft->asked && draft->was == ROW_ACTIVE);
}

/* All rules of a set as they will be are ones that could be executed. */
static bool
rules_complete(const struct change *change, uint32_t number, uint32_t size)
{
	for (uint32_t i = 1; i <= size; i++) {
		const struct rule *rule =
			rule_store_rule(change->meter->rules, number, i);
		const struct draft *draft =
			change->items > 1
				? find_draft(change, CONTROL_RULE, number, i)
				: NULL;

		if (draft)
			rule = &draft->u.rule;
		if (!rule || !rule_check(rule, size))
			return false;
	}
	return size > 0;
}

static enum change_error
check_rule_set(const struct change *change, struct draft *draft, uint32_t *room)
{
	const struct meter *meter = change->meter;
	struct rule_set *set = &draft->u.rule_set;
	const struct rule_set *old =
		rule_store_find(meter->rules, draft->row.a);
	uint32_t old_size = old ? old->size : 0;

	if (draft->was == ROW_ACTIVE && !wants_active(draft) &&
	    meter_refers(meter, draft->row.a))
		return CHANGE_INCONSISTENT_VALUE;
	if (draft->asked == ROW_DESTROY)
		return CHANGE_OK;
	if (set->size > old_size) {
		if (set->size - old_size > *room)
			return CHANGE_RESOURCE_UNAVAILABLE;
		*room -= set->size - old_size;
	}
	if (wants_active(draft)) {
		if (draft->was != ROW_ACTIVE &&
		    (!set->owner_set ||
		     !rules_complete(change, draft->row.a, set->size)))
			return CHANGE_INCONSISTENT_VALUE;
		set->status = ROW_ACTIVE;
		set->rules_ready = true;
	} else {
		set->status = ROW_NOT_IN_SERVICE;
	}
	if (!(draft->was == ROW_ACTIVE && set->status == ROW_ACTIVE))
		set->time_stamp = (uint32_t)meter->uptime;
	return CHANGE_OK;
}

static enum change_error
check_reader(const struct change *change, struct draft *draft)
{
	struct reader_row *reader = &draft->u.reader;
	bool complete = reader->rule_set != 0 || change->rfc2064;

	if (draft->asked == ROW_DESTROY)
		return CHANGE_OK;
	if (wants_active(draft)) {
		/* Later on the rule set may well be destroyed before us. */
		if (draft->was != ROW_ACTIVE && !change->rfc2064 &&
		    !(complete && future_rule_set(change, reader->rule_set)))
			return CHANGE_INCONSISTENT_VALUE;
		reader->status = ROW_ACTIVE;
	} else {
		if (draft->asked == ROW_NOT_IN_SERVICE && !complete)
			return CHANGE_INCONSISTENT_VALUE;
		reader->status = complete ? ROW_NOT_IN_SERVICE : ROW_NOT_READY;
	}
	if (draft->pass_begins) {
		reader->previous_time = reader->last_time;
		reader->last_time = (uint32_t)change->meter->uptime;
	}
	if (draft->pass_begins || draft->was != ROW_ACTIVE)
		reader->seen_ms = change->meter->now_ms;
	return CHANGE_OK;
}

static bool
can_run(const struct change *change, uint32_t number)
{
	const struct rule_set *set;

	if (number == 0)
		return true;
	set = future_rule_set(change, number);
	return set && set->status == ROW_ACTIVE;
}

static enum change_error
check_manager(const struct change *change, struct draft *draft)
{
	struct manager_row *task = &draft->u.manager;
	const struct manager_row *old =
		meter_manager(change->meter, draft->row.a);

	if (draft->asked == ROW_DESTROY)
		return CHANGE_OK;
	task->status = wants_active(draft) ? ROW_ACTIVE : ROW_NOT_IN_SERVICE;
	if (task->status == ROW_ACTIVE && (!can_run(change, task->current) ||
					   !can_run(change, task->standby)))
		return CHANGE_INCONSISTENT_VALUE;
	/* The new current rule set starts at once. */
	if (old && old->current != task->current)
		task->running_standby = false;
	task->time_stamp = (uint32_t)change->meter->uptime;
	return CHANGE_OK;
}

static unsigned
rows_used(const struct meter *meter, enum control_table table)
{
	unsigned used = 0;

	for (unsigned i = 0; i < METER_ROWS; i++)
		used += table == CONTROL_READER ? meter->reader[i].index != 0
						: meter->manager[i].index != 0;
	return used;
}

static enum change_error
check_drafts(struct change *change, enum control_table table, size_t *item)
{
	uint32_t room = rule_store_room(change->meter->rules);
	unsigned rows = rows_used(change->meter, table);

	for (size_t i = 0; i < change->drafts; i++) {
		struct draft *draft = &change->draft[i];
		enum change_error err = CHANGE_OK;

		if (draft->table != table)
			continue;
		*item = draft->asked ? draft->status_item : draft->item;
		if (table == CONTROL_RULE_SET)
			err = check_rule_set(change, draft, &room);
		else if (table == CONTROL_READER)
			err = check_reader(change, draft);
		else
			err = check_manager(change, draft);
		if (!err && table != CONTROL_RULE_SET && !draft->existed &&
		    draft->asked != ROW_DESTROY && ++rows > METER_ROWS)
			err = CHANGE_RESOURCE_UNAVAILABLE;
		if (err)
			return err;
	}
	return CHANGE_OK;
}

enum change_error
change_check(struct change *change, size_t *item)
{
	enum change_error err = CHANGE_OK;

	change->drafts = 0;
	for (*item = 0; *item < change->items; ++*item) {
		const struct item *i = &change->item[*item];

		if (status_column(i->table) != i->sub_id)
			continue;
		err = ask_status(change, *item);
		if (err)
			return err;
	}
	/* Rules come last: a Size in the same SET makes their rows. */
	for (unsigned rules = 0; rules < 2; rules++)
		for (*item = 0; *item < change->items; ++*item) {
			const struct item *i = &change->item[*item];

			if (status_column(i->table) == i->sub_id ||
			    (i->table == CONTROL_RULE) != rules)
				continue;
			err = apply(change, *item);
			if (err)
				return err;
		}
	err = check_drafts(change, CONTROL_RULE_SET, item);
	if (!err)
		err = check_drafts(change, CONTROL_READER, item);
	if (!err)
		err = check_drafts(change, CONTROL_MANAGER, item);
	return err;
}

static void
commit_reader(struct meter *meter, const struct draft *draft)
{
	struct reader_row *row = meter_reader(meter, draft->row.a);

	if (draft->asked == ROW_DESTROY) {
		if (row)
			row->index = 0;
		return;
	}
	for (unsigned i = 0; !row && i < METER_ROWS; i++)
		if (!meter->reader[i].index)
			row = &meter->reader[i];
	if (row)
		*row = draft->u.reader;
}

static void
commit_manager(struct meter *meter, const struct draft *draft)
{
	struct manager_row *row = meter_manager(meter, draft->row.a);

	if (draft->asked == ROW_DESTROY) {
		if (row)
			row->index = 0;
		return;
	}
	for (unsigned i = 0; !row && i < METER_ROWS; i++)
		if (!meter->manager[i].index)
			row = &meter->manager[i];
	if (row)
		*row = draft->u.manager;
}

static void
commit_rule(struct meter *meter, const struct draft *draft)
{
	struct rule *rule =
		rule_store_rule(meter->rules, draft->row.a, draft->row.b);
	struct rule_set *set = rule_store_find(meter->rules, draft->row.a);

	if (rule) {
		*rule = draft->u.rule;
		set->time_stamp = (uint32_t)meter->uptime;
	}
}

static void
commit_draft(struct meter *meter, const struct draft *draft)
{
	const struct scalars *scalars = &draft->u.scalars;

	switch (draft->table) {
	case CONTROL_RULE_SET:
		if (draft->asked == ROW_DESTROY && draft->existed)
			meter_rule_set_remove(meter, draft->row.a);
		break;
	case CONTROL_RULE:
		commit_rule(meter, draft);
		break;
	case CONTROL_READER:
		commit_reader(meter, draft);
		break;
	case CONTROL_MANAGER:
		commit_manager(meter, draft);
		break;
	case CONTROL_INTERFACE:
		meter_interface(meter, draft->row.a)->sample_rate =
			draft->u.interface.sample_rate;
		break;
	default:
		meter->flood_mark = scalars->flood_mark;
		meter->inactivity_timeout = scalars->inactivity_timeout;
		meter->flood_mode = scalars->flood_mode;
	}
}

enum change_error
change_commit(struct change *change)
{
	struct meter *meter = change->meter;

	/* What may need memory comes first. */
	for (size_t i = 0; i < change->drafts; i++) {
		const struct draft *draft = &change->draft[i];

		if (draft->table == CONTROL_RULE_SET &&
		    draft->asked != ROW_DESTROY &&
		    rule_store_put(meter->rules, draft->row.a,
				   &draft->u.rule_set))
			return CHANGE_COMMIT_FAILED;
	}
	for (size_t i = 0; i < change->drafts; i++)
		commit_draft(meter, &change->draft[i]);
	meter_update(meter);
	return CHANGE_OK;
}
