/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * sFlow version 5, put together word by word: both forms of flow samples, what
 * is stepped over, and every way to be cut off or to lie.
 */
#include "conflux/sflow.h"

#include <errno.h>

#include "octets.h"
#include "unit.h"

/* Agent 192.0.2.9, sub-agent 3, sequence 100, uptime 5 s; then the samples. */
#define HEADER "00000005 00000001 c0000209 00000003 00000064 00001388 "
/* 14 octets of a frame of 1018, 4 of them stripped. */
#define RAW                                                                    \
	"00000001 00000020 00000001 000003fa 00000004 0000000e"                \
	"020000000001 020000000002 0800 0000"
/* Sample 7 of source 2: rate 256, pool 512, drops 1, from 2 to 3. */
#define SAMPLE(LENGTH, RECORDS)                                                \
	"00000001 " LENGTH " 00000007 00000002 00000100 00000200 00000001"     \
	" 00000002 00000003 " RECORDS " "
#define COUNTERS "00000002 0000000c 00000001 00000002 00000000 "

static void
is_raw(const struct sflow_packet *p)
{
	CU_ASSERT_EQUAL(p->rate, 256);
	CU_ASSERT_EQUAL(p->pool, 512);
	CU_ASSERT_EQUAL(p->drops, 1);
	CU_ASSERT_EQUAL(p->input, 2);
	CU_ASSERT_EQUAL(p->output, 3);
	CU_ASSERT_EQUAL(p->protocol, SFLOW_ETHERNET);
	CU_ASSERT_EQUAL(p->frame_length, 1018);
	CU_ASSERT_EQUAL(p->stripped, 4);
	CU_ASSERT_EQUAL(p->header_length, 14);
	CU_ASSERT_EQUAL(p->header[11], 2);
}

static void
test_sample(void)
{
	struct octets o = octets(HEADER "00000002 " COUNTERS SAMPLE(
		"00000048", "00000001") RAW);
	struct sflow_reader r;
	struct sflow_packet p;

	CU_ASSERT(sflow_is(o.data, o.length));
	CU_ASSERT_EQUAL_FATAL(sflow_open(&r, o.data, o.length), 0);
	CU_ASSERT_EQUAL(r.agent.version, 4);
	CU_ASSERT_EQUAL(wire_get32(r.agent.bytes), 0xc0000209);
	CU_ASSERT_EQUAL(r.sub_agent, 3);
	CU_ASSERT_EQUAL(r.sequence, 100);
	CU_ASSERT_EQUAL(r.uptime_ms, 5000);
	CU_ASSERT_FATAL(sflow_next(&r, &p));
	is_raw(&p);
	CU_ASSERT_FALSE(sflow_next(&r, &p));
	CU_ASSERT_PTR_NULL(r.reason);
	CU_ASSERT_EQUAL(r.counter_samples, 1);
	free(o.data);
}

/* An agent with an IPv6 address; interfaces that are no ifIndex. */
static void
test_expanded(void)
{
	struct octets o = octets(
		"00000005 00000002 20010db8 00000000 00000000 00000009"
		"00000003 00000064 00001388 00000002 "
		"00000003 00000054 00000007 00000000 00000002 00000100 00000200"
		"00000001 00000000 00000002 00000000 00000003 00000001 " RAW
		"00000003 00000054 00000007 00000000 00000002 00000100 00000200"
		"00000001 00000001 00000002 00000000 ffffffff 00000001 " RAW);
	struct sflow_reader r;
	struct sflow_packet p;

	CU_ASSERT_EQUAL_FATAL(sflow_open(&r, o.data, o.length), 0);
	CU_ASSERT_EQUAL(r.agent.version, 6);
	CU_ASSERT_EQUAL(r.agent.bytes[15], 9);
	CU_ASSERT_FATAL(sflow_next(&r, &p));
	is_raw(&p);
	CU_ASSERT_FATAL(sflow_next(&r, &p));
	CU_ASSERT_EQUAL(p.input, 0);
	CU_ASSERT_EQUAL(p.output, 0);
	CU_ASSERT_FALSE(sflow_next(&r, &p));
	CU_ASSERT_PTR_NULL(r.reason);
	free(o.data);
}

/* Samples and records of formats that nobody knows. */
static void
test_unknown(void)
{
	struct octets o = octets(
		HEADER "00000003 "
		       "00abc005 00000004 ffffffff " SAMPLE("00000058",
							    "00000003")
		"00000003 00000000 00abc001 00000008 ffffffff ffffffff " RAW
			COUNTERS);
	struct sflow_reader r;
	struct sflow_packet p;

	wire_put32(o.data + 44, 0x20 + 8 + 16 + 40);
	CU_ASSERT_EQUAL_FATAL(sflow_open(&r, o.data, o.length), 0);
	CU_ASSERT_FATAL(sflow_next(&r, &p));
	is_raw(&p);
	CU_ASSERT_FALSE(sflow_next(&r, &p));
	CU_ASSERT_PTR_NULL(r.reason);
	CU_ASSERT_EQUAL(r.other_samples, 1);
	CU_ASSERT_EQUAL(r.other_records, 2);
	CU_ASSERT_EQUAL(r.counter_samples, 1);
	free(o.data);
}

static void
test_header(void)
{
	struct octets o = octets("00000005 00000003 c0000209 00000003"
				 "00000064 00001388 00000000");
	struct sflow_reader r;

	CU_ASSERT(sflow_is(o.data, o.length));
	CU_ASSERT_FALSE(sflow_is(o.data, o.length - 1));
	CU_ASSERT_EQUAL(sflow_open(&r, o.data, o.length), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(r.reason);
	/* An IPv6 address takes what would be the rest of it. */
	o.data[7] = 2;
	CU_ASSERT_EQUAL(sflow_open(&r, o.data, o.length), -EBADMSG);
	o.data[7] = 1;
	CU_ASSERT_EQUAL(sflow_open(&r, o.data, o.length), 0);
	o.data[3] = 4;
	CU_ASSERT_FALSE(sflow_is(o.data, o.length));
	free(o.data);
}

/* Cut off anywhere it ends with a reason, and never reads behind its end. */
static void
test_cut(void)
{
	struct octets o = octets(
		HEADER "00000001 " SAMPLE("00000048", "00000001") RAW);
	struct sflow_reader r;
	struct sflow_packet p;

	for (size_t length = 28; length < o.length; length++) {
		uint8_t *copy = malloc(length);

		memcpy(copy, o.data, length);
		CU_ASSERT_EQUAL_FATAL(sflow_open(&r, copy, length), 0);
		CU_ASSERT_FALSE(sflow_next(&r, &p));
		CU_ASSERT_PTR_NOT_NULL(r.reason);
		free(copy);
	}
	free(o.data);
}

/* Counts and lengths that say more than there is, or nothing at all. */
static void
test_lies(void)
{
	static const struct {
		size_t at;
		uint32_t value;
		bool packet, reason;
	} lie[] = {
		{24, UINT32_MAX, true, true},  /* samples */
		{32, UINT32_MAX, false, true}, /* length of the sample */
		{32, 0, false, true},
		{32, 20, false, true},
		{64, UINT32_MAX, true, true},  /* records */
		{64, 0, false, false},
		{72, UINT32_MAX, false, true}, /* length of the record */
		{72, 0, false, true},
		{88, UINT32_MAX, false, true}, /* length of the header */
		{88, 17, false, true},
		{88, 0, true, false},
	};
	struct octets o = octets(
		HEADER "00000001 " SAMPLE("00000048", "00000001") RAW);

	for (size_t i = 0; i < UNIT_COUNT(lie); i++) {
		uint8_t *copy = malloc(o.length);
		struct sflow_reader r;
		struct sflow_packet p;
		unsigned packets = 0;

		memcpy(copy, o.data, o.length);
		wire_put32(copy + lie[i].at, lie[i].value);
		CU_ASSERT_EQUAL_FATAL(sflow_open(&r, copy, o.length), 0);
		while (sflow_next(&r, &p))
			packets++;
		CU_ASSERT_EQUAL(packets, lie[i].packet);
		CU_ASSERT_EQUAL(r.reason != NULL, lie[i].reason);
		free(copy);
	}
	free(o.data);
}

static const struct unit_test tests[] = {
	{"a flow sample", test_sample},
	{"expanded samples, an IPv6 agent", test_expanded},
	{"unknown samples and records", test_unknown},
	{"the header", test_header},
	{"cut off anywhere", test_cut},
	{"counts and lengths that lie", test_lies},
};

int
main(void)
{
	return unit_run("sflow", tests, UNIT_COUNT(tests));
}
