/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The manager (RFC 2720 flowRuleSetInfoTable, flowManagerInfoTable): keeps our
 * rule set in the meter and a task that runs it. Looked after at the first
 * round, every keepAlive seconds, and when a scan misses the rule set.
 *
 * One look: read the scalars and say what changed; set flood mark and
 * inactivity timeout if they differ; find our rule sets by name and owner and
 * load what is missing; find our task by its owner, make it or point it at the
 * rule set; destroy what we had under our name before.
 *
 * Loading: createAndWait in a free slot; Size (which makes the rules), Owner,
 * Name; the rules, several to a SET, each of which may be repeated; active. A
 * set of our name that was there before us is read, and counts as loaded if it
 * is active and has the rules of the file; else it is loaded anew, and the old
 * one destroyed after the task has left it.
 *
 * RunningStandby and FloodMode are the meter's to set and ours to report; to
 * go back is for the operator, who knows whether there is room again.
 */
#include <errno.h>
#include <stdlib.h>

#include "conflux/clock.h"
#include "meter_pdu.h"
#include "meter_rules.h"
#include "reader.h"

enum {
	SLOT_FIRST = 2, /* 1 is the default rule set */
	RULES_PER_SET = 8,
	RULES_PER_GET = 6,
	OCTETS_PER_RULE = 5 * 22 + 2 * RULE_ADDRESS_MAX, /* names, values */
	OBSOLETE_MAX = 8,
};

struct managed {
	struct meter_rules rules;
	char name[NAME_MAX_OCTETS + 1];
	uint32_t index; /* of the rule set in the meter; 0: not there */
	bool used;
	bool checked; /* the meter has these very rules */
};

struct meter_manager {
	struct managed current, standby;
	struct managed *loading;
	unsigned rule; /* the next one to send */
	unsigned rules_per_set;
	uint64_t due_ms;
	uint32_t task; /* row of flowManagerInfoTable */
	uint32_t task_current, task_standby;
	uint8_t slots[32]; /* bit per rule set that is there */
	uint8_t tasks[32];
	uint32_t obsolete[OBSOLETE_MAX];
	unsigned obsolete_count;

	/* As last seen, for reports. */
	bool running_standby, flood_mode;
	uint64_t active_flows, lost_packets, lost_now;
	uint64_t loads;
};

static const oid rule_info[] = {OID_RULE_INFO};
static const oid rule_entry[] = {OID_RULE};
static const oid manager_entry[] = {OID_MANAGER};
static const oid flood_mark[] = {OID_FLOOD_MARK};
static const oid inactivity_timeout[] = {OID_INACTIVITY_TIMEOUT};
static const oid active_flows[] = {OID_ACTIVE_FLOWS};
static const oid flood_mode[] = {OID_FLOOD_MODE};

static void load_next(struct meter_reader *reader);
static void check_next(struct meter_reader *reader);
static void rules_send(struct meter_reader *reader);
static void task_check(struct meter_reader *reader);
static void obsolete_next(struct meter_reader *reader);

int
meter_manager_new(struct meter_reader *reader)
{
	const struct meter_manage_conf *conf = &reader->conf.manage;
	struct meter_manager *manager = calloc(1, sizeof(*manager));
	int err;

	if (!manager)
		return -ENOMEM;
	reader->manager = manager;
	err = meter_rules_read(conf->rule_set_file, &manager->current.rules);
	if (err)
		return err;
	manager->current.used = true;
	snprintf(manager->current.name, sizeof(manager->current.name), "%s",
		 conf->rule_set_name);
	if (!conf->standby_rule_set_file)
		return 0;
	manager->standby.used = true;
	snprintf(manager->standby.name, sizeof(manager->standby.name),
		 "%s standby", conf->rule_set_name);
	return meter_rules_read(conf->standby_rule_set_file,
				&manager->standby.rules);
}

void
meter_manager_free(struct meter_manager *manager)
{
	if (!manager)
		return;
	meter_rules_fini(&manager->current.rules);
	meter_rules_fini(&manager->standby.rules);
	free(manager);
}

bool
meter_manager_named(const struct meter_manager *manager, const char *name)
{
	return strcmp(name, manager->current.name) == 0 ||
	       (manager->standby.used &&
		strcmp(name, manager->standby.name) == 0);
}

bool
meter_manager_due(const struct meter_reader *reader)
{
	return reader->manager && !reader->rfc2064 && !reader->stopping &&
	       clock_mono_ms() >= reader->manager->due_ms;
}

bool
meter_manager_misses(const struct meter_reader *reader)
{
	const struct meter_manager *manager = reader->manager;

	if (!manager || reader->rfc2064 || reader->stopping)
		return false;
	for (unsigned i = SLOT_FIRST; i <= RULE_SETS_MAX; i++) {
		const struct meter_rule_set *set = reader->set[i];

		if (set && set->seen && i == manager->current.index)
			return false;
	}
	/* A rule set that is not asked for is not seen either. */
	return manager->current.index == 0 || !reader->conf.rule_set_count;
}

static void
manage_end(struct meter_reader *reader)
{
	uint64_t every = (uint64_t)reader->conf.manage.keep_alive * 1000;

	reader->manager->due_ms = every ? clock_mono_ms() + every :
					  UINT64_MAX;
	meter_reader_next(reader);
}

/* What the meter refuses to a manager does not stop the reader. */
static void
manage_refused(struct meter_reader *reader, const char *what, long error)
{
	meter_reader_log(reader, LOG_LEVEL_WARNING,
			 "does not let us manage it: %s: %s", what,
			 snmp_errstring((int)error));
	manage_end(reader);
}

static netsnmp_pdu *
set_number(const oid *entry, size_t length, unsigned column, uint32_t index,
	   long number)
{
	netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_SET);

	pdu_put_number(pdu, pdu_name(entry, length, column, index),
		       ASN_INTEGER, number);
	return pdu;
}

#define SET_NUMBER(entry, column, index, number) \
	set_number(entry, OID_COUNT(entry), column, index, number)

/* Rule sets of ours that nobody needs, after the task left them. */
static void
obsolete_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;

	if (!meter_reader_lost(reader, reply))
		obsolete_next(reader);
}

static void
obsolete_next(struct meter_reader *reader)
{
	struct meter_manager *manager = reader->manager;

	if (!manager->obsolete_count) {
		manage_end(reader);
		return;
	}
	meter_reader_send(
		reader,
		SET_NUMBER(rule_info, RULE_INFO_STATUS,
			   manager->obsolete[--manager->obsolete_count],
			   ROW_DESTROY),
		SNMP_WRITE, obsolete_answer);
}

static void
task_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;

	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error) {
		manage_refused(reader, "the task is not set", reply->error);
		return;
	}
	meter_reader_log(reader, LOG_LEVEL_NOTICE, "runs rule set %u",
			 reader->manager->current.index);
	obsolete_next(reader);
}

static void
put_task(struct meter_reader *reader, netsnmp_pdu *pdu)
{
	struct meter_manager *manager = reader->manager;
	uint32_t task = manager->task;

	pdu_put_number(pdu, PDU_NAME(manager_entry, MANAGER_CURRENT, task),
		       ASN_INTEGER, (long)manager->current.index);
	pdu_put_number(pdu, PDU_NAME(manager_entry, MANAGER_STANDBY, task),
		       ASN_INTEGER, (long)manager->standby.index);
	pdu_put_number(pdu, PDU_NAME(manager_entry, MANAGER_HIGH_WATER_MARK,
				     task),
		       ASN_INTEGER, reader->conf.manage.high_water_mark);
}

static void
task_columns_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;

	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error) {
		manage_refused(reader, "no task is made", reply->error);
		return;
	}
	meter_reader_send(reader,
			  SET_NUMBER(manager_entry, MANAGER_STATUS,
				     reader->manager->task, ROW_ACTIVE),
			  SNMP_WRITE, task_answer);
}

static void
task_wait_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	netsnmp_pdu *pdu;

	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error) {
		manage_refused(reader, "no task is made", reply->error);
		return;
	}
	pdu = snmp_pdu_create(SNMP_MSG_SET);
	put_task(reader, pdu);
	pdu_put_octets(pdu, PDU_NAME(manager_entry, MANAGER_OWNER,
				     reader->manager->task),
		       reader->conf.owner, strlen(reader->conf.owner));
	meter_reader_send(reader, pdu, SNMP_WRITE, task_columns_answer);
}

static void
task_row(struct meter_reader *reader, uint32_t index,
	 netsnmp_variable_list *const variable[])
{
	struct meter_manager *manager = reader->manager;
	const netsnmp_variable_list *owner = variable[0];
	uint64_t current = 0, standby = 0, running = 0;

	if (index < 256)
		manager->tasks[index / 8] |= (uint8_t)(1u << index % 8);
	if (owner->type != ASN_OCTET_STR || manager->task ||
	    owner->val_len != strlen(reader->conf.owner) ||
	    memcmp(owner->val.string, reader->conf.owner, owner->val_len) != 0)
		return;
	manager->task = index;
	if (variable[1])
		variable_number(variable[1], &current);
	if (variable[2])
		variable_number(variable[2], &standby);
	if (variable[3])
		variable_number(variable[3], &running);
	manager->task_current = (uint32_t)current;
	manager->task_standby = (uint32_t)standby;
	if ((running == 1) != manager->running_standby)
		meter_reader_log(reader, LOG_LEVEL_WARNING,
				 running == 1 ?
				 "is above its high water mark and runs the "
				 "standby rule set" :
				 "runs the rule set again, not the standby");
	manager->running_standby = running == 1;
}

static void
tasks_done(struct meter_reader *reader)
{
	struct meter_manager *manager = reader->manager;
	netsnmp_pdu *pdu;

	if (manager->task &&
	    manager->task_current == manager->current.index &&
	    manager->task_standby == manager->standby.index) {
		obsolete_next(reader);
		return;
	}
	if (manager->task) {
		pdu = snmp_pdu_create(SNMP_MSG_SET);
		put_task(reader, pdu);
		meter_reader_send(reader, pdu, SNMP_WRITE, task_answer);
		return;
	}
	manager->task = 1;
	while (manager->task < 255 && manager->tasks[manager->task / 8] >>
						(manager->task % 8) & 1)
		manager->task++;
	meter_reader_send(reader,
			  SET_NUMBER(manager_entry, MANAGER_STATUS,
				     manager->task, ROW_CREATE_AND_WAIT),
			  SNMP_WRITE, task_wait_answer);
}

static void
task_check(struct meter_reader *reader)
{
	struct meter_manager *manager = reader->manager;
	struct meter_walk *walk = &reader->walk;

	manager->task = 0;
	memset(manager->tasks, 0, sizeof(manager->tasks));
	memcpy(walk->entry, manager_entry, sizeof(manager_entry));
	walk->entry_length = OID_COUNT(manager_entry);
	walk->column[0] = MANAGER_OWNER;
	walk->column[1] = MANAGER_CURRENT;
	walk->column[2] = MANAGER_STANDBY;
	walk->column[3] = MANAGER_RUNNING_STANDBY;
	walk->columns = 4;
	walk->row = task_row;
	walk->done = tasks_done;
	meter_walk_begin(reader);
}

static void
active_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	struct meter_manager *manager = reader->manager;

	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error) {
		manager->loading->index = 0;
		manage_refused(reader, "the rule set is not accepted",
			       reply->error);
		return;
	}
	manager->loads++;
	manager->loading->checked = true;
	meter_reader_log(reader, LOG_LEVEL_NOTICE,
			 "has rule set %s with %u rules as number %u",
			 manager->loading->name,
			 manager->loading->rules.count,
			 manager->loading->index);
	load_next(reader);
}

static void
rules_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	struct meter_manager *manager = reader->manager;

	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error == SNMP_ERR_TOOBIG && manager->rules_per_set > 1) {
		manager->rules_per_set /= 2;
		rules_send(reader);
		return;
	}
	if (reply->error) {
		manager->loading->index = 0;
		manage_refused(reader, "a rule is not accepted",
			       reply->error);
		return;
	}
	manager->rule += manager->rules_per_set;
	rules_send(reader);
}

static void
put_rule(netsnmp_pdu *pdu, uint32_t set, uint32_t index,
	 const struct meter_rule *rule)
{
	const size_t n = OID_COUNT(rule_entry);
	oid name[OID_COUNT(rule_entry) + 3];

	if (!pdu)
		return;
	memcpy(name, rule_entry, sizeof(rule_entry));
	name[n + 1] = set;
	name[n + 2] = index;
	for (unsigned column = RULE_SELECTOR; column <= RULE_PARAMETER;
	     column++) {
		long number = column == RULE_SELECTOR ? rule->selector :
			      column == RULE_ACTION ? rule->action :
						      rule->parameter;

		name[n] = column;
		if (column == RULE_MASK || column == RULE_MATCHED_VALUE)
			snmp_pdu_add_variable(
				pdu, name, n + 3, ASN_OCTET_STR,
				column == RULE_MASK ? rule->mask : rule->value,
				rule->length);
		else
			snmp_pdu_add_variable(pdu, name, n + 3, ASN_INTEGER,
					      &number, sizeof(number));
	}
}

static void
rules_send(struct meter_reader *reader)
{
	struct meter_manager *manager = reader->manager;
	const struct meter_rules *rules = &manager->loading->rules;
	netsnmp_pdu *pdu;

	if (manager->rule >= rules->count) {
		meter_reader_send(
			reader,
			SET_NUMBER(rule_info, RULE_INFO_STATUS,
				   manager->loading->index, ROW_ACTIVE),
			SNMP_WRITE, active_answer);
		return;
	}
	pdu = snmp_pdu_create(SNMP_MSG_SET);
	for (unsigned i = manager->rule;
	     i < manager->rule + manager->rules_per_set && i < rules->count;
	     i++)
		put_rule(pdu, manager->loading->index, i + 1, &rules->rule[i]);
	meter_reader_send(reader, pdu, SNMP_WRITE, rules_answer);
}

static void
info_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	struct meter_manager *manager = reader->manager;

	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error) {
		manager->loading->index = 0;
		manage_refused(reader, "no room for the rule set",
			       reply->error);
		return;
	}
	manager->rule = 0;
	manager->rules_per_set =
		(reader->conf.max_message_size - 100) / OCTETS_PER_RULE;
	if (manager->rules_per_set < 1)
		manager->rules_per_set = 1;
	if (manager->rules_per_set > RULES_PER_SET)
		manager->rules_per_set = RULES_PER_SET;
	rules_send(reader);
}

static void
slot_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	struct managed *managed = reader->manager->loading;
	netsnmp_pdu *pdu;

	if (meter_reader_lost(reader, reply))
		return;
	/* Somebody else was faster, or the answer to our first try was lost. */
	if (reply->error && !error_is_refusal(reply->error)) {
		load_next(reader);
		return;
	}
	if (reply->error) {
		managed->index = 0;
		manage_refused(reader, "no rule set is made", reply->error);
		return;
	}
	pdu = snmp_pdu_create(SNMP_MSG_SET);
	pdu_put_number(pdu, PDU_NAME(rule_info, RULE_INFO_SIZE,
				     managed->index),
		       ASN_INTEGER, (long)managed->rules.count);
	pdu_put_octets(pdu, PDU_NAME(rule_info, RULE_INFO_OWNER,
				     managed->index),
		       reader->conf.owner, strlen(reader->conf.owner));
	pdu_put_octets(pdu, PDU_NAME(rule_info, RULE_INFO_NAME,
				     managed->index),
		       managed->name, strlen(managed->name));
	meter_reader_send(reader, pdu, SNMP_WRITE, info_answer);
}

/* Loads the one of ours that is missing; then the task. */
static void
load_next(struct meter_reader *reader)
{
	struct meter_manager *manager = reader->manager;
	struct managed *managed = &manager->standby;
	uint32_t slot = SLOT_FIRST;

	/* A slot that was tried and not filled is tried no more. */
	if (manager->loading && manager->loading->index &&
	    manager->rule < manager->loading->rules.count)
		manager->loading->index = 0;
	if (!managed->used || managed->index)
		managed = &manager->current;
	if (managed->index) {
		task_check(reader);
		return;
	}
	while (slot <= RULE_SETS_MAX &&
	       manager->slots[slot / 8] >> (slot % 8) & 1)
		slot++;
	if (slot > RULE_SETS_MAX) {
		manage_refused(reader, "all rule sets are in use",
			       SNMP_ERR_RESOURCEUNAVAILABLE);
		return;
	}
	manager->slots[slot / 8] |= (uint8_t)(1u << slot % 8);
	manager->loading = managed;
	manager->rule = 0;
	managed->index = slot;
	meter_reader_send(reader,
			  SET_NUMBER(rule_info, RULE_INFO_STATUS, slot,
				     ROW_CREATE_AND_WAIT),
			  SNMP_WRITE, slot_answer);
}

/* Does the meter have these octets? It may keep fewer or more zeros. */
static bool
rule_octets_are(const netsnmp_variable_list *v, const uint8_t *octets,
		size_t length)
{
	if (v->type != ASN_OCTET_STR)
		return false;
	for (size_t i = 0; i < v->val_len || i < length; i++)
		if ((i < v->val_len ? v->val.string[i] : 0) !=
		    (i < length ? octets[i] : 0))
			return false;
	return true;
}

static bool
rule_column_is(const netsnmp_variable_list *v, unsigned column,
	       const struct meter_rule *rule)
{
	uint64_t number = 0;

	if (!v)
		return false;
	switch (column) {
	case RULE_MASK:
		return rule_octets_are(v, rule->mask, rule->length);
	case RULE_MATCHED_VALUE:
		return rule_octets_are(v, rule->value, rule->length);
	case RULE_SELECTOR:
		return variable_number(v, &number) &&
		       number == rule->selector;
	case RULE_ACTION:
		return variable_number(v, &number) && number == rule->action;
	default:
		return variable_number(v, &number) &&
		       number == rule->parameter;
	}
}

static void
check_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	struct meter_manager *manager = reader->manager;
	struct managed *managed = manager->loading;
	const netsnmp_variable_list *v = reply->variables;
	bool same = !reply->error;

	if (meter_reader_lost(reader, reply))
		return;
	for (unsigned i = 0; i < RULES_PER_GET && same &&
	     manager->rule < managed->rules.count; i++, manager->rule++)
		for (unsigned column = RULE_SELECTOR;
		     column <= RULE_PARAMETER && same; column++) {
			same = rule_column_is(
				v, column, &managed->rules.rule[manager->rule]);
			v = v ? v->next_variable : NULL;
		}
	if (!same) {
		meter_reader_log(reader, LOG_LEVEL_NOTICE,
				 "has other rules than the file in rule set "
				 "%s: loaded anew", managed->name);
		if (manager->obsolete_count < OBSOLETE_MAX)
			manager->obsolete[manager->obsolete_count++] =
				managed->index;
		managed->index = 0;
	}
	check_next(reader);
}

/* Compares the rules of sets that we found with those of the files. */
static void
check_next(struct meter_reader *reader)
{
	struct meter_manager *manager = reader->manager;
	struct managed *managed = &manager->current;
	netsnmp_pdu *pdu;

	if (!managed->index || managed->checked)
		managed = &manager->standby;
	if (!managed->index || managed->checked) {
		manager->loading = NULL;
		load_next(reader);
		return;
	}
	if (manager->loading != managed) {
		manager->loading = managed;
		manager->rule = 0;
	}
	if (manager->rule >= managed->rules.count) {
		managed->checked = true;
		check_next(reader);
		return;
	}
	pdu = snmp_pdu_create(SNMP_MSG_GET);
	for (unsigned i = manager->rule; i < manager->rule + RULES_PER_GET &&
	     i < managed->rules.count; i++)
		for (unsigned column = RULE_SELECTOR;
		     column <= RULE_PARAMETER; column++) {
			oid name[OID_COUNT(rule_entry) + 3];
			const size_t n = OID_COUNT(rule_entry);

			memcpy(name, rule_entry, sizeof(rule_entry));
			name[n] = column;
			name[n + 1] = managed->index;
			name[n + 2] = i + 1;
			if (pdu)
				snmp_add_null_var(pdu, name, n + 3);
		}
	meter_reader_send(reader, pdu, 0, check_answer);
}

static bool
octets_are(const netsnmp_variable_list *v, const char *text)
{
	return v && v->type == ASN_OCTET_STR && v->val_len == strlen(text) &&
	       memcmp(v->val.string, text, v->val_len) == 0;
}

static void
set_row(struct meter_reader *reader, uint32_t index,
	netsnmp_variable_list *const variable[])
{
	struct meter_manager *manager = reader->manager;
	struct managed *managed[] = {&manager->current, &manager->standby};
	uint64_t status = 0, size = 0;

	if (index <= RULE_SETS_MAX)
		manager->slots[index / 8] |= (uint8_t)(1u << index % 8);
	variable_number(variable[0], &status);
	if (variable[3])
		variable_number(variable[3], &size);
	if (!octets_are(variable[2], reader->conf.owner))
		return;
	for (unsigned i = 0; i < 2; i++) {
		if (!managed[i]->used ||
		    !octets_are(variable[1], managed[i]->name))
			continue;
		if (status == ROW_ACTIVE && !managed[i]->index &&
		    size == managed[i]->rules.count)
			managed[i]->index = index;
		else if (manager->obsolete_count < OBSOLETE_MAX)
			manager->obsolete[manager->obsolete_count++] = index;
	}
}

static void
lost_done(struct meter_reader *reader)
{
	struct meter_manager *manager = reader->manager;

	if (manager->lost_now > manager->lost_packets)
		meter_reader_log(reader, LOG_LEVEL_NOTICE,
				 "has lost %llu packets since the last look",
				 (unsigned long long)(manager->lost_now -
						      manager->lost_packets));
	manager->lost_packets = manager->lost_now;
	check_next(reader);
}

static void
lost_row(struct meter_reader *reader, uint32_t index,
	 netsnmp_variable_list *const variable[])
{
	uint64_t lost = 0;

	variable_number(variable[0], &lost);
	reader->manager->lost_now += lost;
}

static void
sets_done(struct meter_reader *reader)
{
	static const oid entry[] = {OID_INTERFACE};
	struct meter_walk *walk = &reader->walk;

	reader->manager->lost_now = 0;
	memcpy(walk->entry, entry, sizeof(entry));
	walk->entry_length = OID_COUNT(entry);
	walk->column[0] = INTERFACE_LOST_PACKETS;
	walk->columns = 1;
	walk->row = lost_row;
	walk->done = lost_done;
	meter_walk_begin(reader);
}

static void
sets_find(struct meter_reader *reader)
{
	struct meter_manager *manager = reader->manager;
	struct meter_walk *walk = &reader->walk;

	manager->current.index = manager->standby.index = 0;
	manager->obsolete_count = 0;
	manager->loading = NULL;
	memset(manager->slots, 0, sizeof(manager->slots));
	memcpy(walk->entry, rule_info, sizeof(rule_info));
	walk->entry_length = OID_COUNT(rule_info);
	walk->column[0] = RULE_INFO_STATUS;
	walk->column[1] = RULE_INFO_NAME;
	walk->column[2] = RULE_INFO_OWNER;
	walk->column[3] = RULE_INFO_SIZE;
	walk->columns = 4;
	walk->row = set_row;
	walk->done = sets_done;
	meter_walk_begin(reader);
}

static void
marks_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;

	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error)
		meter_reader_log(reader, LOG_LEVEL_NOTICE,
				 "keeps its flood mark and inactivity "
				 "timeout: %s",
				 snmp_errstring((int)reply->error));
	sets_find(reader);
}

static void
scalars_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	struct meter_manager *manager = reader->manager;
	const struct meter_manage_conf *conf = &reader->conf.manage;
	uint64_t number[4] = {0};
	unsigned i = 0;
	netsnmp_pdu *pdu;

	if (meter_reader_lost(reader, reply))
		return;
	for (const netsnmp_variable_list *v = reply->variables;
	     !reply->error && v && i < 4; v = v->next_variable, i++)
		variable_number(v, &number[i]);
	manager->active_flows = number[2];
	if ((number[3] == 1) != manager->flood_mode)
		meter_reader_log(reader, LOG_LEVEL_WARNING, number[3] == 1 ?
				 "is in flood mode: its flow table is nearly "
				 "full" : "has left flood mode");
	manager->flood_mode = number[3] == 1;
	if (number[0] == conf->flood_mark &&
	    (number[1] == conf->inactivity_timeout ||
	     !conf->inactivity_timeout)) {
		sets_find(reader);
		return;
	}
	pdu = snmp_pdu_create(SNMP_MSG_SET);
	pdu_put_number(pdu, PDU_NAME(flood_mark, 0, 0), ASN_INTEGER,
		       conf->flood_mark);
	if (conf->inactivity_timeout)
		pdu_put_number(pdu, PDU_NAME(inactivity_timeout, 0, 0),
			       ASN_INTEGER, (long)conf->inactivity_timeout);
	meter_reader_send(reader, pdu, SNMP_WRITE, marks_answer);
}

void
meter_manager_begin(struct meter_reader *reader)
{
	netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_GET);

	pdu_ask(pdu, PDU_NAME(flood_mark, 0, 0));
	pdu_ask(pdu, PDU_NAME(inactivity_timeout, 0, 0));
	pdu_ask(pdu, PDU_NAME(active_flows, 0, 0));
	pdu_ask(pdu, PDU_NAME(flood_mode, 0, 0));
	meter_reader_send(reader, pdu, 0, scalars_answer);
}

/*
 * The end: the task runs nothing, then is destroyed, then the rule sets, whose
 * flows were read in the last pass.
 */
static void
leave_sets(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	struct meter_manager *manager = reader->manager;
	struct managed *managed = manager->current.index ?
		&manager->current : &manager->standby;
	uint32_t index = managed->index;

	if (reply->result != SNMP_REPLY || !index) {
		meter_reader_next(reader);
		return;
	}
	managed->index = 0;
	meter_reader_send(reader,
			  SET_NUMBER(rule_info, RULE_INFO_STATUS, index,
				     ROW_DESTROY),
			  SNMP_WRITE, leave_sets);
}

static void
leave_task(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	struct meter_manager *manager = reader->manager;

	if (reply->result != SNMP_REPLY) {
		meter_reader_next(reader);
		return;
	}
	meter_reader_send(reader,
			  SET_NUMBER(manager_entry, MANAGER_STATUS,
				     manager->task, ROW_DESTROY),
			  SNMP_WRITE, leave_sets);
	manager->task = 0;
}

void
meter_manager_leave(struct meter_reader *reader)
{
	struct meter_manager *manager = reader->manager;
	netsnmp_pdu *pdu;

	if (!manager || !manager->task ||
	    !reader->conf.manage.stop_on_exit) {
		meter_reader_next(reader);
		return;
	}
	pdu = snmp_pdu_create(SNMP_MSG_SET);
	pdu_put_number(pdu, PDU_NAME(manager_entry, MANAGER_CURRENT,
				     manager->task), ASN_INTEGER, 0);
	pdu_put_number(pdu, PDU_NAME(manager_entry, MANAGER_STANDBY,
				     manager->task), ASN_INTEGER, 0);
	meter_reader_send(reader, pdu, SNMP_WRITE, leave_task);
}

void
meter_manager_report(const struct meter_reader *reader, struct report *report)
{
	const struct meter_manager *manager = reader->manager;

	if (!manager)
		return;
	report_open(report, "manager");
	report_uint(report, "ruleSet", manager->current.index);
	report_uint(report, "standbyRuleSet", manager->standby.index);
	report_uint(report, "task", manager->task);
	report_uint(report, "loads", manager->loads);
	report_bool(report, "runningStandby", manager->running_standby);
	report_bool(report, "floodMode", manager->flood_mode);
	report_uint(report, "activeFlows", manager->active_flows);
	report_uint(report, "lostPackets", manager->lost_packets);
	report_close(report);
}
