/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages in over DTLS over UDP (RFC 7011 section 11.1): many peers at one
 * socket, told apart by their addresses and ports.
 *
 * RFC 7011 section 11.4: nothing is kept of a client, and nothing expensive is
 * computed for it, before it has brought back a cookie. Then there is a
 * handshake, of which there may be so many at a time and so many a second; and
 * a Transport Session when the peer has proved who it is and may talk to us.
 *
 * RFC 6347 section 4.2.8: an exporter that was restarted may come with the same
 * port and a new ClientHello. Anybody can send one in its name, so the session
 * goes on, until a handshake has been brought to its end beside it.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "conflux/clock.h"
#include "conflux/dtls.h"
#include "conflux/hash.h"
#include "conflux/log.h"
#include "conflux/table.h"
#include "datagrams.h"

enum {
	TICK_MS = 100,
	/* A session silent for that long may give way to a new one. */
	STEAL_MS = 90000,
	ASK_TRIES = 3, /* heartbeats to a silent peer */
};

struct dtls_in;

struct dtls_peer {
	struct net_session session;
	struct dtls_in *in;
	struct datagram_socket *socket;
	struct dtls *dtls; /* of the session; NULL: there is none yet */
	struct dtls *next; /* a handshake; NULL: none */
	uint64_t hello;	   /* hash of the datagram that began it */
	uint64_t seen_ms;  /* monotonic, something genuine came */
	uint32_t hash;
	TAILQ_ENTRY(dtls_peer) by_age;	  /* with a session */
	TAILQ_ENTRY(dtls_peer) handshake; /* with a handshake */
	char name[256], suite[128];
};

TAILQ_HEAD(dtls_peers, dtls_peer);

struct dtls_in {
	struct net_in in;
	struct datagrams datagrams;
	struct dtls_context *context;
	struct event *tick;
	struct table peers;
	struct dtls_peers by_age; /* the longest silent one first */
	struct dtls_peers handshakes;
	unsigned session_count, handshake_count;
	uint64_t tokens;    /* of the rate of handshakes, thousandths */
	uint64_t filled_ms; /* when tokens were added last */
	uint64_t seed;
	uint8_t content[DTLS_DATAGRAM_MAX];
	struct log_limit busy_log, failed_log, peer_log;
};

/* ---- peers ----------------------------------------------------------------
 */

struct peer_key {
	struct datagram_socket *socket;
	struct addr remote;
};

static bool
peer_equal(const void *item, const void *key)
{
	const struct dtls_peer *p = item;
	const struct peer_key *k = key;

	return p->socket == k->socket &&
	       addr_equal(&p->session.remote, &k->remote);
}

static uint32_t
peer_hash(const struct dtls_in *in, const struct peer_key *key)
{
	return addr_hash(
		&key->remote,
		in->seed + (uint64_t)(key->socket - in->datagrams.socket));
}

static void
send_to(void *arg, const uint8_t *datagram, size_t length)
{
	const struct dtls_peer *p = arg;

	datagram_send(p->socket, &p->session.local, &p->session.remote,
		      datagram, length);
}

static struct dtls_peer *
peer_new(struct dtls_in *in, const struct peer_key *key,
	 const struct addr *local, uint32_t hash)
{
	struct dtls_peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->in = in;
	p->socket = key->socket;
	p->session.transport = TRANSPORT_UDP;
	p->session.remote = key->remote;
	p->session.local = *local;
	p->hash = hash;
	if (table_add(&in->peers, hash, p) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

/* Of a peer that has neither a session nor a handshake. */
static void
peer_forget(struct dtls_peer *p)
{
	if (p->dtls || p->next)
		return;
	if (p->socket->user == p)
		p->socket->user = NULL;
	table_remove(&p->in->peers, p->hash, p);
	free(p);
}

static void
handshake_drop(struct dtls_peer *p)
{
	if (!p->next)
		return;
	TAILQ_REMOVE(&p->in->handshakes, p, handshake);
	p->in->handshake_count--;
	dtls_free(p->next);
	p->next = NULL;
}

/* The handshake stays, if there is one. reason NULL: in order. */
static void
session_end(struct dtls_peer *p, const char *reason)
{
	struct dtls_in *in = p->in;

	if (!p->dtls)
		return;
	TAILQ_REMOVE(&in->by_age, p, by_age);
	in->session_count--;
	in->in.ops->closed(in->in.arg, &p->session, reason, 0);
	dtls_free(p->dtls);
	p->dtls = NULL;
}

static void
refused(struct dtls_peer *p, enum net_refusal why)
{
	const struct net_in *net = &p->in->in;

	if (net->ops->refused)
		net->ops->refused(net->arg, &p->session.remote, why);
}

/* ---- sessions -------------------------------------------------------------
 */

static bool
session_room(struct dtls_in *in, uint64_t mono)
{
	struct dtls_peer *oldest = TAILQ_FIRST(&in->by_age);

	if (in->session_count < in->in.conf.max_sessions)
		return true;
	if (!oldest || mono - oldest->seen_ms <= STEAL_MS)
		return false;
	session_end(oldest, "silent, and its place was needed");
	peer_forget(oldest);
	return true;
}

/* The handshake is over: it takes the place of a session that was. */
static void
session_begin(struct dtls_peer *p, uint64_t mono, uint64_t wall)
{
	struct dtls_in *in = p->in;
	struct dtls *dtls = p->next;
	char text[ADDR_TEXT_SIZE];

	p->next = NULL;
	TAILQ_REMOVE(&in->handshakes, p, handshake);
	in->handshake_count--;
	session_end(p, "the exporter has begun a new one");
	if (!session_room(in, mono)) {
		net_in_full(&in->in, "dtls", "sessions", "it is turned away",
			    &p->session.remote);
		dtls_end(dtls, mono);
		dtls_free(dtls);
		return;
	}
	strncpy(p->name, dtls_peer(dtls), sizeof(p->name) - 1);
	dtls_describe(dtls, p->suite, sizeof(p->suite));
	p->session.peer = p->name;
	p->session.suite = p->suite;
	p->session.start_ms = p->session.last_ms = wall;
	p->session.messages = p->session.octets = 0;
	if (in->in.ops->opened(in->in.arg, &p->session) != 0) {
		dtls_end(dtls, mono);
		dtls_free(dtls);
		return;
	}
	p->dtls = dtls;
	p->seen_ms = mono;
	TAILQ_INSERT_TAIL(&in->by_age, p, by_age);
	in->session_count++;
	log_info("dtls %s: session with %s (%s)",
		 addr_format(text, &p->session.remote), p->name, p->suite);
}

/* Something genuine has come. */
static void
session_seen(struct dtls_peer *p, uint64_t mono)
{
	p->seen_ms = mono;
	if (TAILQ_LAST(&p->in->by_age, dtls_peers) == p)
		return;
	TAILQ_REMOVE(&p->in->by_age, p, by_age);
	TAILQ_INSERT_TAIL(&p->in->by_age, p, by_age);
}

/* Hands out the messages that have come. False: nothing genuine has. */
static bool
session_read(struct dtls_peer *p, const uint8_t *datagram, size_t length,
	     uint64_t mono, uint64_t wall)
{
	struct dtls_in *in = p->in;
	uint64_t before = dtls_genuine(p->dtls);
	ssize_t n;

	dtls_input(p->dtls, datagram, length, mono);
	while ((n = dtls_read(p->dtls, in->content, sizeof(in->content))) > 0) {
		p->session.last_ms = wall;
		net_in_message(&in->in, &p->session, in->content, (size_t)n);
	}
	if (dtls_state(p->dtls) == DTLS_ENDED)
		session_end(p, NULL);
	else if (dtls_state(p->dtls) == DTLS_FAILED)
		session_end(p, dtls_reason(p->dtls));
	else if (dtls_genuine(p->dtls) == before)
		return false;
	else
		session_seen(p, mono);
	return true;
}

/* ---- handshakes -----------------------------------------------------------
 */

static void
log_failed(struct dtls_peer *p, bool rejected, uint64_t mono)
{
	struct log_limit *limit =
		rejected ? &p->in->peer_log : &p->in->failed_log;
	char text[ADDR_TEXT_SIZE];
	uint32_t held;

	if (log_limit_pass(limit, mono, &held))
		log_warning("dtls %s%s%s: no session: %s (%u lines held back)",
			    addr_format(text, &p->session.remote),
			    *dtls_peer(p->next) ? ", " : "", dtls_peer(p->next),
			    dtls_reason(p->next), held);
}

/* Looks at what the handshake has come to. */
static void
handshake_look(struct dtls_peer *p, uint64_t mono, uint64_t wall)
{
	enum dtls_state state = dtls_state(p->next);
	bool rejected;

	if (state == DTLS_UP) {
		session_begin(p, mono, wall);
	} else if (state != DTLS_SHAKING) {
		rejected = dtls_rejected(p->next);
		log_failed(p, rejected, mono);
		refused(p, rejected ? NET_REFUSED_PEER : NET_REFUSED_HANDSHAKE);
		handshake_drop(p);
	}
}

/* A token bucket of one second. */
static bool
rate_allows(struct dtls_in *in, uint64_t mono)
{
	uint64_t rate = in->in.conf.dtls.handshake_rate;
	uint64_t ms = mono - in->filled_ms;

	in->filled_ms = mono;
	in->tokens += rate * (ms < 1000 ? ms : 1000);
	if (in->tokens > rate * 1000)
		in->tokens = rate * 1000;
	if (in->tokens < 1000)
		return false;
	in->tokens -= 1000;
	return true;
}

/* May there be one more handshake? */
static bool
handshake_room(struct dtls_in *in, const struct addr *remote, uint64_t mono)
{
	const struct net_dtls_conf *conf = &in->in.conf.dtls;
	char text[ADDR_TEXT_SIZE];
	uint32_t held;

	if (in->handshake_count < conf->max_handshakes && rate_allows(in, mono))
		return true;
	if (log_limit_pass(&in->busy_log, mono, &held))
		log_warning("dtls %s: too many handshakes (at most %u at a "
			    "time and %u a second): it has to try again (%u "
			    "lines held back)",
			    addr_format(text, remote), conf->max_handshakes,
			    conf->handshake_rate, held);
	if (in->in.ops->refused)
		in->in.ops->refused(in->in.arg, remote, NET_REFUSED_HANDSHAKE);
	return false;
}

static void
handshake_begin(struct dtls_peer *p, const struct dtls_start *start,
		uint64_t hello, uint64_t mono)
{
	struct dtls_in *in = p->in;
	struct dtls_conf conf = {
		.remote = &p->session.remote,
		.send = send_to,
		.arg = p,
		.heartbeat = in->in.conf.dtls.heartbeat,
		.renegotiation = in->in.conf.dtls.renegotiation,
		.handshake_ms = in->in.conf.handshake_ms,
		.start = start,
	};
	char *error = NULL;

	handshake_drop(p);
	p->next = dtls_new(in->context, &conf, mono, &error);
	if (!p->next) {
		log_warning("dtls: %s", error ? error : "no memory");
		free(error);
		return;
	}
	p->hello = hello;
	TAILQ_INSERT_TAIL(&in->handshakes, p, handshake);
	in->handshake_count++;
}

/* ---- datagrams ------------------------------------------------------------
 */

/* Where the answer to one who has no session goes to. */
struct stranger {
	const struct datagram_socket *socket;
	const struct addr *local, *remote;
};

static void
send_stranger(void *arg, const uint8_t *datagram, size_t length)
{
	const struct stranger *s = arg;

	datagram_send(s->socket, s->local, s->remote, datagram, length);
}

/*
 * A ClientHello. p is the peer, or NULL. With a cookie, a handshake begins: the
 * peer, or NULL, is what it belongs to then.
 */
static struct dtls_peer *
take_hello(struct dtls_in *in, struct dtls_peer *p, const struct peer_key *key,
	   const struct addr *local, const uint8_t *datagram, size_t length,
	   uint64_t mono)
{
	struct stranger stranger = {key->socket, local, &key->remote};
	uint64_t hello = hash_bytes(datagram, length, in->seed);
	struct dtls_start start;

	if (dtls_hello(in->context, datagram, length, &key->remote, mono,
		       send_stranger, &stranger, &start) != DTLS_HELLO_COOKIE)
		return NULL;
	if (p && p->next && p->hello == hello)
		return p; /* sent again */
	if (!handshake_room(in, &key->remote, mono))
		return NULL;
	if (!p)
		p = peer_new(in, key, local, peer_hash(in, key));
	if (!p)
		return NULL;
	p->session.local = *local;
	handshake_begin(p, &start, hello, mono);
	if (p->next)
		return p;
	peer_forget(p);
	return NULL;
}

static void
take_datagram(struct datagram_socket *socket, const struct mmsghdr *header,
	      uint64_t mono, uint64_t wall)
{
	struct dtls_in *in = (struct dtls_in *)socket->in->net;
	const uint8_t *datagram = header->msg_hdr.msg_iov->iov_base;
	struct peer_key key = {.socket = socket};
	size_t length = header->msg_len;
	struct dtls_peer *p;
	struct addr local;

	if (header->msg_hdr.msg_flags & MSG_TRUNC ||
	    addr_from_sockaddr(&key.remote, header->msg_hdr.msg_name) < 0)
		return;
	p = socket->user; /* the last one */
	if (!p || !addr_equal(&p->session.remote, &key.remote))
		p = table_find(&in->peers, peer_hash(in, &key), peer_equal,
			       &key);
	if (dtls_is_hello(datagram, length)) {
		datagram_local(socket, header, &local);
		p = take_hello(in, p, &key, &local, datagram, length, mono);
		if (!p)
			return;
	} else if (!p) {
		return; /* of a session that is forgotten */
	} else if (p->dtls && session_read(p, datagram, length, mono, wall)) {
		socket->user = p;
		peer_forget(p);
		return;
	}
	if (p->next) {
		dtls_input(p->next, datagram, length, mono);
		handshake_look(p, mono, wall);
	}
	peer_forget(p);
}

static void
take_datagrams(struct datagram_socket *socket, const struct mmsghdr *header,
	       unsigned count, uint64_t mono, uint64_t wall)
{
	for (unsigned i = 0; i < count; i++)
		take_datagram(socket, &header[i], mono, wall);
}

/* ---- time -----------------------------------------------------------------
 */

static void
tick_handshakes(struct dtls_in *in, uint64_t mono, uint64_t wall)
{
	struct dtls_peer *p, *after;

	for (p = TAILQ_FIRST(&in->handshakes); p; p = after) {
		after = TAILQ_NEXT(p, handshake);
		if (dtls_wait(p->next, mono) > 0)
			continue;
		dtls_tick(p->next, mono);
		handshake_look(p, mono, wall);
		peer_forget(p);
	}
}

/*
 * A peer that has been silent for half of the time that ends its session is
 * asked whether it is there: one that has nothing to say keeps its session.
 */
static void
tick_silent(struct dtls_in *in, uint64_t mono)
{
	uint32_t idle = in->in.conf.session_idle_ms;
	struct dtls_peer *p, *after;

	if (!idle)
		return;
	for (p = TAILQ_FIRST(&in->by_age); p && mono - p->seen_ms > idle / 2;
	     p = after) {
		after = TAILQ_NEXT(p, by_age);
		if (mono - p->seen_ms > idle) {
			session_end(p, NULL);
			peer_forget(p);
			continue;
		}
		if (dtls_probe_result(p->dtls) == DTLS_PROBE_NONE)
			dtls_probe(p->dtls, 0, ASK_TRIES, 0, mono);
		if (dtls_wait(p->dtls, mono) == 0)
			dtls_tick(p->dtls, mono);
	}
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct dtls_in *in = arg;
	uint64_t mono = clock_mono_ms();

	datagrams_tick(&in->datagrams);
	tick_handshakes(in, mono, clock_wall_ms());
	tick_silent(in, mono);
}

/* ---- open and close -------------------------------------------------------
 */

static int
dtls_in_open(struct net_in *net, char **error)
{
	static const struct timeval tick = {.tv_usec = TICK_MS * 1000};
	struct dtls_in *in = (struct dtls_in *)net;
	int rc;

	TAILQ_INIT(&in->by_age);
	TAILQ_INIT(&in->handshakes);
	in->seed = hash_seed();
	in->filled_ms = clock_mono_ms() - 1000;
	rc = dtls_context_new(net->secure, &in->context, error);
	if (rc == 0)
		rc = datagrams_want_local(&in->datagrams);
	if (rc == 0)
		rc = datagrams_open(&in->datagrams, net, take_datagrams, error);
	if (rc < 0)
		return rc;
	in->tick = event_new(net->base, -1, EV_PERSIST, on_tick, in);
	if (!in->tick || event_add(in->tick, &tick) < 0)
		return -ENOMEM;
	return 0;
}

static void
dtls_in_close(struct net_in *net)
{
	struct dtls_in *in = (struct dtls_in *)net;
	struct dtls_peer *p;

	if (in->tick)
		datagrams_last(&in->datagrams);
	while (in->tick && (p = TAILQ_FIRST(&in->handshakes))) {
		handshake_drop(p);
		peer_forget(p);
	}
	while (in->tick && (p = TAILQ_FIRST(&in->by_age))) {
		/* So that exporters need not find it out. */
		dtls_end(p->dtls, clock_mono_ms());
		session_end(p, NULL);
		peer_forget(p);
	}
	datagrams_close(&in->datagrams);
	if (in->tick)
		event_free(in->tick);
	dtls_context_free(in->context);
	table_fini(&in->peers);
}

static uint16_t
dtls_in_port(const struct net_in *net)
{
	const struct dtls_in *in = (const struct dtls_in *)net;

	return in->datagrams.socket[0].local.port;
}

static struct net_session *
dtls_in_next(const struct net_in *net, uint32_t *at)
{
	const struct dtls_in *in = (const struct dtls_in *)net;
	struct dtls_peer *p;

	while ((p = table_next(&in->peers, at)))
		if (p->dtls)
			return &p->session;
	return NULL;
}

static void
session_revoke(struct dtls_peer *p, const char *reason)
{
	uint64_t mono = clock_mono_ms();
	char text[ADDR_TEXT_SIZE];
	uint32_t held;

	if (log_limit_pass(&p->in->peer_log, mono, &held))
		log_warning("dtls %s: \"%s\": %s, its session ends (%u lines "
			    "held back)",
			    addr_format(text, &p->session.remote), p->name,
			    reason, held);
	dtls_end(p->dtls, mono);
	session_end(p, reason);
	peer_forget(p);
}

static void
dtls_in_reloaded(struct net_in *net)
{
	struct dtls_in *in = (struct dtls_in *)net;
	struct dtls_peer *p, *next;
	const char *reason;

	for (p = TAILQ_FIRST(&in->by_age); p; p = next) {
		next = TAILQ_NEXT(p, by_age);
		reason = dtls_revoked(p->dtls);
		if (reason)
			session_revoke(p, reason);
	}
}

const struct net_in_type net_dtls_in = {
	.size = sizeof(struct dtls_in),
	.open = dtls_in_open,
	.close = dtls_in_close,
	.port = dtls_in_port,
	.next = dtls_in_next,
	.reloaded = dtls_in_reloaded,
};
