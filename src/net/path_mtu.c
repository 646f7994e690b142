/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * draft-mentz-ipfix-dtls-recommendations section 3.2.2: a request of the size
 * of the estimate is answered, or the estimate is lowered and the next is sent.
 *
 * The largest size comes first, as it is right on most paths: one question. If
 * it is not, sizes that links and tunnels have are likely, from above; what is
 * left between the last two answers is halved.
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

static uint32_t
next_size(const struct path_mtu *p)
{
	if (p->bad > p->ceiling)
		return p->ceiling;
	if (p->bad - p->good <= PATH_MTU_STEP)
		return 0;
	for (size_t i = 0; i < sizeof(likely) / sizeof(likely[0]); i++)
		if (likely[i] < p->bad && likely[i] > p->good)
			return likely[i];
	return p->good + (p->bad - p->good) / 2;
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
