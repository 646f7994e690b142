/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 2720 has "goto is taken when the test failed" for flowRuleParameter and a
 * range from 1; RFC 2722 section 4.4 has it on success, and managers send 0
 * with actions that go nowhere. We follow RFC 2722 and take 0 there.
 */
#include "rule_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../attribute.h"

struct slot {
	struct rule_set row; /* status ROW_ABSENT: not in use */
	struct rule *rule;   /* row.size of them */
};

struct rule_store {
	uint32_t max_rules;
	uint32_t rules;
	struct slot slot[RULE_SET_MAX + 1];
};

/* The built-in set counts every packet in one flow: a single rule. */
static int
add_default(struct rule_store *store)
{
	static const char name[] = "default";
	struct rule_set row = {.status = ROW_ACTIVE,
			       .owner_set = true,
			       .rules_ready = true,
			       .size = 1,
			       .name.length = sizeof(name) - 1};
	int err;

	memcpy(row.name.octets, name, sizeof(name) - 1);
	err = rule_store_put(store, RULE_SET_DEFAULT, &row);
	if (err)
		return err;
	store->slot[RULE_SET_DEFAULT].rule[0] = (struct rule){
		.selector = ATTRIBUTE_NULL,
		.action = RULE_COUNT_PKT,
		.parameter = 1,
		.mask_length = 2,
		.value_length = 2,
	};
	return 0;
}

struct rule_store *
rule_store_new(uint32_t max_rules)
{
	struct rule_store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->max_rules = max_rules;
	if (add_default(store)) {
		rule_store_free(store);
		return NULL;
	}
	return store;
}

void
rule_store_free(struct rule_store *store)
{
	if (!store)
		return;
	for (unsigned i = 0; i <= RULE_SET_MAX; i++)
		free(store->slot[i].rule);
	free(store);
}

struct rule_set *
rule_store_find(const struct rule_store *store, uint32_t number)
{
	if (number > RULE_SET_MAX || !store->slot[number].row.status)
		return NULL;
	return (struct rule_set *)&store->slot[number].row;
}

uint32_t
rule_store_next(const struct rule_store *store, uint32_t after)
{
	while (after < RULE_SET_MAX)
		if (store->slot[++after].row.status)
			return after;
	return 0;
}

uint32_t
rule_store_room(const struct rule_store *store)
{
	return store->max_rules - store->rules;
}

int
rule_store_put(struct rule_store *store, uint32_t number,
	       const struct rule_set *row)
{
	struct slot *slot = &store->slot[number];
	uint32_t old = slot->row.size;
	struct rule *rule;

	if (row->size > old && row->size - old > rule_store_room(store))
		return -ENOSPC;
	if (row->size != old) {
		rule = realloc(slot->rule, (row->size + 1) * sizeof(*rule));
		if (!rule)
			return -ENOMEM;
		slot->rule = rule;
	}
	for (uint32_t i = old; i < row->size; i++)
		slot->rule[i] =
			(struct rule){.mask_length = 2, .value_length = 2};
	store->rules += row->size - old;
	slot->row = *row;
	return 0;
}

void
rule_store_remove(struct rule_store *store, uint32_t number)
{
	struct slot *slot = &store->slot[number];

	store->rules -= slot->row.size;
	free(slot->rule);
	*slot = (struct slot){.rule = NULL};
}

struct rule *
rule_store_rule(const struct rule_store *store, uint32_t number, uint32_t index)
{
	if (number > RULE_SET_MAX || index == 0 ||
	    index > store->slot[number].row.size)
		return NULL;
	return &store->slot[number].rule[index - 1];
}

static bool
is_variable(unsigned attribute)
{
	return attribute >= ATTRIBUTE_V1 && attribute <= ATTRIBUTE_V5;
}

bool
rule_check(const struct rule *rule, uint32_t size)
{
	const struct attribute *a = attribute_find(rule->selector);

	if (!a || !a->testable)
		return false;
	if (rule->action < RULE_IGNORE || rule->action > RULE_POP_TO_ACT)
		return false;
	/* From Gosub on, each action goes on with the rule it names. */
	if (rule->action >= RULE_GOSUB &&
	    (rule->parameter < 1 || rule->parameter > size))
		return false;
	if (rule->action == RULE_ASSIGN || rule->action == RULE_ASSIGN_ACT) {
		a = attribute_find(rule->value[0]);
		return is_variable(rule->selector) && a && a->testable &&
		       !is_variable(a->number);
	}
	return true;
}

uint32_t
rule_store_check(const struct rule_store *store, uint32_t number)
{
	const struct slot *slot = &store->slot[number];

	for (uint32_t i = 0; i < slot->row.size; i++)
		if (!rule_check(&slot->rule[i], slot->row.size))
			return i + 1;
	return slot->row.size ? 0 : 1;
}
