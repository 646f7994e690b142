/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * How the files of conversion share the work:
 *
 *	conversion_stage.c    the stage: batch in, converted batch out
 *	conversion_rule.c     rules: which elements, and what their texts mean
 *	conversion_layout.c   the rules on the fields of one shape
 *	conversion_program.c  the fields to a program for records of that shape
 *	conversion_run.c      the program over a batch, column by column
 */
#ifndef CONFLUX_MEDIATION_CONVERSION_H
#define CONFLUX_MEDIATION_CONVERSION_H

#include "conflux/conversion.h"
#include "conflux/log.h"
#include "shape_map.h"

/* ---- conversion_rule.c -------------------------------------------------- */

/* The first four are the types of the same order. */
enum conv_time {
	CONV_SECONDS,
	CONV_MILLISECONDS,
	CONV_MICROSECONDS,
	CONV_NANOSECONDS,
	CONV_DELTA,  /* microseconds before the Export Time */
	CONV_UPTIME, /* milliseconds since systemInitTimeMilliseconds */
	CONV_TIMES,
	CONV_NO_TIME = CONV_TIMES,
};

/* An element, or many by a pattern of their names. */
struct conv_match {
	char *pattern; /* or NULL */
	uint32_t pen;
	uint16_t id;
};

struct conv_rule {
	enum conversion_kind kind;
	struct conv_match *match;
	unsigned match_count;
	uint32_t *enterprise;
	unsigned enterprise_count;
	const struct ie *to;   /* RENAME, CONSTANT */
	uint16_t length;       /* LENGTH; 0: natural */
	enum conv_time format; /* TIME */
	bool replace;
	uint8_t octets[260]; /* CONSTANT: the field as it is in a record */
	uint16_t count;
};

int conv_rules_new(const struct conversion_conf *conf, struct conv_rule **out,
		   struct conversion_error *error);
/* NULL is legal. */
void conv_rules_free(struct conv_rule *rules, unsigned count);

/* Which of the rule's elements it is, from 0 on; -1: none. */
int conv_rule_find(const struct conv_rule *rule, const struct ie *ie);
/* How an element of time has it, CONV_NO_TIME if it has none. */
enum conv_time conv_time_of(const struct ie *ie);
/* The same time in another format; NULL: there is no element for it. */
const struct ie *conv_time_sister(const struct ie_registry *registry,
				  const struct ie *ie, enum conv_time format);
/* Can the values of one be those of the other? */
bool conv_can_become(const struct ie *from, const struct ie *to);
/* Can it be given another length? */
bool conv_has_length(const struct ie *ie);

/* ---- conversion_layout.c ------------------------------------------------ */

/* Where the octets of a field come from, if from no field. */
enum { CONV_CONSTANT = -1, CONV_INIT = -2 };

/* A field of what goes out. */
struct conv_field {
	const struct ie *ie;
	uint16_t length;
	struct field_mark mark;
	int from;	     /* field of what comes in */
	const struct ie *as; /* how that is read */
	enum conv_time read, write;
	const struct conv_rule *rule; /* CONV_CONSTANT */
};

/* What could not be done to fields, which stay as they are. */
enum conv_kept {
	CONV_KEPT_TAKEN,   /* the record has such a field already */
	CONV_KEPT_NO_INIT, /* nobody knows when sysUpTime began */
	CONV_KEPT_OTHER,   /* no element, no such length, or another type */
	CONV_KEPT_REASONS,
};

struct conv_layout {
	struct conv_field *field; /* room is for SHAPE_FIELDS_MAX */
	unsigned count;
	uint16_t scope_count;
	unsigned kept[CONV_KEPT_REASONS];
	const struct ie *first_kept; /* for want of an init time */
};

/* What the rules are applied to. */
struct conv_rules {
	const struct conv_rule *rule;
	unsigned count;
	struct ie_registry *registry;
	bool options;
};

/*
 * The fields of records of this shape behind all rules; has_init: the scope
 * knows when sysUpTime began. -ENOMEM. conv_layout_fini in any case.
 */
int conv_layout_make(const struct conv_rules *rules, const struct shape *shape,
		     bool has_init, struct conv_layout *layout);
void conv_layout_fini(struct conv_layout *layout);

/* ---- conversion_program.c ------------------------------------------------ */

enum conv_code {
	CONV_COPY, /* neighbouring fields */
	CONV_SET,
	CONV_SCOPE_INIT, /* systemInitTimeMilliseconds of the scope */
	CONV_UINT,
	CONV_SINT,
	CONV_FLAGS,
	CONV_REAL,
	CONV_TO_VARIABLE,
	CONV_TO_FIXED, /* from any length */
	CONV_FROM_BOOL,
	CONV_TO_BOOL,
	CONV_MAPPED, /* ::ffff:0:0/96 */
	CONV_TIME,
};

struct conv_op {
	enum conv_code code;
	uint16_t first, end; /* fields that come in */
	uint32_t from, to;   /* octets from the start of fixed records */
	uint32_t in, length; /* octets in and out, unless variable */
	bool varies;	     /* it comes with its length */
	bool text;	     /* octets of UTF-8 */
	uint8_t read, write; /* TIME: enum conv_time */
	int init;	     /* UPTIME: field, or -1: that of the scope */
	uint32_t init_from;
	const uint8_t *octets; /* SET */
};

struct conv_program {
	struct shape_made made;	 /* first */
	const struct shape *out; /* held; NULL: see loss */
	enum loss loss;
	bool same;   /* records pass as they are */
	bool placed; /* each field has the place that it had */
	bool column; /* records of constant length in and out */
	struct conv_op *op;
	unsigned op_count;
	uint32_t more;	 /* octets that a record may grow by */
	uint8_t key[64]; /* which field each of the first 64 was; 255: none */
	uint64_t keys_in, keys_out; /* the last that were mapped */
	unsigned kept[CONV_KEPT_REASONS];
	const struct ie *first_kept;
};

/* -ENOMEM, -ENOSPC: no room for another shape. */
int conv_program_new(const struct conv_rules *rules, struct shape_table *shapes,
		     const struct shape *shape, bool has_init,
		     struct conv_program **out);
/* The shape that came in is not released. */
void conv_program_free(struct shape_made *made);
/* The bits of fields (Flow Keys), where these are now. */
uint64_t conv_program_keys(struct conv_program *program, uint64_t keys);

/* ---- conversion_stage.c -------------------------------------------------- */

enum {
	/* A record of any length that becomes any other one. */
	CONV_BUFFER = 160 * 1024,
};

/* The scope of options, which may be about Templates. */
struct conv_scope {
	struct scope scope; /* first */
	const struct scope *origin;
	struct conv_stage *stage;
	bool placed; /* the options are about the places of fields */
	const struct shape *last; /* held */
};

struct conv_stage {
	struct stage stage;
	struct conv_scope about;
	struct shape_table *shapes;
	struct conv_rules rules;
	struct conv_rule *rule;
	bool saturate;
	struct shape_map programs;
	uint64_t saturated;
	uint64_t kept[CONV_KEPT_REASONS]; /* of all programs */
	struct log_limit kept_limit;
	uint8_t *buffer; /* CONV_BUFFER octets */
	uint32_t offset[BATCH_MAX + 1];
	uint32_t at[SHAPE_FIELDS_MAX + 1]; /* fields of a record */
	uint64_t ns[BATCH_MAX];
	uint8_t unfit[BATCH_MAX];
};

/* ---- conversion_run.c ---------------------------------------------------- */

/*
 * Converts records of the batch from *next on into the stage's buffer, as many
 * as fit, and describes them in *out; steps *next behind them. What is lost is
 * in the ledger, so out->count may be 0.
 */
void conv_run(struct conv_stage *stage, struct conv_program *program,
	      const struct batch *batch, uint32_t *next, struct batch *out);

#endif
