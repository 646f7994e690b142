/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * usrsctp is one for the whole process: one set of sockets, threads and timers,
 * one UDP port. So its state here is global, which is found nowhere else but in
 * sctp_userland.c. The first user starts the library, the last one ends it.
 */
#include "sctp_library.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>
#include <usrsctp.h>

#include "conflux/addr.h"
#include "conflux/clock.h"
#include "socket.h"

enum {
	UDP_PORT = 9899, /* registered for SCTP in UDP */
	FINISH_MS = 3000,
	GRACE_MS = 200,
};

struct grave {
	STAILQ_ENTRY(grave) link;
	struct socket *so;
	uint64_t close_ms;
};

static struct {
	pthread_mutex_t lock;
	unsigned users;
	bool runs;
	uint16_t udp_port;
	STAILQ_HEAD(, grave) graves; /* in the order of their time */
} library = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.graves = STAILQ_HEAD_INITIALIZER(library.graves),
};

/* May it have this raw or UDP socket? The library would not tell. */
static int
try_socket(int family, int type, uint16_t port)
{
	const struct addr any = {.version = family == AF_INET ? 4 : 6,
				 .port = port};
	static const int on = 1;
	struct sockaddr_storage ss;
	socklen_t length = addr_to_sockaddr(&any, &ss);
	int fd = socket(family, type | SOCK_CLOEXEC,
			type == SOCK_RAW ? IPPROTO_SCTP : 0);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (type == SOCK_DGRAM && bind(fd, (struct sockaddr *)&ss, length) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int
library_start(uint16_t udp_port, char **error)
{
	sigset_t all, old;
	int rc = udp_port ? try_socket(AF_INET, SOCK_DGRAM, udp_port)
			  : try_socket(AF_INET, SOCK_RAW, 0);

	if (rc < 0 && udp_port)
		*error = net_error("SCTP in UDP: port %u cannot be had: %s",
				   udp_port, strerror(-rc));
	else if (rc < 0)
		*error = net_error("userland SCTP over IP needs CAP_NET_RAW "
				   "(%s); in UDP it does not",
				   strerror(-rc));
	if (rc < 0)
		return rc;
	/* Its threads must not take our signals. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	usrsctp_init(udp_port, NULL, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	usrsctp_sysctl_set_sctp_ecn_enable(0);
	usrsctp_sysctl_set_sctp_no_csum_on_loopback(0);
	library.udp_port = udp_port;
	return 0;
}

int
userland_start(uint16_t local_udp, uint16_t remote_udp, char **error)
{
	uint16_t udp_port = !local_udp && remote_udp ? UDP_PORT : local_udp;
	int rc = 0;

	pthread_mutex_lock(&library.lock);
	if (!library.runs) {
		rc = library_start(udp_port, error);
		library.runs = rc == 0;
	} else if (udp_port != library.udp_port) {
		rc = -EADDRINUSE;
		*error = net_error("userland SCTP has one local encapsulation "
				   "port for all of the process: it is %u "
				   "already, not %u (0: none)",
				   library.udp_port, udp_port);
	}
	if (rc == 0)
		library.users++;
	pthread_mutex_unlock(&library.lock);
	return rc;
}

/* The first grave whose time has come by then, taken out; or NULL. */
static struct grave *
open_grave(uint64_t now)
{
	struct grave *grave;

	pthread_mutex_lock(&library.lock);
	grave = STAILQ_FIRST(&library.graves);
	if (grave && grave->close_ms > now)
		grave = NULL;
	if (grave)
		STAILQ_REMOVE_HEAD(&library.graves, link);
	pthread_mutex_unlock(&library.lock);
	return grave;
}

void
userland_reap(void)
{
	uint64_t now = clock_mono_ms();
	struct grave *grave;

	while ((grave = open_grave(now))) {
		usrsctp_close(grave->so);
		free(grave);
	}
}

void
userland_bury(struct socket *so)
{
	struct grave *grave = malloc(sizeof(*grave));

	if (!grave) {
		usrsctp_close(so);
		return;
	}
	grave->so = so;
	pthread_mutex_lock(&library.lock);
	grave->close_ms = clock_mono_ms() + GRACE_MS;
	STAILQ_INSERT_TAIL(&library.graves, grave, link);
	pthread_mutex_unlock(&library.lock);
}

/* The last user goes: all are closed, each at its time. */
static void
close_graves(void)
{
	struct grave *grave;
	uint64_t now;

	while ((grave = STAILQ_FIRST(&library.graves))) {
		now = clock_mono_ms();
		if (grave->close_ms > now)
			usleep((useconds_t)(grave->close_ms - now) * 1000);
		STAILQ_REMOVE_HEAD(&library.graves, link);
		usrsctp_close(grave->so);
		free(grave);
	}
}

void
userland_stop(void)
{
	uint64_t until = clock_mono_ms() + FINISH_MS;

	pthread_mutex_lock(&library.lock);
	if (--library.users == 0) {
		close_graves();
		/* Associations may still be about to end. */
		while (library.runs) {
			library.runs = usrsctp_finish() != 0;
			if (clock_mono_ms() >= until)
				break;
			if (library.runs)
				usleep(5000);
		}
	}
	pthread_mutex_unlock(&library.lock);
}
