/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter reader: a source stage that reads the flows of one RTFM meter by
 * SNMP (RFC 2720, RFC 2722) and hands them on as batches of IPFIX records. As
 * manager it also keeps a rule set of ours running in the meter.
 *
 * A meter_engine holds what Net-SNMP keeps once per process (users, keys, the
 * thread that writes state files). All readers of a process share one engine
 * and run in the thread of its event base; Net-SNMP knows no other way.
 */
#ifndef CONFLUX_METER_READER_H
#define CONFLUX_METER_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "conflux/ie.h"
#include "conflux/shape.h"
#include "conflux/stage.h"

struct event_base;
struct meter_engine;

enum meter_snmp_version {
	METER_SNMP_V1,
	METER_SNMP_V2C,
	METER_SNMP_V3,
};

enum meter_security_level {
	METER_NO_AUTH_NO_PRIV,
	METER_AUTH_NO_PRIV,
	METER_AUTH_PRIV,
};

enum meter_auth_protocol {
	METER_AUTH_MD5,
	METER_AUTH_SHA,
	METER_AUTH_SHA224,
	METER_AUTH_SHA256,
	METER_AUTH_SHA384,
	METER_AUTH_SHA512,
};

enum meter_priv_protocol {
	METER_PRIV_DES,
	METER_PRIV_AES,
	METER_PRIV_AES192,
	METER_PRIV_AES256,
};

/* Which module the meter has; auto asks it. */
enum meter_mib {
	METER_MIB_AUTO,
	METER_MIB_RFC2720,
	METER_MIB_RFC2064,
};

/* Which octets the meter counts: RFC 2720 does not say. */
enum meter_octet_layer {
	METER_OCTETS_LAYER2, /* of frames, as NeTraMet does */
	METER_OCTETS_IP,
};

enum meter_direction {
	METER_BIFLOW,  /* one record, RFC 5103 */
	METER_UNIFLOW, /* a record for each direction that has packets */
};

enum meter_counters {
	METER_DELTA, /* octetDeltaCount and so on: growth since last pass */
	METER_TOTAL, /* octetTotalCount and so on: as the meter has them */
};

/* What is done with flows that were there before the first pass. */
enum meter_first_pass {
	METER_FIRST_BASELINE, /* their growth counts from now on */
	METER_FIRST_COUNT,    /* all they have counted counts */
};

/* How packages are asked for; auto falls back to columns. */
enum meter_access {
	METER_ACCESS_AUTO,
	METER_ACCESS_PACKAGES,
	METER_ACCESS_COLUMNS,
};

/* A secret in place, or the name of the file whose first line it is. */
struct meter_secret {
	const char *value; /* NULL: see file */
	const char *file;  /* NULL with value NULL: not set */
};

/*
 * The secret: *out is malloc'ed, or NULL if it is not set. Of a file it is the
 * first line. Logs what is wrong, never the secret. -EINVAL, -ENOMEM, or the
 * errno of the file.
 */
int secret_read(const struct meter_secret *secret, const char *what,
		char **out);

/* Overwrites a secret and frees it. NULL is legal. */
void secret_free(char *secret);

/*
 * The manager's part. Active if rule_set_file is set: the rule set is loaded
 * under rule_set_name, run, watched, and loaded again when the meter lost it.
 * The form of the file is described in src/metermib/meter_rules.h.
 */
struct meter_manage_conf {
	const char *rule_set_file;
	const char *rule_set_name;	   /* default "conflux" */
	const char *standby_rule_set_file; /* NULL: none */
	uint8_t high_water_mark;	   /* percent; 0 or 100: off */
	uint8_t flood_mark;		   /* percent; 0 or 100: off */
	uint32_t inactivity_timeout;	   /* s */
	uint32_t keep_alive;		   /* s between two looks; 0: never */
	bool stop_on_exit; /* take task and rule sets away at stop */
};

/* Filled by the runtime; strings are copied by meter_reader_new. */
struct meter_reader_conf {
	const char *name;
	const char *address; /* numeric, IPv4 or IPv6 */
	uint16_t port;	     /* 161 */

	enum meter_snmp_version version;  /* v2c */
	struct meter_secret community;	  /* v1, v2c: for reading */
	struct meter_secret write_community; /* unset: as for reading */
	const char *user;		  /* v3 from here on */
	enum meter_security_level security_level;
	enum meter_auth_protocol auth_protocol;
	struct meter_secret auth_passphrase;
	enum meter_priv_protocol priv_protocol;
	struct meter_secret priv_passphrase;
	const char *context_name;      /* NULL: "" */
	const char *context_engine_id; /* hexadecimal; NULL: the meter's */

	uint32_t interval;	  /* s between two passes, 60 */
	uint32_t timeout;	  /* ms until a request is repeated, 1000 */
	uint32_t retries;	  /* 3 */
	uint32_t jitter;	  /* percent of interval, 10 */
	uint32_t max_backoff;	  /* s between tries of a dead meter, 600 */
	uint32_t max_repetitions; /* 0: found out */
	uint32_t max_message_size; /* octets of an answer aimed at, 1400 */

	/*
	 * Names or numbers of rule sets; none: those we manage, or all that
	 * are active. Each counts all packets: never add them up.
	 */
	const char *const *rule_set;
	unsigned rule_set_count;
	const char *owner;	 /* of our rows in the meter, "conflux" */
	uint32_t reader_timeout; /* s; 0: three intervals, at least 30 */

	enum meter_mib mib;
	enum meter_access access;
	/* Attributes asked for beside 4 to 41: of RFC 2724 and NetFlowMet. */
	const uint8_t *extra_attribute;
	unsigned extra_attribute_count;

	enum meter_octet_layer octet_layer;
	enum meter_direction direction;
	enum meter_counters counters;
	enum meter_first_pass first_pass;
	uint32_t observation_domain_id;
	uint32_t enterprise_number; /* of elements that IANA lacks, 32473 */
	uint32_t max_flows; /* bound on flows remembered, 1048576 */
	const char *state_file; /* NULL: baselines are lost with the process */

	struct meter_manage_conf manage;
};

/* Every default; name and address stay NULL. */
void meter_reader_conf_init(struct meter_reader_conf *conf);

/*
 * What is wrong with it in itself, as a sentence naming the leaf
 * ("communityFile: must be given for version v2c"), or NULL. Opens no file.
 */
const char *meter_reader_conf_check(const struct meter_reader_conf *conf);

/*
 * Reads a file of rules (conflux.xml(5) has its form) and forgets it again.
 * Each mistake is logged as FILE:LINE. -EINVAL: there was one, or there is no
 * rule; -ENOMEM; or the errno of the file.
 */
int meter_rules_check(const char *path);

/*
 * Adds the enterprise elements with which the reader describes what IANA has
 * no element for, so that their names are known before any meter answered.
 * 0 or an error of ie_add. meter_reader_new does it too.
 */
int meter_elements_add(struct ie_registry *registry, uint32_t pen);

/* -ENOMEM. The base must outlive the engine. */
int meter_engine_new(struct event_base *base, struct meter_engine **out);
/*
 * The process has an agent as well, made before and freed after the engine: it
 * begins and ends the use of Net-SNMP.
 */
void meter_engine_share(struct meter_engine *engine);
/* After its readers; waits for state files that are being written. */
void meter_engine_free(struct meter_engine *engine);

/*
 * Makes a reader; it does nothing before meter_reader_start. Secrets are read
 * from their files and the state file is loaded here: what is wrong is logged,
 * and the result is -EINVAL or the errno of the file of a secret. The rest:
 * -ENOMEM, -ENOSPC (registry full). Free with stage_free, after
 * meter_reader_stop if the meter is to hear of it.
 */
int meter_reader_new(struct meter_engine *engine,
		     const struct meter_reader_conf *conf,
		     struct ie_registry *registry, struct shape_table *shapes,
		     struct stage **out);

/* The first pass begins within a tenth of a second and jitter. 0 or -ENOMEM. */
int meter_reader_start(struct stage *stage);

/*
 * Begins the orderly end: a pass under way is finished, else a last one is made
 * of a meter that answers, both within half of limit_ms; our rows in the meter
 * are destroyed (RFC 2720 flowReaderStatus, destroy(6)) and the state is
 * written. When all is done, or after limit_ms (and up to a second for a slow
 * disk), stage_drained turns true and then done is called, if not NULL, from
 * the event loop; the stage may be freed there. Until then the next stages must
 * stay.
 */
void meter_reader_stop(struct stage *stage, uint32_t limit_ms,
		       void (*done)(void *arg), void *arg);

/* Ends of passes so far, for tests and for a daemon that reads only once. */
uint64_t meter_reader_passes(const struct stage *stage);

#endif
