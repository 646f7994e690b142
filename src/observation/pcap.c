/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * See pcap.h. Files are from anywhere, so lengths are checked before they are
 * used: a record that can't be ends the file, all before it count.
 */
#include "pcap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/ntp.h"
#include "conflux/wire.h"

enum {
	MAGIC_MICRO = 0xa1b2c3d4,
	MAGIC_NANO = 0xa1b23c4d,
	MAGIC_MODIFIED = 0xa1b2cd34,
	FILE_HEADER = 24,
	RECORD_HEADER = 16,
	LINK_MASK = 0x03ffffff, /* above: length of a check sequence */

	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 2, /* obsolete */
	BLOCK_SIMPLE = 3,
	BLOCK_STATISTICS = 5,
	BLOCK_ENHANCED = 6,
	BYTE_ORDER_MAGIC = 0x1a2b3c4d,
	OPTION_END = 0,
	OPTION_TIME_RESOLUTION = 9,
	OPTION_TIME_OFFSET = 14,
	OPTION_PACKET_FLAGS = 2,
	OPTION_INTERFACE_DROP = 5,
	OPTION_SYSTEM_DROP = 7,
};

static enum pcap_result
bad(struct pcap_reader *r, const char *fault)
{
	r->fault = fault;
	return PCAP_FAULT;
}

static enum pcap_result
more(struct pcap_reader *r, size_t need)
{
	r->need = need;
	return PCAP_MORE;
}

/* Numbers of the file, in its byte order; swapped: not little-endian. */
static inline uint32_t
get32(const struct pcap_reader *r, const uint8_t *p)
{
	uint32_t v = wire_get32(p);

	return r->swapped ? v : __builtin_bswap32(v);
}

static inline uint16_t
get16(const struct pcap_reader *r, const uint8_t *p)
{
	uint16_t v = wire_get16(p);

	return r->swapped ? v : __builtin_bswap16(v);
}

void
pcap_reader_fini(struct pcap_reader *r)
{
	free(r->interface);
	*r = (struct pcap_reader){0};
}

/* ---- pcap ---------------------------------------------------------------- */

static bool
is_magic(uint32_t magic)
{
	return magic == MAGIC_MICRO || magic == MAGIC_NANO ||
	       magic == MAGIC_MODIFIED;
}

static enum pcap_result
read_file_header(struct pcap_reader *r, const uint8_t *p, size_t length,
		 size_t *used)
{
	if (length < FILE_HEADER)
		return more(r, FILE_HEADER);
	r->link = get32(r, p + 20) & LINK_MASK;
	r->begun = true;
	r->plain = !r->modified;
	*used = FILE_HEADER;
	return PCAP_LINK;
}

static inline size_t
record_header(const struct pcap_reader *r)
{
	return r->modified ? RECORD_HEADER + 8 : RECORD_HEADER;
}

static void
fill_frame(struct frame *frame, const uint8_t *data, uint32_t length,
	   uint32_t wire_length, uint64_t time_ns, uint32_t link)
{
	frame->data = data;
	frame->length = length;
	frame->wire_length = wire_length > length ? wire_length : length;
	frame->time_ns = time_ns;
	frame->link = link;
	frame->interface = 0;
	frame->egress = 0;
	frame->weight = 1;
	frame->direction = FRAME_UNKNOWN;
}

static uint64_t
record_time(const struct pcap_reader *r, const uint8_t *p)
{
	uint64_t fraction = get32(r, p + 4);

	return (uint64_t)get32(r, p) * NSEC_PER_SEC +
	       (r->nano ? fraction : fraction * 1000);
}

static enum pcap_result
read_record(struct pcap_reader *r, const uint8_t *p, size_t length,
	    size_t *used, struct frame *frame)
{
	size_t header = record_header(r);
	uint32_t captured;

	if (length < header)
		return more(r, header);
	captured = get32(r, p + 8);
	if (captured > PCAP_FRAME_MAX)
		return bad(r, "a packet of more than 262144 octets");
	if (length - header < captured)
		return more(r, header + captured);
	r->last_ns = record_time(r, p);
	fill_frame(frame, p + header, captured, get32(r, p + 12), r->last_ns,
		   r->link);
	*used = header + captured;
	return PCAP_FRAME;
}

uint32_t
pcap_reader_run(struct pcap_reader *r, const uint8_t *p, size_t length,
		size_t *used, struct frame *frame, uint32_t count,
		uint64_t span_ns)
{
	const uint8_t *start = p, *end = p + length;
	uint64_t until = UINT64_MAX;
	uint32_t n = 0;

	*used = 0;
	if (!r->plain)
		return 0;
	while (n < count && end - p >= RECORD_HEADER) {
		uint32_t captured = get32(r, p + 8);
		uint64_t ns = record_time(r, p);

		if (captured > PCAP_FRAME_MAX ||
		    (size_t)(end - p) - RECORD_HEADER < captured || ns > until)
			break;
		if (n == 0)
			until = ns + span_ns;
		fill_frame(&frame[n++], p + RECORD_HEADER, captured,
			   get32(r, p + 12), ns, r->link);
		/* Headers are read in the next step, when they have come. */
		__builtin_prefetch(p + RECORD_HEADER);
		p += RECORD_HEADER + captured;
	}
	if (n)
		r->last_ns = frame[n - 1].time_ns;
	*used = (size_t)(p - start);
	return n;
}

/* ---- pcapng: options and interfaces --------------------------------------- */

/*
 * Steps to the next option of a block; returns its code, OPTION_END at the end.
 * *at is its content of *length octets.
 */
static unsigned
next_option(const struct pcap_reader *r, const uint8_t **p, const uint8_t *end,
	    const uint8_t **at, size_t *length)
{
	unsigned code;

	if (end - *p < 4)
		return OPTION_END;
	code = get16(r, *p);
	*length = get16(r, *p + 2);
	*at = *p + 4;
	if ((size_t)(end - *at) < *length)
		return OPTION_END;
	*p = *at + ((*length + 3) & ~(size_t)3);
	if (*p > end)
		*p = end;
	return code;
}

static uint64_t
get64(const struct pcap_reader *r, const uint8_t *p)
{
	uint64_t v = wire_get64(p);

	return r->swapped ? v : __builtin_bswap64(v);
}

/* if_tsresol: a power of ten, or of two if the top bit is set. */
static void
set_resolution(struct pcap_interface *i, uint8_t resolution)
{
	uint64_t power = 1;
	unsigned exponent = resolution & 0x7f;

	i->multiplier = i->divisor = 1;
	i->shift = 0;
	if (resolution & 0x80) {
		i->shift = (uint8_t)(exponent > 63 ? 63 : exponent);
		if (exponent == 0)
			i->multiplier = NSEC_PER_SEC;
		return;
	}
	for (unsigned n = exponent < 9 ? exponent : 9; n < 9; n++)
		power *= 10;
	i->multiplier = power;
	power = 1;
	for (unsigned n = 9; n < exponent && n < 28; n++)
		power *= 10;
	i->divisor = power;
}

static uint64_t
interface_time(const struct pcap_interface *i, uint64_t units)
{
	unsigned __int128 ns;

	if (i->shift)
		ns = ((unsigned __int128)units * NSEC_PER_SEC) >> i->shift;
	else
		ns = (unsigned __int128)units * i->multiplier / i->divisor;
	return (uint64_t)ns + (uint64_t)i->offset_s * NSEC_PER_SEC;
}

static enum pcap_result
read_interface(struct pcap_reader *r, const uint8_t *body, size_t length)
{
	const uint8_t *p = body + 8, *end = body + length, *at;
	struct pcap_interface *i;
	size_t n;
	unsigned code;

	if (length < 8)
		return bad(r, "an interface block that is too short");
	if (r->interface_count == PCAP_INTERFACES_MAX)
		return bad(r, "more than 4096 interfaces");
	if (r->interface_count == r->interface_size) {
		unsigned size = r->interface_size ? r->interface_size * 2 : 8;

		i = realloc(r->interface, size * sizeof(*i));
		if (!i)
			return bad(r, "no memory for its interfaces");
		r->interface = i;
		r->interface_size = size;
	}
	i = &r->interface[r->interface_count++];
	*i = (struct pcap_interface){
		.link = get16(r, body),
		.snap_length = get32(r, body + 4),
	};
	set_resolution(i, 6);
	while ((code = next_option(r, &p, end, &at, &n)) != OPTION_END) {
		if (code == OPTION_TIME_RESOLUTION && n >= 1)
			set_resolution(i, at[0]);
		else if (code == OPTION_TIME_OFFSET && n >= 8)
			i->offset_s = (int64_t)get64(r, at);
	}
	r->link = i->link;
	return PCAP_LINK;
}

/* Counters since the start: what is new since the last such block is told. */
static enum pcap_result
read_statistics(struct pcap_reader *r, const uint8_t *body, size_t length)
{
	const uint8_t *p = body + 12, *end = body + length, *at;
	struct pcap_interface *i;
	unsigned code;
	size_t n;

	if (length < 12 || get32(r, body) >= r->interface_count)
		return PCAP_NOTHING;
	i = &r->interface[get32(r, body)];
	r->dropped_interface = r->dropped_kernel = 0;
	while ((code = next_option(r, &p, end, &at, &n)) != OPTION_END) {
		uint64_t v = n >= 8 ? get64(r, at) : 0;

		if (code == OPTION_INTERFACE_DROP && v > i->dropped[0]) {
			r->dropped_interface = v - i->dropped[0];
			i->dropped[0] = v;
		} else if (code == OPTION_SYSTEM_DROP && v > i->dropped[1]) {
			r->dropped_kernel = v - i->dropped[1];
			i->dropped[1] = v;
		}
	}
	return r->dropped_interface || r->dropped_kernel ? PCAP_DROPS
							 : PCAP_NOTHING;
}

/* ---- pcapng: packets ------------------------------------------------------ */

/* epb_flags: the two lowest bits are 1 inbound or 2 outbound. */
static void
packet_options(const struct pcap_reader *r, const uint8_t *p,
	       const uint8_t *end, struct frame *frame)
{
	const uint8_t *at;
	unsigned code;
	size_t n;

	while ((code = next_option(r, &p, end, &at, &n)) != OPTION_END) {
		if (code != OPTION_PACKET_FLAGS || n < 4)
			continue;
		switch (get32(r, at) & 3) {
		case 1:
			frame->direction = FRAME_INGRESS;
			break;
		case 2:
			frame->direction = FRAME_EGRESS;
			break;
		default:
			break;
		}
	}
}

static enum pcap_result
read_packet(struct pcap_reader *r, const uint8_t *body, size_t length,
	    bool enhanced, struct frame *frame)
{
	uint32_t number, captured;
	size_t padded;

	if (length < 20)
		return bad(r, "a packet block that is too short");
	number = enhanced ? get32(r, body) : get16(r, body);
	captured = get32(r, body + 12);
	if (number >= r->interface_count)
		return bad(r, "a packet of an interface that is not described");
	if (captured > length - 20)
		return bad(r, "a packet that is longer than its block");
	if (captured > PCAP_FRAME_MAX)
		return bad(r, "a packet of more than 262144 octets");
	r->last_ns = interface_time(&r->interface[number],
				    (uint64_t)get32(r, body + 4) << 32 |
					    get32(r, body + 8));
	fill_frame(frame, body + 20, captured, get32(r, body + 16), r->last_ns,
		   r->interface[number].link);
	padded = 20 + (((size_t)captured + 3) & ~(size_t)3);
	if (padded < length)
		packet_options(r, body + padded, body + length, frame);
	return PCAP_FRAME;
}

/* It has neither a time nor an interface: those of the packet before. */
static enum pcap_result
read_simple(struct pcap_reader *r, const uint8_t *body, size_t length,
	    struct frame *frame)
{
	uint32_t wire, captured;

	if (length < 4 || r->interface_count == 0)
		return bad(r, "a simple packet block without an interface");
	wire = get32(r, body);
	captured = wire;
	if (r->interface[0].snap_length &&
	    captured > r->interface[0].snap_length)
		captured = r->interface[0].snap_length;
	if (captured > length - 4)
		captured = (uint32_t)(length - 4);
	if (captured > PCAP_FRAME_MAX)
		return bad(r, "a packet of more than 262144 octets");
	fill_frame(frame, body + 4, captured, wire, r->last_ns,
		   r->interface[0].link);
	return PCAP_FRAME;
}

/* ---- pcapng: blocks ------------------------------------------------------- */

/* A section can be of another byte order than the one before it. */
static enum pcap_result
begin_section(struct pcap_reader *r, const uint8_t *p, size_t length)
{
	uint32_t magic;

	if (length < 12)
		return more(r, 12);
	magic = wire_get32(p + 8);
	if (magic == BYTE_ORDER_MAGIC)
		r->swapped = true;
	else if (__builtin_bswap32(magic) == BYTE_ORDER_MAGIC)
		r->swapped = false;
	else
		return bad(r, "a section whose byte order is unknown");
	r->ng = true;
	r->begun = true;
	r->interface_count = 0;
	return PCAP_NOTHING;
}

static enum pcap_result
read_body(struct pcap_reader *r, uint32_t type, const uint8_t *body,
	  size_t length, struct frame *frame)
{
	switch (type) {
	case BLOCK_INTERFACE:
		return read_interface(r, body, length);
	case BLOCK_ENHANCED:
		return read_packet(r, body, length, true, frame);
	case BLOCK_PACKET:
		return read_packet(r, body, length, false, frame);
	case BLOCK_SIMPLE:
		return read_simple(r, body, length, frame);
	case BLOCK_STATISTICS:
		return read_statistics(r, body, length);
	default:
		return PCAP_NOTHING;
	}
}

static enum pcap_result
read_block(struct pcap_reader *r, const uint8_t *p, size_t length, size_t *used,
	   struct frame *frame)
{
	enum pcap_result result;
	uint32_t type, total;

	if (length < 12)
		return more(r, 12);
	type = wire_get32(p); /* the same in both orders, if a section's */
	if (type == BLOCK_SECTION) {
		result = begin_section(r, p, length);
		if (result != PCAP_NOTHING)
			return result;
	}
	type = get32(r, p);
	total = get32(r, p + 4);
	if (total < 12 || total % 4)
		return bad(r, "a block whose length cannot be");
	if (total > PCAP_BLOCK_MAX) {
		if (type == BLOCK_ENHANCED || type == BLOCK_PACKET ||
		    type == BLOCK_SIMPLE || type == BLOCK_INTERFACE)
			return bad(r, "a block of more than 1048576 octets");
		r->skip = total;
		return PCAP_NOTHING;
	}
	if (length < total)
		return more(r, total);
	*used = total;
	return read_body(r, type, p + 8, total - 12, frame);
}

static enum pcap_result
begin(struct pcap_reader *r, const uint8_t *p, size_t length, size_t *used,
      struct frame *frame)
{
	uint32_t magic;

	if (length < 4)
		return more(r, 4);
	magic = wire_get32(p);
	if (magic == BLOCK_SECTION)
		return read_block(r, p, length, used, frame);
	r->swapped = is_magic(magic);
	if (!r->swapped)
		magic = __builtin_bswap32(magic);
	if (!is_magic(magic))
		return bad(r, "no capture file: expected pcap or pcapng, also "
			      "gzip'ed");
	r->nano = magic == MAGIC_NANO;
	r->modified = magic == MAGIC_MODIFIED;
	return read_file_header(r, p, length, used);
}

bool
capture_is_file(const uint8_t *p, size_t length)
{
	uint32_t magic = length >= 4 ? wire_get32(p) : 0;

	return magic == BLOCK_SECTION || is_magic(magic) ||
	       is_magic(__builtin_bswap32(magic));
}

enum pcap_result
pcap_reader_next(struct pcap_reader *r, const uint8_t *p, size_t length,
		 size_t *used, struct frame *frame)
{
	*used = 0;
	if (r->skip) {
		*used = r->skip < length ? (size_t)r->skip : length;
		r->skip -= *used;
		return *used ? PCAP_NOTHING : more(r, 1);
	}
	if (!r->begun)
		return begin(r, p, length, used, frame);
	if (r->ng)
		return read_block(r, p, length, used, frame);
	return read_record(r, p, length, used, frame);
}
