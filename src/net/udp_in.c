/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams in. RFC 7011 section 10.3: one message a datagram; a Transport
 * Session is known by the addresses and ports of both ends, has no beginning
 * and no end of its own, and so begins with its first datagram and ends after
 * a silence. With any_port all that comes from one address is one session.
 *
 * The session of the datagram before is tried first.
 *
 * When not all can be taken, because the stages behind are congested or the
 * kernel has dropped datagrams, one that sends much does not get more than its
 * share (share.h), so that it does no harm to others.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "conflux/log.h"
#include "conflux/table.h"
#include "datagrams.h"
#include "share.h"

enum {
	TICK_MS = 200,
	/*
	 * A session silent for that long may give way to a new one. Exporters
	 * often send once a minute, and lose their Templates with the session.
	 */
	STEAL_MS = 90000,
};

struct udp_session {
	struct net_session session;
	struct datagram_socket *socket;
	uint64_t seen_ms; /* monotonic */
	uint32_t hash;
	struct share_sender sender;
	socklen_t name_length;
	struct sockaddr_storage name; /* of the remote, for a quick look */
	struct udp_session *older, *newer; /* by seen_ms */
};

struct udp_in {
	struct net_in in;
	struct datagrams datagrams;
	struct event *tick;
	struct table sessions;
	struct udp_session *oldest, *newest;
	uint64_t seed;
	uint64_t truncated;
	struct share share;
	const struct udp_session *next; /* for share.c */
	struct log_limit truncated_log, shed_log;
};

/* ---- sessions ---------------------------------------------------------- */

struct session_key {
	const struct datagram_socket *socket;
	struct addr remote;
};

static bool
session_equal(const void *item, const void *key)
{
	const struct udp_session *s = item;
	const struct session_key *k = key;

	return s->socket == k->socket &&
	       addr_equal(&s->session.remote, &k->remote);
}

static void
session_unlink(struct udp_in *in, struct udp_session *s)
{
	*(s->older ? &s->older->newer : &in->oldest) = s->newer;
	*(s->newer ? &s->newer->older : &in->newest) = s->older;
}

static void
session_link(struct udp_in *in, struct udp_session *s)
{
	s->newer = NULL;
	s->older = in->newest;
	*(in->newest ? &in->newest->newer : &in->oldest) = s;
	in->newest = s;
}

static void
session_end(struct udp_in *in, struct udp_session *s, const char *reason)
{
	if (s->socket->user == s)
		s->socket->user = NULL;
	session_unlink(in, s);
	table_remove(&in->sessions, s->hash, s);
	in->in.ops->closed(in->in.arg, &s->session, reason, 0);
	free(s);
}

/* Room for one more session? The longest silent one may give way. */
static bool
session_room(struct udp_in *in, const struct addr *remote, uint64_t mono)
{
	if (in->sessions.count < in->in.conf.max_sessions)
		return true;
	if (in->oldest && mono - in->oldest->seen_ms > STEAL_MS) {
		session_end(in, in->oldest,
			    "silent, and its place was needed");
		return true;
	}
	net_in_full(&in->in, "udp", "sessions", "its data is dropped", remote);
	return false;
}

static struct udp_session *
session_new(struct datagram_socket *socket, const struct addr *remote,
	    uint32_t hash, uint64_t mono, uint64_t wall)
{
	struct udp_in *in = (struct udp_in *)socket->in->net;
	struct udp_session *s;

	if (!session_room(in, remote, mono))
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->session.transport = TRANSPORT_UDP;
	s->session.remote = *remote;
	s->session.local = socket->local;
	s->session.start_ms = s->session.last_ms = wall;
	s->socket = socket;
	s->seen_ms = mono;
	s->hash = hash;
	if (table_add(&in->sessions, hash, s) < 0) {
		free(s);
		return NULL;
	}
	if (in->in.ops->opened(in->in.arg, &s->session) != 0) {
		table_remove(&in->sessions, hash, s);
		free(s);
		return NULL;
	}
	session_link(in, s);
	return s;
}

static struct udp_session *
session_find(struct datagram_socket *socket, const struct msghdr *header,
	     uint64_t mono, uint64_t wall)
{
	struct udp_in *in = (struct udp_in *)socket->in->net;
	struct session_key key = {.socket = socket};
	struct udp_session *s;
	uint32_t hash;

	if (addr_from_sockaddr(&key.remote, header->msg_name) < 0)
		return NULL;
	if (in->in.conf.any_port)
		key.remote.port = 0;
	hash = addr_hash(&key.remote,
			 in->seed + (uint64_t)(socket - in->datagrams.socket));
	s = table_find(&in->sessions, hash, session_equal, &key);
	if (!s)
		s = session_new(socket, &key.remote, hash, mono, wall);
	if (!s)
		return NULL;
	memcpy(&s->name, header->msg_name, header->msg_namelen);
	s->name_length = header->msg_namelen;
	return s;
}

/* ---- receiving --------------------------------------------------------- */

static void
take_truncated(struct udp_in *in, struct udp_session *s, uint64_t mono)
{
	char text[ADDR_TEXT_SIZE];
	uint32_t held;

	in->truncated++;
	if (log_limit_pass(&in->truncated_log, mono, &held))
		log_warning("udp %s: a datagram was cut off and is dropped, "
			    "%llu so far", addr_format(text,
						       &s->session.remote),
			    (unsigned long long)in->truncated);
}

/* The datagram is one too many. */
static void
shed(struct udp_in *in, struct udp_session *s, uint64_t mono)
{
	char text[ADDR_TEXT_SIZE];
	uint32_t held;

	s->session.shed++;
	if (log_limit_pass(&in->shed_log, mono, &held))
		log_warning("udp %s: it sends more than its share while not "
			    "all can be taken: %llu of its datagrams were "
			    "dropped so far (%u lines held back)",
			    addr_format(text, &s->session.remote),
			    (unsigned long long)s->session.shed, held);
}

static bool
may_take(struct udp_in *in, struct udp_session *s, uint32_t octets)
{
	struct share *share = &in->share;

	/* Else it was asked before the first of the datagrams. */
	return share_take(share, &s->sender, octets,
			  share_short(share) && !net_in_ready(&in->in));
}

static void
take_datagram(struct datagram_socket *socket, const struct mmsghdr *header,
	      uint64_t mono, uint64_t wall)
{
	const struct msghdr *h = &header->msg_hdr;
	struct udp_in *in = (struct udp_in *)socket->in->net;
	struct udp_session *s = socket->user;

	if (!s || s->name_length != h->msg_namelen ||
	    memcmp(&s->name, h->msg_name, h->msg_namelen) != 0) {
		s = session_find(socket, h, mono, wall);
		if (!s)
			return;
		socket->user = s; /* tried first */
	}
	if (s != in->newest) {
		session_unlink(in, s);
		session_link(in, s);
	}
	s->seen_ms = mono;
	s->session.last_ms = wall;
	if (h->msg_flags & MSG_TRUNC)
		take_truncated(in, s, mono);
	else if (!may_take(in, s, header->msg_len))
		shed(in, s, mono);
	else
		net_in_message(&in->in, &s->session, h->msg_iov->iov_base,
			       header->msg_len);
}

static void
take_datagrams(struct datagram_socket *socket, const struct mmsghdr *header,
	       unsigned count, uint64_t mono, uint64_t wall)
{
	struct udp_in *in = (struct udp_in *)socket->in->net;

	if (!net_in_ready(&in->in))
		in->share.congested = true;
	for (unsigned i = 0; i < count; i++)
		take_datagram(socket, &header[i], mono, wall);
}

static void
rewind_senders(void *arg)
{
	struct udp_in *in = arg;

	in->next = in->newest;
}

/* Those that have sent something lately stand at the end of the list. */
static const struct share_sender *
next_sender(void *arg)
{
	struct udp_in *in = arg;
	const struct udp_session *s = in->next;

	if (!s || s->sender.turn != in->share.turn)
		return NULL;
	in->next = s->older;
	return &s->sender;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct udp_in *in = arg;
	uint64_t mono = clock_mono_ms();

	share_turn(&in->share, datagrams_tick(&in->datagrams) > 0, next_sender,
		   rewind_senders, in);
	while (in->in.conf.session_idle_ms && in->oldest &&
	       mono - in->oldest->seen_ms > in->in.conf.session_idle_ms)
		session_end(in, in->oldest, NULL);
}

/* ---- open and close ---------------------------------------------------- */

static int
udp_in_open(struct net_in *net, char **error)
{
	static const struct timeval tick = {.tv_usec = TICK_MS * 1000};
	struct udp_in *in = (struct udp_in *)net;
	int rc;

	in->seed = hash_seed();
	share_init(&in->share);
	rc = datagrams_open(&in->datagrams, net, take_datagrams, error);
	if (rc < 0)
		return rc;
	in->tick = event_new(net->base, -1, EV_PERSIST, on_tick, in);
	if (!in->tick || event_add(in->tick, &tick) < 0)
		return -ENOMEM;
	return 0;
}

static void
udp_in_close(struct net_in *net)
{
	struct udp_in *in = (struct udp_in *)net;

	if (in->tick)
		datagrams_last(&in->datagrams);
	while (in->oldest)
		session_end(in, in->oldest, NULL);
	datagrams_close(&in->datagrams);
	if (in->tick)
		event_free(in->tick);
	table_fini(&in->sessions);
}

static uint16_t
udp_in_port(const struct net_in *net)
{
	return ((const struct udp_in *)net)->datagrams.socket[0].local.port;
}

static struct net_session *
udp_in_next(const struct net_in *net, uint32_t *at)
{
	struct udp_session *s =
		table_next(&((const struct udp_in *)net)->sessions, at);

	return s ? &s->session : NULL;
}

const struct net_in_type net_udp_in = {
	.size = sizeof(struct udp_in),
	.open = udp_in_open,
	.close = udp_in_close,
	.port = udp_in_port,
	.next = udp_in_next,
};
