/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the files of the module share. */
#ifndef CONFLUX_SECURE_INTERNAL_H
#define CONFLUX_SECURE_INTERNAL_H

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "conflux/secure.h"
#include "hosts.h"
#include "tickets.h"

struct text;

/* Files are read whole; this bounds them. */
enum { FILE_OCTETS_MAX = 64 << 20 };

/* Of one pre-shared key. Identities are compared by their digests, all of the
 * same length, so that the time says nothing about them. */
struct psk {
	uint8_t digest[32]; /* SHA-256 of the identity */
	uint8_t key[SECURE_PSK_MAX];
	uint8_t key_length;
	uint32_t line; /* of the file */
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
	STACK_OF(X509) * trusted;  /* what is in it, to tell of expiry */
	STACK_OF(X509_CRL) * lists;
	bool key_shared, psk_shared; /* the file's group may read it */
	struct psk_list psks;
	SSL_CTX *ssl;              /* made at first use; or NULL */
};

/* Distinguished names of the configuration. */
struct dn_list {
	X509_NAME **name;
	unsigned count;
};

struct secure {
	struct secure_conf conf;   /* our copies */
	char *name;
	uint32_t generation;
	char *identity;            /* of a client's PSK, or NULL */
	struct dn_list remote_subject, remote_authority;
	struct dn_list local_subject, local_authority;
	struct secure_material now;
	struct hosts *hosts; /* of remote_fqdn, then remote_common_name; with
			      * match_address, else NULL */
	/* ssl_context.c: tickets given, and the session to go on with. */
	struct tickets tickets;
	SSL_SESSION *session;
	bool session_keyed; /* it began with a pre-shared key */
};

/*
 * file.c: the whole file, with a NUL behind it, to be freed by file_free. What
 * is secret must not be for others; *shared says that its group may read it.
 */
struct file_data {
	char *data;
	size_t length;
};

int file_read(struct file_data *out, const char *file, char **error);
int file_read_secret(struct file_data *out, const char *file, bool *shared,
		     char **error);
void file_free(struct file_data *data); /* wiped */

/* material.c: reads all files and checks our own certificate. */
int material_load(struct secure_material *material, const struct secure *secure,
		  char **error);
void material_free(struct secure_material *material);

/*
 * name.c: a distinguished name as text (RFC 4514), to be freed. -EINVAL, with
 * *wrong at the place and *reason in words; or -ENOMEM.
 */
int dn_parse(const char *string, X509_NAME **out, const char **wrong,
	     const char **reason);
/* "name" with quotes as RFC 4514 has it; only printable ASCII is written. */
void text_add_dn(struct text *text, const X509_NAME *name);
/* What a peer says, in quotes; only printable ASCII is written. */
void text_add_peer(struct text *text, const void *data, size_t length);
/* Is this a name of a host, without wildcard? Else the reason. */
const char *name_wrong(const char *name);
bool name_in_list(const X509_NAME *name, const struct dn_list *list);

/* psk.c: reads the file; *error names it and the line. */
int psk_load(struct psk_list *list, const char *file, bool *shared,
	     char **error);
void psk_free(struct psk_list *list); /* keys are wiped */
/* Octets, or -1: not pairs of hexadecimal digits, or more than size. */
int hex_decode(const char *p, size_t length, uint8_t *out, size_t size);

/*
 * ssl_context.c: makes now.ssl for the material as it is now. The callbacks
 * find the session's struct ssl_info as its application data.
 */
int ssl_context_make(struct secure *secure, char **error);

/* Of one session, made with it (ssl_session.c). */
struct ssl_info {
	struct secure *secure;
	const struct addr *remote;
	struct secure_verdict verdict; /* of the peer's certificate or key */
	bool judged;
	char identity[SECURE_PSK_IDENTITY + 1]; /* of the key in use, or "" */
	int alert;				/* that the peer sent, or -1 */
	char reason[256];
};

/* verify.c: the names in it that are of domains; *out may be NULL: none. */
int names_of(X509 *certificate, GENERAL_NAMES **out);
/* The first of them in quotes, for messages. */
void text_add_domains(struct text *text, const GENERAL_NAMES *names);
bool names_have(const GENERAL_NAMES *names, const char *wanted);

/* verify.c: is it in a revocation list, as read last? */
bool certificate_revoked(const struct secure *secure, X509 *certificate);

/* verify.c: chain has the peer's own certificate first, as SSL gives it. */
bool verify_chain(const struct secure *secure, STACK_OF(X509) *chain,
		  const struct addr *remote, struct secure_verdict *verdict);

#endif
