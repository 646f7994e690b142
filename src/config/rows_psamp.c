/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of Observation Points and Selection Processes (RFC 6728 4.1, 4.2). This
 * build has no packet capture, so they are known, but refused.
 */
#include "rows.h"

const struct conf_row conf_rows_observation[] = {
	CONF_KEY,
	CONF_ROW(LEAF, "observationPointId", .state = true, CONF_U32),
	CONF_ROW(LEAF, "observationDomainId", .mandatory = true, CONF_U32,
		 .help = "Observation Domain of the packets seen here."),
	CONF_ROW(LEAF_LIST, "ifName", .type = CONF_STRING, .min = 1, .max = 255,
		 .help = "Interface to observe, by name."),
	CONF_ROW(LEAF_LIST, "ifIndex", CONF_U32,
		 .help = "Interface to observe, by index."),
	CONF_ROW(LEAF_LIST, "entPhysicalName", .type = CONF_STRING,
		 .help = "Physical entity to observe, by name."),
	CONF_ROW(LEAF_LIST, "entPhysicalIndex", CONF_U32,
		 .help = "Physical entity to observe, by index."),
	CONF_ROW(LEAF, "direction", .type = CONF_ENUM, .def = "both",
		 CONF_VALUES("ingress", "egress", "both"),
		 .help = "Direction of the packets to observe."),
	CONF_ROW(LEAF_LIST, "selectionProcess", .type = CONF_REF,
		 .ref = "selectionProcess",
		 .help = "Selection Process that gets the packets."),
	CONF_LAST,
};

static const struct conf_row count_rows[] = {
	CONF_ROW(LEAF, "packetInterval", .mandatory = true, CONF_U32,
		 .units = "packets", .help = "Packets taken in a row."),
	CONF_ROW(LEAF, "packetSpace", .mandatory = true, CONF_U32,
		 .units = "packets", .help = "Packets left out after them."),
	CONF_LAST,
};

static const struct conf_row time_rows[] = {
	CONF_ROW(LEAF, "timeInterval", .mandatory = true, CONF_U32,
		 .units = "microseconds",
		 .help = "Time in which every packet is taken."),
	CONF_ROW(LEAF, "timeSpace", .mandatory = true, CONF_U32,
		 .units = "microseconds",
		 .help = "Time after it in which none is."),
	CONF_LAST,
};

static const struct conf_row random_rows[] = {
	CONF_ROW(LEAF, "size", .mandatory = true, CONF_U32, .units = "packets",
		 .help = "Packets taken out of each population."),
	CONF_ROW(LEAF, "population", .mandatory = true, CONF_U32,
		 .units = "packets", .help = "Packets in a population."),
	CONF_LAST,
};

static const struct conf_row probability_rows[] = {
	CONF_ROW(LEAF, "probability", .mandatory = true, .type = CONF_DECIMAL,
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
	CONF_ROW(CHOICE, "nameOrId", .mandatory = true,
		 .rows = element_choice),
	CONF_ROW(LEAF, "ieEnterpriseNumber", CONF_U32, .def = "0",
		 .help = "Private Enterprise Number of the element."),
	CONF_ROW(LEAF, "value", .mandatory = true, .type = CONF_STRING,
		 .help = "Value that a packet must have to be taken."),
	CONF_LAST,
};

static const struct conf_row range_rows[] = {
	CONF_KEY,
	CONF_ROW(LEAF, "min", CONF_U64, .help = "First hash value taken."),
	CONF_ROW(LEAF, "max", CONF_U64, .help = "Last hash value taken."),
	CONF_LAST,
};

static const struct conf_row hash_rows[] = {
	CONF_ROW(LEAF, "hashFunction", .type = CONF_IDENTITY, .def = "BOB",
		 CONF_VALUES("BOB", "IPSX", "CRC"), .help = "Hash function."),
	CONF_ROW(LEAF, "initializerValue", CONF_U64,
		 .help = "Start value of the hash function."),
	CONF_ROW(LEAF, "ipPayloadOffset", CONF_U64, .units = "octets",
		 .def = "0", .help = "First octet of the payload hashed."),
	CONF_ROW(LEAF, "ipPayloadSize", CONF_U64, .units = "octets",
		 .def = "8", .help = "Octets of the payload hashed."),
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

const struct conf_row conf_rows_selection[] = {
	CONF_KEY,
	CONF_ROW(LIST, "selector", .mandatory = true, .rows = selector_rows,
		 .help = "Selectors, applied one after the other."),
	CONF_ROW(LIST, "selectionSequence", .state = true,
		 .rows = sequence_rows),
	CONF_ROW(LEAF, "cache", .type = CONF_REF, .ref = "cache",
		 .help = "Cache that gets the packets taken."),
	CONF_LAST,
};
