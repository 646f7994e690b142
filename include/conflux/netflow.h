/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * NetFlow of the versions 5 and 9 (RFC 3954) as the one model of IPFIX:
 * headers, the numbers of version 9 as Information Elements, and records made
 * into records that IPFIX has. No I/O, no clock, no log; nothing is allocated
 * but plans.
 */
#ifndef CONFLUX_NETFLOW_H
#define CONFLUX_NETFLOW_H

#include "conflux/message.h"

enum {
	NETFLOW5_VERSION = 5,
	NETFLOW9_VERSION = 9,
	NETFLOW5_HEADER = 24,
	NETFLOW5_RECORD = 48,
	NETFLOW9_HEADER = 20,
	/* FlowSets of version 9; Data has SET_DATA_MIN and above. */
	NETFLOW9_TEMPLATE = 0,
	NETFLOW9_OPTIONS_TEMPLATE = 1,
};

struct netflow_header {
	uint16_t version;
	uint16_t count;	    /* records, of 9: of all kinds */
	uint32_t uptime_ms; /* sysUpTime */
	uint64_t export_ms; /* since 1970, of the same instant */
	uint32_t sequence;
	uint32_t domain;   /* Source ID; of 5: engine type << 8 | engine */
	uint8_t sampling;  /* of 5: mode; 1: one in so many, 2: random */
	uint16_t interval; /* of 5: one packet in so many, 0: not known */
};

/* Is a datagram NetFlow of one of the versions? */
static inline bool
netflow_is(const uint8_t *p, size_t length)
{
	return length >= 2 && (wire_get16(p) == NETFLOW5_VERSION ||
			       wire_get16(p) == NETFLOW9_VERSION);
}

/* -EBADMSG: it is shorter than the header of its version. */
int netflow_open(struct netflow_header *header, const uint8_t *p,
		 size_t length);

/*
 * The Information Element of a Field Type of version 9, or, if scope, of a
 * Scope Field Type. They have no enterprise bit; see netflow.c for those above
 * 32767.
 */
void netflow9_element(uint16_t type, bool scope, uint32_t *pen, uint16_t *id);

/* ---- records ----------------------------------------------------------- */

/*
 * How records of one shape, which is the layout on the wire, are made into
 * those of another one.
 */
struct netflow_plan {
	uint32_t from;		/* serial of the shape on the wire */
	const struct shape *to; /* held; NULL: they can stay as they are */
	struct netflow_step *step;
	unsigned count;
	uint32_t stride; /* octets of a record on the wire, if fixed */
	bool fixed; /* records of both shapes have one length each */
};

/* Elements that are added to each record, as bits. */
enum {
	NETFLOW_ADD_INTERVAL = 1,  /* samplingInterval */
	NETFLOW_ADD_ALGORITHM = 2, /* samplingAlgorithm */
};

/*
 * -ENOMEM, -ENOSPC: too many shapes; -EINVAL: nothing would be left. A plan is
 * zero, or has been used: then it is freed before.
 */
int netflow_plan(struct netflow_plan *plan, const struct ie_registry *registry,
		 struct shape_table *shapes, const struct shape *from,
		 unsigned add);
void netflow_plan_fini(struct netflow_plan *plan);

/* The layout of records of version 5, held for the caller. */
int netflow5_shape(const struct ie_registry *registry,
		   struct shape_table *shapes, const struct shape **out);

/*
 * Writes the record, which came in a message with this header, as one of
 * plan->to. Returns how many octets it has. room that is twice its length and
 * NETFLOW_GROWTH is always enough; 0: it was not.
 */
enum { NETFLOW_GROWTH = 16 };
uint32_t netflow_convert(const struct netflow_plan *plan,
			 const struct netflow_header *header,
			 const uint8_t *record, uint32_t length, uint8_t *out,
			 uint32_t room);
/*
 * The same for count records, one behind the other, if plan->fixed; there is
 * room for as many at out.
 */
void netflow_convert_fixed(const struct netflow_plan *plan,
			   const struct netflow_header *header,
			   const uint8_t *record, uint32_t count, uint8_t *out);

#endif
