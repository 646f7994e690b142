/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Remote observation (draft-ietf-ipfix-reqs, Figure 2): packets that others have
 * captured come as records with packet sections (RFC 5477, RFC 7133, or the
 * Cisco elements 102 to 104), of any PSAMP exporter, or of sFlow agents. Each
 * becomes a frame again and goes to an observer, as if it had been captured
 * here; so selection, metering and export are the same.
 *
 * Which field says what is found out once for a shape. A packet gets its time
 * from the record; without one it is that of the Export Time. What it stands for
 * (its weight) is told by the record, or by the Options Data of the Selection
 * Sequence or selector that the record names. The flows are exported in the
 * Observation Domain of the Observation Point here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/ie.h"
#include "conflux/ntp.h"
#include "conflux/sampling.h"
#include "link.h"
#include "packet.h"

enum {
	PLANS_MAX = 512,
	JOINED_MAX = 65535, /* octets of sections that belong together */
	TYPE_WLAN = 2,	    /* dataLinkFrameType, RFC 7133 */
};

/* Fields of a shape, -1: it has none of it. */
struct plan {
	const struct shape *shape; /* held */
	int section, behind;       /* the packet; what follows it directly */
	uint32_t link;             /* that it begins with */
	int type, size, length, offset, exported;
	int time, ingress, egress, direction;
	int rate, sequence, selector;
	bool ratio; /* it may have sampling parameters */
};

struct remote {
	struct stage stage;
	struct stage *observer;
	unsigned plan_count;
	struct plan *plan[PLANS_MAX];
	struct plan *last;
	struct sampling sampling;
	uint64_t no_section, empty, options;
	/* The block. */
	struct frame frame[BATCH_MAX];
	uint32_t count;
	uint8_t *joined;
	uint32_t joined_used;
};

/* ---- plans ----------------------------------------------------------------- */

static int
find(const struct shape *shape, uint16_t id)
{
	return shape_find(shape, 0, id, 0);
}

/* The first of these elements that there is. */
static int
find_first(const struct shape *shape, const uint16_t *id, unsigned count)
{
	int field = -1;

	for (unsigned i = 0; i < count && field < 0; i++)
		field = find(shape, id[i]);
	return field;
}

static void
plan_section(struct plan *plan)
{
	static const struct {
		uint16_t section, behind;
		uint32_t link;
	} kind[] = {
		{IE_dataLinkFrameSection, 0, LINK_ETHERNET},
		{IE_layer2packetSectionData, 0, LINK_ETHERNET},
		{IE_mplsLabelStackSection, IE_mplsPayloadPacketSection,
		 LINK_MPLS},
		{IE_ipHeaderPacketSection, IE_ipPayloadPacketSection, LINK_RAW},
	};

	plan->section = plan->behind = -1;
	for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
		plan->section = find(plan->shape, kind[i].section);
		if (plan->section < 0)
			continue;
		plan->link = kind[i].link;
		if (kind[i].behind)
			plan->behind = find(plan->shape, kind[i].behind);
		return;
	}
}

static struct plan *
plan_new(const struct shape *shape)
{
	static const uint16_t time[] = {
		IE_observationTimeNanoseconds,  IE_observationTimeMicroseconds,
		IE_observationTimeMilliseconds, IE_observationTimeSeconds,
		IE_flowStartNanoseconds,        IE_flowStartMicroseconds,
		IE_flowStartMilliseconds,       IE_flowStartSeconds};
	static const uint16_t size[] = {IE_dataLinkFrameSize,
					IE_layer2packetSectionSize};
	static const uint16_t length[] = {IE_ipTotalLength, IE_totalLengthIPv4};
	static const uint16_t ratio[] = {
		IE_samplingPacketInterval, IE_samplingTimeInterval,
		IE_samplingSize, IE_samplingProbability};
	struct plan *plan = calloc(1, sizeof(*plan));

	if (!plan)
		return NULL;
	plan->shape = shape_hold(shape);
	plan_section(plan);
	plan->type = find(shape, IE_dataLinkFrameType);
	plan->size = find_first(shape, size, 2);
	plan->length = find_first(shape, length, 2);
	plan->offset = find(shape, IE_sectionOffset);
	plan->exported = find(shape, IE_sectionExportedOctets);
	plan->time = find_first(shape, time, 8);
	plan->ingress = find(shape, IE_ingressInterface);
	plan->egress = find(shape, IE_egressInterface);
	plan->direction = find(shape, IE_flowDirection);
	plan->rate = find(shape, IE_samplingInterval);
	plan->sequence = find(shape, IE_selectionSequenceId);
	plan->selector = find(shape, IE_selectorId);
	plan->ratio = find_first(shape, ratio, 4) >= 0;
	return plan;
}

static void
plan_free(struct plan *plan)
{
	shape_release(plan->shape);
	free(plan);
}

static struct plan *
plan_of(struct remote *r, const struct shape *shape)
{
	struct plan *plan = r->last;

	if (plan && plan->shape == shape)
		return plan;
	for (unsigned i = 0; i < r->plan_count; i++)
		if (r->plan[i]->shape == shape)
			return r->last = r->plan[i];
	if (r->plan_count == PLANS_MAX)
		while (r->plan_count)
			plan_free(r->plan[--r->plan_count]);
	plan = plan_new(shape);
	if (plan)
		r->plan[r->plan_count++] = plan;
	return r->last = plan;
}

/* ---- records ---------------------------------------------------------------- */

struct record {
	const struct plan *plan;
	const uint8_t *data;
	uint32_t size;
};

static uint64_t
number(const struct record *rec, int field, uint64_t fallback)
{
	uint64_t value = fallback;

	shape_uint(rec->plan->shape, field, rec->data, rec->size, &value);
	return value;
}

static uint64_t
time_of(const struct record *rec, uint64_t fallback_ns)
{
	const struct plan *plan = rec->plan;
	uint64_t v;

	if (plan->time < 0)
		return fallback_ns;
	v = number(rec, plan->time, 0);
	switch (plan->shape->field[plan->time].ie->type) {
	case IE_DATE_TIME_SECONDS:
		return v * NSEC_PER_SEC;
	case IE_DATE_TIME_MILLISECONDS:
		return v * 1000000;
	case IE_DATE_TIME_MICROSECONDS:
		return ntp_to_ns(v) / 1000 * 1000;
	default:
		return ntp_to_ns(v);
	}
}

/* How many packets it stands for. */
static uint32_t
weight_of(struct remote *r, const struct record *rec, const struct scope *scope)
{
	const struct plan *plan = rec->plan;
	uint64_t rate = number(rec, plan->rate, 0);
	double ratio;

	if (rate == 0 && plan->ratio) {
		ratio = sampling_ratio(plan->shape, rec->data, rec->size) + 0.5;
		rate = ratio < UINT32_MAX ? (uint64_t)ratio : UINT32_MAX;
	}
	if (rate == 0 && plan->sequence >= 0)
		return sampling_weight(&r->sampling, scope,
				       IE_selectionSequenceId,
				       number(rec, plan->sequence, 0));
	if (rate == 0 && plan->selector >= 0)
		return sampling_weight(&r->sampling, scope, IE_selectorId,
				       number(rec, plan->selector, 0));
	return rate <= 1 ? 1 : rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX;
}

/* enum frame_direction; later values of flowDirection are no direction. */
static uint8_t
direction_of(const struct record *rec)
{
	uint64_t direction = number(rec, rec->plan->direction, FRAME_UNKNOWN);

	return direction <= FRAME_EGRESS ? (uint8_t)direction : FRAME_UNKNOWN;
}

static uint32_t
link_of(const struct record *rec)
{
	const struct plan *plan = rec->plan;

	if (plan->link != LINK_ETHERNET || plan->type < 0)
		return plan->link;
	return number(rec, plan->type, 0) == TYPE_WLAN ? LINK_IEEE802_11
						       : LINK_ETHERNET;
}

/* Octets of a section; those of a fixed length may be padded. */
static const uint8_t *
section_of(const struct record *rec, int field, uint32_t *length)
{
	const struct plan *plan = rec->plan;
	const uint8_t *p = shape_field(plan->shape, field, rec->data, rec->size,
				       length);
	uint64_t exported;

	if (!p)
		*length = 0;
	if (!p || plan->shape->field[field].length == IE_VARIABLE)
		return p;
	exported = number(rec, plan->exported, *length);
	if (exported < *length)
		*length = (uint32_t)exported;
	return p;
}

static void
flush(struct remote *r)
{
	if (r->count)
		observer_frames(r->observer, r->frame, r->count);
	r->count = 0;
	r->joined_used = 0;
}

/*
 * The payload behind a header that is another field: joined in a buffer, unless
 * the header's section has it already. What is behind an IPv6 header is payload
 * (RFC 5477 section 8.5.2), extension headers too.
 */
static const uint8_t *
join(struct remote *r, const struct record *rec, const uint8_t *head,
     uint32_t *length)
{
	uint32_t more, header = *length;
	const uint8_t *p = section_of(rec, rec->plan->behind, &more);
	uint8_t *to;

	/* Of a header that is cut off it is not known where its payload is. */
	if (rec->plan->link == LINK_RAW)
		header = head[0] >> 4 != 4	 ? 40
			 : (head[0] & 0x0f) >= 5 ? (head[0] & 0x0fu) * 4
						 : UINT16_MAX;
	if (!p || header > *length || header + more <= *length ||
	    header + more > JOINED_MAX)
		return head;
	if (JOINED_MAX - r->joined_used < header + more)
		flush(r);
	to = r->joined + r->joined_used;
	memcpy(to, head, header);
	memcpy(to + header, p, more);
	*length = header + more;
	r->joined_used += *length;
	return to;
}

/* What was on the wire, as far as the record says. */
static uint64_t
wire_length(const struct record *rec, uint32_t there)
{
	uint64_t length = number(rec, rec->plan->size, 0);

	if (length == 0 && rec->plan->link == LINK_RAW)
		length = number(rec, rec->plan->length, 0);
	return length < there ? there
			      : length > UINT32_MAX ? UINT32_MAX : length;
}

static void
take(struct remote *r, const struct record *rec, const struct batch *batch)
{
	const struct plan *plan = rec->plan;
	uint32_t length;
	const uint8_t *data = section_of(rec, plan->section, &length);
	struct frame *frame;
	uint64_t ns;

	/* A section that begins elsewhere has no header at its front. */
	if (!data || length == 0 || number(rec, plan->offset, 0) != 0) {
		r->empty++;
		r->stage.ledger.filtered++;
		return;
	}
	ns = time_of(rec, batch->export_ms * 1000000);
	if (r->count && (r->count == BATCH_MAX ||
			 ns - r->frame[0].time_ns >
				 (uint64_t)OBSERVER_BLOCK_MS * 1000000))
		flush(r);
	/* After that, because a flush gives up what has been joined. */
	if (plan->behind >= 0)
		data = join(r, rec, data, &length);
	frame = &r->frame[r->count++];
	*frame = (struct frame){
		.data = data,
		.length = length,
		.wire_length = (uint32_t)wire_length(rec, length),
		.time_ns = ns,
		.link = link_of(rec),
		.interface = (uint32_t)number(rec, plan->ingress, 0),
		.egress = (uint32_t)number(rec, plan->egress, 0),
		.weight = weight_of(r, rec, batch->scope),
		.direction = direction_of(rec),
	};
	r->stage.ledger.exported++;
}

/* ---- the stage --------------------------------------------------------------- */

static void
remote_run(struct stage *stage, const struct batch *batch)
{
	struct remote *r = (struct remote *)stage;
	struct record rec;

	stage->ledger.in += batch->count;
	if (batch->shape->scope_count) {
		sampling_learn(&r->sampling, batch);
		r->options += batch->count;
		stage->ledger.filtered += batch->count;
		return;
	}
	rec.plan = plan_of(r, batch->shape);
	if (!rec.plan) {
		stage->ledger.lost[LOSS_NO_MEMORY] += batch->count;
		return;
	}
	if (rec.plan->section < 0) {
		r->no_section += batch->count;
		stage->ledger.filtered += batch->count;
		return;
	}
	for (uint32_t i = 0; i < batch->count; i++) {
		rec.data = batch_record(batch, i, &rec.size);
		take(r, &rec, batch);
	}
	/* The records are valid during the call. */
	flush(r);
}

static void
remote_scope_end(struct stage *stage, const struct scope *scope)
{
	sampling_forget(&((struct remote *)stage)->sampling, scope);
}

static bool
remote_congested(const struct stage *stage)
{
	return stage_congested(((const struct remote *)stage)->observer);
}

static void
remote_report(struct stage *stage, struct report *report)
{
	const struct remote *r = (const struct remote *)stage;

	report_uint(report, "recordsWithoutPacket", r->no_section);
	report_uint(report, "optionsDataRecords", r->options);
	report_uint(report, "selectorsRefused", r->sampling.refused);
	report_uint(report, "emptySections", r->empty);
}

static void
remote_free(struct stage *stage)
{
	struct remote *r = (struct remote *)stage;

	while (r->plan_count)
		plan_free(r->plan[--r->plan_count]);
	sampling_fini(&r->sampling);
	free(r->joined);
	free(r);
}

static const struct stage_ops remote_ops = {
	.run = remote_run,
	.scope_end = remote_scope_end,
	.congested = remote_congested,
	.report = remote_report,
	.free = remote_free,
};

int
remote_new(const char *name, struct stage *observer, struct stage **out)
{
	struct remote *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->stage.ops = &remote_ops;
	r->stage.name = name;
	r->observer = observer;
	r->joined = malloc(JOINED_MAX);
	if (!r->joined) {
		free(r);
		return -ENOMEM;
	}
	*out = &r->stage;
	return 0;
}
