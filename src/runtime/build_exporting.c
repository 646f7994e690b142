/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Exporting Processes of the configuration. */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/exporting.h"
#include "conflux/filter.h"
#include "conflux/hash.h"
#include "conflux/log.h"
#include "conflux/message.h"
#include "runtime.h"

enum {
	HEADERS_4 = 28, /* IP and UDP */
	HEADERS_6 = 48,
	/* An IPFIX Message of 512 octets, sealed, over IPv6: taken for granted
	 * of any path (RFC 7011 section 10.3.3). */
	PACKET_MIN = 600,
	/* Of sessions of DTLS; see sessionLifetime. */
	LIFETIME_MS = 600000,
	RECONNECT_MIN_MS = 1000,
	RECONNECT_MAX_MS = 30000,
};

/* What the configuration of a destination points to. */
struct destination_room {
	char interface[IF_NAMESIZE];
	struct secure_conf secure;
	const char **names;	     /* of secure */
	struct addr *remote, *local; /* of SCTP; of who listens, whom it waits
				      * for, and where */
	uint32_t *domain;	     /* that it takes */
};

static const struct {
	const char *name;
	enum exporting_kind kind;
} kinds[] = {
	{"udpExporter", EXPORTING_UDP},	  {"tcpExporter", EXPORTING_TCP},
	{"tcpListener", EXPORTING_TCP},	  {"sctpExporter", EXPORTING_SCTP},
	{"fileWriter", EXPORTING_FILE},	  {"jsonWriter", EXPORTING_JSON},
};

static const struct conf_node *
kind_node(const struct conf_node *destination, enum exporting_kind *kind)
{
	const struct conf_node *node = NULL;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !node; i++) {
		node = conf_child(destination, kinds[i].name);
		*kind = kinds[i].kind;
	}
	return node;
}

/* maxPacketSize is that of the IP packet; 0: what the path takes now. */
static uint32_t
udp_message_size(const struct conf_node *node, const struct net_out_conf *net)
{
	uint32_t headers = net->remote.version == 4 ? HEADERS_4 : HEADERS_6;
	uint32_t size = (uint32_t)conf_uint(node, "maxPacketSize", 0);

	if (size == 0)
		return net_path_octets(net);
	if (size < EXPORTING_MESSAGE_MIN + headers)
		return EXPORTING_MESSAGE_MIN;
	return size - headers;
}

/* The collector makes the connection. */
static bool
is_listener(const struct conf_node *kind)
{
	return strcmp(kind->name, "tcpListener") == 0;
}

static enum transport
transport_of(const struct exporting_destination *d)
{
	return d->kind == EXPORTING_UDP	  ? TRANSPORT_UDP
	       : d->kind == EXPORTING_TCP ? TRANSPORT_TCP
					  : TRANSPORT_SCTP;
}

static bool
has_socket(const struct exporting_destination *d)
{
	return d->kind == EXPORTING_UDP || d->kind == EXPORTING_TCP ||
	       d->kind == EXPORTING_SCTP;
}

static int
fill_interface(const struct conf_node *node, struct net_out_conf *net,
	       struct destination_room *room)
{
	net->interface = conf_text(node, "ifName");
	if (!conf_has(node, "ifIndex"))
		return 0;
	net->interface = if_indextoname((unsigned)conf_uint(node, "ifIndex", 0),
					room->interface);
	return net->interface ? 0 : -ENODEV;
}

static void
fill_spool(struct exporting_spool *spool, const struct conf_node *node)
{
	if (!node)
		return;
	*spool = (struct exporting_spool){
		.directory = conf_path(node, "directory"),
		.max_octets = conf_uint(node, "maxSize", 0),
		.segment_octets = conf_uint(node, "segmentSize", 0),
		.max_age_s = (uint32_t)conf_uint(node, "maxAge", 0),
		.sync = conf_is(node, "sync", "never") ? EXPORTING_SYNC_NEVER
			: conf_is(node, "sync", "segment")
				? EXPORTING_SYNC_SEGMENT
				: EXPORTING_SYNC_TIME,
		.sync_ms = (uint32_t)conf_uint(node, "syncInterval", 0),
		.replay_rate = (uint32_t)conf_uint(node, "replayRate", 0),
		.replay_share = (uint32_t)conf_uint(node, "replayShare", 0),
		.drop_oldest = conf_is(node, "whenFull", "dropOldest"),
	};
}

static int
fill_socket(struct exporting_destination *d, const struct conf_node *node,
	    struct destination_room *room)
{
	const struct addr *addr = conf_addr(node, "destinationIPAddress");

	if (addr)
		d->net.remote = *addr;
	d->net.remote.port = (uint16_t)conf_uint(node, "destinationPort", 0);
	addr = conf_addr(node, "sourceIPAddress");
	if (addr)
		d->net.local = *addr;
	d->net.send_buffer = (uint32_t)conf_uint(node, "sendBufferSize", 0);
	d->net.rate_octets = conf_uint(node, "rateLimit", 0);
	fill_spool(&d->spool, conf_child(node, "spool"));
	return fill_interface(node, &d->net, room);
}

static void
fill_udp(struct exporting_destination *d, const struct conf_node *node)
{
	d->template_refresh_ms = conf_ms(node, "templateRefreshTimeout");
	d->options_template_refresh_ms =
		conf_ms(node, "optionsTemplateRefreshTimeout");
	d->template_refresh_packets =
		(uint32_t)conf_uint(node, "templateRefreshPacket", 0);
	d->options_template_refresh_packets =
		(uint32_t)conf_uint(node, "optionsTemplateRefreshPacket", 0);
	d->max_message = udp_message_size(node, &d->net);
}

static void
fill_sessions(struct net_dtls_conf *dtls, const struct conf_node *tls)
{
	dtls->heartbeat = conf_bool(tls, "heartbeat");
	dtls->heartbeat_ms = conf_ms(tls, "heartbeatPeriod");
	dtls->heartbeat_tries = (unsigned)conf_uint(tls, "heartbeatTries", 0);
	dtls->lifetime_always = conf_has(tls, "sessionLifetime");
	dtls->lifetime_ms = dtls->lifetime_always
				    ? conf_ms(tls, "sessionLifetime")
				    : LIFETIME_MS;
}

/*
 * With DTLS the size of messages follows from that of the packets, when there
 * is a session: what sealing adds is known then.
 */
static void
fill_dtls(struct exporting_destination *d, const struct conf_node *udp,
	  const struct conf_node *tls)
{
	struct net_dtls_conf *dtls = &d->net.dtls;
	uint32_t size = (uint32_t)conf_uint(udp, "maxPacketSize", 0);

	d->net.reconnect_min_ms = RECONNECT_MIN_MS;
	d->net.reconnect_max_ms = RECONNECT_MAX_MS;
	fill_sessions(dtls, tls);
	dtls->path_probing = size == 0;
	dtls->path_min = PACKET_MIN;
	dtls->path_max = size == 0 ? UINT16_MAX : size;
	if (dtls->path_max < PACKET_MIN)
		dtls->path_max = PACKET_MIN;
	dtls->path_ms = conf_ms(tls, "pathProbingPeriod");
	dtls->renegotiate_ms = conf_ms(tls, "renegotiationPeriod");
	d->max_message = size == 0 ? net_path_octets(&d->net)
				   : dtls->path_max - HEADERS_4;
}

static void
fill_reconnect(struct exporting_destination *d, const struct conf_node *node)
{
	d->net.reconnect_min_ms = (uint32_t)conf_uint(node, "reconnectMin", 0);
	d->net.reconnect_max_ms = (uint32_t)conf_uint(node, "reconnectMax", 0);
}

static void
fill_tcp(struct exporting_destination *d, const struct conf_node *node)
{
	d->net.silent_ms = conf_ms(node, "silenceTime");
	d->acknowledged = conf_bool(node, "acknowledgement");
}

static int
fill_sctp(struct exporting_destination *d, const struct conf_node *node,
	  struct destination_room *room)
{
	struct net_sctp_conf *sctp = &d->net.sctp;
	uint16_t port = d->net.remote.port;
	int rc;

	sctp_conf_of(node, sctp);
	if (d->net.secure)
		fill_sessions(&d->net.dtls,
			      conf_child(node, "transportLayerSecurity"));
	if (d->net.secure && d->max_message > NET_DTLS_MESSAGE_MAX)
		d->max_message = NET_DTLS_MESSAGE_MAX;
	sctp->remote_udp =
		(uint16_t)conf_uint(node, "remoteEncapsulationPort", 0);
	sctp->streams = (uint16_t)conf_uint(node, "streams", 0);
	d->stream_per_template = conf_bool(node, "streamPerTemplate");
	d->unordered = conf_bool(node, "unordered");
	d->lifetime_ms = (uint32_t)conf_uint(node, "timedReliability", 0);
	rc = addresses_of(node, "destinationIPAddress", port, &room->remote,
			  &sctp->remote_count);
	if (rc == 0)
		rc = addresses_of(node, "sourceIPAddress", 0, &room->local,
				  &sctp->local_count);
	sctp->remote = room->remote;
	sctp->local = room->local;
	return rc;
}

static int
fill_listener(struct exporting_destination *d, const struct conf_node *node,
	      struct destination_room *room)
{
	const struct conf_node *tls =
		conf_child(node, "transportLayerSecurity");
	struct net_listen_conf *listen = &d->net.listen;
	int rc;

	listen->on = true;
	listen->port = (uint16_t)conf_uint(node, "localPort", 0);
	rc = addresses_of(node, "localIPAddress", listen->port, &room->local,
			  &listen->local_count);
	if (rc == 0)
		rc = addresses_of(node, "collectorIPAddress", 0, &room->remote,
				  &listen->allowed_count);
	listen->local = room->local;
	listen->allowed = room->remote;
	listen->max_handshakes =
		tls ? (unsigned)conf_uint(tls, "maxHandshakes", 0) : 0;
	d->net.handshake_ms =
		tls ? (uint32_t)conf_uint(tls, "handshakeTimeout", 0) : 0;
	return rc;
}

static void
fill_file(struct exporting_destination *d, const struct conf_node *node)
{
	d->net.file = conf_path(node, "file");
	if (d->kind == EXPORTING_FILE && conf_bool(node, "append"))
		d->net.append = message_frame;
	/* The stream itself: opening its name anew would write over what a
	 * file has that it was redirected behind. */
	if (strcmp(d->net.file, "/dev/stdout") == 0)
		d->net.file = "-";
}

static int
fill_secure(struct exporting_destination *d, const struct conf_node *kind,
	    const struct runtime *runtime, struct destination_room *room)
{
	const struct conf_node *tls =
		conf_child(kind, "transportLayerSecurity");
	int rc;

	if (!tls)
		return 0;
	d->net.secure = &room->secure;
	if (!is_listener(kind))
		return secure_conf_fill(NULL, tls, false, &room->secure,
					&room->names);
	rc = secure_conf_fill(runtime, tls, true, &room->secure, &room->names);
	/* Who collects reads, so it gets them in time. */
	room->secure.late_tickets = true;
	return rc;
}

static int
fill_destination(struct exporting_destination *d, const struct conf_node *node,
		 const struct runtime *runtime, struct destination_room *room,
		 char **error)
{
	const struct conf_node *kind = kind_node(node, &d->kind);
	int rc = 0;

	d->name = conf_name(node);
	d->queue_octets = conf_uint(node->parent, "queueOctets", 0);
	if (has_socket(d))
		rc = fill_socket(d, kind, room);
	else
		fill_file(d, kind);
	if (rc < 0)
		return build_error(error, rc, node,
				   "there is no interface with this index");
	rc = fill_secure(d, kind, runtime, room);
	if (rc < 0)
		return rc;
	d->max_message = (uint32_t)conf_uint(kind, "maxMessageSize", 0);
	if (d->kind == EXPORTING_UDP)
		fill_udp(d, kind);
	if (d->kind == EXPORTING_UDP && d->net.secure)
		fill_dtls(d, kind, conf_child(kind, "transportLayerSecurity"));
	if (is_listener(kind))
		rc = fill_listener(d, kind, room);
	else if (d->kind == EXPORTING_TCP || d->kind == EXPORTING_SCTP)
		fill_reconnect(d, kind);
	if (d->kind == EXPORTING_TCP)
		fill_tcp(d, kind);
	if (d->kind == EXPORTING_SCTP)
		rc = fill_sctp(d, kind, room);
	return rc;
}

static int
run_filter(void *filter, const struct batch *batch, uint32_t *index)
{
	return filter_run(filter, batch, index);
}

/* Which records it takes; the filter is the unit's. */
static int
fill_selection(struct exporting_destination *d, const struct conf_node *node,
	       struct unit *unit, struct destination_room *room, char **error)
{
	const char *text = conf_text(node, "filter");
	unsigned domains = conf_count(node, "observationDomain");
	const struct conf_node *child;
	struct filter_error why;
	struct filter *filter;
	int rc;

	room->domain = calloc(domains + 1, sizeof(*room->domain));
	if (!room->domain)
		return -ENOMEM;
	conf_each (child, node, "observationDomain")
		room->domain[d->domain_count++] = (uint32_t)child->number;
	d->domain = room->domain;
	if (!text)
		return 0;
	rc = filter_new(text, unit->worker->registry, &filter, &why);
	if (rc < 0) {
		build_error(error, rc, node, "filter: %s",
			    why.text ? why.text : strerror(-rc));
		free(why.text);
		return rc;
	}
	unit->filter[unit->filter_count++] = filter;
	d->filter = (struct exporting_filter){run_filter, filter, text};
	return 0;
}

static void
fill_options(struct exporting_options *o, const struct conf_node *node)
{
	int type = exporting_option_parse(conf_text(node, "optionsType"));

	o->name = conf_name(node);
	o->type = (enum exporting_option)type;
	o->timeout_ms = (uint32_t)conf_uint(node, "optionsTimeout", 0);
}

static int
fill(struct exporting_conf *conf, struct unit *unit,
     struct destination_room *room, char **error)
{
	const struct conf_node *node = unit->node;
	const struct conf_node *child;
	struct exporting_destination *d;
	int rc;

	conf_each (child, node, "destination") {
		rc = fill_destination(
			&conf->destination[conf->destination_count], child,
			unit->worker->runtime, &room[conf->destination_count],
			error);
		if (rc == 0)
			rc = fill_selection(
				&conf->destination[conf->destination_count],
				child, unit, &room[conf->destination_count],
				error);
		if (rc < 0)
			return rc;
		d = &conf->destination[conf->destination_count++];
		d->spool.sealed = d->acknowledged && unit->commits;
	}
	conf_each (child, node, "options")
		fill_options(&conf->options[conf->options_count++], child);
	return 0;
}

static void
log_listening(const struct conf_node *node,
	      const struct exporting_destination *d)
{
	const struct net_listen_conf *listen = &d->net.listen;
	const char *transport =
		transport_secure_name(TRANSPORT_TCP, d->net.secure);
	char text[ADDR_TEXT_SIZE];

	for (unsigned i = 0; i < listen->local_count; i++)
		log_notice("exporting: %s/%s: %s %s, where the collector "
			   "connects",
			   conf_name(node), d->name, transport,
			   addr_format(text, &listen->local[i]));
	if (listen->local_count == 0)
		log_notice("exporting: %s/%s: %s port %u, all addresses, where "
			   "the collector connects",
			   conf_name(node), d->name, transport, listen->port);
}

static void
log_destinations(const struct conf_node *node,
		 const struct exporting_conf *conf)
{
	char text[ADDR_TEXT_SIZE];

	for (unsigned i = 0; i < conf->destination_count; i++) {
		const struct exporting_destination *d = &conf->destination[i];

		if (d->net.listen.on)
			log_listening(node, d);
		else if (has_socket(d))
			log_notice("exporting: %s/%s: %s %s", conf_name(node),
				   d->name,
				   transport_secure_name(transport_of(d),
							 d->net.secure),
				   addr_format(text, &d->net.remote));
		else
			log_notice("exporting: %s/%s: %s %s", conf_name(node),
				   d->name,
				   d->kind == EXPORTING_JSON ? "JSON lines to"
							     : "file",
				   strcmp(d->net.file, "-") == 0
					   ? "standard output"
					   : d->net.file);
	}
}

/* For the module 0 is its default. */
static uint32_t
at_least_1(uint64_t ms)
{
	return ms ? (uint32_t)ms : 1;
}

static enum exporting_origin
origin_of(const struct conf_node *node)
{
	if (conf_is(node, "originalExporter", "records"))
		return EXPORTING_ORIGIN_RECORDS;
	return conf_is(node, "originalExporter", "options")
		       ? EXPORTING_ORIGIN_OPTIONS
		       : EXPORTING_ORIGIN_NONE;
}

/* The same in all workers. */
uint32_t
exporting_id(const struct runtime *runtime, const struct conf_node *node)
{
	const struct conf_node *each;
	uint32_t n = 0, id = (uint32_t)conf_uint(node, "processId", 0);

	conf_each (each, node->parent, "exportingProcess") {
		if (each == node)
			break;
		n++;
	}
	while (!id)
		id = (uint32_t)hash_u64(n++, runtime->id_seed);
	return id;
}

int
build_exporting(struct unit *unit, char **error)
{
	const struct conf_node *node = unit->node;
	struct worker *worker = unit->worker;
	unsigned destinations = conf_count(node, "destination");
	struct exporting_conf conf = {
		.name = conf_name(node),
		.mode = (enum exporting_mode)exporting_mode_parse(
			conf_text(node, "exportMode")),
		.balance = (enum exporting_balance)exporting_balance_parse(
			conf_text(node, "loadBalancing")),
		.domains = conf_is(node, "observationDomainMapping", "renumber")
				   ? EXPORTING_DOMAIN_RENUMBER
				   : EXPORTING_DOMAIN_KEEP,
		.id = exporting_id(worker->runtime, node),
		.domain_file = conf_path(node, "observationDomainFile"),
		.origin = origin_of(node),
		.flush_ms = (uint32_t)conf_uint(node, "flushTime", 0),
		.grace_ms = at_least_1(conf_uint(node, "graceTime", 0)),
		.hold_ms = at_least_1(conf_uint(node, "holdTime", 0)),
		.max_templates = (uint32_t)conf_uint(node, "templateLimit", 0),
		.destination =
			calloc(destinations + 1, sizeof(*conf.destination)),
		.options = calloc(conf_count(node, "options") + 1,
				  sizeof(*conf.options)),
	};
	struct destination_room *room = calloc(destinations + 1, sizeof(*room));
	char *reason = NULL;
	int rc = -ENOMEM;

	unit->commits = commit_wanted_by(worker->runtime->conf, node);
	unit->filter = calloc(destinations + 1, sizeof(*unit->filter));
	if (conf.destination && conf.options && room && unit->filter)
		rc = fill(&conf, unit, room, error);
	if (rc == 0) {
		rc = exporting_new(worker->base, &conf, worker->registry,
				   worker->shapes, &unit->stage, &reason);
		if (rc == 0)
			log_destinations(node, &conf);
		else if (rc != -ENOMEM)
			build_error(error, rc, node, "%s",
				    reason ? reason : strerror(-rc));
	}
	free(reason);
	free(conf.destination);
	free(conf.options);
	for (unsigned i = 0; room && i < destinations; i++) {
		free(room[i].names);
		free(room[i].remote);
		free(room[i].local);
		free(room[i].domain);
	}
	free(room);
	return rc;
}
