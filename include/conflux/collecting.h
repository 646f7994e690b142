/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * A Collecting Process (RFC 7011, RFC 6728): the source stage that turns the
 * messages of its receivers into batches. A receiver is what RFC 6728 calls
 * udpCollector, tcpCollector or fileReader, or a cx:tcpDialer; the caller opens one net_in for
 * each of them:
 *
 *	collecting_new(&conf, &collecting);
 *	stage_link(collecting_stage(collecting), next);
 *	collecting_add(collecting, &receiver_conf, &receiver);
 *	net_in_open(base, &net_conf, collecting_net_ops(), receiver, ...);
 *	...
 *	net_in_close(in);	ends the sessions: scope_end for each domain
 *	stage_free(collecting_stage(collecting));
 *
 * Runs in the thread of its worker. Logs what peers do wrong, rate limited.
 */
#ifndef CONFLUX_COLLECTING_H
#define CONFLUX_COLLECTING_H

#include <stdbool.h>
#include <stdint.h>

#include "conflux/ie.h"
#include "conflux/net.h"
#include "conflux/positions.h"
#include "conflux/shape.h"
#include "conflux/stage.h"

struct collecting;
struct collecting_receiver;

/* Everything that a peer can make grow has its bound here. 0: the default. */
struct collecting_conf {
	const char *name;       /* copied */
	uint32_t max_domains;   /* Observation Domains per session; one that is
				 * silent for 5 minutes makes room; 256 */
	uint32_t max_templates; /* per session; 4096 */
	uint16_t max_fields;    /* per template; 1024 */
	uint32_t max_options;   /* Options Data Records remembered per
				 * session; 4096 */
	uint32_t max_options_octets; /* of all sessions, of which one may have
				      * half; 16 MiB */
	uint32_t held_octets;   /* data waiting for its template, all sessions,
				 * of which one may have half; 1 MiB */
	uint32_t held_ms;       /* how long it waits; 30000 */
	struct ie_registry *registry; /* not owned, outlives the process */
	struct shape_table *shapes;   /* not owned, outlives the process */
	/*
	 * exportingProcessIds of all Exporting Processes that records of this
	 * one may come to: what has been by one of them before is lost, or it
	 * would go round for ever. Copied.
	 */
	const uint32_t *exporting_id;
	unsigned exporting_ids;
	/*
	 * Where Templates learnt over UDP are kept over restarts, NULL:
	 * nowhere; how often it is written (60000), beside the end. Of several
	 * workers each has a file of its own: .1 and so on is added to the
	 * name.
	 */
	const char *template_file; /* kept by the caller */
	uint32_t template_file_ms;
	unsigned worker, workers; /* workers 0: one */
	/*
	 * Where streams are that are acknowledged; NULL: none is. Not owned,
	 * shared by all Collecting Processes. commit is called, from within
	 * the loop, when it should be found out what is safe, and told to
	 * collecting_acknowledge.
	 */
	struct positions *positions;
	void (*commit)(void *arg);
	/* May be NULL: called when collecting_finished becomes true. */
	void (*finished)(void *arg);
	void *arg;
};

struct collecting_receiver_conf {
	const char *name; /* copied */
	enum transport transport;
	/*
	 * Lifetimes of templates (RFC 7011 8.4), used over UDP only: 0 for
	 * unlimited. RFC 6728 has 1800000 and no bound in messages.
	 */
	uint32_t template_ms;
	uint32_t options_ms;
	uint32_t template_messages;
	uint32_t options_messages;
	bool any_port; /* as in net_in_conf */
	/* TCP: tells exporters that ask for it what has come (positions). */
	bool acknowledges;
	bool dials;    /* exporters don't come to it: a cx:tcpDialer */
};

/* -EINVAL: no registry, shapes or name; -ENOMEM. */
int collecting_new(const struct collecting_conf *conf,
		   struct collecting **out);

/* The stage: ticked, reported and freed (stage_free) by the caller. */
struct stage *collecting_stage(struct collecting *collecting);

/* A receiver lives as long as its Collecting Process. -ENOMEM. */
int collecting_add(struct collecting *collecting,
		   const struct collecting_receiver_conf *conf,
		   struct collecting_receiver **out);

/*
 * Tells those who wait for it what is safe: all that was taken until now (of
 * positions, too), or (false) no more than before.
 */
void collecting_acknowledge(struct collecting *collecting, bool safe);
/* Does anybody wait for it? */
bool collecting_unacknowledged(const struct collecting *collecting);

/* Before its inputs are closed: Templates are written to their file. */
void collecting_save(struct collecting *collecting);

/* For net_in_open; the argument that goes with it is the receiver. */
const struct net_in_ops *collecting_net_ops(void);

/*
 * True when every receiver reads files and has read them to their end: there
 * will be no more records. False while there is no receiver.
 */
bool collecting_finished(const struct collecting *collecting);

/*
 * An Options Data Record that was remembered: the last one for its template
 * fields and scope values in its Observation Domain (sampling, exporter,
 * interface data). Valid until the next message or tick.
 */
struct collecting_option {
	const struct scope *scope;
	const struct shape *shape;
	const uint8_t *record;
	uint32_t length;
	uint64_t export_ms;
};

/* Calls back for each; scope NULL: of all. Stops when it returns false. */
void collecting_options(const struct collecting *collecting,
			const struct scope *scope,
			bool (*each)(void *arg,
				     const struct collecting_option *option),
			void *arg);

#endif
