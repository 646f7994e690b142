/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "conflux/ledger.h"

static const char *const name[LOSS_COUNT] = {
	[LOSS_NO_TEMPLATE] = "noTemplate",
	[LOSS_MALFORMED] = "malformed",
	[LOSS_SEQUENCE_GAP] = "sequenceGap",
	[LOSS_KERNEL_DROP] = "kernelDrop",
	[LOSS_QUEUE_FULL] = "queueFull",
	[LOSS_CACHE_FULL] = "cacheFull",
	[LOSS_DESTINATION_DOWN] = "destinationDown",
	[LOSS_TOO_LONG] = "tooLong",
	[LOSS_LIMIT] = "limit",
	[LOSS_NO_MEMORY] = "noMemory",
	[LOSS_WRITE_ERROR] = "writeError",
	[LOSS_INTERFACE_DROP] = "interfaceDrop",
	[LOSS_OVERLOAD] = "overload",
	[LOSS_LIFETIME] = "lifetimeOver",
	[LOSS_LOOP] = "loop",
	[LOSS_SPOOL_FULL] = "spoolFull",
	[LOSS_SPOOL_AGE] = "spoolAge",
	[LOSS_SPOOL_TORN] = "spoolTorn",
	[LOSS_DISK_FULL] = "diskFull",
	[LOSS_UNFIT] = "unfit",
	[LOSS_NO_FIELD] = "noField",
};

const char *
loss_name(enum loss loss)
{
	return name[loss];
}

uint64_t
ledger_lost(const struct ledger *ledger)
{
	uint64_t sum = 0;

	/* What never arrived is not part of in, and so not of this sum. */
	for (int i = 0; i < LOSS_COUNT; i++)
		if (i != LOSS_SEQUENCE_GAP && i != LOSS_KERNEL_DROP &&
		    i != LOSS_INTERFACE_DROP)
			sum += ledger->lost[i];
	return sum;
}

bool
ledger_balanced(const struct ledger *ledger)
{
	return ledger->in + ledger->split ==
	       ledger->exported + ledger->merged + ledger->filtered +
		       ledger->held + ledger_lost(ledger);
}

void
ledger_add(struct ledger *sum, const struct ledger *ledger)
{
	sum->in += ledger->in;
	sum->split += ledger->split;
	sum->exported += ledger->exported;
	sum->merged += ledger->merged;
	sum->filtered += ledger->filtered;
	sum->held += ledger->held;
	sum->doubtful += ledger->doubtful;
	for (int i = 0; i < LOSS_COUNT; i++)
		sum->lost[i] += ledger->lost[i];
}

void
ledger_report(const struct ledger *ledger, struct report *report)
{
	report_open(report, "cx:ledger");
	report_uint(report, "in", ledger->in);
	if (ledger->split)
		report_uint(report, "split", ledger->split);
	report_uint(report, "exported", ledger->exported);
	report_uint(report, "merged", ledger->merged);
	report_uint(report, "filtered", ledger->filtered);
	report_uint(report, "held", ledger->held);
	report_uint(report, "lost", ledger_lost(ledger));
	for (int i = 0; i < LOSS_COUNT; i++)
		if (ledger->lost[i])
			report_uint(report, name[i], ledger->lost[i]);
	if (ledger->doubtful)
		report_uint(report, "doubtful", ledger->doubtful);
	report_close(report);
}
