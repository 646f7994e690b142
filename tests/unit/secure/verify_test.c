/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Who may talk to us: good peers, wrong ones, and certificates of villains. */
#include <errno.h>
#include <string.h>

#include "conflux/text.h"
#include "internal.h"
#include "certs.h"
#include "unit.h"

static struct certs_folder folder;
static struct cert ca, other_ca, middle, own;

static const char *
path(const char *name)
{
	return certs_path(&folder, name);
}

#define ONE(string)                                               \
	(struct secure_list)                                      \
	{                                                         \
		.text = (const char *const[]){string}, .count = 1 \
	}

static const char *const exporter[] = {"exporter.example.net"};

/* We collect; the peer has to be exporter.example.net. */
static struct secure_conf
collector(void)
{
	return (struct secure_conf){
		.server = true,
		.certificate = path("own.pem"),
		.key = path("own.key"),
		.authorities = path("ca.pem"),
		.remote_fqdn = {exporter, 1},
	};
}

static struct secure *
opened(const struct secure_conf *conf)
{
	struct secure *secure = NULL;
	char *error = NULL;

	CU_ASSERT_EQUAL_FATAL(secure_new(conf, "test", &secure, &error), 0);
	return secure;
}

/* secure_verify of the chain in DER. */
static bool
verify(const struct secure *secure, const struct cert *chain, unsigned count,
       const struct addr *remote, struct secure_verdict *verdict)
{
	struct secure_der der[SECURE_CHAIN_MAX + 1] = {{0}};
	unsigned char *octets;
	bool allowed;
	int length;

	for (unsigned i = 0; i < count; i++) {
		octets = NULL;
		length = i2d_X509(chain[i].x509, &octets);
		CU_ASSERT_FATAL(length > 0);
		der[i] = (struct secure_der){octets, (size_t)length};
	}
	allowed = secure_verify(secure, der, count, remote, verdict);
	CU_ASSERT_EQUAL(allowed, verdict->allowed);
	CU_ASSERT_EQUAL(allowed, verdict->reason[0] == '\0');
	for (unsigned i = 0; i < count; i++)
		OPENSSL_free((void *)der[i].data);
	return allowed;
}

/* The verdict on a peer made by spec and issuer: "" or the reason. */
static struct secure_verdict
verdict_on(const struct secure_conf *conf, const struct cert_spec *spec,
	   const struct cert *issuer)
{
	struct secure *secure = opened(conf);
	struct secure_verdict verdict;
	struct cert peer;

	cert_make(&peer, spec, issuer);
	verify(secure, &peer, 1, NULL, &verdict);
	cert_free(&peer);
	secure_free(secure);
	return verdict;
}

static bool
says(const struct secure_verdict *verdict, const char *text)
{
	if (strstr(verdict->reason, text))
		return true;
	fprintf(stderr, "\nexpected: %s\ngot: %s\n", text, verdict->reason);
	return false;
}

/* ---- names ------------------------------------------------------------- */

static void
test_names(void)
{
	static const struct {
		const char *name, *wanted;
		bool match;
	} cases[] = {
		{"a.example.net", "a.example.net", true},
		{"A.Example.NET", "a.eXample.net", true},
		{"a.example.net.", "a.example.net", true},
		{"a.example.net", "a.example.net.", true},
		{"b.example.net", "a.example.net", false},
		{"example.net", "a.example.net", false},
		{"*.example.net", "a.example.net", true},
		{"*.example.net", "a.b.example.net", false},
		{"*.example.net", "example.net", false},
		{"*.example.net", ".example.net", false},
		{"*.net", "example.net", false},
		{"*", "net", false},
		{"*.", "net", false},
		{"a*.example.net", "ab.example.net", false},
		{"*a.example.net", "ba.example.net", false},
		{"a.*.net", "a.example.net", false},
		{"*.*.net", "a.example.net", false},
		{"*.example.net", "*.example.net", false},
		{"192.0.2.1", "192.0.2.1", false},
		{"*.0.2.1", "192.0.2.1", false},
		{"", "", false},
		{".", ".", false},
		{"a..net", "a..net", false},
		{"localhost", "localhost", true},
		{"host_1.example.net", "host_1.example.net", true},
		{"a example.net", "a example.net", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CU_ASSERT_EQUAL(secure_name_match(cases[i].name,
						  strlen(cases[i].name),
						  cases[i].wanted),
				cases[i].match);
	CU_ASSERT(!secure_name_match("a.net\0.evil.net", 15, "a.net"));
	CU_ASSERT(!secure_name_match("a.net\0", 6, "a.net"));
}

/* Text to name and back. */
static void
test_distinguished_names(void)
{
	static const struct {
		const char *text, *shown;
	} cases[] = {
		{"CN=a,O=b,C=DE", "\"CN=a,O=b,C=DE\""},
		{" cn = a b ,  o=b ", "\"CN=a b,O=b\""},
		{"OU=x+CN=y,DC=example,DC=net",
		 "\"OU=x+CN=y,DC=example,DC=net\""},
		{"CN=a\\,b\\+\\\"\\\\\\ ", "\"CN=a\\,b\\+\\\"\\\\\\ \""},
		{"CN=m\\C3\\BCller", "\"CN=m\\C3\\BCller\""},
		{"CN=m\xc3\xbcller", "\"CN=m\\C3\\BCller\""},
		{"2.5.4.3=a,serialNumber=7", "\"CN=a,serialNumber=7\""},
		{"CN=#0c0161", "\"CN=a\""},
	};
	static const struct {
		const char *text, *at;
	} bad[] = {
		{"", ""},
		{"a", "a"},
		{"CN", ""},
		{"=a", "=a"},
		{"nothing=a", "nothing=a"},
		{"CN=a,", ""},
		{"CN=a;O=b", ";O=b"},
		{"CN=\"a\"", "\"a\""},
		{"CN=a\\", "\\"},
		{"CN=a\\z", "\\z"},
		{"CN=#0", "0"},
		{"CN=#0c0161x", "x"},
		{"CN=#0c0261", "CN=#0c0261"},
		{"CN=#020101", "CN=#020101"},
		{"C=Germany", "C=Germany"},
		{"CN=", "CN="},
		{"2.3=#0c01a0", "2.3=#0c01a0"},
	};
	const char *wrong, *reason;
	struct text text = {0};
	X509_NAME *name;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(
			dn_parse(cases[i].text, &name, &wrong, &reason), 0);
		text_reset(&text);
		text_add_dn(&text, name);
		CU_ASSERT_STRING_EQUAL(text.data, cases[i].shown);
		X509_NAME_free(name);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(dn_parse(bad[i].text, &name, &wrong, &reason),
				-EINVAL);
		CU_ASSERT_STRING_EQUAL(wrong, bad[i].at);
		CU_ASSERT_PTR_NOT_NULL(reason);
	}
	text_fini(&text);
}

/* ---- peers ------------------------------------------------------------- */

static void
test_good_peer(void)
{
	struct secure_conf conf = collector();
	struct secure_verdict v;

	v = verdict_on(&conf,
		       &(struct cert_spec){.domain = "exporter.example.net"},
		       &ca);
	CU_ASSERT(v.allowed);
	CU_ASSERT_STRING_EQUAL(v.peer, "exporter.example.net");
	v = verdict_on(&conf, &(struct cert_spec){.domain = "*.example.net"},
		       &ca);
	CU_ASSERT(v.allowed);
	/* One of the list, one of several of the certificate. */
	conf.remote_fqdn = (struct secure_list){
		(const char *const[]){"a.net", "b.net"}, 2};
	v = verdict_on(&conf,
		       &(struct cert_spec){
			       .names = "DNS:x.net,IP:192.0.2.1,DNS:b.net"},
		       &ca);
	CU_ASSERT(v.allowed);
	CU_ASSERT_STRING_EQUAL(v.peer, "x.net");
}

static void
test_wrong_name(void)
{
	struct secure_conf conf = collector();
	struct secure_verdict v;

	v = verdict_on(&conf,
		       &(struct cert_spec){.names = "DNS:other.example.net,"
						    "DNS:x.example.net"},
		       &ca);
	CU_ASSERT(says(&v, "domain name: expected \"exporter.example.net\", "
			   "the certificate has \"other.example.net\", "
			   "\"x.example.net\""));
	/* The common name is no name of a domain. */
	v = verdict_on(
		&conf,
		&(struct cert_spec){.subject = "CN=exporter.example.net"}, &ca);
	CU_ASSERT(says(&v, "the certificate has none"));
	CU_ASSERT_STRING_EQUAL(v.peer, "exporter.example.net");
	conf.remote_fqdn = (struct secure_list){
		(const char *const[]){"a.net", "b.net"}, 2};
	v = verdict_on(&conf,
		       &(struct cert_spec){.domain = "exporter.example.net"},
		       &ca);
	CU_ASSERT(says(&v, "expected one of \"a.net\", \"b.net\", the"));
}

static void
test_other_lists(void)
{
	struct cert_spec spec = {.subject = "C=DE,O=Example,CN=Probe 1"};
	struct secure_conf conf = collector();
	struct secure_verdict v;

	conf.remote_fqdn.count = 0;
	conf.remote_common_name = ONE("probe 1");
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(v.allowed);
	conf.remote_common_name = ONE("probe");
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(says(&v, "common name: expected \"probe\", the certificate "
			   "has \"Probe 1\""));
	conf.remote_common_name.count = 0;
	conf.remote_subject = ONE("CN=probe 1,O=EXAMPLE,C=DE");
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(v.allowed);
	conf.remote_subject = ONE("C=DE,O=EXAMPLE,CN=probe 1");
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(says(&v, "subject: expected \"C=DE,O=EXAMPLE,CN=probe 1\", "
			   "the certificate has "
			   "\"CN=Probe 1,O=Example,C=DE\""));
	conf.remote_subject.count = 0;
	conf.remote_authority = ONE("O=Example,CN=Test CA");
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(v.allowed);
	conf.remote_authority = ONE("CN=Test CA");
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(says(&v, "authority: expected \"CN=Test CA\", the "
			   "certificate has \"O=Example,CN=Test CA\""));
	/* Each list that is given has to have it. */
	conf.remote_authority = ONE("O=Example,CN=Test CA");
	conf.remote_fqdn = ONE("exporter.example.net");
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(says(&v, "domain name: expected"));
}

static void
test_certificate(void)
{
	struct cert_spec spec = {.domain = "exporter.example.net"};
	struct secure_conf conf = collector();
	struct secure_verdict v;

	v = verdict_on(&conf, &spec, &other_ca);
	CU_ASSERT(says(&v, "the certificate \"CN=exporter.example.net\" is "
			   "issued by \"CN=Other CA\", which is none of the "
			   "authorities in /tmp/"));
	v = verdict_on(&conf, &spec, NULL);
	CU_ASSERT(says(&v, "which is none of the authorities"));
	spec.from_day = -9, spec.to_day = -1;
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(says(&v, "\"CN=exporter.example.net\": certificate has "
			   "expired"));
	spec.from_day = 1, spec.to_day = 9;
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(says(&v, "is not yet valid"));
	spec = (struct cert_spec){.domain = "exporter.example.net",
				  .rsa_bits = 1024};
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(says(&v, "key too weak"));
	spec = (struct cert_spec){.domain = "exporter.example.net",
				  .usage = "serverAuth"};
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(says(&v, "is not meant for a TLS client"));
	conf.server = false;
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(v.allowed);
}

/* An authority between, sent by the peer or trusted itself. */
static void
test_chain(void)
{
	struct secure_conf conf = collector();
	struct secure *secure = opened(&conf);
	struct secure_verdict v;
	struct cert chain[2] = {{0}, middle};

	cert_make(&chain[0],
		  &(struct cert_spec){.domain = "exporter.example.net"},
		  &middle);
	CU_ASSERT(verify(secure, chain, 2, NULL, &v));
	CU_ASSERT(!verify(secure, chain, 1, NULL, &v));
	CU_ASSERT(says(&v, "issued by \"CN=Middle\""));
	secure_free(secure);
	conf.remote_authority = ONE("O=Example,CN=Test CA");
	secure = opened(&conf);
	CU_ASSERT(verify(secure, chain, 2, NULL, &v));
	secure_free(secure);
	conf.remote_authority.count = 0;
	conf.authorities = path("middle.pem");
	secure = opened(&conf);
	CU_ASSERT(verify(secure, chain, 1, NULL, &v));
	secure_free(secure);
	cert_free(&chain[0]);
}

static void
test_revocation(void)
{
	struct secure_conf conf = collector();
	struct cert chain[2], *peer = &chain[0];
	struct secure_verdict v;
	struct secure *secure;
	char *error;

	conf.revocations = path("crl.pem");
	unlink(conf.revocations);
	cert_make(peer, &(struct cert_spec){.domain = "exporter.example.net"},
		  &ca);
	cert_write_list(conf.revocations, &ca, NULL, -1, 5);
	secure = opened(&conf);
	CU_ASSERT(verify(secure, peer, 1, NULL, &v));
	/* A new list without a restart. */
	unlink(conf.revocations);
	cert_write_list(conf.revocations, &ca, peer, -1, 5);
	CU_ASSERT_EQUAL(secure_reload(secure, &error), 0);
	CU_ASSERT(!verify(secure, peer, 1, NULL, &v));
	CU_ASSERT(says(&v, "certificate revoked"));
	unlink(conf.revocations);
	cert_write_list(conf.revocations, &ca, NULL, -9, -1);
	CU_ASSERT_EQUAL(secure_reload(secure, &error), 0);
	CU_ASSERT(!verify(secure, peer, 1, NULL, &v));
	CU_ASSERT(says(&v, "list of its issuer in /tmp/"));
	CU_ASSERT(says(&v, "has expired"));
	cert_free(peer);

	/* The peer's own issuer needs a list, one above need not. */
	unlink(conf.revocations);
	cert_write_list(conf.revocations, &ca, NULL, -1, 5);
	CU_ASSERT_EQUAL(secure_reload(secure, &error), 0);
	cert_make(peer, &(struct cert_spec){.domain = "exporter.example.net"},
		  &middle);
	chain[1] = middle;
	CU_ASSERT(!verify(secure, chain, 2, NULL, &v));
	CU_ASSERT(says(&v, "issued by \"CN=Middle\", of which /tmp/"));
	CU_ASSERT(says(&v, "has no revocation list"));
	unlink(conf.revocations);
	cert_write_list(conf.revocations, &middle, NULL, -1, 5);
	CU_ASSERT_EQUAL(secure_reload(secure, &error), 0);
	CU_ASSERT(verify(secure, chain, 2, NULL, &v));
	cert_write_list(conf.revocations, &ca, &middle, -1, 5);
	CU_ASSERT_EQUAL(secure_reload(secure, &error), 0);
	CU_ASSERT(!verify(secure, chain, 2, NULL, &v));
	CU_ASSERT(says(&v, "the certificate \"CN=Middle\": certificate rev"));
	cert_free(peer);
	secure_free(secure);
}

static void
test_address(void)
{
	struct cert_spec spec = {.domain = "localhost"};
	struct secure_conf conf = collector();
	struct secure_verdict v;
	struct secure *secure;
	struct addr addr;
	struct cert peer;

	conf.match_address = true;
	conf.remote_fqdn = ONE("localhost");
	secure = opened(&conf);
	cert_make(&peer, &spec, &ca);
	addr_parse(&addr, "127.0.0.1", 4740);
	CU_ASSERT(verify(secure, &peer, 1, &addr, &v));
	addr_parse(&addr, "192.0.2.7", 4740);
	CU_ASSERT(!verify(secure, &peer, 1, &addr, &v));
	CU_ASSERT(says(&v, "\"localhost\" does not have the address 192.0.2.7 "
			   "of the peer"));
	CU_ASSERT(!verify(secure, &peer, 1, NULL, &v));
	secure_free(secure);
	cert_free(&peer);
	conf.remote_fqdn.count = 0;
	conf.remote_common_name = ONE("localhost");
	secure = opened(&conf);
	spec = (struct cert_spec){.subject = "CN=localhost"};
	cert_make(&peer, &spec, &ca);
	CU_ASSERT(!verify(secure, &peer, 1, &addr, &v));
	addr_parse(&addr, "127.0.0.1", 4740);
	CU_ASSERT(verify(secure, &peer, 1, &addr, &v));
	secure_free(secure);
	cert_free(&peer);
}

/* ---- villains ---------------------------------------------------------- */

static void
add_domain(GENERAL_NAMES *names, const char *domain, int length)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *string = ASN1_IA5STRING_new();

	if (!name || !string || !ASN1_STRING_set(string, domain, length) ||
	    !sk_GENERAL_NAME_push(names, name))
		abort();
	GENERAL_NAME_set0_value(name, GEN_DNS, string);
}

static void
test_odd_names(void)
{
	struct cert_spec spec = {.subject = "CN=x\x1b[31m\nEvil",
				 .raw = GENERAL_NAMES_new()};
	struct secure_conf conf = collector();
	struct secure_verdict v;

	add_domain(spec.raw, "exporter.example.net\0.evil.net", 30);
	add_domain(spec.raw, "\x1b[2Jexporter\n\"\\\x9b", 16);
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(says(&v, "the certificate has "
			   "\"exporter.example.net\\x00.evil.net\", "
			   "\"\\x1b[2Jexporter\\x0a\\x22\\x5c\\x9b\""));
	GENERAL_NAMES_free(spec.raw);
	spec.raw = NULL;
	conf.remote_fqdn.count = 0;
	conf.remote_common_name = ONE("x");
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(says(&v, "has \"x\\x1b[31m\\x0aEvil\""));
	CU_ASSERT_STRING_EQUAL(v.peer, "x\\x1b[31m\\x0aEvil");
	conf.remote_common_name.count = 0;
	conf.remote_subject = ONE("CN=x");
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(says(&v, "has \"CN=x\\1B[31m\\0AEvil\""));
}

static void
test_many_names(void)
{
	struct cert_spec spec = {.raw = GENERAL_NAMES_new()};
	struct secure_conf conf = collector();
	struct secure_verdict v;

	for (unsigned i = 0; i < 1023; i++)
		add_domain(spec.raw, "a.example.net", 13);
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(says(&v, "\"a.example.net\", ..."));
	add_domain(spec.raw, "exporter.example.net", 20);
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(v.allowed);
	add_domain(spec.raw, "exporter.example.net", 20);
	v = verdict_on(&conf, &spec, &ca);
	CU_ASSERT(says(&v, "1025 names in its certificate, at most 1024"));
	GENERAL_NAMES_free(spec.raw);
}

static void
test_long_chain(void)
{
	struct cert chain[SECURE_CHAIN_MAX + 1];
	struct secure_conf conf = collector();
	struct secure *secure = opened(&conf);
	STACK_OF(X509) *stack = sk_X509_new_null();
	struct secure_verdict v;
	struct cert peer;

	cert_make(&peer, &(struct cert_spec){.domain = "exporter.example.net"},
		  &ca);
	for (unsigned i = 0; i <= SECURE_CHAIN_MAX; i++) {
		chain[i] = i ? ca : peer;
		sk_X509_push(stack, chain[i].x509);
	}
	CU_ASSERT(verify(secure, chain, SECURE_CHAIN_MAX, NULL, &v));
	CU_ASSERT(!verify(secure, chain, SECURE_CHAIN_MAX + 1, NULL, &v));
	CU_ASSERT(says(&v, "too many certificates"));
	CU_ASSERT(!verify_chain(secure, stack, NULL, &v));
	CU_ASSERT(says(&v, "11 certificates in its chain, at most 10"));
	CU_ASSERT(!verify(secure, chain, 0, NULL, &v));
	CU_ASSERT(says(&v, "it has no certificate"));
	sk_X509_free(stack);
	secure_free(secure);
	cert_free(&peer);
}

static void
test_damaged(void)
{
	struct secure_conf conf = collector();
	struct secure *secure = opened(&conf);
	struct secure_verdict v;
	unsigned char *octets = NULL;
	struct secure_der der;
	struct cert peer;
	int length;

	cert_make(&peer, &(struct cert_spec){.domain = "exporter.example.net"},
		  &ca);
	length = i2d_X509(peer.x509, &octets);
	CU_ASSERT_FATAL(length > 0);
	der = (struct secure_der){octets, (size_t)length};
	CU_ASSERT(secure_verify(secure, &der, 1, NULL, &v));
	/* Cut anywhere, or with any octet changed: never allowed. */
	for (der.length = 0; der.length < (size_t)length; der.length++)
		CU_ASSERT(!secure_verify(secure, &der, 1, NULL, &v));
	for (int i = 0; i < length; i++) {
		octets[i] ^= 0x01;
		CU_ASSERT(!secure_verify(secure, &der, 1, NULL, &v));
		octets[i] ^= 0x01;
	}
	OPENSSL_free(octets);
	cert_free(&peer);
	secure_free(secure);
}

static void
test_certificate_to_psk_only(void)
{
	struct secure_conf conf = {.server = true, .psk_file = path("psk")};
	struct secure_verdict v;

	certs_write_text(conf.psk_file, "a:00112233445566778899aabbccddeeff\n",
			 0600);
	v = verdict_on(&conf, &(struct cert_spec){.domain = "a"}, NULL);
	CU_ASSERT(says(&v, "we take pre-shared keys only"));
}

static const struct unit_test tests[] = {
	{"names of domains", test_names},
	{"distinguished names", test_distinguished_names},
	{"a good peer", test_good_peer},
	{"a wrong name", test_wrong_name},
	{"common name, subject, authority", test_other_lists},
	{"a wrong certificate", test_certificate},
	{"an authority between", test_chain},
	{"revocation", test_revocation},
	{"the address of the name", test_address},
	{"odd names", test_odd_names},
	{"many names", test_many_names},
	{"a long chain", test_long_chain},
	{"a damaged certificate", test_damaged},
	{"a certificate where keys are expected", test_certificate_to_psk_only},
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
	cert_make(&other_ca,
		  &(struct cert_spec){.subject = "CN=Other CA", .ca = true},
		  NULL);
	cert_make(&middle,
		  &(struct cert_spec){.subject = "CN=Middle", .ca = true}, &ca);
	cert_make(&own, &(struct cert_spec){.domain = "collector.example.net"},
		  &ca);
	cert_write(path("ca.pem"), &ca, 1);
	cert_write(path("middle.pem"), &middle, 1);
	cert_write(path("own.pem"), &own, 1);
	cert_write_key(path("own.key"), &own, 0600);
	rc = unit_run("verify", tests, UNIT_COUNT(tests));
	cert_free(&own);
	cert_free(&middle);
	cert_free(&other_ca);
	cert_free(&ca);
	certs_end(&folder);
	return rc;
}
