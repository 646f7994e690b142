/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic for a meter that has no packets: flows that begin, count and fall
 * idle, made up from a seed or read from a script. What is counted goes to each
 * rule set that runs, as a packet would.
 */
#ifndef CONFLUX_METERMIB_GENERATOR_H
#define CONFLUX_METERMIB_GENERATOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "conflux/metermib_agent.h"

struct generator_config {
	uint32_t flows; /* that live at a time */
	uint64_t seed;
	uint32_t rate;	     /* counts a second after the first of each flow */
	uint64_t updates;    /* counts in all, 0: no end */
	uint64_t max_octets; /* of one count */
	const char *script;  /* file, NULL: none */
};

struct generator;

/* 0, -ENOMEM, or what went wrong with the script, which has been logged. */
int generator_new(const struct generator_config *config, struct meter *meter,
		  uint64_t now_ms, struct generator **generator);
void generator_free(struct generator *generator);

/* Counts what is due by now. Returns true once when all is counted. */
bool generator_run(struct generator *generator, uint64_t now_ms);

struct generator_counters {
	uint64_t updates;
	uint64_t octets; /* counted in flows, over all rule sets */
	uint64_t pdus;
	uint64_t refused; /* counts that the meter had no place for */
};

const struct generator_counters *
generator_counters(const struct generator *generator);

/* Flows as lines of CSV, with what they have counted. */
void truth_header(FILE *file);
void truth_flow(FILE *file, const struct meter_flow *flow, const char *end);

#endif
