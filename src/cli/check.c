/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* conflux check: loads configurations as confluxd would, and starts nothing. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "conflux/config.h"
#include "conflux/runtime.h"
#include "conflux/text.h"

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
check(const char *path, bool print, unsigned flags)
{
	struct conf_errors errors = {0};
	struct text text = {0};
	struct conf *conf = NULL;
	int ret = runtime_load(path, &conf, &errors);

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
