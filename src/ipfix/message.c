/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * IPFIX Messages.
 *
 * RFC 7011 section 3.1: a message is a header of 16 octets and sets; its length
 * field counts all of it. Section 3.3: a set is a header of 4 octets (id,
 * length with the header) and records, perhaps padded. Nothing is allowed
 * behind the last set, so octets that cannot be a set header make the message
 * malformed, but not the sets before them.
 *
 * What we write has no padding: section 3.3.1 leaves it to the Exporting
 * Process, and whoever wants alignment can have paddingOctets in the Template.
 */
#include "conflux/message.h"

#include <assert.h>
#include <errno.h>

#include "conflux/template.h"

enum {
	TEMPLATE_HEADER = 4,
	OPTIONS_TEMPLATE_HEADER = 6,
};

int
message_frame(const uint8_t *p, size_t have)
{
	uint16_t length;

	if (have >= 2 && wire_get16(p) != MESSAGE_VERSION)
		return -EBADMSG;
	if (have < 4)
		return 0;
	length = wire_get16(p + 2);
	return length >= MESSAGE_HEADER ? length : -EBADMSG;
}

static int
malformed(struct message_reader *reader, const char *reason)
{
	reader->reason = reason;
	reader->p = reader->end;
	return -EBADMSG;
}

int
message_open(struct message_reader *reader, const uint8_t *p, size_t length)
{
	struct message_header *header = &reader->header;

	*reader = (struct message_reader){.p = p, .end = p + length};
	if (length < MESSAGE_HEADER)
		return malformed(reader, "shorter than a message header");
	header->version = wire_get16(p);
	header->length = wire_get16(p + 2);
	header->export_time = wire_get32(p + 4);
	header->sequence = wire_get32(p + 8);
	header->domain = wire_get32(p + 12);
	if (header->version != MESSAGE_VERSION)
		return malformed(reader, "version is not 10");
	if (header->length < MESSAGE_HEADER)
		return malformed(reader, "length is less than the header's");
	if (header->length > length)
		return malformed(reader, "length is more than what came");
	if (header->length < length)
		return malformed(reader, "length is less than what came");
	reader->p += MESSAGE_HEADER;
	return 0;
}

bool
message_next_set(struct message_reader *reader, struct set *set)
{
	size_t left = (size_t)(reader->end - reader->p);
	uint16_t length;

	if (left == 0)
		return false;
	if (left < SET_HEADER) {
		malformed(reader, "octets behind the last set");
		return false;
	}
	set->id = wire_get16(reader->p);
	length = wire_get16(reader->p + 2);
	if (length < SET_HEADER) {
		malformed(reader, "set length is less than its header's");
		return false;
	}
	if (length > left) {
		malformed(reader, "set reaches behind the message");
		return false;
	}
	set->content = reader->p + SET_HEADER;
	set->length = length - SET_HEADER;
	reader->p += length;
	return true;
}

void
message_begin(struct message_writer *w, uint8_t *buffer, uint32_t limit,
	      uint32_t domain)
{
	assert(limit >= MESSAGE_HEADER && limit <= MESSAGE_MAX);
	*w = (struct message_writer){
		.buffer = buffer,
		.limit = limit,
		.length = MESSAGE_HEADER,
	};
	wire_put16(buffer, MESSAGE_VERSION);
	wire_put32(buffer + 8, 0);
	wire_put32(buffer + 12, domain);
}

static void
close_set(struct message_writer *w)
{
	if (w->set)
		wire_put16(w->buffer + w->set + 2,
			   (uint16_t)(w->length - w->set));
	w->set = 0;
}

/*
 * Withdrawals are kept out of the sets that define: nothing in RFC 7011 8.1
 * asks for it, but RFC 5101 section 8 did, and readers of its age still live.
 */
static bool
set_is_open(const struct message_writer *w, uint16_t set_id, bool withdrawal)
{
	return w->set && w->set_id == set_id && w->withdrawal == withdrawal;
}

/* Room in a set with this id, opened if need be; NULL if there is none. */
static uint8_t *
take(struct message_writer *w, uint16_t set_id, bool withdrawal,
     uint32_t length)
{
	bool open = set_is_open(w, set_id, withdrawal);
	uint32_t need = length + (open ? 0 : SET_HEADER);
	uint8_t *p;

	if (need > w->limit - w->length)
		return NULL;
	if (!open) {
		close_set(w);
		w->set = w->length;
		w->set_id = set_id;
		w->withdrawal = withdrawal;
		wire_put16(w->buffer + w->set, set_id);
		w->length += SET_HEADER;
	}
	p = w->buffer + w->length;
	w->length += length;
	return p;
}

int
message_add_template(struct message_writer *w, uint16_t id,
		     const struct shape *shape)
{
	bool options = shape->scope_count > 0;
	uint32_t length = options ? OPTIONS_TEMPLATE_HEADER : TEMPLATE_HEADER;
	uint8_t *p;

	for (uint16_t i = 0; i < shape->count; i++)
		length += shape->field[i].ie->pen ? 8 : 4;
	p = take(w, options ? SET_OPTIONS_TEMPLATE : SET_TEMPLATE, false,
		 length);
	if (!p)
		return -ENOSPC;
	wire_put16(p, id);
	wire_put16(p + 2, shape->count);
	if (options)
		wire_put16(p + 4, shape->scope_count);
	p += options ? OPTIONS_TEMPLATE_HEADER : TEMPLATE_HEADER;
	for (uint16_t i = 0; i < shape->count; i++) {
		const struct field *field = &shape->field[i];
		uint32_t pen = field->ie->pen;

		wire_put16(p, (uint16_t)(field->ie->id |
					 (pen ? FIELD_ENTERPRISE : 0)));
		wire_put16(p + 2, field->length);
		p += 4;
		if (pen) {
			wire_put32(p, pen);
			p += 4;
		}
	}
	return 0;
}

int
message_add_withdrawal(struct message_writer *w, uint16_t set_id, uint16_t id)
{
	uint8_t *p = take(w, set_id, true, TEMPLATE_HEADER);

	if (!p)
		return -ENOSPC;
	wire_put16(p, id);
	wire_put16(p + 2, 0);
	return 0;
}

uint32_t
message_room(const struct message_writer *w, uint16_t set_id)
{
	uint32_t room = w->limit - w->length;

	if (set_is_open(w, set_id, false))
		return room;
	return room > SET_HEADER ? room - SET_HEADER : 0;
}

uint8_t *
message_add_data(struct message_writer *w, uint16_t set_id, uint32_t length,
		 uint32_t records)
{
	uint8_t *p = take(w, set_id, false, length);

	assert(p);
	w->records += records;
	return p;
}

uint32_t
message_end(struct message_writer *w, uint32_t export_time)
{
	close_set(w);
	wire_put16(w->buffer + 2, (uint16_t)w->length);
	wire_put32(w->buffer + 4, export_time);
	return w->length;
}

void
message_set_sequence(uint8_t *message, uint32_t sequence)
{
	wire_put32(message + 8, sequence);
}
