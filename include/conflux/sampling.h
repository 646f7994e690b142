/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * How packets of others were sampled, when they tell it by Options Data: a
 * record names its Selection Sequence or its selector, the reports of RFC 5476
 * section 6.5 say what that is. Names are those of one scope. Samplers of
 * NetFlow are selectors whose number is in any field of the options; options
 * that name none, and no interface or line card, tell of the whole scope, under
 * observationDomainId 0.
 */
#ifndef CONFLUX_SAMPLING_H
#define CONFLUX_SAMPLING_H

#include "conflux/stage.h"
#include "conflux/table.h"

enum { SAMPLING_MAX = 4096 }; /* sequences and selectors of all scopes */

struct sampling {
	struct table table;
	uint64_t refused; /* that were too many, or had no memory */
	/* The latest answer; serial 0: there is none. */
	uint64_t last_serial, last_id;
	uint16_t last_element;
	uint32_t last_weight;
};

void sampling_fini(struct sampling *sampling);

/* Takes what Options Data tell of sequences and selectors. */
void sampling_learn(struct sampling *sampling, const struct batch *batch);

/* The scope has ended. */
void sampling_forget(struct sampling *sampling, const struct scope *scope);

/*
 * How many packets one of this sequence (element: IE_selectionSequenceId) or
 * selector (IE_selectorId) stands for; 1: not known, or all were taken.
 * Filters, and hashes too, do not count.
 */
uint32_t sampling_weight(struct sampling *sampling, const struct scope *scope,
			 uint16_t element, uint64_t id);

/* The same without rounding; 0: not known. */
double sampling_find(const struct sampling *sampling, const struct scope *scope,
		     uint16_t element, uint64_t id);

/*
 * As sampling_ratio; else samplingInterval, or samplerRandomInterval of NetFlow.
 */
double sampling_rate(const struct shape *shape, const uint8_t *record,
		     uint32_t size);

/*
 * One in how many packets is taken, as the sampling parameters in a record
 * say; 0: it has none.
 */
double sampling_ratio(const struct shape *shape, const uint8_t *record,
		      uint32_t size);

#endif
