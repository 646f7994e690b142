/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* conflux COMMAND ...: picks the command from a table. See conflux(1). */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include <config.h>

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{"check", cli_check, "checks configurations of confluxd"},
	{"elements", cli_elements, "lists Information Elements"},
	{"pki", cli_pki, "makes certificates and keys for secured links"},
	{"read", cli_read, "prints the records of IPFIX files"},
	{"selection", cli_selection,
	 "shows and changes the sampling of a running confluxd"},
	{"status", cli_status, "shows the state of a running confluxd"},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

int
cli_usage_error(const char *command, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "conflux %s: ", command);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nTry \"conflux %s --help\".\n", command);
	return CLI_USAGE;
}

static void
usage(FILE *out)
{
	fprintf(out, "usage: conflux COMMAND [OPTION]... [ARGUMENT]...\n\n");
	for (unsigned i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-10s%s\n", commands[i].name,
			commands[i].what);
	fprintf(out, "\n"
		     "  -h, --help     this text\n"
		     "  -V, --version  the version\n"
		     "\n"
		     "conflux COMMAND --help tells more; so does the manual, "
		     "conflux(1).\n");
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return CLI_OK;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("conflux %s\n", PACKAGE_VERSION);
		return CLI_OK;
	}
	for (unsigned i = 0; i < COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "conflux: there is no command \"%s\"\n\n", argv[1]);
	usage(stderr);
	return CLI_USAGE;
}
