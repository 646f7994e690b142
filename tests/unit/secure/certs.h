/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates for tests, made when they run: good ones, and such as nobody
 * would issue. Files go to a folder of their own.
 *
 *	struct certs_folder f;
 *	struct cert ca, peer;
 *	certs_begin(&f);
 *	cert_make(&ca, &(struct cert_spec){.subject = "CN=CA", .ca = true},
 *		  NULL);
 *	cert_make(&peer, &(struct cert_spec){.domain = "a.example.net"}, &ca);
 *	cert_write(certs_path(&f, "a.pem"), &peer, 1);
 *	cert_write_key(certs_path(&f, "a.key"), &peer, 0600);
 *	...
 *	cert_free(&peer);
 *	certs_end(&f);
 */
#ifndef CONFLUX_TESTS_CERTS_H
#define CONFLUX_TESTS_CERTS_H

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CERTS_PATHS = 32, CERTS_DAY = 86400 };

/* ---- files ------------------------------------------------------------- */

struct certs_folder {
	char name[256];
	char path[CERTS_PATHS][320]; /* all that were asked for */
	unsigned count;
};

static inline void
certs_begin(struct certs_folder *f)
{
	const char *place = getenv("TMPDIR");

	*f = (struct certs_folder){0};
	snprintf(f->name, sizeof(f->name), "%s/conflux-certs-XXXXXX",
		 place ? place : "/tmp");
	if (!mkdtemp(f->name))
		abort();
}

static inline const char *
certs_path(struct certs_folder *f, const char *name)
{
	char path[320];

	snprintf(path, sizeof(path), "%s/%s", f->name, name);
	for (unsigned i = 0; i < f->count; i++)
		if (strcmp(f->path[i], path) == 0)
			return f->path[i];
	assert(f->count < CERTS_PATHS);
	return strcpy(f->path[f->count++], path);
}

static inline void
certs_end(struct certs_folder *f)
{
	for (unsigned i = 0; i < f->count; i++)
		unlink(f->path[i]);
	rmdir(f->name);
}

static inline void
certs_write_text(const char *path, const char *text, mode_t mode)
{
	FILE *file;

	unlink(path);
	file = fopen(path, "w");
	if (!file || fputs(text, file) < 0 || fclose(file) != 0 ||
	    chmod(path, mode) < 0)
		abort();
}

/* ---- certificates ------------------------------------------------------ */

struct cert {
	X509 *x509;
	EVP_PKEY *key;
};

/* What is left zero is as it should be. */
struct cert_spec {
	const char *subject; /* "CN=name"; NULL: "CN=" and domain */
	const char *domain;  /* a dNSName, or NULL */
	const char *names;   /* subjectAltName as OpenSSL writes it */
	GENERAL_NAMES *raw;  /* or like this */
	const char *usage;   /* extendedKeyUsage; NULL: both roles */
	bool ca;
	int from_day, to_day; /* from today; both 0: from -1 to 90 */
	int rsa_bits;	      /* 0: ECDSA P-256 */
};

static inline void
cert_extension(X509 *x509, const struct cert *issuer, int nid,
	       const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer ? issuer->x509 : x509, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (!extension || !X509_add_ext(x509, extension, -1))
		abort();
	X509_EXTENSION_free(extension);
}

/* "CN=a,O=b": parts in the order of the certificate. */
static inline void
cert_subject(X509 *x509, const char *subject)
{
	X509_NAME *name = X509_get_subject_name(x509);
	char copy[512], *save, *part, *value;

	snprintf(copy, sizeof(copy), "%s", subject);
	for (part = strtok_r(copy, ",", &save); part;
	     part = strtok_r(NULL, ",", &save)) {
		value = strchr(part, '=');
		assert(value);
		*value++ = '\0';
		if (!X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8,
						(const unsigned char *)value,
						-1, -1, 0))
			abort();
	}
}

static inline void
cert_fill(X509 *x509, const struct cert_spec *spec, const struct cert *issuer)
{
	bool days = spec->from_day || spec->to_day;
	uint64_t serial;
	char text[512];

	X509_set_version(x509, X509_VERSION_3);
	RAND_bytes((unsigned char *)&serial, sizeof(serial));
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial);
	X509_gmtime_adj(X509_getm_notBefore(x509),
			(days ? spec->from_day : -1) * (long)CERTS_DAY);
	X509_gmtime_adj(X509_getm_notAfter(x509),
			(days ? spec->to_day : 90) * (long)CERTS_DAY);
	snprintf(text, sizeof(text), "CN=%s",
		 spec->domain ? spec->domain : "nobody");
	cert_subject(x509, spec->subject ? spec->subject : text);
	X509_set_issuer_name(
		x509, X509_get_subject_name(issuer ? issuer->x509 : x509));
	cert_extension(x509, issuer, NID_basic_constraints,
		       spec->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	cert_extension(x509, issuer, NID_key_usage,
		       spec->ca ? "critical,keyCertSign,cRLSign"
				: "critical,digitalSignature");
	if (!spec->ca)
		cert_extension(x509, issuer, NID_ext_key_usage,
			       spec->usage ? spec->usage
					   : "serverAuth,clientAuth");
	snprintf(text, sizeof(text), "DNS:%s",
		 spec->domain ? spec->domain : "");
	if (spec->domain || spec->names)
		cert_extension(x509, issuer, NID_subject_alt_name,
			       spec->names ? spec->names : text);
	if (spec->raw)
		X509_add1_ext_i2d(x509, NID_subject_alt_name, spec->raw, 0, 0);
}

/* issuer NULL: signed by itself. */
static inline void
cert_make(struct cert *cert, const struct cert_spec *spec,
	  const struct cert *issuer)
{
	cert->x509 = X509_new();
	cert->key = spec->rsa_bits ? EVP_RSA_gen((unsigned)spec->rsa_bits)
				   : EVP_EC_gen("P-256");
	if (!cert->x509 || !cert->key ||
	    !X509_set_pubkey(cert->x509, cert->key))
		abort();
	cert_fill(cert->x509, spec, issuer);
	if (!X509_sign(cert->x509, issuer ? issuer->key : cert->key,
		       EVP_sha256()))
		abort();
}

static inline void
cert_free(struct cert *cert)
{
	X509_free(cert->x509);
	EVP_PKEY_free(cert->key);
	*cert = (struct cert){0};
}

/* Certificates behind each other. */
static inline void
cert_write(const char *path, const struct cert *cert, unsigned count)
{
	FILE *file = fopen(path, "w");

	for (unsigned i = 0; file && i < count; i++)
		if (!PEM_write_X509(file, cert[i].x509))
			abort();
	if (!file || fclose(file) != 0)
		abort();
}

static inline void
cert_write_key(const char *path, const struct cert *cert, mode_t mode)
{
	FILE *file;

	unlink(path);
	file = fopen(path, "w");
	if (!file ||
	    !PEM_write_PKCS8PrivateKey(file, cert->key, NULL, NULL, 0, NULL,
				       NULL) ||
	    fclose(file) != 0 || chmod(path, mode) < 0)
		abort();
}

/* A list by issuer with the serial of revoked (or NULL) in it. */
static inline void
cert_write_list(const char *path, const struct cert *issuer,
		const struct cert *revoked, int from_day, int to_day)
{
	ASN1_TIME *from = X509_gmtime_adj(NULL, from_day * (long)CERTS_DAY);
	ASN1_TIME *to = X509_gmtime_adj(NULL, to_day * (long)CERTS_DAY);
	X509_CRL *list = X509_CRL_new();
	X509_REVOKED *entry;
	FILE *file = fopen(path, "a");

	if (!from || !to || !list || !file)
		abort();
	X509_CRL_set_version(list, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer->x509));
	X509_CRL_set1_lastUpdate(list, from);
	X509_CRL_set1_nextUpdate(list, to);
	if (revoked) {
		entry = X509_REVOKED_new();
		if (!entry)
			abort();
		X509_REVOKED_set_serialNumber(
			entry, X509_get_serialNumber(revoked->x509));
		X509_REVOKED_set_revocationDate(entry, from);
		X509_CRL_add0_revoked(list, entry);
	}
	if (!X509_CRL_sign(list, issuer->key, EVP_sha256()) ||
	    !PEM_write_X509_CRL(file, list) || fclose(file) != 0)
		abort();
	X509_CRL_free(list);
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
}

#endif
