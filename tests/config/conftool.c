/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads a configuration and prints it, or what is wrong with it:
 * conftool [-a] [-d] [-r] [-s] [-u] FILE. -d with defaults, -r the RFC 6728
 * part alone, -s secrets in clear, -u with what this build cannot do. It knows
 * a few Information Elements, enough for the tests here; -a takes any.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conflux/config.h"
#include "conflux/text.h"

static const struct conf_element known[] = {
    {"octetDeltaCount", 0, 1, 8, true, 0},
    {"packetDeltaCount", 0, 2, 8, true, 0},
    {"protocolIdentifier", 0, 4, 1, true, 0},
    {"tcpControlBits", 0, 6, 2, true, 0},
    {"sourceTransportPort", 0, 7, 2, true, 0},
    {"sourceIPv4Address", 0, 8, 4, false, 32},
    {"destinationTransportPort", 0, 11, 2, true, 0},
    {"destinationIPv4Address", 0, 12, 4, false, 32},
    {"sourceIPv6Address", 0, 27, 16, false, 128},
    {"destinationIPv6Address", 0, 28, 16, false, 128},
    {"flowEndReason", 0, 136, 1, true, 0},
    {"flowStartMilliseconds", 0, 152, 8, false, 0},
    {"flowEndMilliseconds", 0, 153, 8, false, 0},
    {"interfaceName", 0, 82, 65535, false, 0},
    {"deltaFlowCount", 0, 3, 8, true, 0},
    {"reverseOctetDeltaCount", 29305, 1, 8, true, 0},
    {"reversePacketDeltaCount", 29305, 2, 8, true, 0},
};

static int
find(void *ctx, struct conf_element *e)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		const struct conf_element *k = &known[i];
		bool pen = e->pen == CONF_PEN_ANY || e->pen == k->pen;

		if (pen && (e->name ? strcmp(e->name, k->name) == 0
				    : e->id == k->id)) {
			*e = *k;
			return 0;
		}
	}
	return -ENOENT;
}

/* Enough for a test: the first name with the same beginning. */
static const char *
nearest(void *ctx, const char *name)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strncmp(known[i].name, name, 5) == 0)
			return known[i].name;
	return NULL;
}

static int
load(void *ctx, const char *path, char *why, size_t size)
{
	if (access(path, R_OK) == 0)
		return 0;
	snprintf(why, size, "%s", strerror(errno));
	return -errno;
}

int
main(int argc, char **argv)
{
	static const struct conf_elements elements = {
	    .load = load,
	    .find = find,
	    .nearest = nearest,
	};
	struct conf_options options = {.elements = &elements};
	struct conf_errors errors = {0};
	struct text out = {0};
	struct conf *conf;
	unsigned flags = 0;
	int c, ret;

	while ((c = getopt(argc, argv, "adrsu")) != -1) {
		if (c == 'a')
			options.elements = NULL;
		else if (c == 'd')
			flags |= CONF_PRINT_DEFAULTS;
		else if (c == 'r')
			flags |= CONF_PRINT_RFC;
		else if (c == 's')
			flags |= CONF_PRINT_SECRETS;
		else if (c == 'u')
			options.unbuilt = true;
		else
			return 2;
	}
	if (optind + 1 != argc)
		return 2;
	ret = conf_load_file(&conf, argv[optind], &options, &errors);
	conf_errors_print(&errors, argv[optind], stdout);
	conf_errors_fini(&errors);
	if (ret)
		return 1;
	conf_print(conf, flags, &out);
	if (out.data)
		fputs(out.data, stdout);
	text_fini(&out);
	conf_free(conf);
	return 0;
}
