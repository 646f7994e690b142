/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Templates that outlive the process: who gets them again, and who not. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "nomem.h"

#define PEN 32473

static char path[64];

static struct fixture *
begin(void)
{
	const struct collecting_conf conf = {
		.template_file = path,
		.template_file_ms = 1000,
	};

	return fixture_new(&conf);
}

static void
end(struct fixture *f, struct net_session *net)
{
	collecting_save(f->process);
	fixture_close(f, net);
	fixture_free(f);
}

/* IPFIX: a Template, and 10 records of domain 5. */
static void
first_run(void)
{
	struct fixture *f = begin();
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 100, 5);
	msg_flow_template(&f->m, 300);
	msg_flows(&f->m, 300, 0, 10);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 10);
	end(f, &net);
}

/* Records of it from this port, without their Template: how many are read. */
static uint32_t
next_run(uint16_t port, uint32_t sequence, uint32_t domain)
{
	struct fixture *f = begin();
	struct net_session net;
	uint32_t count;

	fixture_open(f, &net, TRANSPORT_UDP);
	net.remote.port = port;
	msg_begin(&f->m, sequence, domain);
	msg_flows(&f->m, 300, 0, 3);
	msg_end(&f->m);
	fixture_send(f, &net);
	count = f->sink->count;
	CU_ASSERT_TRUE(ledger_balanced(&f->stage->ledger));
	end(f, &net);
	return count;
}

static void
test_who(void)
{
	unlink(path);
	CU_ASSERT_EQUAL(next_run(1000, 110, 5), 0);
	first_run();
	/* What nobody has asked for is still there afterwards. */
	CU_ASSERT_EQUAL(next_run(1001, 110, 5), 0);
	CU_ASSERT_EQUAL(next_run(1000, 110, 6), 0);
	CU_ASSERT_EQUAL(next_run(1000, 110, 5), 3);
	/* Some were lost meanwhile. */
	CU_ASSERT_EQUAL(next_run(1000, 5000, 5), 3);
	/* It was restarted: it counts anew. */
	CU_ASSERT_EQUAL(next_run(1000, 0, 5), 0);
}

/* The first definition that comes counts. */
static void
test_redefined(void)
{
	struct fixture *f;
	struct net_session net;

	unlink(path);
	first_run();
	f = begin();
	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 110, 5);
	msg_flows(&f->m, 300, 0, 1);
	msg_named_template(&f->m, 300);
	msg_set(&f->m, 300);
	msg_u32(&f->m, 0x0a000001);
	msg_string(&f->m, "eth0", false);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 2);
	CU_ASSERT_EQUAL(f->sink->seen[0].length, FLOW_LENGTH);
	CU_ASSERT_EQUAL(f->sink->seen[1].length, 9);
	end(f, &net);
}

/* It is as old as it was, not new because it was read from a file. */
static void
test_expiry(void)
{
	struct fixture *f;
	struct net_session net;

	unlink(path);
	first_run();
	f = begin();
	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 110, 5);
	msg_flows(&f->m, 300, 0, 1);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 1);
	stage_tick(f->stage, f->now_ms + 1900000);
	msg_begin(&f->m, 111, 5);
	msg_flows(&f->m, 300, 0, 1);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 1);
	end(f, &net);
}

static void
netflow_begin(struct fixture *f, uint32_t uptime_ms, uint32_t seconds,
	      uint32_t sequence)
{
	struct msg *m = &f->m;

	m->length = m->set = 0;
	msg_u16(m, 9);
	msg_u16(m, 1);
	msg_u32(m, uptime_ms);
	msg_u32(m, seconds);
	msg_u32(m, sequence);
	msg_u32(m, 5);
}

/* As next_run, of NetFlow version 9. */
static uint32_t
netflow_run(bool template, uint32_t uptime_ms, uint32_t seconds)
{
	struct fixture *f = begin();
	struct net_session net;
	uint32_t count;

	fixture_open(f, &net, TRANSPORT_UDP);
	netflow_begin(f, uptime_ms, seconds, seconds);
	if (template) {
		msg_set(&f->m, 0);
		msg_u16(&f->m, 300);
		msg_u16(&f->m, 2);
		msg_u16(&f->m, IE_sourceIPv4Address);
		msg_u16(&f->m, 4);
		msg_u16(&f->m, IE_octetDeltaCount);
		msg_u16(&f->m, 4);
		msg_end_set(&f->m);
	}
	msg_flows(&f->m, 300, 0, 2);
	fixture_send(f, &net);
	count = f->sink->count;
	end(f, &net);
	return count;
}

static void
test_netflow(void)
{
	unlink(path);
	CU_ASSERT_EQUAL(netflow_run(true, 900000, EXPORT_TIME), 2);
	CU_ASSERT_EQUAL(netflow_run(false, 960000, EXPORT_TIME + 60), 2);
	/* Its sysUpTime went back. */
	CU_ASSERT_EQUAL(netflow_run(false, 1000, EXPORT_TIME + 120), 0);
}

/* A file that was cut off, or has one other octet, is not used. */
static void
test_torn(void)
{
	static uint8_t data[4096];
	struct stat st;
	size_t length;
	FILE *file;

	unlink(path);
	first_run();
	file = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	length = fread(data, 1, sizeof(data), file);
	fclose(file);
	CU_ASSERT_TRUE(length > 100 && length < sizeof(data));
	log_set_level(LOG_LEVEL_ERROR);
	for (size_t n = 0; n < length; n++) {
		file = fopen(path, "w");
		fwrite(data, 1, n, file);
		fclose(file);
		CU_ASSERT_EQUAL(next_run(1000, 110, 5), 0);
		data[n] ^= 1;
		file = fopen(path, "w");
		fwrite(data, 1, length, file);
		fclose(file);
		data[n] ^= 1;
		CU_ASSERT_EQUAL(next_run(1000, 110, 5), 0);
	}
	/* It is written anew. */
	CU_ASSERT_EQUAL(stat(path, &st), 0);
}

/* What is learnt is in the file after the interval, without an end. */
static void
test_interval(void)
{
	struct fixture *f;
	struct net_session net;

	unlink(path);
	f = begin();
	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 100, 5);
	msg_flow_template(&f->m, 300);
	msg_end(&f->m);
	fixture_send(f, &net);
	stage_tick(f->stage, f->now_ms + 2000);
	CU_ASSERT_EQUAL(next_run(1000, 110, 5), 3);
	fixture_close(f, &net);
	fixture_free(f);
}

/* Elements that options described are known with their Template. */
static void
test_elements(void)
{
	const struct ie learnt = {
		.pen = PEN,
		.id = 7,
		.type = IE_UNSIGNED32,
		.semantics = IE_QUANTITY,
		.units = 2,
		.range_max = 1000,
		.name = "dropRate",
	};
	struct fixture *f;
	struct net_session net;
	const struct ie *ie;

	unlink(path);
	f = begin();
	CU_ASSERT_EQUAL(ie_learn(f->registry, &learnt), 0);
	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 100, 5);
	msg_set(&f->m, 2);
	msg_u16(&f->m, 300);
	msg_u16(&f->m, 3);
	msg_u16(&f->m, 0x8000 | 7);
	msg_u16(&f->m, 4);
	msg_u32(&f->m, PEN);
	msg_u16(&f->m, 0x8000 | 8);
	msg_u16(&f->m, 2);
	msg_u32(&f->m, PEN);
	msg_u16(&f->m, IE_interfaceName);
	msg_u16(&f->m, 65535);
	msg_end(&f->m);
	fixture_send(f, &net);
	end(f, &net);
	f = begin();
	CU_ASSERT_PTR_NULL(ie_find(f->registry, PEN, 7));
	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 100, 5);
	msg_set(&f->m, 300);
	msg_u32(&f->m, 42);
	msg_u16(&f->m, 1);
	msg_string(&f->m, "eth0", false);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 1);
	CU_ASSERT_EQUAL(f->sink->seen[0].length, 11);
	ie = ie_find(f->registry, PEN, 7);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ie);
	CU_ASSERT_STRING_EQUAL(ie->name, "dropRate");
	CU_ASSERT_EQUAL(ie->length, 4);
	CU_ASSERT_EQUAL(ie->units, 2);
	CU_ASSERT_EQUAL(ie->range_max, 1000);
	CU_ASSERT_PTR_EQUAL(f->sink->last_shape->field[0].ie, ie);
	end(f, &net);
}

/* Without memory less is known, and nothing else is wrong. */
static bool
load_and_save(unsigned nth)
{
	struct collecting_conf conf = {
		.name = "in",
		.template_file = path,
		.registry = ie_registry_new(1000),
		.shapes = shape_table_new(1000),
	};
	struct collecting *process;
	int rc;

	nomem_begin(nth);
	rc = collecting_new(&conf, &process);
	if (rc == 0)
		collecting_save(process);
	nomem_end();
	CU_ASSERT_TRUE(rc == 0 || rc == -ENOMEM);
	if (rc == 0)
		stage_free(collecting_stage(process));
	shape_table_free(conf.shapes);
	ie_registry_free(conf.registry);
	return !nomem_failed;
}

static void
test_no_memory(void)
{
	unsigned nth = 1;

	unlink(path);
	do
		first_run();
	while (!load_and_save(nth++) && nth < 1000);
	printf("%u allocations ", nth - 2);
	CU_ASSERT_TRUE(nth > 5 && nth < 1000);
	CU_ASSERT_EQUAL(next_run(1000, 110, 5), 3);
}

static const struct unit_test tests[] = {
	{"who gets them", test_who},
	{"a new definition", test_redefined},
	{"lifetimes go on", test_expiry},
	{"NetFlow", test_netflow},
	{"a file that was torn", test_torn},
	{"at an interval", test_interval},
	{"elements", test_elements},
	{"no memory", test_no_memory},
};

int
main(void)
{
	int rc;

	snprintf(path, sizeof(path), "/tmp/conflux-saved-%ld", (long)getpid());
	rc = unit_run("collecting: saved Templates", tests, UNIT_COUNT(tests));
	unlink(path);
	return rc;
}
