/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 6347 section 4.1, RFC 5288 (AES-GCM) and RFC 7905 (ChaCha20-Poly1305).
 *
 * GnuTLS has heartbeats of its own, but not in every build, and a request
 * without payload ends the process. Its keys and numbers can be asked for,
 * though, and that is enough: what we send takes the next number and GnuTLS is
 * told to go on behind it. What comes is kept from it, and has a window of its
 * own against replay: numbers are one row for all types, but a window only has
 * to know what was taken through it.
 */
#include "dtls_record.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <string.h>

#include "conflux/wire.h"

enum {
	WINDOW = 64,
	TAG = 16,
	NUMBER = 8, /* octets: epoch and number */
	SALT = 4,   /* of AES-GCM, RFC 5288 section 3 */
	NONCE = 12,
	ADDITIONAL = 13, /* octets that are authenticated as well */
	CONTENT_MAX = 16384,
};

size_t
record_read(struct record *record, const uint8_t *p, size_t length)
{
	if (length < DTLS_HEADER || p[1] != 254)
		return 0;
	record->type = p[0];
	record->epoch = wire_get16(p + 3);
	record->number = wire_get_uint(p + 5, 6);
	record->length = wire_get16(p + 11);
	record->data = p + DTLS_HEADER;
	if (record->length > length - DTLS_HEADER)
		return 0;
	return DTLS_HEADER + (size_t)record->length;
}

bool
record_fresh(const struct record_window *w, uint64_t number)
{
	if (!w->started || number > w->top)
		return true;
	if (w->top - number >= WINDOW)
		return false;
	return !(w->mask >> (w->top - number) & 1);
}

void
record_taken(struct record_window *w, uint64_t number)
{
	uint64_t step;

	if (!w->started || number > w->top) {
		step = w->started ? number - w->top : WINDOW;
		w->mask = step < WINDOW ? w->mask << step : 0;
		w->mask |= 1;
		w->top = number;
		w->started = true;
	} else if (w->top - number < WINDOW) {
		w->mask |= UINT64_C(1) << (w->top - number);
	}
}

/* ---- sealing --------------------------------------------------------------
 */

struct keys {
	gnutls_cipher_algorithm_t cipher;
	gnutls_datum_t key, iv;
	uint8_t number[NUMBER];
	bool explicit_nonce; /* it is in the record */
};

static bool
cipher_known(gnutls_cipher_algorithm_t cipher)
{
	return cipher == GNUTLS_CIPHER_AES_128_GCM ||
	       cipher == GNUTLS_CIPHER_AES_256_GCM ||
	       cipher == GNUTLS_CIPHER_CHACHA20_POLY1305;
}

bool
record_can(gnutls_session_t session)
{
	return gnutls_protocol_get_version(session) == GNUTLS_DTLS1_2 &&
	       cipher_known(gnutls_cipher_get(session));
}

uint16_t
record_epoch(gnutls_session_t session)
{
	uint8_t number[NUMBER] = {0};

	gnutls_record_get_state(session, 0, NULL, NULL, NULL, number);
	return wire_get16(number);
}

/* Keys of reading (or writing), which stay those of the session. */
static int
get_keys(gnutls_session_t session, bool reading, struct keys *keys)
{
	gnutls_datum_t mac;
	size_t salt;

	keys->cipher = gnutls_cipher_get(session);
	if (!cipher_known(keys->cipher))
		return -ENOTSUP;
	if (gnutls_record_get_state(session, reading, &mac, &keys->iv,
				    &keys->key, keys->number) < 0)
		return -EINVAL;
	keys->explicit_nonce = keys->cipher != GNUTLS_CIPHER_CHACHA20_POLY1305;
	salt = keys->explicit_nonce ? SALT : NONCE;
	return keys->iv.size >= salt ? 0 : -EINVAL;
}

/* explicit: the part of the nonce that is in the record. */
static void
make_nonce(const struct keys *keys, const uint8_t *explicit,
	   const uint8_t number[NUMBER], uint8_t nonce[NONCE])
{
	if (keys->explicit_nonce) {
		memcpy(nonce, keys->iv.data, SALT);
		memcpy(nonce + SALT, explicit, NUMBER);
		return;
	}
	memcpy(nonce, keys->iv.data, NONCE);
	for (int i = 0; i < NUMBER; i++)
		nonce[NONCE - NUMBER + i] ^= number[i];
}

static void
make_additional(uint8_t additional[ADDITIONAL], const uint8_t number[NUMBER],
		uint8_t type, size_t length)
{
	memcpy(additional, number, NUMBER);
	additional[8] = type;
	additional[9] = 254;
	additional[10] = 253;
	wire_put16(additional + 11, (uint16_t)length);
}

static int
apply(const struct keys *keys, bool open, const uint8_t nonce[NONCE],
      const uint8_t additional[ADDITIONAL], const uint8_t *in, size_t length,
      uint8_t *out, size_t size)
{
	gnutls_aead_cipher_hd_t cipher;
	int rc = gnutls_aead_cipher_init(&cipher, keys->cipher, &keys->key);

	if (rc < 0)
		return -ENOMEM;
	if (open)
		rc = gnutls_aead_cipher_decrypt(cipher, nonce, NONCE,
						additional, ADDITIONAL, TAG, in,
						length, out, &size);
	else
		rc = gnutls_aead_cipher_encrypt(cipher, nonce, NONCE,
						additional, ADDITIONAL, TAG, in,
						length, out, &size);
	gnutls_aead_cipher_deinit(cipher);
	return rc < 0 ? -EBADMSG : (int)size;
}

int
record_seal(gnutls_session_t session, uint8_t type, const uint8_t *plain,
	    size_t length, uint8_t *out)
{
	uint8_t nonce[NONCE], additional[ADDITIONAL], next[NUMBER];
	uint8_t *p = out + DTLS_HEADER;
	struct keys keys;
	int rc;

	if (length > CONTENT_MAX)
		return -EMSGSIZE;
	rc = get_keys(session, false, &keys);
	if (rc < 0)
		return rc;
	if (keys.explicit_nonce) {
		memcpy(p, keys.number, NUMBER);
		p += NUMBER;
	}
	make_nonce(&keys, keys.number, keys.number, nonce);
	make_additional(additional, keys.number, type, length);
	rc = apply(&keys, false, nonce, additional, plain, length, p,
		   length + TAG);
	if (rc < 0)
		return rc;
	p += rc;
	out[0] = type;
	out[1] = 254;
	out[2] = 253;
	memcpy(out + 3, keys.number, NUMBER);
	wire_put16(out + 11, (uint16_t)(p - out - DTLS_HEADER));
	wire_put64(next, wire_get64(keys.number) + 1);
	if (gnutls_record_set_state(session, 0, next) < 0)
		return -EINVAL;
	return (int)(p - out);
}

int
record_open(gnutls_session_t session, struct record_window *window,
	    const struct record *record, uint8_t *plain)
{
	uint8_t nonce[NONCE], additional[ADDITIONAL], number[NUMBER];
	const uint8_t *p = record->data;
	size_t length = record->length, before;
	struct keys keys;
	int rc;

	rc = get_keys(session, true, &keys);
	if (rc < 0)
		return rc;
	if (!record_fresh(window, record->number))
		return -ESTALE;
	before = keys.explicit_nonce ? NUMBER : 0;
	if (length < before + TAG)
		return -EBADMSG;
	wire_put64(number, (uint64_t)record->epoch << 48 | record->number);
	make_nonce(&keys, p, number, nonce);
	make_additional(additional, number, record->type,
			length - before - TAG);
	rc = apply(&keys, true, nonce, additional, p + before, length - before,
		   plain, length - before - TAG);
	if (rc >= 0)
		record_taken(window, record->number);
	return rc;
}
