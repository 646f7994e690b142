/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The truth account of a stage: every Data Record that came in left as one of
 * these. in + split = exported + merged + filtered + lost + held, where held
 * is what the stage has at the moment (flows in a cache, records in a queue).
 */
#ifndef CONFLUX_LEDGER_H
#define CONFLUX_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "conflux/text.h"

enum loss {
	LOSS_NO_TEMPLATE, /* data whose template never came */
	LOSS_MALFORMED,
	LOSS_SEQUENCE_GAP, /* not counted as in: never arrived */
	LOSS_KERNEL_DROP,  /* likewise: socket buffer overrun (messages) */
	LOSS_QUEUE_FULL,
	LOSS_CACHE_FULL,
	LOSS_DESTINATION_DOWN,
	LOSS_TOO_LONG, /* a record longer than a message may be */
	LOSS_LIMIT,    /* a configured bound of sessions, domains, ... */
	LOSS_NO_MEMORY,
	LOSS_WRITE_ERROR,    /* disk full and the like */
	LOSS_INTERFACE_DROP, /* not counted as in: dropped by an interface */
	LOSS_OVERLOAD,	     /* metering was stopped because of overload */
	LOSS_LIFETIME,	     /* not delivered in its time (SCTP) */
	LOSS_LOOP,	     /* it has been through here before */
	LOSS_SPOOL_FULL,     /* the spool of a destination is at its bound */
	LOSS_SPOOL_AGE,	     /* too long in it */
	LOSS_SPOOL_TORN,     /* what was read from it is not what was written */
	LOSS_DISK_FULL,	     /* of a spool */
	LOSS_UNFIT,	     /* a value that its new field can't hold */
	LOSS_NO_FIELD,	     /* no field of it was to be left */
	LOSS_COUNT,
};

struct ledger {
	uint64_t in;
	uint64_t split;    /* records added: interval distribution, snapshots */
	uint64_t exported; /* passed on to the next stage or sent */
	uint64_t merged;   /* went into a record that was there already */
	uint64_t filtered; /* left out by configuration, options consumed */
	uint64_t held;     /* in the stage now */
	uint64_t lost[LOSS_COUNT];
	/* Of those exported: sent to a peer that turned out to be dead, after
	 * it had last shown to be alive. They may have arrived, or not. */
	uint64_t doubtful;
};

/* "noTemplate", "malformed", ... */
const char *loss_name(enum loss loss);

uint64_t ledger_lost(const struct ledger *ledger);
/* Does the equation above hold? It does at any time: all tests ask. */
bool ledger_balanced(const struct ledger *ledger);
void ledger_add(struct ledger *sum, const struct ledger *ledger);

/* Writes an object "ledger" into a report; losses that are 0 are left out. */
void ledger_report(const struct ledger *ledger, struct report *report);

#endif
