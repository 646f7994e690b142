/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * How the files of the module share the work:
 *
 *	selection.c  the stage: batch in, shorter batch out
 *	method.c     what each selector takes
 *	hash.c       hash functions
 *	reports.c    Options Data about selectors and their counts
 *	overload.c   sampling and the like while resources are short
 */
#ifndef CONFLUX_SELECTION_INTERNAL_H
#define CONFLUX_SELECTION_INTERNAL_H

#include "conflux/match.h"
#include "conflux/selection.h"

enum {
	SELECTORS_MAX = 32,
	PLANS_MAX = 512,     /* shapes that come in */
	TEXT_MAX = 1024,     /* octets of it as a person writes it */
	HASH_HEADER = 40,    /* octets of the IP header wanted */
	HASH_INVARIANT = 12, /* octets of it that are hashed */
	HASH_PAYLOAD_MAX = 4096,
	RANGES_MAX = 64,
	SELECTION_BUFFER = 128 * 1024,
};

struct selector {
	struct selector_conf conf;
	struct selector_range range[RANGES_MAX];
	struct match match;
	char value[TEXT_MAX]; /* of MATCH, which conf refers to */
	uint64_t observed, selected;
	/* State of the method. */
	uint64_t position; /* COUNT: in the period; OUT_OF_N: of the population */
	uint64_t taken;    /* OUT_OF_N: of this population */
	uint64_t start_ns; /* TIME: the first packet */
	bool started;
	uint64_t threshold; /* PROBABILITY: of 2^64 */
};

/* Where the fields that selectors look at are, for records of one shape. */
struct plan {
	const struct shape *shape; /* held */
	int time;                  /* field, or -1 */
	int field[SELECTORS_MAX];  /* MATCH */
	int header[SELECTORS_MAX], payload[SELECTORS_MAX]; /* HASH */
	const struct shape *digest; /* shape with the digests, or NULL */
};

struct overload {
	struct overload_conf conf;
	struct overload_state state;
	uint64_t measured_ms;
	uint64_t drops;      /* as measured last */
	uint64_t drop_rate;  /* packets a second */
	uint64_t entered;    /* times */
	uint64_t since_ms;   /* wall clock of the last change */
	struct pressure pressure;
};

struct selection {
	struct stage stage;
	struct scope scope;
	struct scope told_scope; /* of the reports */
	uint32_t domain;         /* of the reports */
	uint64_t from; /* serial of the scope that comes in */
	uint64_t sequence_id, point_id;
	struct ie_registry *registry;
	struct shape_table *shapes;
	uint64_t random[2];
	unsigned selector_count;
	struct selector selector[SELECTORS_MAX];
	unsigned digest_count;
	unsigned plan_count;
	struct plan *plan[PLANS_MAX];
	struct plan *last;
	uint8_t *buffer;
	uint32_t offset[BATCH_MAX + 1];
	uint64_t digest[BATCH_MAX][SELECTORS_MAX];
	uint64_t start_ms;   /* wall clock */
	uint64_t changed_ms; /* wall clock, 0: never */
	uint64_t now_ms;     /* of the data */
	uint64_t told_ms;    /* monotonic: statistics */
	uint64_t sequence_ms;
	uint64_t told_observed;
	bool told;           /* what the selectors are */
	struct overload overload;
};

/* ---- method.c ------------------------------------------------------------ */

/* 0, or -EINVAL and *error. The selector refers to itself: see selector_set. */
int selector_init(struct selector *s, const struct selector_conf *conf,
		  char **error);
/* Makes *to what *from is. */
void selector_set(struct selector *to, const struct selector *from);
/*
 * Which of the records at index[0..count) selector n takes: those stay, in
 * order. Returns how many.
 */
uint32_t selector_run(struct selection *sel, unsigned n,
		      const struct plan *plan, const struct batch *batch,
		      uint32_t *index, uint32_t count);
/* Its method and parameters, with the names of RFC 6728. */
void selector_report(const struct selector *s, struct report *report);
/* What the sampling of all selectors together is, for the scope. */
void selection_facts(struct selection *sel);

/* ---- selection.c --------------------------------------------------------- */

/* All that follows is told apart from what was: a new scope and sequence. */
void selection_renew(struct selection *sel);

/* ---- overload.c ---------------------------------------------------------- */

/* For SAMPLE, one selector more, the last one. */
bool overload_samples(const struct overload_conf *conf);
struct selector_conf overload_selector(uint64_t sequence_id);
void overload_tick(struct selection *sel, uint64_t now_ms);
void overload_report(const struct selection *sel, struct report *report);

/* ---- reports.c ----------------------------------------------------------- */

/* What the sequence is made of; then counts, if they have changed. */
void report_sequence(struct selection *sel);
void report_statistics(struct selection *sel);

#endif
