/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of each flow of a meter between passes, and what a new
 * reading of it means. RFC 2722 section 5.1 names a flow by rule set, index and
 * first time; counters are never reset, so what is new is the difference.
 */
#ifndef CONFLUX_METERMIB_METER_FLOW_H
#define CONFLUX_METERMIB_METER_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "meter_row.h"

/* The wall clock at one value of the meter's Uptime. */
struct meter_clock {
	bool known;
	uint32_t uptime;  /* centiseconds, wraps after 497 days */
	uint64_t wall_ms; /* since 1970 */
};

/*
 * The wall clock at a time of the meter. Times up to a day behind the clock's
 * are taken as later than it (the flow went on while it was being read).
 */
uint64_t meter_clock_ms(const struct meter_clock *clock, uint32_t time);

/* Is time a before b, on a clock that wraps? */
static inline bool
uptime_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

enum {
	FLOW_TO_OCTETS,
	FLOW_TO_PDUS,
	FLOW_FROM_OCTETS,
	FLOW_FROM_PDUS,
	FLOW_COUNTERS,
};

/* A place in the table; index 0: free. */
struct meter_flow {
	uint32_t index;
	uint32_t first_time;
	uint8_t rule_set;
	uint8_t pdu_scale;
	uint8_t octet_scale;
	uint8_t mark; /* of the last full pass that saw it */
	uint64_t start_ms;
	uint64_t counter[FLOW_COUNTERS]; /* as the meter has them */
};

struct meter_flows {
	struct meter_flow *slot;
	uint32_t mask; /* slots - 1 */
	uint32_t count;
	uint32_t max;
	uint64_t seed;
};

enum flow_news {
	FLOW_SAME,     /* nothing new */
	FLOW_GROWN,    /* delta is what was added */
	FLOW_BASELINE, /* first seen, its past does not count */
};

/* How a pass wants its rows to be understood. */
struct flow_pass {
	const struct meter_clock *clock;
	bool wrap32;	 /* counters of RFC 2064: 32 bits */
	bool has_start;	 /* flows that began before start are baselines */
	uint32_t start;	 /* Uptime */
	uint8_t mark;
};

struct flow_reading {
	enum flow_news news;
	bool recycled;	/* the index belonged to another flow */
	bool restarted; /* counters went back: taken as counted from 0 */
	uint64_t delta[FLOW_COUNTERS]; /* real units: scale is applied */
	uint64_t total[FLOW_COUNTERS];
	uint64_t start_ms, end_ms;
};

/* An empty table; it grows up to max flows. */
void meter_flows_init(struct meter_flows *flows, uint32_t max);
void meter_flows_fini(struct meter_flows *flows);
void meter_flows_clear(struct meter_flows *flows);

/* NULL: not known. */
struct meter_flow *meter_flows_find(const struct meter_flows *flows,
				    uint8_t rule_set, uint32_t index);

/* A new place for a flow that is not there. -ENOSPC, -ENOMEM. */
int meter_flows_add(struct meter_flows *flows, uint8_t rule_set,
		    uint32_t index, struct meter_flow **out);

/*
 * Takes out the flows of a rule set that do not have this mark: a full pass did
 * not see them, so the meter has them no more. Rule set 0: of all of them.
 * Returns how many.
 */
uint32_t meter_flows_prune(struct meter_flows *flows, uint8_t rule_set,
			   uint8_t mark);

/*
 * Compares a row with what is remembered and remembers it. -EBADMSG: no first
 * time or no counter in the row. -ENOSPC, -ENOMEM: the flow cannot be
 * remembered, and so must not be counted.
 */
int meter_flows_read(struct meter_flows *flows, const struct flow_pass *pass,
		     const struct meter_row *row, struct flow_reading *out);

#endif
