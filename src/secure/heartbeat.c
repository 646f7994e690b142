/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 6520 section 4: a message is a type, the length of its payload, the
 * payload, and padding of at least 16 random octets. A request is answered with
 * a message of the same payload. One whose payload would reach into the padding
 * or beyond the message is discarded without a word: to believe that length was
 * the error known as Heartbleed.
 *
 * Section 3: only one request may be under way; over datagrams it is sent again
 * by the timers of DTLS; an answer with another payload is discarded. Section
 * 5.1: large requests find the path MTU. Ours are large by their padding, so
 * that the answer is small: the path back may take less.
 */
#include "heartbeat.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

#include "conflux/wire.h"

enum { REQUEST = 1, RESPONSE = 2 };

/* RFC 6520 section 4: what it is filled with is random. */
static void
fill_random(uint8_t *p, size_t length)
{
	/* Octets that can't be had are no secret that would be lost. */
	if (gnutls_rnd(GNUTLS_RND_NONCE, p, length) < 0)
		memset(p, 0, length);
}

int
heartbeat_begin(struct heartbeat *h, uint32_t length, unsigned tries,
		uint32_t wait_ms, uint64_t now_ms)
{
	if (h->state == HEARTBEAT_PENDING)
		return -EBUSY;
	if (length < HEARTBEAT_MIN)
		length = HEARTBEAT_MIN;
	if (length > HEARTBEAT_MAX)
		return -EMSGSIZE;
	fill_random(h->payload, sizeof(h->payload));
	h->state = HEARTBEAT_PENDING;
	h->length = length;
	h->left = tries ? tries : 1;
	h->sent = 0;
	h->wait_ms = wait_ms ? wait_ms : HEARTBEAT_WAIT_MS;
	h->due_ms = now_ms;
	return 0;
}

bool
heartbeat_due(struct heartbeat *h, uint64_t now_ms)
{
	if (h->state != HEARTBEAT_PENDING || now_ms < h->due_ms)
		return false;
	if (h->left)
		return true;
	h->state = HEARTBEAT_FAILED;
	return false;
}

size_t
heartbeat_write(struct heartbeat *h, uint8_t *out, uint64_t now_ms)
{
	size_t used = HEARTBEAT_HEAD + HEARTBEAT_PAYLOAD;

	out[0] = REQUEST;
	wire_put16(out + 1, HEARTBEAT_PAYLOAD);
	memcpy(out + HEARTBEAT_HEAD, h->payload, HEARTBEAT_PAYLOAD);
	fill_random(out + used, h->length - used);
	h->sent++;
	h->left--;
	h->sent_ms = now_ms;
	h->due_ms = now_ms + h->wait_ms;
	h->wait_ms = h->wait_ms > HEARTBEAT_WAIT_MAX_MS / 2
			     ? HEARTBEAT_WAIT_MAX_MS
			     : h->wait_ms * 2;
	h->requests++;
	return h->length;
}

int64_t
heartbeat_wait(const struct heartbeat *h, uint64_t now_ms)
{
	if (h->state != HEARTBEAT_PENDING)
		return -1;
	return h->due_ms > now_ms ? (int64_t)(h->due_ms - now_ms) : 0;
}

static size_t
answer_request(struct heartbeat *h, const uint8_t *message,
	       size_t payload_length, uint8_t *answer)
{
	size_t used = HEARTBEAT_HEAD + payload_length;

	h->asked++;
	memcpy(answer, message, used);
	answer[0] = RESPONSE;
	fill_random(answer + used, HEARTBEAT_PADDING);
	return used + HEARTBEAT_PADDING;
}

static void
take_answer(struct heartbeat *h, const uint8_t *payload, size_t length,
	    uint64_t now_ms)
{
	if (h->state != HEARTBEAT_PENDING || length != HEARTBEAT_PAYLOAD ||
	    memcmp(payload, h->payload, HEARTBEAT_PAYLOAD) != 0) {
		h->ignored++;
		return;
	}
	h->state = HEARTBEAT_ANSWERED;
	h->answers++;
	/* Of several transmissions it is not known which was answered. */
	if (h->sent == 1)
		h->answer_ms = (uint32_t)(now_ms - h->sent_ms);
}

size_t
heartbeat_read(struct heartbeat *h, const uint8_t *message, size_t length,
	       uint8_t *answer, uint64_t now_ms)
{
	size_t payload_length;

	if (length < HEARTBEAT_HEAD + HEARTBEAT_PADDING ||
	    length > HEARTBEAT_MAX) {
		h->ignored++;
		return 0;
	}
	payload_length = wire_get16(message + 1);
	if (payload_length > length - HEARTBEAT_HEAD - HEARTBEAT_PADDING) {
		h->ignored++;
		return 0;
	}
	if (message[0] == REQUEST)
		return answer_request(h, message, payload_length, answer);
	if (message[0] == RESPONSE)
		take_answer(h, message + HEARTBEAT_HEAD, payload_length,
			    now_ms);
	else
		h->ignored++;
	return 0;
}
