/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What captures of files and of interfaces share: the block of frames that is
 * filled and handed to the observer, and the filter.
 *
 *	capture.c       opening, closing, filters
 *	capture_file.c  files, one after the other, in the event loop
 *	capture_live.c  an interface, by libpcap
 *	source.c        the octets of a file, inflated
 *	pcap.c          pcap and pcapng: octets become frames
 */
#ifndef CONFLUX_OBSERVATION_CAPTURE_H
#define CONFLUX_OBSERVATION_CAPTURE_H

#include <event2/event.h>
#include <pcap/pcap.h>

#include "conflux/observation.h"

enum {
	SNAP_DEFAULT = 262144,
	BUFFER_DEFAULT = 16 << 20,
	FILTERS_MAX = 16, /* link types of one capture */
};

struct capture_ops {
	void (*stop)(struct capture *capture);
	void (*free)(struct capture *capture);
	void (*report)(struct capture *capture, struct report *report);
	void (*progress)(const struct capture *capture, uint64_t *done,
			 uint64_t *total);
};

/* A BPF program is made for a link type. */
struct filter {
	uint32_t link;
	struct bpf_program program;
};

struct capture {
	const struct capture_ops *ops;
	struct event_base *base;
	char *name;
	char *interface; /* NULL: files */
	struct stage *observer;
	char *expression; /* of the filter, or NULL */
	unsigned filter_count;
	struct filter filter[FILTERS_MAX];
	void (*finished)(void *arg);
	void *arg;
	/* The block. */
	struct frame frame[BATCH_MAX];
	uint32_t frame_count;
	uint64_t block_ns; /* of its first packet */
	uint64_t packets, octets, filtered;
	_Atomic uint64_t untold_drops; /* see capture_take_drops */
};

/* Hands the block over. */
void capture_flush(struct capture *capture);

/* Whether a packet of this time can't be in the block: it is to be flushed. */
static inline bool
capture_block_over(const struct capture *capture, uint64_t time_ns)
{
	return capture->frame_count &&
	       (capture->frame_count == BATCH_MAX ||
		(int64_t)(time_ns - capture->block_ns) >
			(int64_t)OBSERVER_BLOCK_MS * 1000000);
}

/* -EINVAL: the expression is wrong for this link; *error is to be freed. */
int capture_add_filter(struct capture *capture, uint32_t link, char **error);
/* True: the filter takes it. False if none could be added for its link. */
bool capture_takes(struct capture *capture, const struct frame *frame);

/* The name of a link type of files, or NULL. */
const char *capture_link_name(uint32_t link);

int capture_file_open(const struct capture_conf *conf, struct capture *capture,
		      char **error);
int capture_live_open(const struct capture_conf *conf, struct capture *capture,
		      char **error);
/* The size of what each of them makes of struct capture. */
size_t capture_file_size(void);
size_t capture_live_size(void);

#endif
