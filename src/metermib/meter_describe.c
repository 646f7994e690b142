/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a round whose passes were all finished: the interface table is
 * read, and what a collector should know of the meter is sent on.
 *
 * Flows come first. The table is optional, so a request for it is sent once
 * only, and a meter that does not answer it is asked less and less often, down
 * to each tenth round. The round is good whatever becomes of it.
 */
#include "conflux/clock.h"
#include "meter_options.h"
#include "meter_pdu.h"
#include "reader.h"

enum { REPEAT_ROUNDS = 10 };

static void
interface_row(struct meter_reader *reader, uint32_t index,
	      netsnmp_variable_list *const variable[])
{
	uint64_t lost, rate;
	uint32_t lost32 = 0, rate32 = 0;
	bool has_lost = variable_number(variable[0], &lost);
	bool has_rate = variable_number(variable[1], &rate) &&
		rate <= INT32_MAX;

	if (has_lost)
		lost32 = (uint32_t)lost;
	if (has_rate)
		rate32 = (uint32_t)rate;
	meter_options_interface(reader->options, index,
				has_rate ? &rate32 : NULL,
				has_lost ? &lost32 : NULL);
}

static void
send_options(struct meter_reader *reader)
{
	if (reader->rounds % REPEAT_ROUNDS == 1)
		meter_options_repeat(reader->options);
	for (unsigned i = 1; i <= RULE_SETS_MAX; i++) {
		const struct meter_rule_set *set = reader->set[i];

		/* One that is gone is not told of again. */
		meter_options_name(reader->options, (uint8_t)i,
				   set && set->wanted ? set->name : "");
	}
	meter_options_send(reader->options, clock_wall_ms());
}

static void
interfaces_done(struct meter_reader *reader)
{
	bool failed = reader->walk.failed;

	meter_options_interfaces_end(reader->options, !failed);
	if (failed) {
		reader->counts.options_failed++;
		if (reader->describe_failures < REPEAT_ROUNDS)
			reader->describe_failures++;
		reader->describe_at = reader->rounds +
			reader->describe_failures;
	} else {
		reader->describe_failures = 0;
	}
	send_options(reader);
	meter_reader_next(reader);
}

void
meter_describe_begin(struct meter_reader *reader)
{
	static const oid entry[] = {OID_INTERFACE};
	struct meter_walk *walk = &reader->walk;

	meter_options_interfaces(reader->options);
	if (reader->rounds < reader->describe_at) {
		meter_options_interfaces_end(reader->options, false);
		send_options(reader);
		meter_reader_next(reader);
		return;
	}
	memcpy(walk->entry, entry, sizeof(entry));
	walk->entry_length = OID_COUNT(entry);
	walk->column[0] = INTERFACE_LOST_PACKETS;
	walk->column[1] = INTERFACE_SAMPLE_RATE;
	walk->columns = 2;
	walk->row = interface_row;
	walk->done = interfaces_done;
	meter_walk_try(reader);
}
