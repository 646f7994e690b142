/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of net share: a framing of their own ('M', two octets of
 * length, content), recorders of the callbacks, and a loop with a limit.
 */
#ifndef CONFLUX_TESTS_PEER_H
#define CONFLUX_TESTS_PEER_H

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "conflux/net.h"
#include "unit.h"

#define WAIT_MS unit_wait(5000)

static inline int
test_frame(const uint8_t *p, size_t have)
{
	if (have && p[0] != 'M')
		return -EBADMSG;
	return have < 3 ? 0 : p[1] << 8 | p[2];
}

/* Makes the number-th message of that length (at least 7). */
static inline void
test_message(uint8_t *p, size_t length, uint32_t number)
{
	memset(p, (int)(number & 0xff), length);
	p[0] = 'M';
	p[1] = (uint8_t)(length >> 8);
	p[2] = (uint8_t)length;
	memcpy(p + 3, &number, sizeof(number));
}

struct receiver {
	unsigned opened, closed, refused, finished;
	unsigned messages;
	unsigned out_of_order;
	uint64_t octets, dropped;
	uint32_t next;        /* number of the next message */
	const char *reason;   /* of the last close */
	size_t lost_octets;
	bool refuse, not_understood, busy;
	unsigned busy_at; /* becomes busy when it has had so many messages */
	unsigned asked;
	bool answers; /* sends the first 7 octets of each message back */
	unsigned not_answered;
	struct net_session last; /* a copy */
};

static int
receiver_opened(void *arg, struct net_session *session)
{
	struct receiver *r = arg;

	r->opened++;
	r->last = *session;
	return r->refuse ? -1 : 0;
}

static int
receiver_message(void *arg, struct net_session *session, const uint8_t *p,
		 size_t length)
{
	struct receiver *r = arg;
	uint32_t number = 0;

	r->messages++;
	r->busy |= r->messages == r->busy_at;
	r->octets += length;
	if (length >= 7)
		memcpy(&number, p + 3, sizeof(number));
	if (length >= 7 && number != r->next)
		r->out_of_order++;
	r->next = number + 1;
	r->last = *session;
	if (r->answers && net_in_reply(session, p, 7) < 0)
		r->not_answered++;
	return r->not_understood ? -1 : 0;
}

static void
receiver_closed(void *arg, struct net_session *session, const char *reason,
		size_t lost_octets)
{
	struct receiver *r = arg;

	r->closed++;
	r->reason = reason;
	r->lost_octets += lost_octets;
}

static bool
receiver_ready(void *arg)
{
	struct receiver *r = arg;

	r->asked++;
	return !r->busy;
}

static void
receiver_dropped(void *arg, uint64_t datagrams)
{
	((struct receiver *)arg)->dropped += datagrams;
}

static void
receiver_refused(void *arg, const struct addr *remote, enum net_refusal why)
{
	((struct receiver *)arg)->refused++;
}

static void
receiver_finished(void *arg)
{
	((struct receiver *)arg)->finished++;
}

static const struct net_in_ops receiver_ops = {
	.opened = receiver_opened,
	.message = receiver_message,
	.closed = receiver_closed,
	.ready = receiver_ready,
	.dropped = receiver_dropped,
	.refused = receiver_refused,
	.finished = receiver_finished,
};

static inline void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	*(bool *)arg = true;
}

/* Runs the loop until the expression is true, or WAIT_MS are over. */
#define RUN_UNTIL(base, expression)                                       \
	do {                                                              \
		struct timeval limit_ = {.tv_sec = WAIT_MS / 1000};       \
		bool over_ = false;                                       \
		struct event *e_ = evtimer_new(base, on_limit, &over_);   \
		evtimer_add(e_, &limit_);                                 \
		while (!(expression) && !over_)                           \
			event_base_loop(base, EVLOOP_ONCE);               \
		event_free(e_);                                           \
		CU_ASSERT(expression);                                    \
	} while (0)

/* Runs the loop for that time. */
static inline void
run_for(struct event_base *base, unsigned ms)
{
	struct timeval limit = {.tv_sec = ms / 1000,
				.tv_usec = (suseconds_t)(ms % 1000) * 1000};
	bool over = false;
	struct event *e = evtimer_new(base, on_limit, &over);

	evtimer_add(e, &limit);
	while (!over)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(e);
}

static inline void
loopback(struct addr *addr, int version, uint16_t port)
{
	addr_parse(addr, version == 4 ? "127.0.0.1" : "::1", port);
}

/* A blocking socket of the test, connected to a port of ours. */
static inline int
test_connect(int type, int version, uint16_t port)
{
	struct sockaddr_storage ss;
	struct addr addr;
	socklen_t length;
	int fd = socket(version == 4 ? AF_INET : AF_INET6, type, 0);

	loopback(&addr, version, port);
	length = addr_to_sockaddr(&addr, &ss);
	if (connect(fd, (struct sockaddr *)&ss, length) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A bound (and listening) socket of the test; *port 0: any. */
static inline int
test_listen(int type, int version, uint16_t *port)
{
	static const int on = 1;
	struct timeval patience = {.tv_sec = WAIT_MS / 1000};
	struct sockaddr_storage ss;
	struct addr addr;
	socklen_t length;
	int fd = socket(version == 4 ? AF_INET : AF_INET6, type, 0);

	loopback(&addr, version, *port);
	length = addr_to_sockaddr(&addr, &ss);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (bind(fd, (struct sockaddr *)&ss, length) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 5) < 0)) {
		close(fd);
		return -1;
	}
	getsockname(fd, (struct sockaddr *)&ss, &length);
	addr_from_sockaddr(&addr, (struct sockaddr *)&ss);
	*port = addr.port;
	return fd;
}

static inline bool
have_ipv6(void)
{
	uint16_t port = 0;
	int fd = test_listen(SOCK_DGRAM, 6, &port);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

#endif
