/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Sampling renormalisation: counters of packets and octets are multiplied by
 * how many packets one of those that were taken stands for. That is told, in an
 * order of the configuration, by the record itself, by the Options Data of the
 * selector, sampler or Selection Sequence that it names, by those of its
 * Observation Domain, or by the configuration, for an exporter or for all.
 *
 * What passes says so, as a collector behind would multiply once more:
 * sampling parameters become those of one in one, in Options Data, too, and a
 * record without any gets samplingInterval 1, or 0 if nothing is known of it
 * and its counters are as they came. Counters become 64 bits wide; one that
 * would be more stays at the most, and is counted.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "conflux/mediation.h"
#include "conflux/sampling.h"
#include "conflux/wire.h"
#include "shape_map.h"

enum { BUFFER = 128 * 1024 };

enum piece_kind {
	PIECE_COPY,
	PIECE_COUNTER, /* to 64 bits */
	PIECE_TELL,    /* samplingInterval */
};

/* Fields of the record that become fields of what passes, at the same place. */
struct piece {
	enum piece_kind kind;
	uint16_t first, end;
};

/* A sampling parameter, which gets this number. */
struct parameter {
	uint16_t field;
	uint8_t one;
};

struct renormalize_plan {
	struct shape_made made;
	const struct shape *to; /* held; NULL: records pass as they are */
	bool counters;
	bool own;    /* the record has sampling parameters */
	int name[3]; /* Selection Sequence, selector, sampler: field or -1 */
	bool alike;  /* all records of a batch have the same rate */
	unsigned piece_count, parameter_count;
	struct piece *piece;
	struct parameter *parameter;
};

struct renormalize_stage {
	struct stage stage;
	struct renormalize_conf conf;
	struct sampling sampling;
	struct shape_map plans;
	double rate[BATCH_MAX]; /* of the records of the batch; 0: unknown */
	uint8_t *buffer;
	uint32_t offset[BATCH_MAX + 1];
	uint32_t
		at[SHAPE_FIELDS_MAX + 1]; /* where the fields of a record are */
	uint64_t by[RENORMALIZE_ORIGINS], unknown, saturated;
};

/* ---- elements ---------------------------------------------------------- */

/*
 * Counters of what a Flow's packets are, not of what a process did with them
 * (exported, ignored, observed), and no sums of squares.
 */
static bool
is_counter(const struct field *field)
{
	static const uint16_t id[] = {
		IE_octetDeltaCount,
		IE_packetDeltaCount,
		IE_postMCastPacketDeltaCount,
		IE_postMCastOctetDeltaCount,
		IE_postOctetDeltaCount,
		IE_postPacketDeltaCount,
		IE_octetTotalCount,
		IE_packetTotalCount,
		IE_droppedOctetDeltaCount,
		IE_droppedPacketDeltaCount,
		IE_droppedOctetTotalCount,
		IE_droppedPacketTotalCount,
		IE_postOctetTotalCount,
		IE_postPacketTotalCount,
		IE_postMCastPacketTotalCount,
		IE_postMCastOctetTotalCount,
		IE_tcpSynTotalCount,
		IE_tcpFinTotalCount,
		IE_tcpRstTotalCount,
		IE_tcpPshTotalCount,
		IE_tcpAckTotalCount,
		IE_tcpUrgTotalCount,
		IE_initiatorOctets,
		IE_responderOctets,
		IE_initiatorPackets,
		IE_responderPackets,
		IE_layer2OctetDeltaCount,
		IE_layer2OctetTotalCount,
		IE_transportOctetDeltaCount,
		IE_transportPacketDeltaCount,
		IE_postLayer2OctetDeltaCount,
		IE_postMCastLayer2OctetDeltaCount,
		IE_postLayer2OctetTotalCount,
		IE_postMCastLayer2OctetTotalCount,
		IE_droppedLayer2OctetDeltaCount,
		IE_droppedLayer2OctetTotalCount,
	};
	const struct ie *ie = field->ie;

	if ((ie->pen != 0 && ie->pen != IE_PEN_REVERSE) || field->length > 8)
		return false;
	for (size_t i = 0; i < sizeof(id) / sizeof(id[0]); i++)
		if (ie->id == id[i])
			return true;
	return false;
}

/* What a sampling parameter is if each packet is taken, or -1: it is none. */
static int
one_in_one(const struct ie *ie)
{
	if (ie->pen != 0)
		return -1;
	switch (ie->id) {
	case IE_samplingInterval:
	case IE_samplerRandomInterval:
	case IE_samplingPacketInterval:
	case IE_samplingTimeInterval:
	case IE_samplingSize:
	case IE_samplingPopulation:
	case IE_samplingProbability:
		return 1;
	case IE_samplingPacketSpace:
	case IE_samplingTimeSpace:
		return 0;
	default:
		return -1;
	}
}

/* ---- plans ------------------------------------------------------------- */

static void
free_plan(struct shape_made *made)
{
	struct renormalize_plan *plan = (struct renormalize_plan *)made;

	shape_release(plan->to);
	free(plan->piece);
	free(plan->parameter);
	free(plan);
}

static void
add_piece(struct renormalize_plan *plan, enum piece_kind kind, unsigned field)
{
	struct piece *last = plan->piece + plan->piece_count - 1;

	if (kind == PIECE_COPY && plan->piece_count &&
	    last->kind == PIECE_COPY && last->end == field) {
		last->end++;
		return;
	}
	plan->piece[plan->piece_count++] = (struct piece){
		.kind = kind,
		.first = (uint16_t)field,
		.end = (uint16_t)(field + 1),
	};
}

static int
plan_fields(const struct renormalize_stage *s, const struct shape *shape,
	    struct renormalize_plan *plan, struct field *out)
{
	unsigned count = shape->count;

	for (unsigned i = 0; i < shape->count; i++) {
		bool counter =
			shape->scope_count == 0 && is_counter(&shape->field[i]);
		int one = one_in_one(shape->field[i].ie);

		out[i] = shape->field[i];
		if (counter)
			out[i].length = 8;
		add_piece(plan, counter ? PIECE_COUNTER : PIECE_COPY, i);
		plan->counters |= counter;
		if (one < 0 || shape->field[i].length > 8 ||
		    i < shape->scope_count)
			continue;
		plan->parameter[plan->parameter_count++] = (struct parameter){
			.field = (uint16_t)i, .one = (uint8_t)one};
		plan->own = true;
	}
	if (shape->scope_count ? !plan->own : !plan->counters)
		return 0;
	if (!shape->scope_count && !plan->own) {
		add_piece(plan, PIECE_TELL, count);
		out[count++] = (struct field){
			.ie = ie_find(s->conf.registry, 0, IE_samplingInterval),
			.length = 4,
		};
	}
	return shape_get(s->conf.shapes, out, (uint16_t)count,
			 shape->scope_count, &plan->to);
}

static int
make_plan(struct renormalize_stage *s, const struct shape *shape,
	  struct renormalize_plan **out)
{
	static const uint16_t name[3] = {IE_selectionSequenceId, IE_selectorId,
					 IE_samplerId};
	struct renormalize_plan *plan = calloc(1, sizeof(*plan));
	struct field *field = calloc(shape->count + 1u, sizeof(*field));
	int rc = -ENOMEM;

	if (plan) {
		plan->piece = calloc(shape->count + 1u, sizeof(*plan->piece));
		plan->parameter =
			calloc(shape->count + 1u, sizeof(*plan->parameter));
		for (int i = 0; i < 3; i++)
			plan->name[i] = shape_find(shape, 0, name[i], 0);
	}
	if (plan && field && plan->piece && plan->parameter)
		rc = plan_fields(s, shape, plan, field);
	free(field);
	if (rc == -EINVAL) /* no room for more: as it is */
		rc = 0;
	if (rc < 0) {
		if (plan)
			free_plan(&plan->made);
		return rc;
	}
	plan->alike = !plan->own && plan->name[0] < 0 && plan->name[1] < 0 &&
		      plan->name[2] < 0;
	*out = plan;
	return shape_map_add(&s->plans, shape, 0, &plan->made);
}

/* ---- rates ------------------------------------------------------------- */

static double
rate_by_selector(struct renormalize_stage *s,
		 const struct renormalize_plan *plan, const struct batch *batch,
		 const uint8_t *record, uint32_t size)
{
	const struct scope *scope = batch->scope;
	uint64_t id;

	for (int i = 0; i < 3; i++) {
		double rate;

		if (!shape_uint(batch->shape, plan->name[i], record, size, &id))
			continue;
		rate = sampling_find(&s->sampling, scope,
				     i ? IE_selectorId : IE_selectionSequenceId,
				     id);
		if (rate > 0)
			return rate;
	}
	return scope->fact_mask >> FACT_SAMPLING_INTERVAL & 1
		       ? (double)scope->fact[FACT_SAMPLING_INTERVAL]
		       : 0;
}

static double
rate_by_exporter(const struct renormalize_stage *s, const struct scope *scope)
{
	for (unsigned i = 0; i < s->conf.exporter_count; i++) {
		const struct renormalize_exporter *e = &s->conf.exporter[i];

		if (addr_equal_host(&e->addr, &scope->exporter))
			return e->interval;
	}
	return 0;
}

static double
rate_by(struct renormalize_stage *s, enum renormalize_origin origin,
	const struct renormalize_plan *plan, const struct batch *batch,
	const uint8_t *record, uint32_t size)
{
	switch (origin) {
	case RENORMALIZE_RECORD:
		return plan->own ? sampling_rate(batch->shape, record, size)
				 : 0;
	case RENORMALIZE_SELECTOR:
		return rate_by_selector(s, plan, batch, record, size);
	case RENORMALIZE_DOMAIN:
		return sampling_find(&s->sampling, batch->scope,
				     IE_observationDomainId, 0);
	case RENORMALIZE_EXPORTER:
		return rate_by_exporter(s, batch->scope);
	default:
		return s->conf.interval;
	}
}

/* The first that is known, for so many records; 0: none. */
static double
find_rate(struct renormalize_stage *s, const struct renormalize_plan *plan,
	  const struct batch *batch, uint32_t first, uint32_t count)
{
	uint32_t size;
	const uint8_t *record = batch_record(batch, first, &size);

	for (unsigned i = 0; i < s->conf.order_count; i++) {
		enum renormalize_origin origin = s->conf.order[i];
		double rate = rate_by(s, origin, plan, batch, record, size);

		if (rate > 0) {
			s->by[origin] += count;
			return rate;
		}
	}
	s->unknown += count;
	return 0;
}

static void
find_rates(struct renormalize_stage *s, const struct renormalize_plan *plan,
	   const struct batch *batch)
{
	bool options = batch->shape->scope_count > 0;
	double rate = 1; /* what options tell from now on */

	if (!options && plan->alike)
		rate = find_rate(s, plan, batch, 0, batch->count);
	for (uint32_t i = 0; i < batch->count; i++)
		s->rate[i] = options || plan->alike
				     ? rate
				     : find_rate(s, plan, batch, i, 1);
}

/* ---- records ----------------------------------------------------------- */

/* Rounded; rates are mostly whole numbers, and these are exact. */
static inline uint64_t
scale(struct renormalize_stage *s, uint64_t count, double rate)
{
	uint64_t whole = (uint64_t)rate, product;
	long double real;

	if (rate <= 0 || count == 0)
		return count;
	if (rate < 4294967296.0 && (double)whole == rate) {
		if (!__builtin_mul_overflow(count, whole, &product))
			return product;
	} else {
		real = (long double)count * (long double)rate + 0.5L;
		if (real < 18446744073709551615.0L)
			return (uint64_t)real;
	}
	s->saturated++;
	return UINT64_MAX;
}

/* In the record as it goes out. */
static void
put_one(const struct shape *shape, uint8_t *record, uint32_t size,
	const struct parameter *parameter)
{
	uint32_t length;
	const uint8_t *p =
		shape_field(shape, parameter->field, record, size, &length);
	uint8_t *to = record + (p - record);

	if (!p)
		return;
	memset(to, 0, length);
	if (shape->field[parameter->field].ie->type == IE_FLOAT64) {
		/* 1.0, as a float64 or a float32 */
		to[0] = 0x3f;
		to[1] = length == 8 ? 0xf0 : 0x80;
	} else if (length) {
		to[length - 1] = parameter->one;
	}
}

static void
put_parameters(const struct renormalize_plan *plan, uint8_t *record,
	       uint32_t size, double rate)
{
	for (unsigned i = 0; rate > 0 && i < plan->parameter_count; i++)
		put_one(plan->to, record, size, &plan->parameter[i]);
}

/* The record as it goes out; its length. */
static uint32_t
make_record(struct renormalize_stage *s, const struct renormalize_plan *plan,
	    const uint8_t *record, double rate, uint8_t *out)
{
	uint8_t *to = out;

	for (unsigned i = 0; i < plan->piece_count; i++) {
		const struct piece *piece = &plan->piece[i];
		const uint8_t *p = record + s->at[piece->first];
		uint32_t length =
			piece->kind == PIECE_TELL
				? 0
				: s->at[piece->end] - s->at[piece->first];

		switch (piece->kind) {
		case PIECE_COPY:
			memcpy(to, p, length);
			to += length;
			break;
		case PIECE_COUNTER:
			wire_put64(to,
				   scale(s, wire_get_uint(p, length), rate));
			to += 8;
			break;
		case PIECE_TELL:
			wire_put32(to, rate > 0);
			to += 4;
			break;
		}
	}
	put_parameters(plan, out, (uint32_t)(to - out), rate);
	return (uint32_t)(to - out);
}

/* No counter has less than one octet. */
static uint32_t
most_of(const struct renormalize_plan *plan, uint32_t length)
{
	return length + 8 * plan->piece_count;
}

static void
make_records(struct renormalize_stage *s, const struct renormalize_plan *plan,
	     const struct batch *batch, uint32_t *next, struct batch *out)
{
	uint32_t used = 0, n = 0, size, length;

	for (; *next < batch->count; ++*next) {
		const uint8_t *record = batch_record(batch, *next, &size);

		if (n && BUFFER - used < most_of(plan, size))
			break;
		shape_offsets(batch->shape, record, s->at);
		length = make_record(s, plan, record, s->rate[*next],
				     s->buffer + used);
		if (length > SHAPE_RECORD_MAX) {
			s->stage.ledger.lost[LOSS_TOO_LONG]++;
			continue;
		}
		s->offset[n++] = used;
		used += length;
	}
	s->offset[n] = used;
	out->count = n;
}

/* The fields of a piece in all records, of which rate has the rates. */
static void
make_column(struct renormalize_stage *s, const struct renormalize_plan *plan,
	    const struct piece *piece, const struct batch *batch,
	    const uint8_t *from, const double *rate, uint32_t count)
{
	const struct shape *in = batch->shape, *out = plan->to;
	uint8_t *to = s->buffer + out->field[piece->first].offset;
	uint32_t length = 0;

	for (unsigned i = piece->first; i < piece->end && i < in->count; i++)
		length += in->field[i].length;
	if (piece->kind != PIECE_TELL)
		from += in->field[piece->first].offset;
	if (piece->kind == PIECE_COPY)
		column_copy(to, out->min_length, from, batch->stride, length,
			    count);
	for (uint32_t i = 0; piece->kind != PIECE_COPY && i < count;
	     i++, to += out->min_length, from += batch->stride) {
		if (piece->kind == PIECE_TELL)
			wire_put32(to, rate[i] > 0);
		else
			wire_put64(to, scale(s, wire_get_uint(from, length),
					     rate[i]));
	}
}

/* Of records that have a constant length. */
static void
make_columns(struct renormalize_stage *s, const struct renormalize_plan *plan,
	     const struct batch *batch, uint32_t *next, struct batch *out)
{
	const uint8_t *from = batch->base + (size_t)*next * batch->stride;
	const double *rate = s->rate + *next;
	uint32_t count = batch->count - *next, stride = plan->to->min_length;

	if (count > BUFFER / stride)
		count = BUFFER / stride;
	for (unsigned i = 0; i < plan->piece_count; i++)
		make_column(s, plan, &plan->piece[i], batch, from, rate, count);
	for (uint32_t i = 0; i < count && plan->parameter_count; i++)
		put_parameters(plan, s->buffer + (size_t)i * stride, stride,
			       rate[i]);
	*next += count;
	out->count = count;
}

static void
renormalize_stage_run(struct stage *stage, const struct batch *batch)
{
	struct renormalize_stage *s = (struct renormalize_stage *)stage;
	struct renormalize_plan *plan =
		(struct renormalize_plan *)shape_map_find(&s->plans,
							  batch->shape, 0);
	struct batch out = *batch;
	uint32_t next = 0;

	stage->ledger.in += batch->count;
	if (batch->shape->scope_count)
		sampling_learn(&s->sampling, batch);
	if (!plan && make_plan(s, batch->shape, &plan) < 0) {
		stage->ledger.lost[LOSS_NO_MEMORY] += batch->count;
		return;
	}
	if (!plan->to) {
		stage->ledger.exported += batch->count;
		stage_forward(stage, batch);
		return;
	}
	out.shape = plan->to;
	out.base = s->buffer;
	out.stride = plan->to->variable ? 0 : plan->to->min_length;
	out.offset = s->offset;
	find_rates(s, plan, batch);
	while (next < batch->count) {
		if (batch->stride && !batch->shape->variable)
			make_columns(s, plan, batch, &next, &out);
		else
			make_records(s, plan, batch, &next, &out);
		stage->ledger.exported += out.count;
		if (out.count)
			stage_forward(stage, &out);
	}
}

/* ---- the stage --------------------------------------------------------- */

static void
renormalize_stage_scope_end(struct stage *stage, const struct scope *scope)
{
	struct renormalize_stage *s = (struct renormalize_stage *)stage;

	sampling_forget(&s->sampling, scope);
	stage_pass_scope_end(stage, scope);
}

/* Behind us it is the Template of another shape. */
static void
renormalize_stage_template_end(struct stage *stage, const struct scope *scope,
			       const struct shape *shape)
{
	struct renormalize_stage *s = (struct renormalize_stage *)stage;
	const struct renormalize_plan *plan =
		(struct renormalize_plan *)shape_map_find(&s->plans, shape, 0);

	stage_pass_template_end(stage, scope,
				plan && plan->to ? plan->to : shape);
}

const char *
renormalize_origin_name(enum renormalize_origin origin)
{
	static const char *const name[RENORMALIZE_ORIGINS] = {
		[RENORMALIZE_RECORD] = "record",
		[RENORMALIZE_SELECTOR] = "selector",
		[RENORMALIZE_DOMAIN] = "domain",
		[RENORMALIZE_EXPORTER] = "exporter",
		[RENORMALIZE_CONFIGURED] = "configuration",
	};

	return name[origin];
}

static void
renormalize_stage_report(struct stage *stage, struct report *report)
{
	const struct renormalize_stage *s =
		(const struct renormalize_stage *)stage;

	report_open(report, "renormalize");
	report_open(report, "rateBy");
	for (int i = 0; i < RENORMALIZE_ORIGINS; i++)
		report_uint(report,
			    renormalize_origin_name((enum renormalize_origin)i),
			    s->by[i]);
	report_uint(report, "unknown", s->unknown);
	report_close(report);
	report_uint(report, "saturatedCounters", s->saturated);
	report_uint(report, "selectorsRefused", s->sampling.refused);
	report_close(report);
}

static void
renormalize_stage_free(struct stage *stage)
{
	struct renormalize_stage *s = (struct renormalize_stage *)stage;

	shape_map_fini(&s->plans);
	sampling_fini(&s->sampling);
	free(s->conf.exporter);
	free(s->buffer);
	free(s);
}

static const struct stage_ops renormalize_stage_ops = {
	.run = renormalize_stage_run,
	.scope_end = renormalize_stage_scope_end,
	.template_end = renormalize_stage_template_end,
	.report = renormalize_stage_report,
	.free = renormalize_stage_free,
};

int
renormalize_stage_new(const struct renormalize_conf *conf, struct stage **out)
{
	struct renormalize_stage *s = calloc(1, sizeof(*s));
	size_t size = conf->exporter_count * sizeof(*conf->exporter);

	if (!s)
		return -ENOMEM;
	s->stage.ops = &renormalize_stage_ops;
	s->stage.name = conf->name;
	s->conf = *conf;
	s->conf.exporter = malloc(size + 1);
	s->plans.free = free_plan;
	s->buffer = malloc(BUFFER);
	if (!s->conf.exporter || !s->buffer) {
		renormalize_stage_free(&s->stage);
		return -ENOMEM;
	}
	if (size)
		memcpy(s->conf.exporter, conf->exporter, size);
	*out = &s->stage;
	return 0;
}
