/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * After the first messages nothing is allocated, whatever comes: flows, records
 * of variable length, Options Data, template refreshes. And where allocation
 * fails, records are lost and counted, but nothing else happens. The linker
 * puts __wrap_malloc and the others in place of the library's.
 */
#include <stdbool.h>

#include "fixture.h"

static unsigned long calls;
static unsigned long fail_at; /* this call and the next two; 0: none */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

static bool
fails(void)
{
	calls++;
	return fail_at && calls >= fail_at && calls < fail_at + 3;
}

void *
__wrap_malloc(size_t size)
{
	if (fails())
		return NULL;
	return __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	if (fails())
		return NULL;
	return __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
	if (fails())
		return NULL;
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
	static const enum transport transport[] = {TRANSPORT_UDP, TRANSPORT_TCP,
						   TRANSPORT_FILE};

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

/* Data before its template, a second domain, an element that is learnt. */
static void
send_odd(struct fixture *f, struct net_session *net)
{
	static const char name[] = "dropRate";
	struct msg *m = &f->m;

	msg_begin(m, 0, 2);
	msg_flows(m, 256, 0, 10);
	msg_end(m);
	f->ops->message(f->receiver[net->transport], net, m->data, m->length);
	msg_begin(m, 10, 2);
	msg_flow_template(m, 256);
	msg_set(m, 3);
	msg_u16(m, 300);
	msg_u16(m, 4);
	msg_u16(m, 2);
	msg_u16(m, IE_privateEnterpriseNumber);
	msg_u16(m, 4);
	msg_u16(m, IE_informationElementId);
	msg_u16(m, 2);
	msg_u16(m, IE_informationElementDataType);
	msg_u16(m, 1);
	msg_u16(m, IE_informationElementName);
	msg_u16(m, 65535);
	msg_set(m, 300);
	msg_u32(m, 32473);
	msg_u16(m, 7);
	msg_u8(m, IE_UNSIGNED32);
	msg_string(m, name, false);
	msg_flows(m, 999, 0, 10);
	msg_end(m);
	f->ops->message(f->receiver[net->transport], net, m->data, m->length);
}

static void
test_no_memory(void)
{
	unsigned failed = 0;

	for (unsigned n = 1; n < 60; n++) {
		struct fixture *f = fixture_new(NULL);
		struct net_session net = {.transport = TRANSPORT_UDP};

		fail_at = calls + n;
		if (f->ops->opened(f->receiver[TRANSPORT_UDP], &net) == 0) {
			send_odd(f, &net);
			for (uint32_t i = 0; i < 3; i++)
				send_round(f, &net, i);
			fixture_tick(f, 2000);
			fixture_check(f);
			failed += calls >= fail_at;
			fail_at = 0;
			fixture_close(f, &net);
		}
		fail_at = 0;
		fixture_free(f);
	}
	CU_ASSERT(failed > 10);
}

static const struct unit_test tests[] = {
	{"no memory", test_no_memory},
	{"no allocation after warm-up", test_no_malloc},
};

int
main(void)
{
	return unit_run("allocation", tests, UNIT_COUNT(tests));
}
