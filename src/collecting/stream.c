/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The streams of a domain. RFC 7011 section 3.1: over SCTP the sequence number
 * counts the Data Records of a domain in one stream; TCP and UDP have one. What
 * the numbers tell is kept for each.
 *
 * RFC 6526: where each Template has a stream of its own, what is missing on
 * that is data of that Template; and an exporter tells of each whether all of
 * its data will be delivered (dataRecordsReliability). Both are in the report.
 *
 * A peer may use 65536 streams in each domain: a session remembers STREAMS_MAX
 * of them. Messages on others are read like any other, but what they lack is
 * not known.
 */
#include <stdlib.h>

#include "process.h"

/* Over SCTP nothing comes late that is not still being sent again. */
static void
stream_init(struct stream *stream, const struct net_session *net)
{
	stream->number = net->stream;
	stream->sequence.patient = net->transport == TRANSPORT_SCTP;
}

static struct stream *
stream_new(struct domain *domain)
{
	struct session *session = domain->session;
	struct stream *stream;

	if (session->streams >= STREAMS_MAX) {
		complain(session, COMPLAINT_LIMIT,
			 "domain %u: %d streams are known: what messages on "
			 "stream %u lack will not be told",
			 domain->scope->domain, STREAMS_MAX,
			 session->net->stream);
		return NULL;
	}
	stream = calloc(1, sizeof(*stream));
	if (!stream)
		return NULL;
	stream_init(stream, session->net);
	SLIST_INSERT_HEAD(&domain->others, stream, link);
	session->streams++;
	return stream;
}

void
stream_choose(struct domain *domain)
{
	const struct net_session *net = domain->session->net;
	struct stream *stream = &domain->first;

	if (!domain->messages)
		stream_init(stream, net);
	if (stream->number != net->stream) {
		SLIST_FOREACH(stream, &domain->others, link)
		if (stream->number == net->stream)
			break;
		if (!stream)
			stream = stream_new(domain);
	}
	domain->uncounted = !stream;
	domain->stream = stream ? stream : &domain->first;
	if (stream)
		stream->messages++;
}

void
stream_carries(struct domain *domain, uint16_t template_id)
{
	struct stream *stream = domain->stream;

	if (domain->uncounted || stream->mixed ||
	    stream->template_id == template_id)
		return;
	stream->mixed = stream->template_id != 0;
	stream->template_id = template_id;
}

static uint64_t
lost_of(const struct stream *stream, uint16_t template_id)
{
	return !stream->mixed && stream->template_id == template_id
		       ? stream->sequence.account.lost
		       : 0;
}

uint64_t
streams_lost_of(const struct domain *domain, uint16_t template_id)
{
	uint64_t sum = lost_of(&domain->first, template_id);
	const struct stream *stream;

	SLIST_FOREACH(stream, &domain->others, link)
		sum += lost_of(stream, template_id);
	return sum;
}

void
streams_free(struct domain *domain)
{
	struct stream *stream;

	while ((stream = SLIST_FIRST(&domain->others))) {
		SLIST_REMOVE_HEAD(&domain->others, link);
		domain->session->streams--;
		free(stream);
	}
}

struct sequence_account
streams_account(const struct domain *domain)
{
	struct sequence_account sum = domain->first.sequence.account;
	const struct stream *stream;

	SLIST_FOREACH(stream, &domain->others, link)
	{
		sum.lost += stream->sequence.account.lost;
		sum.late += stream->sequence.account.late;
		sum.restarts += stream->sequence.account.restarts;
	}
	return sum;
}
