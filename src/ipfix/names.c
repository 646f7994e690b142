/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Names to numbers and back, and the likeness of names. */
#include "names.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { NAME_LONGEST = 127 };

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

/* The distance of Levenshtein, one row of its matrix at a time. */
unsigned
name_distance(const char *a, const char *b, unsigned limit)
{
	size_t length = strlen(b);
	unsigned row[NAME_LONGEST + 1];

	if (length > NAME_LONGEST)
		return limit + 1;
	for (size_t j = 0; j <= length; j++)
		row[j] = (unsigned)j;
	for (size_t i = 0; a[i]; i++) {
		unsigned corner = row[0]++;
		unsigned best = row[0];

		for (size_t j = 1; j <= length; j++) {
			bool same = tolower((unsigned char)a[i]) ==
				    tolower((unsigned char)b[j - 1]);
			unsigned least = corner + !same;

			corner = row[j];
			if (row[j] + 1 < least)
				least = row[j] + 1;
			if (row[j - 1] + 1 < least)
				least = row[j - 1] + 1;
			row[j] = least;
			if (least < best)
				best = least;
		}
		if (best > limit)
			return limit + 1;
	}
	return row[length] > limit ? limit + 1 : row[length];
}

unsigned
name_distance_limit(const char *name)
{
	size_t length = strlen(name);

	return length < 6 ? 2 : (unsigned)(length < 30 ? length / 3 : 10);
}
