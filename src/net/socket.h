/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Sockets made, bound and tuned. Errors are negative errno values. */
#ifndef CONFLUX_NET_SOCKET_H
#define CONFLUX_NET_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conflux/addr.h"

struct log_limit;
struct net_in_conf;

/* A message for the user, to be freed; NULL without memory. */
char *net_error(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* Says who was refused, and whom it says to be ("": nobody). */
void net_log_rejected(struct log_limit *limit, const char *transport,
		      const struct addr *remote, const char *peer,
		      const char *reason);

/* Copies a list, to be freed; NULL if it is empty. 0 or -ENOMEM. */
int net_addrs_copy(const struct addr **to, const struct addr *from,
		   unsigned count);

/* A non-blocking socket for the address' family. type: SOCK_DGRAM, ... */
int socket_new(const struct addr *addr, int type);

/* One bound socket of those that net_in_conf asks for. */
struct socket_bound {
	int fd;
	struct addr local; /* with the port that the kernel chose */
};

/*
 * Binds a socket for each local address of conf, or for all IPv6 and all IPv4
 * addresses if there is none; a family that this machine lacks is left out.
 * With port 0 all get the same port. *out has *count sockets, to be freed.
 */
int socket_bind_all(const struct net_in_conf *conf, int type,
		    struct socket_bound **out, unsigned *count, char **error);

/* Sets SO_RCVBUF or SO_SNDBUF, beyond the system's limit if we may. */
void socket_buffer(int fd, int option, uint32_t octets);

/* Binds to the address (version 0: none) and interface (NULL: none). */
int socket_from(int fd, const struct addr *local, const char *interface);

/* Begins to connect; when it is writable, socket_error tells how it went: an
 * errno, 0: well. */
int socket_connect(int fd, const struct addr *remote);
int socket_error(int fd);

/*
 * Finds TCP peers that died silently while nothing is on its way to them: they
 * are asked after so many seconds of silence, and are dead after as many again.
 */
enum {
	SOCKET_IDLE_S = 60,
	/* Who has made the connection and only reads has nothing else to find
	 * out by, and nobody else will make a new one. */
	SOCKET_IDLE_READER_S = 20,
};
void socket_keepalive(int fd, int idle);

/* Datagrams are never fragmented here, and of any size, whatever ICMP has said.
 */
void socket_whole(int fd, uint8_t version);

void socket_names(int fd, struct addr *local, struct addr *remote);

/*
 * Steers the datagrams of a SO_REUSEPORT group of sockets, as conf says, by
 * source address and, unless it asks for the host alone, 4 octets of the
 * payload.
 */
int socket_steer(int fd, uint8_t version, const struct net_in_conf *conf);

#endif
