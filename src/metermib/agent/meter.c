/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter as a whole: its Uptime, which rule sets run, and what happens by
 * itself.
 *
 * Recovery of flows. RFC 2720 flowReaderLastTime: a flow that was idle since
 * PreviousTime of every reader of its rule set has been collected. We take
 * "since" strictly: a flow that counted in the very tick of PreviousTime may
 * have done so after its collection had begun. It must also have been idle for
 * flowInactivityTimeout. Without a reader row the second alone decides.
 *
 * Flood. RFC 2720 leaves to the meter what it does above flowFloodMark: we make
 * no new flows until a manager has ended flood mode; those there go on
 * counting. High water mark: the task changes to its standby rule set, or runs
 * none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/hash.h"
#include "control.h"
#include "matcher.h"

enum {
	FLOOD_MARK = 95,	 /* per cent, RFC 2720 DEFVAL */
	NOT_READY_TIMEOUT = 300, /* s: RFC 2579 suggests 5 minutes */
	RECYCLE_AT_ONCE = 5000,	 /* flows of one tick */
};

static void
start(struct meter *meter, uint32_t uptime, uint64_t now_ms)
{
	static const char owner[] = "meter";
	struct manager_row *task = &meter->manager[0];

	meter->start_ms = now_ms - (uint64_t)(uptime ? uptime : 1) * 10;
	meter->flood_mark = FLOOD_MARK;
	meter->inactivity_timeout = meter->inactivity;
	meter->flood_mode = false;
	for (unsigned i = 0; i < METER_ROWS; i++) {
		meter->interface[i].sample_rate = 1;
		meter->interface[i].lost_packets = 0;
	}
	memset(meter->reader, 0, sizeof(meter->reader));
	memset(meter->manager, 0, sizeof(meter->manager));
	*task = (struct manager_row){.index = 1,
				     .current = RULE_SET_DEFAULT,
				     .status = ROW_ACTIVE,
				     .counter_wrap = 1,
				     .owner.length = sizeof(owner) - 1};
	memcpy(task->owner.octets, owner, sizeof(owner) - 1);
	meter->uptime = 0;
	meter_advance(meter, now_ms);
	meter_update(meter);
}

struct meter *
meter_new(const struct meter_config *config, uint64_t now_ms)
{
	struct meter *meter = calloc(1, sizeof(*meter));

	if (!meter)
		return NULL;
	meter->inactivity = config->inactivity;
	meter->random = hash_seed();
	meter->rules = rule_store_new(config->max_rules);
	meter->flows =
		meter_table_new(config->max_flows, config->all_rule_sets);
	meter->answers = answers_new(config->max_flows);
	if (!meter->rules || !meter->flows || !meter->answers) {
		meter_free(meter);
		return NULL;
	}
	start(meter, config->uptime, now_ms);
	return meter;
}

void
meter_free(struct meter *meter)
{
	if (!meter)
		return;
	for (unsigned i = 0; i <= RULE_SET_MAX; i++)
		matcher_free(meter->matcher[i]);
	free(meter->answers);
	rule_store_free(meter->rules);
	meter_table_free(meter->flows);
	free(meter);
}

void
meter_restart(struct meter *meter, uint64_t now_ms)
{
	uint32_t number = RULE_SET_DEFAULT;

	meter_table_clear(meter->flows, 0, FLOW_END_RESTART);
	while ((number = rule_store_next(meter->rules, number)))
		rule_store_remove(meter->rules, number);
	start(meter, 0, now_ms);
}

struct meter_table *
meter_flows(struct meter *meter)
{
	return meter->flows;
}

uint32_t
meter_advance(struct meter *meter, uint64_t now_ms)
{
	uint64_t uptime = (now_ms - meter->start_ms) / 10;

	meter->now_ms = now_ms;
	if (uptime <= meter->uptime)
		return (uint32_t)meter->uptime;
	/*
	 * Times before the wrap would be in the future after it (RFC 4502 on
	 * TimeFilter). 0 is skipped, it stands for never.
	 */
	if (uptime >> 32 != meter->uptime >> 32) {
		meter_table_clear(meter->flows, 0, FLOW_END_RESTART);
		for (unsigned i = 0; i < METER_ROWS; i++) {
			meter->reader[i].last_time = 0;
			meter->reader[i].previous_time = 0;
		}
	}
	meter->uptime = (uint32_t)uptime ? uptime : uptime + 1;
	return (uint32_t)meter->uptime;
}

/* The rule set that a task runs now, or 0. */
static uint32_t
task_runs(const struct meter *meter, const struct manager_row *task)
{
	uint32_t number = task->running_standby ? task->standby : task->current;
	const struct rule_set *set = rule_store_find(meter->rules, number);

	if (!task->index || task->status != ROW_ACTIVE || !set ||
	    set->status != ROW_ACTIVE)
		return 0;
	return number;
}

void
meter_update(struct meter *meter)
{
	memset(meter->running, 0, sizeof(meter->running));
	for (unsigned i = 0; i < METER_ROWS; i++)
		if (meter->manager[i].index)
			meter->running[task_runs(meter, &meter->manager[i])] =
				true;
	meter->running[0] = false;
	matchers_update(meter);
}

unsigned
meter_running(const struct meter *meter, uint8_t rule_set[256])
{
	unsigned count = 0;

	for (unsigned i = 1; i <= RULE_SET_MAX; i++)
		if (meter->running[i])
			rule_set[count++] = (uint8_t)i;
	return count;
}

bool
meter_refers(const struct meter *meter, uint32_t rule_set)
{
	for (unsigned i = 0; i < METER_ROWS; i++)
		if (meter->manager[i].index &&
		    (meter->manager[i].current == rule_set ||
		     meter->manager[i].standby == rule_set))
			return true;
	return false;
}

void
meter_rule_set_remove(struct meter *meter, uint32_t rule_set)
{
	meter_table_clear(meter->flows, (uint8_t)rule_set, FLOW_END_DESTROYED);
	rule_store_remove(meter->rules, rule_set);
}

/* Whether so many flows are more than a mark of 1 to 99 per cent. */
static bool
above(const struct meter *meter, uint32_t flows, uint32_t mark)
{
	return mark > 0 && mark < 100 &&
	       (uint64_t)flows * 100 >
		       (uint64_t)meter_table_max(meter->flows) * mark;
}

void
meter_look_at_marks(struct meter *meter)
{
	uint32_t flows = meter_table_flows(meter->flows, 0);

	if (above(meter, flows, meter->flood_mark))
		meter->flood_mode = true;
	for (unsigned i = 0; i < METER_ROWS; i++) {
		struct manager_row *task = &meter->manager[i];

		if (!task->index || task->status != ROW_ACTIVE ||
		    task->running_standby ||
		    !above(meter, flows, task->high_water_mark))
			continue;
		task->running_standby = true;
		meter_update(meter);
	}
}

int
meter_flow_find(struct meter *meter, const struct flow_key *key,
		struct meter_flow **flow)
{
	*flow = meter_table_find(meter->flows, key);
	if (*flow)
		return 0;
	if (meter->flood_mode)
		return -ENOSPC;
	return meter_table_add(meter->flows, key, (uint32_t)meter->uptime,
			       flow);
}

int
meter_count(struct meter *meter, const struct flow_key *key,
	    enum flow_direction direction, uint64_t octets, uint64_t pdus,
	    uint64_t now_ms)
{
	uint32_t now = meter_advance(meter, now_ms);
	struct meter_flow *flow;
	uint32_t flows;
	int err;

	if (!meter->running[key->rule_set])
		return -ENOENT;
	flows = meter_table_flows(meter->flows, 0);
	err = meter_flow_find(meter, key, &flow);
	if (err)
		return err;
	if (meter_table_flows(meter->flows, 0) != flows)
		meter_look_at_marks(meter);
	meter_table_count(meter->flows, flow, direction, octets, pdus, now);
	return 0;
}

int
meter_interface_add(struct meter *meter, uint32_t if_index)
{
	if (meter_interface(meter, if_index))
		return -EEXIST;
	for (unsigned i = 0; i < METER_ROWS; i++)
		if (!meter->interface[i].index) {
			meter->interface[i] = (struct interface_row){
				.index = if_index, .sample_rate = 1};
			return 0;
		}
	return -ENOSPC;
}

uint32_t
meter_interface_rate(const struct meter *meter, uint32_t if_index)
{
	const struct interface_row *interface =
		meter_interface(meter, if_index);

	return interface ? interface->sample_rate : 1;
}

void
meter_interface_lost(struct meter *meter, uint32_t if_index, uint32_t packets)
{
	struct interface_row *interface = meter_interface(meter, if_index);

	if (interface)
		interface->lost_packets += packets;
}

/* Rows whose reader stays away, and those that nobody finished. */
static void
expire_readers(struct meter *meter)
{
	for (unsigned i = 0; i < METER_ROWS; i++) {
		struct reader_row *reader = &meter->reader[i];
		uint64_t timeout = reader->timeout;

		if (!reader->index)
			continue;
		if (timeout == 0 && reader->status == ROW_NOT_READY)
			timeout = NOT_READY_TIMEOUT;
		if (timeout && meter->now_ms - reader->seen_ms > timeout * 1000)
			reader->index = 0;
	}
}

/*
 * Gives up idle flows of a rule set, oldest first, as long as all are read.
 * Returns how many.
 */
static unsigned
recycle(struct meter *meter, unsigned rule_set, uint32_t read_before,
	unsigned limit)
{
	uint64_t idle = (uint64_t)meter->inactivity_timeout * 100;
	uint32_t now = (uint32_t)meter->uptime;
	struct meter_flow *flow;
	unsigned count = 0;

	while (count < limit &&
	       (flow = meter_table_oldest(meter->flows, (uint8_t)rule_set)) &&
	       now - flow->last_time >= idle && flow->last_time < read_before) {
		meter_table_remove(meter->flows, flow, FLOW_END_RECYCLED);
		count++;
	}
	return count;
}

void
meter_tick(struct meter *meter, uint64_t now_ms)
{
	uint32_t read_before[RULE_SET_MAX + 1];
	unsigned done = 0;

	meter_advance(meter, now_ms);
	expire_readers(meter);
	memset(read_before, 0xff, sizeof(read_before));
	for (unsigned i = 0; i < METER_ROWS; i++) {
		const struct reader_row *reader = &meter->reader[i];

		if (reader->index && reader->rule_set <= RULE_SET_MAX &&
		    reader->status == ROW_ACTIVE &&
		    reader->previous_time < read_before[reader->rule_set])
			read_before[reader->rule_set] = reader->previous_time;
	}
	/* A reader of RFC 2064 has no rule set: it reads them all. */
	for (unsigned i = 1; i <= RULE_SET_MAX; i++)
		if (read_before[0] < read_before[i])
			read_before[i] = read_before[0];
	for (unsigned i = 1; i <= RULE_SET_MAX && done < RECYCLE_AT_ONCE; i++)
		done += recycle(meter, i, read_before[i],
				RECYCLE_AT_ONCE - done);
	meter_look_at_marks(meter);
}
