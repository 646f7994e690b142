/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of octets between two threads: one writes entries, one reads them in
 * order. No locks. The reader sleeps on an eventfd.
 */
#ifndef CONFLUX_RUNTIME_RING_H
#define CONFLUX_RUNTIME_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring;

/* size: octets, a power of 2. 0 or a negative errno. */
int ring_new(size_t size, struct ring **out);
void ring_free(struct ring *ring);

/* ---- the writer ---------------------------------------------------------- */

/*
 * Room for an entry (8 octets aligned), or NULL if it does not fit now.
 * An entry must not be longer than a quarter of the ring.
 */
void *ring_reserve(struct ring *ring, size_t length);
/* Hands the reserved entry over and wakes the reader. */
void ring_commit(struct ring *ring);
/* Octets in use, and the size. */
size_t ring_used(const struct ring *ring);
size_t ring_size(const struct ring *ring);
/* Octets ever written; has the reader released what was before that? */
size_t ring_position(const struct ring *ring);
bool ring_passed(const struct ring *ring, size_t position);

/* ---- the reader ---------------------------------------------------------- */

/* The next entry, or NULL. It stays until ring_release. */
const void *ring_peek(struct ring *ring);
void ring_release(struct ring *ring);
/*
 * Readable when there is something after ring_sleep; ring_woken takes that
 * back.
 */
int ring_fd(const struct ring *ring);
void ring_woken(struct ring *ring);
/* Before going to sleep. False if there is something again: read on. */
bool ring_sleep(struct ring *ring);

#endif
