/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Records on their way from a worker to the first one, which has the Exporting
 * Processes. In the worker, a handover stage stands for each stage of the first
 * worker that gets records from it; all of them write into the worker's ring.
 * In the first worker, an intake reads the ring and runs the real stages.
 *
 * A worker has elements, shapes and scopes of its own. Shapes and scopes go
 * through the ring when they are first used; the intake finds or makes its own
 * ones, and teaches its registry what the worker's has learnt (RFC 5610). So do
 * the Templates that lists in records name (RFC 6313), as the worker's cannot
 * be looked up from another thread.
 */
#ifndef CONFLUX_RUNTIME_HANDOVER_H
#define CONFLUX_RUNTIME_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "conflux/stage.h"

struct event_base;
struct ie_registry;

/* ---- the worker's side --------------------------------------------------- */

struct handover_port;

/*
 * registry: the worker's elements (kept).
 * idle is called while the ring is full and the worker waits; it may park the
 * thread. One port per worker. -ENOMEM.
 */
int handover_port_new(const struct ie_registry *registry,
		      void (*idle)(void *arg), void *arg,
		      struct handover_port **out);
void handover_port_free(struct handover_port *port);

/*
 * The stage that stands for number target of the intake. The port must live
 * longer.
 */
int handover_new(struct handover_port *port, uint32_t target,
		 const char *name, struct stage **out);

/* Waits for room as long as it takes from now on: nothing may be lost. */
void handover_port_patient(struct handover_port *port);

/* From any thread: nobody reads any more, so nothing is waited for. */
void handover_port_abandon(struct handover_port *port);

/* Tells the intake that nothing more will come. False: try again. */
bool handover_port_finish(struct handover_port *port);

/*
 * The intake calls its barrier once it has taken all that was handed over
 * before, and takes nothing more until intake_go_on. Waits for room.
 */
void handover_port_barrier(struct handover_port *port);

/* ---- the first worker's side --------------------------------------------- */

struct intake;

/*
 * target: the stages that the numbers of the handovers stand for (kept).
 * finished is called when the worker has told so, barrier when it is met.
 */
int intake_new(struct event_base *base, struct handover_port *port,
	       struct stage **target, unsigned target_count,
	       struct ie_registry *registry, struct shape_table *shapes,
	       void (*finished)(void *arg), void (*barrier)(void *arg),
	       void *arg, struct intake **out);
/* Goes on behind a barrier. */
void intake_go_on(struct intake *intake);
/* Records that could not be run, for lack of memory. */
const struct ledger *intake_ledger(const struct intake *intake);
void intake_free(struct intake *intake);

#endif
