/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sendq.h"

#include <errno.h>
#include <string.h>

#include "conflux/clock.h"

void
sendq_init(struct sendq *q, struct net_out *out, int fd)
{
	q->out = out;
	q->fd = fd;
	for (unsigned i = 0; i < SENDQ_COUNT; i++) {
		q->header[i].msg_hdr.msg_iov = &q->iov[i];
		q->header[i].msg_hdr.msg_iovlen = 1;
	}
}

bool
sendq_room(const struct sendq *q, size_t length)
{
	return q->count < SENDQ_COUNT && SENDQ_OCTETS - q->used >= length;
}

void
sendq_add(struct sendq *q, const void *datagram, size_t length,
	  uint32_t message)
{
	memcpy(q->buffer + q->used, datagram, length);
	q->iov[q->count].iov_base = q->buffer + q->used;
	q->iov[q->count].iov_len = length;
	q->message[q->count] = message;
	q->used += length;
	q->count++;
}

static void
log_refused(struct sendq *q, int error)
{
	uint32_t held;

	if (!log_limit_pass(&q->log, clock_mono_ms(), &held))
		return;
	if (held)
		log_warning("%s: %s (%u lines held back)", q->out->name,
			    strerror(error), held);
	else
		log_warning("%s: %s", q->out->name, strerror(error));
}

static void
count_sent(struct sendq *q, unsigned n)
{
	for (; n; n--, q->first++) {
		if (!q->message[q->first])
			continue;
		q->out->stats.messages++;
		q->out->stats.octets += q->message[q->first];
	}
}

static void
give_up(struct sendq *q, int error)
{
	if (!q->message[q->first++])
		return;
	q->out->stats.discarded++;
	if (q->out->ops->discarded)
		q->out->ops->discarded(q->out->arg, error);
}

/*
 * An error that the kernel has for us may be an earlier datagram's (ICMP): it
 * is gone with the first call that returned it, so the same is tried again.
 */
int
sendq_flush(struct sendq *q)
{
	bool again = false;
	int n, error;

	while (q->first < q->count) {
		n = sendmmsg(q->fd, q->header + q->first, q->count - q->first,
			     MSG_DONTWAIT);
		if (n > 0) {
			count_sent(q, (unsigned)n);
			again = false;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == ENOBUFS)
			return -EAGAIN;
		error = q->error = errno;
		q->out->stats.refused++;
		log_refused(q, error);
		if (again)
			give_up(q, error);
		again = !again;
	}
	q->first = q->count = 0;
	q->used = 0;
	return 0;
}

unsigned
sendq_messages(const struct sendq *q)
{
	unsigned n = 0;

	for (unsigned i = q->first; i < q->count; i++)
		n += q->message[i] > 0;
	return n;
}
