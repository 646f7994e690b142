/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The flows of a cache in a file, from one run to the next. It is an IPFIX File
 * (RFC 5655) that any reader of IPFIX shows:
 *
 *	head	Options Data: a sum over the configuration of the fields, and
 *		the time of the cache when the file was begun
 *	flows	the fields as they are in the rows, in their natural lengths,
 *		then what the cache knows beside them (state_meta_fields)
 *	end	Options Data: how many flows there are in it
 *	left	appended while the cache goes on: flows of this file that have
 *		been exported since, by their numbers
 *	journal	appended likewise, if it is kept: what came since, as flows with
 *		STATE_IN, and which flows left, by their keys, with STATE_OUT.
 *		In its order it makes the cache as it was. The flows of a new
 *file come between, each as it is by then: it takes the place of what the
 *journal has made of it before.
 *
 * Each message has a sum of itself in its last Set. It is that of this machine,
 * for which the file is, and tells damage, not forgery.
 *
 * How the files share the work:
 *
 *	state.c		what time and the end bring, the report
 *	state_file.c	messages: written, read
 *	state_save.c	rows to the file, a few at a time
 *	state_load.c	the file is read, and what is said of that
 *	state_rows.c	its flows to rows
 *	state_replay.c	its journal to rows
 *	state_rest.c	what no row was made of is exported
 *	state_left.c	the numbers of flows that have left
 *	state_journal.c	what came, and what left, to the journal
 */
#ifndef CONFLUX_CACHE_STATE_H
#define CONFLUX_CACHE_STATE_H

#include <stdio.h>

#include "conflux/log.h"
#include "conflux/message.h"
#include "conflux/template.h"
#include "internal.h"

#define STATE_SUM_SEED UINT64_C(0x7374617465202d31)

enum {
	/* The last Set of a message: its header, the scope, the sum. */
	STATE_SUM = SET_HEADER + 9,
	/* Behind the fields of a flow, see state_meta_fields. */
	STATE_META = 21,
	STATE_META_FIELDS = 4,
	/* A record that a message has room for. */
	STATE_RECORD_MAX =
		MESSAGE_MAX - MESSAGE_HEADER - SET_HEADER - STATE_SUM,
	/* Template ids. */
	STATE_SUM_ID = SET_DATA_MIN,
	STATE_HEAD_ID,
	STATE_END_ID,
	STATE_LEFT_ID,
	STATE_KEYS_ID,
	STATE_MARK_ID,
	STATE_FLOW_ID,
};

/* What a flow is beside its values, and what became of it. */
enum {
	STATE_FIN_FORWARD = 1,
	STATE_FIN_REVERSE = 2,
	STATE_CLOSING = 4,
	STATE_DIRTY = 8,
	STATE_RETIRED = 16,
	STATE_PACKETS = 32, /* STATE_IN: it is of single packets */
	STATE_IN = 64,
	STATE_OUT = 128, /* with STATE_IN: it stays, and has been told */
	STATE_KIND = STATE_IN | STATE_OUT,
	STATE_GONE = 1, /* of one that has left: it is not here any more */
	STATE_TOLD = 2, /* it is, but all of it was exported */
};

/* The shapes of all records that are no flows. */
struct state_shapes {
	const struct shape *sum, *head, *end, *left, *keys, *mark;
};

int state_shapes_init(struct state_shapes *shapes, struct ie_registry *registry,
		      struct shape_table *table);
void state_shapes_fini(struct state_shapes *shapes);
/*
 * The fields of STATE_META: when a flow began, or with distribution when its
 * interval did, when its last record came, STATE_FIN_FORWARD and the others,
 * and the number that it has in this file.
 */
void state_meta_fields(struct ie_registry *registry,
		       struct field field[STATE_META_FIELDS]);
/* Has the shape those at its end? */
bool state_is_flow(const struct shape *shape);

/* ---- a file that is written (state_file.c) ------------------------------- */

struct state_out {
	int fd; /* -1: none */
	int error;
	uint32_t domain;
	uint32_t sequence;
	uint64_t octets;
	struct table forms;
	uint16_t next_id; /* of a Template */
	struct message_writer w;
	uint8_t buffer[MESSAGE_MAX];
};

void state_out_begin(struct state_out *out, int fd, uint32_t domain);
/* Its forms have gone. */
void state_out_close(struct state_out *out);
/* Room for one record of STATE_RECORD_MAX octets at most. */
uint8_t *state_out_data(struct state_out *out, uint16_t id, uint32_t length);
void state_out_template(struct state_out *out, uint16_t id,
			const struct shape *shape);
/* Writes the message so far; errors stay in out->error. */
void state_out_flush(struct state_out *out);

/* ---- a file that is read ------------------------------------------------- */

struct state_in {
	FILE *file;
	const struct state_shapes *shapes;
	struct template_store *templates;
	uint64_t good;	   /* octets up to the end of the last whole message */
	uint64_t messages; /* read */
	uint64_t damaged;  /* left out */
	uint32_t sequence; /* of the next message */
	uint32_t domain;   /* of the last one */
	uint8_t buffer[MESSAGE_MAX];
};

/* -ENOMEM. The file stays the caller's. */
int state_in_open(struct state_in *in, FILE *file,
		  const struct state_shapes *shapes,
		  struct ie_registry *registry, struct shape_table *table);
void state_in_close(struct state_in *in);

typedef void (*state_set_cb)(void *arg, const struct template *template,
			     const struct set *set);
/* Calls back for each Set of the next message; false: there is none. */
bool state_in_next(struct state_in *in, state_set_cb cb, void *arg);

/* ---- numbers of flows that have left (state_left.c) ---------------------- */

struct state_left {
	uint64_t *slot; /* the number, and above it STATE_GONE or STATE_TOLD */
	uint32_t mask, count;
};

/* -ENOMEM, -ENOSPC. */
int state_left_add(struct state_left *left, uint32_t number, uint8_t what);
/* 0: it has not. */
uint8_t state_left_find(const struct state_left *left, uint32_t number);
void state_left_fini(struct state_left *left);

/* ---- the whole ----------------------------------------------------------- */

struct form;
struct load;

struct state {
	struct cache *cache;
	const char *path; /* kept by the caller */
	uint64_t interval_ms, next_ms;
	bool exports;	   /* at the end, and saves nothing */
	uint64_t journal;  /* octets of a journal at most, 0: none is kept */
	bool journal_ends; /* with the next generation */
	uint64_t base;	   /* octets of the file when it was complete */
	struct state_shapes shapes;
	struct state_out *file; /* that of path */
	struct state_out *next; /* that is being written */
	uint32_t number;	/* given last */
	/* What is being written: */
	bool writing, whole; /* whole: at once */
	uint32_t generation;
	struct layout *layout; /* or NULL: any that is not done */
	uint32_t row;
	struct form *form; /* of the rows that were gathered */
	const uint8_t *gathered[BATCH_MAX];
	uint32_t gathered_count;
	uint64_t flows, skipped;
	uint64_t slice_us; /* of each tick */
	uint64_t begun_ms, busy_us;
	uint8_t *wire; /* ENCODER_BUFFER octets */
	uint32_t offset[BATCH_MAX + 1];
	/* What is being read: */
	struct load *load;
	bool finishing;
	/* For the report: */
	uint64_t saved_flows, saved_ms, saved_octets, saved_busy_us, worst_us;
	uint64_t generations, failures, left, journaled, replayed;
	uint64_t restored, ended, missing, damaged;
	struct log_limit limit;
};

/* *error as in cache_new. */
int state_new(struct cache *cache, const struct cache_conf *conf,
	      struct state **out, const char **error);
void state_free(struct state *state);
/*
 * In place of the last export: true if the flows are in the file, or will be
 * when state_busy is over.
 */
bool state_finish(struct state *state);
bool state_busy(const struct state *state);
void state_tick(struct state *state, uint64_t now_ms);
void state_report(const struct state *state, struct report *report);
/* Rows of the layout leave the cache with it. */
void state_layout_gone(struct state *state, const struct layout *layout);
/*
 * Before a row is exported, or dropped: it is not to come again after a
 * restart. state_told, before the records are handed on, makes that so.
 */
void state_leaves(struct state *state, const struct layout *layout,
		  uint32_t number, bool keep);
void state_told(struct state *state);
/* The same of a flow that never got a row. */
void state_leaves_number(struct state *state, uint32_t number);
/* The file can't be relied on any more: it goes, until there is a new one. */
void state_give_up(struct state *state, const char *what, int error);

/* state_save.c */
/* A generation: whole at once, or with state_save_step. 0 or an errno. */
int state_save_begin(struct state *state, bool whole);
/* True: it is complete, in state->next. */
bool state_save_step(struct state *state);
void state_save_end(struct state *state);

/* How rows of a layout that have the same values are written. */
struct form {
	const struct layout *layout;
	uint64_t present;
	uint32_t hash;
	uint16_t id;
	struct encoder *encoder; /* NULL: they can't be written */
};
/* The file knows its Template. NULL: no memory. */
struct form *state_form(struct state *state, struct state_out *out,
			const struct layout *layout, uint64_t present);
void state_forms_free(struct state_out *out);

/* state_journal.c */
/* Rows that have found their flows; those without one are lost. */
void state_journal(struct state *state, const struct plan *plan,
		   const uint8_t *rows, uint32_t count, uint8_t *const *flow);
/* A row leaves, or stays and has been told. */
void state_journal_leaves(struct state *state, const struct layout *layout,
			  const struct row *row, bool keep);
/* What was metered before is not merged with what comes. */
void state_cut(struct state *state);

/* state_load.c */
/* 0, also without a file; -ENOMEM, -EINVAL with *error. */
int state_load(struct state *state, const char **error);
/* Goes on with exporting what no row was made of; true: that is done. */
bool state_load_step(struct state *state);
void state_load_free(struct load *load);
/* A sum over what makes the rows of a cache. */
uint64_t state_fingerprint(const struct cache *cache);

uint64_t state_clock_us(void);

#endif
