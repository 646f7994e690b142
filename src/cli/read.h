/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The two halves of conflux read: streams of messages, and what is in them. */
#ifndef CONFLUX_CLI_READ_H
#define CONFLUX_CLI_READ_H

#include <time.h>

#include "conflux/filter.h"
#include "conflux/format.h"
#include "conflux/message.h"
#include "conflux/template.h"
#include "top.h"

enum { READ_PASSED = 128 * 1024 };

struct read_options {
	enum format format;
	bool templates; /* print Templates too */
	bool options;   /* and Options Data Records */
	uint64_t limit; /* records to print or to aggregate, 0: all */
	unsigned long top; /* lines of the list, 0: print the records */
	enum top_by by;
	const char *key; /* of the list, NULL: the usual ones */
	const char *filter; /* an expression, NULL: all records */
};

struct read {
	struct read_options options;
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct text out;             /* not yet written to stdout */
	const struct shape *header;  /* of the last CSV header, held */
	uint64_t printed;            /* records, or aggregated */
	struct filter *filter;	     /* or NULL */
	uint8_t *passed;	     /* records that did, READ_PASSED octets */
	struct top *top;             /* gets the records, or NULL: they are
				      * printed */
	uint64_t problems;           /* of all files */
	uint64_t complaints;         /* of this file, printed or not */
	/* Of the file that is being read, which is one Transport Session: */
	const char *name;
	uint32_t file;               /* its number, from 1 on */
	uint64_t offset;             /* of the message */
	uint32_t domain;
	uint32_t export_time; /* seconds since 1970 */
	struct template_store *templates;
	bool relearn;                /* elements were learnt */
	uint64_t size;               /* octets, 0: not known */
	/* Progress, on a terminal: */
	bool progress;               /* a line of it is there */
	uint64_t shown;              /* offset then */
	time_t shown_time;
};

/* Prints "NAME: offset N: text", up to a bound for each file, and counts. */
void read_complain(struct read *read, uint64_t offset, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Prints what a whole message holds. */
void read_message(struct read *read, const uint8_t *message, size_t length);

/* True when the limit is reached. */
static inline bool
read_done(const struct read *read)
{
	return read->options.limit && read->printed >= read->options.limit;
}

#endif
