/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * After the first messages nothing is allocated, whatever comes: flows, records
 * of variable length, Options Data, template refreshes. The linker puts
 * __wrap_malloc and the others in place of the library's.
 */
#include <stdbool.h>

#include "fixture.h"

static unsigned long calls;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *
__wrap_malloc(size_t size)
{
	calls++;
	return __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	calls++;
	return __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
	calls++;
	return __real_realloc(p, size);
}

static void
send_round(struct fixture *f, struct net_session *net, uint32_t round)
{
	struct msg *m = &f->m;

	msg_begin(m, 42 * round, 1);
	msg_flow_template(m, 256);
	msg_named_template(m, 257);
	msg_set(m, 3);
	msg_u16(m, 258);
	msg_u16(m, 2);
	msg_u16(m, 1);
	msg_u16(m, IE_selectorId);
	msg_u16(m, 4);
	msg_u16(m, IE_samplingPacketInterval);
	msg_u16(m, 4);
	msg_flows(m, 256, round, 30);
	msg_set(m, 257);
	for (int i = 0; i < 10; i++) {
		msg_u32(m, round);
		msg_string(m, "eth0", i % 2);
	}
	msg_set(m, 258);
	msg_u32(m, 1);
	msg_u32(m, round);
	msg_u32(m, 2);
	msg_u32(m, round);
	msg_end(m);
	f->ops->message(f->receiver[net->transport], net, m->data, m->length);
}

static void
test_no_malloc(void)
{
	static const enum transport transport[] = {
		TRANSPORT_UDP, TRANSPORT_TCP, TRANSPORT_FILE};

	for (unsigned t = 0; t < UNIT_COUNT(transport); t++) {
		struct fixture *f = fixture_new(NULL);
		struct net_session net;
		unsigned long before;

		fixture_open(f, &net, transport[t]);
		send_round(f, &net, 0);
		send_round(f, &net, 1);
		before = calls;
		CU_ASSERT(before > 0);
		for (uint32_t i = 2; i < 1002; i++)
			send_round(f, &net, i);
		fixture_tick(f, 2000);
		CU_ASSERT_EQUAL(calls, before);
		CU_ASSERT_EQUAL(f->sink->count, 42 * 1002);
		CU_ASSERT_EQUAL(f->stage->ledger.lost[LOSS_SEQUENCE_GAP], 0);
		fixture_close(f, &net);
		fixture_free(f);
	}
}

static const struct unit_test tests[] = {
	{"no allocation after warm-up", test_no_malloc},
};

int
main(void)
{
	return unit_run("allocation", tests, UNIT_COUNT(tests));
}
