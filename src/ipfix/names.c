/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Names to numbers and back. */
#include "names.h"

#include <errno.h>
#include <string.h>

#define TYPE_NAME(name, number, octets) [number] = #name,
#define TYPE_LENGTH(name, number, octets) [number] = octets,
#define NAME(name, number) [number] = #name,
#define UNIT_NAME(name, number, text) [number] = text,

static const char *const type_names[] = {IE_TYPES(TYPE_NAME)};
static const uint16_t type_lengths[] = {IE_TYPES(TYPE_LENGTH)};
static const char *const semantics_names[] = {IE_SEMANTICS(NAME)};
static const char *const units_names[] = {IE_UNITS(UNIT_NAME)};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int
find(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -EINVAL;
}

const char *
ie_type_name(uint8_t type)
{
	return type < COUNT(type_names) ? type_names[type] : "unassigned";
}

const char *
ie_semantics_name(uint8_t semantics)
{
	return semantics < COUNT(semantics_names) ? semantics_names[semantics]
						  : "unassigned";
}

const char *
ie_units_name(uint8_t units)
{
	return units && units < COUNT(units_names) ? units_names[units] : "";
}

int
ie_type_parse(const char *name)
{
	return find(type_names, COUNT(type_names), name);
}

int
ie_semantics_parse(const char *name)
{
	return find(semantics_names, COUNT(semantics_names), name);
}

int
ie_units_parse(const char *name)
{
	if (*name == 0)
		return 0;
	return find(units_names, COUNT(units_names), name);
}

uint16_t
ie_type_length(uint8_t type)
{
	return type < COUNT(type_lengths) ? type_lengths[type] : IE_VARIABLE;
}
