/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What both SCTP stacks share: which one is taken, and small questions. */
#include "sctp.h"

#include <errno.h>
#include <string.h>

#include "socket.h"

const struct sctp_stack *
sctp_stack_choose(enum net_sctp_stack which, char **error)
{
	const struct sctp_stack *stack =
		which == NET_SCTP_USERLAND ? &sctp_userland : &sctp_kernel;
	int rc = stack->probe();

	if (rc < 0 && which == NET_SCTP_AUTO)
		return &sctp_userland;
	if (rc == 0)
		return stack;
	*error = net_error("there is no SCTP in this system (%s); the stack "
			   "\"userland\" needs none",
			   strerror(-rc));
	return NULL;
}

int
sctp_family(const struct addr *list, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (list[i].version == 6)
			return AF_INET6;
	return count ? AF_INET : AF_INET6;
}

const char *
sctp_lost_reason(const struct assoc_event *event)
{
	if (event->reason)
		return event->reason;
	switch (event->error) {
	case ETIMEDOUT:
		return "the peer does not answer";
	case ECONNREFUSED:
		return "the peer refuses the association";
	case ECONNRESET:
		return "the peer aborted the association";
	default:
		return "the association was lost";
	}
}

static bool
is_loopback(const struct addr *addr)
{
	static const uint8_t loopback[16] = {[15] = 1};

	return addr->version == 4 ? addr->bytes[0] == 127
				  : memcmp(addr->bytes, loopback, 16) == 0;
}

void
sctp_choose_local(const struct addr *list, unsigned count,
		  const struct addr *remote, struct addr *local)
{
	int best = -1, points;

	for (unsigned i = 0; i < count; i++) {
		points = 2 * (list[i].version == remote->version) +
			 (is_loopback(&list[i]) == is_loopback(remote));
		if (points > best) {
			*local = list[i];
			best = points;
		}
	}
}
