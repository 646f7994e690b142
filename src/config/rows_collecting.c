/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Rows of the Collecting Process (RFC 6728 4.5), and the root of all. */
#include "rows.h"

static const struct conf_row common_rows[] = {
	CONF_ROW(LEAF, "localPort", CONF_U16, .def = "4739",
		 .def_secured = "4740",
		 .help = "Port to listen on; the default is the port "
			 "registered for IPFIX, 4740 with "
			 "transportLayerSecurity. 0 takes any free one."),
	CONF_ROW(LIST, "transportSession", .state = true,
		 .rows = conf_rows_session),
	CONF_ROW(LEAF_LIST, "localIPAddress", .type = CONF_ADDRESS,
		 .help = "Address to listen on, repeated for several. When "
			 "not given: all addresses, IPv4 and IPv6."),
	CONF_LAST,
};

static const struct conf_row idle_rows[] = {
	CONF_ROW(LEAF, "idleTimeout", .cx = true, CONF_RANGE(0, 604800),
		 .units = "seconds", .def = "0",
		 .help = "A connection on which nothing came for this long is "
			 "closed; 0 is never, since an exporter may rightly "
			 "have nothing to say."),
	CONF_LAST,
};

static const struct conf_row connection_rows[] = {
	CONF_ROW(LEAF, "maxConnections", .cx = true, CONF_RANGE(1, 65535),
		 .units = "connections", .def = "512",
		 .help = "Bound of connections at a time; further ones are "
			 "closed at once and counted. The default leaves half "
			 "of the usual 1024 file descriptors."),
	CONF_ROW(GROUP, "idle", .rows = idle_rows),
	CONF_LAST,
};

static const struct conf_row sctp_rows[] = {
	CONF_KEY,
	CONF_ROW(GROUP, "commonCollector", .rows = common_rows),
	CONF_ROW(PRESENCE, "transportLayerSecurity",
		 .rows = conf_rows_dtls_sctp_collector,
		 .help = "DTLS over SCTP (RFC 6083): exporters prove who they "
			 "are, and only those that are named here are heard."),
	CONF_ROW(GROUP, "sctp", .rows = conf_rows_sctp),
	CONF_ROW(LEAF, "maxStreams", .cx = true, CONF_RANGE(1, 65535),
		 .def = "1024",
		 .help = "Streams that a peer may use in an association; it is "
			 "told, and uses no more."),
	CONF_ROW(LEAF, "receiveBufferSize", .cx = true,
		 CONF_RANGE(4096, 1 << 30), .units = "octets", .def = "1048576",
		 .help = "What one association may have on its way to us: its "
			 "peer is slowed down by it. Over long paths it bounds "
			 "the rate: octets in a round trip."),
	CONF_ROW(GROUP, "connection", .rows = connection_rows),
	CONF_LAST,
};

static const struct conf_row udp_rows[] = {
	CONF_KEY,
	CONF_ROW(GROUP, "commonCollector", .rows = common_rows),
	CONF_ROW(PRESENCE, "transportLayerSecurity",
		 .rows = conf_rows_dtls_collector,
		 .help = "DTLS: exporters prove who they are, and only those "
			 "that are named here are heard."),
	CONF_ROW(LEAF, "templateLifeTime", CONF_U32, .units = "seconds",
		 .def = "1800",
		 .help = "A Template not received again for this long is "
			 "forgotten: three times the usual refresh."),
	CONF_ROW(LEAF, "optionsTemplateLifeTime", CONF_U32, .units = "seconds",
		 .def = "1800", .help = "The same for Options Templates."),
	CONF_ROW(LEAF, "templateLifePacket", CONF_U32,
		 .units = "IPFIX Messages",
		 .help = "A Template not received again within so many "
			 "messages is forgotten. When not given: by time "
			 "only."),
	CONF_ROW(LEAF, "optionsTemplateLifePacket", CONF_U32,
		 .units = "IPFIX Messages",
		 .help = "The same for Options Templates."),
	CONF_ROW(LEAF, "sessionTimeout", .cx = true, CONF_RANGE(1, 604800),
		 .units = "seconds", .def = "3600",
		 .help = "A Transport Session, which is all that comes from "
			 "one address and port, ends when nothing came for "
			 "this long, as UDP does not say when it ends. The "
			 "default is longer than Templates live."),
	CONF_ROW(LEAF, "ignoreSourcePort", .cx = true, .type = CONF_BOOL,
		 .def = "false",
		 .help = "All that comes from one address is one session, for "
			 "an exporter that sends from several ports, its "
			 "Templates from one and its data from another. Not "
			 "for several exporters on one host: their Templates "
			 "would be mixed up. It has no effect on DTLS."),
	CONF_ROW(LEAF, "receiveBufferSize", .cx = true,
		 CONF_RANGE(4096, 1 << 30), .units = "octets",
		 .def = "16777216",
		 .help = "Receive buffer of the socket, as far as the system "
			 "grants it (net.core.rmem_max, or any size to root). "
			 "The default holds a tenth of a second of 1 Gbit/s."),
	CONF_LAST,
};

static const struct conf_row acknowledging_rows[] = {
	CONF_ROW(LEAF, "acknowledgement", .cx = true, .type = CONF_BOOL,
		 .def = "false",
		 .help = "An exporter that asks for it, which is a Conflux "
			 "with acknowledgement at its tcpExporter or "
			 "cx:tcpListener, is told on the same connection which "
			 "of its records are safe, and what it sends again is "
			 "left out. Others are served as ever. Needs "
			 "cx:workers 1. See ACKNOWLEDGEMENT."),
	CONF_LAST,
};

static const struct conf_row tcp_rows[] = {
	CONF_KEY,
	CONF_ROW(GROUP, "commonCollector", .rows = common_rows),
	CONF_ROW(PRESENCE, "transportLayerSecurity",
		 .rows = conf_rows_tls_collector,
		 .help = "TLS: exporters prove who they are, and only those "
			 "that are named here are heard."),
	CONF_ROW(GROUP, "connection", .rows = connection_rows),
	CONF_ROW(GROUP, "acknowledging", .rows = acknowledging_rows),
	CONF_LAST,
};

static const struct conf_row dialer_rows[] = {
	CONF_KEY_CX,
	CONF_ROW(LEAF_LIST, "exporterIPAddress", .cx = true,
		 .type = CONF_ADDRESS, .mandatory = true,
		 .help = "Address of the exporter, repeated if it has several: "
			 "they are tried in turn, the first one first."),
	CONF_ROW(LEAF, "exporterPort", .cx = true, CONF_RANGE(1, 65535),
		 .def = "4739", .def_secured = "4740",
		 .help = "Port that the exporter listens on; the default is "
			 "the port registered for IPFIX, 4740 with "
			 "cx:transportLayerSecurity."),
	CONF_ROW(LEAF, "localIPAddress", .cx = true, .type = CONF_ADDRESS,
		 .help = "Address to connect from. When not given: as the "
			 "routing table says."),
	CONF_ROW(PRESENCE, "transportLayerSecurity", .cx = true,
		 .rows = conf_rows_tls_dialer,
		 .help = "TLS, in which we are the client: the exporter proves "
			 "who it is, and is heard only if it is named here; so "
			 "do we."),
	CONF_ROW(GROUP, "reconnect", .rows = conf_rows_reconnect),
	CONF_ROW(GROUP, "idle", .rows = idle_rows),
	CONF_ROW(GROUP, "acknowledging", .rows = acknowledging_rows),
	CONF_LAST,
};

static const struct conf_row file_rows[] = {
	CONF_KEY,
	CONF_ROW(LEAF, "file", .type = CONF_URI, .mandatory = true,
		 .help = "IPFIX file (RFC 5655) to read, as file:///path; "
			 "file:///dev/stdin is standard input."),
	CONF_ROW(LEAF, "bytes", .state = true, CONF_U64, .units = "octets"),
	CONF_ROW(LEAF, "messages", .state = true, CONF_U64,
		 .units = "IPFIX Messages"),
	CONF_ROW(LEAF, "records", .state = true, CONF_U64,
		 .units = "Data Records"),
	CONF_ROW(LEAF, "templates", .state = true, CONF_U32,
		 .units = "Templates"),
	CONF_ROW(LEAF, "optionsTemplates", .state = true, CONF_U32,
		 .units = "Options Templates"),
	CONF_ROW(LEAF, "fileReaderDiscontinuityTime", .state = true,
		 .type = CONF_TIME),
	CONF_ROW(LIST, "template", .state = true, .rows = conf_rows_template),
	CONF_LAST,
};

const struct conf_row conf_rows_collecting[] = {
	CONF_KEY,
	CONF_ROW(LIST, "sctpCollector", .rows = sctp_rows,
		 .help = "Collects IPFIX over SCTP."),
	CONF_ROW(LIST, "udpCollector", .rows = udp_rows,
		 .help = "Collects IPFIX over UDP, and NetFlow of the versions "
			 "5 and 9 and sFlow of version 5 with it: each "
			 "datagram tells by its first octets what it is."),
	CONF_ROW(LIST, "tcpCollector", .rows = tcp_rows,
		 .help = "Collects IPFIX over TCP."),
	CONF_ROW(LIST, "tcpDialer", .cx = true, .rows = dialer_rows,
		 .help = "Collects IPFIX over TCP from an exporter that does "
			 "not make the connection: we do, and its records "
			 "come back on it. For an exporter outside of a "
			 "network that lets no connection in; there it needs "
			 "a cx:tcpListener. Of several workers one has it."),
	CONF_ROW(LIST, "fileReader", .rows = file_rows,
		 .help = "Reads an IPFIX file. A daemon that has no other "
			 "source ends when all files are read and exported."),
	CONF_ROW(LIST, "meterReader", .cx = true, .rows = conf_rows_meter,
		 .help = "Reads the Flows of a meter by SNMP (Meter MIB, RFC "
			 "2720 and RFC 2064)."),
	CONF_ROW(LEAF, "templateFile", .cx = true, .type = CONF_PATH,
		 .help = "File in which Templates that came over UDP are kept, "
			 "so that after a restart no record waits for them to "
			 "come again; see confluxd(8), TEMPLATES OVER "
			 "RESTARTS. When not given: they have to come again."),
	CONF_ROW(LEAF, "templateFileInterval", .cx = true, CONF_RANGE(1, 86400),
		 .units = "seconds", .def = "60",
		 .help = "How often that file is written, beside the end: what "
			 "was learnt since is lost when the daemon is killed."),
	CONF_ROW(LEAF_LIST, "exportingProcess", .type = CONF_REF,
		 .ref = "exportingProcess",
		 .help = "Exporting Process that gets the records as they "
			 "are; with several, each gets all of them."),
	CONF_ROW(LEAF_LIST, "observationPoint", .cx = true, .type = CONF_REF,
		 .ref = "observationPoint",
		 .help = "Observation Point that gets the packets in the "
			 "records (PSAMP packet sections, sFlow), as if it had "
			 "captured them itself: remote observation."),
	CONF_MEDIATED("Intermediate Process that gets the records, to filter "
		      "them on their way to a cache or an exportingProcess."),
	CONF_ROW(LEAF_LIST, "cache", .cx = true, .type = CONF_REF,
		 .ref = "cache",
		 .help = "Cache that gets the records to merge, in place of "
			 "or beside exportingProcess: this makes a "
			 "concentrator."),
	CONF_ROW(LEAF, "meterAgent", .cx = true, .type = CONF_REF,
		 .ref = "meterAgent",
		 .help = "Meter that counts the records by its rules, to be "
			 "read by SNMP."),
	CONF_LAST,
};

static const struct conf_row limit_rows[] = {
	CONF_ROW(LEAF, "maxSessions", .cx = true, CONF_RANGE(1, 1048576),
		 .units = "sessions", .def = "8192",
		 .help = "Transport Sessions at a time, about 4 KiB each. Over "
			 "UDP anybody can make one with a forged packet."),
	CONF_ROW(LEAF, "maxDomainsPerSession", .cx = true,
		 CONF_RANGE(1, 1048576), .units = "Observation Domains",
		 .def = "256", .help = "Observation Domains of one session."),
	CONF_ROW(LEAF, "maxTemplatesPerSession", .cx = true,
		 CONF_RANGE(1, 16777216), .units = "Templates", .def = "4096",
		 .help = "Templates and Options Templates of one session, all "
			 "domains together. All sessions have 256 times as "
			 "many at most."),
	CONF_ROW(LEAF, "maxFieldsPerTemplate", .cx = true, CONF_RANGE(1, 16383),
		 .units = "fields", .def = "512",
		 .help = "Fields of one Template."),
	CONF_ROW(LEAF, "maxLearntElements", .cx = true, CONF_RANGE(0, 1048576),
		 .units = "elements", .def = "4096",
		 .help = "Information Elements learnt from all exporters, by "
			 "their descriptions (RFC 5610) or their use."),
	CONF_ROW(LEAF, "heldOctets", .cx = true,
		 CONF_RANGE(0, UINT64_C(1) << 36), .units = "octets",
		 .def = "4194304",
		 .help = "Data Sets of one collecting process that wait for "
			 "their Template; 0 holds none."),
	CONF_ROW(LEAF, "heldTime", .cx = true, CONF_RANGE(0, 3600000),
		 .units = "milliseconds", .def = "5000",
		 .help = "How long a Data Set waits for its Template, then its "
			 "records are counted as lost. Over UDP the Template "
			 "may come just after."),
	CONF_ROW(LEAF, "maxOptionsRecords", .cx = true, CONF_RANGE(0, 1048576),
		 .units = "records", .def = "4096",
		 .help = "Options Data Records kept of one session."),
	CONF_ROW(LEAF, "maxAcknowledgedStreams", .cx = true,
		 CONF_RANGE(1, 2048), .units = "streams", .def = "1024",
		 .help = "Streams of which it is remembered what was had, see "
			 "acknowledgement; an exporter begins one at each "
			 "start. The one that is unused for longest is "
			 "forgotten."),
	CONF_LAST,
};

static const struct conf_row ipfix_rows[] = {
	CONF_ROW(LEAF, "workers", .cx = true, CONF_RANGE(1, 64),
		 .units = "threads", .def = "1",
		 .help = "Threads that collect, merge and export. One is "
			 "enough for a few million records a second."),
	CONF_ROW(LEAF, "controlSocket", .cx = true, .type = CONF_PATH, .min = 1,
		 .max = 107, .def = "/run/conflux/conflux.sock",
		 .help = "Local socket of conflux status and conflux "
			 "selection."),
	CONF_ROW(LEAF, "acknowledgementFile", .cx = true, .type = CONF_PATH,
		 .min = 1,
		 .help = "File in which it is kept which records of whom have "
			 "been acknowledged, for collectors whose records go "
			 "to no destination with acknowledgement: those keep "
			 "it with the records. It is written before each "
			 "acknowledgement. See ACKNOWLEDGEMENT."),
	CONF_ROW(LEAF_LIST, "elementFile", .cx = true, .type = CONF_PATH,
		 .help = "File with Information Elements of your own, in the "
			 "form of ipfix-elements.xml. A relative path starts "
			 "at the folder of the configuration."),
	CONF_ROW(CONTAINER, "limits", .cx = true, .rows = limit_rows,
		 .help = "Bounds of what peers can make the daemon hold. What "
			 "goes beyond is refused, counted and logged."),
	CONF_ROW(LIST, "collectingProcess", .rows = conf_rows_collecting,
		 .help = "Sources whose records go the same way."),
	CONF_ROW(LIST, "observationPoint", .rows = conf_rows_observation,
		 .help = "Interfaces whose packets are observed."),
	CONF_ROW(LIST, "selectionProcess", .rows = conf_rows_selection,
		 .help = "Sampling and filtering of packets."),
	CONF_ROW(LIST, "intermediateProcess", .cx = true,
		 .rows = conf_rows_mediation,
		 .help = "Intermediate Processes (RFC 6183 section 5) stand "
			 "behind a collectingProcess, selectionProcess or "
			 "cache, one behind the other as one likes. What is "
			 "referred to several times gets the records of "
			 "all."),
	CONF_ROW(LIST, "cache", .rows = conf_rows_cache,
		 .help = "Merges records to Flows."),
	CONF_ROW(LIST, "exportingProcess", .rows = conf_rows_exporting,
		 .help = "Sends records to destinations."),
	CONF_ROW(LIST, "meterAgent", .cx = true, .rows = conf_rows_agent,
		 .help = "Meters by rule sets and is read by SNMP as a traffic "
			 "flow meter (RFC 2722, RFC 2720); there is one at "
			 "most."),
	CONF_LAST,
};

const struct conf_row conf_rows_root[] = {
	CONF_ROW(PRESENCE, "ipfix", .rows = ipfix_rows,
		 .help = "The whole configuration."),
	CONF_LAST,
};
