/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Who we are and who may talk to us: certificates, keys, pre-shared keys and
 * the names that peers must have, for TLS and DTLS sessions of either role (RFC
 * 7011 section 11, RFC 9325). Knows no socket and no message.
 *
 * Two libraries make the sessions: OpenSSL those over TCP, GnuTLS those over
 * UDP and SCTP. What is decided here is the same for both: chains are verified
 * by OpenSSL whichever library received them, so that there is one idea of a
 * valid certificate, of a matching name and of a revoked one.
 *
 * Mutual authentication can't be switched off by leaving something out: without
 * a certificate or a pre-shared key, and without a word on who the peer may be,
 * secure_new fails.
 *
 * A struct secure belongs to one thread. Its files can be read anew at any
 * time; sessions that exist keep what they began with.
 */
#ifndef CONFLUX_SECURE_H
#define CONFLUX_SECURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conflux/addr.h"

struct secure;

struct secure_list {
	const char *const *text;
	unsigned count;
};

enum secure_version { SECURE_1_2 = 12, SECURE_1_3 = 13 };

enum {
	SECURE_PSK_MIN = 16,        /* octets of a key (RFC 9257 section 6) */
	SECURE_PSK_MAX = 64,
	SECURE_PSK_IDENTITY = 255,  /* longest, octets of UTF-8 */
	SECURE_PSK_COUNT = 65536,   /* identities of a file */
	SECURE_CHAIN_MAX = 10,      /* certificates of a chain */
	SECURE_TICKET_SECRET = 32,  /* octets */
};

/* Strings may be NULL where nothing is wanted. */
struct secure_conf {
	bool server;                /* peers come to us */
	/* PEM files: ours and what leads to the authority; its private key. */
	const char *certificate, *key;
	/* PEM files: whose word on peers is taken; revoked certificates. */
	const char *authorities, *revocations;
	/* Lines "identity:key in hexadecimal", as psktool writes them. */
	const char *psk_file;
	/* The client's choice among them; NULL: the FQDN of this machine. */
	const char *psk_identity;
	/* RFC 6728 4.6. One of each list that is given has to match. Names of
	 * domains are compared with dNSName of the certificate, common names
	 * (RFC 7011 11.3: an explicit list) with the CN of its subject. */
	struct secure_list remote_fqdn, remote_common_name;
	struct secure_list remote_subject, remote_authority; /* RFC 4514 */
	/* What our own certificate has to have. */
	struct secure_list local_fqdn, local_subject, local_authority;
	bool match_address; /* the name must be that of the peer's address */
	enum secure_version min_version, max_version; /* of TLS over TCP */
	/* Cipher suites in the library's own words; NULL: those with forward
	 * secrecy and authenticated encryption (RFC 9325 section 4.2). */
	const char *ciphers, *priorities; /* OpenSSL's; GnuTLS' */
	bool resumption; /* tickets are given and used */
	/* A server of TLS 1.3 gives tickets after the handshake. A client that
	 * never reads loses what it sent last when it closes with one unread:
	 * the kernel answers our data with a reset then. */
	bool late_tickets;
	/* Equal among the workers of a collector, so that a session begun at
	 * one can go on at another. NULL: own. */
	const uint8_t *ticket_secret;
	int64_t ticket_time; /* seconds, UTC: when the secret was made */
};

/*
 * Reads all files. name is for messages ("exporting a/b"). On error *error is
 * a message for the user that names the file, to be freed. conf is copied.
 */
int secure_new(const struct secure_conf *conf, const char *name,
	       struct secure **out, char **error);
void secure_free(struct secure *secure);
const struct secure_conf *secure_conf_of(const struct secure *secure);

/*
 * Reads all files again. On an error nothing changes and *error says why, to
 * be freed.
 */
int secure_reload(struct secure *secure, char **error);

/*
 * Logs what will expire within the month (or the last third of its life) or has
 * expired: certificates of ours, authorities, lists of revoked ones; and that
 * the group of a secret file may read it. For a daily call. now: seconds, UTC.
 */
void secure_warn_expiry(const struct secure *secure, int64_t now);

/* ---- who the peer is (verify.c) ---------------------------------------- */

/* What came out of it, in words for the log. */
struct secure_verdict {
	bool allowed;
	/* Whom the peer says to be: the first dNSName of its certificate, else
	 * its CN, else its subject; or the identity of the pre-shared key. */
	char peer[256];
	/* Not allowed: which name was expected and which came, or what is
	 * wrong with the certificate. */
	char reason[512];
};

struct secure_der {
	const uint8_t *data;
	size_t length;
};

/*
 * May the peer at remote with this chain (its own certificate first) talk to
 * us? Chain to the authorities, validity, revocation, purpose for the role,
 * then the names. To be asked after every handshake, resumed ones too: what
 * was right a day ago need not be now. Returns verdict->allowed.
 */
bool secure_verify(const struct secure *secure, const struct secure_der *chain,
		   unsigned count, const struct addr *remote,
		   struct secure_verdict *verdict);

/*
 * Is a certificate of the chain in a list of revoked ones, as read last? For
 * sessions that are up, after a reload.
 */
bool secure_revoked(const struct secure *secure, const struct secure_der *chain,
		    unsigned count);

/*
 * As secure_verify for a name alone: is name (a dNSName of a certificate,
 * wildcards as in RFC 9525 section 6.3) the reference identifier wanted? Case
 * does not count; no dot at the end of either is needed.
 */
bool secure_name_match(const char *name, size_t length, const char *wanted);

/* ---- pre-shared keys (psk.c) ------------------------------------------- */

/*
 * The key of an identity: 0 and the key, valid until the next reload, or
 * -ENOENT. Takes as long for any identity, known or not (RFC 9257).
 */
int secure_psk_find(const struct secure *secure, const void *identity,
		    size_t length, const uint8_t **key, size_t *key_length);

/* Are there pre-shared keys? And the identity of a client, else NULL. */
bool secure_has_psk(const struct secure *secure);
const char *secure_psk_identity(const struct secure *secure);

/* ---- keys of other parts (key_file.c) ---------------------------------- */

/*
 * Reads a key of that many octets from a file: pairs of hexadecimal digits in a
 * line; empty lines, and those that begin with "#", are comments. As of all
 * secrets, others must not be able to read or change it. 0, or a negative code
 * and *error, to be freed. The caller wipes the key.
 */
int secure_key_read(const char *file, uint8_t *key, size_t octets,
		    char **error);

/* ---- certificates for the libraries ------------------------------------ */

/* Is there a certificate of our own? */
bool secure_has_certificate(const struct secure *secure);

/* The contents of the files as read last, PEM; NULL: none. For GnuTLS. */
const char *secure_certificate_pem(const struct secure *secure);
const char *secure_key_pem(const struct secure *secure);

/* Counts the reloads: sessions' libraries compare it to know of a new one. */
uint32_t secure_generation(const struct secure *secure);

/* ---- sessions over a stream, by OpenSSL (ssl_session.c) ---------------- */

struct ssl_st;

/*
 * A new session for the role of the configuration over a connected socket that
 * does not block and stays the caller's. Free it with secure_ssl_free. remote
 * and secure must outlive it. 0, -ENOMEM, or -EINVAL with *error (to be freed)
 * if the library does not take what the files have.
 */
int secure_ssl_new(struct secure *secure, int fd, const struct addr *remote,
		   struct ssl_st **out, char **error);
void secure_ssl_free(struct ssl_st *ssl);

/*
 * Goes on with the handshake. 0: done, the peer may talk to us, verdict has its
 * name. -EAGAIN: the socket has to become readable, or writable if
 * SSL_want_write(ssl). -EACCES: the peer may not. -EPROTO: it did not come
 * about. verdict->reason says why, in words for the log.
 */
int secure_ssl_handshake(struct ssl_st *ssl, struct secure_verdict *verdict);

/*
 * Has the peer of a session that is up been revoked since, as of the last
 * reload? What else may have changed is asked only of new sessions. Constant
 * text for the log, or NULL: no.
 */
const char *secure_ssl_revoked(struct ssl_st *ssl);

/*
 * After a call of OpenSSL on the session failed for good: why, in words for the
 * log. The text is constant, or belongs to the session.
 */
const char *secure_ssl_reason(struct ssl_st *ssl);

#endif
