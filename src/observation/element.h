/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What packets tell, element by element: which headers a packet must have, and
 * how the value is taken from it. Values are written in the wire format of
 * IPFIX. An extractor runs over all packets of a class, so its widths are
 * constants of a short loop.
 */
#ifndef CONFLUX_OBSERVATION_ELEMENT_H
#define CONFLUX_OBSERVATION_ELEMENT_H

#include "packet.h"

enum extract {
	EXTRACT_COPY,     /* width octets, offset behind a pointer of packet */
	EXTRACT_PACKET,   /* a number of struct packet */
	EXTRACT_OCTETS,   /* width octets of struct packet */
	EXTRACT_FRAME,    /* a number of struct frame */
	EXTRACT_CONSTANT,
	EXTRACT_FUNCTION,
	EXTRACT_TIME,     /* when it was observed, in the encoding of the type */
	EXTRACT_SECTION,  /* octets of the packet */
	EXTRACT_EXPORTED, /* octets that the section beside it has */
};

/* A piece of a packet; length 0: it has none. */
struct section {
	const uint8_t *data;
	uint32_t length;
};

struct element {
	uint16_t id;       /* IANA */
	uint8_t how;       /* enum extract */
	uint8_t width;     /* octets in the record; sections: 0 */
	bool counter;      /* packets stand for as many as their weight */
	uint32_t needs;    /* enum packet_has, all of them */
	uint8_t labels;    /* of MPLS that there must be */
	uint16_t base;     /* COPY, PACKET, FRAME: offset of the member */
	uint16_t offset;   /* COPY: behind the pointer */
	uint8_t size;      /* PACKET, FRAME: of the member */
	uint64_t constant;
	uint64_t (*function)(const struct packet *packet);
	void (*section)(const struct packet *packet, struct section *out);
};

/*
 * The n-th way (from 0) to tell an element, or NULL: the first whose headers
 * are there counts.
 */
const struct element *element_find(uint16_t id, unsigned n);

/* One field of the records of a class. */
struct extraction {
	const struct element *element;
	uint16_t at;     /* in the record */
	uint16_t length; /* of the field; sections: padded with zeros to it */
	bool scale;      /* multiply by the weight */
	const struct extraction *of; /* EXPORTED: that section */
};

/* Writes the field of count packets into records that are stride apart. */
void extraction_run(const struct extraction *x,
		    const struct packet *const *packets, uint32_t count,
		    uint8_t *records, uint32_t stride);

#endif
