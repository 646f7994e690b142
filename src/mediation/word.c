/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The short words, most of which nfdump has too, and the elements that they
 * stand for. A row is one group: elements that stand for one another. A word
 * may have several rows, and then any of them will do: those of both sides if
 * no side is said, those of both versions of IP.
 */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conflux/nearest.h"
#include "internal.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

enum { REVERSE = 0x8000 }; /* with an element's number: RFC 5103 */

struct word {
	const char *name;
	enum side side;
	uint16_t element[OPERANDS_MAX];
	enum part part[OPERANDS_MAX];
};

static const struct word words[] = {
	{"ip", SIDE_SOURCE, {IE_sourceIPv4Address}, {0}},
	{"ip", SIDE_SOURCE, {IE_sourceIPv6Address}, {0}},
	{"ip", SIDE_DESTINATION, {IE_destinationIPv4Address}, {0}},
	{"ip", SIDE_DESTINATION, {IE_destinationIPv6Address}, {0}},
	{"ip", SIDE_NEXT, {IE_ipNextHopIPv4Address}, {0}},
	{"ip", SIDE_NEXT, {IE_ipNextHopIPv6Address}, {0}},
	{"ip", SIDE_BGP_NEXT, {IE_bgpNextHopIPv4Address}, {0}},
	{"ip", SIDE_BGP_NEXT, {IE_bgpNextHopIPv6Address}, {0}},
	{"ip", SIDE_ROUTER, {IE_exporterIPv4Address}, {0}},
	{"ip", SIDE_ROUTER, {IE_exporterIPv6Address}, {0}},
	{"port",
	 SIDE_SOURCE,
	 {IE_sourceTransportPort, IE_tcpSourcePort, IE_udpSourcePort},
	 {0}},
	{"port",
	 SIDE_DESTINATION,
	 {IE_destinationTransportPort, IE_tcpDestinationPort,
	  IE_udpDestinationPort},
	 {0}},
	{"as", SIDE_SOURCE, {IE_bgpSourceAsNumber}, {0}},
	{"as", SIDE_DESTINATION, {IE_bgpDestinationAsNumber}, {0}},
	{"as", SIDE_PREVIOUS, {IE_bgpPrevAdjacentAsNumber}, {0}},
	{"as", SIDE_NEXT, {IE_bgpNextAdjacentAsNumber}, {0}},
	{"mask",
	 SIDE_SOURCE,
	 {IE_sourceIPv4PrefixLength, IE_sourceIPv6PrefixLength},
	 {0}},
	{"mask",
	 SIDE_DESTINATION,
	 {IE_destinationIPv4PrefixLength, IE_destinationIPv6PrefixLength},
	 {0}},
	{"vlan", SIDE_SOURCE, {IE_vlanId, IE_dot1qVlanId}, {0}},
	{"vlan", SIDE_DESTINATION, {IE_postVlanId, IE_postDot1qVlanId}, {0}},
	{"mac", SIDE_SOURCE, {IE_sourceMacAddress}, {0}},
	{"mac", SIDE_DESTINATION, {IE_destinationMacAddress}, {0}},
	{"mac", SIDE_OUT_SOURCE, {IE_postSourceMacAddress}, {0}},
	{"mac", SIDE_OUT_DESTINATION, {IE_postDestinationMacAddress}, {0}},
	{"tos", SIDE_NONE, {IE_ipClassOfService}, {0}},
	{"tos", SIDE_SOURCE, {IE_ipClassOfService}, {0}},
	{"tos", SIDE_DESTINATION, {IE_postIpClassOfService}, {0}},
	{"if", SIDE_IN, {IE_ingressInterface}, {0}},
	{"if", SIDE_OUT, {IE_egressInterface}, {0}},
	{"proto", SIDE_NONE, {IE_protocolIdentifier}, {0}},
	{"flags", SIDE_NONE, {IE_tcpControlBits}, {0}},
	{"packets", SIDE_NONE, {IE_packetDeltaCount, IE_packetTotalCount}, {0}},
	{"packets", SIDE_IN, {IE_packetDeltaCount, IE_packetTotalCount}, {0}},
	{"packets",
	 SIDE_OUT,
	 {IE_packetDeltaCount | REVERSE, IE_packetTotalCount | REVERSE,
	  IE_postPacketDeltaCount, IE_postPacketTotalCount},
	 {0}},
	{"bytes", SIDE_NONE, {IE_octetDeltaCount, IE_octetTotalCount}, {0}},
	{"bytes", SIDE_IN, {IE_octetDeltaCount, IE_octetTotalCount}, {0}},
	{"bytes",
	 SIDE_OUT,
	 {IE_octetDeltaCount | REVERSE, IE_octetTotalCount | REVERSE,
	  IE_postOctetDeltaCount, IE_postOctetTotalCount},
	 {0}},
	{"flows", SIDE_NONE, {IE_deltaFlowCount}, {0}},
	{"version", SIDE_NONE, {IE_ipVersion}, {0}},
	{"ttl", SIDE_NONE, {IE_ipTTL, IE_minimumTTL, IE_maximumTTL}, {0}},
	{"domain", SIDE_NONE, {IE_observationDomainId}, {0}},
	{"icmp-type",
	 SIDE_NONE,
	 {IE_icmpTypeIPv4, IE_icmpTypeIPv6, IE_icmpTypeCodeIPv4,
	  IE_icmpTypeCodeIPv6},
	 {PART_WHOLE, PART_WHOLE, PART_HIGH, PART_HIGH}},
	{"icmp-code",
	 SIDE_NONE,
	 {IE_icmpCodeIPv4, IE_icmpCodeIPv6, IE_icmpTypeCodeIPv4,
	  IE_icmpTypeCodeIPv6},
	 {PART_WHOLE, PART_WHOLE, PART_LOW, PART_LOW}},
	{"duration", SIDE_NONE, {IE_flowDurationMilliseconds}, {PART_DURATION}},
	{"bps", SIDE_NONE, {IE_octetDeltaCount}, {PART_BIT_RATE}},
	{"pps", SIDE_NONE, {IE_packetDeltaCount}, {PART_PACKET_RATE}},
	{"bpp", SIDE_NONE, {IE_octetDeltaCount}, {PART_PACKET_SIZE}},
};

static const struct {
	const char *name, *word;
} aliases[] = {
	{"host", "ip"},	     {"net", "ip"},	  {"addr", "ip"},
	{"octets", "bytes"}, {"interface", "if"}, {"protocol", "proto"},
	{"odid", "domain"},
};

static const struct {
	const char *name;
	enum side side;
} sides[] = {
	{"src", SIDE_SOURCE},
	{"dst", SIDE_DESTINATION},
	{"in", SIDE_IN},
	{"out", SIDE_OUT},
	{"next", SIDE_NEXT},
	{"prev", SIDE_PREVIOUS},
	{"previous", SIDE_PREVIOUS},
	{"bgpnext", SIDE_BGP_NEXT},
	{"router", SIDE_ROUTER},
	{"exporter", SIDE_ROUTER},
};

enum side
side_of(const struct token *token)
{
	for (size_t i = 0; i < COUNT(sides); i++)
		if (token_is(token, sides[i].name))
			return sides[i].side;
	return SIDE_NONE;
}

enum side
side_behind(enum side side, const struct token *token)
{
	enum side next = side_of(token);

	if (next != SIDE_SOURCE && next != SIDE_DESTINATION)
		return SIDE_NONE;
	if (side == SIDE_IN)
		return next;
	if (side != SIDE_OUT)
		return SIDE_NONE;
	return next == SIDE_SOURCE ? SIDE_OUT_SOURCE : SIDE_OUT_DESTINATION;
}

/* Whether the token is this word or stands for it. */
static bool
names(const struct token *token, const char *word)
{
	if (token_is(token, word))
		return true;
	for (size_t i = 0; i < COUNT(aliases); i++)
		if (token_is(token, aliases[i].name))
			return strcmp(aliases[i].word, word) == 0;
	return false;
}

bool
is_word(const struct token *token)
{
	for (size_t i = 0; i < COUNT(words); i++)
		if (names(token, words[i].name))
			return true;
	return false;
}

const char *
word_sides(const struct token *word)
{
	return names(word, "ip")   ? "src, dst, next, bgpnext or router"
	       : names(word, "as") ? "src, dst, prev or next"
	       : names(word, "if") ? "in or out"
	       : names(word, "bytes") || names(word, "packets")
		       ? "in or out, or nothing,"
	       : names(word, "port") || names(word, "vlan") ||
			       names(word, "mac") || names(word, "mask") ||
			       names(word, "tos")
		       ? "src or dst"
		       : "nothing";
}

/* ---- groups ------------------------------------------------------------ */

static int
note_element(struct filter *filter, const struct ie *ie)
{
	for (unsigned i = 0; i < filter->element_count; i++)
		if (filter->element[i] == ie)
			return 0;
	if (filter->element_count == ELEMENTS_MAX)
		return -ENOSPC;
	filter->element[filter->element_count++] = ie;
	return 0;
}

int
group_add(struct filter *filter, struct term *term,
	  const struct operand *operand, unsigned count)
{
	struct group *group = list_add(&filter->groups, 1, sizeof(*group));
	int rc = 0;

	if (!group)
		return -ENOMEM;
	if (term->group_count++ == 0)
		term->group = filter->groups.count - 1;
	memset(group, 0, sizeof(*group));
	group->operand_count = count;
	for (unsigned i = 0; rc == 0 && i < count; i++) {
		group->operand[i] = operand[i];
		rc = note_element(filter, operand[i].ie);
	}
	return rc;
}

static int
row_add(struct filter *filter, struct term *term, const struct word *row)
{
	struct operand operand[OPERANDS_MAX];
	unsigned n = 0;

	for (; n < OPERANDS_MAX && row->element[n]; n++) {
		uint32_t pen = row->element[n] & REVERSE ? IE_PEN_REVERSE : 0;

		operand[n].ie = ie_find(filter->registry, pen,
					row->element[n] & (REVERSE - 1));
		operand[n].part = row->part[n];
		if (!operand[n].ie)
			return -ENOENT;
	}
	return group_add(filter, term, operand, n);
}

static bool
has_side(const struct token *word, enum side side)
{
	for (size_t i = 0; i < COUNT(words); i++)
		if (words[i].side == side && names(word, words[i].name))
			return true;
	return false;
}

/* Without a side: the row that has none, else both ways of the record. */
static bool
side_fits(enum side wanted, enum side side, bool plain)
{
	if (wanted != SIDE_NONE || plain)
		return side == wanted;
	return side == SIDE_SOURCE || side == SIDE_DESTINATION ||
	       side == SIDE_IN || side == SIDE_OUT;
}

int
word_groups(struct filter *filter, enum side side, const struct token *word,
	    struct term *term)
{
	bool plain = has_side(word, SIDE_NONE);
	int rc = -ENOENT;

	for (size_t i = 0; i < COUNT(words); i++) {
		if (!names(word, words[i].name) ||
		    !side_fits(side, words[i].side, plain))
			continue;
		rc = row_add(filter, term, &words[i]);
		if (rc < 0)
			return rc;
	}
	return rc;
}

/* ---- names ------------------------------------------------------------- */

/* Those that everybody has, wherever /etc/protocols may be. */
static const struct {
	const char *name;
	int number;
} protocols[] = {
	{"icmp", 1},   {"igmp", 2},   {"ipip", 4},	{"tcp", 6},
	{"egp", 8},    {"igp", 9},    {"udp", 17},	{"dccp", 33},
	{"ipv6", 41},  {"rsvp", 46},  {"gre", 47},	{"esp", 50},
	{"ah", 51},    {"icmp6", 58}, {"icmpv6", 58},	{"ipv6-icmp", 58},
	{"eigrp", 88}, {"ospf", 89},  {"pim", 103},	{"vrrp", 112},
	{"l2tp", 115}, {"sctp", 132}, {"udplite", 136},
};

int
protocol_number(const char *name)
{
	const struct protoent *entry;

	for (size_t i = 0; i < COUNT(protocols); i++)
		if (strcasecmp(name, protocols[i].name) == 0)
			return protocols[i].number;
	entry = getprotobyname(name);
	return entry ? entry->p_proto : -ENOENT;
}

const char *
nearest_word(const struct filter *filter, const char *name)
{
	unsigned distance = nearest_start(name);
	const char *best = NULL, *element;

	for (size_t i = 0; i < COUNT(words); i++)
		if (nearest_closer(name, words[i].name, &distance))
			best = words[i].name;
	for (size_t i = 0; i < COUNT(aliases); i++)
		if (nearest_closer(name, aliases[i].name, &distance))
			best = aliases[i].name;
	for (size_t i = 0; i < COUNT(sides); i++)
		if (nearest_closer(name, sides[i].name, &distance))
			best = sides[i].name;
	element = ie_nearest_name(filter->registry, name);
	if (element && nearest_closer(name, element, &distance))
		best = element;
	return best;
}
