/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Rows of the Exporting Process (RFC 6728 4.4). */
#include "rows.h"

static const struct conf_row version_rows[] = {
	CONF_ROW(LEAF, "ipfixVersion", CONF_RANGE(10, 10), .def = "10",
		 .help = "Version of the protocol: 10 is IPFIX, the only one "
			 "that this build writes."),
	CONF_LAST,
};

static const struct conf_row interface_choice[] = {
	CONF_ROW(LEAF, "ifIndex", CONF_U32,
		 .help = "Interface to send from, by index. When not given: "
			 "as the routing table says."),
	CONF_ROW(LEAF, "ifName", .type = CONF_STRING,
		 .help = "Interface to send from, by name. When not given: as "
			 "the routing table says."),
	CONF_LAST,
};

static const struct conf_row spool_rows[] = {
	CONF_ROW(LEAF, "directory", .cx = true, .type = CONF_PATH, .min = 1,
		 .mandatory = true,
		 .help = "Folder of the spool, for this destination alone; it "
			 "is made if the folder above is there. What an "
			 "earlier run left in it is sent. Its files have IPFIX "
			 "Messages (RFC 5655); conflux read shows them. With "
			 "confluxd -u it has to be there, and that user's."),
	CONF_ROW(LEAF, "maxSize", .cx = true,
		 CONF_RANGE(1048576, UINT64_C(1) << 50), .units = "octets",
		 .def = "1073741824",
		 .help = "Bound of all its files. The default is two minutes "
			 "of 64 Mbit/s."),
	CONF_ROW(LEAF, "maxAge", .cx = true, CONF_RANGE(0, UINT32_MAX),
		 .units = "seconds", .def = "604800",
		 .help = "Records that wait for longer are counted as lost "
			 "(spoolAge), segment by segment; 0 keeps them. The "
			 "default is a week."),
	CONF_ROW(LEAF, "segmentSize", .cx = true,
		 CONF_RANGE(65536, UINT64_C(1) << 40), .units = "octets",
		 .def = "16777216",
		 .help = "A file of the spool is ended at this size, and "
			 "deleted when all in it has been sent; never more "
			 "than a quarter of maxSize."),
	CONF_ROW(LEAF, "sync", .cx = true, .type = CONF_ENUM, .def = "segment",
		 CONF_VALUES("never", "segment", "interval"),
		 .help = "What is in the spool survives the end of confluxd in "
			 "any case. For a crash of the system, or of its "
			 "power: segment has it written to the disk when a "
			 "segment is ended, interval also each syncInterval, "
			 "never when the system likes. confluxd waits for the "
			 "disk then."),
	CONF_ROW(LEAF, "syncInterval", .cx = true, CONF_RANGE(100, 3600000),
		 .units = "milliseconds", .def = "1000",
		 .help = "The longest time of which records are lost when the "
			 "system crashes, with sync interval."),
	CONF_ROW(LEAF, "replayRate", .cx = true, CONF_U32,
		 .units = "records per second", .def = "0",
		 .help = "Bound of what is sent out of the spool; 0 has none "
			 "but replayShare."),
	CONF_ROW(LEAF, "replayShare", .cx = true, CONF_RANGE(1, 100),
		 .units = "per cent", .def = "50",
		 .help = "How many of the records sent come out of the spool, "
			 "while there are new ones. When there are none, it is "
			 "all of them; with 100 new ones wait."),
	CONF_ROW(LEAF, "whenFull", .cx = true, .type = CONF_ENUM,
		 .def = "dropOldest", CONF_VALUES("dropOldest", "dropNewest"),
		 .help = "What is lost when maxSize is reached or the disk is "
			 "full: the oldest segment that is not being sent, or "
			 "what is new, before which sources that can wait are "
			 "made to."),
	CONF_LAST,
};

/* In the namespace of RFC 6728, or beneath elements of ours in ours. */
#define SENDING_ROWS(ours)                                                    \
	CONF_ROW(LEAF, "sendBufferSize", .cx = (ours), CONF_U32,              \
		 .units = "octets",                                           \
		 .help = "Send buffer of the socket. When not given: as the " \
			 "system has it."),                                   \
		CONF_ROW(LEAF, "rateLimit", .cx = (ours), CONF_U32,           \
			 .units = "octets per second",                        \
			 .help = "Bound of what is sent, counted in IPFIX "   \
				 "Messages. When not given: no bound.")

static const struct conf_row spool_group[] = {
	CONF_ROW(PRESENCE, "spool", .cx = true, .rows = spool_rows,
		 .help = "A spool on disk: records that the collector can't "
			 "take now, because it is away or slow (queueOctets), "
			 "wait there, and are sent when it can; but for UDP "
			 "also those that it may not have got when the session "
			 "broke."),
	CONF_LAST,
};

static const struct conf_row common_rows[] = {
	CONF_ROW(GROUP, "ipfixVersion", .rows = version_rows),
	CONF_ROW(LEAF, "destinationPort", CONF_RANGE(1, 65535), .def = "4739",
		 .def_secured = "4740",
		 .help = "Port of the collector; the default is the port "
			 "registered for IPFIX, 4740 with "
			 "transportLayerSecurity."),
	CONF_ROW(CHOICE, "indexOrName", .rows = interface_choice),
	SENDING_ROWS(false),
	CONF_ROW(GROUP, "spool", .rows = spool_group),
	CONF_ROW(CONTAINER, "transportSession", .state = true,
		 .rows = conf_rows_session),
	CONF_LAST,
};

const struct conf_row conf_rows_reconnect[] = {
	CONF_ROW(LEAF, "reconnectMin", .cx = true, CONF_RANGE(10, 3600000),
		 .units = "milliseconds", .def = "500",
		 .help = "Wait before the first new try after a connection "
			 "failed or broke; each further wait is twice as long, "
			 "with some chance added."),
	CONF_ROW(LEAF, "reconnectMax", .cx = true, CONF_RANGE(10, 86400000),
		 .units = "milliseconds", .def = "60000",
		 .help = "Longest such wait: a peer that comes back is found "
			 "within a minute."),
	CONF_LAST,
};

const struct conf_row conf_rows_sctp[] = {
	CONF_ROW(LEAF, "stack", .cx = true, .type = CONF_ENUM, .def = "auto",
		 CONF_VALUES("auto", "kernel", "userland"),
		 .help = "Who does SCTP: the system's kernel, or the library "
			 "usrsctp in this process, which needs CAP_NET_RAW "
			 "unless SCTP goes in UDP. auto takes the kernel if it "
			 "has SCTP."),
	CONF_ROW(LEAF, "localEncapsulationPort", .cx = true,
		 CONF_RANGE(1, 65535),
		 .help = "UDP port of SCTP in UDP (RFC 6951) here; 9899 is "
			 "registered for it. The userland stack has one for "
			 "all of the process; the kernel's is what sysctl "
			 "net.sctp.udp_port says. When not given: SCTP over "
			 "IP, except that userland takes 9899 for peers with a "
			 "remoteEncapsulationPort."),
	CONF_LAST,
};

static const struct conf_row sctp_rows[] = {
	CONF_ROW(GROUP, "commonExporter", .rows = common_rows),
	CONF_ROW(PRESENCE, "transportLayerSecurity",
		 .rows = conf_rows_dtls_sctp_exporter,
		 .help = "DTLS over SCTP (RFC 6083): both ends prove who they "
			 "are, and nobody reads or changes what is sent. A "
			 "message has 16300 octets at most."),
	CONF_ROW(LEAF_LIST, "sourceIPAddress", .type = CONF_ADDRESS,
		 .help = "Addresses to send from, repeated for several paths. "
			 "When not given: all that this host has."),
	CONF_ROW(LEAF_LIST, "destinationIPAddress", .type = CONF_ADDRESS,
		 .mandatory = true,
		 .help = "Address of the collector, repeated if it has "
			 "several: when one path fails another is taken."),
	CONF_ROW(LEAF, "timedReliability", CONF_U32, .units = "milliseconds",
		 .def = "0",
		 .help = "Flow Records that could not be delivered for this "
			 "long are given up and counted as lost (partial "
			 "reliability, RFC 3758); Templates and options never "
			 "are. 0 keeps trying."),
	CONF_ROW(GROUP, "sctp", .rows = conf_rows_sctp),
	CONF_ROW(LEAF, "remoteEncapsulationPort", .cx = true,
		 CONF_RANGE(1, 65535),
		 .help = "UDP port of SCTP in UDP at the collector. When not "
			 "given: SCTP over IP."),
	CONF_ROW(LEAF, "streams", .cx = true, CONF_RANGE(1, 4096), .def = "16",
		 .help = "Streams to ask for. A lost packet holds up the rest "
			 "of its own stream only: Observation Domains are "
			 "spread over them."),
	CONF_ROW(LEAF, "streamPerTemplate", .cx = true, .type = CONF_BOOL,
		 .def = "false",
		 .help = "Each Template and its data on a stream of its own, "
			 "as long as there are enough, so that the collector "
			 "can tell loss by Template (RFC 6526)."),
	CONF_ROW(LEAF, "unordered", .cx = true, .type = CONF_BOOL,
		 .def = "false",
		 .help = "Flow Records need not arrive in the order they were "
			 "sent: none waits for one that was lost. They never "
			 "arrive before their Template."),
	CONF_ROW(LEAF, "maxMessageSize", .cx = true, CONF_RANGE(512, 65535),
		 .units = "octets", .def = "16384",
		 .help = "Bound of an IPFIX Message. SCTP sends a larger one "
			 "in several packets and delivers it whole, so large "
			 "ones wait longer where packets are lost."),
	CONF_ROW(GROUP, "reconnect", .rows = conf_rows_reconnect),
	CONF_LAST,
};

static const struct conf_row address_rows[] = {
	CONF_ROW(LEAF, "sourceIPAddress", .type = CONF_ADDRESS,
		 .help = "Address to send from. When not given: as the "
			 "routing table says."),
	CONF_ROW(LEAF, "destinationIPAddress", .type = CONF_ADDRESS,
		 .mandatory = true, .help = "Address of the collector."),
	CONF_LAST,
};

static const struct conf_row udp_rows[] = {
	CONF_ROW(GROUP, "commonExporter", .rows = common_rows),
	CONF_ROW(PRESENCE, "transportLayerSecurity",
		 .rows = conf_rows_dtls_exporter,
		 .help = "DTLS: both ends prove who they are, and nobody reads "
			 "or changes what is sent."),
	CONF_ROW(GROUP, "exporterAddresses", .rows = address_rows),
	CONF_ROW(LEAF, "maxPacketSize", CONF_U16, .units = "octets",
		 .def = "1400",
		 .help = "Bound of the IP packets sent: an IPFIX Message is 28 "
			 "octets smaller over IPv4, 48 over IPv6, and with "
			 "DTLS by what sealing adds. 0 takes the path MTU the "
			 "system knows, and with DTLS what the path is found "
			 "to take, by heartbeats, or else by ClientHellos, or "
			 "600 octets if the collector answers neither. "
			 "Messages are never "
			 "smaller than 512 octets. The default stays below "
			 "an Ethernet MTU less common tunnel headers, since a "
			 "lost fragment loses the whole message."),
	CONF_ROW(LEAF, "templateRefreshTimeout", CONF_U32, .units = "seconds",
		 .def = "600",
		 .help = "How often Templates are sent again: a collector that "
			 "lost or never saw them can read no record."),
	CONF_ROW(LEAF, "optionsTemplateRefreshTimeout", CONF_U32,
		 .units = "seconds", .def = "600",
		 .help = "The same for Options Templates."),
	CONF_ROW(LEAF, "templateRefreshPacket", CONF_U32,
		 .units = "IPFIX Messages",
		 .help = "Templates are also sent again after so many "
			 "messages. When not given: by time only."),
	CONF_ROW(LEAF, "optionsTemplateRefreshPacket", CONF_U32,
		 .units = "IPFIX Messages",
		 .help = "The same for Options Templates."),
	CONF_LAST,
};

static const struct conf_row tcp_message_rows[] = {
	CONF_ROW(LEAF, "maxMessageSize", .cx = true, CONF_RANGE(512, 65535),
		 .units = "octets", .def = "65535",
		 .help = "Bound of an IPFIX Message. TCP needs none smaller "
			 "than the protocol's; lower it for a collector with "
			 "small buffers."),
	CONF_LAST,
};

static const struct conf_row silence_rows[] = {
	CONF_ROW(LEAF, "silenceTime", .cx = true, CONF_RANGE(1, 86400),
		 .units = "seconds", .def = "120",
		 .help = "When something is on its way to the collector, and "
			 "its system has acknowledged nothing for this long, "
			 "it is dead, or the path to it is: the connection is "
			 "given up, and what it has not got is sent on a new "
			 "one, or waits. One that is there but reads slowly, "
			 "or not at all, is not given up."),
	CONF_LAST,
};

static const struct conf_row acknowledgement_rows[] = {
	CONF_ROW(LEAF, "acknowledgement", .cx = true, .type = CONF_BOOL,
		 .def = "false",
		 .help = "The collector, which has to be a Conflux with "
			 "acknowledgement at its tcpCollector or cx:tcpDialer, "
			 "says what it has, so that each record comes to it "
			 "once, whatever breaks. Needs a spool: all records go "
			 "through it, and stay until they are acknowledged. "
			 "Nothing is sent to a collector that does not answer "
			 "within 10 seconds; the connection ends then, as if "
			 "it had broken. See ACKNOWLEDGEMENT."),
	CONF_LAST,
};

static const struct conf_row tcp_rows[] = {
	CONF_ROW(GROUP, "commonExporter", .rows = common_rows),
	CONF_ROW(PRESENCE, "transportLayerSecurity",
		 .rows = conf_rows_tls_exporter,
		 .help = "TLS: both ends prove who they are, and nobody reads "
			 "or changes what is sent."),
	CONF_ROW(GROUP, "exporterAddresses", .rows = address_rows),
	CONF_ROW(GROUP, "messages", .rows = tcp_message_rows),
	CONF_ROW(GROUP, "reconnect", .rows = conf_rows_reconnect),
	CONF_ROW(GROUP, "silence", .rows = silence_rows),
	CONF_ROW(GROUP, "acknowledgement", .rows = acknowledgement_rows),
	CONF_LAST,
};

static const struct conf_row listener_rows[] = {
	CONF_ROW(LEAF, "localPort", .cx = true, CONF_RANGE(1, 65535),
		 .def = "4739", .def_secured = "4740",
		 .help = "Port to listen on; the default is the port "
			 "registered for IPFIX, 4740 with "
			 "cx:transportLayerSecurity."),
	CONF_ROW(LEAF_LIST, "localIPAddress", .cx = true, .type = CONF_ADDRESS,
		 .help = "Address to listen on, repeated for several. When "
			 "not given: all addresses, IPv4 and IPv6."),
	CONF_ROW(LEAF_LIST, "collectorIPAddress", .cx = true,
		 .type = CONF_ADDRESS,
		 .help = "Address of a collector that may connect, repeated "
			 "for several. When not given: any, if it proves by "
			 "TLS who it is; without cx:transportLayerSecurity one "
			 "has to be given."),
	CONF_ROW(PRESENCE, "transportLayerSecurity", .cx = true,
		 .rows = conf_rows_tls_listener,
		 .help = "TLS, in which we are the server: both ends prove who "
			 "they are, and nobody reads or changes what is "
			 "sent."),
	SENDING_ROWS(true),
	CONF_ROW(GROUP, "spool", .rows = spool_group),
	CONF_ROW(GROUP, "messages", .rows = tcp_message_rows),
	CONF_ROW(GROUP, "silence", .rows = silence_rows),
	CONF_ROW(GROUP, "acknowledgement", .rows = acknowledgement_rows),
	CONF_LAST,
};

static const struct conf_row file_rows[] = {
	CONF_ROW(GROUP, "ipfixVersion", .rows = version_rows),
	CONF_ROW(LEAF, "file", .type = CONF_URI, .mandatory = true,
		 .help = "File to write, as file:///path; it is replaced, if "
			 "cx:append does not say otherwise."),
	CONF_ROW(LEAF, "append", .cx = true, .type = CONF_BOOL,
		 .def = "false",
		 .help = "What the file has stays, and messages go behind it. A "
			 "message at its end that was cut off goes. With "
			 "cx:acknowledgementFile what was not acknowledged goes, "
			 "too, as it comes again."),
	CONF_ROW(LEAF, "maxMessageSize", .cx = true, CONF_RANGE(512, 65535),
		 .units = "octets", .def = "65535",
		 .help = "Bound of an IPFIX Message in the file."),
	CONF_ROW(LEAF, "bytes", .state = true, CONF_U64, .units = "octets"),
	CONF_ROW(LEAF, "messages", .state = true, CONF_U64,
		 .units = "IPFIX Messages"),
	CONF_ROW(LEAF, "discardedMessages", .state = true, CONF_U64,
		 .units = "IPFIX Messages"),
	CONF_ROW(LEAF, "records", .state = true, CONF_U64,
		 .units = "Data Records"),
	CONF_ROW(LEAF, "templates", .state = true, CONF_U32,
		 .units = "Templates"),
	CONF_ROW(LEAF, "optionsTemplates", .state = true, CONF_U32,
		 .units = "Options Templates"),
	CONF_ROW(LEAF, "fileWriterDiscontinuityTime", .state = true,
		 .type = CONF_TIME),
	CONF_ROW(LIST, "template", .state = true, .rows = conf_rows_template),
	CONF_LAST,
};

static const struct conf_row json_rows[] = {
	CONF_ROW(LEAF, "file", .cx = true, .type = CONF_URI,
		 .def = "file:///dev/stdout",
		 .help = "Where to write, as file:///path."),
	CONF_LAST,
};

static const struct conf_row destination_choice[] = {
	CONF_ROW(CONTAINER, "sctpExporter", .rows = sctp_rows,
		 .help = "IPFIX over SCTP."),
	CONF_ROW(CONTAINER, "udpExporter", .rows = udp_rows,
		 .help = "IPFIX over UDP."),
	CONF_ROW(CONTAINER, "tcpExporter", .rows = tcp_rows,
		 .help = "IPFIX over TCP."),
	CONF_ROW(CONTAINER, "tcpListener", .cx = true, .rows = listener_rows,
		 .help = "IPFIX over TCP to a collector that makes the "
			 "connection: its cx:tcpDialer, in a network that lets "
			 "none in. One collector has the records; when it "
			 "connects again, which is told by its name in TLS, or "
			 "by its address, the new connection replaces the old "
			 "one. Others are turned away while it is there."),
	CONF_ROW(CONTAINER, "fileWriter", .rows = file_rows,
		 .help = "An IPFIX file (RFC 5655)."),
	CONF_ROW(CONTAINER, "jsonWriter", .cx = true, .rows = json_rows,
		 .help = "Readable lines: each record is one JSON object."),
	CONF_LAST,
};

static const struct conf_row destination_rows[] = {
	CONF_KEY,
	CONF_ROW(CHOICE, "DestinationParameters", .mandatory = true,
		 .rows = destination_choice),
	CONF_ROW(LEAF_LIST, "observationDomain", .cx = true, CONF_U32,
		 .help = "This destination gets only the records of this "
			 "Observation Domain, as they came, options included; "
			 "repeated for several. When not given: of all."),
	CONF_ROW(LEAF, "filter", .cx = true, .type = CONF_STRING, .min = 1,
		 .help = "This destination gets only the Data Records that "
			 "this expression takes, in the language of "
			 "conflux(1), FILTERS: exists ELEMENT chooses by "
			 "Template. Options Data Records all pass. A record "
			 "that no destination takes is counted as filtered."),
	CONF_LAST,
};

static const struct conf_row options_rows[] = {
	CONF_KEY,
	CONF_ROW(LEAF, "optionsType", .type = CONF_IDENTITY, .mandatory = true,
		 CONF_VALUES("meteringStatistics", "meteringReliability",
			     "exportingReliability", "flowKeys",
			     "selectionSequence", "selectionStatistics",
			     "!accuracy", "!reducingRedundancy",
			     "extendedTypeInformation"),
		 .help = "Which report: statistics of the metering process, "
			 "records the exporting process lost (RFC 7011 section "
			 "4), which fields are Flow Keys, or what enterprise "
			 "elements mean (RFC 5610)."),
	CONF_ROW(LEAF, "optionsTimeout", CONF_U32, .units = "milliseconds",
		 .def = "60000",
		 .help = "How often the report is sent; 0 is when it has "
			 "changed."),
	CONF_LAST,
};

const struct conf_row conf_rows_exporting[] = {
	CONF_KEY,
	CONF_ROW(LEAF, "exportingProcessId", .state = true, CONF_U32),
	CONF_ROW(LEAF, "exportMode", .type = CONF_IDENTITY, .def = "parallel",
		 CONF_VALUES("parallel", "loadBalancing", "fallback"),
		 .help = "parallel: every destination gets every record. "
			 "loadBalancing: each record goes to one destination, "
			 "see loadBalancing. fallback: to the first "
			 "destination that works. In the last two, what waits "
			 "for a destination that is away goes to another, as "
			 "does what cannot wait when a queue is full; Options "
			 "Data goes to all."),
	CONF_ROW(LEAF, "loadBalancing", .cx = true, .type = CONF_ENUM,
		 .def = "observationDomain",
		 CONF_VALUES("observationDomain", "flowKey", "roundRobin"),
		 .help = "With loadBalancing: what stays together. "
			 "observationDomain: all records that are exported in "
			 "a domain, in their order. flowKey: the records of a "
			 "flow, in both its directions, by the Flow Keys that "
			 "are known, else addresses, ports and protocol. "
			 "roundRobin: the records of one message; the next "
			 "goes to the next destination. When a destination "
			 "is away its share goes to the others alike, and "
			 "back when it is well again."),
	CONF_ROW(LIST, "destination", .mandatory = true,
		 .rows = destination_rows,
		 .help = "Where the records go, in order of preference."),
	CONF_ROW(LIST, "options", .rows = options_rows,
		 .help = "Reports to send beside the records."),
	CONF_ROW(LEAF, "observationDomainMapping", .cx = true,
		 .type = CONF_ENUM, .def = "keep",
		 CONF_VALUES("keep", "renumber"),
		 .help = "Observation Domain IDs of records passed on. keep: "
			 "the ID they came with, for the first exporter that "
			 "comes with it; others get one from 2147483648 up. "
			 "renumber: all get one from 1 up. Either way no two "
			 "exporters share an ID, and one that comes back, which "
			 "is known by its address and its ID, has the same one "
			 "as before."),
	CONF_ROW(LEAF, "observationDomainFile", .cx = true, .type = CONF_PATH,
		 .help = "File in which these IDs are kept, so that they stay "
			 "the same over restarts: lines of the ID, the "
			 "exporter's address, and its own ID. When not given: "
			 "after a restart they follow the order in which "
			 "exporters come."),
	CONF_ROW(LEAF, "originalExporter", .cx = true, .type = CONF_ENUM,
		 .def = "none", CONF_VALUES("none", "options", "records"),
		 .help = "How collectors are told who exported the records "
			 "(RFC 7119). options: an Options Data Record in each "
			 "Observation Domain has originalExporterIPv4Address or "
			 "originalExporterIPv6Address, "
			 "originalObservationDomainId, and the numbers of the "
			 "exporting processes on the way. records: in addition "
			 "each Flow Record has the first two. none: only what "
			 "exporters tell themselves is passed on. What a "
			 "mediator before us has told is kept. With options "
			 "and records Conflux notices records that come back "
			 "to it in a loop: they are counted as lost."),
	CONF_ROW(LEAF, "processId", .cx = true, CONF_RANGE(1, UINT32_MAX),
		 .help = "The exportingProcessId of this process, which tells "
			 "it apart from all other mediators in what "
			 "originalExporter tells of the way of records. When "
			 "not given: a random one at each start."),
	CONF_ROW(LEAF, "queueOctets", .cx = true,
		 CONF_RANGE(131072, UINT64_C(1) << 36), .units = "octets",
		 .def = "8388608",
		 .help = "Bound of what waits for one destination that is "
			 "slow or away; what comes after goes to its spool, or "
			 "is counted as lost. The default is a second of 64 "
			 "Mbit/s."),
	CONF_ROW(LEAF, "flushTime", .cx = true, CONF_RANGE(1, 60000),
		 .units = "milliseconds", .def = "200",
		 .help = "A message that is not full is sent at this age: "
			 "longer makes fewer messages, shorter is sooner."),
	CONF_ROW(LEAF, "graceTime", .cx = true, CONF_RANGE(0, 3600000),
		 .units = "milliseconds", .def = "3000",
		 .help = "With fallback and loadBalancing: a destination that "
			 "is away for less than this is waited for, before "
			 "others take its records. Over UDP without DTLS it "
			 "is away as soon as ICMP says that nobody is there."),
	CONF_ROW(LEAF, "holdTime", .cx = true, CONF_RANGE(0, 3600000),
		 .units = "milliseconds", .def = "10000",
		 .help = "With fallback and loadBalancing: a destination that "
			 "was away has to be back for this long before it is "
			 "used again while others are well, so that one that "
			 "comes and goes is not. Over UDP without DTLS at "
			 "least 3 seconds."),
	CONF_ROW(LEAF, "templateLimit", .cx = true, CONF_RANGE(1, 65280),
		 .units = "Templates", .def = "4096",
		 .help = "Bound of the Templates of one Observation Domain at "
			 "one destination; records of further shapes are "
			 "counted as lost. The protocol has 65280 numbers."),
	CONF_LAST,
};
