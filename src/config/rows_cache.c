/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the Cache (RFC 6728 4.3). Where the model restricts a leaf by "when"
 * (timeouts only in timeoutCache and naturalCache, exportInterval only in
 * permanentCache, no isFlowKey in immediateCache), the sets of rows differ.
 */
#include "rows.h"

static const struct conf_row element_choice[] = {
	CONF_ROW(LEAF, "ieName", .type = CONF_WORD,
		 .help = "Information Element of the field, by its name in the "
			 "IANA registry or in a cx:elementFile."),
	CONF_ROW(LEAF, "ieId", CONF_RANGE(1, 32767),
		 .help = "Information Element of the field, by its number."),
	CONF_LAST,
};

static const struct conf_row field_common[] = {
	CONF_KEY,
	CONF_ROW(CHOICE, "nameOrId", .mandatory = true,
		 .rows = element_choice),
	CONF_ROW(LEAF, "ieLength", CONF_U16, .units = "octets",
		 .help = "Length of the field in exported records; 65535 is "
			 "variable length. Integers and floats may be shorter "
			 "than their type (RFC 7011 section 6.2). When not "
			 "given: the length of the type."),
	CONF_ROW(LEAF, "ieEnterpriseNumber", CONF_U32, .def = "0",
		 .help = "Private Enterprise Number of the element; 0 is IANA "
			 "(with ieName: any), 29305 the reverse direction of "
			 "an IANA element (RFC 5103)."),
	CONF_LAST,
};

static const struct conf_row packet_field[] = {
	CONF_ROW(GROUP, "cacheFieldCommon", .rows = field_common),
	CONF_LAST,
};

static const struct conf_row flow_field[] = {
	CONF_ROW(GROUP, "cacheFieldCommon", .rows = field_common),
	CONF_ROW(LEAF, "isFlowKey", .type = CONF_EMPTY,
		 .help = "The field is a Flow Key: records that agree in all "
			 "Flow Keys are one Flow. Not for reverse elements."),
	CONF_ROW(LEAF, "prefixLength", .cx = true, CONF_RANGE(0, 128),
		 .units = "bits",
		 .help = "Only these leading bits of an address that is a Flow "
			 "Key are kept, the rest becomes zero: /24 merges all "
			 "Flows of a network. At most 32 for an IPv4 address. "
			 "When not given: the whole address."),
	CONF_ROW(LEAF, "coarse", .cx = true, .type = CONF_BOOL,
		 .def = "false",
		 .help = "The Flow Key is left out under overload (behaviour "
			 "coarser of cx:overload), so that there are fewer "
			 "Flows."),
	CONF_ROW(LEAF, "merge", .cx = true, .type = CONF_ENUM, .def = "auto",
		 CONF_VALUES("auto", "sum", "min", "max", "or", "first",
			     "last", "union"),
		 .help = "How values of one Flow are merged if the field is no "
			 "Flow Key. auto follows the semantics of the element: "
			 "counters are added, start times are the earliest and "
			 "end times the latest, minimum... and maximum... "
			 "elements do what they say, flags are or'ed, of "
			 "lists of experiments in options of TCP and UDP "
			 "there is the union, of others the first value is "
			 "kept. union is for any basicList: each of its "
			 "elements once, in 2048 octets at most (what does not "
			 "fit is counted as cx:listsCut)."),
	CONF_LAST,
};

static const struct conf_row packet_layout[] = {
	CONF_ROW(LIST, "cacheField", .mandatory = true, .rows = packet_field,
		 .help = "Fields of the records, in the order of the "
			 "exported Template."),
	CONF_LAST,
};

static const struct conf_row flow_layout[] = {
	CONF_ROW(LIST, "cacheField", .mandatory = true, .rows = flow_field,
		 .help = "Fields of the Flow Records, in the order of the "
			 "exported Template. The Cache itself tells "
			 "flowEndReason and biflowDirection, and where records "
			 "do not: deltaFlowCount, flowId (unique in one run of "
			 "confluxd), flowActiveTimeout, flowIdleTimeout and "
			 "meteringProcessId."),
	CONF_LAST,
};

static const struct conf_row max_flows[] = {
	CONF_ROW(LEAF, "maxFlows", CONF_RANGE(1, UINT32_MAX),
		 .units = "flows", .def = "1048576",
		 .help = "Bound of the number of Flows. A new Flow beyond it "
			 "takes the place of the one idle for longest, which "
			 "is exported with flowEndReason lack of resources. "
			 "The default needs at most about 128 MiB with plain "
			 "IPv4 keys; memory is taken as it is needed."),
	CONF_ROW(LEAF, "maxOctets", .cx = true,
		 CONF_RANGE(65536, UINT64_C(1) << 40),
		 .units = "octets", .def = "67108864",
		 .help = "Bound of the memory for values of variable length "
			 "(strings, structured data), which maxFlows does not "
			 "bound by itself."),
	CONF_ROW(LEAF, "biflow", .cx = true, .type = CONF_BOOL, .def = "false",
		 .help = "Both directions of a conversation are one Flow (RFC "
			 "5103). Who began is the source: of packets whoever "
			 "sent the first, of records of exporters that of the "
			 "earliest flowStart, if such a field is in the "
			 "layout, else that of the first record. What comes "
			 "back goes into reverse elements "
			 "(ieEnterpriseNumber 29305), which a Flow without "
			 "answer does not have; the others are of the forward "
			 "direction alone, but for the times, which are of "
			 "both. This is how the uniflows of exporters become "
			 "biflows: those of both directions that come before "
			 "idleTimeout is over. Records that are biflows "
			 "already keep what they say of either direction."),
	CONF_ROW(LEAF, "stateFile", .cx = true, .type = CONF_PATH,
		 .help = "File in which the Flows are saved at the end, "
			 "instead of being exported, and from which they go on "
			 "at the next start; see STATE OF CACHES. When not "
			 "given: they are exported at the end."),
	CONF_ROW(LEAF, "stateAtEnd", .cx = true, .type = CONF_ENUM,
		 .def = "save", CONF_VALUES("save", "export"),
		 .help = "What happens to the Flows at a clean stop if there "
			 "is a stateFile; with export it is for a daemon that "
			 "is killed alone."),
	CONF_ROW(LEAF, "stateInterval", .cx = true, CONF_RANGE(0, 86400),
		 .units = "seconds", .def = "0",
		 .help = "How often the Flows are saved in that file while "
			 "the daemon runs: what came since is lost when it is "
			 "killed. 0: only at the end."),
	CONF_ROW(LEAF, "stateJournal", .cx = true,
		 CONF_RANGE(0, UINT64_C(1) << 40), .units = "octets",
		 .def = "0",
		 .help = "What comes is written to that file, too, so that "
			 "nothing is lost when the daemon is killed. When it is "
			 "so many octets, the Flows are saved anew. 0: it is "
			 "not."),
	CONF_ROW(LEAF, "activeFlows", .state = true, CONF_U32,
		 .units = "flows"),
	CONF_ROW(LEAF, "unusedCacheEntries", .state = true, CONF_U32,
		 .units = "flows"),
	CONF_LAST,
};

static const struct conf_row packet_cache[] = {
	CONF_ROW(CONTAINER, "cacheLayout", .rows = packet_layout,
		 .help = "What the exported records look like."),
	CONF_LAST,
};

static const struct conf_row timeout_cache[] = {
	CONF_ROW(GROUP, "flowCacheCommon", .rows = max_flows),
	CONF_ROW(LEAF, "activeTimeout", CONF_U32, .units = "seconds",
		 .def = "300",
		 .help = "A Flow is exported this long after its first record, "
			 "and starts anew; 0 is never. The default keeps long "
			 "transfers visible every five minutes."),
	CONF_ROW(LEAF, "idleTimeout", CONF_U32, .units = "seconds",
		 .def = "60",
		 .help = "A Flow is exported when no record came for this "
			 "long; 0 is never. The default is the poll interval "
			 "of a meter reader; for exporters alone 15 is usual."),
	CONF_ROW(CONTAINER, "cacheLayout", .rows = flow_layout,
		 .help = "What makes a Flow and what is kept of it."),
	CONF_LAST,
};

static const struct conf_row distribution_rows[] = {
	CONF_ROW(LEAF, "method", .cx = true, .type = CONF_ENUM,
		 .def = "simpleUniform",
		 CONF_VALUES("startInterval", "endInterval", "midInterval",
			     "simpleUniform", "proportionalUniform"),
		 .help = "Which intervals get the counters of a record that "
			 "covers several (RFC 7015 section 5.1.1): that of its "
			 "start, of its end or of its middle alone; all in "
			 "equal parts; or all in proportion to the time it "
			 "covers of each. Counters always add up to those of "
			 "the record: what division leaves goes to the last "
			 "interval."),
	CONF_ROW(LEAF, "intervalLength", .cx = true, CONF_RANGE(1, 86400),
		 .units = "seconds", .def = "60",
		 .help = "Length of an interval. Intervals start at multiples "
			 "of it since 1970-01-01 00:00 UTC, so those of all "
			 "Conflux processes fall together."),
	CONF_LAST,
};

static const struct conf_row permanent_cache[] = {
	CONF_ROW(GROUP, "flowCacheCommon", .rows = max_flows),
	CONF_ROW(LEAF, "exportInterval", CONF_RANGE(1, UINT32_MAX),
		 .units = "seconds", .def = "60",
		 .help = "How often the Flows that have new data are "
			 "exported; they stay in the cache."),
	CONF_ROW(PRESENCE, "intervalDistribution", .cx = true,
		 .rows = distribution_rows,
		 .help = "Aggregates by intervals of time that are aligned to "
			 "the clock (RFC 7015): each interval has its own "
			 "Flows."),
	CONF_ROW(CONTAINER, "cacheLayout", .rows = flow_layout,
		 .help = "What makes a Flow and what is kept of it."),
	CONF_LAST,
};

static const struct conf_row type_choice[] = {
	CONF_ROW(CONTAINER, "immediateCache", .rows = packet_cache,
		 .help = "Exports every record at once, in the layout given: "
			 "nothing is merged."),
	CONF_ROW(CONTAINER, "timeoutCache", .rows = timeout_cache,
		 .help = "Exports Flows after an active and an idle timeout."),
	CONF_ROW(CONTAINER, "naturalCache", .rows = timeout_cache,
		 .help = "As timeoutCache; a Flow also ends when its TCP "
			 "connection does: by RST, or by FIN, in a cx:biflow "
			 "by one of each direction. A Flow of packets then "
			 "takes for one second what is still under way."),
	CONF_ROW(CONTAINER, "permanentCache", .rows = permanent_cache,
		 .help = "Flows never end; those with new data are exported "
			 "periodically."),
	CONF_LAST,
};

const struct conf_row conf_rows_cache[] = {
	CONF_KEY,
	CONF_ROW(LEAF, "meteringProcessId", .state = true, CONF_U32),
	CONF_ROW(LEAF, "dataRecords", .state = true, CONF_U64,
		 .units = "Data Records"),
	CONF_ROW(LEAF, "cacheDiscontinuityTime", .state = true,
		 .type = CONF_TIME),
	CONF_ROW(CHOICE, "CacheType", .mandatory = true, .rows = type_choice),
	CONF_ROW(LEAF, "exportOriginals", .cx = true, .type = CONF_BOOL,
		 .def = "false",
		 .help = "Adds originalExporterIPv4Address or "
			 "originalExporterIPv6Address and "
			 "originalObservationDomainId (RFC 7119) as Flow Keys: "
			 "Flows of different exporters are not merged, and "
			 "each names its exporter."),
	CONF_ROW(LEAF, "observationDomainId", .cx = true, CONF_U32, .def = "0",
		 .help = "Observation Domain of the records this cache "
			 "exports. The default 0 means that no one domain "
			 "fits, as is true of merged Flows (RFC 7011 section "
			 "3.1)."),
	CONF_MEDIATED("Intermediate Process that gets the Flows when they are "
		      "exported."),
	CONF_ROW(LEAF_LIST, "exportingProcess", .type = CONF_REF,
		 .ref = "exportingProcess",
		 .help = "Exporting Process that gets the records; with "
			 "several, each gets all of them."),
	CONF_LAST,
};
