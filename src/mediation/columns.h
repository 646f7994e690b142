/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A column: what records of constant length have at one place. Copying columns
 * costs less than copying records piece by piece.
 */
#ifndef CONFLUX_MEDIATION_COLUMNS_H
#define CONFLUX_MEDIATION_COLUMNS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Two overlapping copies of a constant size beat one of any size. */
#define COLUMN_COPY(size)                                                     \
	for (uint32_t i = 0; i < count;                                       \
	     i++, to += to_stride, from += from_stride) {                     \
		memcpy(to, from, (size));                                     \
		memcpy(to + length - (size), from + length - (size), (size)); \
	}

/* length octets of so many records. */
static inline void
column_copy(uint8_t *to, uint32_t to_stride, const uint8_t *from,
	    uint32_t from_stride, uint32_t length, uint32_t count)
{
	for (; length > 64; length -= 64, to += 64, from += 64)
		for (uint32_t i = 0; i < count; i++)
			memcpy(to + (size_t)i * to_stride,
			       from + (size_t)i * from_stride, 64);
	if (length >= 32)
		COLUMN_COPY(32)
	else if (length >= 16)
		COLUMN_COPY(16)
	else if (length >= 8)
		COLUMN_COPY(8)
	else if (length >= 4)
		COLUMN_COPY(4)
	else if (length >= 2)
		COLUMN_COPY(2)
	else if (length)
		COLUMN_COPY(1)
}

#undef COLUMN_COPY

#endif
