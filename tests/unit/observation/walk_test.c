/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The header walk: each link layer, network layer and tunnel by a packet of its
 * own, whole and cut off behind each octet; then the fragment table.
 *
 * A packet is its octets in hexadecimal. Outer headers have no length (0: to
 * the end of the frame), so that they go around anything. "walk_test DIR"
 * writes the packets into files, seeds for tests/fuzz/walk_fuzz.c.
 */
#include <stdio.h>

#include "fragment.h"
#include "observed.h"
#include "walked.h"

#define MACS "020000000002020000000001"
#define ZERO_MACS "000000000002000000000001"
#define Z8 "0000000000000000"
#define IPV4(protocol) "450000000001000040" protocol "0000c0000201c0000202"
#define IPV6(next)                                               \
	"600000000000" next "4020010db8000000000000000000000001" \
	"20010db8000000000000000000000002"
#define PORTS "04000035"
#define UDP PORTS "000c000061626364"
#define TCP PORTS "0000000100000002501800ff00000000"
/* What is in all else: 32 octets, 52 octets. */
#define IN4                    \
	"45000020000200004011" \
	"0000"                 \
	"0a0000010a000002" UDP
#define IN6                                \
	"60000000000c1140"                 \
	"fd000000000000000000000000000001" \
	"fd000000000000000000000000000002" UDP
#define SNAP "aaaa030000000800"
#define WLAN(control)                      \
	control "0000" MACS "020000000003" \
		"0000"
#define LABEL "00010040"
#define LAST_LABEL "00010140"
#define UDP_TO(port) "c000" port "00000000"
#define OPTIONS(next) next "00010400000000"

/* A header that says that another one like it follows; many of them. */
#define NSH "0fc2020400000100"
#define NSH_4 NSH NSH NSH NSH
#define NSH_16 NSH_4 NSH_4 NSH_4 NSH_4

enum {
	IN4_HAS = HAS_IPV4 | HAS_PAYLOAD | HAS_PORTS | HAS_UDP,
	IN6_HAS = HAS_IPV6 | HAS_PAYLOAD | HAS_PORTS | HAS_UDP,
	V4 = HAS_ETHERNET | HAS_IPV4 | HAS_PAYLOAD,
	V6 = HAS_ETHERNET | HAS_IPV6 | HAS_PAYLOAD,
	TUNNELS_ALL = 0x7f,
};

struct example {
	const char *name;
	uint32_t link;
	const char *octets;
	uint32_t has;
	int ip; /* where it begins, -1: nowhere */
	uint8_t protocol;
	uint8_t fault;
};

static const struct example links[] = {
	{"Ethernet", 1, MACS "0800" IN4, HAS_ETHERNET | IN4_HAS, 14, 17, 0},
	{"Ethernet, IPv6", 1, MACS "86dd" IN6, HAS_ETHERNET | IN6_HAS, 14, 17,
	 0},
	{"ARP", 1, MACS "0806" Z8 Z8 Z8, HAS_ETHERNET, -1, 0, 0},
	{"802.3, SNAP", 1, MACS "0028" SNAP IN4, HAS_ETHERNET | IN4_HAS, 22, 17,
	 0},
	{"802.3, LLC", 1, MACS "0023060603" IN4, HAS_ETHERNET | IN4_HAS, 17, 17,
	 0},
	{"VLAN", 1, MACS "810000050800" IN4, HAS_ETHERNET | HAS_VLAN | IN4_HAS,
	 18, 17, 0},
	{"four tags", 1, MACS "88a8000191000002920000038100000486dd" IN6,
	 HAS_ETHERNET | HAS_VLAN | HAS_VLAN2 | IN6_HAS, 30, 17, 0},
	{"five tags", 1,
	 MACS "81000001810000028100000381000004810000050800" IN4,
	 HAS_ETHERNET | HAS_VLAN | HAS_VLAN2, -1, 0, FAULT_TOO_DEEP},
	{"provider bridge", 1,
	 MACS "88a8006488e700010203" MACS "810000070800" IN4,
	 HAS_ETHERNET | HAS_VLAN | HAS_PBB | IN4_HAS, 40, 17, 0},
	{"VN-Tag", 1, MACS "892600000000810000050800" IN4,
	 HAS_ETHERNET | HAS_VLAN | IN4_HAS, 24, 17, 0},
	{"MPLS", 1, MACS "8847" LABEL LABEL LAST_LABEL IN6,
	 HAS_ETHERNET | HAS_MPLS | IN6_HAS, 26, 17, 0},
	{"ten labels", 1,
	 MACS "8848" LABEL LABEL LABEL LABEL LABEL LABEL LABEL LABEL LABEL
		 LAST_LABEL IN4,
	 HAS_ETHERNET | HAS_MPLS | IN4_HAS, 54, 17, 0},
	{"eleven labels", 1,
	 MACS "8847" LABEL LABEL LABEL LABEL LABEL LABEL LABEL LABEL LABEL LABEL
		 LAST_LABEL IN4,
	 HAS_ETHERNET, -1, 0, FAULT_TOO_DEEP},
	{"control word", 1, MACS "8847" LAST_LABEL "00000000" MACS "0800" IN4,
	 HAS_ETHERNET | HAS_MPLS | HAS_CONTROL_WORD | IN4_HAS, 36, 17, 0},
	{"control word, number", 1,
	 MACS "8847" LAST_LABEL "00000001" ZERO_MACS "0800" IN4,
	 HAS_ETHERNET | HAS_MPLS | HAS_CONTROL_WORD | IN4_HAS, 36, 17, 0},
	{"no control word", 1, MACS "8847" LAST_LABEL MACS "86dd" IN6,
	 HAS_ETHERNET | HAS_MPLS | IN6_HAS, 32, 17, 0},
	{"no control word, zeros", 1,
	 MACS "8847" LAST_LABEL ZERO_MACS "0800" IN4,
	 HAS_ETHERNET | HAS_MPLS | IN4_HAS, 32, 17, 0},
	{"an address that begins like IPv4", 1,
	 MACS "8847" LAST_LABEL "420000000002020000000001"
	      "0800" IN4,
	 HAS_ETHERNET | HAS_MPLS | IN4_HAS, 32, 17, 0},
	{"associated channel", 1, MACS "8847" LAST_LABEL "10000021" IN4,
	 HAS_ETHERNET | HAS_MPLS | IN4_HAS, 22, 17, 0},
	{"another channel", 1, MACS "8847" LAST_LABEL "10000007" IN4,
	 HAS_ETHERNET | HAS_MPLS, -1, 0, 0},
	{"PPPoE", 1, MACS "88641100000100220021" IN4, HAS_ETHERNET | IN4_HAS,
	 22, 17, 0},
	{"PPPoE, one octet", 1, MACS "886411000001002157" IN6,
	 HAS_ETHERNET | IN6_HAS, 21, 17, 0},
	{"PPPoE, discovery", 1, MACS "88641109000100220021" IN4, HAS_ETHERNET,
	 -1, 0, 0},
	{"network service header", 1, MACS "894f0fc6010100000100" Z8 Z8 IN4,
	 HAS_ETHERNET | IN4_HAS, 38, 17, 0},
	{"MACsec", 1,
	 MACS "88e52000000000010200000000010001"
	      "0800" IN4,
	 HAS_ETHERNET | IN4_HAS, 30, 17, 0},
	{"MACsec, encrypted", 1, MACS "88e52c00000000010200000000010001" Z8 Z8,
	 HAS_ETHERNET, -1, 0, 0},
	{"meta data", 1,
	 MACS "8909010100010007"
	      "0800" IN4,
	 HAS_ETHERNET | IN4_HAS, 22, 17, 0},
	{"FabricPath", 1, MACS "89030020" MACS "0800" IN4,
	 HAS_ETHERNET | IN4_HAS, 30, 17, 0},
	{"time stamp", 1, MACS "d28b00010010" Z8 "0800" IN4,
	 HAS_ETHERNET | IN4_HAS, 28, 17, 0},
	{"PPP", 9, "ff030021" IN4, IN4_HAS, 4, 17, 0},
	{"PPP, bare", 9, "0057" IN6, IN6_HAS, 2, 17, 0},
	{"PPP, one octet", 9, "21" IN4, IN4_HAS, 1, 17, 0},
	{"PPP, MPLS", 9, "0281" LAST_LABEL IN4, HAS_MPLS | IN4_HAS, 6, 17, 0},
	{"PPP, LCP", 9, "ff03c021" Z8, 0, -1, 0, 0},
	{"PPP in HDLC", 50, "ff030021" IN4, IN4_HAS, 4, 17, 0},
	{"HDLC of Cisco", 50, "0f000800" IN4, IN4_HAS, 4, 17, 0},
	{"PPP_ETHER", 51, "1100000100220021" IN4, IN4_HAS, 8, 17, 0},
	{"PPP with direction", 204, "01ff030021" IN4, IN4_HAS, 5, 17, 0},
	{"C_HDLC", 104, "8f0086dd" IN6, IN6_HAS, 4, 17, 0},
	{"SLL", 113,
	 "0000000100060200000000010000"
	 "0800" IN4,
	 IN4_HAS, 16, 17, 0},
	{"SLL, 802.2", 113,
	 "0000000100060200000000010000"
	 "0004" SNAP IN4,
	 IN4_HAS, 24, 17, 0},
	{"SLL2", 276,
	 "86dd00000000000200010006"
	 "0200000000010000" IN6,
	 IN6_HAS, 20, 17, 0},
	{"NULL, little", 0, "02000000" IN4, IN4_HAS, 4, 17, 0},
	{"NULL, big", 0, "00000002" IN4, IN4_HAS, 4, 17, 0},
	{"NULL, IPv6", 0, "1e000000" IN6, IN6_HAS, 4, 17, 0},
	{"LOOP", 108, "00000018" IN6, IN6_HAS, 4, 17, 0},
	{"RAW", 101, IN6, IN6_HAS, 0, 17, 0},
	{"RAW, 12", 12, IN4, IN4_HAS, 0, 17, 0},
	{"RAW, 14", 14, IN4, IN4_HAS, 0, 17, 0},
	{"IPV4", 228, IN4, IN4_HAS, 0, 17, 0},
	{"IPV6", 229, IN6, IN6_HAS, 0, 17, 0},
	{"IPV6 that is not", 229, IN4 Z8, 0, -1, 0, FAULT_BAD_HEADER},
	{"802.11", 105, WLAN("0801") SNAP IN4, HAS_WLAN | IN4_HAS, 32, 17, 0},
	{"802.11, QoS", 105, WLAN("8801") "0000" SNAP IN4, HAS_WLAN | IN4_HAS,
	 34, 17, 0},
	{"802.11, HT control", 105, WLAN("8881") "000000000000" SNAP IN4,
	 HAS_WLAN | IN4_HAS, 38, 17, 0},
	{"802.11, four addresses", 105, WLAN("0803") "020000000004" SNAP IN4,
	 HAS_WLAN | IN4_HAS, 38, 17, 0},
	{"802.11, A-MSDU", 105, WLAN("8801") "8000" MACS "0028" SNAP IN4,
	 HAS_WLAN | IN4_HAS, 48, 17, 0},
	{"802.11, protected", 105, WLAN("0841") Z8 SNAP IN4, HAS_WLAN, -1, 0,
	 0},
	{"802.11, no data", 105, WLAN("4801"), HAS_WLAN, -1, 0, 0},
	{"802.11, control", 105, WLAN("b400"), 0, -1, 0, 0},
	{"802.11, beacon that was cut", 105, WLAN("8000") Z8, HAS_WLAN, -1, 0,
	 0},
	{"802.11, beacon", 105,
	 WLAN("8000") Z8 "00000000"
			 "000161",
	 HAS_WLAN | HAS_SSID, -1, 0, 0},
	{"802.11, probe request, HT control", 105,
	 WLAN("4080") "00000000"
		      "0000",
	 HAS_WLAN | HAS_SSID, -1, 0, 0},
	{"802.11, SSID that is too long", 105, WLAN("4000") "002161", HAS_WLAN,
	 -1, 0, 0},
	{"802.11, authentication", 105, WLAN("b000") "000161", HAS_WLAN, -1, 0,
	 0},
	{"radiotap", 127, "0000080000000000" WLAN("0801") SNAP IN4,
	 HAS_WLAN | IN4_HAS, 40, 17, 0},
	{"radiotap, 2.4 GHz", 127,
	 "00000e000e000000"
	 "0002"
	 "8509a000" WLAN("0801") SNAP IN4,
	 HAS_CHANNEL | HAS_WLAN | IN4_HAS, 46, 17, 0},
	{"radiotap, no channel", 127,
	 "00000c0008000000"
	 "8609a000" WLAN("0801") SNAP IN4,
	 HAS_WLAN | IN4_HAS, 44, 17, 0},
	{"radiotap, padded", 127,
	 "000011000300"
	 "0000" Z8 "20" WLAN("8801") "00000000" SNAP IN4,
	 HAS_WLAN | IN4_HAS, 53, 17, 0},
	{"AVS", 163,
	 "8021100100000040" Z8 Z8 Z8 Z8 Z8 Z8 Z8 WLAN("0801") SNAP IN4,
	 HAS_WLAN | IN4_HAS, 96, 17, 0},
	{"Prism", 119, "4400000018000000" Z8 Z8 WLAN("0801") SNAP IN4,
	 HAS_WLAN | IN4_HAS, 56, 17, 0},
	{"Frame Relay", 107, "184103cc" IN4, IN4_HAS, 4, 17, 0},
	{"Frame Relay, SNAP", 107,
	 "1841030080000000"
	 "0800" IN4,
	 IN4_HAS, 10, 17, 0},
	{"Frame Relay, Cisco", 107, "184186dd" IN6, IN6_HAS, 4, 17, 0},
	{"ATM", 100, SNAP IN4, IN4_HAS, 8, 17, 0},
	{"ATM, bridged", 100, "aaaa030080c200070000" MACS "0800" IN4,
	 HAS_ETHERNET | IN4_HAS, 24, 17, 0},
	{"ATM, CLIP", 106, IN4, IN4_HAS, 0, 17, 0},
	{"NFLOG", 239,
	 "0200000005000a0001000000"
	 "24000900" IN4,
	 IN4_HAS, 16, 17, 0},
	{"PPI", 192, "0000080065000000" IN4, IN4_HAS, 8, 17, 0},
	{"PKTAP", 258,
	 "6c00000001000000"
	 "6500000000000000" Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 "00000000" IN4,
	 IN4_HAS, 108, 17, 0},
	{"PKTAP in PKTAP", 258,
	 "6c00000001000000"
	 "0201000000000000" Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 "00000000" IN4,
	 0, -1, 0, FAULT_LINK_TYPE},
	{"ARCNET", 129, "01020000d4000001" IN4, IN4_HAS, 8, 17, 0},
	{"ARCNET, later fragment", 129, "01020000d4020001" IN4, 0, -1, 0, 0},
	{"ENC", 109, "020000000000000000000000" IN4, IN4_HAS, 12, 17, 0},
	{"PFLOG", 117, "0d020000" Z8 "00000000" IN4, IN4_HAS, 16, 17, 0},
	{"IPNET", 226, "0102000000000000" Z8 Z8 IN4, IN4_HAS, 24, 17, 0},
	{"InfiniBand", 242, Z8 Z8 Z8 Z8 Z8 "86dd0000" IN6, IN6_HAS, 44, 17, 0},
	{"our MPLS", LINK_MPLS, LABEL LAST_LABEL IN4, HAS_MPLS | IN4_HAS, 8, 17,
	 0},
	{"unknown", 147, IN4, 0, -1, 0, FAULT_LINK_TYPE},
};

static const struct example networks[] = {
	{"padding", 1, MACS "0800" IN4 Z8, HAS_ETHERNET | IN4_HAS, 14, 17, 0},
	{"no length", 1, MACS "0800" IPV4("06") TCP, V4 | HAS_PORTS | HAS_TCP,
	 14, 6, 0},
	{"options", 1,
	 MACS "0800"
	      "46000024000200004011"
	      "0000"
	      "0a0000010a000002"
	      "94040000" UDP,
	 HAS_ETHERNET | IN4_HAS, 14, 17, 0},
	{"a header too short", 1,
	 MACS "0800"
	      "44" Z8 Z8 Z8,
	 HAS_ETHERNET, -1, 0, FAULT_BAD_HEADER},
	{"a length too short", 1,
	 MACS "0800"
	      "45000013" Z8 Z8 Z8,
	 HAS_ETHERNET, -1, 0, FAULT_BAD_HEADER},
	{"another version", 1, MACS "0800" IN6, HAS_ETHERNET, -1, 0,
	 FAULT_BAD_HEADER},
	{"first fragment", 1,
	 MACS "0800"
	      "45000020000220004011"
	      "0000"
	      "0a0000010a000002" UDP,
	 HAS_ETHERNET | HAS_FRAGMENT | IN4_HAS, 14, 17, 0},
	{"later fragment", 1,
	 MACS "0800"
	      "45000020000200014011"
	      "0000"
	      "0a0000010a000002" UDP,
	 V4 | HAS_FRAGMENT, 14, 17, 0},
	{"AH in IPv4", 1,
	 MACS "0800" IPV4("33") "110400000000007b00000001" Z8 "00000000" UDP,
	 V4 | HAS_SPI | HAS_PORTS | HAS_UDP, 14, 17, 0},
	{"ESP", 1, MACS "0800" IPV4("32") "0000007b00000001" Z8, V4 | HAS_SPI,
	 14, 50, 0},
	{"ICMP", 1, MACS "0800" IPV4("01") "0800" Z8, V4 | HAS_ICMP, 14, 1, 0},
	{"IGMP", 1, MACS "0800" IPV4("02") "1600" Z8, V4 | HAS_IGMP, 14, 2, 0},
	{"SCTP", 1, MACS "0800" IPV4("84") PORTS Z8, V4 | HAS_PORTS | HAS_SCTP,
	 14, 132, 0},
	{"DCCP", 1, MACS "0800" IPV4("21") PORTS Z8, V4 | HAS_PORTS, 14, 33, 0},
	{"UDP-Lite", 1, MACS "0800" IPV4("88") UDP, V4 | HAS_PORTS | HAS_UDP,
	 14, 136, 0},
	{"ports alone of TCP", 1, MACS "0800" IPV4("06") PORTS "0000",
	 V4 | HAS_PORTS, 14, 6, FAULT_TRUNCATED},
	{"a TCP header too short", 1,
	 MACS "0800" IPV4("06") PORTS "0000000100000002401800ff00000000",
	 V4 | HAS_PORTS | HAS_TCP, 14, 6, FAULT_BAD_HEADER},
	{"OSPF", 1, MACS "0800" IPV4("59") Z8, V4, 14, 89, 0},
	{"ICMPv6", 1, MACS "86dd" IPV6("3a") "8000" Z8, V6 | HAS_ICMPV6, 14, 58,
	 0},
	{"no next header", 1, MACS "86dd" IPV6("3b") Z8, V6, 14, 59, 0},
	{"hop-by-hop, destination", 1,
	 MACS "86dd" IPV6("00") OPTIONS("3c") OPTIONS("06") TCP,
	 V6 | HAS_PORTS | HAS_TCP, 14, 6, 0},
	{"segment routing", 1,
	 MACS "86dd" IPV6("2b") "1102040000000000"
				"20010db8000000000000000000000003" UDP,
	 V6 | HAS_SRH | HAS_PORTS | HAS_UDP, 14, 17, 0},
	{"another routing", 1, MACS "86dd" IPV6("2b") "1100030000000000" UDP,
	 V6 | HAS_PORTS | HAS_UDP, 14, 17, 0},
	{"IPv6, first fragment", 1,
	 MACS "86dd" IPV6("2c") "1100000100000007" UDP,
	 V6 | HAS_FRAGMENT | HAS_PORTS | HAS_UDP, 14, 17, 0},
	{"IPv6, later fragment", 1,
	 MACS "86dd" IPV6("2c") "1100000800000007" UDP, V6 | HAS_FRAGMENT, 14,
	 17, 0},
	{"AH, ESP", 1,
	 MACS "86dd" IPV6("33") "320400000000007b00000001" Z8 "00000000"
				"0000007c00000001" Z8,
	 V6 | HAS_SPI, 14, 50, 0},
	{"mobility, HIP, Shim6", 1,
	 MACS "86dd" IPV6("87") "8b00010000000000"
				"8c00010000000000"
				"3b00010000000000",
	 V6, 14, 59, 0},
	{"an extension header cut", 1, MACS "86dd" IPV6("3c") "1102" Z8, V6, 14,
	 60, FAULT_TRUNCATED},
	{"many extension headers", 1,
	 MACS "86dd" IPV6("3c") OPTIONS("3c") OPTIONS("3c") OPTIONS(
		 "3c") OPTIONS("3c") OPTIONS("3c") OPTIONS("3c") OPTIONS("3c")
		 OPTIONS("3c") OPTIONS("3c") OPTIONS("3c") OPTIONS("3c")
			 OPTIONS("3c") OPTIONS("3c") OPTIONS("3c") OPTIONS("3c")
				 OPTIONS("3c") OPTIONS("11") UDP,
	 V6, 14, 17, FAULT_TOO_DEEP},
};

/* With all tunnels seen through; without any the IP header is at 14. */
static const struct example tunnels[] = {
	{"IP in IP", 1, MACS "0800" IPV4("04") IN4, HAS_ETHERNET | IN4_HAS, 34,
	 17, 0},
	{"6in4", 1, MACS "0800" IPV4("29") IN6, HAS_ETHERNET | IN6_HAS, 34, 17,
	 0},
	{"4in6", 1, MACS "86dd" IPV6("04") IN4, HAS_ETHERNET | IN4_HAS, 54, 17,
	 0},
	{"6in6 behind options", 1, MACS "86dd" IPV6("3c") OPTIONS("29") IN6,
	 HAS_ETHERNET | IN6_HAS, 62, 17, 0},
	{"EtherIP", 1, MACS "0800" IPV4("61") "3000" MACS "0800" IN4,
	 HAS_ETHERNET | IN4_HAS, 50, 17, 0},
	{"Ethernet in IPv6", 1, MACS "86dd" IPV6("8f") MACS "0800" IN4,
	 HAS_ETHERNET | IN4_HAS, 68, 17, 0},
	{"GRE", 1, MACS "0800" IPV4("2f") "00000800" IN4,
	 HAS_ETHERNET | IN4_HAS, 38, 17, 0},
	{"GRE with everything", 1,
	 MACS "0800" IPV4("2f") "f00086dd"
				"00000000"
				"00000007"
				"00000001"
				"00000004"
				"0a000003"
				"00000000" IN6,
	 HAS_ETHERNET | HAS_GRE_KEY | IN6_HAS, 62, 17, 0},
	{"GRE, PPTP", 1,
	 MACS "0800" IPV4("2f") "3081880b"
				"00240007"
				"00000001"
				"00000002"
				"ff030021" IN4,
	 HAS_ETHERNET | HAS_GRE_KEY | IN4_HAS, 54, 17, 0},
	{"GRE, MPLS", 1, MACS "0800" IPV4("2f") "00008847" LAST_LABEL IN4,
	 HAS_ETHERNET | HAS_MPLS | IN4_HAS, 42, 17, 0},
	{"GRE, meta data", 1,
	 MACS "0800" IPV4("2f") "00008909"
				"0800010100010007" IN4,
	 HAS_ETHERNET | IN4_HAS, 46, 17, 0},
	{"NVGRE", 1,
	 MACS "0800" IPV4("2f") "20006558"
				"00012301" MACS "0800" IN4,
	 HAS_ETHERNET | HAS_GRE_KEY | HAS_SEGMENT_ID | IN4_HAS, 56, 17, 0},
	{"GRE in UDP", 1, MACS "0800" IPV4("11") UDP_TO("1292") "000086dd" IN6,
	 HAS_ETHERNET | IN6_HAS, 46, 17, 0},
	{"ERSPAN", 1, MACS "0800" IPV4("2f") "000088be" MACS "0800" IN4,
	 HAS_ETHERNET | IN4_HAS, 52, 17, 0},
	{"ERSPAN II", 1,
	 MACS "0800" IPV4("2f") "100088be"
				"00000001" Z8 MACS "0800" IN4,
	 HAS_ETHERNET | IN4_HAS, 64, 17, 0},
	{"ERSPAN III", 1,
	 MACS "0800" IPV4("2f") "100022eb"
				"00000001"
				"2000000000000000"
				"00000001" Z8 MACS "0800" IN4,
	 HAS_ETHERNET | IN4_HAS, 76, 17, 0},
	{"VXLAN", 1,
	 MACS "0800" IPV4("11") UDP_TO("12b5") "0800000000000700" MACS
					       "0800" IN4,
	 HAS_ETHERNET | HAS_SEGMENT_ID | IN4_HAS, 64, 17, 0},
	{"VXLAN on its old port", 1,
	 MACS "86dd" IPV6("11") UDP_TO("2118") "0800000000000700" MACS
					       "86dd" IN6,
	 HAS_ETHERNET | HAS_SEGMENT_ID | IN6_HAS, 84, 17, 0},
	{"VXLAN-GPE", 1,
	 MACS "0800" IPV4("11") UDP_TO("12b6") "0c00000200000700" IN6,
	 HAS_ETHERNET | HAS_SEGMENT_ID | IN6_HAS, 50, 17, 0},
	{"VXLAN-GPE, NSH", 1,
	 MACS "0800" IPV4("11") UDP_TO("12b6") "0c00000400000700"
					       "0fc2020100000100" IN4,
	 HAS_ETHERNET | HAS_SEGMENT_ID | IN4_HAS, 58, 17, 0},
	{"Geneve", 1,
	 MACS "0800" IPV4("11") UDP_TO("17c1") "0200655800000700" Z8 MACS
					       "0800" IN4,
	 HAS_ETHERNET | IN4_HAS, 72, 17, 0},
	{"GTP-U", 1,
	 MACS "0800" IPV4("11") UDP_TO("0868") "30ff002000000007" IN4,
	 HAS_ETHERNET | HAS_GTPU | IN4_HAS, 50, 17, 0},
	{"GTP-U, extension", 1,
	 MACS "0800" IPV4("11") UDP_TO("0868") "34ff002800000007"
					       "00000085"
					       "01100000" IN6,
	 HAS_ETHERNET | HAS_GTPU | IN6_HAS, 58, 17, 0},
	{"Teredo", 1, MACS "0800" IPV4("11") UDP_TO("0dd8") IN6,
	 HAS_ETHERNET | IN6_HAS, 42, 17, 0},
	{"Teredo, indications", 1,
	 MACS "0800" IPV4("11") UDP_TO("0dd8") "00010000" Z8 "00"
					       "0000000000000000" IN6,
	 HAS_ETHERNET | IN6_HAS, 63, 17, 0},
	{"three tunnels", 1,
	 MACS "0800" IPV4("29") IPV6("2f") "00000800" IPV4("29") IN6,
	 HAS_ETHERNET | IN6_HAS, 98, 17, 0},
};

/* No way into these, so what is around is metered. */
static const struct example walls[] = {
	{"GTP-U, echo", 1, MACS "0800" IPV4("11") UDP_TO("0868") "32010004" Z8,
	 V4 | HAS_PORTS | HAS_UDP | HAS_GTPU, 14, 17, 0},
	{"VXLAN, ARP", 1,
	 MACS "0800" IPV4("11") UDP_TO("12b5") "0800000000000700" MACS
					       "0806" Z8,
	 V4 | HAS_PORTS | HAS_UDP | HAS_SEGMENT_ID, 14, 17, 0},
	{"no VXLAN", 1, MACS "0800" IPV4("11") UDP_TO("12b5") Z8 Z8 Z8,
	 V4 | HAS_PORTS | HAS_UDP, 14, 17, 0},
	{"no Teredo", 1,
	 MACS "0800" IPV4("11") UDP_TO("0dd8") "45" Z8 Z8 Z8 Z8 Z8,
	 V4 | HAS_PORTS | HAS_UDP, 14, 17, 0},
	{"GRE of version 2", 1, MACS "0800" IPV4("2f") "00020800" IN4, V4, 14,
	 47, 0},
	{"Geneve, cut", 1,
	 MACS "0800" IPV4("11") UDP_TO("17c1") "0800655800000700" Z8,
	 V4 | HAS_PORTS | HAS_UDP, 14, 17, 0},
	{"more headers than are looked at", 1,
	 MACS "0800" IPV4("11") UDP_TO(
		 "12b6") "0c00000400000700" NSH_16 NSH_16 NSH_16 NSH_16 IN4,
	 V4 | HAS_PORTS | HAS_UDP | HAS_SEGMENT_ID, 14, 17, 0},
	{"a second that is none", 1,
	 MACS "0800" IPV4("04") IPV4("04") "60" Z8 Z8, V4, 34, 4, 0},
};

enum { OCTETS_MAX = 1000 };

static struct frame
frame_of(const uint8_t *data, uint32_t length, uint32_t wire, uint32_t link)
{
	return (struct frame){
		.data = data,
		.length = length,
		.wire_length = wire,
		.time_ns = 1700000000000000000u,
		.link = link,
		.weight = 1,
		.direction = FRAME_UNKNOWN,
	};
}

/* With all that can be looked for, and with nothing. */
static const struct walk_conf confs[] = {
	{.tunnels = TUNNELS_ALL, .tunnel_depth = 4, .identifiers = true},
	{.tunnels = TUNNELS_ALL, .tunnel_depth = 1},
	{.identifiers = true},
	{.tunnels = 0},
};

/* The short way for plain packets and the long one come to the same. */
static void
check_ways(const struct frame *frame)
{
	const uint32_t inside = HAS_GTPU | HAS_GRE_KEY | HAS_SEGMENT_ID;
	struct packet a, b;

	packet_walk(&a, frame, &confs[2]);
	packet_walk(&b, frame, &confs[3]);
	CU_ASSERT_EQUAL(a.has & ~inside, b.has & ~inside);
	CU_ASSERT_EQUAL(a.fault, b.fault);
	CU_ASSERT_EQUAL(a.ethertype, b.ethertype);
	CU_ASSERT_PTR_EQUAL(a.end, b.end);
	if (!(a.has & HAS_PAYLOAD))
		return;
	CU_ASSERT_PTR_EQUAL(a.ip, b.ip);
	CU_ASSERT_PTR_EQUAL(a.ip_payload, b.ip_payload);
	CU_ASSERT_PTR_EQUAL(a.transport, b.transport);
	CU_ASSERT_PTR_EQUAL(a.payload, b.payload);
	CU_ASSERT_EQUAL(a.ip_length, b.ip_length);
	CU_ASSERT_EQUAL(a.ip_header_length, b.ip_header_length);
	CU_ASSERT_EQUAL(a.protocol, b.protocol);
	CU_ASSERT_EQUAL(a.fragment_flags, b.fragment_flags);
	CU_ASSERT_EQUAL(a.fragment_offset, b.fragment_offset);
}

/* Any of the octets may be the last that is there. */
static void
check_cuts(const struct example *e, const uint8_t *octets, uint32_t length)
{
	for (uint32_t cut = 0; cut <= length; cut++) {
		uint8_t *data = malloc(cut ? cut : 1);
		struct frame frame = frame_of(data, cut, length, e->link);
		struct packet p;

		CU_ASSERT_FATAL(data != NULL);
		memcpy(data, octets, cut);
		for (unsigned i = 0; i < sizeof(confs) / sizeof(confs[0]);
		     i++) {
			packet_walk(&p, &frame, &confs[i]);
			walked_check(&p);
		}
		check_ways(&frame);
		/* What is cut off is no other packet. */
		if (e->ip < 0 && e->fault != FAULT_BAD_HEADER)
			CU_ASSERT(!(p.has & HAS_PAYLOAD));
		free(data);
	}
}

static void
check(const struct example *e, const struct walk_conf *conf)
{
	uint8_t octets[OCTETS_MAX];
	uint32_t length = from_hex(e->octets, octets);
	struct frame frame = frame_of(octets, length, length, e->link);
	struct packet p;
	int ip;

	packet_walk(&p, &frame, conf);
	ip = p.has & HAS_PAYLOAD ? (int)(p.ip - octets) : -1;
	CU_ASSERT_EQUAL(p.has, e->has);
	CU_ASSERT_EQUAL(ip, e->ip);
	CU_ASSERT_EQUAL(p.fault, e->fault);
	if (ip >= 0)
		CU_ASSERT_EQUAL(p.protocol, e->protocol);
	if (p.has != e->has || ip != e->ip || p.fault != e->fault)
		fprintf(stderr, "%s: has %x for %x, IP at %d, fault %s\n",
			e->name, p.has, e->has, ip, packet_fault_name(p.fault));
	check_cuts(e, octets, length);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
test_links(void)
{
	for (size_t i = 0; i < COUNT(links); i++)
		check(&links[i], &confs[0]);
}

static void
test_networks(void)
{
	for (size_t i = 0; i < COUNT(networks); i++)
		check(&networks[i], &confs[0]);
}

static void
test_tunnels(void)
{
	for (size_t i = 0; i < COUNT(tunnels); i++) {
		uint8_t octets[OCTETS_MAX];
		uint32_t length = from_hex(tunnels[i].octets, octets);
		struct frame frame = frame_of(octets, length, length, 1);
		struct packet p;

		check(&tunnels[i], &confs[0]);
		packet_walk(&p, &frame, &confs[3]);
		CU_ASSERT(p.has & HAS_PAYLOAD);
		CU_ASSERT_PTR_EQUAL(p.ip, octets + 14);
		CU_ASSERT_EQUAL(p.tunnels, 0);
	}
	for (size_t i = 0; i < COUNT(walls); i++)
		check(&walls[i], &confs[0]);
}

static void
walk(struct packet *p, struct frame *frame, const char *hex, uint8_t *octets,
     const struct walk_conf *conf)
{
	uint32_t length = from_hex(hex, octets);

	*frame = frame_of(octets, length, length, 1);
	packet_walk(p, frame, conf);
}

/* How deep, which of them, and what remains of what is around. */
static void
test_depth(void)
{
	static const char three[] =
		MACS "0800" IPV4("29") IPV6("2f") "20000800"
						  "0000002a" IPV4("29") IN6;
	static const int at[] = {14, 34, 82, 102, 102};
	uint8_t octets[OCTETS_MAX];
	struct frame frame;
	struct packet p;

	for (unsigned depth = 0; depth < COUNT(at); depth++) {
		struct walk_conf conf = {.tunnels = TUNNELS_ALL,
					 .tunnel_depth = depth};

		walk(&p, &frame, three, octets, &conf);
		CU_ASSERT_EQUAL(p.ip - octets, at[depth]);
		CU_ASSERT_EQUAL(!(p.has & HAS_GRE_KEY), depth < 1);
		if (depth)
			CU_ASSERT(p.tunnels & TUNNEL_IPIP);
		CU_ASSERT_EQUAL(p.tunnels & TUNNEL_GRE,
				depth > 1 ? TUNNEL_GRE : 0);
	}
	CU_ASSERT_EQUAL(p.gre_key, 42);
	walk(&p, &frame, three, octets,
	     &(struct walk_conf){.tunnels = TUNNEL_GRE, .tunnel_depth = 4});
	CU_ASSERT_EQUAL(p.ip - octets, 14);
}

/* Numbers that follow from several headers, or that only a walk can tell. */
static void
test_values(void)
{
	const struct walk_conf *all = &confs[0];
	uint8_t octets[OCTETS_MAX];
	struct frame frame;
	struct packet p;

	walk(&p, &frame, MACS "0800" IN4 Z8, octets, all);
	CU_ASSERT_EQUAL(p.ip_length, 32);
	CU_ASSERT_PTR_EQUAL(p.end, octets + 14 + 32);
	CU_ASSERT_EQUAL(p.ip_header_length, 20);
	CU_ASSERT_PTR_EQUAL(p.payload, octets + 14 + 28);
	CU_ASSERT_EQUAL(p.ethertype, 0x0800);
	/* Left to the network card: as long as the frame was. */
	walk(&p, &frame, MACS "0800" IPV4("06") TCP Z8, octets, all);
	frame.wire_length += 30000;
	packet_walk(&p, &frame, all);
	CU_ASSERT_EQUAL(p.ip_length, 20 + 20 + 8 + 30000);
	/* A jumbogram too, but not a packet that has nothing in it. */
	walk(&p, &frame,
	     MACS "86dd" IPV6("00") "11"
				    "00c20400011178" UDP,
	     octets, all);
	frame.wire_length += 70000;
	packet_walk(&p, &frame, all);
	CU_ASSERT_EQUAL(p.ip_length, 40 + 8 + 12 + 70000);
	CU_ASSERT_EQUAL(p.ip_header_length, 48);
	CU_ASSERT_EQUAL(p.extensions, 1 << 1);
	walk(&p, &frame, MACS "86dd" IPV6("3b") Z8, octets, all);
	CU_ASSERT_EQUAL(p.ip_length, 40);
	CU_ASSERT_EQUAL(p.extensions, 1 << 2);
	walk(&p, &frame, MACS "86dd" IPV6("2c") "1100000900000007" UDP, octets,
	     all);
	CU_ASSERT_EQUAL(p.fragment_offset, 1);
	CU_ASSERT_EQUAL(p.fragment_flags, 0x20);
	CU_ASSERT_EQUAL(p.fragment_id, 7);
	CU_ASSERT_EQUAL(p.extensions, 1 << 6);
	walk(&p, &frame,
	     MACS "0800" IPV4("11") UDP_TO("12b5") "0800000000000700" MACS
						   "0800" IN4,
	     octets, all);
	CU_ASSERT_EQUAL(p.layer2_segment, (uint64_t)1 << 56 | 7);
	CU_ASSERT_PTR_EQUAL(p.ethernet, octets);
	CU_ASSERT_EQUAL(p.tunnels, TUNNEL_VXLAN);
}

/* ---- fragments ------------------------------------------------------------
 */

#define FIRST(id)                     \
	MACS "0800"                   \
	     "45000020" id "20004011" \
	     "0000"                   \
	     "0a0000010a000002" UDP
#define LATER(id)                     \
	MACS "0800"                   \
	     "45000020" id "00014011" \
	     "0000"                   \
	     "0a0000010a000002" UDP
#define FIRST6 MACS "86dd" IPV6("2c") "3c00000100000007" OPTIONS("11") UDP
#define LATER6 MACS "86dd" IPV6("2c") "3c00000800000007" UDP

static void
fragment(struct fragments *f, struct packet *p, const char *hex, uint64_t ms)
{
	static uint8_t octets[OCTETS_MAX];
	static struct frame frame;

	walk(p, &frame, hex, octets, &confs[3]);
	CU_ASSERT(p->has & HAS_FRAGMENT);
	frame.time_ns += ms * 1000000;
	fragments_packet(f, p);
}

static bool
has_ports(const struct packet *p)
{
	return p->has & HAS_PORTS && memcmp(p->port, "\x04\0\0\x35", 4) == 0;
}

static void
test_fragments(void)
{
	const struct fragment_counters *c;
	struct fragments *f;
	struct packet p;

	CU_ASSERT_EQUAL_FATAL(fragments_new(2, 1000, &f), 0);
	c = fragments_counters(f);
	fragment(f, &p, LATER("0001"), 0);
	CU_ASSERT(!has_ports(&p));
	fragment(f, &p, FIRST("0001"), 1);
	fragment(f, &p, LATER("0001"), 2);
	CU_ASSERT(has_ports(&p));
	fragment(f, &p, LATER("0002"), 2);
	CU_ASSERT(!has_ports(&p));
	/* Another VLAN is another datagram. */
	fragment(f, &p,
		 MACS "81000005"
		      "080045000020"
		      "0001"
		      "00014011"
		      "0000"
		      "0a0000010a000002" UDP,
		 3);
	CU_ASSERT(!has_ports(&p));
	/* IPv6: the first alone knows the protocol behind its options. */
	fragment(f, &p, FIRST6, 4);
	fragment(f, &p, LATER6, 5);
	CU_ASSERT(has_ports(&p));
	CU_ASSERT_EQUAL(p.protocol, 17);
	/* A third datagram takes the place of that not seen for longest. */
	fragment(f, &p, LATER("0001"), 6);
	fragment(f, &p, FIRST("0003"), 7);
	fragment(f, &p, LATER6, 8);
	CU_ASSERT(!has_ports(&p));
	fragment(f, &p, LATER("0001"), 9);
	CU_ASSERT(has_ports(&p));
	CU_ASSERT_EQUAL(c->recycled, 1);
	/* Time passes: from the last fragment on. */
	fragment(f, &p, LATER("0001"), 1009);
	CU_ASSERT(has_ports(&p));
	fragment(f, &p, LATER("0001"), 2010);
	CU_ASSERT(!has_ports(&p));
	CU_ASSERT_EQUAL(c->first, 3);
	CU_ASSERT_EQUAL(c->found, 5);
	CU_ASSERT_EQUAL(c->orphans, 5);
	fragments_free(f);
	fragments_free(NULL);
}

/* Behind an AH the protocol is another one than in the IPv4 header. */
static void
test_protected_fragments(void)
{
	struct fragments *f;
	struct packet p;

	CU_ASSERT_EQUAL_FATAL(fragments_new(2, 1000, &f), 0);
	fragment(f, &p,
		 MACS "0800"
		      "450000380009"
		      "20004033"
		      "0000"
		      "0a0000010a000002"
		      "110400000000007b00000001" Z8 "00000000" UDP,
		 0);
	CU_ASSERT_EQUAL(p.protocol, 17);
	fragment(f, &p,
		 MACS "0800"
		      "450000200009"
		      "00014033"
		      "0000"
		      "0a0000010a000002" UDP,
		 1);
	CU_ASSERT(has_ports(&p));
	CU_ASSERT_EQUAL(p.protocol, 17);
	fragments_free(f);
}

/* ---- seeds ----------------------------------------------------------------
 */

/* As walk_fuzz.c reads it: what is asked for, the link type, the frame. */
static int
write_seed(const char *folder, const struct example *e)
{
	uint8_t octets[OCTETS_MAX] = {2};
	char path[512];
	size_t length;
	FILE *file;

	octets[1] = (uint8_t)e->link;
	octets[2] = (uint8_t)(e->link >> 8);
	octets[3] = (uint8_t)(e->link >> 16);
	length = 4 + from_hex(e->octets, octets + 4);
	snprintf(path, sizeof(path), "%s/%s", folder, e->name);
	for (char *at = path + strlen(folder) + 1; *at; at++)
		if (*at == ' ' || *at == ',' || *at == '/')
			*at = '-';
	file = fopen(path, "wb");
	if (!file || fwrite(octets, 1, length, file) != length ||
	    fclose(file) != 0) {
		perror(path);
		return 1;
	}
	return 0;
}

static int
write_seeds(const char *folder, const struct example *e, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (write_seed(folder, &e[i]))
			return 1;
	return 0;
}

static const struct unit_test tests[] = {
	{"link layers", test_links},
	{"IP and what it carries", test_networks},
	{"tunnels", test_tunnels},
	{"depth of tunnels", test_depth},
	{"lengths and numbers", test_values},
	{"fragments", test_fragments},
	{"fragments behind an AH", test_protected_fragments},
};

int
main(int argc, char **argv)
{
	if (argc > 1)
		return write_seeds(argv[1], links, COUNT(links)) ||
		       write_seeds(argv[1], networks, COUNT(networks)) ||
		       write_seeds(argv[1], tunnels, COUNT(tunnels)) ||
		       write_seeds(argv[1], walls, COUNT(walls));
	return unit_run("walk", tests, UNIT_COUNT(tests));
}
