/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The sockets of a receiver of datagrams: those of UDP and of DTLS over it. */
#ifndef CONFLUX_NET_DATAGRAMS_H
#define CONFLUX_NET_DATAGRAMS_H

#include <sys/socket.h>

#include "in.h"

enum { DATAGRAM_BURST = 64 }; /* datagrams per call */

struct datagrams;
struct datagram_control; /* what comes beside a datagram */

struct datagram_socket {
	struct datagrams *in;
	int fd;
	struct addr local;
	struct event *readable;
	struct event *poll; /* timer, NULL if the buffer is too small */
	uint32_t drops;	    /* the kernel's count when last asked */
	void *user;	    /* of the function that takes */
};

/* Takes count datagrams; times are monotonic and wall clock. */
typedef void (*datagrams_take)(struct datagram_socket *socket,
			       const struct mmsghdr *header, unsigned count,
			       uint64_t mono, uint64_t wall);

struct datagrams {
	struct net_in *net;
	datagrams_take take;
	struct datagram_socket *socket;
	unsigned count;
	uint8_t *slots;
	struct mmsghdr header[DATAGRAM_BURST];
	struct iovec iov[DATAGRAM_BURST];
	struct sockaddr_storage name[DATAGRAM_BURST];
	struct datagram_control *control; /* or NULL */
};

/* Binds what the configuration of net asks for, and begins to read. */
int datagrams_open(struct datagrams *in, struct net_in *net,
		   datagrams_take take, char **error);
/*
 * For those who answer: before datagrams_open, so that each datagram tells the
 * address that it was sent to. -ENOMEM.
 */
int datagrams_want_local(struct datagrams *in);
/* That address; of the socket, where nothing is known. */
void datagram_local(const struct datagram_socket *socket,
		    const struct mmsghdr *header, struct addr *local);
/* Sends from that address. Datagrams that can't be sent are lost. */
void datagram_send(const struct datagram_socket *socket,
		   const struct addr *local, const struct addr *remote,
		   const void *data, size_t length);

/* Tells of datagrams that the kernel dropped ("dropped"); returns how many. */
uint64_t datagrams_tick(struct datagrams *in);
/* Before the close: takes what has arrived, and tells of the last drops. */
void datagrams_last(struct datagrams *in);
/* After a failed open, too. */
void datagrams_close(struct datagrams *in);

#endif
