/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the Exporting Process share. Three nouns:
 *
 * domain   one out-domain (Observation Domain ID that we send) of the process,
 *          which belongs to one domain of one exporter
 * sink     one destination with its queue and Transport Session
 * channel  one domain at one sink: its Templates, its sequence number and the
 *          message that is being filled
 *
 * A record is copied once, into the message that its channel is filling. A
 * finished message goes out at once when the sink is ready and nothing waits
 * before it; else it waits in the sink's queue. Only when a message is sent it
 * is looked at which Templates it needs that this session has not seen (or not
 * for too long): they, and the options that belong to them, go before it in a
 * control message, and the sequence number is filled in. So nothing that waits
 * has to be rewritten when a session breaks and the next one starts anew.
 */
#ifndef CONFLUX_EXPORTING_EXPORTING_H
#define CONFLUX_EXPORTING_EXPORTING_H

#include <sys/queue.h>

#include "conflux/exporting.h"
#include "conflux/log.h"
#include "conflux/message.h"
#include "conflux/table.h"
#include "conflux/template.h"

struct exporting;
struct sink;
struct channel;
struct out_template;

/* ---- domain.c ----------------------------------------------------------- */

/* What is told of a domain, see identity.c. */
struct identity {
	uint32_t serial;      /* of the scope's origin */
	struct addr direct;   /* who sent it to us */
	struct addr exporter; /* who made it; version 0: we did */
	uint32_t domain;
	uint32_t version; /* counted on with each change */
	uint8_t shape;	  /* enum option_shape */
	uint32_t length;  /* 0: nothing is to be told */
	/* observationDomainId, address, domain, list of the way. */
	uint8_t record[4 + 16 + 4 + 6 + 4 * (SCOPE_PATH_MAX + 1)];
};

TAILQ_HEAD(kept_list, kept);

struct domain {
	uint32_t number;    /* Observation Domain ID on the wire */
	uint32_t index;     /* in sink->channel[] */
	uint32_t source;    /* domain of the scope it was made for */
	struct addr owner;  /* exporter of that scope, without its port */
	uint32_t users;     /* live scopes */
	struct identity identity;
	bool shared;        /* of scopes of the process itself */
	bool pinned;        /* for our own options: never given to another */
	unsigned turn;      /* load balancing by turns: whose it is */
	struct kept_list kept; /* what has to be told again in it */
	uint32_t kept_octets;
	uint32_t kept_version; /* counted on with each change */
	TAILQ_ENTRY(domain) idle;
};

TAILQ_HEAD(domain_list, domain);

struct domains {
	struct table by_serial; /* struct binding */
	struct table by_number; /* struct domain */
	struct table by_owner;  /* struct domain, but for pinned ones */
	uint64_t seed;		/* of by_owner */
	struct domain **all;    /* by index */
	uint32_t count, size;
	struct domain_list idle; /* without users, longest idle first */
	uint32_t next;           /* number to try next */
	uint64_t last_serial;    /* one entry cache */
	struct domain *last;
	struct log_limit limit, file_limit;
	bool changed; /* since the file was written */
	uint64_t write_ms; /* not before */
};

void domains_init(struct exporting *e);
void domains_fini(struct exporting *e);
/* The out-domain of a scope, or NULL: the bound is reached, or no memory. */
struct domain *domain_get(struct exporting *e, const struct scope *scope);
/* The same, or NULL if it has none. */
struct domain *domain_find(const struct exporting *e,
			   const struct scope *scope);
/* NULL if the scope never sent anything, or others still use its domain. */
struct domain *domain_release(struct exporting *e, const struct scope *scope);
/* The domain with this number, whoever uses it; made if need be. */
struct domain *domain_numbered(struct exporting *e, uint32_t number);
/* The domain with this number for our own options. */
struct domain *domain_own(struct exporting *e, uint32_t number);
/* The Observation Domain ID of a domain of the same exporter; false: none. */
bool domain_number(const struct exporting *e, const struct scope *scope,
		   uint32_t source, uint32_t *number);
/* One of a past run: -EEXIST, -ENOSPC, -ENOMEM. */
int domain_restore(struct exporting *e, uint32_t number,
		   const struct addr *owner, uint32_t source);

/* ---- domain_file.c ------------------------------------------------------- */

/* Reads what is known of past runs. */
int domain_file_load(struct exporting *e, char **error);
/* Writes it if something is new; at the end, without waiting. */
void domain_file_save(struct exporting *e, bool end);

/* ---- identity.c ---------------------------------------------------------- */

int identity_init(struct exporting *e);
void identity_fini(struct exporting *e);
/* Brings up to date what is told of a domain. */
void identity_take(struct exporting *e, struct domain *domain,
		   const struct scope *scope);
/* What an earlier run told of it, unless it is known. */
void identity_restore(const struct exporting *e, struct domain *domain,
		      uint8_t shape, const uint8_t *record, uint32_t length);
/* Is an Options Data Record of this shape told by ours? */
bool identity_replaces(const struct exporting *e, const struct shape *shape);
/* Tells it in the session, if it was not told. 0 or -EAGAIN. */
int identity_tell(struct sink *sink, struct channel *channel);
/* What goes behind a Template, if it is that of the option. */
int identity_follow(struct sink *sink, const struct out_template *t);
/* The shape of records that tell it themselves; NULL: they stay. */
const struct shape *identity_shape(struct exporting *e,
				   const struct domain *domain,
				   const struct shape *shape);
/*
 * Makes such records of those from first on, as many as fit, valid until the
 * next call. Returns how many.
 */
uint32_t identity_add(struct exporting *e, const struct domain *domain,
		      const struct shape *wider, const struct batch *batch,
		      uint32_t first, struct batch *out);

/* ---- channel.c ---------------------------------------------------------- */

struct out_template {
	const struct shape *shape; /* held */
	struct channel *channel;
	uint16_t id;
	uint16_t stream; /* SCTP: modulo those of the session */
	bool options;
	bool retired;          /* no new data; goes when its data has gone */
	bool relative;         /* fields relative to the Export Time */
	bool enterprise;       /* has elements that RFC 5610 can describe */
	bool too_long;         /* its definition does not fit a message */
	bool lists;            /* has structured data (RFC 6313) */
	bool used;             /* a list has named it */
	bool inner;	       /* it is for lists on its stream only */
	/* RFC 6526: the Options Template by which its stream is told how its
	 * data goes; NULL: there is none. Not in by_shape. */
	struct out_template *reliability;
	struct out_template **uses; /* that its lists have named */
	uint16_t uses_count;
	uint32_t epoch;        /* session it was sent in last, 0: none */
	uint64_t spooled;      /* segment of the spool that has it, 0: none */
	uint64_t sent_ms;      /* monotonic */
	uint64_t sent_messages; /* message count of the sink then */
	uint64_t last_message; /* of its channel, that has data of it */
	uint64_t records;
	uint64_t accessed_ms;  /* wall clock of the last data */
	uint64_t flow_keys;
	uint32_t keys_epoch;   /* session in which they were told */
	uint64_t keys_ms;
	uint16_t marks_told; /* of its fields, since it was sent last */
	TAILQ_ENTRY(out_template) sent;    /* UDP: longest not sent first */
	STAILQ_ENTRY(out_template) ending; /* retired ones */
};

/* An element that was described in this domain (RFC 5610). */
struct told {
	const struct ie *ie;
	uint32_t epoch;
	uint64_t ms;
};

struct channel {
	struct sink *sink;
	struct domain *domain; /* the place of one, see domain.c */
	uint32_t identity_epoch, identity_version; /* that was told last */
	uint32_t number;   /* Observation Domain ID */
	uint16_t stream;   /* SCTP: modulo those of the session */
	uint32_t epoch;    /* session that the sequence belongs to */
	uint32_t *sequence; /* Data Records sent in it, by stream */
	uint64_t finished; /* messages */
	uint64_t gone;     /* of them, sent or lost */
	uint64_t messages, records, octets; /* sent */
	uint64_t told_messages; /* as of the last statistics */
	/* Data Records in this segment of the spool. */
	uint64_t spooled;
	uint32_t spool_sequence;
	/* The segment that has the options of the domain, of this version. */
	uint64_t options_segment;
	uint32_t options_version;
	/* The message that is being filled; writer.length 0: none. */
	struct message_writer writer;
	uint8_t *buffer;
	uint64_t begun_ms;
	uint32_t export_time; /* that it must have, 0: when it is finished */
	uint16_t filling;     /* its stream */
	bool reliable;	      /* it has more than Flow Records */
	uint32_t flows;	      /* that it has */
	TAILQ_ENTRY(channel) open;
	/* Templates: by shape those in use, by id the retired ones too. */
	struct out_template *last; /* last used */
	struct table by_shape, by_id;
	uint16_t next_id;
	struct table told;
};

/* The channel of a domain, or NULL: no memory. */
struct channel *channel_get(struct sink *sink, struct domain *domain);
/* That of domain_numbered. */
struct channel *channel_numbered(struct sink *sink, uint32_t number);
void channel_free(struct channel *channel);

/* Found or made; NULL: no memory, or the bound is reached. */
struct out_template *channel_template(struct channel *channel,
				      const struct shape *shape);
/* For our own options: no bound, nothing has to make room for it. */
struct out_template *channel_template_own(struct channel *channel,
					  const struct shape *shape);
/* For what the lists of a Template name. */
struct out_template *channel_template_inner(struct out_template *user,
					    const struct shape *shape);
bool channel_template_room(const struct channel *channel);
struct out_template *channel_template_by_id(struct channel *channel,
					    uint16_t id);
void out_template_free(struct out_template *t);

/* Finishes the open message, if there is one, and sends or queues it. */
void channel_finish(struct channel *channel);
/* The scope has ended: its Templates are withdrawn after their data. */
void channel_end(struct channel *channel);
/* The same of the Template of this shape, if there is one. */
void channel_end_shape(struct channel *channel, const struct shape *shape);
/*
 * The sequence number for the next message on this stream in the present
 * session; to be counted on by its records.
 */
uint32_t *channel_sequence(struct channel *channel, uint16_t stream);

/* Which records of a batch were taken: a bit each. */
struct taken {
	uint64_t bits[BATCH_MAX / 64];
};

uint32_t taken_count(const struct taken *taken);

void channel_put(struct channel *channel, const struct batch *batch,
		 struct taken *taken);
/*
 * How many of the first records of a batch still go into the message that is
 * being filled, or into a new one if there is none.
 */
uint32_t channel_fits(const struct channel *channel, const struct batch *batch);

/* ---- lists.c ------------------------------------------------------------ */

/* Is not given to a Template, so nobody knows it. */
#define ID_UNKNOWN 65535

/* Makes the Template ids within the lists of a record ours, in place. */
void lists_rewrite(struct out_template *t, const struct scope *scope,
		   uint8_t *record, uint32_t length);

/* ---- queue.c ------------------------------------------------------------ */

enum queue_kind {
	QUEUE_NEW,
	QUEUE_REPLAYED,	     /* out of the spool, where it still is */
	QUEUE_REPLAYED_LAST, /* likewise, the last of what was one message */
	QUEUE_CONTROL,
	/* In the window: it was not delivered; it is settled otherwise. */
	QUEUE_UNDELIVERED,
	QUEUE_SETTLED,
};

struct queue_entry {
	struct channel *channel;      /* NULL: JSON lines, control messages */
	struct net_delivery delivery; /* its stream: modulo the session's */
	uint32_t length;
	uint32_t records;
	uint32_t sent; /* octets, where length is only what is kept of it */
	enum queue_kind kind;
	/* Of the records, Flow Records; out of a spool: its run, and where in
	 * it they are. */
	uint32_t flows, run;
	uint64_t position;
};

struct chunk;

/* First in, first out; in chunks of memory that are used again. */
struct queue {
	struct chunk *head, *tail, *spare;
	struct queue_entry *newest;
	uint64_t octets;
	uint64_t messages;
	uint64_t records;
};

/* -ENOMEM. The bound is the caller's. */
int queue_push(struct queue *queue, const struct queue_entry *entry,
	       const uint8_t *message);
/* The next messages with so many octets together can be pushed. -ENOMEM. */
int queue_reserve(struct queue *queue, uint32_t octets, uint32_t messages);
/* The entry pushed last: it stays where it is until it is popped. */
struct queue_entry *queue_newest(const struct queue *queue);
/* The oldest, or NULL; *message may be changed in place. */
const struct queue_entry *queue_peek(struct queue *queue, uint8_t **message);
void queue_pop(struct queue *queue);
void queue_fini(struct queue *queue);

/* ---- sink.c ------------------------------------------------------------- */

enum {
	/* Messages with net_out whose fate may still be told. */
	FLIGHT_MAX = NET_SCTP_FLIGHT,
	JSON_OCTETS = 60000,
};

TAILQ_HEAD(channel_list, channel);
TAILQ_HEAD(out_template_list, out_template);
STAILQ_HEAD(out_template_queue, out_template);

struct option_round {
	bool running;
	uint32_t cursor;   /* channel to go on with */
	uint64_t start_ms; /* of the present or last round */
	uint64_t told;     /* losses as of the last report */
};

/* See health.c. */
enum sink_state {
	SINK_WELL,
	SINK_AWAITED,  /* down, for less than the grace time */
	SINK_RETURNED, /* up again, for less than the hold time */
	SINK_AWAY,
};

struct sink {
	struct exporting *exporting;
	struct exporting_destination *conf;
	unsigned index;
	struct net_out *out;
	bool up, ready, pumping, was_up;
	bool opening;	     /* what a session begins with is not all out */
	uint32_t opening_at; /* of it: channels done */
	bool queue_full;         /* records are being refused now */
	uint32_t epoch;          /* sessions so far */
	uint16_t streams;	 /* of the session */
	uint16_t next_stream;	 /* for a Template of its own stream */
	uint64_t up_ms, down_ms; /* monotonic, of the last change */
	enum sink_state state;
	uint64_t refused; /* net_out_stats.refused, as of the last look */
	uint64_t refused_ms, probed_ms; /* monotonic, 0: never */
	uint64_t moved; /* records that others got instead */
	uint64_t discontinuity_ms;
	uint32_t max_message;
	bool fit; /* the size follows what the path takes */
	bool sealed; /* DTLS: what that is, is known in a session only */
	/* Before all data, and not just before their own: where datagrams
	 * overtake each other, and where sessions replace others. */
	bool templates_first;
	struct ledger ledger;
	enum loss last_loss; /* why a record was lost last */
	struct queue queue;
	struct forward *forward; /* NULL: there is no spool */
	/* Channels by domain->index, and those with an open message. */
	struct channel **channel;
	uint32_t channel_size;
	struct channel_list open;
	uint32_t open_count, open_max;
	uint64_t open_records, open_octets;
	uint8_t *record; /* one with lists, while it is changed */
	uint8_t **spare; /* message buffers: a stack of open_max places */
	uint32_t spare_count;
	/* The control message: Templates, withdrawals, options. */
	struct message_writer control;
	uint8_t *control_buffer;
	struct channel *control_channel;
	uint16_t control_stream;
	uint32_t data_time; /* of the message that it is to go before, or 0 */
	uint32_t control_length; /* > 0: it is finished, but not yet sent */
	uint32_t control_counted; /* records in it that are in the account */
	struct out_template_list sent[2]; /* Templates, Options Templates */
	struct out_template_queue ending;
	struct option_round *round; /* one for each conf.options */
	uint64_t kept_ms; /* when kept.c has to look again */
	/*
	 * Records of each message given to net_out, by its number: of those
	 * that are not yet sent, the oldest is flight_head. Those before may
	 * still come back (SCTP). flight_records are those that wait nowhere
	 * else (in the spool).
	 */
	uint32_t flight[FLIGHT_MAX];
	uint64_t flight_head, flight_first; /* of this session */
	uint32_t flight_count;
	uint64_t flight_records;
	uint64_t kernel_messages; /* of net_out_stats, as of the last look */
	/* JSON. */
	struct text text;
	uint32_t text_records;
	uint64_t text_begun_ms;
	/* For the report and the statistics options. */
	uint64_t messages, records, octets, refused_messages;
	uint64_t undelivered; /* records, SCTP: in this session */
	/* DTLS: records exported before the peer was asked, and before it was
	 * asked for its last answer; told: it is asked in this session. */
	uint64_t asked_records, sure_records;
	bool asked;
	uint64_t rate_ms, rate_octets, rate;
	uint64_t lost_records, lost_packets, lost_octets;
	uint64_t lost_first_ms, lost_last_ms; /* wall clock */
	struct log_limit lost_limit, size_limit, full_limit;
};

void sink_init(struct sink *sink, struct exporting *e,
	       struct exporting_destination *conf);
int sink_open(struct sink *sink, char **error);
/* See exporting_end. */
void sink_end(struct sink *sink);
void sink_close(struct sink *sink);
/* Takes what it can of the batch; the rest is lost and counted. */
enum loss sink_put(struct sink *sink, struct domain *domain,
		   const struct batch *batch, struct taken *taken);
void sink_tick(struct sink *sink, uint64_t now_ms);
void sink_flush(struct sink *sink);
/* See exporting_secure. */
bool sink_secure(struct sink *sink);
bool sink_drained(const struct sink *sink);
/* Is its queue over three quarters? */
bool sink_congested(const struct sink *sink);
/* May a new message be begun? If not, why its records are lost. */
bool sink_admit(struct sink *sink);
enum loss sink_refusal(const struct sink *sink);
/* Are its sessions told of Templates in order, and of their end? */
static inline bool
sink_reliable(const struct sink *sink)
{
	return sink->conf->kind == EXPORTING_TCP ||
	       sink->conf->kind == EXPORTING_SCTP;
}
/*
 * A finished message, sent at once or queued. True: it is in a buffer of the
 * sink's that is still needed, and that the sink takes back (sink_buffer_give).
 */
bool sink_message(struct sink *sink, const struct queue_entry *entry,
		  uint8_t *message);
/*
 * Gives one message to net_out. 0: it is done with (sent, or lost and counted);
 * *sent tells which. 1: sent, and it was lent (net_delivery). -EAGAIN: later.
 */
int sink_send(struct sink *sink, const struct queue_entry *entry,
	      const uint8_t *message, bool *sent);
/* Sends what can be sent now. */
void sink_pump(struct sink *sink);
/* Brings the ledger up to date with what the kernel has taken. */
void sink_settle(struct sink *sink);
uint8_t *sink_buffer_take(struct sink *sink);
void sink_buffer_give(struct sink *sink, uint8_t *buffer);

/* ---- health.c ----------------------------------------------------------- */

/* Takes nothing that another one could not send from this rank on. */
enum { SINK_RANK_UNFIT = 2 };

/* How good it is for a batch of so many octets: the less the better. */
unsigned sink_rank(const struct sink *sink, uint64_t octets);
/* Up, or down for less than the grace time. */
bool sink_healthy(const struct sink *sink);
const char *sink_state_name(enum sink_state state);
/* Looks at all destinations, tells of changes, and moves what waits. */
void health_tick(struct exporting *e);

/* ---- mode.c ------------------------------------------------------------- */

int mode_init(struct exporting *e);
void mode_fini(struct exporting *e);
/*
 * Gives a batch to those destinations that are to have it. *filtered: records
 * that none takes. Returns the reason of what was lost last.
 */
enum loss mode_run(struct exporting *e, struct domain *domain,
		   const struct batch *batch, struct taken *taken,
		   uint32_t *filtered);
/*
 * Records of one that is away to others; those that no other takes go back to
 * its own queue. Returns how many it is rid of.
 */
uint32_t mode_move(struct sink *from, struct domain *domain,
		   const struct batch *batch);
/* Which destinations got the options that mode_run was given; NULL: all. */
const bool *mode_put(const struct exporting *e);
bool mode_takes_domain(const struct exporting_destination *conf,
		       uint32_t domain);

/* ---- forward.c ---------------------------------------------------------- */

/*
 * Store and forward: what a destination with a spool can't take now goes to
 * disk, and is sent later. forward is NULL where there is no spool; then all
 * of these have nothing to do.
 */
struct forward;

int forward_open(struct sink *sink, char **error);
void forward_close(struct forward *forward);
/* Would a message that can't be sent be kept on disk? */
bool forward_takes(const struct forward *forward);
/* Is there no session, nor another destination that gets what waits here? */
bool forward_away(const struct forward *forward);
/* Should sources wait? */
bool forward_tight(const struct forward *forward);
/* 0: the message is on disk; else *loss says why not. */
int forward_store(struct forward *forward, const struct queue_entry *entry,
		  uint8_t *message, enum loss *loss);
/* What waits in memory goes to disk as far as it can. */
void forward_store_queue(struct forward *forward);
/* The queue of replayed messages if it is their turn, or NULL. */
struct queue *forward_turn(struct forward *forward);
/* The end of a round of sending; there may be a next one soon. */
void forward_round(struct forward *forward);
/* May sink_send send it? After that, it was: remembers it, or counts. */
int forward_before(struct forward *forward, const struct queue_entry *entry);
void forward_sent(struct forward *forward, const struct queue_entry *entry,
		  const uint8_t *message);
/* A message out of the spool was not sent and never will be. */
void forward_lose(struct forward *forward, const struct queue_entry *entry,
		  enum loss loss);
/* Is what was sent kept until the peer has it? Or even in the spool? */
bool forward_window(const struct forward *forward);
bool forward_keeps(const struct forward *forward);
/*
 * A message with this number (of flight) was not delivered. True: it will be
 * sent again, and its records are held.
 */
bool forward_undelivered(struct forward *forward, uint64_t number);
/* Nothing is to be done for it any more. */
void forward_forget(struct forward *forward, uint64_t number);
/* See net_out_ops. */
void forward_asked(struct forward *forward, bool answered);
/* Records of a replayed message were given to the system. */
void forward_exported(struct forward *forward, uint32_t records);
/* What the peer has is let go. */
void forward_settle(struct forward *forward);
/* Records in the spool that are not counted as exported. */
uint64_t forward_held(const struct forward *forward);
void forward_up(struct forward *forward);
/* The session is over: what the peer may not have is stored again. */
void forward_down(struct forward *forward);
void forward_tick(struct forward *forward, uint64_t now_ms);
/* No replay any more. */
void forward_stop(struct forward *forward);
bool forward_drained(const struct forward *forward);
/* The session is going to be ended in order. */
void forward_ending(struct forward *forward);
/* After the end of the session. */
void forward_end(struct forward *forward);
/* A Template is freed: the segment must not have its id for another. */
void forward_template_gone(struct forward *forward,
			   const struct out_template *t);
void forward_report(const struct forward *forward, struct report *report);
/* Does the peer acknowledge records? Then all goes by way of the spool. */
bool forward_acknowledged(const struct forward *forward);
/* And have we to acknowledge them? Then nothing waits in memory. */
bool forward_sealed(const struct forward *forward);
/* Before anything else in a session. 0: go on; -EAGAIN: later. */
int forward_greet(struct forward *forward);
/* Before a message: which records these are, if the peer would not know. */
int forward_announce(struct forward *forward, const struct queue_entry *entry);
/* See net_out_ops. */
void forward_answer(struct forward *forward, const uint8_t *octets,
		    size_t length);

/* ---- loss.c ------------------------------------------------------------- */

/* count records of a batch from the first on; or a whole message. */
void sink_lose_batch(struct sink *sink, const struct batch *batch,
		     uint32_t first, uint32_t count, enum loss loss);
void sink_lose_message(struct sink *sink, struct channel *channel,
		       const uint8_t *message, uint32_t length,
		       uint32_t records, enum loss loss);
void sink_lose(struct sink *sink, uint64_t records, enum loss loss);

/* ---- control.c ---------------------------------------------------------- */

/* All return 0, or -EAGAIN: call again when the sink is ready. */

/* Sends the Templates that this message needs, and what goes with them. */
int control_before(struct sink *sink, struct channel *channel,
		   const uint8_t *message, uint32_t length);
int control_add_template(struct sink *sink, struct out_template *t);
/* Has the session not seen the Template, or not for too long? */
bool control_is_due(const struct sink *sink, const struct out_template *t);
/* Adds one record of a Template that was sent. */
int control_add_own(struct sink *sink, const struct out_template *t,
		    const uint8_t *record, uint32_t length);
/* Adds one record of our own options, with its Template if need be. */
int control_add_record(struct sink *sink, struct channel *channel,
		       const struct shape *shape, const uint8_t *record,
		       uint32_t length);
/* Withdraws Templates whose last data has gone. */
int control_withdraw(struct sink *sink);
/* UDP: Templates that are due, whether there is data or not. */
int control_refresh(struct sink *sink, uint64_t now_ms);
/* Likewise one of other stages (kept.c), which is in the account. */
int control_add_kept(struct sink *sink, struct channel *channel,
		     const struct shape *shape, const uint8_t *record,
		     uint32_t length);
/* UDP: some Template, to hear whether there is still nobody. */
int control_probe(struct sink *sink);
/* A session that has just begun: if they come first, all Templates that those
 * before had. */
int control_all(struct sink *sink);
int control_send(struct sink *sink);
/* The session is over: what was made for it is of no use. */
/* The session is over. */
void control_drop(struct sink *sink);
bool control_pending(const struct sink *sink);

/* ---- options.c ---------------------------------------------------------- */

enum option_shape {
	OPTION_SHAPE_TYPE,
	OPTION_SHAPE_KEYS,
	OPTION_SHAPE_METERING,
	OPTION_SHAPE_RELIABILITY,
	OPTION_SHAPE_DATA_RELIABILITY, /* RFC 6526 */
	OPTION_SHAPE_ORIGIN_4,	       /* RFC 7119 */
	OPTION_SHAPE_ORIGIN_6,
	OPTION_SHAPE_ORIGIN_NONE,
	OPTION_SHAPE_ANONYMIZATION, /* RFC 6235 */
	OPTION_SHAPE_POSITION,	    /* see forward_answer.c */
	OPTION_SHAPE_SEAL,	    /* see forward_seal.c */
	OPTION_SHAPE_COUNT,
};

int options_init(struct exporting *e);
void options_fini(struct exporting *e);
bool options_wanted(const struct exporting *e, enum exporting_option type);
/* Elements of a Template that were not described yet; its flow keys. */
int options_types(struct sink *sink, struct out_template *t);
int options_keys(struct sink *sink, struct out_template *t);
/* What was done to its fields (struct field_mark), as far as not yet told. */
int options_marks(struct sink *sink, struct out_template *t);
bool options_describable(const struct ie *ie);
/* Writes what is told of an element; returns the length. */
enum {
	/* Of names and descriptions, so that it fits the smallest message. */
	OPTIONS_TYPE_STRING = 200,
	OPTIONS_TYPE_OCTETS = 26 + 2 * (OPTIONS_TYPE_STRING + 3),
};
uint32_t options_type_record(const struct ie *ie,
			     uint8_t record[OPTIONS_TYPE_OCTETS]);
/* What is told of a Template, of one of its fields; return the length. */
enum { OPTIONS_RECORD_OCTETS = 14 };
uint32_t options_keys_record(const struct out_template *t,
			     uint8_t record[OPTIONS_RECORD_OCTETS]);
uint32_t options_mark_record(const struct out_template *t, uint16_t field,
			     uint8_t record[OPTIONS_RECORD_OCTETS]);
/* Periodic ones. */
int options_run(struct sink *sink, uint64_t now_ms);

/* ---- kept.c ------------------------------------------------------------- */

/* Does the configuration ask for options of that kind? */
bool kept_wanted(const struct exporting *e, const struct batch *batch);
/* Remembers them; put tells which destinations have got them, NULL: all. */
void kept_batch(struct exporting *e, struct domain *domain,
		const struct batch *batch, const bool *put);
/* Is this very record the one that is kept? */
bool kept_has(const struct exporting *e, const struct batch *batch, uint32_t i);
/* What waited for this destination is gone: it gets them anew. */
void kept_renew(struct exporting *e, const struct sink *sink);
/* Sends again what is due. */
void kept_tick(struct exporting *e);
/* Adds to the control message what is new to the session. 0 or -EAGAIN. */
int kept_open(struct sink *sink);
/*
 * Those of the channel's domain, all or what a segment of its spool lacks. about
 * is the Template whose id is in the record, or NULL. put returns 0 if it is
 * done with.
 */
typedef int (*kept_put)(void *arg, const struct shape *shape,
			const uint8_t *record, uint32_t length,
			struct out_template *about);
int kept_store(struct sink *sink, struct channel *channel, uint64_t segment,
	       bool all, kept_put put, void *arg);
/*
 * One that was stored, about the Template of a shape or NULL, is told now; or
 * what is kept of the same, if that was not. 0 or -EAGAIN.
 */
int kept_tell_stored(struct sink *sink, struct channel *channel,
		     const struct shape *shape, const struct shape *about,
		     const uint8_t *record, uint32_t length);
/* UDP: tells again what others have told too long ago. 0 or -EAGAIN. */
int kept_refresh(struct sink *sink, uint64_t now_ms);
/* Forgets what is about the Template of this shape. */
void kept_template_end(struct exporting *e, const struct scope *scope,
		       const struct shape *shape);
void kept_scope_end(struct exporting *e, const struct scope *scope);
void kept_fini(struct exporting *e);

/* ---- rescope.c ---------------------------------------------------------- */

/* Records of this shape, of others, are not passed on. */
bool rescope_leaves_out(const struct exporting *e, const struct shape *shape);
/*
 * Which records of options can be passed on; index has BATCH_MAX places. Returns
 * how many. *same: all of them, and as they are.
 */
uint32_t rescope_pick(const struct exporting *e, const struct batch *batch,
		      uint32_t *index, bool *same);
/*
 * Makes those records ours, as many as fit, valid until the next call. Returns
 * how many; out->shape, if it is another than that of batch, is held.
 */
uint32_t rescope_make(struct exporting *e, const struct batch *batch,
		      const uint32_t *index, uint32_t count, struct batch *out);

/* ---- report.c ----------------------------------------------------------- */

void exporting_report(struct stage *stage, struct report *report);

/* ---- exporting.c -------------------------------------------------------- */

/* For records that are changed on their way. */
struct exporting_room {
	uint32_t offset[BATCH_MAX + 1];
	uint8_t records[2 * MESSAGE_MAX];
};

struct exporting {
	struct stage stage;
	struct event_base *base;
	struct exporting_conf conf; /* ours, with all it points to */
	struct ie_registry *registry;
	struct shape_table *shapes;
	struct domains domains;
	struct sink *sink; /* conf.destination_count */
	struct mode *mode; /* NULL: all to all */
	unsigned active;   /* fallback: the first in health */
	bool moving;       /* something waits for one that is away */
	uint64_t now_ms;   /* monotonic, of the last tick */
	uint64_t wall_ms;
	bool wanted[EXPORTING_OPTION_COUNT];
	const struct shape *option_shape[OPTION_SHAPE_COUNT];
	struct domain *own; /* domain 0, or NULL */
	struct identity_room *identity; /* for records, or NULL */
	struct exporting_room *room;
	struct table kept;
	/* Of them: octets; how many are of our own stages, about Templates. */
	uint32_t kept_octets, kept_own, kept_about;
	uint64_t not_kept; /* Options Data beyond the bound */
};

#endif
