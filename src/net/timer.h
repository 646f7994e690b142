/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFLUX_NET_TIMER_H
#define CONFLUX_NET_TIMER_H

#include <event2/event.h>
#include <stdint.h>

/* The event comes once, in so many milliseconds, whatever it was set to. */
static inline void
timer_start(struct event *event, uint64_t ms)
{
	struct timeval tv = {.tv_sec = (time_t)(ms / 1000),
			     .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	evtimer_add(event, &tv);
}

#endif
