/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Walking the table of rows; the rows themselves are in rows_*.c. */
#include "rows.h"

#include <string.h>

static bool
row_groups(const struct conf_row *row)
{
	return row->kind == CONF_GROUP || row->kind == CONF_CHOICE;
}

/* *left rows are still to be stepped over. */
static const struct conf_row *
row_at(const struct conf_row *rows, unsigned *left)
{
	const struct conf_row *found;

	for (; rows->kind != CONF_END; rows++) {
		if (row_groups(rows)) {
			found = row_at(rows->rows, left);
			if (found)
				return found;
		} else if ((*left)-- == 0) {
			return rows;
		}
	}
	return NULL;
}

const struct conf_row *
conf_row_next(const struct conf_row *rows, unsigned *at)
{
	unsigned left = *at;
	const struct conf_row *row = rows ? row_at(rows, &left) : NULL;

	if (row)
		(*at)++;
	return row;
}

const struct conf_row *
conf_row_find(const struct conf_row *rows, const char *name, int cx)
{
	const struct conf_row *found;

	for (; rows && rows->kind != CONF_END; rows++) {
		if (row_groups(rows)) {
			found = conf_row_find(rows->rows, name, cx);
			if (found)
				return found;
		} else if ((cx < 0 || rows->cx == (cx == 1)) &&
			   strcmp(rows->name, name) == 0) {
			return rows;
		}
	}
	return NULL;
}
