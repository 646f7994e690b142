/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Data Sets (RFC 7011 section 3.4.3) cut into batches. Nothing is copied: a
 * batch points into the message.
 *
 * RFC 7011 section 3.3.1: a set may end with padding, which is shorter than any
 * record of it. So with records of fixed length what is left over is padding,
 * unless it is too long for an alignment and not zero: then a record was cut
 * off. With variable-length fields the shortest record may be a few octets, and
 * exporters pad to four octets all the same; up to three zeros at the end are
 * taken as padding, since a record of them would say nothing.
 */
#include "process.h"

enum { ALIGNMENT = 8 };

static bool
all_zero(const uint8_t *p, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		if (p[i])
			return false;
	return true;
}

void
data_forward(struct domain *domain, const struct batch *all)
{
	struct session *session = domain->session;
	struct stage *stage = &session->process->stage;
	const struct batch *batch = all;
	struct batch rest;

	if (session->receiver->acknowledges) {
		rest = *all;
		batch = &rest;
		if (acknowledge_takes(domain, &rest))
			return;
	}
	session->counters.records += batch->count;
	domain->ledger.in += batch->count;
	stage->ledger.in += batch->count;
	if (batch->shape->scope_count)
		options_learn(domain, batch);
	if (domain->loop) {
		domain->ledger.lost[LOSS_LOOP] += batch->count;
		stage->ledger.lost[LOSS_LOOP] += batch->count;
		return;
	}
	if (!stage->next_count) {
		domain->ledger.filtered += batch->count;
		stage->ledger.filtered += batch->count;
		return;
	}
	domain->ledger.exported += batch->count;
	stage->ledger.exported += batch->count;
	stage_forward(stage, batch);
}

static void
forward(struct domain *domain, struct template *template, struct batch *batch)
{
	template->data_records += batch->count;
	if (domain->protocol == PROTOCOL_NETFLOW9)
		netflow_forward(domain, batch);
	else
		data_forward(domain, batch);
}

static uint32_t
read_fixed(struct domain *domain, struct template *template,
	   struct batch *batch, const uint8_t *p, uint32_t length,
	   uint32_t *bad)
{
	uint32_t stride = batch->shape->min_length;
	uint32_t records = length / stride;
	uint32_t rest = length - records * stride;

	batch->stride = stride;
	for (uint32_t i = 0; i < records; i += batch->count) {
		batch->base = p + (size_t)i * stride;
		batch->count =
			records - i < BATCH_MAX ? records - i : BATCH_MAX;
		forward(domain, template, batch);
	}
	if (rest && (rest >= ALIGNMENT || !records) &&
	    !all_zero(p + length - rest, rest))
		*bad = rest;
	return records;
}

static uint32_t
read_variable(struct domain *domain, struct template *template,
	      struct batch *batch, const uint8_t *p, uint32_t length,
	      uint32_t *bad)
{
	const struct shape *shape = batch->shape;
	uint32_t offset[BATCH_MAX + 1];
	uint32_t records = 0, at = 0, rest;
	bool cut = false;

	batch->stride = 0;
	batch->offset = offset;
	batch->base = p;
	batch->count = 0;
	while (length - at >= shape->min_length) {
		int n;

		if (length - at < 4 && all_zero(p + at, length - at))
			break;
		n = shape_record_length(shape, p + at, length - at);
		cut = n <= 0;
		if (cut)
			break;
		offset[batch->count++] = at;
		at += (uint32_t)n;
		offset[batch->count] = at;
		records++;
		if (batch->count == BATCH_MAX) {
			forward(domain, template, batch);
			batch->count = 0;
		}
	}
	if (batch->count)
		forward(domain, template, batch);
	rest = length - at;
	if (cut || ((rest >= ALIGNMENT || !records) && !all_zero(p + at, rest)))
		*bad = rest;
	return records;
}

uint32_t
data_read(struct domain *domain, struct template *template, const uint8_t *p,
	  uint32_t length, const struct arrival *arrival, uint32_t *bad)
{
	/* Options may be about their own Template: it may get another one. */
	const struct shape *shape = shape_hold(template->shape);
	struct batch batch = {
		.shape = shape,
		.scope = domain->scope,
		.export_ms = arrival->export_ms,
		.received_ms = arrival->received_ms,
		.flow_keys = template->flow_keys,
	};
	uint32_t records;

	*bad = 0;
	domain->arrival = arrival;
	origin_reading(domain);
	template->accessed_ms = arrival->received_ms;
	records = shape->variable ? read_variable(domain, template, &batch, p,
						  length, bad)
				  : read_fixed(domain, template, &batch, p,
					       length, bad);
	if (*bad) {
		complain(domain->session, COMPLAINT_DATA,
			 "domain %u: data set %u: the last %u octets are no "
			 "record of its template: at least 1 record is lost; "
			 "%u before it are used",
			 domain->scope->domain, template->id, *bad, records);
		account_lost(domain, LOSS_MALFORMED, 1);
	}
	shape_release(shape);
	return records;
}
