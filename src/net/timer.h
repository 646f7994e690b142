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

/* Of a connection. */
enum {
	TIMER_CONNECT_MS = 15000, /* the longest that we wait for it */
	TIMER_SOLID_MS = 10000,   /* after that long, back-off begins anew */
};

/*
 * Milliseconds until the next attempt to connect. Doubles from min_ms to max_ms
 * with each call; up to a quarter less, so that many peers of one don't come
 * back in step. *wait_ms remembers; 0 begins anew.
 */
uint32_t timer_back_off(uint32_t min_ms, uint32_t max_ms, uint32_t *wait_ms);

#endif
