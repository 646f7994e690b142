/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 6347 section 4.2.1: before a server keeps anything of a client, and
 * before it computes anything expensive, the client has to bring back a cookie
 * that was sent to its address: a MAC over that address. So a flood from false
 * addresses leaves nothing behind, and as the cookie is smaller than what asked
 * for it, nobody else is flooded by it either.
 *
 * The key changes; the one before stays good, for clients in between.
 */
#include <gnutls/dtls.h>
#include <gnutls/gnutls.h>
#include <string.h>

#include "dtls_context.h"
#include "dtls_record.h"

enum {
	CLIENT_HELLO = 1,
	/*
	 * Octets of the shortest: 12 of a handshake message, 2 of the version,
	 * 32 random ones, no session and no cookie, one suite, no compression.
	 * What is shorter is none; the answer would be longer than it.
	 */
	HELLO_MIN = 12 + 2 + 32 + 1 + 1 + 4 + 2,
	KEY_MS = 60000,
};

bool
dtls_is_hello(const uint8_t *datagram, size_t length)
{
	struct record record;

	return record_read(&record, datagram, length) &&
	       record.type == DTLS_HANDSHAKE && record.epoch == 0 &&
	       record.length >= HELLO_MIN && record.data[0] == CLIENT_HELLO;
}

static int
change_key(struct cookie_keys *keys, uint64_t now_ms)
{
	gnutls_datum_t fresh;

	if (keys->key[0].size && now_ms - keys->made_ms < KEY_MS)
		return 0;
	if (gnutls_key_generate(&fresh, GNUTLS_COOKIE_KEY_SIZE) < 0)
		return -1;
	gnutls_free(keys->key[1].data);
	keys->key[1] = keys->key[0];
	keys->key[0] = fresh;
	keys->made_ms = now_ms;
	return 0;
}

void
cookie_keys_fini(struct cookie_keys *keys)
{
	for (int i = 0; i < 2; i++) {
		if (keys->key[i].data)
			gnutls_memset(keys->key[i].data, 0, keys->key[i].size);
		gnutls_free(keys->key[i].data);
	}
}

struct push {
	dtls_send send;
	void *arg;
};

static ssize_t
push_cookie(gnutls_transport_ptr_t arg, const void *data, size_t length)
{
	const struct push *push = arg;

	push->send(push->arg, data, length);
	return (ssize_t)length;
}

enum dtls_hello
dtls_hello(struct dtls_context *context, const uint8_t *datagram, size_t length,
	   const struct addr *remote, uint64_t now_ms, dtls_send send,
	   void *arg, struct dtls_start *start)
{
	struct cookie_keys *keys = &context->cookies;
	gnutls_dtls_prestate_st state;
	struct push push = {send, arg};
	struct addr name = *remote;

	if (!dtls_is_hello(datagram, length) || change_key(keys, now_ms) < 0)
		return DTLS_HELLO_NONE;
	for (int i = 0; i < 2 && keys->key[i].size; i++) {
		memset(&state, 0, sizeof(state));
		if (gnutls_dtls_cookie_verify(&keys->key[i], &name,
					      sizeof(name), (void *)datagram,
					      length, &state) < 0)
			continue;
		start->record = state.record_seq;
		start->read = state.hsk_read_seq;
		start->write = state.hsk_write_seq;
		return DTLS_HELLO_COOKIE;
	}
	gnutls_dtls_cookie_send(&keys->key[0], &name, sizeof(name), &state,
				&push, push_cookie);
	return DTLS_HELLO_ASKED;
}
