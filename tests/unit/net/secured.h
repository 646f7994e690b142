/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Two ends that trust each other: collector.test and exporter.test. */
#ifndef CONFLUX_TESTS_SECURED_H
#define CONFLUX_TESTS_SECURED_H

#include "conflux/secure.h"
#include "secure/certs.h"

static struct {
	struct certs_folder
		folder; /* collector.pem, .key, exporter ..., ca.pem */
	struct secure_conf server, client;
	struct cert ca, collector, exporter;
	const char *list; /* path of revocations, see secured_list */
} secured;

/* Writes a list of who is revoked; NULL: nobody. */
static inline void
secured_list(const struct cert *revoked)
{
	unlink(secured.list);
	cert_write_list(secured.list, &secured.ca, revoked, -1, 5);
}

static inline void
secured_begin(void)
{
	static const char *const collector[] = {"collector.test"};
	static const char *const exporter[] = {"exporter.test"};
	struct certs_folder *folder = &secured.folder;
	struct cert *ca = &secured.ca, *one = &secured.collector;
	struct cert *other = &secured.exporter;

	certs_begin(folder);
	cert_make(ca, &(struct cert_spec){.subject = "CN=CA", .ca = true},
		  NULL);
	cert_make(one, &(struct cert_spec){.domain = "collector.test"}, ca);
	cert_make(other, &(struct cert_spec){.domain = "exporter.test"}, ca);
	cert_write(certs_path(folder, "ca.pem"), ca, 1);
	cert_write(certs_path(folder, "collector.pem"), one, 1);
	cert_write_key(certs_path(folder, "collector.key"), one, 0600);
	cert_write(certs_path(folder, "exporter.pem"), other, 1);
	cert_write_key(certs_path(folder, "exporter.key"), other, 0600);
	secured.server = (struct secure_conf){
		.server = true,
		.certificate = certs_path(folder, "collector.pem"),
		.key = certs_path(folder, "collector.key"),
		.authorities = certs_path(folder, "ca.pem"),
		.remote_fqdn = {exporter, 1},
		.min_version = SECURE_1_2,
		.max_version = SECURE_1_3,
		.resumption = true,
	};
	secured.client = secured.server;
	secured.client.server = false;
	secured.client.certificate = certs_path(folder, "exporter.pem");
	secured.client.key = certs_path(folder, "exporter.key");
	secured.client.remote_fqdn.text = collector;
	secured.list = certs_path(folder, "revoked.pem");
}

static inline void
secured_end(void)
{
	cert_free(&secured.ca);
	cert_free(&secured.collector);
	cert_free(&secured.exporter);
	certs_end(&secured.folder);
}

#endif
