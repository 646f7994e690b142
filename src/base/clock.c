/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "conflux/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t
now_ms(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t
clock_mono_ms(void)
{
	return now_ms(CLOCK_MONOTONIC);
}

uint64_t
clock_wall_ms(void)
{
	return now_ms(CLOCK_REALTIME);
}

char *
clock_format(char *text, uint64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	size_t n;

	if (!gmtime_r(&seconds, &tm) || tm.tm_year > 8099) {
		snprintf(text, CLOCK_TEXT_SIZE, "9999-12-31T23:59:59.999Z");
		return text;
	}
	n = strftime(text, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, CLOCK_TEXT_SIZE - n, ".%03uZ",
		 (unsigned)(wall_ms % 1000));
	return text;
}
