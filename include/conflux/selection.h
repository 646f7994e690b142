/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Selection Processes of PSAMP (RFC 5475, RFC 6728 section 4.2): a stage that
 * passes on those records of a batch that all of its selectors take. One stage
 * is one Selection Sequence: an Observation Point and the selectors behind it.
 * The batches that it passes on have a scope of its own, which tells the
 * sampling (enum scope_fact). It works on any records; on packets it stands
 * between an observer and a cache.
 */
#ifndef CONFLUX_SELECTION_H
#define CONFLUX_SELECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "conflux/stage.h"

enum selector_method {
	SELECTOR_ALL,
	SELECTOR_COUNT,       /* sampCountBased */
	SELECTOR_TIME,        /* sampTimeBased */
	SELECTOR_OUT_OF_N,    /* sampRandOutOfN */
	SELECTOR_PROBABILITY, /* sampUniProb */
	SELECTOR_MATCH,       /* filterMatch */
	SELECTOR_HASH,        /* filterHash */
};

enum selector_hash {
	SELECTOR_BOB,
	SELECTOR_IPSX,
	SELECTOR_CRC,
};

struct selector_range {
	uint64_t min, max;
};

struct selector_conf {
	const char *name; /* kept by the caller */
	uint64_t id;      /* selectorId */
	enum selector_method method;
	/* COUNT: packets; TIME: microseconds */
	uint32_t interval, space;
	uint32_t size, population; /* OUT_OF_N */
	double probability;
	/* MATCH: value is text as a person writes it: 10.0.0.1, 443, 0x12,
	 * 2001:db8::1, prefixes 10.0.0.0/8, 00:1b:21:0a:0b:0c, true,
	 * 2026-01-31T13:00:00.5Z; octets as 0x00ff. */
	const struct ie *ie;
	const char *value; /* copied */
	/* HASH */
	enum selector_hash hash;
	uint64_t initialiser;
	uint64_t payload_offset, payload_size; /* octets of the IP payload */
	bool digest;      /* digestHashValue is added to the records */
	const struct selector_range *ranges; /* copied */
	unsigned range_count;
};

/*
 * Overload of a meter (draft-ietf-ipfix-reqs 5.3): while the cache or the
 * processor are short, what is metered changes. Each change ends all flows that
 * were metered before, so that none mixes two behaviours, gives the records a
 * Selection Sequence of its own, and is told.
 */
enum overload_behaviour {
	OVERLOAD_NONE,
	OVERLOAD_SAMPLE,  /* one packet in so many: one selector more */
	OVERLOAD_COARSER, /* flows lose the keys that are marked so */
	OVERLOAD_STOP,    /* nothing is metered: packets are lost */
};

enum overload_sign {
	OVERLOAD_LOW = -1, /* all signs are low */
	OVERLOAD_BETWEEN,
	OVERLOAD_HIGH, /* one is high */
};

/* What is done now. */
struct overload_state {
	bool on;
	uint32_t interval;   /* of SAMPLE, while on */
	uint64_t changed_ms; /* monotonic; 0: never */
};

struct pressure {
	unsigned cache; /* per cent full */
	unsigned cpu;   /* per cent busy since the last look */
	uint64_t drops; /* packets that the kernel has dropped, in all */
};

struct overload_conf {
	enum overload_behaviour behaviour;
	unsigned cache_high, cache_low; /* per cent; high 101: never */
	unsigned cpu_high, cpu_low;
	uint32_t drops_high;             /* packets a second, 0: never */
	uint32_t interval, max_interval; /* of SAMPLE: packets */
	uint32_t hold_ms;                /* between two changes at least */
	/* Asked once a second. */
	void (*measure)(void *arg, struct pressure *pressure);
	/*
	 * Not NULL: told once a second what the signs are, in place of a
	 * decision of its own; somebody decides for several (overload_decide)
	 * and tells all (selection_overload).
	 */
	void (*sign)(void *arg, enum overload_sign sign);
	void (*coarser)(void *arg, bool on); /* what COARSER is to do */
	void *arg;
};

struct selection_conf {
	const char *name;
	/* selectionSequenceId, 32 bits: the upper half counts changes. */
	uint64_t sequence_id;
	uint64_t point_id;    /* observationPointId */
	uint32_t domain; /* of the Flows made of it: where reports belong */
	const struct selector_conf *selectors; /* copied */
	unsigned selector_count; /* at least 1 */
	uint64_t seed;        /* of random selectors, 0: from the system */
	struct overload_conf overload;
};

/* -EINVAL: *error says why (to be freed); -ENOMEM. */
int selection_new(const struct selection_conf *conf,
		  struct ie_registry *registry, struct shape_table *shapes,
		  struct stage **out, char **error);

/* Tells each element that the selectors look at, for observer_want. */
int selection_wants(const struct stage *selection,
		    int (*want)(void *arg, const struct ie *ie,
				uint16_t length),
		    void *arg);

/*
 * What is metered now: 1 all that is selected, N one packet in N of it, 0
 * nothing. For tests and reports.
 */
uint32_t selection_interval(const struct stage *selection);

/*
 * What is to be done at these signs, if it differs from what is done: true, and
 * *next.
 */
bool overload_decide(const struct overload_conf *conf,
		     const struct overload_state *state,
		     enum overload_sign sign, uint64_t now_ms,
		     struct overload_state *next);
/* In words: what follows for the packets. */
void overload_consequence(const struct overload_conf *conf,
			  const struct overload_state *state, char *out,
			  size_t size);
/* NULL: it has no behaviour under overload. */
const struct overload_conf *selection_overload_conf(
	const struct stage *selection);
/* Changes it, as decided elsewhere; what was metered before is cut off. */
void selection_overload(struct stage *selection,
			const struct overload_state *state);

/* Whether a selector can be so: 0, or -EINVAL and *error, to be freed. */
int selector_check(const struct selector_conf *conf, char **error);

/*
 * Changes the parameters of the n-th selector while it runs: what was selected
 * before is cut off from what comes (stage_cut), and the new sampling is
 * reported. The method and the fields it looks at stay (-EINVAL); so do its
 * name and id, whatever conf says.
 */
int selection_change(struct stage *selection, unsigned n,
		     const struct selector_conf *conf);

#endif
