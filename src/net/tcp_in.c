/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams in. RFC 7011 section 10.4: the messages of a connection follow each
 * other, and the length in each is the only boundary; once that is not
 * understood nothing after it can be, and the connection is closed.
 *
 * A read goes into one buffer that all connections share; only the beginning
 * of a message whose rest has not come yet is kept with its connection. So a
 * thousand idle connections cost nothing but their sockets. If the receiver is
 * not ready for all of a read, none reads until it has had the rest.
 */
#include "tcp_in.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "socket.h"
#include "timer.h"

enum {
	PORTION = 65536, /* then the receiver is asked whether it is ready */
	LAST_READS = 16, /* of each connection, at the close */
	SWEEP_MS = 1000,
};

static void
session_free(struct tcp_session *s)
{
	if (s->readable)
		event_free(s->readable);
	if (s->writable)
		event_free(s->writable);
	if (s->settled)
		event_free(s->settled);
	stream_close(&s->stream);
	free(s->part);
	free(s->reply);
	free(s);
}

static void
session_remove(struct tcp_session *s)
{
	struct tcp_in *in = s->in;
	struct tcp_session *last = in->session[--in->session_count];

	in->session[s->index] = last;
	last->index = s->index;
	session_free(s);
	if (in->ended)
		in->ended(in);
}

static void
session_end(struct tcp_session *s, const char *reason)
{
	struct tcp_in *in = s->in;
	size_t lost = s->have;

	if (in->behind == s) {
		in->behind = NULL;
		lost += in->end - in->at;
	}
	if (s->open)
		in->in.ops->closed(in->in.arg, &s->session, reason, lost);
	session_remove(s);
}

/* ---- reading ----------------------------------------------------------- */

static int
part_keep(struct tcp_session *s, const uint8_t *p, size_t have, size_t need)
{
	size_t size = need > have ? need : have;
	uint8_t *part;

	if (have && size > s->size) {
		part = realloc(s->part, size);
		if (!part)
			return -ENOMEM;
		s->part = part;
		s->size = size;
	}
	if (have)
		memcpy(s->part, p, have);
	s->have = have;
	s->need = need;
	/* Most of the time nothing is kept: give the memory back. */
	if (have == 0 && s->size > 4096) {
		free(s->part);
		s->part = NULL;
		s->size = 0;
	}
	return 0;
}

/*
 * Hands out what is left in scratch, as long as the receiver is ready. Returns
 * why the session must end, or NULL.
 */
static const char *
take(struct tcp_session *s)
{
	struct tcp_in *in = s->in;
	const char *reason = NULL;
	size_t need, portion;
	bool last;

	s->have = 0; /* it is in scratch, too */
	do {
		last = in->end - in->at <= PORTION;
		portion = last ? in->end - in->at : PORTION;
		in->at += net_in_split(&in->in, &s->session,
				       in->scratch + in->at, portion, &need,
				       &reason);
		in->behind = last || reason ? NULL : s;
	} while (in->behind && net_in_ready(&in->in));
	if (in->behind)
		return NULL;
	if (part_keep(s, in->scratch + in->at, in->end - in->at, need) < 0)
		return "out of memory";
	if (!reason && s->have > NET_MESSAGE_MAX)
		return "what came is no message";
	return reason;
}

/* The length of the part is known: its rest is read into its place. */
static const char *
take_with_part(struct tcp_session *s, size_t n)
{
	size_t want = s->need - s->have;
	int rc;

	if (n < want) {
		s->have += n;
		return NULL;
	}
	rc = net_in_message(&s->in->in, &s->session, s->part, s->need);
	s->have = s->need = 0;
	if (rc != 0)
		return "a message was not understood";
	s->in->end = n - want;
	return take(s);
}

/* After "fill" has given n octets. */
static const char *
take_read(struct tcp_session *s, size_t n)
{
	s->in->at = 0;
	s->in->end = s->have + n;
	return s->need ? take_with_part(s, n) : take(s);
}

static ssize_t
fill(struct tcp_session *s)
{
	struct tcp_in *in = s->in;
	struct iovec iov[2] = {{0}, {in->scratch, TCP_READ_SIZE}};

	if (s->need) {
		iov[0].iov_base = s->part + s->have;
		iov[0].iov_len = s->need - s->have;
		return stream_readv(&s->stream, iov, 2);
	}
	if (s->have)
		memcpy(in->scratch, s->part, s->have);
	return stream_read(&s->stream, in->scratch + s->have, TCP_READ_SIZE);
}

static void
stop_reading(struct tcp_in *in)
{
	static const struct timeval soon = {.tv_usec = NET_READY_MS * 1000};

	in->stopped = true;
	for (uint32_t i = 0; i < in->session_count; i++)
		event_del(in->session[i]->readable);
	evtimer_add(in->retry, &soon);
}

static void
stop_before(struct tcp_in *in, uint32_t index)
{
	in->first = index;
	stop_reading(in);
}

/* The socket no longer tells of what the stream has taken from it. */
static void
read_on(struct tcp_session *s)
{
	if (stream_holds(&s->stream))
		event_active(s->readable, EV_READ, 0);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_in *in = arg;
	struct tcp_session *s = in->behind;
	const char *reason;

	if (s && net_in_ready(&in->in)) {
		reason = take(s);
		if (reason)
			session_end(s, reason);
	}
	if (in->behind || !net_in_ready(&in->in)) {
		stop_reading(in);
		return;
	}
	in->stopped = false;
	/* They are read in this order. Another one begins than the last time,
	 * or all would wait for one that always has something. */
	for (uint32_t i = 0; i < in->session_count; i++) {
		s = in->session[(in->first + i) % in->session_count];
		event_add(s->readable, NULL);
		read_on(s);
	}
}

static const char *
end_reason(const struct tcp_session *s, ssize_t n)
{
	if (n == 0)
		return s->have ? "it ended within a message" : NULL;
	if (errno == EPROTO)
		return stream_reason(&s->stream, errno);
	return errno == ETIMEDOUT ? "the peer is gone (timeout)"
				  : "connection reset";
}

/* Reads once. False: there was nothing, or the session is over. */
static bool
read_once(struct tcp_session *s)
{
	const char *reason;
	ssize_t n = fill(s);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		session_end(s, end_reason(s, n));
		return false;
	}
	s->seen_ms = clock_mono_ms();
	s->session.last_ms = clock_wall_ms();
	reason = take_read(s, (size_t)n);
	if (reason)
		session_end(s, reason);
	return !reason;
}

/* ---- replies ------------------------------------------------------------ */

/* Writes what it can; a broken connection tells its end to who reads. */
static void
write_reply(struct tcp_session *s)
{
	ssize_t n;

	while (s->reply_length) {
		n = stream_writev(&s->stream,
				  &(struct iovec){s->reply, s->reply_length},
				  1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
			event_add(s->writable, NULL);
			return;
		}
		if (n < 0)
			return;
		s->reply_length -= (size_t)n;
		memmove(s->reply, s->reply + n, s->reply_length);
	}
}

static void on_writable(evutil_socket_t fd, short what, void *arg);

static int
tcp_reply(struct net_session *session, const uint8_t *octets, size_t length)
{
	struct tcp_session *s = (struct tcp_session *)session;

	if (length > NET_REPLY_MAX)
		return -EMSGSIZE;
	if (s->reply_length)
		return -EAGAIN;
	if (!s->writable)
		s->writable = event_new(s->in->in.base, s->stream.fd, EV_WRITE,
					on_writable, s);
	if (!s->reply)
		s->reply = malloc(NET_REPLY_MAX);
	if (!s->writable || !s->reply)
		return -ENOMEM;
	memcpy(s->reply, octets, length);
	s->reply_length = length;
	write_reply(s);
	return 0;
}

/* ---- shaking hands ----------------------------------------------------- */

static void
session_refuse(struct tcp_session *s, enum net_refusal why, const char *reason)
{
	net_in_reject(&s->in->in, "tls", &s->session.remote,
		      s->stream.verdict->peer, why, reason);
	session_remove(s);
}

/* Tells the receiver. False: it did not want the session, which is gone. */
static bool
session_open(struct tcp_session *s)
{
	struct tcp_in *in = s->in;

	s->session.peer = stream_peer(&s->stream);
	if (s->session.peer) {
		stream_suite(&s->stream, s->suite, sizeof(s->suite));
		s->session.suite = s->suite;
	}
	s->seen_ms = clock_mono_ms();
	if (s->settled)
		evtimer_del(s->settled);
	if (in->in.ops->opened(in->in.arg, &s->session) != 0) {
		session_remove(s);
		return false;
	}
	s->open = true;
	read_on(s);
	return true;
}

static void
on_settled(evutil_socket_t fd, short what, void *arg)
{
	session_open(arg);
}

/* A refusal may come yet; what it sends before is as good as its word. */
static void
session_settle(struct tcp_session *s)
{
	unsigned ms = stream_settle_ms(&s->stream);

	if (ms == 0) {
		session_open(s);
		return;
	}
	s->settled = evtimer_new(s->in->in.base, on_settled, s);
	if (!s->settled) {
		session_refuse(s, NET_REFUSED_FULL, "out of memory");
		return;
	}
	timer_start(s->settled, ms);
	/* It may be here already. */
	read_on(s);
}

/* Something has come within that time. */
static void
settle_read(struct tcp_session *s)
{
	const char *reason;
	ssize_t n = fill(s);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		reason = n < 0 ? end_reason(s, n)
			       : "the peer closed the connection";
		session_refuse(s, NET_REFUSED_HANDSHAKE, reason);
		return;
	}
	if (!session_open(s))
		return;
	reason = take_read(s, (size_t)n);
	if (reason)
		session_end(s, reason);
	else
		read_on(s);
}

static void
shake_hands(struct tcp_session *s)
{
	int rc = stream_handshake(&s->stream);

	if (rc == 0)
		session_settle(s);
	else if (rc == -EAGAIN && stream_wants_write(&s->stream))
		event_add(s->writable, NULL);
	else if (rc != -EAGAIN)
		session_refuse(s,
			       rc == -EACCES ? NET_REFUSED_PEER
					     : NET_REFUSED_HANDSHAKE,
			       s->stream.verdict->reason);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_session *s = arg;

	if (!s->open && !s->settled)
		shake_hands(s);
	else
		write_reply(s);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_session *s = arg;
	struct tcp_in *in = s->in;

	if (in->stopped)
		return;
	if (!s->open && !s->settled)
		shake_hands(s);
	else if (!net_in_ready(&in->in))
		stop_before(in, s->index);
	else if (!s->open)
		settle_read(s);
	else if (read_once(s))
		read_on(s);
	if (in->behind)
		stop_before(in, in->behind->index + 1);
}

/* ---- new ones --------------------------------------------------------- */

static int
sessions_grow(struct tcp_in *in)
{
	uint32_t size = in->session_size ? in->session_size * 2 : 16;
	struct tcp_session **list;

	if (in->session_count < in->session_size)
		return 0;
	list = realloc(in->session, size * sizeof(*list));
	if (!list)
		return -ENOMEM;
	in->session = list;
	in->session_size = size;
	return 0;
}

static bool
session_room(struct tcp_in *in, const struct addr *remote)
{
	if (in->session_count < in->in.conf.max_sessions)
		return true;
	net_in_full(&in->in, "tcp", "connections", "it is closed", remote);
	return false;
}

/* fd is ours, whatever happens. NULL: there is no room or memory. */
static struct tcp_session *
session_new(struct tcp_in *in, int fd)
{
	struct tcp_session *s = calloc(1, sizeof(*s));
	char *error = NULL;
	int rc;

	if (!s) {
		close(fd);
		return NULL;
	}
	s->in = in;
	s->stream.fd = fd;
	socket_names(fd, &s->session.local, &s->session.remote);
	s->session.transport = TRANSPORT_TCP;
	s->session.reply = tcp_reply;
	s->session.start_ms = s->session.last_ms = clock_wall_ms();
	s->seen_ms = clock_mono_ms();
	if (!session_room(in, &s->session.remote) || sessions_grow(in) < 0)
		goto fail;
	rc = stream_open(&s->stream, fd, in->in.secure, &s->session.remote,
			 &error);
	if (error)
		log_error("tls: %s", error);
	free(error);
	if (rc < 0)
		goto fail;
	s->readable = event_new(in->in.base, fd, EV_READ | EV_PERSIST,
				on_readable, s);
	s->writable = in->in.secure ? event_new(in->in.base, fd, EV_WRITE,
						on_writable, s)
				    : NULL;
	if (s->readable && (s->writable || !in->in.secure))
		return s;
fail:
	session_free(s);
	return NULL;
}

bool
tcp_in_take(struct tcp_in *in, int fd)
{
	struct tcp_session *s = session_new(in, fd);

	if (!s)
		return false;
	socket_keepalive(fd, in->ended ? SOCKET_IDLE_READER_S : SOCKET_IDLE_S);
	s->index = in->session_count;
	in->session[in->session_count++] = s;
	if (!in->stopped && event_add(s->readable, NULL) < 0)
		session_end(s, "out of memory");
	else if (!in->in.secure)
		session_open(s);
	else if (!secure_conf_of(in->in.secure)->server)
		shake_hands(s); /* we speak first */
	return true;
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_in *in = arg;
	uint64_t now = clock_mono_ms();

	/* While we don't read, silence is our own. */
	if (in->stopped)
		return;
	for (uint32_t i = in->session_count; i-- > 0;) {
		struct tcp_session *s = in->session[i];
		uint64_t silent = now - s->seen_ms;

		if (!s->open && silent > in->in.conf.handshake_ms)
			session_refuse(s, NET_REFUSED_HANDSHAKE,
				       "it does not go on with the handshake");
		else if (s->open && in->in.conf.idle_ms &&
			 silent > in->in.conf.idle_ms)
			session_end(s, "silent for too long");
	}
}

/* ---- open and close ---------------------------------------------------- */

int
tcp_in_init(struct tcp_in *in)
{
	static const struct timeval sweep = {.tv_sec = SWEEP_MS / 1000};

	in->retry = evtimer_new(in->in.base, on_retry, in);
	if (!in->retry)
		return -ENOMEM;
	if (in->in.conf.idle_ms == 0 && !in->in.secure)
		return 0;
	in->sweep = event_new(in->in.base, -1, EV_PERSIST, on_sweep, in);
	if (!in->sweep || event_add(in->sweep, &sweep) < 0)
		return -ENOMEM;
	return 0;
}

static void
on_connection(void *arg, int fd)
{
	tcp_in_take(arg, fd);
}

static int
tcp_in_open(struct net_in *net, char **error)
{
	struct tcp_in *in = (struct tcp_in *)net;
	int rc = tcp_in_init(in);

	in->acceptor.base = net->base;
	in->acceptor.take = on_connection;
	in->acceptor.arg = in;
	return rc < 0 ? rc : acceptor_open(&in->acceptor, &net->conf, error);
}

static void
free_event(struct event *event)
{
	if (event)
		event_free(event);
}

void
tcp_in_close(struct net_in *net)
{
	struct tcp_in *in = (struct tcp_in *)net;

	in->ended = NULL;
	/* What has arrived already is taken. */
	if (in->behind && net_in_ready(net))
		take(in->behind);
	for (uint32_t i = in->session_count; i-- > 0;)
		for (int turn = 0; turn < LAST_READS; turn++)
			if (in->behind || !in->session[i]->open ||
			    !net_in_ready(net) || !read_once(in->session[i]))
				break;
	while (in->session_count)
		session_end(in->session[in->session_count - 1], NULL);
	acceptor_close(&in->acceptor);
	free_event(in->sweep);
	free_event(in->retry);
	free(in->session);
}

static uint16_t
tcp_in_port(const struct net_in *net)
{
	return ((const struct tcp_in *)net)->acceptor.socket[0].local.port;
}

struct net_session *
tcp_in_next(const struct net_in *net, uint32_t *at)
{
	const struct tcp_in *in = (const struct tcp_in *)net;

	while (*at < in->session_count && !in->session[*at]->open)
		(*at)++;
	return *at < in->session_count ? &in->session[(*at)++]->session
				       : NULL;
}

static void
session_revoke(struct tcp_session *s, const char *reason)
{
	char text[ADDR_TEXT_SIZE];
	uint32_t held;

	if (log_limit_pass(&s->in->in.reject_log, clock_mono_ms(), &held))
		log_warning("tls %s: \"%s\": %s, its session ends (%u lines "
			    "held back)",
			    addr_format(text, &s->session.remote),
			    s->stream.verdict->peer, reason, held);
	session_end(s, reason);
}

void
tcp_in_reloaded(struct net_in *net)
{
	struct tcp_in *in = (struct tcp_in *)net;
	const char *reason;

	for (uint32_t i = in->session_count; i-- > 0;) {
		reason = stream_revoked(&in->session[i]->stream);
		if (reason)
			session_revoke(in->session[i], reason);
	}
}

const struct net_in_type net_tcp_in = {
	.size = sizeof(struct tcp_in),
	.open = tcp_in_open,
	.close = tcp_in_close,
	.port = tcp_in_port,
	.next = tcp_in_next,
	.reloaded = tcp_in_reloaded,
};
