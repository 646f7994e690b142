/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate of a peer that says anything: as it is, and, as far as it can
 * be read, signed by an authority of ours, so that its names are compared, too.
 * Never is one allowed that does not have the name; what is said of it has only
 * printable ASCII.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "certs.h"
#include "internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cert ca;
static struct secure *secure;

static void
start(void)
{
	static const char *const name[] = {"peer.example.net"};
	static const char *const common_name[] = {"Peer"};
	static const char *const subject[] = {"CN=Peer,O=Example"};
	struct secure_conf conf = {
		.server = true,
		.remote_fqdn = {name, 1},
		.remote_common_name = {common_name, 1},
		.remote_subject = {subject, 1},
	};
	struct certs_folder folder;
	struct cert own;
	char *error;

	certs_begin(&folder);
	cert_make(&ca, &(struct cert_spec){.subject = "CN=CA", .ca = true},
		  NULL);
	cert_make(&own, &(struct cert_spec){.domain = "we.example.net"}, &ca);
	conf.certificate = certs_path(&folder, "own.pem");
	conf.key = certs_path(&folder, "own.key");
	conf.authorities = certs_path(&folder, "ca.pem");
	cert_write(conf.certificate, &own, 1);
	cert_write_key(conf.key, &own, 0600);
	cert_write(conf.authorities, &ca, 1);
	cert_free(&own);
	if (secure_new(&conf, "fuzz", &secure, &error) < 0)
		abort();
	certs_end(&folder);
}

static void
check_text(const char *text)
{
	for (; *text; text++)
		assert(*text >= ' ' && *text <= '~');
}

static void
check(const struct secure_verdict *verdict)
{
	check_text(verdict->peer);
	check_text(verdict->reason);
	assert(verdict->allowed == (verdict->reason[0] == '\0'));
}

/* Signed by our authority, valid now, with a key that is strong enough. */
static void
check_signed(X509 *peer)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	struct secure_verdict verdict;
	GENERAL_NAMES *names = NULL;

	if (chain &&
	    X509_set_issuer_name(peer, X509_get_subject_name(ca.x509)) &&
	    X509_gmtime_adj(X509_getm_notBefore(peer), -CERTS_DAY) &&
	    X509_gmtime_adj(X509_getm_notAfter(peer), CERTS_DAY) &&
	    X509_set_pubkey(peer, ca.key) &&
	    X509_sign(peer, ca.key, EVP_sha256()) &&
	    sk_X509_push(chain, peer)) {
		if (verify_chain(secure, chain, NULL, &verdict))
			assert(names_of(peer, &names) == 0 &&
			       names_have(names, "peer.example.net"));
		check(&verdict);
		GENERAL_NAMES_free(names);
	}
	sk_X509_free(chain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct secure_der der = {data, size};
	struct secure_verdict verdict;
	const unsigned char *p = data;
	X509 *peer;

	if (!secure)
		start();
	assert(!secure_verify(secure, &der, 1, NULL, &verdict));
	check(&verdict);
	peer = d2i_X509(NULL, &p, (long)size);
	if (peer)
		check_signed(peer);
	X509_free(peer);
	return 0;
}
