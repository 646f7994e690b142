/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Which prefix an address is in: the longest of those that hold it. Made once
 * from a list, then only read, by any number of threads.
 *
 * Prefixes lie within each other or apart. So they are laid flat: sorted ranges
 * without gaps, each with the number of the innermost prefix. What is left to do
 * for an address is a search among their starts, which an index makes short. A
 * trie that goes by the bits of addresses would take several times the memory
 * for IPv6; libraries with such tables (DPDK's, for one) bring much else along.
 */
#ifndef CONFLUX_MEDIATION_PREFIXES_H
#define CONFLUX_MEDIATION_PREFIXES_H

#include <stdint.h>

enum { PREFIXES_NONE = 0 };

struct prefix {
	uint8_t version;   /* 4 or 6 */
	uint8_t length;	   /* bits */
	uint8_t bytes[16]; /* network byte order, no bits behind the length */
	uint32_t value;	   /* not PREFIXES_NONE */
	uint32_t line;	   /* of the file, for messages */
};

struct prefixes;

/*
 * Sorts the list, which is the caller's. -EEXIST: *twice is the index of a
 * prefix that is the same as the one before it; -ENOMEM.
 */
int prefixes_new(struct prefix *list, uint32_t count, struct prefixes **out,
		 uint32_t *twice);
/* NULL is legal. */
void prefixes_free(struct prefixes *prefixes);
/* Of an address in network byte order: the value, or PREFIXES_NONE. */
uint32_t prefixes_find4(const struct prefixes *prefixes, const uint8_t *bytes);
uint32_t prefixes_find6(const struct prefixes *prefixes, const uint8_t *bytes);

#endif
