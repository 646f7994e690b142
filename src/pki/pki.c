/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done in the folder: the authority, certificates of peers, and the
 * list of those that are revoked. A certificate that is replaced by a new one
 * stays valid, so that the peer can change without haste and without losing a
 * session; whoever revokes the name later revokes it, too.
 */
#include "internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "conflux/secure.h"

enum { COMMON_NAME_MAX = 64 }; /* RFC 5280, ub-common-name */

/* ---- names ------------------------------------------------------------- */

static const char *
name_wrong(const char *name, size_t length)
{
	char copy[COMMON_NAME_MAX + 1];

	if (length > COMMON_NAME_MAX)
		return "a name in a certificate has at most 64 characters";
	memcpy(copy, name, length);
	copy[length] = '\0';
	if (!length || copy[length - 1] == '.' ||
	    !secure_name_match(copy, length, copy))
		return "expected the name of a host, as in "
		       "collector.example.net";
	for (size_t i = 0; i < length; i++)
		if (copy[i] >= 'A' && copy[i] <= 'Z')
			return "expected small letters: names of hosts don't "
			       "tell them apart, files do";
	if (strcmp(copy, "ca") == 0 || strcmp(copy, "crl") == 0)
		return "this is the name of the authority's own file";
	return NULL;
}

const char *
pki_names_wrong(const char *names)
{
	const char *wrong;
	size_t length;

	for (;; names += length + 1) {
		length = strcspn(names, ",");
		wrong = name_wrong(names, length);
		if (wrong || names[length] == '\0')
			return wrong;
	}
}

/* The first of them with a suffix. */
static char *
file_name(char out[PKI_FILE_NAME], const char *names, const char *suffix)
{
	snprintf(out, PKI_FILE_NAME, "%.*s%s", (int)strcspn(names, ","), names,
		 suffix);
	return out;
}

/* ---- files with something in them -------------------------------------- */

static int
read_certificate(const struct pki *pki, const char *file, X509 **out,
		 char **error)
{
	BIO *bio;
	int rc = folder_read(pki, file, &bio, error);

	if (rc < 0)
		return rc;
	*out = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	ERR_clear_error();
	return *out ? 0
		    : text_error(error, -EINVAL,
				 "%s/%s: no certificate in PEM form in it",
				 pki->folder, file);
}

/* Also takes it if there is no memory for it: content is NULL then. */
static int
write_file(const struct pki *pki, const char *file, BIO *content, mode_t mode,
	   bool replace, char **error)
{
	int rc =
		content ? folder_write(pki, file, content, mode, replace, error)
			: folder_failed(pki, file, error);

	BIO_free(content);
	return rc;
}

/* ---- the authority ----------------------------------------------------- */

static int
make_authority(struct pki *pki, char **error)
{
	char until[16];
	int rc;

	pki->key = certificate_key();
	if (pki->key)
		pki->authority = certificate_authority(pki->key, PKI_DAYS_MAX);
	if (!pki->authority)
		return folder_failed(pki, "ca.pem", error);
	rc = write_file(pki, "ca.key", certificate_key_pem(pki->key),
			PKI_SECRET, false, error);
	if (rc == 0)
		rc = write_file(pki, "ca.pem", certificate_pem(pki->authority),
				PKI_PUBLIC, false, error);
	if (rc < 0)
		return rc;
	folder_tell(pki, "ca.key",
		    "key of the authority: leave it here, and "
		    "let nobody read it");
	folder_tell(
		pki, "ca.pem", "the authority, for all peers, until %s",
		certificate_until(until, X509_get0_notAfter(pki->authority)));
	return 0;
}

static int
read_authority_key(struct pki *pki, char **error)
{
	BIO *bio;
	int rc = folder_read(pki, "ca.key", &bio, error);

	if (rc < 0)
		return rc;
	pki->key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	ERR_clear_error();
	if (!pki->key || X509_check_private_key(pki->authority, pki->key) != 1)
		rc = text_error(error, -EINVAL,
				"%s/ca.key: it is not the key of ca.pem",
				pki->folder);
	ERR_clear_error();
	return rc;
}

static int
read_list(struct pki *pki, char **error)
{
	BIO *bio;
	int rc = folder_read(pki, "crl.pem", &bio, error);

	if (rc < 0)
		return rc;
	pki->revoked = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (!pki->revoked || X509_CRL_verify(pki->revoked, pki->key) != 1)
		rc = text_error(error, -EINVAL,
				"%s/crl.pem: it is no revocation list of "
				"ca.pem",
				pki->folder);
	ERR_clear_error();
	return rc;
}

static int
read_authority(struct pki *pki, char **error)
{
	int rc = read_certificate(pki, "ca.pem", &pki->authority, error);

	if (rc == 0)
		rc = read_authority_key(pki, error);
	if (rc == 0 &&
	    X509_cmp_current_time(X509_get0_notAfter(pki->authority)) < 0)
		rc = text_error(error, -EKEYEXPIRED,
				"%s/ca.pem: the authority has expired; begin "
				"with a new folder",
				pki->folder);
	if (rc == 0 && X509_check_ca(pki->authority) != 1)
		rc = text_error(error, -EINVAL,
				"%s/ca.pem: this certificate is no authority",
				pki->folder);
	if (rc == 0 && folder_has(pki, "crl.pem"))
		rc = read_list(pki, error);
	return rc;
}

int
pki_authority(struct pki *pki, char **error)
{
	*error = NULL;
	if (folder_has(pki, "ca.pem"))
		return read_authority(pki, error);
	if (folder_has(pki, "ca.key"))
		return text_error(error, -EINVAL,
				  "%s/ca.key is there without ca.pem; if you "
				  "don't know why, begin with a new folder",
				  pki->folder);
	return make_authority(pki, error);
}

/* ---- revoking ---------------------------------------------------------- */

static int
write_list(struct pki *pki, char **error)
{
	X509_CRL *list = certificate_list(pki);
	BIO *bio = BIO_new(BIO_s_mem());

	if (!list || !bio || !PEM_write_bio_X509_CRL(bio, list)) {
		BIO_free(bio);
		X509_CRL_free(list);
		return folder_failed(pki, "crl.pem", error);
	}
	X509_CRL_free(pki->revoked);
	pki->revoked = list;
	return write_file(pki, "crl.pem", bio, PKI_PUBLIC, true, error);
}

static int
add_revoked(struct pki *pki, const X509 *certificate)
{
	ASN1_TIME *now = X509_gmtime_adj(NULL, 0);
	X509_REVOKED *entry = X509_REVOKED_new();
	bool ok;

	if (!pki->revoked)
		pki->revoked = X509_CRL_new();
	ok = now && entry && pki->revoked &&
	     X509_REVOKED_set_serialNumber(
		     entry,
		     (ASN1_INTEGER *)X509_get0_serialNumber(certificate)) &&
	     X509_REVOKED_set_revocationDate(entry, now) &&
	     X509_CRL_add0_revoked(pki->revoked, entry);
	if (!ok)
		X509_REVOKED_free(entry);
	ASN1_TIME_free(now);
	return ok ? 0 : -ENOMEM;
}

/* Into the list, which is yet to be written. */
static int
list_file(struct pki *pki, const char *file, char **error)
{
	X509 *certificate = NULL;
	int rc = read_certificate(pki, file, &certificate, error);

	if (rc == 0 && X509_verify(certificate, pki->key) != 1)
		rc = text_error(error, -EINVAL,
				"%s/%s: this certificate is not from ca.pem",
				pki->folder, file);
	ERR_clear_error();
	if (rc == 0)
		rc = add_revoked(pki, certificate);
	X509_free(certificate);
	return rc;
}

/* NAME.pem and NAME.key, to files of that folder with the serial number. */
static int
put_aside(struct pki *pki, const char *name, const char *folder, char **error)
{
	char pem[PKI_FILE_NAME], key[PKI_FILE_NAME], to[2 * PKI_FILE_NAME];
	X509 *certificate = NULL;
	char *serial = NULL;
	int rc = read_certificate(pki, file_name(pem, name, ".pem"),
				  &certificate, error);

	if (rc == 0 && !(serial = certificate_serial(certificate)))
		rc = -ENOMEM;
	if (rc == 0 && folder_has(pki, file_name(key, name, ".key"))) {
		snprintf(to, sizeof(to), "%s-%s.key", name, serial);
		rc = folder_move(pki, key, folder, to, error);
	}
	if (rc == 0) {
		snprintf(to, sizeof(to), "%s-%s.pem", name, serial);
		rc = folder_move(pki, pem, folder, to, error);
	}
	if (rc == 0)
		folder_tell(pki, pem, "%s, and moved to %s/%s", folder, folder,
			    to);
	OPENSSL_free(serial);
	X509_free(certificate);
	return rc;
}

/* path: replaced/NAME-SERIAL.pem */
static int
move_replaced(struct pki *pki, const char *path, char **error)
{
	const char *file = strchr(path, '/') + 1;
	char key[2 * PKI_FILE_NAME];
	int rc;

	snprintf(key, sizeof(key), "%.*s.key", (int)strlen(path) - 4, path);
	if (folder_has(pki, key)) {
		rc = folder_move(pki, key, "revoked", strchr(key, '/') + 1,
				 error);
		if (rc < 0)
			return rc;
	}
	rc = folder_move(pki, path, "revoked", file, error);
	if (rc == 0)
		folder_tell(pki, path, "revoked, and moved to revoked/%s",
			    file);
	return rc;
}

/* All are in the list on disk before the first goes: after a crash between,
 * none is forgotten. */
int
pki_revoke(struct pki *pki, const char *name, char **error)
{
	char pem[PKI_FILE_NAME];
	int rc;

	*error = NULL;
	if (!folder_has(pki, file_name(pem, name, ".pem")))
		return text_error(error, -ENOENT,
				  "%s/%s: there is no such certificate",
				  pki->folder, pem);
	rc = list_file(pki, pem, error);
	if (rc == 0)
		rc = folder_each_replaced(pki, name, list_file, error);
	if (rc == 0)
		rc = write_list(pki, error);
	if (rc == 0)
		rc = put_aside(pki, name, "revoked", error);
	return rc < 0 ? rc
		      : folder_each_replaced(pki, name, move_replaced, error);
}

int
pki_write_list(struct pki *pki, char **error)
{
	char until[16];
	int rc;

	*error = NULL;
	rc = write_list(pki, error);
	if (rc == 0)
		folder_tell(pki, "crl.pem",
			    "what is revoked, for all peers, until %s",
			    certificate_until(until, X509_CRL_get0_nextUpdate(
							     pki->revoked)));
	return rc;
}

/* ---- issuing ----------------------------------------------------------- */

static int
make_peer(struct pki *pki, const char *names, char **error)
{
	EVP_PKEY *key = certificate_key();
	X509 *made = key ? certificate_peer(pki, key, names) : NULL;
	char pem[PKI_FILE_NAME], key_name[PKI_FILE_NAME], until[16];
	int rc;

	file_name(pem, names, ".pem");
	file_name(key_name, names, ".key");
	if (!made) {
		EVP_PKEY_free(key);
		return folder_failed(pki, pem, error);
	}
	rc = write_file(pki, key_name, certificate_key_pem(key), PKI_SECRET,
			false, error);
	if (rc == 0)
		rc = write_file(pki, pem, certificate_pem(made), PKI_PUBLIC,
				false, error);
	if (rc == 0) {
		folder_tell(pki, key_name, "its private key");
		folder_tell(pki, pem, "certificate of %s, until %s", names,
			    certificate_until(until, X509_get0_notAfter(made)));
	}
	X509_free(made);
	EVP_PKEY_free(key);
	return rc;
}

static int
keep_peer(struct pki *pki, const char *pem, char **error)
{
	X509 *certificate;
	char until[16];
	int rc = read_certificate(pki, pem, &certificate, error);

	if (rc < 0)
		return rc;
	folder_tell(pki, pem, "there already, and kept; until %s",
		    certificate_until(until, X509_get0_notAfter(certificate)));
	X509_free(certificate);
	return 0;
}

int
pki_issue(struct pki *pki, const char *names, bool renew, char **error)
{
	char pem[PKI_FILE_NAME], key[PKI_FILE_NAME], name[PKI_FILE_NAME];
	int rc = 0;

	*error = NULL;
	file_name(pem, names, ".pem");
	file_name(key, names, ".key");
	file_name(name, names, "");
	if (folder_has(pki, pem) && !renew)
		return keep_peer(pki, pem, error);
	if (folder_has(pki, pem))
		rc = put_aside(pki, name, "replaced", error);
	else if (folder_has(pki, key))
		rc = text_error(error, -EEXIST,
				"%s/%s is there without its certificate; move "
				"it away to get a new one",
				pki->folder, key);
	return rc < 0 ? rc : make_peer(pki, names, error);
}
