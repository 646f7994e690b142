/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * How forward.c (storing, the account), forward_window.c and forward_replay.c
 * share the work; what a sink may call is in exporting.h.
 */
#ifndef CONFLUX_EXPORTING_FORWARD_H
#define CONFLUX_EXPORTING_FORWARD_H

#include "exporting.h"
#include "spool.h"

/* How it is known what the peer has: see forward_window.c. */
enum knowing {
	KNOW_NOTHING,
	KNOW_OCTETS,   /* TCP */
	KNOW_MESSAGES, /* SCTP */
	KNOW_ANSWERS,  /* DTLS over UDP */
	KNOW_RECORDS,  /* it says so: see forward_answer.c */
};

enum { FORWARD_ANSWER_MAX = 1024 };

/* See forward_seal.c. */
struct seal {
	uint64_t number;
	uint32_t length, records; /* length 0: there is none */
	uint8_t message[MESSAGE_MAX];
};

struct forward {
	struct sink *sink;
	struct spool *spool;
	struct exporting_spool *conf;
	enum knowing knowing;
	bool stopped;	 /* no replay any more */
	bool ending;	 /* the session is ended in order */
	uint8_t *buffer; /* a message with Templates for a segment */
	/* The message that was read last, and what it becomes. */
	uint8_t *original, *message, *part;
	uint32_t length, records; /* of the original */
	uint32_t flows, run;
	uint64_t position;
	bool pending; /* it is not staged yet */
	/* The message with options that was read last, and is not all told:
	 * so many of its records are. */
	uint8_t *options;
	uint32_t options_length, options_done;
	/* Sent, and perhaps not received. */
	struct queue window;
	/* Octets of the session before its first; messages where the peer
	 * acknowledges. */
	uint64_t window_end;
	uint64_t begun;	     /* stats.octets at the session's start */
	/* Not TCP: its entries by number of flight; records not delivered; the
	 * numbers at which the peer was asked, and before which it has all. */
	struct queue_entry **place;
	uint64_t undelivered, asked_at, sure_at;
	uint64_t restored; /* records that were sent before */
	/* Replay: what is next; and the Templates of a segment. */
	struct queue staged;
	struct template_store *store;
	struct scope scope; /* of the message that is being made ready */
	uint64_t segment;
	uint64_t told;
	struct event *turn;
	uint32_t round; /* octets in this one */
	/* Records that may be replayed, by the rate and by the share. */
	int64_t tokens, credit;
	uint64_t filled_ms;
	/* New records; until the last tick; of them, in credit. */
	uint64_t sent, sent_before, counted;
	uint64_t replayed, stored; /* records */
	bool idle;
	/* forward_answer.c: the answers of this session. */
	struct template_store *answers;
	uint8_t answer[FORWARD_ANSWER_MAX];
	uint32_t answer_have;
	bool greeted, answered;
	uint64_t greeted_ms;
	/* What the peer takes the next Flow Record for; peer_run 0: nothing. */
	uint32_t peer_run;
	uint64_t peer_next;
	/* The last answer. */
	uint32_t acked_run;
	uint64_t acked, acked_messages;
	uint64_t had; /* records that it turned out to have */
	/* The last seal of this run, and the next; the segment with the last;
	 * NULL: there are none. */
	struct seal *seal[2];
	bool seal_now;
	uint64_t sealed_in;
	struct channel *seal_channel;
};

/* ---- forward.c ---------------------------------------------------------- */

/* The sequence number of a message in the segment, counted on by its records.
 */
uint32_t forward_count_on(struct forward *f, struct channel *channel,
			  uint32_t records);

/* What was made for the segment itself; it has nothing to be replayed. */
int forward_append(struct forward *f, struct channel *c,
		   struct message_writer *w, enum loss *loss);
/* A Template, if the segment does not have it. */
int forward_store_template(struct forward *f, struct out_template *t,
			   enum loss *loss);

/* ---- forward_options.c -------------------------------------------------- */

/* What is told of a Template goes behind it. */
void forward_add_options(const struct forward *f, const struct out_template *t,
			 struct message_writer *w);
/* Octets of the options that the segment needs before data of the channel. */
uint32_t forward_options_octets(const struct forward *f,
				const struct channel *c, uint64_t segment);
/* They go into the segment, as far as it does not have them. */
int forward_store_options(struct forward *f, struct channel *c,
			  uint64_t segment, enum loss *loss);
/* Such a message was read: its Templates are known. */
void forward_take_options(struct forward *f, const uint8_t *message,
			  uint32_t length);
/* Its options become known, or are told. 0, or -EAGAIN: not all of them. */
int forward_tell_options(struct forward *f);
/* What is known of the Template that has this id in the segment. */
void forward_use_options(struct forward *f, uint16_t id,
			 struct out_template *t);

/* ---- forward_seal.c ----------------------------------------------------- */

/* 0 or -ENOMEM. */
int forward_seal_open(struct forward *f);
/* As spool_prepare; a new segment begins with the last seal. */
int forward_prepare(struct forward *f, uint32_t length, uint64_t *segment,
		    enum loss *loss);

/* ---- forward_window.c --------------------------------------------------- */

/* Nothing more may be sent before the peer has some of it. */
bool forward_is_full(const struct forward *f);
/* The session is over: what the peer may not have is to be sent again. */
void forward_store_window(struct forward *f);

/* ---- forward_replay.c --------------------------------------------------- */

/* What was made ready to be sent is read again later. */
void forward_unstage(struct forward *f);
/* Makes the next message ready, if there is one. */
void forward_fill(struct forward *f);

/* ---- forward_answer.c --------------------------------------------------- */

/* A session begins. -ENOMEM. */
int forward_answer_begin(struct forward *f);
/* Has the first answer been waited for too long? */
void forward_await(struct forward *f, uint64_t now_ms);
/* There is something to be sent. */
void forward_wake(struct forward *f);
void forward_answer_report(const struct forward *f, struct report *report);

#endif
