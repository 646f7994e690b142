/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * SCTP by the system, with the options and ancillary data of <linux/sctp.h>;
 * libsctp would only wrap them. Who listens has one-to-one sockets; who begins
 * an association has a one-to-many socket for it alone, as Linux aborts one on
 * request, and tells what it had not delivered, only there (RFC 6458 section
 * 3.1.4). UDP encapsulation is the system's, too (sysctl net.sctp.udp_port and
 * encap_port, from Linux 5.11): only the peer's port is ours to set.
 *
 * Of messages that were given up because of their age (RFC 3758) Linux tells
 * those that waited, but not those that it had begun to send.
 */
#include <errno.h>
#include <event2/event.h>
#include <linux/sctp.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sctp.h"
#include "socket.h"

enum {
	ACCEPTS = 64,
	SCRATCH = 512,
	NAMES = 32,
	/* Chunk types that RFC 6083 section 4.8 wants authenticated. */
	CHUNK_DATA = 0,
	CHUNK_SACK = 3,
	CHUNK_FORWARD_TSN = 192,
};

struct kernel_assoc {
	struct assoc assoc;
	struct assoc_endpoint *endpoint;
	int fd;
	sctp_assoc_t id; /* in a one-to-many socket, else 0 */
	struct event *readable, *writable;
	bool ended; /* its last events are in the queue */
	bool over;  /* no event will come any more */
};

struct assoc_endpoint {
	struct event_base *base;
	const struct assoc_ops *ops;
	void *arg;
	int fd; /* bound; -1 when an association has it */
	uint16_t port;
	struct event *acceptable;
};

static int
kernel_probe(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* ---- associations' events ----------------------------------------------- */

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct kernel_assoc *a = arg;

	a->endpoint->ops->ready(a->endpoint->arg, &a->assoc, true, false);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct kernel_assoc *a = arg;

	a->endpoint->ops->ready(a->endpoint->arg, &a->assoc, false, true);
}

static void
kernel_free(struct assoc *assoc)
{
	static const struct linger at_once = {.l_onoff = 1};
	struct kernel_assoc *a = (struct kernel_assoc *)assoc;

	if (!a)
		return;
	if (a->readable)
		event_free(a->readable);
	if (a->writable)
		event_free(a->writable);
	if (!a->over)
		setsockopt(a->fd, SOL_SOCKET, SO_LINGER, &at_once,
			   sizeof(at_once));
	close(a->fd);
	free(a);
}

/* fd is ours from here on. */
static struct kernel_assoc *
assoc_new(struct assoc_endpoint *endpoint, int fd)
{
	struct kernel_assoc *a = calloc(1, sizeof(*a));

	if (!a) {
		close(fd);
		return NULL;
	}
	a->assoc.stack = &sctp_kernel;
	a->endpoint = endpoint;
	a->fd = fd;
	a->readable = event_new(endpoint->base, fd, EV_READ | EV_PERSIST,
				on_readable, a);
	a->writable = event_new(endpoint->base, fd, EV_WRITE, on_writable, a);
	if (!a->readable || !a->writable || event_add(a->readable, NULL) < 0) {
		kernel_free(&a->assoc);
		return NULL;
	}
	return a;
}

static void
on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct assoc_endpoint *endpoint = arg;
	struct kernel_assoc *a;
	int new;

	for (int i = 0; i < ACCEPTS; i++) {
		new = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (new < 0 && (errno == ECONNABORTED || errno == EINTR))
			continue;
		if (new < 0 && errno != EAGAIN)
			endpoint->ops->starved(endpoint->arg, errno);
		if (new < 0)
			return;
		a = assoc_new(endpoint, new);
		if (a)
			endpoint->ops->accepted(endpoint->arg, &a->assoc);
		else
			endpoint->ops->starved(endpoint->arg, ENOMEM);
	}
}

/* ---- options ------------------------------------------------------------ */

static int
set(int fd, int option, const void *value, size_t size)
{
	return setsockopt(fd, IPPROTO_SCTP, option, value, (socklen_t)size) < 0
		       ? -errno
		       : 0;
}

static int
set_events(int fd)
{
	static const uint16_t wanted[] = {
		SCTP_ASSOC_CHANGE,     SCTP_PEER_ADDR_CHANGE,
		SCTP_SHUTDOWN_EVENT,   SCTP_PARTIAL_DELIVERY_EVENT,
		SCTP_SENDER_DRY_EVENT, SCTP_SEND_FAILED_EVENT,
	};
	struct sctp_event event = {.se_assoc_id = SCTP_FUTURE_ASSOC,
				   .se_on = 1};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(wanted) / sizeof(wanted[0]);
	     i++) {
		event.se_type = wanted[i];
		rc = set(fd, SCTP_EVENT, &event, sizeof(event));
	}
	return rc;
}

static int
set_authenticated(int fd)
{
	static const uint8_t chunks[] = {CHUNK_DATA, CHUNK_SACK,
					 CHUNK_FORWARD_TSN};
	const struct sctp_assoc_value on = {.assoc_value = 1};
	struct sctp_authchunk chunk;
	int rc = set(fd, SCTP_AUTH_SUPPORTED, &on, sizeof(on));

	for (size_t i = 0; rc == 0 && i < sizeof(chunks); i++) {
		chunk.sauth_chunk = chunks[i];
		rc = set(fd, SCTP_AUTH_CHUNK, &chunk, sizeof(chunk));
	}
	return rc;
}

static void
set_timers(int fd)
{
	const struct sctp_rtoinfo rto = {.srto_max = SCTP_RTO_MAX_MS};
	const struct sctp_assocparams assoc = {.sasoc_asocmaxrxt =
						       SCTP_RETRANSMISSIONS};
	const struct sctp_paddrparams path = {
		.spp_hbinterval = SCTP_HEARTBEAT_MS,
		.spp_pathmaxrxt = SCTP_PATH_RETRANSMISSIONS,
		.spp_flags = SPP_HB_ENABLE};
	const struct sctp_sack_info sack = {.sack_delay = SCTP_SACK_MS,
					    .sack_freq = 2};

	/* They have usable defaults. */
	set(fd, SCTP_RTOINFO, &rto, sizeof(rto));
	set(fd, SCTP_ASSOCINFO, &assoc, sizeof(assoc));
	set(fd, SCTP_PEER_ADDR_PARAMS, &path, sizeof(path));
	set(fd, SCTP_DELAYED_SACK, &sack, sizeof(sack));
}

static int
set_all(int fd, int family, const struct assoc_conf *conf)
{
	const struct sctp_initmsg init = {
		.sinit_num_ostreams = conf->streams_out,
		.sinit_max_instreams = conf->streams_in,
	};
	struct sctp_udpencaps udp = {.sue_port = htons(conf->remote_udp)};
	const struct sctp_assoc_value partial_reliability = {.assoc_value = 1};
	const int on = 1, off = 0;
	int rc;

	if (conf->send_buffer)
		socket_buffer(fd, SO_SNDBUF, conf->send_buffer);
	if (conf->receive_buffer)
		socket_buffer(fd, SO_RCVBUF, conf->receive_buffer);
	if (family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
		set(fd, SCTP_I_WANT_MAPPED_V4_ADDR, &off, sizeof(off));
	}
	set_timers(fd);
	set(fd, SCTP_NODELAY, &on, sizeof(on));
	set(fd, SCTP_PR_SUPPORTED, &partial_reliability,
	    sizeof(partial_reliability));
	udp.sue_address.ss_family = (sa_family_t)family;
	rc = set(fd, SCTP_INITMSG, &init, sizeof(init));
	if (rc == 0)
		rc = set(fd, SCTP_RECVRCVINFO, &on, sizeof(on));
	if (rc == 0)
		rc = set_events(fd);
	if (rc == 0 && conf->remote_udp)
		rc = set(fd, SCTP_REMOTE_UDP_ENCAPS_PORT, &udp, sizeof(udp));
	if (rc == 0 && conf->authenticated)
		rc = set_authenticated(fd);
	return rc;
}

static uint16_t
bound_port(int fd)
{
	struct addr addr = {0};

	socket_names(fd, &addr, NULL);
	return addr.port;
}

static int
bind_all(int fd, int family, const struct assoc_conf *conf)
{
	struct addr addr = {.version = family == AF_INET ? 4 : 6,
			    .port = conf->port};
	struct sockaddr_storage ss;
	socklen_t length;
	int rc;

	rc = conf->interface ? socket_from(fd, &(struct addr){0},
					   conf->interface)
			     : 0;
	if (rc < 0)
		return rc;
	if (!conf->local_count) {
		length = addr_to_sockaddr(&addr, &ss);
		return bind(fd, (struct sockaddr *)&ss, length) < 0 ? -errno
								    : 0;
	}
	for (unsigned i = 0; rc == 0 && i < conf->local_count; i++) {
		addr = conf->local[i];
		addr.port = i && !conf->port ? bound_port(fd) : conf->port;
		length = addr_to_sockaddr(&addr, &ss);
		rc = set(fd, SCTP_SOCKOPT_BINDX_ADD, &ss, length);
	}
	return rc;
}

/* The system's own port of encapsulation must be what is asked for. */
static int
kernel_start(uint16_t wanted, uint16_t remote_udp, char **error)
{
	static const char path[] = "/proc/sys/net/sctp/udp_port";
	FILE *f = wanted ? fopen(path, "re") : NULL;
	unsigned port = 0;

	if (!wanted)
		return 0;
	if (f && fscanf(f, "%u", &port) != 1)
		port = 0;
	if (f)
		fclose(f);
	if (port == wanted)
		return 0;
	*error = net_error("SCTP in UDP: the system's encapsulation port is "
			   "%u, not %u: set it by sysctl net.sctp.udp_port",
			   port, wanted);
	return -EADDRNOTAVAIL;
}

static void
kernel_stop(void)
{
}

/* ---- endpoints ---------------------------------------------------------- */

static void
kernel_close(struct assoc_endpoint *endpoint)
{
	if (!endpoint)
		return;
	if (endpoint->acceptable)
		event_free(endpoint->acceptable);
	if (endpoint->fd >= 0)
		close(endpoint->fd);
	free(endpoint);
}

/* Without IPv6 all addresses are those of IPv4. */
static int
bound_socket(const struct assoc_conf *conf)
{
	int family = sctp_family(conf->local, conf->local_count);
	int type = conf->connects ? SOCK_SEQPACKET : SOCK_STREAM;
	int fd, rc;

	for (;;) {
		fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC,
			    IPPROTO_SCTP);
		rc = fd < 0 ? -errno : set_all(fd, family, conf);
		if (rc == 0)
			rc = bind_all(fd, family, conf);
		if (rc == 0)
			return fd;
		if (fd >= 0)
			close(fd);
		if (family == AF_INET || conf->local_count ||
		    (rc != -EAFNOSUPPORT && rc != -EADDRNOTAVAIL))
			return rc;
		family = AF_INET;
	}
}

static int
kernel_open(struct event_base *base, const struct assoc_conf *conf,
	    const struct assoc_ops *ops, void *arg, struct assoc_endpoint **out,
	    char **error)
{
	struct assoc_endpoint *endpoint;
	int rc;

	endpoint = calloc(1, sizeof(*endpoint));
	if (!endpoint)
		return -ENOMEM;
	endpoint->base = base;
	endpoint->ops = ops;
	endpoint->arg = arg;
	endpoint->fd = rc = bound_socket(conf);
	if (rc < 0) {
		kernel_close(endpoint);
		return rc;
	}
	endpoint->port = bound_port(endpoint->fd);
	*out = endpoint;
	return 0;
}

static int
kernel_listen(struct assoc_endpoint *endpoint)
{
	if (listen(endpoint->fd, SCTP_BACKLOG) < 0)
		return -errno;
	endpoint->acceptable =
		event_new(endpoint->base, endpoint->fd, EV_READ | EV_PERSIST,
			  on_acceptable, endpoint);
	return endpoint->acceptable &&
			       event_add(endpoint->acceptable, NULL) == 0
		       ? 0
		       : -ENOMEM;
}

static void
kernel_pause(struct assoc_endpoint *endpoint, bool pause)
{
	if (!endpoint->acceptable)
		return;
	if (pause)
		event_del(endpoint->acceptable);
	else
		event_add(endpoint->acceptable, NULL);
}

static uint16_t
kernel_port(const struct assoc_endpoint *endpoint)
{
	return endpoint->port;
}

/* Of the one association of a one-to-many socket. */
static sctp_assoc_t
only_id(int fd)
{
	union {
		struct sctp_assoc_ids head;
		uint8_t octets[sizeof(struct sctp_assoc_ids) +
			       sizeof(sctp_assoc_t)];
	} list = {.head = {0}};
	socklen_t length = sizeof(list);

	if (getsockopt(fd, IPPROTO_SCTP, SCTP_GET_ASSOC_ID_LIST, &list,
		       &length) < 0 ||
	    !list.head.gaids_number_of_ids)
		return 0;
	return list.head.gaids_assoc_id[0];
}

static int
kernel_connect(struct assoc_endpoint *endpoint, const struct addr *remote,
	       unsigned count, struct assoc **out)
{
	uint8_t *list = calloc(count, sizeof(struct sockaddr_in6));
	struct sockaddr_storage ss;
	struct kernel_assoc *a;
	size_t at = 0;
	int rc;

	if (!list)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++) {
		socklen_t length = addr_to_sockaddr(&remote[i], &ss);

		memcpy(list + at, &ss, length);
		at += length;
	}
	rc = set(endpoint->fd, SCTP_SOCKOPT_CONNECTX, list, at);
	free(list);
	if (rc < 0 && rc != -EINPROGRESS)
		return rc;
	a = assoc_new(endpoint, endpoint->fd);
	endpoint->fd = -1;
	if (!a)
		return -ENOMEM;
	a->id = only_id(a->fd);
	*out = &a->assoc;
	return 0;
}

/* ---- associations ------------------------------------------------------- */

static void
control_add(struct msghdr *msg, int type, const void *data, size_t size)
{
	struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)msg->msg_control +
					       msg->msg_controllen);

	c->cmsg_level = IPPROTO_SCTP;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), data, size);
	msg->msg_controllen += CMSG_SPACE(size);
}

static int
send_with(const struct kernel_assoc *a, const void *data, size_t length,
	  const struct sctp_sndinfo *info, uint32_t lifetime_ms)
{
	union {
		uint8_t octets[CMSG_SPACE(sizeof(struct sctp_sndinfo)) +
			       CMSG_SPACE(sizeof(struct sctp_prinfo))];
		struct cmsghdr aligned;
	} control;
	const struct sctp_prinfo pr = {.pr_policy = SCTP_PR_SCTP_TTL,
				       .pr_value = lifetime_ms};
	struct iovec iov = {(void *)data, length};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = length ? 1 : 0,
			     .msg_control = &control};

	memset(&control, 0, sizeof(control));
	control_add(&msg, SCTP_SNDINFO, info, sizeof(*info));
	if (lifetime_ms)
		control_add(&msg, SCTP_PRINFO, &pr, sizeof(pr));
	return sendmsg(a->fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int
kernel_send(struct assoc *assoc, const void *data, size_t length,
	    const struct assoc_send *how)
{
	struct kernel_assoc *a = (struct kernel_assoc *)assoc;
	const struct sctp_sndinfo info = {
		.snd_sid = how->delivery.stream,
		.snd_flags = how->delivery.unordered ? SCTP_UNORDERED : 0,
		.snd_ppid = htonl(how->payload),
		.snd_context = how->number,
		.snd_assoc_id = a->id,
	};
	int rc = send_with(a, data, length, &info, how->delivery.lifetime_ms);

	if (rc == -ENOBUFS)
		rc = -EAGAIN;
	if (rc == -EAGAIN)
		event_add(a->writable, NULL);
	return rc;
}

static void
association_changed(struct assoc_event *event,
		    const struct sctp_assoc_change *change)
{
	switch (change->sac_state) {
	case SCTP_COMM_UP:
		event->kind = ASSOC_UP;
		break;
	case SCTP_RESTART:
		event->kind = ASSOC_RESTARTED;
		break;
	case SCTP_COMM_LOST:
	case SCTP_CANT_STR_ASSOC:
		event->kind = ASSOC_LOST;
		/* The peer's ABORT is behind it, if there was one. */
		if (change->sac_length > sizeof(*change))
			event->error = change->sac_state == SCTP_COMM_LOST
					       ? ECONNRESET
					       : ECONNREFUSED;
		break;
	case SCTP_SHUTDOWN_COMP:
		event->kind = ASSOC_ENDED;
		break;
	}
	event->streams_out = change->sac_outbound_streams;
	event->streams_in = change->sac_inbound_streams;
}

/* p has the notification's beginning; what is behind it is not needed. */
static void
notification(struct assoc_event *event, const void *p, size_t length)
{
	union sctp_notification n;

	event->kind = ASSOC_OTHER;
	memset(&n, 0, sizeof(n));
	memcpy(&n, p, length < sizeof(n) ? length : sizeof(n));
	switch (n.sn_header.sn_type) {
	case SCTP_ASSOC_CHANGE:
		association_changed(event, &n.sn_assoc_change);
		break;
	case SCTP_SHUTDOWN_EVENT:
		event->kind = ASSOC_PEER_ENDS;
		break;
	case SCTP_SENDER_DRY_EVENT:
		event->kind = ASSOC_DRY;
		break;
	case SCTP_PARTIAL_DELIVERY_EVENT:
		event->kind = ASSOC_DATA_CUT;
		break;
	case SCTP_SEND_FAILED_EVENT:
		event->kind = ASSOC_UNDELIVERED;
		event->number = n.sn_send_failed_event.ssfe_info.snd_context;
		break;
	case SCTP_PEER_ADDR_CHANGE:
		addr_from_sockaddr(
			&event->address,
			(struct sockaddr *)&n.sn_paddr_change.spc_aaddr);
		if (n.sn_paddr_change.spc_state == SCTP_ADDR_UNREACHABLE ||
		    n.sn_paddr_change.spc_state == SCTP_ADDR_AVAILABLE)
			event->kind = ASSOC_PATH;
		event->usable =
			n.sn_paddr_change.spc_state == SCTP_ADDR_AVAILABLE;
		break;
	}
}

/* One part of a message, or of a notification. < 0: a negative errno. */
static ssize_t
receive_part(const struct kernel_assoc *a, void *data, size_t size,
	     struct sctp_rcvinfo *info, int *flags)
{
	union {
		uint8_t octets[CMSG_SPACE(sizeof(struct sctp_rcvinfo)) + 64];
		struct cmsghdr aligned;
	} control;
	struct iovec iov = {data, size};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(a->fd, &msg, MSG_DONTWAIT);
	struct cmsghdr *c;

	*flags = msg.msg_flags;
	memset(info, 0, sizeof(*info));
	if (n < 0)
		return -errno;
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == IPPROTO_SCTP &&
		    c->cmsg_type == SCTP_RCVINFO)
			memcpy(info, CMSG_DATA(c), sizeof(*info));
	return n;
}

static int
kernel_receive(struct assoc *assoc, void *data, size_t size,
	       struct assoc_event *event)
{
	struct kernel_assoc *a = (struct kernel_assoc *)assoc;
	struct sctp_rcvinfo info;
	uint8_t rest[SCRATCH];
	ssize_t n;
	int flags;

	memset(event, 0, sizeof(*event));
	if (a->over)
		return -ENOTCONN;
	n = receive_part(a, data, size, &info, &flags);
	if (n == -EAGAIN && a->ended)
		n = -ENOTCONN;
	if (n == -EAGAIN || n == -EINTR)
		return -EAGAIN;
	if (n <= 0) {
		a->over = true;
		event->kind = ASSOC_LOST;
		event->error = (int)-n;
		return n < 0 && n != -ENOTCONN ? 0 : -ENOTCONN;
	}
	if (!(flags & MSG_NOTIFICATION)) {
		event->kind = ASSOC_DATA;
		event->length = (size_t)n;
		event->end = flags & MSG_EOR;
		event->stream = info.rcv_sid;
		event->unordered = info.rcv_flags & SCTP_UNORDERED;
		event->payload = ntohl(info.rcv_ppid);
		return 0;
	}
	notification(event, data, (size_t)n);
	while (n > 0 && !(flags & MSG_EOR))
		n = receive_part(a, rest, sizeof(rest), &info, &flags);
	/* A one-to-many socket waits for the next association. */
	if (a->id && (event->kind == ASSOC_LOST || event->kind == ASSOC_ENDED))
		a->ended = true;
	return 0;
}

static void
kernel_watch(struct assoc *assoc, bool read)
{
	struct kernel_assoc *a = (struct kernel_assoc *)assoc;

	if (read)
		event_add(a->readable, NULL);
	else
		event_del(a->readable);
}

static void
kernel_wait(struct assoc *assoc, unsigned ms)
{
	struct kernel_assoc *a = (struct kernel_assoc *)assoc;
	struct pollfd p = {.fd = a->fd, .events = POLLIN};

	poll(&p, 1, (int)ms);
}

/* What is not acknowledged counts as memory of the socket. */
static bool
kernel_idle(struct assoc *assoc)
{
	struct kernel_assoc *a = (struct kernel_assoc *)assoc;
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	socklen_t length = sizeof(memory);

	if (getsockopt(a->fd, SOL_SOCKET, SO_MEMINFO, memory, &length) < 0)
		return true;
	return memory[SK_MEMINFO_WMEM_QUEUED] == 0;
}

/* False: there is no association any more. */
static bool
get_status(const struct kernel_assoc *a, struct sctp_status *status)
{
	socklen_t length = sizeof(*status);

	memset(status, 0, sizeof(*status));
	status->sstat_assoc_id = a->id;
	return getsockopt(a->fd, IPPROTO_SCTP, SCTP_STATUS, status, &length) ==
	       0;
}

static uint32_t
kernel_window(struct assoc *assoc)
{
	struct sctp_status status;

	return get_status((struct kernel_assoc *)assoc, &status)
		       ? status.sstat_rwnd
		       : 0;
}

static int
kernel_shutdown(struct assoc *assoc)
{
	struct kernel_assoc *a = (struct kernel_assoc *)assoc;
	const struct sctp_sndinfo info = {.snd_flags = SCTP_EOF,
					  .snd_assoc_id = a->id};

	if (a->id)
		return send_with(a, NULL, 0, &info, 0);
	return shutdown(a->fd, SHUT_WR) < 0 ? -errno : 0;
}

static int
kernel_abort(struct assoc *assoc)
{
	struct kernel_assoc *a = (struct kernel_assoc *)assoc;
	const struct sctp_sndinfo info = {.snd_flags = SCTP_ABORT,
					  .snd_assoc_id = a->id};

	return send_with(a, NULL, 0, &info, 0);
}

/* The addresses that this option tells of. */
static unsigned
addresses(const struct kernel_assoc *a, int option, struct addr *out)
{
	union {
		struct sctp_getaddrs head;
		uint8_t octets[sizeof(struct sctp_getaddrs) +
			       NAMES * sizeof(struct sockaddr_in6)];
	} list;
	socklen_t length = sizeof(list);
	const uint8_t *p = list.octets + offsetof(struct sctp_getaddrs, addrs);
	unsigned n = 0;

	memset(&list, 0, sizeof(list));
	list.head.assoc_id = a->id;
	if (getsockopt(a->fd, IPPROTO_SCTP, option, &list, &length) < 0)
		return 0;
	for (uint32_t i = 0; i < list.head.addr_num && n < NAMES; i++) {
		const struct sockaddr *sa = (const struct sockaddr *)p;

		if (addr_from_sockaddr(&out[n], sa) == 0)
			n++;
		p += sa->sa_family == AF_INET ? sizeof(struct sockaddr_in)
					      : sizeof(struct sockaddr_in6);
	}
	return n;
}

static void
kernel_names(struct assoc *assoc, struct addr *local, struct addr *remote,
	     uint32_t *id)
{
	struct kernel_assoc *a = (struct kernel_assoc *)assoc;
	struct sctp_status status;
	struct addr name[NAMES];
	unsigned count;

	if (addresses(a, SCTP_GET_PEER_ADDRS, name))
		*remote = name[0];
	count = addresses(a, SCTP_GET_LOCAL_ADDRS, name);
	sctp_choose_local(name, count, remote, local);
	if (get_status(a, &status))
		*id = (uint32_t)status.sstat_assoc_id;
}

/* ---- keys --------------------------------------------------------------- */

static int
kernel_key_add(struct assoc *assoc, uint16_t number, const uint8_t *key,
	       size_t length)
{
	struct kernel_assoc *a = (struct kernel_assoc *)assoc;
	size_t size = sizeof(struct sctp_authkey) + length;
	struct sctp_authkey *k = calloc(1, size);
	int rc;

	if (!k)
		return -ENOMEM;
	k->sca_assoc_id = SCTP_CURRENT_ASSOC;
	k->sca_keynumber = number;
	k->sca_keylength = (uint16_t)length;
	memcpy(k->sca_key, key, length);
	rc = set(a->fd, SCTP_AUTH_KEY, k, size);
	explicit_bzero(k, size);
	free(k);
	return rc;
}

static int
key_option(struct assoc *assoc, int option, uint16_t number)
{
	struct kernel_assoc *a = (struct kernel_assoc *)assoc;
	const struct sctp_authkeyid id = {.scact_assoc_id = SCTP_CURRENT_ASSOC,
					  .scact_keynumber = number};

	return set(a->fd, option, &id, sizeof(id));
}

static int
kernel_key_use(struct assoc *assoc, uint16_t number)
{
	return key_option(assoc, SCTP_AUTH_ACTIVE_KEY, number);
}

static int
kernel_key_remove(struct assoc *assoc, uint16_t number)
{
	int rc = key_option(assoc, SCTP_AUTH_DELETE_KEY, number);

	return rc == -EINVAL ? -EAGAIN : rc;
}

const struct sctp_stack sctp_kernel = {
	.name = "kernel",
	.probe = kernel_probe,
	.start = kernel_start,
	.stop = kernel_stop,
	.open = kernel_open,
	.close = kernel_close,
	.listen = kernel_listen,
	.pause = kernel_pause,
	.port = kernel_port,
	.connect = kernel_connect,
	.send = kernel_send,
	.receive = kernel_receive,
	.watch = kernel_watch,
	.wait = kernel_wait,
	.idle = kernel_idle,
	.window = kernel_window,
	.shutdown = kernel_shutdown,
	.abort = kernel_abort,
	.free = kernel_free,
	.names = kernel_names,
	.key_add = kernel_key_add,
	.key_use = kernel_key_use,
	.key_remove = kernel_key_remove,
};
