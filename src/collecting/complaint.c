/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "conflux/clock.h"
#include "process.h"

char *
session_format(char *text, size_t size, const struct net_session *net)
{
	char address[ADDR_TEXT_SIZE];

	if (net->transport == TRANSPORT_FILE)
		snprintf(text, size, "file %s", net->file ? net->file : "-");
	else
		snprintf(text, size, "%s %s", transport_name(net->transport),
			 addr_format(address, &net->remote));
	return text;
}

/*
 * The limits are spread by host, without the port: a flood of datagrams from
 * ever new ports has no more lines than one exporter.
 */
static struct log_limit *
limit_of(struct session *session, enum complaint kind)
{
	struct collecting *c = session->process;
	struct addr host = session->net->remote;

	host.port = 0;
	return &c->limit[addr_hash(&host, c->seed) % LOG_BUCKETS][kind];
}

void
complain(struct session *session, enum complaint kind, const char *format, ...)
{
	char who[SESSION_TEXT], what[512], more[64] = "";
	uint32_t held;
	va_list args;

	if (!log_limit_pass(limit_of(session, kind), clock_mono_ms(), &held))
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (held)
		snprintf(more, sizeof(more),
			 " (%u more like this were held back)", held);
	log_warning("collecting process %s: %s: %s%s", session->process->name,
		    session_format(who, sizeof(who), session->net), what, more);
}
