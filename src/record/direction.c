/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 5103 section 3.1 has "directional" key fields, which change places when
 * the direction does; which elements those are it leaves to their names.
 */
#include "conflux/direction.h"

#include <stddef.h>

static const uint16_t pair[][2] = {
	{IE_sourceIPv4Address, IE_destinationIPv4Address},
	{IE_sourceIPv6Address, IE_destinationIPv6Address},
	{IE_sourceIPv4Prefix, IE_destinationIPv4Prefix},
	{IE_sourceIPv6Prefix, IE_destinationIPv6Prefix},
	{IE_sourceIPv4PrefixLength, IE_destinationIPv4PrefixLength},
	{IE_sourceIPv6PrefixLength, IE_destinationIPv6PrefixLength},
	{IE_sourceTransportPort, IE_destinationTransportPort},
	{IE_udpSourcePort, IE_udpDestinationPort},
	{IE_tcpSourcePort, IE_tcpDestinationPort},
	{IE_sourceMacAddress, IE_destinationMacAddress},
	{IE_postSourceMacAddress, IE_postDestinationMacAddress},
	{IE_ingressInterface, IE_egressInterface},
	{IE_ingressPhysicalInterface, IE_egressPhysicalInterface},
	{IE_ingressVRFID, IE_egressVRFID},
	{IE_bgpSourceAsNumber, IE_bgpDestinationAsNumber},
	{IE_postNATSourceIPv4Address, IE_postNATDestinationIPv4Address},
	{IE_postNATSourceIPv6Address, IE_postNATDestinationIPv6Address},
	{IE_postNAPTSourceTransportPort, IE_postNAPTDestinationTransportPort},
};

/* Quantities that are of the meter, not of packets. */
static const uint16_t of_meter[] = {
	IE_samplingInterval,
	IE_samplingAlgorithm,
	IE_samplerId,
	IE_samplerMode,
	IE_samplerRandomInterval,
	IE_samplingPacketInterval,
	IE_samplingPacketSpace,
	IE_samplingTimeInterval,
	IE_samplingTimeSpace,
	IE_samplingSize,
	IE_samplingPopulation,
	IE_samplingProbability,
	IE_flowActiveTimeout,
	IE_flowIdleTimeout,
	IE_flowDurationMilliseconds,
	IE_flowDurationMicroseconds,
};

/* Identifiers that each packet brings along, or that depend on its way. */
static const uint16_t of_packets[] = {
	IE_ipClassOfService,
	IE_postIpClassOfService,
	IE_ipDiffServCodePoint,
	IE_postIpDiffServCodePoint,
	IE_ipPrecedence,
	IE_ipTTL,
	IE_flowLabelIPv6,
	IE_fragmentIdentification,
	IE_fragmentOffset,
	IE_icmpTypeCodeIPv4,
	IE_icmpTypeCodeIPv6,
	IE_icmpTypeIPv4,
	IE_icmpCodeIPv4,
	IE_icmpTypeIPv6,
	IE_icmpCodeIPv6,
	IE_tcpSequenceNumber,
	IE_tcpAcknowledgementNumber,
	IE_tcpWindowSize,
	IE_tcpUrgentPointer,
	IE_ipNextHopIPv4Address,
	IE_ipNextHopIPv6Address,
	IE_bgpNextHopIPv4Address,
	IE_bgpNextHopIPv6Address,
	IE_bgpNextAdjacentAsNumber,
	IE_bgpPrevAdjacentAsNumber,
	IE_mplsTopLabelIPv4Address,
	IE_mplsTopLabelStackSection,
	IE_flowDirection,
};

uint16_t
direction_counterpart(uint16_t id)
{
	for (size_t i = 0; i < sizeof(pair) / sizeof(pair[0]); i++) {
		if (pair[i][0] == id)
			return pair[i][1];
		if (pair[i][1] == id)
			return pair[i][0];
	}
	return 0;
}

static bool
is_in(const uint16_t *list, size_t count, uint16_t id)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == id)
			return true;
	return false;
}

/* What is counted or measured of packets. */
static bool
measures(const struct ie *ie)
{
	static const char *const units[] = {"octets", "packets", "hops"};
	bool yes = ie->semantics == IE_QUANTITY ||
		   ie->semantics == IE_DELTA_COUNTER ||
		   ie->semantics == IE_TOTAL_COUNTER ||
		   ie->semantics == IE_FLAGS;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		yes |= ie->units == ie_units_parse(units[i]);
	return yes;
}

bool
direction_is_of_both(const struct ie *ie)
{
	if (ie->pen)
		return !measures(ie);
	if (!ie->reversible ||
	    is_in(of_meter, sizeof(of_meter) / sizeof(of_meter[0]), ie->id))
		return true;
	return !measures(ie) &&
	       !is_in(of_packets, sizeof(of_packets) / sizeof(of_packets[0]),
		      ie->id);
}
