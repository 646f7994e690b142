/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Transport Sessions and the messages in them (RFC 7011 sections 3, 8 and 9).
 *
 * Templates are known per session and Observation Domain. A message that is
 * malformed is discarded from the malformed place on; what stood before it is
 * used. RFC 7011 section 10.4 wants a TCP connection that carried one to be
 * reset, section 10.2 an SCTP association; a file has no way to send it again,
 * so it is read on as long as its messages can be told apart.
 */
#include <errno.h>
#include <stdlib.h>

#include "conflux/clock.h"
#include "conflux/hash.h"
#include "conflux/wire.h"
#include "conflux/sflow.h"
#include "process.h"

/* A domain that sent nothing for that time makes room for another one. */
enum { SILENT_MS = 300000 };

/* ---- domains ----------------------------------------------------------- */

struct domain_key {
	enum protocol protocol;
	uint32_t id;
};

static uint32_t
domain_hash(const struct session *session, struct domain_key key)
{
	return (uint32_t)hash_u64((uint64_t)key.protocol << 32 | key.id,
				  session->process->seed);
}

static struct domain_key
domain_key(const struct domain *domain)
{
	return (struct domain_key){domain->protocol, domain->scope->domain};
}

static bool
domain_equal(const void *item, const void *arg)
{
	const struct domain *domain = item;
	const struct domain_key *key = arg;

	return domain->scope->domain == key->id &&
	       domain->protocol == key->protocol;
}

static void
domain_free(struct domain *domain)
{
	options_drop(domain);
	held_drop(domain);
	streams_free(domain);
	origin_release(domain);
	free(domain);
}

/*
 * Makes room for a new domain in place of the one that was silent longest, if
 * that is long enough. Its templates stay, as long as they live.
 */
static bool
domain_make_room(struct session *session)
{
	struct domain *domain, *oldest = NULL;
	uint32_t at = 0;

	while ((domain = table_next(&session->domains, &at)))
		if (!oldest || domain->used_ms < oldest->used_ms)
			oldest = domain;
	if (!oldest || session->process->now_ms - oldest->used_ms < SILENT_MS)
		return false;
	table_remove(&session->domains,
		     domain_hash(session, domain_key(oldest)), oldest);
	if (session->last == oldest)
		session->last = NULL;
	domain_free(oldest);
	return true;
}

static struct domain *
domain_new(struct session *session, struct domain_key key, uint32_t hash)
{
	struct domain *domain;

	if (session->domains.count >= session->process->conf.max_domains &&
	    !domain_make_room(session))
		return NULL;
	domain = calloc(1, sizeof(*domain));
	if (!domain)
		return NULL;
	domain->session = session;
	domain->protocol = key.protocol;
	sequence_init(&domain->first.sequence, key.protocol == PROTOCOL_NETFLOW9
						       ? RULE_MESSAGES
						       : RULE_RECORDS);
	TAILQ_INIT(&domain->held);
	SLIST_INIT(&domain->others);
	domain->stream = &domain->first;
	if (origin_take(domain, key.id) < 0) {
		free(domain);
		return NULL;
	}
	if (table_add(&session->domains, hash, domain)) {
		origin_release(domain);
		free(domain);
		return NULL;
	}
	return domain;
}

struct domain *
session_find_domain(const struct session *session, enum protocol protocol,
		    uint32_t id)
{
	const struct domain_key key = {protocol, id};

	return table_find(&session->domains, domain_hash(session, key),
			  domain_equal, &key);
}

/* NULL: as many as allowed, or no memory. */
struct domain *
session_domain(struct session *session, enum protocol protocol, uint32_t id)
{
	const struct domain_key key = {protocol, id};
	struct domain *domain = session->last;
	uint32_t hash;

	if (domain && domain_equal(domain, &key))
		return domain;
	hash = domain_hash(session, key);
	domain = table_find(&session->domains, hash, domain_equal, &key);
	if (!domain)
		domain = domain_new(session, key, hash);
	if (domain)
		session->last = domain;
	return domain;
}

/* ---- sets -------------------------------------------------------------- */

/* All of a kind are withdrawn. */
static void
end_templates(struct domain *domain, uint16_t set_id)
{
	const struct session *session = domain->session;
	const struct template *template;
	uint32_t at = 0;

	while ((template = template_store_next(session->templates, &at)))
		if (template->domain == domain->scope->domain &&
		    template->set_id == set_id)
			stage_template_end(&session->process->stage,
					   domain->scope, template->shape);
}

static void
template_event(void *arg, const struct template_event *event)
{
	struct domain *domain = arg;
	struct session *session = domain->session;
	const char *what = NULL, *why = event->reason ? event->reason : "";

	switch (event->outcome) {
	case TEMPLATE_NEW:
	case TEMPLATE_REFRESHED:
	case TEMPLATE_REDEFINED:
		break;
	case TEMPLATE_REDEFINED_BAD:
		what = "was defined anew without withdrawal: the new "
		       "definition is used";
		break;
	case TEMPLATE_WITHDRAWN:
		stage_template_end(&session->process->stage, domain->scope,
				   event->template->shape);
		return;
	case TEMPLATE_WITHDRAWN_ALL:
		end_templates(domain, event->id);
		return;
	case TEMPLATE_WITHDRAWN_UNKNOWN:
		what = "was withdrawn, but is not known: ignored";
		break;
	case TEMPLATE_WITHDRAWN_UDP:
		what = "was withdrawn, which is not allowed over UDP: ignored";
		break;
	case TEMPLATE_MALFORMED:
		what = "is malformed: the rest of its set is skipped";
		break;
	case TEMPLATE_REFUSED:
		what = "is refused: its data will be lost";
		break;
	}
	if (what)
		complain(session, COMPLAINT_TEMPLATE,
			 "domain %u: template %u %s%s%s", domain->scope->domain,
			 event->id, what, *why ? ": " : "", why);
	if (!event->template)
		return;
	if (event->template->set_id == SET_OPTIONS_TEMPLATE)
		session->counters.options_templates++;
	else
		session->counters.templates++;
	domain->wanted_ids |= domain->held_ids & UINT64_C(1) << event->id % 64;
}

static void
no_template(struct domain *domain, const struct set *set,
	    const struct arrival *arrival)
{
	struct session *session = domain->session;
	bool held;

	if (!set->length)
		return;
	held = held_add(domain, set, arrival);
	complain(session, COMPLAINT_NO_TEMPLATE,
		 "domain %u: data set %u came without its template: %u octets "
		 "%s",
		 domain->scope->domain, set->id, set->length,
		 held ? "are held until it comes"
		      : "are lost, at least 1 record");
	if (held)
		return;
	domain->now.octets[UNKNOWN_TEMPLATE] += set->length;
	domain->now.counted[UNKNOWN_TEMPLATE]++;
	account_lost(domain, LOSS_NO_TEMPLATE, 1);
}

static void
data_set(struct domain *domain, const struct set *set,
	 const struct arrival *arrival)
{
	struct session *session = domain->session;
	struct template *template = template_store_find(
		session->templates, domain->scope->domain, set->id,
		session->process->now_ms, session->counters.messages);
	uint32_t records, bad;

	if (!template) {
		no_template(domain, set, arrival);
		return;
	}
	records = data_read(domain, template, set->content, set->length,
			    arrival, &bad);
	domain->records += records;
	if (template->shape->scope_count)
		domain->options += records;
	else
		stream_carries(domain, set->id);
	domain->now.octets[UNKNOWN_MALFORMED] += bad;
	domain->now.counted[UNKNOWN_MALFORMED] += !!bad;
}

/* The id that IPFIX has for a set, 0: a reserved one. */
static uint16_t
set_kind(const struct domain *domain, uint16_t id)
{
	uint16_t first = domain->protocol == PROTOCOL_NETFLOW9
				 ? NETFLOW9_TEMPLATE
				 : SET_TEMPLATE;

	if (id >= SET_DATA_MIN)
		return id;
	id -= first;
	return id < 2 ? SET_TEMPLATE + id : 0;
}

static void
read_templates(struct domain *domain, uint16_t set_id, const struct set *set)
{
	struct session *session = domain->session;

	(domain->protocol == PROTOCOL_NETFLOW9 ? template_store_read_netflow9
					       : template_store_read)(
		session->templates, domain->scope->domain, set_id, set->content,
		set->length, session->process->now_ms,
		session->counters.messages, template_event, domain);
	if (domain->wanted_ids)
		held_replay(domain);
}

static void
read_set(struct domain *domain, const struct set *set,
	 const struct arrival *arrival)
{
	struct session *session = domain->session;
	uint16_t kind = set_kind(domain, set->id);

	if (kind >= SET_DATA_MIN) {
		data_set(domain, set, arrival);
	} else if (kind) {
		read_templates(domain, kind, set);
	} else {
		session->counters.unknown_sets++;
		complain(session, COMPLAINT_SET,
			 "domain %u: a set with the reserved id %u: its %u "
			 "octets are skipped",
			 domain->scope->domain, set->id, set->length);
	}
}

/* ---- the sequence ------------------------------------------------------ */

static void
account_sequence(struct domain *domain, const struct sequence_account *before)
{
	const struct sequence_account *now = &domain->stream->sequence.account;
	struct counters *counters = &domain->session->counters;

	/* May go down: what was late is no longer lost. */
	account_gap(domain, now->lost - before->lost);
	counters->late += now->late - before->late;
	counters->restarts += now->restarts - before->restarts;
}

/* What the sequence numbers of a domain should count. */
static const char *
sequence_unit(const struct domain *domain)
{
	return domain->stream->sequence.rule == RULE_MESSAGES ? "messages"
							      : "Data Records";
}

void
domain_end(struct domain *domain, const struct message_header *header)
{
	struct session *session = domain->session;
	const struct sequence_message message = {
		.sequence = header->sequence,
		.export_time = header->export_time,
		.octets = header->length,
		.records = domain->records,
		.options = domain->options,
		.unknown = domain->now.octets[UNKNOWN_TEMPLATE] +
			   domain->now.octets[UNKNOWN_MALFORMED] +
			   domain->now.held,
	};
	struct stream *stream = domain->stream;
	struct sequence *sequence = &stream->sequence;
	struct sequence_account before = sequence->account;
	struct sequence_result result =
		sequence_end(sequence, &message, session->process->now_ms);

	if (result.verdict == SEQUENCE_NEXT && !message.unknown &&
	    !stream->unknown.message && sequence->account.late == before.late)
		return; /* as it should be */
	account_sequence(domain, &before);
	if (result.verdict == SEQUENCE_LATE) {
		held_came_late(domain, stream, result.from - result.late,
			       result.late);
		held_late(domain, result.from);
	} else {
		held_derived(domain, result.from, result.derived,
			     result.gap);
		stream->unknown = domain->now;
		if (!message.unknown)
			stream->unknown.message = 0;
	}
	if (result.rule_changed && sequence->rule == sequence->standard)
		complain(session, COMPLAINT_SEQUENCE,
			 "domain %u: its sequence numbers count %s again: loss "
			 "can be told",
			 domain->scope->domain, sequence_unit(domain));
	else if (result.rule_changed)
		complain(session, COMPLAINT_SEQUENCE,
			 "domain %u: its sequence numbers count %s, not %s: %s",
			 domain->scope->domain,
			 sequence_rule_name(sequence->rule),
			 sequence_rule_name(sequence->standard),
			 sequence_tells_loss(sequence) ? "loss is told by that"
						       : "loss cannot be told");
	else if (result.verdict == SEQUENCE_GAP)
		complain(session, COMPLAINT_SEQUENCE,
			 "domain %u: %u %s before sequence number %u did not "
			 "arrive",
			 domain->scope->domain, result.gap,
			 sequence_unit(domain), header->sequence);
	else if (result.verdict == SEQUENCE_RESTART)
		complain(session, COMPLAINT_SEQUENCE,
			 "domain %u: the sequence starts again at %u: the "
			 "exporter was restarted",
			 domain->scope->domain, header->sequence);
}

/* ---- messages ---------------------------------------------------------- */

/* It is no IPFIX message. Streams are closed, since the next cannot be found */
static int
discard(struct session *session, const uint8_t *message, size_t length,
	const char *reason)
{
	uint16_t version = length >= 2 ? wire_get16(message) : 0;

	session->counters.discarded++;
	if (length >= 4 && netflow_is(message, length))
		complain(session, COMPLAINT_MESSAGE,
			 "NetFlow version %u: it is read from whole datagrams "
			 "over UDP only: discarded",
			 version);
	else if (length >= 4 && wire_get32(message) == 5)
		complain(session, COMPLAINT_MESSAGE,
			 "sFlow version 5: it is read from whole datagrams "
			 "over UDP only: discarded");
	else
		complain(session, COMPLAINT_MESSAGE,
			 "a message of %zu octets is malformed (%s): discarded",
			 length, reason ? reason : "no IPFIX header");
	return session->net->transport == TRANSPORT_UDP ? 0 : -EBADMSG;
}

/* At least 1 record is counted for a set. */
void
session_refuse_domain(struct session *session, struct message_reader *reader)
{
	struct ledger *sum = &session->process->stage.ledger;
	bool full =
		session->domains.count >= session->process->conf.max_domains;
	enum loss reason = full ? LOSS_LIMIT : LOSS_NO_MEMORY;
	struct set set;

	session->counters.discarded++;
	while (message_next_set(reader, &set))
		if (set.id >= SET_DATA_MIN) {
			sum->in++;
			sum->lost[reason]++;
		}
	complain(session, COMPLAINT_LIMIT,
		 "domain %u is refused, its data is lost: %s",
		 reader->header.domain,
		 full ? "the session has as many Observation Domains as "
			"allowed"
		      : "no memory");
}

void
domain_bad_rest(struct domain *domain, const char *reason, uint32_t octets)
{
	struct session *session = domain->session;

	session->counters.discarded++;
	account_lost(domain, LOSS_MALFORMED, 1);
	domain->now.octets[UNKNOWN_MALFORMED] += octets;
	domain->now.counted[UNKNOWN_MALFORMED]++;
	complain(session, COMPLAINT_MESSAGE,
		 "domain %u: a message is malformed (%s): its last %u octets "
		 "are discarded, at least 1 record is lost",
		 domain->scope->domain, reason, octets);
}

static void
relearn(struct collecting *c)
{
	struct collecting_receiver *receiver;
	struct session *session;

	c->relearn = false;
	TAILQ_FOREACH(receiver, &c->receivers, link)
	TAILQ_FOREACH(session, &receiver->sessions, link)
	template_store_relearn(session->templates);
}

size_t
domain_read_sets(struct domain *domain, struct message_reader *reader,
		 const uint8_t *message, size_t octets,
		 const struct arrival *arrival)
{
	const uint8_t *end = reader->p;
	struct set set;

	for (;;) {
		while (message_next_set(reader, &set)) {
			read_set(domain, &set, arrival);
			/* The next set may have what this one has taught. */
			if (domain->session->process->relearn)
				relearn(domain->session->process);
			end = set.content + set.length;
		}
		if (!reader->reason || octets <= reader->header.length)
			return (size_t)(end - message);
		reader->header.length = (uint16_t)octets;
		reader->p = end;
		reader->end = message + octets;
		reader->reason = NULL;
	}
}

void
domain_begin(struct domain *domain)
{
	domain->used_ms = domain->session->process->now_ms;
	stream_choose(domain);
	domain->now = (struct unknown){.message = ++domain->messages};
	domain->records = 0;
	domain->options = 0;
}

/* One message at the start of octets; *used is set to what it took. */
static int
read_message(struct session *session, const uint8_t *message, size_t octets,
	     size_t length, size_t *used)
{
	struct net_session *net = session->net;
	struct message_reader reader;
	struct arrival arrival;
	struct domain *domain;
	int error = 0;

	*used = octets;
	session->counters.messages++;
	if (message_open(&reader, message, length))
		return discard(session, message, length, reader.reason);
	domain = session_domain(session, PROTOCOL_IPFIX, reader.header.domain);
	if (!domain) {
		session_refuse_domain(session, &reader);
		*used = length;
		return 0;
	}
	if (net->transport == TRANSPORT_UDP &&
	    sequence_duplicate(&domain->first.sequence, &reader.header,
			       message)) {
		session->counters.duplicates++;
		session->counters.discarded++;
		*used = length;
		return 0;
	}
	session->version = MESSAGE_VERSION;
	saved_restore(domain, &reader.header);
	domain_begin(domain);
	arrival = (struct arrival){
		.export_ms = reader.header.export_time * UINT64_C(1000),
		.received_ms = net->last_ms,
	};
	*used = domain_read_sets(domain, &reader, message, octets, &arrival);
	if (reader.reason) {
		domain_bad_rest(domain, reader.reason,
				(uint32_t)(octets - *used));
		error = net->transport == TRANSPORT_TCP ||
					net->transport == TRANSPORT_SCTP
				? -EBADMSG
				: 0;
		*used = octets;
	}
	/*
	 * Over UDP a template may come late, and over SCTP on another stream
	 * (RFC 7011 section 8.4). Over TCP and in a file what comes late is
	 * another template, so data waits to the end of its message.
	 */
	if (net->transport != TRANSPORT_UDP &&
	    net->transport != TRANSPORT_SCTP && domain->held_ids)
		held_drop(domain);
	if (!domain->uncounted)
		domain_end(domain, &reader.header);
	return error;
}

/* Does a whole message start here? */
static bool
is_message(const uint8_t *p, size_t length)
{
	int one = message_frame(p, length);

	return one > 0 && (size_t)one <= length;
}

static int
session_message(void *arg, struct net_session *net, const uint8_t *message,
		size_t length)
{
	struct session *session = net->user;
	size_t used;

	session->counters.octets += length;
	if (net->transport != TRANSPORT_UDP)
		return read_message(session, message, length, length, &used);
	if (netflow_is(message, length))
		return netflow_datagram(session, message, length);
	if (sflow_is(message, length))
		return sflow_datagram(session, message, length);
	/*
	 * RFC 7011 has one message in a datagram. Some exporters put several
	 * into one, others get the length wrong.
	 */
	do {
		size_t one = length, octets = length;

		if (is_message(message, length))
			one = wire_get16(message + 2);
		if (is_message(message + one, length - one))
			octets = one;
		read_message(session, message, octets, one, &used);
		message += used;
		length -= used;
	} while (length);
	return 0;
}

/* ---- sessions ---------------------------------------------------------- */

static int
session_opened(void *arg, struct net_session *net)
{
	struct collecting_receiver *receiver = arg;
	struct collecting *c = receiver->process;
	struct session *session = calloc(1, sizeof(*session));
	char who[SESSION_TEXT];

	net->user = NULL;
	if (session)
		session->templates = template_store_new(
			&receiver->limits, c->conf.registry, c->conf.shapes);
	if (!session || !session->templates) {
		free(session);
		receiver->refused_sessions[NET_REFUSED_FULL]++;
		return -ENOMEM;
	}
	session->receiver = receiver;
	session->process = c;
	session->net = net;
	session->version = MESSAGE_VERSION;
	net->user = session;
	TAILQ_INSERT_TAIL(&receiver->sessions, session, link);
	log_debug("collecting process %s: %s: session opened", c->name,
		  session_format(who, sizeof(who), net));
	return 0;
}

void
counters_add(struct counters *sum, const struct counters *one)
{
	sum->messages += one->messages;
	sum->discarded += one->discarded;
	sum->octets += one->octets;
	sum->records += one->records;
	sum->templates += one->templates;
	sum->options_templates += one->options_templates;
	sum->duplicates += one->duplicates;
	sum->late += one->late;
	sum->restarts += one->restarts;
	sum->unknown_sets += one->unknown_sets;
	sum->options_refused += one->options_refused;
	sum->had += one->had;
}

void
session_free(struct session *session)
{
	struct collecting_receiver *receiver = session->receiver;
	struct domain *domain;
	uint32_t at = 0;

	while ((domain = table_next(&session->domains, &at)))
		domain_free(domain);
	table_fini(&session->domains);
	table_fini(&session->options);
	template_store_free(session->templates);
	acknowledge_end(session);
	counters_add(&receiver->ended, &session->counters);
	receiver->ended_sessions++;
	TAILQ_REMOVE(&receiver->sessions, session, link);
	free(session);
}

static void
session_closed(void *arg, struct net_session *net, const char *reason,
	       size_t lost_octets)
{
	struct session *session = net->user;
	char who[SESSION_TEXT];

	if (!session)
		return;
	if (lost_octets) {
		session->counters.discarded++;
		complain(session, COMPLAINT_SESSION,
			 "session closed (%s): a message was cut off, its %zu "
			 "octets are lost",
			 reason ? reason : "end", lost_octets);
	} else if (reason) {
		complain(session, COMPLAINT_SESSION, "session closed: %s",
			 reason);
	} else {
		log_debug("collecting process %s: %s: session closed",
			  session->process->name,
			  session_format(who, sizeof(who), net));
	}
	net->user = NULL;
	session_free(session);
}

static bool
session_ready(void *arg)
{
	struct collecting_receiver *receiver = arg;

	return !stage_congested(&receiver->process->stage);
}

/* What it would have sent cannot be told, only that it was turned away. */
static void
session_refused(void *arg, const struct addr *remote, enum net_refusal why)
{
	struct collecting_receiver *receiver = arg;

	if (receiver->transport == TRANSPORT_UDP && why == NET_REFUSED_FULL)
		receiver->refused_messages++;
	else
		receiver->refused_sessions[why]++;
}

static void
session_dropped(void *arg, uint64_t datagrams)
{
	struct collecting_receiver *receiver = arg;
	struct collecting *c = receiver->process;
	uint32_t held;

	c->stage.ledger.lost[LOSS_KERNEL_DROP] += datagrams;
	receiver->dropped += datagrams;
	if (!log_limit_pass(&receiver->dropped_limit, clock_mono_ms(), &held))
		return;
	log_warning("collecting process %s: receiver %s: the receive buffer "
		    "was full: the kernel dropped %llu datagrams, their "
		    "records are lost",
		    c->name, receiver->name,
		    (unsigned long long)(receiver->dropped -
					 receiver->dropped_told));
	receiver->dropped_told = receiver->dropped;
}

static void
session_finished(void *arg)
{
	struct collecting_receiver *receiver = arg;
	struct collecting *c = receiver->process;

	receiver->finished = true;
	if (!c->told_finished && collecting_finished(c)) {
		c->told_finished = true;
		if (c->conf.finished)
			c->conf.finished(c->conf.arg);
	}
}

const struct net_in_ops session_net_ops = {
	.opened = session_opened,
	.message = session_message,
	.closed = session_closed,
	.ready = session_ready,
	.dropped = session_dropped,
	.refused = session_refused,
	.finished = session_finished,
};
