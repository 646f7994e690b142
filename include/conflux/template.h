/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The Templates of one Transport Session (RFC 7011 section 8): defined,
 * redefined, withdrawn, expired, per Observation Domain. Does no I/O, reads no
 * clock, logs nothing: outcomes are returned and the caller counts them.
 */
#ifndef CONFLUX_TEMPLATE_H
#define CONFLUX_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conflux/shape.h"

enum {
	SET_TEMPLATE = 2,
	SET_OPTIONS_TEMPLATE = 3,
	SET_DATA_MIN = 256,
};

struct template {
	uint32_t domain;
	uint16_t id;
	uint16_t set_id;            /* SET_TEMPLATE or SET_OPTIONS_TEMPLATE */
	const struct shape *shape;  /* held */
	uint64_t defined_ms;        /* last (re)definition or refresh */
	uint64_t defined_messages;  /* message count of the session then */
	uint64_t data_records;      /* seen since it was defined */
	uint64_t accessed_ms;       /* wall time of the last Data Record */
	uint64_t flow_keys;         /* flowKeyIndicator (173), 0: unknown */
	uint8_t reliability;        /* dataRecordsReliability (276): 1 all are
				     * delivered, 2 not; 0: unknown */
};

struct template_limits {
	uint32_t max_templates; /* per session */
	/*
	 * Templates of all stores that have this count in common; NULL: each
	 * is on its own. A session may have as many as are left free for the
	 * others.
	 */
	uint32_t *shared;
	uint32_t max_shared;
	uint16_t max_fields;    /* per template */
	uint32_t max_unknown;   /* fields without a known element in all
				 * templates of the session; 0: no bound */
	bool lifetime;          /* UDP: templates expire, may be redefined
				 * without withdrawal (RFC 7011 8.4) */
	uint32_t template_ms;   /* lifetimes, 0: none */
	uint32_t options_ms;
	uint32_t template_messages; /* lifetime in messages, 0: none */
	uint32_t options_messages;
};

enum template_outcome {
	TEMPLATE_NEW,
	TEMPLATE_REFRESHED,     /* the same again */
	TEMPLATE_REDEFINED,     /* other fields under this id, UDP: legal */
	TEMPLATE_REDEFINED_BAD, /* the same over a reliable transport: taken,
				 * but the peer broke RFC 7011 8.1 */
	TEMPLATE_WITHDRAWN,
	TEMPLATE_WITHDRAWN_ALL, /* id: of the sets of all that now go */
	TEMPLATE_WITHDRAWN_UNKNOWN, /* ignored */
	TEMPLATE_WITHDRAWN_UDP,     /* not legal over UDP (8.4): ignored */
	TEMPLATE_MALFORMED,         /* *reason tells why */
	TEMPLATE_REFUSED,           /* a limit was reached, or no memory */
};

struct template_event {
	enum template_outcome outcome;
	uint16_t id;
	const char *reason; /* constant text for MALFORMED and REFUSED */
	/* Of NEW, REFRESHED, REDEFINED*; of WITHDRAWN, for the last time. */
	struct template *template;
};

struct template_store;

struct template_store *template_store_new(const struct template_limits *limits,
					  struct ie_registry *registry,
					  struct shape_table *shapes);
void template_store_free(struct template_store *store);

/*
 * Reads one Template Set or Options Template Set (its content, without the set
 * header) and calls back for each record in it, unless cb is NULL. Reading stops
 * at the first malformed record, because the start of the next one is not known
 * then.
 */
typedef void (*template_event_cb)(void *arg, const struct template_event *);
void template_store_read(struct template_store *store, uint32_t domain,
			 uint16_t set_id, const uint8_t *content,
			 size_t length, uint64_t now_ms, uint64_t messages,
			 template_event_cb cb, void *arg);

/*
 * The same of a FlowSet of NetFlow version 9 (RFC 3954 sections 5.2 and 6.1);
 * set_id is that of IPFIX for what it is.
 */
void template_store_read_netflow9(struct template_store *store, uint32_t domain,
				  uint16_t set_id, const uint8_t *content,
				  size_t length, uint64_t now_ms,
				  uint64_t messages, template_event_cb cb,
				  void *arg);

/* Forgets all Templates of a domain; returns how many. */
uint32_t template_store_drop(struct template_store *store, uint32_t domain);

/* NULL if there is none, or it has expired by time or messages. */
struct template *template_store_find(struct template_store *store,
				     uint32_t domain, uint16_t id,
				     uint64_t now_ms, uint64_t messages);

/* Drops what has expired; returns how many. */
uint32_t template_store_tick(struct template_store *store, uint64_t now_ms,
			     uint64_t messages);

/*
 * Makes the shapes of templates with formerly unknown elements anew, after
 * elements were learnt (RFC 5610).
 */
void template_store_relearn(struct template_store *store);

/*
 * Notes what was done to the values of a field of a Template (RFC 6235): it has
 * another shape from now on, until it is defined anew, but not if it is just
 * sent again. Without memory it stays as it is.
 */
void template_store_mark(struct template_store *store,
			 struct template *template, uint16_t field,
			 struct field_mark mark);

uint32_t template_store_count(const struct template_store *store);
struct template *template_store_next(const struct template_store *store,
				     uint32_t *at);

#endif
