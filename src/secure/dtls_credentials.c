/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 9325 section 4.2: forward secrecy and authenticated encryption. So the
 * default has ECDHE with certificates, ECDHE and DHE with pre-shared keys, AES
 * in GCM and ChaCha20-Poly1305; DTLS 1.2, as GnuTLS has no other that is not
 * forbidden. The heartbeats of ours need one of these ciphers, too.
 *
 * GnuTLS reads the certificates that we show. Those of the peer it only hands
 * over: what they are worth is for secure_verify to say.
 */
#include "dtls_credentials.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRIORITIES                                                     \
	"NONE:+VERS-DTLS1.2:+CTYPE-X509:+COMP-NULL"                    \
	":+ECDHE-ECDSA:+ECDHE-RSA:+ECDHE-PSK:+DHE-PSK"                 \
	":+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:+AEAD"          \
	":+GROUP-X25519:+GROUP-SECP256R1:+GROUP-X448:+GROUP-SECP384R1" \
	":+GROUP-SECP521R1:+GROUP-FFDHE3072:+GROUP-FFDHE2048"          \
	":+SIGN-ALL:-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:-SIGN-DSA-SHA1"    \
	":%SAFE_RENEGOTIATION"

/* What a ticket key is made from has another name, so that none of the keys
 * of the module is used for two things. */
static const char ticket_label[] = "conflux DTLS session ticket";

static char *
say(const char *what, int rc, const char *detail)
{
	char *text = NULL;

	if (asprintf(&text, "%s: %s%s%s", what, gnutls_strerror(rc),
		     detail ? ": " : "", detail ? detail : "") < 0)
		return NULL;
	return text;
}

/* ---- pre-shared keys ------------------------------------------------------
 */

static gnutls_datum_t
datum(const void *data, size_t length)
{
	return (gnutls_datum_t){.data = (void *)data, .size = (unsigned)length};
}

/* Called in the handshake of a server. */
static int
find_psk(gnutls_session_t session, const gnutls_datum_t *identity,
	 gnutls_datum_t *key)
{
	struct secure *const *secure = gnutls_session_get_ptr(session);
	const uint8_t *found;
	size_t length;

	if (secure_psk_find(*secure, identity->data, identity->size, &found,
			    &length) < 0)
		return -1;
	key->data = gnutls_malloc(length);
	if (!key->data)
		return -1;
	memcpy(key->data, found, length);
	key->size = (unsigned)length;
	return 0;
}

static int
make_psk_server(struct dtls_credentials *m)
{
	int rc = gnutls_psk_allocate_server_credentials(&m->psk_server);

	if (rc < 0)
		return rc;
	gnutls_psk_set_server_credentials_function2(m->psk_server, find_psk);
	/* For clients that do not say which group they want (RFC 7919). */
	return gnutls_psk_set_server_known_dh_params(m->psk_server,
						     GNUTLS_SEC_PARAM_MEDIUM);
}

static int
make_psk_client(struct dtls_credentials *m)
{
	const char *identity = secure_psk_identity(m->secure);
	gnutls_datum_t name, key;
	const uint8_t *found;
	size_t length;
	int rc;

	if (!identity || secure_psk_find(m->secure, identity, strlen(identity),
					 &found, &length) < 0)
		return GNUTLS_E_INSUFFICIENT_CREDENTIALS;
	rc = gnutls_psk_allocate_client_credentials(&m->psk_client);
	if (rc < 0)
		return rc;
	name = datum(identity, strlen(identity));
	key = datum(found, length);
	return gnutls_psk_set_client_credentials2(m->psk_client, &name, &key,
						  GNUTLS_PSK_KEY_RAW);
}

/* ---- credentials ----------------------------------------------------------
 */

static int
make_certificate(struct dtls_credentials *m)
{
	const char *pem = secure_certificate_pem(m->secure);
	const char *key_pem = secure_key_pem(m->secure);
	gnutls_datum_t chain = datum(pem, strlen(pem));
	gnutls_datum_t key = datum(key_pem, strlen(key_pem));
	int rc = gnutls_certificate_allocate_credentials(&m->certificate);

	if (rc < 0)
		return rc;
	rc = gnutls_certificate_set_x509_key_mem2(m->certificate, &chain, &key,
						  GNUTLS_X509_FMT_PEM, NULL, 0);
	return rc < 0 ? rc : 0;
}

/*
 * GnuTLS makes the keys of tickets from one master key and the time, and so
 * changes them by itself; equal secrets make equal keys in all workers.
 */
static int
make_ticket_key(struct dtls_credentials *m)
{
	const uint8_t *secret = secure_conf_of(m->secure)->ticket_secret;
	gnutls_datum_t random;
	int rc;

	if (secret)
		return gnutls_hmac_fast(GNUTLS_MAC_SHA512, secret,
					SECURE_TICKET_SECRET, ticket_label,
					sizeof(ticket_label) - 1, m->ticket);
	rc = gnutls_session_ticket_key_generate(&random);
	if (rc < 0)
		return rc;
	memcpy(m->ticket, random.data,
	       random.size < sizeof(m->ticket) ? random.size
					       : sizeof(m->ticket));
	gnutls_memset(random.data, 0, random.size);
	gnutls_free(random.data);
	return 0;
}

static int
make_all(struct dtls_credentials *m, char **error)
{
	const struct secure_conf *conf = secure_conf_of(m->secure);
	const char *wanted = conf->priorities ? conf->priorities : PRIORITIES;
	const char *place = NULL;
	int rc = gnutls_priority_init(&m->priority, wanted, &place);

	if (rc < 0) {
		*error = say("priorities of GnuTLS", rc, place);
		return rc;
	}
	if (secure_has_certificate(m->secure)) {
		rc = make_certificate(m);
		if (rc < 0)
			*error = say("certificate or key", rc, NULL);
	}
	if (rc >= 0 && secure_has_psk(m->secure)) {
		rc = conf->server ? make_psk_server(m) : make_psk_client(m);
		if (rc < 0)
			*error = say("pre-shared key", rc, NULL);
	}
	if (rc >= 0 && conf->server && conf->resumption)
		rc = make_ticket_key(m);
	return rc;
}

struct dtls_credentials *
dtls_credentials_new(struct secure *secure, char **error)
{
	struct dtls_credentials *m = calloc(1, sizeof(*m));

	*error = NULL;
	if (!m)
		return NULL;
	m->users = 1;
	m->secure = secure;
	m->generation = secure_generation(secure);
	if (make_all(m, error) < 0) {
		dtls_credentials_release(m);
		return NULL;
	}
	return m;
}

struct dtls_credentials *
dtls_credentials_hold(struct dtls_credentials *m)
{
	m->users++;
	return m;
}

void
dtls_credentials_release(struct dtls_credentials *m)
{
	if (!m || --m->users)
		return;
	if (m->certificate)
		gnutls_certificate_free_credentials(m->certificate);
	if (m->psk_server)
		gnutls_psk_free_server_credentials(m->psk_server);
	if (m->psk_client)
		gnutls_psk_free_client_credentials(m->psk_client);
	if (m->priority)
		gnutls_priority_deinit(m->priority);
	gnutls_memset(m->ticket, 0, sizeof(m->ticket));
	free(m);
}

int
dtls_credentials_use(struct dtls_credentials *m, gnutls_session_t session)
{
	const struct secure_conf *conf = secure_conf_of(m->secure);
	gnutls_datum_t ticket = datum(m->ticket, sizeof(m->ticket));
	int rc = gnutls_priority_set(session, m->priority);

	if (rc == 0 && m->certificate)
		rc = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE,
					    m->certificate);
	if (rc == 0 && (m->psk_server || m->psk_client))
		rc = gnutls_credentials_set(session, GNUTLS_CRD_PSK,
					    conf->server
						    ? (void *)m->psk_server
						    : (void *)m->psk_client);
	if (!conf->server)
		return rc;
	gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
	if (rc == 0 && conf->resumption)
		rc = gnutls_session_ticket_enable_server(session, &ticket);
	return rc;
}

/* ---- the peer -------------------------------------------------------------
 */

bool
dtls_uses_psk(gnutls_session_t session)
{
	gnutls_kx_algorithm_t kx = gnutls_kx_get(session);

	return kx == GNUTLS_KX_PSK || kx == GNUTLS_KX_DHE_PSK ||
	       kx == GNUTLS_KX_ECDHE_PSK || kx == GNUTLS_KX_RSA_PSK;
}

/* The key was right, or there were no session. But is it still wanted? */
static bool
check_psk(const struct secure *secure, gnutls_session_t session,
	  struct secure_verdict *verdict)
{
	bool server = secure_conf_of(secure)->server;
	const char *identity = server ? gnutls_psk_server_get_username(session)
				      : secure_psk_identity(secure);
	const uint8_t *key;
	size_t length;

	if (!identity || secure_psk_find(secure, identity, strlen(identity),
					 &key, &length) < 0) {
		snprintf(verdict->reason, sizeof(verdict->reason),
			 "there is no pre-shared key of its identity any more");
		return false;
	}
	snprintf(verdict->peer, sizeof(verdict->peer), "%s%s",
		 server ? "" : "holder of the key of ", identity);
	verdict->allowed = true;
	return true;
}

/* The peer's certificates, its own first; how many, at most that many. */
static unsigned
peer_chain(gnutls_session_t session, struct secure_der chain[SECURE_CHAIN_MAX],
	   unsigned *count)
{
	const gnutls_datum_t *list =
		gnutls_certificate_get_peers(session, count);

	if (!list || *count > SECURE_CHAIN_MAX)
		return 0;
	for (unsigned i = 0; i < *count; i++)
		chain[i] = (struct secure_der){list[i].data, list[i].size};
	return *count;
}

bool
dtls_peer_check(const struct secure *secure, gnutls_session_t session,
		const struct addr *remote, struct secure_verdict *verdict)
{
	struct secure_der chain[SECURE_CHAIN_MAX];
	unsigned count = 0;

	*verdict = (struct secure_verdict){.allowed = false};
	if (dtls_uses_psk(session))
		return check_psk(secure, session, verdict);
	if (peer_chain(session, chain, &count) == 0) {
		snprintf(verdict->reason, sizeof(verdict->reason), "it has %s",
			 count ? "too many certificates"
			       : "shown no certificate");
		return false;
	}
	return secure_verify(secure, chain, count, remote, verdict);
}

const char *
dtls_peer_revoked(const struct secure *secure, gnutls_session_t session)
{
	struct secure_der chain[SECURE_CHAIN_MAX];
	struct secure_verdict verdict;
	unsigned count = 0;

	if (dtls_uses_psk(session))
		return check_psk(secure, session, &verdict)
			       ? NULL
			       : "its pre-shared key is no longer in the file";
	peer_chain(session, chain, &count);
	return secure_revoked(secure, chain, count)
		       ? "its certificate was revoked"
		       : NULL;
}
