/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* transportLayerSecurity of the configuration. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

/* Fills list with the leaf-list's texts, from *next on. */
static void
fill_list(struct secure_list *list, const struct conf_node *tls,
	  const char *name, const char ***next)
{
	const struct conf_node *leaf;

	list->text = *next;
	conf_each (leaf, tls, name) {
		*(*next)++ = leaf->text;
		list->count++;
	}
}

static unsigned
count_children(const struct conf_node *node)
{
	unsigned n = 0;

	for (const struct conf_node *c = node->first; c; c = c->next)
		n++;
	return n;
}

static enum secure_version
version(const struct conf_node *tls, const char *leaf)
{
	return conf_is(tls, leaf, "1.3") ? SECURE_1_3 : SECURE_1_2;
}

static const char *
path(const struct conf_node *tls, const char *leaf, const char *otherwise)
{
	const char *given = conf_path(tls, leaf);

	return given ? given : otherwise;
}

static void
fill_files(struct secure_conf *conf, const struct conf_node *tls)
{
	const char *given = conf_path(tls, "certificateFile");

	conf->certificate = given ? given : CONF_CERTIFICATE;
	conf->key = path(tls, "keyFile", given ? given : CONF_KEY_FILE);
	conf->authorities = path(tls, "authoritiesFile", CONF_AUTHORITIES);
}

bool
is_tls_server(const struct conf_node *node)
{
	static const char *const names[] = {"udpCollector", "tcpCollector",
					    "sctpCollector", "tcpListener"};

	for (int i = 0; i < 4; i++)
		if (strcmp(node->name, names[i]) == 0)
			return true;
	return false;
}

int
secure_conf_fill(const struct runtime *runtime, const struct conf_node *tls,
		 bool server, struct secure_conf *conf, const char ***names)
{
	bool certificate =
		conf_has(tls, "certificateFile") || !conf_has(tls, "pskFile");
	const char **next;

	*conf = (struct secure_conf){
		.server = server,
		.revocations = conf_path(tls, "revocationsFile"),
		.psk_file = conf_path(tls, "pskFile"),
		.psk_identity = conf_text(tls, "pskIdentity"),
		.match_address = conf_bool(tls, "matchAddress"),
		.min_version = version(tls, "minVersion"),
		.max_version = version(tls, "maxVersion"),
		.ciphers = conf_text(tls, "cipherSuites"),
		.priorities = conf_text(tls, "priorities"),
		.resumption = conf_bool(tls, "sessionResumption"),
		.late_tickets = conf_bool(tls, "lateTickets"),
	};
	if (runtime) {
		conf->ticket_secret = runtime->ticket_secret;
		conf->ticket_time = (int64_t)(runtime->start_ms / 1000);
	}
	if (certificate)
		fill_files(conf, tls);
	*names = next = calloc(count_children(tls) + 1, sizeof(*next));
	if (!next)
		return -ENOMEM;
	fill_list(&conf->remote_fqdn, tls, "remoteSubjectFQDN", &next);
	fill_list(&conf->remote_common_name, tls, "remoteCommonName", &next);
	fill_list(&conf->remote_subject, tls, "remoteSubjectDN", &next);
	fill_list(&conf->remote_authority, tls,
		  "remoteCertificationAuthorityDN", &next);
	fill_list(&conf->local_fqdn, tls, "localSubjectFQDN", &next);
	fill_list(&conf->local_subject, tls, "localSubjectDN", &next);
	fill_list(&conf->local_authority, tls, "localCertificationAuthorityDN",
		  &next);
	return 0;
}
