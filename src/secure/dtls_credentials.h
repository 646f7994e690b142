/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Credentials as GnuTLS wants them, and who the peer of a session is. */
#ifndef CONFLUX_SECURE_DTLS_CREDENTIALS_H
#define CONFLUX_SECURE_DTLS_CREDENTIALS_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdint.h>

#include "conflux/secure.h"

enum { DTLS_TICKET_KEY = 64 };

/*
 * Of one generation of the files. Sessions go on using those they began with,
 * so they are counted.
 */
struct dtls_credentials {
	unsigned users;
	uint32_t generation;
	struct secure *secure;
	gnutls_certificate_credentials_t certificate;
	gnutls_psk_server_credentials_t psk_server;
	gnutls_psk_client_credentials_t psk_client;
	gnutls_priority_t priority;
	uint8_t ticket[DTLS_TICKET_KEY];
};

/* One user, the caller. NULL: *error says why (to be freed), or no memory. */
struct dtls_credentials *dtls_credentials_new(struct secure *secure,
					      char **error);
struct dtls_credentials *
dtls_credentials_hold(struct dtls_credentials *credentials);
void dtls_credentials_release(struct dtls_credentials *credentials);

/*
 * Gives a new session its credentials, priorities and tickets. 0, or an error
 * of GnuTLS. The pointer of the session (gnutls_session_set_ptr) is the
 * caller's; what it points to begins with the struct secure *.
 */
int dtls_credentials_use(struct dtls_credentials *credentials,
			 gnutls_session_t session);

/*
 * Who the peer is and whether it may talk to us, as far as the handshake has
 * come: by its certificates or its pre-shared key. Returns verdict->allowed.
 */
bool dtls_peer_check(const struct secure *secure, gnutls_session_t session,
		     const struct addr *remote, struct secure_verdict *verdict);

/* Why a session that is up may not go on after a reload; constant, or NULL. */
const char *dtls_peer_revoked(const struct secure *secure,
			      gnutls_session_t session);

/* Does (or did) the handshake use a pre-shared key? */
bool dtls_uses_psk(gnutls_session_t session);

#endif
