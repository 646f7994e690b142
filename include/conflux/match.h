/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as people write them, for property match filtering (RFC 5475 section
 * 6.1) and for filter expressions: 10.0.0.1, 443, 0x12, 2001:db8::1, prefixes
 * 10.0.0.0/8, 00:1b:21:0a:0b:0c, true, 2026-01-31T13:00:00.5Z, octets as
 * 0x00ff. What may stand there is a matter of the element's type.
 */
#ifndef CONFLUX_MATCH_H
#define CONFLUX_MATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "conflux/ie.h"

enum { MATCH_MAX = 255 }; /* octets of a value */

enum match_kind {
	MATCH_UNSIGNED,
	MATCH_SIGNED,
	MATCH_REAL,
	MATCH_MICRO, /* NTP timestamps: microseconds since 1970 */
	MATCH_NANO,
	MATCH_OCTETS,
};

/* A value to compare fields with. */
struct match {
	enum match_kind kind;
	uint64_t value; /* SIGNED: sign extended */
	double real;
	uint8_t octets[MATCH_MAX];
	uint16_t length;
	int prefix; /* bits of an address, -1: all */
};

/* -EINVAL: the text is no value of the element's type. */
int match_parse(struct match *m, const struct ie *ie, const char *text);
bool match_equal(const struct match *m, const uint8_t *p, uint32_t length);
/* The value as a field of the element, MATCH_MAX octets at most; its length. */
uint16_t match_write(const struct match *m, const struct ie *ie, uint8_t *p);

#endif
