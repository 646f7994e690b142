/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the sessions of a receiver or destination share. */
#ifndef CONFLUX_SECURE_DTLS_CONTEXT_H
#define CONFLUX_SECURE_DTLS_CONTEXT_H

#include "conflux/dtls.h"
#include "dtls_credentials.h"

struct cookie_keys {
	gnutls_datum_t key[2]; /* the present one, the one before */
	uint64_t made_ms;
};

void cookie_keys_fini(struct cookie_keys *keys);

struct dtls_context {
	struct secure *secure;
	struct dtls_credentials *credentials; /* of new sessions */
	struct cookie_keys cookies;
};

#endif
