/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The nearest right name to a wrong one, for messages: least number of letters
 * added, left out, changed or swapped with their neighbour; case does not
 * count.
 *
 *	unsigned distance = nearest_start(wrong);
 *	for each right name
 *		if (nearest_closer(wrong, right, &distance))
 *			best = right;
 */
#ifndef CONFLUX_NEAREST_H
#define CONFLUX_NEAREST_H

#include <stdbool.h>

/* One more than may differ: a third of the letters, else it is another word. */
unsigned nearest_start(const char *name);

/*
 * Is candidate more like name than the best so far? *distance is lowered then,
 * so of equally near ones the first wins. Costs length times length.
 */
bool nearest_closer(const char *name, const char *candidate,
		    unsigned *distance);

#endif
