/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of messages for one Collecting Process. Input: first octet odd: TCP,
 * else UDP; 3 (modulo 4): TCP that is acknowledged; then pieces of two octets
 * length and content, each a message. A piece of length 0 lets time pass. After
 * all of it the ledger has to hold, and nothing may be left.
 */
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/collecting.h"
#include "conflux/hash.h"
#include "conflux/log.h"
#include "conflux/text.h"
#include "conflux/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t records;

static void
sink_run(struct stage *stage, const struct batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		uint32_t length;
		const uint8_t *p = batch_record(batch, i, &length);

		(void)hash_bytes(p, length, 0);
		if (length < batch->shape->min_length)
			abort();
		records++;
	}
}

static const struct stage_ops sink_ops = {.run = sink_run};

static void
on_commit(void *arg)
{
}

static int
on_reply(struct net_session *session, const uint8_t *octets, size_t length)
{
	(void)hash_bytes(octets, length, 0);
	return 0;
}

static void
feed(struct collecting *c, struct collecting_receiver *receiver,
     struct positions *positions, struct net_session *net, struct reader *r)
{
	const struct net_in_ops *ops = collecting_net_ops();
	uint64_t now_ms = clock_mono_ms();

	while (reader_left(r) > 2) {
		size_t length = reader_u16(r);
		uint8_t *copy;
		int error;

		if (length > reader_left(r))
			length = reader_left(r);
		if (!length) {
			now_ms += 20000;
			stage_tick(collecting_stage(c), now_ms);
			continue;
		}
		copy = malloc(length);
		if (!copy)
			abort();
		memcpy(copy, reader_take(r, length), length);
		error = ops->message(receiver, net, copy, length);
		free(copy);
		if (error)
			break;
		positions_settle(positions);
		collecting_acknowledge(c, true);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stage sink = {.ops = &sink_ops};
	struct collecting_receiver_conf receiver_conf = {
		.name = "r",
		.transport =
			size && data[0] & 1 ? TRANSPORT_TCP : TRANSPORT_UDP,
		.template_ms = 60000,
		.acknowledges = size && (data[0] & 3) == 3,
	};
	struct collecting_conf conf = {
		.name = "fuzz",
		.max_domains = 8,
		.max_templates = 32,
		.max_fields = 64,
		.max_options = 16,
		.held_octets = 4096,
		.registry = ie_registry_new(64),
		.shapes = shape_table_new(64),
		.positions = positions_new(2),
		.commit = on_commit,
	};
	struct net_session net = {
		.transport = receiver_conf.transport,
		.reply = on_reply,
	};
	struct collecting_receiver *receiver;
	const struct ledger *ledger;
	struct collecting *c;
	struct text text = {0};
	struct report report;
	struct reader r;

	log_set_level(LOG_LEVEL_ERROR);
	records = 0;
	if (collecting_new(&conf, &c) ||
	    stage_link(collecting_stage(c), &sink) ||
	    collecting_add(c, &receiver_conf, &receiver) ||
	    collecting_net_ops()->opened(receiver, &net))
		abort();
	reader_init(&r, data, size);
	reader_u8(&r);
	feed(c, receiver, conf.positions, &net, &r);
	report_begin(&report, &text, true);
	collecting_stage(c)->ops->report(collecting_stage(c), &report);
	report_end(&report);
	text_fini(&text);
	collecting_net_ops()->closed(receiver, &net, NULL, 0);
	ledger = &collecting_stage(c)->ledger;
	if (ledger->in !=
		    ledger->exported + ledger->filtered + ledger_lost(ledger) ||
	    ledger->exported != records)
		abort();
	stage_free(collecting_stage(c));
	positions_free(conf.positions);
	shape_table_free(conf.shapes);
	ie_registry_free(conf.registry);
	return 0;
}
