/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * How the files of the cache share the work:
 *
 *	cache.c      the stage: run, tick, flush, report
 *	layout.c     which fields a flow has, where they lie in its row
 *	plan.c       from a shape that comes in to a layout: a compiled decoder
 *	             and the list of updates
 *	update.c     merging rows of a batch into the table
 *	emit.c       encoding flows that leave
 *	interval.c   RFC 7015 distribution of a flow over intervals
 *	totals.c     total counters turned into differences
 *	union.c      lists that have what any record had
 *	biflow.c     the other direction of a flow
 *	closing.c    flows that TCP has ended, for a moment
 *	retired.c    flows that were cut off
 *	state*.c     flows in a file, see state.h
 */
#ifndef CONFLUX_CACHE_INTERNAL_H
#define CONFLUX_CACHE_INTERNAL_H

#include <string.h>

#include "conflux/cache.h"
#include "conflux/flow_table.h"
#include "conflux/lists.h"
#include "conflux/projection.h"
#include "conflux/table.h"

enum {
	LAYOUTS_MAX = 64,  /* subsets of the key fields that occur */
	PLANS_MAX = 4096,  /* shapes that come in */
	EMITS_MAX = 64,    /* subsets of the values, per layout */
	EVICT_SAMPLE = 64,   /* rows to choose from, permanent */
	INTERVALS_MAX = 1024, /* that one flow may touch */
	SWAPS_MAX = 18,
	TWIN_NONE = -1,
	TWIN_FORGOTTEN = -2, /* of one direction alone */
	/*
	 * After FIN or RST a flow takes what is still under way, such as the
	 * last acknowledgement, for so long.
	 */
	LINGER_MS = 1000,
};

/* The present bits are CACHE_VALUES_MAX; the flags lie above them. */
#define ROW_BIT(n) ((uint64_t)1 << (n))
#define ROW_PRESENT (ROW_BIT(56) - 1)
#define ROW_SAVED ROW_BIT(56) /* it is, or was, in the state file */
#define ROW_FIN_FORWARD ROW_BIT(57) /* TCP ends in this direction */
#define ROW_FIN_REVERSE ROW_BIT(58)
#define ROW_CLOSING ROW_BIT(59) /* waits for what comes after its end */
#define ROW_BUSY ROW_BIT(60)  /* found by the batch that is being merged */
#define ROW_DEAD ROW_BIT(61)  /* has left; waits for the wheel to come by */
#define ROW_DIRTY ROW_BIT(62) /* has data that was not exported */
#define ROW_LIVE ROW_BIT(63)  /* holds a flow */

/* Values of flowEndReason (IANA). */
enum end_reason {
	END_IDLE = 1,
	END_ACTIVE = 2,
	END_DETECTED = 3,
	END_FORCED = 4,
	END_RESOURCES = 5,
};

/* A configured field with what follows from it. */
struct column {
	struct cache_field field;
	uint8_t kind;  /* enum slot_kind */
	uint8_t merge; /* never MERGE_AUTO for a value */
	uint8_t bit;   /* of a value: its place in the present bits */
	bool total;    /* a total counter: not reset by an interval */
	/* What the cache knows by itself when a flow leaves. */
	bool reason;    /* flowEndReason */
	bool initiator; /* biflowDirection */
	bool id;        /* flowId: stays as long as the flow */
	const struct ie *forward; /* biflow: the element that it is of the
				   * reverse direction, else NULL */
	bool fed;		/* records have had it */
	struct field_mark mark; /* that of all of them, or none */
};

/* Set when a flow leaves, never taken from a record. */
static inline bool
column_is_set_late(const struct column *column)
{
	return column->reason || column->initiator;
}

/* Flows with the same subset of key fields. */
struct layout {
	struct cache *cache;
	uint64_t keys[2];     /* bit i: column i is a key here */
	struct slot slot[CACHE_FIELDS_MAX]; /* of the columns that are here */
	uint64_t slots[2];    /* bit i: slot[i] is here */
	uint16_t interval_at; /* offset of the interval's start, 0: none */
	uint32_t row_size;
	uint32_t stride;      /* of scratch rows: row and two octets more */
	uint8_t *neutral;     /* a row before its first record */
	uint8_t *scratch;     /* BATCH_MAX rows */
	uint8_t *spread;      /* as many, for distribution over intervals */
	struct flow_table table;
	uint32_t evict_at;    /* row that was looked at last, permanent */
	bool retired;         /* cut off: no more records, only export */
	uint32_t retired_row; /* to go on with */
	uint32_t saved_in;    /* generation of the state file */
	unsigned swap_count;  /* biflow: keys that change places, if any */
	struct key_swap swap[SWAPS_MAX];
	int start; /* biflow: the column that tells who began, or -1 */
	int16_t twin[CACHE_FIELDS_MAX]; /* the column of the other direction,
					 * TWIN_NONE or TWIN_FORGOTTEN */
	struct emit *emit[EMITS_MAX];
	unsigned emit_count;
};

/* Two values in a row of a record that are each other's counterpart. */
struct turn {
	uint16_t forward, reverse, width;
	bool copy; /* times: the forward one is that of both directions */
};

struct update {
	uint8_t merge;
	uint8_t kind;
	uint16_t offset;
	uint16_t width;
	uint64_t bit; /* mask */
	uint64_t bias; /* of signed numbers: their sign bit */
};

/* What to do with records of one shape from one class of scopes. */
struct plan {
	const struct shape *shape;
	unsigned class;
	uint32_t hash;
	uint64_t used_ms;
	struct layout *layout; /* NULL: refused, records are lost */
	struct decoder *decoder;
	uint64_t present;      /* values that the records have */
	unsigned update_count;
	struct update *update;
	/* The same for records in the reverse direction of a biflow. */
	uint64_t reverse_present;
	unsigned reverse_count;
	struct update *reverse;
	unsigned turn_count;   /* what changes places in such records before */
	struct turn *turn;
	uint16_t start_at;     /* where a record tells when it began, or 0 */
	bool packets;          /* its records are single packets */
	bool both;             /* its records are of both directions */
	bool has_flags;        /* TCP flags lie behind the scratch row */
	uint16_t id_at;        /* where a new flow gets its flowId, 0: none */
	unsigned total_count;  /* total counters to be turned into deltas */
	uint16_t total_at[8];  /* offsets in the row */
	uint16_t key_count;    /* variable-length keys: offsets in the row */
	uint16_t key_var[CACHE_FIELDS_MAX];
};

struct state;
struct totals;

struct cache {
	struct stage stage;
	struct scope scope;
	enum cache_type type;
	uint32_t max_flows;
	uint64_t active_ms, idle_ms, interval_ms;
	uint16_t active_s, idle_s; /* as configured */
	uint64_t flow_count;       /* flows ever, for flowId */
	enum distribution distribution;
	uint64_t distribution_ns;
	uint32_t metering_process_id;
	unsigned column_count, value_count;
	struct column column[CACHE_FIELDS_MAX];
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct var_store *strings;
	struct totals *totals;
	const struct ie *tcp_flags;
	struct list_shapes lists; /* of those that packets have made */
	struct table plans;
	struct plan *last_plan;
	unsigned layout_count;
	struct layout *layout[LAYOUTS_MAX];
	uint32_t rows;        /* flows and dead rows of all layouts */
	bool data_clock, biflow, coarse;
	struct closing *closing; /* flows that TCP has ended */
	struct state *state;	 /* NULL: flows are not saved */
	bool saved;		 /* all that is held is in its file */
	bool replaying;		 /* flows are made of that file */
	uint64_t now_ms;         /* monotonic, or of the data */
	uint64_t next_export_ms; /* wall clock, permanent */
	bool exporting;       /* an interval's export is under way */
	bool flushing;
	unsigned export_layout;
	uint32_t export_row;
	uint64_t start_wall_ms;
	uint64_t evicted, interval_overflow;
	uint64_t overflow_lost;
	uint64_t lists_cut; /* times that elements were left out */
	uint8_t *wire;        /* ENCODER_BUFFER octets */
	uint32_t offset[BATCH_MAX + 1];
};

static inline uint64_t
row_get(const void *row, uint16_t at)
{
	uint64_t v;

	memcpy(&v, (const uint8_t *)row + at, sizeof(v));
	return v;
}

static inline void
row_put(void *row, uint16_t at, uint64_t v)
{
	memcpy((uint8_t *)row + at, &v, sizeof(v));
}

/* cache.c: the time of the data begins there. */
void cache_follow(struct cache *cache, uint64_t ms);
/* Begins an export of all flows. */
void cache_export(struct cache *cache);

/* layout.c */
int columns_init(struct cache *cache, const struct cache_conf *conf,
		 const char **error);
int layout_get(struct cache *cache, const uint64_t keys[2],
	       struct layout **out);
void layout_free(struct layout *layout);
bool bit_test(const uint64_t set[2], unsigned i);
void bit_set(uint64_t set[2], unsigned i);

/* Octets of a value of any size that the type has, or IE_VARIABLE. */
uint16_t column_natural(const struct column *column);
/* The sign bit if the numbers of this column are signed, else 0. */
uint64_t column_bias(const struct column *column);

/* plan.c: NULL only without memory; plan->layout NULL: a bound. */
struct plan *plan_get(struct cache *cache, const struct batch *batch);
/* What source[i], a field of the shape, says of column i (RFC 6235). */
void plan_learn_marks(struct cache *cache, const struct shape *shape,
		      const struct source *source);
void plans_trim(struct cache *cache, uint64_t now_ms);
void plans_free(struct cache *cache);

/* biflow.c */
/* Times of a biflow are of the whole, whichever direction they come from. */
bool biflow_is_of_both(const struct column *column);
/* The column with the values of this one in the other direction, or -1. */
int biflow_twin(const struct cache *cache, unsigned i);
/*
 * Before rows of records are merged: where one of the reverse direction began
 * before its flow did, the flow is turned, and what of the batch belongs to it
 * changes its direction.
 */
void biflow_direct(struct plan *plan, const uint8_t *rows, uint32_t count,
		   uint8_t *const *flow, const uint32_t *number, bool *reverse);
/* Which keys of the layout change places; none if one has no counterpart. */
void biflow_layout(struct layout *layout);

/* closing.c */
int closing_new(uint32_t max, struct closing **out);
void closing_free(struct closing *closing);
/* The flow leaves in LINGER_MS; false: no room, it has to leave now. */
bool closing_add(struct cache *cache, struct layout *layout, uint32_t number);
/* Those whose time has come leave. */
void closing_run(struct cache *cache);
/* Forgets those of a layout that goes. */
void closing_forget(struct cache *cache, const struct layout *layout);

/* retired.c */
void cache_cut(struct stage *stage);
/* Goes on with the export of what was cut off; frees what is done. */
void retired_run(struct cache *cache, bool patient);

/* update.c: rows are scratch rows of the plan's layout. */
void update_rows(struct cache *cache, struct plan *plan, uint8_t *rows,
		 uint32_t count);
/* var_hold or var_release for all strings of a row. */
void row_strings(struct layout *layout, const uint8_t *row, uint64_t present,
		 void (*what)(struct var_store *strings, uint32_t handle));

/*
 * union.c: the basicList that has the elements of both. Of the two handles one
 * hold each is taken, and one of the result is given.
 */
uint32_t list_union(struct cache *cache, uint32_t kept, uint32_t more);

/* emit.c */
void emit_row(struct layout *layout, uint32_t number, enum end_reason reason,
	      bool keep);
/* After a row was exported that stays: what counts from now on. */
void row_reset(const struct layout *layout, struct row *row);
/* Puts a row into the wheel. */
void row_wait(struct layout *layout, uint32_t number);
/* A permanent flow without new data goes without a record. */
void emit_drop(struct layout *layout, uint32_t number);
/* Immediate: rows that are not in the table. */
void emit_scratch(struct layout *layout, uint8_t *rows, uint32_t count,
		  uint64_t present);
void emit_all(struct cache *cache);
void emit_free(struct layout *layout);
/* Expiry: returns when all is done or the next stages are congested. */
void expire(struct cache *cache, uint64_t now_ms);
/* Makes room for that many more rows, if it can. */
void evict(struct cache *cache, struct layout *first, uint32_t wanted);
/* Goes on with a periodic or the last export. True: it is complete. */
bool export_continue(struct cache *cache, uint64_t wall_ms);

/* interval.c */
void interval_run(struct cache *cache, struct plan *plan, uint32_t count);

/* totals.c */
struct totals *totals_new(uint32_t max);
void totals_free(struct totals *totals);
/*
 * Replaces the total counters in the rows by what came since the last record
 * of the same flow from the same scope. Returns how many could not be known
 * because the table was full; bad[i] is set for them.
 */
uint32_t totals_run(struct cache *cache, struct plan *plan,
		    const struct batch *batch, uint8_t *rows, uint8_t *bad);
/* The total counter that says what a delta counter asks for, or NULL. */
const struct ie *totals_of(const struct ie_registry *registry,
			   const struct ie *delta);

#endif
