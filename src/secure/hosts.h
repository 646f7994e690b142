/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Which addresses the names of peers have; see hosts.c. */
#ifndef CONFLUX_SECURE_HOSTS_H
#define CONFLUX_SECURE_HOSTS_H

#include "conflux/secure.h"

struct hosts;

/* Looks up the names of both lists, which it copies; blocks. owner: for log
 * lines. 0 or -ENOMEM. */
int hosts_new(const struct secure_list *first, const struct secure_list *second,
	      const char *owner, struct hosts **out);
/* NULL is legal. */
void hosts_release(struct hosts *hosts);
/* Looks them up again, in a thread. */
void hosts_refresh(struct hosts *hosts);
/* Has the name at this place of the lists this address, as of the last answer?
 */
bool hosts_have(struct hosts *hosts, unsigned at, const struct addr *addr);

#endif
