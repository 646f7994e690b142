/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime makes the processes that a configuration asks for, joins them as
 * its references say, runs them in one or more workers, and ends them in order.
 *
 *	runtime_load(path, &conf, &errors);
 *	runtime_new(base, conf, ended, arg, &runtime, &error);
 *	... give up privileges ...
 *	runtime_start(runtime);
 *	event_base_dispatch(base);	until ended is called
 *	runtime_log_ledger(runtime);
 *	runtime_free(runtime);
 */
#ifndef CONFLUX_RUNTIME_H
#define CONFLUX_RUNTIME_H

#include <stdbool.h>

#include "conflux/config.h"
#include "conflux/ledger.h"
#include "conflux/text.h"

struct event_base;
struct runtime;

/*
 * Loads a configuration and checks all that can be checked without opening
 * anything: what conf_load_file finds, with the Information Elements of IANA,
 * of meter readers and of the element files that the document names; and
 * whether caches and meter readers can be made of what they are given. As
 * conf_load_file: 0, -EINVAL (see errors), or another negative errno.
 */
int runtime_load(const char *path, struct conf **out,
		 struct conf_errors *errors);
int runtime_load_memory(const void *data, size_t length, struct conf **out,
			struct conf_errors *errors);

/*
 * Makes all processes and opens their sockets and files. conf must live as
 * long as the runtime, and so must base, in whose thread all calls are made.
 * ended is called once from the loop: after runtime_stop, or when all sources
 * were finite and everything has been exported. A negative errno: *error is a
 * message for people (to be freed), or NULL without memory.
 */
int runtime_new(struct event_base *base, const struct conf *conf,
		void (*ended)(void *arg), void *arg, struct runtime **out,
		char **error);

/* Starts the sources and the workers. 0 or a negative errno. */
int runtime_start(struct runtime *runtime);

/*
 * Reads certificates, keys, revocation lists and pre-shared keys again, for
 * sessions to come; those that exist go on, unless the peer was revoked. What
 * can't be used is logged, and leaves who needs it as it was.
 */
void runtime_reload(struct runtime *runtime);

/*
 * Begins the orderly end: sources stop, meter readers deregister, caches are
 * flushed, exporters drained, within a bounded time. Then ended is called.
 */
void runtime_stop(struct runtime *runtime);

/*
 * State with the names of RFC 6728, into the open report. section: a name at
 * the top of it ("collectingProcess", "cache", "exportingProcess",
 * "cx:meterReader", "cx:daemon", "cx:total"; the prefix may be left out), or
 * NULL: all. -ENOENT: there is no such section.
 */
int runtime_report(struct runtime *runtime, const char *section,
		   struct report *report);

/*
 * The account of all processes together. in: of the sources; exported: by the
 * destinations; the rest: sums. *copied: records that went to more than one
 * next process or destination. in + split + copied = exported + merged + filtered + lost
 * + held, always.
 */
void runtime_ledger(struct runtime *runtime, struct ledger *sum,
		    uint64_t *copied);

/* One line for each process and destination, and one for all (notice). */
void runtime_log_ledger(struct runtime *runtime);

/* The port of the first collector named so, 0 if there is none (for tests). */
uint16_t runtime_port(const struct runtime *runtime, const char *collector);

/*
 * Octets of capture files that were read, and of all of them; *total is 0 if
 * that is not known or there are none. *packets: metered so far.
 */
void runtime_progress(const struct runtime *runtime, uint64_t *done,
		      uint64_t *total, uint64_t *packets);

/* NULL is legal. */
void runtime_free(struct runtime *runtime);

#endif
