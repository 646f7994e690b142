/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Pre-shared keys: random, of 256 bits. The file psk has all of them, for
 * collectors; NAME.psk has only that of NAME, for an exporter.
 */
#include "internal.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { KEY_OCTETS = 32, LINE_OCTETS = 1024 };

static bool
is_of(const char *line, const char *name)
{
	size_t length = strlen(name);

	return strncmp(line, name, length) == 0 && line[length] == ':';
}

/* All lines but that of name, to the end of *out; was it there? */
static int
copy_others(const struct pki *pki, const char *name, BIO **out, bool *was,
	    char **error)
{
	char line[LINE_OCTETS];
	BIO *bio;
	int rc, n;

	*was = false;
	*out = BIO_new(BIO_s_mem());
	if (!*out)
		return -ENOMEM;
	if (!folder_has(pki, "psk"))
		return 0;
	rc = folder_read(pki, "psk", &bio, error);
	if (rc < 0)
		return rc;
	while (rc == 0 && (n = BIO_gets(bio, line, sizeof(line))) > 0) {
		if (n == sizeof(line) - 1 && line[n - 1] != '\n')
			rc = text_error(error, -EINVAL,
					"%s/psk: a line is too long",
					pki->folder);
		else if (is_of(line, name))
			*was = true;
		else if (BIO_write(*out, line, n) != n ||
			 (line[n - 1] != '\n' && BIO_puts(*out, "\n") != 1))
			rc = -ENOMEM;
	}
	OPENSSL_cleanse(line, sizeof(line));
	BIO_free(bio);
	return rc;
}

static int
add_line(BIO *out, const char *name, const unsigned char *key)
{
	if (BIO_printf(out, "%s:", name) < 0)
		return -ENOMEM;
	for (int i = 0; i < KEY_OCTETS; i++)
		if (BIO_printf(out, "%02x", key[i]) < 0)
			return -ENOMEM;
	return BIO_puts(out, "\n") == 1 ? 0 : -ENOMEM;
}

static int
write_key(struct pki *pki, const char *name, BIO *others, bool replace,
	  char **error)
{
	unsigned char key[KEY_OCTETS];
	char file[PKI_FILE_NAME];
	BIO *own = BIO_new(BIO_s_mem());
	int rc = -ENOMEM;

	snprintf(file, sizeof(file), "%s.psk", name);
	if (RAND_bytes(key, sizeof(key)) != 1)
		rc = folder_failed(pki, file, error);
	else if (own && add_line(own, name, key) == 0)
		rc = add_line(others, name, key);
	OPENSSL_cleanse(key, sizeof(key));
	if (rc == 0)
		rc = folder_write(pki, file, own, PKI_SECRET, replace, error);
	if (rc == 0)
		rc = folder_write(pki, "psk", others, PKI_SECRET, true, error);
	BIO_free(own);
	if (rc == 0) {
		folder_tell(pki, file, "the key of %s alone, for itself", name);
		folder_tell(pki, "psk", "keys of all, for those who collect");
	}
	return rc;
}

int
pki_psk_add(struct pki *pki, const char *name, bool renew, char **error)
{
	BIO *others;
	bool was;
	int rc;

	*error = NULL;
	rc = copy_others(pki, name, &others, &was, error);
	if (rc == 0 && was && !renew)
		folder_tell(pki, "psk", "%s has a key already; it is kept",
			    name);
	else if (rc == 0)
		rc = write_key(pki, name, others, renew, error);
	BIO_free(others);
	return rc;
}

int
pki_psk_remove(struct pki *pki, const char *name, char **error)
{
	char file[PKI_FILE_NAME];
	BIO *others;
	bool was;
	int rc;

	*error = NULL;
	rc = copy_others(pki, name, &others, &was, error);
	if (rc == 0 && !was)
		rc = text_error(error, -ENOENT, "%s/psk: %s has no key",
				pki->folder, name);
	if (rc == 0)
		rc = folder_write(pki, "psk", others, PKI_SECRET, true, error);
	BIO_free(others);
	if (rc < 0)
		return rc;
	snprintf(file, sizeof(file), "%s.psk", name);
	unlinkat(pki->dir, file, 0);
	folder_tell(pki, "psk", "the key of %s is gone from it", name);
	return rc;
}
