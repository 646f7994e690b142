/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * How the files of the module share the work:
 *
 *	filter_stage.c  the stage: batch in, shorter batch out
 *	filter.c        an expression, and its programs by shape
 *	lex.c           text to tokens, and where it is wrong
 *	parse.c         tokens to a tree
 *	word.c          the short words: what they stand for
 *	value.c         values to ranges, patterns and bits
 *	compile.c       the tree to a program for records of one shape
 *	run.c           the program over a batch
 *
 * All that is compared with is a number: an IPv4 address or a point in time as
 * well as a port, with the sign turned so that they sort as unsigned ones. So
 * every comparison, prefix and set is the question whether a number is in one
 *of some sorted ranges.
 */
#ifndef CONFLUX_MEDIATION_INTERNAL_H
#define CONFLUX_MEDIATION_INTERNAL_H

#include "conflux/filter.h"
#include "conflux/projection.h"

#include "shape_map.h"

enum {
	DEPTH_MAX = 32, /* of parentheses and not */
	NODES_MAX = 4096,
	VALUES_MAX = 65536, /* ranges and patterns of an expression */
	OPERANDS_MAX = 4,   /* that stand for one another in a group */
	ELEMENTS_MAX = 64,  /* different ones in an expression */
	COLUMNS_MAX = 4 * ELEMENTS_MAX,
	REGISTERS = 2 * DEPTH_MAX + 4,
	NONE = UINT16_MAX,
};

/* ---- the tree ---------------------------------------------------------- */

struct wide {
	uint64_t hi, lo;
};

struct range {
	struct wide min, max;
};

/* What of an element is looked at, or what is calculated from several. */
enum part {
	PART_WHOLE,
	PART_HIGH, /* octet of two */
	PART_LOW,
	PART_DURATION,	  /* milliseconds */
	PART_BIT_RATE,	  /* a second */
	PART_PACKET_RATE, /* a second */
	PART_PACKET_SIZE, /* octets */
};

struct operand {
	const struct ie *ie; /* of what is calculated: whose values it has */
	enum part part;
};

/* Operands that stand for one another: the first that a record has counts. */
struct group {
	struct operand operand[OPERANDS_MAX];
	unsigned operand_count;
	uint32_t first, count; /* ranges or patterns */
};

enum test {
	TEST_RANGE,
	TEST_ALL_BITS,
	TEST_ANY_BITS,
	TEST_PATTERN,
	TEST_EXISTS,
};

/* True if it is of one of the groups; negated: if there is one, but not so. */
struct term {
	enum test test;
	bool negated;
	uint64_t mask; /* of bits */
	uint32_t group, group_count;
};

enum node_kind {
	NODE_AND,
	NODE_OR,
	NODE_NOT,
	NODE_TERM,
	NODE_ANY,
};

/* For records of one shape. */
enum outcome {
	OUTCOME_FALSE,
	OUTCOME_TRUE,
	OUTCOME_OPEN,
};

struct node {
	enum node_kind kind;
	enum outcome outcome;
	uint32_t first, next; /* nodes; first of TERM: the term. Or NO_NODE */
};

#define NO_NODE UINT32_MAX

enum pattern_kind {
	PATTERN_EQUAL,
	PATTERN_CONTAINS,
	PATTERN_LIKE, /* * and ? */
};

struct pattern {
	enum pattern_kind kind;
	uint32_t at, length; /* in filter->octets */
};

struct list {
	void *item;
	uint32_t count, size;
};

struct filter {
	struct ie_registry *registry;
	struct list nodes, terms, groups, ranges, patterns, octets;
	uint32_t root;
	unsigned element_count;
	const struct ie *element[ELEMENTS_MAX];
	struct shape_map programs;
	uint8_t *rows; /* of the widest program */
	size_t rows_size;
	uint8_t reg[REGISTERS][BATCH_MAX]; /* 1: so far the record passes */
};

#define LIST(type, list) ((struct type *)(list).item)

/* Room for count more items of that size behind the others: the first. */
void *list_add(struct list *list, uint32_t count, size_t size);

/* ---- lex.c ------------------------------------------------------------- */

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_STRING,
	TOKEN_COMPARISON,
	TOKEN_PARENTHESIS, /* ( */
	TOKEN_PARENTHESIS_END,
	TOKEN_BRACKET, /* [ */
	TOKEN_BRACKET_END,
	TOKEN_COMMA,
};

enum comparison {
	COMPARE_NONE,
	COMPARE_EQ,
	COMPARE_NE,
	COMPARE_LT,
	COMPARE_LE,
	COMPARE_GT,
	COMPARE_GE,
	COMPARE_IN,
	COMPARE_HAS, /* all these bits */
	COMPARE_ANY, /* & */
	COMPARE_CONTAINS,
	COMPARE_LIKE,
};

struct token {
	enum token_kind kind;
	enum comparison how; /* of WORD, too, if it is the name of one */
	const char *at;
	size_t length;
};

enum { WORD_SIZE = 256 }; /* a token as text, with its NUL */

struct parser {
	struct filter *filter;
	const char *text;
	struct token token; /* the next one */
	const char *end;    /* behind it */
	struct list values; /* tokens of a set */
	unsigned depth;
	struct filter_error *error;
};

/* Steps to the next token. -EINVAL: there is none that makes sense. */
int lex_next(struct parser *p);
bool token_is(const struct token *token, const char *word);
/* Without quotes; -EINVAL if it is too long. Its length. */
int token_text(const struct token *token, char out[WORD_SIZE]);
/* Notes what is wrong at that place of the text. -EINVAL. */
int parse_error(struct parser *p, const char *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- parse.c ----------------------------------------------------------- */

/* The whole text; filter->root is set. */
int parse_filter(struct parser *p);

/* ---- word.c ------------------------------------------------------------ */

enum side {
	SIDE_NONE,
	SIDE_SOURCE,
	SIDE_DESTINATION,
	SIDE_IN,
	SIDE_OUT,
	SIDE_NEXT,
	SIDE_PREVIOUS,
	SIDE_BGP_NEXT,
	SIDE_ROUTER,
	SIDE_OUT_SOURCE, /* as it left, where that differs */
	SIDE_OUT_DESTINATION,
};

/* "src", "dst", ... or SIDE_NONE. */
enum side side_of(const struct token *token);
/* in src, out dst, ...: that of both together, or SIDE_NONE. */
enum side side_behind(enum side side, const struct token *token);
/* Is it a word, on whichever side? */
bool is_word(const struct token *token);
/*
 * Adds the groups that a word on a side stands for; a word without a side that
 * has two stands for both. -ENOENT: there is no such word on that side.
 */
int word_groups(struct filter *filter, enum side side, const struct token *word,
		struct term *term);
/* Adds one group of one operand. */
int group_add(struct filter *filter, struct term *term,
	      const struct operand *operand, unsigned count);
/* "tcp", "udp", ...: the protocol's number, or -ENOENT. */
int protocol_number(const char *name);
/* The sides a word may have, for messages. */
const char *word_sides(const struct token *word);
/* The nearest word or element, or NULL. */
const char *nearest_word(const struct filter *filter, const char *name);

/* ---- value.c ----------------------------------------------------------- */

/*
 * Fills the groups of the term from the tokens in p->values. Values that only
 * some of the groups can have (addresses) go to those.
 */
int term_values(struct parser *p, struct term *term, enum comparison how,
		const struct token *at);
/* Strings and octets are compared where they are. */
bool is_text(const struct ie *ie);
/* Can the text stand for an address? */
bool is_address(const char *text);
/* A double as a number that sorts in the same way; NaN is above all. */
uint64_t real_order(double value);

/* ---- compile.c --------------------------------------------------------- */

enum code {
	/* Columns to numbers, and columns from others. */
	CODE_WORD, /* 4 octets in network byte order */
	CODE_MAC,  /* 6 */
	CODE_WIDE, /* 16 */
	CODE_SIGN,
	CODE_REAL,
	CODE_HIGH,
	CODE_LOW,
	CODE_MILLISECONDS, /* of a time */
	CODE_MICROSECONDS, /* of a duration: to milliseconds */
	CODE_DIFFERENCE,
	CODE_RATE, /* a by b, a thousand times */
	CODE_BITS, /* the same, of octets */
	CODE_RATIO,
	/* Tests. */
	CODE_RANGE,	  /* one of 64 bits */
	CODE_RANGES,	  /* several */
	CODE_WIDE_RANGES, /* of 128 bits */
	CODE_ALL_BITS,
	CODE_ANY_BITS,
	CODE_PATTERN,
	/* Registers. */
	CODE_AND, /* reg and reg + 1, to reg */
	CODE_OR,
	CODE_NOT,
	CODE_SKIP_NONE, /* to target if no record passes */
	CODE_SKIP_ALL,
};

struct code_op {
	enum code code;
	uint16_t a, b, out; /* columns: octets from the start of a row */
	uint16_t reg;
	uint16_t field;
	uint32_t first, count; /* ranges or patterns; SKIP: target */
	const struct range *range; /* the first, of RANGES */
	uint64_t min, width;   /* RANGE; bits: mask in min */
};

struct program {
	struct shape_made made; /* more: scope_class */
	enum outcome outcome;
	struct decoder *decoder; /* NULL: it needs no numbers */
	struct list columns;	 /* struct code_op that make them */
	struct list tests;	 /* and those of tests and registers */
	uint32_t stride;	 /* of the rows */
};

int program_new(struct filter *filter, const struct batch *batch,
		struct program **out);
void program_free(struct program *program);

/* ---- run.c ------------------------------------------------------------- */

/* The verdicts are in filter->reg[0] then. */
void program_run(struct filter *filter, const struct program *program,
		 const struct batch *batch);
/* For the tests: a pattern of * and ? over octets. */
bool pattern_like(const uint8_t *pattern, uint32_t length, const uint8_t *p,
		  uint32_t size);

#endif
