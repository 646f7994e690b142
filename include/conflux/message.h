/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * IPFIX Messages (RFC 7011 section 3): framing, reading set by set, writing.
 * Pure functions of their input.
 */
#ifndef CONFLUX_MESSAGE_H
#define CONFLUX_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conflux/shape.h"
#include "conflux/wire.h"

enum {
	MESSAGE_VERSION = 10,
	MESSAGE_HEADER = 16, /* octets */
	SET_HEADER = 4,
	MESSAGE_MAX = 65535,
	FIELD_ENTERPRISE = 0x8000, /* bit in the id of a field, RFC 7011 3.2 */
};

struct message_header {
	uint16_t version;
	uint16_t length;
	uint32_t export_time; /* seconds since 1970 */
	uint32_t sequence;    /* Data Records sent before, modulo 2^32 */
	uint32_t domain;      /* Observation Domain ID */
};

/*
 * How many octets the message at the start of a stream has: > 0, 0 if more
 * octets are needed to tell, -EBADMSG if this is no IPFIX message.
 */
int message_frame(const uint8_t *p, size_t have);

struct set {
	uint16_t id;
	const uint8_t *content; /* behind the set header */
	uint32_t length;        /* of the content */
};

struct message_reader {
	struct message_header header;
	const uint8_t *p, *end;
	const char *reason; /* why it is malformed, constant text, or NULL */
};

/*
 * Starts to read a whole message. -EBADMSG: version, or length against the
 * header or against the octets at hand; reader->reason tells.
 */
int message_open(struct message_reader *reader, const uint8_t *p,
		 size_t length);

/*
 * The next set; false at the end, or at a set whose length is malformed
 * (reader->reason is set then; the sets before it are good). Sets with ids 0,
 * 1, 4 to 255 are returned like others: the caller skips and counts them.
 */
bool message_next_set(struct message_reader *reader, struct set *set);

/*
 * Writing. The caller gives the buffer (limit octets at most, MESSAGE_MAX) and
 * fills in the sequence number when the message is sent (message_set_sequence).
 * Template records and data of several sets can follow in any order; the
 * writer opens and closes sets as needed.
 */
struct message_writer {
	uint8_t *buffer;
	uint32_t limit;
	uint32_t length;   /* octets so far, header included; 0: not begun */
	uint32_t set;      /* offset of the open set, 0: none */
	uint16_t set_id;   /* of the open set */
	bool withdrawal;   /* the open set has withdrawals */
	uint32_t records;  /* Data Records (options included), for sequence */
};

void message_begin(struct message_writer *w, uint8_t *buffer, uint32_t limit,
		   uint32_t domain);

/* -ENOSPC: does not fit into this message; nothing was written. */
int message_add_template(struct message_writer *w, uint16_t id,
			 const struct shape *shape);
int message_add_withdrawal(struct message_writer *w, uint16_t set_id,
			   uint16_t id);

/* How many octets of records of this set still fit (set header deducted). */
uint32_t message_room(const struct message_writer *w, uint16_t set_id);

/*
 * Room for length octets that hold records Data Records of the set, which must
 * fit (message_room). The caller writes them.
 */
uint8_t *message_add_data(struct message_writer *w, uint16_t set_id,
			  uint32_t length, uint32_t records);

/* Closes it: lengths and export time are filled in. Returns the length. */
uint32_t message_end(struct message_writer *w, uint32_t export_time);
void message_set_sequence(uint8_t *message, uint32_t sequence);

#endif
