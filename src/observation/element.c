/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of what packets tell (IANA's IPFIX elements). An element that can
 * be told in several ways has several rows: the first one whose headers are
 * there counts. What each one counts is said in confluxd(8), OBSERVATION.
 */
#include "element.h"

#include <errno.h>
#include <stddef.h>

#include "conflux/ie.h"
#include "element_value.h"

#define MEMBER(member) offsetof(struct packet, member)
#define SIZE(member) sizeof(((struct packet *)0)->member)

/* width octets, offset behind the header that a pointer of packet leads to */
#define COPY(name, octets, has, header, at)                                    \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_COPY, .width = (octets),       \
		.needs = (has), .base = MEMBER(header), .offset = (at),        \
	}
#define MASKED(name, has, header, at, mask)                                    \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_MASKED, .width = 2,            \
		.needs = (has), .base = MEMBER(header), .offset = (at),        \
		.constant = (mask),                                            \
	}
/* a member of packet */
#define PACKET(name, octets, has, member)                                      \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_PACKET, .width = (octets),     \
		.needs = (has), .base = MEMBER(member), .size = SIZE(member),  \
	}
/* octets of a member, as they are */
#define OCTETS(name, octets, has, member)                                      \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_OCTETS, .width = (octets),     \
		.needs = (has), .base = MEMBER(member),                        \
	}
#define COUNT(name, has, member)                                               \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_PACKET, .width = 8,            \
		.counter = true, .needs = (has), .base = MEMBER(member),       \
		.size = SIZE(member),                                          \
	}
#define FRAME(name, octets, has, member)                                       \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_FRAME, .width = (octets),      \
		.needs = (has), .base = offsetof(struct frame, member),        \
		.size = sizeof(((struct frame *)0)->member),                   \
	}
#define CONSTANT(name, octets, has, value)                                     \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_CONSTANT, .width = (octets),   \
		.needs = (has), .constant = (value),                           \
	}
#define ONE(name, has)                                                         \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_CONSTANT, .width = 8,          \
		.counter = true, .needs = (has), .constant = 1,                \
	}
#define FUNCTION(name, octets, has, f)                                         \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_FUNCTION, .width = (octets),   \
		.needs = (has), .function = (f),                               \
	}
#define SUM(name, has, f)                                                      \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_FUNCTION, .width = 8,          \
		.counter = true, .needs = (has), .function = (f),              \
	}
/* a function of packets that have something that few have */
#define EXTRA(name, octets, has, what, f)                                      \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_FUNCTION, .width = (octets),   \
		.needs = (has), .extra = (what), .function = (f),              \
	}
/* a way for packets of which another element, if wanted, tells the rest */
#define BESIDE(name, has, what, f)                                             \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_BITS, .width = 32,             \
		.needs = (has), .beside = (what), .bits = (f),                 \
	}
#define BITS(name, has, f)                                                     \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_BITS, .width = 32,             \
		.needs = (has), .bits = (f),                                   \
	}
#define TIME(name, octets)                                                     \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_TIME, .width = (octets),       \
	}
#define SECTION(name, has, f)                                                  \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_SECTION, .needs = (has),       \
		.section = (f),                                                \
	}
#define LIST(name, has, f)                                            \
	{                                                             \
		.id = IE_##name, .how = EXTRACT_LIST, .needs = (has), \
		.list = (f),                                          \
	}
#define EXTRA_LIST(name, has, what, f)                                         \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_LIST, .needs = (has),          \
		.extra = (what), .list = (f),                                  \
	}
#define MPLS_ENTRY(name, n)                                                    \
	{                                                                      \
		.id = IE_##name, .how = EXTRACT_FUNCTION, .width = 3,          \
		.needs = HAS_MPLS, .labels = (n),                              \
		.function = value_mpls_##n,                                    \
	}

static const struct element elements[] = {
	/* Counters of IP packets. Most wanted first. */
	COUNT(octetDeltaCount, HAS_IPV4, ip_length),
	COUNT(octetDeltaCount, HAS_IPV6, ip_length),
	ONE(packetDeltaCount, 0),
	COUNT(octetTotalCount, HAS_IPV4, ip_length),
	COUNT(octetTotalCount, HAS_IPV6, ip_length),
	ONE(packetTotalCount, 0),
	SUM(octetDeltaSumOfSquares, HAS_PAYLOAD, value_octets_squared),
	SUM(octetTotalSumOfSquares, HAS_PAYLOAD, value_octets_squared),
	PACKET(minimumIpTotalLength, 8, HAS_PAYLOAD, ip_length),
	PACKET(maximumIpTotalLength, 8, HAS_PAYLOAD, ip_length),
	PACKET(ipTotalLength, 8, HAS_PAYLOAD, ip_length),
	/* Counters of frames, without their check sequence. */
	SUM(layer2OctetDeltaCount, 0, value_frame_octets),
	SUM(layer2OctetTotalCount, 0, value_frame_octets),
	SUM(layer2OctetDeltaSumOfSquares, 0, value_frame_squared),
	SUM(layer2OctetTotalSumOfSquares, 0, value_frame_squared),
	ONE(layer2FrameDeltaCount, 0),
	ONE(layer2FrameTotalCount, 0),
	FUNCTION(minimumLayer2TotalLength, 8, 0, value_frame_octets),
	FUNCTION(maximumLayer2TotalLength, 8, 0, value_frame_octets),
	/* Counters of what transport headers carry. */
	SUM(transportOctetDeltaCount, HAS_TCP, value_payload_octets),
	SUM(transportOctetDeltaCount, HAS_UDP, value_payload_octets),
	SUM(transportOctetDeltaCount, HAS_SCTP, value_payload_octets),
	SUM(transportPacketDeltaCount, HAS_TCP, value_has_payload),
	SUM(transportPacketDeltaCount, HAS_UDP, value_has_payload),
	SUM(transportPacketDeltaCount, HAS_SCTP, value_has_payload),
	SUM(tcpSynTotalCount, HAS_TCP, value_tcp_syn),
	SUM(tcpFinTotalCount, HAS_TCP, value_tcp_fin),
	SUM(tcpRstTotalCount, HAS_TCP, value_tcp_rst),
	SUM(tcpPshTotalCount, HAS_TCP, value_tcp_psh),
	SUM(tcpAckTotalCount, HAS_TCP, value_tcp_ack),
	SUM(tcpUrgTotalCount, HAS_TCP, value_tcp_urg),
	/* IANA has no counter of fragments (attribute 24 of RFC 3917 6.1). */
	{.id = ELEMENT_FRAGMENTS,
	 .own = true,
	 .how = EXTRACT_FUNCTION,
	 .width = 8,
	 .counter = true,
	 .needs = HAS_PAYLOAD,
	 .function = value_fragment},

	/* Times. */
	TIME(observationTimeNanoseconds, 8),
	TIME(observationTimeMicroseconds, 8),
	TIME(observationTimeMilliseconds, 8),
	TIME(observationTimeSeconds, 4),

	/* IP. */
	COPY(sourceIPv4Address, 4, HAS_IPV4, ip, 12),
	COPY(destinationIPv4Address, 4, HAS_IPV4, ip, 16),
	COPY(sourceIPv4Prefix, 4, HAS_IPV4, ip, 12),
	COPY(destinationIPv4Prefix, 4, HAS_IPV4, ip, 16),
	COPY(sourceIPv6Address, 16, HAS_IPV6, ip, 8),
	COPY(destinationIPv6Address, 16, HAS_IPV6, ip, 24),
	COPY(sourceIPv6Prefix, 16, HAS_IPV6, ip, 8),
	COPY(destinationIPv6Prefix, 16, HAS_IPV6, ip, 24),
	PACKET(protocolIdentifier, 1, HAS_IPV4, protocol),
	PACKET(protocolIdentifier, 1, HAS_IPV6, protocol),
	COPY(ipClassOfService, 1, HAS_IPV4, ip, 1),
	FUNCTION(ipClassOfService, 1, HAS_IPV6, value_traffic_class),
	FUNCTION(ipDiffServCodePoint, 1, HAS_PAYLOAD, value_dscp),
	FUNCTION(ipPrecedence, 1, HAS_PAYLOAD, value_precedence),
	CONSTANT(ipVersion, 1, HAS_IPV4, 4),
	CONSTANT(ipVersion, 1, HAS_IPV6, 6),
	COPY(ipTTL, 1, HAS_IPV4, ip, 8),
	COPY(ipTTL, 1, HAS_IPV6, ip, 7),
	COPY(minimumTTL, 1, HAS_IPV4, ip, 8),
	COPY(minimumTTL, 1, HAS_IPV6, ip, 7),
	COPY(maximumTTL, 1, HAS_IPV4, ip, 8),
	COPY(maximumTTL, 1, HAS_IPV6, ip, 7),
	FUNCTION(flowLabelIPv6, 4, HAS_IPV6, value_flow_label),
	FUNCTION(ipHeaderLength, 1, HAS_PAYLOAD, value_ip_header_length),
	FUNCTION(ipv4IHL, 1, HAS_IPV4, value_ihl),
	COPY(totalLengthIPv4, 2, HAS_IPV4, ip, 2),
	COPY(payloadLengthIPv6, 2, HAS_IPV6, ip, 4),
	COPY(nextHeaderIPv6, 1, HAS_IPV6, ip, 6),
	FUNCTION(ipPayloadLength, 4, HAS_PAYLOAD, value_ip_payload_length),
	PACKET(fragmentIdentification, 4, HAS_FRAGMENT, fragment_id),
	PACKET(fragmentIdentification, 4, HAS_IPV4, fragment_id),
	PACKET(fragmentOffset, 2, HAS_IPV4, fragment_offset),
	PACKET(fragmentOffset, 2, HAS_IPV6, fragment_offset),
	PACKET(fragmentFlags, 1, HAS_IPV4, fragment_flags),
	PACKET(fragmentFlags, 1, HAS_IPV6, fragment_flags),
	FUNCTION(ipv4Options, 4, HAS_IPV4, value_ipv4_options),
	PACKET(ipv6ExtensionHeaders, 4, HAS_IPV6, extensions),
	BITS(ipv6ExtensionHeadersFull, HAS_IPV6, bits_extensions),
	EXTRA_LIST(ipv6ExtensionHeaderTypeCountList, HAS_IPV6, EXTRA_CHAIN,
		   list_chain),
	EXTRA_LIST(ipv6ExtensionHeaderChainLengthList, HAS_IPV6, EXTRA_CHAIN,
		   list_chain_length),
	FUNCTION(ipv6ExtensionHeadersLimit, 1, HAS_IPV6, value_extension_limit),
	FUNCTION(ipv6ExtensionHeadersChainLength, 4, HAS_IPV6,
		 value_extension_length),
	FUNCTION(isMulticast, 1, HAS_PAYLOAD, value_multicast),
	PACKET(IPSecSPI, 4, HAS_SPI, spi),

	/* Segment Routing over IPv6 (RFC 9487). */
	COPY(srhFlagsIPv6, 1, HAS_SRH, srh, 5),
	COPY(srhTagIPv6, 2, HAS_SRH, srh, 6),
	COPY(srhSegmentsIPv6Left, 1, HAS_SRH, srh, 3),
	SECTION(srhIPv6Section, HAS_SRH, section_srh),
	SECTION(srhSegmentIPv6ListSection, HAS_SRH, section_segments),
	LIST(srhSegmentIPv6BasicList, HAS_SRH, list_segments),
	COPY(srhActiveSegmentIPv6, 16, HAS_SRH, ip, 24),

	/* Transport. */
	OCTETS(sourceTransportPort, 2, HAS_PORTS, port),
	OCTETS(destinationTransportPort, 2, HAS_PORTS, port[2]),
	COPY(tcpSourcePort, 2, HAS_TCP, transport, 0),
	COPY(tcpDestinationPort, 2, HAS_TCP, transport, 2),
	COPY(udpSourcePort, 2, HAS_UDP, transport, 0),
	COPY(udpDestinationPort, 2, HAS_UDP, transport, 2),
	/* Without the data offset (RFC 9565). */
	MASKED(tcpControlBits, HAS_TCP, transport, 12, 0x0fff),
	COPY(tcpSequenceNumber, 4, HAS_TCP, transport, 4),
	COPY(tcpAcknowledgementNumber, 4, HAS_TCP, transport, 8),
	COPY(tcpWindowSize, 2, HAS_TCP, transport, 14),
	COPY(tcpUrgentPointer, 2, HAS_TCP, transport, 18),
	FUNCTION(tcpHeaderLength, 1, HAS_TCP, value_tcp_header_length),
	FUNCTION(tcpOptions, 8, HAS_TCP, value_tcp_options),
	BESIDE(tcpOptionsFull, HAS_TCP, EXTRA_TCP_16, bits_tcp_unlisted),
	BESIDE(tcpOptionsFull, HAS_TCP, EXTRA_TCP_32, bits_tcp_unlisted),
	BITS(tcpOptionsFull, HAS_TCP, bits_tcp_options),
	EXTRA_LIST(tcpSharedOptionExID16List, HAS_TCP, EXTRA_TCP_16,
		   list_tcp_16),
	EXTRA_LIST(tcpSharedOptionExID32List, HAS_TCP, EXTRA_TCP_32,
		   list_tcp_32),
	EXTRA(tcpWindowScale, 2, HAS_TCP, EXTRA_WINDOW_SCALE,
	      value_window_scale),
	COPY(transportChecksum, 2, HAS_TCP, transport, 16),
	COPY(transportChecksum, 2, HAS_UDP, transport, 6),
	FUNCTION(udpMessageLength, 2, HAS_UDP, value_udp_length),
	BESIDE(udpSafeOptions, HAS_UDP, EXTRA_UDP_SAFE, bits_udp_safe_unlisted),
	BITS(udpSafeOptions, HAS_UDP, bits_udp_safe),
	{.id = IE_udpUnsafeOptions,
	 .how = EXTRACT_FUNCTION,
	 .width = 8,
	 .needs = HAS_UDP,
	 .beside = EXTRA_UDP_UNSAFE,
	 .function = value_udp_unsafe_unlisted},
	FUNCTION(udpUnsafeOptions, 8, HAS_UDP, value_udp_unsafe),
	EXTRA_LIST(udpSafeExIDList, HAS_UDP, EXTRA_UDP_SAFE, list_udp_safe),
	EXTRA_LIST(udpUnsafeExIDList, HAS_UDP, EXTRA_UDP_UNSAFE,
		   list_udp_unsafe),
	COPY(icmpTypeCodeIPv4, 2, HAS_ICMP, transport, 0),
	COPY(icmpTypeIPv4, 1, HAS_ICMP, transport, 0),
	COPY(icmpCodeIPv4, 1, HAS_ICMP, transport, 1),
	COPY(icmpTypeCodeIPv6, 2, HAS_ICMPV6, transport, 0),
	COPY(icmpTypeIPv6, 1, HAS_ICMPV6, transport, 0),
	COPY(icmpCodeIPv6, 1, HAS_ICMPV6, transport, 1),
	SECTION(icmpHeaderPacketSection, HAS_ICMP, section_transport),
	SECTION(icmpHeaderPacketSection, HAS_ICMPV6, section_transport),
	COPY(igmpType, 1, HAS_IGMP, transport, 0),

	/* Link layers. */
	COPY(sourceMacAddress, 6, HAS_ETHERNET, ethernet, 6),
	FUNCTION(sourceMacAddress, 6, HAS_WLAN, value_wlan_source),
	COPY(destinationMacAddress, 6, HAS_ETHERNET, ethernet, 0),
	FUNCTION(destinationMacAddress, 6, HAS_WLAN, value_wlan_target),
	PACKET(wlanChannelId, 1, HAS_CHANNEL, wlan_channel),
	SECTION(wlanSSID, HAS_SSID, section_ssid),
	EXTRA(staMacAddress, 6, HAS_WLAN, EXTRA_STATION, value_wlan_station),
	EXTRA(wtpMacAddress, 6, HAS_WLAN, EXTRA_STATION, value_wlan_point),
	EXTRA(staIPv4Address, 4, HAS_WLAN | HAS_IPV4, EXTRA_STATION,
	      value_station_ip),
	PACKET(ethernetType, 2, HAS_ETHERNET, ethertype),
	FUNCTION(ethernetHeaderLength, 1, HAS_ETHERNET, value_ethernet_header),
	FUNCTION(ethernetPayloadLength, 2, HAS_ETHERNET,
		 value_ethernet_payload),
	FUNCTION(ethernetTotalLength, 2, HAS_ETHERNET, value_frame_size),
	FUNCTION(vlanId, 2, HAS_VLAN, value_vlan),
	FUNCTION(dot1qVlanId, 2, HAS_VLAN, value_vlan),
	FUNCTION(dot1qPriority, 1, HAS_VLAN, value_vlan_priority),
	FUNCTION(dot1qDEI, 1, HAS_VLAN, value_vlan_dei),
	FUNCTION(dot1qCustomerVlanId, 2, HAS_VLAN2, value_customer_vlan),
	FUNCTION(dot1qCustomerPriority, 1, HAS_VLAN2, value_customer_priority),
	FUNCTION(dot1qCustomerDEI, 1, HAS_VLAN2, value_customer_dei),
	SECTION(dot1qServiceInstanceTag, HAS_PBB, section_service_tag),
	FUNCTION(dot1qServiceInstanceId, 4, HAS_PBB, value_service_id),
	FUNCTION(dot1qServiceInstancePriority, 1, HAS_PBB,
		 value_service_priority),
	COPY(dot1qCustomerDestinationMacAddress, 6, HAS_PBB, pbb, 4),
	COPY(dot1qCustomerSourceMacAddress, 6, HAS_PBB, pbb, 10),
	COPY(pseudoWireControlWord, 4, HAS_CONTROL_WORD, control_word, 0),
	MPLS_ENTRY(mplsTopLabelStackSection, 1),
	MPLS_ENTRY(mplsLabelStackSection2, 2),
	MPLS_ENTRY(mplsLabelStackSection3, 3),
	MPLS_ENTRY(mplsLabelStackSection4, 4),
	MPLS_ENTRY(mplsLabelStackSection5, 5),
	MPLS_ENTRY(mplsLabelStackSection6, 6),
	MPLS_ENTRY(mplsLabelStackSection7, 7),
	MPLS_ENTRY(mplsLabelStackSection8, 8),
	MPLS_ENTRY(mplsLabelStackSection9, 9),
	MPLS_ENTRY(mplsLabelStackSection10, 10),
	COPY(mplsTopLabelTTL, 1, HAS_MPLS, mpls, 3),
	FUNCTION(mplsTopLabelExp, 1, HAS_MPLS, value_mpls_exp),
	FUNCTION(mplsLabelStackLength, 4, HAS_MPLS, value_mpls_length),
	PACKET(mplsLabelStackDepth, 4, HAS_MPLS, mpls_depth),
	FUNCTION(mplsPayloadLength, 4, HAS_MPLS, value_mpls_payload),

	/* Tunnels. */
	PACKET(layer2SegmentId, 8, HAS_SEGMENT_ID, layer2_segment),
	PACKET(greKey, 4, HAS_GRE_KEY, gre_key),
	COPY(gtpuFlags, 1, HAS_GTPU, gtpu, 0),
	COPY(gtpuMsgType, 1, HAS_GTPU, gtpu, 1),
	COPY(gtpuTEid, 4, HAS_GTPU, gtpu, 4),
	EXTRA(gtpuSequenceNum, 2, HAS_GTPU, EXTRA_GTPU_SEQUENCE,
	      value_gtpu_sequence),
	EXTRA(gtpuQFI, 1, HAS_GTPU, EXTRA_GTPU_SESSION, value_gtpu_qfi),
	EXTRA(gtpuPduType, 1, HAS_GTPU, EXTRA_GTPU_SESSION,
	      value_gtpu_pdu_type),

	/* The Observation Point. */
	FRAME(ingressInterface, 4, HAS_INTERFACE, interface),
	FRAME(egressInterface, 4, HAS_EGRESS, egress),
	FRAME(ingressPhysicalInterface, 4, HAS_INTERFACE, interface),
	FRAME(egressPhysicalInterface, 4, HAS_EGRESS, egress),
	FRAME(flowDirection, 1, HAS_DIRECTION, direction),
	FRAME(samplingInterval, 4, HAS_WEIGHT, weight),

	/* Packets as they are (RFC 5477, RFC 7133). */
	FUNCTION(dataLinkFrameSize, 2, 0, value_frame_size),
	FUNCTION(dataLinkFrameType, 2, 0, value_frame_type),
	SECTION(dataLinkFrameSection, 0, section_frame),
	SECTION(layer2packetSectionData, 0, section_frame),
	CONSTANT(layer2packetSectionOffset, 2, 0, 0),
	FUNCTION(layer2packetSectionSize, 2, 0, value_frame_size),
	SECTION(ipHeaderPacketSection, HAS_PAYLOAD, section_ip),
	SECTION(ipPayloadPacketSection, HAS_PAYLOAD, section_ip_payload),
	SECTION(mplsLabelStackSection, HAS_MPLS, section_mpls),
	SECTION(mplsPayloadPacketSection, HAS_MPLS, section_mpls_payload),
	CONSTANT(sectionOffset, 2, 0, 0),
	{.id = IE_sectionExportedOctets, .how = EXTRACT_EXPORTED, .width = 2},
};

const struct element *
element_find(const struct ie *ie, unsigned n)
{
	bool own = ie->pen == ELEMENT_PEN;

	if (ie->pen && !own)
		return NULL;
	for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++)
		if (elements[i].id == ie->id && elements[i].own == own &&
		    n-- == 0)
			return &elements[i];
	return NULL;
}

int
observer_elements_add(struct ie_registry *registry)
{
	const struct ie ie = {
		.pen = ELEMENT_PEN,
		.id = ELEMENT_FRAGMENTS,
		.type = IE_UNSIGNED64,
		.length = 8,
		.semantics = IE_DELTA_COUNTER,
		.units = (uint8_t)ie_units_parse("packets"),
		.name = "fragmentPacketDeltaCount",
		.description = "The number of packets of this Flow since the "
			       "previous report that are fragments of an IP "
			       "datagram, the first ones included.",
	};
	int rc = ie_add(registry, &ie);

	/* The user may describe it in a file of his own. */
	return rc == -EEXIST ? 0 : rc;
}
