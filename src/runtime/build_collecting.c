/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Collecting Processes of the configuration. Every worker has the sockets of
 * all collectors (one SO_REUSEPORT group each); files, the endpoints of SCTP
 * and exporters that are dialled are dealt out.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/log.h"
#include "conflux/message.h"
#include "runtime.h"

/*
 * Where datagrams say what they are of: the Observation Domain ID of IPFIX, and
 * the sub-agent of sFlow (if the agent's address is IPv4); engine and sampling
 * of NetFlow version 5, the Source ID of version 9.
 */
enum { DOMAIN_OFFSET = 12 };
static const struct net_steer netflow_steer[] = {{5, 20}, {9, 16}};

static uint32_t
limit(const struct conf *conf, const char *name)
{
	uint64_t n = conf_uint(conf_child(conf_root(conf), "limits"), name, 0);

	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

/* A bound for the whole daemon, divided among the workers. */
static uint32_t
share(uint64_t bound, unsigned workers)
{
	return (uint32_t)((bound + workers - 1) / workers);
}

/* A bound of 0 holds nothing; for the module 0 means its default. */
static uint32_t
at_least_1(uint32_t n)
{
	return n ? n : 1;
}

/* Of all Exporting Processes behind it; room for all targets. */
static unsigned
exporting_ids(const struct unit *unit, uint32_t *id)
{
	const struct runtime *runtime = unit->worker->runtime;
	unsigned n = 0;

	for (unsigned i = 0; i < runtime->target_count; i++) {
		const struct conf_node *node = runtime->target[i].node;

		if (strcmp(node->name, "exportingProcess") == 0 &&
		    exports_to(unit->node, node))
			id[n++] = exporting_id(runtime, node);
	}
	return n;
}

static int
new_process(struct unit *unit)
{
	const struct worker *worker = unit->worker;
	const struct conf *conf = worker->runtime->conf;
	uint32_t fields = limit(conf, "maxFieldsPerTemplate");
	struct collecting_conf c = {
		.name = conf_name(unit->node),
		.max_domains = limit(conf, "maxDomainsPerSession"),
		.max_templates = limit(conf, "maxTemplatesPerSession"),
		.max_fields =
			(uint16_t)(fields < UINT16_MAX ? fields : UINT16_MAX),
		.max_options = at_least_1(limit(conf, "maxOptionsRecords")),
		/* One octet has no room for a record or set. */
		.max_options_octets = !limit(conf, "maxOptionsRecords"),
		.held_octets = limit(conf, "heldTime")
				       ? at_least_1(limit(conf, "heldOctets"))
				       : 1,
		.held_ms = at_least_1(limit(conf, "heldTime")),
		.registry = worker->registry,
		.shapes = worker->shapes,
		.template_file = conf_path(unit->node, "templateFile"),
		.template_file_ms = conf_ms(unit->node, "templateFileInterval"),
		.worker = worker->index,
		.workers = worker->runtime->worker_count,
		.positions = worker->runtime->positions,
		.commit = commit_soon,
		.finished = worker_source_finished,
		.arg = unit,
	};
	uint32_t *ids = calloc(worker->runtime->target_count + 1, sizeof(*ids));
	int rc = -ENOMEM;

	if (ids) {
		c.exporting_id = ids;
		c.exporting_ids = exporting_ids(unit, ids);
		rc = collecting_new(&c, &unit->collecting);
	}
	free(ids);
	if (rc == 0)
		unit->stage = collecting_stage(unit->collecting);
	return rc;
}

/* Opens one input of the process. */
static int
add_input(struct unit *unit, const struct conf_node *node,
	  const struct collecting_receiver_conf *receiver_conf,
	  struct net_in_conf *net, char **error)
{
	struct collecting_receiver *receiver;
	struct net_in **input;
	char *reason = NULL;
	int rc = unit->collecting ? 0 : new_process(unit);

	if (rc == 0)
		rc = collecting_add(unit->collecting, receiver_conf,
				    &receiver);
	input = rc < 0 ? NULL
		       : realloc(unit->input, (unit->input_count + 1) *
						      sizeof(*input));
	if (!input)
		return -ENOMEM;
	unit->input = input;
	net->frame = message_frame;
	net->worker = unit->worker->index;
	net->workers = unit->worker->runtime->worker_count;
	/* What is sealed can't be looked into; but the sessions of an exporter,
	 * which replace each other, belong together. */
	net->steer_offset = net->secure ? 0 : DOMAIN_OFFSET;
	net->steer_host = net->secure;
	net->steer = netflow_steer;
	net->steer_count = sizeof(netflow_steer) / sizeof(*netflow_steer);
	rc = net_in_open(unit->worker->base, net, collecting_net_ops(),
			 receiver, &input[unit->input_count], &reason);
	if (rc == 0)
		unit->input_count++;
	else if (rc != -ENOMEM)
		build_error(error, rc, node, "%s",
			    reason ? reason : strerror(-rc));
	free(reason);
	return rc;
}

static void
log_listening(const struct unit *unit, const struct conf_node *node,
	      const struct net_in_conf *net)
{
	const char *transport =
		transport_secure_name(net->transport, net->secure);
	char text[ADDR_TEXT_SIZE];
	uint16_t port = net_in_port(unit->input[unit->input_count - 1]);
	struct addr addr;

	/* Others than SCTP are in all workers. */
	if (unit->worker->index > 0 && net->transport != TRANSPORT_SCTP)
		return;
	for (unsigned i = 0; i < net->local_count; i++) {
		addr = net->local[i];
		addr.port = port;
		log_notice("collecting: %s/%s: %s %s", conf_name(unit->node),
			   conf_name(node), transport,
			   addr_format(text, &addr));
	}
	if (net->local_count == 0)
		log_notice("collecting: %s/%s: %s port %u, all addresses",
			   conf_name(unit->node), conf_name(node), transport,
			   port);
}

int
addresses_of(const struct conf_node *node, const char *name, uint16_t port,
	     struct addr **list, unsigned *count)
{
	const struct conf_node *address;
	unsigned n = conf_count(node, name);

	*list = NULL;
	*count = 0;
	if (n == 0)
		return 0;
	*list = calloc(n, sizeof(**list));
	if (!*list)
		return -ENOMEM;
	conf_each (address, node, name) {
		(*list)[*count] = address->addr;
		(*list)[(*count)++].port = port;
	}
	return 0;
}

void
sctp_conf_of(const struct conf_node *node, struct net_sctp_conf *sctp)
{
	sctp->stack = conf_is(node, "stack", "kernel")	   ? NET_SCTP_KERNEL
		      : conf_is(node, "stack", "userland") ? NET_SCTP_USERLAND
							   : NET_SCTP_AUTO;
	sctp->local_udp =
		(uint16_t)conf_uint(node, "localEncapsulationPort", 0);
}

static void
fill_dtls(struct net_dtls_conf *dtls, const struct conf_node *tls,
	  unsigned workers)
{
	dtls->heartbeat = conf_bool(tls, "heartbeat");
	dtls->renegotiation = conf_bool(tls, "renegotiation");
	dtls->max_handshakes =
		share(conf_uint(tls, "maxHandshakes", 0), workers);
	dtls->handshake_rate =
		share(conf_uint(tls, "handshakeRate", 0), workers);
}

/* *port: bound by the worker before us, or 0. */
static int
add_socket(struct unit *unit, const struct conf_node *node,
	   enum transport transport, uint16_t *port, char **error)
{
	const struct runtime *runtime = unit->worker->runtime;
	struct collecting_receiver_conf receiver = {
		.name = conf_name(node),
		.transport = transport,
	};
	struct net_in_conf net = {
		.transport = transport,
		.port = (uint16_t)conf_uint(node, "localPort", 0),
		.receive_buffer =
			(uint32_t)conf_uint(node, "receiveBufferSize", 0),
	};
	const struct conf_node *tls =
		conf_child(node, "transportLayerSecurity");
	struct secure_conf secure;
	const char **names = NULL;
	char name[256];
	struct addr *local;
	int rc;

	if (net.port == 0)
		net.port = *port;
	rc = addresses_of(node, "localIPAddress", net.port, &local,
			  &net.local_count);
	if (rc < 0)
		return rc;
	net.local = local;
	if (tls) {
		rc = secure_conf_fill(runtime, tls, true, &secure, &names);
		net.secure = &secure;
		snprintf(name, sizeof(name), "collecting: %s/%s",
			 conf_name(unit->node), conf_name(node));
		net.name = name;
		net.handshake_ms =
			(uint32_t)conf_uint(tls, "handshakeTimeout", 0);
		fill_dtls(&net.dtls, tls, runtime->worker_count);
	}
	if (transport == TRANSPORT_UDP) {
		receiver.template_ms = conf_ms(node, "templateLifeTime");
		receiver.options_ms = conf_ms(node, "optionsTemplateLifeTime");
		receiver.template_messages =
			(uint32_t)conf_uint(node, "templateLifePacket", 0);
		receiver.options_messages = (uint32_t)conf_uint(
			node, "optionsTemplateLifePacket", 0);
		net.session_idle_ms = conf_ms(node, "sessionTimeout");
		net.any_port = conf_bool(node, "ignoreSourcePort");
		receiver.any_port = net.any_port;
		net.max_sessions = share(limit(runtime->conf, "maxSessions"),
					 runtime->worker_count);
	} else {
		net.idle_ms = conf_ms(node, "idleTimeout");
		net.max_sessions = share(conf_uint(node, "maxConnections", 0),
					 transport == TRANSPORT_SCTP
						 ? 1
						 : runtime->worker_count);
	}
	if (transport == TRANSPORT_TCP)
		receiver.acknowledges = conf_bool(node, "acknowledgement");
	if (transport == TRANSPORT_SCTP) {
		sctp_conf_of(node, &net.sctp);
		net.sctp.streams = (uint16_t)conf_uint(node, "maxStreams", 0);
	}
	if (rc == 0)
		rc = add_input(unit, node, &receiver, &net, error);
	if (rc == 0) {
		*port = net_in_port(unit->input[unit->input_count - 1]);
		log_listening(unit, node, &net);
	}
	free(names);
	free(local);
	return rc;
}

/* The exporter is to be connected to. */
static int
add_dialer(struct unit *unit, const struct conf_node *node, char **error)
{
	struct collecting_receiver_conf receiver = {
		.name = conf_name(node),
		.transport = TRANSPORT_TCP,
		.dials = true,
		.acknowledges = conf_bool(node, "acknowledgement"),
	};
	struct net_in_conf net = {
		.transport = TRANSPORT_TCP,
		.local = conf_addr(node, "localIPAddress"),
		.idle_ms = conf_ms(node, "idleTimeout"),
		.reconnect_min_ms =
			(uint32_t)conf_uint(node, "reconnectMin", 0),
		.reconnect_max_ms =
			(uint32_t)conf_uint(node, "reconnectMax", 0),
	};
	uint16_t port = (uint16_t)conf_uint(node, "exporterPort", 0);
	const struct conf_node *tls =
		conf_child(node, "transportLayerSecurity");
	char name[256], text[ADDR_TEXT_SIZE];
	const char **names = NULL;
	struct secure_conf secure;
	struct addr *to;
	int rc;

	net.local_count = net.local ? 1 : 0;
	rc = addresses_of(node, "exporterIPAddress", port, &to,
			  &net.dial_count);
	net.dial = to;
	if (rc == 0 && tls) {
		rc = secure_conf_fill(NULL, tls, false, &secure, &names);
		net.secure = &secure;
		snprintf(name, sizeof(name), "collecting: %s/%s",
			 conf_name(unit->node), conf_name(node));
		net.name = name;
	}
	if (rc == 0)
		rc = add_input(unit, node, &receiver, &net, error);
	for (unsigned i = 0; rc == 0 && i < net.dial_count; i++)
		log_notice("collecting: %s/%s: %s %s is dialled",
			   conf_name(unit->node), conf_name(node),
			   transport_secure_name(TRANSPORT_TCP, tls),
			   addr_format(text, &to[i]));
	free(names);
	free(to);
	return rc;
}

static int
add_file(struct unit *unit, const struct conf_node *node, char **error)
{
	struct collecting_receiver_conf receiver = {
		.name = conf_name(node),
		.transport = TRANSPORT_FILE,
	};
	const char *path = conf_path(node, "file");
	struct net_in_conf net = {
		.transport = TRANSPORT_FILE,
		.files = &path,
		.file_count = 1,
		.max_sessions = 1,
	};

	if (strcmp(path, "/dev/stdin") == 0)
		path = "-";
	log_notice("collecting: %s/%s: file %s", conf_name(unit->node),
		   conf_name(node), path);
	return add_input(unit, node, &receiver, &net, error);
}

/* What one worker alone has. */
static int
add_dealt(struct unit *unit, unsigned *dealt, char **error)
{
	static const struct {
		const char *name;
		int (*add)(struct unit *unit, const struct conf_node *node,
			   char **error);
	} kind[] = {{"fileReader", add_file}, {"tcpDialer", add_dialer}};
	const struct worker *worker = unit->worker;
	const struct conf_node *node;
	int rc;

	for (int i = 0; i < 2; i++) {
		conf_each (node, unit->node, kind[i].name) {
			if (!deals_file(worker, worker->runtime->worker_count,
					(*dealt)++))
				continue;
			rc = kind[i].add(unit, node, error);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

int
build_collecting(struct unit *unit, unsigned *collector, unsigned *file,
		 char **error)
{
	static const struct {
		const char *name;
		enum transport transport;
	} socket[] = {
		{"udpCollector", TRANSPORT_UDP},
		{"tcpCollector", TRANSPORT_TCP},
		{"sctpCollector", TRANSPORT_SCTP},
	};
	const struct runtime *runtime = unit->worker->runtime;
	const struct conf_node *node;
	int rc;

	for (int i = 0; i < 3; i++) {
		conf_each (node, unit->node, socket[i].name) {
			unsigned n = (*collector)++;

			/* An endpoint of SCTP is one for all its peers. */
			if (socket[i].transport == TRANSPORT_SCTP &&
			    !deals_file(unit->worker, runtime->worker_count, n))
				continue;
			rc = add_socket(unit, node, socket[i].transport,
					&runtime->port[n], error);
			if (rc < 0)
				return rc;
		}
	}
	return add_dealt(unit, file, error);
}
