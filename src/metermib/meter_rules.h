/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of rules, for the packet matching engine of RFC 2722 section 4.4. One
 * rule a line, its parts apart by blanks, '#' to the end of the line is a
 * comment:
 *
 *	[LABEL:] ATTRIBUTE MASK VALUE ACTION [PARAMETER]
 *
 *	# TCP and UDP between hosts, the rest is not counted
 *	        SourcePeerType  255             1    PushPktTo    next
 *	next:   SourceTransType 255             6    PushPktToAct ports
 *	        SourceTransType 255             17   PushPktToAct ports
 *	        Null            0               0    Ignore       0
 *	ports:  SourcePeerAddress 255.255.255.0 0    PushPktToAct dest
 *	...
 *
 * ATTRIBUTE: a name of RFC 2722 ("SourcePeerType", "V1") or its number.
 * MASK, VALUE: a number (80, 0xff), an IPv4 or IPv6 address, a MAC address
 * ("00-00-5e-00-53-01"), or hexadecimal octets ("x:0a0b0c"). Octets are aligned
 * at the front, as RFC 2723 section 3.1.6 says. The VALUE of an Assign is the
 * attribute to assign, by name or number.
 * ACTION: a name of RFC 2722 ("CountPkt", "PushPktToAct") or its number.
 * PARAMETER: a number, or the label of a rule that stands anywhere in the file;
 * left out it is 0.
 */
#ifndef CONFLUX_METERMIB_METER_RULES_H
#define CONFLUX_METERMIB_METER_RULES_H

#include <stdint.h>

enum {
	METER_RULES_MAX = 32768, /* what meters are known to take */
	METER_RULES_NAME_MAX = 118, /* " standby" still fits */
	RULE_ADDRESS_MAX = 20,
};

struct meter_rule {
	uint8_t selector;
	uint8_t action;
	uint16_t parameter;
	uint8_t length; /* of mask and value: 2 to 20 */
	uint8_t mask[RULE_ADDRESS_MAX];
	uint8_t value[RULE_ADDRESS_MAX];
};

struct meter_rules {
	unsigned count;
	struct meter_rule *rule;
};

/*
 * Reads a file. Each mistake is logged as FILE:LINE: what is wrong. -EINVAL if
 * there was one or there is no rule, -ENOMEM, or the errno of the file.
 */
int meter_rules_read(const char *path, struct meter_rules *out);
void meter_rules_fini(struct meter_rules *rules);

#endif
