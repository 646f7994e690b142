/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What is written into the ring between a handover and the intake. */
#ifndef CONFLUX_RUNTIME_ENTRY_H
#define CONFLUX_RUNTIME_ENTRY_H

#include "conflux/stage.h"
#include "ring.h"

enum entry_type {
	ENTRY_BATCH,
	ENTRY_SHAPE, /* of this slot from now on */
	ENTRY_RESET, /* all slots are free again */
	ENTRY_SCOPE, /* new, or known but changed */
	ENTRY_SCOPE_END,
	ENTRY_TEMPLATE,	     /* an id that lists in records name (RFC 6313) */
	ENTRY_TEMPLATES_END, /* none of this scope is known any more */
	ENTRY_SHAPE_END,     /* see stage_template_end */
	ENTRY_CUT,	     /* see stage_cut */
	ENTRY_BARRIER,
	ENTRY_FINISHED,
};

enum {
	HANDOVER_RING = 8 << 20,
	HANDOVER_BATCH = HANDOVER_RING / 8, /* octets of records in one entry */
	HANDOVER_SLOTS = 1024,              /* shapes known to both sides */
	HANDOVER_TEMPLATES = 1024,          /* known by id, in one scope */
};

struct entry_head {
	uint32_t type;
	uint32_t target;
};

struct entry_shape {
	struct entry_head head;
	uint32_t slot;
	const struct shape *shape; /* held by the writer */
};

struct entry_scope {
	struct entry_head head;
	struct scope scope; /* known by its serial; END uses nothing else */
};

struct entry_template {
	struct entry_head head;
	uint64_t scope;
	uint32_t slot;
	uint16_t id;
};

/* Behind it: offsets if stride is 0, then the records. */
struct entry_batch {
	struct entry_head head;
	uint64_t scope;
	uint32_t slot;
	uint32_t count;
	uint32_t stride;
	uint32_t options; /* enum options_kind */
	uint64_t export_ms;
	uint64_t received_ms;
	uint64_t flow_keys;
};

struct handover_port;
struct ring *handover_port_ring(struct handover_port *port);

#endif
