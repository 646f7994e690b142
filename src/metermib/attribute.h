/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The attributes of RTFM traffic flows (RFC 2722 Appendix C, RFC 2720
 * FlowAttributeNumber and RuleAttributeNumber, RFC 2724): what reader and agent
 * must both know about each number. Constant tables, no state.
 */
#ifndef CONFLUX_METERMIB_ATTRIBUTE_H
#define CONFLUX_METERMIB_ATTRIBUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum attribute_number {
	ATTRIBUTE_NULL = 0, /* rules only: the test always succeeds */
	ATTRIBUTE_FLOW_INDEX = 1,
	ATTRIBUTE_FLOW_STATUS = 2,
	ATTRIBUTE_FLOW_TIME_MARK = 3,
	/* The ten of the source; those of the destination are 10 higher. */
	ATTRIBUTE_SOURCE_INTERFACE = 4,
	ATTRIBUTE_SOURCE_ADJACENT_TYPE = 5,
	ATTRIBUTE_SOURCE_ADJACENT_ADDRESS = 6,
	ATTRIBUTE_SOURCE_ADJACENT_MASK = 7,
	ATTRIBUTE_SOURCE_PEER_TYPE = 8,
	ATTRIBUTE_SOURCE_PEER_ADDRESS = 9,
	ATTRIBUTE_SOURCE_PEER_MASK = 10,
	ATTRIBUTE_SOURCE_TRANS_TYPE = 11,
	ATTRIBUTE_SOURCE_TRANS_ADDRESS = 12,
	ATTRIBUTE_SOURCE_TRANS_MASK = 13,
	ATTRIBUTE_DEST_INTERFACE = 14,
	ATTRIBUTE_DEST_ADJACENT_TYPE = 15,
	ATTRIBUTE_DEST_ADJACENT_ADDRESS = 16,
	ATTRIBUTE_DEST_ADJACENT_MASK = 17,
	ATTRIBUTE_DEST_PEER_TYPE = 18,
	ATTRIBUTE_DEST_PEER_ADDRESS = 19,
	ATTRIBUTE_DEST_PEER_MASK = 20,
	ATTRIBUTE_DEST_TRANS_TYPE = 21,
	ATTRIBUTE_DEST_TRANS_ADDRESS = 22,
	ATTRIBUTE_DEST_TRANS_MASK = 23,
	ATTRIBUTE_PDU_SCALE = 24,
	ATTRIBUTE_OCTET_SCALE = 25,
	ATTRIBUTE_RULE_SET = 26,
	ATTRIBUTE_TO_OCTETS = 27, /* source to destination */
	ATTRIBUTE_TO_PDUS = 28,
	ATTRIBUTE_FROM_OCTETS = 29, /* destination to source */
	ATTRIBUTE_FROM_PDUS = 30,
	ATTRIBUTE_FIRST_TIME = 31,
	ATTRIBUTE_LAST_ACTIVE_TIME = 32,
	ATTRIBUTE_SOURCE_SUBSCRIBER_ID = 33,
	ATTRIBUTE_DEST_SUBSCRIBER_ID = 34,
	ATTRIBUTE_SESSION_ID = 35,
	ATTRIBUTE_SOURCE_CLASS = 36,
	ATTRIBUTE_DEST_CLASS = 37,
	ATTRIBUTE_FLOW_CLASS = 38,
	ATTRIBUTE_SOURCE_KIND = 39,
	ATTRIBUTE_DEST_KIND = 40,
	ATTRIBUTE_FLOW_KIND = 41,
	/* Known to the packet matching engine only, never in a flow. */
	ATTRIBUTE_MATCHING_STOD = 50,
	ATTRIBUTE_V1 = 51,
	ATTRIBUTE_V5 = 55,
};

/* The columns of RFC 2720's flow table are attributes 1 to 41. */
#define ATTRIBUTE_FLOW_LAST ATTRIBUTE_FLOW_KIND

enum attribute_syntax {
	ATTRIBUTE_SYNTAX_INTEGER,
	ATTRIBUTE_SYNTAX_OCTETS,
	ATTRIBUTE_SYNTAX_COUNTER64,
	ATTRIBUTE_SYNTAX_TIME, /* TimeTicks: centiseconds of meter Uptime */
};

enum attribute_role {
	ATTRIBUTE_ROLE_OTHER,
	ATTRIBUTE_ROLE_ID,	/* index, rule set: names the flow */
	ATTRIBUTE_ROLE_TYPE,	/* says how to read the address after it */
	ATTRIBUTE_ROLE_ADDRESS, /* its mask is the attribute after it */
	ATTRIBUTE_ROLE_MASK,
	ATTRIBUTE_ROLE_INTERFACE,
	ATTRIBUTE_ROLE_COUNTER,
	ATTRIBUTE_ROLE_SCALE, /* bits to shift counters left */
	ATTRIBUTE_ROLE_TIME,
	ATTRIBUTE_ROLE_COMPUTED,     /* class, kind: given by rules */
	ATTRIBUTE_ROLE_SUBSCRIBER,   /* subscriber ids, session id */
	ATTRIBUTE_ROLE_DISTRIBUTION, /* RFC 2724 */
};

struct attribute {
	const char *name;   /* RFC 2722: "SourcePeerAddress" */
	const char *column; /* RFC 2720: "flowDataSourcePeerAddress", or NULL */
	uint8_t number;
	uint8_t syntax; /* enum attribute_syntax */
	uint8_t role;	/* enum attribute_role */
	uint8_t min;	/* octets of a value; 0 is a value too: unset */
	uint8_t max;	/* octets of a value in the meter */
	uint8_t sub_id; /* column of flowDataTable, 0: none */
	bool readable;	/* a readable column of flowDataTable */
	bool testable;	/* RuleAttributeNumber: may be in a rule */
};

/* The attribute of this number, or NULL if nobody defined it. */
const struct attribute *attribute_find(unsigned number);

/* By its RFC 2722 name, letters of either case; NULL: no such name. */
const struct attribute *attribute_find_name(const char *name);

/*
 * The longest address of RFC 2720 (a CLNS NSAP), and the longest value of any
 * attribute that a flow has.
 */
#define ATTRIBUTE_ADDRESS_SIZE 20

/* PeerType, and what the type of a tunnel's AdjacentAddress also may be. */
enum peer_type {
	PEER_TYPE_IPV4 = 1,
	PEER_TYPE_IPV6 = 2,
	PEER_TYPE_NSAP = 3,
	PEER_TYPE_IPX = 11,
	PEER_TYPE_APPLETALK = 12,
	PEER_TYPE_DECNET = 13,
};

/* AdjacentType, as far as these have 6-octet MAC addresses. */
enum adjacent_type {
	ADJACENT_TYPE_ETHERNET_CSMACD = 6,
	ADJACENT_TYPE_ETHERNET = 7,
	ADJACENT_TYPE_TOKEN_RING = 9,
	ADJACENT_TYPE_FDDI = 15,
};

/* Octets of an address of that PeerType; 0: not fixed, or unknown. */
unsigned peer_type_size(unsigned type);

/* Opcodes of the packet matching engine (RFC 2722 section 4.4). */
enum rule_action {
	RULE_IGNORE = 1,
	RULE_NO_MATCH,
	RULE_COUNT,
	RULE_COUNT_PKT,
	RULE_RETURN,
	RULE_GOSUB,
	RULE_GOSUB_ACT,
	RULE_ASSIGN,
	RULE_ASSIGN_ACT,
	RULE_GOTO,
	RULE_GOTO_ACT,
	RULE_PUSH_RULE_TO,
	RULE_PUSH_RULE_TO_ACT,
	RULE_PUSH_PKT_TO,
	RULE_PUSH_PKT_TO_ACT,
	RULE_POP_TO,
	RULE_POP_TO_ACT,
};

#endif
