/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Running an extraction over the packets of a class: one short loop for each
 * way and width, so that the compiler makes single loads and stores of them.
 */
#include <string.h>

#include "conflux/ie.h"
#include "conflux/ntp.h"
#include "conflux/wire.h"
#include "element.h"

struct run {
	const struct extraction *x;
	const struct packet *const *packets;
	uint32_t count;
	uint8_t *out; /* the field of the first record */
	uint32_t stride;
};

#define EACH_PACKET(run, statement)                                            \
	do {                                                                   \
		uint8_t *d = (run)->out;                                       \
                                                                               \
		for (uint32_t i = 0; i < (run)->count;                         \
		     i++, d += (run)->stride) {                                \
			const struct packet *p = (run)->packets[i];            \
                                                                               \
			statement;                                             \
		}                                                              \
	} while (0)

static inline const uint8_t *
header_of(const struct packet *p, const struct element *e)
{
	const uint8_t *header;

	memcpy(&header, (const uint8_t *)p + e->base, sizeof(header));
	return header + e->offset;
}

/* The length is that of all that was fused. */
static void
run_copy(const struct run *run)
{
	const struct element *e = run->x->element;
	uint16_t length = run->x->length;

	switch (length) {
	case 1:
		EACH_PACKET(run, *d = *header_of(p, e));
		break;
	case 2:
		EACH_PACKET(run, memcpy(d, header_of(p, e), 2));
		break;
	case 4:
		EACH_PACKET(run, memcpy(d, header_of(p, e), 4));
		break;
	case 8:
		EACH_PACKET(run, memcpy(d, header_of(p, e), 8));
		break;
	case 32:
		EACH_PACKET(run, memcpy(d, header_of(p, e), 32));
		break;
	default:
		EACH_PACKET(run, memcpy(d, header_of(p, e), length));
		break;
	}
}

static void
run_masked(const struct run *run)
{
	const struct element *e = run->x->element;
	uint16_t mask = (uint16_t)e->constant;

	EACH_PACKET(run,
		    wire_put16(d, wire_get16(header_of(p, e)) & mask));
}

static void
run_octets(const struct run *run)
{
	const uint16_t base = run->x->element->base;
	uint16_t length = run->x->length;

	if (length == 4)
		EACH_PACKET(run, memcpy(d, (const uint8_t *)p + base, 4));
	else
		EACH_PACKET(run, memcpy(d, (const uint8_t *)p + base, length));
}

static inline uint64_t
number(const void *base, uint16_t at, uint8_t size)
{
	const uint8_t *s = (const uint8_t *)base + at;
	uint64_t v8;
	uint32_t v4;
	uint16_t v2;

	switch (size) {
	case 1:
		return *s;
	case 2:
		memcpy(&v2, s, 2);
		return v2;
	case 4:
		memcpy(&v4, s, 4);
		return v4;
	default:
		memcpy(&v8, s, 8);
		return v8;
	}
}

static void
run_packet(const struct run *run)
{
	const struct element *e = run->x->element;

	if (e->size == 4 && e->width == 8)
		EACH_PACKET(run, wire_put64(d, number(p, e->base, 4)));
	else if (e->size == 1 && e->width == 1)
		EACH_PACKET(run, *d = (uint8_t)number(p, e->base, 1));
	else
		EACH_PACKET(run, wire_put_uint(d, number(p, e->base, e->size),
					       e->width));
}

static void
run_frame(const struct run *run)
{
	const struct element *e = run->x->element;

	EACH_PACKET(run,
		    wire_put_uint(d, number(p->frame, e->base, e->size),
				  e->width));
}

static void
run_constant(const struct run *run)
{
	uint8_t octets[8];

	wire_put_uint(octets, run->x->element->constant,
		      run->x->element->width);
	if (run->x->element->width == 8)
		EACH_PACKET(run, (memcpy(d, octets, 8), (void)p));
	else
		EACH_PACKET(run, (memcpy(d, octets, run->x->element->width),
				  (void)p));
}

static void
run_function(const struct run *run)
{
	const struct element *e = run->x->element;

	if (e->width == 2)
		EACH_PACKET(run, wire_put16(d, (uint16_t)e->function(p)));
	else
		EACH_PACKET(run, wire_put_uint(d, e->function(p), e->width));
}

static void
run_bits(const struct run *run)
{
	const struct element *e = run->x->element;

	EACH_PACKET(run, {
		memset(d, 0, 32);
		e->bits(p, d);
	});
}

static void
run_weight(const struct run *run)
{
	EACH_PACKET(run, wire_put64(d, wire_get64(d) * p->frame->weight));
}

static void
run_time(const struct run *run)
{
	switch (run->x->element->id) {
	case IE_observationTimeSeconds:
		EACH_PACKET(run, wire_put32(d, (uint32_t)(p->frame->time_ns /
							  NSEC_PER_SEC)));
		break;
	case IE_observationTimeMilliseconds:
		EACH_PACKET(run, wire_put64(d, p->frame->time_ns / 1000000));
		break;
	case IE_observationTimeMicroseconds:
		EACH_PACKET(run,
			    wire_put64(d, ntp_from_ns_micro(p->frame->time_ns)));
		break;
	default:
		EACH_PACKET(run, wire_put64(d, ntp_from_ns(p->frame->time_ns)));
		break;
	}
}

static uint32_t
section_length(const struct packet *p, const struct extraction *x,
	       struct section *section)
{
	x->element->section(p, section);
	return section->length < x->length ? section->length : x->length;
}

static void
run_section(const struct run *run)
{
	struct section section;

	EACH_PACKET(run, {
		uint32_t length = section_length(p, run->x, &section);

		memcpy(d, section.data, length);
		memset(d + length, 0, run->x->length - length);
	});
}

static void
run_exported(const struct run *run)
{
	struct section section;

	EACH_PACKET(run, {
		uint32_t length = run->x->of ? section_length(p, run->x->of,
							      &section)
					     : 0;

		wire_put16(d, (uint16_t)length);
	});
}

void
extraction_run(const struct extraction *x, const struct packet *const *packets,
	       uint32_t count, uint8_t *records, uint32_t stride)
{
	struct run run = {x, packets, count, records + x->at, stride};

	switch ((enum extract)x->element->how) {
	case EXTRACT_COPY:
		run_copy(&run);
		break;
	case EXTRACT_PACKET:
		run_packet(&run);
		break;
	case EXTRACT_OCTETS:
		run_octets(&run);
		break;
	case EXTRACT_FRAME:
		run_frame(&run);
		break;
	case EXTRACT_CONSTANT:
		run_constant(&run);
		break;
	case EXTRACT_FUNCTION:
		run_function(&run);
		break;
	case EXTRACT_MASKED:
		run_masked(&run);
		break;
	case EXTRACT_BITS:
		run_bits(&run);
		break;
	case EXTRACT_TIME:
		run_time(&run);
		break;
	case EXTRACT_SECTION:
		run_section(&run);
		break;
	case EXTRACT_LIST: /* has no fixed length */
		break;
	case EXTRACT_EXPORTED:
		run_exported(&run);
		break;
	}
	if (x->scale)
		run_weight(&run);
}
