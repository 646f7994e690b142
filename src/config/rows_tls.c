/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of TLS and DTLS (RFC 6728 4.6). The model says which names the two ends
 * have; it leaves to the device where certificates and keys come from. Those
 * are ours.
 */
#include "conflux/config.h"
#include "rows.h"

static const struct conf_row parameter_rows[] = {
	CONF_ROW(LEAF_LIST, "localCertificationAuthorityDN",
		 .type = CONF_STRING,
		 .help = "Name (RFC 4514) of an authority for our certificate; "
			 "if any is given, one has to be its issuer."),
	CONF_ROW(LEAF_LIST, "localSubjectDN", .type = CONF_STRING,
		 .help = "Subject (RFC 4514) of our certificate; if any is "
			 "given, it has to have one of them."),
	CONF_ROW(LEAF_LIST, "localSubjectFQDN", .type = CONF_DOMAIN,
		 .help = "Domain name in our certificate; if any is given, it "
			 "has to have one of them."),
	CONF_ROW(LEAF_LIST, "remoteCertificationAuthorityDN",
		 .type = CONF_STRING,
		 .help = "Name (RFC 4514) of an authority that peers' "
			 "certificates are from. Where this is the only thing "
			 "said of peers, all that the authority vouches for "
			 "may talk to us."),
	CONF_ROW(LEAF_LIST, "remoteSubjectDN", .type = CONF_STRING,
		 .help = "Subject (RFC 4514) of the peer's certificate. If any "
			 "is given, it has to have one of them."),
	CONF_ROW(LEAF_LIST, "remoteSubjectFQDN", .type = CONF_DOMAIN,
		 .help = "Domain name in the peer's certificate: a dNSName, "
			 "in which * may stand for the first label. If any is "
			 "given, the certificate has to have one of them."),
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
			 "peer's address, too. Names are looked up when files "
			 "are read."),
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
	CONF_ROW(LEAF, "sessionResumption", .cx = true, .type = CONF_BOOL,
		 .def = "true",
		 .help = "Begin a new session with what is left of the last "
			 "one, by tickets: cheaper than a full handshake. The "
			 "keys of tickets change every hour, and the peer's "
			 "certificate is looked at again."),
	CONF_LAST,
};

const struct conf_row conf_rows_tls_exporter[] = {
	CONF_ROW(GROUP, "transportLayerSecurityParameters",
		 .rows = parameter_rows),
	CONF_ROW(GROUP, "transportLayerSecurityCredentials",
		 .rows = credential_rows),
	CONF_ROW(LEAF, "pskIdentity", .cx = true, .type = CONF_STRING, .min = 1,
		 .max = 255,
		 .help = "Our identity in cx:pskFile. When not given: the full "
			 "domain name of this machine."),
	CONF_LAST,
};

const struct conf_row conf_rows_tls_collector[] = {
	CONF_ROW(GROUP, "transportLayerSecurityParameters",
		 .rows = parameter_rows),
	CONF_ROW(GROUP, "transportLayerSecurityCredentials",
		 .rows = credential_rows),
	CONF_ROW(LEAF, "handshakeTimeout", .cx = true, CONF_RANGE(100, 600000),
		 .units = "milliseconds", .def = "10000",
		 .help = "Whoever needs longer to prove who it is, is turned "
			 "away."),
	CONF_ROW(LEAF, "lateTickets", .cx = true, .type = CONF_BOOL,
		 .def = "false",
		 .help = "Give tickets in TLS 1.3, too, where they come after "
			 "the handshake. An exporter that never reads loses "
			 "what it sent last if it closes with one unread."),
	CONF_LAST,
};
