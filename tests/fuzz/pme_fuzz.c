/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules that a manager may load, on packets that may come: the input is a rule
 * set and then packets. Whatever the rules do, a packet costs a bounded amount
 * of work, what is remembered of it is what the rules would say again, masked
 * bits of a flow are zero, and all that was counted is in the flows.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/wire.h"
#include "matcher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_FLOWS = 50, MAX_RULES = 30, PACKETS = 200 };

static void
read_rule(struct reader *r, struct rule *rule, uint32_t rules)
{
	*rule = (struct rule){.selector = reader_u8(r),
			      .action = 1 + reader_u8(r) % 17,
			      .parameter = reader_u8(r)};
	rule->mask_length = 2 + reader_u8(r) % 19;
	rule->value_length = 2 + reader_u8(r) % 19;
	for (unsigned i = 0; i < rule->mask_length; i++)
		rule->mask[i] = reader_u8(r);
	for (unsigned i = 0; i < rule->value_length; i++)
		rule->value[i] = reader_u8(r);
	/* As no manager can activate what cannot be executed. */
	if (!rule_check(rule, rules))
		*rule = (struct rule){
			.action = 1 + reader_u8(r) % 4,
			.mask_length = 2,
			.value_length = 2,
		};
}

static struct meter *
meter_of(struct reader *r)
{
	struct meter_config config = {.max_flows = MAX_FLOWS,
				      .max_rules = MAX_RULES + 1,
				      .inactivity = 600};
	struct rule_set row = {.status = ROW_ACTIVE, .owner_set = true};
	struct meter *meter = meter_new(&config, 1000);

	assert(meter);
	row.size = 1 + reader_u8(r) % MAX_RULES;
	if (rule_store_put(meter->rules, 2, &row))
		abort();
	for (uint32_t i = 1; i <= row.size; i++)
		read_rule(r, rule_store_rule(meter->rules, 2, i), row.size);
	assert(rule_store_check(meter->rules, 2) == 0);
	meter->manager[0].current = 2;
	meter_update(meter);
	assert(meter->run_count == 1);
	return meter;
}

/* A packet as the stage makes them. */
static struct pme_packet
read_packet(struct reader *r)
{
	struct pme_packet packet = {.octets = reader_u8(r), .pdus = 1};
	unsigned kind = reader_u8(r);

	for (unsigned i = 0; i < 2; i++) {
		struct pme_end *end = &packet.end[i];

		end->peer_type = kind % 3;
		for (unsigned n = 0; n < (kind % 3 == 2 ? 16u : kind % 3 * 4);
		     n++)
			end->peer[n] = n < 3 || n > 14 ? reader_u8(r) : 0;
		end->has_adjacent = kind >> 2 & 1;
		end->adjacent_type = end->has_adjacent ? 7 : 0;
		end->adjacent[5] = end->has_adjacent ? reader_u8(r) : 0;
		end->trans_type = (uint8_t)(kind >> 3);
		end->port[1] = reader_u8(r);
		end->interface[3] = reader_u8(r);
		end->interface[1] = end->interface[3] >> 6;
	}
	return packet;
}

static void
check_mask(const uint8_t *value, const uint8_t *mask, unsigned length)
{
	for (unsigned i = 0; i < length; i++)
		assert((value[i] & ~mask[i]) == 0);
}

static uint64_t
check_flows(const struct meter *meter)
{
	uint64_t octets = 0;

	for (uint32_t i = 1; i <= MAX_FLOWS; i++) {
		const struct meter_flow *flow = meter_table_at(meter->flows, i);

		if (!flow)
			continue;
		octets += flow->octets[0] + flow->octets[1];
		for (unsigned e = 0; e < 2; e++) {
			const struct flow_end *end = &flow->key.end[e];

			check_mask(end->peer, end->peer_mask, 20);
			check_mask(end->adjacent, end->adjacent_mask, 20);
			check_mask(end->port, end->port_mask, 2);
			assert(end->peer_length <= 20);
		}
	}
	return octets;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r;
	struct meter *meter;
	uint64_t octets = 0;

	reader_init(&r, data, size);
	meter = meter_of(&r);
	for (unsigned i = 0; i < PACKETS && reader_left(&r); i++) {
		struct pme_packet packet = read_packet(&r);
		enum meter_fate fate = meter_packet(meter, &packet, true);

		octets += fate == METER_COUNTED ? packet.octets : 0;
		/* Once more: from memory, and with the same result. */
		if (fate == METER_COUNTED) {
			assert(meter_packet(meter, &packet, true) == fate);
			octets += packet.octets;
		}
	}
	assert(check_flows(meter) == octets);
	meter_free(meter);
	return 0;
}
