/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking up what is known of an address, as the files of the module share it:
 *
 *	lookup_stage.c  the stage: batch in, batch with more fields out
 *	lookup.c        results: values as octets of a record, each kept once
 *	networks.c      a networks file, read
 *	prefixes.c      the longest prefix of an address
 *	maxmind.c       a MaxMind database, by libmaxminddb
 *
 * A result is what is known of some addresses: for each wanted value its octets
 * as they are in a record, one behind the other. Result 0 is that nothing is
 * known: zeros, and strings of length 0.
 */
#ifndef CONFLUX_MEDIATION_LOOKUP_H
#define CONFLUX_MEDIATION_LOOKUP_H

#include "conflux/mediation.h"
#include "conflux/table.h"

enum { RESULT_NONE = 0 };

struct results {
	unsigned values;
	uint32_t *at; /* values + 1 for each result: from there in octets */
	uint32_t count, size;
	uint8_t *octets;
	uint32_t used, room;
	struct table table;
	/* The result that is being made: */
	uint8_t value[LOOKUP_VALUES_MAX][LOOKUP_OCTETS_MAX];
	uint16_t length[LOOKUP_VALUES_MAX];
};

/* The octets of one value of a result. */
static inline const uint8_t *
result_value(const struct results *r, uint32_t result, unsigned value,
	     uint32_t *length)
{
	const uint32_t *at = &r->at[(size_t)result * (r->values + 1) + value];

	*length = at[1] - at[0];
	return r->octets + at[0];
}

/* With result 0. -ENOMEM: it is to be freed all the same. */
int results_init(struct results *results, const struct lookup_conf *conf);
void results_fini(struct results *results);
/* All but result 0 goes. */
void results_reset(struct results *results, const struct lookup_conf *conf);
/* Begins one: nothing is known. */
void result_begin(struct results *results, const struct lookup_conf *conf);
/* Value i of it. -EINVAL: the text is no value of the element. */
int result_text(struct results *results, const struct lookup_conf *conf,
		unsigned i, const char *text);
/* The same as an earlier one, or new: its number; -ENOMEM. */
int64_t result_end(struct results *results);

/* ---- networks.c -------------------------------------------------------- */

struct networks {
	struct prefixes *prefixes;
	struct results results;
	uint32_t count; /* prefixes */
};

/* As lookup_stage_new. */
int networks_read(const struct lookup_conf *conf, struct networks **out,
		  char **error);
/* The same from memory. */
int networks_parse(const struct lookup_conf *conf, const char *data,
		   size_t length, struct networks **out, char **error);
void networks_free(struct networks *networks);

/* ---- maxmind.c --------------------------------------------------------- */

struct maxmind;

int maxmind_open(const struct lookup_conf *conf, struct maxmind **out,
		 char **error);
void maxmind_close(struct maxmind *maxmind);
/* "GeoLite2-ASN" or what the file says. */
const char *maxmind_type(const struct maxmind *maxmind);
uint64_t maxmind_build_s(const struct maxmind *maxmind);

enum {
	MAXMIND_SLOTS = 1 << 16,
	MAXMIND_SLOTS6 = 1 << 14,
	MAXMIND_RESULTS_MAX = 1 << 17,
};

/* Results of one thread that were read from a database, and the latest of them
 * by where in the database they are, and by address. */
struct maxmind_results {
	struct results results;
	struct {
		uint32_t offset, result;
	} slot[MAXMIND_SLOTS];
	struct {
		uint32_t address, result; /* UINT32_MAX: none */
	} latest4[MAXMIND_SLOTS];
	struct {
		uint8_t address[16];
		uint32_t result;
	} latest6[MAXMIND_SLOTS6];
	uint64_t mismatched; /* values of another type than the element's */
};

int maxmind_results_init(struct maxmind_results *r,
			 const struct lookup_conf *conf);
/* Results of another database, or too many of them: all go. Call it between
 * batches: results that were found are no longer valid. */
void maxmind_results_reset(struct maxmind_results *r,
			   const struct lookup_conf *conf);
void maxmind_results_fini(struct maxmind_results *r);
/* The result for an address of 4 or 16 octets; -ENOMEM. */
int64_t maxmind_find(const struct maxmind *maxmind,
		     const struct lookup_conf *conf, struct maxmind_results *r,
		     const uint8_t *bytes, unsigned length);

#endif
