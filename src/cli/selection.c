/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* conflux selection: shows and changes the selectors of a running confluxd. */
#include <getopt.h>
#include <stdio.h>

#include "cli.h"
#include "conflux/manage.h"

static const char help[] =
	"usage: conflux selection [-s SOCKET] [NAME [SELECTOR]]\n"
	"       conflux selection [-s SOCKET] NAME SELECTOR "
	"PARAMETER=VALUE...\n"
	"\n"
	"Shows the selectors of a running confluxd: the name of the\n"
	"selectionProcess, of the selector, its method and its parameters; or\n"
	"changes parameters of one. All Flows that were metered before end,\n"
	"and collectors are told. The configuration file stays as it is.\n"
	"\n"
	"  -s, --socket SOCKET  control socket (" CLI_SOCKET ")\n"
	"  -h, --help           this text\n";

int
cli_selection(int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct text request = {0}, answer = {0};
	const char *socket = CLI_SOCKET;
	int c, status;

	while ((c = getopt_long(argc, argv, "s:h", options, NULL)) != -1) {
		switch (c) {
		case 's':
			socket = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return CLI_OK;
		default:
			return CLI_USAGE;
		}
	}
	for (int i = optind; i < argc; i++)
		if (!argv[i][0])
			return cli_usage_error("selection",
					       "an argument is empty");
	manage_add_word(&request, argc - optind > 2 ? "change" : "selection");
	for (int i = optind; i < argc; i++)
		manage_add_word(&request, argv[i]);
	status = cli_ask("selection", socket, &request, &answer);
	if (status == CLI_OK)
		status = cli_print_answer(&answer);
	text_fini(&request);
	text_fini(&answer);
	return status;
}
