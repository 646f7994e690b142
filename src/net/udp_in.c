/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams in. RFC 7011 section 10.3: one message a datagram; a Transport
 * Session is known by the addresses and ports of both ends, has no beginning
 * and no end of its own, and so begins with its first datagram and ends after
 * a silence.
 *
 * Cost per datagram is what counts here: many are read with one call, clocks
 * are read once a call, the session of the datagram before is tried first, and
 * the kernel's drops are asked for by a timer instead of with each datagram.
 * When datagrams come fast, the socket is emptied by a 1 ms timer instead of
 * at each wake-up, if its buffer is large enough to hold some milliseconds.
 */
#include <errno.h>
#include <event2/event.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "conflux/log.h"
#include "conflux/table.h"
#include "in.h"
#include "socket.h"

enum {
	BURST = 64,  /* datagrams per call */
	ROUNDS = 8,  /* calls per event, then others have their turn */
	SLOT = 65536, /* a datagram may be that large */
	/*
	 * Slots are apart by some pages more than that: at the same distance
	 * as the ways of the caches, all would compete for the same lines.
	 */
	STRIDE = SLOT + 4096,
	TICK_MS = 200,
	/*
	 * A session silent for that long may give way to a new one. Exporters
	 * often send once a minute, and lose their Templates with the session.
	 */
	STEAL_MS = 90000,
	LAST_TURNS = 64, /* at the close, to take what has arrived */
	POLL_BURST = 8,  /* datagrams per wake-up that make us poll */
	POLL_BUFFER = 2 << 20, /* least buffer for that, octets */
	BUFFER_MAX = 32 << 20, /* what we ask for when nothing is asked */
};

struct udp_in;

struct udp_session {
	struct net_session session;
	struct udp_socket *socket;
	uint64_t seen_ms; /* monotonic */
	uint32_t hash;
	socklen_t name_length;
	struct sockaddr_storage name; /* of the remote, for a quick look */
	struct udp_session *older, *newer; /* by seen_ms */
};

struct udp_socket {
	struct udp_in *in;
	int fd;
	struct addr local;
	struct event *readable;
	struct event *poll; /* timer, NULL if the buffer is too small */
	struct udp_session *last;
	uint32_t drops; /* the kernel's count when last asked */
};

struct udp_in {
	struct net_in in;
	struct udp_socket *socket;
	unsigned socket_count;
	struct event *tick;
	struct table sessions;
	struct udp_session *oldest, *newest;
	uint64_t seed;
	uint64_t truncated;
	struct log_limit truncated_log, full_log;
	uint8_t *slots;
	struct mmsghdr header[BURST];
	struct iovec iov[BURST];
	struct sockaddr_storage name[BURST];
};

/* ---- sessions ---------------------------------------------------------- */

struct session_key {
	const struct udp_socket *socket;
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
	if (s->socket->last == s)
		s->socket->last = NULL;
	session_unlink(in, s);
	table_remove(&in->sessions, s->hash, s);
	in->in.ops->closed(in->in.arg, &s->session, reason, 0);
	free(s);
}

/* Room for one more session? The longest silent one may give way. */
static bool
session_room(struct udp_in *in, const struct addr *remote, uint64_t mono)
{
	char text[ADDR_TEXT_SIZE];
	uint32_t held;

	if (in->sessions.count < in->in.conf.max_sessions)
		return true;
	if (in->oldest && mono - in->oldest->seen_ms > STEAL_MS) {
		session_end(in, in->oldest,
			    "silent, and its place was needed");
		return true;
	}
	if (log_limit_pass(&in->full_log, mono, &held))
		log_warning("udp %s: %u sessions are the limit, its data is "
			    "dropped (%u lines held back)",
			    addr_format(text, remote),
			    in->in.conf.max_sessions, held);
	if (in->in.ops->refused)
		in->in.ops->refused(in->in.arg, remote);
	return false;
}

static struct udp_session *
session_new(struct udp_socket *socket, const struct addr *remote,
	    uint32_t hash, uint64_t mono, uint64_t wall)
{
	struct udp_in *in = socket->in;
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
session_find(struct udp_socket *socket, const struct msghdr *header,
	     uint64_t mono, uint64_t wall)
{
	struct udp_in *in = socket->in;
	struct session_key key = {.socket = socket};
	struct udp_session *s;
	uint32_t hash;

	if (addr_from_sockaddr(&key.remote, header->msg_name) < 0)
		return NULL;
	hash = addr_hash(&key.remote,
			 in->seed + (uint64_t)(socket - in->socket));
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

static void
take_datagram(struct udp_socket *socket, const struct mmsghdr *header,
	      uint64_t mono, uint64_t wall)
{
	const struct msghdr *h = &header->msg_hdr;
	struct udp_in *in = socket->in;
	struct udp_session *s = socket->last;

	if (!s || s->name_length != h->msg_namelen ||
	    memcmp(&s->name, h->msg_name, h->msg_namelen) != 0) {
		s = session_find(socket, h, mono, wall);
		if (!s)
			return;
		socket->last = s;
	}
	if (s != in->newest) {
		session_unlink(in, s);
		session_link(in, s);
	}
	s->seen_ms = mono;
	s->session.last_ms = wall;
	if (h->msg_flags & MSG_TRUNC)
		take_truncated(in, s, mono);
	else
		net_in_message(&in->in, &s->session, h->msg_iov->iov_base,
			       header->msg_len);
}

/* Empties the socket, as far as fairness allows. Returns the datagrams. */
static unsigned
receive(struct udp_socket *socket)
{
	struct udp_in *in = socket->in;
	unsigned total = 0;
	uint64_t mono, wall;
	int n;

	for (int round = 0; round < ROUNDS; round++) {
		n = recvmmsg(socket->fd, in->header, BURST, MSG_DONTWAIT,
			     NULL);
		if (n <= 0)
			break;
		mono = clock_mono_ms();
		wall = clock_wall_ms();
		for (int i = 0; i < n; i++) {
			take_datagram(socket, &in->header[i], mono, wall);
			in->header[i].msg_hdr.msg_namelen =
				sizeof(in->name[i]);
		}
		total += (unsigned)n;
		if (n < BURST)
			break;
	}
	return total;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = {.tv_usec = 1000};
	struct udp_socket *socket = arg;
	unsigned n = receive(socket);

	if (n >= POLL_BURST && socket->poll) {
		event_del(socket->readable);
		evtimer_add(socket->poll, &soon);
	}
}

static void
on_poll(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = {.tv_usec = 1000};
	static const struct timeval now = {.tv_usec = 0};
	struct udp_socket *socket = arg;
	unsigned n = receive(socket);

	if (n >= POLL_BURST)
		evtimer_add(socket->poll, n == BURST * ROUNDS ? &now : &soon);
	else
		event_add(socket->readable, NULL);
}

/* SO_MEMINFO: the kernel counts what did not fit into the buffer. */
static uint32_t
ask_drops(struct udp_socket *socket)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t length = sizeof(info);
	uint32_t drops;

	if (getsockopt(socket->fd, SOL_SOCKET, SO_MEMINFO, info, &length) < 0)
		return 0;
	drops = info[SK_MEMINFO_DROPS] - socket->drops;
	socket->drops = info[SK_MEMINFO_DROPS];
	return drops;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct udp_in *in = arg;
	uint64_t mono = clock_mono_ms();
	uint64_t drops = 0;

	for (unsigned i = 0; i < in->socket_count; i++)
		drops += ask_drops(&in->socket[i]);
	if (drops && in->in.ops->dropped)
		in->in.ops->dropped(in->in.arg, drops);
	while (in->in.conf.session_idle_ms && in->oldest &&
	       mono - in->oldest->seen_ms > in->in.conf.session_idle_ms)
		session_end(in, in->oldest, NULL);
}

/* ---- open and close ---------------------------------------------------- */

static int
open_slots(struct udp_in *in)
{
	in->slots = mmap(NULL, (size_t)BURST * STRIDE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (in->slots == MAP_FAILED) {
		in->slots = NULL;
		return -ENOMEM;
	}
	for (size_t i = 0; i < BURST; i++) {
		struct msghdr *h = &in->header[i].msg_hdr;

		in->iov[i].iov_base = in->slots + i * STRIDE;
		in->iov[i].iov_len = SLOT;
		h->msg_iov = &in->iov[i];
		h->msg_iovlen = 1;
		h->msg_name = &in->name[i];
		h->msg_namelen = sizeof(in->name[i]);
	}
	return 0;
}

static int
open_socket(struct udp_in *in, struct udp_socket *socket)
{
	const struct net_in_conf *conf = &in->in.conf;
	char text[ADDR_TEXT_SIZE];
	socklen_t length = sizeof(int);
	int buffer = 0, rc;

	socket_buffer(socket->fd, SO_RCVBUF,
		      conf->receive_buffer ? conf->receive_buffer
					   : BUFFER_MAX);
	getsockopt(socket->fd, SOL_SOCKET, SO_RCVBUF, &buffer, &length);
	if (conf->workers > 1 && conf->worker + 1 == conf->workers &&
	    conf->steer_offset) {
		rc = socket_steer(socket->fd, socket->local.version,
				  conf->workers, conf->steer_offset);
		/* The kernel's own choice keeps address and port together. */
		if (rc < 0)
			log_info("udp %s: no steering (%s)",
				 addr_format(text, &socket->local),
				 strerror(-rc));
	}
	socket->readable = event_new(in->in.base, socket->fd,
				     EV_READ | EV_PERSIST, on_readable,
				     socket);
	if (!socket->readable || event_add(socket->readable, NULL) < 0)
		return -ENOMEM;
	if (buffer < POLL_BUFFER)
		return 0;
	socket->poll = evtimer_new(in->in.base, on_poll, socket);
	return socket->poll ? 0 : -ENOMEM;
}

static int
udp_in_open(struct net_in *net, char **error)
{
	static const struct timeval tick = {.tv_usec = TICK_MS * 1000};
	struct udp_in *in = (struct udp_in *)net;
	struct socket_bound *bound;
	unsigned count;
	int rc;

	in->seed = hash_seed();
	rc = open_slots(in);
	if (rc < 0)
		return rc;
	rc = socket_bind_all(&net->conf, SOCK_DGRAM, &bound, &count, error);
	if (rc < 0)
		return rc;
	in->socket = calloc(count, sizeof(*in->socket));
	for (unsigned i = 0; i < count; i++) {
		if (!in->socket) {
			close(bound[i].fd);
			rc = -ENOMEM;
			continue;
		}
		in->socket[i].in = in;
		in->socket[i].fd = bound[i].fd;
		in->socket[i].local = bound[i].local;
		in->socket_count++;
	}
	free(bound);
	for (unsigned i = 0; rc == 0 && i < count; i++)
		rc = open_socket(in, &in->socket[i]);
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

	for (unsigned i = 0; in->tick && i < in->socket_count; i++)
		for (int turn = 0; turn < LAST_TURNS; turn++)
			if (receive(&in->socket[i]) == 0)
				break;
	if (in->tick)
		on_tick(-1, 0, in); /* the last drops */
	while (in->oldest)
		session_end(in, in->oldest, NULL);
	for (unsigned i = 0; i < in->socket_count; i++) {
		if (in->socket[i].readable)
			event_free(in->socket[i].readable);
		if (in->socket[i].poll)
			event_free(in->socket[i].poll);
		close(in->socket[i].fd);
	}
	if (in->tick)
		event_free(in->tick);
	if (in->slots)
		munmap(in->slots, (size_t)BURST * STRIDE);
	free(in->socket);
	table_fini(&in->sessions);
}

static uint16_t
udp_in_port(const struct net_in *net)
{
	return ((const struct udp_in *)net)->socket[0].local.port;
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
