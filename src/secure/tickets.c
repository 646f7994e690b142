/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "tickets.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

static void
derive(uint8_t out[32], const uint8_t secret[SECURE_TICKET_SECRET],
       const char *purpose)
{
	HMAC(EVP_sha256(), secret, SECURE_TICKET_SECRET,
	     (const uint8_t *)purpose, strlen(purpose), out, NULL);
}

static void
make_key(struct tickets *tickets, uint64_t number)
{
	struct ticket_key *key = &tickets->key[0];

	key->number = number;
	derive(key->cipher, tickets->secret, "cipher");
	derive(key->mac, tickets->secret, "mac");
}

int
tickets_init(struct tickets *tickets, const uint8_t *secret, int64_t made)
{
	memset(tickets, 0, sizeof(*tickets));
	if (secret)
		memcpy(tickets->secret, secret, sizeof(tickets->secret));
	else if (RAND_bytes(tickets->secret, sizeof(tickets->secret)) != 1)
		return -EIO;
	make_key(tickets, (uint64_t)made / TICKET_ROTATION);
	return 0;
}

void
tickets_wipe(struct tickets *tickets)
{
	OPENSSL_cleanse(tickets, sizeof(*tickets));
}

void
tickets_advance(struct tickets *tickets, int64_t now)
{
	uint64_t wanted = (uint64_t)now / TICKET_ROTATION;
	uint64_t number = tickets->key[0].number;
	uint8_t next[SECURE_TICKET_SECRET];

	if (now < 0 || wanted <= number || wanted - number > TICKET_STEPS_MAX)
		return;
	while (number < wanted) {
		derive(next, tickets->secret, "next");
		memcpy(tickets->secret, next, sizeof(next));
		number++;
		memmove(&tickets->key[1], &tickets->key[0],
			(TICKET_LIFE - 1) * sizeof(tickets->key[0]));
		make_key(tickets, number);
	}
	OPENSSL_cleanse(next, sizeof(next));
}

const struct ticket_key *
tickets_find(const struct tickets *tickets, uint64_t number)
{
	for (int i = 0; i < TICKET_LIFE; i++) {
		const struct ticket_key *key = &tickets->key[i];

		if (key->number == number && number)
			return key;
	}
	return NULL;
}
