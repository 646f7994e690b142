/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Each allocation of a whole run fails once: it is refused at start, or it
 * runs to its end and its account is exact. Leaks are for the sanitizers.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conflux/log.h"
#include "conflux/message.h"
#include "conflux/runtime.h"
#include "conflux/wire.h"
#include "unit.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static atomic_uint countdown; /* the allocation that fails; 0: none */
static atomic_uint failed;

static bool
fails(void)
{
	unsigned n = atomic_load(&countdown);

	do {
		if (n == 0)
			return false;
	} while (!atomic_compare_exchange_weak(&countdown, &n, n - 1));
	if (n > 1)
		return false;
	atomic_fetch_add(&failed, 1);
	return true;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

enum { RECORDS = 20, MESSAGES = 30 };

static const char document[] =
	"<ipfix xmlns='urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp' "
	"xmlns:cx='urn:conflux:config:1'><cx:workers>%u</cx:workers>"
	"<cx:controlSocket>%s.sock</cx:controlSocket>"
	"<collectingProcess><name>in</name>"
	"<fileReader><name>0</name><file>file://%s</file></fileReader>"
	"<fileReader><name>1</name><file>file://%s</file></fileReader>"
	"<udpCollector><name>u</name><localPort>0</localPort>"
	"<localIPAddress>127.0.0.1</localIPAddress></udpCollector>"
	"<tcpCollector><name>t</name><localPort>0</localPort>"
	"<localIPAddress>127.0.0.1</localIPAddress></tcpCollector>"
	"<exportingProcess>out</exportingProcess><cx:cache>c</cx:cache>"
	"</collectingProcess><cache><name>c</name><timeoutCache><cacheLayout>"
	"<cacheField><name>p</name><ieName>sourceTransportPort</ieName>"
	"<isFlowKey/></cacheField>"
	"<cacheField><name>o</name><ieName>octetDeltaCount</ieName>"
	"</cacheField></cacheLayout></timeoutCache>"
	"<exportingProcess>out</exportingProcess></cache>"
	"<exportingProcess><name>out</name><destination><name>d</name>"
	"<fileWriter><file>file://%s.out</file></fileWriter></destination>"
	"</exportingProcess></ipfix>";

static char input[32];

static void
make_input(void)
{
	uint8_t octets[1400];
	struct writer w;
	int fd;

	strcpy(input, "/tmp/conflux_test.XXXXXX");
	fd = mkstemp(input);
	for (uint32_t m = 0; m < MESSAGES; m++) {
		writer_init(&w, octets, sizeof(octets));
		writer_u16(&w, MESSAGE_VERSION);
		writer_u16(&w, MESSAGE_HEADER + 16 + 4 + RECORDS * 6);
		writer_u32(&w, 1700000000);
		writer_u32(&w, m * RECORDS);
		writer_u32(&w, 1);
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
			writer_u16(&w, (uint16_t)i);
			writer_u32(&w, 100);
		}
		CU_ASSERT_EQUAL(write(fd, octets, (size_t)(w.p - octets)),
				w.p - octets);
	}
	close(fd);
}

static void
on_ended(void *arg)
{
	*(bool *)arg = true;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	*(bool *)arg = true;
}

/* Runs the loop until *flag or for the time. */
static void
loop(struct event_base *base, const bool *flag, unsigned ms)
{
	struct timeval tv = {.tv_sec = ms / 1000,
			     .tv_usec = (suseconds_t)(ms % 1000) * 1000};
	bool over = false;
	struct event *e = evtimer_new(base, on_timer, &over);

	evtimer_add(e, &tv);
	while (!over && !*flag)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(e);
}

static void
use(struct event_base *base, struct runtime *runtime, const bool *ended)
{
	const bool never = false;
	struct ledger l;
	uint64_t copied;
	int rc = runtime_start(runtime);

	CU_ASSERT(rc == 0 || rc == -ENOMEM || rc == -EAGAIN);
	if (rc < 0)
		return;
	loop(base, &never, 3);
	runtime_stop(runtime);
	loop(base, ended, 10000);
	CU_ASSERT(*ended);
	runtime_ledger(runtime, &l, &copied);
	l.split += copied;
	CU_ASSERT(ledger_balanced(&l));
}

/* Returns whether all memory was there that was asked for. */
static bool
run(unsigned workers, unsigned nth)
{
	struct event_base *base = event_base_new();
	struct conf_errors errors = {0};
	struct runtime *runtime = NULL;
	struct conf *conf;
	char text[4096], *error = NULL;
	bool ended = false;
	int rc;

	snprintf(text, sizeof(text), document, workers, input, input, input,
		 input);
	CU_ASSERT_EQUAL_FATAL(
		runtime_load_memory(text, strlen(text), &conf, &errors), 0);
	conf_errors_fini(&errors);
	atomic_store(&failed, 0);
	atomic_store(&countdown, nth);
	rc = runtime_new(base, conf, on_ended, &ended, &runtime, &error);
	CU_ASSERT(rc == 0 || rc == -ENOMEM || rc == -EINVAL);
	if (rc == 0)
		use(base, runtime, &ended);
	runtime_free(runtime);
	atomic_store(&countdown, 0);
	free(error);
	conf_free(conf);
	event_base_free(base);
	return atomic_load(&failed) == 0;
}

static void
each(unsigned workers)
{
	unsigned nth = 1;

	make_input();
	/* What comes later than that is the same again and again. */
	while (nth < 2000 && !run(workers, nth))
		nth += nth < 100 ? 1 : 3;
	CU_ASSERT(nth > 30);
	unlink(input);
	strcat(input, ".out");
	unlink(input);
}

static void
test_one(void)
{
	each(1);
}

static void
test_two(void)
{
	each(2);
}

static const struct unit_test tests[] = {
	{"one worker", test_one},
	{"two workers", test_two},
};

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	return unit_run("runtime without memory", tests, UNIT_COUNT(tests));
}
