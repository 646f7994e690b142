/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * One flow as read from a meter: a value for each attribute that came. Octets
 * point into the SNMP answer, so a row lives no longer than that.
 */
#ifndef CONFLUX_METERMIB_METER_ROW_H
#define CONFLUX_METERMIB_METER_ROW_H

#include <stdbool.h>
#include <string.h>

#include "attribute.h"
#include "ber.h"

enum { ROW_ATTRIBUTES = 256 };

struct meter_row {
	uint8_t rule_set;
	uint32_t index;
	uint64_t present[ROW_ATTRIBUTES / 64];
	struct ber_value value[ROW_ATTRIBUTES];
};

static inline void
row_reset(struct meter_row *row)
{
	memset(row->present, 0, sizeof(row->present));
}

static inline void
row_set(struct meter_row *row, uint8_t attribute, const struct ber_value *v)
{
	if (v->kind == BER_KIND_ABSENT)
		return;
	row->value[attribute] = *v;
	row->present[attribute / 64] |= (uint64_t)1 << attribute % 64;
}

/* NULL: the meter has no value for it. */
static inline const struct ber_value *
row_get(const struct meter_row *row, uint8_t attribute)
{
	if (!(row->present[attribute / 64] >> attribute % 64 & 1))
		return NULL;
	return &row->value[attribute];
}

static inline bool
row_has_number(const struct meter_row *row, uint8_t attribute)
{
	const struct ber_value *v = row_get(row, attribute);

	return v && v->kind == BER_KIND_NUMBER;
}

/* 0 if it is not there or not a number. */
static inline uint64_t
row_number(const struct meter_row *row, uint8_t attribute)
{
	const struct ber_value *v = row_get(row, attribute);

	return v && v->kind == BER_KIND_NUMBER ? v->number : 0;
}

/* Octets, or NULL if it is not there or not octets. */
static inline const uint8_t *
row_octets(const struct meter_row *row, uint8_t attribute, unsigned *length)
{
	const struct ber_value *v = row_get(row, attribute);

	*length = 0;
	if (!v || v->kind != BER_KIND_OCTETS)
		return NULL;
	*length = v->length;
	return v->octets;
}

#endif
