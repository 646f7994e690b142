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
#include "sendq.h"
#include "socket.h"

enum {
	LARGEST = 65507, /* payload over IPv4 */
	HEADERS_4 = 28,
	HEADERS_6 = 48, /* IP and UDP */
	CLOSE_WAIT_MS = 200,
};

struct udp_out {
	struct net_out out;
	int fd;
	bool open;
	struct event *turn;     /* up, and the end of each round */
	struct event *writable;
	struct sendq queue;
};

static int
flush(struct udp_out *out)
{
	int rc = sendq_flush(&out->queue);

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
	if (!sendq_room(&out->queue, length)) {
		if (event_pending(out->writable, EV_WRITE, NULL) ||
		    flush(out) < 0)
			return -EAGAIN;
	}
	if (out->queue.count == 0)
		event_active(out->turn, EV_TIMEOUT, 0);
	sendq_add(&out->queue, message, length, (uint32_t)length);
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

	out->fd = socket_new(&conf->remote, SOCK_DGRAM);
	rc = out->fd < 0 ? out->fd : 0;
	out->open = rc == 0;
	sendq_init(&out->queue, net, out->fd);
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
	return ((const struct udp_out *)net)->queue.count == 0;
}

static size_t
udp_out_close(struct net_out *net, unsigned linger_ms)
{
	struct udp_out *out = (struct udp_out *)net;
	size_t unsent;

	if (!out->open)
		return 0;
	sendq_flush(&out->queue);
	unsent = sendq_messages(&out->queue);
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
