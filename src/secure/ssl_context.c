/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What all sessions of OpenSSL of one struct secure have in common.
 *
 * RFC 7011 section 11.1 asks for TLS 1.1 at least, RFC 8996 and 9325 have
 * retired it since: 1.2 and 1.3 are offered, cipher suites with ephemeral keys
 * and authenticated encryption, no compression, no renegotiation.
 *
 * Pre-shared keys go the same way in both versions (RFC 4279, RFC 8446 section
 * 2.2), and come first: who offers their suites has one. An external key of
 * TLS 1.3 is bound to SHA-256, so the suite with SHA-384 is left out where
 * there are keys. A ticket of a session that began with a key holds identity
 * and digest of the key: it is good as long as the file has them.
 */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/text.h"
#include "internal.h"

#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!eNULL"
#define CIPHERS_PSK                                              \
	"ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-AES256-GCM-SHA384:" \
	"DHE-PSK-AES128-GCM-SHA256:DHE-PSK-CHACHA20-POLY1305:" CIPHERS
#define SUITES_1_3                                             \
	"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:" \
	"TLS_AES_128_GCM_SHA256"
#define SUITES_1_3_PSK "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"

/* ---- the peer's certificate -------------------------------------------- */

/* Which alert the peer gets (RFC 8446 section 6.2) follows from the error. */
static int
on_verify(X509_STORE_CTX *ctx, void *arg)
{
	int index = SSL_get_ex_data_X509_STORE_CTX_idx();
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, index);
	struct ssl_info *info = SSL_get_app_data(ssl);

	info->judged = true;
	if (verify_chain(info->secure, X509_STORE_CTX_get0_untrusted(ctx),
			 info->remote, &info->verdict))
		return 1;
	X509_STORE_CTX_set_error(ctx, X509_V_ERR_CERT_REJECTED);
	return 0;
}

/* ---- pre-shared keys --------------------------------------------------- */

static unsigned
take_psk(struct ssl_info *info, const char *identity, unsigned char *key,
	 unsigned size)
{
	const uint8_t *found;
	size_t length;

	if (strlen(identity) > SECURE_PSK_IDENTITY ||
	    secure_psk_find(info->secure, identity, strlen(identity), &found,
			    &length) < 0 ||
	    length > size)
		return 0;
	memcpy(key, found, length);
	strcpy(info->identity, identity);
	return (unsigned)length;
}

static unsigned
on_psk_server(SSL *ssl, const char *identity, unsigned char *key, unsigned size)
{
	return identity ? take_psk(SSL_get_app_data(ssl), identity, key, size)
			: 0;
}

static unsigned
on_psk_client(SSL *ssl, const char *hint, char *identity,
	      unsigned identity_size, unsigned char *key, unsigned size)
{
	struct ssl_info *info = SSL_get_app_data(ssl);
	const char *ours = secure_psk_identity(info->secure);

	if (!ours || strlen(ours) >= identity_size)
		return 0;
	strcpy(identity, ours);
	return take_psk(info, ours, key, size);
}

/* ---- tickets ----------------------------------------------------------- */

static int
set_ticket_key(const struct ticket_key *key, const uint8_t *iv,
	       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(
			OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof(key->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
						 (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher,
				 iv, encrypt) == 1 &&
			       EVP_MAC_CTX_set_params(mac, params) == 1
		       ? 1
		       : -1;
}

static int
on_ticket_key(SSL *ssl, unsigned char name[16], unsigned char *iv,
	      EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
	struct ssl_info *info = SSL_get_app_data(ssl);
	struct tickets *tickets = &info->secure->tickets;
	const struct ticket_key *key = &tickets->key[0];
	uint64_t number;

	tickets_advance(tickets, (int64_t)(clock_wall_ms() / 1000));
	if (encrypt) {
		memset(name, 0, 16);
		memcpy(name, &key->number, sizeof(key->number));
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(
					   EVP_aes_256_cbc())) != 1)
			return -1;
		return set_ticket_key(key, iv, cipher, mac, 1);
	}
	memcpy(&number, name, sizeof(number));
	key = tickets_find(tickets, number);
	if (!key)
		return 0; /* a full handshake */
	if (set_ticket_key(key, iv, cipher, mac, 0) < 0)
		return -1;
	/* 2: taken, and a new one is given. */
	return key == &tickets->key[0] ? 1 : 2;
}

/* What a ticket says of a key, before the identity. */
static bool
key_digest(const struct secure *secure, const char *identity, size_t length,
	   uint8_t digest[SHA256_DIGEST_LENGTH])
{
	const uint8_t *key;
	size_t key_length;

	if (secure_psk_find(secure, identity, length, &key, &key_length) < 0)
		return false;
	SHA256(key, key_length, digest);
	return true;
}

static int
on_ticket_made(SSL *ssl, void *arg)
{
	struct ssl_info *info = SSL_get_app_data(ssl);
	uint8_t data[SHA256_DIGEST_LENGTH + SECURE_PSK_IDENTITY];
	size_t length = strlen(info->identity);

	if (!length)
		return 1;
	if (!key_digest(info->secure, info->identity, length, data))
		return 0;
	memcpy(data + SHA256_DIGEST_LENGTH, info->identity, length);
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), data,
					       SHA256_DIGEST_LENGTH + length);
}

/* Does the file still have the key that the session began with? */
static bool
take_ticket_key(struct ssl_info *info, SSL_SESSION *session)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	const uint8_t *data;
	size_t length;
	void *found;

	if (!SSL_SESSION_get0_ticket_appdata(session, &found, &length) ||
	    length <= SHA256_DIGEST_LENGTH ||
	    length > SHA256_DIGEST_LENGTH + SECURE_PSK_IDENTITY)
		return false;
	data = found;
	length -= SHA256_DIGEST_LENGTH;
	if (!key_digest(info->secure, (const char *)data + SHA256_DIGEST_LENGTH,
			length, digest) ||
	    CRYPTO_memcmp(digest, data, sizeof(digest)) != 0)
		return false;
	memcpy(info->identity, data + SHA256_DIGEST_LENGTH, length);
	info->identity[length] = '\0';
	return true;
}

/*
 * A ticket holds the peer's certificate but not its chain. If that is not
 * enough to trust the peer today, the handshake is done in full.
 */
static SSL_TICKET_RETURN
on_ticket_taken(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
		size_t name_length, SSL_TICKET_STATUS status, void *arg)
{
	struct ssl_info *info = SSL_get_app_data(ssl);
	X509 *peer = session ? SSL_SESSION_get0_peer(session) : NULL;
	STACK_OF(X509) * chain;
	bool allowed = false;

	if (status == SSL_TICKET_EMPTY || status == SSL_TICKET_NO_DECRYPT)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (!peer && session && take_ticket_key(info, session))
		return status == SSL_TICKET_SUCCESS_RENEW
			       ? SSL_TICKET_RETURN_USE_RENEW
			       : SSL_TICKET_RETURN_USE;
	chain = peer ? sk_X509_new_null() : NULL;
	if (chain && sk_X509_push(chain, peer) > 0)
		allowed = verify_chain(info->secure, chain, info->remote,
				       &info->verdict);
	sk_X509_free(chain);
	info->judged = allowed;
	if (!allowed)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW
						  : SSL_TICKET_RETURN_USE;
}

/* A client keeps the last ticket it got. */
static int
on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct ssl_info *info = SSL_get_app_data(ssl);
	struct secure *secure = info->secure;

	SSL_SESSION_free(secure->session);
	secure->session_keyed =
		info->identity[0] && !SSL_SESSION_get0_peer(session);
	/* A copy: OpenSSL gives up the original when the connection is cut, as
	 * by a peer that is started anew (RFC 5246 section 7.2.1 does not). */
	secure->session = SSL_SESSION_dup(session);
	return 0;
}

static int
set_tickets(struct secure *secure, SSL_CTX *ctx)
{
	static const uint8_t context[] = {'I', 'P', 'F', 'I', 'X'};
	const struct secure_conf *conf = &secure->conf;

	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (!conf->resumption) {
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		return SSL_CTX_set_num_tickets(ctx, 0);
	}
	if (!conf->server) {
		SSL_CTX_set_session_cache_mode(
			ctx, SSL_SESS_CACHE_CLIENT |
				     SSL_SESS_CACHE_NO_INTERNAL_STORE);
		SSL_CTX_sess_set_new_cb(ctx, on_new_session);
		return 1;
	}
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket_key);
	/* A server that asks for certificates must have one. */
	return SSL_CTX_set_session_id_context(ctx, context, sizeof(context)) &&
	       SSL_CTX_set_session_ticket_cb(ctx, on_ticket_made,
					     on_ticket_taken, NULL) &&
	       SSL_CTX_set_num_tickets(ctx, conf->late_tickets ? 1 : 0);
}

/* ---- the context ------------------------------------------------------- */

static void
on_info(const SSL *ssl, int where, int value)
{
	struct ssl_info *info = SSL_get_app_data(ssl);

	if (where == SSL_CB_READ_ALERT && info)
		info->alert = value & 0xff;
}

static int
set_certificate(const struct secure_material *now, SSL_CTX *ctx)
{
	if (!now->certificate)
		return 1;
	return SSL_CTX_use_cert_and_key(ctx, now->certificate, now->key,
					now->chain, 1);
}

/* Which authorities' certificates a server asks for, as a hint. */
static int
set_authorities(const struct secure *secure, SSL_CTX *ctx)
{
	STACK_OF(X509_NAME) * names;

	if (!secure->conf.server || !secure->conf.authorities)
		return 1;
	names = SSL_load_client_CA_file(secure->conf.authorities);
	if (!names)
		return 0;
	SSL_CTX_set_client_CA_list(ctx, names);
	return 1;
}

static void
set_psk(const struct secure *secure, SSL_CTX *ctx)
{
	if (!secure_has_psk(secure))
		return;
	if (secure->conf.server)
		SSL_CTX_set_psk_server_callback(ctx, on_psk_server);
	else
		SSL_CTX_set_psk_client_callback(ctx, on_psk_client);
}

static int
version_number(enum secure_version version)
{
	return version == SECURE_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
}

static int
fill(struct secure *secure, SSL_CTX *ctx)
{
	const struct secure_conf *conf = &secure->conf;
	bool psk = secure_has_psk(secure);
	int verify = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;

	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION |
					 SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_dh_auto(ctx, 1);
	SSL_CTX_set_info_callback(ctx, on_info);
	/* A server without authorities has no peers but those with keys. */
	if (conf->server && !conf->authorities)
		verify = SSL_VERIFY_NONE;
	SSL_CTX_set_verify(ctx, verify, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, on_verify, NULL);
	set_psk(secure, ctx);
	return SSL_CTX_set_min_proto_version(
		       ctx, version_number(conf->min_version)) &&
	       SSL_CTX_set_max_proto_version(
		       ctx, version_number(conf->max_version)) &&
	       SSL_CTX_set_cipher_list(ctx, conf->ciphers ? conf->ciphers
					    : psk	  ? CIPHERS_PSK
							  : CIPHERS) &&
	       SSL_CTX_set_ciphersuites(ctx,
					psk ? SUITES_1_3_PSK : SUITES_1_3) &&
	       set_certificate(&secure->now, ctx) &&
	       set_authorities(secure, ctx) && set_tickets(secure, ctx);
}

int
ssl_context_make(struct secure *secure, char **error)
{
	SSL_CTX *ctx;
	int rc = -ENOMEM;

	ERR_clear_error();
	ctx = SSL_CTX_new(TLS_method());
	if (ctx && fill(secure, ctx)) {
		secure->now.ssl = ctx;
		return 0;
	}
	if (ctx)
		rc = text_error(error, -EINVAL, "TLS: %s",
				ERR_reason_error_string(ERR_peek_error()));
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return rc;
}
