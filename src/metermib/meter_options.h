/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What a collector has to know of a meter beside its flows, as Options Data
 * Records: the names of rule sets, and of each interface which share of its
 * packets is counted and how many were lost. Records that have changed are
 * sent, and all again when repeat was called.
 */
#ifndef CONFLUX_METERMIB_METER_OPTIONS_H
#define CONFLUX_METERMIB_METER_OPTIONS_H

#include "conflux/meter_reader.h"

struct meter_options;

/* The stage and the scope stay the caller's. -ENOMEM. */
int meter_options_new(const struct meter_reader_conf *conf,
		      struct ie_registry *registry, struct shape_table *shapes,
		      struct stage *stage, const struct scope *scope,
		      struct meter_options **out);
/* NULL is legal. */
void meter_options_free(struct meter_options *options);

/* The next records are sent even if nothing has changed. */
void meter_options_repeat(struct meter_options *options);

/*
 * The name of a rule set, 1 to 255; octets that are not ASCII become '?'. An
 * empty name says nothing and is not sent.
 */
void meter_options_name(struct meter_options *options, uint8_t rule_set,
			const char *name);

/*
 * Row after row of the interface table, between begin and end: rate is the N
 * of 1 in N (0: not counted at all) or NULL, lost the Counter32 or NULL. Ended
 * with complete false, nothing is sent of them.
 */
void meter_options_interfaces(struct meter_options *options);
void meter_options_interface(struct meter_options *options, uint32_t index,
			     const uint32_t *rate, const uint32_t *lost);
void meter_options_interfaces_end(struct meter_options *options,
				  bool complete);

/*
 * Hands on the records that are due. The ledger of the stage is kept: in and
 * exported, or lost.
 */
void meter_options_send(struct meter_options *options, uint64_t now_ms);

/* Records that were handed on so far. */
uint64_t meter_options_sent(const struct meter_options *options);

#endif
