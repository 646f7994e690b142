/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the agent that touch Net-SNMP. Its state is global, therefore
 * all of this belongs to one thread.
 */
#ifndef CONFLUX_METERMIB_SNMP_H
#define CONFLUX_METERMIB_SNMP_H

#include <net-snmp/net-snmp-config.h>
#include <net-snmp/net-snmp-includes.h>
#include <net-snmp/agent/net-snmp-agent-includes.h>

#include <stdbool.h>
#include <stdint.h>

#include "conflux/log.h"
#include "mib.h"

struct event;
struct event_base;

struct access_user {
	char *name;
	uint8_t level; /* least SNMP_SEC_LEVEL_ */
	bool write;
};

struct access {
	char *read_community; /* NULL: none */
	char *write_community;
	struct access_user *user;
	size_t users;
	uint64_t refused;
	struct log_limit limit;
};

/* Copies communities and users, and makes itself Net-SNMP's access control. */
int access_init(struct access *access,
		const struct metermib_agent_config *config,
		const struct metermib_user *user, size_t users);
void access_fini(struct access *access);

/* Creates the users; the engine ID must be known (after init_snmp). */
int access_create_users(const struct metermib_user *user, size_t users);

struct agent_fd {
	int fd;
	struct event *event;
	struct metermib_agent *agent;
	struct agent_fd *next;
};

struct metermib_agent {
	struct mib mib;
	struct meter *meter;
	struct event_base *base;
	struct agent_fd *fds;
	struct event *timer;
	struct event *tick;
	bool subagent;
	bool started; /* Net-SNMP was initialised */
	char *name;
	char *description;
	struct access access;
	struct change *change; /* the SET under way */
	size_t listen_count;
	int *nsap;	/* handles of what we listen on */
	uint16_t *port; /* of each */
	struct metermib_agent_counters counters;
};

/* Registers the objects (handler.c). */
int handler_register(struct metermib_agent *agent);
void handler_unregister(struct metermib_agent *agent);

#endif
