/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams out, one message each (RFC 7011 section 10.3). The socket is
 * connected, so that the kernel tells what ICMP said. Messages are collected
 * and sent with one call, at the latest when the loop has done its round.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "out.h"
#include "socket.h"

enum {
	QUEUE = 64,            /* messages */
	QUEUE_OCTETS = 262144,
	LARGEST = 65507,       /* payload over IPv4 */
	HEADERS_4 = 28, HEADERS_6 = 48, /* IP and UDP */
	CLOSE_WAIT_MS = 200,
};

struct udp_out {
	struct net_out out;
	int fd;
	bool open;
	struct event *turn;     /* up, and the end of each round */
	struct event *writable;
	unsigned first, count;  /* of the queue */
	size_t used;            /* octets of the buffer */
	struct log_limit log;
	struct mmsghdr header[QUEUE];
	struct iovec iov[QUEUE];
	uint8_t buffer[QUEUE_OCTETS];
};

static void
log_refused(struct udp_out *out, int error)
{
	uint32_t held;

	if (!log_limit_pass(&out->log, clock_mono_ms(), &held))
		return;
	if (held)
		log_warning("%s: %s (%u lines held back)", out->out.name,
			    strerror(error), held);
	else
		log_warning("%s: %s", out->out.name, strerror(error));
}

/*
 * An error that the kernel has for us may be an earlier datagram's (ICMP): it
 * is gone with the first call that returned it, so the same is tried again.
 */
static int
send_queue(struct udp_out *out)
{
	const struct net_out_ops *ops = out->out.ops;
	bool again = false;
	int n, error;

	while (out->first < out->count) {
		n = sendmmsg(out->fd, out->header + out->first,
			     out->count - out->first, MSG_DONTWAIT);
		if (n > 0) {
			for (int i = 0; i < n; i++) {
				out->out.stats.messages++;
				out->out.stats.octets +=
					out->iov[out->first++].iov_len;
			}
			again = false;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == ENOBUFS)
			return -EAGAIN;
		error = errno;
		log_refused(out, error);
		if (!again) {
			again = true;
			continue;
		}
		out->out.stats.discarded++;
		out->first++;
		again = false;
		if (ops->discarded)
			ops->discarded(out->out.arg, error);
	}
	out->first = out->count = 0;
	out->used = 0;
	return 0;
}

static int
flush(struct udp_out *out)
{
	int rc = send_queue(out);

	if (rc < 0)
		event_add(out->writable, NULL);
	return rc;
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct udp_out *out = arg;

	if (flush(out) == 0)
		net_out_writable(&out->out);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct udp_out *out = arg;

	if (!out->out.stats.up) {
		out->out.stats.up = true;
		out->out.stats.start_ms = clock_wall_ms();
		out->out.ops->up(out->out.arg);
		return;
	}
	if (flush(out) == 0)
		net_out_writable(&out->out);
}

static int
udp_out_send(struct net_out *net, const uint8_t *message, size_t length)
{
	struct udp_out *out = (struct udp_out *)net;

	if (length > LARGEST)
		return -EMSGSIZE;
	if (out->count == QUEUE || QUEUE_OCTETS - out->used < length) {
		if (event_pending(out->writable, EV_WRITE, NULL) ||
		    flush(out) < 0)
			return -EAGAIN;
	}
	if (out->count == 0)
		event_active(out->turn, EV_TIMEOUT, 0);
	memcpy(out->buffer + out->used, message, length);
	out->iov[out->count].iov_base = out->buffer + out->used;
	out->iov[out->count].iov_len = length;
	out->used += length;
	out->count++;
	return 0;
}

static int
udp_out_open(struct net_out *net, char **error)
{
	struct udp_out *out = (struct udp_out *)net;
	const struct net_out_conf *conf = &net->conf;
	struct sockaddr_storage ss;
	socklen_t length = addr_to_sockaddr(&conf->remote, &ss);
	int rc;

	for (unsigned i = 0; i < QUEUE; i++) {
		out->header[i].msg_hdr.msg_iov = &out->iov[i];
		out->header[i].msg_hdr.msg_iovlen = 1;
	}
	out->fd = socket_new(&conf->remote, SOCK_DGRAM);
	rc = out->fd < 0 ? out->fd : 0;
	out->open = rc == 0;
	if (rc == 0)
		rc = socket_from(out->fd, &conf->local, conf->interface);
	if (rc == 0 && connect(out->fd, (struct sockaddr *)&ss, length) < 0)
		rc = -errno;
	if (rc < 0) {
		*error = net_error("%s: %s", net->name, strerror(-rc));
		return rc;
	}
	if (conf->send_buffer)
		socket_buffer(out->fd, SO_SNDBUF, conf->send_buffer);
	socket_names(out->fd, &net->stats.local, NULL);
	out->turn = evtimer_new(net->base, on_turn, out);
	out->writable = event_new(net->base, out->fd, EV_WRITE, on_writable,
				  out);
	if (!out->turn || !out->writable)
		return -ENOMEM;
	event_active(out->turn, EV_TIMEOUT, 0);
	return 0;
}

static bool
udp_out_drained(const struct net_out *net)
{
	return ((const struct udp_out *)net)->count == 0;
}

static size_t
udp_out_close(struct net_out *net, unsigned linger_ms)
{
	struct udp_out *out = (struct udp_out *)net;
	size_t unsent;

	if (!out->open)
		return 0;
	if (out->count)
		send_queue(out);
	unsent = out->count - out->first;
	if (out->turn)
		event_free(out->turn);
	if (out->writable)
		event_free(out->writable);
	close(out->fd);
	return unsent;
}

static uint32_t
path_octets(int fd, uint8_t version)
{
	bool v4 = version == 4;
	int headers = v4 ? HEADERS_4 : HEADERS_6;
	int mtu = 0;
	socklen_t length = sizeof(mtu);

	if (getsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
		       v4 ? IP_MTU : IPV6_MTU, &mtu, &length) < 0 ||
	    mtu <= headers)
		return 0;
	mtu -= headers;
	return mtu < LARGEST ? (uint32_t)mtu : LARGEST;
}

static uint32_t
udp_out_path_octets(const struct net_out *net)
{
	return path_octets(((const struct udp_out *)net)->fd,
			   net->conf.remote.version);
}

uint32_t
net_path_octets(const struct net_out_conf *conf)
{
	struct sockaddr_storage ss;
	socklen_t length = addr_to_sockaddr(&conf->remote, &ss);
	int fd = socket_new(&conf->remote, SOCK_DGRAM);
	uint32_t octets = 0;

	if (fd < 0)
		return 0;
	if (socket_from(fd, &conf->local, conf->interface) == 0 &&
	    connect(fd, (struct sockaddr *)&ss, length) == 0)
		octets = path_octets(fd, conf->remote.version);
	close(fd);
	return octets;
}

const struct net_out_type net_udp_out = {
	.size = sizeof(struct udp_out),
	.open = udp_out_open,
	.send = udp_out_send,
	.drained = udp_out_drained,
	.close = udp_out_close,
	.path_octets = udp_out_path_octets,
};
