/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses that the names of peers have (match_address). They are looked
 * up at the start, where everybody may wait, and after a reload by a thread of
 * their own: a worker must never wait for a name server. Until the thread has
 * an answer, and where there is none because name servers can't be reached,
 * what was known before holds.
 *
 * The list is counted: the thread may outlive who has asked it.
 */
#include "hosts.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/log.h"

enum {
	/* At the start no further name is looked up after that: the wait is
	 * bounded by it and one lookup. */
	START_MS = 10000,
	ADDRESSES_MAX = 64, /* of one name */
};

struct host {
	char *name;
	struct addr *addr;
	unsigned count;
};

struct hosts {
	pthread_mutex_t lock; /* of all below, but for names */
	unsigned users;
	bool running; /* the thread is */
	bool again;   /* once more, when it is through */
	char *owner;  /* for the log */
	unsigned count;
	struct host host[];
};

static void
hosts_free(struct hosts *h)
{
	for (unsigned i = 0; i < h->count; i++) {
		free(h->host[i].name);
		free(h->host[i].addr);
	}
	free(h->owner);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* ---- one name -------------------------------------------------------------
 */

static int
copy_addresses(const struct addrinfo *found, struct addr **out, unsigned *count)
{
	unsigned n = 0;
	struct addr *list;

	for (const struct addrinfo *f = found; f; f = f->ai_next)
		n++;
	if (n > ADDRESSES_MAX)
		n = ADDRESSES_MAX;
	list = calloc(n ? n : 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	*count = 0;
	for (; found && *count < n; found = found->ai_next)
		if (addr_from_sockaddr(&list[*count], found->ai_addr) == 0)
			(*count)++;
	*out = list;
	return 0;
}

/* A name that is there no more has no address. */
static bool
may_come_back(int rc)
{
	return rc == EAI_AGAIN || rc == EAI_FAIL || rc == EAI_SYSTEM;
}

static int
look_up(struct hosts *h, struct host *host)
{
	static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	struct addr *list = NULL, *old;
	unsigned count = 0;
	int rc = getaddrinfo(host->name, NULL, &hints, &found);

	if (rc == EAI_MEMORY)
		return -ENOMEM;
	if (rc != 0)
		log_warning("%s: no address of \"%s\": %s; it %s", h->owner,
			    host->name, gai_strerror(rc),
			    host->count && may_come_back(rc)
				    ? "keeps those of before"
				    : "will be turned away");
	if (rc != 0 && may_come_back(rc))
		return 0;
	rc = found ? copy_addresses(found, &list, &count) : 0;
	if (found)
		freeaddrinfo(found);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&h->lock);
	old = host->addr;
	host->addr = list;
	host->count = count;
	pthread_mutex_unlock(&h->lock);
	free(old);
	return 0;
}

/* ---- the thread -----------------------------------------------------------
 */

static void *
run(void *arg)
{
	struct hosts *h = arg;
	bool again;

	do {
		for (unsigned i = 0; i < h->count; i++)
			if (look_up(h, &h->host[i]) < 0)
				log_warning("%s: \"%s\" was not looked up: no "
					    "memory",
					    h->owner, h->host[i].name);
		pthread_mutex_lock(&h->lock);
		again = h->again && h->users > 1;
		h->again = false;
		h->running = again;
		pthread_mutex_unlock(&h->lock);
	} while (again);
	hosts_release(h);
	return NULL;
}

/* Signals are for the thread that waits for them. */
static int
start(struct hosts *h)
{
	pthread_attr_t detached;
	sigset_t all, before;
	pthread_t thread;
	int rc;

	rc = pthread_attr_init(&detached);
	if (rc != 0)
		return -rc;
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = pthread_create(&thread, &detached, run, h);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&detached);
	return -rc;
}

void
hosts_refresh(struct hosts *h)
{
	bool begin;
	int rc;

	pthread_mutex_lock(&h->lock);
	begin = !h->running;
	h->again = !begin;
	h->running = true;
	h->users += begin;
	pthread_mutex_unlock(&h->lock);
	if (!begin)
		return;
	rc = start(h);
	if (rc == 0)
		return;
	log_warning("%s: names of peers were not looked up again: %s", h->owner,
		    strerror(-rc));
	pthread_mutex_lock(&h->lock);
	h->running = h->again = false;
	h->users--;
	pthread_mutex_unlock(&h->lock);
}

/* ---- the list -------------------------------------------------------------
 */

static int
fill(struct hosts *h, const struct secure_list *list)
{
	for (unsigned i = 0; i < list->count; i++) {
		h->host[h->count].name = strdup(list->text[i]);
		if (!h->host[h->count].name)
			return -ENOMEM;
		h->count++;
	}
	return 0;
}

static int
look_up_all(struct hosts *h)
{
	uint64_t begun = clock_mono_ms();
	int rc = 0;

	for (unsigned i = 0; i < h->count && rc == 0; i++) {
		if (clock_mono_ms() - begun > START_MS)
			log_warning("%s: no address of \"%s\": looking up "
				    "others took too long; it will be turned "
				    "away",
				    h->owner, h->host[i].name);
		else
			rc = look_up(h, &h->host[i]);
	}
	return rc;
}

int
hosts_new(const struct secure_list *first, const struct secure_list *second,
	  const char *owner, struct hosts **out)
{
	struct hosts *h =
		calloc(1, sizeof(*h) + (first->count + second->count) *
					       sizeof(h->host[0]));
	int rc;

	if (!h)
		return -ENOMEM;
	pthread_mutex_init(&h->lock, NULL);
	h->users = 1;
	h->owner = strdup(owner);
	rc = h->owner ? fill(h, first) : -ENOMEM;
	if (rc == 0)
		rc = fill(h, second);
	if (rc == 0)
		rc = look_up_all(h);
	if (rc < 0)
		hosts_free(h);
	else
		*out = h;
	return rc;
}

void
hosts_release(struct hosts *h)
{
	bool last;

	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	last = --h->users == 0;
	pthread_mutex_unlock(&h->lock);
	if (last)
		hosts_free(h);
}

bool
hosts_have(struct hosts *h, unsigned at, const struct addr *addr)
{
	const struct host *host = &h->host[at];
	bool found = false;

	pthread_mutex_lock(&h->lock);
	for (unsigned i = 0; i < host->count && !found; i++)
		found = addr_equal_host(&host->addr[i], addr);
	pthread_mutex_unlock(&h->lock);
	return found;
}
