/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the private authority makes is what the module secure takes. */
#include <errno.h>
#include <ftw.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conflux/pki.h"
#include "conflux/secure.h"
#include "conflux/text.h"
#include "unit.h"

static char folder[64];

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

/* a and b get certificates, a gets a key; renew is for b. */
static void
work(bool renew)
{
	struct text told = {0};
	struct pki *pki;
	char *error;

	CU_ASSERT_EQUAL_FATAL(pki_open(folder, 30, &told, &pki, &error), 0);
	CU_ASSERT_EQUAL(pki_authority(pki, &error), 0);
	CU_ASSERT_EQUAL(pki_issue(pki, "a.example.net", false, &error), 0);
	CU_ASSERT_EQUAL(pki_issue(pki, "b.example.net,b.net", renew, &error),
			0);
	CU_ASSERT_EQUAL(pki_write_list(pki, &error), 0);
	CU_ASSERT_EQUAL(pki_psk_add(pki, "a.example.net", false, &error), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(told.data, "a.example.net.pem: "));
	pki_close(pki);
	text_fini(&told);
}

static void
revoke_name(const char *name)
{
	struct text told = {0};
	struct pki *pki;
	char *error;

	CU_ASSERT_EQUAL_FATAL(pki_open(folder, 30, &told, &pki, &error), 0);
	CU_ASSERT_EQUAL(pki_authority(pki, &error), 0);
	CU_ASSERT_EQUAL(pki_revoke(pki, name, &error), 0);
	pki_close(pki);
	text_fini(&told);
}

static const char *
file(char out[128], const char *name)
{
	snprintf(out, 128, "%s/%s", folder, name);
	return out;
}

/* May b's certificate in the file talk to a? */
static bool
allowed(const char *peer_file, bool server, const char *wanted)
{
	char path[5][128];
	struct secure_conf conf = {
		.server = server,
		.certificate = file(path[0], "a.example.net.pem"),
		.key = file(path[1], "a.example.net.key"),
		.authorities = file(path[2], "ca.pem"),
		.revocations = file(path[3], "crl.pem"),
		.remote_fqdn = {&wanted, 1},
	};
	struct secure_verdict verdict = {0};
	struct secure *secure = NULL;
	FILE *f = fopen(peer_file, "r");
	unsigned char *der = NULL;
	X509 *peer;
	int length;
	char *error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	peer = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
	length = i2d_X509(peer, &der);
	CU_ASSERT_EQUAL_FATAL(secure_new(&conf, "test", &secure, &error), 0);
	secure_verify(secure, &(struct secure_der){der, (size_t)length}, 1,
		      NULL, &verdict);
	secure_free(secure);
	OPENSSL_free(der);
	X509_free(peer);
	return verdict.allowed;
}

static void
test_taken(void)
{
	char path[128], old[128], new[128];

	work(false);
	file(path, "b.example.net.pem");
	CU_ASSERT(allowed(path, true, "b.example.net"));
	CU_ASSERT(allowed(path, false, "b.net"));
	CU_ASSERT(!allowed(path, false, "a.example.net"));
	/* Replaced: both are taken, until the name is revoked. */
	CU_ASSERT_EQUAL(link(path, file(old, "old.pem")), 0);
	work(true);
	CU_ASSERT_EQUAL(link(path, file(new, "new.pem")), 0);
	CU_ASSERT(allowed(new, true, "b.example.net"));
	CU_ASSERT(allowed(old, true, "b.example.net"));
	revoke_name("b.example.net");
	CU_ASSERT(!allowed(new, true, "b.example.net"));
	CU_ASSERT(!allowed(old, true, "b.example.net"));
	CU_ASSERT(access(path, F_OK) < 0);
}

static void
test_key_taken(void)
{
	char path[128];
	struct secure_conf conf = {.psk_file = file(path, "a.example.net.psk"),
				   .psk_identity = "a.example.net"};
	struct secure *secure = NULL;
	const uint8_t *key;
	size_t length;
	char *error;

	work(false);
	CU_ASSERT_EQUAL_FATAL(secure_new(&conf, "test", &secure, &error), 0);
	CU_ASSERT_EQUAL(
		secure_psk_find(secure, "a.example.net", 13, &key, &length), 0);
	CU_ASSERT_EQUAL(length, 32);
	secure_free(secure);
}

static void
test_names(void)
{
	char longest[66];

	memset(longest, 'a', 65);
	longest[65] = '\0';
	longest[32] = '.';
	CU_ASSERT_PTR_NOT_NULL(pki_names_wrong(longest));
	longest[64] = '\0';
	CU_ASSERT_PTR_NULL(pki_names_wrong(longest));
	CU_ASSERT_PTR_NULL(pki_names_wrong("a,b.net,c"));
	CU_ASSERT_PTR_NOT_NULL(pki_names_wrong("a,,c"));
	CU_ASSERT_PTR_NOT_NULL(pki_names_wrong("a,"));
	CU_ASSERT_PTR_NOT_NULL(pki_names_wrong("a b"));
	CU_ASSERT_PTR_NOT_NULL(pki_names_wrong("a."));
	CU_ASSERT_PTR_NOT_NULL(pki_names_wrong("crl"));
	CU_ASSERT_PTR_NOT_NULL(pki_names_wrong("2001:db8::1"));
}

static const struct unit_test tests[] = {
	{"certificates are taken", test_taken},
	{"a key is taken", test_key_taken},
	{"names", test_names},
};

int
main(void)
{
	int rc;

	strcpy(folder, "/tmp/conflux-pki-XXXXXX");
	if (!mkdtemp(folder))
		return 1;
	rc = unit_run("pki", tests, UNIT_COUNT(tests));
	nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	return rc;
}
