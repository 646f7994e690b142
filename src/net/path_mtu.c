/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * draft-mentz-ipfix-dtls-recommendations section 3.2.2: a request of the size
 * of the estimate is answered, or the estimate is lowered and the next is sent.
 *
 * The largest size comes first, as it is right on most paths: one question. If
 * it is not, sizes that links and tunnels have are likely; of them, and then of
 * what is left between the last two answers, the middle is asked.
 */
#include "path_mtu.h"

#include <stddef.h>

/* UDP payload over IPv4 of: Ethernet, PPPoE, 6in4, GRE, VXLAN, WireGuard, the
 * least of IPv6. A few octets less for the rest is what the steps are for. */
static const uint16_t likely[] = {1472, 1464, 1452, 1448, 1422, 1392, 1232};

void
path_mtu_begin(struct path_mtu *p, uint32_t least, uint32_t most)
{
	if (most < least)
		most = least;
	*p = (struct path_mtu){.good = least, .bad = most + 1, .ceiling = most};
}

/* The middle one of those that are left, or the middle of the range. */
static uint32_t
likely_size(const struct path_mtu *p)
{
	size_t first = 0, last = sizeof(likely) / sizeof(likely[0]);

	while (first < last && likely[first] >= p->bad)
		first++;
	while (first < last && likely[last - 1] <= p->good)
		last--;
	if (first == last)
		return p->good + (p->bad - p->good) / 2;
	return likely[first + (last - first) / 2];
}

static uint32_t
next_size(const struct path_mtu *p)
{
	if (p->bad > p->ceiling)
		return p->ceiling;
	if (p->bad - p->good <= PATH_MTU_STEP)
		return 0;
	return likely_size(p);
}

uint32_t
path_mtu_ask(struct path_mtu *p)
{
	if (!p->asked && p->good < p->ceiling)
		p->asked = next_size(p);
	return p->asked;
}

void
path_mtu_answer(struct path_mtu *p, bool came_through)
{
	if (came_through)
		p->good = p->asked;
	else
		p->bad = p->asked;
	p->asked = 0;
}

void
path_mtu_hint(struct path_mtu *p, uint32_t most)
{
	if (most < p->good || most >= p->ceiling)
		return;
	p->ceiling = most;
	if (p->bad > most + 1)
		p->bad = most + 1;
}
