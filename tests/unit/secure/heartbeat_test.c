/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "dtls_record.h"
#include "heartbeat.h"
#include "unit.h"

static uint8_t message[HEARTBEAT_MAX + 64], answer[HEARTBEAT_MAX + 64];

static size_t
make_request(size_t payload, size_t padding)
{
	memset(message, 0xaa, sizeof(message));
	message[0] = 1;
	message[1] = (uint8_t)(payload >> 8);
	message[2] = (uint8_t)payload;
	for (size_t i = 0; i < payload; i++)
		message[3 + i] = (uint8_t)i;
	return 3 + payload + padding;
}

static void
test_answers(void)
{
	static const size_t payloads[] = {0, 1, 18, 1000, 16365};
	struct heartbeat h = {0};

	for (size_t i = 0; i < 5; i++) {
		size_t payload = payloads[i];
		size_t length = make_request(payload, 16);

		CU_ASSERT_EQUAL(heartbeat_read(&h, message, length, answer, 0),
				length);
		CU_ASSERT_EQUAL(answer[0], 2);
		CU_ASSERT_EQUAL(answer[1] << 8 | answer[2], (int)payload);
		CU_ASSERT_EQUAL(memcmp(answer + 3, message + 3, payload), 0);
	}
	CU_ASSERT_EQUAL(h.asked, 5);
	CU_ASSERT_EQUAL(h.ignored, 0);
}

/* A large request is made so by its padding, which does not come back. */
static void
test_answer_is_small(void)
{
	struct heartbeat h = {0};
	size_t length = make_request(16, 8000);

	CU_ASSERT_EQUAL(heartbeat_read(&h, message, length, answer, 0),
			3 + 16 + 16);
}

/* RFC 6520 section 4: what is not right is discarded without a word. */
static void
test_ignores(void)
{
	static const struct {
		size_t payload, padding;
	} wrong[] = {
		{0, 15},     /* too little padding */
		{65535, 16}, /* lies: more than there is */
		{100, 15},
		{16366, 16}, /* more than 2^14 octets */
	};
	struct heartbeat h = {0};
	size_t length;

	for (size_t i = 0; i < 4; i++) {
		length = make_request(
			wrong[i].payload < 16366 ? wrong[i].payload : 16366,
			wrong[i].padding);
		message[1] = (uint8_t)(wrong[i].payload >> 8);
		message[2] = (uint8_t)wrong[i].payload;
		CU_ASSERT_EQUAL(heartbeat_read(&h, message, length, answer, 0),
				0);
	}
	length = make_request(100, 16);
	message[2] = 101; /* reaches into the padding */
	CU_ASSERT_EQUAL(heartbeat_read(&h, message, length, answer, 0), 0);
	length = make_request(16, 16);
	message[0] = 3; /* no type of ours */
	CU_ASSERT_EQUAL(heartbeat_read(&h, message, length, answer, 0), 0);
	for (length = 0; length < 19; length++)
		CU_ASSERT_EQUAL(heartbeat_read(&h, message, length, answer, 0),
				0);
	CU_ASSERT_EQUAL(h.ignored, 6 + 19);
	CU_ASSERT_EQUAL(h.asked, 0);
}

static void
test_request_and_answer(void)
{
	struct heartbeat h = {0}, peer = {0};
	size_t length;

	CU_ASSERT_EQUAL(heartbeat_begin(&h, 0, 3, 0, 1000), 0);
	CU_ASSERT_EQUAL(heartbeat_begin(&h, 0, 3, 0, 1000), -EBUSY);
	CU_ASSERT_TRUE(heartbeat_due(&h, 1000));
	CU_ASSERT_EQUAL(heartbeat_write(&h, message, 1000), HEARTBEAT_MIN);
	CU_ASSERT_FALSE(heartbeat_due(&h, 1999));
	length = heartbeat_read(&peer, message, HEARTBEAT_MIN, answer, 0);
	CU_ASSERT_EQUAL(length, HEARTBEAT_MIN);
	/* Another payload, or a shorter one, is no answer. */
	answer[5] ^= 1;
	CU_ASSERT_EQUAL(heartbeat_read(&h, answer, length, message, 1020), 0);
	CU_ASSERT_EQUAL(h.state, HEARTBEAT_PENDING);
	answer[5] ^= 1;
	answer[2]--;
	CU_ASSERT_EQUAL(heartbeat_read(&h, answer, length, message, 1020), 0);
	CU_ASSERT_EQUAL(h.state, HEARTBEAT_PENDING);
	answer[2]++;
	CU_ASSERT_EQUAL(heartbeat_read(&h, answer, length, message, 1025), 0);
	CU_ASSERT_EQUAL(h.state, HEARTBEAT_ANSWERED);
	CU_ASSERT_EQUAL(h.answer_ms, 25);
	/* Once more, the same: nobody waits for it. */
	heartbeat_read(&h, answer, length, message, 1030);
	CU_ASSERT_EQUAL(h.answers, 1);
	CU_ASSERT_EQUAL(h.ignored, 3);
}

/* RFC 6347 4.2.4.1: after one second, then two, then four. */
static void
test_retransmits_and_fails(void)
{
	static const uint64_t due[] = {0, 1000, 3000, 7000};
	struct heartbeat h = {0};

	heartbeat_begin(&h, 0, 4, 0, 0);
	for (int i = 0; i < 4; i++) {
		if (i)
			CU_ASSERT_FALSE(heartbeat_due(&h, due[i] - 1));
		CU_ASSERT_EQUAL(heartbeat_wait(&h, due[i]), 0);
		CU_ASSERT_TRUE(heartbeat_due(&h, due[i]));
		heartbeat_write(&h, message, due[i]);
	}
	CU_ASSERT_EQUAL(heartbeat_wait(&h, 14999), 1);
	CU_ASSERT_FALSE(heartbeat_due(&h, 14999));
	CU_ASSERT_EQUAL(h.state, HEARTBEAT_PENDING);
	CU_ASSERT_FALSE(heartbeat_due(&h, 15000));
	CU_ASSERT_EQUAL(h.state, HEARTBEAT_FAILED);
	CU_ASSERT_EQUAL(heartbeat_wait(&h, 15000), -1);
	CU_ASSERT_EQUAL(heartbeat_begin(&h, 0, 1, 0, 15000), 0);
}

static void
test_sizes(void)
{
	struct heartbeat h = {0};

	CU_ASSERT_EQUAL(heartbeat_begin(&h, HEARTBEAT_MAX + 1, 1, 0, 0),
			-EMSGSIZE);
	CU_ASSERT_EQUAL(heartbeat_begin(&h, HEARTBEAT_MAX, 1, 0, 0), 0);
	CU_ASSERT_EQUAL(heartbeat_write(&h, message, 0), HEARTBEAT_MAX);
}

static void
test_window(void)
{
	struct record_window w = {0};

	CU_ASSERT_TRUE(record_fresh(&w, 100));
	record_taken(&w, 100);
	CU_ASSERT_FALSE(record_fresh(&w, 100));
	CU_ASSERT_TRUE(record_fresh(&w, 99));
	CU_ASSERT_TRUE(record_fresh(&w, 37));
	CU_ASSERT_FALSE(record_fresh(&w, 36));
	record_taken(&w, 37);
	CU_ASSERT_FALSE(record_fresh(&w, 37));
	record_taken(&w, 101);
	CU_ASSERT_FALSE(record_fresh(&w, 100));
	CU_ASSERT_FALSE(record_fresh(&w, 37));
	CU_ASSERT_TRUE(record_fresh(&w, 99));
	record_taken(&w, UINT64_C(1) << 40);
	CU_ASSERT_FALSE(record_fresh(&w, 101));
	CU_ASSERT_TRUE(record_fresh(&w, (UINT64_C(1) << 40) - 1));
}

static void
test_headers(void)
{
	uint8_t p[40] = {24, 254, 253, 0, 1, 0, 0, 0, 0, 1, 2, 0, 27};
	struct record record;

	CU_ASSERT_EQUAL(record_read(&record, p, sizeof(p)), 40);
	CU_ASSERT_EQUAL(record.type, 24);
	CU_ASSERT_EQUAL(record.epoch, 1);
	CU_ASSERT_EQUAL(record.number, 258);
	CU_ASSERT_EQUAL(record.length, 27);
	CU_ASSERT_EQUAL(record_read(&record, p, 39), 0);
	CU_ASSERT_EQUAL(record_read(&record, p, 12), 0);
	p[1] = 3; /* TLS */
	CU_ASSERT_EQUAL(record_read(&record, p, sizeof(p)), 0);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"answers requests", test_answers},
		{"answers large requests in small", test_answer_is_small},
		{"ignores what is not right", test_ignores},
		{"asks, and knows the answer", test_request_and_answer},
		{"asks again, then gives up", test_retransmits_and_fails},
		{"sizes", test_sizes},
		{"window against replay", test_window},
		{"headers of records", test_headers},
	};

	return unit_run("heartbeat", tests, UNIT_COUNT(tests));
}
