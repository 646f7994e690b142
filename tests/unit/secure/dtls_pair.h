/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A client and a server of DTLS with a path in memory between them, which loses
 * and doubles what the test wants.
 */
#ifndef CONFLUX_TESTS_DTLS_PAIR_H
#define CONFLUX_TESTS_DTLS_PAIR_H

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "certs.h"
#include "conflux/clock.h"
#include "conflux/dtls.h"
#include "unit.h"

enum { PATH_COUNT = 64, PATH_OCTETS = 17000 };

struct path {
	uint8_t data[PATH_COUNT][PATH_OCTETS];
	size_t length[PATH_COUNT];
	unsigned first, count;
	unsigned sent;		   /* since the test reset it */
	unsigned lose_each;	   /* every n-th is lost; 0: none */
	bool closed;		   /* all are lost */
	size_t most;		   /* larger ones are lost; 0: none */
	size_t largest;		   /* that was sent */
	uint8_t last[PATH_OCTETS]; /* a copy of the last one */
	size_t last_length;
};

static void
path_put(void *arg, const uint8_t *datagram, size_t length)
{
	struct path *p = arg;
	unsigned at = (p->first + p->count) % PATH_COUNT;

	p->sent++;
	if (length > p->largest)
		p->largest = length;
	if (p->closed || p->count == PATH_COUNT || length > PATH_OCTETS ||
	    (p->most && length > p->most) ||
	    (p->lose_each && p->sent % p->lose_each == 0))
		return;
	memcpy(p->data[at], datagram, length);
	memcpy(p->last, datagram, length);
	p->length[at] = p->last_length = length;
	p->count++;
}

struct end {
	struct secure *secure;
	struct dtls_context *context;
	struct dtls *dtls;
	struct path out;
	char got[64]; /* the last data */
	unsigned messages;
};

struct pair {
	struct certs_folder folder;
	struct end client, server;
	struct dtls_resume resume;
	struct addr client_addr, server_addr;
	bool heartbeat[2]; /* client, server */
	bool renegotiation;
	uint32_t handshake_ms;
};

static const char *const wanted_server[] = {"collector.example.net"};
static const char *const wanted_client[] = {"exporter.example.net"};

static inline void
pair_secure(struct pair *p, struct secure_conf *client,
	    struct secure_conf *server)
{
	char *error = NULL;

	client->server = false;
	server->server = true;
	client->resumption = server->resumption = true;
	CU_ASSERT_EQUAL_FATAL(
		secure_new(client, "client", &p->client.secure, &error), 0);
	CU_ASSERT_EQUAL_FATAL(
		secure_new(server, "server", &p->server.secure, &error), 0);
	CU_ASSERT_EQUAL_FATAL(
		dtls_context_new(p->client.secure, &p->client.context, &error),
		0);
	CU_ASSERT_EQUAL_FATAL(
		dtls_context_new(p->server.secure, &p->server.context, &error),
		0);
	addr_parse(&p->client_addr, "192.0.2.1", 40000);
	addr_parse(&p->server_addr, "192.0.2.2", 4740);
	p->heartbeat[0] = p->heartbeat[1] = true;
}

/* Both with certificates of one authority. */
static inline void
pair_certificates(struct pair *p, const char *server_name)
{
	struct cert ca, server, client;
	struct secure_conf c = {0}, s = {0};

	certs_begin(&p->folder);
	cert_make(&ca, &(struct cert_spec){.subject = "CN=CA", .ca = true},
		  NULL);
	cert_make(&server, &(struct cert_spec){.domain = server_name}, &ca);
	cert_make(&client, &(struct cert_spec){.domain = wanted_client[0]},
		  &ca);
	c.authorities = s.authorities = certs_path(&p->folder, "ca.pem");
	cert_write(c.authorities, &ca, 1);
	c.certificate = certs_path(&p->folder, "client.pem");
	cert_write(c.certificate, &client, 1);
	c.key = certs_path(&p->folder, "client.key");
	cert_write_key(c.key, &client, 0600);
	s.certificate = certs_path(&p->folder, "server.pem");
	cert_write(s.certificate, &server, 1);
	s.key = certs_path(&p->folder, "server.key");
	cert_write_key(s.key, &server, 0600);
	c.remote_fqdn = (struct secure_list){wanted_server, 1};
	s.remote_fqdn = (struct secure_list){wanted_client, 1};
	pair_secure(p, &c, &s);
	cert_free(&ca);
	cert_free(&server);
	cert_free(&client);
}

static inline void
pair_psk(struct pair *p, const char *client_line, const char *server_line)
{
	struct secure_conf c = {0}, s = {0};

	certs_begin(&p->folder);
	c.psk_file = certs_path(&p->folder, "client.psk");
	certs_write_text(c.psk_file, client_line, 0600);
	s.psk_file = certs_path(&p->folder, "server.psk");
	certs_write_text(s.psk_file, server_line, 0600);
	c.psk_identity = "exporter.example.net";
	pair_secure(p, &c, &s);
}

static inline void
end_fini(struct end *e)
{
	dtls_free(e->dtls);
	dtls_context_free(e->context);
	secure_free(e->secure);
}

static inline void
pair_end(struct pair *p)
{
	end_fini(&p->client);
	end_fini(&p->server);
	dtls_resume_fini(&p->resume);
	certs_end(&p->folder);
}

static inline struct dtls *
pair_dtls(struct pair *p, struct end *e, const struct dtls_start *start)
{
	bool client = e == &p->client;
	struct dtls_conf conf = {
		.remote = client ? &p->server_addr : &p->client_addr,
		.send = path_put,
		.arg = &e->out,
		.heartbeat = p->heartbeat[!client],
		.renegotiation = p->renegotiation,
		.handshake_ms = p->handshake_ms,
		.start = start,
		.resume = client ? &p->resume : NULL,
	};
	char *error;
	struct dtls *d = dtls_new(e->context, &conf, clock_mono_ms(), &error);

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	return d;
}

static inline void
end_take(struct end *to, const uint8_t *datagram, size_t length)
{
	uint8_t data[17000];
	ssize_t n;

	dtls_input(to->dtls, datagram, length, clock_mono_ms());
	while ((n = dtls_read(to->dtls, data, sizeof(data))) > 0) {
		to->messages++;
		snprintf(to->got, sizeof(to->got), "%.*s", (int)n,
			 (const char *)data);
	}
}

/* Gives one end what the other has sent. A server begins with a cookie. */
static inline bool
pair_deliver(struct pair *p, struct end *from, struct end *to)
{
	struct path *path = &from->out;
	struct dtls_start start;

	if (!path->count)
		return false;
	if (!to->dtls && dtls_hello(to->context, path->data[path->first],
				    path->length[path->first], &p->client_addr,
				    clock_mono_ms(), path_put, &to->out,
				    &start) == DTLS_HELLO_COOKIE)
		to->dtls = pair_dtls(p, to, &start);
	if (to->dtls)
		end_take(to, path->data[path->first],
			 path->length[path->first]);
	path->first = (path->first + 1) % PATH_COUNT;
	path->count--;
	return true;
}

/* Until nothing is on its way. */
static inline void
pair_exchange(struct pair *p)
{
	while (pair_deliver(p, &p->client, &p->server) ||
	       pair_deliver(p, &p->server, &p->client))
		;
}

static inline void
end_tick(struct end *e)
{
	if (e->dtls && dtls_wait(e->dtls, clock_mono_ms()) == 0)
		dtls_tick(e->dtls, clock_mono_ms());
}

/* Exchanges, and lets time pass, until the expression or the seconds. */
#define PAIR_UNTIL(p, seconds, expression)                        \
	do {                                                      \
		uint64_t end_ = clock_mono_ms() + (seconds)*1000; \
		while (pair_exchange(p), !(expression)) {         \
			if (clock_mono_ms() > end_)               \
				break;                            \
			usleep(10000);                            \
			end_tick(&(p)->client);                   \
			end_tick(&(p)->server);                   \
		}                                                 \
		CU_ASSERT(expression);                            \
	} while (0)

static inline bool
end_is(const struct end *e, enum dtls_state state)
{
	return e->dtls && dtls_state(e->dtls) == state;
}

/* A handshake from its beginning. */
static inline void
pair_begin(struct pair *p)
{
	dtls_free(p->client.dtls);
	dtls_free(p->server.dtls);
	p->server.dtls = NULL;
	p->client.dtls = pair_dtls(p, &p->client, NULL);
	dtls_tick(p->client.dtls, clock_mono_ms());
	pair_exchange(p);
}

#endif
