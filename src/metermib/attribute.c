/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 2720: columns of flowDataTable have the numbers of the attributes, except
 * that columns 2 and 3 are TimeMark and Status while attributes 2 and 3 are
 * Status and TimeMark. Sizes are those of RFC 2723 Appendix C. Values of the
 * extended attributes (RFC 2724, and 112 on as NetFlowMet has them) are not in
 * RFC 2720's table, but a package selector can name them.
 */
#include "attribute.h"

#include <strings.h>

#define INT ATTRIBUTE_SYNTAX_INTEGER
#define OCTETS ATTRIBUTE_SYNTAX_OCTETS
#define COUNTER ATTRIBUTE_SYNTAX_COUNTER64
#define TIME ATTRIBUTE_SYNTAX_TIME

/* clang-format off */
/* One that a flow has, with its column; the last: testable. */
#define FLOW(n, name, syntax, role, min, max, test)                            \
	{#name, "flowData" #name, n, syntax, ATTRIBUTE_ROLE_##role, min, max,  \
	 n, true, test}
#define NAMED(n, name, column, syntax, role, max, id, in, test)                \
	{#name, column, n, syntax, ATTRIBUTE_ROLE_##role, max, max, id, in,    \
	 test}
#define EXTENDED(n, name, syntax, role, min, max)                              \
	{#name, NULL, n, syntax, ATTRIBUTE_ROLE_##role, min, max, 0, false,    \
	 false}
#define VARIABLE(n, name)                                                      \
	{#name, NULL, n, INT, ATTRIBUTE_ROLE_OTHER, 1, 1, 0, false, true}

#define END_POINT(n, end)                                                      \
	FLOW(n, end##Interface, INT, INTERFACE, 1, 4, true),                   \
	FLOW(n + 1, end##AdjacentType, INT, TYPE, 1, 1, true),                 \
	FLOW(n + 2, end##AdjacentAddress, OCTETS, ADDRESS, 3, 20, true),       \
	FLOW(n + 3, end##AdjacentMask, OCTETS, MASK, 3, 20, false),            \
	FLOW(n + 4, end##PeerType, INT, TYPE, 1, 1, true),                     \
	FLOW(n + 5, end##PeerAddress, OCTETS, ADDRESS, 3, 20, true),           \
	FLOW(n + 6, end##PeerMask, OCTETS, MASK, 3, 20, false),                \
	FLOW(n + 7, end##TransType, INT, TYPE, 1, 1, true),                    \
	FLOW(n + 8, end##TransAddress, OCTETS, ADDRESS, 2, 2, true),           \
	FLOW(n + 9, end##TransMask, OCTETS, MASK, 2, 2, false)
/* clang-format on */

static const struct attribute attributes[] = {
    {"Null", NULL, 0, INT, ATTRIBUTE_ROLE_OTHER, 0, 0, 0, false, true},
    NAMED(1, FlowIndex, "flowDataIndex", INT, ID, 4, 1, false, false),
    NAMED(2, FlowStatus, "flowDataStatus", INT, OTHER, 1, 3, true, false),
    NAMED(3, FlowTimeMark, "flowDataTimeMark", TIME, TIME, 4, 2, false, false),
    END_POINT(4, Source),
    END_POINT(14, Dest),
    FLOW(24, PDUScale, INT, SCALE, 1, 1, false),
    FLOW(25, OctetScale, INT, SCALE, 1, 1, false),
    NAMED(26, FlowRuleSet, "flowDataRuleSet", INT, ID, 1, 26, false, false),
    FLOW(27, ToOctets, COUNTER, COUNTER, 8, 8, false),
    FLOW(28, ToPDUs, COUNTER, COUNTER, 8, 8, false),
    FLOW(29, FromOctets, COUNTER, COUNTER, 8, 8, false),
    FLOW(30, FromPDUs, COUNTER, COUNTER, 8, 8, false),
    FLOW(31, FirstTime, TIME, TIME, 4, 4, false),
    FLOW(32, LastActiveTime, TIME, TIME, 4, 4, false),
    FLOW(33, SourceSubscriberID, OCTETS, SUBSCRIBER, 4, 20, true),
    FLOW(34, DestSubscriberID, OCTETS, SUBSCRIBER, 4, 20, true),
    FLOW(35, SessionID, OCTETS, SUBSCRIBER, 4, 10, true),
    FLOW(36, SourceClass, INT, COMPUTED, 1, 1, true),
    FLOW(37, DestClass, INT, COMPUTED, 1, 1, true),
    NAMED(38, FlowClass, "flowDataClass", INT, COMPUTED, 1, 38, true, true),
    FLOW(39, SourceKind, INT, COMPUTED, 1, 1, true),
    FLOW(40, DestKind, INT, COMPUTED, 1, 1, true),
    NAMED(41, FlowKind, "flowDataKind", INT, COMPUTED, 1, 41, true, true),
    VARIABLE(50, MatchingStoD),
    VARIABLE(51, V1),
    VARIABLE(52, V2),
    VARIABLE(53, V3),
    VARIABLE(54, V4),
    VARIABLE(55, V5),
    EXTENDED(65, Distributions, OCTETS, OTHER, 0, 255),
    EXTENDED(66, ToPacketSize, OCTETS, DISTRIBUTION, 0, 255),
    EXTENDED(67, FromPacketSize, OCTETS, DISTRIBUTION, 0, 255),
    EXTENDED(68, ToInterarrivalTime, OCTETS, DISTRIBUTION, 0, 255),
    EXTENDED(69, FromInterarrivalTime, OCTETS, DISTRIBUTION, 0, 255),
    EXTENDED(70, ToTurnaroundTime, OCTETS, DISTRIBUTION, 0, 255),
    EXTENDED(71, FromTurnaroundTime, OCTETS, DISTRIBUTION, 0, 255),
    EXTENDED(72, ToBitRate, OCTETS, DISTRIBUTION, 0, 255),
    EXTENDED(73, FromBitRate, OCTETS, DISTRIBUTION, 0, 255),
    EXTENDED(74, ToPDURate, OCTETS, DISTRIBUTION, 0, 255),
    EXTENDED(75, FromPDURate, OCTETS, DISTRIBUTION, 0, 255),
    EXTENDED(98, QoSService, INT, OTHER, 1, 1),
    EXTENDED(99, QoSStyle, INT, OTHER, 1, 1),
    EXTENDED(100, QoSRate, INT, OTHER, 1, 8),
    EXTENDED(101, QoSSlackTerm, INT, OTHER, 1, 4),
    EXTENDED(102, QoSTokenBucketRate, INT, OTHER, 1, 8),
    EXTENDED(103, QoSTokenBucketSize, INT, OTHER, 1, 8),
    EXTENDED(104, QoSPeakDataRate, INT, OTHER, 1, 8),
    EXTENDED(105, QoSMinPolicedUnit, INT, OTHER, 1, 4),
    EXTENDED(106, QoSMaxPolicedUnit, INT, OTHER, 1, 4),
    EXTENDED(112, MeterID, OCTETS, OTHER, 1, 20),
    EXTENDED(113, SourceASN, INT, OTHER, 1, 4),
    EXTENDED(114, SourcePrefix, INT, OTHER, 1, 1),
    EXTENDED(115, DestASN, INT, OTHER, 1, 4),
    EXTENDED(116, DestPrefix, INT, OTHER, 1, 1),
    EXTENDED(118, DSCodePoint, INT, OTHER, 1, 1),
};

enum { ATTRIBUTE_COUNT = sizeof(attributes) / sizeof(attributes[0]) };

const struct attribute *
attribute_find(unsigned number)
{
	/* 0 to 41 stand at their own place. */
	if (number <= ATTRIBUTE_FLOW_LAST)
		return &attributes[number];
	for (unsigned i = ATTRIBUTE_FLOW_LAST + 1; i < ATTRIBUTE_COUNT; i++)
		if (attributes[i].number == number)
			return &attributes[i];
	return NULL;
}

const struct attribute *
attribute_find_name(const char *name)
{
	for (unsigned i = 0; i < ATTRIBUTE_COUNT; i++)
		if (strcasecmp(attributes[i].name, name) == 0)
			return &attributes[i];
	return NULL;
}

unsigned
peer_type_size(unsigned type)
{
	switch (type) {
	case PEER_TYPE_IPV4:
		return 4;
	case PEER_TYPE_IPV6:
		return 16;
	case PEER_TYPE_IPX:
		return 10;
	case PEER_TYPE_APPLETALK:
	case PEER_TYPE_DECNET:
		return 3;
	default:
		return 0;
	}
}
