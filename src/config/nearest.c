/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The nearest right name to a wrong one: least number of letters added, left
 * out, changed or swapped with their neighbour, where case does not count.
 */
#include <ctype.h>
#include <string.h>

#include "tree.h"

#define NEAREST_LENGTH 48

static unsigned
min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

static bool
same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Optimal string alignment, three rows of the matrix. */
static unsigned
edit_distance(const char *a, size_t m, const char *b, size_t n)
{
	unsigned row[3][NEAREST_LENGTH + 1];
	unsigned *two = row[0], *one = row[1], *now = row[2], *tmp;

	for (size_t j = 0; j <= n; j++)
		one[j] = (unsigned)j;
	for (size_t i = 1; i <= m; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= n; j++) {
			unsigned change = !same(a[i - 1], b[j - 1]);

			now[j] = min3(one[j] + 1, now[j - 1] + 1,
				      one[j - 1] + change);
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) &&
			    same(a[i - 2], b[j - 1]) && two[j - 2] + 1 < now[j])
				now[j] = two[j - 2] + 1;
		}
		tmp = two;
		two = one;
		one = now;
		now = tmp;
	}
	return one[n];
}

unsigned
conf_nearest_start(const char *name)
{
	size_t length = strlen(name);

	/* A third of the letters may differ, else it is another word. */
	return (unsigned)(length < 6 ? 2 : length / 3) + 1;
}

bool
conf_nearer(const char *name, const char *candidate, unsigned *distance)
{
	size_t m = strlen(name), n = strlen(candidate);
	unsigned d;

	if (m > NEAREST_LENGTH || n > NEAREST_LENGTH)
		return false;
	d = edit_distance(name, m, candidate, n);
	if (d >= *distance || d >= n)
		return false;
	*distance = d;
	return true;
}

const char *
conf_nearest_value(const struct conf_row *row, const char *text)
{
	unsigned distance = conf_nearest_start(text);
	const char *best = NULL;

	for (const char *const *v = row->values; v && *v; v++)
		if (**v != '!' && conf_nearer(text, *v, &distance))
			best = *v;
	return best;
}
