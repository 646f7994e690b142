/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the meter agent: what we have metered ourselves, given to readers of
 * the Meter MIB (RFC 2720), so that an old meter reader can work with a new
 * meter. RFC 6728 lacks it.
 */
#include "rows.h"

static const struct conf_row community_choice[] = {
	CONF_SECRET("community", 1,
		    "Community string by which the meter can be read, "
		    "SNMP v1 and v2c. When not given: none can.",
		    "File whose first line is the community string: keeps "
		    "it out of the configuration."),
	CONF_LAST,
};

static const struct conf_row write_choice[] = {
	CONF_SECRET("writeCommunity", 1,
		    "Community string by which readers register and "
		    "managers load rule sets; it may read, too. When not "
		    "given: nobody writes without a user.",
		    "File whose first line is that string."),
	CONF_LAST,
};

static const struct conf_row auth_choice[] = {
	CONF_SECRET("authPassphrase", 8,
		    "Passphrase for authentication, at least 8 octets. "
		    "When not given: the user is not authenticated.",
		    "File whose first line is that passphrase."),
	CONF_LAST,
};

static const struct conf_row priv_choice[] = {
	CONF_SECRET("privPassphrase", 8,
		    "Passphrase for encryption, at least 8 octets. When "
		    "not given: nothing is encrypted.",
		    "File whose first line is that passphrase."),
	CONF_LAST,
};

static const struct conf_row user_rows[] = {
	CONF_ROW(LEAF, "name", .type = CONF_NAME, .mandatory = true, .cx = true,
		 .max = 32, .help = "User name (USM)."),
	CONF_AUTH_PROTOCOL("Digest for authentication."),
	CONF_ROW(CHOICE, "authSecret", .cx = true, .rows = auth_choice),
	CONF_ROW(LEAF, "privProtocol", .cx = true, .type = CONF_ENUM,
		 .def = "AES", CONF_VALUES("DES", "AES"),
		 .help = "Cipher for privacy."),
	CONF_ROW(CHOICE, "privSecret", .cx = true, .rows = priv_choice),
	CONF_ROW(LEAF, "write", .cx = true, .type = CONF_BOOL, .def = "true",
		 .help = "Whether the user may write: readers register, "
			 "managers load rule sets."),
	CONF_LAST,
};

static const struct conf_row rule_rows[] = {
	CONF_ROW(LEAF, "ruleSetFile", .cx = true, .type = CONF_PATH,
		 .help = "File with rules to run from the start, see RULES. "
			 "When not given: the built-in rule set, which counts "
			 "all packets in one flow, until a manager loads "
			 "another."),
	CONF_ROW(LEAF, "ruleSetName", .cx = true, .type = CONF_STRING,
		 .min = 1, .max = 118, .def = "conflux",
		 .help = "Name of the rule set from the file; its number "
			 "is 2."),
	CONF_ROW(LEAF, "standbyRuleSetFile", .cx = true, .type = CONF_PATH,
		 .help = "File with the rules to fall back to above "
			 "highWaterMark. When not given: nothing is metered "
			 "then, until a manager says so."),
	CONF_ROW(LEAF, "highWaterMark", .cx = true, CONF_RANGE(0, 100),
		 .units = "percent", .def = "0",
		 .help = "Use of the flow table above which the rules from the "
			 "file end; 0 and 100 are never."),
	CONF_LAST,
};

const struct conf_row conf_rows_agent[] = {
	CONF_KEY_CX,
	CONF_ROW(LEAF_LIST, "listenAddress", .cx = true, .type = CONF_ADDRESS,
		 .help = "Address to listen on, repeated for several. When not "
			 "given: 127.0.0.1."),
	CONF_ROW(LEAF, "port", .cx = true, CONF_RANGE(1, 65535), .def = "161",
		 .help = "UDP port to listen on."),
	CONF_ROW(LEAF, "agentX", .cx = true, .type = CONF_PATH,
		 .help = "Socket of a master agent, such as snmpd(8): the meter "
			 "is a part of that agent and does not listen itself. "
			 "Who may ask is then up to the master."),
	CONF_ROW(CHOICE, "readAccess", .cx = true, .rows = community_choice),
	CONF_ROW(CHOICE, "writeAccess", .cx = true, .rows = write_choice),
	CONF_ROW(LIST, "user", .cx = true, .rows = user_rows,
		 .help = "User of SNMP v3."),
	CONF_ROW(LEAF, "engineId", .cx = true, .type = CONF_STRING, .min = 10,
		 .max = 64,
		 .help = "Engine ID of SNMP v3, 10 to 64 hexadecimal digits. "
			 "When not given: another one at each start, so that "
			 "readers have to discover it anew."),
	CONF_ROW(LEAF, "maxFlows", .cx = true, CONF_RANGE(1, 16777215),
		 .units = "flows", .def = "65536",
		 .help = "Flows at a time, of all rule sets; about 600 octets "
			 "each. What would need more is lost, and counted."),
	CONF_ROW(LEAF, "maxRules", .cx = true, CONF_RANGE(2, 1048576),
		 .units = "rules", .def = "32768",
		 .help = "Rules of all rule sets together, about 100 octets "
			 "each."),
	CONF_ROW(LEAF, "inactivityTimeout", .cx = true,
		 CONF_RANGE(1, INT32_MAX), .units = "seconds", .def = "600",
		 .help = "A flow idle for this long leaves the table once all "
			 "readers have it (flowInactivityTimeout; managers may "
			 "change it)."),
	CONF_ROW(LEAF, "octetLayer", .cx = true, .type = CONF_ENUM,
		 .def = "ip", CONF_VALUES("ip", "layer2"),
		 .help = "Which octets are counted: those of IP packets "
			 "(octetDeltaCount) or of whole frames "
			 "(layer2OctetDeltaCount). The MIB does not say, so "
			 "readers have to be told."),
	CONF_ROW(GROUP, "agentRules", .cx = true, .rows = rule_rows),
	CONF_LAST,
};
