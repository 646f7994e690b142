/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Where records come from, beyond a Transport Session.
 *
 * An exporter over DTLS replaces its session while it goes on exporting
 * (draft-mentz-ipfix-dtls-recommendations section 3.1.3): new keys, another
 * port, Templates anew, sequence numbers from 0 (RFC 7011 section 3.1), and for
 * a while both are there. Yet it is the same exporter, and its Observation
 * Domains are the same: what is behind us must see one scope, or flows would be
 * split and domains get other numbers with each new session.
 *
 * Over SCTP an association is replaced for the same reason (section 4).
 *
 * So a domain of a session joins the scope of another session's domain if that
 * has the same number and its peer the same address and proved the same name.
 * All else stays with the session.
 *
 * What was lost between the last message seen of the one and the first of the
 * other can be told over UDP, if that has a number near to 0, or, with
 * exporters that count on, near to what the one had come to.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"

struct origin {
	struct scope scope;	/* first: see template_shape */
	struct domain *reading; /* that records came from last, or NULL */
	unsigned users;
};

/* RFC 6313 section 4.5: what a Template id in a list of a record stands for. */
static const struct shape *
template_shape(const struct scope *scope, uint16_t id)
{
	/* The scope is the first member. */
	const struct origin *origin = (const struct origin *)scope;
	const struct template *template;
	struct session *session;

	if (!origin->reading)
		return NULL;
	session = origin->reading->session;
	template = template_store_find(session->templates, scope->domain, id,
				       session->process->now_ms,
				       session->counters.messages);
	return template ? template->shape : NULL;
}

static bool
same_peer(const struct net_session *a, const struct net_session *b)
{
	return a->transport == b->transport && a->peer && b->peer &&
	       strcmp(a->peer, b->peer) == 0 &&
	       addr_equal_host(&a->remote, &b->remote);
}

/* The newest domain that this one goes on with, or NULL. */
static struct domain *
find_before(const struct domain *domain, uint32_t id)
{
	const struct session *session = domain->session, *other;
	struct domain *before;

	if (!session->net->peer || session->net->transport == TRANSPORT_TCP)
		return NULL;
	TAILQ_FOREACH_REVERSE(other, &session->receiver->sessions, sessions,
			      link)
	{
		if (other == session || !same_peer(other->net, session->net))
			continue;
		before = session_find_domain(other, domain->protocol, id);
		if (before)
			return before;
	}
	return NULL;
}

int
origin_take(struct domain *domain, uint32_t id)
{
	const struct net_session *net = domain->session->net;
	struct domain *before = find_before(domain, id);
	struct origin *origin;

	if (before) {
		origin = before->origin;
		if (before->first.sequence.started &&
		    net->transport == TRANSPORT_UDP)
			sequence_expect(&domain->first.sequence,
					before->first.sequence.next);
	} else {
		origin = calloc(1, sizeof(*origin));
		if (!origin)
			return -ENOMEM;
		origin->scope.serial = scope_serial();
		origin->scope.domain = id;
		origin->scope.transport = net->transport;
		origin->scope.exporter = net->remote;
		origin->scope.collector = net->local;
		origin->scope.template_shape = template_shape;
	}
	origin->users++;
	domain->origin = origin;
	domain->scope = &origin->scope;
	return 0;
}

void
origin_reading(struct domain *domain)
{
	domain->origin->reading = domain;
}

void
origin_release(struct domain *domain)
{
	struct origin *origin = domain->origin;

	if (origin->reading == domain)
		origin->reading = NULL;
	if (--origin->users)
		return;
	stage_pass_scope_end(&domain->session->process->stage, &origin->scope);
	free(origin);
}
