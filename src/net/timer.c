/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "timer.h"

#include "conflux/hash.h"

enum { RETRY_MIN_MS = 50 };

uint32_t
timer_back_off(uint32_t min_ms, uint32_t max_ms, uint32_t *wait_ms)
{
	uint32_t wait;

	if (min_ms < RETRY_MIN_MS)
		min_ms = RETRY_MIN_MS;
	if (max_ms < min_ms)
		max_ms = min_ms;
	wait = *wait_ms < min_ms ? min_ms : *wait_ms;
	*wait_ms = wait > max_ms / 2 ? max_ms : wait * 2;
	if (wait > max_ms)
		wait = max_ms;
	return wait - (uint32_t)(hash_seed() % (wait / 4 + 1));
}
