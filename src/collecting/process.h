/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this module share. A Collecting Process has receivers; a
 * receiver has Transport Sessions; a session has a template store and
 * Observation Domains. Each owns what is below it.
 */
#ifndef CONFLUX_COLLECTING_PROCESS_H
#define CONFLUX_COLLECTING_PROCESS_H

#include <stdarg.h>
#include <sys/queue.h>

#include "conflux/collecting.h"
#include "conflux/log.h"
#include "conflux/message.h"
#include "conflux/netflow.h"
#include "conflux/table.h"
#include "conflux/template.h"
#include "sequence.h"

/* Kinds of complaints, each with its own limit per exporter. */
enum complaint {
	COMPLAINT_MESSAGE,
	COMPLAINT_SET,
	COMPLAINT_TEMPLATE,
	COMPLAINT_NO_TEMPLATE,
	COMPLAINT_DATA,
	COMPLAINT_SEQUENCE,
	COMPLAINT_OPTIONS,
	COMPLAINT_LIMIT,
	COMPLAINT_SESSION,
	COMPLAINT_LOOP,
	COMPLAINT_COUNT,
};

enum {
	LOG_BUCKETS = 32, /* exporters are spread over so many log limits */
	PLANS = 64,	  /* cache of options plans, a power of two */
	TEMPLATE_SESSIONS = 256, /* with all the Templates of max_templates */
	STREAMS_MAX = 1024,	 /* of all domains of a session, SCTP */
};

/* Of a session; those of ended sessions are added up in the receiver. */
struct counters {
	uint64_t messages;
	uint64_t discarded;
	uint64_t octets;
	uint64_t records;
	uint64_t templates;
	uint64_t options_templates;
	uint64_t duplicates;
	uint64_t late;
	uint64_t restarts;
	uint64_t unknown_sets;
	uint64_t options_refused; /* not remembered: a bound was reached */
	uint64_t had; /* Flow Records that came again, see acknowledge.c */
};

/* What is interesting in the records of an Options Template's shape. */
struct options_plan {
	uint32_t serial; /* of the shape; 0: free, shapes start at 1 */
	uint64_t names;  /* hash of the (PEN, id) list */
	bool teaches;    /* has type information (RFC 5610) */
	bool keep;
	bool origin; /* tells of the origin of a domain: see path.c */
	/* Fields, or -1: 346, 303, 145, 173, 286, 160, 276. */
	int pen, element, template_id, flow_keys, technique, init_time,
		reliability;
};

struct held;
struct option;
TAILQ_HEAD(held_list, held);

/* Parts of a message of which it is not known how many records they hold. */
struct unknown {
	uint64_t message; /* number of the message in its domain */
	uint32_t octets[2]; /* lost already: see enum unknown_kind */
	uint32_t counted[2]; /* records counted for them */
	uint32_t held;       /* octets that are held */
};

enum unknown_kind { UNKNOWN_TEMPLATE, UNKNOWN_MALFORMED };

/* When a message was made and when it came. */
struct arrival {
	uint64_t export_ms;
	uint64_t received_ms; /* wall clock */
	uint32_t uptime_ms;   /* of NetFlow, when it was made */
	uint16_t interval;    /* of NetFlow version 5: see netflow_header */
	uint8_t sampling;
};

/* What a domain speaks. One session may have domains of several. */
enum protocol {
	PROTOCOL_IPFIX,
	PROTOCOL_NETFLOW5,
	PROTOCOL_NETFLOW9,
	PROTOCOL_SFLOW,
};

/* RFC 7011 section 3.1: each stream of SCTP counts its records by itself. */
struct stream {
	SLIST_ENTRY(stream) link;
	uint16_t number;
	uint16_t template_id; /* whose data is on it; 0: none yet */
	bool mixed;	      /* data of others is, too */
	uint64_t messages;
	struct sequence sequence;
	struct unknown unknown; /* of the last message in order */
};

struct origin;

struct domain {
	struct scope *scope; /* of its origin */
	struct origin *origin;
	struct session *session;
	enum protocol protocol;
	struct stream first; /* the first that was seen; all, but with SCTP */
	SLIST_HEAD(, stream) others;
	struct stream *stream; /* of the message that is read */
	bool uncounted;	       /* its numbers are not looked at */
	bool loop;	       /* its records have been through here */
	struct ledger ledger;
	uint64_t messages;
	uint64_t used_ms; /* monotonic, last message */
	struct unknown now;	   /* of the message that is read */
	uint32_t records, options; /* in the message that is read */
	struct held_list held;
	uint64_t held_ids; /* bit id % 64 of each held set */
	uint64_t wanted_ids; /* likewise of templates that just came */
	const struct arrival *arrival; /* of the records that are read */
	uint32_t uptime_ms; /* of its last datagram: NetFlow 9, sFlow */
	uint64_t export_ms; /* of NetFlow 9, at that uptime; 0: none yet */
	bool sflow_started;
	uint32_t sflow_sequence; /* of its last datagram */
	uint32_t sflow_missing;  /* datagrams that may still come */
};

struct session {
	TAILQ_ENTRY(session) link;
	struct collecting_receiver *receiver;
	struct collecting *process;
	struct net_session *net;
	struct template_store *templates;
	struct table domains;
	struct domain *last; /* of the last message */
	struct table options;
	uint32_t streams; /* others than the first of a domain */
	uint32_t learnt; /* elements */
	uint32_t options_octets;
	uint32_t held_octets;
	uint16_t version; /* of the last message */
	struct counters counters;
	uint64_t rate_octets; /* counters.octets at the last second */
	uint64_t rate;        /* octets per second */
	/* Acknowledgement: the stream, or NULL; the number of its next Flow
	 * Record; messages of which all is safe, and those of which that was
	 * told; is an answer waited for? Messages that went back. */
	struct position *position;
	uint64_t next, safe_messages, told;
	bool awaited;
	uint32_t replies;
};

struct collecting_receiver {
	TAILQ_ENTRY(collecting_receiver) link;
	struct collecting *process;
	char *name;
	enum transport transport;
	struct template_limits limits;
	TAILQ_HEAD(sessions, session) sessions;
	struct counters ended;
	uint64_t ended_sessions;
	/* Sessions turned away. Without memory: as full. */
	uint64_t refused_sessions[NET_REFUSALS];
	uint64_t refused_messages; /* datagrams of sessions without room */
	uint64_t dropped;      /* datagrams, by the kernel */
	uint64_t dropped_told; /* of them, in the log */
	struct log_limit dropped_limit;
	bool finished;
	bool any_port;
	bool acknowledges;
	bool dials;
};

struct saved_files;

struct collecting {
	struct stage stage;
	struct collecting_conf conf;
	char *name;
	TAILQ_HEAD(, collecting_receiver) receivers;
	uint64_t now_ms; /* monotonic, of the last tick */
	uint64_t second_ms;
	uint64_t seed;
	uint32_t held_octets;
	uint32_t held_sets;
	uint32_t templates; /* of all sessions */
	uint32_t options_octets;
	bool relearn;
	bool told_finished;
	uint32_t *exporting_id; /* conf.exporting_ids */
	struct options_plan plan[PLANS];
	const struct shape *sflow_shape[4]; /* held, when they are needed */
	const struct shape *position_shape; /* held, if there are positions */
	uint64_t unacknowledged;	    /* Flow Records */
	struct netflow *netflow;	    /* NULL, until it is needed */
	struct saved_files *saved; /* NULL: there is no file */
	uint64_t written_ms;	   /* monotonic */
	uint64_t restored;	   /* Templates */
	uint64_t not_restored;	   /* domains that counted anew */
	struct log_limit file_limit;
	struct log_limit limit[LOG_BUCKETS][COMPLAINT_COUNT];
};

/* ---- complaint.c ------------------------------------------------------- */

/*
 * A warning about what the peer of this session did: who comes first, how many
 * like it were held back comes last.
 */
void complain(struct session *session, enum complaint kind, const char *format,
	      ...) __attribute__((format(printf, 3, 4)));

/* "udp 192.0.2.1:4444" or "file NAME". size should be SESSION_TEXT. */
#define SESSION_TEXT 256
char *session_format(char *text, size_t size, const struct net_session *net);

/* ---- session.c --------------------------------------------------------- */

extern const struct net_in_ops session_net_ops;

void session_free(struct session *session);
void counters_add(struct counters *sum, const struct counters *one);

/* Counts records that are known to have come, and are lost. */
static inline void
account_lost(struct domain *domain, enum loss reason, uint64_t records)
{
	struct ledger *sum = &domain->session->process->stage.ledger;

	domain->ledger.in += records;
	domain->ledger.lost[reason] += records;
	sum->in += records;
	sum->lost[reason] += records;
}

/* Records that are missing; less than 0: that are not, after all. */
static inline void
account_gap(struct domain *domain, uint64_t records)
{
	domain->ledger.lost[LOSS_SEQUENCE_GAP] += records;
	domain->session->process->stage.ledger.lost[LOSS_SEQUENCE_GAP] +=
		records;
}

/* Found or made; NULL: a bound is reached, or no memory. */
struct domain *session_domain(struct session *session, enum protocol protocol,
			      uint32_t id);

/* A message of this domain begins. */
void domain_begin(struct domain *domain);

/*
 * Reads the sets of a message, that of NetFlow version 9 included. octets may
 * be more than its length says, over UDP: a set that reaches behind the length,
 * but not behind the datagram, shows that the length is wrong, and is read.
 * Returns how many octets were read up to the end of the last good set.
 */
size_t domain_read_sets(struct domain *domain, struct message_reader *reader,
			const uint8_t *message, size_t octets,
			const struct arrival *arrival);

/* The last octets of a message, behind the last good set, cannot be read. */
void domain_bad_rest(struct domain *domain, const char *reason,
		     uint32_t octets);

/* A message was read to its end, or as far as it goes. */
void domain_end(struct domain *domain, const struct message_header *header);

/* There is no room for the domain of a message: its data is counted. */
void session_refuse_domain(struct session *session,
			   struct message_reader *reader);

/* ---- stream.c ---------------------------------------------------------- */

/* Sets domain->stream to that of the session's message. */
void stream_choose(struct domain *domain);
/* Data of this Template is on the stream of the message. */
void stream_carries(struct domain *domain, uint16_t template_id);
/* Records that are missing on streams with data of this Template only. */
uint64_t streams_lost_of(const struct domain *domain, uint16_t template_id);
void streams_free(struct domain *domain);
/* Of all streams. */
struct sequence_account streams_account(const struct domain *domain);

/* ---- origin.c ---------------------------------------------------------- */

/*
 * Gives the domain the scope of its records: that of the session which its own
 * replaces, or one of its own. -ENOMEM.
 */
int origin_take(struct domain *domain, uint32_t id);
/* The records that come now are of this domain. */
void origin_reading(struct domain *domain);
/* The scope ends with its last domain. */
void origin_release(struct domain *domain);
/* In the same session, or NULL. */
struct domain *session_find_domain(const struct session *session,
				   enum protocol protocol, uint32_t id);

/* ---- saved.c ----------------------------------------------------------- */

/* Reads the files, if there are any; what is in none is no error. -ENOMEM. */
int saved_load(struct collecting *c);
void saved_free(struct collecting *c);
/*
 * Before the first message of a domain is read: gives it the Templates that
 * were saved of it.
 */
void saved_restore(struct domain *domain, const struct message_header *header);
/* Writes ours; end: and waits for the disk. */
void saved_write(struct collecting *c, bool end);

/* ---- sflow.c ----------------------------------------------------------- */

enum { SFLOW_HEADER_MAX = 4096 };

/* A datagram that sflow_is; the same results as a message. */
int sflow_datagram(struct session *session, const uint8_t *p, size_t length);

/* ---- netflow.c --------------------------------------------------------- */

/* A datagram that netflow_is; the same results as a message. */
int netflow_datagram(struct session *session, const uint8_t *p, size_t length);

/* Makes the records of a batch those of IPFIX, and hands them on. */
void netflow_forward(struct domain *domain, const struct batch *batch);

/* NULL is legal. */
void netflow_free(struct netflow *netflow);

/* ---- data.c ------------------------------------------------------------ */

/* Hands on records of the model of IPFIX, and counts them. */
void data_forward(struct domain *domain, const struct batch *batch);

/*
 * Reads the records of a Data Set and hands them on. Returns how many there
 * were; *bad is set to the octets at its end that are no record.
 */
uint32_t data_read(struct domain *domain, struct template *template,
		   const uint8_t *p, uint32_t length,
		   const struct arrival *arrival, uint32_t *bad);

/* ---- held.c ------------------------------------------------------------ */

/* Keeps a copy of a Data Set until its template comes. False: no room. */
bool held_add(struct domain *domain, const struct set *set,
	      const struct arrival *arrival);

/* Reads what is held for the templates in wanted_ids. */
void held_replay(struct domain *domain);

/* Gives up what is older than held_ms; held_drop: everything. */
void held_expire(struct session *session);
void held_drop(struct domain *domain);

/*
 * The sequence number tells that the unknown parts of the last message had so
 * many records, from this number on: the ones that are lost are counted. So
 * many behind them are missing.
 */
void held_derived(struct domain *domain, uint32_t from, uint32_t records,
		  uint32_t gap);

/* The message that was just read is late; what is unknown in it begins so. */
void held_late(struct domain *domain, uint32_t from);

/* Records of a late message may be among those that were derived. */
void held_came_late(struct domain *domain, struct stream *stream,
		    uint32_t start, uint32_t records);

/* ---- options.c --------------------------------------------------------- */

/* Looks at Options Data Records. */
void options_learn(struct domain *domain, const struct batch *batch);

/* Forgets what is remembered of a domain. */
void options_drop(struct domain *domain);

/* ---- path.c ------------------------------------------------------------ */

/* Do records of this Options Template's shape tell where others were? */
bool path_told_by(const struct shape *shape);
/* Such a record was read in this domain. */
void path_learn(struct domain *domain, const struct shape *shape,
		const uint8_t *record, uint32_t length);

/* ---- acknowledge.c ----------------------------------------------------- */

/* 0 or -ENOMEM. */
int acknowledge_init(struct collecting *c);
/*
 * Of a session that may be acknowledged: takes records off that we have. True:
 * nothing is left.
 */
bool acknowledge_takes(struct domain *domain, struct batch *batch);
void acknowledge_end(struct session *session);
void acknowledge_report(const struct session *session, struct report *report);

/* ---- report.c ---------------------------------------------------------- */

void process_report(struct stage *stage, struct report *report);

#endif
