/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Which module does the meter have? flowFloodMode came with RFC 2720; a meter
 * that has other objects below mib-2 40 but not this one follows RFC 2064:
 * flow data without a rule set in its index, 32 bit counters, no packages.
 * flowMaxFlows, which both have, bounds what we remember.
 */
#include "meter_pdu.h"
#include "reader.h"

static const oid flow_mib[] = {OID_FLOW_MIB};
static const oid max_flows[] = {OID_MAX_FLOWS};
static const oid flood_mode[] = {OID_FLOOD_MODE};

static void
probe_end(struct meter_reader *reader)
{
	reader->probed = true;
	meter_reader_log(reader, LOG_LEVEL_INFO, "has the Meter MIB of RFC %s",
			 reader->rfc2064 ? "2064" : "2720");
	meter_reader_next(reader);
}

static void
max_flows_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	const netsnmp_variable_list *v = reply->variables;
	uint64_t number;

	if (meter_reader_lost(reader, reply))
		return;
	if (!reply->error && v && variable_number(v, &number) &&
	    number <= INT32_MAX)
		reader->max_flows = (uint32_t)number;
	probe_end(reader);
}

static void
ask_max_flows(struct meter_reader *reader)
{
	netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_GET);

	pdu_ask(pdu, PDU_NAME(max_flows, 0, 0));
	meter_reader_send(reader, pdu, 0, max_flows_answer);
}

static bool
below_flow_mib(const netsnmp_variable_list *v)
{
	return v && !variable_missing(v) &&
	       v->name_length > OID_COUNT(flow_mib) &&
	       memcmp(v->name, flow_mib, sizeof(flow_mib)) == 0;
}

static void
any_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;

	if (meter_reader_lost(reader, reply))
		return;
	if (reply->error || !below_flow_mib(reply->variables)) {
		meter_reader_fail(reader, "it has no Meter MIB, or does not "
				  "show it to us");
		return;
	}
	reader->rfc2064 = true;
	ask_max_flows(reader);
}

static void
flood_mode_answer(void *arg, const struct snmp_reply *reply)
{
	struct meter_reader *reader = arg;
	const netsnmp_variable_list *v = reply->variables;
	netsnmp_pdu *pdu;

	if (meter_reader_lost(reader, reply))
		return;
	if (!reply->error && v && !variable_missing(v)) {
		reader->rfc2064 = false;
		ask_max_flows(reader);
		return;
	}
	pdu = snmp_pdu_create(SNMP_MSG_GETNEXT);
	if (pdu)
		snmp_add_null_var(pdu, flow_mib, OID_COUNT(flow_mib));
	meter_reader_send(reader, pdu, 0, any_answer);
}

void
meter_probe_begin(struct meter_reader *reader)
{
	netsnmp_pdu *pdu;

	if (reader->conf.mib != METER_MIB_AUTO) {
		reader->rfc2064 = reader->conf.mib == METER_MIB_RFC2064;
		ask_max_flows(reader);
		return;
	}
	pdu = snmp_pdu_create(SNMP_MSG_GET);
	pdu_ask(pdu, PDU_NAME(flood_mode, 0, 0));
	meter_reader_send(reader, pdu, 0, flood_mode_answer);
}
