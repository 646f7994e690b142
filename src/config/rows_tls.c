/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of TLS and DTLS (RFC 6728 4.6). The model says which names the two ends
 * have; it leaves to the device where certificates and keys come from. Those
 * are ours.
 */
#include "conflux/config.h"
#include "rows.h"

#define TLS_GROUP(name, group) \
	CONF_ROW(GROUP, "transportLayerSecurity" name, .rows = (group))
/* Of all transports and of both roles. */
#define TLS_BOTH_ENDS                            \
	TLS_GROUP("Parameters", parameter_rows), \
		TLS_GROUP("Credentials", credential_rows)

/* The names of RFC 6728, in its namespace or, beneath elements of ours, in ours.
 */
#define PARAMETER_ROWS(ours) \
	CONF_ROW(LEAF_LIST, "localCertificationAuthorityDN", .cx = (ours), .type = CONF_STRING, \
		 .help = "Name (RFC 4514) of an authority for our certificate; " \
			 "if any is given, one has to be its issuer."), \
	CONF_ROW(LEAF_LIST, "localSubjectDN", .cx = (ours), .type = CONF_STRING, \
		 .help = "Subject (RFC 4514) of our certificate; if any is " \
			 "given, it has to have one of them."), \
	CONF_ROW(LEAF_LIST, "localSubjectFQDN", .cx = (ours), .type = CONF_DOMAIN, \
		 .help = "Domain name in our certificate; if any is given, it " \
			 "has to have one of them."), \
	CONF_ROW(LEAF_LIST, "remoteCertificationAuthorityDN", .cx = (ours), .type = CONF_STRING, \
		 .help = "Name (RFC 4514) of an authority that peers' " \
			 "certificates are from. Where this is the only thing " \
			 "said of peers, all that the authority vouches for " \
			 "may talk to us."), \
	CONF_ROW(LEAF_LIST, "remoteSubjectDN", .cx = (ours), .type = CONF_STRING, \
		 .help = "Subject (RFC 4514) of the peer's certificate. If any " \
			 "is given, it has to have one of them."), \
	CONF_ROW(LEAF_LIST, "remoteSubjectFQDN", .cx = (ours), .type = CONF_DOMAIN, \
		 .help = "Domain name in the peer's certificate: a dNSName, " \
			 "in which * may stand for the first label. If any is " \
			 "given, the certificate has to have one of them.")

static const struct conf_row parameter_rows[] = {
	PARAMETER_ROWS(false),
	CONF_LAST,
};

static const struct conf_row our_parameter_rows[] = {
	PARAMETER_ROWS(true),
	CONF_LAST,
};

static const struct conf_row credential_rows[] = {
	CONF_ROW(LEAF, "certificateFile", .cx = true, .type = CONF_PATH,
		 .help = "PEM file of our certificate, with those that lead to "
			 "the peer's authority behind it. When not "
			 "given: " CONF_CERTIFICATE ", or none if there is "
			 "cx:pskFile."),
	CONF_ROW(LEAF, "keyFile", .cx = true, .type = CONF_PATH,
		 .help = "PEM file of its private key, which others must not "
			 "be able to read. When not given: the key is in "
			 "cx:certificateFile, or in " CONF_KEY_FILE " if that "
			 "is not given either."),
	CONF_ROW(LEAF, "authoritiesFile", .cx = true, .type = CONF_PATH,
		 .help = "PEM file of the authorities that peers' certificates "
			 "are from. When not given: " CONF_AUTHORITIES ". "
			 "Those of the system are never used: they vouch for "
			 "anybody."),
	CONF_ROW(LEAF, "revocationsFile", .cx = true, .type = CONF_PATH,
		 .help = "PEM file of lists of revoked certificates (CRL). "
			 "When not given: none is looked up."),
	CONF_ROW(LEAF, "pskFile", .cx = true, .type = CONF_PATH,
		 .help = "File of pre-shared keys, which others must not be "
			 "able to read: lines of an identity, a colon and a "
			 "key of 16 octets or more in hexadecimal."),
	CONF_ROW(LEAF_LIST, "remoteCommonName", .cx = true, .type = CONF_STRING,
		 .min = 1, .max = 255,
		 .help = "Common Name (CN) of the peer's certificate, for "
			 "certificates without dNSName. If any is given, it "
			 "has to have one of them."),
	CONF_ROW(LEAF, "matchAddress", .cx = true, .type = CONF_BOOL,
		 .def = "false",
		 .help = "The accepted domain name has to be that of the "
			 "peer's address, too. Names are looked up at the "
			 "start and after each reload; until there is an "
			 "answer, what was known before holds."),
	CONF_LAST,
};

static const struct conf_row resumption_rows[] = {
	CONF_ROW(LEAF, "sessionResumption", .cx = true, .type = CONF_BOOL,
		 .def = "true",
		 .help = "Begin a new session with what is left of the last "
			 "one, by tickets: cheaper than a full handshake. The "
			 "keys of tickets change every hour, and the peer's "
			 "certificate or pre-shared key is looked at again."),
	CONF_LAST,
};

static const struct conf_row client_rows[] = {
	CONF_ROW(LEAF, "pskIdentity", .cx = true, .type = CONF_STRING, .min = 1,
		 .max = 255,
		 .help = "Our identity in cx:pskFile. When not given: the full "
			 "domain name of this machine."),
	CONF_LAST,
};

static const struct conf_row server_rows[] = {
	CONF_ROW(LEAF, "handshakeTimeout", .cx = true, CONF_RANGE(100, 600000),
		 .units = "milliseconds", .def = "10000",
		 .help = "Whoever needs longer to prove who it is, is turned "
			 "away."),
	CONF_LAST,
};

/* ---- TLS ------------------------------------------------------------------
 */

static const struct conf_row tls_rows[] = {
	CONF_ROW(LEAF, "minVersion", .cx = true, .type = CONF_ENUM,
		 .def = "1.2", CONF_VALUES("1.2", "1.3"),
		 .help = "Oldest version of TLS. RFC 9325 forbids those before "
			 "1.2."),
	CONF_ROW(LEAF, "maxVersion", .cx = true, .type = CONF_ENUM,
		 .def = "1.3", CONF_VALUES("1.2", "1.3"),
		 .help = "Newest version of TLS."),
	CONF_ROW(LEAF, "cipherSuites", .cx = true, .type = CONF_STRING,
		 .min = 1, .max = 1024,
		 .help = "Cipher suites of TLS 1.2, as OpenSSL writes them "
			 "(ciphers(1)). When not given: those with ephemeral "
			 "keys and authenticated encryption (RFC 9325)."),
	CONF_LAST,
};

static const struct conf_row handshake_rows[] = {
	CONF_ROW(LEAF, "maxHandshakes", .cx = true, CONF_RANGE(1, 65535),
		 .def = "256",
		 .help = "Bound of handshakes under way. Only who has shown "
			 "that its address is its own can begin one."),
	CONF_LAST,
};

const struct conf_row conf_rows_tls_exporter[] = {
	TLS_BOTH_ENDS,
	TLS_GROUP("Resumption", resumption_rows),
	TLS_GROUP("Versions", tls_rows),
	TLS_GROUP("Client", client_rows),
	CONF_LAST,
};

const struct conf_row conf_rows_tls_collector[] = {
	TLS_BOTH_ENDS,
	TLS_GROUP("Resumption", resumption_rows),
	TLS_GROUP("Versions", tls_rows),
	TLS_GROUP("Server", server_rows),
	CONF_ROW(LEAF, "lateTickets", .cx = true, .type = CONF_BOOL,
		 .def = "false",
		 .help = "Give tickets in TLS 1.3, too, where they come after "
			 "the handshake. An exporter that never reads loses "
			 "what it sent last if it closes with one unread."),
	CONF_LAST,
};

/* ---- TLS the other way round, beneath elements of ours -------------------- */

const struct conf_row conf_rows_tls_dialer[] = {
	TLS_GROUP("ParametersOfOurs", our_parameter_rows),
	TLS_GROUP("Credentials", credential_rows),
	TLS_GROUP("Resumption", resumption_rows),
	TLS_GROUP("Versions", tls_rows),
	TLS_GROUP("Client", client_rows),
	CONF_LAST,
};

/* Tickets come late, to one that reads. */
const struct conf_row conf_rows_tls_listener[] = {
	TLS_GROUP("ParametersOfOurs", our_parameter_rows),
	TLS_GROUP("Credentials", credential_rows),
	TLS_GROUP("Resumption", resumption_rows),
	TLS_GROUP("Versions", tls_rows),
	TLS_GROUP("Server", server_rows),
	TLS_GROUP("Handshakes", handshake_rows),
	CONF_LAST,
};

/* ---- DTLS -----------------------------------------------------------------
 */

static const struct conf_row dtls_rows[] = {
	CONF_ROW(LEAF, "priorities", .cx = true, .type = CONF_STRING, .min = 1,
		 .max = 1024,
		 .help = "Cipher suites of DTLS, as GnuTLS writes them "
			 "(priority strings). When not given: DTLS 1.2 with "
			 "ephemeral keys and authenticated encryption (RFC "
			 "9325)."),
	CONF_ROW(LEAF, "heartbeat", .cx = true, .type = CONF_BOOL,
		 .def = "true",
		 .help = "Heartbeats (RFC 6520), if the peer has them, too: "
			 "they tell that it is alive, and what the path "
			 "takes."),
	CONF_LAST,
};

static const struct conf_row heartbeat_rows[] = {
	CONF_ROW(LEAF, "heartbeatPeriod", .cx = true, CONF_RANGE(0, 86400),
		 .units = "seconds", .def = "10",
		 .help = "So often the collector is asked whether it is alive "
			 "and has the session. 0 is never."),
	CONF_ROW(LEAF, "heartbeatTries", .cx = true, CONF_RANGE(1, 16),
		 .def = "3",
		 .help = "When so many requests have no answer, the collector "
			 "is dead, and a new session is begun. Over UDP they "
			 "follow one second after the first, two after the "
			 "next and so on. Over SCTP, which tells by itself "
			 "that a collector is gone, there is one in each "
			 "cx:heartbeatPeriod, and those don't count that it "
			 "has not read yet."),
	CONF_LAST,
};

static const struct conf_row replacement_rows[] = {
	CONF_ROW(LEAF, "sessionLifetime", .cx = true, CONF_RANGE(0, 2592000),
		 .units = "seconds",
		 .help = "After that a session is replaced by a new one, with "
			 "new keys, without loss: Templates and Options Data "
			 "first, then data. 0 is never. When not given: 600 "
			 "where the collector has no heartbeats, so that "
			 "nothing else would show that it is dead, never where "
			 "it has."),
	CONF_LAST,
};

const struct conf_row conf_rows_dtls_exporter[] = {
	TLS_BOTH_ENDS,
	TLS_GROUP("Resumption", resumption_rows),
	TLS_GROUP("Client", client_rows),
	TLS_GROUP("Datagrams", dtls_rows),
	TLS_GROUP("Heartbeats", heartbeat_rows),
	TLS_GROUP("Replacement", replacement_rows),
	CONF_ROW(LEAF, "renegotiationPeriod", .cx = true, CONF_RANGE(0, 86400),
		 .units = "seconds", .def = "0",
		 .help = "Where the collector has no heartbeats, it is so often "
			 "asked by a handshake within the session whether it "
			 "is alive (RFC 5746 is needed); one that says that it "
			 "wants none is alive, too. Messages wait meanwhile; "
			 "if there is no answer, a new session is begun. 0 is "
			 "never; then cx:sessionLifetime is what helps. Not "
			 "for collectors with OpenSSL that are told to allow "
			 "it: they don't come to an end of it with GnuTLS, and "
			 "the session is given up."),
	CONF_ROW(LEAF, "pathProbingPeriod", .cx = true, CONF_RANGE(0, 86400),
		 .units = "seconds", .def = "600",
		 .help = "Where maxPacketSize is 0, the path is asked again "
			 "that often whether it takes larger packets. 0 is "
			 "once in a session. That it takes smaller ones only, "
			 "shows within cx:heartbeatPeriod."),
	CONF_LAST,
};

const struct conf_row conf_rows_dtls_collector[] = {
	TLS_BOTH_ENDS,
	TLS_GROUP("Resumption", resumption_rows),
	TLS_GROUP("Server", server_rows),
	TLS_GROUP("Datagrams", dtls_rows),
	TLS_GROUP("Handshakes", handshake_rows),
	CONF_ROW(LEAF, "handshakeRate", .cx = true, CONF_RANGE(1, 1000000),
		 .units = "handshakes per second", .def = "500",
		 .help = "Bound of handshakes begun; others have to try "
			 "again."),
	CONF_ROW(LEAF, "renegotiation", .cx = true, .type = CONF_BOOL,
		 .def = "false",
		 .help = "Exporters may begin a handshake within a session, "
			 "with RFC 5746. Messages that come later than its "
			 "end, and were sent before it, are lost. If false, "
			 "they are told that we want none."),
	CONF_LAST,
};

/* Over SCTP (RFC 6083): no session is resumed. */
const struct conf_row conf_rows_dtls_sctp_exporter[] = {
	TLS_BOTH_ENDS,
	TLS_GROUP("Client", client_rows),
	TLS_GROUP("Datagrams", dtls_rows),
	TLS_GROUP("Heartbeats", heartbeat_rows),
	TLS_GROUP("Replacement", replacement_rows),
	CONF_LAST,
};

const struct conf_row conf_rows_dtls_sctp_collector[] = {
	TLS_BOTH_ENDS,
	TLS_GROUP("Server", server_rows),
	TLS_GROUP("Datagrams", dtls_rows),
	TLS_GROUP("Handshakes", handshake_rows),
	CONF_LAST,
};
