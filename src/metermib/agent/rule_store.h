/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The rule sets of a meter (RFC 2720 flowRuleSetInfoTable and flowRuleTable):
 * kept and validated, not executed. No I/O, no SNMP.
 */
#ifndef CONFLUX_METERMIB_RULE_STORE_H
#define CONFLUX_METERMIB_RULE_STORE_H

#include <stdbool.h>
#include <stdint.h>

/* flowDataRuleSet has 255 values, so no other rule set could be read. */
#define RULE_SET_MAX 255
#define RULE_SET_DEFAULT 1

#define OWNER_SIZE 127

/* RowStatus (RFC 2579). 0 stands for a row that is not there. */
enum row_status {
	ROW_ABSENT,
	ROW_ACTIVE,
	ROW_NOT_IN_SERVICE,
	ROW_NOT_READY,
	ROW_CREATE_AND_GO,
	ROW_CREATE_AND_WAIT,
	ROW_DESTROY,
};

struct owner {
	uint8_t length;
	uint8_t octets[OWNER_SIZE];
};

struct rule {
	uint8_t selector;
	uint8_t action; /* 0: never written */
	uint16_t parameter;
	uint8_t mask_length;
	uint8_t value_length;
	uint8_t mask[20];
	uint8_t value[20];
};

/* The row of a rule set; its rules are in the store. */
struct rule_set {
	uint8_t status; /* enum row_status */
	bool owner_set;
	bool rules_ready;
	uint32_t size;
	uint32_t time_stamp; /* Uptime */
	struct owner owner;
	struct owner name;
};

struct rule_store;

/* Holds up to max_rules rules. With rule set 1, active, and no other. */
struct rule_store *rule_store_new(uint32_t max_rules);
void rule_store_free(struct rule_store *store);

/* The row of a rule set, or NULL. */
struct rule_set *rule_store_find(const struct rule_store *store,
				 uint32_t number);

/* The least number above after that is in use, or 0. */
uint32_t rule_store_next(const struct rule_store *store, uint32_t after);

/* How many rules can still be held. */
uint32_t rule_store_room(const struct rule_store *store);

/*
 * Puts a row in place of what was there (or of nothing) and gives it row->size
 * rules: old ones stay, new ones are blank. 0, -ENOSPC, -ENOMEM; nothing is
 * changed then.
 */
int rule_store_put(struct rule_store *store, uint32_t number,
		   const struct rule_set *row);
void rule_store_remove(struct rule_store *store, uint32_t number);

/* Rule 1 to size of a set, or NULL. */
struct rule *rule_store_rule(const struct rule_store *store, uint32_t number,
			     uint32_t index);

/*
 * Whether a set could run: it has rules, and each is one (rule_check). Returns
 * 0, or the number of the first rule that is wrong, or of the one missing.
 */
uint32_t rule_store_check(const struct rule_store *store, uint32_t number);

/*
 * Whether a rule of a set of that size can be executed (RFC 2722 section 4.4):
 * its selector may be tested, its action is known, where it goes to is a rule
 * of the set, and what it assigns to a variable is an attribute.
 */
bool rule_check(const struct rule *rule, uint32_t size);

#endif
