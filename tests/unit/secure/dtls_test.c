/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "dtls_pair.h"

#define LINE "exporter.example.net:00112233445566778899aabbccddeeff\n"
#define OTHER "exporter.example.net:ff112233445566778899aabbccddeeff\n"
#define STRANGER "stranger.example.net:00112233445566778899aabbccddeeff\n"

static struct pair pair;

static void
check_data(struct pair *p)
{
	static const uint8_t hello[] = "hello", answer[] = "answer";
	uint64_t now = clock_mono_ms();

	CU_ASSERT_EQUAL(dtls_write(p->client.dtls, hello, 5, now), 0);
	CU_ASSERT_EQUAL(dtls_write(p->server.dtls, answer, 6, now), 0);
	pair_exchange(p);
	CU_ASSERT_STRING_EQUAL(p->server.got, "hello");
	CU_ASSERT_STRING_EQUAL(p->client.got, "answer");
}

static void
check_up(struct pair *p)
{
	CU_ASSERT_FATAL(end_is(&p->client, DTLS_UP));
	CU_ASSERT_FATAL(end_is(&p->server, DTLS_UP));
	check_data(p);
}

static void
check_heartbeat(struct pair *p, struct end *from)
{
	CU_ASSERT_TRUE_FATAL(dtls_has_heartbeat(from->dtls));
	CU_ASSERT_EQUAL(dtls_probe(from->dtls, 0, 1, 0, clock_mono_ms()), 0);
	CU_ASSERT_EQUAL(dtls_probe(from->dtls, 0, 1, 0, clock_mono_ms()),
			-EBUSY);
	CU_ASSERT_EQUAL(dtls_probe_result(from->dtls), DTLS_PROBE_PENDING);
	pair_exchange(p);
	CU_ASSERT_EQUAL(dtls_probe_result(from->dtls), DTLS_PROBE_ANSWERED);
	CU_ASSERT_EQUAL(dtls_probe_result(from->dtls), DTLS_PROBE_NONE);
	check_data(p);
}

static void
test_certificates(void)
{
	struct dtls_stats stats;
	char text[128];

	memset(&pair, 0, sizeof(pair));
	pair_certificates(&pair, "collector.example.net");
	pair_begin(&pair);
	check_up(&pair);
	CU_ASSERT_STRING_EQUAL(dtls_peer(pair.client.dtls),
			       "collector.example.net");
	CU_ASSERT_STRING_EQUAL(dtls_peer(pair.server.dtls),
			       "exporter.example.net");
	CU_ASSERT_STRING_EQUAL(
		dtls_describe(pair.client.dtls, text, sizeof(text)),
		"ECDHE-ECDSA AES-256-GCM, heartbeat");
	check_heartbeat(&pair, &pair.client);
	check_heartbeat(&pair, &pair.server);
	dtls_stats(pair.server.dtls, &stats);
	CU_ASSERT_EQUAL(stats.discarded, 0);
	/* The end, in order. */
	dtls_end(pair.client.dtls, clock_mono_ms());
	pair_exchange(&pair);
	CU_ASSERT(end_is(&pair.server, DTLS_ENDED));
	pair_end(&pair);
}

static void
test_resumed(void)
{
	char text[128];

	memset(&pair, 0, sizeof(pair));
	pair_certificates(&pair, "collector.example.net");
	pair_begin(&pair);
	check_up(&pair);
	dtls_resume_get(pair.client.dtls, &pair.resume);
	pair_begin(&pair);
	check_up(&pair);
	dtls_describe(pair.client.dtls, text, sizeof(text));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "resumed"));
	CU_ASSERT_STRING_EQUAL(dtls_peer(pair.server.dtls),
			       "exporter.example.net");
	check_heartbeat(&pair, &pair.client);
	pair_end(&pair);
}

static void
test_wrong_name(void)
{
	memset(&pair, 0, sizeof(pair));
	pair_certificates(&pair, "other.example.net");
	pair_begin(&pair);
	CU_ASSERT(end_is(&pair.client, DTLS_FAILED));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(dtls_reason(pair.client.dtls), "other.example.net"));
	CU_ASSERT(end_is(&pair.server, DTLS_FAILED));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(dtls_reason(pair.server.dtls), "refuses us"));
	pair_end(&pair);
}

static void
test_psk(void)
{
	char text[128];

	memset(&pair, 0, sizeof(pair));
	pair_psk(&pair, LINE, LINE);
	pair_begin(&pair);
	check_up(&pair);
	CU_ASSERT_STRING_EQUAL(dtls_peer(pair.server.dtls),
			       "exporter.example.net");
	dtls_describe(pair.client.dtls, text, sizeof(text));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "ECDHE-PSK"));
	check_heartbeat(&pair, &pair.client);
	dtls_resume_get(pair.client.dtls, &pair.resume);
	pair_begin(&pair);
	check_up(&pair);
	CU_ASSERT_STRING_EQUAL(dtls_peer(pair.server.dtls),
			       "exporter.example.net");
	pair_end(&pair);
}

/* Neither end gets an error from the wire; both have to say what it is. */
static void
test_psk_wrong(void)
{
	memset(&pair, 0, sizeof(pair));
	pair_psk(&pair, LINE, OTHER);
	pair_begin(&pair);
	PAIR_UNTIL(&pair, 8,
		   end_is(&pair.server, DTLS_FAILED) &&
			   end_is(&pair.client, DTLS_FAILED));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(dtls_reason(pair.server.dtls), "pre-shared key"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(dtls_reason(pair.client.dtls), "pre-shared key"));
	pair_end(&pair);
}

static void
test_psk_unknown(void)
{
	memset(&pair, 0, sizeof(pair));
	pair_psk(&pair, LINE, STRANGER);
	pair_begin(&pair);
	CU_ASSERT(end_is(&pair.server, DTLS_FAILED));
	CU_ASSERT(end_is(&pair.client, DTLS_FAILED));
	CU_ASSERT_TRUE(dtls_rejected(pair.server.dtls));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(dtls_reason(pair.server.dtls), "exporter.example.net"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(dtls_reason(pair.client.dtls), "our identity"));
	pair_end(&pair);
}

/* Taken from the file while a client still could resume its session. */
static void
test_psk_withdrawn(void)
{
	char *error;

	memset(&pair, 0, sizeof(pair));
	pair_psk(&pair, LINE, LINE);
	pair_begin(&pair);
	check_up(&pair);
	dtls_resume_get(pair.client.dtls, &pair.resume);
	certs_write_text(certs_path(&pair.folder, "server.psk"), STRANGER,
			 0600);
	CU_ASSERT_EQUAL(secure_reload(pair.server.secure, &error), 0);
	pair_begin(&pair);
	CU_ASSERT(end_is(&pair.server, DTLS_FAILED));
	CU_ASSERT_FALSE(end_is(&pair.client, DTLS_UP));
	pair_end(&pair);
}

static void
test_lossy(void)
{
	memset(&pair, 0, sizeof(pair));
	pair_certificates(&pair, "collector.example.net");
	pair.client.out.lose_each = 3;
	pair.server.out.lose_each = 4;
	pair_begin(&pair);
	PAIR_UNTIL(&pair, 14,
		   end_is(&pair.client, DTLS_UP) &&
			   end_is(&pair.server, DTLS_UP));
	pair.client.out.lose_each = pair.server.out.lose_each = 0;
	check_up(&pair);
	check_heartbeat(&pair, &pair.client);
	pair_end(&pair);
}

/* Requests that get no answer, and one that is answered the second time. */
static void
test_heartbeat_lost(void)
{
	uint64_t now;

	memset(&pair, 0, sizeof(pair));
	pair_certificates(&pair, "collector.example.net");
	pair_begin(&pair);
	check_up(&pair);
	now = clock_mono_ms();
	pair.client.out.closed = true;
	CU_ASSERT_EQUAL(dtls_probe(pair.client.dtls, 0, 2, 100, now), 0);
	dtls_tick(pair.client.dtls, now + 100);
	dtls_tick(pair.client.dtls, now + 299);
	CU_ASSERT_EQUAL(dtls_probe_result(pair.client.dtls),
			DTLS_PROBE_PENDING);
	dtls_tick(pair.client.dtls, now + 300);
	CU_ASSERT_EQUAL(dtls_probe_result(pair.client.dtls), DTLS_PROBE_FAILED);
	CU_ASSERT_EQUAL(dtls_probe(pair.client.dtls, 0, 2, 100, now), 0);
	pair.client.out.closed = false;
	dtls_tick(pair.client.dtls, now + 100);
	pair_exchange(&pair);
	CU_ASSERT_EQUAL(dtls_probe_result(pair.client.dtls),
			DTLS_PROBE_ANSWERED);
	check_data(&pair);
	pair_end(&pair);
}

/* The request has the octets that were asked for; its answer is small. */
static void
test_heartbeat_size(void)
{
	memset(&pair, 0, sizeof(pair));
	pair_certificates(&pair, "collector.example.net");
	pair_begin(&pair);
	check_up(&pair);
	pair.client.out.most = 1300;
	for (uint32_t size = 1299; size <= 1301; size++) {
		pair.client.out.largest = pair.server.out.largest = 0;
		dtls_probe(pair.client.dtls, size, 1, 1, clock_mono_ms());
		pair_exchange(&pair);
		CU_ASSERT_EQUAL(pair.client.out.largest, size);
		CU_ASSERT(pair.server.out.largest < 100);
		dtls_tick(pair.client.dtls, clock_mono_ms() + 1);
		CU_ASSERT_EQUAL(dtls_probe_result(pair.client.dtls),
				size <= 1300 ? DTLS_PROBE_ANSWERED
					     : DTLS_PROBE_FAILED);
	}
	pair.client.out.most = 0;
	CU_ASSERT_EQUAL(dtls_probe(pair.client.dtls, DTLS_DATAGRAM_MAX, 1, 0,
				   clock_mono_ms()),
			0);
	pair_exchange(&pair);
	CU_ASSERT_EQUAL(dtls_probe_result(pair.client.dtls),
			DTLS_PROBE_ANSWERED);
	pair_end(&pair);
}

/* Sent by itself, and again with each bit turned in its turn. */
static void
test_replayed_and_changed(void)
{
	struct dtls_stats stats;
	uint8_t copy[PATH_OCTETS];
	uint64_t asked;
	size_t length;

	memset(&pair, 0, sizeof(pair));
	pair_certificates(&pair, "collector.example.net");
	pair_begin(&pair);
	check_up(&pair);
	dtls_probe(pair.client.dtls, 0, 1, 0, clock_mono_ms());
	length = pair.client.out.last_length;
	memcpy(copy, pair.client.out.last, length);
	pair_exchange(&pair);
	dtls_stats(pair.server.dtls, &stats);
	asked = stats.asked;
	CU_ASSERT_EQUAL(asked, 1);
	end_take(&pair.server, copy, length);
	for (size_t i = 0; i < length * 8; i++) {
		copy[i / 8] ^= (uint8_t)(1 << i % 8);
		end_take(&pair.server, copy, length);
		copy[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t i = 0; i < length; i++)
		end_take(&pair.server, copy, i);
	dtls_stats(pair.server.dtls, &stats);
	CU_ASSERT_EQUAL(stats.asked, asked);
	pair_exchange(&pair);
	check_up(&pair);
	pair_end(&pair);
}

/* A forged copy that is there first does not keep the genuine record out. */
static void
test_forged_first(void)
{
	uint8_t copy[PATH_OCTETS];
	size_t length;

	memset(&pair, 0, sizeof(pair));
	pair_certificates(&pair, "collector.example.net");
	pair_begin(&pair);
	check_up(&pair);
	for (unsigned i = 0; i < 100; i++) {
		dtls_write(pair.client.dtls, (const uint8_t *)"data", 4,
			   clock_mono_ms());
		length = pair.client.out.last_length;
		memcpy(copy, pair.client.out.last, length);
		pair.client.out.count = 0;
		pair.server.messages = 0;
		copy[length - 1 - i % 20] ^= 1;
		end_take(&pair.server, copy, length);
		end_take(&pair.server, copy, length - 1 - i % 20);
		CU_ASSERT_EQUAL(pair.server.messages, 0);
		copy[length - 1 - i % 20] ^= 1;
		end_take(&pair.server, copy, length);
		CU_ASSERT_EQUAL(pair.server.messages, 1);
		end_take(&pair.server, copy, length);
		CU_ASSERT_EQUAL(pair.server.messages, 1);
	}
	check_up(&pair);
	pair_end(&pair);
}

/* Heartbeats and data in one datagram are told apart. */
static void
test_several_records(void)
{
	uint8_t both[PATH_OCTETS];
	struct dtls_stats stats;
	size_t length = 0;

	memset(&pair, 0, sizeof(pair));
	pair_certificates(&pair, "collector.example.net");
	pair_begin(&pair);
	check_up(&pair);
	for (int i = 0; i < 3; i++) {
		if (i == 1)
			dtls_probe(pair.client.dtls, 0, 1, 0, clock_mono_ms());
		else
			dtls_write(pair.client.dtls, (const uint8_t *)"more", 4,
				   clock_mono_ms());
		memcpy(both + length, pair.client.out.last,
		       pair.client.out.last_length);
		length += pair.client.out.last_length;
	}
	pair.client.out.count = 0;
	pair.server.messages = 0;
	end_take(&pair.server, both, length);
	CU_ASSERT_EQUAL(pair.server.messages, 2);
	dtls_stats(pair.server.dtls, &stats);
	CU_ASSERT_EQUAL(stats.asked, 1);
	pair_exchange(&pair);
	CU_ASSERT_EQUAL(dtls_probe_result(pair.client.dtls),
			DTLS_PROBE_ANSWERED);
	pair_end(&pair);
}

static void
test_without_heartbeat(void)
{
	for (int i = 0; i < 2; i++) {
		memset(&pair, 0, sizeof(pair));
		pair_certificates(&pair, "collector.example.net");
		pair.heartbeat[i] = false;
		pair_begin(&pair);
		check_up(&pair);
		CU_ASSERT_FALSE(dtls_has_heartbeat(pair.client.dtls));
		CU_ASSERT_EQUAL(dtls_probe(pair.client.dtls, 0, 1, 0, 0),
				-ENOTSUP);
		pair_end(&pair);
	}
}

/* No cookie, no session: whatever else comes leaves nothing behind. */
static enum dtls_probe last_result;

static bool
renewed(void)
{
	enum dtls_probe result = dtls_renegotiated(pair.client.dtls);

	if (result != DTLS_PROBE_NONE)
		last_result = result;
	return last_result == DTLS_PROBE_ANSWERED;
}

static void
renegotiate(void)
{
	last_result = DTLS_PROBE_NONE;
	CU_ASSERT_EQUAL(dtls_renegotiate(pair.client.dtls, clock_mono_ms()), 0);
}

static void
send_text(const char *text)
{
	CU_ASSERT_EQUAL(dtls_write(pair.client.dtls, (const uint8_t *)text,
				   strlen(text), clock_mono_ms()),
			0);
}

/* A handshake within the session, if the server wants it or not. */
static void
test_renegotiation(void)
{
	unsigned messages = 0;

	for (int allowed = 0; allowed < 2; allowed++) {
		memset(&pair, 0, sizeof(pair));
		pair_certificates(&pair, "collector.example.net");
		pair.renegotiation = allowed;
		pair.handshake_ms = 1500;
		pair_begin(&pair);
		CU_ASSERT_TRUE(end_is(&pair.client, DTLS_UP));
		/* It has its time from its own beginning. */
		usleep(1600000);
		/* What the server doesn't want, the next one waits a second for:
		 * GnuTLS takes its first message for one that was sent. */
		for (int i = 0; i < 2 + 2 * allowed; i++) {
			renegotiate();
			CU_ASSERT_EQUAL(dtls_write(pair.client.dtls,
						   (const uint8_t *)"no", 2,
						   clock_mono_ms()),
					-EAGAIN);
			PAIR_UNTIL(&pair, 2, renewed());
			send_text("data");
			pair_exchange(&pair);
			CU_ASSERT_EQUAL(pair.server.messages, ++messages);
		}
		CU_ASSERT_STRING_EQUAL(dtls_peer(pair.server.dtls),
				       "exporter.example.net");
		check_heartbeat(&pair, &pair.client);
		messages = 0;
		pair_end(&pair);
	}
}

/* Datagrams are lost, and data of before comes late. */
static void
test_renegotiation_lossy(void)
{
	memset(&pair, 0, sizeof(pair));
	pair_certificates(&pair, "collector.example.net");
	pair.renegotiation = true;
	pair_begin(&pair);
	pair.client.out.lose_each = 7;
	pair.server.out.lose_each = 4;
	renegotiate();
	PAIR_UNTIL(&pair, 12, renewed());
	pair.client.out.lose_each = pair.server.out.lose_each = 0;
	send_text("data");
	pair_exchange(&pair);
	CU_ASSERT_EQUAL(pair.server.messages, 1);
	/* On the way when the handshake begins, and behind its first message.
	 */
	send_text("late");
	renegotiate();
	{
		struct path *path = &pair.client.out;
		unsigned a = path->first, b = (path->first + 1) % PATH_COUNT;
		static uint8_t data[PATH_OCTETS];
		size_t length = path->length[a];

		CU_ASSERT_EQUAL_FATAL(path->count, 2);
		memcpy(data, path->data[a], length);
		memcpy(path->data[a], path->data[b], path->length[b]);
		path->length[a] = path->length[b];
		memcpy(path->data[b], data, length);
		path->length[b] = length;
	}
	PAIR_UNTIL(&pair, 5, renewed());
	send_text("more");
	pair_exchange(&pair);
	CU_ASSERT_STRING_EQUAL(pair.server.got, "more");
	pair_end(&pair);
}

/* Nobody answers: the session is over. */
static void
test_renegotiation_dead(void)
{
	memset(&pair, 0, sizeof(pair));
	pair_certificates(&pair, "collector.example.net");
	pair.renegotiation = true;
	pair.handshake_ms = 1500;
	pair_begin(&pair);
	pair.server.out.closed = true;
	renegotiate();
	PAIR_UNTIL(&pair, 5, end_is(&pair.client, DTLS_FAILED));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(dtls_reason(pair.client.dtls), "it is dead"));
	pair_end(&pair);
}

static void
test_cookies(void)
{
	struct path *hello = &pair.client.out;
	struct dtls_start start;
	struct addr other;
	uint8_t first[PATH_OCTETS];
	size_t length;

	memset(&pair, 0, sizeof(pair));
	pair_certificates(&pair, "collector.example.net");
	pair.client.dtls = pair_dtls(&pair, &pair.client, NULL);
	dtls_tick(pair.client.dtls, clock_mono_ms());
	length = hello->last_length;
	memcpy(first, hello->last, length);
	CU_ASSERT_TRUE(dtls_is_hello(first, length));
	CU_ASSERT_EQUAL(dtls_hello(pair.server.context, first, length,
				   &pair.client_addr, 0, path_put,
				   &pair.server.out, &start),
			DTLS_HELLO_ASKED);
	CU_ASSERT(pair.server.out.last_length < length);
	pair_deliver(&pair, &pair.server, &pair.client);
	/* With the cookie; but it is good for its address only, and while
	 * the keys are remembered. */
	addr_parse(&other, "192.0.2.1", 40001);
	CU_ASSERT_EQUAL(dtls_hello(pair.server.context, hello->last,
				   hello->last_length, &other, 0, path_put,
				   &pair.server.out, &start),
			DTLS_HELLO_ASKED);
	CU_ASSERT_EQUAL(dtls_hello(pair.server.context, hello->last,
				   hello->last_length, &pair.client_addr, 60000,
				   path_put, &pair.server.out, &start),
			DTLS_HELLO_COOKIE);
	CU_ASSERT_EQUAL(dtls_hello(pair.server.context, hello->last,
				   hello->last_length, &pair.client_addr,
				   120000, path_put, &pair.server.out, &start),
			DTLS_HELLO_ASKED);
	for (size_t i = 0; i < length; i++)
		CU_ASSERT_EQUAL(dtls_hello(pair.server.context, first, i,
					   &pair.client_addr, 120000, path_put,
					   &pair.server.out, &start),
				DTLS_HELLO_NONE);
	pair_end(&pair);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"certificates", test_certificates},
		{"resumed", test_resumed},
		{"wrong name", test_wrong_name},
		{"pre-shared key", test_psk},
		{"wrong pre-shared key", test_psk_wrong},
		{"unknown identity", test_psk_unknown},
		{"withdrawn identity", test_psk_withdrawn},
		{"lossy path", test_lossy},
		{"lost heartbeats", test_heartbeat_lost},
		{"size of heartbeats", test_heartbeat_size},
		{"replayed and changed heartbeats", test_replayed_and_changed},
		{"forged copies first", test_forged_first},
		{"several records", test_several_records},
		{"without heartbeat", test_without_heartbeat},
		{"renegotiation", test_renegotiation},
		{"renegotiation with losses", test_renegotiation_lossy},
		{"renegotiation with nobody", test_renegotiation_dead},
		{"cookies", test_cookies},
	};

	return unit_run("dtls", tests, UNIT_COUNT(tests));
}
