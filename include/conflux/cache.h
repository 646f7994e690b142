/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow cache (RFC 6728 section 4.3, RFC 7015): a stage that merges records
 * with equal Flow Keys and passes on aggregated Flow Records, as IPFIX wire
 * format batches of a scope of its own.
 *
 * The shape of what comes in decides which of the configured fields a flow
 * has: a record is put with those that have the same subset of the key fields,
 * so IPv4 and IPv6 flows live in one cache, and a record without a key field
 * is merged with others that lack it. How a value is merged follows its
 * semantics, see MERGE_AUTO.
 */
#ifndef CONFLUX_CACHE_H
#define CONFLUX_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "conflux/stage.h"

enum cache_type {
	CACHE_IMMEDIATE, /* each record becomes a flow of its own */
	CACHE_TIMEOUT,
	CACHE_NATURAL,   /* timeout, and ended by TCP FIN or RST */
	CACHE_PERMANENT, /* never expires, exported periodically */
};

enum merge {
	/*
	 * Delta and total counters, deltaFlowCount and sums of squares are
	 * added (totals after having been turned into differences); flowStart*
	 * and minimum* keep the least, flowEnd* and maximum* the greatest
	 * value; flags are or'ed; lists of experiments in options of TCP and UDP
	 * become their union; anything else keeps the first value seen.
	 */
	MERGE_AUTO,
	MERGE_SUM,
	MERGE_MIN,
	MERGE_MAX,
	MERGE_OR,
	MERGE_FIRST,
	MERGE_LAST,
	MERGE_UNION, /* of basicLists: each element once, up to 2048 octets */
};

/* RFC 7015 section 5.1.1: in which interval the counters of a flow go. */
enum distribution {
	DISTRIBUTION_NONE,
	DISTRIBUTION_START,          /* of the flow's start */
	DISTRIBUTION_END,
	DISTRIBUTION_MID,
	DISTRIBUTION_SIMPLE_UNIFORM, /* equal shares of all it touches */
	DISTRIBUTION_PROPORTIONAL,   /* shares by time spent in each */
};

struct cache_field {
	const struct ie *ie;
	uint16_t length;       /* octets on the wire, 0: natural */
	bool key;
	bool coarse;           /* a key that is left out under overload */
	int16_t prefix_length; /* keep this many bits of an address, -1: all */
	enum merge merge;
};

enum {
	CACHE_FIELDS_MAX = 128,
	CACHE_VALUES_MAX = 56, /* fields that are not keys */
	CACHE_MAX_FLOWS_DEFAULT = 1048576,
};

struct cache_conf {
	const char *name; /* kept by the caller */
	enum cache_type type;
	uint32_t max_flows;         /* 0: CACHE_MAX_FLOWS_DEFAULT */
	uint32_t active_timeout_s;  /* 0: none */
	uint32_t idle_timeout_s;    /* 0: none */
	uint32_t hold_ms;           /* not 0: all flows leave after that, in
				     * place of the timeouts */
	uint32_t export_interval_s; /* permanent */
	const struct cache_field *fields; /* copied */
	unsigned field_count;
	bool export_originals;      /* originalExporter*, original domain: keys */
	uint32_t domain;            /* observationDomainId of what it exports */
	uint32_t metering_process_id; /* unique in this program, 0: none */
	enum distribution distribution;
	uint32_t interval_s;        /* of the distribution, aligned to 1970 */
	uint64_t max_octets;        /* of variable-length values held */
	/*
	 * Time is that of the data (received_ms of the batches), not that of
	 * this machine: for packets that were captured before.
	 */
	bool data_clock;
	/*
	 * Both directions of a conversation are one Flow (RFC 5103): a record
	 * whose key is that of a Flow with source and destination exchanged
	 * goes into its reverse elements. The forward direction is that of the
	 * packet that came first, or of the record with the earliest flowStart,
	 * if that is among the fields, else that came first. Values without a reverse element among
	 * the fields are those of the forward direction, but times that keep
	 * the least or the greatest are of both. Records that have reverse
	 * elements themselves are turned as a whole.
	 */
	bool biflow;
	/*
	 * Where the flows go at the end, instead of being exported, and are
	 * found at the start; NULL: they are exported. Kept by the caller. Not
	 * for CACHE_IMMEDIATE.
	 */
	const char *state_file;
	uint32_t state_interval_s; /* and that often in between, 0: not */
	bool state_export; /* not at the end: they are exported then */
	/*
	 * What comes in between is in the file, too, so that nothing is lost;
	 * when there are so many octets of it, the flows are saved anew. 0: it
	 * is not.
	 */
	uint64_t state_journal;
};

/*
 * *error gets a message for the user (constant text) with -EINVAL: which
 * field can't be, and why. Other errors: -ENOMEM, -ENOSPC.
 */
int cache_new(const struct cache_conf *conf, struct ie_registry *registry,
	      struct shape_table *shapes, struct stage **out,
	      const char **error);

struct cache_stats {
	uint64_t active_flows;
	uint64_t data_records;  /* exported */
	uint64_t evicted;       /* for lack of resources */
	uint64_t octets;        /* memory of rows and index in use */
};
void cache_stats(const struct stage *stage, struct cache_stats *stats);

/* Flows that are in its file when it has ended. */
uint64_t cache_saved(const struct stage *stage);

/* How full it is, per cent. */
unsigned cache_fill(const struct stage *stage);

/*
 * Leaves out the keys that are marked coarse, or has them again. What was
 * metered before is cut off (see stage_cut).
 */
void cache_set_coarse(struct stage *stage, bool coarse);

#endif
