/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows that outlive the cache: it ends, or is killed, and another one goes on.
 * Being killed is being freed without a flush: all that a state file gets is
 * written by then.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bed.h"
#include "conflux/file.h"
#include "conflux/log.h"
#include "state.h"

static char path[64];

static struct cache_conf
conf_of(enum cache_type type)
{
	return (struct cache_conf){
		.type = type,
		.max_flows = 1000,
		.active_timeout_s = type == CACHE_PERMANENT ? 0 : 60,
		.idle_timeout_s = type == CACHE_PERMANENT ? 0 : 15,
		.export_interval_s = 10,
		.state_file = path,
	};
}

/* The end of a run: what is held is in the file. */
static void
stop(struct bed *bed)
{
	check_ledger(bed);
	stage_flush(bed->cache);
	for (int i = 0; i < 1000 && !stage_drained(bed->cache); i++)
		wait_ms(bed, 100);
	CU_ASSERT(stage_drained(bed->cache));
	check_ledger(bed);
	CU_ASSERT_EQUAL(cache_saved(bed->cache), bed->cache->ledger.held);
	/* Nothing moves any more. */
	wait_ms(bed, 100000);
	check_ledger(bed);
	stage_free(bed->cache);
}

static void
kill_it(struct bed *bed)
{
	check_ledger(bed);
	stage_free(bed->cache);
}

static void
start(struct bed *bed, struct cache_conf conf, const char *fields)
{
	struct text lines = bed->sink.lines;

	bed_open(bed, conf, fields);
	bed->sink.lines = lines;
}

static void
restart(struct bed *bed, struct cache_conf conf, const char *fields)
{
	stop(bed);
	start(bed, conf, fields);
}

static void
end(struct bed *bed)
{
	stage_free(bed->cache);
	text_fini(&bed->sink.lines);
	unlink(path);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines in an order that does not depend on that of the flows. */
static char *
sorted(struct bed *bed)
{
	char *copy = strdup(lines(bed)), *save = NULL, *line[1000];
	char *out = calloc(1, strlen(copy) + 2);
	size_t n = 0;

	for (char *l = strtok_r(copy, "\n", &save); l && n < 1000;
	     l = strtok_r(NULL, "\n", &save))
		line[n++] = l;
	qsort(line, n, sizeof(*line), compare);
	for (size_t i = 0; i < n; i++)
		strcat(strcat(out, line[i]), "\n");
	free(copy);
	return out;
}

/* ---- nothing changes ----------------------------------------------------- */

struct script {
	struct cache_conf conf;
	const char *fields;
	const char *record[12]; /* "-250": that many milliseconds pass */
};

/* Restarts before each record that a bit of restarts is set for. */
static char *
play(const struct script *script, unsigned restarts)
{
	struct bed bed = {0};
	struct cache_conf conf = script->conf;
	char *out;

	if (!restarts)
		conf.state_file = NULL;
	start(&bed, conf, script->fields);
	for (unsigned i = 0; i < 12 && script->record[i]; i++) {
		if (restarts >> i & 1)
			restart(&bed, conf, script->fields);
		if (*script->record[i] == '-')
			wait_ms(&bed, (uint64_t)atoi(script->record[i] + 1));
		else
			put(bed.cache, script->record[i]);
	}
	wait_ms(&bed, 400);
	check_ledger(&bed);
	conf.state_export = true;
	if (restarts)
		restart(&bed, conf, script->fields);
	wait_ms(&bed, 120000);
	stage_flush(bed.cache);
	CU_ASSERT(stage_drained(bed.cache));
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 0);
	check_ledger(&bed);
	out = sorted(&bed);
	end(&bed);
	return out;
}

/* With or without restarts in between, the same flows come out. */
static void
check_script(const struct script *script)
{
	char *wanted = play(script, 0);

	CU_ASSERT(strlen(wanted) > 0);
	for (unsigned restarts = 1; restarts < 1u << 10; restarts *= 3) {
		char *got = play(script, restarts);

		if (strcmp(wanted, got) != 0)
			printf("\n    restarts %x\n    got  %s\n    want %s\n",
			       restarts, got, wanted);
		CU_ASSERT_STRING_EQUAL(wanted, got);
		free(got);
	}
	free(wanted);
}

static void
test_all_merges(void)
{
	struct script script = {
		conf_of(CACHE_TIMEOUT),
		"8!/24 12! 82! 1 2 6 152 153 25:1 26 10L 83 154 156 136 3 "
		"36",
		{
			"8=192.0.2.1 12=198.51.100.1 82=eth0 1=100 2=1 6=2 "
			"152=1000 153=2000 25=40 26=40 10=7 83=one",
			"8=192.0.2.2 12=198.51.100.1 82=eth0 1=50 2=2 6=16 "
			"152=500 153=1500 25=20 26=1400 10=8 83=two",
			"8=192.0.3.1 12=198.51.100.1 82= 1=7",
			"-2500",
			"8=192.0.3.1 12=198.51.100.1 82= 1=8 152=77 83=three",
			"27=2001:db8::1 82=eth0 1=4294967296 2=3",
			"8=192.0.2.9 12=198.51.100.1 82=eth0 "
			"1=18446744069414584320 2=2 6=256 10=9 83=four",
			"82=eth1 8=192.0.3.1 12=198.51.100.1 2=1",
			"27=2001:db8::1 82=eth0 1=1 83=five",
		}};

	check_script(&script);
}

static void
test_biflows(void)
{
	struct script script = {
		conf_of(CACHE_NATURAL),
		"8! 12! 7! 11! 4! 1 2 r1 r2 6 r6 152 153 r152 239 136",
		{
			"8=192.0.2.1 12=192.0.2.2 7=1000 11=80 4=6 1=10 2=1 "
			"6=2 152=2000 153=3000",
			"8=192.0.2.2 12=192.0.2.1 7=80 11=1000 4=6 1=20 2=2 "
			"6=17 152=1000 153=4000",
			"8=192.0.2.5 12=192.0.2.6 7=1 11=2 4=17 1=1 2=1 152=5 "
			"153=6",
			"-500",
			"8=192.0.2.2 12=192.0.2.1 7=80 11=1000 4=6 1=30 2=3 "
			"6=16 152=3000 153=5000",
			"8=192.0.2.6 12=192.0.2.5 7=2 11=1 4=17 1=2 2=1 "
			"152=4 153=9",
			"8=192.0.2.1 12=192.0.2.2 7=1000 11=80 4=6 1=40 2=4 "
			"6=17 152=3500 153=6000",
			"-200",
			"8=192.0.2.1 12=192.0.2.2 7=1000 11=80 4=6 1=1 2=1 6=2 "
			"152=7000 153=7000",
		}};

	script.conf.biflow = true;
	check_script(&script);
}

static void
test_distribution(void)
{
	struct script script = {
		conf_of(CACHE_PERMANENT),
		"8! 1 152 153 82",
		{
			"8=192.0.2.1 1=100 152=1700000000000 "
			"153=1700000012345 82=one",
			"8=192.0.2.1 1=100 152=1700000001000 "
			"153=1700000003000",
			"8=192.0.2.2 1=7 152=1700000001000 153=1700000031000",
			"8=192.0.2.1 1=5 152=1700000009000 153=1700000009001",
		}};

	script.conf.distribution = DISTRIBUTION_PROPORTIONAL;
	script.conf.interval_s = 10;
	script.conf.export_interval_s = 10 * 365 * 86400;
	check_script(&script);
}

/* What was told already is not told again, and total counters go on. */
static void
test_permanent(void)
{
	struct cache_conf conf = conf_of(CACHE_PERMANENT);
	struct bed bed = {0};

	conf.export_interval_s = 1;
	start(&bed, conf, "8! 1 85");
	put(bed.cache, "8=192.0.2.1 1=10 85=10");
	put(bed.cache, "8=192.0.2.2 1=20 85=20");
	usleep(1100000);
	wait_ms(&bed, 100);
	CU_ASSERT_EQUAL(bed.sink.records, 2);
	put(bed.cache, "8=192.0.2.2 1=5 85=25");
	clear(&bed);
	restart(&bed, conf, "8! 1 85");
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 2);
	EXPECT(&bed, "");
	usleep(1100000);
	wait_ms(&bed, 100);
	/* The totals of its exporter begin anew, see totals.c. */
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.2\","
		     "\"octetDeltaCount\":5,\"octetTotalCount\":25}\n");
	CU_ASSERT_EQUAL(bed.sink.records, 1);
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 2);
	conf.state_export = true;
	restart(&bed, conf, "8! 1 85");
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 2);
	stop(&bed);
	EXPECT(&bed, "");
	start(&bed, conf, "8! 1 85");
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 0);
	end(&bed);
}

static void
test_timeouts_go_on(void)
{
	struct bed bed = {0};

	start(&bed, conf_of(CACHE_TIMEOUT), "8! 1 136");
	put(bed.cache, "8=192.0.2.1 1=1");
	wait_ms(&bed, 10000);
	put(bed.cache, "8=192.0.2.2 1=1");
	restart(&bed, conf_of(CACHE_TIMEOUT), "8! 1 136");
	wait_ms(&bed, 4000);
	EXPECT(&bed, "");
	wait_ms(&bed, 2000);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":1,\"flowEndReason\":1}\n");
	for (int i = 0; i < 6; i++) {
		put(bed.cache, "8=192.0.2.2 1=1");
		wait_ms(&bed, 8000);
		restart(&bed, conf_of(CACHE_TIMEOUT), "8! 1 136");
	}
	EXPECT(&bed, "");
	put(bed.cache, "8=192.0.2.2 1=1");
	wait_ms(&bed, 7000);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.2\","
		     "\"octetDeltaCount\":8,\"flowEndReason\":2}\n");
	end(&bed);
}

/* Marks of RFC 6235, numbers of flows, and flows that TCP has ended. */
static void
test_beside_the_values(void)
{
	static const struct field_mark marks[] = {{3, 1}, {0, 0}};
	struct bed bed = {0};
	char id[64];

	start(&bed, conf_of(CACHE_TIMEOUT), "8! 1 148");
	put_marked(bed.cache, "8=192.0.2.1 1=1", marks);
	restart(&bed, conf_of(CACHE_TIMEOUT), "8! 1 148");
	wait_ms(&bed, 16000);
	CU_ASSERT_EQUAL(bed.sink.mark[0].technique, 3);
	CU_ASSERT_EQUAL(bed.sink.mark[0].flags, 1);
	CU_ASSERT_EQUAL(bed.sink.mark[1].technique, 0);
	snprintf(id, sizeof(id), "%s", strstr(lines(&bed), "flowId"));
	put(bed.cache, "8=192.0.2.2 1=1");
	wait_ms(&bed, 16000);
	CU_ASSERT_PTR_NOT_NULL(strstr(lines(&bed), id));
	CU_ASSERT_PTR_NULL(strstr(strstr(lines(&bed), id) + 1, id));
	end(&bed);
}

/* The time of the data stands still while there are none. */
static void
test_data_clock(void)
{
	struct cache_conf conf = conf_of(CACHE_TIMEOUT);
	struct bed bed = {0};

	conf.data_clock = true;
	start(&bed, conf, "8! 1 136");
	put(bed.cache, "8=192.0.2.1 1=1"); /* 1700000000500 */
	restart(&bed, conf, "8! 1 136");
	wait_ms(&bed, 100000);
	EXPECT(&bed, "");
	put(bed.cache, "8=192.0.2.1 1=2");
	CU_ASSERT_EQUAL(bed.cache->ledger.merged, 1);
	end(&bed);
}

/* ---- something changes --------------------------------------------------- */

static void
test_other_fields(void)
{
	struct bed bed = {0};

	start(&bed, conf_of(CACHE_TIMEOUT), "8! 82! 1 2 136");
	put(bed.cache, "8=192.0.2.1 82=eth0 1=1 2=3");
	put(bed.cache, "8=192.0.2.2 82=eth0 1=2");
	put(bed.cache, "27=2001:db8::1 1=3");
	stop(&bed);
	start(&bed, conf_of(CACHE_TIMEOUT), "8! 11! 1");
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 0);
	wait_ms(&bed, 100);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"interfaceName\":\"eth0\",\"octetDeltaCount\":1,"
		     "\"packetDeltaCount\":3,\"flowEndReason\":4}\n"
		     "{\"sourceIPv4Address\":\"192.0.2.2\","
		     "\"interfaceName\":\"eth0\",\"octetDeltaCount\":2,"
		     "\"flowEndReason\":4}\n"
		     "{\"octetDeltaCount\":3,\"flowEndReason\":4}\n");
	check_ledger(&bed);
	/* Once. */
	kill_it(&bed);
	start(&bed, conf_of(CACHE_TIMEOUT), "8! 11! 1");
	wait_ms(&bed, 100);
	EXPECT(&bed, "");
	/* The same fields, merged in another way. */
	put(bed.cache, "8=192.0.2.1 1=1");
	stop(&bed);
	start(&bed, conf_of(CACHE_TIMEOUT), "8! 11! 1>");
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 0);
	/* It ends before the next stages take them. */
	bed.sink.base.congested = true;
	wait_ms(&bed, 1000);
	EXPECT(&bed, "");
	stage_flush(bed.cache);
	CU_ASSERT_FALSE(stage_drained(bed.cache));
	bed.sink.base.congested = false;
	wait_ms(&bed, 100);
	CU_ASSERT(stage_drained(bed.cache));
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":1,\"flowEndReason\":4}\n");
	check_ledger(&bed);
	end(&bed);
}

static void
test_less_room(void)
{
	struct cache_conf conf = conf_of(CACHE_TIMEOUT);
	struct bed bed = {0};
	char record[64];

	start(&bed, conf, "8! 1 136");
	for (int i = 0; i < 600; i++) {
		snprintf(record, sizeof(record), "8=10.0.%d.%d 1=1", i / 256,
			 i % 256);
		put(bed.cache, record);
	}
	conf.max_flows = 100;
	restart(&bed, conf, "8! 1 136");
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 100);
	wait_ms(&bed, 100);
	CU_ASSERT_EQUAL(bed.sink.records, 500);
	check_ledger(&bed);
	restart(&bed, conf, "8! 1 136");
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 100);
	wait_ms(&bed, 100);
	CU_ASSERT_EQUAL(bed.sink.records, 0);
	end(&bed);
}

/* What was cut off before the end is not merged with what comes after. */
static void
test_cut(void)
{
	struct bed bed = {0};

	start(&bed, conf_of(CACHE_TIMEOUT), "8! 1");
	put(bed.cache, "8=192.0.2.1 1=1");
	bed.sink.base.congested = true;
	stage_cut(bed.cache);
	put(bed.cache, "8=192.0.2.1 1=2");
	EXPECT(&bed, "");
	restart(&bed, conf_of(CACHE_TIMEOUT), "8! 1");
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 1);
	wait_ms(&bed, 100);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":1,\"flowEndReason\":4}\n");
	put(bed.cache, "8=192.0.2.1 1=4");
	wait_ms(&bed, 16000);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":6}\n");
	end(&bed);
}

/* ---- the file is not as it was ------------------------------------------- */

static void
rewrite(const uint8_t *data, size_t length)
{
	CU_ASSERT_EQUAL(file_replace(path, data, length, 0600, false), 0);
}

static void
test_damage(void)
{
	struct bed bed = {0};
	size_t length, message, seen = 0;
	uint8_t *data;
	char record[300], *text;

	start(&bed, conf_of(CACHE_TIMEOUT), "8! 1 82");
	for (int i = 0; i < 1000; i++) {
		snprintf(record, sizeof(record), "8=10.0.%d.%d 1=1 82=%0200d",
			 i / 256, i % 256, i % 7);
		put(bed.cache, record);
	}
	stop(&bed);
	CU_ASSERT_EQUAL(file_read_all(path, 1 << 24, &text, &length), 0);
	data = (uint8_t *)text;
	/* Cut off anywhere. */
	for (size_t n = 0; n < length; n += length / 23) {
		rewrite(data, n);
		start(&bed, conf_of(CACHE_TIMEOUT), "8! 1 82");
		CU_ASSERT(bed.cache->ledger.held >= seen);
		seen = bed.cache->ledger.held;
		check_ledger(&bed);
		kill_it(&bed);
	}
	/* One message that is not as it was: the others are. */
	message = wire_get16(data + 2);
	data[message + 100] ^= 1;
	rewrite(data, length);
	start(&bed, conf_of(CACHE_TIMEOUT), "8! 1 82");
	CU_ASSERT(bed.cache->ledger.held > 0 && bed.cache->ledger.held < 1000);
	CU_ASSERT_EQUAL(bed.cache->ledger.held +
				bed.cache->ledger.lost[LOSS_MALFORMED],
			1000);
	check_ledger(&bed);
	end(&bed);
	free(text);
}

static void
test_other_file(void)
{
	struct bed bed = {0};
	char bad[80];

	snprintf(bad, sizeof(bad), "%s.bad", path);
	rewrite((const uint8_t *)"something else", 14);
	start(&bed, conf_of(CACHE_TIMEOUT), "8! 1");
	put(bed.cache, "8=192.0.2.1 1=1");
	restart(&bed, conf_of(CACHE_TIMEOUT), "8! 1");
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 1);
	CU_ASSERT_EQUAL(access(bad, F_OK), 0);
	unlink(bad);
	end(&bed);
}

/* It can't be written: the flows leave as they would without it. */
static void
test_no_folder(void)
{
	struct cache_conf conf = conf_of(CACHE_TIMEOUT);
	struct bed bed = {0};

	conf.state_file = "/nonexistent/state";
	conf.state_interval_s = 1;
	start(&bed, conf, "8! 1");
	put(bed.cache, "8=192.0.2.1 1=1");
	wait_ms(&bed, 3000);
	stage_flush(bed.cache);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":1}\n");
	CU_ASSERT(stage_drained(bed.cache));
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 0);
	CU_ASSERT_EQUAL(cache_saved(bed.cache), 0);
	end(&bed);
}

/* ---- killed -------------------------------------------------------------- */

static void
test_killed(void)
{
	struct cache_conf conf = conf_of(CACHE_TIMEOUT);
	struct bed bed = {0};

	conf.state_interval_s = 1;
	start(&bed, conf, "8! 1");
	put(bed.cache, "8=192.0.2.1 1=1");
	wait_ms(&bed, 14000);
	put(bed.cache, "8=192.0.2.2 1=1");
	wait_ms(&bed, 1100);
	put(bed.cache, "8=192.0.2.2 1=2"); /* after the last generation */
	wait_ms(&bed, 400);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":1}\n");
	kill_it(&bed);
	start(&bed, conf, "8! 1");
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 1);
	wait_ms(&bed, 16000);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.2\","
		     "\"octetDeltaCount\":1}\n");
	/* It left, and does not come back. */
	kill_it(&bed);
	start(&bed, conf, "8! 1");
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 0);
	end(&bed);
}

static void
test_killed_permanent(void)
{
	struct cache_conf conf = conf_of(CACHE_PERMANENT);
	struct bed bed = {0};

	conf.export_interval_s = 1;
	start(&bed, conf, "8! 1");
	put(bed.cache, "8=192.0.2.1 1=1");
	put(bed.cache, "8=192.0.2.2 1=1");
	restart(&bed, conf, "8! 1");
	usleep(1100000);
	wait_ms(&bed, 100);
	CU_ASSERT_EQUAL(bed.sink.records, 2);
	kill_it(&bed);
	clear(&bed);
	start(&bed, conf, "8! 1");
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 2);
	put(bed.cache, "8=192.0.2.1 1=4");
	stop(&bed);
	start(&bed, conf, "8! 1");
	usleep(1100000);
	wait_ms(&bed, 100);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":4}\n");
	end(&bed);
}

/* A sink that adds up what each flow has had. */
struct adding {
	struct unit_sink base;
	uint64_t out[4096];
};

static void
adding_run(struct stage *stage, const struct batch *batch)
{
	struct adding *sink = (struct adding *)stage;

	for (uint32_t i = 0; i < batch->count; i++)
		sink->out[unit_field(batch, i, 0, IE_flowLabelIPv6)] +=
			unit_field(batch, i, 0, IE_octetDeltaCount) +
			unit_field(batch, i, IE_PEN_REVERSE,
				   IE_octetDeltaCount);
}

static const struct stage_ops adding_ops = {
	.run = adding_run,
	.congested = unit_sink_congested,
};

static uint64_t
sum_of(const uint64_t *list)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < 4096; i++)
		sum += list[i];
	return sum;
}

static struct cache *
inside(const struct bed *bed)
{
	return (struct cache *)bed->cache;
}

/* A cache that saves a few rows a tick. */
static void
open_slow(struct bed *bed, const struct cache_conf *conf, const char *fields,
	  struct adding *sink)
{
	bed_open(bed, *conf, fields);
	bed->cache->next[0] = &sink->base.stage;
	inside(bed)->state->slice_us = 0;
}

/*
 * Killed at random times: of each flow there never comes more than was put in,
 * and what is missing came after a generation was begun.
 */
static void
random_kills(uint32_t number)
{
	static struct adding sink;
	static uint64_t in[4096];
	struct cache_conf conf = conf_of(CACHE_TIMEOUT);
	uint64_t safe = 0, begun = 0, lost = 0, last = 0;
	struct bed bed = {0};
	char record[64];
	bool writing;

	memset(&sink, 0, sizeof(sink));
	memset(in, 0, sizeof(in));
	sink.base.stage.ops = &adding_ops;
	conf.state_interval_s = 1;
	conf.idle_timeout_s = 2;
	conf.active_timeout_s = 5;
	conf.max_flows = 300;
	for (unsigned turn = 0; turn < unit_turns(1000); turn++) {
		if (!bed.cache) {
			open_slow(&bed, &conf, "31! 1", &sink);
			if (turn == 0)
				inside(&bed)->state->number = number;
			last = 0;
			safe = begun = sum_of(in);
		}
		for (int i = rand() % 60; i >= 0; i--) {
			unsigned flow = (unsigned)rand() % 400;
			unsigned octets = 1 + (unsigned)rand() % 9;

			snprintf(record, sizeof(record), "31=%u 1=%u", flow,
				 octets);
			put(bed.cache, record);
			in[flow] += octets;
		}
		sink.base.congested = rand() % 8 == 0;
		writing = inside(&bed)->state->writing;
		wait_ms(&bed, 100);
		if (!writing)
			begun = sum_of(in);
		if (inside(&bed)->state->generations != last)
			safe = begun;
		last = inside(&bed)->state->generations;
		if (rand() % 25 && turn != unit_turns(1000) - 1)
			continue;
		CU_ASSERT(ledger_balanced(&bed.cache->ledger));
		lost += sum_of(in) - safe;
		stage_free(bed.cache);
		bed.cache = NULL;
	}
	sink.base.congested = false;
	open_slow(&bed, &conf, "31! 1", &sink);
	wait_ms(&bed, 10000);
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 0);
	stage_free(bed.cache);
	unlink(path);
	for (unsigned i = 0; i < 400; i++)
		CU_ASSERT(sink.out[i] <= in[i]);
	CU_ASSERT(sum_of(sink.out) + lost >= sum_of(in));
}

/* With a journal nothing is lost, whatever the flows are made of. */
static void
random_journal(enum cache_type type, bool biflow, uint32_t interval_s,
	       enum distribution distribution)
{
	static struct adding sink;
	static uint64_t in[4096];
	const char *fields = biflow ? "31! 82! 7! 11! 1 r1 6 152 153"
				    : "31! 82! 7! 11! 1 6 152 153 83L";
	struct cache_conf conf = conf_of(type);
	struct bed bed = {0};
	char record[128];

	memset(&sink, 0, sizeof(sink));
	memset(in, 0, sizeof(in));
	sink.base.stage.ops = &adding_ops;
	conf.state_interval_s = interval_s;
	conf.state_journal = 20000;
	conf.idle_timeout_s = 2;
	conf.active_timeout_s = 5;
	conf.export_interval_s = 1;
	conf.max_flows = 300;
	conf.biflow = biflow;
	conf.distribution = distribution;
	conf.interval_s = 10;
	for (unsigned turn = 0; turn < unit_turns(1000); turn++) {
		if (!bed.cache) {
			open_slow(&bed, &conf, fields, &sink);
		}
		for (int i = rand() % 60; i >= 0; i--) {
			unsigned flow = (unsigned)rand() % 400;
			unsigned a = flow % 7, b = flow % 5;
			bool back = biflow && rand() % 2;
			unsigned octets = 1 + (unsigned)rand() % 9;

			snprintf(record, sizeof(record),
				 "31=%u 82=if%u 7=%u 11=%u 1=%u 6=%d 152=%u "
				 "153=%u",
				 flow, flow, back ? b : a, back ? a : b, octets,
				 rand() % 30 ? 16 : 1, 1000 + rand() % 100,
				 2000 + rand() % 100);
			if (!biflow && rand() % 2)
				strcat(record, rand() % 2 ? " 83=x" : " 83=yy");
			put(bed.cache, record);
			in[flow] += octets;
		}
		sink.base.congested = rand() % 8 == 0;
		if (rand() % 40 == 0)
			stage_cut(bed.cache);
		/* Of a permanent cache: by this clock, too. */
		if (rand() % 9 == 0)
			inside(&bed)->next_export_ms = 0;
		wait_ms(&bed, 100);
		if (rand() % 25 && turn != unit_turns(1000) - 1)
			continue;
		CU_ASSERT(ledger_balanced(&bed.cache->ledger));
		stage_free(bed.cache);
		bed.cache = NULL;
	}
	sink.base.congested = false;
	conf.state_export = true;
	open_slow(&bed, &conf, fields, &sink);
	wait_ms(&bed, 10000);
	CU_ASSERT(ledger_balanced(&bed.cache->ledger));
	stage_flush(bed.cache);
	CU_ASSERT(stage_drained(bed.cache));
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 0);
	stage_free(bed.cache);
	unlink(path);
	for (unsigned i = 0; i < 400; i++)
		if (sink.out[i] != in[i])
			printf("\n    flow %u: %d of %d", i, (int)sink.out[i],
			       (int)in[i]);
	for (unsigned i = 0; i < 400; i++)
		CU_ASSERT_EQUAL(sink.out[i], in[i]);
}

static void
test_journal(void)
{
	random_journal(CACHE_TIMEOUT, false, 1, DISTRIBUTION_NONE);
	random_journal(CACHE_TIMEOUT, false, 0, DISTRIBUTION_NONE);
	random_journal(CACHE_NATURAL, false, 1, DISTRIBUTION_NONE);
}

static void
test_journal_of_biflows(void)
{
	random_journal(CACHE_TIMEOUT, true, 1, DISTRIBUTION_NONE);
	random_journal(CACHE_NATURAL, true, 0, DISTRIBUTION_NONE);
	scope.packets = true;
	random_journal(CACHE_TIMEOUT, true, 1, DISTRIBUTION_NONE);
	random_journal(CACHE_NATURAL, true, 1, DISTRIBUTION_NONE);
	scope.packets = false;
}

static void
test_journal_permanent(void)
{
	random_journal(CACHE_PERMANENT, false, 1, DISTRIBUTION_NONE);
	random_journal(CACHE_PERMANENT, false, 1, DISTRIBUTION_PROPORTIONAL);
}

/* All that a flow has is as it was. */
static void
test_journal_is_exact(void)
{
	static const char out[] =
		"{\"sourceIPv4Address\":\"192.0.2.0\",\"interfaceName\":"
		"\"eth0\",\"octetDeltaCount\":12,\"packetDeltaCount\":3,"
		"\"tcpControlBits\":18,\"flowStartMilliseconds\":"
		"\"1970-01-01T00:00:00.500Z\",\"flowEndMilliseconds\":"
		"\"1970-01-01T00:00:02.000Z\",\"minimumIpTotalLength\":20,"
		"\"maximumIpTotalLength\":1400,\"ingressInterface\":8,"
		"\"interfaceDescription\":\"one\",\"deltaFlowCount\":2,"
		"\"flowEndReason\":1}\n";
	static const char fields[] =
		"8!/24 82! 1 2 6 152 153 25 26 10L 83 3 136";
	struct cache_conf conf = conf_of(CACHE_TIMEOUT);
	struct bed bed = {0};

	conf.state_journal = 1000000;
	start(&bed, conf, fields);
	put(bed.cache, "8=192.0.2.1 82=eth0 1=7 2=1 6=2 152=1000 153=2000 "
		       "25=40 26=40 10=7 83=one");
	wait_ms(&bed, 10000);
	put(bed.cache, "8=192.0.2.9 82=eth0 1=5 2=2 6=16 152=500 153=1500 "
		       "25=20 26=1400 10=8 83=two");
	wait_ms(&bed, 9000);
	for (int i = 0; i < 3; i++) {
		kill_it(&bed);
		start(&bed, conf, fields);
	}
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 1);
	/* Its time goes on by the wall clock, which the test did not change. */
	wait_ms(&bed, 14000);
	EXPECT(&bed, "");
	wait_ms(&bed, 2000);
	EXPECT(&bed, out);
	kill_it(&bed);
	start(&bed, conf, fields);
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 0);
	end(&bed);
}

static void
refused(struct cache_conf conf, uint16_t id, const char *wanted)
{
	struct cache_field field = {.ie = ie_find(registry, 0, id),
				    .key = true,
				    .prefix_length = -1};
	const char *error = NULL;
	struct stage *cache;

	conf.name = "test";
	conf.fields = &field;
	conf.field_count = 1;
	CU_ASSERT_EQUAL(cache_new(&conf, registry, shapes, &cache, &error),
			-EINVAL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(error);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, wanted));
}

/* A journal is for the cache that wrote it; it need not go on with one. */
static void
test_journal_changes(void)
{
	struct cache_conf conf = conf_of(CACHE_TIMEOUT);
	struct bed bed = {0};

	conf.state_journal = 1000000;
	start(&bed, conf, "8!");
	for (int i = 0; i < 2; i++) {
		put(bed.cache, "8=192.0.2.1");
		put(bed.cache, "8=192.0.2.2");
	}
	kill_it(&bed);
	refused(conf, 12, "other fields");
	conf.max_flows = 1;
	refused(conf, 8, "smaller maxFlows");
	conf.max_flows = 2;
	conf.state_journal = 0;
	start(&bed, conf, "8!");
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 2);
	wait_ms(&bed, 100);
	CU_ASSERT_EQUAL(inside(&bed)->state->journal, 0);
	put(bed.cache, "8=192.0.2.2");
	wait_ms(&bed, 16000);
	CU_ASSERT_EQUAL(bed.sink.records, 2);
	kill_it(&bed);
	start(&bed, conf, "8!");
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 0);
	/* After a clean stop there is no journal. */
	conf.state_journal = 1000000;
	put(bed.cache, "8=192.0.2.2");
	restart(&bed, conf, "12!");
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 0);
	end(&bed);
}

static void
test_random_kills(void)
{
	random_kills(0);
	/* The numbers come to their end. */
	random_kills(UINT32_MAX - 500);
}

static const struct unit_test tests[] = {
	{"all merges", test_all_merges},
	{"biflows", test_biflows},
	{"distribution", test_distribution},
	{"permanent", test_permanent},
	{"timeouts go on", test_timeouts_go_on},
	{"beside the values", test_beside_the_values},
	{"data clock", test_data_clock},
	{"other fields", test_other_fields},
	{"less room", test_less_room},
	{"cut", test_cut},
	{"damage", test_damage},
	{"other file", test_other_file},
	{"no folder", test_no_folder},
	{"killed", test_killed},
	{"killed, permanent", test_killed_permanent},
	{"random kills", test_random_kills},
	{"journal", test_journal},
	{"journal of biflows", test_journal_of_biflows},
	{"journal, permanent", test_journal_permanent},
	{"journal is exact", test_journal_is_exact},
	{"journal changes", test_journal_changes},
};

int
main(void)
{
	int status;

	snprintf(path, sizeof(path), "state_test.%d", (int)getpid());
	log_set_level(LOG_LEVEL_ERROR);
	status = bed_run("cache state", tests, UNIT_COUNT(tests));
	unlink(path);
	return status;
}
