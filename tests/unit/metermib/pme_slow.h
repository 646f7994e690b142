/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 2722 section 4.4 once more, slow and obviously right: a packet is a list
 * of attributes, exchanged beforehand; nothing is prepared.
 */
#ifndef CONFLUX_TESTS_PME_SLOW_H
#define CONFLUX_TESTS_PME_SLOW_H

#include <string.h>

#include "attribute.h"
#include "pme.h"

enum { RULES = 40 };

struct rules {
	uint32_t count;
	struct rule rule[RULES];
};

/* A packet, or a flow: an attribute has a length and octets at the front. */
struct plain {
	struct {
		unsigned length;
		uint8_t value[20], mask[20];
	} at[64];
};

static inline void
plain_set(struct plain *plain, unsigned attribute, const void *value,
	  unsigned length)
{
	plain->at[attribute].length = length;
	memcpy(plain->at[attribute].value, value, length);
}

static inline struct plain
plain_packet(const struct pme_packet *packet, bool exchanged)
{
	struct plain plain;

	memset(&plain, 0, sizeof(plain));
	for (unsigned i = 0; i < 2; i++) {
		const struct pme_end *e = &packet->end[exchanged ? 1 - i : i];
		unsigned n = i * 10;

		plain_set(&plain, n + 4, e->interface, 4);
		plain_set(&plain, n + 5, &e->adjacent_type, 1);
		plain_set(&plain, n + 6, e->adjacent, e->has_adjacent ? 6 : 0);
		plain_set(&plain, n + 8, &e->peer_type, 1);
		plain_set(&plain, n + 9, e->peer, peer_type_size(e->peer_type));
		plain_set(&plain, n + 11, &e->trans_type, 1);
		plain_set(&plain, n + 12, e->port, 2);
	}
	return plain;
}

static inline uint64_t
number(const uint8_t *octet, unsigned length)
{
	uint64_t n = 0;

	while (length--)
		n = n << 8 | *octet++;
	return n;
}

static inline unsigned
slow_interface_width(const struct rule *r)
{
	uint64_t used = number(r->mask, 4) | number(r->value, 4);

	if (used & 0xffff)
		return 4;
	return used & 0xff0000 || !used ? 2 : 1;
}

static inline bool
slow_test(const struct plain *packet, const struct rule *r, unsigned attribute,
	  bool exchanged)
{
	unsigned width = slow_interface_width(r);
	uint64_t n;

	if (attribute == 0)
		return true;
	if (attribute == 50 && !exchanged)
		return (1 & r->mask[0]) == r->value[0];
	if (attribute == 50)
		return r->value[0] == 0 || (2 & r->mask[0]) == r->value[0];
	if (attribute == 4 || attribute == 14) {
		n = number(packet->at[attribute].value, 4);
		for (unsigned i = 4; i < 20; i++)
			if (r->value[i])
				return false;
		if (number(r->mask, 4) == 0)
			return number(r->value, 4) == 0;
		return n >> (8 * width) == 0 &&
		       (n & number(r->mask, width)) == number(r->value, width);
	}
	for (unsigned i = 0; i < 20; i++)
		if ((packet->at[attribute].value[i] & r->mask[i]) !=
		    r->value[i])
			return false;
	return true;
}

static inline void
slow_push(struct plain *flow, const struct plain *packet, const struct rule *r,
	  unsigned attribute, bool from_packet)
{
	unsigned given = r->mask_length > r->value_length ? r->mask_length
							  : r->value_length;
	unsigned length = packet->at[attribute].length;
	uint8_t mask[20];

	memcpy(mask, r->mask, 20);
	if (attribute == 0 || attribute == 50)
		return;
	if (attribute >= 36 && attribute <= 41 && from_packet) {
		flow->at[attribute].value[0] &= mask[0];
		return;
	}
	memset(&flow->at[attribute], 0, sizeof(flow->at[attribute]));
	if (attribute == 4 || attribute == 14) {
		unsigned width = slow_interface_width(r);
		uint64_t n = number(r->value, width) & number(r->mask, width);

		if (from_packet) {
			n = number(packet->at[attribute].value, 4);
			if (number(r->mask, width) !=
			    UINT64_MAX >> (64 - 8 * width))
				n &= number(r->mask, width);
		}
		for (unsigned i = 0; i < 4; i++)
			flow->at[attribute].value[i] =
				(uint8_t)(n >> (24 - 8 * i));
		return;
	}
	if (!from_packet && length == 0) {
		length = given;
		if (attribute == 9 || attribute == 19 || attribute == 6 ||
		    attribute == 16)
			length = given < 3 ? 3 : given;
		if (attribute >= 33 && attribute <= 35 && length < 4)
			length = 4;
		if (attribute == 35 && length > 10)
			length = 10;
		if (attribute >= 36)
			length = 1;
	}
	flow->at[attribute].length = length;
	for (unsigned i = 0; i < length; i++) {
		uint8_t v = from_packet ? packet->at[attribute].value[i]
					: r->value[i];

		flow->at[attribute].value[i] = v & mask[i];
		flow->at[attribute].mask[i] = mask[i];
	}
}

static inline enum pme_result
slow_match(const struct rules *rules, const struct pme_packet *packet,
	   bool exchanged, struct plain *flow)
{
	struct plain in = plain_packet(packet, exchanged);
	struct {
		unsigned rule, attribute;
		bool packet;
	} queue[PME_QUEUE];
	struct {
		unsigned rule;
		unsigned v[5];
	} stack[PME_DEPTH];
	unsigned queued = 0, depth = 0, v[5] = {0}, now = 1;
	bool test = true;

	memset(flow, 0, sizeof(*flow));
	for (unsigned steps = 0;; steps++) {
		const struct rule *r = &rules->rule[now - 1];
		unsigned attribute, a;

		if (now > rules->count)
			return PME_NO_MATCH;
		if (steps == PME_STEPS + PME_STEPS_PER * rules->count)
			return PME_FAULT;
		attribute = r->selector;
		a = r->action;
		if (attribute >= 51)
			attribute = v[attribute - 51];
		if (attribute >= 36 && attribute <= 41) {
			struct plain so_far;

			memset(&so_far, 0, sizeof(so_far));
			for (unsigned i = 0; i < queued; i++)
				slow_push(&so_far, &in,
					  &rules->rule[queue[i].rule - 1],
					  queue[i].attribute, queue[i].packet);
			in.at[attribute].value[0] =
				so_far.at[attribute].value[0];
		}
		if (test && a != RULE_ASSIGN && a != RULE_ASSIGN_ACT &&
		    !slow_test(&in, r, attribute, exchanged)) {
			now++;
			continue;
		}
		if (a == RULE_IGNORE)
			return PME_IGNORE;
		if (a == RULE_NO_MATCH)
			return PME_NO_MATCH;
		if (a == RULE_RETURN) {
			if (depth-- == 0)
				return PME_FAULT;
			memcpy(v, stack[depth].v, sizeof(v));
			now = stack[depth].rule + r->parameter;
			test = false;
			continue;
		}
		if (a == RULE_GOSUB || a == RULE_GOSUB_ACT) {
			if (depth == PME_DEPTH)
				return PME_FAULT;
			stack[depth].rule = now;
			memcpy(stack[depth++].v, v, sizeof(v));
		}
		if (a == RULE_ASSIGN || a == RULE_ASSIGN_ACT)
			v[r->selector - 51] = r->value[0];
		if ((a == RULE_POP_TO || a == RULE_POP_TO_ACT) && queued)
			queued--;
		if (a == RULE_COUNT || a == RULE_COUNT_PKT ||
		    (a >= RULE_PUSH_RULE_TO && a <= RULE_PUSH_PKT_TO_ACT)) {
			if (queued == PME_QUEUE)
				return PME_FAULT;
			queue[queued].rule = now;
			queue[queued].attribute = attribute;
			queue[queued++].packet = a == RULE_COUNT_PKT ||
						 a == RULE_PUSH_PKT_TO ||
						 a == RULE_PUSH_PKT_TO_ACT;
		}
		if (a == RULE_COUNT || a == RULE_COUNT_PKT)
			break;
		test = a == RULE_GOSUB || a == RULE_ASSIGN || a == RULE_GOTO ||
		       a == RULE_PUSH_RULE_TO || a == RULE_PUSH_PKT_TO ||
		       a == RULE_POP_TO;
		now = r->parameter;
	}
	for (unsigned i = 0; i < queued; i++)
		slow_push(flow, &in, &rules->rule[queue[i].rule - 1],
			  queue[i].attribute, queue[i].packet);
	return PME_SUCCESS;
}

/* The key that a plain flow must have. */
static inline struct flow_key
plain_key(const struct plain *flow)
{
	struct flow_key key;

	memset(&key, 0, sizeof(key));
	for (unsigned i = 0; i < 2; i++) {
		struct flow_end *e = &key.end[i];
		unsigned n = i * 10;

		e->interface = (uint32_t)number(flow->at[n + 4].value, 4);
		e->adjacent_type = flow->at[n + 5].value[0];
		e->adjacent_length = (uint8_t)flow->at[n + 6].length;
		memcpy(e->adjacent, flow->at[n + 6].value, 20);
		memcpy(e->adjacent_mask, flow->at[n + 6].mask, 20);
		e->peer_type = flow->at[n + 8].value[0];
		e->peer_length = (uint8_t)flow->at[n + 9].length;
		memcpy(e->peer, flow->at[n + 9].value, 20);
		memcpy(e->peer_mask, flow->at[n + 9].mask, 20);
		e->trans_type = flow->at[n + 11].value[0];
		memcpy(e->port, flow->at[n + 12].value, 2);
		memcpy(e->port_mask, flow->at[n + 12].mask, 2);
		key.subscriber_length[i] = (uint8_t)flow->at[33 + i].length;
		memcpy(key.subscriber[i], flow->at[33 + i].value, 20);
	}
	key.session_length = (uint8_t)flow->at[35].length;
	memcpy(key.session, flow->at[35].value, 10);
	for (unsigned i = 0; i < 3; i++) {
		key.class[i] = flow->at[36 + i].value[0];
		key.kind[i] = flow->at[39 + i].value[0];
	}
	return key;
}

#endif
