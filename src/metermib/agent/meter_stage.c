/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter as a stage: packets, or records of flows, are matched by the rule
 * sets that run, and their octets and packets counted in the meter's flows.
 * Nothing goes on from here; readers take it by SNMP.
 *
 * What RTFM's attributes are in records: Adjacent is a MAC address of Ethernet,
 * Interface that of ingress for the source and of egress for the destination,
 * TransAddress a port. RTFM says nothing of ICMP: its type and code are the two
 * octets of the destination's TransAddress, the source's is zero, as in the
 * usual flow records.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "../attribute.h"
#include "conflux/clock.h"
#include "conflux/hash.h"
#include "conflux/projection.h"
#include "conflux/wire.h"
#include "matcher.h"

enum {
	PLANS_MAX = 64, /* of more shapes, all are made anew */
	PROTOCOL_ICMP = 1,
	PROTOCOL_ICMPV6 = 58,
};

/* A packet, and what becomes a part of it only when the whole is there. */
struct row {
	struct pme_packet packet;
	uint8_t icmp[2]; /* type, code */
	uint8_t protocol;
};

struct plan {
	const struct shape *shape; /* held */
	unsigned scope_class;
	struct decoder *decoder;
	bool mac;
	bool icmp;
	bool counts;	   /* it tells packets; else one record is one */
	uint8_t peer_type; /* 0: no addresses */
};

struct meter_stage {
	struct stage stage;
	struct meter *meter;
	struct ie_registry *registry;
	bool layer2;
	unsigned plan_count;
	struct plan *plan[PLANS_MAX];
	struct row row[BATCH_MAX];
};

#define END(at, member) \
	FLOW_##at * sizeof(struct pme_end) + offsetof(struct pme_end, member)
#define COUNTER(member) offsetof(struct row, packet.member)

_Static_assert(offsetof(struct row, packet.end) == 0, "END counts from there");

/* Elements, and where they go in a row. */
static const struct wish {
	uint16_t element;
	uint16_t offset;
	uint8_t width;
	uint8_t kind; /* enum slot_kind */
} wishes[] = {
	{IE_sourceIPv4Address, END(SOURCE, peer), 4, SLOT_BYTES},
	{IE_destinationIPv4Address, END(DEST, peer), 4, SLOT_BYTES},
	{IE_sourceIPv6Address, END(SOURCE, peer), 16, SLOT_BYTES},
	{IE_destinationIPv6Address, END(DEST, peer), 16, SLOT_BYTES},
	{IE_sourceMacAddress, END(SOURCE, adjacent), 6, SLOT_BYTES},
	{IE_destinationMacAddress, END(DEST, adjacent), 6, SLOT_BYTES},
	{IE_sourceTransportPort, END(SOURCE, port), 2, SLOT_BYTES},
	{IE_destinationTransportPort, END(DEST, port), 2, SLOT_BYTES},
	{IE_ingressInterface, END(SOURCE, interface), 4, SLOT_BYTES},
	{IE_egressInterface, END(DEST, interface), 4, SLOT_BYTES},
	{IE_protocolIdentifier, offsetof(struct row, protocol), 1, SLOT_BYTES},
	{IE_icmpTypeIPv4, offsetof(struct row, icmp), 1, SLOT_BYTES},
	{IE_icmpCodeIPv4, offsetof(struct row, icmp) + 1, 1, SLOT_BYTES},
	{IE_icmpTypeIPv6, offsetof(struct row, icmp), 1, SLOT_BYTES},
	{IE_icmpCodeIPv6, offsetof(struct row, icmp) + 1, 1, SLOT_BYTES},
	{IE_icmpTypeCodeIPv4, offsetof(struct row, icmp), 2, SLOT_BYTES},
	{IE_icmpTypeCodeIPv6, offsetof(struct row, icmp), 2, SLOT_BYTES},
	{IE_octetDeltaCount, COUNTER(octets), 8, SLOT_UINT},
	{IE_layer2OctetDeltaCount, COUNTER(octets), 8, SLOT_UINT},
	{IE_packetDeltaCount, COUNTER(pdus), 8, SLOT_UINT},
};

enum { WISHES = sizeof(wishes) / sizeof(wishes[0]) };

/* ---- plans --------------------------------------------------------------- */

static void
plan_free(struct plan *plan)
{
	if (!plan)
		return;
	decoder_free(plan->decoder);
	shape_release(plan->shape);
	free(plan);
}

/* Notes what the records tell; false: it is not for this plan. */
static bool
plan_note(struct plan *plan, uint16_t element, bool layer2)
{
	switch (element) {
	case IE_sourceIPv4Address:
	case IE_destinationIPv4Address:
		plan->peer_type = PEER_TYPE_IPV4;
		return true;
	case IE_sourceIPv6Address:
	case IE_destinationIPv6Address:
		/* Records with both are as good as IPv4. */
		if (plan->peer_type == PEER_TYPE_IPV4)
			return false;
		plan->peer_type = PEER_TYPE_IPV6;
		return true;
	case IE_sourceMacAddress:
	case IE_destinationMacAddress:
		plan->mac = true;
		return true;
	case IE_icmpTypeIPv4:
	case IE_icmpTypeIPv6:
	case IE_icmpTypeCodeIPv4:
	case IE_icmpTypeCodeIPv6:
		plan->icmp = true;
		return true;
	case IE_packetDeltaCount:
		plan->counts = true;
		return true;
	case IE_octetDeltaCount:
		return !layer2;
	case IE_layer2OctetDeltaCount:
		return layer2;
	default:
		return true;
	}
}

static int
plan_add(struct plan *plan, const struct meter_stage *ms,
	 const struct batch *batch, const struct wish *wish)
{
	struct slot slot = {
		.ie = ie_find(ms->registry, 0, wish->element),
		.kind = wish->kind,
		.prefix_length = -1,
		.offset = wish->offset,
		.width = wish->width,
	};
	struct source source;

	if (!slot.ie)
		return 0;
	source_find(batch->shape, batch->scope, slot.ie, &source);
	if (source.kind == SOURCE_NONE ||
	    !plan_note(plan, wish->element, ms->layer2))
		return 0;
	return decoder_add(plan->decoder, &slot, &source);
}

static struct plan *
plan_new(const struct meter_stage *ms, const struct batch *batch)
{
	struct plan *plan = calloc(1, sizeof(*plan));
	int err;

	if (!plan)
		return NULL;
	plan->shape = shape_hold(batch->shape);
	plan->scope_class = scope_class(batch->scope);
	err = decoder_new(batch->shape, NULL, &plan->decoder);
	for (unsigned i = 0; i < WISHES && err == 0; i++)
		err = plan_add(plan, ms, batch, &wishes[i]);
	if (err == 0)
		err = decoder_finish(plan->decoder);
	if (err == 0)
		return plan;
	plan_free(plan);
	return NULL;
}

static void
forget_plans(struct meter_stage *ms)
{
	while (ms->plan_count)
		plan_free(ms->plan[--ms->plan_count]);
}

static struct plan *
plan_of(struct meter_stage *ms, const struct batch *batch)
{
	unsigned class = scope_class(batch->scope);
	struct plan *plan;

	for (unsigned i = 0; i < ms->plan_count; i++)
		if (ms->plan[i]->shape == batch->shape &&
		    ms->plan[i]->scope_class == class)
			return ms->plan[i];
	if (ms->plan_count == PLANS_MAX)
		forget_plans(ms);
	plan = plan_new(ms, batch);
	if (plan)
		ms->plan[ms->plan_count++] = plan;
	return plan;
}

/* ---- records ------------------------------------------------------------- */

static void
finish_row(const struct plan *plan, struct row *row)
{
	struct pme_end *end = row->packet.end;

	for (unsigned i = 0; i < 2; i++) {
		end[i].peer_type = plan->peer_type;
		end[i].trans_type = row->protocol;
		if (plan->mac) {
			end[i].adjacent_type = ADJACENT_TYPE_ETHERNET;
			end[i].has_adjacent = 1;
		}
	}
	if (plan->icmp && (row->protocol == PROTOCOL_ICMP ||
			   row->protocol == PROTOCOL_ICMPV6)) {
		memset(end[FLOW_SOURCE].port, 0, sizeof(end->port));
		memcpy(end[FLOW_DEST].port, row->icmp, sizeof(end->port));
	}
	if (!plan->counts)
		row->packet.pdus = 1;
}

/* Interfaces that packets come from become rows of flowInterfaceTable. */
static void
see_interface(struct meter *meter, const struct pme_packet *packet)
{
	for (unsigned i = 0; i < 2; i++) {
		uint32_t index = wire_get32(packet->end[i].interface);

		if (index && !meter_interface(meter, index))
			meter_interface_add(meter, index);
	}
}

static void
count_row(struct meter_stage *ms, const struct row *row, bool sample)
{
	struct ledger *ledger = &ms->stage.ledger;

	see_interface(ms->meter, &row->packet);
	switch (meter_packet(ms->meter, &row->packet, sample)) {
	case METER_COUNTED:
		ledger->merged++;
		break;
	case METER_IGNORED:
	case METER_SAMPLED:
		ledger->filtered++;
		break;
	case METER_FULL:
		ledger->lost[LOSS_CACHE_FULL]++;
		break;
	case METER_NO_MEMORY:
		ledger->lost[LOSS_NO_MEMORY]++;
		break;
	}
}

static void
meter_stage_run(struct stage *stage, const struct batch *batch)
{
	struct meter_stage *ms = (struct meter_stage *)stage;
	struct ledger *ledger = &stage->ledger;
	uint8_t bad[BATCH_MAX];
	struct plan *plan;

	ledger->in += batch->count;
	if (batch->shape->scope_count) {
		ledger->filtered += batch->count; /* Options Data */
		return;
	}
	plan = plan_of(ms, batch);
	if (!plan) {
		ledger->lost[LOSS_NO_MEMORY] += batch->count;
		return;
	}
	meter_advance(ms->meter, clock_mono_ms());
	memset(ms->row, 0, batch->count * sizeof(ms->row[0]));
	decoder_run(plan->decoder, batch, (uint8_t *)ms->row,
		    sizeof(ms->row[0]), bad);
	for (uint32_t i = 0; i < batch->count; i++) {
		finish_row(plan, &ms->row[i]);
		meter_prefetch(ms->meter, &ms->row[i].packet);
	}
	for (uint32_t i = 0; i < batch->count; i++)
		count_row(ms, &ms->row[i], batch->scope->packets);
}

/* ---- the stage ----------------------------------------------------------- */

static void
meter_stage_report(struct stage *stage, struct report *report)
{
	const struct meter_stage *ms = (struct meter_stage *)stage;
	const struct meter *meter = ms->meter;
	const struct meter_totals *c = &meter->counters;
	unsigned readers = 0, managers = 0;

	for (unsigned i = 0; i < METER_ROWS; i++) {
		readers += meter->reader[i].index != 0;
		managers += meter->manager[i].index != 0;
	}
	report_uint(report, "uptime", meter->uptime);
	report_uint(report, "activeFlows", meter_table_flows(meter->flows, 0));
	report_uint(report, "maxFlows", meter_table_max(meter->flows));
	report_bool(report, "floodMode", meter->flood_mode);
	report_uint(report, "readers", readers);
	report_uint(report, "managers", managers);
	report_list(report, "ruleSet");
	for (unsigned i = 0; i < meter->run_count; i++) {
		report_item(report);
		report_uint(report, "number", meter->run[i]);
		report_uint(report, "flows",
			    meter_table_flows(meter->flows, meter->run[i]));
		report_close(report);
	}
	report_end_list(report);
	report_uint(report, "counted", c->counted);
	report_uint(report, "ignored", c->ignored);
	report_uint(report, "noMatch", c->no_match);
	report_uint(report, "ruleFaults", c->faults);
	report_uint(report, "sampledOut", c->sampled);
	report_uint(report, "refused", c->refused);
	report_uint(report, "executed", c->executed);
}

static void
meter_stage_free(struct stage *stage)
{
	struct meter_stage *ms = (struct meter_stage *)stage;

	forget_plans(ms);
	free(ms);
}

static const struct stage_ops meter_stage_ops = {
	.run = meter_stage_run,
	.report = meter_stage_report,
	.free = meter_stage_free,
};

int
meter_stage_new(const char *name, struct meter *meter, bool layer2,
		struct ie_registry *registry, struct stage **out)
{
	struct meter_stage *ms = calloc(1, sizeof(*ms));

	if (!ms)
		return -ENOMEM;
	ms->stage.ops = &meter_stage_ops;
	ms->stage.name = name;
	ms->meter = meter;
	ms->registry = registry;
	ms->layer2 = layer2;
	*out = &ms->stage;
	return 0;
}

int
meter_stage_wants(const struct ie_registry *registry, bool layer2,
		  int (*want)(void *arg, const struct ie *ie, uint16_t length),
		  void *arg)
{
	struct plan plan = {.counts = true};
	int rc = 0;

	for (unsigned i = 0; i < WISHES && rc == 0; i++) {
		const struct ie *ie = ie_find(registry, 0, wishes[i].element);

		/* Type and code come together from packets. */
		if (!ie || ie->id == IE_icmpTypeIPv4 ||
		    ie->id == IE_icmpCodeIPv4 || ie->id == IE_icmpTypeIPv6 ||
		    ie->id == IE_icmpCodeIPv6)
			continue;
		plan.peer_type = 0;
		if (!plan_note(&plan, wishes[i].element, layer2))
			continue;
		rc = want(arg, ie, 0);
		if (rc == -ENOENT)
			rc = 0;
	}
	return rc;
}
