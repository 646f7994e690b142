/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages out over a connection that is made again and again (RFC 7011
 * section 10.4), plain or under TLS (section 11.1). What was taken waits in an
 * outbuf and is written at the end of the loop's round, or earlier when there
 * is much; only then what is lent and not yet written is copied. When the
 * connection goes down, what is left in the outbuf is told to the owner as
 * unsent.
 */
#include "tcp_out.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "socket.h"
#include "timer.h"

enum {
	BUFFER = 320 * 1024,
	WRITE_AT = 256 * 1024, /* octets that are worth a call at once */
	WORTH_LENDING = 8192,  /* a message */
};

static void
close_fd(struct tcp_out *out)
{
	if (out->readable)
		event_free(out->readable);
	if (out->writable)
		event_free(out->writable);
	out->readable = out->writable = NULL;
	stream_close(&out->stream);
	out->phase = TCP_WAITING;
	out->error = 0;
	out->broken = NULL;
}

/* Messages that were lent need not stay any longer. */
static void
give_back(struct tcp_out *out, void (*end)(struct outbuf *b))
{
	struct outbuf *b = &out->buffer;
	const uint8_t *lent[OUTBUF_LENT];
	unsigned count = b->lent_count;

	for (unsigned i = 0; i < count; i++)
		lent[i] = b->lent[i].iov_base;
	end(b);
	for (unsigned i = 0; i < count; i++)
		out->out.ops->returned(out->out.arg, lent[i]);
}

void
tcp_out_down(struct tcp_out *out, const char *reason)
{
	size_t unsent = out->buffer.count;
	bool was_up = out->out.stats.up;

	give_back(out, outbuf_clear);
	out->out.stats.up = false;
	out->out.stats.start_ms = 0;
	out->out.stats.peer = out->out.stats.suite = NULL;
	out->out.stats.discarded += unsent;
	if (was_up && clock_mono_ms() - out->up_ms >= TIMER_SOLID_MS)
		out->wait_ms = 0;
	if (out->dials)
		timer_start(out->retry,
			    net_out_back_off(&out->out, &out->wait_ms));
	if (was_up || !out->told) {
		out->told = true;
		out->out.blocked = false;
		log_warning("%s: %s", out->out.name, reason);
		out->out.ops->down(out->out.arg, reason, unsent);
	}
	close_fd(out); /* the reason may be of the stream */
}

/* Writes what it can. Errors end the session, but not within a send call. */
static void
flush(struct tcp_out *out)
{
	struct outbuf *b = &out->buffer;
	struct iovec part[OUTBUF_PARTS];
	ssize_t n;

	while (outbuf_octets(b) && !out->error) {
		n = stream_writev(&out->stream, part, outbuf_parts(b, part));
		if (n > 0) {
			out->out.stats.octets += (uint64_t)n;
			out->out.stats.messages += outbuf_wrote(b, (size_t)n);
		} else if (errno == EAGAIN || errno == ENOBUFS) {
			event_add(out->writable, NULL);
			break;
		} else if (errno != EINTR) {
			out->error = errno;
			event_active(out->turn, EV_TIMEOUT, 0);
		}
	}
	give_back(out, outbuf_keep);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_out *out = arg;

	if (!out->out.stats.up)
		return;
	if (out->broken) {
		tcp_out_down(out, out->broken);
		return;
	}
	if (!out->error)
		flush(out);
	if (out->error)
		tcp_out_down(out, stream_reason(&out->stream, out->error));
	else
		net_out_writable(&out->out);
}

/* ---- dead peers ----------------------------------------------------------- */

/*
 * Keep-alives are not sent while something is on its way, and the system tries
 * for a quarter of an hour to send that. TCP_USER_TIMEOUT would be shorter, but
 * also ends connections whose peer is there and has no room.
 */
static uint64_t
pulse_ms(const struct tcp_out *out)
{
	return out->out.conf.silent_ms / 4 + 1;
}

/* Has an acknowledgement come since the last look, or is none due? */
static bool
is_heard(const struct tcp_out *out, uint64_t now)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof(info);

	return getsockopt(out->stream.fd, IPPROTO_TCP, TCP_INFO, &info,
			  &length) < 0 ||
	       info.tcpi_unacked == 0 ||
	       info.tcpi_last_ack_recv <= now - out->heard_ms;
}

static void
on_pulse(evutil_socket_t fd, short what, void *arg)
{
	static const struct linger at_once = {.l_onoff = 1};
	struct tcp_out *out = arg;
	uint64_t now = clock_mono_ms();

	if (out->phase != TCP_UP)
		return;
	if (is_heard(out, now))
		out->heard_ms = now;
	if (now - out->heard_ms < out->out.conf.silent_ms) {
		timer_start(out->pulse, pulse_ms(out));
		return;
	}
	/* What is on its way must not arrive after all, when it has been sent
	 * again. */
	setsockopt(out->stream.fd, SOL_SOCKET, SO_LINGER, &at_once,
		   sizeof(at_once));
	tcp_out_down(out, "the peer does not acknowledge anything any more");
}

static void
go_up(struct tcp_out *out)
{
	struct net_out_stats *stats = &out->out.stats;

	evtimer_del(out->retry);
	out->phase = TCP_UP;
	out->up_ms = clock_mono_ms();
	out->told = false;
	stats->up = true;
	stats->start_ms = clock_wall_ms();
	stats->peer = stream_peer(&out->stream);
	if (stats->peer) {
		stream_suite(&out->stream, out->suite, sizeof(out->suite));
		stats->suite = out->suite;
		log_info("%s: connected to \"%s\" with %s", out->out.name,
			 stats->peer, stats->suite);
	} else {
		log_info("%s: connected", out->out.name);
	}
	out->heard_ms = out->up_ms;
	if (out->out.conf.silent_ms)
		timer_start(out->pulse, pulse_ms(out));
	out->out.ops->up(out->out.arg);
}

/* Most Collecting Processes have no reason to send anything. */
static void
read_answer(struct tcp_out *out)
{
	uint8_t octets[512];
	ssize_t n = stream_read(&out->stream, octets, sizeof(octets));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == 0)
		tcp_out_down(out, "the peer closed the connection");
	else if (n < 0)
		tcp_out_down(out, stream_reason(&out->stream, errno));
	if (n <= 0)
		return;
	if (stream_holds(&out->stream))
		event_active(out->readable, EV_READ, 0);
	if (out->phase == TCP_UP && out->out.ops->answered)
		out->out.ops->answered(out->out.arg, octets, (size_t)n);
}

/* The time of the attempt runs on, see start_connect. */
static void
shake_hands(struct tcp_out *out)
{
	unsigned settle;
	int rc = stream_handshake(&out->stream);

	if (rc == -EAGAIN) {
		if (stream_wants_write(&out->stream))
			event_add(out->writable, NULL);
		return;
	}
	if (rc < 0) {
		tcp_out_down(out, out->stream.verdict->reason);
		return;
	}
	settle = stream_settle_ms(&out->stream);
	if (settle == 0) {
		go_up(out);
		return;
	}
	out->phase = TCP_SETTLING;
	timer_start(out->retry, settle);
	/* The refusal may have come with the end of the handshake. */
	read_answer(out);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_out *out = arg;

	if (out->phase == TCP_SECURING)
		shake_hands(out);
	else
		read_answer(out);
}

/* What there is to be done for each connection, whoever made it. */
static void
watch(struct tcp_out *out)
{
	static const int on = 1;
	int fd = out->stream.fd;

	socket_keepalive(fd, SOCKET_IDLE_S);
	/* Rounds are collected here already. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	socket_names(fd, &out->out.stats.local, &out->out.stats.remote);
	event_add(out->readable, NULL);
}

static void
connected(struct tcp_out *out)
{
	watch(out);
	if (out->out.secure) {
		out->phase = TCP_SECURING;
		shake_hands(out);
	} else {
		go_up(out);
	}
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_out *out = arg;
	int error;

	if (out->phase == TCP_SECURING) {
		shake_hands(out);
		return;
	}
	if (out->phase != TCP_CONNECTING) {
		on_turn(-1, 0, out);
		return;
	}
	error = socket_error(fd);
	if (error)
		tcp_out_down(out, strerror(error));
	else
		connected(out);
}

static int
make_events(struct tcp_out *out)
{
	int fd = out->stream.fd;

	if (out->out.conf.send_buffer)
		socket_buffer(fd, SO_SNDBUF, out->out.conf.send_buffer);
	out->readable = event_new(out->out.base, fd, EV_READ | EV_PERSIST,
				  on_readable, out);
	out->writable =
		event_new(out->out.base, fd, EV_WRITE, on_writable, out);
	return out->readable && out->writable ? 0 : -ENOMEM;
}

/* 0 or a negative errno. */
static int
make_socket(struct tcp_out *out, char **error)
{
	const struct net_out_conf *conf = &out->out.conf;
	int fd = socket_new(&conf->remote, SOCK_STREAM);
	int rc;

	if (fd < 0)
		return fd;
	rc = stream_open(&out->stream, fd, out->out.secure, &conf->remote,
			 error);
	if (rc == 0)
		rc = socket_from(fd, &conf->local, conf->interface);
	return rc < 0 ? rc : make_events(out);
}

static void
start_connect(struct tcp_out *out)
{
	char *error = NULL;
	int rc = make_socket(out, &error);

	if (rc == 0)
		rc = socket_connect(out->stream.fd, &out->out.conf.remote);
	if (rc < 0) {
		tcp_out_down(out, error ? error : strerror(-rc));
		free(error);
		return;
	}
	out->phase = TCP_CONNECTING;
	event_add(out->writable, NULL);
	timer_start(out->retry, TIMER_CONNECT_MS);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_out *out = arg;

	switch (out->phase) {
	case TCP_WAITING:
		start_connect(out);
		break;
	case TCP_CONNECTING:
		tcp_out_down(out, "no answer to the connection request");
		break;
	case TCP_SECURING:
		tcp_out_down(out,
			     "the peer does not go on with the TLS handshake");
		break;
	case TCP_SETTLING:
		go_up(out);
		break;
	case TCP_UP:
		break;
	}
}

int
tcp_out_adopt(struct tcp_out *out, struct stream *stream)
{
	out->stream = *stream;
	*stream = (struct stream){.fd = -1};
	if (make_events(out) < 0) {
		close_fd(out);
		return -ENOMEM;
	}
	watch(out);
	go_up(out);
	if (stream_holds(&out->stream))
		event_active(out->readable, EV_READ, 0);
	return 0;
}

/* 1: it was lent. */
static int
add(struct tcp_out *out, const uint8_t *message, size_t length, bool lend)
{
	struct outbuf *b = &out->buffer;

	if (lend && outbuf_lend(b, message, length) == 0)
		return 1;
	if (b->lent_count)
		flush(out);
	return outbuf_add(b, message, length);
}

int
tcp_out_send_as(struct net_out *net, const uint8_t *message, size_t length,
		const struct net_delivery *delivery)
{
	struct tcp_out *out = (struct tcp_out *)net;
	struct outbuf *b = &out->buffer;
	int rc;

	if (out->error || out->broken)
		return -EAGAIN; /* "down" comes with the next turn */
	rc = add(out, message, length,
		 delivery->lent && length >= WORTH_LENDING &&
			 !event_pending(out->writable, EV_WRITE, NULL));
	if (event_pending(out->writable, EV_WRITE, NULL))
		return rc;
	if (outbuf_octets(b) >= WRITE_AT)
		flush(out);
	else if (b->count == 1 || rc < 0)
		event_active(out->turn, EV_TIMEOUT, 0);
	return rc;
}

int
tcp_out_init(struct tcp_out *out)
{
	out->stream.fd = -1;
	out->turn = evtimer_new(out->out.base, on_turn, out);
	out->retry = evtimer_new(out->out.base, on_retry, out);
	out->pulse = evtimer_new(out->out.base, on_pulse, out);
	if (!out->turn || !out->retry || !out->pulse ||
	    outbuf_init(&out->buffer, BUFFER) < 0)
		return -ENOMEM;
	return 0;
}

static int
tcp_out_open(struct net_out *net, char **error)
{
	struct tcp_out *out = (struct tcp_out *)net;

	out->dials = true;
	if (tcp_out_init(out) < 0)
		return -ENOMEM;
	/* In the loop: the owner has not got us yet. */
	event_active(out->retry, EV_TIMEOUT, 0);
	return 0;
}

bool
tcp_out_drained(const struct net_out *net)
{
	return ((const struct tcp_out *)net)->buffer.count == 0;
}

/* Waits for an event until the time, true if it came. */
static bool
wait_for(int fd, short events, uint64_t until)
{
	struct pollfd p = {.fd = fd, .events = events};
	uint64_t now = clock_mono_ms();

	return now < until && poll(&p, 1, (int)(until - now)) > 0;
}

/*
 * Sends what is left, then our end (under TLS a close_notify, so that the peer
 * can tell it from a cut), and waits for the peer's: closing with octets of its
 * unread, such as tickets of TLS, would make a reset of it, and what it has not
 * read yet of ours would be lost.
 */
static void
close_in_order(struct tcp_out *out, unsigned linger_ms)
{
	uint64_t until = clock_mono_ms() + linger_ms;
	int fd = out->stream.fd;
	char nothing[512];
	ssize_t n;

	flush(out);
	while (out->buffer.count && !out->error && wait_for(fd, POLLOUT, until))
		flush(out);
	while (!out->error && stream_shutdown(&out->stream) < 0)
		if (errno != EAGAIN || !wait_for(fd, POLLOUT, until))
			return;
	if (out->error)
		return;
	while (wait_for(fd, POLLIN, until)) {
		n = recv(fd, nothing, sizeof(nothing), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return;
	}
}

size_t
tcp_out_close(struct net_out *net, unsigned linger_ms)
{
	struct tcp_out *out = (struct tcp_out *)net;
	size_t unsent;

	if (!out->turn)
		return 0; /* it did not open */
	if (net->stats.up)
		close_in_order(out, linger_ms);
	unsent = out->buffer.count;
	give_back(out, outbuf_clear);
	close_fd(out);
	event_free(out->turn);
	if (out->retry)
		event_free(out->retry);
	if (out->pulse)
		event_free(out->pulse);
	outbuf_fini(&out->buffer);
	return unsent;
}

/*
 * What the kernel holds is what the peer's has not acknowledged, sent or not;
 * also after the connection broke, as long as there is the socket. Under TLS
 * these are octets of its records: more than those of messages, so that is the
 * safe side.
 */
uint64_t
tcp_out_unacknowledged(const struct net_out *net)
{
	const struct tcp_out *out = (const struct tcp_out *)net;
	int octets = 0;

	if (out->stream.fd < 0 || out->phase != TCP_UP ||
	    ioctl(out->stream.fd, SIOCOUTQ, &octets) < 0)
		return 0;
	return (uint64_t)octets;
}

void
tcp_out_break(struct net_out *net, const char *reason)
{
	struct tcp_out *out = (struct tcp_out *)net;

	if (!net->stats.up || out->broken)
		return;
	out->broken = reason;
	event_active(out->turn, EV_TIMEOUT, 0);
}

void
tcp_out_reloaded(struct net_out *net)
{
	struct tcp_out *out = (struct tcp_out *)net;
	const char *reason = stream_revoked(&out->stream);

	if (reason)
		tcp_out_down(out, reason);
}

const struct net_out_type net_tcp_out = {
	.size = sizeof(struct tcp_out),
	.open = tcp_out_open,
	.send_as = tcp_out_send_as,
	.drained = tcp_out_drained,
	.close = tcp_out_close,
	.unacknowledged = tcp_out_unacknowledged,
	.break_off = tcp_out_break,
	.reloaded = tcp_out_reloaded,
};
