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
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <usrsctp.h>

#include "conflux/addr.h"
#include "conflux/clock.h"
#include "socket.h"

enum {
	UDP_PORT = 9899, /* registered for SCTP in UDP */
	FINISH_MS = 3000,
};

static struct {
	pthread_mutex_t lock;
	unsigned users;
	bool runs;
	uint16_t udp_port;
} library = {.lock = PTHREAD_MUTEX_INITIALIZER};

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

void
userland_stop(void)
{
	uint64_t until = clock_mono_ms() + FINISH_MS;

	pthread_mutex_lock(&library.lock);
	if (--library.users == 0) {
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
