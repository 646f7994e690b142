/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Options that are forwarded, left out, and made. */
#include "peer.h"

struct got_mark {
	uint32_t pen;
	uint16_t template, id, index, flags, technique;
};

struct got {
	unsigned marks, marks_before_flows;
	struct got_mark mark[8];
	unsigned types, keys, metering, reliability, flows;
	unsigned types_before_flows;
	uint64_t key_mask;
	uint32_t key_template;
	uint32_t pen;
	uint16_t id;
	char name[64];
	uint64_t exported_messages, exported_records, exported_octets;
	uint64_t lost_records, lost_packets, lost_octets, first_ms, last_ms;
	uint32_t process;
	uint32_t domain;
};

static void
read_type(struct got *got, const uint8_t *p)
{
	size_t length = p[26];

	got->types++;
	got->types_before_flows += got->flows == 0;
	got->pen = wire_get32(p);
	got->id = wire_get16(p + 4);
	CU_ASSERT_EQUAL(p[6], IE_UNSIGNED32);
	CU_ASSERT_EQUAL(p[7], IE_IDENTIFIER);
	if (length >= sizeof(got->name))
		length = sizeof(got->name) - 1;
	memcpy(got->name, p + 27, length);
	got->name[length] = '\0';
}

/* RFC 6235 section 6.1. */
static void
read_mark(struct got *got, const struct shape *s, const uint8_t *p)
{
	static const uint16_t id[] = {IE_templateId,
				      IE_informationElementId,
				      IE_privateEnterpriseNumber,
				      IE_informationElementIndex,
				      IE_anonymizationFlags,
				      IE_anonymizationTechnique};

	CU_ASSERT_EQUAL(s->scope_count, 4);
	for (int i = 0; i < 6; i++)
		CU_ASSERT_EQUAL(s->field[i].ie->id, id[i]);
	if (got->marks < 8) {
		struct got_mark *m = &got->mark[got->marks];

		m->template = wire_get16(p);
		m->id = wire_get16(p + 2);
		m->pen = wire_get32(p + 4);
		m->index = wire_get16(p + 8);
		m->flags = wire_get16(p + 10);
		m->technique = wire_get16(p + 12);
	}
	got->marks++;
	got->marks_before_flows += got->flows == 0;
}

static void
on_record(struct collector *c, const struct template *t, const uint8_t *p,
	  uint32_t length, const struct message_header *header)
{
	const struct shape *s = t->shape;
	struct got *got = c->user;

	if (t->set_id == SET_TEMPLATE) {
		got->flows++;
		return;
	}
	got->domain = header->domain;
	switch (s->field[0].ie->id) {
	case IE_privateEnterpriseNumber:
		read_type(got, p);
		break;
	case IE_templateId:
		if (s->count == 6) {
			read_mark(got, s, p);
			break;
		}
		got->keys++;
		got->key_template = wire_get16(p);
		got->key_mask = wire_get64(p + 2);
		break;
	case IE_observationDomainId:
		got->metering++;
		CU_ASSERT_EQUAL(wire_get32(p), header->domain);
		got->exported_messages = wire_get64(p + 4);
		got->exported_records = wire_get64(p + 12);
		got->exported_octets = wire_get64(p + 20);
		break;
	case IE_exportingProcessId:
		got->reliability++;
		got->process = wire_get32(p);
		got->lost_records = wire_get64(p + 4);
		got->lost_packets = wire_get64(p + 12);
		got->lost_octets = wire_get64(p + 20);
		got->first_ms = wire_get64(p + 28);
		got->last_ms = wire_get64(p + 36);
		break;
	}
}

static void
test_forward(void)
{
	const struct shape *keys, *sampling;
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	struct collector c;
	struct feeder f;

	feeder_init(&f);
	d = to_file(f.path);
	feeder_open(&f, &conf);
	keys = SHAPE(&f, 1, 0, IE_templateId, 2, 0, IE_flowKeyIndicator, 8);
	sampling = SHAPE(&f, 1, 0, IE_observationDomainId, 4, 0,
			 IE_samplingInterval, 4);
	feed_flows(&f, keys, &f.scope, 5, 0);
	feed_flows(&f, sampling, &f.scope, 3, 0);
	feeder_finish(&f);
	CU_ASSERT_EQUAL(f.stage->ledger.filtered, 5);
	CU_ASSERT_EQUAL(f.stage->ledger.exported, 3);
	CU_ASSERT_TRUE(ledger_balanced(&f.stage->ledger));
	CU_ASSERT_EQUAL(exporting_ledger(f.stage, 0)->in, 3);
	collector_init(&c, false);
	collector_file(&c, f.path);
	CU_ASSERT_EQUAL(c.options, 3);
	CU_ASSERT_EQUAL(c.records, 0);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template, 0);
	collector_fini(&c);
	shape_release(keys);
	shape_release(sampling);
	feeder_fini(&f);
}

/* Type information and flow keys over TCP: before data, and again. */
static void
test_types(void)
{
	struct exporting_options options[] = {
		{"types", EXPORTING_EXTENDED_TYPE_INFORMATION, 10000},
		{"keys", EXPORTING_FLOW_KEYS, 10000},
	};
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape, *unknown;
	struct got got = {0};
	struct collector c;
	struct feeder f;
	uint8_t data[12] = {0};
	struct batch batch;

	feeder_init(&f);
	feeder_element(&f);
	collector_init(&c, false);
	c.record = on_record;
	c.user = &got;
	d = to_port(EXPORTING_TCP, collector_listen(&c, f.base, 0));
	conf.options = options;
	conf.options_count = 2;
	feeder_open(&f, &conf);
	shape = SHAPE(&f, 0, TEST_PEN, 12, 4, 0, IE_octetDeltaCount, 8);
	unknown = SHAPE(&f, 0, TEST_PEN, 13, 4, IE_PEN_REVERSE,
			IE_octetDeltaCount, 8);
	batch = (struct batch){
		.shape = shape,
		.scope = &f.scope,
		.base = data,
		.count = 1,
		.stride = 12,
		.flow_keys = 1,
	};
	stage_run(f.stage, &batch);
	feed_flows(&f, unknown, &f.scope, 1, 0);
	stage_flush(f.stage);
	LOOP_UNTIL(&f, got.flows == 2 && got.keys == 1);
	CU_ASSERT_EQUAL(got.types, 1);
	CU_ASSERT_EQUAL(got.types_before_flows, 1);
	CU_ASSERT_EQUAL(got.pen, TEST_PEN);
	CU_ASSERT_EQUAL(got.id, 12);
	CU_ASSERT_STRING_EQUAL(got.name, "siteNumber");
	CU_ASSERT_EQUAL(got.key_mask, 1);
	CU_ASSERT_EQUAL(got.domain, 7);
	/* Not again before their time. */
	feeder_tick(&f, 5000);
	stage_run(f.stage, &batch);
	stage_flush(f.stage);
	LOOP_UNTIL(&f, got.flows == 3);
	CU_ASSERT_EQUAL(got.types, 1);
	CU_ASSERT_EQUAL(got.keys, 1);
	for (int i = 0; i < 120; i++)
		feeder_tick(&f, 100);
	LOOP_UNTIL(&f, got.types == 2 && got.keys == 2);
	/* Other keys: at once. */
	batch.flow_keys = 3;
	stage_run(f.stage, &batch);
	stage_flush(f.stage);
	LOOP_UNTIL(&f, got.flows == 4);
	CU_ASSERT_EQUAL(got.keys, 3);
	CU_ASSERT_EQUAL(got.key_mask, 3);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template + c.bad_message, 0);
	shape_release(shape);
	shape_release(unknown);
	collector_fini(&c);
	feeder_fini(&f);
}

static void
expect_mark(const struct got *got, unsigned n, uint32_t pen, uint16_t id,
	    uint16_t index, uint16_t technique, uint16_t flags)
{
	const struct got_mark *m = &got->mark[n];

	CU_ASSERT(m->template >= 256);
	CU_ASSERT_EQUAL(m->pen, pen);
	CU_ASSERT_EQUAL(m->id, id);
	CU_ASSERT_EQUAL(m->index, index);
	CU_ASSERT_EQUAL(m->technique, technique);
	CU_ASSERT_EQUAL(m->flags, flags);
}

/*
 * What was done to fields is told without being asked for, before the data,
 * and to each session.
 */
static void
try_marks(enum exporting_kind kind)
{
	static const struct field_mark marks[5] = {
		{6, 11}, {0, 0}, {8, 0}, {6, 3}, {1, 3}};
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *plain, *shape;
	uint8_t data[24] = {0};
	struct got got = {0};
	struct collector c;
	struct feeder f;
	struct batch batch;

	feeder_init(&f);
	feeder_element(&f);
	collector_init(&c, kind == EXPORTING_UDP);
	c.record = on_record;
	c.user = &got;
	d = to_port(kind, collector_listen(&c, f.base, 0));
	d.template_refresh_ms = d.options_template_refresh_ms = 1000;
	feeder_open(&f, &conf);
	plain = SHAPE(&f, 0, 0, IE_sourceIPv4Address, 4, 0,
		      IE_destinationIPv4Address, 4, IE_PEN_REVERSE,
		      IE_octetDeltaCount, 8, 0, IE_sourceIPv4Address, 4,
		      TEST_PEN, 12, 4);
	CU_ASSERT_EQUAL_FATAL(shape_get_marked(plain->table, plain->field,
					       marks, 5, 0, &shape),
			      0);
	batch = (struct batch){
		.shape = shape,
		.scope = &f.scope,
		.base = data,
		.count = 1,
		.stride = 24,
	};
	stage_run(f.stage, &batch);
	feed_flows(&f, plain, &f.scope, 1, 0);
	stage_flush(f.stage);
	LOOP_UNTIL(&f, got.flows == 2 && got.marks == 4);
	CU_ASSERT_EQUAL(got.marks_before_flows, 4);
	expect_mark(&got, 0, 0, IE_sourceIPv4Address, 0, 6, 11);
	expect_mark(&got, 1, IE_PEN_REVERSE, IE_octetDeltaCount, 0, 8, 0);
	expect_mark(&got, 2, 0, IE_sourceIPv4Address, 1, 6, 3);
	expect_mark(&got, 3, TEST_PEN, 12, 0, 1, 3);
	if (kind == EXPORTING_UDP) {
		/* With the Template, when it is sent again. */
		for (int i = 0; i < 12; i++)
			feeder_tick(&f, 100);
		LOOP_UNTIL(&f, got.marks == 8);
	}
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template + c.bad_message, 0);
	shape_release(plain);
	shape_release(shape);
	collector_fini(&c);
	feeder_fini(&f);
}

static void
test_marks(void)
{
	try_marks(EXPORTING_TCP);
	try_marks(EXPORTING_UDP);
}

static void
test_statistics(void)
{
	struct exporting_options options[] = {
		{"metering", EXPORTING_METERING_STATISTICS, 1000},
		{"reliability", EXPORTING_EXPORTING_RELIABILITY, 1000},
	};
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape, *fat;
	uint8_t data[600] = {0};
	struct got got = {0};
	struct collector c;
	struct feeder f;

	feeder_init(&f);
	collector_init(&c, true);
	c.record = on_record;
	c.user = &got;
	d = to_port(EXPORTING_UDP, collector_listen(&c, f.base, 0));
	d.max_message = 512;
	conf.options = options;
	conf.options_count = 2;
	conf.id = 42;
	feeder_open(&f, &conf);
	loop_once(f.base);
	shape = flow_shape(&f);
	fat = SHAPE(&f, 0, 0, IE_paddingOctets, 583, 0, IE_interfaceName,
		    IE_VARIABLE, 0, IE_packetDeltaCount, 8, 0,
		    IE_octetDeltaCount, 8);
	wire_put64(data + 584, 3);
	wire_put64(data + 592, 1000);
	struct batch batch = {
		.shape = fat,
		.scope = &f.scope,
		.base = data,
		.count = 1,
		.offset = (const uint32_t[]){0, 600},
	};
	stage_run(f.stage, &batch);
	stage_run(f.stage, &batch);
	feed_flows(&f, shape, &f.scope, 100, 0);
	stage_flush(f.stage);
	for (int i = 0; i < 25; i++) {
		feeder_tick(&f, 100);
		loop_once(f.base);
	}
	LOOP_UNTIL(&f, got.reliability >= 2);
	CU_ASSERT_EQUAL(got.flows, 100);
	CU_ASSERT_EQUAL(got.process, 42);
	CU_ASSERT_EQUAL(got.lost_records, 2);
	CU_ASSERT_EQUAL(got.lost_packets, 6);
	CU_ASSERT_EQUAL(got.lost_octets, 2000);
	CU_ASSERT_TRUE(got.first_ms > 0);
	CU_ASSERT_TRUE(got.last_ms >= got.first_ms);
	/* 100 records: Template, 30 + 30 + 30 + 10. Then nothing changed. */
	CU_ASSERT_EQUAL(got.metering, 1);
	CU_ASSERT_EQUAL(got.exported_messages, 5);
	CU_ASSERT_EQUAL(got.exported_records, 100);
	CU_ASSERT_EQUAL(got.exported_octets, 36 + 4 * 20 + 1600);
	CU_ASSERT_EQUAL(collector_domain(&c, 0)->records, got.reliability);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template + c.bad_message, 0);
	CU_ASSERT_TRUE(ledger_balanced(exporting_ledger(f.stage, 0)));
	shape_release(shape);
	shape_release(fat);
	collector_fini(&c);
	feeder_fini(&f);
}

static void
test_long_names(void)
{
	struct exporting_options options[] = {
		{"types", EXPORTING_EXTENDED_TYPE_INFORMATION, 0},
	};
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	struct collector c;
	struct feeder f;
	char text[1000];
	struct ie ie = {
		.pen = TEST_PEN,
		.length = 4,
		.type = IE_UNSIGNED32,
		.name = "a",
		.description = text,
	};
	uint32_t spec[3 * 31 + 3] = {0};
	char name[32];

	feeder_init(&f);
	/* An umlaut of two octets at the place of the cut. */
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text + 199, "\xc3\xbc", 2);
	for (uint32_t i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "element%u", (unsigned)i);
		ie.id = (uint16_t)(i + 1);
		ie.name = name;
		CU_ASSERT_EQUAL(ie_add(f.registry, &ie), 0);
		spec[3 * i] = TEST_PEN;
		spec[3 * i + 1] = i + 1;
		spec[3 * i + 2] = 4;
	}
	d = to_file(f.path);
	d.max_message = 512;
	conf.options = options;
	conf.options_count = 1;
	feeder_open(&f, &conf);
	shape = make_shape(&f, 0, spec);
	feed_flows(&f, shape, &f.scope, 10, 0);
	feeder_finish(&f);
	collector_init(&c, false);
	collector_file(&c, f.path);
	CU_ASSERT_EQUAL(c.options, 30);
	CU_ASSERT_EQUAL(c.records, 10);
	CU_ASSERT_TRUE(c.longest <= 512);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template + c.bad_message, 0);
	collector_fini(&c);
	shape_release(shape);
	feeder_fini(&f);
}

/* A domain whose scope has ended is told nothing, and can be given up. */
static void
test_idle(void)
{
	struct exporting_options options[] = {
		{"types", EXPORTING_EXTENDED_TYPE_INFORMATION, 200},
		{"metering", EXPORTING_METERING_STATISTICS, 200},
	};
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	struct collector c;
	struct feeder f;

	feeder_init(&f);
	feeder_element(&f);
	d = to_file(f.path);
	conf.options = options;
	conf.options_count = 2;
	conf.max_domains = 2;
	feeder_open(&f, &conf);
	loop_once(f.base);
	shape = SHAPE(&f, 0, TEST_PEN, 12, 4, 0, IE_octetDeltaCount, 8);
	for (uint32_t i = 0; i < 10; i++) {
		struct scope scope;

		feeder_scope(&f, &scope, i, "192.0.2.1");
		feed_flows(&f, shape, &scope, 10, 0);
		for (int k = 0; k < 5; k++)
			feeder_tick(&f, 100);
		stage_scope_end(f.stage, &scope);
		for (int k = 0; k < 5; k++)
			feeder_tick(&f, 100);
	}
	feeder_finish(&f);
	CU_ASSERT_EQUAL(ledger_lost(&f.stage->ledger), 0);
	collector_init(&c, false);
	collector_file(&c, f.path);
	CU_ASSERT_EQUAL(c.records, 100);
	/* In 500 ms: types at first and twice again, metering twice or so. */
	CU_ASSERT_TRUE(c.options >= 10 * (2 + 1));
	CU_ASSERT_TRUE(c.options <= 10 * (4 + 3));
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template + c.bad_message, 0);
	collector_fini(&c);
	shape_release(shape);
	feeder_fini(&f);
}

static const struct unit_test tests[] = {
	{"options that are forwarded or not", test_forward},
	{"type information and flow keys", test_types},
	{"anonymised fields", test_marks},
	{"statistics", test_statistics},
	{"long descriptions", test_long_names},
	{"domains without a scope", test_idle},
};

int
main(void)
{
	return unit_run("exporting: options", tests, UNIT_COUNT(tests));
}
