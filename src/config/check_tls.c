/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of transportLayerSecurity. Both ends prove who they are (RFC 7011
 * section 11.3), and that can't be switched off by leaving something out: files
 * that are not named are in their usual places, names that are not are an
 * error.
 */
#include <stddef.h>
#include <string.h>

#include "tree.h"

static bool
names_peer(const struct conf_node *tls)
{
	static const char *const name[] = {
		"remoteCertificationAuthorityDN",
		"remoteSubjectDN",
		"remoteSubjectFQDN",
		"remoteCommonName",
	};

	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (conf_has(tls, name[i]))
			return true;
	return false;
}

static void
wrong(struct conf_errors *errors, const struct conf_node *tls, const char *text)
{
	char shown[CONF_SHOWN_SIZE];

	conf_error(errors, tls->line, conf_row_shown(tls->row, shown), "%s",
		   text);
}

/* Leaves that say nothing without another one. */
static void
check_needs(struct conf_errors *errors, const struct conf_node *tls,
	    const char *name, const char *needed)
{
	const struct conf_node *leaf = conf_child(tls, name);
	char shown[CONF_SHOWN_SIZE];

	if (leaf && !leaf->defaulted && !conf_has(tls, needed))
		conf_error(errors, leaf->line, conf_row_shown(leaf->row, shown),
			   "says nothing alone, expected cx:%s beside it",
			   needed);
}

static void
check_tls(struct conf_errors *errors, const struct conf_node *tls)
{
	bool keys = conf_has(tls, "pskFile");

	check_needs(errors, tls, "pskIdentity", "pskFile");
	if (keys) {
		check_needs(errors, tls, "keyFile", "certificateFile");
		check_needs(errors, tls, "authoritiesFile", "certificateFile");
		check_needs(errors, tls, "revocationsFile", "certificateFile");
	}
	if ((conf_has(tls, "certificateFile") || !keys) && !names_peer(tls))
		wrong(errors, tls,
		      tls->row->cx
			      ? "nothing says who the peer may be, expected "
				"cx:remoteSubjectFQDN, cx:remoteCommonName, "
				"cx:remoteSubjectDN or "
				"cx:remoteCertificationAuthorityDN"
			      : "nothing says who the peer may be, expected "
				"remoteSubjectFQDN, cx:remoteCommonName, "
				"remoteSubjectDN or "
				"remoteCertificationAuthorityDN");
	if (conf_is(tls, "minVersion", "1.3") &&
	    conf_is(tls, "maxVersion", "1.2"))
		wrong(errors, tls,
		      "no version is left, expected a cx:maxVersion that is "
		      "not older than cx:minVersion");
}

/* Of all children of a node that are exporters or collectors. */
static void
check_children(struct conf_errors *errors, const struct conf_node *node)
{
	const struct conf_node *child, *tls;

	for (child = node->first; child; child = child->next) {
		tls = conf_child(child, "transportLayerSecurity");
		if (tls)
			check_tls(errors, tls);
	}
}

void
conf_check_tls(const struct conf *conf, struct conf_errors *errors)
{
	const struct conf_node *process, *destination;

	conf_each (process, conf_root(conf), "collectingProcess")
		check_children(errors, process);
	conf_each (process, conf_root(conf), "exportingProcess")
		conf_each (destination, process, "destination")
			check_children(errors, destination);
}
