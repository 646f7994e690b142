/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * State of a Collecting Process with the names of RFC 6728 (its config false
 * nodes); what it lacks has the prefix "cx:".
 *
 * discardedMessages counts what could not be read, not even in part or to its
 * end, and copies. What is missing by the sequence numbers is counted in
 * records, which is what the numbers tell, as cx:sequenceLost; late messages
 * are read, so they are not discarded.
 */
#include <string.h>

#include "conflux/clock.h"
#include "conflux/format.h"
#include "conflux/wire.h"
#include "options.h"

static void
report_time(struct report *report, const char *name, uint64_t wall_ms)
{
	char text[CLOCK_TEXT_SIZE];

	if (wall_ms)
		report_text(report, name, clock_format(text, wall_ms));
}

static void
report_unless_0(struct report *report, const char *name, uint64_t value)
{
	if (value)
		report_uint(report, name, value);
}

static void
report_field(const struct template *template, unsigned i, struct report *report)
{
	const struct field *field = &template->shape->field[i];

	report_item(report);
	report_uint(report, "ieId", field->ie->id);
	report_uint(report, "ieLength", field->length);
	report_uint(report, "ieEnterpriseNumber", field->ie->pen);
	if (i < template->shape->scope_count)
		report_bool(report, "isScope", true);
	else if (!template->shape->scope_count && i < 64 &&
		 template->flow_keys >> i & 1)
		report_bool(report, "isFlowKey", true);
	report_text(report, "cx:ieName", field->ie->name);
	report_close(report);
}

/* Times of templates are monotonic; wall_ms - now_ms makes them wall times. */
static void
report_reliability(const struct session *session,
		   const struct template *template, struct report *report)
{
	const struct domain *domain;

	if (session->net->transport != TRANSPORT_SCTP)
		return;
	if (template->reliability == 1 || template->reliability == 2)
		report_bool(report, "cx:dataRecordsReliability",
			    template->reliability == 1);
	domain = session_find_domain(session, PROTOCOL_IPFIX, template->domain);
	if (domain)
		report_uint(report, "cx:sequenceLost",
			    streams_lost_of(domain, template->id));
}

static void
report_template(const struct session *session, const struct template *template,
		uint64_t to_wall_ms, struct report *report)
{
	report_item(report);
	report_uint(report, "observationDomainId", template->domain);
	report_uint(report, "templateId", template->id);
	report_uint(report, "setId", template->set_id);
	report_time(report, "accessTime", template->defined_ms + to_wall_ms);
	report_uint(report, "templateDataRecords", template->data_records);
	report_time(report, "cx:lastDataTime", template->accessed_ms);
	report_reliability(session, template, report);
	report_list(report, "field");
	for (unsigned i = 0; i < template->shape->count; i++)
		report_field(template, i, report);
	report_end_list(report);
	report_close(report);
}

static void
report_templates(const struct session *session, struct report *report)
{
	uint64_t to_wall_ms = clock_wall_ms() - clock_mono_ms();
	const struct template *template;
	uint32_t at = 0;

	report_list(report, "template");
	while ((template = template_store_next(session->templates, &at)) &&
	       report_room(report))
		report_template(session, template, to_wall_ms, report);
	report_end_list(report);
}

/* One remembered Options Data Record as name and value of each field. */
static void
report_option(const struct option *option, struct report *report)
{
	const uint8_t *p = option->record;
	struct text value = {0};

	report_item(report);
	report_time(report, "cx:exportTime", option->export_ms);
	for (unsigned i = 0; i < option->shape->count; i++) {
		const struct field *field = &option->shape->field[i];
		uint32_t length = field->length;

		if (length == IE_VARIABLE) {
			length = *p++;
			if (length == 255) {
				length = wire_get16(p);
				p += 2;
			}
		}
		text_reset(&value);
		format_value_text(&value, field->ie, p, length);
		report_text(report, field->ie->name,
			    value.data ? value.data : "");
		p += length;
	}
	text_fini(&value);
	report_close(report);
}

static void
report_options(const struct domain *domain, struct report *report)
{
	const struct table *options = &domain->session->options;
	const struct option *option;
	bool any = false;
	uint32_t at = 0;

	while ((option = table_next(options, &at))) {
		if (option->domain != domain)
			continue;
		if (!report_room(report))
			break;
		if (!any)
			report_list(report, "cx:option");
		any = true;
		report_option(option, report);
	}
	if (any)
		report_end_list(report);
}

static void
report_stream(const struct stream *stream, struct report *report)
{
	report_item(report);
	report_uint(report, "cx:stream", stream->number);
	if (stream->template_id && !stream->mixed)
		report_uint(report, "templateId", stream->template_id);
	report_uint(report, "messages", stream->messages);
	report_uint(report, "cx:sequenceLost", stream->sequence.account.lost);
	report_uint(report, "cx:reordered", stream->sequence.account.late);
	report_close(report);
}

static void
report_streams(const struct domain *domain, struct report *report)
{
	const struct stream *stream;

	if (domain->scope->transport != TRANSPORT_SCTP)
		return;
	report_list(report, "cx:streams");
	report_stream(&domain->first, report);
	SLIST_FOREACH(stream, &domain->others, link)
	{
		if (!report_room(report))
			break;
		report_stream(stream, report);
	}
	report_end_list(report);
}

static void
report_domain(const struct domain *domain, struct report *report)
{
	static const char *const protocol[] = {
		[PROTOCOL_NETFLOW5] = "NetFlow 5",
		[PROTOCOL_NETFLOW9] = "NetFlow 9",
		[PROTOCOL_SFLOW] = "sFlow 5",
	};
	const struct sequence *s = &domain->first.sequence;
	const struct sequence_account account = streams_account(domain);

	report_item(report);
	report_uint(report, "observationDomainId", domain->scope->domain);
	if (domain->protocol != PROTOCOL_IPFIX)
		report_text(report, "cx:protocol", protocol[domain->protocol]);
	report_uint(report, "messages", domain->messages);
	report_uint(report, "cx:sequenceLost", account.lost);
	report_uint(report, "cx:reordered", account.late);
	report_uint(report, "cx:duplicates", s->duplicates);
	report_uint(report, "cx:restarts", account.restarts);
	if (s->rule != s->standard)
		report_text(report, "cx:sequenceCounts",
			    sequence_rule_name(s->rule));
	if (domain->scope->has_init)
		report_time(report, "systemInitTimeMilliseconds",
			    domain->scope->system_init_ms);
	ledger_report(&domain->ledger, report);
	report_streams(domain, report);
	report_options(domain, report);
	report_close(report);
}

static void
report_domains(const struct session *session, struct report *report)
{
	const struct domain *domain;
	uint32_t at = 0;

	report_list(report, "cx:observationDomain");
	while ((domain = table_next(&session->domains, &at)) &&
	       report_room(report))
		report_domain(domain, report);
	report_end_list(report);
}

static void
report_more(const struct counters *counters, struct report *report)
{
	report_unless_0(report, "cx:duplicates", counters->duplicates);
	report_unless_0(report, "cx:reordered", counters->late);
	report_unless_0(report, "cx:restarts", counters->restarts);
	report_unless_0(report, "cx:reservedSets", counters->unknown_sets);
	report_unless_0(report, "cx:optionsRefused", counters->options_refused);
	report_unless_0(report, "cx:knownBeforeRecords", counters->had);
}

static void
report_session(const struct session *session, struct report *report)
{
	const struct net_session *net = session->net;
	const struct counters *counters = &session->counters;
	char address[ADDR_TEXT_SIZE];

	report_item(report);
	report_uint(report, "ipfixVersion", session->version);
	if (net->remote.version) {
		report_text(report, "sourceAddress",
			    addr_format_host(address, &net->remote));
		report_text(report, "destinationAddress",
			    addr_format_host(address, &net->local));
		report_uint(report, "sourcePort", net->remote.port);
		report_uint(report, "destinationPort", net->local.port);
	}
	if (net->peer) {
		report_text(report, "cx:peer", net->peer);
		report_text(report, "cx:cipherSuite", net->suite);
	}
	if (net->transport == TRANSPORT_SCTP)
		report_uint(report, "sctpAssocId", net->association);
	report_text(report, "status", "active");
	report_uint(report, "rate", session->rate);
	report_uint(report, "bytes", counters->octets);
	report_uint(report, "messages", counters->messages);
	report_uint(report, "discardedMessages", counters->discarded);
	report_unless_0(report, "cx:shedMessages", net->shed);
	report_uint(report, "records", counters->records);
	report_uint(report, "templates", counters->templates);
	report_uint(report, "optionsTemplates", counters->options_templates);
	report_time(report, "transportSessionStartTime", net->start_ms);
	report_time(report, "transportSessionDiscontinuityTime", net->start_ms);
	report_templates(session, report);
	report_time(report, "cx:lastMessageTime", net->last_ms);
	report_unless_0(report, "cx:heldOctets", session->held_octets);
	report_more(counters, report);
	acknowledge_report(session, report);
	report_domains(session, report);
	report_close(report);
}

/* All sessions that the receiver has or had. */
static struct counters
receiver_counters(const struct collecting_receiver *receiver)
{
	struct counters sum = receiver->ended;
	const struct session *session;

	TAILQ_FOREACH(session, &receiver->sessions, link)
		counters_add(&sum, &session->counters);
	return sum;
}

static void
report_file_reader(const struct collecting_receiver *receiver,
		   struct report *report)
{
	struct counters sum = receiver_counters(receiver);
	const struct session *session;

	report_uint(report, "bytes", sum.octets);
	report_uint(report, "messages", sum.messages);
	report_uint(report, "records", sum.records);
	report_uint(report, "templates", sum.templates);
	report_uint(report, "optionsTemplates", sum.options_templates);
	session = TAILQ_FIRST(&receiver->sessions);
	if (session) {
		report_time(report, "fileReaderDiscontinuityTime",
			    session->net->start_ms);
		report_templates(session, report);
		report_text(report, "cx:file",
			    session->net->file ? session->net->file : "-");
		report_domains(session, report);
	}
	report_unless_0(report, "cx:discardedMessages", sum.discarded);
	report_more(&sum, report);
	report_bool(report, "cx:finished", receiver->finished);
}

static void
report_socket(const struct collecting_receiver *receiver, struct report *report)
{
	const struct session *session;

	report_list(report, "transportSession");
	TAILQ_FOREACH(session, &receiver->sessions, link) {
		if (!report_room(report))
			break;
		report_session(session, report);
	}
	report_end_list(report);
	report_unless_0(report, "cx:refusedSessions",
			receiver->refused_sessions[NET_REFUSED_FULL]);
	report_unless_0(report, "cx:failedHandshakes",
			receiver->refused_sessions[NET_REFUSED_HANDSHAKE]);
	report_unless_0(report, "cx:rejectedPeers",
			receiver->refused_sessions[NET_REFUSED_PEER]);
	report_unless_0(report, "cx:failedConnections",
			receiver->refused_sessions[NET_NOT_REACHED]);
	report_unless_0(report, "cx:refusedMessages",
			receiver->refused_messages);
	report_unless_0(report, "cx:kernelDroppedMessages", receiver->dropped);
	if (receiver->ended_sessions) {
		const struct counters *ended = &receiver->ended;

		report_open(report, "cx:endedSessions");
		report_uint(report, "cx:sessions", receiver->ended_sessions);
		report_uint(report, "bytes", ended->octets);
		report_uint(report, "messages", ended->messages);
		report_uint(report, "discardedMessages", ended->discarded);
		report_uint(report, "records", ended->records);
		report_more(ended, report);
		report_close(report);
	}
}

static void
report_receivers(const struct collecting *c, enum transport transport,
		 bool dials, const char *name, struct report *report)
{
	const struct collecting_receiver *receiver;
	bool any = false;

	TAILQ_FOREACH(receiver, &c->receivers, link) {
		if (receiver->transport != transport ||
		    receiver->dials != dials)
			continue;
		if (!any)
			report_list(report, name);
		any = true;
		report_item(report);
		report_text(report, "name", receiver->name);
		if (transport == TRANSPORT_FILE)
			report_file_reader(receiver, report);
		else
			report_socket(receiver, report);
		report_close(report);
	}
	if (any)
		report_end_list(report);
}

void
process_report(struct stage *stage, struct report *report)
{
	const struct collecting *c = (const struct collecting *)stage;

	report_receivers(c, TRANSPORT_SCTP, false, "sctpCollector", report);
	report_receivers(c, TRANSPORT_UDP, false, "udpCollector", report);
	report_receivers(c, TRANSPORT_TCP, false, "tcpCollector", report);
	report_receivers(c, TRANSPORT_TCP, true, "cx:tcpDialer", report);
	report_receivers(c, TRANSPORT_FILE, false, "fileReader", report);
	report_unless_0(report, "cx:restoredTemplates", c->restored);
	report_unless_0(report, "cx:notRestoredDomains", c->not_restored);
	report_unless_0(report, "cx:heldSets", c->held_sets);
	report_unless_0(report, "cx:heldOctets", c->held_octets);
	ledger_report(&stage->ledger, report);
}
