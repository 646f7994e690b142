/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * conflux read --top: the flows, hosts, ports, ... with the most octets, packets
 * or records. Records are aggregated by the cache of the daemon.
 */
#ifndef CONFLUX_CLI_TOP_H
#define CONFLUX_CLI_TOP_H

#include "conflux/format.h"
#include "conflux/stage.h"

enum top_by {
	TOP_OCTETS,
	TOP_PACKETS,
	TOP_FLOWS,
};

enum {
	TOP_MAX = 100000,       /* lines */
	TOP_FLOWS_MAX = 1 << 24, /* kept at a time, in about 2 GB at the most */
};

struct top;

/* "octets", ... or -EINVAL. */
int top_by_parse(const char *name);

/*
 * keys: element names with commas between them, or srcip, dstip, srcport,
 * dstport, proto; NULL: addresses, ports and protocol. CLI_OK, or another
 * status after a message.
 */
int top_new(struct ie_registry *registry, struct shape_table *shapes,
	    const char *keys, enum top_by by, unsigned count, struct top **out);
void top_free(struct top *top);

/*
 * What is added from here on is from a message of that domain, exported then
 * (seconds since 1970). file: a number of each file, from 1 on; running totals
 * of one file or domain have nothing to do with those of another.
 */
void top_message(struct top *top, uint32_t file, uint32_t domain,
		 uint32_t export_time);

/* Records of one shape, one after the other. */
void top_add(struct top *top, const struct shape *shape, const uint8_t *p,
	     uint32_t length);
/* At the end: the list. */
void top_print(struct top *top, enum format format, struct text *out);

#endif
