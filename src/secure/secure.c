/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A struct secure: the copy of its configuration, what has to be in that, and
 * the reload. What is asked for is checked before a file is read, so that an
 * error says what is missing and not what a library makes of it.
 */
#include "internal.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conflux/log.h"
#include "conflux/text.h"

/* ---- a copy of the configuration --------------------------------------- */

static int
copy_string(const char **string)
{
	if (!*string)
		return 0;
	*string = strdup(*string);
	return *string ? 0 : -ENOMEM;
}

static void
list_fini(struct secure_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		free((void *)list->text[i]);
	free((void *)list->text);
	*list = (struct secure_list){0};
}

static int
list_copy(struct secure_list *to, const struct secure_list *from)
{
	const char **text;

	*to = (struct secure_list){0};
	if (from->count == 0)
		return 0;
	text = calloc(from->count, sizeof(*text));
	if (!text)
		return -ENOMEM;
	to->text = text;
	to->count = from->count;
	for (unsigned i = 0; i < from->count; i++) {
		text[i] = strdup(from->text[i]);
		if (!text[i])
			return -ENOMEM;
	}
	return 0;
}

enum { STRINGS = 8, LISTS = 7 };

static void
conf_strings(struct secure_conf *conf, const char **out[STRINGS])
{
	out[0] = &conf->certificate;
	out[1] = &conf->key;
	out[2] = &conf->authorities;
	out[3] = &conf->revocations;
	out[4] = &conf->psk_file;
	out[5] = &conf->psk_identity;
	out[6] = &conf->ciphers;
	out[7] = &conf->priorities;
}

static void
conf_lists(struct secure_conf *conf, struct secure_list *out[LISTS])
{
	out[0] = &conf->remote_fqdn;
	out[1] = &conf->remote_common_name;
	out[2] = &conf->remote_subject;
	out[3] = &conf->remote_authority;
	out[4] = &conf->local_fqdn;
	out[5] = &conf->local_subject;
	out[6] = &conf->local_authority;
}

static int
conf_copy(struct secure_conf *to, const struct secure_conf *from)
{
	struct secure_conf source = *from;
	struct secure_list *list[LISTS], *source_list[LISTS];
	const char **string[STRINGS];
	uint8_t *secret = NULL;
	int rc = 0;

	*to = *from;
	conf_strings(to, string);
	conf_lists(to, list);
	conf_lists(&source, source_list);
	to->ticket_secret = NULL;
	/* All, also after a failure: no pointer of the caller's remains. */
	for (unsigned i = 0; i < STRINGS; i++)
		if (copy_string(string[i]) < 0)
			rc = -ENOMEM;
	for (unsigned i = 0; i < LISTS; i++)
		if (list_copy(list[i], source_list[i]) < 0)
			rc = -ENOMEM;
	if (from->ticket_secret) {
		secret = malloc(SECURE_TICKET_SECRET);
		if (!secret)
			return -ENOMEM;
		memcpy(secret, from->ticket_secret, SECURE_TICKET_SECRET);
		to->ticket_secret = secret;
	}
	return rc;
}

static void
conf_fini(struct secure_conf *conf)
{
	struct secure_list *list[LISTS];
	const char **string[STRINGS];

	conf_strings(conf, string);
	conf_lists(conf, list);
	for (unsigned i = 0; i < STRINGS; i++)
		free((void *)*string[i]);
	for (unsigned i = 0; i < LISTS; i++)
		list_fini(list[i]);
	if (conf->ticket_secret)
		OPENSSL_cleanse((void *)conf->ticket_secret,
				SECURE_TICKET_SECRET);
	free((void *)conf->ticket_secret);
}

/* ---- what has to be in it ---------------------------------------------- */

static bool
any_remote(const struct secure_conf *conf)
{
	return conf->remote_fqdn.count || conf->remote_common_name.count ||
	       conf->remote_subject.count || conf->remote_authority.count;
}

static bool
any_local(const struct secure_conf *conf)
{
	return conf->local_fqdn.count || conf->local_subject.count ||
	       conf->local_authority.count;
}

/* Nothing that is left out may let somebody in. */
static const char *
conf_missing(const struct secure_conf *conf)
{
	if (!conf->certificate && !conf->psk_file)
		return conf->key ? "there is a private key, but no certificate"
				 : "give a certificate and its private key, or "
				   "a file of pre-shared keys: both ends have "
				   "to prove who they are";
	if (conf->certificate && !conf->key)
		return "the certificate needs the file of its private key";
	if (!conf->certificate && conf->key)
		return "there is a private key, but no certificate";
	if (conf->certificate && !conf->authorities)
		return "the certificate needs the file of authorities whose "
		       "word on peers is taken";
	if (!conf->certificate && (conf->authorities || conf->revocations ||
				   any_remote(conf) || any_local(conf)))
		return "names and authorities are those of certificates: give "
		       "a certificate of our own, too";
	if (conf->certificate && !any_remote(conf))
		return "say who the peer may be: the domain name, common name, "
		       "subject or authority of its certificate";
	if (conf->psk_identity && !conf->psk_file)
		return "the identity needs the file of its pre-shared key";
	if (conf->match_address && !conf->remote_fqdn.count &&
	    !conf->remote_common_name.count)
		return "an address can only be compared with that of a name: "
		       "give the domain or common names of peers";
	return NULL;
}

static int
check_names(const struct secure_list *list, char **error)
{
	const char *wrong;

	for (unsigned i = 0; i < list->count; i++) {
		wrong = name_wrong(list->text[i]);
		if (wrong)
			return text_error(error, -EINVAL, "\"%s\": %s",
					  list->text[i], wrong);
	}
	return 0;
}

static int
parse_list(struct dn_list *out, const struct secure_list *list, char **error)
{
	const char *wrong, *reason;
	int rc;

	if (list->count == 0)
		return 0;
	out->name = calloc(list->count, sizeof(X509_NAME *));
	if (!out->name)
		return -ENOMEM;
	for (unsigned i = 0; i < list->count; i++) {
		rc = dn_parse(list->text[i], &out->name[i], &wrong, &reason);
		if (rc == -EINVAL)
			text_error(error, rc,
				   "\"%s\": at \"%s\": %s; expected a "
				   "distinguished name as in \"CN=a.example."
				   "net,O=Example,C=DE\"",
				   list->text[i], wrong, reason);
		if (rc < 0)
			return rc;
		out->count++;
	}
	return 0;
}

static void
dn_list_fini(struct dn_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		X509_NAME_free(list->name[i]);
	free(list->name);
}

static int
parse_names(struct secure *secure, char **error)
{
	const struct secure_conf *conf = &secure->conf;
	int rc = check_names(&conf->remote_fqdn, error);

	if (rc == 0)
		rc = check_names(&conf->local_fqdn, error);
	if (rc == 0)
		rc = parse_list(&secure->remote_subject, &conf->remote_subject,
				error);
	if (rc == 0)
		rc = parse_list(&secure->remote_authority,
				&conf->remote_authority, error);
	if (rc == 0)
		rc = parse_list(&secure->local_subject, &conf->local_subject,
				error);
	if (rc == 0)
		rc = parse_list(&secure->local_authority,
				&conf->local_authority, error);
	return rc;
}

/* ---- the identity of a client's key ------------------------------------ */

/* The name of this machine with its domain, if the resolver knows one. */
static char *
own_fqdn(void)
{
	struct addrinfo hints = {.ai_flags = AI_CANONNAME,
				 .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char host[256];
	char *name;

	if (gethostname(host, sizeof(host)) < 0)
		return NULL;
	host[sizeof(host) - 1] = '\0';
	if (getaddrinfo(host, NULL, &hints, &found) == 0 &&
	    found->ai_canonname && strchr(found->ai_canonname, '.'))
		name = strdup(found->ai_canonname);
	else
		name = strdup(host);
	if (found)
		freeaddrinfo(found);
	return name;
}

static int
set_identity(struct secure *secure)
{
	const struct secure_conf *conf = &secure->conf;

	if (conf->server || !conf->psk_file)
		return 0;
	secure->identity =
		conf->psk_identity ? strdup(conf->psk_identity) : own_fqdn();
	return secure->identity ? 0 : -ENOMEM;
}

static int
check_identity(const struct secure *secure, char **error)
{
	const char *identity = secure->identity;
	const uint8_t *key;
	size_t length;

	if (!identity || secure_psk_find(secure, identity, strlen(identity),
					 &key, &length) == 0)
		return 0;
	return text_error(error, -ENOENT, "%s: no key of the identity \"%s\"%s",
			  secure->conf.psk_file, identity,
			  secure->conf.psk_identity
				  ? ""
				  : ", which is the name of this machine");
}

/* ---- the whole --------------------------------------------------------- */

/* Leaves all as it is if something is wrong. */
static int
load(struct secure *secure, char **error)
{
	struct secure_material old = secure->now;
	int rc = material_load(&secure->now, secure, error);

	if (rc == 0) {
		rc = check_identity(secure, error);
		if (rc < 0)
			material_free(&secure->now);
	}
	if (rc < 0)
		secure->now = old;
	else
		material_free(&old);
	return rc;
}

int
secure_new(const struct secure_conf *conf, const char *name,
	   struct secure **out, char **error)
{
	struct secure *secure = calloc(1, sizeof(*secure));
	const char *missing = conf_missing(conf);
	int rc;

	*error = NULL;
	if (!secure)
		return -ENOMEM;
	rc = conf_copy(&secure->conf, conf);
	secure->name = strdup(name);
	if (!secure->name)
		rc = -ENOMEM;
	if (rc == 0 && missing)
		rc = text_error(error, -EINVAL, "%s", missing);
	if (rc == 0)
		rc = parse_names(secure, error);
	if (rc == 0)
		rc = set_identity(secure);
	if (rc == 0)
		rc = tickets_init(&secure->tickets, conf->ticket_secret,
				  conf->ticket_secret ? conf->ticket_time
						      : (int64_t)time(NULL));
	if (rc == 0)
		rc = load(secure, error);
	if (rc == 0 && conf->match_address)
		rc = hosts_new(&secure->conf.remote_fqdn,
			       &secure->conf.remote_common_name, name,
			       &secure->hosts);
	if (rc < 0)
		secure_free(secure);
	else
		*out = secure;
	return rc;
}

void
secure_free(struct secure *secure)
{
	if (!secure)
		return;
	material_free(&secure->now);
	hosts_release(secure->hosts);
	tickets_wipe(&secure->tickets);
	SSL_SESSION_free(secure->session);
	dn_list_fini(&secure->remote_subject);
	dn_list_fini(&secure->remote_authority);
	dn_list_fini(&secure->local_subject);
	dn_list_fini(&secure->local_authority);
	conf_fini(&secure->conf);
	free(secure->identity);
	free(secure->name);
	free(secure);
}

int
secure_reload(struct secure *secure, char **error)
{
	int rc;

	*error = NULL;
	rc = load(secure, error);
	if (rc < 0)
		return rc;
	secure->generation++;
	if (secure->hosts)
		hosts_refresh(secure->hosts);
	/* With what is left of it we would be who we were. */
	SSL_SESSION_free(secure->session);
	secure->session = NULL;
	return 0;
}

const struct secure_conf *
secure_conf_of(const struct secure *secure)
{
	return &secure->conf;
}

bool
secure_has_psk(const struct secure *secure)
{
	return secure->now.psks.count != 0;
}

const char *
secure_psk_identity(const struct secure *secure)
{
	return secure->identity;
}

bool
secure_has_certificate(const struct secure *secure)
{
	return secure->now.certificate != NULL;
}

const char *
secure_certificate_pem(const struct secure *secure)
{
	return secure->now.certificate_pem;
}

const char *
secure_key_pem(const struct secure *secure)
{
	return secure->now.key_pem;
}

uint32_t
secure_generation(const struct secure *secure)
{
	return secure->generation;
}
