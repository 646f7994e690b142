/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Each allocation of a run through the module fails once: nothing crashes, the
 * ledgers stay exact, and what was exported can be read. Leaks are for the
 * sanitizers.
 */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "folder.h"
#include "nomem.h"
#include "peer.h"

static struct exporting_options options[] = {
	{"types", EXPORTING_EXTENDED_TYPE_INFORMATION, 100},
	{"keys", EXPORTING_FLOW_KEYS, 100},
	{"metering", EXPORTING_METERING_STATISTICS, 100},
	{"reliability", EXPORTING_EXPORTING_RELIABILITY, 100},
};

static void
check_ledgers(struct feeder *f, bool end)
{
	CU_ASSERT_TRUE(ledger_balanced(&f->stage->ledger));
	for (unsigned i = 0; i < 2; i++) {
		const struct ledger *l = exporting_ledger(f->stage, i);

		CU_ASSERT_TRUE(ledger_balanced(l));
		CU_ASSERT_TRUE(!end || l->held == 0);
	}
}

static const struct shape *their_shape;

static const struct shape *
template_shape(const struct scope *scope, uint16_t id)
{
	return their_shape;
}

/* Some of all that can happen, with the loop left out at first: a queue. */
static void
use(struct feeder *f, const struct shape *const *shape)
{
	struct scope other;

	their_shape = shape[0];
	f->scope.template_shape = template_shape;
	feeder_scope(f, &other, 8, NULL);
	for (int i = 0; i < 4; i++) {
		f->scope.origin.serial = (uint32_t)i / 2;
		feed_flows(f, shape[3], &f->scope, 2, 0);
		feed_flows(f, shape[0], &f->scope, 200, 0);
		feed_flows(f, shape[1], &other, 10, 0);
		feed_flows(f, shape[2], &f->scope, 1, 0);
		if (i == 2)
			stage_template_end(f->stage, &f->scope, shape[0]);
		feeder_tick(f, 60);
		check_ledgers(f, false);
	}
	stage_scope_end(f->stage, &other);
	stage_scope_end(f->stage, &f->scope);
	feeder_tick(f, 60);
}

/* Returns whether it ran to its end with all memory it asked for. */
static bool
run(unsigned nth, enum exporting_origin origin)
{
	struct exporting_destination d[2];
	struct exporting_conf conf = conf_of(d, 2);
	const struct shape *shape[4];
	char domains[80];
	struct collector c;
	struct feeder f;
	char *error = NULL;
	int r;

	feeder_init(&f);
	feeder_element(&f);
	shape[0] = flow_shape(&f);
	shape[1] = SHAPE(&f, 0, TEST_PEN, 12, 4, 0, IE_octetDeltaCount, 8);
	shape[2] = SHAPE(&f, 1, 0, IE_observationDomainId, 4, 0,
			 IE_samplingInterval, 4);
	shape[3] = SHAPE(&f, 1, 0, IE_templateId, 2, 0, IE_sectionOffset, 2);
	snprintf(domains, sizeof(domains), "/tmp/conflux-nomem-domains-%ld",
		 (long)getpid());
	conf.domain_file = domains;
	conf.origin = origin;
	d[0] = to_file(f.path);
	d[0].max_message = 512;
	d[1] = to_file("/dev/null");
	d[1].kind = EXPORTING_JSON;
	conf.options = options;
	conf.options_count = 4;
	nomem_begin(nth);
	r = exporting_new(f.base, &conf, f.registry, f.shapes, &f.stage,
			  &error);
	if (r == 0)
		use(&f, shape);
	nomem_end();
	CU_ASSERT_TRUE(r == 0 || r == -ENOMEM);
	free(error);
	if (r == 0) {
		feeder_finish(&f);
		check_ledgers(&f, true);
		collector_init(&c, false);
		collector_file(&c, f.path);
		CU_ASSERT_TRUE(c.records + c.options >=
			       exporting_ledger(f.stage, 0)->exported);
		CU_ASSERT_EQUAL(c.bad_sequence + c.bad_message + c.no_template,
				0);
		collector_fini(&c);
	}
	for (int i = 0; i < 4; i++)
		shape_release(shape[i]);
	feeder_fini(&f);
	unlink(domains);
	return !nomem_failed;
}

/* A record of 8 octets and 200. */
static void
feed_long(struct feeder *f, const struct shape *shape)
{
	static uint8_t record[8 + 1 + 200] = {[8] = 200};
	static const uint32_t offset[] = {0, sizeof(record)};
	const struct batch batch = {
		.shape = shape,
		.scope = &f->scope,
		.base = record,
		.offset = offset,
		.count = 1,
	};

	stage_run(f->stage, &batch);
}

/*
 * One destination is away, so that what waits for it is moved to the other,
 * as far as there is memory.
 */
static bool
run_away(unsigned nth)
{
	static const uint32_t domain[] = {7, 8};
	struct exporting_destination d[2];
	struct exporting_conf conf = conf_of(d, 2);
	const struct shape *shape[3];
	struct feeder f;
	char *error = NULL;
	int r;

	feeder_init(&f);
	shape[0] = flow_shape(&f);
	shape[1] = SHAPE(&f, 0, 0, IE_octetDeltaCount, 8, 0, IE_interfaceName,
			 IE_VARIABLE);
	shape[2] = SHAPE(&f, 1, 0, IE_observationDomainId, 4, 0,
			 IE_samplingInterval, 4);
	d[0] = to_port(EXPORTING_TCP, closed_port(f.base));
	d[0].domain = domain;
	d[0].domain_count = 2;
	d[1] = to_file(f.path);
	conf.mode = EXPORTING_LOAD_BALANCING;
	conf.balance = EXPORTING_BALANCE_FLOW_KEY;
	conf.grace_ms = 100;
	nomem_begin(nth);
	r = exporting_new(f.base, &conf, f.registry, f.shapes, &f.stage,
			  &error);
	for (int i = 0; r == 0 && i < 3; i++) {
		feed_flows(&f, shape[2], &f.scope, 2, 0);
		feed_flows(&f, shape[0], &f.scope, 50, 0);
		feed_long(&f, shape[1]);
		feeder_tick(&f, 60);
		check_ledgers(&f, false);
	}
	nomem_end();
	CU_ASSERT_TRUE(r == 0 || r == -ENOMEM);
	free(error);
	if (r == 0) {
		feeder_tick(&f, 300);
		feeder_tick(&f, 300);
		check_ledgers(&f, false);
		CU_ASSERT_EQUAL(exporting_ledger(f.stage, 0)->held, 0);
	}
	for (int i = 0; i < 3; i++)
		shape_release(shape[i]);
	feeder_fini(&f);
	return !nomem_failed;
}

static void
test_away(void)
{
	unsigned nth = 1;

	log_set_level(LOG_LEVEL_ERROR);
	while (!run_away(nth) && nth < 10000)
		nth++;
	printf("%u allocations ", nth - 1);
	CU_ASSERT_TRUE(nth > 30);
	CU_ASSERT_TRUE(nth < 10000);
}

static void
test_each(void)
{
	unsigned nth = 1;

	log_set_level(LOG_LEVEL_ERROR);
	while (!run(nth, EXPORTING_ORIGIN_NONE) && nth < 10000)
		nth++;
	printf("%u allocations ", nth - 1);
	CU_ASSERT_TRUE(nth > 50);
	CU_ASSERT_TRUE(nth < 10000);
}

/* With records that become wider, and options of another kind. */
static void
test_each_wider(void)
{
	unsigned nth = 1;

	while (!run(nth, EXPORTING_ORIGIN_RECORDS) && nth < 10000)
		nth++;
	printf("%u allocations ", nth - 1);
	CU_ASSERT_TRUE(nth > 50);
	CU_ASSERT_TRUE(nth < 10000);
}

/* ---- spools -----------------------------------------------------------------
 */

/* Nobody reads it. */
static int
udp_socket(uint16_t *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t length = sizeof(sin);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	getsockname(fd, (struct sockaddr *)&sin, &length);
	*port = ntohs(sin.sin_port);
	return fd;
}

/*
 * The first destination is never there, and stores; the second replays what
 * its folder has, if it has something.
 */
static bool
run_spools(unsigned nth, const char *store, const char *replay, uint16_t port)
{
	struct exporting_destination d[2] = {
		to_port(EXPORTING_TCP, 9),
		to_port(EXPORTING_UDP, port),
	};
	struct exporting_conf conf = conf_of(d, 2);
	const struct shape *shape[4];
	struct feeder f;
	char *error = NULL;
	int r;

	for (int i = 0; i < 2; i++)
		d[i].spool = (struct exporting_spool){
			.directory = i ? replay : store,
			.max_octets = 1 << 20,
			.segment_octets = 65536,
			.replay_share = 100,
		};
	d[0].max_message = 1400;
	feeder_init(&f);
	feeder_element(&f);
	shape[0] = flow_shape(&f);
	shape[1] = SHAPE(&f, 0, TEST_PEN, 12, 4, 0, IE_octetDeltaCount, 8);
	shape[2] = SHAPE(&f, 1, 0, IE_observationDomainId, 4, 0,
			 IE_samplingInterval, 4);
	shape[3] = SHAPE(&f, 1, 0, IE_templateId, 2, 0, IE_sectionOffset, 2);
	nomem_begin(nth);
	r = exporting_new(f.base, &conf, f.registry, f.shapes, &f.stage,
			  &error);
	for (int i = 0; i < 3 && r == 0; i++)
		feeder_tick(&f, 100);
	if (r == 0)
		use(&f, shape);
	nomem_end();
	CU_ASSERT_TRUE(r == 0 || r == -ENOMEM);
	free(error);
	if (r == 0) {
		for (int i = 0; i < 3; i++)
			feeder_tick(&f, 300);
		check_ledgers(&f, false);
		stage_flush(f.stage);
		exporting_end(f.stage);
		CU_ASSERT_TRUE(ledger_balanced(exporting_ledger(f.stage, 0)));
		CU_ASSERT_TRUE(ledger_balanced(exporting_ledger(f.stage, 1)));
		CU_ASSERT_TRUE(exporting_ledger(f.stage, 0)->held > 0);
	}
	for (int i = 0; i < 4; i++)
		shape_release(shape[i]);
	feeder_fini(&f);
	return !nomem_failed;
}

static void
test_spools(void)
{
	char path[3][FOLDER_NAME];
	unsigned nth = 1;
	uint16_t port;
	int fd = udp_socket(&port);

	for (int i = 0; i < 3; i++)
		folder_make(path[i]);
	CU_ASSERT_TRUE(run_spools(0, path[0], path[1], port));
	do {
		folder_empty(path[2]);
		folder_copy(path[0], path[1]);
	} while (!run_spools(nth, path[2], path[1], port) && ++nth < 10000);
	printf("%u allocations ", nth - 1);
	CU_ASSERT_TRUE(nth > 50);
	CU_ASSERT_TRUE(nth < 10000);
	for (int i = 0; i < 3; i++)
		folder_remove(path[i]);
	close(fd);
}

static const struct unit_test tests[] = {
	{"each allocation fails once", test_each},
	{"with one that is away", test_away},
	{"each allocation of spools", test_spools},
	{"the same with wider records", test_each_wider},
};

int
main(void)
{
	return unit_run("exporting: no memory", tests, UNIT_COUNT(tests));
}
