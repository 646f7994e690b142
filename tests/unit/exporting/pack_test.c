/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Packing of records into messages, domains, Template ids; seen in files. */
#include "peer.h"

#include <malloc.h>

static void
test_file(void)
{
	struct feeder f;
	struct collector c;
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	const struct ledger *l;

	feeder_init(&f);
	d = to_file(f.path);
	d.max_message = 1400;
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	feed_flows(&f, shape, &f.scope, 100000, 0);
	feeder_finish(&f);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->in, 100000);
	CU_ASSERT_EQUAL(l->exported, 100000);
	CU_ASSERT_EQUAL(l->held, 0);
	CU_ASSERT_TRUE(ledger_balanced(l));
	CU_ASSERT_EQUAL(f.stage->ledger.in, 100000);
	CU_ASSERT_EQUAL(f.stage->ledger.exported, 100000);
	collector_init(&c, false);
	collector_file(&c, f.path);
	CU_ASSERT_EQUAL(c.records, 100000);
	CU_ASSERT_EQUAL(c.record_octets, 1600000);
	CU_ASSERT_EQUAL(c.sum, f.sum);
	CU_ASSERT_EQUAL(c.bad_sequence, 0);
	CU_ASSERT_EQUAL(c.bad_message, 0);
	CU_ASSERT_EQUAL(c.no_template, 0);
	CU_ASSERT_EQUAL(c.outcome[TEMPLATE_NEW], 1);
	CU_ASSERT_EQUAL(c.outcome[TEMPLATE_REFRESHED], 0);
	/* 86 records of 16 octets: 16 + 4 + 1376 = 1396 */
	CU_ASSERT_EQUAL(c.longest, 1396);
	CU_ASSERT_EQUAL(c.messages, 1 + (100000 + 85) / 86);
	CU_ASSERT_EQUAL(c.seen[0].domain, 7);
	collector_fini(&c);
	shape_release(shape);
	feeder_fini(&f);
}

/* The whole file, octet by octet, but for the Export Times. */
static void
test_octets(void)
{
	static const uint8_t want[] = {
		/* Template */
		0, 10, 0, 36, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 2, 0, 20,
		1, 0, 0, 3, 0, 8, 0, 4, 0, 12, 0, 4, 0, 1, 0, 8,
		/* two records */
		0, 10, 0, 52, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0, 0, 36,
		0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0, 0, 0, 0, 0,
		0, 0, 1, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0, 0,
		0, 0, 0, 0, 0, 2,
		/* one record, sequence number 2 */
		0, 10, 0, 36, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 7, 1, 0, 0, 20,
		0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0, 0, 0, 0, 0,
		0, 0, 3};
	uint32_t now = (uint32_t)(clock_wall_ms() / 1000);
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	uint8_t got[256];
	struct feeder f;
	size_t n;
	FILE *file;

	feeder_init(&f);
	d = to_file(f.path);
	feeder_open(&f, &conf);
	loop_once(f.base);
	shape = flow_shape(&f);
	feed_flows(&f, shape, &f.scope, 2, 0);
	feeder_tick(&f, 100); /* not yet old enough */
	feeder_tick(&f, 100);
	feed_flows(&f, shape, &f.scope, 1, 0);
	feeder_finish(&f);
	file = fopen(f.path, "rb");
	n = fread(got, 1, sizeof(got), file);
	fclose(file);
	CU_ASSERT_EQUAL_FATAL(n, sizeof(want));
	for (size_t at = 0; at < n; at += wire_get16(got + at + 2)) {
		CU_ASSERT_TRUE(wire_get32(got + at + 4) - now < 5);
		memset(got + at + 4, 0, 4);
	}
	CU_ASSERT_EQUAL(memcmp(got, want, n), 0);
	shape_release(shape);
	feeder_fini(&f);
}

/* Records of 1 to 900 octets and one that is longer than a message may be. */
static void
feed_variable(struct feeder *f, const struct shape *shape, uint32_t count,
	      bool too_long)
{
	static uint8_t data[BATCH_MAX * 2000];
	uint32_t offset[BATCH_MAX + 1];
	struct batch batch = {
		.shape = shape,
		.scope = &f->scope,
		.base = data,
		.count = count,
		.offset = offset,
	};
	struct writer w;

	writer_init(&w, data, sizeof(data));
	for (uint32_t i = 0; i < count; i++) {
		static uint8_t text[1500];
		size_t length = (i * 37) % 900;

		if (too_long && i == count / 2)
			length = sizeof(text);
		offset[i] = (uint32_t)(w.p - data);
		writer_varlen(&w, text, length);
		writer_u64(&w, i);
	}
	offset[count] = (uint32_t)(w.p - data);
	stage_run(f->stage, &batch);
}

static void
test_variable(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	const struct ledger *l;
	struct collector c;
	struct feeder f;

	feeder_init(&f);
	d = to_file(f.path);
	d.max_message = 1024;
	feeder_open(&f, &conf);
	shape = SHAPE(&f, 0, 0, IE_interfaceName, IE_VARIABLE, 0,
		      IE_octetDeltaCount, 8);
	for (int i = 0; i < 50; i++)
		feed_variable(&f, shape, 100, i == 20 || i == 30);
	feed_variable(&f, shape, 1, true);
	feeder_finish(&f);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->in, 5001);
	CU_ASSERT_EQUAL(l->exported, 4998);
	CU_ASSERT_EQUAL(l->lost[LOSS_TOO_LONG], 3);
	CU_ASSERT_TRUE(ledger_balanced(l));
	CU_ASSERT_EQUAL(f.stage->ledger.exported, 4998);
	CU_ASSERT_EQUAL(f.stage->ledger.lost[LOSS_TOO_LONG], 3);
	collector_init(&c, false);
	collector_file(&c, f.path);
	CU_ASSERT_EQUAL(c.records, 4998);
	CU_ASSERT_EQUAL(c.bad_message + c.bad_sequence + c.no_template, 0);
	CU_ASSERT_TRUE(c.longest <= 1024);
	collector_fini(&c);
	shape_release(shape);
	feeder_fini(&f);
}

/* A Template that does not fit a message, and a record that does not. */
static void
test_too_long(void)
{
	uint32_t spec[3 * 63 + 3] = {0};
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *wide, *fat;
	const struct ledger *l;
	struct collector c;
	struct feeder f;

	feeder_init(&f);
	d = to_file(f.path);
	d.max_message = 512;
	feeder_open(&f, &conf);
	for (int i = 0; i < 63; i++) {
		spec[3 * i] = TEST_PEN;
		spec[3 * i + 1] = (uint32_t)i + 1;
		spec[3 * i + 2] = 1;
	}
	wide = make_shape(&f, 0, spec);
	fat = SHAPE(&f, 0, 0, IE_paddingOctets, 493);
	feed_flows(&f, wide, &f.scope, 10, 0);
	uint8_t data[493] = {0};
	struct batch batch = {
		.shape = fat,
		.scope = &f.scope,
		.base = data,
		.count = 1,
		.stride = 493,
	};
	stage_run(f.stage, &batch);
	feeder_finish(&f);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->lost[LOSS_TOO_LONG], 11);
	CU_ASSERT_TRUE(ledger_balanced(l));
	collector_init(&c, false);
	collector_file(&c, f.path);
	CU_ASSERT_EQUAL(c.messages, 0);
	collector_fini(&c);
	shape_release(wide);
	shape_release(fat);
	feeder_fini(&f);
}

static void
check_domains(enum exporting_domains mode, const uint32_t want[3])
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	struct scope a, b, cache1, cache2;
	const struct shape *shape;
	struct collector c;
	struct feeder f;

	feeder_init(&f);
	d = to_file(f.path);
	conf.domains = mode;
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	feeder_scope(&f, &a, 5, "192.0.2.1");
	feeder_scope(&f, &b, 5, "192.0.2.2");
	feeder_scope(&f, &cache1, 9, NULL);
	feeder_scope(&f, &cache2, 9, NULL);
	for (int i = 0; i < 3; i++) {
		feed_flows(&f, shape, &a, 10, 0);
		feed_flows(&f, shape, &b, 20, 0);
		feed_flows(&f, shape, &cache1, 30, 0);
		feed_flows(&f, shape, &cache2, 40, 0);
	}
	/* The first exporter comes back: it is known again. */
	stage_scope_end(f.stage, &a);
	feeder_scope(&f, &a, 5, "192.0.2.1");
	feed_flows(&f, shape, &a, 10, 0);
	feeder_finish(&f);
	collector_init(&c, false);
	collector_file(&c, f.path);
	CU_ASSERT_EQUAL(collector_domain(&c, want[0])->records, 40);
	CU_ASSERT_EQUAL(collector_domain(&c, want[1])->records, 60);
	CU_ASSERT_EQUAL(collector_domain(&c, want[2])->records, 210);
	CU_ASSERT_EQUAL(c.records, 310);
	CU_ASSERT_EQUAL(c.sum, f.sum);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template, 0);
	collector_fini(&c);
	shape_release(shape);
	feeder_fini(&f);
}

static void
test_domains(void)
{
	static const uint32_t keep[] = {5, 0x80000000, 9};
	static const uint32_t renumber[] = {1, 2, 3};

	check_domains(EXPORTING_DOMAIN_KEEP, keep);
	check_domains(EXPORTING_DOMAIN_RENUMBER, renumber);
}

/* The bound of domains: live ones are never given up, idle ones are. */
static void
test_domain_bound(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	struct scope scope[3];
	struct collector c;
	struct feeder f;

	feeder_init(&f);
	d = to_file(f.path);
	conf.max_domains = 2;
	feeder_open(&f, &conf);
	loop_once(f.base);
	shape = flow_shape(&f);
	for (uint32_t i = 0; i < 3; i++) {
		feeder_scope(&f, &scope[i], i + 1, "192.0.2.1");
		feed_flows(&f, shape, &scope[i], 10, 0);
	}
	CU_ASSERT_EQUAL(f.stage->ledger.lost[LOSS_LIMIT], 10);
	stage_scope_end(f.stage, &scope[0]);
	feed_flows(&f, shape, &scope[2], 10, 0);
	CU_ASSERT_EQUAL(f.stage->ledger.lost[LOSS_LIMIT], 10);
	CU_ASSERT_TRUE(ledger_balanced(&f.stage->ledger));
	feeder_finish(&f);
	collector_init(&c, false);
	collector_file(&c, f.path);
	CU_ASSERT_EQUAL(c.records, 30);
	CU_ASSERT_EQUAL(collector_domain(&c, 3)->records, 10);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template, 0);
	collector_fini(&c);
	shape_release(shape);
	feeder_fini(&f);
}

/* More shapes than Templates may be alive: the longest unused goes. */
static void
test_template_bound(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape[20];
	struct collector c;
	struct feeder f;

	feeder_init(&f);
	d = to_file(f.path);
	conf.max_templates = 4;
	feeder_open(&f, &conf);
	loop_once(f.base);
	for (uint32_t i = 0; i < 20; i++)
		shape[i] = SHAPE(&f, 0, 0, IE_octetDeltaCount, 8, 0,
				 IE_paddingOctets, i + 1);
	for (uint32_t k = 0; k < 60; k++)
		feed_flows(&f, shape[k % 20], &f.scope, 7, 0);
	feeder_finish(&f);
	collector_init(&c, false);
	collector_file(&c, f.path);
	CU_ASSERT_EQUAL(c.records, 420);
	CU_ASSERT_EQUAL(c.sum, f.sum);
	CU_ASSERT_EQUAL(c.outcome[TEMPLATE_NEW], 60);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template + c.bad_message, 0);
	collector_fini(&c);
	for (uint32_t i = 0; i < 20; i++)
		shape_release(shape[i]);
	feeder_fini(&f);
}

struct times {
	unsigned right, wrong;
};

static void
check_time(struct collector *c, const struct template *t, const uint8_t *p,
	   uint32_t length, const struct message_header *header)
{
	struct times *times = c->user;
	uint32_t delta;

	if (shape_find(t->shape, 0, IE_flowStartDeltaMicroseconds, 0) < 0)
		return;
	delta = (uint32_t)field_uint(t->shape, 0, IE_flowStartDeltaMicroseconds,
				     0, p);
	if (header->export_time == delta)
		times->right++;
	else
		times->wrong++;
}

/* Elements relative to the Export Time keep the time they came with. */
static void
test_export_time(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape, *plain;
	struct times times = {0};
	struct collector c;
	struct feeder f;

	feeder_init(&f);
	d = to_file(f.path);
	feeder_open(&f, &conf);
	plain = flow_shape(&f);
	shape = SHAPE(&f, 0, 0, IE_flowStartDeltaMicroseconds, 4);
	for (uint32_t i = 0; i < 100; i++) {
		uint32_t time = 1000000 + i / 3;
		uint8_t data[4];
		struct batch batch = {
			.shape = shape,
			.scope = &f.scope,
			.base = data,
			.count = 1,
			.stride = 4,
			.export_ms = (uint64_t)time * 1000 + i,
		};

		wire_put32(data, time);
		stage_run(f.stage, &batch);
		feed_flows(&f, plain, &f.scope, 3, 5000);
	}
	feeder_finish(&f);
	collector_init(&c, false);
	c.record = check_time;
	c.user = &times;
	collector_file(&c, f.path);
	CU_ASSERT_EQUAL(times.right, 100);
	CU_ASSERT_EQUAL(times.wrong, 0);
	CU_ASSERT_EQUAL(c.records, 400);
	CU_ASSERT_EQUAL(c.messages, 34 + 1);
	collector_fini(&c);
	shape_release(shape);
	shape_release(plain);
	feeder_fini(&f);
}

static void
test_json(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	const struct ledger *l;
	struct feeder f;
	char line[256];
	unsigned count = 0;
	FILE *file;

	feeder_init(&f);
	d = to_file(f.path);
	d.kind = EXPORTING_JSON;
	feeder_open(&f, &conf);
	shape = SHAPE(&f, 0, 0, IE_octetDeltaCount, 8, 0, IE_protocolIdentifier,
		      1);
	feed_flows(&f, shape, &f.scope, 5000, 0);
	feeder_finish(&f);
	l = exporting_ledger(f.stage, 0);
	CU_ASSERT_EQUAL(l->exported, 5000);
	CU_ASSERT_TRUE(ledger_balanced(l));
	file = fopen(f.path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	while (fgets(line, sizeof(line), file)) {
		char want[256];

		snprintf(want, sizeof(want),
			 "{\"octetDeltaCount\":%u,\"protocolIdentifier\":165}"
			 "\n",
			 ++count);
		if (strcmp(line, want) != 0)
			CU_FAIL("a line differs");
	}
	CU_ASSERT_EQUAL(count, 5000);
	fclose(file);
	shape_release(shape);
	feeder_fini(&f);
}

/* After the first round nothing on the way of a record asks for memory. */
static void
no_memory(enum exporting_origin origin)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	struct mallinfo2 before, after;
	struct scope scope[8];
	struct feeder f;

	feeder_init(&f);
	d = to_file("/dev/null");
	d.max_message = 1400;
	conf.origin = origin;
	feeder_open(&f, &conf);
	loop_once(f.base);
	shape = flow_shape(&f);
	for (uint32_t i = 0; i < 8; i++)
		feeder_scope(&f, &scope[i], i, "192.0.2.1");
	for (int round = 0; round < 2; round++)
		for (uint32_t i = 0; i < 800; i++)
			feed_flows(&f, shape, &scope[i % 8], 100, 0);
	before = mallinfo2();
	for (uint32_t i = 0; i < 8000; i++)
		feed_flows(&f, shape, &scope[i % 8], 100, 0);
	after = mallinfo2();
	CU_ASSERT_EQUAL(before.uordblks, after.uordblks);
	CU_ASSERT_EQUAL(before.hblkhd, after.hblkhd);
	feeder_finish(&f);
	shape_release(shape);
	feeder_fini(&f);
}

static void
test_memory(void)
{
	no_memory(EXPORTING_ORIGIN_NONE);
	no_memory(EXPORTING_ORIGIN_RECORDS);
}

static void
test_names(void)
{
	CU_ASSERT_EQUAL(exporting_mode_parse("fallback"), EXPORTING_FALLBACK);
	CU_ASSERT_TRUE(exporting_mode_parse("serial") < 0);
	CU_ASSERT_EQUAL(exporting_option_parse("flowKeys"),
			EXPORTING_FLOW_KEYS);
	CU_ASSERT_TRUE(exporting_option_parse("flowkeys") < 0);
	CU_ASSERT_TRUE(exporting_option_supported(
		EXPORTING_EXTENDED_TYPE_INFORMATION));
	CU_ASSERT_FALSE(
		exporting_option_supported(EXPORTING_REDUCING_REDUNDANCY));
	for (int i = 0; i < EXPORTING_OPTION_COUNT; i++)
		CU_ASSERT_EQUAL(
			exporting_option_parse(exporting_option_name(i)), i);
}

static void
test_refused(void)
{
	struct exporting_options options = {.type = EXPORTING_ACCURACY};
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	struct stage *stage = NULL;
	struct feeder f;
	char *error;

	feeder_init(&f);
	d = to_file("/nowhere/at/all");
	CU_ASSERT_TRUE(exporting_new(f.base, &conf, f.registry, f.shapes,
				     &stage, &error) < 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(error);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "/nowhere/at/all"));
	free(error);
	d = to_file(f.path);
	conf.options = &options;
	conf.options_count = 1;
	CU_ASSERT_TRUE(exporting_new(f.base, &conf, f.registry, f.shapes,
				     &stage, &error) < 0);
	CU_ASSERT_PTR_NULL(error);
	CU_ASSERT_PTR_NULL(stage);
	feeder_fini(&f);
}

static const struct unit_test tests[] = {
	{"fixed records into a file", test_file},
	{"the octets of a file", test_octets},
	{"records of variable length", test_variable},
	{"Templates and records that do not fit", test_too_long},
	{"Observation Domains", test_domains},
	{"the bound of domains", test_domain_bound},
	{"the bound of Templates", test_template_bound},
	{"Export Time of relative elements", test_export_time},
	{"JSON lines", test_json},
	{"no memory is asked for on the record path", test_memory},
	{"names", test_names},
	{"configurations that are refused", test_refused},
};

int
main(void)
{
	return unit_run("exporting: packing", tests, UNIT_COUNT(tests));
}
