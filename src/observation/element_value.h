/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Values that take more than a copy. The packet has what its row needs. */
#ifndef CONFLUX_OBSERVATION_ELEMENT_VALUE_H
#define CONFLUX_OBSERVATION_ELEMENT_VALUE_H

#include "element.h"

typedef uint64_t element_value(const struct packet *packet);
typedef void element_section(const struct packet *packet, struct section *out);
typedef uint32_t element_list(const struct packet *packet, uint8_t *out);
typedef void element_bits(const struct packet *packet, uint8_t *out);

element_value value_octets_squared, value_frame_octets, value_frame_squared,
	value_frame_size, value_frame_type, value_payload_octets,
	value_has_payload;
element_value value_tcp_syn, value_tcp_fin, value_tcp_rst, value_tcp_psh,
	value_tcp_ack, value_tcp_urg, value_tcp_header_length,
	value_tcp_options, value_window_scale;
element_value value_traffic_class, value_dscp, value_precedence,
	value_flow_label, value_ip_header_length, value_ihl,
	value_ip_payload_length, value_ipv4_options, value_extension_length,
	value_multicast;
element_value value_fragment, value_extension_limit, value_udp_length;
element_value value_udp_unsafe, value_udp_unsafe_unlisted;
element_value value_gtpu_sequence, value_gtpu_qfi, value_gtpu_pdu_type;
element_value value_wlan_source, value_wlan_target, value_wlan_station,
	value_wlan_point, value_station_ip;
element_value value_ethernet_header, value_ethernet_payload, value_vlan,
	value_vlan_priority, value_vlan_dei, value_customer_vlan,
	value_customer_priority, value_customer_dei, value_service_id,
	value_service_priority;
element_value value_mpls_1, value_mpls_2, value_mpls_3, value_mpls_4,
	value_mpls_5, value_mpls_6, value_mpls_7, value_mpls_8, value_mpls_9,
	value_mpls_10, value_mpls_exp, value_mpls_length, value_mpls_payload;
element_section section_srh, section_segments, section_transport,
	section_service_tag, section_frame, section_ip, section_ip_payload,
	section_mpls, section_mpls_payload, section_ssid;
element_list list_chain, list_chain_length;
element_list list_segments, list_tcp_16, list_tcp_32, list_udp_safe,
	list_udp_unsafe;
element_bits bits_extensions, bits_tcp_options, bits_tcp_unlisted,
	bits_udp_safe, bits_udp_safe_unlisted;

/* In a set of 32 octets; bit 0 is the least significant, so in the last one. */
void bits_set(uint8_t *out, unsigned bit);

/* Has this IPv6 packet extension headers? */
bool has_chain(const struct packet *packet);

/* Which of EXTRA_OPTIONS that are asked for the packet has. */
unsigned option_extras(const struct packet *packet, unsigned extras);

#endif
