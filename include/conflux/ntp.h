/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The NTP timestamps of dateTimeMicroseconds and dateTimeNanoseconds
 * (RFC 7011 sections 6.1.9 and 6.1.10): seconds since 1900 and a binary
 * fraction. Seconds below the start of 1970 are of the era that begins in 2036.
 */
#ifndef CONFLUX_NTP_H
#define CONFLUX_NTP_H

#include <stdint.h>

#define NTP_UNIX 2208988800u
#define NSEC_PER_SEC 1000000000u

static inline uint64_t
ntp_to_ns(uint64_t ntp)
{
	uint64_t seconds = ntp >> 32;
	uint64_t fraction = ntp & 0xffffffffu;

	if (seconds < NTP_UNIX)
		seconds += (uint64_t)1 << 32;
	/* Rounded to the nearest, so that ns -> NTP -> ns is the identity. */
	return (seconds - NTP_UNIX) * NSEC_PER_SEC +
	       ((fraction * NSEC_PER_SEC + ((uint64_t)1 << 31)) >> 32);
}

static inline uint64_t
ntp_from_ns(uint64_t ns)
{
	uint64_t seconds = ns / NSEC_PER_SEC + NTP_UNIX;
	uint64_t rest = ns % NSEC_PER_SEC;

	return seconds << 32 |
	       ((rest << 32) + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
}

/*
 * Microseconds: the lowest 11 bits of the fraction are not significant and
 * written as zeros (6.1.9); so the fraction is rounded up to the next multiple of 2^11,
 * which keeps the microsecond when it is read back and truncated.
 */
static inline uint64_t
ntp_from_ns_micro(uint64_t ns)
{
	uint64_t ntp = ntp_from_ns(ns / 1000 * 1000);

	return (ntp + 0x7ff) & ~(uint64_t)0x7ff;
}

#endif
