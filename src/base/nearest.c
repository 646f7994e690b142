/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "conflux/nearest.h"

#include <ctype.h>
#include <string.h>

enum { LONGEST = 80 }; /* names that are longer are like no other */

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
	unsigned row[3][LONGEST + 1];
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
nearest_start(const char *name)
{
	size_t length = strlen(name);

	return (unsigned)(length < 6 ? 2 : length / 3) + 1;
}

bool
nearest_closer(const char *name, const char *candidate, unsigned *distance)
{
	size_t m = strlen(name), n = strlen(candidate);
	unsigned d;

	if (m > LONGEST || n > LONGEST || (m > n ? m - n : n - m) >= *distance)
		return false;
	d = edit_distance(name, m, candidate, n);
	if (d >= *distance || d >= n)
		return false;
	*distance = d;
	return true;
}
