/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the files of the module share. */
#ifndef CONFLUX_PKI_INTERNAL_H
#define CONFLUX_PKI_INTERNAL_H

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <sys/types.h>

#include "conflux/pki.h"
#include "conflux/text.h"

struct pki {
	char *folder;
	int dir; /* locked */
	unsigned days;
	struct text *told;
	X509 *authority;
	EVP_PKEY *key;	   /* its own */
	X509_CRL *revoked; /* as read, and what was added since */
};

enum {
	PKI_FILE_NAME = 320, /* of a name of a host with a suffix */
	PKI_FILE_OCTETS = 64 << 20,
	PKI_PUBLIC = 0644,
	PKI_SECRET = 0600,
};

/* ---- folder.c: files; names are relative to the folder ------------------ */

bool folder_has(const struct pki *pki, const char *name);

/* The whole file, to be freed by BIO_free; memory is wiped. */
int folder_read(const struct pki *pki, const char *name, BIO **out,
		char **error);

/* Whole, and with its mode, or not at all. Unless replace, -EEXIST if it is
 * there. */
int folder_write(const struct pki *pki, const char *name, BIO *content,
		 mode_t mode, bool replace, char **error);

/* To a file of a folder within, which is made if it is not there. */
int folder_move(const struct pki *pki, const char *from, const char *folder,
		const char *to, char **error);

/* Visits each replaced/NAME-SERIAL.pem until one fails. */
int folder_each_replaced(struct pki *pki, const char *name,
			 int (*visit)(struct pki *pki, const char *path,
				      char **error),
			 char **error);

/* Adds a line to what is told. */
void folder_tell(const struct pki *pki, const char *name, const char *format,
		 ...) __attribute__((format(printf, 3, 4)));

/* -EIO and what OpenSSL has to say. */
int folder_failed(const struct pki *pki, const char *name, char **error);

/* ---- certificate.c: what is in them ------------------------------------- */

/* P-256; PEM in a BIO. NULL on failure. */
EVP_PKEY *certificate_key(void);
BIO *certificate_pem(X509 *certificate);
BIO *certificate_key_pem(EVP_PKEY *key);

/* Signed by the key; issuer NULL: by itself, as an authority. names: as
 * pki_issue has them. NULL on failure. */
X509 *certificate_authority(EVP_PKEY *key, unsigned days);
X509 *certificate_peer(const struct pki *pki, EVP_PKEY *key, const char *names);

/* A new list with the entries of the present one, one number higher. */
X509_CRL *certificate_list(const struct pki *pki);

/* Hexadecimal, to be freed by OPENSSL_free; NULL without memory. */
char *certificate_serial(const X509 *certificate);
/* "2028-11-26". */
char *certificate_until(char text[16], const ASN1_TIME *time);

#endif
