/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* IANA's Information Elements, a constant table indexed by their ids. */
#include "names.h"

#define TYPE(name, number, octets) TYPE_##name = number, LENGTH_##name = octets,
#define NUMBER(name, number) SEMANTICS_##name = number,
#define UNIT(name, number, text) UNITS_##name = number,
enum { IE_TYPES(TYPE) };
enum { IE_SEMANTICS(NUMBER) };
enum { IE_UNITS(UNIT) };

#define ELEMENT(number, text, kind, meaning, unit, low, high, old, reverse) \
	[number] = {                                                        \
		.id = number,                                               \
		.length = LENGTH_##kind,                                    \
		.type = TYPE_##kind,                                        \
		.semantics = SEMANTICS_##meaning,                           \
		.units = UNITS_##unit,                                      \
		.reversible = reverse,                                      \
		.deprecated = old,                                          \
		.name = #text,                                              \
		.range_min = low,                                           \
		.range_max = high,                                          \
	},

const struct ie iana_elements[] = {
#include "src/ipfix/elements.inc"
};

const uint32_t iana_elements_end =
	sizeof(iana_elements) / sizeof(iana_elements[0]);
