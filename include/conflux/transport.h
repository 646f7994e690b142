/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Names that the net, record and collecting modules share. */
#ifndef CONFLUX_TRANSPORT_H
#define CONFLUX_TRANSPORT_H

#include <stdbool.h>

enum transport {
	TRANSPORT_UDP,
	TRANSPORT_TCP,
	TRANSPORT_SCTP,
	TRANSPORT_FILE,
	TRANSPORT_SNMP, /* a meter read by SNMP */
	TRANSPORT_CAPTURE, /* packets */
	TRANSPORT_WORKER, /* records handed over by another worker */
};

/* "udp", "tcp", ... */
static inline const char *
transport_name(enum transport transport)
{
	static const char *const name[] = {"udp",  "tcp",  "sctp",
					   "file", "snmp", "capture",
					   "worker"};

	return name[transport];
}

/* Secured: "dtls", "tls". */
static inline const char *
transport_secure_name(enum transport transport, bool secure)
{
	if (!secure)
		return transport_name(transport);
	return transport == TRANSPORT_TCP ? "tls" : "dtls";
}

#endif
