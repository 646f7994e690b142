/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A traffic flow meter as RFC 2720 and RFC 2722 see it from outside: a table of
 * flows, rule sets, the rows of readers and managers (struct meter), and the
 * SNMP agent that serves them (struct metermib_agent). Whoever measures feeds
 * struct meter; nothing in it knows SNMP or does I/O.
 *
 * One thread: Net-SNMP's agent library has global state, so there is one
 * metermib_agent in a process, and it and its meter live on one event base.
 *
 * Times of the meter are its Uptime in centiseconds, modulo 2^32, from 1 on.
 * Times given to functions are milliseconds of any monotonic clock.
 */
#ifndef CONFLUX_METERMIB_AGENT_H
#define CONFLUX_METERMIB_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;

/* Flows */

/*
 * One end of a flow. Addresses are in network byte order in the leading octets,
 * with the bits that their mask leaves out set to zero (RFC 2722); an address
 * of length 0 is not part of the flow, its type is then 0 or tells what the
 * other attributes are about. All octets that are not used are zero.
 */
struct flow_end {
	uint32_t interface; /* ifIndex, 0: not part of the flow */
	uint8_t adjacent_type;
	uint8_t adjacent_length;
	uint8_t peer_type;
	uint8_t peer_length;
	uint8_t trans_type; /* IP protocol, 0: not part of the flow */
	uint8_t pad[3];	    /* zero */
	uint8_t port[2];
	uint8_t port_mask[2]; /* zero: the port is not part of the flow */
	uint8_t adjacent[20];
	uint8_t adjacent_mask[20];
	uint8_t peer[20];
	uint8_t peer_mask[20];
};

enum { FLOW_SOURCE, FLOW_DEST };

/* What makes a flow, compared octet by octet. Start from a zeroed one. */
struct flow_key {
	struct flow_end end[2]; /* FLOW_SOURCE, FLOW_DEST */
	uint8_t rule_set;	/* 1 to 255 */
	uint8_t subscriber_length[2];
	uint8_t session_length;
	uint8_t subscriber[2][20];
	uint8_t session[10];
	uint8_t class[3]; /* of source, destination, flow; 0: unset */
	uint8_t kind[3];
	uint8_t pad[4]; /* zero */
};

enum flow_direction {
	FLOW_TO,   /* source to destination */
	FLOW_FROM, /* destination to source */
};

struct meter_flow {
	struct flow_key key;
	uint32_t index;	     /* in the flow table, from 1 on */
	uint32_t first_time; /* Uptime, centiseconds */
	uint32_t last_time;
	uint8_t pdu_scale; /* the agent shows counters shifted right by it */
	uint8_t octet_scale;
	uint8_t pad[2];
	uint64_t octets[2]; /* by enum flow_direction, modulo 2^64 */
	uint64_t pdus[2];
	/* Index of the next less recent of the rule set, or 0. */
	uint32_t older;
	uint32_t newer;
	uint32_t serial; /* another one each time that the index is used */
};

struct meter_table;

/* Why a flow leaves the table. */
enum flow_end_reason {
	FLOW_END_RECYCLED,  /* idle, and read by all readers */
	FLOW_END_DESTROYED, /* with its rule set */
	FLOW_END_RESTART,   /* of the meter, or its Uptime wrapped */
};

typedef void (*flow_removed)(void *arg, const struct meter_flow *flow,
			     enum flow_end_reason reason);

#define METER_TABLE_MAX ((1u << 24) - 1)

/*
 * A table for 1 to METER_TABLE_MAX flows; memory is reserved at once and
 * touched as it is used. With all_rule_sets it can also be searched over all
 * rule sets (rule set 0 below), as RFC 2064 has it. NULL: no memory.
 */
struct meter_table *meter_table_new(uint32_t max_flows, bool all_rule_sets);
void meter_table_free(struct meter_table *table);

/* removed is called for each flow just before it is gone. */
void meter_table_on_removal(struct meter_table *table, flow_removed removed,
			    void *arg);

/* The flow of a key, or NULL. */
struct meter_flow *meter_table_find(const struct meter_table *table,
				    const struct flow_key *key);

/*
 * Adds the flow of a key that is not there; now is the Uptime. 0 and the flow,
 * -ENOSPC if the table is full, -EINVAL if the rule set is 0, -ENOMEM.
 */
int meter_table_add(struct meter_table *table, const struct flow_key *key,
		    uint32_t now, struct meter_flow **flow);

/* Counts into a flow; now is not before what was given earlier. */
void meter_table_count(struct meter_table *table, struct meter_flow *flow,
		       enum flow_direction direction, uint64_t octets,
		       uint64_t pdus, uint32_t now);

void meter_table_remove(struct meter_table *table, struct meter_flow *flow,
			enum flow_end_reason reason);

/* Removes all flows of a rule set; 0: all there are. */
void meter_table_clear(struct meter_table *table, uint8_t rule_set,
		       enum flow_end_reason reason);

/* The flow with that index, or NULL. */
struct meter_flow *meter_table_at(const struct meter_table *table,
				  uint32_t index);

/*
 * The flow with the least index above after that belongs to the rule set and
 * was active at time or later (the TimeFilter of RFC 4502), or NULL. Takes
 * logarithmic time. Rule set 0 needs all_rule_sets.
 */
struct meter_flow *meter_table_next(const struct meter_table *table,
				    uint8_t rule_set, uint32_t time,
				    uint32_t after);

/* The flow of a rule set that was not active for the longest time, or NULL. */
struct meter_flow *meter_table_oldest(const struct meter_table *table,
				      uint8_t rule_set);

/* When the latest flow of a rule set was active; 0: it has no flow. */
uint32_t meter_table_latest(const struct meter_table *table, uint8_t rule_set);

/* Flows of a rule set, of all of them (0), and how many there may be. */
uint32_t meter_table_flows(const struct meter_table *table, uint8_t rule_set);
uint32_t meter_table_max(const struct meter_table *table);

/* The meter */

struct meter;

struct meter_config {
	uint32_t max_flows;  /* 1 to METER_TABLE_MAX */
	uint32_t max_rules;  /* in all rule sets together */
	uint32_t inactivity; /* s, flowInactivityTimeout to start with */
	uint32_t uptime;     /* centiseconds to start with; 0 is taken as 1 */
	bool all_rule_sets;  /* as for meter_table_new */
};

#define METER_INACTIVITY 600 /* s, the default of RFC 2720 */

/*
 * A meter that starts now, with rule set 1 built in and task 1 running it.
 * NULL: no memory, or a bound of the configuration is wrong.
 */
struct meter *meter_new(const struct meter_config *config, uint64_t now_ms);
void meter_free(struct meter *meter);

/* As after a power cut: no flows, no rows, no rule sets but 1, a new Uptime. */
void meter_restart(struct meter *meter, uint64_t now_ms);

struct meter_table *meter_flows(struct meter *meter);

/* Moves the Uptime on and returns it. Flows are lost when it wraps. */
uint32_t meter_advance(struct meter *meter, uint64_t now_ms);

/*
 * What time brings: rows of readers that stay away are removed, flows that all
 * readers have read are given up, marks are looked at. Call it about ten times
 * a second. It does a bounded amount of work.
 */
void meter_tick(struct meter *meter, uint64_t now_ms);

/* The rule sets that run now, by number in ascending order. Returns how many.
 */
unsigned meter_running(const struct meter *meter, uint8_t rule_set[256]);

/*
 * Counts packets of a key; the flow is made if there is none. 0, -ENOENT if the
 * rule set of the key does not run, -ENOSPC if the flow table is full or the
 * meter in flood mode and the flow is not there yet, -ENOMEM.
 */
int meter_count(struct meter *meter, const struct flow_key *key,
		enum flow_direction direction, uint64_t octets, uint64_t pdus,
		uint64_t now_ms);

/* What has become of packets that rule sets were executed for. */
struct meter_totals {
	uint64_t packets; /* or records of flows */
	uint64_t sampled; /* left out by an interface's sampling */
	uint64_t ignored; /* by each rule set that said so; the same below */
	uint64_t no_match;
	uint64_t faults;  /* rules that loop and the like, as no match */
	uint64_t refused; /* flood mode, flow table full, no memory */
	uint64_t counted;
	uint64_t executed; /* rule sets for packets; others were remembered */
};

const struct meter_totals *meter_totals(const struct meter *meter);

/* Adds an interface by its ifIndex. 0, -ENOSPC, -EEXIST. */
int meter_interface_add(struct meter *meter, uint32_t if_index);

/*
 * One in how many packets of an interface a manager wants counted; 0: none of
 * them. Who captures packets does the sampling.
 */
uint32_t meter_interface_rate(const struct meter *meter, uint32_t if_index);

/* Packets of an interface that were not seen. */
void meter_interface_lost(struct meter *meter, uint32_t if_index,
			  uint32_t packets);

/*
 * Puts a rule set, of rules from a file, into a meter that has no other than
 * the built-in one, and makes task 1 run it in place of that; standby is what
 * task 1 falls back to above high_water_mark (per cent; 0: never), or NULL. Its
 * number is 2, that of standby 3. -EINVAL: a file is wrong, which is logged;
 * -ENOSPC: too many rules, -ENOMEM, or the errno of a file.
 */
struct meter_rule_files {
	const char *file;
	const char *name; /* flowRuleInfoName */
	const char *standby_file;
	uint32_t high_water_mark;
};
int meter_run_files(struct meter *meter, const struct meter_rule_files *files);

/* The stage */

struct ie;
struct ie_registry;
struct stage;

/*
 * A stage that counts what it gets in the flows of a meter: packets of an
 * Observation Point, or records. layer2: octets of frames, not of IP packets.
 * All but the meter is used during the call or lives longer. -ENOMEM.
 */
int meter_stage_new(const char *name, struct meter *meter, bool layer2,
		    struct ie_registry *registry, struct stage **stage);

/* Tells each element that it looks at, for observer_want. */
int meter_stage_wants(const struct ie_registry *registry, bool layer2,
		      int (*want)(void *arg, const struct ie *ie,
				  uint16_t length),
		      void *arg);

/* The agent */

/* What follows the last flow of a time filter T; what RFC 4502 leaves open. */
enum metermib_time_filter {
	METERMIB_ONE_PASS, /* the next rule set: recommended */
	METERMIB_PLUS_ONE, /* the flows of T+1, T+2, ...: traditional */
	/*
	 * Names have LastActiveTime in place of T, as one can read RFC 2720 on
	 * flowPackageTime. For tests of readers: it is slow.
	 */
	METERMIB_LITERAL,
};

/* How a package shows an attribute that a flow does not have. */
enum metermib_absent {
	METERMIB_ABSENT_ZERO,  /* zeros, as wide as the attribute */
	METERMIB_ABSENT_EMPTY, /* an empty string; numbers are 0 */
	METERMIB_ABSENT_NULL,  /* a BER NULL, for numbers too */
};

struct metermib_agent_config {
	const char *name; /* of the application, for Net-SNMP */
	/*
	 * Stand-alone: numeric transport addresses as Net-SNMP has them, such
	 * as "udp:127.0.0.1:0" or "udp6:[::1]:1161". As a sub-agent: none, and
	 * agentx is the master's socket.
	 */
	const char *const *listen;
	size_t listen_count;
	const char *agentx;
	const char *description;     /* sysDescr of a stand-alone agent */
	const char *read_community;  /* NULL: no such access */
	const char *write_community; /* reads too */
	const char *engine_id; /* hexadecimal, NULL: random at each start */
	enum metermib_time_filter time_filter;
	bool rfc2064; /* the MIB of 1997; the meter has all_rule_sets */
	enum metermib_absent absent;
};

/* A user of SNMPv3. Passphrases have 8 octets or more. */
struct metermib_user {
	const char *name;
	const char *auth; /* "MD5", "SHA", "SHA-256", ...; NULL: noAuth */
	const char *auth_pass;
	const char *priv; /* "DES", "AES"; NULL: no privacy */
	const char *priv_pass;
	bool write;
};

struct metermib_agent;

/*
 * Starts the agent. The texts of config and users need not live on. Communities
 * and passphrases are never logged. Reads no configuration file, writes no
 * state. Sets MIBS in the environment, so that Net-SNMP loads no MIB. 0 and the
 * agent; -EADDRINUSE if an address cannot be had, -EINVAL if a user is not one,
 * -ENOMEM. A master agent that is not there is no error: the agent connects
 * when it comes.
 *
 * Net-SNMP can be initialised once: a process that has freed its agent cannot
 * have another, and frees it after all other use of Net-SNMP. A sub-agent's
 * process ignores SIGPIPE, since the master may go away; the agent is then back
 * within seconds of the master.
 */
int metermib_agent_new(struct event_base *base, struct meter *meter,
		       const struct metermib_agent_config *config,
		       const struct metermib_user *user, size_t user_count,
		       struct metermib_agent **agent);
void metermib_agent_free(struct metermib_agent *agent);

/* UDP port of the n-th address listened on; 0: there is none. */
uint16_t metermib_agent_port(const struct metermib_agent *agent, size_t n);

/* Objects served, packages among them, and requests refused. */
struct metermib_agent_counters {
	uint64_t objects;
	uint64_t packages;
	uint64_t refused; /* community or user unknown or not allowed */
};

const struct metermib_agent_counters *
metermib_agent_counters(const struct metermib_agent *agent);

#endif
