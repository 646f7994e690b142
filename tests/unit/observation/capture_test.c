/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Captures of files in an event loop: files one after the other, packed, from
 * pipes, cut off, with filters, held up by congestion. The observer is a double
 * that looks at the octets of each frame: packet n of a file has its number in
 * front and that octet over and over behind it.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "conflux/observation.h"
#include "nomem.h"
#include "unit.h"

enum { LINK_ETHERNET = 1, LINK_RAW = 101, LINK_USER0 = 147, PACKET = 96 };

/* ---- the observer ------------------------------------------------------------ */

struct double_observer {
	struct stage stage;
	uint64_t frames, blocks, wrong, kernel, interface, filtered;
	unsigned largest;    /* block */
	unsigned next;       /* number that is expected */
	bool ordered;        /* packets have numbers */
	unsigned congested;  /* so often it says so, once after_frames came */
	uint64_t after_frames;
	unsigned asked;      /* while congested */
	uint64_t last_ns;
	unsigned nap_us; /* for each block */
	uint64_t at_timer; /* frames when on_timer came, 0: not yet */
	struct event_base *base;
	unsigned finished;
};

void
observer_frames(struct stage *stage, const struct frame *frames, uint32_t count)
{
	struct double_observer *o = (struct double_observer *)stage;

	CU_ASSERT(count >= 1 && count <= BATCH_MAX);
	o->blocks++;
	if (o->nap_us)
		usleep(o->nap_us);
	if (count > o->largest)
		o->largest = count;
	for (uint32_t i = 0; i < count; i++) {
		const struct frame *f = &frames[i];
		uint32_t number;

		o->frames++;
		o->last_ns = f->time_ns;
		if (!o->ordered)
			continue;
		memcpy(&number, f->data, 4);
		o->wrong += number != o->next++;
		for (uint32_t k = 4; k < f->length; k++)
			o->wrong += f->data[k] != (uint8_t)number;
		o->wrong += frames[i].time_ns - frames[0].time_ns >
			    (uint64_t)OBSERVER_BLOCK_MS * 1000000;
	}
}

void
observer_lost(struct stage *stage, uint64_t kernel, uint64_t interface)
{
	struct double_observer *o = (struct double_observer *)stage;

	o->kernel += kernel;
	o->interface += interface;
}

void
observer_filtered(struct stage *stage, uint64_t packets)
{
	((struct double_observer *)stage)->filtered += packets;
}

static bool
is_congested(const struct stage *stage)
{
	struct double_observer *o = (struct double_observer *)stage;

	if (!o->congested || o->frames < o->after_frames)
		return false;
	o->congested--;
	o->asked++;
	return true;
}

static const struct stage_ops double_ops = {.congested = is_congested};

static void
on_finished(void *arg)
{
	struct double_observer *o = arg;

	o->finished++;
	event_base_loopbreak(o->base);
}

/* ---- files ------------------------------------------------------------------- */

struct octets {
	uint8_t *data;
	size_t length, size;
};

static void
add(struct octets *o, const void *data, size_t length)
{
	if (o->length + length > o->size) {
		o->size = 2 * (o->length + length);
		o->data = __real_realloc(o->data, o->size);
	}
	memcpy(o->data + o->length, data, length);
	o->length += length;
}

static void
add32(struct octets *o, uint32_t v)
{
	add(o, &v, 4);
}

static void
add_header(struct octets *o, uint32_t link)
{
	const uint32_t words[] = {0xa1b2c3d4, 4 << 16 | 2, 0, 0, 65535, link};

	add(o, words, sizeof(words));
}

static void
add_payload(struct octets *o, uint32_t number, uint32_t length)
{
	uint8_t *p = __real_malloc(length);

	memset(p, (uint8_t)number, length);
	memcpy(p, &number, 4);
	add(o, p, length);
	free(p);
}

/* count packets, the first with this number, a millisecond between them. */
static void
add_packets(struct octets *o, uint32_t first, uint32_t count, uint32_t length)
{
	for (uint32_t n = first; n < first + count; n++) {
		add32(o, 1000 + n / 1000);
		add32(o, n % 1000 * 1000);
		add32(o, length);
		add32(o, length + 4);
		add_payload(o, n, length);
	}
}

static void
add_section(struct octets *o, uint32_t link)
{
	const uint32_t words[] = {
		0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff, 28,
		1, 20, link, 0, 20,
	};

	add(o, words, sizeof(words));
}

static void
add_ng_packets(struct octets *o, uint32_t first, uint32_t count)
{
	for (uint32_t n = first; n < first + count; n++) {
		const uint32_t words[] = {6, 32 + PACKET, 0, 0, n, PACKET,
					  PACKET};

		add(o, words, sizeof(words));
		add_payload(o, n, PACKET);
		add32(o, 32 + PACKET);
	}
}

static void
add_ng_drops(struct octets *o)
{
	const uint32_t words[] = {5, 52, 0, 0, 0, 8 << 16 | 5, 3, 0,
				  8 << 16 | 7, 4, 0, 0, 52};

	add(o, words, sizeof(words));
}

/* An IPv4 packet: with these octets alone a filter can tell it. */
static void
add_ip(struct octets *o, uint8_t protocol)
{
	const uint8_t ip[28] = {[0] = 0x45, [3] = 28, [9] = protocol};

	add32(o, 1);
	add32(o, 1);
	add32(o, sizeof(ip));
	add32(o, sizeof(ip));
	add(o, ip, sizeof(ip));
}

/* A member of gzip. */
static void
add_gzip(struct octets *o, const struct octets *plain)
{
	uLong size = compressBound(plain->length) + 100;
	uint8_t *packed = __real_malloc(size);
	z_stream z = {.next_in = plain->data,
		      .avail_in = (uInt)plain->length,
		      .next_out = packed,
		      .avail_out = (uInt)size};

	deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
	CU_ASSERT_EQUAL(deflate(&z, Z_FINISH), Z_STREAM_END);
	add(o, packed, z.total_out);
	deflateEnd(&z);
	free(packed);
}

static char folder[] = "/tmp/capture_test_XXXXXX";

static const char *
path(char *text, size_t size, const char *name)
{
	snprintf(text, size, "%s/%s", folder, name);
	return text;
}

static void
write_file(const char *name, struct octets *o)
{
	char text[64];
	FILE *f = fopen(path(text, sizeof(text), name), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(o->data, 1, o->length, f), o->length);
	fclose(f);
	free(o->data);
	*o = (struct octets){0};
}

/* ---- running one ------------------------------------------------------------- */

struct run {
	struct double_observer o;
	struct capture *capture;
	char *error;
	int rc;
	struct text report;
	uint64_t done, total;
	char path[4][64];
	const char *files[4];
};

static void
run_open(struct run *r, const char *filter, const char *const *names)
{
	struct capture_conf conf = {
		.name = "point",
		.observer = &r->o.stage,
		.filter = filter,
		.files = r->files,
		.finished = on_finished,
		.arg = &r->o,
	};

	for (; conf.file_count < 4 && names[conf.file_count];
	     conf.file_count++) {
		unsigned n = conf.file_count;

		r->files[n] = strcmp(names[n], "-") == 0
				      ? "-"
				      : path(r->path[n], sizeof(r->path[n]),
					     names[n]);
	}
	r->o.stage.ops = &double_ops;
	if (!r->o.base)
		r->o.base = event_base_new();
	r->rc = capture_open(r->o.base, &conf, &r->capture, &r->error);
}

/* Runs until it has finished, and looks at what it reports. */
static void
run_on(struct run *r)
{
	struct report report;

	if (r->rc < 0)
		return;
	if (!r->o.finished)
		event_base_dispatch(r->o.base);
	capture_progress(r->capture, &r->done, &r->total);
	report_begin(&report, &r->report, true);
	capture_report(r->capture, &report);
	report_end(&report);
}

static void
run_close(struct run *r)
{
	if (r->rc == 0)
		capture_close(r->capture);
	event_base_free(r->o.base);
	free(r->error);
	text_fini(&r->report);
}

static bool
reports(const struct run *r, const char *text)
{
	bool has = strstr(r->report.data, text) != NULL;

	if (!has)
		fprintf(stderr, "no %s in %s\n", text, r->report.data);
	return has;
}

/* One file, with packets in order; the caller closes it. */
static void
run_file(struct run *r, const char *name)
{
	r->o.ordered = true;
	run_open(r, NULL, (const char *const[]){name, NULL});
	CU_ASSERT_EQUAL_FATAL(r->rc, 0);
	run_on(r);
	CU_ASSERT_EQUAL(r->o.wrong, 0);
	CU_ASSERT_EQUAL(r->o.finished, 1);
}

/* ---- tests ------------------------------------------------------------------- */

static void
test_plain(void)
{
	struct octets o = {0};
	struct run r = {0};

	add_header(&o, LINK_ETHERNET);
	add_packets(&o, 0, 5000, PACKET);
	write_file("plain", &o);
	run_file(&r, "plain");
	CU_ASSERT_EQUAL(r.o.frames, 5000);
	/* 101 packets are not more than 100 ms. */
	CU_ASSERT_EQUAL(r.o.largest, 101);
	CU_ASSERT(r.o.blocks < 60);
	CU_ASSERT_EQUAL(r.done, 24 + 5000 * (16 + PACKET));
	CU_ASSERT_EQUAL(r.total, r.done);
	CU_ASSERT(reports(&r, "\"packets\":5000,\"octets\":500000"));
	CU_ASSERT(reports(&r, "\"ended\":true,\"linkTypes\":\"EN10MB\""));
	CU_ASSERT(reports(&r, "\"fileFaults\":0"));
	run_close(&r);
}

/* As long as they can be, across the ends of what is read at a time. */
static void
test_long_packets(void)
{
	struct octets o = {0};
	struct run r = {0};

	add_header(&o, LINK_ETHERNET);
	for (uint32_t n = 0; n < 20; n++)
		add_packets(&o, n, 1, n % 2 ? 262144 - n : 100000);
	write_file("long", &o);
	run_file(&r, "long");
	CU_ASSERT_EQUAL(r.o.frames, 20);
	CU_ASSERT(reports(&r, "\"fileFaults\":0"));
	run_close(&r);
}

static void
test_ng(void)
{
	struct octets o = {0};
	struct run r = {0};

	add_section(&o, LINK_ETHERNET);
	add_ng_packets(&o, 0, 1000);
	add_ng_drops(&o);
	add_section(&o, LINK_RAW);
	add_ng_packets(&o, 1000, 280);
	write_file("ng", &o);
	run_file(&r, "ng");
	CU_ASSERT_EQUAL(r.o.frames, 1280);
	CU_ASSERT_EQUAL(r.o.largest, BATCH_MAX);
	CU_ASSERT(r.o.blocks < 16);
	CU_ASSERT_EQUAL(r.o.interface, 3);
	CU_ASSERT_EQUAL(r.o.kernel, 4);
	CU_ASSERT(reports(&r, "\"linkTypes\":\"EN10MB RAW\""));
	CU_ASSERT(reports(&r, "\"kernelDrops\":4,\"interfaceDrops\":3"));
	run_close(&r);
}

static void
test_files_one_after_the_other(void)
{
	struct octets o = {0};
	struct run r = {.o.ordered = true};

	add_header(&o, LINK_ETHERNET);
	add_packets(&o, 0, 10, PACKET);
	write_file("one", &o);
	add_section(&o, LINK_ETHERNET);
	add_ng_packets(&o, 10, 10);
	add(&o, "cut off", 7);
	write_file("two", &o);
	add_header(&o, LINK_ETHERNET);
	add_packets(&o, 20, 10, PACKET);
	write_file("three", &o);
	run_open(&r, NULL,
		 (const char *const[]){"one", "absent", "two", "three", NULL});
	CU_ASSERT_EQUAL_FATAL(r.rc, 0);
	run_on(&r);
	CU_ASSERT_EQUAL(r.o.frames, 30);
	CU_ASSERT_EQUAL(r.o.wrong, 0);
	CU_ASSERT(reports(&r, "\"files\":3,\"fileFaults\":2"));
	run_close(&r);
}

static void
test_first_is_absent(void)
{
	struct run r = {0};

	run_open(&r, NULL, (const char *const[]){"absent", NULL});
	CU_ASSERT_EQUAL(r.rc, -ENOENT);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r.error);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.error, "/absent: No such file"));
	run_close(&r);
	r = (struct run){0};
	run_open(&r, NULL, (const char *const[]){".", NULL});
	CU_ASSERT_EQUAL(r.rc, -EISDIR);
	run_close(&r);
}

static void
test_no_capture(void)
{
	struct octets o = {0};
	struct run r = {0};

	add(&o, "no capture file at all", 22);
	write_file("text", &o);
	run_file(&r, "text");
	CU_ASSERT_EQUAL(r.o.frames, 0);
	CU_ASSERT(reports(&r, "\"fileFaults\":1"));
	run_close(&r);
	r = (struct run){0};
	write_file("empty", &o);
	run_file(&r, "empty");
	CU_ASSERT_EQUAL(r.o.frames, 0);
	run_close(&r);
}

/* ---- packed ------------------------------------------------------------------ */

static void
add_packed_packets(struct octets *o, uint32_t first, uint32_t count)
{
	struct octets plain = {0};

	if (first == 0)
		add_header(&plain, LINK_ETHERNET);
	add_packets(&plain, first, count, PACKET);
	add_gzip(o, &plain);
	free(plain.data);
}

static void
test_gzip(void)
{
	const uint8_t zeros[300] = {0};
	struct octets o = {0};
	struct run r = {0};
	size_t length;

	/* Several members, and padding. */
	add_packed_packets(&o, 0, 3000);
	add_packed_packets(&o, 3000, 3000);
	add(&o, zeros, sizeof(zeros));
	length = o.length;
	write_file("packed", &o);
	run_file(&r, "packed");
	CU_ASSERT_EQUAL(r.o.frames, 6000);
	CU_ASSERT(reports(&r, "\"fileFaults\":0"));
	/* Progress is that of the file. */
	CU_ASSERT_EQUAL(r.total, length);
	CU_ASSERT_EQUAL(r.done, length);
	run_close(&r);
}

static void
test_gzip_is_wrong(void)
{
	struct octets o = {0};
	struct run r = {0};

	/* Cut off, though all packets are there: its check is not. */
	add_packed_packets(&o, 0, 1000);
	o.length -= 4;
	write_file("packed", &o);
	run_file(&r, "packed");
	CU_ASSERT_EQUAL(r.o.frames, 1000);
	CU_ASSERT(reports(&r, "\"fileFaults\":1"));
	run_close(&r);
	/* Something else behind it. */
	r = (struct run){0};
	add_packed_packets(&o, 0, 1000);
	add(&o, "else", 4);
	write_file("packed", &o);
	run_file(&r, "packed");
	CU_ASSERT_EQUAL(r.o.frames, 1000);
	CU_ASSERT(reports(&r, "\"fileFaults\":1"));
	run_close(&r);
	/* Not all that it should be. */
	r = (struct run){0};
	add_packed_packets(&o, 0, 1000);
	memset(o.data + o.length / 2, 0xff, 20);
	write_file("packed", &o);
	run_open(&r, NULL, (const char *const[]){"packed", NULL});
	run_on(&r);
	CU_ASSERT(r.o.frames < 1000);
	CU_ASSERT(reports(&r, "\"fileFaults\":1"));
	run_close(&r);
}

/* ---- pipes ------------------------------------------------------------------- */

/* A process that writes it so many octets at a time. */
static pid_t
write_slowly(const char *name, int fd, const struct octets *o, size_t piece)
{
	char text[64];
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	usleep(50000);
	if (name)
		fd = open(path(text, sizeof(text), name), O_WRONLY);
	for (size_t at = 0; at < o->length; at += piece) {
		size_t n = o->length - at < piece ? o->length - at : piece;

		if (write(fd, o->data + at, n) != (ssize_t)n)
			_exit(1);
		if (at < 3 * piece || n == piece / 2)
			usleep(5000);
	}
	_exit(0);
}

static void
check_pipe(struct octets *o, size_t piece, uint64_t packets)
{
	struct run r = {0};
	char text[64];
	pid_t writer;

	mkfifo(path(text, sizeof(text), "pipe"), 0600);
	writer = write_slowly("pipe", -1, o, piece);
	run_file(&r, "pipe");
	CU_ASSERT_EQUAL(r.o.frames, packets);
	CU_ASSERT(reports(&r, "\"fileFaults\":0"));
	CU_ASSERT_EQUAL(r.total, 0);
	CU_ASSERT_EQUAL(r.done, o->length);
	run_close(&r);
	CU_ASSERT_EQUAL(waitpid(writer, NULL, 0), writer);
	unlink(text);
}

/* A named pipe is waited for, though nobody has opened it yet. */
static void
test_pipes(void)
{
	struct octets o = {0};

	add_header(&o, LINK_ETHERNET);
	add_packets(&o, 0, 5000, PACKET);
	check_pipe(&o, 1, 5000);
	check_pipe(&o, 1000, 5000);
	free(o.data);
	o = (struct octets){0};
	add_packed_packets(&o, 0, 5000);
	check_pipe(&o, 1, 5000);
	check_pipe(&o, 4096, 5000);
	free(o.data);
}

/* Of which nobody has ever written anything. */
static void
test_pipe_of_nobody(void)
{
	struct octets o = {0};

	check_pipe(&o, 1, 0);
}

static void
test_standard_input(void)
{
	struct octets o = {0};
	struct run r = {0};
	int ends[2], before = dup(STDIN_FILENO);
	pid_t writer;

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	dup2(ends[0], STDIN_FILENO);
	add_header(&o, LINK_ETHERNET);
	add_packets(&o, 0, 3000, PACKET);
	writer = write_slowly(NULL, ends[1], &o, 50000);
	close(ends[1]);
	run_file(&r, "-");
	CU_ASSERT_EQUAL(r.o.frames, 3000);
	run_close(&r);
	CU_ASSERT_EQUAL(waitpid(writer, NULL, 0), writer);
	/* It is as others have left it. */
	CU_ASSERT_EQUAL(fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK, 0);
	dup2(before, STDIN_FILENO);
	close(before);
	close(ends[0]);
	free(o.data);
}

/* ---- congestion, and what happens meanwhile ---------------------------------- */

static void
test_congestion(void)
{
	struct octets o = {0};
	struct run r = {.o = {.congested = 5, .after_frames = 500}};

	add_header(&o, LINK_ETHERNET);
	add_packets(&o, 0, 5000, PACKET);
	write_file("plain", &o);
	run_file(&r, "plain");
	CU_ASSERT_EQUAL(r.o.frames, 5000);
	CU_ASSERT_EQUAL(r.o.asked, 5);
	run_close(&r);
}

/* A file that somebody cuts off while it is read costs only what is missing. */
static void
test_shrinking(void)
{
	struct octets o = {0};
	struct run r = {.o = {.congested = 20, .after_frames = 500,
			      .ordered = true}};

	add_header(&o, LINK_ETHERNET);
	add_packets(&o, 0, 50000, PACKET);
	write_file("plain", &o);
	run_open(&r, NULL, (const char *const[]){"plain", NULL});
	while (r.o.asked == 0)
		event_base_loop(r.o.base, EVLOOP_ONCE);
	CU_ASSERT_EQUAL(truncate(r.files[0], 1000), 0);
	run_on(&r);
	CU_ASSERT(r.o.frames >= 500 && r.o.frames < 50000);
	CU_ASSERT_EQUAL(r.o.wrong, 0);
	CU_ASSERT_EQUAL(r.o.finished, 1);
	run_close(&r);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct double_observer *o = arg;

	o->at_timer = o->frames;
}

/* Timers, and all else in the loop, have their turns within a file. */
static void
test_others(void)
{
	static const struct timeval soon = {.tv_usec = 1000};
	struct octets o = {0};
	struct run r = {.o = {.nap_us = 100}};
	struct event *timer;

	add_header(&o, LINK_ETHERNET);
	add_packets(&o, 0, 50000, PACKET);
	write_file("plain", &o);
	r.o.base = event_base_new();
	timer = evtimer_new(r.o.base, on_timer, &r.o);
	event_add(timer, &soon);
	run_file(&r, "plain");
	CU_ASSERT_EQUAL(r.o.frames, 50000);
	CU_ASSERT(r.o.at_timer > 0 && r.o.at_timer < 50000);
	event_free(timer);
	run_close(&r);
}

static void
test_stopped(void)
{
	struct octets o = {0};
	struct run r = {.o = {.congested = 5, .after_frames = 500}};
	uint64_t before;

	add_header(&o, LINK_ETHERNET);
	add_packets(&o, 0, 5000, PACKET);
	write_file("plain", &o);
	run_open(&r, NULL, (const char *const[]){"plain", NULL});
	while (r.o.asked == 0)
		event_base_loop(r.o.base, EVLOOP_ONCE);
	before = r.o.frames;
	capture_stop(r.capture);
	event_base_dispatch(r.o.base);
	CU_ASSERT_EQUAL(r.o.frames, before);
	CU_ASSERT_EQUAL(r.o.finished, 0);
	r.o.finished = 1;
	run_on(&r);
	CU_ASSERT(reports(&r, "\"ended\":false"));
	run_close(&r);
}

/* ---- filters ------------------------------------------------------------------ */

static void
check_filter(uint32_t link, const char *filter, uint64_t taken)
{
	struct octets o = {0};
	struct run r = {0};

	add_header(&o, link);
	for (uint8_t protocol = 0; protocol < 20; protocol++)
		add_ip(&o, protocol);
	write_file("ip", &o);
	run_open(&r, filter, (const char *const[]){"ip", NULL});
	CU_ASSERT_EQUAL_FATAL(r.rc, 0);
	run_on(&r);
	CU_ASSERT_EQUAL(r.o.frames, taken);
	CU_ASSERT_EQUAL(r.o.filtered, 20 - taken);
	CU_ASSERT(reports(&r, "\"packets\":20"));
	CU_ASSERT(reports(&r, "\"fileFaults\":0"));
	run_close(&r);
}

static void
test_filters(void)
{
	struct run r = {0};
	char *error = NULL;

	/* Numbers of link types in files are not those of libpcap. */
	check_filter(LINK_RAW, "ip proto 17 or ip proto 6", 2);
	check_filter(LINK_RAW, "ip", 20);
	check_filter(LINK_ETHERNET, "ip", 0);
	/* No filter can be made for it: it takes nothing. */
	check_filter(LINK_USER0, "ip host 10.0.0.1", 0);
	run_open(&r, "udp prot 1", (const char *const[]){"ip", NULL});
	CU_ASSERT_EQUAL(r.rc, -EINVAL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r.error);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.error, "filter \"udp prot 1\": "));
	run_close(&r);
	CU_ASSERT_EQUAL(capture_filter_check("tcp port 80", &error), 0);
	CU_ASSERT_PTR_NULL(error);
	CU_ASSERT_EQUAL(capture_filter_check("tcp prt 80", &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(error);
	free(error);
}

/* A filter of more link types than there can be leaves the others out. */
static void
test_many_links(void)
{
	struct octets o = {0};
	struct run r = {0};

	for (uint32_t n = 0; n < 30; n++) {
		add_section(&o, 147 + n % 15 + (n >= 15 ? 30 : 0));
		add_ng_packets(&o, 0, 1);
	}
	write_file("links", &o);
	run_open(&r, "len > 10", (const char *const[]){"links", NULL});
	run_on(&r);
	CU_ASSERT_EQUAL(r.o.frames + r.o.filtered, 30);
	CU_ASSERT(r.o.frames >= 15);
	run_close(&r);
}

/* ---- an interface, no memory --------------------------------------------------- */

static void
test_no_interface(void)
{
	struct capture_conf conf = {.name = "point", .interface = "loo"};
	struct event_base *base = event_base_new();
	struct capture *capture;
	char *error = NULL;
	int rc = capture_open(base, &conf, &capture, &error);

	CU_ASSERT(rc == -ENODEV || rc == -EPERM);
	CU_ASSERT_PTR_NOT_NULL_FATAL(error);
	if (rc == -ENODEV)
		CU_ASSERT_STRING_EQUAL(error,
				       "there is no interface loo, nearest is "
				       "lo");
	if (rc == -EPERM)
		CU_ASSERT_STRING_EQUAL(error,
				       "interface loo: no right to capture, "
				       "expected root or CAP_NET_RAW");
	free(error);
	event_base_free(base);
}

static void
test_no_memory(void)
{
	struct octets o = {0};
	unsigned failed = 0, n = 1;
	bool once_more;

	add_packed_packets(&o, 0, 100);
	write_file("packed", &o);
	add_section(&o, LINK_ETHERNET);
	add_ng_packets(&o, 100, 100);
	write_file("ng", &o);
	do {
		struct run r = {.o.base = event_base_new()};

		nomem_begin(n++);
		run_open(&r, "len > 1",
			 (const char *const[]){"packed", "ng", NULL});
		if (r.rc == 0)
			event_base_dispatch(r.o.base);
		once_more = nomem_end();
		failed += r.rc == -ENOMEM;
		CU_ASSERT(r.rc == 0 || r.rc == -ENOMEM);
		CU_ASSERT_EQUAL(r.o.finished, r.rc == 0);
		if (!once_more)
			CU_ASSERT_EQUAL(r.o.frames, 200);
		run_close(&r);
	} while (once_more);
	CU_ASSERT(failed >= 3);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"pcap", test_plain},
		{"long packets", test_long_packets},
		{"pcapng comes in blocks", test_ng},
		{"one after the other", test_files_one_after_the_other},
		{"the first is absent", test_first_is_absent},
		{"no capture", test_no_capture},
		{"gzip", test_gzip},
		{"gzip is wrong", test_gzip_is_wrong},
		{"pipes", test_pipes},
		{"a pipe of nobody", test_pipe_of_nobody},
		{"standard input", test_standard_input},
		{"congestion", test_congestion},
		{"a file that shrinks", test_shrinking},
		{"others have their turns", test_others},
		{"stopped", test_stopped},
		{"filters", test_filters},
		{"many link types", test_many_links},
		{"no such interface", test_no_interface},
		{"no memory", test_no_memory},
	};
	static const char *const names[] = {"plain", "long", "ng", "one", "two",
					    "three", "text", "empty", "packed",
					    "ip", "links"};
	char text[64];
	int rc;

	if (!mkdtemp(folder))
		return 1;
	rc = unit_run("capture", tests, UNIT_COUNT(tests));
	for (size_t i = 0; i < UNIT_COUNT(names); i++)
		unlink(path(text, sizeof(text), names[i]));
	rmdir(folder);
	return rc;
}
