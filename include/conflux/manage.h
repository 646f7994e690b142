/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: a local stream socket that answers questions about the
 * state of a running daemon, and the client's side of it. Nothing on the way
 * of the data needs it. Runs in the thread of its event base (the main one).
 *
 * A client sends one line, "status text\n" or "status json\n", perhaps with
 * the name of a section behind ("status json cache\n"). The answer is one line
 * "ok\n" or "error: REASON\n"; behind "ok" comes the report, up to the end of
 * the stream.
 */
#ifndef CONFLUX_MANAGE_H
#define CONFLUX_MANAGE_H

#include "conflux/text.h"

struct event_base;
struct manage;

/*
 * Writes the state into the report (begun and ended by the caller). section is
 * the name of a part that is asked for, or NULL: all. A negative errno refuses
 * the request: -ENOENT if there is no such section.
 */
typedef int (*manage_status)(void *arg, const char *section,
			     struct report *report);

/*
 * Listens at path, mode 0660; makes its folder (0755) if only that is missing.
 * A socket that was left there by a process that is gone is replaced; one that
 * answers is not (-EADDRINUSE). On failure *error is a message for people, to
 * be freed, or NULL if there was no memory for it.
 */
int manage_open(struct event_base *base, const char *path,
		manage_status status, void *arg, struct manage **out,
		char **error);

/* Closes the socket, drops the clients, removes path if it is still ours. */
void manage_close(struct manage *manage);

/*
 * The client: sends the request line (without its end) and puts the report
 * into answer. Blocks, timeout_ms at most for each step. 0; -EPROTO: refused,
 * answer is the reason; another negative errno: nobody answers at path.
 */
int manage_ask(const char *path, const char *request, int timeout_ms,
	       struct text *answer);

#endif
