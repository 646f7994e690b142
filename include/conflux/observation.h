/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Observation Points: packets become records. A capture (an interface, files)
 * or a stage that receives packet records of others gives frames to an
 * observer; the observer finds the headers, writes one record for each packet
 * with just those elements that the stages behind it want, and passes them on
 * as batches of fixed shapes. From there on a packet is a record with
 * packetDeltaCount 1 like any other.
 *
 *	frames -> header walk -> struct packet -> records by class -> next[]
 */
#ifndef CONFLUX_OBSERVATION_H
#define CONFLUX_OBSERVATION_H

#include <stdbool.h>
#include <stdint.h>

#include "conflux/stage.h"

struct event_base;

/* ---- frames -------------------------------------------------------------- */

enum frame_direction {
	FRAME_INGRESS = 0, /* values of flowDirection (61) */
	FRAME_EGRESS = 1,
	FRAME_UNKNOWN = 255,
};

/* Link types of our own, beside the LINKTYPE_ numbers of pcap. */
enum {
	LINK_MPLS = 0x10001, /* an MPLS label stack and what follows */
};

/* A packet as it was captured. The octets are valid during the call. */
struct frame {
	const uint8_t *data;
	uint32_t length;      /* octets that are there */
	uint32_t wire_length; /* octets that were on the wire */
	uint64_t time_ns;     /* since 1970 */
	uint32_t link;        /* LINKTYPE_* of pcap, or LINK_* */
	uint32_t interface;   /* ifIndex of the capture, 0: not known */
	uint32_t egress;      /* ifIndex it left by, 0: not known */
	uint32_t weight;      /* packets that it stands for (sampled before);
			       * 1: itself alone */
	uint8_t direction;    /* enum frame_direction */
};

/* ---- the observer -------------------------------------------------------- */

/* Tunnels that are seen through, as a set. */
enum tunnel {
	TUNNEL_IPIP = 1 << 0,  /* IP in IP, 6in4, IPv6 in IPv6 */
	TUNNEL_GRE = 1 << 1,
	TUNNEL_ERSPAN = 1 << 2,
	TUNNEL_VXLAN = 1 << 3,
	TUNNEL_GENEVE = 1 << 4,
	TUNNEL_GTPU = 1 << 5,
	TUNNEL_TEREDO = 1 << 6,
};

struct observer_conf {
	const char *name;    /* kept by the caller */
	uint32_t domain;     /* observationDomainId */
	uint32_t point_id;   /* observationPointId */
	unsigned tunnels;    /* enum tunnel; 0: the outermost IP header counts */
	unsigned tunnel_depth; /* how many are seen through at most */
	uint32_t max_fragments; /* datagrams whose later fragments get the
				 * ports of their first; 0: none */
	uint32_t fragment_ms;   /* how long one is remembered */
	uint32_t duplicate_us;  /* copies of a packet within that time are
				 * left out; 0: none is */
	uint32_t max_duplicates; /* packets remembered for it */
	bool non_ip;         /* frames without an IP packet are metered too */
	bool scale;          /* counters are multiplied by the weight */
};

/*
 * The stage. It has no run: packets come by observer_frames. 0, -ENOMEM, or
 * -EINVAL with *error, a constant text.
 */
int observer_new(const struct observer_conf *conf, struct ie_registry *registry,
		 struct shape_table *shapes, struct stage **out,
		 const char **error);

/*
 * A stage behind the observer wants this element of each packet. length: octets
 * for octetArrays (packet sections), IE_VARIABLE or 0: as many as there are.
 * Asking twice is the same as once. 0; -ENOENT: a packet does not tell it (the
 * cache may have it from elsewhere); -ENOMEM. Before the first frame.
 */
int observer_want(struct stage *observer, const struct ie *ie, uint16_t length);

/* Whether packets tell this element: for conflux check. */
bool observer_knows(const struct ie *ie);

/*
 * Adds the elements of packets that IANA lacks: fragmentPacketDeltaCount, of
 * the number for documentation (RFC 5612). 0, -ENOMEM, -ENOSPC.
 */
int observer_elements_add(struct ie_registry *registry);

/*
 * Meters up to BATCH_MAX frames. All their records have been passed on when it
 * returns. Callers end a block when packet time moves on by OBSERVER_BLOCK_MS,
 * because a block is one moment for the timeouts behind.
 */
enum { OBSERVER_BLOCK_MS = 100 };
void observer_frames(struct stage *observer, const struct frame *frames,
		     uint32_t count);

/* Packets that never came: dropped by the kernel, by the interface. */
void observer_lost(struct stage *observer, uint64_t kernel, uint64_t interface);
/* Packets that a BPF filter has left out, as far as the capture counts them. */
void observer_filtered(struct stage *observer, uint64_t packets);

/* ---- captures ------------------------------------------------------------ */

enum capture_direction {
	CAPTURE_BOTH,
	CAPTURE_INGRESS,
	CAPTURE_EGRESS,
};

struct capture_conf {
	const char *name;       /* of the Observation Point, for messages */
	struct stage *observer;
	const char *filter;     /* BPF expression, or NULL */
	/* Either an interface: */
	const char *interface;  /* name, "any" too; NULL: files */
	enum capture_direction direction;
	uint32_t snap_length;   /* octets, 0: 262144 */
	uint32_t buffer_octets; /* of the kernel, 0: 16 MiB */
	bool immediate;         /* no buffering: for slow links */
	bool promiscuous;
	uint16_t fanout;        /* PACKET_FANOUT group, 0: none */
	bool follows;           /* another capture of the group counts what
				 * the interface drops */
	/* or files, one after the other, "-": standard input. */
	const char *const *files;
	unsigned file_count;
	/* A finite capture has ended (from the event loop). */
	void (*finished)(void *arg);
	void *arg;
};

struct capture;

/*
 * Opens it; packets come once the event loop runs. A negative errno: *error is
 * a message for the user (to be freed) or NULL. Files are opened one by one
 * later, but the first here.
 */
int capture_open(struct event_base *base, const struct capture_conf *conf,
		 struct capture **out, char **error);
/* Ends it: no packet comes after; what was counted can still be reported. */
void capture_stop(struct capture *capture);
/* Stops and frees it. NULL is legal. */
void capture_close(struct capture *capture);
/* Adds what is known of it to the open report. */
void capture_report(struct capture *capture, struct report *report);
/* Octets read and to be read in all, 0: not known (a live interface, a pipe). */
void capture_progress(const struct capture *capture, uint64_t *done,
		      uint64_t *total);
/*
 * The interface that it captures, or NULL; and what the kernel has dropped of
 * it since the last call. Any thread may ask, until the capture is closed.
 */
const char *capture_interface(const struct capture *capture);
uint64_t capture_take_drops(struct capture *capture);
/* Do these octets begin a capture file, pcap or pcapng? For messages. */
bool capture_is_file(const uint8_t *p, size_t length);
/* Whether a BPF expression is right; *error is to be freed. For check. */
int capture_filter_check(const char *filter, char **error);

/* ---- packets of others --------------------------------------------------- */

/*
 * A stage that takes packet records (dataLinkFrameSection,
 * ipHeaderPacketSection, mplsLabelStackSection, ... of RFC 5477 and RFC 7133)
 * and gives the packets in them to an observer. Owns nothing but itself.
 */
int remote_new(const char *name, struct stage *observer, struct stage **out);

#endif
