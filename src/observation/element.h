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

#include "conflux/ie.h"
#include "packet.h"

enum extract {
	EXTRACT_COPY,	/* width octets, offset behind a pointer of packet */
	EXTRACT_PACKET, /* a number of struct packet */
	EXTRACT_OCTETS, /* width octets of struct packet */
	EXTRACT_FRAME,	/* a number of struct frame */
	EXTRACT_CONSTANT,
	EXTRACT_FUNCTION,
	EXTRACT_MASKED,	 /* COPY of 2 octets, of which some bits count */
	EXTRACT_BITS,	 /* a set of 256 bits */
	EXTRACT_TIME,	 /* when it was observed, in the encoding of the type */
	EXTRACT_SECTION, /* octets of the packet */
	EXTRACT_LIST,	 /* RFC 6313, made of octets of the packet */
	EXTRACT_EXPORTED, /* octets that the section beside it has */
};

enum { LIST_MAX = 4096 }; /* octets of a list */

/* A piece of a packet; length 0: it has none. */
struct section {
	const uint8_t *data;
	uint32_t length;
};

/*
 * What a packet may have beside its headers (enum packet_has). It costs a look
 * at each packet, so it tells classes apart only if somebody wants to know.
 */
enum element_extra {
	EXTRA_WINDOW_SCALE = 1 << 0,  /* that option of TCP */
	EXTRA_GTPU_SEQUENCE = 1 << 1, /* a sequence number of GTP-U */
	EXTRA_GTPU_SESSION = 1 << 2,  /* a PDU Session Container */
	EXTRA_STATION = 1 << 3, /* 802.11: from or to an access point */
	/* Numbers of experiments in options of TCP, of UDP. */
	EXTRA_TCP_16 = 1 << 4,
	EXTRA_TCP_32 = 1 << 5,
	EXTRA_UDP_SAFE = 1 << 6,
	EXTRA_UDP_UNSAFE = 1 << 7,
	EXTRA_CHAIN = 1 << 8, /* extension headers of IPv6 */
	EXTRA_OPTIONS = EXTRA_WINDOW_SCALE | EXTRA_TCP_16 | EXTRA_TCP_32 |
			EXTRA_UDP_SAFE | EXTRA_UDP_UNSAFE,
};

/* Elements that IANA lacks, of the number for documentation (RFC 5612). */
enum {
	ELEMENT_PEN = 32473,
	ELEMENT_FRAGMENTS = 300, /* behind those of meters */
};

struct element {
	uint16_t id;       /* IANA, or ELEMENT_PEN with own */
	bool own;
	uint8_t how;       /* enum extract */
	uint8_t width;	   /* octets in the record; sections and lists: 0 */
	bool counter;      /* packets stand for as many as their weight */
	uint32_t needs;    /* enum packet_has, all of them */
	uint8_t labels;    /* of MPLS that there must be */
	uint16_t extra;    /* enum element_extra, all of them */
	uint16_t beside;   /* the same, if others ask for it; so this way is
			    * for packets of which another element tells it */
	uint16_t base;     /* COPY, PACKET, FRAME: offset of the member */
	uint16_t offset;   /* COPY: behind the pointer */
	uint8_t size;      /* PACKET, FRAME: of the member */
	uint64_t constant; /* CONSTANT; MASKED: the bits that count */
	uint64_t (*function)(const struct packet *packet);
	void (*section)(const struct packet *packet, struct section *out);
	/* Writes LIST_MAX octets at most; returns how many. */
	uint32_t (*list)(const struct packet *packet, uint8_t *out);
	void (*bits)(const struct packet *packet, uint8_t *out); /* ors */
};

/*
 * The n-th way (from 0) to tell an element, or NULL: the first whose headers
 * are there counts.
 */
const struct element *element_find(const struct ie *ie, unsigned n);

/* Which of these extras the packet has. */
unsigned element_extras(const struct packet *packet, unsigned extras);

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
