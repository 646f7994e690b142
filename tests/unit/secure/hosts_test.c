/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Looking up names, by name servers that answer late, or not: getaddrinfo is
 * the test's. */
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "hosts.h"
#include "unit.h"

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int error;	  /* EAI_...; 0: the address */
	const char *text; /* the address */
	bool closed;	  /* who asks has to wait */
	unsigned asked, answered;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER,
	    .changed = PTHREAD_COND_INITIALIZER};

int __wrap_getaddrinfo(const char *node, const char *service,
		       const struct addrinfo *hints, struct addrinfo **out);
void __wrap_freeaddrinfo(struct addrinfo *list);

int
__wrap_getaddrinfo(const char *node, const char *service,
		   const struct addrinfo *hints, struct addrinfo **out)
{
	struct addrinfo *one;
	struct addr addr;
	int error;

	pthread_mutex_lock(&server.lock);
	server.asked++;
	while (server.closed)
		pthread_cond_wait(&server.changed, &server.lock);
	error = server.error;
	addr_parse(&addr, server.text, 0);
	server.answered++;
	pthread_mutex_unlock(&server.lock);
	if (error)
		return error;
	one = calloc(1, sizeof(*one) + sizeof(struct sockaddr_storage));
	if (!one)
		return EAI_MEMORY;
	one->ai_addr = (struct sockaddr *)(one + 1);
	addr_to_sockaddr(&addr, (struct sockaddr_storage *)one->ai_addr);
	*out = one;
	return 0;
}

void
__wrap_freeaddrinfo(struct addrinfo *list)
{
	free(list);
}

static void
serve(const char *text, int error, bool closed)
{
	pthread_mutex_lock(&server.lock);
	server.text = text;
	server.error = error;
	server.closed = closed;
	pthread_cond_broadcast(&server.changed);
	pthread_mutex_unlock(&server.lock);
}

static unsigned
count(const unsigned *counter)
{
	unsigned n;

	pthread_mutex_lock(&server.lock);
	n = *counter;
	pthread_mutex_unlock(&server.lock);
	return n;
}

#define WAIT_FOR(condition)                                          \
	do {                                                         \
		uint64_t until_ = clock_mono_ms() + unit_wait(5000); \
		while (!(condition) && clock_mono_ms() < until_)     \
			usleep(1000);                                \
		CU_ASSERT_TRUE(condition);                           \
	} while (0)

static bool
has(struct hosts *hosts, unsigned at, const char *text)
{
	struct addr addr;

	addr_parse(&addr, text, 4711);
	return hosts_have(hosts, at, &addr);
}

static struct hosts *
open_hosts(void)
{
	static const char *const text[] = {"a.test", "b.test"};
	const struct secure_list first = {&text[0], 1}, second = {&text[1], 1};
	struct hosts *hosts = NULL;

	CU_ASSERT_EQUAL_FATAL(hosts_new(&first, &second, "test", &hosts), 0);
	return hosts;
}

/* Nobody waits for a late answer, and until then nothing changes. */
static void
test_late(void)
{
	struct hosts *hosts;

	serve("192.0.2.1", 0, false);
	hosts = open_hosts();
	CU_ASSERT_TRUE(has(hosts, 0, "192.0.2.1"));
	CU_ASSERT_TRUE(has(hosts, 1, "192.0.2.1"));
	serve("192.0.2.2", 0, true);
	server.asked = 0;
	hosts_refresh(hosts);
	hosts_refresh(hosts);
	WAIT_FOR(count(&server.asked) == 1);
	CU_ASSERT_TRUE(has(hosts, 0, "192.0.2.1"));
	serve("192.0.2.2", 0, false);
	/* Both names, and once more as it was asked for meanwhile. */
	WAIT_FOR(count(&server.asked) == 4);
	WAIT_FOR(has(hosts, 1, "192.0.2.2"));
	CU_ASSERT_TRUE(has(hosts, 0, "192.0.2.2"));
	CU_ASSERT_FALSE(has(hosts, 0, "192.0.2.1"));
	hosts_release(hosts);
}

static void
test_failures(void)
{
	struct hosts *hosts;
	unsigned answered;

	serve("192.0.2.1", EAI_AGAIN, false);
	hosts = open_hosts();
	CU_ASSERT_FALSE(has(hosts, 0, "192.0.2.1"));
	serve("192.0.2.1", 0, false);
	hosts_refresh(hosts);
	WAIT_FOR(has(hosts, 1, "192.0.2.1"));
	/* A server that is out of reach changes nothing. */
	serve("192.0.2.1", EAI_AGAIN, false);
	answered = count(&server.answered);
	do
		hosts_refresh(hosts);
	while (count(&server.answered) < answered + 4);
	CU_ASSERT_TRUE(has(hosts, 0, "192.0.2.1"));
	/* A name that is gone has no address any more. */
	serve("192.0.2.1", EAI_NONAME, false);
	hosts_refresh(hosts);
	WAIT_FOR(!has(hosts, 0, "192.0.2.1") && !has(hosts, 1, "192.0.2.1"));
	hosts_release(hosts);
}

/* Who has asked goes away before there is an answer. */
static void
test_released(void)
{
	struct hosts *hosts;
	unsigned asked, answered;

	serve("192.0.2.1", 0, false);
	hosts = open_hosts();
	serve("192.0.2.1", 0, true);
	asked = count(&server.asked);
	answered = count(&server.answered);
	hosts_refresh(hosts);
	WAIT_FOR(count(&server.asked) > asked);
	hosts_release(hosts);
	serve("192.0.2.1", 0, false);
	WAIT_FOR(count(&server.answered) >= answered + 2);
	usleep(10000); /* that it frees the list a tool may see */
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a late answer", test_late},
		{"no answer", test_failures},
		{"nobody waits any more", test_released},
	};

	return unit_run("hosts", tests, UNIT_COUNT(tests));
}
