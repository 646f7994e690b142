/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Files of pre-shared keys, and of other ones. */
#include <errno.h>

#include "conflux/secure.h"
#include "certs.h"
#include "unit.h"

#define KEY "000102030405060708090a0b0c0d0e0f"

static struct certs_folder folder;

static int
open_psk(const char *text, struct secure **secure, char **error)
{
	const struct secure_conf conf = {
		.server = true, .psk_file = certs_path(&folder, "psk")};

	certs_write_text(conf.psk_file, text, 0600);
	return secure_new(&conf, "test", secure, error);
}

static void
test_good(void)
{
	struct secure *secure = NULL;
	const uint8_t *key;
	size_t length;
	char *error;

	CU_ASSERT_EQUAL_FATAL(open_psk("# comment\n\n"
				       "a.example.net:" KEY "\r\n"
				       "# b.example.net:00\n"
				       "#613a00:ff" KEY "\n"
				       "m\xc3\xbcller:" KEY KEY KEY KEY,
				       &secure, &error),
			      0);
	CU_ASSERT(secure_has_psk(secure));
	CU_ASSERT_EQUAL(
		secure_psk_find(secure, "a.example.net", 13, &key, &length), 0);
	CU_ASSERT_EQUAL(length, 16);
	CU_ASSERT_EQUAL(key[15], 15);
	CU_ASSERT_EQUAL(secure_psk_find(secure, "a:", 3, &key, &length), 0);
	CU_ASSERT_EQUAL(length, 17);
	CU_ASSERT_EQUAL(key[0], 0xff);
	CU_ASSERT_EQUAL(
		secure_psk_find(secure, "m\xc3\xbcller", 7, &key, &length), 0);
	CU_ASSERT_EQUAL(length, 64);
	CU_ASSERT_EQUAL(secure_psk_find(secure, "A", 1, &key, &length),
			-ENOENT);
	CU_ASSERT_EQUAL(secure_psk_find(secure, "", 0, &key, &length), -ENOENT);
	CU_ASSERT_EQUAL(
		secure_psk_find(secure, folder.name, 5000, &key, &length),
		-ENOENT);
	secure_free(secure);
}

static void
test_bad(void)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"", ": no key in it"},
		{"# only a comment\n", ": no key in it"},
		{"#\na\n", ":2: expected \"identity:key\""},
		{"a:\n", ":1: the key has less than 16 octets"},
		{"a:000102030405060708090a0b0c0d0e\n", ":1: the key has less"},
		{"a:0" KEY "\n", ":1: expected a key of pairs of hex"},
		{"a:g0" KEY "\n", ":1: expected a key of pairs of hex"},
		{"a: " KEY "\n", ":1: expected a key of pairs of hex"},
		{"a:00" KEY KEY KEY KEY "\n", ":1: the key has more than 64"},
		{":" KEY "\n", ":1: there is no identity"},
		{"a\tb:" KEY "\n", ":1: a control character"},
		{"b:" KEY "\na:" KEY "\n\nb:" KEY "\n",
		 ":4: the same identity as in line 1"},
		{"ab:" KEY "\n#6162:" KEY "\n",
		 ":2: the same identity as in line 1"},
	};
	struct secure *secure;
	char *error;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CU_ASSERT_EQUAL(open_psk(cases[i].text, &secure, &error),
				-EINVAL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(error);
		CU_ASSERT_PTR_NOT_NULL(strstr(error, cases[i].error));
		/* Not even a part of a key. */
		CU_ASSERT_PTR_NULL(strstr(error, "0001"));
		free(error);
	}
}

static void
test_many(void)
{
	char *text = malloc(SECURE_PSK_COUNT * 48 + 100), *p = text, *error;
	struct secure *secure = NULL;
	const uint8_t *key;
	size_t length;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (unsigned i = 0; i < SECURE_PSK_COUNT; i++)
		p += sprintf(p, "%05u:%08x" KEY "\n", i, i);
	CU_ASSERT_EQUAL_FATAL(open_psk(text, &secure, &error), 0);
	CU_ASSERT_EQUAL(secure_psk_find(secure, "54321", 5, &key, &length), 0);
	CU_ASSERT_EQUAL(key[2] << 8 | key[3], 54321);
	secure_free(secure);
	sprintf(p, "one more:" KEY "\n");
	CU_ASSERT_EQUAL(open_psk(text, &secure, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, ":65537: more than 65536"));
	free(error);
	free(text);
}

static void
test_not_for_others(void)
{
	struct secure_conf conf = {.server = true,
				   .psk_file = certs_path(&folder, "psk")};
	struct secure *secure;
	char *error;

	certs_write_text(conf.psk_file, "a:" KEY "\n", 0604);
	CU_ASSERT_EQUAL(secure_new(&conf, "test", &secure, &error), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "others may read or change it"));
	free(error);
}

static void
test_identity_of_a_client(void)
{
	struct secure_conf conf = {.psk_file = certs_path(&folder, "psk")};
	struct secure *secure;
	char *error;

	certs_write_text(conf.psk_file, "nobody.example.net:" KEY "\n", 0600);
	CU_ASSERT_EQUAL(secure_new(&conf, "test", &secure, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "the name of this machine"));
	free(error);
	conf.psk_identity = "nobody.example.net";
	CU_ASSERT_EQUAL_FATAL(secure_new(&conf, "test", &secure, &error), 0);
	CU_ASSERT_STRING_EQUAL(secure_psk_identity(secure),
			       "nobody.example.net");
	secure_free(secure);
}

/* Of a key for something else than a session. */
static void
test_key_file(void)
{
	static const struct {
		const char *text, *error;
		mode_t mode;
	} cases[] = {
		{"# a key\n\n  " KEY " \r\n", NULL, 0600},
		{KEY, NULL, 0640},
		{"", ": no key in it, expected one of 16 octets", 0600},
		{"# " KEY, ": no key in it", 0600},
		{KEY "\n" KEY, ": more than one key in it", 0600},
		{KEY "00", ": its key is another, expected one", 0600},
		{"x0" KEY, ": its key is another", 0600},
		{KEY, ": it is secret, but others", 0644},
	};
	const char *path = certs_path(&folder, "key");

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		uint8_t key[16] = {0};
		char *error = NULL;
		int rc;

		certs_write_text(path, cases[i].text, cases[i].mode);
		rc = secure_key_read(path, key, sizeof(key), &error);
		CU_ASSERT_EQUAL(rc == 0, cases[i].error == NULL);
		CU_ASSERT_EQUAL(key[15] == 15, cases[i].error == NULL);
		CU_ASSERT(!cases[i].error || strstr(error, cases[i].error));
		CU_ASSERT(!error || !strstr(error, "0001020"));
		free(error);
	}
}

static const struct unit_test tests[] = {
	{"good lines", test_good},
	{"bad lines", test_bad},
	{"as many as may be, and one more", test_many},
	{"not for others to read", test_not_for_others},
	{"the identity of a client", test_identity_of_a_client},
	{"a file with one key", test_key_file},
};

int
main(void)
{
	int rc;

	certs_begin(&folder);
	rc = unit_run("psk", tests, UNIT_COUNT(tests));
	certs_end(&folder);
	return rc;
}
