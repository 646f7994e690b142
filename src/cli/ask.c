/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A request to a running confluxd, for the commands that make one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "conflux/manage.h"

enum { ANSWER_MS = 10000 };

/* Each line with the name of the command. */
static void
print_reason(const char *command, char *reason)
{
	char *rest = NULL;

	for (char *line = strtok_r(reason, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		fprintf(stderr, "conflux %s: %s\n", command, line);
}

int
cli_ask(const char *command, const char *socket, const struct text *request,
	struct text *answer)
{
	int ret = request->failed ? -ENOMEM
				  : manage_ask(socket, request->data, ANSWER_MS,
					       answer);

	if (ret == -EPROTO && answer->length)
		print_reason(command, answer->data);
	else if (ret)
		fprintf(stderr, "conflux %s: no answer at %s: %s\n", command,
			socket, strerror(-ret));
	return ret ? CLI_FAILED : CLI_OK;
}

int
cli_print_answer(const struct text *answer)
{
	if (answer->length)
		fwrite(answer->data, 1, answer->length, stdout);
	return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}
