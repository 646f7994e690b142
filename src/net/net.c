/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What all transports have in common: which one serves a configuration, the
 * copies of its lists, the splitting of streams, the rate limit.
 */
#include "conflux/net.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/log.h"
#include "in.h"
#include "out.h"
#include "socket.h"
#include "timer.h"

static const struct net_in_type *const in_type[] = {
	[TRANSPORT_UDP] = &net_udp_in,
	[TRANSPORT_TCP] = &net_tcp_in,
	[TRANSPORT_SCTP] = &net_sctp_in,
	[TRANSPORT_FILE] = &net_file_in,
};

static const struct net_out_type *const out_type[] = {
	[TRANSPORT_UDP] = &net_udp_out,
	[TRANSPORT_TCP] = &net_tcp_out,
	[TRANSPORT_SCTP] = &net_sctp_out,
	[TRANSPORT_FILE] = &net_file_out,
};

#define TYPE_COUNT (sizeof(in_type) / sizeof(in_type[0]))

static int
reload(struct secure *secure, char **error)
{
	int rc = secure ? secure_reload(secure, error) : 0;

	return secure && rc == 0 ? 1 : rc;
}

/* TLS is with TCP, but DTLS has sessions where UDP has none. */
static const struct net_in_type *
in_type_of(const struct net_in_conf *conf)
{
	if (conf->transport == TRANSPORT_UDP && conf->secure)
		return &net_dtls_in;
	if (conf->transport == TRANSPORT_TCP && conf->dial_count)
		return &net_tcp_dial;
	return (size_t)conf->transport < TYPE_COUNT ? in_type[conf->transport]
						    : NULL;
}

static const struct net_out_type *
out_type_of(const struct net_out_conf *conf)
{
	if (conf->transport == TRANSPORT_UDP && conf->secure)
		return &net_dtls_out;
	if (conf->transport == TRANSPORT_TCP && conf->listen.on)
		return &net_tcp_listen;
	return (size_t)conf->transport < TYPE_COUNT ? out_type[conf->transport]
						    : NULL;
}

/* ---- in ---------------------------------------------------------------- */

static void
in_conf_fini(struct net_in_conf *conf)
{
	free((void *)conf->local);
	free((void *)conf->dial);
	for (unsigned i = 0; conf->files && i < conf->file_count; i++)
		free((void *)conf->files[i]);
	free((void *)conf->files);
}

static int
in_conf_copy(struct net_in_conf *to, const struct net_in_conf *from)
{
	const char **files = NULL;

	*to = *from;
	to->local = to->dial = NULL;
	to->files = NULL;
	if (net_addrs_copy(&to->local, from->local, from->local_count) < 0 ||
	    net_addrs_copy(&to->dial, from->dial, from->dial_count) < 0)
		return -ENOMEM;
	if (from->file_count) {
		files = calloc(from->file_count, sizeof(*files));
		if (!files)
			return -ENOMEM;
		to->files = files;
		for (unsigned i = 0; i < from->file_count; i++) {
			files[i] = strdup(from->files[i]);
			if (!files[i])
				return -ENOMEM;
		}
	}
	return 0;
}

int
net_in_open(struct event_base *base, const struct net_in_conf *conf,
	    const struct net_in_ops *ops, void *arg, struct net_in **out,
	    char **error)
{
	const struct net_in_type *type = in_type_of(conf);
	struct net_in *in;
	int rc;

	*error = NULL;
	if (!type) {
		*error = net_error("%s: no such transport in this program",
				   transport_name(conf->transport));
		return -EPROTONOSUPPORT;
	}
	in = calloc(1, type->size);
	if (!in)
		return -ENOMEM;
	in->type = type;
	in->base = base;
	in->ops = ops;
	in->arg = arg;
	rc = in_conf_copy(&in->conf, conf);
	if (rc == 0 && conf->secure)
		rc = secure_new(conf->secure,
				conf->name ? conf->name : "collecting",
				&in->secure, error);
	in->conf.secure = NULL; /* the caller's */
	in->conf.name = NULL;
	if (rc == 0)
		rc = type->open(in, error);
	if (rc < 0) {
		net_in_close(in);
		return rc;
	}
	*out = in;
	return 0;
}

void
net_in_close(struct net_in *in)
{
	if (!in)
		return;
	in->type->close(in);
	secure_free(in->secure);
	in_conf_fini(&in->conf);
	free(in);
}

int
net_in_reload(struct net_in *in, char **error)
{
	int rc = reload(in->secure, error);

	if (rc > 0 && in->type->reloaded)
		in->type->reloaded(in);
	return rc;
}

void
net_in_warn_expiry(const struct net_in *in, int64_t now)
{
	if (in->secure)
		secure_warn_expiry(in->secure, now);
}

uint16_t
net_in_port(const struct net_in *in)
{
	return in->type->port ? in->type->port(in) : 0;
}

struct net_session *
net_in_next(const struct net_in *in, uint32_t *at)
{
	return in->type->next(in, at);
}

void
net_in_full(struct net_in *in, const char *transport, const char *sessions,
	    const char *consequence, const struct addr *remote)
{
	char text[ADDR_TEXT_SIZE];
	uint32_t held;

	if (log_limit_pass(&in->full_log, clock_mono_ms(), &held))
		log_warning("%s %s: %u %s are the limit, %s (%u lines held "
			    "back)",
			    transport, addr_format(text, remote),
			    in->conf.max_sessions, sessions, consequence, held);
	if (in->ops->refused)
		in->ops->refused(in->arg, remote, NET_REFUSED_FULL);
}

void
net_in_reject(struct net_in *in, const char *transport,
	      const struct addr *remote, const char *peer, enum net_refusal why,
	      const char *reason)
{
	net_log_rejected(&in->reject_log, transport, remote, peer, reason);
	if (in->ops->refused)
		in->ops->refused(in->arg, remote, why);
}

size_t
net_in_split(struct net_in *in, struct net_session *session,
	     const uint8_t *p, size_t have, size_t *need, const char **reason)
{
	size_t used = 0;
	int length;

	*need = 0;
	while (used < have) {
		length = in->conf.frame(p + used, have - used);
		if (length == 0)
			break;
		if (length < 0 || length > NET_MESSAGE_MAX) {
			*reason = "what came is no message";
			break;
		}
		if ((size_t)length > have - used) {
			*need = (size_t)length;
			break;
		}
		used += (size_t)length;
		if (net_in_message(in, session, p + used - length,
				   (size_t)length) != 0) {
			*reason = "a message was not understood";
			break;
		}
	}
	return used;
}

/* ---- out --------------------------------------------------------------- */

/* What may go out at once after a pause: 50 ms worth of the rate. */
static int64_t
rate_burst(const struct net_out *out)
{
	return (int64_t)out->conf.rate_octets * 50 + 1;
}

/*
 * A token bucket, in thousandths of an octet. A message goes out while there
 * is any token, and may make the number negative: so one larger than the
 * bucket passes, too.
 */
static bool
rate_allows(struct net_out *out)
{
	uint64_t now = clock_mono_ms();
	uint64_t ms = now - out->filled_ms;

	out->tokens += (int64_t)(out->conf.rate_octets *
				 (ms < 60000 ? ms : 60000));
	out->filled_ms = now;
	if (out->tokens > rate_burst(out))
		out->tokens = rate_burst(out);
	return out->tokens > 0;
}

/* When there will be a token again. */
static void
rate_wait(struct net_out *out)
{
	uint64_t ms = (uint64_t)(1 - out->tokens) / out->conf.rate_octets + 1;

	if (!evtimer_pending(out->refill, NULL))
		timer_start(out->refill, ms);
}

static void
on_refill(evutil_socket_t fd, short what, void *arg)
{
	net_out_writable(arg);
}

void
net_out_writable(struct net_out *out)
{
	if (!out->blocked || !out->stats.up)
		return;
	if (out->conf.rate_octets && !rate_allows(out)) {
		rate_wait(out);
		return;
	}
	out->blocked = false;
	out->ops->writable(out->arg);
}

uint32_t
net_out_back_off(const struct net_out *out, uint32_t *wait_ms)
{
	return timer_back_off(out->conf.reconnect_min_ms,
			      out->conf.reconnect_max_ms, wait_ms);
}

static int
out_conf_copy(struct net_out_conf *to, const struct net_out_conf *from)
{
	*to = *from;
	to->interface = from->interface ? strdup(from->interface) : NULL;
	to->file = from->file ? strdup(from->file) : NULL;
	if ((from->interface && !to->interface) || (from->file && !to->file))
		return -ENOMEM;
	return 0;
}

static int
out_init(struct net_out *out, const struct net_out_conf *conf)
{
	char text[ADDR_TEXT_SIZE];
	int rc = out_conf_copy(&out->conf, conf);

	if (rc < 0)
		return rc;
	if (conf->transport == TRANSPORT_FILE)
		snprintf(out->name, sizeof(out->name), "%s", conf->file);
	else if (conf->listen.on)
		snprintf(out->name, sizeof(out->name), "%s port %u",
			 transport_secure_name(conf->transport, conf->secure),
			 conf->listen.local_count ? conf->listen.local->port
						  : conf->listen.port);
	else
		snprintf(out->name, sizeof(out->name), "%s %s",
			 transport_secure_name(conf->transport, conf->secure),
			 addr_format(text, &conf->remote));
	out->stats.remote = conf->remote;
	out->stats.streams = 1;
	out->filled_ms = clock_mono_ms();
	out->tokens = rate_burst(out);
	out->refill = evtimer_new(out->base, on_refill, out);
	return out->refill ? 0 : -ENOMEM;
}

int
net_out_open(struct event_base *base, const struct net_out_conf *conf,
	     const struct net_out_ops *ops, void *arg, struct net_out **out,
	     char **error)
{
	const struct net_out_type *type = out_type_of(conf);
	struct net_out *o;
	int rc;

	*error = NULL;
	if (!type) {
		*error = net_error("%s: no such transport in this program",
				   transport_name(conf->transport));
		return -EPROTONOSUPPORT;
	}
	o = calloc(1, type->size);
	if (!o)
		return -ENOMEM;
	o->type = type;
	o->base = base;
	o->ops = ops;
	o->arg = arg;
	rc = out_init(o, conf);
	if (rc == 0 && conf->secure)
		rc = secure_new(conf->secure, o->name, &o->secure, error);
	o->conf.secure = NULL; /* the caller's */
	if (rc == 0)
		rc = type->open(o, error);
	if (rc < 0) {
		net_out_close(o, 0);
		return rc;
	}
	*out = o;
	return 0;
}

uint16_t
net_out_port(const struct net_out *out)
{
	return out->type->port ? out->type->port(out) : 0;
}

int
net_out_reload(struct net_out *out, char **error)
{
	int rc = reload(out->secure, error);

	if (rc > 0 && out->type->reloaded)
		out->type->reloaded(out);
	return rc;
}

void
net_out_warn_expiry(const struct net_out *out, int64_t now)
{
	if (out->secure)
		secure_warn_expiry(out->secure, now);
}

int
net_out_send(struct net_out *out, const uint8_t *message, size_t length)
{
	static const struct net_delivery plain;

	return net_out_send_as(out, message, length, &plain);
}

int
net_out_send_as(struct net_out *out, const uint8_t *message, size_t length,
		const struct net_delivery *delivery)
{
	int rc;

	if (!out->stats.up)
		return -ENOTCONN;
	if (out->conf.rate_octets && !rate_allows(out)) {
		out->blocked = true;
		rate_wait(out);
		return -EAGAIN;
	}
	rc = out->type->send_as
		     ? out->type->send_as(out, message, length, delivery)
		     : out->type->send(out, message, length);
	if (rc >= 0 && out->conf.rate_octets)
		out->tokens -= (int64_t)length * 1000;
	else if (rc == -EAGAIN)
		out->blocked = true;
	return rc;
}

bool
net_out_length(const struct net_out *out, uint64_t *length)
{
	return out->type->length && out->type->length(out, length);
}

int
net_out_cut(struct net_out *out, uint64_t length)
{
	return out->type->cut ? out->type->cut(out, length) : 0;
}

void
net_out_break(struct net_out *out, const char *reason)
{
	if (out->type->break_off)
		out->type->break_off(out, reason);
}

void
net_out_settle(struct net_out *out)
{
	if (out->type->settle)
		out->type->settle(out);
}

void
net_out_stats(const struct net_out *out, struct net_out_stats *stats)
{
	*stats = out->stats;
	if (out->type->path_octets)
		stats->path_octets = out->type->path_octets(out);
}

const struct net_out_stats *
net_out_counts(const struct net_out *out)
{
	return &out->stats;
}

uint64_t
net_out_unacknowledged(const struct net_out *out)
{
	return out->type->unacknowledged ? out->type->unacknowledged(out) : 0;
}

bool
net_out_drained(const struct net_out *out)
{
	return out->type->drained(out);
}

void
net_out_close(struct net_out *out, unsigned linger_ms)
{
	size_t unsent;

	if (!out)
		return;
	unsent = out->type->close(out, linger_ms);
	if (unsent)
		out->ops->down(out->arg, "closed before all was sent", unsent);
	if (out->refill)
		event_free(out->refill);
	secure_free(out->secure);
	free((void *)out->conf.interface);
	free((void *)out->conf.file);
	free(out);
}
