/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 2722 section 4.4: execution begins with rule 1 and the test indicator on.
 * While it is on, a rule whose attribute, masked, is not its value is passed
 * over. Otherwise the action is done; it sets the indicator for the next rule,
 * and goes to the rule that its parameter names. Behind the last rule: NoMatch.
 *
 * Where the RFC leaves something open:
 *  - Numbers of one octet stand in the first octet of mask and value, wider
 *    ones are aligned at the front, too (RFC 2723 section 3.1.6). Interfaces
 *    have one, two or four octets, as many as mask and value fill.
 *  - Assign: its value is the attribute that the variable stands for from then
 *    on, so there is nothing to be tested, and it always succeeds. A variable
 *    that was never assigned stands for the null attribute.
 *  - Gosub saves the variables, Return brings them back (RFC 2123).
 *  - MatchingStoD is 1 or, as RFC 2722 has it, 0, as RFC 2720 has it, 2: in the
 *    second case a rule may ask for either.
 *  - Classes and kinds are what was pushed for them last, zero before that.
 *  - Packets do not tell subscribers and sessions: they are tested as zeros,
 *    and get into flows by PushRuleTo and Count.
 *  - PopTo with nothing pushed does nothing else than go on.
 *  - A rule that pushes an address without the packet having one (PushRuleTo)
 *    makes it as long as its value.
 *
 * For speed a rule is an offset into struct pme_packet and 16 octets of mask
 * and value, which is the longest attribute that packets have; offsets for the
 * other direction are those of the other end.
 */
#include "pme.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../attribute.h"
#include "conflux/wire.h"

enum {
	VARIABLES = ATTRIBUTE_V5 - ATTRIBUTE_V1 + 1,
	TEST_SIZE = 16,
	ENDS = ATTRIBUTE_DEST_INTERFACE - ATTRIBUTE_SOURCE_INTERFACE,
};

_Static_assert(sizeof(struct pme_end) == 32, "one end is half a cache line");

/* (packet at offset & mask) == value */
struct test {
	uint64_t mask[2];
	uint64_t value[2];
	uint8_t offset[2]; /* by direction */
	bool never;	   /* the value is longer than any attribute */
};

struct step {
	struct test test;
	uint8_t action;
	bool slow; /* the attribute is known at run time only */
	bool always;
	uint32_t next; /* where to, from 0 on; of Return: its parameter */
};

struct pme {
	struct pme_end looks_at[2];
	uint32_t count;
	uint32_t most_steps;
	struct step *step;
	struct rule rule[];
};

/* Where an attribute stands in an end of a packet. */
struct place {
	uint8_t offset;
	uint8_t width; /* 0: packets do not tell it */
};

#define PLACE(member)                                         \
	{                                                     \
		offsetof(struct pme_end, member),             \
			sizeof(((struct pme_end *)0)->member) \
	}

static const struct place places[ENDS] = {
	[ATTRIBUTE_SOURCE_INTERFACE - ATTRIBUTE_SOURCE_INTERFACE] =
		PLACE(interface),
	[ATTRIBUTE_SOURCE_ADJACENT_TYPE - ATTRIBUTE_SOURCE_INTERFACE] =
		PLACE(adjacent_type),
	[ATTRIBUTE_SOURCE_ADJACENT_ADDRESS - ATTRIBUTE_SOURCE_INTERFACE] =
		PLACE(adjacent),
	[ATTRIBUTE_SOURCE_PEER_TYPE - ATTRIBUTE_SOURCE_INTERFACE] =
		PLACE(peer_type),
	[ATTRIBUTE_SOURCE_PEER_ADDRESS - ATTRIBUTE_SOURCE_INTERFACE] =
		PLACE(peer),
	[ATTRIBUTE_SOURCE_TRANS_TYPE - ATTRIBUTE_SOURCE_INTERFACE] =
		PLACE(trans_type),
	[ATTRIBUTE_SOURCE_TRANS_ADDRESS - ATTRIBUTE_SOURCE_INTERFACE] =
		PLACE(port),
};

/* Which of the two ends an attribute is of, and its number as a source's. */
static bool
end_of(unsigned attribute, unsigned *end, unsigned *source)
{
	if (attribute < ATTRIBUTE_SOURCE_INTERFACE ||
	    attribute > ATTRIBUTE_DEST_TRANS_MASK)
		return false;
	*end = attribute >= ATTRIBUTE_DEST_INTERFACE ? FLOW_DEST : FLOW_SOURCE;
	*source = attribute - (*end == FLOW_DEST ? ENDS : 0);
	return true;
}

static bool
is_variable(unsigned attribute)
{
	return attribute >= ATTRIBUTE_V1 && attribute <= ATTRIBUTE_V5;
}

/* Those that rules compute. */
static bool
is_computed(unsigned attribute)
{
	return attribute >= ATTRIBUTE_SOURCE_CLASS &&
	       attribute <= ATTRIBUTE_FLOW_KIND;
}

/* Octets of an interface number in a rule: see above. */
static unsigned
interface_width(const struct rule *rule)
{
	uint8_t octet[4];

	for (unsigned i = 0; i < 4; i++)
		octet[i] = rule->mask[i] | rule->value[i];
	if (octet[2] || octet[3])
		return 4;
	return octet[1] || !octet[0] ? 2 : 1;
}

/*
 * Mask and value of a rule, as wide as the attribute is in a packet. All of a
 * wider number that is not in the rule must be zero, unless nothing is asked.
 */
static void
widen(const struct rule *rule, unsigned source, uint8_t mask[20],
      uint8_t value[20])
{
	static const uint8_t nothing[4];
	unsigned width;

	memcpy(mask, rule->mask, 20);
	memcpy(value, rule->value, 20);
	if (source != ATTRIBUTE_SOURCE_INTERFACE)
		return;
	width = interface_width(rule);
	memset(mask, memcmp(rule->mask, nothing, 4) ? 0xff : 0, 4 - width);
	memset(value, 0, 4 - width);
	memcpy(mask + 4 - width, rule->mask, width);
	memcpy(value + 4 - width, rule->value, width);
}

/* The test of a rule on an attribute that is no variable. */
static void
test_init(struct test *test, const struct rule *rule, unsigned attribute)
{
	static const uint8_t nothing[20];
	struct place place = {offsetof(struct pme_packet, zero), 0};
	uint8_t mask[20] = {0}, value[20];
	unsigned end, source = 0;

	if (end_of(attribute, &end, &source)) {
		place = places[source - ATTRIBUTE_SOURCE_INTERFACE];
		place.offset += end * sizeof(struct pme_end);
	}
	widen(rule, source, mask, value);
	memset(mask + place.width, 0, sizeof(mask) - place.width);
	*test = (struct test){.offset[PME_S_TO_D] = place.offset};
	memcpy(test->mask, mask, TEST_SIZE);
	memcpy(test->value, value, TEST_SIZE);
	test->never = memcmp(value + TEST_SIZE, nothing, 20 - TEST_SIZE) != 0;
	/* The other end is 32 octets away; what is of no end stays. */
	test->offset[PME_D_TO_S] =
		place.width ? place.offset ^ sizeof(struct pme_end)
			    : place.offset;
}

static inline bool
test_run(const struct test *test, const struct pme_packet *packet,
	 enum pme_direction direction)
{
	uint64_t octets[2];

	memcpy(octets, (const uint8_t *)packet + test->offset[direction],
	       sizeof(octets));
	return !test->never &&
	       ((octets[0] & test->mask[0]) ^ test->value[0]) == 0 &&
	       ((octets[1] & test->mask[1]) ^ test->value[1]) == 0;
}

/* ---- making -------------------------------------------------------------- */

/* What a rule looks at when its attribute is this one. */
static void
look_at(struct pme *pme, const struct rule *rule, unsigned attribute, bool all)
{
	uint8_t mask[20], value[20];
	unsigned end, source;
	struct place place;

	if (!end_of(attribute, &end, &source))
		return;
	place = places[source - ATTRIBUTE_SOURCE_INTERFACE];
	widen(rule, source, mask, value);
	if (all)
		memset(mask, 0xff, sizeof(mask));
	/* The packet is matched the other way round, too. */
	for (end = 0; end < 2; end++) {
		uint8_t *looks = (uint8_t *)&pme->looks_at[end];

		for (unsigned i = 0; i < place.width; i++)
			looks[place.offset + i] |= mask[i];
		/* How long the address is that gets into the flow. */
		if (source == ATTRIBUTE_SOURCE_PEER_ADDRESS)
			pme->looks_at[end].peer_type = 0xff;
		if (source == ATTRIBUTE_SOURCE_ADJACENT_ADDRESS)
			pme->looks_at[end].has_adjacent = 0xff;
	}
}

static void
step_init(struct pme *pme, uint32_t i)
{
	const struct rule *rule = &pme->rule[i];
	struct step *step = &pme->step[i];
	bool assign =
		rule->action == RULE_ASSIGN || rule->action == RULE_ASSIGN_ACT;

	step->action = rule->action;
	step->always = assign || rule->selector == ATTRIBUTE_NULL;
	step->slow = is_variable(rule->selector) ||
		     is_computed(rule->selector) ||
		     rule->selector == ATTRIBUTE_MATCHING_STOD;
	step->next = rule->action == RULE_RETURN ? rule->parameter
						 : rule->parameter - 1u;
	if (!step->slow)
		test_init(&step->test, rule, rule->selector);
	if (assign)
		look_at(pme, rule, rule->value[0], true);
	else
		look_at(pme, rule, rule->selector, false);
}

int
pme_new(const struct rule *rules, uint32_t count, struct pme **out)
{
	struct pme *pme =
		calloc(1, sizeof(*pme) + (size_t)count * sizeof(*rules));

	if (!pme)
		return -ENOMEM;
	pme->step = calloc(count + 1, sizeof(*pme->step));
	if (!pme->step) {
		free(pme);
		return -ENOMEM;
	}
	memcpy(pme->rule, rules, (size_t)count * sizeof(*rules));
	pme->count = count;
	pme->most_steps = PME_STEPS + PME_STEPS_PER * count;
	for (uint32_t i = 0; i < count; i++)
		step_init(pme, i);
	*out = pme;
	return 0;
}

void
pme_free(struct pme *pme)
{
	if (!pme)
		return;
	free(pme->step);
	free(pme);
}

bool
pme_made_of(const struct pme *pme, const struct rule *rules, uint32_t count)
{
	return pme->count == count &&
	       memcmp(pme->rule, rules, (size_t)count * sizeof(*rules)) == 0;
}

const struct pme_end *
pme_looks_at(const struct pme *pme)
{
	return pme->looks_at;
}

/* ---- the flow key -------------------------------------------------------- */

/* What was pushed: the attribute of a rule, with its value or the packet's. */
struct pushed {
	uint32_t rule;
	uint8_t attribute;
	bool packet;
};

static unsigned
rule_length(const struct rule *rule, unsigned least, unsigned most)
{
	unsigned length = rule->mask_length > rule->value_length
				  ? rule->mask_length
				  : rule->value_length;

	if (length < least)
		return least;
	return length < most ? length : most;
}

static unsigned
peer_length(const struct pme_end *end)
{
	return peer_type_size(end->peer_type);
}

static void
key_address(uint8_t *to, uint8_t *to_mask, uint8_t *to_length,
	    const uint8_t *value, const uint8_t *mask, unsigned length)
{
	memset(to, 0, ATTRIBUTE_ADDRESS_SIZE);
	memset(to_mask, 0, ATTRIBUTE_ADDRESS_SIZE);
	memcpy(to, value, length);
	memcpy(to_mask, mask, length);
	*to_length = (uint8_t)length;
}

/*
 * A narrow mask of all ones means the whole number of the packet, even if that
 * is wider than the rule can say.
 */
static void
interface_open(const struct rule *rule, uint8_t mask[20])
{
	unsigned width = interface_width(rule);

	for (unsigned i = 0; i < width; i++)
		if (rule->mask[i] != 0xff) {
			memset(mask, 0, 4 - width);
			return;
		}
	memset(mask, 0xff, 4);
}

/* One attribute of an end; value is masked already. */
static void
key_end(struct flow_end *to, unsigned source, const uint8_t *value,
	const uint8_t *mask, unsigned length)
{
	switch (source) {
	case ATTRIBUTE_SOURCE_INTERFACE:
		to->interface = wire_get32(value);
		break;
	case ATTRIBUTE_SOURCE_ADJACENT_TYPE:
		to->adjacent_type = value[0];
		break;
	case ATTRIBUTE_SOURCE_ADJACENT_ADDRESS:
		key_address(to->adjacent, to->adjacent_mask,
			    &to->adjacent_length, value, mask, length);
		break;
	case ATTRIBUTE_SOURCE_PEER_TYPE:
		to->peer_type = value[0];
		break;
	case ATTRIBUTE_SOURCE_PEER_ADDRESS:
		key_address(to->peer, to->peer_mask, &to->peer_length, value,
			    mask, length);
		break;
	case ATTRIBUTE_SOURCE_TRANS_TYPE:
		to->trans_type = value[0];
		break;
	default:
		memcpy(to->port, value, sizeof(to->port));
		memcpy(to->port_mask, mask, sizeof(to->port_mask));
	}
}

/* One of those that rules compute, in the key so far. */
static uint8_t *
computed_in(struct flow_key *key, unsigned attribute)
{
	return attribute >= ATTRIBUTE_SOURCE_KIND
		       ? &key->kind[attribute - ATTRIBUTE_SOURCE_KIND]
		       : &key->class[attribute - ATTRIBUTE_SOURCE_CLASS];
}

/* Those that packets do not tell: only rules have a value for them. */
static void
key_computed(struct flow_key *key, unsigned attribute, const uint8_t *value,
	     const struct rule *rule, bool packet)
{
	unsigned i = attribute - ATTRIBUTE_SOURCE_SUBSCRIBER_ID;
	unsigned length;

	if (attribute < ATTRIBUTE_SOURCE_SUBSCRIBER_ID ||
	    attribute > ATTRIBUTE_FLOW_KIND)
		return;
	if (is_computed(attribute)) {
		uint8_t *to = computed_in(key, attribute);

		*to = packet ? *to & rule->mask[0] : value[0];
	} else if (attribute == ATTRIBUTE_SESSION_ID) {
		length = rule_length(rule, 4, sizeof(key->session));
		memset(key->session, 0, sizeof(key->session));
		memcpy(key->session, value, length);
		key->session_length = packet ? 0 : (uint8_t)length;
	} else {
		length = rule_length(rule, 4, sizeof(key->subscriber[i]));
		memset(key->subscriber[i], 0, sizeof(key->subscriber[i]));
		memcpy(key->subscriber[i], value, length);
		key->subscriber_length[i] = packet ? 0 : (uint8_t)length;
	}
}

/* How much of the address gets into the flow. */
static unsigned
address_length(const struct pushed *pushed, const struct rule *rule,
	       unsigned source, const struct pme_end *from)
{
	unsigned length = source == ATTRIBUTE_SOURCE_PEER_ADDRESS
				  ? peer_length(from)
				  : from->has_adjacent * 6u;

	return length || pushed->packet
		       ? length
		       : rule_length(rule, 3, ATTRIBUTE_ADDRESS_SIZE);
}

static void
key_push(const struct pme *pme, const struct pushed *pushed,
	 const struct pme_packet *packet, enum pme_direction direction,
	 struct flow_key *key)
{
	const struct rule *rule = &pme->rule[pushed->rule];
	uint8_t mask[20], value[20];
	const struct pme_end *from;
	unsigned end, source = 0;
	struct place place;

	if (!end_of(pushed->attribute, &end, &source)) {
		for (unsigned i = 0; i < sizeof(value); i++)
			value[i] = pushed->packet
					   ? 0
					   : rule->value[i] & rule->mask[i];
		key_computed(key, pushed->attribute, value, rule,
			     pushed->packet);
		return;
	}
	from = &packet->end[direction == PME_S_TO_D ? end : 1 - end];
	place = places[source - ATTRIBUTE_SOURCE_INTERFACE];
	widen(rule, source, mask, value);
	if (pushed->packet) {
		memset(value, 0, sizeof(value));
		memcpy(value, (const uint8_t *)from + place.offset,
		       place.width);
		if (source == ATTRIBUTE_SOURCE_INTERFACE)
			interface_open(rule, mask);
	}
	for (unsigned i = 0; i < sizeof(value); i++)
		value[i] &= mask[i];
	key_end(&key->end[end], source, value, mask,
		address_length(pushed, rule, source, from));
}

/* ---- running ------------------------------------------------------------- */

struct run {
	const struct pme *pme;
	const struct pme_packet *packet;
	enum pme_direction direction;
	uint8_t variable[VARIABLES];
	unsigned queued, depth;
	struct pushed queue[PME_QUEUE];
	struct {
		uint32_t step;
		uint8_t variable[VARIABLES];
	} stack[PME_DEPTH];
};

/* The attribute that a rule is about now. */
static unsigned
attribute_of(const struct run *run, uint32_t i)
{
	unsigned selector = run->pme->rule[i].selector;

	return is_variable(selector) ? run->variable[selector - ATTRIBUTE_V1]
				     : selector;
}

/* What a class or a kind is now: as the key would have it. */
static uint8_t
computed_now(const struct run *run, unsigned attribute)
{
	uint8_t now = 0;

	for (unsigned i = 0; i < run->queued; i++) {
		const struct pushed *pushed = &run->queue[i];
		const struct rule *rule = &run->pme->rule[pushed->rule];

		if (pushed->attribute == attribute)
			now = (pushed->packet ? now : rule->value[0]) &
			      rule->mask[0];
	}
	return now;
}

static bool
test_computed(const struct rule *rule, uint8_t now)
{
	static const uint8_t nothing[20];

	return (now & rule->mask[0]) == rule->value[0] &&
	       memcmp(rule->value + 1, nothing, sizeof(rule->value) - 1) == 0;
}

static bool
test_slowly(const struct run *run, uint32_t i)
{
	const struct rule *rule = &run->pme->rule[i];
	unsigned attribute = attribute_of(run, i);
	struct test test;

	if (attribute == ATTRIBUTE_NULL)
		return true;
	if (attribute == ATTRIBUTE_MATCHING_STOD) {
		if (run->direction == PME_S_TO_D)
			return (1 & rule->mask[0]) == rule->value[0];
		return rule->value[0] == 0 ||
		       (2 & rule->mask[0]) == rule->value[0];
	}
	if (is_computed(attribute))
		return test_computed(rule, computed_now(run, attribute));
	test_init(&test, rule, attribute);
	return test_run(&test, run->packet, run->direction);
}

static bool
push(struct run *run, uint32_t i, bool packet)
{
	if (run->queued == PME_QUEUE)
		return false;
	run->queue[run->queued++] = (struct pushed){
		.rule = i,
		.attribute = (uint8_t)attribute_of(run, i),
		.packet = packet,
	};
	return true;
}

static bool
gosub(struct run *run, uint32_t i)
{
	if (run->depth == PME_DEPTH)
		return false;
	run->stack[run->depth].step = i;
	memcpy(run->stack[run->depth++].variable, run->variable, VARIABLES);
	return true;
}

/* Counting ends the execution: all that was pushed makes the key. */
static enum pme_result
count(struct run *run, uint32_t i, bool packet, struct flow_key *key)
{
	if (!push(run, i, packet))
		return PME_FAULT;
	*key = (struct flow_key){.rule_set = 0};
	for (unsigned n = 0; n < run->queued; n++)
		key_push(run->pme, &run->queue[n], run->packet, run->direction,
			 key);
	return PME_SUCCESS;
}

/* Goes back behind the Gosub; false: there was none. */
static bool
go_back(struct run *run, uint32_t *i, uint32_t offset)
{
	if (run->depth == 0)
		return false;
	memcpy(run->variable, run->stack[--run->depth].variable, VARIABLES);
	*i = run->stack[run->depth].step + offset;
	return true;
}

/* The actions that do something before they go to their next rule. */
static bool
act(struct run *run, uint32_t i)
{
	const struct rule *rule = &run->pme->rule[i];

	switch (rule->action) {
	case RULE_GOSUB:
	case RULE_GOSUB_ACT:
		return gosub(run, i);
	case RULE_ASSIGN:
	case RULE_ASSIGN_ACT:
		run->variable[rule->selector - ATTRIBUTE_V1] = rule->value[0];
		return true;
	case RULE_PUSH_RULE_TO:
	case RULE_PUSH_RULE_TO_ACT:
		return push(run, i, false);
	case RULE_PUSH_PKT_TO:
	case RULE_PUSH_PKT_TO_ACT:
		return push(run, i, true);
	case RULE_POP_TO:
	case RULE_POP_TO_ACT:
		run->queued -= run->queued > 0;
		return true;
	default:
		return true;
	}
}

/* From Gosub on, an odd number is one that the next rule is not tested for. */
static bool
sets_test(unsigned action)
{
	return action % 2 == 0;
}

_Static_assert(RULE_GOSUB % 2 == 0 && RULE_POP_TO_ACT % 2 == 1 &&
		       RULE_GOTO % 2 == 0 && RULE_PUSH_PKT_TO_ACT % 2 == 1,
	       "numbers of opcodes");

enum pme_result
pme_match(const struct pme *pme, const struct pme_packet *packet,
	  enum pme_direction direction, struct flow_key *key)
{
	struct run run; /* its arrays are not touched before they are used */
	bool test = true;
	uint32_t i = 0;

	run.pme = pme;
	run.packet = packet;
	run.direction = direction;
	memset(run.variable, 0, sizeof(run.variable));
	run.queued = run.depth = 0;
	for (uint32_t left = pme->most_steps; i < pme->count; left--) {
		const struct step *step = &pme->step[i];

		if (left == 0)
			return PME_FAULT;
		if (test && !step->always &&
		    !(step->slow ? test_slowly(&run, i)
				 : test_run(&step->test, packet, direction))) {
			i++;
			continue;
		}
		switch (step->action) {
		case RULE_IGNORE:
			return PME_IGNORE;
		case RULE_NO_MATCH:
			return PME_NO_MATCH;
		case RULE_COUNT:
			return count(&run, i, false, key);
		case RULE_COUNT_PKT:
			return count(&run, i, true, key);
		case RULE_RETURN:
			test = false;
			if (!go_back(&run, &i, step->next))
				return PME_FAULT;
			continue;
		}
		if (!act(&run, i))
			return PME_FAULT;
		test = sets_test(step->action);
		i = step->next;
	}
	return PME_NO_MATCH;
}
