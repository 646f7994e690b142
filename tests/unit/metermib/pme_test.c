/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet matching engine: each opcode, rule sets as people write them,
 * hostile ones, and random ones against an interpreter that is slow and
 * obviously right. Then the meter: directions, and what it remembers.
 */
#include <stdlib.h>
#include <string.h>

#include "attribute.h"
#include "matcher.h"
#include "pme.h"
#include "pme_slow.h"
#include "unit.h"

/* ---- rules and packets --------------------------------------------------- */

/* Masks and values as hexadecimal octets, "" is zero. */
static void
octets(uint8_t to[20], uint8_t *length, const char *hex)
{
	unsigned v;

	*length = 0;
	for (; *hex; hex += 2) {
		if (sscanf(hex, "%2x", &v) != 1)
			abort();
		to[(*length)++] = (uint8_t)v;
	}
	if (*length < 2)
		*length = 2;
}

static void
rule(struct rules *rules, unsigned selector, const char *mask,
     const char *value, enum rule_action action, unsigned parameter)
{
	struct rule *r = &rules->rule[rules->count++];

	*r = (struct rule){.selector = (uint8_t)selector,
			   .action = (uint8_t)action,
			   .parameter = (uint16_t)parameter};
	octets(r->mask, &r->mask_length, mask);
	octets(r->value, &r->value_length, value);
}

/* 10.0.0.1:1000 -> 192.0.2.2:80, TCP, from interface 1 to 2, with MACs. */
static struct pme_packet
a_packet(void)
{
	struct pme_packet p;
	static const uint8_t peer[2][4] = {{10, 0, 0, 1}, {192, 0, 2, 2}};

	memset(&p, 0, sizeof(p));
	for (unsigned i = 0; i < 2; i++) {
		memcpy(p.end[i].peer, peer[i], 4);
		p.end[i].peer_type = PEER_TYPE_IPV4;
		p.end[i].trans_type = 6;
		p.end[i].adjacent_type = ADJACENT_TYPE_ETHERNET;
		p.end[i].has_adjacent = 1;
		p.end[i].adjacent[5] = (uint8_t)(1 + i);
		p.end[i].interface[3] = (uint8_t)(1 + i);
	}
	p.end[0].port[0] = 1000 >> 8;
	p.end[0].port[1] = 1000 & 0xff;
	p.end[1].port[1] = 80;
	p.octets = 100;
	p.pdus = 1;
	return p;
}

static enum pme_result
match_as(const struct rules *rules, const struct pme_packet *packet,
	 enum pme_direction direction, struct flow_key *key)
{
	enum pme_result result;
	struct pme *pme;

	CU_ASSERT_EQUAL_FATAL(pme_new(rules->rule, rules->count, &pme), 0);
	result = pme_match(pme, packet, direction, key);
	pme_free(pme);
	return result;
}

static enum pme_result
match(const struct rules *rules, struct flow_key *key)
{
	struct pme_packet packet = a_packet();

	return match_as(rules, &packet, PME_S_TO_D, key);
}

#define NULL_RULE(rules, action, parameter) \
	rule(rules, ATTRIBUTE_NULL, "", "", action, parameter)
#define FLOW_KIND(n) ATTRIBUTE_FLOW_KIND, "ff", n

/* ---- opcodes ------------------------------------------------------------- */

static void
test_endings(void)
{
	struct flow_key key;
	struct rules r = {0};

	NULL_RULE(&r, RULE_IGNORE, 0);
	CU_ASSERT_EQUAL(match(&r, &key), PME_IGNORE);
	r.count = 0;
	NULL_RULE(&r, RULE_NO_MATCH, 0);
	CU_ASSERT_EQUAL(match(&r, &key), PME_NO_MATCH);
	/* A test that fails, and no rule behind it. */
	r.count = 0;
	rule(&r, ATTRIBUTE_SOURCE_PEER_TYPE, "ff", "02", RULE_IGNORE, 0);
	CU_ASSERT_EQUAL(match(&r, &key), PME_NO_MATCH);
	/* Gone to behind the last rule by Return. */
	r.count = 0;
	NULL_RULE(&r, RULE_GOSUB, 2);
	NULL_RULE(&r, RULE_RETURN, 7);
	CU_ASSERT_EQUAL(match(&r, &key), PME_NO_MATCH);
}

static void
test_count(void)
{
	struct flow_key key, expected;
	struct rules r = {0};

	/* Count takes its own value, CountPkt the packet's. */
	rule(&r, ATTRIBUTE_SOURCE_PEER_ADDRESS, "ffffff00", "0a000000",
	     RULE_COUNT, 0);
	CU_ASSERT_EQUAL(match(&r, &key), PME_SUCCESS);
	memset(&expected, 0, sizeof(expected));
	expected.end[0].peer_length = 4;
	expected.end[0].peer[0] = 10;
	memset(expected.end[0].peer_mask, 0xff, 3);
	CU_ASSERT_EQUAL(memcmp(&key, &expected, sizeof(key)), 0);
	/* A mask shorter than the address is one of a prefix. */
	r.count = 0;
	rule(&r, ATTRIBUTE_SOURCE_PEER_ADDRESS, "ffff", "0a00", RULE_COUNT, 0);
	CU_ASSERT_EQUAL(match(&r, &key), PME_SUCCESS);
	expected.end[0].peer_mask[2] = 0;
	CU_ASSERT_EQUAL(memcmp(&key, &expected, sizeof(key)), 0);
	r.count = 0;
	rule(&r, ATTRIBUTE_DEST_TRANS_ADDRESS, "ffff", "0050", RULE_COUNT_PKT,
	     0);
	CU_ASSERT_EQUAL(match(&r, &key), PME_SUCCESS);
	memset(&expected, 0, sizeof(expected));
	expected.end[1].port[1] = 80;
	memset(expected.end[1].port_mask, 0xff, 2);
	CU_ASSERT_EQUAL(memcmp(&key, &expected, sizeof(key)), 0);
	/* The default rule set: all in one flow without any attribute. */
	r.count = 0;
	NULL_RULE(&r, RULE_COUNT_PKT, 0);
	CU_ASSERT_EQUAL(match(&r, &key), PME_SUCCESS);
	memset(&expected, 0, sizeof(expected));
	CU_ASSERT_EQUAL(memcmp(&key, &expected, sizeof(key)), 0);
}

/* The indicator: what comes after ...Act is done whether or not it is so. */
static void
test_indicator(void)
{
	static const struct {
		enum rule_action action;
		bool tests; /* the next rule */
	} all[] = {
		{RULE_GOTO, true},	   {RULE_GOTO_ACT, false},
		{RULE_PUSH_RULE_TO, true}, {RULE_PUSH_RULE_TO_ACT, false},
		{RULE_PUSH_PKT_TO, true},  {RULE_PUSH_PKT_TO_ACT, false},
		{RULE_POP_TO, true},	   {RULE_POP_TO_ACT, false},
		{RULE_GOSUB, true},	   {RULE_GOSUB_ACT, false},
	};
	struct flow_key key;

	for (unsigned i = 0; i < UNIT_COUNT(all); i++) {
		struct rules r = {0};

		NULL_RULE(&r, all[i].action, 3);
		NULL_RULE(&r, RULE_IGNORE, 0);
		rule(&r, ATTRIBUTE_SOURCE_PEER_TYPE, "ff", "02", RULE_COUNT, 0);
		CU_ASSERT_EQUAL(match(&r, &key),
				all[i].tests ? PME_NO_MATCH : PME_SUCCESS);
	}
	for (unsigned i = 0; i < 2; i++) {
		struct rules r = {0};

		rule(&r, ATTRIBUTE_V1, "", "08",
		     i ? RULE_ASSIGN_ACT : RULE_ASSIGN, 3);
		NULL_RULE(&r, RULE_IGNORE, 0);
		rule(&r, ATTRIBUTE_SOURCE_PEER_TYPE, "ff", "02", RULE_COUNT, 0);
		CU_ASSERT_EQUAL(match(&r, &key),
				i ? PME_SUCCESS : PME_NO_MATCH);
	}
}

static void
test_queue(void)
{
	struct flow_key key;
	struct rules r = {0};

	/* Later pushes win; PopTo takes the last one back. */
	NULL_RULE(&r, RULE_GOTO_ACT, 2);
	rule(&r, FLOW_KIND("01"), RULE_PUSH_RULE_TO_ACT, 3);
	rule(&r, FLOW_KIND("02"), RULE_PUSH_RULE_TO_ACT, 4);
	rule(&r, ATTRIBUTE_FLOW_CLASS, "ff", "07", RULE_PUSH_RULE_TO_ACT, 5);
	NULL_RULE(&r, RULE_POP_TO, 6);
	NULL_RULE(&r, RULE_COUNT, 0);
	CU_ASSERT_EQUAL(match(&r, &key), PME_SUCCESS);
	CU_ASSERT_EQUAL(key.kind[2], 2);
	CU_ASSERT_EQUAL(key.class[2], 0);
	/* What was pushed for a class or a kind can be tested. */
	r.count = 0;
	NULL_RULE(&r, RULE_GOTO_ACT, 2);
	rule(&r, FLOW_KIND("05"), RULE_PUSH_RULE_TO, 3);
	rule(&r, FLOW_KIND("00"), RULE_IGNORE, 0);
	NULL_RULE(&r, RULE_GOTO_ACT, 5);
	rule(&r, ATTRIBUTE_FLOW_KIND, "04", "", RULE_PUSH_PKT_TO, 6);
	rule(&r, FLOW_KIND("05"), RULE_IGNORE, 0);
	rule(&r, FLOW_KIND("04"), RULE_COUNT_PKT, 0);
	CU_ASSERT_EQUAL(match(&r, &key), PME_SUCCESS);
	CU_ASSERT_EQUAL(key.kind[2], 4);
	/* More than there is to take back is nothing. */
	r.count = 0;
	NULL_RULE(&r, RULE_POP_TO, 2);
	NULL_RULE(&r, RULE_COUNT, 0);
	CU_ASSERT_EQUAL(match(&r, &key), PME_SUCCESS);
}

static void
test_subroutines(void)
{
	struct flow_key key;
	struct rules r = {0};

	/*
	 * A subroutine with a way back for each case, and a variable: the
	 * address it classifies. Called for the source, then the destination.
	 */
	rule(&r, ATTRIBUTE_V1, "", "09", RULE_ASSIGN_ACT, 2);
	NULL_RULE(&r, RULE_GOSUB, 8);  /* classify */
	NULL_RULE(&r, RULE_IGNORE, 0); /* 1: unknown */
	rule(&r, ATTRIBUTE_SOURCE_KIND, "ff", "0a", RULE_PUSH_RULE_TO, 6);
	rule(&r, ATTRIBUTE_SOURCE_KIND, "ff", "14", RULE_PUSH_RULE_TO, 6);
	rule(&r, ATTRIBUTE_V1, "", "13", RULE_ASSIGN_ACT, 7);
	NULL_RULE(&r, RULE_GOSUB_ACT, 11);
	/* classify (v1): 10/8 is 2, 192.0.2/24 is 3 */
	rule(&r, ATTRIBUTE_V1, "ff000000", "0a000000", RULE_RETURN, 2);
	rule(&r, ATTRIBUTE_V1, "ffffff00", "c0000200", RULE_RETURN, 3);
	NULL_RULE(&r, RULE_RETURN, 1);
	/* pushes it, through the variable */
	rule(&r, ATTRIBUTE_V1, "ffffff00", "", RULE_COUNT_PKT, 0);
	CU_ASSERT_EQUAL(match(&r, &key), PME_SUCCESS);
	CU_ASSERT_EQUAL(key.kind[0], 0x0a);
	CU_ASSERT_EQUAL(key.end[0].peer_length, 0);
	CU_ASSERT_EQUAL(key.end[1].peer_length, 4);
	CU_ASSERT_EQUAL(key.end[1].peer[0], 192);
	CU_ASSERT_EQUAL(key.end[1].peer[3], 0);

	/* What a subroutine assigns is forgotten when it returns. */
	r.count = 0;
	rule(&r, ATTRIBUTE_V5, "", "0b", RULE_ASSIGN_ACT, 2);
	NULL_RULE(&r, RULE_GOSUB, 5);
	rule(&r, ATTRIBUTE_V5, "", "", RULE_GOTO_ACT, 4); /* not tested */
	rule(&r, ATTRIBUTE_V5, "ff", "", RULE_COUNT_PKT, 0);
	rule(&r, ATTRIBUTE_V5, "", "08", RULE_ASSIGN, 6);
	rule(&r, ATTRIBUTE_V5, "ff", "01", RULE_RETURN, 1);
	r.rule[3].value[0] = 6;
	CU_ASSERT_EQUAL(match(&r, &key), PME_SUCCESS);
	CU_ASSERT_EQUAL(key.end[0].trans_type, 6);
	CU_ASSERT_EQUAL(key.end[0].peer_type, 0);
}

static void
test_directions(void)
{
	struct pme_packet packet = a_packet();
	struct flow_key key;
	struct rules r = {0};

	rule(&r, ATTRIBUTE_SOURCE_TRANS_ADDRESS, "ffff", "0050",
	     RULE_PUSH_PKT_TO, 3);
	NULL_RULE(&r, RULE_NO_MATCH, 0);
	NULL_RULE(&r, RULE_COUNT, 0);
	CU_ASSERT_EQUAL(match_as(&r, &packet, PME_S_TO_D, &key), PME_NO_MATCH);
	CU_ASSERT_EQUAL(match_as(&r, &packet, PME_D_TO_S, &key), PME_SUCCESS);
	CU_ASSERT_EQUAL(key.end[0].port[1], 80);
	/* MatchingStoD: 1, and both 0 and 2 for the other one. */
	for (unsigned value = 0; value < 3; value++) {
		r.count = 0;
		NULL_RULE(&r, RULE_GOTO, 2);
		rule(&r, ATTRIBUTE_MATCHING_STOD, "ff", "00", RULE_COUNT, 0);
		r.rule[1].value[0] = (uint8_t)value;
		CU_ASSERT_EQUAL(match_as(&r, &packet, PME_S_TO_D, &key),
				value == 1 ? PME_SUCCESS : PME_NO_MATCH);
		CU_ASSERT_EQUAL(match_as(&r, &packet, PME_D_TO_S, &key),
				value == 1 ? PME_NO_MATCH : PME_SUCCESS);
	}
}

static void
test_interfaces(void)
{
	struct pme_packet packet = a_packet();
	struct flow_key key;
	struct rules r = {0};
	static const struct {
		const char *mask, *value;
		uint32_t interface;
		bool is;
	} all[] = {
		{"ff", "01", 1, true},
		{"ff", "01", 257, false},
		{"ffff", "0001", 1, true},
		{"ffff", "0101", 257, true},
		{"ffff", "0001", 65537, false},
		{"ffffffff", "00010001", 65537, true},
		{"", "", 65537, true},
	};

	for (unsigned i = 0; i < UNIT_COUNT(all); i++) {
		for (unsigned n = 0; n < 4; n++)
			packet.end[0].interface[n] =
				(uint8_t)(all[i].interface >> (24 - 8 * n));
		r.count = 0;
		rule(&r, ATTRIBUTE_SOURCE_INTERFACE, all[i].mask, all[i].value,
		     RULE_COUNT_PKT, 0);
		CU_ASSERT_EQUAL(match_as(&r, &packet, PME_S_TO_D, &key),
				all[i].is ? PME_SUCCESS : PME_NO_MATCH);
		if (all[i].is && *all[i].mask)
			CU_ASSERT_EQUAL(key.end[0].interface, all[i].interface);
	}
	/* The number is not cut off by a mask that is narrower. */
	r.count = 0;
	NULL_RULE(&r, RULE_GOTO_ACT, 2);
	rule(&r, ATTRIBUTE_SOURCE_INTERFACE, "ffff", "", RULE_COUNT_PKT, 0);
	CU_ASSERT_EQUAL(match_as(&r, &packet, PME_S_TO_D, &key), PME_SUCCESS);
	CU_ASSERT_EQUAL(key.end[0].interface, 65537);
}

static void
test_hostile(void)
{
	struct flow_key key;
	struct rules r = {0};

	NULL_RULE(&r, RULE_GOTO, 1); /* for ever */
	CU_ASSERT_EQUAL(match(&r, &key), PME_FAULT);
	r.count = 0;
	NULL_RULE(&r, RULE_PUSH_PKT_TO, 1); /* without end */
	CU_ASSERT_EQUAL(match(&r, &key), PME_FAULT);
	r.count = 0;
	NULL_RULE(&r, RULE_GOSUB, 1); /* deeper and deeper */
	CU_ASSERT_EQUAL(match(&r, &key), PME_FAULT);
	r.count = 0;
	NULL_RULE(&r, RULE_RETURN, 1); /* from nowhere */
	CU_ASSERT_EQUAL(match(&r, &key), PME_FAULT);
	r.count = 0;
	NULL_RULE(&r, RULE_GOSUB, 2);
	NULL_RULE(&r, RULE_RETURN, 0); /* to the Gosub again */
	CU_ASSERT_EQUAL(match(&r, &key), PME_FAULT);
	/* A value longer than any attribute of a packet is never there. */
	r.count = 0;
	rule(&r, ATTRIBUTE_SOURCE_PEER_ADDRESS, "",
	     "0000000000000000000000000000000000000001", RULE_COUNT, 0);
	CU_ASSERT_EQUAL(match(&r, &key), PME_NO_MATCH);
	/* So is one with bits that the mask leaves out. */
	r.count = 0;
	rule(&r, ATTRIBUTE_SOURCE_PEER_ADDRESS, "ff", "0a01", RULE_COUNT, 0);
	CU_ASSERT_EQUAL(match(&r, &key), PME_NO_MATCH);
}

/* ---- at random ----------------------------------------------------------- */

static unsigned
dice(unsigned sides)
{
	return (unsigned)rand() % sides;
}

static unsigned
random_attribute(bool variables)
{
	static const uint8_t some[] = {0,  4,  5,  6,  8,  9,  11, 12, 14,
				       15, 16, 18, 19, 21, 22, 33, 34, 35,
				       36, 37, 38, 39, 40, 41, 50};

	if (variables && dice(4) == 0)
		return 51 + dice(5);
	return some[dice(sizeof(some))];
}

static void
random_octets(uint8_t to[20], uint8_t *length, bool mask)
{
	static const uint8_t lengths[] = {2, 2, 3, 4, 4, 6, 16, 20};

	memset(to, 0, 20);
	*length = lengths[dice(sizeof(lengths))];
	for (unsigned i = 0; i < *length && dice(5); i++)
		to[i] = mask && dice(8) ? 0xff
			: mask		? (uint8_t)rand()
					: (uint8_t)dice(3);
}

static void
random_rules(struct rules *rules)
{
	rules->count = 1 + dice(14);
	for (unsigned i = 0; i < rules->count; i++) {
		struct rule *r = &rules->rule[i];

		do {
			*r = (struct rule){
				.selector = (uint8_t)random_attribute(true),
				.action = (uint8_t)(1 + dice(17)),
				.parameter = (uint16_t)(1 + dice(rules->count)),
			};
			random_octets(r->mask, &r->mask_length, true);
			random_octets(r->value, &r->value_length, false);
			if (dice(3) == 0)
				memset(r->mask, 0, 20);
			if (dice(3) == 0)
				memset(r->value, 0, 20);
			if (r->action == RULE_ASSIGN ||
			    r->action == RULE_ASSIGN_ACT) {
				r->selector = (uint8_t)(51 + dice(5));
				r->value[0] = (uint8_t)random_attribute(false);
			}
			if (r->action == RULE_RETURN)
				r->parameter = (uint16_t)dice(4);
		} while (!rule_check(r, rules->count));
	}
}

static struct pme_packet
random_packet(void)
{
	struct pme_packet p;
	bool v6 = dice(3) == 0;
	uint8_t protocol = (uint8_t)dice(3);
	uint8_t has_adjacent = (uint8_t)dice(2);

	memset(&p, 0, sizeof(p));
	for (unsigned i = 0; i < 2; i++) {
		struct pme_end *e = &p.end[i];

		for (unsigned n = 0; n < (v6 ? 16u : 4u); n++)
			e->peer[n] = (uint8_t)dice(n < 2 ? 3 : 2);
		e->peer_type = v6 ? 2 : 1;
		e->trans_type = protocol;
		e->has_adjacent = has_adjacent;
		e->adjacent_type = has_adjacent ? ADJACENT_TYPE_ETHERNET : 0;
		e->adjacent[0] = has_adjacent ? (uint8_t)dice(3) : 0;
		e->port[0] = (uint8_t)dice(2);
		e->port[1] = (uint8_t)dice(3);
		e->interface[1] = dice(8) == 0;
		e->interface[2] = dice(8) == 0;
		e->interface[3] = (uint8_t)dice(3);
	}
	p.octets = 1 + dice(1000);
	p.pdus = 1;
	return p;
}

static void
test_random(void)
{
	unsigned wrong = 0, seen[4] = {0};

	srand(2722);
	for (unsigned i = 0; i < unit_turns(40000); i++) {
		struct rules r = {0};
		struct pme *pme;

		random_rules(&r);
		CU_ASSERT_EQUAL_FATAL(pme_new(r.rule, r.count, &pme), 0);
		for (unsigned n = 0; n < 8; n++) {
			struct pme_packet packet = random_packet();
			struct flow_key key, expected;
			struct plain flow;
			bool back = n % 2;
			enum pme_result result, slow;

			result =
				pme_match(pme, &packet,
					  back ? PME_D_TO_S : PME_S_TO_D, &key);
			slow = slow_match(&r, &packet, back, &flow);
			expected = plain_key(&flow);
			seen[result]++;
			wrong += result != slow ||
				 (result == PME_SUCCESS &&
				  memcmp(&key, &expected, sizeof(key)) != 0);
		}
		pme_free(pme);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT(seen[i] > unit_turns(1000));
}

/* ---- the meter ----------------------------------------------------------- */

static struct meter *
meter_with(const struct rules *rules, uint32_t max_flows)
{
	struct meter_config config = {
		.max_flows = max_flows, .max_rules = 1000, .inactivity = 600};
	struct meter *meter = meter_new(&config, 1000);
	struct rule_set row = {
		.status = ROW_ACTIVE, .owner_set = true, .size = rules->count};

	CU_ASSERT_PTR_NOT_NULL_FATAL(meter);
	CU_ASSERT_EQUAL_FATAL(rule_store_put(meter->rules, 2, &row), 0);
	for (unsigned i = 0; i < rules->count; i++)
		*rule_store_rule(meter->rules, 2, i + 1) = rules->rule[i];
	CU_ASSERT_EQUAL_FATAL(rule_store_check(meter->rules, 2), 0);
	meter->manager[0].current = 2;
	meter_update(meter);
	return meter;
}

/* Hosts and ports of both ends, as a rule set that is used much. */
static void
five_tuple(struct rules *r)
{
	r->count = 0;
	rule(r, ATTRIBUTE_SOURCE_PEER_TYPE, "ff", "01", RULE_PUSH_PKT_TO_ACT,
	     3);
	NULL_RULE(r, RULE_IGNORE, 0);
	rule(r, ATTRIBUTE_DEST_PEER_TYPE, "ff", "", RULE_PUSH_PKT_TO_ACT, 4);
	rule(r, ATTRIBUTE_SOURCE_TRANS_TYPE, "ff", "", RULE_PUSH_PKT_TO_ACT, 5);
	rule(r, ATTRIBUTE_DEST_TRANS_TYPE, "ff", "", RULE_PUSH_PKT_TO_ACT, 6);
	rule(r, ATTRIBUTE_SOURCE_PEER_ADDRESS, "ffffffff", "",
	     RULE_PUSH_PKT_TO_ACT, 7);
	rule(r, ATTRIBUTE_DEST_PEER_ADDRESS, "ffffffff", "",
	     RULE_PUSH_PKT_TO_ACT, 8);
	rule(r, ATTRIBUTE_SOURCE_TRANS_ADDRESS, "ffff", "",
	     RULE_PUSH_PKT_TO_ACT, 9);
	rule(r, ATTRIBUTE_DEST_TRANS_ADDRESS, "ffff", "", RULE_COUNT_PKT, 0);
}

static struct pme_packet
exchanged(const struct pme_packet *packet)
{
	struct pme_packet other = *packet;

	other.end[0] = packet->end[1];
	other.end[1] = packet->end[0];
	return other;
}

static void
test_meter_directions(void)
{
	struct pme_packet packet = a_packet(), back = exchanged(&packet);
	const struct meter_flow *flow;
	struct meter *meter;
	struct rules r = {0};

	five_tuple(&r);
	meter = meter_with(&r, 100);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(meter_packet(meter, &packet, true),
				METER_COUNTED);
	back.octets = 40;
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(meter_packet(meter, &back, true),
				METER_COUNTED);
	CU_ASSERT_EQUAL(meter_table_flows(meter->flows, 0), 1);
	flow = meter_table_oldest(meter->flows, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(flow);
	CU_ASSERT_EQUAL(flow->pdus[FLOW_TO], 3);
	CU_ASSERT_EQUAL(flow->octets[FLOW_TO], 300);
	CU_ASSERT_EQUAL(flow->pdus[FLOW_FROM], 2);
	CU_ASSERT_EQUAL(flow->octets[FLOW_FROM], 80);
	/* Two of five packets had rules executed. */
	CU_ASSERT_EQUAL(meter_totals(meter)->executed, 2);
	meter_free(meter);

	/* The rules say who is the source: here it has port 80. */
	r.count = 0;
	rule(&r, ATTRIBUTE_SOURCE_TRANS_ADDRESS, "ffff", "0050",
	     RULE_PUSH_PKT_TO, 3);
	NULL_RULE(&r, RULE_NO_MATCH, 0);
	rule(&r, ATTRIBUTE_SOURCE_PEER_TYPE, "ff", "01", RULE_COUNT_PKT, 0);
	meter = meter_with(&r, 100);
	CU_ASSERT_EQUAL(meter_packet(meter, &packet, true), METER_COUNTED);
	CU_ASSERT_EQUAL(meter_packet(meter, &back, true), METER_COUNTED);
	flow = meter_table_oldest(meter->flows, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(flow);
	CU_ASSERT_EQUAL(flow->octets[FLOW_TO], 40);
	CU_ASSERT_EQUAL(flow->octets[FLOW_FROM], 100);
	meter_free(meter);
}

static void
test_meter_full(void)
{
	struct pme_packet packet = a_packet();
	struct meter *meter;
	struct rules r = {0};

	five_tuple(&r);
	meter = meter_with(&r, 4);
	meter->flood_mark = 0;
	for (unsigned i = 0; i < 6; i++) {
		packet.end[0].port[1] = (uint8_t)i;
		CU_ASSERT_EQUAL(meter_packet(meter, &packet, true),
				i < 4 ? METER_COUNTED : METER_FULL);
	}
	/* Room again: a flow of another packet takes the place of one. */
	meter_table_remove(meter->flows, meter_table_oldest(meter->flows, 2),
			   FLOW_END_RECYCLED);
	CU_ASSERT_EQUAL(meter_packet(meter, &packet, true), METER_COUNTED);
	packet.end[0].port[1] = 0;
	CU_ASSERT_EQUAL(meter_packet(meter, &packet, true), METER_FULL);
	/* Above the mark the task runs its standby rule set: none. */
	meter->manager[0].high_water_mark = 50;
	meter_look_at_marks(meter);
	CU_ASSERT_EQUAL(meter->run_count, 0);
	CU_ASSERT_EQUAL(meter_packet(meter, &packet, true), METER_IGNORED);
	meter_free(meter);
}

static void
test_meter_sampling(void)
{
	struct pme_packet packet = a_packet();
	struct meter *meter;
	struct rules r = {0};
	unsigned counted = 0;

	NULL_RULE(&r, RULE_COUNT_PKT, 0);
	meter = meter_with(&r, 4);
	CU_ASSERT_EQUAL(meter_interface_add(meter, 1), 0);
	meter->interface[0].sample_rate = 0;
	CU_ASSERT_EQUAL(meter_packet(meter, &packet, true), METER_SAMPLED);
	/* Records of flows are no packets to be sampled. */
	CU_ASSERT_EQUAL(meter_packet(meter, &packet, false), METER_COUNTED);
	meter->interface[0].sample_rate = 10;
	for (unsigned i = 0; i < 100000; i++)
		counted += meter_packet(meter, &packet, true) == METER_COUNTED;
	CU_ASSERT(counted > 9500 && counted < 10500);
	CU_ASSERT_EQUAL(meter_totals(meter)->sampled, 100001 - counted);
	meter_free(meter);
}

/* A meter without any memory of its last answers, and a list of flows. */
struct plain_meter {
	unsigned flows;
	struct {
		struct flow_key key;
		uint64_t octets[2];
	} at[256];
};

static int
plain_find(const struct plain_meter *m, const struct plain *flow)
{
	struct flow_key key = plain_key(flow);

	for (unsigned i = 0; i < m->flows; i++)
		if (memcmp(&m->at[i].key, &key, sizeof(key)) == 0)
			return (int)i;
	return -1;
}

static struct plain
plain_exchanged(const struct plain *flow)
{
	static const uint8_t pair[][2] = {{33, 34}, {36, 37}, {39, 40}};
	struct plain other = *flow;

	for (unsigned i = 4; i < 14; i++) {
		other.at[i] = flow->at[i + 10];
		other.at[i + 10] = flow->at[i];
	}
	for (unsigned i = 0; i < 3; i++) {
		other.at[pair[i][0]] = flow->at[pair[i][1]];
		other.at[pair[i][1]] = flow->at[pair[i][0]];
	}
	return other;
}

static int
plain_new(struct plain_meter *m, const struct plain *flow)
{
	m->at[m->flows].key = plain_key(flow);
	m->at[m->flows].octets[0] = m->at[m->flows].octets[1] = 0;
	return (int)m->flows++;
}

static void
plain_count(struct plain_meter *m, const struct rules *r,
	    const struct pme_packet *packet)
{
	struct plain flow, other;
	enum flow_direction direction = FLOW_TO;
	enum pme_result result = slow_match(r, packet, false, &flow);
	int i;

	if (result == PME_SUCCESS) {
		i = plain_find(m, &flow);
		other = plain_exchanged(&flow);
		if (i < 0 && (i = plain_find(m, &other)) >= 0)
			direction = FLOW_FROM;
	} else if (result == PME_IGNORE ||
		   slow_match(r, packet, true, &flow) != PME_SUCCESS) {
		return;
	} else {
		i = plain_find(m, &flow);
		direction = FLOW_FROM;
	}
	if (i < 0)
		i = plain_new(m, &flow);
	m->at[i].octets[direction] += packet->octets;
}

static void
test_meter_random(void)
{
	struct plain_meter *m = malloc(sizeof(*m));
	unsigned wrong = 0, flows = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	srand(2123);
	for (unsigned i = 0; i < unit_turns(3000); i++) {
		struct rules r = {0};
		struct meter *meter;

		random_rules(&r);
		meter = meter_with(&r, 256);
		m->flows = 0;
		for (unsigned n = 0; n < 60; n++) {
			struct pme_packet packet = random_packet();

			meter_packet(meter, &packet, true);
			plain_count(m, &r, &packet);
			packet = exchanged(&packet);
			meter_packet(meter, &packet, true);
			plain_count(m, &r, &packet);
		}
		wrong += meter_table_flows(meter->flows, 2) != m->flows;
		for (unsigned n = 0; n < m->flows; n++) {
			struct flow_key key = m->at[n].key;
			const struct meter_flow *f;

			key.rule_set = 2;
			f = meter_table_find(meter->flows, &key);
			wrong += !f || f->octets[0] != m->at[n].octets[0] ||
				 f->octets[1] != m->at[n].octets[1];
		}
		flows += m->flows;
		meter_free(meter);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(flows > unit_turns(500));
	free(m);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"endings", test_endings},
		{"count", test_count},
		{"indicator", test_indicator},
		{"queue", test_queue},
		{"subroutines", test_subroutines},
		{"directions", test_directions},
		{"interfaces", test_interfaces},
		{"hostile rules", test_hostile},
		{"random rules", test_random},
		{"meter: directions", test_meter_directions},
		{"meter: full", test_meter_full},
		{"meter: sampling", test_meter_sampling},
		{"meter: random rules", test_meter_random},
	};

	return unit_run("packet matching engine", tests, UNIT_COUNT(tests));
}
