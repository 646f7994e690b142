/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The Exporting Process: the last stage of a pipeline. It takes batches of any
 * shape from any scope and sends them as IPFIX Messages (RFC 7011) over UDP,
 * TCP, SCTP or into a file (RFC 5655), or as JSON lines, to one or more
 * destinations. Data Records are copied, never decoded; Template ids,
 * Observation Domain IDs, sequence numbers and Export Times are its own.
 *
 * Observation Domains: each scope gets one of the out-domains, which belongs to
 * its exporter's address and its domain. A scope that ends gives it back;
 * Templates of it are then withdrawn (TCP and SCTP only, RFC 7011 8.1 and 8.4).
 * When the exporter comes back it gets the same one again, as long as it is
 * remembered: max_domains, and over restarts if there is a file for it. Two
 * live scopes never share one, but those of the process itself (caches:
 * exporter.version 0, no file) with the same domain do.
 *
 * Options of others are passed on. What they are about, a Template or a domain,
 * gets the number that it has here; those about what is not known, and what our
 * own options say instead, count as filtered. A Template that the source
 * withdraws (stage_template_end) is withdrawn here, too. Options of our own are
 * sent only if the configuration asks for them; but what was done to the values
 * of fields (struct field_mark) is always told, behind their Template.
 *
 * Structured data (RFC 6313) names Templates within records. If the scope tells
 * their shapes (template_shape), the ids are replaced by ours.
 *
 * Ledgers. Of the stage: in = exported + filtered + lost, where a record is
 * exported when at least one destination has taken it into its queue, lost,
 * with the reason of the last destination tried, when none has, and filtered
 * when none is configured to take it. Of each destination:
 * in = exported + filtered + lost + held, where exported is what the kernel
 * has taken, and held what waits in an unfinished message, in the queue or in
 * the sender; a message that was not given whole to the kernel before its
 * session went down is lost (LOSS_DESTINATION_DOWN). What is in a spool is
 * held, too, also at the end; what is there at the start is in, by a split of
 * the stage. Filtered is what it is not configured to take, with
 * EXPORTING_PARALLEL, and what became of no use while it waited. Records that
 * waited for one that is away and went to others are in their "in", and no
 * longer in its own ("moved" tells). Over SCTP exported is what was delivered,
 * and what may still turn out not to have been. Options records that the
 * process makes itself are in no ledger, but in "records" of the session and in
 * the sequence numbers.
 */
#ifndef CONFLUX_EXPORTING_H
#define CONFLUX_EXPORTING_H

#include <stdbool.h>
#include <stdint.h>

#include "conflux/net.h"
#include "conflux/positions.h"
#include "conflux/shape.h"
#include "conflux/stage.h"

struct event_base;

enum exporting_mode {
	EXPORTING_PARALLEL,       /* every record to every destination */
	EXPORTING_LOAD_BALANCING, /* each to one of those in health */
	EXPORTING_FALLBACK,       /* to the first that is in health */
};

/* Load balancing: what stays together. */
enum exporting_balance {
	EXPORTING_BALANCE_DOMAIN,      /* all of an out-domain */
	EXPORTING_BALANCE_FLOW_KEY,    /* a flow, in both its directions */
	EXPORTING_BALANCE_ROUND_ROBIN, /* a message, in each domain */
};

enum exporting_kind {
	EXPORTING_UDP,
	EXPORTING_TCP,
	EXPORTING_SCTP,
	EXPORTING_FILE,
	EXPORTING_JSON, /* a file of JSON lines, "-": standard output */
};

enum exporting_domains {
	/* The domain of the scope, if no other has it here; else the next
	 * free one from 0x80000000 up. */
	EXPORTING_DOMAIN_KEEP,
	/* Always the next free one, from 1 up. */
	EXPORTING_DOMAIN_RENUMBER,
};

/* Who exported the records first, and by which ways they came (RFC 7119). */
enum exporting_origin {
	EXPORTING_ORIGIN_NONE,	  /* is not told; options that tell it pass */
	EXPORTING_ORIGIN_OPTIONS, /* is told once in each domain */
	EXPORTING_ORIGIN_RECORDS, /* and in each Flow Record */
};

/* optionsType of RFC 6728. */
enum exporting_option {
	EXPORTING_METERING_STATISTICS,  /* RFC 7011 4.1, per out-domain */
	EXPORTING_METERING_RELIABILITY,
	EXPORTING_EXPORTING_RELIABILITY, /* RFC 7011 4.3 */
	EXPORTING_FLOW_KEYS,             /* RFC 7011 4.4, batch.flow_keys */
	EXPORTING_SELECTION_SEQUENCE,
	EXPORTING_SELECTION_STATISTICS,
	EXPORTING_ACCURACY,
	EXPORTING_REDUCING_REDUNDANCY,
	EXPORTING_EXTENDED_TYPE_INFORMATION, /* RFC 5610 */
	EXPORTING_OPTION_COUNT,
};

/* "extendedTypeInformation", ...; parse: enum exporting_option or -EINVAL. */
const char *exporting_option_name(enum exporting_option type);
int exporting_option_parse(const char *name);
/* Can it be made? A configuration that asks for another is to be refused. */
bool exporting_option_supported(enum exporting_option type);

/* "parallel", "loadBalancing", "fallback"; parse: the mode or -EINVAL. */
const char *exporting_mode_name(enum exporting_mode mode);
int exporting_mode_parse(const char *name);

/* "observationDomain", "flowKey", "roundRobin"; -EINVAL. */
int exporting_balance_parse(const char *name);

/* Defaults, used where the configuration has 0. */
enum {
	EXPORTING_UDP_MESSAGE = 1472, /* octets of an IPFIX Message */
	EXPORTING_STREAM_MESSAGE = 65535,
	EXPORTING_MESSAGE_MIN = 512, /* no smaller size is accepted */
	EXPORTING_QUEUE_OCTETS = 16 << 20,
	EXPORTING_FLUSH_MS = 200,
	EXPORTING_OPTIONS_MS = 600000,
	EXPORTING_HOLD_MS = 10000,
	EXPORTING_GRACE_MS = 3000,
	EXPORTING_DOMAINS = 65536,
	EXPORTING_TEMPLATES = 4096,
	EXPORTING_REPLAY_SHARE = 50,
};

/* When what is in a spool is told to the disk (fdatasync). */
enum exporting_sync {
	EXPORTING_SYNC_NEVER,	/* when the system likes */
	EXPORTING_SYNC_SEGMENT, /* at the end of each segment */
	EXPORTING_SYNC_TIME,	/* and each sync_ms */
};

/* Messages that a destination can't take now wait on disk. */
struct exporting_spool {
	const char *directory; /* NULL: there is no spool */
	uint64_t max_octets;   /* of all files */
	/* Of one file; no more than a quarter of max_octets is used. */
	uint64_t segment_octets;
	uint32_t max_age_s; /* older records are lost; 0: never */
	enum exporting_sync sync;
	uint32_t sync_ms;
	uint32_t replay_rate;  /* records a second; 0: no bound */
	uint32_t replay_share; /* per cent of the records sent while there are
				* new ones, 1 to 100 */
	bool drop_oldest;      /* when it is full; else new ones are lost */
	bool sealed; /* what is in it counts when it is sealed: exporting_seal
		      */
};

/*
 * Which Data Records of a batch a destination is to have: as filter_run, with
 * index of BATCH_MAX entries. Options Data Records are not asked for.
 */
struct exporting_filter {
	int (*run)(void *arg, const struct batch *batch, uint32_t *index);
	void *arg;	  /* the caller's, lives longer than the stage */
	const char *text; /* for the report; likewise */
};

struct exporting_destination {
	const char *name;
	enum exporting_kind kind;
	struct net_out_conf net; /* net.transport is set from kind */
	/*
	 * Octets of a message, without UDP and IP headers. 0: over UDP what
	 * the path takes in one packet, but no more than
	 * EXPORTING_UDP_MESSAGE; else EXPORTING_STREAM_MESSAGE.
	 */
	uint32_t max_message;
	/*
	 * UDP only: Templates are sent again after that time, or that many
	 * messages of the session, whichever is first; 0: not by this rule.
	 */
	uint32_t template_refresh_ms, options_template_refresh_ms;
	uint32_t template_refresh_packets, options_template_refresh_packets;
	uint64_t queue_octets; /* bound of messages that wait */
	/*
	 * Only records of scopes with these domains, options included, 0: of
	 * all; and of these the Data Records that the filter takes (run NULL:
	 * all).
	 */
	const uint32_t *domain;
	unsigned domain_count;
	struct exporting_filter filter;
	/*
	 * SCTP only: Flow Records may come in any order; they are given up
	 * after that time, 0: never; each Template has a stream for itself as
	 * long as there are enough (RFC 6526), in which case all is in order.
	 */
	bool unordered, stream_per_template;
	uint32_t lifetime_ms;
	struct exporting_spool spool; /* not of files and JSON lines */
	/*
	 * TCP, with a spool: the collector acknowledges records. Nothing is
	 * sent to one that does not.
	 */
	bool acknowledged;
};

struct exporting_options {
	const char *name;
	enum exporting_option type;
	/*
	 * Sent again after that time, and at once when something is new;
	 * 0: only when something is new, counters once a second at most.
	 * Not configured: EXPORTING_OPTIONS_MS.
	 */
	uint32_t timeout_ms;
};

struct exporting_conf {
	const char *name;
	uint32_t id; /* exportingProcessId, 0: one is made */
	enum exporting_mode mode;
	enum exporting_balance balance;
	enum exporting_domains domains;
	/* Where the domains are kept over restarts, or NULL. */
	const char *domain_file;
	enum exporting_origin origin;
	struct exporting_destination *destination;
	unsigned destination_count; /* at least 1 */
	struct exporting_options *options;
	unsigned options_count;
	uint32_t flush_ms;      /* a message is finished at that age */
	uint32_t hold_ms;       /* one that was away must have been up for so
				 * long before it is as good as the others */
	uint32_t grace_ms;      /* a destination down for less is in health */
	uint32_t max_domains;   /* out-domains alive or remembered */
	uint32_t max_templates; /* per out-domain and destination */
};

/*
 * Opens all destinations and makes the stage, freed by stage_free (which sends
 * what is with the kernel's socket only: call stage_flush and wait until
 * stage_drained first). conf is copied with all it points to; registry and
 * shapes must live longer. A destination over TCP need not be there yet; a file
 * that can't be opened is an error, as is everything that net_out_open refuses.
 * On error *error is a message for the user (to be freed), or NULL.
 */
int exporting_new(struct event_base *base, const struct exporting_conf *conf,
		  struct ie_registry *registry, struct shape_table *shapes,
		  struct stage **out, char **error);

/*
 * Would all that it was given outlive this process now? What waits in messages
 * that are not full is written, for files, and for destinations that
 * acknowledge; others are not asked. False: some could not be written.
 */
bool exporting_secure(struct stage *stage);

/*
 * Notes how long the files are that are appended to (conflux/positions.h). True:
 * some have grown since they were noted.
 */
bool exporting_note_files(const struct stage *stage,
			  struct positions *positions);
/* At the start: cuts them back to what was found. 0 or a negative errno. */
int exporting_cut_files(struct stage *stage, const struct positions *positions);

/*
 * Where spools are sealed (struct exporting_spool): writes a seal with that
 * number, one more than the last one of all Exporting Processes, behind all
 * that is stored, which has those positions. Not 0: not all have it, unseal
 * all. When all have it, release it: then it is sent.
 */
int exporting_seal(struct stage *stage, uint64_t number,
		   const struct positions *positions);
void exporting_unseal(struct stage *stage, uint64_t number);
void exporting_release(struct stage *stage);
/* Is there a spool that is sealed? */
bool exporting_seals(const struct stage *stage);
/* Is there something that is not released? */
bool exporting_unsealed(const struct stage *stage);
/*
 * At the start: the newest seal of all spools, those of other processes
 * included, with which *newest is begun (0: none); *behind: some have the one
 * before it only. Then that is the one that counts, and the newest is taken
 * back; the positions that it has are added. 0 or a negative errno.
 */
void exporting_sealed(const struct stage *stage, uint64_t *newest,
		      bool *behind);
int exporting_seal_back(struct stage *stage, uint64_t number);
int exporting_seal_read(struct stage *stage, uint64_t number,
			struct positions *positions);

/*
 * The end of all sessions, in order as far as it can be had within a second for
 * each: then nothing is held, what did not go is lost. Only exporting_ledger and
 * freeing the stage may follow.
 */
void exporting_end(struct stage *stage);

/*
 * Reads certificates, keys and lists of all destinations again, for sessions to
 * come; what can't be used is logged, and the destination stays as it was. Adds
 * to the numbers of those that read theirs, and that failed.
 */
void exporting_reload(struct stage *stage, unsigned *done, unsigned *failed);
/* Logs what of it will expire soon. now: seconds, UTC. */
void exporting_warn_expiry(struct stage *stage, int64_t now);

/* Ledger of one destination (for tests and metrics), brought up to date. */
const struct ledger *exporting_ledger(struct stage *stage, unsigned index);

#endif
