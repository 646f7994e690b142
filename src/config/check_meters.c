/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Checks of meter readers: credentials that fit, times that fit. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/table.h"
#include "tree.h"

/* Of a user of SNMP v3. */
static bool
has_auth(const struct conf_node *user)
{
	return conf_has(user, "authPassphrase") ||
	       conf_has(user, "authPassphraseFile");
}

static bool
has_priv(const struct conf_node *user)
{
	return conf_has(user, "privPassphrase") ||
	       conf_has(user, "privPassphraseFile");
}

/* Two hexadecimal digits for each octet. */
static bool
is_octet_string(const char *text)
{
	size_t length = strlen(text);

	return strspn(text, "0123456789abcdefABCDEF") == length &&
	       length % 2 == 0;
}

static void
check_community(const struct conf_node *meter, struct conf_errors *errors)
{
	const struct conf_node *v3 = conf_child(meter, "v3");
	const char *version = conf_text(meter, "version");

	if (v3)
		conf_error(errors, v3->line, "cx:v3",
			   "cx:version is %s, expected cx:version v3 or no "
			   "cx:v3",
			   version);
	if (!conf_has(meter, "community") && !conf_has(meter, "communityFile"))
		conf_error(errors, meter->line, "cx:meterReader",
			   "SNMP %s needs a community string, expected "
			   "cx:community or cx:communityFile",
			   version);
}

static void
check_level(const struct conf_node *v3, struct conf_errors *errors)
{
	const char *level = conf_text(v3, "securityLevel");

	if (!level)
		return;
	if (strcmp(level, "noAuthNoPriv") != 0 && !has_auth(v3))
		conf_error(errors, v3->line, "cx:v3",
			   "%s needs a passphrase for authentication, expected "
			   "cx:authPassphrase or cx:authPassphraseFile",
			   level);
	if (strcmp(level, "authPriv") == 0 && !has_priv(v3))
		conf_error(errors, v3->line, "cx:v3",
			   "authPriv needs a passphrase for encryption, "
			   "expected cx:privPassphrase or "
			   "cx:privPassphraseFile");
}

static void
check_context(const struct conf_node *v3, struct conf_errors *errors)
{
	const struct conf_node *id = conf_child(v3, "contextEngineId");
	char quote[CONF_QUOTE_SIZE];

	if (id && id->text && !is_octet_string(id->text))
		conf_error(errors, id->line, "cx:contextEngineId",
			   "%s is no octet string, expected 10 to 64 "
			   "hexadecimal digits, two for each octet",
			   conf_quote(id->text, quote));
}

static void
check_v3(const struct conf_node *meter, struct conf_errors *errors)
{
	static const char *const fields[] = {"community", "communityFile",
					     "writeCommunity",
					     "writeCommunityFile"};
	const struct conf_node *v3 = conf_child(meter, "v3"), *leaf;
	char shown[CONF_SHOWN_SIZE];

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		leaf = conf_child(meter, fields[i]);
		if (leaf)
			conf_error(errors, leaf->line,
				   conf_row_shown(leaf->row, shown),
				   "SNMP v3 has no community strings, expected "
				   "cx:v3 alone");
	}
	if (!v3) {
		conf_error(errors, meter->line, "cx:meterReader",
			   "SNMP v3 needs a user, expected cx:v3");
		return;
	}
	check_level(v3, errors);
	check_context(v3, errors);
}

static void
check_times(const struct conf_node *meter, struct conf_errors *errors)
{
	uint64_t interval = conf_uint(meter, "interval", 0);
	uint64_t tries = conf_uint(meter, "retries", 0) + 1;
	uint64_t timeout = conf_uint(meter, "timeout", 0);
	const struct conf_node *reader = conf_child(meter, "readerTimeout");

	if (reader && reader->number && reader->number <= interval)
		conf_error(errors, reader->line, "cx:readerTimeout",
			   "the meter would forget the reader between passes, "
			   "expected seconds above cx:interval (%u), or 0",
			   (unsigned)interval);
	if (interval && timeout * tries > interval * 1000)
		conf_warning(errors, meter->line, "cx:meterReader",
			     "one lost request takes %u ms, longer than "
			     "cx:interval, expected a shorter cx:timeout or "
			     "fewer cx:retries",
			     (unsigned)(timeout * tries));
}

/* A reader that has the name of another destroys its rows in the meter. */
static bool
same_owner(const void *item, const void *key)
{
	const struct conf_node *a = item, *b = key;

	return addr_equal_host(conf_addr(a, "address"),
			       conf_addr(b, "address")) &&
	       conf_uint(a, "port", 0) == conf_uint(b, "port", 0) &&
	       strcmp(conf_text(a, "owner"), conf_text(b, "owner")) == 0;
}

static int
check_owner(struct conf_node *meter, struct table *readers,
	    struct conf_errors *errors)
{
	const struct addr *address = conf_addr(meter, "address");
	const char *owner = conf_text(meter, "owner");
	const struct conf_node *other;
	uint32_t hash;

	if (!address || !owner)
		return 0;
	hash = addr_hash(address, strlen(owner));
	other = table_find(readers, hash, same_owner, meter);
	if (!other)
		return table_add(readers, hash, meter);
	conf_error(errors, meter->line, "cx:meterReader",
		   "the reader in line %u has the same meter and "
		   "cx:owner, expected another cx:owner",
		   other->line);
	return 0;
}

static void
check_rule_sets(const struct conf_node *meter, struct conf_errors *errors)
{
	const struct conf_node *set;

	conf_each (set, meter, "ruleSet") {
		const char *text = set->text;

		if (!text || text[strspn(text, "0123456789")])
			continue;
		if (strlen(text) > 3 || strtol(text, NULL, 10) < 1 ||
		    strtol(text, NULL, 10) > 255)
			conf_error(errors, set->line, "cx:ruleSet",
				   "\"%.20s\" is out of range, expected a "
				   "number from 1 to 255 or a name",
				   text);
	}
}

static void
check_manage(const struct conf_node *meter, struct conf_errors *errors)
{
	const struct conf_node *manage = conf_child(meter, "manage");
	const struct conf_node *high, *flood;

	if (!manage)
		return;
	high = conf_child(manage, "highWaterMark");
	flood = conf_child(manage, "floodMark");
	if (high && flood && high->number % 100 && flood->number % 100 &&
	    high->number > flood->number)
		conf_error(errors, high->defaulted ? flood->line : high->line,
			   "cx:highWaterMark",
			   "%s percent is above cx:floodMark (%s), expected at "
			   "most that",
			   high->text, flood->text);
}

static void
check_enterprise(const struct conf_node *meter, struct conf_errors *errors)
{
	const struct conf_node *pen = conf_child(meter, "enterpriseNumber");

	if (pen && pen->text && pen->number == CONF_PEN_REVERSE)
		conf_error(errors, pen->line, "cx:enterpriseNumber",
			   "29305 is for reverse elements (RFC 5103), expected "
			   "the number of an enterprise");
}

static void
check_meter(const struct conf_node *meter, struct conf_errors *errors)
{
	if (conf_is(meter, "version", "v3"))
		check_v3(meter, errors);
	else if (conf_text(meter, "version"))
		check_community(meter, errors);
	check_times(meter, errors);
	check_rule_sets(meter, errors);
	check_manage(meter, errors);
	check_enterprise(meter, errors);
}

/* ---- agents -------------------------------------------------------------- */

static void
check_user(const struct conf_node *user, struct conf_errors *errors)
{
	if (has_priv(user) && !has_auth(user))
		conf_error(errors, user->line, "cx:user",
			   "SNMP v3 does not encrypt without authentication, "
			   "expected cx:authPassphrase or "
			   "cx:authPassphraseFile, too");
}

static void
check_access(const struct conf_node *agent, struct conf_errors *errors)
{
	static const char *const own[] = {
		"listenAddress",  "community",		"communityFile",
		"writeCommunity", "writeCommunityFile", "user",
		"engineId"};
	const struct conf_node *user, *leaf;
	char shown[CONF_SHOWN_SIZE];
	bool any = false;

	conf_each (user, agent, "user")
		check_user(user, errors);
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
		leaf = conf_child(agent, own[i]);
		any |= leaf && i > 0 && i < 6;
		if (leaf && conf_has(agent, "agentX"))
			conf_error(errors, leaf->line,
				   conf_row_shown(leaf->row, shown),
				   "with cx:agentX the master listens and "
				   "knows who may ask, expected one or the "
				   "other");
	}
	if (!any && !conf_has(agent, "agentX"))
		conf_error(errors, agent->line, "cx:meterAgent",
			   "nobody could read it, expected cx:community, "
			   "cx:writeCommunity, cx:user or cx:agentX");
}

static void
check_agents(const struct conf *conf, struct conf_errors *errors)
{
	const struct conf_node *agent, *first = NULL, *id;

	conf_each (agent, conf->root, "meterAgent") {
		if (first)
			conf_error(errors, agent->line, "cx:meterAgent",
				   "there is one in line %u, expected one at "
				   "most",
				   first->line);
		else
			first = agent;
		check_access(agent, errors);
		id = conf_child(agent, "engineId");
		if (id && id->text && !is_octet_string(id->text))
			conf_error(errors, id->line, "cx:engineId",
				   "it is no octet string, expected 10 to 64 "
				   "hexadecimal digits, two for each octet");
	}
}

int
conf_check_meters(const struct conf *conf, struct conf_errors *errors)
{
	const struct conf_node *process;
	struct table readers = {0};
	struct conf_node *node;
	int ret = 0;

	check_agents(conf, errors);
	conf_each (process, conf->root, "collectingProcess") {
		for (node = process->first; node; node = node->next) {
			if (strcmp(node->name, "meterReader") != 0)
				continue;
			check_meter(node, errors);
			if (check_owner(node, &readers, errors))
				ret = -ENOMEM;
		}
	}
	table_fini(&readers);
	return ret;
}
