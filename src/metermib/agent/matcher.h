/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rule sets that run: packets are matched and counted in the flows of a meter
 * (RFC 2722 section 4.3).
 */
#ifndef CONFLUX_METERMIB_MATCHER_H
#define CONFLUX_METERMIB_MATCHER_H

#include "control.h"
#include "pme.h"

/* What is remembered of the packets of a meter with so many flows. */
struct answers *answers_new(uint32_t max_flows);

void matcher_free(struct matcher *matcher);

/* Those of the rule sets that meter->running has. */
void matchers_update(struct meter *meter);

enum meter_fate {
	METER_COUNTED, /* in a flow of one rule set at least */
	METER_IGNORED, /* by all rule sets */
	METER_SAMPLED, /* left out by the sampling of its interface */
	METER_FULL,    /* there was no room for its flow, and no other */
	METER_NO_MEMORY,
};

/*
 * Executes all rule sets that run for a packet. The Uptime is that of the last
 * meter_advance. sample: it is a single packet, so that the sampling of its
 * interface goes for it.
 */
enum meter_fate meter_packet(struct meter *meter,
			     const struct pme_packet *packet, bool sample);

/* What is remembered of such packets will be wanted soon. */
void meter_prefetch(const struct meter *meter, const struct pme_packet *packet);

#endif
