/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * An SNMP session with one meter: one socket, one request at a time, answers
 * by callback from the event loop, never from inside a call and never from
 * inside the library. SNMPv3 engine discovery goes before the first request by
 * itself, without waiting.
 */
#ifndef CONFLUX_METERMIB_SNMP_SESSION_H
#define CONFLUX_METERMIB_SNMP_SESSION_H

#include "conflux/addr.h"
#include "engine.h"

enum snmp_result {
	SNMP_REPLY,    /* error and variables are set */
	SNMP_TIMEOUT,  /* no answer to any of the tries */
	SNMP_REFUSED,  /* SNMPv3 REPORT: user, keys, time or engine are wrong */
	SNMP_UNSENT,   /* no socket, no route, not encodable */
};

struct snmp_reply {
	enum snmp_result result;
	long error; /* error-status; 0: none */
	long error_index;
	netsnmp_variable_list *variables; /* valid during the callback */
	uint64_t sent_ms;     /* wall clock of the last try */
	uint64_t received_ms; /* wall clock; of a timeout too */
	unsigned repeats;     /* tries that stayed without an answer */
	const char *reason;   /* a constant sentence if result is no reply */
};

typedef void (*snmp_done)(void *arg, const struct snmp_reply *reply);

/* Copied by meter_session_new. Secrets as they are, not from files. */
struct snmp_conf {
	struct addr peer;
	enum meter_snmp_version version;
	uint32_t timeout; /* ms */
	uint32_t retries;
	char *community;
	char *write_community;
	char *user;
	enum meter_security_level level;
	enum meter_auth_protocol auth_protocol;
	char *auth_passphrase;
	enum meter_priv_protocol priv_protocol;
	char *priv_passphrase;
	char *context_name;
	uint8_t context_engine_id[32];
	size_t context_engine_id_length;
};

/* Frees and wipes what it points to. */
void snmp_conf_fini(struct snmp_conf *conf);

struct meter_session;

/* Takes over what conf points to, on success only. -ENOMEM, -EINVAL. */
int meter_session_new(struct meter_engine *engine, struct snmp_conf *conf,
		     struct meter_session **out);
/* NULL is legal. A request under way is dropped without an answer. */
void meter_session_free(struct meter_session *session);

enum snmp_flag {
	SNMP_WRITE = 1, /* with the write community */
	SNMP_ONCE = 2,	/* not repeated: it must not be done twice */
};

/*
 * Sends a request; takes over pdu in any case. No other may be under way. done
 * is called once, unless meter_session_drop came first.
 */
void meter_session_send(struct meter_session *session, netsnmp_pdu *pdu,
		       unsigned flags, snmp_done done, void *arg);

/*
 * Forgets the request under way, the socket and what was learnt of the SNMPv3
 * engine: the next request begins anew.
 */
void meter_session_drop(struct meter_session *session);

/* Datagrams that came from somebody else than the meter. */
uint64_t meter_session_strangers(const struct meter_session *session);

#endif
