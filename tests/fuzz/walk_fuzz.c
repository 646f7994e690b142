/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * One frame through the header walk: the first octet says what is asked for,
 * three octets are the link type, the rest is the frame, at the end of its
 * memory. The seeds are the packets of tests/unit/observation/walk_test.c.
 */
#include <stdlib.h>

#include "walked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The short way for plain packets and the long one come to the same. */
static void
compare(const struct packet *a, const struct packet *b)
{
	const uint32_t inside = HAS_GTPU | HAS_GRE_KEY | HAS_SEGMENT_ID;

	assert((a->has & ~inside) == (b->has & ~inside));
	assert(a->fault == b->fault && a->end == b->end);
	if (!(a->has & HAS_PAYLOAD))
		return;
	assert(a->ip == b->ip && a->transport == b->transport);
	assert(a->payload == b->payload && a->protocol == b->protocol);
	assert(a->ip_length == b->ip_length);
	assert(a->ip_header_length == b->ip_header_length);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame frame = {.weight = 1, .direction = FRAME_UNKNOWN};
	struct walk_conf conf = {0};
	struct packet p, plain;
	uint8_t *copy;

	if (size < 4)
		return 0;
	frame.length = (uint32_t)size - 4;
	frame.wire_length = frame.length + (data[0] & 1 ? 1000 : 0);
	frame.link = data[1] | (uint32_t)data[2] << 8 | (uint32_t)data[3] << 16;
	copy = malloc(frame.length ? frame.length : 1);
	if (!copy)
		return 0;
	memcpy(copy, data + 4, frame.length);
	frame.data = copy;
	packet_walk(&plain, &frame, &conf);
	walked_check(&plain);
	conf.identifiers = true;
	packet_walk(&p, &frame, &conf);
	walked_check(&p);
	compare(&p, &plain);
	conf.tunnels = data[0] & 2 ? 0x7f : data[0] >> 2;
	conf.tunnel_depth = 8;
	packet_walk(&p, &frame, &conf);
	walked_check(&p);
	free(copy);
	return 0;
}
