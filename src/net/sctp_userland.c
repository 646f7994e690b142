/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * SCTP by usrsctp, in this process: over raw IP, or in UDP (RFC 6951).
 *
 * The library has threads of its own. They tell of news by an upcall, which
 * here does nothing but to note the association and to ring its endpoint's bell
 * (an eventfd); all work is done in the event loop. An upcall may still run
 * while its socket is being closed, so it is not given a pointer but a number,
 * which the register below knows or no longer knows.
 *
 * usrsctp is one for the whole process, so the register is, too: beside
 * sctp_library.c this is the one place where net has global state.
 *
 * Timers of the library do not ring for all that they do (RFC 3758 lifetimes):
 * so all associations are looked at every POLL_MS, too.
 */
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>
#include <usrsctp.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "conflux/log.h"
#include "conflux/table.h"
#include "sctp.h"
#include "socket.h"
#include "sctp_library.h"

enum {
	POLL_MS = 250,
	ACCEPTS = 64,
	TURN = 256, /* associations per round of the loop */
	SCRATCH = 512,
};

struct user_assoc {
	struct assoc assoc;
	struct assoc_endpoint *endpoint;
	struct socket *so;
	uintptr_t number; /* in the register */
	bool watched;	  /* the owner wants to read */
	bool listens;
	bool over; /* no event will come any more */
	/* Under the lock of the register: */
	bool rung, waiting;
	TAILQ_ENTRY(user_assoc) bell;
	LIST_ENTRY(user_assoc) all;
};

TAILQ_HEAD(bell_list, user_assoc);

struct assoc_endpoint {
	struct event_base *base;
	const struct assoc_ops *ops;
	void *arg;
	struct user_assoc *bound; /* listens, or is to connect */
	uint16_t port, remote_udp;
	int bell;
	struct event *ring, *poll;
	bool paused;
	LIST_HEAD(, user_assoc) all;
	struct bell_list waiting; /* under the lock of the register */
};

/* ---- the register ------------------------------------------------------- */

static struct {
	pthread_mutex_t lock;	/* a leaf: nothing is called with it held */
	struct table by_number; /* struct user_assoc */
	uintptr_t last_number;
} reg = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool
number_equal(const void *item, const void *key)
{
	return ((const struct user_assoc *)item)->number ==
	       *(const uintptr_t *)key;
}

static uint32_t
number_hash(uintptr_t number)
{
	return (uint32_t)hash_u64(number, 0);
}

static int
userland_probe(void)
{
	return 0;
}

/* ---- the bell ----------------------------------------------------------- */

/* The lock of the register is held. */
static void
note(struct user_assoc *a)
{
	static const uint64_t one = 1;
	bool first = TAILQ_EMPTY(&a->endpoint->waiting);

	if (a->waiting)
		return;
	a->waiting = true;
	TAILQ_INSERT_TAIL(&a->endpoint->waiting, a, bell);
	if (first && write(a->endpoint->bell, &one, sizeof(one)) < 0)
		return; /* it is full: rings already */
}

static void
ring(struct user_assoc *a)
{
	pthread_mutex_lock(&reg.lock);
	a->rung = true;
	note(a);
	pthread_mutex_unlock(&reg.lock);
}

/* In a thread of the library. */
static void
upcall(struct socket *so, void *arg, int flags)
{
	uintptr_t number = (uintptr_t)arg;
	struct user_assoc *a;

	pthread_mutex_lock(&reg.lock);
	a = table_find(&reg.by_number, number_hash(number), number_equal,
		       &number);
	if (a) {
		a->rung = true;
		note(a);
	}
	pthread_mutex_unlock(&reg.lock);
}

static void
unregister(struct user_assoc *a)
{
	pthread_mutex_lock(&reg.lock);
	table_remove(&reg.by_number, number_hash(a->number), a);
	if (!reg.by_number.count) {
		table_fini(&reg.by_number);
		reg.by_number = (struct table){0};
	}
	if (a->waiting)
		TAILQ_REMOVE(&a->endpoint->waiting, a, bell);
	a->waiting = false;
	pthread_mutex_unlock(&reg.lock);
}

/* so is ours, or closed on error. */
static struct user_assoc *
assoc_new(struct assoc_endpoint *endpoint, struct socket *so)
{
	struct user_assoc *a = calloc(1, sizeof(*a));
	int rc = -1;

	if (a) {
		a->assoc.stack = &sctp_userland;
		a->endpoint = endpoint;
		a->so = so;
		a->watched = true;
		pthread_mutex_lock(&reg.lock);
		a->number = ++reg.last_number;
		rc = table_add(&reg.by_number, number_hash(a->number), a);
		pthread_mutex_unlock(&reg.lock);
	}
	if (rc < 0) {
		usrsctp_close(so);
		free(a);
		return NULL;
	}
	LIST_INSERT_HEAD(&endpoint->all, a, all);
	usrsctp_set_non_blocking(so, 1);
	usrsctp_set_upcall(so, upcall, (void *)a->number);
	return a;
}

static void
accept_some(struct assoc_endpoint *endpoint)
{
	struct user_assoc *a;
	struct socket *so;

	for (int i = 0; i < ACCEPTS && !endpoint->paused; i++) {
		so = usrsctp_accept(endpoint->bound->so, NULL, NULL);
		if (!so && (errno == ECONNABORTED || errno == EINTR))
			continue;
		if (!so)
			return;
		a = assoc_new(endpoint, so);
		if (!a) {
			endpoint->ops->starved(endpoint->arg, ENOMEM);
			continue;
		}
		/* What came before its upcall was set did not ring. */
		ring(a);
		endpoint->ops->accepted(endpoint->arg, &a->assoc);
	}
	ring(endpoint->bound);
}

static void
answer(struct user_assoc *a, bool rung)
{
	struct assoc_endpoint *endpoint = a->endpoint;
	int events = usrsctp_get_events(a->so);
	bool read = a->watched && !a->over &&
		    (events & (SCTP_EVENT_READ | SCTP_EVENT_ERROR));

	if (a->listens) {
		if (events & SCTP_EVENT_READ)
			accept_some(endpoint);
		return;
	}
	if (read) {
		/* Again in the next round, if there is more than is taken. */
		pthread_mutex_lock(&reg.lock);
		note(a);
		pthread_mutex_unlock(&reg.lock);
	}
	if (read || rung)
		endpoint->ops->ready(endpoint->arg, &a->assoc, read,
				     rung && (events & SCTP_EVENT_WRITE));
}

static void
on_ring(evutil_socket_t fd, short what, void *arg)
{
	struct assoc_endpoint *endpoint = arg;
	static const uint64_t one = 1;
	struct user_assoc *a;
	uint64_t count;
	bool rung;

	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	for (int i = 0; i < TURN; i++) {
		pthread_mutex_lock(&reg.lock);
		a = TAILQ_FIRST(&endpoint->waiting);
		if (a) {
			TAILQ_REMOVE(&endpoint->waiting, a, bell);
			a->waiting = false;
			rung = a->rung;
			a->rung = false;
		}
		pthread_mutex_unlock(&reg.lock);
		if (!a)
			return;
		answer(a, rung);
	}
	if (write(fd, &one, sizeof(one)) < 0)
		return; /* it is full: rings already */
}

static void
on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct assoc_endpoint *endpoint = arg;
	struct user_assoc *a;

	LIST_FOREACH(a, &endpoint->all, all)
	ring(a);
	userland_reap();
}

/* ---- options ------------------------------------------------------------ */

static int
set(struct socket *so, int option, const void *value, size_t size)
{
	return usrsctp_setsockopt(so, IPPROTO_SCTP, option, value,
				  (socklen_t)size) < 0
		       ? -errno
		       : 0;
}

static int
set_events(struct socket *so)
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
		rc = set(so, SCTP_EVENT, &event, sizeof(event));
	}
	return rc;
}

/* RFC 6083 section 4.8: DATA, SACK and FORWARD-TSN must be authenticated. */
static int
set_authenticated(struct socket *so)
{
	static const uint8_t chunks[] = {SCTP_DATA, SCTP_SELECTIVE_ACK,
					 SCTP_FORWARD_CUM_TSN};
	struct sctp_assoc_value on = {.assoc_value = 1};
	struct sctp_authchunk chunk;
	int rc = set(so, SCTP_AUTH_SUPPORTED, &on, sizeof(on));

	for (size_t i = 0; rc == 0 && i < sizeof(chunks); i++) {
		chunk.sauth_chunk = chunks[i];
		rc = set(so, SCTP_AUTH_CHUNK, &chunk, sizeof(chunk));
	}
	return rc;
}

static void
set_timers(struct socket *so)
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
	set(so, SCTP_RTOINFO, &rto, sizeof(rto));
	set(so, SCTP_ASSOCINFO, &assoc, sizeof(assoc));
	set(so, SCTP_PEER_ADDR_PARAMS, &path, sizeof(path));
	set(so, SCTP_DELAYED_SACK, &sack, sizeof(sack));
}

static void
set_buffer(struct socket *so, int option, uint32_t octets)
{
	int value = octets > INT32_MAX / 2 ? INT32_MAX / 2 : (int)octets;

	if (octets)
		usrsctp_setsockopt(so, SOL_SOCKET, option, &value,
				   sizeof(value));
}

static int
set_all(struct socket *so, int family, const struct assoc_conf *conf)
{
	const struct sctp_initmsg init = {
		.sinit_num_ostreams = conf->streams_out,
		.sinit_max_instreams = conf->streams_in,
	};
	struct sctp_udpencaps udp = {.sue_port = htons(conf->remote_udp)};
	const int on = 1, off = 0;
	int rc;

	set_buffer(so, SO_SNDBUF, conf->send_buffer);
	set_buffer(so, SO_RCVBUF, conf->receive_buffer);
	if (family == AF_INET6) {
		usrsctp_setsockopt(so, IPPROTO_IPV6, IPV6_V6ONLY, &off,
				   sizeof(off));
		set(so, SCTP_I_WANT_MAPPED_V4_ADDR, &off, sizeof(off));
	}
	set_timers(so);
	set(so, SCTP_NODELAY, &on, sizeof(on));
	udp.sue_address.ss_family = (sa_family_t)family;
	rc = set(so, SCTP_INITMSG, &init, sizeof(init));
	if (rc == 0)
		rc = set(so, SCTP_RECVRCVINFO, &on, sizeof(on));
	if (rc == 0)
		rc = set_events(so);
	if (rc == 0 && conf->remote_udp)
		rc = set(so, SCTP_REMOTE_UDP_ENCAPS_PORT, &udp, sizeof(udp));
	if (rc == 0 && conf->authenticated)
		rc = set_authenticated(so);
	return rc;
}

static uint16_t
bound_port(struct socket *so)
{
	struct sockaddr *list;
	struct addr addr = {0};

	if (usrsctp_getladdrs(so, 0, &list) <= 0)
		return 0;
	addr_from_sockaddr(&addr, list);
	usrsctp_freeladdrs(list);
	return addr.port;
}

/* Binds to all of conf's addresses. */
static int
bind_all(struct socket *so, int family, const struct assoc_conf *conf)
{
	struct addr addr = {.version = family == AF_INET ? 4 : 6,
			    .port = conf->port};
	struct sockaddr_storage ss;
	socklen_t length;

	if (!conf->local_count) {
		length = addr_to_sockaddr(&addr, &ss);
		return usrsctp_bind(so, (struct sockaddr *)&ss, length) < 0
			       ? -errno
			       : 0;
	}
	for (unsigned i = 0; i < conf->local_count; i++) {
		addr = conf->local[i];
		addr.port = i && !conf->port ? bound_port(so) : conf->port;
		addr_to_sockaddr(&addr, &ss);
		if (usrsctp_bindx(so, (struct sockaddr *)&ss, 1,
				  SCTP_BINDX_ADD_ADDR) < 0)
			return -errno;
	}
	return 0;
}

/* ---- endpoints ---------------------------------------------------------- */

static int
userland_abort(struct assoc *assoc)
{
	struct user_assoc *a = (struct user_assoc *)assoc;
	struct sctp_sndinfo info = {.snd_flags = SCTP_ABORT};

	return usrsctp_sendv(a->so, "", 0, NULL, 0, &info, sizeof(info),
			     SCTP_SENDV_SNDINFO, 0) < 0
		       ? -errno
		       : 0;
}

static void
userland_free(struct assoc *assoc)
{
	static const struct linger at_once = {.l_onoff = 1};
	struct user_assoc *a = (struct user_assoc *)assoc;

	if (!a)
		return;
	unregister(a);
	LIST_REMOVE(a, all);
	if (a->endpoint->bound == a)
		a->endpoint->bound = NULL;
	usrsctp_set_upcall(a->so, NULL, NULL);
	if (!a->listens && !a->over) {
		usrsctp_setsockopt(a->so, SOL_SOCKET, SO_LINGER, &at_once,
				   sizeof(at_once));
		userland_abort(&a->assoc);
	}
	if (a->listens)
		usrsctp_close(a->so);
	else
		userland_bury(a->so);
	free(a);
}

static void
userland_close(struct assoc_endpoint *endpoint)
{
	if (!endpoint)
		return;
	if (endpoint->bound)
		userland_free(&endpoint->bound->assoc);
	if (endpoint->ring)
		event_free(endpoint->ring);
	if (endpoint->poll)
		event_free(endpoint->poll);
	if (endpoint->bell >= 0)
		close(endpoint->bell);
	free(endpoint);
}

static int
make_events(struct assoc_endpoint *endpoint)
{
	static const struct timeval interval = {.tv_usec = POLL_MS * 1000};

	endpoint->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (endpoint->bell < 0)
		return -errno;
	endpoint->ring = event_new(endpoint->base, endpoint->bell,
				   EV_READ | EV_PERSIST, on_ring, endpoint);
	endpoint->poll =
		event_new(endpoint->base, -1, EV_PERSIST, on_poll, endpoint);
	if (!endpoint->ring || !endpoint->poll ||
	    event_add(endpoint->ring, NULL) < 0 ||
	    event_add(endpoint->poll, &interval) < 0)
		return -ENOMEM;
	return 0;
}

static int
make_bound(struct assoc_endpoint *endpoint, const struct assoc_conf *conf,
	   int family)
{
	struct socket *so = usrsctp_socket(family, SOCK_STREAM, IPPROTO_SCTP,
					   NULL, NULL, 0, NULL);
	int rc;

	if (!so)
		return -errno;
	rc = set_all(so, family, conf);
	if (rc == 0)
		rc = bind_all(so, family, conf);
	if (rc < 0) {
		usrsctp_close(so);
		return rc;
	}
	endpoint->port = conf->port ? conf->port : bound_port(so);
	endpoint->bound = assoc_new(endpoint, so);
	return endpoint->bound ? 0 : -ENOMEM;
}

static int
userland_open(struct event_base *base, const struct assoc_conf *conf,
	      const struct assoc_ops *ops, void *arg,
	      struct assoc_endpoint **out, char **error)
{
	int family = sctp_family(conf->local, conf->local_count);
	struct assoc_endpoint *endpoint;
	int rc;

	if (conf->interface) {
		*error = net_error("userland SCTP cannot be bound to an "
				   "interface, only to addresses");
		return -EOPNOTSUPP;
	}
	endpoint = calloc(1, sizeof(*endpoint));
	if (!endpoint)
		return -ENOMEM;
	endpoint->base = base;
	endpoint->ops = ops;
	endpoint->arg = arg;
	endpoint->bell = -1;
	TAILQ_INIT(&endpoint->waiting);
	LIST_INIT(&endpoint->all);
	rc = make_events(endpoint);
	if (rc == 0)
		rc = make_bound(endpoint, conf, family);
	if (rc < 0) {
		userland_close(endpoint);
		return rc;
	}
	*out = endpoint;
	return 0;
}

static int
userland_listen(struct assoc_endpoint *endpoint)
{
	endpoint->bound->listens = true;
	return usrsctp_listen(endpoint->bound->so, SCTP_BACKLOG) < 0 ? -errno
								     : 0;
}

static void
userland_pause(struct assoc_endpoint *endpoint, bool pause)
{
	endpoint->paused = pause;
	if (!pause)
		ring(endpoint->bound);
}

static uint16_t
userland_port(const struct assoc_endpoint *endpoint)
{
	return endpoint->port;
}

/* Addresses one behind the other, as the API has them. */
static size_t
pack(const struct addr *list, unsigned count, uint8_t *to)
{
	struct sockaddr_storage ss;
	size_t at = 0;

	for (unsigned i = 0; i < count; i++) {
		socklen_t length = addr_to_sockaddr(&list[i], &ss);

		memcpy(to + at, &ss, length);
		at += length;
	}
	return at;
}

static int
userland_connect(struct assoc_endpoint *endpoint, const struct addr *remote,
		 unsigned count, struct assoc **out)
{
	struct user_assoc *a = endpoint->bound;
	uint8_t *list = calloc(count, sizeof(struct sockaddr_in6));
	int rc;

	if (!list)
		return -ENOMEM;
	pack(remote, count, list);
	rc = usrsctp_connectx(a->so, (struct sockaddr *)list, (int)count,
			      NULL) < 0
		     ? -errno
		     : 0;
	free(list);
	if (rc < 0 && rc != -EINPROGRESS)
		return rc;
	endpoint->bound = NULL;
	*out = &a->assoc;
	return 0;
}

/* ---- associations ------------------------------------------------------- */

static int
userland_send(struct assoc *assoc, const void *data, size_t length,
	      const struct assoc_send *how)
{
	struct user_assoc *a = (struct user_assoc *)assoc;
	const struct net_delivery *d = &how->delivery;
	struct sctp_sendv_spa spa = {
		.sendv_flags = SCTP_SEND_SNDINFO_VALID |
			       (d->lifetime_ms ? SCTP_SEND_PRINFO_VALID : 0),
		.sendv_sndinfo.snd_sid = d->stream,
		.sendv_sndinfo.snd_flags = d->unordered ? SCTP_UNORDERED : 0,
		.sendv_sndinfo.snd_ppid = htonl(how->payload),
		.sendv_sndinfo.snd_context = how->number,
		.sendv_prinfo.pr_policy = SCTP_PR_SCTP_TTL,
		.sendv_prinfo.pr_value = d->lifetime_ms,
	};

	if (usrsctp_sendv(a->so, data, length, NULL, 0, &spa, sizeof(spa),
			  SCTP_SENDV_SPA, 0) >= 0)
		return 0;
	return errno == ENOBUFS ? -EAGAIN : -errno;
}

static void
association_changed(struct assoc_event *event,
		    const struct sctp_assoc_change *change)
{
	switch (change->sac_state) {
	case SCTP_COMM_UP:
		event->kind = ASSOC_UP;
		event->streams_out = change->sac_outbound_streams;
		event->streams_in = change->sac_inbound_streams;
		break;
	case SCTP_RESTART:
		event->kind = ASSOC_RESTARTED;
		event->streams_out = change->sac_outbound_streams;
		event->streams_in = change->sac_inbound_streams;
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
receive_part(struct user_assoc *a, void *data, size_t size,
	     struct sctp_rcvinfo *info, int *flags)
{
	socklen_t info_length = sizeof(*info), from_length;
	struct sockaddr_storage from;
	unsigned info_type = 0;
	ssize_t n;

	from_length = sizeof(from);
	*flags = 0;
	memset(info, 0, sizeof(*info));
	n = usrsctp_recvv(a->so, data, size, (struct sockaddr *)&from,
			  &from_length, info, &info_length, &info_type, flags);
	return n < 0 ? -errno : n;
}

static int
userland_receive(struct assoc *assoc, void *data, size_t size,
		 struct assoc_event *event)
{
	struct user_assoc *a = (struct user_assoc *)assoc;
	struct sctp_rcvinfo info;
	uint8_t rest[SCRATCH];
	ssize_t n;
	int flags;

	memset(event, 0, sizeof(*event));
	if (a->over)
		return -ENOTCONN;
	n = receive_part(a, data, size, &info, &flags);
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
	return 0;
}

static void
userland_watch(struct assoc *assoc, bool read)
{
	struct user_assoc *a = (struct user_assoc *)assoc;

	if (read && !a->watched)
		ring(a);
	a->watched = read;
}

static void
userland_wait(struct assoc *assoc, unsigned ms)
{
	struct assoc_endpoint *endpoint =
		((struct user_assoc *)assoc)->endpoint;
	struct pollfd p = {.fd = endpoint->bell, .events = POLLIN};
	struct user_assoc *a;
	uint64_t count;

	/* Not all that timers do rings. */
	poll(&p, 1, (int)(ms < POLL_MS ? ms : POLL_MS));
	/* Silences the bell; the loop looks at all of them when it is next. */
	pthread_mutex_lock(&reg.lock);
	if (read(endpoint->bell, &count, sizeof(count)) > 0)
		while ((a = TAILQ_FIRST(&endpoint->waiting))) {
			TAILQ_REMOVE(&endpoint->waiting, a, bell);
			a->waiting = false;
		}
	pthread_mutex_unlock(&reg.lock);
}

/* False, and zeros: there is no association any more. */
static bool
get_status(struct assoc *assoc, struct sctp_status *status)
{
	struct user_assoc *a = (struct user_assoc *)assoc;
	socklen_t length = sizeof(*status);

	memset(status, 0, sizeof(*status));
	return usrsctp_getsockopt(a->so, IPPROTO_SCTP, SCTP_STATUS, status,
				  &length) == 0;
}

static bool
userland_idle(struct assoc *assoc)
{
	struct sctp_status status;

	return !get_status(assoc, &status) ||
	       (!status.sstat_unackdata && !status.sstat_penddata);
}

static uint32_t
userland_window(struct assoc *assoc)
{
	struct sctp_status status;

	return get_status(assoc, &status) ? status.sstat_rwnd : 0;
}

static int
userland_shutdown(struct assoc *assoc)
{
	struct user_assoc *a = (struct user_assoc *)assoc;

	return usrsctp_shutdown(a->so, SHUT_WR) < 0 ? -errno : 0;
}

enum { NAMES = 32 };

static unsigned
addresses(struct sockaddr *list, int count, struct addr *out)
{
	const uint8_t *p = (const uint8_t *)list;
	unsigned n = 0;

	for (int i = 0; i < count && n < NAMES; i++) {
		const struct sockaddr *sa = (const struct sockaddr *)p;

		if (addr_from_sockaddr(&out[n], sa) == 0)
			n++;
		p += sa->sa_family == AF_INET ? sizeof(struct sockaddr_in)
					      : sizeof(struct sockaddr_in6);
	}
	return n;
}

static void
userland_names(struct assoc *assoc, struct addr *local, struct addr *remote,
	       uint32_t *id)
{
	struct user_assoc *a = (struct user_assoc *)assoc;
	struct sctp_status status;
	struct addr name[NAMES];
	struct sockaddr *list;
	unsigned count;
	int n;

	n = usrsctp_getpaddrs(a->so, 0, &list);
	if (n > 0) {
		if (addresses(list, n, name))
			*remote = name[0];
		usrsctp_freepaddrs(list);
	}
	n = usrsctp_getladdrs(a->so, 0, &list);
	if (n > 0) {
		count = addresses(list, n, name);
		sctp_choose_local(name, count, remote, local);
		usrsctp_freeladdrs(list);
	}
	if (get_status(assoc, &status))
		*id = status.sstat_assoc_id;
}

/* ---- keys --------------------------------------------------------------- */

static int
userland_key_add(struct assoc *assoc, uint16_t number, const uint8_t *key,
		 size_t length)
{
	struct user_assoc *a = (struct user_assoc *)assoc;
	size_t size = sizeof(struct sctp_authkey) + length;
	struct sctp_authkey *k = calloc(1, size);
	int rc;

	if (!k)
		return -ENOMEM;
	k->sca_assoc_id = SCTP_CURRENT_ASSOC;
	k->sca_keynumber = number;
	k->sca_keylength = (uint16_t)length;
	memcpy(k->sca_key, key, length);
	rc = set(a->so, SCTP_AUTH_KEY, k, size);
	explicit_bzero(k, size);
	free(k);
	return rc;
}

static int
key_option(struct assoc *assoc, int option, uint16_t number)
{
	struct user_assoc *a = (struct user_assoc *)assoc;
	const struct sctp_authkeyid id = {.scact_assoc_id = SCTP_CURRENT_ASSOC,
					  .scact_keynumber = number};

	return set(a->so, option, &id, sizeof(id));
}

static int
userland_key_use(struct assoc *assoc, uint16_t number)
{
	return key_option(assoc, SCTP_AUTH_ACTIVE_KEY, number);
}

static int
userland_key_remove(struct assoc *assoc, uint16_t number)
{
	int rc = key_option(assoc, SCTP_AUTH_DELETE_KEY, number);

	return rc == -EINVAL ? -EAGAIN : rc;
}

const struct sctp_stack sctp_userland = {
	.name = "userland",
	.probe = userland_probe,
	.start = userland_start,
	.stop = userland_stop,
	.open = userland_open,
	.close = userland_close,
	.listen = userland_listen,
	.pause = userland_pause,
	.port = userland_port,
	.connect = userland_connect,
	.send = userland_send,
	.receive = userland_receive,
	.watch = userland_watch,
	.wait = userland_wait,
	.idle = userland_idle,
	.window = userland_window,
	.shutdown = userland_shutdown,
	.abort = userland_abort,
	.free = userland_free,
	.names = userland_names,
	.key_add = userland_key_add,
	.key_use = userland_key_use,
	.key_remove = userland_key_remove,
};
