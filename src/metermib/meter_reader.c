/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a reader: rounds, each of which asks the meter what it is (once),
 * looks after our rule set if we are its manager, asks which rule sets there
 * are, makes sure of our reader rows, makes a pass over each rule set, and at
 * last sends Options Data that describe the meter.
 *
 * A round that fails is tried again after a time that doubles up to maxBackoff;
 * a pass that was begun stays open and is gone on with. A meter that answers
 * waits for its interval, give or take the jitter, so that hundreds of them do
 * not ask at the same moment. One timer and one socket each: a dead meter costs
 * the others nothing.
 *
 * Ledger: "in" are readings with something new (and rows that could not be
 * read) and Options Data Records; "split" the second records of flows that became two uniflows; lost:
 * malformed (row or package cannot be read), limit (maxFlows, elements or
 * shapes exhausted), tooLong, noMemory. Rows without news and baselines are not
 * in it: they are no records.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdlib.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "meter_options.h"
#include "reader.h"

enum {
	BACKOFF_MS = 2000,  /* first wait of a meter that does not answer */
	START_MS = 100,	    /* all readers start within this, plus jitter */
	DRAIN_POLL_MS = 10,
	STOP_PART = 2, /* of the time to stop: for a last pass */
};

static void round_begin(struct meter_reader *reader);
static void stop_step(struct meter_reader *reader);

void
meter_reader_log(struct meter_reader *reader, enum log_level level,
		 const char *format, ...)
{
	char text[512];
	uint32_t held = 0;
	va_list args;

	if (level > log_get_level())
		return;
	if (level < LOG_LEVEL_DEBUG &&
	    !log_limit_pass(&reader->limit, clock_mono_ms(), &held))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (held)
		log_write(level, "meter %s (%s) %s (%u lines held back)",
			  reader->name, reader->peer, text, held);
	else
		log_write(level, "meter %s (%s) %s", reader->name,
			  reader->peer, text);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct meter_reader *reader = arg;
	void (*resume)(struct meter_reader *) = reader->resume;

	reader->resume = NULL;
	if (resume)
		resume(reader);
}

void
meter_reader_later(struct meter_reader *reader, uint32_t ms,
		   void (*resume)(struct meter_reader *reader))
{
	struct timeval tv = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};

	reader->resume = resume;
	evtimer_add(reader->timer, &tv);
}

void
meter_reader_send(struct meter_reader *reader, netsnmp_pdu *pdu,
		  unsigned flags, snmp_done answer)
{
	reader->counts.requests++;
	meter_session_send(reader->session, pdu, flags, answer, reader);
}

struct moment
meter_reader_moment(struct meter_reader *reader,
		    const struct snmp_reply *reply)
{
	uint64_t now = clock_mono_ms(), wall = clock_wall_ms(), ago;
	uint64_t trip = reply->received_ms > reply->sent_ms ?
		reply->received_ms - reply->sent_ms : 0;

	if (reply->result == SNMP_REPLY)
		reader->round_trip_ms = (uint32_t)trip;
	else
		trip = reader->round_trip_ms;
	ago = wall > reply->sent_ms ? wall - reply->sent_ms : 0;
	ago = ago > trip / 2 ? ago - trip / 2 : 0;
	return (struct moment){wall - ago, now > ago ? now - ago : 0};
}

struct meter_rule_set *
meter_reader_set(struct meter_reader *reader, uint8_t index, bool add)
{
	if (!reader->set[index] && add) {
		reader->set[index] = calloc(1, sizeof(**reader->set));
		if (reader->set[index])
			reader->set[index]->index = index;
	}
	return reader->set[index];
}

bool
meter_reader_lost(struct meter_reader *reader, const struct snmp_reply *reply)
{
	if (reply->result == SNMP_REPLY)
		return false;
	reader->counts.timeouts += reply->result == SNMP_TIMEOUT;
	/* Whatever was learnt of the engine may be why. */
	meter_session_drop(reader->session);
	meter_reader_fail(reader, reply->reason);
	return true;
}

/* A random number from 0 to n - 1, for jitter. */
static uint32_t
any_of(struct meter_reader *reader, uint32_t n)
{
	reader->random = hash_u64(reader->random, 0x6a69747465720000u);
	return n ? (uint32_t)(reader->random % n) : 0;
}

static uint32_t
jitter_ms(struct meter_reader *reader)
{
	return any_of(reader, reader->conf.interval * 10 *
				      reader->conf.jitter + 1);
}

/* The next round is due at times an interval apart, then spread. */
static void
schedule(struct meter_reader *reader)
{
	uint64_t now = clock_mono_ms();
	uint64_t interval = (uint64_t)reader->conf.interval * 1000;
	uint64_t due = reader->round_due_ms + interval;
	uint32_t spread = jitter_ms(reader);

	if (due < now)
		due = now;
	reader->round_due_ms = due;
	/* Half before, half after: the mean stays the interval. */
	due += spread;
	due -= (uint64_t)reader->conf.interval * 5 * reader->conf.jitter;
	if (due < now)
		due = now;
	meter_reader_later(reader, (uint32_t)(due - now), round_begin);
}

void
meter_reader_fail(struct meter_reader *reader, const char *reason)
{
	uint64_t wait = (uint64_t)BACKOFF_MS
			<< (reader->failures < 16 ? reader->failures : 16);
	uint64_t most = (uint64_t)reader->conf.max_backoff * 1000;

	if (reader->phase == PHASE_PASS)
		meter_read_leave(reader);
	meter_map_flush(reader->map, clock_wall_ms());
	reader->counts.failed++;
	reader->failures++;
	if (reader->alive || reader->failures == 1)
		meter_reader_log(reader, LOG_LEVEL_WARNING,
				 "is not read: %s", reason);
	reader->alive = false;
	if (reader->phase >= PHASE_LEAVE) {
		/* No use to ask it for more. */
		reader->phase = PHASE_ENDED;
		stop_step(reader);
		return;
	}
	reader->phase = PHASE_IDLE;
	if (reader->stopping) {
		reader->final_pass = false;
		stop_step(reader);
		return;
	}
	if (wait > most)
		wait = most;
	if (reader->failures > 1)
		wait -= any_of(reader, (uint32_t)(wait / 4) + 1);
	/* The module may have changed with the meter. */
	if (reader->failures > 3)
		reader->probed = false;
	meter_reader_later(reader, (uint32_t)wait, round_begin);
}

/* The next round, or the end. */
static void
round_leave(struct meter_reader *reader)
{
	reader->phase = PHASE_IDLE;
	if (reader->stopping)
		stop_step(reader);
	else
		schedule(reader);
}

/* All passes were made. */
static void
round_end(struct meter_reader *reader)
{
	if (!reader->alive)
		meter_reader_log(reader, LOG_LEVEL_NOTICE, "is being read");
	reader->alive = true;
	reader->failures = 0;
	reader->rounds++;
	if (reader->state_due)
		meter_state_save(reader);
	if (reader->round_started &&
	    reader->conf.first_pass == METER_FIRST_BASELINE) {
		reader->has_start = true;
		reader->start = reader->round_start;
	}
	if (reader->stopping) {
		reader->final_pass = false;
		round_leave(reader);
		return;
	}
	reader->phase = PHASE_DESCRIBE;
	meter_describe_begin(reader);
}

static void
next_pass(struct meter_reader *reader)
{
	for (; reader->set_at <= RULE_SETS_MAX; reader->set_at++) {
		struct meter_rule_set *set = reader->set[reader->set_at];

		if (set && set->wanted) {
			meter_pass_begin(reader, set);
			return;
		}
	}
	round_end(reader);
}

/* What comes after a part of a round. */
void
meter_reader_next(struct meter_reader *reader)
{
	switch (reader->phase) {
	case PHASE_IDLE:
		if (!reader->probed) {
			reader->phase = PHASE_PROBE;
			meter_probe_begin(reader);
			return;
		}
		/* fall through */
	case PHASE_PROBE:
		if (reader->phase == PHASE_PROBE)
			meter_read_init(reader);
		reader->phase = PHASE_MANAGE;
		if (meter_manager_due(reader)) {
			reader->managed = true;
			meter_manager_begin(reader);
			return;
		}
		/* fall through */
	case PHASE_MANAGE:
		reader->phase = PHASE_SCAN;
		meter_scan_begin(reader);
		return;
	case PHASE_SCAN:
		if (!reader->managed && meter_manager_misses(reader)) {
			reader->managed = true;
			reader->phase = PHASE_MANAGE;
			meter_manager_begin(reader);
			return;
		}
		reader->phase = PHASE_ROWS;
		if (meter_rows_missing(reader)) {
			meter_rows_begin(reader);
			return;
		}
		/* fall through */
	case PHASE_ROWS:
		reader->phase = PHASE_PASS;
		next_pass(reader);
		return;
	case PHASE_PASS:
		reader->set_at++;
		next_pass(reader);
		return;
	case PHASE_DESCRIBE:
		round_leave(reader);
		return;
	case PHASE_LEAVE:
		reader->phase = PHASE_LEAVE_MANAGER;
		meter_manager_leave(reader);
		return;
	case PHASE_LEAVE_MANAGER:
		reader->phase = PHASE_ENDED;
		stop_step(reader);
		return;
	case PHASE_ENDED:
		return;
	}
}

static void
round_begin(struct meter_reader *reader)
{
	reader->set_at = 0;
	reader->round_started = false;
	reader->row_trouble = false;
	reader->managed = false;
	meter_reader_next(reader);
}

/* The last that happens: whoever is told may free the stage. */
static void
stop_end(struct meter_reader *reader)
{
	evtimer_del(reader->stop_timer);
	reader->stopped = true;
	stage_pass_scope_end(&reader->stage, &reader->scope);
	if (reader->stop_done)
		reader->stop_done(reader->stop_arg);
}

/* Is called when something has ended, and now and then. */
static void
stop_step(struct meter_reader *reader)
{
	uint64_t now = clock_mono_ms();

	if (now >= reader->stop_by_ms && reader->phase != PHASE_ENDED) {
		meter_session_drop(reader->session);
		if (reader->phase == PHASE_PASS)
			meter_read_leave(reader);
		meter_map_flush(reader->map, clock_wall_ms());
		reader->phase = PHASE_ENDED;
	}
	switch (reader->phase) {
	case PHASE_IDLE:
		if (reader->final_pass) {
			reader->final_pass = false;
			round_begin(reader);
			return;
		}
		reader->phase = PHASE_LEAVE;
		meter_state_save(reader);
		if (reader->failures > 1) {
			/* It would only be waited for. */
			reader->phase = PHASE_ENDED;
			stop_step(reader);
			return;
		}
		meter_rows_leave(reader);
		return;
	case PHASE_ENDED:
		if (atomic_load(&reader->writes) &&
		    now < reader->stop_by_ms + 1000)
			meter_reader_later(reader, DRAIN_POLL_MS, stop_step);
		else if (!reader->stopped)
			meter_reader_later(reader, 0, stop_end);
		return;
	default:
		return; /* goes on by itself */
	}
}

/* The time for the round under way, or for all, is over. */
static void
on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
	struct meter_reader *reader = arg;
	uint64_t now = clock_mono_ms(), left;
	struct timeval tv;

	if (reader->phase > PHASE_IDLE && reader->phase < PHASE_LEAVE &&
	    now >= reader->leave_by_ms) {
		/* Leave the round: the open pass is in the state file. */
		meter_session_drop(reader->session);
		evtimer_del(reader->timer);
		if (reader->phase == PHASE_PASS)
			meter_read_leave(reader);
		meter_map_flush(reader->map, clock_wall_ms());
		reader->phase = PHASE_IDLE;
		reader->final_pass = false;
	}
	if (reader->phase == PHASE_IDLE || now >= reader->stop_by_ms)
		stop_step(reader);
	if (reader->stopped || now >= reader->stop_by_ms)
		return;
	left = reader->stop_by_ms - now;
	tv.tv_sec = (time_t)(left / 1000);
	tv.tv_usec = (suseconds_t)(left % 1000 * 1000);
	evtimer_add(reader->stop_timer, &tv);
}

void
meter_reader_stop(struct stage *stage, uint32_t limit_ms,
		  void (*done)(void *arg), void *arg)
{
	struct meter_reader *reader = reader_of(stage);
	uint64_t now = clock_mono_ms();
	uint32_t part = limit_ms / STOP_PART;
	struct timeval tv = {part / 1000, (suseconds_t)(part % 1000) * 1000};

	if (reader->stopping)
		return;
	reader->stopping = true;
	reader->stop_done = done;
	reader->stop_arg = arg;
	reader->stop_by_ms = now + limit_ms;
	reader->leave_by_ms = now + part;
	/* What the meter counted since the last pass is still fetched. */
	reader->final_pass = reader->alive &&
		(reader->phase == PHASE_IDLE ||
		 reader->phase == PHASE_DESCRIBE);
	if (!reader->started)
		reader->phase = PHASE_ENDED;
	evtimer_add(reader->stop_timer, &tv);
	if (reader->phase == PHASE_IDLE || reader->phase == PHASE_ENDED)
		meter_reader_later(reader, 0, stop_step);
}

static void
reader_run(struct stage *stage, const struct batch *batch)
{
	/* A source: nothing comes before it. */
}

static void
reader_flush(struct stage *stage)
{
	meter_map_flush(reader_of(stage)->map, clock_wall_ms());
}

static bool
reader_drained(const struct stage *stage)
{
	return reader_of(stage)->stopped;
}

static void
report_counts(const struct meter_reader *reader, struct report *report)
{
	const struct meter_counts *c = &reader->counts;

	report_uint(report, "rounds", reader->rounds);
	report_uint(report, "passes", c->passes);
	report_uint(report, "failures", c->failed);
	report_uint(report, "requests", c->requests);
	report_uint(report, "timeouts", c->timeouts);
	report_uint(report, "rows", c->rows);
	report_uint(report, "rowsUnchanged", c->unchanged);
	report_uint(report, "rowsMalformed", c->malformed);
	report_uint(report, "recycledIndexes", c->recycled);
	report_uint(report, "counterRestarts", c->restarted_flows);
	report_uint(report, "meterRestarts", c->restarts);
	report_uint(report, "readerRowsLost", c->rows_lost);
	report_uint(report, "namesNotIncreasing", c->skips);
	report_uint(report, "datagramsFromOthers",
		    meter_session_strangers(reader->session));
	report_uint(report, "optionsRecords",
		    meter_options_sent(reader->options));
	report_uint(report, "optionsNotRead", c->options_failed);
	report_uint(report, "flowsRemembered", reader->flows.count);
	report_uint(report, "layouts", meter_map_layouts(reader->map));
}

static void
reader_report(struct stage *stage, struct report *report)
{
	struct meter_reader *reader = reader_of(stage);

	report_text(report, "meter", reader->peer);
	report_text(report, "status", reader->stopped ? "stopped" :
		    reader->alive ? "reading" :
		    reader->failures ? "notAnswering" : "starting");
	if (reader->probed) {
		report_text(report, "mib",
			    reader->rfc2064 ? "rfc2064" : "rfc2720");
		report_text(report, "access",
			    reader->access == ACCESS_COLUMNS ?
				    "columns" : "packages");
		report_uint(report, "maxRepetitions", reader->repetitions);
		report_uint(report, "meterMaxFlows", reader->max_flows);
	}
	report_counts(reader, report);
	report_list(report, "ruleSet");
	for (unsigned i = 0; i <= RULE_SETS_MAX; i++) {
		const struct meter_rule_set *set = reader->set[i];

		if (!set || !set->wanted)
			continue;
		report_item(report);
		report_uint(report, "index", set->index);
		report_text(report, "name", set->name);
		report_uint(report, "readerRow", set->row);
		report_bool(report, "passOpen", set->open);
		report_close(report);
	}
	report_end_list(report);
	meter_manager_report(reader, report);
}

static void
reader_free(struct stage *stage)
{
	struct meter_reader *reader = reader_of(stage);

	meter_session_free(reader->session);
	if (reader->timer)
		event_free(reader->timer);
	if (reader->stop_timer)
		event_free(reader->stop_timer);
	/* The writer counts down in this memory. */
	while (atomic_load(&reader->writes))
		meter_engine_wait(reader->engine);
	meter_manager_free(reader->manager);
	meter_map_free(reader->map);
	meter_options_free(reader->options);
	meter_flows_fini(&reader->flows);
	for (unsigned i = 0; i <= RULE_SETS_MAX; i++)
		free(reader->set[i]);
	meter_conf_free(reader);
	free(reader);
}

static const struct stage_ops reader_ops = {
	.run = reader_run,
	.flush = reader_flush,
	.drained = reader_drained,
	.report = reader_report,
	.free = reader_free,
};

static int
reader_open(struct meter_reader *reader,
	    const struct meter_reader_conf *conf,
	    struct ie_registry *registry, struct shape_table *shapes)
{
	struct event_base *base = meter_engine_base(reader->engine);
	struct snmp_conf session;
	int err;

	err = meter_conf_copy(reader, conf);
	if (err)
		return err;
	reader->name = reader->conf.name ? reader->conf.name : "";
	reader->stage.name = reader->name;
	addr_parse(&reader->scope.exporter, conf->address, conf->port);
	addr_format(reader->peer, &reader->scope.exporter);
	reader->scope.serial = scope_serial();
	reader->scope.domain = conf->observation_domain_id;
	reader->scope.transport = TRANSPORT_SNMP;
	reader->random = hash_seed();
	err = meter_conf_session(conf, &reader->scope.exporter, &session);
	if (!err)
		err = meter_session_new(reader->engine, &session,
					&reader->session);
	snmp_conf_fini(&session);
	if (err)
		return err;
	meter_flows_init(&reader->flows, conf->max_flows);
	reader->timer = evtimer_new(base, on_timer, reader);
	reader->stop_timer = evtimer_new(base, on_stop_timer, reader);
	if (!reader->timer || !reader->stop_timer)
		return -ENOMEM;
	err = meter_map_new(&reader->conf, registry, shapes, &reader->stage,
			    &reader->scope, &reader->map);
	if (!err)
		err = meter_options_new(&reader->conf, registry, shapes,
					&reader->stage, &reader->scope,
					&reader->options);
	if (!err && reader->conf.manage.rule_set_file)
		err = meter_manager_new(reader);
	return err ? err : meter_state_load(reader);
}

int
meter_reader_new(struct meter_engine *engine,
		 const struct meter_reader_conf *conf,
		 struct ie_registry *registry, struct shape_table *shapes,
		 struct stage **out)
{
	const char *wrong = meter_reader_conf_check(conf);
	struct meter_reader *reader;
	int err;

	if (wrong) {
		log_error("meter %s: %s", conf->name ? conf->name : "",
			  wrong);
		return -EINVAL;
	}
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return -ENOMEM;
	reader->stage.ops = &reader_ops;
	reader->engine = engine;
	err = reader_open(reader, conf, registry, shapes);
	if (err) {
		reader_free(&reader->stage);
		return err;
	}
	*out = &reader->stage;
	return 0;
}

int
meter_reader_start(struct stage *stage)
{
	struct meter_reader *reader = reader_of(stage);
	uint32_t wait = any_of(reader, START_MS) + jitter_ms(reader);

	reader->started = true;
	reader->round_due_ms = clock_mono_ms() + wait;
	meter_reader_later(reader, wait, round_begin);
	return 0;
}

uint64_t
meter_reader_passes(const struct stage *stage)
{
	return reader_of(stage)->counts.passes;
}
