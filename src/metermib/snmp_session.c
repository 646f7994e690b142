/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Net-SNMP's single-session API on libevent. What the library does and what we
 * therefore do:
 *
 * - Callbacks come from the depth of its lists: ours only note the outcome (and
 *   take the variables out of the PDU); the answer is handed on when the
 *   library has returned, so that whoever gets it may send or close.
 * - A REPORT calls back twice, a repetition once more (op 6), a failed send
 *   maybe: the first outcome of a request counts, a REPORT before any other.
 * - With SNMPv3 the first send would block until the engine ID is known.
 *   SNMP_FLAGS_DONT_PROBE prevents that; we send the empty request that
 *   RFC 3414 section 4 describes as the first of our own, and make the user
 *   from its REPORT.
 * - Engine ID, engine times and users stay in the library's globals when a
 *   session is closed: on a drop we take ours out, because a meter that was
 *   replaced or lost its boot counter would never be understood again.
 * - What we say we can receive (msgMaxSize) stays at 65507 octets: an agent of
 *   Net-SNMP 5.9.3 whose GETBULK answer is larger cuts variables off in a loop
 *   that need not end, or signs what it cut wrongly. Answers are kept small by
 *   asking for less.
 * - Sockets are not connected and v1 and v2c answers are told by their request
 *   id alone: answers from another address are left aside.
 */
#include "snmp_session.h"

#include <errno.h>
#include <event2/event.h>
#include <net-snmp/library/large_fd_set.h>
#include <net-snmp/library/lcd_time.h>
#include <net-snmp/library/snmp_transport.h>
#include <net-snmp/library/snmpusm.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflux/clock.h"
#include "conflux/log.h"

struct meter_session {
	struct meter_engine *engine;
	struct snmp_conf conf;

	void *handle; /* of the library; NULL: closed */
	struct event *readable;
	struct event *timer;
	uint64_t deadline_ms; /* when the library wants to be called */
	unsigned stuck;	      /* calls that brought nothing */
	bool closing;
	bool user_made; /* v3: engine ID known, user in the library's list */

	/* The request: held while the engine is being discovered. */
	netsnmp_pdu *held;
	unsigned flags;
	snmp_done done;
	void *arg;
	bool probing;

	bool decided; /* reply is the outcome */
	struct snmp_reply reply;
	uint64_t strangers;
};

void
snmp_conf_fini(struct snmp_conf *conf)
{
	secret_free(conf->community);
	secret_free(conf->write_community);
	secret_free(conf->auth_passphrase);
	secret_free(conf->priv_passphrase);
	free(conf->user);
	free(conf->context_name);
	memset(conf, 0, sizeof(*conf));
}

static void
decide(struct meter_session *session, enum snmp_result result,
       const char *reason)
{
	if (session->decided)
		return;
	session->decided = true;
	session->reply.result = result;
	session->reply.reason = reason;
	session->reply.received_ms = clock_wall_ms();
}

static const char *
report_reason(int type)
{
	switch (type) {
	case SNMPERR_UNKNOWN_ENG_ID:
		return "the meter has another SNMP engine ID";
	case SNMPERR_UNKNOWN_USER_NAME:
		return "the meter does not know the user";
	case SNMPERR_UNSUPPORTED_SEC_LEVEL:
		return "the meter does not allow the security level";
	case SNMPERR_AUTHENTICATION_FAILURE:
		return "the meter refuses the authentication";
	case SNMPERR_NOT_IN_TIME_WINDOW:
		return "the SNMP engine times do not agree";
	case SNMPERR_DECRYPTION_ERR:
		return "the meter cannot decrypt";
	default:
		return "the meter sent a REPORT";
	}
}

static bool
from_peer(struct meter_session *session, const netsnmp_pdu *pdu)
{
	struct addr from;

	if (!pdu->transport_data ||
	    (size_t)pdu->transport_data_length < sizeof(struct sockaddr_in) ||
	    addr_from_sockaddr(&from, pdu->transport_data))
		return true; /* nothing to compare with */
	if (from.port == session->conf.peer.port &&
	    from.version == session->conf.peer.version &&
	    memcmp(from.bytes, session->conf.peer.bytes,
		   sizeof(from.bytes)) == 0)
		return true;
	session->strangers++;
	return false;
}

/* 1: the request is done with; 0: go on waiting. */
static int
take_message(struct meter_session *session, netsnmp_pdu *pdu)
{
	struct snmp_reply *reply = &session->reply;
	int type;

	if (!from_peer(session, pdu))
		return 0;
	if (pdu->command == SNMP_MSG_REPORT) {
		type = snmpv3_get_report_type(pdu);
		/* The library asks again with the right time. */
		if (type != SNMPERR_NOT_IN_TIME_WINDOW)
			decide(session, SNMP_REFUSED, report_reason(type));
		return 1;
	}
	if (pdu->command != SNMP_MSG_RESPONSE)
		return 0;
	decide(session, SNMP_REPLY, NULL);
	reply->error = pdu->errstat;
	reply->error_index = pdu->errindex;
	reply->variables = pdu->variables;
	pdu->variables = NULL;
	return 1;
}

static int
library_callback(int op, netsnmp_session *sp, int reqid, netsnmp_pdu *pdu,
		 void *magic)
{
	struct meter_session *session = magic;

	if (session->closing)
		return 1;
	switch (op) {
	case NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE:
		return take_message(session, pdu);
	case NETSNMP_CALLBACK_OP_TIMED_OUT:
		decide(session, SNMP_TIMEOUT, "no answer");
		return 1;
	case NETSNMP_CALLBACK_OP_SEND_FAILED:
		decide(session, SNMP_UNSENT, "the request cannot be sent");
		return 1;
	case NETSNMP_CALLBACK_OP_RESEND:
		session->reply.repeats++;
		session->reply.sent_ms = clock_wall_ms();
		return 1;
	default:
		/* A security error: a REPORT follows, or the send says so. */
		return 1;
	}
}

static void
arm_timer(struct meter_session *session, uint64_t after_ms)
{
	struct timeval tv = {(time_t)(after_ms / 1000),
			     (suseconds_t)(after_ms % 1000 * 1000)};

	evtimer_add(session->timer, &tv);
}

static void
user_remove(struct meter_session *session)
{
	netsnmp_session *sp = snmp_sess_session(session->handle);
	struct usmUser *user;

	if (!sp || !sp->securityEngineIDLen)
		return;
	user = usm_get_user(sp->securityEngineID, sp->securityEngineIDLen,
			    session->conf.user);
	if (user) {
		usm_remove_user(user);
		usm_free_user(user);
	}
}

static void
library_close(struct meter_session *session)
{
	netsnmp_session *sp;

	if (!session->handle)
		return;
	if (session->conf.version == METER_SNMP_V3) {
		sp = snmp_sess_session(session->handle);
		if (sp && sp->securityEngineIDLen)
			free_enginetime(sp->securityEngineID,
					sp->securityEngineIDLen);
		user_remove(session);
	}
	if (session->readable)
		event_free(session->readable);
	session->readable = NULL;
	session->closing = true;
	snmp_sess_close(session->handle);
	session->closing = false;
	session->handle = NULL;
	session->user_made = false;
}

static void engine_known(struct meter_session *session);

/* Hands the outcome on, from outside the library. */
static void
dispatch(struct meter_session *session)
{
	netsnmp_variable_list *variables = session->reply.variables;
	struct snmp_reply reply = session->reply;
	snmp_done done = session->done;

	session->decided = false;
	session->reply.variables = NULL;
	if (session->probing) {
		session->probing = false;
		snmp_free_varbind(variables);
		if (snmp_sess_session(session->handle)->securityEngineIDLen) {
			engine_known(session);
			return;
		}
		snmp_free_pdu(session->held);
		session->held = NULL;
	}
	session->done = NULL;
	if (done)
		done(session->arg, &reply);
	snmp_free_varbind(variables);
}

/* After every call into the library that may have called back. */
static void
library_left(struct meter_session *session)
{
	if (session->decided)
		dispatch(session);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct meter_session *session = arg;
	netsnmp_large_fd_set set;

	if (!meter_engine_turn(session->engine))
		return;
	netsnmp_large_fd_set_init(&set, FD_SETSIZE);
	NETSNMP_LARGE_FD_SET(fd, &set);
	snmp_sess_read2(session->handle, &set);
	netsnmp_large_fd_set_cleanup(&set);
	library_left(session);
}

/*
 * One timer, set anew only when it fires: between a request and the next the
 * deadline moves on without touching the event.
 */
static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct meter_session *session = arg;
	uint64_t now = clock_mono_ms();
	unsigned repeats = session->reply.repeats;

	if (session->decided) {
		dispatch(session);
		return;
	}
	if (!session->done || !session->handle)
		return;
	if (now < session->deadline_ms) {
		arm_timer(session, session->deadline_ms - now);
		return;
	}
	snmp_sess_timeout(session->handle);
	session->stuck = repeats == session->reply.repeats ?
		session->stuck + 1 : 0;
	/* A request that the library gave up without a word. */
	if (!session->decided && session->stuck > 2)
		decide(session, SNMP_REFUSED, report_reason(
			SNMPERR_NOT_IN_TIME_WINDOW));
	session->deadline_ms = now + session->conf.timeout + 1;
	if (!session->decided)
		arm_timer(session, session->conf.timeout + 1);
	library_left(session);
}

struct protocol {
	oid *name;
	size_t length;
};

static struct protocol
auth_protocol(enum meter_auth_protocol protocol)
{
	static const struct protocol table[] = {
		[METER_AUTH_MD5] = {usmHMACMD5AuthProtocol, 10},
		[METER_AUTH_SHA] = {usmHMACSHA1AuthProtocol, 10},
		[METER_AUTH_SHA224] = {usmHMAC128SHA224AuthProtocol, 10},
		[METER_AUTH_SHA256] = {usmHMAC192SHA256AuthProtocol, 10},
		[METER_AUTH_SHA384] = {usmHMAC256SHA384AuthProtocol, 10},
		[METER_AUTH_SHA512] = {usmHMAC384SHA512AuthProtocol, 10},
	};

	return table[protocol];
}

static struct protocol
priv_protocol(enum meter_priv_protocol protocol)
{
	static const struct protocol table[] = {
		[METER_PRIV_DES] = {usmDESPrivProtocol, 10},
		[METER_PRIV_AES] = {usmAESPrivProtocol, 10},
		[METER_PRIV_AES192] = {usmAES192PrivProtocol, 9},
		[METER_PRIV_AES256] = {usmAES256PrivProtocol, 9},
	};

	return table[protocol];
}

/* The library frees the protocol OIDs of a user: it copies ours. */
static int
set_keys(struct meter_session *session, netsnmp_session *sp)
{
	const struct snmp_conf *conf = &session->conf;
	struct protocol auth = auth_protocol(conf->auth_protocol);
	struct protocol priv = priv_protocol(conf->priv_protocol);
	int err;

	sp->securityModel = USM_SEC_MODEL_NUMBER;
	sp->securityLevel = SNMP_SEC_LEVEL_NOAUTH;
	if (conf->level == METER_NO_AUTH_NO_PRIV)
		return 0;
	sp->securityLevel = SNMP_SEC_LEVEL_AUTHNOPRIV;
	sp->securityAuthProto = auth.name;
	sp->securityAuthProtoLen = auth.length;
	err = meter_engine_key(session->engine, auth.name, auth.length,
			       conf->auth_passphrase, sp->securityAuthKey,
			       &sp->securityAuthKeyLen);
	if (err || conf->level == METER_AUTH_NO_PRIV)
		return err;
	sp->securityLevel = SNMP_SEC_LEVEL_AUTHPRIV;
	sp->securityPrivProto = priv.name;
	sp->securityPrivProtoLen = priv.length;
	return meter_engine_key(session->engine, auth.name, auth.length,
				conf->priv_passphrase, sp->securityPrivKey,
				&sp->securityPrivKeyLen);
}

static int
set_version(struct meter_session *session, netsnmp_session *sp)
{
	struct snmp_conf *conf = &session->conf;

	switch (conf->version) {
	case METER_SNMP_V1:
		sp->version = SNMP_VERSION_1;
		break;
	case METER_SNMP_V2C:
		sp->version = SNMP_VERSION_2c;
		break;
	case METER_SNMP_V3:
		sp->version = SNMP_VERSION_3;
		sp->securityName = conf->user;
		sp->securityNameLen = strlen(conf->user);
		sp->contextName = conf->context_name;
		sp->contextNameLen = strlen(conf->context_name);
		if (conf->context_engine_id_length) {
			sp->contextEngineID = conf->context_engine_id;
			sp->contextEngineIDLen =
				conf->context_engine_id_length;
		}
		return set_keys(session, sp);
	}
	sp->community = (u_char *)conf->community;
	sp->community_len = conf->community ? strlen(conf->community) : 0;
	return 0;
}

static int
library_open(struct meter_session *session)
{
	char peer[ADDR_TEXT_SIZE + 8], text[ADDR_TEXT_SIZE];
	netsnmp_transport *transport;
	netsnmp_session sp;
	int err;

	snmp_sess_init(&sp);
	addr_format(text, &session->conf.peer);
	snprintf(peer, sizeof(peer), "%s:%s",
		 session->conf.peer.version == 6 ? "udp6" : "udp", text);
	sp.peername = peer;
	sp.timeout = (long)session->conf.timeout * 1000;
	sp.retries = (int)session->conf.retries;
	err = set_version(session, &sp);
	if (!err) {
		session->handle = snmp_sess_open(&sp);
		err = session->handle ? 0 : -EIO;
	}
	explicit_bzero(sp.securityAuthKey, sizeof(sp.securityAuthKey));
	explicit_bzero(sp.securityPrivKey, sizeof(sp.securityPrivKey));
	if (err)
		return err;
	/* Opening clears it. */
	snmp_sess_session(session->handle)->flags |= SNMP_FLAGS_DONT_PROBE;
	transport = snmp_sess_transport(session->handle);
	session->readable = event_new(meter_engine_base(session->engine),
				      transport->sock, EV_READ | EV_PERSIST,
				      on_readable, session);
	if (!session->readable || event_add(session->readable, NULL)) {
		library_close(session);
		return -ENOMEM;
	}
	return 0;
}

/* A failure that is known before anything was sent is told from the loop. */
static void
fail_later(struct meter_session *session, enum snmp_result result,
	   const char *reason)
{
	decide(session, result, reason);
	session->probing = false;
	arm_timer(session, 0);
}

static void
library_send(struct meter_session *session, netsnmp_pdu *pdu, unsigned flags)
{
	netsnmp_session *sp = snmp_sess_session(session->handle);
	int sent;

	sp->retries = flags & SNMP_ONCE ? 0 : (int)session->conf.retries;
	session->reply = (struct snmp_reply){.sent_ms = clock_wall_ms()};
	session->decided = false;
	session->stuck = 0;
	session->deadline_ms = clock_mono_ms() + session->conf.timeout + 1;
	sent = snmp_sess_async_send(session->handle, pdu, library_callback,
				    session);
	if (!sent) {
		snmp_free_pdu(pdu);
		fail_later(session, SNMP_UNSENT, "the request cannot be sent");
	} else if (!evtimer_pending(session->timer, NULL)) {
		arm_timer(session, session->conf.timeout + 1);
	}
}

/* The nameless user that RFC 3414 section 4 asks the engine ID with. */
static int
nameless_user(void)
{
	static const char none[] = "";
	struct usmUser *user = usm_get_user(NULL, 0, none);

	if (user)
		return 0;
	user = calloc(1, sizeof(*user));
	if (!user)
		return -ENOMEM;
	user->name = strdup(none);
	user->secName = strdup(none);
	user->authProtocol = snmp_duplicate_objid(usmNoAuthProtocol, 10);
	user->authProtocolLen = 10;
	user->privProtocol = snmp_duplicate_objid(usmNoPrivProtocol, 10);
	user->privProtocolLen = 10;
	if (!user->name || !user->secName || !user->authProtocol ||
	    !user->privProtocol) {
		usm_free_user(user);
		return -ENOMEM;
	}
	usm_add_user(user);
	return 0;
}

static void
engine_probe(struct meter_session *session)
{
	netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_GET);

	if (!pdu || nameless_user()) {
		if (pdu)
			snmp_free_pdu(pdu);
		fail_later(session, SNMP_UNSENT, "no memory");
		return;
	}
	pdu->version = SNMP_VERSION_3;
	pdu->securityName = strdup("");
	pdu->securityNameLen = 0;
	pdu->securityLevel = SNMP_SEC_LEVEL_NOAUTH;
	pdu->securityModel = SNMP_SEC_MODEL_USM;
	session->probing = true;
	library_send(session, pdu, 0);
}

/* The REPORT came: now the real user can be made, and the request sent. */
static void
engine_known(struct meter_session *session)
{
	netsnmp_session *sp = snmp_sess_session(session->handle);
	netsnmp_pdu *pdu = session->held;

	session->held = NULL;
	/* One of the same name may have other keys. */
	user_remove(session);
	if (usm_create_user_from_session(sp) != SNMPERR_SUCCESS) {
		snmp_free_pdu(pdu);
		fail_later(session, SNMP_UNSENT, "no SNMPv3 user made");
		return;
	}
	session->user_made = true;
	library_send(session, pdu, session->flags);
}

int
meter_session_new(struct meter_engine *engine, struct snmp_conf *conf,
		 struct meter_session **out)
{
	struct meter_session *session = calloc(1, sizeof(*session));

	if (!session)
		return -ENOMEM;
	session->engine = engine;
	session->timer = evtimer_new(meter_engine_base(engine), on_timer,
				     session);
	if (!session->timer) {
		free(session);
		return -ENOMEM;
	}
	session->conf = *conf;
	memset(conf, 0, sizeof(*conf));
	*out = session;
	return 0;
}

void
meter_session_drop(struct meter_session *session)
{
	event_del(session->timer);
	library_close(session);
	snmp_free_varbind(session->reply.variables);
	session->reply.variables = NULL;
	if (session->held)
		snmp_free_pdu(session->held);
	session->held = NULL;
	session->probing = false;
	session->decided = false;
	session->done = NULL;
}

void
meter_session_free(struct meter_session *session)
{
	if (!session)
		return;
	meter_session_drop(session);
	event_free(session->timer);
	snmp_conf_fini(&session->conf);
	free(session);
}

void
meter_session_send(struct meter_session *session, netsnmp_pdu *pdu,
		  unsigned flags, snmp_done done, void *arg)
{
	const char *community = session->conf.write_community;

	session->done = done;
	session->arg = arg;
	session->flags = flags;
	session->reply = (struct snmp_reply){.sent_ms = clock_wall_ms()};
	if (!pdu) {
		fail_later(session, SNMP_UNSENT, "no memory");
		return;
	}
	if (!session->handle && library_open(session)) {
		snmp_free_pdu(pdu);
		fail_later(session, SNMP_UNSENT, "no SNMP session opened");
		return;
	}
	if (session->conf.version == METER_SNMP_V3) {
		if (session->user_made) {
			library_send(session, pdu, flags);
		} else {
			session->held = pdu;
			engine_probe(session);
		}
		return;
	}
	if (flags & SNMP_WRITE && community) {
		pdu->community = (u_char *)strdup(community);
		pdu->community_len = pdu->community ? strlen(community) : 0;
	}
	library_send(session, pdu, flags);
}

uint64_t
meter_session_strangers(const struct meter_session *session)
{
	return session->strangers;
}
