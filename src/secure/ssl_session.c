/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * One session of OpenSSL over a connected socket: begun, shaken hands, and why
 * it failed, in words that help whoever has to mend it. The library's own
 * (bad record mac) say what it saw, not what was wrong (the key).
 */
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

int
secure_ssl_new(struct secure *secure, int fd, const struct addr *remote,
	       struct ssl_st **out, char **error)
{
	struct ssl_info *info;
	SSL *ssl;
	int rc = 0;

	if (!secure->now.ssl)
		rc = ssl_context_make(secure, error);
	if (rc < 0)
		return rc;
	ssl = SSL_new(secure->now.ssl);
	info = calloc(1, sizeof(*info));
	if (!ssl || !info || SSL_set_app_data(ssl, info) != 1) {
		free(info);
		SSL_free(ssl);
		return -ENOMEM;
	}
	info->secure = secure;
	info->remote = remote;
	info->alert = -1;
	if (SSL_set_fd(ssl, fd) != 1) {
		secure_ssl_free(ssl);
		return -ENOMEM;
	}
	if (secure->conf.server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	if (!secure->conf.server && secure->conf.resumption && secure->session)
		SSL_set_session(ssl, secure->session);
	if (!secure->conf.server && secure->conf.remote_fqdn.count)
		SSL_set_tlsext_host_name(ssl, secure->conf.remote_fqdn.text[0]);
	*out = ssl;
	return 0;
}

void
secure_ssl_free(struct ssl_st *ssl)
{
	struct ssl_info *info = ssl ? SSL_get_app_data(ssl) : NULL;

	SSL_free(ssl);
	free(info);
}

/* ---- why it failed ----------------------------------------------------- */

/* What an alert of the peer probably means for the user of ours. */
static const char *
alert_hint(const struct ssl_info *info)
{
	switch (info->alert) {
	case SSL_AD_UNKNOWN_PSK_IDENTITY:
		return "it does not know our identity";
	case SSL_AD_BAD_RECORD_MAC:
	case SSL_AD_DECRYPT_ERROR:
	case SSL_AD_ILLEGAL_PARAMETER:
		return info->identity[0]
			       ? "the pre-shared keys of the two ends differ"
			       : NULL;
	case SSL_AD_UNKNOWN_CA:
		return "it does not trust the authority of our certificate";
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_ACCESS_DENIED:
		return "it does not accept our certificate";
	case SSL_AD_HANDSHAKE_FAILURE:
	case SSL_AD_PROTOCOL_VERSION:
	case SSL_AD_INSUFFICIENT_SECURITY:
		return "the two ends have no version, cipher suite or kind of "
		       "credentials in common";
	case TLS13_AD_CERTIFICATE_REQUIRED:
		return "it asks for a certificate, and we have none";
	default:
		return NULL;
	}
}

/* The same for what OpenSSL found at our end. */
static const char *
error_hint(const struct ssl_info *info, int reason)
{
	switch (reason) {
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_RECORD_LENGTH_MISMATCH:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
		return "what came is no TLS of a version that is allowed";
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return "the peer has no certificate";
	case SSL_R_PSK_IDENTITY_NOT_FOUND:
		return "the peer's identity is in no line of the file of "
		       "pre-shared keys";
	case SSL_R_BINDER_DOES_NOT_VERIFY:
		return "the pre-shared keys of the two ends differ";
	case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
		return info->identity[0]
			       ? "the pre-shared keys of the two ends differ"
			       : NULL;
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
		return "the two ends have no cipher suite or kind of "
		       "credentials in common";
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		return "the connection was cut, not closed: the end of TLS "
		       "is missing";
	default:
		return NULL;
	}
}

const char *
secure_ssl_reason(struct ssl_st *ssl)
{
	struct ssl_info *info = SSL_get_app_data(ssl);
	int saved = errno;
	unsigned long code = ERR_peek_last_error();
	const char *hint, *what;

	if (info->alert > 0) {
		what = SSL_alert_desc_string_long(info->alert);
		hint = alert_hint(info);
		snprintf(info->reason, sizeof(info->reason),
			 "the peer sent the alert \"%s\"%s%s", what,
			 hint ? ": " : "", hint ? hint : "");
	} else if (code) {
		hint = error_hint(info, ERR_GET_REASON(code));
		what = ERR_reason_error_string(code);
		snprintf(info->reason, sizeof(info->reason), "%s",
			 hint	? hint
			 : what ? what
				: "an error of TLS");
	} else {
		snprintf(info->reason, sizeof(info->reason), "%s",
			 saved ? strerror(saved)
			       : "the connection was cut, not closed: the end "
				 "of TLS is missing");
	}
	ERR_clear_error();
	return info->reason;
}

/* ---- after a reload ---------------------------------------------------- */

const char *
secure_ssl_revoked(struct ssl_st *ssl)
{
	const struct ssl_info *info = SSL_get_app_data(ssl);
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
	X509 *peer = SSL_get0_peer_certificate(ssl);
	size_t length = strlen(info->identity);
	const uint8_t *key;

	if (length && secure_psk_find(info->secure, info->identity, length,
				      &key, &length) < 0)
		return "its pre-shared key is no longer in the file";
	if (peer && certificate_revoked(info->secure, peer))
		return "its certificate was revoked";
	for (int i = 0; chain && i < sk_X509_num(chain); i++)
		if (certificate_revoked(info->secure, sk_X509_value(chain, i)))
			return "a certificate of its chain was revoked";
	return NULL;
}

/* ---- handshake --------------------------------------------------------- */

/*
 * The peer has a certificate that was judged in this handshake, or a session
 * that began with one (a client's: judged anew here), or a key of the file.
 */
static bool
judge(SSL *ssl, struct ssl_info *info)
{
	struct secure_verdict *v = &info->verdict;

	if (info->judged)
		return v->allowed;
	if (SSL_get0_peer_certificate(ssl) && !info->secure->conf.server)
		return verify_chain(info->secure, SSL_get_peer_cert_chain(ssl),
				    info->remote, v);
	/* TLS 1.2 does not ask for the key again; it is that of the file, or
	 * the session was forgotten. */
	if (SSL_session_reused(ssl) && !info->secure->conf.server &&
	    info->secure->session_keyed)
		snprintf(info->identity, sizeof(info->identity), "%s",
			 secure_psk_identity(info->secure));
	if (info->identity[0]) {
		snprintf(v->peer, sizeof(v->peer), "%s",
			 info->secure->conf.server ? info->identity
						   : "pre-shared key");
		return v->allowed = true;
	}
	snprintf(v->reason, sizeof(v->reason),
		 "the peer showed neither a certificate nor a key");
	return v->allowed = false;
}

int
secure_ssl_handshake(struct ssl_st *ssl, struct secure_verdict *verdict)
{
	struct ssl_info *info = SSL_get_app_data(ssl);
	int n, error;

	ERR_clear_error();
	errno = 0;
	n = SSL_do_handshake(ssl);
	error = n == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl, n);
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return -EAGAIN;
	if (error == SSL_ERROR_NONE && judge(ssl, info)) {
		*verdict = info->verdict;
		return 0;
	}
	/* A session that led to this is not tried again. */
	SSL_SESSION_free(info->secure->session);
	info->secure->session = NULL;
	if (error != SSL_ERROR_NONE &&
	    !(info->judged && !info->verdict.allowed)) {
		*verdict = info->verdict;
		verdict->allowed = false;
		snprintf(verdict->reason, sizeof(verdict->reason), "%s",
			 secure_ssl_reason(ssl));
		return -EPROTO;
	}
	ERR_clear_error();
	*verdict = info->verdict;
	return -EACCES;
}
