/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Where connections are made to us, whoever sends over them. */
#ifndef CONFLUX_NET_ACCEPTOR_H
#define CONFLUX_NET_ACCEPTOR_H

#include <event2/event.h>

#include "conflux/log.h"
#include "conflux/net.h"

struct acceptor;

struct acceptor_socket {
	struct acceptor *acceptor;
	int fd;
	struct addr local;
	struct event *acceptable;
};

struct acceptor {
	struct event_base *base;
	/* Has the connection, which does not block, from now on. */
	void (*take)(void *arg, int fd);
	void *arg;
	struct acceptor_socket *socket;
	unsigned count;
	struct event *again; /* when there was no descriptor */
	struct log_limit log;
};

/* Listens at the addresses of conf, see socket_bind_all. base, take and arg are
 * set. acceptor_close has to be called after an error, too. */
int acceptor_open(struct acceptor *a, const struct net_in_conf *conf,
		  char **error);
void acceptor_close(struct acceptor *a); /* all members may be zero */

#endif
