/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * sFlow version 5 (sflow.org): datagrams of samples. Of interest here are the
 * flow samples with the header of a sampled packet, and the counters of
 * interfaces; all else is stepped over and counted. Nothing is copied, no I/O.
 */
#ifndef CONFLUX_SFLOW_H
#define CONFLUX_SFLOW_H

#include "conflux/addr.h"
#include "conflux/wire.h"

enum sflow_protocol {
	SFLOW_ETHERNET = 1,
	SFLOW_PPP = 7,
	SFLOW_IPV4 = 11,
	SFLOW_IPV6 = 12,
	SFLOW_MPLS = 13,
};

/* A sampled packet. */
struct sflow_packet {
	uint32_t rate;         /* one packet in so many */
	uint32_t pool;         /* packets that could have been sampled */
	uint32_t drops;        /* samples that the agent had no room for */
	uint32_t input, output; /* ifIndex, 0: not known */
	uint32_t protocol;     /* enum sflow_protocol, of the header */
	uint32_t frame_length; /* on the wire */
	uint32_t stripped;     /* of it, octets at the end that are no part of
				* what captures see: the check sequence */
	const uint8_t *header;
	uint32_t header_length;
};

/*
 * Counters of an interface, since it was made: ifTable and ifXTable of RFC
 * 2863. One that the agent does not know has all bits set.
 */
struct sflow_direction {
	uint64_t octets;
	uint32_t unicast, multicast, broadcast; /* packets */
	uint32_t discards, errors;
};

struct sflow_counters {
	uint32_t interface; /* ifIndex */
	uint32_t type;	    /* ifType */
	uint64_t speed;	    /* bits a second */
	struct sflow_direction in, out;
};

enum sflow_item {
	SFLOW_END, /* no more, or reason says why not */
	SFLOW_PACKET,
	SFLOW_COUNTERS,
};

struct sflow_reader {
	struct addr agent;
	uint32_t sub_agent;
	uint32_t sequence;
	uint32_t uptime_ms;
	const char *reason;    /* why it can't be read on, or NULL */
	struct sflow_counters counters; /* of SFLOW_COUNTERS */
	/* Samples of counters that had none of interfaces. */
	uint32_t counter_samples;
	uint32_t other_samples, other_records;
	/* Private: */
	struct reader datagram, sample;
	uint32_t samples, records;
	bool in_counters, understood;
	struct sflow_packet common;
};

/* Does this datagram look like sFlow version 5? */
static inline bool
sflow_is(const uint8_t *p, size_t length)
{
	return length >= 28 && wire_get32(p) == 5;
}

/* 0, or -EBADMSG and reason. */
int sflow_open(struct sflow_reader *r, const uint8_t *p, size_t length);
/* The next packet, or counters. */
enum sflow_item sflow_next(struct sflow_reader *r, struct sflow_packet *packet);

#endif
