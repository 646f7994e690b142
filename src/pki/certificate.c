/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in certificates and lists (RFC 5280). Keys are ECDSA on P-256, which
 * all libraries have; serial numbers are random. The authority may sign peers
 * and lists, and no further authority; a peer may be client and server, as
 * Conflux can be both. Certificates are valid from an hour ago on, for machines
 * whose clocks differ.
 */
#include "internal.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	DAY = 86400,
	SKEW = 3600, /* seconds that clocks may differ */
	SERIAL_OCTETS = 16,
};

EVP_PKEY *
certificate_key(void)
{
	return EVP_EC_gen("P-256");
}

BIO *
certificate_pem(X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (bio && !PEM_write_bio_X509(bio, certificate)) {
		BIO_free(bio);
		return NULL;
	}
	return bio;
}

BIO *
certificate_key_pem(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (bio && !PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL,
						  NULL)) {
		BIO_free(bio);
		return NULL;
	}
	return bio;
}

/* ---- parts of a certificate -------------------------------------------- */

static bool
set_serial(X509 *certificate)
{
	unsigned char octets[SERIAL_OCTETS];
	BIGNUM *number;
	bool ok;

	if (RAND_bytes(octets, sizeof(octets)) != 1)
		return false;
	octets[0] = (octets[0] & 0x7f) | 0x40; /* positive, of full length */
	number = BN_bin2bn(octets, sizeof(octets), NULL);
	ok = number &&
	     BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
	BN_free(number);
	return ok;
}

/* No longer than the issuer. */
static bool
set_times(X509 *certificate, unsigned days, const X509 *issuer)
{
	const ASN1_TIME *end = issuer ? X509_get0_notAfter(issuer) : NULL;
	ASN1_TIME *own = X509_getm_notAfter(certificate);

	if (!X509_gmtime_adj(X509_getm_notBefore(certificate), -SKEW) ||
	    !X509_gmtime_adj(own, (long)days * DAY))
		return false;
	if (end && ASN1_TIME_compare(own, end) > 0)
		return X509_set1_notAfter(certificate, end);
	return true;
}

static bool
set_subject(X509 *certificate, const char *common_name, size_t length)
{
	return X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate),
					  NID_commonName, MBSTRING_UTF8,
					  (const unsigned char *)common_name,
					  (int)length, -1, 0);
}

static bool
add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX ctx;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = extension && X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return ok;
}

/* "a,b" becomes "DNS:a,DNS:b". */
static bool
add_domains(X509 *certificate, X509 *issuer, const char *names)
{
	struct text text = {0};
	bool ok;

	text_add(&text, "DNS:");
	for (; *names; names++)
		if (*names == ',')
			text_add(&text, ",DNS:");
		else
			text_add_char(&text, *names);
	ok = !text.failed && add_extension(certificate, issuer,
					   NID_subject_alt_name, text.data);
	text_fini(&text);
	return ok;
}

static X509 *
begin(EVP_PKEY *key, unsigned days, const X509 *issuer)
{
	X509 *certificate = X509_new();

	if (certificate && X509_set_version(certificate, X509_VERSION_3) &&
	    X509_set_pubkey(certificate, key) && set_serial(certificate) &&
	    set_times(certificate, days, issuer))
		return certificate;
	X509_free(certificate);
	return NULL;
}

/* ---- the two kinds ----------------------------------------------------- */

X509 *
certificate_authority(EVP_PKEY *key, unsigned days)
{
	X509 *made = begin(key, days, NULL);
	unsigned char tag[4];
	char name[32];

	/* Authorities of one user need names of their own. */
	if (!made || RAND_bytes(tag, sizeof(tag)) != 1)
		goto failed;
	snprintf(name, sizeof(name), "Conflux CA %02x%02x%02x%02x", tag[0],
		 tag[1], tag[2], tag[3]);
	if (!set_subject(made, name, strlen(name)) ||
	    !X509_set_issuer_name(made, X509_get_subject_name(made)) ||
	    !add_extension(made, made, NID_basic_constraints,
			   "critical,CA:TRUE,pathlen:0") ||
	    !add_extension(made, made, NID_key_usage,
			   "critical,keyCertSign,cRLSign") ||
	    !add_extension(made, made, NID_subject_key_identifier, "hash") ||
	    !X509_sign(made, key, EVP_sha256()))
		goto failed;
	return made;
failed:
	X509_free(made);
	return NULL;
}

X509 *
certificate_peer(const struct pki *pki, EVP_PKEY *key, const char *names)
{
	X509 *made = begin(key, pki->days, pki->authority);
	X509 *issuer = pki->authority;

	if (made && set_subject(made, names, strcspn(names, ",")) &&
	    X509_set_issuer_name(made, X509_get_subject_name(issuer)) &&
	    add_extension(made, issuer, NID_basic_constraints,
			  "critical,CA:FALSE") &&
	    add_extension(made, issuer, NID_key_usage,
			  "critical,digitalSignature") &&
	    add_extension(made, issuer, NID_ext_key_usage,
			  "serverAuth,clientAuth") &&
	    add_domains(made, issuer, names) &&
	    add_extension(made, issuer, NID_subject_key_identifier, "hash") &&
	    add_extension(made, issuer, NID_authority_key_identifier,
			  "keyid:always") &&
	    X509_sign(made, pki->key, EVP_sha256()))
		return made;
	X509_free(made);
	return NULL;
}

/* ---- lists ------------------------------------------------------------- */

static bool
copy_entries(X509_CRL *to, X509_CRL *from)
{
	STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(from);
	X509_REVOKED *entry;

	for (int i = 0; entries && i < sk_X509_REVOKED_num(entries); i++) {
		entry = X509_REVOKED_dup(sk_X509_REVOKED_value(entries, i));
		if (!entry)
			return false;
		if (!X509_CRL_add0_revoked(to, entry)) {
			X509_REVOKED_free(entry);
			return false;
		}
	}
	return true;
}

static bool
set_number(X509_CRL *list, const X509_CRL *before)
{
	ASN1_INTEGER *number =
		before ? X509_CRL_get_ext_d2i(before, NID_crl_number, NULL,
					      NULL)
		       : NULL;
	BIGNUM *next = number ? ASN1_INTEGER_to_BN(number, NULL) : BN_new();
	bool ok = false;

	ASN1_INTEGER_free(number);
	if (next && BN_add_word(next, 1)) {
		number = BN_to_ASN1_INTEGER(next, NULL);
		ok = number &&
		     X509_CRL_add1_ext_i2d(list, NID_crl_number, number, 0, 0);
		ASN1_INTEGER_free(number);
	}
	BN_free(next);
	return ok;
}

static bool
add_key_identifier(X509_CRL *list, X509 *issuer)
{
	X509_EXTENSION *extension;
	X509V3_CTX ctx;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, NULL, NULL, list, 0);
	extension = X509V3_EXT_conf_nid(
		NULL, &ctx, NID_authority_key_identifier, "keyid:always");
	ok = extension && X509_CRL_add_ext(list, extension, -1);
	X509_EXTENSION_free(extension);
	return ok;
}

X509_CRL *
certificate_list(const struct pki *pki)
{
	ASN1_TIME *from = X509_gmtime_adj(NULL, -SKEW);
	ASN1_TIME *to = X509_gmtime_adj(NULL, (long)pki->days * DAY);
	X509_CRL *list = X509_CRL_new();
	bool ok = from && to && list &&
		  X509_CRL_set_version(list, X509_CRL_VERSION_2) &&
		  X509_CRL_set_issuer_name(
			  list, X509_get_subject_name(pki->authority)) &&
		  X509_CRL_set1_lastUpdate(list, from) &&
		  X509_CRL_set1_nextUpdate(list, to);

	if (ok && pki->revoked)
		ok = copy_entries(list, pki->revoked);
	ok = ok && set_number(list, pki->revoked) &&
	     add_key_identifier(list, pki->authority) && X509_CRL_sort(list) &&
	     X509_CRL_sign(list, pki->key, EVP_sha256());
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	if (ok)
		return list;
	X509_CRL_free(list);
	return NULL;
}

/* ---- for people -------------------------------------------------------- */

char *
certificate_serial(const X509 *certificate)
{
	BIGNUM *number =
		ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
	char *text = number ? BN_bn2hex(number) : NULL;

	BN_free(number);
	return text;
}

char *
certificate_until(char text[16], const ASN1_TIME *time)
{
	struct tm tm = {0};

	ASN1_TIME_to_tm(time, &tm);
	strftime(text, 16, "%Y-%m-%d", &tm);
	return text;
}
