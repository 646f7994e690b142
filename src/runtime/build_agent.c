/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter agent of the configuration. Net-SNMP has one agent in a process and
 * wants one thread, so it belongs to the runtime and lives in the first worker;
 * the records of other workers reach its meter by their handovers.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "conflux/clock.h"
#include "conflux/log.h"
#include "conflux/meter_reader.h"
#include "conflux/metermib_agent.h"
#include "runtime.h"

enum { ADDRESS_SIZE = 96 };

struct agent {
	const struct conf_node *node;
	struct meter *meter;
	struct metermib_agent *snmp;
};

/* What the agent is started with; it copies all of it. */
struct lists {
	char *read, *write;
	unsigned users, addresses;
	struct metermib_user *user;
	char **secret; /* two for each user */
	char (*address)[ADDRESS_SIZE];
	const char **listen;
};

static int
read_secret(const struct conf_node *node, const char *value, const char *file,
	    char **out)
{
	struct meter_secret secret = {.value = conf_text(node, value),
				      .file = conf_path(node, file)};

	return secret_read(&secret, "meter agent", out);
}

static int
add_user(struct lists *lists, const struct conf_node *node)
{
	struct metermib_user *user = &lists->user[lists->users];
	char **secret = &lists->secret[2 * lists->users++];
	int rc = read_secret(node, "authPassphrase", "authPassphraseFile",
			     &secret[0]);

	if (rc == 0)
		rc = read_secret(node, "privPassphrase", "privPassphraseFile",
				 &secret[1]);
	*user = (struct metermib_user){
		.name = conf_name(node),
		.auth = secret[0] ? conf_text(node, "authProtocol") : NULL,
		.auth_pass = secret[0],
		.priv = secret[1] ? conf_text(node, "privProtocol") : NULL,
		.priv_pass = secret[1],
		.write = conf_bool(node, "write"),
	};
	return rc;
}

static void
add_address(struct lists *lists, const struct conf_node *node, const char *host)
{
	char *text = lists->address[lists->addresses];
	bool v6 = strchr(host, ':');

	snprintf(text, ADDRESS_SIZE, "%s%s%s:%u", v6 ? "udp6:[" : "udp:", host,
		 v6 ? "]" : "", (unsigned)conf_uint(node, "port", 161));
	lists->listen[lists->addresses++] = text;
}

static int
lists_init(struct lists *lists, const struct conf_node *node)
{
	const struct conf_node *child;
	unsigned users = conf_count(node, "user");
	unsigned addresses = conf_count(node, "listenAddress") + 1;
	int rc = 0;

	lists->user = calloc(users + 1, sizeof(*lists->user));
	lists->secret = calloc(2 * users + 1, sizeof(*lists->secret));
	lists->address = calloc(addresses, sizeof(*lists->address));
	lists->listen = calloc(addresses, sizeof(*lists->listen));
	if (!lists->user || !lists->secret || !lists->address || !lists->listen)
		return -ENOMEM;
	conf_each (child, node, "user")
		if (rc == 0)
			rc = add_user(lists, child);
	conf_each (child, node, "listenAddress")
		add_address(lists, node, child->text);
	if (!lists->addresses)
		add_address(lists, node, "127.0.0.1");
	if (rc == 0)
		rc = read_secret(node, "community", "communityFile",
				 &lists->read);
	if (rc == 0)
		rc = read_secret(node, "writeCommunity", "writeCommunityFile",
				 &lists->write);
	return rc;
}

static void
lists_fini(struct lists *lists)
{
	secret_free(lists->read);
	secret_free(lists->write);
	for (unsigned i = 0; i < 2 * lists->users; i++)
		secret_free(lists->secret[i]);
	free(lists->user);
	free(lists->secret);
	free(lists->address);
	free(lists->listen);
}

/* ---- the meter, and who may read it -------------------------------------- */

static int
open_meter(struct agent *agent, char **error)
{
	const struct conf_node *node = agent->node;
	struct meter_config config = {
		.max_flows = (uint32_t)conf_uint(node, "maxFlows", 1),
		.max_rules = (uint32_t)conf_uint(node, "maxRules", 2),
		.inactivity = (uint32_t)conf_uint(node, "inactivityTimeout",
						  METER_INACTIVITY),
	};
	struct meter_rule_files files = {
		.file = conf_path(node, "ruleSetFile"),
		.name = conf_text(node, "ruleSetName"),
		.standby_file = conf_path(node, "standbyRuleSetFile"),
		.high_water_mark =
			(uint32_t)conf_uint(node, "highWaterMark", 0),
	};
	int rc;

	agent->meter = meter_new(&config, clock_mono_ms());
	if (!agent->meter)
		return -ENOMEM;
	if (!files.file)
		return 0;
	rc = meter_run_files(agent->meter, &files);
	if (rc < 0 && rc != -ENOMEM)
		build_error(error, rc, node, "%s: %s", files.file,
			    rc == -EINVAL ? "these rules can't be run"
					  : strerror(-rc));
	return rc;
}

static int
open_snmp(struct agent *agent, struct event_base *base, char **error)
{
	const struct conf_node *node = agent->node;
	struct metermib_agent_config config = {
		.name = "conflux",
		.agentx = conf_path(node, "agentX"),
		.description = PACKAGE_STRING " traffic flow meter",
		.engine_id = conf_text(node, "engineId"),
	};
	struct lists lists = {0};
	int rc = lists_init(&lists, node);

	if (rc == 0) {
		config.read_community = lists.read;
		config.write_community = lists.write;
		config.listen = lists.listen;
		config.listen_count = config.agentx ? 0 : lists.addresses;
		rc = metermib_agent_new(base, agent->meter, &config, lists.user,
					lists.users, &agent->snmp);
	}
	lists_fini(&lists);
	if (rc < 0 && rc != -ENOMEM)
		return build_error(error, rc, node, "UDP port %u: %s",
				   (unsigned)conf_uint(node, "port", 161),
				   strerror(-rc));
	if (rc == 0 && config.agentx)
		log_notice("meter agent: %s: part of the agent at %s",
			   conf_name(node), config.agentx);
	else if (rc == 0)
		log_notice("meter agent: %s: snmp port %u", conf_name(node),
			   metermib_agent_port(agent->snmp, 0));
	return rc;
}

static bool
feeds_agent(const struct conf_node *point)
{
	const struct conf_node *ref;

	conf_each (ref, point, "selectionProcess")
		if (conf_has(ref->target, "meterAgent"))
			return true;
	return false;
}

/* Managers may want to set their sampling before the first packet comes. */
static void
add_interfaces(const struct agent *agent, const struct conf *conf)
{
	const struct conf_node *point, *leaf;

	conf_each (point, conf_root(conf), "observationPoint") {
		if (!feeds_agent(point))
			continue;
		conf_each (leaf, point, "ifName")
			if (if_nametoindex(leaf->text))
				meter_interface_add(agent->meter,
						    if_nametoindex(leaf->text));
		conf_each (leaf, point, "ifIndex")
			meter_interface_add(agent->meter,
					    (uint32_t)leaf->number);
	}
}

int
agent_open(struct runtime *runtime, char **error)
{
	const struct conf_node *node =
		conf_child(conf_root(runtime->conf), "meterAgent");
	struct agent *agent;
	int rc;

	if (!node)
		return 0;
	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return -ENOMEM;
	runtime->agent = agent;
	agent->node = node;
	rc = open_meter(agent, error);
	if (rc == 0)
		add_interfaces(agent, runtime->conf);
	return rc < 0 ? rc : open_snmp(agent, runtime->base, error);
}

void
agent_close(struct agent *agent)
{
	if (!agent)
		return;
	metermib_agent_free(agent->snmp);
	meter_free(agent->meter);
	free(agent);
}

/* ---- the stage ----------------------------------------------------------- */

static bool
is_layer2(const struct conf_node *node)
{
	return conf_is(node, "octetLayer", "layer2");
}

int
build_agent(struct unit *unit, char **error)
{
	struct worker *worker = unit->worker;

	return meter_stage_new(
		conf_name(unit->node), worker->runtime->agent->meter,
		is_layer2(unit->node), worker->registry, &unit->stage);
}

int
agent_wants(const struct conf_node *node, struct unit *point,
	    int (*want)(void *arg, const struct ie *ie, uint16_t length))
{
	return meter_stage_wants(point->worker->registry, is_layer2(node), want,
				 point);
}

static void
tell_drops(struct meter *meter, const struct unit *point)
{
	for (unsigned i = 0; i < point->capture_count; i++) {
		struct capture *capture = point->capture[i];
		const char *interface = capture_interface(capture);
		uint64_t drops = capture_take_drops(capture);

		if (drops)
			meter_interface_lost(meter, if_nametoindex(interface),
					     (uint32_t)drops);
	}
}

/* The other workers may be capturing right now: see capture_take_drops. */
void
agent_tick(struct runtime *runtime)
{
	if (!runtime->agent)
		return;
	for (unsigned w = 0; w < runtime->worker_count; w++) {
		const struct worker *worker = &runtime->worker[w];

		for (unsigned i = 0; i < worker->unit_count; i++)
			if (worker->unit[i].kind == UNIT_OBSERVATION &&
			    feeds_agent(worker->unit[i].node))
				tell_drops(runtime->agent->meter,
					   &worker->unit[i]);
	}
}

void
agent_report(const struct agent *agent, struct report *report)
{
	const struct metermib_agent_counters *c =
		metermib_agent_counters(agent->snmp);

	report_uint(report, "objectsServed", c->objects);
	report_uint(report, "packagesServed", c->packages);
	report_uint(report, "requestsRefused", c->refused);
}
