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

/* ---- lookup.c ---------------------------------------------------------- */

enum {
	LOOKUP_VALUES_MAX = 32,	 /* of a lookup */
	LOOKUP_OCTETS_MAX = 255, /* of a value in a record */
};

/* Which address of a record is looked up. */
enum lookup_address {
	LOOKUP_SOURCE,
	LOOKUP_DESTINATION,
	LOOKUP_NEXT_HOP,
	LOOKUP_BGP_NEXT_HOP,
	LOOKUP_EXPORTER, /* of the record or of its Transport Session */
	LOOKUP_ADDRESSES,
};

/* What is done with a record that has an element of a lookup already. */
enum lookup_existing {
	LOOKUP_KEEP,
	LOOKUP_FILL, /* replace it if it is 0 or empty */
	LOOKUP_REPLACE,
};

struct lookup_value {
	enum lookup_address address;
	const struct ie *ie; /* gets the value */
	const char *key;     /* column, or the way into the database */
};

struct lookup_conf {
	const char *name;
	const char *networks_path; /* one of these two */
	const char *maxmind_path;
	enum lookup_existing existing;
	unsigned value_count;
	struct lookup_value value[LOOKUP_VALUES_MAX];
	const struct ie_registry *registry;
	struct shape_table *shapes;
};

/*
 * Data Records get more fields (RFC 6183 section 5.3.2, "adding information"):
 * what a file tells of their addresses. Records that have none of these
 * addresses, and Options Data Records, pass as they are. share is a stage of
 * another thread that was made with an equal conf, or NULL: both use the same
 * networks in memory then, and only the first one reads them again. All strings
 * of conf are kept by the caller. -EINVAL, -EBADMSG or the errno of reading the
 * file: *error tells why, a line for each mistake; -ENOMEM.
 */
int lookup_stage_new(const struct lookup_conf *conf, const struct stage *share,
		     struct stage **out, char **error);
/* Of these types a value can be; NULL, or what else was expected. */
const char *lookup_type_wrong(const struct ie *ie);

/* ---- renormalize_stage.c ----------------------------------------------- */

/* Who tells how packets were sampled. */
enum renormalize_origin {
	RENORMALIZE_RECORD,
	RENORMALIZE_SELECTOR,	/* selector, sampler or Selection Sequence */
	RENORMALIZE_DOMAIN,	/* its Options Data */
	RENORMALIZE_EXPORTER,	/* the configuration, of an exporter */
	RENORMALIZE_CONFIGURED, /* and of all */
	RENORMALIZE_ORIGINS,
};

struct renormalize_exporter {
	struct addr addr; /* without port */
	uint32_t interval;
};

struct renormalize_conf {
	const char *name; /* kept by the caller */
	enum renormalize_origin order[RENORMALIZE_ORIGINS];
	unsigned order_count;
	uint32_t interval; /* RENORMALIZE_CONFIGURED: one in so many, or 0 */
	struct renormalize_exporter *exporter; /* copied */
	unsigned exporter_count;
	const struct ie_registry *registry;
	struct shape_table *shapes;
};

const char *renormalize_origin_name(enum renormalize_origin origin);

/*
 * Counters of packets and octets are multiplied by how many packets one that
 * was sampled stands for, and records say so. -ENOMEM.
 */
int renormalize_stage_new(const struct renormalize_conf *conf,
			  struct stage **out);

#endif
