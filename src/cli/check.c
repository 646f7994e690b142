/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* conflux check: loads configurations as confluxd would, and starts nothing. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "conflux/config.h"
#include "conflux/element_file.h"
#include "conflux/text.h"

enum { ADDED_MAX = 65536 };

static const char help[] =
	"usage: conflux check [--print | --print-rfc] FILE...\n"
	"\n"
	"Checks configurations. All errors are printed, one a line, as\n"
	"FILE:LINE: element: what is wrong, what was expected, nearest name.\n"
	"\n"
	"  -p, --print      prints each with every default filled in; secrets\n"
	"                   are not shown\n"
	"  -r, --print-rfc  prints the part that RFC 6728 has\n"
	"  -h, --help       this text\n";

static int
elements_load(void *ctx, const char *path, char *why, size_t size)
{
	struct text errors = {0};
	char *data;
	size_t length;
	int ret = cli_read_file(path, &data, &length);

	if (ret) {
		snprintf(why, size, "%s", strerror(-ret));
		return ret;
	}
	ret = element_file_parse(ctx, data, length, path, &errors);
	if (ret) {
		const char *text = errors.length ? errors.data
						 : strerror(-ret);

		/* The first of them. */
		snprintf(why, size, "%.*s", (int)strcspn(text, "\n"), text);
	}
	text_fini(&errors);
	free(data);
	return ret;
}

static uint8_t
prefix_max(const struct ie *ie)
{
	if (ie->type == IE_IPV4_ADDRESS)
		return 32;
	return ie->type == IE_IPV6_ADDRESS ? 128 : 0;
}

static int
elements_find(void *ctx, struct conf_element *element)
{
	const struct ie_registry *registry = ctx;
	const struct ie *ie;

	if (element->name)
		ie = ie_by_name(registry, element->name);
	else
		ie = ie_find(registry,
			     element->pen == CONF_PEN_ANY ? 0 : element->pen,
			     element->id);
	if (!ie || (element->pen != CONF_PEN_ANY && ie->pen != element->pen))
		return -ENOENT;
	element->name = ie->name;
	element->pen = ie->pen;
	element->id = ie->id;
	element->length = ie->length;
	element->reducible = ie->length != IE_VARIABLE &&
			     ie_length_ok(ie, (uint16_t)(ie->length - 1));
	element->prefix_max = prefix_max(ie);
	return 0;
}

static const char *
elements_nearest(void *ctx, const char *name)
{
	return ie_nearest_name(ctx, name);
}

static int
check(const char *path, bool print, unsigned flags)
{
	struct conf_elements elements = {
		.ctx = ie_registry_new(ADDED_MAX),
		.load = elements_load,
		.find = elements_find,
		.nearest = elements_nearest,
	};
	struct conf_options options = {.elements = &elements};
	struct conf_errors errors = {0};
	struct text text = {0};
	struct conf *conf = NULL;
	int ret = -ENOMEM;

	if (elements.ctx)
		ret = conf_load_file(&conf, path, &options, &errors);
	conf_errors_print(&errors, path, stderr);
	if (ret && errors.errors == 0)
		fprintf(stderr, "%s: %s\n", path, strerror(-ret));
	if (ret == 0 && print) {
		conf_print(conf, flags, &text);
		if (text.failed)
			ret = -ENOMEM;
		else if (text.length)
			fwrite(text.data, 1, text.length, stdout);
	}
	text_fini(&text);
	conf_errors_fini(&errors);
	conf_free(conf);
	ie_registry_free(elements.ctx);
	return ret ? CLI_FAILED : CLI_OK;
}

int
cli_check(int argc, char **argv)
{
	static const struct option options[] = {
		{"print", no_argument, NULL, 'p'},
		{"print-rfc", no_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	unsigned flags = CONF_PRINT_DEFAULTS;
	int status = CLI_OK, c;
	bool print = false;

	while ((c = getopt_long(argc, argv, "prh", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return CLI_OK;
		}
		if (c != 'p' && c != 'r')
			return CLI_USAGE;
		print = true;
		if (c == 'r')
			flags |= CONF_PRINT_RFC;
	}
	if (optind == argc)
		return cli_usage_error("check", "no FILE given");
	for (; optind < argc; optind++)
		if (check(argv[optind], print, flags) != CLI_OK)
			status = CLI_FAILED;
	return status;
}
