/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "ring.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Before each entry. An entry never wraps: the rest of the ring is skipped. */
struct entry {
	uint32_t length; /* with this head, a multiple of 8 */
	uint32_t skip;   /* 1: nothing but the rest of the ring */
};

struct ring {
	uint8_t *data;
	size_t size;
	int fd;
	size_t reserved;     /* octets that commit adds; of the writer */
	/* On cache lines of their own: each is written by one side only. */
	_Alignas(64) atomic_size_t written;
	_Alignas(64) atomic_size_t read;
	_Alignas(64) atomic_bool sleeping;
};

int
ring_new(size_t size, struct ring **out)
{
	struct ring *ring = aligned_alloc(64, sizeof(*ring));

	if (!ring)
		return -ENOMEM;
	*ring = (struct ring){.size = size, .data = malloc(size)};
	ring->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!ring->data || ring->fd < 0) {
		ring_free(ring);
		return -ENOMEM;
	}
	atomic_store(&ring->sleeping, true);
	*out = ring;
	return 0;
}

void
ring_free(struct ring *ring)
{
	if (!ring)
		return;
	if (ring->fd >= 0)
		close(ring->fd);
	free(ring->data);
	free(ring);
}

static struct entry *
entry_at(struct ring *ring, size_t position)
{
	return (struct entry *)(ring->data + (position & (ring->size - 1)));
}

void *
ring_reserve(struct ring *ring, size_t length)
{
	size_t at = atomic_load_explicit(&ring->written, memory_order_relaxed);
	size_t used = at - atomic_load_explicit(&ring->read,
						memory_order_acquire);
	size_t need = (length + sizeof(struct entry) + 7) & ~(size_t)7;
	size_t to_end = ring->size - (at & (ring->size - 1));
	size_t skip = to_end < need ? to_end : 0;
	struct entry *entry;

	if (need > ring->size / 4 + 64 || used + skip + need > ring->size)
		return NULL;
	if (skip) {
		entry = entry_at(ring, at);
		entry->length = (uint32_t)skip;
		entry->skip = 1;
	}
	entry = entry_at(ring, at + skip);
	entry->length = (uint32_t)need;
	entry->skip = 0;
	ring->reserved = skip + need;
	return entry + 1;
}

void
ring_commit(struct ring *ring)
{
	uint64_t one = 1;

	atomic_fetch_add(&ring->written, ring->reserved);
	ring->reserved = 0;
	if (atomic_exchange(&ring->sleeping, false) &&
	    write(ring->fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: the reader is woken anyway */
}

size_t
ring_used(const struct ring *ring)
{
	return atomic_load(&ring->written) - atomic_load(&ring->read);
}

size_t
ring_position(const struct ring *ring)
{
	return atomic_load_explicit(&ring->written, memory_order_relaxed);
}

bool
ring_passed(const struct ring *ring, size_t position)
{
	size_t read = atomic_load_explicit(&ring->read, memory_order_acquire);

	/* Positions wrap around; a ring is never that large. */
	return read - position <= SIZE_MAX / 2;
}

size_t
ring_size(const struct ring *ring)
{
	return ring->size;
}

const void *
ring_peek(struct ring *ring)
{
	size_t at = atomic_load_explicit(&ring->read, memory_order_relaxed);
	struct entry *entry;

	if (at == atomic_load_explicit(&ring->written, memory_order_acquire))
		return NULL;
	entry = entry_at(ring, at);
	if (entry->skip) {
		/* The entry behind it was committed together with it. */
		atomic_store_explicit(&ring->read, at + entry->length,
				      memory_order_release);
		entry = entry_at(ring, at + entry->length);
	}
	return entry + 1;
}

void
ring_release(struct ring *ring)
{
	size_t at = atomic_load_explicit(&ring->read, memory_order_relaxed);

	atomic_store_explicit(&ring->read, at + entry_at(ring, at)->length,
			      memory_order_release);
}

int
ring_fd(const struct ring *ring)
{
	return ring->fd;
}

void
ring_woken(struct ring *ring)
{
	uint64_t count;

	if (read(ring->fd, &count, sizeof(count)) < 0)
		return; /* somebody was faster: the reader looks anyway */
}

bool
ring_sleep(struct ring *ring)
{
	atomic_store(&ring->sleeping, true);
	if (ring_used(ring) == 0)
		return true;
	atomic_store(&ring->sleeping, false);
	return false;
}
