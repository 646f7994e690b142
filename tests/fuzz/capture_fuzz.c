/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture file in the event loop, as the daemon reads it: what it is in, gzip
 * too, its blocks, a filter. The first octet chooses the filter and whether it
 * comes by a pipe, the rest is the file. The observer is a double that looks at
 * every octet of a frame and holds the reader up now and then.
 */
#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conflux/observation.h"

enum { PIPE_OCTETS = 60000 }; /* what a pipe holds without a reader */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct double_observer {
	struct stage stage;
	struct event_base *base;
	uint64_t packets;
	unsigned asked;
	bool finished;
	volatile uint8_t octets;
};

void
observer_frames(struct stage *stage, const struct frame *frames, uint32_t count)
{
	struct double_observer *o = (struct double_observer *)stage;

	assert(count >= 1 && count <= BATCH_MAX);
	for (uint32_t i = 0; i < count; i++) {
		assert(frames[i].wire_length >= frames[i].length);
		for (uint32_t k = 0; k < frames[i].length; k++)
			o->octets ^= frames[i].data[k];
	}
	o->packets += count;
}

void
observer_lost(struct stage *stage, uint64_t kernel, uint64_t interface)
{
	assert(kernel || interface);
}

void
observer_filtered(struct stage *stage, uint64_t packets)
{
	((struct double_observer *)stage)->packets += packets;
}

static bool
is_congested(const struct stage *stage)
{
	return ((struct double_observer *)stage)->asked++ % 64 == 7;
}

static const struct stage_ops double_ops = {.congested = is_congested};

static void
on_finished(void *arg)
{
	struct double_observer *o = arg;

	o->finished = true;
	event_base_loopbreak(o->base);
}

/* A descriptor that the octets are read from. */
static int
provide(const uint8_t *data, size_t size, bool by_pipe)
{
	int ends[2];

	if (!by_pipe || size > PIPE_OCTETS) {
		int fd = memfd_create("capture", 0);

		if (fd < 0 || write(fd, data, size) != (ssize_t)size)
			abort();
		return fd;
	}
	if (pipe(ends) < 0 || write(ends[1], data, size) != (ssize_t)size)
		abort();
	close(ends[1]);
	return ends[0];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct double_observer o = {.stage = {.ops = &double_ops}};
	char path[40];
	const char *const files[] = {path};
	struct capture_conf conf = {
		.name = "fuzz",
		.observer = &o.stage,
		.files = files,
		.file_count = 1,
		.finished = on_finished,
		.arg = &o,
	};
	struct text text = {0};
	struct report report;
	struct capture *capture;
	char *error, wanted[40];
	int fd;

	if (size < 1)
		return 0;
	if (data[0] & 1)
		conf.filter = "udp or ip6 or vlan";
	fd = provide(data + 1, size - 1, data[0] & 2);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	o.base = event_base_new();
	if (capture_open(o.base, &conf, &capture, &error) < 0)
		abort();
	event_base_dispatch(o.base);
	assert(o.finished);
	/* Every packet is with the observer, or was left out. */
	report_begin(&report, &text, true);
	capture_report(capture, &report);
	report_end(&report);
	snprintf(wanted, sizeof(wanted), "\"packets\":%llu,",
		 (unsigned long long)o.packets);
	assert(strstr(text.data, wanted));
	text_fini(&text);
	capture_close(capture);
	event_base_free(o.base);
	close(fd);
	return 0;
}
