/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of others: each kind arrives behind us, about what it was about. The
 * ids of the source are chosen so that none is by chance the same as ours.
 */
#include "peer.h"

enum { THEIR_FLOWS = 999, THEIR_WIDE = 1000 };

struct source {
	struct scope scope; /* first */
	const struct shape *flows, *wide;
};

static const struct shape *
template_shape(const struct scope *scope, uint16_t id)
{
	const struct source *source = (const struct source *)scope;

	return id == THEIR_FLOWS  ? source->flows
	       : id == THEIR_WIDE ? source->wide
				  : NULL;
}

struct seen {
	unsigned keys, others, counts, original, systems, interfaces;
	uint32_t domain; /* of counts, sampling */
	uint32_t more;	 /* octets that each Flow Record has got */
	unsigned wrong;
};

/* What a record is about has been defined before it. */
static const struct template *
about(struct collector *c, const uint8_t *p, uint32_t domain)
{
	return template_store_find(c->store, domain, wire_get16(p), 0,
				   c->messages);
}

static void
on_record(struct collector *c, const struct template *t, const uint8_t *p,
	  uint32_t length, const struct message_header *header)
{
	struct seen *seen = c->user;
	const struct shape *shape = t->shape;
	const struct template *of;

	if (!shape->scope_count)
		return;
	switch (shape->field[0].ie->id) {
	case IE_templateId:
		of = about(c, p, header->domain);
		if (!of) {
			seen->wrong++;
		} else if (shape_find(shape, 0, IE_flowKeyIndicator, 0) > 0) {
			seen->keys++;
			seen->wrong += of->shape->min_length != 16 + seen->more;
		} else {
			seen->others++;
			seen->wrong += of->shape->min_length != 24 + seen->more;
		}
		break;
	case IE_observationDomainId:
		seen->counts++;
		seen->domain = wire_get32(p);
		break;
	case IE_originalObservationDomainId:
		seen->original++;
		seen->domain = wire_get32(p);
		break;
	case IE_exportingProcessId:
		seen->systems += wire_get32(p) == 0xa5a5a5a5;
		break;
	case IE_ingressInterface:
		seen->interfaces +=
			length == 4 + 1 + 4 && memcmp(p + 5, "eth0", 4) == 0;
		break;
	}
}

struct test {
	struct feeder f;
	struct collector c;
	struct seen seen;
	struct source a;
	struct scope other; /* has the domain first */
};

static void
test_open(struct test *t, const struct exporting_options *options,
	  enum exporting_origin origin)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);

	memset(t, 0, sizeof(*t));
	feeder_init(&t->f);
	collector_init(&t->c, false);
	t->c.record = on_record;
	t->c.user = &t->seen;
	d = to_port(EXPORTING_TCP, collector_listen(&t->c, t->f.base, 0));
	conf.options = (struct exporting_options *)options;
	conf.options_count = options != NULL;
	conf.origin = origin;
	feeder_open(&t->f, &conf);
	feeder_scope(&t->f, &t->other, 5, "192.0.2.1");
	feeder_scope(&t->f, &t->a.scope, 5, "192.0.2.2");
	t->a.flows = flow_shape(&t->f);
	t->a.wide = SHAPE(&t->f, 0, 0, IE_sourceIPv6Address, 16, 0,
			  IE_octetDeltaCount, 8);
	t->a.scope.template_shape = template_shape;
	feed_flows(&t->f, t->a.wide, &t->other, 1, 0);
}

static void
test_close(struct test *t)
{
	feeder_finish(&t->f);
	LOOP_UNTIL(&t->f,
		   t->c.records + t->c.options >= t->f.stage->ledger.exported);
	CU_ASSERT_EQUAL(t->c.bad_sequence + t->c.no_template, 0);
	CU_ASSERT_EQUAL(t->seen.wrong, 0);
	CU_ASSERT_TRUE(ledger_balanced(&t->f.stage->ledger));
	shape_release(t->a.flows);
	shape_release(t->a.wide);
	collector_fini(&t->c);
	feeder_fini(&t->f);
}

/* Feeds one record whose first field is that number. */
static void
feed_about(struct test *t, const struct shape *shape, uint32_t number)
{
	uint8_t data[64];
	struct batch batch = {
		.shape = shape,
		.scope = &t->a.scope,
		.base = data,
		.count = 1,
		.stride = shape->min_length,
	};

	memset(data, 0xa5, sizeof(data));
	wire_put_uint(data, number, shape->field[0].length);
	stage_run(t->f.stage, &batch);
}

/* About Templates, before and behind their data. */
static void
about_templates(enum exporting_origin origin, uint32_t more)
{
	const struct shape *keys, *anonymised, *reliability;
	struct test t;

	test_open(&t, NULL, origin);
	t.seen.more = more;
	keys = SHAPE(&t.f, 1, 0, IE_templateId, 2, 0, IE_flowKeyIndicator, 8);
	anonymised =
		SHAPE(&t.f, 2, 0, IE_templateId, 2, 0, IE_informationElementId,
		      2, 0, IE_anonymizationTechnique, 2);
	reliability = SHAPE(&t.f, 1, 0, IE_templateId, 2, 0,
			    IE_dataRecordsReliability, 1);
	feed_about(&t, keys, THEIR_FLOWS);
	feed_flows(&t.f, t.a.flows, &t.a.scope, 100, 0);
	feed_flows(&t.f, t.a.wide, &t.a.scope, 100, 0);
	feed_about(&t, anonymised, THEIR_WIDE);
	feed_about(&t, keys, THEIR_FLOWS);
	/* What was done to values is told by ours, if the shape says it. */
	CU_ASSERT_EQUAL(t.f.stage->ledger.filtered, 1);
	/* About one that is not known; how a stream was that is not ours. */
	feed_about(&t, keys, 300);
	feed_about(&t, reliability, THEIR_FLOWS);
	CU_ASSERT_EQUAL(t.f.stage->ledger.filtered, 3);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, t.seen.keys == 2);
	CU_ASSERT_EQUAL(t.seen.others, 0);
	shape_release(keys);
	shape_release(anonymised);
	shape_release(reliability);
	test_close(&t);
}

static void
test_templates(void)
{
	about_templates(EXPORTING_ORIGIN_NONE, 0);
	about_templates(EXPORTING_ORIGIN_RECORDS, 8);
}

/* About domains: their own, one that we know, one that we do not, all. */
static void
test_domains(void)
{
	const struct shape *sampling;
	struct scope second;
	struct test t;

	test_open(&t, NULL, EXPORTING_ORIGIN_NONE);
	sampling = SHAPE(&t.f, 1, 0, IE_observationDomainId, 4, 0,
			 IE_samplingInterval, 4);
	feed_about(&t, sampling, 5);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, t.seen.counts == 1);
	CU_ASSERT_EQUAL(t.seen.domain, 0x80000000);
	feed_about(&t, sampling, 6);
	CU_ASSERT_EQUAL(t.f.stage->ledger.filtered, 1);
	feeder_scope(&t.f, &second, 6, "192.0.2.2");
	feed_flows(&t.f, t.a.flows, &second, 1, 0);
	feed_about(&t, sampling, 6);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, t.seen.counts == 2);
	CU_ASSERT_EQUAL(t.seen.domain, 6);
	feed_about(&t, sampling, 0);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, t.seen.counts == 3);
	CU_ASSERT_EQUAL(t.seen.domain, 0);
	shape_release(sampling);
	test_close(&t);
}

/* Statistics of the source are not mistaken for ours. */
static void
test_statistics(void)
{
	static const struct exporting_options own = {
		"s", EXPORTING_METERING_STATISTICS, 60000};
	const struct shape *counts, *reliability;
	struct test t;

	for (int ours = 0; ours <= 1; ours++) {
		test_open(&t, ours ? &own : NULL, EXPORTING_ORIGIN_NONE);
		counts = SHAPE(&t.f, 1, 0, IE_observationDomainId, 4, 0,
			       IE_exportedMessageTotalCount, 8, 0,
			       IE_exportedFlowRecordTotalCount, 8);
		reliability = SHAPE(&t.f, 1, 0, IE_exportingProcessId, 4, 0,
				    IE_notSentFlowTotalCount, 8);
		feed_about(&t, counts, 5);
		feed_about(&t, reliability, 0xa5a5a5a5);
		feeder_finish(&t.f);
		LOOP_UNTIL(&t.f, t.seen.systems == 1);
		CU_ASSERT_EQUAL(t.seen.counts, ours ? 0 : 1);
		CU_ASSERT_EQUAL(t.seen.original, ours ? 1 : 0);
		CU_ASSERT_EQUAL(t.seen.domain, ours ? 5 : 0x80000000);
		shape_release(counts);
		shape_release(reliability);
		test_close(&t);
	}
}

static void
feed_interface(struct test *t, const struct shape *shape)
{
	static const uint8_t data[] = {0, 0, 0, 7, 4, 'e', 't', 'h', '0'};
	static const uint32_t offset[] = {0, sizeof(data)};
	const struct batch batch = {
		.shape = shape,
		.scope = &t->a.scope,
		.base = data,
		.count = 1,
		.offset = offset,
	};

	stage_run(t->f.stage, &batch);
}

/* What is the exporter's own stays as it is. */
static void
test_interfaces(void)
{
	const struct shape *interfaces;
	struct test t;

	test_open(&t, NULL, EXPORTING_ORIGIN_NONE);
	interfaces = SHAPE(&t.f, 1, 0, IE_ingressInterface, 4, 0,
			   IE_interfaceName, 65535);
	feed_interface(&t, interfaces);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, t.seen.interfaces == 1);
	shape_release(interfaces);
	test_close(&t);
}

/* A Template that the source withdraws is withdrawn behind its data. */
static void
test_withdrawal(void)
{
	struct test t;

	test_open(&t, NULL, EXPORTING_ORIGIN_NONE);
	feed_flows(&t.f, t.a.flows, &t.a.scope, 100, 0);
	stage_template_end(t.f.stage, &t.a.scope, t.a.flows);
	stage_template_end(t.f.stage, &t.a.scope, t.a.wide);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, t.c.outcome[TEMPLATE_WITHDRAWN] == 1);
	feed_flows(&t.f, t.a.flows, &t.a.scope, 100, 0);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, t.c.records == 201);
	CU_ASSERT_EQUAL(t.c.outcome[TEMPLATE_WITHDRAWN], 1);
	test_close(&t);
}

/* A new session is told what is known, but not what has gone. */
static void
test_sessions(void)
{
	const struct shape *interfaces, *keys, *others;
	struct test t;
	uint16_t port;

	test_open(&t, NULL, EXPORTING_ORIGIN_NONE);
	interfaces = SHAPE(&t.f, 1, 0, IE_ingressInterface, 4, 0,
			   IE_interfaceName, 65535);
	keys = SHAPE(&t.f, 1, 0, IE_templateId, 2, 0, IE_flowKeyIndicator, 8);
	others = SHAPE(&t.f, 1, 0, IE_templateId, 2, 0, IE_sectionOffset, 2);
	feed_flows(&t.f, t.a.flows, &t.a.scope, 10, 0);
	for (int i = 0; i < 3; i++) {
		feed_interface(&t, interfaces);
		feed_about(&t, keys, THEIR_FLOWS);
		feed_about(&t, others, THEIR_WIDE);
	}
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, t.seen.interfaces == 3 && t.seen.keys == 3 &&
				 t.seen.others == 3);
	stage_template_end(t.f.stage, &t.a.scope, t.a.wide);
	port = net_in_port(t.c.in);
	net_in_close(t.c.in);
	collector_listen(&t.c, t.f.base, port);
	LOOP_UNTIL(&t.f, t.c.sessions == 2);
	LOOP_UNTIL(&t.f, t.seen.interfaces == 4 && t.seen.keys == 4);
	feed_flows(&t.f, t.a.flows, &t.a.scope, 1, 0);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, t.c.records == 12);
	CU_ASSERT_EQUAL(t.seen.others, 3);
	CU_ASSERT_EQUAL(t.f.stage->ledger.split, 2);
	CU_ASSERT_TRUE(ledger_balanced(exporting_ledger(t.f.stage, 0)));
	/* The exporter goes: its options with it. */
	stage_scope_end(t.f.stage, &t.a.scope);
	net_in_close(t.c.in);
	collector_listen(&t.c, t.f.base, port);
	LOOP_UNTIL(&t.f, t.c.sessions == 3);
	feed_flows(&t.f, t.a.wide, &t.other, 1, 0);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, t.c.records == 13);
	CU_ASSERT_EQUAL(t.seen.interfaces, 4);
	CU_ASSERT_EQUAL(t.seen.keys, 4);
	shape_release(interfaces);
	shape_release(keys);
	shape_release(others);
	test_close(&t);
}

/* Over UDP they are told again, unless the exporter does so. */
static void
test_refresh(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *interfaces;
	struct test t;

	memset(&t, 0, sizeof(t));
	feeder_init(&t.f);
	collector_init(&t.c, true);
	t.c.record = on_record;
	t.c.user = &t.seen;
	d = to_port(EXPORTING_UDP, collector_listen(&t.c, t.f.base, 0));
	d.options_template_refresh_ms = 60000;
	feeder_open(&t.f, &conf);
	feeder_scope(&t.f, &t.a.scope, 5, "192.0.2.2");
	interfaces = SHAPE(&t.f, 1, 0, IE_ingressInterface, 4, 0,
			   IE_interfaceName, 65535);
	feed_interface(&t, interfaces);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, t.seen.interfaces == 1);
	feeder_tick(&t.f, 40000);
	feed_interface(&t, interfaces);
	feeder_finish(&t.f);
	LOOP_UNTIL(&t.f, t.seen.interfaces == 2);
	feeder_tick(&t.f, 40000);
	feeder_tick(&t.f, 10000);
	CU_ASSERT_EQUAL(t.f.stage->ledger.split, 0);
	feeder_tick(&t.f, 20000);
	LOOP_UNTIL(&t.f, t.seen.interfaces == 3);
	CU_ASSERT_EQUAL(t.f.stage->ledger.split, 1);
	CU_ASSERT_EQUAL(t.c.bad_sequence + t.c.no_template, 0);
	CU_ASSERT_TRUE(ledger_balanced(&t.f.stage->ledger));
	CU_ASSERT_TRUE(ledger_balanced(exporting_ledger(t.f.stage, 0)));
	shape_release(interfaces);
	collector_fini(&t.c);
	feeder_fini(&t.f);
}

static const struct unit_test tests[] = {
	{"about Templates", test_templates},
	{"about Observation Domains", test_domains},
	{"statistics", test_statistics},
	{"about interfaces", test_interfaces},
	{"Templates that are withdrawn", test_withdrawal},
	{"new sessions are told", test_sessions},
	{"again over UDP", test_refresh},
};

int
main(void)
{
	return unit_run("exporting: options of others", tests,
			UNIT_COUNT(tests));
}
