/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Capture files: pcap of all kinds (draft-ietf-opsawg-pcap) and pcapng
 * (draft-ietf-opsawg-pcapng). Octets in, frames out; no I/O.
 */
#ifndef CONFLUX_OBSERVATION_PCAP_H
#define CONFLUX_OBSERVATION_PCAP_H

#include "conflux/observation.h"

enum {
	PCAP_FRAME_MAX = 262144, /* captured octets; more is no sound packet */
	PCAP_BLOCK_MAX = 1 << 20, /* octets of a block of pcapng that is kept
				   * whole; longer ones are stepped over */
	PCAP_INTERFACES_MAX = 4096, /* of a section */
};

enum pcap_result {
	PCAP_FRAME,  /* *frame is one */
	PCAP_LINK,   /* an interface with a link type: see link */
	PCAP_DROPS,  /* see dropped */
	PCAP_NOTHING, /* something else was read; go on */
	PCAP_MORE,   /* the octets do not reach: see need */
	PCAP_FAULT,  /* it can't go on: see fault */
};

struct pcap_interface {
	uint32_t link;
	uint32_t snap_length;
	int64_t offset_s;    /* if_tsoffset */
	uint64_t multiplier; /* of a unit of time, in nanoseconds */
	uint64_t divisor;    /* or nanoseconds are units by it */
	uint8_t shift;       /* units are 2^-shift seconds; 0: see above */
	uint64_t dropped[2]; /* by interface and system, as told last */
};

struct pcap_reader {
	bool begun;
	bool ng;
	bool swapped;     /* the other byte order */
	bool nano;
	bool modified;    /* 8 octets more in each record */
	uint32_t link;    /* pcap; PCAP_LINK: of the interface met */
	size_t need;      /* octets from the cursor on, for PCAP_MORE */
	uint64_t skip;    /* octets of a long block still to be stepped over */
	uint64_t last_ns; /* time of the last packet, for those without */
	uint64_t dropped_interface, dropped_kernel; /* PCAP_DROPS */
	const char *fault;
	bool plain; /* pcap_reader_run reads it */
	unsigned interface_count, interface_size;
	struct pcap_interface *interface;
};

/* Zero initialised is ready. */
void pcap_reader_fini(struct pcap_reader *reader);

/*
 * Reads one record or block at p, of which length octets are there. *used: by
 * how many the cursor moves on, with any result. frame->data points into p.
 */
enum pcap_result pcap_reader_next(struct pcap_reader *reader, const uint8_t *p,
				  size_t length, size_t *used,
				  struct frame *frame);

/*
 * The same for as many records of plain pcap as there are, up to count frames;
 * returns how many. 0: ask pcap_reader_next, which says why. Stops before a
 * frame that comes more than span_ns after the first one.
 */
uint32_t pcap_reader_run(struct pcap_reader *reader, const uint8_t *p,
			 size_t length, size_t *used, struct frame *frame,
			 uint32_t count, uint64_t span_ns);

#endif
