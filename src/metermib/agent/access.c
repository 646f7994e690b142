/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what with a stand-alone agent. Net-SNMP asks by a callback before
 * each request; its own answer to it, VACM, needs a configuration file, and a
 * meter has one view: all or nothing, read or read and write. So we answer the
 * callback ourselves. USM users are Net-SNMP's; that a user of privacy does not
 * come without it is checked here.
 *
 * No community, name or passphrase is ever logged.
 */
#include "snmp.h"

#include <errno.h>
#include <net-snmp/agent/agent_callbacks.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"

enum {
	PASSPHRASE_MIN = 8, /* RFC 3414 section 11.2 */
	USER_LINE_SIZE = 1024,
};

static const int question[] = {SNMPD_CALLBACK_ACM_CHECK,
			       SNMPD_CALLBACK_ACM_CHECK_INITIAL,
			       SNMPD_CALLBACK_ACM_CHECK_SUBTREE};

enum { QUESTIONS = sizeof(question) / sizeof(question[0]) };

/* Takes as long whatever the difference is. */
static bool
same_secret(const char *secret, const void *given, size_t length)
{
	size_t want = secret ? strlen(secret) : 0;
	const uint8_t *p = given;
	unsigned different = want != length;

	for (size_t i = 0; i < want && i < length; i++)
		different |= (unsigned)((uint8_t)secret[i] ^ p[i]);
	return secret && !different;
}

static int
check_community(const struct access *access, const netsnmp_pdu *pdu)
{
	bool write = same_secret(access->write_community, pdu->community,
				 pdu->community_len);
	bool read = same_secret(access->read_community, pdu->community,
				pdu->community_len);

	if (!read && !write)
		return VACM_NOSECNAME;
	return pdu->command == SNMP_MSG_SET && !write ? VACM_NOTINVIEW
						      : VACM_SUCCESS;
}

static int
check_user(const struct access *access, const netsnmp_pdu *pdu)
{
	for (size_t i = 0; i < access->users; i++) {
		const struct access_user *user = &access->user[i];

		if (strlen(user->name) != pdu->securityNameLen ||
		    memcmp(user->name, pdu->securityName,
			   pdu->securityNameLen) != 0)
			continue;
		if (pdu->securityLevel < user->level)
			return VACM_NOACCESS;
		return pdu->command == SNMP_MSG_SET && !user->write
			       ? VACM_NOTINVIEW
			       : VACM_SUCCESS;
	}
	return VACM_NOSECNAME;
}

/* A callback of Net-SNMP; the answer goes into its argument. */
static int
check_access_cb(int major, int minor, void *server, void *client)
{
	struct view_parameters *view = server;
	struct access *access = client;
	const netsnmp_pdu *pdu = view->pdu;
	uint32_t held;

	view->errorcode = pdu->version == SNMP_VERSION_3
				  ? check_user(access, pdu)
				  : check_community(access, pdu);
	/*
	 * The first question has no name and a refusal means silence; who may
	 * read but not write is told so, object by object (noAccess).
	 */
	if (view->errorcode == VACM_NOTINVIEW && !view->name)
		view->errorcode = VACM_SUCCESS;
	if (view->errorcode == VACM_SUCCESS)
		return 0;
	access->refused++;
	if (log_limit_pass(&access->limit, clock_mono_ms(), &held))
		log_warning("agent: a request of SNMP%s was refused (%u more "
			    "before): %s",
			    pdu->version == SNMP_VERSION_3 ? "v3" : "v1 or v2c",
			    held,
			    view->errorcode == VACM_NOTINVIEW
				    ? "it may not write"
				    : "community, user or security level");
	return 0;
}

static int
copy_user(struct access_user *to, const struct metermib_user *from)
{
	if (!from->name || !*from->name || (from->priv && !from->auth))
		return -EINVAL;
	if (from->auth &&
	    (!from->auth_pass || strlen(from->auth_pass) < PASSPHRASE_MIN))
		return -EINVAL;
	if (from->priv &&
	    (!from->priv_pass || strlen(from->priv_pass) < PASSPHRASE_MIN))
		return -EINVAL;
	to->name = strdup(from->name);
	to->write = from->write;
	to->level = from->priv	 ? SNMP_SEC_LEVEL_AUTHPRIV
		    : from->auth ? SNMP_SEC_LEVEL_AUTHNOPRIV
				 : SNMP_SEC_LEVEL_NOAUTH;
	return to->name ? 0 : -ENOMEM;
}

int
access_init(struct access *access, const struct metermib_agent_config *config,
	    const struct metermib_user *user, size_t users)
{
	int err;

	*access = (struct access){.users = 0};
	if (config->read_community)
		access->read_community = strdup(config->read_community);
	if (config->write_community)
		access->write_community = strdup(config->write_community);
	access->user = calloc(users + 1, sizeof(*access->user));
	if (!access->user ||
	    !access->read_community != !config->read_community ||
	    !access->write_community != !config->write_community)
		return -ENOMEM;
	for (; access->users < users; access->users++) {
		err = copy_user(&access->user[access->users],
				&user[access->users]);
		if (err)
			return err;
	}
	for (unsigned i = 0; i < QUESTIONS; i++)
		if (snmp_register_callback(SNMP_CALLBACK_APPLICATION,
					   question[i], check_access_cb,
					   access) != SNMPERR_SUCCESS)
			return -ENOMEM;
	return 0;
}

static void
forget(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void
access_fini(struct access *access)
{
	/* What is still registered at its end, Net-SNMP frees. */
	for (unsigned i = 0; i < QUESTIONS; i++)
		snmp_unregister_callback(SNMP_CALLBACK_APPLICATION, question[i],
					 check_access_cb, access, 1);
	forget(access->read_community);
	forget(access->write_community);
	for (size_t i = 0; i < access->users; i++)
		free(access->user[i].name);
	free(access->user);
	*access = (struct access){.users = 0};
}

/* Adds ' "text"' to a line as Net-SNMP's configuration parser reads it. */
static bool
add_word(char *line, const char *text)
{
	size_t at = strlen(line);

	if (at + 2 * strlen(text) + 4 > USER_LINE_SIZE)
		return false;
	line[at++] = ' ';
	line[at++] = '"';
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			line[at++] = '\\';
		line[at++] = *text;
	}
	line[at++] = '"';
	line[at] = '\0';
	return true;
}

static int
create_user(const struct metermib_user *user)
{
	char line[USER_LINE_SIZE] = "";
	bool fits = add_word(line, user->name);
	size_t engine_length = 0;
	u_char *engine;
	bool there;

	if (user->auth)
		fits = fits && add_word(line, user->auth) &&
		       add_word(line, user->auth_pass);
	if (user->priv)
		fits = fits && add_word(line, user->priv) &&
		       add_word(line, user->priv_pass);
	/* The first blank is not part of it. */
	if (fits)
		usm_parse_create_usmUser("createUser", line + 1);
	explicit_bzero(line, sizeof(line));
	engine = snmpv3_generate_engineID(&engine_length);
	there = engine && usm_get_user(engine, engine_length,
				       (char *)(uintptr_t)user->name);
	free(engine);
	return there ? 0 : -EINVAL;
}

int
access_create_users(const struct metermib_user *user, size_t users)
{
	int err = 0;

	for (size_t i = 0; i < users && !err; i++)
		err = create_user(&user[i]);
	return err;
}
