/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * All that comes from files, read and checked as a whole: what would fail with
 * each peer later is told at the start, with the file's name. A certificate of
 * ours that is not yet valid is no error: the clock of a machine that starts
 * may still be wrong.
 */
#include "internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "conflux/text.h"

enum {
	SECURITY_BITS = 112, /* OpenSSL's security level 2 */
};

struct loading {
	const struct secure *secure;
	const struct secure_conf *conf;
	struct secure_material *m;
	char **error;
};

/* ---- PEM --------------------------------------------------------------- */

/* There is none in the file. */
static int
pem_none(const char *file, const struct file_data *data, const char *what,
	 char **error)
{
	if (data->length && data->data[0] == 0x30)
		return text_error(error, -EINVAL,
				  "%s: expected a %s in PEM form, this is DER",
				  file, what);
	return text_error(error, -EINVAL, "%s: no %s in PEM form in it", file,
			  what);
}

/* No more of them: is that the end of the file? count: how many were read. */
static int
pem_end(const char *file, const struct file_data *data, const char *what,
	int count, char **error)
{
	unsigned long e = ERR_peek_last_error();

	ERR_clear_error();
	if (ERR_GET_LIB(e) != ERR_LIB_PEM ||
	    ERR_GET_REASON(e) != PEM_R_NO_START_LINE)
		return text_error(error, -EINVAL,
				  "%s: %s %d in it can't be read", file, what,
				  count + 1);
	return count ? 0 : pem_none(file, data, what, error);
}

/* Takes the next one into the list. 1, 0: there is none, -ENOMEM. */
typedef int (*pem_take)(void *list, BIO *bio);

static int
take_certificate(void *list, BIO *bio)
{
	X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	if (!certificate || sk_X509_push(list, certificate))
		return certificate != NULL;
	X509_free(certificate);
	return -ENOMEM;
}

static int
take_revocations(void *list, BIO *bio)
{
	X509_CRL *revocations = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);

	if (!revocations || sk_X509_CRL_push(list, revocations))
		return revocations != NULL;
	X509_CRL_free(revocations);
	return -ENOMEM;
}

/* All of a kind in the file, at least one; *pem: its text, if wanted. */
static int
read_all_of(const char *file, const char *what, pem_take take, void *list,
	    char **pem, char **error)
{
	struct file_data data;
	int count = 0, rc = file_read(&data, file, error);
	BIO *bio;

	if (rc < 0)
		return rc;
	bio = BIO_new_mem_buf(data.data, (int)data.length);
	ERR_clear_error();
	rc = bio && list ? 1 : -ENOMEM;
	while (rc == 1) {
		rc = take(list, bio);
		count += rc == 1;
	}
	if (rc == 0)
		rc = pem_end(file, &data, what, count, error);
	BIO_free(bio);
	if (rc == 0 && pem) {
		*pem = data.data;
		data.data = NULL;
	}
	file_free(&data);
	return rc;
}

static int
read_certificates(const char *file, STACK_OF(X509) * *out, char **pem,
		  char **error)
{
	*out = sk_X509_new_null();
	return read_all_of(file, "certificate", take_certificate, *out, pem,
			   error);
}

static int
read_lists(const char *file, STACK_OF(X509_CRL) * *out, char **error)
{
	*out = sk_X509_CRL_new_null();
	return read_all_of(file, "revocation list", take_revocations, *out,
			   NULL, error);
}

/* Asked for only if the key is encrypted. */
static int
on_passphrase(char *buffer, int size, int writing, void *arg)
{
	*(bool *)arg = true;
	return -1;
}

static int
read_key(struct loading *l)
{
	const char *file = l->conf->key;
	bool encrypted = false;
	struct file_data data;
	BIO *bio;
	int rc = file_read_secret(&data, file, &l->m->key_shared, l->error);

	if (rc < 0)
		return rc;
	bio = BIO_new_mem_buf(data.data, (int)data.length);
	ERR_clear_error();
	if (!bio)
		rc = -ENOMEM;
	else
		l->m->key = PEM_read_bio_PrivateKey(bio, NULL, on_passphrase,
						    &encrypted);
	BIO_free(bio);
	if (rc == 0 && encrypted)
		rc = text_error(l->error, -EINVAL,
				"%s: the key is encrypted; \"openssl pkey -in "
				"%s\" writes it without passphrase",
				file, file);
	else if (rc == 0 && !l->m->key)
		rc = strstr(data.data, "PRIVATE KEY-----")
			     ? text_error(l->error, -EINVAL,
					  "%s: the private key in it can't be "
					  "read",
					  file)
			     : pem_none(file, &data, "private key", l->error);
	ERR_clear_error();
	if (rc == 0) {
		l->m->key_pem = data.data;
		return 0;
	}
	file_free(&data);
	return rc;
}

/* ---- our own certificate ----------------------------------------------- */

static int
check_use(struct loading *l)
{
	const char *file = l->conf->certificate;
	X509 *own = l->m->certificate;
	int purpose = l->conf->server ? X509_PURPOSE_SSL_SERVER
				      : X509_PURPOSE_SSL_CLIENT;
	int bits = EVP_PKEY_get_security_bits(l->m->key);

	if (X509_check_private_key(own, l->m->key) != 1) {
		ERR_clear_error();
		return text_error(l->error, -EINVAL,
				  "%s: it is not the key of the certificate "
				  "in %s",
				  l->conf->key, file);
	}
	if (X509_cmp_current_time(X509_get0_notAfter(own)) < 0)
		return text_error(l->error, -EKEYEXPIRED,
				  "%s: the certificate has expired", file);
	if (X509_check_purpose(own, purpose, 0) != 1)
		return text_error(l->error, -EINVAL,
				  "%s: the certificate is not meant for a TLS "
				  "%s (its extendedKeyUsage or keyUsage)",
				  file, l->conf->server ? "server" : "client");
	if (bits < SECURITY_BITS)
		return text_error(l->error, -EINVAL,
				  "%s: the key gives %d bits of security; "
				  "expected at least %d (RSA of 2048 bits)",
				  l->conf->key, bits, SECURITY_BITS);
	return 0;
}

static int
local_mismatch(struct loading *l, const char *what,
	       const struct secure_list *list, const GENERAL_NAMES *names,
	       const X509_NAME *dn)
{
	struct text text = {0};
	int rc;

	text_printf(&text, "%s: expected %s", l->conf->certificate, what);
	for (unsigned i = 0; i < list->count; i++)
		text_printf(&text, "%s\"%s\"", i ? " or " : " ", list->text[i]);
	text_add(&text, ", the certificate has ");
	if (dn)
		text_add_dn(&text, dn);
	else
		text_add_domains(&text, names);
	rc = text.failed ? -ENOMEM
			 : text_error(l->error, -EINVAL, "%s", text.data);
	text_fini(&text);
	return rc;
}

static bool
has_local_fqdn(const struct secure_list *list, const GENERAL_NAMES *names)
{
	for (unsigned i = 0; i < list->count; i++)
		if (names_have(names, list->text[i]))
			return true;
	return list->count == 0;
}

static int
check_local_names(struct loading *l)
{
	const struct secure_conf *conf = l->conf;
	const struct dn_list *authority = &l->secure->local_authority;
	X509 *own = l->m->certificate;
	GENERAL_NAMES *names;
	bool issued = name_in_list(X509_get_issuer_name(own), authority);
	int rc = names_of(own, &names);

	if (rc < 0)
		return rc;
	for (int i = 0; i < sk_X509_num(l->m->chain); i++)
		issued |= name_in_list(
			X509_get_issuer_name(sk_X509_value(l->m->chain, i)),
			authority);
	if (!has_local_fqdn(&conf->local_fqdn, names))
		rc = local_mismatch(l, "the domain name", &conf->local_fqdn,
				    names, NULL);
	else if (conf->local_subject.count &&
		 !name_in_list(X509_get_subject_name(own),
			       &l->secure->local_subject))
		rc = local_mismatch(l, "the subject", &conf->local_subject,
				    NULL, X509_get_subject_name(own));
	else if (conf->local_authority.count && !issued)
		rc = local_mismatch(l, "the authority", &conf->local_authority,
				    NULL, X509_get_issuer_name(own));
	GENERAL_NAMES_free(names);
	return rc;
}

static int
load_own(struct loading *l)
{
	int rc = read_certificates(l->conf->certificate, &l->m->chain,
				   &l->m->certificate_pem, l->error);

	if (rc < 0)
		return rc;
	if (sk_X509_num(l->m->chain) > SECURE_CHAIN_MAX)
		return text_error(l->error, -EINVAL,
				  "%s: more than %d certificates; expected "
				  "ours and those that lead to its authority",
				  l->conf->certificate, SECURE_CHAIN_MAX);
	l->m->certificate = sk_X509_shift(l->m->chain);
	rc = read_key(l);
	if (rc == 0)
		rc = check_use(l);
	return rc < 0 ? rc : check_local_names(l);
}

/* ---- whose word is taken ----------------------------------------------- */

static int
load_authorities(struct loading *l)
{
	struct secure_material *m = l->m;
	int rc = read_certificates(l->conf->authorities, &m->trusted, NULL,
				   l->error);

	if (rc == 0 && l->conf->revocations)
		rc = read_lists(l->conf->revocations, &m->lists, l->error);
	if (rc < 0)
		return rc;
	m->authorities = X509_STORE_new();
	if (!m->authorities)
		return -ENOMEM;
	for (int i = 0; i < sk_X509_num(m->trusted); i++)
		if (!X509_STORE_add_cert(m->authorities,
					 sk_X509_value(m->trusted, i)))
			return -ENOMEM;
	for (int i = 0; m->lists && i < sk_X509_CRL_num(m->lists); i++)
		if (!X509_STORE_add_crl(m->authorities,
					sk_X509_CRL_value(m->lists, i)))
			return -ENOMEM;
	return 0;
}

/* ---- all --------------------------------------------------------------- */

int
material_load(struct secure_material *material, const struct secure *secure,
	      char **error)
{
	const struct secure_conf *conf = &secure->conf;
	struct loading l = {
		.secure = secure, .conf = conf, .m = material, .error = error};
	int rc = 0;

	*material = (struct secure_material){0};
	if (conf->certificate)
		rc = load_own(&l);
	if (rc == 0 && conf->authorities)
		rc = load_authorities(&l);
	if (rc == 0 && conf->psk_file)
		rc = psk_load(&material->psks, conf->psk_file,
			      &material->psk_shared, error);
	if (rc < 0)
		material_free(material);
	return rc;
}

static void
free_secret(char *text)
{
	if (text)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}

void
material_free(struct secure_material *material)
{
	SSL_CTX_free(material->ssl);
	psk_free(&material->psks);
	X509_STORE_free(material->authorities);
	sk_X509_pop_free(material->trusted, X509_free);
	sk_X509_CRL_pop_free(material->lists, X509_CRL_free);
	EVP_PKEY_free(material->key);
	X509_free(material->certificate);
	sk_X509_pop_free(material->chain, X509_free);
	free_secret(material->key_pem);
	free(material->certificate_pem);
	*material = (struct secure_material){0};
}
