/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What secure_new, secure_reload and the daily warning make of files. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "conflux/secure.h"
#include "certs.h"
#include "unit.h"

#define LIST(...)                                                     \
	{                                                             \
		.text = (const char *const[]){__VA_ARGS__},           \
		.count = sizeof((const char *const[]){__VA_ARGS__}) / \
			 sizeof(char *),                              \
	}

static struct certs_folder folder;
static struct cert ca, own;
static const char *const peer[] = {"peer.example.net"};

static const char *
path(const char *name)
{
	return certs_path(&folder, name);
}

/* A configuration that is right; its files are written anew. */
static struct secure_conf
good(void)
{
	struct secure_conf conf = {
		.certificate = path("own.pem"),
		.key = path("own.key"),
		.authorities = path("ca.pem"),
		.remote_fqdn = {peer, 1},
	};

	cert_write(conf.certificate, &own, 1);
	cert_write_key(conf.key, &own, 0600);
	cert_write(conf.authorities, &ca, 1);
	return conf;
}

/* Does it end in an error with that text? */
static bool
fails(const struct secure_conf *conf, const char *text)
{
	struct secure *secure = NULL;
	char *error = NULL;
	int rc = secure_new(conf, "test", &secure, &error);
	bool as_expected = rc < 0 && error && strstr(error, text);

	if (!as_expected)
		fprintf(stderr, "\nexpected: %s\ngot: %s\n", text,
			rc < 0 ? error : "no error");
	if (rc == 0)
		secure_free(secure);
	free(error);
	return as_expected;
}

static struct secure *
opened(const struct secure_conf *conf)
{
	struct secure *secure = NULL;
	char *error = NULL;

	CU_ASSERT_EQUAL_FATAL(secure_new(conf, "test", &secure, &error), 0);
	CU_ASSERT_PTR_NULL(error);
	return secure;
}

static void
test_nothing_left_out(void)
{
	struct secure_conf conf = {.server = true};

	CU_ASSERT(fails(&conf, "give a certificate and its private key, or"));
	conf.key = "k";
	CU_ASSERT(fails(&conf, "private key, but no certificate"));
	conf = good();
	conf.key = NULL;
	CU_ASSERT(fails(&conf, "needs the file of its private key"));
	conf = good();
	conf.authorities = NULL;
	CU_ASSERT(fails(&conf, "needs the file of authorities"));
	conf = good();
	conf.remote_fqdn.count = 0;
	CU_ASSERT(fails(&conf, "say who the peer may be"));
	conf.match_address = true;
	conf.remote_authority = (struct secure_list)LIST("CN=x");
	CU_ASSERT(fails(&conf, "an address can only be compared"));
	conf = good();
	conf.psk_identity = "me";
	CU_ASSERT(fails(&conf, "the identity needs the file"));
	conf = good();
	conf.certificate = conf.key = NULL;
	conf.psk_file = "p";
	CU_ASSERT(fails(&conf, "give a certificate of our own, too"));
}

static void
test_names_of_the_configuration(void)
{
	struct secure_conf conf = good();

	conf.remote_fqdn = (struct secure_list)LIST("a.net", "*.example.net");
	CU_ASSERT(fails(&conf, "\"*.example.net\": only certificates have"));
	conf.remote_fqdn = (struct secure_list)LIST("b\xc3\xbc"
						    "cher.net");
	CU_ASSERT(fails(&conf, "expected its form in ASCII"));
	conf.remote_fqdn = (struct secure_list)LIST("192.0.2.1");
	CU_ASSERT(fails(&conf, "an address is no name of a domain"));
	conf.remote_fqdn = (struct secure_list)LIST("2001:db8::1");
	CU_ASSERT(fails(&conf, "it is no name of a domain"));
	conf = good();
	conf.remote_subject = (struct secure_list)LIST("CN=a,nonsense=b");
	CU_ASSERT(fails(&conf, "at \"nonsense=b\": no such type"));
	conf = good();
	conf.local_authority = (struct secure_list)LIST("CN");
	CU_ASSERT(fails(&conf, "expected \"=\""));
}

static void
test_files(void)
{
	struct secure_conf conf = good();
	struct cert two[2] = {own, ca};

	conf.certificate = path("none.pem");
	CU_ASSERT(fails(&conf, "none.pem: No such file or directory"));
	conf.certificate = folder.name;
	CU_ASSERT(fails(&conf, "it is no regular file"));
	conf = good();
	certs_write_text(conf.authorities, "nothing\n", 0644);
	CU_ASSERT(fails(&conf, "ca.pem: no certificate in PEM form in it"));
	certs_write_text(conf.authorities, "0\x82", 0644);
	CU_ASSERT(fails(&conf, "this is DER"));
	certs_write_text(conf.authorities,
			 "-----BEGIN CERTIFICATE-----\nMAAA\n"
			 "-----END CERTIFICATE-----\n",
			 0644);
	CU_ASSERT(fails(&conf, "certificate 1 in it can't be read"));
	conf = good();
	conf.revocations = conf.authorities;
	CU_ASSERT(fails(&conf, "no revocation list in PEM form in it"));
	conf = good();
	certs_write_text(conf.key, "", 0600);
	CU_ASSERT(fails(&conf, "own.key: no private key in PEM form in it"));
	certs_write_text(conf.key,
			 "-----BEGIN PRIVATE KEY-----\nMAAA\n"
			 "-----END PRIVATE KEY-----\n",
			 0600);
	CU_ASSERT(fails(&conf, "own.key: the private key in it can't be read"));
	/* A chain behind the certificate is fine. */
	conf = good();
	cert_write(conf.certificate, two, 2);
	secure_free(opened(&conf));
}

static void
test_key(void)
{
	struct secure_conf conf = good();
	FILE *file;

	CU_ASSERT_EQUAL(chmod(conf.key, 0644), 0);
	CU_ASSERT(fails(&conf, "own.key: it is secret, but others may read or "
			       "change it (mode 0644): chmod 600 it"));
	CU_ASSERT_EQUAL(chmod(conf.key, 0660), 0);
	CU_ASSERT(fails(&conf, "(mode 0660)"));
	CU_ASSERT_EQUAL(chmod(conf.key, 0640), 0);
	secure_free(opened(&conf));
	cert_write_key(conf.key, &ca, 0600);
	CU_ASSERT(fails(&conf, "it is not the key of the certificate in"));
	file = fopen(conf.key, "w");
	CU_ASSERT_FATAL(file != NULL);
	PEM_write_PKCS8PrivateKey(file, own.key, EVP_aes_128_cbc(), "geheim", 6,
				  NULL, NULL);
	fclose(file);
	CU_ASSERT(fails(&conf, "the key is encrypted; \"openssl pkey -in"));
}

static bool
own_fails(struct secure_conf *conf, const struct cert_spec *spec,
	  const char *text)
{
	struct cert cert;
	bool as_expected;

	cert_make(&cert, spec, &ca);
	cert_write(conf->certificate, &cert, 1);
	cert_write_key(conf->key, &cert, 0600);
	as_expected = fails(conf, text);
	cert_free(&cert);
	return as_expected;
}

static void
test_own_certificate(void)
{
	struct cert_spec spec = {
		.domain = "me.example.net", .from_day = -9, .to_day = -1};
	struct secure_conf conf = good();

	CU_ASSERT(own_fails(&conf, &spec,
			    "own.pem: the certificate has "
			    "expired"));
	spec = (struct cert_spec){.usage = "serverAuth"};
	CU_ASSERT(own_fails(&conf, &spec, "not meant for a TLS client"));
	conf.server = true;
	spec = (struct cert_spec){.usage = "clientAuth"};
	CU_ASSERT(own_fails(&conf, &spec, "not meant for a TLS server"));
	spec = (struct cert_spec){.rsa_bits = 1024};
	CU_ASSERT(own_fails(&conf, &spec, "80 bits of security"));
}

static void
test_local_names(void)
{
	struct secure_conf conf = good();

	conf.local_fqdn = (struct secure_list)LIST("x.net", "y.net");
	CU_ASSERT(fails(&conf, "own.pem: expected the domain name \"x.net\" or "
			       "\"y.net\", the certificate has "
			       "\"me.example.net\""));
	conf.local_fqdn = (struct secure_list)LIST("x.net", "me.example.net");
	conf.local_subject = (struct secure_list)LIST("CN=you");
	CU_ASSERT(fails(&conf, "expected the subject \"CN=you\", the "
			       "certificate has \"CN=me.example.net\""));
	conf.local_subject = (struct secure_list)LIST("cn=ME.example.net");
	conf.local_authority = (struct secure_list)LIST("CN=Other");
	CU_ASSERT(fails(&conf, "expected the authority \"CN=Other\", the "
			       "certificate has \"O=Example,CN=Test CA\""));
	conf.local_authority =
		(struct secure_list)LIST("O=Example, CN=Test CA");
	secure_free(opened(&conf));
}

static void
test_accessors(void)
{
	uint8_t secret[SECURE_TICKET_SECRET] = {1, 2, 3};
	struct secure_conf conf = good();
	struct secure *secure;

	conf.ticket_secret = secret;
	secure = opened(&conf);
	CU_ASSERT(secure_has_certificate(secure));
	CU_ASSERT(!secure_has_psk(secure));
	CU_ASSERT_PTR_NULL(secure_psk_identity(secure));
	CU_ASSERT(strstr(secure_certificate_pem(secure), "BEGIN CERT") != NULL);
	CU_ASSERT(strstr(secure_key_pem(secure), "PRIVATE KEY") != NULL);
	CU_ASSERT_PTR_NOT_EQUAL(secure_conf_of(secure)->ticket_secret, secret);
	CU_ASSERT_EQUAL(memcmp(secure_conf_of(secure)->ticket_secret, secret,
			       sizeof(secret)),
			0);
	CU_ASSERT_PTR_NOT_EQUAL(secure_conf_of(secure)->remote_fqdn.text,
				conf.remote_fqdn.text);
	secure_free(secure);
	secure_free(NULL);
}

static void
test_reload_is_whole(void)
{
	static const char one[] = "me:000102030405060708090a0b0c0d0e0f\n";
	struct secure_conf conf = {.psk_file = path("psk"),
				   .psk_identity = "me"};
	struct secure *secure;
	const uint8_t *key;
	size_t length;
	char *error;

	certs_write_text(conf.psk_file, one, 0600);
	secure = opened(&conf);
	CU_ASSERT_EQUAL(secure_generation(secure), 0);
	certs_write_text(conf.psk_file, "you:00\n", 0600);
	CU_ASSERT_EQUAL(secure_reload(secure, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "psk:1: "));
	free(error);
	certs_write_text(conf.psk_file, "you:000102030405060708090a0b0c0d0e0f",
			 0600);
	CU_ASSERT_EQUAL(secure_reload(secure, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "no key of the identity"));
	free(error);
	CU_ASSERT_EQUAL(secure_generation(secure), 0);
	CU_ASSERT_EQUAL(secure_psk_find(secure, "me", 2, &key, &length), 0);
	certs_write_text(conf.psk_file,
			 "me:ff0102030405060708090a0b0c0d0e0fff\n", 0600);
	CU_ASSERT_EQUAL(secure_reload(secure, &error), 0);
	CU_ASSERT_EQUAL(secure_generation(secure), 1);
	CU_ASSERT_EQUAL(secure_psk_find(secure, "me", 2, &key, &length), 0);
	CU_ASSERT_EQUAL(length, 17);
	CU_ASSERT_EQUAL(key[0], 0xff);
	secure_free(secure);
}

/* What it writes to standard error. */
static void
warnings(struct secure *secure, int64_t now, char *out, size_t size)
{
	int saved = dup(STDERR_FILENO);
	FILE *file = tmpfile();
	size_t n;

	CU_ASSERT_FATAL(file != NULL && saved >= 0);
	dup2(fileno(file), STDERR_FILENO);
	secure_warn_expiry(secure, now);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	n = fread(out, 1, size - 1, file);
	out[n] = '\0';
	fclose(file);
}

static void
test_expiry(void)
{
	struct secure_conf conf = good();
	int64_t now = time(NULL);
	struct secure *secure;
	char text[2048];

	conf.revocations = path("crl.pem");
	unlink(conf.revocations);
	cert_write_list(conf.revocations, &ca, NULL, -1, 5);
	secure = opened(&conf);
	warnings(secure, now, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "");
	warnings(secure, now + 4 * CERTS_DAY, text, sizeof(text));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "test: /tmp/"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "revocation list of \"O=Example,CN=Test CA\" "
			     "expires in 2"));
	CU_ASSERT_PTR_NULL(strstr(text, "own.pem"));
	warnings(secure, now + 71 * CERTS_DAY, text, sizeof(text));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "own.pem: the certificate \"CN=me.example.net\""
			     " expires in 1"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text,
				      "crl.pem: the revocation list of "
				      "\"O=Example,CN=Test CA\" has expired"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text,
				      "ca.pem: the certificate "
				      "\"O=Example,CN=Test CA\" expires in 1"));
	CU_ASSERT_EQUAL(chmod(conf.key, 0640), 0);
	secure_free(secure);
	secure = opened(&conf);
	warnings(secure, now, text, sizeof(text));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "own.key: its group may read this secret"));
	secure_free(secure);
}

static const struct unit_test tests[] = {
	{"nothing that is left out lets somebody in", test_nothing_left_out},
	{"names of the configuration", test_names_of_the_configuration},
	{"files", test_files},
	{"private key", test_key},
	{"our own certificate", test_own_certificate},
	{"what our own certificate has to have", test_local_names},
	{"what was read", test_accessors},
	{"a reload is whole or nothing", test_reload_is_whole},
	{"warnings ahead", test_expiry},
};

int
main(void)
{
	int rc;

	certs_begin(&folder);
	cert_make(&ca,
		  &(struct cert_spec){.subject = "CN=Test CA,O=Example",
				      .ca = true},
		  NULL);
	cert_make(&own, &(struct cert_spec){.domain = "me.example.net"}, &ca);
	rc = unit_run("secure", tests, UNIT_COUNT(tests));
	cert_free(&own);
	cert_free(&ca);
	certs_end(&folder);
	return rc;
}
