/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Filter expressions on records, as people know them from nfdump and BPF:
 *
 *	proto tcp and dst port in [80, 443] and not src net 10.0.0.0/8
 *	sourceIPv4Address == 192.0.2.1 or interfaceName like "eth*"
 *
 * The language is described in conflux(1), FILTERS. An expression is parsed
 * once and made into a program for each shape, which works on a batch at a
 * time and reads nothing of the records but what is asked for.
 *
 * One filter is used by one thread.
 */
#ifndef CONFLUX_FILTER_H
#define CONFLUX_FILTER_H

#include <stdint.h>

#include "conflux/ie.h"
#include "conflux/stage.h"

struct filter;

enum { FILTER_TEXT_MAX = 65535 }; /* octets of an expression */

struct filter_error {
	unsigned line;	 /* of the expression, from 1 on */
	unsigned column; /* characters, from 1 on */
	/* "column 5: what is wrong", then the line and a caret below the
	 * column. To be freed; NULL without memory. */
	char *text;
};

/*
 * Parses text, which need not be kept. The registry is, until the filter is
 * freed. 0; -EINVAL: *error tells why; -ENOMEM.
 */
int filter_new(const char *text, struct ie_registry *registry,
	       struct filter **out, struct filter_error *error);
/* NULL is legal. */
void filter_free(struct filter *filter);

/*
 * Which records of the batch pass: their numbers in order, index has BATCH_MAX
 * entries. Returns how many; -ENOMEM. No allocation but for the first batch of
 * a shape.
 */
int filter_run(struct filter *filter, const struct batch *batch,
	       uint32_t *index);

/* Tells each element that it looks at, for observer_want. */
int filter_wants(const struct filter *filter,
		 int (*want)(void *arg, const struct ie *ie, uint16_t length),
		 void *arg);

#endif
