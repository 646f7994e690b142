/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Net-SNMP's agent on an event base. Which descriptors it reads and when it
 * wants to be called changes with every packet, so after each of its functions
 * it is asked again and our events are made to match (agent_update), as lldpd
 * does. One packet is read per event.
 */
#include "snmp.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <net-snmp/agent/agent_callbacks.h>
#include <net-snmp/library/large_fd_set.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>

#include "conflux/clock.h"

enum {
	TICK_MS = 100,
	AGENTX_PING = 2, /* s, between attempts to reach the master */
};

/* A peer can cause some of these, so they are limited. */
static int
log_cb(int major, int minor, void *server, void *client)
{
	const struct snmp_log_message *message = server;
	struct access *access = client;
	uint32_t held;

	if (message->priority > LOG_WARNING)
		log_debug("net-snmp: %.*s", (int)strcspn(message->msg, "\n"),
			  message->msg);
	else if (log_limit_pass(&access->limit, clock_mono_ms(), &held))
		log_warning("net-snmp: %.*s (%u more lines before)",
			    (int)strcspn(message->msg, "\n"), message->msg,
			    held);
	return SNMP_ERR_NOERROR;
}

static void agent_read(evutil_socket_t fd, short what, void *arg);

static void
add_fd(struct metermib_agent *agent, int fd)
{
	struct agent_fd *f = calloc(1, sizeof(*f));

	if (!f)
		return;
	f->fd = fd;
	f->agent = agent;
	f->event =
		event_new(agent->base, fd, EV_READ | EV_PERSIST, agent_read, f);
	if (!f->event || event_add(f->event, NULL)) {
		if (f->event)
			event_free(f->event);
		free(f);
		return;
	}
	f->next = agent->fds;
	agent->fds = f;
}

static void
remove_fd(struct agent_fd **at)
{
	struct agent_fd *f = *at;

	*at = f->next;
	event_free(f->event);
	free(f);
}

/* Makes our events match what Net-SNMP waits for. */
static void
agent_update(struct metermib_agent *agent)
{
	netsnmp_large_fd_set set;
	struct timeval timeout = {0, 0};
	struct agent_fd **at = &agent->fds;
	int count = 0, block = 1;

	netsnmp_large_fd_set_init(&set, FD_SETSIZE);
	NETSNMP_LARGE_FD_ZERO(&set);
	snmp_select_info2(&count, &set, &timeout, &block);
	while (*at) {
		int fd = (*at)->fd;

		if (fd < count && NETSNMP_LARGE_FD_ISSET(fd, &set)) {
			NETSNMP_LARGE_FD_CLR(fd, &set);
			at = &(*at)->next;
		} else {
			remove_fd(at);
		}
	}
	for (int fd = 0; fd < count; fd++)
		if (NETSNMP_LARGE_FD_ISSET(fd, &set))
			add_fd(agent, fd);
	netsnmp_large_fd_set_cleanup(&set);
	if (block)
		event_del(agent->timer);
	else
		event_add(agent->timer, &timeout);
}

static void
agent_read(evutil_socket_t fd, short what, void *arg)
{
	struct agent_fd *f = arg;
	struct metermib_agent *agent = f->agent;
	netsnmp_large_fd_set set;

	meter_advance(agent->meter, clock_mono_ms());
	netsnmp_large_fd_set_init(&set, FD_SETSIZE);
	NETSNMP_LARGE_FD_ZERO(&set);
	NETSNMP_LARGE_FD_SET(fd, &set);
	snmp_read2(&set);
	netsnmp_large_fd_set_cleanup(&set);
	netsnmp_check_outstanding_agent_requests();
	agent_update(agent);
}

static void
agent_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct metermib_agent *agent = arg;

	meter_advance(agent->meter, clock_mono_ms());
	snmp_timeout();
	run_alarms();
	netsnmp_check_outstanding_agent_requests();
	agent_update(agent);
}

static void
agent_tick(evutil_socket_t fd, short what, void *arg)
{
	struct metermib_agent *agent = arg;

	meter_tick(agent->meter, clock_mono_ms());
}

/* What Net-SNMP would do by itself and must not: files, names, state. */
static void
set_defaults(const struct metermib_agent_config *config)
{
	static const int off[] = {
		NETSNMP_DS_LIB_DONT_PERSIST_STATE,
		NETSNMP_DS_LIB_DISABLE_PERSISTENT_LOAD,
		NETSNMP_DS_LIB_DISABLE_PERSISTENT_SAVE,
		NETSNMP_DS_LIB_DONT_READ_CONFIGS,
		NETSNMP_DS_LIB_ALARM_DONT_USE_SIG,
	};

	setenv("MIBS", "", 1);
	/* Else it makes a directory there, for certificates we do not use. */
	netsnmp_ds_set_string(NETSNMP_DS_LIBRARY_ID,
			      NETSNMP_DS_LIB_PERSISTENT_DIR, "/dev/null");
	for (unsigned i = 0; i < sizeof(off) / sizeof(off[0]); i++)
		netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, off[i], 1);
	netsnmp_ds_set_boolean(NETSNMP_DS_APPLICATION_ID,
			       NETSNMP_DS_AGENT_DONT_LOG_TCPWRAPPERS_CONNECTS,
			       1);
	if (!config->agentx)
		return;
	netsnmp_enable_subagent();
	netsnmp_ds_set_string(NETSNMP_DS_APPLICATION_ID,
			      NETSNMP_DS_AGENT_X_SOCKET, config->agentx);
	netsnmp_ds_set_int(NETSNMP_DS_APPLICATION_ID,
			   NETSNMP_DS_AGENT_AGENTX_PING_INTERVAL, AGENTX_PING);
}

static uint16_t
port_of(int fd)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t length = sizeof(address);
	const struct sockaddr_in *in = (const void *)&address;
	const struct sockaddr_in6 *in6 = (const void *)&address;

	if (getsockname(fd, (struct sockaddr *)&address, &length))
		return 0;
	if (address.ss_family == AF_INET6)
		return ntohs(in6->sin6_port);
	return address.ss_family == AF_INET ? ntohs(in->sin_port) : 0;
}

static int
listen_on(struct metermib_agent *agent,
	  const struct metermib_agent_config *config)
{
	agent->nsap = calloc(config->listen_count + 1, sizeof(*agent->nsap));
	agent->port = calloc(config->listen_count + 1, sizeof(*agent->port));
	if (!agent->nsap || !agent->port)
		return -ENOMEM;
	for (size_t i = 0; i < config->listen_count; i++) {
		netsnmp_transport *t = netsnmp_transport_open_server(
			config->name, config->listen[i]);

		if (!t)
			return -EADDRINUSE;
		agent->port[i] = port_of(t->sock);
		/* If it fails, Net-SNMP may or may not have freed t. */
		agent->nsap[i] = netsnmp_register_agent_nsap(t);
		if (agent->nsap[i] < 0)
			return -EADDRINUSE;
		agent->listen_count++;
	}
	return 0;
}

static int
start_snmp(struct metermib_agent *agent,
	   const struct metermib_agent_config *config,
	   const struct metermib_user *user, size_t users)
{
	char engine[128];
	/* Else init_agent would bring VACM and its configuration. */
	char nothing[] = "none";
	int err;

	agent->started = true;
	set_defaults(config);
	snmp_disable_log();
	snmp_enable_calllog();
	if (snmp_register_callback(SNMP_CALLBACK_LIBRARY, SNMP_CALLBACK_LOGGING,
				   log_cb, &agent->access) != SNMPERR_SUCCESS)
		return -ENOMEM;
	add_to_init_list(nothing);
	if (init_agent(agent->name))
		return -EINVAL;
	if (handler_register(agent))
		return -ENOMEM;
	if (!agent->subagent) {
		err = access_init(&agent->access, config, user, users);
		if (err)
			return err;
	}
	if (config->engine_id) {
		snprintf(engine, sizeof(engine), "exactEngineID 0x%s",
			 config->engine_id);
		netsnmp_config_remember(engine);
	}
	init_snmp(agent->name);
	if (agent->subagent)
		return 0;
	err = access_create_users(user, users);
	return err ? err : listen_on(agent, config);
}

int
metermib_agent_new(struct event_base *base, struct meter *meter,
		   const struct metermib_agent_config *config,
		   const struct metermib_user *user, size_t user_count,
		   struct metermib_agent **result)
{
	static const struct timeval tick = {0, TICK_MS * 1000};
	struct metermib_agent *agent = calloc(1, sizeof(*agent));
	int err = -ENOMEM;

	if (!agent)
		return -ENOMEM;
	agent->base = base;
	agent->meter = meter;
	agent->subagent = config->agentx != NULL;
	agent->mib = (struct mib){.meter = meter,
				  .time_filter = config->time_filter,
				  .rfc2064 = config->rfc2064,
				  .absent = config->absent};
	agent->name = strdup(config->name);
	agent->description =
		strdup(config->description ? config->description : "");
	agent->timer = evtimer_new(base, agent_timeout, agent);
	agent->tick = event_new(base, -1, EV_PERSIST, agent_tick, agent);
	if (!agent->name || !agent->description || !agent->timer ||
	    !agent->tick || event_add(agent->tick, &tick))
		goto fail;
	err = start_snmp(agent, config, user, user_count);
	if (err)
		goto fail;
	agent_update(agent);
	*result = agent;
	return 0;
fail:
	metermib_agent_free(agent);
	return err;
}

/*
 * Net-SNMP never gives back some 5 kB in a dozen pieces that init_agent and
 * init_snmp made once (the list of modules, containers for certificates, the
 * roots of the MIB tree): valgrind calls them still reachable.
 */
void
metermib_agent_free(struct metermib_agent *agent)
{
	if (!agent)
		return;
	while (agent->fds)
		remove_fd(&agent->fds);
	if (agent->timer)
		event_free(agent->timer);
	if (agent->tick)
		event_free(agent->tick);
	handler_unregister(agent);
	for (size_t i = 0; i < agent->listen_count; i++)
		netsnmp_deregister_agent_nsap(agent->nsap[i]);
	if (agent->started) {
		access_fini(&agent->access);
		snmp_unregister_callback(SNMP_CALLBACK_LIBRARY,
					 SNMP_CALLBACK_LOGGING, log_cb,
					 &agent->access, 1);
		snmp_shutdown(agent->name);
		shutdown_agent();
		snmp_disable_log();
	}
	free(agent->nsap);
	free(agent->port);
	free(agent->name);
	free(agent->description);
	free(agent);
}

uint16_t
metermib_agent_port(const struct metermib_agent *agent, size_t n)
{
	return n < agent->listen_count ? agent->port[n] : 0;
}

const struct metermib_agent_counters *
metermib_agent_counters(const struct metermib_agent *agent)
{
	struct metermib_agent_counters *counters =
		(struct metermib_agent_counters *)&agent->counters;

	counters->packages = agent->mib.packages;
	counters->refused = agent->access.refused;
	return counters;
}
