/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams that wait to be sent by a connected socket: collected, and handed
 * to the kernel with one call.
 */
#ifndef CONFLUX_NET_SENDQ_H
#define CONFLUX_NET_SENDQ_H

#include <stdbool.h>
#include <sys/socket.h>

#include "conflux/log.h"
#include "out.h"

enum {
	SENDQ_COUNT = 64,
	SENDQ_OCTETS = 262144,
};

struct sendq {
	struct net_out *out; /* its stats are kept, its owner is told */
	int fd;
	unsigned first, count;
	size_t used; /* octets of the buffer */
	int error;   /* the last of the kernel; the owner may clear it */
	struct log_limit log;
	struct mmsghdr header[SENDQ_COUNT];
	struct iovec iov[SENDQ_COUNT];
	/* Octets of the message in it as its owner knows it; 0: none of the
	 * owner's, it is in no account. */
	uint32_t message[SENDQ_COUNT];
	uint8_t buffer[SENDQ_OCTETS];
};

void sendq_init(struct sendq *q, struct net_out *out, int fd);
/* Is there room for a datagram of that length? */
bool sendq_room(const struct sendq *q, size_t length);
/* Copies it; there must be room. */
void sendq_add(struct sendq *q, const void *datagram, size_t length,
	       uint32_t message);
/* 0: all are with the kernel, or given up. -EAGAIN: when it is writable. */
int sendq_flush(struct sendq *q);
/* Messages of the owner that wait. */
unsigned sendq_messages(const struct sendq *q);

#endif
