/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocations fail, ours each once and OpenSSL's one in STEP: files can't be
 * read, or a peer is turned away with a reason, but nobody is let in who should
 * not be, and nothing crashes. Leaks are for the sanitizers.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "conflux/secure.h"
#include "certs.h"
#include "nomem.h"
#include "unit.h"

enum { STEP = 499 };

static struct certs_folder folder;
static struct cert ca, own, peer;
static bool library; /* OpenSSL's allocations count, too */

static void *
library_malloc(size_t size, const char *file, int line)
{
	return library ? __wrap_malloc(size) : __real_malloc(size);
}

static void *
library_realloc(void *old, size_t size, const char *file, int line)
{
	return library ? __wrap_realloc(old, size) : __real_realloc(old, size);
}

static void
library_free(void *old, const char *file, int line)
{
	free(old);
}

/* Reads all files, twice, and judges this certificate by that name. */
static void
use(const struct cert *cert, const char *wanted, bool may)
{
	const struct secure_conf conf = {
		.server = true,
		.certificate = certs_path(&folder, "own.pem"),
		.key = certs_path(&folder, "own.key"),
		.authorities = certs_path(&folder, "ca.pem"),
		.revocations = certs_path(&folder, "crl.pem"),
		.psk_file = certs_path(&folder, "psk"),
		.remote_fqdn = {&wanted, 1},
	};
	struct secure_verdict verdict;
	unsigned char *octets = NULL;
	struct secure *secure = NULL;
	struct secure_der der;
	char *error = NULL;
	int rc = secure_new(&conf, "test", &secure, &error);

	free(error);
	if (rc < 0)
		return;
	error = NULL;
	secure_reload(secure, &error);
	free(error);
	der.length = (size_t)i2d_X509(cert->x509, &octets);
	der.data = octets;
	if (octets) {
		secure_verify(secure, &der, 1, NULL, &verdict);
		CU_ASSERT(may || !verdict.allowed);
		CU_ASSERT_EQUAL(verdict.allowed, verdict.reason[0] == '\0');
	}
	OPENSSL_free(octets);
	secure_free(secure);
}

static void
use_all(void)
{
	use(&peer, "peer.example.net", true);
	use(&peer, "other.example.net", false);
	use(&own, "own.example.net", false); /* it is revoked */
}

static void
fail_each(unsigned step)
{
	bool failed = true;

	for (unsigned n = 1; failed; n += step) {
		nomem_begin(n);
		use_all();
		failed = nomem_end();
	}
}

/* What the library sets up once is there from then on. */
static void
test_with_memory(void)
{
	use_all();
}

static void
test_ours(void)
{
	fail_each(1);
}

static void
test_library(void)
{
	library = true;
	fail_each(STEP);
	library = false;
}

static const struct unit_test tests[] = {
	{"with memory", test_with_memory},
	{"our allocations fail", test_ours},
	{"those of OpenSSL fail", test_library},
};

int
main(void)
{
	int rc;

	CRYPTO_set_mem_functions(library_malloc, library_realloc, library_free);
	certs_begin(&folder);
	cert_make(&ca, &(struct cert_spec){.subject = "CN=CA", .ca = true},
		  NULL);
	cert_make(&own, &(struct cert_spec){.domain = "own.example.net"}, &ca);
	cert_make(&peer, &(struct cert_spec){.domain = "peer.example.net"},
		  &ca);
	cert_write(certs_path(&folder, "ca.pem"), &ca, 1);
	cert_write(certs_path(&folder, "own.pem"), &own, 1);
	cert_write_key(certs_path(&folder, "own.key"), &own, 0600);
	cert_write_list(certs_path(&folder, "crl.pem"), &ca, &own, -1, 5);
	certs_write_text(certs_path(&folder, "psk"),
			 "a:00112233445566778899aabbccddeeff\n", 0600);
	rc = unit_run("secure without memory", tests, UNIT_COUNT(tests));
	cert_free(&peer);
	cert_free(&own);
	cert_free(&ca);
	certs_end(&folder);
	return rc;
}
