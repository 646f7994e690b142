/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects in the order of their identifiers: control tables, scalars, flow
 * table, packages, rules. A table's objects go column by column, in each the
 * rows by index. What comes after an identifier is found by the table itself,
 * which may be given any parts of an index, too few or too many.
 */
#include "mib.h"

#include <string.h>

enum section_kind {
	SECTION_CONTROL,
	SECTION_FLOW,
	SECTION_PACKAGE,
};

struct section {
	uint8_t kind;
	uint8_t table; /* enum control_table */
	uint8_t parts; /* of prefix */
	uint8_t index; /* parts of a row's index */
	uint8_t prefix[MIB_TABLE_PARTS];
};

static const struct section sections[] = {
	{SECTION_CONTROL, CONTROL_RULE_SET, 3, 1, {1, 1, 1}},
	{SECTION_CONTROL, CONTROL_INTERFACE, 3, 1, {1, 2, 1}},
	{SECTION_CONTROL, CONTROL_READER, 3, 1, {1, 3, 1}},
	{SECTION_CONTROL, CONTROL_MANAGER, 3, 1, {1, 4, 1}},
	{SECTION_CONTROL, CONTROL_SCALAR, 1, 1, {1}},
	{SECTION_FLOW, 0, 3, 0, {2, 1, 1}},
	{SECTION_PACKAGE, 0, 3, 0, {2, 3, 1}},
	{SECTION_CONTROL, CONTROL_RULE, 3, 2, {3, 1, 1}},
};

enum { SECTIONS = sizeof(sections) / sizeof(sections[0]) };

/*
 * Where an identifier lies: below 0: before all of the section, 0: in it, above
 * 0: behind it. One too short to tell is before it.
 */
static int
compare(const struct mib_oid *oid, const struct section *section)
{
	for (unsigned i = 0; i < section->parts; i++) {
		if (i == oid->length || oid->id[i] < section->prefix[i])
			return -1;
		if (oid->id[i] > section->prefix[i])
			return 1;
	}
	return 0;
}

static bool
split(const struct section *section, const struct mib_oid *oid,
      unsigned *sub_id, struct control_row *row)
{
	unsigned at = section->parts;

	if (compare(oid, section) != 0 ||
	    oid->length != at + 1u + section->index)
		return false;
	*sub_id = oid->id[at];
	row->a = oid->id[at + 1];
	row->b = section->index == 2 ? oid->id[at + 2] : 0;
	return true;
}

bool
mib_control(const struct mib_oid *oid, enum control_table *table,
	    unsigned *sub_id, struct control_row *row)
{
	for (unsigned i = 0; i < SECTIONS; i++)
		if (sections[i].kind == SECTION_CONTROL &&
		    split(&sections[i], oid, sub_id, row) &&
		    control_column(sections[i].table, *sub_id)) {
			*table = sections[i].table;
			return true;
		}
	return false;
}

static bool
shown(const struct mib *mib, const struct control_column *column)
{
	return (mib->rfc2064 ? column->old_access : column->access) !=
	       CONTROL_NONE;
}

bool
mib_get(struct mib *mib, const struct mib_oid *oid, struct value *value)
{
	enum control_table table;
	struct control_row row;
	unsigned sub_id;

	if (mib_control(oid, &table, &sub_id, &row))
		return shown(mib, control_column(table, sub_id)) &&
		       control_get(mib->meter, table, sub_id, row, value);
	return mib_flow_get(mib, oid, value) ||
	       mib_package_get(mib, oid, value);
}

/* The row after the parts of an index that are given, in one column. */
static bool
next_row(const struct mib *mib, const struct section *section,
	 const uint32_t *index, unsigned parts, struct control_row *row)
{
	if (section->table == CONTROL_SCALAR) {
		*row = (struct control_row){0, 0};
		return parts == 0;
	}
	row->a = parts > 0 ? index[0] : 0;
	row->b = parts > 1 && section->index == 2 ? index[1] : 0;
	return control_row_next(mib->meter, section->table, row);
}

static bool
next_control(struct mib *mib, const struct section *section,
	     struct mib_oid *oid, struct value *value)
{
	unsigned at = section->parts, count;
	const struct control_column *column =
		control_columns(section->table, &count);
	uint32_t first = oid->length > at ? oid->id[at] : 0;

	for (unsigned i = 0; i < count; i++) {
		unsigned parts = 0;
		struct control_row row;

		if (column[i].sub_id < first || !shown(mib, &column[i]))
			continue;
		if (column[i].sub_id == first)
			parts = oid->length - at - 1;
		if (!next_row(mib, section, &oid->id[at + 1], parts, &row) ||
		    !control_get(mib->meter, section->table, column[i].sub_id,
				 row, value))
			continue;
		oid->id[at] = column[i].sub_id;
		oid->id[at + 1] = row.a;
		if (section->index == 2)
			oid->id[at + 2] = row.b;
		oid->length = at + 1u + section->index;
		return true;
	}
	return false;
}

bool
mib_next(struct mib *mib, struct mib_oid *oid, bool without_counter64,
	 struct value *value)
{
	for (unsigned i = 0; i < SECTIONS; i++) {
		const struct section *section = &sections[i];
		int order = compare(oid, section);
		bool found;

		if (order > 0)
			continue;
		if (order < 0) {
			oid->length = section->parts;
			for (unsigned j = 0; j < section->parts; j++)
				oid->id[j] = section->prefix[j];
		}
		if (section->kind == SECTION_FLOW)
			found = mib_flow_next(mib, oid, without_counter64,
					      value);
		else if (section->kind == SECTION_PACKAGE)
			found = mib_package_next(mib, oid, value);
		else
			found = next_control(mib, section, oid, value);
		if (found)
			return true;
	}
	return false;
}
