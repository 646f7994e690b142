/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Exporters of NetFlow, over UDP. A datagram of version 9 is read as a message
 * of IPFIX is: its FlowSets are Sets, its Templates go into the same store, its
 * Source ID is an Observation Domain. Records of version 5 have one layout; the
 * domain is the engine. ipfix/netflow_plan.c says what becomes of the records.
 *
 * RFC 3954 section 5.1: sequence numbers of version 9 count messages of the
 * Source ID, so a gap tells how many messages are lost; version 5 counts flows.
 *
 * RFC 3954 section 9: Templates do not outlive a restart of the exporter. It is
 * one when sysUpTime goes back, to less than has passed since the message
 * before: the line cards of a router may well have different ones under one
 * Source ID. A wrap of sysUpTime is none.
 */
#include <errno.h>
#include <stdlib.h>

#include "process.h"

enum {
	NETFLOW_PLANS = 64, /* cache of plans, a power of two */
	FLOWS5_MAX = 30,    /* flows in a datagram of version 5 */
	LATE_MS = 60000,    /* by the clock of the exporter */
	WRAP_MS = 60000,    /* how far clock and sysUpTime may be apart */
	SECOND_MS = 2000,   /* its clock tells seconds: in doubt at both ends */
	OUT = 2 * 65536 + NETFLOW_GROWTH, /* any record, see netflow_convert */
};

/* Of one Collecting Process, so that they are warm for all of its domains. */
struct netflow {
	const struct shape *shape5;   /* held, NULL until it is needed */
	struct netflow_plan plan5[4]; /* by what is added */
	struct netflow_plan plan[NETFLOW_PLANS];
	uint8_t out[OUT];
};

void
netflow_free(struct netflow *netflow)
{
	if (!netflow)
		return;
	shape_release(netflow->shape5);
	for (int i = 0; i < 4; i++)
		netflow_plan_fini(&netflow->plan5[i]);
	for (int i = 0; i < NETFLOW_PLANS; i++)
		netflow_plan_fini(&netflow->plan[i]);
	free(netflow);
}

/* ---- records ----------------------------------------------------------- */

/* What of the header of version 5 becomes part of its records. */
static unsigned
added(const struct arrival *arrival)
{
	unsigned add = 0;

	if (arrival->interval)
		add |= NETFLOW_ADD_INTERVAL;
	if (arrival->interval && arrival->sampling)
		add |= NETFLOW_ADD_ALGORITHM;
	return add;
}

/* How records of this shape are made into those of IPFIX; NULL: they can't. */
static const struct netflow_plan *
plan_for(struct domain *domain, const struct shape *shape)
{
	struct collecting *c = domain->session->process;
	unsigned add = 0;
	struct netflow_plan *plan;

	if (domain->protocol == PROTOCOL_NETFLOW5) {
		add = added(domain->arrival);
		plan = &c->netflow->plan5[add];
	} else {
		plan = &c->netflow->plan[shape->serial % NETFLOW_PLANS];
	}
	if (plan->from != shape->serial &&
	    netflow_plan(plan, c->conf.registry, c->conf.shapes, shape, add))
		return NULL;
	return plan;
}

static struct netflow_header
header_of(const struct domain *domain)
{
	const struct arrival *arrival = domain->arrival;

	return (struct netflow_header){
		.uptime_ms = arrival->uptime_ms,
		.export_ms = arrival->export_ms,
		.domain = domain->scope->domain,
		.sampling = arrival->sampling,
		.interval = arrival->interval,
	};
}

/* A batch that is being filled in netflow.out. */
struct filling {
	struct domain *domain;
	struct batch batch;
	uint32_t offset[BATCH_MAX + 1];
};

static void
flush(struct filling *f)
{
	if (f->batch.count)
		data_forward(f->domain, &f->batch);
	f->batch.count = 0;
	f->offset[0] = 0;
}

static void
add_record(struct filling *f, const struct netflow_plan *plan,
	   const uint8_t *record, uint32_t length)
{
	const struct netflow_header header = header_of(f->domain);
	uint8_t *out = f->domain->session->process->netflow->out;
	uint32_t at, made;

	if (OUT - f->offset[f->batch.count] < 2 * length + NETFLOW_GROWTH)
		flush(f);
	at = f->offset[f->batch.count];
	made = netflow_convert(plan, &header, record, length, out + at,
			       OUT - at);
	if (!made) {
		account_lost(f->domain, LOSS_MALFORMED, 1);
		return;
	}
	f->offset[++f->batch.count] = at + made;
}

static void
forward_fixed(struct domain *domain, const struct netflow_plan *plan,
	      const struct batch *batch, struct batch *out)
{
	const struct netflow_header header = header_of(domain);
	uint8_t *octets = domain->session->process->netflow->out;

	out->stride = plan->to->min_length;
	for (uint32_t i = 0; i < batch->count; i += out->count) {
		out->count = OUT / out->stride;
		if (out->count > batch->count - i)
			out->count = batch->count - i;
		netflow_convert_fixed(plan, &header,
				      batch->base + i * batch->stride,
				      out->count, octets);
		data_forward(domain, out);
	}
}

void
netflow_forward(struct domain *domain, const struct batch *batch)
{
	const struct netflow_plan *plan = plan_for(domain, batch->shape);
	struct filling f = {.domain = domain, .batch = *batch};

	if (!plan) {
		account_lost(domain, LOSS_NO_MEMORY, batch->count);
		return;
	}
	if (!plan->to) {
		data_forward(domain, batch);
		return;
	}
	f.batch.shape = plan->to;
	f.batch.base = domain->session->process->netflow->out;
	f.batch.flow_keys = 0; /* fields may have other places */
	if (plan->fixed) {
		forward_fixed(domain, plan, batch, &f.batch);
		return;
	}
	f.batch.stride = plan->to->variable ? 0 : plan->to->min_length;
	f.batch.offset = f.offset;
	f.batch.count = 0;
	for (uint32_t i = 0; i < batch->count; i++) {
		uint32_t length;
		const uint8_t *record = batch_record(batch, i, &length);

		add_record(&f, plan, record, length);
	}
	flush(&f);
}

/* ---- messages ---------------------------------------------------------- */

static int
discard(struct session *session, size_t length, unsigned version,
	const char *why)
{
	session->counters.discarded++;
	complain(session, COMPLAINT_MESSAGE,
		 "a datagram of %zu octets of NetFlow version %u is discarded: "
		 "%s",
		 length, version, why);
	return 0;
}

/* It was overtaken by the last one. */
static bool
is_late(const struct domain *domain, const struct netflow_header *header)
{
	return header->export_ms < domain->export_ms &&
	       domain->export_ms - header->export_ms <= LATE_MS;
}

/* Was the exporter started since the last message? */
static bool
is_restart(const struct domain *domain, const struct netflow_header *header)
{
	uint64_t passed_ms = header->export_ms - domain->export_ms;
	int64_t apart_ms;

	if (!domain->export_ms || header->uptime_ms >= domain->uptime_ms ||
	    is_late(domain, header))
		return false;
	/* It has no clock of its own when it is switched off. */
	if (header->export_ms < domain->export_ms)
		return true;
	/* As far on as the clock is a wrap. */
	apart_ms = (int64_t)(header->uptime_ms - domain->uptime_ms) -
		   (int64_t)passed_ms;
	if (apart_ms > -WRAP_MS && apart_ms < WRAP_MS)
		return false;
	return header->uptime_ms <= passed_ms + SECOND_MS;
}

static void
follow_clock(struct domain *domain, const struct netflow_header *header)
{
	struct session *session = domain->session;
	uint32_t templates;

	if (is_restart(domain, header)) {
		held_drop(domain);
		options_drop(domain);
		templates = template_store_drop(session->templates,
						domain->scope->domain);
		sequence_restart(&domain->first.sequence);
		session->counters.restarts++;
		complain(session, COMPLAINT_SESSION,
			 "Source ID %u: its sysUpTime went back, so the "
			 "exporter was restarted: %u Templates are forgotten",
			 domain->scope->domain, templates);
	} else if (is_late(domain, header)) {
		return;
	}
	domain->uptime_ms = header->uptime_ms;
	domain->export_ms = header->export_ms;
}

/* Exporters fill up their messages with zeros, or to four octets. */
static bool
is_filling(const uint8_t *p, size_t length)
{
	if (length < SET_HEADER)
		return true;
	while (length && !*p) {
		p++;
		length--;
	}
	return !length;
}

static void
read9(struct domain *domain, struct message_reader *reader,
      const uint8_t *message, size_t length, const struct arrival *arrival)
{
	size_t used =
		domain_read_sets(domain, reader, message, length, arrival);

	if (reader->reason && !is_filling(message + used, length - used))
		domain_bad_rest(domain, reader->reason,
				(uint32_t)(length - used));
}

static void
read5(struct domain *domain, const struct netflow_header *header,
      const uint8_t *message, size_t length, const struct arrival *arrival)
{
	struct collecting *c = domain->session->process;
	uint32_t fit = (uint32_t)(length - NETFLOW5_HEADER) / NETFLOW5_RECORD;
	uint32_t count = header->count < fit ? header->count : fit;
	uint32_t cut = header->count - count;
	struct batch batch = {
		.shape = c->netflow->shape5,
		.scope = domain->scope,
		.stride = NETFLOW5_RECORD,
		.export_ms = arrival->export_ms,
		.received_ms = arrival->received_ms,
	};

	domain->arrival = arrival;
	for (uint32_t i = 0; i < count; i += batch.count) {
		batch.base =
			message + NETFLOW5_HEADER + (size_t)i * NETFLOW5_RECORD;
		batch.count = count - i < BATCH_MAX ? count - i : BATCH_MAX;
		netflow_forward(domain, &batch);
	}
	if (cut) {
		/* What it claims is believed only as far as it is possible. */
		if (header->count > FLOWS5_MAX)
			cut = 1;
		domain->session->counters.discarded++;
		account_lost(domain, LOSS_MALFORMED, cut);
		complain(domain->session, COMPLAINT_MESSAGE,
			 "engine %u: a message says that it has %u flows, but "
			 "there are octets of %u only",
			 domain->scope->domain, header->count, count);
	}
	domain->records = count + cut;
}

/* What is needed to read this version is there, or made. */
static int
prepare(struct collecting *c, uint16_t version)
{
	if (!c->netflow)
		c->netflow = calloc(1, sizeof(*c->netflow));
	if (!c->netflow)
		return -ENOMEM;
	if (version == NETFLOW9_VERSION || c->netflow->shape5)
		return 0;
	return netflow5_shape(c->conf.registry, c->conf.shapes,
			      &c->netflow->shape5);
}

/* No room for another domain. */
static int
refuse_domain(struct session *session, const struct netflow_header *header,
	      struct message_reader *reader)
{
	/* What is in a message of version 5 is known. */
	if (header->version == NETFLOW5_VERSION) {
		struct ledger *sum = &session->process->stage.ledger;
		size_t fit =
			(size_t)(reader->end - reader->p) / NETFLOW5_RECORD;

		sum->in += fit;
		sum->lost[LOSS_LIMIT] += fit;
		reader->p = reader->end;
	}
	session_refuse_domain(session, reader);
	return 0;
}

int
netflow_datagram(struct session *session, const uint8_t *p, size_t length)
{
	struct netflow_header h;
	struct message_reader reader;
	struct arrival arrival;
	struct domain *domain;

	session->counters.messages++;
	if (netflow_open(&h, p, length))
		return discard(session, length, h.version,
			       "it is too short for its header");
	if (prepare(session->process, h.version))
		return discard(session, length, h.version, "no memory");
	reader = (struct message_reader){
		.header = {.version = h.version,
			   .length = (uint16_t)length,
			   .export_time = (uint32_t)(h.export_ms / 1000),
			   .sequence = h.sequence,
			   .domain = h.domain},
		.p = p + (h.version == NETFLOW5_VERSION ? NETFLOW5_HEADER
							: NETFLOW9_HEADER),
		.end = p + length,
	};
	domain = session_domain(session,
				h.version == NETFLOW5_VERSION
					? PROTOCOL_NETFLOW5
					: PROTOCOL_NETFLOW9,
				h.domain);
	if (!domain)
		return refuse_domain(session, &h, &reader);
	if (sequence_duplicate(&domain->first.sequence, &reader.header, p)) {
		session->counters.duplicates++;
		session->counters.discarded++;
		return 0;
	}
	session->version = h.version;
	if (h.version == NETFLOW9_VERSION)
		saved_restore(domain, &reader.header);
	domain_begin(domain);
	arrival = (struct arrival){
		.export_ms = h.export_ms,
		.received_ms = session->net->last_ms,
		.uptime_ms = h.uptime_ms,
		.interval = h.interval,
		.sampling = h.sampling,
	};
	if (h.version == NETFLOW5_VERSION) {
		read5(domain, &h, p, length, &arrival);
	} else {
		follow_clock(domain, &h);
		read9(domain, &reader, p, length, &arrival);
	}
	domain_end(domain, &reader.header);
	return 0;
}
