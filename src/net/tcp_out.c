/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages out over a connection that is made again and again (RFC 7011
 * section 10.4). What was taken waits in an outbuf and is written at the end
 * of the loop's round, or earlier when there is much. When the connection goes
 * down, what is left in the outbuf is told to the owner as unsent.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "out.h"
#include "outbuf.h"
#include "socket.h"

enum {
	BUFFER = 256 * 1024,
	WRITE_AT = 65536, /* octets that are worth a call at once */
	SOLID_MS = 10000, /* a connection that long starts back-off anew */
	CONNECT_MS = 15000,
};

struct tcp_out {
	struct net_out out;
	int fd;                  /* -1: between two attempts */
	bool connecting;
	int error;               /* errno that ended it, told in next turn */
	struct event *turn;      /* end of the round */
	struct event *retry;     /* connect again, or it took too long */
	struct event *readable, *writable;
	uint32_t wait_ms;        /* of the next back-off */
	uint64_t up_ms;          /* monotonic */
	bool told;               /* that it is down */
	struct outbuf buffer;
};

static void start_connect(struct tcp_out *out);

static void
later(struct event *event, uint64_t ms)
{
	struct timeval tv = {.tv_sec = (time_t)(ms / 1000),
			     .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	evtimer_add(event, &tv);
}

static void
close_fd(struct tcp_out *out)
{
	if (out->readable)
		event_free(out->readable);
	if (out->writable)
		event_free(out->writable);
	out->readable = out->writable = NULL;
	if (out->fd >= 0)
		close(out->fd);
	out->fd = -1;
	out->connecting = false;
	out->error = 0;
}

/* Ends the session or the attempt, and plans the next. */
static void
go_down(struct tcp_out *out, const char *reason)
{
	size_t unsent = out->buffer.count;
	bool was_up = out->out.stats.up;

	close_fd(out);
	outbuf_clear(&out->buffer);
	out->out.stats.up = false;
	out->out.stats.start_ms = 0;
	out->out.stats.discarded += unsent;
	if (was_up && clock_mono_ms() - out->up_ms >= SOLID_MS)
		out->wait_ms = 0;
	later(out->retry, net_out_back_off(&out->out, &out->wait_ms));
	if (was_up || !out->told) {
		out->told = true;
		out->out.blocked = false;
		log_warning("%s: %s", out->out.name, reason);
		out->out.ops->down(out->out.arg, reason, unsent);
	}
}

/* Writes what it can. Errors end the session, but not within a send call. */
static void
flush(struct tcp_out *out)
{
	struct outbuf *b = &out->buffer;
	ssize_t n;

	while (outbuf_octets(b) && !out->error) {
		n = send(out->fd, b->data + b->start, outbuf_octets(b),
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
			event_add(out->writable, NULL);
			return;
		}
		if (n < 0) {
			out->error = errno;
			event_active(out->turn, EV_TIMEOUT, 0);
			return;
		}
		out->out.stats.octets += (uint64_t)n;
		out->out.stats.messages += outbuf_wrote(b, (size_t)n);
	}
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_out *out = arg;

	if (!out->out.stats.up)
		return;
	if (!out->error)
		flush(out);
	if (out->error)
		go_down(out, strerror(out->error));
	else
		net_out_writable(&out->out);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_out *out = arg;
	char nothing[512]; /* a Collecting Process sends nothing */
	ssize_t n = recv(out->fd, nothing, sizeof(nothing), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == 0)
		go_down(out, "the peer closed the connection");
	else if (n < 0)
		go_down(out, strerror(errno));
}

static void
connected(struct tcp_out *out)
{
	static const int on = 1;

	out->connecting = false;
	evtimer_del(out->retry);
	socket_keepalive(out->fd);
	/* Rounds are collected here already. */
	setsockopt(out->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	socket_names(out->fd, &out->out.stats.local, NULL);
	event_add(out->readable, NULL);
	out->up_ms = clock_mono_ms();
	out->out.stats.up = true;
	out->out.stats.start_ms = clock_wall_ms();
	out->told = false;
	log_info("%s: connected", out->out.name);
	out->out.ops->up(out->out.arg);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_out *out = arg;
	socklen_t length = sizeof(int);
	int error = 0;

	if (!out->connecting) {
		on_turn(-1, 0, out);
		return;
	}
	getsockopt(out->fd, SOL_SOCKET, SO_ERROR, &error, &length);
	if (error)
		go_down(out, strerror(error));
	else
		connected(out);
}

/* Makes the socket and its events. 0 or a negative errno. */
static int
make_socket(struct tcp_out *out)
{
	const struct net_out_conf *conf = &out->out.conf;
	int rc = socket_new(&conf->remote, SOCK_STREAM);

	if (rc < 0)
		return rc;
	out->fd = rc;
	rc = socket_from(out->fd, &conf->local, conf->interface);
	if (rc < 0)
		return rc;
	if (conf->send_buffer)
		socket_buffer(out->fd, SO_SNDBUF, conf->send_buffer);
	out->readable = event_new(out->out.base, out->fd,
				  EV_READ | EV_PERSIST, on_readable, out);
	out->writable = event_new(out->out.base, out->fd, EV_WRITE,
				  on_writable, out);
	return out->readable && out->writable ? 0 : -ENOMEM;
}

static void
start_connect(struct tcp_out *out)
{
	struct sockaddr_storage ss;
	socklen_t length = addr_to_sockaddr(&out->out.conf.remote, &ss);
	int rc = make_socket(out);

	if (rc == 0 && connect(out->fd, (struct sockaddr *)&ss, length) < 0 &&
	    errno != EINPROGRESS)
		rc = -errno;
	if (rc < 0) {
		go_down(out, strerror(-rc));
		return;
	}
	out->connecting = true;
	event_add(out->writable, NULL);
	later(out->retry, CONNECT_MS);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_out *out = arg;

	if (out->connecting)
		go_down(out, "no answer to the connection request");
	else
		start_connect(out);
}

static int
tcp_out_send(struct net_out *net, const uint8_t *message, size_t length)
{
	struct tcp_out *out = (struct tcp_out *)net;
	struct outbuf *b = &out->buffer;
	int rc;

	if (out->error)
		return -EAGAIN; /* "down" comes with the next turn */
	rc = outbuf_add(b, message, length);
	if (rc < 0) {
		if (!event_pending(out->writable, EV_WRITE, NULL))
			event_active(out->turn, EV_TIMEOUT, 0);
		return rc;
	}
	if (event_pending(out->writable, EV_WRITE, NULL))
		return 0;
	if (outbuf_octets(b) >= WRITE_AT)
		flush(out);
	else if (b->count == 1)
		event_active(out->turn, EV_TIMEOUT, 0);
	return 0;
}

static int
tcp_out_open(struct net_out *net, char **error)
{
	struct tcp_out *out = (struct tcp_out *)net;

	out->fd = -1;
	out->turn = evtimer_new(net->base, on_turn, out);
	out->retry = evtimer_new(net->base, on_retry, out);
	if (!out->turn || !out->retry ||
	    outbuf_init(&out->buffer, BUFFER) < 0)
		return -ENOMEM;
	/* In the loop: the owner has not got us yet. */
	event_active(out->retry, EV_TIMEOUT, 0);
	return 0;
}

static bool
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
 * Sends what is left, then our FIN, and waits for the peer's: closing while it
 * has unread data of ours on the way could make a reset of it.
 */
static void
close_in_order(struct tcp_out *out, unsigned linger_ms)
{
	uint64_t until = clock_mono_ms() + linger_ms;
	char nothing[512];
	ssize_t n;

	flush(out);
	while (out->buffer.count && !out->error &&
	       wait_for(out->fd, POLLOUT, until))
		flush(out);
	if (out->error || shutdown(out->fd, SHUT_WR) < 0)
		return;
	while (wait_for(out->fd, POLLIN, until)) {
		n = recv(out->fd, nothing, sizeof(nothing), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return;
	}
}

static size_t
tcp_out_close(struct net_out *net, unsigned linger_ms)
{
	struct tcp_out *out = (struct tcp_out *)net;
	size_t unsent;

	if (!out->turn)
		return 0; /* it did not open */
	if (net->stats.up)
		close_in_order(out, linger_ms);
	unsent = out->buffer.count;
	close_fd(out);
	event_free(out->turn);
	if (out->retry)
		event_free(out->retry);
	outbuf_fini(&out->buffer);
	return unsent;
}

const struct net_out_type net_tcp_out = {
	.size = sizeof(struct tcp_out),
	.open = tcp_out_open,
	.send = tcp_out_send,
	.drained = tcp_out_drained,
	.close = tcp_out_close,
};
