/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of an Exporting Process, in the names of the "config false" nodes
 * of RFC 6728; what that model lacks has the prefix cx.
 */
#include "conflux/clock.h"
#include "exporting.h"

static void
report_time(struct report *r, const char *name, uint64_t wall_ms)
{
	char text[CLOCK_TEXT_SIZE];

	if (wall_ms)
		report_text(r, name, clock_format(text, wall_ms));
}

static void
report_fields(const struct out_template *t, struct report *r)
{
	report_list(r, "field");
	for (uint16_t i = 0; i < t->shape->count; i++) {
		const struct field *f = &t->shape->field[i];

		report_item(r);
		report_uint(r, "ieId", f->ie->id);
		report_uint(r, "ieLength", f->length);
		report_uint(r, "ieEnterpriseNumber", f->ie->pen);
		if (i < 64 && t->flow_keys >> i & 1)
			report_bool(r, "isFlowKey", true);
		if (i < t->shape->scope_count)
			report_bool(r, "isScope", true);
		report_text(r, "cx:ieName", f->ie->name);
		report_close(r);
	}
	report_end_list(r);
}

static void
report_templates(const struct sink *s, struct report *r)
{
	report_list(r, "template");
	for (uint32_t i = 0; i < s->channel_size; i++) {
		struct out_template *t;
		uint32_t at = 0;

		if (!s->channel[i])
			continue;
		while ((t = table_next(&s->channel[i]->by_id, &at)) &&
		       report_room(r)) {
			report_item(r);
			report_uint(r, "observationDomainId",
				    s->channel[i]->number);
			report_uint(r, "templateId", t->id);
			report_uint(r, "setId",
				    t->options ? SET_OPTIONS_TEMPLATE
					       : SET_TEMPLATE);
			report_time(r, "accessTime", t->accessed_ms);
			report_uint(r, "templateDataRecords", t->records);
			report_fields(t, r);
			report_close(r);
		}
	}
	report_end_list(r);
}

static void
report_counts(const struct sink *s, const struct net_out_stats *stats,
	      struct report *r)
{
	uint64_t count[2] = {0, 0};

	for (uint32_t i = 0; i < s->channel_size; i++) {
		struct out_template *t;
		uint32_t at = 0;

		if (!s->channel[i])
			continue;
		while ((t = table_next(&s->channel[i]->by_id, &at)))
			count[t->options]++;
	}
	report_uint(r, "bytes", stats->octets);
	report_uint(r, "messages", stats->messages);
	report_uint(r, "discardedMessages",
		    stats->discarded + s->refused_messages);
	report_uint(r, "records", s->records);
	report_uint(r, "templates", count[0]);
	report_uint(r, "optionsTemplates", count[1]);
}

static void
report_session(const struct sink *s, const struct net_out_stats *stats,
	       struct report *r)
{
	char text[ADDR_TEXT_SIZE];

	report_open(r, "transportSession");
	report_uint(r, "ipfixVersion", MESSAGE_VERSION);
	if (stats->local.version) {
		report_text(r, "sourceAddress",
			    addr_format_host(text, &stats->local));
		report_uint(r, "sourcePort", stats->local.port);
	}
	/* Who will connect is not known before. */
	if (stats->remote.version) {
		report_text(r, "destinationAddress",
			    addr_format_host(text, &stats->remote));
		report_uint(r, "destinationPort", stats->remote.port);
	}
	if (stats->peer) {
		report_text(r, "cx:peer", stats->peer);
		report_text(r, "cx:cipherSuite", stats->suite);
	}
	if (stats->doubtful)
		report_uint(r, "cx:doubtfulMessages", stats->doubtful);
	if (s->conf->kind == EXPORTING_SCTP && s->up) {
		report_uint(r, "sctpAssocId", stats->association);
		report_uint(r, "cx:streams", stats->streams);
	}
	report_text(r, "status", s->up ? "active" : "inactive");
	report_uint(r, "rate", s->rate);
	report_counts(s, stats, r);
	report_time(r, "transportSessionStartTime", stats->start_ms);
	report_time(r, "transportSessionDiscontinuityTime",
		    s->discontinuity_ms);
	report_templates(s, r);
	report_close(r);
}

static void
report_file(const struct sink *s, const struct net_out_stats *stats,
	    struct report *r)
{
	report_text(r, "file", s->conf->net.file);
	report_counts(s, stats, r);
	report_time(r, "fileWriterDiscontinuityTime", stats->start_ms);
	if (s->conf->kind == EXPORTING_FILE)
		report_templates(s, r);
}

static void
report_turned_away(const struct net_out_stats *stats, struct report *r)
{
	static const char *const name[NET_REFUSALS] = {
		[NET_REFUSED_FULL] = "cx:refusedSessions",
		[NET_REFUSED_HANDSHAKE] = "cx:failedHandshakes",
		[NET_REFUSED_PEER] = "cx:rejectedPeers",
	};

	for (int i = 0; i < NET_REFUSALS; i++)
		if (name[i] && stats->turned_away[i])
			report_uint(r, name[i], stats->turned_away[i]);
}

static void
report_sink(struct sink *s, struct report *r)
{
	static const char *const kind[] = {
		[EXPORTING_UDP] = "udpExporter",
		[EXPORTING_TCP] = "tcpExporter",
		[EXPORTING_SCTP] = "sctpExporter",
		[EXPORTING_FILE] = "fileWriter",
		[EXPORTING_JSON] = "cx:jsonWriter",
	};
	struct net_out_stats stats;

	sink_settle(s);
	net_out_stats(s->out, &stats);
	report_item(r);
	report_text(r, "name", s->conf->name);
	report_open(r, s->conf->net.listen.on ? "cx:tcpListener"
					      : kind[s->conf->kind]);
	if (s->conf->kind == EXPORTING_UDP || sink_reliable(s))
		report_session(s, &stats, r);
	else
		report_file(s, &stats, r);
	report_close(r);
	report_text(r, "cx:state", sink_state_name(s->state));
	report_uint(r, "cx:sessions", s->epoch);
	report_turned_away(&stats, r);
	if (stats.refused)
		report_uint(r, "cx:refusals", stats.refused);
	if (s->conf->filter.text)
		report_text(r, "cx:filter", s->conf->filter.text);
	if (s->moved)
		report_uint(r, "cx:movedRecords", s->moved);
	report_uint(r, "cx:queueOctets", s->queue.octets);
	report_uint(r, "cx:queueMessages", s->queue.messages);
	forward_report(s->forward, r);
	ledger_report(&s->ledger, r);
	report_close(r);
}

/* What is sent in another domain than it came in, or was told of. */
static void
report_domain(const struct domain *d, struct report *r)
{
	char text[ADDR_TEXT_SIZE];

	report_item(r);
	report_uint(r, "observationDomainId", d->number);
	report_uint(r, "cx:originalObservationDomainId",
		    d->identity.serial ? d->identity.domain : d->source);
	if (d->owner.version)
		report_text(r, "cx:exporter",
			    addr_format_host(text, &d->owner));
	if (d->identity.serial && d->identity.exporter.version)
		report_text(r, "cx:originalExporter",
			    addr_format_host(text, &d->identity.exporter));
	report_close(r);
}

void
exporting_report(struct stage *stage, struct report *r)
{
	struct exporting *e = (struct exporting *)stage;

	report_uint(r, "exportingProcessId", e->conf.id);
	report_text(r, "exportMode", exporting_mode_name(e->conf.mode));
	if (e->conf.mode == EXPORTING_FALLBACK)
		report_text(r, "cx:activeDestination",
			    e->sink[e->active].conf->name);
	if (e->not_kept)
		report_uint(r, "cx:optionsNotKept", e->not_kept);
	report_list(r, "destination");
	for (unsigned i = 0; i < e->conf.destination_count; i++)
		report_sink(&e->sink[i], r);
	report_end_list(r);
	report_list(r, "cx:observationDomain");
	for (uint32_t i = 0; i < e->domains.count; i++) {
		const struct domain *d = e->domains.all[i];

		if (!d->users ||
		    (d->number == d->source && !d->identity.serial))
			continue;
		if (!report_room(r))
			break;
		report_domain(d, r);
	}
	report_end_list(r);
}
