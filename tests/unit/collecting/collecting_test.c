/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Sessions, domains, templates, held data, sequence and ledger. */
#include "fixture.h"

static uint64_t
lost(const struct fixture *f, enum loss reason)
{
	return f->stage->ledger.lost[reason];
}

static void
test_simple(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 0, 5);
	msg_flow_template(&f->m, 256);
	msg_flows(&f->m, 256, 1, 300);
	msg_end(&f->m);
	CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	CU_ASSERT_EQUAL(f->sink->count, 300);
	CU_ASSERT_EQUAL(f->sink->batches, 3);
	CU_ASSERT_EQUAL(f->sink->seen[299].first, 0x0a000000 + 300);
	CU_ASSERT_EQUAL(f->sink->seen[0].domain, 5);
	CU_ASSERT_EQUAL(f->sink->seen[0].length, FLOW_LENGTH);
	CU_ASSERT_EQUAL(f->sink->seen[0].export_ms,
			EXPORT_TIME * UINT64_C(1000));
	CU_ASSERT_EQUAL(f->stage->ledger.in, 300);
	fixture_close(f, &net);
	CU_ASSERT_EQUAL(f->sink->scopes_ended, 1);
	fixture_free(f);
}

/* Templates are per session, and per domain in it. */
static void
test_scopes(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session a, b;

	fixture_open(f, &a, TRANSPORT_UDP);
	fixture_open(f, &b, TRANSPORT_UDP);
	b.remote.port = 1001;
	msg_begin(&f->m, 0, 1);
	msg_flow_template(&f->m, 256);
	msg_flows(&f->m, 256, 1, 2);
	msg_end(&f->m);
	fixture_send(f, &a);
	/* The same id, another template, in another session. */
	msg_begin(&f->m, 0, 1);
	msg_named_template(&f->m, 256);
	msg_set(&f->m, 256);
	msg_u32(&f->m, 77);
	msg_string(&f->m, "eth0", false);
	msg_u32(&f->m, 78);
	msg_string(&f->m, "ethernet1", true);
	msg_end(&f->m);
	fixture_send(f, &b);
	CU_ASSERT_EQUAL(f->sink->count, 4);
	CU_ASSERT_EQUAL(f->sink->seen[2].length, 9);
	CU_ASSERT_EQUAL(f->sink->seen[3].length, 16);
	CU_ASSERT_EQUAL(f->sink->seen[3].first, 78);
	CU_ASSERT_NOT_EQUAL(f->sink->seen[0].serial, f->sink->seen[2].serial);
	/* Another domain of the first session knows neither. */
	msg_begin(&f->m, 0, 2);
	msg_flows(&f->m, 256, 1, 2);
	msg_end(&f->m);
	fixture_send(f, &a);
	CU_ASSERT_EQUAL(f->sink->count, 4);
	msg_begin(&f->m, 2, 1);
	msg_flows(&f->m, 256, 1, 2);
	msg_end(&f->m);
	fixture_send(f, &a);
	CU_ASSERT_EQUAL(f->sink->count, 6);
	CU_ASSERT_EQUAL(f->sink->seen[5].serial, f->sink->seen[0].serial);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 0);
	fixture_close(f, &a);
	CU_ASSERT_EQUAL(f->sink->scopes_ended, 2);
	fixture_close(f, &b);
	CU_ASSERT_EQUAL(f->sink->scopes_ended, 3);
	CU_ASSERT_EQUAL(lost(f, LOSS_NO_TEMPLATE), 1);
	fixture_free(f);
}

/* Over TCP data waits for its template to the end of the message only. */
static void
test_tcp_no_template(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_TCP);
	msg_begin(&f->m, 0, 1);
	msg_flows(&f->m, 256, 1, 10);
	msg_flow_template(&f->m, 256);
	msg_flows(&f->m, 256, 1, 5);
	msg_flows(&f->m, 257, 1, 7);
	msg_end(&f->m);
	CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	CU_ASSERT_EQUAL(f->sink->count, 15);
	CU_ASSERT_EQUAL(lost(f, LOSS_NO_TEMPLATE), 1);
	msg_begin(&f->m, 22, 1);
	msg_flow_template(&f->m, 257);
	msg_flows(&f->m, 256, 1, 1);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 16);
	CU_ASSERT_EQUAL(lost(f, LOSS_NO_TEMPLATE), 7);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 0);
	fixture_close(f, &net);
	fixture_free(f);
}

static void
on_stream(struct fixture *f, struct net_session *net, uint16_t stream,
	  uint32_t sequence, unsigned count)
{
	net->stream = stream;
	msg_begin(&f->m, sequence, 1);
	msg_flows(&f->m, 256, 1, count);
	msg_end(&f->m);
	CU_ASSERT_EQUAL(fixture_send(f, net), 0);
}

/* RFC 7011 section 3.1: each stream of SCTP counts by itself. */
static void
test_sctp_streams(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_SCTP);
	/* Data comes before its Template, which is on another stream. */
	on_stream(f, &net, 3, 0, 10);
	CU_ASSERT_EQUAL(f->sink->count, 0);
	net.stream = 0;
	msg_begin(&f->m, 0, 1);
	msg_flow_template(&f->m, 256);
	msg_end(&f->m);
	CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	CU_ASSERT_EQUAL(f->sink->count, 10);
	on_stream(f, &net, 5, 0, 7);
	on_stream(f, &net, 3, 10, 10);
	on_stream(f, &net, 5, 7, 7);
	on_stream(f, &net, 0, 0, 1);
	CU_ASSERT_EQUAL(f->sink->count, 35);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 0);
	CU_ASSERT_EQUAL(lost(f, LOSS_NO_TEMPLATE), 0);
	/* One is missing, and comes much later, out of order. */
	on_stream(f, &net, 5, 18, 4);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 4);
	f->now_ms += 60000;
	stage_tick(f->stage, f->now_ms);
	on_stream(f, &net, 3, 20, 1);
	on_stream(f, &net, 5, 14, 4);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 0);
	CU_ASSERT_EQUAL(f->sink->count, 44);
	/* More streams than are remembered: they are read all the same. */
	for (unsigned i = 0; i < 2000; i++)
		on_stream(f, &net, (uint16_t)(100 + i), 1000000, 1);
	CU_ASSERT_EQUAL(f->sink->count, 2044);
	fixture_close(f, &net);
	fixture_free(f);
}

static bool
report_has(struct fixture *f, const char *text)
{
	struct text json = {0};
	struct report report;
	bool has;

	report_begin(&report, &json, true);
	f->stage->ops->report(f->stage, &report);
	report_end(&report);
	has = strstr(json.data, text) != NULL;
	text_fini(&json);
	return has;
}

/* RFC 6526: what a stream has lost is of the one Template that it has. */
static void
test_sctp_templates(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_SCTP);
	net.stream = 2;
	msg_begin(&f->m, 0, 1);
	msg_flow_template(&f->m, 256);
	msg_set(&f->m, 3);
	msg_u16(&f->m, 300);
	msg_u16(&f->m, 2);
	msg_u16(&f->m, 1);
	msg_u16(&f->m, IE_templateId);
	msg_u16(&f->m, 2);
	msg_u16(&f->m, IE_dataRecordsReliability);
	msg_u16(&f->m, 1);
	msg_end_set(&f->m);
	msg_set(&f->m, 300);
	msg_u16(&f->m, 256);
	msg_u8(&f->m, 2);
	msg_end_set(&f->m);
	msg_end(&f->m);
	CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	on_stream(f, &net, 2, 1, 10);
	CU_ASSERT_TRUE(report_has(f, "\"cx:dataRecordsReliability\":false"));
	CU_ASSERT_TRUE(report_has(f, "\"cx:sequenceLost\":0"));
	on_stream(f, &net, 2, 16, 10);
	CU_ASSERT_TRUE(report_has(f, "\"cx:stream\":2"));
	CU_ASSERT_TRUE(report_has(f, "\"templateId\":256"));
	CU_ASSERT_TRUE(report_has(f, "\"cx:sequenceLost\":5"));
	fixture_close(f, &net);
	fixture_free(f);
}

/* Withdrawal counts over TCP and is ignored over UDP. */
static void
test_withdrawal(void)
{
	static const enum transport transport[] = {TRANSPORT_TCP,
						   TRANSPORT_UDP};

	for (int i = 0; i < 2; i++) {
		struct fixture *f = fixture_new(NULL);
		struct net_session net;

		fixture_open(f, &net, transport[i]);
		msg_begin(&f->m, 0, 1);
		msg_flow_template(&f->m, 256);
		msg_set(&f->m, 2);
		msg_u16(&f->m, 256);
		msg_u16(&f->m, 0);
		msg_flows(&f->m, 256, 1, 5);
		msg_end(&f->m);
		CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
		CU_ASSERT_EQUAL(f->sink->count, i == 0 ? 0 : 5);
		/* All of them. */
		msg_begin(&f->m, 5, 1);
		msg_flow_template(&f->m, 256);
		msg_flow_template(&f->m, 257);
		msg_set(&f->m, 2);
		msg_u16(&f->m, 2);
		msg_u16(&f->m, 0);
		msg_flows(&f->m, 257, 1, 5);
		msg_end(&f->m);
		CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
		CU_ASSERT_EQUAL(f->sink->count, i == 0 ? 0 : 10);
		fixture_close(f, &net);
		fixture_free(f);
	}
}

static void
test_lifetime(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session udp, tcp;

	fixture_open(f, &udp, TRANSPORT_UDP);
	fixture_open(f, &tcp, TRANSPORT_TCP);
	msg_begin(&f->m, 0, 1);
	msg_flow_template(&f->m, 256);
	msg_flows(&f->m, 256, 1, 5);
	msg_end(&f->m);
	fixture_send(f, &udp);
	fixture_send(f, &tcp);
	CU_ASSERT_EQUAL(f->sink->count, 10);
	fixture_tick(f, 1900000);
	msg_begin(&f->m, 5, 1);
	msg_flows(&f->m, 256, 1, 5);
	msg_end(&f->m);
	fixture_send(f, &udp);
	CU_ASSERT_EQUAL(f->sink->count, 10);
	fixture_send(f, &tcp);
	CU_ASSERT_EQUAL(f->sink->count, 15);
	fixture_close(f, &udp);
	fixture_close(f, &tcp);
	fixture_free(f);
}

/* Another definition between data of one id: each is read by its own. */
static void
test_redefinition(void)
{
	static const enum transport transport[] = {TRANSPORT_TCP,
						   TRANSPORT_UDP};

	for (int i = 0; i < 2; i++) {
		struct fixture *f = fixture_new(NULL);
		struct net_session net;

		fixture_open(f, &net, transport[i]);
		msg_begin(&f->m, 0, 1);
		msg_flow_template(&f->m, 256);
		msg_flows(&f->m, 256, 1, 5);
		msg_named_template(&f->m, 256);
		msg_set(&f->m, 256);
		msg_u32(&f->m, 1);
		msg_string(&f->m, "x", false);
		msg_end(&f->m);
		CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
		CU_ASSERT_EQUAL(f->sink->count, 6);
		CU_ASSERT_EQUAL(f->sink->seen[5].length, 6);
		CU_ASSERT_NOT_EQUAL(f->sink->seen[5].shape,
				    f->sink->seen[0].shape);
		fixture_close(f, &net);
		fixture_free(f);
	}
}

static void
test_sequence(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;
	struct msg *copy = malloc(sizeof(*copy));

	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 0, 1);
	msg_flow_template(&f->m, 256);
	msg_flows(&f->m, 256, 0, 10);
	msg_end(&f->m);
	fixture_send(f, &net);
	msg_begin(&f->m, 30, 1);
	msg_flows(&f->m, 256, 30, 10);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 20);
	fixture_check(f);
	msg_begin(&f->m, 10, 1);
	msg_flows(&f->m, 256, 10, 10);
	msg_end(&f->m);
	*copy = f->m;
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 10);
	CU_ASSERT_EQUAL(f->sink->count, 30);
	/* The same datagram again is not read again. */
	f->m = *copy;
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 30);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 10);
	/* A restart. The templates stay. */
	msg_begin(&f->m, 0, 1);
	wire_put32(f->m.data + 4, EXPORT_TIME + 100);
	msg_flows(&f->m, 256, 0, 10);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 40);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 10);
	fixture_close(f, &net);
	fixture_free(f);
	free(copy);
}

/* A message with a wrong number changes the account for a moment only. */
static void
test_stray(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 0, 1);
	msg_flow_template(&f->m, 256);
	msg_flows(&f->m, 256, 0, 10);
	msg_end(&f->m);
	fixture_send(f, &net);
	msg_begin(&f->m, 10000000, 1);
	msg_flows(&f->m, 256, 0, 10);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 9999990);
	msg_begin(&f->m, 10, 1);
	msg_flows(&f->m, 256, 0, 10);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 0);
	CU_ASSERT_EQUAL(f->sink->count, 30);
	fixture_close(f, &net);
	fixture_free(f);
}

static void
test_domain_bound(void)
{
	struct collecting_conf conf = {.max_domains = 3};
	struct fixture *f = fixture_new(&conf);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	for (unsigned i = 0; i < 5; i++) {
		msg_begin(&f->m, 0, i);
		msg_flow_template(&f->m, 256);
		msg_flows(&f->m, 256, 0, 10);
		msg_end(&f->m);
		CU_ASSERT_EQUAL(fixture_send(f, &net), 0);
	}
	CU_ASSERT_EQUAL(f->sink->count, 30);
	CU_ASSERT_EQUAL(lost(f, LOSS_LIMIT), 2);
	/* One that was silent for long makes room. */
	fixture_tick(f, 200000);
	for (unsigned i = 0; i < 5; i++) {
		msg_begin(&f->m, 10, 1 + i % 2);
		msg_flows(&f->m, 256, i, 10);
		msg_end(&f->m);
		fixture_send(f, &net);
	}
	CU_ASSERT_EQUAL(f->sink->count, 80);
	fixture_tick(f, 200000);
	msg_begin(&f->m, 0, 9);
	msg_flow_template(&f->m, 256);
	msg_flows(&f->m, 256, 0, 10);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->sink->count, 90);
	CU_ASSERT_EQUAL(f->sink->scopes_ended, 1);
	CU_ASSERT_EQUAL(lost(f, LOSS_LIMIT), 2);
	fixture_close(f, &net);
	CU_ASSERT_EQUAL(f->sink->scopes_ended, 4);
	fixture_free(f);
}

static void
test_no_sink(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	f->stage->next_count = 0;
	fixture_open(f, &net, TRANSPORT_FILE);
	msg_begin(&f->m, 0, 5);
	msg_flow_template(&f->m, 256);
	msg_flows(&f->m, 256, 1, 30);
	msg_end(&f->m);
	fixture_send(f, &net);
	CU_ASSERT_EQUAL(f->stage->ledger.filtered, 30);
	fixture_close(f, &net);
	f->stage->next_count = 1;
	fixture_free(f);
}

static void
test_ready(void)
{
	struct fixture *f = fixture_new(NULL);
	struct collecting_receiver *r = f->receiver[TRANSPORT_TCP];

	CU_ASSERT_TRUE(f->ops->ready(r));
	f->sink->congested = true;
	CU_ASSERT_FALSE(f->ops->ready(r));
	fixture_free(f);
}

static void
count_call(void *arg)
{
	++*(int *)arg;
}

static void
test_finished(void)
{
	struct ie_registry *registry = ie_registry_new(10);
	struct shape_table *shapes = shape_table_new(10);
	struct collecting_receiver_conf r = {.name = "f",
					     .transport = TRANSPORT_FILE};
	int calls = 0;
	struct collecting_conf conf = {.name = "x",
				       .registry = registry,
				       .shapes = shapes,
				       .finished = count_call,
				       .arg = &calls};
	struct collecting_receiver *a, *b;
	struct collecting *c;

	CU_ASSERT_EQUAL_FATAL(collecting_new(&conf, &c), 0);
	CU_ASSERT_FALSE(collecting_finished(c));
	CU_ASSERT_EQUAL(collecting_add(c, &r, &a), 0);
	CU_ASSERT_EQUAL(collecting_add(c, &r, &b), 0);
	collecting_net_ops()->finished(a);
	CU_ASSERT_EQUAL(calls, 0);
	collecting_net_ops()->finished(b);
	CU_ASSERT_EQUAL(calls, 1);
	CU_ASSERT_TRUE(collecting_finished(c));
	stage_free(collecting_stage(c));
	conf.registry = NULL;
	CU_ASSERT(collecting_new(&conf, &c) < 0);
	shape_table_free(shapes);
	ie_registry_free(registry);
}

static void
test_report(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session udp, file;
	struct text text = {0};
	struct report report;

	fixture_open(f, &udp, TRANSPORT_UDP);
	fixture_open(f, &file, TRANSPORT_FILE);
	msg_begin(&f->m, 0, 5);
	msg_flow_template(&f->m, 256);
	msg_flows(&f->m, 256, 1, 30);
	msg_end(&f->m);
	fixture_send(f, &udp);
	fixture_send(f, &file);
	fixture_tick(f, 2000);
	f->ops->dropped(f->receiver[TRANSPORT_UDP], 3);
	report_begin(&report, &text, true);
	f->stage->ops->report(f->stage, &report);
	report_end(&report);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text.data);
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"udpCollector\":["));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text.data, "\"sourceAddress\":\"192.0.2.1\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"records\":30"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"templateDataRecords\":30"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"fileReader\":["));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"kernelDrop\":3"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text.data, "\"cx:ieName\":\"sourceIPv4Address\""));
	text_fini(&text);
	fixture_close(f, &udp);
	fixture_close(f, &file);
	fixture_free(f);
}

/* Freed before its net_in's were closed: nothing is left behind. */
static void
test_free_open(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session net;

	fixture_open(f, &net, TRANSPORT_UDP);
	msg_begin(&f->m, 0, 1);
	msg_flow_template(&f->m, 256);
	msg_flows(&f->m, 256, 1, 10);
	msg_flows(&f->m, 999, 1, 10);
	msg_end(&f->m);
	fixture_send(f, &net);
	fixture_free(f);
	CU_ASSERT_PTR_NULL(net.user);
}

/* A session that is secured, from another port each time. */
static void
open_secured(struct fixture *f, struct net_session *net, uint16_t port,
	     const char *peer)
{
	fixture_open(f, net, TRANSPORT_UDP);
	net->remote.port = port;
	net->peer = peer;
	net->suite = "suite";
}

static void
send_flows(struct fixture *f, struct net_session *net, uint32_t sequence,
	   bool template, unsigned count)
{
	msg_begin(&f->m, sequence, 5);
	if (template)
		msg_flow_template(&f->m, 256);
	if (count)
		msg_flows(&f->m, 256, sequence, count);
	msg_end(&f->m);
	CU_ASSERT_EQUAL(fixture_send(f, net), 0);
}

/*
 * The exporter begins a new session beside the old one, and ends that later:
 * one scope for those behind, two for the Templates and the numbers.
 */
static void
test_replaced(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session a, b, c, other;

	open_secured(f, &a, 1000, "exporter.test");
	send_flows(f, &a, 0, true, 10);
	open_secured(f, &b, 1001, "exporter.test");
	open_secured(f, &other, 1002, "other.test");
	send_flows(f, &b, 0, true, 0);
	send_flows(f, &a, 10, false, 10); /* still in the old one */
	send_flows(f, &b, 0, false, 10);
	send_flows(f, &other, 0, true, 10);
	CU_ASSERT_EQUAL_FATAL(f->sink->count, 40);
	CU_ASSERT_EQUAL(f->sink->seen[0].serial, f->sink->seen[10].serial);
	CU_ASSERT_EQUAL(f->sink->seen[0].serial, f->sink->seen[20].serial);
	CU_ASSERT_NOT_EQUAL(f->sink->seen[0].serial, f->sink->seen[30].serial);
	fixture_close(f, &a);
	CU_ASSERT_EQUAL(f->sink->scopes_ended, 0);
	send_flows(f, &b, 10, false, 10);
	CU_ASSERT_EQUAL(f->sink->seen[0].serial, f->sink->seen[40].serial);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 0);
	/* The next one has lost its first 3 records, 2 of them for a while. */
	open_secured(f, &c, 1003, "exporter.test");
	send_flows(f, &c, 3, true, 10);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 3);
	send_flows(f, &c, 1, true, 2);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 1);
	fixture_close(f, &b);
	CU_ASSERT_EQUAL(f->sink->scopes_ended, 0);
	fixture_close(f, &c);
	CU_ASSERT_EQUAL(f->sink->scopes_ended, 1);
	fixture_close(f, &other);
	CU_ASSERT_EQUAL(f->sink->scopes_ended, 2);
	fixture_free(f);
}

/* Some exporters count on in a new session: that is no loss either. */
static void
test_replaced_counts_on(void)
{
	struct fixture *f = fixture_new(NULL);
	struct net_session a, b;

	open_secured(f, &a, 1000, "exporter.test");
	send_flows(f, &a, 50000, true, 10);
	open_secured(f, &b, 1001, "exporter.test");
	send_flows(f, &b, 50012, true, 10);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 2);
	send_flows(f, &b, 50022, false, 10);
	CU_ASSERT_EQUAL(lost(f, LOSS_SEQUENCE_GAP), 2);
	fixture_close(f, &a);
	fixture_close(f, &b);
	fixture_free(f);
}

static const struct unit_test tests[] = {
	{"one message", test_simple},
	{"sessions and domains", test_scopes},
	{"no template over TCP", test_tcp_no_template},
	{"streams of SCTP", test_sctp_streams},
	{"Templates on streams of SCTP", test_sctp_templates},
	{"withdrawal", test_withdrawal},
	{"lifetime over UDP only", test_lifetime},
	{"redefinition between data", test_redefinition},
	{"loss, late, duplicate, restart", test_sequence},
	{"a stray message", test_stray},
	{"domains are bounded", test_domain_bound},
	{"replaced sessions", test_replaced},
	{"replaced sessions that count on", test_replaced_counts_on},
	{"nobody listens", test_no_sink},
	{"congestion", test_ready},
	{"finished", test_finished},
	{"report", test_report},
	{"freed with open sessions", test_free_open},
};

int
main(void)
{
	return unit_run("collecting", tests, UNIT_COUNT(tests));
}
