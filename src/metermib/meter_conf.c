/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The configuration of a reader: defaults, what must fit together, a copy. */
#include <errno.h>
#include <stdlib.h>

#include "meter_oid.h"
#include "meter_rules.h"
#include "reader.h"

enum {
	STRINGS = 16, /* beside the names of rule sets */
	REPETITIONS_CONF_MAX = 10000,
	MESSAGE_MIN = 484, /* what every SNMP entity takes (RFC 3417) */
	MESSAGE_MAX = 65507,
	PASSPHRASE_MIN = 8, /* RFC 3414 section 11.2 */
};

void
meter_reader_conf_init(struct meter_reader_conf *conf)
{
	*conf = (struct meter_reader_conf){
		.port = 161,
		.version = METER_SNMP_V2C,
		.security_level = METER_AUTH_PRIV,
		.auth_protocol = METER_AUTH_SHA,
		.priv_protocol = METER_PRIV_AES,
		.interval = 60,
		.timeout = 1000,
		.retries = 3,
		.jitter = 10,
		.max_backoff = 600,
		.max_message_size = 1400,
		.owner = "conflux",
		.enterprise_number = 32473,
		.max_flows = 1048576,
		.manage = {
			.rule_set_name = "conflux",
			.high_water_mark = 65,
			.flood_mark = 95,
			.inactivity_timeout = 600,
			.keep_alive = 300,
		},
	};
}

static bool
secret_set(const struct meter_secret *secret)
{
	return secret->value || secret->file;
}

static bool
too_short(const struct meter_secret *secret)
{
	return secret->value && strlen(secret->value) < PASSPHRASE_MIN;
}

static const char *
check_v3(const struct meter_reader_conf *conf)
{
	if (!conf->user || !*conf->user)
		return "user: must be given for version v3";
	if (conf->security_level == METER_NO_AUTH_NO_PRIV)
		return NULL;
	if (!secret_set(&conf->auth_passphrase))
		return "authPassphrase: it or authPassphraseFile must be "
		       "given for this securityLevel";
	if (too_short(&conf->auth_passphrase))
		return "authPassphrase: must have at least 8 characters";
	if (conf->security_level == METER_AUTH_NO_PRIV)
		return NULL;
	if (!secret_set(&conf->priv_passphrase))
		return "privPassphrase: it or privPassphraseFile must be "
		       "given for securityLevel authPriv";
	if (too_short(&conf->priv_passphrase))
		return "privPassphrase: must have at least 8 characters";
	return NULL;
}

static const char *
check_numbers(const struct meter_reader_conf *conf)
{
	if (!conf->interval || conf->interval > 86400 * 7)
		return "interval: must be 1 to 604800 seconds";
	if (conf->timeout < 10 || conf->timeout > 600000)
		return "timeout: must be 10 to 600000 milliseconds";
	if (conf->retries > 20)
		return "retries: must be 0 to 20";
	if (conf->jitter > 100)
		return "jitter: must be 0 to 100 percent";
	if (conf->max_repetitions > REPETITIONS_CONF_MAX)
		return "maxRepetitions: must be 0 to 10000";
	if (conf->max_message_size < MESSAGE_MIN ||
	    conf->max_message_size > MESSAGE_MAX)
		return "maxMessageSize: must be 484 to 65507 octets";
	if (conf->reader_timeout && conf->reader_timeout <= conf->interval)
		return "readerTimeout: must be longer than interval";
	if (conf->manage.high_water_mark > 100)
		return "highWaterMark: must be 0 to 100 percent";
	if (conf->manage.flood_mark > 100)
		return "floodMark: must be 0 to 100 percent";
	if (!conf->max_flows)
		return "maxFlows: must be at least 1";
	if (!conf->enterprise_number || conf->enterprise_number ==
	    IE_PEN_REVERSE)
		return "enterpriseNumber: must be a number of an enterprise";
	return NULL;
}

const char *
meter_reader_conf_check(const struct meter_reader_conf *conf)
{
	const char *wrong = check_numbers(conf);
	struct addr addr;

	if (wrong)
		return wrong;
	if (!conf->address || addr_parse(&addr, conf->address, conf->port))
		return "address: must be an IPv4 or IPv6 address";
	if (!conf->port)
		return "port: must be 1 to 65535";
	if (!conf->owner || !*conf->owner ||
	    strlen(conf->owner) > NAME_MAX_OCTETS)
		return "owner: must have 1 to 127 octets";
	if (conf->manage.rule_set_file &&
	    (!conf->manage.rule_set_name || !*conf->manage.rule_set_name ||
	     strlen(conf->manage.rule_set_name) > METER_RULES_NAME_MAX))
		return "ruleSetName: must have 1 to 118 octets";
	if (conf->version == METER_SNMP_V3)
		return check_v3(conf);
	if (!secret_set(&conf->community))
		return "community: it or communityFile must be given for "
		       "versions v1 and v2c";
	return NULL;
}

static int
copy_string(struct meter_reader *reader, const char **string)
{
	char *copy;

	if (!*string)
		return 0;
	copy = strdup(*string);
	if (!copy)
		return -ENOMEM;
	reader->strings[reader->string_count++] = copy;
	*string = copy;
	return 0;
}

static int
copy_rule_sets(struct meter_reader *reader,
	       const struct meter_reader_conf *conf)
{
	const char **list;
	int err = 0;

	if (!conf->rule_set_count)
		return 0;
	list = calloc(conf->rule_set_count, sizeof(*list));
	if (!list)
		return -ENOMEM;
	reader->strings[reader->string_count++] = (char *)list;
	reader->conf.rule_set = list;
	for (unsigned i = 0; i < conf->rule_set_count && !err; i++) {
		list[i] = conf->rule_set[i];
		err = copy_string(reader, &list[i]);
	}
	return err;
}

static int
copy_extra(struct meter_reader *reader)
{
	unsigned count = reader->conf.extra_attribute_count;
	uint8_t *list;

	if (!count)
		return 0;
	list = malloc(count);
	if (!list)
		return -ENOMEM;
	memcpy(list, reader->conf.extra_attribute, count);
	reader->strings[reader->string_count++] = (char *)list;
	reader->conf.extra_attribute = list;
	return 0;
}

/* Secrets do not go into the copy: they are the session's. */
int
meter_conf_copy(struct meter_reader *reader,
		const struct meter_reader_conf *conf)
{
	static const struct meter_secret none;
	const char **string[] = {
		&reader->conf.name, &reader->conf.address, &reader->conf.user,
		&reader->conf.context_name, &reader->conf.context_engine_id,
		&reader->conf.owner, &reader->conf.state_file,
		&reader->conf.manage.rule_set_file,
		&reader->conf.manage.rule_set_name,
		&reader->conf.manage.standby_rule_set_file,
	};
	int err;

	reader->strings = calloc(STRINGS + conf->rule_set_count,
				 sizeof(*reader->strings));
	if (!reader->strings)
		return -ENOMEM;
	reader->conf = *conf;
	reader->conf.community = reader->conf.write_community = none;
	reader->conf.auth_passphrase = reader->conf.priv_passphrase = none;
	err = copy_rule_sets(reader, conf);
	if (!err)
		err = copy_extra(reader);
	for (unsigned i = 0; i < OID_COUNT(string) && !err; i++)
		err = copy_string(reader, string[i]);
	return err;
}

void
meter_conf_free(struct meter_reader *reader)
{
	for (unsigned i = 0; i < reader->string_count; i++)
		free(reader->strings[i]);
	free(reader->strings);
}

static int
parse_engine_id(const char *text, struct snmp_conf *out)
{
	size_t n = strlen(text);

	if (n % 2 || n > 2 * sizeof(out->context_engine_id))
		return -EINVAL;
	for (size_t i = 0; i < n / 2; i++) {
		unsigned octet;

		if (sscanf(text + 2 * i, "%2x", &octet) != 1)
			return -EINVAL;
		out->context_engine_id[i] = (uint8_t)octet;
	}
	out->context_engine_id_length = n / 2;
	return 0;
}

int
meter_conf_session(const struct meter_reader_conf *conf,
		   const struct addr *peer, struct snmp_conf *out)
{
	bool v3 = conf->version == METER_SNMP_V3;
	int err = 0;

	*out = (struct snmp_conf){
		.peer = *peer,
		.version = conf->version,
		.timeout = conf->timeout,
		.retries = conf->retries,
		.level = conf->security_level,
		.auth_protocol = conf->auth_protocol,
		.priv_protocol = conf->priv_protocol,
	};
	if (!v3) {
		err = secret_read(&conf->community, "community",
				  &out->community);
		if (!err)
			err = secret_read(&conf->write_community,
					  "writeCommunity",
					  &out->write_community);
		return err;
	}
	out->user = strdup(conf->user);
	out->context_name = strdup(conf->context_name ? conf->context_name :
							"");
	if (!out->user || !out->context_name)
		return -ENOMEM;
	if (conf->context_engine_id)
		err = parse_engine_id(conf->context_engine_id, out);
	if (!err && conf->security_level != METER_NO_AUTH_NO_PRIV)
		err = secret_read(&conf->auth_passphrase, "authPassphrase",
				  &out->auth_passphrase);
	if (!err && conf->security_level == METER_AUTH_PRIV)
		err = secret_read(&conf->priv_passphrase, "privPassphrase",
				  &out->priv_passphrase);
	return err;
}
