/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the meter reader: a source that RFC 6728 lacks. It polls one meter
 * that has the Meter MIB (RFC 2720, or its older form RFC 2064).
 */
#include "rows.h"

static const struct conf_row community_choice[] = {
	CONF_SECRET("community", 1,
		    "Community string for reading, SNMP v1 and v2c.",
		    "File whose first line is the community string: keeps "
		    "it out of the configuration."),
	CONF_LAST,
};

static const struct conf_row write_choice[] = {
	CONF_SECRET("writeCommunity", 1,
		    "Community string for writing: a reader registers "
		    "itself in the meter. When not given: that for "
		    "reading.",
		    "File whose first line is that string."),
	CONF_LAST,
};

static const struct conf_row auth_choice[] = {
	CONF_SECRET("authPassphrase", 8,
		    "Passphrase for authentication, at least 8 octets "
		    "(RFC 3414 section 11.2).",
		    "File whose first line is that passphrase."),
	CONF_LAST,
};

static const struct conf_row priv_choice[] = {
	CONF_SECRET("privPassphrase", 8,
		    "Passphrase for encryption, at least 8 octets.",
		    "File whose first line is that passphrase."),
	CONF_LAST,
};

static const struct conf_row v3_rows[] = {
	CONF_ROW(LEAF, "user", .cx = true, .type = CONF_STRING, .min = 1,
		 .max = 32, .mandatory = true, .help = "User name (USM)."),
	CONF_ROW(LEAF, "securityLevel", .cx = true, .type = CONF_ENUM,
		 .def = "authPriv",
		 CONF_VALUES("noAuthNoPriv", "authNoPriv", "authPriv"),
		 .help = "Whether messages are authenticated and encrypted."),
	CONF_AUTH_PROTOCOL("Digest for authentication; the default is the one "
			   "every agent with USM has."),
	CONF_ROW(CHOICE, "authSecret", .cx = true, .rows = auth_choice),
	CONF_ROW(LEAF, "privProtocol", .cx = true, .type = CONF_ENUM,
		 .def = "AES", CONF_VALUES("DES", "AES", "AES-192", "AES-256"),
		 .help = "Cipher for privacy; AES is that of RFC 3826 with 128 "
			 "bits, the longer ones follow the usual draft "
			 "(Blumenthal)."),
	CONF_ROW(CHOICE, "privSecret", .cx = true, .rows = priv_choice),
	CONF_ROW(LEAF, "contextName", .cx = true, .type = CONF_STRING,
		 .max = 255, .help = "Context name. When not given: empty."),
	CONF_ROW(LEAF, "contextEngineId", .cx = true, .type = CONF_STRING,
		 .min = 10, .max = 64,
		 .help = "Context engine, 10 to 64 hexadecimal digits. When "
			 "not given: that of the agent."),
	CONF_LAST,
};

static const struct conf_row manage_rows[] = {
	CONF_ROW(LEAF, "ruleSetFile", .cx = true, .type = CONF_PATH,
		 .mandatory = true,
		 .help = "File with the rules to download, see RULES."),
	CONF_ROW(LEAF, "ruleSetName", .cx = true, .type = CONF_STRING,
		 .min = 1, .max = 118, .def = "conflux",
		 .help = "Name of the rule set in the meter; one of this name "
			 "and owner is replaced."),
	CONF_ROW(LEAF, "standbyRuleSetFile", .cx = true, .type = CONF_PATH,
		 .help = "File with the rules that the meter falls back to "
			 "when it gets short of memory. When not given: it "
			 "stops measuring then."),
	CONF_ROW(LEAF, "highWaterMark", .cx = true, CONF_RANGE(0, 100),
		 .units = "percent", .def = "65",
		 .help = "Use of the meter's flow table above which it goes to "
			 "the standby rule set; 0 and 100 are never."),
	CONF_ROW(LEAF, "floodMark", .cx = true, CONF_RANGE(0, 100),
		 .units = "percent", .def = "95",
		 .help = "Use above which the meter goes to flood mode; 0 and "
			 "100 are never."),
	CONF_ROW(LEAF, "inactivityTimeout", .cx = true, CONF_RANGE(1, INT32_MAX),
		 .units = "seconds", .def = "600",
		 .help = "A Flow idle for this long may be dropped by the "
			 "meter once all its readers have it."),
	CONF_ROW(LEAF, "keepAlive", .cx = true, CONF_RANGE(0, 86400),
		 .units = "seconds", .def = "300",
		 .help = "How often the state of the rule set in the meter is "
			 "looked after; 0 is never."),
	CONF_ROW(LEAF, "stopOnExit", .cx = true, .type = CONF_BOOL,
		 .def = "true",
		 .help = "Whether the rule set is stopped and removed when the "
			 "daemon ends."),
	CONF_LAST,
};

static const struct conf_row snmp_rows[] = {
	CONF_ROW(LEAF, "address", .cx = true, .type = CONF_ADDRESS,
		 .mandatory = true, .help = "Address of the meter."),
	CONF_ROW(LEAF, "port", .cx = true, CONF_RANGE(1, 65535), .def = "161",
		 .help = "UDP port of its SNMP agent."),
	CONF_ROW(LEAF, "version", .cx = true, .type = CONF_ENUM, .def = "v2c",
		 CONF_VALUES("v1", "v2c", "v3"),
		 .help = "Version of SNMP. v1 and v2c need a community string, "
			 "v3 needs cx:v3."),
	CONF_ROW(CHOICE, "readCommunity", .cx = true,
		 .rows = community_choice),
	CONF_ROW(CHOICE, "writeAccess", .cx = true, .rows = write_choice),
	CONF_ROW(PRESENCE, "v3", .cx = true, .rows = v3_rows,
		 .help = "User based security of SNMP v3."),
	CONF_ROW(LEAF, "timeout", .cx = true, CONF_RANGE(10, 60000),
		 .units = "milliseconds", .def = "1000",
		 .help = "Wait for the answer to one request."),
	CONF_ROW(LEAF, "retries", .cx = true, CONF_RANGE(0, 20),
		 .units = "tries", .def = "3",
		 .help = "How often a request is sent again before the pass "
			 "fails."),
	CONF_ROW(LEAF, "maxRepetitions", .cx = true, CONF_RANGE(0, 1000),
		 .units = "rows", .def = "0",
		 .help = "Rows asked for by one GETBULK; 0 adapts to what the "
			 "agent answers and the path carries."),
	CONF_ROW(LEAF, "maxMessageSize", .cx = true, CONF_RANGE(484, 65507),
		 .units = "octets",
		 .help = "Largest answer wanted. Without it: what one packet "
			 "carries to the meter as the system knows the path, "
			 "1400 on Ethernet and at most 8192, so that answers "
			 "are not fragmented."),
	CONF_LAST,
};

const struct conf_row conf_rows_meter[] = {
	CONF_KEY_CX,
	CONF_ROW(GROUP, "meterSnmp", .cx = true, .rows = snmp_rows),
	CONF_ROW(LEAF, "interval", .cx = true, CONF_RANGE(1, 86400),
		 .units = "seconds", .def = "60",
		 .help = "From the start of one pass to that of the next."),
	CONF_ROW(LEAF, "jitter", .cx = true, CONF_RANGE(0, 50),
		 .units = "percent", .def = "10",
		 .help = "Passes start up to this part of the interval early "
			 "or late, so that hundreds of meters do not answer at "
			 "once."),
	CONF_ROW(LEAF, "maxBackoff", .cx = true, CONF_RANGE(1, 86400),
		 .units = "seconds", .def = "600",
		 .help = "Longest wait for the next try at a meter that does "
			 "not answer; waits double from the interval on."),
	CONF_ROW(LEAF_LIST, "ruleSet", .cx = true, .type = CONF_STRING,
		 .min = 1, .max = 127,
		 .help = "Rule set to read, by its number (1 to 255) or its "
			 "name, repeated for several. When not given: all that "
			 "are active."),
	CONF_ROW(LEAF, "owner", .cx = true, .type = CONF_STRING, .min = 1,
		 .max = 127, .def = "conflux",
		 .help = "Name by which the reader registers in the meter. Two "
			 "readers of one meter need two names."),
	CONF_ROW(LEAF, "readerTimeout", .cx = true, CONF_RANGE(0, INT32_MAX),
		 .units = "seconds", .def = "0",
		 .help = "The meter forgets a reader that did not come for "
			 "this long; 0 is three times the interval."),
	CONF_ROW(LEAF, "octetLayer", .cx = true, .type = CONF_ENUM,
		 .def = "layer2", CONF_VALUES("ip", "layer2"),
		 .help = "Which octets the meter counts, as the MIB does not "
			 "say: those of IP packets (octetDeltaCount) or of "
			 "whole frames (layer2OctetDeltaCount). The usual "
			 "meter, NeTraMet, counts frames."),
	CONF_ROW(LEAF, "direction", .cx = true, .type = CONF_ENUM,
		 .def = "biflow", CONF_VALUES("biflow", "uniflow"),
		 .help = "One record for both directions of a Flow (RFC 5103) "
			 "or one for each."),
	CONF_ROW(LEAF, "counters", .cx = true, .type = CONF_ENUM,
		 .def = "delta", CONF_VALUES("delta", "total"),
		 .help = "What changed since the last pass, or the counters as "
			 "the meter has them."),
	CONF_ROW(LEAF, "firstPass", .cx = true, .type = CONF_ENUM,
		 .def = "baseline", CONF_VALUES("baseline", "count"),
		 .help = "Flows that started before we did: only what is added "
			 "from now on counts (somebody else may have read the "
			 "rest), or all of it."),
	CONF_ROW(LEAF, "mib", .cx = true, .type = CONF_ENUM, .def = "auto",
		 CONF_VALUES("auto", "rfc2720", "rfc2064"),
		 .help = "Form of the Meter MIB; auto asks the meter."),
	CONF_ROW(LEAF, "access", .cx = true, .type = CONF_ENUM, .def = "auto",
		 CONF_VALUES("auto", "packages", "columns"),
		 .help = "How Flows are asked for: by packages of attributes, "
			 "or by single columns; auto takes columns if the "
			 "meter has no packages."),
	CONF_ROW(LEAF_LIST, "extraAttribute", .cx = true, CONF_RANGE(64, 255),
		 .help = "Attribute to ask for beside those of RFC 2720, by "
			 "its number, repeated for several: 113 and 115 are "
			 "the AS numbers of source and destination, 118 the "
			 "code point of DiffServ (RFC 2724)."),
	CONF_ROW(LEAF, "maxFlows", .cx = true, CONF_RANGE(1, UINT32_MAX),
		 .units = "flows", .def = "1048576",
		 .help = "Flows of this meter whose last counters are "
			 "remembered, to tell what was added."),
	CONF_ROW(LEAF, "enterpriseNumber", .cx = true,
		 CONF_RANGE(1, UINT32_MAX - 1), .def = "32473",
		 .help = "Private Enterprise Number of the elements for "
			 "attributes that IANA has no element for. The default "
			 "is the number for documentation (RFC 5612): take "
			 "your own if the records leave your network."),
	CONF_ROW(LEAF, "observationDomainId", .cx = true, CONF_U32, .def = "0",
		 .help = "Observation Domain of the records; 0 derives one "
			 "that is unique to the meter and rule set."),
	CONF_ROW(LEAF, "stateFile", .cx = true, .type = CONF_PATH,
		 .help = "File in which the last counters are kept, so that a "
			 "restart loses nothing and counts nothing twice. When "
			 "not given: a restart is as firstPass says."),
	CONF_ROW(PRESENCE, "manage", .cx = true, .rows = manage_rows,
		 .help = "Download a rule set, start it, look after it."),
	CONF_LAST,
};
