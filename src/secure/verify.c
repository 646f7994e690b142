/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * May this peer talk to us? (RFC 7011 section 11.3, RFC 5280, RFC 9525.)
 *
 * The chain has to lead to one of the authorities, which need not be a root;
 * all in it has to be valid now, of at least 112 bits of security, and meant
 * for the role of the peer. With revocation lists the one of the peer's issuer
 * has to be there and in force, those of the other authorities if they are.
 * Then the names: one of each list that is given. The common name is never
 * taken for a name of a domain; it is compared only with the list of common
 * names that RFC 7011 asks for.
 *
 * Certificates are made by anybody: chains and names are counted before they
 * are looked at, and what they say is escaped before it is shown.
 */
#include "internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conflux/text.h"

enum {
	NAMES_MAX = 1024,	/* of one certificate */
	OCTETS_MAX = 256 << 10, /* of one certificate */
	SHOWN_MAX = 8,		/* names in a message */
	SECURITY_LEVEL = 2,	/* 112 bits */
};

struct peer {
	const struct secure *secure;
	const struct addr *remote;
	X509 *certificate;
	STACK_OF(X509) * chain;
	GENERAL_NAMES *names; /* or NULL */
	struct text reason;
};

/* ---- names of a certificate -------------------------------------------- */

int
names_of(X509 *certificate, GENERAL_NAMES **out)
{
	int critical;

	*out = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical,
				NULL);
	ERR_clear_error();
	/* -1: there is none; -2: several; else what is there can't be read. */
	return *out || critical == -1 ? 0 : -EINVAL;
}

static const ASN1_STRING *
domain_at(const GENERAL_NAMES *names, int i)
{
	const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

	return name->type == GEN_DNS ? name->d.dNSName : NULL;
}

static int
names_count(const GENERAL_NAMES *names)
{
	return names ? sk_GENERAL_NAME_num(names) : 0;
}

bool
names_have(const GENERAL_NAMES *names, const char *wanted)
{
	const ASN1_STRING *domain;

	for (int i = 0; i < names_count(names); i++) {
		domain = domain_at(names, i);
		if (domain &&
		    secure_name_match(
			    (const char *)ASN1_STRING_get0_data(domain),
			    (size_t)ASN1_STRING_length(domain), wanted))
			return true;
	}
	return false;
}

void
text_add_domains(struct text *text, const GENERAL_NAMES *names)
{
	const ASN1_STRING *domain;
	unsigned shown = 0;

	for (int i = 0; i < names_count(names); i++) {
		domain = domain_at(names, i);
		if (!domain)
			continue;
		if (shown == SHOWN_MAX) {
			text_add(text, ", ...");
			return;
		}
		text_add(text, shown++ ? ", " : "");
		text_add_peer(text, ASN1_STRING_get0_data(domain),
			      (size_t)ASN1_STRING_length(domain));
	}
	if (!shown)
		text_add(text, "none");
}

/* The last of the subject, the most specific one; octets, or -1: none. To be
 * freed by OPENSSL_free. */
static int
common_name(const X509 *certificate, unsigned char **out)
{
	const X509_NAME *subject = X509_get_subject_name(certificate);
	int last = -1, next;

	while ((next = X509_NAME_get_index_by_NID(subject, NID_commonName,
						  last)) >= 0)
		last = next;
	if (last < 0)
		return -1;
	next = ASN1_STRING_to_UTF8(
		out,
		X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
	ERR_clear_error();
	return next;
}

static void
set_peer(struct secure_verdict *verdict, const struct peer *peer)
{
	const ASN1_STRING *domain = NULL;
	struct text text = {0};
	unsigned char *name;
	int length;

	for (int i = 0; i < names_count(peer->names) && !domain; i++)
		domain = domain_at(peer->names, i);
	if (domain) {
		text_add_peer(&text, ASN1_STRING_get0_data(domain),
			      (size_t)ASN1_STRING_length(domain));
	} else if ((length = common_name(peer->certificate, &name)) >= 0) {
		text_add_peer(&text, name, (size_t)length);
		OPENSSL_free(name);
	} else {
		text_add_dn(&text, X509_get_subject_name(peer->certificate));
	}
	/* Without the quotes. */
	if (!text.failed && text.length >= 2)
		snprintf(verdict->peer, sizeof(verdict->peer), "%.*s",
			 (int)(text.length - 2), text.data + 1);
	text_fini(&text);
}

/* ---- the chain --------------------------------------------------------- */

/* Lists of authorities above the peer's own are looked at if they are there. */
static int
on_verify(int ok, X509_STORE_CTX *ctx)
{
	if (!ok && X509_STORE_CTX_get_error_depth(ctx) > 0 &&
	    X509_STORE_CTX_get_error(ctx) == X509_V_ERR_UNABLE_TO_GET_CRL) {
		X509_STORE_CTX_set_error(ctx, X509_V_OK);
		return 1;
	}
	return ok;
}

static void
set_rules(X509_STORE_CTX *ctx, const struct secure *secure)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;

	if (secure->conf.revocations)
		flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
	X509_VERIFY_PARAM_set_flags(param, flags);
	X509_VERIFY_PARAM_set_purpose(param, secure->conf.server
						     ? X509_PURPOSE_SSL_CLIENT
						     : X509_PURPOSE_SSL_SERVER);
	X509_VERIFY_PARAM_set_depth(param, SECURE_CHAIN_MAX);
	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	X509_STORE_CTX_set_verify_cb(ctx, on_verify);
}

static void
why_not(struct peer *peer, X509_STORE_CTX *ctx)
{
	const struct secure_conf *conf = &peer->secure->conf;
	X509 *at = X509_STORE_CTX_get_current_cert(ctx);
	int error = X509_STORE_CTX_get_error(ctx);
	struct text *t = &peer->reason;

	if (!at)
		at = peer->certificate;
	text_add(t, "the certificate ");
	text_add_dn(t, X509_get_subject_name(at));
	switch (error) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		text_add(t, " is issued by ");
		text_add_dn(t, X509_get_issuer_name(at));
		text_printf(t, ", which is none of the authorities in %s",
			    conf->authorities);
		break;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
		text_add(t, " is issued by ");
		text_add_dn(t, X509_get_issuer_name(at));
		text_printf(t, ", of which %s has no revocation list",
			    conf->revocations);
		break;
	case X509_V_ERR_CRL_HAS_EXPIRED:
		text_printf(t,
			    ": the revocation list of its issuer in %s has "
			    "expired",
			    conf->revocations);
		break;
	case X509_V_ERR_INVALID_PURPOSE:
		text_printf(t,
			    " is not meant for a TLS %s (its extendedKeyUsage "
			    "or keyUsage)",
			    conf->server ? "client" : "server");
		break;
	default:
		text_printf(t, ": %s", X509_verify_cert_error_string(error));
	}
}

/* One of the chain that was verified is issued by one of the list. */
static bool
authority_good(struct peer *peer, X509_STORE_CTX *ctx)
{
	const struct dn_list *list = &peer->secure->remote_authority;
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);

	for (int i = 0; i < sk_X509_num(chain); i++)
		if (name_in_list(X509_get_issuer_name(sk_X509_value(chain, i)),
				 list))
			return true;
	return list->count == 0;
}

static void
text_add_expected(struct text *text, const char *what,
		  const struct secure_list *list)
{
	text_printf(text, "%s: expected %s", what,
		    list->count > 1 ? "one of " : "");
	for (unsigned i = 0; i < list->count && i < SHOWN_MAX; i++)
		text_printf(text, "%s\"%s\"", i ? ", " : "", list->text[i]);
	text_add(text, list->count > SHOWN_MAX ? ", ..." : "");
	text_add(text, ", the certificate has ");
}

static bool
chain_good(struct peer *peer)
{
	const struct secure *secure = peer->secure;
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool good = false;

	if (!ctx || !X509_STORE_CTX_init(ctx, secure->now.authorities,
					 peer->certificate, peer->chain)) {
		text_add(&peer->reason, "no memory to verify it");
	} else {
		set_rules(ctx, secure);
		good = X509_verify_cert(ctx) == 1;
		if (!good) {
			why_not(peer, ctx);
		} else if (!authority_good(peer, ctx)) {
			text_add_expected(&peer->reason, "authority",
					  &secure->conf.remote_authority);
			text_add_dn(&peer->reason,
				    X509_get_issuer_name(peer->certificate));
			good = false;
		}
	}
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

/* ---- the names --------------------------------------------------------- */

/* at: the name's place in remote_fqdn and remote_common_name. */
static bool
address_good(const struct peer *peer, unsigned at)
{
	if (!peer->secure->conf.match_address)
		return true;
	return peer->remote &&
	       hosts_have(peer->secure->hosts, at, peer->remote);
}

static bool
address_bad(struct peer *peer, const char *name)
{
	char text[ADDR_TEXT_SIZE];

	text_printf(&peer->reason,
		    "\"%s\" does not have the address %s of the peer, as of "
		    "the last lookup",
		    name,
		    peer->remote ? addr_format_host(text, peer->remote) : "");
	return false;
}

static bool
domain_good(struct peer *peer)
{
	const struct secure_list *list = &peer->secure->conf.remote_fqdn;
	const char *elsewhere = NULL;

	for (unsigned i = 0; i < list->count; i++) {
		if (!names_have(peer->names, list->text[i]))
			continue;
		if (address_good(peer, i))
			return true;
		elsewhere = list->text[i];
	}
	if (list->count == 0)
		return true;
	if (elsewhere)
		return address_bad(peer, elsewhere);
	text_add_expected(&peer->reason, "domain name", list);
	text_add_domains(&peer->reason, peer->names);
	return false;
}

static bool
common_name_good(struct peer *peer)
{
	const struct secure_conf *conf = &peer->secure->conf;
	const struct secure_list *list = &conf->remote_common_name;
	const char *elsewhere = NULL;
	unsigned char *name = NULL;
	bool good = list->count == 0;
	int length;

	if (good)
		return true;
	length = common_name(peer->certificate, &name);
	for (unsigned i = 0; i < list->count && length >= 0 && !good; i++) {
		if (strlen(list->text[i]) != (size_t)length ||
		    strncasecmp(list->text[i], (char *)name, (size_t)length))
			continue;
		good = address_good(peer, conf->remote_fqdn.count + i);
		elsewhere = list->text[i];
	}
	if (!good && elsewhere) {
		address_bad(peer, elsewhere);
	} else if (!good) {
		text_add_expected(&peer->reason, "common name", list);
		if (length >= 0)
			text_add_peer(&peer->reason, name, (size_t)length);
		else
			text_add(&peer->reason, "none");
	}
	OPENSSL_free(name);
	return good;
}

static bool
subject_good(struct peer *peer)
{
	const struct secure *secure = peer->secure;
	const X509_NAME *subject = X509_get_subject_name(peer->certificate);

	if (secure->remote_subject.count == 0 ||
	    name_in_list(subject, &secure->remote_subject))
		return true;
	text_add_expected(&peer->reason, "subject",
			  &secure->conf.remote_subject);
	text_add_dn(&peer->reason, subject);
	return false;
}

/* ---- all --------------------------------------------------------------- */

/* What is checked before anything is made of it. */
static bool
sane(struct peer *peer)
{
	if (peer->secure->now.authorities == NULL)
		text_add(&peer->reason, "it has a certificate, but we take "
					"pre-shared keys only");
	else if (sk_X509_num(peer->chain) > SECURE_CHAIN_MAX)
		text_printf(&peer->reason,
			    "%d certificates in its chain, at most %d are "
			    "taken",
			    sk_X509_num(peer->chain), SECURE_CHAIN_MAX);
	else if (names_of(peer->certificate, &peer->names) < 0)
		text_add(&peer->reason, "the subjectAltName of its "
					"certificate can't be read");
	else if (names_count(peer->names) > NAMES_MAX)
		text_printf(&peer->reason,
			    "%d names in its certificate, at most %d are "
			    "looked at",
			    names_count(peer->names), NAMES_MAX);
	else
		return true;
	return false;
}

/* Somebody has to have said who may come (secure_new sees to it). */
static bool
any_rule(const struct secure_conf *conf)
{
	return conf->remote_fqdn.count || conf->remote_common_name.count ||
	       conf->remote_subject.count || conf->remote_authority.count;
}

bool
verify_chain(const struct secure *secure, STACK_OF(X509) * chain,
	     const struct addr *remote, struct secure_verdict *verdict)
{
	struct peer peer = {.secure = secure, .remote = remote, .chain = chain};

	*verdict = (struct secure_verdict){0};
	if (!chain || sk_X509_num(chain) == 0) {
		snprintf(verdict->reason, sizeof(verdict->reason),
			 "it has no certificate");
		return false;
	}
	peer.certificate = sk_X509_value(chain, 0);
	if (sane(&peer)) {
		set_peer(verdict, &peer);
		verdict->allowed = any_rule(&secure->conf) &&
				   chain_good(&peer) && domain_good(&peer) &&
				   common_name_good(&peer) &&
				   subject_good(&peer);
	}
	if (!verdict->allowed)
		snprintf(verdict->reason, sizeof(verdict->reason), "%s",
			 peer.reason.length && !peer.reason.failed
				 ? peer.reason.data
				 : "no memory to verify it");
	text_fini(&peer.reason);
	GENERAL_NAMES_free(peer.names);
	return verdict->allowed;
}

bool
certificate_revoked(const struct secure *secure, X509 *certificate)
{
	const X509_NAME *issuer = X509_get_issuer_name(certificate);
	X509_REVOKED *entry;
	X509_CRL *list;

	if (!secure->now.lists)
		return false;
	for (int i = 0; i < sk_X509_CRL_num(secure->now.lists); i++) {
		list = sk_X509_CRL_value(secure->now.lists, i);
		/* 2: it is one that is no longer revoked. */
		if (X509_NAME_cmp(X509_CRL_get_issuer(list), issuer) == 0 &&
		    X509_CRL_get0_by_cert(list, &entry, certificate) == 1)
			return true;
	}
	return false;
}

/* NULL: it is none, or there is no memory. */
static X509 *
read_certificate(const struct secure_der *der)
{
	const unsigned char *p = der->data;
	X509 *certificate;

	if (der->length > OCTETS_MAX)
		return NULL;
	certificate = d2i_X509(NULL, &p, (long)der->length);
	if (certificate && p != der->data + der->length) {
		X509_free(certificate);
		certificate = NULL;
	}
	ERR_clear_error();
	return certificate;
}

static bool
refuse(struct secure_verdict *verdict, const char *reason)
{
	*verdict = (struct secure_verdict){0};
	snprintf(verdict->reason, sizeof(verdict->reason), "%s", reason);
	return false;
}

bool
secure_verify(const struct secure *secure, const struct secure_der *der,
	      unsigned count, const struct addr *remote,
	      struct secure_verdict *verdict)
{
	STACK_OF(X509) * chain;
	X509 *certificate = NULL;
	const char *wrong = NULL;
	bool allowed;

	if (count > SECURE_CHAIN_MAX)
		return refuse(verdict, "too many certificates in its chain");
	chain = sk_X509_new_null();
	if (!chain)
		wrong = "no memory to verify it";
	for (unsigned i = 0; i < count && !wrong; i++) {
		certificate = read_certificate(&der[i]);
		if (!certificate)
			wrong = "a certificate that can't be read";
		else if (!sk_X509_push(chain, certificate))
			wrong = "no memory to verify it";
		if (wrong)
			X509_free(certificate);
	}
	allowed = wrong ? refuse(verdict, wrong)
			: verify_chain(secure, chain, remote, verdict);
	sk_X509_pop_free(chain, X509_free);
	return allowed;
}

bool
secure_revoked(const struct secure *secure, const struct secure_der *der,
	       unsigned count)
{
	bool revoked = false;
	X509 *certificate;

	for (unsigned i = 0; i < count && !revoked; i++) {
		certificate = read_certificate(&der[i]);
		revoked =
			certificate && certificate_revoked(secure, certificate);
		X509_free(certificate);
	}
	return revoked;
}
