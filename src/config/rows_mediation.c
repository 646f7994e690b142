/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of Intermediate Processes (RFC 6183 section 5), which the model of RFC
 * 6728 does not have.
 */
#include "rows.h"

static const struct conf_row prefix_rows[] = {
	CONF_ROW(LEAF, "unchangedBits", .cx = true, CONF_RANGE(0, 127),
		 .units = "bits", .def = "0",
		 .help = "Low-order bits of the addresses that stay as they "
			 "are, so that who scans in order does not give the "
			 "others away."),
	CONF_LAST,
};

static const struct conf_row bin_rows[] = {
	CONF_ROW(LEAF_LIST, "bin", .cx = true, .type = CONF_WORD,
		 .help = "\"80\" stays, \"0-1023\" becomes 0, "
			 "\"1024-65535=1024\" what is behind the equals sign. "
			 "The first bin that has a number counts; what none "
			 "has becomes 0."),
	CONF_LAST,
};

static const struct conf_row method_choice[] = {
	CONF_ROW(LEAF, "real", .cx = true, .type = CONF_EMPTY,
		 .help = "The values pass as they are, and are declared to be "
			 "real."),
	CONF_ROW(LEAF, "remove", .cx = true, .type = CONF_EMPTY,
		 .help = "The fields are left out (black-marker)."),
	CONF_ROW(LEAF, "truncation", .cx = true, CONF_RANGE(1, 127),
		 .units = "bits",
		 .help = "So many low-order bits of an address become 0: with "
			 "8, IPv4 addresses become those of /24 networks."),
	CONF_ROW(LEAF, "reverseTruncation", .cx = true, CONF_RANGE(1, 127),
		 .units = "bits",
		 .help = "So many high-order bits of an address become 0."),
	CONF_ROW(LEAF, "permutation", .cx = true, .type = CONF_EMPTY,
		 .help = "Each address or integer becomes another one, as "
			 "the key says: different ones stay different, and "
			 "nothing else is left of them. Of integers, those of "
			 "fields of one length."),
	CONF_ROW(PRESENCE, "prefixPreserving", .cx = true, .rows = prefix_rows,
		 .help = "IP addresses become others, as the key says, that "
			 "have as long a prefix in common as before: "
			 "Crypto-PAn, so that others with the same key get "
			 "the same addresses."),
	CONF_ROW(LEAF, "structuredPermutation", .cx = true, .type = CONF_EMPTY,
		 .help = "The manufacturer's and the other half of a MAC "
			 "address are permuted apart, as the key says."),
	CONF_ROW(LEAF, "precision", .cx = true, CONF_RANGE(1, UINT32_MAX),
		 .help = "Unsigned numbers become multiples of this, the next "
			 "lower ones; times those of so many milliseconds."),
	CONF_ROW(PRESENCE, "binning", .cx = true, .rows = bin_rows,
		 .help = "Unsigned numbers go into bins."),
	CONF_ROW(LEAF, "knownValue", .cx = true, .type = CONF_STRING, .min = 1,
		 .max = 255,
		 .help = "All become this address or unsigned number."),
	CONF_ROW(LEAF, "enumeration", .cx = true, CONF_RANGE(1, UINT32_MAX),
		 .units = "milliseconds",
		 .help = "Times become others so far apart from each other, in "
			 "the order in which records come, and in that of the "
			 "times within a record; the first is chosen at "
			 "random. For times in seconds, 1000 or more."),
	CONF_ROW(LEAF, "randomShift", .cx = true, CONF_RANGE(1, 315360000),
		 .units = "seconds",
		 .help = "All times of the process move by the same offset, "
			 "which follows from the key and is at most this, in "
			 "either direction. Of several rules, the first says "
			 "it."),
	CONF_ROW(LEAF, "noise", .cx = true, CONF_RANGE(1, 100),
		 .units = "percent",
		 .help = "Unsigned numbers that are no identifiers get more or "
			 "less by a random part of them, at most this."),
	CONF_LAST,
};

static const struct conf_row anonymization_rule_rows[] = {
	CONF_KEY_CX,
	CONF_ROW(LEAF_LIST, "group", .cx = true, .type = CONF_ENUM,
		 CONF_VALUES("ipv4Address", "ipv6Address", "macAddress", "port",
			     "timestamp", "counter"),
		 .help = "Elements that the rule is for: all of type "
			 "ipv4Address, ipv6Address or macAddress; ports of "
			 "TCP, UDP and SCTP; all of the four dateTime types; "
			 "all unsigned delta and total counters. Their reverse "
			 "elements are among them."),
	CONF_ROW(LEAF_LIST, "ieName", .cx = true, .type = CONF_WORD,
		 .help = "Information Element that the rule is for, by name."),
	CONF_ROW(CHOICE, "Method", .cx = true, .mandatory = true,
		 .rows = method_choice),
	CONF_LAST,
};

static const struct conf_row anonymization_rows[] = {
	CONF_ROW(LEAF, "keyFile", .cx = true, .type = CONF_PATH,
		 .help = "File with the key: 64 hexadecimal digits, 32 octets, "
			 "in one line; of Crypto-PAn, the first 16 octets are "
			 "that of AES, the others the pad. Nobody but its "
			 "owner and group may read it. It is read at the "
			 "start, and not again, as what was declared to be "
			 "stable has to stay so."),
	CONF_ROW(LEAF, "keepUnknown", .cx = true, .type = CONF_BOOL,
		 .def = "false",
		 .help = "Fields of elements that nobody has described pass "
			 "as they are. Else they are left out."),
	CONF_ROW(LIST, "rule", .cx = true, .mandatory = true,
		 .rows = anonymization_rule_rows,
		 .help = "What is done to which elements. The first rule that "
			 "has an element counts."),
	CONF_LAST,
};

static const struct conf_row dedup_rows[] = {
	CONF_ROW(LEAF, "choose", .cx = true, .type = CONF_ENUM, .def = "first",
		 CONF_VALUES("first", "mostPackets"),
		 .help = "Whose records of a Flow pass: those of the "
			 "Observation Point that reports it first, without "
			 "delay; or of the one with the most packets in what "
			 "has come when cx:holdTime is over."),
	CONF_ROW(LEAF, "holdTime", .cx = true, CONF_RANGE(1, 600),
		 .units = "seconds", .def = "30",
		 .help = "With mostPackets: how long the first records of a "
			 "Flow wait for the choice. It should be longer than "
			 "the difference between the exporters' idle timeouts. "
			 "At most 16 records of a Flow wait; those of a "
			 "Transport Session wait no longer than it lasts."),
	CONF_ROW(
		LEAF, "window", .cx = true, CONF_RANGE(1, 86400),
		.units = "seconds", .def = "600",
		.help = "A Flow is forgotten when its chosen Observation Point "
			"has not reported it for so long, by the time of "
			"arrival. It should be longer than the active "
			"timeouts of the exporters."),
	CONF_ROW(LEAF, "startTolerance", .cx = true, CONF_RANGE(0, 60000),
		 .units = "milliseconds", .def = "2000",
		 .help = "Records of different Observation Points are of the "
			 "same packets if their start times differ by no more "
			 "than this, or if they overlap by more than this, or "
			 "if one lies in the time of the other. Clocks are not "
			 "equal, and NetFlow counts its times from seconds "
			 "on."),
	CONF_ROW(LEAF, "maxFlows", .cx = true, CONF_RANGE(1, UINT32_MAX),
		 .units = "flows", .def = "262144",
		 .help = "Bound of the Flows that are remembered, of about 130 "
			 "octets each. Records of others pass undecided, and "
			 "are counted (undecidedTableFull in conflux status)."),
	CONF_ROW(LEAF, "maxOctets", .cx = true,
		 CONF_RANGE(1048576, UINT64_C(1) << 34), .units = "octets",
		 .def = "67108864",
		 .help = "With mostPackets: bound of the memory for records "
			 "that wait. Others pass undecided, and are counted "
			 "(undecidedHoldFull)."),
	CONF_ROW(LEAF_LIST, "flowKey", .cx = true, .type = CONF_WORD,
		 .help = "Information Elements in which records of one Flow "
			 "agree, all of which a record must have (of those "
			 "for IPv4 and IPv6 one). When not given: source and "
			 "destination address and, where they are there, "
			 "protocol, ports and ICMP type and code. Records "
			 "without them, or without start times, pass undecided "
			 "(undecidedNoKey)."),
	CONF_ROW(LEAF_LIST, "observationPointKey", .cx = true,
		 .type = CONF_WORD,
		 .help = "Information Elements by which Observation Points are "
			 "told apart; records that agree in all of them are "
			 "never duplicates of each other. When not given: "
			 "originalExporterIPv4Address, "
			 "originalExporterIPv6Address, "
			 "originalObservationDomainId (of records that do not "
			 "have them: those of the Transport Session) and "
			 "observationPointId. ingressInterface and "
			 "flowDirection tell apart what one exporter sees "
			 "twice."),
	CONF_LAST,
};

/* What a value is, and where it goes to. */
static const struct conf_row value_rows[] = {
	CONF_KEY_CX,
	CONF_ROW(LEAF, "address", .cx = true, .type = CONF_ENUM,
		 .def = "source",
		 CONF_VALUES("source", "destination", "nextHop", "bgpNextHop",
			     "exporter"),
		 .help = "Which address of the record is looked up: IPv4 or, "
			 "if there is none, IPv6; exporter is that of the "
			 "record or of its Transport Session."),
	CONF_ROW(LEAF, "field", .cx = true, .type = CONF_STRING, .min = 1,
		 .max = 255, .mandatory = true,
		 .help = "What of it: a column of the networks file, or the "
			 "names that lead to a value in the database, with "
			 "dots between (country.iso_code, "
			 "autonomous_system_number; in a list a number, as in "
			 "subdivisions.0.iso_code)."),
	CONF_ROW(LEAF, "ieName", .cx = true, .type = CONF_WORD,
		 .mandatory = true,
		 .help = "Information Element that gets the value: of IANA "
			 "(bgpSourceAsNumber), or of a cx:elementFile, as IANA "
			 "has none for countries and sites. A number, a "
			 "boolean or a string."),
	CONF_LAST,
};

static const struct conf_row file_choice[] = {
	CONF_ROW(LEAF, "networksFile", .cx = true, .type = CONF_PATH,
		 .help = "File of prefixes and their values (LOOKUP)."),
	CONF_ROW(LEAF, "maxMindFile", .cx = true, .type = CONF_PATH,
		 .help = "Database in the format of MaxMind, as GeoLite2 and "
			 "GeoIP2 (.mmdb). It is mapped: a newer one takes its "
			 "place by renaming."),
	CONF_LAST,
};

static const struct conf_row lookup_rows[] = {
	CONF_ROW(CHOICE, "LookupFile", .cx = true, .mandatory = true,
		 .rows = file_choice),
	CONF_ROW(LEAF, "existing", .cx = true, .type = CONF_ENUM, .def = "fill",
		 CONF_VALUES("keep", "fill", "replace"),
		 .help = "What is done with records that have the element "
			 "already, in a field of fixed length: its value is "
			 "kept; or replaced if it is 0 or empty; or always "
			 "replaced by what is known."),
	CONF_ROW(LIST, "value", .cx = true, .mandatory = true,
		 .rows = value_rows,
		 .help = "A value that records get; at most 32 of them."),
	CONF_LAST,
};

static const struct conf_row sampled_rows[] = {
	CONF_KEY_CX,
	CONF_ROW(LEAF, "address", .cx = true, .type = CONF_ADDRESS,
		 .mandatory = true, .help = "Address of the exporter."),
	CONF_ROW(LEAF, "samplingInterval", .cx = true,
		 CONF_RANGE(1, UINT32_MAX), .mandatory = true,
		 .help = "It samples one packet in so many."),
	CONF_LAST,
};

static const struct conf_row renormalize_rows[] = {
	CONF_ROW(LEAF_LIST, "origin", .cx = true, .type = CONF_ENUM,
		 CONF_VALUES("record", "selector", "domain", "exporter",
			     "configuration"),
		 .help = "Who is asked for the sampling rate of a record, in "
			 "the order of these elements: the record itself; "
			 "Options Data of the selector, sampler or Selection "
			 "Sequence that it names; those of its Observation "
			 "Domain; a cx:exporter; the cx:samplingInterval. When "
			 "not given: all, in this order."),
	CONF_ROW(LIST, "exporter", .cx = true, .rows = sampled_rows,
		 .help = "An exporter that does not tell how it samples."),
	CONF_ROW(LEAF, "samplingInterval", .cx = true,
		 CONF_RANGE(1, UINT32_MAX),
		 .help = "Of all that nobody else knows: one packet in so "
			 "many was sampled. When not given, their counters "
			 "stay as they are."),
	CONF_LAST,
};

static const struct conf_row conversion_choice[] = {
	CONF_ROW(LEAF, "keep", .cx = true, .type = CONF_EMPTY,
		 .help = "All other fields are left out."),
	CONF_ROW(LEAF, "drop", .cx = true, .type = CONF_EMPTY,
		 .help = "These fields are left out."),
	CONF_ROW(LEAF, "first", .cx = true, .type = CONF_EMPTY,
		 .help = "These fields stand before all others, in the order "
			 "in which they are named here."),
	CONF_ROW(LEAF, "last", .cx = true, .type = CONF_EMPTY,
		 .help = "These fields stand behind all others, in the order "
			 "in which they are named here."),
	CONF_ROW(LEAF, "rename", .cx = true, .type = CONF_WORD,
		 .help = "Element that the values become those of, by name. "
			 "The rule has one cx:ieName, and no pattern."),
	CONF_ROW(
		LEAF, "encodedLength", .cx = true, .type = CONF_WORD,
		.help = "Octets that integers, float64, strings and "
			"octetArrays are encoded in (RFC 7011 section 6.2); or "
			"natural: all that their type has; or variable: "
			"strings and octetArrays with a length before each."),
	CONF_ROW(LEAF, "timeFormat", .cx = true, .type = CONF_ENUM,
		 CONF_VALUES("seconds", "milliseconds", "microseconds",
			     "nanoseconds", "deltaMicroseconds", "sysUpTime"),
		 .help = "Times become those of the element with the same name "
			 "in this format. Without cx:ieName and "
			 "cx:enterprise, all do."),
	CONF_ROW(LEAF, "constant", .cx = true, .type = CONF_STRING, .max = 510,
		 .help = "Records get a field with this value: a number, an "
			 "address, true or false, a string of at most 255 "
			 "octets, or an octetArray in hexadecimal digits. The "
			 "rule has one cx:ieName, and no pattern."),
	CONF_LAST,
};

static const struct conf_row conversion_rule_rows[] = {
	CONF_KEY_CX,
	CONF_ROW(LEAF_LIST, "ieName", .cx = true, .type = CONF_WORD,
		 .help = "Information Element that the rule is for: by name "
			 "(reverseOctetDeltaCount, too), by a pattern with * "
			 "and ? (flow*Milliseconds), or, where nobody has "
			 "described it, as e12345id678."),
	CONF_ROW(LEAF_LIST, "enterprise", .cx = true, CONF_U32,
		 .help = "Enterprise number, all of whose Information Elements "
			 "the rule is for; 0 is IANA, 29305 has the reverse "
			 "elements."),
	CONF_ROW(CHOICE, "ConversionType", .cx = true, .mandatory = true,
		 .rows = conversion_choice),
	CONF_ROW(LEAF, "existing", .cx = true, .type = CONF_ENUM, .def = "keep",
		 CONF_VALUES("keep", "replace"),
		 .help = "With rename, timeFormat and constant, if a record "
			 "has a field of the new element already: that is "
			 "kept, and the rule does nothing; or it is left "
			 "out."),
	CONF_LAST,
};

static const struct conf_row conversion_rows[] = {
	CONF_ROW(LEAF, "overflow", .cx = true, .type = CONF_ENUM, .def = "lose",
		 CONF_VALUES("lose", "saturate"),
		 .help = "Records with a value that its new field can't hold "
			 "are lost, as unfit; or get the nearest value that it "
			 "can, which is counted."),
	CONF_ROW(LEAF, "optionsData", .cx = true, .type = CONF_BOOL,
		 .def = "false",
		 .help = "Options Data Records are converted, too, but for "
			 "their scope fields. Else they pass as they are."),
	CONF_ROW(LIST, "rule", .cx = true, .mandatory = true,
		 .rows = conversion_rule_rows,
		 .help = "What is done to which fields. Rules work one after "
			 "the other, each on what the one before has left. At "
			 "most 256."),
	CONF_LAST,
};

static const struct conf_row kind_choice[] = {
	CONF_ROW(
		PRESENCE, "deduplicate", .cx = true, .rows = dedup_rows,
		.help = "Of Flows that several Observation Points have seen, "
			"the records of one point pass; what others tell of "
			"the same time counts as filtered. When a record comes "
			"that is later than all of the chosen point, its "
			"point is chosen from then on: Flows whose way changes "
			"go on. Counters are those of the chosen point, "
			"nothing "
			"is added. Not for packets."),
	CONF_ROW(LEAF, "filter", .cx = true, .type = CONF_STRING, .min = 1,
		 .max = 65535,
		 .help = "Only Data Records that this expression takes are "
			 "passed on (conflux(1), EXPRESSIONS); the others are "
			 "counted as filtered. Options Data Records all pass. "
			 "In XML, < and & are written &lt; and &amp;, or as lt "
			 "and and."),
	CONF_ROW(LEAF, "splitBiflows", .cx = true, .type = CONF_EMPTY,
		 .help = "Biflows (RFC 5103) become two Flow Records, for "
			 "collectors that know no biflows: one of the forward "
			 "direction, without the reverse elements, and one of "
			 "the reverse direction, in which source and "
			 "destination, ingress and egress have changed places "
			 "and the reverse elements are the plain ones. Of "
			 "elements without a reverse it has those that are "
			 "Flow Keys and those that tell of the Flow as a whole "
			 "(times, identifiers, names), but no counters, flags "
			 "or values of single packets. A direction without "
			 "packets gives no record. Records that are no biflows "
			 "pass as they are."),
	CONF_ROW(PRESENCE, "anonymization", .cx = true,
		 .rows = anonymization_rows,
		 .help = "What tells of persons and hosts is replaced, made "
			 "coarser or left out (RFC 6235), see ANONYMISATION."),
	CONF_ROW(CONTAINER, "lookup", .cx = true, .rows = lookup_rows,
		 .help = "Data Records get more fields, with what a file tells "
			 "of their addresses (LOOKUP). Records without these "
			 "addresses and Options Data Records pass as they "
			 "are."),
	CONF_ROW(CONTAINER, "renormalize", .cx = true, .rows = renormalize_rows,
		 .help = "Counters of packets and octets are multiplied by the "
			 "number of packets that one that was sampled stands "
			 "for (RENORMALISATION)."),
	CONF_ROW(CONTAINER, "conversion", .cx = true, .rows = conversion_rows,
		 .help = "Fields are left out, become those of other elements, "
			 "of other lengths and formats of time, change places, "
			 "or are added (CONVERSION)."),
	CONF_LAST,
};

const struct conf_row conf_rows_mediation[] = {
	CONF_KEY_CX,
	CONF_ROW(CHOICE, "ProcessType", .cx = true, .mandatory = true,
		 .rows = kind_choice),
	CONF_MEDIATED("Intermediate Process that gets the records that this "
		      "one passes on."),
	CONF_ROW(LEAF_LIST, "cache", .cx = true, .type = CONF_REF,
		 .ref = "cache",
		 .help = "Cache that merges the records that this one passes "
			 "on. Not behind another cache."),
	CONF_ROW(LEAF_LIST, "exportingProcess", .cx = true, .type = CONF_REF,
		 .ref = "exportingProcess",
		 .help = "Exporting Process that gets the records that this "
			 "one passes on."),
	CONF_LAST,
};
