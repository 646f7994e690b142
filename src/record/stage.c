/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "conflux/stage.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

int
stage_link(struct stage *stage, struct stage *next)
{
	struct stage **list =
		realloc(stage->next, (stage->next_count + 1) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	stage->next = list;
	stage->next[stage->next_count++] = next;
	return 0;
}

void
stage_tick(struct stage *stage, uint64_t now_ms)
{
	if (stage->ops->tick)
		stage->ops->tick(stage, now_ms);
}

void
stage_scope_end(struct stage *stage, const struct scope *scope)
{
	if (stage->ops->scope_end)
		stage->ops->scope_end(stage, scope);
}

void
stage_pass_scope_end(const struct stage *stage, const struct scope *scope)
{
	for (unsigned i = 0; i < stage->next_count; i++)
		stage_scope_end(stage->next[i], scope);
}

void
stage_template_end(struct stage *stage, const struct scope *scope,
		   const struct shape *shape)
{
	if (stage->ops->template_end)
		stage->ops->template_end(stage, scope, shape);
	else
		stage_pass_template_end(stage, scope, shape);
}

void
stage_pass_template_end(const struct stage *stage, const struct scope *scope,
			const struct shape *shape)
{
	for (unsigned i = 0; i < stage->next_count; i++)
		stage_template_end(stage->next[i], scope, shape);
}

void
stage_cut(struct stage *stage)
{
	if (stage->ops->cut)
		stage->ops->cut(stage);
	else
		stage_pass_cut(stage);
}

void
stage_pass_cut(const struct stage *stage)
{
	for (unsigned i = 0; i < stage->next_count; i++)
		stage_cut(stage->next[i]);
}

void
stage_flush(struct stage *stage)
{
	if (stage->ops->flush)
		stage->ops->flush(stage);
}

bool
stage_congested(const struct stage *stage)
{
	if (stage->ops->congested)
		return stage->ops->congested(stage);
	for (unsigned i = 0; i < stage->next_count; i++)
		if (stage_congested(stage->next[i]))
			return true;
	return false;
}

bool
stage_drained(const struct stage *stage)
{
	return !stage->ops->drained || stage->ops->drained(stage);
}

void
stage_free(struct stage *stage)
{
	struct stage **next;

	if (!stage)
		return;
	next = stage->next;
	stage->ops->free(stage);
	free(next);
}

uint32_t
batch_gather(const struct batch *batch, const uint32_t *index, uint32_t count,
	     uint32_t more, uint8_t *buffer, uint32_t size, uint32_t *offset,
	     struct batch *out)
{
	uint32_t used = 0, n = 0, length;

	*out = *batch;
	out->base = buffer;
	if (batch->stride)
		out->stride = batch->stride + more;
	else
		out->offset = offset;
	for (; n < count; n++) {
		const uint8_t *record = batch_record(batch, index[n], &length);

		if (size - used < length + more)
			break;
		offset[n] = used;
		memcpy(buffer + used, record, length);
		used += length + more;
	}
	offset[n] = used;
	out->count = n;
	return n;
}

void
stage_forward_some(struct stage *stage, const struct batch *batch,
		   const uint32_t *index, uint32_t count, uint8_t *buffer,
		   uint32_t size, uint32_t *offset)
{
	struct batch out;

	while (count) {
		uint32_t n = batch_gather(batch, index, count, 0, buffer, size,
					  offset, &out);

		stage_forward(stage, &out);
		index += n;
		count -= n;
	}
}

static const uint16_t fact_element[FACT_COUNT] = {
	[FACT_OBSERVATION_POINT_ID] = IE_observationPointId,
	[FACT_METERING_PROCESS_ID] = IE_meteringProcessId,
	[FACT_SELECTION_SEQUENCE_ID] = IE_selectionSequenceId,
	[FACT_SELECTOR_ID] = IE_selectorId,
	[FACT_SELECTOR_ALGORITHM] = IE_selectorAlgorithm,
	[FACT_SAMPLING_PACKET_INTERVAL] = IE_samplingPacketInterval,
	[FACT_SAMPLING_PACKET_SPACE] = IE_samplingPacketSpace,
	[FACT_SAMPLING_TIME_INTERVAL] = IE_samplingTimeInterval,
	[FACT_SAMPLING_TIME_SPACE] = IE_samplingTimeSpace,
	[FACT_SAMPLING_SIZE] = IE_samplingSize,
	[FACT_SAMPLING_POPULATION] = IE_samplingPopulation,
	[FACT_SAMPLING_PROBABILITY] = IE_samplingProbability,
	[FACT_SAMPLING_INTERVAL] = IE_samplingInterval,
	[FACT_SAMPLING_ALGORITHM] = IE_samplingAlgorithm,
};

uint16_t
scope_fact_element(enum scope_fact fact)
{
	return fact_element[fact];
}

int
scope_fact_of(uint16_t element)
{
	for (int i = 0; i < FACT_COUNT; i++)
		if (fact_element[i] == element)
			return i;
	return -1;
}

void
scope_set_fact(struct scope *scope, enum scope_fact fact, uint64_t value)
{
	scope->fact_mask |= (uint16_t)(1u << fact);
	scope->fact[fact] = value;
}

uint64_t
scope_serial(void)
{
	static atomic_uint_fast64_t last;

	return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}
