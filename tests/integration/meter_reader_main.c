/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter reader alone, for tests: reads one meter (or many, for speed) and
 * prints, at the end, what each flow's records add up to, as CSV:
 *
 *	rule_set,source,dest,protocol,source_port,dest_port,
 *	to_octets,to_pdus,from_octets,from_pdus
 *
 * or with --each a line for each record when it comes. Options Data are only
 * counted (and shown by --json). Ends after --passes
 * passes of every reader, or at SIGTERM. The longest time that the event loop
 * stood still is printed on stderr, with the ledger.
 */
#include <event2/event.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/format.h"
#include "conflux/hash.h"
#include "conflux/log.h"
#include "conflux/meter_reader.h"
#include "conflux/table.h"
#include "conflux/wire.h"

enum { READERS_MAX = 1024, TICK_MS = 5, CHECK_MS = 50 };

struct sum {
	char *key;
	uint64_t counter[4];
};

struct sink {
	struct stage stage;
	struct table table;
	struct text key;
	uint64_t records, options;
	bool print, json;
	bool each; /* a line for each record, at once */
	bool total; /* counters are totals: keep the last */
};

struct program {
	struct event_base *base;
	struct meter_engine *engine;
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct sink sink;
	struct stage *reader[READERS_MAX];
	unsigned readers, stopped;
	uint64_t passes;   /* 0: until a signal */
	uint64_t start_ms, end_ms;
	uint64_t last_tick_us, worst_us;
	bool stopping;
	uint32_t stop_ms;
};

static bool
key_equal(const void *item, const void *key)
{
	return strcmp(((const struct sum *)item)->key, key) == 0;
}

static void
add_value(struct text *text, const struct shape *shape, const uint8_t *record,
	  uint16_t id, uint16_t other, uint16_t third, uint16_t fourth)
{
	const uint16_t ids[] = {id, other, third, fourth};

	for (unsigned i = 0; i < 4; i++) {
		int at = ids[i] ? shape_find(shape, 0, ids[i], 0) : -1;

		if (at < 0)
			continue;
		format_value_text(text, shape->field[at].ie,
				  record + shape->field[at].offset,
				  shape->field[at].length);
		break;
	}
	text_add_char(text, ',');
}

static uint64_t
number(const struct shape *shape, const uint8_t *record, uint32_t pen,
       const uint16_t *ids)
{
	for (; *ids; ids++) {
		int at = shape_find(shape, pen, *ids, 0);

		if (at >= 0)
			return wire_get_uint(record + shape->field[at].offset,
					     shape->field[at].length);
	}
	return 0;
}

static void
print_line(const char *key, const uint64_t value[4])
{
	printf("%s%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", key,
	       value[0], value[1], value[2], value[3]);
}

static void
sink_record(struct sink *sink, const struct batch *batch, uint32_t i)
{
	static const uint16_t octets[] = {352, 1, 353, 85, 0};
	static const uint16_t packets[] = {2, 86, 0};
	static const uint16_t rule_set[] = {26, 0};
	const struct shape *shape = batch->shape;
	uint32_t length;
	const uint8_t *record = batch_record(batch, i, &length);
	struct sum *sum;
	uint64_t value[4];
	uint32_t hash;

	text_reset(&sink->key);
	text_printf(&sink->key, "%" PRIu64 ",",
		    number(shape, record, 32473, rule_set));
	add_value(&sink->key, shape, record, 8, 27, 44, 170);
	add_value(&sink->key, shape, record, 12, 28, 45, 169);
	add_value(&sink->key, shape, record, 4, 0, 0, 0);
	add_value(&sink->key, shape, record, 7, 0, 0, 0);
	add_value(&sink->key, shape, record, 11, 0, 0, 0);
	value[0] = number(shape, record, 0, octets);
	value[1] = number(shape, record, 0, packets);
	value[2] = number(shape, record, IE_PEN_REVERSE, octets);
	value[3] = number(shape, record, IE_PEN_REVERSE, packets);
	if (sink->each) {
		print_line(sink->key.data, value);
		return;
	}
	hash = (uint32_t)hash_bytes(sink->key.data, sink->key.length, 1);
	sum = table_find(&sink->table, hash, key_equal, sink->key.data);
	if (!sum) {
		sum = calloc(1, sizeof(*sum));
		sum->key = strdup(sink->key.data);
		table_add(&sink->table, hash, sum);
	}
	for (unsigned n = 0; n < 4; n++)
		sum->counter[n] = sink->total ? value[n] :
						sum->counter[n] + value[n];
}

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	struct sink *sink = (struct sink *)stage;

	if (batch->shape->scope_count)
		sink->options += batch->count;
	else
		sink->records += batch->count;
	for (uint32_t i = 0; sink->print && !batch->shape->scope_count &&
	     i < batch->count; i++)
		sink_record(sink, batch, i);
	if (sink->each)
		fflush(stdout);
	for (uint32_t i = 0; sink->json && i < batch->count; i++) {
		uint32_t length;
		const uint8_t *record = batch_record(batch, i, &length);

		text_reset(&sink->key);
		format_record_json(&sink->key, batch->shape, record, length);
		fprintf(stderr, "%s\n", sink->key.data);
	}
}

static void
sink_free(struct stage *stage)
{
	struct sink *sink = (struct sink *)stage;
	struct sum *sum;
	uint32_t at = 0;

	while ((sum = table_next(&sink->table, &at))) {
		free(sum->key);
		free(sum);
	}
	table_fini(&sink->table);
	text_fini(&sink->key);
}

static const struct stage_ops sink_ops = {.run = sink_run, .free = sink_free};

static void
print_sums(struct sink *sink)
{
	const struct sum *sum;
	uint32_t at = 0;

	while ((sum = table_next(&sink->table, &at)))
		print_line(sum->key, sum->counter);
	fflush(stdout);
}

static void
on_stopped(void *arg)
{
	struct program *p = arg;

	if (++p->stopped == p->readers)
		event_base_loopbreak(p->base);
}

static void
stop_all(struct program *p)
{
	if (p->stopping)
		return;
	p->stopping = true;
	for (unsigned i = 0; i < p->readers; i++)
		meter_reader_stop(p->reader[i], p->stop_ms, on_stopped, p);
}

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	stop_all(arg);
}

static uint64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct program *p = arg;
	uint64_t now = now_us(), late = now - p->last_tick_us;

	if (late > TICK_MS * 1000 + p->worst_us)
		p->worst_us = late - TICK_MS * 1000;
	p->last_tick_us = now;
	if (!p->passes || p->stopping)
		return;
	for (unsigned i = 0; i < p->readers; i++)
		if (meter_reader_passes(p->reader[i]) < p->passes)
			return;
	p->end_ms = clock_mono_ms();
	stop_all(p);
}

static void
report(struct program *p)
{
	struct ledger sum = {0};
	struct text text = {0};
	struct report r;

	report_begin(&r, &text, false);
	for (unsigned i = 0; i < p->readers; i++) {
		ledger_add(&sum, &p->reader[i]->ledger);
		if (i == 0)
			p->reader[0]->ops->report(p->reader[0], &r);
	}
	ledger_report(&sum, &r);
	report_uint(&r, "records", p->sink.records);
	report_uint(&r, "options", p->sink.options);
	if (p->end_ms)
		report_uint(&r, "milliseconds", p->end_ms - p->start_ms);
	report_uint(&r, "stoodStillMicroseconds", p->worst_us);
	report_end(&r);
	fputs(text.data, stderr);
	text_fini(&text);
}

enum {
	OPT_PASSES = 256, OPT_STATE, OPT_UNIFLOW, OPT_TOTAL, OPT_COUNT,
	OPT_ACCESS, OPT_RULES, OPT_STANDBY, OPT_STOP_RULES, OPT_JSON,
	OPT_QUIET, OPT_OWNER, OPT_TIMEOUT, OPT_RETRIES, OPT_MESSAGE,
	OPT_REPETITIONS, OPT_STOP, OPT_JITTER, OPT_BACKOFF, OPT_EACH,
	OPT_KEEP_ALIVE, OPT_PORTS,
};

static const struct option options[] = {
	{"passes", 1, NULL, OPT_PASSES},
	{"state", 1, NULL, OPT_STATE},
	{"uniflow", 0, NULL, OPT_UNIFLOW},
	{"total", 0, NULL, OPT_TOTAL},
	{"count", 0, NULL, OPT_COUNT},
	{"access", 1, NULL, OPT_ACCESS},
	{"rules", 1, NULL, OPT_RULES},
	{"standby", 1, NULL, OPT_STANDBY},
	{"stop-rules", 0, NULL, OPT_STOP_RULES},
	{"keep-alive", 1, NULL, OPT_KEEP_ALIVE},
	{"json", 0, NULL, OPT_JSON},
	{"each", 0, NULL, OPT_EACH},
	{"quiet", 0, NULL, OPT_QUIET},
	{"owner", 1, NULL, OPT_OWNER},
	{"timeout", 1, NULL, OPT_TIMEOUT},
	{"retries", 1, NULL, OPT_RETRIES},
	{"message", 1, NULL, OPT_MESSAGE},
	{"repetitions", 1, NULL, OPT_REPETITIONS},
	{"stop", 1, NULL, OPT_STOP},
	{"jitter", 1, NULL, OPT_JITTER},
	{"backoff", 1, NULL, OPT_BACKOFF},
	{"ports", 1, NULL, OPT_PORTS},
	{NULL, 0, NULL, 0},
};

/* NAME[,auth,PASS[,priv,PASS]] with SHA-256 and AES. */
static void
set_user(struct meter_reader_conf *conf, char *text)
{
	conf->version = METER_SNMP_V3;
	conf->auth_protocol = METER_AUTH_SHA256;
	conf->security_level = METER_NO_AUTH_NO_PRIV;
	conf->user = strsep(&text, ",");
	if (!text)
		return;
	conf->security_level = METER_AUTH_NO_PRIV;
	conf->auth_passphrase.value = strsep(&text, ",");
	if (!text)
		return;
	conf->security_level = METER_AUTH_PRIV;
	conf->priv_passphrase.value = text;
}

static void
set_option(struct program *p, struct meter_reader_conf *conf, int option,
	   unsigned *ports)
{
	switch (option) {
	case 'a': conf->address = optarg; break;
	case 'p': conf->port = (uint16_t)atoi(optarg); break;
	case 'c': conf->community.value = optarg; break;
	case 'v': conf->version = *optarg == '1' ? METER_SNMP_V1 :
						    METER_SNMP_V2C; break;
	case 'u': set_user(conf, optarg); break;
	case 'i': conf->interval = (uint32_t)atoi(optarg); break;
	case 'l': log_set_level((enum log_level)log_level_parse(optarg));
		break;
	case OPT_PASSES: p->passes = strtoull(optarg, NULL, 10); break;
	case OPT_STATE: conf->state_file = optarg; break;
	case OPT_UNIFLOW: conf->direction = METER_UNIFLOW; break;
	case OPT_TOTAL: conf->counters = METER_TOTAL;
		p->sink.total = true; break;
	case OPT_COUNT: conf->first_pass = METER_FIRST_COUNT; break;
	case OPT_ACCESS: conf->access = *optarg == 'c' ?
		METER_ACCESS_COLUMNS : METER_ACCESS_PACKAGES; break;
	case OPT_RULES: conf->manage.rule_set_file = optarg; break;
	case OPT_STANDBY: conf->manage.standby_rule_set_file = optarg; break;
	case OPT_STOP_RULES: conf->manage.stop_on_exit = true; break;
	case OPT_KEEP_ALIVE:
		conf->manage.keep_alive = (uint32_t)atoi(optarg); break;
	case OPT_JSON: p->sink.json = true; break;
	case OPT_EACH: p->sink.each = true; break;
	case OPT_QUIET: p->sink.print = false; break;
	case OPT_OWNER: conf->owner = optarg; break;
	case OPT_TIMEOUT: conf->timeout = (uint32_t)atoi(optarg); break;
	case OPT_RETRIES: conf->retries = (uint32_t)atoi(optarg); break;
	case OPT_MESSAGE:
		conf->max_message_size = (uint32_t)atoi(optarg); break;
	case OPT_REPETITIONS:
		conf->max_repetitions = (uint32_t)atoi(optarg); break;
	case OPT_STOP: p->stop_ms = (uint32_t)atoi(optarg); break;
	case OPT_JITTER: conf->jitter = (uint32_t)atoi(optarg); break;
	case OPT_BACKOFF: conf->max_backoff = (uint32_t)atoi(optarg); break;
	case OPT_PORTS: *ports = (unsigned)atoi(optarg); break;
	default: exit(2);
	}
}

static int
run(struct program *p, struct meter_reader_conf *conf, unsigned ports)
{
	static const struct timeval tick = {0, TICK_MS * 1000};
	struct event *ticker, *term, *intr;

	for (unsigned i = 0; i < ports; i++) {
		if (meter_reader_new(p->engine, conf, p->registry, p->shapes,
				     &p->reader[i]))
			return 1;
		if (stage_link(p->reader[i], &p->sink.stage))
			return 1;
		p->readers++;
		conf->port++;
	}
	ticker = event_new(p->base, -1, EV_PERSIST, on_tick, p);
	term = evsignal_new(p->base, SIGTERM, on_signal, p);
	intr = evsignal_new(p->base, SIGINT, on_signal, p);
	event_add(ticker, &tick);
	event_add(term, NULL);
	event_add(intr, NULL);
	p->start_ms = clock_mono_ms();
	for (unsigned i = 0; i < p->readers; i++)
		meter_reader_start(p->reader[i]);
	p->last_tick_us = now_us();
	event_base_dispatch(p->base);
	event_free(ticker);
	event_free(term);
	event_free(intr);
	report(p);
	print_sums(&p->sink);
	return 0;
}

int
main(int argc, char **argv)
{
	struct program p = {.stop_ms = 3000};
	struct meter_reader_conf conf;
	unsigned ports = 1;
	int option, status = 1;

	meter_reader_conf_init(&conf);
	conf.address = "127.0.0.1";
	conf.name = "m";
	p.sink.print = true;
	while ((option = getopt_long(argc, argv, "a:p:c:v:u:i:l:", options,
				     NULL)) != -1)
		set_option(&p, &conf, option, &ports);
	p.base = event_base_new();
	p.registry = ie_registry_new(1000);
	p.shapes = shape_table_new(10000);
	p.sink.stage.ops = &sink_ops;
	if (ports <= READERS_MAX && p.base && p.registry && p.shapes &&
	    meter_engine_new(p.base, &p.engine) == 0)
		status = run(&p, &conf, ports);
	for (unsigned i = 0; i < p.readers; i++)
		stage_free(p.reader[i]);
	meter_engine_free(p.engine);
	sink_free(&p.sink.stage);
	shape_table_free(p.shapes);
	ie_registry_free(p.registry);
	event_base_free(p.base);
	return status;
}
