/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Octets written as hexadecimal text, spaces allowed, for readable tests. */
#ifndef CONFLUX_TESTS_OCTETS_H
#define CONFLUX_TESTS_OCTETS_H

#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct octets {
	uint8_t *data; /* exactly length octets, so that overreads are seen */
	size_t length;
};

static inline struct octets
octets(const char *hex)
{
	struct octets o = {malloc(4096), 0};
	int digits = 0, value = 0;

	for (; o.data && *hex; hex++) {
		if (!isxdigit((unsigned char)*hex))
			continue;
		value = value * 16 + (isdigit((unsigned char)*hex)
					      ? *hex - '0'
					      : (*hex | 32) - 'a' + 10);
		if (++digits % 2 == 0) {
			o.data[o.length++] = (uint8_t)value;
			value = 0;
		}
	}
	o.data = realloc(o.data, o.length ? o.length : 1);
	return o;
}

#endif
