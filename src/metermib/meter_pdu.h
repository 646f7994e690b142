/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Requests for control objects: a table entry, a column and an index. */
#ifndef CONFLUX_METERMIB_METER_PDU_H
#define CONFLUX_METERMIB_METER_PDU_H

#include <stdbool.h>
#include <string.h>

#include "engine.h"
#include "meter_oid.h"

struct pdu_name {
	oid name[MAX_OID_LEN];
	size_t length;
};

/* entry . column . index; column 0: a scalar, whose instance is 0. */
static inline struct pdu_name
pdu_name(const oid *entry, size_t length, unsigned column, uint32_t index)
{
	struct pdu_name n;

	memcpy(n.name, entry, length * sizeof(*entry));
	n.length = length;
	if (column)
		n.name[n.length++] = column;
	n.name[n.length++] = index;
	return n;
}

#define PDU_NAME(entry, column, index) \
	pdu_name(entry, OID_COUNT(entry), column, index)

/* All of them leave a NULL pdu alone: the send finds it. */
static inline void
pdu_ask(netsnmp_pdu *pdu, struct pdu_name name)
{
	if (pdu)
		snmp_add_null_var(pdu, name.name, name.length);
}

static inline void
pdu_put_number(netsnmp_pdu *pdu, struct pdu_name name, uint8_t type,
	       long number)
{
	if (pdu)
		snmp_pdu_add_variable(pdu, name.name, name.length, type,
				      &number, sizeof(number));
}

static inline void
pdu_put_octets(netsnmp_pdu *pdu, struct pdu_name name, const void *octets,
	       size_t length)
{
	if (pdu)
		snmp_pdu_add_variable(pdu, name.name, name.length,
				      ASN_OCTET_STR, octets, length);
}

/* Errors that say "you may not write", whatever the version. */
static inline bool
error_is_refusal(long error)
{
	return error == SNMP_ERR_NOACCESS ||
	       error == SNMP_ERR_READONLY ||
	       error == SNMP_ERR_AUTHORIZATIONERROR ||
	       error == SNMP_ERR_NOTWRITABLE;
}

#endif
