/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A keyed, fast, non-cryptographic hash (multiply and fold). Tables that a peer
 * can fill use a random seed (hash_seed), so collisions cannot be prepared.
 */
#ifndef CONFLUX_HASH_H
#define CONFLUX_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t
hash_fold(uint64_t a, uint64_t b)
{
	__uint128_t m = (__uint128_t)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t
hash_u64(uint64_t v, uint64_t seed)
{
	return hash_fold(v ^ 0x9e3779b97f4a7c15u, seed ^ 0xe7037ed1a0b428dbu);
}

/* length is a multiple of 8 (callers pad with zeros). */
static inline uint64_t
hash_words(const void *data, size_t length, uint64_t seed)
{
	const uint8_t *p = data;
	uint64_t h = seed ^ length;
	uint64_t a, b;

	for (; length >= 16; p += 16, length -= 16) {
		memcpy(&a, p, 8);
		memcpy(&b, p + 8, 8);
		h = hash_fold(a ^ h, b ^ 0xa0761d6478bd642fu);
	}
	if (length) {
		memcpy(&a, p, 8);
		h = hash_fold(a ^ h, 0x8ebc6af09c88c6e3u);
	}
	return hash_fold(h, 0x589965cc75374cc3u);
}

/* Any length. */
uint64_t hash_bytes(const void *data, size_t length, uint64_t seed);

/* A random number from the kernel. */
uint64_t hash_seed(void);

#endif
