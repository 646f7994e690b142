/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The running pipelines. A unit is one process of the configuration (or the
 * handover to it) in one worker; units are in the order in which records run
 * through them. The first worker is the main thread.
 */
#ifndef CONFLUX_RUNTIME_RUNTIME_H
#define CONFLUX_RUNTIME_RUNTIME_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "conflux/cache.h"
#include "conflux/collecting.h"
#include "conflux/config.h"
#include "conflux/ie.h"
#include "conflux/log.h"
#include "conflux/net.h"
#include "conflux/observation.h"
#include "conflux/selection.h"
#include "conflux/shape.h"
#include "conflux/stage.h"

struct agent;
struct change;
struct edit;
struct event;
struct event_base;
struct filter;
struct handover_port;
struct intake;
struct manage;
struct meter_engine;
struct runtime;
struct target;
struct worker;

enum unit_kind {
	UNIT_COLLECTING,
	UNIT_METER,
	UNIT_REMOTE, /* packet records to an Observation Point */
	UNIT_OBSERVATION,
	UNIT_SELECTION, /* of one Observation Point: a Selection Sequence */
	UNIT_MEDIATION, /* of records (no point), or of those of a point */
	UNIT_CACHE,
	UNIT_HANDOVER, /* to a cache, exporting process, ... of worker 0 */
	UNIT_EXPORTING,
	UNIT_AGENT, /* the meter that is read by SNMP */
};

struct unit {
	enum unit_kind kind;
	const struct conf_node *node;
	const struct conf_node *point; /* of a selection: where its packets are
					* from */
	uint32_t domain;               /* of a cache: see cache_domains */
	uint32_t metering_process_id;  /* of a cache: the same in each worker */
	char *state_file;	       /* of a cache */
	struct worker *worker;
	struct stage *stage;
	struct collecting *collecting;
	struct net_in **input; /* of a collecting process */
	unsigned input_count;
	struct filter **filter; /* of destinations, NULL where none is */
	unsigned filter_count;
	struct capture **capture; /* of an Observation Point */
	unsigned capture_count;
	unsigned captures_ended;
	uint64_t measured_ms, cpu_ms; /* of a selection: see measure */
	atomic_int sign; /* of a selection: enum overload_sign */
	struct overload_state overload; /* of all of the process: of the first
					 * of its units in worker 0 */
	bool finished;         /* a source that will bring no more */
	bool drained;          /* a meter reader that has ended */
	bool commits; /* exports what is acknowledged when it is safe */
};

/* What the main thread tells a worker. */
enum worker_order {
	WORKER_RUN,
	WORKER_PARK, /* stand still, so that your state can be read */
	WORKER_STOP, /* end the sources, flush, finish */
};

struct worker {
	struct runtime *runtime;
	unsigned index;
	struct event_base *base; /* of worker 0: the caller's */
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct unit *unit;
	unsigned unit_count, unit_size;
	struct event *tick;
	uint64_t ticked_ms;
	uint64_t late_ms;        /* the most that a tick came late */
	struct event *check;     /* a source has finished: see what's next */
	/* Of the other workers: */
	struct handover_port *port;
	struct intake *intake;   /* of worker 0, for our ring */
	bool finished;           /* so says the intake */
	pthread_t thread;
	bool started;
	struct event *wake;      /* an order has come */
	int wake_fd;
	struct event *flush;     /* caches that are not drained yet */
	bool stopping;           /* in its own thread */
	atomic_int order;
	atomic_bool change;	 /* runtime->change is to be applied */
	atomic_bool reload;	 /* files are to be read again */
	bool awaited;		 /* until it has, in the main thread */
	pthread_mutex_t lock;    /* of the two below */
	pthread_cond_t parked_changed;
	bool parked;
};

enum phase {
	PHASE_READY,
	PHASE_RUN,
	PHASE_SOURCES,   /* meter readers and workers come to their end */
	PHASE_CACHES,    /* caches are being flushed */
	PHASE_EXPORTERS, /* exporters are being drained */
	PHASE_ENDED,
};

struct runtime {
	const struct conf *conf;
	struct event_base *base;
	void (*ended)(void *arg);
	void *arg;
	struct worker *worker;
	unsigned worker_count;
	struct meter_engine *meters;
	struct agent *agent;     /* or NULL */
	struct manage *manage;
	struct change *change;	 /* of a selector, under way, or NULL */
	struct edit *edits;	 /* selectors that were changed */
	uint16_t *port;          /* bound, of each collector in order */
	struct target *target;   /* caches and exporters by their number */
	struct stage **target_stage; /* in the first worker */
	unsigned target_count;
	enum phase phase;
	struct event *advance;
	struct event *daily; /* see reload_start */
	/* Streams that are acknowledged, NULL: none; see commit.c. */
	struct positions *positions;
	uint64_t seal; /* number of the last one */
	const char *commit_file; /* or NULL */
	bool commit_grown;	 /* files, since it was written */
	struct event *commit;
	struct log_limit commit_log;
	/* Of the first worker's, set before the others read theirs. */
	atomic_bool reload_failed;
	uint64_t phase_ms;       /* when it began */
	uint64_t moved_ms;       /* when progress last changed */
	uint64_t progress;       /* of records, see too_long */
	bool finite;             /* it ended by itself */
	uint64_t start_ms;       /* wall clock */
	uint64_t id_seed;	 /* of exporting_id */
	/* Session tickets, the same for all workers. */
	uint8_t ticket_secret[SECURE_TICKET_SECRET];
};

/* ---- elements.c ---------------------------------------------------------- */

/* Adds the elements of a file; the reason goes to why. */
int elements_load(struct ie_registry *registry, const char *path, char *why,
		  size_t size);
/* The registry of a worker. */
/* By name and enterprise number (0 or CONF_PEN_ANY: any), or NULL. */
const struct ie *elements_by_name(const struct ie_registry *registry,
				  const char *name, uint32_t pen);
int elements_registry(const struct conf *conf, struct ie_registry **out);

/* ---- domains.c ----------------------------------------------------------- */

/*
 * The Observation Domains that a cache exports in. Flows of different domains
 * are not merged, so a cache that gets packets of several Observation Points is
 * one unit for each of their domains, unless it has a cx:observationDomainId
 * of its own, which they all share. Fills at most size entries and returns how
 * many there are, at least 1.
 */
unsigned cache_domains(const struct conf *conf, const struct conf_node *cache,
		       uint32_t *domain, unsigned size);
/* The domain of what comes from this Observation Point to this cache. */
uint32_t cache_domain_of(const struct conf_node *cache,
			 const struct conf_node *point);
/* All that feeds it is files, so time is that of the data. */
bool cache_has_data_clock(const struct conf *conf,
			  const struct conf_node *cache);
/* An Observation Point feeds it. */
bool cache_gets_packets(const struct conf *conf, const struct conf_node *cache);
/* Directly, or by way of Intermediate Processes. */
bool leads_to(const struct conf_node *from, const struct conf_node *to);
/* May records of one come to an Exporting Process? */
bool exports_to(const struct conf_node *from, const struct conf_node *to);
/* The first cache that it leads to so, or NULL. */
const struct conf_node *cache_behind(const struct conf_node *from);
/* observationPointId: its place in the document, from 1 on. */
uint32_t point_number(const struct conf_node *point);
/* The Observation Point gets its packets from an interface of this machine. */
bool point_is_live(const struct conf_node *point);
/* A Collecting Process of files that are there already, and nothing else. */
bool collects_files(const struct conf_node *process);

enum { DOMAINS_MAX = 4096 }; /* of one cache */

/* ---- check.c ------------------------------------------------------------- */

/* Adds to errors what can't be made; 0, -EINVAL if there are any, -ENOMEM. */
int check_conf(const struct conf *conf, struct conf_errors *errors);

/* ---- build*.c ------------------------------------------------------------ */

/* A message for the user; *error was NULL. Returns rc. */
int build_error(char **error, int rc, const struct conf_node *node,
		const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* All units of a worker, from the sinks to the sources, then linked. */
int build_worker(struct worker *worker, char **error);

int build_exporting(struct unit *unit, char **error);
/* The exportingProcessId. */
uint32_t exporting_id(const struct runtime *runtime,
		      const struct conf_node *node);
int build_observation(struct unit *unit, char **error);
/* Its captures, once all behind it is linked. */
int build_captures(struct unit *unit, char **error);
int build_selection(struct unit *unit, char **error);
/*
 * Asks the Observation Point for all elements that are wanted behind it: by
 * the selection and by its cache.
 */
int build_wants(struct unit *point, struct unit *selection, char **error);
/* Fills *conf from a selectionProcess; *lists is to be freed. */
struct selection_conf;
struct selection_lists;
int selection_conf_of(const struct conf_node *node,
		      const struct ie_registry *registry,
		      struct selection_conf *conf,
		      struct selection_lists **lists);
void selection_lists_free(struct selection_lists *lists);
/* One selector, without its id; *range is to be freed. */
struct selector_conf;
struct selector_range;
int selector_conf_of(const struct conf_node *selector,
		     const struct ie_registry *registry,
		     struct selector_conf *conf, struct selector_range **range);
int build_cache(struct unit *unit, char **error);
/*
 * All Intermediate Processes that lead to a cache, or all others, each behind
 * those that lead to it.
 */
int build_mediation(struct worker *worker, bool cache, char **error);
/* What an Intermediate Process is made with. */
struct mediation_place {
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct worker *worker; /* NULL: it is only tried (check.c) */
};
struct mediation_error {
	const struct conf_node *at;
	unsigned line; /* behind that of the element */
	char *text;    /* to be freed; NULL: what the error number says */
	bool warning;  /* a file is missing here: it need not be where we run */
};
/*
 * The stage of an intermediateProcess. -ENOMEM; any other error: error tells
 * where and why.
 */
int mediation_make(const struct mediation_place *place,
		   const struct conf_node *process, struct stage **out,
		   struct mediation_error *error);
/* build_anonymization.c: one kind of them. */
int make_anonymization(const struct mediation_place *place,
		       const struct conf_node *kind, struct stage **out,
		       struct mediation_error *error);
/* De-duplication, from its element. */
int make_dedup(const struct mediation_place *place,
	       const struct conf_node *kind, struct stage **out,
	       struct mediation_error *error);
/* build_conversion.c */
int make_conversion(const struct mediation_place *place,
		    const struct conf_node *kind, struct stage **out,
		    struct mediation_error *error);
/* build_lookup.c */
int make_lookup(const struct mediation_place *place,
		const struct conf_node *kind, struct stage **out,
		struct mediation_error *error);
/* The element that a leaf names; -EINVAL: error tells that there is none. */
int mediation_element(const struct mediation_place *place,
		      const struct conf_node *leaf, const struct ie **out,
		      struct mediation_error *error);
/* Do records of all workers meet in this intermediateProcess? */
bool mediation_gathers(const struct conf_node *process);
/*
 * That of records, or of those of an Observation Point, or the handover to it;
 * NULL: there is none.
 */
struct unit *find_mediation(struct worker *worker, const struct conf_node *node,
			    const struct conf_node *point);
/* A new one; there is room for all that count_units counts. */
struct unit *add_unit(struct worker *worker, enum unit_kind kind,
		      const struct conf_node *node);
int build_collecting(struct unit *unit, unsigned *collector,
		     unsigned *file, char **error);
int build_meter(struct unit *unit, char **error);

/*
 * The agent, before any other use of Net-SNMP, if the configuration has one.
 * Its stage is the unit's.
 */
int agent_open(struct runtime *runtime, char **error);
int build_agent(struct unit *unit, char **error);
/* What the stage of the agent wants of packets. */
int agent_wants(const struct conf_node *node, struct unit *point,
		int (*want)(void *arg, const struct ie *ie, uint16_t length));
/* Tells the meter what the kernel has dropped. */
void agent_tick(struct runtime *runtime);
void agent_report(const struct agent *agent, struct report *report);
/* After all other use of Net-SNMP. NULL is legal. */
void agent_close(struct agent *agent);

/* The cache's configuration in this worker; *fields is to be freed. */
int cache_conf_of(const struct conf_node *node, unsigned worker,
		  const struct ie_registry *registry, struct cache_conf *conf,
		  struct cache_field **fields);
/* Its timeoutCache or what else it is. */
const struct conf_node *cache_type_node(const struct conf_node *cache);
/*
 * May the other workers merge for this cache? If not, they hand all records
 * over as they come.
 */
bool cache_merges_twice(const struct conf_node *node,
			const struct ie_registry *registry);

/* May what has this index be read by this worker? It is dealt out. */
static inline bool
deals_file(const struct worker *worker, unsigned workers, unsigned file)
{
	return file % workers == worker->index;
}

/* Do peers come to what has this transportLayerSecurity? Else it goes to them.
 */
bool is_tls_server(const struct conf_node *node);

/*
 * What a transportLayerSecurity says; *names is to be freed. The runtime gives
 * the secret of the tickets of a server, NULL for a client.
 */
int secure_conf_fill(const struct runtime *runtime, const struct conf_node *tls,
		     bool server, struct secure_conf *conf,
		     const char ***names);
/*
 * The addresses in leaves of this name, with that port; *list is to be freed,
 * NULL if there is none. 0 or -ENOMEM.
 */
int addresses_of(const struct conf_node *node, const char *name, uint16_t port,
		 struct addr **list, unsigned *count);
/* What an exporter and a collector over SCTP have in common. */
void sctp_conf_of(const struct conf_node *node, struct net_sctp_conf *sctp);

struct meter_reader_conf;
struct meter_lists {
	const char **rule_set;
	uint8_t *attribute;
};
/* Fills *conf from the node; *lists is to be freed (meter_lists_fini). */
int meter_conf_of(const struct conf_node *node,
		  struct meter_reader_conf *conf, struct meter_lists *lists);
void meter_lists_fini(struct meter_lists *lists);

/* ---- worker.c ------------------------------------------------------------ */

int worker_init(struct worker *worker, struct runtime *runtime,
		unsigned index);
/* After it was joined. */
void worker_fini(struct worker *worker);
int worker_start(struct worker *worker);
void worker_order(struct worker *worker, enum worker_order order);
/* Has it apply runtime->change, and tell so by a barrier. */
void worker_change(struct worker *worker);
/* Has it read its files again. */
void worker_reload(struct worker *worker);
void worker_join(struct worker *worker);
/* Parks all but the first; their state may be read until they are let go. */
void workers_park(struct runtime *runtime);
void workers_release(struct runtime *runtime);
/* Stands still while the order is to park; for the port, too. */
void worker_idle(void *worker);
/* Ends all inputs: nothing more is received. */
void worker_close_inputs(struct worker *worker);
/* True when it has sources and none of them will bring more. */
bool worker_sources_finished(const struct worker *worker);
/* Flushes the units of a kind; true when all are drained. */
bool worker_flush(struct worker *worker, enum unit_kind kind);
/* The same for caches, and all that stands before them. */
bool worker_flush_caches(struct worker *worker);
/* A capture of an Observation Point has ended (from its callbacks). */
void worker_capture_finished(void *unit);
/* A source of the worker has finished (from its callbacks). */
void worker_source_finished(void *unit);
struct unit *worker_find(struct worker *worker, const struct conf_node *node,
			 uint32_t domain);
/* What records are handed over to in the first worker, by its number. */
struct target {
	const struct conf_node *node;
	uint32_t domain;
};
/*
 * Caches by domain first, then exporting processes, then the agent, then the
 * Intermediate Processes that gather; to be freed, or NULL.
 */
struct target *targets_of(const struct conf *conf, unsigned *count);

/* ---- change.c ------------------------------------------------------------ */

/* As in struct manage_ops, arg is the runtime. */
int runtime_selection(void *arg, char *const *word, unsigned count,
		      struct text *answer);
int runtime_change(void *arg, uint32_t user, char *const *word, unsigned count,
		   struct text *answer);
/*
 * Decides on overload for the workers together, from what their selections have
 * told; a change is met behind a barrier, as others are. Each tick.
 */
void overload_watch(struct runtime *runtime, uint64_t now_ms);
/* The change under way, in the thread of the worker. */
void change_apply(struct worker *worker);
/* The worker has applied it, or has ended. */
void change_met(void *worker);
void changes_free(struct runtime *runtime);

/* ---- commit.c ------------------------------------------------------------ */

/* Does a Collecting Process that acknowledges lead here? NULL: anywhere. */
bool commit_wanted_by(const struct conf *conf,
		      const struct conf_node *exporting);
int commit_init(struct runtime *runtime);
/* When all is built: goes on with the positions of an earlier run. */
int commit_restore(struct runtime *runtime, char **error);
void commit_fini(struct runtime *runtime);
/* Of collecting_conf; arg is the unit. */
void commit_soon(void *arg);
void commit_tick(struct runtime *runtime);

/* ---- reload.c ------------------------------------------------------------ */

/* Warns of what expires soon, now and daily. */
int reload_start(struct runtime *runtime);
void reload_stop(struct runtime *runtime);
/* In the thread of the worker. */
void reload_apply(struct worker *worker);

/* ---- report.c ------------------------------------------------------------ */

/* Records that the destinations of an exporting process are done with. */
uint64_t exporting_progress(const struct unit *unit);

/* ---- runtime.c ----------------------------------------------------------- */

/* Something has come to its end: goes on to the next phase if it may. */
void runtime_advance(struct runtime *runtime);

#endif
