/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages on their way into a stream: one block of octets and the lengths of
 * the messages in it, so that it is known which of them went out whole. Behind
 * the block messages can stand that are only lent, so that large ones need not
 * be copied if they go out soon.
 */
#ifndef CONFLUX_NET_OUTBUF_H
#define CONFLUX_NET_OUTBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
	OUTBUF_MESSAGES = 4096,
	OUTBUF_LENT = 16,
	OUTBUF_PARTS = OUTBUF_LENT + 1,
};

struct outbuf {
	uint8_t *data;
	size_t size;
	size_t start, end;   /* the octets that are not written yet */
	struct iovec lent[OUTBUF_LENT]; /* whole messages, behind these */
	unsigned lent_count;
	size_t lent_octets;  /* of them all */
	size_t lent_written; /* octets of them, from the first on */
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
	return b->end - b->start + b->lent_octets - b->lent_written;
}

/* 0, or -EAGAIN if there is no room. Not while there are lent ones. */
int outbuf_add(struct outbuf *b, const uint8_t *message, size_t length);

/*
 * The same without a copy: the message has to stay as it is until outbuf_keep
 * or outbuf_clear, and whoever lent it finds it in b->lent until then.
 */
int outbuf_lend(struct outbuf *b, const uint8_t *message, size_t length);

/* Copies what is not yet written of messages that are lent. */
void outbuf_keep(struct outbuf *b);

/* Where the octets are that are to be written. Returns how many parts. */
int outbuf_parts(const struct outbuf *b, struct iovec part[OUTBUF_PARTS]);

/* n octets were written. Returns the messages that are now out whole. */
uint32_t outbuf_wrote(struct outbuf *b, size_t n);

/* Takes back the written part of the first message. */
void outbuf_unwrite(struct outbuf *b);

void outbuf_clear(struct outbuf *b);

#endif
