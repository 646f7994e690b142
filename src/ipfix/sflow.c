/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * See sflow.h. Numbers are XDR: 32 bits, network byte order. Samples and
 * records have a format and a length, so unknown ones can be stepped over; a
 * length that reaches beyond what is around it ends the datagram.
 */
#include "conflux/sflow.h"

#include <errno.h>

enum {
	ADDRESS_IPV4 = 1,
	ADDRESS_IPV6 = 2,
	SAMPLE_FLOW = 1,
	SAMPLE_COUNTERS = 2,
	SAMPLE_FLOW_EXPANDED = 3,
	SAMPLE_COUNTERS_EXPANDED = 4,
	RECORD_RAW_HEADER = 1,
	RECORD_INTERFACE = 1, /* of counters */
	INTERFACE_UNKNOWN = 0x3fffffff,
};

int
sflow_open(struct sflow_reader *r, const uint8_t *p, size_t length)
{
	struct reader *d = &r->datagram;
	const uint8_t *address;
	uint32_t kind;

	*r = (struct sflow_reader){0};
	reader_init(d, p, length);
	reader_u32(d); /* the version, see sflow_is */
	kind = reader_u32(d);
	if (kind != ADDRESS_IPV4 && kind != ADDRESS_IPV6) {
		r->reason = "the kind of the agent's address is unknown";
		return -EBADMSG;
	}
	r->agent.version = kind == ADDRESS_IPV4 ? 4 : 6;
	address = reader_take(d, kind == ADDRESS_IPV4 ? 4 : 16);
	if (address)
		memcpy(r->agent.bytes, address, kind == ADDRESS_IPV4 ? 4 : 16);
	r->sub_agent = reader_u32(d);
	r->sequence = reader_u32(d);
	r->uptime_ms = reader_u32(d);
	r->samples = reader_u32(d);
	if (d->failed) {
		r->reason = "it is too short for its header";
		return -EBADMSG;
	}
	return 0;
}

/* Two bits say what kind of number it is: 0 is an ifIndex. */
static uint32_t
interface(uint32_t v)
{
	return v >> 30 == 0 && v != INTERFACE_UNKNOWN ? v : 0;
}

static uint32_t
expanded_interface(struct reader *s)
{
	uint32_t format = reader_u32(s), value = reader_u32(s);

	return format == 0 && value != UINT32_MAX ? value : 0;
}

static void
open_flow(struct sflow_reader *r, bool expanded)
{
	struct reader *s = &r->sample;
	struct sflow_packet *c = &r->common;

	reader_u32(s); /* sequence number of the sample */
	reader_u32(s); /* source */
	if (expanded)
		reader_u32(s);
	*c = (struct sflow_packet){.rate = reader_u32(s)};
	c->pool = reader_u32(s);
	c->drops = reader_u32(s);
	if (expanded) {
		c->input = expanded_interface(s);
		c->output = expanded_interface(s);
	} else {
		c->input = interface(reader_u32(s));
		c->output = interface(reader_u32(s));
	}
	r->records = reader_u32(s);
	if (s->failed)
		r->reason = "a sample is too short for its header";
}

static void
open_counters(struct sflow_reader *r, bool expanded)
{
	struct reader *s = &r->sample;

	reader_u32(s); /* sequence number of the sample */
	reader_u32(s); /* source */
	if (expanded)
		reader_u32(s);
	r->records = reader_u32(s);
	if (s->failed)
		r->reason = "a sample is too short for its header";
}

/* The last sample had counters, but none that we know. */
static void
end_counters(struct sflow_reader *r)
{
	if (r->in_counters && !r->understood)
		r->counter_samples++;
	r->in_counters = false;
	r->understood = false;
}

/* Goes into the next sample. False: there is none. */
static bool
next_sample(struct sflow_reader *r)
{
	end_counters(r);
	while (r->samples) {
		uint32_t format = reader_u32(&r->datagram);
		uint32_t length = reader_u32(&r->datagram);
		const uint8_t *p = reader_take(&r->datagram, length);

		if (!p) {
			r->reason = "a sample goes on beyond its end";
			r->samples = 0;
			return false;
		}
		r->samples--;
		reader_init(&r->sample, p, length);
		if (format == SAMPLE_FLOW || format == SAMPLE_FLOW_EXPANDED) {
			open_flow(r, format == SAMPLE_FLOW_EXPANDED);
			return true;
		}
		if (format == SAMPLE_COUNTERS ||
		    format == SAMPLE_COUNTERS_EXPANDED) {
			r->in_counters = true;
			open_counters(r, format == SAMPLE_COUNTERS_EXPANDED);
			return true;
		}
		r->other_samples++;
	}
	return false;
}

static void
read_direction(struct reader *s, struct sflow_direction *d)
{
	d->octets = reader_u64(s);
	d->unicast = reader_u32(s);
	d->multicast = reader_u32(s);
	d->broadcast = reader_u32(s);
	d->discards = reader_u32(s);
	d->errors = reader_u32(s);
}

/* False: it is too short for them. */
static bool
read_counters(struct sflow_counters *c, const uint8_t *p, uint32_t length)
{
	struct reader s;

	reader_init(&s, p, length);
	c->interface = reader_u32(&s);
	c->type = reader_u32(&s);
	c->speed = reader_u64(&s);
	reader_u32(&s); /* direction: half or full duplex */
	reader_u32(&s); /* status */
	read_direction(&s, &c->in);
	reader_u32(&s); /* unknown protocols */
	read_direction(&s, &c->out);
	reader_u32(&s); /* promiscuous mode */
	return !s.failed;
}

static enum sflow_item
read_record(struct sflow_reader *r, struct sflow_packet *packet)
{
	uint32_t format = reader_u32(&r->sample);
	uint32_t length = reader_u32(&r->sample);
	const uint8_t *p = reader_take(&r->sample, length);
	struct reader h;

	r->records--;
	if (!p) {
		r->reason = "a record goes on beyond its sample";
		r->records = 0;
		return SFLOW_END;
	}
	if (r->in_counters && format == RECORD_INTERFACE &&
	    read_counters(&r->counters, p, length)) {
		r->understood = true;
		return SFLOW_COUNTERS;
	}
	if (r->in_counters || format != RECORD_RAW_HEADER) {
		r->other_records++;
		return SFLOW_END;
	}
	reader_init(&h, p, length);
	*packet = r->common;
	packet->protocol = reader_u32(&h);
	packet->frame_length = reader_u32(&h);
	packet->stripped = reader_u32(&h);
	packet->header_length = reader_u32(&h);
	packet->header = reader_take(&h, packet->header_length);
	if (!packet->header)
		r->reason = "a packet header goes on beyond its record";
	return packet->header ? SFLOW_PACKET : SFLOW_END;
}

enum sflow_item
sflow_next(struct sflow_reader *r, struct sflow_packet *packet)
{
	for (;;) {
		while (r->records) {
			enum sflow_item item = read_record(r, packet);

			if (item != SFLOW_END)
				return item;
		}
		if (!next_sample(r))
			return SFLOW_END;
	}
}
