/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the cache makes of records, and when. */
#include <stdarg.h>
#include <unistd.h>

#include "bed.h"

/* ---- tests ---------------------------------------------------------------- */

static const struct cache_conf timeout = {
	.type = CACHE_TIMEOUT,
	.max_flows = 1000,
	.active_timeout_s = 60,
	.idle_timeout_s = 15,
};

static void
test_merges_by_semantics(void)
{
	struct bed bed;

	bed_open(&bed, timeout, "8! 11! 1 2 6 152 153 25 26 10 3 136");
	put(bed.cache, "8=192.0.2.1 11=53 1=100 2=1 6=2 152=1000 153=2000 "
		       "25=40 26=40 10=7");
	put(bed.cache, "8=192.0.2.1 11=53 1=50 2=2 6=16 152=500 153=1500 "
		       "25=20 26=1400 10=8");
	put(bed.cache, "8=192.0.2.1 11=54 1=1 2=1 6=0 152=0 153=0 25=1 26=1 "
		       "10=9");
	CU_ASSERT_EQUAL(bed.cache->ledger.merged, 1);
	wait_ms(&bed, 14000);
	EXPECT(&bed, "");
	wait_ms(&bed, 2000);
	EXPECT(&bed,
	       "{\"sourceIPv4Address\":\"192.0.2.1\","
	       "\"destinationTransportPort\":54,\"octetDeltaCount\":1,"
	       "\"packetDeltaCount\":1,\"tcpControlBits\":0,"
	       "\"flowStartMilliseconds\":\"1970-01-01T00:00:00.000Z\","
	       "\"flowEndMilliseconds\":\"1970-01-01T00:00:00.000Z\","
	       "\"minimumIpTotalLength\":1,\"maximumIpTotalLength\":1,"
	       "\"ingressInterface\":9,\"deltaFlowCount\":1,"
	       "\"flowEndReason\":1}\n"
	       "{\"sourceIPv4Address\":\"192.0.2.1\","
	       "\"destinationTransportPort\":53,\"octetDeltaCount\":150,"
	       "\"packetDeltaCount\":3,\"tcpControlBits\":18,"
	       "\"flowStartMilliseconds\":\"1970-01-01T00:00:00.500Z\","
	       "\"flowEndMilliseconds\":\"1970-01-01T00:00:02.000Z\","
	       "\"minimumIpTotalLength\":20,\"maximumIpTotalLength\":1400,"
	       "\"ingressInterface\":7,\"deltaFlowCount\":2,"
	       "\"flowEndReason\":1}\n");
	bed_close(&bed);
}

/* Of any width; where a field has less room the upper ones are left out. */
static void
test_flags(void)
{
	struct bed bed;

	bed_open(&bed, timeout, "8! 6:1 520 515:2");
	put(bed.cache, "8=192.0.2.1 6=258 520=1 515=65537");
	put(bed.cache, "8=192.0.2.1 6=16 520=16 515=2");
	wait_ms(&bed, 16000);
	EXPECT(&bed,
	       "{\"sourceIPv4Address\":\"192.0.2.1\",\"tcpControlBits\":18,"
	       "\"tcpOptionsFull\":\"00000000000000000000000000000000"
	       "00000000000000000000000000000011\","
	       "\"ipv6ExtensionHeadersFull\":\"0003\"}\n");
	bed_close(&bed);
}

static void
test_shapes_live_together(void)
{
	struct bed bed;

	bed_open(&bed, timeout, "8! 27! 60! 1");
	put(bed.cache, "8=192.0.2.1 1=1");
	put(bed.cache, "27=2001:db8::1 1=2");
	put(bed.cache, "1=4 8=192.0.2.1");
	put(bed.cache, "1=8"); /* no key at all */
	put(bed.cache, "1=16 4=6");
	put(bed.cache, "8=192.0.2.1 4=6"); /* no counter */
	CU_ASSERT_EQUAL(bed.cache->ledger.held, 3);
	stage_flush(bed.cache);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\",\"ipVersion\":4,"
		     "\"octetDeltaCount\":5}\n"
		     "{\"sourceIPv6Address\":\"2001:db8::1\",\"ipVersion\":6,"
		     "\"octetDeltaCount\":2}\n"
		     "{\"octetDeltaCount\":24}\n");
	bed_close(&bed);
}

static void
test_idle_and_active(void)
{
	struct bed bed;

	bed_open(&bed, timeout, "8! 1 136");
	for (int i = 0; i < 70; i++) {
		put(bed.cache, "8=192.0.2.1 1=1");
		wait_ms(&bed, 1000);
	}
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":61,\"flowEndReason\":2}\n");
	wait_ms(&bed, 15000);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":9,\"flowEndReason\":1}\n");
	bed_close(&bed);
}

static void
test_long_timeouts_go_round_the_wheel(void)
{
	struct cache_conf conf = timeout;
	struct bed bed;

	conf.active_timeout_s = 3600;
	conf.idle_timeout_s = 1800;
	bed_open(&bed, conf, "8! 1");
	put(bed.cache, "8=192.0.2.1 1=1");
	wait_ms(&bed, 1799000);
	CU_ASSERT_EQUAL(bed.sink.records, 0);
	wait_ms(&bed, 2000);
	CU_ASSERT_EQUAL(bed.sink.records, 1);
	bed_close(&bed);
}

static void
max_flows_is_hard(uint32_t active_s, uint32_t idle_s)
{
	struct cache_conf conf = timeout;
	struct cache_stats stats;
	struct bed bed;
	char record[64];

	conf.active_timeout_s = active_s;
	conf.idle_timeout_s = idle_s;
	conf.max_flows = 10;
	bed_open(&bed, conf, "8! 1 136");
	for (int i = 0; i < 100; i++) {
		snprintf(record, sizeof(record), "8=10.0.%d.1 1=%d", i, i);
		put(bed.cache, record);
		cache_stats(bed.cache, &stats);
		CU_ASSERT(stats.active_flows <= 10);
		check_ledger(&bed);
	}
	CU_ASSERT_EQUAL(stats.evicted, 90);
	CU_ASSERT_EQUAL(bed.cache->ledger.lost[LOSS_CACHE_FULL], 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(lines(&bed), "\"flowEndReason\":5"));
	bed_close(&bed);
}

/* However far away the time of the flows is. */
static void
test_max_flows_is_hard(void)
{
	max_flows_is_hard(timeout.active_timeout_s, timeout.idle_timeout_s);
	max_flows_is_hard(600, 600);
	max_flows_is_hard(86400, 86400);
	max_flows_is_hard(0, 0);
}

static void
flow_in_use_is_not_evicted(uint32_t active_s, uint32_t idle_s)
{
	struct cache_conf conf = timeout;
	struct bed bed;
	char record[64];

	conf.active_timeout_s = active_s;
	conf.idle_timeout_s = idle_s;
	conf.max_flows = 4;
	bed_open(&bed, conf, "8! 1");
	put(bed.cache, "8=10.0.0.1 1=1");
	for (int i = 0; i < 50; i++) {
		wait_ms(&bed, 600);
		put(bed.cache, "8=10.0.0.1 1=1");
		snprintf(record, sizeof(record), "8=10.1.%d.1 1=%d", i, i);
		put(bed.cache, record);
	}
	CU_ASSERT_PTR_NULL(strstr(lines(&bed), "10.0.0.1"));
	bed_close(&bed);
}

static void
test_a_flow_in_use_is_not_evicted(void)
{
	flow_in_use_is_not_evicted(timeout.active_timeout_s,
				   timeout.idle_timeout_s);
	flow_in_use_is_not_evicted(86400, 86400);
	flow_in_use_is_not_evicted(0, 0);
}

static void
test_natural_end(void)
{
	struct cache_conf conf = timeout;
	struct bed bed;

	conf.type = CACHE_NATURAL;
	bed_open(&bed, conf, "8! 1 136");
	put(bed.cache, "8=192.0.2.1 1=1 6=2");
	EXPECT(&bed, "");
	put(bed.cache, "8=192.0.2.1 1=1 6=17");
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":2,\"flowEndReason\":3}\n");
	put(bed.cache, "8=192.0.2.1 1=5 6=4");
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":5,\"flowEndReason\":3}\n");
	wait_ms(&bed, 20000);
	EXPECT(&bed, "");
	bed_close(&bed);
}

static void
test_permanent(void)
{
	struct cache_conf conf = {.type = CACHE_PERMANENT,
				  .max_flows = 2,
				  .export_interval_s = 1};
	struct bed bed;

	bed_open(&bed, conf, "8! 1 85");
	put(bed.cache, "8=192.0.2.1 1=1");
	put(bed.cache, "8=192.0.2.2 1=1");
	usleep(1100000);
	wait_ms(&bed, 100);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":1,\"octetTotalCount\":1}\n"
		     "{\"sourceIPv4Address\":\"192.0.2.2\","
		     "\"octetDeltaCount\":1,\"octetTotalCount\":1}\n");
	check_ledger(&bed);
	put(bed.cache, "8=192.0.2.1 1=4");
	usleep(1100000);
	wait_ms(&bed, 100);
	/* Without new data there is no record. */
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":4,\"octetTotalCount\":5}\n");
	bed_close(&bed);
}

static void
test_prefixes(void)
{
	struct bed bed;

	bed_open(&bed, timeout, "8!/24 9! 27!/33 1");
	put(bed.cache, "8=192.0.2.1 1=1");
	put(bed.cache, "8=192.0.2.255 9=32 1=1");
	put(bed.cache, "44=192.0.2.0 9=24 1=1");
	put(bed.cache, "27=2001:db8:ffff::1 1=1");
	stage_flush(bed.cache);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.0\","
		     "\"sourceIPv4PrefixLength\":24,\"octetDeltaCount\":3}\n"
		     "{\"sourceIPv6Address\":\"2001:db8:8000::\","
		     "\"octetDeltaCount\":1}\n");
	bed_close(&bed);
}

static void
test_total_counters(void)
{
	struct bed bed;

	bed_open(&bed, timeout, "8! 1 r1");
	put(bed.cache, "8=192.0.2.1 152=5 85=100 29305/85=10");
	put(bed.cache, "8=192.0.2.1 152=5 85=150 29305/85=10");
	scope.serial++; /* the same flow seen elsewhere */
	put(bed.cache, "8=192.0.2.1 152=5 85=7 29305/85=1");
	scope.serial--;
	put(bed.cache, "8=192.0.2.1 152=9 85=20 29305/85=2"); /* anew */
	stage_flush(bed.cache);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":177,"
		     "\"reverseOctetDeltaCount\":13}\n");
	bed_close(&bed);
}

static void
test_times(void)
{
	static const char *const record[] = {
		"150=1000 151=1001",
		"152=1000000 153=1001000",
		/* NTP: 2208988800 + 1000 seconds */
		"154=0x83AA826800000000 155=0x83AA826900000000",
		"156=0x83AA826800000000 157=0x83AA826900000000",
		"160=900000 22=100000 21=101000",
		"152=1000000 161=1000",
		"153=1001000 162=1000000",
	};
	struct bed bed;

	for (size_t i = 0; i < sizeof(record) / sizeof(record[0]); i++) {
		bed_open(&bed, timeout, "4! 152 157");
		put(bed.cache, record[i]);
		stage_flush(bed.cache);
		EXPECT(&bed,
		       "{\"flowStartMilliseconds\":"
		       "\"1970-01-01T00:16:40.000Z\","
		       "\"flowEndNanoseconds\":"
		       "\"1970-01-01T00:16:41.000000000Z\"}\n");
		bed_close(&bed);
	}
	bed_open(&bed, timeout, "4! 154 151");
	put(bed.cache, "158=2500000 159=500000");
	stage_flush(bed.cache);
	EXPECT(&bed, "{\"flowStartMicroseconds\":"
		     "\"2023-11-14T22:13:17.500000Z\","
		     "\"flowEndSeconds\":\"2023-11-14T22:13:19Z\"}\n");
	bed_close(&bed);
}

static void
test_scope_as_key(void)
{
	struct cache_conf conf = timeout;
	struct bed bed;

	conf.export_originals = true;
	bed_open(&bed, conf, "130! 149! 1");
	put(bed.cache, "1=1");
	scope.domain = 9;
	put(bed.cache, "1=2");
	put(bed.cache, "1=4 403=203.0.113.9");
	scope.domain = 5;
	stage_flush(bed.cache);
	EXPECT(&bed, "{\"exporterIPv4Address\":\"198.51.100.1\","
		     "\"observationDomainId\":5,\"octetDeltaCount\":1,"
		     "\"originalExporterIPv4Address\":\"198.51.100.1\","
		     "\"originalObservationDomainId\":5}\n"
		     "{\"exporterIPv4Address\":\"198.51.100.1\","
		     "\"observationDomainId\":9,\"octetDeltaCount\":2,"
		     "\"originalExporterIPv4Address\":\"198.51.100.1\","
		     "\"originalObservationDomainId\":9}\n"
		     "{\"exporterIPv4Address\":\"198.51.100.1\","
		     "\"observationDomainId\":9,\"octetDeltaCount\":4,"
		     "\"originalExporterIPv4Address\":\"203.0.113.9\","
		     "\"originalObservationDomainId\":9}\n");
	bed_close(&bed);
}

static void
test_strings(void)
{
	struct cache_conf conf = timeout;
	struct bed bed;
	char record[128];

	conf.max_octets = 4096;
	bed_open(&bed, conf, "82! 83 84L 1");
	put(bed.cache, "82=eth0 83=first 84=a 1=1");
	put(bed.cache, "82=eth0 83=second 84=b 1=2");
	put(bed.cache, "82=eth1 1=4");
	put(bed.cache, "82=eth1 83=late 1=8");
	stage_flush(bed.cache);
	EXPECT(&bed, "{\"interfaceName\":\"eth0\","
		     "\"interfaceDescription\":\"first\","
		     "\"samplerName\":\"b\",\"octetDeltaCount\":3}\n"
		     "{\"interfaceName\":\"eth1\","
		     "\"interfaceDescription\":\"late\","
		     "\"octetDeltaCount\":12}\n");
	/* The store is bounded: what does not fit is lost and counted. */
	for (int i = 0; i < 200; i++) {
		snprintf(record, sizeof(record), "82=interface-%d 1=1", i);
		put(bed.cache, record);
	}
	CU_ASSERT(bed.cache->ledger.lost[LOSS_LIMIT] > 50);
	bed_close(&bed);
}

/*
 * Experiments in options of TCP: a list of numbers of two octets. Of others
 * union has to be asked for; lists of other elements stay as they are.
 */
static void
test_unions(void)
{
	struct cache_conf conf = timeout;
	struct bed bed;
	char record[128];

	conf.max_octets = 65536;
	bed_open(&bed, conf, "8! 523 484U 485");
	put(bed.cache, "8=192.0.2.1 523=0302090002f989");
	put(bed.cache, "8=192.0.2.1 523=0302090002acc1f989");
	put(bed.cache, "8=192.0.2.1 523=0302090002f989acc1");
	put(bed.cache, "8=192.0.2.1 523=0302090002");
	put(bed.cache, "8=192.0.2.1 523=0302090003aabbcc");
	put(bed.cache, "8=192.0.2.1 523=03020900020348acc1");
	put(bed.cache, "8=192.0.2.2 484=0301e3000400010001");
	put(bed.cache, "8=192.0.2.2 485=0301e3000400010001");
	put(bed.cache, "8=192.0.2.2 484=0301e3000400020002 "
		       "485=0301e3000400020002");
	stage_flush(bed.cache);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"tcpSharedOptionExID16List\":{\"semantic\":\"allOf\","
		     "\"element\":\"e0id521\","
		     "\"values\":[\"f989\",\"acc1\",\"0348\"]}}\n"
		     "{\"sourceIPv4Address\":\"192.0.2.2\","
		     "\"bgpSourceCommunityList\":{\"semantic\":\"allOf\","
		     "\"element\":\"e0id483\","
		     "\"values\":[\"00010001\",\"00020002\"]},"
		     "\"bgpDestinationCommunityList\":"
		     "{\"semantic\":\"allOf\",\"element\":\"e0id483\","
		     "\"values\":[\"00010001\"]}}\n");
	clear(&bed);
	/* Bounded, and all that was in the store on the way is released. */
	for (int i = 0; i < 1100; i++) {
		snprintf(record, sizeof(record),
			 "8=192.0.2.1 523=0302090002%04x", i);
		put(bed.cache, record);
	}
	stage_flush(bed.cache);
	CU_ASSERT_PTR_NOT_NULL(strstr(lines(&bed), ",\"03fc\"]"));
	CU_ASSERT_PTR_NULL(strstr(lines(&bed), "03fd"));
	bed_close(&bed);
}

static void
test_signed_numbers(void)
{
	struct bed bed;

	bed_open(&bed, timeout, "8! 434<");
	put(bed.cache, "8=192.0.2.1 434=5");
	put(bed.cache, "8=192.0.2.1 434=0xfffffffe");
	put(bed.cache, "8=192.0.2.1 434=1");
	stage_flush(bed.cache);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"mibObjectValueInteger\":-2}\n");
	bed_close(&bed);
	bed_open(&bed, timeout, "8! 434>");
	put(bed.cache, "8=192.0.2.1 434=0xffffffff");
	put(bed.cache, "8=192.0.2.1 434=0xfffffffe");
	stage_flush(bed.cache);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"mibObjectValueInteger\":-1}\n");
	bed_close(&bed);
}

static void
test_intervals(void)
{
	static const struct {
		enum distribution method;
		const char *want;
	} c[] = {
		{DISTRIBUTION_START, "61"},
		{DISTRIBUTION_END, "0 0 61"},
		{DISTRIBUTION_MID, "0 61"},
		{DISTRIBUTION_SIMPLE_UNIFORM, "20 20 21"},
		{DISTRIBUTION_PROPORTIONAL, "11 27 23"},
	};
	struct bed bed;

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct cache_conf conf = {.type = CACHE_PERMANENT,
					  .max_flows = 100,
					  .export_interval_s = 3600,
					  .distribution = c[i].method,
					  .interval_s = 60};
		unsigned sum = 0;
		char *p;

		bed_open(&bed, conf, "8! 1 150 151");
		/* 35 s to 170 s: 25, 60 and 50 seconds of three minutes */
		put(bed.cache, "8=192.0.2.1 1=61 150=35 151=170");
		stage_flush(bed.cache);
		for (p = strdup(c[i].want); p;) {
			char *word = strrchr(p, ' ');
			char want[64];

			snprintf(want, sizeof(want), "\"octetDeltaCount\":%s,",
				 word ? word + 1 : p);
			sum += (unsigned)atoi(word ? word + 1 : p);
			if (atoi(word ? word + 1 : p))
				CU_ASSERT_PTR_NOT_NULL(
					strstr(lines(&bed), want));
			if (!word) {
				free(p);
				break;
			}
			*word = 0;
		}
		CU_ASSERT_EQUAL(sum, 61);
		clear(&bed);
		bed_close(&bed);
	}
}

static void
test_immediate(void)
{
	struct cache_conf conf = {.type = CACHE_IMMEDIATE};
	struct bed bed;

	bed_open(&bed, conf, "8 82 150");
	put(bed.cache, "8=192.0.2.1 82=eth0 152=5000 1=4");
	put(bed.cache, "8=192.0.2.1 82=eth0 152=5000 1=4");
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"interfaceName\":\"eth0\","
		     "\"flowStartSeconds\":\"1970-01-01T00:00:05Z\"}\n"
		     "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"interfaceName\":\"eth0\","
		     "\"flowStartSeconds\":\"1970-01-01T00:00:05Z\"}\n");
	bed_close(&bed);
}

static void
test_congestion_holds_flows_back(void)
{
	struct cache_conf conf = timeout;
	struct bed bed;
	char record[64];

	bed_open(&bed, conf, "8! 1");
	bed.sink.base.congested = true;
	for (int i = 0; i < 1000; i++) {
		snprintf(record, sizeof(record), "8=10.0.%d.%d 1=1", i >> 8,
			 i & 255);
		put(bed.cache, record);
	}
	wait_ms(&bed, 16000);
	CU_ASSERT(bed.sink.records < 1000);
	stage_flush(bed.cache);
	CU_ASSERT_FALSE(stage_drained(bed.cache));
	check_ledger(&bed);
	bed.sink.base.congested = false;
	wait_ms(&bed, 200);
	CU_ASSERT(stage_drained(bed.cache));
	CU_ASSERT_EQUAL(bed.sink.records, 1000);
	bed_close(&bed);
}

/* A permanent cache makes room too: what was exported goes without a record. */
static void
test_permanent_evicts(void)
{
	struct cache_conf conf = {.type = CACHE_PERMANENT,
				  .max_flows = 2,
				  .export_interval_s = 1};
	struct cache_stats stats;
	struct bed bed;

	bed_open(&bed, conf, "8! 1 136");
	put(bed.cache, "8=192.0.2.1 1=1");
	usleep(1100000);
	wait_ms(&bed, 100);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":1,\"flowEndReason\":2}\n");
	put(bed.cache, "8=192.0.2.2 1=2");
	put(bed.cache, "8=192.0.2.3 1=3");
	EXPECT(&bed, "");
	check_ledger(&bed);
	wait_ms(&bed, 10);
	put(bed.cache, "8=192.0.2.3 1=3");
	put(bed.cache, "8=192.0.2.4 1=4");
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.2\","
		     "\"octetDeltaCount\":2,\"flowEndReason\":5}\n");
	cache_stats(bed.cache, &stats);
	CU_ASSERT_EQUAL(stats.evicted, 2);
	CU_ASSERT_EQUAL(stats.active_flows, 2);
	CU_ASSERT_EQUAL(bed.cache->ledger.lost[LOSS_CACHE_FULL], 0);
	check_ledger(&bed);
	bed_close(&bed);
}

/* Sums in are sums out, whatever expires, is evicted or comes again. */
static void
test_random_traffic_adds_up(void)
{
	struct cache_conf conf = timeout;
	uint64_t octets = 0, out = 0;
	struct bed bed;
	char record[128];

	srand(1);
	conf.max_flows = 150;
	conf.idle_timeout_s = 1;
	conf.active_timeout_s = 3;
	bed_open(&bed, conf, "8! 27! 7! 1");
	for (int i = 0; i < 20000; i++) {
		unsigned n = (unsigned)rand() % 5000;

		if (n % 7 == 0)
			snprintf(record, sizeof(record),
				 "27=2001:db8::%x 7=%u 1=%u", n % 100, n % 3,
				 n);
		else
			snprintf(record, sizeof(record),
				 "8=10.0.0.%u 7=%u 1=%u", n % 250, n % 3, n);
		octets += n;
		put(bed.cache, record);
		if (i % 50 == 0)
			wait_ms(&bed, (uint64_t)rand() % 300);
		if (i % 1000 == 0)
			check_ledger(&bed);
		for (char *p = bed.sink.lines.data;
		     p && (p = strstr(p, "DeltaCount\":")) != NULL; p++)
			out += strtoull(p + 12, NULL, 10);
		clear(&bed);
	}
	stage_flush(bed.cache);
	for (char *p = bed.sink.lines.data;
	     p && (p = strstr(p, "DeltaCount\":")) != NULL; p++)
		out += strtoull(p + 12, NULL, 10);
	CU_ASSERT_EQUAL(octets, out);
	bed_close(&bed);
}

static void
test_options_are_no_flows(void)
{
	struct field field[2] = {{.ie = ie_find(registry, 0, 149),
				  .length = 4},
				 {.ie = ie_find(registry, 0, 34),
				  .length = 4}};
	struct batch batch = {.scope = &scope, .count = 1, .stride = 8};
	struct bed bed;

	bed_open(&bed, timeout, "8! 1");
	batch.base = (const uint8_t *)"\0\0\0\1\0\0\0\2";
	CU_ASSERT_EQUAL(shape_get(shapes, field, 2, 1, &batch.shape), 0);
	stage_run(bed.cache, &batch);
	shape_release(batch.shape);
	CU_ASSERT_EQUAL(bed.cache->ledger.filtered, 1);
	bed_close(&bed);
}

/* None of its fields is wanted: that is no lack of memory. */
static void
test_a_flow_of_nothing_is_filtered(void)
{
	struct bed bed;

	bed_open(&bed, timeout, "8! 1");
	put(bed.cache, "4=6");
	put(bed.cache, "4=17");
	put(bed.cache, "8=192.0.2.1 1=1");
	stage_flush(bed.cache);
	CU_ASSERT_EQUAL(bed.cache->ledger.merged, 1);
	CU_ASSERT_EQUAL(bed.cache->ledger.filtered, 1);
	CU_ASSERT_EQUAL(ledger_lost(&bed.cache->ledger), 0);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":1}\n");
	bed_close(&bed);
}

/*
 * What was done to the values of records is said of merged ones as long as all
 * say the same.
 */
static void
test_marks(void)
{
	static const struct field_mark one[2] = {{6, 3}, {8, 0}};
	static const struct field_mark other[2] = {{6, 3}, {2, 3}};
	struct bed bed;

	bed_open(&bed, timeout, "8! 1 2");
	put_marked(bed.cache, "8=192.0.2.1 1=100", one);
	put_marked(bed.cache, "8=192.0.2.1 1=100", one);
	wait_ms(&bed, 16000);
	EXPECT(&bed, "{\"sourceIPv4Address\":\"192.0.2.1\","
		     "\"octetDeltaCount\":200}\n");
	CU_ASSERT_EQUAL(bed.sink.mark[0].technique, 6);
	CU_ASSERT_EQUAL(bed.sink.mark[0].flags, 3);
	CU_ASSERT_EQUAL(bed.sink.mark[1].technique, 8);
	/* Others: nothing is said, of a flow that was there before as well. */
	put_marked(bed.cache, "8=192.0.2.1 1=100", one);
	put_marked(bed.cache, "8=192.0.2.1 1=100", other);
	wait_ms(&bed, 16000);
	CU_ASSERT_EQUAL(bed.sink.mark[0].technique, 6);
	CU_ASSERT_EQUAL(bed.sink.mark[1].technique, 0);
	/* And it stays so; a field that was never there before has its own. */
	put_marked(bed.cache, "8=192.0.2.1 2=100", one);
	put(bed.cache, "8=192.0.2.1 1=100");
	wait_ms(&bed, 16000);
	CU_ASSERT_EQUAL(bed.sink.mark[0].technique, 0);
	CU_ASSERT_EQUAL(bed.sink.mark[1].technique, 0);
	CU_ASSERT_EQUAL(bed.sink.mark[2].technique, 8);
	clear(&bed);
	bed_close(&bed);
}

static void
test_bad_configurations(void)
{
	struct cache_field field = {.ie = ie_find(registry, 0, 22),
				    .prefix_length = -1};
	struct cache_conf conf = timeout;
	struct stage *cache;
	const char *error;

	conf.fields = &field;
	conf.field_count = 1;
	CU_ASSERT_NOT_EQUAL(
		cache_new(&conf, registry, shapes, &cache, &error), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "absolute"));
	field.ie = ie_find(registry, 0, 4);
	field.prefix_length = 8;
	CU_ASSERT_NOT_EQUAL(
		cache_new(&conf, registry, shapes, &cache, &error), 0);
	field.prefix_length = -1;
	field.length = 2;
	CU_ASSERT_NOT_EQUAL(
		cache_new(&conf, registry, shapes, &cache, &error), 0);
	conf.field_count = 0;
	CU_ASSERT_NOT_EQUAL(
		cache_new(&conf, registry, shapes, &cache, &error), 0);
}

static const struct unit_test tests[] = {
	{"values merge by their semantics", test_merges_by_semantics},
	{"flags of all widths", test_flags},
	{"flows of several shapes live together", test_shapes_live_together},
	{"idle and active timeouts", test_idle_and_active},
	{"long timeouts", test_long_timeouts_go_round_the_wheel},
	{"maxFlows is a hard bound", test_max_flows_is_hard},
	{"a permanent cache evicts", test_permanent_evicts},
	{"a flow in use is not evicted", test_a_flow_in_use_is_not_evicted},
	{"TCP FIN and RST end flows", test_natural_end},
	{"a permanent cache exports what is new", test_permanent},
	{"addresses are masked", test_prefixes},
	{"total counters become differences", test_total_counters},
	{"all encodings of time", test_times},
	{"exporter and domain as keys", test_scope_as_key},
	{"variable-length fields", test_strings},
	{"lists become their union", test_unions},
	{"signed numbers", test_signed_numbers},
	{"flows are distributed over intervals", test_intervals},
	{"an immediate cache", test_immediate},
	{"a congested exporter", test_congestion_holds_flows_back},
	{"random traffic adds up", test_random_traffic_adds_up},
	{"Options Data are no flows", test_options_are_no_flows},
	{"a flow of nothing is filtered", test_a_flow_of_nothing_is_filtered},
	{"marks on fields", test_marks},
	{"bad configurations", test_bad_configurations},
};

int
main(void)
{
	return bed_run("cache", tests, UNIT_COUNT(tests));
}
