/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Object identifiers of flow data, made and taken apart, and packages turned
 * into rows. No state, nothing allocated: all of it takes what a meter sent.
 */
#ifndef CONFLUX_METERMIB_METER_PACKAGE_H
#define CONFLUX_METERMIB_METER_PACKAGE_H


#include "engine.h"
#include "meter_row.h"

/* The values of flowPackageSelector: what a package holds, in order. */
struct selector {
	unsigned count; /* 1 to SELECTOR_MAX */
	uint8_t attribute[64];
};

enum { SELECTOR_MAX = 64 };

/*
 * flowPackageData of a flow (RFC 2720): the selector has the length that any
 * index of variable length has. name has MAX_OID_LEN places. Index 0 goes
 * before the first flow. Returns the length.
 */
size_t package_oid(oid *name, const struct selector *selector,
		   uint8_t rule_set, uint32_t time, uint32_t index);

/* Takes it apart. -ENOENT: not of this selector and rule set. */
int package_oid_parse(const oid *name, size_t length,
		      const struct selector *selector, uint8_t rule_set,
		      uint32_t *time, uint32_t *index);

/*
 * The same for a column of flowDataTable. Rule set 0: the table of RFC 2064,
 * which is not indexed by rule set.
 */
size_t column_oid(oid *name, uint8_t column, uint8_t rule_set, uint32_t time,
		  uint32_t index);
int column_oid_parse(const oid *name, size_t length, uint8_t column,
		     uint8_t rule_set, uint32_t *time, uint32_t *index);

/*
 * Fills a row from the value of a package. -EBADMSG: not as many values as
 * selected, or not BER. Rule set and index are those of the name.
 */
int package_row(struct meter_row *row, const struct selector *selector,
		const uint8_t *data, size_t length);

/* A variable of an answer as a value of a row; false: nothing usable. */
bool variable_value(const netsnmp_variable_list *variable,
		    struct ber_value *value);

/* A number or a short string of an answer; false: another type. */
bool variable_number(const netsnmp_variable_list *variable, uint64_t *number);

/* endOfMibView, noSuchObject, noSuchInstance. */
bool variable_missing(const netsnmp_variable_list *variable);

#endif
