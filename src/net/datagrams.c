/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets of a receiver of datagrams, and how they are emptied.
 *
 * Cost per datagram is what counts here: many are read with one call, clocks
 * are read once a call, and the kernel's drops are asked for by a timer instead
 * of with each datagram. When datagrams come fast, the socket is emptied by a
 * 1 ms timer instead of at each wake-up, if its buffer is large enough to hold
 * some milliseconds.
 */
#include "datagrams.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "socket.h"

enum {
	ROUNDS = 8,   /* calls per event, then others have their turn */
	SLOT = 65536, /* a datagram may be that large */
	/*
	 * Slots are apart by some pages more than that: at the same distance
	 * as the ways of the caches, all would compete for the same lines.
	 */
	STRIDE = SLOT + 4096,
	LAST_TURNS = 64,       /* at the close, to take what has arrived */
	POLL_BURST = 8,	       /* datagrams per wake-up that make us poll */
	POLL_BUFFER = 2 << 20, /* least buffer for that, octets */
	BUFFER_MAX = 32 << 20, /* what we ask for when nothing is asked */
};

/* What comes beside a datagram. */
struct datagram_control {
	union {
		struct cmsghdr align;
		uint8_t octets[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	};
};

/* The kernel writes over the lengths of what it is given. */
static void
prepare(struct datagrams *in, unsigned i)
{
	struct msghdr *h = &in->header[i].msg_hdr;

	h->msg_namelen = sizeof(in->name[i]);
	if (in->control)
		h->msg_controllen = sizeof(in->control[i]);
}

/* Empties the socket, as far as fairness allows. Returns the datagrams. */
static unsigned
receive(struct datagram_socket *socket)
{
	struct datagrams *in = socket->in;
	unsigned total = 0;
	uint64_t mono, wall;
	int n;

	for (int round = 0; round < ROUNDS; round++) {
		n = recvmmsg(socket->fd, in->header, DATAGRAM_BURST,
			     MSG_DONTWAIT, NULL);
		if (n <= 0)
			break;
		mono = clock_mono_ms();
		wall = clock_wall_ms();
		in->take(socket, in->header, (unsigned)n, mono, wall);
		for (int i = 0; i < n; i++)
			prepare(in, (unsigned)i);
		total += (unsigned)n;
		if (n < DATAGRAM_BURST)
			break;
	}
	return total;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = {.tv_usec = 1000};
	struct datagram_socket *socket = arg;
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
	struct datagram_socket *socket = arg;
	unsigned n = receive(socket);

	if (n >= POLL_BURST)
		evtimer_add(socket->poll,
			    n == DATAGRAM_BURST * ROUNDS ? &now : &soon);
	else
		event_add(socket->readable, NULL);
}

/* SO_MEMINFO: the kernel counts what did not fit into the buffer. */
static uint32_t
ask_drops(struct datagram_socket *socket)
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

/* ---- addresses of ours ------------------------------------------------- */

int
datagrams_want_local(struct datagrams *in)
{
	in->control = calloc(DATAGRAM_BURST, sizeof(*in->control));
	return in->control ? 0 : -ENOMEM;
}

static void
ask_local(const struct datagram_socket *socket)
{
	static const int on = 1;

	if (socket->local.version == 4)
		setsockopt(socket->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	else
		setsockopt(socket->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on,
			   sizeof(on));
}

void
datagram_local(const struct datagram_socket *socket,
	       const struct mmsghdr *header, struct addr *local)
{
	struct msghdr *h = (struct msghdr *)&header->msg_hdr;
	struct in_pktinfo v4;
	struct in6_pktinfo v6;
	struct cmsghdr *c;

	*local = socket->local;
	for (c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&v4, CMSG_DATA(c), sizeof(v4));
			memcpy(local->bytes, &v4.ipi_addr, 4);
		} else if (c->cmsg_level == IPPROTO_IPV6 &&
			   c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&v6, CMSG_DATA(c), sizeof(v6));
			memcpy(local->bytes, &v6.ipi6_addr, 16);
		}
	}
}

/* Fills in the address to send from. */
static void
put_local(struct msghdr *h, struct datagram_control *control,
	  const struct addr *local)
{
	bool v4 = local->version == 4;
	struct in_pktinfo info4 = {0};
	struct in6_pktinfo info6 = {0};
	size_t size = v4 ? sizeof(info4) : sizeof(info6);
	struct cmsghdr *c = &control->align;

	memcpy(&info4.ipi_spec_dst, local->bytes, 4);
	memcpy(&info6.ipi6_addr, local->bytes, 16);
	c->cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
	c->cmsg_type = v4 ? IP_PKTINFO : IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), v4 ? (void *)&info4 : (void *)&info6, size);
	h->msg_control = control;
	h->msg_controllen = CMSG_SPACE(size);
}

void
datagram_send(const struct datagram_socket *socket, const struct addr *local,
	      const struct addr *remote, const void *data, size_t length)
{
	struct datagram_control control = {.octets = {0}};
	struct sockaddr_storage ss;
	struct iovec iov = {.iov_base = (void *)data, .iov_len = length};
	struct msghdr h = {
		.msg_name = &ss,
		.msg_namelen = addr_to_sockaddr(remote, &ss),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};

	put_local(&h, &control, local);
	sendmsg(socket->fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* ---- open and close ---------------------------------------------------- */

static int
open_slots(struct datagrams *in)
{
	in->slots = mmap(NULL, (size_t)DATAGRAM_BURST * STRIDE,
			 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	if (in->slots == MAP_FAILED) {
		in->slots = NULL;
		return -ENOMEM;
	}
	for (size_t i = 0; i < DATAGRAM_BURST; i++) {
		struct msghdr *h = &in->header[i].msg_hdr;

		in->iov[i].iov_base = in->slots + i * STRIDE;
		in->iov[i].iov_len = SLOT;
		h->msg_iov = &in->iov[i];
		h->msg_iovlen = 1;
		h->msg_name = &in->name[i];
		if (in->control)
			h->msg_control = &in->control[i];
		prepare(in, (unsigned)i);
	}
	return 0;
}

static int
open_socket(struct datagrams *in, struct datagram_socket *socket)
{
	const struct net_in_conf *conf = &in->net->conf;
	char text[ADDR_TEXT_SIZE];
	socklen_t length = sizeof(int);
	int buffer = 0, rc;

	socket_buffer(socket->fd, SO_RCVBUF,
		      conf->receive_buffer ? conf->receive_buffer : BUFFER_MAX);
	getsockopt(socket->fd, SOL_SOCKET, SO_RCVBUF, &buffer, &length);
	if (conf->workers > 1 && conf->worker + 1 == conf->workers &&
	    (conf->steer_offset || conf->steer_host)) {
		rc = socket_steer(socket->fd, socket->local.version, conf);
		/* The kernel's own choice keeps address and port together. */
		if (rc < 0)
			log_info("udp %s: no steering (%s)",
				 addr_format(text, &socket->local),
				 strerror(-rc));
	}
	if (in->control)
		ask_local(socket);
	socket->readable = event_new(in->net->base, socket->fd,
				     EV_READ | EV_PERSIST, on_readable, socket);
	if (!socket->readable || event_add(socket->readable, NULL) < 0)
		return -ENOMEM;
	if (buffer < POLL_BUFFER)
		return 0;
	socket->poll = evtimer_new(in->net->base, on_poll, socket);
	return socket->poll ? 0 : -ENOMEM;
}

/* Takes over the sockets that were bound. */
static int
take_bound(struct datagrams *in, struct socket_bound *bound, unsigned count)
{
	in->socket = calloc(count, sizeof(*in->socket));
	for (unsigned i = 0; i < count; i++) {
		if (!in->socket) {
			close(bound[i].fd);
			continue;
		}
		in->socket[i].in = in;
		in->socket[i].fd = bound[i].fd;
		in->socket[i].local = bound[i].local;
		in->count++;
	}
	return in->socket ? 0 : -ENOMEM;
}

int
datagrams_open(struct datagrams *in, struct net_in *net, datagrams_take take,
	       char **error)
{
	struct socket_bound *bound;
	unsigned count;
	int rc;

	in->net = net;
	in->take = take;
	rc = open_slots(in);
	if (rc < 0)
		return rc;
	rc = socket_bind_all(&net->conf, SOCK_DGRAM, &bound, &count, error);
	if (rc < 0)
		return rc;
	rc = take_bound(in, bound, count);
	free(bound);
	for (unsigned i = 0; rc == 0 && i < count; i++)
		rc = open_socket(in, &in->socket[i]);
	return rc;
}

uint64_t
datagrams_tick(struct datagrams *in)
{
	const struct net_in *net = in->net;
	uint64_t drops = 0;

	for (unsigned i = 0; i < in->count; i++)
		drops += ask_drops(&in->socket[i]);
	if (drops && net->ops->dropped)
		net->ops->dropped(net->arg, drops);
	return drops;
}

void
datagrams_last(struct datagrams *in)
{
	for (unsigned i = 0; i < in->count; i++)
		for (int turn = 0; turn < LAST_TURNS; turn++)
			if (receive(&in->socket[i]) == 0)
				break;
	datagrams_tick(in);
}

void
datagrams_close(struct datagrams *in)
{
	for (unsigned i = 0; i < in->count; i++) {
		if (in->socket[i].readable)
			event_free(in->socket[i].readable);
		if (in->socket[i].poll)
			event_free(in->socket[i].poll);
		close(in->socket[i].fd);
	}
	if (in->slots)
		munmap(in->slots, (size_t)DATAGRAM_BURST * STRIDE);
	free(in->socket);
	free(in->control);
}
