/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate (DER) that a peer shows: it is judged, and refused in words
 * that hold what it says of itself. As no mutation has a good signature, its
 * names are read and compared beside that as those of a good one are.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/addr.h"
#include "conflux/text.h"
#include "internal.h"
#include "secure/certs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct secure *
make_secure(void)
{
	static const char *const names[] = {"a.example.net"};
	struct certs_folder folder;
	struct cert ca, own;
	struct secure_conf conf = {.server = true, .remote_fqdn = {names, 1}};
	struct secure *secure = NULL;
	char *error = NULL;

	certs_begin(&folder);
	cert_make(&ca, &(struct cert_spec){.subject = "CN=CA", .ca = true},
		  NULL);
	cert_write(certs_path(&folder, "ca.pem"), &ca, 1);
	cert_make(&own, &(struct cert_spec){.domain = "b.example.net"}, &ca);
	cert_write(certs_path(&folder, "own.pem"), &own, 1);
	cert_write_key(certs_path(&folder, "own.key"), &own, 0600);
	conf.authorities = certs_path(&folder, "ca.pem");
	conf.certificate = certs_path(&folder, "own.pem");
	conf.key = certs_path(&folder, "own.key");
	if (secure_new(&conf, "fuzz", &secure, &error) < 0) {
		fprintf(stderr, "%s\n", error ? error : "");
		abort();
	}
	cert_free(&own);
	cert_free(&ca);
	certs_end(&folder);
	return secure;
}

static void
read_names(const struct secure *secure, X509 *certificate)
{
	struct text text = {0};
	GENERAL_NAMES *names;

	certificate_revoked(secure, certificate);
	text_add_dn(&text, X509_get_subject_name(certificate));
	text_add_dn(&text, X509_get_issuer_name(certificate));
	if (names_of(certificate, &names) == 0 && names) {
		names_have(names, "a.example.net");
		text_add_domains(&text, names);
		GENERAL_NAMES_free(names);
	}
	for (size_t i = 0; i < text.length; i++)
		assert(text.data[i] >= ' ' && text.data[i] < 0x7f);
	text_fini(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct secure *secure;
	const struct addr remote = {.version = 4, .port = 1};
	const struct secure_der der = {data, size};
	struct secure_verdict verdict;
	const uint8_t *p = data;
	X509 *certificate;

	if (!secure)
		secure = make_secure();
	secure_verify(secure, &der, 1, &remote, &verdict);
	assert(!verdict.allowed && verdict.reason[0]);
	certificate = d2i_X509(NULL, &p, (long)size);
	if (certificate)
		read_names(secure, certificate);
	X509_free(certificate);
	return 0;
}
