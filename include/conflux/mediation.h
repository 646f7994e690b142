/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Intermediate Processes (RFC 6183 section 5): stages between sources, caches
 * and Exporting Processes, to be chained as one likes. Each leaves scopes and
 * shapes as they are unless it says otherwise.
 */
#ifndef CONFLUX_MEDIATION_H
#define CONFLUX_MEDIATION_H

#include "conflux/filter.h"
#include "conflux/stage.h"

/*
 * Intermediate Selection Process (RFC 6183 section 5.3.2): passes on the Data
 * Records that the expression takes; the others are counted as filtered.
 * Options Data Records all pass. -EINVAL: *error tells why; -ENOMEM. The name
 * and the expression are kept by the caller.
 */
int filter_stage_new(const char *name, const char *expression,
		     struct ie_registry *registry, struct stage **out,
		     struct filter_error *error);

/*
 * Biflows (RFC 5103) become uniflows, one of each direction that has packets;
 * what is no biflow passes as it came. A record more counts as split. The name,
 * the registry and the table are kept by the caller. -ENOMEM.
 */
int split_stage_new(const char *name, struct ie_registry *registry,
		    struct shape_table *shapes, struct stage **out);

/*
 * De-duplication: of Flows that several Observation Points have seen, the
 * records of one point pass. The others count as filtered: nothing of them goes
 * into another record. Records of which it can't be told pass.
 */
struct dedup_conf {
	const char *name;   /* kept by the caller */
	bool best;	    /* the point with most packets, not the first one */
	uint32_t window_ms; /* a Flow is remembered, 1 to a day */
	uint32_t hold_ms;   /* best: until the choice */
	uint32_t tolerance_ms; /* of start times */
	uint32_t max_flows;
	uint64_t max_octets; /* best: of records that wait */
	/*
	 * Elements that make a Flow (0: addresses, protocol, ports and ICMP),
	 * and an Observation Point (0: original exporter and domain, and
	 * observationPointId). See dedup_can_compare. Not used later.
	 */
	const struct ie *const *key, *const *point;
	unsigned key_count, point_count;
};

enum { DEDUP_ELEMENTS_MAX = 64 }; /* of either list */

/* The registry has all elements of IANA. -ENOMEM. */
int dedup_stage_new(const struct dedup_conf *conf,
		    const struct ie_registry *registry, struct stage **out);

/* May the element be in the lists? Not if its length varies, or a time. */
bool dedup_can_compare(const struct ie *ie);

#endif
