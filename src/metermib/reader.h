/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a meter reader, shared by the files that each do one part of a
 * round: probe, manager, rule sets, rows, pass, flows. A part is begun by a
 * call, goes on in answers to SNMP requests, and ends with meter_reader_next or
 * meter_reader_fail, which belong to meter_reader.c.
 */
#ifndef CONFLUX_METERMIB_READER_H
#define CONFLUX_METERMIB_READER_H

#include "conflux/log.h"
#include "conflux/meter_reader.h"
#include "meter_flow.h"
#include "meter_map.h"
#include "meter_package.h"
#include "meter_walk.h"
#include "snmp_session.h"

enum {
	RULE_SETS_MAX = 255, /* flowDataRuleSet is 1 to 255 */
	NAME_MAX_OCTETS = 127,
	COLUMN_ROWS = 64, /* rows found before their columns are read */
	REPETITIONS_MAX = 100, /* Net-SNMP agents send no more variables */
};

struct moment {
	uint64_t wall_ms, mono_ms;
};

/* A rule set of the meter that we read or have read. Index 0: RFC 2064, all. */
struct meter_rule_set {
	uint8_t index;
	bool seen;   /* by the scan of this round */
	bool wanted; /* seen, active, and asked for */
	char name[NAME_MAX_OCTETS + 1];

	/* Our row in flowReaderInfoTable. */
	uint32_t row;	  /* 0: none */
	bool row_refused; /* the meter lets us have none */
	bool row_new;	  /* made since the last pass: did the meter restart? */
	bool row_made;	  /* at this moment, and with a LastTime of its own */
	struct moment made;
	uint32_t last_time;

	/* Passes: good is the LastTime of the last one that was finished. */
	bool has_good;
	uint32_t good;
	bool open; /* begun at last_time and not finished */
	uint32_t cursor_time, cursor_index; /* of the open one */
	bool full; /* the open one reads all flows, to prune the table */
	uint8_t mark;
};

enum meter_phase {
	PHASE_IDLE,
	PHASE_PROBE,
	PHASE_MANAGE,
	PHASE_SCAN,
	PHASE_ROWS,
	PHASE_PASS,
	PHASE_DESCRIBE,
	PHASE_LEAVE, /* rows destroyed */
	PHASE_LEAVE_MANAGER,
	PHASE_ENDED,
};

struct meter_manager;
struct meter_options;

/* How flows are asked for. */
enum flow_access {
	ACCESS_PACKAGES,      /* all attributes */
	ACCESS_PACKAGES_FEW,  /* without optional groups of RFC 2720 */
	ACCESS_PACKAGES_BASIC, /* without classes and kinds too */
	ACCESS_COLUMNS,
};

/* The pass under way. */
struct meter_pass {
	struct meter_rule_set *set;
	struct flow_pass how;
	uint32_t time;	/* the TimeFilter asked for */
	bool literal;	/* the meter puts true times into names */
	bool first;	/* no row of this pass was seen */
	bool resumed;
	struct moment at; /* LastTime was written */
	unsigned tries;	  /* of one request */
	unsigned skips; /* over names that did not increase */
	uint64_t rows;

	/* Columns: rows found, which of them is being read, and how far. */
	struct {
		uint32_t time, index;
	} found[COLUMN_ROWS];
	unsigned found_count, found_at, column_at;
	uint32_t done_time, done_index; /* the last one that was read */
	bool last_found; /* no more rows behind these */
	size_t stored;
	uint8_t store[2048]; /* octets of the row */
};

struct meter_counts {
	uint64_t passes, failed, rows, unchanged, malformed, recycled,
		restarted_flows, restarts, requests, timeouts, rows_lost,
		skips, options_failed;
};

struct meter_reader {
	struct stage stage;
	struct meter_engine *engine;
	struct meter_reader_conf conf;
	char **strings; /* what conf points to */
	unsigned string_count;
	struct scope scope;
	char peer[ADDR_TEXT_SIZE];
	const char *name;

	struct meter_session *session;
	struct meter_map *map;
	struct meter_flows flows;
	struct event *timer;
	struct event *stop_timer;
	uint64_t random;

	enum meter_phase phase;
	bool started, stopping, final_pass, stopped, alive;
	uint64_t round_due_ms, stop_by_ms, leave_by_ms;
	unsigned failures; /* rounds that failed one after the other */
	uint64_t rounds;
	void (*stop_done)(void *arg);
	void *stop_arg;
	void (*resume)(struct meter_reader *reader); /* when timer fires */

	/* What is known of the meter. */
	bool probed, rfc2064, packages_proven, rows_known;
	enum flow_access access;
	uint32_t max_flows; /* flowMaxFlows, 0: unknown */
	struct meter_clock clock;
	uint64_t clock_mono_ms; /* of clock; 0: from a state file */
	uint32_t round_trip_ms;
	bool has_start;
	uint32_t start;	     /* Uptime: flows that began before are old */
	bool round_started;
	uint32_t round_start;
	bool managed;	  /* in this round */
	bool row_trouble; /* rows were lost in this round, made anew once */

	struct meter_rule_set *set[RULE_SETS_MAX + 1];
	unsigned set_at; /* of the round */
	struct meter_walk walk;
	struct {
		unsigned set; /* being given a row */
		uint32_t index;
		unsigned tries;
		bool made_known;
		struct moment made;
		uint32_t used[64]; /* rows of anybody */
		unsigned used_count;
		uint32_t stale[16]; /* rows of ours that nobody needs */
		unsigned stale_count;
	} rows;

	struct selector selector;
	uint64_t dead_columns; /* bit per column that the meter has not */
	unsigned repetitions;
	size_t largest_row; /* octets of a variable, so far */
	unsigned columns_at_once;
	struct meter_pass pass;
	struct meter_row row;

	struct meter_options *options;
	uint64_t describe_at; /* the round that asks for interfaces */
	unsigned describe_failures;

	struct meter_manager *manager;
	atomic_uint writes; /* of the state file, under way */
	bool state_due;	    /* one was left out */
	struct meter_counts counts;
	struct log_limit limit;
};

static inline struct meter_reader *
reader_of(const struct stage *stage)
{
	return (struct meter_reader *)stage;
}

/* meter_reader.c: the part is done; the part failed, and with it the round. */
void meter_reader_next(struct meter_reader *reader);
void meter_reader_fail(struct meter_reader *reader, const char *reason);
void meter_reader_send(struct meter_reader *reader, netsnmp_pdu *pdu,
		       unsigned flags,
		       void (*answer)(void *arg,
				      const struct snmp_reply *reply));
/* Calls resume after so many milliseconds. */
void meter_reader_later(struct meter_reader *reader, uint32_t ms,
			void (*resume)(struct meter_reader *reader));
/* A log line about this meter, if its limit allows. */
void meter_reader_log(struct meter_reader *reader, enum log_level level,
		      const char *format, ...)
	__attribute__((format(printf, 3, 4)));
struct meter_rule_set *meter_reader_set(struct meter_reader *reader,
					uint8_t index, bool add);
/*
 * When a write was done: half-way to its answer, or, if the answer was lost, as
 * long after it was sent as it is on other days.
 */
struct moment meter_reader_moment(struct meter_reader *reader,
				  const struct snmp_reply *reply);
/* After a failed request: fails the round with its reason; true: it did. */
bool meter_reader_lost(struct meter_reader *reader,
		       const struct snmp_reply *reply);

/* meter_probe.c */
void meter_probe_begin(struct meter_reader *reader);
/* meter_scan.c: which rule sets there are. */
void meter_scan_begin(struct meter_reader *reader);
/* meter_register.c: rows for the sets that want one; rows destroyed. */
void meter_rows_begin(struct meter_reader *reader);
void meter_rows_leave(struct meter_reader *reader);
bool meter_rows_missing(const struct meter_reader *reader);
/* meter_pass.c */
void meter_pass_begin(struct meter_reader *reader,
		      struct meter_rule_set *set);
void meter_pass_end(struct meter_reader *reader);
/* meter_read.c: the flows of a pass; ends with meter_pass_end. */
void meter_read_init(struct meter_reader *reader);
void meter_read_begin(struct meter_reader *reader);
/* The pass is left before its end: the cursor stands behind what was read. */
void meter_read_leave(struct meter_reader *reader);
/* meter_describe.c: Options Data, after the passes. */
void meter_describe_begin(struct meter_reader *reader);
/* meter_state.c */
int meter_state_load(struct meter_reader *reader);
void meter_state_save(struct meter_reader *reader);
/* meter_manager.c */
int meter_manager_new(struct meter_reader *reader);
void meter_manager_free(struct meter_manager *manager);
/* Is this the name of a rule set of ours? */
bool meter_manager_named(const struct meter_manager *manager,
			 const char *name);
bool meter_manager_due(const struct meter_reader *reader);
/* The last scan did not see our rule set. */
bool meter_manager_misses(const struct meter_reader *reader);
void meter_manager_begin(struct meter_reader *reader);
void meter_manager_leave(struct meter_reader *reader);
void meter_manager_report(const struct meter_reader *reader,
			  struct report *report);
/* meter_conf.c */
int meter_conf_copy(struct meter_reader *reader,
		    const struct meter_reader_conf *conf);
void meter_conf_free(struct meter_reader *reader);
int meter_conf_session(const struct meter_reader_conf *conf,
		       const struct addr *peer, struct snmp_conf *out);

#endif
