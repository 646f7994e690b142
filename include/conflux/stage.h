/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of records, and the stages they run through.
 *
 * A batch is up to BATCH_MAX Data Records of one shape from one scope, in the
 * wire format of IPFIX (network byte order, RFC 7011 section 6). It is valid
 * only during the call; who wants to keep a record copies it, who wants to
 * keep the shape holds it (shape_hold).
 *
 * All stages of a worker run in its thread. One indirect call per batch.
 */
#ifndef CONFLUX_STAGE_H
#define CONFLUX_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "conflux/addr.h"
#include "conflux/ledger.h"
#include "conflux/shape.h"
#include "conflux/text.h"
#include "conflux/transport.h"

enum { BATCH_MAX = 128 };

/*
 * What is known of all records of a scope beside what is in them: a Selection
 * Sequence tells its sampling here (RFC 5477), so that a Flow Record can have
 * it. Each is an Information Element; see scope_fact_element.
 */
enum scope_fact {
	FACT_OBSERVATION_POINT_ID,    /* 138 */
	FACT_METERING_PROCESS_ID,     /* 143 */
	FACT_SELECTION_SEQUENCE_ID,   /* 301 */
	FACT_SELECTOR_ID,             /* 302: of the last selector */
	FACT_SELECTOR_ALGORITHM,      /* 304 */
	FACT_SAMPLING_PACKET_INTERVAL, /* 305 */
	FACT_SAMPLING_PACKET_SPACE,   /* 306 */
	FACT_SAMPLING_TIME_INTERVAL,  /* 307 */
	FACT_SAMPLING_TIME_SPACE,     /* 308 */
	FACT_SAMPLING_SIZE,           /* 309 */
	FACT_SAMPLING_POPULATION,     /* 310 */
	FACT_SAMPLING_PROBABILITY,    /* 311: the octets of a double */
	FACT_SAMPLING_INTERVAL,       /* 34: one packet in so many */
	FACT_SAMPLING_ALGORITHM,      /* 35: 1 systematic, 2 random */
	FACT_COUNT,
};

/* Mediators on the way of records; a longer way is taken for a loop. */
enum { SCOPE_PATH_MAX = 16 };

/*
 * Where records were before they came here, as the Mediators that passed them
 * on have told by options (RFC 7119): who made them first, and by which
 * Exporting Processes they went.
 */
struct scope_origin {
	uint32_t serial;      /* counted on with each change; 0: none told */
	struct addr exporter; /* originalExporter; version 0: not told */
	uint32_t domain;      /* originalObservationDomainId */
	uint32_t path_count;
	uint32_t path[SCOPE_PATH_MAX]; /* exportingProcessId, first to last */
};

struct list_shapes;

/*
 * Where records come from: one Observation Domain of one Transport Session,
 * one meter, one cache, one Observation Point or Selection Sequence. Owned by
 * the stage that makes the batches, alive until it has called stage_scope_end
 * on its next stages. The serial is never used again.
 */
struct scope {
	uint64_t serial;
	uint32_t domain;         /* observationDomainId */
	enum transport transport;
	struct addr exporter;    /* of the Transport Session or the meter */
	struct addr collector;   /* our end */
	bool has_init;           /* system_init_ms is known (NetFlow, options) */
	uint64_t system_init_ms; /* for sysUpTime-relative times */
	/*
	 * The records are packets: one each, whose total counters are its own
	 * and no sums to take differences of.
	 */
	bool packets;
	uint16_t fact_mask;      /* bit enum scope_fact: it is known */
	uint64_t fact[FACT_COUNT];
	struct scope_origin origin;
	/*
	 * The shape that a Template id has in this scope now, or NULL: lists
	 * of RFC 6313 in its records name Templates. NULL if its records have
	 * no such lists.
	 */
	const struct shape *(*template_shape)(const struct scope *scope,
					      uint16_t id);
	const struct list_shapes *list_shapes; /* of lists.h, or NULL */
};

/*
 * Options Data that stages before the Exporting Process make themselves, by
 * what it is about (the optionsType of RFC 6728). The Exporting Process keeps
 * the latest records of each kind and scope and sends those that its
 * configuration asks for; stages in between pass them on unchanged.
 */
enum options_kind {
	OPTIONS_OTHER, /* of others, or no Options Data at all */
	OPTIONS_METERING_RELIABILITY, /* RFC 7011 section 4.2 */
	OPTIONS_SELECTION_SEQUENCE,   /* RFC 5476 6.5.1 and 6.5.2 */
	OPTIONS_SELECTION_STATISTICS, /* RFC 5476 6.5.3 */
	OPTIONS_KIND_COUNT,
};

struct batch {
	const struct shape *shape;
	const struct scope *scope;
	const uint8_t *base;
	uint32_t count;          /* 1 to BATCH_MAX */
	uint32_t stride;         /* octets per record; 0: see offset */
	const uint32_t *offset;  /* count + 1 entries when stride is 0: record
				  * i is base + offset[i] to offset[i + 1] */
	uint64_t export_ms;      /* Export Time of the message, ms since 1970 */
	uint64_t received_ms;    /* wall clock at its arrival */
	uint64_t flow_keys;      /* bit i: field i is a flow key; 0: unknown */
	enum options_kind options; /* of Options Data made by ourselves */
};

static inline const uint8_t *
batch_record(const struct batch *batch, uint32_t i, uint32_t *length)
{
	if (batch->stride) {
		*length = batch->stride;
		return batch->base + (size_t)i * batch->stride;
	}
	*length = batch->offset[i + 1] - batch->offset[i];
	return batch->base + batch->offset[i];
}

/*
 * Copies the records index[0..count) into a buffer of size octets, as many as
 * fit, and describes them in *out, which else is like batch. Behind each are
 * more octets, for the caller to fill, who then has another shape for *out.
 * offset has BATCH_MAX + 1 entries, and is filled in any case. Returns how many
 * records; 0: not even the first fits.
 */
uint32_t batch_gather(const struct batch *batch, const uint32_t *index,
		      uint32_t count, uint32_t more, uint8_t *buffer,
		      uint32_t size, uint32_t *offset, struct batch *out);

struct stage;

struct stage_ops {
	/* Takes a batch. Whatever happens to a record is in the ledger. */
	void (*run)(struct stage *stage, const struct batch *batch);
	/* Every 100 ms or so. Monotonic milliseconds. May be NULL. */
	void (*tick)(struct stage *stage, uint64_t now_ms);
	/* No more records of this scope will come. May be NULL. */
	void (*scope_end)(struct stage *stage, const struct scope *scope);
	/*
	 * The Template that records of this shape had in this scope was
	 * withdrawn. NULL: told to the next stages.
	 */
	void (*template_end)(struct stage *stage, const struct scope *scope,
			     const struct shape *shape);
	/*
	 * What comes from now on was measured in another way (sampling,
	 * overload) and must not be merged with what came before: flows end
	 * now (draft-ietf-ipfix-reqs 5.2, 5.3). NULL: told to the next stages.
	 */
	void (*cut)(struct stage *stage);
	/*
	 * The end: pass on or send everything that is held. Called from the
	 * sources to the sinks. May be NULL.
	 */
	void (*flush)(struct stage *stage);
	/*
	 * True while a source that can wait (file, TCP) should not deliver
	 * more. May be NULL: then true if one of the next stages is congested.
	 */
	bool (*congested)(const struct stage *stage);
	/* True when nothing is held that still has to be sent. NULL: true. */
	bool (*drained)(const struct stage *stage);
	/*
	 * Tells each element of packets that it looks at, and its length or 0:
	 * what nobody wants is not there. May be NULL: none.
	 */
	int (*wants)(const struct stage *stage,
		     int (*want)(void *arg, const struct ie *ie,
				 uint16_t length),
		     void *arg);
	/*
	 * Reads its files again, with records held by nobody. More than 0: it
	 * uses what is new; 0: it has no files; less: *error tells why, and it
	 * goes on with what it has. May be NULL.
	 */
	int (*reload)(struct stage *stage, char **error);
	/* Adds the fields of its state to the open object. May be NULL. */
	void (*report)(struct stage *stage, struct report *report);
	void (*free)(struct stage *stage);
};

/* Embedded as first member by each kind of stage. */
struct stage {
	const struct stage_ops *ops;
	const char *name; /* from the configuration, owned by it */
	struct stage **next;
	unsigned next_count;
	struct ledger ledger;
};

static inline void
stage_run(struct stage *stage, const struct batch *batch)
{
	stage->ops->run(stage, batch);
}

/* Hands a batch to all next stages. */
static inline void
stage_forward(struct stage *stage, const struct batch *batch)
{
	for (unsigned i = 0; i < stage->next_count; i++)
		stage_run(stage->next[i], batch);
}

/*
 * Hands on the records index[0..count), copied together in a buffer of size
 * octets, as many at a time as fit; each must. offset: BATCH_MAX + 1 entries.
 */
void stage_forward_some(struct stage *stage, const struct batch *batch,
			const uint32_t *index, uint32_t count, uint8_t *buffer,
			uint32_t size, uint32_t *offset);

/* Adds a next stage. -ENOMEM. */
int stage_link(struct stage *stage, struct stage *next);

void stage_tick(struct stage *stage, uint64_t now_ms);
void stage_scope_end(struct stage *stage, const struct scope *scope);
void stage_template_end(struct stage *stage, const struct scope *scope,
			const struct shape *shape);
void stage_cut(struct stage *stage);
/* The same for all next stages: for stages that have these operations. */
void stage_pass_scope_end(const struct stage *stage, const struct scope *scope);
void stage_pass_template_end(const struct stage *stage,
			     const struct scope *scope,
			     const struct shape *shape);
void stage_pass_cut(const struct stage *stage);
void stage_flush(struct stage *stage);
bool stage_congested(const struct stage *stage);
bool stage_drained(const struct stage *stage);
/* NULL is legal. Frees next[] too, not the next stages. */
void stage_free(struct stage *stage);

/* The IANA number of a fact, and which fact an element is, or -1. */
uint16_t scope_fact_element(enum scope_fact fact);
int scope_fact_of(uint16_t element);
/* Makes a fact known. */
void scope_set_fact(struct scope *scope, enum scope_fact fact, uint64_t value);

/* A number that was not used before, for scope.serial (thread safe). */
uint64_t scope_serial(void);

#endif
