/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Net-SNMP keeps users, engine times and request ids in globals without locks
 * (Debian builds it without NETSNMP_REENTRANT), so every call into it is made
 * from the thread of one event base. The only other thread here writes files:
 * fsync may take longer than the event loop may stand still.
 */
#include "engine.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conflux/file.h"
#include "conflux/log.h"
#include "conflux/ntp.h"

enum {
	TURN_NS = 4000000, /* of a turn of the event loop, for replies */
	KEYS_MAX = 64,
	SECRET_MAX = 1024,
};

struct key {
	struct key *next;
	const oid *protocol; /* a constant of the library */
	char *passphrase;
	size_t length;
	uint8_t key[USM_AUTH_KU_LEN];
};

struct job {
	struct job *next;
	char *path;
	void *data;
	size_t length;
	atomic_uint *pending;
};

struct meter_engine {
	struct event_base *base;
	struct event *turn; /* ends a turn */
	bool shared;	    /* Net-SNMP, with an agent */
	uint64_t turn_start_ns;
	struct key *keys;
	unsigned key_count;

	pthread_t writer;
	pthread_mutex_t mutex; /* of what follows */
	pthread_cond_t wake;
	struct job *first, **last;
	bool quit;
};

static void
job_run(struct job *job)
{
	int err = file_replace(job->path, job->data, job->length, 0600, true);

	if (err)
		log_error("state file %s: not written: %s; baselines would be "
			  "lost with the process", job->path, strerror(-err));
	atomic_fetch_sub(job->pending, 1);
	free(job->path);
	free(job->data);
	free(job);
}

static void *
writer_main(void *arg)
{
	struct meter_engine *engine = arg;
	struct job *job;

	pthread_mutex_lock(&engine->mutex);
	for (;;) {
		while (!engine->first && !engine->quit)
			pthread_cond_wait(&engine->wake, &engine->mutex);
		job = engine->first;
		if (!job)
			break;
		engine->first = job->next;
		if (!engine->first)
			engine->last = &engine->first;
		pthread_mutex_unlock(&engine->mutex);
		job_run(job);
		pthread_mutex_lock(&engine->mutex);
	}
	pthread_mutex_unlock(&engine->mutex);
	return NULL;
}

int
meter_engine_write(struct meter_engine *engine, const char *path, void *data,
		   size_t length, atomic_uint *pending)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job)
		job->path = strdup(path);
	if (!job || !job->path) {
		free(job);
		free(data);
		return -ENOMEM;
	}
	job->data = data;
	job->length = length;
	job->pending = pending;
	atomic_fetch_add(pending, 1);
	pthread_mutex_lock(&engine->mutex);
	*engine->last = job;
	engine->last = &job->next;
	pthread_cond_signal(&engine->wake);
	pthread_mutex_unlock(&engine->mutex);
	return 0;
}

void
meter_engine_wait(struct meter_engine *engine)
{
	static const struct timespec moment = {0, 1000000};

	nanosleep(&moment, NULL);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void
turn_end(evutil_socket_t fd, short what, void *arg)
{
	struct meter_engine *engine = arg;

	engine->turn_start_ns = 0;
}

bool
meter_engine_turn(struct meter_engine *engine)
{
	static const struct timeval at_once;

	if (!engine->turn_start_ns) {
		engine->turn_start_ns = now_ns();
		evtimer_add(engine->turn, &at_once);
		return true;
	}
	return now_ns() - engine->turn_start_ns < TURN_NS;
}

struct event_base *
meter_engine_base(struct meter_engine *engine)
{
	return engine->base;
}

static void
library_init(void)
{
	/* No MIB files, no configuration files, no state, no SIGALRM. */
	setenv("MIBS", "", 1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID,
			       NETSNMP_DS_LIB_DONT_PERSIST_STATE, 1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID,
			       NETSNMP_DS_LIB_DISABLE_PERSISTENT_LOAD, 1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID,
			       NETSNMP_DS_LIB_DISABLE_PERSISTENT_SAVE, 1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID,
			       NETSNMP_DS_LIB_DONT_READ_CONFIGS, 1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID,
			       NETSNMP_DS_LIB_ALARM_DONT_USE_SIG, 1);
	netsnmp_ds_set_int(NETSNMP_DS_LIBRARY_ID,
			   NETSNMP_DS_LIB_CLIENTRECVBUF, 262144);
	init_snmp("conflux");
	/*
	 * It would tell on stderr what a peer can cause without end. With no
	 * handler it takes stderr; to those who call back nobody listens.
	 */
	snmp_disable_log();
	snmp_enable_calllog();
}

int
meter_engine_new(struct event_base *base, struct meter_engine **out)
{
	struct meter_engine *engine = calloc(1, sizeof(*engine));
	int err;

	if (!engine)
		return -ENOMEM;
	engine->base = base;
	engine->last = &engine->first;
	pthread_mutex_init(&engine->mutex, NULL);
	pthread_cond_init(&engine->wake, NULL);
	engine->turn = evtimer_new(base, turn_end, engine);
	err = engine->turn ? -pthread_create(&engine->writer, NULL,
					     writer_main, engine) : -ENOMEM;
	if (err) {
		if (engine->turn)
			event_free(engine->turn);
		free(engine);
		return err;
	}
	library_init();
	*out = engine;
	return 0;
}

void
meter_engine_share(struct meter_engine *engine)
{
	engine->shared = true;
}

void
meter_engine_free(struct meter_engine *engine)
{
	struct key *key;

	if (!engine)
		return;
	pthread_mutex_lock(&engine->mutex);
	engine->quit = true;
	pthread_cond_signal(&engine->wake);
	pthread_mutex_unlock(&engine->mutex);
	pthread_join(engine->writer, NULL);
	while ((key = engine->keys)) {
		engine->keys = key->next;
		secret_free(key->passphrase);
		explicit_bzero(key, sizeof(*key));
		free(key);
	}
	event_free(engine->turn);
	pthread_cond_destroy(&engine->wake);
	pthread_mutex_destroy(&engine->mutex);
	if (!engine->shared)
		snmp_shutdown("conflux");
	free(engine);
}

static void
key_keep(struct meter_engine *engine, const oid *protocol,
	 const char *passphrase, const uint8_t *ku, size_t length)
{
	struct key *key;

	if (engine->key_count == KEYS_MAX)
		return;
	key = calloc(1, sizeof(*key));
	if (!key)
		return;
	key->passphrase = strdup(passphrase);
	if (!key->passphrase) {
		free(key);
		return;
	}
	key->protocol = protocol;
	key->length = length;
	memcpy(key->key, ku, length);
	key->next = engine->keys;
	engine->keys = key;
	engine->key_count++;
}

int
meter_engine_key(struct meter_engine *engine, const oid *protocol,
		 size_t protocol_length, const char *passphrase, uint8_t *ku,
		 size_t *length)
{
	for (struct key *key = engine->keys; key; key = key->next)
		if (key->protocol == protocol &&
		    strcmp(key->passphrase, passphrase) == 0) {
			memcpy(ku, key->key, key->length);
			*length = key->length;
			return 0;
		}
	*length = USM_AUTH_KU_LEN;
	if (generate_Ku(protocol, (u_int)protocol_length,
			(const u_char *)passphrase, strlen(passphrase), ku,
			length) != SNMPERR_SUCCESS)
		return -EINVAL;
	key_keep(engine, protocol, passphrase, ku, *length);
	return 0;
}

void
secret_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

static int
secret_read_file(const char *path, const char *what, char **out)
{
	char line[SECRET_MAX];
	ssize_t n;
	int fd, err = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		log_error("%s: %s: %s", what, path, strerror(-err));
		return err;
	}
	n = read(fd, line, sizeof(line) - 1);
	if (n < 0)
		err = -errno;
	close(fd);
	if (!err) {
		line[n] = '\0';
		line[strcspn(line, "\r\n")] = '\0';
		err = !line[0] || n == sizeof(line) - 1 ? -EINVAL : 0;
	}
	if (err)
		log_error("%s: %s: %s", what, path,
			  err == -EINVAL ? "first line is empty or too long"
					 : strerror(-err));
	else if (!(*out = strdup(line)))
		err = -ENOMEM;
	explicit_bzero(line, sizeof(line));
	return err;
}

int
secret_read(const struct meter_secret *secret, const char *what, char **out)
{
	*out = NULL;
	if (secret->value) {
		*out = strdup(secret->value);
		return *out ? 0 : -ENOMEM;
	}
	return secret->file ? secret_read_file(secret->file, what, out) : 0;
}
