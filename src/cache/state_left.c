/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What a state file says of flows that have left since it was written. */
#include <errno.h>
#include <stdlib.h>

#include "conflux/hash.h"
#include "state.h"

enum { LEFT_START = 1024, LEFT_MAX = 1 << 28 };

static uint64_t *
slot_of(uint64_t *slot, uint32_t mask, uint32_t number)
{
	uint32_t at = (uint32_t)hash_u64(number, 0) & mask;

	while (slot[at] && (uint32_t)slot[at] != number)
		at = (at + 1) & mask;
	return &slot[at];
}

static int
grow(struct state_left *left)
{
	uint32_t mask = left->slot ? left->mask * 2 + 1 : LEFT_START - 1;
	uint64_t *slot;

	if (mask >= LEFT_MAX)
		return -ENOSPC;
	slot = calloc((size_t)mask + 1, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	for (uint32_t i = 0; left->slot && i <= left->mask; i++)
		if (left->slot[i])
			*slot_of(slot, mask, (uint32_t)left->slot[i]) =
				left->slot[i];
	free(left->slot);
	left->slot = slot;
	left->mask = mask;
	return 0;
}

int
state_left_add(struct state_left *left, uint32_t number, uint8_t what)
{
	uint64_t *slot;

	if (!left->slot || left->count >= left->mask - left->mask / 4) {
		int rc = grow(left);

		if (rc < 0)
			return rc;
	}
	slot = slot_of(left->slot, left->mask, number);
	left->count += *slot == 0;
	/* The low half of a slot that is in use may be 0, the high one not. */
	if (what == STATE_GONE || *slot == 0)
		*slot = (uint64_t)what << 32 | number;
	return 0;
}

uint8_t
state_left_find(const struct state_left *left, uint32_t number)
{
	if (!left->slot)
		return 0;
	return (uint8_t)(*slot_of(left->slot, left->mask, number) >> 32);
}

void
state_left_fini(struct state_left *left)
{
	free(left->slot);
	*left = (struct state_left){0};
}
