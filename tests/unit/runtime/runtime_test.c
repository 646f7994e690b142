/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Configurations that run in this process, over loopback and files. */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conflux/message.h"
#include "conflux/runtime.h"
#include "conflux/wire.h"
#include "unit.h"

#define HEAD                                                                 \
	"<ipfix xmlns='urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp' "       \
	"xmlns:cx='urn:conflux:config:1'>"

#define CACHE(type, more)                                                    \
	"<cache><name>c</name><" type ">" more "<cacheLayout>"               \
	"<cacheField><name>p</name><ieName>sourceTransportPort</ieName>"     \
	"<isFlowKey/></cacheField>"                                          \
	"<cacheField><name>o</name><ieName>octetDeltaCount</ieName>"         \
	"</cacheField></cacheLayout></" type ">"                             \
	"<exportingProcess>out</exportingProcess></cache>"

#define OUT(file)                                                            \
	"<exportingProcess><name>out</name><destination><name>d</name>"      \
	"<fileWriter><file>file://" file "</file></fileWriter></destination>" \
	"</exportingProcess>"

/* ---- IPFIX by hand ------------------------------------------------------- */

enum { RECORDS = 20 };

/* Template 300 (port, octets) and RECORDS records with ports 0 to 9. */
static size_t
make_message(uint8_t *p, uint32_t domain, uint32_t sequence)
{
	struct writer w;

	writer_init(&w, p, 1400);
	writer_u16(&w, MESSAGE_VERSION);
	writer_u16(&w, MESSAGE_HEADER + 16 + 4 + RECORDS * 6);
	writer_u32(&w, 1700000000);
	writer_u32(&w, sequence);
	writer_u32(&w, domain);
	writer_u16(&w, 2);
	writer_u16(&w, 16);
	writer_u16(&w, 300);
	writer_u16(&w, 2);
	writer_u16(&w, IE_sourceTransportPort);
	writer_u16(&w, 2);
	writer_u16(&w, IE_octetDeltaCount);
	writer_u16(&w, 4);
	writer_u16(&w, 300);
	writer_u16(&w, 4 + RECORDS * 6);
	for (uint32_t i = 0; i < RECORDS; i++) {
		writer_u16(&w, (uint16_t)(i % 10));
		writer_u32(&w, 100);
	}
	return (size_t)(w.p - p);
}

static void
make_file(char *name, unsigned messages)
{
	uint8_t message[1400];
	size_t length;
	int fd;

	strcpy(name, "/tmp/conflux_test.XXXXXX");
	fd = mkstemp(name);
	for (unsigned i = 0; i < messages; i++) {
		length = make_message(message, 1, i * RECORDS);
		CU_ASSERT_EQUAL(write(fd, message, length), (ssize_t)length);
	}
	close(fd);
}

static void
send_messages(int type, uint16_t port, unsigned messages)
{
	struct sockaddr_storage ss;
	struct addr addr;
	uint8_t message[1400];
	socklen_t length;
	size_t n;
	int fd = socket(AF_INET, type, 0);

	addr_parse(&addr, "127.0.0.1", port);
	length = addr_to_sockaddr(&addr, &ss);
	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&ss, length), 0);
	for (unsigned i = 0; i < messages; i++) {
		n = make_message(message, 1 + i % 16, i / 16 * RECORDS);
		CU_ASSERT_EQUAL(send(fd, message, n, 0), (ssize_t)n);
	}
	close(fd);
}

/* ---- running ------------------------------------------------------------- */

struct run {
	struct event_base *base;
	struct conf *conf;
	struct runtime *runtime;
	bool ended;
};

static void
on_ended(void *arg)
{
	((struct run *)arg)->ended = true;
}

/* 0, or the error of the runtime; a document that doesn't load is fatal. */
static int
run_open(struct run *run, const char *document)
{
	struct conf_errors errors = {0};
	char *error = NULL;
	int rc;

	*run = (struct run){.base = event_base_new()};
	rc = runtime_load_memory(document, strlen(document), &run->conf,
				 &errors);
	conf_errors_print(&errors, "test", stderr);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	conf_errors_fini(&errors);
	rc = runtime_new(run->base, run->conf, on_ended, run, &run->runtime,
			 &error);
	if (rc < 0)
		CU_ASSERT_PTR_NOT_NULL(error);
	free(error);
	if (rc == 0)
		CU_ASSERT_EQUAL(runtime_start(run->runtime), 0);
	return rc;
}

static void
run_close(struct run *run)
{
	runtime_free(run->runtime);
	conf_free(run->conf);
	event_base_free(run->base);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	*(bool *)arg = true;
}

/* Runs until so many records came in (0: until it ended), 10 s at most. */
static void
run_until(struct run *run, uint64_t records)
{
	struct timeval limit = {.tv_sec = 10};
	bool over = false;
	struct event *e = evtimer_new(run->base, on_limit, &over);
	struct ledger sum = {0};
	uint64_t copied;

	evtimer_add(e, &limit);
	while (!over && (records ? sum.in < records : !run->ended)) {
		event_base_loop(run->base, EVLOOP_ONCE);
		if (records)
			runtime_ledger(run->runtime, &sum, &copied);
	}
	event_free(e);
	CU_ASSERT_FALSE(over);
}

static struct ledger
account(struct run *run)
{
	struct ledger l;
	uint64_t copied;

	runtime_ledger(run->runtime, &l, &copied);
	l.split += copied;
	CU_ASSERT(ledger_balanced(&l));
	return l;
}

/* ---- tests --------------------------------------------------------------- */

static void
files(unsigned workers)
{
	char document[4096], name[3][32], out[32];
	struct ledger l;
	struct run run;

	for (int i = 0; i < 3; i++)
		make_file(name[i], 500);
	make_file(out, 0);
	snprintf(document, sizeof(document),
		 HEAD "<cx:workers>%u</cx:workers>"
		      "<collectingProcess><name>in</name>"
		      "<fileReader><name>0</name><file>file://%s</file>"
		      "</fileReader>"
		      "<fileReader><name>1</name><file>file://%s</file>"
		      "</fileReader>"
		      "<fileReader><name>2</name><file>file://%s</file>"
		      "</fileReader><cx:cache>c</cx:cache>"
		      "</collectingProcess>" CACHE("timeoutCache", "")
			 OUT("%s") "</ipfix>",
		 workers, name[0], name[1], name[2], out);
	CU_ASSERT_EQUAL_FATAL(run_open(&run, document), 0);
	run_until(&run, 0);
	l = account(&run);
	CU_ASSERT_EQUAL(l.in, 3 * 500 * RECORDS);
	CU_ASSERT_EQUAL(l.exported, 10);
	CU_ASSERT_EQUAL(l.merged, l.in - 10);
	run_close(&run);
	for (int i = 0; i < 3; i++)
		unlink(name[i]);
	unlink(out);
}

static void
test_files(void)
{
	files(1);
	files(2);
	files(5); /* more workers than files */
}

/* Immediate caches, and records that go to two processes. */
static void
fan_out(unsigned workers)
{
	char document[4096], name[2][32], out[32];
	struct ledger l;
	struct run run;

	for (int i = 0; i < 2; i++)
		make_file(name[i], 100);
	make_file(out, 0);
	snprintf(document, sizeof(document),
		 HEAD "<cx:workers>%u</cx:workers>"
		      "<collectingProcess><name>in</name>"
		      "<fileReader><name>0</name><file>file://%s</file>"
		      "</fileReader>"
		      "<fileReader><name>1</name><file>file://%s</file>"
		      "</fileReader>"
		      "<exportingProcess>out</exportingProcess>"
		      "<cx:cache>c</cx:cache></collectingProcess>"
		      "<cache><name>c</name><immediateCache><cacheLayout>"
		      "<cacheField><name>o</name><ieName>octetDeltaCount"
		      "</ieName></cacheField></cacheLayout></immediateCache>"
		      "<exportingProcess>out</exportingProcess></cache>"
		      OUT("%s") "</ipfix>",
		 workers, name[0], name[1], out);
	CU_ASSERT_EQUAL_FATAL(run_open(&run, document), 0);
	run_until(&run, 0);
	l = account(&run);
	CU_ASSERT_EQUAL(l.in, 2 * 100 * RECORDS);
	CU_ASSERT_EQUAL(l.exported, 2 * l.in);
	run_close(&run);
	for (int i = 0; i < 2; i++)
		unlink(name[i]);
	unlink(out);
}

static void
test_fan_out(void)
{
	fan_out(1);
	fan_out(2);
}

static void
test_total_counters(void)
{
	char document[4096], name[2][32], out[32];
	struct ledger l;
	struct run run;

	/* Caches that may not merge twice get the records themselves. */
	for (int i = 0; i < 2; i++)
		make_file(name[i], 100);
	make_file(out, 0);
	snprintf(document, sizeof(document),
		 HEAD "<cx:workers>2</cx:workers>"
		      "<collectingProcess><name>in</name>"
		      "<fileReader><name>0</name><file>file://%s</file>"
		      "</fileReader>"
		      "<fileReader><name>1</name><file>file://%s</file>"
		      "</fileReader><cx:cache>c</cx:cache>"
		      "</collectingProcess>"
		      "<cache><name>c</name><permanentCache><cacheLayout>"
		      "<cacheField><name>p</name><ieName>sourceTransportPort"
		      "</ieName><isFlowKey/></cacheField>"
		      "<cacheField><name>o</name><ieName>octetTotalCount"
		      "</ieName></cacheField></cacheLayout></permanentCache>"
		      "<exportingProcess>out</exportingProcess></cache>"
		      OUT("%s") "</ipfix>",
		 name[0], name[1], out);
	CU_ASSERT_EQUAL_FATAL(run_open(&run, document), 0);
	run_until(&run, 0);
	l = account(&run);
	CU_ASSERT_EQUAL(l.in, 2 * 100 * RECORDS);
	CU_ASSERT_EQUAL(l.exported, 10);
	run_close(&run);
	for (int i = 0; i < 2; i++)
		unlink(name[i]);
	unlink(out);
}

static void
live(unsigned workers)
{
	char document[4096], out[32];
	struct ledger l;
	struct run run;

	make_file(out, 0);
	snprintf(document, sizeof(document),
		 HEAD "<cx:workers>%u</cx:workers>"
		      "<collectingProcess><name>in</name>"
		      "<udpCollector><name>u</name><localPort>0</localPort>"
		      "<localIPAddress>127.0.0.1</localIPAddress>"
		      "</udpCollector>"
		      "<tcpCollector><name>t</name><localPort>0</localPort>"
		      "<localIPAddress>127.0.0.1</localIPAddress>"
		      "</tcpCollector><cx:cache>c</cx:cache>"
		      "</collectingProcess>" CACHE("naturalCache", "")
			 OUT("%s") "</ipfix>",
		 workers, out);
	CU_ASSERT_EQUAL_FATAL(run_open(&run, document), 0);
	CU_ASSERT_EQUAL(runtime_port(run.runtime, "x"), 0);
	send_messages(SOCK_DGRAM, runtime_port(run.runtime, "u"), 64);
	send_messages(SOCK_STREAM, runtime_port(run.runtime, "t"), 500);
	run_until(&run, (64 + 500) * RECORDS);
	account(&run); /* holds at any time */
	runtime_stop(run.runtime);
	runtime_stop(run.runtime);
	run_until(&run, 0);
	l = account(&run);
	CU_ASSERT_EQUAL(l.in, (64 + 500) * RECORDS);
	CU_ASSERT_EQUAL(l.exported, 10);
	CU_ASSERT_EQUAL(l.held, 0);
	run_close(&run);
	unlink(out);
}

static void
test_live(void)
{
	live(1);
	live(3);
}

static void
test_report(void)
{
	char document[4096], out[32];
	struct text text = {0};
	struct report report;
	struct run run;

	make_file(out, 0);
	snprintf(document, sizeof(document),
		 HEAD "<cx:workers>2</cx:workers>"
		      "<collectingProcess><name>in</name>"
		      "<udpCollector><name>u</name><localPort>0</localPort>"
		      "<localIPAddress>127.0.0.1</localIPAddress>"
		      "</udpCollector><cx:cache>c</cx:cache>"
		      "</collectingProcess>" CACHE("timeoutCache", "")
			 OUT("%s") "</ipfix>",
		 out);
	CU_ASSERT_EQUAL_FATAL(run_open(&run, document), 0);
	for (int i = 0; i < 20; i++) {
		text_reset(&text);
		report_begin(&report, &text, true);
		CU_ASSERT_EQUAL(runtime_report(run.runtime, NULL, &report),
				0);
		report_end(&report);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"cx:total\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"udpCollector\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"cx:worker\":1"));
	text_reset(&text);
	report_begin(&report, &text, true);
	CU_ASSERT_EQUAL(runtime_report(run.runtime, "cache", &report), 0);
	CU_ASSERT_EQUAL(runtime_report(run.runtime, "daemon", &report), 0);
	CU_ASSERT_EQUAL(runtime_report(run.runtime, "nothing", &report),
			-ENOENT);
	report_end(&report);
	text_fini(&text);
	/* Freed while it runs: everything ends, too. */
	run_close(&run);
	unlink(out);
}

/* A field that can't be merged so, and one that nobody knows. */
static void
test_faults(void)
{
	static const char bad_merge[] =
		HEAD "<cache><name>c</name><timeoutCache><cacheLayout>\n"
		     "<cacheField><name>p</name>"
		     "<ieName>sourceIPv4Address</ieName>"
		     "<cx:merge>sum</cx:merge></cacheField>\n"
		     "</cacheLayout></timeoutCache></cache></ipfix>";
	struct conf_errors errors = {0};
	struct conf *conf;

	CU_ASSERT_EQUAL(runtime_load_memory(bad_merge, strlen(bad_merge),
					    &conf, &errors),
			-EINVAL);
	CU_ASSERT_PTR_NULL(conf);
	CU_ASSERT(errors.errors >= 1);
	CU_ASSERT_EQUAL(errors.list[0].line, 1);
	conf_errors_fini(&errors);
	CU_ASSERT_EQUAL(runtime_load("/nonexistent/file.xml", &conf, &errors),
			-ENOENT);
	CU_ASSERT_EQUAL(errors.errors, 1);
	conf_errors_fini(&errors);
}

static void
test_refused(void)
{
	char document[4096], out[32];
	struct run run;
	int fd;
	uint16_t port;
	struct sockaddr_storage ss;
	struct addr addr;
	socklen_t length = sizeof(ss);

	/* A port that somebody else has. */
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	addr_parse(&addr, "127.0.0.1", 0);
	addr_to_sockaddr(&addr, &ss);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&ss,
			     sizeof(struct sockaddr_in)),
			0);
	getsockname(fd, (struct sockaddr *)&ss, &length);
	addr_from_sockaddr(&addr, (struct sockaddr *)&ss);
	port = addr.port;
	make_file(out, 0);
	for (unsigned workers = 1; workers < 3; workers++) {
		snprintf(document, sizeof(document),
			 HEAD "<cx:workers>%u</cx:workers>"
			      "<collectingProcess><name>in</name>"
			      "<udpCollector><name>u</name>"
			      "<localPort>%u</localPort>"
			      "<localIPAddress>127.0.0.1</localIPAddress>"
			      "</udpCollector><cx:cache>c</cx:cache>"
			      "</collectingProcess>"
			      CACHE("timeoutCache", "") OUT("%s") "</ipfix>",
			 workers, port, out);
		CU_ASSERT_EQUAL(run_open(&run, document), -EADDRINUSE);
		run_close(&run);
	}
	close(fd);
	unlink(out);
}

static const struct unit_test tests[] = {
	{"files, one worker and several", test_files},
	{"records that go two ways, immediate cache", test_fan_out},
	{"caches that may not merge twice", test_total_counters},
	{"UDP and TCP, an orderly stop", test_live},
	{"report", test_report},
	{"what can't be made of a configuration is told", test_faults},
	{"what can't be opened is told", test_refused},
};

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	return unit_run("runtime", tests, UNIT_COUNT(tests));
}
