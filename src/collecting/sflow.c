/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * sFlow agents as exporters: each sampled packet becomes a record with a packet
 * section, its sampling rate and its interfaces, of the Observation Domain that
 * is the agent's sub-agent. A sample has no time of its own: it is that of the
 * datagram's arrival. Sequence numbers count datagrams: a gap tells how many
 * are missing, not how many samples were in them.
 *
 * Counters of an interface become Options Data about it, so that nobody adds
 * them to those of Flows; speed, status and errors have no element of IANA's
 * and are left out.
 */
#include <errno.h>

#include "conflux/sflow.h"
#include "process.h"

enum {
	FIXED = 4 + 4 + 4 + 2 + 8, /* octets before the section */
	GAP_MAX = 1 << 20,	   /* datagrams; more is a new beginning */
	LATE_MAX = 1024,	   /* datagrams back */
	LATE_MS = 60000,	   /* likewise, of the agent's uptime */
	COUNTERS_SHAPE = 3,	   /* place in sflow_shape, behind sections */
	COUNTERS_MAX = 128,	   /* octets of their record, and more */
};

/* The section that a header protocol goes into, or 0. */
static uint16_t
section_element(uint32_t protocol)
{
	switch (protocol) {
	case SFLOW_ETHERNET:
		return IE_dataLinkFrameSection;
	case SFLOW_IPV4:
	case SFLOW_IPV6:
		return IE_ipHeaderPacketSection;
	case SFLOW_MPLS:
		return IE_mplsLabelStackSection;
	default:
		return 0;
	}
}

/* Held by the process; NULL: no memory. */
static const struct shape *
shape_for(struct collecting *c, uint16_t section)
{
	const uint16_t id[] = {IE_samplingInterval, IE_ingressInterface,
			       IE_egressInterface, IE_dataLinkFrameSize,
			       IE_observationTimeMilliseconds, section};
	unsigned which = section == IE_dataLinkFrameSection    ? 0
			 : section == IE_ipHeaderPacketSection ? 1
							       : 2;
	struct field field[6];

	if (c->sflow_shape[which])
		return c->sflow_shape[which];
	for (int i = 0; i < 6; i++) {
		field[i].ie = ie_find(c->conf.registry, 0, id[i]);
		if (!field[i].ie)
			return NULL;
		field[i].length = i < 5 ? field[i].ie->length : IE_VARIABLE;
	}
	if (shape_get(c->conf.shapes, field, 6, 0, &c->sflow_shape[which]) < 0)
		return NULL;
	return c->sflow_shape[which];
}

/* Of counters: ifIndex as the scope, then what record_counters writes. */
static const struct shape *
counters_shape(struct collecting *c)
{
	static const uint16_t id[] = {
		IE_ingressInterface,
		IE_observationTimeMilliseconds,
		IE_ingressInterfaceType,
		IE_octetTotalCount,
		IE_ingressUnicastPacketTotalCount,
		IE_ingressMulticastPacketTotalCount,
		IE_ingressBroadcastPacketTotalCount,
		IE_droppedPacketTotalCount,
		IE_postOctetTotalCount,
		IE_egressUnicastPacketTotalCount,
		IE_postMCastPacketTotalCount,
		IE_egressBroadcastPacketTotalCount,
		IE_notSentPacketTotalCount,
	};
	enum { COUNT = sizeof(id) / sizeof(*id) };
	const struct shape **shape = &c->sflow_shape[COUNTERS_SHAPE];
	struct field field[COUNT];

	for (int i = 0; i < COUNT && !*shape; i++) {
		field[i].ie = ie_find(c->conf.registry, 0, id[i]);
		if (!field[i].ie)
			return NULL;
		field[i].length = field[i].ie->length;
	}
	if (!*shape && shape_get(c->conf.shapes, field, COUNT, 1, shape) < 0)
		return NULL;
	return *shape;
}

static void
write_direction(struct writer *w, const struct sflow_direction *d)
{
	writer_u64(w, d->octets);
	writer_u64(w, d->unicast);
	writer_u64(w, d->multicast);
	writer_u64(w, d->broadcast);
	writer_u64(w, d->discards);
}

static void
forward_counters(struct domain *domain, const struct sflow_counters *counters,
		 uint64_t ms)
{
	uint8_t record[COUNTERS_MAX];
	struct batch batch = {
		.shape = counters_shape(domain->session->process),
		.scope = domain->scope,
		.base = record,
		.count = 1,
		.export_ms = ms,
		.received_ms = ms,
	};
	struct writer w;

	if (!batch.shape) {
		account_lost(domain, LOSS_NO_MEMORY, 1);
		return;
	}
	writer_init(&w, record, sizeof(record));
	writer_u32(&w, counters->interface);
	writer_u64(&w, ms);
	writer_u32(&w, counters->type);
	write_direction(&w, &counters->in);
	write_direction(&w, &counters->out);
	batch.stride = (uint32_t)(w.p - record);
	data_forward(domain, &batch);
}

static void
forward_packet(struct domain *domain, const struct sflow_packet *p,
	       uint16_t section, uint64_t ms)
{
	struct collecting *c = domain->session->process;
	uint8_t record[FIXED + 3 + SFLOW_HEADER_MAX];
	uint32_t offset[2] = {0, 0}, size = p->frame_length;
	struct batch batch = {
		.shape = shape_for(c, section),
		.scope = domain->scope,
		.base = record,
		.count = 1,
		.offset = offset,
		.export_ms = ms,
		.received_ms = ms,
	};
	struct writer w;

	domain->ledger.in++;
	c->stage.ledger.in++;
	domain->session->counters.records++;
	if (!batch.shape || p->header_length > SFLOW_HEADER_MAX) {
		enum loss loss = batch.shape ? LOSS_TOO_LONG : LOSS_NO_MEMORY;

		domain->ledger.lost[loss]++;
		c->stage.ledger.lost[loss]++;
		return;
	}
	if (size > p->stripped)
		size -= p->stripped;
	writer_init(&w, record, sizeof(record));
	writer_u32(&w, p->rate);
	writer_u32(&w, p->input);
	writer_u32(&w, p->output);
	writer_u16(&w, size < UINT16_MAX ? (uint16_t)size : UINT16_MAX);
	writer_u64(&w, ms);
	writer_varlen(&w, p->header, p->header_length);
	offset[1] = (uint32_t)(w.p - record);
	if (!c->stage.next_count) {
		domain->ledger.filtered++;
		c->stage.ledger.filtered++;
		return;
	}
	domain->ledger.exported++;
	c->stage.ledger.exported++;
	stage_forward(&c->stage, &batch);
}

/* More datagrams did not come, or one less: it did after all. */
static void
account_missing(struct domain *domain, int32_t datagrams)
{
	domain->sflow_missing += (uint32_t)datagrams;
	account_gap(domain, (uint64_t)(int64_t)datagrams);
}

/* False: it has been here before. */
static bool
account_sequence(struct domain *domain, const struct sflow_reader *r)
{
	struct counters *counters = &domain->session->counters;
	int32_t step = (int32_t)(r->sequence - domain->sflow_sequence);
	uint32_t back_ms = domain->uptime_ms - r->uptime_ms;
	bool known = domain->sflow_started &&
		     addr_equal(&domain->scope->exporter, &r->agent);

	if (known && step == 0 && back_ms == 0) {
		counters->duplicates++;
		counters->discarded++;
		return false;
	}
	if (known && step < 0 && step > -LATE_MAX && back_ms < LATE_MS) {
		counters->late++;
		if (domain->sflow_missing)
			account_missing(domain, -1);
		return true;
	}
	if (!known || step < 0 || step > GAP_MAX) {
		counters->restarts += known;
		domain->sflow_missing = 0;
	} else if (step > 1) {
		account_missing(domain, step - 1);
		complain(domain->session, COMPLAINT_SEQUENCE,
			 "sFlow sub-agent %u: %d datagrams are missing",
			 domain->scope->domain, step - 1);
	}
	domain->sflow_started = true;
	domain->scope->exporter = r->agent;
	domain->sflow_sequence = r->sequence;
	domain->uptime_ms = r->uptime_ms;
	return true;
}

static int
discard(struct session *session, size_t length, const char *why)
{
	session->counters.discarded++;
	complain(session, COMPLAINT_MESSAGE,
		 "an sFlow datagram of %zu octets is discarded: %s", length,
		 why);
	return 0;
}

int
sflow_datagram(struct session *session, const uint8_t *p, size_t length)
{
	struct sflow_reader reader;
	struct sflow_packet packet;
	struct domain *domain;
	enum sflow_item item;
	uint32_t other = 0;

	session->counters.messages++;
	if (sflow_open(&reader, p, length) < 0)
		return discard(session, length, reader.reason);
	/* One that has nothing in it is no reason to make a domain. */
	item = sflow_next(&reader, &packet);
	if (item == SFLOW_END && reader.reason && !reader.counter_samples &&
	    !reader.other_samples)
		return discard(session, length, reader.reason);
	domain = session_domain(session, PROTOCOL_SFLOW, reader.sub_agent);
	if (!domain)
		return discard(session, length, "too many sub-agents");
	domain->used_ms = session->process->now_ms;
	domain->messages++;
	if (!account_sequence(domain, &reader))
		return 0;
	for (; item; item = sflow_next(&reader, &packet)) {
		uint64_t ms = session->net->last_ms;
		uint16_t section = item == SFLOW_PACKET
					   ? section_element(packet.protocol)
					   : 0;

		if (item == SFLOW_COUNTERS)
			forward_counters(domain, &reader.counters, ms);
		else if (section)
			forward_packet(domain, &packet, section, ms);
		else
			other++;
	}
	session->counters.unknown_sets += reader.counter_samples +
					  reader.other_samples + other;
	if (reader.reason) {
		account_lost(domain, LOSS_MALFORMED, 1);
		complain(session, COMPLAINT_MESSAGE,
			 "sFlow sub-agent %u: a datagram is malformed (%s): "
			 "its rest is discarded, at least 1 record is lost",
			 domain->scope->domain, reader.reason);
	}
	return 0;
}
