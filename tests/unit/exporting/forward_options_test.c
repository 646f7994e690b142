/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Records out of a spool are told of as they would have been when they were
 * stored, also in another run, and when who told it is gone.
 */
#include "folder.h"
#include "peer.h"

struct got {
	unsigned flows, early; /* of them, before anything was told */
	unsigned types, keys, marks, identities, samplings;
	uint32_t interval;
	uint64_t key_mask;
	uint32_t origin;
	char name[16];
};

static bool
is_about(const struct shape *shape, uint16_t id)
{
	return shape_find(shape, 0, id, 0) >= 0;
}

static void
on_record(struct collector *c, const struct template *t, const uint8_t *p,
	  uint32_t length, const struct message_header *header)
{
	const struct shape *s = t->shape;
	struct got *got = c->user;

	if (!s->scope_count) {
		got->early += !got->marks || !got->identities ||
			      !got->samplings || !got->keys || !got->types;
		got->flows++;
	} else if (is_about(s, IE_informationElementDataType)) {
		got->types++;
		memcpy(got->name, p + 27, 10);
	} else if (is_about(s, IE_flowKeyIndicator)) {
		got->keys++;
		got->key_mask = wire_get64(p + 2);
	} else if (is_about(s, IE_anonymizationTechnique)) {
		got->marks++;
		CU_ASSERT_EQUAL(wire_get16(p + 2), IE_destinationIPv4Address);
		CU_ASSERT_EQUAL(wire_get16(p + 12), 6);
	} else if (is_about(s, IE_originalExporterIPv4Address)) {
		got->identities++;
		got->origin = wire_get32(p + 4);
	} else if (is_about(s, IE_samplingInterval)) {
		got->samplings++;
		CU_ASSERT_EQUAL(wire_get32(p), header->domain);
		got->interval = wire_get32(p + 4);
	}
}

/* What both runs have in common. */
struct run {
	struct exporting_options options[2];
	struct exporting_destination destination;
	struct exporting_conf conf;
	char path[FOLDER_NAME];
	uint16_t port;
	const struct shape *flow, *sampling;
	struct feeder f;
	struct collector c;
	bool listens; /* c does, in the loop of f */
	struct got got;
};

static void
run_open(struct run *r)
{
	feeder_init(&r->f);
	if (!r->port) {
		folder_make(r->path);
		r->port = closed_port(r->f.base);
	}
	r->options[0] = (struct exporting_options){
		"types", EXPORTING_EXTENDED_TYPE_INFORMATION, 0};
	r->options[1] =
		(struct exporting_options){"keys", EXPORTING_FLOW_KEYS, 0};
	r->destination = to_port(EXPORTING_TCP, r->port);
	r->destination.spool = (struct exporting_spool){
		.directory = r->path,
		.max_octets = 64 << 20,
		.segment_octets = 1 << 20,
		.replay_share = 100,
	};
	r->conf = conf_of(&r->destination, 1);
	r->conf.options = r->options;
	r->conf.options_count = 2;
	r->conf.origin = EXPORTING_ORIGIN_OPTIONS;
	r->conf.id = 4711;
	feeder_open(&r->f, &r->conf);
}

/* Shapes of an exporter that knows its element. */
static void
run_shapes(struct run *r)
{
	static const struct field_mark marks[4] = {
		{0, 0}, {6, 3}, {0, 0}, {0, 0}};
	const struct shape *plain;

	feeder_element(&r->f);
	plain = SHAPE(&r->f, 0, 0, IE_sourceIPv4Address, 4, 0,
		      IE_destinationIPv4Address, 4, 0, IE_octetDeltaCount, 8,
		      TEST_PEN, 12, 4);
	CU_ASSERT_EQUAL_FATAL(shape_get_marked(plain->table, plain->field,
					       marks, 4, 0, &r->flow),
			      0);
	shape_release(plain);
	r->sampling = SHAPE(&r->f, 1, 0, IE_observationDomainId, 4, 0,
			    IE_samplingInterval, 4);
}

static void
run_listen(struct run *r)
{
	r->got = (struct got){0};
	collector_init(&r->c, false);
	r->listens = true;
	r->c.record = on_record;
	r->c.user = &r->got;
	collector_listen(&r->c, r->f.base, r->port);
}

static void
tell_sampling(struct run *r, uint32_t interval)
{
	uint8_t record[8];
	struct batch batch = {
		.shape = r->sampling,
		.scope = &r->f.scope,
		.base = record,
		.count = 1,
		.stride = 8,
	};

	wire_put32(record, r->f.scope.domain);
	wire_put32(record + 4, interval);
	stage_run(r->f.stage, &batch);
}

static void
feed(struct run *r, uint32_t count)
{
	uint8_t record[20] = {0};
	struct batch batch = {
		.shape = r->flow,
		.scope = &r->f.scope,
		.base = record,
		.count = 1,
		.stride = 20,
		.flow_keys = 3,
	};

	for (; count; count--)
		stage_run(r->f.stage, &batch);
}

static const struct ledger *
account(const struct run *r)
{
	return exporting_ledger(r->f.stage, 0);
}

static void
run_balanced(const struct run *r)
{
	CU_ASSERT_TRUE(ledger_balanced(account(r)));
	CU_ASSERT_TRUE(ledger_balanced(&r->f.stage->ledger));
}

static void
run_deaf(struct run *r)
{
	if (r->listens)
		collector_fini(&r->c);
	r->listens = false;
}

static void
run_end(struct run *r)
{
	stage_flush(r->f.stage);
	TICK_UNTIL(&r->f, stage_drained(r->f.stage));
	exporting_end(r->f.stage);
	run_balanced(r);
	CU_ASSERT_EQUAL(ledger_lost(account(r)), 0);
	if (r->flow) {
		shape_release(r->flow);
		shape_release(r->sampling);
	}
	r->flow = r->sampling = NULL;
	run_deaf(r);
	feeder_fini(&r->f);
}

/* All is told while the collector is there; then it goes, and records come. */
static void
store(struct run *r)
{
	run_open(r);
	run_shapes(r);
	run_listen(r);
	TICK_UNTIL(&r->f, r->c.sessions == 1);
	tell_sampling(r, 100);
	feed(r, 10);
	TICK_UNTIL(&r->f, r->got.flows == 10);
	CU_ASSERT_EQUAL(r->got.samplings, 1);
	CU_ASSERT_EQUAL(r->got.identities, 1);
	CU_ASSERT_EQUAL(r->got.marks, 1);
	CU_ASSERT_EQUAL(r->got.keys, 1);
	CU_ASSERT_EQUAL(r->got.types, 1);
	run_deaf(r);
	for (int i = 0; i < 5; i++) {
		feeder_tick(&r->f, 10);
		usleep(1000);
	}
	feed(r, 20000);
	TICK_UNTIL(&r->f, account(r)->held == 20000);
}

static void
expect(struct run *r, unsigned flows, uint32_t interval)
{
	const struct got *got = &r->got;

	TICK_UNTIL(&r->f, r->got.flows == flows);
	TICK_UNTIL(&r->f, account(r)->held == 0);
	CU_ASSERT_EQUAL(got->early, 0);
	CU_ASSERT_TRUE(got->samplings >= 1 && got->samplings <= 3);
	CU_ASSERT_EQUAL(got->interval, interval);
	CU_ASSERT_EQUAL(got->origin, 0xc0000201);
	CU_ASSERT_EQUAL(got->identities, 1);
	CU_ASSERT_EQUAL(got->marks, 1);
	CU_ASSERT_EQUAL(got->keys, 1);
	CU_ASSERT_EQUAL(got->key_mask, 3);
	CU_ASSERT_EQUAL(got->types, 1);
	CU_ASSERT_STRING_EQUAL(got->name, "siteNumber");
	CU_ASSERT_EQUAL(r->c.bad_sequence + r->c.bad_message + r->c.no_template,
			0);
	run_balanced(r);
}

static void
test_another_run(void)
{
	struct run r = {0};

	store(&r);
	run_end(&r);
	run_open(&r);
	run_listen(&r);
	expect(&r, 20000, 100);
	run_end(&r);
	folder_remove(r.path);
}

/* The exporter is back before the collector, and says otherwise. */
static void
test_newer(void)
{
	struct run r = {0};

	store(&r);
	run_end(&r);
	run_open(&r);
	run_shapes(&r);
	tell_sampling(&r, 200);
	run_listen(&r);
	expect(&r, 20000, 200);
	feed(&r, 1);
	TICK_UNTIL(&r.f, r.got.flows == 20001);
	CU_ASSERT_EQUAL(r.got.interval, 200);
	/* The same Template as before. */
	CU_ASSERT_EQUAL(r.got.marks, 1);
	run_end(&r);
	folder_remove(r.path);
}

/* The exporter has gone before the collector is back. */
static void
test_gone(void)
{
	struct run r = {0};

	store(&r);
	stage_scope_end(r.f.stage, &r.f.scope);
	run_listen(&r);
	expect(&r, 20000, 100);
	run_end(&r);
	folder_remove(r.path);
}

/* What changes while records are stored is told in its place. */
static void
test_changes(void)
{
	struct run r = {0};

	store(&r);
	tell_sampling(&r, 300);
	feed(&r, 1000);
	TICK_UNTIL(&r.f, account(&r)->held == 21001);
	run_end(&r);
	run_open(&r);
	run_listen(&r);
	expect(&r, 21000, 300);
	run_end(&r);
	folder_remove(r.path);
}

static const struct unit_test tests[] = {
	{"another run", test_another_run},
	{"newer ones are known", test_newer},
	{"who told them is gone", test_gone},
	{"they change", test_changes},
};

int
main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	return unit_run("exporting: options of what was stored", tests,
			UNIT_COUNT(tests));
}
