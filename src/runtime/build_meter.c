/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Meter readers of the configuration. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/log.h"
#include "conflux/meter_reader.h"
#include "conflux/net.h"
#include "runtime.h"

/* Texts of the configuration in the order of their enumerations. */
static const char *const version_name[] = {"v1", "v2c", "v3", NULL};
static const char *const level_name[] = {"noAuthNoPriv", "authNoPriv",
					 "authPriv", NULL};
static const char *const auth_name[] = {"MD5",     "SHA",     "SHA-224",
					"SHA-256", "SHA-384", "SHA-512",
					NULL};
static const char *const priv_name[] = {"DES", "AES", "AES-192", "AES-256",
					NULL};
static const char *const mib_name[] = {"auto", "rfc2720", "rfc2064", NULL};
static const char *const layer_name[] = {"layer2", "ip", NULL};
static const char *const direction_name[] = {"biflow", "uniflow", NULL};
static const char *const counters_name[] = {"delta", "total", NULL};
static const char *const first_name[] = {"baseline", "count", NULL};
static const char *const access_name[] = {"auto", "packages", "columns",
					  NULL};

/* Its place in the list, or preset if it isn't given. */
static unsigned
choice(const struct conf_node *node, const char *name,
       const char *const *list, unsigned preset)
{
	const char *text = conf_text(node, name);

	for (unsigned i = 0; text && list[i]; i++)
		if (strcmp(list[i], text) == 0)
			return i;
	return preset;
}

static uint32_t
number(const struct conf_node *node, const char *name, uint32_t preset)
{
	return (uint32_t)conf_uint(node, name, preset);
}

static void
text(const char **to, const struct conf_node *node, const char *name)
{
	const char *given = conf_text(node, name);

	if (given)
		*to = given;
}

static void
secret(struct meter_secret *to, const struct conf_node *node,
       const char *value, const char *file)
{
	to->value = conf_text(node, value);
	to->file = conf_path(node, file);
}

static void
fill_v3(struct meter_reader_conf *c, const struct conf_node *v3)
{
	if (!v3)
		return;
	c->user = conf_text(v3, "user");
	c->security_level = (enum meter_security_level)choice(
		v3, "securityLevel", level_name, c->security_level);
	c->auth_protocol = (enum meter_auth_protocol)choice(
		v3, "authProtocol", auth_name, c->auth_protocol);
	c->priv_protocol = (enum meter_priv_protocol)choice(
		v3, "privProtocol", priv_name, c->priv_protocol);
	secret(&c->auth_passphrase, v3, "authPassphrase",
	       "authPassphraseFile");
	secret(&c->priv_passphrase, v3, "privPassphrase",
	       "privPassphraseFile");
	text(&c->context_name, v3, "contextName");
	text(&c->context_engine_id, v3, "contextEngineId");
}

static void
fill_manage(struct meter_manage_conf *m, const struct conf_node *node)
{
	if (!node)
		return;
	m->rule_set_file = conf_path(node, "ruleSetFile");
	text(&m->rule_set_name, node, "ruleSetName");
	m->standby_rule_set_file = conf_path(node, "standbyRuleSetFile");
	m->high_water_mark =
		(uint8_t)number(node, "highWaterMark", m->high_water_mark);
	m->flood_mark = (uint8_t)number(node, "floodMark", m->flood_mark);
	m->inactivity_timeout =
		number(node, "inactivityTimeout", m->inactivity_timeout);
	m->keep_alive = number(node, "keepAlive", m->keep_alive);
	m->stop_on_exit = conf_bool(node, "stopOnExit");
}

static void
fill_numbers(struct meter_reader_conf *c, const struct conf_node *node)
{
	c->port = (uint16_t)number(node, "port", c->port);
	c->interval = number(node, "interval", c->interval);
	c->timeout = number(node, "timeout", c->timeout);
	c->retries = number(node, "retries", c->retries);
	c->jitter = number(node, "jitter", c->jitter);
	c->max_backoff = number(node, "maxBackoff", c->max_backoff);
	c->max_repetitions =
		number(node, "maxRepetitions", c->max_repetitions);
	c->max_message_size =
		number(node, "maxMessageSize", c->max_message_size);
	c->reader_timeout = number(node, "readerTimeout", c->reader_timeout);
	c->observation_domain_id =
		number(node, "observationDomainId", c->observation_domain_id);
	c->enterprise_number =
		number(node, "enterpriseNumber", c->enterprise_number);
	c->max_flows = number(node, "maxFlows", c->max_flows);
}

static void
fill_choices(struct meter_reader_conf *c, const struct conf_node *node)
{
	c->version = (enum meter_snmp_version)choice(
		node, "version", version_name, c->version);
	c->mib = (enum meter_mib)choice(node, "mib", mib_name, c->mib);
	c->access = (enum meter_access)choice(node, "access", access_name,
					      c->access);
	c->octet_layer = (enum meter_octet_layer)choice(
		node, "octetLayer", layer_name, c->octet_layer);
	c->direction = (enum meter_direction)choice(
		node, "direction", direction_name, c->direction);
	c->counters = (enum meter_counters)choice(node, "counters",
						  counters_name, c->counters);
	c->first_pass = (enum meter_first_pass)choice(
		node, "firstPass", first_name, c->first_pass);
}

static int
fill_lists(struct meter_reader_conf *c, const struct conf_node *node,
	   struct meter_lists *lists)
{
	const struct conf_node *leaf;

	lists->rule_set = calloc(conf_count(node, "ruleSet") + 1,
				 sizeof(*lists->rule_set));
	lists->attribute = calloc(conf_count(node, "extraAttribute") + 1,
				  sizeof(*lists->attribute));
	if (!lists->rule_set || !lists->attribute)
		return -ENOMEM;
	conf_each (leaf, node, "ruleSet")
		lists->rule_set[c->rule_set_count++] = leaf->text;
	conf_each (leaf, node, "extraAttribute")
		lists->attribute[c->extra_attribute_count++] =
			(uint8_t)leaf->number;
	c->rule_set = lists->rule_set;
	c->extra_attribute = lists->attribute;
	return 0;
}

int
meter_conf_of(const struct conf_node *node, struct meter_reader_conf *conf,
	      struct meter_lists *lists)
{
	*lists = (struct meter_lists){0};
	meter_reader_conf_init(conf);
	conf->name = conf_name(node);
	conf->address = conf_text(node, "address");
	text(&conf->owner, node, "owner");
	conf->state_file = conf_path(node, "stateFile");
	secret(&conf->community, node, "community", "communityFile");
	secret(&conf->write_community, node, "writeCommunity",
	       "writeCommunityFile");
	fill_numbers(conf, node);
	fill_choices(conf, node);
	fill_v3(conf, conf_child(node, "v3"));
	fill_manage(&conf->manage, conf_child(node, "manage"));
	return fill_lists(conf, node, lists);
}

void
meter_lists_fini(struct meter_lists *lists)
{
	free(lists->rule_set);
	free(lists->attribute);
}

/*
 * What an answer may have unless the configuration says it: more rows in it
 * make fewer round trips, but fragments get lost. Up to an Ethernet packet a
 * little is left for tunnels on the way.
 */
static uint32_t
message_size(const struct conf_node *node, uint32_t preset)
{
	enum { ETHERNET = 1500, MOST = 8192 };
	const struct addr *address = conf_addr(node, "address");
	struct net_out_conf path = {.transport = TRANSPORT_UDP};
	uint32_t octets;

	if (!address || conf_has(node, "maxMessageSize"))
		return preset;
	path.remote = *address;
	path.remote.port = (uint16_t)conf_uint(node, "port", 0);
	octets = net_path_octets(&path);
	if (octets <= ETHERNET)
		return preset;
	return octets < MOST ? octets : MOST;
}

static int
start_engine(struct runtime *runtime)
{
	int rc;

	if (runtime->meters)
		return 0;
	rc = meter_engine_new(runtime->base, &runtime->meters);
	if (rc == 0 && runtime->agent)
		meter_engine_share(runtime->meters);
	return rc;
}

int
build_meter(struct unit *unit, char **error)
{
	struct worker *worker = unit->worker;
	struct meter_reader_conf conf;
	struct meter_lists lists;
	const char *fault = NULL;
	int rc = meter_conf_of(unit->node, &conf, &lists);

	if (rc == 0)
		fault = meter_reader_conf_check(&conf);
	if (rc == 0 && fault)
		rc = build_error(error, -EINVAL, unit->node, "%s", fault);
	conf.max_message_size =
		message_size(unit->node, conf.max_message_size);
	if (rc == 0)
		rc = start_engine(worker->runtime);
	if (rc == 0) {
		rc = meter_reader_new(worker->runtime->meters, &conf,
				      worker->registry, worker->shapes,
				      &unit->stage);
		if (rc < 0 && rc != -ENOMEM)
			build_error(error, rc, unit->node, "%s",
				    strerror(-rc));
	}
	if (rc == 0)
		log_notice("reading meter: %s/%s: snmp %s port %u, every %u s",
			   conf_name(unit->node->parent), conf.name,
			   conf.address, conf.port, conf.interval);
	meter_lists_fini(&lists);
	return rc;
}
