/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Enterprise elements for RTFM attributes that IANA has no element for: their
 * id is the number of the attribute, 1 to 255. (RFC 5103 reverses IANA elements
 * only; none of ours needs a reverse.)
 */
#ifndef CONFLUX_METERMIB_METER_ELEMENTS_H
#define CONFLUX_METERMIB_METER_ELEMENTS_H

#include "conflux/meter_reader.h"

enum {
	/* The flow's identity in its meter. */
	METER_IE_FLOW_INDEX = 1,
	METER_IE_RULE_SET = 26,
	/* No attribute: flowRuleInfoName, in Options Data. */
	METER_IE_RULE_SET_NAME = 256,
};

#endif
