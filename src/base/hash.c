/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "conflux/hash.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

uint64_t
hash_bytes(const void *data, size_t length, uint64_t seed)
{
	const uint8_t *p = data;
	size_t whole = length & ~(size_t)7;
	uint64_t last = 0;

	memcpy(&last, p + whole, length - whole);
	return hash_fold(hash_words(p, whole, seed) ^ last,
			 0x1d8e4e27c47d124fu ^ length);
}

uint64_t
hash_seed(void)
{
	struct timespec ts;
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), 0) == sizeof(seed))
		return seed;
	/* A kernel without it: guessable, but not the same at each start. */
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return hash_u64((uint64_t)ts.tv_nsec, (uint64_t)ts.tv_sec);
}
