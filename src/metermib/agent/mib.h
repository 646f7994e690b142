/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * FLOW-METER-MIB as a tree of objects: which one an object identifier names,
 * which comes next, what its value is. Identifiers are relative to the root of
 * the MIB (mib-2 40). Knows meter and MIB, not Net-SNMP.
 */
#ifndef CONFLUX_METERMIB_MIB_H
#define CONFLUX_METERMIB_MIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control.h"

/* An identifier has 128 parts at most (RFC 2578), 8 are those of mib-2 40. */
#define MIB_OID_SIZE 120

struct mib_oid {
	unsigned length;
	uint32_t id[MIB_OID_SIZE];
};

/* Selector octets that fit into an identifier: {2 3 1 5 n ... set T index}. */
#define MIB_SELECTOR_SIZE (MIB_OID_SIZE - 8)

/* Each octet of a selector can bring 22 octets of value. */
#define MIB_PACKAGE_SIZE (MIB_SELECTOR_SIZE * 22 + 4)

struct mib {
	struct meter *meter;
	enum metermib_time_filter time_filter;
	bool rfc2064;
	enum metermib_absent absent;
	uint64_t packages; /* made, for the counters */
	uint8_t package[MIB_PACKAGE_SIZE];
};

/*
 * Values may point into meter or mib, and are valid until either is used again.
 * mib_next changes oid to the next object in order and reads it; with
 * without_counter64, as SNMPv1 needs it, there are no Counter64 objects. Both
 * return false if there is no such object.
 */
bool mib_get(struct mib *mib, const struct mib_oid *oid, struct value *value);
bool mib_next(struct mib *mib, struct mib_oid *oid, bool without_counter64,
	      struct value *value);

/* What a SET of oid is about. Returns false if it names nothing of control. */
bool mib_control(const struct mib_oid *oid, enum control_table *table,
		 unsigned *sub_id, struct control_row *row);

/* Of the flow table (mib_flow.c). column and index are those of the object. */
bool mib_flow_get(struct mib *mib, const struct mib_oid *oid,
		  struct value *value);
bool mib_flow_next(struct mib *mib, struct mib_oid *oid, bool without_counter64,
		   struct value *value);
bool mib_package_get(struct mib *mib, const struct mib_oid *oid,
		     struct value *value);
bool mib_package_next(struct mib *mib, struct mib_oid *oid,
		      struct value *value);

/* Identifiers of the two, relative to the root: parts before the column. */
#define MIB_TABLE_PARTS 3

#endif
