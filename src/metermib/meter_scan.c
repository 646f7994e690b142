/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rule sets does the meter have, and which of them do we read? Asked at
 * the start of each round: managers load and drop rule sets at any time, and
 * the same one may come back under another index with its name as before.
 *
 * A meter of RFC 2064 shows the flows of all rule sets in one table; there we
 * read one "set" of index 0.
 */
#include <stdlib.h>

#include "meter_pdu.h"
#include "reader.h"

static bool
asked_for(const struct meter_reader *reader, unsigned index, const char *name)
{
	const struct meter_reader_conf *conf = &reader->conf;

	/* A packet counts once in each: other sets would count ours again. */
	if (!conf->rule_set_count)
		return !reader->manager ||
		       meter_manager_named(reader->manager, name);
	for (unsigned i = 0; i < conf->rule_set_count; i++) {
		char *end;
		unsigned long number = strtoul(conf->rule_set[i], &end, 10);

		if (*end == '\0' ? number == index :
				   strcmp(conf->rule_set[i], name) == 0)
			return true;
	}
	return false;
}

static void
want(struct meter_reader *reader, uint8_t index, const char *name)
{
	struct meter_rule_set *set = meter_reader_set(reader, index, true);

	if (!set)
		return;
	set->seen = true;
	set->wanted = true;
	snprintf(set->name, sizeof(set->name), "%s", name);
}

static void
scan_row(struct meter_reader *reader, uint32_t index,
	 netsnmp_variable_list *const variable[])
{
	char name[NAME_MAX_OCTETS + 1] = "";
	const netsnmp_variable_list *v = variable[1];
	uint64_t status = 0;

	if (!variable_number(variable[0], &status) || status != ROW_ACTIVE)
		return;
	if (v && v->type == ASN_OCTET_STR)
		snprintf(name, sizeof(name), "%.*s",
			 (int)(v->val_len < sizeof(name) ? v->val_len :
							   sizeof(name) - 1),
			 (const char *)v->val.string);
	if (!asked_for(reader, index, name))
		return;
	if (index > RULE_SETS_MAX) {
		meter_reader_log(reader, LOG_LEVEL_WARNING,
				 "rule set %u cannot be read: flow data has "
				 "room for numbers up to 255", index);
		return;
	}
	want(reader, (uint8_t)index, name);
}

static void
scan_done(struct meter_reader *reader)
{
	unsigned wanted = 0;

	/* A meter that hides its rule sets may still show their flows. */
	if (reader->walk.rows == 0)
		for (unsigned i = 0; i < reader->conf.rule_set_count; i++) {
			unsigned long number =
				strtoul(reader->conf.rule_set[i], NULL, 10);

			if (number >= 1 && number <= RULE_SETS_MAX)
				want(reader, (uint8_t)number, "");
		}
	for (unsigned i = 0; i <= RULE_SETS_MAX; i++)
		wanted += reader->set[i] && reader->set[i]->wanted;
	if (!wanted)
		meter_reader_log(reader, LOG_LEVEL_NOTICE,
				 "has no active rule set that we read");
	meter_reader_next(reader);
}

void
meter_scan_begin(struct meter_reader *reader)
{
	static const oid entry[] = {OID_RULE_INFO};
	struct meter_walk *walk = &reader->walk;

	for (unsigned i = 0; i <= RULE_SETS_MAX; i++)
		if (reader->set[i])
			reader->set[i]->seen = reader->set[i]->wanted = false;
	if (reader->rfc2064) {
		want(reader, 0, "");
		meter_reader_next(reader);
		return;
	}
	memcpy(walk->entry, entry, sizeof(entry));
	walk->entry_length = OID_COUNT(entry);
	walk->column[0] = RULE_INFO_STATUS;
	walk->column[1] = RULE_INFO_NAME;
	walk->columns = 2;
	walk->row = scan_row;
	walk->done = scan_done;
	meter_walk_begin(reader);
}
