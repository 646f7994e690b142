/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocations of a test program, counted, and one of them made to fail. For
 * the one source file of a program that is linked with
 *
 *	-Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc
 *
 * Libraries that are linked dynamically are not concerned.
 *
 *	for (unsigned n = 1; nomem_begin(n), run(), nomem_end(); n++)
 */
#ifndef CONFLUX_TESTS_NOMEM_H
#define CONFLUX_TESTS_NOMEM_H

#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static unsigned nomem_countdown; /* the allocation that fails; 0: none */
static unsigned nomem_calls;
static bool nomem_failed;

/* Whether this is the allocation that fails. */
static inline bool
nomem_fails(void)
{
	nomem_calls++;
	if (nomem_countdown == 0 || --nomem_countdown > 0)
		return false;
	nomem_failed = true;
	return true;
}

/* From now on the n-th allocation fails. */
static inline void
nomem_begin(unsigned n)
{
	nomem_failed = false;
	nomem_countdown = n;
}

/* Returns whether one did fail: false means there were less than n. */
static inline bool
nomem_end(void)
{
	nomem_countdown = 0;
	return nomem_failed;
}

void *
__wrap_malloc(size_t size)
{
	return nomem_fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return nomem_fails() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	return nomem_fails() ? NULL : __real_realloc(old, size);
}

#endif
