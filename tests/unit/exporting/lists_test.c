/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured data (RFC 6313) on its way through: the Templates that lists name
 * are sent, and named by the ids that they have behind us.
 */
#include "peer.h"

enum { SOURCE_INNER = 300, SOURCE_NESTED = 400, SOURCE_GONE = 500 };

struct source {
	struct scope scope; /* first */
	const struct shape *inner, *nested;
};

static const struct shape *
source_shape(const struct scope *scope, uint16_t id)
{
	const struct source *source = (const struct source *)scope;

	switch (id) {
	case SOURCE_INNER:
		return source->inner;
	case SOURCE_NESTED:
		return source->nested;
	default:
		return NULL;
	}
}

struct fixture {
	struct feeder f;
	struct source source;
	const struct shape *outer;
	struct exporting_destination d;
	struct exporting_conf conf;
};

static void
fixture_init(struct fixture *x)
{
	feeder_init(&x->f);
	x->d = to_file(x->f.path);
	x->conf = conf_of(&x->d, 1);
	x->source.scope = x->f.scope;
	x->source.scope.template_shape = source_shape;
	x->source.inner = SHAPE(&x->f, 0, 0, IE_octetDeltaCount, 8);
	x->source.nested = SHAPE(&x->f, 0, 0, IE_protocolIdentifier, 1, 0,
				 IE_subTemplateList, IE_VARIABLE);
	x->outer = SHAPE(&x->f, 0, 0, IE_subTemplateList, IE_VARIABLE, 0,
			 IE_subTemplateMultiList, IE_VARIABLE, 0, IE_basicList,
			 IE_VARIABLE);
}

static void
fixture_fini(struct fixture *x)
{
	shape_release(x->source.inner);
	shape_release(x->source.nested);
	shape_release(x->outer);
	feeder_fini(&x->f);
}

/* A list of n inner records that add up to n * value. */
static void
add_inner(struct writer *w, uint16_t id, uint8_t n, uint64_t value)
{
	writer_u8(w, (uint8_t)(3 + 8 * n));
	writer_u8(w, 3); /* allOf */
	writer_u16(w, id);
	for (uint8_t i = 0; i < n; i++)
		writer_u64(w, value);
}

static uint32_t
make_record(uint8_t *record, size_t size)
{
	struct writer w;

	writer_init(&w, record, size);
	/* subTemplateList: 2 inner records */
	add_inner(&w, SOURCE_INNER, 2, 7);
	/* subTemplateMultiList: one nested record, one inner, one unknown */
	writer_u8(&w, 1 + 4 + 1 + 12 + 4 + 8 + 4 + 3);
	writer_u8(&w, 3);
	writer_u16(&w, SOURCE_NESTED);
	writer_u16(&w, 4 + 1 + 12);
	writer_u8(&w, 17);
	add_inner(&w, SOURCE_INNER, 1, 9);
	writer_u16(&w, SOURCE_INNER);
	writer_u16(&w, 12);
	writer_u64(&w, 11);
	writer_u16(&w, SOURCE_GONE);
	writer_u16(&w, 7);
	writer_bytes(&w, "abc", 3);
	/* basicList of subTemplateLists */
	writer_u8(&w, 5 + 12 + 12);
	writer_u8(&w, 3);
	writer_u16(&w, IE_subTemplateList);
	writer_u16(&w, IE_VARIABLE);
	add_inner(&w, SOURCE_INNER, 1, 13);
	add_inner(&w, SOURCE_INNER, 1, 15);
	CU_ASSERT_FALSE(w.failed);
	return (uint32_t)(w.p - record);
}

static void
feed(struct fixture *x, const uint8_t *record, uint32_t length)
{
	uint32_t offset[] = {0, length};
	struct batch batch = {
		.shape = x->outer,
		.scope = &x->source.scope,
		.base = record,
		.count = 1,
		.offset = offset,
	};

	stage_run(x->f.stage, &batch);
}

struct seen {
	uint64_t sum;
	unsigned records, unknown;
};

/* Is the id at p one of a Template whose first element is this one? */
static void
check_id(struct collector *c, uint32_t domain, const uint8_t *p, uint16_t ie)
{
	struct template *t = template_store_find(c->store, domain,
						 wire_get16(p), 0, c->messages);

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT_EQUAL(t->shape->field[0].ie->id, ie);
}

static void
on_record(struct collector *c, const struct template *t, const uint8_t *p,
	  uint32_t length, const struct message_header *header)
{
	struct seen *seen = c->user;

	seen->records++;
	check_id(c, header->domain, p + 2, IE_octetDeltaCount);
	seen->sum += wire_get64(p + 4) + wire_get64(p + 12);
	p += 20; /* the multi list */
	check_id(c, header->domain, p + 2, IE_protocolIdentifier);
	CU_ASSERT_EQUAL(p[6], 17);
	check_id(c, header->domain, p + 9, IE_octetDeltaCount);
	seen->sum += wire_get64(p + 11);
	check_id(c, header->domain, p + 19, IE_octetDeltaCount);
	seen->sum += wire_get64(p + 23);
	seen->unknown += wire_get16(p + 31) == 65535;
	CU_ASSERT_EQUAL(memcmp(p + 35, "abc", 3), 0);
	p += 38; /* the basic list */
	check_id(c, header->domain, p + 8, IE_octetDeltaCount);
	seen->sum += wire_get64(p + 10);
	check_id(c, header->domain, p + 20, IE_octetDeltaCount);
	seen->sum += wire_get64(p + 22);
}

static void
test_rewrite(void)
{
	struct seen seen = {0};
	struct collector c;
	struct fixture x;
	uint8_t record[256], before[256];
	uint32_t length;

	fixture_init(&x);
	feeder_open(&x.f, &x.conf);
	length = make_record(record, sizeof(record));
	memcpy(before, record, length);
	for (int i = 0; i < 5000; i++)
		feed(&x, record, length);
	CU_ASSERT_EQUAL(memcmp(before, record, length), 0);
	feeder_finish(&x.f);
	CU_ASSERT_EQUAL(exporting_ledger(x.f.stage, 0)->exported, 5000);
	collector_init(&c, false);
	c.record = on_record;
	c.user = &seen;
	collector_file(&c, x.f.path);
	CU_ASSERT_EQUAL(seen.records, 5000);
	CU_ASSERT_EQUAL(seen.unknown, 5000);
	CU_ASSERT_EQUAL(seen.sum, 5000 * (7 + 7 + 9 + 11 + 13 + 15));
	CU_ASSERT_EQUAL(c.outcome[TEMPLATE_NEW], 3);
	CU_ASSERT_EQUAL(c.bad_sequence + c.bad_message + c.no_template, 0);
	collector_fini(&c);
	fixture_fini(&x);
}

/* Without the sender's Templates nothing is changed. */
static void
test_unknown(void)
{
	struct collector c;
	struct fixture x;
	uint8_t record[256], file[512];
	uint32_t length;
	size_t n;
	FILE *in;

	fixture_init(&x);
	x.source.scope.template_shape = NULL;
	feeder_open(&x.f, &x.conf);
	length = make_record(record, sizeof(record));
	feed(&x, record, length);
	feeder_finish(&x.f);
	in = fopen(x.f.path, "rb");
	n = fread(file, 1, sizeof(file), in);
	fclose(in);
	CU_ASSERT_TRUE(n > length);
	CU_ASSERT_EQUAL(memcmp(file + n - length, record, length), 0);
	collector_init(&c, false);
	collector_file(&c, x.f.path);
	CU_ASSERT_EQUAL(c.records, 1);
	collector_fini(&c);
	fixture_fini(&x);
}

/* Lists that don't add up go through, whatever is in them. */
static void
test_broken(void)
{
	uint8_t record[256], broken[256];
	struct collector c;
	struct fixture x;
	uint32_t length, seed = 1, fed = 0;

	fixture_init(&x);
	feeder_open(&x.f, &x.conf);
	length = make_record(record, sizeof(record));
	for (int i = 0; i < 20000; i++) {
		memcpy(broken, record, length);
		for (int k = 0; k < 3; k++) {
			seed = seed * 1664525 + 1013904223;
			broken[(seed >> 8) % length] = (uint8_t)(seed >> 24);
		}
		/* Collecting takes care that records end where they end. */
		if (shape_record_length(x.outer, broken, length) !=
		    (int)length)
			continue;
		feed(&x, broken, length);
		fed++;
	}
	feeder_finish(&x.f);
	CU_ASSERT_TRUE(fed > 1000);
	collector_init(&c, false);
	collector_file(&c, x.f.path);
	CU_ASSERT_EQUAL(c.records, fed);
	CU_ASSERT_EQUAL(c.bad_sequence + c.bad_message + c.no_template, 0);
	collector_fini(&c);
	fixture_fini(&x);
}

/* A scope that ends while lists wait in the queue; then all is withdrawn. */
static void
test_end(void)
{
	struct seen seen = {0};
	struct collector c;
	struct fixture x;
	uint8_t record[256];
	uint32_t length;

	fixture_init(&x);
	collector_init(&c, false);
	c.record = on_record;
	c.user = &seen;
	x.d = to_port(EXPORTING_TCP, collector_listen(&c, x.f.base, 0));
	feeder_open(&x.f, &x.conf);
	length = make_record(record, sizeof(record));
	for (int round = 1; round <= 3; round++) {
		for (int i = 0; i < 2000; i++)
			feed(&x, record, length);
		stage_scope_end(x.f.stage, &x.source.scope);
		x.source.scope.serial = scope_serial();
		feeder_finish(&x.f);
		LOOP_UNTIL(&x.f, c.outcome[TEMPLATE_WITHDRAWN] ==
					 3 * (unsigned)round);
		CU_ASSERT_EQUAL(seen.records, 2000 * (unsigned)round);
	}
	CU_ASSERT_EQUAL(seen.sum, 6000 * (7 + 7 + 9 + 11 + 13 + 15));
	CU_ASSERT_EQUAL(c.bad_sequence + c.bad_message + c.no_template, 0);
	collector_fini(&c);
	fixture_fini(&x);
}

static const struct unit_test tests[] = {
	{"ids in lists", test_rewrite},
	{"lists of a scope without Templates", test_unknown},
	{"lists that do not add up", test_broken},
	{"the end of a scope with lists", test_end},
};

int
main(void)
{
	return unit_run("exporting: lists", tests, UNIT_COUNT(tests));
}
