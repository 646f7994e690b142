/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages on their way into a stream: one block of octets and the lengths of
 * the messages in it, so that it is known which of them went out whole.
 */
#ifndef CONFLUX_NET_OUTBUF_H
#define CONFLUX_NET_OUTBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OUTBUF_MESSAGES = 4096 };

struct outbuf {
	uint8_t *data;
	size_t size;
	size_t start, end;   /* the octets that are not written yet */
	uint32_t first;      /* index of the first length in the ring */
	uint32_t count;      /* messages that are not written whole */
	uint32_t partial;    /* octets of the first that are written */
	uint32_t *length;    /* ring of OUTBUF_MESSAGES */
};

int outbuf_init(struct outbuf *b, size_t size); /* 0 or -ENOMEM */
void outbuf_fini(struct outbuf *b);

static inline size_t
outbuf_octets(const struct outbuf *b)
{
	return b->end - b->start;
}

/* 0, or -EAGAIN if there is no room. */
int outbuf_add(struct outbuf *b, const uint8_t *message, size_t length);

/* n octets were written. Returns the messages that are now out whole. */
uint32_t outbuf_wrote(struct outbuf *b, size_t n);

/* Takes back the written part of the first message. */
void outbuf_unwrite(struct outbuf *b);

void outbuf_clear(struct outbuf *b);

#endif
