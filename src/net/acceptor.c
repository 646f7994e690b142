/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conflux/clock.h"
#include "socket.h"
#include "timer.h"

enum {
	ACCEPTS = 64, /* connections per event */
	BACKLOG = 128,
	PAUSE_MS = 500, /* when there is no descriptor to be had */
};

/*
 * Without a descriptor the connection stays in the queue and would wake us all
 * the time: look again later.
 */
static void
pause_accepting(struct acceptor *a, int error)
{
	uint32_t held;

	if (log_limit_pass(&a->log, clock_mono_ms(), &held))
		log_warning("tcp: no connection can be accepted now: %s",
			    strerror(error));
	for (unsigned i = 0; i < a->count; i++)
		event_del(a->socket[i].acceptable);
	timer_start(a->again, PAUSE_MS);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct acceptor *a = arg;

	for (unsigned i = 0; i < a->count; i++)
		event_add(a->socket[i].acceptable, NULL);
}

static void
on_acceptable(evutil_socket_t listening, short what, void *arg)
{
	struct acceptor_socket *s = arg;
	struct acceptor *a = s->acceptor;
	int fd;

	for (int i = 0; i < ACCEPTS; i++) {
		fd = accept4(listening, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			a->take(a->arg, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS)
			pause_accepting(a, errno);
		else if (errno == ECONNABORTED || errno == EINTR)
			continue;
		break;
	}
}

static int
open_socket(struct acceptor *a, struct acceptor_socket *s,
	    const struct net_in_conf *conf, char **error)
{
	char text[ADDR_TEXT_SIZE];
	int rc;

	if (conf->receive_buffer)
		socket_buffer(s->fd, SO_RCVBUF, conf->receive_buffer);
	if (listen(s->fd, BACKLOG) < 0) {
		rc = -errno;
		*error = net_error("cannot listen at %s: %s",
				   addr_format(text, &s->local), strerror(-rc));
		return rc;
	}
	s->acceptable = event_new(a->base, s->fd, EV_READ | EV_PERSIST,
				  on_acceptable, s);
	if (!s->acceptable || event_add(s->acceptable, NULL) < 0)
		return -ENOMEM;
	return 0;
}

int
acceptor_open(struct acceptor *a, const struct net_in_conf *conf, char **error)
{
	struct socket_bound *bound;
	unsigned count;
	int rc;

	a->again = evtimer_new(a->base, on_again, a);
	if (!a->again)
		return -ENOMEM;
	rc = socket_bind_all(conf, SOCK_STREAM, &bound, &count, error);
	if (rc < 0)
		return rc;
	a->socket = calloc(count, sizeof(*a->socket));
	for (unsigned i = 0; i < count; i++) {
		if (!a->socket) {
			close(bound[i].fd);
			rc = -ENOMEM;
			continue;
		}
		a->socket[i].acceptor = a;
		a->socket[i].fd = bound[i].fd;
		a->socket[i].local = bound[i].local;
		a->count++;
	}
	free(bound);
	for (unsigned i = 0; rc == 0 && i < count; i++)
		rc = open_socket(a, &a->socket[i], conf, error);
	return rc;
}

void
acceptor_close(struct acceptor *a)
{
	for (unsigned i = 0; i < a->count; i++) {
		if (a->socket[i].acceptable)
			event_free(a->socket[i].acceptable);
		close(a->socket[i].fd);
	}
	if (a->again)
		event_free(a->again);
	free(a->socket);
	*a = (struct acceptor){0};
}
