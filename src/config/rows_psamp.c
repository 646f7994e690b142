/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of Observation Points and Selection Processes (RFC 6728 4.1, 4.2). The
 * model knows interfaces alone; capture files, filters, tunnels and what a
 * meter remembers of packets are ours.
 */
#include "rows.h"

/* How packets are captured. */
static const struct conf_row capture_rows[] = {
	CONF_ROW(LEAF_LIST, "captureFile", .cx = true, .type = CONF_PATH,
		 .min = 1, .max = 4095,
		 .help = "Capture file to read (pcap or pcapng, also gzip'ed), "
			 "in place of interfaces; several are read one after "
			 "the other; /dev/stdin is standard input, and a "
			 "named pipe is waited for. Time is that of the "
			 "packets. A daemon that has no other source ends when "
			 "all is read and exported."),
	CONF_ROW(LEAF, "filter", .cx = true, .type = CONF_STRING, .min = 1,
		 .max = 8191,
		 .help = "Only packets that this expression matches are "
			 "metered (pcap-filter(7)); the others are counted as "
			 "filtered where the capture tells their number. It "
			 "takes nothing of link types that it can't be made "
			 "for."),
	CONF_ROW(LEAF, "snapLength", .cx = true, CONF_RANGE(64, 262144),
		 .units = "octets", .def = "512",
		 .help = "Octets of a packet that are captured from an "
			 "interface. Counters are those of the whole packet; "
			 "headers beyond are not seen, and packet sections "
			 "can't be longer."),
	CONF_ROW(LEAF, "bufferSize", .cx = true,
		 CONF_RANGE(65536, UINT64_C(1) << 30), .units = "octets",
		 .def = "16777216",
		 .help = "Buffer of the kernel for each interface and worker: "
			 "what comes while the daemon is busy elsewhere."),
	CONF_ROW(LEAF, "immediate", .cx = true, .type = CONF_BOOL,
		 .def = "false",
		 .help = "Takes each packet as it comes, not in blocks: less "
			 "delay, much more work."),
	CONF_ROW(LEAF, "promiscuous", .cx = true, .type = CONF_BOOL,
		 .def = "true",
		 .help = "Sees packets that are for other hosts, too."),
	CONF_LAST,
};

/* How packets are looked at. */
static const struct conf_row meter_rows[] = {
	CONF_ROW(LEAF_LIST, "tunnel", .cx = true, .type = CONF_ENUM,
		 CONF_VALUES("ipInIp", "gre", "erspan", "vxlan", "geneve",
			     "gtpU", "teredo"),
		 .help = "Tunnels that are seen through: the packet inside is "
			 "metered in place of the one outside. ipInIp is IPv4 "
			 "or IPv6 in either. When not given: none."),
	CONF_ROW(LEAF, "tunnelDepth", .cx = true, CONF_RANGE(1, 8),
		 .units = "tunnels", .def = "1",
		 .help = "How many tunnels, one in the other, are seen through "
			 "at most."),
	CONF_ROW(LEAF, "maxFragments", .cx = true, CONF_RANGE(0, 16777216),
		 .units = "datagrams", .def = "4096",
		 .help = "Fragmented datagrams that are remembered, so that "
			 "later fragments get the ports of the first one. The "
			 "one not seen for longest goes; 0: later fragments "
			 "have no ports."),
	CONF_ROW(LEAF, "fragmentTimeout", .cx = true, CONF_RANGE(1, 600000),
		 .units = "milliseconds", .def = "30000",
		 .help = "How long a fragmented datagram is remembered."),
	CONF_ROW(LEAF, "duplicateWindow", .cx = true, CONF_RANGE(0, 10000000),
		 .units = "microseconds", .def = "0",
		 .help = "A packet that comes again, octet for octet from the "
			 "IP header on, within this time is a copy that a "
			 "mirror port made, and is left out; 0: all are "
			 "metered."),
	CONF_ROW(LEAF, "maxDuplicates", .cx = true, CONF_RANGE(16, 16777216),
		 .units = "packets", .def = "65536",
		 .help = "Packets that are remembered to find their copies."),
	CONF_ROW(LEAF, "nonIp", .cx = true, .type = CONF_BOOL, .def = "false",
		 .help = "Meters frames without an IP packet in them, too; "
			 "else they are counted as filtered."),
	CONF_ROW(LEAF, "scale", .cx = true, .type = CONF_BOOL, .def = "false",
		 .help = "Counters are multiplied by the sampling rate that "
			 "came with a packet from elsewhere (sFlow, PSAMP). "
			 "Else the rate is told in samplingInterval."),
	CONF_LAST,
};

const struct conf_row conf_rows_observation[] = {
	CONF_KEY,
	CONF_ROW(LEAF, "observationPointId", .state = true, CONF_U32),
	CONF_ROW(LEAF, "observationDomainId", .mandatory = true, CONF_U32,
		 .help = "Observation Domain of the packets seen here."),
	CONF_ROW(LEAF_LIST, "ifName", .type = CONF_STRING, .min = 1, .max = 255,
		 .help = "Interface to observe, by name; \"any\" is all of "
			 "this machine."),
	CONF_ROW(LEAF_LIST, "ifIndex", CONF_U32,
		 .help = "Interface to observe, by index."),
	CONF_ROW(LEAF_LIST, "entPhysicalName", .type = CONF_STRING,
		 .unbuilt = "know physical entities (RFC 4133)",
		 .help = "Physical entity to observe, by name."),
	CONF_ROW(LEAF_LIST, "entPhysicalIndex", CONF_U32,
		 .unbuilt = "know physical entities (RFC 4133)",
		 .help = "Physical entity to observe, by index."),
	CONF_ROW(LEAF, "direction", .type = CONF_ENUM, .def = "both",
		 CONF_VALUES("ingress", "egress", "both"),
		 .help = "Direction of the packets to observe: ingress is what "
			 "the interface receives, egress what it sends."),
	CONF_ROW(GROUP, "capture", .rows = capture_rows),
	CONF_ROW(GROUP, "metering", .rows = meter_rows),
	CONF_ROW(LEAF_LIST, "selectionProcess", .type = CONF_REF,
		 .ref = "selectionProcess",
		 .help = "Selection Process that gets the packets."),
	CONF_LAST,
};

static const struct conf_row count_rows[] = {
	CONF_ROW(LEAF, "packetInterval", .mandatory = true, .live = true,
		 CONF_U32, .units = "packets",
		 .help = "Packets taken in a row."),
	CONF_ROW(LEAF, "packetSpace", .mandatory = true, .live = true, CONF_U32,
		 .units = "packets", .help = "Packets left out after them."),
	CONF_LAST,
};

static const struct conf_row time_rows[] = {
	CONF_ROW(LEAF, "timeInterval", .mandatory = true, .live = true,
		 CONF_U32, .units = "microseconds",
		 .help = "Time in which every packet is taken."),
	CONF_ROW(LEAF, "timeSpace", .mandatory = true, .live = true, CONF_U32,
		 .units = "microseconds",
		 .help = "Time after it in which none is."),
	CONF_LAST,
};

static const struct conf_row random_rows[] = {
	CONF_ROW(LEAF, "size", .mandatory = true, .live = true, CONF_U32,
		 .units = "packets",
		 .help = "Packets taken out of each population."),
	CONF_ROW(LEAF, "population", .mandatory = true, .live = true, CONF_U32,
		 .units = "packets", .help = "Packets in a population."),
	CONF_LAST,
};

static const struct conf_row probability_rows[] = {
	CONF_ROW(LEAF, "probability", .mandatory = true, .live = true,
		 .type = CONF_DECIMAL,
		 .help = "Probability of a packet being taken."),
	CONF_LAST,
};

static const struct conf_row element_choice[] = {
	CONF_ROW(LEAF, "ieName", .type = CONF_WORD,
		 .help = "Information Element to look at, by name."),
	CONF_ROW(LEAF, "ieId", CONF_RANGE(1, 32767),
		 .help = "Information Element to look at, by number."),
	CONF_LAST,
};

static const struct conf_row match_rows[] = {
	CONF_ROW(CHOICE, "nameOrId", .mandatory = true, .rows = element_choice),
	CONF_ROW(LEAF, "ieEnterpriseNumber", CONF_U32, .def = "0",
		 .help = "Private Enterprise Number of the element."),
	CONF_ROW(LEAF, "value", .mandatory = true, .live = true,
		 .type = CONF_STRING,
		 .help = "Value that a packet must have to be taken: a number, "
			 "decimal or as 0x1f; an IPv4 or IPv6 address, or a "
			 "prefix of them as 192.0.2.0/24; a MAC address; true "
			 "or false; a time as 2026-01-31T13:00:00.5Z, or in "
			 "units of the element since 1970; octets as 0x00ff; "
			 "text. A packet without the element is not taken."),
	CONF_LAST,
};

static const struct conf_row range_rows[] = {
	CONF_KEY,
	CONF_ROW(LEAF, "min", CONF_U64, .live = true,
		 .help = "First hash value taken."),
	CONF_ROW(LEAF, "max", CONF_U64, .live = true,
		 .help = "Last hash value taken."),
	CONF_LAST,
};

static const struct conf_row hash_rows[] = {
	CONF_ROW(LEAF, "hashFunction", .type = CONF_IDENTITY, .def = "BOB",
		 CONF_VALUES("BOB", "IPSX", "CRC"),
		 .help = "Hash function (RFC 5475): BOB; CRC, the CRC-32 of "
			 "IEEE 802.3; or IPSX, which is for IPv4 only and has "
			 "no parameters. They hash what stays the same on the "
			 "way. IPv4: identification, flags, fragment offset "
			 "and addresses; IPv6: payload length and five octets "
			 "of each address (RFC 5475 section 6.2.4.1); then "
			 "those octets of the payload that the packet has. "
			 "What is no IP packet is not taken."),
	CONF_ROW(LEAF, "initializerValue", CONF_U64, .live = true,
		 .help = "Start value of the hash function, 32 bits."),
	CONF_ROW(LEAF, "ipPayloadOffset", CONF_U64, .units = "octets",
		 .def = "0", .help = "First octet of the payload hashed."),
	CONF_ROW(LEAF, "ipPayloadSize", CONF_U64, .units = "octets", .def = "8",
		 .help = "Octets of the payload hashed."),
	CONF_ROW(LEAF, "digestOutput", .type = CONF_BOOL, .def = "false",
		 .help = "Whether the hash value is exported."),
	CONF_ROW(LEAF, "outputRangeMin", .state = true, CONF_U64),
	CONF_ROW(LEAF, "outputRangeMax", .state = true, CONF_U64),
	CONF_ROW(LIST, "selectedRange", .mandatory = true, .rows = range_rows,
		 .help = "Hash values whose packets are taken."),
	CONF_LAST,
};

static const struct conf_row method_choice[] = {
	CONF_ROW(LEAF, "selectAll", .type = CONF_EMPTY,
		 .help = "Takes every packet."),
	CONF_ROW(CONTAINER, "sampCountBased", .rows = count_rows,
		 .help = "Sampling by count."),
	CONF_ROW(CONTAINER, "sampTimeBased", .rows = time_rows,
		 .help = "Sampling by time."),
	CONF_ROW(CONTAINER, "sampRandOutOfN", .rows = random_rows,
		 .help = "Random sampling, n out of N."),
	CONF_ROW(CONTAINER, "sampUniProb", .rows = probability_rows,
		 .help = "Random sampling with one probability."),
	CONF_ROW(CONTAINER, "filterMatch", .rows = match_rows,
		 .help = "Filter by the value of an element."),
	CONF_ROW(CONTAINER, "filterHash", .rows = hash_rows,
		 .help = "Filter by a hash of the packet."),
	CONF_LAST,
};

static const struct conf_row selector_rows[] = {
	CONF_KEY,
	CONF_ROW(CHOICE, "Method", .mandatory = true, .rows = method_choice),
	CONF_ROW(LEAF, "packetsObserved", .state = true, CONF_U64),
	CONF_ROW(LEAF, "packetsDropped", .state = true, CONF_U64),
	CONF_ROW(LEAF, "selectorDiscontinuityTime", .state = true,
		 .type = CONF_TIME),
	CONF_LAST,
};

static const struct conf_row sequence_rows[] = {
	CONF_ROW(LEAF, "observationDomainId", .state = true, CONF_U32),
	CONF_ROW(LEAF, "selectionSequenceId", .state = true, CONF_U64),
	CONF_LAST,
};

static const struct conf_row overload_rows[] = {
	CONF_ROW(LEAF, "behaviour", .cx = true, .type = CONF_ENUM,
		 .def = "sample", CONF_VALUES("sample", "coarser", "stop"),
		 .help = "What is done under overload: packets are sampled by "
			 "count; Flows lose the keys that have cx:coarse; or "
			 "nothing is metered, and all packets count as lost."),
	CONF_ROW(LEAF, "cacheHigh", .cx = true, CONF_RANGE(1, 101),
		 .units = "per cent", .def = "95",
		 .help = "Overload begins when the cache is that full; 101: "
			 "never because of it."),
	CONF_ROW(LEAF, "cacheLow", .cx = true, CONF_RANGE(0, 100),
		 .units = "per cent", .def = "70",
		 .help = "It ends when the cache is less full than that, and "
			 "the other signs are gone too."),
	CONF_ROW(LEAF, "cpuHigh", .cx = true, CONF_RANGE(1, 101),
		 .units = "per cent", .def = "95",
		 .help = "Overload begins when the worker was busy for that "
			 "share of the last second; 101: never because of "
			 "it."),
	CONF_ROW(LEAF, "cpuLow", .cx = true, CONF_RANGE(0, 100),
		 .units = "per cent", .def = "70",
		 .help = "It ends when the worker was less busy than that."),
	CONF_ROW(LEAF, "dropsHigh", .cx = true, CONF_U32,
		 .units = "packets per second", .def = "1",
		 .help = "Overload begins when the kernel dropped that many "
			 "packets; 0: never because of it."),
	CONF_ROW(LEAF, "samplingInterval", .cx = true, CONF_RANGE(2, 1000000),
		 .units = "packets", .def = "10",
		 .help = "sample: one packet in that many is taken at first."),
	CONF_ROW(LEAF, "maxSamplingInterval", .cx = true,
		 CONF_RANGE(2, 1000000), .units = "packets", .def = "1000",
		 .help = "sample: while the overload goes on, the interval is "
			 "doubled up to that."),
	CONF_ROW(LEAF, "holdTime", .cx = true, CONF_RANGE(1, 86400),
		 .units = "seconds", .def = "10",
		 .help = "How long a behaviour is kept at least before it is "
			 "changed again."),
	CONF_LAST,
};

const struct conf_row conf_rows_selection[] = {
	CONF_KEY,
	CONF_ROW(LIST, "selector", .mandatory = true, .rows = selector_rows,
		 .help = "Selectors, applied one after the other."),
	CONF_ROW(LIST, "selectionSequence", .state = true,
		 .rows = sequence_rows),
	CONF_ROW(PRESENCE, "overload", .cx = true, .rows = overload_rows,
		 .help = "What is done when the cache or the processor are "
			 "short. All Flows end when the behaviour changes, and "
			 "collectors are told by the options of the "
			 "exportingProcess (selectionSequence). It begins in "
			 "all workers together when it does in one of them, "
			 "and ends when it has in all; no Flow has packets of "
			 "both behaviours."),
	CONF_ROW(LEAF, "cache", .type = CONF_REF, .ref = "cache",
		 .help = "Cache that gets the packets taken."),
	CONF_MEDIATED("Intermediate Process that gets the packets taken, each "
		      "a record of its own; in place of or beside the "
		      "cache."),
	CONF_ROW(LEAF, "meterAgent", .cx = true, .type = CONF_REF,
		 .ref = "meterAgent",
		 .help = "Meter that counts the packets taken by its rules, to "
			 "be read by SNMP; in place of or beside the cache."),
	CONF_LAST,
};
