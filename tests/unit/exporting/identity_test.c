/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Who exported what is passed on, and which Observation Domain IDs it has. */
#include "peer.h"

enum { ID = 77, TOLD_MAX = 32 };

struct told {
	uint32_t scope, domain;
	struct addr exporter;
	unsigned path_count;
	uint32_t path[SCOPE_PATH_MAX + 1];
};

struct seen {
	struct told told[TOLD_MAX];
	unsigned count;
	unsigned late;	 /* told behind data of their domain */
	unsigned wide;	 /* Flow Records that tell it */
	unsigned narrow; /* that do not */
	uint32_t last_domain;
	uint8_t last_address[16];
};

static void
read_address(struct addr *addr, const struct shape *shape, const uint8_t *p,
	     uint32_t length)
{
	uint32_t n;
	const uint8_t *v4 = shape_field(
		shape, shape_find(shape, 0, IE_originalExporterIPv4Address, 0),
		p, length, &n);
	const uint8_t *v6 = shape_field(
		shape, shape_find(shape, 0, IE_originalExporterIPv6Address, 0),
		p, length, &n);

	*addr = (struct addr){.version = v4 ? 4 : v6 ? 6 : 0};
	if (v4)
		memcpy(addr->bytes, v4, 4);
	if (v6)
		memcpy(addr->bytes, v6, 16);
}

static void
on_option(struct collector *c, const struct shape *shape, const uint8_t *p,
	  uint32_t length, uint32_t domain)
{
	struct seen *seen = c->user;
	struct told *t = &seen->told[seen->count];
	uint64_t value = 0;
	uint32_t n;
	const uint8_t *list = shape_field(
		shape, shape_find(shape, 0, IE_basicList, 0), p, length, &n);

	CU_ASSERT_FATAL(seen->count++ < TOLD_MAX);
	CU_ASSERT_EQUAL(wire_get32(p), domain);
	t->scope = domain;
	read_address(&t->exporter, shape, p, length);
	shape_uint(shape,
		   shape_find(shape, 0, IE_originalObservationDomainId, 0), p,
		   length, &value);
	t->domain = (uint32_t)value;
	CU_ASSERT_PTR_NOT_NULL_FATAL(list);
	CU_ASSERT_EQUAL(list[0], 4); /* ordered */
	CU_ASSERT_EQUAL(wire_get16(list + 1), IE_exportingProcessId);
	CU_ASSERT_EQUAL(wire_get16(list + 3), 4);
	t->path_count = (n - 5) / 4;
	for (unsigned i = 0; i < t->path_count; i++)
		t->path[i] = wire_get32(list + 5 + 4 * i);
}

static void
on_record(struct collector *c, const struct template *t, const uint8_t *p,
	  uint32_t length, const struct message_header *header)
{
	struct seen *seen = c->user;
	struct addr addr;
	uint64_t domain = 0;
	bool told = false;

	if (t->shape->scope_count) {
		on_option(c, t->shape, p, length, header->domain);
		return;
	}
	for (unsigned i = 0; i < seen->count; i++)
		told |= seen->told[i].scope == header->domain;
	seen->late += !told;
	read_address(&addr, t->shape, p, length);
	if (!addr.version) {
		seen->narrow++;
		return;
	}
	seen->wide++;
	memcpy(seen->last_address, addr.bytes, 16);
	shape_uint(t->shape,
		   shape_find(t->shape, 0, IE_originalObservationDomainId, 0),
		   p, length, &domain);
	seen->last_domain = (uint32_t)domain;
}

static const struct told *
find_told(const struct seen *seen, uint32_t scope)
{
	for (unsigned i = seen->count; i-- > 0;)
		if (seen->told[i].scope == scope)
			return &seen->told[i];
	CU_FAIL_FATAL("nothing was told of a domain");
	return NULL;
}

static bool
is_address(const struct addr *addr, const char *text)
{
	struct addr other;

	addr_parse(&other, text, 0);
	return addr_equal_host(addr, &other);
}

static void
read_back(struct feeder *f, struct collector *c, struct seen *seen)
{
	feeder_finish(f);
	collector_init(c, false);
	*seen = (struct seen){0};
	c->record = on_record;
	c->user = seen;
	collector_file(c, f->path);
	CU_ASSERT_EQUAL(c->bad_sequence + c->no_template + c->bad_message, 0);
	CU_ASSERT_EQUAL(c->early, 0);
}

/* By options: addresses of both kinds, our own, and what others have told. */
static void
test_options(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	struct scope v4, v6, own, far, last;
	const struct shape *shape, *option;
	const struct told *t;
	struct collector c;
	struct seen seen;
	struct feeder f;

	feeder_init(&f);
	d = to_file(f.path);
	conf.id = ID;
	conf.origin = EXPORTING_ORIGIN_OPTIONS;
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	option = SHAPE(&f, 1, 0, IE_observationDomainId, 4, 0,
		       IE_originalExporterIPv4Address, 4);
	feeder_scope(&f, &v4, 5, "192.0.2.1");
	feeder_scope(&f, &v6, 5, "2001:db8::1");
	feeder_scope(&f, &own, 6, NULL);
	feeder_scope(&f, &far, 7, "192.0.2.7");
	feed_flows(&f, shape, &v4, 300, 0);
	feed_flows(&f, shape, &v6, 300, 0);
	feed_flows(&f, shape, &own, 300, 0);
	feed_flows(&f, shape, &far, 300, 0);
	stage_flush(f.stage);
	LOOP_UNTIL(&f, stage_drained(f.stage));
	/* Only now it is known that another stands before it. */
	far.origin = (struct scope_origin){
		.serial = 1, .domain = 99, .path_count = 2, .path = {3, 4}};
	addr_parse(&far.origin.exporter, "198.51.100.1", 0);
	feed_flows(&f, option, &far, 1, 0);
	feed_flows(&f, shape, &far, 300, 0);
	/* One that ends before its message is full is told all the same. */
	feeder_scope(&f, &last, 8, "192.0.2.8");
	feed_flows(&f, shape, &last, 1, 0);
	stage_scope_end(f.stage, &last);
	CU_ASSERT_EQUAL(f.stage->ledger.filtered, 1);
	CU_ASSERT_TRUE(ledger_balanced(&f.stage->ledger));
	read_back(&f, &c, &seen);
	CU_ASSERT_EQUAL(c.records, 1501);
	CU_ASSERT_EQUAL(seen.narrow, 1501);
	CU_ASSERT_EQUAL(seen.late, 0);
	CU_ASSERT_EQUAL(seen.count, 6);
	t = find_told(&seen, 5);
	CU_ASSERT_TRUE(is_address(&t->exporter, "192.0.2.1"));
	CU_ASSERT_EQUAL(t->domain, 5);
	CU_ASSERT_EQUAL(t->path_count, 1);
	CU_ASSERT_EQUAL(t->path[0], ID);
	t = find_told(&seen, 0x80000000);
	CU_ASSERT_TRUE(is_address(&t->exporter, "2001:db8::1"));
	CU_ASSERT_EQUAL(t->domain, 5);
	t = find_told(&seen, 6);
	CU_ASSERT_EQUAL(t->exporter.version, 0);
	CU_ASSERT_EQUAL(t->path_count, 1);
	t = find_told(&seen, 7);
	CU_ASSERT_TRUE(is_address(&t->exporter, "198.51.100.1"));
	CU_ASSERT_EQUAL(t->domain, 99);
	CU_ASSERT_EQUAL(t->path_count, 3);
	CU_ASSERT_EQUAL(t->path[0], 3);
	CU_ASSERT_EQUAL(t->path[1], 4);
	CU_ASSERT_EQUAL(t->path[2], ID);
	collector_fini(&c);
	shape_release(shape);
	shape_release(option);
	feeder_fini(&f);
}

/* Each session is told; over UDP again with the Options Template. */
static void
test_refresh(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	struct seen seen = {0};
	struct collector c;
	struct feeder f;

	feeder_init(&f);
	collector_init(&c, true);
	c.record = on_record;
	c.user = &seen;
	d = to_port(EXPORTING_UDP, collector_listen(&c, f.base, 0));
	d.options_template_refresh_ms = 60000;
	conf.id = ID;
	conf.origin = EXPORTING_ORIGIN_OPTIONS;
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	feed_flows(&f, shape, &f.scope, 10, 0);
	feeder_tick(&f, 1000);
	LOOP_UNTIL(&f, c.records == 10);
	CU_ASSERT_EQUAL(seen.count, 1);
	CU_ASSERT_EQUAL(seen.late, 0);
	feeder_tick(&f, 30000);
	feeder_tick(&f, 31000);
	LOOP_UNTIL(&f, seen.count == 2);
	CU_ASSERT_EQUAL(c.bad_sequence + c.no_template, 0);
	feeder_finish(&f);
	shape_release(shape);
	collector_fini(&c);
	feeder_fini(&f);
}

static void
feed_text(struct feeder *f, const struct shape *shape)
{
	static const uint8_t data[] = {3, 'a', 'b', 'c', 0, 1, 'x'};
	static const uint32_t offset[] = {0, 4, 5, 7};
	struct batch batch = {
		.shape = shape,
		.scope = &f->scope,
		.base = data,
		.count = 3,
		.offset = offset,
	};

	stage_run(f->stage, &batch);
}

/* In each record, but not in those that tell it already. */
static void
test_records(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape, *text, *telling;
	struct collector c;
	struct seen seen;
	struct feeder f;

	feeder_init(&f);
	d = to_file(f.path);
	conf.id = ID;
	conf.origin = EXPORTING_ORIGIN_RECORDS;
	feeder_open(&f, &conf);
	shape = flow_shape(&f);
	text = SHAPE(&f, 0, 0, IE_interfaceName, 65535);
	telling = SHAPE(&f, 0, 0, IE_octetDeltaCount, 8, 0,
			IE_originalObservationDomainId, 4);
	feed_flows(&f, shape, &f.scope, 1000, 0);
	feed_text(&f, text);
	feed_flows(&f, telling, &f.scope, 10, 0);
	CU_ASSERT_EQUAL(f.stage->ledger.exported, 1013);
	CU_ASSERT_TRUE(ledger_balanced(&f.stage->ledger));
	CU_ASSERT_TRUE(ledger_balanced(exporting_ledger(f.stage, 0)));
	read_back(&f, &c, &seen);
	CU_ASSERT_EQUAL(c.sum, f.sum);
	CU_ASSERT_EQUAL(seen.wide, 1003);
	CU_ASSERT_EQUAL(seen.narrow, 10);
	CU_ASSERT_EQUAL(seen.last_domain, 7);
	CU_ASSERT_EQUAL(memcmp(seen.last_address, "\xc0\0\2\1", 4), 0);
	CU_ASSERT_EQUAL(seen.count, 1);
	collector_fini(&c);
	shape_release(shape);
	shape_release(text);
	shape_release(telling);
	feeder_fini(&f);
}

/* None: what others tell is passed on. */
static void
test_none(void)
{
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *option;
	struct feeder f;

	feeder_init(&f);
	d = to_file(f.path);
	feeder_open(&f, &conf);
	option = SHAPE(&f, 1, 0, IE_observationDomainId, 4, 0,
		       IE_originalExporterIPv4Address, 4);
	feed_flows(&f, option, &f.scope, 3, 0);
	CU_ASSERT_EQUAL(f.stage->ledger.exported, 3);
	feeder_finish(&f);
	shape_release(option);
	feeder_fini(&f);
}

/* ---- the file of domains ---------------------------------------------------
 */

static void
write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs(text, file);
	fclose(file);
}

static uint64_t
records_of(const char *path, uint32_t domain)
{
	struct collector c;
	uint64_t records;

	collector_init(&c, false);
	collector_file(&c, path);
	records = collector_domain(&c, domain)->records;
	collector_fini(&c);
	return records;
}

/* The same ids in another run, in whatever order exporters come. */
static void
test_file(void)
{
	static const char *const exporter[] = {"192.0.2.1", "2001:db8::2",
					       "192.0.2.3"};
	struct exporting_destination d;
	struct exporting_conf conf = conf_of(&d, 1);
	const struct shape *shape;
	struct scope scope;
	struct feeder f;
	char path[80];

	snprintf(path, sizeof(path), "/tmp/conflux-domains-%ld",
		 (long)getpid());
	conf.domain_file = path;
	for (int run = 0; run < 2; run++) {
		feeder_init(&f);
		d = to_file(f.path);
		feeder_open(&f, &conf);
		shape = flow_shape(&f);
		for (int i = 0; i < 3; i++) {
			int k = run == 0 ? i : 2 - i;

			feeder_scope(&f, &scope, 5, exporter[k]);
			feed_flows(&f, shape, &scope, 10 + (uint32_t)k, 0);
		}
		feeder_finish(&f);
		CU_ASSERT_EQUAL(records_of(f.path, 5), 10);
		CU_ASSERT_EQUAL(records_of(f.path, 0x80000000), 11);
		CU_ASSERT_EQUAL(records_of(f.path, 0x80000001), 12);
		/* It is there before the end, for one that is killed. */
		feeder_tick(&f, 2000);
		CU_ASSERT_EQUAL(access(path, R_OK), 0);
		shape_release(shape);
		feeder_fini(&f);
	}
	unlink(path);
}

static void
test_bad_file(void)
{
	static const struct {
		const char *text, *reason;
	} bad[] = {
		{"5 192.0.2.1 5\n5 192.0.2.2 5\n", ":2: this Observation"},
		{"# good\n5 192.0.2.1\n", ":2: expected"},
		{"5 192.0.2.1 5 more\n", ":1: expected"},
		{"5 host 5\n", ":1: this is no address"},
		{"1 - 1\n2 - 2\n3 - 3\n", ":3: there are more"},
	};
	char path[80];

	snprintf(path, sizeof(path), "/tmp/conflux-domains-%ld",
		 (long)getpid());
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct exporting_destination d;
		struct exporting_conf conf = conf_of(&d, 1);
		struct stage *stage = NULL;
		struct feeder f;
		char *error = NULL;

		feeder_init(&f);
		d = to_file(f.path);
		conf.domain_file = path;
		conf.max_domains = 2;
		write_text(path, bad[i].text);
		CU_ASSERT_EQUAL(exporting_new(f.base, &conf, f.registry,
					      f.shapes, &stage, &error),
				-EINVAL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(error);
		CU_ASSERT_PTR_NOT_NULL(strstr(error, bad[i].reason));
		free(error);
		feeder_fini(&f);
	}
	unlink(path);
}

static const struct unit_test tests[] = {
	{"by options", test_options},
	{"again over UDP", test_refresh},
	{"in each record", test_records},
	{"not at all", test_none},
	{"domains are kept in a file", test_file},
	{"files that are refused", test_bad_file},
};

int
main(void)
{
	return unit_run("exporting: identity", tests, UNIT_COUNT(tests));
}
