/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 2722 section 4.3. A packet is matched with its addresses as they are.
 * Success gives the key of a flow: if that flow is there, its forward counters
 * count; else, if the flow of the exchanged key is there, its backward counters
 * do; else a flow is made. On NoMatch the packet is matched once more with its
 * addresses exchanged, and success then means the backward counters of the flow
 * of that key, which is made if need be. So "source" is what the rules say.
 *
 * What a rule set makes of a packet depends on the bits of it that the rules
 * look at, and on the flows that there are. So the last answers are remembered
 * by these bits: most packets need no rule to be executed. An answer that names
 * a flow is void when the flow is gone (its serial tells), or when the
 * exchanged key of a flow gets a flow of its own.
 *
 * flowInterfaceSampleRate: one packet in so many is counted, by chance, as RFC
 * 2720 wants variance. Counters are those of the packets counted, not scaled,
 * and cumulative: when a manager changes the rate no flow ends, and it is the
 * manager who knows since when a flow counts in another way.
 */
#include "matcher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "conflux/wire.h"

enum {
	/* Answers of 80 octets, two for each flow as far as that goes. */
	ANSWERS_MIN = 256,
	ANSWERS_MAX = 1 << 20,
	LOOK_WORDS = 2 * sizeof(struct pme_end) / sizeof(uint64_t),
};

enum answer_kind {
	ANSWER_NONE,
	ANSWER_COUNT,
	ANSWER_IGNORE,
	ANSWER_NO_MATCH,
	ANSWER_FAULT,
};

struct answer {
	uint64_t bits[LOOK_WORDS]; /* that were looked at */
	uint32_t flow;
	uint32_t serial; /* of the flow */
	uint32_t epoch;	 /* of the matcher: so it tells the rule set too */
	uint8_t kind;
	uint8_t direction; /* enum flow_direction */
};

/* Of all rule sets, in pairs: that with the hash, and its neighbour. */
struct answers {
	uint64_t seed;
	uint32_t mask;
	uint32_t epochs; /* given out; 0 is none's */
	uint32_t turn;
	struct answer answer[];
};

struct matcher {
	struct pme *pme;
	uint64_t looks_at[LOOK_WORDS];
	uint32_t epoch; /* answers of others are void */
};

/* ---- rule sets that run -------------------------------------------------- */

struct answers *
answers_new(uint32_t max_flows)
{
	struct answers *answers;
	uint32_t n = ANSWERS_MIN;

	while (n < 2 * max_flows && n < ANSWERS_MAX)
		n *= 2;
	answers = calloc(1, sizeof(*answers) + n * sizeof(struct answer));
	if (answers) {
		answers->seed = hash_seed();
		answers->mask = n - 1;
	}
	return answers;
}

static struct matcher *
matcher_new(struct meter *meter, const struct rule *rules, uint32_t count)
{
	struct matcher *matcher = calloc(1, sizeof(*matcher));

	if (!matcher)
		return NULL;
	if (pme_new(rules, count, &matcher->pme)) {
		free(matcher);
		return NULL;
	}
	memcpy(matcher->looks_at, pme_looks_at(matcher->pme),
	       sizeof(matcher->looks_at));
	matcher->epoch = ++meter->answers->epochs;
	return matcher;
}

void
matcher_free(struct matcher *matcher)
{
	if (!matcher)
		return;
	pme_free(matcher->pme);
	free(matcher);
}

/* Rules do not change while they run, but may between two runs. */
static void
matcher_update(struct meter *meter, unsigned number)
{
	struct matcher **matcher = &meter->matcher[number];
	const struct rule *rules = rule_store_rule(meter->rules, number, 1);
	const struct rule_set *set = rule_store_find(meter->rules, number);

	if (*matcher && meter->running[number] &&
	    pme_made_of((*matcher)->pme, rules, set->size))
		return;
	matcher_free(*matcher);
	*matcher = meter->running[number] ? matcher_new(meter, rules, set->size)
					  : NULL;
}

void
matchers_update(struct meter *meter)
{
	meter->run_count = 0;
	for (unsigned i = 1; i <= RULE_SET_MAX; i++) {
		if (meter->running[i])
			meter->run[meter->run_count++] = (uint8_t)i;
		if (meter->running[i] || meter->matcher[i])
			matcher_update(meter, i);
	}
}

/* ---- directions ---------------------------------------------------------- */

static void
exchange(const struct flow_key *key, struct flow_key *to)
{
	*to = *key;
	for (unsigned i = 0; i < 2; i++) {
		to->end[i] = key->end[1 - i];
		to->subscriber_length[i] = key->subscriber_length[1 - i];
		memcpy(to->subscriber[i], key->subscriber[1 - i],
		       sizeof(to->subscriber[i]));
		to->class[i] = key->class[1 - i];
		to->kind[i] = key->kind[1 - i];
	}
}

/* Success as the packet is. 0, or as meter_flow_find. */
static int
forward(struct meter *meter, const struct flow_key *key,
	struct meter_flow **flow, struct answer *answer)
{
	struct flow_key other;

	*flow = meter_table_find(meter->flows, key);
	answer->direction = FLOW_TO;
	if (*flow)
		return 0;
	exchange(key, &other);
	*flow = meter_table_find(meter->flows, &other);
	if (*flow) {
		answer->direction = FLOW_FROM;
		return 0;
	}
	return meter_flow_find(meter, key, flow);
}

/* Success with the addresses exchanged. */
static int
backward(struct meter *meter, struct matcher *matcher,
	 const struct flow_key *key, struct meter_flow **flow,
	 struct answer *answer)
{
	uint32_t flows = meter_table_flows(meter->flows, 0);
	int err = meter_flow_find(meter, key, flow);
	struct flow_key other;

	answer->direction = FLOW_FROM;
	if (err || meter_table_flows(meter->flows, 0) == flows)
		return err;
	/* Packets that counted backwards there have this flow from now on. */
	exchange(key, &other);
	if (meter_table_find(meter->flows, &other))
		matcher->epoch = ++meter->answers->epochs;
	return 0;
}

static enum answer_kind
answer_of(enum pme_result result)
{
	switch (result) {
	case PME_SUCCESS:
		return ANSWER_COUNT;
	case PME_IGNORE:
		return ANSWER_IGNORE;
	case PME_NO_MATCH:
		return ANSWER_NO_MATCH;
	default:
		return ANSWER_FAULT;
	}
}

/* Executes the rules, at most twice. 0 or as meter_flow_find. */
static int
execute(struct meter *meter, struct matcher *matcher, uint8_t number,
	const struct pme_packet *packet, struct answer *answer)
{
	struct meter_flow *flow = NULL;
	enum pme_result result;
	struct flow_key key;
	int err;

	meter->counters.executed++;
	result = pme_match(matcher->pme, packet, PME_S_TO_D, &key);
	answer->kind = answer_of(result);
	answer->epoch = matcher->epoch;
	if (result == PME_IGNORE)
		return 0;
	if (result == PME_SUCCESS) {
		key.rule_set = number;
		err = forward(meter, &key, &flow, answer);
	} else {
		result = pme_match(matcher->pme, packet, PME_D_TO_S, &key);
		if (result != PME_NO_MATCH || answer->kind != ANSWER_FAULT)
			answer->kind = answer_of(result);
		if (result != PME_SUCCESS)
			return 0;
		key.rule_set = number;
		err = backward(meter, matcher, &key, &flow, answer);
	}
	if (err)
		return err;
	answer->flow = flow->index;
	answer->serial = flow->serial;
	answer->epoch = matcher->epoch;
	return 0;
}

/* ---- packets ------------------------------------------------------------- */

static bool
is_good(const struct meter *meter, const struct matcher *matcher,
	const uint64_t bits[LOOK_WORDS], const struct answer *answer)
{
	const struct meter_flow *flow;

	if (answer->kind == ANSWER_NONE || answer->epoch != matcher->epoch ||
	    memcmp(answer->bits, bits, sizeof(answer->bits)) != 0)
		return false;
	if (answer->kind != ANSWER_COUNT)
		return true;
	flow = meter_table_at(meter->flows, answer->flow);
	return flow && flow->serial == answer->serial;
}

/* The bits of a packet that a rule set looks at, and where its answer is. */
static uint32_t
look(const struct meter *meter, uint8_t number, const struct pme_packet *packet,
     uint64_t bits[LOOK_WORDS])
{
	const struct matcher *matcher = meter->matcher[number];
	const struct answers *answers = meter->answers;

	memcpy(bits, packet->end, LOOK_WORDS * sizeof(*bits));
	for (unsigned i = 0; i < LOOK_WORDS; i++)
		bits[i] &= matcher->looks_at[i];
	return hash_words(bits, LOOK_WORDS * sizeof(*bits),
			  answers->seed ^ number) &
	       answers->mask;
}

/*
 * The answer for a packet, remembered or found. NULL: *fate says why there is
 * none.
 */
static const struct answer *
ask(struct meter *meter, uint8_t number, const struct pme_packet *packet,
    enum meter_fate *fate)
{
	struct matcher *matcher = meter->matcher[number];
	struct answers *answers = meter->answers;
	uint64_t bits[LOOK_WORDS];
	struct answer *answer;
	uint32_t at;
	int err;

	*fate = METER_NO_MEMORY;
	if (!matcher)
		return NULL;
	at = look(meter, number, packet, bits);
	if (is_good(meter, matcher, bits, &answers->answer[at]))
		return &answers->answer[at];
	if (is_good(meter, matcher, bits, &answers->answer[at ^ 1]))
		return &answers->answer[at ^ 1];
	/* One of the two is forgotten, in turn. */
	answer = &answers->answer[at ^ (answers->turn++ & 1)];
	err = execute(meter, matcher, number, packet, answer);
	if (err) {
		answer->kind = ANSWER_NONE;
		*fate = err == -ENOSPC ? METER_FULL : METER_NO_MEMORY;
		return NULL;
	}
	memcpy(answer->bits, bits, sizeof(bits));
	return answer;
}

static enum meter_fate
match(struct meter *meter, uint8_t number, const struct pme_packet *packet)
{
	struct meter_totals *c = &meter->counters;
	enum meter_fate fate;
	const struct answer *answer = ask(meter, number, packet, &fate);

	if (!answer) {
		c->refused++;
		return fate;
	}
	switch (answer->kind) {
	case ANSWER_COUNT:
		meter_table_count(meter->flows,
				  meter_table_at(meter->flows, answer->flow),
				  (enum flow_direction)answer->direction,
				  packet->octets, packet->pdus,
				  (uint32_t)meter->uptime);
		c->counted++;
		return METER_COUNTED;
	case ANSWER_IGNORE:
		c->ignored++;
		break;
	case ANSWER_NO_MATCH:
		c->no_match++;
		break;
	default:
		c->faults++;
	}
	return METER_IGNORED;
}

/* Whether a packet of an interface is one of those to be counted. */
static bool
sampled(struct meter *meter, const struct pme_packet *packet)
{
	uint32_t index = wire_get32(packet->end[FLOW_SOURCE].interface);
	const struct interface_row *row;

	if (index == 0)
		return true;
	row = meter_interface(meter, index);
	if (!row || row->sample_rate == 1)
		return true;
	if (row->sample_rate == 0)
		return false;
	meter->random = hash_u64(meter->random, index);
	return meter->random % row->sample_rate == 0;
}

void
meter_prefetch(const struct meter *meter, const struct pme_packet *packet)
{
	uint64_t bits[LOOK_WORDS];
	const struct answer *answer;

	if (meter->run_count == 0 || !meter->matcher[meter->run[0]])
		return;
	answer = &meter->answers
			  ->answer[look(meter, meter->run[0], packet, bits)];
	__builtin_prefetch(answer);
	__builtin_prefetch(&answer->kind);
}

enum meter_fate
meter_packet(struct meter *meter, const struct pme_packet *packet, bool sample)
{
	uint32_t flows = meter_table_flows(meter->flows, 0);
	enum meter_fate best = METER_IGNORED;

	meter->counters.packets++;
	if (sample && !sampled(meter, packet)) {
		meter->counters.sampled++;
		return METER_SAMPLED;
	}
	for (unsigned i = 0; i < meter->run_count; i++) {
		enum meter_fate fate = match(meter, meter->run[i], packet);

		if (fate == METER_COUNTED || best == METER_IGNORED)
			best = fate;
	}
	/* Not earlier: rule sets may cease to run by it. */
	if (meter_table_flows(meter->flows, 0) != flows)
		meter_look_at_marks(meter);
	return best;
}

const struct meter_totals *
meter_totals(const struct meter *meter)
{
	return &meter->counters;
}
