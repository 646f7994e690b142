/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash functions for selecting packets (RFC 5475 section 6.2): the same packet
 * has the same value at each Observation Point.
 */
#ifndef CONFLUX_SELECTION_HASH_H
#define CONFLUX_SELECTION_HASH_H

#include <stddef.h>
#include <stdint.h>

/* RFC 5475 A.2, by R. Jenkins. */
uint32_t selection_bob(const uint8_t *data, size_t length, uint32_t start);
/* RFC 5475 A.1: of 16 octets, f1 to f4; 16 bits. */
uint32_t selection_ipsx(const uint8_t data[16]);
/*
 * CRC-32 of IEEE 802.3 (polynomial 0x04c11db7, reflected, inverted at both
 * ends), as zlib's crc32(start, data, length). RFC 5475 does not say which one.
 */
uint32_t selection_crc(const uint8_t *data, size_t length, uint32_t start);

#endif
