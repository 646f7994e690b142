/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the files of the module share. */
#ifndef CONFLUX_SECURE_INTERNAL_H
#define CONFLUX_SECURE_INTERNAL_H

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "conflux/secure.h"

/* Of one pre-shared key. Identities are compared by their digests, all of the
 * same length, so that the time says nothing about them. */
struct psk {
	uint8_t digest[32]; /* SHA-256 of the identity */
	uint8_t key[SECURE_PSK_MAX];
	uint8_t key_length;
};

struct psk_list {
	struct psk *psk;
	unsigned count;
};

/* All that is read from files, made as a whole and changed as a whole. */
struct secure_material {
	char *certificate_pem, *key_pem;
	X509 *certificate;         /* our own; NULL: PSK only */
	STACK_OF(X509) *chain;     /* what leads to its authority */
	EVP_PKEY *key;
	X509_STORE *authorities;   /* with the revocation lists; or NULL */
	struct psk_list psks;
	SSL_CTX *ssl;              /* made at first use; or NULL */
};

struct secure {
	struct secure_conf conf;   /* our copies */
	char *name;
	uint32_t generation;
	char *identity;            /* of a client's PSK, or NULL */
	struct secure_material now;
};

/* psk.c: reads the file; *error names it and the line. */
int psk_load(struct psk_list *list, const char *file, char **error);
void psk_free(struct psk_list *list); /* keys are wiped */

/* openssl.c: the SSL_CTX of the material as it is now, or NULL. */
SSL_CTX *openssl_context(struct secure *secure, char **error);

/* verify.c: chain has the peer's own certificate first, as SSL gives it. */
bool verify_chain(const struct secure *secure, STACK_OF(X509) *chain,
		  const struct addr *remote, struct secure_verdict *verdict);

#endif
