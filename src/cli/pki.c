/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* conflux pki: certificates and keys for secured links, and how to use them. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "conflux/pki.h"
#include "conflux/text.h"

static const char help[] =
	"usage: conflux pki [-n] [-d DAYS] DIR [NAME[,ALIAS...]]...\n"
	"       conflux pki -r NAME [-r NAME]... DIR\n"
	"       conflux pki -p [-n] [-r NAME] DIR [NAME]...\n"
	"\n"
	"Makes a private authority in DIR, and a certificate and a private "
	"key\n"
	"for each NAME, the host name of an exporter or collector. Called "
	"again\n"
	"it adds names, and writes the revocation list anew.\n"
	"\n"
	"  -d, --days DAYS    how long certificates and list are valid (730)\n"
	"  -n, --renew        new ones for names that have one; the old ones\n"
	"                     stay valid until they expire or are revoked\n"
	"  -p, --psk          pre-shared keys in place of certificates\n"
	"  -r, --revoke NAME  revokes all certificates of NAME, or removes\n"
	"                     its key\n"
	"  -h, --help         this text\n";

enum { REVOKE_MAX = 256, PEERS_SHOWN = 8 };

struct order {
	const char *folder;
	char *path; /* of it, absolute, or as given */
	unsigned days;
	bool psk, renew;
	char *revoke[REVOKE_MAX];
	unsigned revoke_count;
	char **names;
	unsigned name_count;
};

/* ---- what to do -------------------------------------------------------- */

static int
check_names(char **names, unsigned count, bool aliases)
{
	const char *wrong;

	for (unsigned i = 0; i < count; i++) {
		wrong = pki_names_wrong(names[i]);
		if (!wrong && !aliases && strchr(names[i], ','))
			wrong = "expected one name";
		if (wrong)
			return cli_usage_error("pki", "\"%s\": %s", names[i],
					       wrong);
	}
	return CLI_OK;
}

/* CLI_OK, or another status; *done: only help was asked for. */
static int
read_options(int argc, char **argv, struct order *order, bool *done)
{
	static const struct option options[] = {
		{"days", required_argument, NULL, 'd'},
		{"renew", no_argument, NULL, 'n'},
		{"psk", no_argument, NULL, 'p'},
		{"revoke", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	unsigned long days;
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "d:npr:h", options, NULL)) != -1)
		switch (c) {
		case 'd':
			days = strtoul(optarg, &end, 10);
			if (*optarg < '0' || *optarg > '9' || *end || !days ||
			    days > PKI_DAYS_MAX)
				return cli_usage_error(
					"pki", "-d %s: expected 1 to %d days",
					optarg, PKI_DAYS_MAX);
			order->days = (unsigned)days;
			break;
		case 'n':
			order->renew = true;
			break;
		case 'p':
			order->psk = true;
			break;
		case 'r':
			if (order->revoke_count == REVOKE_MAX)
				return cli_usage_error("pki", "too many -r");
			order->revoke[order->revoke_count++] = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			*done = true;
			return CLI_OK;
		default:
			return CLI_USAGE;
		}
	return CLI_OK;
}

static int
read_order(int argc, char **argv, struct order *order, bool *done)
{
	int status = read_options(argc, argv, order, done);

	if (status != CLI_OK || *done)
		return status;
	if (optind == argc)
		return cli_usage_error("pki", "no DIR given");
	order->folder = argv[optind++];
	order->names = argv + optind;
	order->name_count = (unsigned)(argc - optind);
	if ((order->psk || order->renew) && !order->name_count &&
	    !order->revoke_count)
		return cli_usage_error("pki", "no NAME given");
	status = check_names(order->revoke, order->revoke_count, false);
	if (status != CLI_OK)
		return status;
	return check_names(order->names, order->name_count, !order->psk);
}

/* ---- doing it ---------------------------------------------------------- */

static int
make_keys(struct pki *pki, const struct order *order, char **error)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < order->revoke_count; i++)
		rc = pki_psk_remove(pki, order->revoke[i], error);
	for (unsigned i = 0; rc == 0 && i < order->name_count; i++)
		rc = pki_psk_add(pki, order->names[i], order->renew, error);
	return rc;
}

static int
make_certificates(struct pki *pki, const struct order *order, char **error)
{
	int rc = pki_authority(pki, error);

	for (unsigned i = 0; rc == 0 && i < order->revoke_count; i++)
		rc = pki_revoke(pki, order->revoke[i], error);
	for (unsigned i = 0; rc == 0 && i < order->name_count; i++)
		rc = pki_issue(pki, order->names[i], order->renew, error);
	return rc < 0 ? rc : pki_write_list(pki, error);
}

static int
make(const struct order *order, struct text *told)
{
	struct pki *pki = NULL;
	char *error = NULL;
	int rc = pki_open(order->folder, order->days, told, &pki, &error);

	if (rc == 0)
		rc = order->psk ? make_keys(pki, order, &error)
				: make_certificates(pki, order, &error);
	pki_close(pki);
	if (rc < 0)
		fprintf(stderr, "conflux pki: %s\n",
			error ? error : strerror(-rc));
	free(error);
	return rc < 0 ? CLI_FAILED : CLI_OK;
}

/* ---- how to use it ----------------------------------------------------- */

/* As content of XML; names of hosts need no such care. */
static void
put_path(const char *path)
{
	for (; *path; path++)
		if (*path == '&')
			fputs("&amp;", stdout);
		else if (*path == '<')
			fputs("&lt;", stdout);
		else
			putchar(*path);
}

static void
put_file(const char *element, const struct order *order, const char *names,
	 const char *suffix)
{
	printf("    <cx:%s>", element);
	put_path(order->path);
	printf("/%.*s%s</cx:%s>\n", (int)strcspn(names, ","), names, suffix,
	       element);
}

static void
put_peer(const char *names)
{
	printf("    <remoteSubjectFQDN>%.*s</remoteSubjectFQDN>\n",
	       (int)strcspn(names, ","), names);
}

/* Of one end: the first name is shown the others as its peers, they the
 * first one. */
static void
show_end(const struct order *order, unsigned own)
{
	const char *names = order->names[own];
	unsigned i;

	printf("\nFor %.*s:\n\n  <transportLayerSecurity>\n",
	       (int)strcspn(names, ","), names);
	if (own)
		put_peer(order->names[0]);
	for (i = 1; !own && i < order->name_count && i <= PEERS_SHOWN; i++)
		put_peer(order->names[i]);
	if (order->name_count == 1)
		put_peer("NAME-OF-THE-PEER");
	else if (!own && i < order->name_count)
		printf("    <!-- and so on for all that may talk to it -->\n");
	put_file("certificateFile", order, names, ".pem");
	put_file("keyFile", order, names, ".key");
	put_file("authoritiesFile", order, "ca", ".pem");
	put_file("revocationsFile", order, "crl", ".pem");
	printf("  </transportLayerSecurity>\n");
}

static void
show_keys(const struct order *order)
{
	printf("\nFor a collector:\n\n  <transportLayerSecurity>\n");
	put_file("pskFile", order, "psk", "");
	printf("  </transportLayerSecurity>\n");
	printf("\nFor the exporter %s:\n\n  <transportLayerSecurity>\n",
	       order->names[0]);
	put_file("pskFile", order, order->names[0], ".psk");
	printf("    <cx:pskIdentity>%s</cx:pskIdentity>\n"
	       "  </transportLayerSecurity>\n",
	       order->names[0]);
}

static void
show(const struct order *order)
{
	if (!order->name_count)
		return;
	if (order->psk) {
		show_keys(order);
		return;
	}
	show_end(order, 0);
	if (order->name_count > 1)
		show_end(order, 1);
	if (order->name_count > 2)
		printf("\nFor the others likewise, with their own files.\n");
}

int
cli_pki(int argc, char **argv)
{
	struct order order = {.days = PKI_DAYS};
	struct text told = {0};
	bool done = false;
	int status = read_order(argc, argv, &order, &done);

	if (status != CLI_OK || done)
		return status;
	status = make(&order, &told);
	if (told.length)
		fputs(told.data, stdout);
	order.path = realpath(order.folder, NULL);
	if (status == CLI_OK && order.path)
		show(&order);
	free(order.path);
	text_fini(&told);
	return status;
}
