/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: a local stream socket that answers questions about the
 * state of a running daemon and takes orders, and the client's side of it.
 * Nothing on the way of the data needs it. Runs in the thread of its event base
 * (the main one).
 *
 * A client sends one line of words with single spaces between them:
 *
 *	status text|json [SECTION]
 *	selection [NAME [SELECTOR]]
 *	change NAME SELECTOR PARAMETER=VALUE...
 *
 * In a word, %XX stands for an octet (manage_add_word). The answer is one line
 * "ok\n" or "error: REASON\n"; behind "ok" comes the report, up to the end of
 * the stream; a reason may have more lines. The mode of the socket says who may
 * ask; orders are taken only from root and the user that the daemon runs as.
 */
#ifndef CONFLUX_MANAGE_H
#define CONFLUX_MANAGE_H

#include <stdint.h>

#include "conflux/text.h"

struct event_base;
struct manage;

struct manage_ops {
	/*
	 * Writes the state into the report (begun and ended by the caller).
	 * section is the name of a part that is asked for, or NULL: all. A
	 * negative errno refuses the request: -ENOENT if there is no such
	 * section.
	 */
	int (*status)(void *arg, const char *section, struct report *report);
	/* Tells the selectors. A negative errno: answer is why not. */
	int (*selection)(void *arg, char *const *word, unsigned count,
			 struct text *answer);
	/* Changes one, by order of the user; count is at least 3. */
	int (*change)(void *arg, uint32_t user, char *const *word,
		      unsigned count, struct text *answer);
};

/*
 * Listens at path, mode 0660; makes its folder (0755) if only that is missing.
 * A socket that was left there by a process that is gone is replaced; one that
 * answers is not (-EADDRINUSE). On failure *error is a message for people, to
 * be freed, or NULL if there was no memory for it.
 */
int manage_open(struct event_base *base, const char *path,
		const struct manage_ops *ops, void *arg, struct manage **out,
		char **error);

/* Closes the socket, drops the clients, removes path if it is still ours. */
void manage_close(struct manage *manage);

/* Appends a space, if it is not the first, and the word as it may be sent. */
void manage_add_word(struct text *request, const char *word);

/*
 * The client: sends the request line (without its end) and puts the report
 * into answer. Blocks, timeout_ms at most for each step. 0; -EPROTO: refused,
 * answer is the reason; another negative errno: nobody answers at path.
 */
int manage_ask(const char *path, const char *request, int timeout_ms,
	       struct text *answer);

#endif
