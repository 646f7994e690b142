/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages that wait for a destination, one behind the other in chunks of
 * memory. Chunks are used again, so a queue that was full once needs no more
 * memory; a message never spans two chunks, because it is sent as one piece.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exporting.h"

#define CHUNK_OCTETS (256u << 10)
#define ALIGN(n) (((n) + 7u) & ~(size_t)7)

struct chunk {
	struct chunk *next;
	size_t size, head, tail;
	uint8_t data[];
};

static struct chunk *
chunk_new(struct queue *q, size_t need)
{
	struct chunk *c = q->spare;
	size_t size = need > CHUNK_OCTETS ? need : CHUNK_OCTETS;

	if (c && c->size >= need) {
		q->spare = c->next;
	} else {
		c = malloc(sizeof(*c) + size);
		if (!c)
			return NULL;
		c->size = size;
	}
	c->next = NULL;
	c->head = c->tail = 0;
	return c;
}

static int
reserve(struct queue *q, size_t need)
{
	struct chunk *c = q->tail;

	if (c && c->size - c->tail >= need)
		return 0;
	c = chunk_new(q, need);
	if (!c)
		return -ENOMEM;
	/* Reserved before, and never used. */
	if (q->tail && !q->messages && q->head == q->tail) {
		q->tail->next = q->spare;
		q->spare = q->tail;
		q->head = q->tail = NULL;
	}
	if (q->tail)
		q->tail->next = c;
	else
		q->head = c;
	q->tail = c;
	return 0;
}

int
queue_reserve(struct queue *q, uint32_t octets, uint32_t messages)
{
	return reserve(q, octets + messages * (sizeof(struct queue_entry) +
					       2 * ALIGN(1)));
}

int
queue_push(struct queue *q, const struct queue_entry *entry,
	   const uint8_t *message)
{
	size_t need = ALIGN(sizeof(*entry)) + ALIGN(entry->length);
	struct chunk *c;

	if (reserve(q, need))
		return -ENOMEM;
	c = q->tail;
	memcpy(c->data + c->tail, entry, sizeof(*entry));
	memcpy(c->data + c->tail + ALIGN(sizeof(*entry)), message,
	       entry->length);
	q->newest = (struct queue_entry *)(c->data + c->tail);
	c->tail += need;
	q->octets += entry->length;
	q->messages++;
	q->records += entry->records;
	return 0;
}

struct queue_entry *
queue_newest(const struct queue *q)
{
	return q->newest;
}

const struct queue_entry *
queue_peek(struct queue *q, uint8_t **message)
{
	struct chunk *c = q->head;
	const struct queue_entry *entry;

	if (!c || !q->messages)
		return NULL;
	entry = (const struct queue_entry *)(c->data + c->head);
	*message = c->data + c->head + ALIGN(sizeof(*entry));
	return entry;
}

void
queue_pop(struct queue *q)
{
	struct chunk *c = q->head;
	const struct queue_entry *entry =
		(const struct queue_entry *)(c->data + c->head);

	q->octets -= entry->length;
	q->messages--;
	q->records -= entry->records;
	c->head += ALIGN(sizeof(*entry)) + ALIGN(entry->length);
	if (c->head < c->tail)
		return;
	q->head = c->next;
	if (!q->head)
		q->tail = NULL;
	if (c->size > CHUNK_OCTETS) {
		free(c);
		return;
	}
	c->next = q->spare;
	q->spare = c;
}

static void
chunks_free(struct chunk *c)
{
	while (c) {
		struct chunk *next = c->next;

		free(c);
		c = next;
	}
}

void
queue_fini(struct queue *q)
{
	chunks_free(q->head);
	chunks_free(q->spare);
	memset(q, 0, sizeof(*q));
}
