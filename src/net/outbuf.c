/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "outbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
outbuf_init(struct outbuf *b, size_t size)
{
	memset(b, 0, sizeof(*b));
	b->data = malloc(size);
	b->length = calloc(OUTBUF_MESSAGES, sizeof(*b->length));
	if (!b->data || !b->length) {
		outbuf_fini(b);
		return -ENOMEM;
	}
	b->size = size;
	return 0;
}

void
outbuf_fini(struct outbuf *b)
{
	free(b->data);
	free(b->length);
	memset(b, 0, sizeof(*b));
}

void
outbuf_clear(struct outbuf *b)
{
	b->start = b->end = 0;
	b->first = b->count = b->partial = 0;
}

int
outbuf_add(struct outbuf *b, const uint8_t *message, size_t length)
{
	/* The written part of the first message stays, see unwrite. */
	size_t kept = b->start - b->partial;

	if (b->count == OUTBUF_MESSAGES)
		return -EAGAIN;
	if (length > b->size - b->end) {
		if (length > b->size - (b->end - kept))
			return -EAGAIN;
		memmove(b->data, b->data + kept, b->end - kept);
		b->start -= kept;
		b->end -= kept;
	}
	memcpy(b->data + b->end, message, length);
	b->end += length;
	b->length[(b->first + b->count) % OUTBUF_MESSAGES] = (uint32_t)length;
	b->count++;
	return 0;
}

uint32_t
outbuf_wrote(struct outbuf *b, size_t n)
{
	uint32_t whole = 0;
	size_t part = b->partial + n;

	b->start += n;
	while (b->count && part >= b->length[b->first]) {
		part -= b->length[b->first];
		b->first = (b->first + 1) % OUTBUF_MESSAGES;
		b->count--;
		whole++;
	}
	b->partial = (uint32_t)part;
	if (b->count == 0)
		outbuf_clear(b);
	return whole;
}

void
outbuf_unwrite(struct outbuf *b)
{
	b->start -= b->partial;
	b->partial = 0;
}
