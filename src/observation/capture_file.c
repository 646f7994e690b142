/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Capture files, one after the other. They are read in turns of a few
 * milliseconds in the event loop, so that sockets and signals are served
 * meanwhile, and not while the stages behind are congested. A file that is cut
 * off or wrong ends there, is counted and told; the next one is read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "capture.h"
#include "conflux/clock.h"
#include "conflux/log.h"
#include "pcap.h"
#include "source.h"

enum {
	TURN_MS = 5,
	TURN_BLOCKS = 64, /* blocks between two looks at the clock */
	CONGESTED_MS = 2,
	LINKS_SHOWN = 16, /* different link types that are reported */
};

struct capture_file {
	struct capture capture;
	char **path;
	unsigned path_count;
	unsigned at;       /* the file that is read */
	struct source_file *source;
	struct pcap_reader reader;
	struct event *turn;
	struct event *readable; /* of a pipe, or NULL */
	uint64_t total;    /* octets of all files, 0: not known */
	uint64_t done;     /* of the files before this one */
	uint64_t files, faults;
	uint32_t link[LINKS_SHOWN];
	unsigned link_count;
	uint64_t kernel_drops, interface_drops; /* as the files tell */
	struct log_limit limit; /* files can have any number of interfaces */
	bool ended;
};

static const char *
shown(const char *path)
{
	return strcmp(path, "-") == 0 ? "standard input" : path;
}

static void
again(struct capture_file *f, unsigned ms)
{
	struct timeval wait = {.tv_usec = (long)ms * 1000};

	event_add(f->turn, &wait);
}

static void
close_file(struct capture_file *f)
{
	if (f->readable)
		event_free(f->readable);
	f->readable = NULL;
	if (!f->source)
		return;
	f->done += f->total ? source_file_size(f->source)
			    : source_file_done(f->source);
	source_file_close(f->source);
	f->source = NULL;
	pcap_reader_fini(&f->reader);
}

static void on_turn(evutil_socket_t fd, short what, void *arg);

/* A pipe may have to be waited for. */
static int
make_readable(struct capture_file *f)
{
	int fd = source_file_fd(f->source);

	if (fd < 0)
		return 0;
	f->readable = event_new(f->capture.base, fd, EV_READ, on_turn, f);
	return f->readable ? 0 : -ENOMEM;
}

static int
open_file(struct capture_file *f)
{
	int rc = source_file_open(f->path[f->at], &f->source);

	if (rc == 0)
		rc = make_readable(f);
	if (rc == 0)
		f->files++;
	return rc;
}

/* The next file that can be opened. False: there is none. */
static bool
next_file(struct capture_file *f)
{
	int rc;

	close_file(f);
	while (++f->at < f->path_count) {
		rc = open_file(f);
		if (rc == 0)
			return true;
		f->faults++;
		log_error("observation: %s: %s: %s; the file is left out",
			  f->capture.name, shown(f->path[f->at]),
			  strerror(-rc));
		close_file(f);
	}
	f->ended = true;
	return false;
}

/* The rest of this file can't be read. */
static void
fault(struct capture_file *f, const char *what)
{
	f->faults++;
	log_error("observation: %s: %s: %s at octet %llu; the rest of the file "
		  "is left out",
		  f->capture.name, shown(f->path[f->at]), what,
		  (unsigned long long)source_file_offset(f->source));
}

static void
take_frame(struct capture_file *f, const struct frame *frame)
{
	struct capture *c = &f->capture;

	c->packets++;
	c->octets += frame->wire_length;
	if (capture_block_over(c, frame->time_ns))
		capture_flush(c);
	if (c->expression && !capture_takes(c, frame)) {
		c->filtered++;
		observer_filtered(c->observer, 1);
		return;
	}
	if (c->frame_count == 0)
		c->block_ns = frame->time_ns;
	c->frame[c->frame_count++] = *frame;
}

/* A run of plain records goes straight into the block. */
static bool
take_run(struct capture_file *f, const uint8_t *p, size_t length, size_t *used)
{
	struct capture *c = &f->capture;
	uint32_t n;

	if (c->expression || !f->reader.plain)
		return false;
	capture_flush(c);
	n = pcap_reader_run(&f->reader, p, length, used, c->frame, BATCH_MAX,
			    (uint64_t)OBSERVER_BLOCK_MS * 1000000);
	for (uint32_t i = 0; i < n; i++)
		c->octets += c->frame[i].wire_length;
	c->packets += n;
	c->frame_count = n;
	capture_flush(c);
	return n > 0;
}

static void
note_link(struct capture_file *f, uint32_t link)
{
	for (unsigned i = 0; i < f->link_count; i++)
		if (f->link[i] == link)
			return;
	if (f->link_count < LINKS_SHOWN)
		f->link[f->link_count++] = link;
}

/* What a filter can't be made for it can't take either. */
static void
add_link(struct capture_file *f)
{
	struct capture *c = &f->capture;
	char *error = NULL;
	int rc = capture_add_filter(c, f->reader.link, &error);
	uint32_t held;

	note_link(f, f->reader.link);
	if (rc < 0 && log_limit_pass(&f->limit, clock_mono_ms(), &held))
		log_error("observation: %s: %s: %s; packets of link type %u "
			  "are left out; %u more like it were not told",
			  c->name, shown(f->path[f->at]),
			  error ? error : strerror(-rc), f->reader.link, held);
	free(error);
}

/* 1: go on; 0: the file has ended; -EAGAIN: nothing now. */
static int
fill(struct capture_file *f)
{
	size_t left;
	int rc;

	capture_flush(&f->capture); /* the frames point to the buffer */
	rc = source_file_fill(f->source, f->reader.need);
	if (rc == 1 || rc == -EAGAIN)
		return rc;
	source_file_at(f->source, &left);
	if (rc < 0)
		fault(f, source_file_reason(rc));
	else if (left)
		fault(f, "it is cut off");
	return 0;
}

/* What the reader came to beside frames; the same results. */
static int
take_other(struct capture_file *f, enum pcap_result result)
{
	switch (result) {
	case PCAP_LINK:
		add_link(f);
		return 1;
	case PCAP_DROPS:
		f->kernel_drops += f->reader.dropped_kernel;
		f->interface_drops += f->reader.dropped_interface;
		observer_lost(f->capture.observer, f->reader.dropped_kernel,
			      f->reader.dropped_interface);
		return 1;
	case PCAP_MORE:
		return fill(f);
	case PCAP_FAULT:
		fault(f, f->reader.fault);
		return 0;
	case PCAP_FRAME:
	case PCAP_NOTHING:
		break;
	}
	return 1;
}

/* About a block of packets, or something else; the same results. */
static int
step(struct capture_file *f)
{
	struct frame frame;
	size_t length, used = 0;
	const uint8_t *p = source_file_at(f->source, &length);
	enum pcap_result result = PCAP_FRAME;

	if (take_run(f, p, length, &used)) {
		source_file_skip(f->source, used);
		return 1;
	}
	for (unsigned n = 0; n < BATCH_MAX && result == PCAP_FRAME; n++) {
		p = source_file_at(f->source, &length);
		result = pcap_reader_next(&f->reader, p, length, &used, &frame);
		if (result == PCAP_FRAME)
			take_frame(f, &frame);
		source_file_skip(f->source, used);
	}
	return take_other(f, result);
}

/*
 * Reads for some milliseconds. False: no more now, or at all; it has been seen
 * to that it goes on.
 */
static bool
read_turn(struct capture_file *f)
{
	uint64_t until = clock_mono_ms() + TURN_MS;
	int rc;

	for (unsigned n = 1;; n++) {
		if (stage_congested(f->capture.observer)) {
			again(f, CONGESTED_MS);
			return false;
		}
		rc = step(f);
		if (rc == -EAGAIN) {
			event_add(f->readable, NULL);
			return false;
		}
		if (rc == 0) {
			capture_flush(&f->capture);
			if (!next_file(f))
				return false;
		}
		if (n % TURN_BLOCKS == 0 && clock_mono_ms() >= until)
			return true;
	}
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct capture_file *f = arg;
	bool more = read_turn(f);

	if (f->ended) {
		f->capture.finished(f->capture.arg);
		return;
	}
	/*
	 * Others first, then on. Activated here the event would come next, and
	 * the loop would look at nothing else until the end of the file.
	 */
	if (more)
		again(f, 0);
}

/* ---- opening -------------------------------------------------------------- */

static void
file_stop(struct capture *capture)
{
	struct capture_file *f = (struct capture_file *)capture;

	if (f->turn)
		event_del(f->turn);
	if (f->readable)
		event_del(f->readable);
}

static void
file_free(struct capture *capture)
{
	struct capture_file *f = (struct capture_file *)capture;

	close_file(f);
	if (f->turn)
		event_free(f->turn);
	for (unsigned i = 0; i < f->path_count; i++)
		free(f->path[i]);
	free(f->path);
}

static void
file_progress(const struct capture *capture, uint64_t *done, uint64_t *total)
{
	const struct capture_file *f = (const struct capture_file *)capture;

	*done = f->done + (f->source ? source_file_done(f->source) : 0);
	*total = f->total;
}

/* By their names, or numbers. */
static void
report_links(const struct capture_file *f, struct report *report)
{
	struct text text = {0};

	for (unsigned i = 0; i < f->link_count; i++) {
		const char *name = capture_link_name(f->link[i]);

		if (i > 0)
			text_add_char(&text, ' ');
		if (name)
			text_add(&text, name);
		else
			text_add_uint(&text, f->link[i]);
	}
	report_text(report, "linkTypes", text.data ? text.data : "");
	text_fini(&text);
}

static void
file_report(struct capture *capture, struct report *report)
{
	struct capture_file *f = (struct capture_file *)capture;
	uint64_t done, total;

	file_progress(capture, &done, &total);
	report_text(report, "file",
		    f->at < f->path_count ? shown(f->path[f->at]) : "");
	report_bool(report, "ended", f->ended);
	report_links(f, report);
	report_uint(report, "files", f->files);
	report_uint(report, "fileFaults", f->faults);
	report_uint(report, "octetsRead", done);
	report_uint(report, "octetsTotal", total);
	report_uint(report, "kernelDrops", f->kernel_drops);
	report_uint(report, "interfaceDrops", f->interface_drops);
}

static const struct capture_ops file_ops = {
	.stop = file_stop,
	.free = file_free,
	.report = file_report,
	.progress = file_progress,
};

static void
sum_sizes(struct capture_file *f)
{
	struct stat st;

	for (unsigned i = 0; i < f->path_count; i++) {
		if (stat(f->path[i], &st) < 0 || !S_ISREG(st.st_mode)) {
			f->total = 0;
			return;
		}
		f->total += (uint64_t)st.st_size;
	}
}

size_t
capture_file_size(void)
{
	return sizeof(struct capture_file);
}

int
capture_file_open(const struct capture_conf *conf, struct capture *capture,
		  char **error)
{
	struct capture_file *f = (struct capture_file *)capture;
	int rc;

	capture->ops = &file_ops;
	f->turn = evtimer_new(capture->base, on_turn, f);
	f->path = calloc(conf->file_count, sizeof(*f->path));
	if (!f->turn || !f->path)
		return -ENOMEM;
	for (; f->path_count < conf->file_count; f->path_count++) {
		f->path[f->path_count] = strdup(conf->files[f->path_count]);
		if (!f->path[f->path_count])
			return -ENOMEM;
	}
	sum_sizes(f);
	/* The first must be there; an expression must be right for Ethernet. */
	if (conf->filter) {
		rc = capture_filter_check(conf->filter, error);
		if (rc < 0)
			return rc;
	}
	rc = open_file(f);
	if (rc < 0)
		return text_error(error, rc, "%s: %s", shown(f->path[0]),
				  strerror(-rc));
	event_active(f->turn, EV_TIMEOUT, 0);
	return 0;
}
