/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What a destination did not get. The ledger counts records; the Exporting
 * Process Reliability Statistics (RFC 7011 section 4.3) also tell packets and
 * octets of the flows not sent, and when the first and the last were lost.
 * Only for those, and only for lost records, are values looked at here.
 */
#include "conflux/clock.h"
#include "exporting.h"

/* Value of the first field of this element in a record, 0 if there is none. */
static uint64_t
counter(const struct shape *shape, uint16_t id, const uint8_t *record,
	uint32_t length)
{
	uint64_t value = 0;

	shape_uint(shape, shape_find(shape, 0, id, 0), record, length, &value);
	return value;
}

static void
lose_record(struct sink *s, const struct shape *shape, const uint8_t *record,
	    uint32_t length)
{
	if (shape->scope_count)
		return;
	s->lost_packets += counter(shape, IE_packetDeltaCount, record, length);
	s->lost_octets += counter(shape, IE_octetDeltaCount, record, length);
}

void
sink_lose(struct sink *s, uint64_t records, enum loss loss)
{
	if (!records)
		return;
	s->ledger.lost[loss] += records;
	s->last_loss = loss;
	s->lost_records += records;
	s->lost_last_ms = clock_wall_ms();
	if (!s->lost_first_ms)
		s->lost_first_ms = s->lost_last_ms;
}

void
sink_lose_batch(struct sink *s, const struct batch *batch, uint32_t first,
		uint32_t count, enum loss loss)
{
	const uint8_t *record;
	uint32_t length;

	sink_lose(s, count, loss);
	if (!options_wanted(s->exporting, EXPORTING_EXPORTING_RELIABILITY))
		return;
	for (uint32_t i = first; i < first + count; i++) {
		record = batch_record(batch, i, &length);
		lose_record(s, batch->shape, record, length);
	}
}

void
sink_lose_message(struct sink *s, struct channel *c, const uint8_t *message,
		  uint32_t length, uint32_t records, enum loss loss)
{
	struct message_reader reader;
	struct set set;

	sink_lose(s, records, loss);
	if (!c ||
	    !options_wanted(s->exporting, EXPORTING_EXPORTING_RELIABILITY) ||
	    message_open(&reader, message, length))
		return;
	while (message_next_set(&reader, &set)) {
		struct out_template *t = channel_template_by_id(c, set.id);
		const uint8_t *p = set.content, *end = p + set.length;
		int n;

		while (t && p < end &&
		       (n = shape_record_length(t->shape, p,
						(uint32_t)(end - p))) > 0) {
			lose_record(s, t->shape, p, (uint32_t)n);
			p += n;
		}
	}
}
