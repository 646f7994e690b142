/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* conflux status: asks a running confluxd over its control socket. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "conflux/manage.h"

static const char help[] =
	"usage: conflux status [-j] [-s SOCKET] [-w SECONDS] [SECTION]\n"
	"\n"
	"Shows the state of a running confluxd: the ledger, sessions, "
	"templates\n"
	"and caches; all of it, or one section.\n"
	"\n"
	"  -j, --json           as JSON\n"
	"  -s, --socket SOCKET  control socket (" CLI_SOCKET ")\n"
	"  -w, --watch SECONDS  again and again, until it is stopped\n"
	"  -h, --help           this text\n";

struct status_options {
	const char *socket;
	const char *section;
	bool json;
	double watch; /* seconds, 0: once */
};

static int
show(const struct status_options *o, bool clear)
{
	struct text request = {0}, answer = {0};
	int status;

	manage_add_word(&request, "status");
	manage_add_word(&request, o->json ? "json" : "text");
	if (o->section)
		manage_add_word(&request, o->section);
	status = cli_ask("status", o->socket, &request, &answer);
	if (status == CLI_OK) {
		/* Cursor home, and what is below it cleared. */
		if (clear)
			fputs("\033[H\033[J", stdout);
		status = cli_print_answer(&answer);
	}
	text_fini(&request);
	text_fini(&answer);
	return status;
}

static int
watch(const struct status_options *o)
{
	struct timespec pause = {
		.tv_sec = (time_t)o->watch,
		.tv_nsec = (long)((o->watch - (double)(time_t)o->watch) * 1e9),
	};
	bool clear = isatty(STDOUT_FILENO);
	int status;

	while ((status = show(o, clear)) == CLI_OK)
		nanosleep(&pause, NULL);
	return status;
}

int
cli_status(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"socket", required_argument, NULL, 's'},
		{"watch", required_argument, NULL, 'w'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct status_options o = {.socket = CLI_SOCKET};
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "js:w:h", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			o.json = true;
			break;
		case 's':
			o.socket = optarg;
			break;
		case 'w':
			o.watch = strtod(optarg, &end);
			if (*end || !(o.watch >= 0.1 && o.watch <= 86400))
				return cli_usage_error(
					"status", "--watch: expected seconds "
						  "from 0.1 to 86400");
			break;
		case 'h':
			fputs(help, stdout);
			return CLI_OK;
		default:
			return CLI_USAGE;
		}
	}
	if (optind < argc)
		o.section = argv[optind++];
	if (optind < argc)
		return cli_usage_error("status", "one section at a time");
	return o.watch > 0 ? watch(&o) : show(&o, false);
}
