/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Capture files octet by octet: what the forms of pcap and pcapng say, lengths
 * that lie, and files that come in pieces of every size.
 */
#include <stdlib.h>
#include <string.h>

#include "pcap.h"
#include "unit.h"

struct file {
	uint8_t data[4096];
	size_t length;
	bool big;
};

static void
u32(struct file *f, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		f->data[f->length++] =
			(uint8_t)(v >> 8 * (f->big ? 3 - i : i));
}

static void
u16(struct file *f, uint16_t v)
{
	f->data[f->length++] = (uint8_t)(f->big ? v >> 8 : v);
	f->data[f->length++] = (uint8_t)(f->big ? v : v >> 8);
}

static void
octets(struct file *f, size_t count)
{
	for (size_t i = 0; i < count; i++)
		f->data[f->length++] = (uint8_t)i;
}

static void
header(struct file *f, uint32_t magic, uint32_t link)
{
	u32(f, magic);
	u16(f, 2);
	u16(f, 4);
	u32(f, 0);
	u32(f, 0);
	u32(f, 65535);
	u32(f, link);
}

static void
record(struct file *f, uint32_t seconds, uint32_t fraction, uint32_t length,
       uint32_t wire)
{
	u32(f, seconds);
	u32(f, fraction);
	u32(f, length);
	u32(f, wire);
}

/* What a file came to. */
struct result {
	unsigned frames, links, drops;
	uint64_t kernel, interface;
	struct frame last;
	const char *fault;
	bool cut; /* it ends within something */
};

/* step: octets that come at a time, 0: all. */
static struct result
read_file(const struct file *f, size_t step)
{
	struct pcap_reader reader = {0};
	struct result r = {0};
	size_t at = 0, have = step ? 0 : f->length, used;

	for (;;) {
		/* Exactly what is there, so that more is seen to be read. */
		uint8_t *copy = malloc(have - at + 1);
		struct frame frame;
		enum pcap_result result;

		memcpy(copy, f->data + at, have - at);
		result = pcap_reader_next(&reader, copy, have - at, &used,
					  &frame);
		CU_ASSERT_FATAL(used <= have - at);
		if (result == PCAP_FRAME) {
			r.frames++;
			r.last = frame;
			CU_ASSERT(frame.data >= copy &&
				  frame.data + frame.length <=
					  copy + (have - at));
		}
		free(copy);
		at += used;
		r.links += result == PCAP_LINK;
		if (result == PCAP_DROPS) {
			r.drops++;
			r.kernel += reader.dropped_kernel;
			r.interface += reader.dropped_interface;
		}
		if (result == PCAP_FAULT)
			r.fault = reader.fault;
		if (result == PCAP_FAULT ||
		    (result == PCAP_MORE && have == f->length))
			break;
		if (result == PCAP_MORE)
			have = have + step < f->length ? have + step
						       : f->length;
	}
	r.cut = !r.fault && at < f->length;
	pcap_reader_fini(&reader);
	return r;
}

/* The same, whatever pieces it comes in. */
static struct result
read_all(const struct file *f)
{
	struct result whole = read_file(f, 0);

	for (size_t step = 1; step < 40; step++) {
		struct result r = read_file(f, step);

		CU_ASSERT_EQUAL(r.frames, whole.frames);
		CU_ASSERT_EQUAL(r.last.time_ns, whole.last.time_ns);
		CU_ASSERT_EQUAL(r.kernel, whole.kernel);
		CU_ASSERT_PTR_EQUAL(r.fault, whole.fault);
	}
	return whole;
}

/* ---- pcap --------------------------------------------------------------------- */

static void
check_pcap(uint32_t magic, bool big, unsigned more, uint64_t wanted_ns)
{
	struct file f = {.big = big};
	struct result r;

	header(&f, magic, 1);
	CU_ASSERT(capture_is_file(f.data, f.length));
	CU_ASSERT_FALSE(capture_is_file(f.data, 3));
	record(&f, 1000, 5, 0, 0);
	octets(&f, more);
	record(&f, 1000, 123456, 20, 1500);
	octets(&f, more + 20);
	r = read_all(&f);
	CU_ASSERT_EQUAL(r.frames, 2);
	CU_ASSERT_EQUAL(r.links, 1);
	CU_ASSERT_EQUAL(r.last.length, 20);
	CU_ASSERT_EQUAL(r.last.wire_length, 1500);
	CU_ASSERT_EQUAL(r.last.link, 1);
	CU_ASSERT_EQUAL(r.last.time_ns, wanted_ns);
	CU_ASSERT_PTR_NULL(r.fault);
	CU_ASSERT_FALSE(r.cut);
}

static void
test_pcap(void)
{
	for (int big = 0; big < 2; big++) {
		check_pcap(0xa1b2c3d4, big, 0, 1000123456000);
		check_pcap(0xa1b23c4d, big, 0, 1000000123456);
		check_pcap(0xa1b2cd34, big, 8, 1000123456000);
	}
}

static void
test_pcap_lies(void)
{
	struct file f = {0};
	struct result r;

	header(&f, 0xa1b2c3d4, 0x14000001); /* with a check sequence */
	record(&f, 1, 1, 20, 20);
	octets(&f, 20);
	record(&f, 2, 1, PCAP_FRAME_MAX + 1, 20);
	octets(&f, 20);
	r = read_all(&f);
	CU_ASSERT_EQUAL(r.frames, 1);
	CU_ASSERT_EQUAL(r.last.link, 1);
	CU_ASSERT_PTR_NOT_NULL(r.fault);
	/* Cut off within a packet. */
	f.length = 24 + 16 + 10;
	r = read_all(&f);
	CU_ASSERT_EQUAL(r.frames, 0);
	CU_ASSERT(r.cut);
	/* On the wire it was no shorter than what is there. */
	f.length = 0;
	header(&f, 0xa1b2c3d4, 1);
	record(&f, 1, 1, 20, 3);
	octets(&f, 20);
	r = read_all(&f);
	CU_ASSERT_EQUAL(r.last.wire_length, 20);
	f.length = 0;
	octets(&f, 50);
	CU_ASSERT_FALSE(capture_is_file(f.data, f.length));
	CU_ASSERT_PTR_NOT_NULL(read_all(&f).fault);
	f.length = 0;
	CU_ASSERT_PTR_NULL(read_all(&f).fault);
}

static void
test_runs_stop_in_time(void)
{
	struct pcap_reader reader = {0};
	struct frame frame[8];
	struct file f = {0};
	size_t used;
	uint32_t n;

	header(&f, 0xa1b2c3d4, 1);
	for (uint32_t i = 0; i < 6; i++) {
		record(&f, i / 3, 0, 4, 4);
		octets(&f, 4);
	}
	CU_ASSERT_EQUAL(pcap_reader_next(&reader, f.data, f.length, &used,
					 frame),
			PCAP_LINK);
	n = pcap_reader_run(&reader, f.data + 24, f.length - 24, &used, frame,
			    8, 500000000);
	CU_ASSERT_EQUAL(n, 3);
	CU_ASSERT_EQUAL(used, 60);
	n = pcap_reader_run(&reader, f.data + 84, f.length - 84, &used, frame,
			    2, 500000000);
	CU_ASSERT_EQUAL(n, 2);
	pcap_reader_fini(&reader);
}

/* ---- pcapng -------------------------------------------------------------------- */

static size_t
block(struct file *f, uint32_t type)
{
	u32(f, type);
	u32(f, 0);
	return f->length;
}

/* Pads the block and fills in its length. */
static void
end(struct file *f, size_t start)
{
	struct file length = {.big = f->big};

	while ((f->length - start) % 4)
		f->data[f->length++] = 0;
	u32(&length, (uint32_t)(f->length - start + 12));
	memcpy(f->data + start - 4, length.data, 4);
	memcpy(f->data + f->length, length.data, 4);
	f->length += 4;
}

static void
section(struct file *f)
{
	size_t b = block(f, 0x0a0d0d0a);

	u32(f, 0x1a2b3c4d);
	u16(f, 1);
	u16(f, 0);
	u32(f, 0xffffffff);
	u32(f, 0xffffffff);
	end(f, b);
}

static void
option(struct file *f, uint16_t code, uint16_t length)
{
	u16(f, code);
	u16(f, length);
}

/* resolution 0: none is given; offset: seconds. */
static void
interface(struct file *f, uint16_t link, uint8_t resolution, uint32_t offset)
{
	size_t b = block(f, 1);

	u16(f, link);
	u16(f, 0);
	u32(f, 16); /* snap length */
	if (resolution) {
		option(f, 9, 1);
		u32(f, f->big ? (uint32_t)resolution << 24 : resolution);
	}
	if (offset) {
		option(f, 14, 8);
		u32(f, f->big ? 0 : offset);
		u32(f, f->big ? offset : 0);
	}
	option(f, 0, 0);
	end(f, b);
}

static void
packet(struct file *f, uint32_t which, uint64_t units, uint32_t flags)
{
	size_t b = block(f, 6);

	u32(f, which);
	u32(f, (uint32_t)(units >> 32));
	u32(f, (uint32_t)units);
	u32(f, 10);
	u32(f, 60);
	octets(f, 10);
	u16(f, 0);
	if (flags) {
		option(f, 2, 4);
		u32(f, flags);
		option(f, 0, 0);
	}
	end(f, b);
}

static void
test_pcapng(void)
{
	for (int big = 0; big < 2; big++) {
		struct file f = {.big = big};
		struct result r;
		size_t b;

		section(&f);
		CU_ASSERT(capture_is_file(f.data, f.length));
		interface(&f, 1, 0, 0);
		interface(&f, 101, 9, 0);
		b = block(&f, 0x0bad); /* unknown */
		octets(&f, 30);
		end(&f, b);
		packet(&f, 0, 1000123456, 0);
		r = read_all(&f);
		CU_ASSERT_EQUAL(r.links, 2);
		CU_ASSERT_EQUAL(r.last.time_ns, 1000123456000);
		CU_ASSERT_EQUAL(r.last.link, 1);
		CU_ASSERT_EQUAL(r.last.direction, FRAME_UNKNOWN);
		packet(&f, 1, 1000123456789, 2);
		r = read_all(&f);
		CU_ASSERT_EQUAL(r.frames, 2);
		CU_ASSERT_EQUAL(r.last.time_ns, 1000123456789);
		CU_ASSERT_EQUAL(r.last.link, 101);
		CU_ASSERT_EQUAL(r.last.length, 10);
		CU_ASSERT_EQUAL(r.last.wire_length, 60);
		CU_ASSERT_EQUAL(r.last.direction, FRAME_EGRESS);
		/* A simple packet: of the first interface, at that time. */
		b = block(&f, 3);
		u32(&f, 100);
		octets(&f, 16);
		end(&f, b);
		r = read_all(&f);
		CU_ASSERT_EQUAL(r.last.length, 16);
		CU_ASSERT_EQUAL(r.last.wire_length, 100);
		CU_ASSERT_EQUAL(r.last.time_ns, 1000123456789);
		/* Another section, of the other byte order. */
		f.big = !big;
		section(&f);
		interface(&f, 228, 0x80 | 10, 7); /* 1/1024 s, 7 s later */
		packet(&f, 0, 1024 * 3 + 512, 1);
		r = read_all(&f);
		CU_ASSERT_EQUAL(r.frames, 4);
		CU_ASSERT_EQUAL(r.last.link, 228);
		CU_ASSERT_EQUAL(r.last.time_ns, 10500000000);
		CU_ASSERT_EQUAL(r.last.direction, FRAME_INGRESS);
		CU_ASSERT_PTR_NULL(r.fault);
	}
}

static void
test_pcapng_drops(void)
{
	struct file f = {0};
	struct result r;

	section(&f);
	interface(&f, 1, 0, 0);
	for (uint32_t n = 1; n < 4; n++) {
		size_t b = block(&f, 5);

		u32(&f, 0);
		u32(&f, 0);
		u32(&f, 0);
		option(&f, 5, 8);
		u32(&f, n * 10);
		u32(&f, 0);
		option(&f, 7, 8);
		u32(&f, n * 100);
		u32(&f, 0);
		option(&f, 0, 0);
		end(&f, b);
	}
	r = read_all(&f);
	CU_ASSERT_EQUAL(r.drops, 3);
	CU_ASSERT_EQUAL(r.interface, 30);
	CU_ASSERT_EQUAL(r.kernel, 300);
}

static void
test_pcapng_lies(void)
{
	struct file f = {0}, g;
	size_t b;

	section(&f);
	interface(&f, 1, 0, 0);
	/* Of an interface that is not there. */
	g = f;
	packet(&g, 1, 0, 0);
	CU_ASSERT_PTR_NOT_NULL(read_all(&g).fault);
	/* More captured than the block has. */
	g = f;
	b = g.length;
	packet(&g, 0, 0, 0);
	g.data[b + 20] = 200;
	CU_ASSERT_PTR_NOT_NULL(read_all(&g).fault);
	/* Lengths that no block has. */
	for (uint8_t length = 0; length < 12; length++) {
		g = f;
		b = g.length;
		packet(&g, 0, 0, 0);
		g.data[b + 4] = length;
		CU_ASSERT_PTR_NOT_NULL(read_all(&g).fault);
	}
	/* A long block that nobody needs is stepped over, not kept. */
	g = f;
	u32(&g, 0x0bad);
	u32(&g, 1 << 21);
	octets(&g, 100);
	CU_ASSERT_PTR_NULL(read_all(&g).fault);
	/* An option that reaches beyond its block. */
	g = f;
	b = block(&g, 1);
	u32(&g, 1);
	u32(&g, 0);
	option(&g, 9, 60000);
	end(&g, b);
	packet(&g, 1, 1000000, 0);
	CU_ASSERT_EQUAL(read_all(&g).last.time_ns, 1000000000);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"pcap of all kinds", test_pcap},
		{"pcap: lengths that lie", test_pcap_lies},
		{"runs stop in time", test_runs_stop_in_time},
		{"pcapng", test_pcapng},
		{"pcapng: drops", test_pcapng_drops},
		{"pcapng: lengths that lie", test_pcapng_lies},
	};

	return unit_run("pcap", tests, UNIT_COUNT(tests));
}
