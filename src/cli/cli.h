/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The commands of the program conflux, and what they share. */
#ifndef CONFLUX_CLI_CLI_H
#define CONFLUX_CLI_CLI_H

#include "conflux/ie.h"
#include "conflux/text.h"

/* Exit status. */
enum {
	CLI_OK = 0,
	CLI_FAILED = 1, /* the input has errors, or nobody answers */
	CLI_USAGE = 2,
};

/* Each gets its name as argv[0] and returns an exit status. */
int cli_check(int argc, char **argv);
int cli_elements(int argc, char **argv);
int cli_pki(int argc, char **argv);
int cli_read(int argc, char **argv);
int cli_selection(int argc, char **argv);
int cli_status(int argc, char **argv);

/* "conflux NAME: ..." on stderr. Returns CLI_USAGE. */
int cli_usage_error(const char *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Adds the elements of a file (element_file.h) to the registry. Errors are
 * printed. CLI_OK or CLI_FAILED.
 */
int cli_load_elements(struct ie_registry *registry, const char *path);

/* The control socket, unless one is named. */
#define CLI_SOCKET "/run/conflux/conflux.sock"

/*
 * Asks a running confluxd. Why it refuses or does not answer is printed. CLI_OK
 * or CLI_FAILED.
 */
int cli_ask(const char *command, const char *socket, const struct text *request,
	    struct text *answer);
int cli_print_answer(const struct text *answer);

#endif
