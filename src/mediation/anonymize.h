/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * How the files of anonymisation share the work:
 *
 *	anonymize_stage.c    the stage: batch in, changed batch out
 *	anonymize_rule.c     rules: which elements, and what their texts mean
 *	anonymize_program.c  rules to a program for records of one shape
 *	anonymize_run.c      the program over a batch, column by column
 *	anonymize_cipher.c   what is done with a key
 */
#ifndef CONFLUX_MEDIATION_ANONYMIZE_H
#define CONFLUX_MEDIATION_ANONYMIZE_H

#include "conflux/anonymize.h"
#include "conflux/log.h"
#include "shape_map.h"

enum {
	ANON_BUFFER = 128 * 1024, /* octets of records that are worked on */
};

/* ---- anonymize_cipher.c ------------------------------------------------- */

struct anon_cipher;

/* All that is made of the key. -ENOMEM. */
int anon_cipher_new(const uint8_t key[ANONYMIZE_KEY], struct anon_cipher **out);
/* NULL is legal. Keys are wiped. */
void anon_cipher_free(struct anon_cipher *cipher);

/*
 * The addresses at at[0..count), each of 4 or 16 octets, get those that share
 * as long a prefix with one another as they did; the last unchanged bits stay.
 * count is at most BATCH_MAX.
 */
void anon_prefix4(struct anon_cipher *cipher, uint8_t *const *at,
		  uint32_t count, unsigned unchanged);
void anon_prefix6(struct anon_cipher *cipher, uint8_t *const *at,
		  uint32_t count, unsigned unchanged);

/*
 * A permutation of the numbers of that many bits (an even number from 8 to 64),
 * another one for each domain.
 */
enum anon_domain { ANON_NUMBER, ANON_OUI, ANON_DEVICE };

void anon_permute(struct anon_cipher *cipher, enum anon_domain domain,
		  unsigned bits, uint64_t *value, uint32_t count);
/* The same for 128 bits. */
void anon_permute_wide(struct anon_cipher *cipher, uint8_t *const *at,
		       uint32_t count);

/* A number that follows from the key, from -most to most. */
int64_t anon_offset(const struct anon_cipher *cipher, int64_t most);

/* ---- anonymize_rule.c --------------------------------------------------- */

struct anon_range {
	uint64_t from, label; /* up to the next one's from */
};

struct anon_rule {
	enum anonymize_method method;
	unsigned groups;
	const struct ie **element;
	unsigned element_count;
	unsigned bits, unchanged;
	uint64_t amount;
	struct anon_range *range; /* BINNING: sorted, the first from 0 */
	unsigned range_count;
	const char *value; /* VALUE, as text */
};

int anon_rules_new(const struct anonymize_conf *conf,
		   struct ie_registry *registry, struct anon_rule **out,
		   struct anonymize_error *error);
void anon_rules_free(struct anon_rule *rules, unsigned count);

/* The rule that has the element, or NULL. */
const struct anon_rule *anon_rule_find(const struct anon_rule *rules,
				       unsigned count, const struct ie *ie);
/* Without a rule: may it hold what the rules are about? */
bool anon_is_hidden(const struct anon_rule *rules, unsigned count,
		    const struct ie *ie, bool keep_unknown);
/* Octets of a value for a field of that length, or -EINVAL. */
int anon_value_parse(const struct ie *ie, const char *text, uint16_t length,
		     uint8_t out[16]);
/* What the Exporting Process is to declare. */
struct field_mark anon_rule_mark(const struct anon_rule *rule);

/* ---- anonymize_program.c ------------------------------------------------ */

enum anon_code {
	ANON_MASK,   /* bits that stay, of 4, 6 or 16 octets */
	ANON_SET,    /* all octets */
	ANON_PREFIX, /* 4 or 16 octets */
	ANON_PERMUTE,
	ANON_PERMUTE_MAC, /* OUI and device apart */
	ANON_UNITS,	  /* down to a multiple */
	ANON_TIME_UNITS,
	ANON_TIME_SHIFT,
	ANON_TIME_ORDER, /* all such fields of a record together */
	ANON_BINS,
	ANON_NOISE,
};

struct anon_op {
	enum anon_code code;
	uint16_t field;	 /* of the output */
	uint16_t length; /* of the field */
	uint8_t type;	 /* enum ie_type */
	const struct anon_rule *rule;
	uint8_t octets[16]; /* MASK, SET */
};

/* Neighbouring fields that are copied together. */
struct anon_piece {
	uint32_t from, length; /* in records of constant length */
	uint16_t field, count; /* in others */
};

struct anon_program {
	struct shape_made made;	 /* first */
	const struct shape *out; /* held; NULL: nothing is left */
	bool whole;		      /* no field is left out */
	uint64_t kept; /* bit i: field i is, of the first 64 */
	struct anon_op *op;
	unsigned op_count;
	struct anon_piece *piece;
	unsigned piece_count;
	uint16_t hidden; /* fields left out without a rule */
	uint16_t first_hidden;
};

struct anon_stage;

int anon_program_new(const struct anon_stage *stage, const struct shape *shape,
		     struct anon_program **out);
void anon_program_free(struct shape_made *made);

/* ---- anonymize_stage.c -------------------------------------------------- */

/*
 * The scope of options, which may be about Templates: behind us they have other
 * shapes.
 */
struct anon_scope {
	struct scope scope; /* first */
	const struct scope *origin;
	struct anon_stage *stage;
	const struct shape *last; /* held */
};

struct anon_stage {
	struct stage stage;
	struct anon_scope about;
	struct shape_table *shapes;
	struct anon_rule *rule;
	unsigned rule_count;
	bool keep_unknown;
	struct anon_cipher *cipher; /* or NULL */
	int64_t shift_ns;
	uint64_t order_ms; /* enumeration: the next time */
	uint64_t noise[256]; /* random octets */
	unsigned noise_left;
	struct shape_map programs;
	uint64_t hidden; /* fields left out without a rule, of all programs */
	struct log_limit hidden_limit;
	uint8_t *buffer; /* ANON_BUFFER octets */
	uint32_t offset[BATCH_MAX + 1];
};

/* ---- anonymize_run.c ---------------------------------------------------- */

/*
 * Copies records of the batch from *at on into the stage's buffer, as many as
 * fit, changes them, and describes them in *out; steps *at behind them.
 */
void anon_run(struct anon_stage *stage, const struct anon_program *program,
	      const struct batch *batch, uint32_t *at, struct batch *out);

#endif
