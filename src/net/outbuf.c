/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "outbuf.h"

#include <assert.h>
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
	b->lent_count = 0;
	b->lent_octets = b->lent_written = 0;
}

/* The written part of the first message stays in the block, see unwrite. */
static size_t
block_octets(const struct outbuf *b)
{
	return b->end - b->start + (b->lent_written ? 0 : b->partial);
}

/* Behind the others in the block, in which there is room for it. */
static void
block_add(struct outbuf *b, const uint8_t *message, size_t length)
{
	size_t used = block_octets(b);

	if (length > b->size - b->end) {
		memmove(b->data, b->data + b->end - used, used);
		b->start -= b->end - used;
		b->end = used;
	}
	memcpy(b->data + b->end, message, length);
	b->end += length;
}

static bool
room(const struct outbuf *b, size_t length)
{
	return b->count < OUTBUF_MESSAGES &&
	       length <= b->size - block_octets(b) - b->lent_octets;
}

static void
count_in(struct outbuf *b, size_t length)
{
	b->length[(b->first + b->count++) % OUTBUF_MESSAGES] = (uint32_t)length;
}

int
outbuf_add(struct outbuf *b, const uint8_t *message, size_t length)
{
	assert(!b->lent_count);
	if (!room(b, length))
		return -EAGAIN;
	block_add(b, message, length);
	count_in(b, length);
	return 0;
}

int
outbuf_lend(struct outbuf *b, const uint8_t *message, size_t length)
{
	if (b->lent_count == OUTBUF_LENT || !room(b, length))
		return -EAGAIN;
	b->lent[b->lent_count++] = (struct iovec){(uint8_t *)message, length};
	b->lent_octets += length;
	count_in(b, length);
	return 0;
}

void
outbuf_keep(struct outbuf *b)
{
	size_t written = b->lent_written, length;

	if (written)
		b->start = b->end = 0; /* the block has gone before */
	b->lent_written = 0;
	for (unsigned i = 0; i < b->lent_count; i++) {
		length = b->lent[i].iov_len;
		if (written >= length) {
			written -= length;
			continue;
		}
		block_add(b, b->lent[i].iov_base, length);
		b->start += written;
		written = 0;
	}
	b->lent_count = 0;
	b->lent_octets = 0;
}

int
outbuf_parts(const struct outbuf *b, struct iovec part[OUTBUF_PARTS])
{
	size_t written = b->lent_written, length;
	int n = 0;

	if (b->end > b->start)
		part[n++] =
			(struct iovec){b->data + b->start, b->end - b->start};
	for (unsigned i = 0; i < b->lent_count; i++) {
		length = b->lent[i].iov_len;
		if (written >= length) {
			written -= length;
			continue;
		}
		part[n++] =
			(struct iovec){(uint8_t *)b->lent[i].iov_base + written,
				       length - written};
		written = 0;
	}
	return n;
}

uint32_t
outbuf_wrote(struct outbuf *b, size_t n)
{
	size_t block = b->end - b->start, part = b->partial + n;
	uint32_t whole = 0;

	if (block > n)
		block = n;
	b->start += block;
	b->lent_written += n - block;
	while (b->count && part >= b->length[b->first]) {
		part -= b->length[b->first];
		b->first = (b->first + 1) % OUTBUF_MESSAGES;
		b->count--;
		whole++;
	}
	b->partial = (uint32_t)part;
	if (b->count == 0)
		b->start = b->end = 0;
	return whole;
}

void
outbuf_unwrite(struct outbuf *b)
{
	b->start -= b->partial;
	b->partial = 0;
}
